"""How estimators of this room are fitted: by rows with their environments, or by moments."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self

import numpy as np

from causalinv._docs import Documented
from causalinv._typing import Rows
from causalinv.invariance._environments import Checked, check_moments, check_rows_by_environment
from causalinv.moments import Moments

__all__ = ["FitsMoments", "FitsRows", "FitsWeightedRows"]


class FitsRows(Documented):
    """Gives an estimator its ``fit``, by rows that all count the same."""

    n_features_in_: int
    feature_names_in_: np.ndarray

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"environments": True}

    def fit(self, X: Rows, y: Rows, *, environments: Rows = None) -> Self:
        """Fit to rows by environment.

        Parameters
        ----------
        {X}
        {y}
        {environments}

        {returns_self}

        Raises
        ------
        ValueError
            If `environments` is missing or has one label, an environment has too few rows, there are too many features,
            y is constant, an option is out of range or does not go with the data, or an input is malformed.
        """
        return self._fit_rows(X, y, environments)

    @abstractmethod
    def _fit_rows(self, X: Rows, y: Rows, environments: Rows) -> Self: ...


class FitsMoments(Documented):
    """Gives an estimator its ``fit_moments``."""

    def fit_moments(self, moments: Moments) -> Self:
        """Fit to moments, one cell per environment: a sample's, or a population's where the class says so.

        Parameters
        ----------
        moments : Moments
            Blocks ``x`` and ``y``; with infinite counts, a population's.

        {returns_self}

        Raises
        ------
        ValueError
            As in `fit`; also if the tests of this estimator need rows, or rows of equal weight.

        Notes
        -----
        Of moments that `Moments.scan` made no number here needs a second pass over the rows: subsets, coefficients,
        gaps, risks, certificates, and the tests ``"chow"`` and ``"residual"`` are functions of the moments. There is no
        second pass for what reads rows: ``test="chow_hc"``, ``"ks"``, ``"ranks"``, ``"logistic"`` or a function, and
        `InvariantRepresentation.inference`; these need rows in memory.
        """
        self._refuse(moments)
        check_moments(self, moments)
        return self._fit(moments)

    def _refuse(self, moments: Moments) -> None:
        """Raise if these moments are not enough."""

    @abstractmethod
    def _fit(self, moments: Moments) -> Self: ...


class FitsWeightedRows(FitsMoments):
    """Gives an estimator its ``fit``, by rows with weights, beside ``fit_moments``."""

    n_features_in_: int
    feature_names_in_: np.ndarray

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"environments": True}

    def fit(self, X: Rows, y: Rows, *, environments: Rows = None, sample_weight: Rows = None) -> Self:
        """Fit to rows by environment.

        Parameters
        ----------
        {X}
        {y}
        {environments}
        sample_weight : array-like of shape (n,), optional
            Weights >= 0. What rests on sampling theory needs equal weights: with others the tolerance of a selector,
            and the number of directions of a representation, must be given.

        {returns_self}

        Raises
        ------
        ValueError
            If `environments` is missing or has one label, an environment has fewer than two rows, there are too many
            subsets, y is constant, an option is out of range or does not go with the data, or an input is malformed.
        """
        return self._fit_checked(check_rows_by_environment(self, X, y, environments, sample_weight))

    def _fit_checked(self, given: Checked) -> Self:
        return self._fit(given.moments)
