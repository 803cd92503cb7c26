"""Coverage of 95% intervals with few rows or uneven clusters: the default beside HC1 with G - 1 degrees of freedom.

`python ivlike_small_samples.py [replications]`; alpha=0 along 3 of 5 features, effects 1 and 0 of the other two.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import IVLikeRegression, Translation

STILL = Translation(np.eye(5)[:3])
GEOMETRIC = np.maximum(np.round(100 * 0.75 ** np.arange(20)).astype(int), 1)


def cell(n_reps: int, *, clustered: bool) -> dict[str, float]:
    """Coverage of both effects under both kinds of standard errors."""
    inside = {"auto": np.zeros(2), "HC1": np.zeros(2)}
    for seed in range(n_reps):
        rng = np.random.default_rng(seed)
        n, groups = (int(GEOMETRIC.sum()), np.repeat(np.arange(20), GEOMETRIC)) if clustered else (20, None)
        X, noise = rng.normal(size=(n, 5)), rng.normal(size=n)
        if groups is None:
            noise = noise * (0.2 + X[:, 3] ** 2)
        else:
            X, noise = X + rng.normal(size=(20, 5))[groups], noise + rng.normal(size=20)[groups]
        model = IVLikeRegression(0.0, augmentation=STILL).fit(X, X[:, 3] + noise, groups=groups)
        for kind, count in inside.items():
            ends = model.confint(cov_type=kind).to_numpy()[3:]
            inside[kind] = count + ((ends[:, 0] <= [1.0, 0.0]) & (ends[:, 1] >= [1.0, 0.0]))
    return {f"{kind} x{3 + j}": count[j] / n_reps for kind, count in inside.items() for j in range(2)}


def main() -> None:
    """Run both designs and record them."""
    n_reps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    warnings.simplefilter("ignore")
    table = {
        "20 geometric clusters": cell(n_reps, clustered=True),
        "n=20, unequal variances": cell(n_reps, clustered=False),
    }
    record("ivlike_small_samples", {f"coverage, {n_reps} replications": pd.DataFrame(table).T})


if __name__ == "__main__":
    main()
