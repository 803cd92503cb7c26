"""The control-function response against brute force, closed forms and its invariances."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import Rep4ExRegressor
from causalinv.extrapolation._features import moment_features
from causalinv.extrapolation._response import _RIDGES, _Ridge, fit_control_function, mean_features


def fit(data, phi=None, **kwargs):
    phi = data.Z if phi is None else phi
    choices = {"calibration": 0.0, "quadratic": False} | kwargs
    return fit_control_function(phi, data.action, data.y, rng=np.random.default_rng(0), **choices)


def test_leave_one_out_is_exact():
    rng = np.random.default_rng(0)
    F, y, weights = rng.normal(size=(25, 6)) + 3, rng.normal(size=25), rng.uniform(0.1, 2, 6)
    ridge = _Ridge(F, y, weights)
    for at in (0, 8, 16):
        lam, errors = _RIDGES[at] * 25, []  # the penalty of all rows together stays the same when one is left out
        for i in range(25):
            keep = np.arange(25) != i
            design = np.column_stack([np.ones(24), F[keep]])
            penalty = np.diag(np.r_[0.0, lam * weights])
            coef = np.linalg.solve(design.T @ design + penalty, design.T @ y[keep])
            errors.append((y[i] - np.r_[1, F[i]] @ coef) ** 2)
        assert ridge.loo[at] == pytest.approx(np.mean(errors), rel=1e-8)


def test_mean_over_draws_is_the_mean_of_the_features():
    data = make_extrapolation_data(300, random_state=0)
    control = fit(data)
    centres = np.random.default_rng(0).normal(size=(7, 2))
    by_hand = [control.nu(c + control.residuals).mean(axis=0) for c in centres]
    np.testing.assert_allclose(mean_features(control.nu, centres, control.residuals), by_hand, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_oracle_state_reproduces_the_closed_form(seed):
    """Quadratic l and observed Z: the truth is b'Ma + (Ma)'B Ma + tr(B S)."""
    data = make_extrapolation_data(5000, outcome="quadratic", random_state=seed)
    grid = np.random.default_rng(9).uniform(-1, 1, (200, 2))
    truth = data.truth_do(grid)
    found = fit(data).mean_do(grid)
    assert np.sqrt(np.mean((found - truth) ** 2)) <= 0.1 * truth.std()
    far = 1.4 * np.array([[1, 1], [-1, 1], [1, -1.0]])
    bent = fit(data, quadratic=True).mean_do(far)
    assert np.sqrt(np.mean((bent - data.truth_do(far)) ** 2)) < 0.3 * truth.std()


def test_confounding_is_removed():
    """Regression on Z alone is off by the confounder; the control function is not."""
    data = make_extrapolation_data(5000, n_latent=1, confounding=2.0, outcome="quadratic", random_state=4)
    at = np.array([[-1.4], [1.4]])
    naive = np.polynomial.Polynomial.fit(data.Z[:, 0], data.y, 2)
    states = at @ data.M.T + data.V.T
    confounded = naive(states).mean(axis=1)
    truth = data.truth_do(at)
    assert np.abs(confounded - truth).min() > 0.5
    assert np.abs(fit(data).mean_do(at) - truth).max() < 0.35


@pytest.mark.parametrize("calibration", [0.0, 3.0])
def test_constants_cancel_and_the_level_is_that_of_the_outcome(calibration):
    """The formula written out, with a constant added to nu."""
    data = make_extrapolation_data(1500, random_state=5)
    control = fit(data, calibration=calibration)
    nu = lambda states: control.nu(states) @ control.nu_do + 5.0  # noqa: E731
    asked = np.array([[0.5, 0.5], [2.0, 0.0], [-1.0, 1.0]])
    by_hand = [
        data.y.mean() - nu(control.whiten(data.Z)).mean() + nu(control.W @ a + control.b + control.residuals).mean()
        for a in asked
    ]
    np.testing.assert_allclose(control.mean_do(asked), by_hand, rtol=1e-9)
    # Over the tried actions the mean is that of the outcome, up to the dependence of action and V in a sample.
    assert control.mean_do(data.action[:400]).mean() == pytest.approx(data.y.mean(), abs=0.1)


def test_calibration_is_least_squares_on_stacked_rows():
    n, kappa = 100, 3.0  # so few that every row meets every residual
    data = make_extrapolation_data(n, random_state=6)
    control = fit(data, calibration=kappa)
    state = control.whiten(data.Z)
    residual = state - data.action @ control.W.T - control.b
    F = np.hstack([control.nu(state), control.psi(residual)])
    weights = np.r_[control.nu.penalty, control.psi.penalty]
    moments = moment_features(data.action, 4, max_columns=n // 20)
    means = np.array([control.nu(control.W @ a + control.b + residual).mean(axis=0) for a in data.action])
    extra = np.hstack([moments.T @ means / n, np.zeros((moments.shape[1], len(control.psi.penalty)))])
    stacked = np.vstack(
        [
            (F - F.mean(axis=0)) / np.sqrt(n),
            np.sqrt(kappa) * extra,
            np.diag(np.sqrt(control.ridge * weights)),
        ]
    )
    target = np.r_[
        (data.y - data.y.mean()) / np.sqrt(n),
        np.sqrt(kappa) * moments.T @ (data.y - data.y.mean()) / n,
        np.zeros(len(weights)),
    ]
    coef = np.linalg.lstsq(stacked, target, rcond=None)[0]
    asked = np.random.default_rng(1).uniform(-1.5, 1.5, (20, 2))
    by_hand = (
        data.y.mean()
        + (mean_features(control.nu, asked @ control.W.T + control.b, residual) - control.nu(state).mean(axis=0))
        @ coef[: len(control.nu.penalty)]
    )
    np.testing.assert_allclose(control.mean_do(asked), by_hand, rtol=1e-5, atol=1e-6)
    gaps = [np.sum((moments.T @ (data.y - c.mean_do(data.action)) / n) ** 2) for c in (fit(data), control)]
    assert gaps[1] < gaps[0]


class Moved(TransformerMixin, BaseEstimator):
    """A fixed invertible affine map."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.seed)
        d = X.shape[1]
        self.matrix_, self.offset_ = rng.normal(size=(d, d)) + 2 * np.eye(d), 10 * rng.normal(size=d)
        return self

    def transform(self, X):
        return X @ self.matrix_ + self.offset_


