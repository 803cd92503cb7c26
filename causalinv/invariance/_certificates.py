"""Certificates: what is proved of one rule under interventions that nobody has seen.

`VALIDITY` is the table of what is proved, for which families and moments; a cell that is not in it is refused, and the
message names the condition that is missing. Proofs: ``docs/certificates.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd

from causalinv._fingerprints import Fingerprints
from causalinv._labels import shown
from causalinv._matrix import whitener
from causalinv._typing import BoolArray, FloatArray, Rows
from causalinv._validation import check_number, check_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance._certified import random_design_cdf
from causalinv.invariance._complexity import expected_violation, vc_dimension, violation_bound
from causalinv.invariance._declared import (
    compare_family,
    need_exact,
    need_single_site,
    refuse_other_sites,
    suspect_target,
)
from causalinv.invariance._gaps import invariance_gaps, represent, rule_risks
from causalinv.invariance._hull import in_moment_hull
from causalinv.invariance._minimax import minimax_rule
from causalinv.invariance._rule import Rule, rule_of
from causalinv.moments import Moments
from causalinv.results import InvarianceCertificate
from causalinv.sem import EnvironmentSet, InterventionFamily

__all__ = ["VALIDITY", "certify", "certify_training", "check_names", "validity_table"]

CONVEX = ("excess", "relative_excess", "gradient")  # sublevel sets convex in the moments
_ROUNDING = 1e-12  # smallest tolerance: fresh gaps of an exactly invariant rule are not exactly zero
_SAME = 1e-9  # difference of moments, in units of the features, below which two environments are the same data
_REFUTED = 0.05  # level, at most, at which rows show a gap above the tolerance
_INSIDE = 1e-7  # distance to the hull that counts as none, in units of the least variable environment


@dataclass(frozen=True)
class Licence:
    """One row of the validity table."""

    method: str
    evidence: str
    families: str
    moments: str
    metrics: str
    conditions: str


VALIDITY = (
    Licence(
        "beta_sites",
        "training environments",
        "added variance, one site per environment",
        "exact (estimated only as plug_in)",
        ", ".join(CONVEX),
        "the baseline is a training environment; rule, set and eps may be chosen from the training environments",
    ),
    Licence(
        "box",
        "training environments and their magnitudes",
        "added variance, any sites at once",
        "exact, from the model",
        ", ".join(CONVEX),
        "the model, its sites and the magnitudes are known; rule, set and eps may be chosen from the training "
        "environments",
    ),
    Licence(
        "scenario",
        "training environments",
        "any, environments independent of one law",
        "exact (estimated only as plug_in)",
        "excess, relative_excess",
        "speaks of the minimax rule on the chosen set (of several, the one of least norm), at the level that it "
        "reaches; all sets searched count",
    ),
    Licence(
        "vc",
        "training environments",
        "variance, shift, random_shift, weights, weights+variance; environments independent of one law",
        "exact (estimated only as plug_in)",
        "excess, relative_excess",
        "the sites and their in-degree are declared; non-degenerate features; rule, set and eps may be chosen from the "
        "training environments",
    ),
    Licence(
        "hull",
        "training environments and one new one",
        "any, no randomness",
        "exact (estimated only as plug_in)",
        ", ".join(CONVEX),
        "the moments of the new environment are in the convex hull of those in training",
    ),
    Licence(
        "holdout",
        "fresh environments",
        "any, environments independent of one law",
        "exact (estimated only as plug_in)",
        "all",
        "rule and eps are fixed before the fresh environments are seen",
    ),
    Licence(
        "union",
        "fresh environments",
        "any, environments independent of one law",
        "exact (estimated only as plug_in)",
        "all",
        "the class of rules and eps are fixed before the environments are seen; the rule has no violation",
    ),
    Licence(
        "two_level",
        "fresh environments, with their rows",
        "any, environments with their data independent of one law",
        "estimated",
        "relative_excess",
        "rule and eps are fixed before the fresh environments are seen; rows jointly Gaussian in each environment",
    ),
)


def validity_table() -> pd.DataFrame:
    """The validity table: which certificate is proved, for which families, moments and metrics, on which conditions.

    Examples
    --------
    >>> validity_table().loc["two_level", "moments"]
    'estimated'
    """
    return pd.DataFrame([vars(row) for row in VALIDITY]).set_index("method")


# -- from fresh environments ---------------------------------------------------------------------------------------


def certify(
    fitted: Any,
    X: Rows | Moments,
    y: Rows = None,
    *,
    environments: Rows = None,
    eps: float,
    metric: str = "relative_excess",
    confidence_level: float = 0.95,
    method: Literal["holdout", "union", "two_level"],
    class_size: float | None = None,
    miss_rate: float = 0.05,
    plug_in: bool = False,
) -> InvarianceCertificate:
    """Certify one rule by fresh environments, none of which had a part in choosing it.

    Parameters
    ----------
    fitted : estimator, Pipeline or tuple (components, coef, intercept)
        The rule; see `rule_of`. A Pipeline is certified as a whole.
    X : array-like of shape (n, d), or Moments
        Features; or moments of ``x`` and ``y``, one cell per environment (a population's for ``"holdout"``).
    y : array-like of shape (n,)
        Outcome.
    environments : array-like of shape (n,)
        Label of each row's environment.
    eps : float
        Tolerated gap, fixed in advance.
    metric : str, default "relative_excess"
        As in `invariance_gaps`.
    confidence_level : float, default 0.95
    method : {"holdout", "union", "two_level"}
        ``"holdout"``: count violations, by exact moments. ``"union"``: the same without violations, simultaneously for
        `class_size` rules. ``"two_level"``: each environment is tested by its rows, and counts as a violation unless
        its gap is certified to be at most `eps`.
    class_size : float, optional
        For ``"union"``.
    miss_rate : float, default 0.05
        For ``"two_level"``, how often an environment that violates may pass its test.
    plug_in : bool, default False
        Take estimated moments for exact; the certificate then says that it is not proved.

    Returns
    -------
    InvarianceCertificate

    Raises
    ------
    ValueError
        If the environments trained the rule, or the validity table does not license the request; the message names the
        missing condition.
    """
    if not isinstance(X, Moments) and (environments is None or y is None):
        raise ValueError("certify needs y and environments=, the outcome and the label of each row's environment.")
    moments = X if isinstance(X, Moments) else Moments.from_rows(x=X, y=y, environments=environments)
    check_names(getattr(fitted, "feature_names_in_", None), moments.names["x"], "X")
    rule = rule_of(fitted, moments)
    if moments.blocks["x"] != rule.components.shape[1]:
        raise ValueError(f"The rule has {rule.components.shape[1]} features, these environments {moments.blocks['x']}.")
    eps = check_number(eps, "eps", low=0.0)
    if not np.isfinite(eps):
        raise ValueError(f"eps must be finite, got {eps}: every rule has a gap of at most that.")
    _refuse_training(fitted, moments, None if isinstance(X, Moments) else X, y, environments)
    exact = bool(np.isinf(moments.count).all())
    if method not in ("holdout", "union", "two_level"):
        raise ValueError(
            f"method must be 'holdout', 'union' or 'two_level' for fresh environments, got {method!r}; the others are "
            "methods of a fitted selector's certify(), from its training environments."
        )
    assumptions = ["the fresh interventions are independent draws of the law that is spoken of"]
    counted, refuted, more = _violating(
        rule, moments, method, eps=eps, metric=metric, miss_rate=miss_rate, plug_in=plug_in
    )
    assumptions += more
    violations, m = int(counted.sum()), len(moments)
    numbers: dict[str, Any] = {"violations": violations}
    if method == "union":
        if class_size is None:
            raise ValueError("method='union' needs class_size, the number of rules fixed before these environments.")
        if violations:
            raise ValueError(f"method='union' speaks of rules without violations; this one has {violations} of {m}.")
        numbers |= {"class_size": class_size}
        assumptions += [f"the rule is one of {class_size:g} fixed before these environments were seen"]
    else:
        assumptions += ["rule and eps were fixed before these environments were seen"]
    if method == "two_level":
        numbers |= {"miss_rate": miss_rate}
    return _certificate(
        rule,
        method=method,
        numbers=numbers,
        eps=eps,
        metric=metric,
        confidence_level=confidence_level,
        m=m,
        assumptions=assumptions,
        plugged=plug_in and not exact,
        failed=int(refuted.sum()),
    )


def _violating(
    rule: Rule, moments: Moments, method: str, *, eps: float, metric: str, miss_rate: float, plug_in: bool
) -> tuple[BoolArray, BoolArray, list[str]]:
    """Environments that count as violations, those of them that are shown to be, and what that rests on."""
    exact = bool(np.isinf(moments.count).all())
    if method != "two_level":
        need_exact(method, exact, plug_in)
        gaps = invariance_gaps(moments, rule.components, rule.coef, rule.intercept, metric=metric)  # type: ignore[arg-type]
        above = gaps > eps * (1 + 1e-9) + _ROUNDING
        return above, above, []
    if exact:
        raise ValueError("two_level is for estimated moments; these are exact: use method='holdout'.")
    if metric != "relative_excess":
        raise ValueError(f"two_level is licensed for metric='relative_excess' only, got {metric!r}.")
    if not moments.is_unweighted:
        raise ValueError("two_level needs rows that all have one and the same weight; these moments are weighted.")
    counted, refuted = _judged(rule, moments, eps, miss_rate)
    return counted, refuted, ["rows are independent and jointly Gaussian in each environment"]


def _judged(rule: Rule, moments: Moments, eps: float, miss_rate: float) -> tuple[BoolArray, BoolArray]:
    """Environments whose rows do not show a gap of at most eps, and those whose rows show one above.

    Each of the two is said wrongly with probability at most `miss_rate`.
    """
    seen = represent(moments, rule.components)
    risk = rule_risks(seen, rule.coef, rule.intercept)[0]
    excess = invariance_gaps(moments, rule.components, rule.coef, rule.intercept, metric="excess")
    unshown, refuted = np.ones(len(moments), bool), np.zeros(len(moments), bool)
    for e, n in enumerate(moments.count.astype(int).tolist()):
        own = risk[e] - excess[e]
        k = whitener(seen.cov("x")[e]).shape[1] + 1  # coefficients that the rows of this environment can tell apart
        if n > k and own > 0:
            below = random_design_cdf(float(excess[e] / own) * (n - k) / k, k, n, eps)
            unshown[e], refuted[e] = below > miss_rate, 1.0 - below <= min(miss_rate, _REFUTED)
    return unshown, refuted


def check_names(expected: Any, found: Sequence[str] | None, name: str) -> None:
    """Raise if both have names of features, and these differ or come in another order."""
    if expected is None or found is None or list(expected) == list(found):
        return
    raise ValueError(
        f"The features of {name} are {list(found)}, those of the rule {list(expected)}: they must be the same, and in "
        "the same order."
    )


def _refuse_training(fitted: Any, moments: Moments, X: Rows, y: Rows, environments: Rows) -> None:
    """Raise if environments, or rows of theirs, trained the rule or a step of it."""
    steps = [step for _, step in getattr(fitted, "steps", [])]
    for i, part in enumerate([fitted, *steps]):
        trained, rows = getattr(part, "_training_moments", None), getattr(part, "_training_rows", None)
        if trained is None and rows is None:
            continue
        inner, seen = X, moments
        if i > 1 and X is not None:  # as the step saw them
            for step in steps[: i - 1]:
                inner = step.transform(inner)
            seen = Moments.from_rows(x=inner, y=y, environments=environments)
        if trained is not None:
            _refuse_same_moments(trained, seen)
        if rows is not None and X is not None:
            _refuse_repeats(rows, np.column_stack([check_rows(inner, "X"), check_rows(y, "y")]))


def _refuse_same_moments(trained: Moments, seen: Moments) -> None:
    if dict(trained.blocks) != dict(seen.blocks):
        return
    unit = _units(trained)
    old, new = _standard_moments(trained, unit), _standard_moments(seen, unit)
    same = (np.abs(new[:, None] - old[None]).max(axis=2) <= _SAME).any(axis=1)
    if same.any():
        raise ValueError(
            f"Environment {shown(seen.cells[int(np.argmax(same))])} is one of those that trained the rule; fresh ones "
            "are needed. Keep some environments out of the fit. (What training environments prove is said by "
            "InvariantSubsetSelector.certify.)"
        )


def _refuse_repeats(trained: Fingerprints, rows: FloatArray) -> None:
    """Raise for rows that trained the rule; warn where values are so coarse that chance repeats rows, too."""
    repeats = trained.repeats(rows)
    if repeats.found and repeats.beyond_chance and not repeats.coarse:
        raise ValueError(
            f"{repeats.found} of {repeats.of} rows are also rows that trained the rule (features and outcome); fresh "
            "ones are needed. Keep whole environments out of the fit, and certify by those."
        )
    if repeats.coarse and repeats.found > repeats.of / 2:
        warn(
            f"{repeats.found} of {repeats.of} rows have the same values as rows that trained the rule. Values this "
            "coarse repeat by chance, too, so it cannot be seen whether these environments are fresh: that is yours "
            "to know, and the certificate is void if they are not.",
            DegenerateInputWarning,
        )


def _standard_moments(moments: Moments, unit: FloatArray) -> FloatArray:
    """Means and covariances of (x, y) in these units, a row per environment."""
    mean = np.concatenate([moments.mean("x"), moments.mean("y")], axis=1) / unit
    cov = np.block([[moments.cov(a, b) for b in ("x", "y")] for a in ("x", "y")]) / np.outer(unit, unit)
    return np.concatenate([mean, cov.reshape(len(moments), -1)], axis=1)


# -- from training environments ------------------------------------------------------------------------------------


def certify_training(
    rule: Rule,
    moments: Moments,
    *,
    method: str,
    metric: str,
    gaps: FloatArray,
    class_size: float,
    eps: float | None = None,
    confidence_level: float = 0.95,
    family: InterventionFamily | None = None,
    baseline: Any = None,
    in_degree: int | None = None,
    environment_set: EnvironmentSet | None = None,
    new: Moments | None = None,
    plug_in: bool = False,
) -> InvarianceCertificate:
    """What the training environments prove of the rule that they chose; the body of ``selector.certify``."""
    exact = bool(np.isinf(moments.count).all())
    m = len(moments) - (baseline is not None)
    if baseline is not None and baseline not in moments.cells:
        raise ValueError(f"baseline={baseline!r} is not a training environment; they are {moments.cells.tolist()}.")
    _check_metric(method, metric)
    _check_claims(method, moments, family, baseline, plug_in)
    plugged = plug_in and not exact
    iid = "interventions, the baseline aside, are independent draws of one law, and fresh ones come from it, too"

    def finish(
        rule: Rule, numbers: dict[str, Any], eps: float, assumptions: Sequence[str], count: int = m
    ) -> InvarianceCertificate:
        return _certificate(
            rule,
            method=method,
            numbers=numbers,
            eps=eps,
            metric=metric,
            confidence_level=confidence_level,
            m=count,
            assumptions=assumptions,
            plugged=plugged,
        )

    if method == "beta_sites":
        assert family is not None
        refuse_other_sites(moments, family, baseline)
        declared = f"each environment adds variance at one of {family.n_sites} sites (declared by you)"
        return finish(
            rule,
            {"n_sites": family.n_sites},
            _at_least(eps, float(gaps.max())),
            [iid, declared, f"environment {baseline!r} is the baseline"],
        )
    if method == "vc":
        if family is None:
            raise ValueError("method='vc' needs family=, the declared kind of interventions and their sites.")
        if family.kind.startswith("weights") and in_degree is None:
            raise ValueError(f"method='vc' with kind={family.kind!r} needs in_degree, the most parents of a site.")
        dimension = vc_dimension(family.kind, family.n_sites, in_degree or 1)
        declared = f"interventions are of kind {family.kind!r} at {family.n_sites} sites (declared by you)"
        return finish(
            rule,
            {"vc_dimension": dimension},
            _at_least(eps, float(gaps.max())),
            [iid, declared, "no environment makes the features of the rule linearly dependent"],
        )
    if method == "scenario":
        best, level = minimax_rule(moments, rule.components, relative=metric == "relative_excess")
        made = Rule(rule.components, best[1:], float(best[0]))
        return finish(
            made,
            {"n_coefficients": made.size, "class_size": class_size},
            _at_least(eps, level),
            [
                iid,
                f"one of at most {class_size:.3g} sets was chosen; the rule on it is the minimax one, not the pooled",
            ],
        )
    if method == "box":
        reached, moved = _box(rule, moments, metric, eps, family=family, environment_set=environment_set)
        assert family is not None
        known = f"the model and its {family.n_sites} sites are known"
        return finish(rule, {"n_sites": family.n_sites}, reached, [iid, "interventions add variances", known], moved)
    if method == "hull":
        if new is None:
            raise ValueError("method='hull' needs new=, the moments of the environment that is asked about.")
        distance, _ = in_moment_hull(new, moments)
        tolerated = _at_least(eps, float(gaps.max()))
        own = invariance_gaps(new, rule.components, rule.coef, rule.intercept, metric=metric)  # type: ignore[arg-type]
        if distance.max() > _INSIDE or own.max() > tolerated * (1 + 1e-6) + _ROUNDING:
            raise ValueError(
                f"The moments of the new environment are {distance.max():.3g} (in standardised units) outside the "
                "convex hull of the training environments; the hull proves nothing about it."
            )
        return InvarianceCertificate(
            0.0,
            0.0,
            tolerated,
            metric,
            1.0,
            m,
            0,
            method,
            ("the moments of the new environment are a mixture of those in training",),
            tuple(rule.full.tolist()),
            rule.intercept,
            plugged,
        )
    raise ValueError(
        f"method must be 'beta_sites', 'box', 'scenario', 'vc' or 'hull' for training environments, got {method!r}; "
        "'holdout', 'union' and 'two_level' need fresh ones: causalinv.invariance.certify."
    )


def _box(
    rule: Rule,
    moments: Moments,
    metric: str,
    eps: float | None,
    *,
    family: InterventionFamily | None,
    environment_set: EnvironmentSet | None,
) -> tuple[float, int]:
    """Tolerance that holds on the whole box of magnitudes, and how many environments moved anything."""
    if family is None or environment_set is None or environment_set.theta is None:
        raise ValueError(
            "method='box' needs family= and environment_set=, the training environments with their magnitudes (theta) "
            "and their model."
        )
    if not family.is_affine:
        raise ValueError(f"method='box' is proved for added variances only, and kind={family.kind!r} is not affine.")
    theta = environment_set.theta
    _need_same(moments, environment_set.moments())
    corners = np.array(list(product(*[(0.0, float(w)) for w in theta.max(axis=0)])))
    vertices = environment_set.sem.environments(family.interventions(environment_set.sem, corners)).moments()
    gaps = invariance_gaps(vertices, rule.components, rule.coef, rule.intercept, metric=metric)  # type: ignore[arg-type]
    return _at_least(eps, float(gaps.max())), int(np.any(theta > 0, axis=1).sum())


def _need_same(trained: Moments, given: Moments) -> None:
    """Raise unless the exact moments that trained the rule are those of the environments given."""
    if not np.isinf(trained.count).all():
        return
    unit = _units(trained)
    same = dict(trained.blocks) == dict(given.blocks) and len(trained) == len(given)
    if not same or np.abs(_standard_moments(trained, unit) - _standard_moments(given, unit)).max() > _SAME:
        raise ValueError(
            "environment_set= does not have the moments that trained this rule: method='box' speaks of the training "
            "environments, so give the set that the selector was fitted to."
        )


def _units(moments: Moments) -> FloatArray:
    """Standard deviations of (x, y) over all environments; 1 where nothing varies."""
    unit = np.sqrt(np.r_[np.diag(moments.pooled.cov("x")[0]), np.diag(moments.pooled.cov("y")[0])])
    unit[unit == 0] = 1.0
    return unit


def _at_least(eps: float | None, reached: float) -> float:
    """The tolerance: what was reached, up to rounding, or a wider one."""
    if eps is None:
        return max(reached, _ROUNDING)
    if not np.isfinite(check_number(eps, "eps", low=0.0)):
        raise ValueError(f"eps must be finite, got {eps}: every rule has a gap of at most that.")
    if eps < reached * (1 - 1e-9):
        raise ValueError(
            f"eps={eps:g} is below the gap {reached:.4g} that the rule has in training; a rule that violates there has "
            "no certificate. Leave eps out to get the smallest."
        )
    return eps


def _check_claims(
    method: str, moments: Moments, family: InterventionFamily | None, baseline: Any, plug_in: bool
) -> None:
    """Raise if what the method needs is not declared, or what is declared is refuted; warn if it is doubtful."""
    exact = moments.is_population
    if method != "box":
        need_exact(method, exact, plug_in)
    if method == "beta_sites":
        need_single_site(family, baseline)
    if family is not None:
        compare_family(moments, family, baseline, exact=exact)
    suspect_target(moments)


def _check_metric(method: str, metric: str) -> None:
    allowed = {"beta_sites": CONVEX, "box": CONVEX, "hull": CONVEX, "vc": CONVEX[:2], "scenario": CONVEX[:2]}
    if method in allowed and metric not in allowed[method]:
        raise ValueError(
            f"{method} is not proved for metric={metric!r} (its sublevel sets need not be convex in the moments); "
            f"licensed: {', '.join(allowed[method])}."
        )


def _certificate(
    rule: Rule,
    *,
    method: str,
    numbers: dict[str, Any],
    eps: float,
    metric: str,
    confidence_level: float,
    m: int,
    assumptions: Sequence[str],
    plugged: bool,
    failed: int = 0,
) -> InvarianceCertificate:
    fixed = method in ("holdout", "two_level")  # one rule and one tolerance have one probability, and no mean of it
    return InvarianceCertificate(
        violation_bound(m, confidence_level=confidence_level, method=method, **numbers),  # type: ignore[arg-type]
        float("nan") if fixed else expected_violation(m, method=method, **numbers),  # type: ignore[arg-type]
        float(eps),
        metric,
        float(confidence_level),
        m,
        int(numbers.get("violations", 0)),
        method,
        tuple(assumptions),
        tuple(rule.full.tolist()),
        rule.intercept,
        plugged,
        tuple((name, float(value)) for name, value in numbers.items() if name != "violations"),
        failed,
    )
