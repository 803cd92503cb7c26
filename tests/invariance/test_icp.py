"""Invariant Causal Prediction: what it accepts, estimates and says when nothing is left."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score

from causalinv import Moments
from causalinv._labels import encode
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.invariance import InvariantCausalPrediction, InvariantSubsetSelector
from causalinv.invariance.subsets._row_tests import logistic_chow_pvalue, two_sample_pvalue
from causalinv.metrics import LeaveOneEnvironmentOut, worst_environment_risk
from causalinv.sem import Shift, textbook_sem
from tests.invariance.shared import unstable


def chain(n=400, seed=0):
    envs = textbook_sem("chain").environments([None, Shift("x1", mean=2.0), Shift("x2", mean=-3.0)], labels=list("abc"))
    return envs.sample(n, random_state=seed)


def test_the_cause_is_found_and_the_effect_is_not():
    X, y, e = chain()
    model = InvariantCausalPrediction().fit(pd.DataFrame(X, columns=["cause", "effect"]), y, environments=e)
    assert model.accepted_
    assert model.accepted_sets_ == [(0,)]
    assert model.estimate_ == (0,)
    assert list(model.environments_) == ["a", "b", "c"]
    assert model.coef_[1] == 0
    np.testing.assert_allclose(
        model.predict(pd.DataFrame(X, columns=["cause", "effect"])), X @ model.coef_ + model.intercept_
    )
    table = model.sets_.set_index("set")["pvalue"]
    assert model.pvalues_[0] == max(table[()], table[(1,)])
    assert model.pvalues_[1] == max(table[()], table[(0,)])
    # The interval of the cause: least squares of y on it, at level .05 / 2; robust, or for errors of one variance.
    from statsmodels.api import OLS, add_constant

    fit = OLS(y, add_constant(X[:, 0])).fit(cov_type="HC2")
    half = stats.norm.ppf(1 - 0.05 / 4) * fit.bse[1]
    np.testing.assert_allclose(model.conf_int_[0], [fit.params[1] - half, fit.params[1] + half], rtol=1e-3)
    np.testing.assert_array_equal(model.conf_int_[1], 0.0)
    model = InvariantCausalPrediction(test="chow").fit(X, y, environments=e)
    half = stats.t.ppf(1 - 0.05 / 4, len(y) - 2) * OLS(y, add_constant(X[:, 0])).fit().bse[1]
    np.testing.assert_allclose(model.conf_int_[0], [fit.params[1] - half, fit.params[1] + half], rtol=1e-9)


def test_intervals_of_the_published_test_have_its_normal_quantiles():
    """As R's InvariantCausalPrediction and causalicp, set by set (`benchmarks/icp_r.py`: 71 of 71 data sets)."""
    X, y, e = chain()
    model = InvariantCausalPrediction(test="residual").fit(X, y, environments=e)
    assert model.accepted_sets_ == [(0,)]
    from statsmodels.api import OLS, add_constant

    fit = OLS(y, add_constant(X[:, 0])).fit()
    half = stats.norm.ppf(1 - 0.05 / 4) * fit.bse[1]
    np.testing.assert_allclose(model.conf_int_[0], [fit.params[1] - half, fit.params[1] + half], rtol=1e-9)


def test_the_hull_of_intervals_covers_every_accepted_set():
    X, y, e = chain(30, seed=3)
    model = InvariantCausalPrediction(level=1e-12).fit(X, y, environments=e)  # everything passes
    assert len(model.accepted_sets_) == 4
    assert model.estimate_ == ()
    assert (model.coef_ == 0).all()
    assert model.intercept_ == pytest.approx(y.mean())
    assert (model.conf_int_[:, 0] <= 0).all()  # the empty set is among them
    assert (model.conf_int_[:, 1] > 0).any()


def test_nothing_is_known_of_the_coefficient_of_a_constant():
    X, y, e = chain()
    with pytest.warns(DegenerateInputWarning, match="constant"):
        model = InvariantCausalPrediction().fit(np.c_[X, np.ones(len(y))], y, environments=e)
    assert model.conf_int_[-1].tolist() == [-np.inf, np.inf]
    assert np.isfinite(model.conf_int_[:-1]).all()


