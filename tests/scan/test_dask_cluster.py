"""A real scheduler with two worker processes, one of which is killed on the way."""

from __future__ import annotations

import os
import signal

import numpy as np
import pandas as pd
import pytest

from causalinv import Moments

from .test_sources import ASKED, assert_same, from_rows

dd = pytest.importorskip("dask.dataframe", reason="dask is not installed (extra dask)")
distributed = pytest.importorskip("distributed", reason="distributed is not installed (extra dask)")


def _slowly(part: pd.DataFrame, folder: str) -> pd.DataFrame:
    """Kill the worker that is the first to hold the fifth partition; the second try goes through."""
    mark = os.path.join(folder, "killed")
    if len(part) and part.index[0] >= 2_000 and not os.path.exists(mark):
        with open(mark, "w") as file:
            file.write(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return part


@pytest.mark.filterwarnings("ignore")  # the scheduler says that a worker has died
def test_a_worker_that_dies_changes_nothing(table, tmp_path):
    frame = dd.from_pandas(table, npartitions=12).map_partitions(_slowly, str(tmp_path), meta=table.iloc[:0])
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs=50
    )
    with cluster, distributed.Client(cluster):
        found = Moments.scan(frame, **ASKED)
    assert (tmp_path / "killed").exists()
    assert_same(found, from_rows(table), level=1e-8)
    assert np.isfinite(found.cov("x")).all()
