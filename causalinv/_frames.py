"""Results that carry the caller's row labels and column names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray, Rows

__all__ = ["column_names", "framed", "named_series", "names_or_default", "position", "row_index"]


def column_names(rows: Rows) -> tuple[str, ...] | None:
    """Names of the columns of a pandas or polars frame (of a named pandas series: its name), else None."""
    if isinstance(rows, pd.Series):
        return None if rows.name is None else (str(rows.name),)
    columns = getattr(rows, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return tuple(columns)


def row_index(*rows: Rows) -> pd.Index | None:
    """The index of the first pandas object among some inputs, if there is one."""
    for each in rows:
        index = getattr(each, "index", None)
        if isinstance(index, pd.Index):
            return index
    return None


def names_or_default(names: Sequence[str] | np.ndarray | None, n: int, stem: str = "x") -> tuple[str, ...]:
    """The names, or ``x0, x1, ...``."""
    return tuple(f"{stem}{i}" for i in range(n)) if names is None else tuple(str(name) for name in names)


def framed(values: FloatArray, *, columns: Sequence[Any] | None = None, index: pd.Index | None = None) -> pd.DataFrame:
    """A frame of results, rows labelled as the caller's."""
    return pd.DataFrame(values, columns=None if columns is None else list(columns), index=index)


def named_series(values: FloatArray, names: Sequence[str] | None, name: str | None = None) -> pd.Series:
    """A series labelled by names where they are known."""
    return pd.Series(values, index=None if names is None else list(names), name=name)


def position(wanted: Any, names: Sequence[str] | np.ndarray | None, n: int, what: str = "feature") -> int:
    """Position of a column given by name or by number, or a message that says which there are."""
    if isinstance(wanted, str):
        known = [] if names is None else [str(name) for name in names]
        if wanted in known:
            return known.index(wanted)
        there = ", ".join(known[:10]) + (", …" if len(known) > 10 else "") if known else "positions only, no names"
        raise ValueError(f"There is no {what} {wanted!r}; there are {there}.")
    if isinstance(wanted, bool | np.bool_) or not isinstance(wanted, int | np.integer):
        raise TypeError(f"A {what} is given by its name or its position, got {wanted!r}.")
    if not -n <= wanted < n:
        raise ValueError(f"There is no {what} {int(wanted)}; positions are 0 to {n - 1}.")
    return int(wanted) % n
