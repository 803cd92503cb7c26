"""The laboratory: many environments, hidden nodes, random and textbook models, round trips; against closed forms."""

import json
import pickle
import sys
import tracemalloc

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalinv import sem as lab
from causalinv.datasets import make_invariance_environments
from causalinv.exceptions import TargetInterventionWarning
from causalinv.sem import LinearSEM
from causalinv.sem import _solver as solver_module

LAWS = [
    lab.Gaussian(1.0),
    lab.Uniform(0.5, 1.0),
    lab.Laplace(2.0),
    lab.Exponential(1.0, -1.0),
    lab.StudentT(1.5, df=9.0),
]
LAWS += [lab.Empirical([0.0, 1.0, 5.0])]


def laboratory_models():
    """Acyclic, cyclic, latent, unfaithful and indirectly observed models, all noise families, all with targets."""
    base = lab.random_sem(6, expected_degree=3.0, noise=LAWS, standardize=False, random_state=3)
    latent = next(v for v in base.features if base.children(v))
    return {
        "acyclic": base,
        "cyclic": lab.random_cyclic_sem(6, expected_degree=4.0, noise=LAWS, random_state=1),
        "latent": base.marginalize([latent]),
        "unfaithful": lab.random_unfaithful_sem(6, random_state=0),
        "observed": base.observe(np.random.default_rng(0).normal(size=(4, 5)), noise=[0.1, 0.2, 0.3, lab.Laplace(0.4)]),
        "correlated": LinearSEM.with_noise_cov(base.B, np.eye(6) + 0.5, target=base.target),
    }


def every_intervention(sem):
    first, second = [v for v in range(sem.n_nodes) if v != sem.target and not sem.names[v].startswith("obs")][:2]
    parent = sem.parents(second)[:1] or sem.parents(first)[:1]
    child = second if sem.parents(second) else first
    return [
        None,
        lab.Do(first, 1.5),
        lab.Do(first, 1.5) + lab.SetNoise(first, lab.Laplace(0.5)),
        lab.Shift(first, mean=2.0),
        lab.Shift(first, mean=-1.0, std=2.0) + lab.ScaleNoise(first, 0.5),
        lab.ScaleNoise(second, 3.0),
        lab.SetNoise(second, lab.Exponential(2.0, 1.0)),
        lab.SetWeights(child, {parent[0]: 0.3}) if parent else None,
        lab.ScaleWeights(child, -0.5),
        lab.ShiftTogether([first, second], [[2.0, 1.0], [1.0, 1.0]], mean=[1.0, 0.0]) + lab.Shift(first, std=1.0),
        lab.ScaleWeights(child, 0.0) + lab.ScaleNoise(first, 0.0),
    ]


MODELS = laboratory_models()


