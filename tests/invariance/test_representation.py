"""Neutral rules have the same risk wherever the same sites move; descent never ends above the best subset."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import approx_fprime

from causalinv import Moments
from causalinv.datasets import make_invariance_environments
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.invariance import InvariantRepresentation, SubsetStatistics, invariance_gaps, sweep
from causalinv.invariance._kept import kept
from causalinv.invariance.rules._gaps import represent, rule_risks
from causalinv.invariance.rules._row_space import PENALTY, row_space_descent, trade_off
from causalinv.invariance.rules._sites import site_directions
from causalinv.sem import (
    InterventionFamily,
    LinearSEM,
    ScaleNoise,
    Shift,
    choose_sites,
    random_cyclic_sem,
    random_sem,
    textbook_sem,
)


def second_moments(moments):
    """Of (1, x) with (1, x) and with y, in each environment."""
    ones = np.ones((len(moments), 1))
    mean = np.concatenate([ones, moments.mean("x")], axis=1)
    G = mean[:, :, None] * mean[:, None, :]
    G[:, 1:, 1:] += moments.cov("x")
    c = mean * moments.mean("y")
    c[:, 1:] += moments.cov("x", "y")[:, :, 0]
    return G, c


@pytest.mark.parametrize("kind", ["variance", "shift", "random_shift"])
def test_the_neutral_rule_solves_the_constrained_programme(kind):
    """cvxpy: least pooled risk subject to equal moments of (1, x) with the residual in all environments."""
    import cvxpy as cp

    data = make_invariance_environments(1, n_features=8, n_sites=3, kind=kind, random_state=2)
    model = InvariantRepresentation().fit_moments(data.moments)
    G, c = second_moments(data.moments)
    u = cp.Variable(9)
    H, h = G.mean(axis=0), c.mean(axis=0)
    constraints = [(G[e] - H) @ u == c[e] - h for e in range(len(G))]
    problem = cp.Problem(cp.Minimize(cp.quad_form(u, cp.psd_wrap(H)) - 2 * h @ u), constraints)
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == "optimal"
    np.testing.assert_allclose(np.r_[model.intercept_, model.coef_], u.value, atol=1e-5)


@pytest.mark.parametrize("kind", ["variance", "shift", "random_shift"])
@pytest.mark.parametrize("d", [10, 20, 50])
def test_in_the_population_test_risk_equals_training_risk(kind, d):
    """Sites in the Markov blanket, so that least squares on all features is not neutral and does worse."""
    sem = random_sem(d + 1, expected_degree=3.0, random_state=d)
    sites = choose_sites(sem, 3, where="markov_blanket", random_state=0)
    family = InterventionFamily(sites, kind=kind)
    train = family.environments(sem, 6, baseline=True, random_state=0).moments()
    model = InvariantRepresentation().fit_moments(train)
    fresh = family.environments(sem, 50, random_state=1).moments()
    risk = rule_risks(fresh, model.coef_, model.intercept_)[0]
    assert np.abs(risk - model.risk_env_[0]).max() < 1e-8
    assert model.gap_ < 1e-8
    assert model.n_directions_ == 3 + (kind != "variance")
    intercept = train.pool().mean("y")[0, 0] - train.pool().mean("x")[0] @ model.least_squares_coef_
    plain = rule_risks(fresh, model.least_squares_coef_, intercept)[0]
    assert np.ptp(plain) > 1e-3 * risk[0]


def test_hidden_causes_and_cycles_are_allowed():
    rng = np.random.default_rng(0)
    for sem in (random_cyclic_sem(8, random_state=1), random_sem(10, target=0, random_state=2).marginalize([4, 7])):
        sites = rng.choice(sem.features, 2, replace=False)
        train = [None, *(Shift(int(v), std=float(s)) for v in sites for s in (1.0, 2.0))]
        model = InvariantRepresentation().fit_moments(sem.environments(train).moments())
        both = Shift(int(sites[0]), std=5.0) + Shift(int(sites[1]), std=9.0)
        fresh = sem.environments([both]).moments()
        assert rule_risks(fresh, model.coef_, model.intercept_)[0][0] == pytest.approx(model.risk_env_[0], abs=1e-8)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.IdentificationWarning")  # where the edge is crossed by chance
def test_sampling_noise_alone_makes_no_direction():
    """Equal environments, 50 data sets each of 1 and 12 features: the edge is crossed in about one of a hundred
    (binomial limit at 1e-5); a shift stands out."""
    sem = random_sem(13, random_state=0)
    quiet = sem.environments([None] * 4)
    loud = sem.environments([None, None, None, Shift(sem.features[0], std=3.0)])
    for keep in (1, 12):
        crossed, strongest = 0, 0.0
        for seed in range(50):
            X, y, e = quiet.sample(100, random_state=seed)
            model = InvariantRepresentation().fit(X[:, :keep], y, environments=e)
            crossed += model.n_directions_ > 0
            strongest = max(strongest, model.direction_strengths_[0] / model.noise_edge_)
            if not model.n_directions_:
                np.testing.assert_allclose(model.coef_, model.least_squares_coef_, rtol=1e-7)
        assert crossed <= stats.binom.isf(1e-5, 50, 0.01)
        assert strongest > 0.4  # the edge is not far off
    X, y, e = loud.sample(200, random_state=0)
    assert InvariantRepresentation().fit(X, y, environments=e).n_directions_ == 1
    forced = InvariantRepresentation(n_directions=0).fit(X, y, environments=e)
    np.testing.assert_allclose(forced.coef_, forced.least_squares_coef_, rtol=1e-7)


@pytest.mark.parametrize("law", ["exponential", "rare", "Gaussian"])
@pytest.mark.parametrize("rows", [(60,) * 20, (200, 10, 3)])
def test_sampling_noise_of_any_rows_makes_no_direction(law, rows):
    """By the noise of Gaussian rows exponential ones had directions in all of these data sets of equal environments."""
    rng, e, crossed = np.random.default_rng(0), np.repeat(np.arange(len(rows)), rows), 0
    draw = {
        "exponential": lambda size: rng.exponential(size=size),
        "rare": lambda size: (rng.random(size) < 0.1) * 1.0,
        "Gaussian": lambda size: rng.normal(size=size),
    }[law]
    for _ in range(25):
        Z = draw((len(e), 4))
        Z[:, 1:] += Z[:, :1]
        moments = Moments.from_rows(x=Z[:, 1:], y=Z[:, 0], environments=e)
        crossed += site_directions(moments, rows=Z[:, [1, 2, 3, 0]]).directions.shape[1] > 0
    assert crossed <= stats.binom.isf(1e-4, 25, 0.015)


@pytest.mark.parametrize("law", ["exponential", "binary"])
def test_the_noise_of_rows_hangs_on_no_order_of_rows_nor_on_constant_or_dependent_columns(law):
    rng, e = np.random.default_rng(0), np.repeat([0, 1, 2], [60, 40, 30])
    Z = rng.exponential(size=(130, 4)) if law == "exponential" else (rng.random((130, 4)) < 0.4) * 1.0
    Z[:, 0] += Z[:, 1]

    def edge(X, y, e):
        return InvariantRepresentation().fit(X, y, environments=e).noise_edge_

    X, y, mixed = Z[:, 1:], Z[:, 0], rng.permutation(130)
    expected = edge(X, y, e)
    assert edge(X[mixed], y[mixed], e[mixed]) == pytest.approx(expected, rel=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateInputWarning)
        assert edge(np.column_stack([np.full(130, 7.0), X]), y, e) == pytest.approx(expected, rel=1e-9)
        if law == "exponential":  # with ties of everything a repeated column may break them otherwise
            assert edge(np.column_stack([X[:, 1], X]), y, e) == pytest.approx(expected, rel=1e-9)


def test_noise_of_many_rows_is_scaled_from_those_that_are_dealt():
    """Of 40,000 rows 10,000 are dealt: the noise of Gaussian rows is then the Wishart law's, not four times it."""
    e, Z = np.repeat([0, 1], 40_000), np.random.default_rng(0).normal(size=(80_000, 3))
    moments = Moments.from_rows(x=Z[:, 1:], y=Z[:, 0], environments=e)
    # Each is a quantile of some hundred draws: .93 to 1.14 of the other in nine data sets.
    dealt = site_directions(moments, rows=Z[:, [1, 2, 0]]).edge
    assert dealt == pytest.approx(site_directions(moments).edge, rel=0.25)


