"""Size and power of ICP's test of 0/1 outcomes, beside the same statistic by the chi-squared law.

``python icp_logistic.py [data sets]``. Power: the first coefficient moves by 1 in the last environment.
"""

import sys

import numpy as np
import pandas as pd
from _record import record
from scipy import stats

from causalinv.invariance.subsets._row_tests import logistic_chow_pvalue

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
CELLS = (
    ((8, 20, 300), 3, 0.0),
    ((8, 20, 300), 3, -2.0),
    ((8, 20, 300), 1, 0.0),
    ((30,) * 10, 2, 0.0),
    ((100,) * 3, 2, 0.0),
    ((100,) * 3, 2, -3.0),
    ((20,) * 20, 1, -1.0),
    ((300, 300, 4), 2, 0.0),
    ((300, 300, 60), 2, -3.0),
    ((12,) * 5, 2, 0.0),
)


def draw(rng, sizes, k, constant, moved):
    designs, outcomes = [], []
    for e, n in enumerate(sizes):
        x = rng.normal(size=(n, k)) * (1 + 0.5 * (e % 3)) + 0.5 * (e % 3)
        b = 0.8 * np.array([1.0, -1.0, 0.5])[:k]
        b[0] += moved * (e == len(sizes) - 1)
        designs.append(np.c_[np.ones(n), x])
        outcomes.append((rng.random(n) < 1 / (1 + np.exp(-constant - x @ b))).astype(float))
    return designs, outcomes


def by_chi_squared(designs, outcomes):
    """The score test by dense algebra of its own."""
    X, y = np.concatenate(designs), np.concatenate(outcomes)
    b = np.zeros(X.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-X @ b))
        b = b + np.linalg.solve(X.T @ (X * (p * (1 - p))[:, None]), X.T @ (y - p))
    p, e = 1 / (1 + np.exp(-X @ b)), np.repeat(np.arange(len(designs)), [len(each) for each in designs])
    w = np.sqrt(p * (1 - p))
    wide = np.hstack([X * (e == k)[:, None] for k in range(len(designs))]) * w[:, None]
    statistic = float(np.sum((wide @ np.linalg.lstsq(wide, (y - p) / w, rcond=None)[0]) ** 2))
    return stats.chi2.sf(statistic, np.linalg.matrix_rank(wide) - X.shape[1])


def main():
    table = {}
    for sizes, k, constant in CELLS:
        shares = {}
        for name, moved in (("size", 0.0), ("power", 1.0)):
            rng = np.random.default_rng(11)
            drawn = [draw(rng, sizes, k, constant, moved) for _ in range(RUNS)]
            shares[name] = np.nanmean([logistic_chow_pvalue(*each) <= 0.05 for each in drawn])
            shares[f"{name}, chi-squared"] = np.nanmean([by_chi_squared(*each) <= 0.05 for each in drawn])
        title = "/".join(map(str, sizes)) if len(set(sizes)) > 1 else f"{len(sizes)} x {sizes[0]}"
        table[f"{title}, k = {k}, constant {constant:g}"] = shares
        print(title, k, constant, shares, flush=True)
    frame = pd.DataFrame(table).T.sort_values("size", ascending=False)
    record(
        "icp_logistic", {f"Share rejected at level .05, {RUNS} data sets (s.e. {(0.0475 / RUNS) ** 0.5:.4f})": frame}
    )


if __name__ == "__main__":
    main()
