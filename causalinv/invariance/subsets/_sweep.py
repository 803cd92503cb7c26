r"""All subsets of features at once: risks in every environment, without forming a coefficient.

Features are taken one at a time. A batch of reduced moment matrices is doubled: in one half the feature is dropped, in
the other it is eliminated, and its row and column leave in both. Eliminating it by a regression of one's own (a Schur
complement) leaves that regression's least risk; eliminating it by somebody else's regression, as a congruence, leaves
the risk that the other's coefficients have here. Over all subsets the work is a constant per subset and environment, as
the matrices shrink while their number doubles.

Three regressions are followed: each environment's own, the pooled one, and, if asked for, the one on all other
environments, which never saw the environment in which its risk is taken.

Moments are taken about the pooled mean: an environment whose mean lies S standard deviations away costs about S² in
digits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from causalinv._typing import FloatArray, IntArray
from causalinv.invariance.subsets._sets import PackedSets, pack
from causalinv.moments import Moments

__all__ = ["MASK_BITS", "MAX_FEATURES", "Batch", "SubsetStatistics", "start", "sweep"]

MAX_FEATURES = 30  # all subsets of more are out of question
MASK_BITS = 62  # features that a bit mask can hold
_BLOCK = 11  # features expanded as one batch of 2^11 subsets: stays in cache
_PIVOT_TOL = 1e-10  # of a feature's variance: below, it depends on those already in
_PAIRS_TO = 4  # sets of at most so many features: their last two in closed form


@dataclass(frozen=True)
class SubsetStatistics:
    """Statistics of many subsets of features, all with an intercept.

    Attributes
    ----------
    packed : ndarray of uint8, shape (n, ceil(d / 8))
        Subsets as bits: feature j is in the subset if bit j % 8 of byte j // 8 is set.
    own_risk : ndarray of shape (n, E)
        Least mean squared error within each environment, with coefficients of its own.
    pooled_risk : ndarray of shape (n, E)
        Mean squared error, in each environment, of the coefficients fitted to all environments together.
    shift : ndarray of shape (n, E)
        Mean residual of those coefficients in each environment.
    left_out_risk : ndarray of shape (n, E), or (n, 0) if not asked for
        Mean squared error, in each environment, of the coefficients fitted to all *other* environments together.
    rank : ndarray of int, shape (n, E + 1), optional
        Features of the set that are neither constant nor combinations of others, in each environment and (last) in all
        together; left out, every feature counts.
    """

    packed: PackedSets
    own_risk: FloatArray
    pooled_risk: FloatArray
    shift: FloatArray
    left_out_risk: FloatArray
    rank: IntArray = None  # type: ignore[assignment]  # never None once built

    def __post_init__(self) -> None:
        if self.rank is None:
            E = self.own_risk.shape[1]
            object.__setattr__(self, "rank", np.repeat(self.sizes[:, None], E + 1, axis=1).astype(np.int16))

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients that the pooled regression has, the intercept included, shape (n,)."""
        return self.rank[:, -1].astype(int) + 1

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def masks(self) -> np.ndarray:
        """Subsets as integers (bit j is feature j), shape (n,); for at most 62 features."""
        if self.packed.shape[1] > 8:
            raise ValueError(f"Sets of more than {MASK_BITS} features do not fit an integer; read `packed`.")
        full = np.zeros((len(self), 8), np.uint8)
        full[:, : self.packed.shape[1]] = self.packed
        return full.view("<i8")[:, 0].astype(np.int64)

    @property
    def sizes(self) -> np.ndarray:
        """Number of features in each subset, shape (n,)."""
        return np.bitwise_count(self.packed).sum(axis=1, dtype=int)

    @property
    def excess(self) -> FloatArray:
        """What the pooled coefficients lose against each environment's own, shape (n, E); >= 0 up to rounding."""
        return self.pooled_risk - self.own_risk

    def take(self, which: np.ndarray) -> SubsetStatistics:
        """Some of the subsets, by positions or a mask."""
        return SubsetStatistics(*(getattr(self, name)[which] for name in _FIELDS))

    @classmethod
    def concatenate(cls, parts: Iterable[SubsetStatistics]) -> SubsetStatistics:
        """Join pieces, sorted by the bits read as a number."""
        held = list(parts)
        joined = cls(*(np.concatenate([getattr(part, name) for part in held]) for name in _FIELDS))
        if joined.packed.shape[1] <= 8:
            return joined.take(np.argsort(joined.masks, kind="stable"))
        return joined.take(np.lexsort(joined.packed.T))


