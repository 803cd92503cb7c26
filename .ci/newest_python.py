"""Print the path of the newest released Python on this machine that is newer than this one, or nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

told = os.environ.get("CAUSALINV_PYTHON")
if told:
    print(told)
    sys.exit()

pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
candidates = [*pyenv.glob("versions/3.*/bin/python")]
for folder in os.environ.get("PATH", "").split(os.pathsep):
    candidates += [path for path in Path(folder).glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name)]

found = []
for path in candidates:
    try:
        asked = subprocess.run(
            [path, "-c", "import ensurepip, ssl, sys, venv; print(*sys.version_info[:4])"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.split()
    except (OSError, subprocess.SubprocessError):  # a shim without a version, or a Python without venv
        continue
    version = tuple(int(part) for part in asked[:3])
    if asked[3] == "final" and version[:2] > sys.version_info[:2]:
        found.append((version, str(path)))
if found:
    print(max(found)[1])
