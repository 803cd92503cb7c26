"""Linear invariance as nonparametric instrumental variables: functions h of X whose mean given the action is linear."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh, solve

from causalinv._typing import FloatArray

__all__ = ["fit_instrumental"]


def fit_instrumental(
    features: FloatArray,
    action: FloatArray,
    moments: FloatArray,
    penalty: FloatArray,
    *,
    ridge: float,
    variance_ridge: float,
) -> tuple[FloatArray, FloatArray]:
    """Solve E[h(X) | A] = A for h linear in features, by ridge on the moments.

    Parameters
    ----------
    features : ndarray of shape (n, p)
        Centred functions of X.
    action : ndarray of shape (n, k)
        Standardised.
    moments : ndarray of shape (n, q)
        Centred, orthonormal functions of the action.
    penalty : ndarray of shape (p,)
        Weights of the ridge.
    ridge, variance_ridge : float
        Weight of the penalty, and of the variance of h, which picks the calmest of nearly equal solutions.

    Returns
    -------
    coef : ndarray of shape (p, k)
    order : ndarray of shape (k, k)
        Combinations of the k solutions as columns, best explained first, each of unit variance of the action.
    """
    n = len(features)
    G, H = moments.T @ features / n, moments.T @ action / n
    system = G.T @ G + variance_ridge * (features.T @ features / n) + ridge * np.diag(penalty)
    coef = solve(system, G.T @ H, assume_a="pos")
    unexplained = H.T @ H - H.T @ G @ coef
    _, order = eigh((unexplained + unexplained.T) / 2, action.T @ action / n)
    return coef, order
