"""What makes a set acceptable, and what accepted sets are compared by: functions of the statistics of many sets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalinv._typing import BoolArray, FloatArray
from causalinv._validation import check_number, check_whole
from causalinv.invariance.rules._gaps import METRICS, Metric
from causalinv.invariance.subsets._excess_bound import certified
from causalinv.invariance.subsets._fits import exact_sets, pooled_coef
from causalinv.invariance.subsets._search import SEARCHES
from causalinv.invariance.subsets._sets import unpack
from causalinv.invariance.subsets._subset_gaps import subset_gaps
from causalinv.invariance.subsets._sweep import SubsetStatistics
from causalinv.invariance.subsets._tests import chow_pvalues, residual_pvalues, robust_chow_pvalue
from causalinv.moments import Moments

__all__ = [
    "OBJECTIVES",
    "TESTS",
    "Decision",
    "Objective",
    "Test",
    "Verdict",
    "averaged_coef",
    "check_options",
    "robust_on",
    "standard_designs",
]

Objective = Literal["pooled_risk", "worst_risk", "left_out_risk"]
Test = Literal["chow", "chow_hc", "residual"]
OBJECTIVES = ("pooled_risk", "worst_risk", "left_out_risk")
TESTS = ("chow", "chow_hc", "residual")
_EXACT = 1e-9  # relative excess in a population that counts as none; resolution of a population's risk


@dataclass(frozen=True)
class Verdict:
    """What was decided of n sets.

    Attributes
    ----------
    accepted : ndarray of bool, shape (n,)
    violation : ndarray of shape (n,)
        Largest gap in an environment; orders sets that are not accepted.
    pvalue : ndarray of shape (n,)
        NaN where nothing was tested.
    """

    accepted: BoolArray
    violation: FloatArray
    pvalue: FloatArray


@dataclass(frozen=True)
class Decision:
    """The rule by which sets are accepted and compared.

    Parameters
    ----------
    moments : Moments
    eps : float or None
        Tolerated gap; None to test.
    metric, objective, test : str
    level : float
        Of the test.
    certified_level : float
        Of each certified gap, per set and environment.
    min_size : int
    """

    moments: Moments
    eps: float | None
    metric: Metric
    objective: Objective
    test: Test
    level: float
    certified_level: float
    min_size: int

    @cached_property
    def population(self) -> bool:
        """Whether the moments are exact."""
        return bool(np.isinf(self.moments.count).all())

    @cached_property
    def testable(self) -> bool:
        """Whether the moments are of rows of equal weight, so that tests and bounds apply."""
        return self.moments.is_unweighted

    @property
    def needs_left_out(self) -> bool:
        """Whether anything is decided by left-out risks."""
        return self.objective == "left_out_risk" or (self.testable and self.eps is not None)

    def judge(self, subsets: SubsetStatistics) -> Verdict:
        """Accept or not, from moments alone (`until_accepted` is for the test that needs rows)."""
        counts = self.moments.count
        pvalue = np.full(len(subsets), np.nan)
        if self.testable and self.test != "chow_hc":
            pvalue = (residual_pvalues if self.test == "residual" else chow_pvalues)(subsets, counts)
            pvalue = np.where(exact_sets(subsets, self.moments), 1.0, pvalue)
        violation = subset_gaps(self.moments, subsets, "relative_excess" if self.eps is None else self.metric)
        violation = violation.max(axis=1)
        if not self.testable:
            accepted = violation <= (_EXACT if self.eps is None else self.eps)
        elif self.eps is None:
            accepted = pvalue > self.level
        else:
            accepted = certified(subsets, self.moments, self.eps, self.certified_level)
        return Verdict(accepted & (subsets.sizes >= self.min_size), violation, pvalue)

    def judge_by_rows(
        self, subsets: SubsetStatistics, order: np.ndarray, rows: list[tuple[FloatArray, FloatArray]]
    ) -> Verdict:
        """Test sets with the robust test, in this order, until one is accepted; what comes after is not tested."""
        pvalue = np.full(len(subsets), np.nan)
        designs, outcomes = standard_designs(self.moments, rows), [outcome for _, outcome in rows]
        exact = exact_sets(subsets, self.moments)
        for k in order.tolist():
            if exact[k]:
                pvalue[k] = 1.0
                break
            inside = unpack(subsets.packed[[k]], self.moments.blocks["x"])[0]
            pvalue[k] = robust_on(designs, outcomes, inside)
            if pvalue[k] > self.level:
                break
        return Verdict(pvalue > self.level, self.judge(subsets).violation, pvalue)

    def cost(self, subsets: SubsetStatistics) -> FloatArray:
        """The objective; in-sample risks as final prediction errors, a population's up to its resolution."""
        if self.objective == "left_out_risk":
            risk = subsets.left_out_risk.max(axis=1)
        elif self.objective == "worst_risk":
            risk = subsets.pooled_risk.max(axis=1)
        else:
            risk = subsets.pooled_risk @ self.moments.weight / self.moments.weight.sum()
        if self.population:
            unit = _EXACT * float(self.moments.pooled.cov("y")[0, 0, 0])
            return np.round(risk / unit) * unit  # sets that predict equally well tie, and the smallest is taken
        if self.objective == "left_out_risk":
            return risk
        n, k = self.moments.count.sum(), subsets.coefficients
        return np.where(n > k, risk * (n + k) / np.maximum(n - k, 1), np.inf)

    def key(self, subsets: SubsetStatistics) -> FloatArray:
        """Order of sets in a greedy search: size first, then acceptance, then cost or violation, then size."""
        verdict = self.judge(subsets)
        cost = np.where(verdict.accepted, self.cost(subsets), verdict.violation)
        return np.column_stack([subsets.sizes < self.min_size, ~verdict.accepted, cost, subsets.sizes])


