"""Bands of curves: half widths by the law of the maximum, and refits that are those of the whole fit."""

import warnings
from typing import ClassVar

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.preprocessing import FunctionTransformer

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.extrapolation._curve import half_widths, lean
from causalinv.metrics import affine_r2


def folded(c, m=1):
    """Probability that m independent normals of mean .5 are all within c of 0."""
    return (norm.cdf(c - 0.5) - norm.cdf(-c - 0.5)) ** m


def test_simultaneous_multiple_is_the_quantile_of_the_maximum_of_independent_biased_normals():
    rng = np.random.default_rng(0)
    m, draws = 8, 40_000
    curves = rng.normal(size=(draws, m)) * np.arange(1, m + 1)
    half = half_widths(curves, 0.95, "simultaneous")
    multiple = (half / curves.std(axis=0, ddof=1))[0]
    exact = brentq(lambda c: folded(c, m) - 0.95, 1, 5)
    # The error of an empirical quantile: its share's, over the density of the maximum there; the larger of two.
    density = (folded(exact + 1e-4, m) - folded(exact - 1e-4, m)) / 2e-4
    assert multiple == pytest.approx(exact, abs=4.5 * np.sqrt(0.05 * 0.95 / draws) / density)
    np.testing.assert_allclose(half, multiple * np.arange(1, m + 1), rtol=0.02)


def test_a_point_takes_the_published_critical_value_for_a_bias_of_half_a_standard_error():
    curves = np.random.default_rng(0).normal(size=(100, 3))
    # Armstrong and Kolesár 2020
    np.testing.assert_allclose(half_widths(curves, 0.95, "pointwise"), 2.18 * curves.std(axis=0, ddof=1), rtol=0.002)


@pytest.mark.parametrize("lean", [0.0, 0.7, 3.4, 3.6, 80.0])
def test_a_point_that_leans_is_held_at_its_level(lean):
    """Whichever side it leans to: the probability that a normal of mean .5 + lean is within the half width of 0."""
    curves = np.random.default_rng(0).normal(size=(100, 1))
    error = curves.std(axis=0, ddof=1)[0]
    half = half_widths(curves, 0.95, "pointwise", np.array([lean * error]))[0] / error
    assert norm.cdf(half - 0.5 - lean) - norm.cdf(-half - 0.5 - lean) == pytest.approx(0.95, abs=1e-5)


def test_a_curve_that_leans_at_one_place_is_widened_there():
    rng = np.random.default_rng(0)
    draws, bias = 40_000, np.array([0.5, 0.5, 2.0])
    curves = rng.normal(size=(draws, 3))
    half = half_widths(curves, 0.95, "simultaneous", np.array([0.0, 0.0, 1.5]))
    held = [(np.abs(rng.normal(size=(draws, 3)) + side * bias) <= half).all(axis=1).mean() for side in (1, -1)]
    assert np.allclose(held, 0.95, atol=4.5 * np.sqrt(2 * 0.05 * 0.95 / draws))
    assert half[2] - half[0] == pytest.approx(1.5, abs=0.05)
    # Where resamples say nothing the lean is all there is.
    np.testing.assert_array_equal(half_widths(np.ones((50, 2)), 0.9, "pointwise", np.array([0.0, 0.3])), [0.0, 0.3])


def test_skew_resamples_widen_the_side_that_they_lean_to():
    """Errors of a right-skew law: a bias to the right asks for more. Mirrored curves have the same half widths."""
    rng = np.random.default_rng(3)
    draws, bias = 40_000, np.full(3, 0.5)
    curves = rng.exponential(size=(draws, 3))
    half = half_widths(curves, 0.95, "simultaneous")
    np.testing.assert_allclose(half_widths(-curves, 0.95, "simultaneous"), half)
    gaps = rng.exponential(size=(draws, 3)) - 1.0
    held = [(np.abs(gaps + side * bias) <= half).all(axis=1).mean() for side in (1, -1)]
    assert min(held) == pytest.approx(0.95, abs=4.5 * np.sqrt(2 * 0.05 * 0.95 / draws))


