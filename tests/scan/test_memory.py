"""A million rows in Parquet need the memory of a few row groups."""

import subprocess
import sys

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")
import pyarrow.parquet as pq  # noqa: E402

SCAN = """
import resource, sys
import pyarrow.dataset
from causalinv import Moments
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
m = Moments.scan(sys.argv[1], x=[f"x{j}" for j in range(19)], y="x19", n_threads=2)
print(int(m.count[0]), peak() - before)
"""


def test_a_million_rows_stay_in_the_file(tmp_path):
    rng = np.random.default_rng(0)
    group = 65_536
    names = [f"x{j}" for j in range(20)]
    with pq.ParquetWriter(
        tmp_path / "t.parquet", pa.schema([(name, pa.float64()) for name in names]), use_dictionary=False
    ) as out:
        rows = pa.table({name: rng.normal(size=group) for name in names})
        for _ in range(16):
            out.write_table(rows, row_group_size=group)
    done = subprocess.run([sys.executable, "-c", SCAN, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n, more = done.stdout.split()
    assert int(n) == 16 * group
    whole = 16 * group * 20 * 8 / 2**20  # 160 MB
    assert float(more) < 0.7 * whole