_FIELDS = ("packed", "own_risk", "pooled_risk", "shift", "left_out_risk", "rank")


@dataclass(frozen=True)
class Batch:
    """Reduced moments of a batch of subsets over the features not yet decided, the outcome last.

    The regressions that are followed come first (each environment's own, the pooled one, those on all others), then
    what they meet in the environments.
    """

    inside: np.ndarray  # (n, d) bool
    fits: FloatArray  # (n, F, r, r) of the regressions: E own, 1 pooled, E or 0 on all others
    seen: FloatArray  # (n, T, r, r) of environments under another's regression: E pooled, E or 0 left out
    shift: FloatArray  # (n, E, r) means under the pooled regression
    floor: FloatArray  # (F, r - 1) variance below which a feature counts as dependent on those in
    rest: np.ndarray  # (r - 1,) positions of the features not yet decided
    under: np.ndarray  # (T,) which regression each of `seen` is under
    rank: np.ndarray  # (n, E + 1) features in that count, in each own regression and in the pooled one

    @property
    def n_environments(self) -> int:
        """Number of environments E."""
        return self.shift.shape[1]

    def drop(self) -> Batch:
        """Decide that the next feature is out."""
        return replace(
            self,
            fits=self.fits[..., 1:, 1:],
            seen=self.seen[..., 1:, 1:],
            shift=self.shift[..., 1:],
            floor=self.floor[:, 1:],
            rest=self.rest[1:],
        )

    def eliminate(self) -> Batch:
        """Decide that the next feature is in; one that depends on those already in changes nothing."""
        pivot = self.fits[..., :1, :1]
        safe = pivot > self.floor[:, :1, None]
        row = self.fits[..., :1, 1:]
        ratio = np.where(safe, row / np.where(safe, pivot, 1.0), 0.0)  # (n, F, 1, r - 1)
        fits = self.fits[..., 1:, 1:] - np.swapaxes(ratio, -1, -2) * row
        v = ratio[:, self.under]
        product = np.swapaxes(v, -1, -2) * self.seen[..., :1, 1:]
        seen = self.seen[..., 1:, 1:] - product - np.swapaxes(product, -1, -2)
        seen += self.seen[..., :1, :1] * (np.swapaxes(v, -1, -2) * v)
        inside = self.inside.copy()
        inside[:, self.rest[0]] = True
        shift = self.shift[..., 1:] - ratio[:, self.n_environments] * self.shift[..., :1]
        rank = self.rank + safe[:, : self.n_environments + 1, 0, 0]
        return Batch(inside, fits, seen, shift, self.floor[:, 1:], self.rest[1:], self.under, rank)

    def forward(self, at: np.ndarray) -> Batch:
        """The same with some of the features not yet decided moved to the front, in this order."""
        others = np.setdiff1d(np.arange(len(self.rest)), at)
        order = np.r_[at, others].astype(int)
        full = np.r_[order, len(self.rest)]
        return replace(
            self,
            fits=self.fits[..., full[:, None], full],
            seen=self.seen[..., full[:, None], full],
            shift=self.shift[..., full],
            floor=self.floor[:, order],
            rest=self.rest[order],
        )

    def take(self, which: np.ndarray) -> Batch:
        """Some members of the batch."""
        return replace(
            self,
            inside=self.inside[which],
            fits=self.fits[which],
            seen=self.seen[which],
            shift=self.shift[which],
            rank=self.rank[which],
        )

    def join(self, other: Batch) -> Batch:
        """Both batches as one."""
        fields = ("inside", "fits", "seen", "shift", "rank")
        parts = {f: np.concatenate([getattr(self, f), getattr(other, f)]) for f in fields}
        return replace(self, **parts)

    def finished(self) -> SubsetStatistics:
        """Statistics once every remaining feature is out."""
        E = self.n_environments
        return SubsetStatistics(
            pack(self.inside),
            self.fits[:, :E, -1, -1],
            self.seen[:, :E, -1, -1],
            self.shift[..., -1],
            self.seen[:, E:, -1, -1],
            self.rank,
        )

    def singles(self) -> SubsetStatistics:
        """Statistics of each member with one more feature, by feature, in closed form."""
        n, r = len(self.inside), len(self.rest)
        E, everyone = self.n_environments, np.arange(r)
        pivot, cross = self.fits[..., everyone, everyone], self.fits[..., everyone, r]
        safe = pivot > self.floor
        v = np.where(safe, cross / np.where(safe, pivot, 1.0), 0.0)  # (n, F, r)
        own = self.fits[:, :E, r, r, None] - v[:, :E] * cross[:, :E]
        w = v[:, self.under]
        seen = self.seen[..., r, r, None] + w * (
            w * self.seen[..., everyone, everyone] - 2.0 * self.seen[..., everyone, r]
        )
        shift = self.shift[..., r, None] - v[:, E, None] * self.shift[..., :r]
        inside = np.repeat(self.inside, r, axis=0)
        inside[np.arange(n * r), np.tile(self.rest, n)] = True
        return _flat(inside, own, seen, shift, self.rank[..., None] + safe[:, : E + 1])

    def pairs(self) -> SubsetStatistics:
        """Statistics of each member with two more features, in closed form."""
        n, r = len(self.inside), len(self.rest)
        E = self.n_environments
        i, j = np.triu_indices(r, 1)
        fits = self.fits
        pivot = fits[..., i, i]
        safe = pivot > self.floor[:, i]
        ratio = np.where(safe, fits[..., i, j] / np.where(safe, pivot, 1.0), 0.0)
        first = np.where(safe, fits[..., i, r] / np.where(safe, pivot, 1.0), 0.0)
        left = fits[..., j, j] - ratio * fits[..., i, j]
        cross = fits[..., j, r] - ratio * fits[..., i, r]
        usable = left > self.floor[:, j]
        b = np.where(usable, cross / np.where(usable, left, 1.0), 0.0)
        a = first - ratio * b
        own = fits[:, :E, r, r, None] - first[:, :E] * fits[:, :E, i, r] - b[:, :E] * cross[:, :E]
        u, w, seen = a[:, self.under], b[:, self.under], self.seen
        met = seen[..., r, r, None] + u * (u * seen[..., i, i] + 2.0 * (w * seen[..., i, j] - seen[..., i, r]))
        met += w * (w * seen[..., j, j] - 2.0 * seen[..., j, r])
        shift = self.shift[..., r, None] - a[:, E, None] * self.shift[..., i] - b[:, E, None] * self.shift[..., j]
        inside = np.repeat(self.inside, len(i), axis=0)
        inside[np.arange(len(inside)), np.tile(self.rest[i], n)] = True
        inside[np.arange(len(inside)), np.tile(self.rest[j], n)] = True
        rank = self.rank[..., None] + safe[:, : E + 1] + usable[:, : E + 1]
        return _flat(inside, own, met, shift, rank)