def test_environments_of_few_rows_make_no_direction_by_moments():
    """Where an environment had fewer rows than variables the edge was crossed in .33 of data sets."""
    rng, e, crossed = np.random.default_rng(0), np.repeat([0, 1, 2], [2, 2, 300]), 0
    for _ in range(100):
        Z = rng.normal(size=(304, 4))
        crossed += site_directions(Moments.from_rows(x=Z[:, 1:], y=Z[:, 0], environments=e)).directions.shape[1] > 0
    assert crossed <= stats.binom.isf(1e-4, 100, 0.01)


def test_the_noise_of_rows_does_not_hang_on_their_order_and_shows_a_site_in_skew_rows():
    rng = np.random.default_rng(0)
    e = np.repeat(np.arange(3), 200)
    X = rng.exponential(size=(600, 3)) * np.where(e == 2, 4.0, 1.0)[:, None] ** [1, 0, 0]
    y = X.sum(axis=1) + rng.exponential(size=600)
    model = InvariantRepresentation().fit(X, y, environments=e)
    assert 1 <= model.n_directions_ <= 2  # the variance, and the mean that goes with it
    order = rng.permutation(600)
    again = InvariantRepresentation().fit(X[order], y[order], environments=e[order])
    assert again.noise_edge_ == pytest.approx(model.noise_edge_, rel=1e-6)
    by_moments = InvariantRepresentation().fit_moments(Moments.from_rows(x=X, y=y, environments=e))
    assert by_moments.noise_edge_ < model.noise_edge_
    assert "than sampling noise of Gaussian rows." in " ".join(str(by_moments.summary()).split())


