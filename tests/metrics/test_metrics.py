"""Metrics against values worked by hand and against scikit-learn; what they cannot judge is refused by name."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneGroupOut

from causalinv.exceptions import DegenerateInputWarning
from causalinv.metrics import LeaveOneEnvironmentOut, affine_r2, causal_risk, ncer, worst_environment_risk

RNG = np.random.default_rng(0)
SPLIT = LeaveOneEnvironmentOut()


def test_errors_by_hand_in_any_metric_and_any_unit():
    assert causal_risk([1.0, 1.0], [1.0, 0.0], [[1.0, 0.0], [0.0, 4.0]]) == pytest.approx(4.0)
    assert ncer([1.0, 0.0], [0.0, 1.0]) == pytest.approx(2 / 3)
    assert ncer([1.0, 0.0], [0.0, 1.0], cov=[[4.0, 0.0], [0.0, 1.0]]) == pytest.approx(5 / 6)
    assert ncer([5.0, 1.0], [5.0, 1.0]) == 0.0
    assert ncer([5.0, 3.0], [5.0, 1.0], cov=[[1.0, 0.0], [0.0, 0.0]]) == pytest.approx(0.0)
    cov = np.cov(RNG.normal(size=(3, 20)))
    h, h0 = RNG.normal(size=(2, 2, 3))
    gap = h - h0
    assert causal_risk(h, h0, cov) == pytest.approx(sum(row @ cov @ row for row in gap))
    expected = causal_risk(h, h0, cov) / (causal_risk(h, h0, cov) + sum(row @ cov @ row for row in h0))
    for unit in (1e-200, 1e-5, 1.0, 1e200):
        assert ncer(h * unit, h0 * unit, cov=cov) == pytest.approx(expected)
        assert ncer(h, h0, cov=cov * unit) == pytest.approx(expected)
    assert ncer([1e300], [1e-300]) == 1.0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ncer([1, 2], [1, 1], cov=[[1, 3], [3, 1]]), "cov must be positive semidefinite"),
        (lambda: ncer([1, 2], [1, 1], cov=[[1, 1], [0, 1]]), "cov must be symmetric"),
        (lambda: ncer([1, 2], [1, 1], cov=[[-1, 0], [0, -1]]), "cov must be positive semidefinite"),
        (lambda: ncer([1, 2], [1, 1], cov=[[1e-9, 0], [0, -1e-12]]), "cov must be positive semidefinite"),
        (lambda: causal_risk([1, 2], [1, 1], [[1, 3], [3, 1]]), "cov must be positive semidefinite"),
        (lambda: ncer([np.nan, 1], [1, 1]), "Input coef contains NaN"),
        (lambda: ncer([1, 1], [np.inf, 1]), "Input truth contains infinity"),
        (lambda: ncer([1, 1], [1, 1], cov=[[np.nan, 0], [0, 1]]), "Input cov contains NaN"),
        (lambda: causal_risk([1e200], [0.0], [[1.0]]), "The risk of coef is too large"),
        (lambda: ncer([1, 1], [0, 0]), "truth has norm 0"),
        (lambda: ncer([1, 1], [0, 1e-3], cov=[[1, 0], [0, 0]]), "truth has norm 0"),
        (lambda: ncer([0, 1], [0.1 + 0.2, -0.3], cov=[[1, 1], [1, 1]]), "truth has norm 0"),
        (lambda: ncer([1, 1], [1, 1, 1]), "coef and truth must have the same shape"),
        (lambda: ncer([], []), "coef and truth must have the same shape"),
        (lambda: ncer(1.0, 1.0), "coef and truth must have the same shape"),
        (lambda: ncer([1j, 1], [1, 1]), "coef must hold real numbers"),
        (lambda: ncer(iter([1.0]), [1]), "coef must hold real numbers"),
        (lambda: ncer("ab", [1, 1]), "coef"),
        (lambda: ncer([1, 2], [1, 2], cov=[1, 2]), r"cov must have shape \(2, 2\)"),
    ],
)
def test_errors_refuse_what_is_no_coefficient_and_no_covariance(call, match):
    with pytest.raises((ValueError, TypeError), match=match):
        call()


def test_errors_compare_by_name():
    h, h0 = pd.Series([1.0, 2.0], ["a", "b"]), pd.Series([2.0, 1.0], ["b", "a"])
    cov = pd.DataFrame(np.eye(2), ["a", "b"], ["a", "b"])
    for call in (
        lambda: ncer(h, h0),
        lambda: causal_risk(h, h0, cov),
        lambda: ncer(h, h, cov=cov.loc[["b", "a"], ["b", "a"]]),
        lambda: ncer(h, h, cov=cov[["b", "a"]]),
        lambda: causal_risk(h, h.to_numpy(), cov[["b", "a"]]),
        lambda: ncer(pd.DataFrame([h]), pd.DataFrame([h])[["b", "a"]]),
    ):
        with pytest.raises(ValueError, match="index of truth differs|name the features differently"):
            call()
    assert ncer(h, h0[["a", "b"]], cov=cov) == 0.0
    assert causal_risk(h, h.to_numpy(), cov) == 0.0


def test_affine_r2_is_the_mean_r2_of_least_squares_in_any_unit():
    Z, phi = RNG.normal(size=(40, 2)), RNG.normal(size=(40, 3))
    Z[:, 0] += phi @ [1.0, 2.0, 3.0]
    expected = r2_score(Z, LinearRegression().fit(phi, Z).predict(phi))
    for unit in (1e-200, 1e-6, 1.0, 1e6, 1e200):
        assert affine_r2(Z * unit, phi) == pytest.approx(expected)
        assert affine_r2(Z, phi * unit + unit) == pytest.approx(expected)
    assert affine_r2(Z, np.c_[phi, phi[:, 0], np.full(40, 7.0)]) == pytest.approx(expected)
    assert affine_r2(Z, np.full(40, 7.0)) == pytest.approx(0.0)
    assert affine_r2(Z, np.where(RNG.random(40) < 0.5, 0.3, 0.1 + 0.2)) == pytest.approx(0.0)
    with pytest.warns(DegenerateInputWarning, match="5 rows for 4 columns of phi"):
        assert affine_r2(Z[:5], RNG.normal(size=(5, 4))) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: affine_r2(np.empty((5, 0)), np.ones((5, 2))), "Z must have .* at least one row and one column|Z"),
        (lambda: affine_r2(np.ones((5, 2)), np.empty((5, 0))), "phi has 0 columns"),
        (lambda: affine_r2([], []), "Z"),
        (lambda: affine_r2(1.0, 1.0), "Z"),
        (lambda: affine_r2("ab", [1, 2]), "Z"),
        (lambda: affine_r2([1, 2, 3], [1, 2]), "Z has 3, phi has 2"),
        (lambda: affine_r2([3.0, 3.0, 3.0], [1, 2, 3]), "Z is constant in column 0"),
        (lambda: affine_r2(np.full(9, 0.3) + np.array([0, 4e-17] * 4 + [0]), np.arange(9)), "Z is constant in column"),
        (lambda: affine_r2([1, np.nan, 2], [1, 2, 3]), "Input Z contains NaN"),
        (lambda: worst_environment_risk([1, 2, 3], np.ones((3, 2)), environments=[0, 0, 1]), "must have shape"),
        (lambda: worst_environment_risk(np.ones((3, 1)), [1, 2, 3], environments=[0, 0, 1]), "must have shape"),
        (lambda: worst_environment_risk([1, 2, 3], [1, 2], environments=[0, 0, 1]), "predicted has 2"),
        (lambda: worst_environment_risk([1, 2, 3], [1, 2, 3], environments=[0, 1]), "environments has 2"),
        (lambda: worst_environment_risk([1, 2, 3], [1, 2, 3], environments=None), "needs environments="),
        (lambda: worst_environment_risk([1, 2, 3], [1, 2, 3], environments=[0, None, 1]), "environments has a missing"),
        (lambda: worst_environment_risk([1e200, 2, 3], [1, 2, 3], environments=[0, 0, 1]), "predicted is too large"),
        (lambda: worst_environment_risk(5, 5, environments=[0]), "y"),
        (lambda: list(SPLIT.split(np.ones((4, 1)), environments=np.ones((4, 2)))), "environments must hold one label"),
        (lambda: list(SPLIT.split(np.ones((4, 1)), environments=3)), "environments must hold one label"),
        (lambda: list(SPLIT.split(np.ones((4, 1)), environments="abcd")), "environments must hold one label"),
        (lambda: list(SPLIT.split(np.ones((4, 1)), environments=[1, 2])), "environments has 2"),
        (lambda: list(SPLIT.split(7, environments=[1, 2])), "X must hold rows"),
        (lambda: list(SPLIT.split(np.ones(2), environments=[1, 1])), "environments has one label, 1; at least two"),
        (lambda: list(SPLIT.split(np.ones(2), environments=[1, np.nan])), "environments has a missing label in row 1"),
        (lambda: list(SPLIT.split(np.ones(2))), "needs environments="),
        (lambda: SPLIT.get_n_splits(groups=[1, 2], environments=[1, 2]), "got both"),
    ],
)
def test_scores_and_splits_name_the_argument(call, match):
    with pytest.raises((ValueError, TypeError), match=match):
        call()


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "b", "c"],
        [(1, "x"), (2, "x"), (1, "x"), (2, "y")],
        pd.to_datetime(["2020-02-01", "2020-01-01", "2020-02-01", "2020-03-01"]),
        pl.Series([2, 1, 2, 3]),
        [True, False, True, True],
    ],
    ids=["text", "pairs", "dates", "polars", "bool"],
)
def test_splits_are_those_of_scikit_learn_for_any_label(labels):
    codes = {label: i for i, label in enumerate(sorted(set(labels)))}
    groups = [codes[label] for label in labels]
    ours = SPLIT.split(np.ones((4, 1)), environments=labels)
    theirs = LeaveOneGroupOut().split(np.ones((4, 1)), groups=groups)
    for (train, test), (their_train, their_test) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(train, their_train)
        np.testing.assert_array_equal(test, their_test)
    risk = worst_environment_risk([1.0, 0.0, 2.0, 5.0], [0.0, 0.0, 0.0, 4.0], environments=labels)
    by_hand = pd.Series([1.0, 0.0, 4.0, 1.0]).groupby(groups).mean().max()
    assert risk == pytest.approx(by_hand)
