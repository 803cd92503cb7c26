r"""How many interventions prove how much: bounds on the violation probability and their exact inverses.

Every bound is a tail :math:`\delta(t)`: the chance, over m environments, that a rule which passes them has a violation
probability above t. `violation_bound` solves :math:`\delta(t) = 1 -` confidence, `expected_violation` integrates
:math:`\min(1, \delta(t))`, and `required_interventions` finds the smallest m. The theorems behind the tails are proved
in ``docs/certificates.md``; none is cited from the papers.
"""

from __future__ import annotations

from math import comb
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import betainc, betaincinv, gammaln, logsumexp

from causalinv._validation import check_confidence_level, check_number, check_whole

__all__ = [
    "BOUNDS",
    "Bound",
    "expected_violation",
    "plan_interventions",
    "required_interventions",
    "vc_dimension",
    "violation_bound",
]

Bound = Literal["beta_sites", "box", "union", "scenario", "vc", "holdout", "two_level"]
BOUNDS: tuple[str, ...] = get_args(Bound)
_MOST = 10**9  # interventions
_NEEDS = {
    "beta_sites": ("n_sites",),
    "box": ("n_sites",),
    "union": ("class_size",),
    "scenario": ("n_coefficients",),
    "vc": ("vc_dimension",),
    "holdout": (),
    "two_level": (),
}


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


def violation_bound(
    n_interventions: int,
    *,
    confidence_level: float = 0.95,
    method: Bound,
    n_sites: int | None = None,
    class_size: float | None = None,
    vc_dimension: int | None = None,
    n_coefficients: int | None = None,
    violations: int = 0,
    miss_rate: float = 0.05,
) -> float:
    """Upper bound on the probability that a fresh intervention violates.

    Parameters
    ----------
    n_interventions : int
        Interventions m that were seen, a baseline not counted.
    confidence_level : float, default 0.95
        Probability, over these, with which the bound holds.
    method : {"beta_sites", "box", "union", "scenario", "vc", "holdout", "two_level"}
    n_sites : int
        For ``"beta_sites"`` and ``"box"``.
    class_size : float
        Number of rules among which one was chosen, for ``"union"``; of representations, for ``"scenario"`` (default 1).
    vc_dimension : int
        For ``"vc"``.
    n_coefficients : int
        Coefficients of the rule, the intercept included, for ``"scenario"``.
    violations : int, default 0
        How many violated, for ``"holdout"``, ``"two_level"`` (there: how many failed the test) and ``"vc"``.
    miss_rate : float, default 0.05
        For ``"two_level"``, the probability with which an environment that violates passes its test; at most 0.5.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If a number that the method needs is missing, or out of range.

    Examples
    --------
    >>> round(violation_bound(100, method="beta_sites", n_sites=3), 4)
    0.0616
    >>> round(violation_bound(6, method="holdout"), 2)
    0.39
    """
    m = check_whole(n_interventions, "n_interventions", low=0)
    level = 1.0 - check_confidence_level(confidence_level)
    given = {"n_sites": n_sites, "class_size": class_size, "vc_dimension": vc_dimension}
    given["n_coefficients"] = n_coefficients
    _check(method, given, violations, miss_rate)
    v = int(violations)
    if v > m:
        raise ValueError(f"violations={v} are more than n_interventions={m}.")
    if m == 0:
        return 1.0
    if method in ("beta_sites", "box"):
        return _beta(level, int(n_sites or 1), m)
    if method == "scenario":
        return _beta(level / float(class_size or 1), int(n_coefficients or 1) + 1, m)
    if method == "union":
        return float(-np.expm1(np.log(level / float(class_size or 1)) / m))
    if method == "vc":
        return _vc(level, int(vc_dimension or 1), m, v)
    upper = 1.0 if v == m else float(betaincinv(v + 1, m - v, 1.0 - level))
    return upper if method == "holdout" else min(1.0, upper / (1.0 - miss_rate))


