"""Methods whose evidence are fresh environments, none of which had a part in choosing the rule."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from causalinv._labels import Labels
from causalinv._matrix import whitener
from causalinv._typing import BoolArray, FloatArray
from causalinv._validation import check_number
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance.certificates._declared import need_exact
from causalinv.invariance.certificates._gaussian_rows import against_gaussian
from causalinv.invariance.certificates._method import Claim, Method, Numbers
from causalinv.invariance.certificates._tails import binomial_quantile, binomial_tail
from causalinv.invariance.rules import _kurtosis
from causalinv.invariance.rules._betting import evidence, rows_needed
from causalinv.invariance.rules._gaps import Metric, represent, rule_risks
from causalinv.invariance.rules._rule import rule_gaps, rule_rounding
from causalinv.invariance.subsets._excess_bound import random_design_cdf
from causalinv.linear_rule import LinearRule
from causalinv.moments import Moments

__all__ = ["Bounded", "FreshMethod", "FreshRequest", "GivenRows", "Holdout", "Kurtosis", "TwoLevel", "Union"]

_REFUTED = 0.05  # level, at most, at which rows show a gap above the tolerance
_FALSE = 0.01  # probability, at most, with which any declared kurtosis that holds is refuted
_OWN = ("relative_excess", "excess", "gradient", "risk_range")  # gaps that other environments can only make smaller
_LAW = "these environments are independent draws of one law, and so are the new ones"
_FIXED = "rule and eps were fixed before these environments were seen"


@dataclass(frozen=True)
class GivenRows:
    """Rows by environment, where they were given."""

    features: FloatArray
    outcome: FloatArray
    labels: Labels


@dataclass(frozen=True)
class FreshRequest:
    """A rule, a tolerance, and the environments by which it is judged; as in `certify`."""

    rule: LinearRule
    moments: Moments
    eps: float
    metric: Metric
    class_size: float | None
    miss_rate: float
    plug_in: bool
    rows: GivenRows | None = None
    residual_bound: float | None = None
    kurtosis: float | None = None


class FreshMethod(Method):
    """A method that judges one rule by environments that it never saw."""

    evidence = "fresh environments"

    @abstractmethod
    def claim(self, request: FreshRequest) -> Claim:
        """Count violations; raise if the request is not licensed."""


def _above(method: Method, request: FreshRequest) -> BoolArray:
    """Environments whose exact gap is above the tolerance."""
    need_exact(method.name, request.moments.is_population, request.plug_in)
    gaps = rule_gaps(request.rule, request.moments, request.metric)
    above: BoolArray = gaps > request.eps * (1 + 1e-9) + rule_rounding(request.rule, request.moments, request.metric)
    return above


class Holdout(FreshMethod):
    """Violations of one rule, counted."""

    name = "holdout"
    section = 6
    conditions = "rule and eps are fixed before the fresh environments are seen"
    asks = "fresh environments, none of which trained the rule; exact moments"
    metrics = _OWN
    counts_violations = True
    averages = False

    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        return binomial_tail(t, numbers.violations, m)

    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        return binomial_quantile(level, numbers.violations, m)

    def mean(self, m: int, numbers: Numbers) -> float:
        return (numbers.violations + 1) / (m + 1)

    def claim(self, request: FreshRequest) -> Claim:
        failed = int(_above(self, request).sum())
        numbers = Numbers(violations=failed)
        return Claim(request.rule, request.eps, len(request.moments), numbers, [_LAW, _FIXED], failed)


class Union(FreshMethod):
    """A rule without violations, one of finitely many."""

    name = "union"
    section = 6
    conditions = "the class of rules and eps are fixed before the environments are seen; the rule has no violation"
    asks = "class_size rules fixed before the environments were seen; exact moments"
    metrics = _OWN
    needs = ("class_size",)

    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        return min(1.0, float(numbers.class_size or 1) * (1.0 - t) ** m)

    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        return float(-np.expm1(np.log(level / float(numbers.class_size or 1)) / m))

    def mean(self, m: int, numbers: Numbers) -> float:
        share = float(numbers.class_size or 1) ** (-1.0 / m)  # the tail is 1 up to 1 - share, then N (1 - t)^m
        return 1.0 - share + share / (m + 1)

    def claim(self, request: FreshRequest) -> Claim:
        found, m = int(_above(self, request).sum()), len(request.moments)
        if request.class_size is None:
            raise ValueError("method='union' needs class_size, the number of rules fixed before these environments.")
        if found:
            raise ValueError(f"method='union' speaks of rules without violations; this one has {found} of {m}.")
        fixed = f"the rule is one of {request.class_size:g} fixed before these environments were seen"
        return Claim(request.rule, request.eps, m, Numbers(class_size=request.class_size), [_LAW, fixed])


class _ByRows(FreshMethod):
    """Each environment is judged by its rows; one that violates passes with probability at most the miss rate."""

    evidence = "fresh environments, with their rows"
    families = "any, environments with their data independent of one law"
    moments = "estimated"
    metrics = ("relative_excess",)
    takes = ("miss_rate",)
    counts_violations = True
    averages = False

    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        return binomial_tail(t * (1.0 - numbers.miss_rate), numbers.violations, m)

    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        return binomial_quantile(level, numbers.violations, m) / (1.0 - numbers.miss_rate)

    def mean(self, m: int, numbers: Numbers) -> float:
        return (numbers.violations + 1) / (m + 1) / (1.0 - numbers.miss_rate)

    def _rows(self, request: FreshRequest) -> GivenRows:
        if request.rows is None:
            raise ValueError(f"method={self.name!r} needs the rows: give X, y and environments=, not moments.")
        return request.rows

    def _undeclared(self, needed: str) -> ValueError:
        return ValueError(
            f"method={self.name!r} needs {needed}. Without a bound on the tails no rows prove a gap small, whatever "
            "their number (Bahadur and Savage, 1956)."
        )


class TwoLevel(_ByRows):
    """Each environment is judged by its Gaussian rows."""

    name = "two_level"
    section = 6
    conditions = (
        "rule and eps are fixed before the fresh environments are seen; rows jointly Gaussian in each environment"
    )
    asks = "fresh environments and their rows, Gaussian; every one shown to keep to the tolerance"

    def claim(self, request: FreshRequest) -> Claim:
        moments = request.moments
        if moments.is_population:
            raise ValueError(f"{self.name} is for estimated moments; these are exact: use method='holdout'.")
        if not moments.is_unweighted:
            raise ValueError(
                f"{self.name} needs rows that all have one and the same weight; these moments are weighted."
            )
        two_values = request.rows is not None and len(np.unique(request.rows.outcome)) == 2
        if two_values:
            warn(
                "y has two values, and two_level asks for Gaussian rows: of environments above the tolerance it can "
                f"pass more than {request.miss_rate:g} (.13 for .05, with an outcome of probability .05 and 300 rows). "
                "method='bounded' is for any law.",
                DegenerateInputWarning,
            )
        told = None if request.rows is None else against_gaussian(_read(request, request.rows), request.rows.labels)
        if told and not two_values:
            warn(
                f"two_level asks for Gaussian rows, and these are not: the {told}. Of environments above the tolerance "
                f"it can pass more than {request.miss_rate:g} (.08 for .05 with log normal rows, 300 in each). "
                "method='bounded' and method='kurtosis' are for any law.",
                DegenerateInputWarning,
            )
        counted, refuted = _judged(request.rule, moments, request.eps, request.miss_rate)
        numbers = Numbers(violations=int(counted.sum()), miss_rate=request.miss_rate)
        gaussian = "rows are independent and jointly Gaussian in each environment"
        assumptions = [_LAW, f"{gaussian} (REFUTED: the {told})" if told else gaussian, _FIXED]
        return Claim(request.rule, request.eps, len(moments), numbers, assumptions, int(refuted.sum()))


class Bounded(_ByRows):
    """Each environment is judged by rows whose residuals are bounded, whatever their law."""

    name = "bounded"
    section = 9
    conditions = (
        "rule and eps are fixed before the fresh environments are seen; in each environment neither the rule nor "
        "the environment's own least-squares rule misses y by more than residual_bound"
    )
    asks = "fresh environments and their rows, any law; a bound on residuals; every one shown to keep to the tolerance"

    def claim(self, request: FreshRequest) -> Claim:
        rows, bound, moments = self._rows(request), request.residual_bound, request.moments
        if bound is None:
            raise self._undeclared(
                "residual_bound=, the largest miss of y (in its unit) that the rule, or an environment's own best "
                "rule, can make"
            )
        bound = check_number(bound, "residual_bound", low=0.0, open_low=True)
        rule, eps = request.rule, request.eps
        residual = rows.outcome - rows.features @ rule.coef - rule.intercept
        worst = int(np.argmax(np.abs(residual)))
        if abs(residual[worst]) > bound:
            raise ValueError(
                f"residual_bound={bound:g} is refuted: in row {worst} the rule misses y by {abs(residual[worst]):.4g}."
            )
        centre, unit = moments.pooled.mean("x")[0], np.sqrt(np.diag(moments.pooled.cov("x")[0]))
        standard = (rows.features - centre) / np.where(unit > 0, unit, 1.0)
        seen = standard @ (rule.representation * np.where(unit > 0, unit, 1.0)).T
        design = np.column_stack([np.ones(len(seen)), seen])
        shown, needed = 0, 0.0
        for code in range(len(rows.labels)):
            at = rows.labels.rows(code)
            shown += int(evidence(residual[at], design[at], eps, bound) >= 1.0 / request.miss_rate)
            needed = max(needed, rows_needed(residual[at], eps, bound, request.miss_rate))
        _warn_if_none(shown, eps, needed, moments, "residuals like these")
        m = len(moments)
        numbers = Numbers(violations=m - shown, miss_rate=request.miss_rate)
        ranges = f"no residual of the rule, or of an environment's own best rule, is above {bound:g} (declared by you)"
        assumptions = [_LAW, "rows are independent in each environment", ranges, _FIXED]
        return Claim(rule, eps, m, numbers, assumptions, extra=(("rows_needed", needed),))


class Kurtosis(_ByRows):
    """Each environment is judged by rows whose linear functions have a bounded kurtosis, whatever their law."""

    name = "kurtosis"
    section = 11
    conditions = (
        "rule and eps are fixed before the fresh environments are seen; in each environment no linear function f of "
        "the constant, of what the rule reads and of y has E f^4 above kurtosis (E f^2)^2"
    )
    asks = "fresh environments and their rows, any law; a bound on kurtosis; every one shown to keep to the tolerance"

    def claim(self, request: FreshRequest) -> Claim:
        rows, kurtosis, moments = self._rows(request), request.kurtosis, request.moments
        if kurtosis is None:
            raise self._undeclared(
                "kurtosis=, the largest E f^4 / (E f^2)^2 of a linear function f of the rows (3 for Gaussian ones)"
            )
        kurtosis = check_number(kurtosis, "kurtosis", low=1.0, finite=True)
        rule, eps, m = request.rule, request.eps, len(moments)
        _check_kurtosis(request, rows, kurtosis)
        seen = represent(moments, rule.representation)
        risk = rule_risks(seen, rule.weights, rule.intercept)[0]
        own = risk - rule_gaps(rule, moments, "excess")
        shown, needed = 0, 0.0
        for e, n in enumerate(moments.count.tolist()):
            k = whitener(seen.cov("x")[e]).shape[1] + 1
            allowed = _kurtosis.allowed_excess(n, eps, kurtosis, request.miss_rate)
            shown += int(allowed >= 0 and own[e] > 0 and risk[e] <= (1.0 + allowed) * own[e])
            needed = max(needed, _kurtosis.rows_needed(k, eps, kurtosis, request.miss_rate))
        _warn_if_none(shown, eps, needed, moments, f"a kurtosis of at most {kurtosis:g}")
        numbers = Numbers(violations=m - shown, miss_rate=request.miss_rate)
        tails = f"no linear function of the rows has a kurtosis above {kurtosis:g} in any environment (declared by you)"
        assumptions = [_LAW, "rows of an environment are independent draws of one law", tails, _FIXED]
        return Claim(rule, eps, m, numbers, assumptions, extra=(("kurtosis", kurtosis), ("rows_needed", needed)))


def _read(request: FreshRequest, rows: GivenRows) -> dict[str, FloatArray]:
    """The rule's residual and the features that it reads, by name."""
    read = np.flatnonzero(np.any(request.rule.representation != 0, axis=0))
    names = request.moments.names["x"] or [f"feature {j}" for j in range(rows.features.shape[1])]
    residual = rows.outcome - rows.features @ request.rule.coef - request.rule.intercept
    return {"rule's residual": residual} | {str(names[j]): rows.features[:, j] for j in read}


