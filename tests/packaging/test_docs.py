"""Pages of the API hold every public name once; pages of mathematics name modules that exist."""

import importlib.util
import re
from pathlib import Path

import pytest

import causalinv

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("causalinv_docs_api", ROOT / "docs" / "_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pages()


def exported():
    """Doors read from the sources, without importing them."""
    found = {}
    for path in sorted((ROOT / "causalinv").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        listed = re.search(r"^__all__ = \[(.*?)\]", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        if listed:
            name = ".".join(part for part in parts if part != "__init__")
            found[name] = re.findall(r'"(\w+)"', listed[1])
    return found


def test_every_public_name_stands_on_the_page_of_every_door(pages):
    doors = exported()
    assert set(doors) == set(pages)
    assert "IVLikeRegression" in doors["causalinv"]
    for door, names in doors.items():
        for name in names:
            here = rf"^\.\. auto\w+:: {re.escape(door)}\.{name}$|^- :py:obj:`{name} <"
            assert len(re.findall(here, pages[door], flags=re.MULTILINE)) == 1, f"{door}.{name}"


def test_every_name_is_documented_in_one_place_and_links_lead_there(pages):
    text = "\n".join(pages.values())
    documented = re.findall(r"^\.\. auto(?:class|function|data):: (\S+)$", text, flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(re.findall(r"<(causalinv\S+)>`", text)) <= set(documented)
    homes = {f"{causalinv._HOME[name]}.{name}" for name in causalinv.__all__}
    assert {name.rpartition(".")[2] for name in homes} <= {name.rpartition(".")[2] for name in documented}


def test_modules_that_pages_and_recipes_name_exist():
    pages = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*/*.md"))]
    named = [(page.name, path) for page in pages for path in re.findall(r"`((?:[a-z_]+/)*\w+\.py)`", page.read_text())]
    assert len(named) > 20
    files = [found.relative_to(ROOT).as_posix() for found in ROOT.glob("*/**/*.py")]
    for page, path in named:
        assert any(f"/{file}".endswith(f"/{path}") for file in files), f"{page} names {path}, which does not exist"
