"""Contours of an effect under confounding: against least squares with the confounder in."""

import numpy as np
import pytest

from causalinv import IVLikeRegression, Translation
from causalinv.inspection import ConfoundingContourDisplay


def fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)) @ (np.eye(4) + 0.3)
    y = X[:, 0] + 0.5 * X[:, 1] + rng.normal(size=300)
    return X, y, IVLikeRegression(augmentation=Translation([[0.0, 0.0, 0.0, 1.0]])).fit(X, y)


def partial(target, given, rest):
    """Partial R² by residuals."""
    rest = np.column_stack([np.ones(len(target)), rest])
    a, b = (v - rest @ np.linalg.lstsq(rest, v, rcond=None)[0] for v in (target, given))
    return float(np.corrcoef(a, b)[0, 1] ** 2)


def test_a_confounder_of_that_strength_leaves_that_estimate():
    """A column Z that is left out: adjusted() at its partial R² is the estimate with Z in."""
    X, y, model = fitted()
    z = np.random.default_rng(1).normal(size=300) + 0.5 * X[:, 0] + 0.3 * y
    display = ConfoundingContourDisplay.from_estimator(model, 0)
    r = partial(X[:, 0], z, X[:, 1:3])
    s = partial(y, z, X[:, :3])
    full = np.column_stack([np.ones(300), X[:, :3], z])
    expected = np.linalg.lstsq(full, y, rcond=None)[0][1]
    assert display.adjusted(r, s) == pytest.approx(expected, rel=1e-9)


def test_bounds_by_a_feature_are_those_of_sensemakr():
    """Formulas of ovb_bounds in R sensemakr, kd = ky = 1, from partial R² by residuals."""
    X, y, model = fitted()
    found = model.confounder_like(0, 1)
    shared, own = partial(X[:, 0], X[:, 1], X[:, [2]]), partial(y, X[:, 1], X[:, [0, 2]])
    left = shared**2 / ((1 - shared) * (1 - shared))
    assert found["r2_feature"] == pytest.approx(shared / (1 - shared))
    assert found["r2_outcome"] == pytest.approx(((1 + np.sqrt(left)) / np.sqrt(1 - left)) ** 2 * own / (1 - own))
    display = ConfoundingContourDisplay.from_estimator(model, "x0", benchmarks=[1, "x2"])
    assert found["adjusted"] == pytest.approx(display.adjusted(found["r2_feature"], found["r2_outcome"]))
    with pytest.raises(ValueError, match="must be two features that the outcome reads"):
        model.confounder_like(0, 3)
    combined = IVLikeRegression(augmentation=Translation([[1.0, 1.0, 0.0, 0.0]])).fit(X, y)
    with pytest.raises(ValueError, match="moves combinations"):
        combined.confounder_like(0, 2)


def test_plot_draws_the_zero_contour_and_benchmarks():
    _, _, model = fitted()
    display = ConfoundingContourDisplay.from_estimator(model, "x1", benchmarks=["x0"]).plot()
    assert "x1" in display.ax_.get_xlabel()
    said = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert said == ["the effect is gone", "as strong as this feature"]
    value = model.sensitivity(0.0)["robustness_value"].iloc[1]
    assert display.adjusted(value, value) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="limit must be"):
        display.plot(limit=2.0)
    with pytest.raises(ValueError, match="feature must be one of"):
        ConfoundingContourDisplay.from_estimator(model, "age")
