"""Standard errors for few rows and few clusters, where the fit is one of least squares.

At ``alpha=0`` along known directions the fit is least squares on the coordinates that they leave alone; with as many
instruments as features it is two-stage least squares, whose rows are the projected features; at ``alpha=inf`` of rows
that nothing augments, least squares itself. There the corrections of `_clusters` apply: HC2 or CR2, with the degrees
of freedom of Bell and McCaffrey; and so do the bootstraps of t (`_bootstrap_t`). Of rows "HCK" is HC2 whose variances
are unbiased however unequal the errors are (`causalinv._unmixing`). HC2 is unbiased for equal ones only: where a row
pulls the fit or many columns are fitted its intervals are too short. Elsewhere there is the influence of every row and
its asymptotics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.stats import t as student

from causalinv._clusters import UNSEEN, hidden_share, robust_covariance
from causalinv._matrix import column_lengths, matrix_rank, pseudo_inverse
from causalinv._typing import BoolArray, FloatArray
from causalinv._unmixing import unmixed_variances
from causalinv.ivlike._bootstrap_t import ClusterSums, drawn_t, wild_t
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._inference import Influence
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import Reading

__all__ = ["COV_TYPES", "CovType", "Errors", "errors_of", "unseen_combinations"]

CovType = Literal["auto", "classical", "HC1", "HC2", "HC3", "HCK", "wild", "bootstrap", "misspecified"]
COV_TYPES = ("auto", "classical", "HC1", "HC2", "HC3", "HCK", "wild", "bootstrap", "misspecified")

_SMALL = 30.0  # degrees of freedom: with more, corrections change nothing that matters
_COLUMNS = 20  # rows per column: with fewer, squared residuals are mixtures, whatever the degrees of freedom
_MANY = 5000  # clusters (rows, if there are none): with more, degrees of freedom are counted where they may be few


@dataclass(frozen=True)
class Errors:
    """Covariances (p, m, m) of m combinations per outcome, and degrees of freedom (p, m) of Student's t.

    `kind` names them; `draws` (p, m, B), if any, are absolute t values of a bootstrap, which replace Student's law. No
    degrees of freedom, 0, are those of a combination that rests on one row or cluster, whose error cannot be seen.
    """

    cov: FloatArray
    df: FloatArray
    kind: str
    draws: FloatArray | None = None

    def without(self, unseen: BoolArray) -> Errors:
        """The same with no error, NaN, and no degrees of freedom for some combinations (m,)."""
        cov = np.where(unseen[:, None] | unseen, np.nan, self.cov)
        return replace(self, cov=cov, df=np.where(unseen, 0.0, self.df))

    @property
    def standard(self) -> FloatArray:
        """Standard errors (p, m)."""
        return np.sqrt(np.maximum(np.diagonal(self.cov, axis1=1, axis2=2), 0.0))

    def critical(self, level: float) -> FloatArray:
        """Two-sided critical values (p, m)."""
        if self.draws is None:
            return np.asarray(student.ppf(0.5 + level / 2, self.df))
        n = self.draws.shape[2]
        rank = int(np.ceil(round(level * (n + 1), 9)))
        if rank > n:
            raise ValueError(f"{n} draws of a bootstrap show levels up to {n / (n + 1):g}, got {level:g}.")
        found: FloatArray = np.sort(self.draws, axis=2)[:, :, rank - 1]
        return np.where(self.df > 0, found, np.nan)

    def pvalues(self, estimate: FloatArray) -> FloatArray:
        """Two-sided p values of 0 for estimates (p, m); NaN where nothing is estimated."""
        error = self.standard
        t = np.abs(estimate) / np.where(error > 0, error, np.nan)
        if self.draws is None:
            return np.asarray(2 * student.sf(t, self.df))
        above = (self.draws >= t[:, :, None]).sum(axis=2)
        return np.where(np.isnan(t) | (self.df == 0), np.nan, (1 + above) / (1 + self.draws.shape[2]))


def errors_of(
    design: RowDesign,
    reading: Reading,
    path: IVLikePath,
    alpha: float,
    coef: FloatArray,
    *,
    combine: FloatArray,
    influence: Influence,
    cov_type: CovType,
    few: bool = True,
) -> Errors:
    """Covariance and degrees of freedom of combinations of the mean of y and coefficients (d, p).

    Combinations have shape (m, 1 + d), or (m, 1 + d + c) with the coefficients of c controls last. ``"auto"`` takes HCK
    (CR2 with clusters) where the fit is least squares and some combination has fewer than 30 degrees of freedom, or
    there are more columns than a twentieth of the rows, and the influence of the rows (HC1, CR1 for least squares)
    elsewhere; where the fit is no least squares, with as many degrees of freedom as the unequal parts of rows or
    clusters leave. `influence` is that of the rows on the combinations. Without `few` the fit does not count as least
    squares.
    """
    p, clustered = coef.shape[1], design.groups is not None
    names = ("CR1", "CR2", "CR3") if clustered else ("HC1", "HC2", "HC3")
    asymptotic = Errors(influence.covariance(), np.full((p, len(combine)), float(influence.df)), names[0])
    if cov_type in ("HC1", "misspecified"):
        return asymptotic
    form = design.least_squares_form(reading, path, alpha, exactly=cov_type == "auto") if few else None
    x = design.expand(design.X) - reading.moments.mean("x")[0]
    regressors, contrasts = _regression(design, x, combine, form)
    unseen = np.zeros(len(combine), bool)
    if cov_type != "classical" and few:
        unseen = _unseen(design, regressors, contrasts)
    uneven = influence.uneven_df() if cov_type == "auto" else asymptotic.df
    if form is None and cov_type == "auto":
        return replace(asymptotic, df=uneven).without(unseen)
    if form is None:
        raise ValueError(
            f"cov_type={cov_type!r} needs a fit that is least squares or two-stage least squares (alpha=0 along known "
            "directions, or with an instrument for every feature); this one is not. Use cov_type='HC1'."
        )
    asymptotic = asymptotic.without(unseen)
    if clustered and cov_type == "HCK":
        raise ValueError("cov_type='HCK' is for rows that are independent; with groups= use 'HC2', which is CR2 there.")
    many = not clustered and _COLUMNS * matrix_rank(regressors) > len(regressors)
    # Degrees of freedom cost rows times squared columns each: among many rows they are counted where they may be few.
    counted = np.ones(len(combine), bool)
    if cov_type == "auto" and not many and influence.n_clusters > _MANY:
        counted = (uneven < 2 * _SMALL).any(axis=0) & ~unseen
        if not counted.any():
            return asymptotic
    residual = design.y - reading.moments.mean("y")[0] - x @ coef
    if cov_type == "classical":
        return _classical(regressors, residual, contrasts, design.weight)
    if cov_type in ("wild", "bootstrap"):
        draw = wild_t if cov_type == "wild" else drawn_t
        sums = [ClusterSums.of(regressors, each, design.weight, design.groups) for each in residual.T]
        return Errors(
            asymptotic.cov, asymptotic.df, f"{cov_type} bootstrap", np.stack([draw(s, contrasts) for s in sums])
        )
    correction = 3 if cov_type == "HC3" else 2
    covs, dfs = [], []
    for column in residual.T:
        fit = robust_covariance(regressors, column, weight=design.weight, clusters=design.groups, correction=correction)
        covs.append(contrasts @ fit.cov @ contrasts.T)
        # A coefficient that is 0 by declaration has no error, and no degrees of freedom.
        df = np.full(len(combine), np.nan)
        df[counted] = fit.df(contrasts[counted])
        dfs.append(np.where(np.isnan(df), float(influence.df), df))
    df = np.stack(dfs)
    found = Errors(np.stack(covs), df, names[correction - 1])
    if cov_type == "auto" and not many and df[:, ~unseen].min(initial=np.inf) >= _SMALL:
        found = asymptotic
    elif cov_type in ("auto", "HCK") and not clustered:
        found = _unmixed(found, regressors, residual, contrasts, counted=counted, weight=design.weight)
    return found.without(unseen)


def _unmixed(
    errors: Errors,
    regressors: FloatArray,
    residual: FloatArray,
    contrasts: FloatArray,
    *,
    counted: BoolArray,
    weight: FloatArray | None,
) -> Errors:
    """The same correlations with unmixed variances, of what is counted; HC3 where one is not positive."""
    cov, df = errors.cov.copy(), errors.df.copy()
    variance, own = np.full((2, len(contrasts)), np.nan)
    for at, column in enumerate(residual.T):
        variance[counted], own[counted] = unmixed_variances(regressors, column, contrasts[counted], weight)
        negative = (variance <= 0) | (own <= 0)
        if negative.any():
            jackknife = robust_covariance(regressors, column, weight=weight, correction=3)
            some = contrasts[negative]
            variance[negative], own[negative] = np.sum((some @ jackknife.cov) * some, axis=1), jackknife.df(some)
        known = np.isfinite(variance) & np.isfinite(own)
        before = np.diagonal(cov[at])
        longer = np.sqrt(np.divide(variance, before, out=np.ones(len(variance)), where=known & (before > 0)))
        cov[at] *= longer[:, None] * longer
        df[at] = np.where(known, own, df[at])
    return Errors(cov, df, "HCK")


def unseen_combinations(
    design: RowDesign, reading: Reading, path: IVLikePath, alpha: float, combine: FloatArray
) -> BoolArray:
    """Combinations (m,), as in `errors_of`, that rest on one row or cluster: no residual shows their error."""
    x = design.expand(design.X) - reading.moments.mean("x")[0]
    form = design.least_squares_form(reading, path, alpha, exactly=True)
    return _unseen(design, *_regression(design, x, combine, form))


def _regression(
    design: RowDesign, x: FloatArray, combine: FloatArray, form: tuple[FloatArray, FloatArray] | None
) -> tuple[FloatArray, FloatArray]:
    """Regressors (n, k), of the least squares problem if there is one, and combinations (m, k) in their terms."""
    of_constants, of_features = design.contrasts(combine)
    shown, basis = (x, np.eye(x.shape[1])) if form is None else form
    regressors, contrasts = (
        np.column_stack([design.constants, shown]),
        np.column_stack([of_constants, of_features @ basis]),
    )
    unit = column_lengths(regressors)  # ranks and pseudo-inverses must not depend on the units of controls
    unit = np.where(unit > 0, unit, 1.0)
    return regressors / unit, contrasts / unit


def _unseen(design: RowDesign, regressors: FloatArray, contrasts: FloatArray) -> BoolArray:
    found: BoolArray = hidden_share(regressors, contrasts, weight=design.weight, clusters=design.groups) > UNSEEN
    return found


def _classical(rows: FloatArray, residual: FloatArray, contrasts: FloatArray, weight: FloatArray | None) -> Errors:
    """Errors independent and of equal variance."""
    w = np.ones(len(rows)) if weight is None else weight / weight.mean()
    bread = pseudo_inverse(rows.T @ (w[:, None] * rows))
    df = len(rows) - matrix_rank(rows)
    variance = w @ residual**2 / df
    inner = contrasts @ bread @ contrasts.T
    shape = (residual.shape[1], len(contrasts))
    return Errors(variance[:, None, None] * inner, np.full(shape, float(df)), "classical")
