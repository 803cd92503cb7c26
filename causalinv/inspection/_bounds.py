"""Displays of bounds: a ribbon along a covariate, and how ends move with the strength of confounding."""

from __future__ import annotations

from collections.abc import Hashable
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from causalinv._printing import percent
from causalinv._typing import ArrayLike, FloatArray
from causalinv._validation import check_alignment
from causalinv.bounds import SensitivityBounds
from causalinv.bounds._contrast import Estimand
from causalinv.inspection._axes import BLACK, BLUE, Display
from causalinv.results import BoundsEstimate, PointwiseBounds

__all__ = ["BoundsDisplay", "SensitivityDisplay"]

_BINS = 20
_ROOM, _LISTED = 0.03, 3  # share of the axis that a name written upright takes; names of what lies off the axis


class BoundsDisplay(Display):
    """Ribbon of pointwise bounds along a number per row, with Manski's band behind.

    Parameters
    ----------
    bounds : PointwiseBounds
        Ends at each row.
    along : array-like of shape (m,), optional
        Position of each row, such as a covariate; the propensity if left out.
    name : str, optional
        Label of the horizontal axis.

    Attributes
    ----------
    band : pandas.DataFrame
        Means of ends over up to 20 groups of rows of neighbouring positions; its index is the mean position.

    Examples
    --------
    >>> from causalinv.bounds import SensitivityBounds
    >>> from causalinv.datasets import load_spector
    >>> from causalinv.inspection import BoundsDisplay
    >>> students = load_spector()
    >>> model = SensitivityBounds(random_state=0).fit(students.X, students.y, treatment=students.treatment)
    >>> BoundsDisplay(model.predict_bounds(students.X, odds_ratio=2.0)).band.columns.tolist()
    ['lower', 'upper', 'manski_lower', 'manski_upper']
    """

    def __init__(self, bounds: PointwiseBounds, along: ArrayLike | None = None, *, name: str | None = None) -> None:
        check_alignment(bounds=bounds.to_frame() if bounds.index is not None else None, along=along)
        self.bounds = bounds
        self.along = bounds.propensity if along is None else np.asarray(along, dtype=np.float64)
        if np.isnan(self.along).any():
            raise ValueError(
                f"along contains NaN in {int(np.isnan(self.along).sum())} rows; give every row a position."
            )
        if self.along.shape != bounds.lower.shape:
            raise ValueError(
                f"along must hold one number per row of the bounds, shape {bounds.lower.shape}, got {self.along.shape}."
            )
        self.name = name or ("propensity" if along is None else "position")
        self.band = self._band()

    def _band(self) -> pd.DataFrame:
        """Ends averaged over groups of equally many rows, because single rows of a forest jump."""
        table = self.bounds.to_frame().drop(columns="propensity")
        values = np.unique(self.along)
        edges = np.unique(np.quantile(self.along, np.linspace(0, 1, _BINS + 1)))
        group = self.along if len(values) <= _BINS else np.searchsorted(edges[1:-1], self.along, side="right")
        means = table.assign(position=self.along).groupby(group).mean()
        return means.set_index("position")

    def _draw(self, ax: Any) -> None:
        x, band = self.band.index.to_numpy(), self.band
        ends = band.to_numpy()
        inside = ends[np.isfinite(ends)]
        low, high = (inside.min(), inside.max()) if inside.size else (-1.0, 1.0)
        room = 0.15 * ((high - low) or 1.0)
        band = band.clip(low - 2 * room, high + 2 * room)  # beyond the picture's edge
        infinite = [name for name in ("lower", "upper") if np.isinf(self.band[name]).any()]
        if infinite:
            says = f"infinite: {' and '.join(infinite)} end"
            ax.text(0.5, 0.9, says, transform=ax.transAxes, ha="center", va="top", fontsize=8)
            for name in infinite:
                edge = 0.0 if name == "lower" else 1.0
                at = x[np.isinf(self.band[name])]
                mark = "v" if name == "lower" else "^"
                ax.plot(at, np.full(len(at), edge), mark, color=BLUE, transform=ax.get_xaxis_transform(), clip_on=False)
        if np.isfinite(self.band[["manski_lower", "manski_upper"]].to_numpy()).all():
            ax.fill_between(
                x, band["manski_lower"], band["manski_upper"], color="0.88", lw=0, label="no assumption (Manski)"
            )
        ax.fill_between(x, band["lower"], band["upper"], color=BLUE, alpha=0.35, lw=0, label="bounds")
        for end in ("lower", "upper"):
            ax.plot(x, band[end], color=BLUE, lw=1.2)
            ax.plot(x, band[f"manski_{end}"], color="0.35", lw=0.8, ls=":")
        ax.set(xlabel=self.name, ylim=(low - room, high + room))
        ax.set_ylabel(fill(self.bounds.estimand, 40), fontsize=8)
        ax.set_title(fill(self.bounds.assumption, 70), fontsize=8)
        ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2, frameon=False)


