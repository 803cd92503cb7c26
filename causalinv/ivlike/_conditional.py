r"""LM (Kleibergen, 2002) and conditional likelihood ratio (Moreira, 2003) tests of one endogenous feature.

Errors are taken as independent and of equal variance. With :math:`\lambda_0 \le \lambda_1` the eigenvalues of the 2 × 2
matrix of explained over left moments of (y, x), which do not depend on the hypothesis, and the Anderson-Rubin form Q at
the hypothesis, the vector T that estimates the first stage apart from the errors u has squared length
:math:`t = \lambda_0 + \lambda_1 - Q` and along the explained errors :math:`t_u = (Q t - \lambda_0\lambda_1) / Q`. The
statistics are :math:`LM = Q\, t_u / t` and, with it, :math:`LR = (Q - t + \sqrt{(Q - t)^2 + 4\, t\, LM}) / 2`.

*With few rows* T is not independent of u: it is rid of u by a regression on what is left of it, whose error adds a
share Q / df to the variance of T along u, df being the rows less all coefficients of the first stage. Without strength
the share is :math:`r = Q / df`; with a first stage of strength F it is r / F of the length. So :math:`t_u` is divided
by :math:`1 + r / F`, where F is 1 or, if larger, the mean square of T across u. With instruments of no strength, F = 1
and normal errors T is then exactly independent of u; otherwise the correction is approximate. It was measured: see
`benchmarks/ivlike_weak_instruments.py`. In place of chi squared laws stand F laws with df degrees of freedom; with one
instrument both are the Anderson-Rubin test. Fewer degrees of freedom than instruments are refused: there the correction
leaves sizes up to .08.

Both sets are made of Anderson-Rubin sets at other levels (Mikusheva, 2010).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import quad
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.special import beta as beta_function
from scipy.special import fdtrc

from causalinv._typing import FloatArray
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._weak_identification import FLAT, LINE, at_least, at_most, check_df, forms_of

__all__ = ["clr_pvalue", "clr_set", "conditional_statistics", "lm_pvalue", "lm_set"]

_NODES = 257  # Anderson-Rubin forms between the eigenvalues, where signs are looked for
_ANGLES, _SHARES = np.polynomial.legendre.leggauss(128)  # a quick look at the integral of CLR
_DOUBT = 1e-3  # the quick look is wrong by less; nearer to the level than this the integral is taken with care


def lm_pvalue(equation: Equation, j: int, value: float) -> float:
    """P-value of Kleibergen's test that coefficient j is `value`."""
    ask, form = _Conditional(equation, j), _form_at(equation, j, value)
    return float(ask.lm(form))


def clr_pvalue(equation: Equation, j: int, value: float) -> float:
    """P-value of Moreira's test that coefficient j is `value`."""
    ask, form = _Conditional(equation, j), _form_at(equation, j, value)
    return ask.clr(form)


def lm_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) of coefficient j that Kleibergen's test does not reject."""
    ask = _Conditional(equation, j)
    return ask.where(ask.lm, ask.lm, 1.0 - level)


def clr_set(equation: Equation, j: int, level: float) -> FloatArray:
    """Intervals (m, 2) of coefficient j that Moreira's conditional likelihood ratio test does not reject."""
    ask = _Conditional(equation, j)
    return ask.where(ask.clr, ask.looked, 1.0 - level)


