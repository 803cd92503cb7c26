"""Write a result table with what is needed to repeat it: command, date, versions, machine."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results"


def record(name: str, sections: dict[str, pd.DataFrame | str], *, packages: tuple[str, ...] = ()) -> None:
    """Print the sections and write them to ``results/<name>.md``."""
    versions = []
    for package in ("causalinv", "numpy", "scipy", "scikit-learn", *packages):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} {'(this checkout)' if package == 'causalinv' else 'absent'}")
    lines = [
        f"# {name}",
        "",
        f"`python {Path(sys.argv[0]).name}`, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, "
        + ", ".join(versions)
        + f"; {os.cpu_count()} cores ({platform.machine()}), "
        + f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}.",
    ]
    for title, body in sections.items():
        text = body if isinstance(body, str) else "```text\n" + body.to_string(float_format="{:.4f}".format) + "\n```"
        lines += ["", f"## {title}", "", text]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
