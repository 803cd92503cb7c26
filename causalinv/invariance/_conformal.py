"""Intervals for a row of the next environment, whatever the regressor and whatever the law of the rows."""

from __future__ import annotations

import inspect
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import sklearn
from scipy.stats import kendalltau
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from causalinv._aligned import AlignedRegressorMixin
from causalinv._fingerprints import fingerprints
from causalinv._frames import framed, row_index
from causalinv._labels import Labels, encode, shown
from causalinv._parallel import generator
from causalinv._printing import cut
from causalinv._typing import BoolArray, FloatArray, IntArray, RandomState, Rows
from causalinv._validation import check_alignment, check_confidence_level, check_features, check_number, check_outcome
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning
from causalinv.invariance._doors import FitsRows
from causalinv.invariance.certificates._same import refuse_training
from causalinv.invariance.rules._rule import predictions
from causalinv.moments import Moments
from causalinv.results import Summary

__all__ = ["HierarchicalConformalRegressor"]

_ROUNDING = 1e-12  # of a probability
_DRIFT = 0.01  # level of the test of a trend along the labels
_CELLS = 4_000_000  # numbers sorted at once
_ULPS = 4.0 * np.finfo(float).eps  # beside the numbers added: a limit that is an outcome must not round to its inside


class HierarchicalConformalRegressor(FitsRows, AlignedRegressorMixin, BaseEstimator):
    r"""Prediction intervals that hold in the next environment, around any regressor.

    Environments are drawn from one law, each with rows of its own; a new environment is drawn, and one row of it. The
    interval holds with the probability that is printed *over environments and one row of each*: not in every
    environment, and not given the features. Nothing else is assumed, of the regressor or of the rows.

    Parameters
    ----------
    estimator : regressor, default LinearRegression()
        What predicts. It is passed `environments` if its ``fit`` takes them. A regressor that is fitted already, to
        other environments, is given as ``sklearn.frozen.FrozenEstimator(fitted)``; then all environments calibrate,
        and one is enough.
    method : {"split", "leave_one_environment_out"}, default "split"
        ``"split"``: some environments train, the K others calibrate; guaranteed coverage ``confidence_level``.
        ``"leave_one_environment_out"``: all do both, at a fit per environment; guaranteed only
        ``2 * confidence_level - 1``, usually near `confidence_level`.
    calibration_share : float, default 0.5
        Share of the environments that calibrate, for ``"split"``; at least one trains and one calibrates.
    random_state : int, SeedSequence, Generator, RandomState or None
        Which environments calibrate.

    Attributes
    ----------
    estimator_ : regressor
        Fitted to the training environments (to all of them for ``"leave_one_environment_out"``); `predict` is its.
    calibration_environments_ : ndarray
        Labels of those that calibrate.
    n_calibration_ : int
        How many they are, K.
    highest_level_ : float
        Largest `confidence_level` whose intervals are finite, K / (K + 1).
    scores_ : ndarray of shape (n_scores,)
        Absolute residuals of the rows that calibrate, by regressors that did not see their environment.
    drift_pvalue_ : float
        Of the test that mean residuals have no trend along the sorted labels; NaN for fewer than four environments.
    {seen}

    Warns
    -----
    ExtrapolationWarning
        If residuals have a trend along the sorted labels (at level .01): the next environment is then no draw of the
        law of these, and the interval need not hold there.

    Notes
    -----
    Each environment weighs 1/(K + 1), spread over its rows, and the new one adds 1/(K + 1) at infinity. Hence an
    interval is infinite when ``1 - confidence_level < 1/(K + 1)``: so few environments cannot promise so much, by
    whatever method. Source: Lee, Barber and Willett, *Distribution-free inference with hierarchical data*; Dunn,
    Wasserman and Ramdas (2023). Measured coverages: ``benchmarks/results/conformal.md``.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.invariance import HierarchicalConformalRegressor
    >>> rng = np.random.default_rng(0)
    >>> hospital = np.repeat(np.arange(20), 30)
    >>> X = rng.normal(size=(600, 2))
    >>> y = X[:, 0] + rng.normal(size=20)[hospital] + rng.normal(size=600)
    >>> model = HierarchicalConformalRegressor(random_state=0).fit(X, y, environments=hospital)
    >>> model.predict_interval([[0.0, 0.0]], confidence_level=0.9).round(1).columns.tolist()
    ['lower', 'upper']
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: Literal["split", "leave_one_environment_out"] = "split",
        calibration_share: float = 0.5,
        random_state: RandomState = None,
    ):
        self.estimator = estimator
        self.method = method
        self.calibration_share = calibration_share
        self.random_state = random_state

    def _fit_rows(self, X: Rows, y: Rows, environments: Rows) -> Self:
        if environments is None:
            raise ValueError(
                "HierarchicalConformalRegressor needs environments=, the label of each row's environment: splitting "
                "rows without them gives intervals that fail in a new environment. In a Pipeline pass it by metadata "
                "routing or as step__environments."
            )
        if self.method not in ("split", "leave_one_environment_out"):
            raise ValueError(f"method must be 'split' or 'leave_one_environment_out', got {self.method!r}.")
        share = check_number(self.calibration_share, "calibration_share", low=0.0, high=1.0, open_low=True)
        check_alignment(X=X, y=y, environments=environments)
        array = check_features(self, X, reset=True, min_samples=2)
        outcome = check_outcome(y, len(array))
        frozen = isinstance(self.estimator, FrozenEstimator)
        labels = encode(environments, "environments", len(array), least=1 if frozen else 2)
        if frozen:
            self._check_frozen(array, outcome, labels)
        everything = np.ones(len(array), bool)
        if self.method == "split":
            codes = self._calibrating(len(labels), share, frozen)
            inside = np.isin(labels.codes, codes)
            self.estimator_ = self._fitted(array, outcome, labels, everything if frozen else ~inside)
            self._left_out = [self.estimator_]
            self._owner = np.zeros(int(inside.sum()), int)
            residuals = outcome[inside] - self._ask(self.estimator_, array[inside])
        else:
            codes, inside = np.arange(len(labels)), everything
            self.estimator_ = self._fitted(array, outcome, labels, everything)
            self._left_out = [self._fitted(array, outcome, labels, labels.codes != code) for code in codes]
            self._owner, residuals = labels.codes.astype(int), np.empty(len(array))
            for code, model in enumerate(self._left_out):
                rows = labels.rows(code)
                residuals[rows] = outcome[rows] - self._ask(model, array[rows])
        trained = everything if self.method != "split" else ~inside
        self._training_rows = None if frozen else fingerprints(array[trained], outcome[trained])
        self.calibration_environments_ = labels.names[codes].to_numpy()
        self.n_calibration_ = len(codes)
        self.highest_level_ = len(codes) / (len(codes) + 1.0)
        self.scores_ = np.abs(residuals)
        self._group = np.searchsorted(codes, labels.codes[inside])
        self._weights = 1.0 / (len(codes) + 1.0) / np.bincount(self._group)[self._group]
        self.drift_pvalue_ = self._drift(residuals)
        return self

    def _check_frozen(self, array: FloatArray, outcome: FloatArray, labels: Labels) -> None:
        if self.method != "split":
            raise ValueError(
                "A FrozenEstimator is not fitted again, so no environment can be left out of it: use method='split'."
            )
        check_is_fitted(self.estimator)
        moments = Moments.from_rows(x=array, y=outcome, environments=labels)
        refuse_training(self.estimator, moments, self._framed(array), outcome, labels)

    def _calibrating(self, n: int, share: float, frozen: bool) -> IntArray:
        """Codes of the environments that calibrate."""
        if frozen:
            return np.arange(n)
        k = min(max(round(share * n), 1), n - 1)
        return np.sort(generator(self.random_state, "conformal").permutation(n)[:k])

    def _fitted(self, array: FloatArray, outcome: FloatArray, labels: Labels, rows: BoolArray) -> Any:
        model = LinearRegression() if self.estimator is None else clone(self.estimator)
        name = _takes_environments(model)
        given = {} if name is None else {name: labels.names[labels.codes[rows]].to_numpy()}
        return model.fit(self._framed(array[rows]), outcome[rows], **given)

    def _framed(self, array: FloatArray) -> Any:
        names = getattr(self, "feature_names_in_", None)
        return array if names is None else framed(array, columns=names)

    def _ask(self, model: Any, array: FloatArray) -> FloatArray:
        return predictions(model, self._framed(array), len(array))

    def _drift(self, residuals: FloatArray) -> float:
        k = self.n_calibration_
        if k < 4:
            return float("nan")
        means = np.bincount(self._group, residuals, minlength=k) / np.bincount(self._group)
        if np.ptp(means) == 0:
            return 1.0
        pvalue = float(kendalltau(np.arange(k), means).pvalue)  # exact up to 33 environments
        if pvalue <= _DRIFT:
            ends = shown(self.calibration_environments_[0]), shown(self.calibration_environments_[-1])
            warn(
                f"Mean residuals have a trend along the sorted labels of environments, from {ends[0]} to {ends[1]} "
                f"(p = {pvalue:.2g}). If that order means something (time, dose), the next environment is no draw of "
                "the law of these, and intervals will hold there less often than they say.",
                ExtrapolationWarning,
            )
        return pvalue

    # -- answers --------------------------------------------------------------------------------------------------

    def predict(self, X: Rows) -> FloatArray:
        """Predict by `estimator_`, shape (n,)."""
        check_is_fitted(self)
        return self._ask(self.estimator_, check_features(self, X, reset=False))

    def guaranteed_coverage(self, confidence_level: float = 0.9) -> float:
        """Probability, over environments and one row of the next, with which intervals hold at least."""
        level = check_confidence_level(confidence_level)
        return level if self.method == "split" else max(0.0, 2.0 * level - 1.0)

    def predict_interval(self, X: Rows, confidence_level: float = 0.9, *, share: float | None = None) -> pd.DataFrame:
        """Intervals for rows of a new environment, drawn like those that calibrate.

        Parameters
        ----------
        X : array-like of shape (n, d)
        confidence_level : float, default 0.9
            See `guaranteed_coverage` for what is proved at that level.
        share : float, optional
            Instead of one row of the next environment, speak of most of them: with probability `confidence_level` the
            intervals hold for at least this share of the rows that the next environment brings, if the number of rows
            of an environment is drawn with it. ``"split"`` only.

        Returns
        -------
        DataFrame
            ``lower``, ``upper``; the caller's index. Infinite, with a warning, above `highest_level_`. Limits belong to
            the interval, and are some units in the last place wider, so that an outcome that equals one (discrete y)
            is inside whatever was rounded.

        Raises
        ------
        ValueError
            If `confidence_level` or `share` is not between 0 and 1, or ``share`` is asked of another method.

        Warns
        -----
        DegenerateInputWarning
            If intervals are infinite, as there are too few environments for this level.
        """
        check_is_fitted(self)
        level = check_confidence_level(confidence_level)
        array = check_features(self, X, reset=False)
        if share is not None:
            share = check_number(share, "share", low=0.0, high=1.0, open_low=True)
            if self.method != "split":
                raise ValueError("share= is proved for method='split' only.")
        if level > self.highest_level_ + _ROUNDING:
            warn(
                f"Environments that calibrate: {self.n_calibration_}, which give finite intervals up to "
                f"confidence_level={cut(self.highest_level_)}; at {level:g} they are infinite. More environments are "
                "needed, not more rows.",
                DegenerateInputWarning,
            )
            lower, upper = np.full(len(array), -np.inf), np.full(len(array), np.inf)
        elif self.method == "split":
            centre = self._ask(self.estimator_, array)
            half = self._half(level) if share is None else self._half_for_share(level, share)
            wide = half + _ULPS * (np.abs(centre) + half)
            lower, upper = centre - wide, centre + wide
        else:
            said = np.array([self._ask(model, array) for model in self._left_out])
            lower, upper = np.empty(len(array)), np.empty(len(array))
            step = max(1, _CELLS // len(self.scores_))
            for start in range(0, len(array), step):
                part = slice(start, start + step)
                centres = said[self._owner][:, part].T
                scores = self.scores_ + _ULPS * (np.abs(centres) + self.scores_)
                upper[part] = _quantile(centres + scores, self._weights, level)
                lower[part] = -_quantile(scores - centres, self._weights, level)
            lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)  # they can cross below 1/2
        return framed(np.column_stack([lower, upper]), columns=["lower", "upper"], index=row_index(X))

    def _half(self, level: float) -> float:
        return float(_quantile(self.scores_[None], self._weights, level)[0])

    def _half_for_share(self, level: float, share: float) -> float:
        """Per environment the score that a share of its rows does not exceed; of these, the conformal quantile."""
        each = np.empty(self.n_calibration_)
        for k in range(self.n_calibration_):
            scores = np.sort(self.scores_[self._group == k])
            each[k] = scores[max(int(np.ceil(share * len(scores) - 1e-9)), 1) - 1]
        weights = np.full(len(each), 1.0 / (len(each) + 1.0))
        return float(_quantile(each[None], weights, level)[0])

    def summary(self) -> Summary:
        """What is promised at usual levels, and what so many environments can promise at best."""
        check_is_fitted(self)
        levels = [level for level in (0.5, 0.7, 0.8, 0.9, 0.95) if level <= self.highest_level_ + _ROUNDING]
        table = pd.DataFrame({"guaranteed coverage": [self.guaranteed_coverage(level) for level in levels]})
        if self.method == "split":
            table["width"] = [2.0 * self._half(level) for level in levels]
        table.index = pd.Index(levels, name="confidence_level")
        notes = [
            f"Environments that calibrate: {self.n_calibration_}; finite intervals up to level "
            f"{cut(self.highest_level_)}.",
            "Coverage is over environments and one row of each, not for every environment.",
        ]
        if self.drift_pvalue_ <= _DRIFT:
            notes.append(f"Residuals have a trend along the labels (p = {self.drift_pvalue_:.2g}).")
        return Summary(
            title=f"Prediction intervals for one row of a new environment ({self.method})",
            estimand="the outcome of one row of a new environment, in its units",
            assumption="the new environment is drawn from the law of those that calibrate",
            table=table,
            notes=tuple(notes),
        )


def _quantile(values: FloatArray, weights: FloatArray, level: float) -> FloatArray:
    """Smallest value of each row with weight of at least `level` at or below it; inf if there is none."""
    order = np.argsort(values, axis=1)
    reached = np.cumsum(weights[order], axis=1) >= level - _ROUNDING
    at = np.take_along_axis(values, np.take_along_axis(order, reached.argmax(axis=1)[:, None], axis=1), axis=1)[:, 0]
    return np.where(reached[:, -1], at, np.inf)


def _takes_environments(model: Any) -> str | None:
    """Name by which ``fit`` is passed environments, if it takes them."""
    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        if _takes_environments(last) is None:
            return None
        return "environments" if sklearn.get_config()["enable_metadata_routing"] else f"{name}__environments"
    return "environments" if "environments" in inspect.signature(model.fit).parameters else None
