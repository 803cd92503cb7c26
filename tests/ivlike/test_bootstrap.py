"""The bootstrap by resampled moments is that of refits on the rows drawn."""

import numpy as np
import pytest

from causalinv import IVLikeRegression, IVLikeRegressionCV, Translation
from causalinv.ivlike import FunctionAugmentation, SignFlip
from causalinv.ivlike._bootstrap import unit_counts
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._paths import Split, paths_like
from causalinv.ivlike._resample import Resampler
from causalinv.transformations import FirstStage

pytestmark = pytest.mark.filterwarnings("ignore::causalinv.exceptions.CausalInvWarning")


def data(n=80, seed=0):
    rng = np.random.default_rng(seed)
    U = rng.normal(size=n)
    Z = rng.normal(size=(n, 4))
    X = Z[:, :3] + rng.normal(size=(n, 3)) + U[:, None] + 100.0
    return X, X @ [1.0, -1.0, 0.5] + 2 * U, Z


def stretch(X, rng):
    G = rng.normal(size=(len(X), 1))
    return X * np.hstack([np.ones_like(G), np.ones_like(G), 1 + 0.2 * G]), G


STEP = Translation([[1.0, 1.0, 0.0]])
BOX = FunctionAugmentation(stretch, outcome_invariant=True)
CASES = {
    "closed form, 0": (IVLikeRegression(0.0, augmentation=STEP), {}),
    "closed form, 0.3": (IVLikeRegression(0.3, augmentation=STEP), {}),
    "closed form, ridge": (IVLikeRegression(0.3, augmentation=STEP, ridge=0.5), {}),
    "closed form, inf": (IVLikeRegression(np.inf, augmentation=STEP), {}),
    "group": (IVLikeRegression(0.5, augmentation=SignFlip([0])), {}),
    "cc": (IVLikeRegression("cc", augmentation=STEP), {}),
    "paired": (IVLikeRegression(0.1, augmentation=BOX, penalty="first_stage", random_state=0), {}),
    "paired, 0": (IVLikeRegression(0.0, augmentation=BOX, penalty="first_stage", random_state=0), {}),
    "reaction": (IVLikeRegression(0.1, augmentation=BOX, random_state=0), {}),
    "reaction, 0": (IVLikeRegression(0.0, augmentation=BOX, random_state=0), {}),
    "sampled": (IVLikeRegression(0.1, augmentation=BOX, integration="sampled", random_state=0), {}),
    "instruments, 0": (IVLikeRegression(0.0), {"instruments": True}),
    "instruments, 1": (IVLikeRegression(1.0), {"instruments": True}),
    "few instruments, 0": (IVLikeRegression(0.0), {"instruments": 2}),
    "cross-validated": (IVLikeRegressionCV([0.0, 0.01, 0.1, 1.0, np.inf], augmentation=STEP, cv=3, random_state=0), {}),
}


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_replications_are_refits_with_the_counts_as_weights(name, clustered):
    model, given = CASES[name]
    X, y, Z = data()
    fit = {"instruments": Z[:, : given["instruments"]] if given["instruments"] != 1 else Z} if given else {}
    if given and given["instruments"] is True:
        fit = {"instruments": Z}
    groups = np.arange(80) % 20 if clustered else None
    model.fit(X, y, groups=groups, **fit)
    found = model.bootstrap(3, random_state=1)
    design, rule = model._fit.design, model._fit.rule
    from causalinv._parallel import streams

    for rng, coef, alpha in zip(streams(1, 3, "bootstrap"), found.replicates.to_numpy(), found.alphas, strict=True):
        count = unit_counts(20 if clustered else 80, rng)
        weight = count[groups] if clustered else count
        again = design.reweighted(weight.astype(float))
        reading = again.read()
        path = IVLikePath.from_first_stage(reading.stage, ridge=model.ridge)
        strength = rule.choose(again, reading, path)
        np.testing.assert_allclose(coef, strength.coef(path)[:, 0], rtol=1e-7, atol=1e-9)
        assert alpha == strength.alpha


def test_resampled_moments_are_those_of_weighted_rows():
    X, y, _ = data()
    model = IVLikeRegression(0.1, augmentation=BOX, random_state=0).fit(X, y, sample_weight=np.linspace(0.5, 2, 80))
    design, reading = model._fit.read_again()
    count = unit_counts(80, np.random.default_rng(0))
    folds = np.arange(80) % 3 - 1
    moments, total = next(Resampler(design, reading, folds).resamples([count], 1)).one(0)
    again = design.reweighted(design.weight * count).collect(folds)
    for ours, theirs in zip((moments, total), again, strict=True):
        names = tuple(theirs.blocks)
        assert ours.cells.tolist() == theirs.cells.tolist()
        np.testing.assert_allclose(ours.mean(names), theirs.mean(names), rtol=1e-10)
        np.testing.assert_allclose(ours.cov(names), theirs.cov(names), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(ours.weight, theirs.weight)
        np.testing.assert_allclose(ours.weight_sq, theirs.weight_sq)
        np.testing.assert_array_equal(ours.count, theirs.count)


def test_the_fast_path_leaves_what_is_ill_conditioned_to_the_careful_one():
    X, y, _ = data()
    X = np.c_[X, X[:, 2]]
    model = IVLikeRegression(0.1, augmentation=Translation([[1.0, 1.0, 0.0, 0.0]])).fit(X, y)
    stage = model._fit.reading.stage
    split = Split.of(stage)
    for alpha in (0.0, 0.1, np.inf):
        expected = model.path_.coef(alpha)
        assert not split.coefs(FirstStage.stack([stage]), np.array([alpha]))[1].any()
        np.testing.assert_allclose(paths_like([stage], split)[0].coef(alpha), expected, rtol=1e-9)
