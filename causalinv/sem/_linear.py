"""Linear structural equation models, acyclic or cyclic, with exact first and second moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from scipy.linalg import matrix_balance, solve_triangular

from causalinv._parallel import generator
from causalinv._typing import ArrayLike, FloatArray, Node, RandomState
from causalinv._validation import check_finite, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, TargetInterventionWarning
from causalinv.sem._draft import Draft
from causalinv.sem._graph import NamedGraph, varsortability
from causalinv.sem._interventions import Intervention, covariance_root
from causalinv.sem._noise import Gaussian, Noise, as_noises, draw, draw_by_node

if TYPE_CHECKING:
    from causalinv.sem._environments import EnvironmentSet

__all__ = ["LinearSEM", "warn_about_target"]

_ILL_CONDITIONED, _SINGULAR = 1e12, 1e15
_SPARSE_FROM = 150  # nodes: below, one dense product beats a loop over the edges (measured, degree 4)


class LinearSEM(NamedGraph):
    r"""Linear structural equation model :math:`Z = \text{intercept} + B Z + \eta`, independent :math:`\eta_i`.

    Solved, :math:`Z = M(\text{intercept} + \eta)` with :math:`M = (I - B)^{-1}`, so that
    :math:`E Z = M(\text{intercept} + \mu)` and :math:`\operatorname{Cov} Z = M \Omega M'` whatever the law of
    the noise. Cyclic (simultaneous) models are legal when :math:`I - B` is invertible. Hidden common causes make
    :math:`\Omega` a full matrix: they arise from `marginalize`, or are given as `with_noise_cov`. Objects are
    immutable; an intervened model is a model.

    Parameters
    ----------
    B : array-like of shape (p, p), or DataFrame
        ``B[i, j]`` is the effect of node j ON node i (row = child). The diagonal is zero. For a matrix written
        the other way round use `from_adjacency`. A frame names the nodes by its index.
    noise : float, array-like of shape (p,), Noise, or sequence of Noise, default 1.0
        Standard deviations of Gaussian noise (not variances), or noise objects.
    intercept : float or array-like of shape (p,), default 0.0
        Constants of the equations.
    names : sequence of str, optional
        Names of the nodes; ``z0, z1, …`` if left out. Every method takes positions or names.
    target : int or str, optional
        The node that is the outcome of a regression.
    features : sequence of int or str, optional
        The nodes that are its features, in this order; all others in their own order if left out. A node that is
        neither is hidden: simulated, but not part of X.

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
        features: Sequence[Node] | None = None,
    ) -> None:
        if isinstance(B, pd.DataFrame):
            B, names = _from_labelled(B, names)
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
        self.features: tuple[int, ...] = self._check_features(features)
        # Parts of the noise beside each node's own law: independent Gaussian shifts, and common causes
        # (loading (p, k) and the standardised laws of the k causes).
        self.shift_std: FloatArray = np.zeros(p)
        self.common: tuple[FloatArray, tuple[Noise, ...]] = (np.zeros((p, 0)), ())
        self._freeze()
        if not self.is_acyclic:
            self._check_solvable()

    @classmethod
    def from_adjacency(cls, W: ArrayLike, **kwargs: Any) -> LinearSEM:
        """Build from ``W[i, j]`` = weight of the edge i → j, the transpose of `B` (networkx, sempler)."""
        return cls(W.T if isinstance(W, pd.DataFrame) else np.asarray(W, dtype=np.float64).T, **kwargs)

    @classmethod
    def with_noise_cov(cls, B: ArrayLike, noise_cov: ArrayLike, **kwargs: Any) -> LinearSEM:
        """Build with correlated Gaussian noise: bidirected edges, latent confounding.

        Parameters
        ----------
        B : array-like of shape (p, p)
            As in the class.
        noise_cov : array-like of shape (p, p)
            Covariance of the noise; positive semidefinite.
        **kwargs
            `intercept`, `names`, `target`, `features` of the class.

        Returns
        -------
        LinearSEM
        """
        sem = cls(B, noise=0.0, **kwargs)
        cov = np.asarray(noise_cov, dtype=np.float64)
        if cov.shape != sem.B.shape:
            raise ValueError(f"noise_cov must have shape {sem.B.shape}, got {cov.shape}.")
        root = covariance_root(cov, "noise_cov")
        return sem._replace(common=(root, (Gaussian(),) * root.shape[1]))

    def _check_features(self, features: Sequence[Node] | None) -> tuple[int, ...]:
        if features is None:
            return tuple(i for i in range(self.n_nodes) if i != self.target)
        positions = tuple(self.node(node) for node in features)
        if len(set(positions)) < len(positions) or self.target in positions:
            raise ValueError(
                f"features must be different nodes without the target, got {[self.names[i] for i in positions]}."
            )
        return positions

    def _replace(self, **changes: Any) -> Self:
        """Copy with some of the parts changed; everything is validated again."""
        kept = ("B", "noise", "intercept", "names", "target", "features")
        new = type(self)(**{name: changes.get(name, getattr(self, name)) for name in kept})
        new.shift_std = np.array(changes.get("shift_std", self.shift_std), dtype=np.float64)
        loading, laws = changes.get("common", self.common)
        used = np.flatnonzero(np.any(loading, axis=0))
        new.common = loading[:, used], tuple(laws[k] for k in used)
        new._freeze()
        return new

    def _freeze(self) -> None:
        for value in (*vars(self).values(), self.common[0]):
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._freeze()

    def _check_solvable(self) -> None:
        # Balanced first: the units of the nodes say nothing about whether the model can be solved.
        condition = float(np.linalg.cond(matrix_balance(np.eye(self.n_nodes) - self.B, permute=False)[0]))
        if not condition <= _SINGULAR:
            raise ValueError(
                f"The cyclic model has no unique solution: I - B is singular (condition number {condition:.1e}). "
                "Weaken a weight on the cycle; the product of effects around it must not be 1."
            )
        if condition > _ILL_CONDITIONED:
            warn(
                f"I - B is nearly singular (condition number {condition:.1e}); moments lose about "
                f"{np.log10(condition):.0f} digits.",
                DegenerateInputWarning,
            )

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
    def own_std(self) -> FloatArray:
        """Standard deviations of the nodes' own laws, shape (p,)."""
        return _frozen(np.array([noise.std for noise in self.noise]))

    @cached_property
    def constants(self) -> FloatArray:
        """Means of the right-hand sides' exogenous part, intercept plus mean of the noise, shape (p,)."""
        return _frozen(self.intercept + np.array([noise.mean for noise in self.noise]))

    def noise_cov(self) -> FloatArray:
        """Covariance of the noise, shape (p, p); diagonal unless there are hidden common causes."""
        return np.diag(self.own_std**2 + self.shift_std**2) + self.common[0] @ self.common[0].T

    def mean(self) -> FloatArray:
        """Exact mean, shape (p,)."""
        return self.M @ self.constants

    def cov(self) -> FloatArray:
        """Exact covariance, shape (p, p)."""
        half = np.hstack([self.M * np.hypot(self.own_std, self.shift_std), self.M @ self.common[0]])
        return half @ half.T

    def varsortability(self) -> float:
        """Share of directed paths along which the variance rises; 1 betrays the causal order, 0.5 is neutral.

        Source: Reisach, Seiler and Weichwald (2021).
        """
        return varsortability(self.B, np.diag(self.cov()))

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
            One of `Do`, `Shift`, `ShiftTogether`, `ScaleNoise`, `SetNoise`, `SetWeights`, `ScaleWeights`, or a
            sum of them.

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
        return self._intervened(intervention)

    def _intervened(self, intervention: Intervention) -> LinearSEM:
        draft = self.draft(intervention)
        if self.target in {self.node(site) for site in intervention.sites}:
            warn_about_target(self, 1, 1)
        return draft.build()

    def draft(self, intervention: Intervention) -> Draft:
        """What an intervention changes in this model, validated."""
        if not isinstance(intervention, Intervention):
            raise TypeError(f"intervention must be an Intervention such as Do(0, 1.0), got {intervention!r}.")
        return Draft(self, intervention)

    def standardize(self) -> LinearSEM:
        """Rescale every node to variance one, keeping the graph; means shrink with their node.

        Raw random models let variances explode along the causal order, which betrays that order.
        """
        scale = np.sqrt(np.diag(self.cov()))
        if not scale.all():
            node = self.names[int(np.argmin(scale))]
            raise ValueError(f"Node {node!r} has variance 0, so the model cannot be standardised.")
        noise = [replace(each.scale(1.0 / s), mean=each.mean / s) for each, s in zip(self.noise, scale, strict=True)]
        loading, laws = self.common
        return self._replace(
            B=self.B * scale / scale[:, None],
            noise=noise,
            intercept=self.intercept / scale,
            shift_std=self.shift_std / scale,
            common=(loading / scale[:, None], laws),
        )

    def marginalize(self, nodes: Sequence[Node]) -> LinearSEM:
        """Drop nodes, keeping the exact law of the others, also under `Do` and `Shift` on them.

        The dropped nodes' effects become direct edges, their noise common causes: the latent projection, with a full
        noise covariance. What sets or scales the noise or the weights of a child of dropped nodes then acts on all it
        has, the part from the dropped nodes included. Where a cycle runs through dropped nodes, the equation of a node
        on it is divided by one minus the loop's gain, so there a shift is in other units.

        Parameters
        ----------
        nodes : sequence of int or str
            The nodes to drop; not the target, and not all.

        Returns
        -------
        LinearSEM
            On the remaining nodes, in their order.

        Raises
        ------
        ValueError
            If the target or every node would be dropped, or a loop through dropped nodes has gain one.
        """
        from causalinv.sem._latent import marginalize

        return marginalize(self, nodes)

    def observe(
        self,
        A: ArrayLike,
        *,
        noise: ArrayLike | Noise | Sequence[Noise | float] = 0.0,
        names: Sequence[str] | None = None,
    ) -> LinearSEM:
        """See the features only through linear measurements X = A Z + noise.

        Parameters
        ----------
        A : array-like of shape (D, d), or DataFrame
            Mixing of the d features, in their order; any rank, D smaller or larger than d. The columns of a frame name
            the features, and its index the measurements.
        noise : float, array-like of shape (D,), Noise, or sequence of Noise, default 0.0
            Measurement noise, as in the class.
        names : sequence of str, optional
            Names of the measurements; ``obs0, obs1, …`` if left out.

        Returns
        -------
        LinearSEM
            With D more nodes, which are its features; the former features are hidden and can still be intervened on.
        """
        from causalinv.sem._latent import observe

        return observe(self, A, noise, names)

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
            Seed. The nodes' own noise is drawn first, so one seed means the same own noise under interventions that
            keep its family (and, from 150 nodes on, leave a sparse graph sparse).
        as_frame : bool, default False
            Return a DataFrame whose columns are the names of the nodes.

        Returns
        -------
        ndarray or DataFrame of shape (n, p)
        """
        n = check_whole(n, "n", low=0)
        if intervention is not None:
            model = self._intervened(intervention)
            return model.sample(n, random_state=random_state, as_frame=as_frame)
        rng = generator(random_state, "rows")
        shapes = (draw_by_node if self._is_sparse else draw)(self.noise, n, rng)
        shifted = np.flatnonzero(self.shift_std)
        loading, laws = self.common
        extra = None
        if shifted.size or laws:
            extra = draw(laws, n, rng) @ loading.T if laws else np.zeros((n, self.n_nodes))
            extra[:, shifted] += rng.standard_normal((n, shifted.size)) * self.shift_std[shifted]
        rows = (self._solve_by_edges if self._is_sparse else self._solve_by_product)(shapes, extra)
        return pd.DataFrame(rows, columns=list(self.names)) if as_frame else rows

    def _solve_by_product(self, shapes: FloatArray, extra: FloatArray | None) -> FloatArray:
        """Rows (n, p) from standardised draws of the own laws and what comes on top of them."""
        rows = shapes @ (self.M * self.own_std).T
        rows += self.mean()
        if extra is not None:
            rows += extra @ self.M.T
        return rows

    def _solve_by_edges(self, nodes: FloatArray, extra: FloatArray | None) -> FloatArray:
        """The same from draws by node (p, n), in place and in causal order, for the price of the edges."""
        more = None if extra is None else extra.T
        for node, parents, weights in self._equations:
            row = nodes[node]
            row *= self.own_std[node]
            row += self.constants[node]
            if more is not None:
                row += more[node]
            if parents.size:
                row += weights @ nodes[parents]
        return nodes.T

    @cached_property
    def _is_sparse(self) -> bool:
        few = np.count_nonzero(self.B) < self.n_nodes**2 / 20
        return self.is_acyclic and self.n_nodes >= _SPARSE_FROM and bool(few)

    @cached_property
    def _equations(self) -> list[tuple[int, np.ndarray, FloatArray]]:
        """Node, its parents and their weights, in causal order."""
        return [(v, self._parents[v], self.B[v, self._parents[v]]) for v in self.topological_order()]

    def environments(
        self, interventions: Sequence[Intervention | None], *, labels: Sequence[Any] | None = None
    ) -> EnvironmentSet:
        """Collect the models under several interventions (None: the observational one); needs a target."""
        from causalinv.sem._environments import EnvironmentSet

        return EnvironmentSet(self, interventions, labels=labels)

    # -- round trips ------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Everything that defines the model, ready for JSON; the round trip is exact to the bit."""
        from causalinv.sem._io import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LinearSEM:
        """Inverse of `to_dict`."""
        from causalinv.sem._io import from_dict

        return from_dict(values)

    def to_frame(self) -> pd.DataFrame:
        """Edges as a frame with columns ``parent``, ``child``, ``weight``."""
        from causalinv.sem._io import to_frame

        return to_frame(self)

    @classmethod
    def from_frame(cls, edges: pd.DataFrame, **kwargs: Any) -> LinearSEM:
        """Build from a frame with columns ``parent``, ``child``, ``weight``; `names` fixes the order of the nodes."""
        from causalinv.sem._io import from_frame

        return from_frame(edges, **kwargs)

    def to_networkx(self) -> Any:
        """A networkx DiGraph with edge attribute ``weight`` (extra: graph)."""
        from causalinv.sem._io import to_networkx

        return to_networkx(self)

    @classmethod
    def from_networkx(cls, graph: Any, *, weight: str = "weight", **kwargs: Any) -> LinearSEM:
        """Build from a networkx DiGraph whose edges carry a number named `weight`."""
        from causalinv.sem._io import from_networkx

        return from_networkx(graph, weight=weight, **kwargs)

    def __repr__(self) -> str:
        kind = "acyclic" if self.is_acyclic else "cyclic"
        target = "" if self.target is None else f", target={self.names[self.target]!r}"
        return f"LinearSEM({self.n_nodes} nodes, {np.count_nonzero(self.B)} edges, {kind}{target})"


def _frozen(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array


def _from_labelled(B: pd.DataFrame, names: Sequence[str] | None) -> tuple[FloatArray, list[str]]:
    """Weights in the order of the frame's index, which names the nodes."""
    labels = [str(label) for label in B.index]
    frame = B.set_axis(labels, axis=0).set_axis([str(label) for label in B.columns], axis=1)
    if set(frame.columns) != set(labels) or frame.columns.has_duplicates:
        raise ValueError("The index and the columns of B must be the same labels: both name the nodes.")
    if names is not None and list(names) != labels:
        raise ValueError(f"B names its nodes {labels}; leave names out, or pass an array.")
    return frame[labels].to_numpy(dtype=np.float64), labels


def warn_about_target(sem: LinearSEM, n: int, of: int) -> None:
    """Warn that `n` `of` so many interventions change the target's own equation."""
    warn(
        f"{n} of {of} interventions change the equation of the target {sem.names[sem.target or 0]!r}: no set of "
        "features need predict it invariantly across such environments.",
        TargetInterventionWarning,
    )
