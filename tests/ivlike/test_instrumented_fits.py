"""Controls, LIML, Fuller and the doors of a fit to genuine instruments, through the estimators."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from causalinv import FunctionAugmentation, IVLikeRegression, Moments, Translation
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike import IVLikeRegressionCV

from .test_kclass import instrumented

pytestmark = pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")


def frames(k=3, m=1, **given):
    y, X, Z, W, groups, weight = instrumented(k=k, m=m, **given)
    X = pd.DataFrame(X, columns=[f"x{i}" for i in range(m)])
    Z, W = pd.DataFrame(Z, columns=[f"z{i}" for i in range(k)]), pd.DataFrame(W, columns=["w0", "w1"])
    return X, pd.Series(y), Z, W, groups, weight


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 30.0, np.inf, "liml", "fuller", "fuller(4)"])
@pytest.mark.parametrize("m", [1, 2])
def test_controls_give_the_numbers_of_repeated_columns(alpha, m, weighted):
    X, y, Z, W, groups, weight = frames(m=m, weighted=weighted)
    given = {"sample_weight": weight, "groups": groups}
    ours = IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=W, **given)
    idiom = IVLikeRegression(alpha).fit(X.join(W), y, instruments=Z.join(W), **given)
    both = np.r_[ours.coef_, ours.controls_coef_]
    np.testing.assert_allclose(both, idiom.coef_, rtol=1e-10)
    assert ours.intercept_ == pytest.approx(idiom.intercept_, rel=1e-9)
    assert ours.alpha_ == pytest.approx(idiom.alpha_, abs=1e-12)
    np.testing.assert_allclose(ours.predict(X, controls=W), idiom.predict(X.join(W)), rtol=1e-9)
    np.testing.assert_allclose(ours.first_stage_f_, idiom.first_stage_f_, rtol=1e-9)
    for cov_type in ("auto", "HC1", "misspecified"):
        np.testing.assert_allclose(
            ours.covariance(cov_type=cov_type), idiom.covariance(cov_type=cov_type)[:m, :m], rtol=1e-8
        )
    if m == 1:
        assert ours.effective_f_ == pytest.approx(idiom.effective_f_, rel=1e-9)
        assert ours.weak_instrument_set().intervals == pytest.approx(idiom.weak_instrument_set("x0").intervals)
    if alpha in (0.0, "liml"):
        for test in ("overidentification_test", "endogeneity_test"):
            assert getattr(ours, test)().statistic == pytest.approx(getattr(idiom, test)().statistic, rel=1e-8)
        frame = ours.controls_frame(cov_type="HC1")
        assert list(frame.index) == ["w0", "w1"]
        errors = np.sqrt(np.diagonal(idiom.covariance(cov_type="HC1")))[m:]
        np.testing.assert_allclose(frame["s.e."], errors, rtol=1e-9)
        np.testing.assert_allclose(
            ours.confint(kind="identified"), idiom.confint(kind="identified").iloc[:m], rtol=1e-8
        )


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.3, np.inf, "liml"])
def test_errors_of_predictions_with_controls_are_those_of_repeated_columns(alpha, weighted):
    X, y, Z, W, groups, weight = frames(m=2, weighted=weighted)
    given = {"sample_weight": weight, "groups": groups}
    W["again"] = W["w0"] - 2 * W["w1"]  # dependent: what it gets, the others lack
    W = W[["again", "w0", "w1"]]
    ours = IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=W, **given)
    idiom = IVLikeRegression(alpha).fit(X.join(W), y, instruments=Z.join(W), **given)
    at = slice(0, 7)
    for cov_type in ("auto", "misspecified", "HC1"):
        found = ours.predict_confint(X[at], controls=W[at], cov_type=cov_type)
        theirs = idiom.predict_confint(X.join(W)[at], cov_type=cov_type)
        np.testing.assert_allclose(found, theirs, rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(found["estimate"], ours.predict(X[at], controls=W[at]), rtol=1e-9)


def test_errors_of_predictions_with_controls_are_those_of_linearmodels():
    peer = pytest.importorskip("linearmodels.iv", reason="a peer, of the extra bench")
    X, y, Z, W, _, _ = frames(k=1, m=1)
    full = pd.concat([pd.Series(1.0, index=W.index, name="one"), W], axis=1)
    theirs = peer.IV2SLS(y, full, X, Z).fit(cov_type="robust", debiased=True)
    rows = full.join(X)[theirs.params.index].iloc[:5].to_numpy()
    errors = np.sqrt(np.einsum("ij,jk,ik->i", rows, theirs.cov.to_numpy(), rows))
    ours = IVLikeRegression(0.0).fit(X, y, instruments=Z, controls=W).predict_confint(X[:5], controls=W[:5])
    np.testing.assert_allclose(ours["s.e."], errors, rtol=1e-8)
    np.testing.assert_allclose(ours["estimate"], rows @ theirs.params, rtol=1e-8)


def test_small_samples_count_the_controls():
    """HC2 with Bell and McCaffrey's degrees of freedom sees the controls' leverage, as with repeated columns."""
    X, y, Z, W, _, _ = (part if part is None else part[:14] for part in frames(k=1))
    ours = IVLikeRegression(0.0).fit(X, y, instruments=Z, controls=W)
    idiom = IVLikeRegression(0.0).fit(X.join(W), y, instruments=Z.join(W))
    for cov_type in ("auto", "classical", "HC1", "HC2", "HC3"):
        np.testing.assert_allclose(
            ours.confint(cov_type=cov_type), idiom.confint(cov_type=cov_type).iloc[:1], rtol=1e-8
        )


@pytest.mark.parametrize("alpha", [0.0, 0.5, "liml", "fuller"])
def test_moments_with_controls_are_fitted_like_rows(alpha):
    X, y, Z, W, _, weight = frames(k=4, m=2, weighted=True)
    rows = IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=W, sample_weight=weight)
    moments = Moments.from_rows(x=X, y=y, g=Z, c=W, sample_weight=weight)
    of_moments = IVLikeRegression(alpha).fit_moments(moments)
    for name in ("coef_", "intercept_", "controls_coef_", "first_stage_f_", "alpha_"):
        np.testing.assert_allclose(getattr(of_moments, name), getattr(rows, name), rtol=1e-7, atol=1e-12)
    with pytest.raises(ValueError, match="not at hand"):
        of_moments.weak_instrument_set("x0")
    again = pickle.loads(pickle.dumps(rows))
    np.testing.assert_array_equal(again.predict(X, controls=W), rows.predict(X, controls=W))


def test_cross_validation_and_bootstrap_partial_out_anew():
    X, y, Z, W, groups, weight = frames(weighted=True)
    given = {"sample_weight": weight, "groups": groups}
    ours = IVLikeRegressionCV(random_state=0).fit(X, y, instruments=Z, controls=W, **given)
    idiom = IVLikeRegressionCV(random_state=0).fit(X.join(W), y, instruments=Z.join(W), **given)
    np.testing.assert_allclose(ours.cv_results_, idiom.cv_results_, rtol=1e-8)
    np.testing.assert_allclose(np.r_[ours.coef_, ours.controls_coef_], idiom.coef_, rtol=1e-9)
    first, second = (
        IVLikeRegression(0.0).fit(rows, y, **given, **more).bootstrap(50, random_state=0).replicates
        for rows, more in (
            (X, {"instruments": Z, "controls": W}),
            (X.join(W), {"instruments": Z.join(W)}),
        )
    )
    np.testing.assert_allclose(first, second.iloc[:, :1], rtol=1e-8)


def test_bootstrap_agrees_with_the_sandwich():
    X, y, Z, W, _, _ = frames()
    model = IVLikeRegression(0.0).fit(X, y, instruments=Z, controls=W)
    errors = model.bootstrap(200, random_state=0).standard_errors()
    assert errors.iloc[0] == pytest.approx(np.sqrt(model.covariance()[0, 0]), rel=0.2)


def test_controls_are_routed_through_pipelines_and_searches():
    X, y, Z, W, groups, weight = frames(weighted=True)
    with sklearn.config_context(enable_metadata_routing=True):
        model = IVLikeRegression(0.1).set_fit_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        pipe.fit(X, y, instruments=Z, controls=W, groups=groups, sample_weight=weight)
        plain = IVLikeRegression(0.1).fit(X, y, instruments=Z, controls=W, groups=groups, sample_weight=weight)
        np.testing.assert_allclose(pipe[-1].controls_coef_, plain.controls_coef_, rtol=1e-9)
        np.testing.assert_allclose(pipe.predict(X, controls=W), plain.predict(X, controls=W), rtol=1e-9)
        search = GridSearchCV(IVLikeRegression(), {"alpha": [0.0, 0.1, 10.0]}, cv=3, error_score="raise")
        search.fit(X, y, instruments=Z, controls=W)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert np.isfinite(search.best_estimator_.predict(X, controls=W)).all()


def test_score_with_controls_is_by_hand():
    X, y, Z, W, _, _ = frames()
    model = IVLikeRegression(0.1).fit(X[:200], y[:200], instruments=Z[:200], controls=W[:200])
    new = X[200:], y[200:], Z[200:].to_numpy(), W[200:]
    residual = (new[1] - model.predict(new[0], controls=new[3])).to_numpy()
    C = np.column_stack([np.ones(100), new[3]])
    exogenous = np.column_stack([C, new[2]])
    explained = exogenous @ np.linalg.lstsq(exogenous, residual, rcond=None)[0]
    risk, part = residual.var(), explained.var()
    part -= 5 / (100 - 5 - 1) * (risk - part)
    by_hand = 1 - (risk + residual.mean() ** 2 + 10 * max(part, 0)) / new[1].var(ddof=0)
    assert model.score(new[0], new[1], instruments=new[2], controls=new[3]) == pytest.approx(by_hand, rel=1e-9)


def test_controls_with_features_and_several_outcomes():
    X, y, Z, W, _, _ = frames(k=3)
    wide = PolynomialFeatures(2, include_bias=False)
    seen = IVLikeRegression(0.0, features=wide).fit(X, y, instruments=Z, controls=W)
    plain = IVLikeRegression(0.0).fit(wide.fit_transform(X), y, instruments=Z, controls=W)
    np.testing.assert_allclose(seen.coef_, plain.coef_, rtol=1e-10)
    np.testing.assert_allclose(seen.predict(X, controls=W), plain.predict(wide.transform(X), controls=W), rtol=1e-10)
    two = IVLikeRegression(0.0).fit(X, np.c_[y, 2 * y], instruments=Z, controls=W)
    assert two.controls_coef_.shape == (2, 2)
    np.testing.assert_allclose(two.controls_coef_[1], 2 * two.controls_coef_[0], rtol=1e-9)
    np.testing.assert_allclose(two.predict(X, controls=W)[:, 1], 2 * two.predict(X, controls=W)[:, 0], rtol=1e-9)
    classical = two.covariance(cov_type="classical")
    np.testing.assert_allclose(classical[1], 4 * classical[0], rtol=1e-9)
    with pytest.raises(ValueError, match="takes one outcome, and the fit has 2"):
        two.overidentification_test()


def test_mistakes_with_controls_are_named():
    X, y, Z, W, _, _ = frames()
    rows = IVLikeRegression(0.0)
    with pytest.raises(ValueError, match="controls= goes with instruments="):
        IVLikeRegression(augmentation=Translation([[1.0]])).fit(X.to_numpy(), y, controls=W)
    with pytest.raises(ValueError, match=r"X has columns that are combinations of the controls: \['w1'\]"):
        rows.fit(X.join(W["w1"]), y, instruments=Z, controls=W)
    with pytest.raises(ValueError, match=r"instruments has columns that are combinations of the controls: \['s'\]"):
        rows.fit(X, y, instruments=Z.assign(s=W["w0"] - 3 * W["w1"]), controls=W)
    with pytest.raises(ValueError, match="controls has 0 columns"):
        rows.fit(X, y, instruments=Z, controls=W.to_numpy()[:, :0])
    with pytest.raises(ValueError, match="controls"):
        rows.fit(X, y, instruments=Z, controls=W[:-1])
    with pytest.raises(ValueError, match="controls"):
        rows.fit(X, y, instruments=Z, controls=W.assign(w0=np.nan))
    model = rows.fit(X, y, instruments=Z, controls=W)
    with pytest.raises(ValueError, match="fitted with 2 controls: pass controls="):
        model.predict(X)
    with pytest.raises(ValueError, match="must be those of the fit"):
        model.predict(X, controls=W[["w1", "w0"]])
    with pytest.raises(ValueError, match="must be those of the fit"):
        model.predict(X, controls=W["w1"])
    with pytest.raises(ValueError, match="pass controls="):
        model.score(X, y, instruments=Z)
    with pytest.raises(ValueError, match="fitted without controls"):
        IVLikeRegression(0.0).fit(X, y, instruments=Z).predict(X, controls=W)
    with pytest.raises(ValueError, match="fitted without controls"):
        IVLikeRegression(0.0).fit(X, y, instruments=Z).controls_frame()
    with pytest.raises(ValueError, match="not available with controls="):
        model.covariance(intercept=True)
    with pytest.raises(ValueError, match="pass controls="):
        model.predict_confint(X)
    rule = model.rule_
    assert rule.names == ("x0", "w0", "w1")
    np.testing.assert_allclose(rule.predict(X.join(W)), model.predict(X, controls=W), rtol=1e-10)
    model.fit(X, y, instruments=Z)
    assert not hasattr(model, "controls_coef_")


def test_dependent_and_constant_controls_change_nothing():
    X, y, Z, W, _, _ = frames()
    plain = IVLikeRegression("liml").fit(X, y, instruments=Z, controls=W)
    more = W.assign(again=W["w0"] * 1e6, one=1.0)
    with pytest.warns(DegenerateInputWarning, match="4 controls have rank 2"):
        repeated = IVLikeRegression("liml").fit(X, y, instruments=Z, controls=more)
    np.testing.assert_allclose(repeated.coef_, plain.coef_, rtol=1e-10)
    np.testing.assert_allclose(repeated.covariance(), plain.covariance(), rtol=1e-8)
    np.testing.assert_allclose(repeated.predict(X, controls=more), plain.predict(X, controls=W), rtol=1e-8)


def test_liml_and_fuller_are_points_of_the_path_with_identified_intervals():
    X, y, Z, W, _, _ = frames(k=4)
    for name in ("liml", "fuller", "fuller(4)"):
        model = IVLikeRegression(name).fit(X, y, instruments=Z, controls=W)
        np.testing.assert_array_equal(model.coef_, model.path_.coef(model.alpha_)[:, 0])
        assert "causal effect if" in model.confint(kind="identified").columns.name
        assert model.kappa_ == pytest.approx(1 / (1 + model.alpha_))
    assert IVLikeRegression("liml").fit(X, y, instruments=Z).alpha_ < 0
    population = Moments.from_rows(x=X, y=y, g=Z).pool()
    exact = Moments(
        {"x": 1, "y": 1, "g": 4},
        mean=population.mean(("x", "y", "g")),
        scatter=population.cov(("x", "y", "g")),
    )
    liml, fuller = (IVLikeRegression(name).fit_moments(exact).coef_ for name in ("liml", "fuller"))
    np.testing.assert_allclose(liml, fuller)
    with pytest.raises(ValueError, match="alpha='liml' needs genuine instruments"):
        IVLikeRegression("liml", augmentation=Translation([[1.0]])).fit(X.to_numpy(), y)
    with pytest.raises(ValueError, match="several"):
        IVLikeRegression("liml").fit(X, np.c_[y, y], instruments=Z)
    with pytest.raises(ValueError, match="needs at least one instrument per feature"):
        IVLikeRegression("fuller").fit(X.join(W), y, instruments=Z[["z0"]])
    with pytest.raises(ValueError, match="without ridge, got ridge=0.1"):
        IVLikeRegression("liml", ridge=0.1).fit(X, y, instruments=Z)
    with pytest.raises(ValueError, match="'liml', 'fuller' or"):
        IVLikeRegression("fuller(-1)").fit(X, y, instruments=Z)


@pytest.mark.parametrize("alpha", [0.0, "liml"])
def test_textbook_and_misspecified_errors_differ_if_instruments_disagree(alpha):
    X, y, Z, W, groups, _ = frames(k=3)
    wrong = y + 2 * Z["z2"]
    model = IVLikeRegression(alpha).fit(X, wrong, instruments=Z, controls=W)
    textbook, named = (model.covariance(cov_type=kind)[0, 0] for kind in ("HC1", "misspecified"))
    assert abs(named / textbook - 1) > 0.05
    assert model.covariance()[0, 0] == named  # "auto" does not take the instruments' word
    assert "s.e. (misspecified: right also" in str(model.summary())
    half = model.contrast([[0.5]], cov_type="HC1")["s.e."].iloc[0]
    assert half == pytest.approx(np.sqrt(textbook) / 2, rel=1e-9)
    with pytest.raises(ValueError, match="takes rows as independent"):
        IVLikeRegression(alpha).fit(X, y, instruments=Z, groups=groups).covariance(cov_type="classical")
    with pytest.raises(ValueError, match="instruments that may disagree"):
        IVLikeRegression(augmentation=Translation([[0.0, 1.0]])).fit(np.c_[X, W["w0"]], y).covariance(
            cov_type="misspecified"
        )


def test_first_lines_of_the_summary():
    X, y, Z, W, groups, _ = frames(k=3)
    for given, alpha, name in (({}, 0.0, "Two-stage least squares"), ({"groups": groups}, "liml", "LIML")):
        model = IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=W, **given)
        first = str(model.summary()).split("\n")[:6]
        assert all(len(line) <= 80 for line in first)
        assert first.pop(0) == "Change of y per unit of each feature, others held fixed"
        assert first[0].startswith(name)
        assert first[1].startswith(
            f"First stage: F {model.first_stage_f_[0]:.4g}, effective F {model.effective_f_:.4g}"
        )
        assert f"Hansen J {model.overidentification_test().statistic:.4g}, df 2, p" in first[2]
        assert f"Wu-Hausman F {model.endogeneity_test().statistic:.4g}, p" in first[3]
        table = model.summary().table
        assert list(table.index) == ["x0", "w0", "w1"]
        np.testing.assert_allclose(table["estimate"], np.r_[model.coef_, model.controls_coef_])
        frame = model.controls_frame()
        np.testing.assert_allclose(table["s.e."].iloc[1:], frame["s.e."])
        all_in = np.column_stack([np.ones(300), X, W])
        np.testing.assert_allclose(table["least squares"], np.linalg.lstsq(all_in, y, rcond=None)[0][1:])
        assert first[4] == f"Anderson-Rubin 95% of x0: {model.weak_instrument_set().short()}"
    anchor = str(IVLikeRegression(0.5).fit(X, y, instruments=Z).summary())
    assert "Hansen" not in anchor
    several = str(IVLikeRegression(0.0).fit(*frames(m=2)[:2], instruments=Z, controls=W).summary()).split("\n")
    assert several[2].startswith("First stage: F")
    assert "Kleibergen-Paap" in several[2]
    assert several[6].startswith("Anderson-Rubin 95% of x1: ")
    few = IVLikeRegression(0.0).fit(X, y, instruments=Z, groups=np.arange(300) % 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "J: these rows do not allow it" in str(few.summary())


def test_doors_refuse_fits_without_instruments_and_unknown_features():
    X, y, Z, W, groups, _ = frames(k=3, m=2)
    other = IVLikeRegression(augmentation=Translation([[0.0, 1.0]])).fit(X.to_numpy(), y)
    for call in (other.first_stage, other.overidentification_test, other.endogeneity_test, other.weak_instrument_set):
        with pytest.raises(ValueError, match="needs genuine instruments"):
            call()
    model = IVLikeRegression(0.0).fit(X, y, instruments=Z, controls=W)
    with pytest.raises(ValueError, match="2 features are endogenous: say which"):
        model.weak_instrument_set()
    with pytest.raises(ValueError, match="feature must be one of"):
        model.weak_instrument_set("income")
    with pytest.raises(ValueError, match="test must be one of"):
        model.weak_instrument_set("x0", test="wald")
    with pytest.raises(ValueError, match="cov_type must be one of"):
        model.endogeneity_test(cov_type="HC1")
    with pytest.raises(ValueError, match="2 finite numbers"):
        model.anderson_rubin_test([1.0])
    assert model.anderson_rubin_test([50.0, -50.0]).pvalue < 1e-3
    assert model.anderson_rubin_test(model.coef_).pvalue > 0.05
    assert model.anderson_rubin_test(model.coef_, cov_type="classical").pvalue > 0.05
    grouped = IVLikeRegression(0.0).fit(X, y, instruments=Z, groups=groups)
    with pytest.raises(ValueError, match="groups= says they are not"):
        grouped.weak_instrument_set("x0")
    assert model.first_stage().table.shape == (2, 3)
    assert model.weak_instrument_set(1).name == "x1"


def test_black_boxes_are_untouched():
    """A control does not make an augmented fit one to instruments."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    box = FunctionAugmentation(lambda rows, rng: (rows + [0.0, 1.0] * (g := rng.normal(size=(len(rows), 1))), g))
    model = IVLikeRegression(augmentation=box, random_state=0).fit(X, X[:, 0])
    assert not hasattr(model, "controls_coef_")
    assert "Hansen" not in str(model.summary())


def test_liml_of_as_many_rows_as_coefficients_has_no_errors_and_says_so():
    """Division by zero once."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(4, 1))
    X, C = Z + rng.normal(size=(4, 1)), rng.normal(size=(4, 2))
    model = IVLikeRegression("liml").fit(X, rng.normal(size=4), instruments=Z, controls=C)
    with pytest.raises(ValueError, match="no degrees of freedom"):
        model.covariance()
    assert "no degrees of freedom" in " ".join(str(model.summary()).split())
