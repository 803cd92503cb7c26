"""Rare categories, unequal weights, many instruments and several outcomes, beside judges that are not this package."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from causalinv import IVLikeRegression, Translation
from causalinv._parallel import streams
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning, WeakSignalWarning
from causalinv.ivlike import IVLikeBoosting, IVLikeRegressionCV
from causalinv.ivlike._bootstrap import unit_counts
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._weak_identification import robust_ar_set

ALONG_LAST = Translation([[0.0, 0.0, 1.0]])


def drawn_rows(n, n_replications):
    """Positions of the rows that a bootstrap of seed 0 draws."""
    return [np.repeat(np.arange(n), unit_counts(n, rng).astype(int)) for rng in streams(0, n_replications, "bootstrap")]


def one_treated(seed=0, n=120):
    """Rows of which one is marked in x1; the outcome ignores x2."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    X[:, 1] = np.arange(n) == 7
    return X, X @ [1.0, 2.0, 0.0] + rng.normal(size=n)


def with_instruments(seed, n=60, q=6):
    rng = np.random.default_rng(seed)
    Z, u = rng.normal(size=(n, q)), rng.normal(size=n)
    X = Z[:, :2] + rng.normal(size=(n, 2)) + u[:, None]
    return X, X @ [1.0, 1.0] + u + rng.normal(size=n), Z


# -- what rests on a single row -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: m.path_confint([0.0, 0.1], over="coefficients").xs("x1", level="feature")[["lower", "upper"]],
        lambda m: m.sensitivity(0.05, confidence_level=0.95).loc["x1", ["lower", "upper"]],
        lambda m: m.bootstrap(20, random_state=0).confint().loc["x1"],
        lambda m: m.covariance()[1, 1],
        lambda m: m.contrast([0.0, 1.0, 0.0])["s.e."],
    ],
)
def test_no_door_has_an_interval_for_the_only_treated_row(ask):
    X, y = one_treated()
    model = IVLikeRegression(augmentation=ALONG_LAST).fit(X, y)
    with pytest.warns(DegenerateInputWarning, match="rest on a single row"):
        found = ask(model)
    assert np.isnan(np.asarray(found, dtype=float)).all()


