"""Linear invariance as nonparametric instrumental variables: functions h of X whose mean given the action is linear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, solve

from causalinv._typing import FloatArray

__all__ = ["Instrumental"]


@dataclass(frozen=True)
class Instrumental:
    """What E[h(X) | A] = A needs of the rows, for h linear in features; every ridge solves it from the same products.

    Attributes
    ----------
    G : ndarray of shape (q, p)
        Mean products of moments of the action and features of X.
    H : ndarray of shape (q, k)
        Of moments and the action.
    features, action : ndarray of shapes (p, p), (k, k)
        Covariances.
    """

    G: FloatArray
    H: FloatArray
    features: FloatArray
    action: FloatArray

    @classmethod
    def of(cls, features: FloatArray, action: FloatArray, moments: FloatArray) -> Instrumental:
        """From centred features (n, p), the standardised action (n, k), and centred, orthonormal moments (n, q)."""
        n = len(features)
        return cls(moments.T @ features / n, moments.T @ action / n, features.T @ features / n, action.T @ action / n)

    def solve(self, penalty: FloatArray, *, ridge: float, variance_ridge: float) -> tuple[FloatArray, FloatArray]:
        """The least squares of the moments with a ridge.

        Parameters
        ----------
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
        G, H = self.G, self.H
        system = G.T @ G + variance_ridge * self.features + ridge * np.diag(penalty)
        coef = solve(system, G.T @ H, assume_a="pos")
        unexplained = H.T @ H - H.T @ G @ coef
        _, order = eigh((unexplained + unexplained.T) / 2, self.action)
        return coef, order
