"""Bootstrap of pairs on the level of moments: rows (or clusters) are reweighted, the strength is chosen again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState

__all__ = ["cluster_counts", "replicate"]


def cluster_counts(groups: np.ndarray | None, n: int, rng: np.random.Generator) -> FloatArray:
    """How often each row is drawn when rows, or whole clusters, are drawn with replacement."""
    if groups is None:
        return rng.multinomial(n, np.full(n, 1.0 / n)).astype(np.float64)
    m = int(groups.max()) + 1
    return rng.multinomial(m, np.full(m, 1.0 / m)).astype(np.float64)[groups]


def replicate(
    fit: Callable[[np.random.Generator], tuple[FloatArray, float]], n_replications: int, random_state: RandomState
) -> tuple[FloatArray, FloatArray]:
    """Run `fit` with one independent generator per replication: coefficients (R, …) and strengths (R,)."""
    coefs, alphas = zip(*(fit(rng) for rng in streams(random_state, n_replications, "bootstrap")), strict=True)
    return np.stack(coefs), np.array(alphas)
