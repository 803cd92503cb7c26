"""The location model: derivatives, densities that integrate to one, and warps that only it can undo."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import erfinv
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, _candidates, _encoder, _location
from causalinv.extrapolation._features import RadialFeatures, whitening
from causalinv.extrapolation._location import LocationObjective, fit_location
from causalinv.extrapolation._mixture import NoiseLaw, residual_mixture
from causalinv.extrapolation._representation import METHODS
from causalinv.metrics import affine_r2

MIXTURE = NoiseLaw(
    np.array([0.3, 0.7]),
    np.array([[0.4, -0.2], [-0.5, 0.6]]),
    np.array([[[2.0, 0.3], [0.3, 1.0]], [[0.8, -0.2], [-0.2, 1.5]]]),
)


def line(law):
    """The first coordinate of a law in the plane, as a law on the line."""
    variances = np.array([np.linalg.inv(p)[0, 0] for p in law.precisions])
    return NoiseLaw(law.weights, law.means[:, :1], 1 / variances[:, None, None])


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    return {d: RadialFeatures.fit(rng.normal(size=(200, d)), 12, 0.7, rng) for d in (1, 2)}


def problem(features, rows, action, ridge=0.0):
    return LocationObjective(features(rows), features.derivatives(rows), action, ridge * features.penalty(0.0))


def some_params(features, d, k, size=0.02):
    params = size * np.random.default_rng(3).normal(size=(len(features.penalty(0.0)) + k + 1, d))
    params[:d] += np.eye(d)
    return params


def test_derivatives_of_the_features(features):
    rows = np.random.default_rng(1).normal(size=(5, 2))
    exact = features[2].derivatives(rows)
    step = 1e-6
    for j in range(2):
        move = step * np.eye(2)[j]
        numeric = (features[2](rows + move) - features[2](rows - move)) / (2 * step)
        np.testing.assert_allclose(exact[j], numeric, atol=1e-7)


@pytest.mark.parametrize("law", [NoiseLaw.standard(2), MIXTURE], ids=["gaussian", "mixture"])
def test_gradient_and_curvature_of_the_objective(features, law):
    rng = np.random.default_rng(2)
    rows, action = rng.normal(size=(60, 2)), rng.uniform(-1, 1, (60, 1))
    objective = problem(features[2], rows, action, ridge=0.1)
    params = some_params(features[2], 2, 1)
    shape = params.shape
    gradient, curvature = objective.derivatives(params, law)
    numeric = approx_fprime(params.ravel(), lambda p: objective.value(p.reshape(shape), law), 1e-7)
    np.testing.assert_allclose(gradient, numeric, atol=2e-6)
    if len(law.weights) == 1:
        hessian = approx_fprime(params.ravel(), lambda p: objective.derivatives(p.reshape(shape), law)[0], 1e-7)
        np.testing.assert_allclose(curvature, hessian, atol=2e-5)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("mixed", [False, True])
def test_density_of_the_representation_integrates_to_one(features, d, mixed):
    """Whatever the (one-to-one) map and the law: else it is not the density that it claims to be."""
    law = NoiseLaw.standard(d)
    if mixed:
        law = MIXTURE if d == 2 else line(MIXTURE)
    params = some_params(features[d], d, 1, 0.01)
    grid = np.linspace(-9, 9, 1201 if d == 1 else 73)
    points = np.stack(np.meshgrid(*[grid] * d, indexing="ij"), axis=-1).reshape(-1, d)
    action = np.full((1, 1), 0.4)
    total = sum(np.exp(-problem(features[d], point[None], action).value(params, law)) for point in points)
    assert total * (grid[1] - grid[0]) ** d == pytest.approx(1.0, abs=1e-3)


def test_a_map_that_folds_has_no_likelihood(features):
    rows, action = np.random.default_rng(2).normal(size=(60, 2)), np.zeros((60, 1))
    params = some_params(features[2], 2, 1)
    params[:2] = [[-1.0, 0.0], [0.0, 1.0]]
    assert problem(features[2], rows, action).value(params, NoiseLaw.standard(2)) == np.inf


def test_expectation_and_maximisation_raises_the_likelihood():
    residual = np.random.default_rng(5).laplace(size=(400, 2))
    law = MIXTURE
    reached = [law.terms(residual)[0].mean()]
    for _ in range(10):
        law = NoiseLaw.of_shares(residual, law.terms(residual)[1])
        reached.append(law.terms(residual)[0].mean())
    assert (np.diff(reached) > -1e-4).all()  # the floor under variances costs a little
    assert reached[-1] > reached[0]


@pytest.mark.parametrize("d", [1, 2])
def test_density_and_criterion_of_a_mixture_are_those_of_scikit_learn(d):
    rng = np.random.default_rng(4)
    residual = np.concatenate([rng.normal(size=(300, d)), 0.3 * rng.normal(size=(200, d)) + 2.0])
    peers = [GaussianMixture(size, random_state=0).fit(residual) for size in (1, 3)]
    laws = [NoiseLaw(peer.weights_, peer.means_, peer.precisions_) for peer in peers]
    np.testing.assert_allclose(laws[1].terms(residual)[0], peers[1].score_samples(residual), rtol=1e-9)
    np.testing.assert_allclose(laws[1].terms(residual)[1], peers[1].predict_proba(residual), atol=1e-9)
    ours, theirs = ([each.bic(residual) for each in made] for made in (laws, peers))
    assert 2 * (ours[1] - ours[0]) == pytest.approx(theirs[1] - theirs[0], abs=1e-6)
    fitted = NoiseLaw.fit(residual, 3, 0)
    assert fitted.terms(residual)[0].mean() > peers[1].score(residual) - 0.02  # its last turn gains less than .001


def test_a_size_is_chosen_by_the_criterion_and_by_the_rows_there_are():
    rng = np.random.default_rng(6)
    gaussian, two_heaps = rng.normal(size=(400, 1)), rng.choice([-3.0, 3.0], (400, 1)) + rng.normal(size=(400, 1))
    assert residual_mixture(gaussian, rng).n_components == 1
    assert residual_mixture(two_heaps, rng).n_components == 3
    assert residual_mixture(two_heaps[:25], rng, (3, 4)).n_components == 1


def laplace(n, rng):
    return rng.laplace(size=n) / np.sqrt(2)


def normal(n, rng):
    return np.sqrt(2) * erfinv(rng.uniform(-1, 1, n))


@pytest.mark.parametrize(("draw", "gaussian"), [(normal, True), (laplace, False)])
def test_a_warp_is_undone_up_to_its_tails(draw, gaussian):
    rng = np.random.default_rng(7)
    action = rng.uniform(-1, 1, (3000, 1))
    Z = 1.3 * action[:, 0] + draw(3000, rng)
    warped = (Z + 0.4 * np.sin(1.5 * Z))[:, None]
    rows = whitening(warped)(warped)
    features = RadialFeatures.fit(rows, 60, 0.7, rng)
    fit = fit_location(features, rows, action, ridge=10 / 3000, rng=rng)
    straight = (features(rows) - fit.centre) @ fit.coef
    assert (fit.evidence < 1) == gaussian
    assert (len(fit.law.weights) == 1) == gaussian
    far = np.abs(Z) > np.quantile(np.abs(Z), 0.95)

    def error(phi, where):
        design = np.column_stack([np.ones(3000), phi])
        return np.sqrt(np.mean((design @ np.linalg.lstsq(design, Z, rcond=None)[0] - Z)[where] ** 2))

    assert error(straight, ~far) < 0.5 * error(warped, ~far)
    assert error(straight, far) < 0.5 * error(warped, far)


@pytest.mark.filterwarnings("ignore:X holds more than the representation")
@pytest.mark.parametrize(
    "noise", ["gaussian", *(pytest.param(each, marks=pytest.mark.slow) for each in ("mixture", "laplace"))]
)
def test_it_betters_what_it_starts_from(noise):
    data = make_extrapolation_data(2500, noise=noise, random_state=33)
    train, rest = slice(0, 1500), slice(1500, None)
    found = {}
    for method in METHODS if noise == "gaussian" else ("npiv", "npiv+location"):
        encoder = LinearInvarianceEncoder(2, method=method, random_state=0)
        if noise == "gaussian":
            encoder.fit(data.X[train], action=data.action[train])
        else:
            with pytest.warns(ExtrapolationWarning, match="V does not look Gaussian"):
                encoder.fit(data.X[train], action=data.action[train])
        found[method] = affine_r2(data.Z[rest], encoder.transform(data.X[rest]))
    assert 1 - found["npiv+location"] < 0.6 * (1 - found["npiv"])
    if noise == "gaussian":  # elsewhere it starts from a representation that is far off
        assert 1 - found["ef+location"] < 0.8 * (1 - found["ef"])


def test_the_objective_of_some_rows_weighs_the_penalty_as_that_of_a_prior(features):
    rng = np.random.default_rng(4)
    rows, action = rng.normal(size=(60, 2)), rng.uniform(-1, 1, (60, 1))
    params, law = some_params(features[2], 2, 1), NoiseLaw.standard(2)
    whole, free = (problem(features[2], rows, action, ridge) for ridge in (0.1, 0.0))
    halves = [np.arange(30), np.arange(30, 60)]
    mean = np.mean([free.part(half).value(params, law) for half in halves])
    assert mean == pytest.approx(free.value(params, law))
    penalty = whole.value(params, law) - free.value(params, law)
    part = whole.part(halves[0]).value(params, law) - free.part(halves[0]).value(params, law)
    assert part == pytest.approx(2 * penalty)


@pytest.mark.parametrize("heavy", [False, True])
def test_a_search_that_starts_on_fewer_rows_ends_where_the_whole_one_does(heavy, monkeypatch):
    rng = np.random.default_rng(5)
    V = rng.laplace(scale=np.sqrt(0.5), size=(4000, 1)) if heavy else rng.normal(size=(4000, 1))
    action = rng.uniform(-1, 1, (4000, 1))
    state = np.arcsinh(1.3 * action + V)
    rows = whitening(state)(state)
    basis = RadialFeatures.fit(rows, 30, 0.7, np.random.default_rng(6))

    def fit():
        made = fit_location(basis, rows, action, ridge=0.0025, rng=np.random.default_rng(7))
        return (basis(rows) - made.centre) @ made.coef, made

    straight, whole = fit()
    monkeypatch.setattr(_location, "_SEARCH_ROWS", 2000)
    quick, short = fit()
    assert affine_r2(straight, quick) > 0.9999
    assert (whole.evidence > 1, short.evidence > 1) == (heavy, heavy)


def test_methods_of_many_rows_are_compared_on_some(monkeypatch):
    data = make_extrapolation_data(600, n_latent=1, random_state=0)
    seen = []
    compare = _candidates.Candidates.compare
    monkeypatch.setattr(_encoder, "MOST_ROWS", 200)

    def watched(judge, rows, *rest):
        seen.append((len(rows), len(judge.action)))
        return compare(judge, rows, *rest)

    monkeypatch.setattr(_encoder.Candidates, "compare", watched)
    encoder = LinearInvarianceEncoder(n_repeats=1, bandwidths=(1.0,), random_state=0).fit(data.X, action=data.action)
    assert seen == [(200, 150)]
    assert set(encoder.candidate_scores_) == set(METHODS)


@pytest.mark.parametrize(("noise", "errors", "chosen"), [(0.55, (1.5, 2.5), False), (0.45, (3.5, 30.0), True)])
def test_another_method_must_be_better_by_three_standard_errors(noise, errors, chosen):
    """Phi = A + noise, all Gaussian, so that gains of rows are known: so many errors of their mean above 0."""
    rng = np.random.default_rng(2)
    action = rng.normal(size=2000)
    first, second = (action + size * rng.normal(size=2000) for size in (0.6, noise))
    found = {method: first for method in METHODS} | {"ef+location": second}
    made = {method: SimpleNamespace(phi=phi[:, None], precision_gap=None) for method, phi in found.items()}

    class Representation(SimpleNamespace):
        def __call__(self, rows):
            return self.phi

    learner = SimpleNamespace(learn=lambda method, d: Representation(**vars(made[method])))
    got = _candidates.Candidates.compare(learner, action[:, None], action[:, None], 1, 0)
    out = np.arange(2000) % 4 == 3
    scores = [
        norm.logpdf(phi - action, scale=size) - norm.logpdf(phi, scale=np.sqrt(1 + size**2))
        for phi, size in ((first, 0.6), (second, noise))
    ]
    gain = (scores[1] - scores[0])[out]
    assert errors[0] < gain.mean() / (gain.std() / np.sqrt(500)) < errors[1]
    assert got.scores["ef+location"] - got.scores["npiv+location"] == pytest.approx(gain.mean(), abs=0.03)
    assert got.best == ("ef+location" if chosen else "npiv+location")
