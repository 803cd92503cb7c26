"""One row for each orbit: coordinates that no longer know how a cloud was turned, shifted or numbered."""

from __future__ import annotations

from typing import Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._docs import documented
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_features
from causalinv.transformations import Frame, Transformation

__all__ = ["InvariantCoordinates"]

_DIGITS = 9


@documented()
class InvariantCoordinates(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Replace each row by one and the same row of its orbit: for clouds, principal coordinates in a standard pose.

    Distances between points are kept, as in classical multidimensional scaling, of which this is the solution with the
    signs of its axes, its ties and the numbering of the points decided: of all rows of the frame, the one that comes
    last in lexicographic order. That is exact for symmetric shapes too. It is not continuous: two clouds close to each
    other can get different signs. `FrameAveragingRegressor` averages over all of them instead.

    Parameters
    ----------
    symmetry : Transformation
        With a frame: ``EuclideanGroup(3, exchange=True)`` for rigid motions and any numbering of the points.

    {seen_only}

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.symmetry import InvariantCoordinates
    >>> from causalinv.transformations import EuclideanGroup
    >>> triangle = np.array([[0.0, 0.0, 3.0, 0.0, 0.0, 4.0]])
    >>> turned = np.array([[5.0, 5.0, 5.0, 2.0, 9.0, 5.0]])
    >>> coordinates = InvariantCoordinates(EuclideanGroup(2)).fit(triangle)
    >>> bool(np.allclose(coordinates.transform(triangle), coordinates.transform(turned)))
    True
    """

    def __init__(self, symmetry: Transformation):
        self.symmetry = symmetry

    def fit(self, X: Rows, y: Rows = None) -> Self:
        """Check that rows have frames; nothing is learnt.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : ignored

        Returns
        -------
        self
        """
        rows = check_features(self, X, reset=True)
        if not isinstance(self.symmetry, Transformation):
            raise TypeError(f"symmetry must be a Transformation with a frame, got {self.symmetry!r}.")
        self._frame(rows[:1])
        return self

    def _frame(self, rows: FloatArray) -> Frame:
        names = getattr(self, "feature_names_in_", None)
        return self.symmetry.frame(rows, None if names is None else list(names))

    def transform(self, X: Rows) -> FloatArray:
        """The row of each orbit, shape (n, d).

        Parameters
        ----------
        X : array-like of shape (n, d)
        """
        check_is_fitted(self)
        frame = self._frame(check_features(self, X, reset=False))
        size = np.abs(frame.rows).max(axis=1, initial=0.0)
        grid = np.round(frame.rows / np.where(size > 0, size, 1.0)[:, None], _DIGITS)
        order = np.lexsort((*grid.T[::-1], frame.source))
        return frame.rows[order[np.flatnonzero(np.r_[np.diff(frame.source) > 0, True])]]
