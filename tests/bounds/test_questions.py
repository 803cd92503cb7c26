"""Which rows a question is about, what X may be, what is fitted when, and what one screen says."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds, _benchmark
from causalinv.exceptions import DegenerateInputWarning

FAST = {"law": "kernel", "cv": 2, "random_state": 0}


def data(n=400, seed=0, slope=1.0):
    r = np.random.default_rng(seed)
    X = r.normal(size=(n, 2))
    t = (r.random(n) < 1 / (1 + np.exp(-slope * X[:, 0]))).astype(int)
    return X, X[:, 0] + t + r.normal(size=n), t


X, Y, T = data()
MODEL = SensitivityBounds(**FAST).fit(X, Y, treatment=T)


class Known(ClassifierMixin, BaseEstimator):
    """A propensity that is known."""

    def __init__(self, slope=1.0):
        self.slope = slope

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        e = 1 / (1 + np.exp(-self.slope * np.asarray(X)[:, 0]))
        return np.column_stack([1 - e, e])


# -- rows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimand", ["mean", "ate", "att", "overlap"])
def test_groups_average_to_the_whole(estimand):
    """A mean over all rows is the mean of the groups' means, weighted by what each stands for."""
    group = X[:, 1] > 0.3
    whole = MODEL.average_bounds(estimand, odds_ratio=1.7)
    parts = MODEL.average_bounds(estimand, odds_ratio=1.7, by=group)
    size = np.array([MODEL._bottom(MODEL._contrast({"estimand": estimand}), 0)]).ravel()
    size = np.ones(len(X)) if size[0] is None else size.astype(float)
    share = np.array([size[~group].sum(), size[group].sum()]) / size.sum()
    assert parts.table.index.tolist() == [False, True]
    assert share @ parts.lower == pytest.approx(whole.lower, abs=2e-3)  # up to ends that nest below 1.7
    one = MODEL.average_bounds(estimand, odds_ratio=1.7, where=group)
    assert one.upper == pytest.approx(parts.upper[1])
    assert one.conf_int == pytest.approx(parts.conf_int[1])
    assert one.n == group.sum()
    assert "chosen by where=" in one.estimand


def test_a_subgroup_of_manski_is_its_own_mean():
    y = (Y > 0).astype(float)
    model = ManskiBounds(outcome=LinearRegression()).fit(X, y, treatment=T)
    inside = X[:, 1] > 0
    found = model.average_bounds("mean", arm=1, where=lambda x: x[:, 1] > 0)
    upper = np.where(T == 1, y, 1.0)[inside]
    assert found.upper == pytest.approx(upper.mean())
    assert found.se_upper == pytest.approx(upper.std(ddof=1) / np.sqrt(len(upper)), rel=2e-3)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_a_subgroup_of_manski_has_the_interval_of_a_fit_to_it_alone(weighted, clustered):
    rng = np.random.default_rng(0)
    inside, n = np.arange(400) % 10 < 1, 400
    given = {"treatment": np.arange(n) % 3 > 0}
    if weighted:
        given["sample_weight"] = rng.exponential(size=n)
    if clustered:
        given["groups"] = rng.integers(0, 60, size=n)
    y = rng.random(n)
    whole = ManskiBounds(outcome_support=(0, 1)).fit(None, y, **given)
    part = ManskiBounds(outcome_support=(0, 1)).fit(None, y[inside], **{k: v[inside] for k, v in given.items()})
    found = whole.average_bounds("mean", arm=True, where=inside).table
    pd.testing.assert_frame_equal(found, part.average_bounds("mean", arm=True).table)


