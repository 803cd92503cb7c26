r"""Kernels averaged over frames, and ridge regression on them with its penalty by generalised cross-validation.

:math:`k_G(x, x') = \sum w_g w_{g'}\, k(g^{-1}x, g'^{-1}x')`, both sums over frames, does not change when x or x'
moves. For groups of signed permutations, which keep distances, one sum is enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from causalinv._matrix import factor_split, range_eigh
from causalinv._typing import FloatArray
from causalinv.transformations import Frame, Transformation

__all__ = ["Invariants", "bandwidth", "check_unit", "gaussian", "loo_residuals", "pairwise"]

_BLOCK = 2_000_000  # kernel values at once
_PENALTIES = np.logspace(-6, 2, 33)  # of the mean eigenvalue
_RANGE = 1e-12
_TINY, _HUGE = 1e-150, 1e150  # squares beyond are 0 or no float


def check_unit(values: FloatArray, name: str) -> None:
    """Raise if squares of the largest value are no floats."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest > 0 and not _TINY < largest < _HUGE:
        raise ValueError(f"{name} reaches {largest:.3g}: its squares leave the range of floats; choose another unit.")


def bandwidth(rows: FloatArray) -> float:
    """Median distance between (at most 1,000, evenly spaced) rows; 1 if they are all equal."""
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), 1000)).astype(int)]
    i, j = np.triu_indices(len(some), 1)
    apart = cdist(some, some)[i, j]
    apart = apart[apart > 0]
    return float(np.median(apart)) if len(apart) else 1.0


def gaussian(first: FloatArray, second: FloatArray, width: float) -> FloatArray:
    """exp(-|x - x'|² / (2 width²)), shape (n, m)."""
    return np.asarray(np.exp(-cdist(first, second, "sqeuclidean") / (2 * width**2)))


class Invariants:
    """Rows with their frames, ready for averaged kernels.

    Parameters
    ----------
    symmetry : Transformation or None
        None: rows as they are.
    rows : ndarray of shape (n, d)
    names : sequence of str or None
    """

    def __init__(self, symmetry: Transformation | None, rows: FloatArray, names: Sequence[str] | None) -> None:
        self.n = len(rows)
        none = Frame.single(rows, {})
        self.frame = none if symmetry is None else symmetry.frame(rows, names)
        # Signed permutations keep distances, so that one side may stay as it is.
        self.plain = none if symmetry is None or symmetry.averages else self.frame


def pairwise(first: Invariants, second: Invariants, width: float) -> FloatArray:
    """Averaged Gaussian kernel, shape (n, m), in blocks of bounded size."""
    left, right = first.plain, second.frame
    starts = np.flatnonzero(np.r_[True, np.diff(right.source) > 0])
    out = np.empty((first.n, second.n))
    ends = np.searchsorted(left.source, np.arange(first.n), side="right")
    begin = 0
    while begin < first.n:
        lo = 0 if begin == 0 else ends[begin - 1]
        stop = max(int(np.searchsorted(ends, lo + max(_BLOCK // len(right.rows), 1), side="right")), begin + 1)
        part = slice(lo, ends[stop - 1])
        values = gaussian(left.rows[part], right.rows, width) * right.weights
        values = np.add.reduceat(values, starts, axis=1) * left.weights[part, None]
        own = left.source[part]
        out[begin:stop] = np.add.reduceat(values, np.flatnonzero(np.r_[True, np.diff(own) > 0]), axis=0)
        begin = stop
    return out


def loo_residuals(kernel: FloatArray, y: FloatArray) -> FloatArray:
    """Residuals of kernel ridge regression with an intercept, each row left out; penalty by generalised CV.

    Parameters
    ----------
    kernel : ndarray of shape (n, n) or (n, m)
        The kernel matrix, or features F with F F' ≈ kernel.
    y : ndarray of shape (n,)
    """
    n = len(y)
    target = y - y.mean()
    if kernel.shape[0] == kernel.shape[1]:
        centred = kernel - kernel.mean(axis=0)
        centred -= centred.mean(axis=1, keepdims=True)
        values, vectors, _ = range_eigh(centred, rescale=False, least=_RANGE * n, tol=_RANGE)
    else:
        floors = {"tol": float(np.sqrt(_RANGE)), "least": float(np.sqrt(_RANGE * n))}
        size, axes = factor_split((kernel - kernel.mean(axis=0)).T, **floors)
        values, vectors = size**2, axes.T
    if not len(values):
        return np.asarray(target * n / (n - 1))
    projected = vectors.T @ target
    rest = float(target @ target - projected @ projected)
    shrunk = values / (values + _PENALTIES[:, None] * values.sum() / n)
    error = ((1 - shrunk) ** 2 * projected**2).sum(axis=1) + max(rest, 0.0)
    chosen = shrunk[np.argmin(error / (n - 1 - shrunk.sum(axis=1)) ** 2)]
    hat = (vectors**2 * chosen).sum(axis=1) + 1 / n
    return np.asarray((target - vectors @ (chosen * projected)) / np.maximum(1 - hat, 1e-8))
