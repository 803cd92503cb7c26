"""The one rank decision of the package, judged by matrices whose range is known by construction."""

import math

import numpy as np
import pytest

from causalinv._matrix import (
    centred,
    constant_columns,
    covariance_root,
    dependent_columns,
    factor_split,
    lstsq,
    matrix_rank,
    orthonormal_range,
    pseudo_inverse,
    range_eigh,
    singular_values,
    solve_range,
    symmetric_root,
    varying,
    whitener,
    without_small,
)


def covariance(rank=3, d=5, seed=0, units=1.0):
    loading = np.random.default_rng(seed).normal(size=(d, rank))
    return units * (loading @ loading.T) * units


@pytest.mark.parametrize("units", [1e-60, 1e-6, 1.0, 1e6, 1e60])
def test_range_is_found_in_any_unit(units):
    scale = np.array([1.0, 1e-5, 1e3, 1e7, 1.0]) * units
    cov = covariance() * scale * scale[:, None]
    half, root = whitener(cov), symmetric_root(cov)
    assert half.shape == (5, 3)
    assert root.shape == (3, 5)
    np.testing.assert_allclose(half.T @ (cov / units**2) @ half * units**2, np.eye(3), atol=1e-8)
    np.testing.assert_allclose((root.T @ root) / scale / scale[:, None], covariance(), atol=1e-12)


def test_a_block_of_rounding_has_no_range_where_an_absolute_floor_is_given():
    rounding = 1e-33 * covariance(rank=5)
    assert range_eigh(rounding, rescale=False)[1].shape[1] == 5  # relative to itself it is anything
    assert range_eigh(rounding, rescale=False, least=1e-12)[1].shape[1] == 0
    assert whitener(rounding, rescale=False, least=1e-12).shape == (5, 0)


def test_a_constant_gets_no_coefficient_at_all():
    cov = covariance()
    cov[2] = cov[:, 2] = 0.0
    assert (whitener(cov)[2] == 0).all()
    assert whitener(np.empty((0, 0))).shape == (0, 0)


@pytest.mark.parametrize(
    ("column", "still"),
    [
        ([0.3, 0.1 + 0.2], True),
        ([1e9, 1e9], True),
        ([1e9, 1e9 + 1e-3], False),
        ([0.0, 1e-300], False),
        ([0.0, 0.0], True),
        ([-1e308, 1e308], False),
        ([1e200, 1e200 * (1 + 2e-16)], True),
    ],
)
def test_a_column_of_one_number_is_constant_up_to_rounding(column, still):
    rows = np.tile(column, 10)[:, None]
    assert constant_columns(rows)[0] == still
    if np.abs(column).max() < 1e150:
        assert varying(rows.var(axis=0), rows.mean(axis=0))[0] != still or np.ptp(column) < 1e-150


def test_dependent_columns_are_the_later_ones():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 2))
    rows = np.column_stack([x[:, 0], np.ones(50), x[:, 0] * 1e6, x[:, 1], x.sum(axis=1)])
    assert dependent_columns(np.cov(rows.T)).tolist() == [False, True, True, False, True]


def test_least_squares_of_minimum_norm_in_standardised_units():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    y = x @ [1.0, 2.0]
    wide = np.column_stack([x[:, 0], 1e6 * x[:, 0], x[:, 1] * 1e-150])
    coef = lstsq(wide, y)
    np.testing.assert_allclose(coef * [1.0, 1e6, 1e-150], [0.5, 0.5, 2.0], rtol=1e-9)
    np.testing.assert_allclose(lstsq(wide, np.column_stack([y, 2 * y]))[:, 1], 2 * coef)
    np.testing.assert_allclose(
        solve_range(np.cov(wide[:, :2].T), np.cov(wide[:, :2].T, y)[:2, 2:]) * [[1.0], [1e6]],
        0.5 * np.cov(x[:, 0], y)[0, 1] / x[:, 0].var(ddof=1) * np.ones((2, 1)),
    )


def test_rank_range_and_inverse_of_any_matrix():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(4, 2)) @ rng.normal(size=(2, 6))
    assert matrix_rank(a) == 2
    assert matrix_rank(np.zeros((2, 3))) == matrix_rank(np.empty((0, 3))) == 0
    inside, outside = orthonormal_range(a)
    np.testing.assert_allclose(a @ outside.T, 0, atol=1e-12)
    np.testing.assert_allclose(inside @ inside.T, np.eye(2), atol=1e-12)
    assert orthonormal_range(np.empty((0, 3)))[1].shape == (3, 3)
    np.testing.assert_allclose(a @ pseudo_inverse(a) @ a, a, atol=1e-12)
    np.testing.assert_allclose(pseudo_inverse(a), np.linalg.pinv(a), atol=1e-12)
    size, axes = factor_split(a)
    np.testing.assert_allclose(np.sum((size[:, None] * axes) ** 2), np.sum(a**2))


def test_covariance_root_refuses_what_is_no_covariance():
    cov = covariance()
    root = covariance_root(cov, "cov")
    np.testing.assert_allclose(root @ root.T, cov, atol=1e-12)
    assert root.shape == (5, 3)
    for wrong, text in (([[1.0, 3.0], [3.0, 1.0]], "semidefinite"), ([[1.0, 0.5], [0.0, 1.0]], "symmetric")):
        with pytest.raises(ValueError, match=text):
            covariance_root(np.array(wrong), "cov")


@pytest.mark.parametrize("units", [[1e8, 1e-8], [1e-140, 1.0], [1e140, 1e140]])
def test_covariance_root_takes_variables_in_any_units(units):
    cov = np.array([[1.0, 0.5], [0.5, 1.0]]) * np.outer(units, units)
    root = covariance_root(cov, "cov")
    np.testing.assert_allclose(root @ root.T, cov, rtol=1e-12)
    for wrong, text in (([[1.0, 1.5], [1.5, 1.0]], "semidefinite"), ([[1.0, 0.9], [0.1, 1.0]], "symmetric")):
        with pytest.raises(ValueError, match=text):
            covariance_root(np.array(wrong) * np.outer(units, units), "cov")


@pytest.mark.parametrize(
    "wrong", [[[1e-200, 1e-150], [1e-150, 0.0]], [[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, -1.0]]]
)
def test_covariance_root_refuses_a_constant_that_covaries(wrong):
    with pytest.raises(ValueError, match="semidefinite"):
        covariance_root(np.array(wrong), "cov")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_an_empty_matrix_has_an_empty_decomposition(shape):
    left, size, right = singular_values(np.empty(shape))
    assert (left.shape, size.shape, right.shape) == ((shape[0], 0), (0,), (0, shape[1]))
    left, size, right = singular_values(np.empty(shape), full=True)
    np.testing.assert_array_equal(left, np.eye(shape[0]))
    np.testing.assert_array_equal(right, np.eye(shape[1]))
    assert without_small(np.empty(shape), 1.0).shape == shape


def test_columns_are_centred_to_a_rounding_of_their_spread():
    """A mean of .1 over 100,000 rows is off by its own rounding, a hundred thousandth of a spread of 1e-12."""
    rng = np.random.default_rng(0)
    out = centred(np.column_stack([0.1 + 1e-12 * rng.normal(size=100_000), np.full(100_000, 0.1)]))
    assert abs(math.fsum(out[:, 0])) / 100_000 < 1e-10 * out[:, 0].std()
    assert not out[:, 1].any()
