"""Bounds on quantiles of a potential outcome: finite without any limit of the outcome."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy.stats import binom

from causalinv._printing import Summary
from causalinv._typing import ArrayLike, FloatArray, RandomState
from causalinv._typing import Rows as Given
from causalinv._validation import check_choice, check_confidence_level, check_number, check_numbers
from causalinv.bounds._arm_law import ArmLaw, JoinedLaw
from causalinv.bounds._contrast import Ends
from causalinv.bounds._crossfitted import CrossFittedBounds
from causalinv.bounds._functions import Cap, finite_density_ratio
from causalinv.bounds._inference import POOR_OVERLAP, freedom, said_of_freedom
from causalinv.bounds._laws import LawLike
from causalinv.bounds._nesting import Ladder
from causalinv.bounds._population_quantiles import CdfBounds
from causalinv.results import BoundsEstimate, PointwiseBounds

__all__ = ["QuantileBounds"]


class QuantileBounds(CrossFittedBounds):
    r"""Bounds on quantiles of Y(a), and on effects on quantiles if confounding is limited.

    Under no assumption the cdf of Y(a) lies in :math:`[eF, eF + 1 - e]`, so its quantile lies between the arm's
    quantiles of order :math:`(\tau - 1 + e)/e` and :math:`\tau/e`: the lower end is finite if :math:`\tau > 1 - e`, the
    upper one if :math:`\tau < e`. Without an assumption a contrast has no finite end, as the upper one of two arms
    would need :math:`\tau < e_a` and :math:`\tau > 1 - e_b = e_a` at once; under an odds ratio it has.

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

    _title: ClassVar[str] = "Quantile bounds: lowest and highest quantile that is left open"
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
        nuisances: dict[str, Any] = {"features": features, "propensity": propensity, "outcome": outcome, "law": law}
        folds: dict[str, Any] = {"cv": cv, "clip": clip, "n_repeats": n_repeats, "n_jobs": n_jobs}
        super().__init__(outcome_support=outcome_support, random_state=random_state, **nuisances, **folds)
        self.tau = tau

    def _check(self) -> int:
        check_order(self.tau)
        return super()._check()

    def population_bounds(
        self,
        *,
        arm: Hashable | None = None,
        tau: float | ArrayLike | None = None,
        odds_ratio: float | None = None,
        confidence_level: float = 0.95,
        target: str = "set",
    ) -> BoundsEstimate:
        """Bounds on quantiles of Y(arm) over all rows.

        Parameters
        ----------
        {arm}
        tau : float or array-like of floats, optional
            Orders; that of the estimator if left out.
        odds_ratio : float >= 1, optional
            Limit of confounding as in `SensitivityBounds`; propensity and law are then fitted. No assumption, and no
            learner, if left out.
        confidence_level : float, default 0.95
            Of an interval that covers both ends: all values at which no test rejects that the quantile is there. Exact
            binomial tests without an assumption if rows are independent and of one weight, so for discrete outcomes
            too; else score tests with the variance at order `tau`, which where few rows of the arm lie beyond reach as
            far as Fay and Feuer's (1997) limit for rare events, with the mean weight of a further one.
        target : {"set", "band"}, default "set"
            Each order by itself, or all orders, and all others too, at once: the critical value is that of the whole
            cdf, by Gaussian multipliers.

        Returns
        -------
        BoundsEstimate
            A row per order. Standard errors are NaN: intervals of quantiles do not need them.
        """
        level, a = check_confidence_level(confidence_level), self._arm(arm)
        lines = self._quantiles(
            a, self._orders(tau), odds_ratio, level, check_choice(target, "target", ("set", "band"))
        )
        which = f"{self.tau:g}-quantile" if tau is None else "quantiles"
        text = f"{which} of Y if all rows took arm {self._rows.arms.tolist()[a]!r}"
        return self._estimate(lines, text, odds_ratio, level, target=target, arms=[a])

    def effect_bounds(
        self,
        *,
        odds_ratio: float,
        arm: Hashable | None = None,
        control: Hashable | None = None,
        tau: float | ArrayLike | None = None,
        confidence_level: float = 0.95,
        target: str = "set",
    ) -> BoundsEstimate:
        """Bounds on quantiles of Y(arm) minus those of Y(control), over all rows.

        Parameters
        ----------
        odds_ratio : float >= 1
            Limit of confounding: without one no end is ever finite.
        arm, control : label, optional
            May be left out if the arms are 0 and 1: then 1 and 0.
        tau, target
            As in `population_bounds`.
        confidence_level : float, default 0.95
            Of an interval that covers both ends: from intervals of the two arms, each with half the error.

        Returns
        -------
        BoundsEstimate
        """
        level = check_confidence_level(confidence_level)
        arms = [self._arm(arm), self._arm(control, "control", 0)]
        labels = [self._rows.arms.tolist()[each] for each in arms]
        if arms[0] == arms[1]:
            raise ValueError(f"arm and control are both {labels[0]!r}; they must differ.")
        orders, how = self._orders(tau), check_choice(target, "target", ("set", "band"))
        top, bottom = (self._quantiles(each, orders, odds_ratio, (1.0 + level) / 2.0, how) for each in arms)
        lines = {}
        for order, mine in top.items():
            other = bottom[order]
            ends = [f"{kind}{end}" for kind in ("", "ci_", "manski_") for end in ("lower", "upper")]
            mirror = {"lower": "upper", "upper": "lower"}
            with np.errstate(invalid="ignore"):
                lines[order] = {name: mine[name] - other[name.replace(name[-5:], mirror[name[-5:]])] for name in ends}
        which = f"{self.tau:g}-quantile" if tau is None else "quantiles"
        text = f"{which} of Y under arm {labels[0]!r} minus that under {labels[1]!r}, over all rows"
        return self._estimate(lines, text, odds_ratio, level, target=target, arms=arms)

    def _orders(self, tau: Any) -> list[float]:
        found = [self.tau] if tau is None else check_numbers(tau, "tau").ravel().tolist()
        if not found:
            raise ValueError("tau is an empty grid; give at least one order between 0 and 1.")
        return [check_order(each) for each in found]

    def _quantiles(
        self, arm: int, orders: list[float], odds_ratio: float | None, level: float, target: str
    ) -> dict[float, dict[str, float]]:
        """Lines of the answer by order."""
        plain, limits = self._cdf(arm, None), self._limits[arm]
        if odds_ratio is not None:
            finite_density_ratio(odds_ratio)
        cdf = self._cdf(arm, None if odds_ratio is None else Ladder.to(odds_ratio))
        critical = cdf.band(level, self._later) if target == "band" else None
        exact = self._is_exact(odds_ratio, target)
        lines = {}
        for tau in orders:
            widest, (lower, upper) = plain.ends(tau, limits), cdf.ends(tau, limits)
            low, high = self._exact(arm, tau, level) if exact else cdf.interval(tau, level, limits, critical)
            lower, upper = (min(max(end, widest[0]), widest[1]) for end in (lower, upper))
            lines[tau] = {
                "lower": lower,
                "upper": upper,
                "ci_lower": max(min(low, lower), limits[0]),
                "ci_upper": min(max(high, upper), limits[1]),
                "manski_lower": widest[0],
                "manski_upper": widest[1],
            }
        return lines

    def _is_exact(self, odds_ratio: float | None, target: str) -> bool:
        """Whether intervals are by binomial tests."""
        independent = self._rows.weight is None and self._clusters is None
        return odds_ratio is None and target != "band" and independent

    def _cdf(self, arm: int, ladder: Ladder | None) -> CdfBounds:
        fits = [] if ladder is None else [self._crossfit(r) for r in range(self._n_repeats())]
        df = self._freedom(arm, limited=ladder is not None)
        return CdfBounds(self._rows, fits, arm=arm, ladder=ladder, clusters=self._clusters, df=df)

    def _freedom(self, arm: int, *, limited: bool) -> float:
        """Degrees of freedom: of all rows, and under an odds ratio of the arm's."""
        rows = self._rows
        share = (rows.codes == arm).astype(float)
        own = freedom(share if rows.weight is None else rows.weight * share, rows.groups) if limited else np.inf
        return min(self._df, own)

    def _estimate(
        self,
        lines: dict[float, dict[str, float]],
        text: str,
        odds_ratio: float | None,
        level: float,
        *,
        target: str,
        arms: list[int],
    ) -> BoundsEstimate:
        order = ["lower", "upper", "se_lower", "se_upper", "ci_lower", "ci_upper", "manski_lower", "manski_upper"]
        table = pd.DataFrame(lines).T.assign(se_lower=np.nan, se_upper=np.nan)[order].rename_axis("tau")
        claim = f"none about confounding; {self._support_text}"
        if odds_ratio is not None:
            claim = f"said by you: knowing Y(a) would change the odds of the arm by a factor of at most {odds_ratio:g}"
        rows, poor = self._rows, odds_ratio is not None and self._poor_overlap(arms=arms)
        notes: tuple[str, ...] = (f"{POOR_OVERLAP}.",) if poor else ()
        if not self._is_exact(odds_ratio, target):
            df = min(self._freedom(arm, limited=odds_ratio is not None) for arm in arms)
            notes += said_of_freedom(df, rows.groups, "quantiles")
        return BoundsEstimate(
            self._title, text, claim, table, level, len(rows.codes), target=target, notes=notes, poor_overlap=poor
        )

    def _exact(self, arm: int, tau: float, level: float) -> tuple[float, float]:
        """Binomial limits, of half the error each: for independent rows of one weight."""
        rows, n, tail = self._rows, len(self._rows.codes), (1.0 - level) / 2.0
        ends = []
        for sign, limit in zip((-1, 1), self._limits[arm], strict=True):
            values = np.where(rows.codes == arm, rows.phi, limit)
            # A quantile below the k-th value needs that fewer than k of n rows lie at or below it.
            k = int(binom.ppf(tail, n, tau)) if sign < 0 else int(binom.isf(tail, n, tau)) + 1
            ends.append(float(np.sort(values)[k - 1]) if 0 < k <= n else float(sign * np.inf))
        return ends[0], ends[1]

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
        notes = (
            f"rows: {self._arms_text()}",
            "no model was fitted; with odds_ratio= the propensity and the law of the outcome are",
        )
        return Summary(self._title, found.estimand, found.assumption, table, notes)

    def predict_bounds(
        self, X: Given, *, arm: Hashable | None = None, odds_ratio: float | None = None
    ) -> PointwiseBounds:
        """Bounds on the quantile of Y(arm) given each row of features.

        {pointwise}
        odds_ratio : float >= 1, optional
            Limit of confounding as in `SensitivityBounds`, which makes both ends finite; no assumption if left out.

        {pointwise_result}
        """
        features, a, text = self._where(X, arm, f"{self.tau:g}-quantile of Y")
        cap = None if odds_ratio is None else finite_density_ratio(odds_ratio)
        e, law = self._at(features, a)
        plain = self._ends(e, law, a, None)
        ends = plain if cap is None else self._ends(e, law, a, cap)
        claim = f"none about confounding; {self._support_text}"
        if cap is not None:
            claim = f"said by you: knowing Y(a) would change the odds of the arm by a factor of at most {odds_ratio:g}"
        return PointwiseBounds(*ends, *plain, e, text, claim, self._labels_of(X))

    def _ends(self, e: FloatArray, law: ArmLaw | JoinedLaw, arm: int, cap: Cap | None) -> Ends:
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


def caps_of(below: FloatArray, cap: Cap | None) -> tuple[FloatArray, FloatArray]:
    """Largest and least cdf outside the arm, given that inside; without a cap 1 and 0."""
    if cap is None:
        return np.ones_like(below), np.zeros_like(below)
    m, M = cap
    return np.minimum(M * below, 1.0 - m * (1.0 - below)), np.maximum(m * below, 1.0 - M * (1.0 - below))


def check_order(tau: Any) -> float:
    """A number strictly between 0 and 1."""
    order = check_number(tau, "tau", low=0.0, high=1.0, open_low=True)
    if order == 1.0:
        raise ValueError("tau must be below 1, got 1.0.")
    return order
