"""Displays of models and their environments."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._matrix import symmetric_root
from causalinv._typing import ArrayLike, FloatArray, Node
from causalinv.inspection._axes import BLACK, BLUE, CYCLE, STYLES, Display
from causalinv.sem import EnvironmentSet, LinearSEM

__all__ = ["DAGDisplay", "EnvironmentsDisplay"]


class DAGDisplay(Display):
    """Graph of a model: causes above effects, the target and the sites of interventions marked.

    Parameters
    ----------
    positions : pandas.DataFrame
        One row per node (index: name) with columns ``x``, ``y`` and ``role`` (feature, target, hidden, site).
    edges : pandas.DataFrame
        Columns ``parent``, ``child``, ``weight``.
    hidden : pandas.DataFrame, optional
        Columns ``first``, ``second``, ``correlation``: nodes whose noise a hidden common cause correlates, drawn as a
        dashed edge with two heads.

    Examples
    --------
    >>> from causalinv.inspection import DAGDisplay
    >>> from causalinv.sem import textbook_sem
    >>> DAGDisplay.from_sem(textbook_sem("chain")).positions["role"].tolist()
    ['feature', 'target', 'feature']
    """

    def __init__(self, positions: pd.DataFrame, edges: pd.DataFrame, hidden: pd.DataFrame | None = None) -> None:
        self.positions = positions
        self.edges = edges
        self.hidden = pd.DataFrame(columns=["first", "second", "correlation"]) if hidden is None else hidden

    @classmethod
    def from_sem(cls, sem: LinearSEM, *, sites: Sequence[Node] = ()) -> DAGDisplay:
        """Lay a model out: in layers by the longest path from a root, or on a circle if it is cyclic.

        Parameters
        ----------
        sem : LinearSEM
            The model.
        sites : sequence of int or str, optional
            Nodes to mark as sites of interventions.

        Returns
        -------
        DAGDisplay
        """
        where = _layers(sem) if sem.is_acyclic else _circle(sem.n_nodes)
        marked = {sem.node(site) for site in sites}
        role = [
            "target"
            if i == sem.target
            else "site"
            if i in marked
            else "feature"
            if sem.target is None or i in sem.features
            else "hidden"
            for i in range(sem.n_nodes)
        ]
        index = pd.Index(sem.names, name="node")
        positions = pd.DataFrame({"x": where[:, 0], "y": where[:, 1], "role": role}, index=index)
        return cls(positions, sem.to_frame(), _correlated(sem))

    def plot(self, ax: Any = None, *, edge_labels: bool = True) -> Self:
        """Draw the graph.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure if left out.
        edge_labels : bool, default True
            Write the weights on the edges.

        Returns
        -------
        self
        """
        return self._show(ax, edge_labels)

    def _size(self) -> tuple[float, float]:
        width, height = np.ptp(self.positions[["x", "y"]].to_numpy(), axis=0)
        widest = max(map(len, map(str, self.positions.index)))
        return max(3.0, 1.2 + 0.9 * width + 0.08 * widest), max(2.5, 1.2 + 0.9 * height)

    def _draw(self, ax: Any, edge_labels: bool = True) -> None:
        at = self.positions[["x", "y"]]
        pairs = set(zip(self.edges["parent"], self.edges["child"], strict=True))
        for parent, child, weight in self.edges.itertuples(index=False):
            bend = 0.25 if (child, parent) in pairs or _passes_a_node(at, parent, child) else 0.0
            _arrow(ax, at.loc[parent], at.loc[child], bend, arrowstyle="-|>", color="0.45")
            if edge_labels:
                ax.text(
                    *_along(at.loc[parent].to_numpy(), at.loc[child].to_numpy(), bend),
                    f"{weight:.2g}",
                    fontsize=8,
                    color="0.25",
                    ha="center",
                    va="center",
                    **_LABEL,
                )
        for first, second, correlation in self.hidden.itertuples(index=False):
            _arrow(ax, at.loc[first], at.loc[second], _ASIDE, arrowstyle="<|-|>", color=BLACK, linestyle="--")
            if edge_labels:
                middle = _along(at.loc[first].to_numpy(), at.loc[second].to_numpy(), _ASIDE, 0.5)
                ax.text(*middle, f"{correlation:.2g}", fontsize=8, style="italic", ha="center", va="center", **_LABEL)
        for name, x, y, role in self.positions.itertuples():
            face, edge, style = _STYLE[role]
            box = {
                "boxstyle": "round,pad=0.45",
                "facecolor": face,
                "edgecolor": edge,
                "linestyle": style,
                "linewidth": 1.4,
            }
            ax.text(x, y, fill(str(name), 18), ha="center", va="center", fontsize=9, zorder=4, bbox=box)
        ax.set_aspect("equal", adjustable="datalim")
        low, high = at.min().to_numpy(dtype=float), at.max().to_numpy(dtype=float)
        ax.update_datalim(np.vstack([low - 0.6, high + 0.6]))
        ax.autoscale_view()
        ax.set_axis_off()
        self._explain(ax)

    def _explain(self, ax: Any) -> None:
        """A legend of the roles and edges that are drawn, if there is more than features."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        roles = [role for role in _STYLE if (self.positions["role"] == role).any()]
        marks: list[Any] = [
            Patch(facecolor=_STYLE[role][0], edgecolor=_STYLE[role][1], linestyle=_STYLE[role][2], label=_ROLES[role])
            for role in roles
            if role != "feature"
        ]
        if len(self.hidden):
            marks.append(Line2D([], [], color=BLACK, linestyle="--", label="hidden common cause (correlation)"))
        if marks:
            ax.legend(handles=marks, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False)


