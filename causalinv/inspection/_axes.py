"""The one place that imports matplotlib."""

from __future__ import annotations

from typing import Any

__all__ = ["axes"]


def axes(ax: Any = None, *, size: tuple[float, float] = (5.0, 4.0)) -> Any:
    """Return the axes given, or those of a new figure; a clear message if matplotlib is absent."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib: python -m pip install "causalinv[plot]".') from error
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
