"""Bounds along a covariate: against groups, against the truth, and a band that covers the whole curve."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from causalinv.bounds import SensitivityBounds

HALF = 1.5 * norm.pdf(norm.ppf(2 / 3))  # of the width of an effect's bounds at odds ratio 2 with N(0, 1) residuals


def data(seed, n=500):
    r = np.random.default_rng(seed)
    x = r.uniform(-2, 2, size=(n, 2))
    t = (r.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    return x, np.sin(x[:, 0]) * t + x[:, 1] + r.normal(size=n), t


def test_a_column_of_two_values_gives_the_groups():
    x, y, t = data(0)
    frame = pd.DataFrame({"u": x[:, 0], "old": (x[:, 1] > 0).astype(float)})
    model = SensitivityBounds(outcome="linear", law="pooled", cv=2, random_state=0).fit(frame, y, treatment=t)
    curve = model.conditional_bounds("old", odds_ratio=2.0, grid=[0.0, 1.0])
    groups = model.average_bounds("ate", odds_ratio=2.0, by="old")
    np.testing.assert_allclose(curve.lower, groups.lower, atol=1e-8)
    np.testing.assert_allclose(curve.se_upper, groups.se_upper, rtol=0.02)


def test_the_band_covers_the_whole_curve():
    """20 data sets: both true ends at 9 places at once."""
    grid, hit = np.linspace(-1.6, 1.6, 9), []
    for seed in range(20):
        x, y, t = data(seed)
        model = SensitivityBounds(outcome="spline", law="pooled", cv=2, random_state=0).fit(x, y, treatment=t)
        band = model.conditional_bounds(0, odds_ratio=2.0, grid=grid).conf_int
        low, high = np.sin(grid) - HALF, np.sin(grid) + HALF
        hit.append((band[:, 0] <= low).all() and (high <= band[:, 1]).all())
    assert np.mean(hit) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 20)
    assert (band[:, 1] - band[:, 0]).mean() < 2 * HALF + 2.5


def test_curves_nest_in_the_odds_ratio_and_mistakes_are_named():
    x, y, t = data(1)
    groups = np.arange(500) // 5
    model = SensitivityBounds(outcome="linear", law="pooled", cv=2, random_state=0)
    model.fit(x, y, treatment=t, groups=groups)
    small, large = (model.conditional_bounds(0, odds_ratio=odds, estimand="mean") for odds in (1.3, 1.35))
    assert (large.lower <= small.lower).all()
    assert (large.upper >= small.upper).all()
    with pytest.raises(ValueError, match=r"column='z' is no column of X; they are \[0, 1\]"):
        model.conditional_bounds("z", odds_ratio=2.0)
    with pytest.raises(ValueError, match="estimand must be 'ate' or 'mean'"):
        model.conditional_bounds(0, odds_ratio=2.0, estimand="att")
