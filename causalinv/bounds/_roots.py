"""Many one-dimensional roots at once, by Chandrupatla's bracketing method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalinv._typing import FloatArray, IntArray

__all__ = ["bracketed_roots"]

_MAX_ITER = 200  # bisection alone would need about 60


def bracketed_roots(
    func: Callable[[FloatArray, IntArray], FloatArray],
    low: FloatArray,
    high: FloatArray,
    *,
    xtol: float = 1e-13,
    ftol: float = 1e-14,
) -> FloatArray:
    """Roots of `func` between `low` and `high`, one per row; rows that have converged are not evaluated again.

    Parameters
    ----------
    func : callable
        ``func(x, rows)`` evaluates the rows numbered `rows` at x, both of shape (k,).
    low, high : ndarray of shape (m,)
        Ends of the brackets. Where the function has one sign on both, the end where it is smaller is returned.
    xtol, ftol : float
        A row stops when its bracket is narrower than `xtol` or the function smaller than `ftol`.

    Returns
    -------
    ndarray of shape (m,)
    """
    rows = np.arange(len(low))
    a, b = np.array(high, dtype=float), np.array(low, dtype=float)
    fa, fb = func(a, rows), func(b, rows)
    root = np.where(np.abs(fa) < np.abs(fb), a, b)
    live = (np.sign(fa) * np.sign(fb) < 0) & (np.abs(a - b) > xtol)
    rows, a, b, fa, fb = rows[live], a[live], b[live], fa[live], fb[live]
    c, fc, t = a.copy(), fa.copy(), np.full(len(a), 0.5)
    for _ in range(_MAX_ITER):
        if not rows.size:
            break
        x = a + t * (b - a)
        fx = func(x, rows)
        same = np.sign(fx) == np.sign(fa)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, fx
        best, fbest = np.where(np.abs(fa) < np.abs(fb), a, b), np.minimum(np.abs(fa), np.abs(fb))
        root[rows] = best
        least = (xtol + 2e-16 * np.abs(best)) / np.abs(b - a)
        live = (least < 0.5) & (fbest > ftol)
        rows, a, b, c, fa, fb, fc, least = (v[live] for v in (rows, a, b, c, fa, fb, fc, least))
        with np.errstate(divide="ignore", invalid="ignore"):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            smooth = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
            inverse = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        t = np.clip(np.where(smooth, inverse, 0.5), least, 1 - least)
    return root
