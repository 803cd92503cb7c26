"""The rows behind a fit, and how an augmentation of them is integrated: in closed form, or over copies of the rows.

`Evidence` holds references, no copies; inference reads the rows again and notices if they have changed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._matrix import whitener
from causalinv._typing import FloatArray
from causalinv.moments import Moments
from causalinv.transformations import FirstStage
from causalinv.transformations import Transformation as Augmentation

__all__ = ["Copy", "Evidence", "Reading", "expand", "less_chance"]


@dataclass(frozen=True)
class Copy:
    """One version of every row.

    Attributes
    ----------
    x : ndarray of shape (n, d)
        What the outcome is regressed on: the augmented row.
    g : ndarray of shape (n, q)
        Instruments; q = 0 where the augmentation is integrated in closed form.
    z : ndarray of shape (n, d)
        What G explains of the features: x itself, or paired with its original the difference from it.
    share : float
        Weight of this copy; shares sum to one.
    """

    x: FloatArray
    g: FloatArray
    z: FloatArray
    share: float


@dataclass(frozen=True)
class Reading:
    """What one pass over the rows gives: their moments, the first stage, and the moments of all copies."""

    moments: Moments
    stage: FirstStage
    total: Moments

    def risks(self, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Var r and the part E(Πr)² of it, for coefficients (d, p) that were fitted to other rows."""
        own, explained = self.stage.risks(coef)
        risk = np.diagonal(self.moments.cov("y")[0]) + own
        if "g" not in self.total.blocks or "z" in self.total.blocks:
            return risk, explained  # the residual itself is not regressed on G
        return risk, less_chance(explained, risk, q=len(self.stage.factor), n=float(self.total.count.sum()))


def less_chance(explained: FloatArray, risk: FloatArray, *, q: int, n: float) -> FloatArray:
    """Explained part of a variance less what q regressors explain of noise by chance in n rows (adjusted R²)."""
    return explained - q / max(n - q - 1.0, 1.0) * (risk - explained)


