"""Methods whose evidence are the training environments: sites, box, minimax rule, dimension, hull."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from causalinv._typing import FloatArray
from causalinv._validation import check_number
from causalinv.invariance.certificates._declared import need_exact, refuse_other_sites
from causalinv.invariance.certificates._hull import in_moment_hull
from causalinv.invariance.certificates._method import CONVEX, Claim, Method, Numbers
from causalinv.invariance.certificates._same import standard_moments, units
from causalinv.invariance.certificates._tails import (
    beta_quantile,
    beta_tail,
    vc_dimension,
    vc_mean,
    vc_quantile,
    vc_tail,
)
from causalinv.invariance.rules._gaps import Metric
from causalinv.invariance.rules._minimax import minimax_rule
from causalinv.invariance.rules._rule import rule_gaps, rule_rounding
from causalinv.linear_rule import LinearRule
from causalinv.moments import Moments
from causalinv.sem import EnvironmentSet, InterventionFamily

__all__ = ["BetaSites", "Box", "Hull", "Scenario", "TrainingMethod", "TrainingRequest", "VCDimension"]

_SAME = 1e-9  # difference of moments, in units of the features, below which two environments are the same data
_INSIDE = 1e-7  # distance to the hull that counts as none, in units of the least variable environment
_LAW = "interventions, the baseline aside, are independent draws of one law, and fresh ones come from it, too"


@dataclass(frozen=True)
class TrainingRequest:
    """A rule, the environments that chose it, and what is declared of them; as in ``selector.certify``."""

    rule: LinearRule
    moments: Moments
    metric: Metric
    gaps: FloatArray
    class_size: float
    eps: float | None = None
    family: InterventionFamily | None = None
    baseline: Any = None
    in_degree: int | None = None
    environment_set: EnvironmentSet | None = None
    new: Moments | None = None
    plug_in: bool = False

    def __post_init__(self) -> None:
        if self.baseline is not None and self.baseline not in self.moments.cells:
            raise ValueError(
                f"baseline={self.baseline!r} is not a training environment; they are {self.moments.cells.tolist()}."
            )

    @property
    def declared(self) -> InterventionFamily:
        """The family, where the method has checked that there is one."""
        assert self.family is not None
        return self.family

    @property
    def m(self) -> int:
        """Interventions: environments, the baseline not counted."""
        return len(self.moments) - (self.baseline is not None)

    @property
    def rounding(self) -> float:
        """Smallest tolerance: fresh gaps of an exactly invariant rule are not exactly zero."""
        return rule_rounding(self.rule, self.moments, self.metric)

    def tolerance(self, reached: float | None = None) -> float:
        """The eps asked for, or what was reached, up to rounding."""
        reached = float(self.gaps.max()) if reached is None else reached
        if self.eps is None:
            return max(reached, self.rounding)
        if not np.isfinite(check_number(self.eps, "eps", low=0.0)):
            raise ValueError(f"eps must be finite, got {self.eps}: every rule has a gap of at most that.")
        if self.eps < reached * (1 - 1e-9):
            raise ValueError(
                f"eps={self.eps:g} is below the gap {reached:.4g} that the rule has in training; a rule that violates "
                "there has no certificate. Leave eps out to get the smallest."
            )
        return self.eps


class TrainingMethod(Method):
    """A method that speaks of what the training environments chose."""

    evidence = "training environments"

    def check(self, request: TrainingRequest) -> None:
        """Raise if something is missing that the method needs, before anything is computed."""
        need_exact(self.name, request.moments.is_population, request.plug_in)

    @abstractmethod
    def claim(self, request: TrainingRequest) -> Claim:
        """Hold a checked request against the data; raise if what is declared is refuted."""


class _Sites(TrainingMethod):
    """Mass beyond the largest magnitudes that were seen at s sites."""

    section = 2
    metrics = CONVEX
    needs = ("n_sites",)

    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        return beta_tail(t, numbers.n_sites or 0, m)

    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        return beta_quantile(level, numbers.n_sites or 0, m)

    def mean(self, m: int, numbers: Numbers) -> float:
        return (numbers.n_sites or 0) / (m + 1)

    def refuses(self, kind: str, per_env: str = "single") -> str | None:
        return (
            None
            if kind == "variance"
            else f"a family whose moments are affine in its magnitudes (kind={kind!r} is not)"
        )


class BetaSites(_Sites):
    """Each environment adds variance at one site."""

    name = "beta_sites"
    families = "added variance, one site per environment"
    conditions = "the baseline is a training environment; rule, set and eps may be chosen in training"
    asks = "each environment moves one site; a baseline; exact moments"

    def refuses(self, kind: str, per_env: str = "single") -> str | None:
        if per_env != "single":
            return "one site per environment (per_env='single')"
        return super().refuses(kind)

    def check(self, request: TrainingRequest) -> None:
        super().check(request)
        missing = []
        if request.family is None:
            missing.append("family=, the declared kind of interventions and their sites")
        else:
            given = request.family
            missing += [
                why for why in (_Sites.refuses(self, given.kind), self.refuses("variance", given.per_env)) if why
            ]
        if request.baseline is None:
            missing.append("baseline=, the label of a training environment without intervention")
        if missing:
            raise ValueError(f"{self.name} is not proved here; missing: " + "; ".join(missing) + ".")

    def claim(self, request: TrainingRequest) -> Claim:
        refuse_other_sites(request.moments, request.declared, request.baseline)
        s = request.declared.n_sites
        declared = f"each environment adds variance at one of {s} sites (declared by you)"
        assumptions = [_LAW, declared, f"environment {request.baseline!r} is the baseline"]
        return Claim(request.rule, request.tolerance(), request.m, Numbers(n_sites=s), assumptions)


class Box(_Sites):
    """All sites at once, their magnitudes known."""

    name = "box"
    evidence = "training environments and their magnitudes"
    families = "added variance, any sites at once"
    moments = "exact, from the model"
    section = 3
    conditions = "the model, its sites and the magnitudes are known; rule, set and eps may be chosen in training"
    asks = "the sites and how far each was moved are known; exact moments"

    def check(self, request: TrainingRequest) -> None:  # whatever the moments: the model has exact ones
        family, known = request.family, request.environment_set
        if family is None or known is None or known.theta is None:
            raise ValueError(
                "method='box' needs family= and environment_set=, the training environments with their magnitudes "
                "(theta) and their model."
            )
        if self.refuses(family.kind):
            raise ValueError(
                f"method='box' is proved for added variances only, and kind={family.kind!r} is not affine."
            )

    def claim(self, request: TrainingRequest) -> Claim:
        family, known = request.declared, request.environment_set
        assert known is not None and known.theta is not None  # noqa: PT018
        if request.moments.is_population:
            _need_same(request.moments, known.moments())
        corners = np.array(list(product(*[(0.0, float(w)) for w in known.theta.max(axis=0)])))
        vertices = known.sem.environments(family.interventions(known.sem, corners)).moments()
        reached = float(rule_gaps(request.rule, vertices, request.metric).max())
        moved = int(np.any(known.theta > 0, axis=1).sum())
        assumptions = [_LAW, "interventions add variances", f"the model and its {family.n_sites} sites are known"]
        numbers = Numbers(n_sites=family.n_sites)
        return Claim(request.rule, request.tolerance(reached), moved, numbers, assumptions)


class Scenario(TrainingMethod):
    """The minimax rule on one representation, whatever the family."""

    name = "scenario"
    section = 4
    metrics = ("excess", "relative_excess")
    needs = ("n_coefficients",)
    takes = ("class_size",)
    conditions = (
        "speaks of the minimax rule on the chosen set (of several, the one of least norm), at its own level; "
        "all sets searched count"
    )
    asks = "any family; the minimax rule on one set, at the level that it reaches; exact moments"

    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        return min(1.0, float(numbers.class_size or 1) * beta_tail(t, (numbers.n_coefficients or 0) + 1, m))

    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        return beta_quantile(level / float(numbers.class_size or 1), (numbers.n_coefficients or 0) + 1, m)

    def check(self, request: TrainingRequest) -> None:
        super().check(request)
        if not np.isfinite(request.class_size):
            raise ValueError(
                "method='scenario' speaks of one set; an average of sets has none, and of representations that were "
                "chosen among infinitely many it says nothing."
            )

    def claim(self, request: TrainingRequest) -> Claim:
        components = request.rule.representation
        best, level = minimax_rule(request.moments, components, relative=request.metric == "relative_excess")
        rule = LinearRule(best[1:] @ components, float(best[0]), components)
        chosen = f"one of at most {request.class_size:.3g} sets was chosen; its rule is the minimax one, not the pooled"
        numbers = Numbers(n_coefficients=len(best), class_size=request.class_size)
        return Claim(rule, request.tolerance(level), request.m, numbers, [_LAW, chosen])


class VCDimension(TrainingMethod):
    """Any rule, any dimension, by the degree of the family."""

    name = "vc"
    section = 5
    families = "variance, shift, random_shift, weights, weights+variance; environments independent of one law"
    metrics = ("excess", "relative_excess")
    needs = ("vc_dimension",)
    counts_violations = True
    conditions = (
        "the sites and their in-degree are declared; non-degenerate features; rule, set and eps may be chosen from the "
        "training environments"
    )
    asks = "any rule, any dimension; exact moments"

    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        return vc_tail(t, numbers.vc_dimension or 0, m, numbers.violations)

    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        return vc_quantile(level, numbers.vc_dimension or 0, m, numbers.violations)

    def mean(self, m: int, numbers: Numbers) -> float:
        if numbers.violations:
            raise ValueError("method='vc' has no bound on the mean with violations; read violation_bound.")
        return vc_mean(numbers.vc_dimension or 0, m)

    def refuses(self, kind: str, per_env: str = "single") -> str | None:
        known = ("variance", "shift", "random_shift", "weights", "weights+variance")
        return None if kind in known else f"a kind whose degree is known ({', '.join(known)}), not kind={kind!r}"

    def check(self, request: TrainingRequest) -> None:
        super().check(request)
        family = request.family
        if family is None:
            raise ValueError("method='vc' needs family=, the declared kind of interventions and their sites.")
        if family.kind.startswith("weights") and request.in_degree is None:
            raise ValueError(f"method='vc' with kind={family.kind!r} needs in_degree, the most parents of a site.")

    def claim(self, request: TrainingRequest) -> Claim:
        family = request.declared
        numbers = Numbers(vc_dimension=vc_dimension(family.kind, family.n_sites, request.in_degree or 1))
        declared = f"interventions are of kind {family.kind!r} at {family.n_sites} sites (declared by you)"
        assumptions = [_LAW, declared, "no environment makes the features of the rule linearly dependent"]
        return Claim(request.rule, request.tolerance(), request.m, numbers, assumptions)


class Hull(TrainingMethod):
    """One new environment whose moments are a mixture of those in training: nothing is random."""

    name = "hull"
    evidence = "training environments and one new one"
    families = "any, no randomness"
    section = 1
    metrics = CONVEX
    conditions = "the moments of the new environment are in the convex hull of those in training"
    asks = "nothing is random: the exact moments of the new environment, a mixture of those in training"
    random = False

    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        return 0.0

    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        return 0.0

    def mean(self, m: int, numbers: Numbers) -> float:
        return 0.0

    def check(self, request: TrainingRequest) -> None:
        super().check(request)
        if request.new is None:
            raise ValueError("method='hull' needs new=, the moments of the environment that is asked about.")

    def claim(self, request: TrainingRequest) -> Claim:
        assert request.new is not None
        distance, _ = in_moment_hull(request.new, request.moments)
        tolerated = request.tolerance()
        own = rule_gaps(request.rule, request.new, request.metric)
        if distance.max() > _INSIDE or own.max() > tolerated * (1 + 1e-6) + request.rounding:
            raise ValueError(
                f"The moments of the new environment are {distance.max():.3g} (in standardised units) outside the "
                "convex hull of the training environments; the hull proves nothing about it."
            )
        mixture = "the moments of the new environment are a mixture of those in training"
        return Claim(request.rule, tolerated, request.m, Numbers(), [mixture])


def _need_same(trained: Moments, given: Moments) -> None:
    """Raise unless the exact moments that trained the rule are those of the environments given."""
    unit = units(trained)
    same = dict(trained.blocks) == dict(given.blocks) and len(trained) == len(given)
    if not same or np.abs(standard_moments(trained, unit) - standard_moments(given, unit)).max() > _SAME:
        raise ValueError(
            "environment_set= does not have the moments that trained this rule: method='box' speaks of the training "
            "environments, so give the set that the selector was fitted to."
        )
