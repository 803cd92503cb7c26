"""The summary of a fitted IV-like regression: what was assumed, by whom, and what least squares says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causalinv.ivlike._checks import varying_features
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._identification import fixed_by_declaration, named_coefficients
from causalinv.ivlike._intervals import controls_frame, errors_at, unseen_note
from causalinv.ivlike._reading import ControlSlopes
from causalinv.ivlike._small_samples import Errors
from causalinv.ivlike._structural import head_of, method_name
from causalinv.results import Summary

__all__ = ["summary"]

_LEVEL = 0.95
_KINDS = {
    "misspecified": "misspecified: right also where instruments disagree",
    "HCK": "HCK: right also for unequal errors, few rows and many columns",
}


def summary(fit: Fit) -> Summary:
    """Coefficients beside those of least squares, in the order of the columns."""
    errors, reason = _errors(fit)
    table = pd.DataFrame({"estimate": fit.coef.T.ravel()}, index=fit.index)
    if errors is not None:
        width = errors.critical(_LEVEL) * errors.standard
        table["s.e."] = errors.standard.ravel()
        table["lower"] = (fit.coef.T - width).ravel()
        table["upper"] = (fit.coef.T + width).ravel()
        table["p"] = errors.pvalues(fit.coef.T).ravel()
    table["least squares"] = fit.least_squares.T.ravel()
    if fit.slopes is not None:
        table = pd.concat([table, _of_controls(fit, fit.slopes, with_errors=errors is not None)])
    head = head_of(fit)
    return Summary(
        title="\n".join(
            [
                f"Change of {_outcome(fit)} per unit of each feature, others held fixed",
                f"{method_name(fit)}, {_size(fit)}, {_strength(fit)}",
                *head,
            ]
        ),
        estimand="the effect, plus the confounding that the assumption below leaves in",
        assumption=fit.design.knowledge.assumption(fit.path.n_instruments_effective),
        table=table,
        notes=_notes(fit, errors, reason, headed=bool(head)),
    )


def _of_controls(fit: Fit, slopes: ControlSlopes, *, with_errors: bool) -> pd.DataFrame:
    """Rows of the controls, for the same table."""
    own, reference = slopes.coef(fit.coef).T.ravel(), slopes.coef(fit.least_squares).T.ravel()
    names = pd.Index(slopes.names or [f"c{i}" for i in range(len(slopes.mean))], name="feature")
    if not fit.single_output:
        names = pd.MultiIndex.from_product([fit.outcomes, names], names=fit.index.names)
    table = pd.DataFrame({"estimate": own}, index=names)
    if with_errors:
        frame = controls_frame(fit, cov_type="auto", confidence_level=_LEVEL)
        for column in ("s.e.", "lower", "upper", "p"):
            table[column] = frame[column].to_numpy()
    return table.assign(**{"least squares": reference})


def _errors(fit: Fit) -> tuple[Errors | None, str]:
    """Standard errors, or why there are none."""
    try:
        return errors_at(fit, None, "auto"), ""
    except ValueError as reason:
        return None, str(reason)


def _outcome(fit: Fit) -> str:
    names = fit.reading.moments.names["y"]
    return "y" if names is None else ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")


def _size(fit: Fit) -> str:
    design = fit.design
    if not isinstance(design, RowDesign):
        count = float(fit.reading.moments.count.sum())
        return "population moments" if np.isinf(count) else f"n={count:g}"
    clusters = "" if design.groups is None else f" in {design.n_units} groups"
    return f"n={len(design.y)}{clusters}"


def _strength(fit: Fit) -> str:
    if np.isnan(fit.alpha):
        return f"alpha from the posterior (mean gamma={fit.strength.gamma:.3g})"
    if method_name(fit) != "IV-like regression":
        return f"kappa={1.0 / (1.0 + fit.alpha):.6g}"
    if fit.reading.whole:
        return f"alpha={fit.alpha:g}, the whole reaction penalised"
    return f"alpha={fit.alpha:g} (gamma={fit.strength.gamma:g}, kappa={1.0 / (1.0 + fit.alpha):.3g})"


def _notes(fit: Fit, errors: Errors | None, reason: str, *, headed: bool) -> tuple[str, ...]:
    notes = []
    if errors is not None:
        weights = ""
        if isinstance(fit.design, RowDesign) and fit.design.weight is not None:
            weights = " Weights are sampling weights: how many units of the population a row stands for."
        notes.append(
            f"s.e. ({_KINDS.get(errors.kind, errors.kind)}), {_LEVEL:.0%} intervals and p are about what this fit "
            "tends to as rows grow: the effect with the confounding left in. confint(kind='identified') gives "
            f"intervals for the effect alone, or says why not.{weights}"
        )
        if (errors.df == 0).any():
            clustered = isinstance(fit.design, RowDesign) and fit.design.groups is not None
            notes.append(unseen_note(int((errors.df == 0).sum()), errors.df.size, clustered))
    elif reason:
        notes.append(reason)
    if fit.strength.at_edge:
        notes.append(
            "The chosen alpha is at the edge of the strengths that were tried: widen the grid, or doubt the rule."
        )
    fixed = fixed_by_declaration(fit, fit.alpha)
    if fixed.any():
        notes.append(f"Known from what you declared, so without a standard error: {named_coefficients(fit, fixed)}.")
    if fit.design.knowledge.augmentation is not None:
        notes.append(
            "Where estimates differ from least squares, confounding was removed, or an adjustment lost (for a proxy "
            "of the confounder). The data cannot tell which."
        )
        if fit.averages:
            notes.append(
                "These features are averages over all moves of a group, so every alpha gives these coefficients."
            )
    if not headed and fit.relevance is not None and len(fit.relevance.partial_f):
        notes.append(fit.design.knowledge.relevance_note(fit.relevance))
    if fit.slopes is not None:
        count = len(fit.slopes.mean) * fit.coef.shape[1]
        notes.append("the last row is a control." if count == 1 else f"the last {count} rows are controls.")
    varying, rank = varying_features(fit.reading.stage, fit.ridge), fit.path.basis.shape[1]
    if rank < varying:
        notes.append(
            f"Features are dependent ({varying} that vary, rank {rank}): coefficients that share what they explain "
            "are a convention, of least norm, and so are their intervals."
        )
    constant = np.diagonal(fit.reading.moments.cov("x")[0]) == 0
    if constant.any():
        notes.append(f"Constant features: {int(constant.sum())}.")
    return tuple(notes)
