"""Everything a model can do, against moments written down from its definition; nothing here goes through a draft.

The base model has all that can be forgotten: skewed laws with means, intercepts, an earlier Gaussian shift, and common
causes.
"""

import copy
import pickle

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causalinv import sem as lab
from causalinv.datasets import make_invariance_environments
from causalinv.exceptions import DegenerateInputWarning
from causalinv.inspection import EnvironmentsDisplay
from causalinv.linear_rule import least_squares
from causalinv.sem import LinearSEM
from causalinv.sem import _solver as solver_module

B = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1.5, 0, 0, 0, 0, 0],
        [-0.7, 0.4, 0, 0, 0, 0],
        [0, 0, 2.0, 0, 0, 0],
        [0.3, 0, 0, -1.1, 0, 0],
        [0, 0.9, 0, 0, 0.6, 0],
    ]
)
LAWS = [
    lab.Exponential(1.2, 0.3),
    lab.Laplace(0.8, -1.0),
    lab.Uniform(1.5, 0.2),
    lab.Gaussian(0.7),
    lab.StudentT(1.1, 0.5, df=7.0),
]
LAWS += [lab.Exponential(0.5, -0.2)]
INTERCEPT = np.array([1.0, 0.0, -2.0, 0.5, 0.0, 3.0])
JOINT = np.array([[2.0, 0.6, 0.1], [0.6, 1.0, -0.3], [0.1, -0.3, 0.5]])


class Hand:
    """Equations as plain arrays."""

    def __init__(self):
        self.B, self.intercept = B.copy(), INTERCEPT.copy()
        self.law_mean = np.array([law.mean for law in LAWS])
        self.own = np.array([law.std for law in LAWS])
        self.shift = np.array([0, 0, 1.3, 0, 0, 0.4])  # standard deviations of earlier shifts
        self.shared = np.zeros((6, 6))
        self.shared[np.ix_([1, 3, 4], [1, 3, 4])] = JOINT

    def moments(self):
        M = np.linalg.inv(np.eye(6) - self.B)
        omega = np.diag(self.own**2 + self.shift**2) + self.shared
        return M @ (self.intercept + self.law_mean), M @ omega @ M.T

    def silence(self, v):
        self.own[v] = self.shift[v] = self.law_mean[v] = 0.0
        self.shared[v] = self.shared[:, v] = 0.0


def base():
    plain = LinearSEM(B, noise=LAWS, intercept=INTERCEPT, names=list("abcdef"))
    model = plain.intervene(
        lab.Shift("c", std=1.3) + lab.Shift("f", std=0.4) + lab.ShiftTogether(["b", "d", "e"], JOINT)
    )
    return model.replace(target="e", features=list("abcdf"))


def do(hand):
    hand.B[1], hand.intercept[1] = 0.0, 2.0
    hand.silence(1)


def experiment(hand):
    do(hand)
    hand.own[1] = 0.7


def set_noise(hand):
    hand.silence(3)
    hand.own[3], hand.law_mean[3] = 2.0, 0.5


def scale_noise(hand):
    hand.own[1] *= 3.0
    hand.shift[1] *= 3.0
    hand.shared[1] *= 3.0
    hand.shared[:, 1] *= 3.0


def scale_then_shift(hand):
    hand.own[2] *= 0.5
    hand.shift[2] = np.hypot(0.5 * hand.shift[2], 2.0)
    hand.intercept[2] += 1.0


def weights(hand):
    hand.B[2] = 0.5 * np.array([4.0, B[2, 1], 0, 0, 0, 0])


def together(hand):
    cov = np.array([[1.0, 0.8], [0.8, 2.0]])
    hand.shared[np.ix_([0, 5], [0, 5])] += cov
    hand.intercept[[0, 5]] += [0.5, -1.0]
    hand.shift[0] = 1.0