def test_the_selected_interval_of_the_only_treated_row_is_left_out_with_one_warning():
    X, y = one_treated()
    model = IVLikeRegression("cc", augmentation=ALONG_LAST).fit(X, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = model.confint(kind="selected")
    assert frame.loc["x1"].isna().all()
    assert frame.drop("x1").notna().all(axis=None)
    assert [str(each.message)[:22] for each in caught] == ["1 of 3 intervals are l"]


@pytest.mark.filterwarnings("ignore:.*rest on a single row")
def test_bands_of_other_coefficients_do_not_depend_on_the_only_treated_row():
    X, y = one_treated()
    without = np.delete(np.arange(len(y)), 7)
    model = IVLikeRegression(augmentation=Translation([[0.0, 1.0]])).fit(X[without][:, [0, 2]], y[without])
    whole = IVLikeRegression(augmentation=ALONG_LAST).fit(X, y)

    def width(fitted):
        bands = [fitted.path_confint([0.0], over="coefficients", random_state=seed) for seed in range(12)]
        return np.mean([band.loc[(0.0, "x0"), "upper"] - band.loc[(0.0, "x0"), "coef"] for band in bands])

    # The same least squares, and no other number that varies; n - k differs by one. Quantiles of 12 * 2000 draws.
    assert width(whole) == pytest.approx(width(model), rel=0.03)


# -- resamples ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0, 0.1])
def test_a_rare_category_that_is_not_drawn_has_coefficient_0(alpha):
    rng = np.random.default_rng(2)
    n = 60
    X = np.c_[rng.normal(size=n), np.arange(n) < 2, np.arange(n) % 7 == 0].astype(float)
    y = X @ [1.0, 2.0, 0.5] + rng.normal(size=n)
    model = IVLikeRegression(alpha, augmentation=ALONG_LAST).fit(X, y)
    with pytest.warns(DegenerateInputWarning, match="replications a feature did not vary"):
        found = model.bootstrap(60, random_state=0).replicates.to_numpy()
    drawn = drawn_rows(n, 60)
    assert any(not X[rows, 1].any() for rows in drawn)
    gamma = np.inf if alpha == 0 else 11.0
    for rows, coef in zip(drawn, found, strict=True):
        x, target = X[rows] - X[rows].mean(axis=0), y[rows] - y[rows].mean()
        moved = [] if alpha == 0 else [2]
        keep = [j for j in (0, 1) if np.ptp(X[rows, j])] + moved
        matrix = x[:, keep].T @ x[:, keep] / len(rows)
        if alpha > 0:
            matrix[-1, -1] += gamma
        expected = np.zeros(3)
        expected[keep] = np.linalg.solve(matrix, x[:, keep].T @ target / len(rows))
        np.testing.assert_allclose(coef, expected, atol=1e-9)


def test_a_rare_category_does_not_spoil_a_bootstrap_of_cross_validation():
    rng = np.random.default_rng(2)
    n = 60
    X = np.c_[rng.normal(size=n), 0.1 + (np.arange(n) < 2), np.arange(n) % 7 == 0].astype(float)
    y = X @ [1.0, 2.0, 0.5] + rng.normal(size=n)
    model = IVLikeRegressionCV(augmentation=ALONG_LAST, random_state=0).fit(X, y)
    with pytest.warns(DegenerateInputWarning):
        found = model.bootstrap(40, random_state=0).replicates["x1"].to_numpy()
    unseen = np.array([np.ptp(X[rows, 1]) == 0 for rows in drawn_rows(n, 40)])
    assert unseen.any()
    assert (found[unseen] == 0).all()
    assert np.abs(found).max() < 6


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")
@pytest.mark.parametrize("a", [0, 1, 4])
def test_replications_of_fuller_are_those_of_linearmodels_on_the_drawn_rows(a):
    linearmodels = pytest.importorskip("linearmodels.iv", reason="linearmodels is not installed (extra bench)")
    rng = np.random.default_rng(0)
    n = 40
    Z, u, C = rng.normal(size=(n, 8)), rng.normal(size=n), rng.normal(size=(n, 1))
    X = Z[:, :1] + u[:, None] + rng.normal(size=(n, 1))
    y = X[:, 0] + u
    alpha = "liml" if a == 0 else f"fuller({a})"
    found = IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=C).bootstrap(12, random_state=0)
    for rows, coef in zip(drawn_rows(n, 12), found.replicates["x0"], strict=True):
        peer = linearmodels.IVLIML(y[rows], np.c_[np.ones(n), C[rows]], X[rows], Z[rows], fuller=a).fit()
        assert coef == pytest.approx(peer.params.iloc[-1], abs=1e-9)


# -- cross-validation ---------------------------------------------------------------------------------------------


def projected(z, v):
    return z @ np.linalg.lstsq(z, v, rcond=None)[0]


def held_out_risk(X, y, Z, folds, alpha):
    """Mean risk of shifts of sqrt(11), by projections of rows; what noise explains is taken off as in adjusted R²."""
    total = 0.0
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold

        x, r, z = (part[train] - part[train].mean(axis=0) for part in (X, y, Z))
        px = projected(z, x)
        coef = np.linalg.solve(alpha * x.T @ x + px.T @ x, alpha * x.T @ r + px.T @ r)
        x, r, z = (part[test] - part[test].mean(axis=0) for part in (X, y, Z))
        e = r - x @ coef
        n, q = z.shape
        risk, explained = np.mean(e**2), np.mean(projected(z, e) ** 2)
        offset = y[test].mean() - y[train].mean() - (X[test].mean(axis=0) - X[train].mean(axis=0)) @ coef
        total += n * (risk + offset**2 + 10 * (explained - q / (n - q - 1) * (risk - explained)))
    return total / len(y)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")
def test_the_strength_of_least_risk_is_taken_if_the_risk_is_negative():
    """It was the first of the grid: what is at most (1 + 1e-9) times a negative minimum is nothing."""
    alphas, negative = np.array([1e-3, 0.01, 0.1, 1.0, 10.0]), 0
    for seed in range(12):
        X, y, Z = with_instruments(seed)
        folds = np.random.default_rng(seed).permutation(60) % 5
        splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]
        model = IVLikeRegressionCV(alphas, cv=splits).fit(X, y, instruments=Z)
        risks = [held_out_risk(X, y, Z, folds, alpha) for alpha in alphas]
        np.testing.assert_allclose(model.cv_results_["risk"], risks, rtol=1e-9, atol=1e-9)
        assert model.alpha_ == alphas[np.argmin(risks)]
        negative += min(risks) < 0 and np.argmin(risks) > 0
    assert negative >= 1


