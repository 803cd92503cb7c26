"""Speed of the path against one fit of ivmodels, and memory of moments from chunks. One run, ratios pair by pair."""

import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import IVLikeRegression, Translation
from causalinv.datasets import make_confounded_linear
from causalinv.ivlike import IVLikeRegressionCV


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def against_ivmodels(n=100_000, d=32, q=31, repeats=7):
    from ivmodels.models.anchor_regression import AnchorRegression

    rng = np.random.default_rng(0)
    Z, C = rng.normal(size=(n, q)), rng.normal(size=n)
    X = Z @ rng.normal(size=(q, d)) + C[:, None] + rng.normal(size=(n, d))
    y = X @ rng.normal(size=d) + C
    alphas = np.logspace(-4, 4, 100)

    def ours():
        return IVLikeRegression(0.1).fit(X, y, instruments=Z).alpha_path(alphas)

    def peer():
        return AnchorRegression(gamma=11.0).fit(X, y, Z=Z)

    same = np.abs(IVLikeRegression(0.1).fit(X, y, instruments=Z).coef_ - peer().coef_).max()
    times = pd.DataFrame(
        [{"fit + 100 alphas (s)": seconds(ours), "ivmodels, one fit (s)": seconds(peer)} for _ in range(repeats)]
    )
    times["ratio, peer / ours"] = times.iloc[:, 1] / times.iloc[:, 0]
    fitted = IVLikeRegression(0.1).fit(X, y, instruments=Z)
    path = np.median([seconds(lambda: fitted.alpha_path(alphas)) for _ in range(repeats)])
    note = (
        f"Largest difference of a coefficient from the peer's: {same:.1e}. The 100 alphas alone: {1e3 * path:.1f} ms."
    )
    return times.agg(["min", "median", "max"]), note


def cross_validation(n=20_000, n_alphas=100, repeats=3):
    """Five folds and 100 strengths from fold moments, against a refit of every fold and strength."""
    world = make_confounded_linear(n, random_state=0)
    aug, alphas = Translation(world.directions), np.logspace(-4, 4, n_alphas)
    folds = np.random.default_rng(0).permutation(n) % 5
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]

    def ours():
        return IVLikeRegressionCV(alphas, augmentation=aug, cv=splits).fit(world.X, world.y)

    def refits():
        risk = np.zeros(n_alphas)
        for j, alpha in enumerate(alphas):
            for train, test in splits:
                model = IVLikeRegression(alpha, augmentation=aug).fit(world.X[train], world.y[train])
                r = world.y[test] - model.predict(world.X[test])
                risk[j] += (np.mean(r**2) + 11 * np.sum((world.directions @ model.coef_) ** 2)) / 5
        return risk

    start = time.perf_counter()
    slow = refits()
    spent = time.perf_counter() - start
    fast = min(seconds(ours) for _ in range(repeats))
    agreement = np.abs(ours().cv_results_["risk"] / slow - 1).max()
    return {"ours (s)": fast, "refits (s)": spent, "ratio": spent / fast, "largest relative gap": agreement}


def bootstrapping(n=2048, n_replications=1000, n_peer=100):
    """A thousand replications from moments, against refits on drawn rows: our own, and a peer's (scaled from 100)."""
    from ivmodels.models.anchor_regression import AnchorRegression

    world = make_confounded_linear(n, random_state=0)
    model = IVLikeRegression(0.1, augmentation=Translation(world.directions)).fit(world.X, world.y)
    start = time.perf_counter()
    ours = model.bootstrap(n_replications, random_state=0).standard_errors().to_numpy()
    fast = time.perf_counter() - start
    rng, coefs = np.random.default_rng(0), []
    start = time.perf_counter()
    for _ in range(n_replications):
        at = rng.integers(n, size=n)
        coefs.append(IVLikeRegression(0.1, augmentation=model.augmentation).fit(world.X[at], world.y[at]).coef_)
    spent = time.perf_counter() - start
    gap = np.abs(ours / np.std(coefs, axis=0) - 1).max()
    G = rng.normal(size=(n, 31))
    X = world.X + G @ world.directions
    start = time.perf_counter()
    for _ in range(n_peer):
        at = rng.integers(n, size=n)
        AnchorRegression(gamma=11.0).fit(X[at], world.y[at], Z=G[at])
    peer = (time.perf_counter() - start) * n_replications / n_peer
    return {
        "ours (s)": fast,
        "refits (s)": spent,
        "ratio": spent / fast,
        "largest relative gap": gap,
        "ivmodels refits (s)": peer,
        "ratio, ivmodels / ours": peer / fast,
    }


