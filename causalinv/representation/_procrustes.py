"""Least squares over maps that are orthogonal, or nearly so: from second moments alone.

With A = X'X and B = X'Y the loss is tr(W'AW) - 2 tr(W'B) up to a constant.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq, minimize

from causalinv._matrix import singular_values
from causalinv._typing import FloatArray
from causalinv.transformations import haar_orthogonal

__all__ = ["constrained", "distortion", "loss", "procrustes"]

_ROUNDS = 30  # of the augmented Lagrangian
_STEPS = 300  # of a descent within a round
_ALTERNATIONS = 1_000
_STARTS = 8  # beside the closed one, for maps of up to 400 entries
_FEASIBLE = 1e-9
_POLISHED = 400  # entries of a map up to which Newton's steps are worth their matrix
_NEWTON = 8


def loss(gram: FloatArray, cross: FloatArray, W: FloatArray) -> float:
    """Sum of squares of the fit, less that of the target."""
    return float(np.sum(W * (gram @ W)) - 2.0 * np.sum(W * cross))


def distortion(W: FloatArray) -> float:
    """``‖W'W - I‖_F``, of ``W W'`` if W has fewer rows than columns."""
    sizes = singular_values(W)[1]
    with np.errstate(over="ignore"):  # beyond any limit
        return float(np.linalg.norm(sizes**2 - 1.0))


def _nearest(cross: FloatArray) -> FloatArray:
    left, _, right = singular_values(cross)
    return left @ right


def procrustes(gram: FloatArray, cross: FloatArray) -> FloatArray:
    """The (semi-)orthogonal W (d, p) of least loss; for d > p the best of several local minima.

    For d <= p the rows of W are orthonormal, the size of the fit is fixed, and W is the polar factor of B. For d > p,
    W is completed to a square rotation [W, V], whose missing targets are set to their fit X V in turn. That can stop at
    a saddle, above all where columns of X are dependent, so it begins from several rotations.
    """
    d, p = cross.shape
    if d <= p:
        return _nearest(cross)
    turn = singular_values(cross, full=True)
    starts = [turn[0] @ np.vstack([np.hstack([turn[2], np.zeros((p, d - p))]), np.eye(d)[p:]])]
    if d * p <= _POLISHED:
        starts += list(haar_orthogonal(_STARTS, d, random_state=0))
    found = [_alternated(gram, cross, start) for start in starts]
    return min(found, key=lambda W: loss(gram, cross, W))


def _alternated(gram: FloatArray, cross: FloatArray, square: FloatArray) -> FloatArray:
    p = cross.shape[1]
    before = np.inf
    for _ in range(_ALTERNATIONS):
        square = _nearest(np.hstack([cross, gram @ square[:, p:]]))
        now = loss(gram, cross, square[:, :p])
        if not now < before - 1e-13 * max(abs(now), 1e-300):
            break
        before = now
    return np.asarray(square[:, :p])


def constrained(
    gram: FloatArray, cross: FloatArray, turn: FloatArray, limit: float
) -> tuple[FloatArray, FloatArray, bool]:
    """Start, answer and whether the descent converged, for a limit that least squares breaks."""
    start = _ridge_start(gram, cross, turn, limit)
    scale = float(np.trace(gram)) / len(gram) or 1.0  # rows that do not vary
    best, converged = _descend(gram / scale, cross / scale, start, limit)
    best = _pulled_in(best, limit)
    return start, (best if loss(gram, cross, best) < loss(gram, cross, start) else start), converged


def _ridge_start(gram: FloatArray, cross: FloatArray, turn: FloatArray, limit: float) -> FloatArray:
    """W(μ) = (A + μI)⁻¹ (B + μR) with μ at the limit; it runs from least squares to the rotation R."""
    values, vectors = eigh(gram)
    values = np.maximum(values, 0.0)
    inner, towards = vectors.T @ cross, vectors.T @ turn

    def at(log_mu: float) -> FloatArray:
        mu = np.exp(log_mu)
        return np.asarray(vectors @ ((inner + mu * towards) / (values + mu)[:, None]))

    top = np.log(max(float(values[-1]), np.finfo(float).tiny))
    low, high = top - 25.0, top + 2.0
    while distortion(at(high)) > limit:
        high += 2.0
    if distortion(at(low)) <= limit:
        return at(low)
    root = float(brentq(lambda each: distortion(at(each)) - limit, low, high, xtol=1e-10))
    return _pulled_in(at(root), limit)


def _pulled_in(W: FloatArray, limit: float) -> FloatArray:
    """The nearest map that keeps the limit along the line of squared singular values towards 1."""
    left, sizes, right = singular_values(W)
    excess = sizes**2 - 1.0
    far = float(np.linalg.norm(excess))
    if far <= limit:
        return W
    return np.asarray((left * np.sqrt(1.0 + excess * (limit / far))) @ right)


def _descend(gram: FloatArray, cross: FloatArray, start: FloatArray, limit: float) -> tuple[FloatArray, bool]:
    """Augmented Lagrangian for the one constraint ‖W'W - I‖² <= limit², L-BFGS inside."""
    shape = start.shape
    wide = shape[0] < shape[1]
    unit = np.eye(min(shape))
    W, multiplier, weight = start, 0.0, max(1.0, 1.0 / limit**2)
    before, quiet = np.inf, False

    def lagrangian(flat: FloatArray) -> tuple[float, FloatArray]:
        V = flat.reshape(shape)
        product = gram @ V
        excess = (V @ V.T if wide else V.T @ V) - unit
        above = max(0.0, float(np.sum(excess**2)) - limit**2 + multiplier / weight)
        slope = 4.0 * (excess @ V if wide else V @ excess)
        value = float(np.sum(V * product) - 2.0 * np.sum(V * cross)) + 0.5 * weight * above**2
        return value, (2.0 * (product - cross) + weight * above * slope).ravel()

    for _ in range(_ROUNDS):
        found = minimize(
            lagrangian,
            W.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _STEPS, "gtol": 1e-10, "ftol": 1e-15},
        )
        W = found.x.reshape(shape)
        excess = distortion(W) ** 2 - limit**2
        multiplier = max(0.0, multiplier + weight * excess)
        gap = abs(max(excess, -multiplier / weight))
        if gap <= _FEASIBLE * max(limit**2, 1e-6):
            quiet = True
            break
        if gap > 0.25 * before:
            weight *= 5.0
        before = gap
    if quiet and multiplier > 0 and W.size <= _POLISHED:
        W = _polished(gram, cross, W, multiplier, limit)
    return W, quiet


