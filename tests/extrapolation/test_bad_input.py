"""Mistakes that a user of the extrapolation room can make: what is raised, and what the message names."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from causalinv.datasets import load_moving_digits, make_extrapolation_data
from causalinv.exceptions import DegenerateInputWarning
from causalinv.extrapolation import (
    AutoencoderMMREncoder,
    LinearInvarianceEncoder,
    Rep4ExRegressor,
    conditional_score,
    linear_invariance_test,
)
from causalinv.metrics import affine_r2

# Of few rows the number of directions is undecided, which is said (test_dimension.py) and not the matter here.
pytestmark = pytest.mark.filterwarnings("ignore::causalinv.exceptions.IdentificationWarning")

DATA = make_extrapolation_data(80, random_state=0)
X, Y, A = DATA.X, DATA.y, DATA.action
NAN = A.copy()
NAN[7, 1] = np.nan
MODEL = Rep4ExRegressor("identity", random_state=0).fit(DATA.Z, Y, action=A)
FRAMED = Rep4ExRegressor("identity", random_state=0).fit(DATA.Z, Y, action=pd.DataFrame(A, columns=["dose", "heat"]))


def encode(action=A, X=X, **kwargs):
    return LinearInvarianceEncoder(**({"method": "ef", "random_state": 0} | kwargs)).fit(X, action=action)


def regress(action=A, X=X, y=Y, encoder="identity", **kwargs):
    return Rep4ExRegressor(encoder, random_state=0, **kwargs).fit(X, y, action=action)


class Flat:
    def fit(self, X):
        return self

    def transform(self, X):
        return X[:, 0]


class Broken(Flat):
    def transform(self, X):
        return np.full((len(X), 1), np.nan)


MISTAKES = [
    # actions that nobody can answer
    (lambda: MODEL.predict_do([[0.0, 0.0], [1e200, 0.0]]), ValueError, "actions holds 1 of 2 rows that lie more than"),
    (lambda: MODEL.do_curve([[0.0, -1e308]]), ValueError, "half ranges of the tried actions away"),
    (lambda: MODEL.support([[2e9, 0.0]]), ValueError, "the first in row 0: check their units"),
    # the action
    (lambda: encode(None), ValueError, "LinearInvarianceEncoder needs action=, the randomised variable"),
    (lambda: regress(None), ValueError, "Rep4ExRegressor needs action="),
    (lambda: AutoencoderMMREncoder().fit(X), ValueError, "AutoencoderMMREncoder needs action="),
    (lambda: encode(NAN), ValueError, "Input action contains NaN: 1 of 160 entries are not finite, the first in row 7"),
    (lambda: encode(np.where(np.isnan(NAN), np.inf, A)), ValueError, "Input action contains infinity"),
    (lambda: encode(A[:-1]), ValueError, "inconsistent numbers of samples: X has 80, action has 79"),
    (lambda: encode(A * [1, 0] + [0, 3]), ValueError, "action is constant in column [1]"),
    (
        lambda: encode(pd.DataFrame({"dose": A[:, 0], "heat": 4.0})),
        ValueError,
        "action is constant in column ['heat']",
    ),
    (
        lambda: encode(np.column_stack([A[:, 0], 2 * A[:, 0] + 1])),
        ValueError,
        "action columns [1] are linear combinations",
    ),
    (lambda: encode(A[:59], X[:59]), ValueError, "Found 59 rows (n_samples=59) while a minimum of 60 is required"),
    (lambda: encode(np.empty((80, 0))), ValueError, "action has 0 columns"),
    (lambda: regress(np.empty((80, 0))), ValueError, "action has 0 columns"),
    (lambda: linear_invariance_test(DATA.Z, np.empty((80, 0))), ValueError, "action has 0 columns"),
    (lambda: linear_invariance_test(np.empty((80, 0)), A), ValueError, "phi has 0 columns"),
    (lambda: conditional_score(DATA.Z, np.empty((80, 0))), ValueError, "action has 0 columns"),
    (lambda: linear_invariance_test(DATA.Z, np.full(80, 0.3)), ValueError, "action is constant"),
    (lambda: conditional_score(DATA.Z, np.full(80, 0.3)), ValueError, "action is constant"),
    (lambda: affine_r2(np.empty((5, 0)), np.ones((5, 2))), ValueError, "Z has 0 columns"),
    (lambda: affine_r2(np.eye(5), np.empty((5, 0))), ValueError, "phi has 0 columns"),
    (lambda: encode(np.where(A > 0, "high", "low")), ValueError, "action holds text"),
    (lambda: encode(np.ones((80, 1, 1))), ValueError, "action must have shape (n,) or (n, k), got shape (80, 1, 1)"),
    (lambda: encode(action_transform="square"), TypeError, "action_transform must be a function"),
    (lambda: encode(action_transform=lambda a: a[:5]), ValueError, "action_transform must return one row per action"),
    (lambda: encode(action_transform=lambda a: a / 0 * 0), ValueError, "Input action_transform(action) contains NaN"),
    # the other inputs
    (lambda: encode(X=np.where(X[3, 2] == X, np.nan, X)), ValueError, "Input X contains NaN"),
    (lambda: regress(y=np.where(Y[5] == Y, np.nan, Y)), ValueError, "Input y contains NaN"),
    (lambda: regress(y=np.column_stack([Y, Y])), ValueError, "y must be a single outcome, got shape (80, 2)"),
    (lambda: regress(y=None), ValueError, "requires y to be passed"),
    (lambda: regress(y=Y[:-1]), ValueError, "inconsistent numbers of samples: X has 80, y has 79"),
    (lambda: encode(X=csr_array(X)), TypeError, "Sparse data was passed"),
    (
        lambda: encode(pd.DataFrame(A).sample(frac=1, random_state=0), pd.DataFrame(X)),
        ValueError,
        "index of action differs from the index of X",
    ),
    (
        lambda: Rep4ExRegressor("identity").fit(X, Y, action=A, sample_weight=np.ones(80)),
        TypeError,
        "unexpected keyword argument 'sample_weight'",
    ),
    # choices
    (lambda: encode(n_components=3), ValueError, "n_components=3 is more than the 2 columns of the action"),
    (lambda: encode(n_components="all"), ValueError, "n_components must be a whole number or 'auto', got 'all'"),
    (lambda: encode(n_components=0), ValueError, "n_components must be a whole number >= 1"),
    (
        lambda: encode(method="pca"),
        ValueError,
        "method must be one of ('auto', 'ef', 'ef+npiv', 'ef+location', 'npiv', 'npiv+location'), got 'pca'",
    ),
    (lambda: encode(bandwidths=()), ValueError, "bandwidths must be a tuple of positive numbers"),
    (lambda: encode(bandwidths=(0.0,)), ValueError, "bandwidths must be a number > 0"),
    (lambda: encode(n_landmarks=1), ValueError, "n_landmarks must be a whole number >= 2"),
    (lambda: encode(n_repeats=0), ValueError, "n_repeats must be a whole number >= 1"),
    (lambda: encode(n_references=5), ValueError, "n_references must be a whole number >= 10"),
    (lambda: encode(ridge=0.0), ValueError, "ridge must be a number > 0"),
    (lambda: AutoencoderMMREncoder(n_steps=0).fit(X, action=A), ValueError, "n_steps must be a whole number >= 1"),
    (lambda: AutoencoderMMREncoder(hidden=(0,)).fit(X, action=A), ValueError, "hidden must be a whole number >= 1"),
    (lambda: AutoencoderMMREncoder(mmr_weight=-1).fit(X, action=A), ValueError, "mmr_weight must be a number >= 0"),
    (lambda: AutoencoderMMREncoder("all").fit(X, action=A), ValueError, "n_components must be a whole number or"),
    (lambda: regress(encoder="pca"), ValueError, "encoder must be None, 'identity' or a transformer, got 'pca'"),
    (lambda: regress(encoder=PCA), TypeError, "encoder must have fit and transform"),
    (lambda: regress(encoder=3), TypeError, "encoder must have fit and transform, got 3"),
    (lambda: regress(encoder=Flat()), ValueError, "encoder.transform must return an array of shape (80, d)"),
    (lambda: regress(encoder=Broken()), ValueError, "Input encoder.transform(X) contains NaN"),
    (lambda: regress(response="boosting"), ValueError, "response must be one of ('auto', 'smooth', 'quadratic')"),
    (lambda: regress(calibration=-1.0), ValueError, "calibration must be a number >= 0"),
    (lambda: regress(calibration="auto"), TypeError, "calibration must be a real number"),
    # questions
    (lambda: MODEL.predict_do([0.5, 0.5]), ValueError, "actions must have shape (m, 2), one row per action"),
    (lambda: MODEL.predict_do([[0.5]]), ValueError, "actions must have 2 columns, as in fit, got shape (1, 1)"),
    (lambda: MODEL.predict_do([[np.nan, 0.0]]), ValueError, "Input actions contains NaN"),
    (lambda: MODEL.predict_do([["a", "b"]]), ValueError, "actions holds text"),
    (lambda: MODEL.predict_do(A[:1], on_unsupported="drop"), ValueError, "on_unsupported must be one of"),
    (lambda: FRAMED.predict_do(pd.DataFrame({"dose": [1.0], "cold": [1.0]})), ValueError, "unknown ['cold']"),
    (lambda: MODEL.predict(DATA.Z), ValueError, "predict needs action="),
    (lambda: MODEL.predict(DATA.Z, action=A[:4]), ValueError, "inconsistent numbers of samples"),
    (lambda: MODEL.score(DATA.Z, Y), ValueError, "score needs action="),
    (lambda: MODEL.do_curve(A[:1], confidence_level=1.5), ValueError, "confidence_level must be a number"),
    (lambda: MODEL.do_curve(A[:1], confidence_level=1.0), ValueError, "confidence_level must be a number > 0 and < 1"),
    (lambda: MODEL.do_curve(A[:1], confidence_level=0.0), ValueError, "confidence_level must be a number > 0 and < 1"),
    (lambda: MODEL.do_curve(A[:1], n_bootstrap=1), ValueError, "n_bootstrap must be a whole number >= 2"),
    (lambda: MODEL.shell_score(1.0), ValueError, "factor must be a number > 1"),
    (lambda: encode().score(X), ValueError, "score needs action="),
    (lambda: linear_invariance_test(DATA.Z, A, n_resamples=0), ValueError, "n_resamples must be a whole number >= 1"),
    (lambda: linear_invariance_test(DATA.Z, A[:5]), ValueError, "phi has 80, action has 5"),
    (lambda: conditional_score(DATA.Z, A, train=np.ones(80, bool)), ValueError, "train must mark some but not all"),
    (lambda: conditional_score(np.ones((80, 2)), A), ValueError, "phi is constant in the rows that train"),
    (lambda: conditional_score(DATA.Z, A, train=np.arange(80) < 3), ValueError, "3 rows train, at least"),
    (lambda: Rep4ExRegressor("identity").fit(np.ones((80, 2)), DATA.y, action=A), ValueError, "X does not vary"),
    (lambda: affine_r2(np.ones((5, 2)), np.ones((5, 2))), ValueError, "Z is constant in column 0"),
    (lambda: affine_r2(np.ones((5, 2)), np.ones((4, 2))), ValueError, "Z has 5, phi has 4"),
    # data
    (lambda: make_extrapolation_data(-1), ValueError, "n_samples must be a whole number >= 0"),
    (lambda: make_extrapolation_data(9, n_features=1), ValueError, "n_features must be a whole number >= 2"),
    (lambda: make_extrapolation_data(9, noise="cauchy"), ValueError, "noise must be one of"),
    (lambda: make_extrapolation_data(9, mixing="mlp"), ValueError, "mixing must be one of"),
    (lambda: make_extrapolation_data(9, outcome="sine"), ValueError, "outcome must be one of"),
    (lambda: make_extrapolation_data(9, noise_scale=0.0), ValueError, "noise_scale must be a number > 0"),
    (lambda: load_moving_digits(digit=10), ValueError, "digit must be one of 0 to 9"),
]


@pytest.mark.parametrize(("mistake", "error", "message"), MISTAKES, ids=[m[2][:60] for m in MISTAKES])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_mistake_is_named(mistake, error, message):
    with pytest.raises(error, match=re.escape(message)):
        mistake()


def test_few_different_actions_warn():
    rng = np.random.default_rng(0)
    action = rng.integers(0, 3, 100).astype(float)
    Z = action + rng.normal(size=100)
    with pytest.warns(
        DegenerateInputWarning, match=r"action takes 3 different values.*do not say what happens between"
    ):
        model = regress(action, Z[:, None], Z)
    assert np.isfinite(model.predict_do([0.0, 2.0])).all()


def test_wide_x_warns_before_it_fits_noise():
    with pytest.warns(DegenerateInputWarning, match=r"X has 9 columns for 80 rows.*PCA"):
        encode(X=np.hstack([X, X, X[:, :1]]))


def test_constant_outcome_and_duplicated_columns_are_legal():
    with pytest.warns(DegenerateInputWarning, match="y is constant"):
        model = regress(y=np.full(80, 3.0), X=DATA.Z)
    np.testing.assert_allclose(model.predict_do([[0.0, 0.0], [1.5, 0.0]]), 3.0, rtol=1e-9)
    doubled = encode(X=np.hstack([X, X[:, :1], np.full((80, 1), 7.0)]))
    assert np.isfinite(doubled.transform(np.hstack([X, X[:, :1], np.full((80, 1), 7.0)]))).all()


def test_one_dimensional_action_is_one_column():
    single = regress(A[:, 0], DATA.Z[:, :1])
    np.testing.assert_array_equal(single.predict_do([0.5, 1.0]), single.predict_do([[0.5], [1.0]]))
    assert single.predict_do(0.5).shape == (1,)


def test_a_fit_that_fails_leaves_an_unfitted_object():
    model = Rep4ExRegressor("identity", random_state=0).fit(DATA.Z, Y, action=A)
    encoder = encode()
    for fitted in (model, encoder):
        with pytest.raises(ValueError, match="action is constant"):
            fitted.fit(DATA.Z, Y, action=A * [1, 0])
    with pytest.raises(NotFittedError):
        model.predict_do(A[:2])
    with pytest.raises(NotFittedError):
        encoder.transform(DATA.Z)
    broken = AutoencoderMMREncoder(mmr_weight=-1)
    with pytest.raises(ValueError, match="mmr_weight"):
        broken.fit(X, action=A)
    with pytest.raises(NotFittedError):
        broken.transform(X)


def test_far_actions_are_answered_up_to_the_documented_limit():
    assert np.isfinite(MODEL.predict_do([[0.9e9, 0.0]], on_unsupported="ignore")).all()
