"""Differences between versions of what we stand on, each bridged here and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from causalinv._frames import column_names
from causalinv._typing import Rows

__all__ = ["is_d_separator", "named_frame"]


def named_frame(rows: Rows) -> Rows:
    """A frame whose column names scikit-learn sees: before 1.9 it does not see those of current polars frames."""
    names = column_names(rows)
    if names is None or isinstance(rows, pd.DataFrame | pd.Series):
        return rows
    return pd.DataFrame(np.asarray(rows), columns=list(names))


def is_d_separator(graph: Any, x: set[Any], y: set[Any], given: set[Any]) -> bool:
    """Whether `given` separates `x` from `y` in a networkx DAG: another name before networkx 3.3."""
    import networkx

    found = getattr(networkx, "is_d_separator", None) or networkx.d_separated
    return bool(found(graph, x, y, given))
