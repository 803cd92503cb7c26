r"""Confidence sets and tests of coefficients whose level does not depend on how strong the instruments are.

All are functions of the reduced equation (`_equation`). For one feature x, with k excluded instruments, residuals
:math:`e(b) = y - xb` and error covariance of the reduced form estimated by what the instruments leave,

* *Anderson and Rubin* (1949): :math:`e'Pe / k` over :math:`e'Me / (n - rank)` has an F law. The set is where a
  quadratic in b is not positive.
* Other endogenous features are minimised over; then k less their number are the degrees of freedom (Guggenberger,
  Kleibergen, Mavroeidis and Chen, 2012). The set is the projection of a quadric, by a Schur complement.
* *Robust*: Hotelling's statistic of the moments :math:`z_i e_i(b)`, summed over clusters. The ends of the set are the
  real eigenvalues of a quadratic matrix polynomial, so it is exact too.
* *LM* (Kleibergen, 2002) and *CLR* (Moreira, 2003), with one endogenous feature and equal variances: with :math:`Q_S`
  the Anderson-Rubin form and :math:`\lambda_0 \le \lambda_1` the eigenvalues of the 2 × 2 matrix of explained over left
  moments of (y, x), which do not depend on b, :math:`LM = Q_S - \lambda_0\lambda_1 / (\lambda_0 + \lambda_1 - Q_S)` and
  :math:`LR = Q_S - \lambda_0`. So both sets are made of Anderson-Rubin sets at other levels (Mikusheva, 2010). In place
  of chi squared laws stand F laws with the degrees of freedom of the error covariance: with one instrument both are the
  Anderson-Rubin test.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import quad
from scipy.linalg import eig, eigh
from scipy.optimize import brentq
from scipy.special import beta as beta_function
from scipy.special import fdtrc
from scipy.stats import f as fisher

from causalinv._matrix import solve_range
from causalinv._typing import FloatArray
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._inference import hotelling

__all__ = ["ar_pvalue", "ar_set", "clr_pvalue", "clr_set", "lm_pvalue", "lm_set", "robust_ar_pvalue", "robust_ar_set"]

_LINE = np.array([[-np.inf, np.inf]])
_NONE = np.empty((0, 2))
_REAL = 1e-4  # imaginary part of what may be a real root; others between do no harm
_FAR = 1e12  # in standardised units: infinite
_FLAT = 1e-12  # of a quadratic's largest standardised coefficient: what is rounding


# -- equal variances ----------------------------------------------------------------------------------------------


def ar_pvalue(equation: Equation, coef: FloatArray) -> tuple[float, float, int]:
    """Statistic, p-value and degrees of freedom of the hypothesis that the coefficients (d,) are these."""
    e = equation.y - equation.x @ coef
    explained = equation.z.T @ e
    q = equation.z.shape[1]
    _check_df(equation)
    statistic = _quotient(float(explained @ explained), float(e @ e - explained @ explained)) * equation.df_first / q
    return statistic, float(fisher.sf(statistic, q, equation.df_first)), q


def ar_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) of coefficient j that Anderson and Rubin's test does not reject, others minimised over."""
    x, rest = equation.without(j)
    _check_df(equation)
    k = rest.over
    if k < 1:
        return _LINE  # as many nuisance directions as instruments: every value fits
    bound = float(fisher.ppf(level, k, rest.df_first)) * k / rest.df_first
    return _at_most(_forms(x, rest), bound)


def lm_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) that Kleibergen's test does not reject; one endogenous feature."""
    forms, df = _of_one(equation, j)
    low, high = _roots_of(forms) * df
    critical = float(fisher.ppf(level, 1, df))
    if equation.reduced.z.shape[1] == 1:
        return _at_most(forms, critical / df)
    # (Q - c)(S - Q) <= low high, for Q between low and high.
    total = low + high
    half, product = (total + critical) / 2, critical * total + low * high
    if half**2 <= product:
        return _LINE
    gap = np.sqrt(half**2 - product)
    return _union(_at_most(forms, (half - gap) / df), _at_least(forms, (half + gap) / df))


def lm_pvalue(equation: Equation, j: int, value: float) -> float:
    """P-value of Kleibergen's test that coefficient j is `value`; one endogenous feature."""
    low, high, form, _, df = _eigen_forms(equation, j, value)
    return float(fisher.sf(max(form - low * high / (low + high - form), 0.0), 1, df))


