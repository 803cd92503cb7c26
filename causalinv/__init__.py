"""Causal effects under hidden confounding by invariance: estimators with a scikit-learn API.

Importing the package is light: every name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalinv.extrapolation import AutoencoderMMREncoder, LinearInvarianceEncoder, Rep4ExRegressor
    from causalinv.invariance import InvariantCausalPrediction
    from causalinv.ivlike import (
        FunctionAugmentation,
        GaussianNoise,
        InvariantProjection,
        IVLikeRegression,
        Translation,
    )
    from causalinv.moments import Moments
    from causalinv.sem import LinearSEM

_HOME = {
    "AutoencoderMMREncoder": "causalinv.extrapolation",
    "FunctionAugmentation": "causalinv.ivlike",
    "GaussianNoise": "causalinv.ivlike",
    "IVLikeRegression": "causalinv.ivlike",
    "InvariantCausalPrediction": "causalinv.invariance",
    "InvariantProjection": "causalinv.ivlike",
    "LinearInvarianceEncoder": "causalinv.extrapolation",
    "LinearSEM": "causalinv.sem",
    "Moments": "causalinv.moments",
    "Rep4ExRegressor": "causalinv.extrapolation",
    "Translation": "causalinv.ivlike",
}
_ROOMS = ("datasets", "exceptions", "extrapolation", "inspection", "invariance", "ivlike", "metrics", "sem", "tour")

__all__ = [
    "AutoencoderMMREncoder",
    "FunctionAugmentation",
    "GaussianNoise",
    "IVLikeRegression",
    "InvariantCausalPrediction",
    "InvariantProjection",
    "LinearInvarianceEncoder",
    "LinearSEM",
    "Moments",
    "Rep4ExRegressor",
    "Translation",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _ROOMS:
        return import_module(f"causalinv.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("causalinv")
    raise AttributeError(f"module 'causalinv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS, "__version__"])
