"""The law of an arm's outcome at many rows, with the sums that the bounds need of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from causalinv._typing import FloatArray, IntArray
from causalinv.bounds._functions import Cap

__all__ = ["ArmLaw", "JoinedLaw", "crps", "h_lower", "h_upper"]

_MANY = 1 << 20  # numbers in one table of sums
_KEPT = 1 << 24  # numbers that are kept for later questions
_SMALLEST = float(np.nextafter(0.0, 1.0))

Tails = tuple[
    tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]
]  # cut and mean of the lower tail, and of the upper


class ArmLaw:
    """Law of one arm at every row: ``location + scale * atoms`` with weights; `atoms` (K,) sorted, `weights` (n, K).

    Location and scale (n,) are 0 and 1 if left out.
    """

    def __init__(
        self,
        atoms: FloatArray,
        weights: FloatArray,
        location: FloatArray | None = None,
        scale: FloatArray | None = None,
    ) -> None:
        self.atoms, self.weights, self.location, self.scale = atoms, weights, location, scale

    @cached_property
    def below(self) -> FloatArray:
        """Weights summed up to each atom."""
        return np.cumsum(self.weights, axis=1)

    @cached_property
    def part(self) -> FloatArray:
        """Weights times atoms summed up to each atom."""
        return np.cumsum(self.weights * self.atoms, axis=1)

    def moved(self, values: FloatArray) -> FloatArray:
        """From the units of the atoms to those of the outcome."""
        values = values if self.scale is None else self.scale * values
        return values if self.location is None else self.location + values

    def _by_blocks(self, how: Callable[[ArmLaw], tuple[FloatArray, ...]]) -> tuple[FloatArray, ...]:
        """Apply to blocks of rows, so that tables of sums stay small."""
        n, step = len(self.weights), max(1, _MANY // len(self.atoms))
        if n <= step:
            return how(self)
        found = []
        for start in range(0, n, step):
            rows = slice(start, start + step)
            moved = (None if each is None else each[rows] for each in (self.location, self.scale))
            found.append(how(ArmLaw(self.atoms, self.weights[rows], *moved)))
        return tuple(np.concatenate(each) for each in zip(*found, strict=True))

    @property
    def mean(self) -> FloatArray:
        """Mean at each row."""
        return self._by_blocks(lambda law: (law.moved(law.part[:, -1]),))[0]

    def cdf(self, cut: float) -> FloatArray:
        """Probability of an outcome of at most `cut`, at each row."""
        return self._by_blocks(lambda law: (law._cdf(cut),))[0]

    def _cdf(self, cut: float) -> FloatArray:
        n = len(self.weights)
        if self.location is None:
            at = np.full(n, np.searchsorted(self.atoms, cut, side="right"))
        else:
            standard = (cut - self.location) / (1.0 if self.scale is None else self.scale)
            at = np.searchsorted(self.atoms, standard, side="right")
        return np.where(at > 0, self.below[np.arange(n), np.maximum(at - 1, 0)], 0.0)

    @cached_property
    def _mirrored(self) -> ArmLaw:
        """Law of minus phi: its lower tail, summed from its own end, loses no digits however thin it is."""
        return ArmLaw(-self.atoms[::-1], self.weights[:, ::-1])

    def lower(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        """Cut q(x) and the mean of `h_lower` under the law: the least mean of a law with density ratio in [m, M].

        That law is m times the arm's and 1 - m times its lower tail, of mass (1 - m) / (M - m).
        """
        cut, mean = self._by_blocks(lambda law: law._lower(m, M))
        return cut, mean

    def upper(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        """Cut q(x) and the mean of `h_upper` under the law: the largest mean of a law with density ratio in [m, M]."""
        if m == M:  # no confounding: one number, to the last digit
            return self.lower(m, M)
        cut, mean = self._by_blocks(lambda law: law._upper(m, M))
        return cut, mean

    def tails(self, caps: Sequence[Cap]) -> list[Tails]:
        """`lower` and `upper` at several caps, from one table of sums."""
        found = self._by_blocks(lambda law: tuple(each for cap in caps for each in law._both(*cap)))
        return [((a, b), (c, d)) for a, b, c, d in zip(*(found[i::4] for i in range(4)), strict=True)]

    def _both(self, m: float, M: float) -> tuple[FloatArray, ...]:
        lower = self._lower(m, M)
        return (*lower, *(lower if m == M else self._upper(m, M)))

    def _lower(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        cut, mean = self._tail(m, M)
        return self.moved(cut), self.moved(mean)

    def _upper(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        cut, mean = self._mirrored._tail(m, M)
        return self.moved(-cut), self.moved(-mean)

    def _tail(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        """`lower`, in the units of the atoms."""
        tail = (1.0 - m) / (M - m) if m < M else 0.5
        at = np.count_nonzero(self.below < max(tail * (1 - 1e-12), _SMALLEST), axis=1)
        at = np.minimum(at, len(self.atoms) - 1)
        cut = self.atoms[at]
        short = cut * self._before(self.below, at) - self._before(self.part, at)
        mean = cut - (short / tail if tail > 0 else 0.0)
        return cut, m * self.part[:, -1] + (1.0 - m) * np.maximum(mean, self.atoms[0])

    @staticmethod
    def _before(values: FloatArray, at: IntArray) -> FloatArray:
        """Sums over the atoms before the cut; 0 at the first."""
        found = np.take_along_axis(values, np.maximum(at - 1, 0)[:, None], axis=1)[:, 0]
        return np.where(at > 0, found, 0.0)


@dataclass(frozen=True)
class JoinedLaw:
    """Laws of the folds, as one over all n rows: `rows` (k,) positions and the law there, fold by fold."""

    n: int
    parts: list[tuple[IntArray, ArmLaw]]
    _wanted: list[Cap] = field(default_factory=list, init=False, repr=False)
    _kept: dict[Cap, Tails] = field(default_factory=dict, init=False, repr=False)

    def _all(self, values: list[FloatArray]) -> FloatArray:
        out = np.empty(self.n)
        for (rows, _), each in zip(self.parts, values, strict=True):
            out[rows] = each
        return out

    @cached_property
    def mean(self) -> FloatArray:
        """Mean at each row."""
        return self._all([law.mean for _, law in self.parts])

    def cdf(self, cut: float) -> FloatArray:
        """Probability of an outcome of at most `cut`, at each row."""
        return self._all([law.cdf(cut) for _, law in self.parts])

    def lower(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        """As `ArmLaw.lower`."""
        if (m, M) in self._wanted:
            return self._found(m, M)[0]
        found = [law.lower(m, M) for _, law in self.parts]
        return self._all([cut for cut, _ in found]), self._all([mean for _, mean in found])

    def upper(self, m: float, M: float) -> tuple[FloatArray, FloatArray]:
        """As `ArmLaw.upper`."""
        if (m, M) in self._wanted:
            return self._found(m, M)[1]
        found = [law.upper(m, M) for _, law in self.parts]
        return self._all([cut for cut, _ in found]), self._all([mean for _, mean in found])

    @contextmanager
    def together(self, caps: Iterable[Cap]) -> Iterator[None]:
        """While the block runs, an answer at one of these caps is found with those at the others."""
        self._wanted.extend(dict.fromkeys(caps))
        try:
            yield
        finally:
            self._wanted.clear()
            self._kept.clear()

    def _found(self, m: float, M: float) -> Tails:
        if (m, M) not in self._kept:
            first = self._wanted.index((m, M))  # they are asked in turn
            caps = self._wanted[first : first + max(1, _KEPT // (4 * self.n))]
            self._kept.clear()
            for cap, *parts in zip(caps, *(law.tails(caps) for _, law in self.parts), strict=True):
                low, high = ([self._all([part[side][i] for part in parts]) for i in range(2)] for side in range(2))
                self._kept[cap] = (low[0], low[1]), (high[0], high[1])
        return self._kept[m, M]


def crps(law: ArmLaw, phi: FloatArray) -> FloatArray:
    """Continuous ranked probability score of each row's law at its outcome: E|Y' - phi| - E|Y' - Y''| / 2."""
    standard = phi if law.location is None else phi - law.location
    standard = standard if law.scale is None else standard / law.scale
    apart = np.einsum("nk,nk->n", law.weights, np.abs(law.atoms - standard[:, None]))
    below = law.below[:, :-1]
    found: FloatArray = apart - (below * (1.0 - below)) @ np.diff(law.atoms)
    return found if law.scale is None else found * law.scale


def h_lower(phi: FloatArray, cut: FloatArray, m: float, M: float) -> FloatArray:
    """Outcomes whose mean, for any cut, is at most the least mean under the cap, and equals it at the right cut."""
    return m * phi + (1.0 - m) * cut - (M - m) * np.maximum(cut - phi, 0.0)


def h_upper(phi: FloatArray, cut: FloatArray, m: float, M: float) -> FloatArray:
    """Outcomes whose mean, for any cut, is at least the largest mean under the cap, and equals it at the right cut."""
    return m * phi + (1.0 - m) * cut + (M - m) * np.maximum(phi - cut, 0.0)
