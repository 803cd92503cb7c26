"""Causal bounds when confounders are unmeasured: sensitivity and sharp bounds first, f-divergence bounds beside."""

from causalinv.bounds._divergences import Divergence, f_radius
from causalinv.bounds._fdivergence import FDivergenceBounds
from causalinv.bounds._functions import cap_bounds, f_ball_bounds, kth_order, manski_bounds
from causalinv.bounds._manski import ManskiBounds
from causalinv.bounds._quantile import QuantileBounds
from causalinv.bounds._sensitivity import SensitivityBounds

__all__ = [
    "Divergence",
    "FDivergenceBounds",
    "ManskiBounds",
    "QuantileBounds",
    "SensitivityBounds",
    "cap_bounds",
    "f_ball_bounds",
    "f_radius",
    "kth_order",
    "manski_bounds",
]
