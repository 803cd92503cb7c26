"""Replications of a fit, and what they say about its spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalinv._printing import Printed, Summary, counted, percent
from causalinv._typing import FloatArray
from causalinv._validation import check_confidence_level

__all__ = ["BootstrapResult"]

_LEVEL = 0.95  # of the intervals that are printed


@dataclass(frozen=True, eq=False, repr=False)
class BootstrapResult(Printed):
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

    def confint(self, *, confidence_level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals of the coefficients.

        They cover what the procedure, choices included, estimates: not the causal effect, unless nothing that the
        assumption leaves is confounded. Ends lie among the replicates: a level needs many more than
        2 / (1 - level) of them.
        """
        level = check_confidence_level(confidence_level)
        tail = 50.0 * (1.0 - level)
        ends = np.percentile(self.replicates.to_numpy(), [tail, 100.0 - tail], axis=0)
        frame = pd.DataFrame(ends.T, index=self.estimate.index, columns=["lower", "upper"])
        return frame.rename_axis(columns=f"{percent(confidence_level)} bootstrap, {self.accounts_for}")

    def standard_errors(self) -> pd.Series:
        """Standard deviation of each coefficient over the replications."""
        return self.replicates.std()

    def to_frame(self) -> pd.DataFrame:
        """One row per coefficient: estimate, standard error, and 95% percentile interval."""
        ends = self.confint(confidence_level=_LEVEL)
        columns = {"estimate": self.estimate, "se": self.standard_errors()}
        return pd.DataFrame(columns, index=self.estimate.index).assign(lower=ends["lower"], upper=ends["upper"])

    def summary(self) -> Summary:
        """The coefficients with their spread over the replications."""
        low, high = float(np.min(self.alphas)), float(np.max(self.alphas))
        chosen = f"{low:.3g}" if low == high else f"from {low:.3g} to {high:.3g}"
        return Summary(
            f"Coefficients of {counted(self.replicates.shape[1], 'feature')} with bootstrap intervals",
            f"what the fit estimates; se and {_LEVEL:.0%} percentile interval over {len(self.replicates)} replications",
            "the rows (or clusters) that were drawn anew are independent",
            self.to_frame(),
            (f"in every replication: {self.accounts_for}; alpha: {chosen}.",),
        )
