"""Size at 5% of the other tests of a fit to instruments, each under its own null hypothesis.

`python ivlike_other_tests.py [replications]`; instruments valid and strong (first stage R² about one half) except for
the first stage F, where they are irrelevant; the feature is exogenous for Wu and Hausman's test, endogenous for J. One
control, or many. "lines": errors times 0.3 + |z0|; "marked": z0 marks 8% of rows, whose errors are four times as large;
"uneven": clusters of geometric sizes. Clusters share a part of everything.
"""

import sys
import time

import numpy as np
import pandas as pd
from _record import record
from scipy.stats import f as fisher

from causalinv.ivlike._equation import Equation
from causalinv.ivlike._specification import endogeneity, first_stage_f, overidentification
from causalinv.ivlike._weak_identification import robust_ar_pvalue

# n, instruments, clusters, errors, controls
CELLS = [(50, 3, None, "normal"), (50, 3, None, "lines"), (50, 20, None, "normal"), (50, 20, None, "lines")]
CELLS += [(400, 3, None, "lines"), (400, 20, None, "lines"), (240, 3, 12, "normal"), (800, 3, 40, "normal")]
CELLS = [(*cell, 1) for cell in CELLS]
CELLS += [(60, 3, None, "normal", 20), (200, 3, None, "lines", 60), (240, 3, 24, "normal", 20)]
CELLS += [(100, 3, None, "marked", 40), (400, 1, 20, "uneven", 10), (240, 3, 12, "normal", 5)]


def draw(cell, seed, endogenous, strength):
    """An equation with true coefficient 1."""
    n, q, clusters, errors, controls = cell
    rng = np.random.default_rng(seed)
    Z, W, u, v = rng.normal(size=(n, q)), rng.normal(size=(n, controls)), rng.normal(size=n), rng.normal(size=n)
    groups = None
    if errors == "marked":
        Z[:, 0] = rng.permutation(n) < 0.08 * n
    if clusters is not None:
        groups = np.arange(n) % clusters
        if errors == "uneven":
            groups = np.searchsorted(np.cumsum(0.8 ** np.arange(clusters)), (np.arange(n) + 0.5) / n * 4.94)
            groups = np.unique(groups, return_inverse=True)[1]
        clusters = groups.max() + 1
        Z, W = Z + rng.normal(size=(clusters, q))[groups], W + rng.normal(size=(clusters, controls))[groups]
        u, v = u + rng.normal(size=clusters)[groups], v + rng.normal(size=clusters)[groups]
    v = v + endogenous * u
    if errors == "lines":
        u, v = u * (0.3 + np.abs(Z[:, 0])), v * (0.3 + np.abs(Z[:, 0]))
    if errors == "marked":
        u, v = u * (1 + 3 * Z[:, 0]), v * (1 + 3 * Z[:, 0])
    x = strength * Z.sum(axis=1) / np.sqrt(q) + W[:, 0] + v
    return Equation.from_rows(x + W[:, 0] + u, x[:, None], Z, controls=W, clusters=groups)


def cell_row(cell, n_reps):
    """Rejections of every test."""
    n, q, clusters, _, controls = cell
    found = {}

    def count(name, pvalue):
        found.setdefault(name, []).append(pvalue < 0.05)

    for seed in range(n_reps):
        for robust in (True, False):
            if not robust and clusters is not None:
                continue
            kind = "robust" if robust else "classical"
            if q > 1:
                count(f"J {kind}", overidentification(draw(cell, seed, 0.7, 1.0), robust=robust).pvalue)
            if robust:
                count("Anderson-Rubin robust", robust_ar_pvalue(draw(cell, seed, 0.7, 0.0), np.ones(1))[1])
            count(f"Wu-Hausman {kind}", endogeneity(draw(cell, seed, 0.0, 1.0), robust=robust).pvalue)
            first = first_stage_f(draw(cell, seed, 0.7, 0.0), 0)
            law = fisher.sf(first.classical, q, n - q - 1 - controls)
            count(f"first stage F {kind}", first.pvalue if robust else law)
    return {name: float(np.mean(hits)) for name, hits in found.items()}


def main() -> None:
    """Run all cells and record them."""
    n_reps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rows, start = [], time.process_time()
    for cell in CELLS:
        rows.append(
            dict(zip(("n", "instruments", "clusters", "errors", "controls"), cell, strict=True))
            | cell_row(cell, n_reps)
        )
        print(rows[-1], round(time.process_time() - start), flush=True)
    table = pd.DataFrame(rows).set_index(["n", "instruments", "clusters", "errors", "controls"])
    table = table.loc[table.max(axis=1).sort_values(ascending=False).index]
    record("ivlike_other_tests", {f"{n_reps} replications, s.e. of a size of .05 {0.218 / n_reps**0.5:.4f}": table})


if __name__ == "__main__":
    main()
