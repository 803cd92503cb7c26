"""Scaling: the same row in other units of length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np

from causalinv._matrix import column_lengths
from causalinv._typing import Columns, FloatArray, Names
from causalinv._validation import check_number
from causalinv.transformations._base import Moved, Transformation
from causalinv.transformations._columns import positions
from causalinv.transformations._frame import Frame, whole

__all__ = ["Scaling"]


@dataclass(eq=False, repr=False)
class Scaling(Transformation):
    r"""Multiply columns by one positive number, :math:`x \mapsto cx`.

    Parameters
    ----------
    columns : sequence of int or str, optional
        What is scaled; left out, all columns.
    spread : float, default 1.0
        Standard deviation of log c in `draw`, which is normal with mean 0: there is no uniform law of scales.
    degree : float, default 0.0
        With ``output="homogeneous"``: the outcome is multiplied by c to this power.
    outcome_invariant : bool, default True
        Your claim that the outcome ignores the scale.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.transformations import Scaling
    >>> Scaling().frame(np.array([[3.0, 4.0]])).rows
    array([[0.6, 0.8]])
    """

    compact = False

    columns: Columns = None
    _: KW_ONLY
    spread: float = 1.0
    degree: float = 0.0
    outcome_invariant: bool = True

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        at = self._at(X, feature_names)
        G = check_number(self.spread, "spread of Scaling", low=0.0, finite=True) * rng.standard_normal((len(X), 1))
        out = X.copy()
        out[:, at] *= np.exp(G)
        return out, G

    def frame(self, X: FloatArray, feature_names: Names = None) -> Frame:
        """One element: the row divided by its length; a row of length 0 stays, as no scale moves it."""
        return self._tidy(self._poses(X, feature_names), feature_names)

    def _poses(self, X: FloatArray, feature_names: Names) -> Frame:
        at = self._at(X, feature_names)
        length = column_lengths(X[:, at].T)
        rows = X.copy()
        rows[:, at] /= np.where(length > 0, length, 1.0)[:, None]
        return Frame.single(rows, {"length": length}, length == 0)

    def _tidied(self, rows: FloatArray, feature_names: Names) -> FloatArray:
        at = self._at(rows, feature_names)
        out = rows.copy()
        out[:, at] = whole(rows[:, at], np.abs(rows[:, at]))  # columns may be in other units
        return out

    def carry(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        return self._scaled(Y, pose, output, -1.0)

    def bring_back(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str) -> FloatArray:
        return self._scaled(Y, pose, output, 1.0)

    def canonical(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        return self.frame(X, feature_names).rows

    def pose(self, X: FloatArray, feature_names: Names = None) -> FloatArray:
        length = column_lengths(X[:, self._at(X, feature_names)].T)
        if not length.all():
            raise ValueError(
                f"Row {int(np.argmin(length))} of X is zero in the columns that are scaled: it has no scale."
            )
        return np.log(length)[:, None]

    def _at(self, X: FloatArray, names: Sequence[str] | None) -> np.ndarray:
        if self.columns is None:
            return np.arange(X.shape[1])
        at = positions(self.columns, X.shape[1], names, "columns of Scaling")
        if not at.size:
            raise ValueError("columns of Scaling are empty: it would move nothing. Leave it out, or name columns.")
        return at

    def _scaled(self, Y: FloatArray, pose: Mapping[str, np.ndarray], output: str, way: float) -> FloatArray:
        if output == "invariant":
            return Y
        if output != "homogeneous":
            raise ValueError(f"Scaling moves outcomes that are 'invariant' or 'homogeneous'; got output={output!r}.")
        degree = check_number(self.degree, "degree of Scaling", finite=True)
        length = pose["length"]
        if degree and not length.all():
            raise ValueError(
                f"Row {int(np.argmin(length))} of the frame has length 0, so an outcome of degree {degree:g} is not "
                "defined there. Leave such rows out."
            )
        return Y * (length ** (way * degree)).reshape((-1,) + (1,) * (Y.ndim - 1))
