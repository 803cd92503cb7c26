"""From scores to ends, standard errors and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from causalinv._clusters import RobustCovariance, robust_covariance
from causalinv._typing import FloatArray, IntArray
from causalinv._warn import warn
from causalinv.bounds._rows import Rows
from causalinv.exceptions import DegenerateInputWarning

__all__ = [
    "POOR_OVERLAP",
    "band_critical_value",
    "clustered",
    "combine",
    "critical_of",
    "critical_value",
    "freedom",
    "influence",
    "interval",
    "joint_freedom",
    "quantile_of",
    "ratio_of_means",
    "said_of_freedom",
]

_MULTIPLIERS, _BLOCK = 2000, 4096  # draws for a band, and rows at once
_FEW = 10.0  # degrees of freedom below which users hear of clusters: t exceeds the normal quantile by an eighth
_FEW_ROWS = 20.0  # the same of rows, whose outcomes may be skew: t of 20 lognormal ones covers 87%
_MANY = 30.0  # degrees of freedom of independent rows from which on Student's law is taken as the normal one

#: What is said where propensities are extreme.
POOR_OVERLAP = (
    "overlap is poor: more than 5% of the propensities lie outside [0.03, 0.97]. Ends lean on few rows, and their "
    "intervals cover less than they say"
)
Target = Literal["parameter", "set", "band"]


def clustered(weight: FloatArray | None, groups: IntArray | None, n: int) -> RobustCovariance | None:
    """What errors of weighted means need to know about clusters; None if rows are independent.

    A mean is the coefficient of a constant; a ratio of means is that with an instrument, which is the same constant.
    """
    if groups is None:
        return None
    return robust_covariance(np.ones((n, 1)), np.zeros(n), weight=weight, clusters=groups)


def freedom(share: FloatArray, groups: IntArray | None) -> float:
    """Degrees of freedom of the error of a mean in which rows (n,) have these shares: Bell and McCaffrey's.

    Infinite where rows are independent and leave many; 0 of one row or one cluster, which has no error.
    """
    inside = np.flatnonzero(share)
    units = inside if groups is None else groups[inside]
    if len(inside) < 2 or (units == units[0]).all():
        return 0.0
    own, n = share[inside], len(inside)
    known = robust_covariance(np.ones((n, 1)), np.zeros(n), weight=own, clusters=None if groups is None else units)
    df = float(known.df()[0])
    return np.inf if groups is None and df >= _MANY else df


def joint_freedom(shares: Sequence[FloatArray], groups: IntArray | None) -> float:
    """Degrees of freedom of a sum of means of different arms, by Satterthwaite's rule under equal variances of rows.

    0 if one of them rests on one row or cluster, or on none.
    """
    square, freedoms = [], []
    for share in shares:
        df = freedom(share, groups)
        if df == 0:
            return 0.0
        units = share if groups is None else np.bincount(groups, weights=share)
        square.append(float(np.sum(units**2)) / float(share.sum()) ** 2)
        freedoms.append(df)
    left = sum(v**2 / df for v, df in zip(square, freedoms, strict=True))
    return sum(square) ** 2 / left if left > 0 else np.inf


def said_of_freedom(df: float, groups: IntArray | None, answers: str) -> tuple[str, ...]:
    """What is said, and of very few warned, of few degrees of freedom."""
    if df >= (_FEW_ROWS if groups is None else _FEW):
        return ()
    what, unlike = ("rows", "weight") if groups is None else ("groups", "size")
    skew = "; they hold for outcomes near a normal law, and cover less of skew ones" if groups is None else ""
    few = (
        f"The {what} leave {df:.2g} degrees of freedom to {answers}, because they, or those of an arm, are few or of "
        f"unequal {unlike}: intervals are wide, from Student's t with these{skew}."
        if df > 0
        else f"An average rests on one of the {what}, or an arm on one or none: it has no standard error and nothing "
        "limits its interval."
    )
    if df < _FEW:
        warn(few, DegenerateInputWarning)
    return (few,)


def ratio_of_means(
    top: FloatArray,
    bottom: FloatArray | None,
    weight: FloatArray | None,
    clusters: RobustCovariance | None = None,
    *,
    centre: float | None = None,
) -> tuple[float, float]:
    """Weighted mean of `top` over that of `bottom` (1 if None), and its standard error (HC2; CR2 with clusters).

    The error is about `centre` if a test supposes that the ratio is this; NaN if only one row is below.
    """
    if not np.isfinite(top).all():
        return float(np.sum(top[~np.isfinite(top)])), np.nan
    w = np.ones(len(top)) if weight is None else weight
    below = np.ones(len(top)) if bottom is None else bottom
    total = float(w @ below)
    ratio = float(w @ top) / total
    # In units of the largest: squares of outcomes near 1e160 are no numbers.
    residual = top - (ratio if centre is None else centre) * below
    unit = float(np.abs(residual).max(initial=0.0)) or 1.0
    residual = residual / unit
    if clusters is not None:
        mean_below = total / float(w.sum())
        return ratio, unit * float(np.sqrt(clusters.of_residual(residual)[0, 0])) / mean_below
    share, mine = w / total, below != 0
    if np.count_nonzero(share[mine]) < 2:
        return ratio, np.nan
    left = 1.0 - 2.0 * share * below + below**2 * np.sum(share[mine] ** 2)  # of a residual's variance, if all are equal
    return ratio, unit * float(np.sqrt(np.sum((share * residual) ** 2 / left)))


def quantile_of(probability: float, df: float) -> float:
    """Quantile of Student's t; of the normal law for infinite `df`."""
    return float(ndtri(probability) if np.isinf(df) else stdtrit(df, probability))