def _check(method: str, given: dict[str, float | None], violations: int, miss_rate: float) -> None:
    if method not in BOUNDS:
        raise ValueError(f"method must be one of {BOUNDS}, got {method!r}.")
    for name in _NEEDS[method]:
        if given[name] is None:
            raise ValueError(f"method={method!r} needs {name}.")
    for name, value in given.items():
        if value is not None and name != "class_size":
            check_whole(value, name, low=1)
        elif value is not None and not value >= 1:
            raise ValueError(f"{name} must be >= 1, got {value!r}.")
    check_whole(violations, "violations", low=0)
    if violations and method not in ("holdout", "two_level", "vc"):
        raise ValueError(f"method={method!r} needs a rule without violations, got violations={violations}.")
    check_number(miss_rate, "miss_rate", low=0.0, high=0.5)


def _beta(level: float, k: int, m: int) -> float:
    """The (1 - level) quantile of Beta(k, m - k + 1): mass beyond k extreme ones of m draws."""
    return 1.0 if m < k else float(1.0 - betaincinv(m - k + 1, k, level))


def _log_growth(vc: int, n: int) -> float:
    """Log of the sum of C(n, i) over i <= vc."""
    if vc >= n:
        return n * np.log(2.0)
    i = np.arange(vc + 1)
    return float(logsumexp(gammaln(n + 1) - gammaln(i + 1) - gammaln(n - i + 1)))


def _vc(level: float, vc: int, m: int, v: int) -> float:
    growth = _log_growth(vc, 2 * m)
    if v == 0:
        return float(min(1.0, 2.0 / m * (np.log(2.0 / level) + growth) / np.log(2.0)))
    a = (growth + np.log(4.0 / level)) / m
    return float(min(1.0, v / m + 2.0 * np.sqrt(v / m * a) + 4.0 * a))


def expected_violation(
    n_interventions: int,
    *,
    method: Bound,
    n_sites: int | None = None,
    class_size: float | None = None,
    vc_dimension: int | None = None,
    n_coefficients: int | None = None,
    violations: int = 0,
    miss_rate: float = 0.05,
) -> float:
    """Upper bound on the probability that the next intervention violates, those seen being drawn anew.

    With few interventions this is what can be said: with one site and 6 interventions it is 1/7, where the 95% bound is
    .39. For ``"holdout"`` and ``"two_level"`` the tolerance is the (violations + 1)-th largest gap that was seen; with
    one that was fixed beforehand there is nothing to average.

    Parameters
    ----------
    n_interventions, method, n_sites, class_size, vc_dimension, n_coefficients, violations, miss_rate
        As in `violation_bound`.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        As in `violation_bound`; also for ``"vc"`` with violations.

    Examples
    --------
    >>> round(expected_violation(6, method="beta_sites", n_sites=1), 2)
    0.14
    """
    m = check_whole(n_interventions, "n_interventions", low=0)
    given = {"n_sites": n_sites, "class_size": class_size, "vc_dimension": vc_dimension}
    given["n_coefficients"] = n_coefficients
    _check(method, given, violations, miss_rate)
    if method == "vc" and violations:
        raise ValueError("method='vc' has no bound on the mean with violations; read violation_bound.")
    if m == 0:
        return 1.0
    if method in ("beta_sites", "box"):
        mean = float(n_sites or 1) / (m + 1)
    elif method in ("holdout", "two_level"):
        mean = (violations + 1) / (m + 1) / (1.0 - (miss_rate if method == "two_level" else 0.0))
    elif method == "union":
        share = float(class_size or 1) ** (-1.0 / m)  # the tail is 1 up to 1 - share, then N (1 - t)^m
        mean = 1.0 - share + share / (m + 1)
    elif method == "vc":
        where = 2.0 / m * (np.log(2.0) + _log_growth(int(vc_dimension or 1), 2 * m)) / np.log(2.0)
        mean = where + 2.0 / (m * np.log(2.0))
    else:
        k, t = int(n_coefficients or 1) + 1, np.linspace(0.0, 1.0, 20_001)
        tail = np.ones(len(t)) if m < k else np.minimum(1.0, float(class_size or 1) * betainc(m - k + 1, k, 1.0 - t))
        mean = float(np.sum((tail[1:] + tail[:-1]) / 2 * np.diff(t)))
    return min(1.0, float(mean))


