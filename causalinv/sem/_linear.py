"""Linear structural equation models, acyclic or cyclic, with exact first and second moments."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from causalinv._parallel import generator
from causalinv._typing import ArrayLike, FloatArray, Node, RandomState
from causalinv._validation import check_finite
from causalinv.exceptions import CyclicModelError, DegenerateInputWarning, TargetInterventionWarning
from causalinv.sem._interventions import Draft, Intervention
from causalinv.sem._noise import Noise, as_noises, draw

if TYPE_CHECKING:
    from causalinv.sem._environments import EnvironmentSet

__all__ = ["LinearSEM"]

_ILL_CONDITIONED, _SINGULAR = 1e12, 1e15


class LinearSEM:
    r"""Linear structural equation model :math:`Z = \text{intercept} + B Z + \eta`, independent :math:`\eta_i`.

    Solved, :math:`Z = M(\text{intercept} + \eta)` with :math:`M = (I - B)^{-1}`, so that
    :math:`E Z = M(\text{intercept} + \mu)` and :math:`\operatorname{Cov} Z = M \Omega M'` whatever the law of
    the noise. Cyclic (simultaneous) models are legal when :math:`I - B` is invertible. Objects are immutable;
    an intervened model is a model.

    Parameters
    ----------
    B : array-like of shape (p, p)
        ``B[i, j]`` is the effect of node j ON node i (row = child). The diagonal is zero. For a matrix written
        the other way round use `from_adjacency`.
    noise : float, array-like of shape (p,), Noise, or sequence of Noise, default 1.0
        Standard deviations of Gaussian noise (not variances), or noise objects.
    intercept : float or array-like of shape (p,), default 0.0
        Constants of the equations.
    names : sequence of str, optional
        Names of the nodes; ``z0, z1, …`` if left out. Every method takes positions or names.
    target : int or str, optional
        The node that is the outcome of a regression; the other nodes, in order, are its features.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, the diagonal is not zero, a variance is negative, a name is
        repeated, or :math:`I - B` is singular.

    Warns
    -----
    DegenerateInputWarning
        If a cyclic model is nearly singular (condition number above 1e12).

    Examples
    --------
    >>> from causalinv.sem import Do, LinearSEM
    >>> chain = LinearSEM([[0, 0, 0], [2, 0, 0], [0, 3, 0]], names=["a", "b", "c"])
    >>> chain.cov()
    array([[ 1.,  2.,  6.],
           [ 2.,  5., 15.],
           [ 6., 15., 46.]])
    >>> chain.intervene(Do("b", 1.0)).mean()
    array([0., 1., 3.])

    A two-cycle is solved, not refused:

    >>> LinearSEM([[0, 0.5], [0.5, 0]]).M
    array([[1.33333333, 0.66666667],
           [0.66666667, 1.33333333]])
    """

    def __init__(
        self,
        B: ArrayLike,
        *,
        noise: ArrayLike | Noise | Sequence[Noise | float] = 1.0,
        intercept: ArrayLike = 0.0,
        names: Sequence[str] | None = None,
        target: Node | None = None,
    ) -> None:
        weights = np.array(B, dtype=np.float64)
        if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not weights.size:
            raise ValueError(f"B must be a square matrix (p, p) with p >= 1, got shape {weights.shape}.")
        p = weights.shape[0]
        check_finite(weights, "B")
        if np.diag(weights).any():
            node = int(np.flatnonzero(np.diag(weights))[0])
            raise ValueError(
                f"B has {weights[node, node]:g} on its diagonal at node {node}; a node cannot cause itself "
                "directly. Divide its equation by 1 minus that weight."
            )
        constants = np.array(intercept, dtype=np.float64)
        if constants.shape not in ((), (p,)):
            raise ValueError(f"intercept must be a number or have shape ({p},), got {constants.shape}.")
        constants = np.broadcast_to(constants, (p,)).copy()
        check_finite(constants, "intercept")
        labels = [f"z{i}" for i in range(p)] if names is None else list(names)
        if len(labels) != p or not all(isinstance(name, str) for name in labels):
            raise ValueError(f"names must be {p} strings, one per node, got {labels}.")
        if len(set(labels)) != p:
            twice = next(name for name in labels if labels.count(name) > 1)
            raise ValueError(f"names must differ, {twice!r} stands for more than one node.")
        weights.flags.writeable = constants.flags.writeable = False
        self.B: FloatArray = weights
        self.noise: tuple[Noise, ...] = as_noises(noise, p)
        self.intercept: FloatArray = constants
        self.names: tuple[str, ...] = tuple(labels)
        self.target: int | None = None if target is None else self.node(target)
        if not self.is_acyclic:
            self._check_solvable()

    @classmethod
    def from_adjacency(cls, W: ArrayLike, **kwargs: Any) -> LinearSEM:
        """Build from ``W[i, j]`` = weight of the edge i → j, the transpose of `B` (networkx, sempler)."""
        return cls(np.asarray(W, dtype=np.float64).T, **kwargs)

    def _check_solvable(self) -> None:
        system = np.eye(self.n_nodes) - self.B
        condition = float(np.linalg.cond(system))
        if not condition <= _SINGULAR:
            raise ValueError(
                f"The cyclic model has no unique solution: I - B is singular (condition number {condition:.1e}). "
                "Weaken a weight on the cycle; the product of effects around it must not be 1."
            )
        if condition > _ILL_CONDITIONED:
            warnings.warn(
                f"I - B is nearly singular (condition number {condition:.1e}); moments lose about "
                f"{np.log10(condition):.0f} digits.",
                DegenerateInputWarning,
                stacklevel=3,
            )

    # -- nodes and graph ----------------------------------------------------------------------------------------

    @property
    def n_nodes(self) -> int:
        """Number of nodes p."""
        return self.B.shape[0]

    @property
    def adjacency(self) -> FloatArray:
        """Weights as ``W[i, j]``: i → j, the transpose of `B`."""
        return self.B.T

    @property
    def features(self) -> tuple[int, ...]:
        """Positions of all nodes but the target."""
        return tuple(i for i in range(self.n_nodes) if i != self.target)

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

    def parents(self, node: Node) -> tuple[int, ...]:
        """Nodes with a direct effect on `node`."""
        return tuple(np.flatnonzero(self.B[self.node(node)]).tolist())

    def children(self, node: Node) -> tuple[int, ...]:
        """Nodes on which `node` has a direct effect."""
        return tuple(np.flatnonzero(self.B[:, self.node(node)]).tolist())

    def ancestors(self, node: Node) -> tuple[int, ...]:
        """Nodes with a directed path to `node` (without itself, unless it lies on a cycle)."""
        return self._reach(node, self.parents)

    def descendants(self, node: Node) -> tuple[int, ...]:
        """Nodes to which a directed path leads from `node` (without itself, unless it lies on a cycle)."""
        return self._reach(node, self.children)

    def _reach(self, node: Node, step: Any) -> tuple[int, ...]:
        found: set[int] = set()
        todo = list(step(node))
        while todo:
            current = todo.pop()
            if current not in found:
                found.add(current)
                todo.extend(step(current))
        return tuple(sorted(found))

    @cached_property
    def _order(self) -> tuple[int, ...] | CycleError:
        graph = {i: self.parents(i) for i in range(self.n_nodes)}
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            return error

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

    # -- moments ------------------------------------------------------------------------------------------------

    @cached_property
    def M(self) -> FloatArray:
        """The solved form (I - B)^-1, shape (p, p): ``M[i, j]`` is the total effect of noise j on node i."""
        identity = np.eye(self.n_nodes)
        if self.is_acyclic:
            order = np.array(self.topological_order())
            ordered = solve_triangular(
                identity - self.B[np.ix_(order, order)], identity, lower=True, unit_diagonal=True
            )
            solved = np.empty_like(ordered)
            solved[np.ix_(order, order)] = ordered
        else:
            solved = np.linalg.solve(identity - self.B, identity)
        solved.flags.writeable = False
        return solved

    @cached_property
    def _std(self) -> FloatArray:
        return np.array([noise.std for noise in self.noise])

    def mean(self) -> FloatArray:
        """Exact mean, shape (p,)."""
        return self.M @ (self.intercept + np.array([noise.mean for noise in self.noise]))

    def cov(self) -> FloatArray:
        """Exact covariance, shape (p, p)."""
        half = self.M * self._std
        return half @ half.T

    def second_moment(self) -> FloatArray:
        """Exact uncentred second moment E[Z Z'], shape (p, p)."""
        mean = self.mean()
        return self.cov() + np.outer(mean, mean)

    def total_effects(self) -> FloatArray:
        """Sum over directed paths, ``[i, j]`` = total effect of j on i; zero diagonal if acyclic."""
        return self.M - np.eye(self.n_nodes)

    # -- new models ---------------------------------------------------------------------------------------------

    def intervene(self, intervention: Intervention) -> LinearSEM:
        """Apply an intervention; the result is a model with the same nodes.

        Parameters
        ----------
        intervention : Intervention
            One of `Do`, `Shift`, `ScaleNoise`, `SetNoise`, `SetWeights`, or a sum of them.

        Returns
        -------
        LinearSEM

        Raises
        ------
        ValueError
            If two terms set the same thing, or a node is unknown.
        CyclicModelError
            If new weights close a cycle in an acyclic model.

        Warns
        -----
        TargetInterventionWarning
            If the target's own equation changes: no set of features need stay invariant then.
        """
        if not isinstance(intervention, Intervention):
            raise TypeError(f"intervention must be an Intervention such as Do(0, 1.0), got {intervention!r}.")
        sites = {self.node(site) for site in intervention.sites}
        if self.target in sites:
            warnings.warn(
                f"{intervention!r} changes the equation of the target {self.names[self.target]!r}: "
                "no set of features need predict it invariantly across such environments.",
                TargetInterventionWarning,
                stacklevel=2,
            )
        draft = Draft(self, intervention)
        model = LinearSEM(draft.B, noise=draft.noise, intercept=draft.intercept, names=self.names, target=self.target)
        if self.is_acyclic and not model.is_acyclic:
            raise CyclicModelError(
                f"{intervention!r} closes a cycle in an acyclic model; build a cyclic model to allow it."
            )
        return model

    def standardize(self) -> LinearSEM:
        """Rescale every node to variance one, keeping the graph; means shrink with their node.

        Raw random models let variances explode along the causal order, which betrays that order.
        """
        scale = np.sqrt(np.diag(self.cov()))
        if not scale.all():
            node = self.names[int(np.argmin(scale))]
            raise ValueError(f"Node {node!r} has variance 0, so the model cannot be standardised.")
        noise = [replace(each.scale(1.0 / s), mean=each.mean / s) for each, s in zip(self.noise, scale, strict=True)]
        return LinearSEM(
            self.B * scale / scale[:, None],
            noise=noise,
            intercept=self.intercept / scale,
            names=self.names,
            target=self.target,
        )

    # -- samples ------------------------------------------------------------------------------------------------

    def sample(
        self,
        n: int,
        *,
        intervention: Intervention | None = None,
        random_state: RandomState = None,
        as_frame: bool = False,
    ) -> FloatArray | pd.DataFrame:
        """Draw independent rows.

        Parameters
        ----------
        n : int
            Number of rows, >= 0.
        intervention : Intervention, optional
            Sample under this intervention.
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed; the same seed gives the same noise under every intervention that keeps the noise family.
        as_frame : bool, default False
            Return a DataFrame whose columns are the names of the nodes.

        Returns
        -------
        ndarray or DataFrame of shape (n, p)
        """
        if not isinstance(n, numbers.Integral) or isinstance(n, bool) or n < 0:
            raise ValueError(f"n must be a whole number >= 0, got {n!r}.")
        if intervention is not None:
            return self.intervene(intervention).sample(n, random_state=random_state, as_frame=as_frame)
        rows = draw(self.noise, int(n), generator(random_state)) @ (self.M * self._std).T
        rows += self.mean()
        return pd.DataFrame(rows, columns=list(self.names)) if as_frame else rows

    def environments(
        self, interventions: Sequence[Intervention | None], *, labels: Sequence[Any] | None = None
    ) -> EnvironmentSet:
        """Collect the models under several interventions (None: the observational one); needs a target."""
        from causalinv.sem._environments import EnvironmentSet

        return EnvironmentSet(self, interventions, labels=labels)

    def __repr__(self) -> str:
        kind = "acyclic" if self.is_acyclic else "cyclic"
        target = "" if self.target is None else f", target={self.names[self.target]!r}"
        return f"LinearSEM({self.n_nodes} nodes, {np.count_nonzero(self.B)} edges, {kind}{target})"
