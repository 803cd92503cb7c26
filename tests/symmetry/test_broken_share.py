"""Judges: a root finder, the definition, binomial limits on samples in which nothing is broken."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.stats import binom
from sklearn.linear_model import LinearRegression

from causalinv.symmetry import FrameAveragingRegressor
from causalinv.symmetry._broken_share import _least, _pvalue, _unskewed, broken_share, deviations
from causalinv.transformations import Compose, EuclideanGroup, PermutationGroup, Rotate90, SignFlip


def held_out(X, y, symmetry, rng):
    first, second = np.array_split(rng.permutation(len(X)), 2)
    learner = LinearRegression()
    inside = FrameAveragingRegressor(learner, symmetry=symmetry).fit(X[first], y[first]).predict(X[second])
    plain = learner.fit(X[first], y[first])
    return y[second] - inside, deviations(plain.predict, X[second], symmetry, None, rng), y[second]


@pytest.mark.parametrize("seed", range(40))
def test_the_limit_is_the_least_value_that_students_test_keeps(seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(4, 60))
    slopes, sizes = rng.normal(rng.uniform(-0.2, 1), rng.uniform(0.1, 2), m), rng.chisquare(1 + seed % 3, m)
    sizes, k = sizes / sizes.mean(), rng.uniform(0.01, 1.2)

    def left(r):
        return (slopes.mean() - r) ** 2 - k * np.var(slopes - r * sizes, ddof=1)

    kept = slopes.mean() <= 0 or left(0) <= 0
    assert _least(slopes, sizes, k) == pytest.approx(0 if kept else brentq(left, 0, slopes.mean()), abs=1e-9)


@pytest.mark.parametrize(
    "group",
    [SignFlip([0, 2]), PermutationGroup([[1, 2, 3, 0]]), Rotate90((2, 2)), Compose([SignFlip([0]), SignFlip([3])])],
    ids=lambda g: type(g).__name__,
)
def test_the_pose_that_was_seen_comes_first_and_all_others_once(group):
    X = np.random.default_rng(0).normal(size=(7, 4))
    found = deviations(lambda rows: rows @ [1.0, 2.0, 4.0, 8.0], X, group, None, np.random.default_rng(0))
    perms, signs = group.elements(4)
    every = (X[:, perms] * signs) @ [1.0, 2.0, 4.0, 8.0]
    np.testing.assert_allclose(found[:, 0], X @ [1.0, 2.0, 4.0, 8.0] - every.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(np.sort(found), np.sort(every - every.mean(axis=1, keepdims=True)), atol=1e-12)


def test_groups_without_a_list_are_drawn():
    X = np.random.default_rng(0).normal(size=(3000, 2))
    turns = EuclideanGroup(2, translations=False)
    found = deviations(lambda rows: rows[:, 0] + rows[:, 1] ** 2, X, turns, None, np.random.default_rng(0))
    assert found.shape == (3000, 17)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-9)
    exact = X[:, 0] + X[:, 1] ** 2 - (X**2).sum(axis=1) / 2
    assert np.corrcoef(found[:, 0], exact)[0, 1] > 0.95


def test_a_limit_is_above_0_no_oftener_than_said_where_nothing_is_broken():
    """Six rows held out: Student's limit alone is above 0 in 15% of such samples."""
    above, reps = 0, 300
    for seed in range(reps):
        rng = np.random.default_rng([77, seed])
        X = rng.normal(size=(12, 2))
        y = X[:, 0] ** 2 + rng.normal(size=12)
        above += broken_share(*held_out(X, y, SignFlip([0]), rng), 0.05, rng)[1] > 0
    assert above <= binom.ppf(1 - 1e-5, reps, 0.05)


def test_the_randomisation_test_is_uniform_where_nothing_is_broken():
    rng = np.random.default_rng(1)
    pvalues = []
    for _ in range(400):
        poses = rng.exponential(size=(8, 2)) * [1.0, -1.0]
        poses = np.where(rng.random((8, 1)) < 0.5, poses, poses[:, ::-1])
        pvalues.append(_pvalue(rng.standard_t(3, 8), poses, 99, rng))
    for level in (0.05, 0.2, 0.5):
        assert abs(np.mean(np.array(pvalues) <= level) - level) < 4.5 * np.sqrt(level * (1 - level) / 400)