def test_a_curve_that_moves_as_one_needs_no_more_than_a_point():
    rng = np.random.default_rng(1)
    curves = np.outer(rng.normal(size=40_000), [1.0, 2.0, 3.0])
    multiple = (half_widths(curves, 0.9, "simultaneous") / curves.std(axis=0, ddof=1))[0]
    assert multiple == pytest.approx(brentq(lambda c: folded(c) - 0.9, 1, 5), abs=0.04)
    assert (half_widths(np.ones((50, 2)), 0.9, "simultaneous") == 0).all()


def test_of_few_draws_the_band_takes_a_draw_and_not_less():
    curves = np.random.default_rng(2).normal(size=(19, 4))
    errors = curves.std(axis=0, ddof=1)
    gaps = (curves - curves.mean(axis=0)) / errors
    largest = np.abs(gaps).max(initial=0, axis=1).max() + 0.5
    np.testing.assert_allclose(half_widths(curves, 0.95, "simultaneous"), largest * errors)


def test_the_curve_says_which_band_it_has():
    data = make_extrapolation_data(400, n_latent=1, random_state=0)
    model = Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=data.action)
    asked = np.linspace(-1.4, 1.4, 9)
    whole, each = (model.do_curve(asked, n_bootstrap=60, band=band) for band in ("simultaneous", "pointwise"))
    assert "simultaneous 95% intervals" in str(whole)
    assert "pointwise 95% intervals" in str(each)
    ratio = (whole.table["upper"] - whole.table["lower"]) / (each.table["upper"] - each.table["lower"])
    assert ((ratio > 1.1) & (ratio < 2)).all()
    with pytest.raises(ValueError, match="band must be one of"):
        model.do_curve(asked, band="both")


def test_a_curve_leans_where_it_is_continued():
    """With few states out there it matters from where on the response is a line; in the middle it does not."""
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, 600)
    state = action + 0.7 * rng.normal(size=600)
    fits = {
        bent: Rep4ExRegressor("identity", calibration=0.0, random_state=0).fit(
            state[:, None], state + bent * state**2 + 0.1 * rng.normal(size=600), action=action
        )
        for bent in (0.0, 1.0)
    }
    middle, beyond = lean(fits[1.0]._fitted, np.array([[0.0], [1.5]]))
    assert beyond > 0.1 > 5 * middle
    assert lean(fits[0.0]._fitted, np.array([[1.5]]))[0] < 0.1 * beyond  # a line is continued by itself
    table = fits[1.0].do_curve([0.0, 1.5], n_bootstrap=20, band="pointwise").table
    assert (table["upper"] - table["estimate"])[1] > beyond


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


class Records(FunctionTransformer):
    """The rows themselves; it keeps what it was fitted on."""

    fitted_on: ClassVar[list[np.ndarray]] = []

    def fit(self, X, y=None):
        self.fitted_on.append(X)
        return super().fit(X, y)


def test_a_resample_is_as_many_rows_drawn_with_replacement():
    rng = np.random.default_rng(0)
    action, V = rng.uniform(-1, 1, 300), rng.normal(size=300)
    model = Rep4ExRegressor(Records(), random_state=0).fit((action + V)[:, None], action + V, action=action)
    Records.fitted_on.clear()
    model.do_curve([0.0], n_bootstrap=20)
    assert [len(rows) for rows in Records.fitted_on] == [300] * 20
    different = [len(np.unique(rows)) / 300 for rows in Records.fitted_on]
    # A row is left out with probability (1 - 1 / 300)^300; the share of a resample has an error of .018.
    assert np.mean(different) == pytest.approx(1 - np.exp(-1), abs=4 * 0.018 / np.sqrt(20))
    assert len({rows.tobytes() for rows in Records.fitted_on}) == 20