def test_the_coefficients_converge_at_root_n():
    """Slope of log error on log n over 12 data sets a size, n = 500 to 32000 per environment: near -1/2."""
    data = make_invariance_environments(1, n_environments=6, n_features=8, n_sites=2, kind="variance", random_state=4)
    truth = InvariantRepresentation().fit_moments(data.moments).coef_
    sizes, errors = [500, 4000, 32000], []
    for n in sizes:
        error = []
        for seed in range(12):
            X, y, e = data.environment_set.sample(n, random_state=seed)
            fit = InvariantRepresentation(n_directions=2).fit_moments(Moments.from_rows(x=X, y=y, environments=e))
            error.append(np.sum((fit.coef_ - truth) ** 2))
        errors.append(np.sqrt(np.mean(error)))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.35


def test_a_change_of_the_outcome_that_nothing_measures_has_no_neutral_rule():
    """With a child of y the rule can avoid the outcome's noise; without one it cannot."""
    sink = LinearSEM([[0, 0], [1.0, 0]], names=["x", "y"], target="y")
    with pytest.warns(match="changes? the equation of the target"):
        envs = sink.environments([None, ScaleNoise("y", 4.0)])
    with pytest.warns(IdentificationWarning, match="they differ in 1 directions"):
        InvariantRepresentation().fit_moments(envs.moments())
    chain = textbook_sem("chain")
    with pytest.warns(match="changes? the equation of the target"):
        envs = chain.environments([None, ScaleNoise("y", 4.0)])
    model = InvariantRepresentation().fit_moments(envs.moments())
    assert np.ptp(model.risk_env_) < 1e-10


def test_a_rule_that_blows_up_is_said_to():
    """On samples a change of the outcome's noise is a direction that features feel only by chance."""
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(900, 3)), np.repeat([0, 1, 2], 300)
    y = X.sum(axis=1) + rng.normal(size=900) * np.array([1.0, 2.0, 4.0])[e]
    with pytest.warns(IdentificationWarning, match="predicts worse than the mean of y"):
        InvariantRepresentation().fit(X, y, environments=e)


