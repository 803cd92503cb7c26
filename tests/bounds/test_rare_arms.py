"""Few treated rows or clusters among many: degrees of freedom are those of the arms, not of all rows."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin

from causalinv.bounds import ManskiBounds, QuantileBounds, SensitivityBounds
from causalinv.bounds._nesting import Ladder
from causalinv.exceptions import DegenerateInputWarning


class Fixed(ClassifierMixin, BaseEstimator):
    """Propensities .49, .49 and .02 everywhere."""

    def fit(self, X, y):
        self.classes_ = np.arange(3)
        return self

    def predict_proba(self, X):
        return np.tile([0.49, 0.49, 0.02], (len(X), 1))


def width(line):
    return (line.ci_upper - line.upper) / line.se_upper


def fitted(treatment, y, **given):
    return SensitivityBounds(cv=2, random_state=0).fit(None, y, treatment=treatment, **given)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_quantiles_are_those_of_the_rows_of_the_arms():
    """Welch's degrees of freedom under equal variances, by hand; they were those of all rows."""
    treatment, y = (np.arange(120) < 6) * 1, np.random.default_rng(0).normal(size=120)
    model = fitted(treatment, y)
    ask = {"odds_ratio": 1.0, "target": "set"}
    assert width(model.average_bounds("mean", **ask).table.iloc[0]) == pytest.approx(stats.t.ppf(0.975, 5))
    df = (1 / 6 + 1 / 114) ** 2 / (1 / 6**2 / 5)  # the other arm's law is taken as normal
    assert width(model.average_bounds("ate", **ask).table.iloc[0]) == pytest.approx(stats.t.ppf(0.975, df))
    groups = np.arange(120) // 6
    clustered = fitted((groups < 3) * 1, y, groups=groups)
    assert width(clustered.average_bounds("mean", **ask).table.iloc[0]) == pytest.approx(stats.t.ppf(0.975, 2))
    # Half of the rows in either arm, as everywhere else: nothing changes.
    even = fitted(np.arange(120) % 2, y).average_bounds("ate", **ask).table.iloc[0]
    assert width(even) == pytest.approx(stats.norm.ppf(0.975))


def test_an_arm_of_one_cluster_limits_nothing():
    groups, y = np.repeat(np.arange(12), 10), np.random.default_rng(0).normal(size=120)
    model = fitted((groups == 0) * 1, y, groups=np.arange(120) // 5)  # two clusters hold the arm
    with pytest.warns(DegenerateInputWarning, match="an arm on one or none"):
        line = model.average_bounds("ate", odds_ratio=1.0, where=groups > 0).table.iloc[0]
    assert np.isneginf(line.ci_lower)
    assert np.isposinf(line.ci_upper)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_mean_of_eight_treated_rows_is_covered():
    """A normal quantile covered .88; 150 replications have an s.e. of 1.8%."""
    rng, covered = np.random.default_rng(1), 0
    for _ in range(150):
        line = fitted((np.arange(120) < 8) * 1, rng.normal(size=120)).average_bounds("mean", odds_ratio=1.0).table
        covered += line.ci_lower.iloc[0] <= 0.0 <= line.ci_upper.iloc[0]
    assert covered / 150 > 0.89


def test_quantiles_under_an_odds_ratio_know_the_arm_too():
    """Ten treated rows leave 9 degrees of freedom; 100 leave a normal law."""
    y = np.random.default_rng(2).normal(size=200)
    for k, df in ((10, 9.0), (100, np.inf)):
        model = QuantileBounds(cv=2, random_state=0).fit(None, y, treatment=(np.arange(200) < k) * 1)
        assert model._cdf(1, Ladder.to(2.0)).df == pytest.approx(df)


def test_an_arm_of_a_dozen_rows_says_what_its_interval_supposes():
    """Of 12 lognormal rows Student's t covers 85%, of 20 87%: nothing was said from 11 degrees of freedom on."""
    y = np.exp(np.random.default_rng(3).normal(size=100))
    for k, said in ((14, True), (40, False)):
        notes = fitted((np.arange(100) < k) * 1, y).average_bounds("mean", arm=1, odds_ratio=1.0).notes
        assert any("cover less of skew ones" in " ".join(note.split()) for note in notes) is said


def test_an_arm_without_events_is_said():
    """None of 98: [0, 0] covered a chance of 1% in 69% of samples; the exact 95% limit is 1 - .025^(1/98)."""
    treatment = (np.arange(200) < 98) * 1
    y = (np.arange(200) == 150) * 1.0
    model = fitted(treatment, y)
    with pytest.warns(DegenerateInputWarning, match="all 98 outcomes of arm 1 are 0"):
        found = model.average_bounds("mean", odds_ratio=1.0)
    assert f"{1 - 0.025 ** (1 / 98):.2g} of such outcomes" in " ".join(str(found.summary()).split())
    assert stats.binomtest(0, 98).proportion_ci(0.95, "exact").high == pytest.approx(1 - 0.025 ** (1 / 98))
    with pytest.warns(DegenerateInputWarning, match="outcomes of arm 1 are 0"):
        by = model.average_bounds("mean", odds_ratio=1.0, by=np.arange(200) % 2)
    assert sum("outcomes of arm 1 are 0" in note for note in by.notes) == 2
    assert not any(
        "outcomes of arm" in note for note in ManskiBounds().fit(None, y, treatment=treatment).summary().notes
    )


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_curves_and_quantiles_say_that_freedom_is_short():
    """Averages did; intervals of quantiles and curves from 7 degrees of freedom came without a word."""
    rng = np.random.default_rng(3)
    X, y, treatment = rng.normal(size=(120, 1)), rng.normal(size=120), (np.arange(120) < 8) * 1
    quantiles = QuantileBounds(cv=2, random_state=0, law="marginal").fit(X, y, treatment=treatment)
    curves = SensitivityBounds(cv=2, random_state=0, law="marginal").fit(X, y, treatment=treatment)
    for ask, answers in (
        (lambda: quantiles.population_bounds(odds_ratio=1.5), "quantiles"),
        (lambda: quantiles.effect_bounds(odds_ratio=1.5), "quantiles"),
        (lambda: quantiles.population_bounds(target="band"), None),  # of all rows
        (quantiles.population_bounds, None),  # exact
        (lambda: curves.conditional_bounds(0, odds_ratio=1.5), "curves"),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            notes = ask().notes
        said = [f"degrees of freedom to {answers}" in text for text in (*notes, *(str(w.message) for w in caught))]
        assert sum(said) == (2 if answers else 0)
    line = curves.conditional_bounds(0, odds_ratio=1.0, grid=[0.0]).table.iloc[0]
    assert width(line) >= stats.t.ppf(0.975, 8.1)  # as averages have it


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_overlap_of_quantiles_is_that_of_the_arms_asked_about():
    """A rare third arm flagged every question."""
    treatment = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [97, 97, 6]))
    y = np.random.default_rng(1).normal(size=200)
    model = QuantileBounds(cv=2, random_state=0, law="marginal", propensity=Fixed())
    model.fit(y[:, None], y, treatment=treatment)
    assert not model.effect_bounds(odds_ratio=1.5, arm=1, control=0).poor_overlap
    found = model.effect_bounds(odds_ratio=1.5, arm=2, control=0)
    assert found.poor_overlap
    assert any("overlap is poor" in note for note in found.notes)
