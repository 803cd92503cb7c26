"""Coverage of hierarchical conformal intervals where rows are few, discrete or of very unequal number.

``python conformal_edges.py [trials]``. 4 and 8 environments, at the highest level that is finite. Sizes: "unequal" has
40% of environments with one row, others of log normal size up to 400; "by effect" has 1 row where the effect of the
environment is above 1 and 40 elsewhere; "against" 60 where it is above 1 and 1 elsewhere.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record
from conformal import _Line
from sklearn.base import BaseEstimator, RegressorMixin

from causalinv import HierarchicalConformalRegressor

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
SHARE = 0.6


class _Mean(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


SIZES = {
    "unequal": lambda rng, u: np.where(
        rng.random(len(u)) < 0.4, 1, np.clip(np.ceil(np.exp(rng.normal(2, 1.3, len(u)))), 1, 400)
    ),
    "by effect": lambda rng, u: np.where(np.abs(u) > 1, 1, 40),
    "against": lambda rng, u: np.where(np.abs(u) > 1, 60, 1),
}


def draw(rng, m, law, sizes):
    u = {
        "skew": lambda: rng.lognormal(size=m) - 1.6,
        "t1.2": lambda: rng.standard_t(1.2, size=m),
    }.get(law, lambda: rng.normal(size=m))()
    e = np.repeat(np.arange(m), SIZES[sizes](rng, u).astype(int))
    n, effect = len(e), np.clip(u, -3, 3)[e]
    if law == "skew":
        X = rng.exponential(size=(n, 1)) * np.exp(0.5 * effect)[:, None]
        return X, 2 * X[:, 0] + u[e] + rng.exponential(size=n) * np.exp(0.3 * effect), e
    if law == "t1.2":
        X = rng.standard_t(2, size=(n, 1))
        return X, X[:, 0] + u[e] + rng.standard_t(1.5, size=n), e
    X = rng.integers(0, 2, size=(n, 1)).astype(float)
    if law == "0/1":
        return X, (rng.random(n) < 1 / (1 + np.exp(-2 * effect))).astype(float), e
    if law == "counts":
        return X, rng.poisson(np.exp(effect)) - 2.0, e
    return X, np.where(effect > 0, -1.0, 1.0), e  # "signs": one value an environment


def cell(law, sizes, m, method, inner):
    rng, level = np.random.default_rng([m, len(law), len(sizes)]), 0.0
    covered, most, infinite = np.empty(TRIALS), np.empty(TRIALS), 0
    for t in range(TRIALS):
        X, y, e = draw(rng, m + 1, law, sizes)
        old = e < m
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = HierarchicalConformalRegressor(inner(), method=method, random_state=t)
            model.fit(X[old], y[old], environments=e[old])
        level = model.highest_level_
        lower, upper = model.predict_interval(X[~old], level).to_numpy().T
        infinite += np.isinf(upper).any()
        covered[t] = np.mean((lower <= y[~old]) & (y[~old] <= upper))
        if method == "split":
            lower, upper = model.predict_interval(X[~old], level, share=SHARE).to_numpy().T
            most[t] = np.mean((lower <= y[~old]) & (y[~old] <= upper)) >= SHARE - 1e-12
    floor = level if method == "split" else 2 * level - 1
    return {
        "floor": floor,
        "coverage": covered.mean(),
        "s.e.": covered.std() / TRIALS**0.5,
        f"P(share >= {SHARE})": most.mean() if method == "split" else np.nan,
        "infinite": infinite / TRIALS,
    }


def main():
    rows = {}
    for inner in (_Line, _Mean):
        for law in ("skew", "t1.2", "0/1", "counts", "signs"):
            for sizes in SIZES:
                for m in (4, 8):
                    for method in ("split", "leave_one_environment_out"):
                        if (inner is _Mean) == (law in ("skew", "t1.2")):
                            continue
                        key = (law, f"sizes {sizes}", m, method.split("_")[0])
                        rows[key] = cell(law, sizes, m, method, inner)
                        print(*key, rows[key], flush=True)
    table = pd.DataFrame(rows).T.rename_axis(["outcome", "rows", "environments", "method"])
    table = table.loc[(table["coverage"] - table["floor"]).sort_values().index]
    record("conformal_edges", {f"{TRIALS} trials, least coverage above its floor first": table})
    assert (table["coverage"] >= table["floor"] - 3 * table["s.e."]).all()
    share = table.iloc[:, 3].dropna()
    wanted = table.loc[share.index, "floor"]
    assert (share >= wanted - 3.5 * np.sqrt(wanted * (1 - wanted) / TRIALS)).all()


if __name__ == "__main__":
    main()
