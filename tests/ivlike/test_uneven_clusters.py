"""Few and uneven clusters where a fit is no least squares: coverage, degrees of freedom, and a test of endogeneity."""

import numpy as np
import pytest
from scipy.stats import chi2, t

from causalinv import IVLikeRegression
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike import _sign_flips
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._sign_flips import _correlated
from causalinv.ivlike._specification import endogeneity

pytestmark = [
    pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning"),
    pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning"),
]


def uneven(seed, *, n=200, k=3, clusters=20):
    """Geometric clusters, errors and instruments shared inside them; x is exogenous, its effect 1."""
    rng, sizes = np.random.default_rng(seed), 1.3 ** np.arange(clusters)
    groups = np.unique(np.searchsorted(np.cumsum(sizes / sizes.sum()), (np.arange(n) + 0.5) / n), return_inverse=True)[
        1
    ]
    u = 0.6 * rng.normal(size=(n, 2)) + 0.8 * rng.normal(size=(clusters, 2))[groups]
    Z = 0.6 * rng.normal(size=(n, k)) + 0.8 * rng.normal(size=(clusters, k))[groups]
    x = 0.7 * Z.sum(axis=1) + u[:, 1]
    return x[:, None], x + u[:, 0], Z, groups


@pytest.mark.parametrize("alpha", [0.0, 0.5, "liml"])
def test_intervals_cover_with_twenty_uneven_clusters(alpha):
    """Student's t with 19 degrees of freedom missed 13% to 16%; 250 replications have an s.e. of 1.4%."""
    missed = 0
    for seed in range(250):
        X, y, Z, groups = uneven(seed)
        model = IVLikeRegression(alpha).fit(X, y, instruments=Z, groups=groups)
        low, high = model.confint().to_numpy()[0]
        missed += not low <= 1.0 <= high
    assert missed / 250 < 0.09


def anchor_by_hand(X, y, Z, groups):
    """Coefficient of anchor regression; (sum of squares)² over that of fourth powers, at most clusters less one."""
    x, z, v = X[:, 0] - X.mean(), Z - Z.mean(axis=0), y - y.mean()
    project = z @ np.linalg.pinv(z)
    px, py = project @ x, project @ v
    coef = (0.5 * x @ v + px @ py) / (0.5 * x @ x + px @ px)
    score = 0.5 * x * (v - x * coef) + px * (v - x * coef) + (x - px) * (py - px * coef)
    square = np.bincount(groups, score - score.mean()) ** 2
    return coef, min(square.sum() ** 2 / np.sum(square**2), groups.max())


@pytest.mark.filterwarnings("error::causalinv.exceptions.DegenerateInputWarning")
def test_clusters_are_called_uneven_below_three_and_a_third_degrees_of_freedom():
    met = []
    for seed in range(30):
        data = uneven(seed, n=120, clusters=12)
        met.append(anchor_by_hand(*data)[1])
        model = IVLikeRegression(0.5).fit(*data[:2], instruments=data[2], groups=data[3])
        if met[-1] < 10 / 3:
            with pytest.warns(DegenerateInputWarning, match=f"leave {met[-1]:.1f} degrees of freedom"):
                model.confint()
        else:
            model.confint()
    assert min(df for df in met if df > 10 / 3) < 3.7
    assert max(df for df in met if df < 10 / 3) > 3.0


def test_degrees_of_freedom_are_those_of_the_clusters_sums():
    X, y, Z, groups = uneven(0)
    model = IVLikeRegression(0.5).fit(X, y, instruments=Z, groups=groups)
    table = model.confint()
    coef, df = anchor_by_hand(X, y, Z, groups)
    assert model.coef_[0] == pytest.approx(coef)
    width = np.diff(table.to_numpy()[0])[0] / 2
    assert width == pytest.approx(t.ppf(0.975, df) * np.sqrt(model.covariance()[0, 0]), rel=1e-6)
    plain = np.diff(model.confint(cov_type="HC1").to_numpy()[0])[0] / 2
    assert plain == pytest.approx(t.ppf(0.975, groups.max()) * np.sqrt(model.covariance()[0, 0]), rel=1e-9)


def test_endogeneity_keeps_its_level_with_uneven_clusters_and_few_rows():
    """The F law rejected 16% and 9% of exogenous features; 300 replications have an s.e. of 1.3%."""
    hits = np.zeros(2)
    for seed in range(300):
        X, y, Z, groups = uneven(seed, n=150)
        hits[0] += endogeneity(Equation.from_rows(y, X, Z, clusters=groups), robust=True).pvalue <= 0.05
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(20, 1))
        e, v = rng.normal(size=(2, 20)) * np.exp(0.5 * z[:, 0])
        hits[1] += endogeneity(Equation.from_rows(z[:, 0] + v + e, z + v[:, None], z), robust=True).pvalue <= 0.05
    assert np.all(hits / 300 < 0.085)