def test_weighted_rows_need_the_number_of_directions():
    data = make_invariance_environments(40, n_features=3, n_sites=1, random_state=0)
    with pytest.raises(ValueError, match="sampling noise of weighted rows is not known.*give n_directions"):
        InvariantRepresentation().fit(
            data.X, data.y, environments=data.environments, sample_weight=np.linspace(1, 2, len(data.y))
        )


def test_gradient_of_the_trade_off():
    data = make_invariance_environments(1, n_features=6, random_state=0)
    evaluate = trade_off(data.moments, 30.0)
    phi = np.random.default_rng(0).normal(size=(2, 6))
    numeric = approx_fprime(phi.ravel(), lambda x: evaluate(x.reshape(2, 6))[0], 1e-7)
    np.testing.assert_allclose(evaluate(phi)[1].ravel(), numeric, rtol=1e-3, atol=1e-3)
    # The value is pooled risk plus penalty times average excess, for any coordinates of the row space.
    pooled = represent(data.moments, phi).pool()
    c = pooled.cov("x", "y")[0, :, 0]
    risk = pooled.cov("y")[0, 0, 0] - c @ np.linalg.solve(pooled.cov("x")[0], c)
    gaps = invariance_gaps(data.moments, phi, metric="excess")
    assert evaluate(phi)[0] == pytest.approx(risk + 30.0 * gaps.mean(), rel=1e-9)
    assert evaluate(np.array([[1.0, 2.0], [0.0, 3.0]]) @ phi)[0] == pytest.approx(evaluate(phi)[0], rel=1e-9)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_descent_is_never_above_the_best_subset(k):
    data = make_invariance_environments(1, n_features=7, n_sites=4, random_state=5)
    model = InvariantRepresentation(k, method="manifold", n_init=2, random_state=0).fit_moments(data.moments)
    variance = data.moments.pool().cov("y")[0, 0, 0]
    value = trade_off(data.moments, PENALTY)(model.components_)[0]
    subsets = SubsetStatistics.concatenate(sweep(data.moments))
    subsets = subsets.take(subsets.sizes == k)
    best = ((1 + PENALTY) * subsets.pooled_risk - PENALTY * subsets.own_risk).mean(axis=1).min()
    assert value <= best * (1 + 1e-9)
    assert model.objective_path_[-1] * variance == pytest.approx(value, rel=1e-5)
    frame = pd.DataFrame(data.X, columns=model.feature_names_in_)
    assert model.transform(frame).shape == (len(data.X), k)
    np.testing.assert_allclose(model.predict(frame), data.X @ model.coef_ + model.intercept_)


def test_descent_keeps_its_start_if_nothing_is_better():
    data = make_invariance_environments(1, n_features=5, random_state=1)
    phi, _, _ = row_space_descent(data.moments, np.random.default_rng(0).normal(size=(2, 5)))
    again, path, _ = row_space_descent(data.moments, phi)
    assert trade_off(data.moments, PENALTY)(again)[0] <= trade_off(data.moments, PENALTY)(phi)[0] * (1 + 1e-9)
    assert path[-1] <= trade_off(data.moments, PENALTY)(phi)[0] * (1 + 1e-9)


def test_weights_are_repetitions():
    data = make_invariance_environments(60, n_features=4, n_sites=2, random_state=0)
    w = np.random.default_rng(0).integers(1, 4, len(data.y))
    model = InvariantRepresentation(n_directions=2)
    a = model.fit(data.X, data.y, environments=data.environments, sample_weight=w.astype(float)).coef_
    many = {n: np.repeat(getattr(data, n), w, axis=0) for n in ("X", "y", "environments")}
    b = InvariantRepresentation(n_directions=2).fit(many["X"], many["y"], environments=many["environments"]).coef_
    np.testing.assert_allclose(a, b, rtol=1e-8)


def test_summary_names_the_directions():
    data = make_invariance_environments(300, random_state=0)
    model = InvariantRepresentation().fit(data.X, data.y, environments=data.environments)
    assert "differ in 3 directions by more than sampling noise" in " ".join(str(model.summary()).split())
    assert list(model.get_feature_names_out()) == ["invariantrepresentation0"]


