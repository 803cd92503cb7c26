"""What a representation keeps: how many directions it uses, and how far the action moves it."""

from __future__ import annotations

import numpy as np

from causalinv._distances import moved_share
from causalinv._matrix import participation_ratio, singular_values
from causalinv._typing import FloatArray
from causalinv.extrapolation._features import action_regression, whitening

__all__ = ["kept"]

_ROWS = 2_000  # a sample of the rows, from which distances are taken


def kept(phi: FloatArray, acts: FloatArray, rng: np.random.Generator) -> tuple[float, float]:
    """Effective dimension and share moved by the action, of a representation phi (n, d) under actions (n, k).

    Both in units in which the residual given the action has covariance I, so that affine maps of phi change neither.
    The dimension is the participation ratio of the covariance. The share is the mean distance of a row to where the
    mean action would have put it, over the mean distance of two rows. NaN where phi does not vary given the action.
    """
    shift = (acts - acts.mean(axis=0)) @ action_regression(phi, acts)[0].T
    unit = whitening(phi - shift).matrix
    rows, moved = phi @ unit, (phi - shift) @ unit
    rows, moved = rows - rows.mean(axis=0), moved - rows.mean(axis=0)
    some = rng.permutation(len(rows))[:_ROWS]
    return participation_ratio(singular_values(rows)[1] ** 2), moved_share(rows[some], moved[some], rng)[0]
