"""Simulated environments for invariance: a random model, random interventions, and the truth of both."""

from __future__ import annotations

from typing import Literal

import numpy as np
from sklearn.utils import Bunch

from causalinv._parallel import streams
from causalinv._typing import RandomState
from causalinv._validation import check_whole
from causalinv.sem import InterventionFamily, choose_sites, random_sem

__all__ = ["make_invariance_environments"]


def make_invariance_environments(
    n_per_env: int = 500,
    *,
    n_environments: int = 5,
    n_features: int = 10,
    n_sites: int = 3,
    kind: Literal["variance", "shift", "random_shift", "weights", "weights+variance", "do"] = "variance",
    per_env: Literal["all", "single"] = "all",
    expected_degree: float = 3.0,
    random_state: RandomState = None,
) -> Bunch:
    """Simulate one linear model in several environments, the first one observational.

    Parameters
    ----------
    n_per_env : int, default 500
        Rows per environment.
    n_environments : int, default 5
        Environments, the observational one included; at least 2.
    n_features : int, default 10
        Features; the model has one node more, the target.
    n_sites : int, default 3
        Nodes that interventions act on, never the target.
    kind, per_env
        As in `causalinv.sem.InterventionFamily`.
    expected_degree : float, default 3.0
        As in `causalinv.sem.random_dag`.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed; model, sites, interventions and rows have streams of their own.

    Returns
    -------
    Bunch
        ``X`` (N, d), ``y`` (N,), ``environments`` (N,) labels 0, 1, …; the truth: ``parents`` positions of the
        target's causes in X, ``coef`` (d,) their direct effects, ``moments`` the population's `Moments` per
        environment, ``environment_set``, ``family``, ``sem``; and ``feature_names``.

    Raises
    ------
    ValueError
        If there are fewer than two environments, or an option is out of range.

    Examples
    --------
    >>> data = make_invariance_environments(50, random_state=0)
    >>> data.X.shape, data.moments
    ((250, 10), Moments(x: 10, y: 1; 5 cells, n=inf))
    """
    for name, size, least in (
        ("n_per_env", n_per_env, 0),
        ("n_environments", n_environments, 2),
        ("n_features", n_features, 1),
        ("n_sites", n_sites, 1),
    ):
        check_whole(size, name, low=least)
    InterventionFamily([0], kind=kind, per_env=per_env)  # raises for words that it does not know
    sem_rng, site_rng, family_rng, row_rng = streams(random_state, 4, "environments")
    sem = random_sem(n_features + 1, expected_degree=expected_degree, random_state=sem_rng)
    if kind.startswith("weights"):
        pool = [v for v in sem.features if sem.parents(v)]
        if not 1 <= n_sites <= len(pool):
            raise ValueError(f"n_sites must be from 1 to {len(pool)}, the features that have parents; got {n_sites}.")
        sites = tuple(sorted(site_rng.choice(pool, n_sites, replace=False).tolist()))
    else:
        if n_sites > n_features:
            raise ValueError(f"n_sites must be at most n_features, {n_features}, got {n_sites}.")
        sites = choose_sites(sem, n_sites, random_state=site_rng)
    family = InterventionFamily(sites, kind=kind, per_env=per_env)
    environments = family.environments(sem, n_environments - 1, baseline=True, random_state=family_rng)
    X, y, labels = environments.sample(n_per_env, random_state=row_rng)
    assert sem.target is not None
    direct = sem.B[sem.target, list(sem.features)]
    return Bunch(
        X=X,
        y=y,
        environments=labels,
        parents=np.flatnonzero(direct),
        coef=direct,
        moments=environments.moments(),
        environment_set=environments,
        family=family,
        sem=sem,
        feature_names=[sem.names[v] for v in sem.features],
    )
