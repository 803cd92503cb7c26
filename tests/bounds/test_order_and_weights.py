"""Rows of weight 0, units of weights, order of rows, limits of the outcome: what may not change a bound."""

import warnings

import numpy as np
import pytest
from scipy.optimize import linprog
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from causalinv.bounds import (
    FDivergenceBounds,
    ManskiBounds,
    QuantileBounds,
    SensitivityBounds,
    cap_bounds,
    manski_bounds,
)
from causalinv.bounds._arm_law import ArmLaw
from causalinv.bounds._inference import critical_value, interval
from causalinv.exceptions import OverlapWarning

pytestmark = pytest.mark.filterwarnings("ignore::causalinv.exceptions.BoundsCrossingWarning")
FAST = {"law": "kernel", "cv": 2, "random_state": 0}


def data(n=120, seed=0, binary=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    t = (rng.random(n) < 1 / (1 + np.exp(-2 * X[:, 0]))).astype(int)
    y = X[:, 0] + rng.normal(size=n)
    return X, (y > 0).astype(float) if binary else np.clip(y, -8, 8), t


def models():
    limits = {"outcome_support": (-9.0, 9.0)}
    return [
        SensitivityBounds(**limits, **FAST),
        FDivergenceBounds(divergence="chi2", **limits, **FAST),
        ManskiBounds(**limits, outcome=LinearRegression(), random_state=0),
    ]


def answers(model, x=None):
    asked = {"odds_ratio": 2.0} if isinstance(model, SensitivityBounds) else {}
    table = model.average_bounds("ate", **asked).to_frame().select_dtypes(float).to_numpy(dtype=float)
    at = model.predict_bounds(data(10, 9)[0], **asked)
    return np.r_[table.ravel(), at.lower, at.upper]


@pytest.mark.parametrize("model", models(), ids=lambda m: type(m).__name__)
def test_rows_of_weight_zero_are_rows_dropped(model):
    X, y, t = data()
    w = np.random.default_rng(1).uniform(0.5, 2.0, 120)
    plain = answers(model.fit(X, y, treatment=t, sample_weight=w))
    X0, y0 = np.r_[X, np.full((6, 2), 1e6)], np.r_[y, np.full(6, -1e6)]  # far outside the support: they do not count
    t0, w0 = np.r_[t, [7, 7, 7, 0, 1, 1]], np.r_[w, np.zeros(6)]
    np.testing.assert_allclose(answers(model.fit(X0, y0, treatment=t0, sample_weight=w0)), plain, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1e6, 1e90])
@pytest.mark.parametrize("model", models(), ids=lambda m: type(m).__name__)
def test_unit_of_weights_changes_nothing(model, unit):
    X, y, t = data()
    w = np.random.default_rng(1).uniform(0.5, 2.0, 120)
    plain = answers(model.fit(X, y, treatment=t, sample_weight=w))
    np.testing.assert_allclose(answers(model.fit(X, y, treatment=t, sample_weight=w * unit)), plain, rtol=1e-6)
    equal = answers(model.fit(X, y, treatment=t, sample_weight=np.full(120, unit)))
    np.testing.assert_allclose(equal, answers(model.fit(X, y, treatment=t)), rtol=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("model", models(), ids=lambda m: type(m).__name__)
def test_order_of_rows_changes_nothing(model, clustered):
    X, y, t = data()
    g = np.arange(120) // 4 if clustered else None
    move = np.random.default_rng(2).permutation(120)
    plain = answers(model.fit(X, y, treatment=t, groups=g))
    moved = model.fit(X[move], y[move], treatment=t[move], groups=None if g is None else g[move])
    np.testing.assert_allclose(answers(moved), plain, rtol=1e-5, atol=1e-8)


def test_groups_need_two_labels_of_positive_weight():
    X, y, t = data()
    g = np.r_[np.zeros(119), 1]
    for weight, groups in ((None, np.zeros(120)), (1.0 - g, g)):
        with pytest.raises(ValueError, match="groups has one label"):
            QuantileBounds(**FAST).fit(X, y, treatment=t, groups=groups, sample_weight=weight)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("estimand", ["mean", "ate", "att"])
def test_sensitivity_inside_manski_and_support(seed, estimand):
    X, y, t = data(60, seed, binary=True)
    model = SensitivityBounds(**FAST).fit(X, y, treatment=t)
    table = model.average_bounds(estimand, odds_ratio=[1, 2, 10, 100, 1e6]).to_frame()
    limit = 0.0 if estimand == "mean" else -1.0
    assert (table["lower"] >= table["manski_lower"]).all()
    assert (table["upper"] <= table["manski_upper"]).all()
    assert (table["ci_lower"] >= limit).all()
    assert (table["ci_upper"] <= 1.0).all()
    assert (table["ci_lower"] <= table["lower"]).all()
    assert (table["upper"] <= table["ci_upper"]).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("final", ["plugin", "dr"])
def test_f_balls_hold_manski_and_stay_in_the_support(seed, final):
    X, y, t = data(60, seed, binary=True)
    model = FDivergenceBounds(divergence="tv", final=final, **FAST).fit(X, y, treatment=t)
    table, at = model.average_bounds("mean").to_frame(), model.predict_bounds(3 * X, arm=1)
    assert (table["lower"] <= table["manski_lower"]).all()
    assert (table["upper"] >= table["manski_upper"]).all()
    assert (table["ci_lower"] >= 0.0).all()
    assert (table["ci_upper"] <= 1.0).all()
    assert (at.lower >= 0).all()
    assert (at.upper <= 1).all()
    assert (at.lower <= at.manski_lower).all()
    assert (at.upper >= at.manski_upper).all()


def test_manski_pointwise_in_the_support_and_seeded():
    X, y, t = data(binary=True)
    at = ManskiBounds(outcome=LinearRegression()).fit(X, y, treatment=t).predict_bounds(5 * X, arm=1)
    assert at.lower.min() >= 0
    assert at.upper.max() <= 1
    before = np.random.get_state()[1].copy()
    runs = [
        ManskiBounds(outcome=RandomForestRegressor(5), random_state=0).fit(X, y, treatment=t).predict_bounds(X, arm=1)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].lower, runs[1].lower)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


