"""The PAC experiment: how often a rule learnt under m interventions breaks under fresh ones, by dimension and by m."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.base import clone

from causalinv._typing import RandomState
from causalinv._validation import check_confidence_level, check_whole
from causalinv.invariance.certificates._method import Numbers
from causalinv.invariance.certificates._registry import METHODS
from causalinv.invariance.certificates._replications import Replications
from causalinv.invariance.certificates._tails import vc_dimension
from causalinv.invariance.rules._gaps import METRICS, Metric, gap_rounding, gaps_beside, represent
from causalinv.invariance.rules._rule import rule_gaps, rule_of
from causalinv.linear_rule import LinearRule
from causalinv.moments import Moments
from causalinv.sem import InterventionFamily, LinearSEM

__all__ = ["PACExperiment"]

MakeSEM = Callable[[int, np.random.Generator], LinearSEM]
MakeFamily = Callable[[LinearSEM, np.random.Generator], InterventionFamily]


def _grid(values: Sequence[int], name: str) -> list[int]:
    grid = [check_whole(value, name, low=1) for value in np.atleast_1d(np.asarray(values, dtype=object))]
    if not grid:
        raise ValueError(f"{name} is empty; pass at least one number.")
    if len(set(grid)) < len(grid):
        raise ValueError(f"{name} must hold different numbers, got {grid}; more replications are n_reps.")
    return grid


def _rounded(told: Any) -> Any:
    """The same with eight digits of every number."""
    return json.loads(json.dumps(told, default=str), parse_float=lambda text: f"{float(text):.8g}")


def _described(learner: Any) -> str:
    """Class and all parameters; functions by name, as their address changes from run to run."""
    given = learner.get_params(deep=True) if hasattr(learner, "get_params") else {}
    kind = type(learner)
    parts = [f"{name}={getattr(value, '__qualname__', None) or repr(value)}" for name, value in sorted(given.items())]
    return f"{kind.__module__}.{kind.__qualname__}({', '.join(parts)})"


class PACExperiment(Replications):
    """Simulate training and fresh interventions and compare true violations with what certificates promise.

    For each dimension d, number of interventions m and replication: draw a model and a family, train each learner on
    the baseline and m interventions, take as tolerance the largest gap that its rule has there, and measure, by exact
    moments, how often fresh interventions exceed it.

    Parameters
    ----------
    make_sem : callable (d, generator) -> LinearSEM
        Model with d features and a target.
    make_family : callable (sem, generator) -> InterventionFamily
    learners : mapping of str to estimator
        Estimators of this room (anything with ``fit_moments`` and a linear rule).
    d : sequence of int
        Numbers of features.
    m : sequence of int
        Numbers of training interventions, the baseline not counted.
    n_reps : int
        Replications of each cell.
    n_per_env : int, optional
        Rows per training environment; left out, training sees exact moments.
    n_fresh : int, default 10000
        Fresh interventions, whose moments are exact.
    metric : str, default "relative_excess"
        As in `invariance_gaps`; a gap that compares with other environments compares with those of training.
    confidence_level : float, default 0.95
        Of the bounds.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed. Each replication of each cell has streams of its own, so shards, workers and the order of work do not
        change a number.

    Notes
    -----
    Rows of `run`, one per replication and learner: ``d``, ``m``, ``rep``, ``learner``, ``n_sites``, ``in_degree``,
    ``size`` (coefficients), ``eps`` (training gap), ``violation`` (true share of fresh interventions above it), the
    bounds ``beta_sites`` and ``vc`` (NaN where not licensed), ``exceeded`` (violation above the smaller of them),
    ``seconds`` of training, ``error`` (text, empty if all went well; a failure is a row with NaN, not an exception).
    Another experiment has other learners or parameters, functions that make other models or families, another seed, or
    another version of this package.

    Examples
    --------
    >>> from causalinv.invariance import InvariantSubsetSelector, PACExperiment
    >>> from causalinv.sem import InterventionFamily, choose_sites, random_sem
    >>> experiment = PACExperiment(
    ...     lambda d, rng: random_sem(d + 1, random_state=rng),
    ...     lambda sem, rng: InterventionFamily(choose_sites(sem, 2, random_state=rng), per_env="single"),
    ...     {"subset": InvariantSubsetSelector(eps=0.05, max_size=2)},
    ...     d=[6], m=[20], n_reps=3, n_fresh=500, random_state=0,
    ... )
    >>> experiment.run()[["violation", "beta_sites"]].round(2).shape
    (3, 2)
    """

    _text = ("learner", "error")
    _whole = ("rep", "n_sites", "in_degree")
    _within = ("learner",)

    def __init__(
        self,
        make_sem: MakeSEM,
        make_family: MakeFamily,
        learners: Mapping[str, Any],
        *,
        d: Sequence[int],
        m: Sequence[int],
        n_reps: int,
        n_per_env: int | None = None,
        n_fresh: int = 10_000,
        metric: Metric = "relative_excess",
        confidence_level: float = 0.95,
        random_state: RandomState = None,
    ) -> None:
        self.make_sem, self.make_family = make_sem, make_family
        if not learners:
            raise ValueError("learners is empty; pass at least one estimator by name.")
        for name in learners:
            if not isinstance(name, str) or not name or set(name) & set("\r\n"):
                raise ValueError(f"learners have names, texts of one line each; got {name!r}.")
        self.learners = dict(learners)
        self.d, self.m = _grid(d, "d"), _grid(m, "m")
        super().__init__({"d": self.d, "m": self.m}, n_reps, random_state, "pac")
        self.n_per_env = None if n_per_env is None else check_whole(n_per_env, "n_per_env", low=2)
        self.n_fresh = check_whole(n_fresh, "n_fresh", low=1)
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}, got {metric!r}.")
        self.metric = metric
        self.confidence_level = check_confidence_level(confidence_level)

    def __repr__(self) -> str:
        return f"PACExperiment({', '.join(self.learners)}; d={self.d}, m={self.m}, n_reps={self.n_reps})"

    def summary(self, table: pd.DataFrame) -> pd.DataFrame:
        """Per learner, d and m: quantiles of the violation, and how often it exceeded the bound.

        {rows_of_runs}
            ``median``, ``q95``, ``bound`` (mean), ``exceeded`` with its exact 95% interval ``from``, ``to``,
            ``failed``.
        """
        rows = []
        for key, group in table.groupby(["learner", "d", "m"], sort=True):
            good = group[group["error"] == ""]
            judged = good["exceeded"].notna()  # NaN where nothing was promised
            hits, n = int(good.loc[judged, "exceeded"].sum()), int(judged.sum())
            interval = binomtest(hits, n).proportion_ci(0.95) if n else (np.nan, np.nan)
            rows.append(
                {
                    **dict(zip(("learner", "d", "m"), key, strict=True)),
                    "median": good["violation"].median(),
                    "q95": good["violation"].quantile(0.95),
                    "bound": good[["beta_sites", "vc"]].min(axis=1).mean(),
                    "exceeded": hits / n if n else np.nan,
                    "from": interval[0],
                    "to": interval[1],
                    "failed": len(group) - len(good),
                }
            )
        return pd.DataFrame(rows).set_index(["learner", "d", "m"])

    def _seed(self, task: tuple[Any, ...]) -> list[int]:
        return list(task)

    def _described(self) -> dict[str, Any]:
        return super()._described() | {
            "learners": {name: _described(learner) for name, learner in self.learners.items()},
            "n_per_env": self.n_per_env,
            "n_fresh": self.n_fresh,
            "metric": self.metric,
            "confidence_level": self.confidence_level,
        }

    def _grown(self) -> dict[str, dict[str, str]]:
        """Functions are known by what they make, for each d: their code may be the same and its closure another."""
        made = {d: self._made(d) for d in self.d}
        return {
            name: {str(d): each[at] for d, each in made.items()} for at, name in enumerate(("make_sem", "make_family"))
        }

    def _made(self, d: int) -> tuple[str, str]:
        """Digests of three models and families that the functions make at this d."""
        models, families = sha256(), sha256()
        for seed in np.random.SeedSequence([*self._base, d]).spawn(3):
            rngs = [np.random.default_rng(each) for each in seed.spawn(3)]
            sem = self.make_sem(d, rngs[0])
            models.update(json.dumps(_rounded(sem.to_dict())).encode())
            family = self.make_family(sem, rngs[1])
            drawn = family.environments(sem, 5, baseline=True, random_state=rngs[2])
            moments = drawn.moments()
            families.update(f"{family.kind} {family.sites} {family.per_env} {family.n_sites}".encode())
            for array in (moments.mean(("x", "y")), moments.cov(("x", "y"))):
                families.update((np.round(array, 8) + 0.0).tobytes())  # another processor may round otherwise
        return models.hexdigest(), families.hexdigest()

    def _whole_replications(self, done: pd.DataFrame) -> np.ndarray:
        return (done.groupby(["d", "m", "rep"])["learner"].transform("size") == len(self.learners)).to_numpy()

    def _replicate(self, task: tuple[Any, ...], seed: np.random.SeedSequence) -> list[dict[str, Any]]:
        d, m, rep = task
        sem_rng, family_rng, train_rng, fresh_rng, row_rng = (np.random.default_rng(s) for s in seed.spawn(5))
        sem = self.make_sem(d, sem_rng)
        family = self.make_family(sem, family_rng)
        environments = family.environments(sem, m, baseline=True, random_state=train_rng)
        exact = environments.moments()
        train = exact
        if self.n_per_env is not None:
            X, y, labels = environments.sample(self.n_per_env, random_state=row_rng)
            train = Moments.from_rows(x=X, y=y, environments=labels)
        fresh = fresh_rng.integers(2**32, size=4).tolist()  # the same interventions for every learner
        weights = family.kind.startswith("weights")
        common = {
            "d": d,
            "m": m,
            "rep": rep,
            "n_sites": family.n_sites,
            "in_degree": family.max_in_degree(sem),
            **self._bounds(family, m, family.max_in_degree(sem) if weights else 1),
        }
        rows = []
        for name in self.learners:
            start = time.perf_counter()
            row = dict(common) | {"learner": name, "size": np.nan, "eps": np.nan, "violation": np.nan}
            row |= {"exceeded": np.nan, "seconds": np.nan, "error": ""}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # in thousands of replications nobody reads them
                    rule = rule_of(clone(self.learners[name]).fit_moments(train))
                row["seconds"] = time.perf_counter() - start
                # The tolerance is the rule's true gap in training, so that what is measured is its persistence.
                eps = float(rule_gaps(rule, exact, self.metric).max())
                violation = self._violation(sem, family, rule, exact, eps=eps, seed=fresh)
                given = [float(row[name]) for name in ("beta_sites", "vc")]
                promised = [each for each in given if not np.isnan(each)]
                exceeded = float(violation > min(promised)) if promised else np.nan
                row |= {"size": float(len(rule.weights) + 1), "eps": eps, "violation": violation, "exceeded": exceeded}
            except Exception as error:
                row["error"] = " ".join(f"{type(error).__name__}: {error}".split())  # one line of a file
            rows.append(row)
        return rows

    def _violation(
        self,
        sem: LinearSEM,
        family: InterventionFamily,
        rule: LinearRule,
        train: Moments,
        *,
        eps: float,
        seed: list[int],
    ) -> float:
        """Share of fresh interventions whose gap is above eps, by exact moments of the representation alone.

        Where a gap compares with other environments, these are those of training.
        """
        reads = bool(np.any(rule.representation))
        observed = sem.observe(rule.representation) if reads else sem
        reference = represent(train, rule.representation if reads else rule.representation[:0])
        weights = rule.weights if reads else rule.weights[:0]
        limit = eps * (1 + 1e-9) + gap_rounding(reference, self.metric)
        above = 0
        fresh = family.environments(observed, self.n_fresh, random_state=np.random.default_rng(seed))
        for part in fresh.iter_moments():
            seen = part if reads else part.select(x=[], y=True)
            above += int(np.sum(gaps_beside(seen, reference, weights, rule.intercept, self.metric) > limit))
        return above / self.n_fresh

    def _bounds(self, family: InterventionFamily, m: int, in_degree: int) -> dict[str, float]:
        given = Numbers(n_sites=family.n_sites)
        if METHODS["vc"].refuses(family.kind) is None:
            given = replace(given, vc_dimension=vc_dimension(family.kind, family.n_sites, max(in_degree, 1)))
        bounds = {}
        for name in ("beta_sites", "vc"):
            method = METHODS[name]
            licensed = method.licensed(self.metric) and method.refuses(family.kind, family.per_env) is None
            bounds[name] = method.bound(1.0 - self.confidence_level, m, given) if licensed else np.nan
        return bounds
