"""What is refused, and what is warned about, before a path is read."""

from __future__ import annotations

import numpy as np

from causalinv._typing import FloatArray
from causalinv._validation import check_number
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning, WeakSignalWarning
from causalinv.ivlike._path import IVLikePath
from causalinv.moments import Moments
from causalinv.transformations import FirstStage
from causalinv.transformations import Transformation as Augmentation

__all__ = [
    "check_confidence_level",
    "check_instruments",
    "check_leaves",
    "check_limit",
    "check_moves",
    "first_stage_f",
    "warn_degenerate",
    "warn_weak",
]

_ILL_CONDITIONED = 1e10
_WEAK_F = 10.0


def check_confidence_level(confidence_level: float) -> float:
    """Validate a level strictly between 0 and 1: at either end an interval says nothing."""
    level = check_number(confidence_level, "confidence_level", low=0.0, high=1.0, open_low=True)
    if level == 1.0:
        raise ValueError("confidence_level must be a number > 0 and < 1, got 1: the interval would be the whole line.")
    return level


def check_instruments(moments: Moments, stage: FirstStage, name: str) -> None:
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


def check_moves(augmentation: Augmentation, stage: FirstStage) -> None:
    """Refuse an augmentation that moves nothing."""
    if not stage.moves_anything:
        raise ValueError(
            f"{type(augmentation).__name__} moves no feature (up to rounding), so nothing would be left but least "
            "squares. Give directions or a function that change the rows."
        )


def check_leaves(augmentation: Augmentation, path: IVLikePath) -> None:
    """Refuse a group that leaves nothing."""
    if augmentation.averages and path.moved.all():
        raise ValueError(
            f"The group of {type(augmentation).__name__} leaves no direction of the features fixed, so every "
            "coefficient of a linear outcome would be 0. Use fewer elements, or nonlinear features=."
        )


def check_limit(source: object, path: IVLikePath) -> None:
    """At alpha=0: refuse if an augmentation leaves no direction, warn if instruments (no source) do not identify."""
    if source is not None and path.moved.all():
        raise ValueError(
            "alpha=0 leaves no invariant direction: the augmentation moves all "
            f"{len(path.moved)} directions of the features, so every coefficient would be 0. Use alpha > 0, "
            "or fewer directions."
        )
    if source is None and not path.moved.all():
        warn(
            f"alpha=0 with {path.n_instruments_effective} effective instruments for {len(path.moved)} "
            "feature directions: two-stage least squares is not identified, and of all its solutions the one "
            "of least risk is returned. Add instruments, or use alpha > 0.",
            IdentificationWarning,
        )


def warn_degenerate(path: IVLikePath, moments: Moments, stage: FirstStage, ridge: float) -> None:
    """Warn about dependent features and a constant outcome."""
    varying = int(np.count_nonzero(np.diagonal(stage.variance) + ridge + np.any(stage.factor, axis=0)))
    rank = path.basis.shape[1]
    if rank < varying:
        warn(
            f"X has rank {rank} for {varying} features that vary (n={moments.count.sum():g}): the coefficients "
            "of minimum norm in standardised units are returned. Drop dependent columns or set ridge > 0.",
            DegenerateInputWarning,
        )
    elif path.condition > _ILL_CONDITIONED:
        warn(
            f"Features are nearly dependent (condition number about {path.condition:.1e}): the "
            f"coefficients lose about {np.log10(path.condition):.0f} of 16 digits. Drop one, or set ridge > 0.",
            DegenerateInputWarning,
        )
    if not np.diagonal(moments.cov("y")[0]).all():
        warn("y is constant, so its coefficients are 0.", DegenerateInputWarning)


def first_stage_f(path: IVLikePath, n: float) -> FloatArray:
    """Effective F statistic of every coordinate of the path: n λ / (1 - λ) / q."""
    share = np.clip(path.strength, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(n * share / (1.0 - share) / max(path.n_instruments_effective, 1))


def warn_weak(f: FloatArray) -> None:
    """Warn if no direction of sampled copies carries a signal above noise."""
    if f.max(initial=0.0) < _WEAK_F:
        warn(
            f"The sampled augmentation carries hardly any signal (largest effective F {f.max(initial=0.0):.2g} < "
            f"{_WEAK_F:g}): its first stage is mostly noise, which pulls the estimate towards least squares on the "
            "augmented rows. Use integration='closed_form' or 'paired', or n_copies >= 20.",
            WeakSignalWarning,
        )