@pytest.mark.parametrize("name", MODELS)
def test_environments_equal_their_models_one_by_one(name):
    """Batched moments (shared, Woodbury, full) against (I - B) Cov (I - B)' = Omega of each model on its own."""
    sem = MODELS[name]
    envs = sem.environments(every_intervention(sem))
    means, covs = envs.means(), envs.covs()
    for e in range(len(envs)):
        model = envs.model(e)
        system = np.eye(sem.n_nodes) - model.B
        size = 1 + np.abs(covs[e]).max()
        np.testing.assert_allclose(system @ covs[e] @ system.T, model.noise_cov(), atol=1e-10 * size)
        np.testing.assert_allclose(system @ means[e], model.constants, atol=1e-10 * size)
        np.testing.assert_allclose(covs[e], model.cov(), atol=1e-10 * size)
    population = envs.moments()
    at = np.array([*sem.features, sem.target])
    np.testing.assert_allclose(population.cov("x"), covs[:, at[:-1, None], at[:-1]], atol=1e-10 * np.abs(covs).max())
    pieces = list(envs.iter_moments(memory_limit=1))
    assert [len(piece) for piece in pieces] == [1] * len(envs)
    np.testing.assert_allclose(np.concatenate([m.cov("x", "y") for m in pieces]), population.cov("x", "y"), atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_samples_have_the_exact_moments_in_every_environment(name):
    """All means and covariances of all environments at once, Bonferroni at 1e-6 in total (two-sided normal limit)."""
    sem = MODELS[name]
    envs = sem.environments(every_intervention(sem))
    exact, n = envs.moments(), 40_000
    X, y, labels = envs.sample(n, random_state=11)
    tests, worst = 0, 0.0
    for k, label in enumerate(envs.labels):
        mean = np.r_[exact.mean("x")[k], exact.mean("y")[k]]
        cov = np.block([[exact.cov("x")[k], exact.cov("x", "y")[k]], [exact.cov("y", "x")[k], exact.cov("y")[k]]])
        centred = np.c_[X, y][labels == label] - mean
        scale = np.sqrt(np.diag(cov))
        still = scale < 1e-9
        assert np.abs(centred[:, still]).max(initial=0) < 1e-9
        z = centred[:, ~still] / scale[~still]
        correlation = cov[np.ix_(~still, ~still)] / np.outer(scale[~still], scale[~still])
        i, j = np.triu_indices(z.shape[1])
        products = z[:, i] * z[:, j]
        for values, truth in ((z, 0.0), (products, correlation[i, j])):
            worst = max(worst, float(np.abs((values.mean(0) - truth) / (values.std(0) / np.sqrt(n))).max()))
            tests += values.shape[1]
    from scipy.stats import norm

    assert worst < norm.isf(0.5e-6 / tests)
    # The test has power: moments wrong by 5% of a variance would be seen in Gaussian data with certainty.
    assert 0.05 / np.sqrt(2 / n) > norm.isf(0.5e-6 / tests) + 1


FEW = lab.random_sem(40, expected_degree=3.0, random_state=0)
INNER = [v for v in FEW.features if FEW.parents(v)]


def hidden(sem):
    return LinearSEM.with_noise_cov(sem.B, np.eye(40) + 0.5, target=sem.target, features=sem.features)


MANY = {
    "noise": lambda sem: lab.InterventionFamily(INNER[:3]).environments(sem, 2000, random_state=0),
    "weights": lambda sem: lab.InterventionFamily(INNER[:3], kind="weights").environments(sem, 400, random_state=0),
    "all weights": lambda sem: sem.environments([sum((lab.ScaleWeights(v, 0.5) for v in INNER), start=0)] * 300),
    "common causes": lambda sem: hidden(sem).environments([lab.ScaleWeights(INNER[0], 0.5)] * 300),
}


@pytest.mark.parametrize("kind", MANY)
@pytest.mark.parametrize("n_features", [3, 39])
def test_pieces_of_moments_need_no_more_memory_than_said(n_features, kind):
    """By Python's own account, for few features of many nodes too."""
    envs = MANY[kind](FEW.replace(features=FEW.features[:n_features]))
    pieces, limit = envs.iter_moments(memory_limit=2**18), 2**18
    assert len(next(pieces)) < len(envs)  # and what a model computes once is there
    tracemalloc.start()
    for piece in pieces:
        assert len(piece)
        del piece
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= limit


@pytest.mark.parametrize("full_share", [0.0, 2.0], ids=["in full", "Woodbury"])
def test_woodbury_and_full_solutions_agree_with_each_model(full_share, monkeypatch):
    monkeypatch.setattr(solver_module, "_FULL_SHARE", full_share)
    sem = lab.random_sem(12, expected_degree=5.0, standardize=False, random_state=2)
    inner = [v for v in sem.features if sem.parents(v)]
    few = sem.environments([lab.SetWeights(v, {sem.parents(v)[0]: 2.0}) for v in inner[:3]])
    many = sem.environments([sum((lab.ScaleWeights(v, 0.7) for v in inner[1:]), lab.ScaleWeights(inner[0], 0.7))])
    assert len(many._solver.tables.mechanisms[0].rows) > 4
    for envs in (few, many):
        for e in range(len(envs)):
            np.testing.assert_allclose(envs.covs()[e], envs.model(e).cov(), rtol=1e-10, atol=1e-10)
            assert abs(np.linalg.det(np.eye(12) - envs.model(e).B) - 1) < 1e-12  # the graph stays acyclic


@given(seed=st.integers(0, 10_000), n_drop=st.integers(1, 4), cyclic=st.booleans())
def test_marginalizing_keeps_the_law_of_the_rest_under_interventions(seed, n_drop, cyclic):
    rng = np.random.default_rng(seed)
    sem = (lab.random_cyclic_sem if cyclic else lab.random_sem)(7, expected_degree=3.0, random_state=seed, noise=0.7)
    drop = rng.choice([v for v in range(7) if v != sem.target], n_drop, replace=False)
    keep = [v for v in range(7) if v not in drop]
    seen = sem.marginalize(drop.tolist())
    node = int(rng.choice([v for v in keep if v != sem.target] or [sem.target]))
    name = sem.names[node]
    # A loop through dropped nodes rescales an equation, so there only do keeps its meaning.
    cases = (
        [lab.Do(name, 2.0)]
        if cyclic
        else [lab.Do(name, 2.0), lab.Shift(name, 1.0, 2.0), lab.Do(name, 1.0) + lab.SetNoise(name, 0.5)]
    )
    for intervention in [None] if node == sem.target else [None, *cases]:
        whole = sem if intervention is None else sem.intervene(intervention)
        part = seen if intervention is None else seen.intervene(intervention)
        size = 1 + np.abs(whole.cov()).max()
        np.testing.assert_allclose(part.cov(), whole.cov()[np.ix_(keep, keep)], atol=1e-10 * size)
        np.testing.assert_allclose(part.mean(), whole.mean()[keep], atol=1e-10 * size)


def test_a_skewed_law_survives_marginalization_through_a_negative_loop():
    """Third moments of the kept node, exact for independent sources: a mirrored exponential must stay mirrored."""
    sem = LinearSEM([[0, 2.0], [1.0, 0]], noise=[lab.Exponential(1.0), lab.Gaussian(1.0)])  # gain of node 0: 1 - 2 = -1
    seen = sem.marginalize([1])
    z = seen.sample(400_000, random_state=0)[:, 0]
    assert seen.cov()[0, 0] == pytest.approx(sem.cov()[0, 0])
    expected = -2.0 / 5.0**1.5  # z = -(e0 + 2 e1): skewness of -e0 alone, variance 5
    skew = np.mean((z - z.mean()) ** 3) / z.std() ** 3
    assert skew == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("shape", [(2, 5), (5, 5), (9, 5)])
def test_indirect_observation_has_the_mixed_moments(shape):
    sem = lab.random_sem(6, random_state=1)
    A = np.random.default_rng(1).normal(size=shape)
    A[-1] = A[0]  # rank-deficient mixing is legal
    seen = sem.observe(A, noise=np.full(shape[0], 0.3))
    at = list(sem.features)
    moments = seen.environments([None, lab.Shift(at[0], 2.0, 1.0)]).moments()
    for e, model in enumerate((sem, sem.intervene(lab.Shift(at[0], 2.0, 1.0)))):
        inner = model.cov()[np.ix_(at, at)]
        np.testing.assert_allclose(moments.cov("x")[e], A @ inner @ A.T + 0.09 * np.eye(shape[0]), atol=1e-12)
        np.testing.assert_allclose(moments.mean("x")[e], A @ model.mean()[at], atol=1e-12)
        np.testing.assert_allclose(moments.cov("x", "y")[e, :, 0], A @ model.cov()[at, sem.target], atol=1e-12)
    assert moments.names["x"] == tuple(f"obs{i}" for i in range(shape[0]))


def test_hidden_nodes_are_left_out_of_x():
    sem = lab.textbook_sem("instrument")
    X, _, _ = sem.environments([None]).sample(10, random_state=0)
    assert X.shape == (10, 2)
    assert sem.environments([None]).moments().names["x"] == ("x", "z")


def least_squares(sem, *names):
    at = [sem.node(name) for name in names]
    return np.linalg.solve(sem.cov()[np.ix_(at, at)], sem.cov()[at, sem.target])


def test_textbook_models_have_the_documented_truth():
    build = lab.textbook_sem
    np.testing.assert_allclose(least_squares(build("chain"), "x1", "x2"), [1 / 2, 1 / 2])
    np.testing.assert_allclose(least_squares(build("fork"), "x1", "x2"), [1 / 3, 1 / 3])
    np.testing.assert_allclose(least_squares(build("collider"), "x1", "x2"), [-1 / 2, 1 / 2])
    assert build("collider").cov()[0, 1] == 0
    np.testing.assert_allclose(least_squares(build("instrument"), "x"), [2 + 1 / 3])
    np.testing.assert_allclose(least_squares(build("proxy"), "x1", "x2"), [2.0, 1.0])
    np.testing.assert_allclose(least_squares(build("proxy"), "x1"), [2.5])
    np.testing.assert_allclose(least_squares(build("anchor"), "x"), [1 + 3 / 6])
    np.testing.assert_allclose(least_squares(build("spurious"), "x1", "x2"), [1 / 101, 100 / 101])
    np.testing.assert_allclose(least_squares(build("feedback"), "x"), [0.8])
    assert build("cancelled").cov()[0, 2] == pytest.approx(0, abs=1e-15)
    for name, ratio in (("instrument", 2.0), ("anchor", 1.5)):
        sem = build(name)
        cov, z = sem.cov(), 0
        assert cov[z, sem.target] / cov[z, sem.node("x")] == pytest.approx(ratio)


def test_solving_by_edges_equals_solving_by_product():
    base = lab.random_sem(320, expected_degree=3.0, noise=[LAWS[i % 6] for i in range(320)], random_state=0)
    hidden = base.intervene(lab.ShiftTogether([0, 1], [[1.0, 0.5], [0.5, 1.0]]) + lab.Shift(2, 1.0, 2.0))
    assert hidden._is_sparse
    shapes = np.random.default_rng(0).normal(size=(50, 320))
    extra = np.random.default_rng(1).normal(size=(50, 320))
    by_product = hidden._solve_by_product(shapes, extra)
    np.testing.assert_allclose(hidden._solve_by_edges(np.ascontiguousarray(shapes.T), extra), by_product, atol=1e-10)
    n = 4000
    rows = hidden.sample(n, random_state=5)
    z = (rows - hidden.mean()) / np.sqrt(np.diag(hidden.cov()))
    assert np.abs(z.mean(0)).max() * np.sqrt(n) < 5.5  # 320 normal tests: false alarm 1e-5
    noise = (rows - rows @ hidden.B.T)[:, :3]
    np.testing.assert_allclose(np.cov(noise.T), hidden.noise_cov()[:3, :3], atol=0.7)


# -- families ---------------------------------------------------------------------------------------------------------

SEM = lab.random_sem(8, expected_degree=3.0, random_state=6)
SITES = [v for v in SEM.features if SEM.parents(v)][:3]
COUNTS = {
    "variance": 3,
    "shift": 3,
    "random_shift": 6,
    "weights": sum(len(SEM.parents(v)) for v in SITES),
    "weights+variance": sum(len(SEM.parents(v)) + 1 for v in SITES),
    "do": 3,
}


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("per_env", ["all", "single"])
def test_family_counts_its_parameters_and_means_what_it_says(kind, per_env):
    family = lab.InterventionFamily(SITES, kind=kind, per_env=per_env)
    assert family.n_params(SEM) == COUNTS[kind]
    envs = family.environments(SEM, 6, baseline=True, random_state=0)
    assert envs.theta.shape == (7, COUNTS[kind])
    np.testing.assert_allclose(envs.covs()[0], SEM.cov())
    sites_moved = {site for site, _, _ in family.parameters(SEM)}
    assert sites_moved == set(SITES)
    for e in range(1, 7):
        theta, model = envs.theta[e], envs.model(e)
        B, constants, variance = SEM.B.copy(), SEM.constants.copy(), np.diag(SEM.noise_cov()).copy()
        for (site, what, parent), value in zip(family.parameters(SEM), theta, strict=True):
            if np.isnan(value):
                continue
            if what == "weight":
                B[site, parent] += value
            elif what == "mean":
                constants[site] += value
            elif what == "variance":
                variance[site] += value
            else:
                B[site], constants[site], variance[site] = 0.0, value, 0.0
        np.testing.assert_allclose(model.B, B, atol=1e-14)
        np.testing.assert_allclose(model.constants, constants, atol=1e-14)
        np.testing.assert_allclose(np.diag(model.noise_cov()), variance, rtol=1e-12, atol=1e-14)
        if per_env == "single":
            moved = {
                s for (s, _, _), v in zip(family.parameters(SEM), theta, strict=True) if v != 0 and not np.isnan(v)
            }
            assert len(moved) == 1


def test_moments_of_an_affine_family_are_affine_and_of_others_are_not():
    """G(theta) - G(0) is linear in theta for variances only; checked at the midpoint of two draws."""
    for kind in COUNTS:
        family = lab.InterventionFamily(SITES, kind=kind)
        a, b = family.draw(SEM, 2, random_state=3)
        middle = SEM.environments(family.interventions(SEM, np.stack([a, b, (a + b) / 2])))
        second = middle.covs() + middle.means()[:, :, None] * middle.means()[:, None, :]
        gap = np.abs(second[2] - (second[0] + second[1]) / 2).max()
        assert (gap < 1e-12) == family.is_affine


def test_more_environments_leave_earlier_draws_unchanged():
    family = lab.InterventionFamily(SITES, kind="weights+variance", per_env="single")
    few, many = (family.environments(SEM, n, random_state=5) for n in (3, 30))
    np.testing.assert_array_equal(few.theta, many.theta[:3])
    for a, b in zip(few.sample(4, random_state=1), many.sample(4, random_state=1), strict=True):
        np.testing.assert_array_equal(a, b[:12])


def test_laws_of_families():
    from scipy.stats import uniform

    for law in (lab.Uniform(1.0, 5.0), uniform(2.0, 6.0), lambda rng, size: rng.uniform(2.0, 8.0, size)):
        theta = lab.InterventionFamily(SITES, kind="shift", law=law).draw(SEM, 200, random_state=0)
        assert 2.0 <= theta.min() < 3.5
        assert 6.5 < theta.max() <= 8.0
    assert (lab.InterventionFamily(SITES, law=lab.Gaussian()).draw(SEM, 50, random_state=0) >= 0).all()


def test_selection_keeps_labels_theta_and_moments():
    envs = lab.InterventionFamily(SITES).environments(SEM, 5, baseline=True, random_state=0)
    part = envs[[4, 1]]
    assert list(part.labels) == [4, 1]
    np.testing.assert_array_equal(part.theta, envs.theta[[4, 1]])
    np.testing.assert_allclose(part.covs(), envs.covs()[[4, 1]])
    assert len(envs[2:]) == 4


def test_target_interventions_are_counted_in_the_warning():
    with pytest.warns(TargetInterventionWarning, match="change the equation of the target .*: 2 of 3"):
        SEM.environments([None, lab.Shift(SEM.target, 1.0), lab.ScaleNoise(SEM.target, 2.0)])


def test_choose_sites_respects_where_and_in_degree():
    for where, pool in (("ancestors", SEM.ancestors(SEM.target)), ("descendants", SEM.descendants(SEM.target))):
        assert set(lab.choose_sites(SEM, 1, where=where, random_state=0)) <= set(pool)
    for seed in range(20):
        sites = lab.choose_sites(SEM, 2, max_in_degree=1, random_state=seed)
        assert SEM.target not in sites
        assert all(len(SEM.parents(v)) <= 1 for v in sites)
    for most in range(4):
        few = [v for v in SEM.features if len(SEM.parents(v)) <= most]
        assert list(lab.choose_sites(SEM, len(few), max_in_degree=most, random_state=0)) == few
        with pytest.raises(ValueError, match=f"n must be from 1 to {len(few)}"):
            lab.choose_sites(SEM, len(few) + 1, max_in_degree=most)


def test_the_in_degree_of_a_family_is_that_of_its_largest_site():
    degrees = [len(SEM.parents(v)) for v in SITES]
    assert min(degrees) < max(degrees)
    assert lab.InterventionFamily(SITES).max_in_degree(SEM) == max(degrees)


def test_a_new_noise_family_needs_only_a_shape():
    """What the documentation says a user has to write."""
    from dataclasses import dataclass

    from causalinv.sem import Noise

    @dataclass(frozen=True)
    class Coin(Noise):
        @property
        def kurtosis(self):
            return 1.0

        def standard(self, size, rng):
            return rng.choice([-1.0, 1.0], size)

    sem = LinearSEM([[0, 0], [2.0, 0]], noise=[Coin(3.0, 1.0), lab.Gaussian()])
    x = sem.sample(1000, random_state=0)[:, 0]
    assert set(np.round(x, 9)) == {-2.0, 4.0}
    assert sem.cov()[1, 1] == 37.0


# -- random models ----------------------------------------------------------------------------------------------------


@given(
    p=st.integers(2, 15),
    kind=st.sampled_from(["er", "bounded", "scale_free", "chain", "tree", "layered"]),
    seed=st.integers(0, 1000),
    most=st.integers(1, 4),
)
def test_random_graphs_are_acyclic_and_obey_their_kind(p, kind, seed, most):
    graph = lab.random_dag(p, kind=kind, max_in_degree=most, expected_degree=0.5, n_layers=min(3, p), random_state=seed)
    sem = LinearSEM.from_adjacency(graph)
    assert sem.is_acyclic
    parents = graph.sum(axis=0)
    if kind == "bounded":
        assert parents.max() <= most
        assert (parents == 0).sum() == 1
    if kind == "scale_free":
        np.testing.assert_array_equal(np.sort(parents), np.sort([min(most, k) for k in range(p)]))
    if kind in ("chain", "tree"):
        np.testing.assert_array_equal(np.sort(parents), [0] + [1] * (p - 1))
    if kind == "chain":
        assert graph.sum(axis=1).max() == 1


def test_layers_only_join_neighbours():
    graph = lab.random_dag(12, kind="layered", n_layers=3, expected_degree=16 * 2 * 2 / 12, random_state=0)
    assert graph.sum() == 32  # all pairs of consecutive layers of four
    assert nx.dag_longest_path_length(nx.DiGraph(graph)) == 2


def test_preferential_attachment_makes_hubs():
    """The largest degree of 100-node graphs, mean over 40: far above that of Erdős–Rényi with as many edges."""
    degree = {
        kind: np.mean(
            [
                (g.sum(0) + g.sum(1)).max()
                for g in (lab.random_dag(100, kind=kind, expected_degree=3.94, random_state=k) for k in range(40))
            ]
        )
        for kind in ("scale_free", "er")
    }
    assert degree["scale_free"] > 1.5 * degree["er"]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("standardize", [False, True])
def test_unfaithful_models_have_edges_without_total_effect(seed, standardize):
    sem = lab.random_unfaithful_sem(10, n_cancellations=2, standardize=standardize, random_state=seed)
    edges = sem.B != 0
    silent = edges & (np.abs(sem.total_effects()) < 1e-12)
    assert silent.sum() >= 2
    assert np.allclose(np.diag(sem.cov()), 1.0) == standardize
    assert sem.parents(sem.target)
    assert sem.children(sem.target)
    faithful = lab.random_sem(10, expected_degree=4.0, random_state=seed)
    assert not ((faithful.B != 0) & (np.abs(faithful.total_effects()) < 1e-12)).any()


@pytest.mark.parametrize("seed", range(5))
def test_cyclic_models_are_cyclic_and_stable(seed):
    sem = lab.random_cyclic_sem(8, spectral_radius=0.6, random_state=seed)
    assert not sem.is_acyclic
    assert sem.spectral_radius == pytest.approx(0.6)
    series = sum(np.linalg.matrix_power(sem.B, k) for k in range(200))
    np.testing.assert_allclose(sem.M, series, atol=1e-12)


def test_raw_models_are_varsortable_and_standardised_ones_are_not():
    raw = [lab.random_sem(20, expected_degree=4.0, standardize=False, random_state=k) for k in range(20)]
    assert np.mean([sem.varsortability() for sem in raw]) > 0.9
    assert np.mean([sem.standardize().varsortability() for sem in raw]) == pytest.approx(0.5)
    chain = LinearSEM.from_adjacency(np.diag([1.0, 0.1], k=1))  # variances 1, 2, 1.02: paths 01 up, 12 down, 02 up
    assert chain.varsortability() == pytest.approx(2 / 3)


# -- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_json_round_trip_is_exact_to_the_bit(name):
    sem = MODELS[name]
    again = LinearSEM.from_dict(json.loads(json.dumps(sem.to_dict())))
    for attribute in ("B", "intercept", "shift_std"):
        assert getattr(again, attribute).tobytes() == getattr(sem, attribute).tobytes()
    assert again.common.loading.tobytes() == sem.common.loading.tobytes()
    assert (again.noise, again.names, again.target, again.features) == (sem.noise, sem.names, sem.target, sem.features)
    np.testing.assert_array_equal(again.sample(20, random_state=0), sem.sample(20, random_state=0))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sem)).cov(), sem.cov())


