"""The inner loop: ``nox -l`` lists it. What gates landing is `.ci/run`, which needs no nox."""

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, arrows among modules, and the changelog."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")
    session.run(".ci/changelog", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Types of the package."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def pyright(session: nox.Session) -> None:
    """Types of a user's script, by the other checker."""
    session.install("-e", ".[dev]", "pyright")
    session.run("pyright", "tests/packaging/user_script.py")


@nox.session
def room(session: nox.Session) -> None:
    """Tests of one room: nox -s room -- bounds [options of pytest]."""
    if not session.posargs:
        session.error("name a room, a folder of tests/: nox -s room -- bounds")
    session.install("-e", ".[test]")
    name, *options = session.posargs
    session.run("python", "-m", "pytest", "-q", f"tests/{name}", *options, env=ONE_THREAD)


@nox.session
def tests(session: nox.Session) -> None:
    """All fast tests."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-q", "-n", "2", *session.posargs, env=ONE_THREAD)


@nox.session
def docs(session: nox.Session) -> None:
    """Pages, warnings as errors."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "docs", "docs/_build")
