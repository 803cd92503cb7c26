"""A function of one's own over drawn environments: again and again, in parallel, with seeds, shards and a folder."""

from __future__ import annotations

import json
import numbers
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import RandomState
from causalinv._validation import check_list
from causalinv.invariance.certificates._replications import Replications
from causalinv.sem import EnvironmentSet

__all__ = ["EnvironmentExperiment"]

Answer = float | Mapping[str, float]
_OURS = ("rep", "seconds", "error")
_SAME = 1e-8  # of a number: another processor may round otherwise


class EnvironmentExperiment(Replications):
    r"""Call a function of yours on environments that are drawn anew each time, and keep what it returns.

    The companion of `PACExperiment` where the question is another one: how often an interval covers, which features a
    method picks, by how much two rules differ. Each replication of each cell has streams of its own, so workers, shards
    and the order of work do not change a number, and a larger grid keeps earlier ones.

    Parameters
    ----------
    make_environments : callable (generator, \*\*cell) -> EnvironmentSet
        Draws a model and its environments; called with the values of the cell by name.
    function : callable (environments, generator) -> number or mapping of str to number
        Yours. The environments give rows by ``environments.sample(n, random_state=generator)`` and exact moments by
        ``environments.moments()``.
    grid : mapping of str to sequence, optional
        Names and values (numbers, or words) of what changes from cell to cell; left out, there is one cell.
    n_reps : int
        Replications of each cell.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed.

    Raises
    ------
    ValueError, TypeError
        If the grid is malformed, and, when it runs, if the function returns anything but numbers.

    Notes
    -----
    Rows of `run`, one per replication: the cell, ``rep``, a column for each number that the function returned
    (``value`` if it returned one without a name), ``seconds``, ``error`` (text, empty if all went well; an exception of
    your functions is a row with NaN, and is not raised). Another experiment has another seed, other names in its grid,
    another version of this package, or gives other numbers: one replication that a folder holds is run again, and one
    that failed.

    Examples
    --------
    How often does the interval of a cause cover its coefficient, by the number of environments?

    >>> from causalinv.invariance import EnvironmentExperiment, InvariantCausalPrediction
    >>> from causalinv.sem import InterventionFamily, textbook_sem
    >>> def draw(rng, m):
    ...     return InterventionFamily(["x1"], kind="shift").environments(textbook_sem("chain"), m, random_state=rng)
    >>> def covers(environments, rng):
    ...     X, y, e = environments.sample(50, random_state=rng)
    ...     lower, upper = InvariantCausalPrediction(test="chow").fit(X, y, environments=e).conf_int_[0]
    ...     return {"covered": lower <= environments.sem.total_effects()[1, 0] <= upper, "width": upper - lower}
    >>> experiment = EnvironmentExperiment(draw, covers, grid={"m": [3, 6]}, n_reps=4, random_state=0)
    >>> experiment.run().columns.tolist()
    ['m', 'rep', 'covered', 'width', 'seconds', 'error']
    """

    def __init__(
        self,
        make_environments: Callable[..., EnvironmentSet[Any]],
        function: Callable[[EnvironmentSet[Any], np.random.Generator], Answer],
        *,
        grid: Mapping[str, Sequence[Any]] | None = None,
        n_reps: int,
        random_state: RandomState = None,
    ) -> None:
        for name, given in (("make_environments", make_environments), ("function", function)):
            if not callable(given):
                raise TypeError(f"{name} must be callable, got {given!r}.")
        self.make_environments, self.function = make_environments, function
        super().__init__(_checked(grid or {}), n_reps, random_state, "environment experiment")

    def __repr__(self) -> str:
        cells = "".join(f"{name}={values}, " for name, values in self.cells.items())
        return f"EnvironmentExperiment({getattr(self.function, '__name__', 'function')}; {cells}n_reps={self.n_reps})"

    def summary(self, table: pd.DataFrame) -> pd.DataFrame:
        """Per cell and number: mean, its standard error and median over replications.

        {rows_of_runs}
            ``mean``, ``std_error``, ``median``, ``n`` (replications with a number), ``missing`` (NaN, or not returned)
            and ``failed`` (replications that raised).
        """
        names = [name for name in table if name not in (*self.cells, *_OURS)]
        rows = []
        groups = table.groupby(list(self.cells), sort=True) if self.cells else [((), table)]
        for key, group in groups:
            good = group[group["error"] == ""]
            for name in names:
                found = good[name].dropna()
                error = found.std() / np.sqrt(len(found)) if len(found) > 1 else np.nan
                counts = {"n": len(found), "missing": len(good) - len(found), "failed": len(group) - len(good)}
                told = {"mean": found.mean(), "std_error": error, "median": found.median()}
                rows.append({**dict(zip(self.cells, key, strict=True)), "number": name} | told | counts)
        columns = [*self.cells, "number", "mean", "std_error", "median", "n", "missing", "failed"]
        return pd.DataFrame(rows, columns=columns).set_index([*self.cells, "number"])

    def _seed(self, task: tuple[Any, ...]) -> list[int]:
        digest = sha256(json.dumps(dict(zip((*self.cells, "rep"), task, strict=True))).encode()).digest()
        return np.frombuffer(digest, dtype="<u4").tolist()

    def _described(self) -> dict[str, Any]:
        return super()._described() | {"grid": list(self.cells)}

    def _replicate(self, task: tuple[Any, ...], seed: np.random.SeedSequence) -> list[dict[str, Any]]:
        cell = dict(zip(self.cells, task[:-1], strict=True))
        drawing, using = (np.random.default_rng(s) for s in seed.spawn(2))
        start, error = time.perf_counter(), ""
        answer: Any = {}
        try:
            environments = self.make_environments(drawing, **cell)
            answer = self.function(environments, using)
        except Exception as raised:
            error = " ".join(f"{type(raised).__name__}: {raised}".split())  # one line of a file
        seconds = time.perf_counter() - start
        return [cell | {"rep": task[-1]} | self._numbers(answer) | {"seconds": seconds, "error": error}]

    def _numbers(self, answer: Any) -> dict[str, float]:
        given = answer if isinstance(answer, Mapping) else {"value": answer}
        out = {}
        for name, value in given.items():
            if not isinstance(name, str) or name in (*self.cells, *_OURS):
                raise ValueError(f"function returned a number named {name!r}, which is no name or has another meaning.")
            if not isinstance(value, numbers.Real | np.bool_) and np.ndim(value) != 0:
                raise TypeError(f"function must return numbers; {name!r} is {type(value).__name__}.")
            try:
                out[name] = float(value)
            except (TypeError, ValueError):
                raise TypeError(f"function must return numbers; {name!r} is {value!r}.") from None
        return out

    def _complete(self, done: pd.DataFrame, path: Path) -> pd.DataFrame:
        """Rows that a folder holds, after a look whether this experiment gives the first, and the first that failed."""
        done = super()._complete(done, path)
        names = [*self.cells, "rep"]
        seeds = self._seeds()
        known = np.array([task in seeds for task in zip(*(done[name] for name in names), strict=True)], bool)
        failed = done["error"] != ""
        for _, row in pd.concat([done[known & ~failed].head(1), done[known & failed].head(1)]).iterrows():
            task = tuple(row[name] for name in names)
            again = self._replicate(task, seeds[task])[0]
            for name in [str(name) for name in done if name not in (*names, "seconds")]:
                held, new = row[name], again.get(name, np.nan)
                same = held == new if name == "error" else np.isclose(held, new, rtol=_SAME, atol=0.0, equal_nan=True)
                if not same:
                    raise ValueError(
                        f"{path} holds rows of another experiment: replication {task} gave {name}={held!r} and now "
                        f"gives {new!r}. Use another folder"
                        + (", or take the rows that failed out of the file" if row["error"] else "")
                        + "; draw random numbers from the generator alone."
                    )
        return done


