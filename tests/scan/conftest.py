"""One table, as every engine holds it, and a PostgreSQL of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def table() -> pd.DataFrame:
    """5,000 rows: an outcome far from 0, weights of 0, a flag, whole numbers, labels of two kinds."""
    rng = np.random.default_rng(0)
    n = 5_000
    rows = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    rows["y"] = 1e6 + rows.a + rng.normal(size=n)
    rows["flag"] = rng.random(n) < 0.4
    rows["age"] = rng.integers(20, 90, n)
    rows["site"] = rng.choice(["north", "south", "west"], n)
    rows["fold"] = rng.integers(0, 3, n)
    rows["w"] = rng.choice([0.0, 0.5, 2.0], n)
    return rows


def _postgres() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


@pytest.fixture(scope="session")
def postgres_url():
    """Address of a server that this session starts in a folder of its own, on a socket, and stops."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra test)")
    programs = _postgres()
    if programs is None:
        pytest.skip("PostgreSQL is not installed on this machine: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="causalinv-pg-", dir="/tmp"))  # sockets need short paths
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root and there is no user postgres")
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]

    def call(*command: str) -> None:
        done = subprocess.run([*as_user, *command], capture_output=True, text=True, cwd=folder, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    data = folder / "data"
    call(str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    start = [
        *as_user,
        str(programs / "pg_ctl"),
        "-D",
        str(data),
        "-o",
        options,
        "-l",
        str(folder / "log"),
        "-w",
        "start",
    ]
    done = subprocess.run(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, check=False)
    assert done.returncode == 0, (folder / "log").read_text()
    yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    call(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)
