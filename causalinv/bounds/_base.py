"""What all bounds estimators share: one fit, and how a question names its arm and its places."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from causalinv._clusters import RobustCovariance
from causalinv._compat import named_frame
from causalinv._frames import row_index
from causalinv._typing import FloatArray
from causalinv._typing import Rows as Given
from causalinv._validation import check_features
from causalinv.bounds._contrast import arm_position
from causalinv.bounds._docs import Documented
from causalinv.bounds._inference import clustered, freedom
from causalinv.bounds._rows import Functional, Rows, check_data, resolve_support, transformed

__all__ = ["BoundsBase"]


class BoundsBase(Documented, BaseEstimator):
    """Validates and keeps the data."""

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"treatment": True, "groups": True}

    n_features_in_: int
    feature_names_in_: np.ndarray
    functional: Functional = "mean"
    features: Any
    _rows: Rows
    _limits: FloatArray
    _support_text: str
    _clusters: RobustCovariance | None  # of the rows, for errors of averages
    _df: float  # degrees of freedom that rows or clusters leave to averages over all
    _later: int  # seed of what is drawn when a question needs it
    _title: ClassVar[str]
    _limits_needed: ClassVar[bool]  # whether ends are infinite without limits of the outcome, which is then said

    def fit(
        self, X: Given, y: Given, *, treatment: Given = None, sample_weight: Given = None, groups: Given = None
    ) -> Self:
        """Validate the data, and fit what every question needs.

        Parameters
        ----------
        X : array-like of shape (n, d), or None
            Covariates; None if there are none: bounds are then about the population as a whole. Text, categories and
            missing entries go through `features`.
        y : array-like of shape (n,)
            Outcome.
        treatment : array-like of shape (n,)
            Arm of each row, at least two; with folds each arm needs at least `cv` rows.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0 of sampling, such as one over the probability with which a row came into the sample: a weight
            of 2 is not two rows, and 0 leaves a row out. Only ratios matter. Learners get them too.
        groups : array-like of shape (n,), optional
            Cluster of each row: kept in one fold, and the unit of standard errors.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `treatment` is missing, continuous, has one arm or too small ones, an outcome lies outside
            `outcome_support`, or an input or a parameter is malformed.
        """
        given = {"treatment": treatment, "sample_weight": sample_weight, "groups": groups}
        self._rows = rows = check_data(self, X, y, least=self._check(), **given)
        self._limits, self._support_text = resolve_support(self, rows, needed=self._limits_needed)
        self._clusters = clustered(rows.weight, rows.groups, len(rows.codes))
        self._df = freedom(np.ones(len(rows.codes)) if rows.weight is None else rows.weight, rows.groups)
        self.arms_, self.outcome_support_ = rows.arms, self._limits
        self._learn()
        return self

    def _check(self) -> int:
        """Check parameters; the least number of rows of an arm."""
        return 1

    def _learn(self) -> None:
        """Fit what every question needs."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_limits")

    def _arm(self, arm: Hashable | None, name: str = "arm", default: int = -1) -> int:
        check_is_fitted(self)
        return arm_position(self._rows, arm, name, default)

    def _numbers(self, X: Any) -> FloatArray | None:
        """Features to evaluate at; None stays None: the rows of fit, out of fold."""
        check_is_fitted(self)
        rows = self._rows
        if X is None:
            return None
        if self.n_features_in_ == 0:
            raise ValueError("The model was fitted without covariates (X=None): pass X=None, the rows of fit.")
        if rows.features is None:
            return check_features(self, X, reset=False)[:, rows.varying]
        return transformed(rows.features, named_frame(X))[:, rows.varying]

    def _labels_of(self, X: Any) -> pd.Index | None:
        """Labels of the rows of a pointwise answer."""
        return self._rows.kept_labels if X is None else row_index(X)

    def _where(self, X: Any, arm: Hashable | None, what: str) -> tuple[FloatArray | None, int, str]:
        """Features of a pointwise question, the position of its arm, and the question in words."""
        features, a = self._numbers(X), self._arm(arm)
        return features, a, f"{what} under arm {self._rows.arms.tolist()[a]!r} at each row"

    def _arms_text(self) -> str:
        rows = self._rows
        count = np.bincount(rows.codes, minlength=rows.n_arms)
        text = f"{len(rows.codes)}: " + ", ".join(
            f"{n} in arm {label!r}" for n, label in zip(count, rows.arms.tolist(), strict=True)
        )
        return text if rows.groups is None else f"{text}; {len(np.unique(rows.groups))} clusters"
