"""Regressions on one set of features: coefficients, risks where the fit never was, residuals that are nothing."""

from __future__ import annotations

import numpy as np

from causalinv._typing import BoolArray, FloatArray
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance.subsets._sets import as_tuples
from causalinv.invariance.subsets._sweep import SubsetStatistics
from causalinv.linear_rule import least_squares
from causalinv.moments import Moments

__all__ = ["exact_sets", "left_out_risks", "pooled_coef", "warn_exact"]

_EXACT_TOL = 1e-12  # of the outcome's variance: residuals below are rounding


def exact_sets(subsets: SubsetStatistics, moments: Moments) -> BoolArray:
    """Sets that leave no residual in any environment, shape (n,); with them nothing but rounding could be tested."""
    left = subsets.pooled_risk @ moments.weight / moments.weight.sum()
    exact: BoolArray = left < _EXACT_TOL * float(moments.pooled.cov("y")[0, 0, 0])
    return exact & (subsets.coefficients < moments.count.sum())


def warn_exact(exact: BoolArray, subsets: SubsetStatistics, d: int) -> None:
    """Say that y is an exact linear function of features, if it is."""
    if exact.any():
        columns = as_tuples(subsets.packed[[int(np.argmax(exact))]], d)[0]
        warn(
            f"y is an exact linear function of features {list(columns)}, the same in every environment: sets that "
            "leave no residual pass with p-value 1.",
            DegenerateInputWarning,
        )


def pooled_coef(moments: Moments, inside: BoolArray) -> FloatArray:
    """Least squares on some features, all environments together; 0 elsewhere, shape (d,)."""
    coef = np.zeros(len(inside))
    if inside.any():
        coef[inside] = least_squares(moments.select(x=inside, y=True))[:, 0]
    return coef


def left_out_risks(moments: Moments, inside: BoolArray) -> FloatArray:
    """Mean squared error, in each environment, of least squares on some features in all other environments, (E,)."""
    kept = moments.select(x=inside, y=True) if inside.any() else moments.select(y=True)
    risks, everything = [], kept.pool()
    for cell in kept.cells:
        here = kept.select(cells=[cell])
        others = everything.subtract(here)
        coef = least_squares(others)[:, 0] if inside.any() else np.zeros(0)
        direction = np.r_[-coef, 1.0]
        blocks = ("x", "y") if inside.any() else ("y",)
        cov = np.block([[here.cov(a, b)[0] for b in blocks] for a in blocks])
        shift = np.concatenate([here.mean(b)[0] - others.mean(b)[0] for b in blocks]) @ direction
        risks.append(float(direction @ cov @ direction + shift**2))
    return np.array(risks)
