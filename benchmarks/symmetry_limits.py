"""Symmetry: how often a lower limit of what is broken is above 0 where nothing is, and above the truth where it is.

``python benchmarks/symmetry_limits.py nothing_broken something_broken``. Limits alone: the tests of a screen are left
out. Tables go to `results/symmetry.md`.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression

import causalinv.symmetry._broken_share as module
from causalinv.symmetry import FrameAveragingRegressor
from causalinv.transformations import EuclideanGroup, PermutationGroup, SignFlip

warnings.simplefilter("ignore")
FLIP, SWAP, TURN = SignFlip([0]), PermutationGroup([[1, 0, 2]]), EuclideanGroup(2, translations=False)


def trees(seed):
    return ExtraTreesRegressor(20, min_samples_leaf=3, random_state=seed)


def linear(seed):
    return LinearRegression()


def even(rng, n, d=2):
    X = rng.normal(size=(n, d))
    return X, X[:, 0] ** 2 + rng.normal(size=n)


def counts(rng, n):
    return rng.choice([-1.0, 1.0], size=(n, 2)), rng.poisson(1.0, n).astype(float)


def heavy(rng, n):
    X = rng.normal(size=(n, 2))
    return X, X[:, 0] ** 2 + rng.standard_t(2, n)


def skewed(rng, n):
    return rng.normal(size=(n, 2)), np.exp(2 * rng.normal(size=n))


def uneven(rng, n):
    """The mean ignores the sign, the noise reads it."""
    X = rng.normal(size=(n, 2))
    return X, X[:, 0] ** 2 + np.where(X[:, 0] > 0, 1.8, 0.2) * rng.normal(size=n)


def pairs(rng, n):
    X = rng.normal(size=(n, 3))
    return X, X[:, 0] * X[:, 1] + rng.normal(size=n)


def segments(rng, n):
    X = rng.normal(size=(n, 4))
    return X, np.hypot(X[:, 0] - X[:, 2], X[:, 1] - X[:, 3]) + 0.3 * rng.normal(size=n)


def held_out(X, y, symmetry, learner, rng):
    """What `SymmetryScreen` gives to `broken_share`."""
    first, second = np.array_split(rng.permutation(len(X)), 2)
    inside = FrameAveragingRegressor(learner, symmetry=symmetry).fit(X[first], y[first]).predict(X[second])
    plain = learner.fit(X[first], y[first])
    return y[second] - inside, module.deviations(plain.predict, X[second], symmetry, None, rng), y[second]


CELLS = {
    "even, trees, n=12": (even, 12, FLIP, trees),
    "even, trees, n=20": (even, 20, FLIP, trees),
    "even, trees, n=40": (even, 40, FLIP, trees),
    "even, trees, n=100": (even, 100, FLIP, trees),
    "even, linear, n=12": (even, 12, FLIP, linear),
    "even, linear, n=30": (even, 30, FLIP, linear),
    "counts of binary features, linear, n=30": (counts, 30, FLIP, linear),
    "t noise, 2 df, linear, n=30": (heavy, 30, FLIP, linear),
    "log-normal noise, linear, n=30": (skewed, 30, FLIP, linear),
    "noise sd 1.8 / 0.2 by sign, linear, n=30": (uneven, 30, FLIP, linear),
    "product of a pair, trees, n=20": (pairs, 20, SWAP, trees),
    "lengths, turns of the plane, trees, n=20": (segments, 20, TURN, trees),
}


def nothing_broken(reps=500):
    """Share of samples with a 95% limit above 0; beside it, without the randomisation test."""
    rows = {}
    test = module._pvalue
    for name, (make, n, symmetry, learner) in CELLS.items():
        found = []
        for seed in range(reps):
            rng = np.random.default_rng([77, seed])
            given = held_out(*make(rng, n), symmetry, learner(seed), rng)
            module._pvalue = lambda *a: 0.0
            alone = module.broken_share(*given, 0.05, rng)[1] > 0
            module._pvalue = test
            found.append((alone and module.broken_share(*given, 0.05, rng)[1] > 0, alone))
        rate = np.mean(found, axis=0)
        error = np.sqrt(rate[0] * (1 - rate[0]) / reps)
        rows[name] = {"samples": reps, "limit above 0": rate[0], "s.e.": error, "without the test": rate[1]}
        print(name, rows[name], flush=True)
    return pd.DataFrame(rows).T.sort_values("limit above 0", ascending=False)


def outliers(rng, n):
    return rng.normal(size=(n, 2)), np.exp(rng.normal(size=n))


def something_broken(reps=1000):
    """Y = g + delta x1, least squares: the bound is tight, so that 95% limits should cover 0.95 or more.

    g is x0² + e, or log-normal.
    """
    rows = {}
    for make, n in [(even, n) for n in (20, 40, 100, 400)] + [(outliers, n) for n in (100, 400)]:
        for delta in (0.3, 1.0, 3.0):
            found = []
            for seed in range(reps):
                rng = np.random.default_rng([79, seed])
                X, y = make(rng, n)
                y = y + delta * X[:, 1]
                given = held_out(X, y, SignFlip([1]), LinearRegression(), rng)
                found.append(module.broken_share(*given, 0.05, rng)[::-1])
            lower, plug_in = np.array(found).T
            truth = delta**2 / (delta**2 + (3 if make is even else np.exp(2) - np.exp(1)))
            covered = (lower <= truth).mean()
            row = f"{'log-normal, ' if make is outliers else ''}n = {n}, delta = {delta}"
            rows[row] = {"truth": truth, "limit at or below it": covered}
            rows[row] |= {"s.e.": np.sqrt(covered * (1 - covered) / reps), "mean limit": lower.mean()}
            rows[row] |= {"above 0": (lower > 0).mean(), "mean plug-in": plug_in.mean()}
            print(row, rows[row], flush=True)
    return pd.DataFrame(rows).T.sort_values("limit at or below it")


if __name__ == "__main__":
    for section in (nothing_broken, something_broken):
        if section.__name__ in (sys.argv[1:] or [section.__name__]):
            record("symmetry", {f"lower limits, {section.__name__.replace('_', ' ')}": section()}, keep=True)
