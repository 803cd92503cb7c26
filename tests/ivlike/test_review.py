"""What a cold review found: one sharp test per mend."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.tree import DecisionTreeRegressor

from causalinv import FunctionAugmentation, GaussianNoise, IVLikeRegression, Translation
from causalinv.ivlike import IVLikeBoosting, IVLikeRegressionCV, PermutationGroup

STEP = np.array([[0.0, 1.0]])


def curved(n=2000, seed=0):
    """The outcome ignores x1, whose square carries the hidden cause."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=n)
    X = np.c_[rng.normal(size=n), U + 0.5 * rng.normal(size=n)]
    return X, X[:, 0] + 2 * U**2 + rng.normal(size=n)


@pytest.mark.filterwarnings("ignore:alpha=0, but predictions still change")
@pytest.mark.parametrize("integration", ["auto", "sampled", "closed_form"])
def test_identified_is_refused_where_features_still_react(integration):
    """The paired first stage is linear in G and leaves x1²; the closed form leaves x0 x1, whose mean given G is 0."""
    X, y = curved()
    squares = PolynomialFeatures(2, include_bias=False)
    model = IVLikeRegression(
        augmentation=Translation(STEP), features=squares, integration=integration, random_state=0
    ).fit(X, y)
    assert np.ptp(model.predict(np.c_[np.ones(3), [-1.0, 0.0, 1.0]])) > 1e-3
    with pytest.raises(ValueError, match="needs predictions that ignore the augmentation.*on average given G"):
        model.confint(kind="identified")
    assert model.confint().shape == (5, 2)


def test_identified_is_granted_where_no_row_reacts():
    X, y = curved()
    split = ColumnTransformer([("read", PolynomialFeatures(2, include_bias=False), [0]), ("moved", "passthrough", [1])])
    for integration in ("paired", "closed_form"):
        model = IVLikeRegression(
            augmentation=Translation(STEP), features=split, integration=integration, random_state=0
        )
        interval = model.fit(X, y).confint(kind="identified")
        assert interval["lower"].iloc[0] < 1.0 < interval["upper"].iloc[0]


def test_bootstrap_keeps_the_names_of_pairs_and_refuses_other_pairs():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    y = X["a"] + rng.normal(size=300)
    first = pd.DataFrame(rng.normal(size=(50, 2)), columns=["c", "a"])
    second = first.assign(c=first["c"] + rng.normal(size=50))  # the pairs differ in c, their first column
    model = IVLikeRegression(0.0, augmentation=Translation.from_pairs(first, second)).fit(X, y)
    replicates = model.bootstrap(20, pairs=(first, second), random_state=0).replicates
    assert np.abs(replicates["c"]).max() < 1e-12 < np.abs(replicates["a"]).min()
    for other in ((X, X.assign(a=0.0)), (X.to_numpy(), X.assign(a=0.0).to_numpy())):
        with pytest.raises(ValueError, match="pairs= show other directions than the augmentation has"):
            model.bootstrap(5, pairs=other)


def test_intervals_at_alpha_zero_are_refused_where_the_path_refuses():
    X, y = curved(200)
    model = IVLikeRegression(0.1, augmentation=GaussianNoise()).fit(X, y)
    for ask in (lambda: model.confint(at=0), lambda: model.covariance(at=0), lambda: model.alpha_path([0])):
        with pytest.raises(ValueError, match="alpha=0 leaves no invariant direction"):
            ask()


def test_a_black_box_that_shrinks_harms_although_the_outcome_ignores_it():
    """The counterexample of the class docstring."""
    rng = np.random.default_rng(0)
    U = rng.normal(size=20_000)
    X = np.c_[rng.normal(size=len(U)), U + rng.normal(size=len(U))]

    def shrink(rows, rng):
        g = rng.uniform(0.05, 0.15, size=len(rows))
        return rows * np.c_[np.ones(len(g)), g], g[:, None]

    def error(coef):
        return float(np.var(X @ (coef - [1.0, 0.0])))

    model = IVLikeRegression(0.1, augmentation=FunctionAugmentation(shrink), random_state=0).fit(X, X[:, 0] + U)
    assert error(model.least_squares_coef_) == pytest.approx(0.5, rel=0.05)
    assert error(model.coef_) == pytest.approx(42, rel=0.1)
    assert error(model.alpha_path([np.inf])[0]) == pytest.approx(42, rel=0.1)


