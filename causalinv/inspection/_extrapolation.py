"""Display of outcomes under actions, tried and untried."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import ArrayLike, FloatArray, Rows
from causalinv._validation import check_rows, check_whole
from causalinv.extrapolation import Rep4ExRegressor
from causalinv.inspection._axes import BLUE, ORANGE, Display
from causalinv.results import Estimate

__all__ = ["DoCurveDisplay"]

#: Grey of the background behind each status: the darker, the less the data say.
_SHADES = {"tried": 0.0, "supported": 0.06, "partial": 0.15, "unsupported": 0.3, "withheld": 0.5}


class DoCurveDisplay(Display):
    """Mean outcome along one action: our curve and band, what the action alone says, and how far the data reach.

    Among tried actions (white) the two curves estimate the same thing: where they part, doubt the model. Beyond, only
    ours has a reason to continue, and the darker the background the weaker it is; where numbers are withheld, it ends.

    Parameters
    ----------
    table : pandas.DataFrame
        As `Estimate.table` of `Rep4ExRegressor.do_curve`, sorted along the action: ``estimate``, ``lower``, ``upper``,
        ``status``, ``action_only``.
    along : str
        Column that holds the action on the horizontal axis.
    truth : ndarray of shape (m,), optional
        True means, if the data are simulated.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.datasets import make_extrapolation_data
    >>> from causalinv.extrapolation import Rep4ExRegressor
    >>> from causalinv.inspection import DoCurveDisplay
    >>> data = make_extrapolation_data(300, n_latent=1, random_state=0)
    >>> model = Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=data.action)
    >>> display = DoCurveDisplay.from_estimator(model, np.linspace(-1.5, 1.5, 7), n_bootstrap=10)
    >>> display.table["status"].tolist()[2:5]
    ['tried', 'tried', 'tried']
    """

    def __init__(self, table: pd.DataFrame, along: str, *, truth: ArrayLike | None = None) -> None:
        self.table = table
        self.along = along
        self.truth = None if truth is None else np.asarray(truth, dtype=np.float64)

    @classmethod
    def from_result(
        cls, estimate: Estimate, *, along: str | None = None, truth: ArrayLike | None = None
    ) -> DoCurveDisplay:
        """Take the curve that `Rep4ExRegressor.do_curve` returned.

        Parameters
        ----------
        estimate : Estimate
        along : str, optional
            Column of the action to draw along; left out, the one that varies most.
        truth : array-like of shape (m,), optional

        {made}
        """
        table = estimate.to_frame()
        actions = table.columns[: table.columns.get_loc("estimate")]
        if along is None:
            along = str((table[actions].max() - table[actions].min()).idxmax())
        elif along not in actions:
            raise ValueError(f"along must be one of the action's columns {list(actions)}, got {along!r}.")
        order = np.argsort(table[along].to_numpy(), kind="stable")
        known = None if truth is None else np.asarray(truth, dtype=np.float64)
        if known is not None and known.shape != (len(table),):
            raise ValueError(f"truth must have shape ({len(table)},), one number per action, got {known.shape}.")
        return cls(table.iloc[order].reset_index(drop=True), along, truth=None if known is None else known[order])

    @classmethod
    def from_estimator(
        cls,
        model: Rep4ExRegressor,
        values: Rows,
        *,
        along: int = 0,
        at: ArrayLike | None = None,
        n_bootstrap: int = 200,
        n_jobs: int | None = None,
        truth: ArrayLike | None = None,
    ) -> DoCurveDisplay:
        """Vary one column of the action and hold the others.

        Parameters
        ----------
        model : Rep4ExRegressor
            Fitted.
        values : array-like of shape (m,)
            Values of the column that varies.
        along : int, default 0
            Which column that is.
        at : array-like of shape (k,), optional
            Values of all columns, of which that one is replaced; left out, the middle of the tried actions.
        n_bootstrap, n_jobs : int
            As in `Rep4ExRegressor.do_curve`.
        truth : array-like of shape (m,), optional

        {made}
        """
        moved = np.asarray(check_rows(values, "values", ensure_2d=False))
        if moved.ndim != 1:
            raise ValueError(
                f"values must have shape (m,), values of the one column of the action that along= names (at= holds the "
                f"others); got {moved.shape}."
            )
        check_whole(along, "along", low=0)
        k = model.n_actions_in_
        if not 0 <= along < k:
            raise ValueError(f"along must be a column from 0 to {k - 1}, got {along}.")
        base = model.action_middle_ if at is None else np.asarray(at, dtype=np.float64)
        if base.shape != (k,):
            raise ValueError(f"at must have shape ({k},), got {base.shape}.")
        actions = np.tile(base, (len(moved), 1))
        actions[:, along] = moved
        curve = model.do_curve(actions, n_bootstrap=n_bootstrap, n_jobs=n_jobs)
        return cls.from_result(curve, along=str(curve.table.columns[along]), truth=truth)

    def _size(self) -> tuple[float, float]:
        return 6.0, 4.0

    def _draw(self, ax: Any) -> None:
        at = self.table[self.along].to_numpy()
        edges = np.r_[at[0], (at[1:] + at[:-1]) / 2, at[-1]]
        words = self.table["status"].tolist()
        named = set()
        start = 0
        for i in range(1, len(at) + 1):
            if i == len(at) or words[i] != words[start]:
                shade, word = _SHADES[words[start]], words[start]
                label = None if word in named else word
                look = {"facecolor": str(1.0 - shade), "edgecolor": "0.6", "linewidth": 0.4, "zorder": -2}
                ax.axvspan(edges[start], edges[i], label=label, **look)
                named.add(word)
                start = i
        ax.fill_between(at, self.table["lower"], self.table["upper"], color=BLUE, alpha=0.25, linewidth=0)
        ax.plot(at, self.table["estimate"], color=BLUE, label="through the state, with band")
        ax.plot(at, self.table["action_only"], color=ORANGE, linestyle="--", label="from the action alone")
        if self.truth is not None:
            ax.plot(at, self.truth, color="black", linestyle=":", label="truth")
        known = np.empty(0) if self.truth is None else self.truth
        middle = _given(np.r_[self.table["estimate"], self.table["action_only"], known])
        shown = _given(np.r_[self.table["lower"], self.table["upper"], middle])
        room = np.ptp(middle)
        ax.set_ylim(max(shown.min(), middle.min() - room), min(shown.max(), middle.max() + room))
        ax.set_xlim(at[0], at[-1])
        ax.set_xlabel(self.along)
        ax.set_ylabel("mean outcome under the action")
        ax.legend(fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)


def _given(values: FloatArray) -> FloatArray:
    """Those that are not withheld."""
    return values[~np.isnan(values)]
