"""Speed of the path against one fit of ivmodels, and memory of moments from chunks. One run, ratios pair by pair."""

import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import IVLikeRegression


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
    memory = from_chunks()
    record(
        "ivlike_speed",
        {"n=1e5, d=32, q=31": table, "agreement": note, "larger than memory": memory},
        packages=("ivmodels",),
    )
    assert table.loc["median", "ratio, peer / ours"] >= 5
    assert memory.loc["above the interpreter with the package loaded (MiB)"].item() <= 300


if __name__ == "__main__":
    main()
