"""Confidence limits of quantiles where the outcome is discrete: half of them once failed."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from sklearn.dummy import DummyClassifier

from causalinv.bounds import QuantileBounds


def _interval(y, a, tau, support, level=0.95, **kwargs):
    model = QuantileBounds(
        tau=tau, outcome_support=support, law="marginal", propensity=DummyClassifier(), cv=2, random_state=0
    )
    fitted = model.fit(np.zeros((len(y), 1)), y, treatment=a, **kwargs)
    return fitted.population_bounds(arm=1, confidence_level=level).conf_int


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "weights", "pairs"])
def test_a_jump_just_above_the_order_is_covered(kind):
    """P(Y = 0 in the arm) such that the least cdf reaches .501 at 0: the lower end is 0, the upper one 1."""
    hit, n = [], 400
    for seed in range(50):
        r = np.random.default_rng(seed)
        a = (r.random(n) < 0.9).astype(int)
        y = (r.random(n) >= (0.501 - 0.1) / 0.9).astype(float)
        more = {"plain": {}, "weights": {"sample_weight": r.random(n) + 0.5}, "pairs": {"groups": np.arange(n) // 2}}
        low, high = _interval(y, a, 0.5, (0, 1), **more[kind])
        hit.append(low <= 0.0 and high >= 1.0)
    assert np.mean(hit) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 50)


def test_limits_are_order_statistics_by_the_binomial_law():
    y = np.random.default_rng(1).permutation(200).astype(float)
    a = np.r_[np.zeros(10, int), np.ones(190, int)]
    low, high = _interval(y, a, 0.5, (-1, 900), level=0.9)
    # Whoever lies below the limit is refuted by the exact test with 5%, the limit itself is not.
    below, above = np.where(a == 1, y, -1.0), np.where(a == 1, y, 900.0)
    lower, upper = np.unique(below), np.unique(above)
    first, last = np.searchsorted(lower, low), np.searchsorted(upper, high)
    for at, count, side in (
        (first, (below <= lower[first]).sum(), "less"),
        (first, (below <= lower[first - 1]).sum(), "beyond"),
        (last, (above < upper[last]).sum(), "greater"),
        (last, (above < upper[last + 1]).sum(), "beyond"),
    ):
        alternative = side if side != "beyond" else "less" if at == first else "greater"
        pvalue = stats.binomtest(int(count), 200, 0.5, alternative=alternative).pvalue
        assert bool(pvalue <= 0.05) is (side == "beyond")


def test_equal_weights_and_single_rows_give_about_the_exact_limits():
    r = np.random.default_rng(2)
    y, a = r.normal(size=2000), (r.random(2000) < 0.9).astype(int)
    weight = np.ones(2000)
    weight[0] = 1.001  # no longer equal, so no exact law
    exact, score, single = (
        _interval(y, a, 0.5, None, **more) for more in ({}, {"sample_weight": weight}, {"groups": np.arange(2000)})
    )
    np.testing.assert_allclose(score, exact, atol=0.01)
    np.testing.assert_allclose(single, exact, atol=0.01)


def test_limits_nest_in_the_confidence_level():
    r = np.random.default_rng(3)
    y, a = r.poisson(1.0, 300).astype(float), (r.random(300) < 0.8).astype(int)
    for more in ({}, {"groups": np.arange(300) // 3}, {"sample_weight": r.random(300)}):
        found = [_interval(y, a, 0.6, (0, 30), level, **more) for level in (0.5, 0.8, 0.95, 0.99, 0.9999)]
        assert all(b[0] <= s[0] and s[1] <= b[1] for s, b in pairwise(found))


def test_too_few_rows_for_a_limit_give_the_support():
    low, high = _interval(np.array([3.0, 4, 5, 6, 1, 2]), np.array([1, 1, 1, 1, 0, 0]), 0.6, (0, 9), level=0.99)
    assert (low, high) == (0.0, 9.0)
