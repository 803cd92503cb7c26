"""Displays hold what they draw, draw it without a screen, and say what to install when they cannot."""

import sys

import numpy as np
import pytest

from causalinv.inspection import DAGDisplay, EnvironmentsDisplay
from causalinv.sem import Shift, random_cyclic_sem, random_sem, textbook_sem


def test_causes_stand_above_effects_and_roles_are_marked():
    sem = random_sem(12, expected_degree=3.0, random_state=1)
    display = DAGDisplay.from_sem(sem, sites=sem.features[:2])
    for parent, child, weight in display.edges.itertuples(index=False):
        assert display.positions.loc[parent, "y"] > display.positions.loc[child, "y"]
        assert sem.B[sem.node(child), sem.node(parent)] == weight
    assert display.positions["role"].value_counts().to_dict() == {"feature": 9, "site": 2, "target": 1}
    assert not display.positions[["x", "y"]].duplicated().any()
    assert DAGDisplay.from_sem(textbook_sem("instrument")).positions.loc["u", "role"] == "hidden"


def test_drawing_uses_the_axes_given_and_labels_every_node_and_edge():
    import matplotlib.pyplot as plt

    ax = plt.figure().add_subplot()
    display = DAGDisplay.from_sem(textbook_sem("chain")).plot(ax)
    assert display.ax_ is ax
    texts = {text.get_text() for text in ax.texts}
    assert {"x1", "y", "x2", "1"} <= texts
    cyclic = DAGDisplay.from_sem(random_cyclic_sem(5, random_state=0)).plot(edge_labels=False)
    assert cyclic.figure_ is not ax.figure


def _boxes(display):
    """Where weights stand, and the boxes of nodes."""
    display.figure_.draw_without_rendering()
    texts = [text for text in display.ax_.texts if text.get_text()]
    nodes = [text for text in texts if text.get_text() in display.positions.index]
    weights = [text.get_window_extent() for text in texts if text not in nodes]
    return weights, [text.get_bbox_patch().get_window_extent() for text in nodes]


@pytest.mark.parametrize("size", [None, (8 / 2.54, 7 / 2.54)], ids=["notebook", "8cm"])
def test_no_weight_is_printed_over_another_or_over_a_node(size):
    import matplotlib.pyplot as plt

    for seed in (1, 8):
        display = DAGDisplay.from_sem(random_sem(12, expected_degree=3.0, random_state=seed))
        display.plot(None if size is None else plt.figure(figsize=size, layout="constrained").add_subplot())
        weights, nodes = _boxes(display)
        assert len(weights) == len(display.edges) > 15
        assert len(nodes) == 12
        every = weights + nodes
        assert not any(a.overlaps(b) for i, a in enumerate(every) for b in every[:i])


def test_arrows_end_at_the_boxes_they_join_and_pass_beside_others():
    from causalinv.inspection._layout import bends, curve, edge_of_box

    nodes, half = np.array([[0.0, 0.0], [0.0, 100.0], [0.0, 200.0]]), np.full((3, 2), 10.0)
    edges = np.array([[0, 1], [0, 2]])
    straight, around = bends(nodes, half, edges, [None, None], 4.0)
    assert straight == 0
    away = np.abs(curve(nodes[0], nodes[2], around, np.linspace(0, 1, 201)) - nodes[1])
    assert (away.max(axis=1) > 14).all()
    assert edge_of_box(nodes[0], nodes[1], 0.0, np.array([30.0, 10.0])) == pytest.approx(10.0)
    assert edge_of_box(nodes[0], np.array([50.0, 0.0]), 0.0, np.array([30.0, 10.0])) == pytest.approx(30.0)
    leaves = edge_of_box(nodes[0], nodes[2], around, half[0])  # along the tangent at the start
    tangent = np.array([0.0, 100.0]) + around * np.array([200.0, 0.0])
    assert np.abs(leaves * tangent / np.linalg.norm(tangent)).max() == pytest.approx(10.0)


def test_ellipses_are_level_sets_of_the_exact_covariance():
    sem = textbook_sem("chain")
    envs = sem.environments([None, Shift("x1", mean=2.0, std=1.0)], labels=["calm", "windy"])
    display = EnvironmentsDisplay.from_environments(envs, "x1")
    for e in range(2):
        at = [sem.node("x1"), sem.target]
        gap = display.ellipse(e, n_std=2.0) - envs.means()[e, at]
        distance = np.einsum("ij,jk,ik->i", gap, np.linalg.inv(envs.covs()[e][np.ix_(at, at)]), gap)
        np.testing.assert_allclose(distance, 4.0)
    display.plot()
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("x1", "y")
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["calm", "windy"]


def test_without_matplotlib_the_message_names_the_extra(monkeypatch):
    """That the room can be imported without it, tests/packaging show."""
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it raises, as where it is not installed
    display = DAGDisplay.from_sem(textbook_sem("chain"))
    assert len(display.positions) == 3
    with pytest.raises(ImportError, match=r'python -m pip install "causalinv\[plot\]"'):
        display.plot()
