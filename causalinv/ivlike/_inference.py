r"""Standard errors and tests of IV-like regression, from the influence of every row on the coefficients.

The coefficients solve :math:`(\alpha A + B) h = \alpha b + e` (see `_path`). With x the (augmented) row, r its centred
residual, z what the instruments explain of the features (x itself or, paired with its original, the difference), w
what they explain of the outcome, and hats for fitted values, a row contributes

.. math:: \psi = \alpha x r + \hat z (w - z'h) + (z - \hat z)(\hat w - \hat z'h), \quad
          h - h_\alpha \approx (\alpha A + B)^{-1} \bar\psi .

The last term is the error of the first stage: at finite α the residual is correlated with the instruments, so it does
not vanish as in two-stage least squares. Copies of a row are averaged: they are one observation, not several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from causalinv._matrix import (
    column_basis,
    column_lengths,
    lstsq,
    orthonormal_range,
    singular_values,
    whitener,
    without_small,
)
from causalinv._typing import FloatArray
from causalinv.ivlike._controls import Controlled
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._integrations import by_source
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import ControlSlopes, Reading
from causalinv.transformations import FirstStage

__all__ = [
    "Influence",
    "by_cluster",
    "coefficient_influence",
    "coefficient_scores",
    "quantile",
    "reaction_rows",
    "restricted_rows",
    "with_controls",
    "with_mean",
]

_NEAR_LIMIT = 1e-6  # strengths
_DEPENDENT = 1e-10  # of a direction of unit length: what is a combination of others


@dataclass(frozen=True)
class Influence:
    """Influence of each source row on p estimates of size k: the estimate's error is their sum.

    Attributes
    ----------
    rows : ndarray of shape (n, k, p)
        Weighted by the share of the row, so that they sum to zero. Copies of a row are one.
    groups : ndarray of int, shape (n,), or None
        Clusters.
    rank : int
        Coefficients fitted, the intercept included: the degrees of freedom that the fit took.
    """

    rows: FloatArray
    groups: np.ndarray | None
    rank: int

    @property
    def n_clusters(self) -> int:
        """Independent units."""
        return len(self.rows) if self.groups is None else int(self.groups.max()) + 1

    @property
    def df(self) -> int:
        """Degrees of freedom of the quantiles."""
        return len(self.rows) - self.rank if self.groups is None else self.n_clusters - 1

    def uneven_df(self) -> FloatArray:
        """Degrees of freedom (p, k) where clusters, or rows that matter, are few or uneven: at most `df`.

        The number of equal squares that would vary as much as those of clusters (or rows) do, (Σ s²)² / Σ s⁴: a third
        of them if their sums are normal and alike, which also makes up for a sandwich that few leave too small.
        """
        sums = by_cluster(self.rows, self.groups)
        unit = np.abs(sums).max(axis=0)
        square = (sums / np.where(unit > 0, unit, 1.0)) ** 2
        fourth = np.sum(square**2, axis=0)
        found = np.divide(square.sum(axis=0) ** 2, fourth, out=np.full(unit.shape, np.inf), where=fourth > 0)
        df: FloatArray = np.minimum(found, float(self.df)).T
        return df

    def covariance(self) -> FloatArray:
        """Sandwich covariance (p, k, k), robust to any variances and to dependence inside clusters.

        With the usual factor m/(m-1) · (n-1)/(n-k) for m clusters of n rows, which is n/(n-k) without clusters.
        """
        n, m = len(self.rows), self.n_clusters
        summed = self.rows
        if self.groups is not None:
            summed = np.zeros((m, *self.rows.shape[1:]))
            np.add.at(summed, self.groups, self.rows)
        factor = m / (m - 1) * (n - 1) / (n - self.rank)
        cov: FloatArray = factor * np.einsum("nkp,nlp->pkl", summed, summed)
        return cov


def coefficient_influence(
    design: RowDesign, reading: Reading, path: IVLikePath, alpha: float, coef: FloatArray, *, ridge: float = 0.0
) -> Influence:
    """Influence of every row on the coefficients (d, p) at one strength."""
    return _finish(design, *coefficient_scores(design, reading, path, alpha, coef, ridge=ridge))


def coefficient_scores(
    design: RowDesign, reading: Reading, path: IVLikePath, alpha: float, coef: FloatArray, *, ridge: float = 0.0
) -> tuple[FloatArray, int]:
    """Scores (n, d, p) of rows, not yet weighted nor centred, and the degrees of freedom that the fit took.

    The rows may be some of those that `reading` is of: what a score needs of the others is in the moments.

    At ``alpha=0`` with directions that nothing moves, the limit is taken: coordinates along them are fitted to the
    residual corrected for what the constraint holds back, the others solve the instruments' equations alone.
    """
    fixed, moved = path.basis[:, ~path.moved], path.basis[:, path.moved]
    if design.first_stage_known:
        used = fixed if alpha == 0 else path.basis
        divisor = np.ones(used.shape[1]) if alpha == 0 or np.isinf(alpha) else 1.0 + path.strength / alpha
        return _of_originals(design, reading, coef, basis=used, divisor=divisor)

    stage = reading.stage
    limit = takes_limit(path, stage, alpha)
    if limit and _unbounded(path, stage):
        raise ValueError(
            f"No standard errors at alpha=0: {len(stage.factor)} instruments move {moved.shape[1]} directions of the "
            "features and leave others, so the limit depends on the sample. Use alpha > 0."
        )
    slack = constraint_slack(stage, coef, ridge=ridge)
    rows: FloatArray = np.zeros((len(design.y), *coef.shape))
    for each in design.centred(reading):
        residual = each.y - each.x @ coef
        own = each.x[:, :, None] * residual[:, None, :]
        if np.isinf(alpha):
            part = _solve(own, path.basis)
        elif reading.whole:  # no copy moves the fixed coordinates, so there is no constraint to hold them back
            first = -each.z[:, :, None] * (each.z @ coef)[:, None, :]
            part = _solve(own, fixed) + _solve(alpha * own + first, moved, alpha + path.strength[path.moved])
        else:
            # The first stage: what it explains of the rows' gap, and its own error.
            zhat = each.g @ stage.factor
            explained = each.g @ (stage.outcome - stage.factor @ coef)
            first = zhat[:, :, None] * (each.w - each.z @ coef)[:, None, :]
            first += (each.z - zhat)[:, :, None] * explained[:, None, :]
            if limit:
                held = own + each.z[:, :, None] * (each.g @ slack)[:, None, :]
                part = _solve(held, fixed) + _solve(alpha * own + first, moved, alpha + path.strength[path.moved])
            else:
                part = _solve(alpha * own + first, path.basis, alpha + path.strength)
        rows += each.share * part
    free = fixed.shape[1] if reading.whole and alpha == 0 else path.basis.shape[1]
    return rows, free + reading.spent


def takes_limit(path: IVLikePath, stage: FirstStage, alpha: float) -> bool:
    """Whether scores at this strength are those of the limit at 0, with directions that nothing moves.

    Close to 0 the limit's formula is exact as well where there is a limit, and it divides nothing by alpha.
    """
    return not path.moved.all() and (alpha == 0 or (alpha < _NEAR_LIMIT and not _unbounded(path, stage)))


def _unbounded(path: IVLikePath, stage: FirstStage) -> bool:
    return len(stage.factor) > path.moved.sum() and bool(np.any(stage.outcome))


def constraint_slack(stage: FirstStage, coef: FloatArray, *, ridge: float) -> FloatArray:
    """The multiplier of the constraint: what remains of its residual, per unit of alpha, in the limit."""
    return lstsq(stage.factor.T, stage.variance @ coef + ridge * coef - stage.cross)


def with_mean(design: RowDesign, reading: Reading, coef: FloatArray, own: Influence) -> Influence:
    """Influence on the mean of y given the mean features, and on the coefficients: (n, 1 + d, p)."""
    x = design.expand(design.X) - reading.moments.mean("x")[0]
    residual = design.y - reading.moments.mean("y")[0] - x @ coef
    mean = _finish(design, residual[:, None, :], own.rank).rows
    return Influence(np.concatenate([mean, own.rows], axis=1), own.groups, own.rank)


def with_controls(
    design: Controlled, reading: Reading, slopes: ControlSlopes, coef: FloatArray, own: Influence
) -> Influence:
    """Influence on the mean of y, the coefficients and those of the controls: (n, 1 + d + c, p).

    The controls' coefficients are those of the regression of y - x'h on them, so their error is that regression's, less
    what the error of h takes along.
    """
    both = with_mean(design, reading, coef, own)
    known = design.controls - slopes.mean
    residual = design.y - reading.moments.mean("y")[0] - (design.X - reading.moments.mean("x")[0]) @ coef
    half = whitener((design.share[:, None] * known).T @ known)
    score = (known @ half @ half.T)[:, :, None] * residual[:, None, :]
    rows = _finish(design, score, own.rank).rows - np.einsum("cd,ndp->ncp", slopes.of_x, own.rows)
    return Influence(np.concatenate([both.rows, rows], axis=1), own.groups, own.rank)


def by_cluster(rows: FloatArray, groups: np.ndarray | None) -> FloatArray:
    """Sums over clusters of contributions (n, ...), or the contributions themselves."""
    return rows if groups is None else by_source(rows, groups)


def restricted_rows(design: RowDesign, reading: Reading, path: IVLikePath) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least squares that ignores what is moved: residual (n,), and bases of what is moved and of what is fitted.

    Rows are multiplied by the root of their share of the weight. The basis (n, q) of the moved coordinates is
    uncorrelated with that of the constant and the fitted ones (n, k); both are orthonormal.
    """
    x = _shared(design, reading)
    residual, fitted = _left(design, reading, x @ path.basis[:, ~path.moved])
    moved, _, _ = singular_values(reading.stage.factor.T)
    along = x @ moved[:, : int(path.moved.sum())]
    length = column_lengths(along)
    along = (along - fitted @ (fitted.T @ along)) / np.where(length > 0, length, 1.0)
    return residual, column_basis(without_small(along, _DEPENDENT), tol=_DEPENDENT), fitted


