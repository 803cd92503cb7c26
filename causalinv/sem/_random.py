"""Random graphs and random models for experiments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from causalinv._parallel import streams
from causalinv._typing import ArrayLike, BoolArray, Node, RandomState
from causalinv._validation import check_number
from causalinv.sem._linear import LinearSEM
from causalinv.sem._noise import Noise

__all__ = ["random_dag", "random_sem"]

_MAX_TRIES = 50


def random_dag(
    p: int,
    *,
    kind: Literal["er", "chain"] = "er",
    expected_degree: float = 2.0,
    random_state: RandomState = None,
) -> BoolArray:
    """Draw a random acyclic graph whose order is a uniformly random permutation.

    Parameters
    ----------
    p : int
        Number of nodes, >= 1.
    kind : {"er", "chain"}, default "er"
        ``"er"``: Erdős–Rényi, each pair of nodes is joined with the same probability; ``"chain"``: one path.
    expected_degree : float, default 2.0
        Expected number of neighbours (parents plus children) of a node, from 0 to p - 1; used by ``"er"``.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed.

    Returns
    -------
    ndarray of bool, shape (p, p)
        ``W[i, j]`` is True when i → j; for `LinearSEM` use `LinearSEM.from_adjacency`.

    Examples
    --------
    >>> random_dag(4, kind="chain", random_state=0).sum()
    np.int64(3)
    """
    if int(p) != p or p < 1:
        raise ValueError(f"p must be a whole number >= 1, got {p!r}.")
    order_rng, edge_rng = streams(random_state, 2)
    if kind == "er":
        degree = check_number(expected_degree, "expected_degree", low=0.0, high=max(p - 1, 0))
        chance = degree / (p - 1) if p > 1 else 0.0
        upper = np.triu(edge_rng.random((p, p)) < chance, k=1)
    elif kind == "chain":
        upper = np.eye(p, k=1, dtype=bool)
    else:
        raise ValueError(f"kind must be 'er' or 'chain', got {kind!r}.")
    order = order_rng.permutation(p)
    graph = np.empty_like(upper)
    graph[np.ix_(order, order)] = upper
    return graph


def random_sem(
    p: int,
    *,
    kind: Literal["er", "chain"] = "er",
    expected_degree: float = 2.0,
    weights: tuple[float, float] = (0.5, 1.5),
    noise: ArrayLike | Noise | Sequence[Noise | float] = 1.0,
    standardize: bool = True,
    target: Node | None = None,
    random_state: RandomState = None,
) -> LinearSEM:
    """Draw a random acyclic linear SEM with a target that has parents and children.

    Parameters
    ----------
    p : int
        Number of nodes, features and target together.
    kind, expected_degree
        Law of the graph; see `random_dag`.
    weights : (float, float), default (0.5, 1.5)
        Range of the sizes of the edge weights, before standardisation; signs are fair coins.
    noise : float, array-like, Noise or sequence of Noise, default 1.0
        As in `LinearSEM`.
    standardize : bool, default True
        Rescale every node to variance one, so that variances do not betray the causal order.
    target : int or str, optional
        The target. Left out: a random node that has both parents and children.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed; graph, weights and target have streams of their own.

    Returns
    -------
    LinearSEM

    Raises
    ------
    ValueError
        If 50 graphs in a row have no node with both parents and children, or `weights` is not a range.
    """
    low, high = (check_number(w, "weights", low=0.0) for w in weights)
    if low > high:
        raise ValueError(f"weights must be (low, high) with low <= high, got {weights}.")
    *graph_rngs, weight_rng, target_rng = streams(random_state, _MAX_TRIES + 2)
    for rng in graph_rngs:
        graph = random_dag(p, kind=kind, expected_degree=expected_degree, random_state=rng)
        inner = np.flatnonzero(graph.any(axis=0) & graph.any(axis=1))
        if target is not None or inner.size:
            break
    else:
        raise ValueError(
            f"None of {_MAX_TRIES} random graphs (p={p}, kind={kind!r}, expected_degree={expected_degree}) has a "
            "node with both parents and children; raise p or expected_degree, or name the target."
        )
    size = weight_rng.uniform(low, high, (p, p)) * weight_rng.choice([-1.0, 1.0], (p, p))
    chosen = int(target_rng.choice(inner)) if target is None else target
    sem = LinearSEM.from_adjacency(np.where(graph, size, 0.0), noise=noise, target=chosen)
    return sem.standardize() if standardize else sem
