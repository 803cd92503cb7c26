"""Augmentations: what they add to moments, how they are named, estimated, converted and checked; pairing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from causalinv import (
    FunctionAugmentation,
    GaussianNoise,
    InvariantProjection,
    IVLikeBoosting,
    IVLikeRegression,
    Moments,
    Translation,
)
from causalinv.datasets import make_confounded_linear
from causalinv.exceptions import DegenerateInputWarning
from causalinv.metrics import ncer


def data(n=800, seed=0):
    rng = np.random.default_rng(seed)
    C = rng.normal(size=n)
    X = rng.normal(size=(n, 3)) + np.c_[C, C, C]
    return X, X @ [1.0, -1.0, 0.0] + C + 0.1 * rng.normal(size=n)


@pytest.mark.parametrize("aug", [Translation([[1.0, 2.0, 0.0], [0, 0, 1.0]], scale=0.7), GaussianNoise(0.4)])
def test_closed_form_is_the_limit_of_drawn_copies(aug):
    """Variance of Gx, its part explained by G, and its covariance with y: 1000 copies, within 6 standard errors."""
    X, y = data(400)
    stage = aug.first_stage(Moments.from_rows(x=X, y=y))
    rng = np.random.default_rng(1)
    Xc, yc = X - X.mean(0), y - y.mean()
    draws = []
    for _ in range(1000):
        GX, G = aug.draw(Xc, rng)
        draws.append(np.hstack([GX.T @ GX, GX.T @ yc[:, None], GX.T @ G]) / len(GX))
    mean, se = np.mean(draws, axis=0), np.std(draws, axis=0) / np.sqrt(1000)
    explained = stage.factor.T @ stage.factor
    expected = np.hstack([stage.variance + explained, stage.cross, stage.factor.T])
    assert (np.abs(mean - expected) <= 6 * se + 1e-12).all()


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 0.1, 1.0, np.inf])
def test_paired_equals_closed_form_for_translations_of_declared_law(alpha):
    X, y = data()
    w = np.random.default_rng(3).random(len(y))
    for aug in (Translation([[1.0, 1.0, 0.0], [0, 0, 1.0]], scale=0.3), GaussianNoise(0.5)):
        if alpha == 0 and isinstance(aug, GaussianNoise):
            continue
        fits = [
            IVLikeRegression(alpha, augmentation=aug, integration=i, n_copies=2, random_state=0).fit(
                X, y, sample_weight=w
            )
            for i in ("closed_form", "paired")
        ]
        np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, rtol=0, atol=1e-10)
        np.testing.assert_allclose(fits[0].intercept_, fits[1].intercept_, rtol=0, atol=1e-10)


def test_black_box_translation_matches_closed_form_at_alpha_zero_and_nearly_elsewhere():
    """Its law is not declared, so A and M are sample moments: exact at 0 only, close with many copies."""
    X, y = data()

    def move(rows, rng):
        G = rng.normal(size=(len(rows), 1))
        return rows + G @ [[1.0, 1.0, 0.0]], G

    exact = IVLikeRegression(0.0, augmentation=Translation([[1.0, 1.0, 0.0]])).fit(X, y)
    box = IVLikeRegression(0.0, augmentation=FunctionAugmentation(move), n_copies=1, random_state=0).fit(X, y)
    assert abs(box.coef_ @ [1.0, 1.0, 0.0]) < 1e-9
    grid = [0.01, 0.1, 1.0]
    many = IVLikeRegression(0.1, augmentation=FunctionAugmentation(move), n_copies=400, random_state=0).fit(X, y)
    np.testing.assert_allclose(many.alpha_path(grid), exact.alpha_path(grid), atol=0.02)


def test_paired_keeps_an_invariant_outcome_exactly_at_alpha_zero():
    """delta'h0 = 0 row by row, so however noisy the slope is, h0 is in the null space: rotations about an axis."""
    rng = np.random.default_rng(0)
    n = 300
    C = rng.normal(size=n)
    X = rng.normal(size=(n, 3)) + np.c_[C, np.zeros(n), np.ones(n)] + [3.0, 0.0, 0.0]
    y = 2.0 * X[:, 2] + C

    def turn(rows, rng):
        angle = rng.uniform(-0.5, 0.5, size=(len(rows), 1))
        out = rows.copy()
        out[:, :2] = np.c_[
            np.cos(angle) * rows[:, :1] - np.sin(angle) * rows[:, 1:2],
            np.sin(angle) * rows[:, :1] + np.cos(angle) * rows[:, 1:2],
        ]
        return out, np.c_[np.sin(angle), np.cos(angle)]

    aug = FunctionAugmentation(turn, outcome_invariant=True)
    aug.check_invariance(lambda rows: rows[:, 2], X, random_state=0)
    model = IVLikeRegression(augmentation=aug, n_copies=3, random_state=0).fit(X, y)
    assert model.alpha_ == 0.0
    np.testing.assert_allclose(model.coef_[:2], 0.0, atol=1e-8)
    assert model.coef_[2] == pytest.approx(2.0, abs=0.2)
    assert abs(model.least_squares_coef_[0]) > 0.3


