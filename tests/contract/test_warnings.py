"""Every warning of the package, provoked from a user's function and inside a Pipeline, names the user's line.

The source is searched for calls of `warn`; each must be provoked here by a fragment of its message, or be in
`UNPROVOKED` with the reason. A new warning without a provocation fails the first test.
"""

import ast
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LassoCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import causalinv
from causalinv import (
    HierarchicalConformalRegressor,
    InvariantCausalPrediction,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeRegression,
    LinearInvarianceEncoder,
    LinearSEM,
    ManskiBounds,
    Rep4ExRegressor,
    SensitivityBounds,
)
from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import CausalInvWarning
from causalinv.invariance import certify, next_environment_risk
from causalinv.metrics import affine_r2
from causalinv.representation import (
    condition_number,
    diffusion_spectral_entropy,
    effective_features,
    equivariance_score,
    invariance_score,
    neural_collapse,
    participation_ratio,
    spectral_exponent,
)
from causalinv.sem import InterventionFamily, ScaleNoise, Shift
from causalinv.symmetry import FrameAveragingRegressor, SoftInvariantRegressor, symmetry_test
from causalinv.transformations import FunctionAugmentation, GaussianNoise, Rotate90, SignFlip, Translation

PACKAGE = Path(causalinv.__file__).parent
HERE = Path(__file__).name
FAST = LinearInvarianceEncoder(method="ef", n_repeats=1, bandwidths=(1.0,), random_state=0)

UNPROVOKED = {
    "The entropy with ": "needs 5,000 rows and 4,000 landmarks, which is slow; tests/representation provoke it",
    "The lower end, ": "sampling error alone crosses the ends of an average; tests/bounds hands such scores in",
    "The representation has lost something": "needs torch, and a training that fails; tests/extrapolation provoke it",
    "rest on an assumption that looks broken": "needs a broken assumption on many rows; tests/extrapolation judge it",
    "rows the regressed lower end lies above": "needs trees that overshoot, which no seed promises",
}

PROVOCATIONS = {}


def provoke(fragment, *, slow=False):
    """Register a function of `fit` that provokes the warning with this fragment in its message."""

    def register(function):
        assert fragment not in PROVOCATIONS
        PROVOCATIONS[fragment] = pytest.param(fragment, function, marks=[pytest.mark.slow] * slow, id=function.__name__)
        return function

    return register


def directly(estimator, X, *y, **metadata):
    return estimator.fit(X, *y, **metadata)


def in_a_pipeline(estimator, X, *y, **metadata):
    with sklearn.config_context(enable_metadata_routing=True):
        asked = clone(estimator)
        if metadata:
            asked.set_fit_request(**dict.fromkeys(metadata, True))
        return make_pipeline(FunctionTransformer(), asked).fit(X, *y, **metadata)[-1]


def rng():
    return np.random.default_rng(0)


def rows(n=60, d=3):
    X = rng().normal(size=(n, d))
    return X, X.sum(axis=1) + np.random.default_rng(1).normal(size=n)


def environments(n=60, d=2, shift=1.0, noise=(1.0, 1.0, 1.0)):
    X, e = rng().normal(size=(3 * n, d)), np.repeat([0, 1, 2], n)
    X = X * (1.0 + shift * e)[:, None]
    y = X.sum(axis=1) + np.random.default_rng(1).normal(size=3 * n) * np.array(noise)[e]
    return X, y, e


def unstable():
    return environments(300, 3, 0.0, (1.0, 3.0, 9.0))


def treated(n=120):
    X = rng().normal(size=(n, 2))
    arm = rng().integers(2, size=n)
    return X, np.random.default_rng(1).uniform(size=n), arm


def moved(n=300, **kwargs):
    return make_extrapolation_data(n, n_latent=1, n_features=3, random_state=0, **kwargs)


def two_directions(weak, n):
    state = np.random.default_rng(2)
    action, V = state.uniform(-1, 1, (n, 2)), state.normal(size=(n, 2))
    Z = action * [1.6, weak] + V
    return np.c_[Z + 0.1 * Z**3, np.tanh(Z @ state.normal(size=(2, 2)))], action


# -- sem and metrics --------------------------------------------------------------------------------------------------


@provoke("I - B is nearly singular")
def loop_that_hardly_dies_out(fit):
    LinearSEM([[0, 1.0], [1.0 - 1e-13, 0]])