def test_frame_and_networkx_round_trips_and_agree_with_networkx_on_the_graph():
    sem = lab.random_sem(9, expected_degree=3.0, random_state=2)
    names = list(sem.names)
    for again in (
        LinearSEM.from_frame(sem.to_frame(), names=names, target=sem.target, noise=sem.noise),
        LinearSEM.from_networkx(sem.to_networkx(), target=sem.target, noise=sem.noise),
    ):
        np.testing.assert_array_equal(again.B, sem.B)
        np.testing.assert_array_equal(again.cov(), sem.cov())
    graph = sem.to_networkx()
    for node in names:
        assert {sem.names[v] for v in sem.ancestors(node)} == nx.ancestors(graph, node)
        assert {sem.names[v] for v in sem.descendants(node)} == nx.descendants(graph, node)
        assert {sem.names[v] for v in sem.parents(node)} == set(graph.predecessors(node))
    frame = pd.DataFrame({"parent": ["a"], "child": ["b"], "weight": [2.0]})
    assert LinearSEM.from_frame(frame).cov()[1, 1] == 5.0


def test_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)  # importing it raises, as where it is not installed
    with pytest.raises(ImportError, match=r'python -m pip install "causalinv\[graph\]"'):
        lab.textbook_sem("chain").to_networkx()


# -- data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["variance", "weights"])
def test_invariance_environments_carry_their_truth(kind):
    data = make_invariance_environments(20_000, kind=kind, random_state=2)
    assert np.bincount(data.environments).tolist() == [20_000] * 5
    for e in range(5):
        inside = data.moments.cov("x")[e][np.ix_(data.parents, data.parents)]
        coef = np.linalg.solve(inside, data.moments.cov("x", "y")[e][data.parents, 0])
        np.testing.assert_allclose(coef, data.coef[data.parents], atol=1e-11)  # invariant in every environment
        rows = data.X[data.environments == e]
        spread = np.sqrt(np.diag(data.moments.cov("x")[e]) / 20_000)
        assert (np.abs(rows.mean(0) - data.moments.mean("x")[e]) < 6 * spread + 1e-12).all()
    full = np.linalg.solve(data.moments.cov("x"), data.moments.cov("x", "y"))[:, :, 0]
    assert data.moments.cells.name == "environments"
    assert np.isfinite(full).all()
