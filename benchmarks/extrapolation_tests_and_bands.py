"""Size and power of the test of linear invariance; coverage of the bootstrap bands.

python benchmarks/extrapolation_tests_and_bands.py
"""

import sys

import numpy as np
import pandas as pd
from _record import record
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor, linear_invariance_test

LEVEL = 0.05
ASKED = np.array([-1.4, -1.2, -0.8, 0.0, 0.8, 1.2, 1.4])
INSIDE = np.abs(ASKED) <= 1


def rejection_rate(reps, n=600, **kwargs):
    pvalues = []
    for seed in range(reps):
        data = make_extrapolation_data(n, random_state=20_000 + seed, **kwargs)
        pvalues.append(linear_invariance_test(data.Z, data.action, random_state=seed).pvalue)
    rate = np.mean(np.array(pvalues) <= LEVEL)
    return {"replications": reps, "rejected": rate, "Monte-Carlo s.e.": np.sqrt(max(rate * (1 - rate), 1e-4) / reps)}


def bands(seed, n_bootstrap, encoder, n=500):
    """Whether the band holds the truth, and half its width, at each of the places; the spread of the truth inside."""
    data = make_extrapolation_data(n, n_latent=1, n_features=4, random_state=seed)
    X = data.Z if encoder == "identity" else data.X
    calibration = 0.0 if encoder == "identity" else 1.0
    model = Rep4ExRegressor(encoder, calibration=calibration, random_state=0)
    with threadpool_limits(limits=1):  # in here: a function that limits wrap cannot be sent to a process
        model.fit(X, data.y, action=data.action)
        table = model.do_curve(ASKED, n_bootstrap=n_bootstrap, band="pointwise").table
    truth = data.truth_do(ASKED)
    held = (table["lower"].to_numpy() <= truth) & (truth <= table["upper"].to_numpy())
    return held, (table["upper"] - table["lower"]).to_numpy() / 2, truth[INSIDE].std()


def coverage(reps, n_bootstrap, encoder, first=40_000):
    found = Parallel(n_jobs=2)(delayed(bands)(seed, n_bootstrap, encoder) for seed in range(first, first + reps))
    hits, halves, spread = zip(*found, strict=True)
    hits, halves = np.array(hits), np.array(halves)
    per_set = {"in": hits[:, INSIDE].mean(axis=1), "1.2 and 1.4 times": hits[:, ~INSIDE].mean(axis=1)}
    row = {"data sets": reps, "resamples": n_bootstrap}
    for where, share in per_set.items():
        row[f"coverage {where}"] = share.mean()
        row[f"s.e. {where}"] = share.std() / np.sqrt(reps)
    row["half width in / sd of curve"] = np.median(halves[:, INSIDE].mean(axis=1) / np.array(spread))
    return row


def main(quick=False):
    scale = 0.1 if quick else 1.0
    size = {f"true Z, {noise}": rejection_rate(int(500 * scale), noise=noise) for noise in ("gaussian", "laplace")}
    power = {
        f"curved action, coefficient {c}": rejection_rate(int(100 * scale), action_curvature=c) for c in (0.25, 0.5)
    }
    bands = {
        "state given": coverage(int(400 * scale), 40, "identity"),
        "state learnt (method npiv+location)": coverage(
            int(400 * scale), 40, LinearInvarianceEncoder(method="npiv+location", random_state=0)
        ),
    }
    table = pd.DataFrame(size | power).T
    covered = pd.DataFrame(bands).T
    sections = {
        "test of linear invariance at level .05, n=600, 299 sign flips": table,
        "pointwise 95% bands, d=k=1, n=500 (normal, pairs bootstrap)": covered,
    }
    if quick:
        print(table, covered, sep="\n")
        return
    record("extrapolation_tests_and_bands", sections)
    for noise in ("gaussian", "laplace"):
        assert 0.03 <= table.loc[f"true Z, {noise}", "rejected"] <= 0.08
    assert table.loc["curved action, coefficient 0.5", "rejected"] > 0.9
    assert (covered["coverage in"] >= 0.90 - 2 * covered["s.e. in"]).all()


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
