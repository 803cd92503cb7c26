"""Scores on populations that are enumerated: every mean below is exact, nothing is sampled."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from causalinv.bounds import FDivergenceBounds, ManskiBounds, cap_bounds, f_ball_bounds
from causalinv.bounds import _sieve_dual as scores
from causalinv.bounds._arm_law import ArmLaw
from causalinv.bounds._divergences import NAMES, as_divergence
from causalinv.bounds._inference import (
    band_critical_value,
    combine,
    critical_value,
    influence,
    interval,
    ratio_of_means,
)
from causalinv.bounds._inference import clustered as _clusters
from causalinv.bounds._scores import cap_att_terms, cap_scores, manski_scores
from causalinv.bounds._sieve_dual import f_ball_scores

ATOMS = np.array([0.0, 0.1, 0.35, 0.5, 0.8, 0.95])
P = np.array([0.1, 0.3, 0.2, 0.15, 0.15, 0.1])
E = 0.4


def population(copies=1):
    """All (arm, outcome) pairs with their probabilities; what is outside the arm has an arbitrary outcome."""
    phi = np.tile(np.r_[ATOMS, 0.3], copies)
    inside = np.tile(np.r_[np.ones(6, bool), False], copies)
    weight = np.tile(np.r_[E * P, 1 - E], copies) / copies
    return phi, inside, weight


def law(p=P, rows=7):
    return ArmLaw(ATOMS, np.tile(p, (rows, 1)))


@pytest.mark.parametrize("cap", [(0.5, 2.0), (0.0, 3.0), (1.0, 1.0), (0.2, 8.0)])
def test_cap_score_is_unbiased_and_doubly_robust(cap):
    phi, inside, weight = population()
    truth = cap_bounds(ATOMS, E, weights=P, density_ratio=cap)
    wrong = np.array([0.3, 0.1, 0.1, 0.2, 0.2, 0.1])
    right_law = cap_scores(phi, inside, np.full(7, E), law(), cap)
    np.testing.assert_allclose([weight @ end for end in right_law], truth, rtol=1e-12)
    wrong_e = cap_scores(phi, inside, np.full(7, 0.7), law(), cap)
    np.testing.assert_allclose([weight @ end for end in wrong_e], truth, rtol=1e-12)
    # A wrong law with the right propensity: unbiased for the bound at the wrong law's cut, so never inside the truth.
    low, high = (weight @ end for end in cap_scores(phi, inside, np.full(7, E), law(wrong), cap))
    assert low <= truth[0] + 1e-12
    assert high >= truth[1] - 1e-12
    if cap == (1.0, 1.0):
        assert low == pytest.approx(high)
        assert low == pytest.approx(P @ ATOMS)


@pytest.mark.parametrize("cap", [(0.5, 2.0), (0.0, 3.0), (0.2, 8.0)])
def test_att_terms_are_unbiased_and_insensitive_to_each_nuisance(cap):
    """Two covariate values; the truth from linear programmes' closed form at each."""
    e1 = np.array([0.3, 0.6])  # P(A = 1 | x), x equally likely
    laws = np.array([P, P[::-1]])
    treated_mean = np.array([0.7, 0.2])
    share = (e1 * 0.5) / (e1 * 0.5).sum()
    outside = np.array([cap_bounds(ATOMS, 1e-300, weights=w, density_ratio=cap) for w in laws])  # the law R alone
    truth = share @ (treated_mean - outside[:, 1]), share @ (treated_mean - outside[:, 0])

    def ends(shift_e=0.0, laws_used=laws):
        phi = np.concatenate([np.r_[ATOMS, treated_mean[x]] for x in (0, 1)])
        treated = np.tile(np.r_[np.zeros(6, bool), True], 2)
        weight = np.concatenate([0.5 * np.r_[(1 - e1[x]) * laws[x], e1[x]] for x in (0, 1)])
        e = np.repeat(e1 + shift_e, 7)
        terms = cap_att_terms(
            phi,
            treated=treated,
            control=~treated,
            odds=e / (1 - e),
            law=ArmLaw(ATOMS, np.repeat(laws_used, 7, axis=0)),
            cap=cap,
        )
        return np.array([weight @ term / (weight @ treated) for term in terms])

    np.testing.assert_allclose(ends(), truth, rtol=1e-12)
    np.testing.assert_allclose(ends(shift_e=0.05), truth, rtol=1e-12)  # the law is right, so e does not matter
    other = np.array([np.roll(P, 1), np.roll(P[::-1], 2)])
    low, high = ends(laws_used=other)
    assert low <= truth[0] + 1e-12
    assert high >= truth[1] - 1e-12
    both = ends(shift_e=0.01, laws_used=0.98 * laws + 0.02 * other) - ends(laws_used=0.98 * laws + 0.02 * other)
    assert np.abs(both).max() < 5e-3  # the product of both errors, not either


