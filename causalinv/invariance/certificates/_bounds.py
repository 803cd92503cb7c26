"""How many interventions prove how much: bounds on the violation probability and their exact inverses."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import pandas as pd

from causalinv._validation import check_confidence_level, check_number, check_whole
from causalinv.invariance.certificates._method import GivenNumbers, Method, Numbers, numbers_of
from causalinv.invariance.certificates._registry import METHODS, method_named
from causalinv.invariance.certificates._tails import vc_dimension

__all__ = ["Bound", "expected_violation", "plan_interventions", "required_interventions", "violation_bound"]

Bound = Literal["beta_sites", "box", "union", "scenario", "vc", "holdout", "two_level", "bounded", "kurtosis"]
_MOST = 10**9  # interventions


def _asked(method: str, given: Any) -> tuple[Method, Numbers]:
    chosen, numbers = method_named(method), numbers_of(given)
    chosen.check_numbers(numbers)
    return chosen, numbers


def violation_bound(
    n_interventions: int, *, confidence_level: float = 0.95, method: Bound, **numbers: Unpack[GivenNumbers]
) -> float:
    """Upper bound on the probability that a fresh intervention violates.

    Parameters
    ----------
    n_interventions : int
        Interventions m that were seen, a baseline not counted.
    confidence_level : float, default 0.95
        Probability, over these, with which the bound holds.
    method : {"beta_sites", "box", "union", "scenario", "vc", "holdout", "two_level", "bounded", "kurtosis"}
    **numbers
        What the method needs. ``n_sites``: sites, for ``"beta_sites"`` and ``"box"``. ``class_size``: rules among which
        one was chosen, for ``"union"``; representations, for ``"scenario"`` (default 1). ``vc_dimension``: for
        ``"vc"``. ``n_coefficients``: of the rule, the intercept included, for ``"scenario"``. ``violations`` (default
        0): how many violated, for ``"holdout"`` and ``"vc"``; how many failed the test, for ``"two_level"``,
        ``"bounded"`` and ``"kurtosis"``. ``miss_rate`` (default 0.05): for these three, the probability with which an
        environment that violates passes its test; at most 0.5.

    Returns
    -------
    float
        A probability; 1 if so few interventions prove nothing.

    Raises
    ------
    ValueError
        If a number that the method needs is missing, or out of range.
    TypeError
        If a number is not known.

    Examples
    --------
    >>> round(violation_bound(100, method="beta_sites", n_sites=3), 4)
    0.0616
    >>> round(violation_bound(6, method="holdout"), 2)
    0.39
    """
    m = check_whole(n_interventions, "n_interventions", low=0)
    level = 1.0 - check_confidence_level(confidence_level)
    chosen, given = _asked(method, numbers)
    if given.violations > m:
        raise ValueError(f"violations={given.violations} are more than n_interventions={m}.")
    return chosen.bound(level, m, given)


def expected_violation(n_interventions: int, *, method: Bound, **numbers: Unpack[GivenNumbers]) -> float:
    """Upper bound on the probability that the next intervention violates, those seen being drawn anew.

    With few interventions this is what can be said: with one site and 6 interventions it is 1/7, where the 95% bound is
    .39. For ``"holdout"`` and ``"two_level"`` the tolerance is the (violations + 1)-th largest gap that was seen; with
    one that was fixed beforehand there is nothing to average.

    Parameters
    ----------
    n_interventions, method
        As in `violation_bound`.
    **numbers
        As in `violation_bound`.

    Returns
    -------
    float
        A probability.

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
    chosen, given = _asked(method, numbers)
    return chosen.expected(m, given)


def required_interventions(
    violation_upper: float, *, confidence_level: float = 0.95, method: Bound, **numbers: Unpack[GivenNumbers]
) -> int:
    """Fewest interventions whose `violation_bound` is at most `violation_upper`; its exact inverse.

    Parameters
    ----------
    violation_upper : float
        Wanted bound, between 0 and 1.
    confidence_level, method
        As in `violation_bound`.
    **numbers
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
    level = 1.0 - check_confidence_level(confidence_level)
    chosen, given = _asked(method, numbers)
    low = high = max(1, given.violations)
    while chosen.bound(level, high, given) > wanted:
        low, high = high, 2 * high
        if high > _MOST:
            raise ValueError(f"More than {_MOST:.0e} interventions would be needed for violation_upper={wanted:g}.")
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if chosen.bound(level, middle, given) <= wanted else (middle + 1, high)
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
        Indexed by method, all that there are, those that need fewest interventions first: ``interventions`` (missing
        where the method is not proved for this kind, or a number is not given), ``needs`` (what is asked for in return,
        or why there is no number).

    Examples
    --------
    >>> plan_interventions(0.05, n_sites=2)["interventions"].dropna().astype(int).to_dict()
    {'holdout': 59, 'two_level': 62, 'bounded': 62, 'kurtosis': 62, 'beta_sites': 93, 'box': 93, 'vc': 4610}
    """
    dimension = vc_dimension(kind, n_sites, in_degree)
    numbers = Numbers(n_sites, class_size, dimension, n_coefficients)
    rows: dict[str, tuple[int | None, str]] = {}
    for name, each in METHODS.items():
        refused = each.refuses(kind)
        missing = [number for number in each.needs if getattr(numbers, number) is None]
        if refused or missing or not each.random:
            why = f"not proved here; missing: {refused}" if refused else f"give {', '.join(missing)}=: {each.asks}"
            rows[name] = (None, each.asks if not each.random else why)
            continue
        given = {number: getattr(numbers, number) for number in (*each.needs, *each.takes)}
        found = required_interventions(
            violation_upper,
            confidence_level=confidence_level,
            method=name,  # type: ignore[arg-type]
            **given,
        )
        rows[name] = (found, each.asks)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["interventions", "needs"]).rename_axis("method")
    table["interventions"] = table["interventions"].astype("Int64")
    return table.sort_values("interventions", kind="stable", na_position="last")
