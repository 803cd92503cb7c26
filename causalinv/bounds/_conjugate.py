r"""The conjugate of a convex function of which only values are known, enclosed from above.

A chord of a convex f lies below f outside its own cell. So on the cell between two neighbouring grid points f is at
least the larger of the chords to the left and to the right, extended: a piecewise linear function below f, exact at
kinks that are alone in their cells and on straight pieces, and within 3/8 of f'' times the square of the cell's width
elsewhere. Its :math:`G(w) = \sup_{t > 0} (f(0) - w - f(t)) / t` is a maximum over its vertices, and never below f's:
whatever the dual says with it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalinv._typing import FloatArray, IntArray

__all__ = ["Enclosure", "enclose"]

_EPS = 4.0 * np.finfo(float).eps
_HUGE = 1e150


def _log_grid() -> FloatArray:
    """Log t: dense about 0, where the ball of a common arm lies; then even steps, out to e^36."""
    near = np.geomspace(1e-5, 0.3, 11_000)
    middle, far = np.arange(0.3, 5.0, 3e-4), np.arange(5.0, 36.0, 1e-3)
    right = np.unique(np.r_[near, middle, far])
    return np.r_[-right[::-1], 0.0, right]


_LOG_T = _log_grid()


@dataclass(frozen=True)
class Enclosure:
    """Upper bound of G, a maximum of lines.

    Attributes
    ----------
    breaks : ndarray of shape (k,)
        Where the next line becomes the largest, ascending.
    slope : ndarray of shape (k + 1,)
        Density ratio s = 1 / t of each line, minus its slope; the last is 0.
    level : ndarray of shape (k + 1,)
        Value of each line at w = 0.
    least : float
        Below this w nothing bounds G: it is infinite here.
    """

    breaks: FloatArray
    slope: FloatArray
    level: FloatArray
    least: float

    def place(self, w: FloatArray) -> IntArray:
        """Number of the line that is largest at w."""
        return np.searchsorted(self.breaks, w, side="right")

    def value(self, w: FloatArray) -> FloatArray:
        """G(w) or more."""
        at = self.place(w)
        return np.where(w < self.least, np.inf, self.level[at] - self.slope[at] * w)


def enclose(f: Callable[[FloatArray], FloatArray], at_zero: float, name: str) -> tuple[Enclosure, float]:
    """The enclosure and a lower bound on the limit of f(t) / t, infinite if it seems to grow without end.

    Raises
    ------
    ValueError
        If f is NaN, minus infinity or not convex somewhere on the grid.
    """
    t = np.exp(_LOG_T)
    with np.errstate(over="ignore"):
        value = np.asarray(f(t), dtype=float)
    if value.shape != t.shape:
        raise ValueError(f"The function of the divergence {name!r} must return as many numbers as it is given.")
    top = np.flatnonzero(~(value < _HUGE))
    if top.size and (np.isnan(value).any() or _LOG_T[top[0]] <= 0.01):
        raise ValueError(f"The function of the divergence {name!r} is not finite and convex on t >= 0.")
    if top.size:  # beyond, the last chords go on: f is larger
        t, value = t[: top[0]], value[: top[0]]
    noise = _EPS * (np.abs(value) + abs(at_zero) + 1e-300)
    if not np.isfinite(value).all() or not _convex(t, value, noise, at_zero):
        raise ValueError(f"The function of the divergence {name!r} is not finite and convex on t >= 0.")
    step, rise = np.diff(t), np.diff(value)
    slope = rise / step
    left, right, h = slope[:-2], slope[2:], step[1:-1]  # of the inner cells
    bend = right - left
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.clip((right * h - rise[1:-1]) / bend, 0.0, h)
    part = np.where(np.isfinite(part), part, 0.0)
    inner = np.maximum(value[1:-2] + left * part, value[2:-1] - right * (h - part)) - 4.0 * noise[2:-1]
    # Vertices: grid points 1 to n - 2, and one in each cell between them.
    place = np.r_[t[1:-1], t[1:-2] + part]
    low = np.r_[value[1:-1] - noise[1:-1], inner]
    order = np.argsort(place, kind="stable")
    place, low = _lower_hull(place[order], low[order])
    last = float(slope[-2]) if len(slope) > 1 else float(slope[-1])
    first = float(value[1] - slope[1] * t[1])  # what the first chord says of f(0+)
    least = max(at_zero - first + 8.0 * float(noise[1]), 0.0)
    lines = np.r_[1.0 / place, 0.0]
    level = np.r_[(at_zero - low) / place, -last]
    breaks = (level[1:] - level[:-1]) / (lines[1:] - lines[:-1])
    far, near = value[-1] / t[-1], value[-1001] / t[-1001]
    recession = float(far) if far <= 1.001 * near else np.inf
    return Enclosure(np.maximum.accumulate(breaks), lines, level, least), recession


def _convex(t: FloatArray, value: FloatArray, noise: FloatArray, at_zero: float) -> bool:
    """Whether points 40 steps apart lie on a convex curve, up to rounding."""
    x, y, slack = (np.r_[each[::40], each[-1]] for each in (t, value, noise))
    x, y, slack = np.r_[0.0, x], np.r_[at_zero, y], np.r_[slack[0], slack]
    share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
    chord = y[:-2] * (1.0 - share) + y[2:] * share
    allowed = 1e3 * (slack[1:-1] + slack[:-2] * (1.0 - share) + slack[2:] * share)
    return bool((y[1:-1] <= chord + allowed + 1e-12).all())


def _lower_hull(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower convex hull of points with ascending x: what rounding bends the wrong way goes."""
    kept = np.r_[np.diff(x) > 0, True]
    for i in np.flatnonzero(~kept):
        y[i + 1] = min(y[i], y[i + 1])
    x, y = x[kept], y[kept]
    for _ in range(200):
        slope = np.diff(y) / np.diff(x)
        bad = np.r_[False, slope[1:] < slope[:-1], False]
        bad[1:] &= ~bad[:-1]  # neighbours one at a time: each is judged by what stays beside it
        if not bad.any():
            break
        x, y = x[~bad], y[~bad]
    return x, y
