"""Certificates: published-style tables, exact inverses, exceedance by simulation, and every refusal."""

import re
import warnings
from math import comb, log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.cross_decomposition import PLSRegression
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from causalinv import InvariantCausalPrediction, InvariantSubsetSelector, IVLikeRegression, Moments
from causalinv.exceptions import DegenerateInputWarning, FamilyWarning, TargetInterventionWarning
from causalinv.invariance import (
    HierarchicalConformalRegressor,
    InvariantRepresentation,
    certify,
    expected_violation,
    in_moment_hull,
    invariance_gaps,
    next_environment_risk,
    plan_interventions,
    required_interventions,
    validity_table,
    vc_dimension,
    violation_bound,
)
from causalinv.invariance.certificates._declared import suspect_target
from causalinv.invariance.certificates._method import Method, Numbers
from causalinv.invariance.certificates._registry import METHODS as METHOD_CLASSES
from causalinv.invariance.certificates._registry import methods_page
from causalinv.invariance.rules._gaps import represent
from causalinv.invariance.rules._minimax import minimax_rule
from causalinv.invariance.rules._rule import rule_gaps, rule_of
from causalinv.linear_rule import LinearRule
from causalinv.sem import (
    InterventionFamily,
    LinearSEM,
    ScaleNoise,
    SetWeights,
    Shift,
    choose_sites,
    random_sem,
    textbook_sem,
)

# -- numbers -------------------------------------------------------------------------------------------------------


def test_required_interventions_at_five_and_one_percent():
    beta = [required_interventions(0.05, method="beta_sites", n_sites=s) for s in (1, 2, 3, 5, 10)]
    assert beta == [59, 93, 124, 181, 311]
    beta = [required_interventions(0.01, method="box", n_sites=s) for s in (1, 2, 3, 5, 10)]
    assert beta == [299, 473, 628, 913, 1568]
    vc = [required_interventions(0.05, method="vc", vc_dimension=v) for v in (1, 3, 5, 10, 15, 35)]
    assert vc == [625, 1495, 2380, 4610, 6848, 15825]
    union = [required_interventions(0.05, method="union", class_size=2.0**k) for k in (10, 16)]
    assert union == [194, 275]
    held = [violation_bound(m, method="holdout", violations=v) for v, m in ((0, 59), (0, 100), (2, 100), (5, 200))]
    np.testing.assert_allclose(held, [0.0495, 0.0295, 0.0616, 0.0518], atol=5e-5)


def test_dimensions_by_family():
    sizes = {
        ("variance", 1): 3, ("variance", 2): 10, ("variance", 3): 35, ("shift", 2): 6, ("shift", 3): 10,
        ("random_shift", 2): 70, ("weights", 1): 5, ("weights+variance", 1): 15,
    }  # fmt: skip
    for (kind, s), expected in sizes.items():
        assert vc_dimension(kind, s) == expected
    assert vc_dimension("weights", 3, in_degree=2) == 18564
    with pytest.raises(ValueError, match="no degree is known"):
        vc_dimension("do", 1)


@pytest.mark.parametrize("kind", ["variance", "shift", "random_shift"])
@pytest.mark.parametrize("relative", [False, True])
def test_degree_of_the_violation_polynomial(kind, relative):
    """Along a line of parameters h is a polynomial of the degree that the dimension counts, and of no smaller one."""
    s = 2
    sem = random_sem(6, expected_degree=3.0, random_state=1)
    sites = sem.features[:s]
    rng = np.random.default_rng(0)
    w, a = rng.normal(size=len(sem.features)), 0.3
    start, step = np.abs(rng.normal(size=2 * s)) + 0.5, np.abs(rng.normal(size=2 * s))
    degree = {"variance": s + 1, "shift": 2, "random_shift": s + 2}[kind]
    at, h = np.linspace(0.0, 2.0, degree + 4), []
    for t in at:
        means, variances = np.split(start + t * step, 2)
        means, variances = (means if "shift" in kind else 0 * means), (0 * variances if kind == "shift" else variances)
        change = [Shift(v, mean=m, std=np.sqrt(q)) for v, m, q in zip(sites, means, variances, strict=True)]
        moments = sem.environments([change[0] + change[1]]).moments()
        cov = np.block([[moments.cov(p, q)[0] for q in ("x", "y")] for p in ("x", "y")])
        mean = np.r_[moments.mean("x")[0], moments.mean("y")[0]]
        second = np.block([[np.ones((1, 1)), mean[None]], [mean[:, None], cov + np.outer(mean, mean)]])
        residual = np.r_[-a, -w, 1.0]
        full = np.vstack([np.eye(len(w) + 2)[:-1], residual])
        risk = residual @ second @ residual
        H, aug = np.linalg.det(second[:-1, :-1]), np.linalg.det(full @ second @ full.T)
        h.append(risk * H - 1.1 * aug if relative else (risk - 0.1) * H - aug)
    h = np.array(h) / np.abs(h).max()

    def left(d):
        return np.abs(np.polynomial.Polynomial.fit(at, h, d)(at) - h).max()

    assert left(degree) < 1e-9
    assert left(degree - 1) > 1e-6


