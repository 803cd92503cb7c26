r"""Error variances behind squared residuals, where many columns are fitted.

With M the matrix that makes residuals of errors a squared residual has mean :math:`\sum_j M_{ij}^2 \sigma_j^2`: with
few columns its own variance, with many a mixture of all, so that residuals look alike whatever the errors are
(Cattaneo, Jansson and Newey, 2018). Sums of error variances are read by weights that undo the mixing. The entrywise
square :math:`M \circ M` is never made: its product with a vector costs rows times squared columns.
"""

from __future__ import annotations

import numpy as np

from causalinv._matrix import whitener
from causalinv._typing import FloatArray

__all__ = ["unmixed_variances", "unmixing"]

_TOLD = 0.01  # added to eigenvalues from 0 to 1 of what mixes: directions far below it tell only noise
_EXACT = 1e-12  # relative residual of the linear system
_STEPS = 500  # conjugate gradients at the most: with eigenvalues from .01 to 1.01 about a hundred are needed


def unmixed_variances(
    design: FloatArray, residual: FloatArray, contrasts: FloatArray, weight: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    r"""Variances of combinations of least-squares coefficients, and their degrees of freedom.

    The estimate is unbiased for any variances, up to the shrinking of `unmixing`, where HC2 is so for equal ones; it
    need not be positive. Degrees of freedom are Satterthwaite's under independent normal errors of variance 1 / weight.

    Parameters
    ----------
    design : ndarray of shape (n, k)
        Regressors, the constant among them; with instruments, their projections.
    residual : ndarray of shape (n,)
    contrasts : ndarray of shape (m, k)
    weight : ndarray of shape (n,), optional
        Sampling weights > 0.

    Returns
    -------
    variance, df : ndarray of shape (m,)
        NaN for a combination that does not move.
    """
    root = np.ones(len(design)) if weight is None else np.sqrt(weight / weight.mean())
    half = whitener((root[:, None] * design).T @ (root[:, None] * design))
    fitted, square = root[:, None] * design @ half, (root * residual) ** 2
    left = 1.0 - np.sum(fitted**2, axis=1)
    variance, df = np.full((2, len(contrasts)), np.nan)
    for j, contrast in enumerate(contrasts):
        moved = fitted @ (half.T @ contrast)
        top = float(np.abs(moved).max(initial=0.0))
        if not top:
            continue
        weights = unmixing((moved / top) ** 2, fitted)
        spread = float(weights @ _mixed(weights, fitted))
        variance[j] = top**2 * float(weights @ square)
        df[j] = float(weights @ left) ** 2 / spread if spread > 0 else 0.0
    return variance, df


def unmixing(own: FloatArray, fitted: FloatArray) -> FloatArray:
    r"""Weights w (n,) such that :math:`\sum w_i r_i^2` has mean :math:`\sum own_i \sigma_i^2`, whatever the variances.

    Directions of variances that residuals hardly tell apart are shrunk; equal variances are met exactly all the same.

    Parameters
    ----------
    own : ndarray of shape (n,)
        What each error variance counts, >= 0.
    fitted : ndarray of shape (n, k)
        Orthonormal basis of the fitted columns, the constant among them.

    Returns
    -------
    ndarray of shape (n,)
        Zeros where no weights meet equal variances.
    """
    left = 1.0 - np.sum(fitted**2, axis=1)
    weights = np.zeros(len(own))
    residual = own.astype(np.float64)
    direction, size = residual.copy(), float(residual @ residual)
    least = size * _EXACT**2
    for _ in range(_STEPS):
        if size <= least:
            break
        image = _mixed(direction, fitted) + _TOLD * direction
        step = size / float(direction @ image)
        weights += step * direction
        residual -= step * image
        size, before = float(residual @ residual), size
        direction = residual + size / before * direction
    total = float(weights @ left)  # a row of squares of M adds up to M_ii
    return weights * (own.sum() / total) if total > 0 else np.zeros_like(weights)


def _mixed(values: FloatArray, fitted: FloatArray) -> FloatArray:
    """M∘M times values (n,): expected squared residuals, if these are the error variances."""
    inside = fitted.T @ (values[:, None] * fitted)
    shared = np.sum((fitted @ inside) * fitted, axis=1)
    return np.asarray((1.0 - 2.0 * np.sum(fitted**2, axis=1)) * values + shared)