@dataclass(frozen=True)
class Evidence:
    """Rows and the way they are integrated.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        Rows in the units of the augmentation.
    y : ndarray of shape (n, p)
        Outcomes.
    weight : ndarray of shape (n,) or None
        Row weights.
    groups : ndarray of int, shape (n,), or None
        Code of the cluster of each row.
    mode : str
        "closed_form", "paired", "sampled" (the augmentation draws), "copies" (rows are copies), or "instruments".
    names : tuple of str or None
        Names of the columns of X.
    augmentation : Augmentation or None
    instruments : ndarray of shape (n, q) or None
        Instruments, or the parameters of rows that are copies.
    instrument_names : tuple of str or None
    features : fitted transformer or None
        Applied to rows after the augmentation.
    n_copies : int
    rng : numpy.random.Generator or None
        State before the first copy, so that copies can be drawn again; never advanced.
    kept : tuple of Copy or None
        Copies held in memory, for work that needs them many times.
    positions : ndarray of int or None
        Positions of the rows among those that were given, if some had weight 0 and are out.
    """

    X: FloatArray
    y: FloatArray
    weight: FloatArray | None
    groups: np.ndarray | None
    mode: str
    names: tuple[str, ...] | None = None
    augmentation: Augmentation | None = None
    instruments: FloatArray | None = None
    instrument_names: tuple[str, ...] | None = None
    features: Any = None
    n_copies: int = 1
    rng: np.random.Generator | None = None
    kept: tuple[Copy, ...] | None = None
    positions: np.ndarray | None = None

    @property
    def declared(self) -> bool:
        """Whether the augmentation is integrated in closed form on moments, without copies."""
        return self.mode == "closed_form" and self.features is None

    @property
    def known(self) -> bool:
        """Whether the first stage is known, not estimated.

        Pairing a translation finds its directions exactly, and the law of its steps is declared.
        """
        if self.mode == "paired" and self.features is None:
            assert self.augmentation is not None
            return self.augmentation.translates
        return self.declared

    def expand(self, rows: FloatArray) -> FloatArray:
        """Apply the features to rows of X."""
        return rows if self.features is None else expand(self.features, rows, self.names)

    def held(self) -> Self:
        """The same evidence with its copies in memory."""
        return replace(self, kept=tuple(self.copies()))

    def with_augmentation(self, augmentation: Augmentation) -> Self:
        """The same rows under another augmentation."""
        return replace(self, augmentation=augmentation, kept=None)

    def with_features(self, features: Any) -> Self:
        """The same rows, seen through a fitted transformer."""
        return replace(self, features=features)

    def fit_features(self, features: Any) -> Any:
        """Fit a transformer on the rows and an augmented copy (or all nodes), so that it covers what it will meet."""
        rows = self.X
        if self.augmentation is not None:
            copies = (GX for GX, _, _ in self.draws())
            rows = np.vstack([rows, *(copies if self.mode == "closed_form" else [next(copies)])])
        return features.fit(_framed(rows, self.names))

    def reweighted(self, weight: FloatArray) -> Self:
        """The same rows with other weights."""
        return replace(self, weight=weight)

    def draws(self) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        """Augmented rows, their parameters and their share, drawn as in the fit."""
        assert self.augmentation is not None
        if self.mode == "closed_form":
            yield from self.augmentation.nodes(self.X, self.names)
            return
        rng = copy.deepcopy(self.rng)
        assert rng is not None
        for _ in range(self.n_copies):
            yield *self.augmentation.draw(self.X, rng, self.names), 1.0 / self.n_copies

    def copies(self) -> Iterator[Copy]:
        """Every copy of the rows; the rows themselves where nothing is drawn."""
        if self.kept is not None:
            yield from self.kept
        elif self.declared:
            rows = self.X
            yield Copy(rows, np.empty((len(rows), 0)), rows, 1.0)
        elif self.instruments is not None:
            rows = self.expand(self.X)
            yield Copy(rows, self.instruments, rows, 1.0)
        else:
            original = self.expand(self.X)
            for GX, G, share in self.draws():
                rows = self.expand(GX)
                yield Copy(rows, G, rows if self.mode == "sampled" else rows - original, share)

    def read(self) -> Reading:
        r"""Moments and first stage, by one pass over the rows and their copies.

        With paired copies the difference :math:`\delta = Gx - x`, not the augmented row, is regressed on G: the row's
        own variation, by far the larger noise, drops out. And :math:`\operatorname{Cov}(G, y) = 0` holds by design,
        so it is set, not estimated; that is consistent only because :math:`\operatorname{Cov}(G, \delta)` carries no
        noise from x either. If the law of G is declared (translations, G standard normal), its moments and those of Gx
        are the exact ones.
        """
        moments, total = self.collect()
        return self.reading(moments, total)

    def collect(self, folds: np.ndarray | None = None) -> tuple[Moments, Moments]:
        """Moments of the rows, and of all their copies, one cell per fold."""
        if self.instruments is not None:
            rows, names = self.expand(self.X), self.instrument_names
            g: Any = self.instruments if names is None else pd.DataFrame(self.instruments, columns=list(names))
            blocks: dict[str, Any] = {"x": _framed(rows, self.feature_names), "y": self.y, "g": g}
            moments = Moments.from_rows(**blocks, folds=folds, sample_weight=self.weight)
            return moments, moments
        rows = _framed(self.expand(self.X), self.feature_names)
        moments = Moments.from_rows(x=rows, y=self.y, folds=folds, sample_weight=self.weight)
        if self.declared:
            return moments, moments
        total: Moments | None = None
        for each in self.copies():
            weight = np.full(len(self.y), each.share) if self.weight is None else each.share * self.weight
            given: dict[str, Any] = {"x": each.x, "y": self.y, "g": each.g}
            if self.mode != "sampled":
                given["z"] = each.z
            part = Moments.from_rows(**given, folds=folds, sample_weight=weight)
            total = part if total is None else total.merge(part)
        assert total is not None
        return moments, total

    def reading(self, moments: Moments, total: Moments) -> Reading:
        """What the path needs, from moments of some rows and of their copies; cells are pooled."""
        moments, total = moments.pool(), total.pool()
        if self.instruments is not None:
            return Reading(moments, FirstStage.from_moments(moments), moments)
        if self.declared:
            assert self.augmentation is not None
            return Reading(moments, self.augmentation.first_stage(moments), moments)
        self._check_varies(total)
        return Reading(moments, self._stage(moments, total), total)

    def _stage(self, moments: Moments, total: Moments) -> FirstStage:
        half = whitener(total.cov("g")[0])
        if self.mode == "sampled":
            factor, outcome = (half.T @ total.cov("g", block)[0] for block in ("x", "y"))
            return FirstStage(total.cov("x")[0], total.cov("x", "y")[0], factor, outcome, added=False)
        factor = half.T @ total.cov("g", "z")[0]
        none = np.zeros((len(factor), self.y.shape[1]))
        if self.known:
            return FirstStage(moments.cov("x")[0], moments.cov("x", "y")[0], half @ factor, none, added=True)
        return FirstStage(total.cov("x")[0], total.cov("x", "y")[0], factor, none, added=False)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the columns that the regression sees."""
        if self.features is None:
            return self.names
        named = getattr(self.features, "get_feature_names_out", None)
        return None if named is None else tuple(str(name) for name in named())

    def _check_varies(self, total: Moments) -> None:
        constant = np.flatnonzero(np.diagonal(total.cov("g")[0]) == 0)
        if constant.size:
            raise ValueError(
                f"G returned by {type(self.augmentation).__name__} is constant in column {constant.tolist()}: a "
                "constant parameter moves nothing. Return only parameters that vary."
            )


def expand(features: Any, rows: FloatArray, names: Sequence[str] | None) -> FloatArray:
    """Apply a fitted transformer to rows, under the names that it was fitted on; sparse output is made dense."""
    out = features.transform(_framed(rows, names))
    return np.asarray(out.toarray() if hasattr(out, "toarray") else out, dtype=np.float64)


def _framed(rows: FloatArray, names: Sequence[str] | None) -> Any:
    return rows if names is None else pd.DataFrame(rows, columns=list(names))
