"""Representations by descent: the row space whose pooled risk and average excess together are least."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from causalinv._matrix import solve_range
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
    terms = [(1.0 + penalty, pooled.cov("x")[0], pooled.cov("x", "y")[0, :, 0], pooled.cov("y")[0, 0, 0])]
    cov, cross, total = moments.cov("x"), moments.cov("x", "y")[:, :, 0], moments.cov("y")[:, 0, 0]
    terms += [(-penalty * share[e], cov[e], cross[e], total[e]) for e in range(len(moments))]

    def evaluate(components: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = 0.0, np.zeros_like(components)
        for factor, G, c, r in terms:
            w = solve_range(components @ G @ components.T, components @ c, rescale=False)
            value += factor * float(r - w @ components @ c)
            gradient += factor * -2.0 * np.outer(w, c - G @ (components.T @ w))
        return value, gradient

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
