"""Regression, conditioning, separation in a population: against closed forms, other algebra, samples, networkx."""

import itertools

import networkx as nx
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from causalinv.exceptions import CyclicModelError, DegenerateInputWarning
from causalinv.sem import (
    CommonCauses,
    Do,
    Exponential,
    Gaussian,
    Laplace,
    LinearSEM,
    SetNoise,
    Shift,
    ShiftTogether,
    Uniform,
    random_cyclic_sem,
    random_sem,
    textbook_sem,
)


def precision_of(sem, at):
    return np.linalg.inv(sem.cov()[np.ix_(at, at)])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cyclic", [False, True])
def test_regression_is_read_off_the_inverse_covariance(seed, cyclic):
    """Coefficients -P_yj / P_yy and residual variance 1 / P_yy with P = cov^-1, which solves no normal equations."""
    draw = random_cyclic_sem if cyclic else random_sem
    sem = draw(7, expected_degree=3.0, random_state=seed).replace(intercept=np.arange(7.0), target=None)
    sem = sem.intervene(ShiftTogether([0, 1], [[2.0, 1.0], [1.0, 1.0]]) + Shift(2, 1.0, 3.0))
    y, *on = np.random.default_rng(seed).permutation(7)[:5].tolist()
    fit = sem.regress(y, on)
    precision = precision_of(sem, [y, *on])
    np.testing.assert_allclose(fit.coef, -precision[0, 1:] / precision[0, 0], atol=1e-10)
    assert fit.residual_variance == pytest.approx(1 / precision[0, 0])
    assert fit.variance == pytest.approx(sem.cov()[y, y])
    assert fit.r2 == pytest.approx(1 - 1 / (precision[0, 0] * sem.cov()[y, y]))
    assert fit.intercept + fit.coef @ sem.mean()[on] == pytest.approx(sem.mean()[y])
    assert fit.exact
    assert sem.regress(y, []).residual_variance == pytest.approx(sem.cov()[y, y])


def test_regression_on_parents_gives_the_structural_equation():
    sem = random_sem(8, expected_degree=3.0, standardize=False, noise=Laplace(0.7), random_state=2)
    for node in range(8):
        parents = sem.parents(node)
        fit = sem.regress(node, parents)
        np.testing.assert_allclose(fit.coef, sem.B[node, list(parents)], atol=1e-10)
        assert fit.residual_variance == pytest.approx(0.49)
        assert fit.exact  # a node's own noise is independent of its causes, whatever its law


def test_textbook_regressions_and_units():
    for name, on, coef in (("fork", ["x1", "x2"], [1 / 3, 1 / 3]), ("collider", ["x1", "x2"], [-1 / 2, 1 / 2])):
        np.testing.assert_allclose(textbook_sem(name).regress("y", on).coef, coef)
    spurious = textbook_sem("spurious")
    np.testing.assert_allclose(spurious.regress("y", ["x2", "x1"]).coef, [100 / 101, 1 / 101])
    proxy = textbook_sem("proxy").regress("y", ["x1", "x2"])
    assert proxy.residual_variance == 0.0
    assert proxy.r2 == 1.0
    for unit in (1e-60, 1e60):
        scaled = LinearSEM([[0, 0], [2.0 / unit, 0]], noise=[unit, 1.0]).regress(1, [0])
        assert scaled.coef[0] == pytest.approx(2.0 / unit)
        assert scaled.residual_variance == pytest.approx(1.0)


def test_regressors_that_are_constant_or_dependent_are_said():
    # z2 = z0 + z1 exactly; z3 = 0.1 z0 + 0.2 z0 - 0.3 z0 is a constant up to rounding (its parents are copies of z0).
    B = np.zeros((6, 6))
    B[2, [0, 1]] = 1.0
    B[3, 0], B[4, [0, 3]] = 3.0, [0.3, -0.1]
    B[5, [0, 1]] = [1.0, 2.0]
    sem = LinearSEM(B, noise=[1.0, 1.0, 0.0, 0.0, 0.0, 1.0], names=["a", "b", "sum", "copy", "zero", "y"])
    assert sem.varies().tolist() == [True, True, True, True, False, True]
    with pytest.raises(ValueError, match="'zero' has variance 0"):
        sem.standardize()
    with pytest.warns(DegenerateInputWarning, match="3 regressors that vary span only 2 dimensions"):
        fit = sem.regress("y", ["a", "b", "sum"])
    assert fit.residual_variance == pytest.approx(1.0)
    np.testing.assert_allclose(fit.coef[:2] + fit.coef[2], [1.0, 2.0])
    unit = np.array([1.0, 1.0, np.sqrt(2.0)])
    null = np.array([1.0, 1.0, -1.0]) * unit  # a + b - sum = 0, in standardised coefficients
    assert (fit.coef * unit) @ null == pytest.approx(0.0)  # minimum norm: nothing along it
    with pytest.warns(DegenerateInputWarning, match=r"\['zero'\] are constant"):
        still = sem.regress("y", ["a", "zero"])
    assert still.coef[1] == 0.0
    assert still.coef[0] == pytest.approx(1.0)
    assert sem.regress("zero", ["a"]).residual_variance == 0.0
    assert np.isnan(sem.regress("zero", ["a"]).r2)


