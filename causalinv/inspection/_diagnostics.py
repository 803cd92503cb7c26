"""Display of what can be checked of an extrapolation."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv.extrapolation import Rep4ExRegressor
from causalinv.inspection._axes import BLACK, BLUE, ORANGE, Display
from causalinv.results import ExtrapolationDiagnostics

__all__ = ["DiagnosticsDisplay"]

_REACH = 100.0  # furthest mark, in thresholds


class DiagnosticsDisplay(Display):
    """Each check of an extrapolation against its threshold: to the right of the line it is a reason to doubt.

    Parameters
    ----------
    table : pandas.DataFrame
        As `ExtrapolationDiagnostics.summary().table`: ``value``, ``doubt if``, ``doubt``, ``what it is``.
    ratios : pandas.Series
        As `ExtrapolationDiagnostics.ratios`. Checks that are not among them are left out.

    {drawn}
    """

    def __init__(self, table: pd.DataFrame, ratios: pd.Series) -> None:
        self.table, self.ratios = table.loc[ratios.index], ratios

    @classmethod
    def from_result(cls, diagnostics: ExtrapolationDiagnostics) -> Self:
        """From `Rep4ExRegressor.diagnostics`.

        {made_from}
        """
        return cls(diagnostics.summary().table, diagnostics.ratios())

    @classmethod
    def from_estimator(cls, model: Rep4ExRegressor) -> Self:
        """Make the checks of a fitted model, which takes time, and show them.

        {made_from}
        """
        return cls.from_result(model.diagnostics())

    def _size(self) -> tuple[float, float]:
        return 6.4, 1.2 + 0.32 * len(self.table)

    def _draw(self, ax: Any) -> None:
        labels = []
        roomy = ax.get_window_extent().height > 0.25 * ax.figure.dpi * len(self.table)
        for at, (name, row) in enumerate(self.table[::-1].iterrows()):
            ratio = self.ratios[str(name)]
            labels.append(f"{row['what it is']}\n{name} ({row['doubt if']})" if roomy else str(name))
            if np.isnan(ratio):
                ax.text(1.0, at, " not made", va="center", fontsize="small", color="0.35")
                continue
            doubts = row["doubt"] == "yes"
            mark = np.clip(ratio, 1 / _REACH, _REACH)
            ax.plot(
                mark, at, "X" if doubts else "o", color=ORANGE if doubts else BLUE, markeredgecolor="k", markersize=9
            )
            ax.annotate(
                f"{float(row['value']):.3g}", (mark, at), (9, 0), textcoords="offset points", va="center", fontsize=8
            )
        ax.axvline(1.0, color=BLACK, linewidth=1)
        ax.set(xscale="log", xlim=(0.6 / _REACH, 2.2 * _REACH), ylim=(-0.6, len(labels) - 0.4))
        ax.set_yticks(range(len(labels)), labels, fontsize=7)
        ax.set_xticks([1 / _REACH, 1, _REACH], ["no doubt", "limit", "doubt"], fontsize="small")
        ax.minorticks_off()
        ax.set_title("cross: a reason to doubt; none is no proof", fontsize="small")
