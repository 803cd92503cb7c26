"""How results are printed: wrapped at the terminal's width, in ASCII where the stream knows nothing else."""

from __future__ import annotations

import html
import shutil
import sys
import textwrap
import unicodedata
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

__all__ = ["Printed", "Summary", "plain", "terminal_width", "wrap"]

_MAX_ROWS = 15
_ASCII = {
    "≤": "<=", "≥": ">=", "±": "+/-", "×": "x", "·": "*", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->",
    "≠": "!=", "≈": "~", "∞": "inf", "√": "sqrt", "²": "^2", "“": '"', "”": '"', "‘": "'", "’": "'", "∈": "in",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "eps", "κ": "kappa", "λ": "lambda", "Λ": "Lambda",
    "μ": "mu", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi", "Γ": "Gamma", "Π": "Pi",
}  # fmt: skip


def terminal_width() -> int:
    """Columns of the terminal: ``COLUMNS`` if set, else what the terminal says, else 80."""
    return max(shutil.get_terminal_size((80, 24)).columns, 40)


def plain(text: str) -> str:
    """The text as the standard output can show it: Greek and signs spelt out for an ASCII stream."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        spelt = "".join(_ASCII.get(letter, letter) for letter in text)
        return unicodedata.normalize("NFKD", spelt).encode("ascii", "replace").decode("ascii")
    return text


def wrap(text: str, *, indent: str = "  ") -> str:
    """Break lines at the terminal's width; what continues a line is indented."""
    width = terminal_width()
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def number(value: float) -> str:
    """Four digits, as tables show them."""
    return f"{value:.4g}"


class Printed(ABC):
    """Base of everything that prints itself: a result has a `summary`, and text and HTML follow from it."""

    __slots__ = ()

    @abstractmethod
    def summary(self) -> Summary:
        """What there is to say, on one screen."""

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


@dataclass(frozen=True, eq=False, repr=False)
class Summary(Printed):
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
    notes: tuple[str, ...] = field(default=())

    def summary(self) -> Summary:
        """Itself."""
        return self

    def to_frame(self) -> pd.DataFrame:
        """Return the whole table, a copy."""
        return self.table.copy()

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("Estimand", self.estimand), ("Assumption", self.assumption)]
        hidden = len(self.table) - _MAX_ROWS
        if hidden > 0:
            lines.append(("Rows", f"{hidden} more in to_frame()"))
        return [line for line in lines if line[1]] + [("Note", note) for note in self.notes]

    def __str__(self) -> str:
        body = self.table.head(_MAX_ROWS).to_string(float_format=number, line_width=terminal_width())
        foot = "\n".join(wrap(f"{key}: {text}") for key, text in self._lines())
        head = wrap(self.title)
        return plain("\n".join(part for part in (head, body if len(self.table.columns) else "", foot) if part))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        body = self.table.head(_MAX_ROWS).to_html(float_format=number) if len(self.table.columns) else ""
        foot = "".join(f"<p><b>{key}:</b> {html.escape(text)}</p>" for key, text in self._lines())
        return f"<h4>{html.escape(self.title)}</h4>{body}{foot}"

    def to_latex(self) -> str:
        """The whole table with estimand, assumption and notes below it, ready to paste (needs booktabs)."""
        flat = self.table.reset_index()
        rows = [[_latex(str(name)) for name in flat.columns]]
        rows += [[_latex(number(v) if isinstance(v, float) else str(v)) for v in row] for row in flat.to_numpy(object)]
        head, *body = [" & ".join(row) + r" \\" for row in rows]
        spec = "l" * self.table.index.nlevels + "r" * len(self.table.columns)
        foot = [rf"\textit{{{key}:}} {_latex(text)}" for key, text in self._lines() if key != "Rows"]
        top = [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", head, r"\midrule"]
        return "\n".join([*top, *body, r"\bottomrule", r"\end{tabular}", "", "\n\n".join(foot)])


def _latex(text: str) -> str:
    """Escape what LaTeX would read as a command."""
    special: dict[str, Any] = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"} | {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(letter, letter) for letter in text)
