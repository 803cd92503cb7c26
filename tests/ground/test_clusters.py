"""Robust covariances against matrices written out in full, statsmodels, and degrees of freedom in closed form."""

import numpy as np
import pytest
import statsmodels.api as sm

from causalinv._clusters import flip_factor, hidden_share, robust_covariance


def design(n=30, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, k - 1))])
    w = rng.random(n) + 0.2
    y = rng.normal(size=n)
    root = np.sqrt(w)
    residual = y - X @ np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[0]
    return X, y, residual, w


def written_out(X, residual, w, clusters, correction):
    """The definition with n x n matrices."""
    w = w / w.mean()
    M = np.linalg.inv(X.T @ np.diag(w) @ X)
    R = np.eye(len(X)) - X @ M @ X.T @ np.diag(w)
    B, meat, moved = R @ R.T, 0, []
    for g in np.unique(clusters):
        i = np.flatnonzero(clusters == g)
        if correction == 2:
            values, vectors = np.linalg.eigh(B[np.ix_(i, i)])
            A = vectors @ np.diag(np.where(values > 1e-10, 1 / np.sqrt(np.maximum(values, 1e-10)), 0)) @ vectors.T
        elif correction == 3:
            A = np.linalg.inv(R[np.ix_(i, i)])
        else:
            A = np.eye(len(i))
        score = X[i].T @ np.diag(w[i]) @ A
        meat = meat + np.outer(score @ residual[i], score @ residual[i])
        moved.append(R[i].T @ A.T @ np.diag(w[i]) @ X[i] @ M)
    df = []
    for j in range(X.shape[1]):
        p = np.stack([each[:, j] for each in moved], axis=1)
        gram = p.T @ p
        df.append(np.trace(gram) ** 2 / np.sum(gram**2))
    return M @ meat @ M, df


@pytest.mark.parametrize("correction", [0, 2, 3])
@pytest.mark.parametrize("sizes", ["rows", "six", "unequal"])
def test_covariance_and_degrees_of_freedom_are_the_definition(sizes, correction):
    X, _, residual, w = design()
    clusters = {"rows": np.arange(30), "six": np.arange(30) % 6, "unequal": np.repeat([5, 1, 9], [20, 7, 3])}[sizes]
    ours = robust_covariance(X, residual, weight=w, clusters=clusters, correction=correction)
    cov, df = written_out(X, residual, w, clusters, correction)
    np.testing.assert_allclose(ours.cov, cov, rtol=1e-9, atol=1e-12 * np.abs(cov).max())
    np.testing.assert_allclose(ours.df(), df, rtol=1e-9)


def test_without_weights_statsmodels_agrees():
    X, y, residual, _ = design()
    clusters = np.arange(30) % 7
    for correction, name in ((0, "HC0"), (1, "HC1"), (2, "HC2"), (3, "HC3")):
        peer = sm.OLS(y, X).fit().get_robustcov_results(name).cov_params()
        residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        np.testing.assert_allclose(robust_covariance(X, residual, correction=correction).cov, peer, rtol=1e-9)
    peer = sm.OLS(y, X).fit().get_robustcov_results("cluster", groups=clusters).cov_params()
    np.testing.assert_allclose(robust_covariance(X, residual, clusters=clusters, correction=1).cov, peer, rtol=1e-9)


def test_degrees_of_freedom_in_closed_form():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(8), 5)
    alone = robust_covariance(np.ones((40, 1)), rng.normal(size=40), clusters=clusters)
    assert alone.df()[0] == pytest.approx(7)  # the mean of equal clusters: one less than there are
    few, many = 7, 13  # two means, Imbens and Kolesár (2016)
    x = np.column_stack([np.ones(20), np.repeat([0.0, 1.0], [few, many])])
    expected = 20**2 * (few - 1) * (many - 1) / (many**2 * (many - 1) + few**2 * (few - 1))
    assert robust_covariance(x, rng.normal(size=20)).df()[1] == pytest.approx(expected)


def test_rows_and_clusters_of_weight_zero_are_out():
    X, _, residual, w = design()
    clusters = np.arange(30) % 6
    w[clusters == 4] = 0.0
    wild = residual + 1e6 * (w == 0)
    inside = w > 0
    full = robust_covariance(X, wild, weight=w, clusters=clusters)
    less = robust_covariance(X[inside], residual[inside], weight=1e6 * w[inside], clusters=clusters[inside])
    assert full.n_clusters == less.n_clusters == 5
    np.testing.assert_allclose(full.cov, less.cov, rtol=1e-9)
    np.testing.assert_allclose(full.df(), less.df(), rtol=1e-9)
    with pytest.raises(ValueError, match="at least two clusters of positive weight, got 1"):
        robust_covariance(X, residual, weight=(clusters == 1).astype(float), clusters=clusters)


@pytest.mark.slow
def test_few_unequal_clusters_are_covered():
    """Means of 12 clusters of geometric sizes with effects of their own: 2,000 sets, standard error .005."""
    rng = np.random.default_rng(5)
    sizes = np.maximum((60 * 0.7 ** np.arange(12)).astype(int), 1)
    clusters = np.repeat(np.arange(12), sizes)
    covered = 0
    for _ in range(2000):
        y = rng.normal(size=12)[clusters] + rng.normal(size=len(clusters))
        low, high = robust_covariance(np.ones((len(y), 1)), y - y.mean(), clusters=clusters).interval(
            np.array([y.mean()]), confidence_level=0.95
        )
        covered += low[0] <= 0 <= high[0]
    assert covered / 2000 >= 0.92


