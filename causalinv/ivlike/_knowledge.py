"""What is known beside (X, y): what an outcome ignores, how rows were made, or instruments; and what follows from it.

How that is integrated is a question of the `Design`; what may be concluded from it is one of the knowledge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.ivlike._first_stage import Relevance, warn_weak_copies, warn_weak_instruments
from causalinv.ivlike._path import IVLikePath
from causalinv.moments import Moments
from causalinv.transformations import FirstStage
from causalinv.transformations import Transformation as Augmentation

__all__ = ["Augmented", "AugmentedRows", "GenuineInstruments", "Knowledge", "warn_scaled"]

_SAME = 1e-6  # of a standard deviation
MODERATE = 0.1  # an augmentation √11 ≈ 3.3 times its own size: a moderate dose when invariance is not claimed


class Knowledge(ABC):
    """One source of knowledge, with its refusals and its words."""

    augmentation: Augmentation | None = None
    needs: ClassVar[str | None] = None  # argument of fit that a score needs too

    @abstractmethod
    def default_alpha(self) -> float:
        """The strength that ``alpha="auto"`` stands for."""

    @abstractmethod
    def assumption(self, n_effective: int) -> str:
        """Who assumed what, for the head of a summary."""

    @abstractmethod
    def check_stage(self, moments: Moments, stage: FirstStage) -> None:
        """Refuse knowledge that moves nothing, or everything."""

    @abstractmethod
    def check_claims_cause(self, alpha: float, path: IVLikePath, *, averages: bool) -> None:
        """Refuse to call causal what would not converge to the effect even if every assumption held."""

    @abstractmethod
    def causal_if(self) -> str:
        """Under which conditions an interval covers the causal effect."""

    @abstractmethod
    def check_limit(self, path: IVLikePath) -> None:
        """At alpha=0: refuse or warn if the limit is empty or not unique."""

    def check_scored(self, given: set[str]) -> None:
        """Refuse a score without what the fit was given."""
        if self.needs is not None and self.needs not in given:
            raise ValueError(
                f"This regression was fitted with {self.needs}=, and its score needs them too. In GridSearchCV or "
                "cross_val_score turn metadata routing on, sklearn.set_config(enable_metadata_routing=True), and pass "
                f"{self.needs}= (params= of cross_val_score) along with X and y."
            )

    def imposes_invariance(self, alpha: float, *, averages: bool) -> bool:
        """Whether a fit at this strength ignores, on average at least, what is declared."""
        return False

    def warn_weak(self, found: Relevance, path: IVLikePath, alpha: float) -> None:
        """Warn if G, used like instruments, hardly moves the features."""
        warn_weak_copies(found)

    def relevance_note(self, found: Relevance) -> str:
        """The first stage in one sentence."""
        return (
            f"First-stage F of the direction that copies move most: {found.partial_f[-1]:.3g} (below 10 it is mostly "
            "noise)."
        )


@dataclass(frozen=True)
class Augmented(Knowledge):
    """The outcome ignores an augmentation, or is at least fitted under it."""

    augmentation: Augmentation

    def default_alpha(self) -> float:
        claim = self.augmentation.outcome_invariant
        if not isinstance(claim, bool | np.bool_):
            raise TypeError(f"outcome_invariant must be True or False, your claim; got {claim!r}.")
        return 0.0 if claim else MODERATE

    def assumption(self, n_effective: int) -> str:
        claim = "ignores" if self.augmentation.outcome_invariant else "is NOT claimed to ignore"
        return (
            f"declared by you: the outcome {claim} this {type(self.augmentation).__name__} (effective number of "
            f"directions {n_effective})"
        )

    def check_stage(self, moments: Moments, stage: FirstStage) -> None:
        if not stage.moves_anything:
            raise ValueError(
                f"{type(self.augmentation).__name__} moves no feature (up to rounding), so nothing would be left but "
                "least squares. Give directions or a function that change the rows."
            )
        warn_scaled(self.augmentation, moments)

    def check_path(self, path: IVLikePath) -> None:
        """Refuse a group that leaves nothing."""
        if self.augmentation.averages and path.moved.all():
            raise ValueError(
                f"The group of {type(self.augmentation).__name__} leaves no direction of the features fixed, so every "
                "coefficient of a linear outcome would be 0. Use fewer elements, or nonlinear features=."
            )

    def check_limit(self, path: IVLikePath) -> None:
        _check_leaves_direction(path)

    def imposes_invariance(self, alpha: float, *, averages: bool) -> bool:
        return alpha == 0 or averages

    def check_claims_cause(self, alpha: float, path: IVLikePath, *, averages: bool) -> None:
        if not self.imposes_invariance(alpha, averages=averages):
            raise ValueError(
                f"kind='identified' needs alpha=0, where the invariance is imposed; at alpha={alpha:g} the fit "
                "does not converge to the causal effect even if all assumptions hold. Use 'pseudo_true' or alpha=0."
            )

    def causal_if(self) -> str:
        declared = "the declared invariance holds"
        if not self.augmentation.outcome_invariant:
            declared = "the outcome ignores the augmentation, which you did not declare,"
        return f"{declared} and nothing hidden moves what y reads"


@dataclass(frozen=True)
class AugmentedRows(Knowledge):
    """The rows are augmented copies, whose parameters were kept."""

    needs: ClassVar[str | None] = "augmentation_parameters"

    def default_alpha(self) -> float:
        return MODERATE

    def assumption(self, n_effective: int) -> str:
        return (
            "declared by you: the rows are augmented copies, and the outcome ignores the augmentation (effective "
            f"number of parameters {n_effective})"
        )

    def check_stage(self, moments: Moments, stage: FirstStage) -> None:
        _check_instruments(moments, stage, "augmentation_parameters")

    def check_limit(self, path: IVLikePath) -> None:
        _check_leaves_direction(path)

    def check_claims_cause(self, alpha: float, path: IVLikePath, *, averages: bool) -> None:
        raise ValueError(
            "kind='identified' is not available for rows that are augmented copies: their originals are not "
            "known, so nothing shows whether predictions ignore the augmentation. Use 'pseudo_true', or "
            "augmentation= on the original rows."
        )

    def causal_if(self) -> str:
        return "the outcome ignores the augmentation"


@dataclass(frozen=True)
class GenuineInstruments(Knowledge):
    """Variables that are independent of hidden causes and act on the outcome only through the features."""

    needs: ClassVar[str | None] = "instruments"

    def default_alpha(self) -> float:
        raise ValueError(
            "alpha='auto' has no default for genuine instruments: say alpha=0 for two-stage least squares, "
            "or a positive number for anchor regression with gamma = (1 + alpha) / alpha."
        )

    def assumption(self, n_effective: int) -> str:
        return (
            f"declared by you: genuine instruments (effective number {n_effective}), independent of the hidden "
            "confounder, act on the outcome only through X"
        )

    def check_stage(self, moments: Moments, stage: FirstStage) -> None:
        _check_instruments(moments, stage, "instruments")

    def check_limit(self, path: IVLikePath) -> None:
        if not path.moved.all():
            warn(
                f"Too few instruments for alpha=0: {path.n_instruments_effective} effective instruments move "
                f"{int(path.moved.sum())} of {len(path.moved)} feature directions, which leaves effects open "
                "(two-stage least squares is not identified). Of all its solutions the one of least risk is returned. "
                "Add instruments, or use alpha > 0.",
                IdentificationWarning,
            )

    def check_claims_cause(self, alpha: float, path: IVLikePath, *, averages: bool) -> None:
        if alpha != 0:
            raise ValueError(
                f"kind='identified' needs alpha=0, two-stage least squares; at alpha={alpha:g} the fit is pulled "
                "towards least squares and does not converge to the causal effect. Use 'pseudo_true' or alpha=0."
            )
        if not path.moved.all():
            raise ValueError(
                f"kind='identified' needs at least one instrument per feature, but {path.n_instruments_effective} "
                f"move {int(path.moved.sum())} of {len(path.moved)} directions of the features: the data "
                "leave the effect open. Add instruments, or use 'pseudo_true'."
            )

    def causal_if(self) -> str:
        return "the instruments are independent of hidden causes, move y only through X, and are not weak"

    def warn_weak(self, found: Relevance, path: IVLikePath, alpha: float) -> None:
        if path.moved.all():
            warn_weak_instruments(found, alpha)

    def relevance_note(self, found: Relevance) -> str:
        robust = "" if np.isnan(found.effective_f) else f", effective F {found.effective_f:.3g}"
        return f"first-stage F of the weakest direction: {found.partial_f[0]:.3g}{robust} (weak below 10)."


def warn_scaled(augmentation: Augmentation | None, moments: Moments) -> None:
    """Warn of named directions beside features that look like the output of a scaler, whatever the fit."""
    steps = getattr(augmentation, "directions", None)
    if isinstance(steps, pd.DataFrame) and "converted" not in steps.attrs and _standardised(moments):
        warn(
            "Every feature has mean 0 and standard deviation 1, as after a scaler, while the directions name "
            "features, in their own units it seems. Convert them with in_units_of(scaler), or drop the scaler: "
            "nothing here needs one.",
            DegenerateInputWarning,
        )


def _standardised(moments: Moments) -> bool:
    """Whether every feature has mean 0 and standard deviation 1, with either denominator."""
    spread = np.sqrt(np.diagonal(moments.cov("x")[0]))
    n = float(moments.count.sum())
    sample = np.sqrt((n - 1) / n) if np.isfinite(n) else 1.0
    same = np.minimum(np.abs(spread - 1.0), np.abs(spread - sample)).max() < _SAME
    return bool(same and np.abs(moments.mean("x")[0]).max() < _SAME and not moments.is_population)


def _check_leaves_direction(path: IVLikePath) -> None:
    if path.moved.all():
        raise ValueError(
            "alpha=0 leaves no invariant direction: the augmentation moves all "
            f"{len(path.moved)} directions of the features, so every coefficient would be 0. Use alpha > 0, "
            "or fewer directions."
        )


def _check_instruments(moments: Moments, stage: FirstStage, name: str) -> None:
    """Refuse constant instruments, and so many that they explain every row."""
    constant = np.flatnonzero(np.diagonal(moments.cov("g")[0]) == 0)
    if constant.size:
        names = moments.names["g"]
        which = [int(i) if names is None else names[i] for i in constant]
        raise ValueError(
            f"{name} are constant in column {which}: a constant has no strength. Drop it (an intercept is always "
            "included)."
        )
    # As many instruments as rows explain everything, and IVL would silently be least squares.
    effective, n = len(stage.factor), moments.count.sum()
    if effective >= n - 1:
        raise ValueError(
            f"{name} have {effective} independent columns for {n:g} rows: they fit every row, so the result would be "
            "least squares. Use fewer instruments or more rows."
        )
