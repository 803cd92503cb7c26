"""Invariant coordinates as a preprocessing step: the α = 0 limit of IV-like regression, for any learner."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._matrix import orthonormal_range
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_features, check_rows
from causalinv.ivlike._knowledge import warn_scaled
from causalinv.moments import Moments
from causalinv.transformations import Translation

__all__ = ["InvariantProjection"]


class InvariantProjection(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Project features on the coordinates that a translation does not move, :math:`x \mapsto P'x`.

    P is an orthonormal basis of the directions orthogonal to the augmentation's. Least squares on the projected
    features is IV-like regression at ``alpha=0``; so the same warning holds: if an ignored direction carries a
    proxy of the confounder, dropping it does harm.

    Parameters
    ----------
    augmentation : Translation
        Its directions, in the units of the features that this transformer meets.

    Attributes
    ----------
    components_ : ndarray of shape (k, d)
        P', with orthonormal rows.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv import InvariantProjection, Translation
    >>> projection = InvariantProjection(Translation([[1.0, 1.0]])).fit(np.eye(2))
    >>> projection.transform([[3.0, 1.0], [13.0, 11.0]]).ravel().round(6)
    array([-1.414214, -1.414214])
    """

    def __init__(self, augmentation: Translation):
        self.augmentation = augmentation

    def fit(self, X: Rows, y: Rows = None) -> Self:
        """Find the basis; the data only give the number and the names of the features.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the augmentation leaves no direction, or is not a translation along known directions.

        Warns
        -----
        DegenerateInputWarning
            If directions name features that look like the output of a scaler.
        """
        rows = check_features(self, X, reset=True)
        if not isinstance(self.augmentation, Translation):
            raise ValueError(
                "augmentation must be a Translation, whose directions are known; got "
                f"{type(self.augmentation).__name__}."
            )
        names = getattr(self, "feature_names_in_", None)
        directions = self.augmentation.parameters(rows.shape[1], names)
        basis = orthonormal_range(directions / np.linalg.norm(directions, axis=1, keepdims=True), tol=1e-10)[1]
        if not len(basis):
            raise ValueError(
                f"The directions span all of X's {rows.shape[1]} feature(s): no invariant direction is left to keep."
            )
        warn_scaled(self.augmentation, Moments.from_rows(x=rows))
        self.components_ = basis
        self._n_features_out = len(basis)
        return self

    def transform(self, X: Rows) -> FloatArray:
        """Coordinates of X along the invariant directions, shape (n, k)."""
        check_is_fitted(self)
        return check_features(self, X, reset=False) @ self.components_.T

    def inverse_transform(self, X: Rows) -> FloatArray:
        """Map coordinates (n, k), or coefficients (k,) or (p, k) of the projected features, back to d features."""
        check_is_fitted(self)
        rows = check_rows(X, "X", ensure_2d=False)
        k = len(self.components_)
        if rows.shape[-1] != k:
            raise ValueError(f"X must have {k} columns, the number of invariant coordinates; got shape {rows.shape}.")
        return rows @ self.components_
