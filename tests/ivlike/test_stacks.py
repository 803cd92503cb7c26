"""Replications in stacks equal those that are read one by one, and what is not sound in a stack leaves it."""

import warnings

import numpy as np
import pytest
from sklearn.preprocessing import PolynomialFeatures

from causalinv import GaussianNoise, IVLikeRegression, IVLikeRegressionCV, Translation
from causalinv._matrix import inverse_roots
from causalinv._parallel import streams
from causalinv.ivlike import FunctionAugmentation
from causalinv.ivlike._bootstrap import _Again, replications, unit_counts
from causalinv.ivlike._pairs import Pairs
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._paths import Split, paths_like
from causalinv.ivlike._resample import Resamples
from causalinv.transformations import FirstStage

B, N = 10, 90
RNG = np.random.default_rng(0)
U, Z, C = RNG.normal(size=N), RNG.normal(size=(N, 5)), RNG.normal(size=(N, 2))
X = Z[:, :4] @ (np.eye(4) + 0.3) + RNG.normal(size=(N, 4)) + U[:, None] + C[:, :1] + 10.0
Y = X @ [1.0, -1.0, 0.5, 0.0] + 2 * U + C[:, 1] + RNG.normal(size=N)
BOTH = np.c_[Y, 1e3 * (X[:, 0] + RNG.normal(size=N))]
FEW = (np.arange(N) < 1).astype(float)  # in a third of the resamples there are none
RARE = np.c_[X[:, :3], FEW]
UNITS = [1.0, 1.0, 1.0, 1e-7]
WEIGHTED = {"sample_weight": RNG.uniform(0.2, 3.0, size=N), "groups": np.arange(N) % 30}
PAIRS = X[:60], X[:60] + RNG.normal(size=(60, 2)) @ [[1.0, 1, 0, 0], [0, 1, -1, 0.5]] + 0.1 * RNG.normal(size=(60, 4))
GRID = [0.0, 0.01, 0.1, 1.0, 10.0, np.inf]

STEPS, ONE = Translation([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.5]]), Translation([[0.0, 0.0, 1.0, 0.0]])
LEARNT = Translation.from_pairs(*PAIRS, n_directions=2, scale=0.7, outcome_invariant=True)
QUADRATIC = PolynomialFeatures(2, include_bias=False)


def stretch(rows, rng):
    G = rng.normal(size=(len(rows), 1))
    return rows * np.hstack([np.ones((len(rows), 3)), 1 + 0.2 * G]), G


BOX = FunctionAugmentation(stretch, outcome_invariant=True)


def rules(augmentation=None, alphas=GRID, cv=3, **given):
    """A regression for every way to come by a strength."""
    given |= {"augmentation": augmentation, "random_state": 0}
    cross = {"alphas": alphas, "cv": cv} | given
    return {
        "0": IVLikeRegression(0.0, **given),
        "0.2": IVLikeRegression(0.2, ridge=0.3, **given),
        "inf": IVLikeRegression(np.inf, **given),
        "cc": IVLikeRegression("cc", **given),
        "cv": IVLikeRegressionCV(**cross),
        "cv, ridge": IVLikeRegressionCV(shift_size=1.5, ridge=0.1, **cross),
    }


def splits(*sizes):
    """Test sets of so many rows, the first ones."""
    return [(None, rows) for rows in np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])]


SMALL_FOLDS = {"cv": splits(2, 40, 40), "alphas": np.logspace(-3, 1, 30)}
DESIGNS = {  # model's arguments, rows, outcome, arguments of fit
    "steps": ({"augmentation": STEPS}, X, Y, {}),
    "steps, weights and clusters": ({"augmentation": STEPS}, X, Y, WEIGHTED),
    "steps, two outcomes": ({"augmentation": STEPS}, X, BOTH, WEIGHTED),
    "step, rare category": ({"augmentation": ONE}, RARE, Y, {}),
    "step, units": ({"augmentation": ONE}, X * UNITS, Y, {}),
    "step, folds that few rows are in": ({"augmentation": ONE} | SMALL_FOLDS, X, Y, {}),
    "instruments": ({}, X, Y, {"instruments": Z}),
    "instruments, folds that they fit": ({"cv": splits(8, 40, 40)}, X, Y, {"instruments": Z}),
    "rare instrument": ({}, X, Y, {"instruments": np.c_[Z, FEW]}),
    "few instruments": ({}, X, Y, {"instruments": Z[:, :3]}),
    "instruments, controls, weights": ({}, X, Y, {"instruments": Z, "controls": C} | WEIGHTED),
    "instruments, controls, two outcomes": ({}, X, BOTH, {"instruments": Z, "controls": C}),
    "pairs of a black box": ({"augmentation": BOX, "penalty": "first_stage"}, X, Y, {}),
    "pairs of steps": ({"augmentation": STEPS, "integration": "paired"}, X, Y, WEIGHTED),
    "sampled": ({"augmentation": STEPS, "integration": "sampled"}, X, Y, {}),
}
ALONE = {  # a spectrum that is cut, and what is constant in a fold or in all others
    ("step, rare category", "cv"),
    ("step, units", "cc"),
    ("rare instrument", "cv"),
    ("rare instrument", "cv, ridge"),
}


