"""The selector: what it chooses on populations and samples, how it searches, and what it says when nothing is left."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from causalinv import Moments
from causalinv.datasets import make_invariance_environments
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning, ScreeningWarning
from causalinv.invariance import (
    InvariantSubsetSelector,
    SubsetStatistics,
    invariance_gaps,
    robust_chow_pvalue,
    sweep,
)
from causalinv.invariance.subsets._screen import screen
from causalinv.metrics import LeaveOneEnvironmentOut, worst_environment_scorer
from causalinv.sem import Shift, choose_sites, random_sem, textbook_sem
from tests.invariance.shared import unstable
from tests.mistakes import Mistake


def chain(n=400, seed=0):
    envs = textbook_sem("chain").environments([None, Shift("x1", std=2.0), Shift("x2", std=3.0)], labels=list("abc"))
    return envs.sample(n, random_state=seed)


def best_invariant(moments, d):
    """By one regression per subset: the smallest of the least risky exactly invariant sets."""
    found = []
    for mask in range(2**d):
        S = [j for j in range(d) if mask >> j & 1]
        if invariance_gaps(moments, np.eye(d)[S]).max() < 1e-9:
            kept = moments.select(x=S, y=True).pool()
            cross = kept.cov("x", "y")[0, :, 0]
            found.append((kept.cov("y")[0, 0, 0] - cross @ np.linalg.solve(kept.cov("x")[0], cross), len(S), S))
    least = min(risk for risk, _, _ in found)
    return min((size, S) for risk, size, S in found if risk < least + 1e-9)[1]


@pytest.mark.parametrize("seed", range(6))
def test_a_population_gives_the_least_risky_invariant_set(seed):
    kind = ("variance", "shift", "random_shift")[seed % 3]
    data = make_invariance_environments(1, n_features=6, n_sites=3, kind=kind, random_state=seed)
    model = InvariantSubsetSelector().fit_moments(data.moments)
    assert model.accepted_
    assert list(np.flatnonzero(model.support_)) == best_invariant(data.moments, 6)
    assert model.gap_upper_ == model.gap_ < 1e-9
    assert np.isnan(model.pvalue_)


@pytest.mark.parametrize("metric", ["excess", "coefficient", "gradient", "risk_range", "residual"])
def test_every_metric_can_be_the_tolerance_on_a_population(metric):
    data = make_invariance_environments(1, n_features=6, n_sites=3, random_state=1)
    strict = InvariantSubsetSelector(eps=1e-8, metric=metric).fit_moments(data.moments)
    np.testing.assert_array_equal(strict.support_, InvariantSubsetSelector().fit_moments(data.moments).support_)
    assert strict.gap_ <= 1e-8
    wide = InvariantSubsetSelector(eps=1e3, metric=metric).fit_moments(data.moments)
    assert len(wide.accepted_sets_packed_) == 64


def test_the_cause_is_chosen_and_everything_is_reported():
    X, y, e = chain()
    frame = pd.DataFrame(X, columns=["cause", "effect"])
    model = InvariantSubsetSelector().fit(frame, y, environments=e)
    assert list(model.get_feature_names_out()) == ["cause"]
    assert list(model.get_support(indices=True)) == [0]
    np.testing.assert_allclose(model.transform(frame), X[:, :1])
    np.testing.assert_allclose(model.predict(frame), X @ model.coef_ + model.intercept_)
    design = np.c_[X[:, 0], np.ones(len(y))]
    np.testing.assert_allclose([model.coef_[0], model.intercept_], np.linalg.lstsq(design, y, rcond=None)[0])
    for k, label in enumerate("abc"):
        inside = e == label
        assert model.risk_env_[k] == pytest.approx(np.mean((y - model.predict(frame))[inside] ** 2))
        out = np.linalg.lstsq(design[~inside], y[~inside], rcond=None)[0]
        assert model.left_out_risk_[k] == pytest.approx(np.mean((y - design @ out)[inside] ** 2))
        full = np.c_[X, np.ones(len(y))]
        rest = np.linalg.lstsq(full[~inside], y[~inside], rcond=None)[0]
        expected = np.mean((y - full @ rest)[inside] ** 2)
        assert model.least_squares_left_out_risk_[k] == pytest.approx(expected)
    assert model.worst_risk_ == model.risk_env_.max()
    table = model.invariant_sets_
    assert list(table["set"]) == [(0,), ()]  # without features only the mean could differ, and it does not
    assert table["pvalue"].iloc[0] == model.pvalue_ > 0.05
    text = str(model.summary())
    assert "Invariant subset: cause" in text
    assert "risk, fitted elsewhere" in model.summary().table
    assert f"by at most {100 * model.gap_upper_:.3g}%" in " ".join(text.split())
    assert text.split("\n")[1].startswith("Estimand: mean squared error (squared units of y)")


def test_the_objective_orders_accepted_sets():
    data = make_invariance_environments(300, n_features=6, n_sites=2, kind="random_shift", random_state=3)
    fits = {
        objective: InvariantSubsetSelector(objective=objective).fit(data.X, data.y, environments=data.environments)
        for objective in ("pooled_risk", "worst_risk", "left_out_risk")
    }
    tables = {name: fit.invariant_sets_ for name, fit in fits.items()}
    assert tables["left_out_risk"]["left_out_risk"].is_monotonic_increasing
    k, n = tables["worst_risk"]["size"] + 1, len(data.y)
    assert (tables["worst_risk"]["worst_risk"] * (n + k) / (n - k)).is_monotonic_increasing
    assert (tables["pooled_risk"]["risk"] * (n + k) / (n - k)).is_monotonic_increasing
    assert len({frozenset(t["set"]) for t in tables.values()}) == 1


def test_no_set_accepted_is_an_answer():
    X, y, e = unstable()
    with pytest.warns(IdentificationWarning, match="No set of features is invariant at level 0.05"):
        model = InvariantSubsetSelector(test="residual").fit(X, y, environments=e)
    assert not model.accepted_
    assert len(model.invariant_sets_) == 0
    assert "NO set was accepted" in str(model.summary())
    with pytest.warns(IdentificationWarning, match="within eps=1e-06"):
        InvariantSubsetSelector(eps=1e-6).fit(*chain()[:2], environments=chain()[2])


def test_greedy_search_finds_what_the_exhaustive_one_finds():
    """On a tenth of the sets; 12 data sets of 9 features (ties in the objective do not occur)."""
    for seed in range(12):
        data = make_invariance_environments(200, n_features=9, n_sites=3, kind="random_shift", random_state=seed)
        full = InvariantSubsetSelector().fit(data.X, data.y, environments=data.environments)
        greedy = InvariantSubsetSelector(search="greedy", random_state=0).fit(
            data.X, data.y, environments=data.environments
        )
        np.testing.assert_array_equal(full.support_, greedy.support_)
        assert greedy.search_ == "greedy"
        assert greedy.n_evaluated_ < full.n_evaluated_ / 2
        assert len(np.unique(greedy.accepted_sets_packed_, axis=0)) == len(greedy.accepted_sets_packed_)


def test_greedy_neighbours_have_the_numbers_of_the_sweep():
    data = make_invariance_environments(100, n_features=7, random_state=0)
    moments = Moments.from_rows(x=data.X, y=data.y, environments=data.environments)
    from causalinv.invariance.subsets._search import _neighbours
    from causalinv.invariance.subsets._sweep import start

    everything = SubsetStatistics.concatenate(sweep(moments, left_out=True))
    inside = np.array([1, 0, 1, 1, 0, 0, 0], bool)
    around = _neighbours(start(moments, left_out=True), inside, room=4)
    assert len(around) == 3 + 4 + 3 * 4
    for name in ("own_risk", "pooled_risk", "shift", "left_out_risk"):
        np.testing.assert_allclose(getattr(around, name), getattr(everything, name)[around.masks], atol=1e-12)
    assert len(_neighbours(start(moments), inside, room=3)) == 3 + 3 * 4


def test_screening_is_reported_and_keeps_the_causes():
    sem = random_sem(61, expected_degree=2.0, random_state=7)
    sites = choose_sites(sem, 3, where="markov_blanket", random_state=0)
    envs = sem.environments([None, *(Shift(v, std=3.0) for v in sites)])
    X, y, e = envs.sample(400, random_state=0)
    with pytest.warns(ScreeningWarning, match="60 features have too many subsets; only those of the 12"):
        model = InvariantSubsetSelector(screen_size=12).fit(X, y, environments=e)
    assert model.search_ == "screened"
    assert model.screened_out_.sum() == 48
    parents = [sem.features.index(v) for v in sem.parents(sem.target)]
    assert not model.screened_out_[parents].any()
    again = InvariantSubsetSelector(screen_size=12, search="screened").fit(X, y, environments=e)
    np.testing.assert_array_equal(again.support_, model.support_)
    assert "Screened out before the search: 48 features" in str(model.summary())
    assert "rests on faithfulness" in " ".join(str(model.summary()).split())
    # Sets of at most two of all 60 can be searched, and are.
    pairs = InvariantSubsetSelector(max_size=2).fit(X, y, environments=e)
    assert pairs.search_ == "exhaustive"
    assert pairs.n_evaluated_ == 1 + 60 + 1770


def test_screening_loses_a_cause_that_another_path_cancels_and_says_so():
    """x -> y, x -> c and y -> c, all 1: given c, x has no correlation with y and ranks with the noise."""
    lost = 0
    for seed in range(10):
        rng, n = np.random.default_rng(seed), 1000
        x, noise = rng.normal(size=n), rng.normal(size=(n, 25))
        y = x + rng.normal(size=n)
        X, e = np.column_stack([noise, x + y + rng.normal(size=n), x]), np.arange(n) % 2
        lost += not screen(Moments.from_rows(x=X, y=y, environments=e), 4)[26]
    assert lost >= 7
    with pytest.warns(ScreeningWarning, match="screening assumes faithfulness"):
        InvariantSubsetSelector(screen_size=4).fit(X, y, environments=e)


@pytest.mark.parametrize("n", [59, 60, 300])
def test_screening_takes_two_rankings_in_turn(n):
    """Against an inverted covariance and regressions one after the other; below 60 rows the second stands alone."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 40)) + rng.normal(size=(n, 1))
    y = X[:, :6] @ rng.normal(size=6) + 3 * rng.normal(size=n)
    both = np.column_stack([X, y]) - np.column_stack([X, y]).mean(axis=0)
    precision = np.linalg.inv(both.T @ both)
    partial = np.argsort(-np.abs(precision[-1, :-1]) / np.sqrt(np.diag(precision)[:-1]))
    added = []
    while len(added) < 7:
        left = [
            np.inf if j in added else np.linalg.lstsq(both[:, [*added, j]], both[:, -1], rcond=None)[1][0]
            for j in range(40)
        ]
        added.append(int(np.argmin(left)))
    wanted = added if n < 60 else list(dict.fromkeys(np.column_stack([partial[:7], added]).ravel().tolist()))[:7]
    kept = screen(Moments.from_rows(x=X, y=y, environments=np.arange(n) % 3), 7)
    assert set(np.flatnonzero(kept)) == set(wanted)
    assert set(wanted) != set(partial[:7])


