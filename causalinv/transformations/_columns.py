"""Columns that a transformation names: by position or by name, once each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from causalinv._typing import Columns, IntArray

__all__ = ["blocks", "positions"]


def positions(columns: Columns, width: int, names: Sequence[str] | None, what: str) -> IntArray:
    """Positions of columns given by number or name; none for None."""
    if columns is None:
        return np.empty(0, dtype=np.intp)
    if isinstance(columns, str) or not (hasattr(columns, "__iter__") and hasattr(columns, "__len__")):
        raise TypeError(
            f"{what} must be a sequence of columns, which can be read more than once; got {columns!r}. Write a list."
        )
    known: dict[Any, int] = {i: i for i in range(width)}
    known |= {name: i for i, name in enumerate(names or ())}
    found = list(columns)
    unknown = [each for each in found if isinstance(each, bool) or each not in known]
    if unknown:
        has = list(known if names is None else names)
        raise ValueError(f"{what} name columns that X does not have: {unknown}; X has {has}.")
    at = [known[each] for each in found]
    if len(set(at)) < len(at):
        raise ValueError(f"{what} name a column twice: {found}.")
    return np.array(at, dtype=np.intp)


def blocks(columns: IntArray, size: int, what: str, *, empty: bool = False) -> IntArray:
    """Columns in blocks of one size, shape (k, size)."""
    if (not columns.size and not empty) or columns.size % size:
        raise ValueError(f"{what} are {columns.size} columns, which do not divide into blocks of {size} coordinates.")
    return columns.reshape(-1, size)
