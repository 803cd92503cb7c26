"""Data: simulated with truth (make_*), real inside our dependencies (load_*), real and checksummed (fetch_*)."""

from causalinv.datasets._digits import load_confounded_digits
from causalinv.datasets._environments import make_invariance_environments
from causalinv.datasets._extrapolation import load_moving_digits, make_extrapolation_data
from causalinv.datasets._grunfeld import load_grunfeld
from causalinv.datasets._ihdp import fetch_ihdp
from causalinv.datasets._optical_device import fetch_optical_device
from causalinv.datasets._sachs import fetch_sachs
from causalinv.datasets._simulated import make_confounded_linear
from causalinv.datasets._spector import load_spector
from causalinv.datasets._treatment import make_confounded_treatment

__all__ = [
    "fetch_ihdp",
    "fetch_optical_device",
    "fetch_sachs",
    "load_confounded_digits",
    "load_grunfeld",
    "load_moving_digits",
    "load_spector",
    "make_confounded_linear",
    "make_confounded_treatment",
    "make_extrapolation_data",
    "make_invariance_environments",
]
