"""The laboratory against raw cost and against sempler, and ten thousand environments under a memory limit."""

import subprocess
import sys
import time

import numpy as np
import pandas as pd
from _record import record

from causalinv.sem import EnvironmentSet, InterventionFamily, LinearSEM, random_sem


def seconds(call, repeats=7):
    """Median of some runs, after a first one that does not count."""
    call()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        spent.append(time.perf_counter() - start)
    return float(np.median(spent))


def against_raw_cost():
    rows = {}
    for p in (20, 50, 100, 200):
        sem = random_sem(p, expected_degree=p / 2, random_state=0)  # dense: solved by one product
        n, M = 2_000_000 // p, np.ascontiguousarray((sem.M * sem.own_std).T)
        ours = seconds(lambda sem=sem, n=n: sem.sample(n, random_state=0))
        raw = seconds(lambda p=p, n=n, M=M: np.random.default_rng(0).standard_normal((n, p)) @ M)
        rows[p] = {"rows": n, "sample (s)": ours, "noise and one product (s)": raw, "ratio": ours / raw}
    return pd.DataFrame(rows).T.rename_axis("nodes")


def against_sempler():
    import sempler

    rows = {}
    for p in (20, 200, 1000):
        base = random_sem(p, expected_degree=4.0, random_state=0)
        W, std = np.array(base.adjacency), np.array(base.own_std)
        # Like for like: both models exist and draw again. The peer inverts its matrix in every call, so beside it the
        # time of building ours from the matrices and drawing once.
        ours = seconds(lambda W=W, std=std: LinearSEM.from_adjacency(W, noise=std).sample(1000, random_state=0), 5)
        again = seconds(lambda base=base: base.sample(1000, random_state=0), 5)
        model = sempler.LGANM(W, np.zeros(p), std**2)
        peer = seconds(lambda model=model: model.sample(1000, random_state=0), 3)
        rows[p] = {"ours, built anew (s)": ours, "ours, again (s)": again, "sempler (s)": peer}
        rows[p] |= {"ratio, built anew": peer / ours, "ratio, again": peer / again}
    return pd.DataFrame(rows).T.rename_axis("nodes")


def against_sempler_population():
    import sempler

    sem = random_sem(20, expected_degree=4.0, random_state=0)
    family = InterventionFamily(sem.features, kind="variance")
    theta = family.draw(sem, 1000, random_state=0)
    interventions = family.interventions(sem, theta)
    model = sempler.LGANM(np.array(sem.adjacency), np.zeros(20), sem.own_std**2)
    sites = family.positions(sem)

    def peer():
        for row in theta:
            shifts = {site: (0.0, float(v)) for site, v in zip(sites, row, strict=True)}
            model.sample(population=True, shift_interventions=shifts)

    environments = EnvironmentSet(sem, interventions)
    shifts = {site: (0.0, float(v)) for site, v in zip(sites, theta[3], strict=True)}
    difference = np.abs(environments.covs()[3] - model.sample(population=True, shift_interventions=shifts).covariance)
    values = {
        "draw and set up 1000 environments by a family (s)": seconds(lambda: family.environments(sem, 1000)),
        "set up 1000 environments, given as interventions (s)": seconds(lambda: EnvironmentSet(sem, interventions)),
        "their 1000 covariances (s)": seconds(environments.covs),
        "sempler, 1000 covariances (s)": seconds(peer, 3),
        "largest difference": float(difference.max()),
    }
    peer_time, ours = values["sempler, 1000 covariances (s)"], values["their 1000 covariances (s)"]
    values["ratio, drawn by a family, all included"] = peer_time / (
        ours + values["draw and set up 1000 environments by a family (s)"]
    )
    values["ratio, given as interventions, all included"] = peer_time / (
        ours + values["set up 1000 environments, given as interventions (s)"]
    )
    return pd.Series(values).to_frame("p=20, variance changes")


def many_samples():
    sem = random_sem(200, expected_degree=4.0, random_state=0)
    environments = InterventionFamily(sem.features[:3]).environments(sem, 100, random_state=0)
    spent = seconds(lambda: environments.sample(1000, random_state=0), 3)
    return pd.Series({"seconds": spent}).to_frame("100 environments x 1000 rows, p=200")


TEN_THOUSAND = """
import time
from pathlib import Path
import numpy as np
from causalinv.sem import InterventionFamily, random_sem
def peak():
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
sem = random_sem(200, expected_degree=4.0, random_state=0)
sites = [v for v in sem.features if sem.parents(v)][:3]
for kind in ("variance", "weights"):
    start = time.perf_counter()
    envs = InterventionFamily(sites, kind=kind, per_env="single").environments(sem, 10_000, random_state=0)
    built = time.perf_counter() - start
    trace, worst, seen = 0.0, 0.0, 0
    start = time.perf_counter()
    for piece in envs.iter_moments():
        cov = piece.cov("x")
        if seen % 1000 < len(piece):
            at = (-seen) % 1000 % len(piece)
            worst = max(worst, abs(cov[at] - envs.model(seen + at).cov()[np.ix_(sem.features, sem.features)]).max())
        seen += len(piece)
    print(kind, built, time.perf_counter() - start, peak(), worst, seen)
"""


def ten_thousand():
    out = subprocess.run([sys.executable, "-c", TEN_THOUSAND], capture_output=True, text=True, check=True).stdout
    rows = {}
    for line in out.splitlines():
        kind, built, spent, peak, worst, seen = line.split()
        rows[kind] = {
            "environments": float(seen),
            "set-up (s)": float(built),
            "all moments (s)": float(spent),
            "peak of the process (MiB)": float(peak),
            "difference from the direct route": float(worst),
        }
    return pd.DataFrame(rows)


def main():
    raw, peer, population = against_raw_cost(), against_sempler(), against_sempler_population()
    big = ten_thousand()
    sections = {
        "one sample against its raw cost": raw,
        "1000 rows against sempler": peer,
        "1000 population covariances": population,
        "samples of many environments": many_samples(),
        "10,000 environments at p=200 (3.2 GB if dense) through iter_moments": big.map("{:.4g}".format),
    }
    record("sem_laboratory", sections, packages=("sempler",))
    assert raw["ratio"].max() <= 1.5
    assert peer.loc[1000, "ratio, again"] >= 20  # built anew it is less: see the table
    assert population.loc["largest difference"].item() < 1e-10
    assert big.loc["peak of the process (MiB)"].max() <= 1024
    assert big.loc["difference from the direct route"].max() < 1e-10


if __name__ == "__main__":
    main()
