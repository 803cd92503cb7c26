"""One version of every row, and what one pass over all versions gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalinv._typing import FloatArray
from causalinv.moments import Moments
from causalinv.transformations import FirstStage

__all__ = ["Centred", "ControlSlopes", "Copy", "Reading", "by_chance", "less_chance"]


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


@dataclass(frozen=True, eq=False)
class ControlSlopes:
    """Regressions of outcome and features on the controls, which were partialled out of both.

    Attributes
    ----------
    of_y : ndarray of shape (c, p)
    of_x : ndarray of shape (c, d)
        Coefficients of the controls.
    mean : ndarray of shape (c,)
        Of the controls.
    rank : int
        Of the controls, the constant not counted.
    names : tuple of str or None
        Of the controls.
    """

    of_y: FloatArray
    of_x: FloatArray
    mean: FloatArray
    rank: int
    names: tuple[str, ...] | None

    def coef(self, coef: FloatArray) -> FloatArray:
        """Coefficients (c, p) of the controls beside coefficients (d, p) of the features."""
        return self.of_y - self.of_x @ coef

    def after(self, earlier: ControlSlopes | None) -> ControlSlopes:
        """Both regressions, if these are of what an earlier one on the same controls had left."""
        if earlier is None:
            return self
        return replace(self, of_y=earlier.of_y + self.of_y, of_x=earlier.of_x + self.of_x)


@dataclass(frozen=True)
class Centred:
    """One copy of the rows about the mean of all copies; instruments standardised.

    x, g and z are those of `Copy`, w (n, p) is what G explains of the outcome.
    """

    x: FloatArray
    y: FloatArray
    g: FloatArray
    z: FloatArray
    w: FloatArray
    share: float


@dataclass(frozen=True)
class Reading:
    """What one pass over the rows gives: their moments, the first stage, and the moments of all copies.

    With `whole` the explained part is the whole reaction E(δ'h)², not what G explains of it.
    `slopes` are those of the controls, if there are any: they are partialled out of everything else.

    A stack of readings has a cell of moments for each, and arrays with one more dimension in front.
    """

    moments: Moments
    stage: FirstStage
    total: Moments
    whole: bool = False
    slopes: ControlSlopes | None = None

    def as_stack(self) -> Reading:
        """A stack of this one."""
        slopes = self.slopes
        if slopes is not None:
            parts = {name: getattr(slopes, name)[None] for name in ("of_y", "of_x", "mean")}
            slopes = replace(slopes, **parts)
        return replace(self, stage=FirstStage.stack([self.stage]), slopes=slopes)

    @property
    def spent(self) -> int:
        """Rank of what was partialled out, the constant among it."""
        return 1 if self.slopes is None else 1 + self.slopes.rank

    def with_controls(self, coef: FloatArray) -> FloatArray:
        """Coefficients (d, p) of the features, and below them those of the controls."""
        return coef if self.slopes is None else np.concatenate([coef, self.slopes.coef(coef)], axis=-2)

    @property
    def regressed(self) -> bool:
        """Whether the residual itself is regressed on G, so that noise is explained by chance too."""
        return "g" in self.total.blocks and "z" not in self.total.blocks

    @property
    def fitted(self) -> bool:
        """Whether instruments fit every row, so that every residual of these rows would look explained by them."""
        return self.regressed and float(self.total.count.sum()) - len(self.stage.factor) - self.spent < 1

    def risks(self, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Var r and the part E(Πr)² of it, for coefficients (d, p) that were fitted to other rows."""
        own, explained = self.stage.risks(coef)
        risk = np.diagonal(self.moments.cov("y")[0]) + own
        if not self.regressed:
            return risk, explained
        return risk, less_chance(explained, risk, self.total, q=len(self.stage.factor), spent=self.spent)


def less_chance(explained: FloatArray, risk: FloatArray, total: Moments, *, q: int, spent: int = 1) -> FloatArray:
    """Explained part of a variance less what q regressors explain of noise by chance in rows with these moments.

    As in the adjusted R², times Kish's design effect, rows over rows of equal weight that would vary as much: noise of
    heavy rows is explained more. Exact for equal weights, to first order in q over rows for others.
    """
    share = by_chance(total.count.sum(keepdims=True), total.pool().effective_count, q=q, spent=spent)
    return explained - share * (risk - explained)


def by_chance(n: FloatArray, effective: FloatArray, *, q: int, spent: int) -> FloatArray:
    """Share of the noise in n rows, of weights that stand for `effective`, that q regressors explain by chance."""
    known = np.isfinite(n)  # of a population nothing is explained by chance
    n, effective = (np.where(known, each, 1.0) for each in (n, effective))
    return np.where(known, np.maximum(n / effective, 1.0) * q / np.maximum(n - q - spent, 1.0), 0.0)
