"""Extrapolation: the outcome under interventions that were never tried, through a learned representation."""

from causalinv.extrapolation._autoencoder import AutoencoderMMREncoder
from causalinv.extrapolation._encoder import LinearInvarianceEncoder
from causalinv.extrapolation._regressor import Rep4ExRegressor
from causalinv.extrapolation._scores import conditional_score, linear_invariance_test
from causalinv.results import ExtrapolationDiagnostics

__all__ = [
    "AutoencoderMMREncoder",
    "ExtrapolationDiagnostics",
    "LinearInvarianceEncoder",
    "Rep4ExRegressor",
    "conditional_score",
    "linear_invariance_test",
]
