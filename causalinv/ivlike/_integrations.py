"""The integrations: in closed form, over copies that are drawn, over rows that are copies, over instruments."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from causalinv._matrix import inverse_roots, symmetric_root, whitener
from causalinv._typing import BoolArray, FloatArray
from causalinv.ivlike._design import RowDesign, named
from causalinv.ivlike._knowledge import Augmented
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import Centred, ControlSlopes, Copy, Reading
from causalinv.moments import Moments
from causalinv.transformations import FirstStage
from causalinv.transformations import Transformation as Augmentation

__all__ = [
    "ClosedForm",
    "Copies",
    "Instruments",
    "Moved",
    "NodesReaction",
    "Paired",
    "PairedReaction",
    "Sampled",
    "WholeReaction",
    "by_source",
]


@dataclass(frozen=True, kw_only=True)
class Moved(RowDesign):
    """Rows that an augmentation moves.

    Attributes
    ----------
    kept : tuple of Copy or None
        Copies held in memory.
    """

    knowledge: Augmented
    kept: tuple[Copy, ...] | None = None

    @property
    def augmentation(self) -> Augmentation:
        """What moves the rows."""
        return self.knowledge.augmentation

    @abstractmethod
    def draws(self) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        """Augmented rows, their parameters and their share."""

    def with_augmentation(self, augmentation: Augmentation) -> Self:
        """The same rows under another augmentation."""
        return replace(self, knowledge=Augmented(augmentation), kept=None)

    def held(self) -> Self:
        return replace(self, kept=tuple(self.copies()))

    def copies(self) -> Iterator[Copy]:
        if self.kept is not None:
            yield from self.kept
            return
        original = self.expand(self.X)
        for GX, G, share in self.draws():
            rows = self.expand(GX)
            yield Copy(rows, G, self.explained(rows, original), share)

    def explained(self, rows: FloatArray, original: FloatArray) -> FloatArray:
        """What is regressed on G."""
        return rows - original

    def collect(self, folds: np.ndarray | None = None) -> tuple[Moments, Moments]:
        moments = self.own_moments(folds)
        total: Moments | None = None
        for each in self.copies():
            weight = np.full(len(self.y), each.share) if self.weight is None else each.share * self.weight
            part = Moments.from_rows(**self.blocks(each), folds=folds, sample_weight=weight)
            total = part if total is None else total.merge(part)
        assert total is not None
        return moments, total

    def blocks(self, each: Copy) -> dict[str, Any]:
        """Blocks of the moments of a copy."""
        return {"x": each.x, "y": self.y, "g": each.g, "z": each.z}

    def stage(self, moments: Moments, total: Moments) -> FirstStage:
        r"""Regress the difference, not the augmented row, on G.

        The row's own variation, by far the larger noise, drops out. And :math:`\operatorname{Cov}(G, y) = 0` holds by
        design, so it is set, not estimated; that is consistent only because :math:`\operatorname{Cov}(G, \delta)`
        carries no noise from x either. If the law of G is declared (translations, G standard normal), its moments and
        those of Gx are the exact ones.
        """
        self.check_varies(total)
        half = whitener(total.cov("g")[0])
        factor = half.T @ total.cov("g", "z")[0]
        none = np.zeros((len(factor), self.y.shape[1]))
        if self.first_stage_known:
            return FirstStage(moments.cov("x")[0], moments.cov("x", "y")[0], half @ factor, none, added=True)
        return FirstStage(total.cov("x")[0], total.cov("x", "y")[0], factor, none, added=False)

    def stages(self, moments: Moments, total: Moments) -> tuple[FirstStage, BoolArray] | None:
        root, sound = inverse_roots(total.cov("g"))
        factor = root @ total.cov("g", "z")
        none = np.zeros((*factor.shape[:2], self.y.shape[1]))
        if not self.first_stage_known:
            return FirstStage(total.cov("x"), total.cov("x", "y"), factor, none, added=False), sound
        steps = np.swapaxes(root, 1, 2) @ factor
        return FirstStage(moments.cov("x"), moments.cov("x", "y"), steps, none, added=True), sound

    def least_squares_form(
        self, reading: Reading, path: IVLikePath, alpha: float, *, exactly: bool
    ) -> tuple[FloatArray, FloatArray] | None:
        if alpha != 0 or not self.restricts:
            return None
        fixed = path.basis[:, ~path.moved]
        return (self.expand(self.X) - reading.moments.mean("x")[0]) @ fixed, fixed

    def check_varies(self, total: Moments) -> None:
        """Refuse parameters that are constant."""
        constant = np.flatnonzero(np.diagonal(total.cov("g")[0]) == 0)
        if constant.size:
            raise ValueError(
                f"G returned by {type(self.augmentation).__name__} is constant in column {constant.tolist()}: a "
                "constant parameter moves nothing. Return only parameters that vary."
            )


@dataclass(frozen=True, kw_only=True)
class ClosedForm(Moved):
    """All of the augmentation's law at once: on moments, or with features over the nodes of a quadrature."""

    @property
    def first_stage_known(self) -> bool:
        return self.features is None

    def held(self) -> Self:
        return self if self.features is None else super().held()

    def draws(self) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        yield from self.augmentation.nodes(self.X, self.names)

    def to_cover(self) -> FloatArray:
        return np.vstack([self.X, *(GX for GX, _, _ in self.draws())])

    def copies(self) -> Iterator[Copy]:
        if self.features is not None:
            yield from super().copies()
        else:
            yield Copy(self.X, np.empty((len(self.X), 0)), self.X, 1.0)

    def collect(self, folds: np.ndarray | None = None) -> tuple[Moments, Moments]:
        if self.features is not None:
            return super().collect(folds)
        moments = self.own_moments(folds)
        return moments, moments

    def stage(self, moments: Moments, total: Moments) -> FirstStage:
        return super().stage(moments, total) if self.features is not None else self.augmentation.first_stage(moments)

    def stages(self, moments: Moments, total: Moments) -> tuple[FirstStage, BoolArray] | None:
        if self.features is not None:
            return super().stages(moments, total)
        if not self.augmentation.translates:
            return None
        steps = self.augmentation.parameters(moments.blocks["x"], moments.names["x"])
        factor = np.broadcast_to(steps, (len(moments), *steps.shape))
        none = np.zeros((*factor.shape[:2], self.y.shape[1]))
        return FirstStage(moments.cov("x"), moments.cov("x", "y"), factor, none, added=True), np.ones(
            len(moments), bool
        )


