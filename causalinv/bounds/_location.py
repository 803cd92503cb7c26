"""Where an outcome lies given features: ridge regression on the columns or on smoothing splines of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.interpolate import BSpline
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from causalinv._matrix import orthonormal_range, whitener
from causalinv._parallel import seed_estimator
from causalinv._typing import FloatArray

__all__ = ["SmoothingSplines", "hats", "location", "spline_basis", "spline_knots"]

_KNOTS, _MODES = 14, 10  # knots of a column, and smoothest shapes that are kept of it
_LINEAR = 3.0  # how much less a straight line is shrunk than the smoothest bend, as a factor of its size
_PENALTIES = np.logspace(-3, 5, 33)  # of the sum of squares, in units of one row
_LEAST_OF_BENDS = 0.1  # of these: with fewer, 20 to 80 rows let a spline run away where none lies
_CONSTANT = 10.0  # the same of a constant between arms
_APART = (0.5, 0.1)  # and of shapes in which arms differ
_BLOCK = 1 << 14  # rows at once

Rows: TypeAlias = tuple[FloatArray, FloatArray, FloatArray | None]


def location(outcome: Any, seed: int) -> Any:
    """An unfitted regressor for the location."""
    if isinstance(outcome, str):
        return make_pipeline(SmoothingSplines() if outcome == "spline" else StandardScaler(), _ridge(outcome))
    return seed_estimator(outcome, np.random.default_rng(seed))


def spline_knots(x: FloatArray, n_knots: int) -> FloatArray | None:
    """Knots of cubic splines at quantiles, the outer ones repeated; None if fewer than three values tell apart."""
    inner = np.unique(np.quantile(x, np.linspace(0.0, 1.0, n_knots)))
    # Knots nearer than a millionth of the range are one.
    wide = inner[np.r_[True, np.diff(inner) > 1e-6 * max(np.ptp(inner), 1e-300)]]
    return np.r_[[wide[0]] * 3, wide, [wide[-1]] * 3] if len(wide) > 2 else None


def spline_basis(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Cubic B-splines, which sum to one; constant beyond the outermost knots."""
    return BSpline.design_matrix(np.clip(x, knots[0], knots[-1]), knots, 3).toarray()


