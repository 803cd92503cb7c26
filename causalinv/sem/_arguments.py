"""What users pass to sets of environments: labels, parameters, selections, sizes of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalinv._labels import shown
from causalinv._typing import FloatArray, IntArray
from causalinv._validation import check_list, check_numbers

__all__ = ["environment_labels", "parameters", "selected", "sizes"]


def environment_labels(labels: Sequence[Any] | pd.Index | None, n: int) -> pd.Index:
    """Labels of the environments, each once; pairs are labels too."""
    if isinstance(labels, pd.MultiIndex):
        labels = list(labels)
    if labels is None or isinstance(labels, pd.Index):
        found = pd.RangeIndex(n, name="environments") if labels is None else labels.rename("environments")
    else:
        given = check_list(labels, "labels", "labels, one per environment")
        try:
            found = pd.Index(given, name="environments", tupleize_cols=False)
        except TypeError as error:
            raise TypeError(f"labels must be hashable, got {labels!r}: {error}.") from error
    if len(found) != n or not found.is_unique:
        shown_labels = ", ".join(map(shown, found))
        raise ValueError(f"labels must be {n} different labels, one per environment, got {shown_labels}.")
    if found.hasnans:
        raise ValueError("labels has a missing label (NaN or None); every environment needs one.")
    return found


def parameters(theta: Any) -> FloatArray:
    """Parameters as floats; NaN says that a site is left alone."""
    try:
        found = np.ma.filled(theta, np.inf) if np.ma.isMaskedArray(theta) else np.asarray(theta)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"theta must be a table of numbers: {error}.") from error
    if found.dtype.kind not in "fiu":
        check_numbers(theta, "theta")
    array: FloatArray = np.array(found, dtype=np.float64)
    if np.isinf(array).any():
        raise ValueError("theta holds an infinite or masked parameter.")
    return array


def selected(which: Any, n: int) -> IntArray:
    """Positions that a slice, positions or a mask stand for; each at most once."""
    mask = np.asarray(which).dtype == bool if not isinstance(which, slice) else False
    if mask and np.shape(which) != (n,):
        raise IndexError(f"A mask of environments must have length {n}, got shape {np.shape(which)}.")
    try:
        at = np.atleast_1d(np.arange(n)[which if isinstance(which, slice) or mask else np.asarray(which)])
    except (IndexError, TypeError, ValueError):
        raise IndexError(
            f"Environments are selected by a slice, by positions from 0 to {n - 1}, or by a mask; got {which!r}."
        ) from None
    if at.ndim != 1 or not at.size:
        raise IndexError(f"The selection {which!r} leaves no environment of {n}.")
    different, counts = np.unique(at, return_counts=True)
    if len(different) < len(at):
        raise IndexError(f"Environment {int(different[counts > 1][0])} is selected twice; it has one set of draws.")
    return np.asarray(at, dtype=np.intp)


def sizes(n: int | Sequence[int], n_environments: int) -> IntArray:
    """Rows per environment."""
    given: list[Any] = list(n) if isinstance(n, Iterable) and not isinstance(n, str) else [n] * n_environments
    if any(isinstance(k, bool | np.bool_) or not isinstance(k, int | np.integer) or k < 0 for k in given):
        raise ValueError(f"n must hold whole numbers >= 0, got {n!r}.")
    if len(given) != n_environments:
        raise ValueError(f"n has {len(given)} entries for {n_environments} environments; give one number or one each.")
    return np.array(given, dtype=np.int64)
