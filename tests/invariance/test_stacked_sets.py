"""Many sets at once give what one set at a time gives, which other tests judge by simulation and by hand."""

from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from causalinv import Moments
from causalinv._labels import encode
from causalinv.invariance.subsets import _row_tests, _stacked
from causalinv.invariance.subsets._row_tests import RowTest

SETS = np.array(list(product([False, True], repeat=4)))
SIZES = {"small": (9, 30, 12), "tiny": (4, 25, 6), "many": (20,) * 9, "alone": (60,)}


def rows(kind, seed=0):
    rng = np.random.default_rng(seed)
    e = np.repeat(np.arange(9), np.resize(SIZES.get(kind, (40, 60, 50)), 9))[: sum(SIZES.get(kind, (40, 60, 50)))]
    X = rng.normal(size=(len(e), 4)) @ (np.eye(4) + 0.4 * rng.normal(size=(4, 4)))
    if kind == "heavy tails":
        X = rng.standard_t(1.5, size=X.shape)
    elif kind == "far apart":
        X[:, 0], X[:, 1] = X[:, 0] + 1e3 * e, X[:, 1] + 1e7 * e
    elif kind == "held by hand":
        X[e == 1, 2], X[e == 2, 0] = 3.3, -1.0
    elif kind == "dependent":
        X[:, 2], X[:, 3] = X[:, 1] + 1e-6 * X[:, 2], X[:, 0] + X[:, 1]
    elif kind == "dummies":
        X[:, 1:] = np.eye(3)[rng.integers(3, size=len(e))]
    elif kind == "one row":
        X[:, 3] = np.arange(len(e)) == 7
    elif kind == "a row far away":
        X[7, 3] = 1e4
    y = X[:, 0] - X[:, 1] + (kind != "exact") * rng.normal(size=len(e)) * (1 + 0.5 * e)
    if kind == "units":
        X, y = X * 10.0 ** rng.integers(-90, 90, 4), y * 1e-150
    elif kind == "origin":
        y = 1e120 * y + 1e126
    return X, y, e


def row_test(X, y, e):
    return RowTest("chow_hc", Moments.from_rows(x=X, y=y, environments=e), X, y, encode(e, "environments"))


@pytest.mark.parametrize(
    ("kind", "together"),  # how many of the sixteen sets are looked at together
    [
        ("plain", 16),
        ("small", 16),
        ("tiny", 15),
        ("many", 16),
        ("alone", 0),
        ("heavy tails", 16),
        ("far apart", 4),
        ("held by hand", 16),
        ("dependent", 10),
        ("dummies", 14),
        ("one row", 8),
        ("a row far away", 8),
        ("exact", 12),
        ("units", 16),
        ("origin", 16),
    ],
)
def test_one_set_at_a_time_says_the_same(kind, together, monkeypatch):
    X, y, e = rows(kind)
    test = row_test(X, y, e)
    monkeypatch.setattr(test._stacked, "at_once", 5)
    expected = np.array([test.pvalue(inside) for inside in SETS])
    assert test.pvalues(SETS, np.zeros(16, bool)) == pytest.approx(expected, rel=1e-7, nan_ok=True)
    assert test._stacked.pvalues(SETS)[1].sum() == together
    found = test.intervals(SETS, 0.05)
    assert np.isnan(found[~SETS]).all()
    for inside, ends in zip(SETS, found, strict=True):
        one = test.interval(inside, 0.05)
        width = np.where(np.isfinite(one) & (kind != "exact"), np.diff(one), 1.0)
        assert ends[inside] / width == pytest.approx(one / width, abs=1e-7, rel=1e-12)


def test_the_intervals_are_hc2_with_bell_and_mccaffreys_degrees_of_freedom():
    X, y, e = rows("heavy tails", seed=3)
    inside = np.array([True, False, True, True])
    fit = sm.OLS(y, sm.add_constant(X[:, inside])).fit(cov_type="HC2")
    left = np.eye(len(y)) - fit.model.exog @ np.linalg.pinv(fit.model.exog)
    for j in range(3):
        a = np.linalg.pinv(fit.model.exog)[1 + j] / np.sqrt(np.diag(left))
        middle = left @ np.diag(a**2) @ left
        df = np.trace(middle) ** 2 / np.sum(middle**2)
        wide = stats.t.ppf(0.975, df) * fit.bse[1 + j]
        found = row_test(X, y, e)._stacked.intervals(inside[None], 0.05)[0][0, inside][j]
        unit = X[:, inside][:, j].std()
        assert found / unit == pytest.approx(fit.params[1 + j] + np.array([-wide, wide]), rel=1e-9)


def test_much_data_and_many_features_are_taken_one_set_at_a_time(monkeypatch):
    test = row_test(*rows("plain"))
    assert {stack is None for _, stack in test._stacks(np.arange(16), stacked=True)} == {False}
    for limit in ("_STACKED", "_PRODUCTS"):
        with monkeypatch.context() as patched:
            patched.setattr(_row_tests, limit, 1)
            assert [stack for _, stack in test._stacks(np.arange(16), stacked=True)] == [None]
    monkeypatch.setattr(_stacked, "_AT_ONCE", 1)  # fewer than rows: still one set at a time
    assert row_test(*rows("plain"))._stacked.at_once == 1
