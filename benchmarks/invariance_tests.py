"""Tests of invariance on the true causes, and what Invariant Causal Prediction makes of them: size, power, coverage."""

import time
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import InvariantCausalPrediction, Moments
from causalinv.invariance import SubsetStatistics, chow_pvalues, residual_pvalues, robust_chow_pvalue, sweep

REPLICATIONS = 1000
CELLS = {
    "5 x 8, k=3": ([8] * 5, 3),
    "10 x 15, k=3": ([15] * 10, 3),
    "40 x 12, k=1": ([12] * 40, 1),
    "8/20/300, k=3": ([8, 20, 300], 3),
    "3 x 200, k=3": ([200] * 3, 3),
    "20 x 100, k=3": ([100] * 20, 3),
}
ERRORS = {
    "Gaussian": lambda rng, x: rng.normal(size=len(x)),
    "t5": lambda rng, x: rng.standard_t(5, size=len(x)),
    "exponential": lambda rng, x: rng.exponential(size=len(x)) - 1,
    "lognormal": lambda rng, x: np.exp(rng.normal(size=len(x))) - np.exp(0.5),
    "sd exp(x)": lambda rng, x: np.exp(x) * rng.normal(size=len(x)),
}
TESTS = ("chow", "chow_hc", "residual")


def _pvalues(X, y, e):
    moments = Moments.from_rows(x=X, y=y, environments=e)
    full = SubsetStatistics.concatenate(sweep(moments)).take([2 ** X.shape[1] - 1])
    parts = [e == label for label in np.unique(e)]
    robust = robust_chow_pvalue([np.c_[np.ones(p.sum()), X[p]] for p in parts], [y[p] for p in parts])
    return np.array([chow_pvalues(full, moments.count)[0], robust, residual_pvalues(full, moments.count)[0]])


def sizes():
    rows = {}
    for cell, (counts, k) in CELLS.items():
        e = np.repeat(np.arange(len(counts)), counts)
        moved = (e == e[-1]) if len(counts) <= 3 else e % 2 == 1
        for errors, draw in ERRORS.items():
            rng = np.random.default_rng(0)
            size, power = np.zeros(3), np.zeros((2, 3))
            for _ in range(REPLICATIONS):
                X = rng.normal(size=(len(e), k)) * (1 + 0.3 * (e % 5))[:, None] + 0.5 * (e % 5)[:, None]
                noise = draw(rng, X[:, 0])
                size += _pvalues(X, noise, e) <= 0.05
                if errors == "Gaussian":
                    for at, effect in enumerate((0.5, 1.0)):
                        power[at] += _pvalues(X, noise + effect * X[:, 0] * moved, e) <= 0.05
            rows[cell, errors] = dict(zip(TESTS, size / REPLICATIONS, strict=True))
            if errors == "Gaussian":
                for at, effect in enumerate((0.5, 1.0)):
                    rows[cell, f"power at {effect}"] = dict(zip(TESTS, power[at] / REPLICATIONS, strict=True))
    return pd.DataFrame(rows).T


def icp(environments):
    """Causes x0, x1, effect x2; means of the causes and spreads move; 100 rows in each environment."""
    rows = {}
    for E in environments:
        e = np.repeat(np.arange(E), 100)
        for errors, draw in ERRORS.items():
            rng, counts = np.random.default_rng(1), {test: np.zeros(5) for test in TESTS}
            for _ in range(REPLICATIONS):
                X = rng.normal(size=(len(e), 3)) * (1 + 0.3 * (e % 3))[:, None] + (e % 3)[:, None] * [1.0, -0.5, 0.0]
                y = X[:, 0] - X[:, 1] + draw(rng, X[:, 0] - 1)
                X[:, 2] += 0.5 * y
                for test in TESTS:
                    model = InvariantCausalPrediction(test=test).fit(X, y, environments=e)
                    p = model.sets_.set_index("set").loc[[(0, 1)], "pvalue"].iloc[0]
                    inside = (model.conf_int_[:2, 0] <= [1, -1]) & (model.conf_int_[:2, 1] >= [1, -1])
                    found = model.estimate_ or ()
                    counts[test] += [p <= 0.05, 2 in found, *inside, {0, 1} <= set(found)]
            for test, count in counts.items():
                names = ("truth rejected", "effect named", "x0 covered", "x1 covered", "both causes named")
                rows[f"{E} environments", errors, test] = dict(zip(names, count / REPLICATIONS, strict=True))
    return pd.DataFrame(rows).T


def cost():
    """Seconds of one fit, all subsets, 3 environments of 500 rows."""
    rng, rows = np.random.default_rng(0), {}
    for d in (4, 8, 10):
        X, e = rng.normal(size=(1500, d)), np.arange(1500) % 3
        y = X[:, 0] + rng.normal(size=1500)
        for test in ("chow", "chow_hc"):
            start = time.process_time()
            InvariantCausalPrediction(test=test).fit(X, y, environments=e)
            rows[f"{d} features", test] = {"processor seconds": time.process_time() - start}
    return pd.DataFrame(rows).T


def main():
    warnings.simplefilter("ignore")
    table, answers = sizes(), icp((3, 20))
    se = (0.05 * 0.95 / REPLICATIONS) ** 0.5
    power = table.index.get_level_values(1).str.startswith("power")
    size = table[~power].sort_values("chow_hc", ascending=False)
    record(
        "invariance_tests",
        {
            f"Share of true sets rejected at level .05, largest of the robust test first ({REPLICATIONS} data sets, "
            f"s.e. {se:.3f} at .05)": size,
            "Power: the first coefficient moves in the last of 3, or in every other, environment": table[power],
            "InvariantCausalPrediction, level .05, largest share of wrong names first": answers.sort_values(
                ["effect named", "truth rejected"], ascending=False
            ),
            "Cost of a fit": cost(),
        },
    )


if __name__ == "__main__":
    main()
