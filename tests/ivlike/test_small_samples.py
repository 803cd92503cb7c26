"""Corrected standard errors against statsmodels and linearmodels, their degrees of freedom by brute force, coverage."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t

from causalinv import IVLikeRegression, Translation
from causalinv._unmixing import unmixed_variances, unmixing
from causalinv.exceptions import DegenerateInputWarning

STILL = Translation([[0.0, 0.0, 1.0]])


def rows(n=25, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal([5.0, 0.0, 1.0], size=(n, 3))
    return X, X[:, 0] - X[:, 1] + rng.normal(size=n) * (0.3 + np.abs(X[:, 1]))


@pytest.mark.parametrize(("ours", "theirs"), [("classical", "nonrobust"), ("HC1",) * 2, ("HC2",) * 2, ("HC3",) * 2])
def test_restricted_least_squares_has_the_errors_of_statsmodels(ours, theirs):
    X, y = rows()
    model = IVLikeRegression(0.0, augmentation=STILL).fit(X, y)
    peer = sm.OLS(y, sm.add_constant(X[:, :2])).fit(cov_type=theirs)
    assert model.covariance(cov_type=ours)[:2, :2] == pytest.approx(peer.cov_params()[1:, 1:], rel=1e-9)
    assert np.abs(model.covariance(cov_type=ours)[2]).max() < 1e-20


@pytest.mark.parametrize("ours", ["classical", "HC1"])
def test_two_stage_least_squares_has_the_errors_of_linearmodels(ours):
    iv = pytest.importorskip("linearmodels.iv", reason="a peer, of the extra bench")
    rng = np.random.default_rng(0)
    Z, U = rng.normal(size=(200, 1)), rng.normal(size=200)
    X = np.c_[Z[:, 0] + U, rng.normal(size=200)]
    y = X @ [1.0, 2.0] + U
    model = IVLikeRegression(0.0).fit(X, y, instruments=np.c_[Z, X[:, 1]])
    kind = "unadjusted" if ours == "classical" else "robust"
    peer = iv.IV2SLS(y, sm.add_constant(X[:, 1]), X[:, 0], Z).fit(cov_type=kind, debiased=True)
    error = peer.std_errors.to_numpy()[[2, 1]]
    assert np.sqrt(np.diag(model.covariance(cov_type=ours))) == pytest.approx(error, rel=1e-8)


def test_least_squares_of_the_far_end_has_them_too():
    X, y = rows()
    model = IVLikeRegression(np.inf).fit(X, y, instruments=X[:, 0] ** 2)
    peer = sm.OLS(y, sm.add_constant(X)).fit(cov_type="HC3")
    assert model.covariance(cov_type="HC3") == pytest.approx(peer.cov_params()[1:, 1:], rel=1e-9)


def brute_force(X, y, groups):
    """CR2 covariance and degrees of freedom from n x n matrices, as Bell and McCaffrey write them."""
    D = sm.add_constant(X)
    M = np.linalg.inv(D.T @ D)
    left = np.eye(len(D)) - D @ M @ D.T
    residual, n = left @ y, len(D)
    meat, forms = np.zeros((3, 3)), []
    for g in np.unique(groups):
        inside = groups == g
        values, vectors = np.linalg.eigh(left[np.ix_(inside, inside)])
        A = (vectors / np.sqrt(values)) @ vectors.T
        score = D[inside].T @ A @ residual[inside]
        meat += np.outer(score, score)
        forms.append(left[:, inside] @ A @ D[inside] @ M)
    out = []
    for j in (1, 2):
        G = np.stack([form[:, j] for form in forms], axis=1)
        out.append(np.trace(G.T @ G) ** 2 / np.sum((G.T @ G) ** 2))
    assert n == len(y)
    return (M @ meat @ M)[1:, 1:], np.array(out)


def test_few_clusters_get_cr2_and_the_degrees_of_freedom_of_bell_and_mccaffrey():
    X, y = rows(60)
    groups = np.repeat(np.arange(8), [20, 10, 8, 6, 5, 5, 3, 3])
    cov, df = brute_force(X[:, :2], y, groups)
    model = IVLikeRegression(0.0, augmentation=STILL).fit(X, y, groups=groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateInputWarning)
        frame = model.confint().to_numpy()[:2]
    assert model.covariance()[:2, :2] == pytest.approx(cov, rel=1e-8)
    wide = t.ppf(0.975, df) * np.sqrt(np.diag(cov))
    assert frame == pytest.approx(np.c_[model.coef_[:2] - wide, model.coef_[:2] + wide], rel=1e-8)


def test_with_many_rows_the_default_is_the_influence_of_the_rows():
    X, y = rows(400)
    model = IVLikeRegression(0.0, augmentation=STILL).fit(X, y)
    assert model.covariance() == pytest.approx(model.covariance(cov_type="HC1"), rel=1e-12)
    few = IVLikeRegression(0.0, augmentation=STILL).fit(X[:25], y[:25])
    assert few.covariance() == pytest.approx(few.covariance(cov_type="HCK"), rel=1e-12)
    assert few.contrast([1.0, 0.0, 0.0]).columns.name.endswith("HCK")


@pytest.mark.parametrize(("n", "kind"), [(96, "HCK"), (100, "HC1")])
def test_the_default_corrects_below_thirty_degrees_of_freedom(n, kind):
    """Of HC2 for equal errors, by n x n matrices: 28.7 for the least certain coefficient, and 30.2."""
    X, y = rows(n)
    D = np.column_stack([np.ones(n), X[:, :2]])
    bread = np.linalg.inv(D.T @ D)
    left = np.eye(n) - D @ bread @ D.T
    forms = [left @ np.diag((D @ each) ** 2 / np.diag(left)) @ left for each in bread[1:]]
    least = min(np.trace(form) ** 2 / np.trace(form @ form) for form in forms)
    assert least == pytest.approx({96: 28.7, 100: 30.2}[n], abs=0.05)
    model = IVLikeRegression(0.0, augmentation=STILL).fit(X, y)
    assert model.covariance() == pytest.approx(model.covariance(cov_type=kind), rel=1e-12)


@pytest.mark.parametrize(("columns", "kind"), [(19, "HC1"), (20, "HCK")])
def test_the_default_corrects_where_a_column_has_fewer_than_twenty_rows(columns, kind):
    """With the constant and without the feature that is moved 19 and 20 columns of 390 rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(390, columns))
    model = IVLikeRegression(0.0, augmentation=Translation(np.eye(columns)[-1:])).fit(X, rng.normal(size=390))
    assert model.covariance() == pytest.approx(model.covariance(cov_type=kind), rel=1e-12)


