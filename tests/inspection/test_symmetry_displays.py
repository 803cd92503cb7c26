"""Displays of symmetries hold numbers, and draw them."""

import numpy as np
from sklearn.linear_model import Ridge

from causalinv.inspection import FrameDisplay, ImageMomentsDisplay, SymmetryScreenDisplay
from causalinv.inspection._axes import BLUE
from causalinv.symmetry import ImageMoments, SymmetryScreen
from causalinv.transformations import EuclideanGroup, SignFlip


def test_screen_display():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    y = X[:, 0] ** 2 + X[:, 1] + 0.3 * rng.normal(size=120)
    flips = {"first": SignFlip([0]), "second": SignFlip([1])}
    screen = SymmetryScreen(flips, estimator=Ridge(), n_resamples=39, random_state=0).fit(X, y)
    display = SymmetryScreenDisplay.from_estimator(screen).plot()
    assert display.table.equals(screen.table_)
    marks = [line for line in display.ax_.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in marks], screen.table_["broken_share"])
    assert [line.get_markerfacecolor() for line in marks] == ["white", BLUE]


def test_frame_display():
    square = [1.0, 1, -1, 1, -1, -1, 1, -1]
    display = FrameDisplay.from_cloud(EuclideanGroup(2), square).plot()
    assert display.poses.shape == (8, 4, 2)
    assert display.gap == 0.0
    assert sum(bool(ax.collections) for ax in display.axes_.flat) == 8
    np.testing.assert_allclose(display.axes_[0, 0].collections[0].get_offsets(), display.poses[0])


def test_image_moments_display():
    image = np.random.default_rng(0).random(64)
    moments = ImageMoments((8, 8), degree=6).fit([image])
    display = ImageMomentsDisplay.from_estimator(moments, image, n_shown=3).plot()
    np.testing.assert_allclose(display.radial["n=2, m=0"], 2 * display.radial.index**2 - 1, atol=1e-12)
    assert len(display.axes_[0, 0].lines) == 3
    np.testing.assert_allclose(display.axes_[0, 2].images[0].get_array(), moments.reconstruct([image]).reshape(8, 8))
