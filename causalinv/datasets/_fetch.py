"""Find real data files: an explicit path, then ``CAUSALINV_DATA``, then a checked download into a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from causalinv._validation import check_flag

__all__ = ["find_files"]

_TIMEOUT = 30.0  # seconds without an answer


def find_files(
    folder: str,
    checksums: Mapping[str, str],
    base_url: str,
    *,
    data_home: str | os.PathLike[str] | None,
    download_if_missing: bool,
) -> list[Path]:
    """Paths of the files named in `checksums` (SHA256), each verified, in their order.

    Parameters
    ----------
    folder : str
        Folder of the data set below the data home.
    checksums : mapping of str to str
        File name to SHA256.
    base_url : str
        Where to download from; the file name is appended.
    data_home : path, optional
        A folder that holds `folder`, or is that folder itself. Left out: the environment variable
        ``CAUSALINV_DATA``, then the user's cache.
    download_if_missing : bool
        Whether files that are missing from the cache may be downloaded.

    Raises
    ------
    FileNotFoundError
        If files are missing where the user said they are, or may not be downloaded.
    OSError
        If a download fails.
    ValueError
        If a file's checksum is not the expected one.
    """
    check_flag(download_if_missing, "download_if_missing")
    if data_home is not None and not isinstance(data_home, str | os.PathLike):
        raise TypeError(f"data_home must be a path, got {data_home!r}.")
    told = data_home if data_home is not None else os.environ.get("CAUSALINV_DATA") or None
    if told is not None:
        source = "data_home" if data_home is not None else "CAUSALINV_DATA"
        base = Path(told).expanduser()
        home = base / folder if (base / folder).is_dir() else base
        missing = [name for name in checksums if not (home / name).is_file()]
        if missing:
            raise FileNotFoundError(
                f"{source} is {base}, but {home} lacks {len(missing)} of {len(checksums)} files of {folder}, first "
                f"{missing[0]!r}. Point it at the folder that holds {folder}/, or unset it to download."
            )
    else:
        home = _cache() / folder
        missing = [name for name in checksums if not (home / name).is_file()]
        if missing and not download_if_missing:
            raise FileNotFoundError(
                f"{folder} is not in the cache {home}; allow the download, or say where the files are with "
                "data_home= or the environment variable CAUSALINV_DATA."
            )
        for name in missing:
            _download(base_url + quote(name), home / name, checksums[name])
    for name, expected in checksums.items():
        _verify(home / name, expected)
    return [home / name for name in checksums]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "causalinv"


def _download(url: str, target: Path, expected: str) -> None:
    """Download beside the target, verify, then rename: a broken download never looks like a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
    part = Path(name)
    try:
        try:
            with os.fdopen(handle, "wb") as out, urlopen(url, timeout=_TIMEOUT) as answer:
                shutil.copyfileobj(answer, out)
        except URLError as error:
            raise OSError(
                f"Could not download {url} ({error.reason}). Fetch it by hand and say where it is with data_home= "
                "or the environment variable CAUSALINV_DATA."
            ) from error
        _verify(part, expected)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _verify(path: Path, expected: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise ValueError(
            f"{path} has SHA256 {found}, expected {expected}: it is damaged or another version. Delete it and "
            "fetch it again."
        )
