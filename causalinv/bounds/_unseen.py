"""Arms whose outcomes are all, or nearly all, one number: how far outcomes that were not seen may move an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammainccinv, ndtri

from causalinv._printing import percent
from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.bounds._rows import Rows

__all__ = ["Pair", "Unlike", "beyond", "more_of_few", "most_unseen", "note_of", "notes_of_few", "rare_arms"]

_FEW, _NEARLY_ALL = 10, 0.75  # outcomes unlike the most frequent one, and its share, of which users hear

Pair = tuple[float, float]


@dataclass(frozen=True)
class Unlike:
    """An arm's rows in a question, and what an outcome unlike the others would do to an end.

    Attributes
    ----------
    code : int
        Position of the arm.
    own : ndarray of int, shape (k,)
        Rows of all n.
    seen : ndarray of bool, shape (k,)
        Which of them are unlike the rest; none if all are one number.
    down, up : float
        From the others' number to the limits of the outcome; 0 where there is no limit.
    """

    code: int
    own: IntArray
    seen: BoolArray
    down: float
    up: float


def rare_arms(rows: Rows, limits: FloatArray, shares: Sequence[FloatArray], inside: BoolArray | None) -> list[Unlike]:
    """Arms, of at least two rows, whose outcomes in a question are one number, or two: the limits of the outcome.

    Of two numbers the rarer one is what the others may turn into. An outcome that has one possible value is left out.
    """
    found: list[Unlike] = []
    for share in shares:
        own = np.flatnonzero(share > 0 if inside is None else (share > 0) & inside)
        code = int(rows.codes[own[0]]) if len(own) else 0
        if len(own) < 2 or np.ptp(limits[code]) == 0:
            continue
        phi, (low, high) = rows.phi[own], limits[code]
        down, up = (float(room) if np.isfinite(room) else 0.0 for room in (phi[0] - low, high - phi[0]))
        if np.ptp(phi) == 0:
            found.append(Unlike(code, own, np.zeros(len(own), bool), down, up))
        elif np.isin(phi, (low, high)).all():
            highs = phi == high
            most = bool(2 * np.count_nonzero(highs) > len(own))
            found.append(
                Unlike(code, own, ~highs if most else highs, *((high - low, 0.0) if most else (0.0, high - low)))
            )
    return found


def beyond(
    arms: Sequence[Unlike],
    pulls: Sequence[FloatArray],
    groups: IntArray | None,
    confidence_level: float,
    errors: Pair,
) -> tuple[Pair, Pair]:
    """What intervals must add to their errors, down and up: for arms with few unlike outcomes, and for those without.

    `pulls` say, with their sign, how far every row of an arm moves the estimate if its outcome is one larger.
    """
    few, none = [0.0, 0.0], [0.0, 0.0]
    for side, sign in enumerate((-1.0, 1.0)):
        every = [
            (arm, np.maximum(np.maximum(sign * each * arm.up, -sign * each * arm.down), 0.0))
            for arm, each in zip(arms, pulls, strict=True)
        ]
        rare = [(arm, share) for arm, share in every if arm.seen.any()]
        if rare and groups is not None:  # all arms together: the normal distance is one of them all
            most = sum(
                _fading(share, arm.seen) * most_unseen(share, groups[arm.own], confidence_level) for arm, share in rare
            )
            few[side] = max(most - errors[side], 0.0)
        else:
            few[side] = sum(more_of_few(share, arm.seen, None, confidence_level, errors[side]) for arm, share in rare)
        unseen = [(arm, share) for arm, share in every if not arm.seen.any()]
        if unseen:
            units = None if groups is None else np.concatenate([groups[arm.own] for arm, _ in unseen])
            none[side] = most_unseen(np.concatenate([share for _, share in unseen]), units, confidence_level)
    return (few[0], few[1]), (none[0], none[1])


def most_unseen(share: FloatArray, groups: IntArray | None, confidence_level: float) -> float:
    r"""Most that outcomes add to a sum over rows if all of those that were seen add nothing.

    Row i would add at most share_i >= 0, with a chance :math:`p_i`; of clusters that of any of their rows. What is
    not rejected is :math:`\prod (1 - p_i) \ge (1 - level) / 2`, and of that the largest :math:`\sum share_i p_i` is
    returned: :math:`p_i = (1 - \lambda / share_i)_+`. For equal shares it is Clopper and Pearson's limit of an event
    that did not happen; unequal ones are taken at their worst, with the events where they weigh most. For independent
    rows it is no more than `more_of_few` has it, of no event.
    """
    sums: FloatArray = share if groups is None else np.bincount(groups, weights=share).astype(np.float64)
    units = np.sort(sums[sums > 0])[::-1]
    if not len(units):
        return 0.0
    allowed = np.log(2.0 / (1.0 - confidence_level))
    level = np.max((np.cumsum(np.log(units)) - allowed) / np.arange(1, len(units) + 1))
    worst = float(np.sum(np.maximum(units - np.exp(level), 0.0)))
    return worst if groups is not None else min(worst, allowed * _further(units))


def more_of_few(
    share: FloatArray, seen: BoolArray, groups: IntArray | None, confidence_level: float, error: float
) -> float:
    """By how much the limit of a sum of rare events lies beyond that of the normal law: 0 where they are half or more.

    Row i adds share_i >= 0 if it has the event, `seen` says which had, and `error` is the distance that the normal law
    gives. Independent rows: Fay and Feuer's (1997) gamma limit of a weighted sum of Poisson counts, less its normal
    part; but a further event has the mean share, weighted by squares, as it has in the variance of equal chances. They
    give it the largest, which with inverse propensities is many times as wide, however many events were seen.
    Clusters: what `most_unseen` has beyond `error`. Both fade out with the share of the event, as the skewness of a
    binomial does.
    """
    fades = _fading(share, seen)
    if fades <= 0:
        return 0.0
    if groups is not None or not seen.any():
        return max(fades * most_unseen(share, groups, confidence_level) - (error if seen.any() else 0.0), 0.0)
    unit = float(share.max())  # squares of shares may be no floats
    share, tail = share / unit, (1.0 - confidence_level) / 2.0
    y, v, more = float(share[seen].sum()), float(np.sum(share[seen] ** 2)), _further(share)
    limit = (v + more**2) / (y + more) * gammainccinv((y + more) ** 2 / (v + more**2), tail)
    return unit * max(float(limit) - y + float(ndtri(tail)) * float(np.sqrt(v)), 0.0) * fades


def _further(share: FloatArray) -> float:
    """What a further event adds: the mean share, weighted by squares."""
    most = float(share.max())
    return most * float(np.sum((share / most) ** 3) / np.sum((share / most) ** 2))


def _fading(share: FloatArray, seen: BoolArray) -> float:
    """One where no row had the event, 0 where half of the shares had."""
    total = float(share.sum())
    return max(1.0 - 2.0 * float(share[seen].sum()) / total, 0.0) if total > 0 else 0.0


def note_of(rows: Rows, limits: FloatArray, arm: Unlike, confidence_level: float, place: str = "") -> str:
    """What is said of such an arm."""
    own = arm.own
    code, value = arm.code, float(rows.phi[own[0]])
    said = f"{place}all {len(own)} outcomes of arm {rows.arms.tolist()[code]!r} are {value:g}, so its error counts as 0"
    if rows.groups is None and rows.weight is None:
        share = most_unseen(np.full(len(own), 1.0 / len(own)), None, confidence_level)
        said += f"; yet up to {share:.2g} of such outcomes may differ ({percent(confidence_level)})"
    if np.isfinite(limits[code]).all():
        return f"{said}. The interval reaches as far as unlike outcomes within the limits could move it."
    return f"{said}. The interval does not show that where the outcome has no limit: give outcome_support=."


def notes_of_few(
    rows: Rows, shares: Sequence[FloatArray], inside: BoolArray | None, known: Sequence[Unlike], place: str = ""
) -> tuple[str, ...]:
    """What is said of arms with few outcomes unlike the others whose sizes nothing bounds, beside those `known`."""
    notes = []
    for share in shares:
        own = np.flatnonzero(share > 0 if inside is None else (share > 0) & inside)
        if len(own) < 2 or any(arm.code == rows.codes[own[0]] for arm in known):
            continue
        values, counts = np.unique(rows.phi[own], return_counts=True)
        most, few = int(counts.max()), len(own) - int(counts.max())
        if 0 < few < _FEW and most >= _NEARLY_ALL * len(own):
            notes.append(
                f"{place}only {few} of {len(own)} outcomes of arm {rows.arms.tolist()[rows.codes[own[0]]]!r} are not "
                f"{values[np.argmax(counts)]:g}: errors rest on these, and intervals cover less than they say."
            )
    return tuple(notes)