@provoke("are constant in this model")
def constant_regressor(fit):
    LinearSEM([[0, 0], [1.0, 0]], noise=[0.0, 1.0]).regress(1, [0])


@provoke("regressors that vary span only")
def dependent_regressors(fit):
    B = np.zeros((4, 4))
    B[2, [0, 1]] = B[3, 0] = 1.0
    LinearSEM(B, noise=[1.0, 1.0, 0.0, 1.0]).regress(3, [0, 1, 2])


@provoke("change the equation of the target")
def intervention_on_the_target(fit):
    LinearSEM([[0, 0], [1.0, 0]], target=1).environments([None, ScaleNoise(1, 2.0)])


@provoke("any state fits them ")
def more_columns_than_rows(fit):
    affine_r2(rng().normal(size=(5, 1)), rng().normal(size=(5, 9)))


# -- ivlike -----------------------------------------------------------------------------------------------------------


@provoke("Weak instruments: ")
def weak_instruments(fit):
    X, y = rows(200, 1)
    fit(IVLikeRegression(0.0), X, y, instruments=np.random.default_rng(5).normal(size=(200, 1)))


@provoke("carries hardly any signal")
def weak_copies(fit):
    X, y = rows(4000, 9)
    fit(IVLikeRegression(0.01, augmentation=Rotate90((3, 3)), integration="sampled", random_state=0), X, y)


@provoke("two-stage least squares is not identified")
def too_few_instruments(fit):
    X, y = rows(200, 2)
    fit(IVLikeRegression(0.0), X, y, instruments=X[:, :1] + rng().normal(size=(200, 1)))


@provoke("Coefficients are not unique: the ")
def repeated_feature(fit):
    X, y = rows()
    fit(IVLikeRegression(1.0, augmentation=GaussianNoise(0.1)), np.c_[X, 2 * X[:, 0]] * 1e9, y)


@provoke("Features are nearly dependent")
def nearly_repeated_feature(fit):
    X, y = rows()
    near = np.c_[X, X[:, 0] + 1e-5 * np.random.default_rng(7).normal(size=60)]
    fit(IVLikeRegression(1.0), near, y, instruments=np.random.default_rng(8).normal(size=(60, 5)))


@provoke(" are constant: their coefficients are 0")
def constant_feature(fit):
    X, y = rows()
    fit(IVLikeRegression(1.0, augmentation=Translation([[1.0, 0.0, 0.0, 0.0]])), np.c_[X, np.ones(60)], y)


@provoke("y is constant, so its coefficients are 0")
def constant_outcome(fit):
    X, _ = rows()
    fit(IVLikeRegression(1.0, augmentation=Translation([[1.0, 0.0, 0.0]])), X, np.ones(60))


@provoke("Few or uneven clusters")
def few_clusters(fit):
    X, y = rows()
    fit(IVLikeRegression(0.0, augmentation=Translation([[0.0, 0.0, 1.0]])), X, y, groups=np.arange(60) % 4).confint()


@provoke(" intervals are left out: those numbers rest on a single ")
def only_treated_row(fit):
    X, y = rows()
    X[:, 0] = np.arange(60) == 0
    fit(IVLikeRegression(0.0, augmentation=Translation([[0.0, 0.0, 1.0]])), X, y).confint()


def contrast(X, generator):
    """A random gain on the last two of three columns."""
    G = generator.normal(size=(len(X), 1))
    return X * (1.0 + G * [0.0, 0.3, 0.3]), G


def slightly(X, generator):
    """A random gain on the first two, on the first hardly any."""
    G = generator.normal(size=(len(X), 1))
    return X * (1.0 + G * [0.01, 0.3, 0.0]), G


@provoke("predictions still change under the augmentation")
def first_stage_alone(fit):
    X, y = rows(400)
    aug = FunctionAugmentation(contrast, outcome_invariant=True)
    fit(IVLikeRegression(augmentation=aug, penalty="first_stage", random_state=0), X + np.array([0.0, 2.0, 3.0]), y)


@provoke("may not change along a direction")
def direction_that_hardly_moves(fit):
    X, y = rows(400)
    aug = FunctionAugmentation(slightly, outcome_invariant=True)
    fit(IVLikeRegression(augmentation=aug, random_state=0), X + np.array([0.0, 2.0, 3.0]), y)


