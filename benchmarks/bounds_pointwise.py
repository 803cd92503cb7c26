"""Pointwise bounds against the population and against itbound, with the same data, folds' propensities and one thread.

itbound pulls torch: give the interpreter of an environment that has it as BOUNDS_PEERS=/path/to/python. Without it only
our half is run and nothing is recorded.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _bounds_truth import pointwise
from _record import record

from causalinv.bounds import FDivergenceBounds
from causalinv.datasets import make_confounded_treatment

DIVERGENCES = ["chi2", "kl", "js", "hellinger", "tv"]
SEEDS = {1000: 5, 5000: 5}
PEER_SEEDS = {1000: 3, 5000: 1}
WORKER = """
import sys, time
import numpy as np
import torch
from fbound.estimators.causal_bound import DebiasedCausalBoundEstimator
torch.set_num_threads(1)
data = np.load(sys.argv[1])
X, A, Y, e = data["X"], data["A"], data["Y"], data["e"]
nets = dict(hidden_sizes=[64, 64], activation="relu", dropout=0.0, h_clip=10.0, device="cpu")
fit = dict(n_folds=5, num_epochs=256, batch_size="auto", lr=5e-3, weight_decay=0.0, max_grad_norm=5.0,
    eps_propensity=1e-2, deterministic_torch=True, train_m_on_fold=True,
    propensity_config=dict(C=1.0, max_iter=200, penalty="l2", solver="lbfgs", n_jobs=1),
    m_config=dict(n_estimators=200, max_depth=None, min_samples_leaf=10, min_samples_split=2, n_jobs=1),
    verbose=False, log_every=1)
out, start = {}, time.process_time()
for name in ("Chi2", "KL", "JS", "Hellinger", "TV"):
    for sign, end in ((1.0, "upper"), (-1.0, "lower")):
        phi = lambda y, s=sign: s * y
        model = DebiasedCausalBoundEstimator(name, phi, "logistic", "random_forest", nets, fit, seed=0)
        model.fit(X, A, Y, e_train_true=e)
        out[name.lower() + " " + end] = sign * model.predict_bound(1, X, e_eval=e)
out["seconds"] = time.process_time() - start
np.savez(sys.argv[2], **out)
"""


def ours(data, seed):
    start = time.process_time()
    model = FDivergenceBounds(divergence="all", aggregation="none", outcome_support=(0, 1), random_state=seed).fit(
        data.X, data.y, treatment=data.treatment
    )
    found = model.predict_bounds(None, arm=1)
    return model, found, time.process_time() - start


def peer(python, data, e):
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, X=data.X, A=data.treatment, Y=data.y, e=e)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        subprocess.run([python, "-W", "ignore", "-c", WORKER, given, answer], check=True, env=environment)
        with np.load(answer) as out:
            return dict(out)


def line(lower, upper, truth, theta):
    low, high = truth
    return {
        "rmse upper": np.sqrt(np.mean((upper - high) ** 2)),
        "bias upper": np.mean(upper - high),
        "width / population": np.median(upper - lower) / np.median(high - low),
        "coverage, adverse": np.mean((lower <= theta) & (theta <= upper)),
    }


def main():
    python = os.environ.get("BOUNDS_PEERS")
    rows, times = [], []
    for n, n_seeds in SEEDS.items():
        for seed in range(n_seeds):
            data = make_confounded_treatment(n, random_state=seed)
            e, m = data.propensity, data.arm_mean[:, 1]
            theta = e * m + (1 - e) * 0.95  # arm 1 of the adverse simulation: the same observed law, another truth
            model, found, spent = ours(data, seed)
            times.append({"n": n, "who": "causalinv", "seconds": spent})
            truths = {name: pointwise(e, m, name) for name in ["manski", *DIVERGENCES]}
            for name in DIVERGENCES:
                rows.append(
                    {"n": n, "who": "causalinv", "bound": name}
                    | line(found[name].lower, found[name].upper, truths[name], theta)
                )
            plain = found["chi2"]
            rows.append(
                {"n": n, "who": "causalinv", "bound": "manski"}
                | line(plain.manski_lower, plain.manski_upper, truths["manski"], theta)
            )
            if python and seed < PEER_SEEDS[n]:
                theirs = peer(python, data, model.oof_propensity_[:, 1])
                times.append({"n": n, "who": "itbound", "seconds": float(theirs["seconds"])})
                for name in DIVERGENCES:
                    lower, upper = theirs[f"{name} lower"], theirs[f"{name} upper"]
                    inside = {
                        "inside sharp set": np.mean((upper < truths["manski"][1]) | (lower > truths["manski"][0])),
                        "NaN": np.mean(~np.isfinite(upper + lower)),
                    }
                    rows.append(
                        {"n": n, "who": "itbound", "bound": name} | line(lower, upper, truths[name], theta) | inside
                    )
                print(n, seed, theirs["seconds"], flush=True)
    table = pd.DataFrame(rows).groupby(["n", "who", "bound"], sort=False).mean()
    seconds = pd.DataFrame(times).groupby(["n", "who"])["seconds"].agg(["mean", "count"])
    if not python:
        print(table, seconds, sep="\n")
        return
    ratio = table.xs("itbound", level="who")["rmse upper"] / table.xs("causalinv", level="who")["rmse upper"]
    mean = seconds["mean"].unstack()
    record(
        "bounds_pointwise",
        {
            "ends at the rows against the population (means over seeds)": table,
            "RMSE of itbound over ours": ratio.dropna().to_frame("ratio"),
            "five divergences, both ends, arm 1, one thread": seconds,
            "time of itbound over ours": (mean["itbound"] / mean["causalinv"]).to_frame("ratio"),
            "settings": (
                "itbound 0.1.1 in its own environment: 64 x 64 networks, 256 epochs, 5 folds, a forest of 200 trees "
                "(leaves of 10) for its regression, its remaining defaults, our out-of-fold propensity; 3 seeds at "
                "n = 1000, one at n = 5000 (ours 5 at both); CPU seconds of one thread. 'inside sharp set': share of "
                "rows with an end inside Manski's population interval, which no valid bound may have."
            ),
        },
    )
    own = table.xs("causalinv", level="who")["rmse upper"]
    assert (own[1000] <= 0.045).all()
    assert (own[5000] <= 0.020).all()
    assert table.xs("causalinv", level="who")["width / population"].between(0.95, 1.05).all()


if __name__ == "__main__":
    main()