METHODS = {
    "beta_sites": {"n_sites": 3},
    "union": {"class_size": 50},
    "scenario": {"n_coefficients": 3, "class_size": 10},
    "vc": {"vc_dimension": 3},
    "holdout": {"violations": 2},
    "two_level": {"violations": 1, "miss_rate": 0.1},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wanted", [0.3, 0.05])
def test_bound_and_number_are_exact_inverses(method, wanted):
    m = required_interventions(wanted, method=method, **METHODS[method])
    assert violation_bound(m, method=method, **METHODS[method]) <= wanted
    assert violation_bound(m - 1, method=method, **METHODS[method]) > wanted


@pytest.mark.parametrize("method", ["beta_sites", "union", "scenario", "vc"])
def test_the_mean_is_the_integral_of_the_tail(method):
    """The tail is the inverse of the bound in the confidence: integrated numerically over levels."""
    m, keys = 400, METHODS[method]
    levels = np.linspace(1e-6, 1 - 1e-6, 4001)
    upper = [violation_bound(m, confidence_level=1 - level, method=method, **keys) for level in levels]
    assert expected_violation(m, method=method, **keys) == pytest.approx(np.trapezoid(upper, levels), rel=5e-3)


@pytest.mark.parametrize(
    ("name", "violations"),
    [
        (name, violations)
        for name, each in METHOD_CLASSES.items()
        if each.random
        for violations in ((0, 3) if each.counts_violations else (0,))
    ],
)
def test_tail_bound_and_mean_are_one_law(name, violations):
    """The bound solves tail = level; the mean is the tail's integral (two_level: over t beyond 1, too)."""
    method = METHOD_CLASSES[name]
    numbers = Numbers(n_sites=3, class_size=10, vc_dimension=3, n_coefficients=3, violations=violations)
    for m, level in ((400, 0.05), (3000, 0.3)):
        t = method.upper(level, m, numbers)
        if t < 1:
            assert method.tail(t, m, numbers) == pytest.approx(level, rel=1e-6)
            assert method.tail(t * 1.01, m, numbers) < level
    if name != "vc":  # whose mean may be taken without violations only, above
        mean = super(type(method), method).mean if name == "scenario" else lambda *a: Method.mean(method, *a)
        assert method.mean(400, numbers) == pytest.approx(mean(400, numbers), rel=1e-3)


def test_an_unknown_number_is_named():
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_site'; known: n_sites"):
        violation_bound(5, method="box", n_site=1)


def test_the_page_of_certificates_has_the_table_that_the_code_makes():
    page = Path(__file__).parents[2] / "docs" / "certificates.md"
    assert methods_page() in page.read_text(), "run: python docs/_certificates.py"
    sections = [int(n) for n in re.findall(r"^## (\d+)\.", page.read_text(), flags=re.MULTILINE)]
    assert {each.section for each in METHOD_CLASSES.values()} <= set(sections)


def test_a_representation_has_what_is_proved_of_every_rule_at_once(trained):
    _, family, environments, _ = trained
    model = InvariantRepresentation().fit_moments(environments.moments())
    held = model.certify(method="beta_sites", family=family, baseline=0)
    assert held.violation_upper == violation_bound(60, method="beta_sites", n_sites=2)
    np.testing.assert_allclose(held.coef, model.coef_)
    with pytest.raises(ValueError, match="chosen among infinitely many"):
        model.certify(method="scenario", baseline=0)


def test_clopper_pearson_covers_by_enumeration():
    for m, p in ((10, 0.1), (60, 0.03), (25, 0.4)):
        covered = sum(
            stats.binom.pmf(v, m, p) for v in range(m + 1) if violation_bound(m, method="holdout", violations=v) >= p
        )
        assert covered >= 0.95


def test_edges():
    assert violation_bound(2, method="beta_sites", n_sites=3) == 1.0  # fewer interventions than sites
    assert violation_bound(0, method="holdout") == 1.0
    assert violation_bound(5, method="holdout", violations=5) == 1.0
    assert violation_bound(1, method="holdout") == pytest.approx(0.95)
    assert expected_violation(0, method="union", class_size=3) == 1.0
    assert expected_violation(6, method="beta_sites", n_sites=1) == pytest.approx(1 / 7)
    assert expected_violation(1, method="scenario", n_coefficients=2) == 1.0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: violation_bound(5, method="beta"), "method must be one of"),
        (lambda: violation_bound(5, method="vc"), "method='vc' needs vc_dimension"),
        (lambda: violation_bound(5, method="beta_sites", n_sites=2.5), "n_sites must be a whole number >= 1, got 2.5"),
        (lambda: violation_bound(5, method="union", class_size=0.5), "class_size must be >= 1, got 0.5"),
        (lambda: violation_bound(5, method="beta_sites", n_sites=1, violations=1), "needs a rule without violations"),
        (lambda: violation_bound(5, method="holdout", violations=6), "more than n_interventions=5"),
        (lambda: violation_bound(-1, method="holdout"), "n_interventions must be a whole number >= 0"),
        (lambda: violation_bound(5, method="holdout", confidence_level=1.2), "confidence_level must be"),
        (
            lambda: violation_bound(5, method="two_level", miss_rate=1.0),
            "miss_rate must be a number >= 0 and <= 0.5, got 1.0",
        ),
        (lambda: required_interventions(0.0, method="holdout"), "violation_upper must be a number > 0"),
        (lambda: required_interventions(1e-12, method="holdout"), "More than 1e.09 interventions"),
        (lambda: expected_violation(9, method="vc", vc_dimension=2, violations=1), "no bound on the mean"),
    ],
)
def test_mistaken_numbers_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_the_plan_lists_what_each_method_needs():
    plan = plan_interventions(0.05, n_sites=3, class_size=1024, n_coefficients=3)
    expected = {
        "holdout": 59,
        "two_level": 62,
        "bounded": 62,
        "kurtosis": 62,
        "beta_sites": 124,
        "box": 124,
        "union": 194,
        "vc": 15825,
    }
    assert plan["interventions"].drop("scenario").dropna().to_dict() == expected
    assert set(plan.index) == set(validity_table().index)
    assert plan["interventions"].dropna().is_monotonic_increasing
    assert "nothing is random" in plan.loc["hull", "needs"]
    wanted = required_interventions(0.05, method="scenario", n_coefficients=3, class_size=1024)
    assert plan.loc["scenario", "interventions"] == wanted
    shift = plan_interventions(0.1, kind="shift")
    assert list(shift["interventions"].dropna().index) == ["holdout", "two_level", "bounded", "kurtosis", "vc"]
    assert "not proved here; missing: a family whose moments are affine" in shift.loc["beta_sites", "needs"]
    assert shift.loc["union", "needs"].startswith("give class_size=")
    assert plan_interventions(0.05, kind="shift", n_sites=3).loc["vc", "interventions"] == 4610


# -- exceedance, by simulation with exact moments --------------------------------------------------------------------


def single(sites, kind="variance"):
    return InterventionFamily(sites, kind=kind, per_env="single")


@pytest.mark.parametrize("s", [1, 2, 3])
def test_beta_sites_is_exceeded_at_most_as_often_as_it_says(s):
    """2000 trials, m = 60. Rule and eps are the worst that the training environments allow: tolerance at the training
    gap of a rule that every site moves, so it breaks exactly beyond the largest magnitude seen at each site."""
    rng = np.random.default_rng(s)
    trials, m = 2000, 60
    bound = violation_bound(m, method="beta_sites", n_sites=s)
    exceeded = 0
    for _ in range(trials):
        probability = rng.dirichlet(np.ones(s))
        site, w = rng.choice(s, size=m, p=probability), rng.exponential(size=m)
        largest = np.array([w[site == j].max(initial=0.0) for j in range(s)])
        exceeded += np.sum(probability * np.exp(-largest)) > bound
    assert exceeded <= stats.binom.isf(1e-5, trials, 0.05)
    if s == 1:
        assert 0.02 * trials < exceeded < 0.065 * trials  # tight


def test_the_trial_above_is_what_the_code_does():
    """One site, a rule on its child: what violates by exact moments is the mass beyond the largest magnitude seen."""
    sem = textbook_sem("chain")
    family = single(["x2"])
    train = family.environments(sem, 40, baseline=True, random_state=0)
    rule = (np.array([[0.0, 1.0]]), np.array([0.5]), 0.0)
    eps = invariance_gaps(train.moments(), *rule).max()
    fresh = family.environments(sem, 4000, random_state=1)
    above = invariance_gaps(fresh.moments(), *rule) > eps * (1 + 1e-9)
    beyond = fresh.theta[:, 0] > train.theta.max()
    # The excess of this rule at the baseline is not zero, so it may fall before it grows: only beyond can it violate.
    assert not (above & ~beyond).any()
    assert above.sum() >= beyond.sum() * 0.9


def test_without_a_baseline_the_bound_fails():
    """Two-sided: a rule made invariant at large magnitudes breaks at small ones, too (2 sites' worth, not one)."""
    rng = np.random.default_rng(0)
    trials, m, bad = 2000, 60, 0
    bound = violation_bound(m, method="beta_sites", n_sites=1)
    for _ in range(trials):
        w = rng.exponential(size=m)
        bad += (1 - np.exp(-w.min())) + np.exp(-w.max()) > bound
    assert bad > stats.binom.isf(1e-5, trials, 0.05)


