"""Tests of invariance, vectorised over subsets: same coefficients, or same residuals, in every environment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import betaincc, fdtrc, stdtr

from causalinv._clusters import flip_factor
from causalinv._matrix import column_lengths, factor_split
from causalinv._typing import ArrayLike, FloatArray
from causalinv.invariance.subsets._sweep import SubsetStatistics

__all__ = ["NOTHING", "chow_pvalues", "column_basis", "residual_pvalues", "robust_chow_pvalue", "wild_pvalue"]

_SINGULAR = 1e-7  # of the longest direction of a design: columns that depend on others
NOTHING = 1e-20  # squares that are rounding


def chow_pvalues(subsets: SubsetStatistics, counts: FloatArray) -> FloatArray:
    """Chow's test that intercept and coefficients are the same in all environments.

    Parameters
    ----------
    subsets : SubsetStatistics
        Statistics of n subsets, from unweighted rows.
    counts : ndarray of shape (E,)
        Rows per environment.

    Returns
    -------
    ndarray of shape (n,)
        P-values of the F test. With p = k + 1 coefficients, an environment of n_e rows takes min(n_e, p) degrees of
        freedom: the test has their sum less p above, and N less their sum below (Chow's predictive test where an
        environment has no more rows than coefficients; its rows must then be predicted by the others). NaN where
        nothing is left above or below. Exact for Gaussian errors of equal variance, in samples of any size. A feature
        that is constant, or a combination of others, counts only where it is not: p is a rank.

    Notes
    -----
    Source: Chow (1960).
    """
    within = subsets.own_risk @ counts
    between = np.maximum(subsets.pooled_risk @ counts - within, 0.0)
    k = subsets.coefficients
    taken = np.minimum(counts, subsets.rank[:, :-1] + 1).sum(axis=1)
    numerator, denominator = taken - k, counts.sum() - taken
    enough = (numerator > 0) & (denominator > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(between > 0, (between / numerator) / (within / denominator), 0.0)
    return np.where(enough, fdtrc(np.maximum(numerator, 1), np.maximum(denominator, 1), statistic), np.nan)


def residual_pvalues(subsets: SubsetStatistics, counts: FloatArray) -> FloatArray:
    """Test of Invariant Causal Prediction: residuals of the pooled regression have one mean and one variance.

    Each environment is compared with all others together by Welch's t test and by the F test of variances; the smallest
    p-value is multiplied by 2 (E - 1), as in the R package InvariantCausalPrediction and in causalicp. (With E > 2
    environments there are 2 E comparisons, so the size can be up to E / (E - 1) times the level.)

    Parameters
    ----------
    subsets : SubsetStatistics
        Statistics of n subsets, from unweighted rows.
    counts : ndarray of shape (E,)
        Rows per environment, at least two each.

    Returns
    -------
    ndarray of shape (n,)
        P-values, at most 1; NaN for sets with as many coefficients as rows. Approximate: fitted residuals are treated
        as errors, so Gaussian errors and environments much larger than the set are needed. Where one small environment
        varies far more than the others, the fit shrinks its residuals and the test rejects the truth too often.

    Notes
    -----
    Source: Peters, Bühlmann and Meinshausen (2016), method II.
    """
    n, total = counts, counts.sum()
    others = total - n
    # In units of the residuals: variances are squared below, and no unit of y may over- or underflow there.
    unit = np.sqrt(np.maximum(subsets.pooled_risk.max(axis=1, keepdims=True), 0.0))
    unit = np.where(unit > 0, unit, 1.0)
    mean, second = subsets.shift / unit, subsets.pooled_risk / unit / unit
    # Means and second moments of all other environments together, about the same origin.
    other_mean = ((mean @ n)[:, None] - mean * n) / others
    other_second = ((second @ n)[:, None] - second * n) / others
    variance = np.maximum(second - mean**2, 0.0) * n / (n - 1)
    other_variance = np.maximum(other_second - other_mean**2, 0.0) * others / (others - 1)

    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = variance / n, other_variance / others
        t = (mean - other_mean) / np.sqrt(a + b)
        df = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (others - 1))
        means = np.where(a + b > 0, 2 * stdtr(df, -np.abs(t)), np.where(mean == other_mean, 1.0, 0.0))
        ratio = variance / other_variance
    tail = fdtrc(np.where(ratio > 1, n - 1, others - 1), np.where(ratio > 1, others - 1, n - 1), _at_least_one(ratio))
    variances = 2 * np.minimum(tail, 1.0 - tail)
    variances = np.where((variance == 0) & (other_variance == 0), 1.0, variances)
    smallest = np.minimum(means, variances).min(axis=1)
    pvalues = np.minimum(1.0, 2 * (len(counts) - 1) * smallest)
    return np.where(subsets.coefficients < total, pvalues, np.nan)


def _at_least_one(ratio: FloatArray) -> FloatArray:
    """The ratio of variances with the larger one above."""
    with np.errstate(divide="ignore"):
        return np.where(ratio > 1, ratio, 1.0 / ratio)


def robust_chow_pvalue(designs: Sequence[FloatArray], outcomes: Sequence[FloatArray]) -> float:
    r"""Chow's test of equal coefficients in all environments, for errors whose variance may depend on the features.

    Chow's sum of squares :math:`Q = r'Ar` (r the residuals of one regression on all environments, A the projection on
    what regressions of their own explain beyond it) is compared with its law when the sign of every
    :math:`r_i (1 - h_i)^{-\delta_i / 2}` is drawn by a coin: the wild bootstrap with the null imposed. The leverage
    :math:`h_i` counts by :math:`\delta_i = 1` (HC2) up to twice its mean, and from there in proportion up to
    :math:`\delta_i = 2` (HC3), as rows that pull the fit are shrunk most. With D the diagonal of these and M = DAD,
    that law has mean tr M and variance :math:`2 \sum_{i \ne j} M_{ij}^2` and lies between 0 and tr D²; the beta law
    with these replaces the draws, so the answer is no random number.

    Parameters
    ----------
    designs : sequence of ndarray of shape (n_e, k)
        Rows of each environment, the constant included.
    outcomes : sequence of ndarray of shape (n_e,)

    Returns
    -------
    float
        P-value; 1 if no residual is left; NaN if environments have no regression of their own beyond the common one, or
        no residual from them. Small environments are allowed. Close to its level for symmetric errors; see the
        benchmark `invariance_tests` for others.

    Raises
    ------
    ValueError
        If there is no environment, or no column.

    Notes
    -----
    Source: Liu (1988) for the wild bootstrap; MacKinnon and White (1985) for the leverage (HC2, HC3); Cribari-Neto
    (2004) for exponents that grow with it; Hoaglin and Welsch (1978) for twice the mean. The moments in place of draws
    are this package's own.
    """
    if not len(designs) or not designs[0].shape[1]:
        raise ValueError("robust_chow_pvalue needs at least one environment, and at least one column in each design.")
    y = np.concatenate([np.asarray(outcome, dtype=np.float64) for outcome in outcomes])
    top = float(np.abs(y).max(initial=0.0))
    if top == 0:
        return 1.0
    X, y = np.concatenate(designs), y / top
    X = X / np.where(np.any(X, axis=0), column_lengths(X), 1.0)
    ends = np.cumsum([0, *map(len, designs)])
    parts = [slice(a, b) for a, b in pairwise(ends.tolist())]
    common = column_basis(X)
    own = [column_basis(X[part]) for part in parts]
    ranks = sum(basis.shape[1] for basis in own)
    if ranks <= common.shape[1] or ranks >= len(y):
        return float("nan")
    residual = y - common @ (common.T @ y)
    if residual @ residual <= NOTHING * (y @ y):
        return 1.0
    leverage = np.sum(common**2, axis=1)
    square = (flip_factor(leverage) * residual) ** 2  # of D
    diagonal = np.concatenate([np.sum(basis**2, axis=1) for basis in own]) - leverage  # of A
    statistic = sum(float(np.sum((basis.T @ residual[part]) ** 2)) for basis, part in zip(own, parts, strict=True))
    # tr M² for A = ZZ' - common common', Z the environments' bases side by side, without an n x n matrix.
    squared, inner = 0.0, np.zeros((common.shape[1], common.shape[1]))
    for basis, part in zip(own, parts, strict=True):
        mine = basis.T @ (square[part, None] * basis)
        seen = basis.T @ common[part]
        moved = mine @ seen
        squared += float(np.sum(mine**2)) - 2.0 * float(np.sum(moved**2))
        inner += seen.T @ moved
    squared += float(np.sum(inner**2))
    mean, fourth = float(square @ diagonal), float(np.sum((square * diagonal) ** 2))
    return float(wild_pvalue(statistic, float(square.sum()), mean, squared - fourth))


def wild_pvalue(statistic: ArrayLike, total: ArrayLike, mean: ArrayLike, squares: ArrayLike) -> FloatArray:
    """Upper tail of the beta law on [0, tr D²] with the mean and variance that flipped signs give, of one or many.

    Parameters
    ----------
    statistic, total, mean : array-like
        Q, tr D² and tr M of `robust_chow_pvalue`.
    squares : array-like
        Sum of the squares of M off the diagonal.

    Returns
    -------
    ndarray
        NaN where that law is a point, or no beta law has these moments.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share, variance = np.divide(mean, total), 2.0 * np.divide(squares, np.square(total))
        size, reached = share * (1.0 - share) / variance - 1.0, np.minimum(np.divide(statistic, total), 1.0)
    known = (share > 0) & (share < 1) & (variance > NOTHING) & (size > 0)
    share, size = np.where(known, share, 0.5), np.where(known, size, 1.0)
    tail = betaincc(share * size, (1.0 - share) * size, reached)
    return np.where(known, tail, np.nan)


def column_basis(rows: FloatArray) -> FloatArray:
    """Orthonormal basis (n, r) of the column space."""
    size, right = factor_split(rows, tol=_SINGULAR)
    return np.asarray((rows @ right.T) / size)
