r"""Finite groups that permute features or change their signs: flips, rotations, shifts, exchanges.

Under the uniform law on the whole group the mean of Gx given G says nothing about the outcome once features are
centred, so there is no instrument to speak of and every strength of IV-like regression gives the same answer. But
exact averaging, :math:`\bar\Sigma = E\,g\Sigma g'` and :math:`\bar s = E\,g s`, already gives it: least squares on the
coordinates that no element moves. The averages run over orbits of (pairs of) features, so the size of the group does
not matter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from causalinv._docs import Documented
from causalinv._matrix import orthonormal_range
from causalinv._typing import ArrayLike, FloatArray, Names
from causalinv.moments import Moments
from causalinv.transformations._base import Moved, Transformation, indicator
from causalinv.transformations._first_stage import FirstStage
from causalinv.transformations._frame import Frame

__all__ = ["CyclicShift", "FiniteGroup", "Flip", "PermutationGroup", "Rotate90", "SignFlip", "group_stage"]

_MOST_ELEMENTS = 512  # that are listed, to draw from


class FiniteGroup(Transformation):
    """Base of groups of signed permutations, ``(gx)[j] = sign[j] * x[perm[j]]``, under their uniform law."""

    closed_form = True
    averages = True
    compact = True

    def generators(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        """Permutations (k, d) and signs (k, d) that generate the group."""
        raise NotImplementedError(f"{type(self).__name__} must define generators(n_features, feature_names).")

    def elements(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        """All elements, the identity first: permutations (N, d) and signs (N, d)."""
        found = self._walk(n_features, feature_names)[0]
        return np.array([p for p, _ in found]), np.array([s for _, s in found])

    def _walk(
        self, n_features: int, feature_names: Names = None
    ) -> tuple[list[tuple[tuple[int, ...], tuple[int, ...]]], list[tuple[int, int, int]]]:
        """All elements, and all steps (from, generator, to) between them."""
        perms, signs = self.generators(n_features, feature_names)
        start = (tuple(range(n_features)), (1,) * n_features)
        found, place, steps = [start], {start: 0}, []
        for k, (perm, sign) in enumerate(found):  # the list grows while it is walked
            for j, (p, s) in enumerate(zip(perms, signs, strict=True)):
                new = (tuple(np.asarray(perm)[p].tolist()), tuple((np.asarray(sign)[p] * s).tolist()))
                if new not in place:
                    place[new] = len(found)
                    found.append(new)
                steps.append((k, j, place[new]))
            if len(found) > _MOST_ELEMENTS:
                raise ValueError(
                    f"The group of {type(self).__name__} has more than {_MOST_ELEMENTS} elements, too many to "
                    "list. integration='closed_form' without features averages over groups of any size."
                )
        return found, steps

    def represent(
        self, perms: np.ndarray, signs: np.ndarray, n_features: int, feature_names: Names = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """How every element moves an outcome, from how the generators do.

        Parameters
        ----------
        perms, signs : ndarray of int, shape (k, m)
            The outcome moves as ``signs[j] * y[perms[j]]`` with generator j.
        n_features : int
        feature_names : sequence of str, optional

        Returns
        -------
        perms, signs : ndarray of int, shape (N, m)

        Raises
        ------
        ValueError
            If two ways to one element would move the outcome differently.
        """
        found, steps = self._walk(n_features, feature_names)
        k, m = len(self.generators(n_features, feature_names)[0]), perms.shape[1]
        if len(perms) != k:
            raise ValueError(f"output says how {len(perms)} generators move the outcome, but the group has {k}.")
        out_perms, out_signs = np.full((len(found), m), -1), np.zeros((len(found), m), dtype=int)
        out_perms[0], out_signs[0] = np.arange(m), 1
        for start, j, end in steps:
            perm, sign = out_perms[start][perms[j]], out_signs[start][perms[j]] * signs[j]
            if out_perms[end][0] < 0:
                out_perms[end], out_signs[end] = perm, sign
            elif (out_perms[end] != perm).any() or (out_signs[end] != sign).any():
                raise ValueError(
                    f"No outcome can move so under {type(self).__name__}: two ways to one element of the group move it "
                    "differently (a generator of order 3, for example, cannot change a sign)."
                )
        return out_perms, out_signs

    def frame(self, X: FloatArray, feature_names: Names = None) -> Frame:
        """Every element once."""
        perms, signs = self.elements(X.shape[1], feature_names)
        n, k = len(X), len(perms)
        rows = (X[:, perms] * signs).reshape(n * k, -1)
        element = np.tile(np.arange(k), n)
        pose = {"element": element, "odd": np.full(n * k, np.nan)}
        count = len(self.generators(X.shape[1], feature_names)[0])
        ones = np.zeros((count, 1), dtype=int)
        with suppress(ValueError):
            pose["odd"] = self.represent(ones, ones - 1, X.shape[1], feature_names)[1][element, 0].astype(float)
        none = np.zeros(n, dtype=bool)
        return Frame(rows, np.repeat(np.arange(n), k), np.full(n * k, 1.0 / k), pose, np.full(n, np.inf), none)

    def carry(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        if output == "odd":
            if np.isnan(pose["odd"]).any():
                raise ValueError(
                    f"No outcome is odd under {type(self).__name__}: a product of generators that moves nothing would "
                    "change its sign."
                )
            return Y * pose["odd"].reshape((-1,) + (1,) * (Y.ndim - 1))
        if output != "invariant":
            raise ValueError(f"{type(self).__name__} moves outcomes that are 'invariant' or 'odd'; got {output!r}.")
        return Y

    def bring_back(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        return self.carry(Y, pose, output)  # a sign is its own inverse

    def canonical(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        """The row of each orbit that comes last in lexicographic order."""
        frame = self.frame(X, feature_names)
        return frame.rows[self._last(frame)]

    def pose(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        """Number of the element that moves each row to its canonical one, shape (n, 1)."""
        frame = self.frame(X, feature_names)
        return np.asarray(frame.pose["element"][self._last(frame)], dtype=np.float64)[:, None]

    def _last(self, frame: Frame) -> np.ndarray:
        order = np.lexsort((*frame.rows.T[::-1], frame.source))
        return np.asarray(order[np.flatnonzero(np.r_[np.diff(frame.source) > 0, True])])

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        perms, signs = self.elements(X.shape[1], feature_names)
        which = rng.integers(len(perms), size=len(X))
        return signs[which] * np.take_along_axis(X, perms[which], axis=1), indicator(which, len(perms))

    def nodes(self, X: FloatArray, feature_names: Names = None) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        """Every element once."""
        perms, signs = self.elements(X.shape[1], feature_names)
        for k, (perm, sign) in enumerate(zip(perms, signs, strict=True)):
            yield sign * X[:, perm], indicator(np.full(len(X), k), len(perms)), 1.0 / len(perms)

    def first_stage(self, moments: Moments) -> FirstStage:
        return group_stage(moments, *self.generators(moments.blocks["x"], moments.names["x"]))


class PermutationGroup(FiniteGroup):
    """Exchange features: all products of some permutations, equally likely.

    Parameters
    ----------
    permutations : array-like of int, shape (k, d)
        Row ``perm`` stands for ``x -> x[perm]``.
    outcome_invariant : bool, default True
        Your claim that the outcome ignores the exchanges.

    Examples
    --------
    Two sensors of one kind, which may be swapped:

    >>> PermutationGroup([[1, 0, 2]]).elements(3)[0].tolist()
    [[0, 1, 2], [1, 0, 2]]
    """

    def __init__(self, permutations: ArrayLike, *, outcome_invariant: bool = True):
        self.permutations = permutations
        self.outcome_invariant = outcome_invariant

    def generators(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        perms = np.atleast_2d(np.asarray(self.permutations))
        if perms.dtype.kind not in "iu" or perms.ndim != 2 or not perms.size:
            raise ValueError(f"permutations must be whole numbers of shape (k, d), got {self.permutations!r}.")
        if perms.shape[1] != n_features:
            raise ValueError(f"permutations exchange {perms.shape[1]} features, but X has {n_features}.")
        if (np.sort(perms, axis=1) != np.arange(n_features)).any():
            raise ValueError(f"Every row of permutations must hold 0…{n_features - 1} once each.")
        return perms, np.ones(perms.shape, dtype=int)


class SignFlip(FiniteGroup):
    """Change the signs of features, each (group of) columns independently with probability one half.

    Parameters
    ----------
    columns : sequence of int or str, or of sequences of them
        What flips: a column alone, or several columns together.
    outcome_invariant : bool, default True
        Your claim that the outcome ignores the signs.

    Examples
    --------
    >>> SignFlip([0, [1, 2]]).generators(3)[1].tolist()
    [[-1, 1, 1], [1, -1, -1]]
    """

    def __init__(self, columns: Sequence[Any], *, outcome_invariant: bool = True):
        self.columns = columns
        self.outcome_invariant = outcome_invariant

    def generators(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(self.columns, str):
            raise TypeError(f"columns of SignFlip must be a sequence of columns, got {self.columns!r}.")
        sets = [[each] if isinstance(each, str | int | np.integer) else list(each) for each in self.columns]
        if not sets or not all(sets):
            raise ValueError(f"columns of SignFlip must name at least one column each, got {self.columns!r}.")
        position: dict[Any, int] = {i: i for i in range(n_features)}
        position |= {name: i for i, name in enumerate(feature_names or ())}
        unknown = [name for each in sets for name in each if name not in position]
        if unknown:
            has = list(position if feature_names is None else feature_names)
            raise ValueError(f"SignFlip names columns that X does not have: {unknown}; X has {has}.")
        signs = np.ones((len(sets), n_features), dtype=int)
        for row, each in enumerate(sets):
            signs[row, [position[name] for name in each]] = -1
        return np.tile(np.arange(n_features), (len(sets), 1)), signs


_IMAGE = {
    "image": """
        shape : tuple of int
            (rows, columns) or (rows, columns, channels) of the image that a row of X holds.
        outcome_invariant : bool, default True
            Your claim that the outcome ignores it.""",
}


class _ImageGroup(Documented, FiniteGroup, ABC):
    """Groups of movements of an image whose rows are flattened."""

    _shared_texts = _IMAGE

    def __init__(self, shape: tuple[int, ...], *, outcome_invariant: bool = True):
        self.shape = shape
        self.outcome_invariant = outcome_invariant

    @abstractmethod
    def _moves(self, image: np.ndarray) -> list[np.ndarray]:
        """The image moved by each generator."""

    def generators(self, n_features: int, feature_names: Names = None) -> tuple[np.ndarray, np.ndarray]:
        shape = tuple(self.shape)
        if len(shape) not in (2, 3) or int(np.prod(shape)) != n_features:
            raise ValueError(
                f"shape of {type(self).__name__} must be (rows, columns) or (rows, columns, channels) with a product "
                f"of {n_features}, the number of features; got {self.shape!r}."
            )
        perms = np.stack([moved.ravel() for moved in self._moves(np.arange(n_features).reshape(shape))])
        return perms, np.ones(perms.shape, dtype=int)


class Rotate90(_ImageGroup):
    """Turn a square image by 0, 90, 180 or 270 degrees.

    Parameters
    ----------
    {image}

    Examples
    --------
    >>> Rotate90((2, 2)).generators(4)[0].tolist()
    [[1, 3, 0, 2]]
    """

    def _moves(self, image: np.ndarray) -> list[np.ndarray]:
        if image.shape[0] != image.shape[1]:
            raise ValueError(f"Rotate90 needs a square image, got shape {self.shape}.")
        return [np.rot90(image)]


class Flip(_ImageGroup):
    """Mirror an image left and right (axis 1), or up and down (axis 0).

    Parameters
    ----------
    {image}
    axis : int, default 1
        0 or 1.

    Examples
    --------
    >>> Flip((1, 3)).generators(3)[0].tolist()
    [[2, 1, 0]]
    """

    def __init__(self, shape: tuple[int, ...], *, axis: int = 1, outcome_invariant: bool = True):
        super().__init__(shape, outcome_invariant=outcome_invariant)
        self.axis = axis

    def _moves(self, image: np.ndarray) -> list[np.ndarray]:
        if self.axis not in (0, 1):
            raise ValueError(f"axis of Flip must be 0 or 1, got {self.axis!r}.")
        return [np.flip(image, axis=self.axis)]


class CyclicShift(_ImageGroup):
    """Shift an image by whole pixels in both directions; what leaves on one side enters on the other.

    Parameters
    ----------
    {image}

    Examples
    --------
    >>> len(CyclicShift((3, 4)).elements(12)[0])
    12
    """

    def _moves(self, image: np.ndarray) -> list[np.ndarray]:
        return [np.roll(image, 1, axis=axis) for axis in (0, 1)]


def group_stage(moments: Moments, perms: np.ndarray, signs: np.ndarray) -> FirstStage:
    """First stage of the uniform law on the group that signed permutations generate.

    Variance and covariance are averages over orbits; the factor spans what some element moves, and the averaged
    solution has nothing along it.
    """
    pooled = moments.pool()
    d = pooled.blocks["x"]
    mean, cov, cross = pooled.mean("x")[0], pooled.cov("x")[0], pooled.cov("x", "y")[0]
    single = _orbits(perms, signs)
    rows, columns = np.divmod(np.arange(d * d), d)
    pair = _orbits(perms[:, rows] * d + perms[:, columns], signs[:, rows] * signs[:, columns])
    averaged_mean = _orbit_means(mean, single)
    second = _orbit_means((cov + np.outer(mean, mean)).ravel(), pair).reshape(d, d)
    variance = second - np.outer(averaged_mean, averaged_mean)
    averaged = np.column_stack([_orbit_means(column, single) for column in cross.T])

    # Fixed directions: constant, up to signs, on an orbit, and zero where the group joins a feature with its negative.
    free = single[:d] != single[d:]
    fixed = np.zeros((d, 0))
    if free.any():
        lead = np.minimum(single[:d], single[d:])
        sign = np.where(single[:d] == lead, 1.0, -1.0)
        fixed = np.where(free[:, None] & (lead[:, None] == np.unique(lead[free])), sign[:, None], 0.0)
        fixed /= np.linalg.norm(fixed, axis=0)
    moving = orthonormal_range(fixed.T)[1]
    return FirstStage(variance, averaged, moving, np.zeros((len(moving), cross.shape[1])), added=True)


def _orbits(perms: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Labels (2d,) of the orbits of signed coordinates: +j at j and -j at d + j."""
    k, d = perms.shape
    here = np.tile(np.arange(d), k)
    there, same = perms.ravel(), signs.ravel() > 0
    start = np.concatenate([here, d + here])
    end = np.concatenate([np.where(same, there, d + there), np.where(same, d + there, there)])
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(2 * d, 2 * d))
    labels: np.ndarray = connected_components(graph, directed=False)[1]
    return labels


def _orbit_means(values: FloatArray, labels: np.ndarray) -> FloatArray:
    """Average a vector over the group: the mean of the signed values of its orbit."""
    signed = np.concatenate([values, -values])
    means = np.bincount(labels, weights=signed) / np.bincount(labels)
    return np.asarray(means[labels[: len(values)]])
