"""The number of directions: judged by closed forms of the normal law and by worlds whose directions are known."""

import warnings

import numpy as np
import pytest
from scipy.stats import norm

from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import IdentificationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.extrapolation._dimension import NEGLIGIBLE, Directions


def two_directions(strong, weak, seed, n=3000, rho=0.0):
    """A state of two directions that an action of two columns moves by `strong` and `weak`; V of correlation rho."""
    rng = np.random.default_rng(seed)
    action = rng.uniform(-1, 1, (n, 2))
    V = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    Z = action * [strong, weak] + V
    X = np.c_[Z + 0.1 * Z**3, np.tanh(Z @ rng.normal(size=(2, 2)))]
    return X, Z[:, 0] + 3 * Z[:, 1] + V.sum(axis=1) + 0.3 * rng.normal(size=n), action


def small(n_components="auto"):
    return LinearInvarianceEncoder(n_components, method="ef", n_repeats=1, bandwidths=(1.0,), random_state=0)


def test_effects_are_those_of_the_state_in_units_of_v_whatever_its_affine_map():
    rng = np.random.default_rng(0)
    n = 200_000
    action = rng.uniform(-1, 1, (n, 2))
    V = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], n)
    truth = np.linalg.svd(np.linalg.inv(np.linalg.cholesky([[1, 0.8], [0.8, 1]])), compute_uv=False) / np.sqrt(3)
    for map_ in (np.eye(2), rng.normal(size=(2, 2))):
        found = Directions.measure((action + V) @ map_, action)
        np.testing.assert_allclose(found.effects, truth, atol=0.01)


def test_bounds_cover_the_true_effects():
    rng = np.random.default_rng(1)
    n, reps, truth = 400, 400, np.array([1.0, 0.4])
    missed = np.zeros((2, 2))
    for _ in range(reps):
        action = rng.choice([-1.0, 1.0], (n, 2))  # of standard deviation 1
        found = Directions.measure(action * truth + rng.normal(size=(n, 2)), action)
        missed += [found.lower > truth, found.upper < truth]
    assert (missed / reps < 0.05 + 3 * np.sqrt(0.05 * 0.95 / reps)).all()
    assert missed.max() > 0.02 * reps  # and they are not idle


@pytest.mark.parametrize(
    ("effects", "n", "kept", "undecided"),
    [
        ([1.0, 0.8], 1000, 2, 0),
        ([1.0, 0.01], 1000, 1, 0),
        ([1.0, 0.14], 1000, 2, 1),
        ([1.0, 0.01], 60, 2, 1),  # too few rows to drop it
        ([0.01, 0.005], 1000, 1, 0),  # one is always left
    ],
)
def test_a_direction_is_dropped_only_if_its_upper_bound_is_negligible(effects, n, kept, undecided):
    found = Directions(np.array(effects), n)
    assert (found.n_kept, found.undecided) == (kept, undecided)
    half = norm.ppf(0.95) * np.sqrt((1 + np.array(effects) ** 2 / 2) / n)
    np.testing.assert_allclose(found.upper, effects + half)
    assert (found.upper[found.n_kept :] < NEGLIGIBLE).all()
    words = found.to_frame()["decision"].tolist()
    assert (words.count("dropped"), words.count("undecided")) == (2 - kept, undecided)


def test_a_weak_direction_is_kept_and_flagged_and_a_strong_one_is_not_flagged():
    X, _, action = two_directions(1.6, 0.3, 0)  # .3 / sqrt(3) = .17 standard deviations of V, where .15 is negligible
    with pytest.warns(IdentificationWarning, match="1 of 2 components may be nothing but noise"):
        weak = small().fit(X, action=action)
    assert weak.n_components_ == 2
    for weaker in (1.2, 0.4):
        X, _, action = two_directions(1.6, weaker, 0, n=2000)
        with warnings.catch_warnings():
            warnings.simplefilter("error", IdentificationWarning)
            strong = small().fit(X, action=action)
        assert strong.n_components_ == 2
        assert strong.effects_["decision"].tolist() == ["kept", "kept"]


def test_every_row_judges_a_direction_that_was_learnt_without_it():
    """A state that repeats the action row by row would show effects without bound if rows judged themselves."""
    rng = np.random.default_rng(0)
    action, X = rng.uniform(-1, 1, (300, 2)), rng.normal(size=(300, 6))  # X knows nothing of the action
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = small().fit(X, action=action).effects_
    assert found["effect"].max() < 0.35  # six times the standard error
    assert found["effect"].iloc[0] - found["lower"].iloc[0] < 1.7 * 1.1 / np.sqrt(300)  # by all rows


@pytest.mark.parametrize("n", [1000, 3000])
def test_a_direction_that_is_not_there_is_dropped(n):
    data = make_extrapolation_data(n, n_latent=2, n_actions=3, n_features=6, random_state=0)
    encoder = small().fit(data.X, action=data.action)
    assert encoder.n_components_ == 2
    assert encoder.effects_["decision"].tolist() == ["kept", "kept", "dropped"]


def test_resamples_choose_the_dimension_again():
    data = make_extrapolation_data(700, n_latent=1, n_actions=2, n_features=3, random_state=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = small().fit(data.X, action=data.action)
    found = {encoder.learn_again(data.X, data.action, np.random.default_rng(seed)).shape[1] for seed in range(12)}
    assert found == {1, 2}
    fixed = small(1).fit(data.X, action=data.action)
    assert fixed.effects_ is None
    assert fixed.learn_again(data.X, data.action, np.random.default_rng(0)).shape[1] == 1


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
def test_what_is_left_of_x_is_said():
    X, y, action = two_directions(1.6, 1.2, 0, n=1000)
    with pytest.warns(IdentificationWarning, match="n_components=1 leaves out 1 direction of the action"):
        model = Rep4ExRegressor(small(1)).fit(X, y, action=action)
    assert model.reduced_
    with pytest.warns(IdentificationWarning, match="X is noisy, or its state has directions that the action does not"):
        small().fit(X, action=action[:, 0])
