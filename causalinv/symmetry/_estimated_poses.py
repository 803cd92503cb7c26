r"""A test of "the mean outcome depends on the row only through its orbit", where the law of poses has to be learnt.

The projected covariance measure: on one half of the rows a learner shows in which direction :math:`\hat f` the outcome
may read the pose; on the other half, with M the orbit, the products of :math:`Y - E[Y|M]` and
:math:`\hat f(X) - E[\hat f(X)|M]` have mean 0 under the null. Both expectations are regressions on the orbit alone
(kernel ridge, averaged over frames, residuals of rows left out), so the level rests on the product of their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from causalinv._parallel import seed_estimator
from causalinv._typing import FloatArray
from causalinv.symmetry._invariant_kernel import (
    Invariants,
    bandwidth,
    gaussian,
    gaussian_ridge,
    loo_residuals,
    pairwise,
)
from causalinv.transformations import Transformation

__all__ = ["orbit_mean", "overlap", "projected_covariance"]

_SPLITS = 5
_COPIES = 16  # of each row, where the group cannot be listed
_CENTRES = 50  # of the features that tell rows from their copies
_STILL = 1e-10  # relative: a row that moves less is not moved

Predict = Callable[[FloatArray], FloatArray]


def projected_covariance(
    rows: FloatArray,
    y: FloatArray,
    symmetry: Transformation,
    names: Sequence[str] | None,
    estimator: Any,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Median statistic over splits (standard normal under the null, large if it is false), and twice the median p."""
    width = bandwidth(rows)
    found = []
    for _ in range(_SPLITS):
        first, second = np.array_split(rng.permutation(len(rows)), 2)
        if estimator is None:
            predict = gaussian_ridge(rows[first], y[first], width)
        else:
            predict = _flat(seed_estimator(estimator, rng).fit(rows[first], y[first]).predict)
        held = rows[second]
        seen = predict(held)
        direction = seen - orbit_mean(predict, held, symmetry, names, rng)
        if np.abs(direction).max() <= _STILL * max(float(np.ptp(seen)), np.finfo(float).tiny):
            found.append(-np.inf)  # the learner sees nothing that moves
            continue
        orbits = Invariants(symmetry, held, names)
        kernel = pairwise(orbits, orbits, width)
        product = loo_residuals(kernel, direction / np.abs(direction).max()) * loo_residuals(kernel, y[second])
        spread = float(product.std(ddof=1))
        found.append(float(product.mean()) / spread * np.sqrt(len(second)) if spread > 0 else -np.inf)
    middle = float(np.median(found))
    return (middle if np.isfinite(middle) else 0.0), min(2 * float(np.median(norm.sf(found))), 1.0)


def orbit_mean(
    predict: Predict, rows: FloatArray, symmetry: Transformation, names: Sequence[str] | None, rng: np.random.Generator
) -> FloatArray:
    """Mean prediction over the group: exact if it can be listed, else over copies; without a uniform law over frames."""
    if symmetry.averages or symmetry.compact is False:
        frame = symmetry.frame(rows, names)
        return frame.average(predict(frame.rows))
    return np.asarray(np.mean([predict(symmetry.draw(rows, rng, names)[0]) for _ in range(_COPIES)], axis=0))


def overlap(rows: FloatArray, symmetry: Transformation, names: Sequence[str] | None, rng: np.random.Generator) -> float:
    """1 if poses look uniform given orbits, near 0 if rows can be told from copies of them that were moved.

    Twice the mean held-out probability of being the original that a logistic regression gives to moved copies. Without
    a uniform law: the share of the pose's variance that the orbit does not explain. NaN if hardly a row moves.
    """
    if symmetry.compact is False:
        pose = symmetry.pose(rows, names)
        moving = np.ptp(pose, axis=0) > _STILL * np.maximum(np.abs(pose).max(axis=0), np.abs(rows).max())
        if not moving.any():
            return 0.0  # one pose was seen
        pose = pose[:, moving] / pose[:, moving].std(axis=0)
        orbits = Invariants(symmetry, rows, names)
        kernel = pairwise(orbits, orbits, bandwidth(rows))
        left = np.mean([np.mean(loo_residuals(kernel, column) ** 2) for column in pose.T])
        return float(min(left, 1.0))
    copies = symmetry.draw(rows, rng, names)[0]
    moved = np.abs(copies - rows).max(axis=1) > _STILL * np.abs(rows).max()
    if moved.sum() < 10:
        return float("nan")
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


def _flat(predict: Any) -> Predict:
    return lambda rows: np.asarray(predict(rows), dtype=np.float64).reshape(len(rows))
