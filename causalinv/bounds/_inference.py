"""From scores to ends, standard errors and intervals."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from causalinv._typing import FloatArray, IntArray

__all__ = ["combine", "critical_value", "interval", "ratio_of_means"]

Target = Literal["parameter", "set"]


def ratio_of_means(
    top: FloatArray, bottom: FloatArray | None, weight: FloatArray | None, groups: IntArray | None
) -> tuple[float, float]:
    """Weighted mean of `top` over that of `bottom` (1 if None), and its standard error, clustered by `groups`."""
    if not np.isfinite(top).all():
        return float(np.sum(top[~np.isfinite(top)])), np.nan
    w = np.ones(len(top)) if weight is None else weight
    below = np.ones(len(top)) if bottom is None else bottom
    total = float(w @ below)
    ratio = float(w @ top) / total
    influence = w * (top - ratio * below) / total
    n = int(np.count_nonzero(w))
    if groups is not None:
        influence = np.asarray(np.bincount(groups, weights=influence), dtype=np.float64)
        n = len(influence)
    return ratio, float(np.sqrt(np.sum(influence**2) * n / (n - 1))) if n > 1 else np.nan


def combine(ends: FloatArray, errors: FloatArray) -> tuple[float, float]:
    """Median over repeated splits, and an error that includes how far the splits differ."""
    if not np.isfinite(ends).all():
        return float(ends[0]), np.nan
    middle = float(np.median(ends))
    return middle, float(np.sqrt(np.median(errors**2 + (ends - middle) ** 2)))


def critical_value(width: float, error: float, confidence_level: float) -> float:
    """Imbens and Manski's c: a parameter between two ends is covered with `confidence_level`, whatever the width."""
    ratio = max(width, 0.0) / error if error > 0 else np.inf
    low, high = ndtri(confidence_level), ndtri(0.5 + confidence_level / 2.0)
    return float(brentq(lambda c: ndtr(c + ratio) - ndtr(-c) - confidence_level, low - 1e-9, high + 1e-9))


def interval(
    lower: float, upper: float, errors: tuple[float, float], *, confidence_level: float, target: Target, n: int
) -> tuple[float, float]:
    """Confidence interval for the parameter between the ends (Imbens-Manski), or for both ends.

    A width below sqrt(log n) standard errors counts as none (Stoye), because it cannot be told from none.
    """
    known = [error for error in errors if np.isfinite(error)]
    if target == "set":
        c = float(ndtri(0.5 + confidence_level / 2.0))
    elif len(known) < 2 or not np.isfinite(upper - lower):
        c = float(ndtri(confidence_level))
    else:
        width = upper - lower
        width = 0.0 if width < max(known) * np.sqrt(np.log(max(n, 2))) else width
        c = critical_value(width, max(known), confidence_level)
    low, high = (
        end if not np.isfinite(end) else end + s * c * se
        for end, s, se in zip((lower, upper), (-1, 1), errors, strict=True)
    )
    return low, high
