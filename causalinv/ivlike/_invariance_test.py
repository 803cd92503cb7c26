r"""Test whether least squares itself ignores what an augmentation moves.

With r the residual of least squares that ignores the q moved coordinates, Q an orthonormal basis of these (the fitted
ones partialled out of them) and m the rows less what is fitted, the share :math:`|Q'r|^2 / |r|^2` has the Beta law with
q/2 and (m - q)/2 if errors are normal and of equal variance: the classical F test. If variances differ, the signs of
the residuals can still be flipped: :math:`|Q'(\epsilon r)|^2 / |r|^2`, whose mean and variance over independent signs
are sums of products. Residuals are taken as long as their errors (HC2), and the variance times its exact value over
what this estimate has on average, both under normal errors of equal variance; so the Beta law with this mean and
variance is then close to that of the classical test, and keeps its power where q is not small beside n.

With clusters signs are flipped cluster by cluster, residuals adjusted as in CR2 (Bell and McCaffrey, 2002); the squared
length of the sum of the scores is then at most their number times the largest eigenvalue of their scatter, and in units
of that it has the Beta law with its mean and variance over flips. Where copies are drawn the mean reaction has the law
of Hotelling's F, with residuals of the restricted fit.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from causalinv._matrix import orthonormal_range, solve_range
from causalinv._typing import FloatArray
from causalinv._validation import check_choice
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import (
    by_cluster,
    hotelling,
    least_squares_influence,
    moved_influence,
    restricted_rows,
)
from causalinv.ivlike._reading import Reading
from causalinv.linear_rule import least_squares
from causalinv.results import TestResult

__all__ = ["clustered_pvalue", "ols_invariance_test", "share_pvalue"]

_PAIRS = 3000  # rows up to which correlations of residuals count: they are of the order of fitted / rows squared
_FITTED = 1e-10  # of a row, what is left by what is fitted: a row that is fitted exactly has no residual
_FEW = {True: 6, False: 10}  # groups, or else degrees of freedom, below which a robust test has next to no power


def ols_invariance_test(fit: Fit, *, cov_type: str = "robust") -> TestResult:
    """Score test of least squares under the invariance."""
    check_choice(cov_type, "cov_type", ("robust", "classical"))
    if fit.design.knowledge.augmentation is None:
        raise ValueError(
            "ols_invariance_test needs augmentation=, which knows the rows before they are moved. For genuine "
            "instruments use a test of exogeneity, for example from the package ivmodels."
        )
    design, _ = fit.read_again()
    if not fit.single_output:
        raise ValueError("ols_invariance_test takes one outcome; fit them one by one.")
    restricted = design.restricts and not fit.ridge
    equal = cov_type == "classical"
    if equal and (not restricted or design.groups is not None or design.weight is not None):
        raise ValueError(
            "cov_type='classical' is the exact F test: it needs an augmentation in closed form, no ridge, no groups "
            "and no weights. Leave cov_type out."
        )
    if restricted:
        hypothesis = "least squares predictions do not react to the augmentation"
        found = _clustered_score(design, fit) if design.groups is not None else _row_score(design, fit, equal=equal)
    else:
        hypothesis = "the mean reaction of least squares predictions, as far as it is linear in G, is zero"
        found = _mean_reaction(design, fit)
    statistic, pvalue, df, left = found
    note = (
        "A rejection means: confounding along the ignored directions, or an outcome that does not ignore them. The "
        "data cannot tell which."
    )
    grouped = design.groups is not None
    if left < _FEW[grouped] and not equal:
        note += f" With {left} {'groups' if grouped else 'degrees of freedom left'} it can hardly reject."
    assumption = "rows, or groups of them, are independent"
    if equal:
        assumption = "errors are independent, normal and of equal variance"
    return TestResult(statistic, pvalue, df, hypothesis=hypothesis, assumption=assumption, note=note)


def share_pvalue(residual: FloatArray, moved: FloatArray, fitted: FloatArray, *, equal: bool) -> tuple[float, float]:
    """F statistic and p-value of the share of a residual (n,) that the moved coordinates (n, q) explain.

    Parameters
    ----------
    residual : ndarray of shape (n,)
        Of least squares on the fitted coordinates.
    moved : ndarray of shape (n, q)
        Orthonormal, and orthogonal to `fitted`.
    fitted : ndarray of shape (n, k)
        Orthonormal, the constant among them.
    equal : bool
        Whether error variances are taken as equal.
    """
    n, q = moved.shape
    m = n - fitted.shape[1]
    size = float(residual @ residual)
    if size <= 0.0:
        return 0.0, 1.0  # nothing is left to react
    share = min(float(np.sum((moved.T @ residual) ** 2)) / size, 1.0)
    statistic = share / (1.0 - share) * (m - q) / q if share < 1.0 else np.inf
    mean, variance = q / m, 2 * q * (m - q) / (m**2 * (m + 2))
    if not equal:
        left = 1.0 - np.sum(fitted**2, axis=1)
        square = np.divide(residual**2, left, out=np.zeros(n), where=left > _FITTED) / size
        own = np.sum(moved**2, axis=1)
        mean = float(own @ square)
        flipped = 2 * float(np.sum((moved.T @ (square[:, None] * moved)) ** 2) - np.sum((own * square) ** 2))
        variance *= flipped * m * (m + 2) / (2 * (q - float(own @ own) + _correlated(moved, fitted, left)))
    return statistic, _beta_tail(share, mean, variance)


def _correlated(moved: FloatArray, fitted: FloatArray, left: FloatArray) -> float:
    """What correlations of residuals add to the mean of the flipped variance: 2 Σ P_ij² corr_ij² over pairs of rows."""
    n, q = moved.shape
    k = fitted.shape[1]
    share = np.divide(1.0, left, out=np.zeros_like(left), where=left > _FITTED)
    if (q * k) ** 2 <= n * (q + k):  # entrywise products of Gram matrices are Gram matrices of products
        rows = (moved[:, :, None] * fitted[:, None, :]).reshape(n, q * k)
        pairs = float(np.sum((rows.T @ (rows * share[:, None])) ** 2))
    elif n > _PAIRS:
        return 0.0
    else:
        pairs = float(share @ (((moved @ moved.T) * (fitted @ fitted.T)) ** 2 @ share))
    own = np.sum(moved**2, axis=1) * np.sum(fitted**2, axis=1) * share
    return 2 * (pairs - float(own @ own))


def _row_score(design: RowDesign, fit: Fit, *, equal: bool) -> tuple[float, float, int, int]:
    residual, moved, fitted = restricted_rows(design, fit.reading, fit.path)
    left = len(residual) - fitted.shape[1] - moved.shape[1]
    if not moved.shape[1]:
        return 0.0, 1.0, 0, left
    _check_units(left + moved.shape[1] + fitted.shape[1], moved.shape[1], fitted.shape[1])
    statistic, pvalue = share_pvalue(residual, moved, fitted, equal=equal)
    return statistic, pvalue, moved.shape[1], left


def _clustered_score(design: RowDesign, fit: Fit) -> tuple[float, float, int, int]:
    residual, moved, fitted = restricted_rows(design, fit.reading, fit.path)
    assert design.groups is not None
    _check_units(design.n_units, moved.shape[1], 0)
    return *clustered_pvalue(residual, moved, fitted, design.groups), moved.shape[1], design.n_units


def clustered_pvalue(
    residual: FloatArray, moved: FloatArray, fitted: FloatArray, groups: np.ndarray
) -> tuple[float, float]:
    """Squared length of the score over its mean under flips of the signs of clusters, and its p-value.

    Arguments as in `share_pvalue`, and the cluster of every row, codes from 0.
    """
    adjusted = residual.copy()
    for own in (np.flatnonzero(groups == g) for g in range(int(groups.max()) + 1)):
        values, vectors = np.linalg.eigh(fitted[own].T @ fitted[own])
        left = 1.0 - values
        inside = fitted[own] @ vectors  # of length values: (1 - HH')^(-1/2) stretches these directions only
        kept = (values > _FITTED) & (left > _FITTED)
        stretch = np.where(kept, (1.0 / np.sqrt(np.where(kept, left, 1.0)) - 1.0) / np.where(kept, values, 1.0), 0.0)
        adjusted[own] += inside @ (stretch * (inside.T @ residual[own]))
    scores = by_cluster(moved * adjusted[:, None], groups)
    inner = scores @ scores.T
    mean, square = float(np.trace(inner)), float(np.sum(np.diag(inner) ** 2))
    variance = 2 * (float(np.sum(inner**2)) - square)
    most = len(scores) * float(np.linalg.eigvalsh(inner)[-1])
    length = float(np.sum((moved.T @ residual) ** 2))
    if mean <= 0.0:
        return 0.0, 1.0  # nothing is left to react
    return length / mean, _beta_tail(length / most, mean / most, variance / most**2)


def _beta_tail(share: float, mean: float, variance: float) -> float:
    """P(B >= share) for B of the Beta law with a mean and a variance; 1 where there is none."""
    if not 0 < mean < 1 or not 0 < variance < mean * (1 - mean):
        return 1.0
    total = mean * (1 - mean) / variance - 1
    return float(beta.sf(share, mean * total, (1 - mean) * total))


def _mean_reaction(design: RowDesign, fit: Fit) -> tuple[float, float, int, int]:
    reading = fit.reading
    coef = least_squares(reading.moments)
    own = least_squares_influence(design, reading, _restricted(reading))
    shift, influence = moved_influence(design, reading, coef, own)
    spent = influence.rank if influence.groups is None else 0
    units = by_cluster(influence.rows[:, :, 0], influence.groups)
    _check_units(len(units), len(shift), spent)
    return *hotelling(shift[:, 0], units, spent=spent), len(units) - spent - len(shift)


def _restricted(reading: Reading) -> FloatArray:
    """Coefficients (d, p) of least squares without a mean reaction."""
    still = orthonormal_range(reading.stage.factor)[1].T
    return still @ solve_range(
        still.T @ reading.moments.cov("x")[0] @ still, still.T @ reading.moments.cov("x", "y")[0]
    )


def _check_units(units: int, directions: int, spent: int) -> None:
    if units - spent <= directions:
        less = f", less {spent} for what is fitted," if spent else ""
        raise ValueError(
            f"{units} independent rows or groups{less} cannot test {directions} directions at once: their covariance "
            "is singular. Use fewer directions, or more rows or groups."
        )
