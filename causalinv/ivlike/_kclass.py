r"""The k-class: least squares, two-stage least squares, LIML and Fuller's estimator, and their covariances.

With M the annihilator of the instruments the coefficients at κ solve :math:`x'(I - κM)(y - xh) = 0`. They lie on the
path of this room, at :math:`α = 1/κ - 1`: κ = 0 is least squares, 1 two-stage least squares. LIML takes the smallest κ
for which :math:`\min_h e'e / e'Me` over residuals e is attained; it is 1 or more, so α is 0 or less. Fuller (1977)
takes a / (n - k) less, with k all exogenous columns: with a = 1 it is nearly unbiased, with a = 4 its mean squared
error is small; it has moments, which LIML has not.

Covariances. ``"classical"``: errors independent and of equal variance. ``"HC1"``: the usual sandwich, with the scores
:math:`\hat x_i e_i`, and its clustered form; both are those of Stata and of linearmodels. All three take the
instruments as valid, each of them. ``"misspecified"`` does not: it adds the error of the first stage, which counts if
instruments disagree, so that the interval covers what the estimate converges to (Hall and Inoue, 2003; Lee, 2018, for
two-stage least squares); for LIML and Fuller the error of κ too. With one instrument per endogenous feature all
instruments agree and it equals ``"HC1"``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.linalg import eigh

from causalinv._typing import FloatArray
from causalinv.ivlike._equation import Equation

__all__ = [
    "Covariance",
    "fuller_kappa",
    "kclass",
    "kclass_covariance",
    "kclass_influence",
    "liml_kappa",
    "textbook_influence",
]

Covariance = Literal["classical", "HC1", "misspecified"]


def liml_kappa(total: FloatArray, explained: FloatArray, *, over: int) -> float:
    """κ of limited information maximum likelihood, from second moments of outcome and endogenous coordinates.

    Parameters
    ----------
    total : ndarray of shape (1 + m, 1 + m)
        Second moments of the outcome and of the m endogenous coordinates, included regressors partialled out.
    explained : ndarray of shape (1 + m, 1 + m)
        The part of them that the instruments explain.
    over : int
        Excluded instruments beyond m. At 0 the answer is 1, exactly.

    Raises
    ------
    ValueError
        If there are fewer instruments than endogenous coordinates, or a combination is fitted exactly.
    """
    if over < 0:
        raise ValueError(
            f"LIML needs at least one instrument per endogenous feature; {-over} are missing. Add instruments, or "
            "give alpha as a number > 0."
        )
    if over == 0:
        return 1.0
    left = total - explained
    scale = np.sqrt(np.diag(total))
    scale = np.where(scale > 0, scale, 1.0)
    outer = scale[:, None] * scale
    left, whole = left / outer, total / outer
    if eigh(left, eigvals_only=True)[0] <= 1e-12:
        raise ValueError(
            "LIML is not defined: the instruments and controls fit a combination of outcome and features exactly. "
            "Use fewer instruments, or more rows."
        )
    return max(float(eigh(whole, left, eigvals_only=True)[0]), 1.0)


def fuller_kappa(kappa: float, a: float, *, df_first: float) -> float:
    """Fuller's κ from that of LIML; `df_first` is n less all exogenous columns, the constant among them."""
    return kappa - a / df_first


def moments_of(equation: Equation) -> tuple[FloatArray, FloatArray]:
    """What `liml_kappa` takes, from the rows of an equation."""
    part = equation.reduced
    both = np.column_stack([part.y, part.x])
    first = part.z.T @ both
    return both.T @ both, first.T @ first


def kclass(equation: Equation, kappa: float) -> FloatArray:
    """Coefficients (d,) at one κ."""
    target = (1.0 - kappa) * equation.y + kappa * equation.project(equation.y)
    return equation.basis @ ((equation.coordinates.T @ target) / _divisor(equation, kappa))


def kclass_influence(equation: Equation, kappa: float, coef: FloatArray, *, estimated: bool = False) -> FloatArray:
    r"""Influence (n, d) of every row on the coefficients, whether or not the instruments agree.

    Parameters
    ----------
    equation : Equation
    kappa : float
    coef : ndarray of shape (d,)
        Coefficients at `kappa`.
    estimated : bool, default False
        Whether `kappa` is that of LIML, or Fuller's: its own error is added, by the envelope theorem
        :math:`(e_i^2 - κ m_i^2) / \sum m^2` with e the residuals of LIML and m what the instruments leave of them.
    """
    e = equation.y - equation.x @ coef
    x, fitted, explained = equation.coordinates, equation.project(equation.coordinates), equation.project(e)
    rows = (1.0 - kappa) * x * e[:, None]
    rows += kappa * (fitted * e[:, None] + (x - fitted) * explained[:, None])
    if estimated:
        liml = liml_kappa(*moments_of(equation), over=equation.reduced.over)
        r = equation.y - equation.x @ kclass(equation, liml)
        m = r - equation.project(r)
        error = (r**2 - liml * m**2) / np.sum(m**2)
        rows -= error[:, None] * (x.T @ (e - explained))
    return np.asarray((rows / _divisor(equation, kappa)) @ equation.basis.T)


def textbook_influence(equation: Equation, kappa: float, coef: FloatArray) -> FloatArray:
    """Influence (n, d) of every row if the instruments agree; for κ that tends to 1."""
    e = equation.y - equation.x @ coef
    rows = equation.project(equation.coordinates) * e[:, None] / _divisor(equation, kappa)
    return np.asarray(rows @ equation.basis.T)


def kclass_covariance(
    equation: Equation, kappa: float, coef: FloatArray, *, cov_type: Covariance, estimated: bool = False
) -> FloatArray:
    """Covariance (d, d) of the coefficients at one κ, with the factor n/(n-k), and m/(m-1) · (n-1)/(n-k) in clusters.

    Parameters
    ----------
    equation : Equation
    kappa : float
    coef : ndarray of shape (d,)
    cov_type : {"classical", "HC1", "misspecified"}
        See the module.
    estimated : bool, default False
        As in `kclass_influence`; of ``"misspecified"`` only. If the instruments are valid the error of κ is negligible.
    """
    if equation.df < 1:
        raise ValueError(
            f"No standard errors: {equation.n} rows for {equation.n - equation.df} coefficients leave no degrees of "
            "freedom."
        )
    e = equation.y - equation.x @ coef
    divisor = _divisor(equation, kappa)
    if cov_type == "classical":
        if equation.clusters is not None:
            raise ValueError("cov_type='classical' takes rows as independent, and groups= says they are not.")
        return np.asarray(float(e @ e) / equation.df * (equation.basis / divisor) @ equation.basis.T)
    if cov_type == "misspecified":
        rows = kclass_influence(equation, kappa, coef, estimated=estimated)
    else:
        rows = textbook_influence(equation, kappa, coef)
    summed, m = equation.sums(rows), equation.n_clusters
    factor = m / (m - 1) * (equation.n - 1) / equation.df
    return np.asarray(factor * summed.T @ summed)


def _divisor(equation: Equation, kappa: float) -> FloatArray:
    return np.asarray(1.0 - kappa * (1.0 - equation.strength))
