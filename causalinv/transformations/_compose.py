"""Augmentations given as a function, and several one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from causalinv._typing import FloatArray, Names
from causalinv._validation import check_finite
from causalinv.moments import Moments
from causalinv.transformations._base import Moved, Transformation, moved_rows
from causalinv.transformations._first_stage import FirstStage
from causalinv.transformations._frame import Frame
from causalinv.transformations._groups import FiniteGroup

__all__ = ["Compose", "FunctionAugmentation"]

_TRIED = 20  # rows on which it is tried whether frames go together
_PROBES = 8
_SAME = 1e-6


class FunctionAugmentation(Transformation):
    """Any transformation, given as a function that draws augmented copies and says which parameters it drew.

    Parameters
    ----------
    func : callable
        ``func(X, rng) -> (GX, G)``: X (n, d) float64 and a numpy Generator in; augmented rows (n, d) in the same
        order, and the parameters (n, q) drawn for them, out. G must be independent of the data.
    outcome_invariant : bool, default False
        Your claim that the outcome ignores the transformation.

    Examples
    --------
    >>> import numpy as np
    >>> def brighten(X, rng):
    ...     G = rng.normal(size=(len(X), 1))
    ...     return X * np.exp(0.1 * G), G
    >>> GX, G = FunctionAugmentation(brighten).draw(np.ones((5, 2)), np.random.default_rng(0))
    >>> GX.shape, G.shape
    ((5, 2), (5, 1))
    """

    def __init__(
        self,
        func: Callable[[FloatArray, np.random.Generator], tuple[FloatArray, FloatArray]],
        *,
        outcome_invariant: bool = False,
    ):
        self.func = func
        self.outcome_invariant = outcome_invariant

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        if not callable(self.func):
            raise TypeError(f"func of FunctionAugmentation must be callable, got {self.func!r}.")
        result = self.func(X.copy(), rng)  # a copy: a function that works in place must not move the originals
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ValueError("func must return a pair (GX, G): the augmented rows and the parameters drawn.")
        GX, G = (np.asarray(each, dtype=np.float64) for each in result)
        if GX.shape != X.shape:
            raise ValueError(f"func must return GX of the shape of X, {X.shape}, in the same order; got {GX.shape}.")
        if G.ndim != 2 or G.shape[0] != X.shape[0] or G.shape[1] == 0:
            raise ValueError(f"func must return G of shape ({X.shape[0]}, q) with q >= 1, got {G.shape}.")
        check_finite(GX, "GX returned by func")
        check_finite(G, "G returned by func")
        return GX, G


class _Generated(FiniteGroup):
    """The group that several finite groups generate together."""

    def __init__(self, parts: Sequence[Any]):
        self.parts = parts

    def generators(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        pieces = [part.generators(n_features, feature_names) for part in self.parts]
        perms, signs = (np.vstack(each) for each in zip(*pieces, strict=True))
        return perms, signs


class Compose(Transformation):
    """Several augmentations, applied one after the other; the outcome ignores it if it ignores every part.

    Translations together, and groups together, keep their closed form; a mixture is drawn. Groups together are averaged
    over the group that they generate. The frame of a mixture takes the frame of each part after the other. That is a
    frame of the group they generate only if they go together (rotations before a scaling, signs of other columns):
    `frame` tries it on moved copies of the first rows, and refuses what is not invariant.

    Parameters
    ----------
    augmentations : sequence of Transformation
        In the order of application.

    Examples
    --------
    >>> from causalinv.transformations import Flip, Rotate90
    >>> Compose([Rotate90((8, 8)), Flip((8, 8))]).closed_form
    True
    """

    def __init__(self, augmentations: Sequence[Transformation]):
        self.augmentations = augmentations

    def _parts(self) -> list[Transformation]:
        parts = list(self.augmentations) if hasattr(self.augmentations, "__len__") else []  # read more than once
        if not parts or not all(isinstance(part, Transformation) for part in parts):
            raise TypeError(f"Compose needs a non-empty sequence of augmentations, got {self.augmentations!r}.")
        return parts

    @property
    def outcome_invariant(self) -> bool:  # type: ignore[override]
        """Whether every part is claimed to be ignored."""
        return all(part.outcome_invariant for part in self._parts())

    @property
    def translates(self) -> bool:  # type: ignore[override]
        """Whether all parts are translations."""
        return all(part.translates for part in self._parts())

    @property
    def averages(self) -> bool:  # type: ignore[override]
        """Whether all parts are groups."""
        return all(isinstance(part, FiniteGroup) for part in self._parts())

    @property
    def compact(self) -> bool | None:  # type: ignore[override]
        """Whether the group they generate has a uniform law: not if a part has none; unknown for mixtures."""
        if self.averages:
            return True
        return False if any(part.compact is False for part in self._parts()) else None

    @property
    def closed_form(self) -> bool:  # type: ignore[override]
        """Whether the moments of the whole are known."""
        return self.translates or self.averages

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        if self.averages:
            return self._group().draw(X, rng, feature_names)
        drawn = []
        for part in self._parts():
            X, G = part.draw(X, rng, feature_names)
            drawn.append(G)
        return X, np.hstack(drawn)

    def parameters(self, n_features: int, feature_names: Names = None) -> FloatArray:
        """Directions of all parts, which are translations, shape (q, d)."""
        return np.vstack([part.parameters(n_features, feature_names) for part in self._parts()])

    def first_stage(self, moments: Moments) -> FirstStage:
        parts = self._parts()
        if self.averages:
            return self._group().first_stage(moments)
        if not self.translates:
            return super().first_stage(moments)
        stages = [part.first_stage(moments) for part in parts]
        factor = np.vstack([stage.factor for stage in stages])
        outcome = np.vstack([stage.outcome for stage in stages])
        return FirstStage(stages[0].variance, stages[0].cross, factor, outcome, added=True)

    # -- the group that the parts generate ---------------------------------------------------------------------

    def _group(self) -> _Generated:
        return _Generated(self._parts())

    def elements(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        return self._group().elements(n_features, feature_names) if self.averages else super().elements(n_features)

    def frame(self, X: FloatArray, feature_names: Names = None) -> Frame:
        if self.averages:
            return self._group().frame(X, feature_names)
        self._check_together(X, feature_names)
        return self._tidy(self._poses(X, feature_names), feature_names)

    def carry(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        return self._group().carry(Y, pose, output) if self.averages else self._unmoved(Y, output)

    def bring_back(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        return self._group().bring_back(Y, pose, output) if self.averages else self._unmoved(Y, output)

    def canonical(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        if self.averages:
            return self._group().canonical(X, feature_names)
        self._check_together(X, feature_names)
        for part in self._parts():
            X = part.canonical(X, feature_names)
        return X

    def pose(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        if self.averages:
            return self._group().pose(X, feature_names)
        self._check_together(X, feature_names)
        found = []
        for part in self._parts():
            found.append(part.pose(X, feature_names))
            X = part.canonical(X, feature_names)
        return np.hstack(found)

    def _poses(self, X: FloatArray, feature_names: Names) -> Frame:
        if self.averages:
            return self._group().frame(X, feature_names)
        rows, source, weights = X, np.arange(len(X)), np.ones(len(X))
        gap, tied = np.full(len(X), np.inf), np.zeros(len(X), dtype=bool)
        for part in self._parts():
            each = part._poses(rows, feature_names)
            np.minimum.at(gap, source, each.gap)
            np.logical_or.at(tied, source, each.tied)
            rows, source, weights = each.rows, source[each.source], weights[each.source] * each.weights
        return Frame(rows, source, weights, {}, gap, tied)

    def _tidied(self, rows: FloatArray, feature_names: Names) -> FloatArray:
        for part in self._parts():
            rows = part._tidied(rows, feature_names)
        return rows

    def _check_together(self, X: FloatArray, feature_names: Names) -> None:
        """Raise unless moments of the poses of moved rows are those of the rows, for every part."""
        if not len(X):
            return
        X = X[np.arange(_TRIED) % len(X)]  # one row is tried as often as many
        rng = np.random.default_rng(0)
        probe = rng.standard_normal((X.shape[1], _PROBES)) / np.sqrt(X.shape[1])
        first = self._poses(X, feature_names)
        size = np.abs(first.rows).max(initial=0.0) or 1.0

        def seen(frame: Frame) -> FloatArray:
            return frame.average(np.cos(frame.rows / size @ probe))

        before = seen(first)
        for part in self._parts():
            moved = moved_rows(part, X, rng, feature_names)
            if not np.abs(seen(self._poses(moved, feature_names)) - before).max(initial=0.0) < _SAME:
                raise ValueError(
                    f"Frames of {[type(each).__name__ for each in self._parts()]} do not go together in this order: "
                    f"an average over them still moves with {type(part).__name__}. Put rotations before scalings, or "
                    "give one transformation whose frame is that of the whole group."
                )