def reaction_rows(design: RowDesign, reading: Reading) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
    """Least squares without a mean reaction: as `restricted_rows`, and what rows add to the error of the first stage.

    That last array (n, q) is in the units of the score, the basis times the residual; None if the first stage is
    known. Copies of a row are averaged.
    """
    spread = np.sqrt(np.maximum(np.diag(reading.moments.cov("x")[0]), 0.0))
    unit = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    x, factor = _shared(design, reading) * unit, reading.stage.factor * unit
    still = orthonormal_range(factor)[1].T
    residual, fitted = _left(design, reading, x @ still)
    half = whitener(x.T @ x)
    along = x @ (half @ (half.T @ factor.T))
    along -= fitted @ (fitted.T @ along)
    turn = whitener(along.T @ along)
    if design.first_stage_known:
        return residual, along @ turn, fitted, None
    coef = still @ lstsq(x @ still, np.sqrt(design.share) * (design.y[:, 0] - reading.moments.mean("y")[0]))
    shift = factor @ coef
    rows = np.zeros((len(design.y), len(shift)))
    for each in design.centred(reading):
        rows += each.share * each.g * ((each.z * unit) @ coef - each.g @ shift)[:, None]
    rows = (design.share[:, None] * (rows - design.share @ rows)) @ turn
    return residual, along @ turn, fitted, rows


