"""The penalty on the whole reaction: it imposes the invariance itself, however the parameters are written."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import PolynomialFeatures

from causalinv import IVLikeRegression, Translation
from causalinv.exceptions import IdentificationWarning
from causalinv.ivlike import FunctionAugmentation


def world(n, seed):
    """The outcome reads x0 only; a hidden cause moves x1, x2 and y."""
    rng = np.random.default_rng(seed)
    U, e = rng.normal(size=n), rng.normal(size=(n, 3))
    x1, x2, x0 = 2 + U + e[:, 1], 3 - U + e[:, 2], e[:, 0] + 0.8 * e[:, 1]
    return np.c_[x0, x1, x2], x0 + 2 * U + 0.3 * rng.normal(size=n)


def contrast(X, rng):
    """A random gain on the columns that are ignored."""
    G = rng.normal(size=(len(X), 1))
    return X * np.hstack([np.ones_like(G), 1 + 0.3 * G, 1 + 0.3 * G]), G


CONTRAST = FunctionAugmentation(contrast, outcome_invariant=True)


def test_declared_black_boxes_impose_the_invariance_itself():
    X, y = world(2000, 0)
    model = IVLikeRegression(augmentation=CONTRAST, random_state=0).fit(X, y)
    known = IVLikeRegression(augmentation=Translation(np.eye(3)[1:])).fit(X, y)
    np.testing.assert_allclose(model.coef_, known.coef_, rtol=1e-10, atol=1e-12)
    assert model.coef_[1:].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(model.covariance(), known.covariance(), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(model.confint(kind="identified"), known.confint(kind="identified"), rtol=1e-9)
    assert model.ols_invariance_test().pvalue == pytest.approx(known.ols_invariance_test().pvalue, rel=1e-6, abs=1e-300)
    assert "Known from what you declared" in str(model.summary())
    with pytest.warns(IdentificationWarning, match="predictions still change under the augmentation"):
        partly = IVLikeRegression(augmentation=CONTRAST, penalty="first_stage", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="predictions that ignore the augmentation"):
        partly.confint(kind="identified")
    assert abs(partly.coef_[1]) > 0.5


@pytest.mark.parametrize("alpha", [0.0, 0.3, np.inf])
def test_solution_is_that_of_the_normal_equations(alpha):
    X, y = world(400, 1)
    drawn = []

    def remembered(rows, rng):
        out = contrast(rows, rng)
        drawn.append(out[0])
        return out

    augmentation = FunctionAugmentation(remembered, outcome_invariant=True)
    model = IVLikeRegression(alpha, augmentation=augmentation, n_copies=2, random_state=0).fit(X, y)
    rows, delta = np.vstack(drawn[:2]), np.vstack([each - X for each in drawn[:2]])
    A, b = np.cov(rows.T, ddof=0), (rows - rows.mean(axis=0)).T @ np.tile(y - y.mean(), 2) / len(rows)
    B = delta.T @ delta / len(delta)
    if alpha == 0:
        expected = np.r_[b[0] / A[0, 0], 0.0, 0.0]
    else:
        expected = np.linalg.solve(A + (0 if np.isinf(alpha) else B / alpha), b)
    np.testing.assert_allclose(model.coef_, expected, rtol=1e-9, atol=1e-12)


def test_influence_is_the_derivative_in_the_weight_of_a_row():
    X, y = world(60, 2)
    model = IVLikeRegression(0.2, augmentation=CONTRAST, n_copies=2, random_state=0)
    groups = np.arange(60)
    plain = model.fit(X, y, groups=groups)
    rows, eps = [], 1e-6
    for i in range(60):
        ends = []
        for sign in (1, -1):
            weight = np.ones(60)
            weight[i] += sign * eps
            ends.append(clone(model).fit(X, y, sample_weight=weight).coef_)
        rows.append((ends[0] - ends[1]) / (2 * eps))
    sandwich = np.array(rows).T @ np.array(rows) * 60 / 59 * 59 / (60 - 4)
    np.testing.assert_allclose(plain.covariance(cov_type="HC1"), sandwich, rtol=1e-5, atol=1e-9)


def test_it_does_not_depend_on_how_the_parameters_are_written():
    X, y = world(300, 3)

    def rotation(rows, rng):
        angle = rng.uniform(0, 2 * np.pi, size=len(rows))
        out = rows.copy()
        out[:, 1] = np.cos(angle) * rows[:, 1] - np.sin(angle) * rows[:, 2]
        out[:, 2] = np.sin(angle) * rows[:, 1] + np.cos(angle) * rows[:, 2]
        return out, angle[:, None]

    def written(rows, rng):
        out, angle = rotation(rows, rng)
        return out, np.hstack([np.cos(angle), np.sin(2 * angle), np.ones_like(angle)])

    X = X - X.mean(axis=0)
    for alpha in (0.0, 0.1):
        coefs = [
            IVLikeRegression(alpha, augmentation=FunctionAugmentation(f, outcome_invariant=True), random_state=0)
            .fit(X, y)
            .coef_
            for f in (rotation, written)
        ]
        np.testing.assert_allclose(*coefs, rtol=1e-12)


def test_gamma_is_not_defined_and_bad_penalties_are_named():
    X, y = world(200, 4)
    model = IVLikeRegression(augmentation=CONTRAST, random_state=0).fit(X, y)
    for name in ("gamma_", "kappa_"):
        with pytest.raises(AttributeError, match=f"{name} is not defined where the whole reaction"):
            getattr(model, name)
    with pytest.raises(ValueError, match="gamma_path is not defined"):
        model.gamma_path([2.0])
    assert model.alpha_path([0.1]).shape == (1, 3)
    for kwargs, fit, match in (
        ({"penalty": "all"}, {}, "penalty must be one of"),
        ({"penalty": "reaction", "integration": "sampled"}, {}, "needs the originals"),
        ({"penalty": "reaction", "augmentation": None}, {"instruments": X[:, :1]}, "before they are moved"),
    ):
        with pytest.raises(ValueError, match=match):
            IVLikeRegression(0.1, **{"augmentation": CONTRAST} | kwargs).fit(X, y, **fit)


def test_an_outcome_that_is_not_linear_in_the_features_shrinks_and_warns():
    X, y = world(500, 5)

    def slight(rows, rng):
        G = rng.normal(size=(len(rows), 1))
        return rows * np.hstack([1 + 0.01 * G, 1 + 0.3 * G, np.ones_like(G)]), G

    with pytest.warns(IdentificationWarning, match="may not change along a direction"):
        model = IVLikeRegression(augmentation=FunctionAugmentation(slight, outcome_invariant=True), random_state=0).fit(
            X, y
        )
    assert abs(model.coef_[0]) < 1e-6
    squares = PolynomialFeatures(2, include_bias=False)
    wide = IVLikeRegression(
        augmentation=Translation(np.eye(3)[1:]), features=squares, penalty="reaction", random_state=0
    ).fit(X, y)
    names = wide.features_.get_feature_names_out()
    moved = [name for name, value in zip(names, wide.coef_, strict=True) if value == 0.0]
    assert set(names) - set(moved) == {"x0", "x0^2"}