def test_two_sites_at_once_break_what_one_at_a_time_certifies():
    """Each site alone up to w is fine for this rule; both together are far beyond eps."""
    sem = LinearSEM.from_adjacency(
        np.array([[0, 0, 0, 0.0], [0, 0, 0, 0], [0, 0, 0, 0], [1.0, 1.0, 1.0, 0]]),
        names=["a", "b", "c", "y"],
        target="y",
    )
    rule = (np.eye(3), np.array([1 / 4, 1 / 4, 1 / 4]), 0.0)  # population regression of y on its three children
    one = sem.environments([None, Shift("a", std=2.0), Shift("b", std=2.0)]).moments()
    both = sem.environments([Shift("a", std=2.0) + Shift("b", std=2.0)]).moments()
    assert invariance_gaps(both, *rule)[0] > 1.3 * invariance_gaps(one, *rule).max()


def test_two_sided_mean_shifts_break_the_bound():
    """Why shifts are refused: they have two ends. A rule whose intercept is put between the smallest and the largest
    shift seen is within eps at both, and violates beyond either."""
    sem = textbook_sem("chain")  # x1 -> y -> x2
    probe = sem.environments([Shift("x2", mean=float(t)) for t in np.linspace(-3, 3, 7)]).moments()
    phi, w, centre = np.array([[0.0, 1.0]]), np.array([0.5]), 0.4
    gaps = invariance_gaps(probe, phi, w, -0.5 * centre, metric="excess")
    expected = gaps[3] - 0.25 * centre**2 + 0.25 * (np.linspace(-3, 3, 7) - centre) ** 2
    np.testing.assert_allclose(gaps, expected, atol=1e-12)  # a parabola about the centre: two ends, not one
    rng = np.random.default_rng(0)
    trials, m, bad = 2000, 60, 0
    bound = violation_bound(m, method="beta_sites", n_sites=1)
    for _ in range(trials):
        shifts = rng.normal(size=m)
        bad += stats.norm.cdf(shifts.min()) + stats.norm.sf(shifts.max()) > bound
    assert bad > stats.binom.isf(1e-5, trials, 0.05)


def test_coefficients_can_leave_a_hull_where_the_excess_cannot():
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(300):
        a, b = (np.cov(rng.normal(size=(3, 6))) for _ in range(2))
        mixed = 0.5 * (a + b)
        moments = Moments({"x": 2, "y": 1}, mean=np.zeros((3, 3)), scatter=np.stack([a, b, mixed]))
        w = rng.normal(size=2)
        excess = invariance_gaps(moments, np.eye(2), w, 0.0, metric="relative_excess")
        assert excess[2] <= excess[:2].max() * (1 + 1e-9)
        coef = invariance_gaps(moments, np.eye(2), w, 0.0, metric="coefficient")
        worst = max(worst, coef[2] / coef[:2].max())
    assert worst > 1.001


# -- from training environments ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    sem = random_sem(8, expected_degree=3.0, random_state=3)
    family = single(choose_sites(sem, 2, where="markov_blanket", random_state=0))
    environments = family.environments(sem, 60, baseline=True, random_state=0)
    return sem, family, environments, InvariantSubsetSelector(eps=0.05).fit_moments(environments.moments())


def test_each_training_certificate(trained):
    sem, family, environments, model = trained
    beta = model.certify(method="beta_sites", family=family, baseline=0)
    assert beta.violation_upper == violation_bound(60, method="beta_sites", n_sites=2)
    assert beta.expected_violation == pytest.approx(2 / 61)
    assert beta.eps == max(model.gap_, 1e-12)
    np.testing.assert_allclose(beta.coef, model.coef_)
    box = model.certify(method="box", family=family, environment_set=environments)
    assert box.eps >= model.gap_
    assert box.violation_upper == beta.violation_upper
    scenario = model.certify(method="scenario", baseline=0)
    k = int(model.support_.sum()) + 1
    expected = violation_bound(60, method="scenario", n_coefficients=k, class_size=2.0**7)
    assert scenario.violation_upper == pytest.approx(expected)
    assert scenario.eps <= max(model.gap_ * (1 + 1e-6), 1e-12)  # the minimax rule is at least as good as the pooled one
    vc = model.certify(method="vc", family=family, baseline=0)
    assert vc.violation_upper == 1.0
    assert vc.explain().startswith("These environments prove nothing about new ones")
    hull = model.certify(method="hull", new=sem.environments([None]).moments())
    assert hull.violation_upper == 0.0
    assert "for certain" in hull.explain()
    for each in (beta, box, scenario):
        text = each.explain()
        assert text.startswith(f"At most {each.violation_upper:.1%} of new environments break this rule (95%")
        assert "At best, by any method, 60 environments can prove that at most 4.9%" in " ".join(text.split())
        assert "60 shown to keep it, 0 not shown either way, 0 failed" in " ".join(text.split())
        assert "declared by you" in text or each.method in ("scenario", "box")
        assert each.to_frame()["violation_upper"].item() == each.violation_upper
        assert "<p>" in each._repr_html_()
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(beta)


def test_certificates_hold_on_fresh_interventions(trained):
    sem, family, _, model = trained
    fresh = family.environments(sem, 5000, random_state=9).moments()
    for certificate in (
        model.certify(method="beta_sites", family=family, baseline=0),
        model.certify(method="scenario", baseline=0),
    ):
        rule = (np.eye(7)[model.support_], np.array(certificate.coef)[model.support_], certificate.intercept)
        assert np.mean(invariance_gaps(fresh, *rule) > certificate.eps * (1 + 1e-6)) <= certificate.violation_upper


def test_the_minimax_rule_beats_random_rules():
    data = random_sem(5, random_state=0).environments([None, *(Shift(0, std=float(s)) for s in (1, 2, 4))]).moments()
    rule, level = minimax_rule(data, np.eye(4)[:2])
    rng = np.random.default_rng(0)
    for scale in (1e-3, 1e-1, 1.0):
        for _ in range(50):
            other = rule + scale * rng.normal(size=3)
            assert invariance_gaps(data, np.eye(4)[:2], other[1:], other[0]).max() >= level * (1 - 1e-6)