def _polished(gram: FloatArray, cross: FloatArray, W: FloatArray, multiplier: float, limit: float) -> FloatArray:
    """Newton steps on the conditions of the optimum, to rounding: a descent stops where its values no longer differ.

    With E = W'W - I (W W' - I if wide) they are 2(A W - B) + 4 m W E = 0 and ‖E‖² = limit².
    """
    wide = W.shape[0] < W.shape[1]
    unit = np.eye(min(W.shape))

    def slope(V: FloatArray) -> tuple[FloatArray, FloatArray]:
        excess = (V @ V.T if wide else V.T @ V) - unit
        return excess, 4.0 * (excess @ V if wide else V @ excess)

    def residual(V: FloatArray, m: float) -> FloatArray:
        excess, along = slope(V)
        gradient = 2.0 * (gram @ V - cross) + m * along
        return np.append(gradient.ravel(), np.sum(excess**2) - limit**2)

    # The descent's multiplier belongs to half the square of the constraint.
    _, along = slope(W)
    m = -float(np.sum(along * 2.0 * (gram @ W - cross))) / float(np.sum(along**2))
    now = residual(W, m)
    for _ in range(_NEWTON):
        excess, along = slope(W)
        matrix = np.zeros((W.size + 1, W.size + 1))
        for k in range(W.size):
            step = np.zeros(W.size)
            step[k] = 1.0
            D = step.reshape(W.shape)
            change = D @ W.T + W @ D.T if wide else D.T @ W + W.T @ D
            turn = change @ W + excess @ D if wide else D @ excess + W @ change
            matrix[:-1, k] = (2.0 * gram @ D + 4.0 * m * turn).ravel()
        matrix[:-1, -1] = matrix[-1, :-1] = along.ravel()
        try:
            move = np.linalg.solve(matrix, -now)
        except np.linalg.LinAlgError:
            break
        V, candidate = W + move[:-1].reshape(W.shape), m + float(move[-1])
        then = residual(V, candidate)
        if not np.linalg.norm(then) < np.linalg.norm(now):
            break
        W, m, now = V, candidate, then
    return W
