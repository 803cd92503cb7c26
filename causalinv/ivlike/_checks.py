"""What is warned about before a path is read."""

from __future__ import annotations

import numpy as np

from causalinv._typing import FloatArray
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.ivlike._design import Design, RowDesign
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import ControlSlopes, Reading
from causalinv.moments import Moments
from causalinv.transformations import FirstStage

__all__ = ["REACTS", "varying_features", "warn_controls", "warn_degenerate", "warn_reacts"]

_ILL_CONDITIONED = 1e10
_HARDLY = 1e-3  # share of a coordinate's variance that is moved: a constraint that may be an approximation only
REACTS = 1e-6  # share of the range of y: a larger change of a prediction is no rounding


def varying_features(stage: FirstStage, ridge: float) -> int:
    """How many features vary; where their rank is lower, coefficients are a convention."""
    return int(np.count_nonzero(np.diagonal(stage.variance) + ridge + np.any(stage.factor, axis=0)))


def warn_degenerate(path: IVLikePath, moments: Moments, stage: FirstStage, ridge: float) -> None:
    """Warn about dependent features and a constant outcome."""
    varying = varying_features(stage, ridge)
    rank = path.basis.shape[1]
    if rank < varying:
        warn(
            f"Coefficients are not unique: the {varying} features that vary have rank {rank} "
            f"(n={moments.count.sum():g}). Those of minimum norm in standardised units are returned. Drop dependent "
            "columns or set ridge > 0.",
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


def warn_controls(slopes: ControlSlopes | None) -> None:
    """Warn about controls that are constant or combinations of others: theirs are no effects, the features' are."""
    if slopes is not None and slopes.rank < len(slopes.mean):
        warn(
            f"The {len(slopes.mean)} controls have rank {slopes.rank}: some are constant or combinations of others. "
            "Effects of features do not depend on that, but coefficients of those controls do: they are of minimum "
            "norm, and what they share cannot be told apart. Drop the columns that repeat others.",
            DegenerateInputWarning,
        )


def warn_reacts(design: Design, reading: Reading, path: IVLikePath, alpha: float, coef: FloatArray) -> None:
    """At alpha=0: warn if predictions still react, or are held still where the augmentation hardly moves anything."""
    if alpha != 0 or not isinstance(design, RowDesign) or not design.moves or design.first_stage_known:
        return
    change = design.largest_reaction(coef)
    if change > REACTS:
        warn(
            f"alpha=0, but predictions still change under the augmentation, by up to {change:.2g} of the range of y, "
            "so confounding along what is moved remains: held at zero is only what the parameters G explain of the "
            "change. Use penalty='reaction', or a G that holds the functions of the parameters that matter.",
            IdentificationWarning,
        )
    least = float(path.strength[path.moved].min(initial=1.0))
    if reading.whole and least < _HARDLY:
        warn(
            f"At alpha=0 predictions may not change along a direction of which the augmentation moves only {least:.1g} "
            "of the variance. That is right if the outcome is linear in the features used, and shrinks coefficients "
            "where it is only nearly so. Compare a small alpha > 0.",
            IdentificationWarning,
        )
