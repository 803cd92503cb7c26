r"""Frames: finitely many poses of a row that follow the row, so that an average over them is invariant.

A frame of a group is a finite set of elements, :math:`F(x) \subset G`, with :math:`F(gx) = gF(x)` [1]_. The rows
:math:`h^{-1}x`, :math:`h \in F(x)`, are then the same set for x and for gx, and the average of anything over them does
not change with g.

References
----------
.. [1] Puny, Atzmon, Ben-Hamu, Smith, Grover, Lipman, "Frame averaging for invariant and equivariant network design",
   ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from causalinv._typing import BoolArray, FloatArray, IntArray

__all__ = ["Frame", "whole"]

_DIGITS = 11
_OFF_NICE = 0.123  # so that a size of exactly 1 or 10 is not where the grid changes


def whole(values: FloatArray, size: FloatArray) -> FloatArray:
    """Numbers to eleven digits of a size: equal ones are equal, so that no learner splits or scales up rounding.

    Parameters
    ----------
    values : ndarray of shape (N, ...)
    size : ndarray that broadcasts against values
        What digits are counted from; it must not change with the pose, up to rounding.
    """
    exponents = np.floor(np.log10(np.where(size > 0, size, 1.0)) + _OFF_NICE) - _DIGITS
    step = np.maximum(10.0**exponents, np.finfo(np.float64).smallest_subnormal)
    return np.asarray(np.round(values / step) * step) + 0.0  # no -0


@dataclass(frozen=True, eq=False)
class Frame:
    """Rows in every pose of their frames, one below the other.

    Attributes
    ----------
    rows : ndarray of shape (N, d)
        The rows h⁻¹x; those of one row of X stand together, in the order of X.
    source : ndarray of int, shape (N,)
        Row of X that each belongs to.
    weights : ndarray of shape (N,)
        They sum to 1 over the frame of a row.
    pose : dict of str to ndarray
        What `carry` and `bring_back` need to know of each element; the first axis of every array is that of `rows`.
    gap : ndarray of shape (n,)
        How far each row of X is from where its poses jump, relative to its size: 0 at a tie of axes, of points that
        change places, or of the points that are farthest out; infinite where there are none.
    tied : ndarray of bool, shape (n,)
        Rows whose axes tie, and were found otherwise.
    """

    rows: FloatArray
    source: IntArray
    weights: FloatArray
    pose: Mapping[str, np.ndarray]
    gap: FloatArray
    tied: BoolArray = field(repr=False)

    @property
    def sizes(self) -> IntArray:
        """Elements of the frame of each row of X, shape (n,)."""
        return np.bincount(self.source, minlength=len(self.gap))

    def average(self, values: FloatArray) -> FloatArray:
        """Mean over each frame of values (N,) or (N, p), by the weights: shape (n,) or (n, p)."""
        if not len(self.source):
            return np.zeros((0, *values.shape[1:]))
        starts = np.flatnonzero(np.r_[True, np.diff(self.source) > 0])
        shape = (-1,) + (1,) * (values.ndim - 1)
        return np.asarray(np.add.reduceat(values * self.weights.reshape(shape), starts, axis=0))

    @classmethod
    def single(cls, rows: FloatArray, pose: Mapping[str, np.ndarray], tied: BoolArray | None = None) -> Frame:
        """A frame of one element a row, without ties unless named."""
        n = len(rows)
        none = np.zeros(n, dtype=bool) if tied is None else tied
        return cls(rows, np.arange(n), np.ones(n), pose, np.where(none, 0.0, np.inf), none)