def _flat(
    inside: np.ndarray, own: FloatArray, seen: FloatArray, shift: FloatArray, rank: np.ndarray
) -> SubsetStatistics:
    """Statistics (n, E, m) of n members and m choices, member by member."""
    own, seen, shift, rank = (np.swapaxes(x, 1, 2).reshape(-1, x.shape[1]) for x in (own, seen, shift, rank))
    E = own.shape[1]
    return SubsetStatistics(pack(inside), own, seen[:, :E], shift, seen[:, E:], rank)


def start(moments: Moments, *, left_out: bool = False) -> Batch:
    """The empty set, every feature undecided.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` (d features) and ``y`` (one outcome), one cell per environment.
    left_out : bool, default False
        Whether to follow the regressions on all other environments; needs two environments.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If there are several outcomes.
    """
    d, p = moments.blocks["x"], moments.blocks["y"]
    if p != 1:
        raise ValueError(f"y must be a single outcome, got {p} columns.")
    # Features in units near their spread, powers of two: no unit over- or underflows, and no digit changes.
    spread = np.sqrt(np.diag(moments.pooled.cov("x")[0]))
    unit = np.r_[np.where(spread > 0, np.exp2(-np.frexp(spread)[1].astype(float)), 1.0), 1.0]
    own = moments.cov(("x", "y")) * unit[:, None] * unit
    share = moments.share
    mean = moments.mean(("x", "y")) * unit
    shift = (mean - mean[:1]) - share @ (mean - mean[:1])
    seen = own + shift[:, :, None] * shift[:, None, :]
    pooled = np.tensordot(share, seen, axes=1)
    fits, met = [own, pooled[None]], [seen]
    if left_out:
        # All others together: their mean is on the other side of the pooled one.
        others = (1.0 - share)[:, None]
        away = shift / others
        second = (pooled - share[:, None, None] * seen) / others[:, :, None]
        centre = away * share[:, None]
        fits.append(second - centre[:, :, None] * centre[:, None, :])
        met.append(own + away[:, :, None] * away[:, None, :])
    everything = np.concatenate(fits)
    E = len(moments)
    variance = np.diagonal(everything, axis1=1, axis2=2)[:, :d]
    # A feature that is one number up to rounding, as 0.3 and 0.1 + 0.2, says nothing even where means differ by that.
    still = np.diag(moments.pooled.scatter("x")[0]) == 0
    return Batch(
        np.zeros((1, d), bool),
        everything[None],
        np.concatenate(met)[None],
        shift[None],
        np.where(still, np.inf, _PIVOT_TOL * variance),
        np.arange(d),
        np.r_[np.full(E, E), np.arange(E + 1, len(everything))],
        np.zeros((1, E + 1), np.int16),
    )