def test_an_in_place_function_cannot_move_the_originals():
    X, y = data(100)

    def in_place(rows, rng):
        G = rng.normal(size=(len(rows), 1))
        rows += G
        return rows, G

    def copying(rows, rng):
        G = rng.normal(size=(len(rows), 1))
        return rows + G, G

    before = X.copy()
    fits = [
        IVLikeRegression(0.1, augmentation=FunctionAugmentation(f), random_state=0).fit(X, y).coef_
        for f in (in_place, copying)
    ]
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(*fits)


def test_names_place_directions_and_guard_units():
    X, y = data()
    frame = pd.DataFrame(X, columns=["red", "green", "blue"])
    named = Translation(pd.DataFrame({"blue": [2.0], "red": [1.0]}))
    plain = Translation([[1.0, 0.0, 2.0]])
    np.testing.assert_array_equal(named.parameters(3, list(frame)), plain.parameters(3))
    np.testing.assert_allclose(
        IVLikeRegression(augmentation=named).fit(frame, y).coef_, IVLikeRegression(augmentation=plain).fit(X, y).coef_
    )
    with pytest.raises(ValueError, match="X has no feature names.*units have changed too.*in_units_of"):
        IVLikeRegression(augmentation=named).fit(X, y)
    with pytest.raises(ValueError, match="no feature names"):  # the classic silent error after a scaler
        make_pipeline(StandardScaler(), IVLikeRegression(augmentation=named)).fit(frame, y)
    with pytest.raises(ValueError, match=r"does not have: \['grey'\]"):
        IVLikeRegression(augmentation=Translation(pd.DataFrame({"grey": [1.0]}))).fit(frame, y)


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), PCA(3), PCA(3, whiten=True)])
@pytest.mark.parametrize("named", [False, True])
def test_in_units_of_a_fitted_scaler_gives_the_same_predictions(scaler, named):
    X, y = data()
    X = X * [1.0, 100.0, 0.01]
    directions = np.array([[1.0, 100.0, 0.0]])
    if named:
        X = pd.DataFrame(X, columns=["a", "b", "c"])
        directions = pd.DataFrame(directions, columns=["a", "b", "c"])
    raw = IVLikeRegression(0.1, augmentation=Translation(directions)).fit(X, y)
    fitted = clone(scaler).fit(X)
    moved = Translation(directions).in_units_of(fitted)
    if named:
        fitted.set_output(transform="pandas")
    scaled = IVLikeRegression(0.1, augmentation=moved).fit(fitted.transform(X), y)
    np.testing.assert_allclose(scaled.predict(fitted.transform(X)), raw.predict(X), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("mean", "step"), [(1.7e9, 1.0), (1e6, 1e-3), (0.0, 1e-9)])