REFUSALS = {
    "no family": (lambda m, t: m.certify(method="beta_sites"), "missing: family=.*baseline="),
    "not affine": (
        lambda m, t: m.certify(method="beta_sites", family=single(["z0"], "shift"), baseline=0),
        "affine in its magnitudes",
    ),
    "all sites at once": (
        lambda m, t: m.certify(method="beta_sites", family=InterventionFamily(["z0", "z1"]), baseline=0),
        "one site per environment",
    ),
    "no baseline": (lambda m, t: m.certify(method="beta_sites", family=t[1]), "missing: baseline="),
    "unknown baseline": (lambda m, t: m.certify(method="scenario", baseline=99), "baseline=99 is not a training"),
    "eps below": (
        lambda m, t: m.certify(method="beta_sites", family=t[1], baseline=0, eps=m.gap_ / 2),
        "is below the gap",
    ),
    "vc without family": (lambda m, t: m.certify(method="vc"), "method='vc' needs family="),
    "vc weights": (
        lambda m, t: m.certify(method="vc", family=InterventionFamily(["z1"], kind="weights")),
        "needs in_degree",
    ),
    "box without model": (lambda m, t: m.certify(method="box", family=t[1]), "method='box' needs family= and environ"),
    "hull without new": (lambda m, t: m.certify(method="hull"), "needs new="),
    "outside hull": (
        lambda m, t: m.certify(method="hull", new=t[0].environments([Shift(t[1].sites[0], std=99.0)]).moments()),
        "outside the convex hull",
    ),
    "fresh method": (lambda m, t: m.certify(method="holdout"), "need fresh ones"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_unlicensed_requests_name_what_is_missing(name, trained):
    call, match = REFUSALS[name]
    with pytest.raises(ValueError, match=match):
        call(trained[3], trained)


def test_metrics_without_convexity_and_estimated_moments_are_refused(trained):
    _, family, environments, _ = trained
    model = InvariantSubsetSelector(eps=10.0, metric="coefficient").fit_moments(environments.moments())
    with pytest.raises(ValueError, match="beta_sites is not proved for metric='coefficient'"):
        model.certify(method="beta_sites", family=family, baseline=0)
    X, y, e = environments[:8].sample(300, random_state=0)
    model = InvariantSubsetSelector(eps=1.0).fit(X, y, environments=e)
    with pytest.raises(ValueError, match="proved for exact moments; these are estimated"):
        model.certify(method="beta_sites", family=family, baseline=0)
    labelled = model.certify(method="beta_sites", family=family, baseline=0, plug_in=True)
    assert labelled.plug_in
    assert "NOT PROVED" in labelled.explain()


def test_declarations_are_held_against_the_data(trained):
    _, family, environments, model = trained
    with pytest.raises(ValueError, match="differ in 2 directions .exact.*more than the 1"):
        model.certify(method="beta_sites", family=single(family.sites[:1]), baseline=0)
    X, y, e = environments[:6].sample(2000, random_state=0)
    sampled = InvariantSubsetSelector(eps=10.0).fit(X, y, environments=e)
    with pytest.warns(FamilyWarning, match="differ in 2 directions .beyond the noise of Gaussian.*more than the 1"):
        sampled.certify(method="beta_sites", family=single(family.sites[:1]), baseline=0, plug_in=True)
    sink = LinearSEM([[0, 0], [1.0, 0]], names=["x", "y"], target="y")
    with pytest.warns(match="changes? the equation of the target"):
        envs = sink.environments([None, ScaleNoise("y", 3.0), Shift("x", std=1.0)])
    broken = InvariantSubsetSelector(eps=1.0).fit_moments(envs.moments())
    with pytest.warns(TargetInterventionWarning, match="act on the outcome itself"):
        broken.certify(method="scenario")
    X, y, e = envs.sample(500, random_state=0)
    broken = InvariantSubsetSelector(eps=1.0).fit(X, y, environments=e)
    with pytest.warns(TargetInterventionWarning):
        broken.certify(method="scenario", plug_in=True)


# -- from fresh environments ------------------------------------------------------------------------------------------


def test_fresh_environments_exact(trained):
    sem, family, _, model = trained
    fresh = family.environments(sem, 80, random_state=5).moments()
    rule = (np.eye(7), np.linspace(0.1, 0.4, 7), 0.0)
    gaps = np.sort(invariance_gaps(fresh, *rule))
    eps, wide = float(gaps[-3:-1].mean()), float(gaps[-1])
    assert gaps[-3] < eps < gaps[-2]
    held = certify(rule, fresh, eps=eps, method="holdout")
    assert held.violations == 2
    assert held.violation_upper == violation_bound(80, method="holdout", violations=2)
    assert np.isnan(held.expected_violation)  # one rule, one tolerance: nothing is averaged
    assert "The next" not in held.explain()
    assert "78 shown to keep it, 0 not shown either way, 2 failed" in " ".join(held.explain().split())
    union = certify(rule, fresh, eps=wide, method="union", class_size=128)
    assert union.violation_upper == violation_bound(80, method="union", class_size=128)
    with pytest.raises(ValueError, match="this one has 2 of 80"):
        certify(rule, fresh, eps=eps, method="union", class_size=128)
    with pytest.raises(ValueError, match="needs class_size"):
        certify(model, fresh, eps=1.0, method="union")
    with pytest.raises(ValueError, match="these are exact: use method='holdout'"):
        certify(model, fresh, eps=1.0, method="two_level")
    with pytest.raises(ValueError, match="method must be 'holdout', 'union', 'two_level', 'bounded' or 'kurtosis'"):
        certify(model, fresh, eps=1.0, method="beta_sites")
    with pytest.raises(ValueError, match="The features of X are"):
        certify(model, fresh.select(x=[0, 1], y=True), eps=1.0, method="holdout")
    with pytest.raises(ValueError, match="The rule has 7 features, these environments 2"):
        certify(rule, fresh.select(x=[0, 1], y=True), eps=1.0, method="holdout")


def test_training_environments_cannot_be_fresh(trained):
    sem, family, environments, model = trained
    mixed = environments[3:6].moments().merge(family.environments(sem, 3, random_state=5).moments())
    with pytest.raises(ValueError, match="Environment 3 is one of those that trained the rule"):
        certify(model, mixed, eps=1.0, method="holdout")
    X, y, e = environments[:5].sample(100, random_state=0)
    fitted = InvariantSubsetSelector(eps=10.0).fit(X, y, environments=e)
    with pytest.raises(ValueError, match="is one of those that trained"):
        certify(fitted, X, y, environments=[f"renamed {k}" for k in e], eps=1.0, method="two_level")
    with pytest.raises(ValueError, match="needs y and environments="):
        certify(fitted, X, y, eps=1.0, method="two_level")
    pipe = make_pipeline(StandardScaler(), InvariantSubsetSelector(min_size=1))
    pipe.fit(X, y, invariantsubsetselector__environments=e)
    with pytest.raises(ValueError, match="is one of those that trained"):
        certify(pipe, X, y, environments=e, eps=1.0, method="two_level")
    # A feature in other units does not make everything look the same.
    wide = chain_in_units(1e8)
    model = InvariantSubsetSelector().fit_moments(wide([None, Shift("x1", std=1.0)]))
    assert certify(model, wide([Shift("x2", std=4.0), Shift("x2", std=5.0)]), eps=9.0, method="holdout").violations == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: InvariantSubsetSelector(eps=10.0),
        InvariantCausalPrediction,
        InvariantRepresentation,
        lambda: InvariantSubsetSelector(search="greedy", averaging=True, random_state=0),
    ],
)
def test_rows_that_trained_are_recognised_whole_and_in_parts(make):
    chain = textbook_sem("chain").environments([None, Shift("x1", std=1.0), Shift("x1", std=2.0)])
    X, y, e = chain.sample(200, random_state=0)
    fresh_X, fresh_y, _ = chain.sample(200, random_state=1)
    for scaled in (False, True):
        model = make_pipeline(StandardScaler(), make()) if scaled else make()
        model.fit(X, y, **{f"{model.steps[-1][0]}__environments" if scaled else "environments": e})
        again = {"environments": e, "eps": 0.5, "method": "two_level"}
        assert certify(model, fresh_X, fresh_y, **again).n_interventions == 3
        with pytest.raises(ValueError, match="one of those that trained the rule"):
            certify(model, X, y, **again)
        half = np.arange(600) % 2 == 0
        with pytest.raises(ValueError, match="300 of 300 rows are also rows that trained the rule"):
            certify(model, X[half], y[half], **(again | {"environments": e[half]}))
        mixed = np.arange(600) < 30
        with pytest.raises(ValueError, match="30 of 600 rows are also"):
            certify(model, np.where(mixed[:, None], X, fresh_X), np.where(mixed, y, fresh_y), **again)
    # From moments there are no rows, but the moments are known.
    model = make()
    if isinstance(model, InvariantCausalPrediction):
        model.set_params(test="chow")
    model.fit_moments(Moments.from_rows(x=X, y=y, environments=e))
    with pytest.raises(ValueError, match="one of those that trained the rule"):
        certify(model, X, y, **again)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: make_pipeline(inner, LinearRegression()),
        lambda inner: make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), inner)),
        lambda inner: make_pipeline("passthrough", inner),
        lambda inner: GridSearchCV(inner, {"level": [0.05, 0.1]}, cv=2),
        lambda inner: HierarchicalConformalRegressor(inner, random_state=0),
        lambda inner: HierarchicalConformalRegressor(inner, method="leave_one_environment_out"),
        lambda inner: HierarchicalConformalRegressor(random_state=0),
    ],
)
def test_rows_that_trained_an_estimator_inside_another_are_recognised_by_all_that_ask_for_fresh_ones(wrap):
    chain = textbook_sem("chain").environments([Shift("x1", std=float(k)) for k in range(1, 9)])
    X, y, e = chain.sample(100, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = wrap(InvariantSubsetSelector()).fit(X, y, environments=e)
    asked = (
        lambda *rows: certify(model, *rows, environments=e, eps=0.5, method="two_level").n_interventions,
        lambda *rows: len(next_environment_risk(model, *rows, environments=e).risks),
        lambda *rows: HierarchicalConformalRegressor(FrozenEstimator(model)).fit(*rows, environments=e).n_calibration_,
    )
    fresh = chain.sample(100, random_state=1)[:2]
    for ask in asked:
        assert ask(*fresh) == 8
        with pytest.raises(ValueError, match="trained the rule"):
            ask(X, y)


def test_environments_that_only_calibrated_a_conformal_regressor_are_fresh_to_it():
    chain = textbook_sem("chain").environments([Shift("x1", std=float(k)) for k in range(1, 9)])
    X, y, e = chain.sample(100, random_state=0)
    model = HierarchicalConformalRegressor(InvariantSubsetSelector(), random_state=0).fit(X, y, environments=e)
    at = np.isin(e, model.calibration_environments_)
    assert certify(model, X[at], y[at], environments=e[at], eps=0.5, method="two_level").n_interventions == 4
    with pytest.raises(ValueError, match="trained the rule"):
        certify(model, X[~at], y[~at], environments=e[~at], eps=0.5, method="two_level")


def test_a_rule_whose_estimator_does_not_count_its_features_is_read_beside_the_data():
    class Plain(BaseEstimator):
        def fit(self, X, y):
            self.found_ = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), y, rcond=None)[0]
            return self

        def predict(self, X):
            return self.found_[0] + X @ self.found_[1:]

    X, y, e = textbook_sem("chain").environments([None, Shift("x1", std=1.0)]).sample(200, random_state=0)
    model = Plain().fit(X[:50], y[:50])
    found = certify(model, X[50:], y[50:], environments=e[50:], eps=0.5, method="two_level")
    np.testing.assert_allclose(found.coef, model.found_[1:], rtol=1e-9)
    with pytest.raises(TypeError, match="does not say how many features"):
        rule_of(model)


