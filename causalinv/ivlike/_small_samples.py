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
from causalinv._matrix import matrix_rank, pseudo_inverse, whitener
from causalinv._typing import FloatArray
from causalinv.ivlike._evidence import Evidence, Reading
from causalinv.ivlike._inference import Influence
from causalinv.ivlike._path import IVLikePath

__all__ = ["COV_TYPES", "CovType", "Errors", "errors_of"]

CovType = Literal["auto", "classical", "HC1", "HC2", "HC3"]
COV_TYPES = ("auto", "classical", "HC1", "HC2", "HC3")

_SMALL = 30.0  # degrees of freedom: with more, corrections change nothing that matters
_MANY = 5000  # clusters (rows, if there are none): with more, degrees of freedom are not counted


@dataclass(frozen=True)
class Errors:
    """Covariances (p, d, d) of p outcomes' coefficients, and degrees of freedom (p, d) of Student's t."""

    cov: FloatArray
    df: FloatArray


def errors_of(
    evidence: Evidence,
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
    if cov_type == "HC1" or (cov_type == "auto" and influence.n_clusters > _MANY):
        return asymptotic
    regressors = _regressors(evidence, reading, path, alpha, exactly=cov_type == "auto")
    if regressors is None:
        if cov_type == "auto":
            return asymptotic
        raise ValueError(
            f"cov_type={cov_type!r} needs a fit that is least squares or two-stage least squares (alpha=0 along known "
            "directions, or with an instrument for every feature); this one is not. Use cov_type='HC1'."
        )
    shown, basis = regressors
    design = np.column_stack([np.ones(len(shown)), shown])
    contrasts = np.column_stack([np.zeros(len(basis)), basis])
    x = evidence.expand(evidence.X) - reading.moments.mean("x")[0]
    residual = evidence.y - reading.moments.mean("y")[0] - x @ coef
    if cov_type == "classical":
        return _classical(design, residual, contrasts, evidence.weight)
    covs, dfs = [], []
    for column in residual.T:
        fit = robust_covariance(
            design, column, weight=evidence.weight, clusters=evidence.groups, correction=3 if cov_type == "HC3" else 2
        )
        covs.append(contrasts @ fit.cov @ contrasts.T)
        # A coefficient that is 0 by declaration has no error, and no degrees of freedom.
        dfs.append(np.where(np.isnan(df := fit.df(contrasts)), float(influence.df), df))
    found = Errors(np.stack(covs), np.stack(dfs))
    return asymptotic if cov_type == "auto" and found.df.min(initial=np.inf) >= _SMALL else found


def _regressors(
    evidence: Evidence, reading: Reading, path: IVLikePath, alpha: float, *, exactly: bool
) -> tuple[FloatArray, FloatArray] | None:
    """Rows of the least squares problem (n, k) and the coefficients of its coordinates (d, k), if the fit is one.

    With `exactly`, over-identified instruments are out: the influence of their rows allows for instruments that
    disagree, these errors do not.
    """
    centred = evidence.expand(evidence.X) - reading.moments.mean("x")[0]
    if evidence.known:
        fixed = path.basis[:, ~path.moved]
        return (centred @ fixed, fixed) if alpha == 0 else None
    if evidence.mode != "instruments" or evidence.instruments is None:
        return None
    if np.isinf(alpha):
        return centred @ path.basis, path.basis
    if alpha != 0 or not path.moved.all() or (exactly and len(reading.stage.factor) > len(path.moved)):
        return None
    g = (evidence.instruments - reading.moments.mean("g")[0]) @ whitener(reading.moments.cov("g")[0])
    return g @ reading.stage.factor @ path.basis, path.basis


def _classical(design: FloatArray, residual: FloatArray, contrasts: FloatArray, weight: FloatArray | None) -> Errors:
    """Errors independent and of equal variance."""
    w = np.ones(len(design)) if weight is None else weight / weight.mean()
    bread = pseudo_inverse(design.T @ (w[:, None] * design))
    df = len(design) - matrix_rank(design)
    variance = w @ residual**2 / df
    inner = contrasts @ bread @ contrasts.T
    return Errors(variance[:, None, None] * inner, np.full((residual.shape[1], len(contrasts)), float(df)))
