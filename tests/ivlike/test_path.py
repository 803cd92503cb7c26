"""The path agrees with peers, closed forms and direct solves at every strength."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import null_space
from sklearn.linear_model import LinearRegression, Ridge

from causalinv import GaussianNoise, IVLikeRegression, Moments, Translation
from causalinv.datasets import make_confounded_linear
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.metrics import ncer

ALPHAS = [1e-3, 0.1, 1.0, 30.0]


def iv_data(n=400, d=3, q=4, seed=0):
    rng = np.random.default_rng(seed)
    Z, C = rng.normal(size=(n, q)), rng.normal(size=n)
    X = Z @ rng.normal(size=(q, d)) + C[:, None] + rng.normal(size=(n, d)) + 5.0
    y = X @ np.arange(1.0, d + 1) + 2 * C + rng.normal(size=n) - 7.0
    return X, y, Z


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "ivmodels.json").read_text())["cases"]
ANSWERS = [(case, answer) for case in GOLDEN for answer in case["answers"]]


@pytest.mark.parametrize(
    ("case", "answer"), ANSWERS, ids=[f"d={len(a['coef'])} {a['peer']} alpha={a['alpha']}" for _, a in ANSWERS]
)
def test_alpha_is_anchor_gamma_and_kclass_kappa(case, answer):
    """Against the package ivmodels at gamma = (1 + alpha) / alpha and kappa = 1 / (1 + alpha)."""
    model = IVLikeRegression(answer["alpha"]).fit(case["X"], case["y"], instruments=case["instruments"])
    np.testing.assert_allclose(model.coef_, answer["coef"], rtol=0, atol=1e-10)
    assert model.intercept_ == pytest.approx(answer["intercept"], abs=1e-9)
    assert model.gamma_ == pytest.approx(1 + 1 / answer["alpha"])
    assert model.kappa_ == pytest.approx(1 / (1 + answer["alpha"]))


def test_the_ends_are_two_stage_and_ordinary_least_squares():
    X, y, Z = iv_data()
    first_stage = LinearRegression().fit(Z, X).predict(Z)
    two_stage = LinearRegression().fit(first_stage, y)
    ols = LinearRegression().fit(X, y)
    zero, infinite = (IVLikeRegression(a).fit(X, y, instruments=Z) for a in (0.0, np.inf))
    np.testing.assert_allclose(zero.coef_, two_stage.coef_, atol=1e-10)
    np.testing.assert_allclose(infinite.coef_, ols.coef_, atol=1e-10)
    np.testing.assert_allclose(zero.least_squares_coef_, ols.coef_, atol=1e-10)
    assert (zero.gamma_, zero.kappa_) == (np.inf, 1.0)
    assert (infinite.gamma_, infinite.kappa_) == (1.0, 0.0)


def test_alpha_zero_solves_the_constrained_problem():
    """Under-identified: least risk inside the solution set, by the KKT system, and with a warning."""
    X, y, Z = iv_data(d=6, q=4)
    with pytest.warns(IdentificationWarning, match="4 effective instruments move 4 of 6"):
        model = IVLikeRegression(0.0).fit(X, y, instruments=Z)
    Xc, yc, Zc = X - X.mean(0), y - y.mean(), Z - Z.mean(0)
    kkt = np.block([[Xc.T @ Xc, Xc.T @ Zc], [Zc.T @ Xc, np.zeros((4, 4))]])
    solution = np.linalg.solve(kkt, np.r_[Xc.T @ yc, Zc.T @ yc])[:6]
    np.testing.assert_allclose(model.coef_, solution, atol=1e-9)
    near = model.alpha_path([1e-9])[0]
    np.testing.assert_allclose(near, solution, atol=1e-6)


def test_h_of_gamma_equals_the_analytic_path_of_the_population():
    for seed in range(3):
        world = make_confounded_linear(0, random_state=seed)
        cov, cross = world.moments.cov("x")[0], world.moments.cov("x", "y")[0, :, 0]
        for scale in (0.3, 2.0):
            directions = world.directions[:11]
            D = scale**2 * directions.T @ directions
            model = IVLikeRegression(augmentation=Translation(directions, scale=scale)).fit_moments(world.moments)
            for alpha in (*ALPHAS, np.inf):
                gamma = 1 + 1 / alpha
                analytic = np.linalg.solve(cov + gamma * D, cross)
                np.testing.assert_allclose(model.alpha_path([alpha])[0], analytic, atol=1e-10)
            # gamma = infinity: least squares on the coordinates that no direction moves
            P = null_space(directions)
            restricted = P @ np.linalg.solve(P.T @ cov @ P, P.T @ cross)
            np.testing.assert_allclose(model.coef_, restricted, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Weak instruments")
@given(seed=st.integers(0, 10_000), d=st.integers(1, 7), q=st.integers(1, 9), alpha=st.floats(1e-4, 1e4))
def test_every_alpha_solves_the_normal_equations(seed, d, q, alpha):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(50, q))
    X = Z[:, :1] + rng.normal(size=(50, d)) * rng.uniform(0.1, 10, d)
    Y = rng.normal(size=(50, 2)) + X[:, :1]
    coef = IVLikeRegression(alpha).fit(X, Y, instruments=Z).coef_.T
    Xc, Yc, Zc = (v - v.mean(0) for v in (X, Y, Z))
    projected = Zc @ np.linalg.lstsq(Zc, Xc, rcond=None)[0]
    left = alpha * Xc.T @ Xc + projected.T @ projected
    right = alpha * Xc.T @ Yc + projected.T @ Yc
    np.testing.assert_allclose(left @ coef, right, atol=1e-8 * np.abs(right).max())


@pytest.mark.filterwarnings("ignore:Weak instruments")
def test_transformed_least_squares_gives_the_same():
    """K = sqrt(a) I + (sqrt(1 + a) - sqrt(a)) P turns the objective into ordinary least squares of K y on K x."""
    X, y, Z = iv_data(200)
    Xc, yc, Zc = X - X.mean(0), y - y.mean(), Z - Z.mean(0)
    P = Zc @ np.linalg.pinv(Zc)
    for alpha in ALPHAS:
        K = np.sqrt(alpha) * np.eye(200) + (np.sqrt(1 + alpha) - np.sqrt(alpha)) * P
        reference = np.linalg.lstsq(K @ Xc, K @ yc, rcond=None)[0]
        np.testing.assert_allclose(IVLikeRegression(alpha).fit(X, y, instruments=Z).coef_, reference, atol=1e-10)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_noise_augmentation_is_ridge(alpha):
    X, y, _ = iv_data()
    model = IVLikeRegression(alpha, augmentation=GaussianNoise(0.7)).fit(X, y)
    ridge = Ridge(alpha=len(y) * (1 + 1 / alpha) * 0.49).fit(X, y)
    np.testing.assert_allclose(model.coef_, ridge.coef_, atol=1e-10)
    np.testing.assert_allclose(model.intercept_, ridge.intercept_, atol=1e-9)


def test_kania_wit_objective_is_a_point_of_the_path():
    """argmin (R_obs + R_aug) + a (R_aug - R_obs) is gamma = (1 + a) / 2, that is alpha = 2 / (a - 1)."""
    X, y, _ = iv_data()
    Xc, yc = X - X.mean(0), y - y.mean()
    direction = np.array([[1.0, -2.0, 0.5]])
    a = 5.0
    extra = len(y) * direction.T @ direction
    gram = Xc.T @ Xc
    reference = np.linalg.solve((1 - a) * gram + (1 + a) * (gram + extra), 2 * Xc.T @ yc)
    model = IVLikeRegression(2 / (a - 1), augmentation=Translation(direction)).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference, atol=1e-11)


def test_rivals_are_points_of_the_gamma_path():
    """Least squares at 0, half an augmentation, augmented least squares at 1, Kania-Wit, k-fold steps, the limit."""
    world = make_confounded_linear(0, n_features=6, random_state=4)
    cov, cross = world.moments.cov("x")[0], world.moments.cov("x", "y")[0, :, 0]
    directions = world.directions[:3]
    D = directions.T @ directions
    model = IVLikeRegression(0.1, augmentation=Translation(directions)).fit_moments(world.moments)
    gammas = [0.0, 0.5, 1.0, 3.0, 9.0, np.inf]
    coefs = model.gamma_path(gammas)
    for gamma, coef in zip(gammas[:-1], coefs, strict=False):
        np.testing.assert_allclose(coef, np.linalg.solve(cov + gamma * D, cross), atol=1e-9)
    np.testing.assert_allclose(coefs[0], model.least_squares_coef_, atol=1e-9)
    tripled = IVLikeRegression(np.inf, augmentation=Translation(directions, scale=3.0)).fit_moments(world.moments)
    np.testing.assert_allclose(coefs[4], tripled.coef_, atol=1e-9)
    np.testing.assert_allclose(coefs[5], model.alpha_path([0.0])[0])
    X, y, Z = iv_data()
    several = IVLikeRegression(1.0).fit(X, np.c_[y, 2 * y], instruments=Z).gamma_path([2.0, 11.0])
    assert several.shape == (2, 2, 3)
    np.testing.assert_allclose(several[0, 0], IVLikeRegression(1.0).fit(X, y, instruments=Z).coef_)


def test_alpha_path_equals_fresh_fits_for_one_and_several_outcomes():
    X, y, Z = iv_data()
    Y = np.c_[y, X @ [1.0, 0, 0] - y]
    alphas = [0.0, *ALPHAS, np.inf]
    single, several = (IVLikeRegression(1.0).fit(X, t, instruments=Z) for t in (y, Y))
    assert single.alpha_path(alphas).shape == (6, 3)
    assert several.alpha_path(alphas).shape == (6, 2, 3)
    assert several.intercept_.shape == (2,)
    for k, alpha in enumerate(alphas):
        np.testing.assert_allclose(single.alpha_path(alphas)[k], IVLikeRegression(alpha).fit(X, y, instruments=Z).coef_)
        np.testing.assert_allclose(several.alpha_path(alphas)[k, 0], single.alpha_path(alphas)[k], atol=1e-11)
    assert IVLikeRegression(1.0).fit(X, Y[:, :1], instruments=Z).coef_.shape == (1, 3)


def test_instruments_may_be_rotated_duplicated_or_collinear():
    X, y, Z = iv_data()
    base = IVLikeRegression(0.2).fit(X, y, instruments=Z)
    R = np.random.default_rng(1).normal(size=(4, 4)) * [1e-4, 1, 1, 1e4]
    for same in (Z @ R, np.c_[Z, Z], np.c_[Z, Z @ [1.0, 2.0, 3.0, 4.0], 1e5 * Z[:, 0] + 1e3]):
        model = IVLikeRegression(0.2).fit(X, y, instruments=same)
        np.testing.assert_allclose(model.coef_, base.coef_, atol=1e-9)
        assert model.n_instruments_effective_ == 4


def test_translation_is_equivariant_when_it_moves_with_the_features():
    X, y, _ = iv_data()
    directions = np.array([[1.0, 1.0, 0.0]])
    R = np.array([[2.0, 0.3, 0], [0, 0.01, 1], [5, 0, -1.0]])
    for alpha in (0.0, 0.1, np.inf):
        first = IVLikeRegression(alpha, augmentation=Translation(directions)).fit(X, y)
        second = IVLikeRegression(alpha, augmentation=Translation(directions @ R)).fit(X @ R, y)
        np.testing.assert_allclose(R @ second.coef_, first.coef_, atol=1e-9)


def test_constant_and_dependent_columns():
    X, y, _ = iv_data()
    aug = Translation([[1.0, 1.0, 0.0]])
    base = IVLikeRegression(0.1, augmentation=aug).fit(X, y)
    with pytest.warns(DegenerateInputWarning, match=r"Features \[3\] are constant"):
        constant = IVLikeRegression(0.1, augmentation=Translation([[1.0, 1.0, 0.0, 0.0]])).fit(
            np.c_[X, np.full(400, 0.1)], y
        )
    np.testing.assert_allclose(constant.coef_, [*base.coef_, 0.0], atol=1e-12)
    assert list(constant.constant_features_) == [False, False, False, True]
    with pytest.warns(DegenerateInputWarning, match="the 4 features that vary have rank 3"):
        twice = IVLikeRegression(0.1, augmentation=Translation([[1.0, 1.0, 0.0, 0.0]])).fit(np.c_[X, X[:, 2]], y)
    np.testing.assert_allclose(twice.coef_[[0, 1]], base.coef_[[0, 1]], atol=1e-9)
    np.testing.assert_allclose(twice.coef_[2:], base.coef_[2] / 2, atol=1e-9)  # the minimum norm shares equally


def test_more_features_than_rows_gives_the_minimum_norm_with_a_warning():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 30)), rng.normal(size=20)
    with pytest.warns(DegenerateInputWarning, match="the 30 features that vary have rank 19"):
        model = IVLikeRegression(np.inf).fit(X, y, instruments=X[:, :2])
    Xs, yc = (X - X.mean(0)) / X.std(0), y - y.mean()
    np.testing.assert_allclose(model.coef_ * X.std(0), np.linalg.pinv(Xs) @ yc, atol=1e-9)
    ridge = IVLikeRegression(np.inf, ridge=1.0).fit(X, y, instruments=X[:, :2])
    np.testing.assert_allclose(ridge.coef_, Ridge(alpha=20).fit(X, y).coef_, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.1, np.inf])
@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_of_features_and_size_of_steps_cost_no_digits(alpha, unit, scale):
    """Against gamma D solved in coordinates that the directions do not move, and the rest, in exact arithmetic."""
    X, y, _ = iv_data()
    directions = np.array([[1.0, 1.0, 0.0]])
    model = IVLikeRegression(alpha, augmentation=Translation(directions, scale=scale * unit)).fit(unit * X, y)
    cov, cross = np.cov(X.T, ddof=0), np.cov(np.c_[X, y].T, ddof=0)[:3, 3]
    if alpha == 0:
        P = null_space(directions)
        expected = P @ np.linalg.solve(P.T @ cov @ P, P.T @ cross)
    else:  # Sherman-Morrison, as cov + gamma D itself would lose the digits
        gamma = (1 + 1 / alpha) * scale**2
        inverse = np.linalg.inv(cov)
        v = inverse @ directions[0]
        expected = inverse @ cross - v * (gamma * (v @ cross) / (1 + gamma * (directions[0] @ v)))
    np.testing.assert_allclose(unit * model.coef_, expected, rtol=1e-8, atol=1e-9)


def test_directions_of_very_different_length_all_count():
    X, y, _ = iv_data()
    X = X * [1e10, 1.0, 1.0]
    model = IVLikeRegression(0.0, augmentation=Translation(np.eye(2, 3))).fit(X, y)
    np.testing.assert_allclose(model.coef_[:2] * [1e10, 1.0], 0.0, atol=1e-9)
    assert model.coef_[2] == pytest.approx(np.cov(X[:, 2], y)[0, 1] / X[:, 2].var(ddof=1))
    with pytest.raises(ValueError, match="no invariant direction"):
        IVLikeRegression(0.0, augmentation=GaussianNoise()).fit(X, y)


def test_as_many_instruments_as_rows_is_noticed_in_any_units():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    Z = rng.normal(size=(40, 39)) * np.logspace(-9, 0, 39)
    with pytest.raises(ValueError, match="39 independent columns for 40 rows"):
        IVLikeRegression(1.0).fit(X, y, instruments=Z)


def test_nearly_dependent_features_are_warned_about():
    X, y, Z = iv_data()
    with pytest.warns(DegenerateInputWarning, match="nearly dependent"):
        IVLikeRegression(1.0).fit(np.c_[X, X[:, 0] + 1e-5 * Z[:, 0]], y, instruments=Z[:, 1:])


def test_warnings_point_at_the_callers_line():
    X, y, Z = iv_data(d=6)
    model = IVLikeRegression(1.0).fit(X, y, instruments=Z)
    with pytest.warns(IdentificationWarning) as first:
        IVLikeRegression(0.0).fit(X, y, instruments=Z)
    with pytest.warns(IdentificationWarning) as second:
        model.alpha_path([0.0])
    with pytest.warns(DegenerateInputWarning) as third:
        IVLikeRegression(1.0).fit(X, 0 * y, instruments=Z)
    assert {record[0].filename for record in (first, second, third)} == {__file__}


def test_summary_shows_least_squares_beside_in_the_order_of_the_columns():
    world = make_confounded_linear(300, random_state=0)
    model = IVLikeRegression(augmentation=Translation(world.directions[:5])).fit(world.X, world.y)
    table = model.summary().to_frame()
    assert list(table.index) == [f"x{j}" for j in range(32)]
    np.testing.assert_array_equal(table["estimate"], model.coef_)
    assert "Rows: 17 more in to_frame()" in str(model.summary())
    assert "<table" in model.summary()._repr_html_()


def test_the_linear_experiment_of_the_paper():
    """24 models, n=2048, d=32. Means over 24; the limits leave three standard errors of the recorded spread."""
    rows = []
    for seed in np.random.SeedSequence(42).spawn(24):
        world = make_confounded_linear(2048, random_state=seed)
        model = IVLikeRegression(augmentation=Translation(world.directions)).fit(world.X, world.y)
        coefs = [model.least_squares_coef_, *model.alpha_path([np.inf, 0.0])]
        rows.append([ncer(h, world.coef) for h in coefs])
    least, augmented, zero = np.mean(rows, axis=0)
    assert zero <= 0.003
    assert augmented == pytest.approx(0.075, abs=3 * 0.026 / np.sqrt(24))
    assert least == pytest.approx(0.43, abs=3 * 0.18 / np.sqrt(24))


def test_moments_rows_and_chunks_give_the_same_fit():
    X, y, Z = iv_data()
    w = np.random.default_rng(0).random(400)
    rows = IVLikeRegression(0.1).fit(X, y, instruments=Z, sample_weight=w)
    chunks = Moments.from_chunks({"x": X[k::5], "y": y[k::5], "g": Z[k::5], "sample_weight": w[k::5]} for k in range(5))
    np.testing.assert_allclose(IVLikeRegression(0.1).fit_moments(chunks).coef_, rows.coef_, atol=1e-11)
    frame = Moments({"x": ["a", "b", "c"], "y": 1}, mean=np.zeros(4), scatter=np.eye(4))
    model = IVLikeRegression(augmentation=GaussianNoise()).fit_moments(frame)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.n_features_in_ == 3


def test_score_is_the_worst_case_r2_and_prefers_alpha_one_tenth():
    """On the population the score's optimum over the path is gamma = 11, where plain R² takes least squares."""
    world = make_confounded_linear(20_000, n_features=6, n_confounders=3, random_state=3)
    model = IVLikeRegression(0.1, augmentation=Translation(world.directions[:3])).fit(world.X, world.y)
    best = model.score(world.X, world.y)
    for other in (0.01, 0.05, 0.2, 1.0, np.inf):
        refit = IVLikeRegression(other, augmentation=Translation(world.directions[:3])).fit(world.X, world.y)
        assert refit.score(world.X, world.y) < best
    h, D = model.coef_, world.directions[:3].T @ world.directions[:3]
    residual = world.y - model.predict(world.X)
    expected = 1 - (np.mean(residual**2) + 11 * h @ D @ h) / world.y.var()
    assert best == pytest.approx(expected, abs=1e-10)
    from sklearn.metrics import r2_score

    assert r2_score(world.y, world.X @ model.least_squares_coef_) > r2_score(world.y, model.predict(world.X))


