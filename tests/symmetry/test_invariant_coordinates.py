"""Judges: distances, which are kept; motions and relabelling by hand; classical scaling of scikit-learn."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from causalinv.symmetry import InvariantCoordinates
from causalinv.transformations import EuclideanGroup, Rotate90
from tests.transformations.test_frames import SHAPES


@pytest.mark.parametrize("proper", [False, True])
@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "past a tie"])
def test_motions_and_numbering_do_not_matter_and_distances_stay(shape, proper):
    points = SHAPES[shape]
    p, d = points.shape
    rng = np.random.default_rng(0)
    model = InvariantCoordinates(EuclideanGroup(d, proper=proper, exchange=True)).fit(points.reshape(1, -1))
    first = model.transform(points.reshape(1, -1))
    np.testing.assert_allclose(np.sort(pdist(first.reshape(p, d))), np.sort(pdist(points)), atol=1e-9)
    for _ in range(5):
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
        if proper and np.linalg.det(turn) < 0:
            turn[0] *= -1
        moved = (points @ turn.T + rng.normal(size=d))[rng.permutation(p)]
        np.testing.assert_allclose(model.transform(moved.reshape(1, -1)), first, atol=1e-9)


def test_mirror_images_are_told_apart_by_proper_rotations_only():
    cloud = SHAPES["any"]
    rows = np.stack([cloud, cloud * [1, 1, -1]]).reshape(2, -1)
    for proper in (False, True):
        a, b = InvariantCoordinates(EuclideanGroup(3, proper=proper)).fit_transform(rows)
        assert (np.abs(a - b).max() > 0.1) == proper


def test_they_are_principal_coordinates():
    cloud = SHAPES["any"]
    ours = InvariantCoordinates(EuclideanGroup(3)).fit_transform(cloud.reshape(1, -1)).reshape(5, 3)
    np.testing.assert_allclose(np.abs(ours), np.abs(PCA(3).fit_transform(cloud)), atol=1e-9)


def test_images_and_refusals():
    X = np.random.default_rng(0).normal(size=(5, 9))
    model = InvariantCoordinates(Rotate90((3, 3))).fit(X)
    turned = np.stack([np.rot90(x.reshape(3, 3)).ravel() for x in X])
    np.testing.assert_array_equal(model.transform(turned), model.transform(X))
    with pytest.raises(TypeError, match="symmetry must be a Transformation"):
        InvariantCoordinates("turns").fit(X)
