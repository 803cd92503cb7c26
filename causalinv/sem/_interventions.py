"""Interventions: frozen descriptions of a change to one node's equation, composed with ``+``.

The order of the terms does not matter: first everything that *sets*, then what scales, then what adds. Two terms
that set the same thing contradict each other and raise when the intervention is applied.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from causalinv._matrix import covariance_root
from causalinv._typing import Node
from causalinv._validation import check_list, check_number, check_numbers
from causalinv._warn import warn
from causalinv.exceptions import TargetInterventionWarning
from causalinv.sem._draft import Draft
from causalinv.sem._model import Model
from causalinv.sem._noise import Noise, as_noise, check_std

__all__ = [
    "Compose",
    "Do",
    "Intervention",
    "ScaleNoise",
    "ScaleWeights",
    "SetNoise",
    "SetWeights",
    "Shift",
    "ShiftTogether",
    "drafted",
    "warn_about_target",
]

M = TypeVar("M", bound=Model)


class Intervention(ABC):
    """Base of all interventions; ``a + b`` applies both, and so does ``sum([a, b])``.

    One of your own is a subclass with an attribute ``node`` and a method ``edit``.
    """

    #: Terms are applied in the order of their phase: what cuts, what sets, what scales, what adds.
    phase: ClassVar[int] = 3

    @abstractmethod
    def edit(self, draft: Draft[Any]) -> None:
        """Change the equations of a draft."""

    def __add__(self, other: Intervention) -> Intervention:
        if not isinstance(other, Intervention):
            return NotImplemented
        return Compose((*self.terms(), *other.terms()))

    def __radd__(self, other: object) -> Intervention:
        """``sum`` starts with 0, which changes nothing."""
        return self if isinstance(other, int) and not isinstance(other, bool) and other == 0 else NotImplemented

    def terms(self) -> Iterator[Intervention]:
        """Iterate over the elementary interventions that make up this one."""
        yield self

    @property
    def sites(self) -> tuple[Node, ...]:
        """Nodes whose equation changes, as the user named them, each once."""
        return tuple(dict.fromkeys(site for term in self.terms() for site in term._own_sites()))

    def _own_sites(self) -> tuple[Node, ...]:
        if not hasattr(self, "node"):
            raise TypeError(f"{type(self).__name__} must have an attribute node, the node whose equation it changes.")
        return (self.node,)


@dataclass(frozen=True)
class Compose(Intervention):
    """Several interventions at once; written ``a + b``."""

    parts: tuple[Intervention, ...] = ()

    def edit(self, draft: Draft[Any]) -> None:
        for term in sorted(self.terms(), key=lambda term: term.phase):
            term.edit(draft)

    def terms(self) -> Iterator[Intervention]:
        for part in self.parts:
            yield from part.terms()

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts)) or "Compose()"


@dataclass(frozen=True)
class Do(Intervention):
    """Set a node to a constant: its parents and its noise no longer matter.

    Composed with `SetNoise` on the same node it is a randomised experiment: the constant plus fresh noise.

    Parameters
    ----------
    node : int or str
        The node, by position or by name.
    value : float
        The constant.
    """

    node: Node
    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _node(self.node, "node of Do"))
        object.__setattr__(self, "value", check_number(self.value, "value of Do", finite=True))

    phase: ClassVar[int] = 0

    def edit(self, draft: Draft[Any]) -> None:
        node = draft.model.node(self.node)
        draft.claim("equation", node)
        draft.row(node)[:] = 0.0
        draft.intercept[node] = self.value
        draft.silence(node)


@dataclass(frozen=True)
class Shift(Intervention):
    """Add an independent term to a node's equation.

    Parameters
    ----------
    node : int or str
        The node.
    mean : float, default 0.0
        Mean of the added term.
    std : float, default 0.0
        Standard deviation of the added Gaussian term; 0 is a fixed shift.
    """

    node: Node
    mean: float = 0.0
    std: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _node(self.node, "node of Shift"))
        object.__setattr__(self, "mean", check_number(self.mean, "mean of Shift", finite=True))
        object.__setattr__(self, "std", check_std(self.std, "std of Shift"))

    phase: ClassVar[int] = 3

    def edit(self, draft: Draft[Any]) -> None:
        node = draft.model.node(self.node)
        draft.add_intercept(node, self.mean)
        draft.add_gaussian(node, self.std)


@dataclass(frozen=True)
class ScaleNoise(Intervention):
    """Multiply the standard deviation of a node's noise; its mean stays.

    Parameters
    ----------
    node : int or str
        The node.
    factor : float
        Multiplier, >= 0; 0 silences the noise.
    """

    node: Node
    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _node(self.node, "node of ScaleNoise"))
        object.__setattr__(self, "factor", check_number(self.factor, "factor of ScaleNoise", low=0.0, finite=True))

    phase: ClassVar[int] = 2

    def edit(self, draft: Draft[Any]) -> None:
        node = draft.model.node(self.node)
        draft.scale_noise(node, self.factor)


@dataclass(frozen=True)
class SetNoise(Intervention):
    """Replace the law of a node's noise; the weights of its parents stay.

    Parameters
    ----------
    node : int or str
        The node.
    noise : Noise or float
        The new law; a number is the standard deviation of a Gaussian.
    """

    node: Node
    noise: Noise | float

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _node(self.node, "node of SetNoise"))
        object.__setattr__(self, "noise", as_noise(self.noise))

    phase: ClassVar[int] = 1

    def edit(self, draft: Draft[Any]) -> None:
        node = draft.model.node(self.node)
        draft.claim("noise", node)
        draft.set_noise(node, as_noise(self.noise))


@dataclass(frozen=True)
class SetWeights(Intervention):
    """Set the weights of some parents of a node (a change of mechanism); the other weights stay.

    Parameters
    ----------
    node : int or str
        The node whose equation changes.
    weights : mapping of node to float
        New effect of each named parent on `node`; 0 removes the edge. Kept as a tuple of pairs.
    """

    node: Node
    weights: Mapping[Hashable, float] | tuple[tuple[Hashable, float], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _node(self.node, "node of SetWeights"))
        if not isinstance(self.weights, Mapping | tuple):
            raise TypeError(f"weights of SetWeights must be a mapping parent -> weight, got {self.weights!r}.")
        try:
            pairs = dict(self.weights).items()
        except (TypeError, ValueError):
            raise TypeError(
                f"weights of SetWeights must be a mapping parent -> weight, or pairs; got {self.weights!r}."
            ) from None
        checked = tuple((p, check_number(w, f"weight of parent {p!r} in SetWeights", finite=True)) for p, w in pairs)
        object.__setattr__(self, "weights", checked)  # pairs: hashable, and nobody can change them

    phase: ClassVar[int] = 1

    def edit(self, draft: Draft[Any]) -> None:
        node = draft.model.node(self.node)
        for name, weight in dict(self.weights).items():
            parent = draft.model.node(name)
            if parent == node:
                raise ValueError(
                    f"{self!r} would put a weight on the diagonal at node {node}: a node cannot cause itself."
                )
            draft.claim("equation", node, parent)
            draft.row(node)[parent] = weight


@dataclass(frozen=True)
class ScaleWeights(Intervention):
    """Multiply all weights in a node's equation, a weaker or stronger mechanism.

    Parameters
    ----------
    node : int or str
        The node whose equation changes.
    factor : float
        Multiplier; 0 cuts all its parents.
    """

    node: Node
    factor: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "node", _node(self.node, "node of ScaleWeights"))
        object.__setattr__(self, "factor", check_number(self.factor, "factor of ScaleWeights", finite=True))

    phase: ClassVar[int] = 2

    def edit(self, draft: Draft[Any]) -> None:
        draft.row(draft.model.node(self.node))[:] *= self.factor


@dataclass(frozen=True)
class ShiftTogether(Intervention):
    """Add a correlated Gaussian term to several equations at once: a new hidden common cause.

    Parameters
    ----------
    nodes : sequence of int or str
        The nodes, each once.
    cov : array-like of shape (k, k)
        Covariance of the added terms, in the order of `nodes`; positive semidefinite, any rank.
    mean : array-like of shape (k,), optional
        Mean of the added terms; zero if left out.
    """

    nodes: tuple[Node, ...]
    cov: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        nodes = tuple(
            _node(node, "each of nodes of ShiftTogether")
            for node in check_list(self.nodes, "nodes of ShiftTogether", "nodes")
        )
        k = len(nodes)
        if k == 0 or len(set(nodes)) < k:
            raise ValueError(f"nodes of ShiftTogether must be different nodes, at least one; got {nodes}.")
        cov = check_numbers(self.cov, "cov of ShiftTogether")
        mean = np.zeros(k) if self.mean is None else check_numbers(self.mean, "mean of ShiftTogether")
        if cov.shape != (k, k) or mean.shape != (k,):
            raise ValueError(
                f"cov and mean of ShiftTogether must have shapes ({k}, {k}) and ({k},) for {k} nodes, got "
                f"{cov.shape} and {mean.shape}."
            )
        covariance_root(cov, "cov of ShiftTogether")
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "cov", tuple(map(tuple, cov.tolist())))
        object.__setattr__(self, "mean", tuple(mean.tolist()))

    phase: ClassVar[int] = 3

    def _own_sites(self) -> tuple[Node, ...]:
        return self.nodes

    def edit(self, draft: Draft[Any]) -> None:
        positions = [draft.model.node(node) for node in self.nodes]
        if len(set(positions)) < len(positions):
            raise ValueError(f"nodes of {self!r} name the same node twice.")
        for node, mean in zip(positions, self.mean or (), strict=True):
            draft.add_intercept(node, mean)
        root = covariance_root(np.array(self.cov), "cov of ShiftTogether")
        loading = np.zeros((draft.model.n_nodes, root.shape[1]))
        loading[positions] = root
        draft.together.append(loading)


def _node(node: object, name: str) -> Node:
    """A position or a name; whether there is such a node, only a model can say."""
    if isinstance(node, np.integer):
        return int(node)
    if isinstance(node, bool) or not isinstance(node, str | int):
        raise TypeError(f"{name} must be a position (int) or a name (str), got {node!r}.")
    return node


def drafted(model: M, intervention: Intervention | None) -> Draft[M]:
    """What an intervention (None: nothing) changes in a model, validated."""
    if intervention is not None and not isinstance(intervention, Intervention):
        raise TypeError(f"intervention must be an Intervention such as Do(0, 1.0), got {intervention!r}.")
    draft = Draft(model, intervention)
    if intervention is not None:
        intervention.edit(draft)
    draft.check_acyclic()
    return draft


def warn_about_target(name: str, n: int, of: int) -> None:
    """Warn that `n` `of` so many interventions change the target's own equation."""
    warn(
        f"Interventions that change the equation of the target {name!r}: {n} of {of}. No set of features need "
        "predict it invariantly across such environments.",
        TargetInterventionWarning,
    )