@pytest.mark.parametrize("seed", range(4))
def test_conditional_law_is_the_ratio_of_gaussian_densities(seed):
    """p(r | s) = p(r, s) / p(s), evaluated by scipy at random points."""
    rng = np.random.default_rng(seed)
    sem = random_sem(6, expected_degree=3.0, random_state=seed).replace(intercept=rng.normal(size=6), target=None)
    sem = sem.intervene(ShiftTogether([1, 3], [[1.0, 0.5], [0.5, 1.0]]))
    seen = rng.choice(6, 2, replace=False).tolist()
    values = rng.normal(size=2)
    law = sem.condition(dict(zip(seen, values, strict=True)))
    rest = [sem.node(name) for name in law.names]
    whole, marginal = (multivariate_normal(sem.mean()[at], sem.cov()[np.ix_(at, at)]) for at in ([*rest, *seen], seen))
    for _ in range(5):
        r = rng.normal(size=len(rest))
        expected = whole.logpdf(np.r_[r, values]) - marginal.logpdf(values)
        assert multivariate_normal(law.mean, law.cov).logpdf(r) == pytest.approx(expected)
    assert law.exact
    assert sem.condition({}).mean == pytest.approx(sem.mean())
    np.testing.assert_allclose(sem.condition({}).cov, sem.cov(), atol=1e-12)


def test_conditioning_is_not_intervening():
    sem = textbook_sem("chain")
    assert sem.condition({"y": 1.0}, nodes=["x1"]).mean[0] == pytest.approx(0.5)
    assert sem.intervene(Do("x1", 1.0)).regress("x2", ["y"]).coef[0] == pytest.approx(1.0)


def test_exact_is_said_only_where_the_conditional_mean_is_a_line():
    """Judged on samples: the mean of the residual within tenths of the regressor, and its spread there."""
    models = {
        "all Gaussian": (LinearSEM([[0, 0], [1.0, 0]]), True),
        "skewed cause": (LinearSEM([[0, 0], [1.0, 0]], noise=[Exponential(), Gaussian()]), True),
        "skewed effect, regressed backwards": (LinearSEM([[0, 1.0], [0, 0]], noise=[1.0, Exponential()]), False),
        "two flat sources": (LinearSEM([[0, 1.0], [0, 0]], noise=[Uniform(), Uniform()]), False),
    }
    for name, (sem, exact) in models.items():
        fit = sem.regress(1, [0])
        assert fit.exact is exact, name
        assert sem.condition({0: 0.5}).exact is exact
        x, y = sem.sample(200_000, random_state=0).T
        residual = y - fit.intercept - fit.coef[0] * x
        bins = np.digitize(x, np.quantile(x, np.linspace(0.1, 0.9, 9)))
        means = np.array([residual[bins == b].mean() for b in range(10)])
        spreads = np.array([residual[bins == b].std() for b in range(10)])
        flat = np.abs(means).max() < 0.03 and np.ptp(spreads) < 0.03
        assert bool(flat) == exact, name
    assert LinearSEM([[0, 0], [1.0, 0]], noise=Laplace()).condition({}).exact