def test_by_a_column_and_a_grid_has_one_row_for_each():
    frame = pd.DataFrame({"u": X[:, 0], "old": (X[:, 1] > 0).astype(float)})
    model = SensitivityBounds(**FAST).fit(frame, Y, treatment=T)
    found = model.average_bounds("ate", odds_ratio=[1.0, 2.0], by="old")
    assert found.table.index.names == ["old", "odds_ratio"]
    assert found.table.shape[0] == 4
    assert found.estimand == "mean of Y under arm 1 minus that under 0, over the rows group by group"
    assert model.average_bounds("mean", arm=1, odds_ratio=2.0, by="old", where=frame["u"].to_numpy() > 0).estimand == (
        f"mean of Y if all rows took arm 1, over {(X[:, 0] > 0).sum()} rows chosen by where=, group by group"
    )
    w = np.where(np.arange(400) < 10, 0.0, 1.0)
    weighted = SensitivityBounds(**FAST).fit(frame, Y, treatment=T, sample_weight=w)
    mask = frame["old"].to_numpy() > 0
    a = weighted.average_bounds("ate", odds_ratio=2.0, where=mask)
    b = weighted.average_bounds("ate", odds_ratio=2.0, by="old")
    assert a.upper == pytest.approx(b.upper[1])


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        ({"where": np.ones(3, bool)}, r"where must be a mask of True and False of shape \(400,\)"),
        ({"where": np.ones(400)}, "got float64"),
        ({"where": np.zeros(400, bool)}, "chooses no row"),
        ({"by": "z"}, r"by='z' is no column of X; they are \[0, 1\]"),
        ({"by": 0}, "bin it first"),
        ({"by": [1, 2]}, "by"),
    ],
)
def test_bad_rows_are_named(ask, match):
    with pytest.raises(ValueError, match=match):
        MODEL.average_bounds("ate", odds_ratio=2.0, **ask)


# -- overlap weights ---------------------------------------------------------------------------------------------------


def test_overlap_weighted_effect_at_no_confounding_is_the_textbooks():
    """Score of Li, Morgan and Zaslavsky's weights by hand, with the propensity that is known."""
    model = SensitivityBounds(propensity=Known(), **FAST).fit(X, Y, treatment=T)
    found = model.average_bounds("overlap", odds_ratio=1.0)
    e, laws = model.oof_propensity_[:, 1], model._crossfit(0).laws
    m0, m1 = (law.mean for law in laws)
    own = m1 - m0 + T * (Y - m1) / e - (1 - T) * (Y - m0) / (1 - e)
    h, moved = e * (1 - e), (1 - 2 * e) * (T - e)
    top, bottom = h * own + moved * (m1 - m0), h + moved
    assert found.lower == pytest.approx(top.sum() / bottom.sum())
    total = bottom.sum()
    left = 1 - 2 * bottom / total + bottom**2 * len(bottom) / total**2  # HC2
    error = np.sqrt(np.sum((top - found.lower * bottom) ** 2 / left)) / total
    assert found.se_lower == pytest.approx(error)
    with pytest.raises(ValueError, match="ManskiBounds does not use"):
        ManskiBounds(outcome_support=(-9, 9)).fit(X, Y, treatment=T).average_bounds("overlap")


def test_overlap_score_does_not_feel_small_errors_of_the_propensity():
    """On a large population: moving e by t moves the plug-in weighted mean in first order and the score in second."""
    r = np.random.default_rng(3)
    x = r.normal(size=200_000)
    e = 1 / (1 + np.exp(-x))
    effect = 1.0 + x
    rows = SensitivityBounds(law="marginal", cv=2).fit(x[:200, None], x[:200], treatment=np.arange(200) % 2)
    contrast = rows._contrast({"estimand": "overlap"})

    def both(t):
        moved_e = e + t * np.exp(-(x**2))
        taken = np.column_stack([1 - moved_e, moved_e])
        total = bottom = 0.0
        for arm, chance in ((1, e), (0, 1 - e)):  # the mean over the arm, exactly
            h, moved = contrast.tilt(taken, np.full(len(x), arm))
            total, bottom = total + chance * (h + moved) * effect, bottom + chance * (h + moved)
        h = moved_e * (1 - moved_e)
        return total.sum() / bottom.sum(), (h * effect).sum() / h.sum()

    score, plug_in = (np.array(both(0.05)) - np.array(both(0.0))).tolist()
    assert abs(plug_in) > 3e-3
    assert abs(score) < 0.1 * abs(plug_in) or abs(score) < 5e-4


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.OverlapWarning")
def test_poor_overlap_is_flagged_on_the_result():
    """In 20 data sets each: at least 95% of those with e = expit(2.5 x), at most 5% with expit(.5 x)."""
    flags = []
    for slope in (2.5, 0.5):
        found = [
            SensitivityBounds(law="marginal", cv=2, random_state=0)
            .fit(x, y, treatment=t)
            .average_bounds("ate", odds_ratio=1.5)
            for x, y, t in (data(400, seed, slope) for seed in range(20))
        ]
        flags.append(np.mean([each.poor_overlap for each in found]))
        assert all(("overlap is poor" in str(each)) == each.poor_overlap for each in found)
    assert flags[0] >= 0.95
    assert flags[1] <= 0.05