def f_ball_mean(divergence, e_used, copies=60):
    phi, inside, weight = population(copies)
    n = len(phi)
    score = f_ball_scores(
        phi,
        inside,
        np.full(n, e_used),
        X=np.zeros((n, 1)),
        folds=np.repeat(np.arange(2), n // 2),
        laws=[(np.arange(n), ATOMS, np.tile(P, (n, 1)))],
        limit=1.0,
        divergence=as_divergence(divergence),
        row_weight=weight,
    )
    return weight @ score


@pytest.mark.parametrize("divergence", [*NAMES, ("alpha", 3.0)], ids=str)
def test_f_ball_score_reaches_the_exact_end_and_hardly_minds_the_propensity(divergence):
    exact = {e: f_ball_bounds(ATOMS, e, weights=P, support=(0, 1), divergence=divergence)[1] for e in (E, 0.45, 0.35)}
    found = f_ball_mean(divergence, E)
    assert exact[E] - 1e-9 <= found <= exact[E] + 2e-3  # from outside: the floor of kappa, and TV's kink
    for e in (0.45, 0.35):
        plug_in = abs(exact[e] - exact[E])
        assert plug_in > 0.015
        assert abs(f_ball_mean(divergence, e) - exact[E]) < 0.25 * plug_in


@pytest.mark.parametrize("divergence", [*NAMES, ("alpha", 3.0)], ids=str)
def test_dual_functions_follow_the_covariate(divergence):
    """Two covariate values with different laws and propensities: the mean over both ends is reached, not one dual's."""
    e, laws, copies = np.array([0.3, 0.75]), np.array([P, P[::-1]]), 40
    exact = np.mean(
        [f_ball_bounds(ATOMS, e[x], weights=laws[x], support=(0, 1), divergence=divergence)[1] for x in (0, 1)]
    )
    phi = np.tile(np.r_[ATOMS, 0.3, ATOMS, 0.3], copies)
    inside = np.tile(np.r_[np.ones(6, bool), False, np.ones(6, bool), False], copies)
    weight = np.tile(np.r_[e[0] * laws[0], 1 - e[0], e[1] * laws[1], 1 - e[1]], copies) / (2 * copies)
    x = np.tile(np.repeat([0, 1], 7), copies)
    score = f_ball_scores(
        phi,
        inside,
        e[x],
        X=x[:, None].astype(float),
        folds=np.repeat(np.arange(2), len(phi) // 2),
        laws=[(np.arange(len(x)), ATOMS, laws[x])],
        limit=1.0,
        divergence=as_divergence(divergence),
        row_weight=weight,
    )
    found = weight @ score
    tolerance = 0.01 if divergence == "tv" else 2e-3  # TV's dual has kinks, at which the descent may stop early
    assert exact - 1e-9 <= found <= exact + tolerance


def test_dual_functions_are_learnt_on_the_other_folds(monkeypatch):
    seen = []

    class Spy(scores.SieveDual):
        def __init__(self, X, *rest):
            self.learnt_from = X[:, 0]
            super().__init__(X, *rest)

        def __call__(self, X, e):
            seen.append((set(self.learnt_from), set(X[:, 0])))
            return super().__call__(X, e)

    monkeypatch.setattr(scores, "SieveDual", Spy)
    rng, n = np.random.default_rng(0), 60
    inside = rng.random(n) < 0.5
    f_ball_scores(
        rng.random(n),
        inside,
        np.full(n, 0.5),
        X=np.arange(n, dtype=float)[:, None],
        folds=np.arange(n) % 3,
        laws=[(np.arange(n), ATOMS, np.tile(P, (n, 1)))],
        limit=1.0,
        divergence=as_divergence("chi2"),
        row_weight=None,
    )
    assert len(seen) == 3
    for learnt, used in seen:
        assert not learnt & used
        assert learnt <= set(np.flatnonzero(inside))
    assert set.union(*(used for _, used in seen)) == set(range(n))


def test_manski_scores_are_what_they_say():
    phi, inside, weight = population()
    low, high = manski_scores(phi, inside, np.array([-1.0, 2.0]))
    assert weight @ low == pytest.approx(E * (P @ ATOMS) - (1 - E))
    assert weight @ high == pytest.approx(E * (P @ ATOMS) + 2 * (1 - E))


def test_mean_ratio_and_errors_against_a_regression_package():
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    y, groups = rng.normal(size=60), np.repeat(np.arange(20), 3)
    y += rng.normal(size=20)[groups]
    fit = sm.OLS(y, np.ones(60))
    mean, error = ratio_of_means(y, None, None)
    assert (mean, error) == (pytest.approx(y.mean()), pytest.approx(fit.fit().bse[0]))
    clustered = fit.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}).bse[0]
    assert ratio_of_means(y, None, None, _clusters(None, groups, 60))[1] == pytest.approx(clustered * np.sqrt(20 / 19))
    # A ratio of means is a mean over a subpopulation when the denominator is its indicator.
    member = rng.random(60) < 0.5
    ratio, error = ratio_of_means(y * member, member.astype(float), None)
    assert ratio == pytest.approx(y[member].mean())
    assert error == pytest.approx(y[member].std(ddof=1) / np.sqrt(member.sum()), rel=1e-12)
    weighted = ratio_of_means(y, None, np.repeat([1.0, 2.0], 30))[0]
    assert weighted == pytest.approx(np.r_[y, y[30:]].mean())
    assert ratio_of_means(np.array([1.0, np.inf]), None, None)[0] == np.inf


