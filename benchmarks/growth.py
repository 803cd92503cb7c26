"""How the cost of every estimator grows: exponents in rows, features, environments, queries, beside the expected ones.

``python growth.py [--quick] [WORD ...]``: cases whose name or axis holds a word; quick: an eighth of the sizes.
CPU seconds of this process, minimum of two runs at each size; the exponent is the slope of log seconds on log size
between the last three sizes, where fixed costs matter least. From it, and from the memory that the call itself takes at
its peak at the smallest size, how far ten minutes of one core and 24 GB would reach.
"""

import sys
import time
import tracemalloc
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import (
    FDivergenceBounds,
    HierarchicalConformalRegressor,
    InvariantCausalPrediction,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeRegression,
    IVLikeRegressionCV,
    LinearInvarianceEncoder,
    ManskiBounds,
    Moments,
    QuantileBounds,
    Rep4ExRegressor,
    SensitivityBounds,
    Translation,
)

MINUTES, GIGABYTES = 10, 24
SLACK = 0.2  # an exponent above expectation plus this is printed as off


def rows(n, d=8, environments=3, seed=0):
    rng = np.random.default_rng(seed)
    e = rng.integers(0, environments, n)
    X = rng.normal(size=(n, d)) * (1 + 0.2 * (e % 3))[:, None]
    return X, X[:, 0] - X[:, 1] + rng.normal(size=n), e


def treated(n, d=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * X[:, 0]))).astype(int)
    return X, np.clip(X[:, 0] + t + rng.normal(size=n), -4, 4), t


def acted(n, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, 2))
    Z = A + rng.normal(size=(n, 2))
    return np.c_[Z, Z.sum(axis=1, keepdims=True)] + 0.1 * rng.normal(size=(n, 3)), Z[:, 0] + rng.normal(size=n), A


def fit(make, data):
    """A task from a size to work on data made beforehand."""

    def task(size):
        model, (args, metadata) = make(size), data(size)
        return lambda: model.fit(*args, **metadata)

    return task


def by_environment(n, **how):
    X, y, e = rows(n, **how)
    return (X, y), {"environments": e}


def plain(n, **how):
    X, y, _ = rows(n, **how)
    return (X, y), {}


def by_treatment(n, **how):
    X, y, t = treated(n, **how)
    return (X, y), {"treatment": t}


def by_action(n):
    X, y, A = acted(n)
    return (X, y), {"action": A}


def moments_of(environments):
    X, y, e = rows(40 * environments, environments=environments)
    return lambda: Moments.from_rows(x=X, y=y, environments=e)


def pooled(environments):
    X, y, e = rows(40 * environments, environments=environments)
    m = Moments.from_rows(x=X, y=y, environments=e)
    return lambda: m.merge(m).pool()


def average(model, **question):
    def task(n):
        (args, metadata) = by_treatment(n)
        return lambda: model().fit(*args, **metadata).average_bounds("ate", **question)

    return task


def queries(model, **question):
    def task(m):
        (args, metadata) = by_treatment(2_000)
        fitted = model().fit(*args, **metadata)
        new = treated(m, seed=1)[0]
        return lambda: fitted.predict_bounds(new, arm=1, **question)

    return task


def predict_do(m):
    args, metadata = by_action(2_000)
    fitted = Rep4ExRegressor(random_state=0).fit(*args, **metadata)
    new = np.random.default_rng(1).normal(size=(m, 2))
    return lambda: fitted.predict_do(new)


N, MANY = [100_000, 200_000, 400_000, 800_000], [1_000, 2_000, 4_000, 8_000]
SUPPORT = {"outcome_support": (-4.0, 4.0), "random_state": 0}


def translation(d):
    return Translation(np.eye(1, d))


def covariance(n):
    (X, y), _ = plain(n)
    return IVLikeRegression(0.1, augmentation=translation(8)).fit(X, y).covariance


