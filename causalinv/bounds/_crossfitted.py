"""Base of the bounds that need a propensity and conditional laws."""

from __future__ import annotations

from typing import Any, Self

from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState
from causalinv._typing import Rows as Given
from causalinv._validation import check_number, check_whole
from causalinv.bounds._base import BoundsBase
from causalinv.bounds._crossfit import cross_fit, fit_nuisances, folds_of
from causalinv.bounds._laws import LawLike, compress
from causalinv.bounds._rows import check_data, resolve_support
from causalinv.bounds._scores import ArmLaw

__all__ = ["CrossFittedBounds"]


class CrossFittedBounds(BoundsBase):
    """Fits the nuisances in `n_repeats` divisions of the rows, and once on all rows for new features."""

    propensity: Any
    law: LawLike
    cv: int
    clip: float
    n_repeats: int
    n_jobs: int | None
    random_state: RandomState

    def _fit_models(
        self, X: Given, y: Given, *, treatment: Given, sample_weight: Given, groups: Given, limits_needed: bool
    ) -> Self:
        cv = check_whole(self.cv, "cv", low=2)
        clip = check_clip(self.clip)
        repeats = check_whole(self.n_repeats, "n_repeats", low=1)
        rows = check_data(self, X, y, treatment=treatment, sample_weight=sample_weight, groups=groups, least=cv)
        limits, text = resolve_support(self, rows, needed=limits_needed)
        self._take(rows, limits, text)
        last, later, *rngs = streams(self.random_state, repeats + 2, "bounds")
        self._later = int(later.integers(2**31))  # seed of what is fitted when a question needs it
        learners: dict[str, Any] = {"law": self.law, "propensity": self.propensity, "clip": clip}
        self._crossfits = [
            cross_fit(rows, folds=folds_of(rows, cv, rng), rng=rng, n_jobs=self.n_jobs, **learners) for rng in rngs
        ]
        self._nuisances = fit_nuisances(rows, rng=last, **learners)
        self._atoms = [compress(rows.phi[rows.codes == a])[0] for a in range(rows.n_arms)]
        self._laws: dict[tuple[int, int], ArmLaw] = {}
        self.propensity_ = self._nuisances.propensity
        self.oof_propensity_ = self._crossfits[0].propensity
        self.n_clipped_ = self._crossfits[0].n_clipped
        return self

    def _arm_law(self, repeat: int, arm: int) -> ArmLaw:
        """Sums over tails, made when a question first needs them."""
        if (repeat, arm) not in self._laws:
            self._laws[repeat, arm] = ArmLaw(self._atoms[arm], self._crossfits[repeat].weights[arm])
        return self._laws[repeat, arm]

    def _at(self, features: FloatArray | None, arm: int) -> tuple[FloatArray, FloatArray]:
        """Propensity (m,), not clipped, and law (m, K) of an arm; at the rows of fit, out of fold, if None."""
        if features is None:
            return self._crossfits[0].raw[:, arm], self._crossfits[0].weights[arm]
        return self._nuisances.raw(features)[:, arm], self._nuisances.laws[arm].weights(features)

    def _manski(self, e: FloatArray, mean: FloatArray, arm: int) -> tuple[FloatArray, FloatArray]:
        low, high = self._limits[arm]
        return e * mean + (1.0 - e) * low, e * mean + (1.0 - e) * high

    def _notes(self) -> tuple[str, ...]:
        if not self.n_clipped_:
            return ()
        return (f"{self.n_clipped_} of {len(self._rows.codes)} rows had a propensity clipped.",)


def check_clip(clip: Any) -> float:
    """A share in (0, 0.5)."""
    value = check_number(clip, "clip", low=0.0, high=0.5, open_low=True)
    if value == 0.5:
        raise ValueError("clip must be below 0.5, got 0.5: it would replace every propensity of two arms.")
    return value