@dataclass(frozen=True, kw_only=True)
class Paired(Moved):
    """Copies that are drawn, each paired with its original.

    Attributes
    ----------
    n_copies : int
    rng : numpy.random.Generator
        State before the first copy, so that copies can be drawn again; never advanced.
    """

    n_copies: int
    rng: np.random.Generator

    @property
    def first_stage_known(self) -> bool:
        # Pairing a translation finds its directions exactly, and the law of its steps is declared.
        return self.features is None and self.augmentation.translates

    def draws(self) -> Iterator[tuple[FloatArray, FloatArray, float]]:
        rng = copy.deepcopy(self.rng)
        for _ in range(self.n_copies):
            yield *self.augmentation.draw(self.X, rng, self.names), 1.0 / self.n_copies

    def to_cover(self) -> FloatArray:
        return np.vstack([self.X, next(self.draws())[0]])


@dataclass(frozen=True, kw_only=True)
class Sampled(Paired):
    """Copies that are drawn, and regressed on G as if their originals were not known: for comparison."""

    @property
    def first_stage_known(self) -> bool:
        return False

    def explained(self, rows: FloatArray, original: FloatArray) -> FloatArray:
        return rows

    def blocks(self, each: Copy) -> dict[str, Any]:
        return {"x": each.x, "y": self.y, "g": each.g}

    def stage(self, moments: Moments, total: Moments) -> FirstStage:
        self.check_varies(total)
        return FirstStage.from_moments(total)

    def stages(self, moments: Moments, total: Moments) -> tuple[FirstStage, BoolArray] | None:
        return _regressed(total)


class WholeReaction(Moved):
    r"""The whole reaction :math:`E(\delta'h)^2` is penalised, however the parameters are written.

    Its null space is the invariance itself: a vector of coefficients has none exactly if no copy changes a prediction.
    What G explains of the reaction depends on which functions of the parameters G holds, and is zero for a rotation of
    features about their mean.
    """

    @property
    def first_stage_known(self) -> bool:
        return False

    @property
    def restricts(self) -> bool:
        return True

    def blocks(self, each: Copy) -> dict[str, Any]:
        return {"x": each.x, "y": self.y, "z": each.z}

    def reading(self, moments: Moments, total: Moments) -> Reading:
        return replace(super().reading(moments, total), whole=True)

    def stage(self, moments: Moments, total: Moments) -> FirstStage:
        factor = symmetric_root(total.second_moment("z")[0])
        none = np.zeros((len(factor), self.y.shape[1]))
        return FirstStage(total.cov("x")[0], total.cov("x", "y")[0], factor, none, added=False)

    def stages(self, moments: Moments, total: Moments) -> tuple[FirstStage, BoolArray] | None:
        return None  # the rank of a reaction is told with care

    def centred(self, reading: Reading) -> Iterator[Centred]:
        total = reading.total
        y = self.y - total.mean("y")[0]
        none = np.empty((len(y), 0))
        for each in self.copies():
            yield Centred(each.x - total.mean("x")[0], y, none, each.z, np.zeros_like(y), each.share)