def test_score_with_instruments_equals_anchor_risk_less_chance():
    X, y, Z = iv_data()
    model = IVLikeRegression(0.5).fit(X, y, instruments=Z)
    half = slice(0, 200)
    r = y[half] - model.predict(X[half])
    Zc = Z[half] - Z[half].mean(0)
    projected = Zc @ np.linalg.lstsq(Zc, r - r.mean(), rcond=None)[0]
    q, moved = Z.shape[1], np.mean(projected**2)
    moved -= q / (200 - q - 1) * (r.var() - moved)  # what q columns explain of noise by chance
    expected = 1 - (np.mean(r**2) + 10 * moved) / y[half].var()
    assert model.score(X[half], y[half], instruments=Z[half]) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="its score needs them too"):
        model.score(X, y)


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-7, 1e-9])
@pytest.mark.parametrize("alpha", [0.0, 0.1, np.inf])
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")  # dependent by construction
def test_a_small_step_along_dependent_features_is_not_lost_in_rounding(scale, alpha):
    """Features do not vary along v, so any coefficient along it would be free; the augmentation makes it exactly 0."""
    X, y, _ = iv_data()
    v = np.array([[1.0, 1.0, 0.0, -1.0]])
    wide = np.c_[X, X[:, 0] + X[:, 1]]
    model = IVLikeRegression(alpha, augmentation=Translation(v, scale=scale)).fit(wide, y)
    assert abs(model.coef_ @ v[0]) < 1e-10
    np.testing.assert_allclose(model.predict(wide), LinearRegression().fit(X, y).predict(X), rtol=1e-8)
