"""Rules that choose a strength: their formulas by other means, and what cross-validation can and cannot find out."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline

from causalinv import FunctionAugmentation, GaussianNoise, InvariantProjection, IVLikeRegression, Translation
from causalinv.datasets import fetch_optical_device, make_confounded_linear
from causalinv.ivlike import IVLikeRegressionCV, ShiftedR2Scorer, SignFlip
from causalinv.ivlike._strength import confounding_posterior, confounding_strength
from causalinv.metrics import ncer

STEP = np.array([[1.0, 1.0, 0.0]])


def data(n=300, seed=0, d=3):
    rng = np.random.default_rng(seed)
    C = rng.normal(size=(n, 1))
    X = rng.normal(size=(n, d)) * np.arange(1.0, d + 1) + C
    return X, X @ np.r_[1.0, -1.0, np.full(d - 2, 0.5)] + 2 * C[:, 0] + rng.normal(size=n)


def shift(rows, rng):
    G = rng.normal(size=(len(rows), 1))
    return rows + G @ STEP, G


def test_posterior_of_confounding_is_bayes_rule_with_the_scale_integrated_out():
    """Density of the least squares vector under N(0, v (I + theta / cov)), v integrated under dv / v by quadrature."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    cov, coef = root @ root.T + 0.1 * np.eye(3), rng.normal(size=3)
    beta, theta, probability = confounding_posterior(cov, coef)
    at = [9, 59, 119, 189]
    dense = []
    for k in at:
        prior = np.eye(3) + theta[k] * np.linalg.inv(cov)
        dense.append(
            quad(
                lambda log_v, p=prior: multivariate_normal(np.zeros(3), np.exp(log_v) * p).pdf(coef), -15, 25, limit=200
            )[0]
        )
    np.testing.assert_allclose(probability[at] / probability[at[0]], np.array(dense) / dense[0], rtol=1e-6)
    assert probability.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(
        beta, theta * np.mean(1 / np.linalg.eigvalsh(cov)) / (1 + theta * np.mean(1 / np.linalg.eigvalsh(cov)))
    )
    assert confounding_strength(cov, coef) == beta[np.argmax(probability)]


def test_confounding_strength_is_found_when_there_are_many_features():
    """Under its own prior, d=400: the most likely strength is near the true one (posterior sd about .06)."""
    rng = np.random.default_rng(1)
    values = rng.uniform(0.2, 5.0, size=400)
    for truth in (0.2, 0.5, 0.8):
        theta = truth / (1 - truth) / np.mean(1 / values)
        coef = rng.normal(size=400) + np.sqrt(theta / values) * rng.normal(size=400)
        assert confounding_strength(np.diag(values), coef) == pytest.approx(truth, abs=0.2)


@pytest.mark.parametrize("scale", [0.3, 1.0, 20.0])
def test_eb_is_a_mixture_of_ridge_whatever_the_size_of_the_noise(scale):
    X, y = data()
    model = IVLikeRegression("eb", augmentation=GaussianNoise(scale)).fit(X, y)
    Xc, yc = X - X.mean(0), y - y.mean()
    cov, cross = Xc.T @ Xc / len(y), Xc.T @ yc / len(y)
    _, theta, probability = confounding_posterior(cov, np.linalg.solve(cov, cross))
    parts = [p * np.linalg.solve(cov + t * np.eye(3), cross) for t, p in zip(theta, probability, strict=True)]
    np.testing.assert_allclose(model.coef_, np.sum(parts, axis=0), rtol=1e-9)
    assert np.isnan(model.alpha_)
    assert model.gamma_ == pytest.approx(probability @ theta / scale**2)
    assert "alpha from the posterior" in str(model.summary())
    assert (model.bootstrap(30, random_state=0).standard_errors() > 0).all()


def test_eb_on_the_optical_device_is_reproduced_and_loses_to_the_zero_vector(data_home):
    """.524 over the 12 experiments, deterministic; the zero vector has .500. That is the honest result."""
    errors = []
    for experiment in fetch_optical_device(data_home).experiments:
        model = IVLikeRegression("eb", augmentation=GaussianNoise()).fit(experiment.X, experiment.y)
        truth = experiment.reference_coef
        errors.append(ncer(np.pad(model.coef_, (0, len(truth) - 9)), truth))
    assert np.mean(errors) == pytest.approx(0.524, abs=0.005)
    assert np.mean(errors) > 0.5


