"""Result objects: frozen, printable, and honest about what their numbers rest on."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray

__all__ = ["BoundsEstimate", "PointwiseBounds", "Summary"]

_MAX_ROWS = 15


@dataclass(frozen=True)
class Summary:
    """A table with its estimand, the assumption under which it is true, and notes; fits one screen.

    Attributes
    ----------
    title : str
        What was fitted.
    estimand : str
        What the numbers estimate.
    assumption : str
        Under which assumption, and who made it.
    table : pandas.DataFrame
        All rows; printing shows the first 15.
    notes : tuple of str
        What else a reader must know.
    """

    title: str
    estimand: str
    assumption: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the whole table, a copy."""
        return self.table.copy()

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("Estimand", self.estimand), ("Assumption", self.assumption)]
        hidden = len(self.table) - _MAX_ROWS
        if hidden > 0:
            lines.append(("Rows", f"{hidden} more in to_frame()"))
        return lines + [("Note", note) for note in self.notes]

    def __str__(self) -> str:
        body = self.table.head(_MAX_ROWS).to_string(float_format=lambda v: f"{v:.4g}")
        foot = "\n".join(f"{key}: {text}" for key, text in self._lines())
        return f"{self.title}\n{body}\n{foot}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        body = self.table.head(_MAX_ROWS).to_html(float_format=lambda v: f"{v:.4g}")
        foot = "".join(f"<p><b>{key}:</b> {html.escape(text)}</p>" for key, text in self._lines())
        return f"<h4>{html.escape(self.title)}</h4>{body}{foot}"


@dataclass(frozen=True)
class BoundsEstimate:
    """Estimated ends of what the data and an assumption leave open, with Manski's ends beside.

    Attributes
    ----------
    title : str
        Method.
    estimand : str
        What lies between the ends.
    assumption : str
        Under which assumption, and who made it.
    table : pandas.DataFrame
        One row per strength (or per divergence) asked for: ``lower``, ``upper``, ``se_lower``, ``se_upper``,
        ``ci_lower``, ``ci_upper``, ``manski_lower``, ``manski_upper``.
    confidence_level : float
        Of the interval from ``ci_lower`` to ``ci_upper``.
    n : int
        Rows.
    target : {"parameter", "set"}
        Whether the interval covers the estimand, wherever it lies between the ends, or both ends at once.
    notes : tuple of str
        What else a reader must know.
    """

    title: str
    estimand: str
    assumption: str
    table: pd.DataFrame
    confidence_level: float
    n: int
    target: str = "parameter"
    notes: tuple[str, ...] = ()

    def _column(self, name: str) -> Any:
        values = self.table[name].to_numpy()
        return float(values[0]) if len(values) == 1 else values.copy()

    @property
    def lower(self) -> Any:
        """Lower end; an array if several strengths were asked for."""
        return self._column("lower")

    @property
    def upper(self) -> Any:
        """Upper end."""
        return self._column("upper")

    @property
    def se_lower(self) -> Any:
        """Standard error of the lower end; NaN if the end is infinite."""
        return self._column("se_lower")

    @property
    def se_upper(self) -> Any:
        """Standard error of the upper end."""
        return self._column("se_upper")

    @property
    def conf_int(self) -> FloatArray:
        """Confidence interval, shape (2,); (g, 2) for g strengths."""
        both = self.table[["ci_lower", "ci_upper"]].to_numpy()
        return both[0].copy() if len(both) == 1 else both.copy()

    def to_frame(self) -> pd.DataFrame:
        """Return the whole table, a copy."""
        return self.table.copy()

    def summary(self) -> Summary:
        """The table with what it rests on, as text and HTML."""
        what = "both ends at once" if self.target == "set" else "the estimand, wherever it lies between the ends"
        level = f"ci: {self.confidence_level:.0%} for {what}; n = {self.n}"
        return Summary(self.title, self.estimand, self.assumption, self.table, (level, *self.notes))

    def __str__(self) -> str:
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


@dataclass(frozen=True)
class PointwiseBounds:
    """Ends at each row of features: estimates without standard errors.

    Attributes
    ----------
    lower, upper : ndarray of shape (m,)
        Ends.
    manski_lower, manski_upper : ndarray of shape (m,)
        Ends under no assumption beyond the outcome's limits, from the same law and propensity.
    propensity : ndarray of shape (m,)
        Estimated chance of the arm.
    estimand : str
        What lies between the ends.
    assumption : str
        Under which assumption, and who made it.
    """

    lower: FloatArray
    upper: FloatArray
    manski_lower: FloatArray
    manski_upper: FloatArray
    propensity: FloatArray
    estimand: str
    assumption: str

    def to_frame(self) -> pd.DataFrame:
        """One row per row of features."""
        names = ("lower", "upper", "manski_lower", "manski_upper", "propensity")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def summary(self) -> Summary:
        """The ends with what they rest on, as text and HTML."""
        notes = ["pointwise estimates, without standard errors."]
        crossing = int(np.count_nonzero(self.lower > self.upper))
        if crossing:
            notes.append(f"in {crossing} rows the lower end lies above the upper one; both are kept.")
        return Summary("Bounds at each row", self.estimand, self.assumption, self.to_frame(), tuple(notes))

    def __str__(self) -> str:
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
