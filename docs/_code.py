"""Code of the pages: what a test runs, and what the build runs in a notebook."""

import re
from pathlib import Path

PAGES = Path(__file__).parent


def executed() -> list[Path]:
    """Pages whose cells are run at build."""
    return sorted(path for path in PAGES.rglob("*.md") if "file_format: mystnb" in path.read_text()[:80] and _own(path))


def _own(path: Path) -> bool:
    """Whether a page is written by hand."""
    return path.relative_to(PAGES).parts[0] not in {"_build", "gallery", "records", "api"}


def cells(text: str) -> list[tuple[str, str]]:
    """Tags and code of every cell of a page."""
    found = re.findall(r"^```\{code-cell\}[^\n]*\n((?::[^\n]*\n)*)(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [(options, code) for options, code in found]


def run(text: str) -> None:
    """Run the cells of a page one after the other, in one namespace."""
    space: dict[str, object] = {"__name__": "__page__"}
    for _, code in cells(text):
        exec(compile(code, "page", "exec"), space)
