"""Interventions: frozen descriptions of a change to one node's equation, composed with ``+``.

The order of the terms does not matter: first everything that *sets*, then what scales, then what adds. Two terms
that set the same thing contradict each other and raise when the intervention is applied.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from causalinv._typing import Node
from causalinv._validation import check_number
from causalinv.sem._noise import Gaussian, Noise, as_noise

if TYPE_CHECKING:
    from causalinv.sem._linear import LinearSEM

__all__ = ["Compose", "Do", "Draft", "Intervention", "ScaleNoise", "SetNoise", "SetWeights", "Shift"]


class Draft:
    """The equations of a model while an intervention is applied to them."""

    def __init__(self, sem: LinearSEM, intervention: Intervention) -> None:
        self.B, self.intercept, self.noise = sem.B.copy(), sem.intercept.copy(), list(sem.noise)
        self.position, self._names = sem.node, sem.names
        self._intervention = intervention
        self._set: set[tuple[str, int, int | None]] = set()
        for term in sorted(intervention.terms(), key=lambda term: term.phase):
            term.edit(self)

    def claim(self, what: str, node: int, parent: int | None = None) -> None:
        """Note that something is set; a second claim on it is a contradiction."""
        whole_equation = parent is not None and (what, node, None) in self._set
        if whole_equation or (what, node, parent) in self._set:
            raise ValueError(
                f"Two parts of {self._intervention!r} set the {what} of node {self._names[node]!r}; keep one of them."
            )
        self._set.add((what, node, parent))


class Intervention:
    """Base of all interventions; ``a + b`` applies both."""

    #: Terms are applied in the order of their phase: what cuts, what sets, what scales, what adds.
    phase: ClassVar[int]

    def edit(self, draft: Draft) -> None:
        """Change the equations of a draft."""
        raise NotImplementedError(f"{type(self).__name__} must define edit(draft).")

    def __add__(self, other: Intervention) -> Intervention:
        if not isinstance(other, Intervention):
            return NotImplemented
        return Compose((*self.terms(), *other.terms()))

    def terms(self) -> Iterator[Intervention]:
        """Iterate over the elementary interventions that make up this one."""
        yield self

    @property
    def sites(self) -> tuple[Node, ...]:
        """Nodes whose equation changes, as the user named them, each once."""
        return tuple(dict.fromkeys(site for term in self.terms() for site in term._own_sites()))

    def _own_sites(self) -> tuple[Node, ...]:
        return (self.node,)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Compose(Intervention):
    """Several interventions at once; written ``a + b``."""

    parts: tuple[Intervention, ...] = ()

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
        object.__setattr__(self, "value", check_number(self.value, "value of Do"))

    phase: ClassVar[int] = 0

    def edit(self, draft: Draft) -> None:
        node = draft.position(self.node)
        draft.claim("equation", node)
        draft.B[node], draft.intercept[node], draft.noise[node] = 0.0, self.value, Gaussian(0.0)


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
        object.__setattr__(self, "mean", check_number(self.mean, "mean of Shift"))
        object.__setattr__(self, "std", check_number(self.std, "std of Shift", low=0.0))

    phase: ClassVar[int] = 3

    def edit(self, draft: Draft) -> None:
        node = draft.position(self.node)
        draft.noise[node] = draft.noise[node].plus(Gaussian(std=self.std, mean=self.mean))


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
        object.__setattr__(self, "factor", check_number(self.factor, "factor of ScaleNoise", low=0.0))

    phase: ClassVar[int] = 2

    def edit(self, draft: Draft) -> None:
        node = draft.position(self.node)
        draft.noise[node] = draft.noise[node].scale(self.factor)


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
        object.__setattr__(self, "noise", as_noise(self.noise))

    phase: ClassVar[int] = 1

    def edit(self, draft: Draft) -> None:
        node = draft.position(self.node)
        draft.claim("noise", node)
        draft.noise[node] = as_noise(self.noise)


@dataclass(frozen=True)
class SetWeights(Intervention):
    """Set the weights of some parents of a node (a change of mechanism); the other weights stay.

    Parameters
    ----------
    node : int or str
        The node whose equation changes.
    weights : mapping of node to float
        New effect of each named parent on `node`; 0 removes the edge.
    """

    node: Node
    weights: Mapping[Hashable, float] = field(hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping):
            raise TypeError(f"weights of SetWeights must be a mapping parent -> weight, got {self.weights!r}.")
        checked = {p: check_number(w, f"weight of parent {p!r} in SetWeights") for p, w in self.weights.items()}
        object.__setattr__(self, "weights", checked)

    phase: ClassVar[int] = 1

    def edit(self, draft: Draft) -> None:
        node = draft.position(self.node)
        for name, weight in self.weights.items():
            parent = draft.position(name)
            draft.claim("equation", node, parent)
            draft.B[node, parent] = weight

    def __hash__(self) -> int:
        return hash((self.node, frozenset(self.weights.items())))
