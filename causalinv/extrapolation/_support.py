"""Where an action lies: among those that were tried, and whether its states would be among those that were seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, KDTree

from causalinv._typing import BoolArray, FloatArray
from causalinv._warn import warn
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation._fitted import Fitted
from causalinv.extrapolation._one_sided import ONE_SIDED

__all__ = [
    "hull_mask",
    "one_sided",
    "overlap",
    "rows_that_are",
    "status",
    "stretch",
    "support_table",
    "warn_unsupported",
    "why_withheld",
    "within_reach",
]

_HULL_DIMENSIONS = 4  # up to which the hull's facets are listed; beyond, one linear programme per action
_NEIGHBOURS, _REGION = 10, 0.99
_MAX_DRAWS = 300
_SUPPORTED, _UNSUPPORTED = 0.8, 0.2
_FARTHEST = 1e9  # half ranges, beyond which differences between states are lost in rounding


def stretch(tried: FloatArray, actions: FloatArray) -> FloatArray:
    """Distance from the middle of the tried actions in units of their half range, the largest over columns: (m,)."""
    low, high = tried.min(axis=0), tried.max(axis=0)
    out: FloatArray = np.max(np.abs(actions - (low + high) / 2) / ((high - low) / 2), axis=1)
    return out


def within_reach(tried: FloatArray, actions: FloatArray) -> FloatArray:
    """The actions (m, k), or an error where some are so far out that their numbers would be rounding or overflow."""
    low, high = tried.min(axis=0), tried.max(axis=0)
    far = (np.abs(actions / 2 - low / 4 - high / 4) > _FARTHEST * (high / 4 - low / 4)).any(axis=1)
    if far.any():
        raise ValueError(
            f"actions holds {int(far.sum())} of {len(far)} rows that lie more than {_FARTHEST:g} half ranges of the "
            f"tried actions away from the middle, the first in row {int(np.flatnonzero(far)[0])}: check their units."
        )
    return actions


def hull_mask(tried: FloatArray, actions: FloatArray) -> BoolArray:
    """Which actions (m, k) are mixtures of tried ones (n, k)."""
    low, high = tried.min(axis=0), tried.max(axis=0)
    inside: BoolArray = ((actions >= low) & (actions <= high)).all(axis=1)
    k = tried.shape[1]
    if k == 1 or not inside.any():
        return inside
    unit = (tried - low) / (high - low)
    asked = (actions[inside] - low) / (high - low)
    if k <= _HULL_DIMENSIONS:
        facets = ConvexHull(unit).equations
        inside[inside] = (asked @ facets[:, :-1].T + facets[:, -1] <= 1e-9).all(axis=1)
    else:
        system = np.vstack([unit.T, np.ones(len(unit))])
        inside[inside] = [
            linprog(np.zeros(len(unit)), A_eq=system, b_eq=np.append(row, 1.0), method="highs").status == 0
            for row in asked
        ]
    return inside


def overlap(states: FloatArray, centres: FloatArray, draws: FloatArray) -> FloatArray:
    """Share of the states centre + draw that lie where training states (n, d) are, per centre (m, d): (m,).

    Where they are: at most as far from the tenth neighbour as 99% of the training states.
    """
    states = np.unique(states, axis=0)  # copies of one state are one place
    k = min(_NEIGHBOURS, max(1, len(states) - 1))
    tree = KDTree(states)
    own = np.asarray(tree.query(states, k + 1)[0])[:, -1]  # the first neighbour of a training state is itself
    limit = np.quantile(own, _REGION)
    some = draws[:_MAX_DRAWS]
    asked = (centres[:, None, :] + some).reshape(-1, states.shape[1])
    near = np.asarray(tree.query(asked, [k], distance_upper_bound=limit * (1 + 1e-12))[0])
    share: FloatArray = np.isfinite(near).reshape(len(centres), -1).mean(axis=1)
    return share


def status(in_hull: BoolArray, share: FloatArray) -> list[str]:
    """One word per action: tried, supported, partial or unsupported."""
    words = np.where(share >= _SUPPORTED, "supported", np.where(share < _UNSUPPORTED, "unsupported", "partial"))
    return np.where(in_hull, "tried", words).tolist()


def support_table(fitted: Fitted, asked: FloatArray, given: FloatArray) -> pd.DataFrame:
    """One row per action (m, k), `given` the same after its transform, in the words of `Rep4ExRegressor.support`."""
    control, tried = fitted.control, fitted.tried.actions
    share = overlap(control.whiten(fitted.phi), given @ control.W.T + control.b, control.residuals)
    inside = hull_mask(tried, asked)
    words = np.array(status(inside, share), dtype=object)
    if one_sided(fitted):
        words[~inside] = "withheld"
    return pd.DataFrame({"tried": inside, "stretch": stretch(tried, asked), "overlap": share, "status": words})


def one_sided(fitted: Fitted) -> bool:
    """Whether V is so one-sided that a state that was learnt under it cannot carry a number beyond tried actions."""
    evidence, skewness = fitted.public("noise_evidence_"), fitted.public("noise_skewness_")
    return evidence is not None and skewness is not None and evidence > 1 and skewness > ONE_SIDED


def why_withheld(fitted: Fitted) -> str:
    """Why there are no numbers beyond the tried actions, where there are none."""
    skewness = fitted.public("noise_skewness_")
    return (
        f"the state's own noise V is one-sided (quantile skewness {skewness:.2f}, {ONE_SIDED:g} is the most), "
        "and a learnt state is then no ground to go beyond the tried actions from"
    )


def rows_that_are(status: str, table: pd.DataFrame) -> BoolArray:
    """Which rows of a table of support are ``"unsupported"``, or ``"withheld"``: without a number."""
    found: BoolArray = table["status"].to_numpy() == status
    return found


def warn_unsupported(bad: BoolArray, none: BoolArray, fitted: Fitted) -> None:
    """Say which numbers of actions are continued trends, and which are withheld."""
    if bad.any():
        warn(
            f"Unsupported actions: {int(bad.sum())} of {len(bad)}. Fewer than 20% of their states lie where training "
            "states are, so their predictions are continued trends. See support(actions); "
            "on_unsupported='nan' blanks them.",
            ExtrapolationWarning,
        )
    if none.any():
        warn(
            f"The numbers of {int(none.sum())} of {len(none)} actions are withheld (NaN): {why_withheld(fitted)}. Give "
            "the state itself if you have it (encoder='identity'), or compare with a polynomial of the action "
            "(action_only in do_curve). on_unsupported='ignore' gives the numbers all the same.",
            ExtrapolationWarning,
        )
