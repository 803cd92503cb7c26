"""Moments of resampled rows: products of every row are summed once, and any resample is one matrix product of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.ivlike._controls import Controlled
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._integrations import Moved
from causalinv.ivlike._products import place_of, products
from causalinv.ivlike._reading import Reading
from causalinv.moments import Moments
from causalinv.transformations import Translation

__all__ = ["Cells", "Readings", "Resampler", "Resamples", "along"]

Cells = tuple[Moments, Moments]  # of rows and of all copies, one cell per fold
Readings = tuple[Reading, BoolArray]  # a stack, and which of them are sound

_PIECE = 2e5  # products summed at once, which stay in the cache
_SUMMED = 5e6  # numbers held at once while resamples are summed: 40 MB
_AT_ONCE, _COPIES = 1e6, 8  # numbers worked with at once, which stay near the cache, copies of moments among them
_MOST = 256  # resamples at once
_CONSTANT = 1e-12  # of a column's squares about the mean of all rows: a spread in a resample that is rounding
_SAME = 1e-9  # relative: means of folds in which a column is constant, and the same constant


@dataclass(frozen=True, eq=False)
class _Table:
    """Sums of products of blocks, per unit of resampling and fold.

    Attributes
    ----------
    spec : dict
        Blocks with their names or sizes.
    products : ndarray of shape (m, K)
        Upper triangle of (1, v)(1, v)', weighted; v is about `centre` in units of `scale`.
    centre, scale : ndarray of shape (k,)
    place : ndarray of int, shape (k + 1, k + 1)
        Column of `products` that holds an entry of the matrix.
    shares : tuple of float
        Of the copies of every row.
    """

    spec: dict[str, Any]
    products: FloatArray
    centre: FloatArray
    scale: FloatArray
    place: IntArray
    shares: tuple[float, ...]

    def moments(self, sums: FloatArray, cells: pd.Index | None = None) -> Moments:
        """Moments of cells from their sums (n_cells, K + 2); without labels each is one of a stack, else folds."""
        full = sums[:, self.place]
        weight = full[:, 0, 0]
        mean = full[:, 0, 1:] / np.where(weight > 0, weight, 1.0)[:, None]
        scatter = full[:, 1:, 1:] - weight[:, None, None] * mean[:, :, None] * mean[:, None, :]
        # A rare category that was not drawn: no variance, and not its rounding, which would be scaled up.
        squares, spread = (np.diagonal(each, axis1=1, axis2=2) for each in (full[:, 1:, 1:], scatter))
        still = spread <= _CONSTANT * squares
        if still.any():
            scatter[still[:, :, None] | still[:, None, :]] = 0.0
            if cells is not None:
                first = np.take_along_axis(mean, np.argmax(still, axis=0)[None], axis=0)
                mean = np.where(still & (np.abs(mean - first) <= _SAME * np.abs(first)), first, mean)
        return Moments.trusted(
            self.spec,
            mean=self.centre + self.scale * mean,
            scatter=scatter * np.outer(self.scale, self.scale),
            weight=np.where(weight > 0, weight, 1.0),
            count=np.maximum(sums[:, -2], 1.0) * len(self.shares),
            cells=pd.RangeIndex(len(weight)) if cells is None else cells,
            weight_sq=sums[:, -1] * sum(share**2 for share in self.shares),
        )


@dataclass(frozen=True, eq=False)
class Resamples:
    """Some resamples, together and one by one.

    Attributes
    ----------
    design : RowDesign
    labels : ndarray of int, shape (C,)
        Of the folds, -1 for rows that only train.
    sums : list of (_Table, ndarray of shape (B, C, K + 2))
        Of rows and, if they differ, of copies: sums of products, rows drawn, and sums of squared weights.
    steps : ndarray of shape (B, q, d) or None
        Directions of every resample, if they are not those of the design.
    """

    design: RowDesign
    labels: IntArray
    sums: list[tuple[_Table, FloatArray]]
    steps: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.sums[0][1])

    @property
    def complete(self) -> BoolArray:
        """Resamples (B,) with rows in every fold."""
        return np.asarray((self.sums[0][1][:, :, -2] > 0).all(axis=1))

    def one(self, r: int) -> Cells:
        """Moments of rows and of copies of a resample, a cell per fold that has rows."""
        keep = self.sums[0][1][r, :, -2] > 0
        return self._cells(lambda part: part[r][keep], pd.Index(self.labels[keep]))

    def design_of(self, r: int) -> RowDesign:
        """The design of a resample."""
        return self.design if self.steps is None else along(self.design, self.steps[r])

    def whole(self) -> Readings | None:
        """Readings (B,) of the resamples; None where they come one by one."""
        return self._readings(lambda part: part.sum(axis=1))

    def folds(self) -> tuple[Readings | None, Readings | None]:
        """Readings (B C) of rows outside and, judged, inside every fold that judges, resample by resample."""
        inside = self.labels >= 0
        return (
            self._readings(lambda part: _others(part)[:, inside].reshape(-1, part.shape[2])),
            self._readings(lambda part: part[:, inside].reshape(-1, part.shape[2]), judged=True),
        )

    def _cells(self, change: Callable[[FloatArray], FloatArray], cells: pd.Index | None = None) -> Cells:
        moments = [table.moments(change(sums), cells) for table, sums in self.sums]
        return moments[0], moments[-1]

    def _readings(self, change: Callable[[FloatArray], FloatArray], *, judged: bool = False) -> Readings | None:
        moments, total = self._cells(change)
        found = self.design.readings(moments, total, judged=judged)
        if found is None or self.steps is None:
            return found
        reading, sound = found
        steps = np.repeat(self.steps, len(moments) // len(self), axis=0)
        return replace(reading, stage=replace(reading.stage, factor=steps)), sound


def along(design: RowDesign, steps: FloatArray) -> RowDesign:
    """The rows under a translation along other directions (q, d), one standard deviation long."""
    assert isinstance(design, Moved)
    claimed = design.augmentation.outcome_invariant
    return design.with_augmentation(Translation(steps, outcome_invariant=claimed))


def _others(parts: FloatArray) -> FloatArray:
    """Sums (B, C, ...) of all folds but each; added, as a fold that is nearly all would cancel."""
    out = np.zeros_like(parts)
    out[:, 1:] += np.cumsum(parts, axis=1)[:, :-1]
    out[:, :-1] += np.cumsum(parts[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return out


class Resampler:
    """Moments of rows, and of all their copies, under any counts of rows or clusters.

    Parameters
    ----------
    design : RowDesign
        The rows.
    reading : Reading
        Of the same design.
    folds : ndarray of int, shape (n,), optional
        Folds that are read apart.
    """

    def __init__(self, design: RowDesign, reading: Reading, folds: IntArray | None = None):
        self.design, self.folds = design, folds
        n = len(design.y)
        groups = np.arange(n) if design.groups is None else design.groups
        self.n_units = int(groups.max()) + 1
        fold = np.zeros(n, dtype=int) if folds is None else folds
        pairs, code = np.unique(np.stack([fold, groups], axis=1), axis=0, return_inverse=True)
        self._fold, self._unit, self._code = pairs[:, 0], pairs[:, 1], code.reshape(-1)
        weight = np.ones(n) if design.weight is None else design.weight
        self._rows, self._square = (
            np.bincount(self._code, weights=each).astype(np.float64) for each in (np.ones(n), weight**2)
        )
        own = {"x": design.expand(design.X), "y": design.y}
        whole = [({key: getattr(each, key) for key in ("x", "g", "z")}, each.share) for each in design.copies()]
        blocks = {"y": design.y}
        if "g" in reading.moments.blocks:
            own["g"] = whole[0][0]["g"]
        moments = reading.moments
        if isinstance(design, Controlled):
            own["c"], moments = design.controls, design.collect()[0].pool()
        self._own = self._table(moments, [(own, 1.0)], weight)
        self._total = None
        if reading.total is not reading.moments:
            self._total = self._table(reading.total, [(each | blocks, share) for each, share in whole], weight)

    def _table(self, moments: Moments, copies: list[tuple[dict[str, FloatArray], float]], weight: FloatArray) -> _Table:
        spec = {name: moments.names[name] or size for name, size in moments.blocks.items()}
        names = tuple(spec)
        centre = moments.mean(names)[0]
        spread = np.sqrt(np.maximum(np.diagonal(moments.cov(names)[0]), 0.0))
        scale = np.where(spread > 0, spread, 1.0)
        size = (len(centre) + 1) * (len(centre) + 2) // 2
        sums = np.zeros((len(self._fold), size))
        step = max(int(_PIECE / size), 1)
        for blocks, share in copies:
            for at in range(0, len(weight), step):
                part = slice(at, at + step)
                v = (np.hstack([blocks[name][part] for name in names]) - centre) / scale
                v[:, spread == 0] = 0.0
                v = np.column_stack([np.ones(len(v)), v])
                each = products(v, share * weight[part])
                if len(self._fold) == len(weight):
                    sums[self._code[part]] += each
                else:
                    np.add.at(sums, self._code[part], each)
        return _Table(spec, sums, centre, scale, place_of(len(centre) + 1), tuple(share for _, share in copies))

    def resamples(self, counts: Sequence[FloatArray], more: int) -> Iterator[Resamples]:
        """Some resamples at a time, for vectors of counts (n_units,), so that memory is bounded.

        Each is given `more` numbers to work with in every fold.
        """
        labels, first = np.unique(self._fold, return_index=True)
        # Folds follow each other in what was summed, so that each is a slice.
        parts = [slice(i, j) for i, j in zip(first, [*first[1:], len(self._fold)], strict=True)]
        tables = [self._own] if self._total is None else [self._own, self._total]
        width = sum(table.place.size for table in tables)
        summed = _how_many(_SUMMED, len(self._fold) + len(labels) * width)
        step = _how_many(_AT_ONCE, len(labels) * (_COPIES * width + more))

        def sums(values: FloatArray, by: FloatArray) -> FloatArray:
            return np.stack([by[:, part] @ values[part] for part in parts], axis=1)

        for at in range(0, len(counts), summed):
            drawn = np.stack(counts[at : at + summed])[:, self._unit]
            size = [sums(self._rows, (drawn > 0).astype(np.float64)), sums(self._square, drawn**2)]
            found = [(table, np.dstack([sums(table.products, drawn), *size])) for table in tables]
            for begin in range(0, len(drawn), step):
                yield Resamples(self.design, labels, [(table, each[begin : begin + step]) for table, each in found])


def _how_many(held: float, each: int) -> int:
    """How many resamples fit into what is held at once."""
    return int(np.clip(held / each, 1, _MOST))
