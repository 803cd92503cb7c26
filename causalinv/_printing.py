"""How results are printed: wrapped at the terminal's width, in ASCII where the stream knows nothing else."""

from __future__ import annotations

import html
import math
import shutil
import sys
import textwrap
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

__all__ = [
    "Printed",
    "Summary",
    "at_most",
    "counted",
    "cut",
    "number",
    "percent",
    "plain",
    "plural",
    "rough_percent",
    "table_text",
    "terminal_width",
    "wrap",
]

_MAX_ROWS = 15
_LABEL = 30  # columns that labels of rows may take at least
_WHOLE = 20  # rows up to which a table is shown whole
_ASCII = {
    "≤": "<=", "≥": ">=", "±": "+/-", "×": "x", "·": "*", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->",
    "≠": "!=", "≈": "~", "∞": "inf", "√": "sqrt", "²": "^2", "“": '"', "”": '"', "‘": "'", "’": "'", "∈": "in",
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "eps", "κ": "kappa", "λ": "lambda", "Λ": "Lambda",
    "█": "#", "▓": "%", "▒": "=", "░": "-", "│": "|",
    "μ": "mu", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi", "Γ": "Gamma", "Π": "Pi",
}  # fmt: skip
_IRREGULAR = {"child": "children", "person": "people", "man": "men", "woman": "women"}


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


def percent(share: float) -> str:
    """A share in percent, with as many digits as it has: 97.5% is not 98%, and 99.9% not 100%."""
    return f"{100.0 * share:.10g}%"


def rough_percent(share: float) -> str:
    """Three digits of a share in percent, without powers of ten."""
    return f"{100.0 * share:.3g}%" if abs(share) < 10 else f"{100.0 * share:,.0f}%"


def at_most(share: float) -> str:
    """An upper bound of a share in percent: one decimal, and more where it is small, as 0.0% would be another claim."""
    return f"{100.0 * share:.1f}%" if share >= 0.01 else f"{100.0 * share:.2g}%"


def cut(level: float) -> str:
    """A level that the reader may copy, three decimals: cut, as rounded up it would lie above the true one."""
    return f"{math.floor(1000.0 * level + 1e-6) / 1000.0:g}"


def counted(n: int, noun: str) -> str:
    """1 feature, 2 features; the last word of `noun` takes the plural."""
    return f"{n} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Countries, branches, analyses, hospitals; and children, people, men and women."""
    for one, many in _IRREGULAR.items():
        if noun.endswith(one) and not noun[: -len(one)][-1:].isalpha():
            return noun[: -len(one)] + many
    if noun.endswith("sis"):
        return noun[:-2] + "es"
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s")


def table_text(table: pd.DataFrame, *, floats: Callable[[float], str] = number, gap: str = "NaN") -> str:
    """A table at the terminal's width: long headings and labels are broken into several lines.

    Where the numbers alone are too wide, the columns come in blocks, one below the other.
    """
    width = terminal_width()
    text = str(table.to_string(float_format=floats, na_rep=gap))
    if max(map(len, text.split("\n"))) <= width or not len(table):
        return text
    names = [tuple(map(str, name)) if isinstance(name, tuple) else (str(name),) for name in table.columns]
    cells = [_cells(table.iloc[:, j], floats, gap) for j in range(len(names))]
    words = [max(len(word) for part in name for word in part.split() or [""]) for name in names]
    sizes = [max(word, *map(len, column)) for word, column in zip(words, cells, strict=True)]
    heads = [
        [line for part in name for line in textwrap.wrap(part, size, break_long_words=False) or [""]]
        for name, size in zip(names, sizes, strict=True)
    ]
    title = " ".join(str(name) for name in table.index.names if name is not None)
    labels = _labels_of_rows(table.index)
    longest = max(map(len, [title, *labels]))
    first = min(longest, max(width - sum(2 + size for size in sizes), _LABEL))
    folded = [textwrap.wrap(label, first) or [""] if len(label) > first else [label] for label in labels]
    columns = list(zip(sizes, heads, cells, strict=True))
    blocks = []
    while columns:
        taken, used = 0, first
        while taken < len(columns) and (taken == 0 or used + 2 + columns[taken][0] <= width):
            used += 2 + columns[taken][0]
            taken += 1
        blocks.append(_block(title, first, folded, columns[:taken]))
        columns = columns[taken:]
    return "\n\n".join(blocks)


