"""The laboratory: linear structural equation models whose moments are exact in every environment."""

from causalinv.sem._environments import EnvironmentSet
from causalinv.sem._interventions import Do, Intervention, ScaleNoise, SetNoise, SetWeights, Shift
from causalinv.sem._linear import LinearSEM
from causalinv.sem._noise import Gaussian, Laplace, Noise, Uniform
from causalinv.sem._random import random_dag, random_sem

__all__ = [
    "Do",
    "EnvironmentSet",
    "Gaussian",
    "Intervention",
    "Laplace",
    "LinearSEM",
    "Noise",
    "ScaleNoise",
    "SetNoise",
    "SetWeights",
    "Shift",
    "Uniform",
    "random_dag",
    "random_sem",
]
