"""What is warned about before a path is read."""

from __future__ import annotations

import numpy as np

from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._path import IVLikePath
from causalinv.moments import Moments
from causalinv.transformations import FirstStage

__all__ = ["warn_degenerate"]

_ILL_CONDITIONED = 1e10


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
