"""Fingerprints of rows: whether rows trained an estimator can be asked later, without keeping the rows.

A fingerprint is 64 bits of the entries of one row, whatever the order of rows, the labels or the container. The
smallest ones are kept, so a part of the rows is recognised as well as all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from causalinv._typing import FloatArray, Rows

__all__ = ["Fingerprints", "Repeats", "fingerprints"]

_KEPT = 200_000  # fingerprints of one estimator: 1.6 MB
_LOST = np.uint64(23)  # bits of 53 of an entry that do not count, so that the rounding of a step before does not
_BLOCK = 1 << 17  # entries looked at together: what fits into a cache
_COARSE = 0.05  # share of rows with a twin from which rows are too coarse to tell a repeat from chance
_CHANCE = 1e-6  # probability below which repeats are not chance


@dataclass(frozen=True)
class Repeats:
    """How many of some rows are also among others, and what that says."""

    found: int
    of: int
    coarse: bool
    beyond_chance: bool


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Fingerprints of rows: sorted (of many rows, the smallest), the entries of a row, whether every row is there."""

    prints: NDArray[np.uint64]
    width: int
    complete: bool = True

    def repeats(self, rows: FloatArray) -> Repeats:
        """How many of these rows were among those that the fingerprints are of."""
        asked = _hashed(rows)
        if not self.complete:
            asked = asked[asked <= self.prints[-1]]
        found = int(np.isin(asked, self.prints).sum()) if rows.shape[1] == self.width else 0
        n, m = max(len(self.prints), 1), len(asked)
        # Pairs of equal rows within either set say how often equal rows come about by chance.
        twins, pairs = (sum(each) for each in zip(_twins(self.prints), _twins(np.sort(asked)), strict=True))
        expected = (pairs + 3.0) / (n * n / 2.0 + m * m / 2.0) * n * m
        return Repeats(found, m, bool(twins > _COARSE * (n + m)), bool(found > poisson.isf(_CHANCE, expected)))


def fingerprints(*blocks: Rows) -> Fingerprints:
    """Fingerprints of rows of finite numbers, blocks side by side, for example features and outcome."""
    arrays = [np.asarray(block, dtype=np.float64) for block in blocks]
    arrays = [array.reshape(len(array), -1) for array in arrays]
    prints = np.sort(_hashed(*arrays))
    return Fingerprints(prints[:_KEPT].copy(), sum(array.shape[1] for array in arrays), len(prints) <= _KEPT)


def _hashed(*blocks: FloatArray) -> NDArray[np.uint64]:
    sums, before = np.zeros(len(blocks[0]), dtype=np.uint64), 0
    for block in blocks:
        width = block.shape[1]
        odd = _mixed(np.arange(before, before + width, dtype=np.uint64)) | np.uint64(1)  # another one for every column
        size, before = max(_BLOCK // max(width, 1), 1), before + width
        for at in range(0, len(block), size):
            sums[at : at + size] += _spread(block[at : at + size], odd)
    return _mixed(sums)


def _spread(rows: FloatArray, odd: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A sum over the columns of each row, in which every entry is multiplied and folded."""
    entries = np.ascontiguousarray(rows + 0.0).view(np.uint64)  # -0.0 is 0.0
    entries += np.uint64(1) << (_LOST - np.uint64(1))  # rounds; a carry goes to the exponent, as it should
    entries >>= _LOST
    entries *= odd
    entries ^= entries >> np.uint64(32)
    return np.asarray(entries.sum(axis=1, dtype=np.uint64))


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: every bit of the result depends on every bit."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))


def _twins(ordered: NDArray[np.uint64]) -> tuple[int, float]:
    """Rows that have an equal one in the same set, and pairs of equal rows."""
    if not len(ordered):
        return 0, 0.0
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    return int(sizes[sizes > 1].sum()), float(np.sum(sizes * (sizes - 1.0) / 2.0))
