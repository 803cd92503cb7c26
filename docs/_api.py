"""Pages of the API, written from what the modules export: a public name cannot be missing."""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import causalinv


def public_modules() -> dict[str, ModuleType]:
    """The package and its modules without an underscore that export something."""
    names = [each.name for each in pkgutil.walk_packages(causalinv.__path__, "causalinv.") if "._" not in each.name]
    modules = {name: importlib.import_module(name) for name in ["causalinv", *names]}
    return {name: module for name, module in modules.items() if getattr(module, "__all__", ())}


def home(name: str, modules: dict[str, ModuleType]) -> str:
    """The exporting module nearest to where the thing was written: a thing has one page, however many doors."""
    doors = [door for door, module in modules.items() if name in module.__all__]
    written = getattr(getattr(modules[doors[0]], name), "__module__", "")
    inside = [door for door in doors if written == door or written.startswith(f"{door}.")]
    return max(inside or doors, key=len)


def pages() -> dict[str, str]:
    """Name of a module to its page in reStructuredText."""
    modules = public_modules()
    found = {}
    for module_name, module in modules.items():
        lines = [module_name, "=" * len(module_name), "", f".. automodule:: {module_name}", "   :no-members:", ""]
        for name in sorted(module.__all__):
            value, at = getattr(module, name), home(name, modules)
            if at != module_name:
                lines += [f"- :py:obj:`{name} <{at}.{name}>`, documented in {at}", ""]
            elif inspect.isclass(value):
                lines += [f".. autoclass:: {module_name}.{name}", "   :members:", "   :inherited-members: object", ""]
                lines[-2] = "   :show-inheritance:"
            elif inspect.isroutine(value):
                lines += [f".. autofunction:: {module_name}.{name}", ""]
            else:
                lines += [f".. autodata:: {module_name}.{name}", "   :no-value:", ""]
        found[module_name] = "\n".join(lines)
    return found


def write(folder: Path) -> None:
    """Write every page, and the index of them, to a folder."""
    folder.mkdir(exist_ok=True)
    written = pages()
    for name, text in written.items():
        (folder / f"{name}.rst").write_text(text)
    index = ["Public names", "============", "", ".. toctree::", "   :maxdepth: 1", ""]
    (folder / "index.rst").write_text("\n".join([*index, *(f"   {name}" for name in written), ""]))
