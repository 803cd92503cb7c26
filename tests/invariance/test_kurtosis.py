"""Certificates from rows without bound, on a declared kurtosis: the inequality, passes, refutations, words."""

import warnings

import numpy as np
import pytest
from scipy import stats

from causalinv import Moments
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance import certify
from causalinv.invariance.rules._kurtosis import allowed_excess, refuted, rows_needed

RULE = (np.eye(1), [0.0], 0.0)
LAWS = {
    "lognormal": (lambda g, n: (np.minimum(g.lognormal(size=n), 18.3) - 1.6320) / 2.0114, 22.3),
    "t5": (lambda g, n: g.standard_t(5, size=n) * np.sqrt(0.6), 9.0),
    "rare binary": (lambda g, n: ((g.uniform(size=n) < 0.05) - 0.05) / np.sqrt(0.0475), 20.0),
}


def test_the_spread_of_a_bet_is_bounded_by_the_kurtosis():
    """Laws on eight points: the standard deviation of D against the bound, r* and g orthogonal."""
    rng, closest = np.random.default_rng(0), 0.0
    for _ in range(300):
        p = rng.dirichlet(np.full(8, 0.3))
        own, g = rng.normal(size=(2, 8)) * rng.exponential(size=(2, 8))
        g = g - own * (p @ (own * g)) / (p @ own**2)
        own = own / np.sqrt(p @ own**2)
        g *= np.sqrt(rng.uniform(0.01, 2.0) / (p @ g**2))
        x, less = p @ g**2, rng.uniform(0, 0.3)
        kurtosis = max(p @ own**4, p @ g**4 / x**2)
        D = (own + g) ** 2 - (1 + less) * own**2
        assert p @ D == pytest.approx(x - less)
        bound = np.sqrt(kurtosis - 1) * (x + less) + 2 * np.sqrt(kurtosis * x)
        assert np.sqrt(p @ D**2 - (p @ D) ** 2) <= bound * (1 + 1e-9)
        closest = max(closest, np.sqrt(p @ D**2 - (p @ D) ** 2) / bound)
    assert closest > 0.5


@pytest.mark.parametrize("kurtosis", [1.0, 3.0, 25.0])
def test_what_may_be_seen_makes_cantellis_bound_the_miss_rate(kurtosis):
    eps, miss, n = 0.15, 0.05, 30_000
    less = allowed_excess(n, eps, kurtosis, miss)
    assert 0 < less < eps
    x = eps * np.geomspace(1, 1e6, 2000)
    spread = np.sqrt(kurtosis - 1) * (x + less) + 2 * np.sqrt(kurtosis * x)
    chance = 1 / (1 + n * (x - less) ** 2 / spread**2)
    assert chance[0] == pytest.approx(miss)
    assert chance.max() == chance[0]
    needed = rows_needed(2, eps, kurtosis, miss)
    assert allowed_excess(needed, eps, kurtosis, miss) >= 4 / needed
    assert allowed_excess(0.98 * needed, eps, kurtosis, miss) < 4 / (0.98 * needed)
    assert rows_needed(2, 0.0, kurtosis, miss) == np.inf


@pytest.mark.parametrize("law", list(LAWS))
def test_above_the_tolerance_few_pass_and_with_enough_rows_the_invariant_do(law):
    draw, kurtosis = LAWS[law]
    eps, n, m = 0.4, 20_000, 40
    assert rows_needed(2, eps, kurtosis, 0.05) < n
    e, rng = np.repeat(np.arange(m), n), np.random.default_rng(1)
    for gap, wanted in ((1.1 * eps, 0), (0.0, m)):
        x = draw(rng, m * n)
        y = np.sqrt(gap) * x + draw(rng, m * n)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            held = certify(RULE, x[:, None], y, environments=e, eps=eps, method="kurtosis", kurtosis=kurtosis)
        assert ["looks larger than that" in str(each.message) for each in said] == [True] * (gap > 0)
        assert abs(m - held.violations - wanted) <= stats.binom.isf(1e-4, m, 0.05)


def test_rows_refute_a_kurtosis_that_is_too_small_and_seldom_one_that_holds():
    rng, level = np.random.default_rng(2), 0.05
    assert sum(refuted(rng.standard_t(5, size=2000), 9.0, level) > 1 for _ in range(300)) <= 15
    assert sum(refuted(rng.standard_t(5, size=30_000), 3.0, level) > 1 for _ in range(20)) >= 18
    # By hand.
    values, n, L = rng.normal(size=500) ** 3, 500, np.log(4 / level)
    means = np.geomspace(1e-2, 1e4, 200_001)
    kept = [m for m in means[::1000] if np.mean(-np.expm1(-(values**2) / (6 * m))) > 0.125 - np.sqrt(L / (6 * n))]
    top = min(np.mean(values**2) / (1 - np.sqrt(6 * L / n)), max(kept))
    cut = np.minimum(values**4, 3 * top**2 * n / (4 * L))
    wanted = np.mean(cut) / (3 * top**2 * (1 + np.sqrt(0.5) + 1 / 12))
    assert refuted(values, 3.0, level) == pytest.approx(wanted, rel=0.2)
    one_is_wild = np.r_[rng.normal(size=4000), 100.0]
    assert refuted(one_is_wild, 3.0, level) > 1
    assert refuted(1e100 * values, 3.0, level) == pytest.approx(refuted(values, 3.0, level), rel=1e-9)
    assert refuted(values[:10], 3.0, level) == 0.0  # too few to say


