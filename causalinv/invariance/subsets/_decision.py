"""What makes a set acceptable, and what accepted sets are compared by: functions of the statistics of many sets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from causalinv._progress import counting
from causalinv._typing import BoolArray, FloatArray
from causalinv._validation import check_number, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance.rules._gaps import METRICS, Metric
from causalinv.invariance.subsets._excess_bound import certified
from causalinv.invariance.subsets._fits import exact_sets, pooled_coef
from causalinv.invariance.subsets._row_tests import ROW_TESTS, ResidualTest, RowTest
from causalinv.invariance.subsets._search import SEARCHES
from causalinv.invariance.subsets._sets import unpack
from causalinv.invariance.subsets._subset_gaps import subset_gaps
from causalinv.invariance.subsets._sweep import SubsetStatistics
from causalinv.invariance.subsets._tests import chow_pvalues, residual_pvalues
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
    "check_test",
    "few_rows",
    "reads_rows",
    "untestable",
    "warn_two_values",
]

Objective = Literal["pooled_risk", "worst_risk", "left_out_risk"]
Test = Literal["chow", "chow_hc", "residual", "ks", "ranks", "logistic"]
OBJECTIVES = ("pooled_risk", "worst_risk", "left_out_risk")
TESTS: tuple[str, ...] = get_args(Test)
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
    untestable : int
        Sets that the test was asked about and had no answer for.
    """

    accepted: BoolArray
    violation: FloatArray
    pvalue: FloatArray
    untestable: int = 0


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
    test: Test | ResidualTest
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
        if self.testable and not reads_rows(self.test):
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
        asked = self.testable and self.eps is None and not reads_rows(self.test)
        untestable = int(np.isnan(pvalue).sum()) if asked else 0
        return Verdict(accepted & (subsets.sizes >= self.min_size), violation, pvalue, untestable)

    def judge_by_rows(self, subsets: SubsetStatistics, order: np.ndarray, rows: RowTest) -> Verdict:
        """Test sets by their rows, in this order, until one is accepted; what comes after is not tested."""
        pvalue = np.full(len(subsets), np.nan)
        accepted = np.zeros(len(subsets), bool)
        exact, untestable = exact_sets(subsets, self.moments), 0
        with counting(len(order), "sets tested, at most") as step:
            for k in order.tolist():
                inside = unpack(subsets.packed[[k]], self.moments.blocks["x"])[0]
                pvalue[k] = 1.0 if exact[k] else rows.pvalue(inside)
                accepted[k] = pvalue[k] > self.level
                untestable += bool(np.isnan(pvalue[k]))
                step(1)
                if accepted[k]:
                    break
        return Verdict(accepted, self.judge(subsets).violation, pvalue, untestable)

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


def reads_rows(test: str | ResidualTest) -> bool:
    """Whether a test needs more than moments."""
    return callable(test) or test in ROW_TESTS


def check_test(test: str | ResidualTest) -> None:
    """Raise unless the test is known, or a function."""
    if not callable(test) and test not in TESTS:
        raise ValueError(f"test must be one of {TESTS}, or a function of residuals and labels; got {test!r}.")


def untestable(test: str | ResidualTest) -> str:
    """Why a test had no answer for a set."""
    if callable(test):
        return "the function given as test= returned NaN"
    if test == "logistic":
        return "features tell the two values of y apart without error, so there is no finite logistic regression"
    return "they have too many features for the rows at hand"


def few_rows(test: str | ResidualTest, eps: float | None) -> str:
    """What follows for sets with no fewer coefficients than an environment has rows."""
    if eps is not None:
        return "cannot be judged there, and are not accepted."
    if callable(test):
        return "are judged there by the function given as test=, whose needs are yours to know."
    if test in ("chow", "chow_hc", "logistic"):
        return "are judged there only by how well the others predict its rows, which sees little."
    return (
        f"are judged by test={test!r} as if fitted residuals were errors, which so few rows are too few for: it may "
        "reject what is invariant more often than its level."
    )


def warn_two_values(test: str | ResidualTest, outcome: FloatArray) -> None:
    """Say what linear tests ask of an outcome of two values."""
    if test == "logistic" or np.any((outcome != outcome.min()) & (outcome != outcome.max())):
        return
    follows = (
        ""
        if test == "chow_hc"
        else " Its error also has a variance that depends on the features, for which only 'chow_hc' is made."
    )
    warn(
        "y has two values, and this test asks whether a linear regression of it is invariant. A logistic law that is "
        f"the same everywhere has other linear coefficients where the features' law changes.{follows} "
        "test='logistic' asks for the same logistic regression.",
        DegenerateInputWarning,
    )


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
    check_test(model.test)
    choices = {"metric": METRICS, "objective": OBJECTIVES, "search": SEARCHES}
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
    elif reads_rows(model.test) and sampled:
        if not with_rows and moments.is_unweighted:
            raise ValueError(f"test={model.test!r} needs the rows: use fit instead of fit_moments.")
        if model.averaging:
            raise ValueError(f"test={model.test!r} stops at the first accepted set, so there is nothing to average.")
    return level