def clr_pvalue(equation: Equation, j: int, value: float) -> float:
    """P-value of Moreira's test that coefficient j is `value`; one endogenous feature."""
    low, high, form, k, df = _eigen_forms(equation, j, value)
    return _clr_pvalue(form - low, low + high - form, k, df)


def clr_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) that Moreira's conditional likelihood ratio test does not reject; one endogenous feature."""
    forms, df = _of_one(equation, j)
    low, high = _roots_of(forms) * df
    k = equation.reduced.z.shape[1]

    def excess(q: float) -> float:  # decreasing in the Anderson-Rubin form q: the test accepts where it is >= 0
        return _clr_pvalue(q - low, low + high - q, k, df) - (1.0 - level)

    if excess(high) >= 0:
        return _LINE
    return _at_most(forms, float(brentq(excess, low, high, xtol=1e-12 * high, rtol=1e-14)) / df)


def _clr_pvalue(statistic: float, condition: float, k: int, df: float) -> float:
    r"""P(LR > statistic) given Q_T = condition, with k instruments and one endogenous feature (Moreira, 2003).

    :math:`E\, P(kF > s / (1 - aB))` with F of the F law with k and `df` degrees of freedom, :math:`a = t / (s + t)` and
    B of the Beta law with (k - 1)/2 and 1/2 (Hillier, 2009). B is the squared sine of an angle, whose density has no
    poles.
    """
    if statistic <= 0:
        return 1.0
    if k == 1:
        return float(fdtrc(1, df, statistic))
    share = condition / (statistic + condition)

    def density(angle: float) -> float:
        sine = float(np.sin(angle))
        return float(fdtrc(k, df, statistic / (1 - share * sine**2) / k)) * sine ** (k - 2)

    whole = 0.5 * beta_function((k - 1) / 2, 0.5)
    found, _ = quad(density, 0.0, np.pi / 2, epsabs=1e-13, epsrel=1e-10, limit=200)
    return float(found / whole)


def _eigen_forms(equation: Equation, j: int, value: float) -> tuple[float, float, float, int, int]:
    """Both eigenvalues, the Anderson-Rubin form at a value, the number of instruments and degrees of freedom."""
    forms, df = _of_one(equation, j)
    low, high = (_roots_of(forms) * df).tolist()
    at = np.array([1.0, -value])
    return low, high, float(at @ forms[0] @ at) / float(at @ forms[1] @ at) * df, equation.reduced.z.shape[1], df


def _of_one(equation: Equation, j: int) -> tuple[tuple[FloatArray, FloatArray], int]:
    x, rest = equation.without(j)
    if rest.basis.shape[1]:
        raise ValueError(
            f"LM and CLR sets are for one endogenous feature; {rest.basis.shape[1]} others are endogenous here. Use "
            "the Anderson-Rubin set, which minimises over them."
        )
    _check_df(equation)
    return _forms(x, rest), rest.df_first


def _forms(x: FloatArray, rest: Equation) -> tuple[FloatArray, FloatArray]:
    """Explained and left second moments of outcome, feature and nuisance coordinates."""
    both = np.column_stack([rest.y, x, rest.coordinates])
    first = rest.z.T @ both
    explained = first.T @ first
    return explained, both.T @ both - explained


