r"""Robust and clustered covariances of a fit on moments, by one more pass over the rows, wherever they are.

With scores :math:`\psi_i` of rows (see `_inference`), weights :math:`w_i` of sum W and
:math:`m = W^{-1} \sum w_i \psi_i` the sandwich is :math:`W^{-2} \sum_c s_c s_c'`, where
:math:`s_c = \sum_{i \in c} w_i (\psi_i - m)` over the rows of a cluster, or of one row. All of it are sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
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

_AT_ONCE = 4_096  # rows whose terms are held at a time, in cache
_MARKS = 2  # combinations of all columns by which rows are known to be those of the moments
_SAME = 1e-9  # relative: a second pass that counts another weight has met other rows
_ALIKE = 1e-6  # of the variance of a combination of columns, which sums about other centres may round


@dataclass
class _Sums:
    """Of some rows: number, weight, sums of weighted terms and of their products, or of the terms of each cluster."""

    n: int
    weight: float
    marks: FloatArray  # (2, _MARKS): sums and squares of combinations of the columns about their means
    term: FloatArray  # (p, k)
    meat: FloatArray  # (p, k, k); with clusters the sums of each (c, p, k)
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
    sums = partial(_sums_of, score=score)
    if connection is None and is_dask(source):
        pieces: Iterable[list[_Sums]] = each_partition(source, columns, sums)
    else:
        opened = open_source(source, columns) if connection is None else stream_sql(source, columns, connection)
        pieces = each_piece(opened, columns, sums, n_threads=n_threads, progress=progress)
    return _together(fit, [part for each in pieces for part in each], score)


def _sums_of(rows: RowsOfPiece, *, score: _Scores) -> list[_Sums]:
    """Sums of a piece, taken some thousands of rows at a time; with clusters, one for each such part."""
    parts = [_sums(rows.slice(at, at + _AT_ONCE), score) for at in range(0, len(rows.columns[0]), _AT_ONCE)]
    return parts if len(parts) < 2 or parts[0].clusters is not None else [_joined(parts)]


def _joined(parts: list[_Sums]) -> _Sums:
    summed = {part.name: sum(getattr(each, part.name) for each in parts) for part in fields(_Sums)[:-1]}
    return _Sums(**summed, clusters=None)


def _sums(rows: RowsOfPiece, score: _Scores) -> _Sums:
    w, n = rows.weights, len(rows.columns[0])
    centred = np.empty((len(score.centre), n))  # a variable a line, as the columns are stored
    for line, column, mean in zip(centred, rows.columns, score.centre, strict=True):
        np.subtract(column[:, 0], mean, out=line)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # what is not finite is refused by name
        weighted, marks = score(centred)  # (p, k, n)
    if not np.isfinite(marks).all():
        rows.check()
    of_marks = np.stack([marks.sum(axis=1), (marks**2).sum(axis=1)] if w is None else [marks @ w, marks**2 @ w])
    if w is not None:
        weighted *= w
    labels, size = rows.labels.get("groups"), float(n if w is None else w.sum())
    if labels is None:
        # One product at a time by `dot`: unlike `@` it lets other threads work meanwhile. Its last line is a total.
        meat = np.stack([np.dot(each, each.T) for each in weighted])
        return _Sums(n, size, of_marks, meat[:, -1] if w is None else weighted.sum(axis=2), meat, None)
    order = np.argsort(labels.codes, kind="stable")
    starts = np.searchsorted(labels.codes[order], np.arange(len(labels)))
    own = np.add.reduceat(weighted[:, :, order], starts, axis=2).transpose(2, 0, 1)
    return _Sums(n, size, of_marks, own.sum(axis=0), own, labels.names)


class _Scores:
    """Terms of rows, the last of them 1: a row's score is `matrix` times the others.

    A score is a sum of the features times a number and of the features that the instruments explain times another, see
    `coefficient_scores`: of the features and of the instruments times numbers, up to what all rows share. Near the
    limit of alpha there are two such sums, one for the directions that nothing moves.
    """

    def __init__(self, fit: Fit, alpha: float, coef: FloatArray) -> None:
        path, reading = fit.path, fit.reading
        moments = reading.moments
        self.size, self.alpha = moments.blocks, alpha
        names = tuple(moments.blocks)
        self.centre, scatter = moments.mean(names)[0], moments.scatter(names)[0]
        # Of each column in its own units; a constant has no unit but its rounding.
        unit = np.sqrt(np.diagonal(scatter)) + _SAME * np.abs(self.centre) * np.sqrt(moments.weight[0])
        signs = np.random.default_rng(0).normal(size=(_MARKS, len(unit)))
        self.marks = np.where(unit > 0, signs / np.where(unit > 0, unit, 1.0), 0.0)
        self.expected = np.einsum("mi,ij,mj->m", self.marks, scatter, self.marks)
        d, p = self.size["x"], self.size["y"]
        residual = np.zeros((p, len(unit)))
        residual[:, :d], residual[:, d : d + p] = -coef.T, np.eye(p)
        self.rows = [self.marks, residual]  # what is multiplied with a row's variables
        fixed, moved = path.basis[:, ~path.moved], path.basis[:, path.moved]
        self.first_stage, self.held = not isinstance(fit.design.knowledge, Augmented), False
        # Refuses what has no standard errors, and counts the degrees of freedom.
        none = _design(fit, [np.zeros((1, 1))] * sum(self.size.values()), None)
        self.rank = coefficient_scores(none, reading, path, alpha, coef, ridge=fit.ridge)[1]
        if not self.first_stage:
            used = fixed if alpha == 0 else path.basis
            known = alpha == 0 or np.isinf(alpha)
            self.matrix = (used if known else used / (1.0 + path.strength / alpha)) @ used.T
        elif np.isinf(alpha):
            self.first_stage, self.matrix = False, path.basis @ path.basis.T
        else:
            stage, half = reading.stage, whitener(reading.total.cov("g")[0])
            self._of_instruments((half @ (stage.outcome - stage.factor @ coef)).T)
            both = np.hstack([np.eye(d), (half @ stage.factor).T])
            if not takes_limit(path, stage, alpha):
                self.matrix = (path.basis / (alpha + path.strength)) @ path.basis.T @ both
            else:
                self.held = True
                self._of_instruments((half @ constraint_slack(stage, coef, ridge=fit.ridge)).T)
                solved = (moved / (alpha + path.strength[path.moved])) @ moved.T
                self.matrix = np.hstack([solved @ both, fixed @ fixed.T])
        self.product = np.concatenate(self.rows)

    def _of_instruments(self, rows: FloatArray) -> None:
        before = self.size["x"] + self.size["y"]
        self.rows.append(np.hstack([np.zeros((len(rows), before)), rows]))

    def __call__(self, centred: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Terms (p, k, n) of variables (v, n) about their means, and the combinations (_MARKS, n) that mark them."""
        d, p, n = self.size["x"], self.size["y"], centred.shape[1]
        x, g = centred[:d], centred[d + p :]
        marks, residual, *rest = np.split(np.dot(self.product, centred), np.cumsum([_MARKS, p, p, p]))
        out = np.empty((p, self.matrix.shape[1] + 1, n))
        out[:, -1] = 1.0
        if not self.first_stage:
            np.multiply(x, residual[:, None], out=out[:, :d])
            return out, marks
        gap = rest[0]
        np.multiply(x, (self.alpha * residual + gap)[:, None], out=out[:, :d])
        np.multiply(g, (residual - gap)[:, None], out=out[:, d : d + len(g)])
        if self.held:
            np.multiply(x, (residual + rest[1])[:, None], out=out[:, d + len(g) : -1])
        return out, marks


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
    shift, spread = np.sum([each.marks for each in found], axis=0)
    away = np.abs(spread - score.expected), np.abs(shift) / np.sqrt(weight)
    if not (np.array(away) <= _ALIKE * len(score.centre)).all():
        raise ValueError(
            "The source has as many rows as the moments of this fit, but other means, variances or covariances: not "
            "the same rows (changed since, or columns in another order of rows)."
        )
    mean: FloatArray = np.sum([each.term for each in found], axis=0) / weight
    if found[0].clusters is None:
        m = n
        meat = np.sum([each.meat for each in found], axis=0)
        cross = np.einsum("pd,pe->pde", meat[:, -1], mean)
        meat -= cross + cross.transpose(0, 2, 1) - meat[:, -1:, -1:] * np.einsum("pd,pe->pde", mean, mean)
    else:
        position: dict[Any, int] = {}
        codes = [[position.setdefault(label, len(position)) for label in each.clusters] for each in found]  # type: ignore[union-attr]
        m = len(position)
        own = np.zeros((m, *mean.shape))
        for at, each in zip(codes, found, strict=True):
            own[at] += each.meat
        own -= own[..., -1:] * mean
        meat = np.einsum("cpd,cpe->pde", own, own, optimize=True)
    meat = score.matrix @ meat[:, :-1, :-1] @ score.matrix.T
    if m < 2 or n <= score.rank:
        raise ValueError(f"No standard errors: {n} rows in {m} clusters for {score.rank} coefficients.")
    cov: FloatArray = m / (m - 1) * (n - 1) / (n - score.rank) * meat / weight**2
    return cov[0] if fit.single_output else cov