@provoke("are not identified, and have no interval")
def interval_of_a_repeated_feature(fit):
    X, y = rows()
    aug = Translation([[0.0, 0.0, 1.0, 0.0]])
    fit(IVLikeRegression(0.0, augmentation=aug), np.c_[X, 2 * X[:, 0]], y).confint(kind="identified")


# -- symmetry ---------------------------------------------------------------------------------------------------------


@provoke("every component has variance 0")
def soft_invariance_of_a_constant(fit):
    fit(SoftInvariantRegressor({"first": SignFlip([0])}), rows()[0], np.ones(60))


@provoke("every symmetry holds, and there is nothing to test")
def symmetry_of_a_constant(fit):
    symmetry_test(rows()[0], np.ones(60), SignFlip([0]), poses="uniform", random_state=0)


@provoke("Moving rows does not change the statistic")
def symmetry_that_moves_nothing(fit):
    X = rows()[0]
    X[:, 0] = 0.0
    symmetry_test(X, X[:, 1], SignFlip([0]), poses="uniform", n_resamples=19, random_state=0)


@provoke("nothing limits its interval")
def average_over_one_row(fit):
    X, y, arm = treated()
    model = ManskiBounds(outcome_support=(0.0, 1.0), random_state=0).fit(X, y, treatment=arm)
    model.average_bounds(where=np.arange(120) == 3)


@provoke("poses do not look uniform")
def symmetry_of_rows_on_one_side(fit):
    X = np.random.default_rng(0).normal(2.0, 1.0, size=(400, 2))
    symmetry_test(X, X[:, 1], SignFlip([0]), poses="uniform", n_resamples=19, random_state=0)


@provoke("The spectrum is too flat for")
def exponent_of_a_flat_spectrum(fit):
    spectral_exponent(np.random.default_rng(0).normal(size=(60, 6)))


@provoke("landmarks may be off by about")
def entropy_with_few_landmarks(fit):
    X = np.random.default_rng(0).normal(size=(240, 3))
    with patch.multiple("causalinv.representation._entropy", EXACT_ROWS=239, _MOST_LANDMARKS=40):
        diffusion_spectral_entropy(X, bandwidth=0.2, n_landmarks=20, random_state=0)


@provoke("The learner splits rows inside")
def learner_that_splits_rows(fit):
    X, y = rows(60, 2)
    fit(FrameAveragingRegressor(LassoCV(cv=2), symmetry=SignFlip([0])), X, y)


# -- invariance -------------------------------------------------------------------------------------------------------


@provoke(" are constant or combinations of earlier ones")
def repeated_feature_of_sets(fit):
    X, y, e = environments()
    fit(InvariantSubsetSelector(), np.c_[X, X[:, 0]], y, environments=e)


@provoke("y is an exact linear function of features")
def exact_outcome(fit):
    X, _, e = environments()
    fit(InvariantSubsetSelector(), X, X.sum(axis=1), environments=e)


@provoke(" rows: sets of ")
def environment_of_two_rows(fit):
    X, y, _ = environments()
    fit(InvariantSubsetSelector(), X, y, environments=np.r_[0, 0, np.ones(len(y) - 2)])


@provoke("; the one of smallest gap is taken, and nothing")
def no_invariant_set(fit):
    X, y, e = unstable()
    fit(InvariantSubsetSelector(test="residual"), X, y, environments=e)


@provoke("Sets that could not be tested: ")
def a_test_that_says_nothing(fit):
    def silent(residual, labels):
        return np.nan

    X, y, e = environments()
    fit(InvariantSubsetSelector(test=silent), X, y, environments=e)


@provoke("y has two values, and two_level asks")
def certified_outcome_of_two_values(fit):
    X, y, e = environments()
    model = quietly(InvariantSubsetSelector(eps=5.0), X, (y > 0) * 1.0, environments=e)
    X, y, e = environments(61)
    certify(model, X + 1, (y > 0) * 1.0, environments=e, eps=5.0, method="two_level")


@provoke("two_level asks for Gaussian rows, and these are not")
def certified_rows_with_long_tails(fit):
    X, y, e = environments()
    model = quietly(InvariantSubsetSelector(eps=5.0), X, y, environments=e)
    X, y, e = environments(61)
    certify(model, X + 1, y + rng().lognormal(sigma=2.0, size=len(y)), environments=e, eps=5.0, method="two_level")


