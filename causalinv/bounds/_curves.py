"""Bounds as a function of one covariate, with bands over the whole curve."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
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
from causalinv.bounds._location import hats, spline_basis, spline_knots
from causalinv.bounds._means import MeanBounds
from causalinv.bounds._nesting import Ladder
from causalinv.bounds._unseen import beyond
from causalinv.results import BoundsEstimate

__all__ = ["ConditionalCurves"]

_KNOTS = 7
_HATS = 5  # knots of the smoothed squares of residuals
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
            these splines. Errors are HC3, or those with squared residuals smoothed along the covariate where they are
            larger; or of clusters. The critical value is by Gaussian multipliers of HC3 or of clusters, turned into one
            of Student's t with as many degrees of freedom as the unequal terms of the smoothed (or clusters') error
            leave. Manski's ends are those of the same regression.

        Notes
        -----
        The band is asymptotic: in 600 simulated data sets of 500 rows it held the whole of a smooth curve in 96%, of a
        wavy one in 97% (s.e. 1%; ``benchmarks/results/bounds_coverage.md``). It is that of the next odds ratio on a
        fixed ladder (steps of 0.1 up to 3), and holds those of smaller ones.
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
        at_own, *below = [[fit.regressed(each) for each in self._scores_of(contrast, cap)] for cap in (own, *rungs)]
        between = [[fit.value(each) for each in self._scores_of(contrast, cap)] for cap in steps]
        ladder_ends = lower, upper = (
            ladder.falling([low.value for low, _ in below], [low for low, _ in between]),
            -ladder.falling([-high.value for _, high in below], [-high for _, high in between]),
        )
        reach = fit.reach(below, level)
        more = self._along(fit, contrast, rungs, level, reach)
        out = reach + more.sum(axis=2)
        band = (  # the next rung's, which holds those before
            np.min([ends[0].value - each[:, 0] for ends, each in zip(below, out, strict=True)], axis=0),
            np.max([ends[1].value + each[:, 1] for ends, each in zip(below, out, strict=True)], axis=0),
        )
        manski = [np.clip(end, *self._possible(contrast)) for end in self._manski_curve(fit, contrast)]
        lower, upper = (np.clip(end, *np.sort(manski, axis=0)) for end in ladder_ends)  # splines may cross
        low, high = np.minimum(band[0], lower), np.maximum(band[1], upper)
        lower, upper, low, high = (np.clip(each, *self._possible(contrast)) for each in (lower, upper, low, high))
        table = pd.DataFrame(
            {
                "lower": lower,
                "upper": upper,
                "se_lower": at_own[0].error,
                "se_upper": at_own[1].error,
                "ci_lower": low,
                "ci_upper": high,
                "manski_lower": manski[0],
                "manski_upper": manski[1],
            },
            index=pd.Index(fit.grid, name=str(column)),
        )
        poor = self._poor_overlap(contrast)
        moved = more[:, :, 1].any(axis=(0, 2)) | (lower != ladder_ends[0]) | (upper != ladder_ends[1])
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
            moved=tuple(moved.tolist()),
        )

    def _manski_curve(self, fit: _Fit, contrast: Contrast) -> tuple[FloatArray, FloatArray]:
        """Ends under no assumption, by the same regression; infinite where a limit is."""
        if not np.isfinite(self._limits).all():
            nowhere = np.full(len(fit.grid), np.inf)
            return -nowhere, nowhere
        low, high = (fit.value(score) for score in self._manski_terms(contrast))
        return low, high

    def _along(self, fit: _Fit, contrast: Contrast, caps: list[Any], level: float, reach: FloatArray) -> FloatArray:
        """What bands add to their errors (k, g, 2), (k, g, 2, 2): of few and of no unlike outcomes, down and up."""
        arms, repeats = self._rare(contrast), range(self._n_repeats())
        more = np.zeros((*reach.shape, 2))
        if not arms:
            return more
        shares, groups = fit.shares(), self._rows.groups
        for cap, errors, found in zip(caps, reach, more, strict=True):
            pulls = [np.mean([self._pull(contrast, cap, r, arm) for r in repeats], axis=0) for arm in arms]
            for share, error, at in zip(shares, errors, found, strict=True):
                each = [share[arm.own] * pull for arm, pull in zip(arms, pulls, strict=True)]
                at[:] = beyond(arms, each, groups, level, (error[0], error[1]))
        return more

    def _scores_of(self, contrast: Contrast, cap: Any) -> list[FloatArray]:
        """Scores of both ends, means over the repeats."""
        found = [self._terms(contrast, cap, r) for r in range(self._n_repeats())]
        return [np.mean(each, axis=0) for each in zip(*found, strict=True)]


@dataclass(frozen=True)
class _End:
    """An end on the grid: its value, what each row or cluster adds to its error (n, g), its error and their freedom."""

    value: FloatArray
    part: FloatArray
    error: FloatArray
    df: FloatArray


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
        self.hats = hats(x, np.unique(np.quantile(x, np.linspace(0.0, 1.0, _HATS), method="inverted_cdf")))
        self.weight = np.ones(len(x)) if self.rows.weight is None else self.rows.weight
        self.moved = self.weight[:, None] * self.design
        self.bread = pseudo_inverse(self.design.T @ self.moved)
        self.along = self.design @ self.bread @ self.new.T  # of a weighted score in the fit at the grid (n, g)
        self.free = np.maximum(1.0 - np.sum((self.moved @ self.bread) * self.design, axis=1), _FITTED)

    def shares(self) -> FloatArray:
        """Share (g, n) of every row's score in the fit."""
        return self.along.T * self.weight

    def value(self, score: FloatArray) -> FloatArray:
        """Fit at the grid (g,)."""
        return self.new @ (self.bread @ (self.moved.T @ score))

    def regressed(self, score: FloatArray) -> _End:
        """Fit at the grid, and its errors: HC3, or more where squared residuals along the covariate say so."""
        left = self.weight * (score - self.design @ (self.bread @ (self.moved.T @ score)))
        groups = self.rows.groups
        if groups is not None:
            part = np.zeros((int(groups.max()) + 1, self.along.shape[1]))
            np.add.at(part, groups, self.along * left[:, None])
            part *= np.sqrt(len(part) / max(len(part) - 1, 1))
            return _End(self.value(score), part, _norm(part), _freedom(part))
        part = self.along * (left / self.free)[:, None]
        smooth = self.smoothed * np.abs(left / np.sqrt(self.free))[:, None]
        return _End(self.value(score), part, np.maximum(_norm(part), _norm(smooth)), _freedom(smooth))

    @cached_property
    def smoothed(self) -> FloatArray:
        """Multiples (n, g) of residuals, whose squares are those of `along` if residuals' squares are smoothed."""
        mass = self.hats.sum(axis=0)
        out: FloatArray = np.sqrt(self.hats @ (self.hats.T @ self.along**2 / mass[:, None]))
        return out

    def reach(self, rungs: list[list[_End]], level: float) -> FloatArray:
        """How far beyond the ends of every rung its band goes, (k, g, 2): all ends, values and rungs at once."""
        parts = np.hstack([part for low, high in rungs for part in (low.part, -high.part)])
        share = ndtr(critical_of(parts, level, np.inf, self.seed))
        return np.array(
            [
                np.column_stack([stdtrit(np.minimum(self.df, end.df), share) * end.error for end in ends])
                for ends in rungs
            ]
        )


def _norm(part: FloatArray) -> FloatArray:
    unit = float(np.abs(part).max(initial=0.0)) or 1.0  # squares of the parts may be no floats
    out: FloatArray = unit * np.sqrt(np.sum((part / unit) ** 2, axis=0))
    return out


def _freedom(part: FloatArray) -> FloatArray:
    """Degrees of freedom of a sum of squares, from how unequal these are: 2 (sum)^2 over the sum's variance."""
    square = (part / np.maximum(np.abs(part).max(axis=0), 1e-300)) ** 2
    total = square.sum(axis=0)
    variance = np.sum(square**2, axis=0) - total**2 / len(square)
    least = np.where(total > 0, np.maximum(variance, 1e-12 * total**2), 1.0)
    return np.where(total > 0, np.maximum(2.0 * total**2 / least, 1.0), np.inf)  # no residuals: there is no error
