"""Labels of rows - environments, folds, clusters, arms - coded once, by one rule.

Whatever hashable thing a label is, rows get whole numbers and the labels are kept beside; nobody looks rows up by
comparing labels again. A missing label of any kind (NaN, None, NaT, NA, a masked entry) is found *before* numpy turns
it into a text or a number.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causalinv._typing import BoolArray, IntArray, Rows

__all__ = ["Labels", "encode", "shown"]


@dataclass(frozen=True, eq=False)
class Labels:
    """Codes of rows and what they stand for.

    Attributes
    ----------
    codes : ndarray of shape (n,)
        Position of each row's label in `names`.
    names : pandas.Index
        The different labels, sorted; every one occurs.
    """

    codes: NDArray[np.intp]
    names: pd.Index

    def __len__(self) -> int:
        return len(self.names)

    @property
    def counts(self) -> IntArray:
        """Rows of each label."""
        return np.bincount(self.codes, minlength=len(self.names))

    def rows(self, code: int) -> IntArray:
        """Positions of the rows of one label."""
        return np.flatnonzero(self.codes == code)

    def take(self, rows: BoolArray | IntArray, name: str = "labels", *, least: int = 1) -> Labels:
        """Labels of some rows only; labels that no longer occur are gone."""
        codes = self.codes[rows]
        present, new = np.unique(codes, return_inverse=True)
        _check_many(self.names[present], name, least)
        return Labels(new.reshape(-1).astype(np.intp), self.names[present])


def encode(labels: Rows | Labels, name: str, n: int | None = None, *, least: int = 1) -> Labels:
    """Code labels of rows.

    Parameters
    ----------
    labels : array-like of shape (n,), or Labels
        Any hashable labels, pairs included: list, array, pandas or polars series, index, categories. A table of one
        column is its column.
    name : str
        The argument, for messages.
    n : int, optional
        Number of rows expected.
    least : int, default 1
        Fewest different labels that make sense.

    Returns
    -------
    Labels

    Raises
    ------
    ValueError
        If there is not one label per row, one is missing or infinite, or there are fewer than `least` different ones.
    TypeError
        If a label cannot be hashed.
    """
    if isinstance(labels, Labels):
        if n is not None and len(labels.codes) != n:
            raise ValueError(f"{name} must hold one label per row, {n} of them, got {len(labels.codes)}.")
        _check_many(labels.names, name, least)
        return labels
    values, missing = _column(labels, name)
    if n is not None and len(values) != n:
        raise ValueError(f"{name} must hold one label per row, shape ({n},), got shape ({len(values)},).")
    if missing.any():
        raise ValueError(
            f"{name} has a missing label in row {int(np.argmax(missing))} ({int(missing.sum())} in all); every row "
            "needs one. Drop these rows, or give them a label of their own."
        )
    codes, names = _factorize(values, name)
    _check_many(names, name, least)
    return Labels(codes, names)


def shown(label: Any) -> str:
    """A label as a user wrote it: no ``np.int64(1)``."""
    if isinstance(label, tuple):
        return "(" + ", ".join(shown(part) for part in label) + ("," if len(label) == 1 else "") + ")"
    if isinstance(label, pd.Timestamp | pd.Timedelta):
        return repr(str(label))
    return repr(label.item() if isinstance(label, np.generic) else label)


def _check_many(names: pd.Index, name: str, least: int) -> None:
    if len(names) >= max(least, 1):
        return
    if not len(names):
        raise ValueError(f"{name} is empty: there is no row.")
    few = "one label" if len(names) == 1 else f"{len(names)} labels"
    raise ValueError(
        f"{name} has {few}, {', '.join(map(shown, names))}; at least {'two' if least == 2 else least} are needed."
    )


def _column(labels: Any, name: str) -> tuple[Any, BoolArray]:
    """One-dimensional values and which of them are missing."""
    if isinstance(labels, str | bytes) or not (hasattr(labels, "__len__") or hasattr(labels, "__array__")):
        raise ValueError(
            f"{name} must hold one label per row; got {labels!r}. Pass the column itself, not its name or one label."
        )
    columns = getattr(labels, "columns", None)
    if columns is not None:  # a frame, pandas or polars
        if len(columns) != 1:
            raise ValueError(
                f"{name} must hold one label per row; got a table of {len(columns)} columns. Pairs are labels too: "
                "list(zip(a, b))."
            )
        labels = labels[columns[0]]
    if isinstance(labels, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return _pandas_column(labels)
    if hasattr(labels, "to_list") and not isinstance(labels, Sequence):  # polars
        return _object_column(labels.to_list())
    if isinstance(labels, Sequence) or not hasattr(labels, "__array__"):
        return _object_column(list(labels))
    array = labels if isinstance(labels, np.ndarray) else np.asarray(labels)
    flat = _flat(array, name)
    if flat.dtype == object or flat.dtype.kind == "T":  # numpy's variable-width strings hide what is missing
        return _object_column(list(flat.astype(object)))
    missing = np.asarray(pd.isna(np.ma.getdata(flat)), dtype=bool) | np.ma.getmaskarray(flat)
    return np.ma.getdata(flat), missing


def _pandas_column(labels: Any) -> tuple[Any, BoolArray]:
    if isinstance(labels, pd.MultiIndex):
        return _object_column(list(labels))
    found = pd.Series(labels)
    if isinstance(found.dtype, pd.CategoricalDtype):
        found = found.astype(object if found.isna().any() else found.dtype.categories.dtype)
    if found.dtype == object:
        return _object_column(list(found))
    return found.array, np.asarray(found.isna(), dtype=bool)


def _flat(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must hold one label per row, shape (n,), got shape {array.shape}. Pairs are labels too: "
            "list(zip(a, b))."
        )
    return array


def _object_column(values: list[Any]) -> tuple[np.ndarray, BoolArray]:
    missing = np.zeros(len(values), dtype=bool)
    for i, value in enumerate(values):
        parts = value if isinstance(value, tuple) else (value,)
        missing[i] = any(part is None or (pd.api.types.is_scalar(part) and bool(pd.isna(part))) for part in parts)
    return _objects(values), missing


def _objects(values: Sequence[Any]) -> np.ndarray:
    """An object array of one dimension, whose entries may be tuples."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = _plain(value)
    return array