def required_interventions(
    violation_upper: float,
    *,
    confidence_level: float = 0.95,
    method: Bound,
    n_sites: int | None = None,
    class_size: float | None = None,
    vc_dimension: int | None = None,
    n_coefficients: int | None = None,
    violations: int = 0,
    miss_rate: float = 0.05,
) -> int:
    """Fewest interventions whose `violation_bound` is at most `violation_upper`; its exact inverse.

    Parameters
    ----------
    violation_upper : float
        Wanted bound, between 0 and 1.
    confidence_level, method, n_sites, class_size, vc_dimension, n_coefficients, violations, miss_rate
        As in `violation_bound`.

    Returns
    -------
    int

    Examples
    --------
    >>> [required_interventions(0.05, method="beta_sites", n_sites=s) for s in (1, 2, 3)]
    [59, 93, 124]
    """
    wanted = check_number(violation_upper, "violation_upper", low=0.0, high=1.0, open_low=True)

    def bound(m: int) -> float:
        return violation_bound(
            m,
            confidence_level=confidence_level,
            method=method,
            n_sites=n_sites,
            class_size=class_size,
            vc_dimension=vc_dimension,
            n_coefficients=n_coefficients,
            violations=violations,
            miss_rate=miss_rate,
        )

    low = high = max(1, violations)
    while bound(high) > wanted:
        low, high = high, 2 * high
        if high > _MOST:
            raise ValueError(f"More than {_MOST:.0e} interventions would be needed for violation_upper={wanted:g}.")
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle) <= wanted else (middle + 1, high)
    return high


def plan_interventions(
    violation_upper: float = 0.05,
    *,
    confidence_level: float = 0.95,
    kind: str = "variance",
    n_sites: int = 1,
    in_degree: int = 1,
    class_size: float | None = None,
    n_coefficients: int | None = None,
) -> pd.DataFrame:
    """Table of the interventions that each method needs, and what it asks for in return.

    Parameters
    ----------
    violation_upper, confidence_level : float
        What should be certified.
    kind, n_sites, in_degree
        The family, as in `vc_dimension`.
    class_size : float, optional
        Rules among which one is chosen, for ``"union"``; sets, for ``"scenario"`` (default 1).
    n_coefficients : int, optional
        Coefficients of the rule, the intercept included, for ``"scenario"``.

    Returns
    -------
    DataFrame
        Indexed by method: ``interventions``, ``needs``.

    Examples
    --------
    >>> plan_interventions(0.05, n_sites=2)["interventions"].to_dict()
    {'holdout': 59, 'two_level': 62, 'beta_sites': 93, 'box': 93, 'vc': 4610}
    """

    def needed(method: Bound, sites: int | None = None, size: float | None = None, vc: int | None = None) -> int:
        return required_interventions(
            violation_upper,
            confidence_level=confidence_level,
            method=method,
            n_sites=sites,
            class_size=size,
            vc_dimension=vc,
        )

    rows = {"holdout": (needed("holdout"), "fresh environments, none of which trained the rule; exact moments")}
    what = "fresh environments and their rows, Gaussian; every one shown to keep to the tolerance"
    rows["two_level"] = (needed("two_level"), what)
    if kind == "variance":
        what = "each environment moves one site; a baseline; exact moments"
        rows["beta_sites"] = (needed("beta_sites", n_sites), what)
        rows["box"] = (needed("box", n_sites), "the sites and how far each was moved are known; exact moments")
    if class_size is not None:
        what = f"{class_size:g} rules fixed before the environments were seen; exact moments"
        rows["union"] = (needed("union", size=class_size), what)
    if n_coefficients is not None:
        what = "any family; the minimax rule on one set, at the level that it reaches; exact moments"
        most = required_interventions(
            violation_upper,
            confidence_level=confidence_level,
            method="scenario",
            n_coefficients=n_coefficients,
            class_size=class_size,
        )
        rows["scenario"] = (most, what)
    dimension = vc_dimension(kind, n_sites, in_degree)
    rows["vc"] = (needed("vc", vc=dimension), "any rule, any dimension; exact moments")
    return pd.DataFrame.from_dict(rows, orient="index", columns=["interventions", "needs"]).rename_axis("method")
