"""Sensitivity to confounding, to claims that are nearly true, and the robustness value under its own name."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from causalinv import IVLikeRegression, Moments, Translation
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._sensitivity import partial_r2, robustness_value

STEP = np.array([[0.5, 1.0, 0.0], [0.0, 1.0, 2.0]])
SIGMA = np.array([[2.0, 0.5, 0.3], [0.5, 1.5, -0.4], [0.3, -0.4, 1.0]])


def population(coef, noise=1.0):
    cross = SIGMA @ coef
    joint = np.block([[SIGMA, cross[:, None]], [cross[None], np.array([[coef @ cross + noise]])]])
    return Moments({"x": 3, "y": 1}, mean=np.zeros((1, 4)), scatter=joint[None], weight=[1.0], count=[np.inf])


def test_effects_of_a_nearly_true_claim_lie_inside_and_reach_the_ends():
    """Population moments of outcomes that do react, |Γ h0| = .3: what restricted least squares misses."""
    still = np.linalg.svd(STEP)[2][2]
    rng = np.random.default_rng(0)
    worst = np.zeros(3)
    for _ in range(400):
        eta = rng.normal(size=2)
        truth = 1.5 * still + np.linalg.pinv(STEP) @ (0.3 * eta / np.linalg.norm(eta))
        model = IVLikeRegression(augmentation=Translation(STEP)).fit_moments(population(truth))
        frame = model.sensitivity(reaction=0.3)
        width = (frame["upper"] - frame["coef"]).to_numpy()
        missed = np.abs(truth - model.coef_) / width
        assert (missed <= 1 + 1e-9).all()
        worst = np.maximum(worst, missed)
    assert (worst > 0.99).all()
    both, one = model.sensitivity(0.1, reaction=0.3), model.sensitivity(0.1)
    assert (both["upper"] > one["upper"] + width - 1e-12).all()


def test_robustness_value_is_that_of_cinelli_and_hazlett():
    """Their Darfur table: t = 4.184 with 783 degrees of freedom has partial R² 2.2% and robustness value 13.9%."""
    share = 4.184**2 / (4.184**2 + 783)
    assert share == pytest.approx(0.022, abs=5e-4)
    assert robustness_value(np.array([share])) == pytest.approx(0.139, abs=5e-4)
    assert robustness_value(np.array([0.0, 1.0])) == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(
    ("multiple", "feature", "outcome", "adjusted"),
    [(1, 0.009164, 0.124641, 0.075220), (2, 0.018329, 0.249324, 0.052915), (3, 0.027493, 0.374050, 0.030396)],
)
def test_confounders_like_a_feature_are_those_that_sensemakr_publishes(multiple, feature, outcome, adjusted):
    """Darfur: harm, being female and attitude, less what villages and other covariates explain (1276 rows, rank 491).

    The data and the published bounds are those of the package PySensemakr; R's sensemakr prints the same.
    """
    cross = np.array([21.36177017, -41.72170792])
    own = np.array([[179.49549177, -16.78084565], [-16.78084565, 172.7576735]])
    scatter = np.zeros((4, 4))
    scatter[:2, :2], scatter[:2, 3], scatter[3, :2], scatter[2, 2], scatter[3, 3] = own, cross, cross, 1.0, 87.08618668
    moments = Moments(
        {"x": ["harmed", "female", "ignored"], "y": 1},
        mean=np.zeros((1, 4)),
        scatter=scatter[None],
        weight=[1276.0],
        count=[1276.0],
    )
    model = IVLikeRegression(augmentation=Translation([[0.0, 0.0, 1.0]])).fit_moments(moments)
    assert model.coef_[0] == pytest.approx(0.0973158, abs=1e-7)
    frame = model.sensitivity(0.1)
    assert frame.loc["harmed", "robustness_value"] == pytest.approx(0.13878, abs=5e-6)
    assert frame.loc["harmed", "partial_r2"] == pytest.approx(0.02187, abs=5e-6)
    found = model.confounder_like("harmed", "female", multiple=multiple)
    assert found.to_numpy() == pytest.approx([feature, outcome, adjusted], abs=6e-7)


def test_partial_r2_is_that_of_the_t_statistic_and_the_robustness_value_solves_its_equation():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 3))
    y = X @ [0.5, 0.0, 0.2] + rng.normal(size=50)
    model = IVLikeRegression(augmentation=Translation([[0.0, 1.0, 0.0]])).fit(X, y)
    frame = model.sensitivity(0.1)
    error = np.sqrt(np.diagonal(model.covariance(cov_type="classical")))[[0, 2]]
    t2 = (model.coef_[[0, 2]] / error) ** 2
    np.testing.assert_allclose(frame["partial_r2"].iloc[[0, 2]], t2 / (t2 + 47))
    value = frame["robustness_value"].iloc[[0, 2]].to_numpy()
    bias = error * np.sqrt(47) * np.sqrt(value * value / (1 - value))  # of a confounder that explains both alike
    np.testing.assert_allclose(bias, np.abs(model.coef_[[0, 2]]))


def test_fits_that_interpolate_are_refused_and_bad_bounds_named():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(20, 25)), rng.normal(size=20)
    with pytest.warns(DegenerateInputWarning):
        model = IVLikeRegression(augmentation=Translation(np.eye(25)[:1])).fit(X, y)
    with pytest.raises(ValueError, match="sensitivity needs a residual"):
        model.sensitivity(0.5)
    few = IVLikeRegression(augmentation=Translation([[0.0, 1.0, 0.0]])).fit(X[:, :3], y)
    for kwargs, match in (({}, "Give either r2"), ({"reaction": -1}, "reaction must be"), ({"r2": 1.0}, "below 1")):
        with pytest.raises(ValueError, match=match):
            few.sensitivity(**kwargs)


def test_named_directions_after_a_scaler_warn():
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(3, 2, size=(40, 3)), columns=list("abc"))
    y = X["a"] + rng.normal(size=40)
    named = Translation(pd.DataFrame([[1.0, 2.0]], columns=["b", "c"]))
    scaled = pd.DataFrame(StandardScaler().fit_transform(X), columns=X.columns)
    with pytest.warns(DegenerateInputWarning, match="as after a scaler"):
        IVLikeRegression(augmentation=named).fit(scaled, y)
    IVLikeRegression(augmentation=named).fit(X, y)  # no warning: those are errors here
    share = partial_r2(np.array([0.0]), np.array([[1.0]]), 1.0)
    assert share.tolist() == [0.0]