def test_screening_with_fewer_rows_than_features_goes_forward():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 100))
    y = 3 * X[:, 4] - 2 * X[:, 50] + 0.3 * rng.normal(size=60)
    kept = screen(Moments.from_rows(x=X, y=y, environments=np.arange(60) % 2), 5)
    assert kept.sum() == 5
    assert kept[[4, 50]].all()


def test_the_robust_test_is_a_wild_bootstrap_of_chows_statistic():
    """Against coins: signs of the restricted residuals (HC2 to HC3) drawn, and both regressions fitted again."""
    rng = np.random.default_rng(1)
    designs = [np.c_[np.ones(n), (z := rng.normal(size=(n, 2))) * np.sqrt(np.abs(z))] for n in (12, 20, 60)]
    X, e = np.concatenate(designs), np.repeat([0, 1, 2], [12, 20, 60])

    def gained(Y):  # reduction of the sum of squares by regressions of their own, for many outcomes (n, B)
        def left(A, B):
            return np.sum((B - A @ np.linalg.lstsq(A, B, rcond=None)[0]) ** 2, axis=0)

        return left(X, Y) - sum(left(X[e == k], Y[e == k]) for k in range(3))

    hat = X @ np.linalg.pinv(X)
    leverage, coins, told = np.diag(hat), rng.choice([-1.0, 1.0], size=(92, 4000)), []
    for effect in (0.0, 0.3, 0.6):
        y = X @ [1.0, 2.0, 0.0] + effect * (e == 0) * X[:, 1] + rng.normal(size=92) * np.exp(X[:, 1] / 2)
        restricted = y - hat @ y

        def share(delta, restricted=restricted, y=y):
            drawn = gained((restricted / (1 - leverage) ** (delta / 2))[:, None] * coins)
            return np.mean(drawn >= gained(y[:, None])[0])

        expected = share(np.clip(leverage / (2 * leverage.mean()), 1, 2))
        told.append(abs(share(1.0) - expected))
        ys = [y[e == k] for k in range(3)]
        assert robust_chow_pvalue(designs, ys) == pytest.approx(expected, abs=0.03)
        repeated = [np.c_[d, d[:, 1] - d[:, 2], 0 * d[:, 0]] for d in designs]
        assert robust_chow_pvalue(repeated, ys) == pytest.approx(robust_chow_pvalue(designs, ys), rel=1e-6)
    assert max(told) > 0.035  # so that HC2 for all rows would not have passed
    assert np.isnan(robust_chow_pvalue([d[:3] for d in designs], [y[:3] for y in ys]))
    assert robust_chow_pvalue(designs, [0 * y for y in ys]) == 1.0
    for none in ([], [np.empty((5, 0))]):
        with pytest.raises(ValueError, match="at least one"):
            robust_chow_pvalue(none, [np.zeros(5)] * len(none))