@provoke("The bound is finite up to confidence_level=")
def few_environments_of_the_next_risk(fit):
    X, y, e = environments()
    model = quietly(InvariantSubsetSelector(eps=5.0), X, y, environments=e)
    next_environment_risk(model, X + 1, y, environments=e, confidence_level=0.9)


@provoke(" features have too many subsets")
def too_many_subsets(fit):
    X, y, e = environments(100, 24)
    fit(InvariantSubsetSelector(screen_size=2), X, y, environments=e)


@provoke(". They are kept as if accepted (p-value NaN")
def sets_that_cannot_be_tested(fit):
    X, y, _ = environments(3, 8)
    fit(InvariantCausalPrediction(), X, y, environments=np.r_[np.zeros(4), np.ones(5)])


@provoke("No set of features passes at level")
def no_causes(fit):
    X, y, e = unstable()
    fit(InvariantCausalPrediction(test="residual"), X, y, environments=e)


@provoke("it holds its level, but sees little")
def little_environment_of_causes(fit):
    X, y, _ = environments()
    fit(InvariantCausalPrediction(), X, y, environments=np.r_[0, 0, np.ones(len(y) - 2)])


@provoke("The test of invariance is not reliable here")
def residual_test_of_few_rows(fit):
    X, y, _ = environments()
    fit(InvariantCausalPrediction(test="residual"), X, y, environments=np.r_[np.zeros(3), np.ones(len(y) - 3)])


