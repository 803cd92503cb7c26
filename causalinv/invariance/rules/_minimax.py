"""The rule on a fixed representation whose largest excess over environments is smallest: a convex programme."""

from __future__ import annotations

import numpy as np

from causalinv._matrix import solve_range, symmetric_root, whitener
from causalinv._typing import FloatArray
from causalinv.invariance.rules._gaps import invariance_gaps, represent
from causalinv.moments import Moments

__all__ = ["minimax_rule"]

_SLACK = 1e-7  # of the level, so that the tie-break has room for the solver's rounding


def minimax_rule(moments: Moments, components: FloatArray, *, relative: bool = True) -> tuple[FloatArray, float]:
    r"""Minimise :math:`t` subject to :math:`\|u - u_e\|^2_{H_e} \le t\,(R_e^*)` over rules u = (intercept, w).

    Where an environment makes features dependent, several rules may reach the level; the one of least norm, in
    standardised units, is taken.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``, one cell per environment.
    components : ndarray of shape (k, d)
    relative : bool, default True
        Whether the excess counts relative to the environment's least risk.

    Returns
    -------
    rule : ndarray of shape (k + 1,)
        Intercept, then coefficients.
    level : float
        The excess that it reaches, recomputed from the rule.

    Raises
    ------
    RuntimeError
        If the solver fails.
    """
    import cvxpy as cp

    seen = represent(moments, components)
    k = len(components)
    pooled = seen.pooled
    units = np.sqrt(np.diag(pooled.cov("x")[0])) if k else np.ones(0)
    units[units == 0] = 1.0
    unit = float(np.sqrt(pooled.cov("y")[0, 0, 0]))
    u = cp.Variable(k + 1)
    norms = []
    centre = pooled.mean("x")[0]
    for e in range(len(seen)):
        cov, cross = seen.cov("x")[e] / np.outer(units, units), seen.cov("x", "y")[e, :, 0] / units / unit
        own = solve_range(cov, cross) if k else np.zeros(0)
        shift = (seen.mean("x")[e] - centre) / units
        level = (seen.mean("y")[e, 0] - pooled.mean("y")[0, 0]) / unit
        root = np.r_[1.0, shift][None]  # the difference of means
        if k:
            half = symmetric_root(cov)
            root = np.vstack([root, np.column_stack([np.zeros(len(half)), half])])
        target = root @ np.r_[level - shift @ own, own]
        least = float(seen.cov("y")[e, 0, 0]) / unit**2 - float(own @ cross)
        scale = np.sqrt(least) if relative and least > 0 else 1.0
        norms.append(cp.norm((root @ u - target) / scale))
    problem = cp.Problem(cp.Minimize(cp.max(cp.hstack(norms))))
    problem.solve()
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or u.value is None:
        raise RuntimeError(f"The minimax programme ended with status {problem.status}.")
    if any(whitener(cov).shape[1] < k for cov in seen.cov("x")):
        # Several rules may reach the level; the theorem needs one named beforehand: the one of least norm.
        limit = float(problem.value) * (1 + _SLACK) + _SLACK
        problem = cp.Problem(cp.Minimize(cp.sum_squares(u)), [norm <= limit for norm in norms])
        problem.solve()
        if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or u.value is None:
            raise RuntimeError(f"The minimax programme's tie-break ended with status {problem.status}.")
    coef = u.value[1:] / units * unit
    intercept = float(u.value[0] * unit + pooled.mean("y")[0, 0] - centre @ coef)
    metric = "relative_excess" if relative else "excess"
    reached = invariance_gaps(moments, components, coef, intercept, metric=metric)  # type: ignore[arg-type]
    return np.r_[intercept, coef], float(reached.max())