def _plain(value: Any) -> Any:
    """Python's own number or text for numpy's, inside pairs too."""
    if type(value) is tuple:
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value


def _factorize(values: Any, name: str) -> tuple[NDArray[np.intp], pd.Index]:
    kind = getattr(values.dtype, "kind", "O")
    if kind == "f" and np.isinf(np.asarray(values, dtype=np.float64)).any():
        row = int(np.argmax(np.isinf(np.asarray(values, dtype=np.float64))))
        raise ValueError(f"{name} has an infinite label in row {row}; labels must be finite, or texts.")
    if values.dtype != object:
        codes, names = pd.factorize(pd.Index(values), sort=True)
        return codes.astype(np.intp), pd.Index(names)
    position: dict[Hashable, int] = {}
    first = np.empty(len(values), dtype=np.intp)
    for i, value in enumerate(values):
        try:
            first[i] = position.setdefault(value, len(position))
        except TypeError as error:
            raise TypeError(
                f"{name} holds {value!r} in row {i}, of type {type(value).__name__}, which cannot be a label; use "
                "numbers, texts, dates, or tuples of them."
            ) from error
        if isinstance(value, float) and np.isinf(value):
            raise ValueError(f"{name} has an infinite label in row {i}; labels must be finite, or texts.")
    found = list(position)
    try:
        order = sorted(range(len(found)), key=lambda k: found[k])  # type: ignore[arg-type, return-value]
    except TypeError:  # labels of several types: any order will do that rows cannot change
        order = sorted(range(len(found)), key=lambda k: (type(found[k]).__name__, repr(found[k])))
    rank = np.empty(len(found), dtype=np.intp)
    rank[order] = np.arange(len(found))
    labels = [found[k] for k in order]
    simple = not any(isinstance(label, tuple) for label in labels)
    return rank[first], pd.Index(labels) if simple else pd.Index(_objects(labels), tupleize_cols=False)
