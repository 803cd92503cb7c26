"""Encoders against closed forms, other formulations of the same estimator, and known states."""

import warnings

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.linalg import eigh, subspace_angles
from scipy.optimize import check_grad
from sklearn.decomposition import PCA

from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import CausalInvWarning, ExtrapolationWarning, IdentificationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor, conditional_score
from causalinv.extrapolation._exponential_family import (
    fit_exponential_family,
    matched_references,
    objective,
    quadratic_terms,
)
from causalinv.extrapolation._features import RadialFeatures, moment_features, standardizer, whitening
from causalinv.extrapolation._instrumental import Instrumental
from causalinv.extrapolation._representation import METHODS
from causalinv.metrics import affine_r2

# Of few rows the number of directions is undecided, which is said (test_dimension.py) and not the matter here.
pytestmark = pytest.mark.filterwarnings("ignore::causalinv.exceptions.IdentificationWarning")


def linear_gaussian(n=5000, d=2, seed=3):
    """Linear X: eta and Q are known exactly. Actions in the units in which the encoder works."""
    data = make_extrapolation_data(n, n_latent=d, mixing="linear", noise_scale=0.8, random_state=seed)
    units = standardizer(data.action)
    M = data.M @ np.linalg.inv(units.matrix)  # effect of a standardised action
    precision = np.eye(d) / 0.8**2
    return data, units(data.action), data.Z @ precision @ M, M.T @ precision @ M


def relative(found, truth):
    return np.linalg.norm(found - truth) / np.linalg.norm(truth)


def centred_error(found, truth):
    left = (found - found.mean(axis=0)) - (truth - truth.mean(axis=0))
    return np.sqrt(np.mean(left**2) / np.mean((truth - truth.mean(axis=0)) ** 2))


def residual_law(eta, A):
    slope = np.linalg.lstsq(A, eta - eta.mean(axis=0), rcond=None)[0].T
    left = eta - eta.mean(axis=0) - A @ slope.T
    return slope, left.T @ left / len(A)


def test_linear_gaussian_case_matches_the_closed_form():
    data, A, eta, Q = linear_gaussian()
    features = data.X - data.X.mean(axis=0)
    references = matched_references(A, 300, np.random.default_rng(0))
    fit = fit_exponential_family(features, A, references, np.ones(features.shape[1]), ridge=1e-6)
    slope, noise = residual_law(features @ fit.coef, A)
    assert centred_error(features @ fit.coef, eta) < 0.10
    assert relative(slope, Q) < 0.10
    assert relative(noise, Q) < 0.10
    assert relative(fit.precision, Q) < 0.15


def test_default_features_find_the_same_eta_up_to_a_constant():
    data, A, eta, Q = linear_gaussian()
    X = standardizer(data.X)(data.X)
    rng = np.random.default_rng(0)
    features = RadialFeatures.fit(X, 150, 1.0, rng)
    F = features(X) - features(X).mean(axis=0)
    fit = fit_exponential_family(F, A, matched_references(A, 300, rng), features.penalty(0.01), ridge=1e-4)
    slope, noise = residual_law(F @ fit.coef, A)
    assert centred_error(F @ fit.coef, eta) < 0.15
    for found in (slope, noise, fit.precision):
        assert relative(found, Q) < 0.15


def test_matched_references_have_the_moments_of_the_sample():
    A = np.random.default_rng(0).uniform(-1, 1, (2000, 3)) @ [[1, 0, 0], [0.5, 1, 0], [0, 0, 3]]
    rows = matched_references(A, 100, np.random.default_rng(1))
    assert rows.shape == (100, 3)
    np.testing.assert_allclose(rows.mean(axis=0), A.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.cov(A.T, bias=True), rtol=1e-10, atol=1e-12)


def small_problem():
    rng = np.random.default_rng(2)
    A = rng.uniform(-1.5, 1.5, (80, 2))
    F = np.column_stack([A + rng.normal(size=(80, 2)), rng.normal(size=(80, 2))])
    S = rng.normal(size=(4, 4))
    return F, A, A[:30], 0.1 * S @ S.T


