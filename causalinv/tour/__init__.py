"""The tour: one module per chapter, each ``run(random_state, data) -> Chapter``; what ``python -m causalinv`` shows.

A chapter is any module of this package whose name is ``chapter_`` and a number; adding one edits no other file. Its
``run`` seeds all that it simulates by `random_state`; `data` is the folder with the real data sets, or None, and a
chapter that needs none does not look at it.
"""

from __future__ import annotations

import base64
import html
import os
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
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
img {{ max-width: 100%; height: auto; }}
pre {{ line-height: 1.1; overflow-x: auto; }}</style>
{body}
</html>
"""


@dataclass(frozen=True, eq=False)
class Chapter:
    """One finished demonstration.

    Attributes
    ----------
    question : str
        What a user would ask.
    answer : str
        The answer in one or two plain sentences, with its number.
    table : pandas.DataFrame
        The numbers.
    claim : str
        What else the numbers show, losses included.
    assumption : str
        What the answer rests on.
    figure : str
        A picture made of text.
    notes : tuple of str
        What else to know, for example which data were missing.
    picture : display, optional
        Of `causalinv.inspection`: what `save` draws.
    """

    question: str
    answer: str
    table: pd.DataFrame
    claim: str
    assumption: str
    figure: str = ""
    notes: tuple[str, ...] = ()
    picture: Any = None

    def __str__(self) -> str:
        return self.text()

    def text(self, head: str = "") -> str:
        """The chapter at the terminal's width, its question after `head`."""
        table = table_text(self.table, floats=lambda v: f"{v:.3f}", gap="–")
        said = [self.claim, f"It rests on: {self.assumption}", *self.notes]
        parts = [flowing(f"{head}{self.question}\n\n{self.answer}"), table, self.figure, *map(flowing, said)]
        return plain("\n\n".join(part for part in parts if part))

    def to_dict(self) -> dict[str, Any]:
        """The chapter without its figure, ready for JSON."""
        flat = self.table.reset_index()
        flat.columns = [" ".join(filter(None, name)) if isinstance(name, tuple) else name for name in flat.columns]
        records = flat.to_dict(orient="records")
        return {
            "question": self.question,
            "answer": self.answer,
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
    """Write chapters to a folder: each table as CSV, pictures as PNG, and one HTML page that needs no other file.

    Without matplotlib (extra: plot) there are no pictures, and the page shows those made of text.

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
        if chapter.picture is not None and find_spec("matplotlib") is not None:
            figure = _drawn(chapter.picture, place / f"chapter_{number}.png", chapter.question)
        table = chapter.table.to_html(float_format=lambda v: f"{v:.3f}", na_rep="–", border=0)
        answer = f"<p><b>{html.escape(chapter.answer)}</b></p>"
        body.append(f"<h2>{number}. {html.escape(chapter.question)}</h2>{answer}{table}{figure}{paragraphs}")
    (place / "tour.html").write_text(_PAGE.format(body="\n".join(body)), encoding="utf-8")


def _drawn(picture: Any, path: Path, alt: str) -> str:
    """Draw a display into a file, and the same as an image inside the page."""
    from matplotlib import pyplot

    figure = picture.plot().figure_
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return f'<img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{data}">'