def run(model):
    """Coefficients, strengths, what did not vary, and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = replications(model._fit, B, pairs=None, random_state=0)
    return *found, [str(each.message) for each in caught]


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.CausalInvWarning")
@pytest.mark.parametrize("name", DESIGNS)
def test_replications_in_stacks_are_those_that_are_read_one_by_one(name, monkeypatch):
    given, rows, outcome, fit = DESIGNS[name]
    alone, left = _Again.alone, []
    monkeypatch.setattr(_Again, "alone", lambda self, those: left.append(len(those)) or alone(self, those))
    for rule, model in rules(**given).items():
        if (rule == "cc" and outcome.ndim > 1) or (rule == "0" and name in ("few instruments", "sampled")):
            continue  # one outcome; a limit that leaves coordinates which outcomes of instruments count in
        model.fit(rows, outcome, **fit)
        left.clear()
        stacked = run(model)
        assert sum(left) < B or (name, rule) in ALONE
        with monkeypatch.context() as patch:
            patch.setattr(Resamples, "whole", lambda self: None)
            single = run(model)
        size = np.abs(single[0]).max(axis=1, keepdims=True)
        np.testing.assert_allclose(stacked[0] / size, single[0] / size, rtol=0, atol=1e-10, err_msg=rule)
        np.testing.assert_array_equal(stacked[1], single[1], err_msg=rule)
        np.testing.assert_array_equal(stacked[2], single[2], err_msg=rule)
        assert stacked[3] == single[3], rule


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.CausalInvWarning")
@pytest.mark.parametrize(
    ("rule", "features"), [*((rule, None) for rule in rules()), ("0", QUADRATIC), ("cc", QUADRATIC)]
)
def test_replications_with_directions_anew_are_refits(rule, features):
    first, second = PAIRS
    given = {} if features is None else {"features": features, "integration": "closed_form"}
    model = rules(LEARNT, alphas=np.logspace(-3, 1, 60), **given)[rule]
    rows = X - 10.0
    model.fit(rows, Y)
    found = model.bootstrap(3, pairs=PAIRS, random_state=1)
    for rng, coef, alpha in zip(streams(1, 3, "bootstrap"), found.replicates.to_numpy(), found.alphas, strict=True):
        count = unit_counts(N, rng)
        which = rng.integers(60, size=60)
        drawn = Translation.from_pairs(first[which], second[which], n_directions=2, scale=0.7, outcome_invariant=True)
        again = model._fit.design.with_augmentation(drawn).reweighted(count)
        reading = again.read()
        path = IVLikePath.from_first_stage(reading.stage, ridge=model.ridge)
        strength = model._fit.rule.choose(again, reading, path)
        assert alpha == strength.alpha
        np.testing.assert_allclose(coef, strength.coef(path)[:, 0], rtol=1e-7, atol=1e-9)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.CausalInvWarning")
@pytest.mark.parametrize(
    ("name", "first", "needed"),
    [("step, folds that few rows are in", 2, 1), ("instruments, folds that they fit", 8, 7)],
)
def test_replications_leave_the_stack_if_a_fold_cannot_judge(name, first, needed, monkeypatch):
    given, rows, outcome, fit = DESIGNS[name]
    model = rules(**given)["cv"].fit(rows, outcome, **fit)
    alone, left = _Again.alone, []
    monkeypatch.setattr(_Again, "alone", lambda self, those: left.append(len(those)) or alone(self, those))
    replications(model._fit, 40, pairs=None, random_state=0)
    drawn = [int((unit_counts(N, rng)[:first] > 0).sum()) for rng in streams(0, 40, "bootstrap")]
    expected = sum(different < needed for different in drawn)
    assert 0 < expected <= sum(left) <= min(expected + 2, 39)  # few rows are badly conditioned now and then


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.CausalInvWarning")
def test_only_replications_that_are_not_sound_leave_the_stack(monkeypatch):
    model = IVLikeRegression("cc", augmentation=ONE).fit(RARE, Y)
    alone, left = _Again.alone, []
    monkeypatch.setattr(_Again, "alone", lambda self, those: left.append(len(those)) or alone(self, those))
    _, _, still = replications(model._fit, 60, pairs=None, random_state=0)
    assert 0 < still[:, 3].sum() == sum(left) < 40


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.CausalInvWarning")
def test_a_rule_of_its_own_without_a_way_for_stacks_is_asked_one_by_one():
    models = [IVLikeRegression("eb", augmentation=GaussianNoise(0.7)), IVLikeRegression("liml")]
    for model, fit in zip(models, ({}, {"instruments": Z}), strict=True):
        model.fit(X, Y, **fit)
        coefs = replications(model._fit, 3, pairs=None, random_state=1)[0]
        for rng, coef in zip(streams(1, 3, "bootstrap"), coefs, strict=True):
            again = model._fit.design.reweighted(unit_counts(N, rng))
            reading = again.read()
            path = IVLikePath.from_first_stage(reading.stage)
            expected = model._fit.rule.choose(model._fit.design, reading, path).coef(path)
            np.testing.assert_allclose(coef, expected[:, 0], rtol=1e-8)


@pytest.mark.parametrize("k", [1, 3, 9, 31])
def test_inverse_roots_are_those_of_each_and_singular_ones_are_told(k):
    rng = np.random.default_rng(k)
    rows = rng.normal(size=(5, 2 * k + 3, k)) * 10.0 ** rng.integers(-3, 4, size=k)
    matrices = np.swapaxes(rows, 1, 2) @ rows
    matrices[1, 0] = matrices[1, :, 0] = 0.0  # a constant
    if k > 1:
        matrices[3] = np.outer(rows[3, 0], rows[3, 0])  # of rank one
    roots, sound = inverse_roots(matrices)
    assert sound.tolist() == [True, False, True, k == 1, True]
    assert np.isfinite(roots).all()
    unit = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    for root, matrix, own in zip(roots[sound], matrices[sound], unit[sound], strict=True):
        np.testing.assert_allclose(root @ matrix @ root.T, np.eye(k), atol=1e-9)
        assert not np.triu(root, 1).any()
        expected = np.linalg.inv(matrix / np.outer(own, own))
        np.testing.assert_allclose((root * own).T @ (root * own), expected, rtol=1e-8, atol=1e-10)


def test_first_stages_of_several_ranks_stand_in_one_stack():
    stages = [
        IVLikeRegression(0.1).fit(X, Y, instruments=Z[:, :q])._fit.reading.stage
        for q in (5, 4)  # five instruments for four features, or as many
    ]
    stack = FirstStage.stack(stages)
    assert stack.factor.shape == (2, 5, 4)
    split = Split.of(stages[0])
    for path, stage in zip(paths_like(stages, split), stages, strict=True):
        careful = IVLikePath.from_first_stage(stage)
        assert path.n_instruments_effective == careful.n_instruments_effective
        for alpha in (0.0, 0.3, np.inf):
            np.testing.assert_allclose(path.coef(alpha), careful.coef(alpha), rtol=1e-9)
    coefs, sound = split.coefs(stack, np.array([0.0, 0.3]))
    assert sound.all()
    np.testing.assert_allclose(coefs[0], IVLikePath.from_first_stage(stages[0]).coef(0.0), rtol=1e-9)
    np.testing.assert_allclose(coefs[1], IVLikePath.from_first_stage(stages[1]).coef(0.3), rtol=1e-9)


def test_short_steps_beside_long_ones_are_left_to_the_careful_way():
    stage = IVLikeRegression(0.1, augmentation=Translation([[1.0, 1.0, 0, 0], [0, 1e-6, -1e-6, 0]])).fit(X, Y)._fit
    careful = IVLikePath.from_first_stage(stage.reading.stage)
    path = paths_like([stage.reading.stage], Split.of(stage.reading.stage))[0]
    for alpha in (0.0, 1e-12, 1e-3):
        np.testing.assert_allclose(path.coef(alpha), careful.coef(alpha), rtol=1e-9)


def test_directions_of_short_pairs_are_those_of_their_singular_values():
    second = PAIRS[0] + RNG.normal(size=(60, 2)) @ [[1.0, 1.0, 0.0, 0.0], [0.0, 1e-6, -1e-6, 0.0]]
    design = IVLikeRegression(
        augmentation=Translation.from_pairs(PAIRS[0], second, n_directions=2, scale=0.5, outcome_invariant=True)
    )
    steps = Pairs.of(PAIRS[0], second, design.fit(X, Y)._fit.design).redrawn([np.random.default_rng(5)])[0]
    which = np.random.default_rng(5).integers(60, size=60)
    drawn = Translation.from_pairs(PAIRS[0][which], second[which], n_directions=2, scale=0.5).parameters(4)
    for ours, theirs in zip(steps, drawn, strict=True):
        np.testing.assert_allclose(ours * np.sign(ours @ theirs), theirs, rtol=1e-6, atol=1e-12)
