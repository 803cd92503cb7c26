"""Invariance: which features, and which combinations of them, predict the outcome by one rule in every environment."""

from causalinv.invariance._conformal import HierarchicalConformalRegressor
from causalinv.invariance._icp import InvariantCausalPrediction
from causalinv.invariance._representation import InvariantRepresentation
from causalinv.invariance._selector import InvariantSubsetSelector
from causalinv.invariance.certificates._bounds import (
    expected_violation,
    plan_interventions,
    required_interventions,
    violation_bound,
)
from causalinv.invariance.certificates._certify import certify
from causalinv.invariance.certificates._hull import in_moment_hull
from causalinv.invariance.certificates._next_risk import NextRisk, next_environment_risk
from causalinv.invariance.certificates._own_experiment import EnvironmentExperiment
from causalinv.invariance.certificates._pac import PACExperiment
from causalinv.invariance.certificates._registry import validity_table
from causalinv.invariance.certificates._tails import vc_dimension
from causalinv.invariance.rules._gaps import invariance_gaps
from causalinv.invariance.subsets._sweep import SubsetStatistics, sweep
from causalinv.invariance.subsets._tests import chow_pvalues, residual_pvalues, robust_chow_pvalue

__all__ = [
    "EnvironmentExperiment",
    "HierarchicalConformalRegressor",
    "InvariantCausalPrediction",
    "InvariantRepresentation",
    "InvariantSubsetSelector",
    "NextRisk",
    "PACExperiment",
    "SubsetStatistics",
    "certify",
    "chow_pvalues",
    "expected_violation",
    "in_moment_hull",
    "invariance_gaps",
    "next_environment_risk",
    "plan_interventions",
    "required_interventions",
    "residual_pvalues",
    "robust_chow_pvalue",
    "sweep",
    "validity_table",
    "vc_dimension",
    "violation_bound",
]
