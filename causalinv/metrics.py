"""Errors of a coefficient against a known truth, for simulations and semi-synthetic data."""

from __future__ import annotations

import numpy as np

from causalinv._typing import ArrayLike, FloatArray

__all__ = ["causal_risk", "ncer"]


def causal_risk(coef: ArrayLike, truth: ArrayLike, cov: ArrayLike) -> float:
    r"""Causal excess risk :math:`(h - h_0)' Q (h - h_0)`: mean squared error of the effect where x varies as Q.

    Parameters
    ----------
    coef, truth : array-like of shape (d,) or (p, d)
        Estimated and true coefficients.
    cov : array-like of shape (d, d)
        Q, for example the covariance of the features.

    Returns
    -------
    float
        Squared units of y; summed over outcomes.

    Examples
    --------
    >>> causal_risk([1.0, 1.0], [1.0, 0.0], [[1.0, 0.0], [0.0, 4.0]])
    4.0
    """
    return _squared_norm(_difference(coef, truth), cov)


def ncer(coef: ArrayLike, truth: ArrayLike, *, cov: ArrayLike | None = None) -> float:
    r"""Normalised causal error :math:`\|h - h_0\|^2 / (\|h - h_0\|^2 + \|h_0\|^2)`.

    0 is the truth, 0.5 is what the zero vector reaches, 1 is nothing but confounding: always print the zero
    vector beside it.

    Parameters
    ----------
    coef, truth : array-like of shape (d,) or (p, d)
        Estimated and true coefficients; the truth must not be zero.
    cov : array-like of shape (d, d), optional
        Measure in the norm of this covariance (the error of the predicted effect) instead of the Euclidean norm
        of the coefficients, which depends on the units of the features.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> ncer([0.0, 0.0], [3.0, 4.0])
    0.5
    """
    difference = _difference(coef, truth)
    error = _squared_norm(difference, cov)
    size = _squared_norm(np.atleast_2d(np.asarray(truth, dtype=np.float64)), cov)
    if not size > 0:
        raise ValueError("truth has norm 0, so an error relative to it does not exist; use causal_risk.")
    return error / (error + size)


def _difference(coef: ArrayLike, truth: ArrayLike) -> FloatArray:
    estimated, true = np.asarray(coef, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if estimated.shape != true.shape or estimated.ndim not in (1, 2):
        raise ValueError(f"coef and truth must have the same shape, got {estimated.shape} and {true.shape}.")
    return np.atleast_2d(estimated - true)


def _squared_norm(rows: FloatArray, cov: ArrayLike | None) -> float:
    if cov is None:
        return float(np.sum(rows**2))
    metric = np.asarray(cov, dtype=np.float64)
    if metric.shape != (rows.shape[1], rows.shape[1]):
        raise ValueError(f"cov must have shape {(rows.shape[1],) * 2} for these coefficients, got {metric.shape}.")
    return float(np.sum(rows @ metric * rows))
