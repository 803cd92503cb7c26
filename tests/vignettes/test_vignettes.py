"""Every vignette runs and keeps the claim that it ends with."""

import runpy
from pathlib import Path

import pytest

VIGNETTES = sorted((Path(__file__).parents[2] / "vignettes").glob("[0-9]*.py"))


@pytest.mark.parametrize("path", VIGNETTES, ids=lambda path: path.stem)
def test_vignette_runs(path, capsys):
    assert "assert" in path.read_text().split("# %%")[-1]
    runpy.run_path(str(path))
    assert capsys.readouterr().out
