"""Random graphs and random models for experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from causalinv._docs import documented
from causalinv._parallel import streams
from causalinv._typing import ArrayLike, BoolArray, FloatArray, Node, RandomState
from causalinv._validation import check_choice, check_flag, check_number, check_numbers, check_whole
from causalinv.sem._linear import LinearSEM
from causalinv.sem._noise import Noise

__all__ = ["random_cyclic_sem", "random_dag", "random_sem", "random_unfaithful_sem"]

_MAX_TRIES = 50
Kind = Literal["er", "bounded", "scale_free", "chain", "tree", "layered"]
DAG_KINDS = ("er", "bounded", "scale_free", "chain", "tree", "layered")


@documented()
def random_dag(
    p: int,
    *,
    kind: Kind = "er",
    expected_degree: float | None = None,
    max_in_degree: int = 2,
    n_layers: int = 3,
    random_state: RandomState = None,
) -> BoolArray:
    """Draw a random acyclic graph whose order is a uniformly random permutation.

    Parameters
    ----------
    p : int
        Number of nodes, >= 1.
    kind : {"er", "bounded", "scale_free", "chain", "tree", "layered"}, default "er"
        ``"er"``: Erdős–Rényi, each pair is joined with the same probability. ``"bounded"``: each node has a uniform
        number of parents from 1 to `max_in_degree`, drawn among its predecessors. ``"scale_free"``: preferential
        attachment, each node takes `max_in_degree` parents with a chance proportional to their degree plus one.
        ``"chain"``: one path. ``"tree"``: each node has one parent, uniform among its predecessors. ``"layered"``:
        nodes in `n_layers` layers, each pair in consecutive layers joined with the same probability.
    expected_degree : float, optional
        Expected number of neighbours (parents plus children), averaged over nodes; used by ``"er"``, ``"layered"``.
        Left out: 2, or as many as there can be.
    max_in_degree : int, default 2
        Used by ``"bounded"`` and ``"scale_free"``.
    n_layers : int, default 3
        Used by ``"layered"``.
    {random_state}

    Returns
    -------
    ndarray of bool, shape (p, p)
        ``W[i, j]`` is True when i → j; for `LinearSEM` use `LinearSEM.from_adjacency`.

    Raises
    ------
    ValueError
        If an option is unknown or out of range.

    Examples
    --------
    >>> random_dag(4, kind="chain", random_state=0).sum()
    np.int64(3)
    """
    for name, value in (("p", p), ("max_in_degree", max_in_degree), ("n_layers", n_layers)):
        check_whole(value, name, low=1)
    check_choice(kind, "kind", DAG_KINDS)
    order_rng, edge_rng = streams(random_state, 2, "graph")
    draws: dict[str, Callable[[], BoolArray]] = {
        "er": lambda: _joined(np.triu(np.ones((p, p), bool), k=1), expected_degree, edge_rng),
        "layered": lambda: _joined(_between_layers(p, n_layers), expected_degree, edge_rng),
        "bounded": lambda: _bounded(p, max_in_degree, edge_rng),
        "scale_free": lambda: _scale_free(p, max_in_degree, edge_rng),
        "tree": lambda: _bounded(p, 1, edge_rng),
        "chain": lambda: np.eye(p, k=1, dtype=bool),
    }
    upper = draws[kind]()
    order = order_rng.permutation(p)
    graph = np.empty_like(upper)
    graph[np.ix_(order, order)] = upper
    return graph


def _joined(allowed: BoolArray, expected_degree: float | None, rng: np.random.Generator) -> BoolArray:
    """Keep each allowed edge with the chance that makes the mean degree as expected."""
    pairs, p = int(allowed.sum()), len(allowed)
    most = 2.0 * pairs / p
    wanted = min(2.0, most) if expected_degree is None else expected_degree
    degree = check_number(wanted, "expected_degree", low=0.0, high=most)
    chance = degree * p / (2.0 * pairs) if pairs else 0.0
    return allowed & (rng.random((p, p)) < chance)


def _between_layers(p: int, n_layers: int) -> BoolArray:
    layer = np.arange(p) * n_layers // p
    return layer[None, :] == layer[:, None] + 1


def _bounded(p: int, most: int, rng: np.random.Generator) -> BoolArray:
    upper = np.zeros((p, p), bool)
    for j in range(1, p):
        upper[rng.choice(j, size=rng.integers(1, min(most, j) + 1), replace=False), j] = True
    return upper


def _scale_free(p: int, m: int, rng: np.random.Generator) -> BoolArray:
    upper = np.zeros((p, p), bool)
    degree = np.ones(p)
    for j in range(1, p):
        parents = rng.choice(j, size=min(m, j), replace=False, p=degree[:j] / degree[:j].sum())
        upper[parents, j] = True
        degree[parents] += 1
        degree[j] += len(parents)
    return upper


def _weights(graph: BoolArray, span: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Sizes uniform in `span`, signs fair, zero where there is no edge."""
    ends = check_numbers(span, "weights")
    if ends.shape != (2,) or not 0 <= ends[0] <= ends[1]:
        raise ValueError(f"weights must be (low, high) with 0 <= low <= high, got {span!r}.")
    low, high = ends.tolist()
    size = rng.uniform(low, high, graph.shape) * rng.choice([-1.0, 1.0], graph.shape)
    return np.where(graph, size, 0.0)


