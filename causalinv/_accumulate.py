"""From rows to the sums that `Moments` hold, and from labels to cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from causalinv._labels import Labels, encode
from causalinv._matrix import constant_columns, varying
from causalinv._typing import FloatArray

__all__ = [
    "Group",
    "Running",
    "Sums",
    "cell_sums",
    "clear_rounding",
    "combine_cells",
    "encode_cells",
    "row_cells",
]

_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)
_ROWS_PER_PIECE = 4_096  # rows centred at a time: bounds the temporary memory and stays in cache


def encode_cells(labels: Sequence[Any]) -> pd.Index:
    """An index of labels in their order; tuples stay labels."""
    found = list(labels)
    if not any(isinstance(label, tuple) for label in found):
        return pd.Index(found)
    array = np.empty(len(found), dtype=object)
    array[:] = found
    return pd.Index(array, tupleize_cols=False)


def row_cells(coded: dict[str, Labels]) -> tuple[pd.Index, np.ndarray | None]:
    """Sorted labels of the cells and the code of each row's cell (None: one cell)."""
    if not coded:
        return pd.RangeIndex(1), None
    if len(coded) == 1:
        level, labels = next(iter(coded.items()))
        return labels.names.rename(level), labels.codes
    first, second = coded.values()
    flat, present = pd.factorize(first.codes * len(second) + second.codes, sort=True)
    pairs = np.divmod(present, len(second))
    arrays = [labels.names.take(at) for labels, at in zip((first, second), pairs, strict=True)]
    return pd.MultiIndex.from_arrays(arrays, names=list(coded)), flat


@dataclass(eq=False)
class Sums:
    """Of K cells: count, weight, squared weight (K,), least and largest (K, 2), mean (K, p), scatter (K, p, p)."""

    count: FloatArray
    weight: FloatArray
    weight_sq: FloatArray
    weight_range: FloatArray
    mean: FloatArray
    scatter: FloatArray

    def each(self, function: Callable[[FloatArray], FloatArray]) -> Sums:
        """A function of every array, along the cells."""
        return Sums(*(function(part) for part in self.arrays.values()))

    def take(self, cells: Any) -> Sums:
        """Some of the cells, or all in another order."""
        return self.each(lambda part: part[cells])

    @property
    def arrays(self) -> dict[str, FloatArray]:
        """The arrays by name."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


def cell_sums(
    columns: Sequence[FloatArray], weights: FloatArray | None, codes: np.ndarray | None, n_cells: int
) -> Sums:
    """Sums of every cell of some rows.

    Parameters
    ----------
    columns : sequence of ndarray of shape (n, k_b)
        Blocks of variables, p columns in all.
    weights : ndarray of shape (n,), optional
        Positive weights.
    codes : ndarray of shape (n,), optional
        Cell of each row, 0 … n_cells - 1, every one with a row; None: one cell.
    n_cells : int
        Number of cells.
    """
    if codes is None:
        groups: list[np.ndarray | None] = [None]
    else:  # rows sorted once, however many cells there are
        groups = list(np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=n_cells))[:-1]))
    return Sums(*map(np.array, zip(*(_one_cell(columns, weights, rows) for rows in groups), strict=True)))


def _one_cell(
    columns: Sequence[FloatArray], weights: FloatArray | None, rows: np.ndarray | None
) -> tuple[float, float, float, FloatArray, FloatArray, FloatArray]:
    """Count, weight, squared weight, least and largest, mean and centred scatter of one cell."""
    n = columns[0].shape[0] if rows is None else len(rows)
    ends = np.cumsum([c.shape[1] for c in columns])
    buffer = np.empty((int(ends[-1]), min(n, _ROWS_PER_PIECE)))

    def fill(start: int, origin: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Rows from `start` on about an origin, a variable a line: columns stored apart are read in one go."""
        piece: Any = slice(start, min(start + _ROWS_PER_PIECE, n))
        at: Any = piece if rows is None else rows[piece]
        z = buffer[:, : piece.stop - start]
        for column, end in zip(columns, ends, strict=True):
            block = slice(end - column.shape[1], end)
            np.subtract(column[at].T, origin[block, None], out=z[block])
        return z, None if weights is None else weights[at]

    # About the mean of the first piece, taken about its first row: constant columns are exactly 0, and neither a large
    # mean nor one wild first row costs digits.
    origin = np.concatenate([c[0 if rows is None else rows[0]] for c in columns])
    z, part = fill(0, origin)
    origin = origin + (z.mean(axis=1) if part is None else (z @ part) / part.sum())
    scatter = np.zeros((len(origin), len(origin)))
    piece_weight, piece_mean, squares, ends_of_weight = [], [], 0.0, np.ones(2)
    if weights is not None:
        own = weights if rows is None else weights[rows]
        ends_of_weight = np.array([own.min(), own.max()])
    for start in range(0, n, _ROWS_PER_PIECE):
        z, part = fill(start, origin)
        if part is None:
            total = float(z.shape[1])
            squares += total
            mean = z.sum(axis=1) / total
        else:
            total = float(part.sum())
            squares += float(part @ part)
            mean = (z @ part) / total
            z *= np.sqrt(part)
        scatter += np.dot(z, z.T)  # unlike `@`, which for one product keeps other threads waiting
        piece_weight.append(total)
        piece_mean.append(mean)
    weight = float(np.sum(piece_weight))
    shift = (np.array(piece_weight) / weight) @ np.array(piece_mean)
    mean = origin + shift
    scatter -= weight * np.outer(shift, shift)
    clear_rounding(scatter, mean, weight)
    return float(n), weight, squares, ends_of_weight, mean, scatter


