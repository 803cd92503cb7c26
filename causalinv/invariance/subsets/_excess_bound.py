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

from causalinv._matrix import whitener
from causalinv._typing import FloatArray
from causalinv.invariance.subsets._sweep import SubsetStatistics
from causalinv.moments import Moments

__all__ = ["certified", "gap_upper_bound", "random_design_cdf", "ranks_lost"]

_TAIL, _BELOW = 12.0, 40.0  # standard deviations of the negative binomial above and below its mean
_SUMMED = 400.0  # terms that are summed one by one
_RATIO = 0.25  # of the logarithm: longest panel
_LEAST = 1e-12  # F below which there is no excess
_MOST = 1e12  # relative excess, or F, beyond which nothing is told apart
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


def random_design_cdf(f: float, k: int, n: int, eps: float) -> float:
    """P(F <= f) for k coefficients, n rows and relative excess eps, over Gaussian features.

    Parameters
    ----------
    f : float
        Value of the statistic, >= 0.
    k, n : int
        Coefficients (the intercept is one) and rows, n > k.
    eps : float
        Relative excess, >= 0; taken for 1e12 above that, where nothing is told apart.

    Returns
    -------
    float
    """
    eps = min(eps, _MOST)
    x = k * f / (k * f + n - k)
    if eps <= 0:
        return float(betainc(k / 2, (n - k) / 2, x))
    mean, std = n * eps / 2, np.sqrt(n * eps * (1 + eps) / 2)
    # Small F is likely under small noncentrality only, so everything below the mean counts. The first terms are summed;
    # beyond them the sum is the integral of its smooth terms, on panels that are short beside their scale.
    end = mean + _TAIL * std + 40.0
    first = np.arange(0.0, min(_SUMMED, np.ceil(end)))
    total = float(np.sum(_terms(first, x, k, n, eps)))
    if end <= _SUMMED:
        return total
    low = max(mean - _BELOW * std, 0.0)
    edges = np.concatenate(
        [
            np.geomspace(_SUMMED - 0.5, end, max(2, int(np.ceil(np.log(end / _SUMMED) / _RATIO)) + 1)),
            np.arange(low, end, std / 2) if std > 0 else [],
        ]
    )
    edges = np.unique(edges[edges >= _SUMMED - 0.5])
    half = np.diff(edges)[:, None] / 2
    nodes = (edges[:-1, None] + half) + half * _NODES
    return total + float(np.sum(half * _WEIGHTS * _terms(nodes, x, k, n, eps)))


def _terms(j: FloatArray, x: float, k: int, n: int, eps: float) -> FloatArray:
    """Negative binomial weight times incomplete beta function."""
    r = n / 2
    log_weight = gammaln(r + j) - gammaln(r) - gammaln(j + 1) + j * np.log(eps / (1 + eps)) - r * np.log1p(eps)
    out: FloatArray = np.exp(log_weight) * betainc(k / 2 + j, (n - k) / 2, x)
    return out


def ranks_lost(moments: Moments) -> FloatArray:
    """How many features each environment makes dependent that the others' rows would not, shape (E,).

    A feature that is constant within an environment, or a combination of others there, adds no coefficient there.
    Counting one too many certifies too much, one too few only too little: a set loses at most what all features lose.
    """
    d = moments.blocks["x"]
    possible = np.minimum(d, np.maximum(moments.count - 1, 0))
    return np.array([whitener(cov).shape[1] for cov in moments.cov("x")]) - possible


def gap_upper_bound(
    own_risk: FloatArray, left_out_risk: FloatArray, counts: FloatArray, k: FloatArray, level: float
) -> float:
    """Upper confidence bound on the relative excess, in every environment, of the rule fitted to all others.

    Parameters
    ----------
    own_risk, left_out_risk, counts : ndarray of shape (E,)
        In-sample risk of the environment's own rule and of the others' rule, and rows.
    k : ndarray of shape (E,)
        Rank of the set's features in each environment, plus one for the intercept.
    level : float
        In each environment the bound fails with at most this probability.

    Returns
    -------
    float
        Infinite if an environment has no more rows than coefficients, or its own rule leaves no residual.
    """
    if (counts <= k).any() or not own_risk.min() > 0:
        return float("inf")
    sizes, k = counts.astype(int), np.asarray(k).astype(int)
    statistic = np.maximum(left_out_risk / own_risk - 1.0, 0.0) * (sizes - k) / k
    bound = 0.0
    for e in np.argsort(-left_out_risk / own_risk).tolist():
        f, n, rank = float(statistic[e]), int(sizes[e]), int(k[e])

        def passed(eps: float, f: float = f, n: int = n, rank: int = rank) -> float:
            return random_design_cdf(f, rank, n, eps) - level

        if passed(bound) <= 0:
            continue  # this environment certifies no more than the bound so far
        high = max(1.0, 2.0 * bound, rank * f / n)
        while not high > _MOST and passed(high) > 0:
            high *= 2.0
        if high > _MOST:
            return float("inf")  # so few rows, or so large an excess, exclude nothing at this level
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
        if high > _MOST:
            return high
    low = high
    while low > _LEAST and random_design_cdf(low, k, n, eps) >= level:
        low /= 4.0
    if low <= _LEAST:
        return 0.0  # only rules without any excess pass
    return float(brentq(lambda f: random_design_cdf(f, k, n, eps) - level, low, 4.0 * low, rtol=1e-12))


def certified(subsets: SubsetStatistics, moments: Moments, eps: float, level: float) -> np.ndarray:
    """Whether the upper bound is at most eps in every environment, shape (n,); one critical value per size."""
    k, counts, lost = subsets.sizes + 1, moments.count, ranks_lost(moments).astype(int)
    passed = np.ones(len(subsets), bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.maximum(subsets.left_out_risk / subsets.own_risk - 1.0, 0.0)
    for size in np.unique(k):
        members = np.flatnonzero(k == size)
        for e, n in enumerate(counts.astype(int).tolist()):
            rank = max(1, int(size) + int(lost[e]))  # of the set there, at least
            limit = _critical(rank, n, min(float(eps), _MOST), float(level))
            passed[members] &= ratio[members, e] * (n - rank) / rank <= limit if n > rank else False
    return passed
