"""Names of the types that the public signatures share."""

from collections.abc import Hashable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ArrayLike", "BoolArray", "FloatArray", "IntArray", "Node", "RandomState", "Rows"]

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.integer[Any]]

#: Rows of data as a user holds them: array, list, pandas or polars object.
Rows: TypeAlias = Any
#: A node of a SEM: its position or its name.
Node: TypeAlias = Hashable
#: Anything that seeds a generator.
RandomState: TypeAlias = int | np.random.SeedSequence | np.random.Generator | np.random.RandomState | None