@pytest.mark.parametrize("unit", [1e-200, 1e-100, 1.0, 1e100])
def test_units_of_the_outcome_do_not_matter(unit):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(80, 2))
    y = X[:, 0] + rng.normal(size=80)
    left, poses, seen = held_out(X, y, SignFlip([0]), np.random.default_rng(4))
    plain = broken_share(left, poses, seen, 0.05, np.random.default_rng(5))
    assert 0.05 < plain[1] < plain[0]
    found = broken_share(unit * left, unit * poses, unit * seen, 0.05, np.random.default_rng(5))
    assert found == pytest.approx(plain, rel=1e-9)


def test_an_outcome_or_a_learner_without_variation_breaks_nothing():
    rng = np.random.default_rng(0)
    assert broken_share(np.zeros(6), np.ones((6, 2)), np.full(6, 3.0), 0.05, rng) == (0.0, 0.0)
    assert broken_share(rng.normal(size=6), np.zeros((6, 2)), rng.normal(size=6), 0.05, rng) == (0.0, 0.0)


def test_an_outcome_that_is_all_broken_has_a_limit_near_1():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    share, lower = broken_share(*held_out(X, X[:, 0], SignFlip([0]), rng), 0.05, rng)
    assert 0.6 < lower <= share <= 1.0


def test_the_share_is_the_squared_correlation_with_what_poses_move():
    """By numpy, of outcome and deviation in the pose that was seen; the variance of the outcome has m - 1."""
    rng = np.random.default_rng(1)
    y, d = rng.multivariate_normal([0, 0], [[2, 1], [1, 3]], size=50).T
    y, d = y - y.mean(), d - d.mean()
    share = broken_share(y, np.column_stack([d, -d]), y, 0.05, rng)[0]
    assert share == pytest.approx(np.corrcoef(y, d)[0, 1] ** 2 * 49 / 50)


def test_limits_are_above_zero_where_johnsons_t_is():
    """By scipy's moments, on rows that lean to the left, where Student's t alone would be above more often."""
    rng, quantile, above = np.random.default_rng(4), stats.t.ppf(0.95, 29), []
    for _ in range(100):
        slopes = 1 - rng.exponential(size=30)
        t, skewness = stats.ttest_1samp(slopes, 0).statistic, min(float(stats.skew(slopes)), 0.0)
        johnson = t + skewness * (1 + 2 * quantile**2) / (6 * np.sqrt(30))
        assert (_unskewed(slopes, np.ones(30), quantile) > 0) == (johnson > quantile)
        above.append((t > quantile, johnson > quantile))
    assert (True, False) in above


@pytest.mark.slow
def test_critical_values_that_know_the_skewness():
    """Johnson's t by scipy's moments, 30 rows that lean to the left: Student's t is above its 95% point in 9%."""
    rng, quantile, above = np.random.default_rng(4), stats.t.ppf(0.95, 29), np.zeros(2)
    for _ in range(2000):
        slopes, sizes = 1 - rng.exponential(size=30), np.ones(30)
        found = _unskewed(slopes, sizes, quantile)
        skewness = min(float(stats.skew(slopes)), 0.0)
        johnson = stats.ttest_1samp(slopes, 0).statistic + skewness * (1 + 2 * quantile**2) / (6 * np.sqrt(30))
        assert (found > 0) == (johnson > quantile)
        above += [found > 0, _least(slopes, sizes, quantile**2 / 30) > 0]
    first, second = above / 2000
    assert second > 0.08
    assert first < second - 0.02
    leaning_right = rng.exponential(size=30) - 0.8
    assert _unskewed(leaning_right, sizes, 1.7) == _least(leaning_right, sizes, 1.7**2 / 30)


def test_levels_beyond_the_tests_reach_have_no_limit_and_end():
    """At 1e-9 the test would have taken a billion draws."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    y = X[:, 0]
    poses = np.column_stack([X[:, 0], -X[:, 0]])
    assert broken_share(y, poses, y, 0.01, rng)[1] > 0.5
    assert broken_share(y, poses, y, 1e-9, rng)[1] == 0
