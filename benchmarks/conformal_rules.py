"""Widths of intervals for the next environment around an invariant rule, a neutral rule and least squares.

``python benchmarks/conformal_rules.py [trials]``: the hospitals of vignette 4 (dose and marker are measured with noise
of each hospital's own; marker and scan are effects), 50 rows in each of m; one more is asked for.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record
from sklearn.linear_model import LinearRegression

from causalinv import HierarchicalConformalRegressor, InvariantRepresentation, InvariantSubsetSelector
from causalinv.exceptions import CausalInvWarning
from causalinv.sem import InterventionFamily, LinearSEM, Shift

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 300
LEVELS = {12: 0.8, 30: 0.9}
SAME, MOVED = "of the same law", "marker moved by sd 5"
RULES = {
    "invariant subset": InvariantSubsetSelector(),
    "neutral": InvariantRepresentation(),
    "least squares": LinearRegression(),
}


def main():
    warnings.simplefilter("ignore", CausalInvWarning)
    effects = np.zeros((5, 5))
    effects[0, 1], effects[0, 4], effects[1, 4], effects[4, 2], effects[4, 3] = 0.5, 1.0, 1.0, 1.0, 1.0
    sem = LinearSEM.from_adjacency(effects, noise=[1.0, 1.0, 0.3, 1.0, 0.7], target=4)
    family = InterventionFamily([1, 2], per_env="single")
    rows = {}
    for m, level in LEVELS.items():
        found = {(rule, kind): [] for rule in RULES for kind in (SAME, MOVED)}
        for trial in range(TRIALS):
            environments = family.environments(sem, m + 1, random_state=trial)
            X, y, e = environments.sample(50, random_state=trial)
            old = e < m
            far = sem.environments([Shift(2, std=5.0)]).sample(50, random_state=trial)
            asked = {SAME: (X[~old], y[~old]), MOVED: far[:2]}
            for name, rule in RULES.items():
                fitted = HierarchicalConformalRegressor(rule, method="split", random_state=trial)
                fitted.fit(X[old], y[old], environments=e[old])
                for kind, (features, outcome) in asked.items():
                    lower, upper = fitted.predict_interval(features, level).to_numpy().T
                    inside = np.mean((lower <= outcome) & (outcome <= upper))
                    found[name, kind].append((inside, np.median(upper - lower)))
        for (name, kind), each in found.items():
            inside, width = np.array(each).T
            rows[m, kind, name] = {
                "level": level,
                "coverage": inside.mean(),
                "s.e.": inside.std() / np.sqrt(TRIALS),
                "median width": np.median(width),
                "infinite": np.isinf(width).mean(),
            }
    table = pd.DataFrame(rows).T.rename_axis(["environments", "next environment", "rule"]).sort_values("coverage")
    record("conformal_rules", {f"Split intervals, {TRIALS} trials, least coverage first": table})
    same = table.xs(SAME, level="next environment")
    assert (same["coverage"] >= same["level"] - 3 * same["s.e."]).all()


if __name__ == "__main__":
    main()
