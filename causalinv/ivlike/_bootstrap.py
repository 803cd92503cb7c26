"""Bootstrap of pairs on the level of moments: rows (or clusters) are reweighted, the strength is chosen again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState
from causalinv.ivlike._checks import check_confidence_level

__all__ = ["BootstrapResult", "cluster_counts", "replicate"]


@dataclass(frozen=True)
class BootstrapResult:
    """Replicates of the coefficients, and of the strength that was chosen each time.

    Attributes
    ----------
    replicates : pandas.DataFrame of shape (n_replications, d)
        Coefficients, one replication a row.
    alphas : ndarray of shape (n_replications,)
        Strengths chosen.
    estimate : pandas.Series
        Coefficients of the fit.
    accounts_for : str
        What was drawn anew in every replication.
    """

    replicates: pd.DataFrame
    alphas: FloatArray
    estimate: pd.Series
    accounts_for: str

    def __repr__(self) -> str:
        n, d = self.replicates.shape
        return f"BootstrapResult({n} replications of {d} coefficients; {self.accounts_for})"

    def confint(self, *, confidence_level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals of the coefficients.

        They cover what the procedure, choices included, estimates: not the causal effect, unless nothing that the
        assumption leaves is confounded.
        """
        level = check_confidence_level(confidence_level)
        tail = 50.0 * (1.0 - level)
        ends = np.percentile(self.replicates.to_numpy(), [tail, 100.0 - tail], axis=0)
        frame = pd.DataFrame(ends.T, index=self.estimate.index, columns=["lower", "upper"])
        return frame.rename_axis(columns=f"{confidence_level:.0%} bootstrap, {self.accounts_for}")

    def standard_errors(self) -> pd.Series:
        """Standard deviation of each coefficient over the replications."""
        return self.replicates.std()


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
