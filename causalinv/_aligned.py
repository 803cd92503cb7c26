"""Regressors and classifiers whose ``score`` takes no rows of another order, as their ``fit`` takes none."""

from __future__ import annotations

from sklearn.base import ClassifierMixin, RegressorMixin

from causalinv._typing import Rows
from causalinv._validation import check_alignment

__all__ = ["AlignedClassifierMixin", "AlignedRegressorMixin"]


class AlignedRegressorMixin(RegressorMixin):
    """scikit-learn's mixin, with a score that refuses an outcome of other rows."""

    def score(self, X: Rows, y: Rows, sample_weight: Rows = None) -> float:
        """R² of `predict` for y.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,) or (n, p)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If lengths, or the indexes of pandas objects, differ.
        """
        check_alignment(X=X, y=y, sample_weight=sample_weight)
        return float(super().score(X, y, sample_weight))


class AlignedClassifierMixin(ClassifierMixin):
    """scikit-learn's mixin, with a score that refuses labels of other rows."""

    def score(self, X: Rows, y: Rows, sample_weight: Rows = None) -> float:
        """Share of rows whose label `predict` finds.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If lengths, or the indexes of pandas objects, differ.
        """
        check_alignment(X=X, y=y, sample_weight=sample_weight)
        return float(super().score(X, y, sample_weight))