def _block(title: str, first: int, labels: list[list[str]], columns: list[tuple[int, list[str], list[str]]]) -> str:
    """Columns (width, lines of the heading, cells) side by side, behind labels that may take several lines."""
    tall = max(len(head) for _, head, _ in columns)
    lines = []
    for i in range(tall):
        heading = [f"  {([''] * (tall - len(head)) + head)[i]:>{size}}" for size, head, _ in columns]
        lines.append((title if i == tall - 1 else "").ljust(first) + "".join(heading))
    for i, label in enumerate(labels):
        *above, last = label
        lines += [*above, last.ljust(first) + "".join(f"  {cells[i]:>{size}}" for size, _, cells in columns)]
    return "\n".join(line.rstrip() for line in lines)


def _cells(column: pd.Series, floats: Callable[[float], str], gap: str) -> list[str]:
    return [gap if pd.isna(value) else floats(value) if isinstance(value, float) else str(value) for value in column]


def _labels(values: pd.Index) -> list[str]:
    """Six digits of numbers, and days without their hour, where that tells them apart."""
    short = [f"{value:.6g}" if isinstance(value, float) else str(value).removesuffix(" 00:00:00") for value in values]
    return short if len(set(short)) == values.nunique(dropna=False) else [str(value) for value in values]


def _labels_of_rows(index: pd.Index) -> list[str]:
    """Labels as text; of several levels, each is shown where it changes."""
    if index.nlevels == 1:
        return _labels(index)
    levels = [_labels(index.get_level_values(k)) for k in range(index.nlevels)]
    sizes = [max(map(len, level)) for level in levels]
    rows = list(zip(*levels, strict=True))
    shown = []
    for i, row in enumerate(rows):
        same = 0 if i == 0 else next((k for k, (a, b) in enumerate(zip(row, rows[i - 1], strict=True)) if a != b), 0)
        shown.append(
            " ".join(
                f"{'' if k < same else part:<{size}}" for k, (part, size) in enumerate(zip(row, sizes, strict=True))
            )
        )
    return shown


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
        All rows; printing shows the first 15 of more than 20.
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

    def _shown(self) -> pd.DataFrame:
        """The rows that are printed."""
        return self.table if len(self.table) <= _WHOLE else self.table.head(_MAX_ROWS)

    def _lines(self) -> list[tuple[str, str]]:
        """What stands below the table."""
        lines = [("Assumption", self.assumption)]
        hidden = len(self.table) - len(self._shown())
        if hidden:
            lines.append(("Rows", f"{hidden} more in to_frame()"))
        return [line for line in lines if line[1]] + [("Note", note) for note in self.notes]

    def __str__(self) -> str:
        body = table_text(self._shown())
        foot = "\n".join(wrap(f"{key}: {text}") for key, text in self._lines())
        head = "\n".join(map(wrap, [self.title, *([f"Estimand: {self.estimand}"] if self.estimand else [])]))
        return plain("\n".join(part for part in (head, body if len(self.table.columns) else "", foot) if part))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        body = self._shown().to_html(float_format=number) if len(self.table.columns) else ""
        foot = "".join(f"<p><b>{key}:</b> {html.escape(text)}</p>" for key, text in self._lines())
        head = f"<p><b>Estimand:</b> {html.escape(self.estimand)}</p>" if self.estimand else ""
        first, *rest = map(html.escape, self.title.split("\n"))
        more = f"<p>{'<br>'.join(rest)}</p>" if rest else ""
        return f"<h4>{first}</h4>{more}{head}{body}{foot}"

    def to_latex(self) -> str:
        """The whole table with estimand, assumption and notes below it, ready to paste (needs booktabs)."""
        flat = self.table.reset_index()
        rows = [[_latex(str(name)) for name in flat.columns]]
        rows += [[_latex(number(v) if isinstance(v, float) else str(v)) for v in row] for row in flat.to_numpy(object)]
        head, *body = [" & ".join(row) + r" \\" for row in rows]
        spec = "l" * self.table.index.nlevels + "r" * len(self.table.columns)
        lines = [("Estimand", self.estimand)] if self.estimand else []
        lines += [line for line in self._lines() if line[0] != "Rows"]
        foot = [rf"\textit{{{key}:}} {_latex(text)}" for key, text in lines]
        top = [rf"\begin{{tabular}}{{{spec}}}", r"\toprule", head, r"\midrule"]
        return "\n".join([*top, *body, r"\bottomrule", r"\end{tabular}", "", "\n\n".join(foot)])


def _latex(text: str) -> str:
    """Escape what LaTeX would read as a command."""
    special: dict[str, Any] = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"} | {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(letter, letter) for letter in text)
