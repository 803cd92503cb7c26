"""All methods of certifying, and the tables that are read off them."""

from __future__ import annotations

import pandas as pd

from causalinv.invariance.certificates._fresh import Bounded, FreshMethod, Holdout, Kurtosis, TwoLevel, Union
from causalinv.invariance.certificates._method import Method
from causalinv.invariance.certificates._training import BetaSites, Box, Hull, Scenario, TrainingMethod, VCDimension

__all__ = ["FRESH", "METHODS", "TRAINING", "method_named", "methods_page", "quoted", "validity_table"]

TRAINING: dict[str, TrainingMethod] = {
    each.name: each for each in (BetaSites(), Box(), Scenario(), VCDimension(), Hull())
}
FRESH: dict[str, FreshMethod] = {each.name: each for each in (Holdout(), Union(), TwoLevel(), Bounded(), Kurtosis())}
METHODS: dict[str, Method] = {**TRAINING, **FRESH}


def quoted(names: object) -> str:
    """Names as they stand in a message."""
    *first, last = [repr(name) for name in names]  # type: ignore[attr-defined]
    return f"{', '.join(first)} or {last}"


def method_named(name: str) -> Method:
    """The method of this name that has a bound in interventions."""
    allowed = tuple(name for name, each in METHODS.items() if each.random)
    if name not in allowed:
        raise ValueError(f"method must be one of {allowed}, got {name!r}.")
    return METHODS[name]


def validity_table() -> pd.DataFrame:
    """The validity table: which certificate is proved, for which families, moments and metrics, on which conditions.

    Examples
    --------
    >>> validity_table().loc["two_level", "moments"]
    'estimated'
    """
    rows = {name: each.row() for name, each in METHODS.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def methods_page() -> str:
    """The validity table as ``docs/certificates.md`` has it, with the section of each proof."""
    lines = ["| method | proof | evidence | interventions | moments | metrics | conditions |", "|---" * 7 + "|"]
    for name, each in METHODS.items():
        row = each.row()
        cells = [f"`{name}`", f"section {each.section}", *row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
