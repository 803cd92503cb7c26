"""Screening: a few features in place of many, before subsets of them are searched."""

from __future__ import annotations

import numpy as np

from causalinv._matrix import whitener
from causalinv._typing import BoolArray, FloatArray
from causalinv.moments import Moments

__all__ = ["screen"]

_ROWS = 1.5  # rows for each feature from which partial correlations are more than noise
_NOTHING = 1e-8  # of a feature's variance: what is left of one that those already in determine


def screen(moments: Moments, size: int) -> BoolArray:
    """The features that stand highest in two rankings, taken in turn, all environments together.

    One ranking is by partial correlation with y given all other features: within one linear model only the Markov
    blanket of y (its causes, its effects, and their other causes) has one that is not zero. The other takes features
    one after the other by what they add to those already in, which fewer rows allow; with fewer than 1.5 times as many
    rows as features it stands alone. Of 200 features with 16 places, 300 rows and more, both together keep 120 to
    123 of 123 causes, no fewer than the better of the two but for one, and more of the blanket than either up to 800
    rows (``benchmarks/results/screening.md``).

    That a cause is kept is an assumption (faithfulness): its direct effect must not be cancelled by what it shares with
    an effect of y. Then its partial correlation is exactly zero, and with any number of rows it is left out.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` (d features) and ``y``.
    size : int
        Features to keep.

    Returns
    -------
    ndarray of bool, shape (d,)
    """
    d = moments.blocks["x"]
    keep = np.zeros(d, bool)
    if size >= d:
        return ~keep
    pooled = moments.pooled
    cov, cross = pooled.cov("x")[0], pooled.cov("x", "y")[0, :, 0]
    scale = np.sqrt(np.diag(cov))
    usable = scale > 0
    scale = np.where(usable, scale, 1.0)
    cov, cross = cov / np.outer(scale, scale), cross / scale
    added = _by_what_they_add(cov, cross, usable, size)
    if pooled.count[0] >= _ROWS * d:
        half = whitener(cov)
        if half.shape[1] == d:
            strength = np.abs(half @ (half.T @ cross)) / np.sqrt(np.sum(half**2, axis=1))
            strongest = np.argsort(-strength, kind="stable")[:size].tolist()
            in_turn = [j for pair in zip(strongest, added, strict=False) for j in pair]
            added = list(dict.fromkeys([*in_turn, *strongest, *added]))[:size]
    keep[added] = True
    return keep


def _by_what_they_add(cov: FloatArray, cross: FloatArray, usable: BoolArray, size: int) -> list[int]:
    """At most `size` features, each the one that lowers the mean squared error most beside those before it."""
    left, taken = cov.copy(), []
    free = usable.copy()
    for _ in range(size):
        free &= np.diag(left) > _NOTHING
        if not free.any():
            break
        gain = np.where(free, cross**2 / np.where(free, np.diag(left), 1.0), -1.0)
        j = int(np.argmax(gain))
        taken.append(j)
        free[j] = False
        ratio = left[:, j] / left[j, j]
        cross = cross - ratio * cross[j]
        left = left - np.outer(ratio, left[j])
    return taken
