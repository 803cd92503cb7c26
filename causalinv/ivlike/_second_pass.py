r"""Robust and clustered covariances of a fit on moments, by one more pass over the rows, wherever they are.

With scores :math:`\psi_i` of rows (see `_inference`), weights :math:`w_i` of sum W and
:math:`m = W^{-1} \sum w_i \psi_i` the sandwich is :math:`W^{-2} \sum_c s_c s_c'`, where
:math:`s_c = \sum_{i \in c} w_i (\psi_i - m)` over the rows of a cluster, or of one row. All of it are sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._scan import Columns, RowsOfPiece, each_piece, is_dask, open_source
from causalinv._typing import FloatArray
from causalinv.ivlike._design import MomentsOnly, RowDesign
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import coefficient_scores
from causalinv.ivlike._integrations import ClosedForm, Instruments
from causalinv.ivlike._kclass_rules import KClass
from causalinv.ivlike._knowledge import Augmented

__all__ = ["scanned_covariance"]

_AT_ONCE = 8_192  # rows whose scores are held at a time
_SAME = 1e-9  # relative: a second pass that counts another weight has met other rows
_ALIKE = 1e-6  # of the product of two standard deviations: so must scatters, which sums about other centres may round


@dataclass
class _Sums:
    """Of some rows: number, weight, and sums of weighted scores, or of the scores of each cluster."""

    n: int
    weight: float
    scatter: FloatArray  # (k, k) of all columns about their mean
    score: FloatArray  # (d, p)
    own_weight: FloatArray  # (c,) of clusters; weighted squares (1,) without
    own_score: FloatArray  # (c, d, p) of clusters; weighted squares (1, d, p) without
    meat: FloatArray  # (p, d, d); 0 with clusters
    clusters: pd.Index | None


def scanned_covariance(
    fit: Fit,
    at: float | None,
    source: Any,
    *,
    groups: str | int | None,
    sample_weight: str | int | None,
    n_threads: int | None,
    progress: bool,
) -> FloatArray:
    """Covariance of a fit on moments by the influence of every row, or cluster: (d, d), or (p, d, d) of p outcomes."""
    if not isinstance(fit.design, MomentsOnly):
        raise ValueError("source= is for fits on moments; this one has its rows: leave source out.")
    if is_dask(source):
        raise TypeError(
            "A second pass over a Dask collection is not written; read the same rows from their files (Parquet), or "
            "as a pandas or polars frame."
        )
    if fit.reading.slopes is not None:
        raise ValueError(
            "A second pass takes no controls; give exogenous regressors as columns of both x and g, with equal numbers."
        )
    if at is None and isinstance(fit.rule, KClass):
        raise ValueError("A second pass is written for strengths that are numbers, not for LIML or Fuller.")
    moments = fit.reading.moments
    missing = [block for block in moments.blocks if moments.names[block] is None]
    if missing:
        raise ValueError(
            f"source= is read by the names of columns, but the blocks {', '.join(missing)} of these moments have "
            "none: make them with Moments.scan, or with from_rows on frames."
        )
    alpha, coef = fit.coef_at(at)
    if np.isnan(alpha):
        raise ValueError("alpha='eb' mixes many strengths, for which there is no covariance formula here.")
    if at is not None and alpha == 0:
        fit.check_limit()
    columns = Columns.of({block: moments.names[block] for block in moments.blocks}, {"groups": groups}, sample_weight)
    strength, rank = 0.0 if fit.averages else alpha, 0

    def sums(rows: RowsOfPiece) -> list[_Sums]:
        return [part_sums(rows.slice(at, at + _AT_ONCE)) for at in range(0, len(rows.columns[0]), _AT_ONCE)]

    def part_sums(rows: RowsOfPiece) -> _Sums:
        nonlocal rank
        design = _design(fit, rows)
        scores, rank = coefficient_scores(design, fit.reading, fit.path, strength, coef, ridge=fit.ridge)
        w = np.ones(len(scores)) if rows.weights is None else rows.weights
        weighted = w[:, None, None] * scores
        centred = np.hstack(rows.columns) - moments.mean(tuple(moments.blocks))[0]
        scatter = (w[:, None] * centred).T @ centred
        labels = rows.labels.get("groups")
        if labels is None:
            meat = np.einsum("ndp,nep->pde", weighted, weighted, optimize=True)
            own = np.array([w @ w]), np.einsum("n,ndp->dp", w, weighted)[None]
        else:
            meat = np.zeros((coef.shape[1], len(coef), len(coef)))
            own = np.bincount(labels.codes, w), np.zeros((len(labels), *coef.shape))
            np.add.at(own[1], labels.codes, weighted)
        names = None if labels is None else labels.names
        return _Sums(len(w), float(w.sum()), scatter, weighted.sum(axis=0), *own, meat, names)

    pieces = each_piece(open_source(source, columns), columns, sums, n_threads=n_threads, progress=progress)
    found = [part for each in pieces for part in each]
    return _together(fit, found, rank)


def _design(fit: Fit, rows: RowsOfPiece) -> RowDesign:
    """The rows of a piece, as the fit would have held them."""
    blocks, at = {}, 0
    for block, size in fit.reading.moments.blocks.items():
        blocks[block] = np.hstack(rows.columns[at : at + size])
        at += size
    given: dict[str, Any] = {
        "X": blocks["x"],
        "y": blocks["y"],
        "weight": rows.weights,
        "names": fit.reading.moments.names["x"],
    }
    knowledge = fit.design.knowledge
    if isinstance(knowledge, Augmented):
        return ClosedForm(knowledge=knowledge, **given)
    return Instruments(knowledge=knowledge, instruments=blocks["g"], **given)


def _together(fit: Fit, found: list[_Sums], rank: int) -> FloatArray:
    """The sandwich from the sums of all pieces."""
    n, weight = sum(each.n for each in found), sum(each.weight for each in found)
    expected = float(fit.reading.moments.weight[0])
    if not found or abs(weight - expected) > _SAME * expected or n != fit.reading.moments.count[0]:
        raise ValueError(
            f"The source has {n} rows of total weight {weight:g}, but the moments of this fit have "
            f"{fit.reading.moments.count[0]:g} of {expected:g}: not the same rows (or another sample_weight)."
        )
    moments = fit.reading.moments
    scatter = np.sum([each.scatter for each in found], axis=0)
    given = moments.scatter(tuple(moments.blocks))[0]
    rounding = _SAME * np.abs(moments.mean(tuple(moments.blocks))[0]) * np.sqrt(weight)
    size = np.sqrt(np.diagonal(given)) + rounding  # a constant has no size but that
    if (np.abs(scatter - given) > _ALIKE * np.outer(size, size)).any():
        raise ValueError(
            "The source has as many rows as the moments of this fit, but other variances or covariances: not the same "
            "rows (changed since, or columns in another order of rows)."
        )
    mean: FloatArray = np.sum([each.score for each in found], axis=0) / weight
    if found[0].clusters is None:
        m = n
        squares = np.sum([each.own_weight[0] for each in found])
        cross = np.einsum("dp,ep->pde", np.sum([each.own_score[0] for each in found], axis=0), mean)
        meat = np.sum([each.meat for each in found], axis=0) - cross - cross.transpose(0, 2, 1)
        meat += squares * np.einsum("dp,ep->pde", mean, mean)
    else:
        position: dict[Any, int] = {}
        codes = [[position.setdefault(label, len(position)) for label in each.clusters] for each in found]  # type: ignore[union-attr]
        m = len(position)
        own_weight, own_score = np.zeros(m), np.zeros((m, *mean.shape))
        for at, each in zip(codes, found, strict=True):
            own_weight[at] += each.own_weight
            own_score[at] += each.own_score
        own_score -= own_weight[:, None, None] * mean
        meat = np.einsum("cdp,cep->pde", own_score, own_score, optimize=True)
    if m < 2 or n <= rank:
        raise ValueError(f"No standard errors: {n} rows in {m} clusters for {rank} coefficients.")
    cov: FloatArray = m / (m - 1) * (n - 1) / (n - rank) * meat / weight**2
    return cov[0] if fit.single_output else cov