def test_what_instruments_explain_of_noise_by_chance_counts_the_weights():
    """Of noise alone E(Πr)² is 0: the estimates must be so on average, with weights up to 20 : 1."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        Z, X, y = (rng.normal(size=(200, k)) for k in (6, 1, 12))
        weight = np.exp(rng.uniform(0, 3, size=200))
        risks = [
            IVLikeRegressionCV([np.inf], shift_size=k, cv=2, random_state=0)
            .fit(X, y, instruments=Z, sample_weight=weight)
            .cv_results_["risk"][0]
            for k in (2**0.5, 1.0)
        ]
        found.append(risks[0] - risks[1])
    error = np.std(found) / np.sqrt(60)
    assert error < 0.004
    assert abs(np.mean(found)) < 3 * error  # .042 where weights are not counted


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")
def test_a_fold_that_instruments_fit_is_refused():
    X, y, Z = with_instruments(0, q=11)
    with pytest.raises(ValueError, match="fold of 12 rows cannot judge strengths with 11 instruments"):
        IVLikeRegressionCV(random_state=0).fit(X, y, instruments=Z)
    assert IVLikeRegressionCV(random_state=0, cv=3).fit(X, y, instruments=Z).alpha_ > 0


@pytest.mark.parametrize("unit", [1e-3, 1e4])
def test_units_of_one_of_several_outcomes_do_not_choose_the_strength(unit):
    X, y, Z = with_instruments(3, n=150, q=3)
    both = np.c_[y, X[:, 0] + np.random.default_rng(0).normal(size=150)]
    models = [IVLikeRegressionCV(random_state=0).fit(X, both * [1.0, scale], instruments=Z) for scale in (1.0, unit)]
    assert models[0].alpha_ == models[1].alpha_
    chosen = [model.bootstrap(3, random_state=0).alphas for model in models]
    np.testing.assert_array_equal(*chosen)


# -- several outcomes ---------------------------------------------------------------------------------------------


def test_controls_of_several_outcomes_are_those_of_linearmodels():
    linearmodels = pytest.importorskip("linearmodels.iv", reason="linearmodels is not installed (extra bench)")
    X, y, Z = with_instruments(1, n=400, q=2)
    C = np.random.default_rng(0).normal(size=(400, 2))
    both = np.c_[y, X[:, 0] + C[:, 1] + Z[:, 0] ** 2]
    model = IVLikeRegression(0).fit(X, both, instruments=Z, controls=C)
    frame, printed = model.controls_frame(), model.summary().table
    for j in range(2):
        peer = linearmodels.IV2SLS(both[:, j], np.c_[np.ones(400), C], X, Z).fit(cov_type="robust", debiased=True)
        np.testing.assert_allclose(frame.loc[j, "coef"], peer.params[1:3], atol=1e-10)
        np.testing.assert_allclose(frame.loc[j, "s.e."], peer.std_errors[1:3], rtol=1e-8)
        np.testing.assert_allclose(printed.loc[(j, ["c0", "c1"]), "estimate"], peer.params[1:3], atol=1e-10)
    assert "the last 4 rows are controls" in str(model.summary())
    one = IVLikeRegression(0).fit(X, y, instruments=Z, controls=C)
    pd.testing.assert_frame_equal(model.first_stage().table, one.first_stage().table)


def test_an_outcome_of_one_column_is_one_outcome():
    X, y = one_treated()
    column, vector = (IVLikeRegression(augmentation=ALONG_LAST).fit(X, each) for each in (y[:, None], y))
    np.testing.assert_allclose(column.sensitivity(0.1).to_numpy(), vector.sensitivity(0.1).to_numpy())
    np.testing.assert_allclose(column.rule_.coef, vector.rule_.coef)


# -- a first stage of nothing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_instruments_that_are_uncorrelated_up_to_rounding_move_nothing(scale):
    """x is the same on both sides of z: the covariance is 0, and its rounding gave a coefficient of 5e17."""
    rng = np.random.default_rng(1)
    u = rng.normal(size=75)
    x, z = np.r_[u, u] * scale + 3 * scale, np.r_[np.ones(75), -np.ones(75)]
    y = x / scale + rng.normal(size=150)
    order = rng.permutation(150)
    with pytest.warns(IdentificationWarning, match="1 effective instruments move 0 of 1 feature directions"):
        model = IVLikeRegression(0).fit(x[order, None], y[order], instruments=z[order])
    slope = np.polyfit(x / scale, y, 1)[0]
    assert model.coef_[0] * scale == pytest.approx(slope, rel=1e-10)
    with pytest.raises(ValueError, match="move 0 of 1 directions"):
        model.confint(kind="identified")
    with pytest.raises(ValueError, match="move 0 of 1 directions"):
        IVLikeRegression("liml").fit(x[:, None], y, instruments=z)


def test_a_first_stage_that_is_weak_is_no_rounding():
    rng = np.random.default_rng(1)
    u = rng.normal(size=75)
    z = np.r_[np.ones(75), -np.ones(75)]
    x = np.r_[u, u] + 1e-6 * z
    y = x + rng.normal(size=150)
    with pytest.warns(WeakSignalWarning):
        model = IVLikeRegression(0).fit(x[:, None], y, instruments=z)
    assert model.coef_[0] == pytest.approx((z @ y) / (z @ x), rel=1e-6)


# -- formulas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "match"),
    [
        ("y ~ [x - 1 ~ z]", "constant is always fitted"),
        ("y ~ [x ~ 0 + z]", "constant is always fitted"),
        ("y - 1 ~ [x ~ z]", "constant is always fitted"),
        ("y ~ .", "would count the outcome"),
        ("y ~ [x ~ .]", "would count the outcome"),
        ("y ~ [x ~ z | w]", r"several parts, '\|'"),
        ("y ~ w - [x ~ z]", r"The part 'w -' of the formula cannot be read: [^\x1b⧛]*$"),
    ],
)
def test_formulas_that_would_be_misread_are_refused_by_name(formula, match):
    pytest.importorskip("formulaic")
    data = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 4)), columns=list("yxzw"))
    with pytest.raises(ValueError, match=match):
        IVLikeRegression.from_formula(formula, data)


def test_a_minus_one_inside_a_term_is_a_term():
    pytest.importorskip("formulaic")
    data = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 4)), columns=list("yxzw")).assign(w=lambda d: d.w**2)
    data["x"] += 2 * data.z
    model = IVLikeRegression.from_formula("y ~ np.exp(-1 * w) + [x ~ z]", data)
    control = np.exp(-data.w.to_numpy())
    Z = np.c_[np.ones(300), control, data.z]
    expected = np.linalg.solve(Z.T @ np.c_[np.ones(300), control, data.x], Z.T @ data.y)
    np.testing.assert_allclose([model.controls_coef_[0], model.coef_[0]], expected[1:], atol=1e-10)


# -- units ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cov_type", ["classical", "HC2", "HC3", "wild", "bootstrap"])
def test_units_of_controls_change_no_interval(cov_type):
    """Controls of spread 1e4 and 1e-4: a rank in raw units took one of them out of HC3 and of the bootstraps of t."""
    rng = np.random.default_rng(99)
    X, y, Z = with_instruments(0, n=90, q=2)
    C, groups = rng.normal(size=(90, 2)), None if cov_type == "classical" else rng.integers(0, 14, size=90)
    weight = np.exp(rng.uniform(0, 3, size=90))
    frames = [
        IVLikeRegression(0)
        .fit(X, y, instruments=Z, controls=C * unit - 3, groups=groups, sample_weight=weight)
        .predict_confint(X[:2], controls=C[:2] * unit - 3, cov_type=cov_type)
        for unit in (np.ones(2), np.array([1e4, -1e-4]))
    ]
    np.testing.assert_allclose(*frames, rtol=1e-7)


def test_reaction_bounds_hold_along_directions_of_very_different_length():
    """(h2 + h3)² + (L (h2 - h3))² <= δ² lets h2 be at most δ sqrt(1 + 1/L²) / 2; a square of L was lost as rounding."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = X @ [1.0, -1.0, 0.0, 0.0] + rng.normal(size=80)
    for short in (1.0, 1e-3, 1e-7):
        along = Translation([[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, short, -short]])
        frame = IVLikeRegression(augmentation=along).fit(X, y).sensitivity(reaction=0.1 * short)
        np.testing.assert_allclose(frame["upper"][2:], 0.05 * short * np.sqrt(1 + short**-2), rtol=1e-6)


