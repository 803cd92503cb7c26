"""Causal bounds when confounders are unmeasured: sensitivity and sharp bounds first, f-divergence bounds beside."""

from causalinv.bounds._divergences import Divergence, f_radius
from causalinv.bounds._functions import cap_bounds, f_ball_bounds, kth_order, manski_bounds

__all__ = [
    "Divergence",
    "cap_bounds",
    "f_ball_bounds",
    "f_radius",
    "kth_order",
    "manski_bounds",
]
