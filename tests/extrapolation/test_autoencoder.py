"""The neural encoder: the same interface where torch is installed, a clear message where it is not."""

import pickle
import subprocess
import sys
import warnings
from importlib.util import find_spec

import numpy as np
import pytest

from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import IdentificationWarning
from causalinv.extrapolation import AutoencoderMMREncoder, LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.metrics import affine_r2

HAS_TORCH = find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is an optional extra")


@pytest.mark.skipif(HAS_TORCH, reason="torch is installed")
def test_without_torch_the_message_names_the_extra():
    data = make_extrapolation_data(100, random_state=0)
    with pytest.raises(ImportError, match=r'needs torch: python -m pip install "causalinv\[torch\]"'):
        AutoencoderMMREncoder().fit(data.X, action=data.action)


def test_importing_and_fitting_other_encoders_loads_no_torch():
    code = (
        "import sys; from causalinv.extrapolation import LinearInvarianceEncoder, AutoencoderMMREncoder\n"
        "from causalinv.datasets import make_extrapolation_data\n"
        "d = make_extrapolation_data(100, random_state=0)\n"
        "LinearInvarianceEncoder(method='ef').fit(d.X, action=d.action)\n"
        "AutoencoderMMREncoder(); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@needs_torch
def test_the_state_is_found_and_using_it_needs_no_torch():
    data = make_extrapolation_data(2500, n_latent=1, random_state=2)
    encoder = AutoencoderMMREncoder(n_steps=600, random_state=0).fit(data.X[:1500], action=data.action[:1500])
    phi = encoder.transform(data.X[1500:])
    assert affine_r2(data.Z[1500:], phi) > 0.9
    assert encoder.loss_[-1] < 0.2 * encoder.loss_[0]
    assert encoder.score(data.X[1500:], action=data.action[1500:]) > 0.1
    assert encoder.linearity_test(data.X[1500:], action=data.action[1500:], n_resamples=19).pvalue > 0
    short, again = (
        AutoencoderMMREncoder(n_steps=40, random_state=0).fit(data.X[:1500], action=data.action[:1500])
        for _ in range(2)
    )
    np.testing.assert_array_equal(again.transform(data.X[1500:]), short.transform(data.X[1500:]))
    import torch

    blocked = pickle.dumps(encoder)
    assert b"torch" not in blocked
    state = torch.random.get_rng_state()
    AutoencoderMMREncoder(n_steps=3, random_state=0).fit(data.X, action=data.action)
    assert torch.equal(state, torch.random.get_rng_state())


@needs_torch
def test_moment_restriction_is_what_makes_the_mean_linear():
    data = make_extrapolation_data(2500, n_latent=1, noise_scale=0.6, random_state=5)
    train, test = slice(0, 1500), slice(1500, None)
    plain, restricted = (
        AutoencoderMMREncoder(mmr_weight=w, n_steps=600, random_state=0).fit(data.X[train], action=data.action[train])
        for w in (0.0, 30.0)
    )
    curved, straight = (
        e.linearity_test(data.X[test], action=data.action[test], n_resamples=19).statistic for e in (plain, restricted)
    )
    assert straight < 0.2 * curved
    recovered = [affine_r2(data.Z[test], e.transform(data.X[test])) for e in (plain, restricted)]
    assert recovered[1] > recovered[0] + 0.03


@needs_torch
def test_it_can_start_from_the_convex_encoder_and_serve_the_regressor():
    data = make_extrapolation_data(1000, random_state=1)
    convex = LinearInvarianceEncoder(method="ef", n_repeats=1, bandwidths=(1.0,), random_state=0)
    encoder = AutoencoderMMREncoder(init=convex, n_steps=100, random_state=0)
    model = Rep4ExRegressor(encoder, random_state=0).fit(data.X, data.y, action=data.action)
    truth = data.truth_do([[0.5, 0.5], [-0.5, 0.5]])
    assert np.abs(model.predict_do([[0.5, 0.5], [-0.5, 0.5]]) - truth).max() < 0.3
    assert affine_r2(data.Z, model.encoder_.transform(data.X)) > 0.9


@needs_torch
def test_the_code_has_the_components_that_were_asked_for_or_says_so():
    data = make_extrapolation_data(300, random_state=0)
    two = LinearInvarianceEncoder(2, method="ef", random_state=0)
    with pytest.raises(ValueError, match=r"n_components=1, but init has 2 component"):
        AutoencoderMMREncoder(1, init=two, n_steps=1).fit(data.X, action=data.action)
    bent = LinearInvarianceEncoder(action_transform=np.tanh)
    with pytest.raises(ValueError, match=r"on AutoencoderMMREncoder and not on its init.*twice"):
        AutoencoderMMREncoder(init=bent, n_steps=1).fit(data.X, action=data.action)
    with pytest.raises(TypeError, match=r"hidden must be a tuple of sizes.*got 5"):
        AutoencoderMMREncoder(hidden=5).fit(data.X, action=data.action)
    with pytest.raises(ValueError, match=r"device must be one that torch has here.*'no such'"):
        AutoencoderMMREncoder(device="no such").fit(data.X, action=data.action)


@needs_torch
def test_a_lost_direction_is_trained_again_and_said():
    data = make_extrapolation_data(1000, mixing="linear", random_state=0)
    with pytest.warns(IdentificationWarning, match=r"has lost something.*best of 3 trainings"):
        AutoencoderMMREncoder(hidden=(1,), n_steps=2, random_state=0).fit(data.X, action=data.action)
    with warnings.catch_warnings():
        warnings.simplefilter("error", IdentificationWarning)
        fitted = AutoencoderMMREncoder(n_steps=500, random_state=0).fit(data.X, action=data.action)
    assert np.linalg.svd(fitted.W_, compute_uv=False)[1] > 0.7  # M has 1.33 and 1.21, V standard deviation 1
