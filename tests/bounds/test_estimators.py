"""The estimators: questions, compositions, truths, and what they say about themselves."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds, cap_bounds
from causalinv.bounds._contrast import Contrast
from causalinv.datasets import make_confounded_treatment
from causalinv.exceptions import BoundsCrossingWarning, ObservedSupportWarning, UnboundedOutcomeWarning

DATA = make_confounded_treatment(1500, random_state=0)
ATTAINED = make_confounded_treatment(6000, kind="attained", odds_ratio=2.0, random_state=1)


def fitted(cls, data=DATA, **params):
    fast = {} if cls is ManskiBounds else {"law": "kernel", "cv": 2}
    if cls is ManskiBounds:
        fast = {"outcome": LinearRegression()}
    model = cls(**(fast | {"random_state": 0} | params))
    return model.fit(data.X, data.y, treatment=data.treatment)


@pytest.fixture(scope="module")
def sensitivity():
    return fitted(SensitivityBounds, outcome_support=(0, 1))


@pytest.fixture(scope="module")
def f_divergence():
    return fitted(FDivergenceBounds, outcome_support=(0, 1))


@pytest.fixture(scope="module")
def attained():
    return fitted(SensitivityBounds, ATTAINED)


# -- Manski ------------------------------------------------------------------------------------------------------------


def test_manski_averages_are_ordinary_means():
    y, a = DATA.y, DATA.treatment == 1
    model = fitted(ManskiBounds, outcome_support=(-1, 3))
    for arm, inside in ((1, a), (0, ~a)):
        bounds = model.average_bounds("mean", arm=arm)
        upper = np.where(inside, y, 3.0)
        assert bounds.upper == pytest.approx(upper.mean())
        assert bounds.se_upper == pytest.approx(upper.std(ddof=1) / np.sqrt(len(y)))
        assert bounds.lower == pytest.approx(np.where(inside, y, -1.0).mean())
    ate = model.average_bounds("ate")
    assert ate.upper == pytest.approx((np.where(a, y, 3.0) - np.where(a, -1.0, y)).mean())
    assert ate.upper - ate.lower == pytest.approx(4.0)
    assert "always contains 0" in str(ate)
    att = model.average_bounds("att")
    assert (att.lower, att.upper) == (pytest.approx(y[a].mean() - 3.0), pytest.approx(y[a].mean() + 1.0))


@pytest.mark.parametrize("cls", [ManskiBounds, SensitivityBounds, FDivergenceBounds])
def test_policies_mix_arms(cls):
    model = fitted(cls, outcome_support=(0, 1))
    ask = {"odds_ratio": 1.7} if cls is SensitivityBounds else {}
    one, zero = (model.average_bounds("mean", arm=arm, **ask) for arm in (1, 0))
    always = model.average_bounds("policy", policy=lambda X: np.ones(len(X)), **ask)
    assert (always.lower, always.upper) == (pytest.approx(one.lower), pytest.approx(one.upper))
    assert always.se_upper == pytest.approx(one.se_upper)
    coin = model.average_bounds("policy", policy=lambda X: np.full((len(X), 2), 0.5), **ask)
    assert coin.lower == pytest.approx((one.lower + zero.lower) / 2)
    sharp = model.average_bounds("policy", policy=lambda X: X[:, 0] > 0, **ask)
    assert sharp.lower <= sharp.upper


def test_weights_are_repetitions_and_groups_widen():
    repeated = np.repeat(np.arange(1500), np.arange(1500) % 3 + 1)
    twice = ManskiBounds(outcome_support=(0, 1), outcome=LinearRegression()).fit(
        DATA.X[repeated], DATA.y[repeated], treatment=DATA.treatment[repeated], groups=repeated
    )
    weighted = ManskiBounds(outcome_support=(0, 1), outcome=LinearRegression()).fit(
        DATA.X, DATA.y, treatment=DATA.treatment, sample_weight=np.arange(1500) % 3 + 1
    )
    for estimand in ("mean", "ate", "att"):
        a, b = twice.average_bounds(estimand), weighted.average_bounds(estimand)
        np.testing.assert_allclose([a.lower, a.upper], [b.lower, b.upper], rtol=1e-9)
        assert a.se_upper == pytest.approx(b.se_upper, rel=1e-3)  # CR2 of clusters of 1 to 3 rows
    np.testing.assert_allclose(twice.predict_bounds(DATA.X[:5]).lower, weighted.predict_bounds(DATA.X[:5]).lower)


def test_weights_reach_propensity_and_law():
    """Rows of weight zero change nothing but the folds; with one fold's worth of repeats the pointwise ends agree."""
    keep = np.arange(1500) % 5 > 0
    weighted = SensitivityBounds(law="kernel", random_state=0).fit(
        DATA.X[keep], DATA.y[keep], treatment=DATA.treatment[keep], sample_weight=np.full(keep.sum(), 2.5)
    )
    plain = SensitivityBounds(law="kernel", random_state=0).fit(
        DATA.X[keep], DATA.y[keep], treatment=DATA.treatment[keep]
    )
    a, b = (m.predict_bounds(DATA.X[:20], odds_ratio=2.0) for m in (weighted, plain))
    np.testing.assert_allclose(a.upper, b.upper, atol=2e-3)  # a constant weight only changes the logistic penalty
    extra = np.r_[np.ones(keep.sum()), np.zeros(300)]
    order = np.r_[np.flatnonzero(keep), np.flatnonzero(~keep)]
    zero = SensitivityBounds(law="marginal", propensity=DummyClassifier(), random_state=0).fit(
        DATA.X[order], DATA.y[order], treatment=DATA.treatment[order], sample_weight=extra
    )
    inside = DATA.treatment[keep] == 1
    expected = cap_bounds(DATA.y[keep][inside], inside.mean(), odds_ratio=2.0)
    found = zero.predict_bounds(DATA.X[:1], odds_ratio=2.0)
    np.testing.assert_allclose([found.lower[0], found.upper[0]], expected, atol=2e-3)  # binned atoms


