"""Vignettes as notebooks in ``docs/gallery/``: the page that is executed, and what a reader takes home."""

import re
from pathlib import Path

import jupytext

VIGNETTES = Path(__file__).parents[1] / "vignettes"
_NEEDS = '# The page needs causalinv: python -m pip install ".[plot]" in a clone of its repository.\n\n'


def scripts() -> list[Path]:
    """Vignettes in their order."""
    return sorted(VIGNETTES.glob("[0-9]*.py"))


def title(text: str) -> str:
    """First heading of a script."""
    found = re.search(r"^# # (.+)$", text, flags=re.MULTILINE)
    assert found
    return found[1]


def lesson(text: str) -> str:
    """What a script says that a reader will learn: its first paragraph with that mark."""
    found = re.search(r"^# \*\*You will learn\*\* (.+?)$(?=\n#\n|\n\n)", text, flags=re.MULTILINE | re.DOTALL)
    return "" if found is None else " ".join(line.strip("# ") for line in found[1].splitlines())


def write(folder: Path) -> None:
    """Write a notebook per vignette, both downloads, and the page that lists them; touch only what changed."""
    downloads = folder / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    listed = []
    for path in scripts():
        text = path.read_text()
        notebook = jupytext.reads(text, fmt="py:percent")
        for k, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{k}"  # the same at every build, so that what is cached stays known
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        _put(downloads / path.name, _NEEDS + text)
        _put(downloads / f"{path.stem}.ipynb", jupytext.writes(notebook, fmt="ipynb"))
        taken = {"notebook": f"{path.stem}.ipynb", "script": path.name}
        links = (f"{{download}}`{kind} <downloads/{file}>`" for kind, file in taken.items())
        take = f"Take it home: {', '.join(links)}."
        first, _, rest = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = f"{first}\n\n{take}\n{rest}"
        _put(folder / f"{path.stem}.ipynb", jupytext.writes(notebook, fmt="ipynb"))
        listed.append(f"[{title(text)}]({path.stem})\n: {lesson(text)}\n")
    head = "# Gallery\n\nPages run when this site was built. Each can be taken home as a notebook or a script.\n\n"
    toc = "```{toctree}\n:hidden:\n\n" + "\n".join(path.stem for path in scripts()) + "\n```\n"
    _put(folder / "index.md", head + "\n".join(listed) + "\n" + toc)


def _put(path: Path, text: str) -> None:
    """Write, unless it says the same already."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