def conditional_statistics(
    form: float | FloatArray, roots: tuple[float, float], k: int, df: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """LM, LR and the squared length t that LR is conditional on, at Anderson-Rubin forms between the roots."""
    low, high = roots
    form = np.asarray(form, dtype=float)
    length = low + high - form
    along = np.where(form > 0, np.maximum(length - low * high / np.where(form > 0, form, 1.0), 0.0), 0.0)
    across = np.maximum(length - along, 0.0)
    if k > 1:
        along = along / (1.0 + form / df / np.maximum(across / (k - 1), 1.0))
    length = along + across
    lm = np.where(length > 0, form * along / np.where(length > 0, length, 1.0), 0.0)
    gap = form - length
    return lm, (gap + np.sqrt(gap**2 + 4 * form * along)) / 2, length


class _Conditional:
    """Both tests as functions of the Anderson-Rubin form, which is all they know of the hypothesis."""

    def __init__(self, equation: Equation, j: int):
        x, rest = equation.without(j)
        if rest.basis.shape[1]:
            raise ValueError(
                f"LM and CLR sets are for one endogenous feature; {rest.basis.shape[1]} others are endogenous here. "
                "Use the Anderson-Rubin set, which minimises over them."
            )
        check_df(equation)
        self.k, self.df = rest.z.shape[1], rest.df_first
        if self.k > 1 and self.df < self.k:
            raise ValueError(
                f"LM and CLR do not hold their level with {self.k} instruments and {self.df} degrees of freedom left "
                "beside them: use test='ar', which does, or fewer instruments."
            )
        self.forms = forms_of(x, rest)
        explained, left = self.forms
        scale = np.sqrt(np.diag(explained + left))
        outer = scale[:, None] * scale
        if not scale.all() or eigh(left / outer, eigvals_only=True)[0] <= FLAT:
            raise ValueError("The instruments fit outcome or feature exactly: there is no error to test against.")
        low, high = np.maximum(eigh(explained / outer, left / outer, eigvals_only=True), 0.0) * self.df
        self.roots = float(low), float(high)

    def lm(self, form: float | FloatArray) -> FloatArray:
        """P-values of LM."""
        statistic = form if self.k == 1 else conditional_statistics(form, self.roots, self.k, self.df)[0]
        return np.asarray(fdtrc(1, self.df, statistic))

    def clr(self, form: float) -> float:
        """P-value of LR given t."""
        if self.k == 1:
            return float(fdtrc(1, self.df, form))
        _, statistic, condition = conditional_statistics(form, self.roots, self.k, self.df)
        return _clr_pvalue(float(statistic), float(condition), self.k, self.df)

    def looked(self, forms: FloatArray) -> FloatArray:
        """P-values of LR at many forms (m,) at once, to about three digits."""
        if self.k == 1:
            return self.lm(forms)
        _, statistic, condition = conditional_statistics(forms, self.roots, self.k, self.df)
        weight, sine = _SHARES * np.pi / 4, np.sin((_ANGLES + 1.0) * np.pi / 4)
        share = np.where(statistic > 0, condition / np.where(statistic > 0, statistic + condition, 1.0), 0.0)
        found = fdtrc(self.k, self.df, statistic[:, None] / (1.0 - share[:, None] * sine**2) / self.k)
        return found @ (weight * sine ** (self.k - 2)) / _whole(self.k)

    def where(
        self, pvalue: Callable[[float], float | FloatArray], quick: Callable[[FloatArray], FloatArray], least: float
    ) -> FloatArray:
        """Coefficients at which the p-value is at least `least`: near the first root, and perhaps near the second."""
        low, high = self.roots
        angle = np.linspace(0.0, np.pi, _NODES)
        forms = np.clip(low + (high - low) * (1.0 - np.cos(angle)) / 2, low, high)
        grid, seen = forms.tolist(), quick(forms)
        accepted = (seen >= least).tolist()
        for i in np.flatnonzero(np.abs(seen - least) <= _DOUBT).tolist():
            accepted[i] = bool(pvalue(grid[i]) >= least)

        def change(i: int) -> float:
            """The form between two nodes at which the answer changes."""
            ends = grid[i], grid[i + 1]
            near = 1e-13 * max(high, 1e-300)
            return float(brentq(lambda form: float(pvalue(form)) - least, *ends, xtol=near, rtol=1e-14))

        if all(accepted):
            return LINE
        parts = []
        first = accepted.index(False)
        if first:
            parts.append(at_most(self.forms, change(first - 1) / self.df))
        last = _NODES - 1 - accepted[::-1].index(False)
        if last < _NODES - 1:
            parts.append(at_least(self.forms, change(last) / self.df))
        return _union(np.vstack([*parts, np.empty((0, 2))]))


def _form_at(equation: Equation, j: int, value: float) -> float:
    """The Anderson-Rubin form at a value."""
    x, rest = equation.without(j)
    at = np.zeros(2 + rest.basis.shape[1])
    at[:2] = 1.0, -value
    explained, left = forms_of(x, rest)
    return float(at @ explained @ at) / float(at @ left @ at) * rest.df_first


def _clr_pvalue(statistic: float, condition: float, k: int, df: float) -> float:
    r"""P(LR > statistic) given t = condition, with k instruments.

    :math:`E\, P(kF > s / (1 - aB))` with F of the F law with k and `df` degrees of freedom, :math:`a = t / (s + t)` and
    B of the Beta law with (k - 1)/2 and 1/2 (Hillier, 2009). B is the squared sine of an angle, whose density has no
    poles.
    """
    if statistic <= 0:
        return 1.0
    share = condition / (statistic + condition)

    def density(angle: float) -> float:
        sine = float(np.sin(angle))
        return float(fdtrc(k, df, statistic / (1 - share * sine**2) / k)) * sine ** (k - 2)

    found, _ = quad(density, 0.0, np.pi / 2, epsabs=1e-13, epsrel=1e-10, limit=200)
    return float(found / _whole(k))


def _whole(k: int) -> float:
    """The integral of the powers of the sine."""
    return float(0.5 * beta_function((k - 1) / 2, 0.5))


def _union(intervals: FloatArray) -> FloatArray:
    """Union of intervals (m, 2)."""
    out: list[list[float]] = []
    for low, high in sorted(intervals.tolist()):
        if out and low <= out[-1][1]:
            out[-1][1] = max(out[-1][1], high)
        else:
            out.append([low, high])
    return np.array(out).reshape(-1, 2)
