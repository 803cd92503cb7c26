"""What can be done to a row: translations, finite groups, functions, and several one after the other."""

from causalinv.transformations._base import Transformation
from causalinv.transformations._compose import Compose, FunctionAugmentation
from causalinv.transformations._first_stage import FirstStage
from causalinv.transformations._groups import CyclicShift, FiniteGroup, Flip, PermutationGroup, Rotate90, SignFlip
from causalinv.transformations._translations import GaussianNoise, Translation

__all__ = [
    "Compose",
    "CyclicShift",
    "FiniteGroup",
    "FirstStage",
    "Flip",
    "FunctionAugmentation",
    "GaussianNoise",
    "PermutationGroup",
    "Rotate90",
    "SignFlip",
    "Transformation",
    "Translation",
]
