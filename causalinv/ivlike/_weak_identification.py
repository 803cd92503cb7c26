r"""Confidence sets and tests of coefficients whose level does not depend on how strong the instruments are.

All are functions of the reduced equation (`_equation`). For one feature x, with k excluded instruments, residuals
:math:`e(b) = y - xb` and error covariance of the reduced form estimated by what the instruments leave,

* *Anderson and Rubin* (1949): :math:`e'Pe / k` over :math:`e'Me / (n - rank)` has an F law. The set is where a
  quadratic in b is not positive.
* Other endogenous features are minimised over; then k less their number are the degrees of freedom (Guggenberger,
  Kleibergen, Mavroeidis and Chen, 2012). The set is the projection of a quadric, by a Schur complement.
* *Robust*: Hotelling's statistic of the moments :math:`z_i e_i(b)`, summed over clusters; in their squares the e are
  taken as long as errors are (HC2, CR2), of which controls leave less (10 in 20 uneven clusters: sizes were .12). The
  ends of the set are the real eigenvalues of a quadratic matrix polynomial, so it is exact too.

The conditional tests of one endogenous feature, LM and CLR, are in `_conditional`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eig, eigh
from scipy.optimize import brentq
from scipy.stats import f as fisher

from causalinv._matrix import solve_range, whitener
from causalinv._typing import FloatArray
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._sign_flips import as_long_as_errors

__all__ = [
    "FLAT",
    "LINE",
    "ar_pvalue",
    "ar_set",
    "at_least",
    "at_most",
    "check_df",
    "forms_of",
    "robust_ar_pvalue",
    "robust_ar_set",
]

LINE = np.array([[-np.inf, np.inf]])
_NONE = np.empty((0, 2))
_REAL = 1e-4  # imaginary part of what may be a real root; others between do no harm
_FAR = 1e12  # in standardised units: infinite
FLAT = 1e-12  # of a quadratic's largest standardised coefficient: what is rounding


# -- equal variances ----------------------------------------------------------------------------------------------


def ar_pvalue(equation: Equation, coef: FloatArray) -> tuple[float, float, int]:
    """Statistic, p-value and degrees of freedom of the hypothesis that the coefficients (d,) are these."""
    e = equation.y - equation.x @ coef
    explained = equation.z.T @ e
    q = equation.z.shape[1]
    check_df(equation)
    statistic = _quotient(float(explained @ explained), float(e @ e - explained @ explained)) * equation.df_first / q
    return statistic, float(fisher.sf(statistic, q, equation.df_first)), q


def ar_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) of coefficient j that Anderson and Rubin's test does not reject, others minimised over."""
    x, rest = equation.without(j)
    check_df(equation)
    k = rest.over
    if k < 1:
        return LINE  # as many nuisance directions as instruments: every value fits
    bound = float(fisher.ppf(level, k, rest.df_first)) * k / rest.df_first
    return at_most(forms_of(x, rest), bound)


def forms_of(x: FloatArray, rest: Equation) -> tuple[FloatArray, FloatArray]:
    """Explained and left second moments of outcome, feature and nuisance coordinates."""
    both = np.column_stack([rest.y, x, rest.coordinates])
    first = rest.z.T @ both
    explained = first.T @ first
    return explained, both.T @ both - explained


def at_most(forms: tuple[FloatArray, FloatArray], bound: float) -> FloatArray:
    """Where explained is at most bound times left, for some value of the nuisance coefficients."""
    explained, left = forms
    scale = np.sqrt(np.maximum(np.diag(explained + left), 0.0))
    if scale[1] == 0 or scale[0] == 0:
        return LINE
    outer = np.where(scale > 0, scale, 1.0)
    form = (explained - bound * left) / outer[:, None] / outer
    if len(form) > 2:
        other = form[2:, 2:]
        if eigh(other, eigvals_only=True)[0] <= FLAT:
            return LINE  # far out along a nuisance direction everything fits
        form = form[:2, :2] - form[:2, 2:] @ np.linalg.solve(other, form[2:, :2])
    return _quadratic(form[1, 1], form[0, 1], form[0, 0]) * (scale[0] / scale[1])


def at_least(forms: tuple[FloatArray, FloatArray], bound: float) -> FloatArray:
    """Where explained is at least bound times left; no nuisance."""
    explained, left = forms
    scale = np.sqrt(np.diag(explained + left))
    form = (bound * left - explained) / scale[:, None] / scale
    return _quadratic(form[1, 1], form[0, 1], form[0, 0]) * (scale[0] / scale[1])


def _quadratic(a: float, h: float, c: float) -> FloatArray:
    """Where a b² - 2 h b + c <= 0, for coefficients in standardised units."""
    if abs(a) <= FLAT:
        if abs(h) <= FLAT:
            return LINE if c <= 0 else _NONE
        end = c / (2 * h)
        return np.array([[end, np.inf]] if h > 0 else [[-np.inf, end]])
    disc = h * h - a * c
    if disc < 0:
        return _NONE if a > 0 else LINE
    far = h + np.copysign(np.sqrt(disc), h)
    low, high = sorted([far / a, c / far if far else 0.0])
    return np.array([[low, high]] if a > 0 else [[-np.inf, low], [high, np.inf]])


# -- any variances, clusters --------------------------------------------------------------------------------------