@pytest.mark.parametrize("seed", range(4))
def test_separation_is_that_of_networkx_and_of_vanishing_partial_correlations(seed):
    sem = random_sem(6, expected_degree=2.5, random_state=seed)
    graph = nx.DiGraph([(j, i) for i, j in zip(*np.nonzero(sem.B), strict=True)])
    graph.add_nodes_from(range(6))
    answers = []
    for x, y in itertools.combinations(range(6), 2):
        others = [v for v in range(6) if v not in (x, y)]
        for size in range(5):
            for given in itertools.combinations(others, size):
                separated = sem.d_separated(x, sem.names[y], given)
                assert separated == nx.is_d_separator(graph, {x}, {y}, set(given))
                precision = precision_of(sem, [x, y, *given])
                partial = precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
                assert separated == (abs(partial) < 1e-8)  # random weights are faithful
                answers.append(separated)
    assert any(answers)
    assert not all(answers)


def test_hidden_causes_open_paths_and_sets_are_taken_together():
    sem = textbook_sem("instrument")  # z -> x -> y with hidden u -> x, y
    assert sem.d_separated("z", "u")
    assert not sem.d_separated("z", "u", ["x"])
    assert not sem.d_separated("z", ["u", "y"])
    assert sem.d_separated(["z"], "y", ["x", "u"])
    dropped = sem.marginalize(["u"])
    assert dropped.common.laws
    assert not dropped.d_separated("z", "y", ["x"])  # through the hidden cause, opened by x
    assert not LinearSEM.with_noise_cov(np.zeros((2, 2)), [[1.0, 0.5], [0.5, 1.0]]).d_separated(0, 1)
    assert LinearSEM.with_noise_cov(np.zeros((2, 2)), np.eye(2)).d_separated(0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_noise_that_is_uncorrelated_joins_no_nodes(seed):
    """The truth: for almost all weights, partial correlations vanish exactly where m-separation says so."""
    rng = np.random.default_rng(seed)
    B = np.tril(rng.normal(size=(5, 5)) * (rng.random((5, 5)) < 0.4), -1)
    pairs = np.triu(rng.uniform(0.2, 0.4, (5, 5)) * (rng.random((5, 5)) < 0.4), 1)
    order = rng.permutation(5)
    units = 10.0 ** np.arange(5)
    noise_cov = (pairs + pairs.T + 1.7 * np.eye(5))[np.ix_(order, order)] * np.outer(units, units)
    shifted = ShiftTogether(range(5), noise_cov)
    B = B[np.ix_(order, order)]
    for sem in (LinearSEM.with_noise_cov(B, noise_cov), LinearSEM(B, noise=0.0).intervene(shifted)):
        for x, y in itertools.combinations(range(5), 2):
            others = [v for v in range(5) if v not in (x, y)]
            for given in itertools.chain.from_iterable(itertools.combinations(others, k) for k in range(4)):
                precision = precision_of(sem, [x, y, *given])
                partial = precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
                assert sem.d_separated(x, y, given) == (abs(partial) < 1e-8), (x, y, given)


def test_noise_in_small_units_is_not_lost_beside_noise_in_large_ones():
    noise_cov = np.array([[1e10, 0.5], [0.5, 1e-10]])
    np.testing.assert_allclose(LinearSEM.with_noise_cov(np.zeros((2, 2)), noise_cov).cov(), noise_cov, rtol=1e-12)
    shifted = LinearSEM(np.zeros((2, 2)), noise=0.0).intervene(ShiftTogether([0, 1], noise_cov))
    np.testing.assert_allclose(shifted.cov(), noise_cov, rtol=1e-12)


def test_a_hidden_cause_that_is_not_gaussian_stays_one_node():
    cause = CommonCauses(np.ones((3, 1)), (Uniform(),))
    assert not LinearSEM(np.zeros((3, 3)), common=cause).d_separated(0, 2)
    both = CommonCauses(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), (Uniform(), Gaussian()))
    sem = LinearSEM(np.zeros((3, 3)), common=both)
    assert sem.d_separated(0, 2)
    assert not sem.d_separated(0, 2, [1])


