"""Manski's bounds: what the data say under no assumption but the outcome's limits."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from causalinv._frames import row_index
from causalinv._parallel import generator, seed_estimator
from causalinv._typing import FloatArray, RandomState
from causalinv._typing import Rows as Given
from causalinv._validation import check_confidence_level
from causalinv.bounds._base import BoundsBase, Contrast, Estimand, Policy, functional_text
from causalinv.bounds._crossfit import folds_of
from causalinv.bounds._inference import Target
from causalinv.bounds._rows import Functional, check_data, resolve_support
from causalinv.results import BoundsEstimate, PointwiseBounds

__all__ = ["ManskiBounds"]


class ManskiBounds(BoundsBase):
    r"""Sharp bounds on means of potential outcomes that assume nothing but limits of the outcome.

    With limits [L, U], arm a with propensity e and mean :math:`\mu`, the mean of Y(a) given x lies in
    :math:`e\mu + (1 - e)[L, U]`, and no smaller interval follows from the data: every f-ball contains it.

    Parameters
    ----------
    outcome_support : (float, float), "observed" or None, default None
        Limits of the outcome (of phi, if `functional` is a function); either may be infinite. ``"observed"`` takes the
        arm's sample range and warns. None: 0 and 1 for an indicator or a 0/1 outcome; else no limits, infinite ends and
        a warning that says why.
    functional : "mean", ("cdf", t), ("exceedance", t) or callable, default "mean"
        phi, whose mean is bounded: the outcome, ``Y <= t``, ``Y > t``, or a vectorised function.
    outcome : regressor, optional
        For `predict_bounds` only: regresses ``1{A = a} phi`` and ``1{A = a}`` on X, the latter kept in [0, 1]. A random
        forest if left out.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of that regressor and its folds; averages draw nothing.

    Attributes
    ----------
    arms_ : ndarray
        Labels of the arms, sorted.
    outcome_support_ : ndarray of shape (n_arms, 2)
        Limits used.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Warns
    -----
    UnboundedOutcomeWarning, ObservedSupportWarning
        See `outcome_support`.

    Notes
    -----
    Valid if the outcome of a row is that of the arm it took, and lies within the limits. No propensity enters the
    averages: they are ordinary means of ``1{A = a} phi + 1{A != a} L`` (or U). A contrast of two arms is at least as
    wide as U - L and, with the same limits in both arms, always contains 0; what can be informative is one arm, a
    policy, an indicator.

    Source: Manski (1990); intervals: Imbens and Manski (2004).

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.bounds import ManskiBounds
    >>> treatment = np.repeat([0, 1], 50)
    >>> passed = np.r_[np.zeros(30), np.ones(20), np.zeros(10), np.ones(40)]
    >>> model = ManskiBounds().fit(np.zeros((100, 1)), passed, treatment=treatment)
    >>> bounds = model.average_bounds("mean", arm=1)
    >>> bounds.lower, bounds.upper
    (0.4, 0.9)
    """

    _title: ClassVar[str] = "Manski bounds"

    def __init__(
        self,
        *,
        outcome_support: tuple[float, float] | str | None = None,
        functional: Functional = "mean",
        outcome: Any = None,
        random_state: RandomState = None,
    ):
        self.outcome_support = outcome_support
        self.functional = functional
        self.outcome = outcome
        self.random_state = random_state

    def fit(
        self, X: Given, y: Given, *, treatment: Given = None, sample_weight: Given = None, groups: Given = None
    ) -> Self:
        """Validate the data; the regressor of `predict_bounds` is fitted when that is first called.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Covariates.
        y : array-like of shape (n,)
            Outcome.
        treatment : array-like of shape (n,)
            Arm of each row, at least two.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0, of sampling: a weight of 2 is not two rows. 0 leaves a row out.
        groups : array-like of shape (n,), optional
            Cluster of each row, for standard errors.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `treatment` is missing, continuous or has one arm, an outcome lies outside `outcome_support`, or an input
            is malformed.
        """
        rows = check_data(self, X, y, treatment=treatment, sample_weight=sample_weight, groups=groups, least=1)
        limits, text = resolve_support(self, rows, needed=True)
        self._take(rows, limits, text)
        rng = generator(self.random_state, "Manski bounds")
        self._seed = int(rng.integers(2**31))
        self._models: dict[str, Any] = {}  # filled when a prediction first needs it: averages do without
        return self

    def _folds(self) -> int:
        """Five folds, or as many as rows of the smallest arm, or groups, allow."""
        rows = self._rows
        most = int(np.bincount(rows.codes).min())
        if rows.groups is not None:
            most = min(most, len(np.unique(rows.groups)))
        return max(2, min(5, most))

    def _targets(self) -> FloatArray:
        """``1{A = a} phi`` and ``1{A = a}``, arm by arm."""
        rows = self._rows
        inside = (rows.codes[:, None] == np.arange(rows.n_arms)).astype(float)
        return np.concatenate([inside * rows.phi[:, None], inside], axis=1)

    def _regressor(self) -> Any:
        if self.outcome is not None:
            return seed_estimator(self.outcome, np.random.default_rng(self._seed))
        return RandomForestRegressor(100, min_samples_leaf=10, max_features=0.7, random_state=self._seed)

    def _fit_weight(self) -> dict[str, FloatArray]:
        return {} if self._rows.weight is None else {"sample_weight": self._rows.weight}

    def predict_bounds(self, X: Given, *, arm: Hashable | None = None) -> PointwiseBounds:
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
            No standard errors.
        """
        features = self._features(X)
        a, rows = self._arm(arm, "arm", -1), self._rows
        targets = self._targets()
        spread = np.maximum(targets.std(axis=0), 1e-300)
        if features is None:
            split = PredefinedSplit(folds_of(rows, self._folds(), np.random.default_rng(self._seed)))
            weight = self._fit_weight() or None
            found = cross_val_predict(self._regressor(), rows.X, targets / spread, cv=split, params=weight)
        else:
            if not self._models:
                self._models["all"] = clone(self._regressor()).fit(rows.X, targets / spread, **self._fit_weight())
            found = self._models["all"].predict(features)
        found = found * spread
        e = np.clip(found[:, rows.n_arms + a], 0.0, 1.0)
        with np.errstate(invalid="ignore"):
            lower, upper = (found[:, a] + np.where(e < 1, (1.0 - e) * limit, 0.0) for limit in self._limits[a])
        lower, upper = (np.clip(end, *self._limits[a]) for end in (lower, upper))  # learners may leave the limits
        text = f"mean of {functional_text(self.functional)} under arm {rows.arms.tolist()[a]!r} at each row"
        return PointwiseBounds(lower, upper, lower, upper, e, text, self._support_text, row_index(X))

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
        """Bounds on an average, with standard errors.

        Parameters
        ----------
        estimand : {"mean", "ate", "att", "policy"}, default "mean"
            Mean of Y(arm); mean of Y(arm) - Y(control) over all, or over the rows that took `arm`; mean under a policy.
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
        """
        self._features(None)
        contrast = Contrast(self, estimand, arm, control, policy)
        level = check_confidence_level(confidence_level)
        line = self._average(contrast, lambda r: self._manski_terms(contrast), 1, level, target)
        table = pd.DataFrame([line], index=["no assumption"])
        claim = f"none about confounding; {self._support_text}"
        return self._result(contrast, table, assumption=claim, confidence_level=level, target=target)