def clear_rounding(scatter: FloatArray, mean: FloatArray, weight: float | FloatArray) -> None:
    """Set to exactly 0 what a column of equal numbers shows as spread: 0.3 and 0.1 + 0.2 are one number.

    One cell, or cells stacked along the first axis.
    """
    variance = np.diagonal(scatter, axis1=-2, axis2=-1) / np.asarray(weight)[..., None]
    still = ~varying(variance, mean) & ~np.isnan(variance)  # what overflowed is for others to refuse
    if still.any():
        scatter[still[..., :, None] | still[..., None, :]] = 0.0


def combine_cells(sums: Sums, groups: np.ndarray, n_groups: int) -> Sums:
    """Sums of groups of cells: the scatter of the parts plus that of their means.

    Parameters
    ----------
    sums : Sums
        Of K cells.
    groups : ndarray of shape (K,)
        Group of each cell, 0 … n_groups - 1, every one with a cell.
    n_groups : int
        Number of groups.
    """
    order = np.argsort(groups, kind="stable")
    group = groups[order]
    starts = np.searchsorted(group, np.arange(n_groups))
    sums = sums.take(order)
    weight, mean = sums.weight, sums.mean

    def total(part: FloatArray) -> FloatArray:
        return np.add.reduceat(part, starts, axis=0)

    whole = total(weight)
    # Relative to one of the means, so that a large common mean costs no digits.
    first = mean[starts]
    centre = first + total((weight / whole[group])[:, None] * (mean - first[group]))
    delta = np.sqrt(weight)[:, None] * (mean - centre[group])
    combined = total(sums.scatter + delta[:, :, None] * delta[:, None, :])
    counts = total(sums.count)
    sampled = np.isfinite(counts)
    if sampled.any():
        part = combined[sampled]
        clear_rounding(part, centre[sampled], whole[sampled])
        combined[sampled] = part
    ends = (np.minimum, np.maximum)
    weight_range = np.stack([f.reduceat(sums.weight_range[:, k], starts) for k, f in enumerate(ends)], axis=1)
    return Sums(counts, whole, total(sums.weight_sq), weight_range, centre, combined)


