"""One pass over Parquet beside bare reading, and the same moments from every engine.

``python scan.py [ROWS]``: 1e8 rows of 20 columns by default (16 GB, written in pieces under $TMPDIR and removed after).
``python scan.py default [ROWS]``: the two passes alone, over files as pandas writes them (dictionary, Snappy).
``python scan.py cpu [ROWS]`` and ``python scan.py engines [ROWS]``: one part of the record alone.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from _record import record

from causalinv import IVLikeRegression, Moments

X, G = [f"x{j}" for j in range(15)], [f"z{j}" for j in range(4)]
GROUP = 131_072
TWO_PASSES = """
import resource, sys, time
from causalinv import IVLikeRegression, Moments
path, = sys.argv[1:]
X, G = [f"x{j}" for j in range(15)], [f"z{j}" for j in range(4)]
began = time.perf_counter()
m = Moments.scan(path, x=X, y="y", g=G, n_threads=2)
model = IVLikeRegression(alpha=0.1).fit_moments(m)
model.alpha_path([0.0, 0.1, 1.0, 10.0])
first = time.perf_counter()
model.covariance(source=path, n_threads=2)
print(first - began, time.perf_counter() - first, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def piece(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z, hidden = rng.normal(size=(n, 4)), rng.normal(size=n)
    x = rng.normal(size=(n, 15))
    x[:, :4] += z + 0.7 * hidden[:, None]
    return pd.DataFrame(np.c_[x, x @ np.linspace(1, 2, 15) + 2 * hidden + rng.normal(size=n), z], columns=[*X, "y", *G])


def write(folder: Path, n: int, **how) -> None:
    """Files of about 1e7 rows, row groups of 131,072; plain numbers, the fastest to read, unless `how` says more."""
    how = how or {"use_dictionary": False, "compression": "none"}
    rng = np.random.default_rng(0)
    for k, start in enumerate(range(0, n, 76 * GROUP)):
        rows = min(76 * GROUP, n - start)
        with pq.ParquetWriter(
            folder / f"part-{k:03d}.parquet",
            pa.schema([(name, pa.float64()) for name in [*X, "y", *G]]),
            **how,
        ) as out:
            for at in range(0, rows, GROUP):
                out.write_table(pa.Table.from_pandas(piece(rng, min(GROUP, rows - at))), row_group_size=GROUP)


def bare(folder: Path) -> float:
    """Seconds to read the same row groups with two threads, and nothing else."""
    parts = [part for file in ds.dataset(folder).get_fragments() for part in file.split_by_row_group()]
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda part: part.to_table(use_threads=False).num_rows, parts):
            pass
    return time.perf_counter() - began


def one_thread(n: int) -> pd.DataFrame:
    """CPU seconds of one thread over a file in the page cache, least of five: what a busy machine distorts least."""
    folder = Path(tempfile.mkdtemp(prefix="causalinv-scan-"))
    try:
        write(folder, n)
        asked = {"x": X, "y": "y", "g": G, "n_threads": 1}
        model = IVLikeRegression(alpha=0.1).fit_moments(Moments.scan(folder, **asked))
        parts = [part for file in ds.dataset(folder).get_fragments() for part in file.split_by_row_group()]
        ways = {
            "second pass": lambda: model.covariance(source=folder, n_threads=1),
            "scan": lambda: Moments.scan(folder, **asked),
            "bare reading": lambda: [part.to_table(use_threads=False) for part in parts],
        }
        spent = {}
        for name, way in ways.items():
            times = []
            for _ in range(5):
                began = time.process_time()
                way()
                times.append(time.process_time() - began)
            spent[name] = {"rows": n, "CPU s": min(times)}
    finally:
        shutil.rmtree(folder)
    table = pd.DataFrame(spent).T
    table["rows"] = table["rows"].astype(int)
    return table.assign(ratio=table["CPU s"] / table["CPU s"].iloc[-1])


def two_passes(folder: Path) -> tuple[float, float, float]:
    """Seconds of a scan with an IVL path, of its robust errors, and peak memory of the process in MB."""
    done = subprocess.run([sys.executable, "-c", TWO_PASSES, str(folder)], capture_output=True, text=True, check=True)
    scan, errors, memory = map(float, done.stdout.split())
    return scan, errors, memory


def large(n: int, **how) -> pd.DataFrame:
    folder = Path(tempfile.mkdtemp(prefix="causalinv-scan-"))
    try:
        write(folder, n, **how)
        size = sum(file.stat().st_size for file in folder.iterdir()) / 1e9
        rows = []
        for _ in range(3):
            read = bare(folder)
            scan, errors, memory = two_passes(folder)
            rows.append([n, size, read, scan, scan / read, errors, errors / read, memory])
    finally:
        shutil.rmtree(folder)
    columns = ["rows", "GB", "bare, s", "scan and path, s", "ratio", "robust errors, s", "ratio 2", "peak MB"]
    return pd.DataFrame(rows, columns=columns).sort_values("ratio", ascending=False)


def engines(n: int) -> pd.DataFrame:
    """The same coefficients from every engine; seconds of the pass alone."""
    import dask.dataframe as dd
    import distributed
    import duckdb
    import polars as pl

    rows = pd.concat([piece(np.random.default_rng(k), GROUP) for k in range(n // GROUP)], ignore_index=True)
    folder = Path(tempfile.mkdtemp(prefix="causalinv-scan-"))
    rows.to_parquet(folder / "t.parquet", row_group_size=GROUP, index=False)
    held = duckdb.connect()
    held.execute(f"CREATE TABLE t AS SELECT * FROM '{folder / 't.parquet'}'")
    asked = {"x": X, "y": "y", "g": G}
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    client = distributed.Client(cluster)
    ways = {
        "pandas frame": (rows, None),
        "Parquet": (folder, None),
        "Arrow data set": (ds.dataset(folder), None),
        "polars lazy": (pl.scan_parquet(folder / "*.parquet"), None),
        "DuckDB relation": (held.table("t"), None),
        "DuckDB, two statements": ("t", held),
        "Dask, two worker processes": (dd.read_parquet(folder), None),
    }
    postgres = _postgres(folder, rows)
    if postgres is not None:
        ways["PostgreSQL, two statements"] = ("t", postgres)
    whole = IVLikeRegression(alpha=0.1).fit(rows[X], rows["y"], instruments=rows[G])
    truth, errors = whole.coef_, whole.covariance(cov_type="misspecified")
    first = _least(lambda: Moments.from_rows(x=rows[X], y=rows[["y"]], g=rows[G]))
    second = _least(lambda: whole.covariance(cov_type="misspecified"))
    found = {"in memory": [len(rows), first, 0.0, second, 0.0]}
    for name, (source, connection) in ways.items():
        first = _least(lambda at=source, by=connection: Moments.scan(at, connection=by, **asked))
        model = IVLikeRegression(alpha=0.1).fit_moments(Moments.scan(source, connection=connection, **asked))
        second = _least(lambda m=model, at=source, by=connection: m.covariance(source=at, connection=by))
        away = np.abs(model.coef_ / truth - 1).max()
        found[name] = [len(rows), first, away, second]
        found[name].append(np.abs(model.covariance(source=source, connection=connection) / errors - 1).max())
    client.close()
    cluster.close()
    shutil.rmtree(folder)
    columns = ["rows", "scan, s", "coefficients differ by", "robust errors, s", "covariances differ by"]
    table = pd.DataFrame(found, index=columns).T.sort_values("scan, s", ascending=False)
    table["rows"] = table["rows"].astype(int)
    for column in columns[2::2]:
        table[column] = table[column].map("{:.1e}".format)
    return table


def _least(way) -> float:
    """Wall seconds, the least of three."""
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        way()
        spent.append(time.perf_counter() - began)
    return min(spent)


def _postgres(folder: Path, rows: pd.DataFrame):
    """A server in the folder, if there is one on this machine; it dies with the folder's removal and this process."""
    import atexit
    import os

    import sqlalchemy as sa

    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not places:
        return None
    home = Path(tempfile.mkdtemp(prefix="causalinv-pg-", dir="/tmp"))
    user = []
    if os.geteuid() == 0:
        shutil.chown(home, "postgres")
        user = ["runuser", "-u", "postgres", "--"]

    def call(*command):
        subprocess.run([*user, *command], cwd=home, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    call(str(places[0] / "initdb"), "-D", str(home / "d"), "-A", "trust", "-U", "postgres", "--no-sync")
    control = [str(places[0] / "pg_ctl"), "-D", str(home / "d")]
    call(*control, "-o", f"-k {home} -c listen_addresses='' -c fsync=off", "-l", str(home / "log"), "-w", "start")
    atexit.register(lambda: (call(*control, "-m", "immediate", "stop"), shutil.rmtree(home, ignore_errors=True)))
    engine = sa.create_engine(f"postgresql+psycopg://postgres@/postgres?host={home}")
    columns = ", ".join(f'"{name}" double precision' for name in rows.columns)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE t ({columns})"))
        cursor = connection.connection.cursor()
        with cursor.copy("COPY t FROM STDIN WITH CSV") as copy:
            for start in range(0, len(rows), 50_000):
                copy.write(rows[start : start + 50_000].to_csv(index=False, header=False))
    return engine


def main(words: list[str]) -> None:
    title = "CPU seconds of one thread, Parquet in the page cache"
    few = "The same moments and covariances from every engine"
    packed = (
        "Parquet as pandas writes it (dictionary, Snappy): the same two passes beside bare reading, two threads each"
    )
    alone = {"cpu": (title, one_thread, 1_048_576), "engines": (few, engines, 1_048_576)}
    alone["default"] = (packed, lambda n: large(n, compression="snappy"), 100_000_000)
    if words and words[0] in alone:
        name, way, n = alone[words[0]]
        parts = {name: way(int(float(words[1])) if len(words) > 1 else n)}
        record("scan", parts, packages=("pyarrow", "polars", "duckdb", "dask", "sqlalchemy"), keep=True)
        return
    n = int(float(words[0])) if words else 100_000_000
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record(
        "scan",
        {
            "Parquet: a pass with an IVL path, one for robust errors, beside bare reading, two threads each": large(n),
            title: one_thread(1_048_576),
            few: engines(1_048_576),
            "Notes": f"Peak memory counts the interpreter and imports ({base:.0f} MB here before any row is read).",
        },
        packages=("pyarrow", "polars", "duckdb", "dask", "sqlalchemy"),
        keep=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
