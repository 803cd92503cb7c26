"""Intervals of causes from few rows, and of the indicator of one row."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from causalinv.invariance import InvariantCausalPrediction


def accepted_alone(seed, n):
    """Two environments of n rows, far apart in x: only the set of x itself can be accepted; the effect is 1."""
    rng = np.random.default_rng(seed)
    environments = np.repeat([0, 1], n)
    x = rng.normal(size=2 * n) + 20.0 * environments
    return x[:, None], x + rng.normal(size=2 * n), environments


def test_chow_intervals_are_those_of_students_law():
    """Of statsmodels at level .025, the hull's share; with a normal quantile they were a third shorter."""
    X, y, environments = accepted_alone(0, 3)
    model = InvariantCausalPrediction(test="chow").fit(X, y, environments=environments)
    assert model.accepted_sets_ == [(0,)]
    peer = sm.OLS(y, sm.add_constant(X)).fit().conf_int(alpha=0.025)[1]
    np.testing.assert_allclose(model.conf_int_[0], peer, rtol=1e-8)


def test_chow_intervals_cover_in_environments_of_three_rows():
    """Normal quantiles covered .888; 400 replications have an s.e. of 1.1%."""
    covered = 0
    for seed in range(400):
        X, y, environments = accepted_alone(seed, 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            low, high = InvariantCausalPrediction(test="chow").fit(X, y, environments=environments).conf_int_[0]
        covered += low <= 1.0 <= high
    assert covered / 400 > 0.915


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_the_indicator_of_one_row_has_no_finite_interval():
    rng = np.random.default_rng(0)
    environments, one = np.repeat([0, 1, 2], 40), (np.arange(120) == 50) * 1.0
    x = rng.normal(size=120) + 2.0 * environments
    y = x + 6.0 * one + rng.normal(size=120)
    model = InvariantCausalPrediction().fit(np.column_stack([x, one]), y, environments=environments)
    assert np.isinf(model.conf_int_[1]).all()
    assert np.isfinite(model.conf_int_[0]).all()
