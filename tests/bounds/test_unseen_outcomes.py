"""Intervals where the outcomes of an arm are all one number: judged by scipy's exact limits and a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binom, binomtest, chi2, norm
from sklearn.linear_model import LogisticRegression

from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds, _means
from causalinv.bounds._unseen import Unlike, beyond, more_of_few, most_unseen
from causalinv.exceptions import DegenerateInputWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::causalinv.exceptions.DegenerateInputWarning", "ignore::causalinv.exceptions.OverlapWarning"
)
N = 80
A = np.arange(N) % 2
X = np.random.default_rng(0).normal(size=(N, 2))
EVENTS = np.where(A == 1, 0.0, np.arange(N) % 3 == 0)
HALF = np.where(
    A == 1, 0.0, np.arange(N) % 4 == 0
)  # of the others: where an event is as rare as not, errors are normal


def exact(n, level=0.95):
    """Clopper and Pearson's upper limit of what did not happen in n trials."""
    return binomtest(0, n).proportion_ci(level, method="exact").high


def fit(X=None, y=EVENTS, treatment=A, **kwargs):
    fitted = {key: kwargs.pop(key) for key in ("groups", "sample_weight") if key in kwargs}
    return SensitivityBounds(random_state=0, law="knn" if X is not None else "auto", **kwargs).fit(
        X, y, treatment=treatment, **fitted
    )


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("n", [2, 30, 300])
def test_equal_shares_have_the_exact_limit(n, level):
    assert most_unseen(np.full(n, 1.0 / n), None, level) == pytest.approx(exact(n, level), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_unequal_shares_are_taken_at_their_worst(seed):
    """The same problem by SLSQP, in -log(1 - p)."""
    share = np.random.default_rng(seed).lognormal(sigma=1.5, size=7)
    allowed = np.log(2.0 / 0.05)
    best = max(
        -minimize(
            lambda s: -share @ -np.expm1(-s),
            start * allowed,
            bounds=[(0.0, None)] * 7,
            constraints={"type": "ineq", "fun": lambda s: allowed - s.sum()},
            method="SLSQP",
            options={"ftol": 1e-12},
        ).fun
        for start in (np.full(7, 1 / 7), share / share.sum())
    )
    assert most_unseen(share, np.arange(7), 0.95) == pytest.approx(best, rel=1e-6)
    limit = chi2.isf(0.025, 2.0) / 2.0 * np.average(share, weights=share**2)  # of a Poisson count of 0
    assert most_unseen(share, None, 0.95) == pytest.approx(min(best, limit), rel=1e-6)


def test_no_event_limits_no_less_than_one():
    """Of 2,000 rows under a logistic propensity the limit of no event was .0148, of one .0091."""
    x = np.random.default_rng(0).normal(size=2000)
    share = 1.0 / expit(x[np.random.default_rng(1).random(2000) < expit(x)]) / 2000.0
    limits = []
    for events in (0, 1, 2):
        seen = np.argsort(np.argsort(np.abs(share - np.median(share)))) < events
        reach = 1.959963984540054 * np.sqrt((share[seen] ** 2).sum())
        limits.append(share[seen].sum() + reach + more_of_few(share, seen, None, 0.95, reach))
    assert limits == sorted(limits)
    assert limits[0] == most_unseen(share, None, 0.95) < 0.6 * most_unseen(share, np.arange(len(share)), 0.95)


def test_without_covariates_and_confounding_the_interval_is_the_exact_one():
    bounds = fit().average_bounds("mean", odds_ratio=1.0)
    assert (bounds.lower, bounds.upper) == (0.0, 0.0)
    assert tuple(bounds.conf_int) == (0.0, pytest.approx(exact(40), rel=1e-9))
    assert bounds.moved == (True,)
    assert any("The interval reaches" in note for note in bounds.notes)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.25])
def test_both_sides_reach_as_far_as_their_limits_allow(value):
    y = np.where(A == 1, value, 0.5 * EVENTS)
    low, high = fit(y=y, outcome_support=(0.0, 1.0)).average_bounds("mean", odds_ratio=1.0).conf_int
    assert low == pytest.approx(value - value * exact(40))
    assert high == pytest.approx(value + (1.0 - value) * exact(40))