def test_interval_widens_with_the_level_and_takes_contrasts():
    X, _, residual, _ = design()
    robust = robust_covariance(X, residual)
    low, high = robust.interval(np.zeros(1), confidence_level=0.9, contrasts=np.array([[0.0, 1.0, -1.0]]))
    variance = robust.cov[1, 1] + robust.cov[2, 2] - 2 * robust.cov[1, 2]
    from scipy.stats import t

    df = robust.df(np.array([[0.0, 1.0, -1.0]]))[0]
    assert high[0] == pytest.approx(t.ppf(0.95, df) * np.sqrt(variance))
    assert low[0] == pytest.approx(-high[0])


def test_flip_factors_are_hc2_and_towards_hc3_where_leverage_is_large():
    leverage = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.0, 0.0, 0.0])  # mean .25: HC2 up to .5
    expected = np.r_[(1 - leverage[:5]) ** -0.5, 0.0, 1.0, 1.0]
    np.testing.assert_allclose(flip_factor(leverage), expected)
    leverage = np.array([0.9, 0.3, 0.15, 0.15])  # mean .375: .9 has exponent 1.2
    np.testing.assert_allclose(flip_factor(leverage)[:2], [0.1**-0.6, 0.7**-0.5])
    leverage = np.r_[0.9, np.full(9, 0.1)]  # mean .18: HC3 from four times it on
    np.testing.assert_allclose(flip_factor(leverage)[:2], [0.1**-1.0, 0.9**-0.5])


@pytest.mark.parametrize("correction", [0, 1, 2, 3])
def test_units_of_columns_only_scale_the_covariance(correction):
    """The written-out definition, in units 1e4 and 1e-5 apart: CR3 inverted a matrix of mixed units by its rank."""
    X, _, residual, w = design()
    unit = np.array([1.0, 1e4, 1e-5])
    clusters = np.arange(30) % 6
    ours = robust_covariance(X * unit, residual, weight=w, clusters=clusters, correction=correction)
    cov = written_out(X, residual, w, clusters, 0 if correction == 1 else correction)[0]
    factor = 29 / 27 * 6 / 5 if correction == 1 else 1.0
    np.testing.assert_allclose(ours.cov * np.outer(unit, unit), factor * cov, rtol=1e-7)


@pytest.mark.parametrize("correction", [0, 1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_cluster_that_is_fitted_in_every_direction_adds_nothing(k, correction):
    """All regressors vary in one cluster only: its residuals there are 0, and so is the robust covariance."""
    rng = np.random.default_rng(k)
    X = np.zeros((12, k))
    X[:6] = rng.normal(size=(6, k))
    y = rng.normal(size=12)
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    found = robust_covariance(X, residual, clusters=np.repeat([0, 1], 6), correction=correction)
    np.testing.assert_allclose(found.cov, np.zeros((k, k)), atol=1e-20)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_hidden_share_is_what_errors_of_fitted_rows_move(weighted):
    """Variances of b = M sum w x e with errors of variance 1 / w, by rows: the first is alone in its column."""
    X, _, _, w = design(n=12)
    X = np.column_stack([X, np.arange(12) == 0])
    w = w if weighted else np.ones(12)
    contrasts = np.array([[0.0, 1, 0, 0], [0, 0, 0, 1], [0.5, 1, -1, 0.3], [1, *X[0, 1:]]])
    moved = contrasts @ np.linalg.inv(X.T @ np.diag(w) @ X) @ X.T @ np.diag(np.sqrt(w))  # in errors of variance one
    expected = moved[:, 0] ** 2 / np.sum(moved**2, axis=1)
    assert expected[3] == pytest.approx(1.0)
    found = hidden_share(X, contrasts, weight=100 * w if weighted else None)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # By clusters of three, of which the first has the column: nothing else of it is fitted exactly.
    X[:3, 3] = 1.0
    moved = contrasts[:3] @ np.linalg.inv(X.T @ np.diag(w) @ X) @ X.T @ np.diag(np.sqrt(w))
    part = X[:3] * np.sqrt(w[:3])[:, None]
    values, vectors = np.linalg.eigh(part @ np.linalg.inv(X.T @ np.diag(w) @ X) @ part.T)
    fitted = vectors[:, values > 1 - 1e-9]
    assert fitted.shape == (3, 1)
    expected = (moved[:, :3] @ fitted)[:, 0] ** 2 / np.sum(moved**2, axis=1)
    found = hidden_share(X, contrasts[:3], weight=w, clusters=np.arange(12) // 3)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_small_sample_factor_counts_the_rank_and_not_the_columns():
    X, _, residual, _ = design()
    twice = np.column_stack([X, X[:, 1] - 2 * X[:, 2]])
    for clusters in (None, np.arange(30) % 6):
        both = (robust_covariance(each, residual, clusters=clusters, correction=1).cov for each in (X, twice))
        fitted = [each @ cov @ each.T for each, cov in zip((X, twice), both, strict=True)]
        np.testing.assert_allclose(fitted[1], fitted[0], atol=1e-12)