CHAIN = textbook_sem("chain")
STUCK = CHAIN.intervene(Do("x1", 2.0) + SetNoise("x2", 0.0))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: CHAIN.regress("y", ["y"]), "on holds y itself, 'y'"),
        (lambda: CHAIN.regress("y", ["x1", 0]), "on holds 'x1' twice"),
        (lambda: CHAIN.regress("y", "x1"), "on must be a sequence of nodes"),
        (lambda: CHAIN.regress("q", ["x1"]), "no node 'q'"),
        (lambda: CHAIN.regress("y", None), "on must be a sequence of nodes"),
        (lambda: CHAIN.condition(["x1"]), "given must be a mapping"),
        (lambda: CHAIN.condition({"x1": np.inf}), "value of 'x1' in given must be finite"),
        (lambda: CHAIN.condition({"x1": "2"}), "value of 'x1' in given must be a real number"),
        (lambda: CHAIN.condition({"x1": 1.0, 0: 1.0}), "given holds 'x1' twice"),
        (lambda: CHAIN.condition({"x1": 1.0}, nodes=["x1"]), "'x1' is in given and in nodes"),
        (lambda: CHAIN.condition({"x1": 1.0}, nodes=[]), "nodes is empty"),
        (lambda: CHAIN.condition(dict.fromkeys(["x1", "x2", "y"], 1.0)), "nodes is empty"),
        (lambda: STUCK.condition({"x1": 3.0}), "'x1' = 3, but in this model it is always 2"),
        (lambda: STUCK.condition({"y": 1.0, "x2": 2.0}), "given is impossible: in this model y, x2 determine"),
        (lambda: CHAIN.d_separated("x1", "x1"), "x and y both hold 'x1'"),
        (lambda: CHAIN.d_separated("x1", "x2", ["x1"]), "x and given both hold 'x1'"),
        (lambda: CHAIN.d_separated([], "x2"), "x is empty"),
        (lambda: CHAIN.d_separated("x1", "x2", "y"), "given must be a sequence of nodes"),
        (lambda: textbook_sem("feedback").d_separated("x", "y"), "cyclic"),
    ],
)
def test_questions_that_make_no_sense_are_refused_by_name(call, match):
    with pytest.raises((ValueError, TypeError, CyclicModelError), match=match):
        call()


def test_what_is_possible_is_answered_where_nodes_are_constant():
    assert STUCK.condition({"x1": 2.0}).mean == pytest.approx([2.0, 2.0])
    law = STUCK.condition({"y": 3.0, "x2": 3.0})
    assert law.names == ("x1",)
    assert law.cov[0, 0] == 0.0


# -- how much is rounding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "possible"), [(4e-9, True), (3e-8, False)])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e6])
def test_what_was_seen_may_contradict_the_model_by_rounding_only(size, possible, share):
    """A constant by a hundred-millionth of itself; equal nodes by that of their spread, or of what was seen."""
    still = LinearSEM(np.zeros((2, 2)), noise=[0.0, 1.0], intercept=[size, 0.0])
    twins = LinearSEM([[0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]], noise=[1.0, 0.0, 1.0])
    apart = 2 * share * max(size, 1.0)  # each is off by half of it
    for ask in (
        lambda: still.condition({0: size * (1 + share)}),
        lambda: twins.condition({0: size, 1: size + apart}),
    ):
        if possible:
            assert np.isfinite(ask().mean).all()
        else:
            with pytest.raises(ValueError, match="given"):
                ask()


@pytest.mark.parametrize(("share", "exact"), [(3e-10, True), (3e-9, False)])
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_a_skewed_source_counts_from_a_billionth_of_a_spread(unit, share, exact):
    """x has so much of the skewed e that y is made of."""
    sem = LinearSEM([[0, 0, 0], [share * unit, 0, 0], [1.0, 0, 0]], noise=[Exponential(), unit, 0.0])
    assert sem.regress(2, [1]).exact is exact


@pytest.mark.parametrize(("share", "apart"), [(6e-13, False), (6e-12, True)])
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_regressors_and_noise_are_told_apart_down_to_a_millionth_of_a_millionth(unit, share, apart):
    """Singular values of the standardised loadings of x and x + share z are the root of 2, and share over it."""
    copy = LinearSEM([[0, 0, 0], [0, 0, 0], [unit, unit * share, 0]], noise=[1.0, 1.0, 0.0])
    model = LinearSEM(np.pad(copy.B, ((0, 1), (0, 1))), noise=[1.0, 1.0, 0.0, 1.0])
    if apart:
        assert model.regress(3, [0, 2]).exact
    else:
        with pytest.warns(DegenerateInputWarning, match="span only 1 dimension"):
            model.regress(3, [0, 2])
    noise = np.array([[1.0, share * unit], [share * unit, unit**2]])
    assert LinearSEM.with_noise_cov(np.zeros((2, 2)), noise).d_separated(0, 1) is not apart