def test_the_certificate_and_its_refusals():
    rng = np.random.default_rng(3)
    e = np.repeat(["a", "b", "c", "d"], 4000)
    x = 1e9 + rng.normal(size=16_000)
    y = (x - 1e9) + rng.normal(size=16_000)
    y[e == "d"] += 0.5  # an excess of .25 over a risk of 1
    rule, asked = (np.eye(1), [1.0], -1e9), {"environments": e, "eps": 0.2, "method": "kurtosis"}
    held = certify(rule, x[:, None], y, kurtosis=3.0, **asked)
    assert (held.violations, held.failed) == (1, 0)
    two = certify(rule, x[:, None], y, environments=e, eps=0.2, method="two_level")
    assert held.violation_upper == two.violation_upper  # the same numbers
    assert dict(held.details)["kurtosis"] == 3.0
    assert 1000 < dict(held.details)["rows_needed"] < 2000
    text = " ".join(held.explain().split())
    assert "kurtosis above 3 in any environment (declared by you)" in text
    assert "3 shown to keep it, 1 not shown either way, 0 failed. Each is judged by its own rows" in text
    with pytest.raises(ValueError, match="needs kurtosis=.*Bahadur"):
        certify(rule, x[:, None], y, **asked)
    with pytest.raises(ValueError, match=r"kurtosis must be .*>= 1.*got 0\.5"):
        certify(rule, x[:, None], y, kurtosis=0.5, **asked)
    with pytest.raises(ValueError, match="needs the rows"):
        certify(rule, Moments.from_rows(x=x, y=y, environments=e), eps=0.2, method="kurtosis", kurtosis=3.0)
    with pytest.raises(ValueError, match="kurtosis is not proved for metric='excess'"):
        certify(rule, x[:, None], y, kurtosis=3.0, metric="excess", **asked)
    heavy = np.where(e == "b", np.exp(1.5 * y), y)
    with pytest.raises(ValueError, match="kurtosis=3 is refuted: in environment 'b' the rows of the rule's residual"):
        certify(rule, x[:, None], heavy, kurtosis=3.0, **asked)
    wild = np.where(e == "c", x + np.sinh(2 * rng.normal(size=len(x))), x)
    with pytest.raises(ValueError, match="in environment 'c' the rows of feature 0 .less its mean elsewhere"):
        certify((np.eye(1), [1e-9], 0.0), wild[:, None], y, kurtosis=3.0, **asked)
    with pytest.warns(DegenerateInputWarning, match="kurtosis of at most 40, and no excess at all, about .* rows"):
        none = certify(rule, x[:, None], y, kurtosis=40.0, **asked)
    assert none.violations == 4


def test_refutations_look_at_functions_that_the_rows_did_not_choose(monkeypatch):
    """The residual of the fixed rule, and each column less its mean in the other environments."""
    rng, seen, levels = np.random.default_rng(4), [], []

    def asked(values, kurtosis, level):
        seen.append(values)
        levels.append(level)
        return 0.0

    monkeypatch.setattr("causalinv.invariance.rules._kurtosis.refuted", asked)
    X, y, e = rng.normal(size=(90, 3)) + 1e6, rng.normal(size=90), np.repeat([0, 1, 2], [20, 30, 40])
    with pytest.warns(DegenerateInputWarning):
        certify((np.eye(3)[[0, 2]], [1.0, 2.0], 5.0), X, y, environments=e, eps=0.1, method="kurtosis", kurtosis=3.0)
    wanted = []
    for k in range(3):
        columns = np.column_stack([X[:, [0, 2]], y])
        less = columns[e == k] - columns[e != k].mean(axis=0)
        wanted += [(y - X @ [1.0, 0.0, 2.0] - 5.0)[e == k], *less.T]
    assert len(seen) == len(wanted)
    assert sum(levels) == pytest.approx(0.01)  # together: a declared kurtosis that holds is seldom refuted
    for each, by_hand in zip(seen, wanted, strict=True):
        np.testing.assert_allclose(each, by_hand, rtol=1e-6, atol=1e-8)


def test_an_exact_rule_of_few_rows_shows_nothing():
    e = np.repeat([0, 1], 3)
    x = np.arange(6.0)
    with pytest.warns(DegenerateInputWarning, match="No environment is shown"):
        held = certify((np.eye(1), [1.0], 0.0), x[:, None], x, environments=e, eps=0.2, method="kurtosis", kurtosis=3.0)
    assert held.violation_upper == 1.0