def test_gamma_zero_is_the_limit_where_a_moved_direction_has_no_variance():
    X, y = curved(200)
    step = Translation([[0.0, 0.0, 1.0]])
    constant = IVLikeRegression(0.1, augmentation=step).fit(np.c_[X, np.ones(200)], y)
    between = Translation([[0.0, 1.0, -1.0]])
    twice = IVLikeRegression(0.1, augmentation=between).fit(np.c_[X, X[:, 1]], y)
    for model in (constant, twice):
        limit, near = model.gamma_path([0.0, 1e-6])
        np.testing.assert_allclose(limit, near, atol=1e-4)
        np.testing.assert_allclose(limit, model.least_squares_coef_, atol=1e-9)
    group = IVLikeRegression(augmentation=PermutationGroup([[1, 0]])).fit(X, y)
    np.testing.assert_allclose(group.gamma_path([0.0, 5.0]), [group.coef_, group.coef_])


def test_cross_validation_skips_folds_without_weight_and_reads_splits_once():
    X, y = curved(60)
    groups = np.arange(60) % 6
    model = IVLikeRegressionCV(augmentation=Translation(STEP), random_state=0).fit(X, y, groups=groups)
    assert np.isfinite(model.bootstrap(50, random_state=0).alphas).all()
    splits = list(KFold(3).split(X))
    weight = np.r_[np.zeros(20), np.ones(40)]
    lazy = IVLikeRegressionCV(augmentation=Translation(STEP), cv=(each for each in splits))
    lazy.fit(X, y, sample_weight=weight)
    folds = [(np.arange(20, 40), np.arange(20)), (np.arange(20), np.arange(20, 40))]
    kept = IVLikeRegressionCV(augmentation=Translation(STEP), cv=folds).fit(X[20:], y[20:])
    np.testing.assert_allclose(lazy.cv_results_["risk"], kept.cv_results_["risk"])
    assert len(lazy.bootstrap(5, random_state=0).alphas) == 5
    with pytest.raises(ValueError, match="positive weight in at least two test sets"):
        kept.set_params(cv=splits).fit(X, y, sample_weight=np.r_[np.ones(20), np.zeros(40)])


def test_bootstrap_leaves_the_table_of_cross_validation_alone():
    X, y = curved(100)
    model = IVLikeRegressionCV(augmentation=Translation(STEP), random_state=0).fit(X, y)
    table = model.cv_results_.copy()
    model.bootstrap(3, random_state=0)
    pd.testing.assert_frame_equal(model.cv_results_, table)


@pytest.mark.parametrize("kind", [IVLikeRegressionCV, lambda **given: IVLikeRegression(0.1, **given)])
def test_a_generator_is_not_kept_for_reading_again(kind):
    def drawn(rows, rng):
        G = rng.normal(size=(len(rows), 1))
        return rows + G * STEP * (1 + 0.1 * rows), G

    X, y = curved(100)
    rng = np.random.default_rng(3)
    model = kind(augmentation=FunctionAugmentation(drawn), random_state=rng).fit(X, y)
    before = model.confint()
    rng.normal(size=10)
    pd.testing.assert_frame_equal(model.confint(), before)
    again = kind(augmentation=FunctionAugmentation(drawn), random_state=rng).fit(X, y)
    assert not np.array_equal(again.coef_, model.coef_)


