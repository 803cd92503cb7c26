"""Result objects: frozen, printable, and honest about what their numbers rest on."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd

__all__ = ["Summary", "TestResult"]

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

    def to_latex(self) -> str:
        """The whole table with estimand, assumption and notes below it, ready to paste (needs booktabs)."""
        flat = self.table.reset_index()
        rows = [[_latex(str(name)) for name in flat.columns]]
        rows += [[_latex(f"{v:.4g}" if isinstance(v, float) else str(v)) for v in row] for row in flat.to_numpy(object)]
        head, *body = [" & ".join(row) + r" \\" for row in rows]
        spec = "l" * self.table.index.nlevels + "r" * len(self.table.columns)
        foot = [rf"\textit{{{key}:}} {_latex(text)}" for key, text in self._lines() if key != "Rows"]
        top = [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", head, r"\midrule"]
        return "\n".join([*top, *body, r"\bottomrule", r"\end{tabular}", "", "\n\n".join(foot)])


@dataclass(frozen=True)
class TestResult:
    """A statistical test, with what it tests and what its rejection does not say.

    Attributes
    ----------
    statistic : float
    pvalue : float
    df : int
        Degrees of freedom.
    hypothesis : str
        What is tested.
    note : str
        How to read the answer.
    """

    __test__ = False  # not a test of pytest

    statistic: float
    pvalue: float
    df: int
    hypothesis: str
    note: str = ""

    def to_frame(self) -> pd.DataFrame:
        """One row: statistic, degrees of freedom, p-value."""
        return pd.DataFrame([{"statistic": self.statistic, "df": self.df, "pvalue": self.pvalue}])

    def summary(self) -> str:
        """The result as text."""
        return (
            f"H0: {self.hypothesis}\nstatistic {self.statistic:.4g} on {self.df} degrees of freedom, "
            f"p-value {self.pvalue:.3g}\n{self.note}"
        ).rstrip()

    __str__ = summary
    __repr__ = summary

    def _repr_html_(self) -> str:
        return "".join(f"<p>{html.escape(line)}</p>" for line in self.summary().splitlines())


def _latex(text: str) -> str:
    """Escape what LaTeX would read as a command."""
    special = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"} | {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(letter, letter) for letter in text)
