"""LIML, Fuller and the covariances of the k-class, judged by linearmodels, Stata's digits and numerical derivatives."""

import numpy as np
import pytest
import statsmodels.api as sm

from causalinv import IVLikeRegression
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._kclass import (
    fuller_kappa,
    kclass,
    kclass_covariance,
    kclass_influence,
    liml_kappa,
    moments_of,
)


def instrumented(n=300, *, k=3, m=1, c=2, seed=0, weighted=False):
    """Unequal variances, m endogenous features, c controls, 30 clusters."""
    rng = np.random.default_rng(seed)
    W, Z, U = rng.normal(size=(n, c)), rng.normal(size=(n, k)), rng.normal(size=n)
    X = 0.6 * Z[:, :m] + 0.1 * Z.sum(axis=1)[:, None] + U[:, None] + W.sum(axis=1)[:, None]
    X = X + rng.normal(size=(n, m)) * (0.3 + np.abs(Z[:, :1]))
    y = X.sum(axis=1) - W.sum(axis=1) + U + rng.normal(size=n) * (0.5 + Z[:, 0] ** 2)
    _, groups = np.unique(rng.integers(30, size=n), return_inverse=True)
    return y, X, Z, W, groups, rng.uniform(0.2, 2.0, size=n) if weighted else None


def estimated(equation, name):
    """κ and coefficients of an estimator."""
    kappa = 1.0 if name == "2sls" else liml_kappa(*moments_of(equation), over=equation.reduced.over)
    if name == "fuller":
        kappa = fuller_kappa(kappa, 1.0, df_first=equation.df_first)
    return kappa, kclass(equation, kappa)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("k", "m"), [(1, 1), (3, 1), (4, 2)])
@pytest.mark.parametrize("name", ["2sls", "liml", "fuller"])
def test_estimates_and_textbook_covariances_are_those_of_linearmodels(k, m, name, weighted):
    iv = pytest.importorskip("linearmodels.iv", reason="a peer, of the extra bench")
    y, X, Z, W, groups, weight = instrumented(k=k, m=m, weighted=weighted)
    exogenous = np.column_stack([np.ones(len(y)), W])
    kind = iv.IV2SLS if name == "2sls" else iv.IVLIML
    peer = kind(y, exogenous, X, Z, weights=weight, **({"fuller": 1} if name == "fuller" else {}))
    for cov_type, ours in (("unadjusted", "classical"), ("robust", "HC1"), ("clustered", "HC1")):
        clustered = cov_type == "clustered"
        given = Equation.from_rows(y, X, Z, controls=W, weight=weight, clusters=groups if clustered else None)
        found = peer.fit(cov_type=cov_type, debiased=True, **({"clusters": groups} if clustered else {}))
        kappa, coef = estimated(given, name)
        np.testing.assert_allclose(coef, found.params[-m:], rtol=1e-10)
        np.testing.assert_allclose(
            kclass_covariance(given, kappa, coef, cov_type=ours), found.cov.iloc[-m:, -m:], rtol=1e-9
        )
        if name != "2sls":
            assert kappa == pytest.approx(found.kappa, abs=1e-12)


@pytest.mark.parametrize("name", ["2sls", "liml", "fuller"])
def test_controls_and_columns_repeated_among_the_instruments_are_one(name):
    y, X, Z, W, groups, weight = instrumented(weighted=True)
    given = Equation.from_rows(y, X, Z, controls=W, weight=weight, clusters=groups)
    idiom = Equation.from_rows(y, np.c_[X, W], np.c_[Z, W], weight=weight, clusters=groups)
    (kappa, coef), (same, both) = estimated(given, name), estimated(idiom, name)
    assert kappa == pytest.approx(same, abs=1e-13)
    np.testing.assert_allclose(coef, both[:1], rtol=1e-11)
    for cov_type in ("HC1", "misspecified"):
        first = kclass_covariance(given, kappa, coef, cov_type=cov_type, estimated=name != "2sls")
        second = kclass_covariance(idiom, same, both, cov_type=cov_type, estimated=name != "2sls")
        np.testing.assert_allclose(first, second[:1, :1], rtol=1e-10)


