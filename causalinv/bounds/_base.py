"""What all bounds estimators share: which arms a question is about, averages of scores, intervals, results."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from causalinv._clusters import RobustCovariance
from causalinv._typing import FloatArray
from causalinv._validation import check_features
from causalinv._warn import warn
from causalinv.bounds._inference import Target, clustered, combine, interval, ratio_of_means
from causalinv.bounds._rows import Functional, Rows
from causalinv.bounds._scores import manski_scores
from causalinv.exceptions import BoundsCrossingWarning, DegenerateInputWarning
from causalinv.results import BoundsEstimate

__all__ = ["ESTIMANDS", "BoundsBase", "Contrast", "Ends", "Policy"]

Policy: TypeAlias = Callable[[Any], Any]
Ends: TypeAlias = tuple[FloatArray, FloatArray]
Estimand: TypeAlias = Literal["mean", "ate", "att", "policy"]
ESTIMANDS = ("mean", "ate", "att", "policy")
_FEW = 10.0  # degrees of freedom below which users hear of them: t exceeds the normal quantile by an eighth


class Contrast:
    """A question about averages, on validated data: how it is composed of single arms, and its name."""

    def __init__(
        self,
        model: BoundsBase,
        estimand: str,
        arm: Hashable | None,
        control: Hashable | None,
        policy: Policy | None,
    ) -> None:
        if estimand not in ESTIMANDS:
            raise ValueError(f"estimand must be one of {ESTIMANDS}, got {estimand!r}.")
        self.estimand, rows = estimand, model._rows
        if (policy is not None) != (estimand == "policy"):
            raise ValueError(f"policy= belongs to estimand='policy', got estimand={estimand!r} and policy={policy!r}.")
        phi = functional_text(model.functional)
        if policy is not None:
            if arm is not None or control is not None:
                raise ValueError("A policy chooses the arm of every row itself: leave out arm= and control=.")
            self.shares = policy_shares(policy, rows, getattr(model, "feature_names_in_", None))
            self.text = f"mean of {phi} if the policy chose every row's arm"
            return
        self.arm = model._arm(arm, "arm", -1)
        self.text = f"mean of {phi} if all rows took arm {rows.arms.tolist()[self.arm]!r}"
        if estimand == "mean":
            if control is not None:
                raise ValueError("estimand='mean' is about one arm: leave out control=, or ask for 'ate' or 'att'.")
            return
        self.control = model._arm(control, "control", 0)
        if self.arm == self.control:
            raise ValueError(f"arm and control are both {rows.arms.tolist()[self.arm]!r}; they must differ.")
        treated, untreated = (rows.arms.tolist()[a] for a in (self.arm, self.control))
        among = "all rows" if estimand == "ate" else f"the rows that took {treated!r}"
        self.text = f"mean of {phi} under arm {treated!r} minus that under {untreated!r}, over {among}"

    def compose(self, of_arm: Callable[[int], Ends], rows: Rows) -> Ends:
        """Scores of the two ends from the scores of single arms; not for "att"."""
        if self.estimand == "mean":
            return of_arm(self.arm)
        if self.estimand == "ate":
            (low1, high1), (low0, high0) = of_arm(self.arm), of_arm(self.control)
            return low1 - high0, high1 - low0
        low, high = np.zeros(len(rows.codes)), np.zeros(len(rows.codes))
        for arm in np.flatnonzero(self.shares.any(axis=0)):
            share = self.shares[:, arm]
            below, above = (np.where(share > 0, end, 0.0) for end in of_arm(int(arm)))  # 0 times infinity is 0 here
            low, high = low + share * below, high + share * above
        return low, high


class BoundsBase(BaseEstimator):
    """Base of the estimators; holds no mathematics of its own."""

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"treatment": True, "groups": True}

    n_features_in_: int
    feature_names_in_: np.ndarray
    functional: Functional
    _rows: Rows
    _limits: FloatArray
    _support_text: str
    _title: ClassVar[str]
    _clusters: RobustCovariance | None  # of the rows, for errors of averages
    _df: float  # degrees of freedom that the clusters leave to averages
    _inside_manski: ClassVar[bool | None] = None  # True: the assumption only narrows his set; False: only widens it

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_rows")

    def _take(self, rows: Rows, limits: FloatArray, support_text: str) -> None:
        self._rows, self._limits, self._support_text = rows, limits, support_text
        self._clusters = clustered(rows.weight, rows.groups, len(rows.codes))
        self._df = np.inf if self._clusters is None else float(self._clusters.df()[0])
        self.arms_ = rows.arms
        self.outcome_support_ = limits

    def _arm(self, arm: Hashable | None, name: str, default: int) -> int:
        """Position of an arm; it may be left out only if the labels are 0 and 1."""
        labels = self._rows.arms.tolist()
        if arm is None:
            if labels not in ([0, 1], [False, True]):
                raise ValueError(f"{name}= must be given, one of {labels}: only for labels 0 and 1 is there a default.")
            return default % 2
        if arm not in labels:
            raise ValueError(f"{name} must be one of the arms {labels}, got {arm!r}.")
        return labels.index(arm)

    def _features(self, X: Any) -> FloatArray | None:
        """Features to evaluate at; None stays None: the rows of fit, out of fold."""
        check_is_fitted(self)
        return None if X is None else check_features(self, X, reset=False)[:, self._rows.varying]

    def _average(
        self,
        contrast: Contrast,
        scores: Callable[[int], Ends],
        n_repeats: int,
        confidence_level: float,
        target: Target,
    ) -> dict[str, float]:
        """One row of the result: ``scores(repeat)`` gives the terms of both ends."""
        rows = self._rows
        if target not in ("parameter", "set"):
            raise ValueError(f"target must be 'parameter' or 'set', got {target!r}.")
        bottom = (rows.codes == contrast.arm).astype(float) if contrast.estimand == "att" else None
        found = np.array(
            [[ratio_of_means(end, bottom, rows.weight, self._clusters) for end in scores(r)] for r in range(n_repeats)]
        )
        (lower, se_lower), (upper, se_upper) = (combine(found[:, i, 0], found[:, i, 1]) for i in range(2))
        if lower > upper:
            warn(
                f"The lower end, {lower:.4g}, lies above the upper one, {upper:.4g}: sampling error, or an assumption "
                "that the data contradict. Nothing is swapped; the interval treats the width as zero.",
                BoundsCrossingWarning,
            )
        errors, n = (se_lower, se_upper), len(rows.codes)
        low, high = interval(lower, upper, errors, confidence_level=confidence_level, target=target, n=n, df=self._df)
        plain = self._manski_terms(contrast)
        manski = [ratio_of_means(end, bottom, rows.weight)[0] for end in plain]
        floor, ceiling = self._possible(contrast)
        if self._inside_manski:
            lower, upper = (float(np.clip(end, manski[0], manski[1])) for end in (lower, upper))
        elif self._inside_manski is False:  # the interval moves outward with its end
            below = lower - manski[0] if lower > manski[0] else 0.0
            above = manski[1] - upper if upper < manski[1] else 0.0
            lower, upper, low, high = lower - below, upper + above, low - below, high + above
        low, high = min(low, lower), max(high, upper)
        lower, upper, low, high = (float(np.clip(end, floor, ceiling)) for end in (lower, upper, low, high))
        return {
            "lower": lower,
            "upper": upper,
            "se_lower": se_lower,
            "se_upper": se_upper,
            "ci_lower": low,
            "ci_upper": high,
            "manski_lower": manski[0],
            "manski_upper": manski[1],
        }

    def _possible(self, contrast: Contrast) -> tuple[float, float]:
        """Least and largest value of the estimand that the outcome's limits allow."""
        if contrast.estimand in ("mean", "policy"):
            mine = self._limits if contrast.estimand == "policy" else self._limits[[contrast.arm]]
            return float(mine[:, 0].min()), float(mine[:, 1].max())
        (low1, high1), (low0, high0) = self._limits[contrast.arm], self._limits[contrast.control]
        return float(low1 - high0), float(high1 - low0)

    def _manski_terms(self, contrast: Contrast) -> Ends:
        rows = self._rows
        if contrast.estimand == "att":
            low, high = self._limits[contrast.control]
            treated = rows.codes == contrast.arm
            return tuple(np.where(treated, rows.phi - end, 0.0) for end in (high, low))  # type: ignore[return-value]
        return contrast.compose(lambda a: manski_scores(rows.phi, rows.codes == a, self._limits[a]), rows)

    def _result(
        self,
        contrast: Contrast,
        table: pd.DataFrame,
        *,
        assumption: str,
        confidence_level: float,
        target: str,
        notes: tuple[str, ...] = (),
    ) -> BoundsEstimate:
        limits = self._limits
        if self._df < _FEW:
            few = (
                f"The groups leave {self._df:.2g} degrees of freedom to averages, because they are few or of unequal "
                "size: intervals are wide, from Student's t with these."
            )
            warn(few, DegenerateInputWarning)
            notes = (*notes, few)
        if contrast.estimand == "ate" and np.isfinite(limits).all() and (limits == limits[0]).all():
            notes = (
                *notes,
                "Manski's interval for a contrast of arms is as wide as the outcome's range, or wider, and always "
                "contains 0.",
            )
        return BoundsEstimate(
            self._title,
            contrast.text,
            assumption,
            table,
            confidence_level,
            len(self._rows.codes),
            target=target,
            notes=notes,
        )