def test_gradient_of_the_likelihood():
    problem = small_problem()
    for seed in range(5):
        at = 0.5 * np.random.default_rng(seed).normal(size=4 * 2 + 3 + 2)
        error = check_grad(lambda p: objective(p, *problem)[0], lambda p: objective(p, *problem)[1], at, epsilon=1e-6)
        assert error < 1e-5 * np.linalg.norm(objective(at, *problem)[1])


def test_likelihood_is_the_definition_written_out():
    F, A, R, curvature = small_problem()
    rng = np.random.default_rng(7)
    coef, Q, q = rng.normal(size=(4, 2)), rng.normal(size=(2, 2)), rng.normal(size=2)
    Q = Q + Q.T
    eta = F @ coef
    log_density = lambda e, a: e @ a - a @ Q @ a / 2 + q @ a  # noqa: E731
    rows = [
        log_density(eta[i], A[i]) - np.log(np.mean([np.exp(log_density(eta[i], r)) for r in R])) for i in range(len(A))
    ]
    expected = -np.mean(rows) + 0.5 * np.trace(coef.T @ curvature @ coef)
    params = np.r_[coef.ravel(), Q[np.triu_indices(2)], q]
    assert objective(params, F, A, R, curvature)[0] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(quadratic_terms(A) @ params[8:], [log_density(np.zeros(2), a) for a in A], rtol=1e-12)


def test_likelihood_is_convex_so_the_start_does_not_matter():
    data = make_extrapolation_data(1500, random_state=5)
    X, A = standardizer(data.X)(data.X), standardizer(data.action)(data.action)
    rng = np.random.default_rng(0)
    features = RadialFeatures.fit(X, 80, 1.0, rng)
    F = features(X) - features(X).mean(axis=0)
    references = matched_references(A, 300, rng)
    first = fit_exponential_family(F, A, references, features.penalty(0.01), ridge=1e-3, max_iter=300)
    start = type(first)(0.3 * rng.normal(size=first.coef.shape), np.eye(2), np.zeros(2), 0, True)
    second = fit_exponential_family(F, A, references, features.penalty(0.01), ridge=1e-3, start=start, max_iter=300)
    assert second.n_iter > 3
    assert centred_error(F @ second.coef, F @ first.coef) < 2e-2
    problem = small_problem()
    for _ in range(20):
        a, b = rng.normal(size=(2, 13))
        middle = objective((a + b) / 2, *problem)[0]
        assert middle <= (objective(a, *problem)[0] + objective(b, *problem)[0]) / 2


def test_instrumental_form_is_the_rayleigh_quotient_for_as_many_actions_as_states():
    """Least nonlinear energy relative to linear energy: another estimator on paper, the same span."""
    data = make_extrapolation_data(800, random_state=1)
    X, A = standardizer(data.X)(data.X), standardizer(data.action)(data.action)
    features = RadialFeatures.fit(X, 40, 1.0, np.random.default_rng(0))
    F = features(X) - features(X).mean(axis=0)
    moments = moment_features(A, 4)
    coef, _ = Instrumental.of(F, A, moments).solve(features.penalty(0.01), ridge=1e-3, variance_ridge=0.02)
    G = moments.T @ F / len(F)
    linear = np.linalg.qr(moments.T @ A)[0]  # linear functions of the action among the moments
    own = linear @ (linear.T @ G)
    penalty = 1e-3 * np.diag(features.penalty(0.01)) + 0.02 * F.T @ F / len(F)
    rest = (G - own).T @ (G - own) + penalty
    _, vectors = eigh(own.T @ own, rest)
    assert np.degrees(subspace_angles(coef, vectors[:, -2:])).max() < 1e-3


