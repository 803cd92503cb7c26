"""Invariance: which features predict the outcome by the same rule in every environment."""

from causalinv.invariance._icp import InvariantCausalPrediction
from causalinv.invariance._sweep import SubsetStatistics, sweep
from causalinv.invariance._tests import chow_pvalues, residual_pvalues

__all__ = ["InvariantCausalPrediction", "SubsetStatistics", "chow_pvalues", "residual_pvalues", "sweep"]
