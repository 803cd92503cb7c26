"""Base of the bounds that need a propensity and conditional laws."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState
from causalinv._validation import check_number, check_whole
from causalinv.bounds._arm_law import ArmLaw, JoinedLaw
from causalinv.bounds._base import BoundsBase
from causalinv.bounds._contrast import Contrast
from causalinv.bounds._crossfit import (
    _LEAST,
    CrossFit,
    Learners,
    chances,
    cross_fit,
    fit_laws,
    fit_propensity,
    folds_of,
)
from causalinv.bounds._laws import LawLike
from causalinv.bounds._rows import Functional

__all__ = ["CrossFittedBounds"]

_EXTREME, _MANY_EXTREME = 0.03, 0.05  # overlap is poor if more than 5% of the propensities are outside [.03, .97]


class CrossFittedBounds(BoundsBase):
    """Fits the nuisances in `n_repeats` divisions of the rows, and once on all rows when new features are asked for."""

    _learns_at_once: ClassVar[bool] = True  # in fit, or when a question first needs it

    def __init__(
        self,
        *,
        outcome_support: tuple[float, float] | str | None = None,
        functional: Functional = "mean",
        features: Any = None,
        propensity: Any = None,
        outcome: Any = None,
        law: LawLike = "auto",
        cv: int = 5,
        clip: float = 0.01,
        n_repeats: int = 1,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ):
        self.outcome_support = outcome_support
        self.functional = functional
        self.features = features
        self.propensity = propensity
        self.outcome = outcome
        self.law = law
        self.cv = cv
        self.clip = clip
        self.n_repeats = n_repeats
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _check(self) -> int:
        self._said = Learners(self.propensity, self.outcome, self.law, check_clip(self.clip))
        check_whole(self.n_repeats, "n_repeats", low=1)
        return check_whole(self.cv, "cv", low=2)

    def _learn(self) -> None:
        rows = self._rows
        if self.n_features_in_ == 0:  # then there is nothing to learn a law from
            self._said = Learners(self.propensity, None, "marginal", self._said.clip)
        self._last, later, *rngs = streams(self.random_state, self.n_repeats + 2, "bounds")
        self._later = int(later.integers(2**31))  # seed of what is fitted when a question needs it
        self._folds = [(folds_of(rows, self.cv, rng), rng) for rng in rngs]
        self._known: dict[Any, Any] = {}
        if self._learns_at_once:
            for repeat in range(len(self._folds)):
                self._crossfit(repeat)

    def _crossfit(self, repeat: int) -> CrossFit:
        """Propensities and laws out of fold."""
        if repeat not in self._known:
            folds, rng = self._folds[repeat]
            self._known[repeat] = cross_fit(self._rows, self._said, folds=folds, rng=rng, n_jobs=self.n_jobs)
        found: CrossFit = self._known[repeat]
        return found

    def _observed(self, contrast: Contrast) -> list[FloatArray]:
        """The rows whose outcomes a question's means rest on, arm by arm, by their share of it."""
        codes = self._rows.codes
        if contrast.estimand != "policy":
            arms = np.unique([contrast.arm, getattr(contrast, "control", contrast.arm)])
            return [(codes == a).astype(float) for a in arms]
        shares = contrast.shares if contrast.rows is None else contrast.shares * contrast.rows[:, None]
        return [np.where(codes == a, shares[:, a], 0.0) for a in np.flatnonzero(shares.any(axis=0))]

    def _n_repeats(self) -> int:
        return len(self._folds)

    @property
    def oof_propensity_(self) -> FloatArray:
        """Propensities out of fold, clipped, first repeat."""
        return self._crossfit(0).propensity

    @property
    def n_clipped_(self) -> int:
        """Rows with a clipped propensity, first repeat."""
        return self._crossfit(0).n_clipped

    @property
    def propensity_(self) -> Any:
        """Classifier fitted to all rows."""
        if "propensity" not in self._known:
            seed = int(self._last.integers(2**31))
            everyone = np.ones(len(self._rows.codes), bool)
            self._known["propensity"] = fit_propensity(self._said.propensity, self._rows, everyone, seed)
        return self._known["propensity"]

    def _at(self, features: FloatArray | None, arm: int) -> tuple[FloatArray, ArmLaw | JoinedLaw]:
        """Propensity (m,), not clipped, and law of an arm; at the rows of fit, out of fold, if None."""
        if features is None:
            return self._crossfit(0).raw[:, arm], self._crossfit(0).laws[arm]
        e = chances(self.propensity_, self._said.propensity, self._rows, features)[:, arm]
        if "laws" not in self._known:
            self._known["laws"] = fit_laws(self._rows, self._crossfit(0).chosen, np.random.default_rng(self._later))
        return np.clip(e, _LEAST, 1.0 - _LEAST), self._known["laws"][arm].at(features)

    def _manski(self, e: FloatArray, mean: FloatArray, arm: int) -> tuple[FloatArray, FloatArray]:
        low, high = self._limits[arm]
        return e * mean + (1.0 - e) * low, e * mean + (1.0 - e) * high

    def _notes(self) -> tuple[str, ...]:
        if not self.n_clipped_:
            return ()
        return (f"{self.n_clipped_} of {len(self._rows.codes)} rows had a propensity clipped.",)

    def _poor_overlap(self, contrast: Contrast | None = None, *, arms: list[int] | None = None) -> bool:
        """Of the arms of a question, among its rows as it weighs them; of `arms` over all rows."""
        e, weight = self._crossfit(0).raw, self._rows.weight
        share = np.ones(len(e)) if weight is None else weight
        if contrast is not None:
            e = e[:, np.flatnonzero(contrast.asked(e.shape[1]))]
            share = share if contrast.rows is None else share * contrast.rows
            share = share * self._overlap(contrast)[0] if contrast.estimand == "overlap" else share
        e = e if arms is None else e[:, arms]
        extreme = np.any((e < _EXTREME) | (e > 1.0 - _EXTREME), axis=1)
        return float(np.average(extreme, weights=share)) > _MANY_EXTREME

    def _facts(self, asked: dict[str, Any]) -> tuple[str, ...]:
        first, n = self._crossfit(0), len(self._rows.codes)
        model = "logistic regression" if self._said.propensity is None else type(self._said.propensity).__name__
        laws = ", ".join(
            f"{each} (arm {label!r})" for each, label in zip(first.chosen, self._rows.arms.tolist(), strict=True)
        )
        how = " by held-out CRPS" if self._said.law == "auto" else ""
        return (
            f"propensity: {model}, {first.n_clipped} of {n} clipped ({first.n_clipped / n:.1%})",
            f"law of the outcome{how}: {laws}",
            f"folds: {self.cv}, repeats: {len(self._folds)}",
        )


def check_clip(clip: Any) -> float:
    """A share in (0, 0.5)."""
    value = check_number(clip, "clip", low=0.0, high=0.5, open_low=True)
    if value == 0.5:
        raise ValueError("clip must be below 0.5, got 0.5: it would replace every propensity of two arms.")
    return value