@pytest.mark.parametrize(("counts", "k"), [([8] * 5, 3), ([15] * 10, 3), ([8, 20, 300], 3)])
def test_the_robust_test_holds_its_level_in_small_environments(counts, k):
    """300 data sets each; chi squared rejected the truth in .25, .33 and .19 of them. A change is still seen."""
    rng, e = np.random.default_rng(0), np.repeat(np.arange(len(counts)), counts)
    false = found = 0
    for _ in range(300):
        X = np.c_[np.ones(len(e)), rng.normal(size=(len(e), k))]
        noise = rng.normal(size=len(e))
        parts = [e == j for j in range(len(counts))]
        false += robust_chow_pvalue([X[p] for p in parts], [noise[p] for p in parts]) <= 0.05
        moved = noise + 2.0 * X[:, 1] * (e % 2 == 1)
        found += robust_chow_pvalue([X[p] for p in parts], [moved[p] for p in parts]) <= 0.05
    assert false <= stats.binom.isf(1e-5, 300, 0.05)
    assert found > 120


def test_unequal_variances_mislead_chow_and_not_its_robust_variant():
    """Noise that grows with the features, 600 data sets: the robust test keeps about its level, Chow's does not."""
    rng = np.random.default_rng(0)
    rejected = np.zeros(2)
    for _ in range(600):
        designs, ys, e = [], [], np.repeat([0, 1, 2], 200)
        for env in range(3):
            x = rng.normal(size=200) * (1 + env)
            designs.append(np.c_[np.ones(200), x])
            ys.append(x + rng.normal(size=200) * np.abs(x))
        rejected[0] += robust_chow_pvalue(designs, ys) <= 0.05
        moments = Moments.from_rows(x=np.concatenate(designs)[:, 1:], y=np.concatenate(ys), environments=e)
        from causalinv.invariance import chow_pvalues

        full = SubsetStatistics.concatenate(sweep(moments)).take([1])
        rejected[1] += chow_pvalues(full, moments.count)[0] <= 0.05
    assert rejected[0] <= stats.binom.isf(1e-5, 600, 0.06)
    assert rejected[1] > stats.binom.isf(1e-5, 600, 0.06)


