"""Invariant prediction: rules that hold in every environment, and data that have none."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import Rows
from causalinv.datasets import fetch_sachs, load_grunfeld
from causalinv.exceptions import CausalInvWarning
from causalinv.inspection import EnvironmentRisksDisplay
from causalinv.invariance import InvariantCausalPrediction, InvariantRepresentation, InvariantSubsetSelector
from causalinv.sem import InterventionFamily, LinearSEM
from causalinv.tour import Chapter

__all__ = ["run"]

_FRESH = 200


def run(random_state: int, data: str | os.PathLike[str] | None) -> Chapter:
    """Compare rules on fresh interventions, then ask two real data sets whether any set of features is invariant."""
    table, answer, claim, selector = _simulated(random_state)
    grunfeld = load_grunfeld()
    answers = []
    for name, environments in (("periods", grunfeld.period), ("firms", grunfeld.firm)):
        model = _quietly(InvariantSubsetSelector(), grunfeld.X, grunfeld.y, environments)
        chosen = ", ".join(model.get_feature_names_out())
        answers.append(
            f"between {name} " + (f"{chosen} (p = {model.pvalue_:.2f})" if model.accepted_ else "no set of features")
        )
    notes = [f"Real investment (Grunfeld): one rule holds {answers[0]}; {answers[1]} is invariant."]
    try:
        notes.append(_sachs(data))
    except FileNotFoundError as error:
        if data is not None or os.environ.get("CAUSALINV_DATA"):
            raise
        notes.append(f"The protein data are left out: {error}")
    return Chapter(
        question="Which rule still predicts after interventions that nobody has seen yet? (Mean squared error.)",
        answer=answer,
        table=table,
        claim=claim,
        picture=EnvironmentRisksDisplay.from_estimator(selector),
        assumption="new environments move the same sites as the training ones, and never the outcome's own mechanism.",
        notes=tuple(notes),
    )


def _simulated(random_state: int) -> tuple[pd.DataFrame, str, str, InvariantSubsetSelector]:
    """Risks of four rules in training and on fresh environments of one family."""
    sem = LinearSEM.from_adjacency(
        np.array([[0, 0.5, 0, 0, 1.0], [0, 0, 0, 0, 1.0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1.0, 1.0, 0]]),
        noise=[1.0, 1.0, 0.3, 1.0, 0.7],
        names=["age", "dose", "marker", "scan", "outcome"],
        target="outcome",
    )
    family = InterventionFamily(["dose", "marker"], kind="variance", law=_exponential)  # laboratories drift
    envs = family.environments(sem, 4, baseline=True, random_state=random_state)
    rows, y, environments = envs.sample(500, random_state=random_state)
    X = pd.DataFrame(rows, columns=[sem.names[v] for v in sem.features])
    fresh = family.environments(sem, _FRESH, random_state=random_state + 1).moments()
    selector = InvariantSubsetSelector().fit(X, y, environments=environments)
    neutral = InvariantRepresentation().fit(X, y, environments=environments)
    icp = _quietly(InvariantCausalPrediction(test="residual"), X, y, environments)
    average = float(y.mean() - X.mean() @ selector.least_squares_coef_)
    rules = {
        "least squares, all features": (selector.least_squares_coef_, average),
        "invariant subset": (selector.coef_, selector.intercept_),
        "neutral combination": (neutral.coef_, neutral.intercept_),
        "intersection (ICP)": (icp.coef_, icp.intercept_),
    }
    found = {}
    for name, (coef, intercept) in rules.items():
        squared = pd.Series((y - rows @ coef - intercept) ** 2).groupby(environments).mean()
        shift = fresh.mean("y")[:, 0] - fresh.mean("x") @ coef - intercept
        cov, cross = fresh.cov("x"), fresh.cov("x", "y")[:, :, 0]
        risk = fresh.cov("y")[:, 0, 0] - 2 * cross @ coef + np.einsum("i,eij,j->e", coef, cov, coef) + shift**2
        found[name] = {
            "features": int(np.sum(coef != 0)),
            "training, worst": squared.max(),
            "fresh, median": np.median(risk),
            "fresh, worst": risk.max(),
        }
    table = pd.DataFrame(found).T.astype({"features": int})
    worst = table["fresh, worst"]
    chosen = ", ".join(selector.get_feature_names_out())
    answer = (
        f"One that leaves out what drifts: in the worst of {_FRESH} fresh environments the invariant subset "
        f"({chosen}) has "
        f"{worst.iloc[1]:.2f}, least squares on all {worst.iloc[0]:.2f}."
    )
    claim = (
        "The marker of the outcome predicts best where the laboratory is good, and worst where it drifts. The "
        "data are\n"
        f"95% sure that the subset's rule, learnt elsewhere, loses at most {selector.gap_upper_:.0%} in any training "
        "environment. The intersection is after causes, not after prediction; here it names "
        f"{', '.join(X.columns[list(icp.estimate_ or ())]) or 'none'}."
    )
    return table, answer, claim, selector


def _exponential(rng: np.random.Generator, size: int) -> np.ndarray:
    return rng.exponential(0.5, size)


def _sachs(data: str | os.PathLike[str] | None) -> str:
    """One sentence on the proteins."""
    sachs = fetch_sachs(data, download_if_missing=False)
    targets = sachs.conditions.set_index("condition")["target"]
    accepted = []
    for protein in sachs.frame.columns:
        free = ~np.isin(sachs.environments, targets.index[targets == protein])
        X, y = sachs.frame.loc[free].drop(columns=protein), sachs.frame.loc[free, protein]
        if _quietly(InvariantSubsetSelector(max_size=3), X, y, sachs.environments[free]).accepted_:
            accepted.append(protein)
    found = ", ".join(accepted) if accepted else "none"
    return (
        f"Real single cells (Sachs, {sachs.frame.shape[1]} proteins, up to 14 conditions): an invariant set of at most "
        f"three others exists for {found}. That is an answer, too."
    )


def _quietly(model: Any, X: Rows, y: Rows, e: Rows) -> Any:
    """Fit without the warnings that the chapter itself turns into text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalInvWarning)
        return model.fit(X, y, environments=e)
