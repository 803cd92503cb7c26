"""Where nodes, edges and weights of a drawn graph stand, so that none is printed over another: geometry in pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalinv._typing import ArrayLike, BoolArray, FloatArray
from causalinv.sem import LinearSEM

__all__ = ["bends", "circle", "curve", "edge_of_box", "layers", "places"]

_APART = 1.4  # between nodes of a layer, in distances of layers
_SHARES = np.linspace(0.04, 0.96, 47)  # of a curve, where it is looked at
_CANDIDATES = np.array([0.0, 0.12, -0.12, 0.2, -0.2, 0.3, -0.3, 0.4, -0.4])  # bends, as matplotlib's arc3 has them
_MIDDLE = 0.45  # share of an edge at which its weight is looked for, nearer to the cause
_SWEEPS = 3  # over all edges: later ones see where earlier ones went


def layers(sem: LinearSEM) -> FloatArray:
    """Depth by the longest path from a root; within a layer in the order of the parents' mean position."""
    depth = np.zeros(sem.n_nodes, int)
    for node in sem.topological_order():
        depth[node] = max((depth[parent] + 1 for parent in sem.parents(node)), default=0)
    where = np.zeros((sem.n_nodes, 2))
    where[:, 1] = -depth
    for level in range(depth.max() + 1):
        inside = np.flatnonzero(depth == level)
        pull = [np.mean([where[parent, 0] for parent in sem.parents(v)]) if sem.parents(v) else 0.0 for v in inside]
        order = inside[np.argsort(pull, kind="stable")]
        # Every other layer stands a little aside, so that edges across layers do not run over a node.
        where[order, 0] = _APART * (np.arange(len(order)) - (len(order) - 1) / 2) + 0.45 * (level % 2)
    width, height = np.ptp(where, axis=0)
    if width > 0:
        where[:, 0] *= max(1.0, 0.9 * height / width)  # a deep, narrow graph is spread to a square
    return where


def circle(n: int) -> FloatArray:
    """Nodes on a circle, neighbours as far apart as in a layer or farther."""
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    return max(1.0, _APART * n / (2 * np.pi)) * np.column_stack([np.cos(angle), np.sin(angle)])


def curve(start: FloatArray, end: FloatArray, bend: float, shares: ArrayLike) -> FloatArray:
    """Points at `shares` of the quadratic curve that matplotlib's arc3 draws, shape (m, 2)."""
    step, t = end - start, np.asarray(shares, dtype=np.float64)[:, None]
    control = (start + end) / 2 + bend * np.array([step[1], -step[0]])
    points: FloatArray = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
    return points


def edge_of_box(start: FloatArray, end: FloatArray, bend: float, half: FloatArray) -> float:
    """How far from `start` the curve leaves a box of half sizes `half` around it."""
    step = end - start
    towards = step / 2 + bend * np.array([step[1], -step[0]])
    towards = np.abs(towards) / np.linalg.norm(towards)
    return float(np.min(half / np.maximum(towards, 1e-9)))


def bends(
    nodes: FloatArray, half: FloatArray, edges: FloatArray, fixed: Sequence[float | None], gap: float
) -> list[float]:
    """How much each edge bends, so that it passes beside nodes and other edges.

    Parameters
    ----------
    nodes, half : ndarray of shape (p, 2)
        Centres of the nodes' boxes and their half sizes.
    edges : ndarray of int, shape (m, 2)
        Positions of the two ends.
    fixed : sequence of float or None
        A bend that is given.
    gap : float
        How near is too near.

    Returns
    -------
    list of float
    """
    chosen = [0.0 if bend is None else bend for bend in fixed]
    free = [i for i, bend in enumerate(fixed) if bend is None]
    shares = _SHARES[1::2]
    ways = np.array([[curve(nodes[a], nodes[b], bend, shares) for bend in _CANDIDATES] for a, b in edges])
    drawn = np.array([curve(nodes[a], nodes[b], bend, shares) for (a, b), bend in zip(edges, chosen, strict=True)])
    blocked, open_ = {}, {}
    for i in free:
        others = np.setdiff1d(np.arange(len(nodes)), edges[i])
        blocked[i] = _within(ways[i], nodes[others], half[others] + gap).sum(axis=1)
        # Edges that meet in a node are near to each other there, and may be.
        ends = np.linalg.norm(ways[i][:, :, None] - nodes[edges[i]], axis=3).min(axis=2)
        open_[i] = ends > 8 * gap
    for _ in range(_SWEEPS):
        before = list(chosen)
        for i in free:
            rest = np.delete(drawn, i, axis=0).reshape(-1, 2)
            near = _within(ways[i], rest, np.full((1, 2), gap)) & open_[i]
            cost = 10.0 * blocked[i] + near.sum(axis=1) + 6.0 * np.abs(_CANDIDATES)
            best = int(np.argmin(cost))
            chosen[i], drawn[i] = float(_CANDIDATES[best]), ways[i, best]
        if chosen == before:
            break
    return chosen


def places(
    nodes: FloatArray, half: FloatArray, edges: FloatArray, bent: Sequence[float], size: FloatArray
) -> FloatArray:
    """Centres of the edges' labels, on their edges and over nothing else where that is possible, shape (m, 2).

    Parameters
    ----------
    nodes, half, edges
        As in `bends`.
    bent : sequence of float
        Bends.
    size : ndarray of shape (m, 2)
        Half sizes of the labels.
    """
    drawn = [curve(nodes[a], nodes[b], bend, _SHARES) for (a, b), bend in zip(edges, bent, strict=True)]
    lengths = np.array([np.linalg.norm(nodes[a] - nodes[b]) for a, b in edges])
    at = np.array([points[np.argmin(np.abs(_SHARES - _MIDDLE))] for points in drawn]).reshape(-1, 2)
    for _ in range(_SWEEPS):
        for i in np.argsort(lengths):  # the shortest have the fewest places
            points = drawn[i]
            others = np.arange(len(edges)) != i
            cost = 10.0 * _covered(points, size[i], nodes, half).sum(axis=1)
            cost += 10.0 * _covered(points, size[i], at[others], size[others]).sum(axis=1)
            for j in np.flatnonzero(others):
                cost += 0.2 * _within(points, drawn[j], size[i : i + 1])
            at[i] = points[int(np.argmin(cost + np.abs(_SHARES - _MIDDLE)))]
    return at


def _within(points: FloatArray, centres: FloatArray, half: FloatArray) -> BoolArray:
    """Whether each point (..., 2) lies in one of the boxes around centres (k, 2)."""
    inside = np.abs(points[..., None, 0] - centres[:, 0]) < half[:, 0]
    inside &= np.abs(points[..., None, 1] - centres[:, 1]) < half[:, 1]
    return np.asarray(inside.any(axis=-1))


def _covered(points: FloatArray, half: FloatArray, centres: FloatArray, sizes: FloatArray) -> FloatArray:
    """Share of a box at each point that each other box covers, shape (m, k)."""
    overlap = half + sizes - np.abs(points[:, None] - centres)
    both = np.clip(np.minimum(overlap, 2 * np.minimum(half, sizes)), 0, None)
    return both.prod(axis=2) / np.prod(2 * half)