def test_the_robust_test_does_not_depend_on_units_or_on_rows_of_weight_zero():
    X, y, e = chain(60)
    X = np.c_[X, np.random.default_rng(0).normal(size=180)]
    plain = InvariantSubsetSelector(test="chow_hc").fit(X, y, environments=e)
    other = InvariantSubsetSelector(test="chow_hc").fit(X * [1e9, 1.0, 1e-9] + [0, 1e6, 0], y, environments=e)
    np.testing.assert_array_equal(plain.support_, other.support_)
    assert other.pvalue_ == pytest.approx(plain.pvalue_, rel=1e-4)
    masked, wild = np.ones(180), y.copy()
    masked[:10], wild[:10] = 0.0, 1e3
    dropped = InvariantSubsetSelector(test="chow_hc").fit(X[10:], y[10:], environments=e[10:])
    hidden = InvariantSubsetSelector(test="chow_hc").fit(X, wild, environments=e, sample_weight=masked)
    assert hidden.pvalue_ == pytest.approx(dropped.pvalue_, rel=1e-9)


def test_an_exact_outcome_is_found_and_said():
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(60, 3)), np.repeat([0, 1, 2], 20)
    for test in ("chow", "residual", "chow_hc"):
        with pytest.warns(DegenerateInputWarning, match="exact linear function of features"):
            model = InvariantSubsetSelector(test=test).fit(X, 2 * X[:, 0] + 0.3 * X[:, 1] + 7, environments=e)
        assert model.support_[:2].all()
        assert model.pvalue_ == 1.0
    with pytest.warns(DegenerateInputWarning):
        average = InvariantSubsetSelector(averaging=True).fit(X, 2 * X[:, 0] + 0.3 * X[:, 1] + 7, environments=e)
    np.testing.assert_allclose(average.coef_, [2.0, 0.3, 0.0], atol=1e-9)


