"""What all displays share, and the one place that imports matplotlib."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

__all__ = ["Display", "axes"]


def axes(ax: Any = None, size: tuple[float, float] = (5.0, 4.0)) -> Any:
    """Return the axes given, or those of a new figure; a clear message if matplotlib is absent."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib: python -m pip install "causalinv[plot]".') from error
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


class Display(ABC):
    """A picture of results: it holds the data that it draws, and draws on call.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    """

    ax_: Any
    figure_: Any

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure if left out.

        Returns
        -------
        self
        """
        self._draw(self._open(ax))
        return self

    @abstractmethod
    def _draw(self, ax: Any) -> None:
        """Draw into axes."""

    def _open(self, ax: Any, *, size: tuple[float, float] | None = None) -> Any:
        """The axes given, or those of a new figure."""
        self.ax_ = axes(ax, self._size() if size is None else size)
        self.figure_ = self.ax_.figure
        return self.ax_

    def _size(self) -> tuple[float, float]:
        """Width and height of a new figure, in inches."""
        return 5.0, 4.0
