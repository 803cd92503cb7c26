"""Averages over few rows, or few clusters, of many: errors and intervals are those of these alone."""

import numpy as np
import pytest
from scipy import stats

from causalinv.bounds import ManskiBounds, SensitivityBounds
from causalinv.bounds._inference import freedom, joint_freedom, ratio_of_means
from causalinv.exceptions import DegenerateInputWarning

SUPPORT = (-50.0, 50.0)


def _student(values):
    """95% interval of a mean by scipy."""
    return stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.parametrize("m", [2, 3, 8, 25])
def test_effect_on_few_treated_rows_has_students_interval(m):
    rng = np.random.default_rng(m)
    y, treatment = rng.normal(size=200), np.arange(200) < m
    model = ManskiBounds(outcome_support=SUPPORT).fit(None, y, treatment=treatment)
    line = model.average_bounds("att", arm=True, control=False, target="set").table.iloc[0]
    low, high = _student(y[:m])
    assert (line.ci_lower, line.ci_upper) == (pytest.approx(low - 50.0), pytest.approx(high + 50.0))


@pytest.mark.parametrize("by", [False, True])
def test_subgroup_of_few_rows_has_students_interval(by):
    rng = np.random.default_rng(0)
    y, treatment, few = rng.normal(size=200), np.arange(200) % 7 > 0, np.arange(200) % 50 == 1
    model = ManskiBounds(outcome_support=SUPPORT).fit(None, y, treatment=treatment)
    asked = {"by": np.where(few, "few", "many")} if by else {"where": few}
    with pytest.warns(DegenerateInputWarning, match="3 degrees of freedom"):
        found = model.average_bounds("mean", arm=True, target="set", **asked).table
    line = found.loc["few"] if by else found.iloc[0]
    low, high = (np.where(treatment, y, end)[few] for end in SUPPORT)
    ends = max(_student(low)[0], -50.0), min(_student(high)[1], 50.0)
    assert (line.ci_lower, line.ci_upper) == (pytest.approx(ends[0]), pytest.approx(ends[1]))


def test_subgroup_of_few_clusters_has_their_degrees_of_freedom():
    """Equal clusters: Student's interval of the clusters' means."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 6)
    y, treatment = rng.normal(size=40)[groups] + rng.normal(size=240), np.ones(240, int)
    treatment[200:] = 0
    model = ManskiBounds(outcome_support=SUPPORT).fit(None, y, treatment=treatment, groups=groups)
    with pytest.warns(DegenerateInputWarning, match="groups leave 2 degrees"):
        line = model.average_bounds("mean", arm=1, target="set", where=groups < 3).table.iloc[0]
    low, high = _student(y[:18].reshape(3, 6).mean(axis=1))
    assert (line.ci_lower, line.ci_upper) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("groups", [None, np.arange(60) // 5])
def test_average_over_one_row_or_cluster_has_no_error_and_no_limits(groups):
    rng = np.random.default_rng(2)
    y, treatment = rng.random(60), np.arange(60) % 2
    model = ManskiBounds(outcome_support=(0.0, 1.0)).fit(None, y, treatment=treatment, groups=groups)
    with pytest.warns(DegenerateInputWarning, match="it has no standard error and nothing limits"):
        line = model.average_bounds("mean", arm=1, where=np.arange(60) < (1 if groups is None else 5)).table.iloc[0]
    assert line[["se_lower", "se_upper"]].isna().all()
    assert (line.ci_lower, line.ci_upper) == (0.0, 1.0)


def test_small_sample_has_students_interval():
    y = np.random.default_rng(3).normal(size=12)
    model = ManskiBounds(outcome_support=SUPPORT).fit(None, y, treatment=np.arange(12) > 0)
    line = model.average_bounds("mean", arm=True, target="set").table.iloc[0]
    assert line.ci_lower == pytest.approx(_student(np.r_[-50.0, y[1:]])[0])


@pytest.mark.parametrize("estimand", ["ate", "att", "overlap"])
def test_subgroup_under_an_odds_ratio_knows_its_few_rows(estimand):
    """The band's and the interval's quantile are Student's: wider than normal ones by at least their ratio."""
    rng = np.random.default_rng(4)
    X, treatment = rng.normal(size=(80, 1)), np.arange(80) % 2
    y = X[:, 0] + rng.normal(size=80)
    model = SensitivityBounds(law="pooled", cv=2, random_state=0).fit(X, y, treatment=treatment)
    few = np.arange(80) < 10
    with pytest.warns(DegenerateInputWarning, match="degrees of freedom"):
        line = model.average_bounds(estimand, odds_ratio=1.0, where=few, target="set").table.iloc[0]
    df = 4 if estimand == "att" else 8  # five rows of either arm: Welch's 4 + 4
    wide = (line.lower - line.ci_lower) / line.se_lower
    assert wide == pytest.approx(stats.t.ppf(0.975, df), rel=0.02 if estimand == "overlap" else 1e-9)