def _checked(grid: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Values of the grid as Python's own numbers and text, each once."""
    out: dict[str, list[Any]] = {}
    for name, values in grid.items():
        if not isinstance(name, str) or not name.isidentifier() or name in _OURS:
            raise ValueError(f"grid has the name {name!r}; names are those of arguments, and not one of {_OURS}.")
        plain = [v.item() if isinstance(v, np.generic) else v for v in check_list(values, f"grid[{name!r}]", "values")]
        words = [isinstance(v, str) for v in plain]
        if any(words) and not all(words):
            raise ValueError(f"grid[{name!r}] mixes words and numbers: {plain}.")
        for value in plain:
            known = _told_back(value) if isinstance(value, str) else isinstance(value, int | float)
            if not known or isinstance(value, bool) or np.isnan(value if not isinstance(value, str) else 0.0):
                raise ValueError(f"grid[{name!r}] holds {value!r}; values are numbers, or words that are no number.")
        if not plain or len(set(plain)) < len(plain):
            raise ValueError(f"grid[{name!r}] must hold different values, at least one; got {plain}.")
        out[name] = plain
    return out


def _told_back(text: str) -> bool:
    """Whether text comes back from a file as what it is."""
    try:
        float(text)
    except ValueError:
        return bool(text) and text == text.strip() and not set(text) & set("\r\n")
    return False