def test_no_set_accepted_is_an_answer():
    X, y, e = unstable()
    with pytest.warns(IdentificationWarning, match="No set of features passes"):
        model = InvariantCausalPrediction(test="residual").fit(X, y, environments=e)
    assert model.estimate_ is None
    assert not model.accepted_
    assert (model.pvalues_ == 1).all()
    assert np.isnan(model.conf_int_).all()
    np.testing.assert_allclose(model.predict(X), y.mean())


def test_it_never_includes_a_false_cause_more_often_than_its_level():
    """360 data sets of 3 environments; false inclusions are binomial with at most .05 if the test has its size."""
    sem = textbook_sem("chain")
    envs = sem.environments([None, Shift("x1", std=1.0), Shift("x2", std=1.0)])
    warnings.simplefilter("ignore", IdentificationWarning)  # where even the truth is rejected, as may happen
    false = sum(
        1 in (InvariantCausalPrediction(test=test).fit(X, y, environments=e).estimate_ or ())
        for test, n in (("chow", 300), ("chow_hc", 60))
        for X, y, e in (envs.sample(100, random_state=seed) for seed in range(n))
    )
    assert false <= stats.binom.isf(1e-5, 360, 0.05)


def test_moments_and_rows_agree_and_max_size_limits():
    X, y, e = chain()
    rows = InvariantCausalPrediction(test="chow").fit(X, y, environments=e)
    moments = Moments.from_rows(x=pd.DataFrame(X, columns=["u", "v"]), y=y, environments=e)
    model = InvariantCausalPrediction(test="chow").fit_moments(moments)
    np.testing.assert_allclose(model.pvalues_, rows.pvalues_, rtol=1e-12)
    assert list(model.feature_names_in_) == ["u", "v"]
    assert len(InvariantCausalPrediction(max_size=1).fit(X, y, environments=e).sets_) == 3


def test_dependent_features_are_listed():
    X, y, e = chain()
    with pytest.warns(DegenerateInputWarning, match=r"Features \[2, 3\] are constant or combinations"):
        model = InvariantCausalPrediction().fit(np.c_[X, X.sum(axis=1), np.ones(len(y))], y, environments=e)
    np.testing.assert_array_equal(model.dependent_features_, [False, False, True, True])


