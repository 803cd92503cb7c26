"""Display of intervals for the rows of a new environment."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._frames import row_index
from causalinv._printing import counted
from causalinv._typing import Rows
from causalinv._validation import check_alignment, check_confidence_level, check_outcome
from causalinv.inspection._axes import BLACK, BLUE, GREY, ORANGE, Display
from causalinv.invariance import HierarchicalConformalRegressor

__all__ = ["ConformalDisplay"]

_MOST = 200


class ConformalDisplay(Display):
    """Prediction intervals for rows of a new environment, ordered by prediction, with outcomes where they are known.

    Parameters
    ----------
    table : pandas.DataFrame
        ``prediction``, ``lower``, ``upper``, and ``y`` where outcomes are known. More than 200 rows are thinned
        evenly in the picture; the title counts all.
    confidence_level : float

    {drawn}
    """

    def __init__(self, table: pd.DataFrame, *, confidence_level: float) -> None:
        self.table = table
        self.confidence_level = confidence_level

    @classmethod
    def from_estimator(
        cls, model: HierarchicalConformalRegressor, X: Rows, y: Rows = None, *, confidence_level: float = 0.9
    ) -> Self:
        """Ask a fitted regressor for intervals.

        Parameters
        ----------
        model : HierarchicalConformalRegressor
            Fitted.
        X : array-like of shape (n, d)
            Rows of a new environment.
        y : array-like of shape (n,), optional
            Their outcomes.
        confidence_level : float, default 0.9

        {made}

        Raises
        ------
        ValueError
            If lengths, or the indexes of pandas objects, differ, or an input is malformed.
        """
        level = check_confidence_level(confidence_level)
        check_alignment(X=X, y=y)
        ends = np.asarray(model.predict_interval(X, level), dtype=np.float64)
        columns = {"prediction": np.asarray(model.predict(X)), "lower": ends[:, 0], "upper": ends[:, 1]}
        if y is not None:
            columns["y"] = check_outcome(y, len(ends))
        return cls(pd.DataFrame(columns, index=row_index(X)), confidence_level=level)

    def _draw(self, ax: Any) -> None:
        ordered = self.table.sort_values("prediction", kind="stable").reset_index(drop=True)
        shown = ordered.iloc[np.unique(np.linspace(0, len(ordered) - 1, _MOST).astype(int))]
        at = np.arange(len(shown))
        ends = shown[["lower", "upper"]].to_numpy()
        values = shown.drop(columns=["lower", "upper"]).to_numpy()
        inside = np.r_[values.ravel(), ends[np.isfinite(ends)]]
        room = 0.08 * (np.ptp(inside) or 1.0)
        low, high = inside.min() - room, inside.max() + room
        ax.vlines(
            at, *np.clip(ends, low, high).T, color=GREY, linewidth=max(1.0, 200 / len(shown) / 2), label="interval"
        )
        ax.plot(at, shown["prediction"], color=BLUE, label="prediction")
        told = "" if np.isfinite(ends).all() else "; ends at the edge are infinite"
        if "y" in shown:
            held = ((ordered["lower"] <= ordered["y"]) & (ordered["y"] <= ordered["upper"])).to_numpy()
            within = ((shown["lower"] <= shown["y"]) & (shown["y"] <= shown["upper"])).to_numpy()
            ax.plot(at[within], shown["y"][within], ".", color=BLACK, label="outcome, inside")
            ax.plot(at[~within], shown["y"][~within], "X", color=ORANGE, markeredgecolor="k", label="outcome, outside")
            told = f"; {held.mean():.1%} of {counted(len(held), 'row')} inside{told}"
        of = "" if len(shown) == len(ordered) else f"{len(shown)} of {len(ordered)} "
        ax.set(ylim=(low, high), xlabel=f"{of}rows, by prediction", ylabel="outcome", xticks=[])
        ax.set_title(f"{100 * self.confidence_level:g}% for one row of a new environment{told}", fontsize="small")
        ax.legend(fontsize="small", frameon=False, loc="upper left")
