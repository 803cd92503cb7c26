"""Contrasts, predictions, bootstraps of t and simultaneous bands against other ways to the same number."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.model_selection import GridSearchCV

from causalinv import IVLikeRegression, Translation
from causalinv._clusters import robust_covariance
from causalinv.datasets import make_confounded_linear
from causalinv.ivlike import IVLikeRegressionCV
from causalinv.ivlike._bootstrap_t import ClusterSums, drawn_t, wild_t
from causalinv.ivlike._small_samples import Errors
from causalinv.linear_rule import LinearRule

STILL = Translation([[0.0, 0.0, 1.0, 0.0]])


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 4)) + 1.0, columns=list("abcd"))
    return X, pd.Series(X["a"] + rng.normal(size=n) * (0.5 + X["b"] ** 2), name="wage", index=X.index)


def sandwich(design, residual):
    bread = np.linalg.inv(design.T @ design)
    n, k = design.shape
    return n / (n - k) * bread @ (design.T * residual**2) @ design @ bread


def test_intercept_contrast_and_prediction_errors_are_those_of_least_squares_on_what_is_left():
    X, y = data()
    model = IVLikeRegression(augmentation=STILL).fit(X, y)
    design = np.column_stack([np.ones(60), X[["a", "b", "d"]]])
    expected = sandwich(design, (y - model.predict(X)).to_numpy())
    ours = model.covariance(intercept=True, cov_type="HC1")
    np.testing.assert_allclose(ours[np.ix_([0, 1, 2, 4], [0, 1, 2, 4])], expected, rtol=1e-9)
    assert not ours[3].any()
    table = model.contrast([[1, -1, 0, 0], [0, 0, 5, 0]], cov_type="HC1")
    weights = np.array([0, 1, -1, 0])
    assert table["s.e."].iloc[0] == pytest.approx(np.sqrt(weights @ expected @ weights))
    assert table["estimate"].iloc[0] == pytest.approx(model.coef_[0] - model.coef_[1])
    assert table["s.e."].iloc[1] == 0
    assert np.isnan(table["p"].iloc[1])
    at = model.predict_confint(X.iloc[:3], cov_type="HC1")
    np.testing.assert_allclose(at["estimate"], model.predict(X.iloc[:3]))
    np.testing.assert_allclose(at["s.e."] ** 2, np.einsum("mi,ij,mj->m", design[:3], expected, design[:3]))
    np.testing.assert_allclose(model.contrast(np.eye(4))[["lower", "upper"]], model.confint(), rtol=1e-12)
    with pytest.raises(ValueError, match="weights must have shape"):
        model.contrast([1.0])
    with pytest.raises(ValueError, match="put them in that order"):
        model.contrast(pd.Series(1.0, index=list("bacd")))


def test_covariance_across_outcomes():
    X, y = data()
    both = pd.DataFrame({"one": y, "two": 2 * y})
    model = IVLikeRegression(0.3, augmentation=STILL).fit(X, both)
    joint = model.covariance(across=True)
    own = model.covariance(cov_type="HC1")
    np.testing.assert_allclose(joint[:4, :4], own[0])
    np.testing.assert_allclose(joint[:4, 4:], 2 * own[0], rtol=1e-9)
    assert model.summary().to_frame().index.get_level_values("outcome").tolist() == ["one"] * 4 + ["two"] * 4


@pytest.mark.parametrize("clustered", [False, True])
def test_bootstraps_of_t_are_refits(clustered):
    """Written out: new outcomes (wild), or rows drawn anew, least squares again, and CR1 of that fit."""
    rng = np.random.default_rng(1)
    n, m = 24, 8
    design, residual = np.column_stack([np.ones(n), rng.normal(size=(n, 2))]), rng.normal(size=n)
    residual -= design @ np.linalg.lstsq(design, residual, rcond=None)[0]
    groups = np.arange(n) % m if clustered else np.arange(n)
    sums = ClusterSums.of(design, residual, None, groups if clustered else None)
    contrast = np.array([[0.0, 1.0, 2.0]])
    g = groups.max() + 1

    def t_of(rows, outcome, codes):
        bread = np.linalg.inv(rows.T @ rows)
        coef = bread @ rows.T @ outcome
        left = outcome - rows @ coef
        score = np.array([rows[codes == j].T @ left[codes == j] for j in range(codes.max() + 1)])
        cov = sums.factor * bread @ score.T @ score @ bread
        return abs(contrast[0] @ coef) / np.sqrt(contrast[0] @ cov @ contrast[0])

    wild, drawn = wild_t(sums, contrast)[0], drawn_t(sums, contrast)[0]
    seeded = np.random.default_rng(20080801)
    points = np.sqrt([0.5, 1.0, 1.5])
    signs = seeded.choice(np.r_[-points, points] if g <= 12 else np.array([-1.0, 1.0]), size=(999, g))
    for b in (0, 5):
        assert wild[b] == pytest.approx(t_of(design, signs[b][groups] * residual, groups))
    seeded = np.random.default_rng(20080801)
    at = [np.flatnonzero(groups == j) for j in seeded.integers(g, size=g)]
    codes = np.repeat(np.arange(g), [len(each) for each in at])
    rows = np.concatenate(at)
    assert drawn[0] == pytest.approx(t_of(design[rows], residual[rows], codes))


def test_bootstrap_kinds_are_wider_with_few_clusters_and_need_least_squares():
    X, y = data()
    groups = np.arange(60) % 8
    model = IVLikeRegression(augmentation=STILL).fit(X, y, groups=groups)
    width = {
        kind: np.diff(model.confint(cov_type=kind).to_numpy(), axis=1)[[0, 1, 3], 0]
        for kind in ("HC1", "wild", "bootstrap")
    }
    assert (width["wild"] != width["HC1"]).all()
    assert width["bootstrap"].mean() > width["HC1"].mean()
    np.testing.assert_array_equal(model.confint(cov_type="wild"), model.confint(cov_type="wild"))
    with pytest.raises(ValueError, match="needs a fit that is least squares"):
        model.confint(at=0.3, cov_type="wild")


def brentq_each(gap, values):
    """Where gap(k, value) = 0 for k from 1 to a million, value by value."""
    return np.array([brentq(gap, 1, 1e6, args=(value,)) for value in values.ravel()]).reshape(values.shape)


def test_bands_hold_the_largest_of_correlated_normals():
    X, y = data(400)
    model = IVLikeRegression(0.1, augmentation=STILL).fit(X, y)
    grid = np.array([0.01, 0.1, 1.0])
    error = np.stack([np.sqrt(np.diag(model.covariance(at=a))) for a in grid])
    pointwise = np.stack([np.ptp(model.confint(at=a).to_numpy(), axis=1) for a in grid]) / 2
    df = brentq_each(lambda k, w: student.ppf(0.975, k) - w, pointwise / error)
    critical = {}
    for over in ("path", "coefficients", "all"):
        band = model.path_confint(grid, over=over)[["lower", "upper"]].to_numpy().reshape(3, 4, 2)
        tail = student.sf(np.ptp(band, axis=2) / 2 / error, df)  # one quantile of a normal law, whatever the df
        critical[over] = (norm.isf(tail) / norm.ppf(0.975)).round(6)
        assert (critical[over] > 0.97).all()
    assert np.ptp(critical["all"]) < 1e-5
    assert critical["all"].max() >= critical["path"].max()
    # Four nearly independent coefficients: the quantile of the largest of them.
    single = norm.ppf(0.5 + 0.95**0.25 / 2) / norm.ppf(0.975)
    assert critical["coefficients"][0] == pytest.approx(single, abs=0.06)


def test_summary_says_sizes_kinds_and_names_within_eighty_columns():
    X, y = data(25)
    text = str(IVLikeRegression(augmentation=STILL).fit(X, y, groups=np.arange(25) % 9).summary())
    for part in (
        "Change of wage per unit",
        "n=25 in 9 groups",
        "s.e. (CR2), 95% intervals and p",
        "Known from what you",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80
    edge = IVLikeRegressionCV([1e3, 1e4], augmentation=STILL, random_state=0).fit(X, y)
    assert "alpha is at the edge" in str(edge.summary())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_a_search_without_routed_instruments_fails_loudly():
    X, y = data()
    Z = X.to_numpy() + np.random.default_rng(0).normal(size=(60, 4))
    model = IVLikeRegression(1.0).fit(X, y, instruments=Z)
    with pytest.raises(ValueError, match=r"its score needs them too.*enable_metadata_routing"):
        model.score(X, y)
    search = GridSearchCV(IVLikeRegression(), {"alpha": [0.1, 1.0]}, cv=3)
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        search.fit(X, y, instruments=Z)
    other = GridSearchCV(IVLikeRegression(), {"alpha": [0.1, 1.0]}, cv=3, scoring="neg_mean_squared_error")
    assert np.isfinite(other.fit(X, y, instruments=Z).best_score_)


def test_rule_is_a_linear_rule():
    X, y = data()
    model = IVLikeRegression(augmentation=STILL).fit(X, y)
    assert isinstance(model.rule_, LinearRule)
    np.testing.assert_allclose(model.rule_.predict(X), model.predict(X))
    assert model.rule_.names == tuple("abcd")
    with pytest.raises(AttributeError, match="one outcome"):
        IVLikeRegression(augmentation=STILL).fit(X, np.c_[y, y]).rule_  # noqa: B018


def test_interval_of_the_selected_procedure_holds_that_of_the_chosen_strength():
    X, y = data(120)
    model = IVLikeRegression("cc", augmentation=STILL).fit(X, y)
    wide, plain = model.confint(kind="selected"), model.confint()
    assert (wide["lower"] < plain["lower"]).all()
    assert (wide["upper"] > plain["upper"]).all()
    assert "chooses in the population" in wide.columns.name
    np.testing.assert_array_equal(wide, model.confint(kind="selected"))
    with pytest.raises(ValueError, match="for a strength chosen from the data"):
        IVLikeRegression(0.1, augmentation=STILL).fit(X, y).confint(kind="selected")


def test_the_selected_procedure_spends_half_of_the_error_on_its_strength_and_half_on_bands():
    """By public means: strengths of 200 resamples cut at 1.25% in either tail, and 97.5% bands over those between."""
    world = make_confounded_linear(1000, n_features=6, random_state=0)
    model = IVLikeRegressionCV(augmentation=Translation(world.directions[:3]), random_state=0).fit(world.X, world.y)
    found = model.confint(kind="selected")
    alphas = np.sort(model.bootstrap(200, random_state=0).alphas)
    low, high = alphas[2], alphas[197]  # the third and the third from last
    assert low < alphas[4]  # else it would not show that a tail is 2.5%
    assert f"({low:.3g} to {high:.3g})" in found.columns.name
    between = np.unique(np.r_[alphas[(alphas >= low) & (alphas <= high)], model.alpha_])
    if len(between) > 12:
        between = between[np.linspace(0, len(between) - 1, 12).round().astype(int)]
    bands = model.path_confint(between, over="path", confidence_level=0.975, random_state=0)
    wide = bands.groupby(level=bands.index.names[-1], sort=False).agg({"lower": "min", "upper": "max"})
    np.testing.assert_allclose(found, wide)


def test_draws_of_a_bootstrap_count_as_one_more_than_they_are():
    """Of 999 draws 1, 2 ... 999 the 950th is the 95% one; 990 and all above are 10, with the estimate 11 of 1000."""
    draws = np.arange(1.0, 1000.0)[None, None, ::-1]
    errors = Errors(np.eye(1)[None] * 4.0, np.array([[30.0]]), "wild bootstrap", draws)
    assert errors.critical(0.95).item() == 950
    assert errors.critical(0.999).item() == 999
    assert errors.pvalues(np.array([[2 * 990.0]])).item() == pytest.approx(11 / 1000)


@pytest.mark.parametrize("outlier", [1e2, 1e4, 1e5])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_degrees_of_freedom_where_one_row_almost_makes_a_coefficient(outlier, weighted, clustered):
    """Written out with n x n matrices. Sums of squares cancelled: 1.8 for 1.07, and 37 for 1.10."""
    rng = np.random.default_rng(0)
    n = 40
    X = np.c_[np.ones(n), rng.normal(size=(n, 2))]
    X[0, 1] = outlier
    weight = rng.exponential(size=n) if weighted else np.ones(n)
    W = np.diag(weight / weight.mean())
    groups = np.repeat(np.arange(8), 5) if clustered else np.arange(n)
    bread = np.linalg.inv(X.T @ W @ X)
    left = np.eye(n) - X @ bread @ X.T @ W
    parts = []
    for own in (groups == g for g in range(groups.max() + 1)):
        values, vectors = np.linalg.eigh(left[own] @ left[own].T)
        root = vectors / np.sqrt(values) @ vectors.T
        parts.append(left[own].T @ (root @ (W @ X)[own] @ bread))
    gram = np.einsum("gnj,hnj->jgh", np.stack(parts), np.stack(parts))
    expected = np.trace(gram, axis1=1, axis2=2) ** 2 / np.sum(gram**2, axis=(1, 2))
    given = {"weight": weight if weighted else None, "clusters": groups if clustered else None}
    found = robust_covariance(X, left @ rng.normal(size=n), **given)
    np.testing.assert_allclose(found.df(), expected, rtol=1e-5)
    np.testing.assert_allclose(found.df(np.eye(3)[1:2]), expected[1:2], rtol=1e-5)
