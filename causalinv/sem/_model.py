"""A linear structural equation model as data, with its exact first and second moments and its samples.

Everything else of this room stands on this module; `LinearSEM` adds what users call on top.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.linalg import matrix_balance, solve_triangular

from causalinv._matrix import covariance_root, varying
from causalinv._parallel import generator
from causalinv._typing import ArrayLike, BoolArray, FloatArray, Node, RandomState
from causalinv._validation import check_flag, check_list, check_numbers, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.sem._graph import NamedGraph, varsortability
from causalinv.sem._noise import Gaussian, Noise, as_noises, draw, draw_by_node

__all__ = ["CommonCauses", "Model", "check_fits"]

_ILL_CONDITIONED, _SINGULAR = 1e12, 1e15
_SPARSE_FROM = 150  # nodes: below, one dense product beats a loop over the edges (measured, degree 4)
_PARTS = ("B", "noise", "intercept", "names", "target", "features", "shift_std", "common")


@dataclass(frozen=True, eq=False)
class CommonCauses:
    """Independent hidden causes that several equations share: correlated noise.

    Parameters
    ----------
    loading : array-like of shape (p, k)
        Effect of each cause, in its standard deviations, on each node.
    laws : sequence of Noise, of length k
        Laws of the causes; only their shapes count, as causes have mean 0 and variance 1.

    Notes
    -----
    A cause that reaches no node is left out.
    """

    loading: FloatArray
    laws: tuple[Noise, ...] = ()

    def __post_init__(self) -> None:
        loading = check_numbers(self.loading, "loading of CommonCauses")
        laws = tuple(check_list(self.laws, "laws of CommonCauses", "Noise objects"))
        if loading.ndim != 2 or loading.shape[1] != len(laws) or not all(isinstance(law, Noise) for law in laws):
            raise ValueError(
                f"loading of CommonCauses must have one column for each of the {len(laws)} laws, which are Noise "
                f"objects; got shape {loading.shape}."
            )
        used = np.flatnonzero(np.any(loading, axis=0))
        object.__setattr__(self, "loading", _frozen(loading[:, used]))
        object.__setattr__(self, "laws", tuple(laws[k] for k in used))

    @classmethod
    def none(cls, p: int) -> CommonCauses:
        """No common cause of p nodes."""
        return cls(np.zeros((p, 0)))

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[FloatArray, Noise]], p: int) -> CommonCauses:
        """Causes given one by one, each with its loading (p,) and its law."""
        columns, laws = [], []
        for column, law in pairs:
            columns.append(column)
            laws.append(law)
        return cls(np.column_stack(columns) if columns else np.zeros((p, 0)), tuple(laws))

    @classmethod
    def of_cov(cls, cov: FloatArray, name: str) -> CommonCauses:
        """Gaussian causes with this covariance (p, p)."""
        root = covariance_root(cov, name)
        return cls(root, (Gaussian(),) * root.shape[1])

    def pairs(self) -> Iterable[tuple[FloatArray, Noise]]:
        """Loading and law of each cause."""
        return zip(self.loading.T, self.laws, strict=True)

    def map(self, linear: FloatArray) -> CommonCauses:
        """The same causes where their effects go through a matrix (q, p)."""
        return CommonCauses(linear @ self.loading, self.laws)

    def __len__(self) -> int:
        return len(self.laws)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.loading, self.laws)


class Model(NamedGraph):
    r"""What `LinearSEM` is made of: equations :math:`Z = \text{intercept} + B Z + \eta` and the law of :math:`\eta`.

    The noise of a node has up to three independent parts: its own law, a Gaussian shift, its share in common causes.
    Parameters, errors and warnings are those of `LinearSEM`.
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
        shift_std: ArrayLike = 0.0,
        common: CommonCauses | None = None,
    ) -> None:
        if isinstance(B, pd.DataFrame):
            B, names = _from_labelled(B, names)
        weights = check_numbers(B, "B")
        if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not weights.size:
            raise ValueError(f"B must be a square matrix (p, p) with p >= 1, got shape {weights.shape}.")
        p = weights.shape[0]
        if np.diag(weights).any():
            node = int(np.flatnonzero(np.diag(weights))[0])
            raise ValueError(
                f"B has {weights[node, node]:g} on its diagonal at node {node}; a node cannot cause itself "
                "directly. Divide its equation by 1 minus that weight."
            )
        shifts = _per_node(shift_std, "shift_std", p)
        if (shifts < 0).any():
            raise ValueError(f"shift_std must be >= 0, got {shifts.min():g}.")
        causes = CommonCauses.none(p) if common is None else common
        if not isinstance(causes, CommonCauses) or len(causes.loading) != p:
            raise ValueError(f"common must be CommonCauses of {p} nodes, got {common!r}.")
        self.B: FloatArray = _frozen(weights)
        self.noise: tuple[Noise, ...] = as_noises(noise, p)
        self.intercept: FloatArray = _frozen(_per_node(intercept, "intercept", p))
        self.names: tuple[str, ...] = _check_names(names, p)
        self.target: int | None = None if target is None else self.node(target)
        self.features: tuple[int, ...] = self._check_features(features)
        self.shift_std: FloatArray = _frozen(shifts)
        self.common: CommonCauses = causes
        if not self.is_acyclic:
            self._check_solvable()

    def _check_features(self, features: Sequence[Node] | None) -> tuple[int, ...]:
        if features is None:
            return tuple(i for i in range(self.n_nodes) if i != self.target)
        positions = self.nodes(features, "features")
        if len(set(positions)) < len(positions) or self.target in positions:
            raise ValueError(
                f"features must be different nodes without the target, got {[self.names[i] for i in positions]}."
            )
        return positions

    def replace(self, **changes: Any) -> Self:
        """Copy with some parts changed; everything is validated again.

        Parameters
        ----------
        **changes
            Parameters of the class by name, for example ``target="y"``.

        Returns
        -------
        LinearSEM

        Examples
        --------
        >>> from causalinv.sem import textbook_sem
        >>> textbook_sem("chain").replace(target="x2", features=None)
        LinearSEM(3 nodes, 2 edges, acyclic, target='x2')
        """
        unknown = sorted(set(changes) - set(_PARTS))
        if unknown:
            raise TypeError(f"A model has no part {unknown[0]!r}; it has {', '.join(_PARTS)}.")
        return type(self)(**(self._parts() | changes))

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _PARTS}

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._parts())

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
                "The feedback of this model is nearly without solution: I - B is nearly singular (condition number "
                f"{condition:.1e}), so means and variances lose about {np.log10(condition):.0f} of 16 digits. Weaken a "
                "weight on the cycle.",
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
        check_fits(solved, "total effect on", self.names)
        return _frozen(solved)

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
        return np.diag(self.own_std**2 + self.shift_std**2) + self.common.loading @ self.common.loading.T

    def mean(self) -> FloatArray:
        """Exact mean, shape (p,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean = self.M @ self.constants
        check_fits(mean, "mean of", self.names)
        return mean

    def cov(self) -> FloatArray:
        """Exact covariance, shape (p, p)."""
        with np.errstate(over="ignore", invalid="ignore"):
            half = np.hstack([self.M * np.hypot(self.own_std, self.shift_std), self.M @ self.common.loading])
            cov: FloatArray = half @ half.T
        check_fits(cov, "variance of", self.names)
        return cov

    def sources(self) -> tuple[FloatArray, tuple[Noise, ...]]:
        """What every node is made of: loadings (p, k) on independent standardised sources, and their laws."""
        shifted = np.flatnonzero(self.shift_std)
        loading = np.hstack(
            [self.M * self.own_std, self.M[:, shifted] * self.shift_std[shifted], self.M @ self.common.loading]
        )
        return loading, (*self.noise, *(Gaussian(),) * len(shifted), *self.common.laws)

    def varies(self) -> BoolArray:
        """Which nodes vary beyond rounding, shape (p,): a node whose parents cancel out is constant."""
        loading = self.sources()[0]
        # Each entry of M is a sum over parents; its rounding is that of the largest of them.
        terms = np.abs(self.B) @ np.abs(self.M)
        size = np.hypot(terms * self.own_std, terms * self.shift_std).max(axis=1, initial=0.0)
        size = np.maximum(size, (np.abs(self.B) @ np.abs(self.M @ self.common.loading)).max(axis=1, initial=0.0))
        return varying(np.square(np.abs(loading).max(axis=1, initial=0.0)), self.n_nodes * size)

    def varsortability(self) -> float:
        """Share of directed paths along which the variance rises; 1 betrays the causal order, 0.5 is neutral.

        NaN if there is no edge. Source: Reisach, Seiler and Weichwald (2021).
        """
        return varsortability(self.B, np.diag(self.cov()))

    def second_moment(self) -> FloatArray:
        """Exact uncentred second moment E[Z Z'], shape (p, p)."""
        mean = self.mean()
        with np.errstate(over="ignore", invalid="ignore"):
            second: FloatArray = self.cov() + np.outer(mean, mean)
        check_fits(second, "second moment of", self.names)
        return second

    def total_effects(self) -> FloatArray:
        """Sum over directed paths, ``[i, j]`` = total effect of j on i; zero diagonal if acyclic."""
        return self.M - np.eye(self.n_nodes)

    # -- samples ------------------------------------------------------------------------------------------------

    def sample(self, n: int, *, random_state: RandomState = None, as_frame: bool = False) -> FloatArray | pd.DataFrame:
        """Draw independent rows, shape (n, p)."""
        n = check_whole(n, "n", low=0)
        framed = check_flag(as_frame, "as_frame")
        rng = generator(random_state, "rows")
        with np.errstate(over="ignore", invalid="ignore"):
            shapes = (draw_by_node if self._is_sparse else draw)(self.noise, n, rng)
            shifted = np.flatnonzero(self.shift_std)
            loading, laws = self.common.loading, self.common.laws
            extra = None
            if shifted.size or laws:
                extra = draw(laws, n, rng) @ loading.T if laws else np.zeros((n, self.n_nodes))
                extra[:, shifted] += rng.standard_normal((n, shifted.size)) * self.shift_std[shifted]
            rows = (self._solve_by_edges if self._is_sparse else self._solve_by_product)(shapes, extra)
        check_fits(rows.T, "sample of", self.names)
        return pd.DataFrame(rows, columns=list(self.names)) if framed else rows

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

    def __repr__(self) -> str:
        kind = "acyclic" if self.is_acyclic else "cyclic"
        target = "" if self.target is None else f", target={self.names[self.target]!r}"
        return f"LinearSEM({self.n_nodes} nodes, {np.count_nonzero(self.B)} edges, {kind}{target})"


def check_fits(values: FloatArray, what: str, names: Sequence[str]) -> None:
    """Raise if a number about a node (first axis) has overflowed."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # one pass; an overflow of the sum alone only costs the second look
            return
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"The {what} node {names[int(bad[0][0])]!r} is too large for a floating-point number. Choose other units: "
            "smaller weights, intercepts or standard deviations."
        )


def _rebuild(kind: type[Model], parts: dict[str, Any]) -> Model:
    with warnings.catch_warnings():  # what there was to say was said when the model was built
        warnings.simplefilter("ignore", DegenerateInputWarning)
        return kind(**parts)


def _frozen(array: FloatArray) -> FloatArray:
    array.flags.writeable = False
    return array


def _per_node(values: Any, name: str, p: int) -> FloatArray:
    found = check_numbers(values, name)
    if found.shape not in ((), (p,)):
        raise ValueError(f"{name} must be a number or have shape ({p},), got {found.shape}.")
    return np.broadcast_to(found, (p,)).copy()


def _check_names(names: Sequence[str] | None, p: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"z{i}" for i in range(p))
    labels = tuple(check_list(names, "names", f"{p} strings, one per node"))
    if len(labels) != p or not all(isinstance(name, str) for name in labels):
        raise ValueError(f"names must be {p} strings, one per node, got {list(labels)}.")
    if len(set(labels)) != p:
        twice = next(name for name in labels if labels.count(name) > 1)
        raise ValueError(f"names must differ, {twice!r} stands for more than one node.")
    return tuple(str(name) for name in labels)


def _from_labelled(B: pd.DataFrame, names: Sequence[str] | None) -> tuple[FloatArray, list[str]]:
    """Weights in the order of the frame's index, which names the nodes."""
    labels = [str(label) for label in B.index]
    frame = B.set_axis(labels, axis=0).set_axis([str(label) for label in B.columns], axis=1)
    if set(frame.columns) != set(labels) or frame.columns.has_duplicates or frame.index.has_duplicates:
        raise ValueError("The index and the columns of B must be the same labels: both name the nodes.")
    if names is not None and list(names) != labels:
        raise ValueError(f"B names its nodes {labels}; leave names out, or pass an array.")
    return check_numbers(frame[labels], "B"), labels