def _roots_of(forms: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Both eigenvalues of explained over left, ascending."""
    explained, left = forms
    scale = np.sqrt(np.diag(explained + left))
    outer = scale[:, None] * scale
    if not scale.all() or eigh(left / outer, eigvals_only=True)[0] <= _FLAT:
        raise ValueError("The instruments fit outcome or feature exactly: there is no error to test against.")
    return np.maximum(eigh(explained / outer, left / outer, eigvals_only=True), 0.0)


def _at_most(forms: tuple[FloatArray, FloatArray], bound: float) -> FloatArray:
    """Where explained is at most bound times left, for some value of the nuisance coefficients."""
    explained, left = forms
    scale = np.sqrt(np.maximum(np.diag(explained + left), 0.0))
    if scale[1] == 0 or scale[0] == 0:
        return _LINE
    outer = np.where(scale > 0, scale, 1.0)
    form = (explained - bound * left) / outer[:, None] / outer
    if len(form) > 2:
        other = form[2:, 2:]
        if eigh(other, eigvals_only=True)[0] <= _FLAT:
            return _LINE  # far out along a nuisance direction everything fits
        form = form[:2, :2] - form[:2, 2:] @ np.linalg.solve(other, form[2:, :2])
    return _quadratic(form[1, 1], form[0, 1], form[0, 0]) * (scale[0] / scale[1])


def _at_least(forms: tuple[FloatArray, FloatArray], bound: float) -> FloatArray:
    """Where explained is at least bound times left; no nuisance."""
    explained, left = forms
    scale = np.sqrt(np.diag(explained + left))
    form = (bound * left - explained) / scale[:, None] / scale
    return _quadratic(form[1, 1], form[0, 1], form[0, 0]) * (scale[0] / scale[1])


def _quadratic(a: float, h: float, c: float) -> FloatArray:
    """Where a b² - 2 h b + c <= 0, for coefficients in standardised units."""
    if abs(a) <= _FLAT:
        if abs(h) <= _FLAT:
            return _LINE if c <= 0 else _NONE
        end = c / (2 * h)
        return np.array([[end, np.inf]] if h > 0 else [[-np.inf, end]])
    disc = h * h - a * c
    if disc < 0:
        return _NONE if a > 0 else _LINE
    far = h + np.copysign(np.sqrt(disc), h)
    low, high = sorted([far / a, c / far if far else 0.0])
    return np.array([[low, high]] if a > 0 else [[-np.inf, low], [high, np.inf]])


def _union(first: FloatArray, second: FloatArray) -> FloatArray:
    """Union of two sets of intervals."""
    out: list[list[float]] = []
    for low, high in sorted([*first.tolist(), *second.tolist()]):
        if out and low <= out[-1][1]:
            out[-1][1] = max(out[-1][1], high)
        else:
            out.append([low, high])
    return np.array(out).reshape(-1, 2)


# -- any variances, clusters --------------------------------------------------------------------------------------


def robust_ar_pvalue(equation: Equation, coef: FloatArray) -> tuple[float, float, int]:
    """Hotelling's F, p-value and degrees of freedom of the hypothesis that the coefficients (d,) are these."""
    rows = equation.sums(equation.z * (equation.y - equation.x @ coef)[:, None])
    spent = _check_units(equation, equation.z.shape[1])
    estimate = rows.sum(axis=0)
    return hotelling(estimate, rows - rows.mean(axis=0), spent=spent)


def robust_ar_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) of coefficient j, robust to unequal variances and to clusters; other features are exogenous."""
    x, rest = equation.without(j)
    if rest.basis.shape[1]:
        raise ValueError(
            f"A robust Anderson-Rubin set is for one endogenous feature; {rest.basis.shape[1]} others are endogenous "
            "here. Take the set under equal variances (cov_type='classical'), or test whole vectors of coefficients."
        )
    k = rest.z.shape[1]
    spent = _check_units(rest, k)
    size = np.linalg.norm(rest.y), np.linalg.norm(x)
    if min(size) == 0:
        return _LINE
    of_y, of_x = rest.sums(rest.z * (rest.y / size[0])[:, None]), rest.sums(rest.z * (x / size[1])[:, None])
    units = len(of_y)
    left = units - spent - k
    hotellings = float(fisher.ppf(level, k, left)) * k / left * units
    return _where_small(of_y, of_x, hotellings / (1.0 + hotellings / units)) * (size[0] / size[1])


def _where_small(of_y: FloatArray, of_x: FloatArray, bound: float) -> FloatArray:
    """Where s'S^-1 s <= bound, with s the sum and S the squares of the rows ``of_y - b of_x``.

    That is where the determinant of [[S, s], [s', bound]] is not negative: a polynomial in b, whose real roots are
    found as eigenvalues. Between neighbours among them the sign is read off the statistic itself.
    """
    k = of_y.shape[1]
    sums = of_y.sum(axis=0), of_x.sum(axis=0)
    yy, yx, xx = of_y.T @ of_y, of_y.T @ of_x, of_x.T @ of_x
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
        return _LINE if outside else _NONE
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


def _check_df(equation: Equation) -> None:
    if equation.df_first < 1:
        raise ValueError(
            f"{equation.n} rows leave no degrees of freedom beside {equation.z.shape[1]} instruments and what was "
            "partialled out."
        )


def _check_units(equation: Equation, k: int) -> int:
    """Degrees of freedom that the controls took (none of clusters); raises if too few units are left."""
    units = equation.n_clusters if equation.clusters is not None else equation.n
    spent = 0 if equation.clusters is not None else equation.spent
    if units - spent - k < 1:
        what = "groups" if equation.clusters is not None else "rows"
        raise ValueError(f"A robust test of {k} instruments needs more than {k + spent} {what}, got {units}.")
    return spent
