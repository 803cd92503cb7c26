"""Intervals for coefficients that hold whichever accepted set is the true one: the hull over these."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri
from scipy.stats import t as student

from causalinv._matrix import pseudo_inverse
from causalinv._typing import BoolArray, FloatArray
from causalinv.invariance.subsets._row_tests import RowTest
from causalinv.moments import Moments

__all__ = ["hull_by_rows", "hull_of_intervals"]

_AT_ONCE = 10_000  # sets


def hull_of_intervals(
    pooled: Moments, accepted: np.ndarray, coefficients: np.ndarray, level: float, *, dependent: bool, normal: bool
) -> FloatArray:
    """Hull of the intervals of accepted sets for errors of one variance, sets of one size solved together.

    Quantiles are Student's; `normal` ones, too short where rows are few, are those of the published packages.
    """
    d, n = accepted.shape[1], pooled.count[0]
    if not len(accepted):
        return np.full((d, 2), np.nan)
    cov, cross, total = pooled.cov("x")[0], pooled.cov("x", "y")[0, :, 0], pooled.cov("y")[0, 0, 0]
    scale = np.sqrt(np.diag(cov))
    scale[scale == 0] = 1.0
    cov, cross = cov / np.outer(scale, scale), cross / scale  # so that ranks do not depend on units
    low, high = np.where(accepted.all(axis=0), np.inf, 0.0), np.where(accepted.all(axis=0), -np.inf, 0.0)
    sizes = accepted.sum(axis=1)
    for k in np.unique(sizes[sizes > 0]):
        at = np.nonzero(accepted[sizes == k])[1].reshape(-1, k)
        blocks = cov[at[:, :, None], at[:, None, :]]
        inverse = np.array([pseudo_inverse(block) for block in blocks]) if dependent else np.linalg.inv(blocks)
        coef = np.einsum("nij,nj->ni", inverse, cross[at])
        risk = np.maximum(total - np.sum(coef * cross[at], axis=1), 0.0)
        left = n - coefficients[sizes == k]
        error = np.sqrt(risk / np.maximum(left, 1))[:, None] * np.sqrt(np.diagonal(inverse, axis1=1, axis2=2))
        # What has no error has no width, at any level; where no residual is left to tell an error from, the rows say
        # nothing about these coefficients.
        quantile = -ndtri(level / 2) if normal else student.isf(level / 2, np.maximum(left, 1.0)[:, None])
        width = np.multiply(quantile, error, out=np.zeros_like(error), where=error > 0)
        width[left <= 0] = np.inf
        np.minimum.at(low, at, coef - width)
        np.maximum.at(high, at, coef + width)
    return np.column_stack([low, high]) / scale[:, None]


def hull_by_rows(test: RowTest, accepted: BoolArray, level: float) -> FloatArray:
    """The same by the intervals of a test that reads rows, shape (d, 2)."""
    d = accepted.shape[1]
    if not len(accepted):
        return np.full((d, 2), np.nan)
    always = accepted.all(axis=0)
    low, high = np.where(always, np.inf, 0.0), np.where(always, -np.inf, 0.0)
    for begin in range(0, len(accepted), _AT_ONCE):
        inside = accepted[begin : begin + _AT_ONCE]
        limits = test.intervals(inside, level)
        unknown = np.isnan(limits).any(axis=2)
        low = np.minimum(low, np.where(inside, np.where(unknown, -np.inf, limits[:, :, 0]), np.inf).min(axis=0))
        high = np.maximum(high, np.where(inside, np.where(unknown, np.inf, limits[:, :, 1]), -np.inf).max(axis=0))
    return np.column_stack([low, high])
