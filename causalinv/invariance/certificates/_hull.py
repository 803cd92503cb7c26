"""The convex hull of moments: environments that are mixtures of those in training are never worse than they."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from causalinv._typing import FloatArray
from causalinv.invariance.rules._sites import second_moments
from causalinv.moments import Moments

__all__ = ["in_moment_hull"]


def in_moment_hull(new: Moments, train: Moments) -> tuple[FloatArray, FloatArray]:
    """How far the second moments of environments are from the convex hull of others.

    For a fixed rule the excess is convex in the second moments of (1, x, y), so inside the hull it is at most its
    largest value in training, in every environment and for every kind of intervention.

    Parameters
    ----------
    new : Moments
        Environments that are asked about.
    train : Moments
        Training environments, same blocks.

    Returns
    -------
    distance : ndarray of shape (E_new,)
        Largest entry of the difference to the nearest mixture, in units of the environment with the smallest second
        moment of each variable; 0 inside.
    weights : ndarray of shape (E_new, E_train)
        Weights of that mixture.

    Raises
    ------
    ValueError
        If the blocks differ.

    Examples
    --------
    >>> from causalinv.sem import Shift, textbook_sem
    >>> chain = textbook_sem("chain")
    >>> train = chain.environments([None, Shift("x1", std=2.0)]).moments()
    >>> inside, outside = (chain.environments([Shift("x1", std=s)]).moments() for s in (1.0, 3.0))
    >>> in_moment_hull(inside, train)[0].round(6), bool(in_moment_hull(outside, train)[0][0] > 0.1)
    (array([0.]), True)
    """
    if dict(new.blocks) != dict(train.blocks):
        raise ValueError(f"new has blocks {dict(new.blocks)}, train {dict(train.blocks)}; they must agree.")
    origin = train.pool()
    each, _ = second_moments(train, origin)
    asked, _ = second_moments(new, origin)
    # In units of the least variable environment, so that a wild one does not make every difference look small.
    spread = np.diagonal(each, axis1=1, axis2=2)
    units = np.sqrt(np.where(spread > 0, spread, np.inf).min(axis=0))
    units[~np.isfinite(units)] = 1.0
    upper = np.triu_indices(len(units))
    columns = (each / np.outer(units, units))[:, upper[0], upper[1]].T  # (q, E)
    q, E = columns.shape
    # Minimise t subject to -t <= columns @ a - target <= t, a in the simplex.
    ones = np.ones((q, 1))
    A = np.vstack([np.hstack([columns, -ones]), np.hstack([-columns, -ones])])
    distance, weights = [], []
    for moment in asked:
        target = (moment / np.outer(units, units))[upper]
        result = linprog(
            np.r_[np.zeros(E), 1.0],
            A_ub=A,
            b_ub=np.r_[target, -target],
            A_eq=np.r_[np.ones(E), 0.0][None],
            b_eq=[1.0],
            bounds=[(0, None)] * (E + 1),
            method="highs",
        )
        if result.status != 0 or result.x is None or result.fun is None:
            raise RuntimeError(f"The linear programme of the hull ended with status {result.status}: {result.message}")
        distance.append(max(float(result.fun), 0.0))
        weights.append(result.x[:E])
    return np.array(distance), np.array(weights)
