"""Formulas as econometricians write them: ``y ~ 1 + w + [x ~ z1 + z2]``, endogenous and instruments in brackets."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

__all__ = ["from_formula"]

_BRACKET = re.compile(r"\+?\s*\[([^\[\]~]+)~([^\[\]~]+)\]")
_DOT = re.compile(r"(?<![\w.)\]`])\.(?![\w.(`])")  # alone, as a term
_ESCAPES = re.compile("\x1b\\[[0-9;]*m|[\u29da\u29db]")  # of a terminal


def from_formula(formula: str, data: Any) -> dict[str, Any]:
    """Rows of the parts of a formula, as the arguments of `fit`: X and y, and with brackets instruments and controls.

    Raises
    ------
    ImportError
        If formulaic is not installed.
    ValueError
        If the formula is of another form, leaves the constant out, or a value is missing.
    """
    try:
        from formulaic import model_matrix
        from formulaic.errors import FormulaicError
    except ImportError as error:
        raise ImportError('Formulas are read by formulaic; install it by: pip install "causalinv[formula]".') from error
    if not isinstance(formula, str):
        raise TypeError(f"formula must be a text, got {type(formula).__name__}.")
    outcome, tilde, right = formula.partition("~")
    brackets = _BRACKET.findall(right)
    rest = _BRACKET.sub("", right).strip().lstrip("+").strip()
    if not tilde or not outcome.strip() or len(brackets) > 1 or "~" in rest or "[" in rest or "]" in rest:
        raise ValueError(
            "formula must read 'y ~ x1 + x2', or with instruments 'y ~ controls + [x ~ z1 + z2]', one pair of "
            f"brackets; got {formula!r}."
        )
    if _DOT.search(formula):
        raise ValueError(f"'.' for all columns would count the outcome among them; name the terms of {formula!r}.")
    if not hasattr(data, "columns"):
        raise TypeError(f"data must be a frame whose columns the formula names, got {type(data).__name__}.")
    frame = data if isinstance(data, pd.DataFrame) else data.to_pandas()

    def rows(part: str) -> pd.DataFrame:
        try:
            found = model_matrix("1 + " + part, frame, na_action="raise", context={})
        except (FormulaicError, ValueError) as error:
            told = _ESCAPES.sub("", str(error))
            raise ValueError(f"The part {part.strip()!r} of the formula cannot be read: {told}") from error
        if not isinstance(found, pd.DataFrame):
            raise ValueError(f"The part {part.strip()!r} of the formula has several parts, '|'; write one.")
        if "Intercept" not in found:
            raise ValueError(f"The constant is always fitted; leave 0 and -1 out of {formula!r}.")
        return pd.DataFrame(found).drop(columns="Intercept")

    given: dict[str, Any] = {"y": rows(outcome)}
    if given["y"].shape[1] == 1:
        given["y"] = given["y"].iloc[:, 0]
    if not brackets:
        given["X"] = rows(rest)
    else:
        features, instruments = brackets[0]
        given |= {"X": rows(features), "instruments": rows(instruments)}
        controls = rows(rest) if rest else pd.DataFrame(index=frame.index)
        if controls.shape[1]:
            given["controls"] = controls
    if not given["X"].shape[1]:
        raise ValueError(f"The formula {formula!r} names no feature.")
    return given