@pytest.mark.parametrize("model", [IVLikeRegression(0.1), IVLikeBoosting(alpha=0.1, n_estimators=2)])
def test_a_score_on_rows_that_instruments_fit_is_refused(model):
    """The share of any error that 4 columns explain of 5 rows is 1: least squares won every such comparison."""
    X, y, Z = with_instruments(0, q=4)
    model.fit(X, y, instruments=Z)
    with pytest.raises(ValueError, match="score on 5 rows needs fewer than the 4 independent instruments"):
        model.score(X[:5], y[:5], instruments=Z[:5])
    assert model.score(X[:12], y[:12], instruments=Z[:12]) < 1


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")
@pytest.mark.parametrize("alpha", ["liml", "fuller"])
def test_a_bootstrap_of_liml_says_which_resamples_have_too_few_rows(alpha):
    X, y, Z = with_instruments(0, n=40, q=22)
    with pytest.raises(ValueError, match=r"of 30 resamples have no more different rows .* than there are instruments"):
        IVLikeRegression(alpha).fit(X, y, instruments=Z).bootstrap(30, random_state=0)


@pytest.mark.filterwarnings("ignore:.*a feature did not vary")
def test_a_bootstrap_of_nearly_as_many_controls_as_rows_is_refused():
    """33 controls fit the 25 different rows of a resample of 40: every replicate was 0, and so was the interval."""
    X, y, Z = with_instruments(0, n=40, q=3)
    C = np.random.default_rng(99).normal(size=(40, 33))
    model = IVLikeRegression(0.1).fit(X, y, instruments=Z, controls=C)
    with pytest.raises(ValueError, match=r"20 of 20 resamples have no more different rows \(about 2\d of 40\) than"):
        model.bootstrap(20, random_state=0)
    with pytest.warns(DegenerateInputWarning, match="so they are fitted exactly, and spread the replicates"):
        IVLikeRegression(0.1).fit(X, y, instruments=Z, controls=C[:, :20]).bootstrap(100, random_state=0)
    assert IVLikeRegression(0.1).fit(X, y, instruments=Z, controls=C[:, :5]).bootstrap(20, random_state=0) is not None


