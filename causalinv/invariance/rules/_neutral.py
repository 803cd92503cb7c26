r"""Neutral rules: the least risky linear rule whose residual no change between environments reaches.

When environments change variances, means or noise at a few sites T, all differences of second moments of (1, x, y)
between environments have columns in one small space, the *site directions*. A rule whose residual is orthogonal to
them,

.. math:: (-a, -v, 1) \perp \mathrm{span}\{\Delta_e\},

has a residual that no such change reaches: the same law of second moments in every environment, seen or not, that only
moves these sites. A *neutral* rule is the least risky of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._matrix import RANK_TOL, orthonormal_range, pseudo_inverse, solve_range
from causalinv._typing import FloatArray
from causalinv.invariance.rules._sites import SiteDirections, second_moments
from causalinv.moments import Moments

__all__ = ["Neutral", "neutral_rule"]

_RANK_TOL = 1e-10


@dataclass(frozen=True)
class Neutral:
    """A neutral rule.

    Attributes
    ----------
    coef : ndarray of shape (d,)
    intercept : float
    missed : float
        Largest violation of neutrality that is left, relative to the outcome's own column: 0 unless no neutral rule
        exists, as when the outcome's own mechanism changes or there are more site directions than features.
    free : int
        Dimensions among which the risk was minimised.
    """

    coef: FloatArray
    intercept: float
    missed: float
    free: int


def neutral_rule(moments: Moments, sites: SiteDirections) -> Neutral:
    """The least risky rule, all environments together, whose residual is orthogonal to the site directions.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``.
    sites : SiteDirections

    Returns
    -------
    Neutral
    """
    _, pooled = second_moments(moments, moments.pooled)
    d = moments.blocks["x"]
    units = np.sqrt(np.diag(pooled))
    units[units == 0] = 1.0
    along = sites.directions.T / units  # constraints A u = b on u = (a, v), all in standardised units
    A, b = along[:, : d + 1], along[:, d + 1]
    H, c = (pooled / np.outer(units, units))[: d + 1, : d + 1], (pooled / np.outer(units, units))[: d + 1, d + 1]
    top = float(np.linalg.norm(A, 2)) if A.size else 0.0
    tol = _RANK_TOL * float(np.linalg.norm(along)) / top if top > 0 else 1.0  # beside b: a site no feature feels: A = 0
    particular = pseudo_inverse(A, tol=tol) @ b
    missed = float(np.abs(A @ particular - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), 1e-300))
    basis = orthonormal_range(A, tol=tol)[1].T
    # What the constraints leave over may be rounding altogether, so the floor is absolute too.
    inner = basis.T @ (c - H @ particular)
    u = particular + basis @ solve_range(basis.T @ H @ basis, inner, rescale=False, least=RANK_TOL)
    u = u * units[d + 1] / units[: d + 1]
    centre = moments.pooled
    intercept = float(u[0] + centre.mean("y")[0, 0] - centre.mean("x")[0] @ u[1:])
    return Neutral(u[1:], intercept, missed, basis.shape[1])
