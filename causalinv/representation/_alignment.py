"""A linear map from one space to another, as near to a rotation as asked for."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._aligned import AlignedRegressorMixin
from causalinv._distances import common_unit
from causalinv._matrix import centred, lstsq
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_alignment, check_features, check_number, check_target
from causalinv.representation._procrustes import constrained, distortion, procrustes

__all__ = ["OrthogonalAlignment"]


class OrthogonalAlignment(AlignedRegressorMixin, MultiOutputMixin, BaseEstimator):
    """Map one space to another by least squares, with a limit on how far the map may be from orthogonal.

    Minimises the sum of squares of y - b - W'x over W with ``‖W'W - I‖_F <= max_distortion``. At 0 it is the orthogonal
    Procrustes problem: only turns and reflections, which keep distances. Without limit it is least squares.

    Parameters
    ----------
    max_distortion : float, default 0.0
        Limit, in units of squared singular values of W: how much the map may stretch, in all. Infinite for none. X and
        y must be in comparable units; standardise both by one number each if they are not.

    Attributes
    ----------
    coef_ : ndarray of shape (p, d), or (d,) for y of one dimension
        W'.
    intercept_ : ndarray of shape (p,), or float
    distortion_ : float
        Reached: ``‖W'W - I‖_F``.
    start_loss_, loss_ : float
        Sum of squares of the closed-form start (ridge towards the rotation) and of the answer, over that of y about its
        mean.
    converged_ : bool
        Whether the descent stopped by itself.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Notes
    -----
    If y has more columns than X, it is ``W W' - I`` that is limited: rows of W are then what can be orthonormal. With
    fewer columns of y than of X the problem has no closed form even at 0; the answer is the best that alternating
    projections of Green and Gower found from nine starts (from one, for maps of more than 400 entries). The set of
    admissible W is not convex, so that in between as well the answer is a local minimum, never worse than the start.
    Columns of X that do not vary have no part in the map, if the others are enough for W'W = I.

    λ-orthogonality in the literature is a *penalty* with a threshold; the limit here is our reading of it.

    References
    ----------
    Schönemann (1966), Psychometrika 31. Ten Berge, Knol (1984), Psychometrika 49, for unequal numbers of columns.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.representation import OrthogonalAlignment
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> Y = X @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 7.0
    >>> bool(np.allclose(OrthogonalAlignment().fit(X, Y).predict(X), Y))
    True
    """

    def __init__(self, max_distortion: float = 0.0) -> None:
        self.max_distortion = max_distortion

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # a rotation is no regression
        return tags

    def fit(self, X: Rows, y: Rows) -> Self:
        """Find the map.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows in the first space.
        y : array-like of shape (n, p) or (n,)
            The same rows in the second.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If rows do not belong together, or the limit is negative.
        """
        limit = check_number(self.max_distortion, "max_distortion", low=0.0)
        check_alignment(X=X, y=y)
        rows = np.ascontiguousarray(check_features(self, X, reset=True, min_samples=2))  # same sums for every container
        target = np.ascontiguousarray(check_target(y, len(rows)))
        table = target.reshape(len(rows), -1)
        unit = common_unit(rows, table)
        rows, table = rows / unit, table / unit
        x_mean, y_mean = rows.mean(axis=0), table.mean(axis=0)
        points, wanted = centred(rows), centred(table)
        free = lstsq(points, wanted)
        total = float(np.sum(wanted**2))
        self.converged_ = True
        if distortion(free) <= limit:
            found = start = free
        else:
            # A column that does not vary shows nothing; it would only give the others room in W'W = I.
            used = np.flatnonzero(np.any(points, axis=0))
            if len(used) < wanted.shape[1]:
                used = np.arange(points.shape[1])  # too few for W'W = I without it
            gram, cross = points[:, used].T @ points[:, used], points[:, used].T @ wanted
            turn = procrustes(gram, cross)
            answer = (turn, turn, True) if limit == 0 else constrained(gram, cross, turn, limit)
            start, found, self.converged_ = np.zeros_like(free), np.zeros_like(free), answer[2]
            start[used], found[used] = answer[:2]
        of = [float(np.sum((wanted - points @ each) ** 2)) for each in (start, found)]
        self.start_loss_, self.loss_ = (each / total if total > 0 else float("nan") for each in of)
        self.distortion_ = distortion(found)
        coef, intercept = found.T, (y_mean - x_mean @ found) * unit
        self.coef_: FloatArray = coef[0] if target.ndim == 1 else coef
        self.intercept_: FloatArray | float = float(intercept[0]) if target.ndim == 1 else intercept
        return self

    def predict(self, X: Rows) -> FloatArray:
        """Rows of the first space, mapped to the second.

        Parameters
        ----------
        X : array-like of shape (m, d)

        Returns
        -------
        ndarray of shape (m, p) or (m,)
        """
        check_is_fitted(self)
        return np.asarray(check_features(self, X, reset=False) @ self.coef_.T + self.intercept_)
