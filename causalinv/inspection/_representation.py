"""Displays of a representation: its spectrum with the fitted exponent, and scores per transformation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import Rows
from causalinv._validation import check_rows
from causalinv.inspection._axes import BLACK, BLUE, Display
from causalinv.representation import spectral_exponent
from causalinv.results import Estimate

__all__ = ["ScoresDisplay", "SpectrumDisplay"]


class SpectrumDisplay(Display):
    """Eigenvalues of a representation's covariance by rank, with the line whose slope is its exponent.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation.
    **question
        As for `causalinv.representation.spectral_exponent`.

    Attributes
    ----------
    exponent : Estimate
    table : pandas.DataFrame
        ``rank``, ``eigenvalue``, ``line`` (NaN outside the fitted ranks).
    {also_drawn}
    """

    def __init__(self, Z: Rows, **question: Any) -> None:
        self.exponent = spectral_exponent(Z, **question)
        rows = check_rows(Z, "Z")
        values = np.linalg.eigvalsh(np.atleast_2d(np.cov(rows.T)))[::-1]
        rank = np.arange(1, len(values) + 1)
        first, last = (int(self.exponent.to_frame()[name].iloc[0]) for name in ("first_rank", "last_rank"))
        inside = (rank >= first) & (rank <= last)
        logs = np.log(values[inside]).mean() - self.exponent.estimate * (np.log(rank) - np.log(rank[inside]).mean())
        line = np.where(inside, np.exp(logs), np.nan)
        self.table = pd.DataFrame({"rank": rank, "eigenvalue": values, "line": line})

    def _draw(self, ax: Any) -> None:
        """Draw eigenvalues and line on logarithmic axes."""
        shown = self.table[self.table["eigenvalue"] > 0]
        low, high = self.exponent.conf_int
        label = f"exponent {self.exponent.estimate:.2f} ({low:.2f} to {high:.2f})"
        ax.plot(shown["rank"], shown["eigenvalue"], "o", markersize=3, color=BLUE)
        ax.plot(shown["rank"], shown["line"], color=BLACK, label=label)
        ax.set(xscale="log", yscale="log", xlabel="rank", ylabel="eigenvalue")
        ticks = [k * 10**power for power in range(6) for k in (1, 2, 5) if k * 10**power <= len(self.table)]
        ax.set_xticks(ticks if len(ticks) < 6 else ticks[::3], minor=False)
        ax.xaxis.set_major_formatter("{x:.0f}")
        ax.xaxis.set_minor_formatter("")
        ax.legend(frameon=False)


class ScoresDisplay(Display):
    """Scores of a representation, one per transformation, with their intervals.

    Parameters
    ----------
    scores : mapping of str to Estimate
        Of `invariance_score` or `equivariance_score`, by the name of the transformation.

    Attributes
    ----------
    table : pandas.DataFrame
        ``estimate``, ``lower``, ``upper`` by name.
    {also_drawn}
    """

    def __init__(self, scores: Mapping[str, Estimate]) -> None:
        if not isinstance(scores, Mapping) or not scores or not all(isinstance(v, Estimate) for v in scores.values()):
            raise TypeError("scores must map names of transformations to estimates, at least one.")
        rows = {name: (each.estimate, *each.conf_int) for name, each in scores.items()}
        self.table = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "lower", "upper"])

    def _draw(self, ax: Any) -> None:
        """Draw a point and an interval per transformation."""
        at = np.arange(len(self.table))
        ends = self.table[["lower", "upper"]].sub(self.table["estimate"], axis=0).abs().to_numpy().T
        ax.errorbar(self.table["estimate"], at, xerr=ends, fmt="o", capsize=3, color=BLUE)
        ax.set_yticks(at, list(self.table.index))
        ax.axvline(0.0, color="0.7", linewidth=1, zorder=0)
        ax.set(xlabel="score", ylim=(-0.6, len(self.table) - 0.4))

    def _size(self) -> tuple[float, float]:
        return 5.6, 1.0 + 0.35 * len(self.table)
