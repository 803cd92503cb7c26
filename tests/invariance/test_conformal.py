"""Hierarchical conformal intervals: against the definition by hand, coverage, few environments, drift, frozen ones."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from causalinv import HierarchicalConformalRegressor, InvariantSubsetSelector
from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning

LEFT_OUT = "leave_one_environment_out"


def hospitals(m, rng, drift=0.0, spread=1.0):
    sizes = rng.integers(3, 15, size=m)
    e = np.repeat(np.arange(m), sizes)
    X = rng.normal(size=(len(e), 2))
    y = X[:, 0] + spread * rng.normal(size=m)[e] + drift * e + rng.normal(size=len(e))
    return X, y, e


def smallest_with_weight(values, weights, level):
    """The definition, by trying every value."""
    for value in sorted(values):
        if sum(w for v, w in zip(values, weights, strict=True) if v <= value) >= level - 1e-12:
            return value
    return np.inf


@pytest.mark.parametrize("level", [0.5, 0.8, 0.88])
def test_split_is_its_definition(level):
    X, y, e = hospitals(16, np.random.default_rng(0))
    model = HierarchicalConformalRegressor(random_state=0).fit(X, y, environments=e)
    assert model.n_calibration_ == 8
    inside = np.isin(e, model.calibration_environments_)
    inner = LinearRegression().fit(X[~inside], y[~inside])
    scores = np.abs(y[inside] - inner.predict(X[inside]))
    weights = [1 / 9 / np.sum(e == label) for label in e[inside]]
    half = smallest_with_weight(scores, weights, level)
    found = model.predict_interval(X[:5], level)
    np.testing.assert_allclose(found["upper"], inner.predict(X[:5]) + half)
    np.testing.assert_allclose(found["lower"], inner.predict(X[:5]) - half)


@pytest.mark.parametrize("level", [0.6, 0.85])
def test_leaving_environments_out_is_its_definition(level, monkeypatch):
    X, y, e = hospitals(7, np.random.default_rng(1))
    model = HierarchicalConformalRegressor(method=LEFT_OUT).fit(X, y, environments=e)
    upper, lower, weights = [], [], []
    for k in range(7):
        inner = LinearRegression().fit(X[e != k], y[e != k])
        scores = np.abs(y[e == k] - inner.predict(X[e == k]))
        upper += list(inner.predict(X[:1]) + scores)
        lower += list(inner.predict(X[:1]) - scores)
        weights += [1 / 8 / len(scores)] * len(scores)
    found = model.predict_interval(X[:3], level)
    assert found["upper"][0] == pytest.approx(smallest_with_weight(upper, weights, level))
    assert found["lower"][0] == pytest.approx(-smallest_with_weight([-v for v in lower], weights, level))
    monkeypatch.setattr("causalinv.invariance._conformal._CELLS", 1)  # row by row
    pd.testing.assert_frame_equal(model.predict_interval(X[:3], level), found)


@pytest.mark.parametrize(("method", "floor"), [("split", 0.8), (LEFT_OUT, 0.6)])
def test_the_next_environment_is_covered(method, floor):
    """200 draws of 12 environments and one row of a 13th."""
    rng, covered = np.random.default_rng(2), 0
    for seed in range(200):
        X, y, e = hospitals(13, rng)
        new = int(np.flatnonzero(e == 12)[0])
        model = HierarchicalConformalRegressor(DummyRegressor(), method=method, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)
            model.fit(X[e < 12], y[e < 12], environments=e[e < 12])
        lower, upper = model.predict_interval(X[[new]], 0.8).to_numpy()[0]
        covered += lower <= y[new] <= upper
    assert model.guaranteed_coverage(0.8) == pytest.approx(floor)
    assert covered >= stats.binom.ppf(1e-5, 200, floor)
    if method == "split":
        assert covered <= stats.binom.ppf(1 - 1e-5, 200, 0.9)  # no wider than the levels that K = 6 can give


def test_most_of_the_next_environment_is_covered():
    """150 draws: at least 70% of the rows of the next environment, in 80% of environments."""
    rng, held = np.random.default_rng(3), 0
    for seed in range(150):
        X, y, e = hospitals(13, rng)
        old = e < 12
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)
            model = HierarchicalConformalRegressor(DummyRegressor(), random_state=seed)
            model.fit(X[old], y[old], environments=e[old])
        lower, upper = model.predict_interval(X[~old], 0.8, share=0.7).to_numpy().T
        held += np.mean((lower <= y[~old]) & (y[~old] <= upper)) >= 0.7
    assert stats.binom.ppf(1e-5, 150, 0.8) <= held <= stats.binom.ppf(1 - 1e-5, 150, 6 / 7)


class _Always(RegressorMixin, BaseEstimator):
    """Predicts one number."""

    def __init__(self, value=0.1):
        self.value = value

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), self.value)


@pytest.mark.parametrize("method", ["split", LEFT_OUT])
def test_an_outcome_that_is_a_limit_is_inside(method):
    """Outcomes of two values: the nearest environments decide, and rounding of y - c + c must not put y outside."""
    X, e = np.zeros((8, 1)), np.arange(8)
    missed = 0
    for c in np.random.default_rng(9).uniform(-3, 3, 200):
        for value in (-1.0, 1.0):
            inner = _Always(c)
            y = np.full(8, value)
            model = HierarchicalConformalRegressor(inner, method=method, random_state=0).fit(X, y, environments=e)
            lower, upper = model.predict_interval(X[:1], 0.8).to_numpy()[0]
            missed += not lower <= value <= upper
            assert upper - lower == pytest.approx(2 * abs(value - c))
            if method == "split":
                lower, upper = model.predict_interval(X[:1], 0.8, share=0.5).to_numpy()[0]
                missed += not lower <= value <= upper
    assert missed == 0


def test_limits_never_cross():
    """Leaving out, at levels below one half: upper quantiles of c + r can lie below lower ones of c - r."""
    rng = np.random.default_rng(10)
    e = np.repeat(np.arange(8), [1, 1, 2, 20, 3, 30, 7, 9])
    X = rng.normal(size=(len(e), 3))
    y = X[:, 0] + rng.normal(size=8)[e] + rng.normal(size=len(e))
    model = HierarchicalConformalRegressor(DecisionTreeRegressor(random_state=0), method=LEFT_OUT)
    model.fit(X, y, environments=e)
    for level in (0.05, 0.1, 0.3, 0.5, 0.8):
        found = model.predict_interval(X, level)
        assert (found["lower"] <= found["upper"]).all()


@pytest.mark.parametrize("share", [0.3, 0.5, 2 / 3, 0.7, 1.0])
def test_most_of_the_next_environment_is_its_definition(share):
    """Per environment the smallest score that so many rows do not exceed; of K such numbers the conformal rank."""
    X, y, e = hospitals(7, np.random.default_rng(11))
    model = HierarchicalConformalRegressor(FrozenEstimator(_Always().fit(X, y))).fit(X, y, environments=e)
    each = []
    for k in range(7):
        scores = np.abs(y[e == k] - 0.1)
        each.append(min(value for value in scores if np.mean(scores <= value) >= share - 1e-12))
    for level, rank in ((0.5, 4), (0.7, 6), (0.875, 7)):
        found = model.predict_interval(X[:1], level, share=share).to_numpy()[0]
        np.testing.assert_allclose(found, [0.1 - sorted(each)[rank - 1], 0.1 + sorted(each)[rank - 1]])


@pytest.mark.parametrize(("n", "share", "k"), [(3, 0.6, 2), (7, 0.4, 3), (7, 0.35, 2), (4, 0.01, 1), (4, 1.0, 3)])
def test_so_many_environments_calibrate(n, share, k):
    X, y, e = hospitals(n, np.random.default_rng(12))
    model = HierarchicalConformalRegressor(calibration_share=share, random_state=0).fit(X, y, environments=e)
    assert (model.n_calibration_, model.highest_level_) == (k, k / (k + 1))


@pytest.mark.parametrize(("n", "warned"), [(5, False), (6, True)])
def test_a_trend_is_told_at_the_level_that_it_says(n, warned):
    """In perfect order Kendall's exact p is 2 / n!: .0167 of five environments, .0028 of six."""
    X, y, e = np.zeros((2 * n, 1)), np.repeat(np.arange(n) + 1.0, 2), np.repeat(np.arange(n), 2)
    model = HierarchicalConformalRegressor(FrozenEstimator(_Always().fit(X, y)))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit(X, y, environments=e)
    assert model.drift_pvalue_ == pytest.approx(2 / math.factorial(n))
    assert (len(told) == 1) == warned