def test_critical_values_and_intervals():
    assert critical_value(0.0, 1.0, 0.95) == pytest.approx(1.959964, abs=1e-6)
    assert critical_value(50.0, 1.0, 0.95) == pytest.approx(1.644854, abs=1e-6)
    for width in (0.3, 1.0, 2.5):  # the definition, at both ends of the identified set
        c = critical_value(width, 1.0, 0.9)
        rng = np.random.default_rng(1)
        z = rng.normal(size=400_000)
        assert np.mean((-c <= z) & (z <= c + width)) == pytest.approx(0.9, abs=4 * 0.3 / np.sqrt(4e5))
    common = {"confidence_level": 0.95, "n": 1000}
    assert interval(0.0, 1.0, (0.1, 0.1), target="parameter", **common)[0] == pytest.approx(-0.1644854)
    assert interval(0.0, 1.0, (0.1, 0.1), target="set", **common)[1] == pytest.approx(1.1959964)
    assert interval(0.0, 0.2, (0.1, 0.1), target="parameter", **common)[1] == pytest.approx(0.3959964)  # width untold
    assert interval(0.2, 0.1, (0.1, 0.1), target="parameter", **common)[0] == pytest.approx(0.2 - 0.1959964)
    low, high = interval(-np.inf, 1.0, (np.nan, 0.1), target="parameter", **common)
    assert (low, high) == (-np.inf, pytest.approx(1.1644854))


def test_influence_is_the_derivative_of_the_ratio_in_the_weight_of_a_row():
    rng = np.random.default_rng(0)
    top, bottom, weight = rng.normal(size=7), rng.random(7), rng.exponential(size=7)
    for below in (None, bottom):
        moved = []
        for i in range(7):
            up, down = (ratio_of_means(top, below, weight * np.exp(h * (np.arange(7) == i)))[0] for h in (1e-5, -1e-5))
            moved.append((up - down) / 2e-5)
        np.testing.assert_allclose(influence(top, below, weight), moved, rtol=1e-6, atol=1e-9)


def test_bands_take_the_largest_of_folded_normals_stretched_as_students():
    """Four independent ends, each below and above: all within c with probability (2 Φ(c) - 1)^4."""
    columns = np.linalg.qr(np.random.default_rng(0).normal(size=(500, 4)))[0]
    ratios = [((column, column), None) for column in columns.T]
    alone = SimpleNamespace(weight=None, groups=None)
    found = band_critical_value(ratios, alone, 0.95, np.inf, 0)
    assert found == pytest.approx(stats.norm.ppf((1 + 0.95**0.25) / 2), abs=0.12)  # three errors of 2,000 draws
    few = band_critical_value(ratios, alone, 0.95, 4.0, 0)
    assert few / found == pytest.approx(stats.t.ppf(0.975, 4) / stats.norm.ppf(0.975))
    # A cluster of three equal rows is one row, to the digit; rows of their own would be drawn otherwise.
    thrice = [((np.repeat(low, 3), np.repeat(high, 3)), None) for (low, high), _ in ratios]
    clustered = SimpleNamespace(weight=None, groups=np.repeat(np.arange(500), 3))
    assert band_critical_value(thrice, clustered, 0.95, np.inf, 0) == pytest.approx(found, rel=1e-9)


def test_repeats_combine_by_medians():
    ends, errors = np.array([1.0, 2.0, 9.0]), np.array([0.1, 0.2, 0.3])
    middle, error = combine(ends, errors)
    assert middle == 2.0
    assert error == pytest.approx(np.sqrt(np.median([0.01 + 1.0, 0.04, 0.09 + 49.0])))


@pytest.mark.parametrize(("divergence", "most"), [("hellinger", 2.2), (("alpha", 0.3), 2.5), ("kl", 1.6)], ids=str)
def test_errors_of_low_orders_are_no_multiple_of_manskis(divergence, most):
    """Beta outcomes near their lower limit: without a floor of kappa errors were 3 to 500 times Manski's."""
    r = np.random.default_rng(71000)
    x = r.normal(size=(1000, 3))
    a = (r.random(1000) < 0.1 + 0.8 * expit(1.5 * x[:, 0])).astype(int)
    mean = 0.2 + 0.6 * expit(x[:, 0] + 0.5 * x[:, 1])
    y = r.beta(4 * mean, 4 * (1 - mean))
    plain = ManskiBounds(outcome_support=(0, 1)).fit(x, y, treatment=a).average_bounds("ate").table.iloc[0]
    ball = FDivergenceBounds(outcome_support=(0, 1), divergence=divergence, law="kernel", random_state=0)
    found = ball.fit(x, y, treatment=a).average_bounds("ate").table.iloc[0]
    for end in ("se_lower", "se_upper"):
        assert found[end] < most * plain[end]
