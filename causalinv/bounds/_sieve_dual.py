r"""Scores of an f-ball's ends, with dual functions of the features that are learnt on the other folds."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.bounds._divergences import Divergence
from causalinv.bounds._location import hats
from causalinv.bounds._solver import solve

__all__ = ["AtomsAt", "dual_regressors", "f_ball_scores"]

_ROWS_PER_COEFFICIENT = 20
_MANY = 10  # covariates from which the dual is a function of the propensity and the predicted mean
_LEAST_SLOPE = 1e-3  # of the radius, which some divergences of users do not have near e = 1
_CHUNK = 1 << 20

#: Rows (k,), the atoms of their laws (K,) or (k, K), and weights (k, K).
AtomsAt = tuple[IntArray, FloatArray, FloatArray]


def dual_regressors(X: FloatArray, e: FloatArray, mean: FloatArray, smallest_arm: int) -> FloatArray:
    """What the dual is a function of: all covariates, or, where rows are too few for these, propensity and mean."""
    d = X.shape[1]
    if d < _MANY and smallest_arm >= 3 * _ROWS_PER_COEFFICIENT * d:
        return X
    return np.column_stack([e, mean])


def f_ball_scores(
    phi: FloatArray,
    inside: BoolArray,
    e: FloatArray,
    *,
    X: FloatArray,
    folds: IntArray,
    laws: list[AtomsAt],
    limit: float,
    divergence: Divergence,
    row_weight: FloatArray | None,
) -> FloatArray:
    r"""Score of the upper end for everybody's mean of Y(a).

    With dual functions lambda, kappa learnt on the other folds, :math:`Z = G((\kappa + d)/\lambda)` and
    :math:`m(x) = E[\lambda Z | A, x]`:
    :math:`U + \lambda(B(e) - f(0)) + \kappa + m + \lambda B'(e)(A - e) + \frac{A}{e}(\lambda Z - m)`. Any lambda > 0,
    kappa >= 0 gives a valid bound, so errors of the dual widen; the term in B' makes errors of e second order. Where
    the radius is beyond all floats (large orders, rare arms) the score is Manski's, which is the limit.
    """
    d = limit - phi
    with np.errstate(over="ignore"):
        radius, fall = divergence.radius(e) - divergence.at_zero, -divergence.radius_slope(e)
    known = np.isfinite(radius) & np.isfinite(fall)
    lam, kappa = np.ones_like(e), np.zeros_like(e)
    for fold in np.unique(folds):
        train, test = inside & (folds != fold) & known, (folds == fold) & known
        if not train.any():
            known &= folds != fold
            continue
        weight = None if row_weight is None else row_weight[train]
        dual = SieveDual(X[train], d[train], e[train], divergence, weight)
        lam[test], kappa[test] = dual(X[test], e[test])
    out = np.where(inside, phi, limit)
    regression = np.zeros_like(e)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for held, atoms, weights in laws:
            step = max(1, _CHUNK // weights.shape[1])
            for start in range(0, len(held), step):
                block = slice(start, start + step)
                rows, at = held[block], atoms if atoms.ndim == 1 else atoms[block]
                z = divergence.conjugate((kappa[rows, None] + (limit - at)) / lam[rows, None])
                regression[rows] = lam[rows] * np.einsum("nk,nk->n", weights[block], z)
        z = divergence.conjugate((kappa + d) / lam)
        own = np.where(inside, (lam * z - regression) / e, 0.0)
        score = limit + lam * radius + kappa + regression - lam * fall * (inside - e) + own
    return np.where(known & np.isfinite(score), score, out)


class SieveDual:
    """Dual functions lambda(x) > 0, kappa(x) >= 0, by convex minimisation.

    Kappa, and lambda times -B'(e), are additive in piecewise linear hats. That product is minus the slope of the end in
    e, hence of the order of the mean distance however rare the arm, while lambda itself falls as fast as B' grows: a
    lambda that did not would put inverse squares of propensities into the score.

    The risk is the mean over the arm of lambda (B(e) - f(0)) + kappa + lambda G((kappa + d) / lambda), jointly convex;
    its minimum over all functions is the bound itself.
    """

    def __init__(
        self, X: FloatArray, d: FloatArray, e: FloatArray, divergence: Divergence, weight: FloatArray | None
    ) -> None:
        # Rows of the arm stand for everybody, so that the dual fits where the average is taken.
        share = (1.0 if weight is None else weight) / e
        share = share / share.sum()
        scale = float(share @ d)
        self.scale = scale if scale > 0 else 1.0
        n_knots = max(min(4, len(d) // (_ROWS_PER_COEFFICIENT * max(X.shape[1], 1))), 2)
        knots = [np.unique(np.quantile(x, np.linspace(0, 1, n_knots))) for x in X.T]
        self.used = [j for j, each in enumerate(knots) if len(each) > 1]
        self.knots = [knots[j] for j in self.used]
        basis, distance = self._basis(X), d / self.scale
        constant, self.divergence = divergence.radius(e) - divergence.at_zero, divergence
        middle = np.atleast_1d(share @ e)
        start, unit, floor = solve(distance, share, middle, divergence), self._unit(e), divergence.kappa_floor
        usable = np.isfinite(start.lam[0]) and start.lam[0] > 0
        lam0, kappa0 = (start.lam[0] / self._unit(middle)[0], max(start.kappa[0], floor)) if usable else (1.0, 1.0)
        k = basis.shape[1]

        def risk(coef: FloatArray) -> tuple[float, FloatArray]:
            lam, kappa = unit * (basis @ coef[:k]), basis @ coef[k:]
            w = (kappa + distance) / lam
            g, s = divergence.conjugate(w), divergence.tilt(w)
            value = share @ (lam * (constant + g) + kappa)
            return float(value), np.r_[(share * unit * (constant + g + w * s)) @ basis, (share * (1.0 - s)) @ basis]

        blocks = max(len(self.knots), 1)
        found = minimize(
            risk,
            np.r_[np.full(k, max(lam0, 1e-4) / blocks), np.full(k, kappa0 / blocks)],
            jac=True,
            method="L-BFGS-B",
            bounds=[(1e-4 / blocks, None)] * k + [(floor / blocks, None)] * k,
        )
        self.lam, self.kappa = found.x[:k] * self.scale, found.x[k:] * self.scale

    def _basis(self, X: FloatArray) -> FloatArray:
        """Hats of every feature, each block summing to one, flat beyond the outer knots; 1 if nothing varies."""
        if not self.knots:
            return np.ones((len(X), 1))
        return np.concatenate([hats(x, knots) for x, knots in zip(X.T[self.used], self.knots, strict=True)], axis=1)

    def _unit(self, e: FloatArray) -> FloatArray:
        """What lambda is a multiple of: one over the slope of the radius."""
        with np.errstate(over="ignore"):
            return 1.0 / np.maximum(-self.divergence.radius_slope(e), _LEAST_SLOPE)

    def __call__(self, X: FloatArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lambda and kappa at each row."""
        basis = self._basis(X)
        return self._unit(e) * (basis @ self.lam), basis @ self.kappa
