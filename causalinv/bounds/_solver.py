r"""The upper end of an f-ball, for many laws at once.

Everything is in distances d = U - phi >= 0 below the upper limit U of the support. Over densities :math:`s = dQ/dP`
and a mass :math:`\delta = 1 - E s` on U, the least mean distance subject to
:math:`E g(s) + f(0)\delta \le B(e)` has the dual

.. math:: \max_{\lambda > 0, \kappa \ge 0}\; -\lambda (B(e) - f(0)) - \kappa - \lambda E\, G((\kappa + d) / \lambda),

in which any (lambda, kappa) is a valid bound, and whose solution is :math:`s((\kappa + d) / \lambda)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._typing import FloatArray, IntArray
from causalinv.bounds._divergences import Divergence, JensenShannon, Power, TotalVariation, inverse_power, mean
from causalinv.bounds._jensen_shannon import jensen_shannon
from causalinv.bounds._roots import bracketed_roots

__all__ = ["Solution", "solve"]

_CHUNK = 1 << 20  # numbers in one temporary (8 MiB)
_LOW, _LOWEST, _HIGH = np.log(1e-30), np.log(1e-150), np.log(1e9)  # of kappa relative to the mean distance
_NEAR = 1e-11  # kappa in mean distances that stands for 0, where rounding leaves a user's conjugate unbounded
_DUST = 1e-14  # probability below which an atom at U is none
_EVERYBODY = 1.0 - 1e-12  # propensity from which the ball is a point


@dataclass(frozen=True)
class Solution:
    """Upper ends as distances below U, and what certifies them.

    Attributes
    ----------
    distance : ndarray of shape (m,)
        U minus the upper end.
    lam, kappa : ndarray of shape (m,)
        Dual solution; 0, 0 where the end is U itself, inf where the ball is a point.
    mass : ndarray of shape (m,)
        Mass that the worst law puts on U where the arm's law has none.
    gap : ndarray of shape (m,)
        Primal minus dual value: how far the end can be from the exact one. For a divergence of the user's 0, as only
        the dual, a valid bound, is solved.
    """

    distance: FloatArray
    lam: FloatArray
    kappa: FloatArray
    mass: FloatArray
    gap: FloatArray


def solve(distance: FloatArray, weights: FloatArray, e: FloatArray, divergence: Divergence) -> Solution:
    """Solve for each row.

    Parameters
    ----------
    distance : ndarray of shape (K,) or (m, K)
        Distances of the atoms below U, finite and >= 0; per law if two-dimensional.
    weights : ndarray of shape (K,) or (m, K)
        Laws, each summing to one.
    e : ndarray of shape (m,)
        Propensities in (0, 1].
    divergence : Divergence

    Returns
    -------
    Solution
    """
    m, k = len(e), distance.shape[-1]
    own, shared = distance.ndim == 2, weights.ndim == 1
    order = np.argsort(distance, axis=-1, kind="stable")
    d = np.take_along_axis(distance, order, axis=-1)
    parts = []
    step = max(1, _CHUNK // k)
    for start in range(0, max(m, 1), step):
        rows = slice(start, start + step)
        size = (len(e[rows]), k)
        block = np.broadcast_to(weights, size) if shared else weights[rows]
        block = np.take_along_axis(block, np.broadcast_to(order[rows] if own else order, size), axis=1)
        parts.append(_solve_block(d[rows] if own else d, block, e[rows], divergence))
    return Solution(*(np.concatenate([part[i] for part in parts]) for i in range(5)))


def _at(d: FloatArray, rows: IntArray) -> FloatArray:
    """Distances of some laws."""
    return d if d.ndim == 1 else d[rows]


def _solve_block(d: FloatArray, w: FloatArray, e: FloatArray, divergence: Divergence) -> tuple[FloatArray, ...]:
    average = mean(w, np.broadcast_to(d, w.shape))
    mass, lam, kappa, gap = (np.zeros(len(e)) for _ in range(4))
    distance = np.zeros(len(e))
    at_limit = np.sum(np.where(d == 0.0, w, 0.0), axis=1)
    dust = (at_limit > 0.0) & (at_limit < _DUST)
    if dust.any():
        at_limit[dust], w = 0.0, np.where(dust[:, None] & (d == 0.0), 0.0, w)
    point = (e >= _EVERYBODY) | (average == 0.0)
    distance[point], lam[point], kappa[point] = average[point], np.inf, np.inf
    # If concentrating on the atoms at U is inside the ball, the end is U.
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(at_limit < 1.0, (1.0 - at_limit) * divergence.recession, 0.0)
        trivial = ~point & (at_limit > 0) & (divergence.f(at_limit) + lost <= divergence.radius(e))
    rest = np.flatnonzero(~point & ~trivial)
    if rest.size:
        scale, d = average[rest], _at(d, rest)
        if isinstance(divergence, TotalVariation):
            found = _total_variation(d, w[rest], e[rest])
        else:
            law = d, w[rest], e[rest], scale
            if isinstance(divergence, Power):
                found = _power(*law, divergence)
            elif isinstance(divergence, JensenShannon):
                found = jensen_shannon(*law, divergence)
            else:
                found = _numeric(*law, divergence)
        primal, lam[rest], kappa[rest], mass[rest] = found
        with np.errstate(invalid="ignore", over="ignore"):
            constant = lam[rest] * (divergence.radius(e[rest]) - divergence.at_zero) + kappa[rest]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # lam = 0 is a limit: the dual's at once
            inside = divergence.conjugate((kappa[rest, None] + d) / lam[rest, None])
            dual = -constant - lam[rest] * mean(w[rest], np.where(w[rest] > 0, inside, 0.0))
        dual = np.where((lam[rest] > 0) & np.isfinite(dual), dual, primal)
        gap[rest] = primal - dual
        # Manski's set lies in every ball: no end is nearer than its own.
        distance[rest] = np.clip(np.minimum(primal, dual), 0.0, e[rest] * average[rest])
    return distance, lam, kappa, mass, gap


def _power(
    d: FloatArray, w: FloatArray, e: FloatArray, scale: FloatArray, divergence: Power
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean distance, lambda, kappa, mass on U: one equation in kappa, in logarithms, as the ball is a Rényi ball."""
    a, p = divergence.order, 1.0 / divergence.order
    least = np.min(np.where(w > 0, d, np.inf), axis=1)

    def tilted(kappa: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x^-p with x = kappa + d in units of its least value, x itself in these units, and these units."""
        unit = kappa + least[rows]
        x = np.maximum((kappa[:, None] + _at(d, rows)) / unit[:, None], 1.0)
        return inverse_power(x, p), x, unit

    def renyi(kappa: FloatArray, rows: IntArray) -> FloatArray:
        """Rényi divergence of order a of P from the law with density proportional to x^-p."""
        y, x, _ = tilted(kappa, rows)
        first = np.log(mean(w[rows], y))
        if a == 1:
            return mean(w[rows], np.log(x)) + first
        return np.log(mean(w[rows], x * y)) / (a - 1.0) + first

    budget = -np.log(e)

    def excess(log_kappa: FloatArray, rows: IntArray) -> FloatArray:
        return renyi(scale[rows] * np.exp(log_kappa), rows) / budget[rows] - 1.0

    everything = np.arange(len(e))
    kappa, mass = np.zeros(len(e)), np.zeros(len(e))
    inside = np.full(len(e), -np.inf)
    off = np.flatnonzero(least > 0)
    inside[off] = budget[off] - renyi(kappa[off], off)
    slack = inside >= 0
    slack[least == 0] = False
    mass[slack] = -np.expm1(-inside[slack])
    tight = np.flatnonzero(~slack)
    if tight.size:
        low = _LOWEST if a >= 1 else _LOW  # for a >= 1 the root may be as small as the a-th power of a probability
        roots = bracketed_roots(
            lambda x, rows: excess(x, tight[rows]), np.full(tight.size, low), np.full(tight.size, _HIGH)
        )
        kappa[tight] = scale[tight] * np.exp(roots)
    y, _, unit = tilted(kappa, everything)
    total = mean(w, y)
    primal = (1.0 - mass) * mean(w, y * d) / total
    g = total / (1.0 - mass)  # of unit^-p
    with np.errstate(over="ignore", divide="ignore"):  # for large orders 0 or infinite: the primal is then taken
        lam = divergence.order * unit / (divergence.multiple * g**a)
    return primal, lam, kappa, mass


def _numeric(
    d: FloatArray, w: FloatArray, e: FloatArray, scale: FloatArray, divergence: Divergence
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """The dual of a user's divergence, concave in (lambda, kappa): roots of its derivatives, which may jump.

    Where the derivative in lambda jumps over 0, densities on both sides are mixed so that it is 0, and with the mixture
    the derivative in kappa is the right one.
    """
    constant = divergence.radius(e) - divergence.at_zero

    def moved(lam: FloatArray, kappa: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Derivative in lambda and mean density."""
        x = (kappa[:, None] + _at(d, rows)) / lam[:, None]
        gain = np.where(w[rows] > 0, divergence.entropy(x), 0.0)
        return -constant[rows] - mean(w[rows], gain), mean(w[rows], divergence.tilt(x))

    def best(kappa: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Lambda at which the dual is largest, and the derivative in kappa there."""
        unit = kappa + scale[rows]
        low, high = np.log(unit) - 45.0, np.log(unit) + 45.0
        log_lam = bracketed_roots(
            lambda x, at: moved(np.exp(x), kappa[at], rows[at])[0], low, high, xtol=1e-11, ftol=0.0
        )
        below, above = np.exp(log_lam - 2e-11), np.exp(log_lam + 2e-11)
        (h0, s0), (h1, s1) = moved(below, kappa, rows), moved(above, kappa, rows)
        share = np.where(h0 > h1, np.clip(h0 / np.where(h0 > h1, h0 - h1, 1.0), 0.0, 1.0), 0.5)
        return np.exp(log_lam), (1.0 - share) * s0 + share * s1 - 1.0

    everything = np.arange(len(e))
    low, high = np.full(len(e), np.log(_NEAR)), np.full(len(e), _HIGH)
    log_kappa = bracketed_roots(
        lambda x, rows: best(scale[rows] * np.exp(x), rows)[1], low, high, xtol=1e-10, ftol=1e-13
    )
    values = []
    for kappa in (scale * np.exp(log_kappa), scale * _NEAR, np.zeros(len(e))):
        lam, _ = best(kappa, everything)
        for each in (np.exp(-2e-11) * lam, lam, np.exp(2e-11) * lam):
            with np.errstate(invalid="ignore"):
                g = divergence.conjugate((kappa[:, None] + d) / each[:, None])
                dual = -each * constant - kappa - each * mean(w, np.where(w > 0, g, 0.0))
            values.append((np.where(np.isfinite(dual), dual, -np.inf), each, kappa))
    pick = np.argmax([value for value, _, _ in values], axis=0)
    value, lam, kappa = (np.choose(pick, [each[i] for each in values]) for i in range(3))
    return np.maximum(value, 0.0), lam, kappa, np.zeros(len(e))


def _total_variation(
    d: FloatArray, w: FloatArray, e: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Keep the nearest fraction e of the law, the atom at the cut in part, and put the rest on U."""
    below = np.cumsum(w, axis=1)
    kept = np.clip(e[:, None] - (below - w), 0.0, w)
    cut = np.minimum(np.sum(below < e[:, None] * (1 - 1e-14), axis=1), w.shape[1] - 1)
    d = np.broadcast_to(d, w.shape)
    return mean(kept, d), np.take_along_axis(d, cut[:, None], axis=1)[:, 0], np.zeros(len(e)), 1.0 - e