def test_in_units_of_keeps_its_digits_far_from_the_origin(mean, step):
    X = mean + step * np.random.default_rng(0).normal(size=(500, 2))
    scaler = StandardScaler().fit(X)
    moved = Translation([[step, 0.0]], scale=3.0, outcome_invariant=False).in_units_of(scaler)
    np.testing.assert_allclose(moved.directions, [[step / scaler.scale_[0], 0.0]], rtol=1e-8, atol=1e-12)
    assert (moved.scale, moved.outcome_invariant) == (3.0, False)


def test_raw_directions_after_a_scaler_that_keeps_names_warn():
    """They are wrong there; converted ones are right, and do not warn."""
    X, y = data()
    frame = pd.DataFrame(X * [1.0, 100.0, 0.01], columns=["a", "b", "c"])
    raw = Translation(pd.DataFrame({"a": [1.0], "b": [100.0]}))
    scaler = StandardScaler().set_output(transform="pandas").fit(frame)
    right = IVLikeRegression(augmentation=raw).fit(frame, y).predict(frame)
    converted = IVLikeRegression(augmentation=raw.in_units_of(scaler)).fit(scaler.transform(frame), y)
    np.testing.assert_allclose(converted.predict(scaler.transform(frame)), right, atol=1e-9)
    with pytest.warns(DegenerateInputWarning, match="as after a scaler"):
        wrong = IVLikeRegression(augmentation=raw).fit(scaler.transform(frame), y).predict(scaler.transform(frame))
    assert np.abs(wrong - right).max() > 0.1
    scaled, fitted = scaler.transform(frame), raw.in_units_of(scaler)
    for make in (lambda steps: IVLikeBoosting(augmentation=steps, n_estimators=2), InvariantProjection):
        with pytest.warns(DegenerateInputWarning, match="as after a scaler"):
            make(raw).fit(scaled, y)
        make(fitted).fit(scaled, y)


def test_in_units_of_refuses_a_curved_transformer():
    X, _ = data()
    curved = FunctionTransformer(np.tanh).fit(X)
    with pytest.raises(ValueError, match="FunctionTransformer is not affine"):
        Translation([[1.0, 0.0, 0.0]]).in_units_of(curved)


def test_orthogonal_to_spans_everything_that_f_ignores():
    f = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0], [0, 0, 1.0, 0]])
    directions = Translation.orthogonal_to(f).directions
    assert directions.shape == (2, 4)  # rank 2 of 4
    np.testing.assert_allclose(directions @ f.T, 0, atol=1e-12)
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-12)


def test_from_pairs_recovers_the_moved_subspace_and_its_size():
    rng = np.random.default_rng(0)
    world = make_confounded_linear(4000, n_features=6, random_state=2)
    steps = rng.normal(size=(4000, 2)) * [2.0, 0.5] @ world.directions[:2]
    aug = Translation.from_pairs(world.X, world.X + steps, n_directions=2)
    assert aug.outcome_invariant is False
    D, expected = aug.directions.T @ aug.directions, steps.T @ steps / 4000
    np.testing.assert_allclose(D, expected, atol=1e-12)
    noisy = Translation.from_pairs(world.X, world.X + steps + 0.01 * rng.normal(size=(4000, 6)), n_directions=2)
    projector = np.linalg.pinv(noisy.directions) @ noisy.directions
    np.testing.assert_allclose(projector @ world.directions[:2].T, world.directions[:2].T, atol=0.01)
    known = IVLikeRegression(0.0, augmentation=Translation(world.directions[:2])).fit(world.X, world.y)
    learnt = IVLikeRegression(0.0, augmentation=noisy).fit(world.X, world.y)
    assert ncer(learnt.coef_, world.coef) == pytest.approx(ncer(known.coef_, world.coef), abs=0.02)
    framed = Translation.from_pairs(
        pd.DataFrame(world.X).rename(columns="x{}".format), pd.DataFrame(world.X + steps).rename(columns="x{}".format)
    )
    assert list(framed.directions) == [f"x{i}" for i in range(6)]