CASES = [
    ("IVLikeRegression", "rows", N, fit(lambda n: IVLikeRegression(0.1, augmentation=translation(8)), plain), 1),
    ("IVLikeRegression, covariance", "rows", N, covariance, 1),
    ("IVLikeRegressionCV", "rows", N, fit(lambda n: IVLikeRegressionCV(augmentation=translation(8)), plain), 1),
    ("InvariantSubsetSelector", "rows", N, fit(lambda n: InvariantSubsetSelector(eps=0.5), by_environment), 1),
    (
        "InvariantCausalPrediction",
        "rows",
        [4_000, 8_000, 16_000, 32_000],
        fit(lambda n: InvariantCausalPrediction(), by_environment),
        1,
    ),
    (
        "InvariantRepresentation",
        "rows",
        N,
        fit(lambda n: InvariantRepresentation(), by_environment),
        1,
    ),
    ("HierarchicalConformalRegressor", "rows", N, fit(lambda n: HierarchicalConformalRegressor(), by_environment), 1),
    (
        "LinearInvarianceEncoder",
        "rows",
        [1_000, 2_000, 4_000, 8_000],
        fit(lambda n: LinearInvarianceEncoder(random_state=0), by_action),
        1,
    ),
    (
        "Rep4ExRegressor",
        "rows",
        [1_000, 2_000, 4_000, 8_000],
        fit(lambda n: Rep4ExRegressor(random_state=0), by_action),
        1,
    ),
    ("ManskiBounds, ate", "rows", [2_000, 4_000, 8_000, 16_000], average(lambda: ManskiBounds(**SUPPORT)), 1.1),
    (
        "FDivergenceBounds, ate",
        "rows",
        [2_000, 4_000, 8_000, 16_000],
        average(lambda: FDivergenceBounds(**SUPPORT)),
        1.1,
    ),
    (
        "SensitivityBounds, ate",
        "rows",
        [2_000, 4_000, 8_000, 16_000],
        average(lambda: SensitivityBounds(random_state=0), odds_ratio=2.0),
        1.1,
    ),
    (
        "SensitivityBounds, kernel law",
        "rows",
        [2_000, 4_000, 8_000, 16_000],
        average(lambda: SensitivityBounds(law="kernel", random_state=0), odds_ratio=2.0),
        1.2,
    ),
    (
        "SensitivityBounds, knn law",
        "rows",
        [2_000, 4_000, 8_000, 16_000],
        average(lambda: SensitivityBounds(law="knn", random_state=0), odds_ratio=2.0),
        1.2,
    ),
    ("Moments.from_rows", "environments", MANY, moments_of, 1),
    ("Moments.merge and pool", "environments", MANY, pooled, 1),
    (
        "InvariantSubsetSelector",
        "environments",
        MANY,
        fit(lambda e: InvariantSubsetSelector(eps=0.5), lambda e: by_environment(40 * e, environments=e)),
        1,
    ),
    (
        "InvariantRepresentation",
        "environments",
        MANY,
        fit(lambda e: InvariantRepresentation(), lambda e: by_environment(40 * e, environments=e)),
        1,
    ),
    (
        "IVLikeRegression",
        "features",
        [50, 100, 200, 400],
        fit(lambda d: IVLikeRegression(0.1, augmentation=translation(d)), lambda d: plain(4_000, d=d)),
        2.5,
    ),
    (
        "InvariantRepresentation",
        "features",
        [25, 50, 100, 200],
        fit(lambda d: InvariantRepresentation(), lambda d: by_environment(4_000, d=d)),
        3,
    ),
    (
        "InvariantSubsetSelector, greedy",
        "features",
        [10, 20, 40],
        fit(
            lambda d: InvariantSubsetSelector(eps=0.5, search="greedy", max_size=3),
            lambda d: by_environment(4_000, d=d),
        ),
        2,
    ),
    (
        "SensitivityBounds.predict_bounds",
        "queries",
        [500, 1_000, 2_000, 4_000],
        queries(lambda: SensitivityBounds(random_state=0), odds_ratio=2.0),
        1,
    ),
    (
        "FDivergenceBounds.predict_bounds",
        "queries",
        [500, 1_000, 2_000, 4_000],
        queries(lambda: FDivergenceBounds(**SUPPORT)),
        1,
    ),
    (
        "QuantileBounds.predict_bounds",
        "queries",
        [500, 1_000, 2_000, 4_000],
        queries(lambda: QuantileBounds(random_state=0)),
        1,
    ),
    ("Rep4ExRegressor.predict_do", "queries", [10_000, 20_000, 40_000, 80_000], predict_do, 1),
]


def measure(task, sizes):
    """CPU seconds at each size, minimum of two, and peak bytes per unit of size at the smallest."""
    spent = []
    for size in sizes:
        work = task(size)
        times = []
        for _ in range(2):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        spent.append(min(times))
    work = task(sizes[0])
    tracemalloc.start()
    work()
    memory = tracemalloc.get_traced_memory()[1] / sizes[0]
    tracemalloc.stop()
    return spent, memory


def reach(axis, size, seconds, slope, memory):
    """How far ten minutes of one core go, and whether memory ends it before; features meet other walls."""
    if axis == "features":
        return "", ""
    by_time = size * (60 * MINUTES / seconds) ** (1 / max(slope, 0.5))
    by_memory = GIGABYTES * 1e9 / max(memory, 1.0)
    return f"{min(by_time, by_memory):.0e}", "time" if by_time <= by_memory else "memory"


def main(quick, words):
    warnings.simplefilter("ignore")
    table = []
    for name, axis, sizes, task, expected in CASES:
        if words and not any(word in name or word == axis for word in words):
            continue
        asked = [max(size // (1 if axis == "features" else 8), 2) for size in sizes] if quick else sizes
        spent, memory = measure(task, asked)
        slope = np.polyfit(np.log(asked[-3:]), np.log(np.maximum(spent[-3:], 1e-6)), 1)[0]
        off = "OFF" if slope > expected + SLACK else ""
        far = reach(axis, asked[-1], spent[-1], slope, memory)
        table.append([name, axis, asked[-1], spent[-1], slope, expected, off, memory, *far])
        print(*table[-1], flush=True)
    columns = [
        "estimator",
        "in",
        "largest",
        "CPU s there",
        "exponent",
        "expected",
        "",
        "bytes a unit",
        "in ten minutes",
        "ended by",
    ]
    found = pd.DataFrame(table, columns=columns)
    found["above"] = found.exponent - found.expected
    return found.sort_values("above", ascending=False).drop(columns="above").reset_index(drop=True)


if __name__ == "__main__":
    asked = [each for each in sys.argv[1:] if each != "--quick"]
    title = f"Exponents in {' and '.join(asked) or 'everything'}, those furthest above expectation first"
    record("growth", {title: main("--quick" in sys.argv, asked)}, keep=True)
