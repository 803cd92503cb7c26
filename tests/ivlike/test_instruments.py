"""Genuine instruments: how strong they are, judged by linearmodels and by least squares of statsmodels."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from causalinv import FunctionAugmentation, IVLikeRegression, Translation
from causalinv.exceptions import IdentificationWarning, WeakSignalWarning


def market(n=400, *, strength=0.5, q=2, k=1, seed=0):
    """One endogenous feature, k exogenous ones, q instruments, unequal variances, 40 clusters."""
    rng = np.random.default_rng(seed)
    W, Z, U = rng.normal(size=(n, k)), rng.normal(size=(n, q)), rng.normal(size=n)
    Z[:, 0] += W[:, 0]
    x = strength * Z.sum(axis=1) + W.sum(axis=1) + U + rng.normal(size=n) * (0.3 + np.abs(Z[:, 0]))
    y = x - W.sum(axis=1) + U + rng.normal(size=n)
    return x, W, Z, y, rng.integers(40, size=n)


@pytest.mark.parametrize("q", [1, 3])
def test_partial_f_leaves_included_regressors_out_and_is_that_of_linearmodels(q):
    iv = pytest.importorskip("linearmodels.iv", reason="a peer, of the extra bench")
    x, W, Z, y, _ = market(q=q, k=2)
    model = IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=np.c_[Z, W])
    peer = iv.IV2SLS(y, sm.add_constant(W), x, Z).fit(cov_type="unadjusted", debiased=True)
    assert model.first_stage_f_ == pytest.approx([peer.first_stage.diagnostics["f.stat"].iloc[0]], rel=1e-8)
    text = str(model.summary())
    assert f"First stage: F {model.first_stage_f_[0]:.4g}, effective F {model.effective_f_:.4g} (weak below 10)" in text


@pytest.mark.parametrize("clustered", [False, True])
def test_effective_f_of_one_instrument_is_the_robust_f_of_the_first_stage(clustered):
    """Montiel Olea and Pflueger (2013): with one instrument theirs is the robust F, in their factor of n."""
    x, W, Z, y, groups = market(q=1)
    weight = np.random.default_rng(1).uniform(0.2, 2.0, size=len(y))
    given = {"groups": groups} if clustered else {}
    model = IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=np.c_[Z, W], sample_weight=weight, **given)
    kind = {"cov_type": "cluster", "cov_kwds": given} if clustered else {"cov_type": "HC1"}
    first = sm.WLS(x, sm.add_constant(np.c_[Z, W]), weights=weight).fit(**kind)
    assert model.effective_f_ == pytest.approx(first.tvalues[1] ** 2, rel=1e-9)


def test_effective_f_of_several_instruments_is_the_quotient_of_forms_in_the_first_stage():
    """x'P x over tr(S Z'Z), instruments and regressor residualised on the included one, S from statsmodels' HC1."""
    x, W, Z, y, _ = market(q=3)
    model = IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=np.c_[Z, W])
    first = sm.OLS(x, sm.add_constant(np.c_[Z, W])).fit(cov_type="HC1")
    C = sm.add_constant(W)
    inside = Z - C @ np.linalg.lstsq(C, Z, rcond=None)[0]
    slope, cov = first.params[1:4], first.cov_params()[1:4, 1:4]
    assert model.effective_f_ == pytest.approx(slope @ inside.T @ inside @ slope / np.trace(cov @ inside.T @ inside))


