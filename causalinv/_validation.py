"""Checks that every room shares: rows that belong together, numbers that are numbers.

A message says which argument, what was found, what the rule is and what to do.
"""

from __future__ import annotations

import numbers
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from causalinv._compat import named_frame
from causalinv._frames import column_names
from causalinv._labels import shown
from causalinv._typing import BoolArray, FloatArray, Rows

_LARGEST_WEIGHT = 1e100  # its square is still a number

__all__ = [
    "check_alignment",
    "check_choice",
    "check_confidence_level",
    "check_features",
    "check_finite",
    "check_flag",
    "check_list",
    "check_number",
    "check_numbers",
    "check_outcome",
    "check_rows",
    "check_sample_weight",
    "check_target",
    "check_weight_range",
    "check_whole",
    "positive_rows",
]


def check_alignment(**inputs: Rows) -> None:
    """Raise unless all inputs have as many rows and all pandas indexes are equal.

    Libraries that align by position turn a permuted index into a silently wrong estimate, so here labels that
    differ, or come in another order, are an error.
    """
    given = {name: rows for name, rows in inputs.items() if rows is not None}
    lengths = {name: _n_rows(rows) for name, rows in given.items()}
    known = {name: length for name, length in lengths.items() if length is not None}
    if len(set(known.values())) > 1:
        found = ", ".join(f"{name} has {length}" for name, length in known.items())
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {found}.")

    first_name, first = None, None
    for name, rows in given.items():
        index = getattr(rows, "index", None)
        if not isinstance(index, pd.Index):
            continue
        if first is None:
            first_name, first = name, index
        elif not index.equals(first):
            row = int(np.argmax(index.to_numpy() != first.to_numpy()))
            same = len(index) == len(first) and index.isin(first).all() and first.isin(index).all()
            how = "the same labels in another order" if same else "other labels"
            raise ValueError(
                f"The index of {name} differs from the index of {first_name}: {how}, first at row {row} "
                f"({shown(index[row])} against {shown(first[row])}). Reorder one by the other's index "
                f"(for example {name}.loc[{first_name}.index]), or pass arrays if rows match by position."
            )


def _n_rows(rows: Rows) -> int | None:
    if isinstance(rows, str | bytes):
        return None  # a column's name, whose letters are no rows: what reads the rows says so
    shape = getattr(rows, "shape", None)
    if isinstance(shape, tuple):
        return int(shape[0]) if shape else None
    return len(rows) if hasattr(rows, "__len__") else None


