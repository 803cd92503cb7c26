"""Recorded tables of ``benchmarks/results/`` as pages, and the changelog: nothing is typed twice."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

ROOMS = {
    "ivlike": "IV-like regression",
    "optical": "IV-like regression",
    "icp": "Invariance",
    "invariance": "Invariance",
    "neutral": "Invariance",
    "pac": "Invariance",
    "sachs": "Invariance",
    "conformal": "Invariance",
    "bounded": "Invariance",
    "hidden": "Invariance",
    "kurtosis": "Invariance",
    "screening": "Invariance",
    "bounds": "Bounds",
    "extrapolation": "Extrapolation",
    "symmetry": "Symmetry and representation",
    "representation": "Symmetry and representation",
    "sem": "Ground and models",
    "scan": "Ground and models",
    "small": "Ground and models",
    "contract": "Ground and models",
    "growth": "Ground and models",
}


def room(name: str) -> str:
    """Heading under which a record stands."""
    return ROOMS.get(name.split("_", maxsplit=1)[0], "Ground and models")


def write(folder: Path) -> None:
    """Copy records, write the page that lists them by room, and copy the changelog."""
    folder.mkdir(exist_ok=True)
    by_room: dict[str, list[str]] = {each: [] for each in ROOMS.values()}
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.md")):
        text = path.read_text()
        if not text.startswith("# "):
            text = f"# {path.stem}\n\n{text}"
        # The first heading is the page's; a second of the same depth would be another page's.
        first, _, rest = text.partition("\n")
        rest = re.sub(r"^# ", "## ", rest, flags=re.MULTILINE)
        (folder / path.name).write_text(f"{first}\n{rest}")
        by_room[room(path.stem)].append(path.stem)
    lines = [
        "# All records",
        "",
        "As the programs in `benchmarks/` wrote them: command, versions, losing cells first.",
        "",
    ]
    for heading, names in by_room.items():
        lines += [f"## {heading}", "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""]
    (folder / "index.md").write_text("\n".join(lines))
    (folder.parent / "changelog.md").write_text((ROOT / "CHANGELOG.md").read_text())