def test_so_few_environments_cannot_promise_so_much():
    X, y, e = hospitals(6, np.random.default_rng(4))
    model = HierarchicalConformalRegressor(random_state=0).fit(X, y, environments=e)
    assert model.highest_level_ == 0.75
    assert np.isfinite(model.predict_interval(X[:2], 0.75)).all(axis=None)
    with pytest.warns(
        DegenerateInputWarning, match="Environments that calibrate: 3, which give finite intervals up to"
    ):
        assert np.isinf(model.predict_interval(X[:2], 0.76)).all(axis=None)
    with pytest.warns(DegenerateInputWarning, match=r"up to confidence_level=0.857; at 0.9 they are infinite"):
        HierarchicalConformalRegressor(method=LEFT_OUT).fit(X, y, environments=e).predict_interval(X[:2])
    text = " ".join(str(model.summary()).split())
    assert "finite intervals up to level 0.75" in text
    assert "not for every environment" in text


@pytest.mark.parametrize("method", ["split", LEFT_OUT])
def test_an_order_that_drifts_is_seen(method):
    rng = np.random.default_rng(5)
    X, y, e = hospitals(30, rng, drift=0.5)
    with pytest.warns(ExtrapolationWarning, match="trend along the sorted labels of environments, from"):
        HierarchicalConformalRegressor(method=method, random_state=0).fit(X, y, environments=e)
    warned = 0
    for seed in range(100):
        X, y, e = hospitals(12, rng)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            HierarchicalConformalRegressor(DummyRegressor(), method=method, random_state=seed).fit(X, y, environments=e)
        warned += len(found) > 0
    assert warned <= stats.binom.isf(1e-5, 100, 0.01)