class SensitivityDisplay(Display):
    """Ends and interval of an average against the odds ratio, with the breakdown point of a value.

    Parameters
    ----------
    estimate : BoundsEstimate
        From ``SensitivityBounds.average_bounds`` on a grid of odds ratios.
    breakdown : pandas.Series, optional
        From ``SensitivityBounds.breakdown``: marked inside the grid; the legend says where else it is.
    null : float, default 0.0
        Value at which a line is drawn.
    benchmarks : pandas.DataFrame, optional
        From ``SensitivityBounds.benchmark``: the 95% quantile of each covariate is marked on the axis. Of covariates
        that stand too close for their names, the strongest is named; the legend counts the others, and names the
        strongest beyond the grid.

    Attributes
    ----------
    table : pandas.DataFrame
        What is drawn.
    """

    def __init__(
        self,
        estimate: BoundsEstimate,
        *,
        breakdown: pd.Series | None = None,
        null: float = 0.0,
        benchmarks: pd.DataFrame | None = None,
    ) -> None:
        if estimate.table.index.name != "odds_ratio" or len(estimate.table) < 2:
            raise ValueError("estimate must come from average_bounds(odds_ratio=grid) with at least two odds ratios.")
        self.estimate, self.breakdown, self.null, self.benchmarks = estimate, breakdown, null, benchmarks
        self.table = estimate.to_frame().sort_index()

    @classmethod
    def from_estimator(
        cls,
        model: SensitivityBounds,
        estimand: Estimand = "ate",
        *,
        odds_ratio: ArrayLike = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0),
        arm: Hashable | None = None,
        control: Hashable | None = None,
        benchmarks: bool = True,
    ) -> SensitivityDisplay:
        """Ask a fitted model for its bounds on a grid, where they reach 0, and what observed covariates amount to.

        Parameters
        ----------
        model : SensitivityBounds
            Fitted.
        estimand : str, default "ate"
        odds_ratio : array-like of shape (m,)
            At least two values, 1 or more.
        arm, control : label, optional
            As in `SensitivityBounds.average_bounds`.
        benchmarks : bool, default True
            Mark the covariates, if there are at least two; each is left out once, which takes time.

        {made}
        """
        asked: dict[str, Any] = {"arm": arm, "control": control}
        found = model.average_bounds(estimand, odds_ratio=np.asarray(odds_ratio, dtype=np.float64).tolist(), **asked)
        known = model.benchmark(arm=arm) if benchmarks and model.n_features_in_ > 1 else None
        return cls(found, breakdown=model.breakdown(estimand=estimand, **asked), benchmarks=known)

    def _draw(self, ax: Any) -> None:
        table = self.table
        x: FloatArray = table.index.to_numpy(dtype=np.float64)
        level = f"{percent(self.estimate.confidence_level)} interval"
        ax.fill_between(x, table["ci_lower"], table["ci_upper"], color="0.88", lw=0, label=level)
        ax.fill_between(x, table["lower"], table["upper"], color=BLUE, alpha=0.4, lw=0, label="bounds")
        for end, label in (("manski_lower", "no assumption (Manski)"), ("manski_upper", None)):
            if np.isfinite(table[end]).all():
                ax.plot(x, table[end], color="0.35", lw=0.8, ls=":", label=label)
        ax.axhline(self.null, color="0.3", lw=0.8)
        if self.breakdown is not None:
            for name, style in (("estimate", "-"), ("interval", "--")):
                at = float(self.breakdown[name])
                label = f"{name} reaches {self.null:g} at {at:.2f}"
                if x[0] <= at <= x[-1]:
                    ax.axvline(at, color=BLACK, ls=style, lw=1.2, label=label)
                elif not np.isnan(at):
                    side = "left" if at < x[0] else "right"
                    label = f"{label}, farther {side}" if np.isfinite(at) else f"{name} never reaches {self.null:g}"
                    ax.plot([], [], ls="none", label=label)
        if self.benchmarks is not None:
            _mark_covariates(ax, self.benchmarks["q95"].sort_values(ascending=False), x)
        ax.set(xlabel="odds ratio allowed to unmeasured confounding", xlim=(x[0] - 0.02 * np.ptp(x), x[-1]))
        ax.set_ylabel(fill(self.estimate.estimand, 40), fontsize=8)
        ax.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)


def _mark_covariates(ax: Any, factors: pd.Series, x: FloatArray) -> None:
    """Triangles on the axis, the strongest covariates first in line for a name."""
    inside = factors[(factors >= x[0]) & (factors <= x[-1])]
    named: list[float] = []
    for covariate, factor in inside.items():
        ax.plot([factor], [0], marker="^", color="0.2", transform=ax.get_xaxis_transform(), clip_on=False)
        if named and np.abs(np.array(named) - factor).min() < _ROOM * np.ptp(x):
            continue
        named.append(float(factor))
        ax.annotate(
            str(covariate),
            (factor, 0.02),
            xycoords=ax.get_xaxis_transform(),
            rotation=90,
            fontsize=7,
            ha="center",
            va="bottom",
        )
    without, beyond = len(inside) - len(named), [str(name) for name in factors.index[factors > x[-1]]]
    told = ["a covariate, were it hidden"] + [f"({without} unnamed)"] * (without > 0)
    if beyond:
        more = f" and {len(beyond) - _LISTED} more" if len(beyond) > _LISTED else ""
        told.append(fill(f"farther right: {', '.join(beyond[:_LISTED])}{more}", 32))
    label = "\n".join(told)
    ax.plot([], [], marker="^", color="0.2", ls="none", label=label)