# -- what X may be -----------------------------------------------------------------------------------------------------


def test_without_covariates_everything_is_marginal():
    plain = SensitivityBounds(random_state=0).fit(None, Y, treatment=T)
    found = plain.average_bounds("mean", arm=1, odds_ratio=1.0)
    assert found.lower == pytest.approx(Y[T == 1].mean(), abs=0.01)  # shares differ a little from fold to fold
    assert plain.n_features_in_ == 0
    assert len(set(plain.predict_bounds(None, arm=1, odds_ratio=2.0).upper.round(12))) <= 5  # one value per fold
    assert np.isfinite(
        FDivergenceBounds(outcome_support=(-9, 9)).fit(None, Y, treatment=T).average_bounds().conf_int
    ).all()
    assert ManskiBounds(outcome_support=(-9, 9)).fit(None, Y, treatment=T).average_bounds("mean").n == 400
    with pytest.raises(ValueError, match=r"fitted without covariates \(X=None\)"):
        plain.predict_bounds(X, arm=1, odds_ratio=2.0)


def test_text_and_missing_entries_go_through_a_transformer():
    town = np.array(["a", "b", "c"])[np.arange(400) % 3]
    frame = pd.DataFrame({"x": np.where(np.arange(400) == 7, np.nan, X[:, 0]), "town": town})
    coded = make_column_transformer((SimpleImputer(), ["x"]), (OneHotEncoder(sparse_output=False), ["town"]))
    model = SensitivityBounds(features=coded, **FAST).fit(frame, Y, treatment=T)
    by_hand = np.column_stack([frame["x"].fillna(frame["x"].mean()), *(town == each for each in "abc")])
    same = SensitivityBounds(**FAST).fit(by_hand, Y, treatment=T)
    for estimand in ("ate", "att"):
        a, b = (each.average_bounds(estimand, odds_ratio=2.0) for each in (model, same))
        assert a.conf_int == pytest.approx(b.conf_int)
    assert model.predict_bounds(frame[:5], odds_ratio=2.0).upper == pytest.approx(
        same.predict_bounds(by_hand[:5], odds_ratio=2.0).upper
    )
    assert model.average_bounds("ate", odds_ratio=2.0, by="town").table.index.tolist() == ["a", "b", "c"]
    policy = model.average_bounds("policy", odds_ratio=2.0, policy=lambda f: (f["town"] == "a").astype(float))
    assert np.isfinite(policy.conf_int).all()
    assert "simpleimputer__x" in model.benchmark().index
    with pytest.raises(ValueError, match="left text"):
        SensitivityBounds(features=make_column_transformer(("passthrough", ["x", "town"])), **FAST).fit(
            frame, Y, treatment=T
        )
    with pytest.raises(ValueError, match="1 entries that are not finite"):
        SensitivityBounds(features=make_column_transformer(("passthrough", ["x"])), **FAST).fit(frame, Y, treatment=T)


def test_names_reach_the_users_learners():
    frame = pd.DataFrame(X, columns=["u", "v"])
    by_name = make_pipeline(make_column_transformer((StandardScaler(), ["u"])), LogisticRegression(max_iter=1000))
    model = SensitivityBounds(propensity=by_name, outcome=by_name_regressor(), **FAST).fit(frame, Y, treatment=T)
    only = SensitivityBounds(outcome="linear", **FAST).fit(X[:, :1], Y, treatment=T)
    np.testing.assert_allclose(model.oof_propensity_, only.oof_propensity_, atol=0.2)
    assert np.isfinite(model.predict_bounds(frame[:3], odds_ratio=2.0).upper).all()
    model = ManskiBounds(outcome=by_name_regressor(), outcome_support=(-9, 9)).fit(frame, Y, treatment=T)
    assert np.isfinite(model.predict_bounds(frame[:3]).upper).all()


def by_name_regressor():
    return make_pipeline(make_column_transformer((StandardScaler(), ["u"])), LinearRegression())


# -- what is fitted when, and said -------------------------------------------------------------------------------------


class Counted(LogisticRegression):
    """Counts its fits."""

    fits = 0

    def fit(self, *args, **kwargs):
        Counted.fits += 1
        return super().fit(*args, **kwargs)