# -- sensitivity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [0, 1])
def test_at_the_attained_boundary_the_upper_end_is_the_truth(attained, arm):
    bounds = attained.average_bounds("mean", arm=arm, odds_ratio=[1.0, 2.0])
    truth = ATTAINED.mean[:, arm].mean()
    own = ATTAINED.arm_mean[:, arm].mean()  # means over the sample's x: only y and A are random
    assert abs(bounds.upper[1] - truth) < 4.5 * bounds.se_upper[1]
    assert abs(bounds.lower[0] - own) < 4.5 * bounds.se_lower[0]
    assert bounds.upper[1] - bounds.lower[0] > 10 * bounds.se_upper[1]  # the test can tell these apart
    assert abs(bounds.lower[1] - (2 * own - truth)) < 4.5 * bounds.se_lower[1]  # the law is symmetric
    assert bounds.lower[0] == pytest.approx(bounds.upper[0], abs=1e-9)


def test_effects_at_the_boundary(attained):
    shift = ATTAINED.mean - ATTAINED.arm_mean
    ate = attained.average_bounds("ate", odds_ratio=2.0)
    truth = (ATTAINED.arm_mean[:, 1] + shift[:, 1] - ATTAINED.arm_mean[:, 0] + shift[:, 0]).mean()
    assert abs(ate.upper - truth) < 4.5 * ate.se_upper
    att = attained.average_bounds("att", odds_ratio=2.0)
    treated = ATTAINED.treatment == 1
    hidden = (shift[:, 0] / ATTAINED.propensity)[treated].mean()  # (mean of R) - (mean of P) for arm 0
    middle = (ATTAINED.arm_mean[:, 1] - ATTAINED.arm_mean[:, 0])[treated].mean()
    assert abs(att.lower - (middle - hidden)) < 4.5 * att.se_lower
    assert abs(att.upper - (middle + hidden)) < 4.5 * att.se_upper


def test_the_propensity_mends_a_wrong_law():
    """Without hidden confounding and with a law that ignores x: means and the effect on the treated stay right."""
    data = make_confounded_treatment(6000, kind="attained", odds_ratio=1.0, random_state=2)
    model = fitted(SensitivityBounds, data, law="marginal")
    att = model.average_bounds("att", odds_ratio=1.0)
    effect = data.arm_mean[:, 1] - data.arm_mean[:, 0]
    assert abs(att.lower - effect[data.treatment == 1].mean()) < 4.5 * att.se_lower
    naive = data.y[data.treatment == 1].mean() - data.y[data.treatment == 0].mean()
    assert naive - att.lower > 5 * att.se_lower
    mean = model.average_bounds("mean", arm=0, odds_ratio=1.0)
    assert abs(mean.lower - data.arm_mean[:, 0].mean()) < 4.5 * mean.se_lower