def test_cc_shrinks_the_norm_by_the_strength_of_confounding():
    world = make_confounded_linear(2048, random_state=3)
    model = IVLikeRegression("cc", augmentation=Translation(world.directions)).fit(world.X, world.y)
    D = world.directions.T @ world.directions
    augmented = np.cov(world.X.T, ddof=0) + D
    reference = model.alpha_path([np.inf])[0]
    beta = confounding_strength(augmented, reference)
    grid = np.logspace(-4, 0, 201)
    norms = np.sum(model.alpha_path(grid) ** 2, axis=1)
    assert model.alpha_ == pytest.approx(grid[np.argmin(np.abs(norms - (1 - beta) * reference @ reference))])


def test_cc_on_sampled_copies_reaches_the_reference_quality():
    """24 models of the linear experiment, m=1 as the reference draws: mean error at most .035."""
    errors = []
    for seed in [child for s in (42, 1, 2) for child in np.random.SeedSequence(s).spawn(8)]:
        world = make_confounded_linear(2048, random_state=seed)
        model = IVLikeRegression(
            "cc", augmentation=Translation(world.directions), integration="sampled", n_copies=1, random_state=seed
        )
        errors.append(ncer(model.fit(world.X, world.y).coef_, world.coef))
    assert np.mean(errors) <= 0.035


# -- cross-validation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["closed_form", "instruments", "copies"])
def test_fold_moments_equal_brute_force_refits(kind):
    X, y = data(120)
    rng = np.random.default_rng(4)
    alphas, k = [0.01, 0.3, 5.0], 2.0
    groups, metadata = None, {}
    if kind != "closed_form":
        X, G = shift(X, rng)
        groups = np.repeat(np.arange(40), 3) if kind == "copies" else None
        metadata = {"augmentation_parameters" if kind == "copies" else "instruments": G}
    aug = Translation(STEP) if kind == "closed_form" else None
    model = IVLikeRegressionCV(alphas, augmentation=aug, shift_size=k, cv=4, random_state=0)
    model.fit(X, y, groups=groups, **metadata)

    from causalinv.ivlike._cv import _folds

    folds = _folds(model._fit.design, 4, 0)
    if kind == "copies":
        assert (pd.Series(folds).groupby(groups).nunique() == 1).all()  # copies never split
    assert np.ptp(np.bincount(folds)) <= (3 if kind == "copies" else 1)
    expected = np.zeros(3)
    for fold in range(4):
        out, inside = folds == fold, folds != fold
        for j, alpha in enumerate(alphas):
            part = {name: value[inside] for name, value in metadata.items()}
            fit = IVLikeRegression(alpha, augmentation=aug).fit(X[inside], y[inside], **part)
            r = y[out] - fit.predict(X[out])
            if aug is None:
                Gc = G[out] - G[out].mean(0)
                moved = Gc @ np.linalg.lstsq(Gc, r - r.mean(), rcond=None)[0]
                explained = np.mean(moved**2) - 1 / (out.sum() - 2) * (r.var() - np.mean(moved**2))
                risk = np.mean(r**2) + (k**2 - 1) * explained
            else:
                risk = np.mean(r**2) + k**2 * np.sum((STEP @ fit.coef_) ** 2)
            expected[j] += risk * out.mean()
    np.testing.assert_allclose(model.cv_results_["risk"], expected, rtol=1e-10)
    assert model.alpha_ == alphas[int(np.argmin(expected))]
    final = IVLikeRegression(model.alpha_, augmentation=aug).fit(X, y, **metadata)
    np.testing.assert_allclose(model.coef_, final.coef_, rtol=1e-12)


def test_the_optimum_is_the_strength_of_the_shift_whatever_the_truth():
    """gamma = k²: 1/10 at sqrt(11); least squares on augmented rows at 1; never a fact about confounding."""
    chosen = {}
    for confounding in (0.0, 2.0):
        world = make_confounded_linear(20_000, n_features=6, confounding=confounding, noise=1.0, random_state=1)
        for k in (np.sqrt(11), 2.0, 1.0):
            model = IVLikeRegressionCV(augmentation=Translation(world.directions[:3]), shift_size=k, random_state=0)
            chosen[confounding, k] = model.fit(world.X, world.y)
    for k in (np.sqrt(11), 2.0):
        assert chosen[2.0, k].gamma_ == pytest.approx(k**2, rel=0.5)
    assert chosen[2.0, 1.0].alpha_ > 3.0
    truth_known = chosen[0.0, 2.0].cv_results_["risk"]
    assert truth_known.max() / truth_known.min() < 1.5  # without confounding the dial hardly matters


