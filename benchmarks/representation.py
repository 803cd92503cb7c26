"""Representation: coverage of each standard error, the error of Nyström's approximation, growth, the worst door.

``python benchmarks/representation.py coverage nystroem growth worst``: each part that is named (left out: all); the
tables of other parts stay. Coverage has 1,000 replications.
"""

import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from _record import record
from scipy.special import ndtr

import causalinv.representation._entropy as entropy_module
from causalinv import representation as rep
from causalinv.exceptions import CausalInvWarning

REPLICATIONS = 1_000
warnings.simplefilter("ignore", CausalInvWarning)


def _invariance(rng, n, k):
    Z = rng.normal(size=(n, k))
    return rep.invariance_score(Z, Z + 0.5 * rng.normal(size=Z.shape)), 0.5 / np.sqrt(2)


def _skewed(rng, n):
    """Exponential columns, moved along one: E|z - z'| by a large sample, kept in the seed's own population."""
    Z = rng.exponential(size=(n, 1))
    return rep.invariance_score(Z, Z + rng.exponential(size=(n, 1))), 1.0  # E step 1, E|z - z'| = 1


def _turned(rng, n, noise, k=4):
    Z = rng.normal(size=(n, k))
    angle = rng.uniform(0, 2 * np.pi, n)
    G = np.column_stack([np.cos(angle), np.sin(angle)])
    moved = Z.copy()
    moved[:, 0] = G[:, 0] * Z[:, 0] - G[:, 1] * Z[:, 1]
    moved[:, 1] = G[:, 1] * Z[:, 0] + G[:, 0] * Z[:, 1]
    moved = moved + noise * rng.normal(size=moved.shape)
    return rep.equivariance_score(Z, moved, G), 2.0 / (k * (1 + noise**2))


def _ignored(rng, n, k=4):
    Z = rng.normal(size=(n, k))
    return rep.equivariance_score(Z, Z + 0.5 * rng.normal(size=Z.shape), rng.normal(size=(n, 2))), 0.0


def _spectrum(rng, n, k, exponent, heavy=False):
    Z = rng.normal(size=(n, k)) * np.arange(1.0, k + 1) ** (-exponent / 2)
    if heavy:
        Z = Z * np.sqrt(4 / rng.chisquare(6, size=(n, 1)))
    return rep.spectral_exponent(Z), exponent


def _rarely(rng, n):
    """One row in ten moves: .1 times 3 E|N| over sqrt(2) E|N|."""
    Z = rng.normal(size=(n, 3))
    return rep.invariance_score(Z, Z + 3.0 * (rng.random((n, 1)) < 0.1) * rng.normal(size=Z.shape)), 0.3 / np.sqrt(2)


def _stretched(rng, n, step=0.3):
    """Log-normal rows times log-normal steps: by Gini's coefficient of the log-normal law."""
    Z = np.exp(rng.normal(size=(n, 1)))
    truth = np.exp(step**2 / 2) * (2 * ndtr(step) - 1) / (2 * (2 * ndtr(np.sqrt(0.5)) - 1))
    return rep.invariance_score(Z, Z * np.exp(step * rng.normal(size=(n, 1)))), truth


def _exchanged(rng, n, law, moves):
    """Half of z, g times z the other way round, and noise: the share is Var g Var z over the whole."""
    Z = {"normal": lambda: rng.normal(size=(n, 2)), "t3": lambda: rng.standard_t(3, size=(n, 2))}[law]()
    v = {"normal": 1.0, "t3": 3.0}[law]
    G = {"signs": lambda: rng.choice([-1.0, 1.0], size=(n, 1)), "rare": lambda: 1.0 * (rng.random((n, 1)) < 0.1)}[
        moves
    ]()
    square, spread = {"signs": (1.0, 1.0), "rare": (0.1, 0.09)}[moves]
    moved = 0.5 * Z + G * Z[:, ::-1] + 0.5 * rng.normal(size=Z.shape)
    return rep.equivariance_score(Z, moved, G), spread * v / (0.25 * v + square * v + 0.25)


CELLS = {
    "invariance, normal, n=150 k=4": lambda rng: _invariance(rng, 150, 4),
    "invariance, normal, n=30 k=4": lambda rng: _invariance(rng, 30, 4),
    "invariance, exponential, n=150 k=1": lambda rng: _skewed(rng, 150),
    **{f"invariance, one in ten moves, n={n}": lambda rng, n=n: _rarely(rng, n) for n in (10, 30, 100)},
    **{f"invariance, log-normal, n={n}": lambda rng, n=n: _stretched(rng, n) for n in (10, 30, 100)},
    "invariance, normal, n=10 k=4": lambda rng: _invariance(rng, 10, 4),
    **{
        f"equivariance, {law}, {moves}, n={n}": lambda rng, n=n, law=law, moves=moves: _exchanged(rng, n, law, moves)
        for law, moves in (("normal", "signs"), ("t3", "signs"), ("normal", "rare"))
        for n in (30, 80, 250)
    },
    "equivariance, turns, n=250": lambda rng: _turned(rng, 250, 0.5),
    "equivariance, turns, n=80": lambda rng: _turned(rng, 80, 0.5),
    "equivariance, truth 0, n=250": lambda rng: _ignored(rng, 250),
    "equivariance, truth 0, n=80": lambda rng: _ignored(rng, 80),
    "exponent 1.5, n=100 k=60": lambda rng: _spectrum(rng, 100, 60, 1.5),
    "exponent 1.5, n=300 k=60": lambda rng: _spectrum(rng, 300, 60, 1.5),
    "exponent 1.5, n=300 k=60, t6": lambda rng: _spectrum(rng, 300, 60, 1.5, True),
    "exponent 0.8, n=300 k=60": lambda rng: _spectrum(rng, 300, 60, 0.8),
    "exponent 3.0, n=1000 k=30": lambda rng: _spectrum(rng, 1000, 30, 3.0),
    "exponent 3.0, n=200 k=10": lambda rng: _spectrum(rng, 200, 10, 3.0),
    "exponent 2.0, n=200 k=20": lambda rng: _spectrum(rng, 200, 20, 2.0),
    "exponent 1.0, n=1000 k=30": lambda rng: _spectrum(rng, 1000, 30, 1.0),
    "exponent 0.5, n=1000 k=200": lambda rng: _spectrum(rng, 1000, 200, 0.5),
}


