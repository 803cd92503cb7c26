"""What every integration shares: the rows, their copies, and one reading of their moments.

A `Design` holds references, no copies; inference reads the rows again and notices if they have changed. A new way of
integrating is one subclass of `RowDesign`; see `_integrations`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from causalinv._frames import framed
from causalinv._matrix import whitener
from causalinv._typing import BoolArray, FloatArray
from causalinv.ivlike._knowledge import Knowledge
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import Centred, ControlSlopes, Copy, Reading
from causalinv.moments import Moments
from causalinv.transformations import FirstStage

__all__ = ["Design", "MomentsOnly", "RowDesign", "expand", "named"]


@dataclass(frozen=True, kw_only=True)
class Design(ABC):
    """How the moments of a fit come about.

    Attributes
    ----------
    knowledge : Knowledge
        What is known beside (X, y).
    slopes : ControlSlopes or None
        By what controls were partialled out of the rows, before their moments were taken.
    """

    knowledge: Knowledge
    slopes: ControlSlopes | None = None

    @abstractmethod
    def read(self) -> Reading:
        """Moments and first stage."""


@dataclass(frozen=True, kw_only=True)
class MomentsOnly(Design):
    """No rows: a population, data that were read in chunks, or a fit that was pickled."""

    taken: Reading

    def read(self) -> Reading:
        return self.taken


@dataclass(frozen=True, kw_only=True)
class RowDesign(Design):
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
    names : tuple of str or None
        Names of the columns of X.
    features : fitted transformer or None
        Applied to rows after the augmentation.
    positions : ndarray of int or None
        Positions of the rows among those that were given, if some had weight 0 and are out.
    outcome_names : tuple of str or None
        Names of the columns of y.
    """

    X: FloatArray
    y: FloatArray
    weight: FloatArray | None = None
    groups: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    features: Any = None
    positions: np.ndarray | None = None
    outcome_names: tuple[str, ...] | None = None

    moves: ClassVar[bool] = True  # whether copies are drawn or enumerated here, so that originals are known too

    @property
    def first_stage_known(self) -> bool:
        """Whether the first stage is known, not estimated."""
        return False

    @property
    def restricts(self) -> bool:
        """Whether the fit at alpha=0 is least squares on the coordinates that nothing moves, in every row."""
        return self.first_stage_known

    @abstractmethod
    def copies(self) -> Iterator[Copy]:
        """Every copy of the rows; the rows themselves where nothing is drawn."""

    @abstractmethod
    def collect(self, folds: np.ndarray | None = None) -> tuple[Moments, Moments]:
        """Moments of the rows, and of all their copies, one cell per fold."""

    @abstractmethod
    def stage(self, moments: Moments, total: Moments) -> FirstStage:
        """First stage from pooled moments of rows and copies."""

    def read(self) -> Reading:
        return self.reading(*self.collect())

    def reading(self, moments: Moments, total: Moments) -> Reading:
        """What the path needs, from moments of some rows and of their copies; cells are pooled."""
        moments, total = moments.pool(), total.pool()
        return Reading(moments, self.stage(moments, total), total)

    def judged(self, moments: Moments, total: Moments) -> Reading:
        """A reading in which controls, if there are any, stand among the features and the instruments."""
        return self.reading(moments, total)

    def stages(self, moments: Moments, total: Moments) -> tuple[FirstStage, BoolArray] | None:
        """First stages of every cell, in a stack, and which are sound; None where they are found one by one."""
        return None

    def readings(self, moments: Moments, total: Moments, *, judged: bool = False) -> tuple[Reading, BoolArray] | None:
        """`reading` (or `judged`) of every cell, in a stack, and which are sound; None where they come one by one."""
        found = self.stages(moments, total)
        return None if found is None else (Reading(moments, found[0], total), found[1])

    def centred(self, reading: Reading) -> Iterator[Centred]:
        """Every copy about the mean of all, instruments standardised."""
        total = reading.total
        half = whitener(total.cov("g")[0])
        y = self.y - total.mean("y")[0]
        paired = "z" in total.blocks
        for each in self.copies():
            x = each.x - total.mean("x")[0]
            z, w = (each.z - total.mean("z")[0], np.zeros_like(y)) if paired else (x, y)
            yield Centred(x, y, (each.g - total.mean("g")[0]) @ half, z, w, each.share)

    def held(self) -> Self:
        """The same design with its copies in memory, for work that needs them many times."""
        return self

    def with_features(self, features: Any) -> Self:
        """The same rows, seen through a fitted transformer."""
        return replace(self, features=features)

    def with_outcome(self, y: FloatArray) -> Self:
        """The same rows with another outcome."""
        return replace(self, y=y)

    def reweighted(self, weight: FloatArray) -> Self:
        """The same rows with other weights."""
        return replace(self, weight=weight)

    def to_cover(self) -> FloatArray:
        """Rows that a transformer of the features will meet."""
        return self.X

    def check_units(self) -> None:
        """Refuse standard errors and folds where it is not known what the independent units are."""

    def check_folds(self, folds: np.ndarray) -> None:
        """Refuse folds that part what belongs together."""

    def independent(self, rows: FloatArray) -> tuple[FloatArray, np.ndarray | None]:
        """Contributions of rows (n, ...) to an estimate as those of observations, with their clusters."""
        return rows, self.groups

    def least_squares_form(
        self, reading: Reading, path: IVLikePath, alpha: float, *, exactly: bool
    ) -> tuple[FloatArray, FloatArray] | None:
        """Rows of the least squares problem (n, k) and the coefficients (d, k) of its coordinates, if the fit is one.

        With `exactly`, over-identified instruments are out: the influence of their rows allows for instruments that
        disagree, errors of least squares do not.
        """
        return None

    def largest_reaction(self, coef: FloatArray) -> float:
        """Largest change of a prediction by a copy, as a share of the range of the outcome."""
        original = self.expand(self.X)
        spread = np.maximum(np.ptp(self.y, axis=0), np.finfo(np.float64).tiny)
        return max(float((np.abs((each.x - original) @ coef) / spread).max()) for each in self.copies())

    @property
    def constants(self) -> FloatArray:
        """What is partialled out of everything, the constant first and the rest centred, shape (n, k)."""
        return np.ones((len(self.y), 1))

    def contrasts(self, combine: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Combinations (m, 1 + d) of the mean of y and the coefficients, as those of `constants` and of features.

        With controls their coefficients come last, (m, 1 + d + c).
        """
        return combine[:, :1], combine[:, 1:]

    @property
    def n_units(self) -> int:
        """Rows, or clusters of them: what is drawn anew in a bootstrap."""
        return len(self.y) if self.groups is None else int(self.groups.max()) + 1

    @property
    def share(self) -> FloatArray:
        """Weights that sum to one, shape (n,)."""
        weight = np.ones(len(self.y)) if self.weight is None else self.weight
        return weight / weight.sum()

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the columns that the regression sees."""
        if self.features is None:
            return self.names
        named = getattr(self.features, "get_feature_names_out", None)
        return None if named is None else tuple(str(name) for name in named())

    def expand(self, rows: FloatArray) -> FloatArray:
        """Apply the features to rows of X."""
        return rows if self.features is None else expand(self.features, rows, self.names)

    def own_moments(self, folds: np.ndarray | None, **blocks: Any) -> Moments:
        """Moments of the rows as they are, with further blocks."""
        rows = named(self.expand(self.X), self.feature_names)
        outcome = named(self.y, self.outcome_names)
        return Moments.from_rows(x=rows, y=outcome, folds=folds, sample_weight=self.weight, **blocks)


def expand(features: Any, rows: FloatArray, names: Sequence[str] | None) -> FloatArray:
    """Apply a fitted transformer to rows, under the names that it was fitted on; sparse output is made dense."""
    out = features.transform(named(rows, names))
    return np.asarray(out.toarray() if hasattr(out, "toarray") else out, dtype=np.float64)


def named(rows: FloatArray, names: Sequence[str] | None) -> Any:
    """The rows as a frame, if they have names."""
    return rows if names is None else framed(rows, columns=list(names))