def test_few_sources_of_copies_count_as_few():
    """Degrees of freedom m - k of m sources, and the factor m / (m - k), however many copies there are."""
    rng = np.random.default_rng(0)
    source = np.repeat(np.arange(30), 20)
    X, y = rng.normal(size=(30, 12)), rng.normal(size=30)
    G = rng.normal(size=(600, 2))
    rows = X[source] + G @ rng.normal(size=(2, 12))
    model = IVLikeRegression(np.inf).fit(rows, y[source], augmentation_parameters=G, groups=source)
    centred = rows - rows.mean(axis=0)
    residual = y[source] - y.mean() - centred @ model.coef_
    score = np.zeros((30, 12))
    np.add.at(score, source, centred * residual[:, None])
    bread = np.linalg.inv(centred.T @ centred)
    np.testing.assert_allclose(model.covariance(), 30 / 17 * bread @ score.T @ score @ bread, rtol=1e-8)
    width = np.diff(model.confint(cov_type="HC1").to_numpy())[:, 0] / 2
    np.testing.assert_allclose(width, t.ppf(0.975, 17) * np.sqrt(np.diag(model.covariance())), rtol=1e-10)
    few = source < 12
    model.fit(rows[few], y[source][few], augmentation_parameters=G[few], groups=source[few])
    with pytest.raises(ValueError, match="12 rows .copies of one count once. for 13 coefficients"):
        model.confint()


def test_one_seed_decides_nested_learners_and_features():
    X, y = curved(100)
    learner = make_pipeline(PolynomialFeatures(2), DecisionTreeRegressor(max_depth=3, max_features=1))
    features = make_pipeline(Nystroem(gamma=0.5, n_components=5))
    boosting = IVLikeBoosting(learner, augmentation=Translation(STEP), n_estimators=5, random_state=0)
    curve = IVLikeRegression(0.1, augmentation=Translation(STEP), features=features, random_state=0)
    for model in (boosting, curve):
        np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), clone(model).fit(X, y).predict(X))
    steps = boosting.fit(X, y).estimators_
    assert len({each[-1].random_state for each in steps}) == 5
    chosen = clone(boosting).set_params(estimator__decisiontreeregressor__random_state=7).fit(X, y)
    assert {each[-1].random_state for each in chosen.estimators_} == {7}


def test_a_pickled_fit_on_copies_remembers_that_they_are_copies():
    X, y = curved(100)
    G = np.random.default_rng(1).normal(size=(100, 2))
    model = IVLikeRegression(0.1).fit(X + G, y, augmentation_parameters=G, groups=np.arange(100))
    again = pickle.loads(pickle.dumps(model))
    assert "the rows are augmented copies" in str(again.summary())
    with pytest.raises(ValueError, match="alpha=0 leaves no invariant direction"):
        again.alpha_path([0])


@pytest.mark.filterwarnings("ignore:Weak instruments")
def test_held_out_risk_does_not_pay_for_what_many_instruments_explain_by_chance():
    """q=15, n=200: on fresh rows alpha=.035 is best for the same fits; uncorrected, folds of 40 chose .63."""
    chosen, oracle = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        A = rng.normal(size=(3, 2))

        def world(n, rng=rng, A=A):
            Z, U = rng.normal(size=(n, 15)), rng.normal(size=n)
            X = Z[:, :3] @ A + rng.normal(size=(n, 2)) + U[:, None]
            return {"X": X, "y": X @ [1.0, -1.0] + 3 * U, "instruments": Z}

        rows, fresh = world(200), world(20_000)
        grid = np.logspace(-3, 1, 21)
        model = IVLikeRegressionCV(grid, random_state=0).fit(**rows)
        scores = [IVLikeRegression(alpha).fit(**rows).score(**fresh) for alpha in grid]
        chosen.append(model.alpha_)
        oracle.append(grid[np.argmax(scores)])
    assert np.median(chosen) < 0.2
    assert np.median(oracle) < 0.1


@pytest.mark.parametrize("level", [-0.5, 0.0, 95])
def test_a_bootstrap_interval_has_a_level_between_zero_and_one(level):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    model = IVLikeRegression(0.5, augmentation=Translation([[0.0, 1.0]])).fit(X, X[:, 0] + rng.normal(size=60))
    with pytest.raises(ValueError, match="confidence_level must be a number > 0 and < 1"):
        model.bootstrap(20, random_state=0).confint(confidence_level=level)
