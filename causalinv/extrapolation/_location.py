r"""Maximum likelihood in the location model: bend a first representation until it is the action's shift plus noise.

If T(phi) = W a + b + V with V independent of the action and of density f, the density of phi given A = a is

    f(T(phi) - W a - b) |det DT(phi)| .

A representation has as few coordinates as V, so the determinant is that of a small square matrix, known in closed form;
there is nothing of the kind for X itself. Linear invariance and the law of the action given X use only how things move
with the action, which says little where few states were seen. The density also uses how often each phi occurs, which
says more of the tails, as far as f is right.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from causalinv._typing import FloatArray
from causalinv.extrapolation._features import RadialFeatures, action_regression, whitening
from causalinv.extrapolation._mixture import NoiseLaw, residual_mixture

__all__ = ["MIXTURE_SIZES", "LocationFit", "LocationObjective", "fit_location", "refit_location"]

_BLOCK = 4096
_SEARCH_ROWS = 10_000  # of twice as many, the search starts on so many, and ends on all in a few steps
_MAX_NEWTON, _MAX_MIXTURE = 30, 60
_MAX_LAST = 8  # turns of a mixture on all rows after the search on fewer
MIXTURE_SIZES = (3, 4)
_TOLERANCE, _MIXTURE_TOLERANCE = 1e-6, 1e-5  # fall of the objective in a step, in nats per row
# Of refits to resamples, which start near: two Newton steps are as good as all; laws take turns with steps.
_REFIT_TOLERANCE, _REFIT_STEPS, _REFIT_TURNS = 1e-4, 2, 5
_SMALLEST = 1e-6  # determinant of DT below which a row counts as folded


class LocationObjective:
    """Minus mean log-likelihood of phi given the action plus a ridge penalty, with its derivatives.

    Parameters are one matrix of shape (p + k + 1, d): coefficients of the features, W transposed, and b.

    Parameters
    ----------
    features : ndarray of shape (n, p)
        Centred functions of phi.
    jacobian : ndarray of shape (d, n, p)
        Their derivatives by each coordinate of phi.
    action : ndarray of shape (n, k)
    penalty : ndarray of shape (p,)
        Weights of the ridge on the coefficients.
    """

    def __init__(self, features: FloatArray, jacobian: FloatArray, action: FloatArray, penalty: FloatArray) -> None:
        n = len(features)
        self.design = np.hstack([features, -action, -np.ones((n, 1))])
        self.jacobian = jacobian
        self.weights = np.r_[penalty, np.zeros(action.shape[1] + 1)]
        self.d, self.n, self.p = jacobian.shape

    def part(self, at: np.ndarray) -> LocationObjective:
        """The objective of some of the rows; the penalty is that of a prior, so it weighs more on fewer."""
        part = copy(self)
        part.design, part.jacobian, part.n = self.design[at], self.jacobian[:, at], len(at)
        part.weights = self.weights * (self.n / part.n)
        return part

    def residual(self, params: FloatArray) -> FloatArray:
        """T(phi) - W a - b, shape (n, d)."""
        residual: FloatArray = self.design @ params
        return residual

    def slopes(self, params: FloatArray) -> FloatArray:
        """DT at the rows, shape (n, d, d): entry (l, j) is the derivative of T_l by coordinate j."""
        return np.stack([part @ params[: self.p] for part in self.jacobian], axis=-1)

    def value(self, params: FloatArray, law: NoiseLaw) -> float:
        """Infinite where T folds at a row."""
        sign, size = np.linalg.slogdet(self.slopes(params))
        if sign.min() <= 0 or size.min() < np.log(_SMALLEST):
            return np.inf
        density = law.terms(self.residual(params))[0]
        return float(-density.mean() - size.mean() + 0.5 * np.sum(self.weights[:, None] * params**2))

    def derivatives(self, params: FloatArray, law: NoiseLaw) -> tuple[FloatArray, FloatArray]:
        """Gradient, flattened, and a curvature: the Hessian, but for mixtures with the shares held fixed."""
        n, d, p = self.n, self.d, self.p
        size = len(params)
        inverse = np.linalg.inv(self.slopes(params))
        pushed, crossed = np.zeros((p, d)), np.zeros((p * d, p * d))
        pulled, grams = np.zeros((size, d)), np.zeros((len(law.weights), size, size))
        residual = self.residual(params)
        shares = law.terms(residual)[1]
        for start in range(0, n, _BLOCK):  # blocks stay in the cache
            block = slice(start, start + _BLOCK)
            # (rows, p, d): derivative of log det DT by the coefficients, row by row
            each = np.einsum("jnp,njl->npl", self.jacobian[:, block], inverse[block], optimize=True)
            pushed += each.sum(axis=0)
            flat = each.reshape(len(each), -1)
            crossed += flat.T @ flat
            columns = self.design[block]
            for c, (mean, precision) in enumerate(zip(law.means, law.precisions, strict=True)):
                weighted = columns * shares[block, c, None]
                pulled += weighted.T @ ((residual[block] - mean) @ precision)
                grams[c] += weighted.T @ columns
        curvature = np.zeros((size, d, size, d))
        curvature[:p, :, :p, :] = (crossed / n).reshape(p, d, p, d).transpose(0, 3, 2, 1)
        for gram, precision in zip(grams / n, law.precisions, strict=True):
            curvature += gram[:, None, :, None] * precision[None, :, None, :]
        at = np.arange(size)
        for axis in range(d):
            curvature[at, axis, at, axis] += self.weights
        gradient = pulled / n + self.weights[:, None] * params
        gradient[:p] -= pushed / n
        return gradient.ravel(), curvature.reshape(size * d, size * d)

    def step(self, params: FloatArray, value: float, law: NoiseLaw) -> tuple[FloatArray, float, float]:
        """A Newton step with halving: new parameters, their value, and the fall that was expected.

        None where T has no inverse at a row, as it can where rows lie on a lattice.
        """
        try:
            gradient, curvature = self.derivatives(params, law)
        except np.linalg.LinAlgError:
            return params, value, 0.0
        values, vectors = eigh((curvature + curvature.T) / 2)
        # Away from the optimum the determinant can make the curvature indefinite: its absolute value still descends.
        sizes = np.maximum(np.abs(values), 1e-10 * np.abs(values).max())
        move = -(vectors @ ((vectors.T @ gradient) / sizes)).reshape(params.shape)
        expected = float(-gradient @ move.ravel())
        length = 1.0
        while length > 1e-8:
            moved = params + length * move
            new = self.value(moved, law)
            if new <= value - 1e-4 * length * expected:
                return moved, new, expected
            length /= 2
        return params, value, 0.0


@dataclass(frozen=True)
class LocationFit:
    """A fitted T, and what speaks against Gaussian noise.

    Attributes
    ----------
    coef : ndarray of shape (p, d)
    centre : ndarray of shape (p,)
        T(phi) is ``(features(phi) - centre) @ coef``.
    law : NoiseLaw
    evidence : float
        Gain in log-likelihood of the mixture in units of what BIC asks for it: above 1 the mixture was taken. A mixture
        that was given up early counts as it stood then. NaN where the rows take fewer values than T has coefficients.
    """

    coef: FloatArray
    centre: FloatArray
    law: NoiseLaw
    evidence: float


def fit_location(
    features: RadialFeatures,
    rows: FloatArray,
    action: FloatArray,
    *,
    ridge: float,
    rng: np.random.Generator,
    sizes: tuple[int, ...] = MIXTURE_SIZES,
) -> LocationFit:
    """Fit T, linear in features, with Gaussian noise and with a mixture, and take the better by BIC.

    Parameters
    ----------
    features : RadialFeatures
        Of the representation.
    rows : ndarray of shape (n, d)
        The representation, whitened: T starts as a linear map of it.
    action : ndarray of shape (n, k)
    ridge : float
        Penalty on the squared norm of T's radial part, in nats per row.
    rng : Generator
    sizes : tuple of int
        Components that a mixture may have; none: Gaussian noise only.

    Returns
    -------
    LocationFit
    """
    d = rows.shape[1]
    columns = features(rows)
    centre = columns.mean(axis=0)
    problem = LocationObjective(columns - centre, features.derivatives(rows), action, ridge * features.penalty(0.0))
    W, b = action_regression(rows, action)
    start = np.vstack([np.eye(problem.p, d), W.T, b - rows.mean(axis=0)])
    start = start @ whitening(problem.residual(start)).matrix
    # Of fewer different rows than coefficients, whether T folds and what a mixture gains is a matter of rounding.
    few = bool(sizes) and len(np.unique(np.round(rows, 9), axis=0)) < min(problem.n, problem.p)
    found = _search(problem, centre, start, rng, () if few else sizes)
    return replace(found, evidence=np.nan) if few else found


def _search(
    problem: LocationObjective, centre: FloatArray, start: FloatArray, rng: np.random.Generator, sizes: tuple[int, ...]
) -> LocationFit:
    law = NoiseLaw.standard(problem.d)
    smaller = problem.part(rng.permutation(problem.n)[:_SEARCH_ROWS]) if problem.n >= 2 * _SEARCH_ROWS else None
    params = start if smaller is None else _gaussian(smaller, start, law)[0]
    params, value = _gaussian(problem, params, law)
    if not sizes:
        return LocationFit(params[: problem.p], centre, law, 0.0)
    # Gaussian noise bends T until its residuals look Gaussian, so a mixture is tried from the start and not from there.
    rich = residual_mixture(problem.residual(start), rng, sizes)
    needed = max(1, NoiseLaw.n_free(rich.n_components, problem.d)) * np.log(problem.n) / (2 * problem.n)
    turns = _MAX_MIXTURE
    if smaller is not None:
        start, rich, _ = _fit_mixture(smaller, start, rich, goal=np.inf, turns=turns)
        turns = _MAX_LAST
    other, rich, reached = _fit_mixture(problem, start, rich, goal=value - needed, turns=turns)
    evidence = (value - reached) / needed if np.isfinite(value) else np.nan
    if evidence > 1:
        params, law = other, rich
    return LocationFit(params[: problem.p], centre, law, float(evidence))


def _gaussian(problem: LocationObjective, params: FloatArray, law: NoiseLaw) -> tuple[FloatArray, float]:
    """Newton steps with the law held: parameters and their value."""
    value = problem.value(params, law)
    for _ in range(_MAX_NEWTON):
        params, value, expected = problem.step(params, value, law)
        if expected < _TOLERANCE:
            break
    return params, value


def refit_location(
    features: RadialFeatures, rows: FloatArray, action: FloatArray, *, ridge: float, start: LocationFit
) -> FloatArray:
    """T(phi) (n, d) of a resample of the rows, fitted from the first fit, with a law of V of as many components."""
    columns = features(rows)
    problem = LocationObjective(
        columns - start.centre, features.derivatives(rows), action, ridge * features.penalty(0.0)
    )
    law = start.law
    slope, offset = action_regression(problem.design[:, : problem.p] @ start.coef, action)
    params = np.vstack([start.coef, slope.T, offset])
    value = problem.value(params, law)
    for _ in range(_REFIT_STEPS if len(law.weights) == 1 else _REFIT_TURNS):
        before = value
        params, value, _ = problem.step(params, value, law)
        if len(law.weights) > 1:
            residual = problem.residual(params)
            law = NoiseLaw.of_shares(residual, law.terms(residual)[1])
            value = problem.value(params, law)
        if before - value < _REFIT_TOLERANCE:
            break
    moved: FloatArray = problem.design[:, : problem.p] @ params[: problem.p]
    return moved


def _fit_mixture(
    problem: LocationObjective, params: FloatArray, law: NoiseLaw, *, goal: float, turns: int
) -> tuple[FloatArray, NoiseLaw, float]:
    """Newton steps for T and steps of expectation and maximisation for the law, in turn.

    Given up where even the present pace, which only slows down, would not reach the goal.
    """
    reached = problem.value(params, law)
    for left in range(turns, 0, -1):
        before = reached
        params, _, _ = problem.step(params, before, law)
        residual = problem.residual(params)
        shares = law.terms(residual)[1]
        # The law has a scale as well; without this the penalty would shrink T and the law for ever.
        units = whitening(residual).matrix
        params = params @ units
        law = NoiseLaw.of_shares(residual @ units, shares)
        reached = problem.value(params, law)
        if not np.isfinite(reached):
            continue  # T folds at a row; another step may unfold it
        pace = abs(before - reached)
        if pace < _MIXTURE_TOLERANCE or left * pace < reached - goal:
            break
    return params, law, reached
