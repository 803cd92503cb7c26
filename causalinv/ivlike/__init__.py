"""IV-like regression: augmentation of the features as a soft intervention against hidden confounding."""

from causalinv.ivlike._boosting import IVLikeBoosting
from causalinv.ivlike._cv import IVLikeRegressionCV
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._projection import InvariantProjection
from causalinv.ivlike._regression import IVLikeRegression
from causalinv.ivlike._scorer import ShiftedR2Scorer
from causalinv.ivlike._sets import ConfidenceSet
from causalinv.results import BootstrapResult
from causalinv.transformations import (
    Compose,
    CyclicShift,
    FirstStage,
    Flip,
    FunctionAugmentation,
    GaussianNoise,
    PermutationGroup,
    Rotate90,
    SignFlip,
    Translation,
)
from causalinv.transformations import Transformation as Augmentation

__all__ = [
    "Augmentation",
    "BootstrapResult",
    "Compose",
    "ConfidenceSet",
    "CyclicShift",
    "FirstStage",
    "Flip",
    "FunctionAugmentation",
    "GaussianNoise",
    "IVLikeBoosting",
    "IVLikePath",
    "IVLikeRegression",
    "IVLikeRegressionCV",
    "InvariantProjection",
    "PermutationGroup",
    "Rotate90",
    "ShiftedR2Scorer",
    "SignFlip",
    "Translation",
]