def robust_ar_pvalue(equation: Equation, coef: FloatArray) -> tuple[float, float, int]:
    """Hotelling's F, p-value and degrees of freedom of the hypothesis that the coefficients (d,) are these."""
    e = equation.y - equation.x @ coef
    _check_units(equation)
    estimate, rows = _scores(equation, e)
    if not rows.any():
        raise ValueError("At these coefficients no row has an error: there is nothing to test against.")
    half = whitener(rows.T @ rows)
    share, k = float(np.sum((half.T @ estimate) ** 2)) / len(rows), half.shape[1]
    statistic = _quotient(share, 1.0 - share) * (len(rows) - k) / k
    return statistic, float(fisher.sf(statistic, k, len(rows) - k)), k


def robust_ar_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) of coefficient j, robust to unequal variances and to clusters; other features are exogenous."""
    x, rest = equation.without(j)
    if rest.basis.shape[1]:
        raise ValueError(
            f"A robust Anderson-Rubin set is for one endogenous feature; {rest.basis.shape[1]} others are endogenous "
            "here. Take the set under equal variances (cov_type='classical'), or test whole vectors of coefficients."
        )
    k = rest.z.shape[1]
    if k < 1:
        return LINE  # no instrument is left: every value fits
    _check_units(rest)
    size = np.linalg.norm(rest.y), np.linalg.norm(x)
    if min(size) == 0:
        return LINE
    of_y, of_x = _scores(rest, rest.y / size[0]), _scores(rest, x / size[1])
    units = rest.n_clusters
    odds = float(fisher.ppf(level, k, units - k)) * k / (units - k)
    return _where_small(of_y, of_x, units * odds / (1.0 + odds)) * (size[0] / size[1])


def _scores(equation: Equation, e: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum (k,) of instruments times residuals; and parts (m, k) of rows or clusters, as long as errors are."""
    long = as_long_as_errors(e, equation.known, equation.clusters)
    return equation.z.T @ e, equation.sums(equation.z * long[:, None])


def _where_small(of_y: tuple[FloatArray, FloatArray], of_x: tuple[FloatArray, FloatArray], bound: float) -> FloatArray:
    """Where s'S^-1 s <= bound, with s the sum and S the squares of the rows of y less b times those of x (`_scores`).

    That is where the determinant of [[S, s], [s', bound]] is not negative: a polynomial in b, whose real roots are
    found as eigenvalues. Between neighbours among them the sign is read off the statistic itself.
    """
    sums, rows = (of_y[0], of_x[0]), (of_y[1], of_x[1])
    k = len(sums[0])
    yy, yx, xx = rows[0].T @ rows[0], rows[0].T @ rows[1], rows[1].T @ rows[1]
    zero, linear, square = (np.zeros((k + 1, k + 1)) for _ in range(3))
    zero[:k, :k], zero[:k, k], zero[k, :k], zero[k, k] = yy, sums[0], sums[0], bound
    linear[:k, :k], linear[:k, k], linear[k, :k] = -(yx + yx.T), -sums[1], -sums[1]
    square[:k, :k] = xx
    eye, none = np.eye(k + 1), np.zeros((k + 1, k + 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = eig(np.block([[none, eye], [-zero, -linear]]), np.block([[eye, none], [none, square]]), right=False)
    values = values[np.isfinite(values)]
    near = np.abs(values.imag) <= _REAL * (1.0 + np.abs(values.real))
    roots = np.unique(values.real[near & (np.abs(values.real) < _FAR)])

    def excess(b: float) -> float:
        s, squares = sums[0] - b * sums[1], yy - b * (yx + yx.T) + b * b * xx
        return float(s @ solve_range(squares, s)) - bound

    outside = float(sums[1] @ solve_range(xx, sums[1])) - bound <= 0
    if not len(roots):
        return LINE if outside else _NONE
    points = [roots[0] - 1.0 - abs(roots[0]), *((roots[1:] + roots[:-1]) / 2), roots[-1] + 1.0 + abs(roots[-1])]
    inside = [outside, *(excess(float(b)) <= 0 for b in points[1:-1]), outside]
    out, low = [], -np.inf if outside else np.nan
    for i, root in enumerate(roots.tolist()):
        if inside[i] == inside[i + 1]:
            continue
        end = _polished(excess, root, float(points[i]), float(points[i + 1]))
        if inside[i]:
            out.append([low, end])
        else:
            low = end
    if outside:
        out.append([low, np.inf])
    return np.array(out).reshape(-1, 2)


def _polished(excess: Callable[[float], float], root: float, low: float, high: float) -> float:
    """A root between two points of different signs, to the last digits; as it is, if the signs do not differ."""
    if excess(low) * excess(high) > 0:
        return root
    return float(brentq(excess, low, high, xtol=1e-14, rtol=1e-14))


def _quotient(above: float, below: float) -> float:
    return above / below if below > 0 else np.inf


def check_df(equation: Equation) -> None:
    if equation.df_first < 1:
        raise ValueError(
            f"{equation.n} rows leave no degrees of freedom beside {equation.z.shape[1]} instruments and what was "
            "partialled out."
        )


def _check_units(equation: Equation) -> None:
    units, k = equation.n_clusters, equation.z.shape[1]
    what, spent = ("rows", equation.spent) if equation.clusters is None else ("groups", 0)
    if units - spent <= k:
        raise ValueError(f"A robust test of {k} instruments needs more than {k + spent} {what}, got {units}.")
