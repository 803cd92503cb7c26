"""Families of interventions: a law over parameters, and what a theory must know about its moments."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np

from causalinv._parallel import generator, streams
from causalinv._typing import FloatArray, Node, RandomState
from causalinv._validation import check_choice, check_flag, check_list, check_number, check_numbers, check_whole
from causalinv.sem._arguments import parameters as parameters_of
from causalinv.sem._environments import EnvironmentSet
from causalinv.sem._interventions import Compose, Do, Intervention, SetWeights, Shift
from causalinv.sem._model import Model
from causalinv.sem._noise import Noise

__all__ = ["InterventionFamily", "choose_sites"]

M = TypeVar("M", bound=Model)

Kind = Literal["variance", "shift", "random_shift", "weights", "weights+variance", "do"]
KINDS = ("variance", "shift", "random_shift", "weights", "weights+variance", "do")


class InterventionFamily:
    r"""Random interventions on fixed sites: the population of environments that a certificate speaks of.

    An environment is a parameter vector θ drawn from `law`. Each kind adds to the model what its parameters say;
    zero changes nothing (except for ``"do"``).

    Parameters
    ----------
    sites : sequence of int or str
        The nodes on which interventions act, in any model that has them.
    kind : {"variance", "shift", "random_shift", "weights", "weights+variance", "do"}
        What a parameter is: added variance (>= 0); added mean; added mean and added variance (per site, in this
        order); change of the weight of each parent of the site; the same and added variance; the constant that the
        site is set to.
    law : Noise, scipy.stats distribution, or callable, optional
        Law of every parameter, independent: a `Noise`, anything with ``rvs(size=, random_state=)``, or
        ``law(rng, size)``. Added variances take absolute values. Left out: Exponential with mean 1 for variances,
        standard normal for the rest.
    per_env : {"all", "single"}, default "all"
        Whether an environment moves all sites, or one site drawn uniformly.

    Attributes
    ----------
    n_sites : int
        Number of sites s.
    is_affine : bool
        Whether the uncentred second moments are affine in θ; only added variances are.

    Raises
    ------
    ValueError
        If sites repeat, or an option is unknown; and, once a model is known, if sites include its target or have no
        parents where weights should change.

    Examples
    --------
    >>> from causalinv.sem import InterventionFamily, random_sem
    >>> sem = random_sem(6, random_state=0)
    >>> family = InterventionFamily(sem.features[:2], kind="variance", per_env="single")
    >>> envs = family.environments(sem, 4, baseline=True, random_state=0)
    >>> envs.theta.shape, (envs.theta > 0).sum(axis=1)
    ((5, 2), array([0, 1, 1, 1, 1]))
    """

    def __init__(
        self,
        sites: Sequence[Node],
        *,
        kind: Kind = "variance",
        law: Noise | Callable[..., Any] | Any = None,
        per_env: Literal["all", "single"] = "all",
    ) -> None:
        check_choice(kind, "kind", KINDS)
        check_choice(per_env, "per_env", ("all", "single"))
        self.sites = tuple(check_list(sites, "sites", "nodes"))
        if any(isinstance(v, bool) or not isinstance(v, str | int | np.integer) for v in self.sites):
            raise TypeError(f"sites are positions (int) or names (str), got {list(self.sites)}.")
        if not self.sites or len(set(self.sites)) < len(self.sites):
            raise ValueError(f"sites must be different nodes, at least one; got {list(self.sites)}.")
        if law is not None and not isinstance(law, Noise) and not hasattr(law, "rvs") and not callable(law):
            raise TypeError(f"law must be a Noise, something with rvs(size=, random_state=), or callable; got {law!r}.")
        self.kind = kind
        self.law = law
        self.per_env = per_env

    def __repr__(self) -> str:
        return f"InterventionFamily({list(self.sites)}, kind={self.kind!r}, per_env={self.per_env!r})"

    # -- structure --------------------------------------------------------------------------------------------------

    @property
    def n_sites(self) -> int:
        """Number of sites s."""
        return len(self.sites)

    @property
    def is_affine(self) -> bool:
        """Whether second moments are affine in θ."""
        return self.kind == "variance"

    def positions(self, sem: Model) -> tuple[int, ...]:
        """Positions of the sites in a model, checked."""
        if not isinstance(sem, Model):
            raise TypeError(f"sem must be a LinearSEM, got {sem!r}.")
        found = tuple(sem.node(site) for site in self.sites)
        if len(set(found)) < len(found):
            raise ValueError(f"sites {list(self.sites)} name the same node twice.")
        if sem.target in found:
            name = sem.names[found[found.index(sem.target)]]
            raise ValueError(f"sites holds the target {name!r}; then no set of features need be invariant.")
        orphans = [sem.names[v] for v in found if not sem.parents(v)]
        if self.kind.startswith("weights") and orphans:
            raise ValueError(f"sites {orphans} have no parents, so kind={self.kind!r} has no weights to change there.")
        return found

    def max_in_degree(self, sem: Model) -> int:
        """Largest number of parents of a site in a model."""
        return max(len(sem.parents(v)) for v in self.positions(sem))

    def parameters(self, sem: Model) -> tuple[tuple[int, str, int | None], ...]:
        """Meaning of each parameter in a model: (site, "variance" | "mean" | "weight" | "value", parent or None)."""
        out: list[tuple[int, str, int | None]] = []
        for v in self.positions(sem):
            if self.kind in ("shift", "random_shift"):
                out.append((v, "mean", None))
            if self.kind.startswith("weights"):
                out += [(v, "weight", parent) for parent in sem.parents(v)]
            if self.kind in ("variance", "random_shift", "weights+variance"):
                out.append((v, "variance", None))
            if self.kind == "do":
                out.append((v, "value", None))
        return tuple(out)

    def n_params(self, sem: Model) -> int:
        """Length q of θ in a model."""
        return len(self.parameters(sem))

    # -- draws ------------------------------------------------------------------------------------------------------

    def draw(self, sem: Model, n: int, *, random_state: RandomState = None) -> FloatArray:
        """Draw parameters, shape (n, q); row i depends on the seed and on i alone.

        Inactive sites have parameter 0, or NaN for ``"do"``.
        """
        check_whole(n, "n", low=0)
        parameters, sites = self.parameters(sem), self.positions(sem)
        site_rng, *rngs = streams(random_state, 3, "theta")
        positive = np.array([what == "variance" for _, what, _ in parameters])
        theta = self._draw_law(n, positive, random_state, rngs)
        theta[:, positive] = np.abs(theta[:, positive])
        if self.per_env == "single":
            chosen = np.array(sites)[site_rng.integers(len(sites), size=n)]
            moved = np.array([v for v, _, _ in parameters]) == chosen[:, None]
            theta = np.where(moved, theta, np.nan if self.kind == "do" else 0.0)
        return theta

    def _draw_law(
        self, n: int, positive: np.ndarray, random_state: RandomState, rngs: list[np.random.Generator]
    ) -> FloatArray:
        """Parameters (n, q); rows are drawn one after the other, so that more of them leave the first as they were."""
        q = len(positive)
        if self.law is None:
            normal, exponential = rngs[0].standard_normal((n, q)), rngs[1].standard_exponential((n, q))
            return np.where(positive, exponential, normal)
        if isinstance(self.law, Noise):
            return self.law.sample((n, q), random_state=rngs[0])
        # A law that we do not know may draw a block in any order: a stream for each row keeps the promise.
        out = np.empty((n, q))
        for row, rng in zip(out, streams(random_state, n, "theta by row"), strict=True):
            values = self.law.rvs(size=q, random_state=rng) if hasattr(self.law, "rvs") else self.law(rng, q)
            drawn = check_numbers(values, f"what law gives (it must give {q} finite numbers)")
            if drawn.shape != (q,):
                raise ValueError(f"law must give {q} finite numbers, got an array of shape {drawn.shape}.")
            row[:] = drawn
        return out

    def interventions(self, sem: Model, theta: FloatArray) -> list[Intervention | None]:
        """Interventions that parameters (n, q) stand for; None where nothing changes."""
        values = np.atleast_2d(parameters_of(theta))
        parameters = self.parameters(sem)
        if values.ndim != 2 or values.shape[1] != len(parameters):
            raise ValueError(f"theta must have {len(parameters)} columns for {self!r}, got {values.shape}.")
        variances = np.array([what == "variance" for _, what, _ in parameters])
        if (values[:, variances] < 0).any():
            raise ValueError(f"theta holds a negative added variance: {values[:, variances].min():g}.")
        if self.kind != "do" and np.isnan(values).any():
            raise ValueError("theta holds NaN; only for kind='do' does NaN say that a site is left alone.")
        return [_intervention(sem, parameters, row) for row in values]

    def environments(
        self, sem: M, n: int, *, baseline: bool = False, random_state: RandomState = None
    ) -> EnvironmentSet[M]:
        """Draw `n` environments, with their parameters; the first k are the same whatever `n` is.

        Parameters
        ----------
        sem : LinearSEM
            The observational model, with a target.
        n : int
            Number of drawn environments.
        baseline : bool, default False
            Put the observational environment (θ = 0) before them.
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed.

        Returns
        -------
        EnvironmentSet
            With ``theta``.
        """
        check_flag(baseline, "baseline")
        theta = self.draw(sem, n, random_state=random_state)
        if n == 0 and not baseline:
            raise ValueError("n is 0 and baseline is False, so there is no environment.")
        if baseline:
            nothing = np.full((1, theta.shape[1]), np.nan if self.kind == "do" else 0.0)
            theta = np.vstack([nothing, theta])
        if self.kind not in ("variance", "shift", "random_shift"):
            return EnvironmentSet(sem, self.interventions(sem, theta), theta=theta)
        # These only add to the equations: no need for an object per environment.
        added = {"mean": np.zeros((len(theta), sem.n_nodes)), "variance": np.zeros((len(theta), sem.n_nodes))}
        for column, (site, what, _) in zip(theta.T, self.parameters(sem), strict=True):
            added[what][:, site] += column
        return EnvironmentSet.from_additions(
            sem, added["mean"], added["variance"], theta=theta, interventions=partial(self.interventions, sem, theta)
        )


def _intervention(
    sem: Model, parameters: Sequence[tuple[int, str, int | None]], row: FloatArray
) -> Intervention | None:
    """What one parameter vector stands for."""
    parts: list[Intervention] = []
    weights: dict[int, dict[Hashable, float]] = {}
    for (site, what, parent), value in zip(parameters, row.tolist(), strict=True):
        if (value == 0.0 and what != "value") or np.isnan(value):
            continue
        if what == "weight":
            weights.setdefault(site, {})[parent] = float(sem.B[site, parent]) + value
        elif what == "value":
            parts.append(Do(site, value))
        else:
            parts.append(Shift(site, mean=value) if what == "mean" else Shift(site, std=float(np.sqrt(value))))
    parts += [SetWeights(site, changed) for site, changed in weights.items()]
    if len(parts) <= 1:
        return parts[0] if parts else None
    return Compose(tuple(parts))


def choose_sites(
    sem: Model,
    n: int,
    *,
    where: Literal["any", "markov_blanket", "ancestors", "descendants"] = "any",
    max_in_degree: int | None = None,
    random_state: RandomState = None,
) -> tuple[int, ...]:
    """Choose sites for interventions at random, never the target.

    Parameters
    ----------
    sem : LinearSEM
        The model, with a target.
    n : int
        Number of sites.
    where : {"any", "markov_blanket", "ancestors", "descendants"}, default "any"
        Which nodes qualify, seen from the target; hidden nodes and measurements are nodes too.
    max_in_degree : int, optional
        Only nodes with at most so many parents qualify.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed.

    Returns
    -------
    tuple of int
        Ascending positions.

    Raises
    ------
    ValueError
        If fewer than `n` nodes qualify, or `where` is unknown.
    """
    if not isinstance(sem, Model):
        raise TypeError(f"sem must be a LinearSEM, got {sem!r}.")
    if sem.target is None:
        raise ValueError("The model has no target; build it with LinearSEM(..., target=...).")
    pools: dict[str, Callable[[], Sequence[int]]] = {
        "any": lambda: range(sem.n_nodes),
        "markov_blanket": lambda: sem.markov_blanket(sem.target),
        "ancestors": lambda: sem.ancestors(sem.target),
        "descendants": lambda: sem.descendants(sem.target),
    }
    check_choice(where, "where", pools)
    check_whole(n, "n", low=1)
    limit = np.inf if max_in_degree is None else check_number(max_in_degree, "max_in_degree", low=0.0)
    pool = [v for v in pools[where]() if v != sem.target and len(sem.parents(v)) <= limit]
    if n > len(pool):
        raise ValueError(f"n must be from 1 to {len(pool)}, the number of nodes that qualify; got {n}.")
    return tuple(sorted(generator(random_state, "sites").choice(pool, size=n, replace=False).tolist()))
