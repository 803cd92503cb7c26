"""What fitted estimators of this room say of themselves: tables by environment, and what they rest on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from causalinv._matrix import participation_ratio, singular_values
from causalinv._typing import FloatArray
from causalinv.invariance._linear import names_of
from causalinv.results import Summary

__all__ = ["summarise_icp", "summarise_inference", "summarise_representation", "summarise_selector"]


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
    notes = [_told(model), f"smallest relative excess that these data certify: {model.gap_upper_:.3g}"]
    if not model.accepted_:
        notes.insert(0, "NO set was accepted; this is the one of smallest gap.")
    if model.screened_out_.any():
        notes.append(
            f"{int(model.screened_out_.sum())} features were screened out before the search; that causes of y are not "
            "among them rests on faithfulness (no path cancels another)."
        )
    how = f"test {model.test!r} at level {model.level:g}" if model.eps is None else f"{model.metric} <= {model.eps:g}"
    accepted = f"{len(model.accepted_sets_packed_)} of {model.n_evaluated_} sets accepted"
    return Summary(
        title=f"Invariant subset: {chosen} ({accepted})",
        estimand=f"the rule of least {model.objective} among sets invariant by {how}",
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
        title=f"Invariant representation, {model.method}: {len(model.components_)} of {model.n_features_in_} features",
        estimand="the least risky linear rule whose residual the changes between environments do not reach"
        if model.method == "neutral"
        else "least pooled risk with coefficients that do not move between environments",
        assumption="new environments move the same sites as these did, and never the outcome's own mechanism",
        table=table,
        notes=(
            _told(model),
            f"{model.n_directions_} directions of change stand out of the sampling noise.",
            f"effective dimension of the representation: {_dimension(model):.3g} of {len(model.components_)}.",
        ),
    )


def _dimension(model: Any) -> float:
    """Participation ratio of the representation's covariance, all rows together."""
    cov = model.components_ @ model.moments_.pooled.cov("x")[0] @ model.components_.T
    return participation_ratio(singular_values(cov)[1])


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
        estimand="the rule whose residual has one mean, and one covariance with each feature, in all environments",
        assumption="no environment changes the outcome's own mechanism or the hidden causes; y linear; many rows",
        table=table,
        notes=(
            f"that one rule fits all environments: p = {found.fit_pvalue:.3g}",
            f"that some coefficient cannot be told at all: p = {found.strength_pvalue:.3g}",
        ),
    )


def summarise_icp(model: Any) -> Summary:
    """Causes that are named, per feature interval and p-value, and what it rests on."""
    names = names_of(model) or tuple(f"x{j}" for j in range(model.n_features_in_))
    named = model.estimate_ or ()
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
        f"{len(model.accepted_sets_)} of {tested} sets accepted by test={_test_named(model.test)} at level "
        f"{model.level:g}; a cause is in all of them.",
        "risk by environment (squared units of y): "
        + ", ".join(f"{label}: {risk:.4g}" for label, risk in zip(model.environments_, model.risk_env_, strict=True)),
    ]
    wider = int((~(model.sets_["pvalue"] <= model.level / 2)).sum())
    if model.test != "residual" and wider > len(model.accepted_sets_):
        notes.append(
            f"intervals cover the {wider} sets with p above {model.level / 2:g}, so that they miss at most "
            f"{model.level:g}; such an interval may hold 0 for a cause that is named."
        )
    logistic = model.test == "logistic"
    if logistic:
        notes.append("lower and upper are log odds; coefficient and risk are of a linear regression, in units of y.")
    if not model.accepted_:
        notes.insert(0, "NO set was accepted: the model behind this method is wrong for these data.")
    return Summary(
        title=f"Causes of y: {told}",
        estimand="coefficients of y on its causes; intervals hold whichever accepted set is the true one",
        assumption=f"{'log odds of ' if logistic else ''}y linear in its causes, the same in every environment; no "
        "hidden common cause of y and its causes",
        table=table,
        notes=tuple(notes),
    )


def _test_named(test: Any) -> str:
    return repr(test) if isinstance(test, str) else getattr(test, "__name__", type(test).__name__)


def _told(model: Any) -> str:
    """The rule as a sentence."""
    names = names_of(model) or tuple(f"x{j}" for j in range(len(model.coef_)))
    terms = [f"{b:+.4g} {name}" for name, b in zip(names, model.coef_, strict=True) if b]
    return f"rule: y = {model.intercept_:.4g} " + " ".join(terms)
