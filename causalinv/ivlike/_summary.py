"""The summary of a fitted IV-like regression: what was assumed, by whom, and what least squares says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray
from causalinv.results import Summary

__all__ = ["coefficient_index", "summarize"]


def coefficient_index(model: Any) -> pd.Index:
    """Names of the coefficients: features, or outcomes and features."""
    named = model._reading.moments.names["x"]
    names = list(named or (f"x{i}" for i in range(model.coef_.shape[-1])))
    if model.coef_.ndim == 1:
        return pd.Index(names, name="feature")
    return pd.MultiIndex.from_product([range(len(model.coef_)), names], names=["outcome", "feature"])


def summarize(model: Any, errors: FloatArray | None, reason: str) -> Summary:
    """Coefficients beside those of least squares, the rows that differ most first.

    Parameters
    ----------
    model : IVLikeRegression
        Fitted.
    errors : ndarray of shape (p, d) or None
        Standard errors.
    reason : str
        Why there are none.
    """
    table = pd.DataFrame({"IVL": model.coef_.ravel()}, index=coefficient_index(model))
    if errors is not None:
        table["s.e."] = errors.ravel()
    table["least squares"] = model.least_squares_coef_.ravel()
    table["difference"] = table["IVL"] - table["least squares"]
    order = table["difference"].abs().to_numpy().argsort(kind="stable")[::-1]
    if np.isnan(model.alpha_):
        strength = f"alpha from the posterior (mean gamma={model.gamma_:.3g})"
    else:
        strength = f"alpha={model.alpha_:g} (gamma={model.gamma_:g}, kappa={model.kappa_:.3g})"
    return Summary(
        title=f"IV-like regression, {strength}",
        estimand="linear effect of the features on the outcome, up to confounding that the assumption leaves",
        assumption=_assumption(model),
        table=table.iloc[order],
        notes=_notes(model, errors, reason),
    )


def _assumption(model: Any) -> str:
    if model.augmentation is None:
        kind = "genuine instruments"
        if model._mode == "copies":
            return (
                "declared by you: the rows are augmented copies, and the outcome ignores the augmentation (effective "
                f"number of parameters {model.n_instruments_effective_})"
            )
        return (
            f"declared by you: {kind} (effective number {model.n_instruments_effective_}), independent of the hidden "
            "confounder, act on the outcome only through X"
        )
    claim = "ignores" if model.augmentation.outcome_invariant else "is NOT claimed to ignore"
    return (
        f"declared by you: the outcome {claim} this {type(model.augmentation).__name__} (effective number of "
        f"directions {model.n_instruments_effective_})"
    )


def _notes(model: Any, errors: FloatArray | None, reason: str) -> tuple[str, ...]:
    notes = []
    if errors is not None:
        notes.append(
            "s.e. are about the limit of the fit at this alpha, not about the causal effect; see confint(kind=...)."
        )
    elif reason:
        notes.append(reason)
    if model.augmentation is not None:
        notes.append(
            "where the two columns differ, either confounding along ignored directions was removed, or a proxy of the "
            "confounder that least squares adjusted for was lost. The data cannot tell which."
        )
        if model._averages():
            notes.append("averaged exactly over a group: every alpha gives these coefficients.")
    if hasattr(model, "first_stage_f_") and len(model.first_stage_f_):
        found = model.first_stage_f_
        if model._mode in ("sampled", "copies"):
            notes.append(f"largest first-stage F of a direction: {found[-1]:.3g} (mostly noise below 10).")
        else:
            robust = f", effective F {model.effective_f_:.3g}" if hasattr(model, "effective_f_") else ""
            notes.append(f"first-stage F of the weakest direction: {found[0]:.3g}{robust} (weak below 10).")
    if model.constant_features_.any():
        notes.append(f"{int(model.constant_features_.sum())} features are constant.")
    return tuple(notes)
