"""Shared fixtures: reproducible property tests, and real data where they are at hand."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # processes share the cores already; read before numpy is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("causalinv", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("causalinv")


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder with the real data sets, which the project never ships and tests never download."""
    told = os.environ.get("CAUSALINV_DATA")
    candidates = [Path(told)] if told else [Path(__file__).parents[2] / "shared" / "data"]
    for home in candidates:
        if (home / "optical_device").is_dir() and (home / "sachs").is_dir():
            return home
    pytest.skip("real data are not at hand: set CAUSALINV_DATA to a folder with optical_device/ and sachs/ in it")
