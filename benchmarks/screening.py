"""Causes that screening keeps, by the number of rows: two rankings in turn, and each of them alone.

``python benchmarks/screening.py [models]``: 200 features, 4 environments, random shifts of 20 sites, 16 places, models
whose Markov blanket has at most 16 members.
"""

import sys

import numpy as np
import pandas as pd
from _record import record

from causalinv import Moments
from causalinv.invariance.subsets import _screen
from causalinv.sem import InterventionFamily, choose_sites, random_sem

MODELS = int(sys.argv[1]) if len(sys.argv) > 1 else 60
D, PLACES = 200, 16
ROWS = (220, 300, 396, 420, 480, 800, 2000)


def strongest(moments):
    """Partial correlations alone."""
    cov, cross = moments.pooled.cov("x")[0], moments.pooled.cov("x", "y")[0, :, 0]
    inverse = np.linalg.inv(cov)
    keep = np.zeros(D, bool)
    keep[np.argsort(-np.abs(inverse @ cross) / np.sqrt(np.diag(inverse)))[:PLACES]] = True
    return keep


def added(moments):
    """What features add alone."""
    cov, cross = moments.pooled.cov("x")[0], moments.pooled.cov("x", "y")[0, :, 0]
    scale = np.sqrt(np.diag(cov))
    keep = np.zeros(D, bool)
    keep[_screen._by_what_they_add(cov / np.outer(scale, scale), cross / scale, scale > 0, PLACES)] = True
    return keep


def main():
    ways = {"in turn": lambda m: _screen.screen(m, PLACES), "partial correlation": strongest, "what they add": added}
    kept = {(n, way): np.zeros(4) for n in ROWS for way in ways}
    used = 0
    for seed in range(MODELS):
        rng = np.random.default_rng(seed)
        sem = random_sem(D + 1, expected_degree=3.0, random_state=rng)
        position = {v: i for i, v in enumerate(sem.features)}
        blanket = [position[v] for v in sem.markov_blanket(sem.target)]
        if len(blanket) > PLACES:
            continue
        used += 1
        causes = [position[v] for v in sem.parents(sem.target)]
        others = sorted(set(blanket) - set(causes))
        family = InterventionFamily(choose_sites(sem, 20, random_state=rng), kind="random_shift")
        environments = family.environments(sem, 4, random_state=rng)
        for n in ROWS:
            X, y, e = environments.sample(n // 4, random_state=seed)
            moments = Moments.from_rows(x=X, y=y, environments=e)
            for way, screen in ways.items():
                inside = screen(moments)
                kept[n, way] += [inside[causes].sum(), len(causes), inside[others].sum(), len(others)]
    names = ["causes kept", "of", "rest of the blanket kept", "of them"]
    table = pd.DataFrame.from_dict(kept, orient="index", columns=names).astype(int)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["rows", "ranking"])
    record("screening", {f"{used} models of {D} features, {PLACES} places": table})


if __name__ == "__main__":
    main()
