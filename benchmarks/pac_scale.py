"""Cost of a replication of one PAC cell (d = 8, m = 60, one learner) by how it is handed out, and the scheduler's part.

``python pac_scale.py way K LOG``: 100 and 2,000 replications, handed out in the K-th way, a line of the log.
``python pac_scale.py empty LOG``: tasks that do nothing, so that what is left is the scheduler's. ``python pac_scale.py
table LOG FOLDER TIMES``: the record; FOLDER holds shards made by ``python -m causalinv pac --d 8 --m 60 --reps 100000
--fresh 2000 --shard I K --out FOLDER``, and TIMES lines of ``/usr/bin/time -f "I %U %S %e %M"`` of them.

Seconds are CPU seconds of all processes, since cores are shared: of 2,000 replications less those of 100, by 1,900.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from _record import record

from causalinv.invariance import InvariantSubsetSelector, PACExperiment
from causalinv.sem import InterventionFamily, choose_sites, random_sem

WAYS = ("one process", "one process, out=", "joblib, 2 processes", "Dask, 2 worker processes", "4 shards, one by one")
FEW, MANY = 100, 2_000


def experiment(n_reps):
    return PACExperiment(
        lambda d, rng: random_sem(d + 1, expected_degree=3.0, random_state=rng),
        lambda sem, rng: InterventionFamily(choose_sites(sem, 3, random_state=rng), per_env="single"),
        {"subset of at most 2": InvariantSubsetSelector(eps=0.05, max_size=2, search="exhaustive")},
        d=[8],
        m=[60],
        n_reps=n_reps,
        n_fresh=2_000,
        random_state=0,
    )


def work(way, n_reps):
    """Replicate, in this process and its children."""
    asked = experiment(n_reps)
    if way == WAYS[0]:
        asked.run()
    elif way == WAYS[1]:
        with tempfile.TemporaryDirectory() as out:
            asked.run(out=out)
    elif way == WAYS[2]:
        asked.run(2)
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    elif way == WAYS[3]:
        import distributed

        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
            distributed.Client(cluster),
            joblib.parallel_config("dask"),
        ):
            asked.run()
    else:
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, "-m", "causalinv", "pac", "--d", "8", "--m", "60", "--reps", str(n_reps)]
            for i in range(4):
                shard = [*command, "--fresh", "2000", "--shard", str(i), "4", "--out", out]
                subprocess.run(shard, check=True, stdout=subprocess.DEVNULL)
            assert len(PACExperiment.collect(out)) == n_reps


def measured(way, n_reps):
    """CPU seconds of all processes and wall seconds of one way, in a process of its own."""
    code = (
        "import resource, sys, time; import pac_scale; began = time.perf_counter();"
        "pac_scale.work(sys.argv[1], int(sys.argv[2])); wall = time.perf_counter() - began;"
        "print(*(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)), wall)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, way, str(n_reps)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    own, children, wall = map(float, done.stdout.split()[-3:])
    return own + children, wall


def one_way(way, log):
    (few, _), (many, wall) = (measured(way, n) for n in (FEW, MANY))
    each = (many - few) / (MANY - FEW)
    with open(log, "a") as file:
        print(way, 1000 * each, many - MANY * each, wall, sep="\t", file=file)


def empty(log):
    """Milliseconds of CPU, in this process and the workers, for handing out a replication that does nothing."""
    import distributed

    from causalinv._parallel import run

    def cpu():
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    rows = {}
    began = cpu()
    run(abs, [(i,) for i in range(20_000)])
    rows["one process"] = 1000 * (cpu() - began) / 20_000
    for n in (500, 4_500):
        began = cpu()
        run(abs, [(i,) for i in range(n)], n_jobs=2)
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
        rows["joblib, 2 processes", n] = cpu() - began
        began = cpu()
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
            distributed.Client(cluster),
            joblib.parallel_config("dask"),
        ):
            run(abs, [(i,) for i in range(n)])
        rows["Dask, 2 worker processes", n] = cpu() - began
    for name in ("joblib, 2 processes", "Dask, 2 worker processes"):
        rows[name] = 1000 * (rows.pop((name, 4_500)) - rows.pop((name, 500))) / 4_000
    with open(log, "a") as file:
        for name, each in rows.items():
            print(f"empty, {name}", each, "", "", sep="\t", file=file)


def collect(folder, times):
    """Rows, cost and size of shards, and a plan from them."""
    began = time.perf_counter()
    rows = PACExperiment.collect(folder)
    joined = time.perf_counter() - began
    spent = pd.read_csv(times, sep=" ", names=["shard", "user", "system", "wall", "peak"])
    size = sum(path.stat().st_size for path in Path(folder).glob("*.csv")) / len(rows)
    each = float((spent.user + spent.system).sum()) / len(rows)
    replications = 1e8 / 60
    hours = replications * each / 3600
    plan = {
        "replications of 60 training interventions": replications,
        "core hours": hours,
        "shards of one core hour": np.ceil(hours),
        "hours on 64 cores": hours / 64,
        "GB of rows": replications * size / 1e9,
        "100,000 replications, core hours": 1e5 * each / 3600,
    }
    row = {
        "replications": len(rows),
        "failed": int((rows.error != "").sum()),
        "CPU ms each, imports among them": 1000 * each,
        "peak MiB of a shard": spent.peak.max() / 1024,
        "bytes each": size,
        "collect, s": joined,
    }
    return {
        f"{len(rows):,} replications in {len(spent)} shards": pd.Series(row, name="d = 8, m = 60").to_frame(),
        "what they found": experiment(1).summary(rows),
        "plan for 1e8 training environments, from that cost": pd.Series(plan, name="needed").to_frame(),
    }


def table(log, folder, times):
    names = ["handed out", "CPU ms a replication", "fixed CPU s", "wall s"]
    found = pd.read_csv(log, sep="\t", names=names).drop_duplicates("handed out", keep="last").set_index("handed out")
    found["beyond one process, ms"] = found[names[1]] - found.loc[WAYS[0], names[1]]
    empty = found.index.str.startswith("empty")
    parts = {
        "2,000 replications, by how they are handed out": found[~empty].sort_values(names[1], ascending=False),
        "handing out alone": found.loc[empty, [names[1]]].sort_values(names[1], ascending=False),
    }
    record("pac_scale", parts | collect(folder, times), packages=("joblib", "distributed"))


if __name__ == "__main__":
    if sys.argv[1] == "way":
        one_way(WAYS[int(sys.argv[2])], sys.argv[3])
    else:
        {"empty": empty, "table": table}[sys.argv[1]](*sys.argv[2:])