class Running:
    """Sums of cells from pieces of rows that arrive one after the other; memory is that of the cells.

    Parameters
    ----------
    levels : sequence of str
        What a cell is: ``()``, or "environments", "folds", or both.
    """

    def __init__(self, levels: Sequence[str] = ()) -> None:
        self.levels = tuple(levels)
        self.position: dict[Any, int] = {}
        self.dtypes: list[Any] = []
        self._sums: Sums | None = None

    def add(self, cells: pd.Index, piece: Sums) -> None:
        """Take in the cells of a piece of rows; a label seen before goes on where it stood."""
        self._know([cells.get_level_values(k).dtype for k in range(cells.nlevels)])
        self._add(cells.tolist(), piece)

    def _add(self, labels: list[Any], piece: Sums) -> None:
        if self._sums is None:
            room = len(labels)
            self._sums = piece.each(lambda part: np.zeros((room, *part.shape[1:])))
        known = len(self.position)
        at = np.array([self.position.setdefault(label, len(self.position)) for label in labels], dtype=np.intp)
        if len(self.position) > len(self._sums.count):
            more = max(len(self.position), 2 * len(self._sums.count)) - len(self._sums.count)
            self._sums = self._sums.each(lambda part: np.concatenate([part, np.zeros((more, *part.shape[1:]))]))
        old = at < known
        for name, total in self._sums.arrays.items():
            total[at[~old]] = piece.arrays[name][~old]
        if old.any():
            self._join(at[old], piece.take(old))

    def _know(self, dtypes: list[Any]) -> None:
        """Remember the type of the labels; pieces of one column of objects may hold numbers here and texts there."""
        if dtypes and self.dtypes:
            dtypes = [mine if mine == other else object for mine, other in zip(self.dtypes, dtypes, strict=True)]
        self.dtypes = dtypes or self.dtypes

    def _join(self, at: np.ndarray, piece: Sums) -> None:
        mine = self._sums
        assert mine is not None
        before = mine.weight[at]
        mine.weight[at] += piece.weight
        share = piece.weight / mine.weight[at]
        delta = piece.mean - mine.mean[at]
        between = (before * share)[:, None, None] * (delta[:, :, None] * delta[:, None, :])
        mine.mean[at] += share[:, None] * delta
        mine.scatter[at] += piece.scatter + between
        mine.count[at] += piece.count
        mine.weight_sq[at] += piece.weight_sq
        for k, further in enumerate((np.minimum, np.maximum)):
            mine.weight_range[at, k] = further(mine.weight_range[at, k], piece.weight_range[:, k])

    def merge(self, other: Running) -> None:
        """Take in what another one has seen."""
        if other._sums is None:
            return
        self._know(other.dtypes)
        self._add(list(other.position), other._sums.take(slice(len(other.position))))

    def finish(self) -> tuple[pd.Index, Sums]:
        """Labels of the cells, sorted and named as `row_cells` does, and their sums."""
        if self._sums is None:
            raise ValueError("There is no row of positive weight: nothing to sum.")
        labels = list(self.position)
        columns = [list(part) for part in zip(*labels, strict=True)] if len(self.levels) > 1 else [labels]
        coded = {
            level: encode(pd.Series(column, dtype=dtype), level)
            for level, column, dtype in zip(self.levels, columns, self.dtypes, strict=False)
        }
        cells, codes = row_cells(coded)
        sums = self._sums.take(slice(1) if codes is None else np.argsort(codes))
        clear_rounding(sums.scatter, sums.mean, sums.weight)
        # A column that is one number has one mean, not one per cell that differs by rounding.
        still = constant_columns(sums.mean) & (np.diagonal(sums.scatter, axis1=1, axis2=2) == 0.0).all(axis=0)
        sums.mean[:, still] = sums.mean[0, still]
        return cells, sums


class Group(NamedTuple):
    """Weight, mean (p,) and centred scatter (p, p) of some rows."""

    weight: Any  # a number, or one for each of many groups
    mean: FloatArray
    scatter: FloatArray

    def without(self, part: Group, name: Any) -> Group:
        """The rows that are left when those of `part` are taken out; raises if they cannot have been in here.

        Rounding grows when nearly all weight is taken out.
        """
        parts = Group(np.array([part.weight]), part.mean[None], part.scatter[None])
        left = self.without_each(parts, [name])
        return Group(float(left.weight[0]), left.mean[0], left.scatter[0])

    def without_each(self, parts: Group, names: Sequence[Any]) -> Group:
        """`without` of many parts, each alone: weights (E,), means (E, p) and scatters (E, p, p)."""
        left = np.asarray(self.weight - parts.weight)
        empty = ~(left > 1e-12 * self.weight)
        if empty.any():
            e = int(np.argmax(empty))
            raise ValueError(
                f"Subtracting weight {parts.weight[e]:g} from weight {self.weight:g} leaves nothing in cell "
                f"{names[e]!r}; use select(cells=...) to leave a whole cell out."
            )
        mean = self.mean + (self.mean - parts.mean) * (parts.weight / left)[:, None]
        delta = parts.mean - mean
        between = (left * parts.weight / self.weight)[:, None, None] * (delta[:, :, None] * delta[:, None, :])
        scatter = self.scatter - (parts.scatter + between)
        # What a rounding of the means, and of the sums, can show as scatter of the rest.
        whole = np.maximum(np.diag(self.scatter), 0.0)
        moved = _ROUNDING * np.abs(self.mean) * np.sqrt(self.weight * parts.weight / left)[:, None]
        rounding = _ROUNDING * whole + moved * (2.0 * np.sqrt(whole) + moved)
        spread = np.diagonal(scatter, axis1=1, axis2=2)
        negative = (spread < -1e-9 * whole - rounding).any(axis=1)
        if negative.any():
            raise ValueError(
                f"Subtracting from cell {names[int(np.argmax(negative))]!r} leaves a negative variance: these rows "
                "were not in it."
            )
        still = spread <= rounding
        scatter[still[:, :, None] | still[:, None, :]] = 0.0
        return Group(left, mean, scatter)
