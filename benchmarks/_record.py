"""Write a result table with what is needed to repeat it: command, date, versions, machine."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results"


def record(
    name: str, sections: dict[str, pd.DataFrame | str], *, packages: tuple[str, ...] = (), keep: bool = False
) -> None:
    """Print the sections and write them to ``results/<name>.md``.

    With `keep`, sections of other titles that the file holds already stay, and each section has its own command, date
    and versions: parts of a study can be run one at a time.
    """
    versions = []
    for package in ("causalinv", "numpy", "scipy", "scikit-learn", *packages):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} {'(this checkout)' if package == 'causalinv' else 'absent'}")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    stamp = (
        f"`python {command}`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        + ", ".join(versions)
        + f"; {os.cpu_count()} cores ({platform.machine()}), "
        + f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}."
    )
    made = {title: body if isinstance(body, str) else _table(body) for title, body in sections.items()}
    file = RESULTS / f"{name}.md"
    if keep:
        made = _kept(file) | {title: f"{stamp}\n\n{text}" for title, text in made.items()}
    head = f"# {name}" if keep else f"# {name}\n\n{stamp}"
    text = "\n\n".join([head, *(f"## {title}\n\n{body}" for title, body in made.items())])
    RESULTS.mkdir(exist_ok=True)
    file.write_text(text + "\n")
    print(text)


def _table(body: pd.DataFrame) -> str:
    return "```text\n" + body.to_string(float_format="{:.4f}".format) + "\n```"


def _kept(file: Path) -> dict[str, str]:
    """Sections by title that a file of results holds."""
    parts = file.read_text().split("\n## ")[1:] if file.exists() else []
    return {title: body.strip() for title, _, body in (part.partition("\n") for part in parts)}
