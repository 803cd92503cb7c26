r"""Scores: one number per row whose mean estimates an end, insensitive to first order to errors of the nuisances.

Below A is "the row is in the arm", e its propensity, :math:`\phi` the functional of the outcome.
"""

from __future__ import annotations

import numpy as np

from causalinv._typing import BoolArray, FloatArray
from causalinv.bounds._arm_law import ArmLaw, JoinedLaw, h_lower, h_upper

__all__ = ["cap_att_terms", "cap_scores", "manski_scores"]


def manski_scores(phi: FloatArray, inside: BoolArray, limits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower and upper score A phi + (1 - A) L or U: an ordinary mean, free of nuisances."""
    return np.where(inside, phi, limits[0]), np.where(inside, phi, limits[1])


# -- a limit on the density ratio --------------------------------------------------------------------------------------


def cap_scores(
    phi: FloatArray, inside: BoolArray, e: FloatArray, law: ArmLaw | JoinedLaw, cap: tuple[float, float]
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
    phi: FloatArray,
    *,
    treated: BoolArray,
    control: BoolArray,
    odds: FloatArray,
    law: ArmLaw | JoinedLaw,
    cap: tuple[float, float],
) -> tuple[FloatArray, FloatArray]:
    r"""Terms whose sums over the number of treated are the ends of E[Y(1) - Y(0) | treated] under the cap.

    :math:`A(\phi - \rho) - (1 - A)\frac{e_1}{e_0}(H_q - \rho)`, with rho and q from the law of the controls: R is the
    law of Y(0) among the treated.
    """
    ends = []
    for h, (cut, rho) in ((h_upper, law.upper(*cap)), (h_lower, law.lower(*cap))):
        ends.append(treated * (phi - rho) - control * odds * (h(phi, cut, *cap) - rho))
    return ends[0], ends[1]
