r"""Intervals that cover many numbers at once, by a multiplier bootstrap of the influence of every row.

With influences :math:`\psi_i` of rows (or clusters) the errors of all numbers are :math:`\sum \psi_i`, and
:math:`\sum e_i \psi_i` with independent standard normal :math:`e_i` has, given the data, the same covariance. The
quantile of its largest absolute value in standard errors replaces the normal one (Belloni, Chernozhukov and Kato,
2015), and that of Student's t with the same tail replaces both, with as many degrees of freedom as the unequal parts of
rows or clusters leave each number.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from causalinv._parallel import generator
from causalinv._printing import percent
from causalinv._typing import FloatArray, RandomState
from causalinv._validation import check_choice, check_confidence_level
from causalinv.ivlike._bootstrap import replications
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import by_cluster
from causalinv.ivlike._intervals import influence_at, unseen_at, warn_unseen

__all__ = ["path_confint", "selected_confint", "simultaneous_widths"]

_DRAWS = 2000  # at a time: as many again where fewer than ten would be beyond the level
_REPLICATIONS = 200
_HIGHEST = 0.999  # level
_SEED = 0  # of what kind="selected" draws: an interval does not depend on who asks
_STRENGTHS = 12
_OVER = ("path", "coefficients", "all")


def path_confint(
    fit: Fit, alphas: FloatArray, *, over: str, confidence_level: float, random_state: RandomState
) -> pd.DataFrame:
    """Bands that cover the coefficients at all strengths, at all features, or both at once."""
    level = _check_shown(confidence_level)
    check_choice(over, "over", _OVER)
    if not len(alphas):
        raise ValueError("alphas must hold at least one strength.")
    coefs = np.stack([fit.path.coef(float(alpha)).T.ravel() for alpha in alphas])  # (m, p d)
    width = simultaneous_widths(fit, alphas, over=over, level=level, random_state=random_state)
    warn_unseen(fit, np.isnan(width))
    index = pd.MultiIndex.from_tuples(
        [(float(alpha), *(name if isinstance(name, tuple) else (name,))) for alpha in alphas for name in fit.index],
        names=["alpha", *fit.index.names],
    )
    frame = pd.DataFrame(
        {"coef": coefs.ravel(), "lower": (coefs - width).ravel(), "upper": (coefs + width).ravel()}, index=index
    )
    at_once = {"path": "of all strengths", "coefficients": "of all coefficients", "all": "of all of these numbers"}
    return frame.rename_axis(columns=f"{percent(level)} at once {at_once[over]}")


def selected_confint(fit: Fit, *, confidence_level: float) -> pd.DataFrame:
    """Intervals of the coefficients at the strength that the rule would choose in the population.

    A bootstrap says where that strength may be, simultaneous bands where the coefficients are at all of those; each
    takes half of the error, so together they hold the level whatever their dependence.
    """
    level = _check_shown(confidence_level)
    if not fit.rule.from_data:
        raise ValueError("kind='selected' is for a strength chosen from the data ('cc', or cross-validation).")
    half = 1.0 - (1.0 - level) / 2
    chosen = replications(fit, max(_REPLICATIONS, _beyond(level)), pairs=None, random_state=_SEED)[1]
    if np.isnan(chosen).any():
        raise ValueError("kind='selected' needs one strength; alpha='eb' mixes many. Use bootstrap().")
    tail = (1.0 - half) / 2
    low, high = np.quantile(chosen, [tail, 1.0 - tail], method="inverted_cdf")
    grid = np.unique(np.r_[low, high, fit.alpha, chosen[(chosen >= low) & (chosen <= high)]])
    if len(grid) > _STRENGTHS:
        grid = grid[np.linspace(0, len(grid) - 1, _STRENGTHS).round().astype(int)]
    coefs = np.stack([fit.path.coef(float(alpha)).T.ravel() for alpha in grid])
    width = simultaneous_widths(fit, grid, over="path", level=half, random_state=_SEED)
    ends = {"lower": (coefs - width).min(axis=0), "upper": (coefs + width).max(axis=0)}
    warn_unseen(fit, np.isnan(ends["lower"]))
    chooses = f"limit of the fit at the alpha that the rule chooses in the population ({low:.3g} to {high:.3g})"
    return pd.DataFrame(ends, index=fit.index).rename_axis(columns=f"{percent(level)}: {chooses}")


def _check_shown(confidence_level: float) -> float:
    level = check_confidence_level(confidence_level)
    if level > _HIGHEST:
        raise ValueError(f"Simulated intervals have levels up to {_HIGHEST:g}, got {level:g}.")
    return level


def _beyond(level: float) -> int:
    """Draws of which ten are expected beyond a level."""
    return int(np.ceil(round(10.0 / (1.0 - level), 6)))


def simultaneous_widths(
    fit: Fit, alphas: FloatArray, *, over: str, level: float, random_state: RandomState
) -> FloatArray:
    """Half widths (m, p d) of bands over strengths; NaN where a coefficient rests on one row or cluster."""
    rows, errors, dfs, unseen = [], [], [], []
    for alpha in alphas:
        found = influence_at(fit, float(alpha))
        unseen.append(np.tile(unseen_at(fit, float(alpha)), found.rows.shape[2]))
        units = by_cluster(found.rows, found.groups)
        rows.append(np.swapaxes(units, 1, 2).reshape(len(units), -1))
        errors.append(np.sqrt(np.diagonal(found.covariance(), axis1=1, axis2=2)).ravel())
        dfs.append(found.uneven_df().ravel())
    psi, error = np.stack(rows, axis=1), np.stack(errors)  # (n, m, k), (m, k)
    rng = generator(random_state, "bands")
    size = np.sqrt(np.sum(psi**2, axis=0))
    axes: tuple[int, ...] = {"path": (1,), "coefficients": (2,), "all": (1, 2)}[over]
    largest = []
    for _ in range(-(-_beyond(level) // _DRAWS)):
        draws = rng.standard_normal((_DRAWS, len(psi))) @ psi.reshape(len(psi), -1)
        standard = np.abs(draws.reshape(_DRAWS, *error.shape)) / np.where(size > 0, size, 1.0)
        standard[:, np.stack(unseen)] = 0.0  # no band, and no part in those of others
        largest.append(standard.max(axis=axes, keepdims=True))
    critical = np.quantile(np.concatenate(largest), level, axis=0)
    return np.where(np.stack(unseen), np.nan, error * student.isf(norm.sf(critical), np.stack(dfs)))
