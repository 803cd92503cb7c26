"""Invariance and equivariance against closed forms and toys whose answer is known."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import pdist
from scipy.special import gammaln

import causalinv._distances as distances
from causalinv._distances import mean_distances
from causalinv.exceptions import DegenerateInputWarning
from causalinv.representation import equivariance_score, invariance_score
from causalinv.representation._invariance import _held_out


def test_mean_distances_are_those_of_scipy_and_blocks_are_unbiased(monkeypatch):
    Z = 1e3 + np.random.default_rng(0).normal(size=(240, 3))
    rng = np.random.default_rng(1)
    assert mean_distances(Z, rng).mean() == pytest.approx(pdist(Z).mean(), rel=1e-9)
    monkeypatch.setattr(distances, "EXACT_ROWS", 60)
    monkeypatch.setattr(distances, "_BLOCK", 7)
    again = [mean_distances(Z, rng).mean() for _ in range(200)]
    assert np.mean(again) == pytest.approx(pdist(Z).mean(), abs=4 * np.std(again) / np.sqrt(200))


def test_the_interval_covers_a_closed_form():
    """Z ~ N(0, I_4) moved by N(0, s²): the score is s / sqrt 2, both means being of chi with four degrees."""
    rng, truth, hits, values = np.random.default_rng(0), 0.5 / np.sqrt(2), 0, []
    for _ in range(300):
        Z = rng.normal(size=(150, 4))
        found = invariance_score(Z, Z + 0.5 * rng.normal(size=(150, 4)))
        low, high = found.conf_int
        hits += low <= truth <= high
        values.append(found.estimate)
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / np.sqrt(300))
    assert abs(hits / 300 - 0.95) < 4 * np.sqrt(0.05 * 0.95 / 300)


def test_rows_equally_far_from_each_other_have_students_interval_of_the_mean_move():
    """Unit vectors are sqrt 2 apart, all of them, so that nothing but the moves varies."""
    step = np.random.default_rng(0).exponential(size=6)
    found = invariance_score(np.eye(6), np.eye(6) + step[:, None] * np.ones(6) / np.sqrt(6))
    interval = stats.t.interval(0.95, 5, step.mean() / np.sqrt(2), stats.sem(step) / np.sqrt(2))
    assert found.conf_int == pytest.approx(interval)


def test_where_no_row_moved_the_limit_is_that_of_no_event():
    found = invariance_score(np.eye(40), np.eye(40), confidence_level=0.9)
    most = float(re.search(r"at most (\S+) of all rows", str(found.summary()).replace("\n", " "))[1])
    assert stats.binom.pmf(0, 40, most) == pytest.approx(0.1, rel=0.1)  # two digits are printed


def test_one_row_that_moves_has_the_mean_of_a_chi_law():
    """The denominator alone: E‖z - z'‖ for N(0, I_k) is 2 Γ((k+1)/2) / Γ(k/2)."""
    rng, k = np.random.default_rng(0), 3
    Z = rng.normal(size=(4000, k))
    score = invariance_score(Z, Z + np.array([1.0, 0, 0]))
    truth = 1 / (2 * np.exp(gammaln((k + 1) / 2) - gammaln(k / 2)))
    assert score.estimate == pytest.approx(truth, abs=4 * score.standard_error)
    assert score.standard_error < 0.01 * truth


def test_another_row_is_one_and_units_do_not_matter():
    rng = np.random.default_rng(0)
    Z, other = rng.normal(size=(2, 800, 5))
    score = invariance_score(Z, other)
    assert score.estimate == pytest.approx(1.0, abs=4 * score.standard_error)
    assert invariance_score(1e6 * Z + 5, 1e6 * other + 5).estimate == pytest.approx(score.estimate)


def test_points_that_coincide_are_nan_and_wrong_rows_raise():
    with pytest.warns(DegenerateInputWarning):
        assert np.isnan(invariance_score(np.ones((5, 2)), np.zeros((5, 2))).estimate)
    Z = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(ValueError, match="same shape"):
        invariance_score(Z, Z[:, :1])
    frame = pd.DataFrame(Z)
    with pytest.raises(ValueError, match="index"):
        invariance_score(frame, frame[::-1])
    with pytest.raises(ValueError, match="Z_moved"):
        invariance_score(Z, Z * np.nan)