def test_many_irrelevant_instruments_have_f_around_one():
    """The mean of F(q, n - q - 1) is (n - q - 1) / (n - q - 3): without its degrees of freedom 14 at q = 90."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, Z = rng.normal(size=(100, 1)), rng.normal(size=(100, 90))
        found.append(IVLikeRegression(0.5).fit(X, X[:, 0], instruments=Z).first_stage_f_[0])
    assert np.mean(found) == pytest.approx(9 / 7, abs=4 * np.std(found) / np.sqrt(60))
    assert np.mean(found) < 2.5


def test_the_smallest_f_comes_first_and_is_the_statistic_of_cragg_and_donald():
    rng = np.random.default_rng(0)
    n = 500
    Z, U = rng.normal(size=(n, 3)), rng.normal(size=n)
    X = np.c_[Z[:, 0] + U, 0.1 * Z[:, 1] + U + rng.normal(size=n)]
    with pytest.warns(WeakSignalWarning, match="weakest direction"):
        model = IVLikeRegression(0.0).fit(X, X @ [1.0, 1.0] + U, instruments=Z)
    Xc, Zc = X - X.mean(axis=0), Z - Z.mean(axis=0)
    P = Zc @ np.linalg.pinv(Zc)
    error = Xc.T @ (Xc - P @ Xc) / (n - 3 - 1)
    cragg_donald = np.linalg.eigvals(np.linalg.solve(error, Xc.T @ P @ Xc)).real / 3
    assert model.first_stage_f_ == pytest.approx(np.sort(cragg_donald), rel=1e-9)


def test_weak_instruments_are_warned_about_where_they_identify():
    x, W, Z, y, groups = market(strength=0.02)
    with pytest.warns(WeakSignalWarning, match="Weak instruments"):
        IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=np.c_[Z, W])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        IVLikeRegression(0.5).fit(np.c_[x, W], y, instruments=np.c_[Z, W])  # anchors need not be strong
        IVLikeRegression(0.0).fit(W, y, instruments=W)  # nothing is endogenous
    # An instrument that is constant within few clusters: strong if rows were independent.
    rng = np.random.default_rng(5)
    common = rng.normal(size=40)[groups]
    x = x + 2 * rng.normal(size=40)[groups]
    with pytest.warns(WeakSignalWarning):
        clustered = IVLikeRegression(0.0).fit(x[:, None], y, instruments=common, groups=groups)
    assert clustered.first_stage_f_[0] > 2 * clustered.effective_f_


def test_two_stage_least_squares_has_an_interval_of_the_effect_with_its_own_words():
    x, W, Z, y, _ = market()
    model = IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=np.c_[Z, W])
    frame = model.confint(kind="identified")
    assert "if the instruments are independent of hidden causes" in frame.columns.name
    np.testing.assert_array_equal(frame, model.confint())
    with pytest.raises(ValueError, match="pulled towards least squares"):
        model.confint(kind="identified", at=0.3)
    with pytest.raises(ValueError, match="pulled towards least squares"):
        IVLikeRegression(0.3).fit(np.c_[x, W], y, instruments=np.c_[Z, W]).confint(kind="identified")
    with pytest.warns(IdentificationWarning):
        open_ = IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=Z[:, :1])
    with pytest.raises(ValueError, match="1 move 1 of 2 directions"):
        open_.confint(kind="identified")
    with pytest.raises(ValueError, match="without ridge"):
        IVLikeRegression(0.0, ridge=0.1).fit(np.c_[x, W], y, instruments=np.c_[Z, W]).confint(kind="identified")


def test_interval_of_the_effect_covers_it():
    hits = []
    for seed in range(150):
        x, W, Z, y, _ = market(300, strength=1.5, seed=seed)
        frame = IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=np.c_[Z, W]).confint(kind="identified")
        hits.append(frame["lower"].iloc[0] <= 1.0 <= frame["upper"].iloc[0])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 150) < np.mean(hits)


def test_alpha_is_no_argument_of_intervals():
    x, W, Z, y, _ = market()
    model = IVLikeRegression(0.0).fit(np.c_[x, W], y, instruments=np.c_[Z, W])
    with pytest.raises(TypeError, match=r"'alpha'.*confidence_level=0.95.*at="):
        model.confint(alpha=0.05)
    assert model.confint(at=0.5).to_numpy() == pytest.approx(
        IVLikeRegression(0.5).fit(np.c_[x, W], y, instruments=np.c_[Z, W]).confint().to_numpy(), rel=1e-9
    )


def test_what_was_not_declared_is_not_called_declared():
    X, y = np.c_[market()[0], market()[1]], market()[3]
    step = Translation([[0.0, 1.0]])
    model = IVLikeRegression(0.0, augmentation=step).fit(X, y)
    assert "the declared invariance holds" in model.confint(kind="identified").columns.name
    noise = FunctionAugmentation(lambda rows, rng: (rows + [0.0, 1.0] * (g := rng.normal(size=(len(rows), 1))), g))
    model = IVLikeRegression(0.0, augmentation=noise, random_state=0).fit(X, y)
    assert "which you did not declare" in model.confint(kind="identified").columns.name