def test_best_first_stops_at_the_first_accepted_set():
    X, y, e = chain()
    model = InvariantSubsetSelector(test="chow_hc").fit(X, y, environments=e)
    assert list(model.support_) == [True, False]
    assert len(model.invariant_sets_) == 1
    designs = [np.c_[np.ones(np.sum(e == k)), X[e == k, :1]] for k in "abc"]
    assert model.pvalue_ == pytest.approx(robust_chow_pvalue(designs, [y[e == k] for k in "abc"]))


def test_averaging_weighs_accepted_sets():
    data = make_invariance_environments(200, n_features=5, n_sites=2, random_state=0)
    model = InvariantSubsetSelector(averaging=True).fit(data.X, data.y, environments=data.environments)
    n, weights, coefs = len(data.y), [], []
    for S in model.invariant_sets_["set"]:
        design = np.c_[data.X[:, list(S)], np.ones(n)]
        w, rss = np.linalg.lstsq(design, data.y, rcond=None)[:2]
        coef = np.zeros(5)
        coef[list(S)] = w[:-1]
        coefs.append(coef)
        weights.append(-0.5 * (n * np.log(rss[0] / n) + len(S) * np.log(n)))
    weights = np.exp(np.array(weights) - max(weights))
    np.testing.assert_allclose(model.coef_, weights @ np.array(coefs) / weights.sum(), rtol=1e-8, atol=1e-12)
    assert len(model.invariant_sets_) > 1
    used = np.flatnonzero(model.coef_)
    expected = invariance_gaps(model.moments_, np.eye(5)[used], model.coef_[used], model.intercept_)
    np.testing.assert_allclose(model.gaps_, expected)
    assert np.isnan(model.gap_upper_)


