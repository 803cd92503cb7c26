"""Moments per cell: the one sufficient statistic that every linear method of this package consumes.

A cell is an environment, a fold, or both. Rows of data, chunks of a file too large for memory, a structural
equation model and an augmentation all *produce* `Moments`; the estimators do not ask which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import ArrayLike, FloatArray, Rows
from causalinv._validation import check_alignment, check_rows, check_sample_weight, column_names

__all__ = ["Moments"]

_ROWS_PER_PIECE = 4_096  # rows centred at a time: bounds the temporary memory and stays in cache


class Moments:
    r"""Count, weight, mean and centred scatter of named blocks of variables, per cell.

    In cell :math:`e` with weights :math:`w_i` the class holds :math:`W_e = \sum w_i`, the weighted mean
    :math:`m_e` and the centred scatter :math:`S_e = \sum w_i (z_i - m_e)(z_i - m_e)'` of the stacked blocks
    :math:`z = (x, y, \dots)`. Storing the *centred* scatter keeps the digits that raw sums of squares lose when
    a mean is large. A population is a cell of weight one and infinite count. Objects are immutable.

    Parameters
    ----------
    blocks : mapping of str to int or sequence of str
        Size, or column names, of each block, in the order of the stacked variables. By convention ``x`` are
        features, ``y`` outcomes, ``g`` instruments or augmentation parameters.
    mean : array-like of shape (p,) or (n_cells, p)
        Means, in the units of the variables.
    scatter : array-like of shape (p, p) or (n_cells, p, p)
        Centred scatter: covariance times weight.
    weight : array-like of shape (n_cells,), default 1
        Sums of weights; positive.
    count : array-like of shape (n_cells,), default inf
        Numbers of rows with positive weight; ``inf`` says that the moments are a population's.
    cells : pandas.Index or sequence, optional
        Unique labels of the cells; 0, 1, … if left out.

    Attributes
    ----------
    blocks : mapping of str to int
        Sizes of the blocks.
    names : mapping of str to (tuple of str or None)
        Column names of each block where they are known.
    cells : pandas.Index
        Labels; a MultiIndex when cells are environment × fold.
    count, weight : ndarray of shape (n_cells,)
        Numbers of rows, sums of weights.

    Raises
    ------
    ValueError
        If shapes disagree, a weight is not positive, a scatter is not symmetric, or an entry is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv import Moments
    >>> X, y = np.array([[0.0], [2.0], [4.0]]), np.array([1.0, 1.0, 4.0])
    >>> m = Moments.from_rows(x=X, y=y)
    >>> m.mean("x")[0], m.cov("x", "y")[0]
    (array([2.]), array([[2.]]))

    Two halves merge to the whole, exactly:

    >>> halves = Moments.from_rows(x=X[:2], y=y[:2]).merge(Moments.from_rows(x=X[2:], y=y[2:]))
    >>> bool(np.allclose(halves.cov("x"), m.cov("x")))
    True
    """

    __slots__ = ("_mean", "_scatter", "_slices", "blocks", "cells", "count", "names", "weight")

    blocks: Mapping[str, int]
    names: Mapping[str, tuple[str, ...] | None]
    cells: pd.Index
    count: FloatArray
    weight: FloatArray
    _mean: FloatArray
    _scatter: FloatArray
    _slices: dict[str, slice]

    def __init__(
        self,
        blocks: Mapping[str, int | Sequence[str]],
        *,
        mean: ArrayLike,
        scatter: ArrayLike,
        weight: ArrayLike = 1.0,
        count: ArrayLike = np.inf,
        cells: pd.Index | Sequence[Any] | None = None,
    ) -> None:
        names = {b: None if isinstance(v, int | np.integer) else tuple(v) for b, v in blocks.items()}
        sizes = {b: int(v) if isinstance(v, int | np.integer) else len(v) for b, v in blocks.items()}
        p = sum(sizes.values())
        means = np.array(mean, dtype=np.float64, ndmin=2)
        scatters = np.array(scatter, dtype=np.float64, ndmin=3)
        n_cells = means.shape[0]
        if means.shape != (n_cells, p) or scatters.shape != (n_cells, p, p):
            raise ValueError(
                f"blocks {sizes} hold {p} variables, so mean must be (n_cells, {p}) and scatter "
                f"(n_cells, {p}, {p}); got {means.shape} and {scatters.shape}."
            )
        if not isinstance(cells, pd.Index):
            cells = pd.RangeIndex(n_cells) if cells is None else pd.Index(cells)
        labels = cells
        if len(labels) != n_cells or not labels.is_unique:
            raise ValueError(f"cells must be {n_cells} different labels, got {list(labels)}.")
        weights = np.broadcast_to(np.asarray(weight, dtype=np.float64), (n_cells,)).copy()
        counts = np.broadcast_to(np.asarray(count, dtype=np.float64), (n_cells,)).copy()
        if not (np.isfinite(means).all() and np.isfinite(scatters).all()):
            raise ValueError("mean and scatter must be finite; a moment that does not exist cannot be stored.")
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise ValueError(f"weight must be positive and finite in every cell, got {weights}.")
        mirrored = scatters.transpose(0, 2, 1)
        variance = np.diagonal(scatters, axis1=1, axis2=2)
        if (variance < -1e-9 * np.abs(variance).max(initial=0.0)).any():
            raise ValueError(f"scatter has a negative variance: its smallest diagonal entry is {variance.min():.3g}.")
        exact = np.array_equal(scatters, mirrored)  # the cheap question first
        if not exact and np.abs(scatters - mirrored).max() > 1e-9 * np.abs(scatters).max():
            raise ValueError("scatter must be symmetric in every cell.")

        ends = np.cumsum([0, *sizes.values()])
        slices = {b: slice(int(i), int(j)) for b, i, j in zip(sizes, ends[:-1], ends[1:], strict=True)}
        for array in (means, scatters, weights, counts):
            array.flags.writeable = False
        values = {
            "blocks": MappingProxyType(sizes),
            "names": MappingProxyType(names),
            "cells": labels,
            "count": counts,
            "weight": weights,
            "_mean": means,
            "_scatter": scatters,
            "_slices": slices,
        }
        for slot, value in values.items():
            object.__setattr__(self, slot, value)

    # -- immutability -------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Moments are immutable; {name} cannot be set. Build a new object instead.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._block_spec(), self._arrays(), self.cells)

    def __repr__(self) -> str:
        blocks = ", ".join(f"{b}: {k}" for b, k in self.blocks.items())
        return f"Moments({blocks}; {len(self)} cell{'s' * (len(self) != 1)}, n={self.count.sum():g})"

    def __len__(self) -> int:
        return len(self.cells)

    # -- producers ----------------------------------------------------------------------------------------------

    @classmethod
    def from_rows(
        cls, *, environments: Rows = None, folds: Rows = None, sample_weight: Rows = None, **blocks: Rows
    ) -> Moments:
        """Moments of rows of data, one cell per environment, fold, or pair of both (sorted by label).

        Rows are taken piece by piece: the mean of a piece first, then its scatter about it; pieces are combined by
        weight and mean.

        Parameters
        ----------
        environments, folds : array-like of shape (n,), optional
            Labels of the rows. Without either there is one cell, labelled 0.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0. A row of weight 0 counts as absent.
        **blocks : array-like of shape (n,) or (n, k)
            The blocks by name, for example ``x=X, y=y``. Frames give their column names.

        Returns
        -------
        Moments

        Raises
        ------
        ValueError
            If rows do not match (lengths, or pandas indexes), an entry is not finite, a label is missing, or a
            cell has no weight.
        """
        if not blocks:
            raise ValueError("from_rows needs at least one block of rows, for example x=X.")
        check_alignment(**blocks, environments=environments, folds=folds, sample_weight=sample_weight)
        spec: dict[str, int | Sequence[str]] = {}
        columns: list[FloatArray] = []
        for block, rows in blocks.items():
            array = check_rows(rows, block)
            columns.append(array)
            names = column_names(rows)
            spec[block] = array.shape[1] if names is None or len(names) != array.shape[1] else names
        n = columns[0].shape[0]
        weights = check_sample_weight(sample_weight, n)
        cells, codes = _cells(n, environments=environments, folds=folds)

        parts = []
        for code in range(len(cells)):
            rows_of_cell = None if codes is None else np.flatnonzero(codes == code)
            parts.append(_cell_moments(columns, weights, rows_of_cell, cells[int(code)]))
        count, weight, mean, scatter = (np.array(part) for part in zip(*parts, strict=True))
        return cls(spec, mean=mean, scatter=scatter, weight=weight, count=count, cells=cells)

    @classmethod
    def from_chunks(cls, chunks: Iterable[Moments | Mapping[str, Rows]]) -> Moments:
        """Moments of data that arrive in pieces, so that memory is bounded by one piece.

        Parameters
        ----------
        chunks : iterable of Moments or mapping
            Each piece as `Moments`, or as the keyword arguments of `from_rows`.

        Returns
        -------
        Moments
            Equal to `from_rows` on all rows together up to rounding.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> chunks = ({"x": rng.normal(size=(100, 3)), "y": rng.normal(size=100)} for _ in range(10))
        >>> Moments.from_chunks(chunks)
        Moments(x: 3, y: 1; 1 cell, n=1000)
        """
        total: Moments | None = None
        for chunk in chunks:
            part = chunk if isinstance(chunk, Moments) else cls.from_rows(**chunk)
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError("from_chunks got no chunk; pass an iterable with at least one piece of data.")
        return total

    # -- what a method reads ------------------------------------------------------------------------------------

    def mean(self, block: str) -> FloatArray:
        """Means of a block, shape (n_cells, k)."""
        return self._mean[:, self._slice(block)]

    def scatter(self, block: str, other: str | None = None) -> FloatArray:
        """Centred scatter of a block with another (default: itself), shape (n_cells, k, k')."""
        return self._scatter[:, self._slice(block), self._slice(other or block)]

    def cov(self, block: str, other: str | None = None) -> FloatArray:
        """Covariance (scatter over weight) of a block with another (default: itself), (n_cells, k, k')."""
        return self.scatter(block, other) / self.weight[:, None, None]

    def second_moment(self, block: str, other: str | None = None) -> FloatArray:
        """Uncentred second moment E[a b'] of two blocks, shape (n_cells, k, k')."""
        outer = self.mean(block)[:, :, None] * self.mean(other or block)[:, None, :]
        return self.cov(block, other) + outer

    # -- algebra of cells ---------------------------------------------------------------------------------------

    def merge(self, other: Moments) -> Moments:
        """Union of the cells; cells with the same label are combined as if their rows had been seen together.

        Raises
        ------
        ValueError
            If blocks or the levels of the cells differ, or a sample would be combined with a population.
        """
        self._check_same_blocks(other)
        if list(self.cells.names) != list(other.cells.names):
            raise ValueError(
                f"Cells of levels {list(self.cells.names)} and {list(other.cells.names)} cannot be merged; pool() both "
                "first, or label both alike."
            )
        labels = self.cells.append(other.cells)
        if labels.is_unique:
            return self._stack(other, labels)
        mine = self.cells.get_indexer(other.cells)
        shared = mine >= 0
        if (np.isinf(other.count[shared]) != np.isinf(self.count[mine[shared]])).any():
            raise ValueError("A sample and a population cannot be combined in one cell; give them different labels.")
        new = np.flatnonzero(mine < 0)
        groups = np.concatenate([np.arange(len(self)), mine])
        groups[len(self) + new] = len(self) + np.arange(len(new))
        cells = self.cells.append(other.cells[new]) if len(new) else self.cells
        return self._stack(other, pd.RangeIndex(len(labels)))._combine(groups, cells)

    def _stack(self, other: Moments, cells: pd.Index) -> Moments:
        mine, theirs = self._arrays(), other._arrays()
        return Moments(self._block_spec(), **{k: np.concatenate([mine[k], theirs[k]]) for k in mine}, cells=cells)

    def _arrays(self) -> dict[str, FloatArray]:
        return {"mean": self._mean, "scatter": self._scatter, "weight": self.weight, "count": self.count}

    def _combine(self, groups: np.ndarray, cells: pd.Index) -> Moments:
        """Combine the cells of each group: the scatter of the parts plus that of their means."""
        arrays: dict[str, list[Any]] = {"mean": [], "scatter": [], "weight": [], "count": []}
        for k in range(len(cells)):
            part = groups == k
            total, centre, between = _combine_means(self.weight[part], self._mean[part])
            arrays["mean"].append(centre)
            arrays["scatter"].append(self._scatter[part].sum(axis=0) + between)
            arrays["weight"].append(total)
            arrays["count"].append(self.count[part].sum())
        return Moments(self._block_spec(), **{k: np.array(v) for k, v in arrays.items()}, cells=cells)

    def subtract(self, other: Moments) -> Moments:
        """Take rows that are in here out again: the inverse of `merge` on cells with the same label.

        Two single-cell objects match whatever their labels. Rounding grows when nearly all weight is taken out;
        prefer ``select`` and ``pool`` of the cells that stay where they are at hand.

        Raises
        ------
        ValueError
            If a cell of `other` is not here, would leave no weight, or cannot have been part of this one.
        """
        self._check_same_blocks(other)
        mine = np.zeros(1, int) if len(self) == len(other) == 1 else self.cells.get_indexer(other.cells)
        if (mine < 0).any():
            raise ValueError(f"Cells {list(other.cells[mine < 0])} are not in {list(self.cells)}: nothing to subtract.")
        count, weight = self.count.copy(), self.weight.copy()
        mean, scatter = self._mean.copy(), self._scatter.copy()
        for j, i in enumerate(mine.tolist()):
            left = weight[i] - other.weight[j]
            if not left > 1e-12 * weight[i]:
                raise ValueError(
                    f"Subtracting weight {other.weight[j]:g} from weight {weight[i]:g} leaves nothing in cell "
                    f"{self.cells[i]!r}; use select(cells=...) to leave a whole cell out."
                )
            rest = mean[i] + (mean[i] - other._mean[j]) * (other.weight[j] / left)
            delta = other._mean[j] - rest
            scatter[i] -= other._scatter[j] + np.outer(delta, delta) * (left * other.weight[j] / weight[i])
            size = np.diag(self._scatter[i])
            if (np.diag(scatter[i]) < -1e-9 * size).any():
                raise ValueError(
                    f"Subtracting from cell {self.cells[i]!r} leaves a negative variance: these rows were not in it."
                )
            mean[i], weight[i] = rest, left
            count[i] = count[i] - other.count[j] if np.isfinite(other.count[j]) else count[i]
        return Moments(self._block_spec(), mean=mean, scatter=scatter, weight=weight, count=count, cells=self.cells)

    def select(
        self,
        *,
        cells: Sequence[Any] | None = None,
        environments: Sequence[Any] | None = None,
        folds: Sequence[Any] | None = None,
        **columns: Sequence[int] | np.ndarray | bool,
    ) -> Moments:
        """Keep some cells and some variables.

        Parameters
        ----------
        cells, environments, folds : sequence of labels, optional
            Cells to keep, by label or by one level of it.
        **columns : sequence of int, or True
            Blocks to keep, each whole (True), by positions, or by a boolean mask. Left out: every block whole.

        Returns
        -------
        Moments

        Examples
        --------
        >>> import numpy as np
        >>> m = Moments.from_rows(x=np.eye(4), y=np.arange(4.0), environments=["a", "a", "b", "b"])
        >>> m.select(environments=["b"], x=[0, 2], y=True)
        Moments(x: 2, y: 1; 1 cell, n=2)
        """
        keep = np.ones(len(self), bool)
        for level, wanted in (("cells", cells), ("environments", environments), ("folds", folds)):
            if wanted is None:
                continue
            labels = self.cells if level == "cells" else self._level(level)
            missing = [label for label in wanted if label not in labels]
            if missing:
                raise ValueError(f"No cell has {level} {missing}; there are {list(labels.unique())}.")
            keep &= labels.isin(list(wanted))
        if not keep.any():
            raise ValueError("No cell is left after this selection.")
        chosen = columns or dict.fromkeys(self.blocks, True)
        spec: dict[str, int | Sequence[str]] = {}
        positions = []
        for block, part in chosen.items():
            inside = _positions(part, self._slice(block), block)
            names = self.names[block]
            spec[block] = len(inside) if names is None else [names[i] for i in inside]
            positions.append(self._slice(block).start + inside)
        at = np.concatenate(positions)
        return Moments(
            spec,
            mean=self._mean[np.ix_(keep, at)],
            scatter=self._scatter[np.ix_(keep, at, at)],
            weight=self.weight[keep],
            count=self.count[keep],
            cells=self.cells[keep],
        )

    def pool(self, *, by: str | None = None) -> Moments:
        """Merge all cells into one (labelled 0), or into one per label of the level `by`.

        Rows count by their weight; populations count equally, as each has weight one.
        """
        if by is None:
            if len(self) == 1 and self.cells.names == [None] and self.cells[0] == 0:
                return self
            return self._combine(np.zeros(len(self), int), pd.RangeIndex(1))
        groups, labels = pd.factorize(self._level(by), sort=True)
        return self._combine(groups, labels.rename(by))

    # -- helpers ------------------------------------------------------------------------------------------------

    def _slice(self, block: str) -> slice:
        try:
            return self._slices[block]
        except KeyError:
            raise ValueError(f"These moments have no block {block!r}; they have {', '.join(self.blocks)}.") from None

    def _level(self, name: str) -> pd.Index:
        if name not in self.cells.names:
            raise ValueError(f"The cells have no level {name!r}; their levels are {list(self.cells.names)}.")
        return self.cells.get_level_values(name)

    def _block_spec(self) -> dict[str, int | Sequence[str]]:
        return {block: self.names[block] or size for block, size in self.blocks.items()}

    def _check_same_blocks(self, other: Moments) -> None:
        if dict(self.blocks) != dict(other.blocks) or dict(self.names) != dict(other.names):
            raise ValueError(
                f"Moments of other variables cannot be combined: {self._block_spec()} and {other._block_spec()}."
            )


def _positions(part: Any, whole: slice, block: str) -> np.ndarray:
    """Positions inside a block, from True, positions, or a mask."""
    size = whole.stop - whole.start
    if part is True:
        return np.arange(size)
    inside = np.atleast_1d(np.asarray(part))
    if inside.dtype == bool and inside.shape == (size,) and not isinstance(part, bool):
        return np.flatnonzero(inside)
    if inside.ndim != 1 or (inside.size and inside.dtype.kind not in "iu"):
        raise ValueError(f"Block {block!r} is selected by True, positions, or a mask of length {size}; got {part!r}.")
    if inside.size and not (inside.min() >= 0 and inside.max() < size):
        raise ValueError(f"Block {block!r} has columns 0…{size - 1}, got {inside.tolist()}.")
    return inside.astype(int)


def _rebuild(blocks: Mapping[str, int | Sequence[str]], arrays: dict[str, FloatArray], cells: pd.Index) -> Moments:
    return Moments(blocks, **arrays, cells=cells)


def _cells(n: int, **levels: Rows) -> tuple[pd.Index, np.ndarray | None]:
    """Sorted labels of the cells and the code of each row's cell (None: one cell)."""
    given = {name: labels for name, labels in levels.items() if labels is not None}
    if not given:
        return pd.RangeIndex(1), None
    codes, indexes = [], []
    for name, labels in given.items():
        values = np.asarray(labels)
        if values.shape != (n,):
            raise ValueError(f"{name} must hold one label per row, shape ({n},), got shape {values.shape}.")
        code, unique = pd.factorize(pd.Index(values), sort=True)
        if (code < 0).any():
            raise ValueError(f"{name} has a missing label in row {int(np.argmin(code))}; every row needs one.")
        codes.append(code)
        indexes.append(pd.Index(unique, name=name))
    if len(given) == 1:
        return indexes[0], codes[0]
    flat, present = pd.factorize(codes[0] * len(indexes[1]) + codes[1], sort=True)
    pairs = np.divmod(present, len(indexes[1]))
    arrays = [index.take(at) for index, at in zip(indexes, pairs, strict=True)]
    return pd.MultiIndex.from_arrays(arrays, names=list(given)), flat


def _cell_moments(
    columns: list[FloatArray], weights: FloatArray | None, rows: np.ndarray | None, cell: Any
) -> tuple[float, float, FloatArray, FloatArray]:
    """Count, weight, mean and centred scatter of one cell: two passes over each piece, pieces combined by means."""
    n = columns[0].shape[0] if rows is None else len(rows)
    at: Any = slice(None) if rows is None else rows
    w = np.ones(n) if weights is None else weights[at]
    if not w.sum() > 0:
        raise ValueError(f"Cell {cell!r} has no row of positive weight; drop its label or give it weight.")

    # Relative to the cell's first row that counts, constant columns are exactly 0 and large means cost no digits.
    origin = int(np.argmax(w > 0))
    first = np.concatenate([c[origin if rows is None else rows[origin]] for c in columns])
    scatter = np.zeros((len(first), len(first)))
    piece_weight, piece_mean = [], []
    buffer = np.empty((min(n, _ROWS_PER_PIECE), len(first)))
    for start in range(0, n, _ROWS_PER_PIECE):
        piece: Any = slice(start, start + _ROWS_PER_PIECE)
        part = w[piece]
        total = part.sum()
        if not total > 0:
            continue
        z = buffer[: len(part)]
        np.concatenate([c[piece if rows is None else rows[piece]] for c in columns], axis=1, out=z)
        z -= first
        mean = (part @ z) / total
        z -= mean
        if weights is not None:
            z *= np.sqrt(part)[:, None]
        scatter += z.T @ z
        piece_weight.append(total)
        piece_mean.append(mean)
    weight, shift, between = _combine_means(np.array(piece_weight), np.array(piece_mean))
    return float(np.count_nonzero(w)), weight, first + shift, scatter + between


def _combine_means(weight: FloatArray, mean: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Weight, mean and between-scatter of groups with these weights (k,) and means (k, p)."""
    total = float(weight.sum())
    # Relative to one of the means, so that a large common mean costs no digits.
    centre = mean[0] + (weight / total) @ (mean - mean[0])
    delta = np.sqrt(weight)[:, None] * (mean - centre)
    return total, centre, delta.T @ delta
