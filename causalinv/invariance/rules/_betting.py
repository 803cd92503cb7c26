r"""Whether bounded rows show that a rule's relative excess is at most eps: a bet against the contrary.

Let :math:`r = y - u'\phi` be the rule's residual and :math:`r_v` that of another rule v. If the relative excess is
above eps, the environment's own rule :math:`v^*`, which is fixed, has :math:`E D > 0` for
:math:`D = r^2 - (1 + \varepsilon) r_{v^*}^2`. With :math:`|r| \le B` no :math:`1 - \lambda D` is negative for
:math:`\lambda \le 1 / B^2`, so

.. math:: W(v) = \prod_i (1 - \lambda D_i(v))

has expectation at most 1 at :math:`v^*`, and by Markov's inequality it reaches 1 / miss rate with probability at most
the miss rate. Hence W(v) reaches it for *every* v with at most that probability: no search over v is paid for. With
:math:`|r_{v^*}| \le B`, too, and :math:`\lambda \le 1 / ((2 + \varepsilon) B^2)`, each term of log W is convex where
the residual of v is at most B; beyond, where v* cannot be, it is continued by its tangent, which makes the least W a
convex programme. Several bets are averaged: an average has expectation at most 1 again.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from causalinv._matrix import column_lengths, factor_split
from causalinv._typing import FloatArray

__all__ = ["evidence", "rows_needed"]

_SHARES = (1.0, 0.5, 0.25, 0.125)  # of the largest bet
_SINGULAR = 1e-7  # of the longest direction of a design: columns that depend on others
_SETTLED = 1e-5  # gradient at the optimum, beside what one unit of coefficients could change
_SLACK = 1e-6  # of a logarithm, for the rounding of the optimum


def evidence(residual: FloatArray, design: FloatArray, eps: float, bound: float) -> float:
    """Lower bound on the averaged bet at every rule: large only by chance if the gap is above eps.

    Parameters
    ----------
    residual : ndarray of shape (n,)
        Of the rule, at most `bound` in absolute value.
    design : ndarray of shape (n, k)
        What rules read, the constant included.
    eps : float
        Tolerated relative excess, >= 0.
    bound : float
        On the residuals of the rule and of the environment's own rule, units of y.

    Returns
    -------
    float
        If the gap is above eps, it is at least 1 / a with probability at most a, for each a.
    """
    lengths = np.where(np.any(design, axis=0), column_lengths(design), 1.0)
    size, right = factor_split(design / lengths, tol=_SINGULAR)
    basis = (design / lengths) @ right.T / size * np.sqrt(len(design))
    scaled = residual / bound
    logs = [_least_log(scaled, basis, eps, share / (2.0 + eps)) for share in _SHARES]
    return float(np.mean(np.exp(np.minimum(np.array(logs) - _SLACK, 700.0))))


def _least_log(r: FloatArray, basis: FloatArray, eps: float, bet: float) -> float:
    """Minimum over rules of the logarithm of one bet, residuals in units of their bound."""
    rest, slope = 1.0 - bet * r**2, bet * (1.0 + eps)
    edge, edge_slope = np.log(rest + slope), 2.0 * slope / (rest + slope)  # at a residual of 1

    def value(b: FloatArray) -> tuple[float, FloatArray]:
        left = r - basis @ b
        size = np.abs(left)
        beyond = size > 1.0
        inner = rest + slope * left**2
        out = np.where(beyond, edge + edge_slope * (size - 1.0), np.log(inner))
        steep = np.where(beyond, edge_slope * np.sign(left), 2.0 * slope * left / inner)
        return float(out.sum()), -basis.T @ steep

    start = basis.T @ r / len(r)  # least squares, in this basis
    found = minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8})
    settled = np.abs(found.jac).max(initial=0.0) <= _SETTLED * max(1.0, bet * len(r))
    return float(found.fun) if settled else -np.inf  # what is not known to be the least shows nothing


def rows_needed(residual: FloatArray, eps: float, bound: float, miss_rate: float) -> float:
    """About how many rows with residuals like these show a rule without any excess to keep eps; infinite if none do."""
    squares = (residual / bound) ** 2
    growth = max(float(np.mean(np.log1p(share / (2.0 + eps) * eps * squares))) for share in _SHARES)
    with np.errstate(divide="ignore", over="ignore"):
        return float(np.ceil(np.log(len(_SHARES) / miss_rate) / np.float64(max(growth, 0.0))))
