"""From rows to the sums that `Moments` hold, and from labels to cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalinv._labels import Labels
from causalinv._matrix import varying
from causalinv._typing import FloatArray

__all__ = ["cell_moments", "clear_rounding", "combine_means", "encode_cells", "row_cells"]

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


def cell_moments(
    columns: list[FloatArray], weights: FloatArray | None, rows: np.ndarray | None
) -> tuple[float, float, FloatArray, FloatArray, float]:
    """Count, weight, mean, centred scatter and squared weight of one cell: two passes over each piece."""
    n = columns[0].shape[0] if rows is None else len(rows)
    at: Any = slice(None) if rows is None else rows
    w = np.ones(n) if weights is None else weights[at]

    # Relative to the cell's first row, constant columns are exactly 0 and large means cost no digits.
    first = np.concatenate([c[0 if rows is None else rows[0]] for c in columns])
    scatter = np.zeros((len(first), len(first)))
    piece_weight, piece_mean = [], []
    buffer = np.empty((min(n, _ROWS_PER_PIECE), len(first)))
    for start in range(0, n, _ROWS_PER_PIECE):
        piece: Any = slice(start, start + _ROWS_PER_PIECE)
        part = w[piece]
        total = part.sum()
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
    weight, shift, between = combine_means(np.array(piece_weight), np.array(piece_mean))
    mean, scatter = first + shift, scatter + between
    clear_rounding(scatter, mean, weight)
    return float(n), weight, mean, scatter, float(w @ w)


def clear_rounding(scatter: FloatArray, mean: FloatArray, weight: float) -> None:
    """Set to exactly 0 what a column of equal numbers shows as spread: 0.3 and 0.1 + 0.2 are one number."""
    still = ~varying(np.diagonal(scatter) / weight, mean)
    if still.any():
        scatter[still] = 0.0
        scatter[:, still] = 0.0


def combine_means(weight: FloatArray, mean: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Weight, mean and between-scatter of groups with these weights (k,) and means (k, p)."""
    total = float(weight.sum())
    # Relative to one of the means, so that a large common mean costs no digits.
    centre = mean[0] + (weight / total) @ (mean - mean[0])
    delta = np.sqrt(weight)[:, None] * (mean - centre)
    return total, centre, delta.T @ delta
