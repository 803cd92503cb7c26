"""Transformations: what can be done to a row of features, at random.

Each draws parameters G independent of the data and moves a row x to Gx. A linear fit needs only moments
of (Gx, y, G), so an augmentation *adds to* those of (x, y): in closed form for translations and finite groups, by
drawing copies of the rows for anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Self, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator

from causalinv._frames import column_names
from causalinv._parallel import generator
from causalinv._typing import ArrayLike, FloatArray, Names, RandomState, Rows
from causalinv._validation import check_finite, check_rows
from causalinv.moments import Moments
from causalinv.transformations._first_stage import FirstStage
from causalinv.transformations._frame import Frame

__all__ = ["Moved", "Transformation", "indicator", "moved_rows"]

#: Moved rows (n, d), and the parameters (n, q) that moved them.
Moved: TypeAlias = tuple[FloatArray, FloatArray]


def indicator(codes: np.ndarray, n_codes: int) -> FloatArray:
    """One column per code but the first, shape (n, n_codes - 1); an intercept is always fitted beside it."""
    return (codes[:, None] == np.arange(1, n_codes)).astype(np.float64)


class Transformation(BaseEstimator):
    """Base of all transformations; as `augmentation=` of IV-like regression it is an augmentation.

    A subclass defines `draw`; one whose moments are known in closed form also defines `first_stage` and sets
    `closed_form`. What imposes or tests a symmetry asks for more: `frame`, and `carry` and `bring_back` where the
    outcome moves too; `canonical` and `pose` where rows are split into what is invariant and what is not.

    Attributes
    ----------
    outcome_invariant : bool
        The analyst's claim that the outcome does not react to the transformation. Nothing in the data can
        prove it; results that rest on it say so.
    """

    outcome_invariant: bool = False
    closed_form: bool = False  # first_stage is defined
    translates: bool = False  # Gx = x + Γ'G with G ~ N(0, I): parameters() gives Γ
    averages: bool = False  # a finite group under its uniform law: invariant coefficients, the same at every alpha
    compact: bool | None = None  # whether there is a uniform (Haar) law, from which draw draws; None: not known

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        """Draw one augmented copy of every row; the method that a subclass must define.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Rows.
        rng : numpy.random.Generator
            The only source of randomness.
        feature_names : sequence of str, optional
            Names of the columns of X.

        Returns
        -------
        GX : ndarray of shape (n, d)
            Augmented rows, in the order of X.
        G : ndarray of shape (n, q)
            The parameters that were drawn.
        """
        raise NotImplementedError(f"{type(self).__name__} must define draw(X, rng, feature_names).")

    def first_stage(self, moments: Moments) -> FirstStage:
        """What the path solver needs, in closed form, from the moments of (x, y)."""
        raise ValueError(
            f"{type(self).__name__} has no closed form for its moments; use integration='paired', which draws "
            "copies of the rows."
        )

    def nodes(self, X: FloatArray, feature_names: Names = None) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        """Copies that stand for the whole law of G, for functions of Gx that have no closed form.

        Yields
        ------
        GX : ndarray of shape (n, d)
        G : ndarray of shape (n, k)
            Indicator of the node: a fit on it is the conditional expectation given G.
        share : float
            Probability of the node.
        """
        raise ValueError(
            f"{type(self).__name__} cannot be integrated in closed form over nonlinear features; use "
            "integration='paired', which draws copies of the rows."
        )

    def elements(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        """All elements of a finite group, as permutations (N, d) and signs (N, d)."""
        raise ValueError(f"{type(self).__name__} is no finite group, so its elements cannot be listed.")

    def frame(self, X: FloatArray, feature_names: Names = None) -> Frame:
        """Rows in every pose of their frames: an average over them is invariant, exactly.

        Parameters
        ----------
        X : ndarray of shape (n, d)
        feature_names : sequence of str, optional

        Returns
        -------
        Frame
        """
        raise ValueError(
            f"{type(self).__name__} has no frame(X, feature_names), a finite set of poses that follows the row, so it "
            "cannot be averaged over exactly."
        )

    def _poses(self, X: FloatArray, feature_names: Names) -> Frame:
        """The frame with all its digits, the last of which are rounding; `frame` is this, tidied."""
        return self.frame(X, feature_names)

    def _tidied(self, rows: FloatArray, feature_names: Names) -> FloatArray:
        """Rows of a frame without the digits that are rounding: numbers that are equal in truth are equal."""
        return rows

    def _tidy(self, frame: Frame, feature_names: Names) -> Frame:
        return replace(frame, rows=self._tidied(frame.rows, feature_names))

    def carry(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        """Outcomes (N,) or (N, p) of rows as they are, moved into the poses of a frame.

        Parameters
        ----------
        Y : ndarray of shape (N,) or (N, p)
            One row for each row of the frame.
        pose : dict of str to ndarray
            Of a `Frame`.
        output : str
            How the outcome moves.
        """
        return self._unmoved(Y, output)

    def bring_back(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        """Outcomes in the poses of a frame, moved back to rows as they are; the inverse of `carry`."""
        return self._unmoved(Y, output)

    def _unmoved(self, Y: FloatArray, output: str) -> FloatArray:
        if output != "invariant":
            raise ValueError(f"{type(self).__name__} knows only output='invariant', got {output!r}.")
        return Y

    def canonical(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        """One row for each orbit: the same for x and gx, wherever the frame is not tied."""
        return self._one_pose(X, feature_names).rows

    def pose(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        """Where in its orbit each row stands, shape (n, q): with `canonical` it says all that the row says."""
        raise ValueError(f"{type(self).__name__} has no pose(X, feature_names).")

    def _one_pose(self, X: FloatArray, feature_names: Names) -> Frame:
        frame = self.frame(X, feature_names)
        if len(frame.rows) != len(X):
            raise ValueError(f"{type(self).__name__} has no canonical(X, feature_names): frames have several poses.")
        return frame

    def check_invariance(
        self, f: Callable[[FloatArray], ArrayLike], X: Rows, *, tol: float = 1e-8, random_state: RandomState = None
    ) -> Self:
        """Check on drawn copies that a known function is indeed invariant, ``f(Gx) = f(x)``.

        Parameters
        ----------
        f : callable
            Maps rows (n, d) to outcomes (n,) or (n, p): a simulator or a physical model of the outcome.
        X : array-like of shape (n, d)
            Rows to try.
        tol : float, default 1e-8
            Largest difference allowed, relative to the spread of f(X).
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed of the copies.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If some row moves f by more than allowed; it names the row and the difference.
        """
        rows = check_rows(X, "X")
        GX = moved_rows(self, rows, generator(random_state, "augmentation"), column_names(X))
        before, after = (np.asarray(f(each), dtype=np.float64).reshape(len(rows), -1) for each in (rows, GX))
        check_finite(before, "f(X)")
        check_finite(after, "f(GX)")
        gap = np.abs(after - before).max(axis=1)
        allowed = tol * max(float(np.ptp(before)), np.finfo(np.float64).tiny)
        if gap.max() > allowed:
            row = int(np.argmax(gap))
            raise ValueError(
                f"f is not invariant to this {type(self).__name__}: it moves by {gap[row]:.3g} in row {row}, more "
                f"than tol = {tol:g} times its spread. Declare outcome_invariant=False, or correct the directions."
            )
        return self


def moved_rows(symmetry: Transformation, X: FloatArray, rng: np.random.Generator, names: Names) -> FloatArray:
    """Rows that `draw` of any transformation, a user's own too, moved: as many, finite, and X as it was."""
    GX = np.asarray(symmetry.draw(X.copy(), rng, names)[0], dtype=np.float64)
    what = f"GX drawn by {type(symmetry).__name__}"
    if GX.shape != X.shape:
        raise ValueError(f"{what} must have the shape of X, {X.shape}, got {GX.shape}.")
    check_finite(GX, what)
    return GX