def test_black_box_cross_validation_pairs_inside_folds_and_takes_features():
    X, y = data()
    model = IVLikeRegressionCV(
        [0.05, 0.5], augmentation=FunctionAugmentation(shift), n_copies=3, random_state=0, cv=3
    ).fit(X, y)
    declared = IVLikeRegressionCV([0.05, 0.5], augmentation=Translation(STEP), random_state=0, cv=3).fit(X, y)
    assert model.alpha_ == declared.alpha_ == 0.05  # the same movement, integrated in closed form
    assert model.cv_results_["risk"].to_numpy() == pytest.approx(declared.cv_results_["risk"].to_numpy(), rel=0.03)
    assert np.isfinite(model.confint()).all(axis=None)
    assert "alpha taken as chosen" in model.confint().columns.name
    assert "taken as chosen" not in model.confint(at=0.1).columns.name
    assert list(model.cv_results_) == ["alpha", "gamma", "risk", "std"]
    result = model.bootstrap(20, random_state=0)
    assert set(result.alphas) <= {0.05, 0.5}
    flip = IVLikeRegressionCV(augmentation=SignFlip([0])).fit(X, y)
    assert np.ptp(flip.cv_results_["risk"]) < 1e-9  # a group: every strength is the same
    with pytest.raises(ValueError, match="must not be split between folds: pass groups="):
        IVLikeRegressionCV().fit(X, y, augmentation_parameters=X[:, :1])
    with pytest.raises(ValueError, match="cv=200 folds need as many rows or groups, but there are 100"):
        IVLikeRegressionCV(augmentation=Translation(STEP), cv=200).fit(X, y, groups=np.arange(300) % 100)


def test_scorer_is_the_score_of_the_regression_and_steers_a_grid_search_away_from_least_squares():
    world = make_confounded_linear(3000, n_features=6, random_state=0)
    aug = Translation(world.directions[:4])
    model = IVLikeRegression(0.1, augmentation=aug).fit(world.X, world.y)
    scorer = ShiftedR2Scorer(aug, n_copies=50)
    far = Translation(world.directions[:4], scale=50.0)
    plain = IVLikeRegression(0.1, augmentation=far).fit(world.X, world.y)
    plain.coef_ = plain.least_squares_coef_  # a coefficient that the shifts hurt
    lost = 1 - plain.score(world.X, world.y)
    assert lost > 3.0
    assert 1 - ShiftedR2Scorer(far, n_copies=50)(plain, world.X, world.y) == pytest.approx(lost, rel=0.02)
    least = LinearRegression().fit(world.X, world.y)
    assert scorer(least, world.X, world.y) < scorer(model, world.X, world.y)
    assert least.score(world.X, world.y) > model.score(world.X, world.y)
    frame = pd.DataFrame(world.X, columns=list("abcdef"))
    named = Ridge().fit(frame, world.y)
    assert np.isfinite(scorer(named, frame, world.y))
    pipe = make_pipeline(InvariantProjection(aug), LinearRegression())
    search = GridSearchCV(
        pipe,
        {"invariantprojection": [InvariantProjection(aug), "passthrough"]},
        scoring=ShiftedR2Scorer(aug, shift_size=100.0),
    ).fit(world.X, world.y)
    assert search.best_params_["invariantprojection"] != "passthrough"


def test_every_splitter_that_parts_copies_of_a_row_is_refused():
    rng = np.random.default_rng(0)
    source = np.repeat(np.arange(30), 2)
    G = rng.normal(size=(60, 1))
    X = rng.normal(size=(30, 2))[source] + G * [0.0, 1.0]
    y = X[:, 0] + rng.normal(size=30)[source]
    given = {"augmentation_parameters": G, "groups": source}
    every_other = [(None, np.arange(k, 60, 2)) for k in (0, 1)]
    with pytest.raises(ValueError, match="parts the copies of 30 source rows"):
        IVLikeRegressionCV(cv=every_other).fit(X, y, **given)
    with pytest.raises(ValueError, match="parts the copies of"):
        IVLikeRegressionCV(cv=KFold(5, shuffle=True, random_state=0).split(X)).fit(X, y, **given)
    with pytest.raises(ValueError, match="must not be split"):
        IVLikeRegressionCV(cv=KFold(5)).fit(X, y, augmentation_parameters=G)
    assert IVLikeRegressionCV(cv=GroupKFold(5)).fit(X, y, **given).alpha_ > 0
