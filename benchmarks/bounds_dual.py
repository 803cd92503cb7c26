"""Averages from f-balls with many covariates: errors beside Manski's, and coverage of the population's ends.

Beta outcomes in [0, 1], n = 1000; the propensity depends on one covariate or on five, the outcome on two, the others
are noise. Every data set and divergence is one line of a log: python benchmarks/bounds_dual.py run CELL FIRST LAST LOG;
... table LOG...
"""

from __future__ import annotations

import sys
import warnings
from functools import cache

import numpy as np
import pandas as pd
from _bounds_truth import pointwise
from _record import record
from scipy.special import expit
from scipy.stats import qmc

from causalinv.bounds import FDivergenceBounds, ManskiBounds

NAMES = ["chi2", "kl", "js", "hellinger", "tv"]
CELLS = {f"d = {d}, propensity of {k}": (d, k) for d in (3, 10, 25) for k in (1, 5) if k <= d}
N = 1000


def laws(x, k):
    """Chance of arm 1, and its mean."""
    slope = np.array([1.5, -1.0, 0.8, -0.6, 0.4])[:k] / np.sqrt(1.0 if k == 1 else 2.0)
    return 0.1 + 0.8 * expit(x[:, :k] @ slope), 0.2 + 0.6 * expit(x[:, 0] + 0.5 * x[:, 1])


@cache
def truth(k, name):
    x = qmc.scale(qmc.Sobol(5, scramble=True, rng=0).random(4096), -1.5, 1.5)
    low, high = pointwise(*laws(x, k), name)
    return low.mean(), high.mean()


def run(cell, first, last, log):
    warnings.simplefilter("ignore")
    d, k = CELLS[cell]
    for seed in range(first, last):
        r = np.random.default_rng([25, seed])
        x = r.uniform(-1.5, 1.5, size=(N, d))
        e, mean = laws(x, k)
        t = (r.random(N) < e).astype(int)
        y = np.where(t == 1, r.beta(4 * mean, 4 * (1 - mean)), r.random(N))
        given = {"outcome_support": (0, 1)}
        plain = ManskiBounds(**given).fit(x, y, treatment=t).average_bounds("mean", arm=1)
        model = FDivergenceBounds(divergence=NAMES, aggregation="none", random_state=0, **given)
        model.fit(x, y, treatment=t)
        for name in NAMES:
            alone = model._average(model._contrast({"estimand": "mean", "arm": 1, "control": None, "policy": None}),
                                   model._strengths()[name], 0.95, "parameter")  # fmt: skip
            (low, high) = truth(k, name)
            line = {
                "cell": cell,
                "divergence": name,
                "seed": seed,
                "held at lower end": alone["ci_lower"] <= low,
                "held at upper end": high <= alone["ci_upper"],
                "outward": (low - alone["lower"] + alone["upper"] - high) / 2,
                "s.e. / Manski's": (alone["se_lower"] + alone["se_upper"]) / (plain.se_lower + plain.se_upper),
                "s.e. / Manski's, largest": max(alone["se_lower"] / plain.se_lower, alone["se_upper"] / plain.se_upper),
            }
            with open(log, "a") as file:
                file.write(pd.Series(line).to_json() + "\n")


def table(logs):
    rows = pd.concat([pd.read_json(log, lines=True) for log in logs]).drop_duplicates(["cell", "divergence", "seed"])
    found = []
    for (cell, name), part in rows.groupby(["cell", "divergence"]):
        held = part[["held at lower end", "held at upper end"]].astype(float).mean()
        worst, n = held.min(), len(part)
        found.append(
            {"cell": cell, "divergence": name, "sets": n}
            | held.to_dict()
            | {"worst": worst, "its s.e.": np.sqrt(max(worst * (1 - worst), 1e-4) / n)}
            | part[["outward", "s.e. / Manski's"]].mean().to_dict()
            | {"largest in 95%": part["s.e. / Manski's, largest"].quantile(0.95)}
        )
    every = pd.DataFrame(found).set_index(["cell", "divergence"]).sort_values("worst")
    record("bounds_dual", {"mean of arm 1, n = 1000, nominal .95 at each end, losing cells first": every}, keep=True)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        table(sys.argv[2:])
