r"""What data can say about instruments: whether they move the features, agree with each other, and are needed.

All statistics are of the reduced equation (`_equation`): controls and included regressors are partialled out. With
:math:`\hat\Pi` the first stage, k excluded instruments, m endogenous directions and e the residuals of two-stage least
squares:

* *Overidentification.* Sargan's :math:`n\, e'P e / e'e` takes errors as independent and of equal variance. Hansen's J
  is :math:`\min_h g(h)' S^{-1} g(h)` with g the sum of instruments times residuals and S the sum of their
  squares, by cluster, at e. Both are chi squared with k - m degrees of freedom if every instrument is valid and the
  controls are few: with 20 in 60 rows that law rejected .15. So the p-value of J is that of the score under flipped
  signs (`_sign_flips`), in the instruments that move no feature; residuals are those of the bias-corrected estimator
  (Nagar, 1959; Donald and Newey, 2001), as those of two-stage least squares are too short with many instruments.
  Sargan's is as in textbooks.
* *Endogeneity* (Wu, 1973; Hausman, 1978): the first-stage residuals, added to least squares, have coefficient 0; with
  robust covariances the statistic is that of Wooldridge's regression test, and its p-value that of the score under
  flipped signs (`_sign_flips`): the F law of the statistic rejected .095 of true nulls in 12 clusters.
* *Rank* (Cragg and Donald, 1993; Kleibergen and Paap, 2006): F forms of the tests that the weakest direction is not
  moved at all. They are no tests of weakness; 10 is a rule of thumb.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as fisher

from causalinv._matrix import orthonormal_range, singular_values, solve_range, whitener
from causalinv._typing import FloatArray
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._first_stage import robust_f
from causalinv.ivlike._kclass import kclass
from causalinv.ivlike._sign_flips import clustered_pvalue, share_pvalue
from causalinv.results import TestResult

__all__ = [
    "FirstStageF",
    "cragg_donald_f",
    "effective_f",
    "endogeneity",
    "first_stage_f",
    "kleibergen_paap_f",
    "overidentification",
]

_EXACT = 1e-24  # of an outcome's squares: residuals that are rounding
_KEPT = 0.5  # of a direction's strength, what the correction for many instruments must leave
_UNMOVED = 1e-10  # of a direction's variance, what instruments explain by rounding
_ROWS = "rows are independent, and errors of equal variance"


@dataclass(frozen=True)
class FirstStageF:
    """F statistics of one feature's first stage, or NaN where no instrument is left for it.

    Attributes
    ----------
    classical, robust : float
        Of the excluded instruments: errors independent and of equal variance; and HC1 or CR1.
    pvalue : float
        That no instrument moves the feature: a score test under the law of flipped signs (`_sign_flips`), robust to
        unequal variances or to dependence in clusters. The F law of the robust F rejected up to .57 of irrelevant
        instruments (20 of them in 50 rows).
    """

    classical: float
    robust: float
    pvalue: float


def _independence(equation: Equation) -> str:
    return "rows are independent" if equation.clusters is None else "groups of rows are independent"


def overidentification(equation: Equation, *, robust: bool) -> TestResult:
    """Sargan's test, or Hansen's J if `robust`.

    Raises
    ------
    ValueError
        If there are no more instruments than endogenous directions, or too few clusters.
    """
    part = equation.reduced
    if part.over < 1:
        raise ValueError(
            f"Excluded instruments: {part.z.shape[1]}, endogenous directions: {part.basis.shape[1]}; these leave "
            "nothing to test: with one instrument each, any would agree. Overidentification needs more instruments."
        )
    e = part.y - part.x @ kclass(part, 1.0)
    _check_errors(part, e)
    if robust:
        rows = part.sums(part.z * e[:, None])
        if len(rows) <= part.z.shape[1]:
            raise ValueError(
                f"Hansen's J of {part.z.shape[1]} instruments needs more independent rows or groups, got {len(rows)}."
            )
        half = whitener(rows.T @ rows)
        target, design = half.T @ (part.z.T @ part.y), half.T @ (part.z.T @ part.coordinates)
        left = target - design @ solve_range(design.T @ design, design.T @ target, rescale=False)
        statistic, assumption = float(left @ left), _independence(part)
        # Along these instruments residuals are errors: no feature moves with them, so no coefficient is in the way.
        moving, agreeing = orthonormal_range(part.coordinates.T @ part.z)
        e = part.y - part.x @ kclass(part, _unbiased_kappa(part))
        pvalue = _flipped(part, e, part.z @ agreeing.T, np.column_stack([part.known, part.z @ moving.T]))
    else:
        explained = part.z.T @ e
        statistic, assumption = part.n * float(explained @ explained) / float(e @ e), _ROWS
        pvalue = float(chi2.sf(statistic, part.over))
    return TestResult(
        statistic,
        pvalue,
        part.over,
        hypothesis="the instruments agree on the effect",
        assumption=assumption + "; instruments are not weak" + ("" if robust else ", and controls few beside the rows"),
        note="A rejection means: some instrument moves the outcome other than through the features, or its effect "
        "differs from that of others. No rejection does not show that they are valid: they can be wrong alike.",
    )


def _unbiased_kappa(part: Equation) -> float:
    """κ at which many instruments pull the coefficients to least squares no more; 1 where some hardly move."""
    if part.df_first < 1:
        return 1.0
    kappa = 1.0 + part.over / part.df_first
    left = 1.0 - kappa * (1.0 - part.strength)
    return kappa if (left > _KEPT * part.strength).all() else 1.0


def endogeneity(equation: Equation, *, robust: bool) -> TestResult:
    """Wu-Hausman test, in the form of a regression with the first-stage residuals; F law, or robust flipped signs."""
    part = equation.reduced
    m = part.basis.shape[1]
    if not m:
        raise ValueError("Every feature is an instrument for itself: nothing is endogenous, and there is no test.")
    moved = int(np.sum(part.strength > _UNMOVED))
    if moved < m:
        raise ValueError(
            f"The instruments move {moved} of {m} endogenous directions: two-stage least squares has no one answer to "
            "compare with least squares. A test of endogeneity needs an instrument for every endogenous feature."
        )
    x, v = part.coordinates, part.coordinates - part.project(part.coordinates)
    inside = v - x @ (x.T @ v)  # what least squares leaves of the first-stage residuals
    half = whitener(inside.T @ inside)
    inside = inside @ half
    e = part.y - x @ (x.T @ part.y)
    _check_errors(part, e)
    slope = inside.T @ e
    rest = e - inside @ slope
    df = part.df - len(slope)
    if df < 1:
        raise ValueError(f"{part.n} rows leave no degrees of freedom for a test of endogeneity.")
    if robust:
        rows = part.sums(inside * rest[:, None])
        k, n_units = part.n_clusters, len(rows)
        if n_units <= len(slope) + 1:
            raise ValueError(f"{n_units} independent rows or groups cannot test {len(slope)} directions at once.")
        cov = k / (k - 1) * (part.n - 1) / df * rows.T @ rows
        statistic, assumption = _wald(slope, cov) / len(slope), _independence(part)
        pvalue = _flipped(part, e, inside, np.column_stack([part.known, x]))
    else:
        statistic, assumption = float(slope @ slope) / len(slope) / (float(rest @ rest) / df), _ROWS
        pvalue = float(fisher.sf(statistic, len(slope), df))
    return TestResult(
        statistic,
        pvalue,
        len(slope),
        hypothesis="least squares and two-stage least squares estimate the same",
        assumption=assumption + "; the instruments are valid",
        note="No rejection does not make least squares right, least of all with weak instruments: they see little.",
    )


def first_stage_f(equation: Equation, j: int) -> FirstStageF:
    """F statistics of the excluded instruments in the first stage of feature j; NaN if it is included."""
    part = equation.reduced
    own = equation.coordinates[:, equation.included]
    x = equation.x[:, j] - own @ (own.T @ equation.x[:, j])
    k, df = part.z.shape[1], equation.df_first
    if float(x @ x) <= 1e-9 * float(equation.x[:, j] @ equation.x[:, j]) or not k or df < 1:
        return FirstStageF(np.nan, np.nan, np.nan)
    slope = part.z.T @ x
    rest = x - part.z @ slope
    classical = float(slope @ slope) / k / (float(rest @ rest) / df)
    rows = part.sums(part.z * rest[:, None])
    if len(rows) <= k:
        return FirstStageF(classical, np.nan, np.nan)
    m = len(rows)
    cov = m / (m - 1) * (part.n - 1) / df * rows.T @ rows
    robust = _wald(slope, cov) / k
    return FirstStageF(classical, robust, _flipped(part, x, part.z, part.known))


def _flipped(equation: Equation, residual: FloatArray, moved: FloatArray, fitted: FloatArray) -> float:
    """P-value of the score of orthonormal coordinates (n, q) under flips of the signs of rows, or of clusters."""
    if equation.clusters is None:
        return share_pvalue(residual, moved, fitted, equal=False)[1]
    return clustered_pvalue(residual, moved, fitted, equation.clusters)[1]


def cragg_donald_f(equation: Equation) -> float:
    """Smallest eigenvalue of the first stage in F form; infinite if nothing is endogenous."""
    part = equation.reduced
    if not len(part.strength):
        return np.inf
    if part.over < 0 or part.df_first < 1:
        return np.nan if part.df_first < 1 else 0.0
    weakest = float(part.strength.min())
    return weakest / (1.0 - weakest) * part.df_first / part.z.shape[1]


def effective_f(equation: Equation) -> float:
    r"""Effective F of Montiel Olea and Pflueger (2013), by HC1 or CR1; NaN unless one direction is endogenous.

    :math:`\hat\pi'\hat\pi` over the trace of its robust covariance, in orthonormal instruments. With one instrument it
    is the robust F.
    """
    part = equation.reduced
    if part.basis.shape[1] != 1 or part.df_first < 1:
        return np.nan
    return robust_f(
        part.coordinates[:, 0],
        np.sqrt(part.n) * part.z,
        weight=np.ones(part.n),
        groups=part.clusters,
        left=part.df_first,
    )


def kleibergen_paap_f(equation: Equation) -> float:
    r"""Wald F form of the rk statistic, robust to unequal variances and to clusters; NaN where it is not defined.

    With :math:`\hat\Theta` the first stage in orthonormal instruments and standardised features,
    :math:`U S V'` its singular value decomposition, the smallest singular value is tested against the sandwich of the
    first-stage scores, in the coordinates that Kleibergen and Paap (2006) make of its singular vectors; factors of n
    and of clusters as in ivreg2.
    """
    part = equation.reduced
    m, k = part.basis.shape[1], part.z.shape[1]
    if not m or part.over < 0 or part.df_first < 1:
        return np.nan
    x = part.coordinates
    left, _, right = singular_values(part.z.T @ x, full=True)
    u, v = left[:, m - 1 :], right[m - 1 :]  # directions of instruments and of features that are the least related
    rest = (x - part.project(x)) @ v.T
    gap = u.T @ (part.z.T @ x) @ v.T
    rows = part.sums((part.z @ u) * rest)
    units = len(rows)
    if units <= k - m + 1:
        return np.nan
    wald = _wald(gap[:, 0], rows.T @ rows)
    scale = part.n if part.clusters is None else (part.n - 1) * units / (units - 1)
    return wald * part.df_first / (k * scale)


def _wald(estimate: FloatArray, cov: FloatArray) -> float:
    """Squared length of an estimate in its covariance."""
    return float(np.sum((whitener(cov).T @ estimate) ** 2))


def _check_errors(equation: Equation, e: FloatArray) -> None:
    """Refuse residuals (n,) that are rounding: every statistic divides by them."""
    if float(e @ e) <= _EXACT * float(equation.y @ equation.y):
        raise ValueError("The equation fits the outcome exactly: there is no error to test against.")
