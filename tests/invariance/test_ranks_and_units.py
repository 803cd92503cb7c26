"""Columns that say nothing, labels of any kind, units of any size: what must not move a test of invariance."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.invariance import (
    InvariantCausalPrediction,
    InvariantRepresentation,
    InvariantSubsetSelector,
)
from causalinv.invariance.subsets._sweep import SubsetStatistics, sweep
from causalinv.invariance.subsets._tests import chow_pvalues
from causalinv.moments import Moments


def rows(n=60, seed=0):
    rng = np.random.default_rng(seed)
    e = np.arange(n) % 3
    X = rng.normal(size=(n, 3)) + e[:, None]
    return X, X[:, 0] + rng.normal(size=n), e


def _design(X):
    return np.column_stack([np.ones(len(X)), X])


def _rss(X, y):
    design = _design(X)
    return float(np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2))


def chow_by_hand(X, y, e):
    """Nested F test from residual sums of squares and numpy's ranks."""
    parts = [e == k for k in np.unique(e)]
    own = sum(_rss(X[p], y[p]) for p in parts)
    full = sum(np.linalg.matrix_rank(_design(X[p])) for p in parts)
    pooled = np.linalg.matrix_rank(_design(X))
    f = (_rss(X, y) - own) / (full - pooled) / (own / (len(y) - full))
    return stats.f.sf(f, full - pooled, len(y) - full)


def _repeat(X, e):
    return np.column_stack([X, X[:, 0] - 2 * X[:, 1]])


def _constant(X, e):
    return np.column_stack([X, np.full(len(X), 7.0)])


def _constant_in_one(X, e):
    out = X.copy()
    out[e == 1, 2] = 4.0
    return out


def _means_of_environments(X, e):
    return np.column_stack([X, np.array([0.0, 1.0, 5.0])[e]])


@pytest.mark.parametrize("change", [_repeat, _constant, _constant_in_one, _means_of_environments])
@pytest.mark.parametrize("scale", [1.0, 1e-100, 1e100])
def test_chow_counts_ranks_not_columns(change, scale):
    X, y, e = rows()
    X = change(X, e)
    subsets = SubsetStatistics.concatenate(sweep(Moments.from_rows(x=X * scale, y=y, environments=e)))
    found = chow_pvalues(subsets, np.array([20.0, 20.0, 20.0]))
    by_pairs = SubsetStatistics.concatenate(
        sweep(Moments.from_rows(x=np.column_stack([X, np.zeros((60, 9))]) * scale, y=y, environments=e), max_size=2)
    )
    again = dict(zip(by_pairs.masks.tolist(), chow_pvalues(by_pairs, np.full(3, 20.0)), strict=True))
    for mask, p in zip(subsets.masks.tolist(), found, strict=True):
        inside = [j for j in range(X.shape[1]) if mask >> j & 1]
        assert p == pytest.approx(chow_by_hand(X[:, inside], y, e), rel=1e-6)
        if mask in again:
            assert again[mask] == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("test", ["residual", "chow"])
@pytest.mark.parametrize("unit", [1e-120, 1e-90, 1e-60, 1e60, 1e80, 1e120])
def test_icp_does_not_depend_on_the_unit_of_y(test, unit):
    X, y, e = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = InvariantCausalPrediction(test=test).fit(X, y, environments=e)
        other = InvariantCausalPrediction(test=test).fit(X, y * unit, environments=e)
    np.testing.assert_allclose(other.sets_["pvalue"], plain.sets_["pvalue"], rtol=1e-9)
    np.testing.assert_allclose(other.conf_int_ / unit, plain.conf_int_, rtol=1e-9)


def test_an_outcome_too_small_to_square_is_refused_by_name():
    X, y, e = rows()
    for unit in (1e-150, 1e-158):
        with pytest.raises(ValueError, match="change the unit of y"):
            InvariantCausalPrediction().fit(X, y * unit, environments=e)


@pytest.mark.parametrize("unit", [1e-100, 1e-60, 1e60, 1e100])
def test_icp_with_repeated_features_does_not_depend_on_their_unit(unit):
    X, y, e = rows()
    X = X[:, [0, 0, 1]]
    with pytest.warns(DegenerateInputWarning, match=r"Features \[1\]"):
        plain = InvariantCausalPrediction().fit(X, y, environments=e)
    with pytest.warns(DegenerateInputWarning, match=r"Features \[1\]"):
        other = InvariantCausalPrediction().fit(X * unit, y, environments=e)
    np.testing.assert_allclose(other.conf_int_ * unit, plain.conf_int_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("test", ["chow", "chow_hc"])
def test_labels_that_are_pairs_are_labels(test):
    X, y, e = rows(n=300)
    plain = InvariantSubsetSelector(test=test).fit(X, y, environments=e)
    for pairs in ([(int(k),) for k in e], [("site", int(k)) for k in e]):
        other = InvariantSubsetSelector(test=test).fit(X, y, environments=pairs)
        assert other.pvalue_ == pytest.approx(plain.pvalue_, rel=1e-12)
        np.testing.assert_array_equal(other.support_, plain.support_)


def test_a_representation_says_which_features_say_nothing():
    X, y, e = rows()
    X = np.column_stack([X, X[:, 0] + X[:, 1]])
    for model in (
        InvariantRepresentation(),
        InvariantRepresentation(4, method="manifold", n_init=0, random_state=0),  # more than the rank
    ):
        with pytest.warns(DegenerateInputWarning, match=r"Features \[3\]"):
            model.fit(X, y, environments=e)
        assert model.dependent_features_.tolist() == [False, False, False, True]
    assert model.components_.shape == (3, 4)
    np.testing.assert_allclose(model.predict(X), _design(X) @ np.linalg.lstsq(_design(X), y, rcond=None)[0], rtol=1e-6)


@pytest.mark.parametrize("search", ["auto", "exhaustive", "greedy", "screened"])
def test_every_search_knows_the_empty_set(search):
    X, y, e = rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentificationWarning)  # it is not invariant here
        model = InvariantSubsetSelector(search=search, max_size=0, random_state=0).fit(X, y, environments=e)
    assert not model.support_.any()
    assert model.n_evaluated_ == 1


def test_a_screening_that_leaves_no_set_of_the_least_size_says_so():
    X, y, e = rows()
    with pytest.raises(ValueError, match="min_size=2 leaves no set"):
        InvariantSubsetSelector(search="screened", screen_size=1, min_size=2).fit(X, y, environments=e)


@pytest.mark.parametrize("kind", [InvariantCausalPrediction, InvariantSubsetSelector, InvariantRepresentation])
def test_the_fitted_rule_is_a_rule_with_names(kind):
    X, y, e = rows(n=300)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = kind().fit(frame, y, environments=e)
    np.testing.assert_allclose(model.rule_.predict(X), model.predict(frame), rtol=1e-12)
    assert model.rule_.names == ("a", "b", "c")