# -- levels ---------------------------------------------------------------------------------------------------------


def test_levels_are_printed_as_they_are_and_refused_where_draws_do_not_show_them():
    """97.5% was printed as 98%, and .9999 of 999 draws was the largest of them under the head of 100%."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = X @ [1.0, -1.0, 0.0] + rng.normal(size=60)
    model = IVLikeRegression(augmentation=ALONG_LAST).fit(X, y)
    heads = [
        model.confint(confidence_level=0.975).columns.name,
        model.path_confint([0.1], confidence_level=0.999).columns.name,
        model.sensitivity(0.1, confidence_level=0.975).columns.name,
        model.bootstrap(9, random_state=0).confint(confidence_level=0.125).columns.name,
        model.predict_confint(X, confidence_level=0.95).columns.name,
    ]
    for head, level in zip(heads, ("97.5%", "99.9%", "97.5% confidence", "12.5%", "95%,"), strict=True):
        assert level in head
    for ask in (
        lambda level: model.confint(cov_type="wild", confidence_level=level),
        lambda level: model.confint(cov_type="bootstrap", confidence_level=level),
        lambda level: model.path_confint([0.1], confidence_level=level),
    ):
        assert np.isfinite(ask(0.999).to_numpy()).all()
        with pytest.raises(ValueError, match=r"levels up to 0.999, got 0.9999"):
            ask(0.9999)


@pytest.mark.parametrize("groups", [None, [0, 1, 1, 2, 3, 3]])
def test_nothing_moved_is_nothing_to_test_with_groups_too(groups):
    """A feature that repeats one which stays: with groups the test ended in an IndexError."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = IVLikeRegression(augmentation=Translation([[1.0, 0.0, 0.0]]))
        model.fit(np.c_[X[:, 0], X], rng.normal(size=6), groups=groups)
        found = model.ols_invariance_test()
    assert (found.statistic, found.pvalue, found.df) == (0.0, 1.0, 0)


def test_a_robust_set_without_an_instrument_left_is_the_line():
    """Three controls of four rows, of which one thing is left: all features are among the instruments there."""
    rng = np.random.default_rng(0)
    equation = Equation.from_rows(
        rng.normal(size=4), rng.normal(size=(4, 2)), rng.normal(size=(4, 2)), controls=rng.normal(size=(4, 2))
    )
    for clusters in (None, np.array([0, 1, 2, 2])):
        found = robust_ar_set(replace(equation, clusters=clusters), 0, 0.95)
        assert np.isinf(found).all()
