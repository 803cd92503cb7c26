r"""The one-path solver: every strength of IV-like regression from one eigendecomposition.

With moments :math:`A = \operatorname{Var} x`, :math:`b = \operatorname{Cov}(x, y)` and their parts explained by
the instruments, :math:`B = F'F`, :math:`e = F'f`, the coefficients at strength α solve

.. math:: (\alpha A + B)\, h = \alpha b + e .

Features split into coordinates that the instruments do not move, :math:`F h = 0`, and the rest. B never enters the
first, however large it is beside A: an augmentation in other units than the features costs no digits there. (Among
coordinates that are moved, directions of very different length cost the square of their ratio.) In the rest a basis
with :math:`A \to I` and :math:`B \to \operatorname{diag}(\lambda)` makes every α from 0 to ∞ one division per
coordinate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._matrix import (
    RANK_TOL,
    column_lengths,
    orthonormal_range,
    range_eigh,
    singular_values,
    whitener,
    without_small,
)
from causalinv._printing import Printed, Summary
from causalinv._typing import ArrayLike, FloatArray
from causalinv._validation import check_number
from causalinv.transformations import FirstStage

__all__ = ["STRENGTH_TOL", "IVLikePath", "check_alpha", "check_alphas", "condition_of", "split_of", "units_of"]

_ROUNDING = 1e-12  # of the spread of a standardised feature
_DIRECTION_TOL = 1e-10  # directions of unit length that differ by less are one direction
_NOTHING = 1e-13  # of a coordinate's variance, what is left without the augmentation
_NO_STRENGTH = 1e-12  # root of the share of a feature's variance that instruments explain by rounding
STRENGTH_TOL = 1e-9  # of the largest singular value: what sampled instruments do not move, up to rounding


@dataclass(frozen=True, eq=False, repr=False)
class IVLikePath(Printed):
    """Solutions for all strengths; `from_first_stage` makes one, `coef` reads it.

    Attributes
    ----------
    basis : ndarray of shape (d, r)
        Basis of coefficients, orthonormal in the variance of the (augmented) features; r is its rank.
    strength : ndarray of shape (r,)
        λ per coordinate: the share of its variance that the instruments explain, 0 where they do not move it. From
        0 to 1, except that pairs of a black box estimate it with noise that can exceed 1.
    moved : ndarray of bool, shape (r,)
        Coordinates that the instruments move.
    outcome, explained : ndarray of shape (r, p)
        b and e in these coordinates.
    n_instruments_effective : int
        Rank of the instruments.
    condition : float
        How nearly dependent the features are: one over the smallest variance, of a combination of standardised
        features with norm one, that was kept. 1 for uncorrelated features.
    """

    basis: FloatArray
    strength: FloatArray
    moved: np.ndarray
    outcome: FloatArray
    explained: FloatArray
    n_instruments_effective: int
    condition: float

    @classmethod
    def from_first_stage(cls, stage: FirstStage, *, ridge: float = 0.0) -> IVLikePath:
        """Decompose; `ridge` adds to the variance of each feature."""
        d = len(stage.variance)
        variance = stage.variance + ridge * np.eye(d)
        scale = units_of(variance, stage.factor)
        root, target = _root(variance / np.outer(scale, scale), stage.cross / scale[:, None])
        factor = stage.factor / scale

        still, moving = split_of(factor, declared=stage.added)
        # Features have unit variance by now; scaling these coordinates again would spoil the minimum norm.
        # What is left of them can be rounding alone, so the floor is absolute.
        fixed = still @ whitener((root @ still).T @ (root @ still), rescale=False, least=RANK_TOL)
        rest = moving - fixed @ ((root @ fixed).T @ (root @ moving))  # uncorrelated with the coordinates that stay
        varies, pushes = _without_rounding(root @ rest), factor @ moving
        if stage.added and varies.shape[1]:  # steps of any length: neither they nor their squares may overflow
            unit = np.maximum(column_lengths(varies), column_lengths(pushes))
            unit = np.where(unit > 0, unit, 1.0)
            rest, varies, pushes = rest / unit, varies / unit, pushes / unit
        inner = varies.T @ varies + (pushes.T @ pushes if stage.added else 0.0)
        whiten = whitener(inner)
        # Singular values of the factor, not eigenvalues of its square: half the digits would be lost there.
        _, size, rotation = singular_values(pushes @ whiten)
        turn = whiten @ rotation.T
        basis = np.hstack([fixed, rest @ turn]) / scale[:, None]
        basis[(np.diag(variance) == 0) & (column_lengths(stage.factor) == 0)] = (
            0.0  # a constant that nothing moves, not even by rounding
        )
        pushes = pushes @ turn
        return cls(
            basis=basis,
            strength=np.concatenate([np.zeros(fixed.shape[1]), size**2]),
            moved=np.arange(basis.shape[1]) >= fixed.shape[1],
            outcome=np.vstack([(root @ fixed).T @ target, (varies @ turn).T @ target]),
            explained=np.vstack([np.zeros((fixed.shape[1], stage.cross.shape[1])), pushes.T @ stage.outcome]),
            n_instruments_effective=len(stage.factor),
            condition=max(condition_of(fixed), condition_of(rest @ whiten)),
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per direction: the share of its variance that instruments explain, and whether they move it."""
        index = pd.RangeIndex(len(self.strength), name="direction")
        return pd.DataFrame({"strength": self.strength, "moved": self.moved}, index=index)

    def summary(self) -> Summary:
        """How strongly each direction of the features is moved."""
        return Summary(
            "How strongly instruments, or an augmentation, move directions of the features",
            "strength: the share of a direction's variance that they explain (0: they leave it alone)",
            "none: this is algebra of the first stage",
            self.to_frame(),
            (
                f"rank of what moves them {self.n_instruments_effective}; rank of the features {len(self.strength)} of "
                f"{len(self.basis)}, their condition {self.condition:.3g}, where 1 is uncorrelated.",
            ),
        )

    def coef(self, alpha: float) -> FloatArray:
        """Coefficients at one strength, shape (d, p); α = 0 and α = ∞ are the limits, taken exactly."""
        strength = self.strength[:, None]
        if np.isinf(alpha):
            weights = self.outcome
        elif alpha == 0:
            limit = np.divide(self.explained, strength, out=np.zeros_like(self.explained), where=strength > 0)
            weights = np.where(self.moved[:, None], limit, self.outcome)
        else:
            # Negative strengths take the augmentation away: at -1 a direction of no other variance has the limit 0.
            # A coordinate that nothing moves is that of least squares at every strength, however small.
            divisor = alpha + strength
            least = _NOTHING if alpha < 0 else 0.0
            total = alpha * self.outcome + self.explained
            shrunk = np.divide(total, divisor, out=np.zeros_like(total), where=np.abs(divisor) > least)
            weights = np.where(self.moved[:, None], shrunk, self.outcome)
        return self.basis @ weights

    def coefs(self, alphas: FloatArray) -> FloatArray:
        """Coefficients (m, d, p) at many strengths."""
        inside = (alphas > 0) & np.isfinite(alphas)
        grid = np.where(inside, alphas, 1.0)[:, None, None]
        shrunk = (grid * self.outcome + self.explained) / (grid + self.strength[:, None])
        weights = np.where(self.moved[:, None], shrunk, self.outcome)
        found = np.ascontiguousarray(np.moveaxis(np.tensordot(weights, self.basis, axes=(1, 1)), 1, 2))
        for j in np.flatnonzero(~inside):
            found[j] = self.coef(float(alphas[j]))
        return found


