r"""All subsets of features at once: risks in every environment, without forming a coefficient.

Features are taken one at a time. A batch of reduced moment matrices is doubled: in one half the feature is dropped, in
the other it is eliminated, and its row and column leave in both. Eliminating it *within* an environment (a Schur
complement) leaves that environment's own least risk; eliminating it by the *pooled* regression, as a congruence of each
environment's moments, leaves the risk and the mean residual that the pooled coefficients have there. Over all subsets
the work is a constant per subset and environment, as the matrices shrink while their number doubles.

Moments are taken about the pooled mean: an environment whose mean lies S standard deviations away costs about S² in
digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalinv._typing import FloatArray
from causalinv.moments import Moments

__all__ = ["MASK_BITS", "MAX_FEATURES", "SubsetStatistics", "sweep"]

MAX_FEATURES = 30  # all subsets of more are out of question
MASK_BITS = 62  # features that a bit mask can hold
_BLOCK = 11  # features expanded as one batch of 2^11 subsets: stays in cache
_PIVOT_TOL = 1e-10  # of a feature's variance: below, it depends on those already in


@dataclass(frozen=True)
class SubsetStatistics:
    """Statistics of many subsets of features, all with an intercept.

    Attributes
    ----------
    masks : ndarray of int64, shape (n,)
        Subsets as bit masks: feature j is in the subset if bit j is set.
    own_risk : ndarray of shape (n, E)
        Least mean squared error within each environment, with coefficients of its own.
    pooled_risk : ndarray of shape (n, E)
        Mean squared error, in each environment, of the coefficients fitted to all environments together.
    shift : ndarray of shape (n, E)
        Mean residual of those coefficients in each environment.
    """

    masks: np.ndarray
    own_risk: FloatArray
    pooled_risk: FloatArray
    shift: FloatArray

    @property
    def sizes(self) -> np.ndarray:
        """Number of features in each subset, shape (n,)."""
        return np.bitwise_count(self.masks).astype(int)

    @property
    def excess(self) -> FloatArray:
        """What the pooled coefficients lose against each environment's own, shape (n, E); >= 0 up to rounding."""
        return self.pooled_risk - self.own_risk

    @classmethod
    def concatenate(cls, parts: list[SubsetStatistics]) -> SubsetStatistics:
        """Join pieces, sorted by mask."""
        masks = np.concatenate([part.masks for part in parts])
        order = np.argsort(masks)
        fields = ("own_risk", "pooled_risk", "shift")
        return cls(masks[order], *(np.concatenate([getattr(p, f) for p in parts])[order] for f in fields))


@dataclass(frozen=True)
class _Batch:
    """Reduced moments of a batch of subsets over the features not yet decided, the outcome last."""

    masks: np.ndarray  # (n,)
    own: FloatArray  # (n, E, r, r) Schur complements within environments
    pooled: FloatArray  # (n, E, r, r) second moments of residuals of the pooled regression
    shift: FloatArray  # (n, E, r) means of the same

    def drop(self) -> _Batch:
        """Decide that the next feature is out."""
        return _Batch(self.masks, self.own[..., 1:, 1:], self.pooled[..., 1:, 1:], self.shift[..., 1:])

    def eliminate(self, bit: int, share: FloatArray, floor: FloatArray) -> _Batch:
        """Decide that the next feature is in; one that depends on those already in changes nothing."""
        pivot = self.own[..., :1, :1]
        safe = pivot > floor[:-1, None, None]
        row = self.own[..., :1, 1:]
        ratio = np.where(safe, row / np.where(safe, pivot, 1.0), 0.0)
        own = self.own[..., 1:, 1:] - np.swapaxes(ratio, -1, -2) * row

        together = np.tensordot(self.pooled[..., 0, :], share, axes=([1], [0]))  # (n, r)
        usable = together[:, :1] > floor[-1]
        v = np.where(usable, together[:, 1:] / np.where(usable, together[:, :1], 1.0), 0.0)[:, None, :]
        first, cross = self.pooled[..., 0, 0, None, None], self.pooled[..., 0, 1:]
        product = v[..., :, None] * cross[..., None, :]
        pooled = self.pooled[..., 1:, 1:] - product - np.swapaxes(product, -1, -2)
        pooled += first * (v[..., :, None] * v[..., None, :])
        shift = self.shift[..., 1:] - v * self.shift[..., :1]
        return _Batch(self.masks | (1 << bit), own, pooled, shift)

    def take(self, which: np.ndarray) -> _Batch:
        """Some members of the batch."""
        return _Batch(self.masks[which], self.own[which], self.pooled[which], self.shift[which])

    def finished(self) -> SubsetStatistics:
        """Statistics once every remaining feature is out."""
        return SubsetStatistics(self.masks, self.own[..., -1, -1], self.pooled[..., -1, -1], self.shift[..., -1])

    @staticmethod
    def join(first: _Batch, second: _Batch) -> _Batch:
        """Both batches as one."""
        return _Batch(
            *(np.concatenate([getattr(first, f), getattr(second, f)]) for f in ("masks", "own", "pooled", "shift"))
        )


