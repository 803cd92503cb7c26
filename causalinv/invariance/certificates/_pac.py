"""The PAC experiment: how often a rule learnt under m interventions breaks under fresh ones, by dimension and by m."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.base import clone

from causalinv._parallel import run, streams
from causalinv._progress import Progress
from causalinv._typing import RandomState
from causalinv._validation import check_confidence_level, check_whole
from causalinv.invariance.certificates._method import Numbers
from causalinv.invariance.certificates._pac_files import agree, described, read_shard, rounded, write_whole
from causalinv.invariance.certificates._registry import METHODS
from causalinv.invariance.certificates._tails import vc_dimension
from causalinv.invariance.rules._gaps import METRICS, Metric, invariance_gaps
from causalinv.invariance.rules._rule import rule_gaps, rule_of
from causalinv.linear_rule import LinearRule
from causalinv.moments import Moments
from causalinv.sem import InterventionFamily, LinearSEM

__all__ = ["PACExperiment"]

MakeSEM = Callable[[int, np.random.Generator], LinearSEM]
MakeFamily = Callable[[LinearSEM, np.random.Generator], InterventionFamily]
_EXACT = 1e-12  # a gap below is rounding
_KEYS = ["d", "m", "rep", "learner"]


def _grid(values: Sequence[int], name: str) -> list[int]:
    grid = [check_whole(value, name, low=1) for value in np.atleast_1d(np.asarray(values, dtype=object))]
    if not grid:
        raise ValueError(f"{name} is empty; pass at least one number.")
    return grid


class PACExperiment:
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
        As in `invariance_gaps`.
    confidence_level : float, default 0.95
        Of the bounds.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed. Each replication of each cell has streams of its own, so shards, workers and the order of work do not
        change a number.

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
        self.learners = dict(learners)
        self.d, self.m = _grid(d, "d"), _grid(m, "m")
        self.n_reps = check_whole(n_reps, "n_reps", low=1)
        self.n_per_env = None if n_per_env is None else check_whole(n_per_env, "n_per_env", low=2)
        self.n_fresh = check_whole(n_fresh, "n_fresh", low=1)
        if metric not in METRICS:
            raise ValueError(f"metric must be one of {METRICS}, got {metric!r}.")
        self.metric = metric
        self.confidence_level = check_confidence_level(confidence_level)
        self.random_state = random_state
        self._base = streams(random_state, 1, "pac")[0].integers(2**32, size=4).tolist()

    def __repr__(self) -> str:
        return f"PACExperiment({', '.join(self.learners)}; d={self.d}, m={self.m}, n_reps={self.n_reps})"

    def tasks(self) -> list[tuple[int, int, int]]:
        """All (d, m, rep), in order."""
        return [(d, m, rep) for d in self.d for m in self.m for rep in range(self.n_reps)]

    def run(
        self,
        n_jobs: int | None = None,
        *,
        shard: tuple[int, int] = (0, 1),
        out: str | os.PathLike[str] | None = None,
        verbose: int = 0,
        progress: bool = False,
    ) -> pd.DataFrame:
        """Run the experiment, or a shard of it.

        Parameters
        ----------
        n_jobs : int, optional
            Workers, through joblib; ``joblib.parallel_config("dask")`` takes the same call to a cluster.
        shard : (i, k), default (0, 1)
            Every k-th replication, from the i-th on: one call per machine of a batch cluster.
        out : path, optional
            Folder for ``shard-i-of-k.csv``. What is already there is not run again, so a run that was stopped resumes;
            rows of another experiment there raise: other learners or parameters, functions that make other models or
            families, another seed, or another version of this package.
        verbose : int, default 0
            Passed to joblib.
        progress : bool, default False
            Whether to write replications done, of how many that are left to do, and time left to standard error.

        Returns
        -------
        DataFrame
            One row per replication and learner: ``d``, ``m``, ``rep``, ``learner``, ``n_sites``, ``in_degree``,
            ``size`` (coefficients), ``eps`` (training gap), ``violation`` (true share of fresh interventions above
            it), the bounds ``beta_sites`` and ``vc`` (NaN where not licensed), ``exceeded`` (violation above the
            smaller of them), ``seconds`` of training, ``error`` (text, empty if all went well; a failure is a row
            with NaN, not an exception).
        """
        i, k = (check_whole(part, "shard", low=0) for part in shard)
        if k < 1 or i >= k:
            raise ValueError(f"shard must be (i, k) with 0 <= i < k, got {shard!r}.")
        mine = self.tasks()[i::k]
        path = None if out is None else Path(out) / f"shard-{i}-of-{k}.csv"
        done = pd.DataFrame()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._check_folder(path.parent)
            if path.exists():
                done = self._complete(read_shard(path), path)
        if len(done):  # a smaller grid than before reads only its own
            asked = set(mine)
            done = done[[key in asked for key in zip(done["d"], done["m"], done["rep"], strict=True)]]
        finished = set(zip(*(done[key] for key in ("d", "m", "rep")), strict=True)) if len(done) else set()
        seeds = self._seeds()
        work = [(task, seeds[task]) for task in mine if task not in finished]
        said = Progress("pac", "replications", len(work)) if progress else None

        def keep(rows: list[dict[str, Any]]) -> None:
            if path is not None:  # row by row: a run that is stopped loses only what it was at
                pd.DataFrame(rows).to_csv(path, mode="a", header=not path.exists(), index=False)
            if said:
                said.step()

        try:
            made = run(self._replicate, work, n_jobs=n_jobs, verbose=verbose, each=keep)
        finally:
            if said:
                said.end()
        found = pd.DataFrame([row for rows in made for row in rows])
        table = pd.concat([each for each in (done, found) if len(each)], ignore_index=True)
        return table.sort_values(_KEYS, ignore_index=True)

    @staticmethod
    def collect(out: str | os.PathLike[str]) -> pd.DataFrame:
        """Join the shards of a folder.

        Raises
        ------
        FileNotFoundError
            If there is no shard.
        ValueError
            If shards overlap.
        """
        paths = sorted(Path(out).glob("shard-*-of-*.csv"))
        if not paths:
            raise FileNotFoundError(f"{out} holds no shard-*-of-*.csv; run the experiment with out= first.")
        table = pd.concat(map(read_shard, paths), ignore_index=True)
        if table.duplicated(_KEYS).any():
            raise ValueError(f"Shards in {out} overlap: {', '.join(p.name for p in paths)}; keep one way of cutting.")
        return table.sort_values(_KEYS, ignore_index=True)

    def summary(self, table: pd.DataFrame) -> pd.DataFrame:
        """Per learner, d and m: quantiles of the violation, and how often it exceeded the bound.

        Parameters
        ----------
        table : DataFrame
            From `run` or `collect`.

        Returns
        -------
        DataFrame
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

    def _seeds(self) -> dict[tuple[int, int, int], np.random.SeedSequence]:
        """A seed for each task that depends on (d, m, rep) alone, so that a larger grid keeps earlier results."""
        return {task: np.random.SeedSequence([*self._base, *task]) for task in self.tasks()}

    def _check_folder(self, folder: Path) -> None:
        """Remember what the rows in a folder are of; raise if they are of another experiment."""
        mine: dict[str, Any] = {
            "learners": {name: described(learner) for name, learner in self.learners.items()},
            "n_per_env": self.n_per_env,
            "n_fresh": self.n_fresh,
            "metric": self.metric,
            "confidence_level": self.confidence_level,
            "seed": self._base,
            "version": version("causalinv"),
        }
        # Functions are known by what they make, for each d: their code may be the same and its closure another.
        made = {d: self._made(d) for d in self.d}
        for name, at in (("make_sem", 0), ("make_family", 1)):
            mine[name] = {str(d): each[at] for d, each in made.items()}
        note = folder / "experiment.json"
        held = json.loads(note.read_text()) if note.exists() else {}
        for name in ("make_sem", "make_family"):  # another grid of the same experiment is no other experiment
            mine[name] = held.get(name, {}) | mine[name] if agree(held.get(name, {}), mine[name]) else mine[name]
        grown = ("make_sem", "make_family")
        other = [key for key in mine if key not in grown and held and held.get(key) != mine[key]]
        other += [key for key in grown if held and (key not in held or not agree(held[key], mine[key]))]
        if other:
            raise ValueError(
                f"{folder} holds rows of another experiment (other {', '.join(other)}); use another folder."
            )
        if mine != held:
            write_whole(note, json.dumps(mine, indent=1))

    def _made(self, d: int) -> tuple[str, str]:
        """Digests of three models and families that the functions make at this d."""
        models, families = sha256(), sha256()
        for seed in np.random.SeedSequence([*self._base, d]).spawn(3):
            rngs = [np.random.default_rng(each) for each in seed.spawn(3)]
            sem = self.make_sem(d, rngs[0])
            models.update(json.dumps(rounded(sem.to_dict())).encode())
            family = self.make_family(sem, rngs[1])
            drawn = family.environments(sem, 5, baseline=True, random_state=rngs[2])
            moments = drawn.moments()
            families.update(f"{family.kind} {family.sites} {family.per_env} {family.n_sites}".encode())
            for array in (moments.mean(("x", "y")), moments.cov(("x", "y"))):
                families.update((np.round(array, 8) + 0.0).tobytes())  # another processor may round otherwise
        return models.hexdigest(), families.hexdigest()

    def _complete(self, done: pd.DataFrame, path: Path) -> pd.DataFrame:
        """Rows of finished replications; what was cut off while it was written is taken out of the file."""
        complete = done.groupby(["d", "m", "rep"])["learner"].transform("size") == len(self.learners)
        if not complete.all():
            done = done[complete]
            head, *lines = path.read_text().splitlines(keepends=True)
            path.write_text("".join([head, *(lines[k] for k in np.flatnonzero(complete))]))
        return done

    def _replicate(self, task: tuple[int, int, int], seed: np.random.SeedSequence) -> list[dict[str, Any]]:
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
                violation = self._violation(sem, family, rule, eps, np.random.default_rng(fresh))
                given = [float(row[name]) for name in ("beta_sites", "vc")]  # type: ignore[arg-type]
                promised = [each for each in given if not np.isnan(each)]
                exceeded = float(violation > min(promised)) if promised else np.nan
                row |= {"size": len(rule.weights) + 1, "eps": eps, "violation": violation, "exceeded": exceeded}
            except Exception as error:
                row["error"] = " ".join(f"{type(error).__name__}: {error}".split())  # one line of a file
            rows.append(row)
        return rows

    def _violation(
        self, sem: LinearSEM, family: InterventionFamily, rule: LinearRule, eps: float, rng: np.random.Generator
    ) -> float:
        """Share of fresh interventions whose gap is above eps, by exact moments of the representation alone."""
        chosen = np.flatnonzero(np.any(rule.representation != 0, axis=0))
        observed = sem if not len(chosen) else sem.observe(rule.representation)
        above = 0
        for part in family.environments(observed, self.n_fresh, random_state=rng).iter_moments():
            seen = part if len(chosen) else part.select(x=[], y=True)
            gaps = invariance_gaps(seen, None, rule.weights, rule.intercept, metric=self.metric)
            above += int(np.sum(gaps > eps * (1 + 1e-9) + _EXACT))
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
