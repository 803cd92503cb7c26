"""Interventions do what their definition says, in exact moments; environments carry them to X and y."""

import numpy as np
import pytest

from causalinv import Moments
from causalinv.exceptions import CyclicModelError, TargetInterventionWarning
from causalinv.sem import Do, Gaussian, Laplace, LinearSEM, ScaleNoise, SetNoise, SetWeights, Shift, random_sem

#: x -> m -> y, x -> y
SEM = LinearSEM(
    [[0, 0, 0], [2.0, 0, 0], [1.0, 3.0, 0]], noise=[1.0, 0.5, 2.0], intercept=[1.0, 0, 0], names=["x", "m", "y"]
)


def test_do_cuts_parents_and_noise():
    done = SEM.intervene(Do("m", 4.0))
    np.testing.assert_allclose(done.mean(), [1.0, 4.0, 13.0])
    np.testing.assert_allclose(done.cov(), [[1, 0, 1], [0, 0, 0], [1, 0, 5]])


def test_shift_scale_set_by_hand():
    shifted = SEM.intervene(Shift("m", mean=1.0, std=2.0))
    np.testing.assert_allclose(shifted.mean() - SEM.mean(), [0, 1, 3])
    np.testing.assert_allclose(shifted.cov() - SEM.cov(), 4.0 * np.outer([0, 1, 3], [0, 1, 3]))
    scaled = SEM.intervene(ScaleNoise("x", 3.0))
    effect = np.array([1, 2, 7])
    np.testing.assert_allclose(scaled.cov() - SEM.cov(), 8.0 * np.outer(effect, effect))
    fresh = SEM.intervene(SetNoise("y", Laplace(5.0, mean=1.0)))
    np.testing.assert_allclose(fresh.cov() - SEM.cov(), np.diag([0, 0, 21.0]))
    np.testing.assert_allclose(fresh.mean() - SEM.mean(), [0, 0, 1])
    changed = SEM.intervene(SetWeights("y", {"m": 0.0}))
    np.testing.assert_allclose(changed.B[2], [1.0, 0, 0])  # the other parent stays


def test_composition_is_free_of_order_and_adds():
    parts = [
        Do("m", 4.0),
        Shift("m", mean=1.0, std=2.0),
        SetNoise("x", 3.0),
        Shift("x", mean=-1.0),
        Shift("x", mean=2.0),
    ]
    models = []
    for order in (parts, parts[::-1], parts[2:] + parts[:2]):
        total = order[0]
        for part in order[1:]:
            total = total + part
        models.append(SEM.intervene(total))
    assert total.sites in {("x", "m"), ("m", "x")}
    for model in models:
        np.testing.assert_allclose(model.mean()[:2], [2.0, 5.0])
        np.testing.assert_allclose(np.diag(model.cov())[:2], [9.0, 4.0])


def test_do_plus_noise_is_a_randomised_experiment():
    model = SEM.intervene(Do("m", 4.0) + SetNoise("m", 0.7))
    np.testing.assert_allclose(model.mean()[1], 4.0)
    np.testing.assert_allclose(model.cov()[1], [0, 0.49, 3 * 0.49])


def test_random_shift_of_another_family_has_exact_moments_and_samples():
    model = LinearSEM([[0.0]], noise=Laplace(1.0)).intervene(Shift(0, std=2.0)).intervene(ScaleNoise(0, 3.0))
    assert model.cov()[0, 0] == pytest.approx(45.0)
    z = model.sample(400_000, random_state=0)[:, 0]
    kurtosis = 3 + 3 * (1 / 5) ** 2  # the Laplace part, a fifth of the variance, has 3 in excess
    assert abs(z.var() - 45.0) < 6 * 45.0 * np.sqrt((kurtosis - 1) / len(z))
    assert abs(np.mean((z / z.std()) ** 4) - kurtosis) < 0.1


def test_setting_the_same_thing_twice_raises():
    clashes = {
        "equation": Do("m", 1.0) + SetWeights("m", {"x": 1.0}),
        "noise": SetNoise("m", 1.0) + SetNoise(1, 2.0),
    }
    for what, intervention in clashes.items():
        with pytest.raises(ValueError, match=rf"set the {what} of node 'm'; keep one"):
            SEM.intervene(intervention)
    for same in (Do("m", 1.0) + Do("m", 2.0), SetWeights("m", {"x": 1.0}) + SetWeights("m", {0: 2.0})):
        with pytest.raises(ValueError, match="set the equation of node 'm'"):
            SEM.intervene(same)