def against_full_projection(sizes=(1024, 2048, 4096), repeats=3):
    """One strength with the n x n projection, as the reference code has it, against ours and our 100 strengths."""
    out = {}
    for n in sizes:
        world = make_confounded_linear(n, random_state=0)
        G = np.random.default_rng(0).normal(size=(n, 31))
        GX = world.X + G @ world.directions
        X, y, Z = (v - v.mean(axis=0) for v in (GX, world.y, G))

        def full(X=X, y=y, Z=Z, n=n):
            projection = Z @ np.linalg.pinv(Z)
            root = np.sqrt(0.1) * np.eye(n) + (np.sqrt(1.1) - np.sqrt(0.1)) * projection
            return np.linalg.lstsq(root @ X, root @ y, rcond=None)[0]

        def one(GX=GX, G=G, y=world.y):
            return IVLikeRegression(0.1).fit(GX, y, instruments=G)

        def hundred(one=one):
            return one().alpha_path(np.logspace(-4, 4, 100))

        slow, fast, path = (min(seconds(call) for _ in range(repeats)) for call in (full, one, hundred))
        gap = np.abs(full() - one().coef_).max()
        out[f"n={n}"] = {
            "n x n, one alpha (s)": slow,
            "ours, one alpha (s)": fast,
            "ratio": slow / fast,
            "ours, 100 alphas (s)": path,
            "ratio per alpha": 100 * slow / path,
            "largest gap": gap,
        }
    return pd.DataFrame(out)


CHUNKS = """
import time
from pathlib import Path
import numpy as np
from causalinv import IVLikeRegression, Moments, Translation
def peak():  # of this process alone; ru_maxrss would inherit the parent's
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
Moments.from_rows(x=np.eye(3), y=np.ones(3)); IVLikeRegression
def chunks():
    rng = np.random.default_rng(0)
    truth = np.arange(50.0)
    for _ in range(100):
        X = rng.normal(size=(10_000, 50))
        yield {"x": X, "y": X @ truth + rng.normal(size=10_000) + 1e6}
before, start = peak(), time.perf_counter()
moments = Moments.from_chunks(chunks())
model = IVLikeRegression(augmentation=Translation(np.eye(1, 50))).fit_moments(moments)
error = abs(model.least_squares_coef_ - np.arange(50.0)).max()
print(before, peak(), time.perf_counter() - start, error, moments.count[0])
"""


def from_chunks():
    out = subprocess.run([sys.executable, "-c", CHUNKS], capture_output=True, text=True, check=True).stdout
    before, after, spent, error, count = map(float, out.split())
    values = {
        "rows": count,
        "peak memory after imports (MiB)": before,
        "peak memory at the end (MiB)": after,
        "above the interpreter with the package loaded (MiB)": after - before,
        "seconds, making the data included": spent,
        "largest error against the truth (its standard error is 0.001)": error,
    }
    return pd.Series(values).to_frame("1e6 x 50 in chunks of 10,000")


def main():
    warnings.simplefilter("ignore", FutureWarning)  # the peer's own
    table, note = against_ivmodels()
    again = pd.DataFrame(
        {"5 folds x 100 alphas, n=20,000": cross_validation(), "1000 bootstrap replications, n=2048": bootstrapping()}
    )
    projection = against_full_projection()
    memory = from_chunks()
    record(
        "ivlike_speed",
        {
            "n=1e5, d=32, q=31": table,
            "agreement": note,
            "from moments against refits (d=32; gap of the bootstrap: Monte-Carlo error of standard errors)": again,
            "against the n x n projection (d=32, q=31)": projection,
            "larger than memory": memory,
        },
        packages=("ivmodels",),
    )
    assert table.loc["median", "ratio, peer / ours"] >= 4
    assert memory.loc["above the interpreter with the package loaded (MiB)"].item() <= 300


if __name__ == "__main__":
    main()