def test_clusters_are_the_units():
    """Ten clusters of eight, of which four rows each are in the arm: what did not happen did not in ten trials."""
    high = fit(groups=np.arange(N) // 8).average_bounds("mean", odds_ratio=1.0).conf_int[1]
    assert high == pytest.approx(exact(10), rel=1e-9)


def test_only_ratios_of_weights_matter_and_unequal_ones_widen():
    weight = np.where(np.arange(N) < 20, 30.0, 1.0)
    highs = [
        fit(sample_weight=w).average_bounds("mean", odds_ratio=1.0).conf_int[1]
        for w in (np.ones(N), weight, 7.0 * weight)
    ]
    assert highs[1] == pytest.approx(highs[2])
    share = weight[A == 1] / weight[A == 1].sum()  # ten rows hold ten elevenths
    assert highs[0] == pytest.approx(exact(40))
    assert highs[1] == pytest.approx(exact(10) * share[:10].sum(), rel=0.1)  # propensities are out of fold


@pytest.mark.parametrize("estimand", ["mean", "ate", "att", "overlap", "policy"])
def test_intervals_nest_in_level_and_odds_ratio(estimand):
    model = fit(X)
    asked = {"policy": lambda X: np.full(len(X), 0.5)} if estimand == "policy" else {}
    found = {
        (level, ratio): model.average_bounds(estimand, odds_ratio=ratio, confidence_level=level, **asked).conf_int
        for level in (0.8, 0.95, 0.99)
        for ratio in (1.0, 1.33, 2.0, 9.0)
    }
    for (level, ratio), inner in found.items():
        for (more, larger), outer in found.items():
            if more >= level and larger >= ratio:
                assert outer[0] <= inner[0] + 1e-12
                assert outer[1] >= inner[1] - 1e-12
    narrow, wide = found[0.95, 1.0], found[0.95, 2.0]
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def test_under_an_odds_ratio_the_limit_is_that_of_the_worst_law():
    """One half took the arm; of the others up to 2 p have an event if it has a share p: (p + 2 p) / 2."""
    y = np.where(A == 1, 0.0, EVENTS)
    high = fit(y=y).average_bounds("mean", odds_ratio=2.0).conf_int[1]
    assert high == pytest.approx((1.0 + 2.0) / 2.0 * exact(40), rel=1e-3)  # the propensity is estimated


def test_effects_move_with_the_arm_that_has_no_event():
    """As control it moves the lower end of the effect, as the arm the upper one."""
    as_arm, as_control = (
        fit(y=HALF, treatment=treatment).average_bounds("ate", odds_ratio=1.0, target="set").table.iloc[0]
        for treatment in (A, 1 - A)
    )
    for inside, outside in (
        (as_arm.lower - as_arm.ci_lower, as_arm.ci_upper - as_arm.upper),
        (as_control.ci_upper - as_control.upper, as_control.lower - as_control.ci_lower),
    ):
        assert outside - inside == pytest.approx(exact(40), rel=1e-3)  # errors are those of the other arm


def test_one_group_without_events_is_wide_by_itself():
    by = np.where(np.arange(N) < 40, "none", "some")
    y = np.where((np.arange(N) % 4 == 1) & (np.arange(N) >= 40), 1.0, EVENTS)
    found = fit(X, y).average_bounds("mean", odds_ratio=1.0, by=by, target="set")
    line = found.table.loc["none"]
    assert line.ci_upper - line.upper > 0.5 * exact(20)
    assert found.moved[0] is True


def test_a_side_without_limit_is_said():
    y = np.where(A == 1, 0.0, 3.0 * X[:, 0])
    unknown = fit(y=y).average_bounds("mean", odds_ratio=1.0)
    assert tuple(unknown.conf_int) == (0.0, 0.0)
    assert any("has no limit" in note for note in unknown.notes)
    half = fit(y=np.abs(y), outcome_support=(0.0, np.inf)).average_bounds("mean", odds_ratio=1.0)
    assert any("has no limit" in note for note in half.notes)


def test_curves_have_bands_where_no_event_was_seen():
    model = fit(X)
    with_band = model.conditional_bounds(0, odds_ratio=1.0, estimand="mean").table
    assert (with_band.upper.abs() < 1e-12).all()
    assert (with_band.ci_upper > exact(40)).all()
    assert (with_band.ci_lower == 0).all()
    more = model.conditional_bounds(0, odds_ratio=2.0, estimand="mean").table
    assert (more.ci_upper >= with_band.ci_upper).all()


def test_balls_hold_what_manskis_set_holds():
    model = FDivergenceBounds(random_state=0, law="knn", propensity=LogisticRegression()).fit(X, EVENTS, treatment=A)
    bounds = model.average_bounds("mean", target="set").table.iloc[0]
    assert bounds.ci_upper - 1.9599 * bounds.se_upper > bounds.upper + 0.9 * exact(40) / 2.0


def test_treated_without_events_among_controls():
    """As many took either arm: a share p of the controls is up to 2 p of the treated, had they been controls."""
    line = fit(y=HALF, treatment=1 - A).average_bounds("att", odds_ratio=2.0, target="set").table.iloc[0]
    errors = line.ci_upper - line.upper, line.lower - line.ci_lower
    assert errors[1] - errors[0] == pytest.approx(2.0 * exact(40), rel=1e-3)


# -- few unlike outcomes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [30, 100, 300])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
def test_few_events_have_nearly_the_exact_limit(k, n):
    """The normal limit was 2.97 of n rows for one event, below that of none, 3.69; the exact one is 5.57."""
    y = np.where(np.arange(2 * n) % 2 == 1, np.arange(2 * n) // 2 < k, np.arange(2 * n) % 4 == 0)
    treatment = np.arange(2 * n) % 2
    high = fit(y=1.0 * y, treatment=treatment).average_bounds("mean", odds_ratio=1.0, target="set").conf_int[1]
    limit = binomtest(k, n).proportion_ci(0.95, method="exact").high
    assert 0.99 * limit <= high <= 1.07 * limit  # of 30 rows Student's quantile is more than the normal one


def test_limit_of_unequal_shares_is_fay_and_feuers_with_a_mean_share():
    """As they write it, with a quantile of chi squared; less the normal law's; fading where events are common."""
    share, seen = np.random.default_rng(0).lognormal(size=50), np.arange(50) % 10 == 0
    y, v = share[seen].sum(), (share[seen] ** 2).sum()
    most = np.average(share, weights=share**2)
    shape = 2.0 * (y + most) ** 2 / (v + most**2)
    limit = (v + most**2) / (2.0 * (y + most)) * chi2.isf(0.025, shape)
    fades = 1.0 - 2.0 * y / share.sum()
    expected = fades * (limit - y - 1.959963984540054 * np.sqrt(v))
    assert more_of_few(share, seen, None, 0.95, 0.0) == pytest.approx(expected)
    assert more_of_few(share, ~seen, None, 0.95, 0.0) == 0.0
    for unit in (1e-200, 1e160):  # squares of these are no floats
        assert more_of_few(unit * share, seen, None, 0.95, 0.0) == pytest.approx(unit * expected)


def test_rare_events_of_unequal_weight_are_covered():
    """Weights up to 30 : 1, about one event in a sample: 975 of 1,000 limits hold the weighted mean of chances."""
    rng = np.random.default_rng(1)
    share = np.exp(rng.uniform(0.0, np.log(30.0), 100)) / 100.0
    for chance in (0.01, 0.03):
        hits = []
        for seen in rng.random((1000, 100)) < chance:
            error = 1.959963984540054 * np.sqrt((share[seen] ** 2).sum())
            hits.append(share[seen].sum() + error + more_of_few(share, seen, None, 0.95, error) >= chance * share.sum())
        assert np.mean(hits) >= 0.975 - 3.0 * np.sqrt(0.025 * 0.975 / 1000)


@pytest.mark.parametrize(("chance", "slope", "most"), [(0.01, 0.0, 2.4), (0.03, 0.0, 1.6), (0.03, -1.0, 1.6)])
def test_rare_events_under_a_logistic_propensity(chance, slope, most):
    """Shares are inverse propensities, events independent of these or where they are large; normal limits hold 88-92%.

    Fay and Feuer's own limit, with the largest share, was 2.4 to 5.6 times as far from the estimate as the normal one.
    """
    rng, n = np.random.default_rng(0), 1000
    x = rng.normal(size=(1000, n))
    e, odds = expit(x), np.exp(slope * x - slope**2 / 2.0)
    inside = rng.random(x.shape) < e
    events = inside & (rng.random(x.shape) < np.minimum(chance * odds, 1.0))
    hits, normal, far = [], [], []
    for took, had, propensity in zip(inside, events, e, strict=True):
        share, seen = 1.0 / propensity[took] / n, had[took]
        if not seen.any():
            continue
        reach = 1.959963984540054 * np.sqrt((share[seen] ** 2).sum())
        more = more_of_few(share, seen, None, 0.95, reach)
        far.append(1.0 + more / reach)
        hits.append(share[seen].sum() + reach + more >= chance)
        normal.append(share[seen].sum() + reach >= chance)
    assert np.mean(hits) >= 0.975 - 0.015  # s.e. 0.005, and the law of a weighted sum is not quite a gamma law
    assert np.mean(normal) < 0.93
    assert np.mean(far) < most


@pytest.mark.parametrize("tau", [0.02, 0.1, 0.5, 0.9, 0.95, 0.98, 0.99])
def test_outer_quantiles_reach_as_far_as_binomial_tests(tau):
    """Of 100 rows the largest lies below the 99% quantile in 37% of samples: it is no limit of its interval."""
    n, ranks = 100, np.random.default_rng(0).permutation(100)
    treatment = np.arange(2 * n) % 2
    y = np.where(treatment == 1, ranks[np.arange(2 * n) // 2], 50.0)
    model = QuantileBounds(random_state=0).fit(None, y, treatment=treatment)
    low, high = model.population_bounds(tau=tau, odds_ratio=1.0).conf_int
    first, last = int(binom.ppf(0.025, n, tau)) - 1, int(binom.isf(0.025, n, tau))  # positions of the exact limits
    assert (np.isinf(low), np.isinf(high)) == (first < 0, last >= n)
    assert np.isinf(low) or first - 3 <= low <= first + 1
    assert np.isinf(high) or last - 1 <= high <= last + 3


@pytest.mark.parametrize("tau", [0.01, 0.02, 0.05, 0.5, 0.95, 0.97])
def test_outer_quantiles_of_nearly_equal_weights_reach_as_far_as_exact_ones(tau):
    """Of 100 rows of unequal weights (.3 to 3) 7% of intervals of outer quantiles missed an end, of nominal 2.5%."""
    n, ranks = 300, np.random.default_rng(0).permutation(300)
    treatment = (np.arange(n) >= 4) * 1
    weight = 1.0 + 1e-6 * np.arange(n) / n
    exact_, weighted = (
        QuantileBounds(cv=2, random_state=0)
        .fit(None, ranks, treatment=treatment, sample_weight=w)
        .population_bounds(tau=tau)
        .conf_int
        for w in (None, weight)
    )
    for sign, one, other in zip((-1, 1), exact_, weighted, strict=True):
        assert np.isinf(one) == np.isinf(other)
        assert np.isinf(one) or -1 <= sign * (other - one) <= 4


def test_outer_quantiles_under_an_odds_ratio_reach_for_the_worst_law():
    """None of 100 above the largest: up to 3.6%, of the others up to twice that, so up to 5.4% of all rows."""
    treatment = np.arange(200) % 2
    y = np.where(treatment == 1, np.random.default_rng(0).permutation(100)[np.arange(200) // 2], 50.0)
    model = QuantileBounds(random_state=0).fit(None, y, treatment=treatment)
    assert 1.5 * exact(100) == pytest.approx(0.054, abs=0.001)
    limited = {tau: np.isfinite(model.population_bounds(tau=tau, odds_ratio=2.0).conf_int[1]) for tau in (0.92, 0.95)}
    assert limited == {0.92: True, 0.95: False}
    assert np.isfinite(model.population_bounds(tau=0.95, odds_ratio=1.0).conf_int[1])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_manskis_ends_are_counts(k):
    """Of 100 rows k took no arm but the last, or had an event: the upper end is the chance of that."""
    y, treatment = np.zeros(100), np.ones(100, int)
    treatment[0], y[1:k] = 0, 1.0
    low, high = ManskiBounds().fit(None, y, treatment=treatment).average_bounds("mean", target="set").conf_int
    limit = binomtest(k, 100).proportion_ci(0.95, method="exact").high
    assert 0.99 * limit <= high <= 1.03 * limit
    assert low == 0.0
    mirror = ManskiBounds().fit(None, 1.0 - y, treatment=treatment).average_bounds("mean", target="set").conf_int
    assert tuple(mirror) == (pytest.approx(1.0 - high), pytest.approx(1.0))


def test_manskis_ends_among_rows_of_one_arm_are_no_points():
    treatment = np.arange(100) % 2
    model = ManskiBounds().fit(None, np.zeros(100), treatment=treatment)
    found = model.average_bounds("mean", where=treatment == 1)
    assert (found.lower, found.upper) == (0.0, 0.0)
    assert tuple(found.conf_int) == (0.0, pytest.approx(exact(50)))


def test_two_rare_arms_in_clusters_widen_with_the_level():
    """What each arm lacked was counted beside an error that both share: the sum fell as the level, and error, grew."""
    groups = np.arange(40) // 4
    arms = [Unlike(k, np.arange(20) + 20 * k, np.arange(20) == 0, 0.0, 1.0) for k in (0, 1)]
    pulls = [np.full(20, 0.05), np.full(20, -0.05)]
    arms[1] = Unlike(1, arms[1].own, arms[1].seen, 1.0, 0.0)
    reach = []
    for level in np.linspace(0.3, 0.999, 60):
        error = float(norm.ppf(0.5 + level / 2)) * 0.02
        few, none = beyond(arms, pulls, groups, level, (error, error))
        reach.append([error + few[0], error + few[1]])
        assert none == (0.0, 0.0)
    assert (np.diff(reach, axis=0) >= 0).all()
    most = 2 * (1 - 2 / 20) * most_unseen(np.full(20, 0.05), groups[:20], 0.95)
    error = 1.96 * 0.02
    assert beyond(arms, pulls, groups, 0.95, (error, error))[0][1] == pytest.approx(most - error)


def test_few_outcomes_of_any_size_are_said():
    """Of 100 costs 95 are 0: a normal limit of 97.5% held the mean of exponential ones in 81% of samples."""
    y = np.where((A == 1) & (np.arange(N) % 20 == 1), 1.0 + np.arange(N), EVENTS)
    with pytest.warns(DegenerateInputWarning, match="only 4 of 40 outcomes of arm 1 are not 0"):
        found = fit(y=y).average_bounds("mean", odds_ratio=1.0)
    assert any("cover less" in note for note in found.notes)
    events = fit(y=np.where(A == 1, np.arange(N) % 20 == 1, EVENTS)).average_bounds("mean", odds_ratio=1.0)
    assert not any("cover less" in note for note in events.notes)  # of two possible ones the interval knows
    with pytest.warns(DegenerateInputWarning, match="'late': only 2 of 20 outcomes"):
        fit(y=y).average_bounds("mean", odds_ratio=1.0, by=np.where(np.arange(N) < 40, "early", "late"))


def test_of_several_divisions_the_one_that_could_hide_most_counts(monkeypatch):
    seen = []

    def watched(*args):
        seen.append(np.array(beyond(*args)))
        return seen[-1]

    monkeypatch.setattr(_means, "beyond", watched)
    model = fit(X, n_repeats=4, cv=2)
    contrast = model._contrast({"estimand": "ate"})
    found = model._beyond(contrast, (0.5, 2.0), 0.95, (0.1, 0.1))
    assert len(seen) == 4
    np.testing.assert_array_equal(found, np.max(seen, axis=0))
    assert not np.array_equal(found, seen[-1])
