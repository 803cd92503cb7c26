"""What one version pickled, this one reads: its own pickles from another process, and those of releases."""

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "make_pickles.py"
RELEASES = sorted(path.parent for path in (ROOT / "tests" / "golden" / "pickles").glob("*/answers.json"))


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("make_pickles", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pickles")
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, SCRIPT, "--here", folder], check=True, cwd=folder, env=env)
    return folder


def read_again(folder, recipe):
    told = json.loads((folder / "answers.json").read_text())["answers"]
    assert told
    for name, expected in told.items():
        found = recipe.numbers(recipe.FITS[name][1](pickle.loads((folder / f"{name}.pkl").read_bytes())))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_another_process_of_this_version_is_read(own, recipe):
    assert {path.stem for path in own.glob("*.pkl")} == set(recipe.FITS)
    read_again(own, recipe)


@pytest.mark.parametrize("folder", RELEASES, ids=lambda folder: folder.name)
def test_releases_are_read(folder, recipe):
    read_again(folder, recipe)
