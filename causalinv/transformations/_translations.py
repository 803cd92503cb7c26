"""Translations: steps along known directions, and Gaussian noise on every feature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from causalinv._frames import column_names
from causalinv._matrix import column_lengths, factor_split, orthonormal_range
from causalinv._typing import ArrayLike, FloatArray, Names, Rows
from causalinv._validation import check_alignment, check_finite, check_number, check_rows, check_whole
from causalinv.moments import Moments
from causalinv.transformations._base import Moved, Transformation, indicator
from causalinv.transformations._first_stage import FirstStage
from causalinv.transformations._frame import Frame, whole

__all__ = ["GaussianNoise", "Translation"]

_ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a row: what is left of it along the directions
_NODES = (9, 7)  # quadrature nodes per direction, for one and two directions


class _Translation(Transformation):
    """Shared by augmentations that add G'Γ to a row, with G ~ N(0, scale² I)."""

    closed_form = True
    translates = True
    compact = False
    scale: float

    def parameters(self, n_features: int, feature_names: Names = None) -> FloatArray:
        """Directions Γ of one standard deviation each, shape (q, d): a row moves by G'Γ with G ~ N(0, I)."""
        raise NotImplementedError(f"{type(self).__name__} must define parameters(n_features, feature_names).")

    def _scale(self) -> float:
        return check_number(self.scale, f"scale of {type(self).__name__}", low=0.0, open_low=True)

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        steps = self.parameters(X.shape[1], feature_names)
        G = rng.standard_normal((X.shape[0], steps.shape[0]))
        return X + G @ steps, G

    def first_stage(self, moments: Moments) -> FirstStage:
        pooled = moments.pool()
        steps = self.parameters(pooled.blocks["x"], pooled.names["x"])
        none = np.zeros((len(steps), pooled.blocks["y"]))
        return FirstStage(pooled.cov("x")[0], pooled.cov("x", "y")[0], steps, none, added=True)

    def nodes(self, X: FloatArray, feature_names: Names = None) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        """Gauss–Hermite nodes, exact for moments up to degree 2k - 1 of G: one or two directions only."""
        steps = self.parameters(X.shape[1], feature_names)
        if len(steps) > len(_NODES):
            raise ValueError(
                f"{type(self).__name__} along {len(steps)} directions has too many quadrature nodes; up to "
                f"{len(_NODES)} directions are integrated in closed form over features. Use integration='paired'."
            )
        points, shares = np.polynomial.hermite_e.hermegauss(_NODES[len(steps) - 1])
        grid = np.stack(np.meshgrid(*[points] * len(steps)), axis=-1).reshape(-1, len(steps))
        weights = np.prod(np.stack(np.meshgrid(*[shares / shares.sum()] * len(steps)), axis=-1), axis=-1).ravel()
        for k, (point, weight) in enumerate(zip(grid, weights, strict=True)):
            yield X + point @ steps, indicator(np.full(len(X), k), len(grid)), float(weight)


