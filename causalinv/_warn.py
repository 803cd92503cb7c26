"""Warnings that name the user's line, however many of our frames lie between."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

__all__ = ["again", "warn"]

#: Packages whose frames are passed over: ours, and those that call us on a user's behalf.
_INSIDE = frozenset(
    {"causalinv", "sklearn", "joblib", "threadpoolctl", "contextlib", "functools", "dask", "distributed"}
)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def warn(message: str | Warning, category: type[Warning] | None = None) -> None:
    """Warn at the innermost line of code that is neither ours nor that of a library calling us.

    Parameters
    ----------
    message : str or Warning
        The text, or a warning that was caught elsewhere.
    category : type of Warning, optional
        Class of a text.
    """
    frame: FrameType | None = sys._getframe(1)
    outermost = sys._getframe(1)
    while frame is not None and _package(frame) in _INSIDE:
        outermost, frame = frame, frame.f_back
    at = outermost if frame is None else frame
    warnings.warn_explicit(
        str(message),
        type(message) if isinstance(message, Warning) else category or UserWarning,
        filename=at.f_code.co_filename,
        lineno=at.f_lineno,
        module=at.f_globals.get("__name__", "<unknown>"),
        registry=at.f_globals.setdefault("__warningregistry__", {}),
    )


def again(caught: list[tuple[str, type[Warning]]]) -> None:
    """Emit warnings that workers met, each text once, at the user's line."""
    for text, category in dict.fromkeys(caught):
        warn(text, category)
