"""Moments in one file without pickle, so that reading it runs no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import date, datetime
from os import PathLike
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from causalinv._accumulate import encode_cells
from causalinv._labels import shown
from causalinv._typing import FloatArray

__all__ = ["read", "write"]

_ARRAYS = ("mean", "scatter", "weight", "count", "weight_sq", "weight_range")


def write(
    path: str | PathLike[str] | IO[bytes], blocks: Mapping[str, Any], cells: pd.Index, arrays: dict[str, FloatArray]
) -> None:
    """One ``.npz``: the arrays, and as JSON the names of what they hold."""
    head = {
        "format": 1,
        "blocks": dict(blocks),
        "levels": list(cells.names),
        "multi": isinstance(cells, pd.MultiIndex),
        "cells": [_pack(label) for label in cells],
    }
    text = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    with nullcontext(path) if hasattr(path, "write") else open(path, "wb") as file:
        np.savez(file, allow_pickle=False, head=text, **arrays)


def read(path: str | PathLike[str] | IO[bytes]) -> tuple[dict[str, Any], pd.Index, dict[str, FloatArray]]:
    """Blocks, cells and arrays of what `write` wrote."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            head = json.loads(stored["head"].tobytes().decode())
            arrays = {key: stored[key] for key in _ARRAYS}
    except (EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise ValueError(f"{path} is no file that Moments.save wrote: {error}") from error
    labels = [_unpack(label) for label in head["cells"]]
    if head["multi"]:
        return head["blocks"], pd.MultiIndex.from_tuples(labels, names=head["levels"]), arrays
    return head["blocks"], encode_cells(labels).rename(head["levels"][0]), arrays


def _pack(label: Any) -> Any:
    """A label as JSON that says its type."""
    if isinstance(label, tuple):
        return {"tuple": [_pack(part) for part in label]}
    if isinstance(label, pd.Timestamp | np.datetime64):
        zone = getattr(label, "tzinfo", None)
        return {"date": str(label)} | ({} if zone is None else {"zone": str(zone)})
    if isinstance(label, date) and not isinstance(label, datetime):
        return {"day": label.isoformat()}
    plain = label.item() if isinstance(label, np.generic) else label
    if isinstance(plain, bool | int | float | str):
        return plain
    raise TypeError(
        f"The label {shown(label)} of type {type(label).__name__} cannot be written; use numbers, texts, dates, or "
        "tuples of them."
    )


def _unpack(label: Any) -> Any:
    if not isinstance(label, dict):
        return label
    if "tuple" in label:
        return tuple(_unpack(part) for part in label["tuple"])
    if "day" in label:
        return date.fromisoformat(label["day"])
    stamp = pd.Timestamp(label["date"])
    return stamp.tz_convert(label["zone"]) if "zone" in label else stamp
