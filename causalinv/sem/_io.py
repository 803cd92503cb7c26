"""Round trips of a model: plain dictionaries (JSON), edge lists (pandas), graphs (networkx)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray
from causalinv._validation import check_list, check_number, check_numbers
from causalinv.sem._model import CommonCauses, Model
from causalinv.sem._noise import noise_from_dict

__all__ = ["from_dict", "from_frame", "from_networkx", "networkx_module", "to_dict", "to_frame", "to_networkx"]

M = TypeVar("M", bound=Model)


def to_dict(model: Model) -> dict[str, Any]:
    """Floats are written by Python's repr, which JSON keeps and which reads back to the same bits."""
    return {
        "B": model.B.tolist(),
        "noise": [law.to_dict() for law in model.noise],
        "intercept": model.intercept.tolist(),
        "names": list(model.names),
        "target": model.target,
        "features": list(model.features),
        "shift_std": model.shift_std.tolist(),
        "common": {"loading": model.common.loading.tolist(), "laws": [law.to_dict() for law in model.common.laws]},
    }


def from_dict(kind: type[M], values: Mapping[str, Any]) -> M:
    """Inverse of `to_dict`; a missing or unknown key raises."""
    expected = {"B", "noise", "intercept", "names", "target", "features", "shift_std", "common"}
    if not isinstance(values, Mapping) or set(values) != expected:
        found = sorted(map(str, values)) if isinstance(values, Mapping) else repr(values)
        raise ValueError(f"A model has the keys {sorted(expected)}, got {found}.")
    causes = values["common"]
    if not isinstance(causes, Mapping) or set(causes) != {"loading", "laws"}:
        raise ValueError(f"common of a model has the keys 'laws' and 'loading', got {causes!r}.")
    laws = tuple(noise_from_dict(law) for law in causes["laws"])
    loading = check_numbers(causes["loading"], "loading of common")
    p = len(values["B"])
    if loading.size != p * len(laws):
        raise ValueError(f"loading of common must have shape ({p}, {len(laws)}), got {loading.shape}.")
    return kind(
        values["B"],
        noise=[noise_from_dict(law) for law in values["noise"]],
        intercept=values["intercept"],
        names=values["names"],
        target=values["target"],
        features=values["features"],
        shift_std=values["shift_std"],
        common=CommonCauses(loading.reshape(p, len(laws)), laws),
    )


def to_frame(model: Model) -> pd.DataFrame:
    """One row per edge, in the order of the children."""
    child, parent = np.nonzero(model.B)
    names = np.array(model.names, dtype=object)
    return pd.DataFrame({"parent": names[parent], "child": names[child], "weight": model.B[child, parent]})


def from_frame(kind: type[M], edges: pd.DataFrame, **kwargs: Any) -> M:
    """Edges by name; `names` also admits nodes without edges and fixes the order."""
    if not isinstance(edges, pd.DataFrame):
        raise TypeError(f"edges must be a DataFrame with columns parent, child and weight, got {edges!r}.")
    missing = [column for column in ("parent", "child", "weight") if column not in edges]
    if missing:
        raise ValueError(f"edges must have columns parent, child and weight; missing: {missing}.")
    ends = [*edges["parent"].tolist(), *edges["child"].tolist()]
    given = kwargs.pop("names", None)
    seen = list(dict.fromkeys(ends)) if given is None else check_list(given, "names", "labels of nodes")
    names = [_label(name) for name in seen]
    kwargs = _by_label(kwargs, ends)
    half = len(edges)
    triples = zip(map(_label, ends[:half]), map(_label, ends[half:]), edges["weight"], strict=True)
    return kind(_matrix(triples, names), names=names, **kwargs)


def to_networkx(model: Model) -> Any:
    """All nodes, edges with their weight."""
    graph = networkx_module("to_networkx").DiGraph()
    graph.add_nodes_from(model.names)
    graph.add_weighted_edges_from(to_frame(model).itertuples(index=False, name=None))
    return graph


def from_networkx(kind: type[M], graph: Any, *, weight: str = "weight", **kwargs: Any) -> M:
    """Nodes in the graph's order; every edge must carry the weight."""
    if not hasattr(graph, "is_directed"):
        raise TypeError(f"graph must be a networkx DiGraph, got {graph!r}.")
    if not isinstance(weight, str):
        raise TypeError(f"weight must be the name of an attribute of the edges, got {weight!r}.")
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
    return kind(_matrix(triples, names), names=names, **kwargs)


def _label(node: Any) -> str:
    """Name of a labelled node; 1 and 1.0, which pandas turns into each other, are one label."""
    if pd.api.types.is_scalar(node) and pd.isna(node):
        raise ValueError("A node has no name (NaN or None); every edge needs a parent and a child, names included.")
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
        if parent == child:
            raise ValueError(f"The edge {parent!r} -> {child!r} starts and ends at one node: it cannot cause itself.")
        if (parent, child) in done:
            raise ValueError(f"The edge {parent!r} -> {child!r} is given twice.")
        done.add((parent, child))
        B[position[child], position[parent]] = check_number(value, f"weight of {parent!r} -> {child!r}", finite=True)
    return B


def networkx_module(what: str) -> Any:
    """The extra, or a message that says how to install it."""
    try:
        import networkx
    except ImportError as error:
        raise ImportError(f'{what} needs networkx: python -m pip install "causalinv[graph]".') from error
    return networkx
