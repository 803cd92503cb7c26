"""Quantiles of Y(a) over all rows when confounding is limited: bounds on its cdf, inverted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalinv._clusters import RobustCovariance
from causalinv._typing import BoolArray, FloatArray
from causalinv.bounds._contrast import Ends
from causalinv.bounds._crossfit import CrossFit
from causalinv.bounds._functions import Cap, density_ratio_of
from causalinv.bounds._inference import band_critical_value, combine, quantile_of, ratio_of_means
from causalinv.bounds._nesting import Ladder
from causalinv.bounds._rows import Rows
from causalinv.bounds._scores import manski_scores
from causalinv.bounds._unseen import more_of_few

__all__ = ["CdfBounds"]

_GRID = 200  # values at which the cdf is looked at before the place is refined


class CdfBounds:
    """Estimated bounds on the cdf of Y(arm) under several caps at once, with errors, at any value.

    Under a cap the score of 1{Y <= t} is doubly robust, its law given x being the conditional law of the outcome at t;
    without one (None) it is Manski's, an ordinary mean. Under an odds ratio the first cap is the asked one, then come
    the rungs and the steps of its ladder.
    """

    def __init__(
        self,
        rows: Rows,
        fits: list[CrossFit],
        *,
        arm: int,
        ladder: Ladder | None,
        clusters: RobustCovariance | None,
        df: float,
    ) -> None:
        self.rows, self.fits, self.arm, self.ladder = rows, fits, arm, ladder
        self.caps: list[Cap | None] = [None]
        self._of_rungs = slice(0, 1)  # among the caps: what intervals are made of
        if ladder is not None:
            rungs, steps = ladder.caps
            self.caps = [density_ratio_of(ladder.odds_ratio, None), *rungs, *steps]
            self._of_rungs = slice(1, 1 + len(rungs))
        self.clusters, self.df = clusters, df
        self.inside: BoolArray = rows.codes == arm
        self.values = np.unique(rows.phi[self.inside])
        self._known: dict[float, FloatArray] = {}

    def scores(self, cut: float, repeat: int = 0, n_caps: int | None = None) -> list[Ends]:
        """Terms of the least and the largest P(Y(arm) <= cut), for every cap."""
        below = (self.rows.phi <= cut).astype(float)
        out: list[Ends] = []
        p = None
        for cap in self.caps[:n_caps]:
            if cap is None:
                out.append(manski_scores(below, self.inside, np.array([0.0, 1.0])))
                continue
            fit = self.fits[repeat]
            p = np.clip(fit.laws[self.arm].cdf(cut), 0.0, 1.0) if p is None else p
            out.append(indicator_scores(below, self.inside, fit.propensity[:, self.arm], p, cap))
        return out

    def at(self, cut: float) -> FloatArray:
        """Least and largest probability and their errors, shape (n_caps, 4)."""
        if cut not in self._known:
            found = np.array(
                [[self._means(ends) for ends in self.scores(cut, r)] for r in range(max(len(self.fits), 1))]
            )
            self._known[cut] = np.array(
                [
                    [
                        x
                        for pair in zip(combine(each[:, 0], each[:, 2]), combine(each[:, 1], each[:, 3]), strict=True)
                        for x in pair
                    ]
                    for each in np.moveaxis(found, 1, 0)
                ]
            )
        return self._known[cut]

    def _means(self, ends: Ends) -> list[float]:
        (low, se_low), (high, se_high) = (ratio_of_means(e, None, self.rows.weight, self.clusters) for e in ends)
        return [low, high, se_low, se_high]

    def grid(self) -> FloatArray:
        """Values of the arm, thinned to equal numbers of rows."""
        if len(self.values) <= _GRID:
            return self.values
        return self.values[np.unique(np.linspace(0, len(self.values) - 1, _GRID).round().astype(int))]

    def band(self, level: float, seed: int) -> float:
        """Critical value for all values at once, under the first cap."""
        every = self.grid()[:: max(1, len(self.grid()) // 60)]
        terms: list[Any] = [(self.scores(cut, 0, 1)[0], None) for cut in every]
        return band_critical_value(terms, self.rows, level, self.df, seed)

    def ends(self, tau: float, limits: FloatArray) -> tuple[float, float]:
        """Ends of the tau-quantile; a limit of the outcome where the cdf's bound never reaches tau."""
        order = tau - 1e-12
        lower = self._first(lambda cut: self._between(cut)[1] >= order, limits[1])
        if self.caps[0] is None and self.at(-np.inf)[0, 1] >= order:
            lower = float(limits[0])  # mass outside the arm may lie below all values
        return lower, self._first(lambda cut: self._between(cut)[0] >= order, limits[1])

    def _between(self, cut: float) -> tuple[float, float]:
        """Least and largest probability; of an odds ratio, so that they grow with it (`Ladder`)."""
        least, most = self.at(cut)[:, :2].T
        if self.ladder is None:
            return float(least[0]), float(most[0])
        rungs, steps = self._of_rungs, slice(self._of_rungs.stop, None)
        return (
            float(self.ladder.falling(least[rungs], least[steps])),
            -float(self.ladder.falling(-most[rungs], -most[steps])),
        )

    def interval(self, tau: float, level: float, limits: FloatArray, critical: float | None) -> tuple[float, float]:
        """All values at which no test rejects that the quantile is there, both ends at once."""
        c = quantile_of(0.5 + level / 2.0, self.df) if critical is None else critical

        def moved(cut: float, end: int) -> FloatArray:
            """The least (0) or largest (1) probability, moved outward by its error, with the variance about tau."""
            found = self.at(cut)[self._of_rungs]
            spread = c * np.hypot(found[:, 2 + end], (found[:, end] - tau) / np.sqrt(len(self.rows.codes)))
            spread += [
                self._more(cut, end, cap, level, by) for cap, by in zip(self.caps[self._of_rungs], spread, strict=True)
            ]
            return found[:, end] + (2 * end - 1) * spread

        lower = self._first(lambda cut: moved(cut, 1).max() >= tau, limits[1])
        if moved(-np.inf, 1).max() >= tau:  # below the sample nothing was seen, and not all is excluded
            lower = float(limits[0])
        return lower, self._first(lambda cut: moved(cut, 0).min() >= tau, limits[1])

    def _more(self, cut: float, end: int, cap: Cap | None, level: float, error: float) -> float:
        """What a spread lacks where few rows of the arm are above the cut (end 0) or not above it (1).

        Without an assumption the rows of other arms are above, or not, too.
        """
        inside = self.inside
        weight = np.ones(len(inside)) if self.rows.weight is None else self.rows.weight
        seen = inside & ((self.rows.phi <= cut) if end else (self.rows.phi > cut))
        if cap is None:
            share, seen = weight / float(weight.sum()), seen | ~inside
        else:
            e = self.fits[0].propensity[:, self.arm]
            share = np.where(inside, weight * (1.0 + cap[1] * (1.0 - e) / e), 0.0) / float(weight.sum())
        return more_of_few(share, seen, self.rows.groups, level, error)

    def _first(self, reached: Callable[[float], bool], otherwise: float) -> float:
        """The least value of the arm at which a condition that stays true becomes true."""
        low, high = -1, len(self.values)
        while high - low > 1:
            middle = (low + high) // 2
            if reached(float(self.values[middle])):
                high = middle
            else:
                low = middle
        return float(self.values[high]) if high < len(self.values) else float(otherwise)


def indicator_scores(
    below: FloatArray, inside: BoolArray, e: FloatArray, p: FloatArray, cap: tuple[float, float]
) -> Ends:
    """`cap_scores` of an indicator with mean p in the arm at each row: its cut is 0 or 1, so all is closed."""
    m, M = cap
    tail = (1.0 - m) / (M - m) if m < M else 0.5
    top, bottom = p >= tail, 1.0 - p >= tail
    most = np.where(top, 1.0 - m * (1.0 - p), M * p)
    least = np.where(bottom, m * p, 1.0 - M * (1.0 - p))
    high = np.where(top, 1.0 - m * (1.0 - below), M * below)
    low = np.where(bottom, m * below, 1.0 - M * (1.0 - below))
    odds = (1.0 - e) / e
    return (
        np.where(inside, below + odds * (low - least), least),
        np.where(inside, below + odds * (high - most), most),
    )