def test_odds_ratio_is_a_density_ratio_and_grids_are_rows(sensitivity):
    grid = sensitivity.average_bounds("ate", odds_ratio=[1.0, 1.5, 4.0])
    assert grid.conf_int.shape == (3, 2)
    assert grid.to_frame().index.tolist() == [1.0, 1.5, 4.0]
    for row, strength in enumerate((1.0, 1.5, 4.0)):
        single = sensitivity.average_bounds("ate", density_ratio=(1 / strength, strength))
        assert single.lower == pytest.approx(grid.lower[row])
        np.testing.assert_allclose(single.conf_int, grid.conf_int[row])
    assert (np.diff(grid.upper) > 0).all()
    table = grid.to_frame()
    assert (table["manski_lower"] <= table["lower"]).all()
    assert (table["upper"] <= table["manski_upper"]).all()
    one_sided = sensitivity.average_bounds("mean", density_ratio=(0.0, 4.0))
    assert one_sided.upper >= sensitivity.average_bounds("mean", odds_ratio=4.0).upper


def test_breakdown_is_where_the_ends_arrive(sensitivity):
    found = sensitivity.breakdown(0.55, estimand="mean")
    assert sensitivity.average_bounds("mean", odds_ratio=found["estimate"]).upper == pytest.approx(0.55, abs=1e-5)
    around = [found["interval"] * (1 + step) for step in (-1e-6, 1e-6)]  # printed intervals hold the next rung's
    before, after = (sensitivity.average_bounds("mean", odds_ratio=odds).conf_int[1] for odds in around)
    assert before < 0.55 < after
    assert 1 < found["interval"] < found["estimate"]
    low = sensitivity.breakdown(0.45, estimand="mean")
    assert sensitivity.average_bounds("mean", odds_ratio=low["estimate"]).lower == pytest.approx(0.45, abs=1e-5)
    middle = sensitivity.average_bounds("mean", odds_ratio=1.0).lower
    assert sensitivity.breakdown(middle, estimand="mean")["interval"] == 1.0
    assert sensitivity.breakdown(2.0, estimand="mean")["estimate"] == np.inf


def test_benchmark_is_the_change_of_odds_without_a_covariate():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"strong": rng.normal(size=4000), "idle": rng.normal(size=4000), "mild": rng.normal(size=4000)})
    logits = 1.5 * X["strong"] + 0.3 * X["mild"]
    a = rng.random(4000) < 1 / (1 + np.exp(-logits))
    model = SensitivityBounds(law="marginal", random_state=0).fit(X, X["mild"], treatment=a)
    table = model.benchmark()
    assert table.index.tolist() == ["strong", "idle", "mild"]
    assert table.loc["idle", "max"] < 1.3
    assert table.loc["mild", "q95"] == pytest.approx(np.exp(0.3 * 1.96), rel=0.15)
    assert table.loc["strong", "q95"] > 5
    both = model.benchmark([["idle", "mild"]])
    assert both.loc["idle, mild", "q95"] == pytest.approx(table.loc["mild", "q95"], rel=0.1)
    pd.testing.assert_frame_equal(model.benchmark([0]).set_axis(["strong"]), table.loc[["strong"]], check_names=False)


def test_repeated_cross_fitting_takes_medians(sensitivity):
    many = fitted(SensitivityBounds, n_repeats=4).average_bounds("mean", odds_ratio=2.0)
    once = sensitivity.average_bounds("mean", odds_ratio=2.0)
    assert many.upper != once.upper
    assert abs(many.upper - once.upper) < once.se_upper
    assert many.se_upper == pytest.approx(once.se_upper, rel=0.1)


