"""What can be done to a row: translations, finite groups, rigid and linear motions, functions, several in turn."""

from causalinv.transformations._base import Transformation
from causalinv.transformations._compose import Compose, FunctionAugmentation
from causalinv.transformations._euclidean import EuclideanGroup
from causalinv.transformations._first_stage import FirstStage
from causalinv.transformations._frame import Frame
from causalinv.transformations._groups import CyclicShift, FiniteGroup, Flip, PermutationGroup, Rotate90, SignFlip
from causalinv.transformations._haar import haar_orthogonal
from causalinv.transformations._linear import LinearGroup, from_polar, haar_density, polar_chart
from causalinv.transformations._scaling import Scaling
from causalinv.transformations._translations import GaussianNoise, Translation

__all__ = [
    "Compose",
    "CyclicShift",
    "EuclideanGroup",
    "FiniteGroup",
    "FirstStage",
    "Flip",
    "Frame",
    "FunctionAugmentation",
    "GaussianNoise",
    "LinearGroup",
    "PermutationGroup",
    "Rotate90",
    "Scaling",
    "SignFlip",
    "Transformation",
    "Translation",
    "from_polar",
    "haar_density",
    "haar_orthogonal",
    "polar_chart",
]
