"""Relative representations: rows by their likeness to anchors, so that spaces can be compared."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._distances import common_unit, squared_distances
from causalinv._frames import row_index
from causalinv._parallel import generator
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_choice, check_features, check_flag, check_numbers, check_whole

__all__ = ["RelativeRepresentation"]

_ROUNDING = 1e-12  # of the largest entry: a row this near to the centre has no direction


class RelativeRepresentation(TransformerMixin, BaseEstimator):
    """Describe rows by their likeness to anchors: the same numbers in every space that is turned, scaled or shifted.

    Fit one in each of two spaces on the *same* rows in the same order, with the same `random_state` or the same
    `anchors`; what a classifier learnt on one then reads the other.

    Parameters
    ----------
    anchors : array-like of int, optional
        Positions of the rows of `fit`'s X that are anchors. Left out, at most `n_anchors` rows are drawn.
    n_anchors : int, default 300
        Anchors to draw; all rows, if there are fewer.
    center : bool, default True
        Subtract the mean of the anchors first. Without (as in the paper), a shift of the space changes the result.
    metric : {"cosine", "euclidean"}, default "cosine"
        Cosine of the angle to an anchor, or distance to it over the root mean square distance of the anchors from
        their mean. Both ignore turns and scale; distances keep how long a row is.
    random_state : int, SeedSequence, Generator, RandomState or None
        Draws the anchors.

    Attributes
    ----------
    anchor_indices_ : ndarray of shape (a,)
        Positions of the anchors in X.
    anchor_labels_ : pandas.Index or None
        Their labels, if X was a pandas object.
    anchors_ : ndarray of shape (a, d)
        Anchors, less `center_`.
    center_ : ndarray of shape (d,)
        What is subtracted: zeros if not centred.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    References
    ----------
    Moschella, Maiorca, Fumero, Norelli, Locatello, Rodolà (2023). Relative representations enable zero-shot latent
    space communication. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.representation import RelativeRepresentation
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> turned = 3.0 * X @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 7.0
    >>> first = RelativeRepresentation(n_anchors=5, random_state=0).fit_transform(X)
    >>> second = RelativeRepresentation(n_anchors=5, random_state=0).fit_transform(turned)
    >>> bool(np.allclose(first, second))
    True
    """

    def __init__(
        self,
        anchors: Rows | None = None,
        *,
        n_anchors: int = 300,
        center: bool = True,
        metric: str = "cosine",
        random_state: RandomState = None,
    ) -> None:
        self.anchors = anchors
        self.n_anchors = n_anchors
        self.center = center
        self.metric = metric
        self.random_state = random_state

    def fit(self, X: Rows, y: Any = None) -> Self:
        """Choose the anchors.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows of one space.
        y : None
            Not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If anchors are no positions of rows, or all are one point.
        """
        self.__dict__.pop("_n_features_out", None)  # a refit that fails leaves no half of an older fit
        rows = check_features(self, X, reset=True, min_samples=2)
        center, _ = check_flag(self.center, "center"), check_choice(self.metric, "metric", ("cosine", "euclidean"))
        self.anchor_indices_ = self._chosen(len(rows))
        index = row_index(X)
        self.anchor_labels_ = None if index is None else index[self.anchor_indices_]
        chosen = rows[self.anchor_indices_]
        self._unit = common_unit(chosen)
        chosen = chosen / self._unit
        middle = chosen.mean(axis=0) if center else np.zeros(rows.shape[1])
        self._anchors = chosen - middle
        self.center_, self.anchors_ = middle * self._unit, self._anchors * self._unit
        self._floor = _ROUNDING * float(np.abs(chosen).max(initial=0.0))
        if self.metric == "cosine":
            self._directions = self._directed(self._anchors, "anchor")
        else:
            self._middle = self._anchors.mean(axis=0)
            around = self._anchors - self._middle
            self._size = float(np.sqrt(np.mean(np.sum(around**2, axis=1))))
            if not self._size > self._floor:
                raise ValueError("All anchors of X are one point, so there is no distance to compare with.")
        self._n_features_out = len(self.anchors_)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_n_features_out")

    def transform(self, X: Rows) -> FloatArray:
        """Likeness of each row to each anchor.

        Parameters
        ----------
        X : array-like of shape (m, d)
            Rows of the space that `fit` saw.

        Returns
        -------
        ndarray of shape (m, a)
            Cosines, or distances.

        Raises
        ------
        ValueError
            If a row lies at the centre and has no direction (cosine).
        """
        check_is_fitted(self)
        rows = check_features(self, X, reset=False) / self._unit - self.center_ / self._unit
        if self.metric == "cosine":
            return self._directed(rows, "row") @ self._directions.T
        around = self._anchors - self._middle  # far from the origin products would lose the distances
        return np.sqrt(squared_distances(rows - self._middle, around)) / self._size

    def check_same_anchors(self, other: RelativeRepresentation) -> Self:
        """Raise unless another fitted one has the same anchors: labels of rows if both know them, else positions.

        Parameters
        ----------
        other : RelativeRepresentation
            Fitted in another space.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If anchors differ, which makes numbers of the two incomparable.
        """
        check_is_fitted(self)
        check_is_fitted(other)
        known = self.anchor_labels_ is not None and other.anchor_labels_ is not None
        mine, theirs = (each._names() if known else pd.Index(each.anchor_indices_) for each in (self, other))
        if not mine.equals(theirs):
            raise ValueError(
                f"The anchors differ: {list(mine[:3])} ... against {list(theirs[:3])} .... Fit both on the same rows "
                "in the same order, with the same random_state or anchors=."
            )
        return self

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns: ``anchor_`` and the position of each in `fit`'s X.

        Parameters
        ----------
        input_features : ignored
            As scikit-learn passes it.

        Returns
        -------
        ndarray of str of shape (a,)
        """
        check_is_fitted(self)
        return np.array([f"anchor_{i}" for i in self.anchor_indices_], dtype=object)

    def _names(self) -> Any:
        return self.anchor_labels_

    def _chosen(self, n: int) -> np.ndarray:
        if self.anchors is None:
            least = check_whole(self.n_anchors, "n_anchors", low=2)
            return np.sort(generator(self.random_state, "anchors").choice(n, min(least, n), replace=False))
        given = check_numbers(self.anchors, "anchors")
        found = given.astype(np.intp)
        if given.ndim != 1 or len(found) < 2 or not np.all(found == given) or len(set(found.tolist())) < len(found):
            raise ValueError(f"anchors must be at least two different positions of rows, got {self.anchors!r}.")
        if found.min() < 0 or found.max() >= n:
            raise ValueError(f"anchors must be positions from 0 to {n - 1}, got {found.min()} to {found.max()}.")
        return found

    def _directed(self, rows: FloatArray, what: str) -> FloatArray:
        size = np.linalg.norm(rows, axis=1)
        if not size.min() > self._floor:
            at = int(np.argmin(size))
            raise ValueError(
                f"X has a {what} without direction: {what} {at} lies at the centre, so its cosine is not defined. "
                "Leave it out, choose other anchors, or use metric='euclidean'."
            )
        return np.asarray(rows / size[:, None])
