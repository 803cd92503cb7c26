"""Invariant Causal Prediction against causalicp, and the speed of the sweep over all subsets."""

import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import InvariantCausalPrediction, Moments
from causalinv.datasets import make_invariance_environments
from causalinv.exceptions import IdentificationWarning
from causalinv.invariance import sweep

warnings.simplefilter("ignore", IdentificationWarning)


def data_set(d, seed, n=500, n_environments=5):
    kind = ("shift", "random_shift", "variance")[seed % 3]
    data = make_invariance_environments(
        n, n_environments=n_environments, n_features=d, n_sites=min(3, d), kind=kind, random_state=seed
    )
    peer = [np.c_[data.X, data.y][data.environments == e] for e in range(n_environments)]
    return data, peer


def parity():
    import causalicp
    from causalicp.data import _Data
    from causalicp.icp import _test_hypothesis

    rows = []
    for seed in range(50):
        d = 3 + seed % 5
        data, samples = data_set(d, seed, n=60 + 5 * seed, n_environments=2 + seed % 4)
        ours = InvariantCausalPrediction(test="residual").fit(data.X, data.y, environments=data.environments)
        # Result.accepted_sets is sorted by inclusion, which is no order; compare as sets, and p-values set by set.
        theirs = causalicp.fit(samples, d)
        reference = _Data(samples)
        tested = [_test_hypothesis(d, set(s), reference, 0.05)[2] for s in ours.sets_["set"]]
        limits = None if theirs.conf_intervals is None else theirs.conf_intervals[:, :d].T
        rows.append(
            {
                "same sets": set(map(frozenset, theirs.accepted_sets)) == set(map(frozenset, ours.accepted_sets_)),
                "same estimate": (theirs.estimate is None) == (ours.estimate_ is None)
                and set(theirs.estimate or ()) == set(ours.estimate_ or ()),
                "p-values": np.abs(ours.sets_["pvalue"] - tested).max(),
                "intervals": 0.0 if limits is None else np.abs(limits - ours.conf_int_).max(),
                "sets": len(tested),
            }
        )
    table = pd.DataFrame(rows)
    return pd.Series(
        {
            "data sets": float(len(table)),
            "with the same accepted sets": float(table["same sets"].sum()),
            "with the same estimate": float(table["same estimate"].sum()),
            "largest difference of a p-value": table["p-values"].max(),
            "largest difference of an interval's end": table["intervals"].max(),
            "sets tested": float(table["sets"].sum()),
        }
    ).to_frame("50 data sets, d = 3 to 7")


def speed():
    import causalicp

    rows = {}
    for d in (7, 8, 9):
        data, samples = data_set(d, seed=1)
        start = time.perf_counter()
        causalicp.fit(samples, d)
        peer = time.perf_counter() - start
        ours = []
        for _ in range(5):
            start = time.perf_counter()
            InvariantCausalPrediction(test="residual").fit(data.X, data.y, environments=data.environments)
            ours.append(time.perf_counter() - start)
        rows[d] = {"ours (s)": np.median(ours), "causalicp (s)": peer, "ratio": peer / np.median(ours)}
    ours, peer = (sum(row[name] for row in rows.values()) for name in ("ours (s)", "causalicp (s)"))
    rows["together"] = {"ours (s)": ours, "causalicp (s)": peer, "ratio": peer / ours}
    return pd.DataFrame(rows).T.rename_axis("features, 5 environments x 500 rows")


SWEEP = """
import time
from pathlib import Path
from causalinv.datasets import make_invariance_environments
from causalinv.invariance import sweep
moments = make_invariance_environments(1, n_features=20, random_state=1).moments
start = time.perf_counter()
n = sum(len(piece) for piece in sweep(moments))
spent = time.perf_counter() - start
line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
print(n, spent, int(line.split()[1]) / 1024)
"""


def sweeps():
    rows = {}
    for d in (10, 13, 16, 18):
        data, _ = data_set(d, seed=1)
        moments = Moments.from_rows(x=data.X, y=data.y, environments=data.environments)
        start = time.perf_counter()
        n = sum(len(piece) for piece in sweep(moments))
        spent = time.perf_counter() - start
        rows[d] = {"subsets": n, "seconds": spent, "subsets per second": n / spent}
    data = make_invariance_environments(500, n_environments=5, n_features=200, n_sites=5, random_state=1)
    moments = Moments.from_rows(x=data.X, y=data.y, environments=data.environments)
    for left_out in (False, True):
        start = time.perf_counter()
        n = sum(len(piece) for piece in sweep(moments, max_size=3, left_out=left_out))
        spent = time.perf_counter() - start
        name = "200, up to three" + (", left-out risks too" if left_out else "")
        rows[name] = {"subsets": n, "seconds": spent, "subsets per second": n / spent}
    out = subprocess.run([sys.executable, "-c", SWEEP], capture_output=True, text=True, check=True).stdout.split()
    rows[20] = {"subsets": float(out[0]), "seconds": float(out[1]), "subsets per second": float(out[0]) / float(out[1])}
    return pd.DataFrame(rows).T.rename_axis("features, 5 environments"), float(out[2])


def main():
    agreement, times = parity(), speed()
    rates, peak = sweeps()
    sections = {
        "agreement with causalicp": agreement.map("{:.3g}".format),
        "whole fit": times,
        "the sweep alone": rates.map("{:.6g}".format),
        "memory": f"Peak of the process that sweeps d = 20: {peak:.0f} MiB.",
    }
    record("icp", sections, packages=("causalicp",))
    assert agreement.loc["with the same accepted sets"].item() == agreement.loc["data sets"].item()
    assert agreement.loc["with the same estimate"].item() == agreement.loc["data sets"].item()
    assert agreement.loc["largest difference of a p-value"].item() < 1e-8
    assert times.loc["together", "ratio"] >= 150  # at d = 7 alone the fixed cost of validation weighs more
    assert rates.loc["200, up to three", "seconds"] <= 4
    assert peak <= 1024


if __name__ == "__main__":
    main()
