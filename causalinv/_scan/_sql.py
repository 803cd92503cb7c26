"""Sums taken by a database: one statement for the centre of every cell, one for the sums about it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._accumulate import Running, Sums, row_cells
from causalinv._labels import encode
from causalinv._scan._connection import Door, opened
from causalinv._scan._spec import Columns
from causalinv._typing import FloatArray

__all__ = ["scan_sql"]

_OF_WEIGHT = 5  # numbers of a cell before its centre: rows; sum, squares, least and largest of the weights
_EXPRESSIONS = 1_000  # per statement; PostgreSQL takes 1,664 columns


def scan_sql(source: str, columns: Columns, connection: Any) -> Running:
    """Sums of a table or SELECT.

    Parameters
    ----------
    source : str
        Name of a table, ``schema.table`` too, or a SELECT.
    columns : Columns
        Columns asked for.
    connection : DuckDB connection, SQLAlchemy connection or engine
        Where to ask. Nothing is written.

    Raises
    ------
    TypeError
        If the connection is of another kind, or a variable is text.
    ValueError
        If a column is not there, an entry is missing or infinite, or the table changed between the statements.
    """
    with opened(source, columns, connection) as door:
        return _Statements(source, columns, door).sums()


@dataclass
class _Statements:
    source: str
    columns: Columns
    door: Door

    def sums(self) -> Running:
        """Ask for the centre, check what is there, ask for the sums about it."""
        self._peek()
        centre = self._centre()
        total = Running(tuple(self.columns.levels))
        if centre.empty:
            return total
        labels, sums = self._about(centre)
        coded = {level: encode(pd.Series(values), level) for level, values in labels.items()}
        cells, codes = row_cells(coded)
        total.add(cells, sums if codes is None else sums.take(np.argsort(codes)))
        return total

    # -- pieces of statements -----------------------------------------------------------------------------------

    @property
    def _table(self) -> str:
        return self.door.rows_of(self.source)

    def _name(self, column: Any) -> str:
        """A column of the table by its full name: tables have columns called c0 and k0 too."""
        return f"source.{self.door.quote(str(column))}"

    def _number(self, column: Any) -> str:
        name = self._name(column)
        inner = f"CAST({name} AS INTEGER)" if column in self._flags else name
        return f"CAST({inner} AS DOUBLE PRECISION)"

    @property
    def _weight(self) -> str:
        return "1.0e0" if self.columns.sample_weight is None else self._number(self.columns.sample_weight)

    @property
    def _keys(self) -> list[str]:
        return [self._name(column) for column in self.columns.levels.values()]

    def _group(self) -> str:
        return f" GROUP BY {', '.join(self._keys)}" if self._keys else ""

    # -- the statements -----------------------------------------------------------------------------------------

    def _peek(self) -> None:
        """Look at one row: whether the columns are there, and which of them are text or flags."""
        first = self.door.first_row(self.source, self.columns)
        numbers = [*self.columns.variables, *([self.columns.sample_weight] if self.columns.sample_weight else [])]
        for column in numbers:
            value = first.get(str(column))
            if value is not None and not hasattr(value, "__float__"):
                raise TypeError(f"Column {column!r} holds {value!r}: not a number. Code it, or leave it out.")
        self._flags = {column for column in numbers if isinstance(first.get(str(column)), bool)}

    def _centre(self) -> pd.DataFrame:
        """Rows, and mean of every variable, per cell of rows with weight; what is missing or infinite is named."""
        variables = self.columns.variables
        weight = self.columns.sample_weight
        checked = [*variables, *([] if weight is None or weight in variables else [weight])]
        parts = [f"{key} AS k{i}" for i, key in enumerate(self._keys)]
        parts += [f"SUM(CASE WHEN {self._weight} > 0 THEN 1 ELSE 0 END) AS rows_with_weight"]
        for j, column in enumerate(checked):
            value = self._number(column)
            parts += [
                f"COUNT(*) - COUNT({self._name(column)}) AS gaps{j}",
                f"MIN({value}) AS low{j}",
                f"MAX({value}) AS high{j}",
                f"AVG(CASE WHEN {self._weight} > 0 THEN {value} END) AS centre{j}",
            ]
            if self.door.untyped:
                kind = f"typeof({self._name(column)})"
                parts += [f"SUM(CASE WHEN {kind} IN ('text', 'blob') THEN 1 ELSE 0 END) AS texts{j}"]
        names, rows = self.door.ask(f"SELECT {', '.join(parts)} FROM {self._table}{self._group()}")
        found = pd.DataFrame(rows, columns=names)
        for i, (level, column) in enumerate(self.columns.levels.items()):
            if found[f"k{i}"].isna().any():
                raise ValueError(
                    f"{level}, column {column!r}, has missing labels; every row needs one. Leave these rows out by a "
                    "SELECT, or give them a label of their own."
                )
        for j, column in enumerate(checked):
            gaps = int(pd.to_numeric(found[f"gaps{j}"]).sum())
            ends = found[[f"low{j}", f"high{j}"]].astype(float).to_numpy()
            if gaps:
                raise ValueError(f"Column {column!r} holds a missing value in {gaps} rows; leave them out by a SELECT.")
            texts = int(found[f"texts{j}"].sum()) if self.door.untyped else 0
            if texts:
                raise TypeError(f"Column {column!r} holds text in {texts} rows: not numbers. Code it, or leave it out.")
            if found["rows_with_weight"].sum() and not np.isfinite(ends).all():
                wrong = ends[~np.isfinite(ends)][0]
                raise ValueError(f"Column {column!r} holds {wrong}; leave such rows out by a SELECT.")
            if column == weight and ends.size and ends.min() < 0:
                raise ValueError(f"sample_weight must be >= 0, but column {column!r} holds {ends.min():g}.")
        return found[found["rows_with_weight"].astype(float) > 0].reset_index(drop=True)

    def _about(self, centre: pd.DataFrame) -> tuple[dict[str, list[Any]], Sums]:
        """Labels of the cells, and sums about the centres, which the statement takes again on the same rows."""
        variables = self.columns.variables
        p = len(variables)
        centred = [f"({self._number(column)} - centre.c{j})" for j, column in enumerate(variables)]
        weighted = "" if self.columns.sample_weight is None else f"{self._weight} * "
        sums = [f"SUM({weighted}{each})" for each in centred]
        pairs = list(itertools.combinations_with_replacement(range(p), 2))
        sums += [f"SUM({weighted}{centred[i]} * {centred[j]})" for i, j in pairs]
        keys = {key: f"k{i}" for i, key in enumerate(self._keys)}
        inner = ", ".join(
            [
                *(f"{key} AS {short}" for key, short in keys.items()),
                *(f"AVG({self._number(column)}) AS c{j}" for j, column in enumerate(variables)),
            ]
        )
        where = "" if self.columns.sample_weight is None else f" WHERE {self._weight} > 0"
        means = f"(SELECT {inner} FROM {self._table}{where}{self._group()}) AS centre"
        join = " AND ".join(f"{key} = centre.{short}" for key, short in keys.items()) or "1 = 1"
        labels = [f"centre.{short}" for short in keys.values()]
        grouped = f" GROUP BY {', '.join(labels)}" if labels else ""
        head = [*labels, "COUNT(*)", f"SUM({self._weight})", f"SUM({self._weight} * {self._weight})"]
        head += [f"MIN({self._weight})", f"MAX({self._weight})", *(f"MIN(centre.c{j})" for j in range(p))]
        fixed = _OF_WEIGHT + p
        rows: dict[tuple[Any, ...], list[float]] = {}
        for start in range(0, len(sums), _EXPRESSIONS):
            parts = [*head, *sums[start : start + _EXPRESSIONS]]
            named = ", ".join(f"{part} AS s{i}" for i, part in enumerate(parts))
            _, answer = self.door.ask(f"SELECT {named} FROM {self._table} JOIN {means} ON {join}{where}{grouped}")
            for row in answer:
                label, numbers = tuple(row[: len(keys)]), [float(value) for value in row[len(keys) :]]
                if start and rows[label][:fixed] != numbers[:fixed]:
                    raise ValueError("The table changed between two statements; scan it within one transaction.")
                rows.setdefault(label, numbers[:fixed]).extend(numbers[fixed:])
        values = np.array([rows[label] for label in rows])
        if values[:, 0].sum() != centre["rows_with_weight"].astype(float).sum():
            raise ValueError("The table changed between two statements; scan it within one transaction.")
        of_level = {level: [label[i] for label in rows] for i, level in enumerate(self.columns.levels)}
        return of_level, _recentred(values, p, pairs)


def _recentred(values: FloatArray, p: int, pairs: Sequence[tuple[int, int]]) -> Sums:
    """Sums about a centre that is the mean up to rounding (and up to weights), moved to the mean."""
    count, weight, weight_sq, weight_range = values[:, 0], values[:, 1], values[:, 2], values[:, 3:_OF_WEIGHT]
    centre, first, second = np.split(values[:, _OF_WEIGHT:], [p, 2 * p], axis=1)
    scatter = np.empty((len(values), p, p))
    for k, (i, j) in enumerate(pairs):
        scatter[:, i, j] = scatter[:, j, i] = second[:, k]
    shift = first / weight[:, None]
    scatter -= weight[:, None, None] * shift[:, :, None] * shift[:, None, :]
    return Sums(count, weight, weight_sq, weight_range, centre + shift, scatter)
