"""Bounds from f-divergence balls: outer bounds without any assumption, to be read beside Manski's."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from causalinv._typing import FloatArray, IntArray, RandomState
from causalinv._typing import Rows as Given
from causalinv._validation import check_whole
from causalinv._warn import warn
from causalinv.bounds._arm_law import ArmLaw, JoinedLaw
from causalinv.bounds._contrast import Contrast, Ends, mean_text
from causalinv.bounds._crossfitted import CrossFittedBounds
from causalinv.bounds._divergences import Divergence, DivergenceLike, as_divergence, as_divergences
from causalinv.bounds._functions import f_ball_end, kth_order
from causalinv.bounds._inference import Target
from causalinv.bounds._laws import LawLike
from causalinv.bounds._means import MeanBounds
from causalinv.bounds._rows import Functional
from causalinv.bounds._sieve_dual import dual_regressors, f_ball_scores
from causalinv.exceptions import BoundsCrossingWarning
from causalinv.results import PointwiseBounds

__all__ = ["FDivergenceBounds"]

#: Balls that lie inside that of a divergence, whatever the law.
_INSIDE = {"kl": ("chi2",), "hellinger": ("chi2", "kl"), "js": ("chi2", "kl")}


class FDivergenceBounds(CrossFittedBounds, MeanBounds):
    r"""Bounds on means of potential outcomes from f-balls around the arm's law.

    Consistency alone puts the law Q of Y(a) into the ball :math:`D_f(P\|Q) \le` `f_radius` around the law P seen in arm
    a. Manski's set lies inside every such ball, so these bounds are never tighter than Manski's, which rest on the same
    assumption: read them beside it. For a contrast of arms with the same limits they always contain 0.

    Parameters
    ----------
    divergence : name, ("alpha", a), Divergence, list of these, or "all", default "chi2"
        Names are "chi2", "tv", "kl", "js", "hellinger". On the population chi2 <= kl <= hellinger and kl <= js in
        width; tv is not ordered with them.
    {finite_support}
    {functional}
    {features}
    {learners}
    outcome : None, "linear", "spline" or regressor, default None
        Location of the outcome; see `SensitivityBounds`.
    law : {"auto", "forest", "kernel", "knn", "pooled", "scaled"}, forest or callable, default "forest"
        Conditional law of phi in each arm; see `SensitivityBounds`.
    final : {"plugin", "dr"}, default "plugin"
        How `predict_bounds` works: solve at the estimated propensity and law, or regress the scores of the averages on
        X (to first order insensitive to errors of the propensity, but noisier).
    aggregation : "intersect", ("kth", k) or "none", default "intersect"
        How ends of several divergences are combined; see `kth_order`. On the population "intersect" is right; in
        samples it is biased inward.
    {folds}

    Attributes
    ----------
    divergences_ : list of str
    {attributes}
    {crossfitted}

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
    Averages minimise the dual risk on the other folds, over additive piecewise linear functions of x, or of the
    propensity and the predicted mean where there are 10 or more covariates or fewer than 60 rows of an arm for each,
    and average the debiased risk at the rows: errors of the dual can only widen the bounds, errors of the propensity
    enter in second order (inward, by about :math:`\lambda B''(e) (\hat e - e)^2 / 2`). Where an estimated end lies
    inside that of a ball that is smaller (chi2 in kl; both in hellinger and js) or Manski's, it is moved there, and
    its interval by as much.

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

    _title: ClassVar[str] = "f-divergence bounds: lowest and highest value over an f-ball of laws"
    _inside_manski: ClassVar[bool | None] = False
    _limits_needed: ClassVar[bool] = True
    _index: ClassVar[str | None] = "divergence"

    def __init__(
        self,
        *,
        divergence: DivergenceLike | list[DivergenceLike] = "chi2",
        outcome_support: tuple[float, float] | str | None = None,
        functional: Functional = "mean",
        features: Any = None,
        propensity: Any = None,
        outcome: Any = None,
        law: LawLike = "forest",
        final: Literal["plugin", "dr"] = "plugin",
        aggregation: str | tuple[str, int] = "intersect",
        cv: int = 5,
        clip: float = 0.01,
        n_repeats: int = 1,
        n_jobs: int | None = None,
        random_state: RandomState = None,
    ):
        nuisances: dict[str, Any] = {"features": features, "propensity": propensity, "outcome": outcome, "law": law}
        folds: dict[str, Any] = {"cv": cv, "clip": clip, "n_repeats": n_repeats, "n_jobs": n_jobs}
        asked: dict[str, Any] = {"outcome_support": outcome_support, "functional": functional}
        super().__init__(random_state=random_state, **asked, **nuisances, **folds)
        self.divergence = divergence
        self.final = final
        self.aggregation = aggregation

    def _check(self) -> int:
        self._divergences = as_divergences(self.divergence)
        self._k = _order(self.aggregation, len(self._divergences))
        if self.final not in ("plugin", "dr"):
            raise ValueError(f"final must be 'plugin' or 'dr', got {self.final!r}.")
        self._scores: dict[tuple[int, int, type, str], Ends] = {}
        self.divergences_ = [each.name for each in self._divergences]
        return super()._check()

    # -- averages ----------------------------------------------------------------------------------------------

    def _strengths(self) -> dict[Any, Any]:
        return {each.name: each for each in self._divergences}

    def _contrast(self, asked: dict[str, Any], where: Any = None, *, by: bool = False) -> Contrast:
        if asked["estimand"] == "att":
            raise ValueError(
                "An f-ball limits the law of everybody, not that of one group beyond the outcome's limits: for "
                "estimand='att' use ManskiBounds or SensitivityBounds."
            )
        return super()._contrast(asked, where, by=by)

    def _lines(
        self, contrast: Contrast, strengths: dict[Any, Any], level: float, target: Target
    ) -> tuple[dict[Any, dict[str, float]], tuple[str, ...], list[bool]]:
        lines, _, moved = super()._lines(contrast, strengths, level, target)
        outer = (
            "the f-ball holds all that Manski's set does, so in the population these bounds are never "
            "tighter than Manski's."
        )
        if len(lines) == 1:
            return lines, (outer,), moved
        if self._k is not None:
            ends = [[[line[end]] for line in lines.values()] for end in ("lower", "upper")]
            low, high = kth_order(ends[0], ends[1], self._k)
            both = {"lower": float(low[0]), "upper": float(high[0])}
            name = f"order {self._k}" if self._k > 1 else "intersection"
            lines[name] = next(iter(lines.values())) | both
            moved = [*moved, any(moved)]
        unknown = dict.fromkeys(("se_lower", "se_upper", "ci_lower", "ci_upper"), np.nan)
        lines = {name: line | unknown for name, line in lines.items()}
        several = "several divergences: no standard errors; choose one in advance (chi2, or tv if arms are common)."
        return lines, (several, outer), moved

    def _average(
        self, contrast: Contrast, strength: Any, level: float, target: Target, critical: float | None = None
    ) -> dict[str, float]:
        """One row of the answer: its ends hold those of the balls inside, and its interval moves with them."""
        line = super()._average(contrast, strength, level, target, critical)
        known = type(strength) is not Divergence  # not one of a user's that has such a name
        for each in _INSIDE.get(strength.name, ()) if known else ():
            inner = super()._average(contrast, as_divergence(each), level, target, critical)
            below = line["lower"] - inner["lower"] if line["lower"] > inner["lower"] else 0.0
            above = inner["upper"] - line["upper"] if inner["upper"] > line["upper"] else 0.0
            if below or above:
                floor, ceiling = self._possible(contrast)
                line["lower"], line["upper"] = line["lower"] - below, line["upper"] + above
                line["ci_lower"] = max(line["ci_lower"] - below, floor)
                line["ci_upper"] = min(line["ci_upper"] + above, ceiling)
                line["moved"] = True
        return line

    def _terms(self, contrast: Contrast, strength: Any, repeat: int) -> Ends:
        return contrast.compose(lambda a: self._arm_scores(repeat, a, strength))

    def _arm_scores(self, repeat: int, arm: int, divergence: Divergence) -> Ends:
        key = (repeat, arm, type(divergence), divergence.name)
        if key not in self._scores:
            rows, fitted = self._rows, self._crossfit(repeat)
            (low, high), e, law = self._limits[arm], fitted.propensity[:, arm], fitted.laws[arm]
            smallest = int(np.bincount(rows.codes).min() * (1.0 - 1.0 / self.cv))
            at = dual_regressors(rows.X, e, law.mean, smallest)

            def upper(sign: float, limit: float) -> FloatArray:
                if np.isinf(limit):
                    return np.full(len(rows.codes), limit)
                return f_ball_scores(
                    sign * rows.phi,
                    rows.codes == arm,
                    e,
                    X=at,
                    folds=fitted.folds,
                    laws=[(held, sign * self._inside(part, arm), part.weights) for held, part in law.parts],
                    limit=limit,
                    divergence=divergence,
                    row_weight=rows.weight,
                )

            self._scores[key] = -upper(-1.0, -low), upper(1.0, high)
        return self._scores[key]

    def _inside(self, law: ArmLaw, arm: int) -> FloatArray:
        """Atoms of a law, (K,) or (m, K), cut at the outcome's limits, which a location may leave."""
        if law.location is None:
            return law.atoms
        scale = 1.0 if law.scale is None else law.scale[:, None]
        return np.clip(law.location[:, None] + scale * law.atoms, *self._limits[arm])

    # -- pointwise ---------------------------------------------------------------------------------------------

    def predict_bounds(self, X: Given, *, arm: Hashable | None = None) -> PointwiseBounds | dict[str, PointwiseBounds]:
        """Bounds on the mean of phi(Y(arm)) given each row of features.

        {pointwise}

        Returns
        -------
        PointwiseBounds
            No standard errors. With ``aggregation="none"`` and several divergences a dict of them, by name.
        """
        features, a, text = self._where(X, arm, mean_text(self.functional))
        e, law = self._at(features, a)
        if self.final == "plugin":
            ends = [self._solved(e, law, a, each) for each in self._divergences]
        else:
            ends = [self._regressed(features, len(e), a, each) for each in self._divergences]
        if self._k is not None:
            ends = [kth_order([low for low, _ in ends], [high for _, high in ends], self._k)]
        manski, limits = self._manski(e, self._mean(law, a), a), self._limits[a]
        ends = [
            (np.clip(np.minimum(low, manski[0]), *limits), np.clip(np.maximum(high, manski[1]), *limits))
            for low, high in ends
        ]
        claim = self._claim({})
        found = [PointwiseBounds(low, high, *manski, e, text, claim, self._labels_of(X)) for low, high in ends]
        if len(found) == 1:
            return found[0]
        return dict(zip(self.divergences_, found, strict=True))

    def _parts(self, law: ArmLaw | JoinedLaw) -> list[tuple[IntArray, ArmLaw]]:
        return law.parts if isinstance(law, JoinedLaw) else [(np.arange(len(law.weights)), law)]

    def _mean(self, law: ArmLaw | JoinedLaw, arm: int) -> FloatArray:
        """Means of the laws cut at the limits."""
        out = np.empty(sum(len(at) for at, _ in self._parts(law)))
        for at, part in self._parts(law):
            out[at] = np.sum(part.weights * self._inside(part, arm), axis=1)
        return out

    def _solved(self, e: FloatArray, law: ArmLaw | JoinedLaw, arm: int, divergence: Divergence) -> Ends:
        low, high = self._limits[arm]
        lower, upper = np.empty(len(e)), np.empty(len(e))
        for at, part in self._parts(law):
            atoms = self._inside(part, arm)
            lower[at] = -f_ball_end(-atoms, part.weights, e[at], -low, divergence)
            upper[at] = f_ball_end(atoms, part.weights, e[at], high, divergence)
        return lower, upper

    def _regressed(self, features: FloatArray | None, n: int, arm: int, divergence: Divergence) -> Ends:
        """Scores of the first repeat regressed on X; at the rows of fit, fold by fold."""
        rows, folds = self._rows, self._crossfit(0).folds

        def at(score: FloatArray) -> FloatArray:
            if not np.isfinite(score).all():
                return np.full(n, score[0])
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
                f"In {crossing} of {len(low)} rows the regressed lower end lies above the upper one: there the "
                "regressions miss by more than the ends are apart. Ends are widened to hold Manski's. More rows, or "
                "final='plugin', whose ends do not cross.",
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
