"""Few treated rows or clusters, the only treated one, and parts of rows that weigh unevenly: intervals that cover."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import brentq

from causalinv import IVLikeRegression, Translation
from causalinv._clusters import hidden_share
from causalinv.exceptions import DegenerateInputWarning

ALONG = Translation([[0.0, 0.0, 1.0]])


def treated(seed, *, n, k):
    """The first k rows are treated, with effect 1; the outcome ignores the last feature."""
    rng = np.random.default_rng(seed)
    d, hidden = (np.arange(n) < k) * 1.0, rng.normal(size=n)
    X = np.column_stack([d, rng.normal(size=n), hidden + rng.normal(size=n)])
    return X, d + X[:, 1] + hidden + rng.normal(size=n)


def test_many_rows_do_not_hide_a_rare_treatment():
    """Near HC2 of statsmodels, with few degrees of freedom; above 5000 rows it was HC1 and a normal law."""
    X, y = treated(0, n=6000, k=4)
    model = IVLikeRegression(augmentation=ALONG).fit(X, y)
    peer = sm.OLS(y, sm.add_constant(X[:, :2])).fit(cov_type="HC2")
    table = model.contrast(np.eye(3)[:2], cov_type="HC2")
    np.testing.assert_allclose(table["s.e."], peer.bse[1:], rtol=1e-8)
    np.testing.assert_allclose(model.contrast(np.eye(3)[:2])["s.e."], peer.bse[1:], rtol=1e-3)
    low, high = model.confint(kind="identified").to_numpy()[0]
    # Four equal squares less their mean leave about 3 degrees of freedom: quantile 3.18.
    assert (high - low) / 2 == pytest.approx(3.18 * peer.bse[1], rel=0.01)
    plain, y_plain = treated(0, n=6000, k=3000)
    even = IVLikeRegression(augmentation=ALONG).fit(plain, y_plain)
    np.testing.assert_array_equal(even.covariance(), even.covariance(cov_type="HC1"))


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_intervals_of_a_rare_treatment_cover(alpha):
    """4 of 200 rows: at 0.1 Student's t with 196 degrees of freedom covered .85; 200 replications, s.e. 1.5%."""
    covered = 0
    for seed in range(200):
        model = IVLikeRegression(alpha, augmentation=ALONG).fit(*treated(seed, n=200, k=4))
        low, high = model.confint().to_numpy()[0]
        covered += low <= 1.0 <= high
    assert covered / 200 > 0.89


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("clustered", [False, True])
def test_the_only_treated_row_or_cluster_has_no_interval(alpha, clustered):
    """Its residual is 0 whatever its error: 95% intervals covered .14 (200 rows) and .34 (20 clusters)."""
    X, y = treated(1, n=200, k=10 if clustered else 1)
    groups = np.arange(200) // 10 if clustered else None
    model = IVLikeRegression(alpha, augmentation=ALONG).fit(X, y, groups=groups)
    with pytest.warns(DegenerateInputWarning, match="single group" if clustered else "single row"):
        table = model.confint()
    assert table.iloc[0].isna().all()
    assert table.iloc[1:].notna().all(axis=None)
    assert "rest on a single" in " ".join(str(model.summary()).split())
    with pytest.warns(DegenerateInputWarning, match="rest on a single"):
        assert model.contrast([1.0, 0.0, 0.0])["p"].isna().all()
    if alpha == 0 and not clustered:
        # A prediction error: the row's distance to what the others predict, in their residual variance.
        low, high = model.confint(cov_type="classical").to_numpy()[0]
        others = sm.OLS(y[1:], sm.add_constant(X[1:, 1])).fit()
        new = others.get_prediction([[1.0, X[0, 1]]]).summary_frame(alpha=0.05)
        assert high - low == pytest.approx(float(new["obs_ci_upper"].iloc[0] - new["obs_ci_lower"].iloc[0]), rel=1e-9)


@pytest.mark.parametrize(("share", "unseen"), [(0.03, False), (0.08, True)])
def test_a_combination_is_not_estimated_from_a_twentieth_in_the_only_treated_row(share, unseen):
    """The share by weights of least squares on rows: treatment and the second feature are what is identified."""
    X, y = treated(1, n=200, k=1)
    design = sm.add_constant(X[:, :2])
    weights = np.linalg.pinv(design)[1:]  # of every row in both coefficients

    def hidden(part):
        of_rows = part * weights[0] + weights[1]
        return of_rows[0] ** 2 / np.sum(of_rows**2)

    part = brentq(lambda part: hidden(part) - share, -weights[1, 0] / weights[0, 0], 10.0)
    model = IVLikeRegression(augmentation=ALONG).fit(X, y)
    if unseen:
        with pytest.warns(DegenerateInputWarning, match="rest on a single"):
            assert model.contrast([part, 1.0, 0.0])["p"].isna().all()
    else:
        assert model.contrast([part, 1.0, 0.0])["p"].notna().all()