def test_rows_that_trained_other_estimators_of_the_package():
    rng = np.random.default_rng(0)
    Z, X = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    y = X[:, 0] + rng.normal(size=300)
    model = IVLikeRegression(0.5).fit(X + Z, y, instruments=Z)
    with pytest.raises(ValueError, match="300 of 300 rows are also"):
        certify(model, X + Z, y, environments=np.arange(300) % 3, eps=0.5, method="two_level")


def test_coarse_rows_only_warn():
    rng = np.random.default_rng(0)
    X, y, e = rng.integers(3, size=(300, 2)), rng.integers(2, size=300), np.repeat(np.arange(3), 100)
    with pytest.warns(DegenerateInputWarning, match="y has two values"):
        model = InvariantCausalPrediction(test="chow").fit(X, y, environments=e)
    fresh = rng.integers(3, size=(300, 2)), rng.integers(2, size=300)
    with (
        pytest.warns(DegenerateInputWarning, match="two_level asks for Gaussian rows"),
        pytest.warns(DegenerateInputWarning, match="cannot be seen whether these environments are fresh"),
    ):
        certify(model, *fresh, environments=e, eps=1.0, method="two_level")


def chain_in_units(unit):
    """Moments of x1 -> y -> x2 with x1 in other units."""

    def moments(interventions):
        exact = textbook_sem("chain").environments(interventions).moments()
        by = np.diag([unit, 1.0, 1.0])
        mean = np.concatenate([exact.mean("x"), exact.mean("y")], axis=1) @ by
        cov = np.block([[exact.cov(a, b) for b in ("x", "y")] for a in ("x", "y")])
        return Moments({"x": 2, "y": 1}, mean=mean, scatter=by @ cov @ by)

    return moments


def test_features_are_known_by_name(trained):
    _, _, environments, _ = trained
    frame = pd.DataFrame(environments[:5].sample(60, random_state=0)[0][:, :2], columns=["dose", "age"])
    y = frame["dose"] + 1.0
    model = LinearRegression().fit(frame, y)
    labels = np.repeat(np.arange(5), 60)
    with pytest.raises(ValueError, match="features of X are .'age', 'dose'.*must be the same"):
        certify(model, frame[["age", "dose"]], y, environments=labels, eps=1.0, method="two_level")


