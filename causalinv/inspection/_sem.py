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
from causalinv.inspection._layout import bends, circle, edge_of_box, layers, places
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

        {made}
        """
        where = layers(sem) if sem.is_acyclic else circle(sem.n_nodes)
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
        self._show(ax, edge_labels)
        self._settle(self.ax_)
        return self

    def _size(self) -> tuple[float, float]:
        width, height = np.ptp(self.positions[["x", "y"]].to_numpy(), axis=0)
        widest = max(map(len, map(str, self.positions.index)))
        return max(3.0, 1.2 + 0.9 * width + 0.08 * widest), max(2.5, 1.2 + 0.9 * height)

    def _draw(self, ax: Any, edge_labels: bool = True) -> None:
        at = self.positions[["x", "y"]]
        self._arrows: list[Any] = []
        self._weights: list[Any] = []
        self._nodes: list[Any] = []
        for parent, child, weight in self.edges.itertuples(index=False):
            self._edge(ax, parent, child, f"{weight:.2g}" if edge_labels else "", arrowstyle="-|>", color="0.45")
        for first, second, correlation in self.hidden.itertuples(index=False):
            says = f"{correlation:.2g}" if edge_labels else ""
            self._edge(ax, first, second, says, arrowstyle="<|-|>", color=BLACK, linestyle="--")
        for name, x, y, role in self.positions.itertuples():
            face, edge, style = _STYLE[role]
            box = {
                "boxstyle": f"round,pad={_PAD}",
                "facecolor": face,
                "edgecolor": edge,
                "linestyle": style,
            }
            self._nodes.append(ax.text(x, y, fill(str(name), 18), ha="center", va="center", zorder=4, bbox=box))
        low, high = at.min().to_numpy(dtype=float), at.max().to_numpy(dtype=float)
        ax.set(xlim=(low[0] - 0.6, high[0] + 0.6), ylim=(low[1] - 0.5, high[1] + 0.5))
        ax.set_axis_off()
        self._explain(ax)

    def _edge(self, ax: Any, first: str, second: str, says: str, **look: Any) -> None:
        """An arrow and its weight; `_settle` says how it bends and where its weight stands."""
        at = self.positions[["x", "y"]]
        style = {"shrinkA": 0.0, "shrinkB": 0.0, "connectionstyle": "arc3", **look}
        arrow = ax.annotate("", xy=at.loc[second], xytext=at.loc[first], arrowprops=style)
        text = ax.text(0, 0, says, color="0.25", ha="center", va="center", zorder=3.5, bbox=dict(_WHITE))
        text.set(style="italic" if "linestyle" in look else "normal", visible=bool(says))
        self._arrows.append(arrow.arrow_patch)
        self._weights.append(text)

    def _settle(self, ax: Any) -> None:
        """Now that the room is known: letters that fit, edges beside nodes, weights beside each other."""
        names = self.positions.index
        nodes = ax.transData.transform(self.positions[["x", "y"]].to_numpy(dtype=float))
        point = ax.figure.dpi / 72  # pixels
        letters = _letters(
            nodes / point, max(len(line) for text in self._nodes for line in text.get_text().split("\n"))
        )
        for text in self._nodes:
            text.set_fontsize(letters)
            text.get_bbox_patch().set_linewidth(1.4 * letters / _LARGEST)
        for text in self._weights:
            text.set_fontsize(_SMALLER * letters)
        half = np.array([_half(text) for text in self._nodes]) + _PAD * letters * point
        ends = [*self.edges[["parent", "child"]].to_numpy(), *self.hidden[["first", "second"]].to_numpy()]
        edges = np.array([(names.get_loc(a), names.get_loc(b)) for a, b in ends], dtype=int).reshape(-1, 2)
        pairs = set(map(tuple, edges.tolist()))
        fixed = [_BOTH if (b, a) in pairs else None for a, b in edges.tolist()]
        fixed[len(self.edges) :] = [_ASIDE] * len(self.hidden)
        bent = bends(nodes, half, edges, fixed, 3 * point)
        for (a, b), bend, arrow in zip(edges, bent, self._arrows, strict=True):
            arrow.set_connectionstyle(f"arc3,rad={bend}")
            arrow.shrinkA = edge_of_box(nodes[a], nodes[b], bend, half[a]) / point + 1
            arrow.shrinkB = edge_of_box(nodes[b], nodes[a], -bend, half[b]) / point + 1
            arrow.set_mutation_scale(1.2 * letters)
            arrow.set_linewidth(1.1 * letters / _LARGEST)
        size = np.array([_half(text) for text in self._weights]).reshape(-1, 2) + 1.5 * point
        found = ax.transData.inverted().transform(places(nodes, half, edges, bent, size))
        for text, where in zip(self._weights, found, strict=True):
            text.set_position(where)

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
_BOTH = 0.25  # of two edges between the same nodes: to different sides
_NOTHING = 1e-9  # correlation that is rounding
_WHITE: dict[str, Any] = {"boxstyle": "round,pad=0.08", "facecolor": "white", "edgecolor": "none"}
_PAD = 0.45  # around a node's name, in sizes of its letters
_SMALLEST, _LARGEST = 4.5, 9.0  # letters of names, in points
_SMALLER = 0.88  # letters of weights, of those of names


def _letters(nodes: FloatArray, longest: int) -> float:
    """Size of letters, in points, at which boxes leave room between nodes at these places."""
    away = np.abs(nodes[:, None] - nodes)
    level = away[..., 1] < 1.0
    below, beside = away[..., 1][~level], away[..., 0][level & ~np.eye(len(nodes), dtype=bool)]
    room = min(below.min(initial=np.inf) / 4.5, beside.min(initial=np.inf) / (0.62 * longest + 2.5))
    return float(np.clip(room, _SMALLEST, _LARGEST))


def _half(text: Any) -> FloatArray:
    """Half the width and height of a text, in pixels."""
    room = text.get_window_extent()
    return np.array([room.width, room.height]) / 2


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

        {made}
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
