"""Frames where rounding, units and offsets could show. Judges: moves by hand; the same rows in other units."""

import warnings

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from causalinv.symmetry import FrameAveragingRegressor
from causalinv.transformations import (
    Compose,
    EuclideanGroup,
    Flip,
    LinearGroup,
    Scaling,
    SignFlip,
    Translation,
    from_polar,
    haar_density,
    polar_chart,
)

# Learners that react to the last digit: one splits between neighbouring floats, the other divides by the spread.
SHARP = {
    "boosting": HistGradientBoostingRegressor(min_samples_leaf=2, max_iter=3),
    "standardised": make_pipeline(StandardScaler(), KernelRidge(kernel="rbf")),
}
GROUPS = {
    "GL+": LinearGroup(2),
    "SL": LinearGroup(2, kind="SL"),
    "affine": LinearGroup(2, kind="affine"),
    "scaling": Scaling(),
    "one direction": Translation([[1.0, 2, 3, 0, 0, 0, 0, 0]]),
    "a plane of two columns": Translation([[1.0, 1, 0, 0, 0, 0, 0, 0], [1.0, -1, 0, 0, 0, 0, 0, 0]]),
    "three directions": Translation(np.c_[np.random.default_rng(1).normal(size=(3, 3)), np.zeros((3, 5))]),
    "shift, then scale": Compose([Translation(np.ones((1, 8))), Scaling()]),
    "turn, then scale": Compose([EuclideanGroup(2), Scaling()]),
}


@pytest.mark.parametrize("learner", SHARP)
@pytest.mark.parametrize("group", GROUPS)
def test_no_learner_sees_the_rounding_of_a_frame(group, learner):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 8)), rng.normal(size=40)
    model = FrameAveragingRegressor(SHARP[learner], symmetry=GROUPS[group]).fit(X, y)
    assert np.ptp(model.predict(X)) > 0.1
    for _ in range(3):
        moved = GROUPS[group].draw(X, rng)[0]
        np.testing.assert_allclose(model.predict(moved), model.predict(X), rtol=0, atol=1e-9)


@pytest.mark.parametrize("group", ["scaling", "one direction", "three directions", "shift, then scale"])
def test_whole_numbers_have_the_same_frame_to_the_last_digit(group):
    rng = np.random.default_rng(2)
    X = rng.integers(-2, 3, size=(200, 8)).astype(float)
    moved = GROUPS[group].draw(X, rng)[0]
    np.testing.assert_array_equal(GROUPS[group].frame(moved).rows, GROUPS[group].frame(X).rows)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-160, 1e160, 1e300])
