"""What the actions alone say of the outcome: no representation, and no reason to continue beyond them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr

from causalinv._matrix import lstsq
from causalinv._typing import FloatArray
from causalinv.extrapolation._features import Affine, moment_features

__all__ = ["Polynomial", "action_only", "smooth"]

_MAX_DEGREE = 5
_SMOOTH_DEGREE = 4


class Polynomial:
    """Least squares on orthonormal polynomials of the action, at any action."""

    def __init__(self, action: FloatArray, y: FloatArray, degree: int) -> None:
        centre, half = (action.max(axis=0) + action.min(axis=0)) / 2, np.ptp(action, axis=0) / 2
        self.units = Affine(np.diag(1 / half), -centre / half)
        self.degree = degree
        design = self._design(action)
        self.coef = lstsq(design, y)
        basis = qr(design, mode="economic")[0]
        leverage = np.minimum(np.sum(basis**2, axis=1), 1 - 1e-10)
        unit = float(np.abs(y).max(initial=0.0)) or 1.0  # of y, whose square may be no number
        self.loo = float(np.mean(((y - design @ self.coef) / unit / (1 - leverage)) ** 2))

    def _design(self, action: FloatArray) -> FloatArray:
        rows = self.units(action)
        columns = [np.ones(len(rows))]
        exponents = [(0,) * rows.shape[1]]
        seen = set(exponents)
        for _ in range(self.degree):
            exponents = [
                tuple(e + (i == j) for i, e in enumerate(power)) for power in exponents for j in range(rows.shape[1])
            ]
            exponents = [p for p in dict.fromkeys(exponents) if p not in seen]
            seen.update(exponents)
            columns += [np.prod(rows ** np.array(power), axis=1) for power in exponents]
        return np.column_stack(columns)

    def __call__(self, action: FloatArray) -> FloatArray:
        value: FloatArray = self._design(action) @ self.coef
        return value


def action_only(action: FloatArray, y: FloatArray) -> Polynomial:
    """Polynomial of the action of the degree (1 to 5) that leave-one-out prefers."""
    best = Polynomial(action, y, 1)
    for degree in range(2, _MAX_DEGREE + 1):
        more = Polynomial(action, y, degree)
        if len(more.coef) * 10 > len(y):
            break
        if more.loo < best.loo:
            best = more
    return best


def smooth(action: FloatArray, y: FloatArray) -> FloatArray:
    """Mean outcome given the action at the rows themselves, by polynomials up to degree 4."""
    basis = moment_features(action, _SMOOTH_DEGREE, max_columns=max(1, len(y) // 10))
    value: FloatArray = y.mean() + basis @ (basis.T @ (y - y.mean())) / len(y)
    return value
