"""Tests of invariance, vectorised over subsets: same coefficients, or same residuals, in every environment."""

from __future__ import annotations

import numpy as np
from scipy.special import fdtr, fdtrc, stdtr

from causalinv._typing import FloatArray
from causalinv.invariance._sweep import SubsetStatistics

__all__ = ["chow_pvalues", "residual_pvalues"]


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
        P-values of the F test with (E - 1)(k + 1) and N - E (k + 1) degrees of freedom; NaN where an environment has no
        more rows than coefficients. Exact for Gaussian errors of equal variance, in samples of any size; conservative
        where a feature is dependent on others, or constant, within an environment.
    """
    within = subsets.own_risk @ counts
    between = np.maximum(subsets.pooled_risk @ counts - within, 0.0)
    k = subsets.sizes + 1
    numerator, denominator = (len(counts) - 1) * k, counts.sum() - len(counts) * k
    enough = counts.min() > k
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(between > 0, (between / numerator) / (within / denominator), 0.0)
    return np.where(enough, fdtrc(numerator, np.maximum(denominator, 1), statistic), np.nan)


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
    mean, second = subsets.shift, subsets.pooled_risk
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
    variances = 2 * np.minimum(fdtr(n - 1, others - 1, ratio), fdtrc(n - 1, others - 1, ratio))
    variances = np.where((variance == 0) & (other_variance == 0), 1.0, variances)
    smallest = np.minimum(means, variances).min(axis=1)
    pvalues = np.minimum(1.0, 2 * (len(counts) - 1) * smallest)
    return np.where(subsets.sizes + 1 < total, pvalues, np.nan)
