"""The statements that the documentation makes about when IVL helps and when it harms, on exact populations."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from causalinv import InvariantProjection, IVLikeRegression, LinearSEM, Moments, Translation
from causalinv.datasets import make_confounded_linear
from causalinv.metrics import causal_risk, ncer


def population(cov, truth, confounding):
    """Moments of x and y = truth'x + xi with Cov(x, xi) = confounding, Var xi = 1 + what makes it a covariance."""
    cov, truth, c = (np.asarray(v, dtype=float) for v in (cov, truth, confounding))
    cross = cov @ truth + c
    noise = 1.0 + c @ np.linalg.solve(cov, c)
    variance = truth @ cov @ truth + 2 * truth @ c + noise
    d = len(truth)
    return Moments(
        {"x": d, "y": 1},
        mean=np.zeros(d + 1),
        scatter=np.block([[cov, cross[:, None]], [cross[None], np.array([[variance]])]]),
    )


def path(moments, directions, gammas):
    model = IVLikeRegression(augmentation=Translation(directions)).fit_moments(moments)
    return [
        model.least_squares_coef_ if g == 0 else model.alpha_path([np.inf if g == 1 else 1 / (g - 1)])[0]
        for g in gammas
    ]


@pytest.mark.parametrize("var_e", [0.25, 1.0, 4.0])
def test_proxy_of_the_confounder_least_squares_is_right_and_alpha_zero_is_not(var_e):
    """x1 = C + e, x2 = C, y = b x1 + C: ignoring x2 is wrong by 1/(1 + var e) although y ignores it."""
    b = 2.0
    sem = LinearSEM(
        [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, b, 0, 0]],
        noise=[1.0, np.sqrt(var_e), 0.0, 0.0],
        names=["C", "x1", "x2", "y"],
        target="y",
    )
    moments = sem.environments([None]).moments().select(x=[1, 2], y=True)
    aug = Translation([[0.0, 1.0]])
    model = IVLikeRegression(augmentation=aug).fit_moments(moments)
    np.testing.assert_allclose(model.least_squares_coef_, [b, 1.0], atol=1e-12)
    np.testing.assert_allclose(model.coef_, [b + 1 / (1 + var_e), 0.0], atol=1e-12)
    # fact 2a protects the prediction norm only: the risk falls from 1 to 1/(1 + var e)
    cov = moments.cov("x")[0]
    assert causal_risk(model.least_squares_coef_, [b, 0.0], cov) == pytest.approx(1.0)
    assert causal_risk(model.coef_, [b, 0.0], cov) == pytest.approx(1 / (1 + var_e))
    careful = IVLikeRegression(1.0, augmentation=Translation([[0.0, 1.0]], outcome_invariant=False)).fit_moments(
        moments
    )
    assert "is NOT claimed to ignore" in str(careful.summary())
    text = str(model.summary())
    assert "the outcome ignores this Translation" in text
    assert "least squares" in text
    assert "proxy of the confounder" in text
    assert "declared by you" in text


@given(seed=st.integers(0, 10_000), d=st.integers(2, 6), q=st.integers(1, 5), extra=st.floats(0, 5))
def test_risk_never_rises_along_the_path_in_prediction_and_shifted_norms(seed, d, q, extra):
    rng = np.random.default_rng(seed)
    q = min(q, d - 1)
    basis = np.linalg.qr(rng.normal(size=(d, d)))[0]
    directions, truth = basis[:q] * rng.uniform(0.1, 3, (q, 1)), basis[q:].T @ rng.normal(size=d - q)
    root = rng.normal(size=(d, d))
    moments = population(root @ root.T + 0.05 * np.eye(d), truth, rng.normal(size=d))
    gammas = [0.0, 1.0, 1.5, 3.0, 11.0, 101.0, 1e6]
    coefs = path(moments, directions, gammas)
    cov = moments.cov("x")[0]
    for metric in (cov, cov + extra * directions.T @ directions):
        risks = [causal_risk(h, truth, metric) for h in coefs]
        assert all(b <= a * (1 + 1e-9) + 1e-12 for a, b in pairwise(risks))


def test_gain_is_strict_exactly_when_least_squares_is_not_invariant():
    cov = np.array([[2.0, 0.5], [0.5, 1.0]])
    directions, truth = np.array([[0.0, 1.0]]), np.array([1.0, 0.0])
    still = population(cov, truth, cov @ [1.0, 0.0])  # bias of least squares along x1 only
    first, last = path(still, directions, [0.0, 1e6])
    np.testing.assert_allclose(first, last, atol=1e-9)
    moving = population(cov, truth, cov @ [0.0, 1.0])
    first, last = path(moving, directions, [0.0, 1e6])
    assert causal_risk(last, truth, cov) < causal_risk(first, truth, cov) - 0.01


