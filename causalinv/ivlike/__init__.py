"""IV-like regression: augmentation of the features as a soft intervention against hidden confounding."""

from causalinv._linalg import least_squares
from causalinv.ivlike._augmentation import Augmentation, GaussianNoise, Translation
from causalinv.ivlike._boosting import IVLikeBoosting
from causalinv.ivlike._bootstrap import BootstrapResult
from causalinv.ivlike._compose import Compose, FunctionAugmentation
from causalinv.ivlike._cv import IVLikeRegressionCV
from causalinv.ivlike._groups import CyclicShift, Flip, PermutationGroup, Rotate90, SignFlip
from causalinv.ivlike._path import FirstStage, IVLikePath
from causalinv.ivlike._projection import InvariantProjection
from causalinv.ivlike._regression import IVLikeRegression
from causalinv.ivlike._scorer import ShiftedR2Scorer

__all__ = [
    "Augmentation",
    "BootstrapResult",
    "Compose",
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
    "least_squares",
]
