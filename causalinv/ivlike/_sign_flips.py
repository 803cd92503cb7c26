r"""Score tests whose law is that of the residuals under flips of their signs: any variances, and clusters.

With r the residual of least squares that ignores the q moved coordinates, Q an orthonormal basis of these (the fitted
ones partialled out of them) and m the rows less what is fitted, the share :math:`|Q'r|^2 / |r|^2` has the Beta law with
q/2 and (m - q)/2 if errors are normal and of equal variance: the classical F test. If variances differ, the signs of
the residuals can still be flipped: :math:`|Q'(\epsilon r)|^2 / |r|^2`, whose mean and variance over independent signs
are sums of products. Residuals are taken as long as their errors (HC2), and the variance times its exact value over
what this estimate has on average, both under normal errors of equal variance; so the Beta law with this mean and
variance is then close to that of the classical test, and keeps its power where q is not small beside n. With many
controls squared residuals are nearly alike whatever the errors are, for each mixes all of them, by the squares of
:math:`M = I - FF'` with F fitted. So the mean is taken from unmixed ones (`causalinv._unmixing`), and the variance
keeps its ratio to its square.

With clusters signs are flipped cluster by cluster, residuals adjusted as in CR2 (Bell and McCaffrey, 2002); the squared
length of the sum of the scores is then at most their number times the largest eigenvalue of their scatter, and in units
of that it has the Beta law with its mean and variance over flips.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from causalinv._matrix import whitener
from causalinv._typing import FloatArray
from causalinv._unmixing import unmixing
from causalinv.ivlike._equation import cluster_sums

__all__ = ["as_long_as_errors", "clustered_pvalue", "share_pvalue"]

_PAIRS = 3000  # rows up to which correlations of residuals count: they are of the order of fitted / rows squared
_FITTED = 1e-10  # of a row, what is left by what is fitted: a row that is fitted exactly has no residual


def share_pvalue(residual: FloatArray, moved: FloatArray, fitted: FloatArray, *, equal: bool) -> tuple[float, float]:
    """F statistic and p-value of the share of a residual (n,) that the moved coordinates (n, q) explain.

    Parameters
    ----------
    residual : ndarray of shape (n,)
        Of least squares on the fitted coordinates.
    moved : ndarray of shape (n, q)
        Orthonormal, and orthogonal to `fitted`.
    fitted : ndarray of shape (n, k)
        Orthonormal, the constant among them.
    equal : bool
        Whether error variances are taken as equal.
    """
    n, q = moved.shape
    m = n - fitted.shape[1]
    residual, _ = _in_own_units(residual)
    size = float(residual @ residual)
    if size <= 0.0:
        return 0.0, 1.0  # nothing is left to react
    share = min(float(np.sum((moved.T @ residual) ** 2)) / size, 1.0)
    statistic = share / (1.0 - share) * (m - q) / q if share < 1.0 else np.inf
    mean, variance = q / m, 2 * q * (m - q) / (m**2 * (m + 2))
    if not equal:
        left = 1.0 - np.sum(fitted**2, axis=1)
        square = residual**2 / size
        own = np.sum(moved**2, axis=1)
        long = np.divide(square, left, out=np.zeros(n), where=left > _FITTED)
        flipped = 2 * float(np.sum((moved.T @ (long[:, None] * moved)) ** 2) - np.sum((own * long) ** 2))
        variance *= flipped * m * (m + 2) / (2 * (q - float(own @ own) + _correlated(moved, fitted, left)))
        mean = float(own @ long)
        unmixed = float(unmixing(own, fitted) @ square)
        if unmixed > 0:
            mean, variance = unmixed, variance * (unmixed / mean) ** 2
    return statistic, _beta_tail(share, mean, variance)


def clustered_pvalue(
    residual: FloatArray,
    moved: FloatArray,
    fitted: FloatArray,
    groups: np.ndarray | None,
    *,
    own: FloatArray | None = None,
) -> tuple[float, float]:
    """Squared length of the score over its mean under flips of the signs of clusters, and its p-value.

    Arguments as in `share_pvalue`, and the cluster of every row, codes from 0 (None: each row is one). `own` (n, q) is
    what rows add to the error of the score beside the residual; it sums to zero. Directions weigh by what rows scatter.
    """
    residual, top = _in_own_units(residual)
    scores, total = moved * as_long_as_errors(residual, fitted, groups)[:, None], moved.T @ residual
    if own is not None:  # of another size in every direction; no flip changes the scatter of rows
        scores += own / top
        turn = whitener(scores.T @ scores)
        scores, total = scores @ turn, total @ turn
    if groups is not None:
        scores = cluster_sums(scores, groups)
    gram = scores.T @ scores
    mean = float(np.trace(gram))
    variance = 2 * (float(np.sum(gram**2)) - float(np.sum(np.sum(scores**2, axis=1) ** 2)))
    most = len(scores) * float(np.linalg.eigvalsh(gram)[-1])
    length = float(total @ total)
    if mean <= 0.0:
        return 0.0, 1.0  # nothing is left to react
    return length / mean, _beta_tail(length / most, mean / most, variance / most**2)


def as_long_as_errors(residual: FloatArray, fitted: FloatArray, groups: np.ndarray | None) -> FloatArray:
    """Residuals as long as their errors, as in HC2 and CR2; directions that are fitted exactly stay as they are."""
    if groups is None:
        left = 1.0 - np.sum(fitted**2, axis=1)
        return residual / np.sqrt(np.where(left > _FITTED, left, 1.0))
    adjusted = residual.copy()
    for own in (np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)):
        values, vectors = np.linalg.eigh(fitted[own].T @ fitted[own])
        left = 1.0 - values
        inside = fitted[own] @ vectors  # of length values: (1 - HH')^(-1/2) stretches these directions only
        kept = (values > _FITTED) & (left > _FITTED)
        stretch = np.where(kept, (1.0 / np.sqrt(np.where(kept, left, 1.0)) - 1.0) / np.where(kept, values, 1.0), 0.0)
        adjusted[own] += inside @ (stretch * (inside.T @ residual[own]))
    return adjusted


def _in_own_units(residual: FloatArray) -> tuple[FloatArray, float]:
    """The residual over its largest absolute value, so that squares neither over- nor underflow, and that value."""
    top = float(np.abs(residual).max(initial=0.0)) or 1.0
    return residual / top, top


def _beta_tail(share: float, mean: float, variance: float) -> float:
    """P(B >= share) for B of the Beta law with a mean and a variance; 1 where there is none."""
    if not 0 < mean < 1 or not 0 < variance < mean * (1 - mean):
        return 1.0
    total = mean * (1 - mean) / variance - 1
    return float(beta.sf(share, mean * total, (1 - mean) * total))


def _correlated(moved: FloatArray, fitted: FloatArray, left: FloatArray) -> float:
    """What correlations of residuals add to the mean of the flipped variance: 2 Σ P_ij² corr_ij² over pairs of rows."""
    n, q = moved.shape
    k = fitted.shape[1]
    share = np.divide(1.0, left, out=np.zeros_like(left), where=left > _FITTED)
    if (q * k) ** 2 <= n * (q + k):  # entrywise products of Gram matrices are Gram matrices of products
        rows = (moved[:, :, None] * fitted[:, None, :]).reshape(n, q * k)
        pairs = float(np.sum((rows.T @ (rows * share[:, None])) ** 2))
    elif n > _PAIRS:
        return 0.0
    else:
        pairs = float(share @ (((moved @ moved.T) * (fitted @ fitted.T)) ** 2 @ share))
    own = np.sum(moved**2, axis=1) * np.sum(fitted**2, axis=1) * share
    return 2 * (pairs - float(own @ own))
