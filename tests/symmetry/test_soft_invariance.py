"""Judges: scikit-learn's Gaussian process on one component, finite differences, functions of known shares."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel

from causalinv.exceptions import DegenerateInputWarning
from causalinv.symmetry import SoftInvariantRegressor
from causalinv.symmetry._soft_invariance import _objective
from causalinv.transformations import EuclideanGroup, Rotate90, Scaling, SignFlip


class Centred(Kernel):
    """The model's own kernel, written out: a Gaussian, centred over the training rows, with trace n - 1."""

    def __init__(self, rows, width, factor):
        self.rows, self.width, self.factor = rows, width, factor

    def base(self, A, B):
        return np.exp(-((A[:, None] - B[None]) ** 2).sum(axis=2) / (2 * self.width**2))

    def __call__(self, X, Y=None, eval_gradient=False):
        Y = X if Y is None else Y
        K = self.base(self.rows, self.rows)
        scale = (len(K) - 1) / (np.trace(K) - K.mean() * len(K))
        left, right = (self.base(each, self.rows).mean(axis=1) for each in (X, Y))
        return self.factor * scale * (self.base(X, Y) - left[:, None] - right + K.mean())

    def diag(self, X):
        return np.diag(self(X))

    def is_stationary(self):
        return False


def world(n=120, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 2))
    return X, X[:, 0] ** 2 + X[:, 1] + 0.1 * np.random.default_rng(seed + 1).normal(size=n)


def test_one_component_is_a_gaussian_process():
    X, y = world(60)
    model = SoftInvariantRegressor({}).fit(X, y)
    new = np.random.default_rng(9).normal(size=(20, 2))
    kernel = Centred(X, model.length_scale_, model.variances_["none"])
    peer = GaussianProcessRegressor(kernel, alpha=model.noise_variance_, optimizer=None).fit(X, y - y.mean())
    mean, std = model.predict(new, return_std=True)
    expected, spread = peer.predict(new, return_std=True)
    np.testing.assert_allclose(mean, expected + y.mean(), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(std**2, spread**2 + model.noise_variance_ / 60, rtol=1e-8, atol=1e-8)


def test_likelihood_and_gradient():
    X, y = world(40)
    model = SoftInvariantRegressor({"a": SignFlip([0]), "b": SignFlip([1])}).fit(X, y)
    y = y - y.mean()
    for logs in np.random.default_rng(0).normal(size=(3, 5)):
        assert (
            check_grad(
                lambda t: _objective(t, model._kernels, y)[0], lambda t: _objective(t, model._kernels, y)[1], logs
            )
            < 1e-4
        )
    V = np.tensordot(model.variances_.to_numpy(), model._kernels, axes=1) + model.noise_variance_ * np.eye(40)
    Q = np.linalg.qr(np.column_stack([np.ones(40), np.eye(40)[:, 1:]]))[0][:, 1:]  # contrasts
    peer = multivariate_normal(np.zeros(39), Q.T @ V @ Q).logpdf(Q.T @ y)
    assert model.log_likelihood_ == pytest.approx(peer, rel=1e-8)
    gradient = _objective(
        np.log(np.r_[model.variances_, model.noise_variance_] / y.var(ddof=1)), model._kernels, y / y.std(ddof=1)
    )[1]
    inner = np.r_[model.variances_, model.noise_variance_] / y.var(ddof=1) > 1e-6
    assert np.abs(gradient[inner]).max() < 0.05


def test_shares_find_what_is_broken():
    """Var x² = 2, Var x = 1: a third breaks the second sign, nothing the first."""
    X, y = world(200)
    model = SoftInvariantRegressor({"first": SignFlip([0]), "second": SignFlip([1])}, random_state=0).fit(X, y)
    assert model.broken_share_["first"] < 0.05
    truth = X[:, 1].var() / (X[:, 0] ** 2 + X[:, 1]).var()
    assert abs(model.broken_share_["second"] - truth) < 0.08
    assert list(model.variances_.index) == ["none", "first", "second", "first and second"]
    table = model.broken_share_interval(n_draws=200).to_frame()
    assert table.loc["second", "lower"] < truth < table.loc["second", "upper"] < 0.6
    pieces = model._pieces(model._kernels @ model.dual_coef_)
    # Kernels of the fit are lifted above their rounding, those of new rows are not.
    np.testing.assert_allclose(model.intercept_ + pieces.sum(axis=0), model.predict(X), atol=5e-6)
    odd = (model.predict(X) - model.predict(X * [1, -1])) / 2  # what does not keep the second, by definition
    whole = model.predict(X).var()
    assert model.broken_share_["second"] == pytest.approx((odd - odd.mean()).var() / whole, abs=1e-6)
    assert table.loc["first", "lower"] == 0.0 < table.loc["first", "upper"]
    assert table["pvalue"]["second"] < 1e-6
    assert table["pvalue"]["first"] > 0.05


def test_components_keep_their_symmetries():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 4))
    y = np.linalg.norm(X[:, :2] - X[:, 2:], axis=1)
    groups = {"turns": EuclideanGroup(2, translations=False), "scale": Scaling()}
    model = SoftInvariantRegressor(groups).fit(X, y)
    assert model.broken_share_["turns"] < model.broken_share_["scale"]
    only = SoftInvariantRegressor({"turns": groups["turns"]}).fit(X, y)
    only.variances_[:] = [0.0, 1.0]
    moved = groups["turns"].draw(X, rng)[0]
    np.testing.assert_allclose(only.predict(moved), only.predict(X), atol=1e-9)


