r"""The upper end of a Jensen-Shannon ball: two equations in two unknowns, by Newton from a coarser law.

With :math:`z = 2b(\kappa + d)` the density is :math:`s = 1/(e^z - 1)`, and its cost
:math:`g(s) = \{-s z - \log(1 + s) + (s + 1)\log 2\}/2`. Mass that P lacks costs log(2)/2 each.
"""

from __future__ import annotations

import numpy as np

from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.bounds._divergences import JensenShannon, mean
from causalinv.bounds._roots import bracketed_roots

__all__ = ["jensen_shannon"]

_LOW, _HIGH = np.log(1e-30), np.log(1e9)  # of kappa relative to the mean distance
_COARSE = np.r_[0:4, np.unique(np.geomspace(4, 4096, 21).astype(int))]  # first atoms of the groups of a coarser law
_MAX_NEWTON, _LARGEST_STEP, _CLOSE = 12, 1.0, 1e-8  # the step after which the next one would be below rounding
_LOG2 = np.log(2.0)

#: Mean distance, lambda, kappa and the mass on U.
Found = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def jensen_shannon(d: FloatArray, w: FloatArray, e: FloatArray, scale: FloatArray, divergence: JensenShannon) -> Found:
    """Solve for each row; `d` (K,) or (m, K) is sorted.

    Either the density has mean one (kappa > 0), or kappa is 0 and the rest of the mass is on U: whichever Newton finds
    is checked by that, and rows where neither converges are solved by bracketing, which cannot fail.
    """
    k = d.shape[-1]
    firsts = _COARSE[k > _COARSE]
    if k < 2 * len(firsts):
        return bracketed(d, w, e, scale, divergence)
    full = np.broadcast_to(d, w.shape)
    weight = np.add.reduceat(w, firsts, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = np.add.reduceat(w * full, firsts, axis=1) / weight
    pooled = np.where(weight > 0, pooled, full[:, firsts])
    _, lam, kappa, mass = bracketed(pooled, weight, e, scale, divergence, tol=1e-2)
    b = 1.0 / lam
    solved = np.zeros(len(e), bool)
    for loose in (False, True):
        rows = np.flatnonzero((kappa == 0) == loose)
        if rows.size:
            own = d if d.ndim == 1 else d[rows]
            b[rows], kappa[rows], solved[rows] = _newton(own, w[rows], divergence.radius(e[rows]), b[rows], kappa[rows])
    out = np.empty(len(e)), 1.0 / b, kappa, mass
    s = divergence.tilt(b[:, None] * (kappa[:, None] + full))
    out[0][:], total = mean(w, s * full), mean(w, s)
    out[3][:] = np.where(kappa == 0, 1.0 - total, 0.0)
    solved &= (kappa > 0) | (total <= 1.0)
    rest = np.flatnonzero(~solved)
    if rest.size:
        own = d if d.ndim == 1 else d[rest]
        for mine, found in zip(out, bracketed(own, w[rest], e[rest], scale[rest], divergence), strict=True):
            mine[rest] = found
    return out


def _newton(
    d: FloatArray, w: FloatArray, budget: FloatArray, b: FloatArray, kappa: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """b, kappa and whether they converged, in logarithms; kappas that are all 0 stay so."""
    b, kappa = b.copy(), kappa.copy()
    loose = bool((kappa == 0).all())
    solved, rows = np.zeros(len(b), bool), np.arange(len(b))
    for _ in range(_MAX_NEWTON):
        x = kappa[rows, None] + (d if d.ndim == 1 else d[rows])
        p = w[rows]
        with np.errstate(all="ignore"):
            z = 2.0 * b[rows, None] * x
            s = 1.0 / np.expm1(np.minimum(z, 600.0))
            total, tilted = mean(p, s), mean(p, s * z)
            a = s * (1.0 + s)
            # The cost rises by (log 2 - z) / 2 per unit of s, and s by -a per unit of z; z by z per unit of log b.
            az = a * z
            cost = (-tilted - mean(p, np.log1p(s)) + (total + 1.0) * _LOG2) / 2.0
            az1, azz = mean(p, az), mean(p, az * z)
            if loose:  # what is spent, cost + log(2) (1 - total) / 2, falls in b by this
                step = -(cost + _LOG2 * (1.0 - total) / 2.0 - budget[rows]) / (azz / 2.0)
                steps = np.column_stack([step, np.zeros(len(step))])
            else:
                share = 2.0 * b[rows] * kappa[rows]
                a1 = mean(p, a) * share
                # Columns: log b, log kappa; rows: total - 1, cost - budget.
                f1, f2 = total - 1.0, cost - budget[rows]
                j21, j22 = -(_LOG2 * az1 - azz) / 2.0, -(_LOG2 * a1 - az1 * share) / 2.0
                det = -az1 * j22 + a1 * j21
                steps = np.column_stack([-(f1 * j22 + a1 * f2), az1 * f2 + j21 * f1]) / det[:, None]
        good = np.isfinite(steps).all(axis=1)
        steps = np.clip(np.where(good[:, None], steps, 0.0), -_LARGEST_STEP, _LARGEST_STEP)
        b[rows] *= np.exp(steps[:, 0])
        kappa[rows] *= np.exp(steps[:, 1])
        done = good & (np.abs(steps).max(axis=1) < _CLOSE)
        solved[rows[done]] = True
        rows = rows[good & ~done]
        if not rows.size:
            break
    return b, kappa, solved


def bracketed(
    d: FloatArray, w: FloatArray, e: FloatArray, scale: FloatArray, divergence: JensenShannon, *, tol: float = 1e-15
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """A root in kappa, with the scale b = 1 / lambda found for every kappa such that the density has mean one."""
    least = np.min(np.where(w > 0, d, np.inf), axis=1)
    budget, xtol = divergence.radius(e), max(tol, 1e-13)

    def points(kappa: FloatArray, rows: IntArray) -> FloatArray:
        return np.maximum(kappa[:, None] + (d if d.ndim == 1 else d[rows]), (kappa + least[rows])[:, None])

    def spent(x: FloatArray, b: FloatArray, rows: IntArray) -> FloatArray:
        s = divergence.tilt(b[:, None] * x)
        return mean(w[rows], divergence.cost(s)) + divergence.at_zero * (1.0 - mean(w[rows], s))

    def excess(log_kappa: FloatArray, rows: IntArray) -> FloatArray:
        x = points(scale[rows] * np.exp(log_kappa), rows)
        return spent(x, divergence.scale(x, w[rows], tol), rows) / budget[rows] - 1.0

    kappa, b = np.zeros(len(e)), np.ones(len(e))
    slack = np.zeros(len(e), bool)
    off = np.flatnonzero(least > 0)
    if off.size:
        x = points(kappa[off], off)
        b[off] = divergence.scale(x, w[off], tol)
        slack[off] = spent(x, b[off], off) <= budget[off]
    tight = np.flatnonzero(~slack)
    if tight.size:
        roots = bracketed_roots(
            lambda x, rows: excess(x, tight[rows]), np.full(tight.size, _LOW), np.full(tight.size, _HIGH), xtol=xtol
        )
        kappa[tight] = scale[tight] * np.exp(roots)
        b[tight] = divergence.scale(points(kappa[tight], tight), w[tight], tol)
    loose = np.flatnonzero(slack)
    if loose.size:
        x = points(kappa[loose], loose)

        def left(log_b: FloatArray, rows: IntArray) -> FloatArray:
            return spent(x[rows], np.exp(log_b), loose[rows]) / budget[loose[rows]] - 1.0

        start = np.log(b[loose])
        b[loose] = np.exp(bracketed_roots(left, start, start + np.log(scale[loose] / least[loose]) + 12.0, xtol=xtol))
    s = divergence.tilt(b[:, None] * points(kappa, np.arange(len(e))))
    mass = np.where(slack, 1.0 - mean(w, s), 0.0)
    distance: FloatArray = mean(w, s * d)
    return distance, 1.0 / b, kappa, mass