def check_finite(values: FloatArray, name: str, columns: Iterable[Hashable] | None = None) -> None:
    """Raise a ValueError that names argument, row and column of the first entry that is NaN or infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(values.sum()):  # one pass without temporaries; an overflow only costs the second look
            return
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    kind = "NaN" if np.isnan(values).any() else "infinity"
    position = np.argwhere(bad)[0]
    where = f"row {position[0]}"
    if values.ndim > 1:
        names = None if columns is None else list(columns)
        where += f", column {position[1] if names is None else repr(names[position[1]])}"
    raise ValueError(
        f"Input {name} contains {kind}: {int(bad.sum())} of {values.size} entries are not finite, the first in "
        f"{where}. Nothing is dropped or imputed here: remove the rows or impute before fitting."
    )


def check_rows(rows: Rows, name: str, *, ensure_2d: bool = True, min_samples: int = 1) -> FloatArray:
    """Convert one argument that holds a row per sample, and at least one column, to a finite float64 array."""
    shape: Any = getattr(rows, "shape", ())
    if isinstance(shape, tuple) and len(shape) == 2 and shape[1] == 0:
        raise ValueError(f"{name} has 0 columns, shape {tuple(shape)}; pass at least one.")
    plain = type(rows) is np.ndarray and rows.dtype == np.float64 and rows.ndim in ((2,) if ensure_2d else (1, 2))
    if plain and len(rows) >= max(min_samples, 1):
        check_finite(rows, name)  # already what conversion would make of it
        return rows
    _refuse_no_numbers(rows, name)
    if ensure_2d:
        if not hasattr(rows, "shape"):
            rows = np.asarray(rows)
        if len(rows.shape) == 1:
            rows = np.asarray(rows).reshape(-1, 1)
    with _naming(name):
        array: FloatArray = check_array(
            rows,
            dtype=np.float64,
            ensure_2d=ensure_2d,
            ensure_all_finite=False,
            ensure_min_samples=min_samples,
            input_name=name,
        )
    check_finite(array, name, column_names(rows))
    return array


def check_features(estimator: Any, X: Rows, *, reset: bool, min_samples: int = 1) -> FloatArray:
    """Validate X, setting (`reset`) or checking `n_features_in_` and `feature_names_in_` of the estimator."""
    _refuse_no_numbers(X, "X")
    X = named_frame(X)
    with _naming("X"):
        array: FloatArray = validate_data(
            estimator, X, reset=reset, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=min_samples
        )
    check_finite(array, "X", getattr(estimator, "feature_names_in_", None))
    return array


def _refuse_no_numbers(rows: Rows, name: str) -> None:
    """Refuse what numpy would silently turn into numbers: dates, digits as text, masked entries, lazy frames."""
    if isinstance(rows, np.ma.MaskedArray) and np.ma.getmaskarray(rows).any():
        at = np.argwhere(np.ma.getmaskarray(rows))[0]
        raise ValueError(
            f"Input {name} has masked entries, the first in row {int(at[0])}: they are missing. Remove these rows or "
            "impute before fitting."
        )
    if type(rows).__name__ == "LazyFrame":
        raise TypeError(f"{name} is a lazy frame, which holds no rows yet; pass {name}.collect().")
    if isinstance(rows, str | bytes):
        raise TypeError(
            f"{name} must hold numbers, one row each; got the text {rows!r}. Pass the column, not its name."
        )
    columns = rows.items() if isinstance(rows, pd.DataFrame) else [(None, rows)]
    for label, column in columns:
        dtype = getattr(column, "dtype", None)
        kind = getattr(dtype, "kind", "")
        where = name if label is None else f"Column {label!r} of {name}"
        if kind in ("M", "m"):
            raise ValueError(
                f"{where} holds dates or durations; turn them into numbers, for example days since the first."
            )
        if kind in ("U", "O"):
            texts = [value for value in np.asarray(column, dtype=object).flat if isinstance(value, str)]
            if texts:
                raise ValueError(f"{where} holds text ({texts[0]!r}); encode it as numbers first.")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Add the argument's name, and what to do, where scikit-learn's message has neither."""
    try:
        yield
    except TypeError as error:
        if "NAType" in str(error):
            raise ValueError(
                f"Input {name} contains NaN: a missing value (NA) in a column of objects. Nothing is dropped or "
                "imputed here: remove the rows or impute before fitting."
            ) from error
        if name not in re.findall(r"\w+", str(error)):
            raise TypeError(f"{name}: {error}") from error
        raise
    except ValueError as error:
        text = str(error)
        if text.startswith("could not convert string"):
            raise ValueError(f"{name} holds text ({text}); encode it as numbers first.") from error
        if text.startswith("Complex data not supported"):
            raise ValueError(f"Complex data not supported: {name} is complex; pass real numbers.") from error
        if name not in re.findall(r"\w+", text):
            raise ValueError(f"{name}: {text}") from error
        raise


def check_target(y: Rows, n_samples: int, *, name: str = "y") -> FloatArray:
    """Validate an outcome of one (n,) or several (n, p) columns; the number of dimensions is kept."""
    if y is None:
        raise ValueError(f"This requires {name} to be passed, but the target {name} is None.")
    array = check_rows(y, name, ensure_2d=False)
    if array.shape[0] != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_samples}, {name} has "
            f"{array.shape[0]}."
        )
    return array


def check_outcome(y: Rows, n_samples: int) -> FloatArray:
    """Validate a single outcome (n,); one column (n, 1) is read as it with scikit-learn's warning."""
    array = check_target(y, n_samples)
    if array.ndim == 2 and array.shape[1] > 1:
        raise ValueError(f"y must be a single outcome, got shape {array.shape}; fit one model for each.")
    return np.asarray(column_or_1d(array, warn=True))


