"""What concerns the graph alone: its nodes, its order, who reaches whom."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

import numpy as np

from causalinv._typing import FloatArray, Node
from causalinv._validation import check_list
from causalinv.exceptions import CyclicModelError

__all__ = ["NamedGraph", "reachable", "varsortability"]


class NamedGraph:
    """Directed graph with weights and named nodes, acyclic or not; the skeleton of `LinearSEM`.

    Attributes
    ----------
    B : ndarray of shape (p, p)
        ``B[i, j]`` is the weight of the edge j → i (row = child).
    names : tuple of str
        Names of the nodes.
    """

    B: FloatArray
    names: tuple[str, ...]

    @property
    def n_nodes(self) -> int:
        """Number of nodes p."""
        return self.B.shape[0]

    @property
    def adjacency(self) -> FloatArray:
        """Weights as ``W[i, j]``: i → j, the transpose of `B`."""
        return self.B.T

    def node(self, node: Node) -> int:
        """Position of a node given by position or name; unknown, negative or boolean ones raise."""
        if isinstance(node, str):
            if node in self.names:
                return self.names.index(node)
            raise ValueError(f"There is no node {node!r}; the nodes are {', '.join(self.names)}.")
        if isinstance(node, numbers.Integral) and not isinstance(node, bool):
            if 0 <= node < self.n_nodes:
                return int(node)
            raise ValueError(f"There is no node {node}; positions run from 0 to {self.n_nodes - 1}.")
        raise TypeError(f"A node is a position (int) or a name (str), got {node!r}.")

    def nodes(self, nodes: Iterable[Node], name: str) -> tuple[int, ...]:
        """Positions of several nodes; `name` is the argument that they were given as."""
        return tuple(self.node(node) for node in check_list(nodes, name, "nodes"))

    def parents(self, node: Node) -> tuple[int, ...]:
        """Nodes with a direct effect on `node`."""
        return tuple(self._parents[self.node(node)].tolist())

    @cached_property
    def _parents(self) -> list[np.ndarray]:
        child, parent = np.nonzero(self.B)
        return np.split(parent, np.searchsorted(child, np.arange(1, len(self.B))))

    def children(self, node: Node) -> tuple[int, ...]:
        """Nodes on which `node` has a direct effect."""
        return tuple(np.flatnonzero(self.B[:, self.node(node)]).tolist())

    def ancestors(self, node: Node) -> tuple[int, ...]:
        """Nodes with a directed path to `node` (without itself, unless it lies on a cycle)."""
        return reachable(self.B != 0, self.node(node))

    def descendants(self, node: Node) -> tuple[int, ...]:
        """Nodes to which a directed path leads from `node` (without itself, unless it lies on a cycle)."""
        return reachable(self.adjacency != 0, self.node(node))

    def markov_blanket(self, node: Node) -> tuple[int, ...]:
        """Parents, children and the other parents of the children."""
        at = self.node(node)
        around = {at, *self.parents(at), *self.children(at)}
        for child in self.children(at):
            around.update(self.parents(child))
        return tuple(sorted(around - {at}))

    @cached_property
    def _order(self) -> tuple[int, ...] | CycleError:
        graph = {i: parents.tolist() for i, parents in enumerate(self._parents)}
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            return error

    @property
    def spectral_radius(self) -> float:
        """Largest modulus of the eigenvalues of B; below 1 the feedback of a cyclic model dies out."""
        return float(np.abs(np.linalg.eigvals(self.B)).max())

    @property
    def is_acyclic(self) -> bool:
        """Whether the graph has no directed cycle."""
        return not isinstance(self._order, CycleError)

    def topological_order(self) -> tuple[int, ...]:
        """Nodes such that causes precede effects; raises `CyclicModelError` naming a cycle if there is one."""
        if isinstance(self._order, CycleError):
            cycle = " -> ".join(self.names[i] for i in self._order.args[1])
            raise CyclicModelError(f"The model is cyclic ({cycle}), so it has no topological order.")
        return self._order


def reachable(links: np.ndarray, start: int) -> tuple[int, ...]:
    """Nodes that can be reached from `start` along ``links[i, j]`` (i leads to j), `start` only if on a cycle."""
    found = np.zeros(len(links), bool)
    frontier = links[start].astype(bool)
    while frontier.any():
        found |= frontier
        frontier = links[frontier].astype(bool).any(axis=0) & ~found
    return tuple(np.flatnonzero(found).tolist())


def varsortability(B: FloatArray, variance: FloatArray) -> float:
    """Share of directed paths, counted by their ends per length, along which the variance rises; ties count half."""
    edges = B != 0
    paths, rising, total = edges.copy(), 0.0, 0.0
    for _ in range(len(B) - 1):
        effect, cause = np.nonzero(paths)
        gain, size = variance[effect] - variance[cause], 1e-9 * variance[cause]
        rising += np.sum(gain > size) + 0.5 * np.sum(np.abs(gain) <= size)
        total += len(effect)
        if not len(effect):
            break
        paths = (paths.astype(np.float32) @ edges.astype(np.float32)) > 0
    return float(rising / total) if total else float("nan")