def test_degrees_of_freedom_and_error_of_a_weighted_mean_by_matrices():
    """Quadratic form of equal errors: its trace is the variance, its square over the trace of the square the df."""
    rng = np.random.default_rng(5)
    weight, y = rng.exponential(size=9) ** 2, rng.normal(size=9)
    share = weight / weight.sum()
    left = np.eye(9) - share
    form = left.T @ np.diag(share**2 / np.diag(left @ left.T)) @ left
    assert freedom(weight, None) == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form))
    assert np.trace(form) == pytest.approx(np.sum(share**2))
    assert ratio_of_means(y, None, weight)[1] == pytest.approx(np.sqrt(y @ form @ y))


def test_effect_on_treated_where_nobody_was_is_refused_by_name():
    treatment = np.arange(40) % 2
    model = ManskiBounds(outcome_support=(0.0, 1.0)).fit(None, np.full(40, 0.5), treatment=treatment)
    with pytest.raises(ValueError, match="took arm 1: there is no average over such rows"):
        model.average_bounds("att", where=treatment == 0)
    with pytest.raises(ValueError, match="group of by="):
        model.average_bounds("att", by=treatment)


def test_degrees_of_freedom_of_two_arms_are_welchs():
    """Samples of 3 and 12 with one and the same variance; and four and nine clusters of five rows."""
    rng = np.random.default_rng(6)
    first, second = (stats.zscore(rng.normal(size=n), ddof=1) for n in (3, 12))
    welch = stats.ttest_ind(first, second, equal_var=False).df
    arm = np.arange(15) < 3
    assert joint_freedom([arm.astype(float), (~arm).astype(float)], None) == pytest.approx(welch)
    assert joint_freedom([arm / 3, (~arm) / 12.0], None) == pytest.approx(welch)  # only ratios within an arm matter
    first, second = (stats.zscore(rng.normal(size=n), ddof=1) for n in (4, 9))
    groups = np.repeat(np.arange(13), 5)
    found = joint_freedom([(groups < 4).astype(float), (groups >= 4).astype(float)], groups)
    assert found == pytest.approx(stats.ttest_ind(first, second, equal_var=False).df)


@pytest.mark.parametrize(("n", "clustered", "df"), [(30, False, 29.0), (31, False, np.inf), (400, True, 399.0)])
def test_independent_rows_take_the_normal_law_from_thirty_degrees_of_freedom_on(n, clustered, df):
    assert freedom(np.ones(n), np.arange(n) if clustered else None) == pytest.approx(df)


def test_rows_of_next_to_no_weight_leave_no_degrees_of_freedom():
    """Four rows of either arm count: Welch's 3 + 3."""
    rng, rows = np.random.default_rng(7), np.arange(40)
    model = SensitivityBounds(law="marginal", cv=2, random_state=0)
    model.fit(None, rng.normal(size=40), treatment=rows % 2, sample_weight=np.where(rows < 8, 1.0, 1e-9))
    with pytest.warns(DegenerateInputWarning, match="leave 6 degrees of freedom"):
        line = model.average_bounds("ate", odds_ratio=1.0, target="set").table.iloc[0]
    assert (line.lower - line.ci_lower) / line.se_lower == pytest.approx(stats.t.ppf(0.975, 6), rel=1e-6)