def test_summary_says_how_many_dimensions_are_used():
    data = make_invariance_environments(300, random_state=0)
    model = InvariantRepresentation(2, method="manifold", n_init=0, random_state=0)
    phi = model.fit(data.X, data.y, environments=data.environments).transform(data.X)
    values = np.linalg.eigvalsh(np.cov(phi.T))
    used = values.sum() ** 2 / np.sum(values**2)
    assert model.effective_dimension_ == pytest.approx(used)
    text = " ".join(str(model.summary()).split())
    assert f"Effective dimension of the representation: {used:.3g} of 2" in text
    assert f"Environments move it by {model.moved_by_environment_:.3g} of the distance between two rows" in text


def test_how_far_environments_move_it_is_gelbrichs_bound():
    """scipy's matrix roots, row by row in the units that whiten all rows; and affine maps change nothing."""
    from scipy.linalg import sqrtm

    data = make_invariance_environments(200, n_features=4, random_state=1)
    moments = InvariantRepresentation().fit(data.X, data.y, environments=data.environments).moments_
    components = np.random.default_rng(0).normal(size=(3, 4))
    rows = data.X @ components.T
    rows = rows - rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(rows.T @ rows / len(rows))).T
    total = 0.0
    for e in np.unique(data.environments):
        own = rows[data.environments == e]
        cov = np.cov(own.T, bias=True)
        total += len(own) * (np.sum(own.mean(axis=0) ** 2) + np.trace(cov + np.eye(3) - 2 * sqrtm(cov).real))
    found = kept(moments, components)[1]
    assert found == pytest.approx(np.sqrt(total / len(rows) / 6), rel=1e-8)
    turned = np.array([[2.0, 1.0, 0.0], [0.0, 1e6, 1e6], [1e-6, 0.0, -1e-6]]) @ components
    assert kept(moments, turned)[1] == pytest.approx(found, rel=1e-6)
    assert np.isnan(kept(moments, np.zeros((1, 4)))).all()


def test_environments_that_are_alike_move_it_by_noise_alone():
    rng = np.random.default_rng(3)
    X, e = rng.normal(size=(8000, 4)), np.arange(8000) % 20
    fit = InvariantRepresentation(n_directions=0).fit(X, X[:, 0] + rng.normal(size=8000), environments=e)
    assert fit.moved_by_environment_ == pytest.approx(np.sqrt(0.75 / 400), rel=0.35)  # 20 chi squares of 2 df
    shifted = InvariantRepresentation(n_directions=0).fit(
        X + 3.0 * (e % 2)[:, None] * np.eye(4)[0], X[:, 0] + rng.normal(size=8000), environments=e
    )
    assert shifted.moved_by_environment_ > 5 * fit.moved_by_environment_


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"method": "kill"}, "method must be 'neutral' or 'manifold', got 'kill'"),
        ({"n_components": 2}, "method='neutral' has one component, got n_components=2"),
        ({"method": "manifold"}, "needs n_components"),
        ({"method": "manifold", "n_components": 11}, "n_components=11 is more than the 10 features"),
        ({"method": "manifold", "n_components": 2, "n_init": -1}, "n_init must be a whole number >= 0"),
        ({"n_directions": -1}, "n_directions must be a whole number >= 0"),
    ],
)
def test_mistakes_are_named(kwargs, match):
    data = make_invariance_environments(20, random_state=0)
    with pytest.raises(ValueError, match=match):
        InvariantRepresentation(**kwargs).fit(data.X, data.y, environments=data.environments)
    with pytest.raises(ValueError, match="needs environments="):
        InvariantRepresentation().fit(data.X, data.y)


def test_moments_and_rows_agree():
    data = make_invariance_environments(100, random_state=0)
    rows = InvariantRepresentation().fit(data.X, data.y, environments=data.environments)
    moments = Moments.from_rows(x=data.X, y=data.y, environments=data.environments)
    np.testing.assert_allclose(InvariantRepresentation().fit_moments(moments).coef_, rows.coef_, rtol=1e-10)
