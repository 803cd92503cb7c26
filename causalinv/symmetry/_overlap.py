"""Were rows seen in other poses? A check of the declaration that poses are uniform given orbits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from causalinv._typing import FloatArray
from causalinv.symmetry._invariant_kernel import bandwidth, gaussian
from causalinv.transformations import Transformation
from causalinv.transformations._base import moved_rows

__all__ = ["LITTLE", "NONE", "doubt", "overlap"]

LITTLE, NONE = 0.5, 0.1  # overlap that casts doubt on a declaration, and that leaves nothing to compare

_LEAST, _MOST = 50, 2_000  # rows
_CENTRES = 50  # of the features that tell rows from their copies
_STILL = 1e-10  # of a column's largest entry: a row that moves less is not moved


def overlap(
    rows: FloatArray, symmetry: Transformation, names: Sequence[str] | None, rng: np.random.Generator
) -> float | None:
    """1 if poses look uniform given orbits, near 0 if rows can be told from moved copies; None if few rows move.

    Twice the mean held-out probability of being the original that a logistic regression gives to moved copies. For a
    group of two elements that is the mean of 2(1 - e(x)), e the propensity of the pose that was seen.
    """
    if len(rows) > _MOST:
        rows = rows[rng.choice(len(rows), _MOST, replace=False)]
    copies = moved_rows(symmetry, rows, rng, names)
    moved = (np.abs(copies - rows) > _STILL * np.abs(rows).max(axis=0)).any(axis=1)
    if moved.sum() < _LEAST:
        return None
    both = np.vstack([rows[moved], copies[moved]])
    centres = both[rng.choice(len(both), min(_CENTRES, len(both)), replace=False)]
    size = both.std(axis=0)
    features = np.hstack([gaussian(both, centres, bandwidth(both)), both / np.where(size > 0, size, 1.0)])
    half = len(both) // 2
    side = rng.permuted(np.repeat([1.0, -1.0], [half - half // 2, half // 2]))
    apart = (features[:half] - features[half:]) * side[:, None]  # no intercept: exchanging the two exchanges the answer
    model = LogisticRegression(fit_intercept=False, max_iter=500)
    copy = cross_val_predict(model, apart, side > 0, cv=5, method="predict_proba")
    return float(2 * np.where(side > 0, copy[:, 0], copy[:, 1]).mean())


def doubt(seen: float | None) -> str:
    """What an overlap says against a p-value; empty if nothing."""
    if seen is None or seen >= LITTLE:
        return ""
    if np.isnan(seen):
        return (
            "How alike poses are could not be measured in so few rows: do not trust the p-value, its level rests on it."
        )
    if seen < NONE:
        return (
            f"Overlap is {seen:.2f}: hardly a row was seen in another pose, against what was declared. The p-value "
            "says NOTHING about the outcome, large or small."
        )
    return (
        f"Overlap is {seen:.2f} (1 if poses are uniform): do not trust the p-value, its level rests on uniform poses."
    )
