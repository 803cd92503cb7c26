"""What a PAC experiment writes beside its rows, to know them again, and how rows are read."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["agree", "described", "read_shard", "rounded", "write_whole"]


def read_shard(path: Path) -> pd.DataFrame:
    """Rows of a shard; numbers by Python's own parser, as older versions of pandas do not read them exactly."""
    text = ("learner", "error")
    whole = ("d", "m", "rep", "n_sites", "in_degree")
    names = [name for name in pd.read_csv(path, nrows=0).columns if name not in (*text, *whole)]
    table = pd.read_csv(path, dtype=dict.fromkeys(text, str), converters=dict.fromkeys(names, _number))
    return table.assign(error=table["error"].fillna(""))


def _number(text: str) -> float:
    return float(text) if text else float("nan")


def write_whole(path: Path, text: str) -> None:
    """Write a file that others may be reading: they find all of it or none, as jobs of an array start together."""
    part = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)


def agree(held: Mapping[str, str], mine: Mapping[str, str]) -> bool:
    """Whether digests by dimension are the same wherever both have one."""
    return all(held[d] == digest for d, digest in mine.items() if d in held)


def rounded(told: Any) -> Any:
    """The same with eight digits of every number."""
    return json.loads(json.dumps(told, default=str), parse_float=lambda text: f"{float(text):.8g}")


def described(learner: Any) -> str:
    """Class and all parameters; functions by name, as their address changes from run to run."""
    given = learner.get_params(deep=True) if hasattr(learner, "get_params") else {}
    kind = type(learner)
    parts = [f"{name}={getattr(value, '__qualname__', None) or repr(value)}" for name, value in sorted(given.items())]
    return f"{kind.__module__}.{kind.__qualname__}({', '.join(parts)})"
