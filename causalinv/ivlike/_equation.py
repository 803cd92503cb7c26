r"""One equation with instruments, in the coordinates that every statistic of it is read from.

The constant and the controls are partialled out of outcome, features and instruments, once (Frisch, Waugh and Lovell).
The features then get a basis in which their variance is the identity and what the instruments explain of it diagonal:
canonical correlations. A coordinate that the instruments explain wholly is an *included* regressor, one that is an
instrument for itself; it is partialled out of what is tested, so that the idiom of repeating columns among the
instruments and `controls` are one thing.

Rows are multiplied by the root of their weight (of mean 1), so sums over rows are weighted sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalinv._matrix import column_lengths, constant_columns, lstsq, matrix_rank, singular_values, whitener
from causalinv._typing import BoolArray, FloatArray, IntArray

__all__ = ["Equation", "cluster_sums"]

_EXPLAINED = 1e-10  # of a variable's variance, what controls leave: it is a combination of them
_INCLUDED = 1e-9  # 1 - λ up to here: the instruments contain the direction, rounding apart


@dataclass(frozen=True, eq=False)
class Equation:
    """An outcome, features and instruments, controls partialled out.

    Attributes
    ----------
    y : ndarray of shape (n,)
    x : ndarray of shape (n, d)
        Features.
    z : ndarray of shape (n, q)
        Instruments, orthonormal.
    basis : ndarray of shape (d, r)
        Coefficients of the canonical coordinates ``x @ basis``, which are orthonormal; the weakest come last.
    strength : ndarray of shape (r,)
        Share of the variance of each coordinate that the instruments explain.
    known : ndarray of shape (n, k)
        Orthonormal basis of what was partialled out, the constant among it.
    clusters : ndarray of int of shape (n,), or None
        Codes from 0.
    """

    y: FloatArray
    x: FloatArray
    z: FloatArray
    basis: FloatArray
    strength: FloatArray
    known: FloatArray
    clusters: IntArray | None

    @classmethod
    def from_rows(
        cls,
        y: FloatArray,
        x: FloatArray,
        z: FloatArray,
        *,
        controls: FloatArray | None = None,
        weight: FloatArray | None = None,
        clusters: IntArray | None = None,
    ) -> Equation:
        """Partial the constant and the controls out, and find the canonical coordinates.

        Parameters
        ----------
        y : ndarray of shape (n,)
        x : ndarray of shape (n, d)
        z : ndarray of shape (n, q)
        controls : ndarray of shape (n, c), optional
        weight : ndarray of shape (n,), optional
            Positive sampling weights; only their ratios matter.
        clusters : ndarray of int of shape (n,), optional
            Codes from 0 without gaps.
        """
        n = len(y)
        root = np.ones(n) if weight is None else np.sqrt(weight / weight.mean())
        share = root**2 / n
        centred = np.ones((n, 0)) if controls is None else controls - share @ controls
        if controls is not None:
            centred[:, constant_columns(controls)] = 0.0
        known = np.column_stack([np.ones(n), centred]) * root[:, None]
        given = np.column_stack([y, x, z])
        rows = (given - share @ given) * root[:, None]
        rows[:, constant_columns(given)] = 0.0
        spread = np.sum(rows**2, axis=0)
        rows = rows - known @ lstsq(known, rows)
        rows[:, np.sum(rows**2, axis=0) <= _EXPLAINED * spread] = 0.0  # rounding is no information
        d = x.shape[1]
        half = whitener(rows[:, d + 1 :].T @ rows[:, d + 1 :])
        return cls.of(rows[:, 0], rows[:, 1 : d + 1], rows[:, d + 1 :] @ half, known=_range(known), clusters=clusters)

    @classmethod
    def of(
        cls, y: FloatArray, x: FloatArray, z: FloatArray, *, known: FloatArray, clusters: IntArray | None
    ) -> Equation:
        """From rows that are partialled out and weighted already, the instruments orthonormal."""
        half = whitener(x.T @ x)
        _, size, turn = singular_values((z.T @ x) @ half, full=True)
        strength = np.zeros(half.shape[1])
        strength[: len(size)] = np.clip(size, 0.0, 1.0) ** 2
        return cls(y, x, z, half @ turn.T, strength, known, clusters)

    @property
    def spent(self) -> int:
        """Rank of what was partialled out."""
        return self.known.shape[1]

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.y)

    @property
    def n_clusters(self) -> int:
        """Independent units."""
        return self.n if self.clusters is None else int(self.clusters.max()) + 1

    @property
    def df(self) -> int:
        """Rows less coefficients."""
        return self.n - self.spent - self.basis.shape[1]

    @property
    def df_first(self) -> int:
        """Rows less the coefficients of a first stage."""
        return self.n - self.spent - self.z.shape[1]

    @property
    def included(self) -> BoolArray:
        """Coordinates (r,) that are instruments for themselves."""
        return np.asarray(self.strength >= 1.0 - _INCLUDED)

    @cached_property
    def coordinates(self) -> FloatArray:
        """Canonical coordinates (n, r)."""
        return self.x @ self.basis

    @cached_property
    def reduced(self) -> Equation:
        """The same equation in its endogenous coordinates alone, included ones partialled out."""
        inside = self.included
        own = self.coordinates[:, inside]
        _, _, turn = singular_values(own.T @ self.z, full=True)
        outside = self.z @ turn[int(inside.sum()) :].T
        keep = self.coordinates[:, ~inside]
        y = self.y - own @ (own.T @ self.y)
        return Equation.of(y, keep, outside, known=np.hstack([self.known, own]), clusters=self.clusters)

    @property
    def over(self) -> int:
        """Excluded instruments beyond the number of endogenous directions; negative if they do not suffice."""
        return self.z.shape[1] - self.basis.shape[1]

    def project(self, rows: FloatArray) -> FloatArray:
        """What the instruments explain of rows (n,) or (n, k)."""
        return np.asarray(self.z @ (self.z.T @ rows))

    def without(self, j: int) -> tuple[FloatArray, Equation]:
        """Feature j (n,) and the reduced equation of the others, its included ones partialled out of both."""
        others = Equation.of(self.y, np.delete(self.x, j, axis=1), self.z, known=self.known, clusters=self.clusters)
        own = others.coordinates[:, others.included]
        return self.x[:, j] - own @ (own.T @ self.x[:, j]), others.reduced

    def sums(self, rows: FloatArray) -> FloatArray:
        """Sums of rows (n, k) over clusters; the rows themselves without."""
        return cluster_sums(rows, self.clusters)


def cluster_sums(rows: FloatArray, clusters: IntArray | None) -> FloatArray:
    """Sums of rows (n, k) over the clusters of codes (n,), shape (m, k); the rows themselves without codes."""
    if clusters is None:
        return rows
    out = np.zeros((int(clusters.max()) + 1, *rows.shape[1:]))
    np.add.at(out, clusters, rows)
    return out


def _range(known: FloatArray) -> FloatArray:
    """Orthonormal basis (n, k) of the columns of what is known, k its rank."""
    length = column_lengths(known)
    known = known / np.where(length > 0, length, 1.0)
    return singular_values(known)[0][:, : matrix_rank(known)]
