"""Confidence sets that need not be intervals: unions of them, half-lines, the whole line, nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalinv._printing import Printed, Summary, number, percent
from causalinv._typing import FloatArray

__all__ = ["ConfidenceSet"]


@dataclass(frozen=True, eq=False, repr=False)
class ConfidenceSet(Printed):
    """Values of one coefficient that a test does not reject.

    With weak instruments such a set can be unbounded, and must be: a set that covers whatever the strength of the
    instruments is unbounded with positive probability (Dufour, 1997). It is shown as it is.

    Attributes
    ----------
    name : str
        Of the coefficient.
    intervals : ndarray of shape (m, 2)
        Closed intervals in ascending order, disjoint; ends can be infinite. None of them: no value fits.
    confidence_level : float
    method : str
        The test that was inverted.
    assumption : str
        What its level rests on.
    """

    name: str
    intervals: FloatArray
    confidence_level: float
    method: str
    assumption: str

    @property
    def shape(self) -> str:
        """What kind of set it is."""
        ends = np.isinf(self.intervals)
        if not len(self.intervals):
            return "empty"
        if len(self.intervals) == 1:
            return {0: "interval", 1: "half-line", 2: "whole line"}[int(ends.sum())]
        if len(self.intervals) == 2 and ends[0, 0] and ends[1, 1]:
            return "two half-lines"
        return "several intervals, unbounded" if ends.any() else "several intervals"

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite; so of the empty set."""
        return not bool(np.isinf(self.intervals).any())

    def contains(self, value: float) -> bool:
        """Whether a value is in the set."""
        return bool(np.any((self.intervals[:, 0] <= value) & (value <= self.intervals[:, 1])))

    def short(self) -> str:
        """The set on a line: ``[0.02, 0.31]``, ``(-inf, -1] or [2, inf)``, ``empty``."""
        if not len(self.intervals):
            return "empty"
        parts = []
        for low, high in self.intervals.tolist():
            left = "(-inf" if np.isinf(low) else f"[{number(low)}"
            right = "inf)" if np.isinf(high) else f"{number(high)}]"
            parts.append(f"{left}, {right}")
        return " or ".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """One row per interval, with columns ``lower`` and ``upper``."""
        return pd.DataFrame(self.intervals, columns=["lower", "upper"])

    def summary(self) -> Summary:
        """The set in words, and how to read its shape."""
        says = {
            "empty": "empty: no value fits, so the instruments disagree or the equation is wrong. It is not a precise "
            "estimate.",
            "whole line": "the whole line: the data exclude no value; the instruments hardly move this feature.",
            "half-line": "unbounded: the instruments are too weak to bound the effect on one side.",
            "two half-lines": "two half-lines: the data exclude only what lies between them.",
        }.get(self.shape)
        return Summary(
            f"{percent(self.confidence_level)} confidence set of {self.name}, {self.method}: {self.short()}",
            f"values of {self.name} that the test does not reject",
            self.assumption,
            self.to_frame() if len(self.intervals) > 1 else pd.DataFrame(),
            () if says is None else (says,),
        )
