"""The sweep over all subsets equals one regression per subset; the tests equal SciPy's on its residuals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from causalinv import Moments
from causalinv.datasets import make_invariance_environments
from causalinv.invariance import SubsetStatistics, chow_pvalues, residual_pvalues, sweep
from causalinv.invariance.subsets._sets import unpack
from causalinv.sem import random_sem


def rows(d=5, sizes=(60, 45, 80), seed=0):
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    environments = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3.0 * environments[:, None]
    y = X @ rng.normal(size=d) + rng.normal(size=n) * (1 + 0.3 * environments) + 5.0
    return X, y, environments


def all_subsets(moments, **kwargs):
    return SubsetStatistics.concatenate(sweep(moments, **kwargs))


def residuals(X, y, S):
    design = np.c_[X[:, S], np.ones(len(y))]
    return y - design @ np.linalg.lstsq(design, y, rcond=None)[0]


def predicted_by_others(X, y, S, inside):
    design = np.c_[X[:, S], np.ones(len(y))]
    return design[inside] @ np.linalg.lstsq(design[~inside], y[~inside], rcond=None)[0]


def members(mask, d):
    return [j for j in range(d) if mask >> j & 1]


@pytest.mark.parametrize("d", [1, 2, 5, 8])
def test_every_subset_equals_its_own_regressions(d):
    X, y, e = rows(d)
    subsets = all_subsets(Moments.from_rows(x=X, y=y, environments=e), left_out=True)
    np.testing.assert_array_equal(subsets.masks, np.arange(2**d))
    scale = y.var()
    for k, mask in enumerate(subsets.masks):
        S = members(mask, d)
        pooled = residuals(X, y, S)
        for env in range(3):
            inside = e == env
            own = residuals(X[inside], y[inside], S)
            assert subsets.own_risk[k, env] == pytest.approx(np.mean(own**2), abs=1e-12 * scale)
            assert subsets.pooled_risk[k, env] == pytest.approx(np.mean(pooled[inside] ** 2), abs=1e-12 * scale)
            assert subsets.shift[k, env] == pytest.approx(pooled[inside].mean(), abs=1e-12 * np.sqrt(scale))
            new = predicted_by_others(X, y, S, inside) - y[inside]
            assert subsets.left_out_risk[k, env] == pytest.approx(np.mean(new**2), rel=1e-11, abs=1e-12 * scale)
    assert (subsets.excess > -1e-12 * scale).all()


def test_blocks_do_not_change_what_is_found():
    """13 features go depth first through two and then in batches; each subset comes exactly once."""
    X, y, e = rows(13, seed=2)
    subsets = all_subsets(Moments.from_rows(x=X, y=y, environments=e))
    np.testing.assert_array_equal(subsets.masks, np.arange(2**13))
    for mask in np.random.default_rng(0).integers(0, 2**13, 50):
        own = residuals(X[e == 1], y[e == 1], members(mask, 13))
        assert subsets.own_risk[mask, 1] == pytest.approx(np.mean(own**2), rel=1e-9)


@given(d=st.integers(1, 14), limit=st.integers(0, 5), seed=st.integers(0, 100))
def test_limited_search_gives_the_small_subsets_and_the_same_numbers(d, limit, seed):
    """Up to 11 features by doubling, from 12 on (up to four at a time) by elimination and pairs in closed form."""
    X, y, e = rows(d, seed=seed)
    moments = Moments.from_rows(x=X, y=y, environments=e)
    small = all_subsets(moments, max_size=limit, left_out=True)
    everything = all_subsets(moments, left_out=True)
    chosen = np.flatnonzero(everything.sizes <= limit)
    np.testing.assert_array_equal(small.masks, chosen)
    for name in ("own_risk", "pooled_risk", "left_out_risk"):
        np.testing.assert_allclose(getattr(small, name), getattr(everything, name)[chosen], rtol=1e-8)
    np.testing.assert_allclose(small.shift, everything.shift[chosen], atol=1e-8 * y.std())


def test_pairs_of_many_features_equal_their_own_regressions():
    """70 features: more than a 64-bit mask holds; dependent ones as well."""
    X, y, e = rows(70, seed=3)
    X[:, 40] = X[:, 3] - X[:, 5]
    subsets = all_subsets(Moments.from_rows(x=X, y=y, environments=e), max_size=3, left_out=True)
    assert len(subsets) == len(np.unique(subsets.packed, axis=0)) == 1 + 70 + 2415 + 54740
    inside = unpack(subsets.packed, 70)
    np.testing.assert_array_equal(inside.sum(axis=1), subsets.sizes)
    with pytest.raises(ValueError, match="do not fit an integer"):
        _ = subsets.masks
    triple = np.flatnonzero(inside[:, [3, 5, 40]].all(axis=1))
    for k in [*np.random.default_rng(0).integers(0, len(subsets), 60), *triple]:
        S = np.flatnonzero(inside[k])
        own, pooled = residuals(X[e == 1], y[e == 1], S), residuals(X, y, S)[e == 1]
        assert subsets.own_risk[k, 1] == pytest.approx(np.mean(own**2), rel=1e-9)
        assert subsets.pooled_risk[k, 1] == pytest.approx(np.mean(pooled**2), rel=1e-9)
        new = predicted_by_others(X, y, S, e == 1) - y[e == 1]
        assert subsets.left_out_risk[k, 1] == pytest.approx(np.mean(new**2), rel=1e-9)


def test_dependent_and_constant_features_change_nothing():
    X, y, e = rows(3)
    wide = np.c_[X, X @ [1.0, -1.0, 2.0], np.ones(len(y))]
    subsets = all_subsets(Moments.from_rows(x=wide, y=y, environments=e))
    base = all_subsets(Moments.from_rows(x=X, y=y, environments=e))
    for extra in (0, 8, 16, 24):
        if extra & 8:
            np.testing.assert_allclose(subsets.own_risk[7 + extra], base.own_risk[7], rtol=1e-7)
        else:
            np.testing.assert_allclose(subsets.pooled_risk[np.arange(8) + extra], base.pooled_risk, rtol=1e-9)


def test_parents_are_invariant_in_the_population_and_a_child_is_not():
    data = make_invariance_environments(10, n_features=7, kind="variance", n_sites=7, random_state=4)
    subsets = all_subsets(data.moments)
    parents = sum(1 << int(j) for j in data.parents)
    assert subsets.excess[parents].max() < 1e-12
    assert np.ptp(subsets.pooled_risk[parents]) < 1e-12
    sem = data.sem
    child = sem.features.index(sem.children(sem.target)[0])
    assert subsets.excess[parents | 1 << child].max() > 1e-4


def test_p_values_equal_scipys_on_the_residuals():
    X, y, e = rows(4, seed=5)
    counts = np.bincount(e).astype(float)
    subsets = all_subsets(Moments.from_rows(x=X, y=y, environments=e))
    icp, chow = residual_pvalues(subsets, counts), chow_pvalues(subsets, counts)
    for k, mask in enumerate(subsets.masks):
        S = members(mask, 4)
        r = residuals(X, y, S)
        smallest = 1.0
        for env in range(3):
            a, b = r[e == env], r[e != env]
            smallest = min(smallest, stats.ttest_ind(a, b, equal_var=False).pvalue)
            F = stats.f(len(a) - 1, len(b) - 1)
            ratio = a.var(ddof=1) / b.var(ddof=1)
            smallest = min(smallest, 2 * min(F.cdf(ratio), F.sf(ratio)))
        assert icp[k] == pytest.approx(min(1.0, 4 * smallest), rel=1e-8, abs=1e-14)
        own = sum(np.sum(residuals(X[e == env], y[e == env], S) ** 2) for env in range(3))
        p = len(S) + 1
        F = ((np.sum(r**2) - own) / (2 * p)) / (own / (len(y) - 3 * p))
        assert chow[k] == pytest.approx(stats.f.sf(F, 2 * p, len(y) - 3 * p), rel=1e-8, abs=1e-14)


@pytest.mark.slow
def test_size_of_the_tests_on_the_true_causes():
    """2000 replications at level .05 on the parents. Chow is exact: binomial limits at 1e-5. The residual test takes
    2 (E - 1) = 4 times the smallest of 6 dependent p-values, so its size may exceed .05, but not 6/4 of it."""
    sem = random_sem(4, expected_degree=2.0, random_state=3)
    parents = [sem.features.index(v) for v in sem.parents(sem.target)]
    mask = sum(1 << j for j in parents)
    environments, rng = sem.environments([None, None, None]), np.random.default_rng(0)
    rejected, n = {chow_pvalues: 0, residual_pvalues: 0}, 2000
    for _ in range(n):
        X, y, e = environments.sample([60, 40, 50], random_state=rng)
        subset = all_subsets(Moments.from_rows(x=X, y=y, environments=e)).take([mask])
        for test in rejected:
            rejected[test] += test(subset, np.array([60.0, 40.0, 50.0]))[0] <= 0.05
    for test, least, most in ((chow_pvalues, 0.05, 0.05), (residual_pvalues, 0.02, 0.075)):
        assert stats.binom.ppf(1e-5, n, least) <= rejected[test] <= stats.binom.isf(1e-5, n, most)