def standard_designs(moments: Moments, rows: list[tuple[FloatArray, FloatArray]]) -> list[FloatArray]:
    """A constant and the features about their pooled mean, in units of their spread, of each environment."""
    pooled = moments.pooled
    centre, unit = pooled.mean("x")[0], np.sqrt(np.diag(pooled.cov("x")[0]))
    still = unit == 0
    unit[still] = 1.0
    return [np.column_stack([np.ones(len(X)), np.where(still, 0.0, (X - centre) / unit)]) for X, _ in rows]


def robust_on(designs: list[FloatArray], outcomes: list[FloatArray], inside: BoolArray) -> float:
    """The robust test of one set, from designs of all features."""
    columns = np.r_[True, inside]
    return robust_chow_pvalue([design[:, columns] for design in designs], outcomes)


def averaged_coef(moments: Moments, subsets: SubsetStatistics) -> FloatArray:
    """Coefficients averaged over sets with weights exp(-BIC / 2); on a population, over those of least risk."""
    n = moments.count.sum()
    risk = subsets.pooled_risk @ moments.weight / moments.weight.sum()
    if np.isinf(n):
        weight = (risk <= risk.min() * (1 + _EXACT)).astype(float)
    else:
        floor = _EXACT * float(moments.pooled.cov("y")[0, 0, 0])
        bic = n * np.log(np.maximum(risk, floor)) + subsets.coefficients * np.log(n)
        weight = np.exp(-(bic - bic.min()) / 2)
    pooled = moments.pooled
    coefs = np.array([pooled_coef(pooled, inside) for inside in unpack(subsets.packed, moments.blocks["x"])])
    return weight @ coefs / weight.sum()


def check_options(model: Any, moments: Moments, with_rows: bool) -> float:
    """Validate the selector's parameters; returns the level."""
    level = check_number(model.level, "level", low=0.0, high=1.0)
    choices = {"metric": METRICS, "objective": OBJECTIVES, "test": TESTS, "search": SEARCHES}
    for name, allowed in choices.items():
        if getattr(model, name) not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {getattr(model, name)!r}.")
    d = moments.blocks["x"]
    check_whole(model.screen_size, "screen_size", low=1)
    smallest = check_whole(model.min_size, "min_size", low=0)
    largest = d if model.max_size is None else check_whole(model.max_size, "max_size", low=0)
    if smallest > min(largest, d):
        raise ValueError(f"min_size={smallest} leaves no set among {d} features and max_size={model.max_size}.")
    sampled = np.isfinite(moments.count).all()
    if model.eps is not None:
        check_number(model.eps, "eps", low=0.0)
        if sampled and model.metric != "relative_excess" and moments.is_unweighted:
            raise ValueError(
                f"metric={model.metric!r} has no confidence bound on samples, so eps cannot be certified. Use "
                "metric='relative_excess', or fit_moments on a population."
            )
    elif model.test == "chow_hc" and sampled:
        if not with_rows:
            raise ValueError("test='chow_hc' needs the rows, for their fourth moments: use fit instead of fit_moments.")
        if model.averaging:
            raise ValueError("test='chow_hc' stops at the first accepted set, so there is nothing to average.")
    return level
