"""Arms whose outcomes are all one number: how far outcomes that were not seen may move an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.bounds._rows import Rows

__all__ = ["alike", "most_unseen", "most_unseen_of", "moves", "note_of"]


def alike(rows: Rows, limits: FloatArray, shares: Sequence[FloatArray], inside: BoolArray | None) -> list[IntArray]:
    """Rows, at least two, of every arm whose outcomes in a question are all one number, though others are possible."""
    found: list[IntArray] = []
    for share in shares:
        own = np.flatnonzero(share > 0 if inside is None else (share > 0) & inside)
        if len(own) > 1 and np.ptp(rows.phi[own]) == 0 and np.ptp(limits[rows.codes[own[0]]]) > 0:
            found.append(own)
    return found


def moves(
    rows: Rows,
    limits: FloatArray,
    found: Sequence[IntArray],
    reach: Callable[[int], FloatArray],
    *,
    against: int | None,
) -> tuple[FloatArray, FloatArray]:
    """By how much every row of such arms moves a lower end down, and an upper one up, if its outcome is at a limit.

    `reach` is that of an outcome that differs by one, `against` the arm that is subtracted. 0 where there is no limit.
    """
    down, up = np.zeros(len(rows.codes)), np.zeros(len(rows.codes))
    for own in found:
        arm, value = int(rows.codes[own[0]]), rows.phi[own[0]]
        room = np.abs(limits[arm] - value)
        below, above = np.where(np.isfinite(room), room, 0.0)[:: -1 if arm == against else 1]
        far = reach(arm)[own]
        down[own], up[own] = far * below, far * above
    return down, up


def most_unseen(share: FloatArray, groups: IntArray | None, confidence_level: float) -> float:
    r"""Most that outcomes add to a sum over rows if all of those that were seen add nothing.

    Row i would add at most share_i >= 0, with a chance :math:`p_i`; of clusters that of any of their rows. What is
    not rejected is :math:`\prod (1 - p_i) \ge (1 - level) / 2`, and of that the largest :math:`\sum share_i p_i` is
    returned: :math:`p_i = (1 - \lambda / share_i)_+`. For equal shares it is Clopper and Pearson's limit of an event
    that did not happen; unequal ones are taken at their worst, with the events where they weigh most.
    """
    sums: FloatArray = share if groups is None else np.bincount(groups, weights=share).astype(np.float64)
    units = np.sort(sums[sums > 0])[::-1]
    if not len(units):
        return 0.0
    allowed = np.log(2.0 / (1.0 - confidence_level))
    level = np.max((np.cumsum(np.log(units)) - allowed) / np.arange(1, len(units) + 1))
    return float(np.sum(np.maximum(units - np.exp(level), 0.0)))


def most_unseen_of(
    rows: Rows, ends: tuple[FloatArray, FloatArray], bottom: FloatArray | None, confidence_level: float
) -> tuple[float, float]:
    """The same of the (ratio of) weighted means of what rows add to a lower and an upper end."""
    w = np.ones(len(rows.codes)) if rows.weight is None else rows.weight
    total = float(np.sum(w if bottom is None else w * bottom))
    down, up = (most_unseen(w * end / total, rows.groups, confidence_level) for end in ends)
    return down, up


def note_of(rows: Rows, limits: FloatArray, own: IntArray, confidence_level: float, place: str = "") -> str:
    """What is said of such an arm."""
    code, value = rows.codes[own[0]], float(rows.phi[own[0]])
    said = f"{place}all {len(own)} outcomes of arm {rows.arms.tolist()[code]!r} are {value:g}, so its error counts as 0"
    if rows.groups is None and rows.weight is None:
        share = most_unseen(np.full(len(own), 1.0 / len(own)), None, confidence_level)
        said += f"; yet up to {share:.2g} of such outcomes may differ ({confidence_level:.4g})"
    if np.isfinite(limits[code]).all():
        return f"{said}. The interval reaches as far as unlike outcomes within the limits could move it."
    return f"{said}. The interval does not show that where the outcome has no limit: give outcome_support=."
