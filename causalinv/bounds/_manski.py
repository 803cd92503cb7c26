"""Manski's bounds: what the data say under no assumption but the outcome's limits."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from causalinv._parallel import generator, seed_estimator
from causalinv._typing import FloatArray, RandomState
from causalinv._typing import Rows as Given
from causalinv.bounds._conditional import named
from causalinv.bounds._contrast import Contrast, Ends, mean_text
from causalinv.bounds._crossfit import folds_of
from causalinv.bounds._means import MeanBounds
from causalinv.bounds._rows import Functional
from causalinv.bounds._unseen import Pair, more_of_few
from causalinv.results import PointwiseBounds

__all__ = ["ManskiBounds"]


class ManskiBounds(MeanBounds):
    r"""Sharp bounds on means of potential outcomes that assume nothing but limits of the outcome.

    With limits [L, U], arm a with propensity e and mean :math:`\mu`, the mean of Y(a) given x lies in
    :math:`e\mu + (1 - e)[L, U]`, and no smaller interval follows from the data: every f-ball contains it.

    Parameters
    ----------
    {finite_support}
    {functional}
    {features}
    outcome : regressor, optional
        For `predict_bounds` only: regresses ``1{A = a} phi`` and ``1{A = a}`` on X, the latter kept in [0, 1]. A random
        forest if left out.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of that regressor and its folds; averages draw nothing.

    Attributes
    ----------
    {attributes}

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

    _title: ClassVar[str] = "Manski bounds: lowest and highest value that the data leave open"
    _limits_needed: ClassVar[bool] = True

    def __init__(
        self,
        *,
        outcome_support: tuple[float, float] | str | None = None,
        functional: Functional = "mean",
        features: Any = None,
        outcome: Any = None,
        random_state: RandomState = None,
    ):
        self.outcome_support = outcome_support
        self.functional = functional
        self.features = features
        self.outcome = outcome
        self.random_state = random_state

    def _learn(self) -> None:
        rng = generator(self.random_state, "Manski bounds")
        self._seed = int(rng.integers(2**31))
        self._models: dict[str, Any] = {}  # filled when a prediction first needs it: averages do without

    def _terms(self, contrast: Contrast, strength: Any, repeat: int) -> Ends:
        return self._manski_terms(contrast)

    def _beyond(self, contrast: Contrast, strength: Any, level: float, errors: Pair) -> FloatArray:
        """Of ends whose terms are one or two numbers, and so counts."""
        rows, (ends, bottom) = self._rows, self._ratio(contrast, strength, 0)
        own = np.arange(len(rows.codes)) if bottom is None else np.flatnonzero(bottom)
        share = np.ones(len(own)) if rows.weight is None else rows.weight[own]
        units = None if rows.groups is None else rows.groups[own]
        few = np.zeros(2)
        for side, (top, limit) in enumerate(zip(ends, self._possible(contrast), strict=True)):
            values = np.unique(top[own])
            if len(values) == 1 and np.isfinite(limit):  # the others' number is the farthest possible one
                values = np.unique([values[0], limit])
            if len(values) == 2 and np.isfinite(values).all():
                seen, far = top[own] == values[side], np.ptp(values) / share.sum()
                few[side] = more_of_few(far * share, seen, units, level, errors[side])
        return np.array([few, np.zeros(2)])

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

    def _named(self, X: FloatArray) -> Any:
        return named(X, None if self.outcome is None else self._rows.varying_names)

    def _fit_weight(self) -> dict[str, FloatArray]:
        return {} if self._rows.weight is None else {"sample_weight": self._rows.weight}

    def predict_bounds(self, X: Given, *, arm: Hashable | None = None) -> PointwiseBounds:
        """Bounds on the mean of phi(Y(arm)) given each row of features.

        {pointwise}

        {pointwise_result}
        """
        features, a, text = self._where(X, arm, mean_text(self.functional))
        rows = self._rows
        targets = self._targets()
        spread = np.maximum(targets.std(axis=0), 1e-300)
        if features is None:
            split = PredefinedSplit(folds_of(rows, self._folds(), np.random.default_rng(self._seed)))
            weight = self._fit_weight() or None
            found = cross_val_predict(self._regressor(), self._named(rows.X), targets / spread, cv=split, params=weight)
        else:
            if not self._models:
                whole = self._named(rows.X)
                self._models["all"] = clone(self._regressor()).fit(whole, targets / spread, **self._fit_weight())
            found = self._models["all"].predict(self._named(features))
        found = found * spread
        e = np.clip(found[:, rows.n_arms + a], 0.0, 1.0)
        with np.errstate(invalid="ignore"):
            lower, upper = (found[:, a] + np.where(e < 1, (1.0 - e) * limit, 0.0) for limit in self._limits[a])
        lower, upper = (np.clip(end, *self._limits[a]) for end in (lower, upper))  # learners may leave the limits
        return PointwiseBounds(lower, upper, lower, upper, e, text, self._support_text, self._labels_of(X))
