"""Names of the types that the public signatures share."""

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ArrayLike", "BoolArray", "Columns", "FloatArray", "IntArray", "Names", "Node", "RandomState", "Rows"]

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.integer[Any]]

#: Rows of data as a user holds them: array, list, pandas or polars object.
Rows: TypeAlias = Any
#: Which columns of X, by position or name; None where all are meant.
Columns: TypeAlias = Sequence[Any] | None
#: Names of the columns of X, where it has any.
Names: TypeAlias = Sequence[str] | None
#: A node of a SEM: its position or its name.
Node: TypeAlias = Hashable
#: Anything that seeds a generator.
RandomState: TypeAlias = int | np.random.SeedSequence | np.random.Generator | np.random.RandomState | None