def check_sample_weight(sample_weight: Rows, n_samples: int) -> FloatArray | None:
    """Validate row weights: None, or n finite numbers >= 0 whose sum is positive."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, numbers.Real):
        weights = np.full(n_samples, float(sample_weight))
    else:
        weights = check_rows(sample_weight, "sample_weight", ensure_2d=False)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must hold one number per row, shape ({n_samples},), got shape {weights.shape}."
        )
    if weights.min() < 0:
        row = int(np.argmin(weights))
        raise ValueError(
            f"Negative values in sample_weight: {weights[row]:g} in row {row}; weights must be >= 0 "
            "(0 leaves a row out)."
        )
    top = float(weights.max())
    if not top > 0:
        raise ValueError("sample_weight is zero in every row; at least one row must have a positive weight.")
    check_weight_range(float(weights[weights > 0].min()), top)
    return weights


def check_weight_range(smallest: float, top: float) -> None:
    """Raise for positive weights whose squares would be no numbers."""
    if top > _LARGEST_WEIGHT or smallest < 1 / _LARGEST_WEIGHT:
        raise ValueError(
            f"sample_weight runs from {smallest:g} to {top:g}; only ratios matter, so divide it by its mean to keep it "
            f"between {1 / _LARGEST_WEIGHT:g} and {_LARGEST_WEIGHT:g}."
        )


def positive_rows(weight: FloatArray | None) -> BoolArray | None:
    """Rows of positive weight, or None if that is every row: rows of weight 0 are taken out before anything else."""
    if weight is None or weight.all():
        return None
    return weight > 0


def check_whole(value: Any, name: str, *, low: int) -> int:
    """Return a whole number >= `low`, or raise naming the argument and what was found."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral) or value < low:
        raise ValueError(f"{name} must be a whole number >= {low}, got {value!r}.")
    return int(value)


def check_number(
    value: Any,
    name: str,
    *,
    low: float | None = None,
    high: float | None = None,
    open_low: bool = False,
    finite: bool = False,
) -> float:
    """Return `value` as a float, or raise naming the argument, what was found and the interval allowed."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {value!r} of type {type(value).__name__}.")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a floating-point number.") from None
    if finite and np.isinf(number):
        raise ValueError(f"{name} must be finite, got {value!r}.")
    too_low = low is not None and (number <= low if open_low else number < low)
    too_high = high is not None and (number > high)
    if np.isnan(number) or too_low or too_high:
        lower = "" if low is None else f" {'>' if open_low else '>='} {low:g}"
        upper = "" if high is None else f" <= {high:g}"
        raise ValueError(f"{name} must be a number{lower}{' and' if lower and upper else ''}{upper}, got {value!r}.")
    return number


def check_confidence_level(value: Any, name: str = "confidence_level") -> float:
    """Return a level strictly between 0 and 1: a 100% interval is the whole line, a 0% interval a point."""
    level = check_number(value, name)
    if not 0.0 < level < 1.0:
        raise ValueError(f"{name} must be a number > 0 and < 1, got {value!r}; 0.95 is usual.")
    return level


def check_choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return one of some words, or raise naming the argument and what there is; nothing but a text is a word."""
    allowed = tuple(choices)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}.")
    return str(value)


def check_flag(value: Any, name: str) -> bool:
    """Return True or False, or raise: a text or a number is no answer to a yes-or-no question."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_numbers(values: Any, name: str) -> FloatArray:
    """A new float64 array of any shape from finite real numbers; complex, masked, text or missing entries raise."""
    if isinstance(values, pd.DataFrame | pd.Series):
        values = values.to_numpy(dtype=object, na_value=np.nan)
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise ValueError(f"Input {name} has masked entries: they are missing.")
    try:
        found = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be a table of numbers: {error}.") from error
    if found.dtype == object:
        odd = next((v for v in found.flat if not isinstance(v, numbers.Number) or isinstance(v, complex)), None)
        if odd is not None or any(v is None for v in found.flat):
            raise TypeError(f"{name} must hold real numbers, got {odd!r} of type {type(odd).__name__}.")
    elif found.dtype.kind not in "fiub":
        what = {"c": "complex numbers", "U": "text", "S": "text", "M": "dates", "m": "durations"}
        raise TypeError(f"{name} must hold real numbers, got {what.get(found.dtype.kind, str(found.dtype))}.")
    try:
        array: FloatArray = np.array(found, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must hold real numbers: {error}.") from error
    if array.ndim:
        check_finite(array, name)
    elif not np.isfinite(array):
        raise ValueError(f"{name} must be finite, got {float(array)!r}.")
    return array


def check_list(values: Any, name: str, what: str) -> list[Any]:
    """A list from any sequence but a text; `what` says what it should hold."""
    wrong = isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable)
    if wrong or getattr(values, "ndim", 1) != 1:
        raise TypeError(f"{name} must be a sequence of {what}, got {values!r}.")
    return list(values)
