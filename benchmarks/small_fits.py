"""What a small fit costs beside scikit-learn's `LinearRegression` in the same run: n=1200, d=7, three environments.

``python small_fits.py``. The two are timed in turn, so that what else the machine does meets both; each ratio is that
of the medians of 60 turns.
"""

import time
import warnings

import numpy as np
import pandas as pd
from _record import record
from sklearn.linear_model import LinearRegression

from causalinv import (
    InvariantCausalPrediction,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeRegression,
    Translation,
)

TURNS = 60


def ratio(ours, theirs):
    """Median seconds of ours, and of theirs, by turns."""
    spent = np.empty((TURNS, 2))
    for turn in spent:
        for k, each in enumerate((ours, theirs)):
            began = time.perf_counter()
            each()
            turn[k] = time.perf_counter() - began
    return np.median(spent, axis=0)


def main():
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    e = np.repeat(np.arange(3), 400)
    X = rng.normal(size=(1200, 7)) * (1 + 0.3 * e)[:, None]
    y = X[:, 0] - X[:, 1] + rng.normal(size=1200)
    shift = Translation(np.eye(1, 7))
    ways = {
        "IVLikeRegression(0.1)": lambda: IVLikeRegression(0.1, augmentation=shift).fit(X, y),
        "InvariantCausalPrediction()": lambda: InvariantCausalPrediction().fit(X, y, environments=e),
        'InvariantCausalPrediction(test="chow")': lambda: InvariantCausalPrediction(test="chow").fit(
            X, y, environments=e
        ),
        "InvariantSubsetSelector(eps=0.5)": lambda: InvariantSubsetSelector(eps=0.5).fit(X, y, environments=e),
        "InvariantSubsetSelector()": lambda: InvariantSubsetSelector().fit(X, y, environments=e),
        "InvariantRepresentation()": lambda: InvariantRepresentation().fit(X, y, environments=e),
    }
    rows = []
    for name, way in ways.items():
        ours, theirs = ratio(way, lambda: LinearRegression().fit(X, y))
        rows.append([name, 1e3 * ours, 1e3 * theirs, ours / theirs])
    columns = ["estimator", "ms", "LinearRegression, ms", "ratio"]
    return pd.DataFrame(rows, columns=columns).sort_values("ratio", ascending=False).reset_index(drop=True)


if __name__ == "__main__":
    record("small_fits", {"n=1200, d=7, three environments": main()})
