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
_FAR = 100.0  # odds ratio to which a crossing is looked for
_GRID = np.unique(np.r_[_LADDER[_LADDER <= _FAR], np.geomspace(3.2, _FAR, 30)])

Line = dict[str, float]


def nested(own: Line, odds_ratio: float, line: Callable[[tuple[float, float]], Line]) -> Line:
    """Ends between those of the rungs around a strength, each holding those before; the interval is the next rung's.

    What holds under less confounding holds under more, so that this is valid; and answers to separate questions nest,
    as long as a rung lies between them.
    """
    rungs = rungs_to(odds_ratio)
    below = [line(density_ratio_of(float(rung), None)) for rung in rungs]
    smaller = [each for each, rung in zip(below, rungs, strict=True) if rung <= odds_ratio]
    out = dict(own)
    for name, least in (("lower", min), ("upper", max)):
        around = least(each[name] for each in smaller), least(each[name] for each in below)
        out[name] = float(np.clip(own[name], min(around), max(around)))
    out["ci_lower"] = min(each["ci_lower"] for each in below)
    out["ci_upper"] = max(each["ci_upper"] for each in below)
    out["moved"] = own["moved"] or out != own
    return out


def rungs_to(odds_ratio: float) -> FloatArray:
    """Rungs of the ladder up to the first that is not smaller; beyond the last, the odds ratio is one itself."""
    found = _LADDER[: int(np.searchsorted(_LADDER, odds_ratio * (1.0 - 1e-12))) + 1]
    return found if odds_ratio <= _LADDER[-1] else np.r_[found, odds_ratio]


def first_crossing(line: Callable[[float], Line], value: float, low: str, high: str, *, outward: bool = False) -> float:
    """The least odds ratio at which a value lies between two columns; 1 if it does at once, infinite if not to 100.

    With `outward` every odds ratio counts as the next rung, as in the intervals of `nested`: just above the rung before
    the first that holds the value they hold it.
    """
    start = line(1.0)
    if start[low] <= value <= start[high]:
        return 1.0
    name, sign = (low, 1.0) if start[low] > value else (high, -1.0)

    def gap(strength: float) -> float:
        return sign * (line(strength)[name] - value)

    if outward:
        return next((float(before) for before, after in pairwise(_LADDER) if after <= _FAR and gap(after) <= 0), np.inf)
    for before, after in pairwise(_GRID):
        if gap(after) <= 0:
            return float(brentq(gap, before, after, xtol=1e-6))
    return np.inf
