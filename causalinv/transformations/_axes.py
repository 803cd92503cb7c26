r"""Frames of axes of point clouds: principal axes with both signs, and ties resolved by the points themselves.

Principal axes are covariant: those of a rotated cloud are the rotated axes, up to signs, so all signs are taken. Where
eigenvalues tie (squares, tetrahedra) the axes inside the tied space are arbitrary, and an average over signs alone is
*not* invariant. There axes come from the points: Gram and Schmidt along the points that lie farthest out, every one of
them, then along those farthest from the first axis, and so on. That set is finite, follows the cloud and does not
depend on the order of its points. Where no point lies in a tied space the vectors beside the points take their place;
if they do not reach it either, turning inside it moves nothing of the row. Any axes will do there, each both ways:
outcomes that turn along must have no part in that space, as nothing in the row says where it would point.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalinv._typing import BoolArray, FloatArray, IntArray

__all__ = ["TIE", "Axes", "principal_axes", "ranks", "resolved"]

TIE = 1e-6  # relative gap of eigenvalues below which axes count as tied
_NEAR = 1e-6  # points that differ less, relatively, are equally far out
_NOTHING = 1e-9  # of a cloud's size: rounding
_MOST = 4096  # elements of one row's frame


@dataclass(frozen=True, eq=False)
class Axes:
    """Orthogonal matrices whose columns are axes: element k belongs to cloud ``source[k]``."""

    turns: FloatArray  # (N, d, d)
    source: IntArray  # (N,)
    gap: FloatArray  # (n,)
    tied: BoolArray  # (n,)


def principal_axes(points: FloatArray, vectors: FloatArray, *, proper: bool) -> Axes:
    """Frames of centred clouds.

    Parameters
    ----------
    points : ndarray of shape (n, p, d)
        Centred where translations count.
    vectors : ndarray of shape (n, q, d)
        What turns with the points.
    proper : bool
        Rotations only.

    Returns
    -------
    Axes
        The largest axis first.
    """
    n, _, d = points.shape
    signs = _signs(d, proper=False)
    values, vecs = np.linalg.eigh(np.swapaxes(points, 1, 2) @ points)
    values, vecs = values[:, ::-1], vecs[:, :, ::-1]
    top = values[:, 0]
    safe = np.where(top > 0, top, 1.0)
    gaps = -np.diff(values, axis=1) / safe[:, None]
    gap = gaps.min(axis=1, initial=np.inf) if d > 1 else np.full(n, np.inf)
    tied = gap <= TIE
    if d == 1:
        tied = np.zeros(n, dtype=bool)
    free = np.flatnonzero(~tied)
    turns = vecs[free, None] * signs[None, :, None, :]  # (free, 2^d, d, d)
    if proper:
        right = np.linalg.det(vecs[free])[:, None] * signs.prod(axis=1) > 0
        turns = turns[right].reshape(len(free), len(signs) // 2, d, d)
    per = turns.shape[1] if len(free) else 0
    if not tied.any():
        return Axes(turns.reshape(-1, d, d), np.repeat(free, per), gap, tied)
    pieces, source = [turns.reshape(-1, d, d)], [np.repeat(free, per)]
    for i in np.flatnonzero(tied):
        breaks = np.flatnonzero(gaps[i] > TIE) + 1
        blocks = np.split(np.arange(d), breaks)
        found = _tied_axes(vecs[i], blocks, points[i], vectors[i], int(i))
        if proper:
            found = found[np.linalg.det(found) > 0]
        pieces.append(found)
        source.append(np.full(len(found), i))
    order = np.argsort(np.concatenate(source), kind="stable")
    return Axes(np.concatenate(pieces)[order], np.concatenate(source)[order], np.maximum(gap, 0.0), tied)


def _signs(d: int, *, proper: bool) -> FloatArray:
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=d)))
    return signs[signs.prod(axis=1) > 0] if proper else signs


def _tied_axes(
    vecs: FloatArray, blocks: Sequence[IntArray], points: FloatArray, vectors: FloatArray, row: int
) -> FloatArray:
    """All orthogonal matrices of the frame of one cloud with ties."""
    parts = []
    for block in blocks:
        basis = vecs[:, block]
        if len(block) == 1:
            parts.append(np.stack([basis, -basis]))
        else:
            parts.append(basis @ resolved([points @ basis, vectors @ basis], [_size(points), _size(vectors)], row)[0])
    total = int(np.prod([len(part) for part in parts]))
    _check_many(total, row)
    return np.stack([np.concatenate(chosen, axis=1) for chosen in itertools.product(*parts)])


def _size(points: FloatArray) -> float:
    return float(np.sqrt((points**2).sum(axis=1)).max(initial=0.0))


def _check_many(total: int, row: int) -> None:
    if total > _MOST:
        raise ValueError(
            f"The cloud in row {row} is so symmetric, with so many points equally far out, that its frame has {total} "
            f"elements; the most that is averaged over is {_MOST}. Use distances between points as features instead "
            "(InvariantCoordinates)."
        )


def resolved(clouds: list[FloatArray], sizes: list[float], row: int = 0) -> tuple[FloatArray, float]:
    """Orthogonal matrices (N, m, m), axes in columns, along the points of a cloud that has no axes of its own.

    Beside them, by how much the points that are farthest out are farther than any other, relatively; 0 where several
    are equally far.

    Parameters
    ----------
    clouds : list of ndarray of shape (p, m)
        Points, then vectors, which count where points do not reach.
    sizes : list of float
        What rounding of each is measured by.
    row : int
        For messages.
    """
    m = clouds[0].shape[1]
    stack, gap = [np.zeros((m, 0))], np.inf
    for _ in range(m - 1):
        grown: list[FloatArray] = []
        for axes in stack:
            for cloud, size in zip(clouds, sizes, strict=True):
                rest = cloud - (cloud @ axes) @ axes.T
                far = np.sqrt((rest**2).sum(axis=1))
                top = far.max(initial=0.0)
                if top > max(_NOTHING * size, 0.0):
                    farthest = far >= (1 - _NEAR) * top
                    grown += [np.column_stack([axes, rest[k] / far[k]]) for k in np.flatnonzero(farthest)]
                    next_far = top if farthest.sum() > 1 else far[~farthest].max(initial=0.0)
                    gap = min(gap, 1.0 - float(next_far / top))
                    break
            else:  # nothing reaches further; both ways along any axis, so that outcomes have no part along it
                free = _completed(axes)[:, axes.shape[1] :][:, :1]
                grown += [np.hstack([axes, free]), np.hstack([axes, -free])]
        _check_many(2 * len(grown), row)
        stack = grown
    full = [_completed(axes) for axes in stack]
    flip = np.r_[np.ones(m - 1), -1.0]
    return np.stack([turn for axes in full for turn in (axes, axes * flip)]), gap


def _completed(axes: FloatArray) -> FloatArray:
    """An orthogonal matrix that begins with these orthonormal columns."""
    k = axes.shape[1]
    q = np.linalg.qr(np.column_stack([axes, np.eye(len(axes))]))[0]
    return np.asarray(np.column_stack([axes, q[:, k:]]))


def ranks(values: FloatArray, tolerance: FloatArray) -> IntArray:
    """Ranks along the last axis; neighbours closer than the tolerance (one per leading index) share theirs."""
    order = np.argsort(values, axis=-1, kind="stable")
    steps = np.diff(np.take_along_axis(values, order, axis=-1), axis=-1) > tolerance[..., None]
    ranked = np.concatenate(
        [np.zeros((*values.shape[:-1], 1), dtype=np.int32), steps.cumsum(axis=-1, dtype=np.int32)], axis=-1
    )
    out = np.empty_like(ranked)
    np.put_along_axis(out, order, ranked, axis=-1)
    return out
