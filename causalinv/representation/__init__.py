"""Measure what a representation keeps, and align two of them."""

from causalinv.representation._alignment import OrthogonalAlignment
from causalinv.representation._collapse import neural_collapse
from causalinv.representation._entropy import diffusion_information_test, diffusion_spectral_entropy
from causalinv.representation._invariance import equivariance_score, invariance_score
from causalinv.representation._prequential import prequential_code_length
from causalinv.representation._relative import RelativeRepresentation
from causalinv.representation._smoothing import smoothing_certificate
from causalinv.representation._spectrum import (
    condition_number,
    effective_rank,
    gaussian_information,
    participation_ratio,
    rank_me,
    spectral_exponent,
)
from causalinv.representation._superposition import effective_features

__all__ = [
    "OrthogonalAlignment",
    "RelativeRepresentation",
    "condition_number",
    "diffusion_information_test",
    "diffusion_spectral_entropy",
    "effective_features",
    "effective_rank",
    "equivariance_score",
    "gaussian_information",
    "invariance_score",
    "neural_collapse",
    "participation_ratio",
    "prequential_code_length",
    "rank_me",
    "smoothing_certificate",
    "spectral_exponent",
]
