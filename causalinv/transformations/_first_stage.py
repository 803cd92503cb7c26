"""The first stage: moments of features and outcomes, and the part of them that instruments explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalinv._matrix import whitener
from causalinv._typing import BoolArray, FloatArray
from causalinv.moments import Moments

__all__ = ["FirstStage"]


@dataclass(frozen=True, eq=False)
class FirstStage:
    """What the path needs: moments of x and y, and the part of them that the instruments explain, as a factor.

    The factor F, whose square is the explained variance, has the rank of the instruments; F'f is the explained
    covariance of features and outcomes. What is explained comes on top of `variance` (`added`: an augmentation of
    declared law, with directions that the analyst chose) or is a part of it (instruments that were observed). A stack
    of first stages, all of them added or none, has one more dimension in front of each array.

    Attributes
    ----------
    variance : ndarray of shape (d, d), in the features' units
    cross : ndarray of shape (d, p), of features and outcomes
    factor : ndarray of shape (q, d), F
    outcome : ndarray of shape (q, p), f
    added : bool
    """

    variance: FloatArray
    cross: FloatArray
    factor: FloatArray
    outcome: FloatArray
    added: bool

    @classmethod
    def from_moments(cls, moments: Moments) -> FirstStage:
        """Regress x and y on the block ``g`` of pooled moments."""
        pooled = moments.pool()
        half = whitener(pooled.cov("g")[0])
        factor, outcome = (half.T @ pooled.cov("g", block)[0] for block in ("x", "y"))
        return cls(pooled.cov("x")[0], pooled.cov("x", "y")[0], factor, outcome, added=False)

    @classmethod
    def stack(cls, stages: Sequence[FirstStage]) -> FirstStage:
        """A stack of first stages; instruments of lower rank than others are filled up with some of no strength."""
        q = max(len(each.factor) for each in stages)
        factor, outcome = (
            np.zeros((len(stages), q, stages[0].factor.shape[1])),
            np.zeros((len(stages), q, stages[0].cross.shape[1])),
        )
        for i, each in enumerate(stages):
            factor[i, : len(each.factor)], outcome[i, : len(each.factor)] = each.factor, each.outcome
        variance, cross = (np.stack([getattr(each, name) for each in stages]) for name in ("variance", "cross"))
        return cls(variance, cross, factor, outcome, stages[0].added)

    def take(self, at: BoolArray) -> FirstStage:
        """Some first stages of a stack."""
        return FirstStage(self.variance[at], self.cross[at], self.factor[at], self.outcome[at], self.added)

    @property
    def moves_anything(self) -> bool:
        """Whether any feature is moved, beyond rounding of what the moved part is a share of."""
        least = 0.0 if self.added else 1e-12 * np.sqrt(np.diagonal(self.variance))
        return bool((np.abs(self.factor) > least).any())

    def risks(self, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Terms of the risks that depend on `coef` (..., d, p): E r² less Var y, and the part E(Πr)² of it."""
        own = np.sum(coef * (self.variance @ coef - 2 * self.cross), axis=-2)
        explained = np.sum((self.outcome - self.factor @ coef) ** 2, axis=-2)
        return own + (explained if self.added else 0.0), explained