class Translation(_Translation):
    r"""Move each row along known directions, :math:`Gx = x + \Gamma' G` with :math:`G \sim N(0, \text{scale}^2 I)`.

    Directions are in the units of the features that the regression meets. After a scaler in a Pipeline they
    must be converted (`in_units_of`); names alone do not notice a change of units. IV-like regression needs no scaler.

    Parameters
    ----------
    directions : array-like of shape (q, d), or DataFrame
        One direction per row. The columns of a frame name the features; a feature that it does not name is
        not moved.
    scale : float, default 1.0
        Standard deviation of the steps, in multiples of the directions; it does not matter at ``alpha=0``.
    outcome_invariant : bool, default True
        Your claim that the outcome ignores movements along the directions.

    Notes
    -----
    If a direction moves a *proxy of the confounder*, least squares was already adjusting through it and
    ignoring it does harm; see the warning of `IVLikeRegression`.

    Examples
    --------
    >>> import numpy as np
    >>> brightness = Translation(np.ones((1, 4)))
    >>> brightness.parameters(4)
    array([[1., 1., 1., 1.]])

    All directions that an outcome reading only ``x0 - x1`` ignores:

    >>> Translation.orthogonal_to([1.0, -1.0, 0.0]).directions.shape
    (2, 3)
    """

    def __init__(self, directions: ArrayLike | pd.DataFrame, *, scale: float = 1.0, outcome_invariant: bool = True):
        self.directions = directions
        self.scale = scale
        self.outcome_invariant = outcome_invariant

    @classmethod
    def orthogonal_to(cls, f: ArrayLike, *, scale: float = 1.0, outcome_invariant: bool = True) -> Translation:
        """All directions that an outcome reading only the features' combinations `f` ignores.

        Parameters
        ----------
        f : array-like of shape (d,) or (k, d), Series or DataFrame
            What the outcome reads: it depends on x through ``f @ x`` only. The index of a Series, or the columns of a
            frame, name the features, and then the directions are named too.
        scale, outcome_invariant
            As in the class.

        Returns
        -------
        Translation
            With d minus the rank of `f` orthonormal directions.
        """
        names = list(f.index) if isinstance(f, pd.Series) else column_names(f)
        read = np.atleast_2d(np.asarray(f, dtype=np.float64))
        check_finite(read, "f")
        inside, ignored = orthonormal_range(read)
        if not len(inside):
            raise ValueError("f is zero: an outcome that reads nothing has no directions to respect.")
        if not len(ignored):
            raise ValueError(f"f reads all {len(inside)} features, so no direction is left that the outcome ignores.")
        directions = ignored if names is None else pd.DataFrame(ignored, columns=list(names))
        return cls(directions, scale=scale, outcome_invariant=outcome_invariant)

    @classmethod
    def from_pairs(
        cls,
        X: Rows,
        X_other: Rows,
        *,
        n_directions: int | None = None,
        scale: float = 1.0,
        outcome_invariant: bool = False,
    ) -> Translation:
        """Estimate the directions from pairs of rows that share their outcome (two photographs of one object).

        The directions are the principal directions of the differences, about zero, each as long as the
        differences' root mean square along it. They are *estimated*: `confint` takes them as known and is too
        narrow, `bootstrap` with ``pairs=`` draws them anew. With noise in the pairs every direction moves a little,
        so name `n_directions`.

        Parameters
        ----------
        X, X_other : array-like of shape (n, d)
            Row i of one is the counterpart of row i of the other.
        n_directions : int, optional
            Keep so many of the longest; left out, all that are not zero to rounding.
        scale, outcome_invariant
            As in the class; the claim is not made for you.

        Returns
        -------
        Translation
        """
        check_alignment(X=X, X_other=X_other)
        first, second = check_rows(X, "X"), check_rows(X_other, "X_other")
        names = column_names(X)
        if first.shape != second.shape or names != column_names(X_other):
            raise ValueError(
                f"X and X_other must have the same columns, got shapes {first.shape} and {second.shape}, "
                f"names {names} and {column_names(X_other)}."
            )
        size, basis = factor_split((second - first) / np.sqrt(len(first)))
        rank = len(size)
        if rank == 0:
            raise ValueError("X and X_other are equal, so the pairs show no direction.")
        keep = rank if n_directions is None else check_whole(n_directions, "n_directions", low=1)
        if keep > rank:
            raise ValueError(f"n_directions must be from 1 to {rank}, the rank of the differences; got {keep}.")
        directions = size[:keep, None] * basis[:keep]
        framed = directions if names is None else pd.DataFrame(directions, columns=list(names))
        return cls(framed, scale=scale, outcome_invariant=outcome_invariant)

    def frame(self, X: FloatArray, feature_names: Names = None) -> Frame:
        """One element: the row without what it has along the directions."""
        return self._tidy(self._poses(X, feature_names), feature_names)

    def _poses(self, X: FloatArray, feature_names: Names) -> Frame:
        basis = self._basis(X.shape[1], feature_names)
        along = X @ basis.T
        rest = X - along @ basis
        rounding = _ROUNDING * (np.abs(X) + np.abs(X) @ np.abs(basis.T) @ np.abs(basis))
        return Frame.single(np.where(np.abs(rest) > rounding, rest, 0.0), {"along": along})

    def _tidied(self, rows: FloatArray, feature_names: Names) -> FloatArray:
        return whole(rows, np.abs(rows))

    def pose(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        """How far each row stands along an orthonormal basis of the directions."""
        return X @ self._basis(X.shape[1], feature_names).T

    def _basis(self, n_features: int, feature_names: Names) -> FloatArray:
        directions = self._directions(n_features, feature_names)
        return orthonormal_range((directions.T / column_lengths(directions.T)).T, tol=1e-10)[0]

    def in_units_of(self, scaler: Any) -> Translation:
        """The same movement after a fitted affine transformer, such as a StandardScaler before the regression.

        Parameters
        ----------
        scaler : transformer
            Fitted; its `transform` must be affine, which is checked.

        Returns
        -------
        Translation
            With directions in the units that `scaler` puts out.

        Raises
        ------
        ValueError
            If `transform` is not affine, or the directions name a feature that it was not fitted on.
        """
        check_is_fitted(scaler)
        names = getattr(scaler, "feature_names_in_", None)
        steps = self._directions(int(scaler.n_features_in_), names)
        d = steps.shape[1]

        def transform(rows: FloatArray) -> FloatArray:
            framed = rows if names is None else pd.DataFrame(rows, columns=names)
            return np.asarray(scaler.transform(framed), dtype=np.float64)

        def move(step: float) -> FloatArray:
            return (transform(step * steps) - origin) / step

        # Steps as long as the origin is far, so that subtracting it costs no digits; an affine map moves by as much
        # in steps of any length and sign.
        origin = transform(np.zeros((1, d)))
        rough = float(np.abs(move(1.0)).max())
        far = max(1.0, float(np.abs(origin).max()) / rough) if rough > 0 else 1.0
        moves = [move(step * far) for step in (1.0, -1.0, 3.0)]
        size = float(np.abs(moves[0]).max())
        if size == 0 or any(np.abs(other - moves[0]).max() > 1e-8 * size for other in moves[1:]):
            raise ValueError(
                f"{type(scaler).__name__} is not affine, so a direction has no fixed image after it. Put the "
                "augmentation before it."
            )
        if isinstance(self.directions, pd.DataFrame) and hasattr(scaler, "get_feature_names_out"):
            out: Any = pd.DataFrame(moves[0], columns=list(scaler.get_feature_names_out()))
            out.attrs["converted"] = type(scaler).__name__  # survives clone, so that nobody warns of raw units
        else:
            out = moves[0]
        return Translation(out, scale=self.scale, outcome_invariant=self.outcome_invariant)

    def parameters(self, n_features: int, feature_names: Names = None) -> FloatArray:
        return self._scale() * self._directions(n_features, feature_names)

    def _directions(self, n_features: int, feature_names: Names) -> FloatArray:
        named = column_names(self.directions)
        values = np.asarray(self.directions, dtype=np.float64)
        if values.ndim != 2 or not values.size:
            raise ValueError(
                f"directions of Translation must have shape (q, d) with q >= 1, got {values.shape}; a single "
                "direction v is written [v]."
            )
        check_finite(values, "directions", named)
        if not values.any(axis=1).all():
            raise ValueError(f"Direction {int(np.argmin(values.any(axis=1)))} is zero: it moves nothing. Drop it.")
        if named is None:
            if values.shape[1] != n_features:
                raise ValueError(f"directions have {values.shape[1]} columns, but X has {n_features} features.")
            return values
        if feature_names is None:
            raise ValueError(
                "directions name their features, but X has no feature names. If X comes from a scaler, its units have "
                "changed too: convert with in_units_of(scaler), or drop the scaler, which this regression does not "
                "need. Otherwise pass X as a frame, or give directions as an array."
            )
        if len(set(named)) < len(named):
            raise ValueError(f"directions name a feature twice: {list(named)}.")
        position = {name: i for i, name in enumerate(feature_names)}
        unknown = [name for name in named if name not in position]
        if unknown:
            raise ValueError(f"directions name features that X does not have: {unknown}; X has {list(position)}.")
        full = np.zeros((values.shape[0], n_features))
        full[:, [position[name] for name in named]] = values
        return full


class GaussianNoise(_Translation):
    """Add independent Gaussian noise to every feature; for a linear fit this *is* ridge regression.

    It moves every direction, including the one that the outcome reads, so it is outcome-invariant only if the
    outcome reads nothing. At ``alpha`` the fit equals ridge with penalty ``(1 + alpha) / alpha * n * scale**2``.

    Parameters
    ----------
    scale : float, default 1.0
        Standard deviation of the noise, in the units of the features.
    outcome_invariant : bool, default False
        Your claim that the outcome ignores the noise.

    Examples
    --------
    >>> GaussianNoise(0.5).parameters(2)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """

    def __init__(self, scale: float = 1.0, *, outcome_invariant: bool = False):
        self.scale = scale
        self.outcome_invariant = outcome_invariant

    def parameters(self, n_features: int, feature_names: Names = None) -> FloatArray:
        return self._scale() * np.eye(n_features)
