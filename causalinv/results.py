"""Result objects: frozen, printable, and honest about what their numbers rest on."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd

__all__ = ["Estimate", "Summary", "TestResult"]

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
class Estimate:
    """Estimated numbers, one row each, with their intervals and what they rest on.

    Attributes
    ----------
    estimand : str
        What the numbers estimate.
    assumption : str
        Under which assumption.
    table : pandas.DataFrame
        One row per number: ``estimate``, ``lower``, ``upper``, and what is known beside them.
    confidence_level : float
        Of the intervals, each on its own.
    notes : tuple of str
        What else a reader must know.
    """

    estimand: str
    assumption: str
    table: pd.DataFrame
    confidence_level: float = 0.95
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return the whole table, a copy."""
        return self.table.copy()

    def summary(self) -> Summary:
        """The table on one screen, with its notes."""
        title = f"Estimates with pointwise {self.confidence_level:.0%} intervals"
        return Summary(title, self.estimand, self.assumption, self.table, self.notes)

    def __str__(self) -> str:
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


@dataclass(frozen=True)
class TestResult:
    """A test, with the hypothesis that it may reject.

    Attributes
    ----------
    statistic, pvalue : float
    df : float or None
        Degrees of freedom, if the reference law has any.
    null : str
        What is tested.
    assumption : str
        What the level of the test rests on.
    """

    __test__ = False  # a name that pytest would collect

    statistic: float
    pvalue: float
    df: float | None = None
    null: str = ""
    assumption: str = ""

    def to_frame(self) -> pd.DataFrame:
        """One row: statistic, pvalue, df."""
        return pd.DataFrame({"statistic": [self.statistic], "pvalue": [self.pvalue], "df": [self.df]})

    def summary(self) -> Summary:
        """The same with the hypothesis and the assumption."""
        return Summary("Test", f"null hypothesis: {self.null}", self.assumption, self.to_frame())

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
