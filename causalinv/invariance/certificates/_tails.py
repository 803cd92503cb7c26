r"""Tails and their inverses: how likely it is that what passed m environments violates more often than t.

A tail is a function :math:`\delta(t)` of the violation probability t; its inverse at :math:`\delta = 1 -` confidence is
a bound. The theorems behind them are proved in ``docs/certificates.md``; none is cited from the papers.
"""

from __future__ import annotations

from math import comb

import numpy as np
from scipy.special import betainc, betaincinv, gammaln, logsumexp

from causalinv._validation import check_whole

__all__ = [
    "beta_quantile",
    "beta_tail",
    "binomial_quantile",
    "binomial_tail",
    "vc_dimension",
    "vc_mean",
    "vc_quantile",
    "vc_tail",
]


def vc_dimension(kind: str, n_sites: int, in_degree: int = 1) -> int:
    r"""Vapnik-Chervonenkis dimension of violations, whatever the number of features and whatever the rule.

    The violation set of a rule is :math:`\{\theta: h(\theta) > 0\}` with h a polynomial of degree D in q parameters, so
    the dimension is at most :math:`\binom{q + D}{D}`.

    Parameters
    ----------
    kind : {"variance", "shift", "random_shift", "weights", "weights+variance"}
        As in `causalinv.sem.InterventionFamily`.
    n_sites : int
        Number of sites s.
    in_degree : int, default 1
        Largest number of parents of a site, for the kinds that change weights.

    Returns
    -------
    int

    Examples
    --------
    >>> vc_dimension("variance", 3), vc_dimension("shift", 3), vc_dimension("weights", 1, in_degree=2)
    (35, 10, 15)
    """
    s, r = check_whole(n_sites, "n_sites", low=1), check_whole(in_degree, "in_degree", low=1)
    sizes = {
        "variance": (s, s + 1),
        "shift": (s, 2),
        "random_shift": (2 * s, s + 2),
        "weights": (s * r, 4 * s),
        "weights+variance": (s * (r + 1), 4 * s),
    }
    if kind not in sizes:
        raise ValueError(f"kind must be one of {tuple(sizes)}, got {kind!r}: no degree is known for others.")
    q, degree = sizes[kind]
    return comb(q + degree, degree)


def beta_quantile(level: float, k: int, m: int) -> float:
    """The (1 - level) quantile of Beta(k, m - k + 1): mass beyond k extreme ones of m draws."""
    return 1.0 if m < k else float(1.0 - betaincinv(m - k + 1, k, level))


def beta_tail(t: float, k: int, m: int) -> float:
    """P(Beta(k, m - k + 1) > t)."""
    return 1.0 if m < k else float(betainc(m - k + 1, k, 1.0 - t))


def binomial_quantile(level: float, v: int, m: int) -> float:
    """Clopper and Pearson's upper bound on a probability that showed v times among m."""
    return 1.0 if v >= m else float(betaincinv(v + 1, m - v, 1.0 - level))


def binomial_tail(t: float, v: int, m: int) -> float:
    """P(at most v of m), each with probability t."""
    return 1.0 if v >= m else float(betainc(m - v, v + 1, 1.0 - t))


def _log_growth(vc: int, n: int) -> float:
    """Log of the sum of C(n, i) over i <= vc."""
    if vc >= n:
        return n * np.log(2.0)
    i = np.arange(vc + 1)
    return float(logsumexp(gammaln(n + 1) - gammaln(i + 1) - gammaln(n - i + 1)))


def vc_quantile(level: float, vc: int, m: int, v: int) -> float:
    """Bound for any rule of a class of this dimension with v violations among m."""
    growth = _log_growth(vc, 2 * m)
    if v == 0:
        return float(min(1.0, 2.0 / m * (np.log(2.0 / level) + growth) / np.log(2.0)))
    a = (growth + np.log(4.0 / level)) / m
    return float(min(1.0, v / m + 2.0 * np.sqrt(v / m * a) + 4.0 * a))


def vc_tail(t: float, vc: int, m: int, v: int) -> float:
    """Chance that some rule of the class has v violations among m and a violation probability above t."""
    growth = _log_growth(vc, 2 * m)
    if v == 0:
        return float(np.exp(min(0.0, np.log(2.0) + growth - t * m / 2.0 * np.log(2.0))))
    q = np.sqrt(v / m)
    root = (np.sqrt(max(4.0 * t - 3.0 * v / m, 0.0)) - q) / 4.0  # t = v/m + 2 q root + 4 root^2
    return 1.0 if root <= 0 else float(np.exp(min(0.0, np.log(4.0) + growth - m * root**2)))


def vc_mean(vc: int, m: int) -> float:
    """Integral of the tail without violations."""
    where = 2.0 / m * (np.log(2.0) + _log_growth(vc, 2 * m)) / np.log(2.0)
    return float(where + 2.0 / (m * np.log(2.0)))