def turned(n, rng, *, noise=0.5):
    """Half of z turns by an angle g1 around 0 in a linear map of g = (cos, sin) and z; the other half stays."""
    Z = rng.normal(size=(n, 4))
    angle = rng.uniform(0, 2 * np.pi, n)
    G = np.column_stack([np.cos(angle), np.sin(angle)])
    moved = Z.copy()
    moved[:, 0] = G[:, 0] * Z[:, 0] - G[:, 1] * Z[:, 1]
    moved[:, 1] = G[:, 1] * Z[:, 0] + G[:, 0] * Z[:, 1]
    return Z, moved + noise * rng.normal(size=moved.shape), G


def test_a_rotation_is_followed_and_the_interval_covers():
    """Of variance 4 (1 + 0.25), two coordinates are bilinear in (z, g) with mean 0 given z: the gain is 2 / 5."""
    rng, hits, values = np.random.default_rng(0), 0, []
    for _ in range(200):
        found = equivariance_score(*turned(250, rng))
        low, high = found.conf_int
        hits += low <= 0.4 <= high
        values.append(found.estimate)
    assert np.mean(values) == pytest.approx(0.4, abs=4 * np.std(values) / np.sqrt(200))
    assert hits / 200 > 0.95 - 4 * np.sqrt(0.05 * 0.95 / 200)


def test_invariant_parts_score_nothing_and_shifts_count():
    rng = np.random.default_rng(1)
    Z, moved, G = turned(2000, rng)
    still = equivariance_score(Z[:, 2:], moved[:, 2:], G)
    assert still.estimate == pytest.approx(0.0, abs=0.01)
    assert equivariance_score(Z[:, :2], moved[:, :2], G).estimate == pytest.approx(0.8, abs=0.03)
    shifted = Z + G[:, :1]  # variance 1/2 along each of four columns, all of it explained
    found = equivariance_score(Z, shifted, G)
    assert found.estimate == pytest.approx(0.5 / 1.5, abs=0.03)
    assert found.to_frame()["r2_with"].iloc[0] == pytest.approx(1.0, abs=1e-9)


def test_the_standard_error_counts_the_coefficients_where_rows_are_few():
    """40 rows and 17 columns: by 40 in place of the 22 that are left variances would come out as .62 of the truth."""
    rng, found = np.random.default_rng(0), []
    for _ in range(250):
        Z, G = rng.normal(size=(40, 1)), rng.normal(size=(40, 8))
        found.append(equivariance_score(Z, Z + G[:, :1] + rng.normal(size=(40, 1)), G))
    ratio = np.mean([each.standard_error**2 for each in found]) / np.var([each.estimate for each in found])
    assert ratio == pytest.approx(1.13, abs=0.33)  # 1.13 of 1,000, and three standard errors


def test_a_representation_that_is_constant_explains_nothing_on_average_over_orders():
    """Means of all rows but two miss these, over all pairs and divided by 1 + 1 / 22, by the variance with n - 1."""
    rng = np.random.default_rng(0)
    moved, G = rng.exponential(size=(24, 1)), rng.normal(size=(24, 1))
    found = [equivariance_score(np.ones((24, 1)), rng.permutation(moved), G, cv=12).to_frame() for _ in range(60)]
    share = np.array([each["r2_without"].iloc[0] for each in found])
    assert share.mean() == pytest.approx(0.0, abs=0.01)  # four of its standard errors, a quarter of 1 / 24


def test_the_correction_makes_the_gain_unbiased_where_nothing_is_followed():
    rng = np.random.default_rng(2)
    values = []
    for _ in range(200):
        Z = rng.normal(size=(80, 3))
        values.append(equivariance_score(Z, Z + rng.normal(size=(80, 3)), rng.normal(size=(80, 2))).estimate)
    assert np.mean(values) == pytest.approx(0.0, abs=4 * np.std(values) / np.sqrt(200) + 0.01)
    # without it: about -(rank of the new columns) / n of the error's half share, -0.06 here


