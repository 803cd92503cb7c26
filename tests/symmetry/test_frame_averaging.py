"""Exact invariance for any learner; the identity with IV-like regression; comparisons; what is refused."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from causalinv.datasets import load_confounded_digits
from causalinv.exceptions import LeakageWarning
from causalinv.ivlike import IVLikeRegression
from causalinv.symmetry import FrameAveragingClassifier, FrameAveragingRegressor
from causalinv.transformations import (
    Compose,
    EuclideanGroup,
    Flip,
    FunctionAugmentation,
    PermutationGroup,
    Rotate90,
    Scaling,
    SignFlip,
)
from tests.transformations.test_frames import PYRAMID, SQUARE, TETRAHEDRON

LEARNERS = {
    "trees": ExtraTreesRegressor(5, random_state=0),
    "boosting": HistGradientBoostingRegressor(max_iter=8, min_samples_leaf=5),
    "kernel ridge": KernelRidge(kernel="rbf", gamma=0.1, alpha=0.1),
    "network": MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0, tol=0.5),
}


def clouds(n=60, p=4, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p, d))
    i, j = np.triu_indices(p, 1)
    y = np.exp(-np.linalg.norm(X[:, i] - X[:, j], axis=2)).sum(axis=1)
    return X.reshape(n, -1), y


@pytest.mark.parametrize("exchange", [False, True])
@pytest.mark.parametrize(("proper", "translations"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("learner", LEARNERS)
def test_predictions_do_not_move(learner, proper, translations, exchange):
    X, y = clouds()
    group = EuclideanGroup(3, proper=proper, translations=translations, exchange=exchange)
    model = FrameAveragingRegressor(LEARNERS[learner], symmetry=group).fit(X, y)
    new = clouds(200, seed=1)[0]
    moved, _ = group.draw(new, np.random.default_rng(2))
    assert np.abs(model.predict(moved) - model.predict(new)).max() < 1e-10
    mirrored = (new.reshape(200, 4, 3) * [1, 1, -1]).reshape(200, -1)
    change = np.abs(model.predict(mirrored) - model.predict(new)).max()
    assert (change > 1e-8) == proper


@pytest.mark.parametrize("learner", ["trees", "kernel ridge"])
@pytest.mark.parametrize("exchange", [False, True])
@pytest.mark.parametrize("output", ["vectors", "points"])
def test_vector_outcomes_move_along(learner, output, exchange):
    X, _ = clouds()
    offset = 0 if output == "points" else np.tile(X.reshape(-1, 4, 3).mean(axis=1), 4)
    Y = X * 1.2 - offset
    group = EuclideanGroup(3, exchange=exchange)
    model = FrameAveragingRegressor(LEARNERS[learner], symmetry=group, output=output).fit(X, Y)
    rng = np.random.default_rng(3)
    new = clouds(100, seed=1)[0]
    turn, shift, order = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(size=3), rng.permutation(4)
    order = order if exchange else np.arange(4)
    moved = (new.reshape(100, 4, 3) @ turn.T + shift)[:, order].reshape(100, -1)
    expected = (model.predict(new).reshape(100, 4, 3) @ turn.T + (shift if output == "points" else 0))[:, order]
    np.testing.assert_allclose(model.predict(moved), expected.reshape(100, -1), atol=1e-10)


def test_symmetric_shapes_among_the_rows():
    rng = np.random.default_rng(4)
    for shape in (SQUARE, TETRAHEDRON, PYRAMID, np.tile([1.0, 2, 3], (4, 1)), np.outer([-1.0, 1, 2, 3], [1, 2, 2.0])):
        p, d = shape.shape
        X, y = clouds(50, p, d)
        X[:5] = shape.ravel()
        group = EuclideanGroup(d, exchange=True)
        for learner in ("trees", "boosting", "kernel ridge"):
            model = FrameAveragingRegressor(LEARNERS[learner], symmetry=group).fit(X, y)
            assert model.frame_gap_[0] < 1e-12
            assert model.frame_gap_[1] < 5
            turns = np.linalg.qr(rng.normal(size=(20, d, d)))[0]
            moved = (shape @ turns + rng.normal(size=(20, 1, d)))[:, rng.permutation(p)].reshape(20, -1)
            assert np.ptp(model.predict(moved)) < 1e-10
    table = model.diagnostics(X)
    assert table["tied"].sum() == 5
    assert list(table.columns) == ["gap", "size", "tied"]


def test_one_point():
    group = EuclideanGroup(2)
    model = FrameAveragingRegressor(LEARNERS["trees"], symmetry=group).fit([[1.0, 2], [3, 5], [0, 1]], [1.0, 2, 3])
    np.testing.assert_allclose(model.predict([[7.0, 7]]), 2.0)  # positions say nothing: the mean


@pytest.mark.parametrize("group", [Rotate90((8, 8)), Compose([Rotate90((8, 8)), Flip((8, 8))])])
def test_least_squares_over_a_finite_group_is_ivlike_regression(group):
    digits = load_confounded_digits(random_state=0)
    ours = FrameAveragingRegressor(LinearRegression(), symmetry=group).fit(digits.X, digits.y)
    theirs = IVLikeRegression(augmentation=group).fit(digits.X, digits.y)
    size = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.estimator_.coef_, theirs.coef_, atol=1e-12 * size)
    np.testing.assert_allclose(ours.predict(digits.X[:50]), theirs.predict(digits.X[:50]), rtol=1e-12)


def matches(n=150, seed=0):
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(2, n, 3))
    wins = rng.random(n) < 1 / (1 + np.exp(-2 * (A[:, 0] * A[:, 1] - B[:, 0] * B[:, 1] + A[:, 2] - B[:, 2])))
    return np.hstack([A, B]), np.where(wins, "A", "B")


SWAP = PermutationGroup([[3, 4, 5, 0, 1, 2]])


@pytest.mark.parametrize("learner", [ExtraTreesClassifier(20, random_state=0), LogisticRegression(), LinearSVC()])
def test_comparisons_add_up(learner):
    X, y = matches()
    model = FrameAveragingClassifier(learner, symmetry=SWAP, output=[[1, 0]]).fit(X, y)
    other = np.hstack([X[:, 3:], X[:, :3]])
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(model.predict_proba(X)[:, 0] + model.predict_proba(other)[:, 0], 1.0, atol=1e-12)
    else:
        np.testing.assert_allclose(model.decision_function(X), -model.decision_function(other), atol=1e-12)
    clear = (
        np.abs(
            model._averaged(X, "predict_proba" if hasattr(model, "predict_proba") else "decision_function")[:, 0] - 0.5
        )
        > 1e-9
    )
    assert (model.predict(X)[clear] != model.predict(other)[clear]).all()


def test_three_classes_move_in_a_cycle():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 3))
    y = X.argmax(axis=1)
    group = PermutationGroup([[1, 2, 0]])  # gx = x[perm], so the probabilities move alike
    model = FrameAveragingClassifier(ExtraTreesClassifier(10, random_state=0), symmetry=group, output=[[1, 2, 0]]).fit(
        X, y
    )
    np.testing.assert_allclose(model.predict_proba(X[:, [1, 2, 0]]), model.predict_proba(X)[:, [1, 2, 0]], atol=1e-12)
    assert model.score(X, y) > 0.9
    invariant = FrameAveragingClassifier(RidgeClassifier(), symmetry=group).fit(X, y)
    np.testing.assert_array_equal(invariant.predict(X), invariant.predict(X[:, [1, 2, 0]]))


def test_odd_and_homogeneous_outcomes():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(100, 2))
    odd = FrameAveragingRegressor(LEARNERS["trees"], symmetry=SignFlip([[0, 1]]), output="odd").fit(X, X[:, 0] ** 3)
    np.testing.assert_allclose(odd.predict(-X), -odd.predict(X), atol=1e-12)
    group = Scaling(degree=2.0)
    area = FrameAveragingRegressor(LEARNERS["trees"], symmetry=group, output="homogeneous").fit(
        X, np.abs(X).prod(axis=1)
    )
    np.testing.assert_allclose(area.predict(3 * X), 9 * area.predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="has length 0"):
        area.predict(np.zeros((1, 2)))


def test_search_over_the_learner_inside_a_pipeline():
    X, y = clouds(80)
    pipe = make_pipeline(
        FunctionTransformer(), FrameAveragingRegressor(KernelRidge(kernel="rbf"), symmetry=EuclideanGroup(3))
    )
    name = "frameaveragingregressor__estimator__alpha"
    search = GridSearchCV(pipe, {name: [1e-3, 10.0]}, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_[name] == 1e-3
    moved, _ = EuclideanGroup(3).draw(X, np.random.default_rng(0))
    np.testing.assert_allclose(search.predict(moved), search.predict(X), atol=1e-9)


def test_what_is_refused():
    X, y = clouds()
    flip = SignFlip([0])

    def fit(learner=LEARNERS["trees"], **given):
        return FrameAveragingRegressor(learner, **({"symmetry": flip} | given)).fit(X, y)

    with pytest.raises(TypeError, match="symmetry must be a Transformation"):
        fit(symmetry="rotation")
    with pytest.raises(ValueError, match="FunctionAugmentation has no frame"):
        fit(symmetry=FunctionAugmentation(lambda X, rng: (X, X)))
    with pytest.raises(ValueError, match="'invariant' or 'odd'; got 'vectors'"):
        fit(output="vectors")
    with pytest.raises(ValueError, match="oob_score=True of the learner"):
        fit(ExtraTreesRegressor(10, bootstrap=True, oob_score=True))
    with pytest.warns(LeakageWarning, match="early_stopping=True"):
        fit(HistGradientBoostingRegressor(early_stopping=True, max_iter=5))
    with pytest.raises(ValueError, match="takes no sample_weight"):
        FrameAveragingRegressor(KNeighborsRegressor(), symmetry=flip).fit(X, y, sample_weight=np.ones(len(y)))
    tied = X.copy()
    tied[0] = TETRAHEDRON.ravel()
    with pytest.raises(ValueError, match="Frames have 8 to 24 elements"):
        FrameAveragingRegressor(KNeighborsRegressor(), symmetry=EuclideanGroup(3)).fit(tied, y)
    labels = y > np.median(y)
    for output, message in (("odd", "'invariant' or permutations"), ([[0, 2]], "permutations of 0..1")):
        with pytest.raises(ValueError, match=message):
            FrameAveragingClassifier(LogisticRegression(), symmetry=flip, output=output).fit(X, labels)
    with pytest.raises(ValueError, match="Only a finite group can move classes"):
        FrameAveragingClassifier(LogisticRegression(), symmetry=Scaling(), output=[[1, 0]]).fit(X, labels)
    with pytest.raises(ValueError, match="1 generators move the outcome, but the group has 2"):
        FrameAveragingClassifier(LogisticRegression(), symmetry=SignFlip([0, 1]), output=[[1, 0]]).fit(X, labels)


def test_decision_values_of_pairs_are_refused_and_labels_are_checked():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    y = np.digitize(np.abs(X[:, 0]), [0.4, 1.0])
    for shape, fits in (("ovr", True), ("ovo", False)):
        model = FrameAveragingClassifier(SVC(decision_function_shape=shape), symmetry=SignFlip([0])).fit(X, y)
        if fits:
            assert model.score(X, y) > 0.85
        else:  # three pairs of three classes: columns would pass for those of the classes, and 0.28 was right
            with pytest.raises(ValueError, match="pairs of classes"):
                model.predict(X)
    two = FrameAveragingClassifier(SVC(decision_function_shape="ovo"), symmetry=SignFlip([0])).fit(X, y > 0)
    assert two.score(X, y > 0) > 0.85
    tree = FrameAveragingClassifier(DecisionTreeClassifier(), symmetry=SignFlip([0]))
    for missing in (np.where(y > 0, "a", None), np.array(["a", np.nan], dtype=object)[(y > 0).astype(int)]):
        with pytest.raises(ValueError, match="y has a missing label in row"):
            tree.fit(X, missing)
    with pytest.raises(TypeError, match="y mixes labels of types"):
        tree.fit(X, np.array([1, "a"], dtype=object)[(y > 0).astype(int)])
    np.testing.assert_array_equal(tree.fit(X, [0, 1.0] * 60).classes_, [0, 1])


def test_points_on_a_line_are_outcomes_of_one_column():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    for y in (X[:, 0], X[:, :1]):
        model = FrameAveragingRegressor(LinearRegression(), symmetry=EuclideanGroup(1), output="points")
        found = model.fit(X, y.copy()).predict(X)
        np.testing.assert_allclose(model.predict(5.0 - X), 5.0 - found, atol=1e-9)


@pytest.mark.parametrize("proper", [False, True])
@pytest.mark.parametrize("output", ["vectors", "points"])
@pytest.mark.parametrize("shape", ["two atoms", "line", "one point", "all equal"])
def test_outcomes_have_no_part_where_nothing_in_the_row_points(shape, output, proper):
    """Two atoms in space can turn about their axis: a vector beside them that follows has no part across it."""
    clouds = {
        "two atoms": np.array([[-1.0, 0, 0], [2, 0, 0]]),
        "line": np.outer([-2.0, -1, 0.5, 2.5], [1.0, 2, 2]),
        "one point": np.array([[1.0, 2, 3]]),
        "all equal": np.tile([0.1, 0.2, 0.3], (3, 1)),
    }
    cloud, rng = clouds[shape], np.random.default_rng(0)
    n, p = 30, len(cloud)

    def motion():
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        return (turn * np.sign(np.linalg.det(turn)) if proper else turn), rng.normal(size=3)

    X = np.stack([(c * cloud) @ turn.T + shift for c in rng.uniform(0.5, 2, n) for turn, shift in [motion()]])
    X, Y = X.reshape(n, -1), rng.normal(np.arange(1.0, 4.0), size=(n, 3))
    model = FrameAveragingRegressor(ExtraTreesRegressor(5, random_state=0), symmetry=EuclideanGroup(3, proper=proper))
    model.set_params(output=output).fit(X, Y)
    for _ in range(3):
        turn, shift = motion()
        moved = (X.reshape(n, p, 3) @ turn.T + shift).reshape(n, -1)
        expected = model.predict(X) @ turn.T + (shift if output == "points" else 0.0)
        np.testing.assert_allclose(model.predict(moved), expected, atol=1e-9)
    if shape in ("one point", "all equal"):
        centre = X.reshape(n, p, 3).mean(axis=1) if output == "points" else 0.0
        np.testing.assert_allclose(model.predict(X), np.zeros((n, 3)) + centre, atol=1e-12)


def test_points_that_are_one_have_one_outcome():
    """Exchanging them changes nothing in the row, so the prediction must not change either."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(40, 12)), rng.normal(size=(40, 12))
    X[:20, 3:6] = X[:20, :3]
    group = EuclideanGroup(3, exchange=True)
    model = FrameAveragingRegressor(ExtraTreesRegressor(5, random_state=0), symmetry=group, output="points").fit(X, Y)
    found, order = model.predict(X).reshape(40, 4, 3), [2, 1, 3, 0]
    np.testing.assert_allclose(found[:20, 0], found[:20, 1], atol=1e-12)
    assert np.abs(found[20:, 0] - found[20:, 1]).min() > 1e-3
    moved = X.reshape(40, 4, 3)[:, order].reshape(40, 12)
    np.testing.assert_allclose(model.predict(moved).reshape(40, 4, 3), found[:, order], atol=1e-9)
    with pytest.raises(ValueError, match="horizon"):
        model.set_params(symmetry__horizon=np.nan, symmetry__vectors=range(6, 12), symmetry__boosts=True).fit(
            X, Y[:, :6]
        )


