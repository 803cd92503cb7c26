"""What is refused, and what is warned about, before a path is read."""

from __future__ import annotations

import numpy as np

from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.ivlike._path import IVLikePath
from causalinv.moments import Moments
from causalinv.transformations import FirstStage
from causalinv.transformations import Transformation as Augmentation

__all__ = [
    "check_instruments",
    "check_leaves",
    "check_limit",
    "check_moves",
    "warn_degenerate",
]

_ILL_CONDITIONED = 1e10


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
    still = np.flatnonzero((np.diagonal(moments.cov("x")[0]) == 0) & ~np.any(stage.factor, axis=0))
    if still.size:
        names = moments.names["x"]
        which = [int(i) if names is None else names[i] for i in still]
        warn(f"Features {which} are constant: their coefficients are 0.", DegenerateInputWarning)
    if not np.diagonal(moments.cov("y")[0]).all():
        warn("y is constant, so its coefficients are 0.", DegenerateInputWarning)
