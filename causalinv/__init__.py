"""Causal inference and invariant prediction with a scikit-learn API.

========================================  ================================
question                                  begin with
========================================  ================================
effect of X on y under a hidden cause     `IVLikeRegression`
a rule that predicts in new environments  `InvariantSubsetSelector`
                                          `InvariantRepresentation`
in how many of them it will fail          `invariance.certify`
an interval for a row of the next one     `HierarchicalConformalRegressor`
causes that no environment contradicts    `InvariantCausalPrediction`
effect of a treatment, not randomised     `SensitivityBounds`
                                          `ManskiBounds`
quantiles of an outcome without limits    `QuantileBounds`
mean of y under actions never tried       `Rep4ExRegressor`
a symmetry: test it, impose it            `symmetry`
what an encoder keeps                     `representation`
worlds with known truth                   `sem.LinearSEM`
                                          `sem.InterventionFamily`
data in files, clusters, databases        `Moments.scan`, `fit_moments`
a picture of a result                     `inspection`
how far long work is                      `with causalinv.progress():`
========================================  ================================

``python -m causalinv`` is a tour. Importing the package is light: each name
is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalinv._progress import progress
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
    from causalinv.symmetry import (
        FrameAveragingClassifier,
        FrameAveragingRegressor,
        SoftInvariantRegressor,
        SymmetryScreen,
    )
    from causalinv.transformations import FunctionAugmentation, GaussianNoise, Translation

_HOME = {
    "AutoencoderMMREncoder": "causalinv.extrapolation",
    "FDivergenceBounds": "causalinv.bounds",
    "FrameAveragingClassifier": "causalinv.symmetry",
    "FrameAveragingRegressor": "causalinv.symmetry",
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
    "SoftInvariantRegressor": "causalinv.symmetry",
    "SymmetryScreen": "causalinv.symmetry",
    "Translation": "causalinv.transformations",
    "progress": "causalinv._progress",
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
    "symmetry",
    "tour",
    "transformations",
)

__all__ = [
    "AutoencoderMMREncoder",
    "FDivergenceBounds",
    "FrameAveragingClassifier",
    "FrameAveragingRegressor",
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
    "SoftInvariantRegressor",
    "SymmetryScreen",
    "Translation",
    "progress",
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
