"""Products of the columns of rows, of which sums are second moments."""

from __future__ import annotations

import numpy as np

from causalinv._typing import FloatArray, IntArray

__all__ = ["place_of", "products"]


def products(rows: FloatArray, weight: FloatArray) -> FloatArray:
    """Upper triangles (n, K) of v v' for rows v (n, k), each times its weight (n,)."""
    k = rows.shape[1]
    heavy, out = weight[:, None] * rows, np.empty((len(rows), k * (k + 1) // 2))
    for j, end in enumerate(np.cumsum(np.arange(k, 0, -1))):
        np.multiply(heavy[:, j, None], rows[:, j:], out=out[:, end - k + j : end])
    return out


def place_of(k: int) -> IntArray:
    """Where `products` have an entry of a matrix (k, k)."""
    rows, columns = np.triu_indices(k)
    place = np.empty((k, k), dtype=int)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return place
