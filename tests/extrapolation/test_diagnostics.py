"""What the diagnostics and the support say at their thresholds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from causalinv import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.extrapolation._action_only import action_only
from causalinv.extrapolation._kept import kept
from causalinv.extrapolation._scores import distance_correlation_test
from causalinv.extrapolation._support import overlap, status
from causalinv.results import ExtrapolationDiagnostics


def fit_checks(**doubts):
    names = ["nonlinear_mean", "unequal_noise", "direct_effect"]
    doubt = [doubts.get(name, False) for name in names]
    frame = {"value": [0.03 if d else np.nan for d in doubt], "threshold": 0.02, "doubt": doubt}
    return pd.DataFrame(frame, index=pd.Index(names, name="check"))


GOOD = {
    "linearity_pvalue": 0.4,
    "residual_pvalue": 0.4,
    "precision_gap": 0.01,
    "noise_evidence": 0.2,
    "n_noise_components": 1.0,
    "singular_values": (1.0, 0.9),
    "effective_rank": 1.99,
    "effective_dimension": 1.98,
    "moved_by_action": 0.4,
    "do_consistency": 0.1,
    "shell_error": 0.1,
    "shell_action_only": 0.5,
    "conditional_score": 1.0,
    "checks_": fit_checks(),
}


def doubted(**changes):
    frame = ExtrapolationDiagnostics(**(GOOD | changes)).to_frame()
    return list(frame.index[frame["doubt"]])


@pytest.mark.parametrize(
    ("name", "fine", "doubtful"),
    [
        ("linearity_pvalue", 0.06, 0.04),
        ("residual_pvalue", 0.06, 0.04),
        ("noise_evidence", 0.95, 1.05),
        ("n_noise_components", 1.0, 3.0),
        ("effective_rank", 1.45, 1.35),
        ("effective_rank", 2.0, float("nan")),
        ("do_consistency", 0.28, 0.32),
        ("shell_error", 0.45, 0.55),
        ("conditional_score", 0.01, 0.0),
    ],
)
def test_each_check_doubts_beyond_its_threshold_and_only_there(name, fine, doubtful):
    others = {"shell_action_only": 0.9} if name == "shell_error" else {}
    assert doubted(**{name: fine}, **others) == []
    assert doubted(**{name: doubtful}, **others) == [name]


def test_a_doubt_of_the_fit_is_one_of_the_diagnostics():
    found = fit_checks(direct_effect=True)
    assert doubted(checks_=found) == ["direct_effect"]
    assert "direct_effect: above 0.020" in " ".join(
        str(ExtrapolationDiagnostics(**(GOOD | {"checks_": found}))).split()
    )


def test_an_extrapolation_worse_than_a_polynomial_is_doubted():
    assert doubted(shell_error=0.3, shell_action_only=0.2) == ["shell_error"]


def test_the_note_says_that_no_doubt_is_no_proof_and_only_without_doubts():
    text = " ".join(str(ExtrapolationDiagnostics(**GOOD)).split())
    assert "no check gives a reason to doubt; that is no proof" in text
    text = " ".join(str(ExtrapolationDiagnostics(**(GOOD | {"residual_pvalue": 0.01}))).split())
    assert "no check gives" not in text
    assert "residuals of the representation depend on the action" in text


def test_support_is_named_at_its_documented_thresholds():
    share = np.array([0.81, 0.79, 0.21, 0.19, 0.0])
    said = status(np.array([False, False, False, False, True]), share)
    assert list(said) == ["supported", "partial", "partial", "unsupported", "tried"]


def linear_world(n=4000, size=2.0):
    """phi = W a + V with V ~ N(0, I_2), a ~ N(0, I_2), W = diag(size, 0): covariance diag(size² + 1, 1)."""
    rng = np.random.default_rng(0)
    acts, W = rng.normal(size=(n, 2)), np.diag([size, 0.0])
    return acts @ W.T + rng.normal(size=(n, 2)), acts, W


def test_what_is_kept_has_its_closed_form_and_affine_maps_change_nothing():
    phi, acts, W = linear_world()
    dimension, moved = kept(phi, acts, np.random.default_rng(1))
    assert dimension == pytest.approx(6**2 / (25 + 1), abs=0.03)
    # E|2 a_1| over E|z - z'|, z ~ N(0, diag(5, 1)), the second by a large sample of its own.
    far = np.linalg.norm(np.random.default_rng(2).normal(size=(400_000, 2)) * np.sqrt([10.0, 2.0]), axis=1).mean()
    assert moved == pytest.approx(2 * np.sqrt(2 / np.pi) / far, rel=0.05)  # s.e. 1.7%
    by = np.array([[3.0, 1.0], [-1e3, 2e3]])
    again = kept(phi @ by.T + 7, acts, np.random.default_rng(1))
    assert again == pytest.approx((dimension, moved))
    still = kept(phi - acts @ W.T, acts, np.random.default_rng(1))
    assert still == pytest.approx((2.0, 0.0), abs=0.03)  # a slope of sampling noise, 1 / sqrt(4000), remains


def test_encoder_and_diagnostics_report_what_is_kept():
    phi, acts, _ = linear_world(400)
    phi[:, 1] += acts[:, 1]
    encoder = LinearInvarianceEncoder(2, method="ef", n_landmarks=20, n_repeats=1, random_state=0).fit(phi, action=acts)
    assert 1 < encoder.effective_dimension_ < 2
    assert 0.2 < encoder.moved_by_action_ < 1
    model = Rep4ExRegressor("identity", random_state=0).fit(phi, phi[:, 0], action=acts)
    checks = model.diagnostics()
    pd.testing.assert_frame_equal(checks.checks_, model.checks_)
    known = kept(phi, acts, np.random.default_rng(3))
    assert (checks.effective_dimension, checks.moved_by_action) == pytest.approx(known, rel=1e-6)
    assert "moved_by_action" in str(checks)


def test_the_summary_says_each_check_in_words_and_what_is_doubted(monkeypatch):
    phi, acts, _ = linear_world(600)
    acts = np.clip(acts, -2, 2)
    y = phi.sum(axis=1) + 3 * acts[:, 0] ** 2  # which the state does not carry: the action acts past it as well
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.warns(match="looks broken"):
        model = Rep4ExRegressor("identity", random_state=0).fit(phi + acts, y, action=acts)
    assert list(model.checks_.columns) == ["value", "threshold", "doubt"]
    text = str(model.summary())
    flat = " ".join(text.split())
    assert "doubt: the outcome depends on the action beyond the state" in flat
    assert "nonlinear_mean" in flat
    assert "no doubt, which is no proof" in flat
    assert max(map(len, text.split("\n"))) <= 80
    assert "..." not in str(model.checks_)


def test_huge_units_of_outcome_and_state_change_no_answer():
    """Squares of y, and fourth powers of distances, were beyond the range of floats from 1e100 on."""
    rng = np.random.default_rng(0)
    action, noise = rng.uniform(-1, 1, size=(2, 300))
    y = action**3 + noise
    few, many = (action_only(action[:, None], unit * y) for unit in (1.0, 1e160))
    assert few.degree == many.degree
    np.testing.assert_allclose(many(action[:, None]) / 1e160, few(action[:, None]), rtol=1e-9)
    found = [
        distance_correlation_test(unit * noise[:, None], action[:, None], np.random.default_rng(1))
        for unit in (1, 1e150)
    ]
    assert found[0] == pytest.approx(found[1])
    assert 0 < found[0][0] < 1


def test_numbers_of_the_diagnostics_written_out():
    """Of 300 rows all are looked at: polynomials of degree 4 by numpy; an outcome that bends where no row is inside."""
    rng = np.random.default_rng(0)
    action = 10 * rng.uniform(-1, 1, size=300)
    state = action / 10 + 0.05 * rng.normal(size=300)
    y = 10 * np.maximum(np.abs(state) - 0.8, 0.0) + 2 * rng.normal(size=300)
    model = Rep4ExRegressor("identity", random_state=0).fit(state[:, None], y, action=action)
    found = model.diagnostics()
    slope, left = np.polyfit(action, state, 1, full=True)[:2]
    assert found.singular_values == pytest.approx((slope[0] * action.std() / np.sqrt(left[0] / 300),), rel=1e-6)
    smooth = np.polyval(np.polyfit(action, y, 4), action)
    gap = model.predict_do(action) - smooth
    assert found.do_consistency == pytest.approx(np.sqrt(np.mean(gap**2)) / smooth.std(), rel=1e-3)
    outer = np.abs(action) > np.abs(action).max() / 1.4
    inner = Rep4ExRegressor("identity", random_state=0).fit(state[~outer, None], y[~outer], action=action[~outer])
    error = inner.predict_do(action[outer], on_unsupported="ignore") - smooth[outer]
    assert found.shell_error == pytest.approx(np.sqrt(np.mean(error**2)) / smooth.std(), rel=0.1)


class Remembers(TransformerMixin, BaseEstimator):
    """The first column in rows of its fit; in others a square of the action, in the second column, is added."""

    def fit(self, X, y=None, *, action=None):
        self.seen_ = {row.tobytes() for row in X}
        return self

    def transform(self, X):
        unseen = np.array([row.tobytes() not in self.seen_ for row in X])
        return (X[:, 0] + 3 * unseen * X[:, 1])[:, None]


def test_linearity_is_tested_on_rows_that_the_encoder_did_not_see():
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, size=300)
    X = np.column_stack([action + rng.normal(size=300), action**2])
    model = Rep4ExRegressor(Remembers(), random_state=0).fit(X, X[:, 0], action=action)
    assert not model.checks_["doubt"].any()  # on rows of the fit all is well
    assert model.diagnostics().linearity_pvalue < 0.01


def test_overlap_counts_what_is_as_near_to_its_tenth_neighbour_as_99_of_100_states_are():
    """0, 1 ... 500: tenth neighbours are 5 away, near the ends 6 to 10, and of 501 distances 8 is the 99% quantile.

    So far from ten of them is all up to 499.
    """
    states = np.arange(501.0)[:, None]
    draws = np.linspace(-10, 10, 161)
    assert overlap(states, np.array([[500.0], [250.0]]), draws[:, None]).tolist() == [(draws <= -1).mean(), 1.0]


def test_the_polynomial_of_the_action_is_that_of_the_least_error_of_rows_left_out():
    """Degrees by numpy, every row left out in turn; a tenth of the rows is the most that may be coefficients."""
    rng = np.random.default_rng(1)
    action = rng.uniform(-1, 1, 60)
    chosen = []
    for noise in (0.1, 3.0):
        y = action**3 + noise * rng.normal(size=60)
        errors = []
        for degree in range(1, 6):
            rest = [np.arange(60) != i for i in range(60)]
            fits = [np.polyfit(action[kept], y[kept], degree) for kept in rest]
            errors.append(np.mean([(y[i] - np.polyval(fit, action[i])) ** 2 for i, fit in enumerate(fits)]))
        found = action_only(action[:, None], y)
        assert found.degree == 1 + np.argmin(errors)
        np.testing.assert_allclose(found.loo * np.abs(y).max() ** 2, min(errors))
        chosen.append(found.degree)
    assert chosen[0] != chosen[1]
    few, enough = (action_only(action[:n, None], action[:n] ** 5).degree for n in (59, 60))
    assert few < enough == 5  # of six coefficients
