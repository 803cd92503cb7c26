r"""The one-path solver: every strength of IV-like regression from one eigendecomposition.

With moments :math:`A = \operatorname{Var} x`, :math:`b = \operatorname{Cov}(x, y)` and their parts explained by
the instruments, :math:`B = C'M^+C`, :math:`e = C'M^+d` (:math:`C = \operatorname{Cov}(g, x)`,
:math:`d = \operatorname{Cov}(g, y)`, :math:`M = \operatorname{Var} g`), the coefficients at strength α solve

.. math:: (\alpha A + B)\, h = \alpha b + e .

In a basis T with :math:`T'AT = I` and :math:`T'BT = \operatorname{diag}(\lambda)` this is one division per
coordinate, for every α from 0 to ∞.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh, qr, svd

from causalinv._typing import ArrayLike, FloatArray
from causalinv._validation import check_number
from causalinv.moments import Moments

__all__ = ["IVLikePath", "check_alpha", "explained_by_instruments", "least_squares"]

_RANK_TOL = 1e-12  # of the largest eigenvalue, after scaling to unit diagonal
_STRENGTH_TOL = 1e-9  # of the largest singular value: coordinates that the instruments do not move


@dataclass(frozen=True)
class IVLikePath:
    """Solutions for all strengths; `from_moments` makes one, `coef` reads it.

    Attributes
    ----------
    basis : ndarray of shape (d, r)
        T above; r is the rank of the features' variance.
    strength : ndarray of shape (r,)
        λ: what share of each coordinate's variance the instruments explain (unbounded for declared moments).
    moved : ndarray of bool, shape (r,)
        Coordinates with λ > 0 up to rounding.
    outcome, explained : ndarray of shape (r, p)
        T'b and T'e.
    n_instruments_effective : int
        Rank of the instruments.
    """

    basis: FloatArray
    strength: FloatArray
    moved: np.ndarray
    outcome: FloatArray
    explained: FloatArray
    n_instruments_effective: int

    @classmethod
    def from_moments(cls, moments: Moments, *, ridge: float = 0.0) -> IVLikePath:
        """Decompose pooled moments with blocks ``x``, ``y``, ``g``; `ridge` adds to the variance of each x."""
        pooled = moments.pool()
        first_stage, first_outcome = explained_by_instruments(pooled)
        whiten = _whitener(pooled.cov("x")[0] + ridge * np.eye(pooled.blocks["x"]))
        # Singular values of the factor, not eigenvalues of its square: half the digits would be lost there.
        factor = first_stage @ whiten
        _, size, rotation = svd(_short(factor), full_matrices=True)
        r = whiten.shape[1]
        size = np.concatenate([size, np.zeros(r - len(size))])
        basis = whiten @ rotation.T
        # What the instruments do not move is exactly 0: rounding there would be divided by a small alpha.
        moved = size > _STRENGTH_TOL * size.max(initial=0.0)
        return cls(
            basis=basis,
            strength=np.where(moved, size**2, 0.0),
            moved=moved,
            outcome=basis.T @ pooled.cov("x", "y")[0],
            explained=np.where(moved[:, None], basis.T @ (first_stage.T @ first_outcome), 0.0),
            n_instruments_effective=first_stage.shape[0],
        )

    def coef(self, alpha: float) -> FloatArray:
        """Coefficients at one strength, shape (d, p); α = 0 and α = ∞ are the limits, taken exactly."""
        strength = self.strength[:, None]
        if np.isinf(alpha):
            weights = self.outcome
        elif alpha == 0:
            moved = self.moved[:, None]
            weights = np.where(moved, self.explained / np.where(moved, strength, 1.0), self.outcome)
        else:
            weights = (alpha * self.outcome + self.explained) / (alpha + strength)
        return self.basis @ weights


def explained_by_instruments(pooled: Moments) -> tuple[FloatArray, FloatArray]:
    """Factors F (q', d) and f (q', p) with B = F'F and e = F'f; q' is the rank of the instruments."""
    spread = pooled.cov("g")[0]
    half = _whitener(spread)  # q x q', half' M half = I
    return half.T @ pooled.cov("g", "x")[0], half.T @ pooled.cov("g", "y")[0]


def least_squares(moments: Moments) -> FloatArray:
    """Least squares of y on x with an intercept, as a function of moments.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``; cells are pooled.

    Returns
    -------
    ndarray of shape (d, p)
        Coefficients; of minimum norm in standardised units if the features are dependent.
    """
    pooled = moments.pool()
    half = _whitener(pooled.cov("x")[0])
    return half @ (half.T @ pooled.cov("x", "y")[0])


def _whitener(cov: FloatArray) -> FloatArray:
    """T (k, r) with T' cov T = I on the range of `cov`; columns of zero variance get zero rows."""
    scale = np.sqrt(np.diag(cov))
    safe = np.where(scale > 0, scale, 1.0)
    values, vectors = eigh(cov / np.outer(safe, safe))
    keep = values > _RANK_TOL * max(values[-1], 0.0)
    return (vectors[:, keep] / np.sqrt(values[keep])) / safe[:, None]


def _short(factor: FloatArray) -> FloatArray:
    """A factor with the same F'F and no more rows than columns."""
    if factor.shape[0] <= factor.shape[1]:
        return factor
    return np.asarray(qr(factor, mode="r")[0][: factor.shape[1]], dtype=np.float64)


def check_alpha(alpha: Any, name: str = "alpha") -> float:
    """Validate a strength: a number >= 0, infinity included."""
    return check_number(alpha, name, low=0.0)


def check_alphas(alphas: ArrayLike) -> FloatArray:
    """Validate a one-dimensional grid of strengths."""
    grid = np.asarray(alphas, dtype=np.float64)
    if grid.ndim != 1:
        raise ValueError(f"alphas must be one-dimensional, got shape {grid.shape}; a single one is written [alpha].")
    for value in grid.tolist():
        check_alpha(value, "every entry of alphas")
    return grid
