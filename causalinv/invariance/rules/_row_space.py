"""Representations by descent: the row space whose pooled risk and average excess together are least."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from causalinv._matrix import solve_ranges
from causalinv._typing import FloatArray
from causalinv.moments import Moments

__all__ = ["PENALTY", "row_space_descent", "trade_off"]

PENALTY = 1000.0  # on the average excess, at the end
_PENALTIES = (1.0, 10.0, 100.0, PENALTY)


def trade_off(moments: Moments, penalty: float) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    r"""Pooled risk plus penalty times average excess of a representation, and its gradient.

    :math:`(1 + \lambda) R^*(\Phi) - \lambda \sum_e \pi_e R_e^*(\Phi)`, where R* are least risks of linear rules on Φx,
    all environments together and in each; :math:`dR^*/d\Phi = -2 w (c - G \Phi' w)'`.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``, features in comparable units.
    penalty : float
        λ >= 0.

    Returns
    -------
    callable
        From Φ (k, d) to value and gradient (k, d); the value depends on the row space of Φ only.
    """
    pooled = moments.pooled
    share = moments.weight / moments.weight.sum()
    factor = np.r_[1.0 + penalty, -penalty * share]
    G = np.concatenate([pooled.cov("x"), moments.cov("x")])
    c = np.concatenate([pooled.cov("x", "y"), moments.cov("x", "y")])[:, :, 0]
    total = np.concatenate([pooled.cov("y"), moments.cov("y")])[:, 0, 0]

    def evaluate(components: FloatArray) -> tuple[float, FloatArray]:
        seen, cross = components @ G, c @ components.T
        w = solve_ranges(seen @ components.T, cross, rescale=False)
        value = float(factor @ (total - np.sum(w * cross, axis=1)))
        left = c - np.einsum("ekd,ek->ed", seen, w)
        return value, -2.0 * (factor[:, None] * w).T @ left

    return evaluate


def row_space_descent(moments: Moments, start: FloatArray) -> tuple[FloatArray, list[float], bool]:
    """Minimise `trade_off` over row spaces, the penalty raised from 1 to 1000.

    Parameters
    ----------
    moments : Moments
        Features in comparable units.
    start : ndarray of shape (k, d)

    Returns
    -------
    components : ndarray of shape (k, d)
        Orthonormal rows; never worse than `start` at the last penalty.
    path : list of float
        Value after each penalty.
    converged : bool
    """
    k, d = start.shape
    components, path, converged = np.linalg.qr(start.T)[0].T, [], True
    for penalty in _PENALTIES:
        evaluate = trade_off(moments, penalty)

        def flat(x: FloatArray, evaluate: Callable = evaluate) -> tuple[float, FloatArray]:
            value, gradient = evaluate(x.reshape(k, d))
            return value, gradient.ravel()

        result = minimize(
            flat,
            components.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-10},
        )
        components = np.linalg.qr(result.x.reshape(k, d).T)[0].T
        path.append(float(result.fun))
        converged = bool(result.success)
    last = trade_off(moments, _PENALTIES[-1])
    first = np.linalg.qr(start.T)[0].T
    if last(first)[0] < last(components)[0]:
        components, path = first, [*path, last(first)[0]]
    return components, path, converged
