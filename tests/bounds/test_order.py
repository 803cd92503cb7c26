"""Order is law: small data sets of every kind, every door; a covering sample, and 10,000 of them when asked."""

import warnings
from itertools import pairwise, product

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB

from causalinv.bounds import Divergence, FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds
from causalinv.bounds._divergences import as_divergence

KINDS, EXTRAS = ("normal", "binary", "tied", "heavy"), ("none", "weights", "clusters")
ESTIMANDS = ("mean", "ate", "att", "overlap")
TINY = 1e-9


def data(seed, kind, extra):
    r = np.random.default_rng(seed)
    n = int(r.integers(24, 60))
    x = r.normal(size=(n, 2))
    t = (r.random(n) < 1 / (1 + np.exp(-r.choice([0.0, 1.0, 2.0]) * x[:, 0]))).astype(int)
    t[:12] = np.arange(12) % 2
    y = x[:, 0] + {"heavy": r.standard_t(2, size=n)}.get(kind, r.normal(size=n))
    y = {"binary": (y > 0).astype(float), "tied": np.round(y)}.get(kind, y)
    more = {"none": {}, "weights": {"sample_weight": r.uniform(0.2, 3, n)}, "clusters": {"groups": np.arange(n) // 2}}
    return x, y, {"treatment": t, **more[extra]}


def violations(seed, kind, extra):
    """What is out of order in one data set."""
    x, y, given = data(seed, kind, extra)
    support = (min(y.min(), 0.0) - 0.5 * (kind != "binary"), max(y.max(), 1.0) + 0.5 * (kind != "binary"))
    law = ("kernel", "knn", "forest", "pooled")[seed % 4]
    fast = {"law": law, "cv": 2, "random_state": seed, "outcome_support": support}
    unit = support[1] - support[0]
    found = []

    def check(name, smaller, larger):
        if not (np.asarray(smaller) <= np.asarray(larger) + TINY * unit).all():
            found.append((seed, kind, extra, law, name))

    model = SensitivityBounds(**fast).fit(x, y, **given)
    estimand = ESTIMANDS[seed % 4]
    asked = [1.0, 1.37, 2.0, 8.0]
    tables = [
        model.average_bounds(estimand, arm=1, odds_ratio=asked, confidence_level=c, where=w)
        for c, w in ((0.9, None), (0.95, None), (0.95, x[:, 1] > -0.3))
    ]
    floor, ceiling = (support[0], support[1]) if estimand == "mean" else (-unit, unit)
    for each in tables:
        frame = each.table
        for low, high in (("lower", "upper"), ("ci_lower", "ci_upper")):
            check(f"{low} nests", frame[low].to_numpy()[1:], frame[low].to_numpy()[:-1])
            check(f"{high} nests", frame[high].to_numpy()[:-1], frame[high].to_numpy()[1:])
            check("support", floor, frame[low])
            check("support", frame[high], ceiling)
        check("inside Manski", frame["manski_lower"], frame["lower"])
        check("inside Manski", frame["upper"], frame["manski_upper"])
        check("interval holds ends", frame["ci_lower"], frame["lower"])
        check("interval holds ends", frame["upper"], frame["ci_upper"])
        check("not NaN", 0.0, np.where(np.isfinite(frame.to_numpy()), 1.0, -1.0))
    check("level", tables[1].table["ci_lower"], tables[0].table["ci_lower"])
    check("level", tables[0].table["ci_upper"], tables[1].table["ci_upper"])
    points = [model.predict_bounds(None, arm=1, odds_ratio=odds) for odds in asked]
    for small, large in pairwise(points):
        check("pointwise", large.lower, small.lower)
        check("pointwise", small.upper, large.upper)
    check("pointwise Manski", points[-1].manski_lower, points[-1].lower)
    divergences = ["chi2", "kl", "hellinger", "js", "tv"]
    balls = FDivergenceBounds(divergence=divergences, aggregation="none", **fast).fit(x, y, **given)
    average, at = balls.average_bounds("mean", arm=1).table, balls.predict_bounds(None, arm=1)
    check("ball holds Manski", average["lower"], average["manski_lower"])
    check("ball holds Manski", average["manski_upper"], average["upper"])
    check("ball in support", average["upper"], support[1])
    for tight, wide in (("chi2", "kl"), ("kl", "hellinger"), ("chi2", "js")):
        check(f"{tight} in {wide}", at[tight].upper, at[wide].upper)
        check(f"{tight} in {wide}", at[wide].lower, at[tight].lower)
    plain = ManskiBounds(outcome_support=support).fit(x, y, **given).average_bounds("mean", arm=1)
    check("Manski's own", average["lower"], plain.lower)
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("i", "cell"), list(enumerate(product(KINDS, EXTRAS))))
def test_order_in_a_covering_sample(i, cell):
    """Every kind with every extra; laws and estimands in turn."""
    assert violations(i, *cell) == []


@pytest.mark.slow
def test_order_in_ten_thousand_data_sets():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells = list(product(KINDS, EXTRAS))
        found = [each for seed in range(10_000) for each in violations(seed, *cells[seed % 12])]
    assert found == []


def test_interval_of_an_f_ball_moves_outward_with_its_end(monkeypatch):
    """Ends that came out inside Manski's become his, and their limits go as far."""
    r = np.random.default_rng(0)
    y, treatment = r.random(300), np.arange(300) % 2
    model = FDivergenceBounds(outcome_support=(-9.0, 9.0), cv=2, random_state=0).fit(None, y, treatment=treatment)
    inside = r.normal(size=300)
    monkeypatch.setattr(model, "_terms", lambda *_: (inside - 1.0, inside + 1.0))
    line = model.average_bounds("mean", arm=1).table.iloc[0]
    manski = [np.where(treatment == 1, y, end).mean() for end in (-9.0, 9.0)]
    assert (line.lower, line.upper) == (pytest.approx(manski[0]), pytest.approx(manski[1]))
    error = inside.std(ddof=1) / np.sqrt(300)
    assert line.ci_lower == pytest.approx(manski[0] - 1.644854 * error, rel=1e-4)
    assert line.ci_upper == pytest.approx(manski[1] + 1.644854 * error, rel=1e-4)


def test_average_balls_nest_over_separate_questions():
    """chi2 in kl in hellinger, chi2 and kl in js, of the sample: ends and, from there, never shorter beyond them."""
    for seed in range(6):
        x, y, given = data(seed, KINDS[seed % 4], EXTRAS[seed % 3])
        support = (float(y.min()) - 0.1, float(y.max()) + 0.1)
        fast = {"law": "kernel", "cv": 2, "random_state": 0, "outcome_support": support}
        ends = {}
        for name in ("chi2", "kl", "js", "hellinger"):
            ends[name] = FDivergenceBounds(divergence=name, **fast).fit(x, y, **given).average_bounds("mean", arm=1)
        for small, large in (("chi2", "kl"), ("kl", "hellinger"), ("chi2", "hellinger"), ("kl", "js")):
            assert ends[large].lower <= ends[small].lower + TINY
            assert ends[large].upper >= ends[small].upper - TINY
            assert ends[large].conf_int[0] <= ends[large].lower
            assert ends[large].conf_int[1] >= ends[large].upper


def test_a_ball_takes_the_ends_of_a_smaller_one_that_reach_further(monkeypatch):
    """Scores of the larger ball are put half a unit inside those of the smaller one."""
    x, y, given = data(0, KINDS[0], EXTRAS[0])
    fast = {
        "law": "kernel",
        "cv": 2,
        "random_state": 0,
        "outcome_support": (float(y.min()) - 9.0, float(y.max()) + 9.0),
    }
    own = FDivergenceBounds._arm_scores

    def out_of_order(self, repeat, arm, divergence):
        low, high = own(self, repeat, arm, as_divergence("chi2"))
        by = 0.5 * (divergence.name == "kl")
        return low + by, high - by

    monkeypatch.setattr(FDivergenceBounds, "_arm_scores", out_of_order)
    small, large = (
        FDivergenceBounds(divergence=name, **fast).fit(x, y, **given).average_bounds("mean", arm=1)
        for name in ("chi2", "kl")
    )
    assert (large.lower, large.upper) == (pytest.approx(small.lower), pytest.approx(small.upper))
    assert large.conf_int == pytest.approx(small.conf_int)


def test_a_divergence_of_yours_is_not_taken_for_a_known_one():
    x, y, given = data(1, "normal", "none")
    law = {"law": "kernel", "cv": 2, "random_state": 0, "outcome_support": (y.min() - 0.1, y.max() + 0.1)}
    tight = Divergence(lambda t: (t - 1) ** 4, name="hellinger")
    named = FDivergenceBounds(divergence=tight, **law).fit(x, y, **given).average_bounds("mean", arm=1)
    other = Divergence(lambda t: (t - 1) ** 4, name="mine")
    mine = FDivergenceBounds(divergence=other, **law).fit(x, y, **given).average_bounds("mean", arm=1)
    assert (named.lower, named.upper) == (mine.lower, mine.upper)


# -- doors that the sets above do not have -------------------------------------------------------------------------


@pytest.mark.parametrize("estimand", ["ate", "mean"])
def test_curves_stay_inside_manskis(estimand):
    """Ends lay outside the Manski ends of the same row, by up to .84 of the outcome's range."""
    x, y, given = data(3, "binary", "none")
    ask = {"odds_ratio": 3.0, "estimand": estimand, "arm": 1, "grid": np.quantile(x[:, 0], [0.0, 0.3, 0.7, 1.0])}
    if estimand == "ate":
        ask["control"] = 0
    model = SensitivityBounds(law="kernel", cv=2, random_state=0, propensity=GaussianNB()).fit(x, y, **given)
    found = model.conditional_bounds(0, **ask).table
    raw = [end - manski for end, manski in ((found.lower, found.manski_lower), (found.manski_upper, found.upper))]
    assert np.min(raw) == 0.0  # where it bites
    assert (found.ci_lower <= found.lower).all()
    assert (found.upper <= found.ci_upper).all()
    assert (found.lower <= found.upper).all()
    assert any(model.conditional_bounds(0, **ask).moved)


@pytest.mark.filterwarnings(
    "ignore::causalinv.exceptions.OverlapWarning", "ignore::causalinv.exceptions.DegenerateInputWarning"
)
def test_ends_of_quantiles_stay_inside_manskis_on_both_sides():
    """Where propensities are extreme an estimated upper end lay below Manski's lower one."""
    rng = np.random.default_rng(0)
    for seed in range(12):
        x, y, given = data(seed, "normal", "weights")
        treatment = (x[:, 0] + 0.3 * rng.normal(size=len(x)) > 0).astype(int)
        model = QuantileBounds(law="marginal", cv=2, random_state=0, propensity=GaussianNB())
        model.fit(x, y, treatment=treatment, sample_weight=given["sample_weight"] ** 4)
        for arm in (0, 1):
            found = model.population_bounds(arm=arm, odds_ratio=1.5, tau=[0.2, 0.4, 0.6, 0.8]).table
            assert (found.manski_lower <= found[["lower", "upper"]].min(axis=1)).all()
            assert (found[["lower", "upper"]].max(axis=1) <= found.manski_upper).all()


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_the_order_of_rows_that_differ_in_weight_or_cluster_alone_changes_nothing():
    """Without covariates a 0/1 outcome ties: folds went by the order of rows, and ends moved by .14."""
    _, y, given = data(5, "binary", "weights")
    given["groups"] = np.random.default_rng(0).integers(12, size=len(y))
    shuffled = np.random.default_rng(1).permutation(len(y))
    for leave in ("groups", "sample_weight"):
        beside = {k: v for k, v in given.items() if k != leave}
        found = [
            SensitivityBounds(cv=2, random_state=0)
            .fit(None, y[rows], **{k: v[rows] for k, v in beside.items()})
            .average_bounds(odds_ratio=2.0)
            .table.to_numpy()
            for rows in (np.arange(len(y)), shuffled)
        ]
        np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-9)


def test_bands_hold_the_intervals_of_both_ends():
    """Of one odds ratio the multipliers' quantile is one-sided, and was less than that of both ends."""
    x, y, given = data(1, "heavy", "none")
    model = SensitivityBounds(law="kernel", cv=2, random_state=0).fit(x, y, **given)
    both, band = (model.average_bounds(odds_ratio=[4.0], target=t).conf_int for t in ("set", "band"))
    assert band[0] <= both[0]
    assert both[1] <= band[1]
