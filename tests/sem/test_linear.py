"""LinearSEM against closed forms worked by hand and identities that do not use its solution."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from causalinv.exceptions import CyclicModelError, DegenerateInputWarning
from causalinv.sem import (
    Empirical,
    Exponential,
    Gaussian,
    Laplace,
    LinearSEM,
    Shift,
    StudentT,
    Uniform,
    random_dag,
    random_sem,
)

a, b, c = 2.0, -3.0, 0.5


def test_chain_by_hand():
    sem = LinearSEM([[0, 0, 0], [a, 0, 0], [0, b, 0]], noise=[1.0, 2.0, 3.0], intercept=[1.0, 0.0, 5.0])
    v1, v2 = 1.0, a**2 + 4.0
    expected = [[v1, a * v1, a * b * v1], [a * v1, v2, b * v2], [a * b * v1, b * v2, b**2 * v2 + 9.0]]
    np.testing.assert_allclose(sem.cov(), expected)
    np.testing.assert_allclose(sem.mean(), [1.0, a, a * b + 5.0])
    np.testing.assert_allclose(sem.second_moment(), sem.cov() + np.outer(sem.mean(), sem.mean()))
    np.testing.assert_allclose(sem.total_effects(), [[0, 0, 0], [a, 0, 0], [a * b, b, 0]])


def test_fork_and_collider_by_hand():
    fork = LinearSEM([[0, 0, 0], [a, 0, 0], [b, 0, 0]])
    np.testing.assert_allclose(fork.cov(), [[1, a, b], [a, a**2 + 1, a * b], [b, a * b, b**2 + 1]])
    collider = LinearSEM([[0, 0, 0], [0, 0, 0], [a, b, 0]])
    np.testing.assert_allclose(collider.cov(), [[1, 0, a], [0, 1, b], [a, b, a**2 + b**2 + 1]])


def test_two_cycle_by_hand():
    sem = LinearSEM([[0, c], [c, 0]])
    np.testing.assert_allclose(sem.M, [[4 / 3, 2 / 3], [2 / 3, 4 / 3]])
    np.testing.assert_allclose(sem.cov(), np.array([[20, 16], [16, 20]]) / 9)
    assert not sem.is_acyclic
    with pytest.raises(CyclicModelError, match="z0 -> z1 -> z0|z1 -> z0 -> z1"):
        sem.topological_order()


def test_adjacency_is_the_transpose():
    W = [[0, 7.0], [0, 0]]  # node 0 -> node 1
    sem = LinearSEM.from_adjacency(W, names=["cause", "effect"])
    assert sem.B[1, 0] == 7.0
    assert sem.parents("effect") == (0,)
    assert sem.children("cause") == (1,)
    assert sem.cov()[1, 1] == 50.0
    np.testing.assert_array_equal(sem.adjacency, W)
    assert LinearSEM(W).cov()[1, 1] == 1.0  # the other convention is another model


@given(seed=st.integers(0, 10_000), p=st.integers(1, 9), cyclic=st.booleans())
def test_structural_covariance_identity(seed, p, cyclic):
    """(I - B) Cov (I - B)' = Omega, which does not use M."""
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(p, p)) * (rng.random((p, p)) < 0.5)
    np.fill_diagonal(B, 0.0)
    if cyclic:
        B *= 0.8 / max(np.abs(np.linalg.eigvals(B)).max(), 1e-3)
    else:
        order = rng.permutation(p)
        B[np.ix_(order, order)] = np.tril(B, -1)
    std, intercept = rng.random(p) + 0.1, rng.normal(size=p)
    sem = LinearSEM(B, noise=std, intercept=intercept)
    system = np.eye(p) - B
    size = 1 + np.abs(sem.cov()).max()
    np.testing.assert_allclose(system @ sem.cov() @ system.T, np.diag(std**2), atol=1e-11 * size)
    np.testing.assert_allclose(system @ sem.mean(), intercept, atol=1e-11 * size)
    order = rng.permutation(p)
    permuted = LinearSEM(B[np.ix_(order, order)], noise=std[order])
    np.testing.assert_allclose(permuted.cov(), sem.cov()[np.ix_(order, order)], atol=1e-11 * size)


