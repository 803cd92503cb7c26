"""Importing is light, metadata live in one file, and the README tells the truth."""

import ast
import configparser
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import causalinv

ROOT = Path(__file__).parents[2]
HEAVY = ("cvxpy", "statsmodels", "matplotlib", "networkx", "torch")


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()


def test_import_loads_nothing_heavy():
    out = run(f"import sys, causalinv; print([m for m in sys.modules if m.split('.')[0] in {(*HEAVY, 'sklearn')!r}])")
    assert out == "[]"


def test_every_room_loads_nothing_heavy():
    rooms = ", ".join(f"causalinv.{room}" for room in causalinv._ROOMS)
    assert run(f"import sys, {rooms}; print([m for m in sys.modules if m.split('.')[0] in {HEAVY!r}])") == "[]"


def test_every_public_name_resolves():
    assert set(causalinv.__all__) <= set(dir(causalinv))
    for name in dir(causalinv):
        assert getattr(causalinv, name) is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+", causalinv.__version__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        causalinv.nonsense  # noqa: B018


def test_typed_marker_is_shipped():
    assert (Path(causalinv.__file__).parent / "py.typed").is_file()


def test_setup_cfg_states_its_job_and_holds_no_metadata():
    text = (ROOT / "setup.cfg").read_text()
    assert text.splitlines()[0].startswith("# The job of this file")
    parser = configparser.ConfigParser()
    parser.read_string(text)
    assert not {"metadata", "options"} & set(parser.sections())


def test_readme_code_prints_what_the_readme_says():
    text = (ROOT / "README.md").read_text()
    code, expected = re.search(r"```python\n(.*?)```\n```text\n(.*?)```", text, flags=re.DOTALL).groups()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    assert run(code) == expected.strip()


@pytest.mark.parametrize("job", ["causalinv", "pytest -n 2 --dist worksteal"])
def test_commands_of_the_readme_are_those_that_the_checks_read(job):
    """`.ci/run` takes them from the README by this pattern: a whole line, indented by four."""
    assert f"readme {'causalinv' if job == 'causalinv' else repr(job)}" in (ROOT / ".ci" / "run").read_text()
    lines = (ROOT / "README.md").read_text().splitlines()
    assert sum(bool(re.fullmatch(rf"    python -m pip install .* && python -m {job}", line)) for line in lines) == 1


def test_readme_fits_one_screen_and_opens_its_warnings_with_the_proxy():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 75
    warning = text.split("## When not to use it")[1].strip()
    assert warning.startswith("1. **A feature you call ignored is a proxy of the confounder.**")


def test_peers_of_the_readme_are_those_of_the_records():
    """Every number with decimals stands in the record of the command in its row."""
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if line.endswith(".py` |")]
    assert len(rows) >= 4
    for row in rows:
        name = re.search(r"`(\w+)\.py`", row).group(1)
        record = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text()
        assert f"python {name}.py" in record
        assert (ROOT / "benchmarks" / f"{name}.py").exists()
        peer, _, found, _ = (cell.strip() for cell in row.strip("|").split("|"))
        numbers = re.findall(r"\d+\.\d+(?:e-\d+)?", found)
        assert all(number in record for number in numbers), (name, numbers)
        assert peer in record or peer.split()[0] in record, peer


def public_callables():
    """Classes and functions that the rooms export."""
    found = {}
    for module in pkgutil.walk_packages(causalinv.__path__, "causalinv."):
        if "._" in module.name or ".tour.chapter_" in module.name:  # what chapters take, the tour documents once
            continue
        room = importlib.import_module(module.name)
        found |= {f"{module.name}.{name}": getattr(room, name) for name in getattr(room, "__all__", ())}
    return {name: value for name, value in found.items() if inspect.isfunction(value) or inspect.isclass(value)}


def documented_names(value):
    """Names that stand, as numpydoc has it, at the head of a description: ``name, other : type``."""
    doc = inspect.getdoc(value) or ""
    heads = re.findall(r"^(\**\w+(?:, \**\w+)*)(?: : .*)?$", doc, flags=re.MULTILINE)
    return {name.strip(" *") for head in heads for name in head.split(",")}


@pytest.mark.parametrize("name", sorted(public_callables()))
def test_public_names_document_every_parameter(name):
    value = public_callables()[name]
    if inspect.isclass(value) and issubclass(value, Warning | Exception):
        assert inspect.getdoc(value)
        return
    homes = value.__mro__[:-1] if inspect.isclass(value) else [value]
    documented = set().union(*(documented_names(home) for home in homes))
    missing = set(inspect.signature(value).parameters) - documented - {"args", "kwargs"}
    assert not missing, f"{name} does not document {sorted(missing)}"
    if inspect.isclass(value):
        for method, function in inspect.getmembers(value, inspect.isfunction):
            if not method.startswith("_") and function.__module__.startswith("causalinv"):
                assert inspect.getdoc(function), f"{name}.{method} has no docstring"


def test_names_at_the_top_are_one_list():
    import causalinv

    assert sorted(causalinv.__all__) == sorted(causalinv._HOME)
    for room in causalinv._ROOMS:
        assert getattr(causalinv, room).__name__ == f"causalinv.{room}"


