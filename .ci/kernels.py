"""Print the kernels of linear algebra that numpy and scipy run on, as ``numpy=SkylakeX scipy=SkylakeX``.

Products of many shapes are tried first: where a kernel is broken (Haswell in OpenBLAS 0.3.34 ends the interpreter), the
fault shows here, under its own name.
"""

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

import numpy as np  # noqa: E402

rng = np.random.default_rng(0)
for n in (100, 501, 1000):
    for d in range(1, 60):
        left, right = rng.normal(size=(n, d)), rng.normal(size=(n, 8))
        for k in range(1, 9):
            narrow = np.ascontiguousarray(right[:, :k])
            if not np.allclose(left.T @ narrow, np.einsum("ij,ik->jk", left, narrow)):
                sys.exit(f"{' '.join(found)}: a product of shapes ({d}, {n}) and ({n}, {k}) is wrong")
print(*found)
