"""Results that carry the caller's row labels and column names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from causalinv._typing import FloatArray, Rows

__all__ = ["column_names", "framed", "outcome_names", "row_index"]


def column_names(rows: Rows) -> tuple[str, ...] | None:
    """Names of the columns of a pandas or polars frame (of a named pandas series: its name), else None."""
    if isinstance(rows, pd.Series):
        return None if rows.name is None else (str(rows.name),)
    columns = getattr(rows, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return tuple(columns)


def outcome_names(y: Rows) -> tuple[str, ...] | None:
    """Names of outcomes: of a series, pandas or polars, or of the columns of a frame; None where they are no text."""
    name = getattr(y, "name", None)
    if isinstance(y, pd.Series) or not hasattr(y, "columns"):
        return (name,) if isinstance(name, str) and name else None
    return column_names(y)


def row_index(*rows: Rows) -> pd.Index | None:
    """The index of the first pandas object among some inputs, if there is one."""
    for each in rows:
        index = getattr(each, "index", None)
        if isinstance(index, pd.Index):
            return index
    return None


def framed(values: FloatArray, *, columns: Sequence[Any] | None = None, index: pd.Index | None = None) -> pd.DataFrame:
    """A frame of results, rows labelled as the caller's."""
    return pd.DataFrame(values, columns=None if columns is None else list(columns), index=index)
