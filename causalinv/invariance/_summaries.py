"""What fitted estimators of this room say of themselves: tables by environment, and what they rest on."""

from __future__ import annotations

from typing import Any

import pandas as pd

from causalinv.results import Summary

__all__ = ["summarise_representation", "summarise_selector"]


def summarise_selector(model: Any) -> Summary:
    """Risks by environment beside plain least squares, what was chosen, and what it rests on."""
    table = pd.DataFrame(
        {
            "rows": model.moments_.count,
            "risk": model.risk_env_,
            "risk, fitted elsewhere": model.left_out_risk_,
            "least squares on all": model.least_squares_risk_env_,
            "the same, fitted elsewhere": model.least_squares_left_out_risk_,
            "gap": model.gaps_,
        },
        index=pd.Index(model.environments_, name="environment"),
    )
    chosen = ", ".join(map(str, model.get_feature_names_out())) or "no feature"
    notes = [f"smallest relative excess that these data certify: {model.gap_upper_:.3g}"]
    if not model.accepted_:
        notes.insert(0, "NO set was accepted; this is the one of smallest gap.")
    if model.screened_out_.any():
        notes.append(f"{int(model.screened_out_.sum())} features were screened out before the search.")
    how = f"test {model.test!r} at level {model.level:g}" if model.eps is None else f"{model.metric} <= {model.eps:g}"
    accepted = f"{len(model.accepted_sets_packed_)} of {model.n_evaluated_} sets accepted"
    return Summary(
        title=f"Invariant subset: {chosen} ({accepted})",
        estimand=f"the rule of least {model.objective} among sets invariant by {how}",
        assumption="new environments change what these changed, and never the outcome's own mechanism",
        table=table,
        notes=tuple(notes),
    )


def summarise_representation(model: Any) -> Summary:
    """Risks by environment beside plain least squares, and what the rule rests on."""
    table = pd.DataFrame(
        {
            "rows": model.moments_.count,
            "risk": model.risk_env_,
            "risk, least squares on all": model.least_squares_risk_env_,
            "gap": model.gaps_,
        },
        index=pd.Index(model.environments_, name="environment"),
    )
    return Summary(
        title=f"Invariant representation, {model.method}: {len(model.components_)} of {model.n_features_in_} features",
        estimand="the least risky linear rule whose residual the changes between environments do not reach"
        if model.method == "neutral"
        else "least pooled risk with coefficients that do not move between environments",
        assumption="new environments move the same sites as these did, and never the outcome's own mechanism",
        table=table,
        notes=(f"{model.n_directions_} directions of change stand out of the sampling noise.",),
    )
