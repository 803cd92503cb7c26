"""Bands of curves: half widths by the law of the maximum, and refits that are those of the whole fit."""

import warnings

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.extrapolation._curve import half_widths
from causalinv.metrics import affine_r2


def folded(c, m=1):
    """Probability that m independent normals of mean .5 are all within c of 0."""
    return (norm.cdf(c - 0.5) - norm.cdf(-c - 0.5)) ** m


def test_simultaneous_multiple_is_the_quantile_of_the_maximum_of_independent_biased_normals():
    rng = np.random.default_rng(0)
    m, draws = 8, 40_000
    curves = rng.normal(size=(draws, m)) * np.arange(1, m + 1)
    half, multiple = half_widths(curves, 0.95, "simultaneous")
    exact = brentq(lambda c: folded(c, m) - 0.95, 1, 5)
    # The error of an empirical quantile: its share's, over the density of the maximum there; the larger of two.
    density = (folded(exact + 1e-4, m) - folded(exact - 1e-4, m)) / 2e-4
    assert multiple == pytest.approx(exact, abs=4.5 * np.sqrt(0.05 * 0.95 / draws) / density)
    np.testing.assert_allclose(half, multiple * np.arange(1, m + 1), rtol=0.02)


def test_a_point_takes_the_published_critical_value_for_a_bias_of_half_a_standard_error():
    half, multiple = half_widths(np.random.default_rng(0).normal(size=(100, 3)), 0.95, "pointwise")
    assert multiple == pytest.approx(2.18, abs=0.005)  # Armstrong and Kolesár 2020
    assert half == pytest.approx(multiple * np.random.default_rng(0).normal(size=(100, 3)).std(axis=0, ddof=1))


def test_a_curve_that_moves_as_one_needs_no_more_than_a_point():
    rng = np.random.default_rng(1)
    curves = np.outer(rng.normal(size=40_000), [1.0, 2.0, 3.0])
    _, multiple = half_widths(curves, 0.9, "simultaneous")
    assert multiple == pytest.approx(brentq(lambda c: folded(c) - 0.9, 1, 5), abs=0.04)
    flat, _ = half_widths(np.ones((50, 2)), 0.9, "simultaneous")
    assert (flat == 0).all()


def test_of_few_draws_the_band_takes_a_draw_and_not_less():
    curves = np.random.default_rng(2).normal(size=(19, 4))
    errors = curves.std(axis=0, ddof=1)
    gaps = (curves - curves.mean(axis=0)) / errors
    assert half_widths(curves, 0.95, "simultaneous")[1] == pytest.approx(
        np.abs(gaps).max(initial=0, axis=1).max() + 0.5
    )


def test_the_curve_says_which_band_it_has():
    data = make_extrapolation_data(400, n_latent=1, random_state=0)
    model = Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=data.action)
    asked = np.linspace(-1.4, 1.4, 9)
    whole, each = (model.do_curve(asked, n_bootstrap=60, band=band) for band in ("simultaneous", "pointwise"))
    assert "simultaneous 95% intervals" in str(whole)
    assert "pointwise 95% intervals" in str(each)
    ratio = (whole.table["upper"] - whole.table["lower"]) / (each.table["upper"] - each.table["lower"])
    np.testing.assert_allclose(ratio, ratio[0])
    assert 1.1 < ratio[0] < 2
    with pytest.raises(ValueError, match="band must be one of"):
        model.do_curve(asked, band="both")


@pytest.mark.parametrize("method", ["npiv+location", "ef+location"])
def test_a_representation_learnt_again_finds_the_state(method):
    """From the same rows it is the fitted one up to an affine map; from a resample it is still the state."""
    data = make_extrapolation_data(1500, random_state=0)
    encoder = LinearInvarianceEncoder(2, method=method, bandwidths=(1.0,), n_repeats=1, random_state=0)
    encoder.fit(data.X, action=data.action)
    again = encoder.learn_again(data.X, data.action, np.random.default_rng(0))
    assert affine_r2(encoder.transform(data.X), again) > 0.995  # one pass instead of two
    at = np.random.default_rng(1).integers(1500, size=1500)
    assert affine_r2(data.Z[at], encoder.learn_again(data.X[at], data.action[at], np.random.default_rng(2))) > 0.975


@pytest.mark.parametrize(("noise", "told"), [("gaussian", False), ("laplace", True)])
def test_a_curve_says_where_the_law_of_v_is_in_doubt(noise, told):
    data = make_extrapolation_data(1500, n_latent=1, noise=noise, random_state=0)
    encoder = LinearInvarianceEncoder(method="npiv+location", bandwidths=(1.0,), n_repeats=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Rep4ExRegressor(encoder, random_state=0).fit(data.X, data.y, action=data.action)
        text = " ".join(str(model.do_curve([0.0, 1.3], n_bootstrap=3)).split())
    assert ("V does not look Gaussian" in text) is told
