"""Each line is one mistake, the exception it must raise, and what the message must name."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from causalinv.bounds import (
    Divergence,
    FDivergenceBounds,
    ManskiBounds,
    QuantileBounds,
    SensitivityBounds,
    cap_bounds,
    f_ball_bounds,
    f_radius,
    kth_order,
    manski_bounds,
)
from causalinv.datasets import fetch_ihdp, make_confounded_treatment
from causalinv.exceptions import DegenerateInputWarning
from tests.mistakes import Mistake, each

RNG = np.random.default_rng(0)
X, Y, A = RNG.normal(size=(60, 2)), RNG.random(60), np.arange(60) % 2
FRAME = pd.DataFrame(X, columns=["u", "v"])


def fit(cls=SensitivityBounds, *, X=X, y=Y, treatment=A, sample_weight=None, groups=None, **params):
    fast = {"outcome": LinearRegression()} if cls is ManskiBounds else {"law": "marginal", "cv": 2}
    model = cls(**(fast | {"random_state": 0} | params))
    return model.fit(X, y, treatment=treatment, sample_weight=sample_weight, groups=groups)


def f_ball(**params):
    return fit(FDivergenceBounds, **({"outcome_support": (0, 1)} | params))


def ask(estimand="mean", odds_ratio=2.0, **params):
    return fit().average_bounds(estimand, odds_ratio=odds_ratio, **params)


MISTAKES = [
    # -- learners
    Mistake("features said by name", lambda: fit(features="passthrough"), "features must be None or a transformer", TypeError),
    Mistake("features as a class", lambda: fit(features=StandardScaler), "features must be None or a transformer", TypeError),
    Mistake("propensity as a class", lambda: fit(propensity=LogisticRegression), "propensity must be a classifier with", TypeError),
    Mistake("outcome as a class", lambda: fit(outcome=LinearRegression), "outcome must be None, 'linear'", TypeError),
    Mistake("outcome by a classifier", lambda: fit(outcome=LogisticRegression()), "outcome must be None, 'linear'", TypeError),
    Mistake("infinite density ratio", lambda: ask(odds_ratio=None, density_ratio=(0, np.inf)), "An infinite density_ratio is no assumption"),
    Mistake("no orders", lambda: fit(QuantileBounds).population_bounds(arm=1, tau=[]), "tau is an empty grid; give at least one order"),
    Mistake("no orders, effect", lambda: fit(QuantileBounds).effect_bounds(tau=[], odds_ratio=2), "tau is an empty grid; give at least one"),
    Mistake("orders as text", lambda: fit(QuantileBounds).population_bounds(arm=1, tau="a"), "tau must", TypeError),
    Mistake("curve without covariates", lambda: fit(X=None).conditional_bounds(0, odds_ratio=2.0), r"column=0 is no column of X; they are \[\]"),
    # -- arms
    Mistake("no treatment", lambda: fit(treatment=None), "SensitivityBounds needs treatment=, the arm of each row.*step__treatment"),
    Mistake("no treatment, Manski", lambda: fit(ManskiBounds, treatment=None), "ManskiBounds needs treatment="),
    Mistake("single arm", lambda: fit(treatment=np.zeros(60)), r"treatment has one label, 0\.0: at least two arms"),
    Mistake("tiny arm", lambda: fit(treatment=np.arange(60) == 3), "Arm True has 1 rows of positive weight; each needs at least 2"),
    Mistake("arm without weight", lambda: fit(sample_weight=A.astype(float)), "treatment has one label, 1"),
    Mistake("continuous treatment", lambda: fit(treatment=X[:, 0]), "treatment has 60 different values: it looks continuous"),
    Mistake("two columns of treatment", lambda: fit(treatment=np.c_[A, A]), r"treatment must hold one label per row, shape \(n,\), got shape \(60, 2\)"),
    Mistake("missing label", lambda: fit(treatment=np.where(np.arange(60) == 4, np.nan, A)), r"treatment has a missing label in row 4 \(1 in all\)"),
    Mistake("missing text label", lambda: fit(treatment=pd.Series(["a", None] * 30)), r"treatment has a missing label in row 1 \(30 in all\)"),
    Mistake("a label that cannot be hashed", lambda: fit(treatment=[[0], [1]] * 30), r"treatment holds \[0\] in row 0", TypeError),
    Mistake("short treatment", lambda: fit(treatment=A[:-1]), "inconsistent numbers of samples: .*treatment has 59"),
    Mistake("one group holds an arm", lambda: fit(groups=A), "groups put all rows of arm"),
    Mistake("unknown arm", lambda: ask(arm=2), r"arm must be one of the arms \[0, 1\], got 2"),
    Mistake("unknown control", lambda: ask("ate", control="x"), r"control must be one of the arms \[0, 1\], got 'x'"),
    Mistake("pointwise without a limit", lambda: fit().predict_bounds(X, odds_ratio=np.inf), "infinite odds_ratio"),
    Mistake("curve without a limit", lambda: fit().conditional_bounds(0, odds_ratio=np.inf), "infinite odds_ratio"),
    Mistake("quantile without a limit", lambda: fit(QuantileBounds).predict_bounds(X, odds_ratio=np.inf), "infinite odds_ratio"),
    Mistake("quantile of all", lambda: fit(QuantileBounds).population_bounds(odds_ratio=np.inf), "infinite odds_ratio"),
    Mistake("curve where nothing is", lambda: fit().conditional_bounds(0, odds_ratio=2.0, grid=[99.0]), "nothing was seen"),
    Mistake("curve nowhere", lambda: fit().conditional_bounds(0, odds_ratio=2.0, grid=[]), "got none"),
    Mistake("policy that is no function", lambda: fit().average_bounds("policy", odds_ratio=2.0, policy=np.ones(60)), "function of X", TypeError),
    Mistake("policy of text", lambda: fit().average_bounds("policy", odds_ratio=2.0, policy=lambda x: ["a"] * 60), "must return"),
    Mistake("arm left out", lambda: fit(treatment=A + 1).average_bounds("mean", odds_ratio=2.0), r"arm= must be given, one of \[1, 2\]"),
    Mistake("arm is control", lambda: ask("ate", arm=1, control=1), "arm and control are both 1"),
    Mistake("control of a mean", lambda: ask(control=0), "estimand='mean' is about one arm"),
    Mistake("unknown estimand", lambda: ask("late"), r"estimand must be one of .* got 'late'"),
    # -- outcomes
    Mistake("outside the support", lambda: fit(outcome_support=(0.1, 0.9)), r"of 60 outcomes lie outside outcome_support=\(0.1, 0.9\), the worst is .*Nothing is clipped"),
    Mistake("worst value", lambda: fit(ManskiBounds, y=np.r_[Y[:-1], 7.5], outcome_support=(0, 1)), "1 of 60 outcomes lie outside .* the worst is 7.5"),
    Mistake("support upside down", lambda: fit(outcome_support=(1, 0)), r"outcome_support=\(L, U\) needs L < U, got \(1, 0\)"),
    Mistake("support of one number", lambda: fit(outcome_support=1.0), r"outcome_support must be a pair \(L, U\), got 1.0"),
    Mistake("support by another word", lambda: fit(outcome_support="range"), "outcome_support must be .* got 'range'"),
    Mistake("two outcomes", lambda: fit(y=np.c_[Y, Y]), r"y must be a single outcome, got shape \(60, 2\)"),
    Mistake("NaN in X", lambda: fit(X=FRAME.mask(FRAME > 2.0)), "Input X contains NaN: .*column"),
    Mistake("infinite y", lambda: fit(y=np.r_[Y[:-1], np.inf]), "Input y contains infinity: 1 of 60 entries"),
    Mistake("unknown functional", lambda: fit(functional="median"), "functional must be 'mean', .* got 'median'"),
    Mistake("cut that is text", lambda: fit(functional=("cdf", "a")), r"t of functional=\('cdf', t\) must be a real number", TypeError),
    Mistake("functional of wrong shape", lambda: fit(functional=np.sum), r"functional= must return finite numbers of shape \(60,\)"),
    Mistake("functional with logarithms", lambda: fit(functional=lambda y: np.where(y > 0.5, np.nan, y)), "functional= must return finite numbers"),
    # -- strengths
    Mistake("odds ratio below one", lambda: ask(odds_ratio=0.5), "odds_ratio must be a number >= 1, got 0.5"),
    Mistake("odds ratio below one in a grid", lambda: ask(odds_ratio=[1.0, 0.2]), "odds_ratio must be a number >= 1, got 0.2"),
    Mistake("empty grid", lambda: ask(odds_ratio=[]), "odds_ratio is an empty grid"),
    Mistake("no strength", lambda: ask(odds_ratio=None), r"Give exactly one of odds_ratio= \(>= 1\) and density_ratio"),
    Mistake("two strengths", lambda: ask(density_ratio=(0.5, 2.0)), "Give exactly one of odds_ratio"),
    Mistake("infinite odds ratio", lambda: ask(odds_ratio=np.inf), "no assumption.*use ManskiBounds"),
    Mistake("m above one", lambda: ask(odds_ratio=None, density_ratio=(1.5, 2.0)), "m of density_ratio=.* must be a number >= 0 and <= 1, got 1.5"),
    Mistake("M below one", lambda: ask(odds_ratio=None, density_ratio=(0.5, 0.9)), "M of density_ratio=.* must be a number >= 1, got 0.9"),
    Mistake("one density ratio", lambda: ask(odds_ratio=None, density_ratio=2.0), r"density_ratio must be a pair \(m, M\), got 2.0"),
    Mistake("confidence of one", lambda: ask(confidence_level=1.0), "confidence_level must be a number > 0 and < 1"),
    Mistake("unknown target", lambda: ask(target="both"), "target must be 'parameter' or 'set', got 'both'"),
    Mistake("null that is text", lambda: fit().breakdown("zero"), "null must be a real number", TypeError),
    Mistake("benchmark of the only covariate", lambda: fit(X=X[:, :1]).benchmark(), "with one covariate nothing would be left"),
    Mistake("benchmark of all covariates", lambda: fit().benchmark([[0, 1]]), "leaves no covariate"),
    Mistake("benchmark of letters", lambda: fit(X=FRAME).benchmark("uv"), "columns must be a sequence of covariates, got 'uv'", TypeError),
    Mistake("benchmark of a stranger", lambda: fit(X=FRAME).benchmark(["w"]), r"columns holds 'w', which is no covariate; they are \['u', 'v'\]"),
    # -- policies
    Mistake("policy without its estimand", lambda: ask(policy=np.ones), "policy= belongs to estimand='policy'"),
    Mistake("estimand without policy", lambda: ask("policy"), "policy= belongs to estimand='policy'"),
    Mistake("policy with an arm", lambda: ask("policy", policy=lambda X: np.ones(len(X)), arm=1), "leave out arm= and control="),
    Mistake("policy of wrong shape", lambda: ask("policy", policy=lambda X: np.ones((len(X), 3))), r"policy must return shape \(60, 2\)"),
    Mistake("policy that is no probability", lambda: ask("policy", policy=lambda X: np.full(len(X), 1.5)), "policy must return probabilities"),
    # -- learners and folds
    Mistake("unknown law", lambda: fit(law="tree"), "law must be 'forest', .* got 'tree'"),
    Mistake("law of wrong shape", lambda: fit(law=lambda train, query: np.ones((3, 3))), r"law= must return shape \(m, n_train\)"),
    Mistake("negative law", lambda: fit(law=lambda train, query: -np.ones((len(query), len(train)))), "law= must return weights >= 0"),
    Mistake("propensity without probabilities", lambda: fit(propensity=LinearSVC()), "propensity must be a classifier with predict_proba", TypeError),
    Mistake("propensity that is no model", lambda: fit(propensity=0.5), "propensity must be a classifier with predict_proba, got 0.5", TypeError),
    Mistake("one fold", lambda: fit(cv=1), "cv must be a whole number >= 2, got 1"),
    Mistake("no clipping", lambda: fit(clip=0.0), "clip must be a number > 0"),
    Mistake("clipping all", lambda: fit(clip=0.5), "clip must be below 0.5"),
    Mistake("no repeats", lambda: fit(n_repeats=0), "n_repeats must be a whole number >= 1"),
    Mistake("other columns", lambda: fit(X=FRAME).predict_bounds(FRAME[["v", "u"]], odds_ratio=2.0), "feature names should match"),
    Mistake("fewer columns", lambda: fit().predict_bounds(X[:, :1], odds_ratio=2.0), "X has 1 features"),
    # -- divergences
    Mistake("unknown divergence", lambda: f_ball(divergence="wasserstein"), "divergence must be one of .* got 'wasserstein'"),
    Mistake("same divergence twice", lambda: f_ball(divergence=["kl", "kl"]), "must list different divergences"),
    Mistake("no divergence", lambda: f_ball(divergence=[]), "at least one"),
    Mistake("order of zero", lambda: f_ball(divergence=("alpha", 0.0)), "the order a .* must be a number > 0, got 0"),
    Mistake("infinite order", lambda: f_ball(divergence=("alpha", np.inf)), "its limit is Manski's bound"),
    Mistake("k too large", lambda: f_ball(divergence=["kl", "tv"], aggregation=("kth", 3)), "at most the number of divergences, 2, got 3"),
    Mistake("unknown aggregation", lambda: f_ball(aggregation="mean"), "aggregation must be .* got 'mean'"),
    Mistake("unknown final", lambda: f_ball(final="tmle"), "final must be 'plugin' or 'dr', got 'tmle'"),
    Mistake("f-ball of the treated", lambda: f_ball().average_bounds("att"), "for estimand='att' use ManskiBounds or SensitivityBounds"),
    Mistake("f(1) is not 0", lambda: Divergence(lambda t: t**2), r"needs f\(1\) = 0"),
    Mistake("f(0) is infinite", lambda: Divergence(lambda t: -np.log(np.maximum(t, 0.0) + 0.0) if t.min() > 0 else np.full(t.shape, np.inf)), r"f\(0\) = inf"),
    Mistake("f is of one number", lambda: Divergence(lambda t: max(t, 1.0) - 1.0), "must turn an array into one of the same shape"),
    Mistake("f is not convex", lambda: Divergence(lambda t: np.sin(3 * (t - 1))), "is not finite and convex"),
    Mistake("quantile of order one", lambda: fit(QuantileBounds, tau=1.0), "tau must be below 1"),
    Mistake("quantile of order zero", lambda: fit(QuantileBounds, tau=0.0), "tau must be a number > 0"),
    # -- functions
    Mistake("propensity of zero", lambda: f_radius([0.5, 0.0], "kl"), r"propensity must lie in \(0, 1\], got .*0.0.* \(1 of 2\)"),
    Mistake("propensity above one", lambda: manski_bounds([0.0], 1.5, support=(0, 1)), r"propensity must lie in \(0, 1\]"),
    Mistake("values outside", lambda: manski_bounds([0.0, 2.0], 0.5, support=(0, 1)), r"values lie outside the support \(0, 1\)"),
    Mistake("weights of wrong length", lambda: f_ball_bounds([0.0, 1.0], 0.5, weights=[1.0], support=(0, 1)), r"weights must have shape \(2,\)"),
    Mistake("negative weights", lambda: cap_bounds([0.0, 1.0], 0.5, weights=[2.0, -1.0], odds_ratio=2.0), "weights must be finite and >= 0"),
    Mistake("no values", lambda: cap_bounds([], 0.5, odds_ratio=2.0), "values must be one row of finite numbers"),
    Mistake("k of zero", lambda: kth_order([[0.0]], [[1.0]], 0), "k must be a whole number >= 1"),
    Mistake("k above", lambda: kth_order([[0.0]], [[1.0]], 2), "k must be at most the number of divergences, 1, got 2"),
    Mistake("ends that are NaN", lambda: kth_order([[0.0, np.nan]], [[1.0, 2.0]], 1), "1 of the ends are NaN"),
    Mistake("ends of two shapes", lambda: kth_order([[0.0]], [1.0], 1), "must have one shape"),
    # -- data
    Mistake("unknown simulation", lambda: make_confounded_treatment(kind="gamma"), "kind must be one of .* got 'gamma'"),
    Mistake("odds ratio of a simulation", lambda: make_confounded_treatment(odds_ratio=0.5), "odds_ratio must be a number >= 1"),
    Mistake("unknown draw", lambda: fetch_ihdp(draw=2), r"draw must be one of \(1, 10\), got 2"),
]  # fmt: skip


@each(MISTAKES)
def test_mistake_raises_an_error_that_names_it(mistake):
    mistake.check()


def test_weights_without_a_learner_for_them_raise():
    from sklearn.neighbors import KNeighborsClassifier

    with pytest.raises(ValueError, match="KNeighborsClassifier does not take it"):
        fit(propensity=make_pipeline(StandardScaler(), KNeighborsClassifier()), sample_weight=1.0 + A)


@pytest.mark.parametrize("labels", [[False, True], [0, 1], [0.0, 1.0]])
def test_zero_one_labels_have_default_arms(labels):
    model = fit(treatment=np.array(labels)[A])
    assert model.average_bounds("mean", odds_ratio=2.0).estimand == f"mean of Y if all rows took arm {labels[1]!r}"


def test_degenerate_but_legal():
    constant = fit(y=np.full(60, 0.3), outcome_support=(0, 1))
    with pytest.warns(DegenerateInputWarning, match="all 30 outcomes of arm 1 are 0.3"):
        bounds = constant.average_bounds("mean", odds_ratio=3.0)
    assert (bounds.lower, bounds.upper, bounds.se_upper) == (pytest.approx(0.3), pytest.approx(0.3), pytest.approx(0.0))
    with pytest.warns(DegenerateInputWarning, match="so its error counts as 0"):
        ball = f_ball(y=np.full(60, 0.3)).average_bounds("mean")
    assert ball.lower < 0.3 < ball.upper
    with pytest.warns(DegenerateInputWarning, match="outcomes of arm 1 are 1"):
        at_the_limit = f_ball(y=np.ones(60)).average_bounds("mean")
    assert 1.0 <= at_the_limit.upper < 1.002  # the floor of kappa widens by a thousandth
    with pytest.warns(DegenerateInputWarning, match="left out of all models"):
        constant_feature = fit(X=np.c_[X, np.ones(60)], law="knn")
    assert np.isfinite(constant_feature.average_bounds("mean", odds_ratio=2.0).conf_int).all()
    single_row = constant.predict_bounds(X[:1], odds_ratio=2.0)
    assert single_row.upper.shape == (1,)
    two = f_ball(y=(Y > 0.5).astype(int)).predict_bounds(X)
    assert ((two.lower >= 0) & (two.upper <= 1)).all()