def test_graph_queries():
    sem = LinearSEM.from_adjacency(np.eye(4, k=1), names=list("abcd"), target="c")
    assert sem.topological_order() == (0, 1, 2, 3)
    assert sem.ancestors("c") == (0, 1)
    assert sem.descendants("b") == (2, 3)
    assert sem.features == (0, 1, 3)
    assert sem.target == 2


FAMILIES = [
    Gaussian(2.0, 1.0),
    Uniform(2.0, 1.0),
    Laplace(2.0, 1.0),
    Exponential(2.0, 1.0),
    StudentT(2.0, 1.0, df=12.0),
    Empirical([0.0, 1.0, 1.0, 5.0], std=2.0, mean=1.0),
]


@pytest.mark.parametrize("noise", FAMILIES, ids=lambda noise: type(noise).__name__)
def test_noise_moments_in_a_large_sample(noise):
    """Mean, variance and kurtosis within 6 standard errors of their closed form (false alarm < 1e-8 each)."""
    n = 400_000
    z = (noise.sample(n, random_state=1) - noise.mean) / noise.std
    assert abs(z.mean()) < 6 / np.sqrt(n)
    assert abs(z.var() - 1) < 6 * np.sqrt((noise.kurtosis - 1) / n)
    assert abs((z**4).mean() - noise.kurtosis) < 6 * (z**4).std() / np.sqrt(n)


@pytest.mark.parametrize("cyclic", [False, True])
def test_sample_moments_match_the_closed_form(cyclic):
    """Every mean and covariance entry at once: Bonferroni over 4 + 10 entries at 1e-6."""
    B = (
        np.array([[0, 0, 0, 0.4], [1.0, 0, 0, 0], [0, -1.0, 0, 0], [0.5, 0, 0.3, 0]])
        if cyclic
        else np.tril(np.ones((4, 4)), -1)
    )
    sem = LinearSEM(B, noise=[Gaussian(1.0), Uniform(2.0, 1.0), Laplace(0.5), 3.0], intercept=1.0)
    n = 200_000
    rows = sem.sample(n, random_state=3)
    centred = rows - sem.mean()
    limit = 5.39  # two-sided normal quantile of 1e-6 / 14
    assert np.abs(centred.mean(0) / (centred.std(0) / np.sqrt(n))).max() < limit
    for i in range(4):
        for j in range(i, 4):
            product = centred[:, i] * centred[:, j]
            assert abs(product.mean() - sem.cov()[i, j]) < limit * product.std() / np.sqrt(n)


def test_standardize_gives_unit_variances_and_the_same_correlations():
    sem = random_sem(8, standardize=False, random_state=4)
    unit = sem.standardize()
    sd = np.sqrt(np.diag(sem.cov()))
    np.testing.assert_allclose(unit.cov(), sem.cov() / np.outer(sd, sd), atol=1e-12)
    np.testing.assert_array_equal(unit.B != 0, sem.B != 0)
    moved = LinearSEM(sem.B, noise=[Laplace(2.0, 1.0)] * 8, intercept=np.arange(8.0))
    np.testing.assert_allclose(moved.standardize().mean(), moved.mean() / np.sqrt(np.diag(moved.cov())))


def test_sampling_is_reproducible_and_framed():
    sem = LinearSEM([[0, 0], [1, 0]], names=["x", "y"])
    frame = sem.sample(5, random_state=7, as_frame=True)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame) == ["x", "y"]
    np.testing.assert_array_equal(frame, sem.sample(5, random_state=7))
    assert sem.sample(0).shape == (0, 2)
    under = sem.sample(5, intervention=Shift("x", 1.0), random_state=7)
    np.testing.assert_allclose(under - sem.sample(5, random_state=7), np.ones((5, 2)))


