"""Sphinx: ``sphinx-build -W docs docs/_build`` with the extra ``docs`` installed."""

import re
import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here), str(here.parent)]

import _api  # noqa: E402

import causalinv  # noqa: E402

_api.write(here / "api")

project = "causalinv"
author = "The causalinv founders"
copyright = author
version = release = causalinv.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_typehints = "none"  # numpydoc's types, with shapes and units, say more
html_theme = "pydata_sphinx_theme"
exclude_patterns = ["_build"]


def _skip(app, what, name, obj, skip, options):
    """Leave out scikit-learn's own methods of metadata routing, whose docstrings point into its own pages."""
    return True if name == "get_metadata_routing" or (name.startswith("set_") and name.endswith("_request")) else skip


def _escape(app, what, name, obj, options, lines):
    """Fitted attributes end in an underscore, which bare in a sentence would be a link."""
    for i, line in enumerate(lines):
        parts = line.split("`")  # even parts stand outside quotes
        parts[::2] = [re.sub(r"(?<![\w*\\])([A-Za-z]\w*)_(?=[\s,.;:)\]]|$)", r"\1\\_", part) for part in parts[::2]]
        lines[i] = "`".join(parts)


def setup(app):
    """Connect the two rules above, the second after numpydoc."""
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _escape, priority=900)
