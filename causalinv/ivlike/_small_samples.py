"""Standard errors for few rows and few clusters, where the fit is one of least squares.

At ``alpha=0`` along known directions the fit is least squares on the coordinates that they leave alone; with as many
instruments as features it is two-stage least squares, whose rows are the projected features; at ``alpha=inf`` of rows
that nothing augments, least squares itself. There the corrections of `_clusters` apply: HC2 or CR2, with the degrees
of freedom of Bell and McCaffrey. Elsewhere there is the influence of every row and its asymptotics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from causalinv._clusters import robust_covariance
from causalinv._matrix import matrix_rank, pseudo_inverse
from causalinv._typing import FloatArray
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._inference import Influence
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import Reading

__all__ = ["COV_TYPES", "CovType", "Errors", "errors_of"]

CovType = Literal["auto", "classical", "HC1", "HC2", "HC3", "misspecified"]
COV_TYPES = ("auto", "classical", "HC1", "HC2", "HC3", "misspecified")

_SMALL = 30.0  # degrees of freedom: with more, corrections change nothing that matters
_MANY = 5000  # clusters (rows, if there are none): with more, degrees of freedom are not counted


@dataclass(frozen=True)
class Errors:
    """Covariances (p, d, d) of p outcomes' coefficients, and degrees of freedom (p, d) of Student's t."""

    cov: FloatArray
    df: FloatArray


def errors_of(
    design: RowDesign,
    reading: Reading,
    path: IVLikePath,
    alpha: float,
    coef: FloatArray,
    *,
    influence: Influence,
    cov_type: CovType,
) -> Errors:
    """Covariance and degrees of freedom of coefficients (d, p) at one strength.

    ``"auto"`` takes HC2 (CR2 with clusters) where the fit is least squares and some coefficient has fewer than 30
    degrees of freedom, and the influence of the rows (HC1, CR1 for least squares) elsewhere.
    """
    p = coef.shape[1]
    asymptotic = Errors(influence.covariance(), np.full((p, len(coef)), float(influence.df)))
    if cov_type in ("HC1", "misspecified") or (cov_type == "auto" and influence.n_clusters > _MANY):
        return asymptotic
    form = design.least_squares_form(reading, path, alpha, exactly=cov_type == "auto")
    if form is None:
        if cov_type == "auto":
            return asymptotic
        raise ValueError(
            f"cov_type={cov_type!r} needs a fit that is least squares or two-stage least squares (alpha=0 along known "
            "directions, or with an instrument for every feature); this one is not. Use cov_type='HC1'."
        )
    shown, basis = form
    constants = design.constants
    regressors = np.column_stack([constants, shown])
    contrasts = np.column_stack([np.zeros((len(basis), constants.shape[1])), basis])
    x = design.expand(design.X) - reading.moments.mean("x")[0]
    residual = design.y - reading.moments.mean("y")[0] - x @ coef
    if cov_type == "classical":
        return _classical(regressors, residual, contrasts, design.weight)
    covs, dfs = [], []
    for column in residual.T:
        fit = robust_covariance(
            regressors, column, weight=design.weight, clusters=design.groups, correction=3 if cov_type == "HC3" else 2
        )
        covs.append(contrasts @ fit.cov @ contrasts.T)
        # A coefficient that is 0 by declaration has no error, and no degrees of freedom.
        dfs.append(np.where(np.isnan(df := fit.df(contrasts)), float(influence.df), df))
    found = Errors(np.stack(covs), np.stack(dfs))
    return asymptotic if cov_type == "auto" and found.df.min(initial=np.inf) >= _SMALL else found


def _classical(rows: FloatArray, residual: FloatArray, contrasts: FloatArray, weight: FloatArray | None) -> Errors:
    """Errors independent and of equal variance."""
    w = np.ones(len(rows)) if weight is None else weight / weight.mean()
    bread = pseudo_inverse(rows.T @ (w[:, None] * rows))
    df = len(rows) - matrix_rank(rows)
    variance = w @ residual**2 / df
    inner = contrasts @ bread @ contrasts.T
    return Errors(variance[:, None, None] * inner, np.full((residual.shape[1], len(contrasts)), float(df)))
