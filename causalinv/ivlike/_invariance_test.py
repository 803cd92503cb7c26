"""Test whether least squares itself ignores what an augmentation moves.

A score test under the law of flipped signs (`_sign_flips`): the residual of least squares that ignores the moved
coordinates must be uncorrelated with them. Where copies are drawn these are the coordinates in which a mean reaction
would show; the error of its slope on G, where G does not explain the whole reaction, has its signs flipped too.
"""

from __future__ import annotations

import numpy as np

from causalinv._validation import check_choice
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import reaction_rows, restricted_rows
from causalinv.ivlike._sign_flips import clustered_pvalue, share_pvalue
from causalinv.results import TestResult

__all__ = ["ols_invariance_test"]

_KNOWN = 1e-9  # of the score's largest entry: rounding
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
    if not moved.shape[1]:
        return 0.0, 1.0, 0, design.n_units
    _check_units(design.n_units, moved.shape[1], 0)
    return *clustered_pvalue(residual, moved, fitted, design.groups), moved.shape[1], design.n_units


def _mean_reaction(design: RowDesign, fit: Fit) -> tuple[float, float, int, int]:
    residual, moved, fitted, own = reaction_rows(design, fit.reading)
    left = len(residual) - fitted.shape[1] - moved.shape[1]
    grouped = design.groups is not None
    if not moved.shape[1]:
        return 0.0, 1.0, 0, design.n_units if grouped else left
    if own is not None and np.abs(own).max() <= _KNOWN * np.abs(moved * residual[:, None]).max():
        own = None  # G explains the whole reaction
    if not grouped and own is None:
        _check_units(len(residual), moved.shape[1], fitted.shape[1])
        return *share_pvalue(residual, moved, fitted, equal=False), moved.shape[1], left
    _check_units(design.n_units, moved.shape[1], 0 if grouped else fitted.shape[1])
    found = clustered_pvalue(residual, moved, fitted, design.groups, own=own)
    return *found, moved.shape[1], design.n_units if grouped else left


def _check_units(units: int, directions: int, spent: int) -> None:
    if units - spent <= directions:
        less = f", less {spent} for what is fitted," if spent else ""
        raise ValueError(
            f"{units} independent rows or groups{less} cannot test {directions} directions at once: their covariance "
            "is singular. Use fewer directions, or more rows or groups."
        )
