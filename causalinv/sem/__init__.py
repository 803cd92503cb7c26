"""The laboratory: linear structural equation models whose moments are exact in every environment."""

from causalinv.sem._environments import EnvironmentSet
from causalinv.sem._families import InterventionFamily, choose_sites
from causalinv.sem._interventions import (
    Do,
    Intervention,
    ScaleNoise,
    ScaleWeights,
    SetNoise,
    SetWeights,
    Shift,
    ShiftTogether,
)
from causalinv.sem._linear import LinearSEM
from causalinv.sem._model import CommonCauses
from causalinv.sem._noise import Empirical, Exponential, Gaussian, Laplace, Noise, StudentT, Uniform
from causalinv.sem._random import random_cyclic_sem, random_dag, random_sem, random_unfaithful_sem
from causalinv.sem._textbook import textbook_sem

__all__ = [
    "CommonCauses",
    "Do",
    "Empirical",
    "EnvironmentSet",
    "Exponential",
    "Gaussian",
    "Intervention",
    "InterventionFamily",
    "Laplace",
    "LinearSEM",
    "Noise",
    "ScaleNoise",
    "ScaleWeights",
    "SetNoise",
    "SetWeights",
    "Shift",
    "ShiftTogether",
    "StudentT",
    "Uniform",
    "choose_sites",
    "random_cyclic_sem",
    "random_dag",
    "random_sem",
    "random_unfaithful_sem",
    "textbook_sem",
]
