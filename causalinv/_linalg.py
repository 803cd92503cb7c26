"""Linear algebra on second moments that rooms share: ranks are judged in standardised units, never in the data's."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from causalinv._typing import FloatArray
from causalinv.moments import Moments

__all__ = ["RANK_TOL", "least_squares", "whitener"]

RANK_TOL = 1e-12  # of the largest eigenvalue, after scaling to unit diagonal


def least_squares(moments: Moments) -> FloatArray:
    """Least squares of y on x with an intercept, as a function of moments.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``; cells are pooled.

    Returns
    -------
    ndarray of shape (d, p)
        Coefficients; of minimum norm in standardised units if the features are dependent.
    """
    pooled = moments.pool()
    half = whitener(pooled.cov("x")[0])
    return half @ (half.T @ pooled.cov("x", "y")[0])


def whitener(cov: FloatArray, *, rescale: bool = True) -> FloatArray:
    """T (k, r) with T' cov T = I on the range of `cov`, whose rank is judged after scaling to unit diagonal."""
    if not cov.size:
        return np.empty((len(cov), 0))
    scale = np.sqrt(np.maximum(np.diag(cov), 0.0))
    safe = np.where(scale > 0, scale, 1.0) if rescale else np.ones(len(cov))
    values, vectors = eigh(cov / np.outer(safe, safe))
    keep = values > RANK_TOL * max(values[-1], 0.0)
    vectors[scale == 0] = 0.0  # a constant gets no coefficient, not even by rounding
    return (vectors[:, keep] / np.sqrt(values[keep])) / safe[:, None]
