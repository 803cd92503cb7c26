r"""Lower limit of the share of an outcome's variance that breaks a symmetry: it needs no good learner.

For any f̂ fitted on other rows, with :math:`\delta = \hat f(X) - E[\hat f(X)|M]`, M the orbit, and any m̂(M),
:math:`L = (Y - \hat m(M))\,\delta` has :math:`E L = E[(m - m_G)\,\delta]`, so by Cauchy and Schwarz
:math:`E(m - m_G)^2 / \mathrm{Var}\,Y \ge (E L)_+^2 / (E\delta^2\, \mathrm{Var}\,Y)`.

Where the outcome ignores the pose and poses are uniform given orbits, moving each held-out row within its orbit leaves
the law of all L as it is. So a limit above 0 must also pass that test, which is exact at any number of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import stdtrit

from causalinv._typing import FloatArray
from causalinv.transformations import Transformation
from causalinv.transformations._base import moved_rows

__all__ = ["broken_share", "deviations"]

_COPIES = 16  # of each row, where the group cannot be listed
_DRAWS = 999
_MOST_DRAWS = 99_999  # levels below 1e-5 are out of the test's reach, and limits 0
_ROUNDS = 5  # of skewness and limit
_TIE = 1e-10  # relative: statistics this close are equal


def deviations(
    predict: Callable[[FloatArray], FloatArray],
    rows: FloatArray,
    symmetry: Transformation,
    names: list[str] | None,
    rng: np.random.Generator,
) -> FloatArray:
    """Predictions less their mean over the orbit, shape (m, K): in the pose that was seen first, then in others.

    The mean is exact if the group can be listed, else over drawn copies, which makes limits lower.
    """
    if symmetry.averages:
        frame = symmetry.frame(rows, names)  # the identity is the first element
        found = predict(frame.rows).reshape(len(rows), -1)
    else:
        copies = [moved_rows(symmetry, rows, rng, names) for _ in range(_COPIES)]
        found = np.column_stack([predict(each) for each in (rows, *copies)])
    return np.asarray(found - found.mean(axis=1, keepdims=True))


def broken_share(
    left: FloatArray, poses: FloatArray, y: FloatArray, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Plug-in and lower limit of the share of Var y that breaks a symmetry, on rows that no learner saw.

    Parameters
    ----------
    left : ndarray of shape (m,)
        Outcome less an estimate that is the same in all poses.
    poses : ndarray of shape (m, K)
        Of `deviations`.
    y : ndarray of shape (m,)
    level : float
    rng : numpy.random.Generator
    """
    unit = float(np.abs(y - y.mean()).max())
    if unit == 0:
        return 0.0, 0.0
    m = len(y)
    # Any constant can be taken off: the residuals' own mean is the same in all poses too.
    left, poses, spread = (left - left.mean()) / unit, poses / unit, ((y - y.mean()) / unit) ** 2
    product, squared = left * poses[:, 0], poses[:, 0] ** 2
    d, v = float(squared.mean()), float(spread.sum()) / (m - 1)
    if d <= 1e-20 * v:
        return 0.0, 0.0
    slopes, sizes = product / np.sqrt(d * v), (squared / d + spread / spread.mean()) / 2
    lower = _unskewed(slopes, sizes, float(stdtrit(m - 1, 1 - level)))
    draws = min(max(_DRAWS, int(np.ceil(1 / level)) - 1), _MOST_DRAWS)
    if lower > 0 and _pvalue(left, poses, draws, rng) > level:
        lower = 0.0
    return min(max(float(slopes.mean()), 0.0), 1.0) ** 2, min(lower, 1.0) ** 2  # a share; estimates can lie beyond


def _unskewed(slopes: FloatArray, sizes: FloatArray, quantile: float) -> float:
    """`_least`, with the critical value that Johnson's t has for errors of this skewness, where it is larger.

    Shares are bounded below, so that errors at the value tested lean to the left and Student's t to the right.
    """
    m, found = len(slopes), 0.0
    critical = quantile
    for _ in range(_ROUNDS):
        found = _least(slopes, sizes, critical**2 / m)
        errors = slopes - found * sizes
        errors = errors - errors.mean()
        spread = float(np.mean(errors**2))
        if found == 0 or spread == 0:
            return found
        skewness = float(np.mean(errors**3)) / spread**1.5
        critical = max(quantile, quantile - skewness * (1 + 2 * quantile**2) / (6 * np.sqrt(m)))
    return found


def _least(slopes: FloatArray, sizes: FloatArray, k: float) -> float:
    """Least rho >= 0 that Student's test does not reject, of the mean of slopes - rho sizes being 0; sizes have mean 1.

    That is the influence of rho, taken at the value tested (as Fieller does): errors at the estimate are small where
    the estimate is large by chance, and limits from them too high.
    """
    rho = float(slopes.mean())
    (a, b), (_, c) = np.cov(slopes, sizes)
    linear, constant = 2 * (k * b - rho), rho**2 - k * a
    if rho <= 0 or constant <= 0:
        return 0.0
    root = np.sqrt(max(linear**2 - 4 * (1 - k * c) * constant, 0.0))
    return float(min(2 * constant / (root - linear), rho))


def _pvalue(left: FloatArray, poses: FloatArray, draws: int, rng: np.random.Generator) -> float:
    """Of the randomisation test that the sum of L is no larger than with rows moved, in units of its own size."""
    m, k = poses.shape
    at = np.arange(m)

    def statistic(which: Any) -> float:
        product = left * poses[at, which]
        size = float(np.sqrt(product @ product))
        return float(product.sum()) / size if size > 0 else 0.0

    seen = statistic(0) - _TIE
    return (1 + sum(statistic(rng.integers(k, size=m)) >= seen for _ in range(draws))) / (draws + 1)
