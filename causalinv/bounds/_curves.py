"""Bounds as a function of one covariate, with bands over the whole curve."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtrit

from causalinv._matrix import pseudo_inverse
from causalinv._typing import ArrayLike, FloatArray
from causalinv._validation import check_confidence_level, check_numbers
from causalinv.bounds._contrast import Contrast, column_of
from causalinv.bounds._functions import finite_density_ratio
from causalinv.bounds._inference import POOR_OVERLAP, critical_of, said_of_freedom
from causalinv.bounds._location import spline_basis, spline_knots
from causalinv.bounds._means import MeanBounds
from causalinv.bounds._nesting import Ladder
from causalinv.bounds._unseen import beyond
from causalinv.results import BoundsEstimate

__all__ = ["ConditionalCurves"]

_KNOTS = 7
_FITTED = 1e-8  # one minus the leverage of a row that is fitted exactly, and has no residual


class ConditionalCurves(MeanBounds):
    """Adds curves along a covariate to bounds under an odds ratio."""

    def conditional_bounds(
        self,
        column: str | int,
        *,
        odds_ratio: float,
        estimand: str = "ate",
        grid: ArrayLike | None = None,
        arm: Hashable | None = None,
        control: Hashable | None = None,
        confidence_level: float = 0.95,
    ) -> BoundsEstimate:
        """Bounds on a mean or an effect given the value of one covariate, with a band over the curve.

        Parameters
        ----------
        column : str or int
            Name or position of a numeric column of X.
        odds_ratio : float >= 1
            Limit of confounding.
        estimand : {"ate", "mean"}, default "ate"
            Effect, or mean of Y(arm).
        grid : array-like of shape (g,), optional
            Values of the covariate, inside its range; 15 quantiles from 5% to 95% if left out.
        arm, control : label, optional
            May be left out if the arms are 0 and 1: then 1 and 0.
        confidence_level : float, default 0.95
            With which the band holds both ends at all values of the grid at once.

        Returns
        -------
        BoundsEstimate
            A row per value. Scores are regressed on cubic splines of the covariate: what is bounded is the best fit by
            these splines. Errors are HC3, or of clusters; the critical value is by Gaussian multipliers of either,
            turned into one of Student's t with as many degrees of freedom as the rows' unequal squares leave. Manski's
            ends are those of the same regression.

        Notes
        -----
        The band is asymptotic: in 600 simulated data sets of 500 rows it held the whole of a smooth curve in 93.5%, of
        a wavy one in 91% (s.e. 1%), and with more knots in less (``benchmarks/results/bounds_coverage.md``). It is that
        of the next odds ratio on a fixed ladder (steps of 0.1 up to 3), and holds those of smaller ones.
        """
        level = check_confidence_level(confidence_level)
        if estimand not in ("ate", "mean"):
            raise ValueError(f"estimand must be 'ate' or 'mean', got {estimand!r}.")
        asked = {"estimand": estimand, "arm": arm, "control": control, "policy": None}
        contrast, rows = self._contrast(asked), self._rows
        x = check_numbers(column_of(column, rows), "column")
        at = np.quantile(x, np.linspace(0.05, 0.95, 15)) if grid is None else check_numbers(grid, "grid").ravel()
        if not at.size or at.min() < x.min() or at.max() > x.max():
            raise ValueError(
                f"grid must hold values between {x.min():g} and {x.max():g}, which the column takes: beyond nothing "
                f"was seen; got {'none' if not at.size else f'{at.min():g} to {at.max():g}'}."
            )
        own = finite_density_ratio(odds_ratio)
        fit = _Fit(x, np.unique(at), self, contrast.df)
        ladder = Ladder.to(odds_ratio)
        rungs, steps = ladder.caps
        at_own, *each = [fit.of(self._scores_of(contrast, cap)) for cap in (own, *rungs, *steps)]
        below, between = each[: len(rungs)], each[len(rungs) :]
        band = fit.band(below, level)  # the next rung's
        ladder_ends = lower, upper = (
            ladder.falling([f.low for f in below], [f.low for f in between]),
            -ladder.falling([-f.high for f in below], [-f.high for f in between]),
        )
        more = self._along(fit, contrast, rungs[-1], level, np.column_stack([lower - band[0], band[1] - upper]))
        down, up = more.sum(axis=1).T
        manski = [np.clip(end, *self._possible(contrast)) for end in self._manski_curve(fit, contrast)]
        lower, upper = (np.clip(end, *np.sort(manski, axis=0)) for end in ladder_ends)  # splines may cross
        low, high = np.minimum(band[0] - down, lower), np.maximum(band[1] + up, upper)
        lower, upper, low, high = (np.clip(each, *self._possible(contrast)) for each in (lower, upper, low, high))
        table = pd.DataFrame(
            {
                "lower": lower,
                "upper": upper,
                "se_lower": at_own.se_low,
                "se_upper": at_own.se_high,
                "ci_lower": low,
                "ci_upper": high,
                "manski_lower": manski[0],
                "manski_upper": manski[1],
            },
            index=pd.Index(fit.grid, name=str(column)),
        )
        poor = self._poor_overlap(contrast)
        return BoundsEstimate(
            self._title,
            f"{contrast.text}, given {column!r}",
            self._claim({odds_ratio: own}),
            table,
            level,
            len(rows.codes),
            target="band",
            notes=(
                *self._notes(),
                *said_of_freedom(contrast.df, rows.groups, "curves"),
                *self._still(contrast, level),
                *([f"{POOR_OVERLAP}."] if poor else []),
            ),
            poor_overlap=poor,
            moved=tuple((more[:, 1].any(axis=1) | (lower != ladder_ends[0]) | (upper != ladder_ends[1])).tolist()),
        )

    def _manski_curve(self, fit: _Fit, contrast: Contrast) -> tuple[FloatArray, FloatArray]:
        """Ends under no assumption, by the same regression; infinite where a limit is."""
        if not np.isfinite(self._limits).all():
            nowhere = np.full(len(fit.grid), np.inf)
            return -nowhere, nowhere
        found = fit.of(self._manski_terms(contrast))
        return found.low, found.high

    def _along(self, fit: _Fit, contrast: Contrast, cap: Any, level: float, errors: FloatArray) -> FloatArray:
        """What a band adds to its errors (g, 2), (g, 2, 2): of few and of no unlike outcomes, down and up."""
        arms, repeats = self._rare(contrast), range(self._n_repeats())
        pulls = [np.mean([self._pull(contrast, cap, r, arm) for r in repeats], axis=0) for arm in arms]
        shares = fit.new @ fit.bread @ (fit.weight[:, None] * fit.design).T  # of every row's score in the fit
        groups = self._rows.groups

        def at(share: FloatArray, error: FloatArray) -> Any:
            each = [share[arm.own] * pull for arm, pull in zip(arms, pulls, strict=True)]
            return beyond(arms, each, groups, level, (error[0], error[1]))

        return np.array([at(share, error) for share, error in zip(shares, errors, strict=True)])

    def _scores_of(self, contrast: Contrast, cap: Any) -> tuple[FloatArray, FloatArray]:
        """Scores of both ends, means over the repeats."""
        found = [self._terms(contrast, cap, r) for r in range(self._n_repeats())]
        return np.mean([low for low, _ in found], axis=0), np.mean([high for _, high in found], axis=0)


class _Ends:
    """Fitted ends on the grid, what each row adds to their errors, and the errors."""

    def __init__(self, fit: _Fit, scores: tuple[FloatArray, FloatArray]) -> None:
        (self.low, self.part_low), (self.high, self.part_high) = (fit.regressed(score) for score in scores)
        self.se_low, self.se_high = (fit.error(part) for part in (self.part_low, self.part_high))


class _Fit:
    """Weighted least squares of scores on splines of one covariate."""

    def __init__(self, x: FloatArray, grid: FloatArray, model: MeanBounds, df: float) -> None:
        self.grid, self.rows, self.df, self.seed = grid, model._rows, df, model._later
        knots = spline_knots(x, _KNOTS)
        unit = float(x.std()) or 1.0
        self.design, self.new = (
            np.column_stack([np.ones(len(v)), (v - x.mean()) / unit]) if knots is None else spline_basis(v, knots)
            for v in (x, grid)
        )
        self.weight = np.ones(len(x)) if self.rows.weight is None else self.rows.weight
        self.bread = pseudo_inverse(self.design.T @ (self.weight[:, None] * self.design))

    def of(self, scores: tuple[FloatArray, FloatArray]) -> _Ends:
        return _Ends(self, scores)

    def regressed(self, score: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Fit at the grid (g,), and influence of every row or cluster (n, g)."""
        moved = self.weight[:, None] * self.design
        coef = self.bread @ (moved.T @ score)
        each = (moved * (score - self.design @ coef)[:, None]) @ self.bread @ self.new.T
        groups = self.rows.groups
        if groups is None:
            leverage = np.sum((moved @ self.bread) * self.design, axis=1)
            return self.new @ coef, each / np.maximum(1.0 - leverage, _FITTED)[:, None]  # HC3
        summed = np.zeros((int(groups.max()) + 1, each.shape[1]))
        np.add.at(summed, groups, each)
        return self.new @ coef, summed * np.sqrt(len(summed) / max(len(summed) - 1, 1))

    @staticmethod
    def error(part: FloatArray) -> FloatArray:
        out: FloatArray = np.sqrt(np.sum(part**2, axis=0))
        return out

    def band(self, rungs: list[_Ends], level: float) -> tuple[FloatArray, FloatArray]:
        """Band that holds those of all rungs: for both ends, at all values of the grid and all rungs at once."""
        parts = np.hstack([part for ends in rungs for part in (ends.part_low, -ends.part_high)])
        share = ndtr(critical_of(parts, level, np.inf, self.seed))

        def wide(part: FloatArray, error: FloatArray) -> FloatArray:
            return np.asarray(stdtrit(np.minimum(self.df, _freedom(part)), share) * error, dtype=np.float64)

        low = np.min([ends.low - wide(ends.part_low, ends.se_low) for ends in rungs], axis=0)
        high = np.max([ends.high + wide(ends.part_high, ends.se_high) for ends in rungs], axis=0)
        return low, high


def _freedom(part: FloatArray) -> FloatArray:
    """Degrees of freedom of a sum of squares, from how unequal these are: 2 (sum)^2 over the sum's variance."""
    square = (part / np.maximum(np.abs(part).max(axis=0), 1e-300)) ** 2
    total = square.sum(axis=0)
    variance = np.sum(square**2, axis=0) - total**2 / len(square)
    least = np.where(total > 0, np.maximum(variance, 1e-12 * total**2), 1.0)
    return np.where(total > 0, np.maximum(2.0 * total**2 / least, 1.0), np.inf)  # no residuals: there is no error
