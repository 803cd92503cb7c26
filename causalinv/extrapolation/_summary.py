"""A fit on one screen: what was learnt, what its checks say in words, and what predictions rest on."""

from __future__ import annotations

import pandas as pd

from causalinv._printing import Summary
from causalinv.extrapolation._curve import ASSUMPTION, ESTIMAND
from causalinv.extrapolation._doubts import MEANINGS
from causalinv.extrapolation._fitted import Fitted
from causalinv.extrapolation._support import one_sided, why_withheld

__all__ = ["summarise"]


def summarise(fitted: Fitted, checks: pd.DataFrame, *, reduced: bool) -> Summary:
    """The summary of a fit, from its checks as a table."""
    n, k = fitted.tried.given.shape
    method = fitted.public("method_")
    learnt = "the state is X itself" if isinstance(fitted.encoder, str) else "the state is learnt from X"
    notes = [
        f"{n} rows, {k} column(s) of the action, {fitted.phi.shape[1]} coordinate(s) of the state; {learnt}"
        + ("" if method is None else f" (method {method})"),
        "value: sum of squared correlations (no unit), less what chance makes of it; about 0 if the assumptions hold",
    ]
    for name, row in checks.iterrows():
        squared, broken = MEANINGS[str(name)]
        reading = "doubt: " + broken if row["doubt"] else "no doubt, which is no proof"
        if pd.isna(row["value"]):
            reading = "not checked: these actions, or noise like this, do not allow it"
        notes.append(f"{name}, sum of {squared}: {reading}")
    evidence = fitted.public("noise_evidence_")
    if evidence is not None:
        told = (
            "the state's own noise V does not look Gaussian: less is certain beyond the tried actions"
            if evidence > 1
            else "not checked: no law of V could be fitted to rows of so few values"
            if pd.isna(evidence)
            else "no doubt"
        )
        notes.append(f"noise_evidence {evidence:.2f} (doubt above 1): {told}")
    if one_sided(fitted):
        notes.append(f"numbers beyond the tried actions are withheld: {why_withheld(fitted)}")
    if reduced:
        notes.append(
            "X holds more than the representation: the mean under do(A = a) needs Gaussian noise of the state; "
            "predict refuses"
        )
    notes.append("untried actions: see support(actions); do_curve(actions) for bands; diagnostics() for slower checks")
    doubts, made = int(checks["doubt"].sum()), int(checks["value"].notna().sum())
    told = f"{doubts or 'no'} doubt{'' if doubts == 1 else 's'}"
    title = f"Extrapolation to untried actions: {made} of {len(checks)} checks made, {told}"
    said = ["not made" if pd.isna(row["value"]) else "yes" if row["doubt"] else "no" for _, row in checks.iterrows()]
    return Summary(title, ESTIMAND, ASSUMPTION, checks.assign(doubt=said), tuple(notes))