def sweep(moments: Moments, *, max_size: int | None = None) -> Iterator[SubsetStatistics]:
    """Statistics of all subsets of the features, in pieces of up to 2048 subsets.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` (d features) and ``y`` (one outcome), one cell per environment; a sample's or a population's.
    max_size : int, optional
        Only subsets of at most so many features.

    Yields
    ------
    SubsetStatistics
        Each subset exactly once.

    Raises
    ------
    ValueError
        If there are more features than bits for them, or several outcomes.
    """
    d, p = moments.mean("x").shape[1], moments.mean("y").shape[1]
    if d > MASK_BITS:
        raise ValueError(f"{d} features are more than the {MASK_BITS} that can be searched; choose features first.")
    if p != 1:
        raise ValueError(f"y must be a single outcome, got {p} columns.")
    if d > MAX_FEATURES and max_size is None:
        raise ValueError(f"{d} features have 2^{d} subsets, too many to search; limit them by max_size.")
    blocks = [[moments.cov(a, b) for b in ("x", "y")] for a in ("x", "y")]
    own = np.block(blocks)[None]
    share = moments.weight / moments.weight.sum()
    mean = np.concatenate([moments.mean("x"), moments.mean("y")], axis=1)
    shift = (mean - mean[:1]) - share @ (mean - mean[:1])
    pooled = own + shift[None, :, :, None] * shift[None, :, None, :]
    # Per feature: what counts as no variance left, in each environment and in all together (last row).
    variance = np.diagonal(own[0], axis1=1, axis2=2)[:, :d]
    floors = _PIVOT_TOL * np.vstack([variance, share @ np.diagonal(pooled[0], axis1=1, axis2=2)[:, :d]])
    start = _Batch(np.zeros(1, np.int64), own, pooled, shift[None])
    yield from _expand(start, 0, share, floors, d if max_size is None else max_size)


def _expand(
    batch: _Batch, feature: int, share: FloatArray, floors: FloatArray, room: int
) -> Iterator[SubsetStatistics]:
    """Depth first until few features are left, then all of their subsets in one batch; `room` more may come in."""
    d = floors.shape[1]
    if room == 0 or feature == d:
        yield batch.finished()
        return
    if d - feature > _BLOCK:
        yield from _expand(batch.drop(), feature + 1, share, floors, room)
        inside = batch.eliminate(feature, share, floors[:, feature])
        yield from _expand(inside, feature + 1, share, floors, room - 1)
        return
    base = int(np.bitwise_count(batch.masks[0]))
    done = []
    while feature < d:
        grown = batch.eliminate(feature, share, floors[:, feature])
        full = np.bitwise_count(grown.masks) - base >= room
        if full.any():
            done.append(grown.take(full).finished())
            grown = grown.take(~full)
        batch = _Batch.join(batch.drop(), grown)
        feature += 1
    yield SubsetStatistics.concatenate([*done, batch.finished()])