def test_dependent_columns_change_nothing_and_few_rows_raise():
    rng = np.random.default_rng(3)
    Z, moved, G = turned(300, rng)
    once = equivariance_score(Z, moved, G)
    doubled = equivariance_score(np.hstack([Z, Z[:, :1]]), np.hstack([moved, moved[:, :1]]), G)
    only = equivariance_score(Z, np.hstack([moved[:, :1], moved]) @ np.eye(5)[:, 1:], G)
    assert only.estimate == pytest.approx(once.estimate)
    assert np.isfinite(doubled.estimate)
    assert equivariance_score(1e5 * Z + 7, 1e5 * moved, 1e-5 * G).estimate == pytest.approx(once.estimate, rel=1e-6)
    with pytest.raises(ValueError, match="need"):
        equivariance_score(Z[:15], moved[:15], G[:15])
    with pytest.warns(DegenerateInputWarning):
        assert np.isnan(equivariance_score(Z, np.ones_like(Z), G).estimate)


@pytest.mark.parametrize("shift", [0.1, 1e6])
def test_what_is_known_without_the_move_scores_exactly_nothing(shift):
    """The interval was [-2e-29, -9e-30]: rounding that excludes 0."""
    rng = np.random.default_rng(0)
    Z, G = rng.normal(size=(90, 3)), rng.normal(size=(90, 1))
    found = equivariance_score(Z, Z @ rng.normal(size=(3, 3)) + shift, G)
    assert found.estimate == found.conf_int[0] == found.conf_int[1] == 0.0


def test_a_move_that_explains_everything_has_no_standard_error():
    Z, G = np.random.default_rng(4).normal(size=(2, 300, 1))
    found = equivariance_score(Z, G, G)
    assert found.estimate == pytest.approx(1.0, abs=0.02)
    assert found.standard_error < 0.02  # 0.08 if the variance of z_g were known and not estimated


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
def test_scores_of_any_size_and_of_columns_that_do_not_move(unit):
    """Squares of these are 0 or infinite: the score was NaN, 'all rows are one point'."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(60, 3))
    moved = Z + 0.3 * rng.normal(size=(60, 3))
    unit = 2.0 ** np.round(np.log2(unit))
    plain, other = invariance_score(Z, moved), invariance_score(unit * Z, unit * moved)
    assert other.conf_int == pytest.approx(plain.conf_int, rel=1e-9)
    tiny = invariance_score(unit * Z, unit * Z + 1.0) if unit < 1 else invariance_score(unit * Z, unit * Z)
    assert tiny.estimate > 1e150 if unit < 1 else tiny.estimate == 0.0
    with pytest.warns(DegenerateInputWarning, match="does not vary"):
        still = equivariance_score(Z, np.full((60, 3), 1.1), Z[:, :1])  # 1.1 less the mean of sixty 1.1 is rounding
    assert np.isnan(still.estimate)


def test_tables_without_columns_are_refused():
    for empty in (np.empty((5, 0)), np.empty((5, 0), dtype=int)):
        with pytest.raises(ValueError, match="Z has 0 columns"):
            invariance_score(empty, empty)


@pytest.mark.parametrize(("strength", "truth"), [(0.0, 0.0), (1.0, 0.15)])
def test_moves_that_are_rare_do_not_make_shares_of_thousands(strength, truth):
    """With few moved rows in a fold predictions go far astray; scores reached -34,723. Each error has its leverage."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        Z, G = rng.normal(size=(80, 2)), 1.0 * (rng.random((80, 1)) < 0.1)
        moved = 0.5 * Z + strength * G * Z[:, ::-1] + 0.5 * rng.normal(size=Z.shape)
        found.append(equivariance_score(Z, moved, G).estimate)
    assert min(found) > -0.5
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.std(found) / np.sqrt(300) + 0.02)


def test_held_out_errors_are_unbiased_for_regressors_of_any_law():
    """Of a design with heavy tails, held as it is: the mean over noise is its variance, in every row."""
    rng = np.random.default_rng(0)
    design = rng.standard_t(2, size=(30, 3))
    total = np.mean([_held_out(design, rng.normal(size=(30, 1)), 5) for _ in range(2_000)], axis=0)
    np.testing.assert_allclose(total, 1.0, atol=6 * np.sqrt(2 / 2_000))
