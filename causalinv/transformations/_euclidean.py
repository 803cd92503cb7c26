"""Rigid motions of point clouds: rotations, reflections, translations, boosts, and exchange of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace

import numpy as np

from causalinv._typing import Columns, FloatArray, IntArray, Names
from causalinv._validation import check_flag, check_number, check_whole
from causalinv.transformations._axes import principal_axes, ranks
from causalinv.transformations._base import Moved, Transformation
from causalinv.transformations._columns import blocks, positions
from causalinv.transformations._frame import Frame, whole
from causalinv.transformations._haar import haar_orthogonal

__all__ = ["EuclideanGroup"]

_SAME = 1e-9  # of a cloud's size: coordinates that differ less are one number
_LARGEST_DIM = 8
_ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of coordinates as they come: what centring and turning leave


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Rows taken apart."""

    points: FloatArray  # (n, p, d)
    vectors: FloatArray  # (n, q, d)
    scalars: FloatArray  # (n, p, s)
    at: tuple[IntArray, IntArray, IntArray]  # their columns, of the same shapes without n


@dataclass(eq=False, repr=False)
class EuclideanGroup(Transformation):
    r"""Move a cloud of points as a rigid body, x = (p₁, …, pₘ) to (Rp₁ + t, …, Rpₘ + t).

    Frames are the principal axes of the cloud with both signs of each, 2^dim poses (half as many if `proper`); ties
    of symmetric shapes are resolved by the points themselves, exactly. Close to a tie, and with `exchange` close to
    where two points swap places in their order (`Frame.gap` near 0), predictions averaged over frames can jump: no
    choice of finitely many poses is continuous everywhere.

    Parameters
    ----------
    dim : int
        Dimension of the space, at most 8.
    points : sequence of int or str, optional
        Columns of the points' coordinates, point by point. Left out: all columns that are neither vectors nor scalars.
    vectors : sequence of int or str, optional
        Columns of vectors that turn with the cloud but are not shifted (velocities, forces), vector by vector.
    scalars : sequence of int or str, optional
        Columns of numbers that belong to the points and stay as they are (charges, masses), point by point: they
        change places with their points under `exchange`. Columns named nowhere belong to the whole cloud and stay.
    proper : bool, default False
        Rotations only; with False also reflections, so that a cloud and its mirror image are one.
    translations : bool, default True
        Whether the cloud may be shifted. False: it turns about the origin.
    boosts : bool, default False
        Whether all vectors, one for each point, may be shifted together (Galilei: the motion of the whole is ignored).
    horizon : float, default 1.0
        With `boosts` and an outcome of points: how long after the features the outcome is, in units of time of the
        vectors; the outcome moves by so many times the boost.
    exchange : bool, default False
        Whether points may change places, with their vectors and scalars.
    spread : float, default 1.0
        Standard deviation of the shifts that `draw` draws: translations have no uniform law.
    outcome_invariant : bool, default True
        Your claim that the outcome ignores the motions.

    References
    ----------
    Puny et al., "Frame averaging for invariant and equivariant network design", ICLR 2022. Dym, Lawrence and Siegel,
    "Equivariant frames and the impossibility of continuous canonicalization", ICML 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.transformations import EuclideanGroup
    >>> triangle = np.array([[0.0, 0.0, 3.0, 0.0, 0.0, 1.0]])
    >>> EuclideanGroup(2).frame(triangle).sizes
    array([4])
    """

    dim: int
    _: KW_ONLY
    points: Columns = None
    vectors: Columns = None
    scalars: Columns = None
    proper: bool = False
    translations: bool = True
    boosts: bool = False
    horizon: float = 1.0
    exchange: bool = False
    spread: float = 1.0
    outcome_invariant: bool = True

    @property
    def compact(self) -> bool:  # type: ignore[override]
        """Whether there is a uniform law: not with translations or boosts."""
        return not (self.translations or self.boosts)

    # -- the group ---------------------------------------------------------------------------------------------

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        cloud = self._cloud(X, feature_names)
        n, d = len(X), cloud.points.shape[2]
        turn = haar_orthogonal(n, d, proper=self.proper, random_state=rng)
        spread = check_number(self.spread, "spread of EuclideanGroup", low=0.0, finite=True)
        shift = spread * rng.standard_normal((n, d)) if self.translations else np.zeros((n, 0))
        boost = spread * rng.standard_normal((n, d)) if self.boosts else np.zeros((n, 0))
        points, vectors = (np.einsum("npe,nde->npd", each, turn) for each in (cloud.points, cloud.vectors))
        if self.translations:
            points = points + shift[:, None]
        if self.boosts:
            vectors = vectors + boost[:, None]
        scalars = cloud.scalars
        if self.exchange:
            order = rng.permuted(np.tile(np.arange(points.shape[1]), (n, 1)), axis=1)
            points, vectors, scalars = (_take(each, order) for each in (points, vectors, scalars))
        moved = _Cloud(points, vectors, scalars, cloud.at)
        return _row(X, moved), np.hstack([turn.reshape(n, d * d), shift, boost])

    def frame(self, X: FloatArray, feature_names: Names = None) -> Frame:
        return self._tidy(self._poses(X, feature_names), feature_names)

    def _poses(self, X: FloatArray, feature_names: Names) -> Frame:
        cloud = self._cloud(X, feature_names)
        n, _, d = cloud.points.shape
        centre = cloud.points.mean(axis=1) if self.translations else np.zeros((n, d))
        boost = cloud.vectors.mean(axis=1) if self.boosts else np.zeros((n, d))
        points, vectors = _less(cloud.points, centre), _less(cloud.vectors, boost)
        (first, far), (second, long) = (_in_own_units(each) for each in (points, vectors))
        axes = principal_axes(first, second, proper=self.proper)
        k = axes.source
        size = np.maximum(far, long)
        points, vectors = (each[k] @ axes.turns for each in (points, vectors))
        scalars, gap = cloud.scalars[k], axes.gap
        pose = {"turn": axes.turns, "centre": centre[k], "boost": boost[k]}
        if self.exchange:
            raw = np.maximum(*(np.abs(each).max(axis=(1, 2), initial=0.0) for each in (cloud.points, cloud.vectors)))
            rounding = np.maximum(_SAME * size, _ROUNDING * raw)[k]
            order, runs = _order(points, vectors, scalars, rounding)
            pose |= {"order": order, "runs": runs}
            points, vectors, scalars = (_take(each, order) for each in (points, vectors, scalars))
            gap = gap.copy()
            np.minimum.at(
                gap, k, _change_of_places(points, vectors, scalars, rounding) / np.where(size > 0, size, 1.0)[k]
            )
        rows = _row(X[k], _Cloud(points, vectors, scalars, cloud.at))
        weights = 1.0 / np.bincount(k, minlength=n)[k]
        return Frame(rows, k, weights, pose, gap, axes.tied)

    def _tidied(self, rows: FloatArray, feature_names: Names) -> FloatArray:
        cloud = self._cloud(rows, feature_names)
        size = np.maximum(*(_in_own_units(each)[1] for each in (cloud.points, cloud.vectors)))[:, None, None]
        return _row(rows, replace(cloud, points=whole(cloud.points, size), vectors=whole(cloud.vectors, size)))

    def carry(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        if output == "invariant":
            return Y
        values = self._outcome(Y, output)
        values = (values - self._offset(pose, output)[:, None]) @ pose["turn"]
        if "order" in pose and pose["order"].shape[1] == values.shape[1] > 1:
            values = _take(values, pose["order"])
        return values.reshape(Y.shape)

    def bring_back(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        if output == "invariant":
            return Y
        values = self._outcome(Y, output)
        if "order" in pose and pose["order"].shape[1] == values.shape[1] > 1:
            values = _take(_mean_of_runs(values, pose["runs"]), np.argsort(pose["order"], axis=1))
        return (values @ np.swapaxes(pose["turn"], 1, 2) + self._offset(pose, output)[:, None]).reshape(Y.shape)

    def canonical(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        frame = self.frame(X, feature_names)
        return frame.rows[self._chosen(frame, feature_names)]

    def pose(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        """Turn, centre and boost of each row; with `exchange` the numbering of the points is not among them."""
        frame = self.frame(X, feature_names)
        k = self._chosen(frame, feature_names)
        parts = [frame.pose["turn"][k].reshape(len(X), -1)]
        parts += [frame.pose["centre"][k]] if self.translations else []
        parts += [frame.pose["boost"][k]] if self.boosts else []
        return np.hstack(parts)

    # -- inside ------------------------------------------------------------------------------------------------

    def _cloud(self, X: FloatArray, names: Sequence[str] | None) -> _Cloud:
        d = check_whole(self.dim, "dim of EuclideanGroup", low=1)
        if d > _LARGEST_DIM:
            raise ValueError(f"dim of EuclideanGroup must be at most {_LARGEST_DIM}: a frame has 2^dim poses; got {d}.")
        for flag in ("proper", "translations", "boosts", "exchange"):
            check_flag(getattr(self, flag), f"{flag} of EuclideanGroup")
        width = X.shape[1]
        vectors = positions(self.vectors, width, names, "vectors of EuclideanGroup")
        scalars = positions(self.scalars, width, names, "scalars of EuclideanGroup")
        others = {*vectors.tolist(), *scalars.tolist()}
        if self.points is None:
            points: IntArray = np.array([j for j in range(width) if j not in others], dtype=np.intp)
        else:
            points = positions(self.points, width, names, "points of EuclideanGroup")
        every = [*points.tolist(), *vectors.tolist(), *scalars.tolist()]
        if len(set(every)) < len(every):
            twice = sorted({j for j in every if every.count(j) > 1})
            raise ValueError(f"points, vectors and scalars of EuclideanGroup overlap in columns {twice}.")
        at_points = blocks(points, d, "points of EuclideanGroup")
        at_vectors = blocks(vectors, d, "vectors of EuclideanGroup", empty=True)
        m = len(at_points)
        if scalars.size % m:
            raise ValueError(f"scalars of EuclideanGroup are {scalars.size} columns for {m} points: not as many each.")
        if self.boosts and len(at_vectors) != m:
            raise ValueError(f"boosts need one vector for each of {m} points, got {len(at_vectors)} vectors.")
        if self.exchange and len(at_vectors) % m:
            raise ValueError(f"exchange needs as many vectors for each of {m} points; got {len(at_vectors)} vectors.")
        at = (at_points, at_vectors, scalars.reshape(m, -1))
        return _Cloud(X[:, at[0]], X[:, at[1]], X[:, at[2]], at)

    def _outcome(self, Y: FloatArray, output: str) -> FloatArray:
        if output not in ("vectors", "points"):
            raise ValueError(
                f"EuclideanGroup moves outcomes that are 'invariant', 'vectors' or 'points'; got output={output!r}."
            )
        if (Y.shape[1] if Y.ndim == 2 else 1) % self.dim:
            raise ValueError(
                f"output={output!r} needs an outcome of shape (n, k * {self.dim}), coordinates of one vector or point "
                f"after the other; got shape {Y.shape}."
            )
        return Y.reshape(len(Y), -1, self.dim)

    def _offset(self, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        horizon = check_number(self.horizon, "horizon of EuclideanGroup", finite=True)
        return pose["centre"] + horizon * pose["boost"] if output == "points" else pose["boost"]

    def _chosen(self, frame: Frame, names: Sequence[str] | None) -> IntArray:
        """One element of each frame: third moments along its axes are positive, or if 0 the first coordinate is."""
        points = self._cloud(frame.rows, names).points
        third = (points**3).sum(axis=1)
        size = (np.abs(points) ** 3).sum(axis=1)
        leading = np.take_along_axis(points, (points != 0).argmax(axis=1)[:, None], axis=1)[:, 0]
        positive = np.where(np.abs(third) > _SAME * size, third, leading) > 0
        count = positive[:, : -1 if self.proper else None].sum(axis=1)
        order = np.lexsort((np.arange(len(count)), -count, frame.source))
        starts = np.flatnonzero(np.r_[True, np.diff(frame.source) > 0])
        return order[starts]


def _less(clouds: FloatArray, centre: FloatArray) -> FloatArray:
    """Clouds (n, p, d) less their centres (n, d); exactly 0 where what is left is rounding."""
    left = clouds - centre[:, None]
    most = np.abs(left).max(axis=(1, 2), initial=0.0) > _ROUNDING * np.abs(centre).max(axis=1, initial=0.0)
    return np.where(most[:, None, None], left, 0.0)


def _in_own_units(clouds: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Each cloud (p, d) over a power of two near its size, so that squares are floats; its largest length (n,)."""
    top = np.abs(clouds).max(axis=(1, 2), initial=0.0)
    unit = np.where(top > 0, np.ldexp(1.0, np.frexp(top)[1] - 1), 1.0)
    scaled = clouds / unit[:, None, None]
    return scaled, np.sqrt((scaled**2).sum(axis=2).max(axis=1, initial=0.0)) * unit


def _order(
    points: FloatArray, vectors: FloatArray, scalars: FloatArray, rounding: FloatArray
) -> tuple[IntArray, IntArray]:
    """Order of points by their scalars, then coordinates along the axes from the largest down, then their vectors.

    Beside it, the number of the run of equal points that each point is in, in that order.
    """
    m = points.shape[1]
    keys = [ranks(scalars[:, :, j], np.zeros(len(scalars))) for j in range(scalars.shape[2])]
    keys += [ranks(points[:, :, j], rounding) for j in range(points.shape[2])]
    own = vectors.reshape(len(vectors), m, -1)
    keys += [ranks(own[:, :, j], rounding) for j in range(own.shape[2])]
    table = np.stack(keys[::-1])
    order = np.asarray(np.lexsort(table, axis=-1))
    new = np.diff(np.take_along_axis(table, order[None], axis=-1), axis=-1).any(axis=0)
    return order, np.concatenate([np.zeros((len(order), 1), dtype=np.intp), new.cumsum(axis=1)], axis=1)


def _mean_of_runs(values: FloatArray, runs: IntArray) -> FloatArray:
    """Outcomes (N, m, d) of sorted points, the same for points that are the same in everything."""
    if (runs[:, -1] == runs.shape[1] - 1).all():  # all differ
        return values
    same = (runs[:, :, None] == runs[:, None, :]).astype(np.float64)
    return (same / same.sum(axis=2, keepdims=True)) @ values


def _change_of_places(points: FloatArray, vectors: FloatArray, scalars: FloatArray, rounding: FloatArray) -> FloatArray:
    """How far sorted points (N, p, d) are from changing places, where the row would jump: shape (N,)."""
    n, m = points.shape[:2]
    rest = np.concatenate([points[:, :, 1:], vectors.reshape(n, m, -1)], axis=2)
    jumps = (np.abs(np.diff(rest, axis=1)) > rounding[:, None, None]).any(axis=2)
    jumps &= (np.diff(scalars, axis=1) == 0).all(axis=2)
    return np.where(jumps, np.abs(np.diff(points[:, :, 0], axis=1)), np.inf).min(axis=1, initial=np.inf)


def _take(values: FloatArray, order: IntArray) -> FloatArray:
    """Points (or what belongs to them, as many for each) in another order."""
    n, m = order.shape
    own = values.reshape(n, m, -1)
    return np.take_along_axis(own, order[:, :, None], axis=1).reshape(values.shape)


def _row(X: FloatArray, cloud: _Cloud) -> FloatArray:
    out = X.copy()
    for at, values in zip(cloud.at, (cloud.points, cloud.vectors, cloud.scalars), strict=True):
        out[:, at.ravel()] = values.reshape(len(X), -1)
    return out