def test_moment_features_are_orthonormal_functions_of_the_action():
    A = np.random.default_rng(0).uniform(2, 5, (400, 2))
    moments = moment_features(A, 4)
    assert moments.shape == (400, 14)
    np.testing.assert_allclose(moments.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(moments.T @ moments / 400, np.eye(14), atol=1e-9)
    quartic = A[:, 0] ** 3 * A[:, 1]
    quartic = quartic - quartic.mean()
    np.testing.assert_allclose(moments @ (moments.T @ quartic) / 400, quartic, atol=1e-8)
    assert moment_features(A, 4, max_columns=6).shape[1] == 5
    assert moment_features(np.tile([[0.0], [1.0]], (50, 1)), 4).shape[1] == 1


def test_whitening_commutes_with_rotations():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3))
    H = rng.normal(size=(3, 3))
    first, second = whitening(rows)(rows), whitening(rows @ H + 5)(rows @ H + 5)
    np.testing.assert_allclose(np.cov(first.T, bias=True), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(first @ first.T, second @ second.T, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_state_is_found_up_to_an_affine_map(method):
    data = make_extrapolation_data(2500, random_state=21)
    encoder = LinearInvarianceEncoder(method=method, random_state=0).fit(data.X[:1500], action=data.action[:1500])
    phi = encoder.transform(data.X[1500:])
    assert affine_r2(data.Z[1500:], phi) > 0.95
    assert affine_r2(data.Z[1500:], phi) > affine_r2(data.Z[1500:], PCA(2).fit_transform(data.X[1500:])) + 0.01
    residual = encoder.transform(data.X[:1500]) - data.action[:1500] @ encoder.W_.T - encoder.intercept_
    np.testing.assert_allclose(np.cov(residual.T, bias=True), np.eye(2), atol=1e-6)
    np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-9)


def test_actions_that_move_part_of_the_state_are_flagged():
    whole = make_extrapolation_data(1500, n_latent=2, random_state=1)
    part = make_extrapolation_data(1500, n_latent=3, n_actions=2, random_state=1)
    fits = [LinearInvarianceEncoder(method="ef", random_state=0).fit(d.X, action=d.action) for d in (whole, part)]
    assert [fit.reduced_ for fit in fits] == [False, True]
    assert fits[0].reconstruction_ > 0.9 > fits[1].reconstruction_
    with pytest.warns(IdentificationWarning, match=r"X holds more than the representation.*method='ef\+location'"):
        LinearInvarianceEncoder(method="npiv", random_state=0).fit(part.X, action=part.action)
    chosen = LinearInvarianceEncoder(n_repeats=1, random_state=0).fit(part.X, action=part.action)
    assert chosen.method_ == "ef+location"


# A bent action looks like skew V to the encoder that is not told.
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
def test_known_nonlinear_action():
    data = make_extrapolation_data(800, n_latent=1, action_curvature=0.3, noise_scale=0.5, random_state=2)
    bend = lambda a: a + 0.3 * a**2  # noqa: E731
    known = LinearInvarianceEncoder(method="ef", action_transform=bend, random_state=0).fit(data.X, action=data.action)
    passed = LinearInvarianceEncoder(method="ef", random_state=0).fit(data.X, action=bend(data.action))
    np.testing.assert_allclose(known.transform(data.X), passed.transform(data.X))
    unknown = LinearInvarianceEncoder(method="ef", random_state=0).fit(data.X, action=data.action)
    assert known.score(data.X, action=data.action) > unknown.score(data.X, action=data.action)


def test_score_orders_representations_and_ignores_their_units():
    data = make_extrapolation_data(1500, random_state=8)
    H = np.array([[2.0, 1.0], [-1.0, 4.0]])
    state = conditional_score(data.Z, data.action, random_state=0)
    np.testing.assert_allclose(conditional_score(data.Z @ H + 7, data.action, random_state=0), state, atol=0.02)
    noisy = data.Z + 0.5 * np.random.default_rng(0).normal(size=data.Z.shape)
    nothing = np.random.default_rng(1).normal(size=data.Z.shape)
    assert state > conditional_score(noisy, data.action, random_state=0) + 0.02
    assert abs(conditional_score(nothing, data.action, random_state=0)) < 0.02


def test_score_is_the_mutual_information_of_a_gaussian_channel():
    """Z = A + V, both Gaussian: information of A and Z is log(1 + var A / var V) / 2."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=8000)
    Z = A + 0.7 * rng.normal(size=8000)
    assert conditional_score(Z, A, random_state=0) == pytest.approx(0.5 * np.log(1 + 1 / 0.49), abs=0.03)


def test_score_of_two_arms_that_stand_one_after_the_other():
    """Z = A + V, A of 0 and 1: information by quadrature. The first half of the rows was one arm, and the score 0."""
    rng = np.random.default_rng(0)
    A = np.repeat([0.0, 1.0], 4000)
    Z = A + rng.normal(size=8000)

    def mixed(z):
        return 0.5 * stats.norm.pdf(z) + 0.5 * stats.norm.pdf(z - 1)

    entropy = integrate.quad(lambda z: -mixed(z) * np.log(mixed(z)), -8, 9)[0]
    information = entropy - stats.norm.entropy()
    assert conditional_score(Z, A, random_state=0) == pytest.approx(information, abs=0.03)
    with pytest.raises(ValueError, match="action is constant in the rows that train"):
        conditional_score(Z, A, train=np.arange(8000) < 4000)


@pytest.mark.parametrize(
    ("noise", "doubtful"),
    [
        ("gaussian", False),
        ("laplace", True),
        *(pytest.param(law, True, marks=pytest.mark.slow) for law in ("mixture", "gumbel")),
    ],
)
def test_laws_of_v_that_are_not_gaussian_are_warned_about(noise, doubtful):
    data = make_extrapolation_data(2500, noise=noise, random_state=70)
    encoder = LinearInvarianceEncoder(n_repeats=1, random_state=0)
    if doubtful:
        with pytest.warns(ExtrapolationWarning, match=r"V does not look Gaussian \(evidence \d"):
            encoder.fit(data.X, action=data.action)
    else:
        encoder.fit(data.X, action=data.action)
    assert (encoder.noise_evidence_ > 1) == doubtful
    assert set(encoder.candidate_scores_) == set(METHODS)
    assert encoder.method_ == "npiv+location"


def test_default_is_sure_of_the_directions_of_the_state_only():
    for seed in range(2):
        data = make_extrapolation_data(1500, n_latent=2, n_actions=4, n_features=4, random_state=seed)
        encoder = LinearInvarianceEncoder(method="ef", n_repeats=1, bandwidths=(1.0,), random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)  # of what is kept undecided, the law may look odd
            decided = encoder.fit(data.X, action=data.action).effects_["decision"].tolist()
        assert decided[:2] == ["kept", "kept"]
        assert "kept" not in decided[2:]


def test_nothing_to_learn_is_said():
    rng = np.random.default_rng(0)
    with pytest.warns(IdentificationWarning, match="X says nothing about the action"):
        LinearInvarianceEncoder(random_state=0).fit(rng.normal(size=(800, 3)), action=rng.uniform(-1, 1, (800, 2)))
    with pytest.raises(ValueError, match="X does not vary"):
        LinearInvarianceEncoder().fit(np.full((100, 2), 0.1), action=rng.uniform(-1, 1, 100))


def test_constant_columns_are_seen_through_rounding():
    data = make_extrapolation_data(400, n_latent=1, random_state=0)
    with pytest.raises(ValueError, match=r"action is constant in column \[1\]"):
        LinearInvarianceEncoder().fit(data.X, action=np.column_stack([data.action, np.full(400, 0.1)]))
    X = np.column_stack([data.X, np.full(400, 0.1)])
    encoder = LinearInvarianceEncoder(method="npiv", random_state=0).fit(X, action=data.action)
    moved = X[:5] + np.array([0.0, 0.0, 1e-6])
    np.testing.assert_allclose(encoder.transform(moved), encoder.transform(X[:5]), atol=1e-3)


def test_moments_of_many_actions_do_not_take_for_ever():
    A = np.random.default_rng(0).uniform(-1, 1, (600, 14))
    assert moment_features(A, 5, max_columns=30).shape == (600, 14)
    assert moment_features(A, 5, max_columns=119).shape == (600, 119)  # degree 2: 14 + 105


def test_an_x_of_few_values_is_no_foreign_error_and_no_check_that_passed():
    """A column of three values and three actions of five: the location model folds, and ended in LinAlgError."""
    rng = np.random.default_rng(0)
    action = rng.integers(-2, 3, size=(82, 3)).astype(float)
    X = np.sign(np.round(0.5 * (action[:, :1] / 1.4 + rng.normal(size=(82, 1)))))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = Rep4ExRegressor(LinearInvarianceEncoder(3, random_state=0), random_state=0)
        model.fit(X, X[:, 0] + rng.normal(size=82), action=action)
    assert all(issubclass(each.category, CausalInvWarning) for each in told)
    assert np.isnan(model.encoder_.noise_evidence_)
    assert any("No law of the state's own noise" in str(each.message) for each in told)
    assert "noise_evidence nan (doubt above 1): not checked" in " ".join(str(model.summary()).split())
