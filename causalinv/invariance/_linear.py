"""What the estimators of this room share once they hold a rule: prediction, and least squares beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._typing import BoolArray, FloatArray, Rows
from causalinv._validation import check_features
from causalinv.linear_rule import LinearRule
from causalinv.moments import Moments

__all__ = ["FeatureChoice", "LinearPrediction", "names_of", "store_risks"]


class LinearPrediction:
    """Prediction by ``coef_`` and ``intercept_``."""

    coef_: FloatArray
    intercept_: float

    @property
    def rule_(self) -> LinearRule:
        """The fitted rule on all features."""
        check_is_fitted(self)
        return LinearRule(self.coef_, self.intercept_, getattr(self, "components_", None), names_of(self))

    def predict(self, X: Rows) -> FloatArray:
        """Predict by the fitted rule, shape (n,)."""
        check_is_fitted(self)
        return check_features(self, X, reset=False) @ self.coef_ + self.intercept_


class FeatureChoice(TransformerMixin):
    """A transformer that keeps the features in ``support_``; under scikit-learn's mixin, which names its output."""

    support_: BoolArray
    n_features_in_: int

    def transform(self, X: Rows) -> FloatArray:
        """Keep the chosen features, shape (n, k)."""
        check_is_fitted(self)
        return check_features(self, X, reset=False)[:, self.support_]

    def get_support(self, indices: bool = False) -> np.ndarray:
        """The chosen set, as a mask or as positions."""
        check_is_fitted(self)
        return np.flatnonzero(self.support_) if indices else self.support_

    def get_feature_names_out(self, input_features: Rows = None) -> np.ndarray:
        """Names of the chosen features."""
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        if input_features is not None:
            given = np.asarray(input_features, dtype=object)
            if names is not None and not np.array_equal(names, given):
                raise ValueError("input_features is not equal to feature_names_in_")
            if len(given) != self.n_features_in_:
                raise ValueError(
                    f"input_features should have length equal to number of features ({self.n_features_in_}), got "
                    f"{len(given)}"
                )
            names = given
        if names is None:
            names = np.array([f"x{i}" for i in range(self.n_features_in_)], dtype=object)
        return names[self.support_]


def names_of(estimator: Any) -> tuple[str, ...] | None:
    """Names of the features, if X had any."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else tuple(names)


def store_risks(estimator: Any, moments: Moments) -> None:
    """Risks of the fitted rule, and coefficients and risks of least squares on all features."""
    estimator.risk_env_ = LinearRule(estimator.coef_, estimator.intercept_).risks(moments)
    estimator.worst_risk_ = float(estimator.risk_env_.max())
    plain = LinearRule.from_moments(moments)
    estimator.least_squares_coef_ = plain.coef
    estimator.least_squares_risk_env_ = plain.risks(moments)
