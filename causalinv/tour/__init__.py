"""The tour: one module per chapter, each ``run(random_state, data) -> Chapter``; what ``python -m causalinv`` shows.

A chapter is any module of this package whose name is ``chapter_`` and a number; adding one edits no other file. Its
``run`` seeds all that it simulates by `random_state`; `data` is the folder with the real data sets, or None, and a
chapter that needs none does not look at it.
"""

from __future__ import annotations

import os
import pkgutil
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pandas as pd

__all__ = ["Chapter", "chapters", "run"]


@dataclass(frozen=True)
class Chapter:
    """One finished demonstration.

    Attributes
    ----------
    question : str
        What a user would ask.
    table : pandas.DataFrame
        The numbers.
    claim : str
        What the numbers show, losses included.
    assumption : str
        What the answer rests on.
    figure : str
        A picture made of text.
    notes : tuple of str
        What else to know, for example which data were missing.
    """

    question: str
    table: pd.DataFrame
    claim: str
    assumption: str
    figure: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        table = self.table.to_string(float_format=lambda v: f"{v:.3f}", na_rep="–")
        parts = [self.question, table, self.figure, self.claim, f"It rests on: {self.assumption}", *self.notes]
        return "\n\n".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """The chapter without its figure, ready for JSON."""
        flat = self.table.reset_index()
        flat.columns = [" ".join(filter(None, name)) if isinstance(name, tuple) else name for name in flat.columns]
        records = flat.to_dict(orient="records")
        return {
            "question": self.question,
            "table": [{k: None if pd.isna(v) else v for k, v in row.items()} for row in records],
            "claim": self.claim,
            "assumption": self.assumption,
            "notes": list(self.notes),
        }


def chapters() -> list[str]:
    """Names of the chapter modules, in order."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("chapter_"))


def run(*, random_state: int = 0, data: str | os.PathLike[str] | None = None) -> list[Chapter]:
    """Run every chapter.

    Parameters
    ----------
    random_state : int, default 0
        Seed.
    data : path, optional
        Folder with the real data sets. Left out: ``CAUSALINV_DATA`` or the cache; nothing is downloaded, and a
        chapter says which data it did without.

    Returns
    -------
    list of Chapter
    """
    return [import_module(f"{__name__}.{name}").run(random_state, data) for name in chapters()]
