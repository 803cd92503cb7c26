"""Which columns of a source play which part, and how the columns of one piece become numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from causalinv._labels import Labels, encode
from causalinv._typing import FloatArray

__all__ = ["Columns", "RowsOfPiece"]

Name = str | int


@dataclass(frozen=True)
class RowsOfPiece:
    """Rows of one piece as numbers: what `cell_sums` and a second pass work on.

    Attributes
    ----------
    columns : list of ndarray of shape (n, 1)
        Variables in their order.
    weights : ndarray of shape (n,) or None
        Positive weights.
    labels : dict of str to Labels
        Codes of environments and folds.
    check : callable
        Raises, by name, for an entry that is missing or infinite. Called by whoever finds that a sum is not finite:
        looking at every entry beforehand would be another pass.
    """

    columns: list[FloatArray]
    weights: FloatArray | None
    labels: dict[str, Labels]
    check: Callable[[], None]

    def slice(self, start: int, stop: int) -> RowsOfPiece:
        """Some of the rows, views of these."""
        part = slice(start, min(stop, len(self.columns[0])))
        at = np.arange(part.start, part.stop)
        return RowsOfPiece(
            [column[part] for column in self.columns],
            None if self.weights is None else self.weights[part],
            {level: labels.take(at, level) for level, labels in self.labels.items()},
            self.check,
        )


@dataclass(frozen=True)
class Columns:
    """Names of the columns asked for.

    Attributes
    ----------
    blocks : dict of str to list
        Columns of each block, ``x``, ``y``, ``g``, ``c``.
    levels : dict of str to name
        Columns of labels: ``environments``, ``folds``.
    sample_weight : name or None
        Column of weights.
    """

    blocks: dict[str, list[Name]]
    levels: dict[str, Name] = field(default_factory=dict)
    sample_weight: Name | None = None

    @classmethod
    def of(cls, blocks: Mapping[str, Any], levels: Mapping[str, Any], sample_weight: Name | None) -> Columns:
        """Check that names are names, and that no column is asked for twice, but for regressors in both x and g."""
        asked = {block: _names(columns, block) for block, columns in blocks.items() if columns is not None}
        if not asked.get("x"):
            raise ValueError("x names no column; give at least one, for example x=['age', 'dose'].")
        labels = {level: _name(column, level) for level, column in levels.items() if column is not None}
        weight = None if sample_weight is None else _name(sample_weight, "sample_weight")
        seen: dict[Name, str] = {}
        for block, columns in asked.items():
            for column in columns:
                if column in seen and (seen[column], block) != ("x", "g"):
                    raise ValueError(
                        f"Column {column!r} is asked for in {seen[column]} and in {block}; a variable counts once "
                        "(only an exogenous regressor stands in both x and g)."
                    )
                seen[column] = block
        return cls(asked, labels, weight)

    @property
    def variables(self) -> list[Name]:
        """Columns of numbers, in the order of the stacked variables."""
        return [column for columns in self.blocks.values() for column in columns]

    @property
    def all(self) -> list[Name]:
        """Every column that must be read, each once."""
        weight = [] if self.sample_weight is None else [self.sample_weight]
        return list(dict.fromkeys([*self.variables, *self.levels.values(), *weight]))

    @property
    def spec(self) -> dict[str, int | list[str]]:
        """Blocks as `Moments` takes them: names, or sizes where columns are positions."""
        return {
            block: [str(c) for c in columns] if isinstance(columns[0], str) else len(columns)
            for block, columns in self.blocks.items()
        }

    def check(self, present: Sequence[Name], source: str) -> None:
        """Raise for a column that the source does not have."""
        for column in self.all:
            if column not in present:
                some = ", ".join(map(str, list(present)[:20])) + (", …" if len(present) > 20 else "")
                raise ValueError(f"{source} has no column {column!r}; it has {some}.")
            if sum(name == column for name in present) > 1:
                raise ValueError(f"{source} has several columns named {column!r}; rename them.")

    def take(self, get: Callable[[Name], Any], where: str, *, first_row: int = 0) -> RowsOfPiece:
        """Numbers, weights and coded labels of a piece.

        Parameters
        ----------
        get : callable
            From the name of a column to its values: array, pandas or Arrow column.
        where : str
            What the piece is, for messages: "row group 3 of part-0.parquet".
        first_row : int, default 0
            Row of the source at which the piece begins, where messages count rows through.

        Raises
        ------
        ValueError
            For an entry that is missing, infinite or no number, a missing label, or a negative weight: named by
            column, value and row.
        """
        values = {column: _numbers(get(column), column, where, first_row) for column in self.variables}

        def check(values: dict[Name, FloatArray] = values) -> None:
            for column, array in values.items():
                _check_finite(array, column, where, first_row)

        weights = None
        if self.sample_weight is not None:
            check()  # before rows of weight 0 are gone
            weights = _numbers(get(self.sample_weight), self.sample_weight, where, first_row)
            _check_finite(weights, self.sample_weight, where, first_row)
            if weights.size and weights.min() < 0:
                row = int(np.argmin(weights))
                raise ValueError(
                    f"sample_weight must be >= 0, but column {self.sample_weight!r} holds {weights[row]:g} in row "
                    f"{first_row + row} of {where}."
                )
        n = len(next(iter(values.values())))
        coded = (
            {
                level: encode(_labels(get(column)), f"{level}, column {column!r} in {where},", n)
                for level, column in self.levels.items()
            }
            if n
            else {}
        )
        if weights is not None and not weights.all():
            inside = weights > 0
            values = {column: array[inside] for column, array in values.items()}
            weights = weights[inside]
            coded = {level: labels.take(inside, level) for level, labels in coded.items()} if inside.any() else {}
        return RowsOfPiece([values[column][:, None] for column in self.variables], weights, coded, check)


def _names(columns: Any, part: str) -> list[Name]:
    if isinstance(columns, str | int | np.integer) and not isinstance(columns, bool):
        return [_name(columns, part)]
    if not isinstance(columns, Sequence | pd.Index | np.ndarray):
        raise TypeError(f"{part} must be a column's name or a list of them, got {columns!r}. Rows belong to from_rows.")
    names = [_name(column, part) for column in columns]
    if len({type(name) for name in names}) > 1:
        raise TypeError(f"{part} mixes names and positions: {names}.")
    return names


def _name(column: Any, part: str) -> Name:
    if isinstance(column, bool) or not isinstance(column, str | int | np.integer):
        raise TypeError(
            f"{part} must be the name of a column of the source (a position in a Dask array), got {column!r}. Rows "
            "themselves belong to Moments.from_rows."
        )
    return str(column) if isinstance(column, str) else int(column)


def _numbers(values: Any, column: Name, where: str, first_row: int) -> FloatArray:
    """A column as float64, without copying one that is; what is no number is named."""
    array = _plain(values)
    if array.dtype.kind not in "fiub":
        array = _from_objects(array, column, where, first_row)
    return np.asarray(array, dtype=np.float64)


def _check_finite(numbers: FloatArray, column: Name, where: str, first_row: int) -> None:
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = "a missing value" if np.isnan(numbers[row]) else str(numbers[row])
        raise ValueError(
            f"Column {column!r} holds {what} in row {first_row + row} of {where} ({int(wrong.sum())} such there). "
            "Filter these rows, or impute them, before scanning."
        )


def _from_objects(array: np.ndarray, column: Name, where: str, first_row: int) -> FloatArray:
    """Numbers kept as objects - decimals, whole numbers with gaps - as float64; None is NaN."""
    if array.dtype.kind == "O":
        for row, value in enumerate(array):
            number = value is None or value is pd.NA or (hasattr(value, "__float__") and not np.ndim(value))
            if isinstance(value, str | bytes) or not number:
                raise TypeError(
                    f"Column {column!r} holds {value!r} in row {first_row + row} of {where}: not a number. Code it, "
                    "or leave it out."
                )
        return np.array([np.nan if value is None or value is pd.NA else float(value) for value in array])
    raise TypeError(f"Column {column!r} in {where} is of type {array.dtype}, not numbers; code it, or leave it out.")


def _plain(values: Any) -> np.ndarray:
    """A column as a numpy array; Arrow and pandas columns without a copy where they have no gaps."""
    if hasattr(values, "combine_chunks"):  # an Arrow column in chunks
        values = values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
    if hasattr(values, "null_count") and hasattr(values, "to_numpy") and not isinstance(values, pd.Series):
        if hasattr(values, "is_null"):
            kind = str(getattr(values, "type", ""))
            if kind.startswith("decimal"):
                values = values.cast("float64")
        return np.asarray(values.to_numpy(zero_copy_only=False))
    if isinstance(values, pd.Series) and values.dtype.kind in "iufb" and not isinstance(values.dtype, np.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(values)


def _labels(values: Any) -> Any:
    """A column of labels as pandas holds it."""
    return values.to_pandas() if hasattr(values, "combine_chunks") or hasattr(values, "dictionary_encode") else values
