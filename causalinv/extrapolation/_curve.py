"""The curve of the mean outcome over actions, and its bands from refits to resampled rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from causalinv._parallel import run, streams
from causalinv._typing import FloatArray
from causalinv.extrapolation._fitted import Fitted

__all__ = ["CURVE_COLUMNS", "band", "check_names", "resampled_curves"]

CURVE_COLUMNS = ("estimate", "lower", "upper", "status", "overlap", "action_only")


def resampled_curves(fitted: Fitted, asked: FloatArray, n_draws: int, n_jobs: int | None) -> FloatArray:
    """Means under actions (m, q), after their transform, of refits to resamples of the rows: (n_draws, m)."""
    tasks = [(fitted, asked, rng) for rng in streams(fitted.recipe.random_state, n_draws, "bootstrap")]
    return np.array(run(_resampled_curve, tasks, n_jobs=n_jobs))


def _resampled_curve(fitted: Fitted, asked: FloatArray, rng: np.random.Generator) -> FloatArray:
    return fitted.again(rng).mean_do(asked)


def band(curves: FloatArray, level: float) -> FloatArray:
    """Half widths of the band of a curve from curves of resamples (n_draws, m): (m,)."""
    half: FloatArray = ndtri((1 + level) / 2) * curves.std(axis=0, ddof=1)
    return half


def check_names(names: Sequence[Any]) -> None:
    """Refuse names of the action that the table of a curve uses itself."""
    taken = sorted(set(names) & set(CURVE_COLUMNS))
    if taken:
        raise ValueError(f"action columns {taken} have names that the table of a curve uses; rename them.")