def test_rules_are_what_is_predicted():
    """Centred coefficients, links and classes are no linear rules as they stand; units cost no feature."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3)) + 5.0
    y = X @ [1.0, 2.0, 0.0] + rng.normal(size=100)
    pls = PLSRegression(2).fit(X, y)
    rule = rule_of(pls)
    np.testing.assert_allclose(X @ rule.coef + rule.intercept, np.ravel(pls.predict(X)), rtol=1e-8)
    with pytest.raises(TypeError, match="is not linear in its features"):
        rule_of(PoissonRegressor().fit(X, np.abs(y)))
    with pytest.raises(TypeError, match="no linear rule|is not linear"):
        rule_of(LogisticRegression().fit(X, np.where(y > 15, "high", "low")))
    Z = X * [1e7, 1e-7, 1.0]
    pipe = make_pipeline(StandardScaler(), LinearRegression()).fit(Z, y)
    rule = rule_of(pipe)
    np.testing.assert_allclose(Z @ rule.coef + rule.intercept, pipe.predict(Z), rtol=1e-6)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("bend", [1.5, 2.5])
def test_a_rule_that_bends_is_no_linear_one_whatever_the_unit_of_the_outcome(unit, bend):
    """Cut off at 2.5 deviations it has 22% more error than the line; in units of 1e4 the line was certified."""
    rng = np.random.default_rng(4)
    X, e = rng.normal(size=(4000, 2)), np.repeat(np.arange(20), 200)
    y = unit * (X[:, 0] + 0.1 * rng.normal(size=4000))
    cut = make_pipeline(FunctionTransformer(np.clip, kw_args={"a_min": -bend, "a_max": bend}), LinearRegression())
    cut.fit(X[:1000], y[:1000])
    with pytest.raises(TypeError, match="is not linear in its features"):
        certify(cut, X[1000:], y[1000:], environments=e[1000:], eps=0.2, method="two_level")
    line = make_pipeline(StandardScaler(), LinearRegression()).fit(X[:1000], y[:1000])
    found = certify(line, X[1000:], y[1000:], environments=e[1000:], eps=0.2, method="two_level")
    np.testing.assert_allclose(X @ found.coef + found.intercept, line.predict(X), rtol=1e-9, atol=1e-9 * unit)


def test_averages_have_no_minimax_rule():
    data = chain_in_units(1.0)([None, Shift("x2", std=2.0)])
    with pytest.raises(ValueError, match="an average of sets has none"):
        InvariantSubsetSelector(averaging=True).fit_moments(data).certify(method="scenario")


def test_a_wild_environment_does_not_widen_the_hull():
    chain = textbook_sem("chain")
    model = InvariantSubsetSelector(eps=0.1).fit_moments(chain.environments([None, Shift("x1", std=1e4)]).moments())
    with pytest.raises(ValueError, match="outside the convex hull"):
        model.certify(method="hull", new=chain.environments([Shift("x2", std=5.0)]).moments())


def test_weighted_rows_are_no_rows():
    X, y, e = textbook_sem("chain").environments([None, None]).sample(50, random_state=0)
    uneven = np.linspace(0.1, 3, 100)
    averaging_one = uneven / np.array([uneven[e == k].mean() for k in e])  # their sum is the number of rows
    rule = (np.eye(2), np.ones(2), 0.0)
    for weights in (uneven, averaging_one):
        weighted = Moments.from_rows(x=X, y=y, environments=e, sample_weight=weights)
        with pytest.raises(ValueError, match="two_level needs rows that all have one and the same weight"):
            certify(rule, weighted, eps=1.0, method="two_level")
    equal = Moments.from_rows(x=X, y=y, environments=e, sample_weight=np.full(100, 2.0))
    plain = Moments.from_rows(x=X, y=y, environments=e)
    found = [certify(rule, each, eps=1.0, method="two_level").violations for each in (equal, plain)]
    assert found[0] == found[1]


def test_weights_that_average_one_do_not_make_the_target_suspected():
    rng = np.random.default_rng(0)
    e = np.repeat(np.arange(4), 200)
    x = rng.normal(size=800)
    y = x + rng.normal(size=800)
    w = rng.exponential(size=800) ** 4
    w /= np.array([w[e == k].mean() for k in range(4)])[e]
    with warnings.catch_warnings():
        warnings.simplefilter("error", TargetInterventionWarning)
        suspect_target(Moments.from_rows(x=x, y=y, environments=e, sample_weight=w))


def test_a_pipeline_is_certified_as_a_whole(trained):
    sem, family, environments, _ = trained
    X, y, e = environments[:6].sample(200, random_state=0)
    frame = pd.DataFrame(X, columns=[sem.names[v] for v in sem.features])
    pipe = make_pipeline(StandardScaler(), InvariantSubsetSelector(min_size=1), Ridge(5.0))
    pipe.fit(frame, y, invariantsubsetselector__environments=e)
    fresh = family.environments(sem, 50, random_state=7).moments()
    certificate = certify(pipe, fresh, eps=1.0, method="holdout")
    np.testing.assert_allclose(frame.to_numpy() @ certificate.coef + certificate.intercept, pipe.predict(frame))
    assert not np.allclose(certificate.coef, pipe[1].coef_)  # ridge made another rule than the selector's
    with pytest.raises(TypeError, match="is not linear in its features"):
        certify(make_pipeline(PolynomialFeatures(2), Ridge()).fit(X, y), fresh, eps=1.0, method="holdout")
    with pytest.raises(TypeError, match="needs a fitted linear rule"):
        certify("rule", fresh, eps=1.0, method="holdout")
    with pytest.raises(ValueError, match="coefficients of shape"):
        certify((np.eye(7), [1.0], 0.0), fresh, eps=1.0, method="holdout")
    neutral = InvariantRepresentation().fit_moments(environments.moments())
    assert certify(neutral, fresh, eps=1e-6, method="holdout").violations == 0


@pytest.mark.slow
def test_two_level_covers_the_true_violation():
    """300 trials of 20 environments, 150 rows each, against the violation known from exact moments."""
    sem = textbook_sem("chain")
    family = InterventionFamily(["x2"], kind="variance")
    rule, eps = (np.array([[0.0, 1.0]]), np.array([0.5]), 0.0), 0.06
    truth = np.mean(invariance_gaps(family.environments(sem, 20_000, random_state=0).moments(), *rule) > eps)
    assert 0.02 < truth < 0.9
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        X, y, e = family.environments(sem, 20, random_state=rng).sample(150, random_state=rng)
        certificate = certify(rule, X, y, environments=e, eps=eps, method="two_level", confidence_level=0.9)
        covered += certificate.violation_upper >= truth
    assert covered >= stats.binom.ppf(1e-5, 300, 0.9)


@pytest.mark.parametrize(("t", "confidence", "s"), [(0.05, 0.95, 3), (0.1, 0.9, 1), (0.02, 0.99, 2), (0.3, 0.5, 4)])
def test_planned_numbers_are_the_smallest_by_binomial_sums(t, confidence, s):
    """Every number of the table, by sums of binomial probabilities: it is enough, and one less is not."""
    plan = plan_interventions(t, confidence_level=confidence, n_sites=s, class_size=1024, n_coefficients=3)
    level, vc = 1 - confidence, comb(2 * s + 1, s)  # q = s parameters, degree s + 1
    passes = {
        "holdout": lambda m: stats.binom.cdf(0, m, t) <= level,
        "union": lambda m: 1024 * (1 - t) ** m <= level,
        "beta_sites": lambda m: stats.binom.cdf(s - 1, m, t) <= level,
        "box": lambda m: stats.binom.cdf(s - 1, m, t) <= level,
        "scenario": lambda m: 1024 * stats.binom.cdf(3, m, t) <= level,
        "vc": lambda m: m * t * log(2) / 2 >= log(2 / level) + log(sum(comb(2 * m, i) for i in range(vc + 1))),
    } | dict.fromkeys(("two_level", "bounded", "kurtosis"), lambda m: stats.binom.cdf(0, m, t * 0.95) <= level)
    planned = plan["interventions"].dropna().astype(int).to_dict()
    assert set(passes) == set(planned)
    for name, m in planned.items():
        assert passes[name](m), name
        assert not passes[name](m - 1), name


@pytest.mark.parametrize("s", [1, 2, 3])
def test_the_planned_number_of_single_sites_is_enough_by_draws(s):
    """Environments move one of s sites by a uniform amount; a violation moves it further than any before did."""
    m, rng = int(plan_interventions(0.05, n_sites=s).loc["beta_sites", "interventions"]), np.random.default_rng(s)
    amount, site = rng.uniform(size=(4000, m)), rng.integers(s, size=(4000, m))
    reached = np.array([np.where(site == j, amount, 0.0).max(axis=1) for j in range(s)])
    above = np.mean((1.0 - reached).mean(axis=0) > 0.05)
    assert above <= stats.binom.isf(1e-4, 4000, 0.05) / 4000
    if s == 1:
        assert above >= stats.binom.ppf(1e-4, 4000, 0.95**m) / 4000


def test_the_validity_table_lists_every_method():
    table = validity_table()
    assert set(table.index) == {
        "beta_sites",
        "box",
        "scenario",
        "vc",
        "hull",
        "holdout",
        "union",
        "two_level",
        "bounded",
        "kurtosis",
    }
    assert table["conditions"].str.len().min() > 20


def test_distance_to_the_hull():
    sem = textbook_sem("chain")
    train = sem.environments([None, Shift("x1", std=1.0), Shift("x1", std=2.0)]).moments()
    inside = sem.environments([Shift("x1", std=1.5)]).moments()
    distance, weights = in_moment_hull(inside, train)
    assert distance[0] < 1e-9
    assert weights.sum() == pytest.approx(1.0)
    assert weights[0] @ [0, 1, 4] == pytest.approx(1.5**2)
    with pytest.raises(ValueError, match="they must agree"):
        in_moment_hull(inside.select(x=[0], y=True), train)


# -- words ------------------------------------------------------------------------------------------------------------


def test_what_is_not_shown_did_not_fail():
    """Few rows of environments that all keep to eps: none failed, and no sentence says that one did."""
    X, y, e = textbook_sem("chain").environments([None] * 3).sample(12, random_state=0)
    held = certify((np.eye(2)[:1], [1.0], 0.0), X, y, environments=e, eps=0.5, method="two_level")
    assert (held.violations, held.failed) == (3, 0)
    text = " ".join(held.explain(noun="hospital").split())
    assert "3 hospitals, of which 0 shown to keep it, 3 not shown either way, 0 failed." in text
    assert "did" not in text
    assert "environment" not in text.split("rests on")[0]


def test_failed_is_said_rarely_of_environments_at_the_tolerance():
    """At a gap of exactly eps, by slope or by mean alone, 'failed' is said in at most 5% (2 x 400 environments)."""
    rng, n, eps = np.random.default_rng(0), 60, 0.3
    for slope, mean in ((np.sqrt(eps), 0.0), (0.0, np.sqrt(eps)), (np.sqrt(eps / 2), np.sqrt(eps / 2))):
        x = rng.normal(size=400 * n)
        y = mean + slope * x + rng.normal(size=400 * n)
        rule = (np.eye(1), [0.0], 0.0)
        held = certify(rule, x[:, None], y, environments=np.repeat(np.arange(400), n), eps=eps, method="two_level")
        assert held.failed <= stats.binom.isf(1e-4, 400, 0.05)
        wrong = certify(rule, x[:, None], 3 * mean + 3 * slope * x + y, environments=np.repeat(np.arange(400), n),
                        eps=eps, method="two_level")  # fmt: skip
        assert wrong.failed >= 399


@pytest.mark.parametrize("unit", [1.0, 1e-7, 1e7])
@pytest.mark.parametrize("metric", ["excess", "gradient", "risk_range"])
def test_a_violation_is_one_in_any_unit_of_the_outcome(metric, unit):
    sem = textbook_sem("chain").replace(features=["x1"])  # y = x1 + noise; in one of the environments 3 x1
    changed = SetWeights("y", {"x1": 3.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moments = sem.environments([None, None, changed, None]).moments()
    in_unit = represent(moments, np.eye(1), outcome_unit=1 / unit)
    size = unit if metric == "gradient" else unit**2
    held = certify((np.eye(1), [unit], 0.0), in_unit, eps=0.0, metric=metric, method="holdout")
    assert held.violations == 1
    held = certify((np.eye(1), [unit], 0.0), in_unit, eps=3.9 * size, metric=metric, method="holdout")
    assert held.violations == (metric != "gradient")  # its length is 2 units, the others are 4 squared units
    held = certify((np.eye(1), [unit], 0.0), in_unit, eps=4.1 * size, metric=metric, method="holdout")
    assert held.violations == 0


@pytest.mark.parametrize("metric", ["coefficient", "residual"])
@pytest.mark.parametrize("method", ["holdout", "union"])
def test_gaps_that_depend_on_which_others_were_seen_are_not_certified(metric, method):
    """Environments e_i without variance along i: those seen pass, all others break the rule, whatever was seen."""
    n, m = 200, 6

    def seen(*which):
        G = [np.diag(np.where(np.arange(n) == i, 1e-6, 1.0)) for i in which]
        c = [each[:, i] for each, i in zip(G, which, strict=True)]
        parts = zip(G, c, which, strict=True)
        scatter = [np.block([[g, b[:, None]], [b[None], np.array([[b[i] + 1.0]])]]) for g, b, i in parts]
        return Moments({"x": n, "y": 1}, mean=np.zeros((len(which), n + 1)), scatter=scatter)

    rule = (np.eye(n), np.zeros(n), 0.0)
    six, seven = (invariance_gaps(seen(*range(k)), *rule, metric="coefficient") for k in (m, m + 1))
    assert six.max() < 0.92 < seven.min()
    with pytest.raises(ValueError, match=f"{method} is not proved for metric='{metric}'.*which others were seen"):
        certify(rule, seen(*range(m)), eps=0.92, metric=metric, method=method, class_size=1)


@pytest.mark.parametrize("metric", ["excess", "relative_excess", "gradient", "risk_range"])
def test_sentences_are_short_and_explain_the_unit(metric):
    moments = textbook_sem("chain").environments([None, Shift("x1", std=1.0)]).moments()
    held = certify((np.eye(2)[:1], [1.0], 0.0), moments, eps=0.05, metric=metric, method="holdout")
    lines = held.explain(noun="country").split("\n")
    assert max(map(len, lines)) <= 80
    assert "new countries break this rule" in lines[0]
    assert metric.replace("_", " ").removesuffix("icient") in held.explain().replace("\n ", "")
    if metric == "relative_excess":
        assert "5% more mean squared error than" in " ".join(held.explain().split())
    summary = str(held.summary())
    assert "of which 2 shown to keep it" in " ".join(summary.split())
    assert held.to_frame()["failed"].item() == 0
    with pytest.raises(ValueError, match="noun must be a word"):
        held.explain(noun="")


# -- rules that predict nothing, far from the origin, and declarations that exact moments refute -----------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_rule_that_is_not_finite_is_refused(bad):
    X, y, e = textbook_sem("chain").environments([None, None]).sample(50, random_state=0)
    for rule in ((np.eye(2), [1.0, 0.0], bad), (np.eye(2), [bad, 0.0], 0.0), ([[bad, 0.0]], [1.0], 0.0)):
        with pytest.raises(ValueError, match="of the rule|intercept must be"):
            certify(rule, X, y, environments=e, eps=0.01, method="holdout", plug_in=True)


def test_unfitted_rules_infinite_tolerances_and_certainty_are_refused():
    X, y, e = textbook_sem("chain").environments([None, None]).sample(50, random_state=0)
    for unfitted in (InvariantSubsetSelector(), LinearRegression(), make_pipeline(StandardScaler(), Ridge())):
        with pytest.raises(NotFittedError):
            certify(unfitted, X, y, environments=e, eps=0.1, method="two_level")
    with pytest.raises(ValueError, match="eps must be finite"):
        certify((np.eye(2), [1.0, 0.0], 0.0), X, y, environments=e, eps=np.inf, method="two_level")
    for level in (0, 1):
        with pytest.raises(ValueError, match="must be a number > 0 and < 1"):
            violation_bound(5, method="holdout", confidence_level=level)


def test_time_in_seconds_since_1970_leaves_the_certificate_alone():
    """One rule as a pipeline, an estimator, a tuple and a `LinearRule`: the same certificate, gaps to 1e-9."""
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(1.7e9, 1e3, 8500), rng.normal(size=8500)]
    y = (X[:, 0] - 1.7e9) / 1e3 + X[:, 1] + rng.normal(size=8500)
    old, new, e = slice(500), slice(500, None), np.repeat(np.arange(4), 2000)
    pipe = make_pipeline(StandardScaler(), LinearRegression()).fit(X[old], y[old])
    plain = LinearRegression().fit(X[old], y[old])
    tuples = (np.eye(2), plain.coef_, plain.intercept_)
    rules = pipe, plain, tuples, LinearRule(plain.coef_, plain.intercept_)
    moments = Moments.from_rows(x=X[new], y=y[new], environments=e)
    gaps = [rule_gaps(rule_of(rule, moments), moments, "relative_excess") for rule in rules]
    np.testing.assert_allclose(gaps, np.broadcast_to(gaps[1], (4, 4)), rtol=0, atol=1e-9)
    for method, options in {
        "two_level": {},
        "bounded": {"residual_bound": 6.0},
        "kurtosis": {"kurtosis": 3.0},
        "holdout": {"plug_in": True},
    }.items():
        asked = {"environments": e, "eps": 0.5 if method != "holdout" else float(np.median(gaps[0])), "method": method}
        found = [certify(rule, X[new], y[new], **asked, **options) for rule in rules]
        assert found[0].violations == (2 if method == "holdout" else 0)
        for each in found:
            said = X[new] @ np.asarray(each.coef) + each.intercept
            np.testing.assert_allclose(said, pipe.predict(X[new]), atol=1e-5)
            assert each.violations == found[0].violations
            assert each.violation_upper == pytest.approx(found[0].violation_upper, rel=1e-9)
            np.testing.assert_allclose(*([v for _, v in one.details] for one in (each, found[0])), rtol=1e-9)


def test_a_linear_rule_keeps_its_own_representation():
    components = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    rule = LinearRule([2.0, 2.0, 0.0], 1.0, components)
    assert rule_of(rule) is rule
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(400, 3)), np.repeat([0, 1], 200)
    moments = Moments.from_rows(x=X, y=X[:, 0] + rng.normal(size=400), environments=e)
    as_tuple = rule_of((components, [2.0, 0.0], 1.0))
    np.testing.assert_allclose(*(rule_gaps(each, moments, "excess") for each in (rule, as_tuple)))


def test_exact_moments_refute_two_sites_at_once_and_a_false_baseline():
    chain = textbook_sem("chain")
    one = ScaleNoise("x1", 2.0)
    moments = chain.environments([None, one, ScaleNoise("x1", 2.0) + ScaleNoise("x2", 3.0)]).moments()
    model = InvariantSubsetSelector(eps=1.0).fit_moments(moments)
    family = single(["x1", "x2"])
    with pytest.raises(ValueError, match="adds variance in 2 directions"):
        model.certify(method="beta_sites", family=family, baseline=0)
    model = InvariantSubsetSelector(eps=1.0).fit_moments(chain.environments([None, one]).moments())
    with pytest.raises(ValueError, match="is no baseline"):
        model.certify(method="beta_sites", family=family, baseline=1)
    assert model.certify(method="beta_sites", family=family, baseline=0).n_interventions == 1


def test_exact_moments_refute_other_kinds():
    chain = textbook_sem("chain")

    def fitted(*interventions):
        return InvariantSubsetSelector(eps=50.0).fit_moments(chain.environments([None, *interventions]).moments())

    def declared(kind):
        return InterventionFamily(["x1"], kind=kind)

    moved, spread = fitted(Shift("x1", mean=1.0)), fitted(Shift("x1", std=1.0))
    both = fitted(Shift("x1", mean=1.0, std=1.0))
    calm = fitted(ScaleNoise("x1", 0.5))
    with pytest.raises(ValueError, match="differ in means, and interventions of kind 'variance' move none"):
        moved.certify(method="vc", family=declared("variance"))
    for model in (spread, both):
        with pytest.raises(ValueError, match="differ in covariances, and interventions of kind 'shift'"):
            model.certify(method="vc", family=declared("shift"))
    with pytest.raises(ValueError, match="is no baseline"):
        calm.certify(method="vc", family=declared("random_shift"), baseline=0)
    for model, kind in ((moved, "shift"), (spread, "variance"), (both, "random_shift"), (moved, "random_shift")):
        assert model.certify(method="vc", family=declared(kind), baseline=0).n_interventions == 1


def test_a_tolerance_must_be_finite_in_training_too(trained):
    _, family, _, model = trained
    with pytest.raises(ValueError, match="eps must be finite"):
        model.certify(method="beta_sites", family=family, baseline=0, eps=np.inf)


def test_of_several_minimax_rules_the_one_of_least_norm_is_taken():
    """Two environments, where x2 is constant, fix the slope on x1 and the level .25; a third, of noise 64 and slope 5
    on x2, reaches that level for every slope on x2 from 1 to 9."""

    def cov(slope, spread, slope_2, noise):
        xx = np.diag([1.0, spread])
        w = np.array([slope, slope_2 * (spread > 0)])
        return np.block([[xx, (xx @ w)[:, None]], [(xx @ w)[None], np.array([[w @ xx @ w + noise]])]])

    scatter = [cov(0.5, 0.0, 0.0, 1.0), cov(1.5, 0.0, 0.0, 1.0), cov(1.0, 1.0, 5.0, 64.0)]
    rule, level = minimax_rule(Moments({"x": 2, "y": 1}, mean=np.zeros((3, 3)), scatter=scatter), np.eye(2))
    assert level == pytest.approx(0.25, rel=1e-4)
    np.testing.assert_allclose(rule, [0.0, 1.0, 1.0], atol=1e-2)


@pytest.mark.parametrize(("pvalue", "warned"), [(0.0099, True), (0.0101, False)])
def test_the_level_at_which_the_target_is_suspected(pvalue, warned, monkeypatch):
    X, y, e = textbook_sem("chain").environments([None, None]).sample(50, random_state=0)
    monkeypatch.setattr(
        "causalinv.invariance.certificates._declared.residual_pvalues", lambda sets, counts: np.full(len(sets), pvalue)
    )
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        suspect_target(Moments.from_rows(x=X, y=y, environments=e))
    assert bool(found) == warned


def test_box_speaks_of_the_environments_that_trained(trained):
    _, family, _, model = trained
    other = random_sem(8, expected_degree=3.0, random_state=9)
    strange = single(choose_sites(other, 2, where="markov_blanket", random_state=0))
    for wrong in (
        strange.environments(other, 300, baseline=True, random_state=0),
        strange.environments(other, 60, baseline=True, random_state=0),
    ):
        with pytest.raises(ValueError, match="does not have the moments that trained"):
            model.certify(method="box", family=family, environment_set=wrong)


def test_slightly_outside_the_hull_is_outside():
    chain = textbook_sem("chain")
    model = InvariantSubsetSelector(eps=1.0).fit_moments(chain.environments([None, Shift("x1", std=1.0)]).moments())
    model.certify(method="hull", new=chain.environments([Shift("x1", std=0.7)]).moments(), eps=1.0)
    with pytest.raises(ValueError, match="outside the convex hull"):
        model.certify(method="hull", new=chain.environments([Shift("x1", std=1.001)]).moments(), eps=1.0)


def test_the_target_is_rarely_suspected_where_nothing_acts_on_it():
    environments = textbook_sem("chain").environments([None, Shift("x1", std=3.0), Shift("x2", std=3.0)])
    suspected = 0
    for seed in range(60):
        X, y, e = environments.sample(200, random_state=seed)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            suspect_target(Moments.from_rows(x=X, y=y, environments=e))
        suspected += any(issubclass(each.category, TargetInterventionWarning) for each in found)
    assert suspected <= 5  # at level .01
