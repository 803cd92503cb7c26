"""What fitted estimators of this room say of themselves: tables by environment, and what they rest on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from causalinv._printing import counted, rough_percent
from causalinv._typing import FloatArray
from causalinv.invariance._linear import names_of
from causalinv.results import Summary

__all__ = ["summarise_icp", "summarise_inference", "summarise_representation", "summarise_selector"]

#: What the column `gap` holds.
_GAPS = {
    "relative_excess": "gap: by what share its error exceeds that of the best linear rule on the same features in that "
    "environment alone (0.02 is 2% more).",
    "excess": "gap: by how much its error exceeds that of the best linear rule on the same features in that "
    "environment alone, squared units of the outcome.",
}
_OBJECTIVES = {
    "pooled_risk": "mean squared error over all rows",
    "worst_risk": "mean squared error in its worst environment",
    "left_out_risk": "mean squared error in the worst environment, fitted to the others",
}


def summarise_selector(model: Any) -> Summary:
    """Risks by environment beside plain least squares, what was chosen, and what it rests on."""
    table = _by_environment(
        model,
        {
            "risk": model.risk_env_,
            "risk, fitted elsewhere": model.left_out_risk_,
            "least squares on all": model.least_squares_risk_env_,
            "the same, fitted elsewhere": model.least_squares_left_out_risk_,
        },
    )
    chosen = ", ".join(map(str, model.get_feature_names_out())) or "no feature"
    notes = [_told(model), _GAPS.get(model.metric, f"gap: {model.metric}")]
    if np.isfinite(model.gap_upper_) and np.isfinite(model.moments_.count).all():
        notes.append(
            f"{100 * (1 - model.level):g}% sure, whichever set was chosen, for Gaussian data: fitted to the "
            "other environments, "
            "the rule's error in each exceeds that of the best rule on the same features by at most "
            f"{rough_percent(model.gap_upper_)}."
        )
    if model.averaging and model.accepted_:
        notes.insert(
            0,
            f"The rule, its risk and gap are of an average over {counted(len(model.invariant_sets_), 'accepted set')}; "
            "the title, and the errors fitted elsewhere, are of the best one.",
        )
    if not model.accepted_:
        notes.insert(0, "NO set was accepted; this is the one of smallest gap.")
    if model.screened_out_.any():
        notes.append(
            f"Screened out before the search: {counted(int(model.screened_out_.sum()), 'feature')}; that causes of "
            f"{_outcome(model)} are not among them rests on faithfulness (no path cancels another)."
        )
    how = (
        f"test {_test_named(model.test)} at level {model.level:g}"
        if model.eps is None
        else f"{model.metric} <= {model.eps:g}"
    )
    accepted = f"{len(model.accepted_sets_packed_)} of {counted(model.n_evaluated_, 'set')} accepted"
    title = f"Invariant subset: {chosen}" if model.accepted_ else f"No invariant subset; of smallest gap: {chosen}"
    return Summary(
        title=f"{title} ({accepted})",
        estimand=f"mean squared error (squared units of {_outcome(model)}) of the chosen rule in each environment; "
        f"chosen: the least {_OBJECTIVES[model.objective]} among sets of features that count as invariant by {how}",
        assumption="new environments change what these changed, and never the outcome's own mechanism",
        table=table,
        notes=tuple(notes),
    )


def _by_environment(model: Any, risks: dict[str, FloatArray]) -> pd.DataFrame:
    """Rows, risks and gap of each environment."""
    columns = {"rows": model.moments_.count, **risks, "gap": model.gaps_}
    return pd.DataFrame(columns, index=pd.Index(model.environments_, name="environment"))


def summarise_representation(model: Any) -> Summary:
    """Risks by environment beside plain least squares, and what the rule rests on."""
    table = _by_environment(
        model, {"risk": model.risk_env_, "risk, least squares on all": model.least_squares_risk_env_}
    )
    return Summary(
        title=f"Invariant representation: {counted(len(model.components_), 'combination')} of "
        f"{counted(model.n_features_in_, 'feature')} (method {model.method})",
        estimand=f"mean squared error (squared units of {_outcome(model)}), in each environment, of "
        + (
            "the best linear rule whose errors have the same mean, and the same covariance with each feature, in all"
            if model.method == "neutral"
            else "the best rule on few combinations of features whose coefficients are the same in all"
        ),
        assumption="new environments change what these changed, and never the outcome's own mechanism",
        table=table,
        notes=(
            _told(model),
            _GAPS["relative_excess"].replace("features", "representation"),
            _differ(model),
            f"Effective dimension of the representation: {model.effective_dimension_:.3g} of {len(model.components_)}.",
            f"Environments move it by {model.moved_by_environment_:.3g} of the distance between two rows, or more.",
        ),
    )


def _differ(model: Any) -> str:
    """In how many directions environments differ, and who says so."""
    found = counted(model.n_directions_, "direction")
    if model.n_directions is not None:
        return f"Said by you: the environments differ in {found}."
    if model.moments_.is_population:
        return f"The environments differ in {found}."
    law = " of Gaussian rows" if model._training_rows is None and model.noise_edge_ > 0 else ""
    return f"The environments differ in {found} by more than sampling noise{law}."


def summarise_inference(model: Any, found: Any, scale: FloatArray, level: float, kind: str) -> Summary:
    """Intervals of the coefficients of a neutral rule."""
    names = names_of(model) or tuple(f"x{j}" for j in range(len(scale)))
    table = pd.DataFrame(
        {
            "rule": model.coef_,
            "estimate": found.coef * scale,
            "std_error": found.std_error * scale,
            "pvalue": found.pvalue,
            "lower": found.interval[:, 0] * scale,
            "upper": found.interval[:, 1] * scale,
        },
        index=pd.Index(names, name="feature"),
    )
    return Summary(
        title=f"Coefficients of the neutral rule, {100 * level:g}% intervals ({kind})",
        estimand=f"change of {_outcome(model)} per unit of each feature, in the rule whose error has the same mean, "
        "and the same covariance with each feature, in all environments",
        assumption="no environment changes the outcome's own mechanism or the hidden causes; the outcome is linear; "
        "many rows",
        table=table,
        notes=(
            f"Hypothesis that one rule fits all environments: p = {found.fit_pvalue:.3g} (small: none does).",
            f"Hypothesis that some coefficient is left open by these environments: p = {found.strength_pvalue:.3g} "
            "(large: Wald's intervals may miss).",
        ),
    )


def summarise_icp(model: Any) -> Summary:
    """Causes that are named, per feature interval and p-value, and what it rests on."""
    names = names_of(model) or tuple(f"x{j}" for j in range(model.n_features_in_))
    named, outcome = model.estimate_ or (), _outcome(model)
    table = pd.DataFrame(
        {
            "cause": ["yes" if j in named else "not shown" for j in range(len(names))],
            "pvalue": model.pvalues_,
            "lower": model.conf_int_[:, 0],
            "upper": model.conf_int_[:, 1],
            "coefficient": model.coef_,
        },
        index=pd.Index(names, name="feature"),
    )
    told = ", ".join(names[j] for j in named) or "none is shown to be one"
    tested = len(model.sets_)
    notes = [
        f"{len(model.accepted_sets_)} of {counted(tested, 'set')} accepted by test={_test_named(model.test)} at level "
        f"{model.level:g}; what is in all of them is named a cause.",
        f"Mean squared error by environment (squared units of {outcome}): "
        + ", ".join(f"{label}: {risk:.4g}" for label, risk in zip(model.environments_, model.risk_env_, strict=True)),
    ]
    wider = int((~(model.sets_["pvalue"] <= model.level / 2)).sum())
    if model.test != "residual" and wider > len(model.accepted_sets_):
        notes.append(
            f"Intervals cover the {wider} sets with p above {model.level / 2:g}, so that they miss at most "
            f"{model.level:g}; such an interval may hold 0 for a cause that is named."
        )
    logistic = model.test == "logistic"
    if logistic:
        notes.append(
            f"lower and upper are log odds; coefficient and error are of a linear regression, in units of {outcome}."
        )
    if not model.accepted_:
        notes.insert(0, "NO set was accepted: the model behind this method is wrong for these data.")
    return Summary(
        title=f"Causes of {outcome}: {told}",
        estimand=f"change of {outcome} per unit of each of its causes; intervals hold whichever accepted set is the "
        "true one",
        assumption=f"{'log odds of ' if logistic else ''}{outcome} linear in its causes, the same in every "
        f"environment; no hidden common cause of {outcome} and its causes",
        table=table,
        notes=tuple(notes),
    )


def _test_named(test: Any) -> str:
    return repr(test) if isinstance(test, str) else getattr(test, "__name__", type(test).__name__)


def _outcome(model: Any) -> str:
    """Name of the outcome."""
    names = model._training_moments.names["y"]
    return "y" if names is None else str(names[0])


def _told(model: Any) -> str:
    """The rule as a sentence."""
    names = names_of(model) or tuple(f"x{j}" for j in range(len(model.coef_)))
    terms = [f" {'-' if b < 0 else '+'} {abs(b):.4g} {name}" for name, b in zip(names, model.coef_, strict=True) if b]
    return f"Rule: {_outcome(model)} = {model.intercept_:.4g}{''.join(terms)}"
