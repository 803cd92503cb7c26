"""Moments of resampled rows: products of every row are summed once, and any resample is one matrix product of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray, IntArray
from causalinv.ivlike._controls import Controlled
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._reading import Reading
from causalinv.moments import Moments

__all__ = ["Resampler"]

_BATCH = 2e7  # numbers held at once: 160 MB
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

    def moments(self, sums: FloatArray, *, count: FloatArray, square: FloatArray, cells: pd.Index) -> Moments:
        """Moments of cells from their sums (n_cells, K)."""
        full = sums[:, self.place]
        weight = full[:, 0, 0]
        mean = full[:, 0, 1:] / weight[:, None]
        scatter = full[:, 1:, 1:] - weight[:, None, None] * mean[:, :, None] * mean[:, None, :]
        # A rare category that was not drawn: no variance, and not its rounding, which would be scaled up.
        squares, spread = (np.diagonal(each, axis1=1, axis2=2) for each in (full[:, 1:, 1:], scatter))
        still = spread <= _CONSTANT * squares
        if still.any():
            scatter[still[:, :, None] | still[:, None, :]] = 0.0
            first = np.take_along_axis(mean, np.argmax(still, axis=0)[None], axis=0)
            mean = np.where(still & (np.abs(mean - first) <= _SAME * np.abs(first)), first, mean)
        return Moments.trusted(
            self.spec,
            mean=self.centre + self.scale * mean,
            scatter=scatter * np.outer(self.scale, self.scale),
            weight=weight.copy(),
            count=count * len(self.shares),
            cells=cells,
            weight_sq=square * sum(share**2 for share in self.shares),
        )


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
        rows, columns = np.triu_indices(len(centre) + 1)
        products = np.zeros((len(self._fold), len(rows)))
        step = max(int(_BATCH / 4 / len(rows)), 1)
        for blocks, share in copies:
            for at in range(0, len(weight), step):
                part = slice(at, at + step)
                v = (np.hstack([blocks[name][part] for name in names]) - centre) / scale
                v[:, spread == 0] = 0.0
                v = np.column_stack([np.ones(len(v)), v])
                each = (share * weight[part])[:, None] * v[:, rows] * v[:, columns]
                if len(self._fold) == len(weight):
                    products[self._code[part]] += each
                else:
                    np.add.at(products, self._code[part], each)
        place = np.empty((len(centre) + 1, len(centre) + 1), dtype=int)
        place[rows, columns] = place[columns, rows] = np.arange(len(rows))
        return _Table(spec, products, centre, scale, place, tuple(share for _, share in copies))

    def readings(self, counts: list[FloatArray]) -> Iterator[tuple[Moments, Moments]]:
        """Moments of rows and of copies, one cell per fold, for every vector of counts (n_units,)."""
        labels = np.unique(self._fold)
        width = self._own.products.shape[1] + (0 if self._total is None else self._total.products.shape[1])
        step = max(int(_BATCH / (len(self._fold) + width * len(labels))), 1)
        for at in range(0, len(counts), step):
            drawn = np.stack(counts[at : at + step])[:, self._unit]
            inside = [self._fold == label for label in labels]
            present = (drawn > 0).astype(np.float64)

            def sums(values: Any, by: FloatArray, masks: list[Any] = inside) -> FloatArray:
                return np.stack([by[:, mask] @ values[mask] for mask in masks], axis=1)

            weights, squares = sums(self._rows, present), sums(self._square, drawn**2)
            own = sums(self._own.products, drawn)
            total = None if self._total is None else sums(self._total.products, drawn)
            for r in range(len(drawn)):
                keep = weights[r] > 0
                cells = pd.Index(labels[keep])
                given: dict[str, Any] = {"count": weights[r][keep], "square": squares[r][keep], "cells": cells}
                moments = self._own.moments(own[r][keep], **given)
                yield (
                    moments,
                    moments if total is None or self._total is None else self._total.moments(total[r][keep], **given),
                )
