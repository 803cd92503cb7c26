"""Replications of an experiment by cell: in any order, on any number of machines, kept in a folder and resumed."""

from __future__ import annotations

import io
import json
import os
import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from causalinv._docs import Documented
from causalinv._parallel import run, streams
from causalinv._progress import Line, wanted
from causalinv._typing import RandomState
from causalinv._validation import check_whole

__all__ = ["Replications"]

Task = tuple[Any, ...]  # the values of a cell, and the number of the replication
_LAST = ["seconds", "error"]


class Replications(Documented, ABC):
    """Cells of an experiment, each run again and again with a stream of its own.

    Parameters
    ----------
    cells : mapping of str to sequence
        Name and values of each dimension of the grid.
    n_reps : int
    random_state : int, SeedSequence, Generator, RandomState or None
    purpose : str
        As in `causalinv._parallel.streams`.
    """

    _shared_texts: ClassVar[dict[str, str]] = {
        "rows_of_runs": """
            Parameters
            ----------
            table : DataFrame
                From `run` or `collect`.

            Returns
            -------
            DataFrame""",
    }
    #: Columns that hold text, beside those of cells, and whole numbers.
    _text: ClassVar[tuple[str, ...]] = ("error",)
    _whole: ClassVar[tuple[str, ...]] = ("rep",)
    #: What tells rows of one replication apart.
    _within: ClassVar[tuple[str, ...]] = ()

    def __init__(self, cells: Mapping[str, Sequence[Any]], n_reps: int, random_state: RandomState, purpose: str):
        self.cells = dict(cells)
        self.n_reps = check_whole(n_reps, "n_reps", low=1)
        self.random_state = random_state
        self._base = streams(random_state, 1, purpose)[0].integers(2**32, size=4).tolist()

    def tasks(self) -> list[Task]:
        """All cells and replications, in order."""
        tasks: list[Task] = [()]
        for values in self.cells.values():
            tasks = [(*task, value) for task in tasks for value in values]
        return [(*task, rep) for task in tasks for rep in range(self.n_reps)]

    def run(
        self,
        n_jobs: int | None = None,
        *,
        shard: tuple[int, int] = (0, 1),
        out: str | os.PathLike[str] | None = None,
        progress: bool = False,
    ) -> pd.DataFrame:
        """Run the experiment, or a shard of it.

        Parameters
        ----------
        n_jobs : int, optional
            Workers, through joblib; ``joblib.parallel_config("dask")`` takes the same call to a cluster.
        shard : (i, k), default (0, 1)
            Every k-th replication, from the i-th on: one call per machine of a batch cluster.
        out : path, optional
            Folder for ``shard-i-of-k.csv``, written as replications end. What is already there is not run again, so a
            run that was stopped resumes; rows of another experiment there raise (the class says which is another).
        progress : bool, default False
            Whether to write replications done, their total and the time left to standard error.

        Returns
        -------
        DataFrame
            One row per replication, or per learner of it; the class says which columns.

        Raises
        ------
        ValueError
            If `shard` is no such pair, or the folder holds rows of another experiment.
        """
        i, k = (check_whole(part, "shard", low=0) for part in shard)
        if k < 1 or i >= k:
            raise ValueError(f"shard must be (i, k) with 0 <= i < k, got {shard!r}.")
        mine = self.tasks()[i::k]
        path = None if out is None else Path(out) / f"shard-{i}-of-{k}.csv"
        done = pd.DataFrame()
        names = [*self.cells, "rep"]
        if path is not None:
            if path.parent.exists() and not path.parent.is_dir():
                raise ValueError(f"out={str(out)!r} is a file; give the name of a folder.")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._check_folder(path.parent)
            if path.exists():
                path.write_text(_ended(path.read_text()))
                if not path.stat().st_size:  # stopped before its first line
                    path.unlink()
            if path.exists():
                done = self._complete(self._read(path), path)
        if len(done):  # a smaller grid than before reads only its own
            asked = set(mine)
            done = done[[key in asked for key in zip(*(done[name] for name in names), strict=True)]]
        finished = set(zip(*(done[name] for name in names), strict=True)) if len(done) else set()
        seeds = self._seeds()
        work = [(task, seeds[task]) for task in mine if task not in finished]
        made: list[dict[str, Any]] = []
        columns: list[str] = []  # of the file
        name = type(self).__name__
        line = Line(len(work), begin=f"{name}: ", what="replications") if progress or wanted() else None

        def keep(rows: list[dict[str, Any]]) -> None:
            made.extend(rows)
            if path is not None:  # row by row: a run that is stopped loses only what it was at
                columns[:] = self._append(path, pd.DataFrame(rows), columns)

        run(self._replicate, work, n_jobs=n_jobs, line=line, each=keep)
        parts = [each for each in (done, pd.DataFrame(made)) if len(each)]
        return self._ordered(pd.concat(parts, ignore_index=True))

    @classmethod
    def collect(cls, out: str | os.PathLike[str]) -> pd.DataFrame:
        """Join the shards of a folder.

        Raises
        ------
        FileNotFoundError
            If there is no shard.
        ValueError
            If shards overlap.
        """
        paths = sorted(Path(out).glob("shard-*-of-*.csv"))
        if not paths:
            raise FileNotFoundError(f"{out} holds no shard-*-of-*.csv; run the experiment with out= first.")
        table = pd.concat(map(cls._read, paths), ignore_index=True)
        if table.duplicated(cls._keys(table)).any():
            raise ValueError(f"Shards in {out} overlap: {', '.join(p.name for p in paths)}; keep one way of cutting.")
        return cls._ordered(table)

    @abstractmethod
    def _replicate(self, task: Task, seed: np.random.SeedSequence) -> list[dict[str, Any]]:
        """Rows of one replication."""

    @abstractmethod
    def _seed(self, task: Task) -> list[int]:
        """Numbers that tell the stream of a replication, the same in a larger grid."""

    def _described(self) -> dict[str, Any]:
        """What rows are of; another such description is another experiment."""
        return {"seed": self._base, "version": version("causalinv")}

    def _grown(self) -> dict[str, dict[str, str]]:
        """The same by cell, where cells that were not there before are no other experiment."""
        return {}

    def _seeds(self) -> dict[Task, np.random.SeedSequence]:
        """A seed for each task that depends on it alone, so that a larger grid keeps earlier results."""
        return {task: np.random.SeedSequence([*self._base, *self._seed(task)]) for task in self.tasks()}

    def _check_folder(self, folder: Path) -> None:
        """Remember what the rows in a folder are of; raise if they are of another experiment."""
        mine, grown = self._described(), self._grown()
        note = folder / "experiment.json"
        held = _noted(note) if note.exists() else {}
        other = [key for key in mine if held and held.get(key) != mine[key]]
        other += [key for key in grown if held and (key not in held or not _agree(held[key], grown[key]))]
        if other:
            raise ValueError(
                f"{folder} holds rows of another experiment (other {', '.join(other)}); use another folder."
            )
        now = mine | {key: held.get(key, {}) | grown[key] for key in grown}
        if now != held:
            _write_whole(note, json.dumps(now, indent=1))

    @classmethod
    def _keys(cls, table: pd.DataFrame) -> list[str]:
        """Columns that identify a row: those of its cell, which stand first, its number and what is within."""
        names = [str(name) for name in table]
        return [*names[: names.index("rep") + 1], *cls._within]

    @classmethod
    def _ordered(cls, table: pd.DataFrame) -> pd.DataFrame:
        last = [name for name in _LAST if name in table]
        first = [name for name in table if name not in last]
        return table[[*first, *last]].sort_values(cls._keys(table), ignore_index=True)

    @classmethod
    def _read(cls, path: Path) -> pd.DataFrame:
        """Rows of a shard; numbers by Python's own parser, as older versions of pandas do not read them exactly."""
        table = pd.read_csv(io.StringIO(_ended(path.read_text())), dtype=str, keep_default_na=False)
        names = list(table.columns)
        if missing := sorted({"rep", *_LAST, *cls._within} - set(names)):
            raise ValueError(f"{path} is no file of {cls.__name__}: it has no column {', '.join(missing)}.")
        cells = names[: names.index("rep")]
        for name in names:
            parse = _value if name in cells else int if name in cls._whole else _number
            if name not in cls._text:
                table[name] = [parse(text) for text in table[name]]
        return table

    @classmethod
    def _append(cls, path: Path, frame: pd.DataFrame, names: list[str]) -> list[str]:
        """Rows at the end of a file, which is written again where they have columns of their own.

        `names` are those of the file, where they are known already; returns what they are then.
        """
        if not names and path.exists():
            names = list(pd.read_csv(path, nrows=0).columns)
        if set(frame.columns) <= set(names):
            frame.reindex(columns=names).to_csv(path, mode="a", header=False, index=False)
            return names
        held = [cls._read(path)] if names else []
        whole = cls._ordered(pd.concat([*held, frame], ignore_index=True))
        whole.to_csv(path, index=False)
        return list(whole.columns)

    def _complete(self, done: pd.DataFrame, path: Path) -> pd.DataFrame:
        """Rows of finished replications; what was cut off while it was written is taken out of the file."""
        complete = self._whole_replications(done)
        if not complete.all():
            done = done[complete]
            head, *lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join([head, *(lines[k] for k in np.flatnonzero(complete))]))
        return done

    def _whole_replications(self, done: pd.DataFrame) -> np.ndarray:
        """Which rows are of replications that ended."""
        return np.ones(len(done), bool)


def _write_whole(path: Path, text: str) -> None:
    """Write a file that others may be reading: they find all of it or none, as jobs of an array start together."""
    part = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)


def _noted(note: Path) -> dict[str, Any]:
    """What a folder says that its rows are of."""
    try:
        held = json.loads(note.read_text())
    except ValueError:
        held = None
    if not isinstance(held, dict):
        raise ValueError(f"{note} cannot be read, so it is not known what rows there are of; use another folder.")
    return held


def _agree(held: Mapping[str, str], mine: Mapping[str, str]) -> bool:
    return all(held[d] == digest for d, digest in mine.items() if d in held)


def _ended(text: str) -> str:
    """Without a last line that was cut off while it was written."""
    return text[: text.rfind("\n") + 1]


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def _value(text: str) -> Any:
    """Value of a cell: a whole number, a number, or text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
