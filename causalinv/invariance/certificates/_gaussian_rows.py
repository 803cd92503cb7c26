"""Whether rows contradict a Gaussian law: skewness and kurtosis within environments, all environments together."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from causalinv._labels import Labels
from causalinv._typing import FloatArray

__all__ = ["against_gaussian", "kurtosis_score", "skewness_score"]

_LEVEL = 0.01  # of all tests together
_FEWEST = 20  # rows of an environment from which the transformed moments are normal
_ROUNDING = 1e-10  # of a column's largest entry: a standard deviation that is none


def against_gaussian(columns: dict[str, FloatArray], labels: Labels) -> str | None:
    """The clearest contradiction in words, or None.

    Skewness and kurtosis of each column within each environment of at least 20 rows, transformed to normal scores;
    scores are added with the root of the rows as weights. Gaussian rows are contradicted with probability .01, about
    (Bonferroni). A column that is constant in an environment is not looked at there.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n,)
        Linear functions of the rows, by name.
    labels : Labels
    """
    found: list[tuple[float, str]] = []
    counts = labels.counts.astype(float)
    for name, column in columns.items():
        top = float(np.abs(column).max())
        if top == 0:
            continue
        rows = column / top
        rows = rows - (np.bincount(labels.codes, rows) / counts)[labels.codes]
        second, third, fourth = (np.bincount(labels.codes, rows**power) / counts for power in (2, 3, 4))
        seen = (counts >= _FEWEST) & (np.sqrt(second) > _ROUNDING)
        if not seen.any():
            continue
        n, second = counts[seen], second[seen]
        skewness, kurtosis = third[seen] / second**1.5, fourth[seen] / second**2
        for what, value, normal, scores in (
            ("skewness", skewness, 0, skewness_score(skewness, n)),
            ("kurtosis", kurtosis, 3, kurtosis_score(kurtosis, n)),
        ):
            score = float(np.sqrt(n) @ scores / np.sqrt(n.sum()))
            told = f"{what} of {name} is {n @ value / n.sum():.2g} within environments ({normal} in Gaussian rows)"
            found.append((float(2.0 * ndtr(-abs(score))), told))
    if not found:
        return None
    least, told = min(found)
    return told if least * len(found) <= _LEVEL else None


def skewness_score(skewness: FloatArray, n: FloatArray) -> FloatArray:
    """Standard normal for the skewness of n Gaussian rows. Source: D'Agostino (1970)."""
    spread = 3.0 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2) * (n + 5) * (n + 7) * (n + 9))
    squared = np.sqrt(2.0 * (spread - 1.0)) - 1.0
    unit = skewness * np.sqrt((n + 1) * (n + 3) / (6.0 * (n - 2))) / np.sqrt(2.0 / (squared - 1.0))
    return np.asarray(np.arcsinh(unit) / np.sqrt(0.5 * np.log(squared)))


def kurtosis_score(kurtosis: FloatArray, n: FloatArray) -> FloatArray:
    """Standard normal for the kurtosis of n Gaussian rows. Source: Anscombe and Glynn (1983)."""
    error = np.sqrt(24.0 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5)))
    unit = (kurtosis - 3.0 * (n - 1) / (n + 1)) / error
    skew = 6.0 * (n**2 - 5 * n + 2) / ((n + 7) * (n + 9)) * np.sqrt(6.0 * (n + 3) * (n + 5) / (n * (n - 2) * (n - 3)))
    freedom = 6.0 + 8.0 / skew * (2.0 / skew + np.sqrt(1.0 + 4.0 / skew**2))
    ratio = (1.0 - 2.0 / freedom) / (1.0 + unit * np.sqrt(2.0 / (freedom - 4.0)))
    return np.asarray((1.0 - 2.0 / (9.0 * freedom) - np.cbrt(ratio)) / np.sqrt(2.0 / (9.0 * freedom)))