@dataclass(frozen=True, kw_only=True)
class PairedReaction(WholeReaction, Paired):
    """Copies that are drawn, each paired with its original; the whole reaction is penalised."""


@dataclass(frozen=True, kw_only=True)
class NodesReaction(WholeReaction, ClosedForm):
    """All nodes of the augmentation's law over features; the whole reaction is penalised."""


@dataclass(frozen=True, kw_only=True)
class Instruments(RowDesign):
    """Rows with instruments.

    Attributes
    ----------
    instruments : ndarray of shape (n, q)
    instrument_names : tuple of str or None
    """

    instruments: FloatArray
    instrument_names: tuple[str, ...] | None = None

    moves: ClassVar[bool] = False

    def copies(self) -> Iterator[Copy]:
        rows = self.expand(self.X)
        yield Copy(rows, self.instruments, rows, 1.0)

    def collect(self, folds: np.ndarray | None = None) -> tuple[Moments, Moments]:
        moments = self.own_moments(folds, g=named(self.instruments, self.instrument_names))
        return moments, moments

    def stage(self, moments: Moments, total: Moments) -> FirstStage:
        return FirstStage.from_moments(moments)

    def stages(self, moments: Moments, total: Moments) -> tuple[FirstStage, BoolArray] | None:
        return _regressed(moments)

    @staticmethod
    def read_moments(moments: Moments, slopes: ControlSlopes | None = None) -> Reading:
        """A reading of moments with instruments in block ``g``, controls partialled out before."""
        return Reading(moments, FirstStage.from_moments(moments), moments, slopes=slopes)

    def least_squares_form(
        self, reading: Reading, path: IVLikePath, alpha: float, *, exactly: bool
    ) -> tuple[FloatArray, FloatArray] | None:
        if np.isinf(alpha):
            return (self.expand(self.X) - reading.moments.mean("x")[0]) @ path.basis, path.basis
        if alpha != 0 or not path.moved.all() or (exactly and len(reading.stage.factor) > len(path.moved)):
            return None
        g = (self.instruments - reading.moments.mean("g")[0]) @ whitener(reading.moments.cov("g")[0])
        return g @ reading.stage.factor @ path.basis, path.basis


@dataclass(frozen=True, kw_only=True)
class Copies(Instruments):
    """Rows that are augmented copies already, with the parameters that moved them; `groups` are their sources."""

    def check_units(self) -> None:
        if self.groups is None:
            raise ValueError(
                "Rows that are augmented copies are clusters, not samples: pass groups= (the source row of each) to "
                "fit for standard errors. If no source has two copies, say groups=range(n)."
            )

    def check_folds(self, folds: np.ndarray) -> None:
        source = self.groups
        assert source is not None
        first = np.full(int(source.max()) + 1, -2)
        first[source[::-1]] = folds[::-1]
        parted = int(np.unique(source[folds != first[source]]).size)
        if parted:
            raise ValueError(
                f"cv parts the copies of {parted} source rows between folds, so a fold is judged by copies of what it "
                "was trained on. Use a splitter that respects groups, such as GroupKFold, or a number of folds."
            )

    def least_squares_form(
        self, reading: Reading, path: IVLikePath, alpha: float, *, exactly: bool
    ) -> tuple[FloatArray, FloatArray] | None:
        return None

    def independent(self, rows: FloatArray) -> tuple[FloatArray, np.ndarray | None]:
        # Copies of a row are one observation, in the degrees of freedom too.
        return (rows, None) if self.groups is None else (by_source(rows, self.groups), None)


def _regressed(moments: Moments) -> tuple[FirstStage, BoolArray]:
    """`FirstStage.from_moments` of every cell, in a stack, and which are sound."""
    root, sound = inverse_roots(moments.cov("g"))
    factor, outcome = (root @ moments.cov("g", block) for block in ("x", "y"))
    return FirstStage(moments.cov("x"), moments.cov("x", "y"), factor, outcome, added=False), sound


def by_source(rows: FloatArray, source: np.ndarray) -> FloatArray:
    """Sums over the rows of each source (n_sources, ...)."""
    summed = np.zeros((int(source.max()) + 1, *rows.shape[1:]))
    np.add.at(summed, source, rows)
    return summed