def test_weights_are_compared_by_the_gap_as_it_appears():
    X, y, e = chain(60)
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    weighted = InvariantSubsetSelector(eps=0.1).fit(X, y, environments=e, sample_weight=weight.astype(float))
    repeated = Moments.from_rows(
        x=np.repeat(X, weight, axis=0), y=np.repeat(y, weight), environments=np.repeat(e, weight)
    )
    expected = invariance_gaps(repeated, np.eye(2)[weighted.support_])
    np.testing.assert_allclose(weighted.gaps_, expected, rtol=1e-9)
    assert np.isnan(weighted.gap_upper_)
    assert np.isnan(weighted.pvalue_)


def test_indirect_observation_is_the_same_search():
    """Sensors see mixtures; with an invertible mixing the neutral content is there, though no subset is invariant."""
    sem = random_sem(6, expected_degree=3.0, random_state=3)
    A = np.random.default_rng(0).normal(size=(5, 5))
    observed = sem.observe(A)
    site = sem.children(sem.target)[0]
    interventions = [None, Shift(sem.names[site], std=3.0)]
    moments = observed.environments(interventions).moments()
    direct = sem.environments(interventions).moments()
    full = invariance_gaps(direct)
    np.testing.assert_allclose(invariance_gaps(moments), full, rtol=1e-6)
    model = InvariantSubsetSelector(eps=2 * full.max()).fit_moments(moments)
    assert model.support_.all()


def test_in_a_pipeline_chosen_by_environments_left_out():
    X, y, e = chain(150)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), InvariantSubsetSelector(min_size=1), Ridge())
        pipe.fit(X, y, environments=e)
        assert pipe[-1].coef_.shape == (1,)
        grid = {"invariantsubsetselector__level": [0.01, 0.2]}
        search = GridSearchCV(pipe, grid, cv=LeaveOneEnvironmentOut(), scoring="neg_mean_squared_error")
        search.fit(X, y, environments=e)
        assert search.n_splits_ == 3
        if parse_version(sklearn.__version__) >= parse_version("1.8"):
            search = GridSearchCV(pipe, grid, cv=LeaveOneEnvironmentOut(), scoring=worst_environment_scorer)
            search.fit(X, y, environments=e)
            by_hand = cross_val_score(
                pipe, X, y, cv=LeaveOneEnvironmentOut(), scoring="neg_mean_squared_error", params={"environments": e}
            )
            # The same subset is found at both levels, so both have the score computed by hand.
            assert search.cv_results_["mean_test_score"] == pytest.approx(by_hand.mean(), rel=1e-9)
    with sklearn.config_context(enable_metadata_routing=False):
        pipe.fit(X, y, invariantsubsetselector__environments=e)
        assert pipe[-1].coef_.shape == (1,)


def fit(**kwargs):
    X, y, e = chain(30)
    return InvariantSubsetSelector(**kwargs).fit(X, y, environments=e)


