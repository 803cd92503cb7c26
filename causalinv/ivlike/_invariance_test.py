"""Test whether least squares itself ignores what an augmentation moves.

A score test under the law of flipped signs (`_sign_flips`): the residual of least squares that ignores the moved
coordinates must be uncorrelated with them. Where copies are drawn the mean reaction has the law of Hotelling's F, with
residuals of the restricted fit.
"""

from __future__ import annotations

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
from causalinv.ivlike._sign_flips import clustered_pvalue, share_pvalue
from causalinv.linear_rule import least_squares
from causalinv.results import TestResult

__all__ = ["ols_invariance_test"]

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
    if grouped and not restricted:
        note += " With few groups of unequal size it rejects too often (.14 for .05 in 20 geometric ones)."
    assumption = "rows, or groups of them, are independent"
    if equal:
        assumption = "errors are independent, normal and of equal variance"
    return TestResult(statistic, pvalue, df, hypothesis=hypothesis, assumption=assumption, note=note)


def _row_score(design: RowDesign, fit: Fit, *, equal: bool) -> tuple[float, float, int, int]:
    residual, moved, fitted = restricted_rows(design, fit.reading, fit.path)
    left = len(residual) - fitted.shape[1] - moved.shape[1]
    if not moved.shape[1]:
        return 0.0, 1.0, 0, left
    _check_units(len(residual), moved.shape[1], fitted.shape[1])
    statistic, pvalue = share_pvalue(residual, moved, fitted, equal=equal)
    return statistic, pvalue, moved.shape[1], left


def _clustered_score(design: RowDesign, fit: Fit) -> tuple[float, float, int, int]:
    residual, moved, fitted = restricted_rows(design, fit.reading, fit.path)
    assert design.groups is not None
    _check_units(design.n_units, moved.shape[1], 0)
    return *clustered_pvalue(residual, moved, fitted, design.groups), moved.shape[1], design.n_units


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
