"""Boosting: the objective and its gradient, the linear case by another route, a curved outcome."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from causalinv import FunctionAugmentation, IVLikeRegression, Translation
from causalinv.ivlike import IVLikeBoosting, Rotate90


def data(n=400, seed=0):
    rng = np.random.default_rng(seed)
    C = rng.normal(size=n)
    X = rng.normal(size=(n, 2)) + np.c_[C, 0.5 * C] + [1.5, 0.0]
    return X, 1.5 * np.sin(1.5 * np.linalg.norm(X, axis=1)), C


def turn(rows, rng):
    angle = rng.uniform(-np.pi / 4, np.pi / 4, size=len(rows))
    c, s = np.cos(angle), np.sin(angle)
    G = np.column_stack([f(k * angle) for k in (1, 2, 3) for f in (np.cos, np.sin)])
    return np.c_[c * rows[:, 0] - s * rows[:, 1], s * rows[:, 0] + c * rows[:, 1]], G


@pytest.mark.parametrize("alpha", [0.05, 1.0])
def test_with_a_linear_learner_it_converges_to_the_linear_solution(alpha):
    X, f, C = data()
    y = f + C
    aug = Translation([[1.0, 0.5]])
    boosted = IVLikeBoosting(
        LinearRegression(),
        alpha=alpha,
        augmentation=aug,
        n_estimators=300,
        learning_rate=1.0,
        n_copies=3,
        random_state=5,
    ).fit(X, y)
    direct = IVLikeRegression(alpha, augmentation=aug, integration="sampled", n_copies=3, random_state=5).fit(X, y)
    np.testing.assert_allclose(boosted.predict(X), direct.predict(X), atol=1e-6)
    assert boosted.predict(X).mean() == pytest.approx(y.mean())


def test_objective_is_what_it_says_and_never_rises():
    X, f, C = data()
    y = f + 2 * C
    drawn = []

    def remembered(rows, rng):
        out = turn(rows, rng)
        drawn.append(out)
        return out

    model = IVLikeBoosting(
        augmentation=FunctionAugmentation(remembered), n_estimators=30, learning_rate=0.5, n_copies=2, random_state=0
    ).fit(X, y)
    assert (np.diff(model.objective_) <= 1e-12).all()
    GX, G = (np.vstack(part) for part in zip(*drawn, strict=True))
    r = np.tile(y, 2) - model.predict(GX)
    r = r - r.mean()
    Gc = G - G.mean(0)
    projected = Gc @ np.linalg.lstsq(Gc, r, rcond=None)[0]
    assert model.objective_[-1] == pytest.approx(0.1 * np.mean(r**2) + np.mean(projected**2), rel=1e-9)
    assert (len(model.estimators_), model.alpha_) == (30, 0.1)


def test_a_curved_invariant_outcome_is_found_better_than_by_boosted_augmentation():
    """Four data sets: error of the invariant part, alpha=.01 against (nearly) least squares on the same copies."""

    def error(model, X, truth):
        gap = model.predict(X) - truth
        return np.var(gap) / (np.var(gap) + np.var(truth))

    gains = []
    for seed in range(4):
        X, f, C = data(1000, seed)
        fits = [
            IVLikeBoosting(
                alpha=alpha, augmentation=FunctionAugmentation(turn), n_estimators=60, n_copies=3, random_state=0
            ).fit(X, f + 2 * C)
            for alpha in (1e6, 0.01)
        ]
        gains.append(error(fits[0], X, f) - error(fits[1], X, f))
    assert np.mean(gains) > 0.01
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / 2


def test_own_copies_instruments_and_groups_are_further_doors():
    X, f, C = data()
    rng = np.random.default_rng(0)
    GX, G = turn(X, rng)
    own = IVLikeBoosting(n_estimators=5, random_state=0).fit(GX, f + C, augmentation_parameters=G)
    assert np.isfinite(own.score(GX, f + C, augmentation_parameters=G))
    genuine = IVLikeBoosting(DecisionTreeRegressor(max_depth=2), alpha=0.5, n_estimators=5, random_state=0)
    assert genuine.fit(X, f + C, instruments=G).estimators_[0].max_depth == 2
    pixels = np.random.default_rng(1).normal(size=(100, 4)) + np.arange(4.0)
    images = IVLikeBoosting(augmentation=Rotate90((2, 2)), n_estimators=3, random_state=0).fit(pixels, pixels[:, 0])
    assert images.predict(pixels).shape == (100,)
    again = IVLikeBoosting(augmentation=Rotate90((2, 2)), n_estimators=3, random_state=0).fit(pixels, pixels[:, 0])
    np.testing.assert_array_equal(images.predict(pixels), again.predict(pixels))