POPULATION = textbook_sem("chain").environments([None, Shift("x2", std=2.0)]).moments()
MISTAKES = {
    "eps negative": (lambda: fit(eps=-0.1), "eps must be a number >= 0, got -0.1"),
    "metric": (lambda: fit(metric="kl"), "metric must be one of .* got 'kl'"),
    "objective": (lambda: fit(objective="aic"), "objective must be one of .* got 'aic'"),
    "search": (lambda: fit(search="all"), "search must be one of .* got 'all'"),
    "test": (lambda: fit(test="anova"), "test must be one of .* got 'anova'"),
    "level": (lambda: fit(level=1.5), "level must be .* <= 1, got 1.5"),
    "screen_size": (lambda: fit(screen_size=0), "screen_size must be a whole number >= 1"),
    "sizes": (lambda: fit(min_size=2, max_size=1), "min_size=2 leaves no set among 2 features and max_size=1"),
    "uncertifiable": (lambda: fit(eps=0.1, metric="excess"), "metric='excess' has no confidence bound on samples"),
    "robust without rows": (
        lambda: InvariantSubsetSelector(test="chow_hc").fit_moments(
            Moments.from_rows(x=chain(30)[0], y=chain(30)[1], environments=chain(30)[2])
        ),
        "needs the rows",
    ),
    "robust average": (lambda: fit(test="chow_hc", averaging=True), "nothing to average"),
    "weights without eps": (
        lambda: InvariantSubsetSelector().fit(
            chain(30)[0], chain(30)[1], environments=chain(30)[2], sample_weight=np.arange(90.0)
        ),
        "with sample_weight give eps",
    ),
    "no environments": (lambda: InvariantSubsetSelector().fit(*chain(30)[:2]), "needs environments="),
    "sample and population": (
        lambda: InvariantSubsetSelector().fit_moments(
            POPULATION.merge(
                Moments({"x": ["x1", "x2"], "y": ["y"]}, mean=np.zeros((1, 3)), scatter=np.eye(3)[None] * 50, weight=50,
                        count=50, cells=pd.Index([9], name="environments"))
            )
        ),
        "Some cells are a population's",
    ),
    "too many": (
        lambda: InvariantSubsetSelector(search="exhaustive").fit(
            np.random.default_rng(0).normal(size=(90, 25)), chain(30)[1], environments=chain(30)[2]
        ),
        r"25 features have 2\^25 subsets, too many",
    ),
    "too many limited": (
        lambda: InvariantSubsetSelector(search="exhaustive", max_size=9).fit(
            np.random.default_rng(0).normal(size=(90, 40)), chain(30)[1], environments=chain(30)[2]
        ),
        "40 features have 3.74e.08 subsets of at most 9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    Mistake(mistake, *MISTAKES[mistake]).check()


def test_dependent_features_are_listed_and_small_environments_reject_nothing():
    X, y, e = chain()
    with pytest.warns(DegenerateInputWarning, match=r"Features \[2\] are constant or combinations"):
        model = InvariantSubsetSelector().fit(np.c_[X, X.sum(axis=1)], y, environments=e)
    assert list(model.dependent_features_) == [False, False, True]
    keep = np.r_[np.arange(800), 800:803]
    with pytest.warns(DegenerateInputWarning, match="Environment 'c' has 3 rows: sets of 2 or more features are"):
        tiny = InvariantSubsetSelector().fit(X[keep], y[keep], environments=e[keep])
    assert tiny.support_.sum() < 2
    assert tiny.gap_upper_ > 1  # three rows certify next to nothing


def judged(test, **options):
    """A selector of both features, where one environment has three rows, and what it warned of."""
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(123, 2)), np.repeat([0, 1, 2], [60, 60, 3])
    y = X.sum(axis=1) + rng.normal(size=123)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = InvariantSubsetSelector(test=test, min_size=2, **options)
        model.fit(X, (y > 0) * 1.0 if test == "logistic" else y, environments=e)
    return model, " ".join(str(each.message) for each in told)


@pytest.mark.parametrize(
    "test", ["chow", "chow_hc", "residual", "ks", "ranks", "logistic", lambda residual, labels: 0.5]
)
def test_sets_larger_than_an_environment_are_said_to_be_refused_only_where_they_are(test):
    """Of all tests but Chow's it was said that such sets are not accepted, and all but one accept them."""
    model, told = judged(test)
    assert "Environment 2 has 3 rows: sets of 2 or more features" in told
    assert model.accepted_
    assert "are not accepted" not in told
    assert ("judged there only by how well the others predict" in told) == (test in ("chow", "chow_hc", "logistic"))
    certified, told = judged("chow", eps=0.3)
    assert not certified.accepted_
    assert "cannot be judged there, and are not accepted" in told


def test_sets_that_cannot_be_tested_are_not_said_to_be_refuted():
    def silent(residual, labels):
        return np.nan

    model, told = judged(silent)
    assert not model.accepted_
    assert "Sets that could not be tested: 1, as the function given as test= returned NaN" in told
    assert "No set of features is shown to be invariant at level 0.05" in told
    assert "by test silent at level 0.05" in " ".join(str(model.summary()).split())
