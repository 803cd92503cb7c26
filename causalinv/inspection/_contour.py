"""Contours of an effect under confounders of every strength."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv.inspection._axes import BLACK, BLUE, Display
from causalinv.ivlike import IVLikeRegression

__all__ = ["ConfoundingContourDisplay"]


class ConfoundingContourDisplay(Display):
    r"""What would be left of an effect if a hidden confounder explained more of feature and outcome.

    A confounder with partial R² of r with the feature and s with the outcome moves the estimate by at most
    :math:`\sqrt{\sigma^2 v\, s r / (1 - r)}`, with v the variance of the estimate per residual variance (Cinelli and
    Hazlett, 2020). On the contour at 0 the effect is gone; on its diagonal lies the robustness value.

    Parameters
    ----------
    coef : float
        The estimate.
    partial_r2 : float
        Its partial R².
    feature : str
        Its name.
    benchmarks : pandas.DataFrame, optional
        Columns ``r2_feature``, ``r2_outcome``, ``adjusted``, one row per confounder likened to a feature.

    {drawn}

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv import IVLikeRegression, Translation
    >>> from causalinv.inspection import ConfoundingContourDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 3))
    >>> y = X[:, 0] + 0.2 * X[:, 1] + rng.normal(size=200)
    >>> model = IVLikeRegression(augmentation=Translation([[0, 0, 1]])).fit(X, y)
    >>> display = ConfoundingContourDisplay.from_estimator(model, "x0", benchmarks=["x1"])
    >>> bool(display.adjusted(0.0, 0.5) == model.coef_[0])
    True
    """

    def __init__(self, coef: float, partial_r2: float, *, feature: str, benchmarks: pd.DataFrame | None = None) -> None:
        self.coef = coef
        self.partial_r2 = partial_r2
        self.feature = feature
        self.benchmarks = benchmarks

    @classmethod
    def from_estimator(
        cls, model: IVLikeRegression, feature: str | int, *, benchmarks: Sequence[str | int] = (), multiple: float = 1.0
    ) -> Self:
        """Read an effect of a fitted regression that imposes its invariance.

        Parameters
        ----------
        model : IVLikeRegression
            Fitted at ``alpha=0``, one outcome.
        feature : str or int
            Whose effect, by name or position.
        benchmarks : sequence of str or int
            Features to liken confounders to; see `IVLikeRegression.confounder_like`.
        multiple : float > 0, default 1
            Times as strong as they are.

        {made}
        """
        table = model.sensitivity(0.0)
        names = list(table.index)
        if feature not in names:
            if not isinstance(feature, int | np.integer) or not 0 <= feature < len(names):
                raise ValueError(f"feature must be one of {names}, or its position; got {feature!r}.")
            feature = names[int(feature)]
        at = names.index(feature)
        coef, share = (float(table[column].to_numpy()[at]) for column in ("coef", "partial_r2"))
        found = [model.confounder_like(feature, like, multiple=multiple) for like in benchmarks]
        frame = pd.DataFrame(found) if found else None
        return cls(coef, share, feature=str(feature), benchmarks=frame)

    def adjusted(self, r2_feature: Any, r2_outcome: Any) -> Any:
        """Estimate that is left, moved towards and past 0, for partial R² with feature and outcome (broadcast)."""
        r, s = np.asarray(r2_feature, dtype=np.float64), np.asarray(r2_outcome, dtype=np.float64)
        odds = (1.0 - self.partial_r2) / self.partial_r2 if self.partial_r2 > 0 else np.inf
        return self.coef * (1.0 - np.sqrt(odds * s * r / (1.0 - r)))

    def plot(self, ax: Any = None, *, limit: float = 0.5) -> Self:
        """Draw the contours.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        limit : float, default 0.5
            Largest partial R² on both axes.

        Returns
        -------
        self
        """
        if not 0 < limit < 1:
            raise ValueError(f"limit must be a number between 0 and 1, got {limit!r}.")
        return self._show(ax, limit)

    def _size(self) -> tuple[float, float]:
        return 5.0, 4.5

    def _draw(self, ax: Any, limit: float = 0.5) -> None:
        grid = np.linspace(0.0, limit, 101)
        left = self.adjusted(grid[None, :], grid[:, None])
        lines = ax.contour(grid, grid, left, levels=9, colors="0.55", linewidths=0.8)
        ax.clabel(lines, fontsize="x-small")
        if left.min() < 0 < left.max():
            ax.contour(grid, grid, left, levels=[0.0], colors=BLACK, linestyles="--", linewidths=1.8)
            ax.plot([], [], color=BLACK, linestyle="--", linewidth=1.8, label="the effect is gone")
        if self.benchmarks is not None:
            for name, row in self.benchmarks.iterrows():
                r, s = float(row["r2_feature"]), float(row["r2_outcome"])
                beyond = "" if max(r, s) <= limit else f" (at {r:.2g}, {s:.2g})"
                r, s = min(r, limit), min(s, limit)
                ax.plot(r, s, "D", color=BLUE, clip_on=False)
                side = "right" if r > 0.7 * limit else "left"
                ax.annotate(f" {name}{beyond} ", (r, s), fontsize="x-small", ha=side, va="top")
            ax.plot([], [], "D", color=BLUE, label="as strong as this feature")
        ax.set(
            xlabel=f"partial R² of the confounder with {self.feature}",
            ylabel="partial R² of the confounder with the outcome",
            xlim=(0, limit),
            ylim=(0, limit),
        )
        ax.set_title(f"effect of {self.feature} that is left; unadjusted {self.coef:.3g}", fontsize="medium", wrap=True)
        ax.legend(fontsize="x-small", loc="lower right")
