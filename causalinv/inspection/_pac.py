"""Display of a PAC experiment: what was promised, and what happened."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from causalinv.inspection._axes import CYCLE, Display

__all__ = ["PACDisplay"]

_MARKS = "osD^v*"


class PACDisplay(Display):
    """Violations under fresh interventions against the number of training interventions, or against the dimension.

    Parameters
    ----------
    quantiles : pandas.DataFrame
        Indexed by ``learner``, ``d``, ``m``, with columns ``median``, ``q95`` and ``beta_sites``, ``vc`` (means of the
        bounds, NaN where not licensed).
    """

    def __init__(self, quantiles: pd.DataFrame) -> None:
        self.quantiles = quantiles

    @classmethod
    def from_result(cls, table: pd.DataFrame) -> PACDisplay:
        """Summarise the rows of `PACExperiment.run` or `PACExperiment.collect`; rows with an error are left out.

        Parameters
        ----------
        table : pandas.DataFrame

        {made}
        """
        good = table[table["error"].fillna("") == ""].groupby(["learner", "d", "m"])
        bounds = good[["beta_sites", "vc"]].mean()
        median, q95 = good["violation"].median(), good["violation"].quantile(0.95)
        return cls(bounds.assign(median=median, q95=q95)[["median", "q95", "beta_sites", "vc"]])

    def plot(
        self,
        ax: Any = None,
        *,
        against: Literal["interventions", "dimension"] = "interventions",
        learner: str | None = None,
    ) -> Self:
        """Draw the 95% quantile of the violation (marks), its median (thin), and the bounds (dashed).

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Left out, a new figure.
        against : {"interventions", "dimension"}
            What goes along the horizontal axis; the other one gives the lines.
        learner : str, optional
            Left out, the first one.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the learner is unknown, or `against` is.
        ImportError
            If matplotlib is absent.
        """
        if against not in ("interventions", "dimension"):
            raise ValueError(f"against must be 'interventions' or 'dimension', got {against!r}.")
        names = self._learners()
        if learner is not None and learner not in names:
            raise ValueError(f"learner must be one of {names}, got {learner!r}.")
        return self._show(ax, against, learner)

    def _learners(self) -> list[Any]:
        return list(self.quantiles.index.get_level_values("learner").unique())

    def _size(self) -> tuple[float, float]:
        return 5.6, 4.0

    def _draw(self, ax: Any, against: str = "interventions", learner: str | None = None) -> None:
        along, lines = ("m", "d") if against == "interventions" else ("d", "m")
        chosen = self._learners()[0] if learner is None else learner
        table = self.quantiles.loc[chosen].reset_index()
        for k, (value, part) in enumerate(table.groupby(lines)):
            label = f"{'features' if lines == 'd' else 'interventions'}: {value}"
            color = CYCLE[k % len(CYCLE)]
            ax.plot(part[along], part["q95"], _MARKS[k % len(_MARKS)] + "-", color=color, label=label)
            ax.plot(part[along], part["median"], "-", color=color, linewidth=0.8, alpha=0.6)
            if lines == "m":
                ax.plot(part[along], part["beta_sites"], "--", color=color, linewidth=1.0)
        if lines == "d":
            bounds = table.groupby("m")[["beta_sites", "vc"]].mean()
            for name, style in (("beta_sites", "--"), ("vc", ":")):
                if bounds[name].min() < 1:  # a bound of 1 says nothing and would only stretch the picture
                    ax.plot(bounds.index, bounds[name], style, color="0.3", label=f"bound: {name}")
        drawn = table[["beta_sites", "q95"]].to_numpy(float)  # what happened sets the axis as much as what was promised
        top = min(1.05, 1.3 * float(np.nanmax(drawn))) if np.isfinite(drawn).any() and np.nanmax(drawn) > 0 else 1.05
        ax.set(
            xscale="log",
            ylim=(-0.01 * top, top),
            xlabel="training interventions" if along == "m" else "features",
            ylabel="fresh interventions that violate",
            title=f"{chosen}: 95% quantile, median (thin), bound (dashed)",
        )
        ticks = sorted(table[along].unique())
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
        ax.legend(fontsize="small", frameon=False)
