"""Bounds from f-divergence balls: outer bounds without any assumption, to be read beside Manski's."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor

from causalinv._frames import row_index
from causalinv._typing import FloatArray, RandomState
from causalinv._typing import Rows as Given
from causalinv._validation import check_confidence_level, check_whole
from causalinv._warn import warn
from causalinv.bounds._base import Contrast, Ends, Estimand, Policy, functional_text
from causalinv.bounds._crossfitted import CrossFittedBounds
from causalinv.bounds._divergences import Divergence, DivergenceLike, as_divergences
from causalinv.bounds._functions import f_ball_end, kth_order
from causalinv.bounds._inference import Target
from causalinv.bounds._laws import LawLike
from causalinv.bounds._rows import Functional
from causalinv.bounds._scores import f_ball_scores
from causalinv.exceptions import BoundsCrossingWarning
from causalinv.results import BoundsEstimate, PointwiseBounds

__all__ = ["FDivergenceBounds"]


class FDivergenceBounds(CrossFittedBounds):
    r"""Bounds on means of potential outcomes from f-balls around the arm's law.

    Consistency alone puts the law Q of Y(a) into the ball :math:`D_f(P\|Q) \le` `f_radius` around the law P seen in arm
    a. Manski's set lies inside every such ball, so these bounds are never tighter than Manski's, which rest on the same
    assumption: read them beside it. For a contrast of arms with the same limits they always contain 0.

    Parameters
    ----------
    divergence : name, ("alpha", a), Divergence, list of these, or "all", default "chi2"
        Names are "chi2", "tv", "kl", "js", "hellinger". On the population chi2 <= kl <= hellinger and kl <= js in
        width; tv is not ordered with them.
    outcome_support : (float, float), "observed" or None, default None
        Limits of the outcome (of phi, if `functional` is a function); either may be infinite, and then that end is, for
        every f. ``"observed"`` takes the arm's sample range and warns. None: 0 and 1 for an indicator or a 0/1 outcome;
        else infinite ends and a warning that says why.
    functional : "mean", ("cdf", t), ("exceedance", t) or callable, default "mean"
        phi, whose mean is bounded: the outcome, ``Y <= t``, ``Y > t``, or a vectorised function.
    propensity : classifier, optional
        P(A | X), with ``predict_proba``. Logistic regression on standardised features if left out.
    law : {"forest", "kernel", "knn", "marginal"}, forest or callable, default "forest"
        Conditional law of phi in each arm; see `SensitivityBounds`.
    final : {"plugin", "dr"}, default "plugin"
        How `predict_bounds` works: solve at the estimated propensity and law, or regress the scores of the averages on
        X (to first order insensitive to errors of the propensity, but noisier).
    aggregation : "intersect", ("kth", k) or "none", default "intersect"
        How ends of several divergences are combined; see `kth_order`. On the population "intersect" is right; in
        samples it is biased inward.
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
    divergences_ : list of str
    oof_propensity_ : ndarray of shape (n, n_arms)
        Propensities by models that did not see the row, first repeat.
    n_clipped_ : int
        Rows of which one was clipped, first repeat.
    propensity_ : classifier
        Fitted to all rows; for new features.
    outcome_support_ : ndarray of shape (n_arms, 2)
        Limits used.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Warns
    -----
    UnboundedOutcomeWarning, ObservedSupportWarning
        See `outcome_support`.
    OverlapWarning
        If more than 5% of the rows were clipped.
    BoundsCrossingWarning
        If regressed ends (``final="dr"``) cross; nothing is swapped.

    Notes
    -----
    Averages minimise the dual risk over additive piecewise linear functions of x on the other folds, and average the
    debiased risk at the rows: errors of the dual can only widen the bounds, errors of the propensity enter in second
    order (inward, by about :math:`\lambda B''(e) (\hat e - e)^2 / 2`).

    Source: the ball and the debiased risk are those of Jung and Kang (2026), "Information-theoretic causal bounds under
    unmeasured confounding"; solver, dual variables and scores of averages are this package's own.

    Examples
    --------
    >>> from causalinv.bounds import FDivergenceBounds
    >>> from causalinv.datasets import make_confounded_treatment
    >>> data = make_confounded_treatment(600, random_state=0)
    >>> model = FDivergenceBounds(outcome_support=(0, 1), random_state=0).fit(data.X, data.y, treatment=data.treatment)
    >>> bounds = model.predict_bounds(data.X)
    >>> bool((bounds.lower <= bounds.manski_lower).all()), bool((bounds.manski_upper <= bounds.upper).all())
    (True, True)
    """

    _title: ClassVar[str] = "f-divergence bounds"
    _inside_manski: ClassVar[bool | None] = False

    def __init__(
        self,
        *,
        divergence: DivergenceLike | list[DivergenceLike] = "chi2",
        outcome_support: tuple[float, float] | str | None = None,
        functional: Functional = "mean",
        propensity: Any = None,
        law: LawLike = "forest",
        final: Literal["plugin", "dr"] = "plugin",
        aggregation: str | tuple[str, int] = "intersect",
        cv: int = 5,
        clip: float = 0.01,
        n_repeats: int = 1,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ):
        self.divergence = divergence
        self.outcome_support = outcome_support
        self.functional = functional
        self.propensity = propensity
        self.law = law
        self.final = final
        self.aggregation = aggregation
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
            `outcome_support`, a divergence is unknown, or an input is malformed.
        """
        self._divergences = as_divergences(self.divergence)
        self._k = _order(self.aggregation, len(self._divergences))
        if self.final not in ("plugin", "dr"):
            raise ValueError(f"final must be 'plugin' or 'dr', got {self.final!r}.")
        self._scores: dict[tuple[int, int, str], Ends] = {}
        self._fit_models(X, y, treatment=treatment, sample_weight=sample_weight, groups=groups, limits_needed=True)
        self.divergences_ = [each.name for each in self._divergences]
        return self

    # -- averages ----------------------------------------------------------------------------------------------

    def average_bounds(
        self,
        estimand: Estimand = "mean",
        *,
        arm: Hashable | None = None,
        control: Hashable | None = None,
        policy: Policy | None = None,
        confidence_level: float = 0.95,
        target: Target = "parameter",
    ) -> BoundsEstimate:
        """Bounds on an average; with standard errors if the estimator has one divergence.

        Parameters
        ----------
        estimand : {"mean", "ate", "policy"}, default "mean"
            Mean of Y(arm); mean of Y(arm) - Y(control) over all; mean under a policy. Not "att": a ball around the
            arm's law says nothing about the others beyond the outcome's limits.
        arm, control : label, optional
            May be left out if the arms are 0 and 1.
        policy : callable, optional
            Features -> probabilities (n, n_arms), or (n,) of the last of two arms; gets a frame if X had names.
        confidence_level : float, default 0.95
        target : {"parameter", "set"}, default "parameter"
            Whether the interval covers the estimand, wherever it lies between the ends, or both ends at once.

        Returns
        -------
        BoundsEstimate
            One row per divergence, and one that combines them unless ``aggregation="none"``. With several, no errors:
            whoever takes the tightest of several noisy ends needs other errors than those of each.
        """
        self._features(None)
        if estimand == "att":
            raise ValueError(
                "An f-ball limits the law of everybody, not that of one group beyond the outcome's limits: for "
                "estimand='att' use ManskiBounds or SensitivityBounds."
            )
        contrast = Contrast(self, estimand, arm, control, policy)
        level = check_confidence_level(confidence_level)
        lines = {
            each.name: self._average(
                contrast, partial(self._terms, contrast, each), len(self._crossfits), level, target
            )
            for each in self._divergences
        }
        notes: tuple[str, ...] = ()
        several = len(lines) > 1
        if several:
            notes = (
                "several divergences: no standard errors; choose one in advance (chi2, or tv if arms are common).",
            )
            if self._k is not None:
                ends = [[[line[end]] for line in lines.values()] for end in ("lower", "upper")]
                low, high = kth_order(ends[0], ends[1], self._k)
                both = {"lower": float(low[0]), "upper": float(high[0])}
                name = f"order {self._k}" if self._k > 1 else "intersection"
                lines[name] = next(iter(lines.values())) | both
        table = pd.DataFrame(lines).T.rename_axis("divergence")
        if several:
            table[["se_lower", "se_upper", "ci_lower", "ci_upper"]] = np.nan
        outer = "the ball contains all that Manski's set does: no f-bound is tighter, on the population."
        notes = (*notes, outer, *self._notes())
        return self._result(
            contrast, table, assumption=self._claim(), confidence_level=level, target=target, notes=notes
        )

    def _terms(self, contrast: Contrast, divergence: Divergence, repeat: int) -> Ends:
        return contrast.compose(lambda a: self._arm_scores(repeat, a, divergence), self._rows)

    def _arm_scores(self, repeat: int, arm: int, divergence: Divergence) -> Ends:
        key = (repeat, arm, divergence.name)
        if key not in self._scores:
            rows, fitted = self._rows, self._crossfits[repeat]
            low, high = self._limits[arm]

            def upper(sign: float, limit: float) -> FloatArray:
                if np.isinf(limit):
                    return np.full(len(rows.codes), limit)
                return f_ball_scores(
                    sign * rows.phi,
                    rows.codes == arm,
                    fitted.propensity[:, arm],
                    X=rows.X,
                    folds=fitted.folds,
                    atoms=sign * self._atoms[arm],
                    weights=fitted.weights[arm],
                    limit=limit,
                    divergence=divergence,
                    row_weight=rows.weight,
                )

            self._scores[key] = -upper(-1.0, -low), upper(1.0, high)
        return self._scores[key]

    def _claim(self) -> str:
        return f"none about confounding; {self._support_text}"

    # -- pointwise ---------------------------------------------------------------------------------------------

    def predict_bounds(self, X: Given, *, arm: Hashable | None = None) -> PointwiseBounds | dict[str, PointwiseBounds]:
        """Bounds on the mean of phi(Y(arm)) given each row of features.

        Parameters
        ----------
        X : array-like of shape (m, d), or None
            Where; None: the rows of fit, by models that did not see them.
        arm : label, optional
            May be left out if the arms are 0 and 1: then 1.

        Returns
        -------
        PointwiseBounds
            No standard errors. With ``aggregation="none"`` and several divergences a dict of them, by name.
        """
        features = self._features(X)
        a, rows = self._arm(arm, "arm", -1), self._rows
        e, weights = self._at(features, a)
        text = f"mean of {functional_text(self.functional)} under arm {rows.arms.tolist()[a]!r} at each row"
        find = self._solved if self.final == "plugin" else partial(self._regressed, features)
        ends = [find(e, weights, a, each) for each in self._divergences]
        if self._k is not None:
            ends = [kth_order([low for low, _ in ends], [high for _, high in ends], self._k)]
        manski, limits = self._manski(e, weights @ self._atoms[a], a), self._limits[a]
        ends = [
            (np.clip(np.minimum(low, manski[0]), *limits), np.clip(np.maximum(high, manski[1]), *limits))
            for low, high in ends
        ]
        found = [PointwiseBounds(low, high, *manski, e, text, self._claim(), row_index(X)) for low, high in ends]
        if len(found) == 1:
            return found[0]
        return dict(zip(self.divergences_, found, strict=True))

    def _solved(self, e: FloatArray, weights: FloatArray, arm: int, divergence: Divergence) -> Ends:
        atoms, (low, high) = self._atoms[arm], self._limits[arm]
        return (
            -f_ball_end(-atoms, weights, e, -low, divergence),
            f_ball_end(atoms, weights, e, high, divergence),
        )

    def _regressed(
        self, features: FloatArray | None, e: FloatArray, weights: FloatArray, arm: int, divergence: Divergence
    ) -> Ends:
        """Scores of the first repeat regressed on X; at the rows of fit, fold by fold."""
        rows, folds = self._rows, self._crossfits[0].folds

        def at(score: FloatArray) -> FloatArray:
            if not np.isfinite(score).all():
                return np.full(len(e), score[0])
            centre, unit = score.mean(), score.std() or 1.0  # trees lose digits in other units
            return centre + unit * standard((score - centre) / unit)

        def standard(score: FloatArray) -> FloatArray:
            model = ExtraTreesRegressor(200, min_samples_leaf=50, random_state=self._later)
            if features is not None:
                return model.fit(rows.X, score, sample_weight=rows.weight).predict(features)
            out = np.empty(len(folds))
            for fold in np.unique(folds):
                train = folds != fold
                model.fit(rows.X[train], score[train], sample_weight=rows.take_weight(train))
                out[~train] = model.predict(rows.X[~train])
            return out

        low, high = (at(score) for score in self._arm_scores(0, arm, divergence))
        crossing = int(np.count_nonzero(low > high))
        if crossing:
            warn(
                f"In {crossing} of {len(low)} rows the regressed lower end lies above the upper one. Both are kept.",
                BoundsCrossingWarning,
            )
        return low, high


def _order(aggregation: Any, n: int) -> int | None:
    """Position k of the order statistic; None for "none"."""
    if aggregation == "none":
        return None if n > 1 else 1
    if aggregation == "intersect":
        return 1
    if isinstance(aggregation, Sequence) and len(aggregation) == 2 and aggregation[0] == "kth":
        k = check_whole(aggregation[1], "k of aggregation=('kth', k)", low=1)
        if k > n:
            raise ValueError(f"k of aggregation=('kth', k) must be at most the number of divergences, {n}, got {k}.")
        return k
    raise ValueError(f"aggregation must be 'intersect', ('kth', k) or 'none', got {aggregation!r}.")
