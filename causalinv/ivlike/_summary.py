"""The summary of a fitted IV-like regression: what was assumed, by whom, and what least squares says."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._identification import fixed_by_declaration, named_coefficients
from causalinv.ivlike._intervals import errors_at
from causalinv.ivlike._reading import ControlSlopes
from causalinv.ivlike._structural import controls_frame, head_of, method_name
from causalinv.results import Summary

__all__ = ["summary"]


def summary(fit: Fit) -> Summary:
    """Coefficients beside those of least squares, in the order of the columns."""
    errors, reason = _standard_errors(fit)
    table = pd.DataFrame({"IVL": fit.coef.T.ravel()}, index=fit.index)
    if errors is not None:
        table["s.e."] = errors.ravel()
    table["least squares"] = fit.least_squares.T.ravel()
    table["difference"] = table["IVL"] - table["least squares"]
    if fit.slopes is not None and fit.single_output:
        table = pd.concat([table, _of_controls(fit, fit.slopes, with_errors=errors is not None)])
    if np.isnan(fit.alpha):
        strength = f"alpha from the posterior (mean gamma={fit.strength.gamma:.3g})"
    elif fit.reading.whole:
        strength = f"alpha={fit.alpha:g}, the whole reaction penalised"
    else:
        strength = f"alpha={fit.alpha:g} (gamma={fit.strength.gamma:g}, kappa={1.0 / (1.0 + fit.alpha):.5g})"
    head = head_of(fit)
    return Summary(
        title="\n".join([f"{method_name(fit)}, {strength}", *head]),
        estimand="linear effect of the features on the outcome, up to confounding that the assumption leaves",
        assumption=fit.design.knowledge.assumption(fit.path.n_instruments_effective),
        table=table,
        notes=_notes(fit, errors, reason, headed=bool(head)),
    )


def _of_controls(fit: Fit, slopes: ControlSlopes, *, with_errors: bool) -> pd.DataFrame:
    """Rows of the controls, for the same table."""
    own, reference = slopes.coef(fit.coef)[:, 0], slopes.coef(fit.least_squares)[:, 0]
    names = slopes.names or tuple(f"c{i}" for i in range(len(own)))
    table = pd.DataFrame({"IVL": own}, index=pd.Index(names, name="feature"))
    if with_errors:
        frame = controls_frame(fit, cov_type="misspecified", confidence_level=0.95)
        table["s.e."] = frame["s.e."].to_numpy()
    return table.assign(**{"least squares": reference, "difference": own - reference})


def _standard_errors(fit: Fit) -> tuple[FloatArray | None, str]:
    """Standard errors (p, d), or why there are none."""
    try:
        found = errors_at(fit, None, "auto")
    except ValueError as reason:
        return None, str(reason)
    return np.sqrt(np.diagonal(found.cov, axis1=1, axis2=2)), ""


def _notes(fit: Fit, errors: FloatArray | None, reason: str, *, headed: bool) -> tuple[str, ...]:
    notes = []
    if errors is not None:
        notes.append(
            "s.e. are about the limit of the fit at this alpha, not about the causal effect; see confint(kind=...)."
        )
    elif reason:
        notes.append(reason)
    fixed = fixed_by_declaration(fit, fit.alpha)
    if fixed.any():
        notes.append(f"fixed by the declaration, without error: {named_coefficients(fit, fixed)}.")
    if fit.design.knowledge.augmentation is not None:
        notes.append(
            "where the two columns differ, either confounding along ignored directions was removed, or a proxy of the "
            "confounder that least squares adjusted for was lost. The data cannot tell which."
        )
        if fit.averages:
            notes.append("averaged exactly over a group: every alpha gives these coefficients.")
    if not headed and fit.relevance is not None and len(fit.relevance.partial_f):
        notes.append(fit.design.knowledge.relevance_note(fit.relevance))
    if fit.slopes is not None and fit.single_output:
        notes.append(f"the last {len(fit.slopes.mean)} rows are controls.")
    constant = np.diagonal(fit.reading.moments.cov("x")[0]) == 0
    if constant.any():
        notes.append(f"{int(constant.sum())} features are constant.")
    return tuple(notes)
