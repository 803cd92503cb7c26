"""Regressions on one set of features: coefficients, risks where the fit never was, residuals that are nothing."""

from __future__ import annotations

import numpy as np

from causalinv._accumulate import Group
from causalinv._matrix import solve_range, solve_ranges
from causalinv._typing import BoolArray, FloatArray
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance.subsets._sets import as_tuples
from causalinv.invariance.subsets._sweep import SubsetStatistics
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
        pooled = moments.pooled
        coef[inside] = solve_range(pooled.cov("x")[0][np.ix_(inside, inside)], pooled.cov("x", "y")[0][inside, 0])
    return coef


def left_out_risks(moments: Moments, inside: BoolArray) -> FloatArray:
    """Mean squared error, in each environment, of least squares on some features in all other environments, (E,)."""
    at = np.flatnonzero(np.append(inside, True))  # the features, then y
    whole, names = moments.pooled, moments.cells.tolist()
    everything = Group(whole.weight[0], whole.mean(("x", "y"))[0][at], whole.scatter(("x", "y"))[0][np.ix_(at, at)])
    mean, scatter = moments.mean(("x", "y"))[:, at], moments.scatter(("x", "y"))[:, at[:, None], at]
    others = everything.without_each(Group(moments.weight, mean, scatter), names)
    cov = others.scatter / others.weight[:, None, None]
    ahead = -solve_ranges(cov[:, :-1, :-1], cov[:, :-1, -1])
    direction = np.concatenate([ahead, np.ones((len(ahead), 1))], axis=1)
    shift = np.einsum("ei,ei->e", mean - others.mean, direction)
    risks: FloatArray = np.einsum("ei,eij,ej->e", direction, scatter, direction) / moments.weight + shift**2
    return risks