def test_degenerate_and_refused():
    X, y = world(30)
    with pytest.warns(DegenerateInputWarning, match="y is constant"):
        model = SoftInvariantRegressor({"a": SignFlip([0])}).fit(X, np.full(30, 4.0))
    np.testing.assert_array_equal(model.predict(X), 4.0)
    trivial = SoftInvariantRegressor({"a": SignFlip([[0, 1]])}).fit(X * 0 + 1, y)  # nothing to tell rows apart
    np.testing.assert_allclose(trivial.predict(X), y.mean())
    with pytest.raises(ValueError, match="at most 5000"):
        SoftInvariantRegressor({}).fit(np.ones((5001, 1)), np.arange(5001.0))
    with pytest.raises(ValueError, match="at most 4 candidates, got 5"):
        SoftInvariantRegressor({str(k): SignFlip([0]) for k in range(5)}).fit(X, y)
    with pytest.raises(TypeError, match="dict from names to transformations"):
        SoftInvariantRegressor([SignFlip([0])]).fit(X, y)
    with pytest.raises(ValueError, match="do not go together"):
        SoftInvariantRegressor({"a": EuclideanGroup(2), "b": Rotate90((2, 2))}).fit(
            np.random.default_rng(0).normal(size=(30, 4)), y
        )


def test_summary_says_the_shares_and_the_length_scale_is_the_likeliest():
    X, y = world(60)
    flips = {"first": SignFlip([0]), "second": SignFlip([1])}
    model = SoftInvariantRegressor(flips).fit(X, y)
    text = str(model.summary())
    assert all(each in text for each in ("first", "second", "model-based", "length scale", "noise"))
    medians = np.median(np.linalg.norm(X[:, None] - X, axis=2)[np.triu_indices(60, 1)])
    grid = [SoftInvariantRegressor(flips, length_scale=m * medians).fit(X, y).log_likelihood_ for m in (1, 2, 4, 8)]
    assert model.log_likelihood_ == pytest.approx(max(grid), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_shares_are_free_of_units(unit):
    X, y = world(40)
    first, second = (SoftInvariantRegressor({"first": SignFlip([0])}).fit(u * X, u * y) for u in (1.0, unit))
    assert second.broken_share_["first"] == pytest.approx(first.broken_share_["first"], abs=1e-4)
    assert second.noise_variance_ / unit**2 == pytest.approx(first.noise_variance_, rel=1e-2)
    rounding = 0.1 * np.ones(40)
    rounding[::3] = 0.3 - 0.2
    with pytest.warns(DegenerateInputWarning, match="y is constant"):
        assert SoftInvariantRegressor({"first": SignFlip([0])}).fit(X, rounding).noise_variance_ == 0


def test_kernels_that_hardly_vary_have_no_eigenvalue_below_0_by_rounding():
    """Cosine of two vectors: at a long length scale its kernel is enlarged a millionfold, and Cholesky failed."""
    X = np.random.default_rng([10, 0]).normal(size=(100, 6))
    y = np.sum(X[:, :3] * X[:, 3:], axis=1) / np.linalg.norm(X[:, :3], axis=1) / np.linalg.norm(X[:, 3:], axis=1)
    groups = {"rotation": EuclideanGroup(3, translations=False), "scale": Scaling()}
    model = SoftInvariantRegressor(groups, length_scale=27.0).fit(X, y)
    for kernel in model._kernels:
        values = np.linalg.eigvalsh(kernel)
        assert values[0] > -1e-14 * values[-1]
        assert np.abs(kernel.sum(axis=0)).max() < 1e-12 * values[-1]
        assert values.sum() == pytest.approx(99, rel=1e-5)
    assert np.corrcoef(model.predict(X), y)[0, 1] > 0.95


def test_a_share_is_at_most_1():
    """Few rows, turns of the plane: what breaks and what keeps them are correlated, and 1.5 came out of the ratio."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, size=(60, 4)).astype(float)
    model = SoftInvariantRegressor({"turns": EuclideanGroup(2, translations=False)}, random_state=0)
    table = model.fit(X, rng.normal(size=60)).broken_share_interval(n_draws=200).to_frame()
    assert 0 <= table["lower"].iloc[0] <= table["estimate"].iloc[0] <= table["upper"].iloc[0] <= 1


def test_predictions_do_not_follow_what_becomes_of_X():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = X[:, 0] ** 2 + X[:, 1]
    model = SoftInvariantRegressor({"first": SignFlip([0])}, length_scale=2.0).fit(X, y)
    new = rng.normal(size=(5, 2))
    before = model.predict(new)
    X *= 5
    np.testing.assert_array_equal(model.predict(new), before)


def test_a_component_without_variation_has_no_variance():
    """Its kernel is 0, so its likelihood is flat: the optimiser left it at its start, 0.48 of 1.0."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=30)
    still = SoftInvariantRegressor({"first": SignFlip([0])}).fit(np.ones((30, 2)), y)
    np.testing.assert_array_equal(still.variances_, 0.0)
    assert still.noise_variance_ == pytest.approx(y.var(ddof=1), rel=1e-6)
    np.testing.assert_allclose(still.predict(np.ones((2, 2))), y.mean())
    X = np.sign(rng.normal(size=(30, 1)))  # two values: what keeps their exchange is constant
    two = SoftInvariantRegressor({"flip": SignFlip([0])}).fit(X, X[:, 0] + 0.1 * y)
    assert two.variances_["flip"] == 0
    assert two.variances_["none"] > 0.1
    assert two.broken_share_["flip"] == pytest.approx(1.0)
    assert two.broken_share_interval(n_draws=100).table["pvalue"].iloc[0] < 1e-6
