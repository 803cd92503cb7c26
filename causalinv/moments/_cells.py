"""What `Moments` store, checked once and never changed, and what a method reads from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._accumulate import encode_cells
from causalinv._labels import shown
from causalinv._printing import Printed, Summary, counted
from causalinv._typing import ArrayLike, FloatArray

__all__ = ["Cells", "check_overflow", "columns_of"]

_SAME_WEIGHT = 1e-12  # relative: weights that differ by less differ by rounding, as after a division by their mean
_SAME_SQUARES = 1e-9  # relative: where only sums are known, what their rounding can hide


class _Sizes(dict[str, int]):
    """Sizes of blocks; one that is not there is named beside those that are."""

    def __missing__(self, block: str) -> int:
        raise ValueError(f"These moments have no block {block!r}; they have {', '.join(self)}.")


class Cells(Printed):
    """Stored numbers of `Moments`, which describes them."""

    __slots__ = (
        "_mean",
        "_pooled",
        "_scatter",
        "_slices",
        "blocks",
        "cells",
        "count",
        "names",
        "weight",
        "weight_range",
        "weight_sq",
    )

    blocks: Mapping[str, int]
    names: Mapping[str, tuple[str, ...] | None]
    cells: pd.Index
    count: FloatArray
    weight: FloatArray
    weight_sq: FloatArray
    weight_range: FloatArray
    _mean: FloatArray
    _pooled: Self | None
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
        weight_sq: ArrayLike | None = None,
        weight_range: ArrayLike | None = None,
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
            cells = pd.RangeIndex(n_cells) if cells is None else encode_cells(cells)
        if len(cells) != n_cells or not cells.is_unique:
            raise ValueError(f"cells must be {n_cells} different labels, got {list(cells)}.")
        if any(cells.get_level_values(k).hasnans for k in range(cells.nlevels)):
            raise ValueError(f"cells must have a label each, got {list(cells)}; one is missing.")
        weights = np.broadcast_to(np.asarray(weight, dtype=np.float64), (n_cells,)).copy()
        counts = np.broadcast_to(np.asarray(count, dtype=np.float64), (n_cells,)).copy()
        if not (np.isfinite(means).all() and np.isfinite(scatters).all()):
            raise ValueError("mean and scatter must be finite; a moment that does not exist cannot be stored.")
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise ValueError(f"weight must be positive and finite in every cell, got {weights}.")
        if not ((counts >= 1) & ((counts == np.floor(counts)) | np.isinf(counts))).all():
            raise ValueError(f"count must hold whole numbers >= 1, or inf for a population, got {counts}.")
        if weight_sq is None:
            squares = np.where(np.isinf(counts), 0.0, weights * (weights / counts))
        else:
            squares = np.broadcast_to(np.asarray(weight_sq, dtype=np.float64), (n_cells,)).copy()
            if not (np.isfinite(squares).all() and (squares >= 0).all()):
                raise ValueError(f"weight_sq must be finite and >= 0 in every cell, got {squares}.")
        ends = (
            _ends_of_weight(weights, counts, squares) if weight_range is None else _checked_ends(weight_range, n_cells)
        )
        mirrored = scatters.transpose(0, 2, 1)
        variance = np.diagonal(scatters, axis1=1, axis2=2)
        if (variance < -1e-9 * np.abs(variance).max(initial=0.0)).any():
            raise ValueError(f"scatter has a negative variance: its smallest diagonal entry is {variance.min():.3g}.")
        exact = np.array_equal(scatters, mirrored)  # the cheap question first
        if not exact and np.abs(scatters - mirrored).max() > 1e-9 * np.abs(scatters).max():
            raise ValueError("scatter must be symmetric in every cell.")
        _check_semidefinite(scatters, cells)
        of_weight = {"weight": weights, "count": counts, "weight_sq": squares, "weight_range": ends}
        arrays = {"mean": means, "scatter": scatters} | of_weight
        self._fill(names, sizes, arrays, cells)

    def _fill(
        self,
        names: dict[str, tuple[str, ...] | None],
        sizes: dict[str, int],
        arrays: dict[str, FloatArray],
        cells: pd.Index,
    ) -> None:
        ends = np.cumsum([0, *sizes.values()])
        slices = {b: slice(int(i), int(j)) for b, i, j in zip(sizes, ends[:-1], ends[1:], strict=True)}
        for array in arrays.values():
            array.flags.writeable = False
        values = {
            "blocks": MappingProxyType(_Sizes(sizes)),
            "names": MappingProxyType(names),
            "cells": cells,
            "count": arrays["count"],
            "weight": arrays["weight"],
            "weight_sq": arrays["weight_sq"],
            "weight_range": arrays["weight_range"],
            "_mean": arrays["mean"],
            "_scatter": arrays["scatter"],
            "_slices": slices,
            "_pooled": None,
        }
        for slot, value in values.items():
            object.__setattr__(self, slot, value)

    @classmethod
    def trusted(
        cls,
        blocks: Mapping[str, int | Sequence[str]],
        *,
        mean: FloatArray,
        scatter: FloatArray,
        weight: FloatArray,
        count: FloatArray,
        cells: pd.Index,
        weight_sq: FloatArray | None = None,
        weight_range: FloatArray | None = None,
    ) -> Self:
        """Build from arrays of the right shape that code of this package computed: nothing is checked or copied.

        A scatter that is a sum of squares need not be tested for being one; among 10,000 environments the test would
        cost more than the moments.
        """
        names = {b: None if isinstance(v, int | np.integer) else tuple(v) for b, v in blocks.items()}
        sizes = {b: int(v) if isinstance(v, int | np.integer) else len(v) for b, v in blocks.items()}
        squares = np.where(np.isinf(count), 0.0, weight * (weight / count)) if weight_sq is None else weight_sq
        new = object.__new__(cls)
        ends = _ends_of_weight(weight, count, squares) if weight_range is None else weight_range
        of_weight = {"weight": weight, "count": count, "weight_sq": squares, "weight_range": ends}
        arrays = {"mean": mean, "scatter": scatter} | of_weight
        new._fill(names, sizes, arrays, cells)
        return new

    # -- immutability -------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Moments are immutable; {name} cannot be set. Build a new object instead.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._block_spec(), self._arrays(), self.cells)

    def __repr__(self) -> str:
        blocks = ", ".join(f"{b}: {k}" for b, k in self.blocks.items())
        return f"Moments({blocks}; {counted(len(self), 'cell')}, n={self.count.sum():g})"

    def __len__(self) -> int:
        return len(self.cells)

    # -- what a method reads ------------------------------------------------------------------------------------

    def mean(self, block: str | tuple[str, ...]) -> FloatArray:
        """Means of a block, or of several stacked, shape (n_cells, k)."""
        return self._mean[:, self._at(block)]

    def scatter(self, block: str | tuple[str, ...], other: str | tuple[str, ...] | None = None) -> FloatArray:
        """Centred scatter of a block (or several stacked) with another (default: itself), shape (n_cells, k, k')."""
        rows, columns = self._at(block), self._at(block if other is None else other)
        if isinstance(rows, slice) and isinstance(columns, slice):
            return self._scatter[:, rows, columns]
        size = np.arange(self._mean.shape[1])
        return self._scatter[:, size[rows][:, None], size[columns]]

    def cov(self, block: str | tuple[str, ...], other: str | tuple[str, ...] | None = None) -> FloatArray:
        """Covariance (scatter over weight) of a block with another (default: itself), (n_cells, k, k')."""
        return self.scatter(block, other) / self.weight[:, None, None]

    def second_moment(self, block: str | tuple[str, ...], other: str | tuple[str, ...] | None = None) -> FloatArray:
        """Uncentred second moment E[a b'] of two blocks, shape (n_cells, k, k')."""
        outer = self.mean(block)[:, :, None] * self.mean(block if other is None else other)[:, None, :]
        return self.cov(block, other) + outer

    @property
    def is_population(self) -> bool:
        """Whether every cell holds a population's moments rather than a sample's."""
        return bool(np.isinf(self.count).all())

    @property
    def is_sample(self) -> bool:
        """Whether every cell holds rows that were counted."""
        return bool(np.isfinite(self.count).all())

    @property
    def is_unweighted(self) -> bool:
        """Whether all rows have one and the same weight, whatever it is, in all cells (False for populations)."""
        if not self.is_sample:
            return False
        return bool(np.ptp(self.weight_range) <= _SAME_WEIGHT * self.weight_range.max())

    @property
    def share(self) -> FloatArray:
        """Share of each cell in the total weight, shape (n_cells,)."""
        relative = self.weight / self.weight.max()
        return np.asarray(relative / relative.sum())

    @property
    def effective_count(self) -> FloatArray:
        """Rows of equal weight that would vary as much as these: weight² / weight_sq; inf for a population."""
        return np.divide(
            self.weight * (self.weight / np.where(self.weight_sq > 0, self.weight_sq, 1.0)),
            1.0,
            out=np.full(len(self), np.inf),
            where=self.weight_sq > 0,
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per cell: count, weight, then the mean and standard deviation of every variable."""
        columns: dict[str, Any] = {"count": self.count, "weight": self.weight}
        spread = np.sqrt(np.maximum(np.diagonal(self._scatter, axis1=1, axis2=2), 0.0) / self.weight[:, None])
        at = 0
        for block, size in self.blocks.items():
            for i in range(size):
                known = self.names[block]
                name = (block if size == 1 else f"{block}{i}") if known is None else known[i]
                columns[f"mean {name}"], columns[f"sd {name}"] = self._mean[:, at], spread[:, at]
                at += 1
        return pd.DataFrame(columns, index=self.cells)

    def summary(self) -> Summary:
        """Sizes, means and standard deviations of each cell."""
        kind = "exact moments of a population" if self.is_population else "sums over rows"
        weights = "" if not self.is_sample or self.is_unweighted else "; rows are weighted"
        return Summary(
            "Moments",
            f"mean and standard deviation in each cell ({kind}{weights})",
            "none: these are the data, or a model's own moments",
            self.to_frame(),
        )

    # -- helpers ------------------------------------------------------------------------------------------------

    def _at(self, block: str | tuple[str, ...]) -> slice | np.ndarray:
        if isinstance(block, str):
            return self._slice(block)
        return np.concatenate([np.arange(part.start, part.stop) for part in map(self._slice, block)])

    def _slice(self, block: str) -> slice:
        return self._slices[block] if block in self._slices else slice(self.blocks[block])

    def _level(self, name: str) -> pd.Index:
        if name not in self.cells.names:
            raise ValueError(f"The cells have no level {name!r}; their levels are {list(self.cells.names)}.")
        return self.cells.get_level_values(name)

    def _block_spec(self) -> dict[str, int | Sequence[str]]:
        return {block: self.names[block] or size for block, size in self.blocks.items()}

    def _arrays(self) -> dict[str, FloatArray]:
        return {
            "mean": self._mean,
            "scatter": self._scatter,
            "weight": self.weight,
            "count": self.count,
            "weight_sq": self.weight_sq,
            "weight_range": self.weight_range,
        }

    def _check_same_blocks(self, other: Cells) -> None:
        if dict(self.blocks) != dict(other.blocks) or dict(self.names) != dict(other.names):
            raise ValueError(
                f"Moments of other variables cannot be combined: {self._block_spec()} and {other._block_spec()}."
            )


def _rebuild(
    cls: type[Cells], blocks: Mapping[str, int | Sequence[str]], arrays: dict[str, FloatArray], cells: pd.Index
) -> Cells:
    return cls.trusted(blocks, **{key: np.array(value) for key, value in arrays.items()}, cells=cells)


def _ends_of_weight(weight: FloatArray, count: FloatArray, squares: FloatArray) -> FloatArray:
    """Smallest and largest weight, (n_cells, 2), as far apart as their sums and sums of squares say."""
    counted = np.isfinite(count)
    mean = np.where(counted, weight / np.where(counted, count, 1.0), weight)
    excess = np.where(counted, squares / mean / np.where(counted, weight, 1.0) - 1.0, 0.0)
    spread = np.sqrt(np.where(excess > _SAME_SQUARES, excess, 0.0))
    return mean[:, None] * (1.0 + np.outer(spread, [-1.0, 1.0]))


def _checked_ends(weight_range: ArrayLike, n_cells: int) -> FloatArray:
    ends = np.array(weight_range, dtype=np.float64, ndmin=2)
    if ends.shape != (n_cells, 2) or not (np.isfinite(ends).all() and (ends[:, 0] <= ends[:, 1]).all()):
        raise ValueError(f"weight_range must hold (smallest, largest) for each cell, got {ends.tolist()}.")
    return ends


def _check_semidefinite(scatter: FloatArray, cells: pd.Index) -> None:
    """Raise for a scatter that no variables can have, beyond rounding."""
    if not scatter.shape[1]:
        return
    size = np.abs(scatter).max(axis=(1, 2))
    safe = np.where(size > 0, size, 1.0)[:, None, None]
    values = np.linalg.eigvalsh(scatter / safe)
    wrong = values[:, 0] < -1e-9 * np.maximum(values[:, -1], 0.0)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"scatter of cell {shown(cells[first])} is no covariance: it is not positive semidefinite, its smallest "
            f"eigenvalue is {values[first, 0] * float(size[first]):.3g} and its largest "
            f"{values[first, -1] * float(size[first]):.3g}."
        )


def check_overflow(mean: FloatArray, scatter: FloatArray, weight: FloatArray) -> None:
    if not (np.isfinite(mean).all() and np.isfinite(scatter).all() and np.isfinite(weight).all()):
        raise ValueError(
            "Second moments of these rows overflow: entries or weights are too large (beyond about 1e150). Change "
            "their unit, for example divide each column by its standard deviation."
        )


def columns_of(part: Any, whole: slice, block: str) -> np.ndarray:
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
