"""Standard errors and intervals of coefficients, contrasts and predictions, and what may be said they cover."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from causalinv._frames import column_names
from causalinv._printing import percent
from causalinv._typing import ArrayLike, BoolArray, FloatArray
from causalinv._validation import check_choice, check_confidence_level, check_numbers
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._controls import Controlled
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._identification import check_identified
from causalinv.ivlike._inference import Influence, coefficient_influence, with_controls, with_mean
from causalinv.ivlike._kclass_rules import KClass
from causalinv.ivlike._knowledge import GenuineInstruments
from causalinv.ivlike._small_samples import COV_TYPES, CovType, Errors, errors_of, unseen_combinations
from causalinv.ivlike._structural import classical_errors, is_structural, kclass_rows, textbook_rows

__all__ = [
    "check_contrast",
    "combination_table",
    "confint",
    "controls_frame",
    "covariance",
    "errors_at",
    "influence_at",
    "unseen_at",
    "unseen_note",
    "warn_unseen",
]

_TEXTBOOK = ("classical", "HC1", "wild", "bootstrap")  # errors that take instruments as valid, each of them
_FEW = 5.0  # degrees of freedom of clusters: below, no correction is to be relied on
_UNEVEN = 10.0 / 3.0  # those of unequal sums of clusters, a third of their number if they are alike


def covariance(fit: Fit, at: float | None, cov_type: CovType, *, intercept: bool, across: bool) -> FloatArray:
    """Covariance (k, k), (p, k, k) of several outcomes, or (p k, p k) across them; k = d, or d + 1 with intercept."""
    combine = _coefficients(fit)
    if intercept:
        combine = np.vstack([np.r_[1.0, -fit.reading.moments.mean("x")[0]], combine])
    if not across:
        found = errors_at(fit, at, cov_type, combine)
        warn_unseen(fit, found.df == 0)
        cov = found.cov
        return cov[0] if fit.single_output else cov
    if cov_type not in ("auto", "HC1"):
        raise ValueError(f"across=True has the influence of rows only, cov_type='HC1'; got {cov_type!r}.")
    influence = _combined(fit, at, combine, textbook=cov_type == "HC1" and is_structural(fit, at))
    n, m, p = influence.rows.shape
    rows = np.swapaxes(influence.rows, 1, 2).reshape(n, p * m, 1)
    return Influence(rows, influence.groups, influence.rank).covariance()[0]


def confint(fit: Fit, *, kind: str, at: float | None, cov_type: CovType, confidence_level: float) -> pd.DataFrame:
    """Intervals under a head that says what they cover."""
    level = check_confidence_level(confidence_level)
    check_choice(kind, "kind", ("pseudo_true", "identified", "selected"))
    strength, coef = fit.coef_at(at)
    left_open = np.zeros(len(coef), bool)
    if kind == "identified":
        left_open = ~check_identified(fit, 0.0 if at is None and fit.rule.to_zero else strength, coef)
    found = errors_at(fit, at, cov_type)
    _warn_few_clusters(fit, found, cov_type)
    width = found.critical(level) * found.standard
    width[:, left_open] = np.nan
    centre, width = coef.T.ravel(), width.ravel()
    frame = pd.DataFrame({"lower": centre - width, "upper": centre + width}, index=fit.index)
    covers = f"limit of the fit at alpha={strength:g}, remaining confounding included"
    if kind == "identified":
        covers = f"causal effect if {fit.design.knowledge.causal_if()}"
    if at is None and fit.rule.from_data:
        covers += ", alpha taken as chosen"
    return frame.rename_axis(columns=f"{percent(level)}: {covers}")


def combination_table(
    fit: Fit, combine: FloatArray, index: Any, *, at: float | None, cov_type: CovType, confidence_level: float
) -> pd.DataFrame:
    """Estimate, error, interval and p value of combinations of the mean of y and the coefficients.

    `combine` has shape (m, 1 + d), or (m, 1 + d + c) with the coefficients of c controls last.
    """
    level = check_confidence_level(confidence_level)
    _, coef = fit.coef_at(at)
    found = errors_at(fit, at, cov_type, combine)
    _warn_few_clusters(fit, found, cov_type)
    moments = fit.reading.moments
    if combine.shape[1] > 1 + len(coef) and fit.slopes is not None:
        coef = np.vstack([coef, fit.slopes.coef(coef)])
    estimate = (combine[:, :1] * moments.mean("y")[0] + combine[:, 1:] @ coef).T
    width = found.critical(level) * found.standard
    columns = {
        "estimate": estimate,
        "s.e.": found.standard,
        "lower": estimate - width,
        "upper": estimate + width,
        "p": found.pvalues(estimate),
    }
    rows = pd.Index(index)
    if not fit.single_output:
        rows = pd.MultiIndex.from_product([fit.outcomes, rows], names=["outcome", rows.name])
    frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=rows)
    return frame.rename_axis(columns=f"{percent(level)}, {found.kind}")


def influence_at(fit: Fit, at: float | None = None, *, textbook: bool = False) -> Influence:
    """Influence of every row on the coefficients, at the strength of the fit or another.

    `textbook` takes the instruments of a structural fit (`is_structural`) as valid, each of them.
    """
    design, reading = fit.read_again()
    alpha, coef = fit.coef_at(at)
    if np.isnan(alpha):
        raise ValueError(
            "alpha='eb' mixes many strengths, for which there is no covariance formula here; use bootstrap()."
        )
    if at is not None and alpha == 0:
        fit.check_limit()
    if textbook:
        influence = textbook_rows(fit, at)
    elif at is None and isinstance(fit.rule, KClass):
        influence = kclass_rows(fit)
    else:
        strength = 0.0 if fit.averages else alpha
        influence = coefficient_influence(design, reading, fit.path, strength, coef, ridge=fit.ridge)
    if influence.df < 1 or len(influence.rows) <= influence.rank:
        raise ValueError(
            f"No standard errors: {len(influence.rows)} rows (copies of one count once) for {influence.rank} "
            "coefficients leave no degrees of freedom."
        )
    return influence


def errors_at(fit: Fit, at: float | None, cov_type: CovType, combine: FloatArray | None = None) -> Errors:
    """Errors of the coefficients, or of combinations (m, 1 + d), at the strength of the fit or another."""
    check_choice(cov_type, "cov_type", COV_TYPES)
    genuine = isinstance(fit.design.knowledge, GenuineInstruments)
    if cov_type == "misspecified" and not genuine:
        raise ValueError("cov_type='misspecified' is for instruments that may disagree; here there are none.")
    combine = _coefficients(fit) if combine is None else combine
    few, plain = True, combine.shape[1] == 1 + len(fit.coef)
    if np.any(combine[:, 0]) and fit.slopes is not None and plain:
        raise ValueError(
            "The intercept's error is not available with controls=: it is that of predict_confint at zero features and "
            "controls."
        )
    textbook = is_structural(fit, at) and cov_type in _TEXTBOOK
    if textbook and cov_type == "classical":
        return classical_errors(fit, at, combine)
    influence = _combined(fit, at, combine, textbook=textbook)
    alpha, coef = fit.coef_at(at)
    if fit.ridge > 0:
        few = False
        if cov_type not in ("auto", "HC1"):
            raise ValueError(f"cov_type={cov_type!r} needs a fit without ridge, got ridge={fit.ridge:g}.")
    found = errors_of(
        fit.rows(),
        fit.reading,
        fit.path,
        0.0 if fit.averages else alpha,
        coef,
        combine=combine,
        influence=influence,
        cov_type=cov_type,
        few=few,
    )
    surplus = genuine and not textbook and len(fit.reading.stage.factor) > fit.path.basis.shape[1]
    return replace(found, kind="misspecified") if surplus and found.kind in ("HC1", "CR1") else found


def unseen_at(fit: Fit, at: float | None = None) -> BoolArray:
    """Coefficients (d,) that rest on one row or cluster, whose error no influence of rows shows; warns if any do."""
    design, alpha = fit.rows(), fit.coef_at(at)[0]
    if fit.ridge > 0 or np.isnan(alpha):
        return np.zeros(len(fit.coef), bool)
    alpha = 0.0 if fit.averages else alpha
    return unseen_combinations(design, fit.reading, fit.path, alpha, _coefficients(fit))


def warn_unseen(fit: Fit, unseen: BoolArray) -> None:
    """Say how many of some numbers have no interval, as they rest on one row or cluster."""
    if unseen.any():
        warn(unseen_note(int(unseen.sum()), unseen.size, fit.rows().groups is not None), DegenerateInputWarning)


def _coefficients(fit: Fit) -> FloatArray:
    return np.eye(len(fit.coef) + 1)[1:]


def _combined(fit: Fit, at: float | None, combine: FloatArray, *, textbook: bool) -> Influence:
    """Influence of every row on combinations of the mean of y and the coefficients."""
    influence = influence_at(fit, at, textbook=textbook)
    if np.any(combine[:, 0]) or combine.shape[1] > 1 + len(fit.coef):
        design, coef = fit.rows(), fit.coef_at(at)[1]
        if isinstance(design, Controlled) and fit.slopes is not None:
            influence = with_controls(design, fit.reading, fit.slopes, coef, influence)
        else:
            influence = with_mean(design, fit.reading, coef, influence)
        rows = np.einsum("mk,nkp->nmp", combine, influence.rows, optimize=True)
    else:
        rows = np.einsum("mk,nkp->nmp", combine[:, 1:], influence.rows, optimize=True)
    return Influence(rows, influence.groups, influence.rank)


def _warn_few_clusters(fit: Fit, found: Errors, cov_type: CovType) -> None:
    groups = fit.rows().groups
    least = float(found.df[found.df > 0].min(initial=np.inf))
    warn_unseen(fit, found.df == 0)
    if groups is not None and least < (_UNEVEN if cov_type == "auto" and found.kind not in ("CR2", "CR3") else _FEW):
        warn(
            f"Few or uneven clusters: {int(groups.max()) + 1} groups leave {least:.1f} degrees of freedom "
            "for the least certain coefficient. Intervals are rough there; more groups of similar size would help.",
            DegenerateInputWarning,
        )


def unseen_note(count: int, of: int, clustered: bool) -> str:
    """What is said where a combination rests on one row or cluster."""
    unit = "group" if clustered else "row"
    return (
        f"{count} of {of} intervals are left out: those numbers rest on a single "
        f"{unit}, such as the only treated {unit}, which is fitted exactly, so no residual shows its error."
    )


def controls_frame(fit: Fit, *, cov_type: CovType, confidence_level: float) -> pd.DataFrame:
    """Coefficients of the controls with standard errors and intervals."""
    if fit.slopes is None:
        raise ValueError("The model was fitted without controls.")
    d, c = fit.slopes.of_x.shape[1], len(fit.slopes.mean)
    combine = np.column_stack([np.zeros((c, 1 + d)), np.eye(c)])
    names = pd.Index(fit.slopes.names or tuple(f"c{i}" for i in range(c)), name="control")
    frame = combination_table(fit, combine, names, at=None, cov_type=cov_type, confidence_level=confidence_level)
    return frame.rename(columns={"estimate": "coef"})


def check_contrast(fit: Fit, weights: ArrayLike) -> tuple[FloatArray, pd.Index]:
    """Weights (m, d) of the coefficients, and the labels of the combinations."""
    values = check_numbers(weights, "weights")
    index = weights.index if isinstance(weights, pd.DataFrame) else None
    named = tuple(weights.index) if isinstance(weights, pd.Series) else column_names(weights)
    values = np.atleast_2d(values)
    if values.ndim != 2 or values.shape[1] != len(fit.coef):
        raise ValueError(
            f"weights must have shape (d,) or (m, d) with d = {len(fit.coef)} coefficients, got {values.shape}."
        )
    if named and list(named) != fit.names and all(isinstance(name, str) for name in named):
        raise ValueError(f"weights name {list(named)}, but the features are {fit.names}; put them in that order.")
    return values, pd.RangeIndex(len(values), name="contrast") if index is None else index
