"""A linear rule against the rows that its moments came from."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from causalinv import Moments
from causalinv.linear_rule import LinearRule, least_squares


def sample(n=90, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) + np.array([0.0, 1e6, 5.0])
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=n) + 1e3
    return X, y, np.arange(n) % 3, rng.random(n) + 0.1


def test_risks_are_the_mean_squared_errors_of_each_environment():
    X, y, e, w = sample()
    rule = LinearRule([1.0, -2.0, 0.4], 1e3)
    risks = rule.risks(Moments.from_rows(x=X, y=y, environments=e, sample_weight=w))
    for k in range(3):
        error = (y - rule.predict(X))[e == k] ** 2
        assert risks[k] == pytest.approx(np.average(error, weights=w[e == k]), rel=1e-6)


def test_least_squares_is_that_of_scikit_learn():
    X, y, e, w = sample()
    moments = Moments.from_rows(x=X, y=y, environments=e, sample_weight=w)
    peer = LinearRegression().fit(X, y, sample_weight=w)
    rule = LinearRule.from_moments(moments)
    np.testing.assert_allclose(rule.coef, peer.coef_, rtol=1e-8)
    np.testing.assert_allclose(rule.predict(X), peer.predict(X), rtol=1e-8)
    np.testing.assert_allclose(least_squares(moments)[:, 0], peer.coef_, rtol=1e-8)
    some = LinearRule.from_moments(moments, inside=[0, 2])
    peer = LinearRegression().fit(X[:, [0, 2]], y, sample_weight=w)
    np.testing.assert_allclose(some.coef, [peer.coef_[0], 0.0, peer.coef_[1]], rtol=1e-8)
    np.testing.assert_allclose(LinearRule.from_moments(moments, inside=[True, False, True]).coef, some.coef)
    assert not LinearRule.from_moments(moments, inside=[]).coef.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_rule_that_predicts_nothing_is_refused(bad):
    with pytest.raises(ValueError, match="coef"):
        LinearRule([1.0, bad])
    with pytest.raises(ValueError, match="intercept must be finite"):
        LinearRule([1.0], bad)
    with pytest.raises(ValueError, match=r"components must have shape \(k, 1\)"):
        LinearRule([1.0], components=np.eye(2))
    with pytest.raises(ValueError, match="names must name 1"):
        LinearRule([1.0], names=("a", "b"))


def test_a_rule_cannot_be_changed():
    rule = LinearRule([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        rule.coef[0] = 3.0
    with pytest.raises(AttributeError):
        rule.intercept = 1.0


def test_what_a_rule_reads_and_its_weights():
    rule = LinearRule([2.0, 0.0, -1e6])
    np.testing.assert_array_equal(rule.representation, [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(rule.weights, [2.0, -1e6], rtol=1e-12)
    rows = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1e-6], [1.0, 2.0, 1e-6]])  # the last is the sum of the others
    told = LinearRule(np.array([3.0, -1.0]) @ rows[:2], components=rows)
    np.testing.assert_allclose(told.weights @ told.representation, told.coef, rtol=1e-9)
