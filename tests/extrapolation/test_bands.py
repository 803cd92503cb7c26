"""Bands of curves: half widths by the law of the maximum, and refits that are those of the whole fit."""

import numpy as np
import pytest
from scipy.stats import norm

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.extrapolation._curve import half_widths
from causalinv.metrics import affine_r2


def test_simultaneous_multiple_is_the_quantile_of_the_maximum_of_independent_normals():
    rng = np.random.default_rng(0)
    m, draws = 8, 40_000
    curves = rng.normal(size=(draws, m)) * np.arange(1, m + 1)
    half, multiple = half_widths(curves, 0.95, "simultaneous")
    exact = norm.ppf((1 + 0.95 ** (1 / m)) / 2)
    # The error of an empirical quantile: its share's, over the density of the maximum there.
    density = m * 0.95 ** ((m - 1) / m) * 2 * norm.pdf(exact)
    assert multiple == pytest.approx(exact, abs=4 * np.sqrt(0.05 * 0.95 / draws) / density)
    np.testing.assert_allclose(half, multiple * np.arange(1, m + 1), rtol=0.02)


def test_a_curve_that_moves_as_one_needs_no_more_than_a_point():
    rng = np.random.default_rng(1)
    curves = np.outer(rng.normal(size=40_000), [1.0, 2.0, 3.0])
    _, multiple = half_widths(curves, 0.9, "simultaneous")
    assert multiple == pytest.approx(norm.ppf(0.95), abs=0.03)
    np.testing.assert_allclose(half_widths(curves, 0.9, "pointwise")[0], norm.ppf(0.95) * curves.std(axis=0, ddof=1))
    flat, _ = half_widths(np.ones((50, 2)), 0.9, "simultaneous")
    assert (flat == 0).all()


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
