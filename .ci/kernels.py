"""Print the kernels of linear algebra that numpy and scipy run on, as ``numpy=SkylakeX scipy=SkylakeX``."""

import importlib
import sys

from threadpoolctl import threadpool_info


def loaded() -> dict[str, str]:
    """Architecture of every OpenBLAS in this process, by its file."""
    return {each["filepath"]: each["architecture"] for each in threadpool_info() if each["internal_api"] == "openblas"}


found: list[str] = []
before: dict[str, str] = {}
for library, module in (("numpy", "numpy.linalg"), ("scipy", "scipy.linalg")):
    importlib.import_module(module)
    now = loaded()
    own = [kernel for file, kernel in now.items() if file not in before] or list(now.values())  # or the one they share
    if not own:
        sys.exit(f"{library} does not stand on OpenBLAS, so there is no second kernel to compare with")
    found.append(f"{library}={own[0]}")
    before = now
print(*found)
