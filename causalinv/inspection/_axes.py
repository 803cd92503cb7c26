"""What all displays share, and the one place that imports matplotlib."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from textwrap import fill
from typing import Any, ClassVar, Self

import pandas as pd

from causalinv._docs import Documented, documented

__all__ = ["BLACK", "BLUE", "CYCLE", "GREY", "ORANGE", "STYLES", "Display", "Panels", "TableDisplay", "axes"]

#: One meaning each: ours, what it is compared with, what limits or failed, what says nothing. Told apart by the
#: colour-blind (Okabe and Ito) and, being of different lightness, in grey.
BLUE, ORANGE, BLACK, GREY = "#0072b2", "#e69f00", "#1a1a1a", "0.75"
#: Many lines: each with a style of its own, so that grey print tells them apart.
CYCLE = (BLUE, ORANGE, "#009e73", "#cc79a7", BLACK, "#56b4e9", "#d55e00")
STYLES: tuple[Any, ...] = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 3)))

_NARROW = 4.2  # inches: a column of print
_TWO_LINES = 18.0  # points of a row that holds two lines of small letters


def axes(ax: Any = None, size: tuple[float, float] = (5.0, 4.0)) -> Any:
    """Return the axes given, or those of a new figure; a clear message if matplotlib is absent."""
    return _pyplot().subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Drawing needs matplotlib: python -m pip install "causalinv[plot]".') from error
    return plt


def _literal(ax: Any) -> None:
    """Names of columns are no formulas: a dollar in them is a dollar."""
    from matplotlib.ticker import FixedLocator

    legend = ax.get_legend()
    texts = [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
    if legend is not None:
        texts += [*legend.get_texts(), legend.get_title()]
    for axis in (ax.xaxis, ax.yaxis):
        if isinstance(axis.get_major_locator(), FixedLocator):
            texts += axis.get_ticklabels()
    for text in texts:
        text.set_parse_math(False)


def _fit(ax: Any) -> None:
    """Break titles and labels longer than the axes; in a narrow figure the legend stands below, in one column."""
    narrow = ax.figure.bbox.width / ax.figure.dpi < _NARROW
    if narrow:
        _stack(ax)
    for _ in range(3):  # what is broken takes room from the axes, and letters are of different widths
        ax.get_figure(root=True).draw_without_rendering()  # now it is known how large everything is
        if not _break_lines(ax):
            return


def _break_lines(ax: Any) -> bool:
    """Whether a title or label was longer than the axes, and so was broken."""
    room, broken = ax.get_window_extent(), False
    for text, side in ((ax.title, "width"), (ax.xaxis.label, "width"), (ax.yaxis.label, "height")):
        size, available = getattr(text.get_window_extent(), side), getattr(room, side)
        if text.get_text() and size > available > 0:
            longest = max(map(len, text.get_text().split("\n")))
            before = text.get_text()
            text.set_text(fill(" ".join(before.split()), max(int(longest * available / size), 14)))
            broken |= text.get_text() != before
    return broken


def _stack(ax: Any) -> None:
    """The legend below the axes in one column, and long names of rows in several lines."""
    from matplotlib.ticker import FixedLocator
    from matplotlib.transforms import ScaledTranslation

    legend = ax.get_legend()
    if legend is not None:
        below = ax.transAxes + ScaledTranslation(0.0, -0.6 if ax.axison else 0.0, ax.figure.dpi_scale_trans)
        ax.legend(
            handles=legend.legend_handles,
            labels=[text.get_text() for text in legend.get_texts()],
            title=legend.get_title().get_text(),
            fontsize="x-small",
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            bbox_transform=below,
            frameon=False,
        )
        for text in (*ax.get_legend().get_texts(), ax.get_legend().get_title()):
            text.set_parse_math(False)
    if isinstance(ax.yaxis.get_major_locator(), FixedLocator):
        labels = [label.get_text() for label in ax.get_yticklabels()]
        height = 72 * ax.get_window_extent().height / ax.figure.dpi / max(len(labels), 1)  # of a row, in points
        names = [fill(label, 16 if height > _TWO_LINES else 30, break_long_words=False) for label in labels]
        ax.set_yticklabels(names, fontsize=6, parse_math=False)


class Display(Documented, ABC):
    """A picture of results: it holds the data that it draws, and draws on call.

    {drawn}
    """

    _shared_texts: ClassVar[dict[str, str]] = {
        "drawn": """
            Attributes
            ----------
            ax_, figure_ : matplotlib Axes and Figure
                Set by `plot`.""",
        "also_drawn": """
            ax_, figure_ : matplotlib Axes and Figure
                Set by `plot`.""",
    }

    ax_: Any
    figure_: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Fill the docstrings of the other constructors too."""
        super().__init_subclass__(**kwargs)
        for made in (value.__func__ for value in vars(cls).values() if isinstance(value, classmethod)):
            documented(cls._said_of(made))(made)

    @classmethod
    def _said_of(cls, made: Any) -> dict[str, str]:
        """``{made}``: what a constructor returns; ``{made_from}``: what its signature says in full, and that."""
        returns = f"Returns\n-------\n{cls.__name__}"
        given = list(inspect.signature(made).parameters.values())[1:]
        lines = [f"{x.name} : {x.annotation}{'' if x.default is x.empty else f', default {x.default}'}" for x in given]
        return {"made": returns, "made_from": "\n".join(["Parameters\n----------", *lines, "", returns])}

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
        return self._show(ax)

    def _show(self, ax: Any, *options: Any) -> Self:
        """Draw with options, names as they are written."""
        self._draw(self._open(ax), *options)
        _literal(self.ax_)
        _fit(self.ax_)
        return self

    @abstractmethod
    def _draw(self, ax: Any) -> None:
        """Draw into axes."""

    def _open(self, ax: Any) -> Any:
        """The axes given, or those of a new figure."""
        self.ax_ = axes(ax, self._size())
        self.figure_ = self.ax_.figure
        return self.ax_

    def _size(self) -> tuple[float, float]:
        """Width and height of a new figure, in inches."""
        return 5.0, 4.0


class TableDisplay(Display):
    """A display of one table.

    Parameters
    ----------
    table : pandas.DataFrame
        What is drawn.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table


class Panels(Display):
    """A display of several axes side by side.

    Attributes
    ----------
    axes_, figure_ : ndarray of matplotlib Axes, and Figure
        Set by `plot`; `ax_` is the first of the axes.
    """

    axes_: Any

    def plot(self, figure: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure if left out.

        Returns
        -------
        self
        """
        self.figure_ = _pyplot().figure(figsize=self._size(), layout="constrained") if figure is None else figure
        self.axes_ = self.figure_.subplots(*self._grid(), squeeze=False)
        self.ax_ = self.axes_.flat[0]
        self._draw(self.ax_)
        for ax in self.axes_.flat:
            _literal(ax)
        return self

    @abstractmethod
    def _grid(self) -> tuple[int, int]:
        """Rows and columns of axes."""
