"""Ends and intervals that grow with the odds ratio, and the odds ratio at which they reach a value."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from causalinv._typing import FloatArray
from causalinv.bounds._functions import density_ratio_of

__all__ = ["first_crossing", "nested", "rungs_to"]

#: Odds ratios to which intervals are rounded outward, so that those of separate questions nest.
_LADDER = np.r_[
    np.sort([*np.arange(10, 31) / 10, 1.25, 1.75, 2.25, 2.75]), np.arange(7, 13) / 2, np.geomspace(7.0, 1e3, 24)
]
_GRID = np.unique(np.r_[_LADDER[_LADDER <= 100.0], np.geomspace(3.2, 100.0, 30)])

Line = dict[str, float]


def nested(own: Line, odds_ratio: float, line: Callable[[tuple[float, float]], Line]) -> Line:
    """Ends that hold those of all smaller strengths on a fixed ladder; the interval those of the next rung too.

    What holds under less confounding holds under more, so that this is valid; and intervals of separate questions nest.
    """
    rungs = rungs_to(odds_ratio)
    below = [line(density_ratio_of(float(rung), None)) for rung in rungs]
    smaller = [each for each, rung in zip(below, rungs, strict=True) if rung <= odds_ratio]
    out = dict(own)
    out["lower"] = min(own["lower"], *(each["lower"] for each in smaller))
    out["upper"] = max(own["upper"], *(each["upper"] for each in smaller))
    out["ci_lower"] = min(out["lower"], own["ci_lower"], *(each["ci_lower"] for each in below))
    out["ci_upper"] = max(out["upper"], own["ci_upper"], *(each["ci_upper"] for each in below))
    out["moved"] = own["moved"] or out != own
    return out


def rungs_to(odds_ratio: float) -> FloatArray:
    """Rungs of the ladder up to the first that is not smaller."""
    return _LADDER[: int(np.searchsorted(_LADDER, odds_ratio * (1.0 - 1e-12))) + 1]


def first_crossing(line: Callable[[float], Line], value: float, low: str, high: str, *, outward: bool = False) -> float:
    """The least odds ratio at which a value lies between two columns; 1 if it does at once, infinite if not to 100.

    With `outward` every odds ratio counts as the next rung too, as in the intervals of `nested`: just above the rung
    before the first that holds the value they hold it.
    """
    start = line(1.0)
    if start[low] <= value <= start[high]:
        return 1.0
    name, sign = (low, 1.0) if start[low] > value else (high, -1.0)

    def gap(strength: float) -> float:
        return sign * (line(strength)[name] - value)

    for before, after in pairwise(_GRID):
        if gap(after) <= 0:
            found = float(brentq(gap, before, after, xtol=1e-6))
            break
    else:
        return np.inf
    if outward:
        for before, after in pairwise(_LADDER):
            if gap(after) <= 0 or before > found:
                return min(found, float(before))
    return found