def combine(ends: FloatArray, errors: FloatArray) -> tuple[float, float]:
    """Median over repeated splits, and an error that includes how far the splits differ."""
    if not np.isfinite(ends).all():
        return float(ends[0]), np.nan
    middle = float(np.median(ends))
    spread = np.hypot(errors, ends - middle)
    unit = float(spread.max()) or 1.0  # squares of the ends may be no floats
    return middle, unit * float(np.sqrt(np.median((spread / unit) ** 2))) if np.isfinite(unit) else unit


def critical_value(width: float, error: float, confidence_level: float, df: float = np.inf) -> float:
    """Imbens and Manski's c: a parameter between two ends is covered with `confidence_level`, whatever the width."""
    ratio = max(width, 0.0) / error if error > 0 else np.inf
    low, high = quantile_of(confidence_level, df), quantile_of(0.5 + confidence_level / 2.0, df)

    def excess(c: float) -> float:
        below = ndtr if np.isinf(df) else partial(stdtr, df)
        return float(below(c + ratio) - below(-c) - confidence_level)

    slack = 1e-9 * max(high, 1.0)
    return float(brentq(excess, low - slack, high + slack))


def interval(
    lower: float,
    upper: float,
    errors: tuple[float, float],
    *,
    confidence_level: float,
    target: Target,
    n: int,
    df: float = np.inf,
    critical: float | None = None,
) -> tuple[float, float]:
    """Confidence interval for the parameter between the ends (Imbens-Manski), or for both ends.

    A width below sqrt(log n) standard errors counts as none, because it cannot be told from none (Stoye); of a larger
    one that much is taken off, so that the critical value nowhere jumps and wider ends have wider intervals. An end
    whose error is not known has no limit.
    """
    known = [error for error in errors if np.isfinite(error)]
    if critical is not None:
        c = critical
    elif target in ("set", "band"):
        c = quantile_of(0.5 + confidence_level / 2.0, df)
    elif len(known) < 2 or not np.isfinite(upper - lower):
        c = quantile_of(confidence_level, df)
    else:
        width = max(upper - lower - max(known) * np.sqrt(np.log(max(n, 2))), 0.0)
        c = critical_value(width, max(known), confidence_level, df)
    low, high = (
        end if not np.isfinite(end) else s * np.inf if np.isnan(se) else end + s * c * se
        for end, s, se in zip((lower, upper), (-1, 1), errors, strict=True)
    )
    return low, high


def band_critical_value(
    ratios: Sequence[tuple[tuple[FloatArray, FloatArray], FloatArray | None]],
    rows: Rows,
    level: float,
    df: float,
    seed: int,
) -> float:
    """Multiple of standard errors by which all lower ends and all upper ends at once are covered.

    Quantile of the largest standardised error over the ends, by Gaussian multipliers of the rows (or clusters).
    """
    columns = []
    for (low, high), bottom in ratios:
        for top, sign in ((low, 1.0), (high, -1.0)):
            if np.isfinite(top).all():
                columns.append(sign * influence(top, bottom, rows.weight))
    if not columns:
        return quantile_of(0.5 + level / 2.0, df)
    scores = np.column_stack(columns)
    if rows.groups is not None:
        summed = np.zeros((int(rows.groups.max()) + 1, scores.shape[1]))
        np.add.at(summed, rows.groups, scores)
        scores = summed
    return critical_of(scores, level, df, seed)


def critical_of(scores: FloatArray, level: float, df: float, seed: int) -> float:
    """Quantile of the largest of several standardised sums of independent rows, by Gaussian multipliers.

    It is no less than that of both ends of one sum, and with few clusters stretched as Student's quantile is.
    """
    most = np.abs(scores).max(axis=0, initial=0.0)
    scores = scores[:, most > 0] / most[most > 0]  # squares may be no floats
    scores = scores / np.sqrt(np.sum(scores**2, axis=0))
    if not scores.size:
        return quantile_of(0.5 + level / 2.0, df)
    rng, draws = np.random.default_rng(seed), np.zeros((_MULTIPLIERS, scores.shape[1]))
    for start in range(0, len(scores), _BLOCK):
        block = scores[start : start + _BLOCK]
        draws += rng.standard_normal((_MULTIPLIERS, len(block))) @ block
    found = max(float(np.quantile(draws.max(axis=1), level)), quantile_of(0.5 + level / 2.0, np.inf))
    return found * quantile_of(0.5 + level / 2.0, df) / quantile_of(0.5 + level / 2.0, np.inf)


def influence(top: FloatArray, bottom: FloatArray | None, weight: FloatArray | None) -> FloatArray:
    """What each row adds to the error of the weighted mean of `top` over that of `bottom`."""
    w = np.ones(len(top)) if weight is None else weight
    below = np.ones(len(top)) if bottom is None else bottom
    total = float(w @ below)
    return w * (top - float(w @ top) / total * below) / total
