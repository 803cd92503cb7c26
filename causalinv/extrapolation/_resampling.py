"""The representation of a resample of the rows, learnt in little time from where the first fit ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._typing import FloatArray
from causalinv.extrapolation._dimension import Directions
from causalinv.extrapolation._features import Affine, RadialFeatures
from causalinv.extrapolation._representation import Learner, Representation

__all__ = ["Resampling"]


@dataclass(frozen=True)
class Resampling:
    """What a refit keeps of the first fit.

    Attributes
    ----------
    fitted : Representation
    features : RadialFeatures
        Of the one kernel that is used.
    method : str
    n_references : int
    ridge : float
    unseen : ndarray of shape (n, k), or None
        All directions at each row, learnt without it, by which the dimension was chosen; None if it was given.
    action : ndarray of shape (n, k)
        Of the rows of `unseen`.
    """

    fitted: Representation
    features: RadialFeatures
    method: str
    n_references: int
    ridge: float
    unseen: FloatArray | None
    action: FloatArray

    def n_components(self, rng: np.random.Generator) -> int:
        """Dimension that a resample chooses, or the one that was asked for."""
        if self.unseen is None:
            return self.fitted.n_components
        at = rng.integers(len(self.unseen), size=len(self.unseen))
        return Directions.measure(self.unseen[at], self.action[at]).n_kept

    def learn(self, rows: FloatArray, action: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Representation (n, d) of resampled rows (n, D), learnt from them and their actions (n, k)."""
        n_components = self.n_components(rng)
        units = self.fitted.stages[0]
        assert isinstance(units, Affine)
        n_noise = self.fitted.n_noise_components
        same = n_components == self.fitted.n_components and self.method.endswith("+location")
        learner = Learner(
            rows,
            action,
            [(1.0, rng)],
            n_landmarks=len(self.features.landmarks),
            n_references=self.n_references,
            ridge=self.ridge,
            features=self.features,
            units=units,
            mixture_sizes=() if n_noise == 1 else (n_noise,),
        )
        if same:
            return learner.relearn(self.method, self.fitted)
        return learner.learn(self.method, n_components, start=self.fitted.first_fit)(rows)
