"""Differences between versions of what we stand on, each bridged here and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causalinv._frames import column_names
from causalinv._typing import Rows

__all__ = ["named_frame"]


def named_frame(rows: Rows) -> Rows:
    """A frame whose column names scikit-learn sees: before 1.9 it does not see those of current polars frames."""
    names = column_names(rows)
    if names is None or isinstance(rows, pd.DataFrame | pd.Series):
        return rows
    return pd.DataFrame(np.asarray(rows), columns=list(names))
