r"""Robust and clustered covariances of a fit on moments, by one more pass over the rows, wherever they are.

With scores :math:`\psi_i` of rows (see `_inference`), weights :math:`w_i` of sum W and
:math:`m = W^{-1} \sum w_i \psi_i` the sandwich is :math:`W^{-2} \sum_c s_c s_c'`, where
:math:`s_c = \sum_{i \in c} w_i (\psi_i - m)` over the rows of a cluster, or of one row. All of it are sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from causalinv._matrix import whitener
from causalinv._scan import Columns, RowsOfPiece, each_partition, each_piece, is_dask, open_source, stream_sql
from causalinv._typing import FloatArray
from causalinv.ivlike._design import MomentsOnly, RowDesign
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import coefficient_scores, constraint_slack, takes_limit
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
    score: FloatArray  # (p, k)
    own_weight: FloatArray  # (c,) of clusters; weighted squares (1,) without
    own_score: FloatArray  # (c, p, k) of clusters; weighted squares (1, p, k) without
    meat: FloatArray  # (p, k, k); 0 with clusters
    clusters: pd.Index | None


def scanned_covariance(
    fit: Fit,
    at: float | None,
    source: Any,
    *,
    groups: str | int | None,
    sample_weight: str | int | None,
    connection: Any,
    n_threads: int | None,
    progress: bool,
) -> FloatArray:
    """Covariance of a fit on moments by the influence of every row, or cluster: (d, d), or (p, d, d) of p outcomes."""
    if not isinstance(fit.design, MomentsOnly):
        raise ValueError("source= is for fits on moments; this one has its rows: leave source out.")
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
    score = _Scores(fit, 0.0 if fit.averages else alpha, coef)
    sums = partial(_sums_of, score=score, centre=moments.mean(tuple(moments.blocks))[0])
    if connection is None and is_dask(source):
        pieces: Iterable[list[_Sums]] = each_partition(source, columns, sums)
    else:
        opened = open_source(source, columns) if connection is None else stream_sql(source, columns, connection)
        pieces = each_piece(opened, columns, sums, n_threads=n_threads, progress=progress)
    return _together(fit, [part for each in pieces for part in each], score)


def _sums_of(rows: RowsOfPiece, *, score: _Scores, centre: FloatArray) -> list[_Sums]:
    """Sums of some thousands of rows of a piece each."""
    n = len(rows.columns[0])
    return [_sums(rows.slice(at, at + _AT_ONCE), score, centre) for at in range(0, n, _AT_ONCE)]


def _sums(rows: RowsOfPiece, score: _Scores, centre: FloatArray) -> _Sums:
    w, n = rows.weights, len(rows.columns[0])
    centred = np.empty((len(centre), n))  # a variable a line, as the columns are stored
    for line, column, mean in zip(centred, rows.columns, centre, strict=True):
        np.subtract(column[:, 0], mean, out=line)
    weighted = score(centred)  # (p, k, n)
    scatter = np.dot(centred, centred.T) if w is None else np.dot(centred * w, centred.T)
    if not np.isfinite(scatter).all():
        rows.check()
    if w is not None:
        weighted *= w
    labels = rows.labels.get("groups")
    total, size = weighted.sum(axis=2), float(n if w is None else w.sum())
    if labels is None:
        squares = np.array([size if w is None else w @ w])
        own = squares, (total if w is None else weighted @ w)[None]
        # One product at a time by `dot`: unlike `@` it lets other threads work meanwhile.
        meat = np.stack([np.dot(each, each.T) for each in weighted])
        return _Sums(n, size, scatter, total, *own, meat, None)
    order = np.argsort(labels.codes, kind="stable")
    starts = np.searchsorted(labels.codes[order], np.arange(len(labels)))
    own_weight = np.bincount(labels.codes, w, len(labels)).astype(float)
    own_score = np.add.reduceat(weighted[:, :, order], starts, axis=2).transpose(2, 0, 1)
    return _Sums(n, size, scatter, total, own_weight, own_score, np.zeros(()), labels.names)


class _Scores:
    """Scores of rows before the matrix that all share is applied: a row's score is `matrix` times what a call gives.

    Each is a sum of the features times a number and of the features that the instruments explain times another, see
    `coefficient_scores`; near the limit of alpha, two such sums, one for the directions that nothing moves.
    """

    def __init__(self, fit: Fit, alpha: float, coef: FloatArray) -> None:
        path, reading = fit.path, fit.reading
        self.size, self.coef, self.alpha = reading.moments.blocks, coef, alpha
        fixed, moved = path.basis[:, ~path.moved], path.basis[:, path.moved]
        self.first_stage = not isinstance(fit.design.knowledge, Augmented)
        # Refuses what has no standard errors, and counts the degrees of freedom.
        none = _design(fit, [np.zeros((1, 1))] * sum(self.size.values()), None)
        self.rank = coefficient_scores(none, reading, path, alpha, coef, ridge=fit.ridge)[1]
        self.held: FloatArray | None = None
        if not self.first_stage:
            used = fixed if alpha == 0 else path.basis
            known = alpha == 0 or np.isinf(alpha)
            self.matrix = (used if known else used / (1.0 + path.strength / alpha)) @ used.T
            return
        if np.isinf(alpha):
            self.first_stage, self.matrix = False, path.basis @ path.basis.T
            return
        stage, half = reading.stage, whitener(reading.total.cov("g")[0])
        self.explained = (half @ stage.factor).T
        self.gap = (half @ (stage.outcome - stage.factor @ coef)).T
        if not takes_limit(path, stage, alpha):
            self.matrix = (path.basis / (alpha + path.strength)) @ path.basis.T
        else:
            slack = constraint_slack(stage, coef, ridge=fit.ridge)
            self.held = (half @ slack).T
            self.matrix = np.hstack([fixed @ fixed.T, (moved / (alpha + path.strength[path.moved])) @ moved.T])

    def __call__(self, centred: FloatArray) -> FloatArray:
        """Of variables about their means, a variable a line: (p, k, n), k a multiple of the number of features."""
        d, p = self.size["x"], self.size["y"]
        x, y = centred[:d], centred[d : d + p]
        residual = y - np.dot(self.coef.T, x)
        if not self.first_stage:
            return x * residual[:, None]
        g = centred[d + p :]
        gap, explained = np.dot(self.gap, g), np.dot(self.explained, g)
        out = x * (self.alpha * residual + gap)[:, None]
        out += explained * (residual - gap)[:, None]
        if self.held is None:
            return out
        return np.concatenate([x * (residual + np.dot(self.held, g))[:, None], out], axis=1)


def _design(fit: Fit, rows: list[FloatArray], weight: FloatArray | None) -> RowDesign:
    """Rows, given by columns, as the fit would have held them."""
    blocks, at = {}, 0
    for block, size in fit.reading.moments.blocks.items():
        blocks[block] = np.hstack(rows[at : at + size])
        at += size
    given: dict[str, Any] = {
        "X": blocks["x"],
        "y": blocks["y"],
        "weight": weight,
        "names": fit.reading.moments.names["x"],
    }
    knowledge = fit.design.knowledge
    if isinstance(knowledge, Augmented):
        return ClosedForm(knowledge=knowledge, **given)
    return Instruments(knowledge=knowledge, instruments=blocks["g"], **given)


def _together(fit: Fit, found: list[_Sums], score: _Scores) -> FloatArray:
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
    if not (np.abs(scatter - given) <= _ALIKE * np.outer(size, size)).all():
        raise ValueError(
            "The source has as many rows as the moments of this fit, but other variances or covariances: not the same "
            "rows (changed since, or columns in another order of rows)."
        )
    mean: FloatArray = np.sum([each.score for each in found], axis=0) / weight
    if found[0].clusters is None:
        m = n
        squares = np.sum([each.own_weight[0] for each in found])
        cross = np.einsum("pd,pe->pde", np.sum([each.own_score[0] for each in found], axis=0), mean)
        meat = np.sum([each.meat for each in found], axis=0) - cross - cross.transpose(0, 2, 1)
        meat += squares * np.einsum("pd,pe->pde", mean, mean)
    else:
        position: dict[Any, int] = {}
        codes = [[position.setdefault(label, len(position)) for label in each.clusters] for each in found]  # type: ignore[union-attr]
        m = len(position)
        own_weight, own_score = np.zeros(m), np.zeros((m, *mean.shape))
        for at, each in zip(codes, found, strict=True):
            own_weight[at] += each.own_weight
            own_score[at] += each.own_score
        own_score -= own_weight[:, None, None] * mean
        meat = np.einsum("cpd,cpe->pde", own_score, own_score, optimize=True)
    if m < 2 or n <= score.rank:
        raise ValueError(f"No standard errors: {n} rows in {m} clusters for {score.rank} coefficients.")
    cov: FloatArray = m / (m - 1) * (n - 1) / (n - score.rank) * (score.matrix @ meat @ score.matrix.T) / weight**2
    return cov[0] if fit.single_output else cov