def test_no_learner_is_trained_that_nobody_asks():
    Counted.fits = 0
    quantile = QuantileBounds(propensity=Counted(), **FAST).fit(X, Y, treatment=T)
    quantile.population_bounds()
    assert Counted.fits == 0
    quantile.predict_bounds(None)
    assert Counted.fits == 2
    model = SensitivityBounds(propensity=Counted(), **FAST).fit(X, Y, treatment=T)
    model.average_bounds("ate", odds_ratio=2.0)
    assert Counted.fits == 4
    model.predict_bounds(X[:2], odds_ratio=2.0)
    model.predict_bounds(X[:2], odds_ratio=3.0)
    assert Counted.fits == 5


def test_one_screen_says_what_users_ask(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = pd.DataFrame(X, columns=["income of the household last year", "v"])
    y = (Y > 0).astype(float)
    models = [
        SensitivityBounds(**FAST),
        ManskiBounds(),
        FDivergenceBounds(divergence="all", **FAST),
    ]
    for model in models:
        text = str(model.fit(names, y, treatment=T).summary())
        assert max(map(len, text.split("\n"))) <= 80
        assert len(text.split("\n")) <= 30
        flat = " ".join(text.split())
        assert f"rows: 400: {400 - T.sum()} in arm 0, {T.sum()} in arm 1" in flat
        for part in ("ci lower", "Assumption", "Manski"):
            assert part in flat
        assert ("Manski's ends" in flat) == (not isinstance(model, ManskiBounds))  # where they are others
    text = " ".join(str(models[0].summary()).split())
    reached = models[0].breakdown()
    assert f"0 is reached at odds ratio {reached['estimate']:.3g}, by the interval at {reached['interval']:.3g}" in text
    assert "logistic regression, 0 of 400 clipped (0.0%)" in text
    assert "income of the household last year" in text
    quantile = str(QuantileBounds(**FAST).fit(names, Y, treatment=T).summary())
    assert max(map(len, quantile.split("\n"))) <= 80


def test_default_estimands_agree():
    at = MODEL.breakdown()["estimate"]
    found = MODEL.average_bounds(odds_ratio=[at - 1e-3, at + 1e-3])
    assert (found.lower > 0).tolist() == [True, False]


def test_a_benchmark_of_noise_reads_one():
    r = np.random.default_rng(0)
    x = r.normal(size=(300, 3))
    t = (r.random(300) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)
    model = SensitivityBounds(propensity=RandomForestClassifier(20, min_samples_leaf=10), **FAST)
    found = model.fit(x, x[:, 0] + r.normal(size=300), treatment=t).benchmark()
    assert found.loc[1, "q95"] > 1.3
    assert (found.loc[[1, 2], "beyond_noise"] < 1.6).all()
    assert found.loc[0, "beyond_noise"] > 3


def test_noise_is_the_largest_of_the_shuffles_and_is_taken_off_in_squares_of_logarithms(monkeypatch):
    r = np.random.default_rng(0)
    x = r.normal(size=(120, 2))
    treatment = (r.random(120) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    model = SensitivityBounds(**FAST).fit(x, r.normal(size=120), treatment=treatment)
    found = model.benchmark([0, 1])
    assert found.loc[0, "beyond_noise"] > 1.5
    left = np.sqrt(np.maximum(np.log(found["q95"]) ** 2 - np.log(found["noise"]) ** 2, 0.0))
    np.testing.assert_allclose(found["beyond_noise"], np.exp(left))
    monkeypatch.setattr(_benchmark, "_SHUFFLES", 1)
    first = model.benchmark([0, 1])["noise"]
    assert (first <= found["noise"]).all()
    assert (first < found["noise"]).any()


def test_band_over_the_grid_is_wider_than_each_row():
    grid = [1.0, 1.5, 2.0]
    each, band = (MODEL.average_bounds("ate", odds_ratio=grid, target=t).conf_int for t in ("set", "band"))
    assert (band[:, 0] <= each[:, 0]).all()
    assert (band[:, 1] >= each[:, 1]).all()
    assert band[0, 0] < each[0, 0]


def test_indicators_of_a_category_are_hidden_together():
    """Chances .3 and .6, .45 if hidden: odds change by up to (.45 / .55) / (.3 / .7); alone they hide nothing."""
    rng = np.random.default_rng(0)
    female, other = np.arange(4000) % 2, rng.normal(size=4000)
    treatment = (rng.random(4000) < np.where(female == 1, 0.3, 0.6)).astype(int)
    X = pd.DataFrame({"female": female, "x": other, "male": 1 - female, "copy": 3.0 - 2.0 * other, "flat": 1.0})
    with pytest.warns(DegenerateInputWarning, match="left out of all models"):
        model = SensitivityBounds(law="pooled", random_state=0).fit(X, rng.random(4000), treatment=treatment)
    found = model.benchmark()
    assert found.index.tolist() == ["female, male", "x, copy", "flat"]
    assert found.q95["female, male"] == pytest.approx((0.45 / 0.55) / (0.3 / 0.7), rel=0.1)
    assert found.q95["x, copy"] < 1.1
    assert model.benchmark(["female"]).q95["female"] < 1.1
    alone = SensitivityBounds(law="pooled", random_state=0).fit(X[["female", "male"]], other, treatment=treatment)
    with pytest.raises(ValueError, match="with one covariate nothing would be left"):
        alone.benchmark()
    assert not any("for scale" in line for line in alone.summary().notes)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.BoundsCrossingWarning")
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.OverlapWarning")
def test_overlap_is_that_of_the_question():
    """A third arm that is rare, or rows outside where=, say nothing about a question that does not touch them."""
    good_rows = np.arange(600) >= 60
    chances = np.where(good_rows[:, None], [0.49, 0.49, 0.02], [0.01, 0.97, 0.02])
    drawn = np.random.default_rng(1).random((600, 1)) > chances.cumsum(axis=1)
    treatment = np.array(["a", "b", "rare"])[drawn.sum(axis=1)]

    class Fixed(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X):
            return chances[X[:, 0].astype(int)]

    given = np.column_stack([np.arange(600), good_rows])
    y = np.random.default_rng(0).normal(size=600)
    model = SensitivityBounds(law="pooled", propensity=Fixed(), random_state=0).fit(given, y, treatment=treatment)
    ask = {"arm": "b", "control": "a", "odds_ratio": 1.5}
    poor, good = model.average_bounds(**ask), model.average_bounds(**ask, where=good_rows)
    assert (poor.poor_overlap, good.poor_overlap) == (True, False)
    assert "ask for 'overlap'" in " ".join(poor.notes)
    assert "overlap is poor" not in " ".join(good.notes)
    assert model.average_bounds(**ask | {"arm": "rare"}, where=good_rows).poor_overlap
    assert not model.average_bounds("overlap", **ask).poor_overlap
    assert model.average_bounds(**ask, by=good_rows).poor_overlap
    ball = FDivergenceBounds(law="pooled", propensity=Fixed(), random_state=0, outcome_support=(-9, 9))
    notes = " ".join(ball.fit(given, y, treatment=treatment).average_bounds(arm="b", control="a").notes)
    assert "overlap is poor" in notes
    assert "ask for" not in notes


def test_rows_of_other_arms_have_no_part_in_an_overlap_weighted_effect():
    """Their weight and what estimating it adds cancelled up to a rounding, which entered errors: .4% of the range."""
    e = np.random.default_rng(0).dirichlet(np.ones(3), size=200)
    codes = np.arange(200) % 3
    asked = SensitivityBounds(law="marginal", cv=2, random_state=0).fit(None, e[:, 0], treatment=codes)
    contrast = asked._contrast({"estimand": "overlap", "arm": 2, "control": 0})
    weight, moved = contrast.tilt(e, codes)
    assert ((weight + moved)[codes == 1] == 0.0).all()
    assert (np.abs((weight + moved)[codes != 1]) > 0.0).all()


def test_where_overlap_is_poor_the_answer_for_overlap_weights_stands_beside():
    """In such sets intervals for all rows cover .85 at one end, those for overlap weights .96."""
    r = np.random.default_rng(0)
    x = r.normal(size=(400, 1))
    t = (r.random(400) < 1 / (1 + np.exp(-3 * x[:, 0]))).astype(int)
    model = SensitivityBounds(law="marginal", cv=2, clip=0.001, random_state=0)
    model.fit(x, x[:, 0] + r.normal(size=400), treatment=t)
    found, other = (model.average_bounds(each, odds_ratio=1.5) for each in ("ate", "overlap"))
    (low, high), said = other.conf_int, found.notes[-1]
    assert f"bounds [{other.lower:.4g}, {other.upper:.4g}], interval [{low:.4g}, {high:.4g}]" in said
    assert other.estimand in said
    assert not any("beside it" in note for note in (*other.notes, *model.average_bounds(odds_ratio=[1, 2]).notes))
