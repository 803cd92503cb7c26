"""Few or unequal clusters: errors of averages and their degrees of freedom, judged by simulation and closed forms."""

import warnings

import numpy as np
import pytest
from scipy import stats

from causalinv.bounds import ManskiBounds, SensitivityBounds
from causalinv.bounds._inference import clustered, critical_value, ratio_of_means
from causalinv.exceptions import DegenerateInputWarning


def _manski(y, t, groups, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateInputWarning)
        model = ManskiBounds(outcome_support=(-20, 20)).fit(np.zeros((len(y), 1)), y, treatment=t, groups=groups)
        return model.average_bounds("mean", arm=1, **kwargs)


def test_equal_clusters_are_a_t_interval_of_their_means():
    r = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 25)
    y, t = r.normal(size=100) + r.normal(size=4)[groups], r.integers(0, 2, 100)
    found = _manski(y, t, groups, target="set").conf_int
    for sign, end in zip((0, 1), (-20.0, 20.0), strict=True):
        means = np.where(t == 1, y, end).reshape(4, 25).mean(axis=1)
        assert found[sign] == pytest.approx(stats.ttest_1samp(means, 0.0).confidence_interval(0.95)[sign])


def test_unequal_clusters_have_unbiased_errors_and_few_degrees_of_freedom():
    """Under independent equal errors the squared error averages to the variance, and its spread gives the df."""
    r = np.random.default_rng(1)
    groups = np.r_[np.zeros(35, int), 1 + np.arange(15)]
    weight = np.r_[np.full(20, 2.0), np.full(30, 0.5)]
    clusters = clustered(weight, groups, 50)
    square = np.array([ratio_of_means(y, None, weight, clusters)[1] ** 2 for y in r.normal(size=(3000, 50))])
    truth = np.sum((weight / weight.sum()) ** 2)
    df = 2 * square.mean() ** 2 / square.var()
    assert square.mean() == pytest.approx(truth, abs=3 * square.std() / np.sqrt(3000))
    assert clusters.df()[0] == pytest.approx(df, rel=0.2)
    assert clusters.df()[0] < 3


def test_a_ratio_over_clusters_moves_as_its_delta_method():
    r = np.random.default_rng(2)
    groups = np.repeat(np.arange(400), 3)
    member = (r.random(1200) < 0.4).astype(float)
    y = (r.normal(size=1200) + r.normal(size=400)[groups]) * member
    ratio, error = ratio_of_means(y, member, None, clustered(None, groups, 1200))
    top, bottom = (np.bincount(groups, weights=v) for v in (y, member))
    left = [(top.sum() - top[g]) / (bottom.sum() - bottom[g]) for g in range(400)]  # the jackknife
    assert error == pytest.approx(np.sqrt(399 * np.var(left)), rel=0.01)
    assert ratio == pytest.approx(top.sum() / bottom.sum())


def test_critical_values_of_student():
    t = np.random.default_rng(3).standard_t(3.0, size=400_000)
    for width in (0.0, 0.7, 4.0):
        c = critical_value(width, 1.0, 0.9, df=3.0)
        assert np.mean((-c <= t) & (t <= c + width)) == pytest.approx(0.9, abs=4 * 0.3 / np.sqrt(4e5))
    assert critical_value(0.0, 1.0, 0.95, df=1.3) == pytest.approx(stats.t.ppf(0.975, 1.3), rel=1e-6)


def test_few_clusters_are_said():
    r = np.random.default_rng(4)
    y, t, X = r.normal(size=200), np.arange(200) // 4 % 2, r.normal(size=(200, 1))
    model = SensitivityBounds(law="marginal", cv=2, random_state=0)
    model.fit(X, y, treatment=t, groups=np.arange(200) % 4)
    with pytest.warns(DegenerateInputWarning, match="leave 3 degrees of freedom"):
        bounds = model.average_bounds("mean", odds_ratio=1.0)
    assert "3 degrees of freedom" in " ".join(str(bounds.summary()).split())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y, treatment=t, groups=np.arange(200) % 13).average_bounds("mean", odds_ratio=1.0)


@pytest.mark.parametrize("sizes", [np.full(4, 30), np.r_[100, np.ones(20, int)]], ids=["four", "one of 100"])
def test_means_over_few_clusters_are_covered(sizes):
    """800 data sets; the independent rows of the second cell are where the model of the df holds."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    r = np.random.default_rng(5)
    shared = 0.7 if len(sizes) == 4 else 0.0
    clusters = clustered(None, groups, len(groups))
    c = critical_value(0.0, 1.0, 0.95, df=clusters.df()[0])
    hit = []
    for _ in range(800):
        y = r.normal(size=len(groups)) + shared * r.normal(size=len(sizes))[groups]
        ratio, error = ratio_of_means(y, None, None, clusters)
        hit.append(abs(ratio) <= error * c)
    assert np.mean(hit) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 800)