def test_pointwise_sensitivity_bounds_lie_within_manski_and_shrink_to_nothing(sensitivity):
    two = sensitivity.predict_bounds(DATA.X, odds_ratio=2.0)
    assert (two.manski_lower <= two.lower).all()
    assert (two.upper <= two.manski_upper).all()
    one = sensitivity.predict_bounds(DATA.X, odds_ratio=1.0)
    np.testing.assert_allclose(one.lower, one.upper)
    assert np.abs(one.lower - DATA.arm_mean[:, 1]).mean() < 0.05
    held_out = sensitivity.predict_bounds(None, odds_ratio=2.0)
    np.testing.assert_array_equal(held_out.propensity, sensitivity.oof_propensity_[:, 1])
    assert held_out.to_frame().shape == (1500, 5)


def test_three_arms_with_names():
    rng = np.random.default_rng(3)
    arms = np.array(["low", "mid", "top"])[rng.integers(0, 3, size=600)]
    X = pd.DataFrame(rng.normal(size=(600, 2)), columns=["u", "v"])
    y = (arms == "top") + 0.1 * rng.normal(size=600)
    model = SensitivityBounds(law="kernel", cv=2, random_state=0).fit(X, y, treatment=arms)
    effect = model.average_bounds("ate", arm="top", control="low", odds_ratio=1.0)
    assert effect.lower == pytest.approx(1.0, abs=0.05)
    seen = []

    def policy(frame):
        seen.append(list(frame.columns))
        return np.column_stack([frame["u"] > 0, np.zeros(600), frame["u"] <= 0])

    mixed = model.average_bounds("policy", policy=policy, odds_ratio=1.0)
    assert seen == [["u", "v"]]
    assert mixed.lower == pytest.approx(np.mean(X["u"] <= 0), abs=0.05)
    att = model.average_bounds("att", arm="top", control="mid", odds_ratio=1.5)
    assert att.lower < 1.0 < att.upper


# -- f-divergences -----------------------------------------------------------------------------------------------------


def test_f_bounds_contain_manski_everywhere_and_on_average(f_divergence):
    for X in (None, DATA.X[:50]):
        bounds = f_divergence.predict_bounds(X)
        assert (bounds.lower <= bounds.manski_lower + 1e-12).all()
        assert (bounds.manski_upper <= bounds.upper + 1e-12).all()
    average = f_divergence.average_bounds("mean")
    table = average.to_frame().iloc[0]
    assert table["lower"] < table["manski_lower"] < table["manski_upper"] < table["upper"]
    assert f_divergence.average_bounds("ate").lower < 0 < f_divergence.average_bounds("ate").upper
    assert "never tighter than Manski" in " ".join(str(average).split())


def test_several_divergences_have_no_errors_and_combine():
    names = ["chi2", "tv", "kl"]
    both = fitted(FDivergenceBounds, divergence=names, outcome_support=(0, 1))
    table = both.average_bounds("mean").to_frame()
    assert table.index.tolist() == [*names, "intersection"]
    assert table[["se_lower", "ci_upper"]].isna().all(axis=None)
    assert table.loc["intersection", "upper"] == table["upper"].min()
    assert table.loc["intersection", "lower"] == table["lower"].max()
    loosest = fitted(FDivergenceBounds, divergence=names, aggregation=("kth", 3), outcome_support=(0, 1))
    each = fitted(FDivergenceBounds, divergence=names, aggregation="none", outcome_support=(0, 1))
    single = each.predict_bounds(DATA.X[:9])
    upper = np.array([single[name].upper for name in names])
    np.testing.assert_array_equal(loosest.predict_bounds(DATA.X[:9]).upper, upper.max(axis=0))
    np.testing.assert_array_equal(both.predict_bounds(DATA.X[:9]).upper, upper.min(axis=0))
    assert each.average_bounds("mean").to_frame().index.tolist() == names


def test_regressed_scores_average_to_the_average(f_divergence):
    model = fitted(FDivergenceBounds, outcome_support=(0, 1), final="dr")
    average = f_divergence.average_bounds("mean")
    pointwise = model.predict_bounds(None)
    assert pointwise.upper.mean() == pytest.approx(average.upper, abs=average.se_upper)
    plug_in = f_divergence.predict_bounds(DATA.X)
    assert np.corrcoef(model.predict_bounds(DATA.X).upper, plug_in.upper)[0, 1] > 0.8