@provoke("No linear rule stays right in all these")
def no_neutral_rule(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        envs = LinearSEM([[0, 0], [1.0, 0]], target=1).environments([None, ScaleNoise(1, 4.0)])
    InvariantRepresentation().fit_moments(envs.moments())


@provoke("The neutral rule predicts worse than the mean")
def neutral_rule_that_blows_up(fit):
    X, y, e = environments(300, 3, 0.0, (1.0, 2.0, 4.0))
    fit(InvariantRepresentation(), X, y, environments=e)


@provoke("y has two values, and this test asks")
def binary_outcome(fit):
    X, y, e = environments()
    fit(InvariantCausalPrediction(), X, (y > 0).astype(int), environments=e)


@provoke("No environment is shown to keep eps=")
def too_few_rows_for_a_bound(fit):
    X, y, e = environments(20, 1)
    model = quietly(InvariantSubsetSelector(eps=10.0), X, np.clip(y, -3, 3), environments=e)
    fresh = np.random.default_rng(9).normal(size=(30, 1))
    certify(
        model,
        fresh,
        np.clip(model.predict(fresh) + 0.1, -3, 3),
        environments=np.arange(30) % 3,
        eps=0.01,
        method="bounded",
        residual_bound=50.0,
    )


@provoke("coarse repeat by chance")
def coarse_rows(fit):
    state = rng()
    X, y, e = state.integers(3, size=(300, 2)), state.integers(2, size=300), np.repeat(np.arange(3), 100)
    model = quietly(InvariantCausalPrediction(), X, y, environments=e)
    fresh = state.integers(3, size=(300, 2)), state.integers(2, size=300)
    certify(model, *fresh, environments=e, eps=1.0, method="two_level")


def quietly(estimator, *args, **metadata):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(*args, **metadata)


@provoke(" sites can move: the declaration does ")
def declared_family_that_does_not_fit(fit):
    sem = LinearSEM(np.eye(3, k=-1), target=2)
    envs = sem.environments([None, Shift(0, std=2.0), Shift(1, std=2.0), Shift(0, std=3.0), Shift(1, std=3.0)])
    X, y, e = envs.sample(2000, random_state=0)
    model = quietly(InvariantSubsetSelector(eps=10.0), X, y, environments=e)
    one = InterventionFamily([0], kind="variance", per_env="single")
    model.certify(method="beta_sites", family=one, baseline=0, plug_in=True)


@provoke("act on the outcome itself")
def interventions_on_the_outcome(fit):
    X, y, e = unstable()
    quietly(InvariantSubsetSelector(eps=1.0), X, y, environments=e).certify(method="scenario", plug_in=True)


def hospitals(m, drift):
    e = np.repeat(np.arange(m), 8)
    X = rng().normal(size=(len(e), 2))
    return X, X[:, 0] + drift * e + np.random.default_rng(1).normal(size=len(e)), e


@provoke("Mean residuals have a trend along")
def environments_that_drift(fit):
    X, y, e = hospitals(30, 0.5)
    fit(HierarchicalConformalRegressor(random_state=0), X, y, environments=e)


@provoke("which give finite intervals up to confidence_level=")
def few_environments_that_calibrate(fit):
    X, y, e = hospitals(6, 0.0)
    quietly(HierarchicalConformalRegressor(random_state=0), X, y, environments=e).predict_interval(X[:2], 0.95)


@provoke("some are constant or combinations of others")
def controls_that_repeat(fit):
    X, y = rows(100)
    fit(IVLikeRegression(0), X[:, :1], y, instruments=X[:, 1:2], controls=X[:, [2, 2]])


@provoke("Every feature has mean 0 and standard deviation 1")
def named_directions_after_a_scaler(fit):
    X, y = rows(200)
    frame = pd.DataFrame((X - X.mean(axis=0)) / X.std(axis=0), columns=list("abc"))
    fit(IVLikeRegression(augmentation=Translation(pd.DataFrame({"a": [1.0], "b": [100.0]}))), frame, y)


# -- bounds -----------------------------------------------------------------------------------------------------------


@provoke("and were clipped: some rows ")
def little_overlap(fit):
    x = rng().normal(size=(200, 1)) * 4
    arm = (x[:, 0] + 0.3 * np.random.default_rng(1).normal(size=200) > 0).astype(int)
    fit(SensitivityBounds(law="marginal", clip=0.05, random_state=0), x, x[:, 0], treatment=arm)


@provoke("holds columns that are one number")
def constant_covariate(fit):
    X, y, arm = treated()
    fit(SensitivityBounds(law="marginal", cv=2, random_state=0), np.c_[X, np.ones(120)], y, treatment=arm)


@provoke("outcome_support is None, so the bounds are infinite")
def unlimited_outcome(fit):
    X, y, arm = treated()
    fit(ManskiBounds(random_state=0), X, y, treatment=arm)


@provoke("outcome_support='observed' claims")
def limits_from_the_sample(fit):
    X, y, arm = treated()
    fit(ManskiBounds(outcome_support="observed", random_state=0), X, y, treatment=arm)


@provoke(", because they, or those of an arm, are few or of ")
def few_groups(fit):
    X, y, arm = treated()
    model = SensitivityBounds(law="marginal", cv=2, random_state=0)
    fit(model, X, y, treatment=arm, groups=np.arange(120) % 4).average_bounds(odds_ratio=2.0)


@provoke("No outcome of an arm, or hardly one, is unlike the others: ")
def arm_without_events(fit):
    X, _, arm = treated()
    y = ((np.arange(120) == np.flatnonzero(arm == 0)[0]) * 1).astype(float)
    model = fit(SensitivityBounds(law="marginal", cv=2, random_state=0), X, y, treatment=arm)
    model.average_bounds("mean", arm=1, odds_ratio=1.0)


@provoke("replications a feature did not vary (a rare category")
def a_rare_category_in_resamples(fit):
    X = np.c_[rng().normal(size=60), np.arange(60) < 2, np.arange(60) % 7 == 0].astype(float)
    y = X.sum(axis=1) + np.random.default_rng(1).normal(size=60)
    quietly(IVLikeRegression(0.1, augmentation=Translation([[0.0, 0.0, 1.0]])), X, y).bootstrap(60, random_state=0)


@provoke(", and spread the replicates. confint() has")
def resamples_that_are_fitted_exactly(fit):
    state = np.random.default_rng(0)
    X, Z, C = state.normal(size=(40, 2)), state.normal(size=(40, 3)), state.normal(size=(40, 20))
    y = X.sum(axis=1) + state.normal(size=40)
    model = quietly(IVLikeRegression(0.1), X + Z[:, :2], y, instruments=Z, controls=C)
    model.bootstrap(100, random_state=0)


# -- extrapolation ----------------------------------------------------------------------------------------------------


@provoke("The state is an exact linear function of the action")
def state_that_is_the_action(fit):
    action = rng().uniform(-1, 1, size=(200, 1))
    y = action[:, 0] + np.random.default_rng(1).normal(size=200)
    fit(Rep4ExRegressor("identity", random_state=0), 3 * action + 1, y, action=action)


@provoke("No law of the state's own noise V could be")
def a_state_of_three_values(fit):
    state = np.random.default_rng(0)
    action = state.integers(-2, 3, size=(82, 3)).astype(float)
    X = np.sign(np.round(0.5 * (action[:, :1] / 1.4 + state.normal(size=(82, 1)))))
    fit(LinearInvarianceEncoder(3, random_state=0), X, None, action=action)


@provoke("y is constant, so every prediction")
def constant_outcome_of_actions(fit):
    data = moved()
    fit(Rep4ExRegressor("identity", random_state=0), data.Z, np.ones(300), action=data.action)


@provoke("different values in ")
def three_actions(fit):
    action = np.tile([-1.0, 0.0, 1.0], 40)
    Z = action + rng().normal(size=120)
    fit(Rep4ExRegressor("identity", random_state=0), Z[:, None], Z, action=action)


@provoke("responds to the others is not identified")
def components_that_no_action_moves(fit):
    data = make_extrapolation_data(300, n_latent=1, n_features=4, random_state=0)
    fit(Rep4ExRegressor(PCA(3), random_state=0), data.X, data.y, action=data.action)


@provoke("further out than every training ")
def rows_far_out(fit):
    data = moved()
    model = quietly(Rep4ExRegressor("identity", random_state=0), data.Z, data.y, action=data.action)
    model.predict(data.Z[:5] + 100.0, action=data.action[:5])


@provoke("Unsupported actions: ")
def actions_far_out(fit):
    data = moved()
    model = quietly(Rep4ExRegressor("identity", random_state=0), data.Z, data.y, action=data.action)
    model.predict_do([[50.0]])


@provoke("actions are withheld", slow=True)
def actions_beyond_one_sided_noise(fit):
    state = rng()
    V, action = state.lognormal(sigma=0.75, size=1500), state.uniform(-1, 1, 1500)
    Z = 1.3 * action + 1.2 * (V - V.mean())
    model = quietly(Rep4ExRegressor(clone(FAST), random_state=0), np.c_[Z, np.tanh(Z)], Z + V, action=action)
    model.predict_do([[1.3]])


@provoke("rows are rows on which the encoder was fitted", slow=True)
def rows_seen_before(fit):
    data = moved()
    quietly(clone(FAST), data.X, action=data.action).linearity_test(data.X, action=data.action, n_resamples=19)


@provoke("standardised one by one they are too many")
def wide_rows(fit):
    fit(clone(FAST), rng().normal(size=(80, 9)), action=rng().uniform(-1, 1, 80))


@provoke("X says nothing about the action", slow=True)
def nothing_to_learn(fit):
    state = rng()
    fit(
        LinearInvarianceEncoder(n_repeats=1, random_state=0),
        state.normal(size=(800, 3)),
        action=state.uniform(-1, 1, 800),
    )


@provoke(" components may be nothing but noise", slow=True)
def weak_direction(fit):
    X, action = two_directions(0.4, 600)
    fit(clone(FAST).set_params(n_components="auto"), X, action=action)


@provoke("X is noisy, or its state has directions", slow=True)
def state_that_no_action_moves(fit):
    X, action = two_directions(1.2, 1000)
    fit(clone(FAST), X, action=action[:, 0])


@provoke(". If the outcome depends strongly on one of them", slow=True)
def direction_left_out(fit):
    X, action = two_directions(1.2, 1000)
    fit(clone(FAST).set_params(n_components=1), X, action=action)


@provoke("cannot tell it from what the action moves", slow=True)
def method_that_cannot_tell(fit):
    part = make_extrapolation_data(1500, n_latent=3, n_actions=2, random_state=1)
    fit(LinearInvarianceEncoder(method="npiv", random_state=0), part.X, action=part.action)


@provoke("V does not look Gaussian", slow=True)
def noise_that_is_not_gaussian(fit):
    data = make_extrapolation_data(2500, noise="laplace", random_state=70)
    fit(LinearInvarianceEncoder(n_repeats=1, random_state=0), data.X, action=data.action)


# -- the tests --------------------------------------------------------------------------------------------------------


# -- representation ---------------------------------------------------------------------------------------------------


@provoke("environments hardly differ in what some combination of features does")
def environments_that_hardly_differ(fit):
    X, y, e = environments(60, 2, 0.0)
    quietly(InvariantRepresentation(), X, y, environments=e).inference(X, y, environments=e)


@provoke("The rule's error is skew (skewness ")
def few_rows_with_skew_errors(fit):
    e = np.repeat([0, 1, 2], [400, 40, 40])
    x = rng().normal(size=480) * (1 + e) + e
    X, y = x[:, None], x + np.random.default_rng(1).exponential(size=480)
    quietly(InvariantRepresentation(), X, y, environments=e).inference(X, y, environments=e)


@provoke(" equations, another has ")
def few_rows_beside_many(fit):
    e = np.repeat([0, 1, 2], [29, 60, 300])
    h, x, noise = np.random.default_rng(18).normal(size=(3, 389))
    X, y = (h + x * (1 + e) + 2 * e)[:, None], 2 * h + x * (1 + e) + 2 * e + noise
    quietly(InvariantRepresentation(), X, y, environments=e).inference(X, y, environments=e)


@provoke("No one linear rule fits all environments")
def an_environment_that_acts_on_the_outcome(fit):
    X, y, e = environments(200, 1)
    y = y + 3.0 * (e == 1) * X[:, 0] - 3.0 * (e == 2)
    quietly(InvariantRepresentation(), X, y, environments=e).inference(X, y, environments=e)


@provoke("The class means of Z are one point")
def classes_in_one_place(fit):
    neural_collapse(np.zeros((20, 2)), np.repeat([0, 1], 10))


@provoke("In some direction the class means of Z differ by less than their own noise")
def classes_that_noise_parts(fit):
    neural_collapse(rng().normal(size=(30, 4)), np.repeat([0, 1, 2], 10))


@provoke("All rows of Z are one point: their entropy")
def a_cloud_of_one_point(fit):
    diffusion_spectral_entropy(np.ones((20, 2)))


@provoke("All rows of Z are one point: no distance")
def a_representation_of_one_point(fit):
    invariance_score(np.ones((20, 2)), np.ones((20, 2)))


@provoke("Z_moved does not vary")
def a_moved_representation_that_is_constant(fit):
    equivariance_score(rng().normal(size=(80, 2)), np.ones((80, 2)), rng().normal(size=(80, 1)))


@provoke(" has no direction with any size")
def weights_of_zero(fit):
    participation_ratio(np.ones((20, 2)))


@provoke("sample eigenvalues fall faster than the population's")
def too_many_ranks(fit):
    spectral_exponent(rng().normal(size=(60, 20)), ranks=np.arange(1, 12))


@provoke(", up to rounding.")
def weights_of_low_rank(fit):
    condition_number(np.ones((3, 3)))


@provoke("codes are all 0")
def codes_that_are_silent(fit):
    effective_features(np.zeros((10, 4)), 2)


def sites():
    """Text constants of the message of every call of `warn`, by place."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text()
        if path.name == "_warn.py" or "warn(" not in source:
            continue
        tree = ast.parse(source)
        helpers = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
        for scope in ast.walk(tree):
            if not isinstance(scope, ast.FunctionDef):
                continue
            said = {
                target.id: node.value
                for node in ast.walk(scope)
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "warn":
                    message = node.args[0]
                    if isinstance(message, ast.Name):
                        message = said.get(message.id, message)
                    if isinstance(message, ast.Call) and isinstance(message.func, ast.Name):
                        message = helpers.get(message.func.id, message)  # a sentence that is said elsewhere, too
                    parts = [each.value for each in ast.walk(message) if isinstance(each, ast.Constant)]
                    found[f"{path.relative_to(PACKAGE)}:{node.lineno}"] = "\0".join(
                        part for part in parts if isinstance(part, str)
                    )
    return found


def test_every_warning_is_provoked():
    known = [*PROVOCATIONS, *UNPROVOKED]
    places = sites()
    assert len(places) > 40  # the search finds them
    silent = {place: text for place, text in places.items() if not any(each in text for each in known)}
    assert silent == {}, "provoke these warnings here"
    idle = [each for each in known if not any(each in text for text in places.values())]
    assert idle == [], "no warning says this any more"


@pytest.mark.parametrize("fit", [directly, in_a_pipeline])
@pytest.mark.parametrize(("fragment", "provocation"), PROVOCATIONS.values())
def test_it_names_the_users_line(fragment, provocation, fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        provocation(fit)
    ours = [each for each in caught if issubclass(each.category, CausalInvWarning)]
    assert any(fragment in str(each.message) for each in ours), [str(each.message) for each in caught]
    bodies = [function.__code__ for function in (provocation, directly, in_a_pipeline)]
    lines = {line for code in bodies for _, _, line in code.co_lines()}
    assert {(Path(each.filename).name, each.lineno in lines) for each in ours} == {(HERE, True)}
