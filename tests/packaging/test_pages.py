"""Pages of the site: code runs, numbers are those of the records, tasks stay short."""

import importlib.util
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RECORDS = ROOT / "benchmarks" / "results"


def _load(name):
    spec = importlib.util.spec_from_file_location(f"causalinv_docs{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


code = _load("_code")


# The longest by far; the build of the site runs it too, and fails where it does.
LONG = DOCS / "rooms" / "extrapolation.md"


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page == LONG)) for page in code.executed()]
)
def test_cells_of_a_page_run_without_a_warning(page, capsys, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot", reason="pages and vignettes draw (extra plot)")
    pytest.importorskip("dask.dataframe", reason="a page scans a Dask frame (extra dask)")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(distributed|dask|tornado|asyncio)")
        code.run(page.read_text())
    plt.close("all")


def test_every_room_has_a_page_that_shows_a_picture_and_says_the_same_five_things():
    pages = {page.stem: page.read_text() for page in (DOCS / "rooms").glob("*.md") if page.stem != "index"}
    assert set(pages) == {"ivlike", "invariance", "bounds", "extrapolation", "symmetry", "representation", "sem"}
    for name, text in pages.items():
        for part in ("**Question.**", "**Estimand.**", "**Assumption", "**Formula.**"):
            assert part in text, f"{name} lacks {part}"
        for heading in ("## How to read it", "## What can go wrong"):
            assert heading in text, f"{name} lacks {heading}"
        assert "picture = " in text, f"{name} shows no picture"


def test_the_five_tasks_have_at_most_eight_lines_each():
    cells = code.cells((DOCS / "five_tasks.md").read_text())
    tasks = [[line for line in body.splitlines() if line.strip()] for options, body in cells if "[task]" in options]
    assert len(tasks) == 5
    assert max(len(lines) for lines in tasks) <= 8
    assert max(len(line) for lines in tasks for line in lines) <= 120


_NUMBER = re.compile(r"(?<![\w.])\d+\.\d{3,}(?![\w.]*\d)|(?<![\w.])\d\.\d+e[-+]\d+|(?<![\w.])0\.\d+")


@pytest.mark.parametrize(("name", "least"), [("departures", 20), ("validity", 20), ("pac_at_scale", 3)])
def test_numbers_of_the_page_stand_in_the_record_it_names(name, least):
    """Of each paragraph or row that names a record: a number with decimals is one of the record's."""
    text = (DOCS / f"{name}.md").read_text()
    pieces = text.splitlines() if name == "validity" else text.split("\n\n")
    checked = 0
    for piece in pieces:
        records = [each for each in re.findall(r"`(\w+)`", piece) if (RECORDS / f"{each}.md").exists()]
        if not records:
            continue
        held = " ".join((RECORDS / f"{each}.md").read_text() for each in records)
        for number in _NUMBER.findall(piece):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", held), f"{number} is not in {records}: {piece}"
            checked += 1
    assert checked >= least


def test_every_record_has_a_room_on_the_site():
    listed = _load("_records")
    for path in RECORDS.glob("*.md"):
        assert path.stem.split("_")[0] in listed.ROOMS, f"{path.name} would stand under the wrong heading"


def test_every_vignette_has_a_title_and_says_what_one_learns():
    pytest.importorskip("jupytext", reason="of the extra docs")
    gallery = _load("_gallery")
    assert len(gallery.scripts()) >= 12
    for path in gallery.scripts():
        assert gallery.title(path.read_text())
        assert gallery.lesson(path.read_text()), f"{path.name} does not say what one will learn"
