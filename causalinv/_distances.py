"""Distances between rows, in blocks: no matrix of all pairs is ever held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from causalinv._matrix import centred
from causalinv._typing import FloatArray

__all__ = ["blocks", "common_unit", "mean_distances", "moved_share", "squared_distances"]

EXACT_ROWS = 5_000  # up to here all pairs are formed
_BLOCK = 1_000


def blocks(n: int, size: int = _BLOCK) -> Iterator[slice]:
    """Slices that cover n rows, `size` at a time."""
    return (slice(at, min(at + size, n)) for at in range(0, n, size))


def common_unit(*tables: FloatArray) -> float:
    """The power of two at or below the largest absolute entry: divided by it, no digit changes and squares are finite.

    1 if all entries are 0.
    """
    top = max(float(np.abs(table).max(initial=0.0)) for table in tables)
    return float(np.ldexp(1.0, int(np.frexp(top)[1]) - 1)) if top > 0 else 1.0


def squared_distances(first: FloatArray, second: FloatArray) -> FloatArray:
    """Squared distances (a, b) between rows of two centred tables; never below 0 by rounding."""
    out = first @ second.T
    out *= -2.0
    out += np.sum(first**2, axis=1)[:, None]
    out += np.sum(second**2, axis=1)
    return np.asarray(np.maximum(out, 0.0, out=out))


def mean_distances(rows: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Mean distance (n,) of each row to the others; their mean is that over all pairs.

    Up to 5,000 rows all pairs are used. Beyond, the rows are split at random into blocks of about 5,000 and each is
    compared with the others of its block: unbiased, and its error beyond that of all pairs is of order 1/5,000.
    """
    n = len(rows)
    n_blocks = -(-n // EXACT_ROWS)
    order = np.arange(n) if n_blocks == 1 else rng.permutation(n)
    out = np.empty(n)
    for part in np.array_split(order, n_blocks):
        inside = rows[part] - rows[part].mean(axis=0)
        for piece in blocks(len(part)):
            distance = np.sqrt(squared_distances(inside[piece], inside))
            at = np.arange(piece.start, piece.stop)
            distance[at - piece.start, at] = 0.0
            out[part[piece]] = distance.sum(axis=1) / (len(part) - 1)
    return out


def moved_share(rows: FloatArray, moved: FloatArray, rng: np.random.Generator) -> tuple[float, FloatArray]:
    """Mean distance to the moved row over the mean distance of two rows, and its influence (n,) per row.

    NaN if all rows are one point.
    """
    unit = common_unit(rows, moved)
    rows, steps = rows / unit, moved / unit - rows / unit
    rows = centred(rows)
    own, far = common_unit(rows), common_unit(steps)
    around = mean_distances(rows / own, rng)
    spread = float(around.mean())
    if not spread > 0:
        return float("nan"), np.full(len(rows), np.nan)
    step = np.sqrt(np.sum((steps / far) ** 2, axis=1)) * (far / own)
    share = float(step.mean()) / spread
    influence = step / spread - share * (1.0 + 2.0 * (around - spread) / spread)
    return share, influence
