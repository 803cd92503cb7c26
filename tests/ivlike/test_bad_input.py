"""Mistakes in the use of inference, groups, rules, cross-validation and boosting; legal but degenerate input."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import PolynomialFeatures

from causalinv import FunctionAugmentation, GaussianNoise, IVLikeRegression, Moments, Translation
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike import (
    Compose,
    CyclicShift,
    Flip,
    IVLikeBoosting,
    IVLikeRegressionCV,
    PermutationGroup,
    Rotate90,
    ShiftedR2Scorer,
    SignFlip,
)
from tests.mistakes import Mistake

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(40, 4)), RNG.normal(size=(40, 2))
Y = X @ [1.0, 2.0, 3.0, 0.0] + RNG.normal(size=40)
ALONG = Translation([[1.0, 1.0, 0.0, 0.0]])


def fit(*args, y=Y, **kwargs):
    return IVLikeRegression(*args, **({"augmentation": ALONG} | kwargs)).fit(X, y)


def copies(G=Z, alpha=0.5, **kwargs):
    return IVLikeRegression(alpha).fit(X + np.c_[3 * Z, Z], Y, augmentation_parameters=G, **kwargs)


def boost(**kwargs):
    return IVLikeBoosting(**({"augmentation": ALONG, "n_estimators": 2} | kwargs)).fit(X, Y)


def with_nan(rows):
    out = rows.copy()
    out[3, 1] = np.nan
    return out


MISTAKES = {
    # -- what is given to fit
    "augmentation and copies": (lambda: IVLikeRegression(augmentation=ALONG).fit(X, Y, augmentation_parameters=Z), "not both"),
    "instruments and copies": (lambda: IVLikeRegression().fit(X, Y, instruments=Z, augmentation_parameters=Z), "not both"),
    "parameters constant": (lambda: copies(np.c_[Z, np.ones(40)]), r"augmentation_parameters are constant in column \[2\]"),
    "parameters constant, named": (lambda: copies(pd.DataFrame({"u": Z[:, 0], "v": 1.0})), r"constant in column \['v'\]"),
    "parameters as many as rows": (lambda: copies(RNG.normal(size=(40, 39))), "augmentation_parameters have 39 independent columns for 40 rows"),
    "parameters with NaN": (lambda: copies(with_nan(Z)), "Input augmentation_parameters contains NaN: .* row 3, column 1"),
    "parameters of other length": (lambda: copies(Z[:-1]), "augmentation_parameters has 39"),
    "copies move everything at alpha=0": (lambda: copies(X + 0.1 * RNG.normal(size=X.shape), alpha=0.0), "alpha=0 leaves no invariant direction"),
    "groups of other length": (lambda: IVLikeRegression(augmentation=ALONG).fit(X, Y, groups=[1, 2]), "groups has 2"),
    "groups missing a label": (lambda: IVLikeRegression(augmentation=ALONG).fit(X, Y, groups=[None, *range(39)]), "groups has a missing label in row 0"),
    "one group": (lambda: IVLikeRegression(augmentation=ALONG).fit(X, Y, groups=[7] * 40), "groups has one label, 7; at least two are needed"),
    "scoring without parameters": (lambda: copies(groups=range(40)).score(X, Y), "its score needs them too"),
    # -- inference
    "clusters unknown": (lambda: copies().confint(), "augmented copies are clusters, not samples: pass groups="),
    "clusters unknown, bootstrap": (lambda: copies().bootstrap(10), "augmented copies are clusters"),
    "no rows": (lambda: IVLikeRegression(augmentation=ALONG).fit_moments(Moments.from_rows(x=X, y=Y)).confint(), "fitted on moments, or pickled"),
    "kind unknown": (lambda: fit().confint(kind="causal"), "kind must be one of .'pseudo_true', 'identified', 'selected'., got 'causal'"),
    "level of 5": (lambda: fit().confint(confidence_level=5), "confidence_level must be a number > 0 and < 1, got 5"),
    "identified at alpha .1": (lambda: fit(0.1).confint(kind="identified"), "kind='identified' needs alpha=0"),
    "one replication": (lambda: fit().bootstrap(1), "n_replications must be a whole number >= 2, got 1"),
    "pairs for noise": (lambda: fit(0.1, augmentation=GaussianNoise()).bootstrap(5, pairs=(X, X)), "Translation.from_pairs"),
    "test of two outcomes": (lambda: fit(y=np.c_[Y, Y + X[:, 0]]).ols_invariance_test(), "takes one outcome"),
    "sensitivity at alpha .1": (lambda: fit(0.1).sensitivity(0.1), "sensitivity needs alpha=0, .*alpha is 0.1"),
    "sensitivity of two outcomes": (lambda: fit(y=np.c_[Y, Y + X[:, 0]]).sensitivity(0.1), "takes one outcome"),
    "r2 of one": (lambda: fit().sensitivity(1.0), "r2 must be below 1"),
    "r2 negative": (lambda: fit().sensitivity(-0.1), "r2 must be a number >= 0, got -0.1"),
    "r2 and benchmark": (lambda: fit().sensitivity(0.1, benchmark=1), "Give either r2"),
    "benchmark unknown": (lambda: fit().sensitivity(benchmark="age"), "benchmark must be a feature of this fit"),
    "gamma below one of a black box": (lambda: fit(0.1, integration="sampled").gamma_path([0.5]), "gamma = 0.5 < 1 takes moments"),
    "gamma negative": (lambda: fit(0.1).gamma_path([-1.0]), "every entry of gammas must be a number >= 0"),
    "more coefficients than rows, clustered": (lambda: IVLikeRegression(0.1, augmentation=ALONG).fit(X[:5], Y[:5], groups=[0, 0, 1, 1, 2]).confint(), "leave no degrees of freedom"),
    "test in more directions than clusters": (lambda: IVLikeRegression(0.1, augmentation=Translation(np.eye(3, 4))).fit(X, Y, groups=np.arange(40) % 3).ols_invariance_test(), "3 independent rows or groups cannot test 3 directions"),
    "sensitivity of sampled copies": (lambda: fit(0.0, augmentation=Translation([[3.0, 3.0, 0.0, 0.0]]), integration="sampled", random_state=0).sensitivity(0.1), "left alone on average only"),
    # -- rules
    "eb without noise": (lambda: fit("eb"), r"alpha='eb' needs augmentation=GaussianNoise\(\)"),
    "eb of drawn noise": (lambda: fit("eb", augmentation=GaussianNoise(), integration="paired", features=PolynomialFeatures(1, include_bias=False)), "alpha='eb' needs"),
    "cc of two outcomes": (lambda: fit("cc", y=np.c_[Y, Y + X[:, 0]]), "alpha='cc' chooses by one outcome"),
    "cv of one": (lambda: IVLikeRegressionCV(augmentation=ALONG, cv=1).fit(X, Y), "cv must be a whole number >= 2, got 1"),
    "cv overlapping": (lambda: IVLikeRegressionCV(augmentation=ALONG, cv=[([0], [1, 2]), ([0], [2, 3])]).fit(X, Y), "test sets of cv overlap"),
    "cv of one split": (lambda: IVLikeRegressionCV(augmentation=ALONG, cv=[(range(20), range(20, 40))]).fit(X, Y), "at least two test sets"),
    "no strength to try": (lambda: IVLikeRegressionCV([], augmentation=ALONG).fit(X, Y), "alphas must hold at least one strength"),
    "shift negative": (lambda: IVLikeRegressionCV(augmentation=ALONG, shift_size=-1).fit(X, Y), "shift_size must be a number >= 0, got -1"),
    "scorer weaker than the augmentation": (lambda: ShiftedR2Scorer(ALONG, shift_size=0.5)(fit(), X, Y), "shift_size must be a number >= 1, got 0.5"),
    # -- groups
    "permutations not whole": (lambda: fit(augmentation=PermutationGroup([[0.5, 1, 2, 3]])), "permutations must be whole numbers of shape"),
    "permutations of another width": (lambda: fit(augmentation=PermutationGroup([[1, 0]])), "permutations exchange 2 features, but X has 4"),
    "not a permutation": (lambda: fit(augmentation=PermutationGroup([[0, 0, 1, 2]])), "0…3 once each"),
    "sign of an unknown column": (lambda: fit(augmentation=SignFlip(["red"])), r"columns of SignFlip name columns that X does not have: \['red'\]"),
    "sign of nothing": (lambda: fit(augmentation=SignFlip([])), "must name at least one column"),
    "signs of everything": (lambda: fit(0.1, augmentation=SignFlip([0, 1, 2, 3])), "leaves no direction of the features fixed"),
    "image of another size": (lambda: fit(augmentation=CyclicShift((3, 3))), r"shape of CyclicShift must be .* product of 4"),
    "image not square": (lambda: fit(augmentation=Rotate90((1, 4))), "needs a square image"),
    "axis of three": (lambda: fit(augmentation=Flip((2, 2), axis=3)), "axis of Flip must be 0 or 1, got 3"),
    "group that is trivial": (lambda: fit(augmentation=PermutationGroup([[0, 1, 2, 3]])), "moves no feature"),
    "too many elements with features": (lambda: IVLikeRegression(0.1, augmentation=SignFlip(range(10)), features=PolynomialFeatures(2)).fit(RNG.normal(size=(40, 11)), Y), "more than 512 elements"),
    # -- integration
    "quadrature in three directions": (lambda: fit(0.1, augmentation=Translation(np.eye(3, 4)), features=PolynomialFeatures(2), integration="closed_form"), "3 directions has too many quadrature nodes"),
    "closed form of a black box with features": (lambda: fit(0.1, augmentation=FunctionAugmentation(lambda r, g: (r + 1, g.normal(size=(len(r), 1)))), features=PolynomialFeatures(2), integration="closed_form"), "cannot be integrated in closed form over nonlinear features"),
    "mixture in closed form": (lambda: fit(0.1, augmentation=Compose([SignFlip([0]), ALONG]), integration="closed_form"), "no closed form.*integration='paired'"),
    # -- boosting
    "boosting without a source": (lambda: boost(augmentation=None), "IVLikeBoosting needs augmentation="),
    "boosting at zero": (lambda: boost(alpha=0.0), "alpha must be a number > 0, got 0"),
    "boosting at infinity": (lambda: boost(alpha=np.inf), "alpha must be finite"),
    "boosting by a rule": (lambda: boost(alpha="cc"), "alpha must be a number > 0 or 'auto', got 'cc'"),
    "boosting instruments by default": (lambda: IVLikeBoosting().fit(X, Y, instruments=Z), "no default for genuine instruments"),
    "boosting backwards": (lambda: boost(learning_rate=0.0), "learning_rate must be a number > 0 and <= 1"),
    "boosting two outcomes": (lambda: IVLikeBoosting(augmentation=ALONG).fit(X, np.c_[Y, Y]), "y must be a single outcome, got 2 columns"),
    "boosting constant parameters": (lambda: IVLikeBoosting().fit(X, Y, augmentation_parameters=np.ones((40, 1))), "parameters G are constant"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:alpha=0, but predictions still change")
@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_raises_an_error_that_names_it(name):
    Mistake(name, *MISTAKES[name]).check()


def test_parts_of_another_type_are_type_errors():
    with pytest.raises(TypeError, match="Compose needs a non-empty sequence of augmentations"):
        fit(augmentation=Compose([]))
    with pytest.raises(TypeError, match="Compose needs a non-empty sequence"):
        fit(augmentation=Compose([np.eye(4)]))


def test_constant_outcome_is_legal_everywhere():
    flat = np.full(40, 3.0)
    with pytest.warns(DegenerateInputWarning, match="y is constant"):
        model = fit(y=flat)
    np.testing.assert_array_equal(model.confint(), 0.0)
    boosted = IVLikeBoosting(augmentation=ALONG, n_estimators=2).fit(X, flat)
    np.testing.assert_array_equal(boosted.predict(X), 3.0)
    assert boosted.score(X, flat) == 1.0
    with pytest.warns(DegenerateInputWarning, match="y is constant"):
        IVLikeRegressionCV(augmentation=ALONG).fit(X, flat)
