"""Cross-validation over folds that are cells of moments equals the one over rows with the same folds."""

import pickle

import numpy as np
import pandas as pd
import pytest

from causalinv import IVLikeRegression, IVLikeRegressionCV, Moments, Translation

ALPHAS = np.logspace(-3, 3, 13)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    n = 1_500
    z, u = rng.normal(size=(n, 3)), rng.normal(size=n)
    table = pd.DataFrame(z, columns=["z0", "z1", "z2"])
    table["a"] = z[:, 0] + u + rng.normal(size=n)
    table["b"] = z[:, 1] - u + 0.5 * z[:, 2] + rng.normal(size=n)
    table["y"] = 1e4 + table.a - table.b + 2 * u + 0.3 * z[:, 2] + rng.normal(size=n)
    table["other"] = table.y + table.b**2
    table["w"] = rng.choice([0.0, 1.0, 3.0], n)
    table["fold"] = rng.choice(["u", "v", "w", "x"], n)
    return table


def splits(rows):
    return [(np.flatnonzero(rows.fold != f), np.flatnonzero(rows.fold == f)) for f in sorted(rows.fold.unique())]


@pytest.mark.parametrize("kind", ["instruments", "augmentation", "named", "controls"])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("outcomes", [["y"], ["y", "other"]])
def test_equals_a_fit_with_rows(rows, kind, weights, outcomes):
    steps = {"augmentation": np.array([[1.0, 0.4]]), "named": pd.DataFrame({"b": [0.4], "a": [1.0]})}
    augmentation = Translation(steps[kind]) if kind in steps else None
    asked = {"x": ["a", "b"], "y": outcomes, "folds": "fold", "sample_weight": weights}
    given = {} if weights is None else {"sample_weight": rows[weights]}
    if augmentation is None:
        asked["g"] = ["z0", "z1"] if kind == "controls" else ["z0", "z1", "z2"]
        given["instruments"] = rows[asked["g"]]
    if kind == "controls":
        asked["c"] = given["controls"] = ["z2"]
        given["controls"] = rows[["z2"]]
    make = {"augmentation": augmentation, "alphas": ALPHAS}
    y = rows[outcomes] if len(outcomes) > 1 else rows[outcomes[0]]
    whole = IVLikeRegressionCV(cv=splits(rows), **make).fit(rows[["a", "b"]], y, **given)
    found = IVLikeRegressionCV(**make).fit_moments(Moments.scan(rows, **asked))
    assert found.alpha_ == whole.alpha_
    np.testing.assert_allclose(found.coef_, whole.coef_, rtol=1e-8)
    np.testing.assert_allclose(found.intercept_, whole.intercept_, rtol=1e-8)
    np.testing.assert_allclose(found.cv_results_, whole.cv_results_, rtol=1e-7)
    if kind == "controls":
        np.testing.assert_allclose(found.controls_coef_, whole.controls_coef_, rtol=1e-7)
    else:
        kind = "HC1" if augmentation else "misspecified"
        errors = found.covariance(source=rows, sample_weight=weights)
        np.testing.assert_allclose(errors, whole.covariance(cov_type=kind), rtol=1e-7)


def test_folds_decide_and_environments_do_not(rows):
    asked = {"x": ["a", "b"], "y": "y", "g": ["z0", "z1"]}
    folds = Moments.scan(rows, **asked, folds="fold")
    both = Moments.scan(rows.assign(site=np.arange(len(rows)) % 2), **asked, folds="fold", environments="site")
    one, two = (IVLikeRegressionCV(ALPHAS).fit_moments(m) for m in (folds, both))
    np.testing.assert_allclose(one.cv_results_, two.cv_results_, rtol=1e-8)
    other = IVLikeRegressionCV(ALPHAS).fit_moments(Moments.scan(rows.assign(f=rows.index % 3), **asked, folds="f"))
    assert not np.allclose(one.cv_results_["risk"], other.cv_results_["risk"], rtol=1e-6)
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.coef_, one.coef_)
    np.testing.assert_array_equal(again.covariance(source=rows), one.covariance(source=rows))


def test_what_is_refused(rows):
    asked = {"x": ["a", "b"], "y": "y", "g": ["z0", "z1"]}
    with pytest.raises(ValueError, match="have no folds.*make them with folds="):
        IVLikeRegressionCV().fit_moments(Moments.scan(rows, **asked, environments="fold"))
    with pytest.raises(ValueError, match="have 1 fold; at least two"):
        IVLikeRegressionCV().fit_moments(Moments.scan(rows.assign(f=1), **asked, folds="f"))
    folds = Moments.scan(rows, **asked, folds="fold")
    with pytest.raises(ValueError, match="features= needs rows"):
        IVLikeRegressionCV(features="f").fit_moments(folds)
    with pytest.raises(ValueError, match="not at hand"):
        IVLikeRegressionCV(ALPHAS).fit_moments(folds).confint()
    with pytest.raises(ValueError, match="not at hand"):
        IVLikeRegression(0.1).fit_moments(folds).bootstrap()
