"""Displays of symmetries: what is broken, the frames of a cloud, radial polynomials and images drawn again."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_rows, check_whole
from causalinv.inspection._axes import Display, axes
from causalinv.symmetry import ImageMoments, SymmetryScreen, radial_polynomial
from causalinv.transformations import EuclideanGroup

__all__ = ["FrameDisplay", "ImageMomentsDisplay", "SymmetryScreenDisplay"]


class SymmetryScreenDisplay(Display):
    """How much of the outcome breaks each symmetry, with its lower limit, and which are rejected.

    Parameters
    ----------
    table : pandas.DataFrame
        Of a `SymmetryScreen`.
    level : float
        Of its tests.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    """

    def __init__(self, table: pd.DataFrame, *, level: float) -> None:
        self.table = table
        self.level = level

    @classmethod
    def from_estimator(cls, screen: SymmetryScreen) -> Self:
        """Read a fitted screen.

        Parameters
        ----------
        screen : SymmetryScreen

        Returns
        -------
        SymmetryScreenDisplay
        """
        return cls(screen.table_.copy(), level=float(screen.level))

    def _draw(self, ax: Any) -> None:
        """Draw plug-in shares as points, with lines from their lower limits; filled where the symmetry is rejected."""
        for k, (_, row) in enumerate(self.table.iterrows()):
            rejected = row["pvalue_holm"] <= self.level
            top = max(row["broken_share"], row["broken_lower"])
            ax.plot([row["broken_lower"], top], [k, k], color="C0")
            ax.plot([row["broken_lower"]], [k], "|", color="C0", markersize=12)
            ax.plot([row["broken_share"]], [k], "o", color="C0", markerfacecolor="C0" if rejected else "white")
        labels = [f"{name}\np = {p:.3g}" for name, p in self.table["pvalue_holm"].items()]
        ax.set_yticks(range(len(labels)), labels)
        ax.set(xlabel="share of the outcome's variance that breaks it (from its lower limit)", xlim=(0, None))
        ax.set_ylim(-0.5, len(labels) - 0.5)
        ax.set_title(f"filled: rejected at {self.level:g} (Holm)", fontsize="small")


class FrameDisplay:
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

        Returns
        -------
        FrameDisplay
        """
        frame = group.frame(np.atleast_2d(check_rows(row, "row", ensure_2d=False)))
        return cls(frame.rows.reshape(len(frame.rows), -1, group.dim), gap=float(frame.gap[0]))

    def plot(self) -> Self:
        """Draw one small picture for each pose; points keep their colours.

        Returns
        -------
        self
        """
        first = axes(size=(2.0 * min(len(self.poses), 8), 2.2 * -(-len(self.poses) // 8)))
        self.figure_ = first.figure
        first.remove()
        columns = min(len(self.poses), 8)
        self.axes_ = self.figure_.subplots(-(-len(self.poses) // columns), columns, squeeze=False)
        size = 1.15 * float(np.abs(self.poses).max()) or 1.0
        for ax in self.axes_.flat:
            ax.set_axis_off()
        for ax, cloud in zip(self.axes_.flat, self.poses, strict=False):
            second = cloud[:, 1] if cloud.shape[1] > 1 else np.zeros(len(cloud))
            ax.scatter(cloud[:, 0], second, c=np.arange(len(cloud)), cmap="viridis")
            ax.set(xlim=(-size, size), ylim=(-size, size), aspect="equal")
            ax.set_axis_on()
            ax.set_xticks([])
            ax.set_yticks([])
        self.figure_.suptitle(f"{len(self.poses)} poses; relative distance to a tie {self.gap:.2g}", fontsize="small")
        return self


class ImageMomentsDisplay:
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

        Returns
        -------
        ImageMomentsDisplay
        """
        r = np.linspace(0.0, 1.0, 101)
        shown = list(dict.fromkeys(moments.orders_))[: check_whole(n_shown, "n_shown", low=1)]
        curves = {f"n={n}, m={m}": radial_polynomial(r, n, m, kind=moments.kind) for n, m in shown}
        row = np.atleast_2d(check_rows(image, "image", ensure_2d=False))
        drawn = moments.reconstruct(row)
        return cls(pd.DataFrame(curves, index=pd.Index(r, name="r")), *(x.reshape(moments.shape) for x in (row, drawn)))

    def plot(self) -> Self:
        """Draw the polynomials, the image, and the image drawn again.

        Returns
        -------
        self
        """
        first = axes(size=(9.0, 3.0))
        self.figure_ = first.figure
        first.remove()
        self.axes_ = self.figure_.subplots(1, 3)
        for name, curve in self.radial.items():
            self.axes_[0].plot(self.radial.index, curve, label=str(name))
        self.axes_[0].set(xlabel="r", title="radial polynomials")
        self.axes_[0].legend(fontsize="x-small", frameon=False)
        for ax, picture, title in zip(
            self.axes_[1:], (self.image, self.reconstruction), ("image", "from its moments"), strict=True
        ):
            ax.imshow(picture, cmap="gray")
            ax.set(title=title, xticks=[], yticks=[])
        return self