MISTAKES = {
    "without environments": (lambda X, y, e: InvariantCausalPrediction().fit(X, y), "needs environments="),
    "one environment": (
        lambda X, y, e: InvariantCausalPrediction().fit(X, y, environments=0 * y),
        "has one label, 0.0",
    ),
    "tiny environment": (
        lambda X, y, e: InvariantCausalPrediction().fit(X[:801], y[:801], environments=e[:801]),
        "Environment 'c' has 1 row",
    ),
    "two outcomes": (lambda X, y, e: InvariantCausalPrediction().fit(X, np.c_[y, y], environments=e), "single outcome"),
    "constant y": (lambda X, y, e: InvariantCausalPrediction().fit(X, 0 * y, environments=e), "y is constant"),
    "short labels": (
        lambda X, y, e: InvariantCausalPrediction().fit(X, y, environments=e[:5]),
        "X has 1200, y has 1200, environments has 5",
    ),
    "missing label": (
        lambda X, y, e: InvariantCausalPrediction().fit(X, y, environments=[None, *e[1:]]),
        "missing label in row 0",
    ),
    "level": (
        lambda X, y, e: InvariantCausalPrediction(level=2).fit(X, y, environments=e),
        "level must be .* <= 1, got 2",
    ),
    "test": (
        lambda X, y, e: InvariantCausalPrediction(test="anova").fit(X, y, environments=e),
        r"test must be one of \('chow', 'chow_hc', .*'logistic'\), or a function .* got 'anova'",
    ),
    "max_size": (
        lambda X, y, e: InvariantCausalPrediction(max_size=-1).fit(X, y, environments=e),
        "max_size must be a whole number >= 0",
    ),
    "more features than bits": (
        lambda X, y, e: InvariantCausalPrediction(max_size=1).fit(np.tile(X, 32) + y[:, None], y, environments=e),
        "64 features are more than the 62",
    ),
    "environments and folds": (
        lambda X, y, e: InvariantCausalPrediction(test="chow").fit_moments(
            Moments.from_rows(x=X, y=y, environments=e, folds=np.arange(len(y)) % 2)
        ),
        "pool\\(by='environments'\\) first",
    ),
    "too many features": (
        lambda X, y, e: InvariantCausalPrediction(test="chow").fit(np.tile(X, 11), y, environments=e),
        r"22 features have 2\^22 subsets.*up to 20 features.*Set max_size",
    ),
    "too many features for rows": (
        lambda X, y, e: InvariantCausalPrediction().fit(np.tile(X, 8), y, environments=e),
        r"16 features.*up to 14 features all are tested by test='chow_hc'.*or take test='chow'",
    ),
    "robust without rows": (
        lambda X, y, e: InvariantCausalPrediction().fit_moments(Moments.from_rows(x=X, y=y, environments=e)),
        "test='chow_hc' needs the rows.*enough for test='chow'",
    ),
    "no p-value": (
        lambda X, y, e: InvariantCausalPrediction(test=lambda r, labels: 2.0).fit(X, y, environments=e),
        r"must return a p-value from 0 to 1 .*got 2.0 for features \[\]",
    ),
    "logistic of numbers": (
        lambda X, y, e: InvariantCausalPrediction(test="logistic").fit(X, y, environments=e),
        "needs an outcome of two values, got 1200",
    ),
    "population": (
        lambda X, y, e: InvariantCausalPrediction(test="chow").fit_moments(
            textbook_sem("chain").environments([None, None]).moments()
        ),
        "moments of unweighted rows",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    call, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        call(*chain())


def test_leaving_one_environment_out_through_scikit_learn():
    X, y, e = chain(50)
    splitter = LeaveOneEnvironmentOut()
    assert splitter.get_n_splits(environments=e) == 3
    tests = [set(e[test]) for _, test in splitter.split(X, environments=e)]
    assert tests == [{"a"}, {"b"}, {"c"}]
    for train, test in splitter.split(X, environments=e):
        assert sorted([*train, *test]) == list(range(150))
        assert not set(e[train]) & set(e[test])
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            InvariantCausalPrediction(), X, y, cv=splitter, params={"environments": e}, error_score="raise"
        )
        search = GridSearchCV(InvariantCausalPrediction(), {"level": [0.01, 0.05]}, cv=splitter, error_score="raise")
        search.fit(X, y, environments=e)
        ridge = cross_val_score(Ridge(), X, y, cv=splitter, params={"environments": e}, error_score="raise")
    assert len(scores) == len(ridge) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    plain = cross_val_score(Ridge(), X, y, cv=splitter, groups=e, error_score="raise")  # with routing off
    np.testing.assert_array_equal(plain, ridge)
    with pytest.raises(ValueError, match="needs environments=.*got neither"):
        next(splitter.split(X))
    with pytest.raises(ValueError, match="got both"):
        next(splitter.split(X, groups=e, environments=e))
    with pytest.raises(ValueError, match="one label, 'a'; at least two"):
        next(splitter.split(X, environments=["a"] * 150))
    with pytest.raises(ValueError, match="index of environments differs"):
        next(splitter.split(pd.DataFrame(X), environments=pd.Series(e)[::-1]))


def test_units_do_not_matter_to_coefficients_and_intervals():
    rng = np.random.default_rng(0)
    e = np.repeat([0, 1, 2], 400)
    x1, x2 = 5e7 + 1e6 * rng.normal(size=1200) * (1 + e), rng.normal(size=1200) * (1 + 2 * (e == 2)) + 3.0 * (e == 1)
    y = x1 / 1e6 + x2 + rng.normal(size=1200)
    for X in (np.c_[x1, x2], np.c_[x1, 1e-7 * x2]):
        unit = X.std(axis=0)
        model = InvariantCausalPrediction(test="residual").fit(X, y, environments=e)
        scaled = InvariantCausalPrediction(test="residual").fit(X / unit, y, environments=e)
        assert model.estimate_ == (0, 1)
        np.testing.assert_allclose(model.coef_ * unit, scaled.coef_, rtol=1e-6)
        np.testing.assert_allclose(model.conf_int_ * unit[:, None], scaled.conf_int_, rtol=1e-6)
        with pytest.warns(DegenerateInputWarning, match="combinations of earlier"):
            twice = InvariantCausalPrediction(test="residual").fit(np.c_[X, X[:, 0]], y, environments=e)
        np.testing.assert_allclose(twice.conf_int_[1], model.conf_int_[1], rtol=1e-3)  # one more column is counted


def test_an_environment_that_is_small_or_pulls_the_fit_is_named():
    rng = np.random.default_rng(0)
    e = np.array(["big"] * 200 + ["small"] * 12)
    X = rng.normal(size=(212, 4)) * np.where(e == "small", 100.0, 1.0)[:, None]
    y = X.sum(axis=1) + rng.normal(size=212)
    warnings.simplefilter("ignore", IdentificationWarning)
    with pytest.warns(DegenerateInputWarning, match=r"'small' pulls the fit: its rows have mean leverage 0\.3"):
        InvariantCausalPrediction(test="residual").fit(X, y, environments=e)
    with pytest.warns(DegenerateInputWarning, match="'small' has 4 rows for up to 5 coefficients"):
        InvariantCausalPrediction(test="residual").fit(X[:204], y[:204], environments=e[:204])


def test_an_exact_outcome_is_invariant_and_warned_about():
    X, _, e = chain()
    with pytest.warns(DegenerateInputWarning, match=r"exact linear function of features \[0, 1\]"):
        model = InvariantCausalPrediction().fit(X, X @ [1.0, 2.0] + 3.0, environments=e)
    assert model.accepted_sets_ == [(0, 1)]
    np.testing.assert_allclose([*model.coef_, model.intercept_], [1.0, 2.0, 3.0])


def test_chow_keeps_its_level_where_the_residual_test_does_not():
    """200 data sets, true causes, one environment of 12 rows with features a hundred times as wide."""
    warnings.simplefilter("ignore")
    rejected = {"residual": 0, "chow": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        e = np.repeat([0, 1], [200, 12])
        X = rng.normal(size=(212, 4)) * np.where(e == 1, 100.0, 1.0)[:, None]
        y = X.sum(axis=1) + rng.normal(size=212)
        for test in rejected:
            table = InvariantCausalPrediction(test=test).fit(X, y, environments=e).sets_
            rejected[test] += not table.set_index("set").loc[[(0, 1, 2, 3)], "accepted"].item()
    assert rejected["chow"] <= stats.binom.isf(1e-5, 200, 0.05)
    assert rejected["residual"] > stats.binom.isf(1e-5, 200, 0.05)  # what the warning is about


def test_chow_says_which_sets_it_judges_by_prediction():
    X, y, e = chain()
    keep = np.r_[0:400, 800:803]
    with pytest.warns(DegenerateInputWarning, match=r"'c' has 3 rows: sets of 2 or more features cannot be fitted"):
        model = InvariantCausalPrediction(test="chow").fit(X[keep], y[keep], environments=e[keep])
    assert np.isfinite(model.sets_["pvalue"]).all()  # by prediction of the three rows


@pytest.mark.parametrize("tiny", [1, 2, 4])
def test_chow_with_a_tiny_environment_is_the_nested_f_test(tiny):
    import statsmodels.api as sm

    from causalinv.invariance import chow_pvalues, sweep
    from causalinv.invariance.subsets._sweep import SubsetStatistics

    rng = np.random.default_rng(tiny)
    e = np.repeat([0, 1, 2], [30, 25, tiny])
    X = rng.normal(size=(len(e), 3))
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=len(e)) + 0.3 * e
    moments = Moments.from_rows(x=X, y=y, environments=e)
    full = SubsetStatistics.concatenate(sweep(moments)).take([7])
    design = sm.add_constant(X)
    separate = np.column_stack([design * (e == j)[:, None] for j in range(2)] + [np.eye(len(e))[:, e == 2]])
    expected = sm.OLS(y, separate).fit().compare_f_test(sm.OLS(y, design).fit())[1]
    assert chow_pvalues(full, moments.count)[0] == pytest.approx(expected, rel=1e-8)


def test_a_tiny_environment_makes_no_effect_a_cause():
    rng, false, runs = np.random.default_rng(0), 0, 100
    e = np.repeat([0, 1, 2], [100, 100, 4])
    for _ in range(runs):
        X = rng.normal(size=(204, 3)) * (1 + e[:, None] / 2) + rng.normal(size=(3, 3))[e]
        y = X.sum(axis=1) + rng.normal(size=204)
        effect = y + 0.05 * rng.normal(size=204)
        with pytest.warns(DegenerateInputWarning, match="sees little"):
            model = InvariantCausalPrediction(test="chow").fit(np.column_stack([X, effect]), y, environments=e)
        false += model.estimate_ is not None and 3 in model.estimate_
    assert false <= stats.binom.isf(1e-4, runs, 0.05)


def test_weights_of_mean_one_in_each_environment_are_still_weights():
    X, y, e = chain()
    weight = np.where(np.arange(len(y)) % 2, 0.5, 1.5)
    with pytest.raises(ValueError, match="unweighted rows"):
        InvariantCausalPrediction(test="chow").fit_moments(
            Moments.from_rows(x=X, y=y, environments=e, sample_weight=weight)
        )
    with pytest.raises(ValueError, match="equal weight"):
        InvariantSubsetSelector().fit(X, y, environments=e, sample_weight=weight)


def test_sets_that_cannot_be_tested_are_kept_and_reported():
    rng = np.random.default_rng(0)
    X, y, e = rng.normal(size=(8, 7)), rng.normal(size=8), np.arange(8) % 2
    with pytest.warns(DegenerateInputWarning) as caught:
        model = InvariantCausalPrediction(test="residual").fit(X, y, environments=e)
    texts = [str(w.message) for w in caught]
    assert any("not reliable" in t for t in texts)
    assert any("1 of 128 sets" in t and "kept as if accepted" in t for t in texts)
    assert model.accepted_sets_[-1] == tuple(range(7))
    assert model.sets_["pvalue"].isna().tolist() == (model.sets_["size"] == 7).tolist()
    assert np.isinf(model.conf_int_).all()  # the full set leaves no residual, so nothing bounds its coefficients
    assert np.isfinite(model.pvalues_).all()


def test_names_are_forgotten_by_a_fit_without_them():
    X, y, e = chain()
    model = InvariantCausalPrediction(test="chow").fit(pd.DataFrame(X, columns=["u", "v"]), y, environments=e)
    model.fit_moments(Moments.from_rows(x=X[:, :1], y=y, environments=e))
    assert not hasattr(model, "feature_names_in_")


def test_worst_environment_risk_by_hand():
    assert worst_environment_risk([1.0, 2.0, 4.0], [1.0, 0.0, 1.0], environments=[0, 0, 1]) == 9.0
    for arguments, message in (
        ((np.ones((2, 2)), np.ones((2, 2)), [0, 1]), "must have shape"),
        (([1.0], [1.0], None), "needs environments="),
        (([1.0, 2.0], [1.0, np.nan], [0, 1]), "Input predicted contains NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            worst_environment_risk(*arguments[:2], environments=arguments[2])


# -- tests that read rows ---------------------------------------------------------------------------------------------


def spread(seed, E=3, n=60):
    """A cause x0 whose errors have sd exp(x0), its effect x1, and moved means and spreads."""
    rng = np.random.default_rng(seed)
    e = np.repeat(np.arange(E), n)
    x = rng.normal(size=E * n) * (1 + 0.3 * (e % 3)) + (e % 3)
    y = x + np.exp(x - 1) * rng.normal(size=E * n)
    return np.c_[x, 0.5 * y + rng.normal(size=E * n)], y, e


def test_the_default_holds_where_the_variance_depends_on_the_features():
    warnings.simplefilter("ignore")
    rejected, covered, runs = {"chow_hc": 0, "chow": 0}, 0, 60
    for seed in range(runs):
        X, y, e = spread(seed)
        for test in rejected:
            model = InvariantCausalPrediction(test=test).fit(X, y, environments=e)
            rejected[test] += not model.sets_["accepted"].to_numpy()[1]
            if test == "chow_hc":
                covered += model.conf_int_[0, 0] <= 1 <= model.conf_int_[0, 1]
    assert InvariantCausalPrediction().test == "chow_hc"
    assert rejected["chow_hc"] <= stats.binom.isf(1e-4, runs, 0.05)
    assert rejected["chow"] > stats.binom.isf(1e-4, runs, 0.05)
    assert covered >= stats.binom.ppf(1e-4, runs, 0.95)


def test_a_function_of_residuals_and_labels_is_a_test():
    X, y, e = chain(100)
    seen = []

    def welch(residual, labels):
        seen.append((len(residual), set(labels)))
        return stats.f_oneway(*(residual[labels == label] for label in "abc")).pvalue

    for estimator in (InvariantCausalPrediction(test=welch), InvariantSubsetSelector(test=welch)):
        model = estimator.fit(X, y, environments=e)
        assert set(map(str, seen)) == {str((300, {"a", "b", "c"}))} or seen[0] == (300, {"a", "b", "c"})
    residual = y - np.polyval(np.polyfit(X[:, 0], y, 1), X[:, 0])
    table = InvariantCausalPrediction(test=welch).fit(X, y, environments=e).sets_.set_index("set")
    assert table.loc[[(0,)], "pvalue"].item() == pytest.approx(welch(residual, e), rel=1e-9)
    untestable = InvariantCausalPrediction(test=lambda r, labels: np.nan)
    with pytest.warns(DegenerateInputWarning, match="kept as if accepted"):
        assert untestable.fit(X, y, environments=e).estimate_ == ()
    assert model.pvalue_ > 0.05


@pytest.mark.parametrize("test", ["ks", "ranks"])
def test_tests_by_ranks_do_not_depend_on_the_law_of_the_errors(test):
    """Exponential errors, of which the residual test rejects the truth in a third; scale and location are seen."""
    warnings.simplefilter("ignore")
    e, false, seen, runs = np.repeat(np.arange(3), 100), 0, np.zeros(2), 25
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        x, noise = rng.normal(size=300) * (1 + e), rng.exponential(size=300)
        for at, y in enumerate((x + noise, x + noise * (1 + e), x + noise + 0.6 * e)):
            table = InvariantCausalPrediction(test=test).fit(x[:, None], y, environments=e).sets_
            rejected = not table["accepted"].to_numpy()[1]
            false, seen = false + (rejected and at == 0), seen + rejected * np.array([at == 1, at == 2])
    assert false <= stats.binom.isf(1e-4, runs, 0.05)
    assert (seen > 0.8 * runs).all()


def test_ks_by_hand():
    X, y, e = chain(80)
    residual = y - y.mean()
    each = [stats.ks_2samp(residual[e == k], residual[e != k], method="asymp").pvalue for k in "abc"]
    table = InvariantCausalPrediction(test="ks").fit(X, y, environments=e).sets_
    assert table["pvalue"][0] == pytest.approx(min(1.0, 3 * min(each)))


def test_ks_of_few_rows_is_counted_out():
    """Three rows below six: 2 of the 84 ways to choose them, for each of two environments alike; the limit says 0."""
    y, e = np.r_[-3.0, -2.0, -1.0, 1.0, 1.1, 1.2, 2.0, 2.1, 2.2], np.repeat([0, 1], [3, 6])
    x = np.tile([0.1, -0.2, 0.3], 3)[:, None]
    with pytest.warns(DegenerateInputWarning, match="two values|not reliable"):
        table = InvariantCausalPrediction(test="ks", level=0.01).fit(np.c_[x, x**2], y, environments=e).sets_
    assert table["pvalue"][0] == pytest.approx(2 / 84)
    rng, rejected = np.random.default_rng(0), 0
    labels = encode(np.repeat([0, 1, 2], 3), "environments", 9)
    for _ in range(600):
        rejected += two_sample_pvalue(rng.normal(size=9), labels, "ks") <= 0.01
    assert rejected <= stats.binom.isf(1e-3, 600, 0.01)  # by the limit .07, as no overlap was p = 0


def test_ranks_are_wilcoxons_for_location_and_scale_times_the_number_of_comparisons():
    rng = np.random.default_rng(13)
    for sizes in ((30, 50), (30, 40, 50)):
        e = np.repeat(np.arange(len(sizes)), sizes)
        residual = rng.normal(size=len(e)) * (1 + 0.8 * (e == 1)) + 0.5 * (e == 0)
        away = np.abs(residual - np.median(residual))
        least = 1.0
        for k in range(len(sizes)):
            for each in (residual, away):
                found = stats.mannwhitneyu(each[e == k], each[e != k], method="asymptotic").pvalue
                least = min(least, found)
        wanted = min(1.0, least * 2 * (1 if len(sizes) == 2 else len(sizes)))
        assert wanted < 1
        assert two_sample_pvalue(residual, encode(e, "e", len(e)), "ranks") == pytest.approx(wanted)


def test_what_cannot_be_tested_says_why():
    """Too many features was said of a logistic regression without end, and of a function that returned NaN."""
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=(90, 1)), np.repeat([0, 1, 2], 30)
    with pytest.warns(DegenerateInputWarning, match="apart without error, so there is no finite logistic"):
        InvariantCausalPrediction(test="logistic").fit(x, (x[:, 0] > 0) * 1.0, environments=e)
    with pytest.warns(DegenerateInputWarning, match="the function given as test= returned NaN"):
        InvariantCausalPrediction(test=lambda residual, labels: np.nan).fit(
            x, x[:, 0] + rng.normal(size=90), environments=e
        )


@pytest.mark.parametrize("test", ["ks", "ranks"])
def test_a_small_environment_makes_tests_of_residuals_unreliable(test):
    """They treat fitted residuals as errors; that the test predicts the rows and holds its level is said of Chow's."""
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=(63, 2)), np.repeat([0, 1, 2], [30, 30, 3])
    with pytest.warns(DegenerateInputWarning, match="not reliable here: environment 2 has 3 rows") as told:
        InvariantCausalPrediction(test=test).fit(x, x[:, 0] + rng.normal(size=63), environments=e)
    assert not any("it holds its level" in str(each.message) for each in told)


def test_an_outcome_of_two_values_is_judged_by_logistic_regression_or_warned_about():
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    e = np.repeat(np.arange(3), 400)
    x = rng.normal(size=1200) * (1 + e) + e
    y = (rng.uniform(size=1200) < 1 / (1 + np.exp(-x))) * 2.0 - 1.0
    X = np.c_[x, y + rng.normal(size=1200) * (1 + e)]
    model = InvariantCausalPrediction(test="logistic").fit(X, y, environments=e)
    assert model.estimate_ == (0,)
    told = " ".join(str(model.summary()).split())
    assert "Assumption: log odds of y linear in its causes" in told
    assert "lower and upper are log odds; coefficient and error are of a linear regression" in told
    whole = sm.Logit(y > 0, sm.add_constant(x)).fit(disp=0)
    free = sm.add_constant(np.c_[x, e == 1, x * (e == 1), e == 2, x * (e == 2)])
    scored = sm.GLM(y > 0, free, family=sm.families.Binomial()).score_test(
        np.r_[whole.params, np.zeros(4)], k_constraints=4
    )
    assert model.sets_["pvalue"][1] == pytest.approx(float(np.ravel(scored[1])[0]), rel=2e-3)  # by chi-squared
    table = pd.crosstab(e, y)
    assert model.sets_["pvalue"][0] == pytest.approx(stats.chi2_contingency(table).pvalue, rel=1e-9, abs=1e-300)
    np.testing.assert_allclose(model.conf_int_[0], whole.conf_int(alpha=0.025)[1], rtol=1e-5)
    warnings.simplefilter("ignore", IdentificationWarning)  # a linear regression is not invariant here
    with pytest.warns(DegenerateInputWarning, match="y has two values, and this test asks whether a linear"):
        InvariantCausalPrediction().fit(X, y, environments=e)
    with pytest.warns(DegenerateInputWarning, match="only 'chow_hc' is made"):
        InvariantSubsetSelector().fit(X, y, environments=e)
    apart = np.where(e == 0, x > 0, y > 0)  # separated in one environment, which is no hindrance
    kept = InvariantCausalPrediction(test="logistic").fit(x[:, None], apart, environments=e)
    assert 0 <= kept.sets_["pvalue"][1] <= 1
    with pytest.warns(DegenerateInputWarning, match="could not be tested, as features tell the two values of y apart"):
        kept = InvariantCausalPrediction(test="logistic").fit(x[:, None], x > 0, environments=e)
    assert kept.accepted_sets_[-1] == (0,)
    assert np.isnan(kept.sets_["pvalue"][1])


@pytest.mark.parametrize("events", [40, 12])
def test_rare_events_make_the_score_statistic_vary_more(events):
    """Its variance by draws of the outcome, the law by scipy; at one half it varies less, and is chi-squared."""
    sizes, rng = (4, 20, 56), np.random.default_rng(12)
    y = np.zeros(80)
    y[rng.permutation(80)[:events]] = 1.0
    y[:2] = 1.0, 0.0
    p, e = y.mean(), np.repeat(np.arange(3), sizes)
    together = (e[:, None] == e) / np.bincount(e)[e] - 1.0 / 80  # of residuals: means of environments less the common
    drawn = ((rng.random((100_000, 80)) < p) - p) / np.sqrt(p * (1 - p))
    drawn = np.einsum("ri,ij,rj->r", drawn, together, drawn, optimize=True)
    variance = max(drawn.var(), 4.0) if events < 40 else 4.0
    statistic = (y - p) @ together @ (y - p) / (p * (1 - p))
    wanted = stats.gamma.sf(statistic, a=4.0 / variance, scale=variance / 2.0)
    ends = np.cumsum(sizes)[:-1]
    found = logistic_chow_pvalue(np.split(np.ones((80, 1)), ends), np.split(y, ends))
    assert found == pytest.approx(wanted, rel=0.02)
    assert (abs(found - stats.chi2.sf(statistic, 2)) > 0.03 * found) == (events < 40)


@pytest.mark.parametrize(
    ("rows", "k", "constant"), [((30,) * 10, 2, 0.0), ((8, 20, 300), 3, -1.0), ((20,) * 20, 1, -3.0)]
)
def test_the_logistic_test_keeps_its_level_in_small_environments(rows, k, constant):
    """The likelihood ratio rejected the truth in .10 of the first, and had no answer for .15 to .83 of the sets."""
    rng, pvalues = np.random.default_rng(3), []
    for _ in range(300):
        designs = [
            np.column_stack([np.ones(n), rng.normal(size=(n, k)) * (1 + i % 3) * 0.7]) for i, n in enumerate(rows)
        ]
        chances = [1 / (1 + np.exp(-constant - each[:, 1:].sum(axis=1))) for each in designs]
        pvalues.append(logistic_chow_pvalue(designs, [(rng.random(len(p)) < p) * 1.0 for p in chances]))
    assert np.isfinite(pvalues).all()
    assert 1 <= np.sum(np.array(pvalues) <= 0.05) <= stats.binom.isf(1e-3, 300, 0.06)


def test_the_summary_says_which_sets_the_intervals_cover():
    """Sets enter the intervals at half the level, so a named cause may have an interval that holds 0."""
    X, y, e = chain()
    half = InvariantCausalPrediction(test="chow").fit(X, y, environments=e)
    rejected = half.sets_["pvalue"][half.sets_["pvalue"] < 0.05].max()
    model = InvariantCausalPrediction(test="chow", level=min(1.5 * rejected, 0.9)).fit(X, y, environments=e)
    within = int((model.sets_["pvalue"] > model.level / 2).sum())
    assert within > len(model.accepted_sets_)
    assert f"Intervals cover the {within} sets with p above" in " ".join(str(model.summary()).split())
    assert "Intervals cover the" not in str(half.summary())
