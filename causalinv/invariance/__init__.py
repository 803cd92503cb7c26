"""Invariance: which features, and which combinations of them, predict the outcome by one rule in every environment."""

from causalinv.invariance._certificates import certify, validity_table
from causalinv.invariance._complexity import (
    expected_violation,
    plan_interventions,
    required_interventions,
    vc_dimension,
    violation_bound,
)
from causalinv.invariance._conformal import HierarchicalConformalRegressor
from causalinv.invariance._gaps import invariance_gaps
from causalinv.invariance._hull import in_moment_hull
from causalinv.invariance._icp import InvariantCausalPrediction
from causalinv.invariance._pac import PACExperiment
from causalinv.invariance._representation import InvariantRepresentation
from causalinv.invariance._selector import InvariantSubsetSelector
from causalinv.invariance._sweep import SubsetStatistics, sweep
from causalinv.invariance._tests import chow_pvalues, residual_pvalues, robust_chow_pvalue

__all__ = [
    "HierarchicalConformalRegressor",
    "InvariantCausalPrediction",
    "InvariantRepresentation",
    "InvariantSubsetSelector",
    "PACExperiment",
    "SubsetStatistics",
    "certify",
    "chow_pvalues",
    "expected_violation",
    "in_moment_hull",
    "invariance_gaps",
    "plan_interventions",
    "required_interventions",
    "residual_pvalues",
    "robust_chow_pvalue",
    "sweep",
    "validity_table",
    "vc_dimension",
    "violation_bound",
]
