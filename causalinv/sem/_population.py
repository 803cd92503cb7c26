"""Questions to a whole population: regression, conditioning, separation.

Every node is a linear combination of independent standardised sources (the nodes' own noise, shifts, common causes), so
a regression of nodes on nodes is one of their loadings. What is left over is independent of the regressors, so that
best linear prediction is the conditional mean, if and only if no source that is not Gaussian is in both (the theorem of
Darmois and Skitovich for *only if*; uncorrelated and jointly Gaussian plus disjoint sources for *if*).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from causalinv._compat import is_d_separator
from causalinv._matrix import lstsq, matrix_rank, varying
from causalinv._typing import FloatArray, Node
from causalinv._validation import check_number
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.results import ConditionalLaw, PopulationRegression
from causalinv.sem._io import networkx_module, to_networkx
from causalinv.sem._model import Model
from causalinv.sem._noise import Gaussian, Noise

__all__ = ["condition", "d_separated", "regress"]

_TOL = 1e-12  # of the singular values of standardised loadings, and of correlations
_SHARED = 1e-9  # of a standard deviation: what a source must move to count as a part of a node
_POSSIBLE = 1e-8  # of a standard deviation, or of the value of a constant: rounding of what was seen


def regress(model: Model, y: Node, on: Iterable[Node]) -> PopulationRegression:
    """Best linear prediction of one node from others."""
    target = model.node(y)
    regressors = _different(model, on, "on")
    if target in regressors:
        raise ValueError(f"on holds y itself, {model.names[target]!r}.")
    loading, laws = _loading(model)
    inner, own = loading[list(regressors)], loading[target]
    names = tuple(model.names[i] for i in regressors)
    _warn_if_dependent(model, inner, names)
    coef = lstsq(inner.T, own, tol=_TOL) if names else np.empty(0)
    rest = _without_rounding(own - coef @ inner, own)
    mean = model.mean()
    return PopulationRegression(
        target=model.names[target],
        names=names,
        coef=coef,
        intercept=float(mean[target] - coef @ mean[list(regressors)]),
        residual_variance=float(rest @ rest),
        variance=float(own @ own),
        exact=_independent(inner, rest[None], laws),
    )


def condition(model: Model, given: Mapping[Any, float], nodes: Iterable[Node] | None) -> ConditionalLaw:
    """Mean and covariance of nodes given values of others."""
    if not isinstance(given, Mapping):
        raise TypeError(f"given must be a mapping of nodes to values, got {given!r}.")
    seen = list(_different(model, list(given), "given"))
    values = np.array([check_number(v, f"value of {k!r} in given", finite=True) for k, v in given.items()])
    asked = list(
        [i for i in range(model.n_nodes) if i not in seen] if nodes is None else _different(model, nodes, "nodes")
    )
    if not asked:
        raise ValueError("nodes is empty: there is nothing to ask about.")
    both = [model.names[i] for i in asked if i in seen]
    if both:
        raise ValueError(f"{both[0]!r} is in given and in nodes: what was seen has no law.")
    loading, laws = _loading(model)
    mean = model.mean()
    inner, outer, off = loading[seen], loading[asked], values - mean[seen]
    _check_possible(model, inner, off, seen)
    coef = lstsq(inner.T, outer.T, tol=_TOL).T if seen else np.empty((len(asked), 0))
    rest = np.array([_without_rounding(r, own) for r, own in zip(outer - coef @ inner, outer, strict=True)])
    return ConditionalLaw(
        names=tuple(model.names[i] for i in asked),
        mean=mean[asked] + coef @ off,
        cov=rest @ rest.T,
        given=tuple((model.names[i], float(v)) for i, v in zip(seen, values, strict=True)),
        exact=_independent(inner, rest, laws),
    )


def d_separated(model: Model, x: Node | Iterable[Node], y: Node | Iterable[Node], given: Iterable[Node]) -> bool:
    """Separation in the graph with hidden common causes as nodes of their own, Gaussian ones one for each pair."""
    networkx_module("d_separated")
    model.topological_order()  # raises for a cyclic model
    sets = {"x": _one_or_more(model, x, "x"), "y": _one_or_more(model, y, "y")}
    sets["given"] = set(_different(model, given, "given"))
    for name in ("x", "y"):
        if not sets[name]:
            raise ValueError(f"{name} is empty; separation is between nodes.")
    for one, two in (("x", "y"), ("x", "given"), ("y", "given")):
        common = sets[one] & sets[two]
        if common:
            raise ValueError(f"{one} and {two} both hold {model.names[min(common)]!r}; they must be disjoint.")
    graph = to_networkx(model)
    for cause in _hidden_causes(model):
        graph.add_edges_from((cause, model.names[i]) for i in cause)
    named = [{model.names[i] for i in sets[name]} for name in ("x", "y", "given")]
    return is_d_separator(graph, *named)


def _hidden_causes(model: Model) -> Iterator[tuple[int, ...]]:
    """The nodes that each hidden cause reaches.

    Gaussian noise is known by its covariance alone, whatever causes it is written with: one for each correlated pair.
    """
    gaussian = np.array([isinstance(law, Gaussian) for law in model.common.laws], dtype=bool)
    loading = model.common.loading
    cov = loading[:, gaussian] @ loading[:, gaussian].T
    size = np.sqrt(np.diag(cov))
    correlated = np.triu(np.abs(cov) > _TOL * np.outer(size, size), k=1)
    yield from ((int(i), int(j)) for i, j in np.argwhere(correlated))
    yield from (tuple(np.flatnonzero(column).tolist()) for column in loading[:, ~gaussian].T)


def _different(model: Model, nodes: Iterable[Node], name: str) -> tuple[int, ...]:
    found = model.nodes(nodes, name)
    if len(set(found)) < len(found):
        twice = next(i for i in found if found.count(i) > 1)
        raise ValueError(f"{name} holds {model.names[twice]!r} twice.")
    return found


def _one_or_more(model: Model, nodes: Node | Iterable[Node], name: str) -> set[int]:
    several = isinstance(nodes, Iterable) and not isinstance(nodes, str)
    return set(_different(model, nodes if several else [nodes], name))  # type: ignore[arg-type, list-item]


def _loading(model: Model) -> tuple[FloatArray, tuple[Noise, ...]]:
    """Loadings of the nodes on the sources, those of nodes that vary by rounding only set to 0."""
    model.cov()  # raises if a variance is no number
    loading, laws = model.sources()
    return np.where(model.varies()[:, None], loading, 0.0), laws


def _without_rounding(rest: FloatArray, own: FloatArray) -> FloatArray:
    """What is left of a node, exactly 0 if that is rounding."""
    left = bool(varying(np.array(rest @ rest), len(own) * np.array(np.sqrt(own @ own))))
    return rest if left else np.zeros_like(rest)


def _standardised(inner: FloatArray) -> FloatArray:
    size = np.linalg.norm(inner, axis=1)
    return inner / np.where(size > 0, size, 1.0)[:, None]


def _independent(inner: FloatArray, rest: FloatArray, laws: tuple[Noise, ...]) -> bool:
    """Whether what is left over is independent of the regressors: no source that is not Gaussian is in both."""
    other = np.array([not isinstance(law, Gaussian) for law in laws])
    if not len(inner) or not other.any():
        return True
    within = (np.abs(_standardised(inner)) > _SHARED).any(axis=0)
    left = (np.abs(_standardised(rest)) > _SHARED).any(axis=0)
    return not bool((other & within & left).any())


def _warn_if_dependent(model: Model, inner: FloatArray, names: tuple[str, ...]) -> None:
    still = [name for name, row in zip(names, inner, strict=True) if not row.any()]
    moving = inner[inner.any(axis=1)]
    rank = matrix_rank(_standardised(moving).T, tol=_TOL) if len(moving) else 0
    if still:
        warn(f"Nodes {still} are constant in this model; their coefficients are 0.", DegenerateInputWarning)
    if rank < len(moving):
        warn(
            f"The {len(moving)} regressors that vary span only {rank} dimensions, so coefficients are not unique: "
            "these are of minimum norm, each regressor scaled to variance one. Predictions do not depend on that.",
            DegenerateInputWarning,
        )


def _check_possible(model: Model, inner: FloatArray, off: FloatArray, seen: list[int]) -> None:
    """Raise if no draw of the model has these values."""
    mean = model.mean()[seen]
    size = np.linalg.norm(inner, axis=1)
    still = size == 0
    wrong = still & (np.abs(off) > _POSSIBLE * np.maximum(np.abs(mean), np.abs(mean + off)))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise ValueError(
            f"given asks for {model.names[seen[k]]!r} = {mean[k] + off[k]:g}, but in this model it is always "
            f"{mean[k]:g}."
        )
    moving = ~still
    if not moving.any():
        return
    scaled, wanted = inner[moving] / size[moving, None], off[moving] / size[moving]
    miss = wanted - scaled @ lstsq(scaled, wanted, tol=_TOL)
    if np.abs(miss).max() > _POSSIBLE * max(1.0, float(np.abs(wanted).max())):
        names = [model.names[i] for i, moves in zip(seen, moving, strict=True) if moves]
        raise ValueError(
            f"given is impossible: in this model {', '.join(names)} determine each other, and these values "
            "contradict that."
        )