def _check_kurtosis(request: FreshRequest, rows: GivenRows, kurtosis: float) -> None:
    """Raise if an environment's rows refute it: the rule's residual, or a column less its mean elsewhere."""
    residual, *read = (values for values in _read(request, rows).values())
    columns = np.column_stack([*read, rows.outcome])
    columns -= columns.mean(axis=0)
    named = [*list(_read(request, rows))[1:], "the outcome"]
    level = _FALSE / (len(rows.labels) * (len(named) + 1))
    total = columns.sum(axis=0)
    for code, label in enumerate(request.moments.cells.tolist()):
        at = rows.labels.rows(code)
        tried = {"the rule's residual": residual[at]}
        rest = len(columns) - len(at)
        if rest:
            away = (total - columns[at].sum(axis=0)) / rest
            tried |= {f"{name} (less its mean elsewhere)": columns[at, j] - away[j] for j, name in enumerate(named)}
        for name, values in tried.items():
            if _kurtosis.refuted(values, kurtosis, level) > 1.0:
                squares = (values / np.abs(values).max()) ** 2
                found = float(np.mean(squares**2) / np.mean(squares) ** 2)
                raise ValueError(
                    f"kurtosis={kurtosis:g} is refuted: in environment {label!r} the rows of {name} have "
                    f"{found:.4g}, further above than chance allows (level {_FALSE:g}). Declare a larger one."
                )


