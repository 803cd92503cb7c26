r"""Scores: one number per row whose mean estimates an end, insensitive to first order to errors of the nuisances.

Below A is "the row is in the arm", e its propensity, :math:`\phi` the functional of the outcome.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.optimize import minimize

from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.bounds._divergences import Divergence
from causalinv.bounds._solver import solve

__all__ = ["ArmLaw", "cap_att_terms", "cap_scores", "f_ball_scores", "manski_scores"]

_FLOOR = 1e-3  # of kappa, in mean distances: costs less than a thousandth and keeps the score square integrable
_ROWS_PER_COEFFICIENT = 20
_CHUNK = 1 << 20


def manski_scores(phi: FloatArray, inside: BoolArray, limits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper score A phi + (1 - A) L or U: an ordinary mean, free of nuisances."""
    return np.where(inside, phi, limits[0]), np.where(inside, phi, limits[1])


# -- a limit on the density ratio --------------------------------------------------------------------------------------


class ArmLaw:
    """Law of one arm at every row, with the sums that its tails need; `atoms` (K,) sorted, `weights` (n, K)."""

    def __init__(self, atoms: FloatArray, weights: FloatArray) -> None:
        self.atoms, self.weights = atoms, weights
        self.below = np.cumsum(weights, axis=1)
        self.part = np.cumsum(weights * atoms, axis=1)
        self.mean = self.part[:, -1]

    @cached_property
    def _mirrored(self) -> ArmLaw:
        """Law of minus phi: its lower tail, summed from its own end, loses no digits however thin it is."""
        return ArmLaw(-self.atoms[::-1], self.weights[:, ::-1])

    def lower(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        """Cut q(x) and the mean of `h_lower` under the law: the least mean of a law with density ratio in [m, M].

        That law is m times the arm's and 1 - m times its lower tail, of mass (1 - m) / (M - m).
        """
        tail = (1.0 - m) / (M - m) if m < M else 0.5
        at = np.sum((self.below < tail * (1 - 1e-12)) | (self.below <= 0.0), axis=1)
        at = np.minimum(at, len(self.atoms) - 1)
        cut = self.atoms[at]
        short = cut * self._before(self.below, at) - self._before(self.part, at)
        mean = cut - (short / tail if tail > 0 else 0.0)
        return cut, m * self.mean + (1.0 - m) * np.maximum(mean, self.atoms[0])

    def upper(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        """Cut q(x) and the mean of `h_upper` under the law: the largest mean of a law with density ratio in [m, M]."""
        if m == M:  # no confounding: one number, to the last digit
            return self.lower(m, M)
        cut, mean = self._mirrored.lower(m, M)
        return -cut, -mean

    @staticmethod
    def _before(values: FloatArray, at: IntArray) -> FloatArray:
        """Sums over the atoms before the cut; 0 at the first."""
        found = np.take_along_axis(values, np.maximum(at - 1, 0)[:, None], axis=1)[:, 0]
        return np.where(at > 0, found, 0.0)


def h_lower(phi: FloatArray, cut: FloatArray, m: float, M: float) -> FloatArray:
    """Outcomes whose mean, for any cut, is at most the least mean under the cap, and equals it at the right cut."""
    return m * phi + (1.0 - m) * cut - (M - m) * np.maximum(cut - phi, 0.0)


def h_upper(phi: FloatArray, cut: FloatArray, m: float, M: float) -> FloatArray:
    """Outcomes whose mean, for any cut, is at least the largest mean under the cap, and equals it at the right cut."""
    return m * phi + (1.0 - m) * cut + (M - m) * np.maximum(phi - cut, 0.0)


def cap_scores(
    phi: FloatArray, inside: BoolArray, e: FloatArray, law: ArmLaw, cap: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    r"""Lower and upper score for everybody's mean of Y(a) under the cap.

    :math:`A\phi + (1 - A)\rho(X) + A\frac{1 - e}{e}(H_q - \rho(X))` with :math:`\rho(x) = E[H_q | A, x]`. Doubly robust
    in e and rho, and for any cut q the bound is valid.
    """
    ends = []
    for h, (cut, rho) in ((h_lower, law.lower(*cap)), (h_upper, law.upper(*cap))):
        ends.append(np.where(inside, phi + (1.0 - e) / e * (h(phi, cut, *cap) - rho), rho))
    return ends[0], ends[1]


def cap_att_terms(
    phi: FloatArray, *, treated: BoolArray, control: BoolArray, odds: FloatArray, law: ArmLaw, cap: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    r"""Terms whose sums over the number of treated are the ends of E[Y(1) - Y(0) | treated] under the cap.

    :math:`A(\phi - \rho) - (1 - A)\frac{e_1}{e_0}(H_q - \rho)`, with rho and q from the law of the controls: R is the
    law of Y(0) among the treated.
    """
    ends = []
    for h, (cut, rho) in ((h_upper, law.upper(*cap)), (h_lower, law.lower(*cap))):
        ends.append(treated * (phi - rho) - control * odds * (h(phi, cut, *cap) - rho))
    return ends[0], ends[1]


# -- the f-ball --------------------------------------------------------------------------------------------------------


def f_ball_scores(
    phi: FloatArray,
    inside: BoolArray,
    e: FloatArray,
    *,
    X: FloatArray,
    folds: IntArray,
    atoms: FloatArray,
    weights: FloatArray,
    limit: float,
    divergence: Divergence,
    row_weight: FloatArray | None,
) -> FloatArray:
    r"""Score of the upper end for everybody's mean of Y(a).

    With dual functions lambda, kappa learnt on the other folds, :math:`Z = G((\kappa + d)/\lambda)` and
    :math:`m(x) = E[\lambda Z | A, x]`:
    :math:`U + \lambda(B(e) - f(0)) + \kappa + m + \lambda B'(e)(A - e) + \frac{A}{e}(\lambda Z - m)`. Any lambda > 0,
    kappa >= 0 gives a valid bound, so errors of the dual widen; the term in B' makes errors of e second order.
    """
    d = limit - phi
    lam, kappa = np.empty_like(e), np.empty_like(e)
    for fold in np.unique(folds):
        train, test = inside & (folds != fold), folds == fold
        weight = None if row_weight is None else row_weight[train]
        dual = SieveDual(X[train], d[train], e[train], divergence, weight)
        lam[test], kappa[test] = dual(X[test])
    regression = np.empty_like(e)
    step = max(1, _CHUNK // len(atoms))
    for start in range(0, len(e), step):
        rows = slice(start, start + step)
        z = divergence.conjugate((kappa[rows, None] + (limit - atoms)) / lam[rows, None])
        regression[rows] = lam[rows] * np.einsum("nk,nk->n", weights[rows], z)
    z = divergence.conjugate((kappa + d) / lam)
    own = np.where(inside, (lam * z - regression) / e, 0.0)
    slope = lam * divergence.radius_slope(e) * (inside - e)
    out: FloatArray = limit + lam * (divergence.radius(e) - divergence.at_zero) + kappa + regression + slope + own
    return out


class SieveDual:
    """Dual functions lambda(x) > 0, kappa(x) >= 0, additive in piecewise linear hats, by convex minimisation.

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
        n_knots = min(4, len(d) // (_ROWS_PER_COEFFICIENT * max(X.shape[1], 1)))
        self.knots = [np.unique(np.quantile(x, np.linspace(0, 1, n_knots))) for x in X.T] if n_knots > 1 else []
        basis, distance = self._basis(X), d / self.scale
        constant = divergence.radius(e) - divergence.at_zero
        start = solve(distance, share, np.atleast_1d(share @ e), divergence)
        usable = np.isfinite(start.lam[0]) and start.lam[0] > 0
        lam0, kappa0 = (start.lam[0], max(start.kappa[0], _FLOOR)) if usable else (1.0, 1.0)
        k = basis.shape[1]

        def risk(coef: FloatArray) -> tuple[float, FloatArray]:
            lam, kappa = basis @ coef[:k], basis @ coef[k:]
            w = (kappa + distance) / lam
            g, s = divergence.conjugate(w), divergence.tilt(w)
            value = share @ (lam * (constant + g) + kappa)
            return float(value), np.r_[(share * (constant + g + w * s)) @ basis, (share * (1.0 - s)) @ basis]

        blocks = max(len(self.knots), 1)
        found = minimize(
            risk,
            np.r_[np.full(k, max(lam0, 1e-4) / blocks), np.full(k, kappa0 / blocks)],
            jac=True,
            method="L-BFGS-B",
            bounds=[(1e-4 / blocks, None)] * k + [(_FLOOR / blocks, None)] * k,
        )
        self.lam, self.kappa = found.x[:k] * self.scale, found.x[k:] * self.scale

    def _basis(self, X: FloatArray) -> FloatArray:
        """Hats of every feature, each block summing to one, flat beyond the outer knots; one constant if no block."""
        if not self.knots:
            return np.ones((len(X), 1))
        blocks = [
            np.stack([np.interp(x, knots, hat) for hat in np.eye(len(knots))], axis=1)
            for x, knots in zip(X.T, self.knots, strict=True)
        ]
        return np.concatenate(blocks, axis=1)

    def __call__(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lambda and kappa at each row."""
        basis = self._basis(X)
        return basis @ self.lam, basis @ self.kappa
