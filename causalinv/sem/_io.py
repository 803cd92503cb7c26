"""Round trips of a model: plain dictionaries (JSON), edge lists (pandas), graphs (networkx)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray
from causalinv.sem._linear import LinearSEM
from causalinv.sem._noise import noise_from_dict

__all__ = ["from_dict", "from_frame", "from_networkx", "to_dict", "to_frame", "to_networkx"]


def to_dict(sem: LinearSEM) -> dict[str, Any]:
    """Floats are written by Python's repr, which JSON keeps and which reads back to the same bits."""
    loading, laws = sem.common
    return {
        "B": sem.B.tolist(),
        "noise": [law.to_dict() for law in sem.noise],
        "intercept": sem.intercept.tolist(),
        "names": list(sem.names),
        "target": sem.target,
        "features": list(sem.features),
        "shift_std": sem.shift_std.tolist(),
        "common": {"loading": loading.tolist(), "laws": [law.to_dict() for law in laws]},
    }


def from_dict(values: Mapping[str, Any]) -> LinearSEM:
    """Inverse of `to_dict`; a missing or unknown key raises."""
    expected = {"B", "noise", "intercept", "names", "target", "features", "shift_std", "common"}
    if set(values) != expected:
        raise ValueError(f"A model has the keys {sorted(expected)}, got {sorted(values)}.")
    base = LinearSEM(
        values["B"],
        noise=[noise_from_dict(law) for law in values["noise"]],
        intercept=values["intercept"],
        names=values["names"],
        target=values["target"],
        features=values["features"],
    )
    laws = tuple(noise_from_dict(law) for law in values["common"]["laws"])
    loading = np.asarray(values["common"]["loading"], dtype=np.float64).reshape(base.n_nodes, len(laws))
    return base._replace(shift_std=values["shift_std"], common=(loading, laws))


def to_frame(sem: LinearSEM) -> pd.DataFrame:
    """One row per edge, in the order of the children."""
    child, parent = np.nonzero(sem.B)
    names = np.array(sem.names, dtype=object)
    return pd.DataFrame({"parent": names[parent], "child": names[child], "weight": sem.B[child, parent]})


def from_frame(edges: pd.DataFrame, **kwargs: Any) -> LinearSEM:
    """Edges by name; `names` also admits nodes without edges and fixes the order."""
    missing = [column for column in ("parent", "child", "weight") if column not in edges]
    if missing:
        raise ValueError(f"edges must have columns parent, child and weight; missing: {missing}.")
    ends = [*edges["parent"].tolist(), *edges["child"].tolist()]
    given = kwargs.pop("names", None)
    seen = list(dict.fromkeys(ends)) if given is None else list(given)
    names = [_label(name) for name in seen]
    kwargs = _by_label(kwargs, ends)
    half = len(edges)
    triples = zip(map(_label, ends[:half]), map(_label, ends[half:]), edges["weight"], strict=True)
    return LinearSEM(_matrix(triples, names), names=names, **kwargs)


def to_networkx(sem: LinearSEM) -> Any:
    """All nodes, edges with their weight."""
    graph = _networkx().DiGraph()
    graph.add_nodes_from(sem.names)
    graph.add_weighted_edges_from(to_frame(sem).itertuples(index=False, name=None))
    return graph


def from_networkx(graph: Any, *, weight: str = "weight", **kwargs: Any) -> LinearSEM:
    """Nodes in the graph's order; every edge must carry the weight."""
    if not graph.is_directed():
        raise ValueError("The graph is undirected, so no edge says which end is the cause; pass a DiGraph.")
    if "names" in kwargs:
        raise TypeError("The graph names its own nodes; relabel it instead of passing names.")
    names = [_label(node) for node in graph.nodes]
    kwargs = _by_label(kwargs, list(graph.nodes))
    triples = []
    for parent, child, attributes in graph.edges(data=True):
        if weight not in attributes:
            raise ValueError(f"The edge {parent!r} -> {child!r} has no attribute {weight!r}.")
        triples.append((_label(parent), _label(child), attributes[weight]))
    return LinearSEM(_matrix(triples, names), names=names, **kwargs)


def _label(node: Any) -> str:
    """Name of a labelled node; 1 and 1.0, which pandas turns into each other, are one label."""
    return str(int(node)) if isinstance(node, float) and node.is_integer() else str(node)


def _by_label(kwargs: dict[str, Any], labels: list[Any]) -> dict[str, Any]:
    """Where nodes are labelled by numbers, target and features mean labels, not positions."""
    if all(isinstance(label, str) for label in labels):
        return kwargs
    out = dict(kwargs)
    if out.get("target") is not None:
        out["target"] = _label(out["target"])
    if out.get("features") is not None:
        out["features"] = [_label(label) for label in out["features"]]
    return out


def _matrix(edges: Any, names: list[str]) -> FloatArray:
    position = {name: i for i, name in enumerate(names)}
    B = np.zeros((len(names), len(names)))
    done = set()
    for parent, child, value in edges:
        unknown = [name for name in (parent, child) if name not in position]
        if unknown:
            raise ValueError(f"The edge {parent!r} -> {child!r} names {unknown[0]!r}, which is not among the nodes.")
        if (parent, child) in done:
            raise ValueError(f"The edge {parent!r} -> {child!r} is given twice.")
        done.add((parent, child))
        B[position[child], position[parent]] = value
    return B


def _networkx() -> Any:
    try:
        import networkx
    except ImportError as error:
        raise ImportError('to_networkx needs networkx: python -m pip install "causalinv[graph]".') from error
    return networkx
