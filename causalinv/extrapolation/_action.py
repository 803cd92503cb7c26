"""Checks of the action, the randomised variable whose untried values are asked about."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
import pandas as pd

from causalinv import _docs
from causalinv._frames import column_names
from causalinv._matrix import constant_columns
from causalinv._printing import counted
from causalinv._typing import FloatArray, IntArray, Rows
from causalinv._validation import check_finite, check_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning

__all__ = ["ROWS_PER_ACTION", "check_action", "check_actions", "documented", "order_by_value", "transform_action"]

ROWS_PER_ACTION = 20
_DISTINCT_PER_COLUMN = 10
_RANK_TOL = 1e-10

ActionTransform = Callable[[FloatArray], FloatArray] | None

documented = _docs.documented(
    {
        "action": """
            action : array-like of shape (n,) or (n, k)
                Randomised action of each row; n must be at least 20 (k + 1)."""
    }
)


def check_action(action: Rows, n: int, owner: str) -> FloatArray:
    """Validate the action of n training rows: numbers of full rank, many enough; shape (n, k)."""
    if action is None:
        raise ValueError(
            f"{owner} needs action=, the randomised variable of each row, shape (n,) or (n, k). In a Pipeline pass it "
            "by metadata routing or as step__action."
        )
    if len(getattr(action, "shape", ())) > 2:
        raise ValueError(f"action must have shape (n,) or (n, k), got shape {action.shape}.")
    array = check_rows(action, "action")
    if len(array) != n:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n}, action has {len(array)}."
        )
    k = array.shape[1]
    if n < ROWS_PER_ACTION * (k + 1):
        raise ValueError(
            f"Found {n} rows (n_samples={n}) while a minimum of {ROWS_PER_ACTION * (k + 1)} is required for an action "
            f"of {counted(k, 'column')}: {ROWS_PER_ACTION} for each and for the constant."
        )
    names: tuple[Hashable, ...] = column_names(action) or tuple(range(k))
    spread = array.std(axis=0)
    constant = constant_columns(array)
    if constant.any():
        which = [names[j] for j in np.flatnonzero(constant)]
        raise ValueError(f"action is constant in column {which}: an action that was never varied teaches nothing.")
    dependent = _dependent((array - array.mean(axis=0)) / spread)
    if dependent:
        which = [names[j] for j in dependent]
        raise ValueError(
            f"action columns {which} are linear combinations of the columns before them: their effects cannot be told "
            "apart. Drop them."
        )
    different = len(np.unique(array, axis=0))
    if different < _DISTINCT_PER_COLUMN * k:
        warn(
            f"action takes {different} different values in {counted(k, 'column')}: from fewer than "
            f"{_DISTINCT_PER_COLUMN * k} "
            "the data do not say what happens between and beyond them, only how outcomes differ over steps of the "
            "action. Predictions at untried actions rest on smoothness alone; more values would be needed.",
            DegenerateInputWarning,
        )
    return array


def _dependent(columns: FloatArray) -> list[int]:
    found, n = [], len(columns)
    rest = columns.copy()
    for j in range(columns.shape[1]):
        size = rest[:, j] @ rest[:, j] / n
        if size <= _RANK_TOL:
            found.append(j)
            continue
        unit = rest[:, j] / np.sqrt(size * n)
        rest = rest - np.outer(unit, unit @ rest)
    return found


def order_by_value(action: FloatArray, *others: FloatArray) -> IntArray:
    """Positions that put rows in an order of their values, whatever the caller's: sorted, then mixed, always alike.

    Folds, landmarks and references are picked by position. On rows in this order they do not depend on the caller's;
    mixed, as contiguous rows must not have like actions.
    """
    columns = [column for table in (action, *others) for column in table.reshape(len(table), -1).T]
    order: IntArray = np.lexsort(columns[::-1])
    return order[np.random.default_rng(0).permutation(len(order))]


def transform_action(transform: ActionTransform, action: FloatArray) -> FloatArray:
    """Apply a known function of the action, checking what comes back."""
    if transform is None:
        return action
    if not callable(transform):
        raise TypeError(f"action_transform must be a function of an array (n, k) or None, got {transform!r}.")
    out = np.asarray(transform(action.copy()), dtype=np.float64)
    out = out.reshape(len(action), -1) if out.ndim <= 1 else out
    if out.ndim != 2 or len(out) != len(action):
        raise ValueError(
            f"action_transform must return one row per action, shape ({len(action)}, q), got shape {out.shape}."
        )
    check_finite(out, "action_transform(action)")
    return out


def check_actions(
    actions: Rows, k: int, names: np.ndarray | None, *, name: str = "actions", n: int | None = None
) -> FloatArray:
    """Validate actions that are asked about, shape (m, k), or those of n rows of X; frames are matched by name."""
    given = column_names(actions)
    if names is not None and given is not None:
        if set(given) != set(names):
            missing, extra = sorted(set(names) - set(given)), sorted(set(given) - set(names))
            raise ValueError(
                f"{name} must have the columns {list(names)} that the model was fitted with; missing {missing}, "
                f"unknown {extra}."
            )
        actions = pd.DataFrame(np.asarray(actions), columns=list(given))[list(names)]
    array = np.asarray(actions)
    if array.ndim < 2 and k > 1:
        raise ValueError(
            f"{name} must have shape (m, {k}), one row per action, got shape {array.shape}. For a single action pass "
            f"[[...]] with {k} numbers."
        )
    rows = check_rows(np.atleast_1d(array) if array.ndim < 2 else array, name)
    if rows.shape[1] != k:
        raise ValueError(f"{name} must have {counted(k, 'column')}, as in fit, got shape {rows.shape}.")
    if n is not None and len(rows) != n:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n}, {name} has {len(rows)}."
        )
    return rows
