"""One number with what it estimates, as every measure of this room returns it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from causalinv._printing import percent
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_alignment, check_rows
from causalinv.results import Estimate

__all__ = ["check_pair", "single"]


def single(
    name: str,
    value: float,
    *,
    title: str,
    estimand: str,
    assumption: str,
    standard_error: float = float("nan"),
    confidence_level: float = 0.95,
    df: float = np.inf,
    notes: tuple[str, ...] = (),
    **beside: Any,
) -> Estimate:
    """An estimate of one row; its interval is Student's (normal for infinite `df`), NaN where none is claimed."""
    half = float(stdtrit(df, (1 + confidence_level) / 2)) * standard_error
    row = {"estimate": value, "standard_error": standard_error, "lower": value - half, "upper": value + half}
    if np.isfinite(half):
        law = "normal" if np.isinf(df) else f"Student's t, {df:.0f} degrees of freedom"
        notes = (f"interval: {law}, {percent(confidence_level)}", *notes)
    else:
        row = {"estimate": value, "standard_error": standard_error, "lower": np.nan, "upper": np.nan}
        notes = ("no standard error is claimed", *notes)
    table = pd.DataFrame([row | beside], index=pd.Index([name]))
    return Estimate(estimand, assumption, table, confidence_level, notes, title=title)


def check_pair(rows: Rows, moved: Rows, first: str = "Z", second: str = "Z_moved") -> tuple[FloatArray, FloatArray]:
    """Two tables of the same rows and columns: a representation, and that of the moved rows."""
    check_alignment(**{first: rows, second: moved})
    before, after = check_rows(rows, first, min_samples=3), check_rows(moved, second, min_samples=3)
    if before.shape != after.shape:
        raise ValueError(
            f"{first} and {second} must have the same shape, got {before.shape} and {after.shape}: row i of "
            f"{second} is the representation of row i after it was moved."
        )
    return before, after
