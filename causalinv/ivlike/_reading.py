"""One version of every row, and what one pass over all versions gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._typing import FloatArray
from causalinv.moments import Moments
from causalinv.transformations import FirstStage

__all__ = ["Copy", "Reading", "less_chance"]


@dataclass(frozen=True)
class Copy:
    """One version of every row.

    Attributes
    ----------
    x : ndarray of shape (n, d)
        What the outcome is regressed on: the augmented row.
    g : ndarray of shape (n, q)
        Instruments; q = 0 where the augmentation is integrated in closed form.
    z : ndarray of shape (n, d)
        What G explains of the features: x itself, or paired with its original the difference from it.
    share : float
        Weight of this copy; shares sum to one.
    """

    x: FloatArray
    g: FloatArray
    z: FloatArray
    share: float


@dataclass(frozen=True)
class Reading:
    """What one pass over the rows gives: their moments, the first stage, and the moments of all copies."""

    moments: Moments
    stage: FirstStage
    total: Moments

    @property
    def regressed(self) -> bool:
        """Whether the residual itself is regressed on G, so that noise is explained by chance too."""
        return "g" in self.total.blocks and "z" not in self.total.blocks

    def risks(self, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Var r and the part E(Πr)² of it, for coefficients (d, p) that were fitted to other rows."""
        own, explained = self.stage.risks(coef)
        risk = np.diagonal(self.moments.cov("y")[0]) + own
        if not self.regressed:
            return risk, explained
        return risk, less_chance(explained, risk, q=len(self.stage.factor), n=float(self.total.count.sum()))


def less_chance(explained: FloatArray, risk: FloatArray, *, q: int, n: float) -> FloatArray:
    """Explained part of a variance less what q regressors explain of noise by chance in n rows (adjusted R²)."""
    return explained - q / max(n - q - 1.0, 1.0) * (risk - explained)
