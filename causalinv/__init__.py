"""Causal inference and invariant prediction: estimators with a scikit-learn API.

Importing the package is light: every name below is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds
    from causalinv.extrapolation import AutoencoderMMREncoder, LinearInvarianceEncoder, Rep4ExRegressor
    from causalinv.invariance import (
        HierarchicalConformalRegressor,
        InvariantCausalPrediction,
        InvariantRepresentation,
        InvariantSubsetSelector,
    )
    from causalinv.ivlike import InvariantProjection, IVLikeBoosting, IVLikeRegression, IVLikeRegressionCV
    from causalinv.moments import Moments
    from causalinv.representation import OrthogonalAlignment, RelativeRepresentation
    from causalinv.sem import LinearSEM
    from causalinv.transformations import FunctionAugmentation, GaussianNoise, Translation

_HOME = {
    "AutoencoderMMREncoder": "causalinv.extrapolation",
    "FDivergenceBounds": "causalinv.bounds",
    "FunctionAugmentation": "causalinv.transformations",
    "GaussianNoise": "causalinv.transformations",
    "HierarchicalConformalRegressor": "causalinv.invariance",
    "IVLikeBoosting": "causalinv.ivlike",
    "IVLikeRegression": "causalinv.ivlike",
    "IVLikeRegressionCV": "causalinv.ivlike",
    "InvariantCausalPrediction": "causalinv.invariance",
    "InvariantProjection": "causalinv.ivlike",
    "InvariantRepresentation": "causalinv.invariance",
    "InvariantSubsetSelector": "causalinv.invariance",
    "LinearInvarianceEncoder": "causalinv.extrapolation",
    "LinearSEM": "causalinv.sem",
    "ManskiBounds": "causalinv.bounds",
    "Moments": "causalinv.moments",
    "OrthogonalAlignment": "causalinv.representation",
    "QuantileBounds": "causalinv.bounds",
    "RelativeRepresentation": "causalinv.representation",
    "Rep4ExRegressor": "causalinv.extrapolation",
    "SensitivityBounds": "causalinv.bounds",
    "Translation": "causalinv.transformations",
}
_ROOMS = (
    "bounds",
    "datasets",
    "exceptions",
    "extrapolation",
    "inspection",
    "invariance",
    "ivlike",
    "linear_rule",
    "metrics",
    "moments",
    "representation",
    "results",
    "sem",
    "tour",
    "transformations",
)

__all__ = [
    "AutoencoderMMREncoder",
    "FDivergenceBounds",
    "FunctionAugmentation",
    "GaussianNoise",
    "HierarchicalConformalRegressor",
    "IVLikeBoosting",
    "IVLikeRegression",
    "IVLikeRegressionCV",
    "InvariantCausalPrediction",
    "InvariantProjection",
    "InvariantRepresentation",
    "InvariantSubsetSelector",
    "LinearInvarianceEncoder",
    "LinearSEM",
    "ManskiBounds",
    "Moments",
    "OrthogonalAlignment",
    "QuantileBounds",
    "RelativeRepresentation",
    "Rep4ExRegressor",
    "SensitivityBounds",
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
