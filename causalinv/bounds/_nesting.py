"""Ends and intervals that grow with the odds ratio, and the odds ratio at which they reach a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from causalinv._typing import ArrayLike, FloatArray
from causalinv.bounds._functions import Cap, density_ratio_of

__all__ = ["Ladder", "first_crossing", "nested"]

#: Odds ratios to which intervals are rounded outward, so that those of separate questions nest.
_LADDER = np.r_[
    np.sort([*np.arange(10, 31) / 10, 1.25, 1.75, 2.25, 2.75]), np.arange(7, 13) / 2, np.geomspace(7.0, 1e3, 24)
]
#: Steps between the rungs: hundredths up to 3, twentieths to 7, whole numbers to 100, and eight in each wider gap.
_STEPS = np.unique(
    np.r_[
        np.arange(100, 301) / 100,
        np.arange(60, 141) / 20,
        np.arange(7.0, 101.0),
        np.geomspace(7.0, 1e3, 23 * 8 + 1),
    ]
)
_SAME = 1e-12  # relative: odds ratios that are one
_FAR = 100.0  # odds ratio to which a crossing is looked for

Line = dict[str, float]


@dataclass(frozen=True)
class Ladder:
    """Where an odds ratio stands: the rungs up to the next, and the steps between the two around it.

    Estimated ends are those of few rows and of a fitted law, and need not grow where the truth does. So ends are taken
    at fixed odds ratios, each holding those before, and lie in between on the line between theirs: answers grow with
    the odds ratio whether they are asked for together or one by one.
    """

    odds_ratio: float
    rungs: FloatArray
    steps: FloatArray
    n_smaller: int

    @classmethod
    def to(cls, odds_ratio: float) -> Ladder:
        """The rungs up to the first that is not smaller, and the steps of the last gap, as far as needed."""
        rungs = rungs_to(odds_ratio)
        n_smaller = int(np.searchsorted(rungs, odds_ratio * (1.0 + _SAME), side="right"))
        if n_smaller == len(rungs):
            return cls(odds_ratio, rungs, np.empty(0), n_smaller)
        inside = _steps_between(rungs[-2], rungs[-1])
        upto = int(np.searchsorted(inside, odds_ratio * (1.0 - _SAME))) + 1
        return cls(odds_ratio, rungs, inside[:upto], n_smaller)

    @property
    def caps(self) -> tuple[list[Cap], list[Cap]]:
        """Density ratios of the rungs and of the steps."""
        found = [[density_ratio_of(float(each), None) for each in some] for some in (self.rungs, self.steps)]
        return found[0], found[1]

    def falling(self, at_rungs: Sequence[ArrayLike], at_steps: Sequence[ArrayLike]) -> FloatArray:
        """At the odds ratio, what falls in it, from values at the rungs and at the steps."""
        values = np.minimum.accumulate(np.asarray(at_rungs, dtype=np.float64), axis=0)
        before = values[self.n_smaller - 1]
        if self.n_smaller == len(self.rungs):
            return before
        given, first, last = iter(at_steps), (self.rungs[self.n_smaller - 1], before), (self.rungs[-1], values[-1])
        knots = _knots(first, self.steps, last, lambda _: next(given))
        low, above = next(knots)
        for high, below in knots:
            if high >= self.odds_ratio * (1.0 - _SAME):
                break
            low, above = high, below
        share = np.clip(np.log(self.odds_ratio / low) / np.log(high / low), 0.0, 1.0)
        return np.asarray(below if share > 1.0 - _SAME else above + share * (below - above))


def nested(own: Line, odds_ratio: float, line: Callable[[Cap], Line]) -> Line:
    """Ends that hold those of all smaller odds ratios; the interval is the next rung's.

    What holds under less confounding holds under more, so that this is valid.
    """
    ladder = Ladder.to(odds_ratio)
    below, between = ([line(cap) for cap in some] for some in ladder.caps)
    out = dict(own)
    for name, sign in (("lower", 1.0), ("upper", -1.0)):
        at_rungs, at_steps = ([sign * each[name] for each in some] for some in (below, between))
        out[name] = sign * float(ladder.falling(at_rungs, at_steps))
    out["ci_lower"] = min(each["ci_lower"] for each in below)
    out["ci_upper"] = max(each["ci_upper"] for each in below)
    out["moved"] = own["moved"] or out != own
    return out


def rungs_to(odds_ratio: float) -> FloatArray:
    """Rungs of the ladder up to the first that is not smaller; beyond the last, the odds ratio is one itself."""
    found = _LADDER[: int(np.searchsorted(_LADDER, odds_ratio * (1.0 - _SAME))) + 1]
    return found if odds_ratio <= _LADDER[-1] else np.r_[found, odds_ratio]


def _steps_between(before: float, after: float) -> FloatArray:
    return _STEPS[(_STEPS > before * (1.0 + _SAME)) & (_STEPS < after * (1.0 - _SAME))]  # noqa: SIM300


def _knots(
    first: tuple[float, Any], steps: FloatArray, last: tuple[float, Any], at: Callable[[float], Any]
) -> Iterator[tuple[float, Any]]:
    """Where a line falls between two rungs, in turn: no more than before, and no less than at the last."""
    yield first
    above = first[1]
    for step in steps.tolist():
        above = np.clip(at(step), last[1], above)
        yield step, above
    yield last


def first_crossing(line: Callable[[float], Line], value: float, low: str, high: str, *, outward: bool = False) -> float:
    """The least odds ratio at which a value lies between two columns; 1 if it does at once, infinite if not to 100.

    Columns are taken as `nested` has them, so that the answer is where they arrive. With `outward` every odds ratio
    counts as the next rung, as in its intervals: they hold the value from the rung before the first that does.
    """
    start = line(1.0)
    if start[low] <= value <= start[high]:
        return 1.0
    name, sign = (low, 1.0) if start[low] > value else (high, -1.0)

    def gap(strength: float) -> float:
        return sign * (line(float(strength))[name] - value)

    least = gap(1.0)
    for before, after in pairwise(_LADDER[: int(np.searchsorted(_LADDER, _FAR)) + 1]):
        above, least = least, min(least, gap(after))
        if least > 0:
            continue
        if outward:
            return float(before) if after <= _FAR else np.inf
        knots = _knots((before, above), _steps_between(before, after), (after, least), gap)
        left, high_gap = next(knots)
        for right, low_gap in knots:
            if low_gap <= 0:
                break
            left, high_gap = right, low_gap
        found = left * (right / left) ** (high_gap / (high_gap - low_gap))
        return float(found) if found <= _FAR else np.inf
    return np.inf