def sweep(moments: Moments, *, max_size: int | None = None, left_out: bool = False) -> Iterator[SubsetStatistics]:
    """Statistics of all subsets of the features, in pieces.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` (d features) and ``y`` (one outcome), one cell per environment; a sample's or a population's.
    max_size : int, optional
        Only subsets of at most so many features.
    left_out : bool, default False
        Whether to compute `left_out_risk` too, at about twice the cost.

    Yields
    ------
    SubsetStatistics
        Each subset exactly once.

    Raises
    ------
    ValueError
        If there are too many subsets, or several outcomes.
    """
    d = moments.blocks["x"]
    if d > MAX_FEATURES and max_size is None:
        raise ValueError(f"{d} features have 2^{d} subsets, too many to search; limit them by max_size.")
    if d > MASK_BITS and max_size is not None and max_size > _PAIRS_TO:
        raise ValueError(
            f"Sets of up to {max_size} of {d} features are too many to search; limit max_size to {_PAIRS_TO}."
        )
    batch = start(moments, left_out=left_out)
    if max_size is not None and max_size <= _PAIRS_TO and d > _BLOCK:
        yield from _by_pairs(batch, max_size)
    else:
        yield from _expand(batch, d if max_size is None else min(max_size, d))


def _by_pairs(batch: Batch, room: int) -> Iterator[SubsetStatistics]:
    """Sets of at most `room` more features: eliminate all but the last two, and take these in closed form."""
    yield batch.finished()
    if room == 0 or not len(batch.rest):
        return
    if room <= 2:
        yield batch.singles()
        if room == 2 and len(batch.rest) > 1:
            yield batch.pairs()
        return
    while len(batch.rest):
        yield from _by_pairs(batch.eliminate(), room - 1)
        batch = batch.drop()


def _expand(batch: Batch, room: int) -> Iterator[SubsetStatistics]:
    """Depth first until few features are left, then all of their subsets in one batch; `room` more may come in."""
    left = len(batch.rest)
    if room == 0 or left == 0:
        yield batch.finished()
        return
    if left > _BLOCK:
        yield from _expand(batch.drop(), room)
        yield from _expand(batch.eliminate(), room - 1)
        return
    base = int(batch.inside[0].sum())
    done = []
    for _ in range(left):
        grown = batch.eliminate()
        full = grown.inside.sum(axis=1) - base >= room
        if full.any():
            done.append(grown.take(full).finished())
            grown = grown.take(~full)
        batch = batch.drop().join(grown)
    yield SubsetStatistics.concatenate(itertools.chain(done, [batch.finished()]))
