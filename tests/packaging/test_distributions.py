"""What is shipped: the wheel holds the package alone, the sdist all that its tests need, and neither holds data."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
_CODE = {".py", ".md", ".toml", ".cfg", ".cff", ".json", ".yaml", ".yml", ".rst", ".txt", ".css", ".in", ".typed", ""}


def tracked():
    """Files that git follows, as they are in the working tree; without git there is nothing to compare with."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    pytest.importorskip("setuptools", minversion="77", reason="builds the distributions")
    tree = tmp_path_factory.mktemp("tree")
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes((ROOT / name).read_bytes())
    code = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=tree, check=True, capture_output=True)
    (sdist,), (wheel,) = (tree / "dist").glob("*.tar.gz"), (tree / "dist").glob("*.whl")
    with tarfile.open(sdist) as archive:
        shipped = {str(PurePosixPath(*PurePosixPath(m.name).parts[1:])) for m in archive if m.isfile()}
    return tree, shipped, set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_the_sdist_holds_all_that_the_tests_need(distributions):
    _, shipped, _ = distributions
    wanted = [
        name for name in tracked() if name.split("/")[0] in {"causalinv", "tests", "docs", "vignettes", "benchmarks"}
    ]
    wanted += ["README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"]
    assert set(wanted) - shipped == set()


@pytest.mark.slow
def test_the_wheel_holds_the_package_alone(distributions):
    tree, _, inside = distributions
    package = {path.relative_to(tree).as_posix() for path in (tree / "causalinv").rglob("*") if path.is_file()}
    assert {name for name in inside if ".dist-info/" not in name} == {
        name for name in package if "__pycache__" not in name
    }
    assert "causalinv/py.typed" in inside
    assert any(name.endswith("licenses/LICENSE") for name in inside)


@pytest.mark.slow
def test_no_data_is_shipped(distributions):
    _, shipped, inside = distributions
    odd = {name for name in shipped | inside if PurePosixPath(name).suffix not in _CODE}
    assert {name for name in odd if not name.startswith("tests/golden/pickles/")} == set()