@pytest.mark.parametrize("name", ["2sls", "liml", "fuller"])
def test_influence_is_the_derivative_by_the_weight_of_a_row(name):
    """Whatever the instruments say: the derivative of the whole procedure, κ and first stage included."""
    y, X, Z, W, _, weight = instrumented(n=60, k=4, m=2, weighted=True)
    y = y + 0.7 * Z[:, 3]  # a wrong instrument, so that the error of κ counts
    given = Equation.from_rows(y, X, Z, controls=W, weight=weight)
    kappa, coef = estimated(given, name)
    rows = kclass_influence(given, kappa, coef, estimated=name != "2sls")
    step = 1e-5
    for i in range(0, 60, 12):
        ends = []
        for sign in (1, -1):
            moved = weight.copy()
            moved[i] *= 1 + sign * step
            ends.append(estimated(Equation.from_rows(y, X, Z, controls=W, weight=moved), name)[1])
        np.testing.assert_allclose(rows[i], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-9)


def test_just_identified_all_estimators_and_both_sandwiches_are_one():
    y, X, Z, W, groups, _ = instrumented(k=1)
    given = Equation.from_rows(y, X, Z, controls=W, clusters=groups)
    kappa, coef = estimated(given, "liml")
    assert kappa == 1.0
    usual = kclass_covariance(given, 1.0, coef, cov_type="HC1")
    named = kclass_covariance(given, 1.0, coef, cov_type="misspecified", estimated=True)
    np.testing.assert_allclose(usual, named, rtol=1e-10)


def test_two_stage_least_squares_misspecified_is_the_formula_of_lee():
    """Lee (2018): moments, their derivative and the weighting matrix, in full matrices with controls and constant."""
    y, X, Z, W, _, _ = instrumented(k=3)
    given = Equation.from_rows(y, X, Z, controls=W)
    coef = kclass(given, 1.0)
    ones = np.ones((len(y), 1))
    XX, ZZ = np.hstack([X, W, ones]), np.hstack([Z, W, ones])
    n = len(y)
    qzz, qxz = np.linalg.inv(ZZ.T @ ZZ / n), XX.T @ ZZ / n
    beta = np.linalg.solve(qxz @ qzz @ qxz.T, qxz @ qzz @ (ZZ.T @ y / n))
    e = y - XX @ beta
    gap = ZZ.T @ e / n
    psi = qxz @ qzz @ (ZZ * e[:, None]).T  # the moments
    psi += (XX * (ZZ @ qzz @ gap)[:, None]).T  # their derivative
    psi -= qxz @ qzz @ (ZZ * (ZZ @ qzz @ gap)[:, None]).T  # the weighting matrix
    bread = np.linalg.inv(qxz @ qzz @ qxz.T)
    cov = bread @ (psi @ psi.T / n) @ bread / n * n / (n - XX.shape[1])
    assert kclass_covariance(given, 1.0, coef, cov_type="misspecified")[0, 0] == pytest.approx(cov[0, 0], rel=1e-10)


def test_liml_without_an_answer_raises():
    y, X, Z, _, groups, _ = instrumented(k=2, m=2)
    with pytest.raises(ValueError, match="1 are missing"):
        estimated(Equation.from_rows(y, X, Z[:, :1]), "liml")
    few = Equation.from_rows(y[:6], X[:6, :1], np.random.default_rng(0).normal(size=(6, 5)))
    with pytest.raises(ValueError, match="fit a combination of outcome and features exactly"):
        estimated(few, "liml")
    given = Equation.from_rows(y, X, Z, clusters=groups)
    with pytest.raises(ValueError, match="takes rows as independent"):
        kclass_covariance(given, 1.0, kclass(given, 1.0), cov_type="classical")


