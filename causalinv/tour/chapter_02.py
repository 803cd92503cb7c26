"""The laboratory: exact truth under interventions, and how far one sample is from it."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from causalinv.inspection import DAGDisplay
from causalinv.moments import Moments
from causalinv.sem import Do, Intervention, LinearSEM, ScaleNoise, SetWeights, Shift
from causalinv.tour import Chapter

__all__ = ["run"]

_ROWS = 20_000


def run(random_state: int, data: str | os.PathLike[str] | None) -> Chapter:
    """Intervene on a small model and regress in every environment, exactly and on a sample."""
    sem = LinearSEM.from_adjacency(
        np.array([[0, 1.0, 0, 0.5], [0, 0, 0, 1.0], [0, 0, 0, 0], [0, 0, 1.0, 0]]),
        names=["rain", "soil", "growth", "yield"],
        target="yield",
    )
    interventions: dict[str, Intervention | None] = {
        "as observed": None,
        "rain + 2": Shift("rain", mean=2.0),
        "soil set to 1": Do("soil", 1.0),
        "soil reacts twice": SetWeights("soil", {"rain": 2.0}),
        "growth measured badly": ScaleNoise("growth", 3.0),
    }
    envs = sem.environments(list(interventions.values()), labels=list(interventions))
    exact = envs.moments()
    X, y, labels = envs.sample(_ROWS, random_state=random_state)
    sample = Moments.from_rows(x=X, y=y, environments=labels).select(cells=list(exact.cells))
    order = sample.cells.get_indexer(exact.cells)

    columns: dict[tuple[str, str], np.ndarray] = {}
    sets = {"causes (rain, soil)": [0, 1], "all three": [0, 1, 2]}
    slopes = {}
    for title, which in sets.items():
        slopes[title] = _soil(exact, which)
        columns[title, "exact"] = slopes[title]
        columns[title, "sample"] = _soil(sample, which)[order]
    columns["mean yield", "exact"] = exact.mean("y")[:, 0]
    columns["mean yield", "sample"] = sample.mean("y")[order, 0]
    table = pd.DataFrame(columns, index=exact.cells.rename("environment"))
    steady, moving = slopes["causes (rain, soil)"], slopes["all three"]
    return Chapter(
        question="What would the world look like under other interventions, exactly? "
        "(Coefficient of soil on yield, by feature set.)",
        answer=(
            f"Given the causes of yield, soil keeps its coefficient, {steady[0]:.2f}, under every intervention; "
            "with growth, an "
            f"effect of yield, among the features it moves from {moving[0]:.2f} to {moving[-1]:.2f}."
        ),
        table=table,
        claim=(
            "Where soil is held constant there is nothing to regress on, and no intervention here acts on yield "
            "itself.\n"
            f"{_ROWS:,} rows show the same as the exact moments, up to sampling."
        ),
        picture=DAGDisplay.from_sem(sem),
        assumption="the model: linear, these arrows, independent noise. Any noise law gives the same exact columns.",
    )


def _soil(moments: Moments, which: list[int]) -> np.ndarray:
    """Coefficient of soil, the second feature, in the regression of yield on some features; NaN if soil is constant."""
    inside = moments.cov("x")[:, which][:, :, which]
    cross = moments.cov("x", "y")[:, which, 0]
    slope = [np.linalg.lstsq(a, b, rcond=1e-9)[0][1] for a, b in zip(inside, cross, strict=True)]
    return np.where(inside[:, 1, 1] > 0, slope, np.nan)