def test_learners_that_take_no_weights_meet_lines_and_points():
    """Frames of lines in space had two poses fewer than others, which such learners refuse."""
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(10, 9)), np.outer(rng.normal(size=10), np.outer([1, 0, -2], [1, 2, 3.0]).ravel())])
    model = FrameAveragingRegressor(KNeighborsRegressor(2), symmetry=EuclideanGroup(3)).fit(X, rng.normal(size=20))
    np.testing.assert_array_equal(model.n_frame_, 8)


def test_the_row_of_the_smallest_gap_is_a_row_of_X():
    """It was counted among rows of positive weight."""
    X = np.random.default_rng(0).normal(size=(10, 8))
    X[7] = [3.0, 0, 0, 1.0001, -3, 0, 0, -1]
    X[7, 1::2] *= 3.0  # nearly a square
    for weight in (None, np.r_[0.0, 0.0, np.ones(8)]):
        model = FrameAveragingRegressor(ExtraTreesRegressor(3, random_state=0), symmetry=EuclideanGroup(2))
        model.fit(X, np.arange(10.0), sample_weight=weight)
        assert model.frame_gap_[1] == 7
        assert len(model.n_frame_) == (10 if weight is None else 8)
        assert model.diagnostics(X)["gap"].idxmin() == 7
