"""Sets of features as bits: one byte for eight features, whatever their number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from causalinv._typing import BoolArray

__all__ = ["PackedSets", "as_tuples", "named_sets", "pack", "unpack"]

#: Sets of d features, shape (n, ceil(d / 8)): feature j is in set i if bit j % 8 of ``[i, j // 8]`` is set.
PackedSets = npt.NDArray[np.uint8]


def pack(inside: BoolArray) -> PackedSets:
    """Bits of a membership matrix (n, d)."""
    return np.packbits(inside, axis=1, bitorder="little")


def unpack(packed: PackedSets, d: int) -> BoolArray:
    """Membership matrix (n, d) of packed sets."""
    return np.unpackbits(packed, axis=1, count=d, bitorder="little").astype(bool)


def as_tuples(packed: PackedSets, d: int) -> list[tuple[int, ...]]:
    """Columns of each set, in order."""
    at, columns = np.nonzero(unpack(packed, d))
    ends = [0, *np.cumsum(np.bincount(at, minlength=len(packed))).tolist()]
    flat = columns.tolist()
    return [tuple(flat[start:end]) for start, end in pairwise(ends)]


def named_sets(sets: list[tuple[int, ...]], names: tuple[str, ...] | None) -> list[tuple[str, ...]]:
    """Names of the features in each set; ``x0``, ``x1`` and so on where there are none."""
    return [tuple(f"x{j}" if names is None else str(names[j]) for j in columns) for columns in sets]
