"""Bounds under limited unmeasured confounding: finite, sharp, and explicit about how much is allowed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from causalinv._frames import row_index
from causalinv._typing import ArrayLike, FloatArray, RandomState
from causalinv._typing import Rows as Given
from causalinv._validation import check_confidence_level, check_number
from causalinv.bounds._base import Contrast, Ends, Estimand, Policy, functional_text
from causalinv.bounds._crossfit import cross_fit
from causalinv.bounds._crossfitted import CrossFittedBounds
from causalinv.bounds._functions import density_ratio_of
from causalinv.bounds._inference import Target
from causalinv.bounds._laws import LawLike
from causalinv.bounds._rows import Functional
from causalinv.bounds._scores import ArmLaw, cap_att_terms, cap_scores
from causalinv.exceptions import BoundsCrossingWarning
from causalinv.results import BoundsEstimate, PointwiseBounds

__all__ = ["SensitivityBounds"]

#: Odds ratios to which intervals are rounded outward, so that those of separate questions nest.
_LADDER = np.r_[
    np.sort([*np.arange(10, 31) / 10, 1.25, 1.75, 2.25, 2.75]), np.arange(7, 13) / 2, np.geomspace(7.0, 1e3, 24)
]
_GRID = np.r_[np.linspace(1.0, 3.0, 21), np.geomspace(3.2, 100.0, 30)]


class SensitivityBounds(CrossFittedBounds):
    r"""Bounds on means of potential outcomes if unmeasured confounding has limited strength.

    The marginal sensitivity model: knowing Y(a) besides x would change the odds of taking arm a by a factor between
    1/Λ and Λ. Equivalently the law of Y(a) outside the arm has a density ratio in [1/Λ, Λ] to the law inside. Λ = 1 is
    no unmeasured confounding; the strength is an argument of the question, so one fit answers all of them.

    Parameters
    ----------
    outcome_support : (float, float), "observed" or None, default None
        Limits of the outcome. Not needed: they check the data and give Manski's bounds beside.
    functional : "mean", ("cdf", t), ("exceedance", t) or callable, default "mean"
        phi, whose mean is bounded: the outcome, ``Y <= t``, ``Y > t``, or a vectorised function.
    propensity : classifier, optional
        P(A | X), with ``predict_proba``. Logistic regression on standardised features if left out.
    law : {"forest", "kernel", "knn", "marginal"}, forest or callable, default "forest"
        Conditional law of phi in each arm: as weights of a random forest's leaves, of a Gaussian kernel, of nearest
        neighbours, without X; a forest of yours (anything with ``apply``); or a function
        ``(X_train, X_query) -> weights (m, n_train)``.
    cv : int, default 5
        Folds of the cross-fitting, stratified by arm.
    clip : float, default 0.01
        Propensities are clipped to [clip, 1 - clip], and counted.
    n_repeats : int, default 1
        Independent divisions into folds. Ends are medians over them; errors include how far they differ.
    n_jobs : int, optional
        Folds fitted at once, through joblib.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of folds and learners.

    Attributes
    ----------
    arms_ : ndarray
        Labels of the arms, sorted.
    oof_propensity_ : ndarray of shape (n, n_arms)
        Propensities by models that did not see the row, first repeat.
    n_clipped_ : int
        Rows of which one was clipped, first repeat.
    propensity_ : classifier
        Fitted to all rows; for new features.
    outcome_support_ : ndarray of shape (n_arms, 2)
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

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
    Guo and Kallus (2024); intervals: Imbens and Manski (2004).

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

    _title: ClassVar[str] = "Sensitivity bounds"
    _inside_manski: ClassVar[bool | None] = True

    def __init__(
        self,
        *,
        outcome_support: tuple[float, float] | str | None = None,
        functional: Functional = "mean",
        propensity: Any = None,
        law: LawLike = "forest",
        cv: int = 5,
        clip: float = 0.01,
        n_repeats: int = 1,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ):
        self.outcome_support = outcome_support
        self.functional = functional
        self.propensity = propensity
        self.law = law
        self.cv = cv
        self.clip = clip
        self.n_repeats = n_repeats
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self, X: Given, y: Given, *, treatment: Given = None, sample_weight: Given = None, groups: Given = None
    ) -> Self:
        """Cross-fit propensity and conditional laws.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Covariates.
        y : array-like of shape (n,)
            Outcome.
        treatment : array-like of shape (n,)
            Arm of each row, at least two, each with at least `cv` rows.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0, of sampling (a weight of 2 is not two rows; 0 leaves a row out); also given to propensity and
            law.
        groups : array-like of shape (n,), optional
            Cluster of each row: kept in one fold, and the unit of standard errors.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `treatment` is missing, continuous, has one arm or too small ones, an outcome lies outside
            `outcome_support`, or an input is malformed.
        """
        return self._fit_models(
            X, y, treatment=treatment, sample_weight=sample_weight, groups=groups, limits_needed=False
        )

    # -- averages ----------------------------------------------------------------------------------------------

    def average_bounds(
        self,
        estimand: Estimand = "mean",
        *,
        odds_ratio: float | ArrayLike | None = None,
        density_ratio: tuple[float, float] | None = None,
        arm: Hashable | None = None,
        control: Hashable | None = None,
        policy: Policy | None = None,
        confidence_level: float = 0.95,
        target: Target = "parameter",
    ) -> BoundsEstimate:
        """Bounds on an average at one or several strengths, with standard errors.

        Parameters
        ----------
        estimand : {"mean", "ate", "att", "policy"}, default "mean"
            Mean of Y(arm); mean of Y(arm) - Y(control) over all, or over the rows that took `arm`; mean under a policy.
            For "att" the strength is about Y(control) among those who took `arm`.
        odds_ratio : float or array-like of floats, each >= 1
            Λ, or a grid of them. Either this or `density_ratio`.
        density_ratio : (float, float)
            Limits (m, M), 0 <= m <= 1 <= M, of the density ratio instead; ``(0, M)`` limits it from above only.
        arm, control : label, optional
            May be left out if the arms are 0 and 1.
        policy : callable, optional
            Features -> probabilities (n, n_arms), or (n,) of the last of two arms; gets a frame if X had names.
        confidence_level : float, default 0.95
        target : {"parameter", "set"}, default "parameter"
            Whether the interval covers the estimand, wherever it lies between the ends, or both ends at once. In a grid
            every row has this level by itself.

        Returns
        -------
        BoundsEstimate

        Warns
        -----
        BoundsCrossingWarning
            If a lower end comes out above the upper one; nothing is swapped.
        """
        self._features(None)
        contrast = Contrast(self, estimand, arm, control, policy)
        level = check_confidence_level(confidence_level)
        labels, caps = _strengths(odds_ratio, density_ratio)
        known: dict[tuple[float, float], dict[str, float]] = {}
        changed = False

        def line(cap: tuple[float, float]) -> dict[str, float]:
            if cap not in known:
                terms = partial(self._terms, contrast, cap)
                known[cap] = self._average(contrast, terms, len(self._crossfits), level, target)
            return known[cap]

        lines = [line(cap) for cap in caps]
        if density_ratio is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", BoundsCrossingWarning)  # of strengths that nobody asked about
                nested = [_nested(each, M, line) for each, (_, M) in zip(lines, caps, strict=True)]
            changed, lines = nested != lines, nested
        name = "odds_ratio" if density_ratio is None else "density_ratio"
        table = pd.DataFrame(lines, index=pd.Index(labels, name=name))
        notes = self._notes()
        if ((table["lower"] <= table["manski_lower"]) | (table["upper"] >= table["manski_upper"])).any():
            notes += ("where an end equals Manski's, the estimate lay at or beyond it: the assumption adds nothing.",)
        if changed:
            notes += ("an end or interval was moved outward to hold those of smaller odds ratios (steps of 0.1).",)
        claim = self._claim(labels, density_ratio)
        return self._result(contrast, table, assumption=claim, confidence_level=level, target=target, notes=notes)

    def _terms(self, contrast: Contrast, cap: tuple[float, float], repeat: int) -> Ends:
        rows, fitted = self._rows, self._crossfits[repeat]
        if contrast.estimand == "att":
            e = fitted.propensity
            odds = e[:, contrast.arm] / e[:, contrast.control]
            law = self._arm_law(repeat, contrast.control)
            treated, control = rows.codes == contrast.arm, rows.codes == contrast.control
            return cap_att_terms(rows.phi, treated=treated, control=control, odds=odds, law=law, cap=cap)
        return contrast.compose(
            lambda a: cap_scores(rows.phi, rows.codes == a, fitted.propensity[:, a], self._arm_law(repeat, a), cap),
            rows,
        )

    def _claim(self, labels: Sequence[Any], density_ratio: Any) -> str:
        if density_ratio is not None:
            m, M = density_ratio
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
        confidence_level: float = 0.95,
    ) -> pd.Series:
        """The least odds ratio at which the bounds, and their interval, reach a value.

        Parameters
        ----------
        null : float, default 0.0
            The value.
        estimand, arm, control, policy, confidence_level
            As in `average_bounds`.

        Returns
        -------
        Series
            ``estimate``: odds ratio at which an end reaches `null`; ``interval``: at which the confidence interval does
            (1 if it contains `null` without confounding). Infinite if not up to 100.

        Notes
        -----
        Ends of the sample need not grow with the odds ratio, so a grid is scanned upwards and the first crossing is
        refined. Compare with `benchmark`.
        """
        self._features(None)
        contrast = Contrast(self, estimand, arm, control, policy)
        level, value = check_confidence_level(confidence_level), check_number(null, "null")

        def line(strength: float) -> dict[str, float]:
            cap = density_ratio_of(strength, None)
            terms = partial(self._terms, contrast, cap)
            return self._average(contrast, terms, len(self._crossfits), level, "parameter")

        def first(low: str, high: str) -> float:
            start = line(1.0)
            if start[low] <= value <= start[high]:
                return 1.0
            name, sign = (low, 1.0) if start[low] > value else (high, -1.0)

            def gap(strength: float) -> float:
                return sign * (line(strength)[name] - value)

            for before, after in pairwise(_GRID):
                if gap(after) <= 0:
                    return float(brentq(gap, before, after, xtol=1e-6))
            return np.inf

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BoundsCrossingWarning)  # of strengths that nobody asked about
            found = {"estimate": first("lower", "upper"), "interval": first("ci_lower", "ci_upper")}
        return pd.Series(found, name=f"odds ratio at which {null:g} is reached")

    def benchmark(self, columns: Sequence[Any] | None = None, *, arm: Hashable | None = None) -> pd.DataFrame:
        """How much the odds of an arm would change if an observed covariate had been hidden: a yardstick for Λ.

        Parameters
        ----------
        columns : sequence, optional
            Names or positions of covariates; a list among them is a group that is left out together. All, one by one,
            if left out.
        arm : label, optional
            May be left out if the arms are 0 and 1: then 1.

        Returns
        -------
        DataFrame
            A row per covariate: ``q95`` and ``max`` over rows of the factor, >= 1, between the odds with and without
            it, both out of fold; medians over the repeats.

        Notes
        -----
        A hidden covariate may be stronger than any observed one: this is a yardstick, and no evidence.
        """
        self._features(None)
        a, rows = self._arm(arm, "arm", -1), self._rows
        names = list(getattr(self, "feature_names_in_", range(rows.given.shape[1])))
        asked = names if columns is None else list(columns)
        if rows.given.shape[1] < 2:
            raise ValueError("A benchmark leaves a covariate out; with one covariate nothing would be left.")

        def refitted(X: FloatArray, repeat: int) -> FloatArray:
            """Log odds out of fold, every fit with the same seeds, so that only the covariates differ."""
            again = cross_fit(
                replace(rows, X=X),
                folds=self._crossfits[repeat].folds,
                law=None,
                propensity=self.propensity,
                clip=self.clip,
                rng=np.random.default_rng(self._later),
                n_jobs=self.n_jobs,
            )
            return logit(again.propensity[:, a])

        repeats = range(len(self._crossfits))
        full, found = [refitted(rows.X, r) for r in repeats], {}
        for group in asked:
            left_out = [_position(c, names) for c in (group if isinstance(group, list | tuple) else [group])]
            kept = np.setdiff1d(np.arange(len(names)), left_out)
            X = rows.given[:, kept[rows.varying[kept]]]
            if not kept.size:
                raise ValueError(f"columns={group!r} leaves no covariate.")
            factors = [np.exp(np.abs(full[r] - refitted(X, r))) for r in repeats]
            label = ", ".join(map(str, group)) if isinstance(group, list | tuple) else group
            each = [(np.quantile(factor, 0.95), factor.max()) for factor in factors]
            found[label] = dict(zip(("q95", "max"), np.median(each, axis=0), strict=True))
        return pd.DataFrame(found).T.rename_axis("left out")

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

        Parameters
        ----------
        X : array-like of shape (m, d), or None
            Where; None: the rows of fit, by models that did not see them.
        odds_ratio : float >= 1
            Λ. Either this or `density_ratio`.
        density_ratio : (float, float)
            (m, M).
        arm : label, optional
            May be left out if the arms are 0 and 1: then 1.

        Returns
        -------
        PointwiseBounds
            No standard errors.
        """
        features = self._features(X)
        a, rows = self._arm(arm, "arm", -1), self._rows
        m, M = density_ratio_of(odds_ratio, density_ratio)
        e, weights = self._at(features, a)
        law = ArmLaw(self._atoms[a], weights)
        lower, upper = (e * law.mean + (1.0 - e) * rho for _, rho in (law.lower(m, M), law.upper(m, M)))
        low, high = self._manski(e, law.mean, a)
        lower, upper = np.clip(lower, low, high), np.clip(upper, low, high)
        text = f"mean of {functional_text(self.functional)} under arm {rows.arms.tolist()[a]!r} at each row"
        return PointwiseBounds(lower, upper, low, high, e, text, self._claim([odds_ratio], density_ratio), row_index(X))


def _nested(
    own: dict[str, float], odds_ratio: float, line: Callable[[tuple[float, float]], dict[str, float]]
) -> dict[str, float]:
    """Ends that hold those of all smaller strengths on a fixed ladder; the interval those of the next rung too.

    What holds under less confounding holds under more, so that this is valid; and intervals of separate questions nest.
    """
    rungs = _LADDER[: int(np.searchsorted(_LADDER, odds_ratio * (1.0 - 1e-12))) + 1]
    below = [line(density_ratio_of(float(rung), None)) for rung in rungs]
    smaller = [each for each, rung in zip(below, rungs, strict=True) if rung <= odds_ratio]
    out = dict(own)
    out["lower"] = min(own["lower"], *(each["lower"] for each in smaller))
    out["upper"] = max(own["upper"], *(each["upper"] for each in smaller))
    out["ci_lower"] = min(out["lower"], own["ci_lower"], *(each["ci_lower"] for each in below))
    out["ci_upper"] = max(out["upper"], own["ci_upper"], *(each["ci_upper"] for each in below))
    return out


def logit(e: FloatArray) -> FloatArray:
    """Log odds."""
    out: FloatArray = np.log(e) - np.log1p(-e)
    return out


def _strengths(odds_ratio: Any, density_ratio: Any) -> tuple[list[Any], list[tuple[float, float]]]:
    """Labels and (m, M) of every strength asked for."""
    if density_ratio is not None or odds_ratio is None or np.ndim(odds_ratio) == 0:
        caps = [density_ratio_of(odds_ratio, density_ratio)]
        labels: list[Any] = [odds_ratio if density_ratio is None else str(tuple(density_ratio))]
    else:
        labels = np.asarray(odds_ratio).ravel().tolist()
        caps = [density_ratio_of(each, None) for each in labels]
        if not caps:
            raise ValueError("odds_ratio is an empty grid; give at least one number >= 1.")
    if any(np.isinf(M) for _, M in caps):
        raise ValueError("An infinite odds_ratio is no assumption, and the sample knows no tail: use ManskiBounds.")
    return labels, caps


def _position(column: Any, names: list[Any]) -> int:
    if column in names:
        return names.index(column)
    if isinstance(column, int | np.integer) and not isinstance(column, bool) and 0 <= column < len(names):
        return int(column)
    raise ValueError(f"columns holds {column!r}, which is no covariate; they are {names}.")
