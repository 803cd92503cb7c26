"""Quantiles over all rows, and effects on them, when confounding is limited."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.dummy import DummyClassifier

from causalinv.bounds import QuantileBounds
from causalinv.bounds._arm_law import ArmLaw
from causalinv.bounds._nesting import Ladder
from causalinv.bounds._population_quantiles import CdfBounds, indicator_scores
from causalinv.bounds._scores import cap_scores

EASY = {"law": "marginal", "propensity": DummyClassifier(), "cv": 2, "random_state": 0}


def truth(tau, e, odds, sign):
    """Quantile of e N(0,1) + (1 - e) R with the least (+1) or largest (-1) cdf of R under the odds ratio."""

    def cdf(q):
        below = norm.cdf(q)
        least, most = max(below / odds, 1 - odds * (1 - below)), min(odds * below, 1 - (1 - below) / odds)
        return e * below + (1 - e) * (least if sign > 0 else most) - tau

    return brentq(cdf, -9, 9)


@pytest.fixture(scope="module")
def marginal():
    r = np.random.default_rng(0)
    a = (r.random(2000) < 0.6).astype(int)
    return QuantileBounds(**EASY).fit(np.zeros((2000, 1)), r.normal(size=2000) + 2.0 * (1 - a), treatment=a)


@pytest.mark.parametrize("odds", [1.0, 3.0])
def test_ends_are_the_closed_form(marginal, odds):
    taus = [0.2, 0.5, 0.9]
    found = marginal.population_bounds(arm=1, tau=taus, odds_ratio=odds)
    exact = np.array([[truth(tau, 0.6, odds, sign) for sign in (-1, 1)] for tau in taus])
    np.testing.assert_allclose(np.column_stack([found.lower, found.upper]), exact, atol=0.12)
    assert found.table.index.tolist() == taus
    effect = marginal.effect_bounds(odds_ratio=odds, tau=taus)
    other = np.array([[2 + truth(tau, 0.4, odds, sign) for sign in (-1, 1)] for tau in taus])
    np.testing.assert_allclose(effect.lower, exact[:, 0] - other[:, 1], atol=0.2)
    np.testing.assert_allclose(effect.upper, exact[:, 1] - other[:, 0], atol=0.2)
    assert (effect.conf_int[:, 0] <= effect.lower).all()


def test_bands_hold_the_rows_and_everything_nests(marginal):
    taus = [0.3, 0.5, 0.7]
    each = [marginal.population_bounds(tau=taus, odds_ratio=odds).conf_int for odds in (1.0, 1.55, 3.0)]
    for small, large in pairwise(each):
        assert (large[:, 0] <= small[:, 0]).all()
        assert (small[:, 1] <= large[:, 1]).all()
    band = marginal.population_bounds(tau=taus, odds_ratio=1.55, target="band").conf_int
    assert (band[:, 0] <= each[1][:, 0]).all()
    assert (band[:, 1] >= each[1][:, 1]).all()
    assert (band[:, 1] > each[1][:, 1]).any()
    plain = marginal.population_bounds(tau=taus)
    limited = marginal.population_bounds(tau=taus, odds_ratio=50.0)
    assert (limited.lower >= plain.lower).all()
    assert (limited.upper <= plain.upper).all()


def test_intervals_of_an_effect_are_made_of_those_of_the_arms_at_half_the_error():
    r = np.random.default_rng(1)
    model = QuantileBounds(**EASY).fit(np.zeros((120, 1)), r.normal(size=120), treatment=np.arange(120) % 2)
    effect = model.effect_bounds(odds_ratio=2.0, confidence_level=0.9).conf_int
    one, zero = (model.population_bounds(arm=a, odds_ratio=2.0, confidence_level=0.95).conf_int for a in (1, 0))
    assert effect == pytest.approx((one[0] - zero[1], one[1] - zero[0]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "rounded"])
def test_intervals_cover_the_population_ends(kind):
    """25 data sets: two-sided 95% for both ends at once, each end missed by 2.5%."""
    n, e, odds, tau, hit = 300, 0.6, 2.0, 0.5, []
    lower, upper = truth(tau, e, odds, -1), truth(tau, e, odds, 1)
    for seed in range(25):
        r = np.random.default_rng(seed)
        a, y = (r.random(n) < e).astype(int), r.normal(size=n)
        y = np.round(y, 1) if kind == "rounded" else y
        model = QuantileBounds(tau=tau, **EASY).fit(np.zeros((n, 1)), y, treatment=a)
        low, high = model.population_bounds(odds_ratio=odds).conf_int
        slack = 0.05 if kind == "rounded" else 0.0
        hit.append(low <= lower + slack and upper - slack <= high)
    assert np.mean(hit) >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 25)


def test_scores_of_an_indicator_are_those_of_its_law():
    """The closed form against `cap_scores` with the two-point law."""
    r = np.random.default_rng(0)
    p, e, inside, below = r.random(50), r.uniform(0.1, 0.9, 50), r.random(50) < 0.5, (r.random(50) < 0.5).astype(float)
    law = ArmLaw(np.array([0.0, 1.0]), np.column_stack([1 - p, p]))
    for cap in ((1.0, 1.0), (0.5, 2.0), (0.0, 3.0), (0.1, 10.0)):
        own = indicator_scores(below, inside, e, p, cap)
        np.testing.assert_allclose(own, cap_scores(below, inside, e, law, cap), atol=1e-12)


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda m: m.population_bounds(tau=[0.5, 1.0]), "tau must be below 1"),
        (lambda m: m.population_bounds(target="parameter"), "target"),
        (lambda m: m.effect_bounds(odds_ratio=2.0, arm=1, control=1), "must differ"),
        (lambda m: m.effect_bounds(odds_ratio=0.5), "odds_ratio must be a number >= 1"),
    ],
)
def test_mistakes_are_named(marginal, ask, match):
    with pytest.raises(ValueError, match=match):
        ask(marginal)


def test_intervals_under_an_odds_ratio_are_the_next_rungs_and_nest():
    r = np.random.default_rng(5)
    x, t = r.normal(size=(200, 1)), np.arange(200) % 2
    y = x[:, 0] + t + r.normal(size=200)
    model = QuantileBounds(law="marginal", cv=2, random_state=0).fit(x, y, treatment=t)
    found = [model.population_bounds(odds_ratio=odds) for odds in (1.02, 1.06, 1.1, 1.12, 1.22, 1.25, 3.0)]
    assert [each.conf_int.tolist() for each in found[:2]] == [found[2].conf_int.tolist()] * 2
    assert found[4].conf_int.tolist() == found[5].conf_int.tolist()
    for small, large in pairwise(found):
        assert large.conf_int[0] <= small.conf_int[0] <= small.conf_int[1] <= large.conf_int[1]
        assert large.lower <= small.lower <= small.upper <= large.upper


def test_ends_under_an_odds_ratio_lie_between_those_of_the_rungs():
    """Least and largest probability: the asked ratio's, those of the rungs 1, 1.1 and 1.2, of steps 1.11 to 1.13."""
    bounds = object.__new__(CdfBounds)
    bounds.ladder, bounds._of_rungs, bounds._known = Ladder.to(1.13), slice(1, 4), {}
    assert bounds.ladder.steps.tolist() == [1.11, 1.12, 1.13]
    rungs = [[0.5, 0.5, 0, 0], [0.4, 0.6, 0, 0], [0.2, 0.8, 0, 0]]
    for steps, expected in (
        ((0.38, 0.36, 0.3), 0.3),
        ((0.38, 0.25, 0.3), 0.25),  # no more than at a smaller ratio
        ((0.45, 0.45, 0.45), 0.4),  # no more than at the rung before
        ((0.38, 0.36, 0.1), 0.2),  # no less than at the next
    ):
        own = [[each, 1 - each, 0, 0] for each in (0.99, *steps)]
        bounds._known[0.0] = np.array([own[0], *rungs, *own[1:]])
        np.testing.assert_allclose(bounds._between(0.0), (expected, 1 - expected))