def test_coefficient_norm_can_rise_while_prediction_risk_falls():
    cov, truth, directions = [[1, 2.5], [2.5, 25]], np.array([1.0, 0.0]), [[0.0, 1.0]]
    moments = population(cov, truth, np.asarray(cov) @ [0.0, 1.0])
    first = path(moments, directions, [0.0])[0]
    last = IVLikeRegression(augmentation=Translation(directions)).fit_moments(moments).coef_
    assert ncer(first, truth) == pytest.approx(0.5, abs=5e-4)
    assert ncer(last, truth) == pytest.approx(0.862, abs=5e-4)
    assert causal_risk(first, truth, cov) == pytest.approx(25.0)
    assert causal_risk(last, truth, cov) == pytest.approx(6.25)


def test_path_is_the_minimax_fit_under_shifts_of_bounded_size():
    """h(gamma) minimises the worst E(y - h'(x + v))² over E vv' <= gamma D; checked against direct minimisation."""
    from scipy.optimize import minimize

    world = make_confounded_linear(0, n_features=5, n_confounders=4, random_state=8)
    cov, cross = world.moments.cov("x")[0], world.moments.cov("x", "y")[0, :, 0]
    directions = world.directions[:2]
    variance = world.moments.cov("y")[0, 0, 0]

    def worst(h):
        return variance - 2 * h @ cross + h @ cov @ h + 11 * np.sum((directions @ h) ** 2)

    best = minimize(worst, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(path(world.moments, directions, [11.0])[0], best, atol=1e-6)


def test_confounding_along_ignored_directions_only_is_removed_entirely():
    cov, truth, c = np.diag([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 0.0]), np.array([0.0, 0.0, 2.0])
    moments = population(cov, truth, c)
    model = IVLikeRegression(augmentation=Translation([[0.0, 0.0, 1.0]])).fit_moments(moments)
    np.testing.assert_allclose(model.coef_, truth, atol=1e-12)
    rest = population(cov, truth, [1.0, 0.0, 2.0])  # a part enters through x0, which the outcome reads: it stays
    model = IVLikeRegression(augmentation=Translation([[0.0, 0.0, 1.0]])).fit_moments(rest)
    np.testing.assert_allclose(model.coef_, [2.0, -1.0, 0.0], atol=1e-12)


def test_projecting_afterwards_may_win_over_the_constrained_fit_but_has_more_risk():
    """Cov(x, xi) = (1, 4): the projected augmented fit happens to be the truth, the constrained one is (2, 0)."""
    moments = population([[1.0, 0.5], [0.5, 1.0]], [1.0, 0.0], [1.0, 4.0])
    aug = Translation([[0.0, 1.0]])
    model = IVLikeRegression(augmentation=aug).fit_moments(moments)
    keep = InvariantProjection(aug).fit(np.eye(2)).components_
    projected = keep.T @ (keep @ model.alpha_path([np.inf])[0])
    np.testing.assert_allclose(projected, [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(model.coef_, [2.0, 0.0], atol=1e-12)
    cov, cross = moments.cov("x")[0], moments.cov("x", "y")[0, :, 0]
    risks = [h @ cov @ h - 2 * h @ cross for h in (model.coef_, projected)]
    assert risks[0] < risks[1]


def test_alpha_zero_is_least_squares_after_the_invariant_projection():
    world = make_confounded_linear(500, n_features=6, random_state=1)
    aug = Translation(world.directions[:4])
    pipe = make_pipeline(InvariantProjection(aug), LinearRegression()).fit(world.X, world.y)
    model = IVLikeRegression(0.0, augmentation=aug).fit(world.X, world.y)
    back = pipe[0].inverse_transform(pipe[-1].coef_)
    np.testing.assert_allclose(model.coef_, back, atol=1e-10)
    np.testing.assert_allclose(model.predict(world.X), pipe.predict(world.X), atol=1e-9)


def test_a_wrong_subspace_hurts_more_the_smaller_alpha_is():
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(40):
        world = make_confounded_linear(0, random_state=seed)
        read = world.coef / np.linalg.norm(world.coef)
        aside = rng.normal(size=32)
        aside -= aside @ read * read
        believed = np.cos(0.4) * read + np.sin(0.4) * aside / np.linalg.norm(aside)
        exact = Translation.orthogonal_to(believed)
        careful = Translation.orthogonal_to(believed, outcome_invariant=False)
        first = IVLikeRegression(augmentation=exact).fit_moments(world.moments)
        second = IVLikeRegression(augmentation=careful).fit_moments(world.moments)
        assert (first.alpha_, second.alpha_) == (0.0, 0.1)
        rows.append([ncer(h, world.coef) for h in (first.coef_, second.coef_, second.alpha_path([np.inf])[0])])
    zero, tenth, augmented = np.mean(rows, axis=0)
    assert zero > 1.3 * augmented  # .135 against .08
    assert tenth < 1.1 * augmented
