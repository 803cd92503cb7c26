"""Size and power of `ols_invariance_test` at level .05, in every design of the audit's table.

`python ivlike_test_size.py [replications]`; y does not depend on the q moved columns (size), or on each of them by an
equal effect for which the exact F test of independent errors has power .9 or so (power). With clusters, rows of one
cluster share a part of X and of the noise; the exact F is then no test, and is shown for rows only.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record
from scipy.stats import f

from causalinv import IVLikeRegression, Translation

# n, d, q, clusters
DESIGNS = [
    (800, 5, 3, None),
    (100, 5, 3, None),
    (50, 5, 3, None),
    (30, 5, 4, None),
    (100, 25, 20, None),
    (200, 60, 50, None),
    (500, 32, 31, None),
    (400, 5, 3, 10),
    (400, 5, 3, 20),
    (400, 5, 3, 50),
    (800, 12, 10, 12),
    (800, 12, 10, 20),
    (800, 12, 10, 40),
    (10, 6, 2, None),
]


def exact_f(X, y, q):
    """P value of the classical F test of the first q columns."""
    n, d = X.shape
    full = np.column_stack([np.ones(n), X])
    rest = np.delete(full, np.arange(1, q + 1), axis=1)
    rss = [float(np.sum((y - part @ np.linalg.lstsq(part, y, rcond=None)[0]) ** 2)) for part in (full, rest)]
    return f.sf((rss[1] - rss[0]) / q / (rss[0] / (n - d - 1)), q, n - d - 1)


def cell(n, d, q, clusters, n_reps):
    """Rejections of noise and of an effect, by our test and by the exact F."""
    still = Translation(np.eye(d)[:q])
    effect = np.sqrt((10.0 + 4.0 * np.sqrt(q)) / (n - d) / q) * (1.0 if clusters is None else 2.0)
    found = {"size": 0, "power": 0, "size exact F": 0, "power exact F": 0}
    for seed in range(n_reps):
        rng = np.random.default_rng(seed)
        X, noise, groups = rng.normal(size=(n, d)), rng.normal(size=n), None
        if clusters is not None:
            groups = np.arange(n) % clusters
            X, noise = X + rng.normal(size=(clusters, d))[groups], noise + rng.normal(size=clusters)[groups]
        for name, y in (("size", noise), ("power", noise + effect * X[:, :q].sum(axis=1))):
            model = IVLikeRegression(0.0, augmentation=still).fit(X, y, groups=groups)
            found[name] += model.ols_invariance_test().pvalue < 0.05
            if clusters is None:
                found[f"{name} exact F"] += exact_f(X, y, q) < 0.05
    row = {key: value / n_reps for key, value in found.items()}
    if clusters is not None:
        row["size exact F"] = row["power exact F"] = np.nan
    return row


def main() -> None:
    """Run all designs and record them."""
    n_reps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    warnings.simplefilter("ignore")
    table = {
        f"n={n} d={d} q={q}" + ("" if clusters is None else f", {clusters} clusters"): cell(n, d, q, clusters, n_reps)
        for n, d, q, clusters in DESIGNS
    }
    frame = pd.DataFrame(table).T.sort_values("size", ascending=False)
    title = f"{n_reps} replications, s.e. of a size of .05 {0.218 / n_reps**0.5:.4f}"
    record("ivlike_test_size", {title: frame})


if __name__ == "__main__":
    main()
