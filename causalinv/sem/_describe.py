"""A model in words and one table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causalinv._printing import counted
from causalinv.results import Summary
from causalinv.sem._model import Model

__all__ = ["describe"]

_SORTED = 0.9  # varsortability from which on variances give the causal order away
_SHOWN = 4  # parents written out


def describe(model: Model) -> Summary:
    """One row per node: its role, its parents, mean, standard deviation, share of variance that its parents explain."""
    sd = np.sqrt(np.diag(model.cov()))
    own = np.sqrt(np.diag(model.noise_cov()))
    table = pd.DataFrame(
        {
            "role": [_role(model, i) for i in range(model.n_nodes)],
            "parents": [_listed([model.names[v] for v in model.parents(i)]) for i in range(model.n_nodes)],
            "mean": model.mean(),
            "sd": sd,
            "noise sd": own,
        },
        index=pd.Index(model.names, name="node"),
    )
    return Summary(
        f"Linear structural equation model: {counted(model.n_nodes, 'node')}, "
        f"{counted(int(np.count_nonzero(model.B)), 'edge')}, "
        f"{'acyclic' if model.is_acyclic else 'cyclic'}",
        "exact mean and standard deviation of every node, and the standard deviation of its own noise",
        "the model is the truth; nothing is estimated",
        table,
        tuple(_notes(model)),
    )


def _role(model: Model, node: int) -> str:
    if model.target is None:
        return "node"
    return "target" if node == model.target else "feature" if node in model.features else "hidden"


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "") or "-"


def _notes(model: Model) -> list[str]:
    notes = []
    if len(model.common):
        notes.append(f"Noise is correlated: {counted(len(model.common), 'hidden common cause')}.")
    order = model.varsortability()
    if order >= _SORTED:
        notes.append(
            f"Variances rise along {order:.0%} of the directed paths, so they give the causal order away; "
            "standardize() hides it."
        )
    if not model.is_acyclic:
        notes.append(f"Feedback has spectral radius {model.spectral_radius:.3g}; below 1 it dies out.")
    return notes
