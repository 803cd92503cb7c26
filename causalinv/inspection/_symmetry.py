"""Displays of symmetries: what is broken, the frames of a cloud, radial polynomials and images drawn again."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_rows, check_whole
from causalinv.inspection._axes import BLACK, BLUE, CYCLE, STYLES, Display, Panels
from causalinv.symmetry import ImageMoments, SymmetryScreen, radial_polynomial
from causalinv.transformations import EuclideanGroup

__all__ = ["FrameDisplay", "ImageMomentsDisplay", "SymmetryScreenDisplay"]


_ACROSS = 8  # pictures in a row


class SymmetryScreenDisplay(Display):
    """How much of the outcome breaks each symmetry, with its lower limit, and which are rejected.

    Parameters
    ----------
    table : pandas.DataFrame
        Of a `SymmetryScreen`.
    level : float
        Of its tests.

    {drawn}
    """

    def __init__(self, table: pd.DataFrame, *, level: float) -> None:
        self.table = table
        self.level = level

    @classmethod
    def from_estimator(cls, screen: SymmetryScreen) -> Self:
        """Read a fitted screen.

        {made_from}
        """
        return cls(screen.table_.copy(), level=float(screen.level))

    def _draw(self, ax: Any) -> None:
        """Draw plug-in shares as points, with lines from their lower limits; filled where the symmetry is rejected."""
        for k, (_, row) in enumerate(self.table.iterrows()):
            rejected = row["pvalue_holm"] <= self.level
            top = max(row["broken_share"], row["broken_lower"])
            ax.plot([row["broken_lower"], top], [k, k], color=BLUE)
            ax.plot([row["broken_lower"]], [k], "|", color=BLUE, markersize=12)
            ax.plot([row["broken_share"]], [k], "o", color=BLUE, markerfacecolor=BLUE if rejected else "white")
        labels = [f"{name}\np = {p:.3g}" for name, p in self.table["pvalue_holm"].items()]
        ax.set_yticks(range(len(labels)), labels)
        ax.set(xlabel="share of the outcome's variance that breaks it\n(line: from its lower limit)", xlim=(0, None))
        ax.set_ylim(-0.5, len(labels) - 0.5)
        ax.set_title(f"filled: rejected at {self.level:g} (Holm)", fontsize="small")

    def _size(self) -> tuple[float, float]:
        return 5.6, 1.4 + 0.45 * len(self.table)


class FrameDisplay(Panels):
    """A cloud in every pose of its frame: the first two coordinates.

    Parameters
    ----------
    poses : ndarray of shape (K, p, dim)
        Points in every pose.
    gap : float
        Relative distance to a tie.

    Attributes
    ----------
    axes_, figure_ : ndarray of matplotlib Axes, and Figure
        Set by `plot`.
    """

    def __init__(self, poses: FloatArray, *, gap: float) -> None:
        self.poses = poses
        self.gap = gap

    @classmethod
    def from_cloud(cls, group: EuclideanGroup, row: Rows) -> Self:
        """Find the frame of one cloud whose columns are points only.

        Parameters
        ----------
        group : EuclideanGroup
        row : array-like of shape (p * dim,)

        {made}
        """
        frame = group.frame(np.atleast_2d(check_rows(row, "row", ensure_2d=False)))
        return cls(frame.rows.reshape(len(frame.rows), -1, group.dim), gap=float(frame.gap[0]))

    def _grid(self) -> tuple[int, int]:
        columns = min(len(self.poses), _ACROSS)
        return -(-len(self.poses) // columns), columns

    def _size(self) -> tuple[float, float]:
        rows, columns = self._grid()
        return max(1.6 * columns, 3.2), 1.7 * rows + 0.4

    def _draw(self, ax: Any) -> None:
        """Draw one small picture for each pose; points keep their colours and numbers."""
        size = 1.25 * float(np.abs(self.poses).max()) or 1.0
        for panel in self.axes_.flat:
            panel.set_axis_off()
        for panel, cloud in zip(self.axes_.flat, self.poses, strict=False):
            second = cloud[:, 1] if cloud.shape[1] > 1 else np.zeros(len(cloud))
            panel.scatter(cloud[:, 0], second, c=np.arange(len(cloud)), cmap="viridis", edgecolor=BLACK, linewidth=0.5)
            for k, (x, y) in enumerate(zip(cloud[:, 0], second, strict=True)):
                panel.annotate(str(k), (x, y), (3, 3), textcoords="offset points", fontsize=7)
            panel.set(xlim=(-size, size), ylim=(-size, size), aspect="equal")
            panel.set_axis_on()
            panel.set_xticks([])
            panel.set_yticks([])
        self.figure_.suptitle(f"{len(self.poses)} poses; relative distance to a tie {self.gap:.2g}", fontsize="small")


class ImageMomentsDisplay(Panels):
    """Radial polynomials of orthogonal moments, and an image drawn again from its moments.

    Parameters
    ----------
    radial : pandas.DataFrame
        Radial polynomials, one column each, indexed by the radius.
    image, reconstruction : ndarray of shape (rows, columns)

    Attributes
    ----------
    axes_, figure_ : ndarray of three matplotlib Axes, and Figure
        Set by `plot`.
    """

    def __init__(self, radial: pd.DataFrame, image: FloatArray, reconstruction: FloatArray) -> None:
        self.radial = radial
        self.image = image
        self.reconstruction = reconstruction

    @classmethod
    def from_estimator(cls, moments: ImageMoments, image: Rows, *, n_shown: int = 6) -> Self:
        """Evaluate the first polynomials, and draw one image again.

        Parameters
        ----------
        moments : ImageMoments
            Fitted.
        image : array-like of shape (rows * columns,)
        n_shown : int, default 6
            Polynomials to show.

        {made}
        """
        r = np.linspace(0.0, 1.0, 101)
        shown = list(dict.fromkeys(moments.orders_))[: check_whole(n_shown, "n_shown", low=1)]
        curves = {f"n={n}, m={m}": radial_polynomial(r, n, m, kind=moments.kind) for n, m in shown}
        row = np.atleast_2d(check_rows(image, "image", ensure_2d=False))
        drawn = moments.reconstruct(row)
        return cls(pd.DataFrame(curves, index=pd.Index(r, name="r")), *(x.reshape(moments.shape) for x in (row, drawn)))

    def _grid(self) -> tuple[int, int]:
        return 1, 3

    def _size(self) -> tuple[float, float]:
        return 9.0, 3.0

    def _draw(self, ax: Any) -> None:
        """Draw the polynomials, the image, and the image drawn again."""
        for k, (name, curve) in enumerate(self.radial.items()):
            style = STYLES[k % len(STYLES)]
            ax.plot(self.radial.index, curve, color=CYCLE[k % len(CYCLE)], linestyle=style, label=str(name))
        ax.set(xlabel="radius, 1 is the edge of the image", title="radial polynomials")
        ax.legend(fontsize="x-small", frameon=False)
        for panel, picture, title in zip(
            self.axes_.flat[1:], (self.image, self.reconstruction), ("image", "from its moments"), strict=True
        ):
            panel.imshow(picture, cmap="gray")
            panel.set(title=title, xticks=[], yticks=[])