_STYLE: dict[str, tuple[str, str, Any]] = {
    "feature": ("white", "0.2", "-"),
    "hidden": ("white", "0.5", "--"),
    "site": ("#cfe3f5", BLUE, "-."),
    "target": ("#f5d9a0", BLACK, "-"),
}
_ROLES = {"hidden": "hidden", "site": "site of interventions", "target": "target"}
_ASIDE = -0.35  # bend of edges with two heads
_NOTHING = 1e-9  # correlation that is rounding
_LABEL: dict[str, Any] = {"bbox": {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"}}


def _correlated(sem: LinearSEM) -> pd.DataFrame:
    """Pairs of nodes whose noise is correlated: what hidden common causes leave."""
    cov = sem.noise_cov()
    size = np.sqrt(np.diag(cov))
    rows = [
        (sem.names[i], sem.names[j], cov[i, j] / (size[i] * size[j]))
        for i, j in zip(*np.triu_indices(len(cov), 1), strict=True)
        if size[i] * size[j] > 0 and abs(cov[i, j]) > _NOTHING * size[i] * size[j]
    ]
    return pd.DataFrame(rows, columns=["first", "second", "correlation"])


def _layers(sem: LinearSEM) -> FloatArray:
    """Depth by the longest path from a root; within a layer in the order of the parents' mean position."""
    depth = np.zeros(sem.n_nodes, int)
    for node in sem.topological_order():
        depth[node] = max((depth[parent] + 1 for parent in sem.parents(node)), default=0)
    where = np.zeros((sem.n_nodes, 2))
    where[:, 1] = -depth
    for level in range(depth.max() + 1):
        inside = np.flatnonzero(depth == level)
        pull = [np.mean([where[parent, 0] for parent in sem.parents(v)]) if sem.parents(v) else 0.0 for v in inside]
        order = inside[np.argsort(pull, kind="stable")]
        # Every other layer stands a little aside, so that edges across layers do not run over a node.
        where[order, 0] = 1.4 * (np.arange(len(order)) - (len(order) - 1) / 2) + 0.45 * (level % 2)
    width, height = np.ptp(where, axis=0)
    if width > 0:
        where[:, 0] *= max(1.0, 0.9 * height / width)  # a deep, narrow graph is spread to a square
    return where


def _circle(n: int) -> FloatArray:
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _arrow(ax: Any, start: pd.Series, end: pd.Series, bend: float, **style: Any) -> None:
    """An arrow that ends short of its nodes."""
    shape = {"shrinkA": 14, "shrinkB": 14, "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", xy=end, xytext=start, arrowprops=shape | style)


def _along(start: FloatArray, end: FloatArray, bend: float, share: float = 0.42) -> FloatArray:
    """Point at `share` of the quadratic curve that matplotlib's arc3 draws."""
    step = end - start
    control = (start + end) / 2 + bend * np.array([step[1], -step[0]])
    point: FloatArray = (1 - share) ** 2 * start + 2 * share * (1 - share) * control + share**2 * end
    return point


def _passes_a_node(at: pd.DataFrame, parent: str, child: str) -> bool:
    """Whether the straight line between two nodes runs over a third."""
    start, end = at.loc[parent].to_numpy(), at.loc[child].to_numpy()
    others = at.drop(index=[parent, child]).to_numpy()
    share = (others - start) @ (end - start) / np.sum((end - start) ** 2)
    nearest = start + np.clip(share, 0, 1)[:, None] * (end - start)
    return bool((np.linalg.norm(others - nearest, axis=1) < 0.2).any())


_FEW = 10  # environments that colours can name


class EnvironmentsDisplay(Display):
    """Two variables in every environment: their means, and the ellipses that their covariances draw.

    Parameters
    ----------
    means : array-like of shape (E, 2)
        Centres.
    covs : array-like of shape (E, 2, 2)
        Covariances.
    labels : sequence
        Labels of the environments.
    names : (str, str)
        Names of the two variables.

    Examples
    --------
    >>> from causalinv.inspection import EnvironmentsDisplay
    >>> from causalinv.sem import Shift, textbook_sem
    >>> envs = textbook_sem("chain").environments([None, Shift("x1", mean=3.0)])
    >>> EnvironmentsDisplay.from_environments(envs, "x1", "y").means
    array([[0., 0.],
           [3., 3.]])
    """

    def __init__(self, means: ArrayLike, covs: ArrayLike, labels: Sequence[Any], names: tuple[str, str]) -> None:
        self.means = np.asarray(means, dtype=np.float64)
        self.covs = np.asarray(covs, dtype=np.float64)
        self.labels = list(labels)
        self.names = names

    @classmethod
    def from_environments(cls, environments: EnvironmentSet, x: Node, y: Node | None = None) -> EnvironmentsDisplay:
        """Take exact moments of two nodes from an environment set.

        Parameters
        ----------
        environments : EnvironmentSet
            The environments.
        x : int or str
            Node on the horizontal axis.
        y : int or str, optional
            Node on the vertical axis; the target if left out.

        Returns
        -------
        EnvironmentsDisplay
        """
        sem = environments.sem
        assert sem.target is not None  # an environment set has one
        at = [sem.node(x), sem.target if y is None else sem.node(y)]
        names = (sem.names[at[0]], sem.names[at[1]])
        return cls(environments.means(at), environments.covs(at), environments.labels.tolist(), names)

    def ellipse(self, environment: int, *, n_std: float = 2.0, n_points: int = 100) -> FloatArray:
        """Outline of one ellipse, `n_std` standard deviations wide, shape (n_points, 2)."""
        root = symmetric_root(self.covs[environment])  # one row where the two nodes are on a line
        angle = np.linspace(0, 2 * np.pi, n_points)
        circle = np.column_stack([np.cos(angle), np.sin(angle)])
        return self.means[environment] + n_std * circle[:, : len(root)] @ root

    def plot(self, ax: Any = None, *, n_std: float = 2.0) -> Self:
        """Draw one ellipse per environment, the first one black; more than ten are grey, and the legend counts them.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure if left out.
        n_std : float, default 2.0
            Half-width of the ellipses in standard deviations.

        Returns
        -------
        self
        """
        return self._show(ax, n_std)

    def _draw(self, ax: Any, n_std: float = 2.0) -> None:
        few = len(self.labels) <= _FEW
        for k, label in enumerate(self.labels):
            colour = BLACK if k == 0 else CYCLE[(k - 1) % len(CYCLE)] if few else "0.55"
            says = str(label) if few or k == 0 else f"{len(self.labels) - 1} others" if k == 1 else None
            style = STYLES[k % len(STYLES)] if few else "-"
            width = 1.6 if few or k == 0 else 0.6
            outline = self.ellipse(k, n_std=n_std)
            ax.plot(*outline.T, color=colour, linestyle=style, lw=width, label=says, zorder=3 if k == 0 else 2)
            ax.plot(*self.means[k], marker="+", color=colour)
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        ax.legend(
            title=f"environment ({n_std:g} sd)", fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False
        )
