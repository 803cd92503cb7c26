"""Whether rows contradict a Gaussian law: scores beside scipy's, false alarms, laws that break two_level."""

import warnings

import numpy as np
import pytest
from scipy import stats

from causalinv._labels import encode
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance import certify
from causalinv.invariance.certificates._gaussian_rows import against_gaussian, kurtosis_score, skewness_score


@pytest.mark.parametrize("n", [20, 57, 1000])
def test_scores_are_those_of_scipy(n):
    for rows in (
        np.random.default_rng(n).normal(size=n),
        np.random.default_rng(n).exponential(size=n),
        np.random.default_rng(n).uniform(size=n),
    ):
        count = np.array([float(n)])
        skewness, kurtosis = np.array([stats.skew(rows)]), np.array([stats.kurtosis(rows, fisher=False)])
        assert skewness_score(skewness, count)[0] == pytest.approx(stats.skewtest(rows).statistic, abs=1e-10)
        assert kurtosis_score(kurtosis, count)[0] == pytest.approx(stats.kurtosistest(rows).statistic, rel=1e-10)


def test_alone_and_together_are_scipys_tests():
    """One environment: scipy's p-value decides at .005; its half beside another column."""
    for scale, seed in ((0.0, 0), (0.1, 1), (0.15, 2), (0.2, 3)):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=400) + scale * rng.normal(size=400) ** 2
        least = min(stats.skewtest(rows).pvalue, stats.kurtosistest(rows).pvalue)
        found = against_gaussian({"a": rows}, encode(np.zeros(400), "e", 400))
        assert (found is not None) == (2 * least <= 0.01)


@pytest.mark.parametrize("sizes", [(20,) * 30, (50,) * 5, (300,), (20, 50, 2000)])
def test_gaussian_rows_are_seldom_contradicted(sizes):
    rng, e, told = np.random.default_rng(4), np.repeat(np.arange(len(sizes)), sizes), 0
    labels = encode(e, "e", len(e))
    for _ in range(300):
        told += against_gaussian({name: rng.normal(size=len(e)) * (1 + e) + e for name in "abc"}, labels) is not None
    assert told <= stats.binom.isf(1e-4, 300, 0.015)


LAWS = {
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "t3": lambda rng, n: rng.standard_t(3, size=n),
    "rare .01": lambda rng, n: (rng.uniform(size=n) < 0.01) + 0.001 * rng.normal(size=n),
    "rare .05": lambda rng, n: (rng.uniform(size=n) < 0.05) + 0.001 * rng.normal(size=n),
}


@pytest.mark.parametrize("law", LAWS)
def test_two_level_says_that_rows_are_not_gaussian(law):
    rng, e = np.random.default_rng(5), np.repeat(np.arange(5), 300)
    X = rng.normal(size=(1500, 1))
    with pytest.warns(DegenerateInputWarning, match=r"asks for Gaussian rows, and these are not: the (skew|kurt)"):
        found = certify(
            (np.eye(1), [1.0], 0.0), X, X[:, 0] + LAWS[law](rng, 1500), environments=e, eps=0.15, method="two_level"
        )
    assert any("REFUTED" in each for each in found.assumptions)


def test_two_level_is_silent_of_gaussian_rows():
    rng, e = np.random.default_rng(6), np.repeat(np.arange(5), 300)
    X = rng.normal(size=(1500, 2)) * (1 + e)[:, None] + e[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = X[:, 0] + rng.normal(size=1500) * (1 + e)
        found = certify((np.eye(2), [1.0, 0.0], 0.0), X, y, environments=e, eps=0.15, method="two_level")
    assert not any("REFUTED" in each for each in found.assumptions)


def test_small_and_constant_columns_are_not_looked_at():
    labels = encode(np.repeat(np.arange(3), 19), "e", 57)
    assert against_gaussian({"a": np.random.default_rng(7).exponential(size=57) ** 3}, labels) is None
    labels = encode(np.repeat(np.arange(3), 20), "e", 60)
    assert against_gaussian({"a": np.random.default_rng(7).exponential(size=60) ** 3}, labels) is not None
    labels = encode(np.repeat(np.arange(3), 30), "e", 90)
    assert against_gaussian({"a": np.repeat([1e8, 2.0, 0.1], 30), "b": np.zeros(90)}, labels) is None
