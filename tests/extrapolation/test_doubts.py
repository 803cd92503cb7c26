"""Doubts at the door: sizes by closed forms, silence where the assumptions hold, a word where one is broken."""

import warnings

import numpy as np
import pytest
from scipy.stats import chi2, ncx2
from sklearn.preprocessing import FunctionTransformer

from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation import Rep4ExRegressor
from causalinv.extrapolation._doubts import Check

# Of docs/mathematics/extrapolation.md, with the 99% quantile.
TOLERATED = {"nonlinear_mean": 0.002, "unequal_noise": 0.01, "direct_effect": 0.005}
NAMES = list(TOLERATED)


def fitted(Z, y, action):
    """The state itself as representation; its checks, and what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = Rep4ExRegressor("identity", random_state=0).fit(Z, y, action=action)
    said = [str(w.message) for w in caught if issubclass(w.category, ExtrapolationWarning)]
    return model.checks_, said


def world(n, seed, d=1):
    data = make_extrapolation_data(n, n_latent=d, random_state=seed)
    return data.Z, data.y, data.action


@pytest.mark.parametrize("name", NAMES)
def test_thresholds_are_quantiles_and_fall_to_what_is_tolerated(name):
    found = Check.of(name, 40.0, 10, 500)
    assert found.value == pytest.approx(30 / 500)
    edge = found.threshold * 500 + 10
    assert ncx2.sf(edge, 10, 500 * TOLERATED[name]) == pytest.approx(0.01)
    assert Check.of(name, edge * 1.001, 10, 500).doubt
    assert not Check.of(name, edge * 0.999, 10, 500).doubt
    assert Check.of(name, 0.0, 10, 10**7).threshold == pytest.approx(TOLERATED[name], rel=0.05)
    nothing = Check.of(name, 0.0, 0, 500)
    assert np.isnan(nothing.value)
    assert not nothing.doubt


@pytest.mark.slow
def test_statistics_are_chi_squared_where_the_state_is_given():
    """n times the sum: mean q and, at a given state, few beyond the 95% quantile; 40 sets, states that are exact."""
    n, reps, df = 200, 40, {"nonlinear_mean": 2, "unequal_noise": 2, "direct_effect": 2}
    drawn = {name: [] for name in NAMES}
    for seed in range(reps):
        rng = np.random.default_rng(seed)
        action, V = rng.uniform(-1, 1, (n, 1)), rng.normal(size=(n, 1))
        checks, _ = fitted(action + V, (action + 2 * V)[:, 0] + rng.normal(size=n), action)
        for name in NAMES:
            drawn[name].append(checks.loc[name, "value"] * n + df[name])
    for name, values in drawn.items():
        error = np.sqrt(2 * df[name] / reps)
        assert np.mean(values) == pytest.approx(df[name], abs=4 * error)
        beyond = np.mean(np.array(values) > chi2.ppf(0.95, df[name]))
        assert beyond < 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / reps)


def test_a_valid_model_is_not_doubted():
    for d in (1, 2):
        checks, said = fitted(*world(600, 0, d))
        assert not checks["doubt"].any()
        assert not said
        assert list(checks.index) == NAMES


def test_each_breach_is_seen_by_its_check_and_said_once_with_numbers():
    Z, y, action = world(600, 1)
    V = Z - action * (np.cov(Z[:, 0], action[:, 0])[0, 1] / action.var())
    breaches = {
        "nonlinear_mean": (Z + 0.8 * action**2, y, "not linear in the action"),
        "unequal_noise": (Z + 0.6 * action * V, y, "noise of the state depends on the action"),
        "direct_effect": (Z, y + 1.5 * action[:, 0] ** 2, "depends on the action beyond the state"),
    }
    for name, (state, outcome, words) in breaches.items():
        checks, said = fitted(state, outcome, action)
        assert checks.loc[name, "doubt"]
        assert len(said) == 1
        assert words in said[0]
        assert f"{name} {checks.loc[name, 'value']:.3f}, doubt above {checks.loc[name, 'threshold']:.3f}" in said[0]


def test_what_no_data_can_show_is_not_shown():
    """Linear direct effect: harmless. Jointly Gaussian action and V: the same law as a valid model."""
    Z, y, action = world(600, 2)
    assert not fitted(Z, y + 3 * action[:, 0], action)[0]["doubt"].any()
    rng = np.random.default_rng(0)
    V = rng.normal(size=(600, 1))
    action = 0.6 * rng.normal(size=(600, 1)) + 0.5 * V
    Z = 1.3 * action + V
    assert not fitted(Z, np.tanh(Z[:, 0]) + V[:, 0] + 0.3 * rng.normal(size=600), action)[0]["doubt"].any()


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_actions_of_two_levels_have_no_bends():
    rng = np.random.default_rng(0)
    action = rng.choice([-1.0, 1.0], (300, 1))
    Z = action + rng.normal(size=(300, 1))
    checks, said = fitted(Z, Z[:, 0], action)
    assert checks["value"].isna().tolist() == [True, False, True]
    assert not said


def test_rounding_is_no_noise_that_depends_on_the_action():
    """X is the action: what regression leaves is 1e-16, of which a confounded action was read, at p = .003."""
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, size=(400, 2))
    y = action[:, 0] ** 2 + rng.normal(size=400)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = Rep4ExRegressor("identity", random_state=0).fit(3 * action + 1, y, action=action)
    assert [str(each.message)[:52] for each in told] == ["The state is an exact linear function of the action,"]
    assert not model.checks_["doubt"].any()
    found = model.diagnostics()
    assert found.linearity_pvalue == found.residual_pvalue == 1
    assert found.conditional_score == np.inf
    assert np.isnan(found.n_noise_components)


def test_values_are_sums_of_squared_correlations_less_what_chance_makes_of_them():
    """One state and one action: powers made orthogonal by QR, correlations by numpy."""
    Z, y, action = world(600, 3)
    checks, _ = fitted(Z, y, action)
    basis = np.linalg.qr(np.vander(action[:, 0], 4, increasing=True))[0]  # a constant, a, a^2, a^3
    left = Z[:, 0] - basis[:, :2] @ (basis[:, :2].T @ Z[:, 0])
    for name, value, powers in (("nonlinear_mean", left, (2, 3)), ("unequal_noise", np.abs(left), (1, 2))):
        squares = sum(np.corrcoef(value, basis[:, power])[0, 1] ** 2 for power in powers)
        assert checks.loc[name, "value"] == pytest.approx(squares - 2 / 600, rel=1e-6)


class Sure(FunctionTransformer):
    """The state itself, from an encoder that has an opinion of V."""

    noise_evidence_ = 0.9


class Doubtful(Sure):
    noise_evidence_ = 1.1


@pytest.mark.parametrize(("encoder", "checked"), [(Sure, True), (Doubtful, False)])
def test_unequal_noise_is_not_checked_where_v_does_not_look_gaussian(encoder, checked):
    Z, y, action = world(600, 3)
    model = Rep4ExRegressor(encoder(), random_state=0).fit(Z, y, action=action)
    assert model.checks_["value"].notna().tolist() == [True, checked, True]