def test_very_few_clusters_warn_and_other_fits_refuse_the_corrections():
    X, y = rows(60)
    with pytest.warns(DegenerateInputWarning, match="Few or uneven clusters: 4 groups"):
        IVLikeRegression(0.0, augmentation=STILL).fit(X, y, groups=np.arange(60) % 4).confint()
    middle = IVLikeRegression(0.5, augmentation=STILL).fit(X, y)
    with pytest.raises(ValueError, match="Use cov_type='HC1'"):
        middle.confint(cov_type="HC2")
    with pytest.raises(ValueError, match="cov_type must be one of"):
        middle.covariance(cov_type="HC9")


def test_unmixed_squares_have_the_error_variances_as_mean():
    """E r² = (M ∘ M) σ² for any σ, M from n x n matrices; what equal variances give is met to rounding."""
    rng = np.random.default_rng(3)
    variance, weight = rng.uniform(0.1, 4.0, size=60), rng.uniform(0.5, 2.0, size=60)
    for paired in (False, True):  # two rows that are a category have one squared residual
        columns = np.c_[np.ones(60), rng.normal(size=(60, 12)), np.arange(60) < 2]
        D = columns if paired else columns[:, :-1]
        root = np.sqrt(weight / weight.mean())
        Q = np.linalg.qr(root[:, None] * D)[0]
        own = rng.uniform(size=60)
        weights = unmixing(own, Q)
        left = np.eye(60) - Q @ Q.T
        assert weights @ left**2 @ variance == pytest.approx(own @ variance, rel=0.04 if paired else 0.01)
        assert weights @ np.diag(left) == pytest.approx(own.sum(), rel=1e-9)
    assert not unmixing(np.ones(3), np.eye(3)).any()


