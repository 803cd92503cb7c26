"""Bounds under limited unmeasured confounding: finite, sharp, and explicit about how much is allowed."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from causalinv._typing import ArrayLike, FloatArray
from causalinv._typing import Rows as Given
from causalinv._validation import check_confidence_level, check_number
from causalinv.bounds._benchmark import benchmark, covariates
from causalinv.bounds._contrast import Contrast, Ends, Estimand, Policy, mean_text
from causalinv.bounds._crossfitted import CrossFittedBounds
from causalinv.bounds._curves import ConditionalCurves
from causalinv.bounds._functions import Cap, density_ratio_of, finite_density_ratio
from causalinv.bounds._inference import Target, band_critical_value
from causalinv.bounds._nesting import Ladder, first_crossing, nested
from causalinv.bounds._scores import cap_att_terms, cap_scores
from causalinv.exceptions import BoundsCrossingWarning
from causalinv.results import BoundsEstimate, PointwiseBounds

__all__ = ["SensitivityBounds"]

_SHOWN = (1.0, 1.25, 1.5, 2.0, 3.0)  # odds ratios of the summary


class SensitivityBounds(CrossFittedBounds, ConditionalCurves):
    r"""Bounds on means of potential outcomes if unmeasured confounding has limited strength.

    The marginal sensitivity model: knowing Y(a) besides x would change the odds of taking arm a by a factor between
    1/Λ and Λ. Equivalently the law of Y(a) outside the arm has a density ratio in [1/Λ, Λ] to the law inside. Λ = 1 is
    no unmeasured confounding; the strength is an argument of the question, so one fit answers all of them.

    Parameters
    ----------
    outcome_support : (float, float), "observed" or None, default None
        Limits of the outcome. Not needed: they check the data, cut ends, and give Manski's bounds beside.
    {functional}
    {features}
    {learners}
    outcome : None, "linear", "spline" or regressor, default None
        Location of the outcome given X in each arm: ridge regression on the columns, on smoothing splines of each
        (both learn what arms share from all of them), or yours (a frame if X had names). The law is then the location
        plus the law of residuals, which are divided by the root of one minus their leverage, or, for a regressor of
        yours, out of fold. Where X predicts the outcome well this is sharper. None: as `law` says.
    law : {"auto", "forest", "kernel", "knn", "pooled", "scaled"}, forest or callable, default "auto"
        Conditional law of phi in each arm, or of the residuals of `outcome`: as weights of a random forest's leaves, of
        a Gaussian kernel, of nearest neighbours; one law for all x; for residuals also one law times a scale that is
        linear in x; a forest of yours (anything with ``apply``); or a function
        ``(X_train, X_query) -> weights (m, n_train)``. "auto" takes in every arm the least continuous ranked
        probability score out of fold, among "forest", "linear" with forest residuals, and "linear" and "spline" with
        pooled and scaled residuals (only "forest" if the outcome has at most 10 values); those clearly behind on the
        first fold, and the worse of the two forests there, are out. `summary` says which was taken. "kernel" and "knn"
        look among at most 10,000 rows of the arm, drawn at random.
    {folds}

    Attributes
    ----------
    {attributes}
    {crossfitted}

    Warns
    -----
    OverlapWarning
        If more than 5% of the rows were clipped.

    Notes
    -----
    Valid if the outcome of a row is that of the arm it took, every arm has positive probability everywhere, and the
    strength is as said. Scores are doubly robust: errors of propensity and law enter as a product, and a wrong cut of
    the tail can only widen the bounds. Ends at Λ = 1 are the usual cross-fitted AIPW estimates.

    Source: the marginal sensitivity model of Tan (2006); sharp bounds and scores as in Dorn and Guo (2022) and Dorn,
    Guo and Kallus (2024); intervals: Imbens and Manski (2004); overlap weights: Li, Morgan and Zaslavsky (2018).

    Examples
    --------
    >>> from causalinv.bounds import SensitivityBounds
    >>> from causalinv.datasets import make_confounded_treatment
    >>> data = make_confounded_treatment(1000, random_state=0)
    >>> model = SensitivityBounds(random_state=0).fit(data.X, data.y, treatment=data.treatment)
    >>> narrow, wide = (model.average_bounds("mean", odds_ratio=odds) for odds in (1.0, 2.0))
    >>> wide.lower < narrow.lower < narrow.upper + 1e-9 < wide.upper
    True
    """

    _title: ClassVar[str] = "Sensitivity bounds: lowest and highest value under limited confounding"
    _inside_manski: ClassVar[bool | None] = True
    _limits_needed: ClassVar[bool] = False
    _index: ClassVar[str | None] = "odds_ratio"

    # -- averages ----------------------------------------------------------------------------------------------

    def average_bounds(  # the strength is part of the question
        self,
        estimand: Estimand = "ate",
        *,
        odds_ratio: float | ArrayLike | None = None,
        density_ratio: tuple[float, float] | None = None,
        arm: Hashable | None = None,
        control: Hashable | None = None,
        policy: Policy | None = None,
        where: Any = None,
        by: Any = None,
        confidence_level: float = 0.95,
        target: Target = "parameter",
    ) -> BoundsEstimate:
        """Bounds on an average at one or several strengths, with standard errors.

        Parameters
        ----------
        {estimand}
        odds_ratio : float or array-like of floats, each >= 1
            Λ, or a grid of them. Either this or `density_ratio`. For "att" it is about Y(control) among those who took
            `arm`.
        density_ratio : (float, float)
            Limits (m, M), 0 <= m <= 1 <= M, of the density ratio instead; ``(0, M)`` limits it from above only. In
            small samples estimated ends of two pairs need not nest as the pairs do; those of odds ratios always do.
        {interval}
            ``"band"``: both ends at all odds ratios of the grid at once.

        Returns
        -------
        BoundsEstimate
            Where overlap is poor, the notes of "ate" at one strength also give the answer for "overlap".

        Warns
        -----
        BoundsCrossingWarning
            If a lower end comes out above the upper one; nothing is swapped.
        """
        asked = {"estimand": estimand, "arm": arm, "control": control, "policy": policy}
        strengths = _strengths(odds_ratio, density_ratio)
        index = "odds_ratio" if density_ratio is None else "density_ratio"
        how: dict[str, Any] = {"confidence_level": confidence_level, "target": target, "index": index}
        found = self._answer(asked, where, by, strengths, **how)
        if not found.poor_overlap or estimand != "ate" or by is not None or len(strengths) > 1:
            return found
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody asked
            beside = self._answer(asked | {"estimand": "overlap"}, where, None, strengths, **how)
        if beside.poor_overlap:
            return found
        return dataclasses.replace(found, notes=(*found.notes, _beside(beside)))

    def _terms(self, contrast: Contrast, strength: Any, repeat: int) -> Ends:
        rows, fitted, cap = self._rows, self._crossfit(repeat), strength
        e, laws = fitted.propensity, fitted.laws
        if contrast.estimand == "att":
            odds = e[:, contrast.arm] / e[:, contrast.control]
            treated, control = rows.codes == contrast.arm, rows.codes == contrast.control
            return cap_att_terms(
                rows.phi, treated=treated, control=control, odds=odds, law=laws[contrast.control], cap=cap
            )
        ends = contrast.compose(lambda a: cap_scores(rows.phi, rows.codes == a, e[:, a], laws[a], cap))
        if contrast.estimand != "overlap":
            return ends
        weight, moved = contrast.tilt(e, rows.codes)
        at = contrast.compose(lambda a: _conditional_ends(e[:, a], laws[a], cap))
        return weight * ends[0] + moved * at[0], weight * ends[1] + moved * at[1]

    def _reach(self, contrast: Contrast, strength: Any, repeat: int, arm: int) -> FloatArray:
        e, most = self._crossfit(repeat).propensity, strength[1]
        if contrast.estimand == "att":
            ones = np.ones(len(e))
            return ones if arm == contrast.arm else most * e[:, contrast.arm] / e[:, contrast.control]
        reach = super()._reach(contrast, strength, repeat, arm) * (1.0 + most * (1.0 - e[:, arm]) / e[:, arm])
        return reach * contrast.tilt(e, self._rows.codes)[0] if contrast.estimand == "overlap" else reach

    def _overlap(self, contrast: Contrast, repeat: int = 0) -> Ends:
        return contrast.tilt(self._crossfit(repeat).propensity, self._rows.codes)

    def _lines(
        self, contrast: Contrast, strengths: dict[Any, Any], level: float, target: Target
    ) -> tuple[dict[Any, dict[str, float]], tuple[str, ...], list[bool]]:
        critical = None
        if target == "band":
            each = [self._ratio(contrast, cap, 0) for cap in strengths.values()]
            critical = band_critical_value(each, self._rows, level, contrast.df, self._later)
        known: dict[Cap, dict[str, float]] = {}

        def line(cap: Cap) -> dict[str, float]:
            if cap not in known:
                known[cap] = self._average(contrast, cap, level, target, critical)
            return known[cap]

        widened, caps = False, list(strengths.values())
        nest = all(not isinstance(label, str) for label in strengths)  # odds ratios
        if nest:
            caps += [cap for _, most in strengths.values() for some in Ladder.to(most).caps for cap in some]
        with ExitStack() as stack:
            for law in (law for r in range(self._n_repeats()) for law in self._crossfit(r).laws):
                stack.enter_context(law.together(caps))
            lines = {label: line(cap) for label, cap in strengths.items()}
            if nest:
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore", BoundsCrossingWarning)  # of strengths that nobody asked about
                wide = {label: nested(lines[label], cap[1], line) for label, cap in strengths.items()}
                widened, lines = wide != lines, wide
        moved = [bool(each["moved"]) for each in lines.values()]
        lines = {label: {k: v for k, v in each.items() if k != "moved"} for label, each in lines.items()}
        notes: tuple[str, ...] = ()
        if any(x["lower"] <= x["manski_lower"] or x["upper"] >= x["manski_upper"] for x in lines.values()):
            notes = ("where an end equals Manski's, the estimate lay at or beyond it: the assumption adds nothing.",)
        if widened:
            notes += ("intervals are those of the next odds ratio on a fixed ladder: steps of 0.1 up to 3.",)
        return lines, notes, moved

    def _claim(self, strengths: dict[Any, Any]) -> str:
        labels = list(strengths)
        if isinstance(labels[0], str):
            m, M = strengths[labels[0]]
            return f"said by you: outside the arm, outcomes have a density ratio in [{m:g}, {M:g}] to those inside"
        which = f"{labels[0]:g}" if len(labels) == 1 else "the one in each row"
        return (
            "said by you: knowing the potential outcome would change the odds of the arm by a factor of at most "
            f"{which}, at every x"
        )

    # -- how strong would it have to be? -----------------------------------------------------------------------

    def breakdown(
        self,
        null: float = 0.0,
        *,
        estimand: Estimand = "ate",
        arm: Hashable | None = None,
        control: Hashable | None = None,
        policy: Policy | None = None,
        where: Any = None,
        confidence_level: float = 0.95,
    ) -> pd.Series:
        """The least odds ratio at which the bounds, and their interval, reach a value.

        Parameters
        ----------
        null : float, default 0.0
            The value.
        estimand, arm, control, policy, where, confidence_level
            As in `average_bounds`.

        Returns
        -------
        Series
            ``estimate``: odds ratio at which an end reaches `null`; ``interval``: at which the confidence interval does
            (1 if it contains `null` without confounding). Infinite if not up to 100.

        Notes
        -----
        Ends are those of `average_bounds`, which hold those of all smaller odds ratios. Intervals there hold those of
        the next larger odds ratio in steps of 0.1, so that those of all larger odds ratios than ``interval`` hold
        `null`. Compare with `benchmark`.
        """
        asked = {"estimand": estimand, "arm": arm, "control": control, "policy": policy}
        contrast = self._contrast(asked, where)
        level, value = check_confidence_level(confidence_level), check_number(null, "null")

        @functools.cache
        def line(strength: float) -> dict[str, float]:
            return self._average(contrast, density_ratio_of(strength, None), level, "parameter")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BoundsCrossingWarning)  # of strengths that nobody asked about
            found = {
                "estimate": first_crossing(line, value, "lower", "upper"),
                "interval": first_crossing(line, value, "ci_lower", "ci_upper", outward=True),
            }
        return pd.Series(found, name=f"odds ratio at which {null:g} is reached")

    def benchmark(self, columns: Sequence[Any] | None = None, *, arm: Hashable | None = None) -> pd.DataFrame:
        """How much the odds of an arm would change if an observed covariate had been hidden: a yardstick for Λ.

        Parameters
        ----------
        columns : sequence, optional
            Names or positions of covariates (with `features`, of what it makes); a list among them is a group that is
            left out together. All, one by one, if left out; those that are linear functions of each other (all the
            indicators of a category, copies) together, because one of them alone would hide nothing.
        {arm}

        Returns
        -------
        DataFrame
            A row per covariate, medians over the repeats. ``q95`` and ``max`` over rows of the factor, >= 1, between
            the odds with and without it, both out of fold. ``noise``: the same ``q95`` for the covariate with its rows
            shuffled, the largest of 5: what an irrelevant one can read. ``beyond_noise``: ``q95`` with that taken off,
            in squares of logarithms. ``given_y``: 95% quantile, over the arm's rows, of the factor by which knowing the
            outcome would change the odds if the covariate were hidden and nothing else is: the scale of Λ itself.

        Notes
        -----
        A hidden covariate may be stronger than any observed one: this is a yardstick, and no evidence.
        """
        a = self._arm(arm)
        folds = [self._crossfit(r).folds for r in range(self._n_repeats())]
        seed, jobs = self._later, self.n_jobs
        if columns is not None:
            return benchmark(self._rows, self._said, columns, a, folds=folds, seed=seed, n_jobs=jobs)
        if ("benchmark", a) not in self._known:  # `summary` asks too
            found = benchmark(self._rows, self._said, None, a, folds=folds, seed=seed, n_jobs=jobs)
            self._known["benchmark", a] = found
        table: pd.DataFrame = self._known["benchmark", a].copy()
        return table

    def _shown(self) -> dict[Any, Any]:
        return _strengths(list(_SHOWN), None)

    def _facts(self, asked: dict[str, Any]) -> tuple[str, ...]:
        contrast = {key: value for key, value in asked.items() if key != "policy"}
        reached = self.breakdown(**contrast)
        at, sure = (f"{each:.3g}" if np.isfinite(each) else "over 100" for each in reached)
        lines = (
            *super()._facts(asked),
            f"0 is reached at odds ratio {at}, by the interval at {sure}: beyond, the sign is open "
            "(1 is no hidden confounding)",
        )
        if (
            len(covariates(self._rows)) > 1 and self._said.propensity is None
        ):  # others may take minutes: ask `benchmark`
            arm = asked["arm"]
            found = self.benchmark(arm=arm)["beyond_noise"].sort_values(ascending=False).head(5)
            text = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
            lines += (
                "for scale: had an observed covariate been hidden, it would have changed the odds by a factor of up to "
                f"(in 95% of rows): {text}",
            )
        return lines

    # -- pointwise ---------------------------------------------------------------------------------------------

    def predict_bounds(
        self,
        X: Given,
        *,
        odds_ratio: float | None = None,
        density_ratio: tuple[float, float] | None = None,
        arm: Hashable | None = None,
    ) -> PointwiseBounds:
        """Bounds on the mean of phi(Y(arm)) given each row of features.

        {pointwise}
        odds_ratio : float >= 1
            Λ. Either this or `density_ratio`.
        density_ratio : (float, float)
            (m, M).

        {pointwise_result}
        """
        features, a, text = self._where(X, arm, mean_text(self.functional))
        cap = finite_density_ratio(odds_ratio, density_ratio)
        e, law = self._at(features, a)
        lower, upper = _conditional_ends(e, law, cap)
        low, high = self._manski(e, law.mean, a)
        lower, upper = np.clip(lower, low, high), np.clip(upper, low, high)
        claim = self._claim({odds_ratio if density_ratio is None else str(density_ratio): cap})
        return PointwiseBounds(lower, upper, low, high, e, text, claim, self._labels_of(X))


def _beside(found: BoundsEstimate) -> str:
    """What is said of another estimand beside the one that was asked for."""
    low, high = found.conf_int
    return (
        f"beside it, {found.estimand}: bounds [{found.lower:.4g}, {found.upper:.4g}], interval [{low:.4g}, {high:.4g}]."
    )


def _conditional_ends(e: FloatArray, law: Any, cap: Cap) -> Ends:
    """Ends at every row, by propensity and law alone."""
    (_, low), (_, high) = law.lower(*cap), law.upper(*cap)
    return e * law.mean + (1.0 - e) * low, e * law.mean + (1.0 - e) * high


def _strengths(odds_ratio: Any, density_ratio: Any) -> dict[Any, Cap]:
    """Label and (m, M) of every strength asked for."""
    if density_ratio is not None or odds_ratio is None or np.ndim(odds_ratio) == 0:
        caps = [finite_density_ratio(odds_ratio, density_ratio)]
        labels: list[Any] = [odds_ratio if density_ratio is None else str(tuple(density_ratio))]
    else:
        labels = np.asarray(odds_ratio).ravel().tolist()
        caps = [finite_density_ratio(each) for each in labels]
        if not caps:
            raise ValueError("odds_ratio is an empty grid; give at least one number >= 1.")
    return dict(zip(labels, caps, strict=True))
