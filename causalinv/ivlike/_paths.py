"""Many paths at once: first stages in a stack, by batched linear algebra.

A first stage of a stack has one more dimension in front, (N, ...). All are like one that was decomposed with care: its
units and its split into coordinates that are moved and that are not are kept where they hold. What is not so, or not
well conditioned, is not `sound`: its numbers mean nothing, and it is decomposed by `IVLikePath.from_first_stage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalinv._matrix import WELL_CONDITIONED, inverse_roots
from causalinv._typing import BoolArray, FloatArray
from causalinv.ivlike._path import STRENGTH_TOL, IVLikePath, condition_of, split_of, units_of
from causalinv.transformations import FirstStage

__all__ = ["Paths", "Split", "paths_like"]


@dataclass(frozen=True, eq=False)
class Paths:
    """Solutions for all strengths of a stack; attributes as in `IVLikePath`.

    Attributes
    ----------
    basis : ndarray of shape (N, d, r)
    strength : ndarray of shape (N, r)
    moved : ndarray of bool, shape (r,)
    outcome, explained : ndarray of shape (N, r, p)
    sound : ndarray of bool, shape (N,)
    """

    basis: FloatArray
    strength: FloatArray
    moved: BoolArray
    outcome: FloatArray
    explained: FloatArray
    sound: BoolArray

    def coefs(self, alphas: FloatArray) -> FloatArray:
        """Coefficients (N, p, d, m) at many strengths >= 0, limits included."""
        finite = np.where(np.isinf(alphas), 1.0, alphas)
        gain = np.where(self.moved, self.strength, 1.0)[:, :, None] + finite
        np.divide(1.0, gain, out=gain)
        gain[:, :, np.isinf(alphas)] = 0.0
        turned = np.where(self.moved[:, None], self.explained - self.strength[:, :, None] * self.outcome, 0.0)
        coefs = (self.basis[:, None] * np.swapaxes(turned, 1, 2)[:, :, None]) @ gain[:, None]
        coefs += np.swapaxes(self.basis @ self.outcome, 1, 2)[..., None]  # those at infinity
        return np.asarray(coefs)

    def one(self, i: int, stage: FirstStage, split: Split) -> IVLikePath:
        """One of them, by its first stage and the split they are like."""
        parts = (self.basis[i], self.strength[i], self.moved, self.outcome[i], self.explained[i])
        return IVLikePath(*parts, len(stage.factor), condition_of(self.basis[i] * split.scale[:, None]))


@dataclass(frozen=True)
class Split:
    """Coefficients that the instruments do not move, and those that they do, in units of `scale` (d,).

    Bases have shape (d, .), or (N, d, .) if every first stage of a stack has its own.
    """

    scale: FloatArray
    still: FloatArray
    moving: FloatArray

    @classmethod
    def of(cls, stage: FirstStage) -> Split:
        """The split of a first stage."""
        scale = units_of(stage.variance, stage.factor)
        return cls(scale, *split_of(stage.factor / scale, declared=stage.added))

    def _scaled(self, stages: FirstStage, ridge: float) -> tuple[Split, FirstStage, BoolArray]:
        """The stack in these units, with `ridge`; the split anew if it is another."""
        inside = 1.0 / self.scale
        variance = stages.variance * (inside[:, None] * inside)
        if ridge:
            variance[:, np.arange(len(inside)), np.arange(len(inside))] += ridge * inside**2
        factor = stages.factor * inside
        split, sound = self, np.ones(len(variance), bool)
        leak, size = (np.abs(part).max(axis=(1, 2), initial=0.0) for part in (factor @ self.still, factor))
        if (leak > STRENGTH_TOL * size).any():
            split, sound = self._turned(factor, declared=stages.added)
        return split, replace(stages, variance=variance, cross=stages.cross * inside[:, None], factor=factor), sound

    def _turned(self, factor: FloatArray, *, declared: bool) -> tuple[Split, BoolArray]:
        """Splits of their own: complements of instruments that are independent."""
        q = factor.shape[1]
        if q != self.moving.shape[1]:
            return self, np.zeros(len(factor), bool)
        rows = factor / np.linalg.norm(factor, axis=2, keepdims=True) if declared else factor
        basis, upper = np.linalg.qr(np.swapaxes(rows, 1, 2), mode="complete")
        size = np.abs(np.diagonal(upper, axis1=1, axis2=2))
        sound = size.min(axis=1) > WELL_CONDITIONED * size.max(axis=1)
        return replace(self, still=basis[:, :, q:], moving=basis[:, :, :q]), sound

    def coefs(self, stages: FirstStage, alphas: FloatArray, *, ridge: float = 0.0) -> tuple[FloatArray, BoolArray]:
        """Coefficients (N, d, p), each at its own strength (N,) >= 0 by one linear system, and which are sound."""
        split, scaled, sound = self._scaled(stages, ridge)
        coefs = np.empty_like(scaled.cross)
        limit = alphas == 0
        for at, solve in ((~limit, split._inside), (limit, split._limit)):
            if at.any():
                coefs[at], good = solve(scaled if at.all() else scaled.take(at), at, alphas[at])
                sound[at] &= good
        return coefs / self.scale[:, None], sound

    def _inside(self, scaled: FirstStage, at: BoolArray, alphas: FloatArray) -> tuple[FloatArray, BoolArray]:
        turned = np.swapaxes(scaled.factor, 1, 2)
        explained, gain = turned @ scaled.factor, 1.0 / alphas[:, None, None]
        share = gain + 1.0 if scaled.added else gain
        return _solved(scaled.variance + share * explained, scaled.cross + gain * (turned @ scaled.outcome))

    def _limit(self, scaled: FirstStage, at: BoolArray, alphas: FloatArray) -> tuple[FloatArray, BoolArray]:
        turned = np.swapaxes(scaled.factor, 1, 2)
        if not self.still.shape[-1]:
            return _solved(turned @ scaled.factor, turned @ scaled.outcome)
        back = self.still if self.still.ndim == 2 else self.still[at]
        front = np.swapaxes(back, -1, -2)
        inner, sound = _solved(front @ scaled.variance @ back, front @ scaled.cross)
        return back @ inner, sound & ~scaled.outcome.any(axis=(1, 2))  # what moves counts too, then

    def paths(self, stages: FirstStage, *, ridge: float = 0.0) -> Paths:
        """One generalised eigendecomposition each."""
        split, scaled, sound = self._scaled(stages, ridge)
        still, moving, variance = split.still, split.moving, scaled.variance
        pushes, across = scaled.factor @ moving, np.swapaxes(moving, -1, -2)
        rest, inner = moving, across @ variance @ moving
        k = still.shape[-1]
        if k:
            root, good = inverse_roots(np.swapaxes(still, -1, -2) @ variance @ still)
            fixed = still @ np.swapaxes(root, 1, 2)
            shared = np.swapaxes(fixed, 1, 2) @ variance @ moving
            rest, inner = moving - fixed @ shared, inner - np.swapaxes(shared, 1, 2) @ shared
            sound &= good
        if scaled.added:
            inner = inner + np.swapaxes(pushes, 1, 2) @ pushes
        root, good = inverse_roots(inner)
        back = np.swapaxes(root, 1, 2)
        half = pushes @ back
        strength, turn = np.linalg.eigh(np.swapaxes(half, 1, 2) @ half)
        least, most = strength.min(axis=1, initial=1.0), strength.max(axis=1, initial=0.0)
        sound &= good & (least >= WELL_CONDITIONED * most) & (least > 0)
        turn = back @ turn
        basis = rest @ turn if not k else np.concatenate([fixed, rest @ turn], axis=2)
        none = np.zeros((len(basis), k, scaled.cross.shape[2]))
        explained = np.swapaxes(pushes @ turn, 1, 2) @ scaled.outcome
        return Paths(
            basis=basis / self.scale[:, None],
            strength=np.concatenate([none[:, :, 0], strength], axis=1),
            moved=np.arange(basis.shape[2]) >= k,
            outcome=np.swapaxes(basis, 1, 2) @ scaled.cross,
            explained=np.concatenate([none, explained], axis=1),
            sound=sound,
        )


def paths_like(stages: Sequence[FirstStage], split: Split, *, ridge: float = 0.0) -> list[IVLikePath]:
    """The same as `IVLikePath.from_first_stage`, several times faster for moments like those of `split`."""
    paths = split.paths(FirstStage.stack(stages), ridge=ridge)
    return [
        paths.one(i, stage, split) if sound else IVLikePath.from_first_stage(stage, ridge=ridge)
        for i, (stage, sound) in enumerate(zip(stages, paths.sound, strict=True))
    ]


def _solved(matrix: FloatArray, right: FloatArray) -> tuple[FloatArray, BoolArray]:
    root, sound = inverse_roots(matrix)
    return np.swapaxes(root, 1, 2) @ (root @ right), sound
