r"""What a sample can certify: an upper confidence bound on the relative excess, exact for Gaussian data.

The rule fitted to all *other* environments never saw environment e, so there it is a fixed predictor. With n rows, k
coefficients and relative excess ε in the population, the statistic

.. math:: F = \frac{(RSS_e(w) - RSS_e)/k}{RSS_e/(n - k)}

is, given the features, noncentral F with noncentrality :math:`\|X(w - w_e)\|^2/\sigma_e^2`, which over Gaussian
features with no difference of means is :math:`\varepsilon\chi^2_n`. (The noncentrality :math:`n\varepsilon` is right
for fixed features only, and certifies too much for random ones.) Mixing the Poisson weights of the noncentral law over
that makes them negative binomial:

.. math:: P(F \le f) = \sum_j \mathrm{NB}(j;\, n/2,\, 1/(1+\varepsilon))\; I_{x}(k/2 + j,\, (n-k)/2),
          \quad x = \frac{kf}{kf + n - k}.

A difference of means of the same size makes the noncentrality less variable, and small F less likely: no differences of
means is the least favourable case.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import betainc
from scipy.stats import nbinom

from causalinv._typing import FloatArray
from causalinv.invariance._sweep import SubsetStatistics

__all__ = ["certified", "gap_upper_bounds", "random_design_cdf"]

_TAIL = 12.0  # standard deviations of the negative binomial that are summed
_STEPS = 60  # halvings of an interval


def random_design_cdf(f: float, k: int, n: int, eps: float) -> float:
    """P(F <= f) for k coefficients, n rows and relative excess eps, over Gaussian features.

    Parameters
    ----------
    f : float
        Value of the statistic, >= 0.
    k, n : int
        Coefficients (the intercept is one) and rows, n > k.
    eps : float
        Relative excess, >= 0.

    Returns
    -------
    float
    """
    x = k * f / (k * f + n - k)
    if eps <= 0:
        return float(betainc(k / 2, (n - k) / 2, x))
    mean, std = n * eps / 2, np.sqrt(n * eps * (1 + eps) / 2)
    # Small F is likely under small noncentrality only, so everything below the mean is summed.
    j = np.arange(0.0, np.ceil(mean + _TAIL * std + 40))
    return float(np.sum(nbinom.pmf(j, n / 2, 1 / (1 + eps)) * betainc(k / 2 + j, (n - k) / 2, x)))


def gap_upper_bounds(
    own_risk: FloatArray, left_out_risk: FloatArray, counts: FloatArray, k: int, level: float
) -> FloatArray:
    """Upper confidence bound on the relative excess, in each environment, of the rule fitted to all others.

    Parameters
    ----------
    own_risk, left_out_risk, counts : ndarray of shape (E,)
        In-sample risk of the environment's own rule and of the others' rule, and rows.
    k : int
        Coefficients, the intercept included.
    level : float
        Each bound fails with at most this probability.

    Returns
    -------
    ndarray of shape (E,)
        Infinite where an environment has no more rows than coefficients, or its own rule leaves no residual.
    """
    bounds = np.full(len(counts), np.inf)
    for e, n in enumerate(counts.astype(int).tolist()):
        if n <= k or not own_risk[e] > 0:
            continue
        f = max(left_out_risk[e] / own_risk[e] - 1.0, 0.0) * (n - k) / k
        if random_design_cdf(f, k, n, 0.0) <= level:
            bounds[e] = 0.0
            continue
        low, high = 0.0, max(1.0, k * f / n)
        while random_design_cdf(f, k, n, high) > level:
            high *= 2.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if random_design_cdf(f, k, n, middle) > level else (low, middle)
            if high - low < 1e-6 * high:
                break
        bounds[e] = high
    return bounds


@lru_cache(maxsize=4096)
def _critical(k: int, n: int, eps: float, level: float) -> float:
    """Largest F at which the bound is at most eps."""
    if n <= k:
        return -np.inf
    low, high = 0.0, max(1.0, n * (eps + 1.0) / k)
    while random_design_cdf(high, k, n, eps) < level:
        high *= 2.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if random_design_cdf(middle, k, n, eps) < level else (low, middle)
        if high - low < 1e-9 * high:
            break
    return low


def certified(subsets: SubsetStatistics, counts: FloatArray, eps: float, level: float) -> np.ndarray:
    """Whether the upper bound is at most eps in every environment, shape (n,); one critical value per size."""
    k = subsets.sizes + 1
    passed = np.ones(len(subsets), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.maximum(subsets.left_out_risk / subsets.own_risk - 1.0, 0.0)
    for size in np.unique(k):
        members = np.flatnonzero(k == size)
        for e, n in enumerate(counts.astype(int).tolist()):
            limit = _critical(int(size), n, float(eps), float(level))
            passed[members] &= ratio[members, e] * (n - size) / size <= limit
    return passed