def test_hidden_share_is_what_leaving_out_a_cluster_loses():
    """By brute force: a contrast is hidden in a cluster as far as the other clusters do not show it."""
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(8), 6)
    design = np.column_stack([np.ones(48), rng.normal(size=48), clusters == 2, (clusters == 5) * rng.normal(size=48)])
    contrasts = np.vstack([np.eye(4), [0.0, 1.0, 1.0, 0.0], [1.0, 0.2, 0.5, 0.5]])
    inverse, expected = np.linalg.inv(design.T @ design), np.zeros(6)
    for code in range(8):
        rows = design[clusters == code]
        leverage = rows @ inverse @ rows.T
        values, vectors = np.linalg.eigh(np.eye(6) - leverage)
        null = vectors[:, values < 1e-9]  # what of the cluster's errors no residual shows
        expected += np.sum((contrasts @ inverse @ rows.T @ null) ** 2, axis=1)
    expected /= np.einsum("mi,ij,mj->m", contrasts, inverse, contrasts)
    found = hidden_share(design, contrasts, clusters=clusters)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found[2] > 0.7
    assert found[1] < 1e-9
    np.testing.assert_allclose(hidden_share(1e8 * design, contrasts, clusters=clusters), expected, atol=1e-9)


def uneven(seed, *, clusters=15, n=300):
    """Clusters of unequal size; a control that is constant in each, its coefficient 2; the effect is 1."""
    rng = np.random.default_rng(seed)
    size = 0.2 + rng.pareto(1.2, size=clusters)
    groups = np.r_[np.arange(clusters), rng.choice(clusters, n - clusters, p=size / size.sum())]
    z = rng.normal(size=clusters)[groups] + rng.normal(size=n)
    error = 0.7 * rng.normal(size=clusters)[groups] + rng.normal(size=n)
    w = rng.permutation(np.arange(clusters) % 2)[groups]
    x = z + 0.5 * w + error + rng.normal(size=n)
    return x[:, None], x + 2.0 * w + error, z, w, groups


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_controls_predictions_and_bands_cover_in_uneven_clusters():
    """They covered .81, .87 and .85 in 15 clusters; 100 replications have an s.e. of 2.5%."""
    covered = np.zeros(3)
    for seed in range(100):
        x, y, z, w, groups = uneven(seed)
        model = IVLikeRegression(0.0).fit(x, y, instruments=z, controls=w, groups=groups)
        tables = model.controls_frame(), model.predict_confint([[1.0]], controls=[[1.0]]), model.path_confint([0.0])
        for i, (table, truth) in enumerate(zip(tables, (2.0, 3.0, 1.0), strict=True)):
            covered[i] += table["lower"].iloc[0] <= truth <= table["upper"].iloc[0]
    assert np.all(covered / 100 > 0.87)


def test_controls_have_the_errors_of_the_regression_with_all_columns():
    """HCK from n x n matrices, HC2 by hand, on the projected feature and controls; residuals are the feature's own."""
    x, y, z, w, _ = uneven(0, n=40)
    model = IVLikeRegression(0.0).fit(x, y, instruments=z, controls=w)
    first = sm.OLS(x[:, 0], sm.add_constant(np.column_stack([z, w]))).fit().fittedvalues
    rows = sm.add_constant(np.column_stack([first, w]))
    coef = sm.OLS(y, rows).fit().params
    residual = y - np.column_stack([np.ones(40), x, w]) @ coef
    inverse = np.linalg.inv(rows.T @ rows)
    leverage = np.sum((rows @ inverse) * rows, axis=1)
    cov = inverse @ (rows.T * (residual**2 / (1 - leverage))) @ rows @ inverse
    mixing, own = (np.eye(40) - rows @ inverse @ rows.T) ** 2, (rows @ inverse[:, 2]) ** 2
    weights = np.linalg.solve(mixing + 0.01 * np.eye(40), own)
    weights *= own.sum() / (weights @ (1 - leverage))
    frame = model.controls_frame()
    assert frame["coef"].iloc[0] == pytest.approx(coef[2])
    assert frame["s.e."].iloc[0] == pytest.approx(np.sqrt(weights @ residual**2), rel=1e-9)
    at = np.array([1.0, 0.7, 1.0])
    table = model.predict_confint([[0.7]], controls=[[1.0]], cov_type="HC2")
    assert table["estimate"].iloc[0] == pytest.approx(at @ coef)
    assert table["s.e."].iloc[0] == pytest.approx(np.sqrt(at @ cov @ at), rel=1e-9)
