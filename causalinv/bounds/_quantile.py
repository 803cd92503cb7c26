"""Bounds on quantiles of a potential outcome: finite without any limit of the outcome."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.stats import binom

from causalinv._printing import Summary
from causalinv._typing import FloatArray, RandomState
from causalinv._typing import Rows as Given
from causalinv._validation import check_confidence_level, check_number
from causalinv.bounds._arm_law import ArmLaw, JoinedLaw
from causalinv.bounds._contrast import Ends
from causalinv.bounds._crossfitted import CrossFittedBounds
from causalinv.bounds._functions import density_ratio_of
from causalinv.bounds._inference import quantile_of, ratio_of_means
from causalinv.bounds._laws import LawLike
from causalinv.results import BoundsEstimate, PointwiseBounds

__all__ = ["QuantileBounds"]


class QuantileBounds(CrossFittedBounds):
    r"""Bounds on a quantile of Y(a), one arm at a time.

    Under no assumption the cdf of Y(a) lies in :math:`[eF, eF + 1 - e]`, so its quantile lies between the arm's
    quantiles of order :math:`(\tau - 1 + e)/e` and :math:`\tau/e`: the lower end is finite if :math:`\tau > 1 - e`, the
    upper one if :math:`\tau < e`. No contrast is offered: the upper end of that of two arms would need
    :math:`\tau < e_a` and :math:`\tau > 1 - e_b = e_a` at once, and the lower one likewise, so neither is ever finite.

    Parameters
    ----------
    tau : float, default 0.5
        Order of the quantile, strictly between 0 and 1.
    outcome_support : (float, float) or None, default None
        Limits of the outcome, which replace infinite ends.
    features, propensity, outcome, law, cv, clip, n_repeats, n_jobs, random_state
        As in `SensitivityBounds`; fitted when `predict_bounds`, or a question with an odds ratio, first needs them.

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.bounds import QuantileBounds
    >>> treatment = np.r_[np.zeros(20), np.ones(80)].astype(int)
    >>> y = np.r_[np.zeros(20), np.arange(80)]
    >>> model = QuantileBounds().fit(np.zeros((100, 1)), y, treatment=treatment)
    >>> bounds = model.population_bounds(arm=1)
    >>> bounds.lower, bounds.upper
    (29.0, 49.0)
    """

    _title: ClassVar[str] = "Quantile bounds"
    _limits_needed: ClassVar[bool] = False
    _learns_at_once: ClassVar[bool] = False

    def __init__(
        self,
        *,
        tau: float = 0.5,
        outcome_support: tuple[float, float] | None = None,
        features: Any = None,
        propensity: Any = None,
        outcome: Any = None,
        law: LawLike = "auto",
        cv: int = 5,
        clip: float = 0.01,
        n_repeats: int = 1,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ):
        given = {"features": features, "propensity": propensity, "law": law, "random_state": random_state}
        folds: dict[str, Any] = {"cv": cv, "clip": clip, "n_repeats": n_repeats, "n_jobs": n_jobs}
        super().__init__(outcome_support=outcome_support, **given, **folds)
        self.tau = tau
        self.outcome = outcome

    def _check(self) -> int:
        tau = check_number(self.tau, "tau", low=0.0, high=1.0, open_low=True)
        if tau == 1.0:
            raise ValueError("tau must be below 1, got 1.0.")
        return super()._check()

    def population_bounds(self, *, arm: Hashable | None = None, confidence_level: float = 0.95) -> BoundsEstimate:
        """Bounds on the quantile of Y(arm) over all rows; no propensity or law enters.

        Parameters
        ----------
        arm : label, optional
            May be left out if the arms are 0 and 1: then 1.
        confidence_level : float, default 0.95
            Of an interval that covers both ends: all values at which no test rejects that the quantile is there. Exact
            binomial tests if rows are independent and of one weight, so for discrete outcomes too; else score tests
            with the variance at order `tau`.

        Returns
        -------
        BoundsEstimate
            Standard errors are NaN: intervals of quantiles do not need them.
        """
        level = check_confidence_level(confidence_level)
        a, rows = self._arm(arm), self._rows
        inside = rows.codes == a
        values = [np.where(inside, rows.phi, limit) for limit in self._limits[a]]
        lower, upper = (_quantile(each, rows.weight, self.tau) for each in values)
        low, high = self._limit(values[0], level, lower, -1), self._limit(values[1], level, upper, 1)
        line = {
            "lower": lower,
            "upper": upper,
            "se_lower": np.nan,
            "se_upper": np.nan,
            "ci_lower": low,
            "ci_upper": high,
        }
        table = pd.DataFrame([line | {"manski_lower": lower, "manski_upper": upper}], index=["no assumption"])
        text = f"{self.tau:g}-quantile of Y if all rows took arm {rows.arms.tolist()[a]!r}"
        claim = f"none about confounding; {self._support_text}"
        return BoundsEstimate(self._title, text, claim, table, level, len(rows.codes), target="set")

    def _limit(self, values: FloatArray, level: float, end: float, sign: int) -> float:
        """Confidence limit of the quantile of `values` below (-1) or above (1) its estimate, of one-sided error."""
        rows, n, tail = self._rows, len(values), (1.0 - level) / 2.0
        support = np.unique(values)
        if rows.weight is None and self._clusters is None:
            # A quantile below the k-th value needs that fewer than k of n rows lie at or below it.
            k = int(binom.ppf(tail, n, self.tau)) if sign < 0 else int(binom.isf(tail, n, self.tau)) + 1
            return float(np.sort(values)[k - 1]) if 0 < k <= n else self._farthest(support, sign)
        c = quantile_of(0.5 + level / 2.0, self._df)
        found = at = int(np.searchsorted(support, end))
        while 0 <= at < len(support):
            below = (values <= support[at]) if sign < 0 else (values < support[at])
            share, error = ratio_of_means(below - self.tau, None, rows.weight, self._clusters, centre=0.0)
            if -sign * share < -c * error:
                return float(support[found])
            found, at = at, at + sign
        return self._farthest(support, sign)

    def _farthest(self, support: FloatArray, sign: int) -> float:
        limits = self._limits[:, 0 if sign < 0 else 1]
        return float(min(limits.min(), support[0]) if sign < 0 else max(limits.max(), support[-1]))

    def summary(self, *, arm: Hashable | None = None) -> Summary:
        """What was fitted and what follows, on one screen of 80 columns.

        Parameters
        ----------
        {arm}

        Returns
        -------
        Summary
            Rows per arm and the ends under no assumption, with their 95% interval.
        """
        found = self.population_bounds(arm=arm)
        table = found.table[["lower", "upper", "ci_lower", "ci_upper"]].rename(columns=lambda c: c.replace("_", " "))
        notes = (f"rows: {self._arms_text()}", "no learner enters; with an odds ratio, propensity and law do")
        return Summary(self._title, found.estimand, found.assumption, table, notes)

    def predict_bounds(
        self, X: Given, *, arm: Hashable | None = None, odds_ratio: float | None = None
    ) -> PointwiseBounds:
        """Bounds on the quantile of Y(arm) given each row of features.

        Parameters
        ----------
        {pointwise}
        {arm}
        odds_ratio : float >= 1, optional
            Limit of confounding as in `SensitivityBounds`, which makes both ends finite; no assumption if left out.

        Returns
        -------
        PointwiseBounds
            No standard errors.
        """
        features = self._numbers(X)
        a, rows = self._arm(arm), self._rows
        cap = None if odds_ratio is None else density_ratio_of(odds_ratio, None)
        e, law = self._at(features, a)
        plain = self._ends(e, law, a, None)
        ends = plain if cap is None else self._ends(e, law, a, cap)
        text = f"{self.tau:g}-quantile of Y under arm {rows.arms.tolist()[a]!r} at each row"
        claim = f"none about confounding; {self._support_text}"
        if cap is not None:
            claim = f"said by you: knowing Y(a) would change the odds of the arm by a factor of at most {odds_ratio:g}"
        return PointwiseBounds(*ends, *plain, e, text, claim)

    def _ends(self, e: FloatArray, law: ArmLaw | JoinedLaw, arm: int, cap: tuple[float, float] | None) -> Ends:
        """Invert the largest and the least cdf that the law outside the arm allows."""
        lower, upper = np.empty(len(e)), np.empty(len(e))
        parts = law.parts if isinstance(law, JoinedLaw) else [(np.arange(len(e)), law)]
        for at, part in parts:
            below, mix = part.below, e[at][:, None]
            most, least = caps_of(below, cap)
            lower[at], upper[at] = (self._invert(mix * below + (1.0 - mix) * o, part, arm) for o in (most, least))
        if cap is None:  # mass outside the arm may lie below all atoms
            lower = np.where(1.0 - e >= self.tau, self._limits[arm][0], lower)
        return lower, upper

    def _invert(self, cdf: FloatArray, law: ArmLaw, arm: int) -> FloatArray:
        at = np.sum(cdf < self.tau - 1e-12, axis=1)
        found = law.moved(law.atoms[np.minimum(at, len(law.atoms) - 1)])
        return np.clip(np.where(at < len(law.atoms), found, self._limits[arm][1]), *self._limits[arm])


def caps_of(below: FloatArray, cap: tuple[float, float] | None) -> tuple[FloatArray, FloatArray]:
    """Largest and least cdf outside the arm, given that inside; without a cap 1 and 0."""
    if cap is None:
        return np.ones_like(below), np.zeros_like(below)
    m, M = cap
    return np.minimum(M * below, 1.0 - m * (1.0 - below)), np.maximum(m * below, 1.0 - M * (1.0 - below))


def _quantile(values: FloatArray, weight: FloatArray | None, order: float) -> float:
    """The least value at which the weighted cdf reaches an order, which is first brought into [0, 1]."""
    at = np.argsort(values, kind="stable")
    share = np.full(len(values), 1.0 / len(values)) if weight is None else weight[at] / weight.sum()
    position = int(np.searchsorted(np.cumsum(share), min(max(order, 0.0), 1.0) - 1e-12))
    return float(values[at[min(position, len(values) - 1)]])
