"""Display of the path of IV-like regression over all strengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._printing import percent
from causalinv._typing import ArrayLike
from causalinv._validation import check_confidence_level, check_list
from causalinv.inspection._axes import BLACK, BLUE, CYCLE, GREY, ORANGE, STYLES, Display
from causalinv.ivlike import IVLikeRegression
from causalinv.metrics import ncer

__all__ = ["IVLikePathDisplay"]

_SHOWN = 6


@dataclass(eq=False, repr=False)
class IVLikePathDisplay(Display):
    """Coefficients of an IV-like regression against its strength, with least squares beside; errors if truth is known.

    The horizontal axis is gamma = (1 + alpha) / alpha: by how much the size of the augmentation's shifts is multiplied,
    squared. At 1 stands least squares on augmented rows; to the right the fit relies ever more on the invariance.

    Parameters
    ----------
    path : pandas.DataFrame
        Columns ``gamma``, ``feature``, ``coef``, ``lower``, ``upper``; the last two NaN without rows.
    least_squares : pandas.Series
        Coefficients of least squares, by feature.
    gamma : float
        Strength of the fit.
    confidence_level : float
        Of the bands.
    errors : pandas.Series or None
        Error at each gamma, and at 0 that of least squares.
    n_features : int, optional
        Of how many features these were chosen as those that differ most from least squares; the legend says it.

    Examples
    --------
    >>> from causalinv import IVLikeRegression, Translation
    >>> from causalinv.datasets import make_confounded_linear
    >>> from causalinv.inspection import IVLikePathDisplay
    >>> world = make_confounded_linear(500, n_features=3, random_state=0)
    >>> model = IVLikeRegression(0.1, augmentation=Translation(world.directions)).fit(world.X, world.y)
    >>> display = IVLikePathDisplay.from_estimator(model, truth=world.coef)
    >>> bool(display.errors.iloc[-1] < display.errors.iloc[0])
    True
    """

    path: pd.DataFrame
    least_squares: pd.Series
    _: KW_ONLY
    gamma: float
    confidence_level: float = 0.95
    errors: pd.Series | None = None
    n_features: int | None = None

    @classmethod
    def from_estimator(
        cls,
        model: IVLikeRegression,
        *,
        gammas: ArrayLike | None = None,
        features: Sequence[str | int] | None = None,
        truth: ArrayLike | None = None,
        cov: ArrayLike | None = None,
        confidence_level: float = 0.95,
    ) -> Self:
        """Read the path of a fitted regression of one outcome.

        Parameters
        ----------
        model : IVLikeRegression
            Fitted on rows for bands, on moments without them.
        gammas : array-like of shape (m,), optional
            Above 1; 41 from 1.01 to 1e4 if left out.
        features : sequence of str or int, optional
            What to show, by name or position; left out, the six that differ most from least squares.
        truth : array-like of shape (d,), optional
            True coefficients, for errors.
        cov : array-like of shape (d, d), optional
            Norm of the error; see `causalinv.metrics.ncer`.
        confidence_level : float, default 0.95

        {made}
        """
        level = check_confidence_level(confidence_level)
        grid = np.logspace(np.log10(1.01), 4, 41) if gammas is None else np.asarray(gammas, dtype=np.float64)
        if grid.ndim != 1 or not len(grid) or not (grid > 1).all() or not np.isfinite(grid).all():
            raise ValueError(f"gammas must be finite numbers above 1, got {gammas!r}.")
        table = model.summary().to_frame()
        if isinstance(table.index, pd.MultiIndex):
            raise ValueError("IVLikePathDisplay shows one outcome; fit them one by one.")
        table = table.iloc[: len(model.coef_)]  # without controls
        names = list(table.index)
        differs = (table["estimate"] - table["least squares"]).abs().to_numpy().argsort(kind="stable")[::-1]
        asked = differs[:_SHOWN] if features is None else check_list(features, "features", "names or positions")
        order = [_name(each, names) for each in asked]
        at = [names.index(name) for name in order]
        coefs = model.gamma_path(grid)
        bands = np.full((*coefs.shape, 2), np.nan)
        if "s.e." in table:
            bands = np.stack([model.confint(at=1.0 / (g - 1.0), confidence_level=level) for g in grid])
        frames = [
            pd.DataFrame(
                {
                    "gamma": grid,
                    "feature": name,
                    "coef": coefs[:, j],
                    "lower": bands[:, j, 0],
                    "upper": bands[:, j, 1],
                }
            )
            for name, j in zip(order, at, strict=True)
        ]
        errors = None
        if truth is not None:
            points = {0.0: model.least_squares_coef_} | dict(zip(grid.tolist(), coefs, strict=True))
            errors = pd.Series({g: ncer(c, truth, cov=cov) for g, c in points.items()}, name="error")
        reference = pd.Series(model.least_squares_coef_, index=names)[order]
        return cls(
            pd.concat(frames, ignore_index=True),
            reference,
            gamma=model.gamma_,
            confidence_level=level,
            errors=errors,
            n_features=len(names) if features is None else None,
        )

    def _size(self) -> tuple[float, float]:
        return 6.0, 4.0

    def _draw(self, ax: Any) -> None:
        for k, (name, part) in enumerate(self.path.groupby("feature", sort=False)):
            colour = CYCLE[k % len(CYCLE)]
            ax.plot(part["gamma"], part["coef"], color=colour, linestyle=STYLES[k % len(STYLES)], label=str(name))
            ax.fill_between(part["gamma"], part["lower"], part["upper"], color=colour, alpha=0.15, linewidth=0)
            ax.axhline(self.least_squares[name], color=colour, linestyle=":", linewidth=1)
            ax.plot(part["gamma"].iloc[0], self.least_squares[name], "<", color=colour, markersize=5)
        self._finish("coefficient (dotted, arrow: least squares)")
        shown = len(self.least_squares)
        chosen = self.n_features is not None and shown < self.n_features
        ax.legend(
            fontsize="small",
            loc="center left",
            bbox_to_anchor=(1.0, 0.5),
            frameon=False,
            title=f"{shown} of {self.n_features} features,\nfarthest from least squares" if chosen else None,
            title_fontsize="small",
        )
        if self.path["lower"].notna().any():
            ax.set_title(f"bands: {percent(self.confidence_level)}, about the limit at each gamma", fontsize="small")

    def plot_error(self, ax: Any = None) -> Self:
        """Draw the error against the known truth, beside least squares and the zero vector.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        self
        """
        if self.errors is None:
            raise ValueError("There are no errors to draw: pass truth= to from_estimator.")
        self._open(ax)
        inside = self.errors[self.errors.index > 0]
        self.ax_.plot(inside.index, inside, color=BLUE, label="IV-like regression")
        self.ax_.axhline(self.errors.loc[0.0], color=ORANGE, linestyle=":", label="least squares")
        self.ax_.axhline(0.5, color=BLACK, linestyle="--", label="zero vector")
        self._finish("normalised error")
        self.ax_.set_ylim(bottom=0.0)
        self.ax_.legend(fontsize="small", frameon=False)
        return self

    def _finish(self, label: str) -> None:
        right = float(self.path["gamma"].max())
        chosen = min(self.gamma, right) if self.gamma > 0 else np.nan
        if np.isfinite(chosen):
            says = (
                f"chosen: gamma = {self.gamma:.3g}" if np.isfinite(self.gamma) else "chosen: alpha = 0 (gamma infinite)"
            )
            self.ax_.axvline(chosen, color=GREY, linewidth=3, zorder=0, label=says)
        self.ax_.set(xscale="log", xlabel="gamma = (1 + alpha) / alpha", ylabel=label)


def _name(feature: str | int, names: list[Any]) -> Any:
    if feature in names:
        return feature
    if isinstance(feature, int | np.integer) and 0 <= feature < len(names):
        return names[int(feature)]
    raise ValueError(f"features must be names or positions of {names}, got {feature!r}.")