@pytest.mark.parametrize("response", ["smooth", "quadratic"])
def test_affine_maps_of_the_representation_do_not_matter(response):
    data = make_extrapolation_data(1500, random_state=7)
    asked = np.random.default_rng(0).uniform(-1.6, 1.6, (30, 2))
    fits = [
        Rep4ExRegressor(encoder, response=response, random_state=0).fit(data.Z, data.y, action=data.action)
        for encoder in ("identity", Moved(1), Moved(2))
    ]
    first, *others = (m.predict_do(asked, on_unsupported="ignore") for m in fits)
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-6)
    first, *others = (m.predict(data.Z[:200], action=data.action[:200]) for m in fits)
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-2)  # the box of linear continuation is not rotation invariant


def test_conditional_mean_of_observed_states():
    data = make_extrapolation_data(5000, random_state=8)
    model = Rep4ExRegressor("identity", calibration=0.0, random_state=0).fit(
        data.Z[:3000], data.y[:3000], action=data.action[:3000]
    )
    truth = data.truth_conditional(data.Z[3000:], data.action[3000:])
    found = model.predict(data.Z[3000:], action=data.action[3000:])
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.1 * truth.std()
    # The same states under another action hide another confounder.
    other = np.zeros((2000, 2))
    truth = data.truth_conditional(data.Z[3000:], other)
    found = model.predict(data.Z[3000:], action=other)
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.2 * truth.std()


def test_beyond_most_of_the_rows_the_response_is_linear():
    data = make_extrapolation_data(600, random_state=0)
    nu = fit(data).nu
    ray = np.array([[0.6, -0.8]])
    assert 2.0 < nu.reach < nu.farthest  # 99% of two whitened columns
    at = [nu(size * nu.reach * ray)[0] for size in (1.0, 1.5, 2.0)]
    np.testing.assert_allclose(at[2] - at[1], at[1] - at[0], atol=1e-12)
    within = [nu(size * nu.reach * ray)[0] for size in (0.5, 0.75, 1.0)]
    assert np.abs(within[2] - 2 * within[1] + within[0]).max() > 1e-3
    assert nu.outside(2 * nu.farthest * ray).all()
    assert not nu.outside(0.9 * nu.farthest * ray).any()


def test_another_seed_ends_nearby():
    """By one choice of landmarks the bandwidths of these data, and the mean at the corner, moved by an sd of y."""
    data = make_extrapolation_data(300, n_latent=2, n_actions=2, n_features=4, random_state=37)
    ends = [
        Rep4ExRegressor("identity", random_state=seed)
        .fit(data.Z, data.y, action=data.action)
        .predict_do(np.array([[1.5, 1.5], [-1.5, -1.5]]), on_unsupported="ignore")
        for seed in range(4)
    ]
    assert np.ptp(ends, axis=0).max() < 0.6 * data.y.std()  # 1.37 then, .31 now