CASES = {
    "nothing": (None, lambda hand: None),
    "do": (lab.Do("b", 2.0), do),
    "experiment": (lab.SetNoise("b", lab.Laplace(0.7)) + lab.Do("b", 2.0), experiment),
    "set noise": (lab.SetNoise("d", lab.Exponential(2.0, 0.5)), set_noise),
    "scale noise": (lab.ScaleNoise("b", 3.0), scale_noise),
    "scale then shift": (lab.Shift("c", mean=1.0, std=2.0) + lab.ScaleNoise("c", 0.5), scale_then_shift),
    "weights": (lab.ScaleWeights("c", 0.5) + lab.SetWeights("c", {"a": 4.0}), weights),
    "weights, louder": (
        lab.ScaleWeights("c", 0.5) + lab.SetWeights("c", {"a": 4.0}) + lab.ScaleNoise("b", 3.0),
        lambda hand: (weights(hand), scale_noise(hand)),
    ),
    "together": (
        lab.Shift("a", std=1.0) + lab.ShiftTogether(["a", "f"], [[1.0, 0.8], [0.8, 2.0]], mean=[0.5, -1.0]),
        together,
    ),
}


def by_hand(name):
    hand = Hand()
    CASES[name][1](hand)
    return hand.moments()


@pytest.mark.parametrize("batch", [solver_module._BATCH_BYTES, 1], ids=["one batch", "tiny batches"])
def test_every_intervention_has_the_moments_of_its_definition(batch, monkeypatch):
    monkeypatch.setattr(solver_module, "_BATCH_BYTES", batch)
    names = list(CASES) * 2  # several environments of each mechanism
    envs = base().environments([CASES[name][0] for name in names])
    for e, name in enumerate(names):
        mean, cov = by_hand(name)
        for found_mean, found_cov in (
            (envs.means()[e], envs.covs()[e]),
            (envs.model(e).mean(), envs.model(e).cov()),
        ):
            np.testing.assert_allclose(found_mean, mean, atol=1e-12, err_msg=name)
            np.testing.assert_allclose(found_cov, cov, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_samples_have_the_third_moments_of_the_laws(name):
    """Third central moments are sums over independent sources: only exponential laws have one, 2 std³. 7 errors."""
    hand = Hand()
    CASES[name][1](hand)
    skewed = {0: 1.2, 5: 0.5}
    if name == "set noise":
        skewed[3] = 2.0
    M = np.linalg.inv(np.eye(6) - hand.B)
    third = sum(2 * std**3 * M[:, v] ** 3 for v, std in skewed.items())
    envs = base().environments([CASES[name][0]])
    X, y, _ = envs.sample(400_000, random_state=3)
    rows = np.insert(X, 4, y, axis=1)
    mean, cov = hand.moments()
    cubes = (rows - mean) * (rows - mean) * (rows - mean)
    found, error = cubes.mean(axis=0), cubes.std(axis=0) / np.sqrt(len(rows))
    for v in range(6):
        if cov[v, v] > 0:
            assert abs(found[v] - third[v]) < 7 * error[v], (name, v)
    direct = envs.model(0).sample(400_000, random_state=4)
    gap = np.abs(np.cov(direct.T, ddof=0) - cov) / np.maximum(np.sqrt(np.outer(np.diag(cov), np.diag(cov))), 1e-12)
    assert gap.max() < 0.012  # the standard error of a correlation is 0.0016, of a variance up to 0.004


def test_transforms_of_a_model_with_everything():
    sem = base()
    mean, cov = by_hand("nothing")
    scale = np.sqrt(np.diag(cov))
    unit = sem.standardize()
    np.testing.assert_allclose(unit.cov(), cov / np.outer(scale, scale), atol=1e-12)
    np.testing.assert_allclose(unit.mean(), mean / scale, atol=1e-12)

    for drop in (["a"], ["c"], ["a", "c", "d"], ["b", "f"]):
        keep = [i for i in range(6) if sem.names[i] not in drop]
        seen = sem.marginalize(drop)
        np.testing.assert_allclose(seen.cov(), cov[np.ix_(keep, keep)], atol=1e-12)
        np.testing.assert_allclose(seen.mean(), mean[keep], atol=1e-12)
        third = sum(2 * s**3 * sem.M[:, v] ** 3 for v, s in {0: 1.2, 5: 0.5}.items())[keep]
        cubes = (seen.sample(400_000, random_state=1) - mean[keep]) ** 3
        assert (np.abs(cubes.mean(0) - third) < 7 * cubes.std(0) / np.sqrt(len(cubes))).all()

    A = np.random.default_rng(0).normal(size=(4, 5))
    watched = sem.observe(A, noise=0.3)
    at = list(sem.features)
    block = watched.cov()[np.ix_(watched.features, watched.features)]
    np.testing.assert_allclose(block, A @ cov[np.ix_(at, at)] @ A.T + 0.09 * np.eye(4), atol=1e-11)
    np.testing.assert_allclose(watched.mean()[list(watched.features)], A @ mean[at], atol=1e-12)
    np.testing.assert_allclose(watched.cov()[:6, :6], cov, atol=1e-12)


def test_families_add_to_a_model_with_everything():
    sem = base()
    envs = lab.InterventionFamily(["a", "c"], kind="random_shift").environments(sem, 3, baseline=True, random_state=0)
    for e in range(4):
        hand = Hand()
        hand.intercept[0] += envs.theta[e, 0]
        hand.intercept[2] += envs.theta[e, 2]
        hand.shift[0], hand.shift[2] = np.sqrt(envs.theta[e, 1]), np.sqrt(1.3**2 + envs.theta[e, 3])
        mean, cov = hand.moments()
        np.testing.assert_allclose(envs.means()[e], mean, atol=1e-12)
        np.testing.assert_allclose(envs.covs()[e], cov, atol=1e-12)
        np.testing.assert_allclose(envs.model(e).cov(), cov, atol=1e-12)


# -- exact zeros ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [6, 12, 30])
def test_a_node_set_by_do_is_constant_to_the_bit(p):
    for seed in range(40):
        sem = lab.random_sem(p, expected_degree=4.0, standardize=False, random_state=seed)
        node = next(v for v in sem.topological_order() if sem.parents(v) and v != sem.target)
        envs = sem.environments([None, lab.Do(node, 4.0), lab.Do(node, -1.0) + lab.ScaleWeights(sem.features[0], 0.5)])
        assert (envs.covs()[1:, node] == 0).all()
        assert (envs.covs()[1:, :, node] == 0).all()
        X, _, labels = envs.sample(5, random_state=0)
        assert np.ptp(X[labels == 1, sem.features.index(node)]) == 0
        coef = least_squares(envs.moments().select(cells=[1]))[:, 0]
        assert coef[sem.features.index(node)] == 0
        model = least_squares(sem.environments([None])[[0]].moments())
        assert np.abs(coef).max() < 100 * (1 + np.abs(model).max())


def test_marginalizing_an_acyclic_model_stays_acyclic_with_the_edges_that_paths_demand():
    for seed in range(150):
        sem = lab.random_sem(12, expected_degree=5.0, standardize=False, random_state=seed)
        rng = np.random.default_rng(seed)
        drop = rng.choice([v for v in range(12) if v != sem.target], 6, replace=False).tolist()
        keep = [v for v in range(12) if v not in drop]
        seen = sem.marginalize(drop)
        assert seen.is_acyclic
        graph = nx.from_numpy_array(np.array(sem.adjacency) != 0, create_using=nx.DiGraph)
        for i, a in enumerate(keep):
            through = graph.subgraph([*drop, a])
            reach = {a} | nx.descendants(through, a)
            for j, b in enumerate(keep):
                connected = a != b and any(graph.has_edge(v, b) for v in reach)
                assert (seen.B[j, i] != 0) <= connected


def test_one_seed_for_everything_is_not_one_stream():
    """Parameters and rows drawn from the same seed are unrelated: 4 correlations, limit 5 standard deviations."""
    flat = LinearSEM(np.zeros((10, 10)), target=9)
    sites = [0, 1, 2]  # the first draws of a row are these nodes' noise
    # A law of the user's own is drawn row by row, as samples are: here the streams could coincide.
    family = lab.InterventionFamily(sites, kind="shift", law=lambda rng, size: rng.standard_normal(size))
    same = family.environments(flat, 2000, random_state=7)
    X, _, _ = same.sample(1, random_state=7)
    at = [flat.features.index(v) for v in sites]
    noise = X[:, at] - same.theta
    for k in range(3):
        assert abs(np.corrcoef(noise[:, k], same.theta[:, k])[0, 1]) < 5 / np.sqrt(2000)
    single = LinearSEM([[0.0]]).sample(1000, random_state=7)[:, 0]
    assert abs(np.corrcoef(single, same.theta[:1000, 0])[0, 1]) < 5 / np.sqrt(1000)


# -- cyclic models in environments ------------------------------------------------------------------------------------


def test_environments_check_feedback_as_models_do():
    sem = LinearSEM([[0, 0.5, 0], [0.5, 0, 0], [1, 1, 0]], target=2)
    for bad, message in (
        (lab.SetWeights(0, {0: 0.3}), "diagonal at node 0"),
        (lab.SetWeights(0, {1: 2.0}), "no unique solution"),
        (lab.SetWeights(0, {1: 2.0 + 1e-15}), "no unique solution"),
    ):
        for call in (sem.intervene, lambda iv: sem.environments([iv])):
            with pytest.raises(ValueError, match=message):
                call(bad)
    with pytest.warns(DegenerateInputWarning, match="nearly singular"):
        sem.environments([lab.SetWeights(0, {1: 2.0 + 1e-13})])


def test_units_do_not_make_a_cycle_singular():
    sem = LinearSEM([[0, 0.5e9], [0.5e-9, 0]])
    np.testing.assert_allclose(sem.M * [[1, 1e-9], [1e9, 1]], [[4 / 3, 2 / 3], [2 / 3, 4 / 3]])


def test_dropped_nodes_that_form_a_loop_of_gain_one_are_named():
    with pytest.raises(ValueError, match="loop of gain 1 among themselves"):
        LinearSEM([[0, 1, 0], [1, 0, 0.5], [0.3, 0, 0]]).marginalize([0, 1])


@pytest.mark.parametrize(("left", "determined"), [(3e-13, False), (3e-12, True)])
def test_a_loop_through_dropped_nodes_is_of_gain_one_up_to_rounding(left, determined):
    """The second loop of node 0 keeps the model solvable: its determinant is left - 1/4."""
    sem = LinearSEM([[0, 1.0, 0.5], [1.0 - left, 0, 0], [0.5, 0, 0]])
    if determined:
        assert sem.marginalize([1]).B[0, 1] == pytest.approx(0.5 / left, rel=1e-3)
    else:
        with pytest.raises(ValueError, match="has gain 1"):
            sem.marginalize([1])


@pytest.mark.parametrize(("left", "determined"), [(1e-15, False), (1e-14, True)])
def test_a_loop_among_dropped_nodes_is_of_gain_one_up_to_rounding(left, determined):
    """Condition number 4 / left; the edges to and from node 2 keep the model solvable."""
    sem = LinearSEM([[0, 1.0, 0], [1.0 - left, 0, 0.5], [0.3, 0, 0]])
    if determined:
        assert np.isfinite(sem.marginalize([0, 1]).cov()).all()
    else:
        with pytest.raises(ValueError, match="loop of gain 1 among themselves"):
            sem.marginalize([0, 1])


@pytest.mark.parametrize("back", [0.4, 2.5])
def test_a_loop_through_dropped_nodes_scales_all_that_a_node_has(back):
    """Means and covariances by inversion, of loops of gain .6 and -1.5: own law with its mean, shift, common causes."""
    Bc = np.array([[0, back, 0, 0], [1.0, 0, 0, 0.2], [0.7, 0, 0, 0], [0, 0, 0.5, 0]])
    std, mean, shift = np.array([1.0, 0.5, 2.0, 1.5]), np.array([0.3, -1.0, 0.6, 2.0]), np.array([0.9, 1.1, 0.0, 0.4])
    load = np.array([[0.6], [-0.8], [0.0], [1.0]])
    laws = [lab.Exponential(s, m) for s, m in zip(std, mean, strict=True)]
    sem = LinearSEM(
        Bc, noise=laws, intercept=[1.0, 0, 0, -2.0], shift_std=shift, common=lab.CommonCauses(load, (lab.Laplace(),))
    )
    M = np.linalg.inv(np.eye(4) - Bc)
    cov = M @ (np.diag(std**2 + shift**2) + load @ load.T) @ M.T
    seen, keep = sem.marginalize([1]), [0, 2, 3]
    np.testing.assert_allclose(seen.cov(), cov[np.ix_(keep, keep)], atol=1e-11)
    np.testing.assert_allclose(seen.mean(), (M @ (mean + sem.intercept))[keep], atol=1e-11)


# -- objects ----------------------------------------------------------------------------------------------------------


def test_objects_copy_pickle_and_cannot_be_changed():
    sem = base()
    family = lab.InterventionFamily(["a", "c"], kind="random_shift", per_env="single")
    sets = [
        sem.environments([CASES[name][0] for name in CASES], labels=list(CASES)),
        family.environments(sem, 4, random_state=0),
        family.environments(sem, 4, random_state=0)[[2, 0]],
        lab.InterventionFamily(["c"], kind="weights").environments(sem, 3, random_state=0),
    ]
    for copied in (copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        for envs in sets:
            again = copied(envs)
            np.testing.assert_array_equal(again.covs(), envs.covs())
            assert again.interventions == envs.interventions
            for first, second in zip(again.sample(3, random_state=0), envs.sample(3, random_state=0), strict=True):
                np.testing.assert_array_equal(first, second)
        same = copied(sem)
        for array in (same.B, same.own_std, same.common.loading, sem.constants, sem.shift_std, sem.M):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        sets[1].theta[0] = 99.0
    with pytest.raises(TypeError):
        lab.SetWeights("c", {"a": 1.0}).weights[0] = ("a", 2.0)


def test_slices_are_the_environments_they_name_without_new_warnings():
    sem = base()
    names = list(CASES)
    with pytest.warns(match="target .e.: 1 of 10"):
        envs = sem.environments([*(CASES[n][0] for n in names), lab.Shift("e", 1.0)], labels=[*names, "target"])
    for which in (slice(None, None, -1), [3, 1, 8], np.arange(10) % 2 == 0, -1):
        part = envs[which]
        at = np.atleast_1d(np.arange(10)[which])
        assert list(part.labels) == list(envs.labels[at])
        np.testing.assert_allclose(part.covs(), envs.covs()[at], rtol=1e-12, atol=1e-14)
        assert part.interventions == tuple(envs.interventions[i] for i in at)
        pieces = list(part.iter_moments(memory_limit=1))
        np.testing.assert_allclose(np.concatenate([m.cov("y") for m in pieces]), part.moments().cov("y"), rtol=1e-12)


def test_slices_keep_each_environments_own_weights():
    envs = lab.InterventionFamily(["c", "d"], kind="weights").environments(base(), 5, random_state=0)
    for which in (slice(None, None, -1), [3, 0]):
        np.testing.assert_allclose(envs[which].covs(), envs.covs()[which], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["variance", "weights"])
def test_families_need_a_target_and_an_environment(kind):
    plain = LinearSEM(B, names=list("abcdef"))
    with pytest.raises(ValueError, match="The model has no target"):
        lab.InterventionFamily(["b"], kind=kind).environments(plain, 3)
    for n, message in ((0, "there is no environment"), (-1, "n must be a whole number >= 0"), (2.5, "whole number")):
        with pytest.raises(ValueError, match=message):
            lab.InterventionFamily(["b"], kind=kind).environments(base(), n)
    assert len(lab.InterventionFamily(["b"], kind=kind).environments(base(), 0, baseline=True)) == 1
    with pytest.raises(ValueError, match="one row for each of 2 environments"):
        lab.EnvironmentSet(base(), [None, None], theta=np.ones(7))
    with pytest.raises(ValueError, match="negative added variance: -1"):
        lab.InterventionFamily(["b"]).interventions(base(), [[-1.0]])
    with pytest.raises(ValueError, match="theta holds NaN"):
        lab.InterventionFamily(["b"]).interventions(base(), [[np.nan]])


def test_one_site_at_a_time_visits_every_site_with_the_default_law():
    family = lab.InterventionFamily(["a", "c", "d"], per_env="single")
    theta = family.draw(base(), 6000, random_state=0)
    moved = theta > 0
    assert (moved.sum(axis=1) == 1).all()
    assert (np.abs(moved.sum(axis=0) - 2000) < 5 * np.sqrt(6000 * 2 / 9)).all()
    sizes = theta[moved]
    assert abs(sizes.mean() - 1.0) < 5 / np.sqrt(6000)  # exponential with mean and standard deviation 1
    assert abs(sizes.std() - 1.0) < 5 * np.sqrt(8 / 4 / 6000)


def test_labels_of_frames_and_graphs_are_names_not_positions():
    order = ["y", "a", "b"]
    frame = pd.DataFrame([[0, 2.0, 0], [0, 0, 0], [3.0, 0, 0]], index=order, columns=order)
    sem = LinearSEM(frame[["b", "y", "a"]], target="y")  # columns in another order
    assert sem.names == ("y", "a", "b")
    assert sem.parents("y") == (1,)
    assert LinearSEM.from_adjacency(frame.T).parents("y") == (1,)
    with pytest.raises(ValueError, match="same labels"):
        LinearSEM(frame.rename(columns={"a": "z"}))
    graph = nx.DiGraph([(2, 0), (0, 1)])
    nx.set_edge_attributes(graph, 1.0, "weight")
    for numbered in (
        LinearSEM.from_networkx(graph, target=2),
        LinearSEM.from_frame(pd.DataFrame({"parent": [2, 0], "child": [0, 1], "weight": [1.0, 1.0]}), target=2),
        LinearSEM.from_frame(pd.DataFrame({"parent": [2, 0], "child": [0.0, 1.0], "weight": [1.0, 1.0]}), target=2),
        LinearSEM.from_frame(
            pd.DataFrame({"parent": [2, 0], "child": [0, 1], "weight": [1.0, 1.0]}), target=2, names=["1", "0", "2"]
        ),
    ):
        assert numbered.names[numbered.target] == "2"
    with pytest.raises(ValueError, match="undirected"):
        LinearSEM.from_networkx(nx.Graph([(0, 1)]))
    mixing = pd.DataFrame([[1.0, 10.0]], columns=["b", "a"], index=["meter"])
    watched = sem.observe(mixing)
    assert watched.names[-1] == "meter"
    assert watched.B[3, watched.node("a")] == 10.0
    with pytest.raises(ValueError, match="must name the features"):
        sem.observe(mixing.rename(columns={"a": "z"}))


# -- smaller facts ----------------------------------------------------------------------------------------------------


def test_kurtosis_is_scipys():
    laws = {
        lab.Gaussian(): stats.norm,
        lab.Uniform(): stats.uniform,
        lab.Laplace(): stats.laplace,
        lab.Exponential(): stats.expon,
    }
    for law, reference in laws.items():
        assert law.kurtosis == pytest.approx(3 + float(reference.stats(moments="k")))
    for df in (4.5, 7.0, 30.0):
        assert lab.StudentT(df=df).kurtosis == pytest.approx(3 + float(stats.t(df).stats(moments="k")))
    assert lab.StudentT(df=4.0).kurtosis == np.inf
    values = [0.0, 1.0, 5.0, 5.5]
    assert lab.Empirical(values).kurtosis == pytest.approx(3 + stats.kurtosis(values))


def test_markov_blanket_holds_the_other_parents_of_children():
    collider = lab.textbook_sem("collider")
    assert collider.markov_blanket("x1") == (1, 2)


def test_in_degrees_and_layers_follow_their_law():
    degrees = np.concatenate(
        [lab.random_dag(40, kind="bounded", max_in_degree=3, random_state=k).sum(axis=0) for k in range(10)]
    )
    assert set(degrees[degrees > 0]) == {1, 2, 3}
    assert abs(np.mean(degrees[degrees > 0]) - 2.0) < 0.25
    full = lab.random_dag(12, kind="layered", n_layers=3, expected_degree=16 * 2 * 2 / 12, random_state=0)
    depth = [len(generation) for generation in nx.topological_generations(nx.DiGraph(full))]
    assert depth == [4, 4, 4]


def test_parents_are_positions_in_x():
    for seed in range(12):
        data = make_invariance_environments(5, n_features=6, random_state=seed)
        names = [data.feature_names[j] for j in data.parents]
        assert names == [data.sem.names[v] for v in data.sem.parents(data.sem.target)]


def test_the_second_axis_is_the_target_by_default():
    envs = base().environments([None, lab.Do("a", 1.0)])
    display = EnvironmentsDisplay.from_environments(envs, "a")
    assert display.names == ("a", "e")
    np.testing.assert_array_equal(display.means, envs.means()[:, [0, 4]])
    np.testing.assert_array_equal(display.covs, envs.covs()[:, [[0], [4]], [0, 4]])


def test_scaling_a_node_scales_its_moments():
    sem = lab.random_cyclic_sem(5, random_state=2)
    D = np.diag([1.0, 10.0, 0.1, 3.0, 1.0])
    scaled = LinearSEM(D @ sem.B @ np.linalg.inv(D), noise=np.diag(D) * sem.own_std)
    np.testing.assert_allclose(scaled.cov(), D @ sem.cov() @ D, rtol=1e-10)
    np.testing.assert_allclose(scaled.standardize().cov(), sem.standardize().cov(), atol=1e-12)