def _warn_if_none(shown: int, eps: float, needed: float, moments: Moments, why: str) -> None:
    """Say how many rows would do, if no environment has enough."""
    if shown:
        return
    fewest = float(moments.count.min())
    if np.isinf(needed):
        warn(
            f"No environment is shown to keep eps={eps:g}, and with {why} no number of rows would show it.",
            DegenerateInputWarning,
        )
        return
    told = f"{float(f'{needed:.3g}'):,.0f}"
    enough = (
        f"; the fewest here are {fewest:g}."
        if fewest < needed
        else f", and the fewest here are {fewest:g}: the rule's excess looks larger than that in all of them."
    )
    warn(
        f"No environment is shown to keep eps={eps:g}. With {why}, and no excess at all, about {told} rows "
        f"in each environment would show it{enough}",
        DegenerateInputWarning,
    )


def _judged(rule: LinearRule, moments: Moments, eps: float, miss_rate: float) -> tuple[BoolArray, BoolArray]:
    """Environments whose rows do not show a gap of at most eps, and those whose rows show one above.

    Each of the two is said wrongly with probability at most `miss_rate`.
    """
    seen = represent(moments, rule.representation)
    risk = rule_risks(seen, rule.weights, rule.intercept)[0]
    excess = rule_gaps(rule, moments, "excess")
    unshown, refuted = np.ones(len(moments), bool), np.zeros(len(moments), bool)
    for e, n in enumerate(moments.count.astype(int).tolist()):
        own = risk[e] - excess[e]
        k = whitener(seen.cov("x")[e]).shape[1] + 1  # coefficients that the rows of this environment can tell apart
        if n > k and own > 0:
            below = random_design_cdf(float(excess[e] / own) * (n - k) / k, k, n, eps)
            unshown[e], refuted[e] = below > miss_rate, 1.0 - below <= min(miss_rate, _REFUTED)
    return unshown, refuted
