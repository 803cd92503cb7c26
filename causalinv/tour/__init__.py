"""The tour: one module per chapter, each ``run(random_state, data) -> Chapter``; what ``python -m causalinv`` shows.

A chapter is any module of this package whose name is ``chapter_`` and a number; adding one edits no other file. Its
``run`` seeds all that it simulates by `random_state`; `data` is the folder with the real data sets, or None, and a
chapter that needs none does not look at it.
"""

from __future__ import annotations

import html
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from causalinv._printing import plain, table_text, wrap

__all__ = ["Chapter", "chapters", "run", "save"]

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>causalinv: the tour</title>
<style>body {{ font: 16px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
td, th {{ padding: .15em .7em; text-align: right; }}
pre {{ line-height: 1.1; overflow-x: auto; }}</style>
{body}
</html>
"""


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
        return self.text()

    def text(self, head: str = "") -> str:
        """The chapter at the terminal's width, its question after `head`."""
        table = table_text(self.table, floats=lambda v: f"{v:.3f}", gap="–")
        said = [self.claim, f"It rests on: {self.assumption}", *self.notes]
        parts = [flowing(head + self.question), table, self.figure, *map(flowing, said)]
        return plain("\n\n".join(part for part in parts if part))

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


def flowing(text: str) -> str:
    """Paragraphs at the terminal's width, wherever their source broke its lines."""
    return wrap("\n\n".join(" ".join(part.split()) for part in text.split("\n\n")), indent="")


def chapters() -> list[str]:
    """Names of the chapter modules, in order."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name.startswith("chapter_"))


def run(*, random_state: int = 0, data: str | os.PathLike[str] | None = None, only: int | None = None) -> list[Chapter]:
    """Run every chapter, or one.

    Parameters
    ----------
    random_state : int, default 0
        Seed.
    data : path, optional
        Folder with the real data sets. Left out: ``CAUSALINV_DATA`` or the cache; nothing is downloaded, and a
        chapter says which data it did without.
    only : int, optional
        Number of the one chapter to run.

    Returns
    -------
    list of Chapter
    """
    names = chapters() if only is None else [chapters()[only - 1]]
    return [import_module(f"{__name__}.{name}").run(random_state, data) for name in names]


def save(done: Mapping[int, Chapter], folder: str | os.PathLike[str]) -> None:
    """Write chapters to a folder: each table as CSV, and one HTML page that needs no other file.

    Parameters
    ----------
    done : mapping of int to Chapter
        Chapters by number.
    folder : path
        Made if it is not there.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    body = []
    for number, chapter in done.items():
        chapter.table.to_csv(place / f"chapter_{number}.csv")
        said = [chapter.claim, f"It rests on: {chapter.assumption}", *chapter.notes]
        paragraphs = "".join(f"<p>{html.escape(part)}</p>" for text in said for part in text.split("\n\n"))
        figure = f"<pre>{html.escape(chapter.figure)}</pre>" if chapter.figure else ""
        table = chapter.table.to_html(float_format=lambda v: f"{v:.3f}", na_rep="–", border=0)
        body.append(f"<h2>{number}. {html.escape(chapter.question)}</h2>{table}{figure}{paragraphs}")
    (place / "tour.html").write_text(_PAGE.format(body="\n".join(body)), encoding="utf-8")