def units_of(variance: FloatArray, factor: FloatArray) -> FloatArray:
    """Units (d,) of features: their spread; of those that only an augmentation moves, by how much it does."""
    spread, pushed = np.sqrt(np.diag(variance)), column_lengths(factor)
    return np.where(spread > 0, spread, np.where(pushed > 0, pushed, 1.0))


def _root(cov: FloatArray, cross: FloatArray) -> tuple[FloatArray, FloatArray]:
    """R (r, d) with R'R = cov, and t (r, p) with R't = cross, on the range of `cov`."""
    values, vectors, _ = range_eigh(cov, rescale=False)
    root = np.sqrt(values)[:, None] * vectors.T
    return root, (root @ cross) / values[:, None]


def _without_rounding(varies: FloatArray) -> FloatArray:
    """Clear singular values of rounding size: they must not compete with a small step of an augmentation."""
    return without_small(varies, _ROUNDING)


def split_of(factor: FloatArray, *, declared: bool) -> tuple[FloatArray, FloatArray]:
    """Orthonormal bases (d, .) of the coefficients that the instruments do not move, and of those that they do."""
    if declared:
        # Directions that the analyst chose count however short they are; only their independence is in question.
        length = column_lengths(factor.T)
        factor = factor[length > 0] / length[length > 0, None]
    else:
        factor = without_small(factor, _NO_STRENGTH)  # of standardised features: uncorrelated up to rounding
    tol = _DIRECTION_TOL if declared else STRENGTH_TOL
    moving, still = orthonormal_range(factor, tol=tol)
    basis = still.T.copy()
    basis[np.linalg.norm(basis, axis=1) < tol] = 0.0  # fixed at 0, not at a rounding of it
    return basis, moving.T


def condition_of(basis: FloatArray) -> float:
    """Largest squared coefficient norm of a combination of standardised features that has variance one."""
    return float(np.sum(basis**2, axis=0).max(initial=1.0))


def check_alpha(alpha: Any, name: str = "alpha") -> float:
    """Validate a strength: a number >= 0, infinity included."""
    return check_number(alpha, name, low=0.0)


def check_alphas(alphas: ArrayLike, name: str = "alphas") -> FloatArray:
    """Validate a one-dimensional grid of strengths."""
    grid = np.asarray(alphas, dtype=np.float64)
    if grid.ndim != 1:
        one = name.removesuffix("s")
        raise ValueError(f"{name} must be one-dimensional, got shape {grid.shape}; a single one is written [{one}].")
    for value in grid.tolist():
        check_alpha(value, f"every entry of {name}")
    return grid
