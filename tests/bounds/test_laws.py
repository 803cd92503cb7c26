"""Conditional laws, folds and propensities."""

import warnings

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier

from causalinv.bounds import SensitivityBounds, f_ball_bounds
from causalinv.bounds._laws import N_ATOMS, Sample, _nearest, compress, fit_law
from causalinv.exceptions import OverlapWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2))
PHI = X[:, 0] + RNG.normal(size=300)


def sample(weight=None):
    atoms, codes = np.unique(PHI, return_inverse=True)
    return atoms, Sample(X, PHI, codes, len(atoms), weight)


@pytest.mark.parametrize("weight", [None, RNG.uniform(0.1, 2.0, size=300)], ids=["plain", "weighted"])
def test_forest_law_has_the_mean_that_the_forest_predicts(weight):
    forest = ExtraTreesRegressor(20, min_samples_leaf=5, random_state=1)
    atoms, given = sample(weight)
    law = fit_law(forest, given, seed=0)
    query = RNG.normal(size=(40, 2))
    weights = law.weights(query)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights @ atoms, forest.fit(X, PHI, sample_weight=weight).predict(query), rtol=1e-9)


def test_nearest_kernel_and_marginal_laws_by_hand():
    atoms, given = sample()
    query = RNG.normal(size=(5, 2))
    scaled, asked = X / X.std(axis=0), query / X.std(axis=0)
    square = ((asked[:, None] - scaled) ** 2).sum(axis=2)
    k = round(300 ** (4 / 6))
    nearest = np.array([PHI[np.argsort(row)[:k]].mean() for row in square])
    np.testing.assert_allclose(fit_law("knn", given, 0).weights(query) @ atoms, nearest, rtol=1e-9)
    kernel = np.exp(-0.5 * square / (300 ** (-1 / 6)) ** 2)
    expected = kernel @ PHI / kernel.sum(axis=1)
    np.testing.assert_allclose(fit_law("kernel", given, 0).weights(query) @ atoms, expected, rtol=1e-9)
    np.testing.assert_allclose(fit_law("marginal", given, 0).weights(query) @ atoms, PHI.mean(), rtol=1e-9)
    far = fit_law("kernel", given, 0).weights(np.array([[1e4, 0.0]]))  # the nearest row still counts
    assert far.sum() == pytest.approx(1.0)


def test_a_function_of_yours_is_a_law():
    atoms, given = sample()
    law = fit_law(lambda train, query: (np.abs(query[:, :1] - train[:, 0]) < 0.5) + 1e-9, given, 0)
    near = np.abs(X[:, 0] - 0.2) < 0.5
    assert law.weights(np.array([[0.2, 3.0]])) @ atoms == pytest.approx(PHI[near].mean(), rel=1e-5)


def test_atoms_keep_few_values_and_the_mean_and_the_tails_of_many():
    few = RNG.integers(0, 5, size=1000).astype(float)
    atoms, codes = compress(few)
    np.testing.assert_array_equal(atoms[codes], few)
    many = RNG.standard_t(3, size=20_000)
    atoms, codes = compress(many)
    assert len(atoms) <= N_ATOMS
    assert (np.diff(atoms) > 0).all()
    assert atoms[codes].mean() == pytest.approx(many.mean())
    assert (atoms[0], atoms[-1]) == (many.min(), many.max())
    wide = {"support": (many.min(), many.max()), "divergence": "hellinger"}  # the ball that leans most on extremes
    share = np.bincount(codes) / len(codes)
    binned, own = (f_ball_bounds(v, 0.5, weights=w, **wide)[1] for v, w in ((atoms, share), (many, None)))
    assert own - 2e-3 * np.ptp(many) <= binned <= own
    for tail in (0.01, 0.5, 0.99):  # mean above a quantile, which is what bounds need
        cut = np.quantile(many, tail)
        own, binned = np.maximum(many - cut, 0).mean(), np.maximum(atoms[codes] - cut, 0).mean()
        assert own * (1 - 5e-3) <= binned <= own * (1 + 1e-12)


