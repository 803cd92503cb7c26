"""The summary of a fitted IV-like regression: what was assumed, by whom, and what least squares says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from causalinv.results import Summary

if TYPE_CHECKING:
    from causalinv.ivlike._regression import IVLikeRegression

__all__ = ["summarize"]


def summarize(model: IVLikeRegression) -> Summary:
    """Coefficients beside those of least squares, the rows that differ most first."""
    names = list(getattr(model, "feature_names_in_", [f"x{i}" for i in range(model.n_features_in_)]))
    coef, reference = np.atleast_2d(model.coef_), np.atleast_2d(model.least_squares_coef_)
    index = (
        pd.Index(names, name="feature")
        if model.coef_.ndim == 1
        else pd.MultiIndex.from_product([range(len(coef)), names], names=["outcome", "feature"])
    )
    table = pd.DataFrame({"IVL": coef.ravel(), "least squares": reference.ravel()}, index=index)
    table["difference"] = table["IVL"] - table["least squares"]
    order = table["difference"].abs().to_numpy().argsort(kind="stable")[::-1]
    return Summary(
        title=f"IV-like regression, alpha={model.alpha_:g} (gamma={model.gamma_:g}, kappa={model.kappa_:.3g})",
        estimand="linear effect of the features on the outcome, up to confounding that the assumption leaves",
        assumption=_assumption(model),
        table=table.iloc[order],
        notes=_notes(model),
    )


def _assumption(model: IVLikeRegression) -> str:
    if model.augmentation is None:
        return (
            f"declared by you: genuine instruments (effective number {model.n_instruments_effective_}), independent of "
            "the hidden confounder, act on the outcome only through X"
        )
    claim = "ignores" if model.augmentation.outcome_invariant else "is NOT claimed to ignore"
    return (
        f"declared by you: the outcome {claim} this {type(model.augmentation).__name__} (effective number of "
        f"directions {model.n_instruments_effective_})"
    )


def _notes(model: IVLikeRegression) -> tuple[str, ...]:
    notes = []
    if model.augmentation is not None:
        notes.append(
            "where the two columns differ, either confounding along ignored directions was removed, or a proxy of the "
            "confounder that least squares adjusted for was lost. The data cannot tell which."
        )
    if model.constant_features_.any():
        notes.append(f"{int(model.constant_features_.sum())} features are constant.")
    return tuple(notes)
