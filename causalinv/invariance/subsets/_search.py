"""Where to look: all subsets, all subsets of a screened few features, or greedily; what was left out is reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from causalinv._progress import counting
from causalinv._typing import BoolArray, FloatArray
from causalinv.invariance.subsets._screen import screen
from causalinv.invariance.subsets._sets import pack, unpack
from causalinv.invariance.subsets._sweep import Batch, SubsetStatistics, start, sweep
from causalinv.moments import Moments

__all__ = ["EXHAUSTIVE", "SEARCHES", "Found", "Search", "all_subsets", "count_subsets", "find"]

Search = Literal["auto", "exhaustive", "screened", "greedy"]
SEARCHES: tuple[str, ...] = get_args(Search)
EXHAUSTIVE = 20  # features: a million subsets, about two seconds
_MOST = 5_000_000  # subsets that a limited search may hold
_RESTARTS = 2  # random starts of the greedy search beside the empty and the full set
_ROUNDS = 200  # steps of one greedy climb

#: From the statistics of many subsets to a key (n, m) whose rows are compared from left to right, smaller is better.
Judge = Callable[[SubsetStatistics], FloatArray]


@dataclass(frozen=True)
class Found:
    """Subsets that a search evaluated, and the features that it never looked at.

    Attributes
    ----------
    subsets : SubsetStatistics
        Each evaluated subset once.
    candidates : ndarray of bool, shape (d,)
        Features that could be in a subset.
    how : str
        The search that was run.
    """

    subsets: SubsetStatistics
    candidates: BoolArray
    how: str


def find(
    moments: Moments,
    *,
    search: Search,
    max_size: int | None,
    screen_size: int,
    left_out: bool,
    judge: Judge,
    rng: np.random.Generator,
) -> Found:
    """Evaluate subsets of the features.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``, one cell per environment.
    search : {"auto", "exhaustive", "screened", "greedy"}
        ``"auto"`` is exhaustive where that is at most about a million subsets, else screened.
    max_size : int or None
        Largest subset.
    screen_size : int
        Features that screening keeps.
    left_out : bool
        As in `sweep`.
    judge : callable
        Order of subsets, for the greedy search.
    rng : numpy.random.Generator
        For the starts of the greedy search.

    Returns
    -------
    Found

    Raises
    ------
    ValueError
        If an exhaustive search is out of question.
    """
    d = moments.blocks["x"]
    if search == "auto":
        search = "exhaustive" if count_subsets(d, max_size) <= 2**EXHAUSTIVE else "screened"
    if search == "exhaustive":
        if count_subsets(d, max_size) > (2**EXHAUSTIVE if max_size is None else _MOST):
            what = f"2^{d}" if max_size is None else f"{count_subsets(d, max_size):.3g}"
            raise ValueError(
                f"{d} features have {what} subsets{'' if max_size is None else f' of at most {max_size}'}, too many to "
                "search exhaustively. Set max_size, or search='screened' or 'greedy'."
            )
        return Found(all_subsets(moments, max_size, left_out=left_out), np.ones(d, bool), search)
    if search == "greedy":
        return Found(_greedy(moments, max_size, left_out, judge, rng), np.ones(d, bool), search)
    candidates = screen(moments, screen_size)
    inner = all_subsets(moments.select(x=candidates, y=True), max_size, left_out=left_out)
    inside = np.zeros((len(inner), d), bool)
    inside[:, candidates] = unpack(inner.packed, int(candidates.sum()))
    return Found(replace(inner, packed=pack(inside)), candidates, search)


def all_subsets(moments: Moments, max_size: int | None, *, left_out: bool = False) -> SubsetStatistics:
    """The pieces of a sweep as one, counted where the caller asked for progress."""
    parts = []
    with counting(int(count_subsets(moments.blocks["x"], max_size)), "sets of features") as step:
        for part in sweep(moments, max_size=max_size, left_out=left_out):
            parts.append(part)
            step(len(part))
    return SubsetStatistics.concatenate(parts)


def count_subsets(d: int, max_size: int | None) -> float:
    """Subsets of at most `max_size` of d features."""
    if max_size is None or max_size >= d:
        return 2.0**d
    counts = np.cumprod([1.0, *((d - i) / (i + 1) for i in range(max_size))])
    return float(counts.sum())


def _greedy(
    moments: Moments, max_size: int | None, left_out: bool, judge: Judge, rng: np.random.Generator
) -> SubsetStatistics:
    """Climb by the best addition, removal or exchange of one feature, from several starts."""
    d = moments.blocks["x"]
    room = d if max_size is None else min(max_size, d)
    empty = start(moments, left_out=left_out)
    if room == 0:
        return empty.finished()
    starts = [np.zeros(d, bool), screen(moments, room)]
    starts += [rng.permutation(np.arange(d) < rng.integers(0, room + 1)) for _ in range(_RESTARTS)]
    seen: list[SubsetStatistics] = []
    with counting(None, "sets of features") as step:
        for inside in starts:
            current = _at(empty, inside).finished()
            seen.append(current)
            for _ in range(_ROUNDS):
                around = _neighbours(empty, unpack(current.packed, d)[0], room)
                seen.append(around)
                step(len(around))
                keys = np.vstack([judge(current), judge(around)])
                best = int(np.lexsort(keys.T[::-1])[0])
                if best == 0 or not tuple(keys[best]) < tuple(keys[0]):
                    break
                current = around.take(np.array([best - 1]))
    everything = SubsetStatistics.concatenate(seen)
    _, first = np.unique(everything.packed, axis=0, return_index=True)
    return everything.take(np.sort(first))


def _at(empty: Batch, inside: BoolArray) -> Batch:
    """The batch of one set, every other feature undecided."""
    batch = empty.forward(np.flatnonzero(inside))
    for _ in range(int(inside.sum())):
        batch = batch.eliminate()
    return batch


def _neighbours(empty: Batch, inside: BoolArray, room: int) -> SubsetStatistics:
    """Statistics of all sets that differ by one addition, removal or exchange."""
    parts = []
    if inside.sum() < room and not inside.all():
        parts.append(_at(empty, inside).singles())
    for j in np.flatnonzero(inside):
        without = inside.copy()
        without[j] = False
        base = _at(empty, without)
        exchanged = base.singles()
        parts += [base.finished(), exchanged.take(base.rest != j)]
    return SubsetStatistics.concatenate(parts)
