"""Tests of invariance, vectorised over subsets: same coefficients, or same residuals, in every environment."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, fdtrc, stdtr

from causalinv._typing import FloatArray
from causalinv.invariance._sweep import SubsetStatistics

__all__ = ["chow_pvalues", "residual_pvalues", "robust_chow_pvalue"]

_SINGULAR = 1e-10  # of the largest entry of R: columns that depend on others


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
    unit = np.sqrt(subsets.pooled_risk.max(axis=1, keepdims=True))
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


def robust_chow_pvalue(designs: list[FloatArray], outcomes: list[FloatArray]) -> float:
    r"""Wald's test of equal coefficients in all environments, robust to errors of unequal variance.

    Each environment's least squares :math:`b_e` has the covariance estimate
    :math:`V_e = A^{-1} \sum_i x_i x_i' r_i^2 / (1 - h_i)^2 A^{-1}` (HC3). The statistic is the weighted scatter of the
    :math:`b_e` about their precision-weighted mean.

    Parameters
    ----------
    designs : list of ndarray of shape (n_e, k)
        Rows of each environment, the constant included.
    outcomes : list of ndarray of shape (n_e,)

    Returns
    -------
    float
        P-value of chi-square with (E - 1) k degrees of freedom; NaN if an environment has no more rows than
        coefficients, or dependent columns. Valid for large environments, whatever the law and the variance of the
        errors, which may depend on the features.

    Notes
    -----
    Source: MacKinnon and White (1985) for HC3.
    """
    k = designs[0].shape[1]
    unit = np.sqrt(sum(np.sum(design**2, axis=0) for design in designs))
    unit = np.where(unit > 0, unit, 1.0)
    precision, weighted, square = np.zeros((k, k)), np.zeros(k), 0.0
    for design, outcome in zip(designs, outcomes, strict=True):
        q, r = np.linalg.qr(design / unit)
        if len(design) <= k or np.abs(np.diag(r)).min() <= _SINGULAR * np.abs(r).max():
            return float("nan")
        projected = q.T @ outcome
        coef = np.linalg.solve(r, projected)
        residual = (outcome - q @ projected) / (1.0 - np.sum(q**2, axis=1))
        middle = q * residual[:, None]
        # V^-1 = R' (Q' diag(u²) Q)^-1 R
        meat = middle.T @ middle
        mine = r.T @ np.linalg.solve(meat, r)
        precision += mine
        weighted += mine @ coef
        square += float(coef @ mine @ coef)
    between = max(square - float(weighted @ np.linalg.solve(precision, weighted)), 0.0)
    return float(chdtrc((len(designs) - 1) * k, between))
