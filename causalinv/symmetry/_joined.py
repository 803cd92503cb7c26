"""Candidates by name, and the group that several of them generate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from causalinv.transformations import Compose, Scaling, Transformation

__all__ = ["check_candidates", "joined"]


def check_candidates(symmetries: Any, *, least: int = 0, most: int | None = None) -> dict[str, Transformation]:
    """A dict from names to transformations, or raise."""
    if not isinstance(symmetries, Mapping):
        raise TypeError(f"symmetries must be a dict from names to transformations, got {symmetries!r}.")
    found = dict(symmetries)
    for name, each in found.items():
        if not isinstance(name, str) or not isinstance(each, Transformation):
            raise TypeError(f"symmetries must be a dict from names to transformations; got {name!r}: {each!r}.")
    if len(found) < least or (most is not None and len(found) > most):
        limit = f"at least {least}" if len(found) < least else f"at most {most}"
        raise ValueError(f"symmetries must hold {limit} candidates, got {len(found)}.")
    return found


def joined(parts: Sequence[Transformation]) -> Transformation | None:
    """The transformation whose frame is that of the generated group; None for no parts. Scalings come last."""
    if len(parts) < 2:
        return parts[0] if parts else None
    return Compose(sorted(parts, key=lambda part: isinstance(part, Scaling)))