def test_alpha_family_and_own_divergence_reach_the_estimator():
    by_name = fitted(FDivergenceBounds, divergence="chi2", outcome_support=(0, 1)).average_bounds("mean")
    by_order = fitted(FDivergenceBounds, divergence=("alpha", 2.0), outcome_support=(0, 1)).average_bounds("mean")
    assert by_order.upper == pytest.approx(by_name.upper, abs=1e-9)


# -- functionals, supports ---------------------------------------------------------------------------------------------


def test_unbounded_outcomes_have_infinite_ends_and_a_reason():
    data = make_confounded_treatment(400, kind="sine", heavy_tails=True, random_state=0)
    for cls in (ManskiBounds, FDivergenceBounds):
        with pytest.warns(UnboundedOutcomeWarning, match="SensitivityBounds"):
            model = fitted(cls, data)
        average = model.average_bounds("mean")
        assert (average.lower, average.upper) == (-np.inf, np.inf)
        np.testing.assert_array_equal(average.conf_int, (-np.inf, np.inf))
        assert np.isposinf(model.predict_bounds(data.X[:3]).upper).all()
        half = fitted(cls, data, outcome_support=(-1e4, np.inf)).average_bounds("mean")
        assert np.isfinite(half.lower)
        assert half.upper == np.inf
        assert np.isfinite(half.conf_int[0])
        cdf = fitted(cls, data, functional=("cdf", 0.0)).average_bounds("mean")
        assert 0 <= cdf.lower < cdf.upper <= 1
        tail = fitted(cls, data, functional=("exceedance", 0.0)).average_bounds("mean")
        assert tail.upper == pytest.approx(1 - cdf.lower, abs=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limited = fitted(SensitivityBounds, data).average_bounds("mean", odds_ratio=2.0)
    assert np.isfinite(limited.conf_int).all()


def test_observed_support_warns_and_depends_on_the_arm():
    with pytest.warns(ObservedSupportWarning, match="biased inward"):
        model = fitted(ManskiBounds, outcome_support="observed")
    for arm in (0, 1):
        own = DATA.y[DATA.treatment == arm]
        np.testing.assert_array_equal(model.outcome_support_[arm], (own.min(), own.max()))
        ends = model.predict_bounds(DATA.X, arm=arm)
        assert ends.lower.min() >= own.min()
        assert ends.upper.max() <= own.max()
        free = (ends.lower > own.min()) & (ends.upper < own.max())  # elsewhere an end was cut at the limit
        assert free.mean() > 0.9
        width = (1 - ends.propensity) * np.ptp(own)
        np.testing.assert_allclose((ends.upper - ends.lower)[free], width[free], atol=1e-9)
    assert "same arm's sample" in str(model.average_bounds("mean"))


def test_functions_of_the_outcome():
    squared = fitted(SensitivityBounds, functional=np.square).average_bounds("mean", odds_ratio=1.5)
    by_hand = SensitivityBounds(law="kernel", cv=2, random_state=0)
    by_hand.fit(DATA.X, DATA.y**2, treatment=DATA.treatment)
    assert squared.upper == pytest.approx(by_hand.average_bounds("mean", odds_ratio=1.5).upper)
    assert "phi(Y)" in squared.estimand


def test_binary_outcome_knows_its_limits():
    y = (DATA.y > 0.5).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ManskiBounds(outcome=LinearRegression()).fit(DATA.X, y, treatment=DATA.treatment)
    np.testing.assert_array_equal(model.outcome_support_, [[0, 1], [0, 1]])
    assert "the outcome is 0 or 1" in model.average_bounds("mean").assumption


# -- quantiles ---------------------------------------------------------------------------------------------------------


def test_conditional_quantiles_invert_cdf_bounds():
    y, a, X = np.round(4 * DATA.y) / 4, DATA.treatment, DATA.X[:100]
    model = QuantileBounds(tau=0.4, law="knn", cv=2, random_state=0).fit(DATA.X, y, treatment=a)
    cuts = np.unique(y[a == 1])
    indicators = [
        SensitivityBounds(functional=("cdf", cut), law="knn", cv=2, random_state=0).fit(DATA.X, y, treatment=a)
        for cut in cuts
    ]
    for strength in (1.0, 1.8, 5.0):
        found = model.predict_bounds(X, odds_ratio=strength)
        cdf = [indicator.predict_bounds(X, odds_ratio=strength) for indicator in indicators]
        most, least = np.array([c.upper for c in cdf]), np.array([c.lower for c in cdf])
        np.testing.assert_allclose(found.lower, cuts[np.argmax(most >= 0.4 - 1e-9, axis=0)])
        np.testing.assert_allclose(found.upper, cuts[np.argmax(least >= 0.4 - 1e-9, axis=0)])
    plain = model.predict_bounds(X)
    e = plain.propensity
    assert np.array_equal(np.isfinite(plain.lower), 1 - e < 0.4)
    assert np.array_equal(np.isfinite(plain.upper), e >= 0.4)


def test_population_quantiles_by_hand_and_their_interval():
    tau, n = 0.5, 400
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        a = (rng.random(n) < 0.8).astype(int)
        y = rng.exponential(size=n)
        model = QuantileBounds(tau=tau, law="marginal", propensity=DummyClassifier(), cv=2)
        bounds = model.fit(np.zeros((n, 1)), y, treatment=a).population_bounds()
        upper = -np.log(1 - tau / 0.8)  # quantile of order tau / e of the exponential law
        covered += bounds.conf_int[1] >= upper
    assert covered >= binom.ppf(1e-4, 100, 0.975)
    ordered = np.sort(np.where(a == 1, y, np.inf))
    assert bounds.upper == ordered[int(np.ceil(tau * n)) - 1]


# -- what is said ------------------------------------------------------------------------------------------------------


def test_crossing_ends_are_kept_and_warned_about(sensitivity, monkeypatch):
    contrast = Contrast(sensitivity._rows, "mean", "mean", arm=1)
    n = len(DATA.y)
    high, low = np.full(n, 0.4), np.full(n, 0.6)
    high[0], low[0] = 0.0, 1.0
    monkeypatch.setattr(sensitivity, "_terms", lambda *_: (low, high))
    with pytest.warns(BoundsCrossingWarning, match="lies above the upper one"):
        line = sensitivity._average(contrast, None, 0.95, "parameter")
    assert line["lower"] > line["upper"]
    assert line["ci_lower"] == pytest.approx(line["lower"] - 1.959964 * line["se_lower"])


def test_results_name_estimand_assumption_and_manski(sensitivity):
    result = sensitivity.average_bounds("ate", odds_ratio=2.0)
    text, page = str(result), result._repr_html_()
    for part in ("mean of Y under arm 1 minus that under 0", "said by you", "factor of at most 2", "manski_lower"):
        assert part in text
        assert part in page
    assert "without standard errors" in str(sensitivity.predict_bounds(DATA.X[:3], odds_ratio=2.0))
    both = sensitivity.average_bounds("ate", odds_ratio=2.0, target="set")
    assert both.conf_int[1] > result.conf_int[1]
    assert "95% interval for both ends at once" in str(both)
    assert "95% interval for the estimand" in " ".join(text.split())
    assert sensitivity.average_bounds("ate", odds_ratio=2.0, confidence_level=0.5).conf_int[1] < result.conf_int[1]


@pytest.mark.parametrize("kind", ["beta", "adverse", "attained", "sine"])
def test_simulated_truth_is_what_the_potential_outcomes_average_to(kind):
    data = make_confounded_treatment(200_000, kind=kind, odds_ratio=3.0, random_state=5)
    for arm in (0, 1):
        own = data.treatment == arm
        for rows, expected in ((np.ones(len(own), bool), data.mean), (own, data.arm_mean)):
            gap = (data.potential[:, arm] - expected[:, arm])[rows]
            assert abs(gap.mean()) < 4.5 * gap.std() / np.sqrt(rows.sum())
            if kind != "attained":  # also where the first covariate is large
                part = gap[data.X[rows, 0] > 1.0]
                assert abs(part.mean()) < 4.5 * part.std() / np.sqrt(len(part))
        np.testing.assert_array_equal(data.y[own], data.potential[own, arm])
    assert abs((data.treatment - data.propensity).mean()) < 4.5 * 0.5 / np.sqrt(200_000)
    if kind == "adverse":  # near Manski's end: e m + (1 - e) times nearly one
        manski = data.propensity * data.arm_mean[:, 1] + 1 - data.propensity
        np.testing.assert_allclose(manski - data.mean[:, 1], 0.05 * (1 - data.propensity))