def test_frames_are_those_of_the_same_rows_in_another_unit(unit):
    X = np.random.default_rng(0).normal(size=(5, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for group in (Scaling(), LinearGroup(2), LinearGroup(2, kind="affine")):  # no unit is left
            np.testing.assert_allclose(group.frame(X * unit).rows, group.frame(X).rows, rtol=0, atol=2e-11)
        for group in (LinearGroup(2, kind="SL"), EuclideanGroup(2), Translation(np.full((1, 8), unit))):
            np.testing.assert_allclose(group.frame(X * unit).rows / unit, group.frame(X).rows, rtol=0, atol=1e-10)
        assert polar_chart(unit * np.eye(3))[0] == pytest.approx(unit)


def test_clouds_that_are_long_and_thin_are_whitened_to_ten_digits():
    g = np.array([[1.0, 0.3], [0.2, 1.0]])
    for thin in (1e-2, 1e-4, 5e-6):
        X = np.random.default_rng(0).normal(size=(20, 8)) * np.tile([1.0, thin], 4)
        moved = (X.reshape(20, 4, 2) @ g.T).reshape(20, 8)
        np.testing.assert_allclose(LinearGroup(2).frame(moved).rows, LinearGroup(2).frame(X).rows, atol=1e-9)


def test_points_that_are_one_up_to_rounding_have_no_shape():
    X = np.tile([0.1, 0.3], (3, 3)) * np.array([[1.0], [2 / 7], [0.7]])  # means of equal numbers are off by a rounding
    frame = EuclideanGroup(2).frame(X)
    assert frame.tied.all()
    np.testing.assert_array_equal(frame.rows, 0.0)


def test_exchanged_points_far_from_the_origin_keep_their_order():
    """Coordinates of squares tie; at 1e8 sides from the origin they tie up to 1e-8."""
    square = np.array([[1.0, 1], [-1, 1], [-1, -1], [1, -1]]) @ np.array([[0.6, -0.8], [0.8, 0.6]])
    square = np.vstack([square, [[0.25, 0.125]]])
    group, rng = EuclideanGroup(2, exchange=True), np.random.default_rng(0)
    here = group.frame(square.reshape(1, -1)).rows
    for _ in range(20):
        turn = np.linalg.qr(rng.normal(size=(2, 2)))[0]
        moved = (rng.permutation(square) @ turn + 1e8 * rng.normal(size=2)).reshape(1, -1)
        gap = np.abs(group.frame(moved).rows[:, None] - here).max(axis=2)
        assert gap.min(axis=1).max() < 1e-6


def jump(group, cloud, low, high):
    """Where an average over frames jumps between two clouds, by bisection: by how much, and the gap there."""

    def at(step):
        frame = group.frame(cloud(step).reshape(1, -1))
        return frame.average(np.abs(frame.rows) ** 3)[0], frame.gap[0]

    for _ in range(36):
        middle = (low + high) / 2
        parts = [np.abs(at(one)[0] - at(other)[0]).max() for one, other in ((low, middle), (middle, high))]
        low, high = (low, middle) if parts[0] > parts[1] else (middle, high)
    return np.abs(at(low)[0] - at(high)[0]).max(), at(low)[1]


def test_the_gap_tells_where_frames_jump():
    """Sorted points jump where two change places; frames along the farthest point where another becomes it."""

    def crossing(step):
        return np.array([[-3.0, 0], [2, 0], [1 + step, 1.2], [1 - step, -0.8], [-1.2, 0.1]])

    size, gap = jump(EuclideanGroup(2, exchange=True), crossing, -0.05, 0.02)
    assert size > 0.1
    assert gap < 1e-6
    size, gap = jump(EuclideanGroup(2), crossing, -0.05, 0.02)
    assert size < 1e-6
    assert gap > 0.1
    apart = crossing(0.5).reshape(1, -1)
    assert 0.05 < EuclideanGroup(2, exchange=True).frame(apart).gap[0] < 0.5
    charged = EuclideanGroup(2, exchange=True, points=range(10), scalars=range(10, 15))
    assert charged.frame(np.c_[crossing(0.0).reshape(1, -1), [[1, 2, 3, 4, 5]]]).gap[0] > 0.5  # no two change places
    assert EuclideanGroup(1, exchange=True).frame(np.array([[1.0, 1.0, 5.0]])).gap[0] == np.inf  # sorting is continuous

    size, gap = jump(
        LinearGroup(2), lambda far: np.array([[1.0, 0.2], [-0.1, far], [-0.6, -0.6], [0.3, 0.1]]), 0.3, 3.0
    )
    assert size > 0.1
    assert gap < 1e-5
    assert LinearGroup(2).frame(np.array([[1.0, 0.2, -0.1, 3, -0.6, -0.6, 0.3, 0.1]])).gap[0] > 0.01
    assert LinearGroup(2).frame(np.array([[1.0, 1, -1, 1, -1, -1, 1, -1]])).gap[0] == 0  # corners are equally far


def test_one_row_is_tried_as_often_as_many():
    X = np.random.default_rng(0).normal(size=(4, 8))
    for bad in (
        Compose([Scaling(), EuclideanGroup(2)]),
        Compose([EuclideanGroup(2, translations=False), SignFlip([0])]),
    ):
        for door in (bad.frame, bad.canonical, bad.pose):
            for rows in (X, X[:1], X[2:3]):
                with pytest.raises(ValueError, match="do not go together"):
                    door(rows)


def test_columns_are_named_once_and_can_be_read_again():
    X = np.ones((2, 4))
    with pytest.raises(TypeError, match="read more than once"):
        Scaling(columns=(j for j in [0, 1])).frame(X)
    with pytest.raises(TypeError, match="read more than once"):
        EuclideanGroup(2, vectors=iter([2, 3])).frame(X)
    for group in (Scaling(columns=[0, 0]), LinearGroup(2, points=[0, 1, 0, 2]), SignFlip([[1, 1]])):
        with pytest.raises(ValueError, match="name a column twice"):
            group.frame(X)
    with pytest.raises(ValueError, match="empty"):
        Scaling(columns=[]).frame(X)
    for wrong in ("ab", (j for j in [0])):
        with pytest.raises(TypeError, match="columns of SignFlip must be a sequence"):
            SignFlip(wrong).frame(X)
    with pytest.raises(ValueError, match="does not have"):
        SignFlip([True]).frame(X)
    with pytest.raises(TypeError, match="non-empty sequence"):
        Compose(t for t in [SignFlip([0])]).frame(X)


def test_maps_that_are_singular_up_to_rounding_and_shears_that_are_not_symmetric():
    with pytest.raises(ValueError, match="positive determinant"):
        polar_chart(np.outer([0.1, 0.7, 0.3], [0.3, 0.9, 0.2]) + np.outer([0.2, 0.1, 0.4], [0.5, 0.1, 0.8]))
    with pytest.raises(ValueError, match="positive determinant"):
        polar_chart(np.diag([1e-200, -1e-200]))
    with pytest.raises(ValueError, match="symmetric"):
        haar_density([[0.0, 5.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="square"):
        haar_density([0.0, 1.0])


def test_parameters_are_named_where_they_are_wrong():
    X = np.random.default_rng(0).normal(size=(10, 3))
    for shape in ((1.0, 3), (-1, -3)):
        with pytest.raises(ValueError, match="shape of Flip must be a whole number"):
            Flip(shape).elements(3)
    with pytest.raises(ValueError, match="n_directions must be a whole number"):
        Translation.from_pairs(X, X[::-1], n_directions=1.5)
    with pytest.raises(ValueError, match="of one size"):
        from_polar(1.0, np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match="scale must be > 0"):
        from_polar(-1.0, np.eye(2), np.zeros((2, 2)))