def test_models_never_see_the_rows_at_which_they_are_evaluated():
    n = 60
    labels = np.arange(n, dtype=float)[:, None]
    seen = []

    def spy(train, query):
        assert not np.isin(train, query).any()
        seen.append(query.ravel())
        return np.ones((len(query), len(train)))

    model = SensitivityBounds(law=spy, cv=3, random_state=0)
    rng = np.random.default_rng(0)
    model.fit(labels, rng.normal(size=n), treatment=np.arange(n) % 2)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.repeat(labels.ravel(), 2))  # each row once per arm


def test_groups_stay_in_one_fold():
    groups = np.repeat(np.arange(20), 6)
    rng = np.random.default_rng(1)

    def spy(train, query):
        assert not np.isin(train[:, 0], query[:, 0]).any()
        return np.ones((len(query), len(train)))

    Z = np.c_[groups, rng.normal(size=120)].astype(float)
    model = SensitivityBounds(law=spy, cv=4, random_state=0)
    model.fit(Z, rng.normal(size=120), treatment=rng.integers(0, 2, size=120), groups=groups)


def test_clipping_is_counted_and_warned_about():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 1)) * 4
    treatment = (x[:, 0] + 0.3 * rng.normal(size=400) > 0).astype(int)
    with pytest.warns(OverlapWarning, match=r"of 400 propensities lie outside \[0.05, 0.95\]"):
        model = SensitivityBounds(law="marginal", clip=0.05, random_state=0).fit(x, x[:, 0], treatment=treatment)
    assert model.n_clipped_ > 20
    assert model.oof_propensity_.min() == 0.05
    assert f"{model.n_clipped_} of 400 rows" in str(model.average_bounds("mean", odds_ratio=1.5))


def test_a_benchmark_does_not_warn_of_the_overlap_without_a_covariate():
    """A summary gave seventeen warnings, one for every fit without a covariate."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    model = SensitivityBounds(law="marginal", cv=2, clip=0.3, random_state=0)
    with pytest.warns(OverlapWarning):
        model.fit(X, X[:, 0] + rng.normal(size=60), treatment=(X[:, 0] > 0).astype(int)).average_bounds(odds_ratio=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", OverlapWarning)
        model.benchmark()
        model.summary()


def test_the_seed_reaches_the_users_learners_unless_they_have_their_own():
    data = {"X": X, "y": PHI, "treatment": np.arange(300) % 2}
    forest = RandomForestClassifier(10, min_samples_leaf=20)
    law = ExtraTreesRegressor(5, min_samples_leaf=10)
    a, b, c = (SensitivityBounds(propensity=forest, law=law, cv=2, random_state=seed).fit(**data) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.oof_propensity_, b.oof_propensity_)
    assert a.average_bounds("mean", odds_ratio=2.0).upper == b.average_bounds("mean", odds_ratio=2.0).upper
    assert not np.array_equal(a.oof_propensity_, c.oof_propensity_)
    assert forest.random_state is None  # the user's object is left alone


def test_rows_equally_far_share_what_nearer_ones_leave():
    """Twelve rows, k = 10: six at the query, six at distance one; in any order each of the latter counts 4/6."""
    X = np.array([[0.0]] * 6 + [[1.0], [-1.0]] * 3)
    query = np.array([[0.0]])
    expected = np.r_[np.ones(6), np.full(6, 4 / 6)]
    for order in (np.arange(12), np.random.default_rng(0).permutation(12)):
        near = _nearest(X[order], query).toarray()[0]
        np.testing.assert_allclose(near, expected[order], rtol=1e-12)
    untied = _nearest(np.arange(12.0)[:, None] ** 2, query).toarray()[0]
    assert untied.tolist() == [1.0] * 10 + [0.0] * 2