def test_hck_is_unbiased_and_has_satterthwaites_degrees_of_freedom():
    """Of a coefficient with weights, beside 12 others: mean and variance over 4000 draws of normal errors.

    It is linear in squared residuals, so that fifty of these tell all.
    """
    rng = np.random.default_rng(4)
    weight = rng.uniform(0.5, 2.0, size=50)
    D, root = np.c_[np.ones(50), rng.exponential(size=(50, 12))], np.sqrt(weight / weight.mean())
    bread = np.linalg.inv(D.T @ (root[:, None] ** 2 * D))

    def of(squares):
        return unmixed_variances(D, np.sqrt(squares), np.eye(13)[1:2], weight)[0][0]

    per_square = np.array([of(1.0 + one) - of(np.ones(50)) for one in np.eye(50)])
    for unequal in (False, True):
        e = rng.normal(size=(4000, 50)) * (D[:, 1] if unequal else 1 / root)
        coef = (e * root**2) @ D @ bread
        squares = (e - coef @ D.T) ** 2
        found = squares @ per_square
        assert found[:9] == pytest.approx([of(each) for each in squares[:9]], rel=1e-8)
        truth = float(np.var(coef[:, 1]))
        assert abs(found.mean() - truth) < 4 * np.hypot(found.std(), np.std(coef[:, 1] ** 2)) / np.sqrt(4000)
        if not unequal:
            df = unmixed_variances(D, e[0], np.eye(13)[1:2], weight)[1][0]
            assert df == pytest.approx(2 * found.mean() ** 2 / found.var(), rel=0.1)
    assert np.isnan(unmixed_variances(D, e[0], np.zeros((1, 13)))).all()
    # At the means of squares under variances 1 / weight it is the variance itself.
    left = np.eye(50) - D @ bread @ D.T @ np.diag(root**2)
    mean_squares = np.diag(left @ np.diag(1 / root**2) @ left.T)
    assert unmixed_variances(D, np.sqrt(mean_squares), np.eye(13), weight)[0] == pytest.approx(np.diag(bread), rel=1e-8)


def test_covariances_of_hck_are_correlations_of_hc2():
    X, y = rows()
    model = IVLikeRegression(np.inf).fit(X, y, instruments=X[:, 0] ** 2)
    own, peer = model.covariance(cov_type="HCK"), sm.OLS(y, sm.add_constant(X)).fit(cov_type="HC2").cov_params()[1:, 1:]
    unit, theirs = np.sqrt(np.diag(own)), np.sqrt(np.diag(peer))
    assert own / np.outer(unit, unit) == pytest.approx(peer / np.outer(theirs, theirs), rel=1e-9)
    assert unit == pytest.approx(model.contrast(np.eye(3), cov_type="HCK")["s.e."].to_numpy())
    assert np.abs(unit / theirs - 1).min() > 0.001


@pytest.mark.slow
def test_many_controls_and_a_feature_with_long_tails():
    """95% intervals of no effect of a lognormal feature, 40 controls in 100 rows, 200 sets (s.e. .016); HC2: .79."""
    rng, hits = np.random.default_rng(5), {"auto": 0, "HC2": 0}
    for _ in range(200):
        X, C = np.exp(rng.normal(size=(100, 1))), rng.normal(size=(100, 40))
        y = rng.normal(size=100) * X[:, 0]
        model = IVLikeRegression(0.0).fit(X, y, instruments=X, controls=C)
        for kind in hits:
            lower, upper = model.confint(cov_type=kind).to_numpy()[0]
            hits[kind] += lower <= 0.0 <= upper
    assert hits["auto"] > 180
    assert hits["HC2"] < 180


def test_hck_is_of_rows():
    X, y = rows(60)
    with pytest.raises(ValueError, match="'HCK' is for rows"):
        IVLikeRegression(0.0, augmentation=STILL).fit(X, y, groups=np.arange(60) % 20).covariance(cov_type="HCK")
    many = np.random.default_rng(0).normal(size=(400, 30))  # degrees of freedom enough, but more than a column in 20
    model = IVLikeRegression(0.0).fit(X := many[:, :1], many[:, 1], instruments=X, controls=many[:, 2:])
    assert model.contrast([1.0]).columns.name.endswith("HCK")


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_coverage_with_few_rows_or_uneven_clusters(clustered):
    """300 replications: 2 s.e. of .025; without the correction .88 and .74."""
    hits, R = [], 300
    sizes = np.array([40, 24, 14, 9, 5, 3, 2, 1, 1, 1])
    for seed in range(R):
        rng = np.random.default_rng(seed)
        n = int(sizes.sum()) if clustered else 20
        X, e, given = rng.normal(size=(n, 3)), rng.normal(size=n), {}
        if clustered:
            groups = np.repeat(np.arange(len(sizes)), sizes)
            X, e = X + rng.normal(size=(10, 3))[groups], e + rng.normal(size=10)[groups]
            given["groups"] = groups
        else:
            e = e * (0.2 + X[:, 0] ** 2)
        model = IVLikeRegression(0.0, augmentation=STILL).fit(X, X[:, 0] + e, **given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegenerateInputWarning)
            frame = model.confint().to_numpy()
        hits.append(frame[0, 0] <= 1.0 <= frame[0, 1])
    assert np.mean(hits) > (0.89 if clustered else 0.88)