def coverage():
    rows = {}
    for name, cell in CELLS.items():
        rng = np.random.default_rng(21)
        found = [cell(rng) for _ in range(REPLICATIONS)]
        values = np.array([(each.estimate, each.standard_error, *each.conf_int, truth) for each, truth in found])
        inside = (values[:, 2] <= values[:, 4]) & (values[:, 4] <= values[:, 3])
        rows[name] = {
            "truth": values[0, 4],
            "mean": values[:, 0].mean(),
            "sd": values[:, 0].std(),
            "mean s.e.": values[:, 1].mean(),
            "coverage of 95%": inside.mean(),
        }
        print(name, rows[name], flush=True)
    table = pd.DataFrame(rows).T
    table["off"] = (table["coverage of 95%"] - 0.95).abs()
    return table.sort_values("off", ascending=False).drop(columns="off")


def nystroem(n=5_000, k=10):
    """Landmarks to begin with, those that were used in the end, the error that is said, and the true one."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n, k)) + 3.0 * (np.arange(n) % 5)[:, None] * np.eye(1, k)
    rows = {}
    for share in (0.25, 0.5, 1.0):
        width = share * 5.5
        exact = rep.diffusion_spectral_entropy(Z, bandwidth=width).estimate
        keep, entropy_module.EXACT_ROWS = entropy_module.EXACT_ROWS, n - 1
        for landmarks in (300, 1_000):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                found = rep.diffusion_spectral_entropy(Z, bandwidth=width, n_landmarks=landmarks, random_state=0)
            row = found.to_frame().iloc[0]
            rows[f"bandwidth {width:.2f}, from {landmarks} landmarks"] = {
                "exact": exact,
                "Nyström": found.estimate,
                "true error": found.estimate - exact,
                "error said": row["error"],
                "warned": bool(said),
                "landmarks": int(found.notes[-1].split()[-2]),
                "captured": row["captured"],
            }
            print(rows, flush=True)
        entropy_module.EXACT_ROWS = keep
    table = pd.DataFrame(rows).T
    return table.reindex(table["true error"].abs().sort_values(ascending=False).index)


DOORS = {
    "invariance_score": lambda Z, M, G, y: rep.invariance_score(Z, M, random_state=0),
    "rank_me": lambda Z, M, G, y: rep.rank_me(Z),
    "participation_ratio": lambda Z, M, G, y: rep.participation_ratio(Z),
    "spectral_exponent": lambda Z, M, G, y: rep.spectral_exponent(Z),
    "neural_collapse": lambda Z, M, G, y: rep.neural_collapse(Z, y),
    "OrthogonalAlignment(0)": lambda Z, M, G, y: rep.OrthogonalAlignment().fit(Z, M),
    "RelativeRepresentation": lambda Z, M, G, y: rep.RelativeRepresentation(random_state=0).fit_transform(Z),
    "diffusion_spectral_entropy": lambda Z, M, G, y: rep.diffusion_spectral_entropy(Z, random_state=0),
    "equivariance_score": lambda Z, M, G, y: rep.equivariance_score(Z, M, G),
    "diffusion_information_test": lambda Z, M, G, y: rep.diffusion_information_test(Z, y, random_state=0),
    "OrthogonalAlignment(0.01)": lambda Z, M, G, y: rep.OrthogonalAlignment(0.01).fit(Z, M),
}


def _peak():
    """Most memory of this process so far, GB (Linux; getrusage would count that of the parent)."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1e6


def _cost(name, n, k):
    """CPU seconds of a door, and the peak memory of a process that holds the data and does nothing else."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n, k))
    M, G, y = Z + 0.1 * rng.normal(size=(n, k)), rng.normal(size=(n, 1)), np.arange(n) % 10
    before, start = _peak(), time.process_time()
    DOORS[name](Z, M, G, y)
    seconds = time.process_time() - start
    return {"CPU seconds": seconds, "peak GB": _peak(), "of it before the call": before}


def _timed(names, sizes):
    rows = {}
    with ProcessPoolExecutor(1, max_tasks_per_child=1) as workers:
        for n, k in sizes:
            for name in names:
                row = f"{name}, n={n} k={k}"
                rows[row] = workers.submit(_cost, name, n, k).result()
                print(row, rows[row], flush=True)
    return pd.DataFrame(rows).T.sort_values("CPU seconds", ascending=False)


def growth():
    return _timed(list(DOORS), [(6_000, 32), (12_000, 32), (12_000, 64)])


def worst():
    return _timed(list(DOORS), [(100_000, 512)])


TITLES = {
    coverage: f"Coverage of 95% intervals, {REPLICATIONS:,} replications (s.e. 0.007), farthest from 0.95 first",
    nystroem: "Nyström's approximation of the diffusion entropy at n = 5,000 (bits), largest error first",
    growth: "Growth in rows and columns, slowest first",
    worst: "Doors at n = 100,000 and k = 512, slowest first",
}


if __name__ == "__main__":
    asked = sys.argv[1:] or [part.__name__ for part in TITLES]
    for part, title in TITLES.items():
        if part.__name__ in asked:
            record("representation", {title: part()}, keep=True)