@pytest.mark.parametrize("alpha", [0.0, "liml"])
@pytest.mark.parametrize(("k", "grouped"), [(1, False), (4, False), (4, True)])
def test_textbook_errors_of_every_combination_are_those_of_linearmodels(alpha, k, grouped):
    """Not of the coefficients alone: of the intercept, controls and predictions too, with surplus instruments."""
    iv = pytest.importorskip("linearmodels.iv", reason="a peer, of the extra bench")
    y, X, Z, W, groups, _ = instrumented(k=k, m=1)
    theirs = iv.IV2SLS if alpha == 0 else iv.IVLIML
    model = theirs(y, np.c_[np.ones(len(y)), W], X, Z)
    ours = IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=W, groups=groups if grouped else None)
    bare = IVLikeRegression(alpha).fit(X, y, instruments=Z, groups=groups if grouped else None)
    robust = {"cov_type": "clustered", "clusters": groups} if grouped else {"cov_type": "robust"}
    for cov_type, given in (("HC1", robust), ("classical", {"cov_type": "unadjusted"})):
        if grouped and cov_type == "classical":
            continue
        cov = model.fit(debiased=True, **given).cov.to_numpy()
        rows = np.c_[np.ones(3), W[:3], X[:3]]
        found = ours.predict_confint(X[:3], controls=W[:3], cov_type=cov_type)
        np.testing.assert_allclose(found["s.e."] ** 2, np.einsum("ij,jk,ik->i", rows, cov, rows), rtol=1e-8)
        np.testing.assert_allclose(ours.controls_frame(cov_type=cov_type)["s.e."] ** 2, np.diag(cov)[1:3], rtol=1e-8)
        cov = theirs(y, np.ones((len(y), 1)), X, Z).fit(debiased=True, **given).cov.to_numpy()
        np.testing.assert_allclose(bare.covariance(cov_type=cov_type, intercept=True), cov, rtol=1e-8)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")
def test_joint_errors_of_outcomes_and_bootstraps_of_t_are_textbook_too():
    y, X, Z, _, _, _ = instrumented(k=4, m=1)
    both = IVLikeRegression(0).fit(X, np.c_[y, y + Z[:, 0] ** 2], instruments=Z)
    joint = both.covariance(across=True, cov_type="HC1")
    np.testing.assert_allclose(np.diag(joint), both.covariance(cov_type="HC1").ravel(), rtol=1e-10)
    np.testing.assert_allclose(np.diag(both.covariance(across=True)), both.covariance().ravel(), rtol=1e-10)
    for cov_type in ("wild", "bootstrap"):
        np.testing.assert_allclose(both.covariance(cov_type=cov_type), both.covariance(cov_type="HC1"), rtol=1e-10)


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.WeakSignalWarning")
@pytest.mark.parametrize("alpha", [0.3, np.inf])
def test_errors_of_controls_where_the_fit_is_not_two_stage_least_squares(alpha):
    """At infinity they are those of least squares (they were .57 of it); between, what `predict_confint` says."""
    y, X, Z, W, _, _ = instrumented(k=3, m=1)
    model = IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=W)
    found = model.controls_frame(cov_type="HC1")["s.e."]
    if np.isinf(alpha):
        theirs = sm.OLS(y, np.c_[np.ones(len(y)), W, X]).fit()
        np.testing.assert_allclose(found, theirs.get_robustcov_results("HC1").bse[1:3], rtol=1e-8)
        np.testing.assert_allclose(model.controls_frame(cov_type="classical")["s.e."], theirs.bse[1:3], rtol=1e-8)
        return
    idiom = IVLikeRegression(alpha).fit(np.c_[X, W], y, instruments=np.c_[Z, W])
    np.testing.assert_allclose(found**2, np.diag(idiom.covariance(cov_type="HC1"))[1:], rtol=1e-8)
    with pytest.raises(ValueError, match="this one is not"):
        model.controls_frame(cov_type="classical")