def test_every_warning_goes_through_the_one_that_finds_the_users_line():
    package = Path(__file__).parents[2] / "causalinv"
    for path in package.rglob("*.py"):
        text = path.read_text()
        assert "stacklevel" not in text, path
        assert path.name == "_warn.py" or "warnings.warn(" not in text, path


# Where a decomposition outside _matrix decides no rank, with the reason. One name stands for all its uses in that file.
_NO_RANK = {
    "extrapolation/_dimension.py": {"eigh": "effects with standard errors; how many count is a test"},
    "extrapolation/_exponential_family.py": {"eigh": "square roots; a singular draw is refused, not cut"},
    "bounds/_location.py": {
        "eigh": "ridges and roughness, which shrink directions in their order and cut none",
    },
    "ivlike/_conditional.py": {"eigh": "roots of a pair of forms; where the second has no spread it is refused"},
    "ivlike/_sign_flips.py": {
        "eigh": "leverages of a cluster, between 0 and 1",
        "eigvalsh": "the largest eigenvalue, a bound",
    },
    "extrapolation/_instrumental.py": {"eigh": "an order of directions, none dropped"},
    "extrapolation/_location.py": {"eigh": "a Newton step on the absolute curvature, every direction kept"},
    "extrapolation/_representation.py": {"eigh": "rotations to principal axes; how many count is the caller's"},
    "extrapolation/_response.py": {"eigh": "ridges, which shrink every direction and cut none"},
    "invariance/_kept.py": {"eigvalsh": "spreads by direction, all of them summed"},
    "invariance/certificates/_declared.py": {
        "eigvalsh": "how much variance an environment adds, against sampling noise"
    },
    "invariance/rules/_moment_inference.py": {"eigh": "directions to begin searches in, none dropped"},
    "invariance/rules/_sites.py": {
        "eigh": "strengths of directions, against the edge of sampling noise",
        "eigvalsh": "the simulated law of that edge",
    },
    "ivlike/_pairs.py": {
        "eigh": "principal directions where all are long; else Translation.from_pairs",
        "svd": "directions of pairs, whose rank is known",
    },
    "ivlike/_kclass.py": {"eigh": "LIML's root; where residuals have no spread it is refused"},
    "inspection/_representation.py": {"eigvalsh": "a spectrum that is drawn whole"},
    "ivlike/_sensitivity.py": {"eigvalsh": "the largest eigenvalue, a length"},
    "ivlike/_paths.py": {"eigh": "strengths where all are well conditioned; else the whole decomposition"},
    "ivlike/_strength.py": {"eigh": "a spectrum of which all is kept without a doubt; else range_eigh"},
    "ivlike/_weak_identification.py": {
        "eig": "roots of a polynomial, the ends of a set",
        "eigh": "ends of quadratic sets; what fits exactly is refused, or the line",
    },
    "moments/_cells.py": {"eigvalsh": "whether a scatter is a covariance at all"},
    "representation/_collapse.py": {"eigvalsh": "whether noise hides a direction between means; NaN then, none cut"},
    "representation/_entropy.py": {
        "eigh": "landmarks of a kernel, whose error is reported",
        "eigvalsh": "an entropy of all eigenvalues",
    },
    "representation/_procrustes.py": {"eigh": "a trust region's secular equation, every direction in it"},
    "representation/_spectrum.py": {"eigh": "a spectrum with its error, none cut"},
    "sem/_graph.py": {"eigvals": "the spectral radius of a feedback loop"},
    "sem/_random.py": {"eigvals": "the spectral radius of a feedback loop"},
    "symmetry/_soft_invariance.py": {"eigh": "square roots of variance components, kept whole"},
    "transformations/_axes.py": {"eigh": "principal axes of clouds; near ties are found by their gaps, none dropped"},
    "transformations/_linear.py": {
        "eigh": "the exponential of a symmetric map, and whitening of clouds of full rank",
        "eigvalsh": "a density on the group, every eigenvalue in it",
        "svd": "polar coordinates of regular maps",
    },
}
_RANKS = {"svd", "svdvals", "eig", "eigh", "eigvals", "eigvalsh", "lstsq", "pinv", "pinvh", "matrix_rank", "null_space"}
_RANKS |= {"orth", "pivoting"}


def test_rank_is_decided_in_the_matrix_module_alone():
    """Eigenvalue cuts, pseudo-inverses and least-squares ranks stand in one file."""
    package = Path(__file__).parents[2] / "causalinv"
    found: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        if path.name == "_matrix.py" or path.parent.name == "tour":  # a chapter is a user's own code
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            words = set()
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("linalg"):
                words = {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("linalg"):
                words = {node.attr}
            elif isinstance(node, ast.Call):
                words = {keyword.arg for keyword in node.keywords if keyword.arg == "pivoting"}
            if words & _RANKS:
                found.setdefault(path.relative_to(package).as_posix(), set()).update(words & _RANKS)
    assert found == {path: set(reasons) for path, reasons in _NO_RANK.items()}
