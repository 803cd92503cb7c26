"""One-sided V: numbers of a learnt state beyond the tried actions are withheld; the measure of it is a known one."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

from causalinv.exceptions import ExtrapolationWarning, IdentificationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.extrapolation._one_sided import ONE_SIDED, one_sidedness
from causalinv.extrapolation._support import one_sided
from causalinv.inspection import DoCurveDisplay

FAST = LinearInvarianceEncoder(method="npiv+location", n_repeats=1, bandwidths=(1.0,), n_landmarks=60, random_state=0)
LAWS = {
    "lognormal": lambda rng, n: np.exp(0.75 * rng.normal(size=n)),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "gumbel": lambda rng, n: rng.gumbel(size=n),
    "t3": lambda rng, n: rng.standard_t(3, n),
    "gaussian": lambda rng, n: rng.normal(size=n),
}


def one_action(law, n=1500, seed=0):
    rng = np.random.default_rng(seed)
    V = LAWS[law](rng, n)
    V = (V - V.mean()) / V.std()
    action = rng.uniform(-1, 1, n)
    Z = 1.3 * action + V
    X = np.c_[Z + 0.1 * Z**3, np.tanh(Z)]
    return X, np.tanh(1.5 * Z) + 0.2 * Z**2 + V + 0.3 * rng.normal(size=n), action


@pytest.fixture(scope="module")
def skewed():
    X, y, action = one_action("lognormal")
    with warnings.catch_warnings():
        # Said elsewhere; and tails that were bent look like more in X.
        warnings.simplefilter("ignore", ExtrapolationWarning)
        warnings.simplefilter("ignore", IdentificationWarning)
        return Rep4ExRegressor(FAST, random_state=0).fit(X, y, action=action)


def quantile_skewness(law):
    low, middle, high = law.ppf([0.025, 0.5, 0.975])
    return (low + high - 2 * middle) / (high - low)


@pytest.mark.parametrize(
    ("name", "law"),
    [("gaussian", stats.norm()), ("gumbel", stats.gumbel_r()), ("exponential", stats.expon())],
)
def test_the_measure_is_that_of_the_law_in_any_coordinates(name, law):
    rng = np.random.default_rng(1)
    V = np.c_[LAWS[name](rng, 40_000), rng.normal(size=40_000)]
    # 4,000 rows are looked at, and of a hundred directions the largest is taken: it leans upwards by some hundredths.
    assert one_sidedness(V) == pytest.approx(quantile_skewness(law), abs=0.07)
    turned = -1e3 * V @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 1e5
    assert one_sidedness(turned) == pytest.approx(one_sidedness(V), abs=1e-6)
    wild = V.copy()
    wild[::4000] = 1e6  # ten rows in 40,000
    assert one_sidedness(V[:, :1]) == pytest.approx(one_sidedness(wild[:, :1]), abs=0.02)


@pytest.mark.parametrize(
    ("evidence", "skewness", "expected"),
    [(2.0, 0.43, True), (2.0, 0.37, False), (0.9, 0.6, False), (np.nan, 0.6, False), (None, None, False)],
)
def test_both_numbers_must_speak_against_v(evidence, skewness, expected):
    stand_in = SimpleNamespace(public={"noise_evidence_": evidence, "noise_skewness_": skewness}.get)
    assert one_sided(stand_in) is expected
    assert quantile_skewness(stats.gumbel_r()) + 0.04 < ONE_SIDED < quantile_skewness(stats.expon()) - 0.2


def test_noise_that_is_not_there_is_not_one_sided():
    assert one_sidedness(np.zeros((50, 2))) == 0.0
    assert one_sidedness(np.r_[np.zeros(99), 1.0][:, None]) == 0.0


def test_numbers_beyond_the_tried_actions_are_withheld(skewed):
    asked = [-2.0, 0.0, 0.9, 1.3]
    assert skewed.support(asked)["status"].tolist() == ["withheld", "tried", "tried", "withheld"]
    with pytest.warns(ExtrapolationWarning, match=r"2 of 4 actions are withheld \(NaN\).*one-sided \(quantile skew"):
        given = skewed.predict_do(asked)
    assert np.isnan(given).tolist() == [True, False, False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = skewed.predict_do(asked, on_unsupported="ignore")
        np.testing.assert_array_equal(skewed.predict_do(asked, on_unsupported="nan"), given)
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(given[1:3], whole[1:3])


def test_curve_summary_and_picture_say_so(skewed):
    curve = skewed.do_curve([-2.0, -0.5, 0.0, 0.5, 1.3], n_bootstrap=5)
    none = curve.table["status"] == "withheld"
    assert none.tolist() == [True, False, False, False, True]
    assert curve.table.loc[none, ["estimate", "lower", "upper"]].isna().all(axis=None)
    assert curve.table.loc[~none, ["estimate", "lower", "upper"]].notna().all(axis=None)
    assert "actions withheld (NaN): 2;" in " ".join(str(curve).split())
    assert "numbers beyond the tried actions are withheld" in " ".join(str(skewed.summary()).split())
    plt = pytest.importorskip("matplotlib.pyplot", reason="pictures are drawn with it (extra plot)")
    display = DoCurveDisplay.from_result(curve).plot()
    assert "withheld" in [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert np.isfinite(display.ax_.get_ylim()).all()
    plt.close("all")


@pytest.mark.parametrize("method", ["ef", "npiv", "ef+location"])
def test_it_is_seen_whatever_the_method_makes_of_the_noise(method):
    """Without a location model the noise that is left looks Gaussian: the representation is bent until it does."""
    X, _, action = one_action("lognormal", seed=1)
    encoder = clone(FAST).set_params(method=method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        warnings.simplefilter("ignore", IdentificationWarning)
        encoder.fit(X, action=action)
    assert encoder.noise_evidence_ > 1
    assert encoder.noise_skewness_ > ONE_SIDED


@pytest.mark.parametrize("law", ["gaussian", "gumbel", "t3"])
def test_other_laws_keep_their_numbers(law):
    X, y, action = one_action(law)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        model = Rep4ExRegressor(FAST, random_state=0).fit(X, y, action=action)
        assert np.isfinite(model.predict_do([-1.3, 1.3])).all()
    assert "withheld" not in str(model.summary())


def test_a_state_that_is_given_keeps_its_numbers():
    rng = np.random.default_rng(0)
    V, action = rng.exponential(size=1500), rng.uniform(-1, 1, 1500)
    Z = 1.3 * action + V
    assert one_sidedness(V[:, None]) > ONE_SIDED
    model = Rep4ExRegressor("identity", random_state=0).fit(Z[:, None], Z + V, action=action)
    np.testing.assert_allclose(model.predict_do([1.3]), 1.3**2 + 2, atol=0.3)
