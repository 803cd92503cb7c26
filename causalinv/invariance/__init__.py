"""Invariance: which features, and which combinations of them, predict the outcome by one rule in every environment."""

from causalinv.invariance._gaps import invariance_gaps
from causalinv.invariance._icp import InvariantCausalPrediction
from causalinv.invariance._representation import InvariantRepresentation
from causalinv.invariance._selector import InvariantSubsetSelector
from causalinv.invariance._sweep import SubsetStatistics, sweep
from causalinv.invariance._tests import chow_pvalues, residual_pvalues, robust_chow_pvalue

__all__ = [
    "InvariantCausalPrediction",
    "InvariantRepresentation",
    "InvariantSubsetSelector",
    "SubsetStatistics",
    "chow_pvalues",
    "invariance_gaps",
    "residual_pvalues",
    "robust_chow_pvalue",
    "sweep",
]