def test_models_are_immutable_and_pickle():
    sem = random_sem(6, random_state=0)
    with pytest.raises(ValueError, match="read-only"):
        sem.B[0, 0] = 1.0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sem)).cov(), sem.cov())


def test_nearly_singular_cycle_warns():
    with pytest.warns(DegenerateInputWarning, match="lose about 1[2-5] of 16 digits"):
        LinearSEM([[0, 1.0], [1.0 - 1e-13, 0]])


@pytest.mark.parametrize(("left", "answer"), [(1.2e-11, "silent"), (1.2e-12, "warns"), (1e-14, "warns"), (1e-15, "no")])
def test_feedback_is_doubted_from_a_condition_of_1e12_and_refused_from_1e15(left, answer):
    """Singular values of [[1, -1], [left - 1, 1]] are 2 and left / 2, so its condition number is 4 / left."""
    B = [[0, 1.0], [1.0 - left, 0]]
    if answer == "no":
        with pytest.raises(ValueError, match="no unique solution"):
            LinearSEM(B)
    elif answer == "warns":
        with pytest.warns(DegenerateInputWarning, match="nearly singular"):
            LinearSEM(B)
    else:
        LinearSEM(B)  # a warning would be an error


@given(p=st.integers(1, 12), seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_random_dags_are_acyclic(p, seed, share):
    graph = random_dag(p, expected_degree=share * (p - 1), random_state=seed)
    assert LinearSEM.from_adjacency(graph).is_acyclic


def test_orders_and_signs_are_random():
    graphs = [random_dag(10, expected_degree=9.0, random_state=seed) for seed in range(20)]
    firsts = {int(np.argmin(graph.sum(axis=0))) for graph in graphs}  # the root of a complete graph
    assert len(firsts) > 5
    weights = random_sem(20, expected_degree=6.0, standardize=False, random_state=0).B
    assert (weights > 0).any()
    assert (weights < 0).any()


def test_weights_have_fair_signs_and_uniform_sizes():
    """1,190 edges of full graphs: signs by their binomial law, sizes by Kolmogorov's, false alarms 1e-6 each."""
    full = [random_sem(35, expected_degree=34.0, weights=(0.4, 0.9), standardize=False, random_state=k) for k in (1, 2)]
    weights = np.concatenate([sem.B[sem.B != 0] for sem in full])
    assert len(weights) == 1190
    assert stats.binomtest(int((weights > 0).sum()), 1190).pvalue > 1e-6
    assert 0.4 <= np.abs(weights).min() < np.abs(weights).max() <= 0.9
    assert stats.kstest(np.abs(weights), stats.uniform(0.4, 0.5).cdf).pvalue > 1e-6


def test_a_seed_sequence_gives_the_same_draws_twice():
    seed = np.random.SeedSequence(5)
    first, second = (random_sem(8, random_state=seed).B for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(random_sem(8, random_state=5).B, first)


def test_erdos_renyi_has_the_stated_number_of_edges():
    """Edges of 200 graphs are binomial; 5 standard deviations (false alarm 6e-7)."""
    p, degree, reps = 30, 4.0, 200
    edges = sum(random_dag(p, expected_degree=degree, random_state=k).sum() for k in range(reps))
    pairs, chance = reps * p * (p - 1) / 2, degree / (p - 1)
    assert abs(edges - pairs * chance) < 5 * np.sqrt(pairs * chance * (1 - chance))


def test_random_sem_has_an_inner_target_and_stable_streams():
    sem = random_sem(10, random_state=1)
    assert sem.parents(sem.target)
    assert sem.children(sem.target)
    np.testing.assert_array_equal(sem.B, random_sem(10, random_state=1).B)
    np.testing.assert_allclose(np.diag(sem.cov()), 1.0)
    noisy = random_sem(10, random_state=1, noise=Laplace())  # noise has no say in graph and weights
    np.testing.assert_array_equal(noisy.B != 0, sem.B != 0)
    with pytest.raises(ValueError, match="None of 50 random graphs.*raise p or expected_degree"):
        random_sem(5, expected_degree=0.0)
