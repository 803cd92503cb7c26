"""Environments: one model under many interventions, with exact moments and reproducible samples.

Only what differs from the observational model is stored. Environments whose mechanisms agree share one solved form;
those that change a few rows of B get theirs by the Woodbury identity; the rest are solved in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from causalinv._parallel import streams
from causalinv._typing import FloatArray, Node, RandomState
from causalinv.moments import Moments
from causalinv.sem._interventions import Compose, Intervention
from causalinv.sem._linear import LinearSEM, warn_about_target
from causalinv.sem._noise import Noise, draw

__all__ = ["EnvironmentSet"]

_BATCH_BYTES = 64 * 2**20  # of temporary arrays at a time
_FULL_SHARE = 3 / 4  # of the rows of B: beyond it, solving in full is cheaper than updating (measured, p = 30 to 200)


@dataclass(frozen=True)
class _Mechanism:
    """Environments (positions) that change the same rows of B, and the change of these rows (n, t, p)."""

    rows: tuple[int, ...]
    members: np.ndarray
    change: FloatArray


@dataclass(frozen=True)
class _Tables:
    """What differs between environments: (E, p) arrays where most do, dictionaries by position where few do."""

    constants: FloatArray
    own_std: FloatArray
    shift_var: FloatArray
    share: FloatArray | None  # of the common causes, if the model has any
    laws: dict[int, dict[int, Noise]]  # own laws of another family than the model's
    together: dict[int, FloatArray]  # loadings (p, k) of new common causes
    mechanisms: list[_Mechanism]

    @classmethod
    def observational(cls, sem: LinearSEM, n: int) -> _Tables:
        """Tables of n environments that all equal the model."""
        return cls(
            constants=np.tile(sem.constants, (n, 1)),
            own_std=np.tile(sem.own_std, (n, 1)),
            shift_var=np.tile(sem.shift_std**2, (n, 1)),
            share=np.ones((n, sem.n_nodes)) if sem.common[1] else None,
            laws={},
            together={},
            mechanisms=[_Mechanism((), np.arange(n), np.empty((n, 0, 0)))],
        )

    @classmethod
    def of(cls, sem: LinearSEM, interventions: Sequence[Intervention | None]) -> _Tables:
        """Tables of any interventions, one draft at a time."""
        tables = cls.observational(sem, len(interventions))
        grouped: dict[tuple[int, ...], tuple[list[int], list[FloatArray]]] = {}
        for e, intervention in enumerate(interventions):
            draft = sem.draft(Compose() if intervention is None else intervention)
            rows = tuple(sorted(draft.rows))
            members, changes = grouped.setdefault(rows, ([], []))
            members.append(e)
            changes.append(np.array([draft.rows[r] - sem.B[r] for r in rows]))
            for node in {*draft.intercept, *draft.noise}:
                law = draft.noise.get(node, sem.noise[node])
                tables.constants[e, node] = draft.intercept.get(node, sem.intercept[node]) + law.mean
            for node, law in draft.noise.items():
                tables.own_std[e, node] = law.std
                if law.shape() != sem.noise[node].shape():
                    tables.laws.setdefault(e, {})[node] = law
            for node, std in draft.shift_std.items():
                tables.shift_var[e, node] = std**2
            if tables.share is not None:
                for node, factor in draft.common_scale.items():
                    tables.share[e, node] = factor
            if draft.together:
                tables.together[e] = np.hstack(draft.together)
        mechanisms = [_Mechanism(rows, np.array(at), np.stack(changes)) for rows, (at, changes) in grouped.items()]
        return replace(tables, mechanisms=mechanisms)

    def take(self, at: np.ndarray) -> _Tables:
        """Tables of some environments, in another order."""
        mechanisms = []
        for mechanism in self.mechanisms:
            inside = np.flatnonzero(np.isin(at, mechanism.members))
            if inside.size:
                source = np.searchsorted(mechanism.members, at[inside])
                mechanisms.append(_Mechanism(mechanism.rows, inside, mechanism.change[source]))
        return _Tables(
            constants=self.constants[at],
            own_std=self.own_std[at],
            shift_var=self.shift_var[at],
            share=None if self.share is None else self.share[at],
            laws={k: self.laws[e] for k, e in enumerate(at.tolist()) if e in self.laws},
            together={k: self.together[e] for k, e in enumerate(at.tolist()) if e in self.together},
            mechanisms=mechanisms,
        )


def _pick(environments: EnvironmentSet, at: np.ndarray) -> list[Intervention | None]:
    return [environments.interventions[i] for i in at]


class EnvironmentSet:
    """A model with a target, seen in several environments; made by `LinearSEM.environments` or a family.

    Parameters
    ----------
    sem : LinearSEM
        The observational model; it must name a target.
    interventions : sequence of Intervention or None
        One per environment; None is the observational environment.
    labels : sequence, optional
        Unique labels of the environments; 0, 1, … if left out.
    theta : array-like of shape (E, q), optional
        Parameters from which the interventions were made; kept for reference.

    Attributes
    ----------
    sem : LinearSEM
        The observational model.
    labels : pandas.Index
        Labels, named ``environments``.
    theta : ndarray of shape (E, q) or None

    Raises
    ------
    ValueError
        If the model has no target, there is no environment, or labels are repeated or too few.

    Warns
    -----
    TargetInterventionWarning
        If interventions change the target's own equation.

    Examples
    --------
    >>> from causalinv.sem import LinearSEM, Shift
    >>> sem = LinearSEM([[0, 0], [2, 0]], names=["x", "y"], target="y")
    >>> envs = sem.environments([None, Shift("x", mean=1.0, std=3.0)], labels=["calm", "windy"])
    >>> envs.covs()[:, 0, 0]
    array([ 1., 10.])
    >>> envs.moments()
    Moments(x: 1, y: 1; 2 cells, n=inf)
    """

    def __init__(
        self,
        sem: LinearSEM,
        interventions: Sequence[Intervention | None],
        *,
        labels: Sequence[Any] | pd.Index | None = None,
        theta: FloatArray | None = None,
    ) -> None:
        if isinstance(interventions, Intervention):
            raise TypeError("interventions must be a sequence with one entry per environment, got a single one.")
        chosen = tuple(interventions)
        self._fill(sem, len(chosen), labels, theta)
        self._interventions: tuple[Intervention | None, ...] | Callable[[], Sequence[Intervention | None]] = chosen
        self._tables = _Tables.of(sem, chosen)
        hit = sum(iv is not None and sem.target in {sem.node(v) for v in iv.sites} for iv in chosen)
        if hit:
            warn_about_target(sem, hit, len(chosen))

    def _fill(self, sem: LinearSEM, n: int, labels: Sequence[Any] | pd.Index | None, theta: FloatArray | None) -> None:
        if sem.target is None:
            raise ValueError("The model has no target; build it with LinearSEM(..., target=...) to get X and y.")
        if n == 0:
            raise ValueError("interventions is empty; pass at least one (None is the observational environment).")
        self.sem = sem
        self.labels = pd.Index(range(n) if labels is None else labels, name="environments")
        if len(self.labels) != n or not self.labels.is_unique:
            raise ValueError(f"labels must be {n} different labels, one per environment, got {list(self.labels)}.")
        self.theta = None if theta is None else np.array(theta, dtype=np.float64)
        if self.theta is not None:
            if self.theta.ndim != 2 or len(self.theta) != n:
                raise ValueError(f"theta must have one row for each of {n} environments, got shape {self.theta.shape}.")
            self.theta.flags.writeable = False

    @classmethod
    def from_additions(
        cls,
        sem: LinearSEM,
        mean: FloatArray,
        variance: FloatArray,
        *,
        theta: FloatArray,
        interventions: Callable[[], Sequence[Intervention | None]],
    ) -> EnvironmentSet:
        """Environments that only add means and variances, straight from arrays.

        Parameters
        ----------
        sem : LinearSEM
            The observational model, with a target.
        mean, variance : ndarray of shape (E, p)
            Added to each node's equation, as `Shift` does.
        theta : ndarray of shape (E, q)
            Parameters, kept for reference.
        interventions : callable
            Makes the equivalent interventions when somebody asks for them.

        Returns
        -------
        EnvironmentSet
        """
        new = cls.__new__(cls)
        new._fill(sem, len(mean), None, theta)
        tables = _Tables.observational(sem, len(mean))
        new._tables = replace(tables, constants=tables.constants + mean, shift_var=tables.shift_var + variance)
        new._interventions = interventions
        return new

    @property
    def interventions(self) -> tuple[Intervention | None, ...]:
        """One intervention per environment; None is the observational one."""
        if callable(self._interventions):
            self._interventions = tuple(self._interventions())
        return self._interventions

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"EnvironmentSet({len(self)} environments of {self.sem!r})"

    def __getitem__(self, which: Any) -> EnvironmentSet:
        """Some of the environments: a slice, positions, or a boolean mask; samples are drawn afresh by position."""
        at = np.atleast_1d(np.arange(len(self))[which])
        new = type(self).__new__(type(self))
        new._fill(self.sem, len(at), self.labels[at], None if self.theta is None else self.theta[at])
        new._interventions = partial(_pick, self, at)
        new._tables = self._tables.take(at)
        return new

    def model(self, position: int) -> LinearSEM:
        """The model of one environment."""
        intervention = self.interventions[position]
        return self.sem if intervention is None else self.sem.draft(intervention).build()

    # -- exact moments ----------------------------------------------------------------------------------------------

    def means(self, nodes: Sequence[Node] | None = None) -> FloatArray:
        """Exact means of some nodes (default: all), shape (E, k)."""
        return self._exact(self._at(nodes), np.arange(len(self)))[0]

    def covs(self, nodes: Sequence[Node] | None = None) -> FloatArray:
        """Exact covariances of some nodes (default: all), shape (E, k, k); see `iter_moments` for very many."""
        return self._exact(self._at(nodes), np.arange(len(self)))[1]

    def _at(self, nodes: Sequence[Node] | None) -> np.ndarray:
        return np.array([self.sem.node(node) for node in (range(self.sem.n_nodes) if nodes is None else nodes)])

    def moments(self) -> Moments:
        """Population moments of features ``x`` and target ``y``, one cell of weight one per environment."""
        return self._moments(np.arange(len(self)))

    def iter_moments(self, *, memory_limit: int = 64 * 2**20) -> Iterator[Moments]:
        """`moments` in consecutive pieces whose covariances need at most `memory_limit` bytes each.

        Parameters
        ----------
        memory_limit : int, default 64 MiB
            Bytes for the covariances of one piece, workspace included; at least one environment is always yielded.

        Yields
        ------
        Moments
            Of the next environments, in order.
        """
        size = len(self.sem.features) + 1
        step = max(1, int(memory_limit // (3 * 8 * size**2)))  # a piece, its validated copy, and workspace
        for start in range(0, len(self), step):
            yield self._moments(np.arange(start, min(start + step, len(self))))

    def _moments(self, which: np.ndarray) -> Moments:
        assert self.sem.target is not None
        at = np.array([*self.sem.features, self.sem.target])
        mean, cov = self._exact(at, which)
        names = self.sem.names
        return Moments(
            {"x": [names[i] for i in at[:-1]], "y": [names[at[-1]]]}, mean=mean, scatter=cov, cells=self.labels[which]
        )

    def _exact(self, at: np.ndarray, which: np.ndarray) -> tuple[FloatArray, FloatArray]:
        """Means (n, a) and covariances (n, a, a) of the nodes `at` in the environments `which` (consecutive)."""
        mean = np.empty((len(which), len(at)))
        cov = np.empty((len(which), len(at), len(at)))
        for mechanism in self._tables.mechanisms:
            # `which` is a run of positions and members ascend, so the overlap is a slice.
            inside = slice(*np.searchsorted(mechanism.members, [which[0], which[-1] + 1]))
            members = mechanism.members[inside]
            if not members.size:
                continue
            out = members - which[0]
            if not mechanism.rows:
                M = self.sem.M[at]
                mean[out] = self._tables.constants[members] @ M.T
                cov[out] = self._shared_cov(M, members)
                continue
            change = mechanism.change[inside]
            step = max(1, _BATCH_BYTES // (8 * len(at) * self.sem.n_nodes))
            for start in range(0, len(members), step):
                piece = slice(start, start + step)
                M = self._solved(mechanism.rows, change[piece], at)
                half = M * np.sqrt(self._variance(members[piece]))[:, None, :]
                mean[out[piece]] = (M @ self._tables.constants[members[piece], :, None])[:, :, 0]
                cov[out[piece]] = half @ half.transpose(0, 2, 1)
                self._add_common(cov, out[piece], members[piece], M)
        return mean, cov

    def _variance(self, members: np.ndarray) -> FloatArray:
        """Variances of the noise beside common causes, (n, p)."""
        return self._tables.own_std[members] ** 2 + self._tables.shift_var[members]

    def _shared_cov(self, M: FloatArray, members: np.ndarray) -> FloatArray:
        """Covariances where only the noise differs: a fixed part plus one matrix product for what varies."""
        variance = self._variance(members)
        varies = np.ptp(variance, axis=0) > 0
        fixed = M[:, ~varies] * np.sqrt(variance[0, ~varies])
        moving = M[:, varies]
        a, s = moving.shape
        cov = np.tile(fixed @ fixed.T, (len(members), 1, 1))
        if 8 * a * a * s <= _BATCH_BYTES:
            products = (moving[:, None, :] * moving[None, :, :]).reshape(a * a, s)
            cov += (variance[:, varies] @ products.T).reshape(len(members), a, a)
        else:
            for k, v in enumerate(variance[:, varies]):
                half = moving * np.sqrt(v)
                cov[k] += half @ half.T
        self._add_common(cov, np.arange(len(members)), members, M)
        return cov

    def _add_common(self, cov: FloatArray, out: np.ndarray, members: np.ndarray, M: FloatArray) -> None:
        """Add what common causes, old and new, contribute; `M` is shared (a, p) or one per member (n, a, p)."""
        share, together = self._tables.share, self._tables.together
        if share is None and not together:
            return
        for k, (position, e) in enumerate(zip(out, members, strict=True)):
            parts = [] if share is None else [share[e][:, None] * self.sem.common[0]]
            if e in together:
                parts.append(together[e])
            if parts:
                half = (M if M.ndim == 2 else M[k]) @ np.hstack(parts)
                cov[position] += half @ half.T

    def _solved(self, rows: tuple[int, ...], change: FloatArray, at: np.ndarray) -> FloatArray:
        """Rows `at` of the solved forms (n, a, p) when rows of B change: M + M_T (I - D M_T)^-1 D M."""
        sem, t = self.sem, len(rows)
        if t > _FULL_SHARE * sem.n_nodes:
            system = np.tile(np.eye(sem.n_nodes) - sem.B, (len(change), 1, 1))
            system[:, list(rows)] -= change
            solved = np.linalg.inv(system)[:, at]
        else:
            moved = change @ sem.M  # (n, t, p)
            inner = np.eye(t) - moved[:, :, list(rows)]
            solved = sem.M[at] + sem.M[np.ix_(at, np.array(rows))] @ np.linalg.solve(inner, moved)
        # A node that has lost all its parents is its own noise, exactly: a node set by do must not vary by rounding.
        alone = np.logical_not(np.any(change + sem.B[list(rows)], axis=2)).reshape(-1, t)
        for k, row in enumerate(rows):
            for position in np.flatnonzero(at == row):
                solved[alone[:, k], position] = np.eye(sem.n_nodes)[row]
        return np.asarray(solved, dtype=np.float64)

    # -- samples ----------------------------------------------------------------------------------------------------

    def sample(
        self, n: int | Sequence[int], *, random_state: RandomState = None
    ) -> tuple[FloatArray, FloatArray, np.ndarray]:
        """Draw rows in every environment; adding environments leaves the draws of earlier ones unchanged.

        Parameters
        ----------
        n : int or sequence of int
            Rows per environment.
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed of the independent streams, one per environment.

        Returns
        -------
        X : ndarray of shape (N, d)
            Features, environment by environment.
        y : ndarray of shape (N,)
            Target.
        environments : ndarray of shape (N,)
            Label of each row.

        Raises
        ------
        ValueError
            If `n` does not have one entry per environment, or an entry is not a whole number >= 0.
        """
        sizes = np.array(n if np.ndim(n) else [n] * len(self))
        if sizes.shape != (len(self),):
            raise ValueError(f"n has {sizes.size} entries for {len(self)} environments; give one number or one each.")
        if sizes.dtype.kind not in "iu" or sizes.min() < 0:
            raise ValueError(f"n must hold whole numbers >= 0, got {n!r}.")
        ends = np.cumsum(np.r_[0, sizes])
        assert self.sem.target is not None
        at = np.array([*self.sem.features, self.sem.target])
        X, y = np.empty((ends[-1], len(at) - 1)), np.empty(ends[-1])
        rngs = streams(random_state, len(self), "rows")
        for mechanism in self._tables.mechanisms:
            for k, e in enumerate(mechanism.members):
                M = (
                    self._solved(mechanism.rows, mechanism.change[k : k + 1], at)[0]
                    if mechanism.rows
                    else self.sem.M[at]
                )
                rows = self._draw(e, int(sizes[e]), M, rngs[e])
                X[ends[e] : ends[e + 1]], y[ends[e] : ends[e + 1]] = rows[:, :-1], rows[:, -1]
        return X, y, np.repeat(self.labels.to_numpy(), sizes)

    def _draw(self, e: int, n: int, M: FloatArray, rng: np.random.Generator) -> FloatArray:
        tables = self._tables
        laws = list(self.sem.noise)
        for node, law in tables.laws.get(e, {}).items():
            laws[node] = law
        rows = draw(laws, n, rng) @ (M * tables.own_std[e]).T
        rows += M @ tables.constants[e]
        shifted = np.flatnonzero(tables.shift_var[e])
        if shifted.size:
            rows += rng.standard_normal((n, shifted.size)) @ (M[:, shifted] * np.sqrt(tables.shift_var[e, shifted])).T
        if tables.share is not None:
            loading, causes = self.sem.common
            rows += draw(causes, n, rng) @ (M @ (tables.share[e][:, None] * loading)).T
        if e in tables.together:
            extra = tables.together[e]
            rows += rng.standard_normal((n, extra.shape[1])) @ (M @ extra).T
        return rows