def _shared(design: RowDesign, reading: Reading) -> FloatArray:
    """Centred features, rows multiplied by the root of their share of the weight."""
    x: FloatArray = np.sqrt(design.share)[:, None] * (design.expand(design.X) - reading.moments.mean("x")[0])
    return x


def _left(design: RowDesign, reading: Reading, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What columns and a constant leave of the outcome, and an orthonormal basis of these."""
    root = np.sqrt(design.share)
    y = root * (design.y[:, 0] - reading.moments.mean("y")[0])
    fitted = column_basis(np.column_stack([root, columns]), tol=_DEPENDENT)
    residual = y - fitted @ (fitted.T @ y)
    if np.abs(residual).max(initial=0.0) <= _DEPENDENT * np.abs(y).max(initial=0.0):
        residual = np.zeros_like(residual)  # rounding of an exact fit
    return residual, fitted


def quantile(confidence_level: float, df: FloatArray) -> FloatArray:
    """Two-sided quantiles of Student's t."""
    return np.asarray(t.ppf(0.5 + confidence_level / 2, df))


def _of_originals(
    design: RowDesign, reading: Reading, coef: FloatArray, *, basis: FloatArray, divisor: FloatArray | float = 1.0
) -> tuple[FloatArray, int]:
    x = design.expand(design.X) - reading.moments.mean("x")[0]
    residual = design.y - reading.moments.mean("y")[0] - x @ coef
    return _solve(x[:, :, None] * residual[:, None, :], basis, divisor), basis.shape[1] + 1


def _solve(scores: FloatArray, basis: FloatArray, divisor: FloatArray | float = 1.0) -> FloatArray:
    """T diag(1/divisor) T' ψ for every row's score ψ (n, d, p)."""
    matrix = (basis / divisor) @ basis.T
    solved: FloatArray = np.einsum("de,nep->ndp", matrix, scores, optimize=True)
    return solved


def _finish(design: RowDesign, rows: FloatArray, rank: int) -> Influence:
    """Centre the scores and weight them."""
    share = design.share
    rows = share[:, None, None] * (rows - np.einsum("n,ndp->dp", share, rows))
    observations, groups = design.independent(rows)
    return Influence(observations, groups, rank)
