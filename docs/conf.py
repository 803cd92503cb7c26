"""Sphinx: ``sphinx-build -W docs docs/_build`` with the extra ``docs`` installed."""

import hashlib
import os
import re
import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here), str(here.parent)]

import _api  # noqa: E402
import _gallery  # noqa: E402
import _records  # noqa: E402

import causalinv  # noqa: E402

_api.write(here / "api")
_gallery.write(here / "gallery")
_records.write(here / "records")

project = "causalinv"
author = "The causalinv founders"
copyright = author
version = release = causalinv.__version__
extensions = ["sphinx.ext.autodoc", "_math", "numpydoc", "myst_nb", "sphinx_copybutton", "sphinx_design"]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4
# Pages are run again where their code, or anything in the package, changed: no page shows what an older one printed.
sources = b"".join(file.read_bytes() for file in sorted(Path(causalinv.__file__).parent.rglob("*.py")))
nb_execution_mode = "cache"
nb_execution_cache_path = str(here / "_build" / ".jupyter_cache" / hashlib.sha256(sources).hexdigest()[:16])
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_execution_excludepatterns = ["gallery/downloads/*"]
numpydoc_show_class_members = False
autodoc_typehints = "none"  # numpydoc's types, with shapes and units, say more
html_theme = "pydata_sphinx_theme"
html_context = {"default_mode": "auto"}
html_title = f"causalinv {version}"
html_static_path = ["_static"]
html_css_files = ["causalinv.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_nav_level": 1,
    "navigation_depth": 2,
    "header_links_before_dropdown": 4,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"which": [], "start": []}  # no section of their own: the cards get the width
templates_path = []
exclude_patterns = ["_build", "gallery/downloads"]
os.environ.setdefault("CAUSALINV_DATA", str(here / "_no_data"))  # pages show nothing that the repository has not
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The kernels that run pages take the package beside the pages, whatever else is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here.parent), os.environ.get("PYTHONPATH")]))


def _skip(app, what, name, obj, skip, options):
    """Leave out scikit-learn's own methods of metadata routing, whose docstrings point into its own pages."""
    return True if name == "get_metadata_routing" or (name.startswith("set_") and name.endswith("_request")) else skip


def _escape(app, what, name, obj, options, lines):
    """Fitted attributes end in an underscore, which bare in a sentence would be a link."""
    for i, line in enumerate(lines):
        parts = line.split("`")  # even parts stand outside quotes
        parts[::2] = [re.sub(r"(?<![\w*\\])([A-Za-z]\w*)_(?=[\s,.;:)\]]|$)", r"\1\\_", part) for part in parts[::2]]
        lines[i] = "`".join(parts)


def _list_links(app, exception):
    """Every address outside the site, with the pages that name it: ``external_links.txt`` beside the pages."""
    found = {}
    for page in sorted(Path(app.outdir).rglob("*.html")):
        for link in re.findall(r'href="(https?://[^"#]+)', page.read_text(encoding="utf-8")):
            found.setdefault(link, []).append(str(page.relative_to(app.outdir)))
    lines = [f"{link}\t{len(pages)} pages, first {pages[0]}" for link, pages in sorted(found.items())]
    (Path(app.outdir) / "external_links.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app):
    """Connect the rules above, that of names after numpydoc."""
    app.connect("build-finished", _list_links)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _escape, priority=900)