def test_paired_moments_against_a_direct_computation_with_weights():
    """Copies that shift the mean and rotate: variance, explained part and coefficients from stacked weighted copies."""
    X, y = data(300)
    w = np.random.default_rng(4).random(300) * (np.arange(300) % 3 > 0)
    drawn = []

    def turn(rows, rng):
        angle = rng.uniform(-1.0, 1.0, size=(len(rows), 1))
        out = rows + 2.0 * angle
        out[:, 0] = np.cos(angle[:, 0]) * rows[:, 0] + 1.0
        G = np.c_[angle, angle**2, 1e-9 * angle**3]  # one parameter in other units
        drawn.append((out.copy(), G))
        return out, G

    model = IVLikeRegression(0.3, augmentation=FunctionAugmentation(turn), n_copies=4, random_state=1)
    model.fit(X, y, sample_weight=w)
    GX, G = (np.vstack(part) for part in zip(*drawn, strict=True))
    inside = w > 0  # rows of weight 0 are not drawn for
    weight, original, outcome = np.tile(w[inside], 4), np.tile(X[inside], (4, 1)), np.tile(y[inside], 4)

    def centre(values):
        return values - np.average(values, axis=0, weights=weight)

    root = np.sqrt(weight / weight.sum())[:, None]
    fitted = (
        centre(G) / G.std(0) @ np.linalg.lstsq(root * centre(G) / G.std(0), root * centre(GX - original), rcond=None)[0]
    )
    A = (root * centre(GX)).T @ (root * centre(GX))
    B = (root * fitted).T @ (root * fitted)
    b = (root * centre(GX)).T @ (root[:, 0] * centre(outcome))
    expected = np.linalg.solve(0.3 * A + B, 0.3 * b)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-7)
    assert model.intercept_ == pytest.approx(np.average(y, weights=w) - np.average(X, axis=0, weights=w) @ expected)
    unweighted = IVLikeRegression(0.3, augmentation=FunctionAugmentation(turn), n_copies=4, random_state=1).fit(X, y)
    assert np.abs(unweighted.coef_ - expected).max() > 1e-3


def test_orthogonal_to_keeps_names():
    aug = Translation.orthogonal_to(pd.Series({"b": 1.0, "a": -1.0}))
    assert list(aug.directions.columns) == ["b", "a"]


def test_an_augmentation_that_moves_nothing_is_not_least_squares_in_disguise():
    X, y = data(50)
    for func, message in (
        (lambda rows, rng: (rows, rng.normal(size=(len(rows), 1))), "moves no feature"),
        (lambda rows, rng: (rows + 1.0, np.ones((len(rows), 1))), r"constant in column \[0\]"),
    ):
        with pytest.raises(ValueError, match=message):
            IVLikeRegression(
                augmentation=FunctionAugmentation(func, outcome_invariant=True), penalty="first_stage"
            ).fit(X, y)


def test_check_invariance_accepts_and_names_the_worst_row():
    X, _ = data(50)
    aug = Translation([[1.0, 1.0, 0.0]])
    assert aug.check_invariance(lambda rows: rows[:, 0] - rows[:, 1], X, random_state=0) is aug
    with pytest.raises(ValueError, match=r"f is not invariant to this Translation: it moves by .* in row \d+"):
        aug.check_invariance(lambda rows: rows[:, 0], X, random_state=0)
    for unit in (1e-12, 1.0, 1e12):  # differences count in units of the outcome's spread
        aug.check_invariance(lambda rows, unit=unit: unit * (rows[:, 0] - rows[:, 1]), X, random_state=0)
        for one in (lambda rows, unit=unit: unit * rows[:, 0], lambda rows, unit=unit: unit * rows[:, [2, 0]]):
            with pytest.raises(ValueError, match="f is not invariant"):
                aug.check_invariance(one, X, random_state=0)


def test_augmentations_are_parameter_objects():
    for aug in (Translation([[1.0]]), GaussianNoise(2.0), FunctionAugmentation(np.tanh)):
        assert clone(aug).get_params().keys() == aug.get_params().keys()
        assert type(aug).__name__ in repr(aug)
        assert "outcome_invariant" in aug.get_params()
