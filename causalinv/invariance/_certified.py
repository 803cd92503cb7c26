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
from scipy.optimize import brentq
from scipy.special import betainc, gammaln

from causalinv._typing import FloatArray
from causalinv.invariance._sweep import SubsetStatistics

__all__ = ["certified", "gap_upper_bound", "random_design_cdf"]

_TAIL = 12.0  # standard deviations of the negative binomial that are summed
_PER_DEVIATION = 30.0  # terms per standard deviation


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
    # Small F is likely under small noncentrality only, so everything below the mean is summed; where the terms are
    # smooth (both factors vary on the scale of the standard deviation), every step-th one.
    step = max(1.0, np.floor(std / _PER_DEVIATION))
    j = np.arange(0.0, np.ceil(mean + _TAIL * std + 40), step)
    r = n / 2
    log_weight = gammaln(r + j) - gammaln(r) - gammaln(j + 1) + j * np.log(eps / (1 + eps)) - r * np.log1p(eps)
    return float(step * np.sum(np.exp(log_weight) * betainc(k / 2 + j, (n - k) / 2, x)))


def gap_upper_bound(own_risk: FloatArray, left_out_risk: FloatArray, counts: FloatArray, k: int, level: float) -> float:
    """Upper confidence bound on the relative excess, in every environment, of the rule fitted to all others.

    Parameters
    ----------
    own_risk, left_out_risk, counts : ndarray of shape (E,)
        In-sample risk of the environment's own rule and of the others' rule, and rows.
    k : int
        Coefficients, the intercept included.
    level : float
        In each environment the bound fails with at most this probability.

    Returns
    -------
    float
        Infinite if an environment has no more rows than coefficients, or its own rule leaves no residual.
    """
    if counts.min() <= k or not own_risk.min() > 0:
        return float("inf")
    sizes = counts.astype(int)
    statistic = np.maximum(left_out_risk / own_risk - 1.0, 0.0) * (sizes - k) / k
    bound = 0.0
    for e in np.argsort(-left_out_risk / own_risk).tolist():
        f, n = float(statistic[e]), int(sizes[e])

        def passed(eps: float, f: float = f, n: int = n) -> float:
            return random_design_cdf(f, k, n, eps) - level

        if passed(bound) <= 0:
            continue  # this environment certifies no more than the bound so far
        high = max(1.0, 2.0 * bound, k * f / n)
        while passed(high) > 0:
            high *= 2.0
        bound = float(brentq(passed, bound, high, rtol=1e-6))
    return bound


@lru_cache(maxsize=4096)
def _critical(k: int, n: int, eps: float, level: float) -> float:
    """Largest F at which the bound is at most eps."""
    if n <= k:
        return -np.inf
    high = max(1.0, n * (eps + 1.0) / k)
    while random_design_cdf(high, k, n, eps) < level:
        high *= 2.0
    return float(brentq(lambda f: random_design_cdf(f, k, n, eps) - level, 0.0, high, xtol=1e-30, rtol=1e-12))


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