def test_closing_a_cycle_raises_unless_the_model_was_cyclic():
    with pytest.raises(CyclicModelError, match="closes a cycle"):
        SEM.intervene(SetWeights("x", {"y": 0.1}))
    cyclic = LinearSEM([[0, 0.5], [0.5, 0]])
    assert not cyclic.intervene(SetWeights(0, {1: 0.1})).is_acyclic


def test_repr_evaluates_back_and_interventions_hash():
    intervention = Do("m", 1.0) + SetNoise("x", Gaussian(2.0)) + SetWeights("y", {"x": 0.5})
    again = eval(repr(intervention))
    assert again == intervention
    assert hash(again) == hash(intervention)


def test_non_descendants_keep_their_law():
    drawn = random_sem(8, random_state=5)
    sem = LinearSEM(drawn.B, noise=drawn.noise)
    node = sem.topological_order()[3]
    rest = [i for i in range(8) if i != node and i not in sem.descendants(node)]
    for intervention in (Do(node, 2.0), Shift(node, 1.0, 2.0), ScaleNoise(node, 3.0)):
        changed = sem.intervene(intervention)
        np.testing.assert_allclose(changed.cov()[np.ix_(rest, rest)], sem.cov()[np.ix_(rest, rest)], atol=1e-13)
        np.testing.assert_allclose(changed.mean()[rest], sem.mean()[rest])


def test_intervening_on_the_target_warns():
    sem = LinearSEM(SEM.B, names=SEM.names, target="y")
    with pytest.warns(TargetInterventionWarning, match="target 'y'.*invariantly"):
        sem.intervene(Shift("y", 1.0))


def test_regression_on_parents_is_invariant_where_the_target_is_untouched():
    sem = random_sem(9, random_state=2)
    others = sem.features
    envs = sem.environments(
        [None, *(Shift(v, mean=1.0, std=2.0) for v in others), *(ScaleNoise(v, 4.0) for v in others)]
    )
    moments = envs.moments()
    parents = [others.index(v) for v in sem.parents(sem.target)]
    for k in range(len(envs)):
        inside = moments.cov("x")[k][np.ix_(parents, parents)]
        coef = np.linalg.solve(inside, moments.cov("x", "y")[k][parents, 0])
        np.testing.assert_allclose(coef, sem.B[sem.target, list(sem.parents(sem.target))], atol=1e-12)


def test_environment_moments_are_those_of_its_models_and_samples():
    sem = LinearSEM(SEM.B, noise=SEM.noise, intercept=SEM.intercept, names=SEM.names, target="m")
    envs = sem.environments([None, Do("x", 2.0), Shift("x", std=3.0)], labels=["calm", "fixed", "wild"])
    population = envs.moments()
    assert list(population.cells) == ["calm", "fixed", "wild"]
    assert population.names["x"] == ("x", "y")
    np.testing.assert_allclose(population.cov("x")[2], envs.covs()[2][np.ix_([0, 2], [0, 2])])
    X, y, labels = envs.sample([100_000, 50_000, 100_000], random_state=0)
    sample = Moments.from_rows(x=X, y=y, environments=labels)
    assert list(sample.count) == [100_000, 50_000, 100_000]
    for k in range(3):  # Gaussian: se of a covariance <= sqrt(2 s_ii s_jj / n); 6 of them
        sd = np.sqrt(np.diag(population.cov("x")[k]))
        limit = 6 * np.sqrt(2 / sample.count[k]) * np.outer(sd, sd) + 1e-12
        assert (np.abs(sample.cov("x")[k] - population.cov("x")[k]) <= limit).all()


def test_adding_environments_leaves_earlier_draws_unchanged():
    sem = LinearSEM(SEM.B, names=SEM.names, target="y")
    few = sem.environments([None, Do("x", 1.0)]).sample(5, random_state=3)
    many = sem.environments([None, Do("x", 1.0), Shift("x", 1.0)]).sample(5, random_state=3)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:10])
