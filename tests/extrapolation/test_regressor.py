"""Rep4ExRegressor as a user meets it: untried actions, support, bands, encoders, pipelines, refusals."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from causalinv.datasets import load_moving_digits, make_extrapolation_data
from causalinv.exceptions import ExtrapolationWarning, IdentificationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.extrapolation._support import hull_mask, overlap, stretch

FAST = LinearInvarianceEncoder(method="npiv+location", n_repeats=1, bandwidths=(1.0,), n_landmarks=60, random_state=0)


@pytest.fixture(scope="module")
def data():
    return make_extrapolation_data(1500, random_state=3)


@pytest.fixture(scope="module")
def model(data):
    return Rep4ExRegressor(FAST, random_state=0).fit(data.X, data.y, action=data.action)


def test_untried_actions_are_predicted_better_than_by_the_action_alone(data, model):
    rng = np.random.default_rng(0)
    direction = rng.uniform(-1, 1, (200, 2))
    asked = direction / np.abs(direction).max(axis=1, keepdims=True) * rng.uniform(1, 1.5, (200, 1))
    truth = data.truth_do(asked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        curve = model.do_curve(asked, n_bootstrap=2).table
    ours, alone = (np.sqrt(np.mean((curve[name] - truth) ** 2)) for name in ("estimate", "action_only"))
    assert ours < 0.7 * alone
    assert ours < 0.35 * data.truth_do(data.action).std() * 1.5


def test_support_says_what_was_tried_and_what_was_seen(model):
    asked = [[0.0, 0.0], [0.9, 0.9], [1.2, 0.0], [2.5, 0.0], [9.0, 9.0]]
    table = model.support(asked)
    assert table["tried"].tolist() == [True, True, False, False, False]
    assert table["status"].tolist()[:3] == ["tried", "tried", "supported"]
    assert table["status"].iloc[-1] == "unsupported"
    np.testing.assert_allclose(table["stretch"], [0, 0.9, 1.2, 2.5, 9.0], rtol=0.02, atol=0.01)
    assert table["overlap"].iloc[0] > 0.95
    assert table["overlap"].iloc[-1] < 0.05


def test_nearer_in_every_column_is_never_further(model):
    """By Mahalanobis distance (1.4, 0) looks nearer than the tried corner (1, 1); by stretch it does not."""
    assert model.support([[1.4, 0.0]])["stretch"].item() > model.support([[1.0, 1.0]])["stretch"].item()


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_hull_is_that_of_the_tried_actions(k):
    rng = np.random.default_rng(k)
    tried = rng.normal(size=(40 * k, k)) @ rng.normal(size=(k, k))
    weights = rng.dirichlet(np.ones(len(tried)), 20)
    assert hull_mask(tried, weights @ tried).all()
    centre = tried.mean(axis=0)
    far = centre + 1.01 * (tried[np.argmax(np.linalg.norm(tried - centre, axis=1))] - centre)
    assert not hull_mask(tried, far[None]).any()
    inside_box = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert hull_mask(inside_box, np.array([[0.9, 0.9], [0.2, 0.2]])).tolist() == [False, True]


def test_overlap_and_stretch_by_definition():
    rng = np.random.default_rng(0)
    states = rng.uniform(-1, 1, (2000, 2))
    share = overlap(states, np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 0.0]]), rng.uniform(-0.5, 0.5, (300, 2)))
    np.testing.assert_allclose(share, [1.0, 0.53, 0.0], atol=0.08)
    np.testing.assert_allclose(stretch(np.array([[0.0], [4.0]]), np.array([[4.0], [6.0], [2.0]])), [1.0, 2.0, 0.0])


def test_unsupported_actions_warn_or_are_blank(model):
    with pytest.warns(ExtrapolationWarning, match=r"Unsupported actions: 1 of 2.*on_unsupported='nan'"):
        warned = model.predict_do([[0.0, 0.0], [9.0, 9.0]])
    blank = model.predict_do([[0.0, 0.0], [9.0, 9.0]], on_unsupported="nan")
    assert np.isnan(blank).tolist() == [False, True]
    ignored = model.predict_do([[0.0, 0.0], [9.0, 9.0]], on_unsupported="ignore")
    assert np.isfinite(warned).all()
    np.testing.assert_array_equal(warned, ignored)
    assert blank[0] == warned[0]


def test_do_curve_is_complete_and_does_not_depend_on_workers(model):
    asked = np.array([[0.0, 0.0], [0.5, 0.5], [1.3, 0.0]])
    one, two = (model.do_curve(asked, n_bootstrap=4, n_jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table)
    assert list(one.table) == ["a0", "a1", "estimate", "lower", "upper", "status", "overlap", "action_only"]
    np.testing.assert_array_equal(one.table["estimate"], model.predict_do(asked))
    assert (one.table["lower"] < one.table["estimate"]).all()
    narrow, wide = (
        model.do_curve(asked, n_bootstrap=4, confidence_level=level, band="pointwise").table for level in (0.95, 0.99)
    )
    ratio = (wide["upper"] - wide["estimate"]) / (narrow["upper"] - narrow["estimate"])
    # Quantiles of |N(.5, 1)|: a bias of half a standard error is allowed for, and more where the curve is continued.
    high, low = (
        brentq(lambda c, level=level: norm.cdf(c - 0.5) - norm.cdf(-c - 0.5) - level, 1, 5) for level in (0.99, 0.95)
    )
    np.testing.assert_allclose(ratio[:2], high / low, rtol=0.03)
    assert 1.1 < ratio[2] < high / low
    text = str(one)
    assert "E[Y | do(A = a)]" in text
    assert "the action was randomised" in text
    assert "<table" in one._repr_html_()
    assert one.to_frame().equals(one.table)


@pytest.mark.slow
def test_bootstrap_error_is_that_of_repeated_samples():
    """Standard errors against the spread of the estimate over 30 fresh samples (oracle state)."""
    asked = [[0.0], [0.8], [1.4]]
    world = make_extrapolation_data(20_000, n_latent=1, outcome="quadratic", random_state=1)
    estimates, errors = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(20_000)[:500]
        fit = Rep4ExRegressor("identity", calibration=0.0, random_state=0)
        fit.fit(world.Z[rows], world.y[rows], action=world.action[rows])
        estimates.append(fit.predict_do(asked))
        if seed < 3:
            table = fit.do_curve(asked, n_bootstrap=50, band="pointwise").table
            errors.append((table["upper"] - table["lower"]) / (2 * 1.95996))
    spread = np.std(estimates, axis=0, ddof=1)  # relative Monte-Carlo error .13; that of the errors .06
    np.testing.assert_allclose(np.mean(errors, axis=0) / spread, 1.0, atol=0.45)


def test_conditional_prediction_needs_the_action_and_says_when_it_leaves_the_data(data, model):
    with pytest.raises(ValueError, match=r"predict needs action=.*predict_do"):
        model.predict(data.X)
    found = model.predict(data.X, action=data.action)
    truth = data.truth_conditional(data.Z, data.action)
    assert np.corrcoef(found, truth)[0, 1] > 0.97
    with pytest.warns(ExtrapolationWarning, match=r"continued linearly"):
        far = model.predict(data.X, action=data.action + 5.0)
    assert np.isfinite(far).all()


@pytest.mark.parametrize(("n_far", "told"), [(1, False), (3, True)])
def test_prediction_warns_where_more_than_one_row_in_a_hundred_leaves_the_data(n_far, told):
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, 200)
    state = action + 0.5 * rng.normal(size=200)
    model = Rep4ExRegressor("identity", random_state=0).fit(state[:, None], state, action=action)
    asked = state.copy()
    asked[:n_far] += 10.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.predict(asked[:, None], action=action)
    assert [f"{n_far} of 200 rows" in str(each.message) for each in caught] == [True] * told


def test_two_sets_of_coefficients(data):
    plain, calibrated = (
        Rep4ExRegressor(FAST, calibration=c, random_state=0).fit(data.X, data.y, action=data.action) for c in (0.0, 3.0)
    )
    rows = data.X[:50], data.action[:50]
    np.testing.assert_array_equal(plain.predict(rows[0], action=rows[1]), calibrated.predict(rows[0], action=rows[1]))
    assert np.abs(plain.predict_do([[1.0, 1.0]]) - calibrated.predict_do([[1.0, 1.0]])) > 1e-4


def test_fewer_actions_than_state_coordinates_keeps_the_mean_and_refuses_the_rest():
    data = make_extrapolation_data(3000, n_latent=2, n_actions=1, random_state=1)
    encoder = clone(FAST).set_params(method="ef+location")
    with pytest.warns(IdentificationWarning, match="its state has directions that the action does not move"):
        model = Rep4ExRegressor(encoder, random_state=0).fit(data.X, data.y, action=data.action)
    assert model.reduced_
    asked = np.linspace(-1.3, 1.3, 11)
    truth = data.truth_do(asked)
    assert np.sqrt(np.mean((model.predict_do(asked) - truth) ** 2)) < 0.3 * truth.std()
    with pytest.raises(ValueError, match=r"X holds more than the representation.*predict_do"):
        model.predict(data.X, action=data.action)


def test_score_is_that_of_the_action_not_of_the_confounded_fit(data, model):
    X, y, action = data.X[:400], data.y[:400], data.action[:400]
    score = model.score(X, y, action=action)
    best = 1 - np.mean((y - data.truth_do(action)) ** 2) / y.var()
    assert score == pytest.approx(best, abs=0.03)
    twice = 1 + np.arange(400) % 2
    more_X, more_y, more = (np.repeat(each, twice, axis=0) for each in (X, y, action))
    weighted = model.score(X, y, action=action, sample_weight=twice)
    assert weighted == pytest.approx(model.score(more_X, more_y, action=more))
    assert weighted != pytest.approx(score, abs=1e-4)
    observed = model.predict(X, action=action)
    assert 1 - np.mean((y - observed) ** 2) / y.var() > score + 0.3  # what plain R² would have rewarded


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
def test_shell_score_tells_a_good_encoder_from_a_bad_one(data, model):
    assert model.shell_score() < 0.5
    scores = []  # of one data set either may win: the one encoder in 5 of 6
    for seed in (6, 7):
        other = make_extrapolation_data(1500, random_state=seed)
        for encoder in (FAST, PCA(2)):
            fitted = Rep4ExRegressor(encoder, random_state=0).fit(other.X, other.y, action=other.action)
            scores.append(fitted.shell_score(1.3))
    assert scores[0] + scores[2] < 0.8 * (scores[1] + scores[3])
    with pytest.raises(ValueError, match=r"factor=50 leaves"):
        model.shell_score(50)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
def test_diagnostics_print_and_doubt_a_wrong_model(data, model):
    good = model.diagnostics()
    assert not good.to_frame().loc[["linearity_pvalue", "do_consistency", "effective_rank"], "doubt"].any()
    assert good.effective_rank == pytest.approx(2, abs=0.1)
    assert "<table" in good._repr_html_()
    bent = make_extrapolation_data(2000, action_curvature=0.9, noise_scale=0.5, random_state=3)
    wrong = Rep4ExRegressor("identity", random_state=0).fit(bent.Z, bent.y, action=bent.action).diagnostics()
    assert wrong.linearity_pvalue < 0.05
    assert wrong.to_frame().loc["linearity_pvalue", "doubt"]
    assert "linearity_pvalue: the mean of the representation is not linear" in str(wrong)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
def test_exclusion_violated_shows_in_the_consistency(data):
    """The action also acts past the state: a linear effect does no harm (A is linear in Z and V), a bent one shows."""
    model = Rep4ExRegressor("identity", calibration=0.0, random_state=0)
    straight = model.fit(data.Z, data.y + 2 * data.action[:, 0], action=data.action)
    asked = np.array([[1.3, 0.0], [-1.3, 0.0]])
    assert np.abs(straight.predict_do(asked) - data.truth_do(asked) - 2 * asked[:, 0]).max() < 0.3
    assert straight.diagnostics().do_consistency < 0.3
    bent = model.fit(data.Z, data.y + 4 * data.action[:, 0] ** 2, action=data.action).diagnostics()
    assert bent.do_consistency > 0.3
    assert "do_consistency" in str(bent)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
@pytest.mark.parametrize("routing", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_encoders_of_all_kinds(data, routing):
    class Plain:  # no scikit-learn object at all
        def fit(self, X):
            self.mean_ = X.mean(axis=0)
            return self

        def transform(self, X):
            return (X - self.mean_)[:, :2]

    asked = [[0.0, 0.0], [1.2, 0.0]]
    encoders = [PCA(2), Plain(), FAST, make_pipeline(StandardScaler(), FAST), make_pipeline(StandardScaler(), PCA(2))]
    with sklearn.config_context(enable_metadata_routing=routing):
        for encoder in encoders:
            model = Rep4ExRegressor(encoder, random_state=0).fit(data.X, data.y, action=data.action)
            assert np.isfinite(model.predict_do(asked)).all()
            assert model.W_.shape == (2, 2)
            assert len(model.do_curve(asked, n_bootstrap=2).table) == 2
            residual = model._fitted.phi - data.action @ model.W_.T - model.intercept_
            np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-9)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
def test_more_components_than_the_action_moves_is_said(data):
    with pytest.warns(IdentificationWarning, match=r"moves 2 directions of a representation of 4"):
        Rep4ExRegressor(PCA(4)).fit(data.X, data.y, action=data.action)


def test_in_pipelines_and_searches_of_the_user(data):
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), Rep4ExRegressor(FAST, random_state=0))
        pipe.fit(data.X, data.y, action=data.action)
        assert pipe.predict(data.X[:5], action=data.action[:5]).shape == (5,)
        search = GridSearchCV(Rep4ExRegressor("identity", random_state=0), {"calibration": [0.0, 3.0]}, cv=2)
        search.fit(data.Z[:400], data.y[:400], action=data.action[:400])
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        encode = make_pipeline(PCA(3), FAST).fit(data.X, action=data.action)
    assert encode.transform(data.X).shape == (1500, 2)
    with sklearn.config_context(enable_metadata_routing=False):
        old = make_pipeline(PCA(3), clone(FAST)).fit(data.X, linearinvarianceencoder__action=data.action)
    np.testing.assert_array_equal(old.transform(data.X), encode.transform(data.X))


def test_frames_are_matched_by_name(data):
    action = pd.DataFrame(data.action, columns=["dose", "heat"])
    X = pd.DataFrame(data.X, columns=list("abcd"))
    plain = Rep4ExRegressor(FAST, random_state=0).fit(data.X, data.y, action=data.action)
    named = Rep4ExRegressor(FAST, random_state=0).fit(X, data.y, action=action)
    asked = [[0.5, -0.5], [1.2, 0.1]]
    swapped = pd.DataFrame(asked, columns=["dose", "heat"])[["heat", "dose"]]
    np.testing.assert_allclose(named.predict_do(swapped), plain.predict_do(asked), rtol=1e-9)
    np.testing.assert_allclose(named.predict_do(pl.from_pandas(swapped)), plain.predict_do(asked), rtol=1e-9)
    with pytest.raises(ValueError, match=r"missing \['heat'\], unknown \['cold'\]"):
        named.predict_do(swapped.rename(columns={"heat": "cold"}))
    assert list(named.do_curve(swapped, n_bootstrap=2).table)[:2] == ["dose", "heat"]
    np.testing.assert_allclose(
        named.predict(X[:9], action=action[["heat", "dose"]][:9]), plain.predict(data.X[:9], action=data.action[:9])
    )


def test_known_nonlinear_action(data):
    bent = make_extrapolation_data(3000, n_latent=1, action_curvature=0.4, random_state=4)
    bend = lambda a: a + 0.4 * a**2  # noqa: E731
    model = Rep4ExRegressor("identity", action_transform=bend, random_state=0).fit(bent.Z, bent.y, action=bent.action)
    asked = np.array([-1.2, 0.0, 0.5, 1.2])
    assert np.abs(model.predict_do(asked) - bent.truth_do(asked)).max() < 0.3
    assert model.support(asked)["stretch"].iloc[-1] == pytest.approx(1.2, abs=0.02)  # in units of the action itself


def test_determinism_clone_pickle_and_float32(data, model):
    asked = [[0.3, 0.3], [1.3, -0.2]]
    again = clone(model).fit(data.X, data.y, action=data.action)
    np.testing.assert_array_equal(again.predict_do(asked), model.predict_do(asked))
    back = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(back.predict_do(asked), model.predict_do(asked))
    single = clone(model).fit(
        data.X.astype(np.float32), data.y.astype(np.float32), action=data.action.astype(np.float32)
    )
    np.testing.assert_allclose(single.predict_do(asked), model.predict_do(asked), atol=0.05)
    other = clone(model).set_params(random_state=1, encoder__random_state=1).fit(data.X, data.y, action=data.action)
    assert not np.array_equal(other.predict_do(asked), model.predict_do(asked))
    before = data.X.copy(), data.y.copy(), data.action.copy()
    clone(model).fit(data.X, data.y, action=data.action)
    for value, kept in zip((data.X, data.y, data.action), before, strict=True):
        np.testing.assert_array_equal(value, kept)
    with pytest.raises(NotFittedError):
        Rep4ExRegressor().predict_do(asked)


def test_moving_digits_through_a_pipeline():
    """Real images, 400 pixels: reduce, then find the position, then predict pushes that nobody tried."""
    digits = load_moving_digits(n_samples=1500, random_state=0)
    encoder = make_pipeline(PCA(8, random_state=0), FAST)
    model = Rep4ExRegressor(encoder, random_state=0).fit(digits.X, digits.y, action=digits.action)
    asked = np.array([[1.3, 0.0], [0.0, 1.3], [-1.3, 0.0], [0.0, -1.3]])
    error = np.sqrt(np.mean((model.predict_do(asked) - digits.truth_do(asked)) ** 2))
    assert error < 0.3 * digits.truth_do(digits.action).std()


def test_a_transform_of_the_action_belongs_to_the_regressor(data):
    encoder = clone(FAST).set_params(action_transform=lambda a: a**3)
    for wrapped in (encoder, make_pipeline(StandardScaler(), encoder)):
        with pytest.raises(ValueError, match="action_transform must be set on Rep4ExRegressor"):
            Rep4ExRegressor(wrapped).fit(data.X, data.y, action=data.action)


def test_support_does_not_depend_on_the_order_of_the_rows():
    data = make_extrapolation_data(600, random_state=5)
    asked = [[2.5, 0.0], [-2.5, 0.0]]
    shares = []
    for order in (np.arange(600), np.argsort(data.y), np.argsort(-data.y)):
        model = Rep4ExRegressor("identity", calibration=0.0, random_state=0)
        shares.append(model.fit(data.Z[order], data.y[order], action=data.action[order]).support(asked)["overlap"])
    np.testing.assert_allclose(shares[1], shares[0], atol=0.1)
    np.testing.assert_allclose(shares[2], shares[0], atol=0.1)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
def test_copies_of_a_state_are_one_place():
    data = make_extrapolation_data(3000, n_latent=1, random_state=5)
    model = Rep4ExRegressor("identity", calibration=0.0, random_state=0)
    model.fit(np.repeat(data.Z[:250], 12, axis=0), np.repeat(data.y[:250], 12), action=np.repeat(data.action[:250], 12))
    assert model.support([0.0])["overlap"].item() > 0.9


def test_the_part_of_the_residuals_that_is_used_has_their_mean():
    """Else the error of predictions would not shrink with the rows."""
    data = make_extrapolation_data(12_000, random_state=6)
    asked = np.array([[0.0, 0.0], [0.5, -0.5]])
    found = np.array(
        [
            Rep4ExRegressor("identity", calibration=0.0, random_state=seed)
            .fit(data.Z, data.y, action=data.action)
            .predict_do(asked)
            for seed in range(6)
        ]
    )
    assert found.std(axis=0).max() < 0.02
    np.testing.assert_allclose(found.mean(axis=0), data.truth_do(asked), atol=0.06)


@pytest.mark.parametrize("scale", [1e-7, 1e7])
def test_units_of_state_and_action_do_not_matter(scale):
    data = make_extrapolation_data(800, random_state=7)
    asked = np.array([[0.5, 0.5], [1.2, 0.0]])
    plain = Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=data.action)
    Z = data.Z * [scale, 1.0]
    scaled = Rep4ExRegressor("identity", random_state=0).fit(Z, data.y, action=data.action * scale)
    np.testing.assert_allclose(scaled.predict_do(asked * scale), plain.predict_do(asked), atol=1e-6)


def test_arrays_that_change_after_the_fit_do_not_change_answers():
    data = make_extrapolation_data(600, random_state=5)
    Z = data.Z.copy()
    model = Rep4ExRegressor("identity", random_state=0).fit(Z, data.y, action=data.action)
    before = model.support([[2.5, 0.0]])
    Z *= 100
    pd.testing.assert_frame_equal(model.support([[2.5, 0.0]]), before)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.IdentificationWarning")
def test_what_a_pipeline_hides_is_found():
    data = make_extrapolation_data(1500, n_latent=2, n_actions=1, random_state=1)
    encoder = make_pipeline(clone(FAST).set_params(method="ef+location"), StandardScaler())
    with sklearn.config_context(enable_metadata_routing=True):
        model = Rep4ExRegressor(encoder, random_state=0).fit(data.X, data.y, action=data.action)
    assert model.reduced_
    with pytest.raises(ValueError, match="X holds more than the representation"):
        model.predict(data.X, action=data.action)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.IdentificationWarning")
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.filterwarnings("ignore:The state.s own noise V does not look Gaussian")  # 60 rows
def test_checks_that_the_data_do_not_allow_are_missing():
    data = make_extrapolation_data(60, random_state=1)
    few = Rep4ExRegressor(FAST, random_state=0).fit(data.X, data.y, action=data.action).diagnostics()
    assert np.isnan([few.linearity_pvalue, few.conditional_score, few.shell_error]).all()
    assert np.isfinite(few.do_consistency)
    levels = np.sign(make_extrapolation_data(300, n_latent=1, random_state=1).action)
    state = levels[:, 0] + np.random.default_rng(0).normal(size=300)
    two = Rep4ExRegressor("identity", random_state=0).fit(state[:, None], state, action=levels).diagnostics()
    assert two.linearity_pvalue == 1.0
    assert np.isnan(two.shell_error)


def test_columns_of_a_curve_keep_their_names(data):
    action = pd.DataFrame(data.action, columns=["status", "dose"])
    model = Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=action)
    with pytest.raises(ValueError, match=r"action columns \['status'\] have names"):
        model.do_curve(action.iloc[:3], n_bootstrap=2)


@pytest.mark.filterwarnings("ignore:The action moves 1", "ignore:X holds more")
def test_the_order_of_rows_changes_nothing():
    """Landmarks, folds and references are drawn by value: more rows than landmarks, so that some are drawn."""
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, size=300)
    noise = rng.normal(size=(300, 2))
    Z = np.c_[action, 0.5 * action] + noise
    y = np.sin(Z[:, 0]) + noise[:, 0] + 0.2 * rng.normal(size=300)
    order, asked = rng.permutation(300), np.linspace(-1.4, 1.4, 5)
    first, second = (
        Rep4ExRegressor("identity", random_state=0).fit(Z[at], y[at], action=action[at])
        for at in (np.arange(300), order)
    )
    np.testing.assert_array_equal(
        first.predict_do(asked, on_unsupported="ignore"), second.predict_do(asked, on_unsupported="ignore")
    )
    encoders = [clone(FAST).fit(Z[at], action=action[at]) for at in (np.arange(300), order)]
    np.testing.assert_allclose(encoders[0].transform(Z), encoders[1].transform(Z), rtol=1e-9)