@pytest.mark.parametrize("cap", [(0.5, 2.0), (1e-3, 1e3), (1e-16, 1e16), (1e-300, 1e300), (0.0, np.inf), (0.0, 3.0)])
def test_cap_against_linear_programming_and_at_its_limit(cap):
    rng = np.random.default_rng(3)
    atoms, weights = np.sort(rng.normal(size=7)), rng.dirichlet(np.ones(7), size=4)
    law, (m, M) = ArmLaw(atoms, weights), cap
    low, high = law.lower(*cap)[1], law.upper(*cap)[1]
    for i, p in enumerate(weights):
        if M > 1e6:  # all but nothing of the mass may sit at an extreme atom
            expected = m * (p @ atoms) + (1 - m) * atoms[0], m * (p @ atoms) + (1 - m) * atoms[-1]
        else:
            ends = [
                linprog(s * atoms, A_eq=np.ones((1, 7)), b_eq=[1], bounds=np.c_[m * p, M * p]).fun * s for s in (1, -1)
            ]
            expected = ends[0], ends[1]
        assert (low[i], high[i]) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_neighbours_refuse_distances_that_overflow():
    X, y, t = data()
    model = SensitivityBounds(law="knn", cv=2, propensity=DummyClassifier(), random_state=0).fit(X, y, treatment=t)
    with pytest.raises(ValueError, match="distances between rows overflow"):
        model.predict_bounds(np.full((1, 2), 1e200), arm=1, odds_ratio=2.0)
    X[3, 0] = 1e155
    with pytest.raises(ValueError, match="X"):
        SensitivityBounds(law="knn", cv=2, propensity=DummyClassifier(), random_state=0).fit(X, y, treatment=t)


def test_interval_leans_on_the_larger_error():
    """By simulation: at the end with the larger error a parameter is covered with 95% and not with less."""
    rng = np.random.default_rng(4)
    errors, width, n = (0.2, 1.0), 2.9, 100
    ends = rng.normal(size=(4000, 2)) * errors + [0.0, width]
    found = [interval(a, b, errors, confidence_level=0.95, target="parameter", n=n) for a, b in ends]
    wide = np.array([high >= width for _, high in found]).mean()
    assert wide >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 4000)
    width = 0.5
    short = critical_value(width, 1.0, 0.95)
    assert interval(0.0, width, (0.2, 0.5), confidence_level=0.95, target="parameter", n=2)[1] == pytest.approx(
        width + 0.5 * critical_value(width - 0.5 * np.sqrt(np.log(2)), 0.5, 0.95)
    )
    assert short > critical_value(width, 0.2, 0.95) + 0.05


def test_huge_weights_of_functions_keep_their_ratios():
    assert manski_bounds([0, 1.0], 0.5, weights=[1e308] * 2, support=(0, 1)) == pytest.approx((0.25, 0.75))
    assert cap_bounds([0, 1.0], 0.5, weights=[1e308] * 2, odds_ratio=2.0) == pytest.approx((0.375, 0.625))


class Known(ClassifierMixin, BaseEstimator):
    """The propensity stands in the second column of X."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 1], X[:, 1]])


@pytest.mark.parametrize(("n_poor", "warned"), [(6, False), (7, True)])
def test_poor_overlap_is_said_above_five_percent(n_poor, warned):
    X, y, t = data()  # 120 rows, 5% are 6
    X[:, 1] = np.where(np.arange(120) < n_poor, 0.001, 0.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SensitivityBounds(propensity=Known(), **FAST).fit(X, y, treatment=t)
    assert any(issubclass(w.category, OverlapWarning) for w in caught) is warned


@pytest.mark.parametrize(
    ("n_poor", "weight", "poor"), [(6, 1.0, False), (7, 1.0, True), (3, 3.0, True), (7, 0.5, False)]
)
def test_overlap_is_poor_where_more_than_five_percent_of_the_weight_lie_outside(n_poor, weight, poor):
    X, y, t = data()
    few = np.arange(120) < n_poor
    X[:, 1] = np.where(few, 0.025, 0.5)
    model = SensitivityBounds(propensity=Known(), **FAST)
    found = model.fit(X, y, treatment=t, sample_weight=np.where(few, weight, 1.0)).average_bounds(odds_ratio=1.0)
    assert found.poor_overlap is poor