def test_frozen_regressors_are_not_refitted_and_must_not_know_the_rows():
    rng = np.random.default_rng(6)
    X, y, e = hospitals(10, rng, spread=0.1)
    inner = InvariantSubsetSelector(min_size=1).fit(X, y, environments=e)
    new_X, new_y, new_e = hospitals(8, rng)
    model = HierarchicalConformalRegressor(FrozenEstimator(inner)).fit(new_X, new_y, environments=new_e)
    assert model.n_calibration_ == 8
    np.testing.assert_array_equal(model.predict(X), inner.predict(X))
    with pytest.raises(ValueError, match="is one of those that trained the rule"):
        HierarchicalConformalRegressor(FrozenEstimator(inner)).fit(X, y, environments=e)
    with pytest.raises(ValueError, match="no environment can be left out"):
        HierarchicalConformalRegressor(FrozenEstimator(inner), method=LEFT_OUT).fit(new_X, new_y, environments=new_e)


def test_estimators_that_need_environments_get_those_of_their_rows():
    X, y, e = hospitals(12, np.random.default_rng(7), spread=0.1)
    frame = pd.DataFrame(X, columns=["dose", "age"], index=[f"r{i}" for i in range(len(X))])
    labels = pd.Series([f"h{k:02d}" for k in e], index=frame.index)
    y = pd.Series(y, index=frame.index)
    for inner in (InvariantSubsetSelector(min_size=1), make_pipeline(StandardScaler(), InvariantSubsetSelector())):
        model = HierarchicalConformalRegressor(inner, random_state=0).fit(frame, y, environments=labels)
        last = model.estimator_ if isinstance(inner, InvariantSubsetSelector) else model.estimator_[-1]
        assert set(last.environments_) == set(labels) - set(model.calibration_environments_)
        assert model.predict_interval(frame, 0.8).index.equals(frame.index)
    assert list(model.feature_names_in_) == ["dose", "age"]


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"method": "jackknife"}, "method must be 'split' or"),
        ({"calibration_share": 0.0}, "calibration_share must be a number > 0"),
    ],
)
def test_mistakes_are_named(params, match):
    X, y, e = hospitals(6, np.random.default_rng(8))
    with pytest.raises(ValueError, match=match):
        HierarchicalConformalRegressor(**params).fit(X, y, environments=e)
    with pytest.raises(ValueError, match="needs environments="):
        HierarchicalConformalRegressor().fit(X, y)
    with pytest.raises(ValueError, match="at least two are needed"):
        HierarchicalConformalRegressor().fit(X, y, environments=np.zeros(len(y)))
    model = HierarchicalConformalRegressor(method=LEFT_OUT).fit(X, y, environments=e)
    with pytest.raises(ValueError, match="share= is proved for method='split' only"):
        model.predict_interval(X, 0.8, share=0.5)
    with pytest.raises(ValueError, match="confidence_level"):
        model.predict_interval(X, 1.0)