def hats(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Piecewise linear functions, one at a knot and 0 at the others: they sum to one; flat beyond the outer knots."""
    return np.stack([np.interp(x, knots, hat) for hat in np.eye(len(knots))], axis=1)


class SmoothingSplines(TransformerMixin, BaseEstimator):
    """Each column itself, and its smoothest bends: ridge regression on these is a smoothing spline of every column.

    The bends are cubic splines, orthogonal over the rows to each other and to straight lines, in the order of their
    mean squared second derivative; each is as large as one over its root, so that equal shrinkage is a limit on that.
    All are constant beyond the rows: a line would run away with a row far out.
    """

    def fit(self, X: FloatArray, y: Any = None) -> SmoothingSplines:
        """Find the bends."""
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.centre_, self.scale_ = X.mean(axis=0), X.std(axis=0)
        self.scale_[self.scale_ == 0] = 1.0
        self.bends_ = [_bends(x) for x in self._standard(X).T]
        return self

    def transform(self, X: FloatArray) -> FloatArray:
        """Columns and their bends."""
        standard = self._standard(X)
        parts = [_LINEAR * standard]
        for x, bends in zip(standard.T, self.bends_, strict=True):
            if bends is not None:
                parts.append(spline_basis(x, bends[0]) @ bends[1])
        return np.hstack(parts)

    def _standard(self, X: FloatArray) -> FloatArray:
        return (np.clip(X, self.low_, self.high_) - self.centre_) / self.scale_


def _bends(x: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Knots, and the bends as combinations of B-splines."""
    knots = spline_knots(x, _KNOTS)
    if knots is None:
        return None
    k = len(knots) - 4
    mass, first, total = np.zeros((k, k)), np.zeros((k, 2)), len(x)
    for start in range(0, total, _BLOCK):
        part = x[start : start + _BLOCK]
        basis = spline_basis(part, knots)
        mass += basis.T @ basis / total
        first += basis.T @ np.column_stack([np.ones(len(part)), part]) / total
    # Second derivatives of cubic splines are straight between knots, so Simpson's rule integrates their squares.
    unique = np.unique(knots)
    middle, width = (unique[1:] + unique[:-1]) / 2.0, np.diff(unique)
    at = np.r_[unique[:-1], middle, unique[1:] - 1e-9 * width]
    share = np.r_[width, 4.0 * width, width] / 6.0
    second = BSpline(knots, np.eye(k), 3).derivative(2)(at)
    bent = second.T @ (share[:, None] * second)
    # Coordinates in which the rows' mean square is the identity, less constants and straight lines.
    white = whitener(mass, tol=1e-9)
    free = orthonormal_range(first.T @ white)[1].T
    if not free.shape[1]:
        return None
    roughness, modes = np.linalg.eigh(free.T @ white.T @ bent @ white @ free)
    roughness = np.maximum(roughness, 1e-12 * roughness[-1])[:_MODES]
    return knots, (white @ free @ modes[:, :_MODES]) * np.sqrt(roughness[0] / roughness)


def fit_shared(outcome: str, own: Rows, other: Rows | None) -> tuple[SharedLocation, FloatArray]:
    """Location of an arm's outcome, with strength borrowed from the other arms; and residuals over their leverage.

    Arms share shapes, and differ by a constant and by shapes of their own. How much all are shrunk, and those of the
    arm's own besides, is chosen by the leave-one-out error at the arm's rows. Rows are (X, y, weight or None).
    """
    X, y, weight = own
    shapes = SmoothingSplines() if outcome == "spline" else StandardScaler()
    shapes.fit(X if other is None else np.vstack([X, other[0]]))
    n, Z = len(y), shapes.transform(X)
    if other is None:
        fitted = _ridge(outcome).fit(Z, y, sample_weight=weight)
        model = SharedLocation(shapes, fitted.coef_, fitted.intercept_)
    else:
        further, target = shapes.transform(other[0]), np.r_[y, other[1]]
        both, k = None if weight is None else np.r_[weight, other[2]], Z.shape[1]
        fits = {}
        for apart in _APART:
            design = np.vstack([_design(Z, apart), _design(further, -apart)])
            fits[apart] = _ridge(outcome).fit(design, target, sample_weight=both, n_scored=n)
        apart, fitted = min(fits.items(), key=lambda item: item[1].loss_)
        coef = fitted.coef_[:k] + apart * fitted.coef_[k : 2 * k]
        model = SharedLocation(shapes, coef, fitted.intercept_ + _CONSTANT * fitted.coef_[-1])
    short = np.sqrt(np.maximum(1.0 - fitted.leverage_[:n], 1e-3))
    return model, (y - Z @ model.coef - model.constant) / short


def _ridge(outcome: str) -> Ridge:
    return Ridge(least=_LEAST_OF_BENDS if outcome == "spline" else 0.0)


def _design(shapes: FloatArray, apart: float) -> FloatArray:
    """Shapes of all arms, and what sets an arm apart."""
    return np.hstack([shapes, apart * shapes, np.full((len(shapes), 1), np.sign(apart) * _CONSTANT)])


@dataclass(frozen=True)
class SharedLocation:
    """A constant and a combination of shapes."""

    shapes: Any
    coef: FloatArray
    constant: float

    def predict(self, X: FloatArray) -> FloatArray:
        """Location at each row."""
        return self.constant + self.shapes.transform(X) @ self.coef


class Ridge(RegressorMixin, BaseEstimator):
    """Ridge regression with the penalty of least squared leave-one-out error, from one matrix of cross-products.

    No penalty below `least` is tried. A residual over the root of 1 - `leverage_` is as large as what a new row leaves
    of the true location.
    """

    def __init__(self, least: float = 0.0):
        self.least = least

    def fit(
        self, X: FloatArray, y: FloatArray, sample_weight: FloatArray | None = None, *, n_scored: int | None = None
    ) -> Ridge:
        """Fit; weights count relative to their mean, and the penalty is the best for the first `n_scored` rows."""
        n = len(y)
        scored = np.arange(n) < (n if n_scored is None else n_scored)
        w = np.ones(n) if sample_weight is None else sample_weight * (n / np.sum(sample_weight))
        centre, middle = w @ X / n, float(w @ y) / n
        gram, moment = np.zeros((X.shape[1],) * 2), np.zeros(X.shape[1])
        blocks = [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]
        for rows in blocks:
            part = X[rows] - centre
            weighted = part * w[rows, None]
            gram += weighted.T @ part
            moment += weighted.T @ (y[rows] - middle)
        size, directions = np.linalg.eigh(gram)
        size, along = np.maximum(size, 0.0), directions.T @ moment
        penalties = _PENALTIES[self.least * (1.0 - 1e-9) <= _PENALTIES]
        shrunk = 1.0 / (size[:, None] + penalties)
        loss = np.zeros(len(penalties))
        for rows in blocks:
            turned = (X[rows] - centre) @ directions
            leverage = w[rows, None] * (1.0 / n + (turned**2) @ shrunk)
            left = (y[rows] - middle)[:, None] - turned @ (along[:, None] * shrunk)
            loss += (w[rows] * scored[rows]) @ (left / np.maximum(1.0 - leverage, 1e-3)) ** 2
        best = int(np.argmin(loss))
        self.loss_ = float(loss[best])
        self.coef_ = directions @ (along * shrunk[:, best])
        self.intercept_ = middle - float(centre @ self.coef_)
        self.leverage_ = np.concatenate(
            [w[rows] * (1.0 / n + (((X[rows] - centre) @ directions) ** 2) @ shrunk[:, best]) for rows in blocks]
        )
        return self

    def predict(self, X: FloatArray) -> FloatArray:
        """Predictions."""
        return X @ self.coef_ + self.intercept_
