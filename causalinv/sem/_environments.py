"""Environments: one model under many interventions, with exact moments and reproducible samples.

Only what differs from the observational model is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd

from causalinv._parallel import streams_at
from causalinv._printing import counted
from causalinv._typing import FloatArray, IntArray, Node, RandomState
from causalinv._validation import check_number
from causalinv.moments import Moments
from causalinv.results import Printed, Summary
from causalinv.sem._arguments import environment_labels, parameters, selected, sizes
from causalinv.sem._interventions import Intervention, drafted, warn_about_target
from causalinv.sem._model import Model, check_fits
from causalinv.sem._solver import Solver
from causalinv.sem._tables import Tables

__all__ = ["EnvironmentSet"]

M = TypeVar("M", bound=Model)

_LONGEST = 34  # letters of an intervention in a printed table


def _short(intervention: Intervention | None, model: Model) -> str:
    """Kinds and nodes of an intervention, for a printed table."""
    if intervention is None:
        return "none"
    parts = []
    for term in intervention.terms():
        parts.append(f"{type(term).__name__} {', '.join(model.names[model.node(site)] for site in term.sites)}")
    text = "; ".join(parts)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _pick(environments: EnvironmentSet[Any], at: np.ndarray) -> list[Intervention | None]:
    return [environments.interventions[i] for i in at]


class EnvironmentSet(Printed, Generic[M]):
    """A model with a target, seen in several environments; made by `LinearSEM.environments` or a family.

    Every environment has a random stream of its own, which belongs to its position in the set as it was first built
    and stays with it in every selection: ``envs[3:]`` sampled with a seed equals the rows of these environments in the
    whole set sampled with that seed, and ``envs[:3]`` and ``envs[3:]`` are independent. Two sets that were built apart
    know nothing of each other: environments at the same position share their noise under one seed, so give separately
    built sets different seeds.

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
    positions : ndarray of shape (E,)
        Position of each environment in the set that was first built.
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
        sem: M,
        interventions: Sequence[Intervention | None],
        *,
        labels: Sequence[Any] | pd.Index | None = None,
        theta: FloatArray | None = None,
    ) -> None:
        if isinstance(interventions, Intervention | str) or not np.iterable(interventions):
            raise TypeError(
                f"interventions must be a sequence with one entry per environment, got a single one: {interventions!r}."
            )
        chosen = tuple(interventions)
        odd = next((iv for iv in chosen if not (iv is None or isinstance(iv, Intervention))), None)
        if odd is not None:
            raise TypeError(f"interventions must hold Interventions such as Do(0, 1.0), or None; got {odd!r}.")
        self._fill(sem, len(chosen), labels, theta)
        self._interventions: tuple[Intervention | None, ...] | Callable[[], Sequence[Intervention | None]] = chosen
        self._solver = Solver(sem, Tables.of(sem, chosen))
        hit = sum(iv is not None and sem.target in {sem.node(v) for v in iv.sites} for iv in chosen)
        if hit:
            warn_about_target(sem.names[self._target], hit, len(chosen))

    def _fill(self, sem: M, n: int, labels: Sequence[Any] | pd.Index | None, theta: FloatArray | None) -> None:
        if not isinstance(sem, Model):
            raise TypeError(f"sem must be a LinearSEM, got {sem!r}.")
        if sem.target is None:
            raise ValueError("The model has no target; build it with LinearSEM(..., target=...) to get X and y.")
        if n == 0:
            raise ValueError("interventions is empty; pass at least one (None is the observational environment).")
        self.sem = sem
        self._target = sem.target
        self._at = np.array([*sem.features, sem.target])
        self.positions: IntArray = np.arange(n)
        self.labels = environment_labels(labels, n)
        self.theta = None if theta is None else parameters(theta)
        if self.theta is not None:
            if self.theta.ndim != 2 or len(self.theta) != n:
                raise ValueError(f"theta must have one row for each of {n} environments, got shape {self.theta.shape}.")
            self.theta.flags.writeable = False

    @classmethod
    def from_additions(
        cls,
        sem: M,
        mean: FloatArray,
        variance: FloatArray,
        *,
        theta: FloatArray,
        interventions: Callable[[], Sequence[Intervention | None]],
    ) -> EnvironmentSet[M]:
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
        tables = Tables.observational(sem, len(mean))
        added = replace(tables, constants=tables.constants + mean, shift_var=tables.shift_var + variance)
        new._solver = Solver(sem, added)
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
        return f"EnvironmentSet({counted(len(self), 'environment')} of {self.sem!r})"

    def to_frame(self) -> pd.DataFrame:
        """One row per environment: its intervention, exact mean and standard deviation of the target, and θ."""
        mean, cov = self._exact(self._at[-1:], np.arange(len(self)))
        target = self.sem.names[self._target]
        columns: dict[str, Any] = {
            "intervention": ["none" if iv is None else str(iv) for iv in self.interventions],
            f"mean {target}": mean[:, 0],
            f"sd {target}": np.sqrt(cov[:, 0, 0]),
        }
        if self.theta is not None:
            columns |= {f"theta{k}": column for k, column in enumerate(self.theta.T)}
        return pd.DataFrame(columns, index=self.labels)

    def summary(self) -> Summary:
        """What each environment does to the model, and where it leaves the target."""
        table = self.to_frame().iloc[:, :3]
        table["intervention"] = [_short(iv, self.sem) for iv in self.interventions]
        changed = sum(1 for iv in self.interventions if iv is not None)
        return Summary(
            f"{counted(len(self), 'environment')} of a linear model with {counted(self.sem.n_nodes, 'node')}",
            f"exact mean and standard deviation of the target {self.sem.names[self._target]!r} in each environment",
            "the model is the truth; nothing is estimated",
            table,
            (f"Environments that change the model: {changed} of {len(self)}; others observe it.",),
        )

    def __getitem__(self, which: Any) -> EnvironmentSet[M]:
        """Some of the environments: a slice, positions, or a boolean mask; each keeps its own random stream."""
        at = selected(which, len(self))
        new = type(self).__new__(type(self))
        new._fill(self.sem, len(at), self.labels[at], None if self.theta is None else self.theta[at])
        new.positions = self.positions[at]
        new._interventions = partial(_pick, self, at)
        new._solver = Solver(self.sem, self._solver.tables.take(at))
        return new

    def model(self, position: int) -> M:
        """The model of one environment, given by its position in this set."""
        number = isinstance(position, int | np.integer) and not isinstance(position, bool)
        if not number or not 0 <= position < len(self):
            raise ValueError(
                f"position must be a whole number from 0 to {len(self) - 1}, one of {len(self)} environments; got "
                f"{position!r}."
            )
        return drafted(self.sem, self.interventions[position]).build()

    # -- exact moments ----------------------------------------------------------------------------------------------

    def means(self, nodes: Sequence[Node] | None = None) -> FloatArray:
        """Exact means of some nodes (default: all), shape (E, k)."""
        return self._exact(self._asked(nodes), np.arange(len(self)))[0]

    def covs(self, nodes: Sequence[Node] | None = None) -> FloatArray:
        """Exact covariances of some nodes (default: all), shape (E, k, k); see `iter_moments` for very many."""
        return self._exact(self._asked(nodes), np.arange(len(self)))[1]

    def _asked(self, nodes: Sequence[Node] | None) -> IntArray:
        return np.array(range(self.sem.n_nodes) if nodes is None else self.sem.nodes(nodes, "nodes"), dtype=np.intp)

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
        room = check_number(memory_limit, "memory_limit", low=0.0)
        # Three arrays of a piece's covariances and three of its variances are held at once, and those of the solver.
        step = int(min(max(1.0, room // (4 * 8 * (len(self._at) ** 2 + self.sem.n_nodes))), len(self)))
        for start in range(0, len(self), step):
            yield self._moments(np.arange(start, min(start + step, len(self))), batch=room / 8)

    def _moments(self, which: np.ndarray, *, batch: float | None = None) -> Moments:
        mean, cov = self._exact(self._at, which, batch=batch)
        names = [self.sem.names[i] for i in self._at]
        n = len(which)
        # Every covariance is a sum of squares, so nothing needs to be checked again.
        return Moments.trusted(
            {"x": names[:-1], "y": names[-1:]},
            mean=mean,
            scatter=cov,
            weight=np.ones(n),
            count=np.full(n, np.inf),
            cells=self.labels[which],
        )

    def _exact(self, at: np.ndarray, which: np.ndarray, *, batch: float | None = None) -> tuple[FloatArray, FloatArray]:
        """Means (n, a) and covariances (n, a, a) of the nodes `at` in the environments `which` (consecutive)."""
        mean = np.empty((len(which), len(at)))
        cov = np.empty((len(which), len(at), len(at)))
        with np.errstate(over="ignore", invalid="ignore"):
            self._solver.fill(mean, cov, at, which, batch=batch)
        names = [self.sem.names[i] for i in at]
        check_fits(mean.T, "mean of", names)
        check_fits(cov.transpose(1, 2, 0), "variance of", names)
        return mean, cov

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
        rows_of = sizes(n, len(self))
        ends = np.cumsum(np.r_[0, rows_of])
        at = self._at
        X, y = np.empty((ends[-1], len(at) - 1)), np.empty(ends[-1])
        rngs = streams_at(random_state, self.positions.tolist(), "rows")
        with np.errstate(over="ignore", invalid="ignore"):
            for mechanism in self._solver.tables.mechanisms:
                for k, e in enumerate(mechanism.members):
                    M = (
                        self._solver.form(mechanism.rows, mechanism.change[k : k + 1], at)[0]
                        if mechanism.rows
                        else self.sem.M[at]
                    )
                    rows = self._solver.draw(e, int(rows_of[e]), M, rngs[e])
                    X[ends[e] : ends[e + 1]], y[ends[e] : ends[e + 1]] = rows[:, :-1], rows[:, -1]
        names = [self.sem.names[i] for i in at]
        check_fits(X.T, "sample of", names[:-1])
        check_fits(y[None], "sample of", names[-1:])
        return X, y, np.repeat(self.labels.to_numpy(), rows_of)