@pytest.mark.parametrize("robust", [False, True])
def test_endogeneity_needs_an_instrument_for_every_feature(robust):
    """With fewer its p-value was rounding: .12 and .20 for two orders of the same rows."""
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    with pytest.raises(ValueError, match="move 2 of 3 endogenous directions"):
        endogeneity(Equation.from_rows(X.sum(axis=1) + rng.normal(size=60), X + Z @ np.ones((2, 3)), Z), robust=robust)


@pytest.mark.parametrize(("q", "k"), [(1, 2), (5, 6)])
def test_correlations_of_residuals_pair_by_pair(q, k):
    """Twice the sum over pairs of P² corr², by a loop: both ways in which it is computed."""
    rng = np.random.default_rng(1)
    both = np.linalg.qr(rng.normal(size=(40, q + k)))[0]
    moved, fitted = both[:, :q], both[:, q:]
    left = np.eye(40) - fitted @ fitted.T
    found = 0.0
    for i in range(40):
        for j in range(40):
            if i != j:
                found += 2 * (moved[i] @ moved[j]) ** 2 * left[i, j] ** 2 / left[i, i] / left[j, j]
    assert _correlated(moved, fitted, np.diag(left)) == pytest.approx(found)


def test_variance_over_flips_is_on_average_the_exact_one(monkeypatch):
    """Of the share of q of m normal residuals, Beta with q/2 and (m - q)/2: 2 q (m - q) / (m² (m + 2))."""
    used = []
    monkeypatch.setattr(_sign_flips, "unmixing", lambda own, fitted: own / (1.0 - np.sum(fitted**2, axis=1)))
    monkeypatch.setattr(_sign_flips, "_beta_tail", lambda share, mean, variance: used.append((mean, variance)))
    rng = np.random.default_rng(2)
    both = np.linalg.qr(rng.normal(size=(12, 7)))[0]
    moved, fitted = both[:, :3], both[:, 3:]
    for e in rng.normal(size=(4000, 12)):
        _sign_flips.share_pvalue(e - fitted @ (fitted.T @ e), moved, fitted, equal=False)
    exact = 3 / 8, 2 * 3 * 5 / (8**2 * 10)
    error = np.std(used, axis=0) / np.sqrt(4000)
    assert np.all(np.abs(np.mean(used, axis=0) - exact) < 4 * error)


@pytest.mark.parametrize(("q", "kind"), [(1, "marked"), pytest.param(3, "lines", marks=pytest.mark.slow)])
def test_size_with_many_controls(q, kind):
    """As their squares mix, residuals hid unequal variances: 40 controls in 100 rows rejected .11, 60 in 200 .07."""
    rng = np.random.default_rng(4)
    n, k = (100, 40) if kind == "marked" else (200, 60)
    A = rng.normal(size=(n, q))
    if kind == "marked":
        A[:, 0] = np.arange(n) < 8
    spread = 1 + 3 * A[:, 0] if kind == "marked" else 0.3 + np.abs(A[:, 0])
    fitted = np.linalg.qr(np.c_[np.ones(n), rng.normal(size=(n, k))])[0]
    moved = np.linalg.qr(A - fitted @ (fitted.T @ A))[0]
    errors = rng.normal(size=(500, n)) * spread
    residuals = errors - (errors @ fitted) @ fitted.T
    pvalues = [_sign_flips.share_pvalue(r, moved, fitted, equal=False)[1] for r in residuals]
    assert 0.02 < np.mean(np.array(pvalues) < 0.05) < 0.075


@pytest.mark.parametrize("grouped", [False, True])
def test_what_estimated_directions_add_does_not_drown_those_that_it_leaves_alone(grouped):
    """Errors of the first stage a hundred times as large in one of two directions: as Wald's test of both, by rows."""
    rng = np.random.default_rng(6)
    moved = np.linalg.qr(rng.normal(size=(3000, 2)))[0]
    residual, own = rng.normal(size=3000) + 3.0 * np.sqrt(3000) * moved[:, 0] / np.sqrt(3000), np.zeros((3000, 2))
    own[:, 1] = 100.0 * rng.normal(size=3000) / np.sqrt(3000)
    own -= own.mean(axis=0)
    scores = moved * residual[:, None] + own
    total = moved.T @ residual
    wald = chi2.sf(total @ np.linalg.solve(scores.T @ scores, total), 2)
    groups = np.arange(3000) // 2 if grouped else None
    found = _sign_flips.clustered_pvalue(residual, moved, np.ones((3000, 1)) / np.sqrt(3000), groups, own=own)[1]
    assert found == pytest.approx(wald, rel=0.15)
    assert found < 0.05
