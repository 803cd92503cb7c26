"""The truth that the simulators carry, against plain Monte Carlo; and that X shows the whole state."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad, trapezoid
from scipy.spatial.distance import pdist

from causalinv.datasets import load_moving_digits, make_extrapolation_data

LAWS = ("gaussian", "laplace", "t5", "gumbel", "mixture", "uniform")
ASKED = np.array([[0.0, 0.0], [1.0, -0.5], [-2.0, 1.5]])


@pytest.mark.parametrize("outcome", ["tanh_quad", "quadratic"])
@pytest.mark.parametrize("noise", LAWS)
def test_truth_is_the_mean_over_fresh_noise(noise, outcome):
    world = make_extrapolation_data(30_000, noise=noise, noise_scale=0.7, outcome=outcome, random_state=3)
    np.testing.assert_allclose(world.V.mean(axis=0), 0, atol=5 * 0.7 / np.sqrt(30_000))
    np.testing.assert_allclose(world.V.std(axis=0), 0.7, rtol=0.06)  # t5 has a heavy fourth moment
    for a, truth in zip(ASKED, world.truth_do(ASKED), strict=True):
        # E[Y | state, do(a)] averaged over the states that a brings about.
        drawn = world.truth_conditional(world.M @ a + world.V, np.tile(a, (30_000, 1)))
        assert truth == pytest.approx(drawn.mean(), abs=5 * drawn.std() / np.sqrt(30_000))


def test_outcomes_follow_the_truth():
    world = make_extrapolation_data(8000, confounding=2.0, random_state=1)
    error = world.y - world.truth_conditional(world.Z, world.action)
    assert error.std() == pytest.approx(0.3, rel=0.04)
    assert abs(np.corrcoef(error, world.V[:, 0])[0, 1]) < 0.05
    hidden = world.y - world.truth_do(world.action)
    assert abs(np.corrcoef(hidden, world.action[:, 0])[0, 1]) < 0.05
    l_of_state = world.truth_conditional(world.Z, world.action) - world.V.sum(axis=1) * 2 / np.sqrt(2)
    by_hand = np.sum(np.tanh(1.5 * world.Z) + 0.2 * world.Z**2, axis=1)
    np.testing.assert_allclose(l_of_state, by_hand, atol=1e-10)


@pytest.mark.parametrize("mixing", ["leaky_relu", "smooth", "linear"])
def test_measurements_tell_states_apart(mixing):
    world = make_extrapolation_data(400, n_latent=3, n_features=7, mixing=mixing, noise="t5", random_state=2)
    stretch = pdist(world.X) / pdist(world.Z)
    assert stretch.min() > 0.02
    rank = np.linalg.matrix_rank(world.X - world.X.mean(axis=0), tol=1e-8)
    assert rank == (3 if mixing == "linear" else 7)


def test_sizes_support_and_departures():
    world = make_extrapolation_data(300, n_latent=2, n_actions=3, n_features=5, support=2.0, random_state=0)
    assert (world.X.shape, world.action.shape, world.M.shape) == ((300, 5), (300, 3), (2, 3))
    assert 1.9 < np.abs(world.action).max() <= 2.0
    assert make_extrapolation_data(10, n_latent=3, n_actions=1, random_state=0).M.shape == (3, 1)
    sizes = np.linalg.svd(world.M, compute_uv=False)
    assert sizes.min() >= 1 - 1e-12
    assert sizes.max() <= 1.6 + 1e-12
    longer = make_extrapolation_data(500, n_latent=2, n_actions=3, n_features=5, support=2.0, random_state=0)
    np.testing.assert_array_equal(longer.M, world.M)
    np.testing.assert_array_equal(longer.truth_do([[1, 1, 1]]), world.truth_do([[1, 1, 1]]))
    clean, noisy = (make_extrapolation_data(2000, x_noise=x, random_state=0).X for x in (0.0, 0.2))
    np.testing.assert_allclose((noisy - clean).std(axis=0), 0.2 * clean.std(axis=0), rtol=0.06)
    bent = make_extrapolation_data(2000, n_latent=1, action_curvature=0.5, random_state=0)
    np.testing.assert_allclose(bent.Z - bent.V, (bent.action + 0.5 * bent.action**2) * bent.M[0, 0], atol=1e-12)
    assert make_extrapolation_data(0).X.shape == (0, 4)


def test_pictures_show_where_the_digit_is():
    digits = load_moving_digits(n_samples=400)
    near = np.abs(digits.Z).max(axis=1) < 2.0  # the digit lies wholly on the canvas
    images = digits.images[near]
    np.testing.assert_array_equal(digits.X, digits.images.reshape(400, -1))
    weights = images / images.sum(axis=(1, 2), keepdims=True)
    at = np.arange(20)
    centre = np.column_stack([weights.sum(axis=2) @ at, weights.sum(axis=1) @ at])
    shift = centre - 1.8 * digits.Z[near]
    np.testing.assert_allclose(shift - shift.mean(axis=0), 0, atol=0.05)  # centre of mass moves as the position
    assert "20 x 20" in digits.DESCR


@pytest.mark.parametrize("noise", ["gaussian", "laplace", "t5", "gumbel", "mixture", "uniform"])
@pytest.mark.parametrize(("scale", "error"), [(0.01, 1e-6), (10.0, 1e-6), (1e6, 0.02)])
def test_the_error_of_the_quadrature_is_what_is_said(noise, scale, error):
    """E tanh(1.5 (c + sV)) = 1 - ∫ sech²(t) F((t / 1.5 - c) / s) dt: the kernel is as wide whatever the scale."""
    laws = {
        "gaussian": stats.norm.cdf,
        "laplace": stats.laplace(scale=np.sqrt(0.5)).cdf,
        "t5": stats.t(5, scale=np.sqrt(0.6)).cdf,
        "gumbel": stats.gumbel_r(-np.euler_gamma * np.sqrt(6) / np.pi, np.sqrt(6) / np.pi).cdf,
        "mixture": lambda v: (
            (stats.norm.cdf((v - 0.9) / np.sqrt(0.19)) + stats.norm.cdf((v + 0.9) / np.sqrt(0.19))) / 2
        ),
        "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).cdf,
    }
    data = make_extrapolation_data(0, n_latent=1, noise=noise, noise_scale=scale, random_state=3)
    asked = np.array([-1.5, 0.2, 0.4 * scale])
    t = np.linspace(-20, 20, 1_000_001)
    for action, found in zip(asked, data.truth_do(asked), strict=True):
        c = data.M[0, 0] * action
        with np.errstate(over="ignore"):
            bounded = 1 - trapezoid(laws[noise]((t / 1.5 - c) / scale) / np.cosh(t) ** 2, t)
        rest = 0.2 * (c**2 + scale**2)
        assert found - rest == pytest.approx(bounded, abs=error + 1e-12 * rest)


def test_uniform_truth_against_an_adaptive_quadrature():
    data = make_extrapolation_data(0, n_latent=1, noise="uniform", noise_scale=0.7, random_state=3)
    half = 0.7 * np.sqrt(3)
    asked = np.array([-1.5, 0.2, 2.0])
    for action, found in zip(asked, data.truth_do(asked), strict=True):
        centre = data.M[0, 0] * action
        mean = quad(lambda v, c=centre: np.tanh(1.5 * (c + v)) + 0.2 * (c + v) ** 2, -half, half, epsabs=1e-11)[0]
        assert found == pytest.approx(mean / (2 * half), abs=1e-8)
    with pytest.raises(ValueError, match=r"actions must have shape \(m, 1\)"):
        data.truth_do(np.zeros((3, 2)))