def random_sem(
    p: int,
    *,
    kind: Kind = "er",
    expected_degree: float | None = None,
    max_in_degree: int = 2,
    n_layers: int = 3,
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
    kind, expected_degree, max_in_degree, n_layers
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
        If 50 graphs in a row have no node with both parents and children, or an option is out of range.
    """
    check_flag(standardize, "standardize")
    *graph_rngs, weight_rng, target_rng = streams(random_state, _MAX_TRIES + 2, "model")
    for rng in graph_rngs:
        graph = random_dag(
            p,
            kind=kind,
            expected_degree=expected_degree,
            max_in_degree=max_in_degree,
            n_layers=n_layers,
            random_state=rng,
        )
        inner = np.flatnonzero(graph.any(axis=0) & graph.any(axis=1))
        if target is not None or inner.size:
            break
    else:
        raise ValueError(
            f"None of {_MAX_TRIES} random graphs (p={p}, kind={kind!r}, expected_degree={expected_degree}) has a "
            "node with both parents and children; raise p or expected_degree, or name the target."
        )
    chosen = int(target_rng.choice(inner)) if target is None else target
    sem = LinearSEM.from_adjacency(_weights(graph, weights, weight_rng), noise=noise, target=chosen)
    return sem.standardize() if standardize else sem


@documented()
def random_cyclic_sem(
    p: int,
    *,
    expected_degree: float = 2.0,
    spectral_radius: float = 0.8,
    noise: ArrayLike | Noise | Sequence[Noise | float] = 1.0,
    target: Node | None = None,
    random_state: RandomState = None,
) -> LinearSEM:
    """Draw a random stable linear SEM with at least one directed cycle.

    Parameters
    ----------
    p : int
        Number of nodes, >= 2.
    expected_degree : float, default 2.0
        Expected number of parents plus children of a node, from above 0 to 2 (p - 1), *before* graphs without a cycle
        are thrown away. Those that stay are denser: 2.33 on average for p = 6 and the default, 1.20 for p = 10 and 0.8.
    spectral_radius : float, default 0.8
        Spectral radius of B, above 0 and below 1: the feedback dies out.
    noise, target
        As in `LinearSEM`; the target is the first node with parents if left out.
    {random_state}

    Returns
    -------
    LinearSEM
        With the spectral radius asked for.

    Raises
    ------
    ValueError
        If 50 graphs in a row have no cycle, or an option is out of range.
    """
    check_whole(p, "p", low=2)
    degree = check_number(expected_degree, "expected_degree", low=0.0, high=2.0 * (p - 1), open_low=True)
    radius = check_number(spectral_radius, "spectral_radius", low=0.0, open_low=True)
    if radius >= 1.0:
        raise ValueError(f"spectral_radius must be below 1, got {spectral_radius!r}.")
    for rng in streams(random_state, _MAX_TRIES, "model"):
        graph = (rng.random((p, p)) < degree / (2.0 * (p - 1))) & ~np.eye(p, dtype=bool)
        B = _weights(graph, (0.5, 1.5), rng)
        size = np.abs(np.linalg.eigvals(B)).max()
        if size > 1e-6:  # an acyclic matrix is nilpotent
            chosen = int(np.argmax(graph.any(axis=1))) if target is None else target
            return LinearSEM(B * (radius / size), noise=noise, target=chosen)
    raise ValueError(
        f"None of {_MAX_TRIES} random graphs (p={p}, expected_degree={expected_degree}) has a cycle; raise one of them."
    )


@documented()
def random_unfaithful_sem(
    p: int,
    *,
    n_cancellations: int = 1,
    expected_degree: float | None = None,
    standardize: bool = True,
    random_state: RandomState = None,
) -> LinearSEM:
    """Draw a random acyclic linear SEM in which edges exist whose total effect is exactly zero.

    Ordinary random models are faithful with probability one and never exercise what does not assume it. Here the
    direct effect of a cause is set against the sum of its other paths to the same child, for so many children.

    Parameters
    ----------
    p : int
        Number of nodes, >= 3.
    n_cancellations : int, default 1
        Number of edges whose total effect vanishes (each into another child).
    expected_degree : float, optional
        As in `random_dag`, kind ``"er"``; 4, or as many as there can be, if left out.
    standardize : bool, default True
        As in `random_sem`.
    {random_state}

    Returns
    -------
    LinearSEM
        With a target that has parents and children, a cancelled child if there is such a one.

    Raises
    ------
    ValueError
        If 50 graphs in a row admit too few cancellations.
    """
    check_whole(n_cancellations, "n_cancellations", low=1)
    check_whole(p, "p", low=3)
    check_flag(standardize, "standardize")
    if n_cancellations > p - 2:
        raise ValueError(
            f"No graph of {p} nodes admits {n_cancellations} cancellations; raise p or expected_degree. Only nodes "
            "with two causes can have one, which are p - 2 at most."
        )
    degree = min(4.0, p - 1.0) if expected_degree is None else expected_degree
    for rng in streams(random_state, _MAX_TRIES, "model"):
        sem = LinearSEM(random_sem(p, expected_degree=degree, standardize=False, random_state=rng).B)
        B = sem.B.copy()
        done: list[int] = []
        for child in sem.topological_order():
            if len(done) == n_cancellations:
                break
            parents = np.flatnonzero(B[child])
            # Total effects among the predecessors are final, as children are visited in causal order.
            effects = LinearSEM(B).total_effects()
            detour = B[child, parents] @ effects[np.ix_(parents, parents)]
            candidates = np.flatnonzero(np.abs(detour) > 0.1)
            if candidates.size:
                k = int(rng.choice(candidates))
                B[child, parents[k]] = -detour[k]
                done.append(child)
        if len(done) == n_cancellations:
            graph = B != 0
            inner = np.flatnonzero(graph.any(axis=0) & graph.any(axis=1))
            target = next((child for child in done if child in inner), int(rng.choice(inner)))
            out = LinearSEM(B, target=target)
            return out.standardize() if standardize else out
    raise ValueError(
        f"None of {_MAX_TRIES} random graphs (p={p}, expected_degree={degree}) admits {n_cancellations} "
        "cancellations; raise p or expected_degree."
    )