def functional_text(functional: Functional) -> str:
    """How results call phi(Y)."""
    if isinstance(functional, tuple):
        return f"1{{Y {'<=' if functional[0] == 'cdf' else '>'} {functional[1]:g}}}"
    return "Y" if isinstance(functional, str) else "phi(Y)"


def policy_shares(policy: Policy, rows: Rows, names: Any) -> FloatArray:
    """Probabilities (n, n_arms) with which a policy chooses arms; (n,) is the chance of the last of two arms."""
    given = rows.given if names is None else pd.DataFrame(rows.given, columns=names)
    shares: FloatArray = np.asarray(policy(given), dtype=np.float64)
    n = len(rows.codes)
    if shares.shape == (n,) and rows.n_arms == 2:
        shares = np.column_stack([1.0 - shares, shares])
    if shares.shape != (n, rows.n_arms):
        raise ValueError(
            f"policy must return shape ({n}, {rows.n_arms}), one probability per arm in the order {rows.arms.tolist()}"
            f"{' (or the chance of the last arm)' if rows.n_arms == 2 else ''}; got {shares.shape}."
        )
    if not (np.isfinite(shares).all() and (shares >= 0).all() and np.allclose(shares.sum(axis=1), 1.0)):
        raise ValueError("policy must return probabilities: numbers >= 0 that sum to one in every row.")
    return shares
