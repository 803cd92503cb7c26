"""A linear rule: what every linear estimator of this package fits, and what certificates speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalinv._matrix import lstsq, solve_range
from causalinv._typing import ArrayLike, FloatArray, Rows
from causalinv._validation import check_finite, check_rows
from causalinv.moments import Moments

__all__ = ["LinearRule", "least_squares"]


def least_squares(moments: Moments) -> FloatArray:
    """Least squares of y on x with an intercept, as a function of moments.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``; cells are pooled.

    Returns
    -------
    ndarray of shape (d, p)
        Coefficients; of minimum norm in standardised units if the features are dependent.
    """
    pooled = moments.pooled
    return solve_range(pooled.cov("x")[0], pooled.cov("x", "y")[0])


@dataclass(frozen=True, eq=False)
class LinearRule:
    """The rule ``intercept + X @ coef``.

    Parameters
    ----------
    coef : array-like of shape (d,)
        Coefficients of all features, in the outcome's unit per unit of the feature.
    intercept : float, default 0.0
        In the outcome's unit.
    components : array-like of shape (k, d), optional
        The representation that the rule reads, if it was built on one.
    names : sequence of str, optional
        Names of the features.

    Raises
    ------
    ValueError
        If shapes disagree or an entry is not finite: such a rule predicts nothing.

    Examples
    --------
    >>> import numpy as np
    >>> rule = LinearRule([2.0, 0.0], 1.0)
    >>> rule.predict(np.array([[3.0, 5.0]]))
    array([7.])
    """

    coef: FloatArray
    intercept: float = 0.0
    components: FloatArray | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        coef = np.array(self.coef, dtype=np.float64)
        if coef.ndim != 1:
            raise ValueError(f"coef must have shape (d,), got {coef.shape}.")
        check_finite(coef, "coef")
        if not np.isfinite(self.intercept):
            raise ValueError(f"intercept must be finite, got {self.intercept}.")
        coef.flags.writeable = False
        object.__setattr__(self, "coef", coef)
        object.__setattr__(self, "intercept", float(self.intercept))
        if self.components is not None:
            components = np.array(self.components, dtype=np.float64)
            if components.ndim != 2 or components.shape[1] != len(coef):
                raise ValueError(f"components must have shape (k, {len(coef)}), got {components.shape}.")
            check_finite(components, "components")
            components.flags.writeable = False
            object.__setattr__(self, "components", components)
        if self.names is not None:
            if len(self.names) != len(coef):
                raise ValueError(f"names must name {len(coef)} features, got {len(self.names)}.")
            object.__setattr__(self, "names", tuple(self.names))

    @classmethod
    def from_moments(cls, moments: Moments, *, inside: ArrayLike | Sequence[int] | None = None) -> LinearRule:
        """Least squares on all features, or on those `inside` (positions or a mask) with 0 elsewhere."""
        d, names = moments.blocks["x"], moments.names["x"]
        coef = np.zeros(d)
        if inside is None:
            coef = least_squares(moments)[:, 0]
        else:
            chosen = np.arange(d)[np.asarray(inside, dtype=bool if np.asarray(inside).dtype == bool else int)]
            if len(chosen):
                coef[chosen] = least_squares(moments.select(x=chosen, y=True))[:, 0]
        return cls.through_means(moments, coef, names=names)

    @classmethod
    def through_means(
        cls,
        moments: Moments,
        coef: ArrayLike,
        *,
        components: ArrayLike | None = None,
        names: tuple[str, ...] | None = None,
    ) -> LinearRule:
        """The rule with these coefficients whose mean residual over all rows is 0."""
        pooled = moments.pooled
        slope = np.asarray(coef, dtype=np.float64)
        intercept = float(pooled.mean("y")[0, 0] - pooled.mean("x")[0] @ slope)
        given = None if components is None else np.asarray(components, dtype=np.float64)
        return cls(slope, intercept, given, moments.names["x"] if names is None else names)

    @cached_property
    def representation(self) -> FloatArray:
        """What the rule reads, shape (k, d): its components, or the features with a coefficient."""
        return np.eye(len(self.coef))[self.coef != 0] if self.components is None else self.components

    @cached_property
    def weights(self) -> FloatArray:
        """Coefficients on `representation`, shape (k,); of minimum norm if its rows are dependent."""
        return lstsq(self.representation.T, self.coef)

    def predict(self, X: Rows) -> FloatArray:
        """Predictions, shape (n,), in the outcome's unit."""
        return np.asarray(check_rows(X, "X") @ self.coef + self.intercept)

    def risks(self, moments: Moments) -> FloatArray:
        """Mean squared error in each cell, shape (n_cells,), in the outcome's unit squared."""
        residual = np.concatenate([-self.coef, [1.0]])
        spread = moments.cov(("x", "y"))
        own = np.einsum("i,eij,j->e", residual, spread, residual)
        bias = moments.mean("y")[:, 0] - moments.mean("x") @ self.coef - self.intercept
        return np.asarray(np.maximum(own, 0.0) + bias**2)
