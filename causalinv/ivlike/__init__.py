"""IV-like regression: augmentation of the features as a soft intervention against hidden confounding."""

from causalinv._linalg import least_squares
from causalinv.ivlike._augmentation import Augmentation, FunctionAugmentation, GaussianNoise, Translation
from causalinv.ivlike._path import FirstStage, IVLikePath
from causalinv.ivlike._projection import InvariantProjection
from causalinv.ivlike._regression import IVLikeRegression

__all__ = [
    "Augmentation",
    "FirstStage",
    "FunctionAugmentation",
    "GaussianNoise",
    "IVLikePath",
    "IVLikeRegression",
    "InvariantProjection",
    "Translation",
    "least_squares",
]
