"""Functions of rows: radial features with linear columns, and polynomials of the action that serve as moments."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy.spatial.distance import cdist, pdist

from causalinv._matrix import constant_columns, lstsq, range_eigh, whitener
from causalinv._typing import FloatArray

__all__ = [
    "Affine",
    "RadialFeatures",
    "action_regression",
    "beyond_rounding",
    "choose_landmarks",
    "moment_features",
    "standardizer",
    "whitening",
]

_EIGEN_CUT = 1e-7
_ROUNDED = 1e-10  # of the standard deviation of a column: what a regression on its own cause leaves of it
_MAX_PAIRS = 500  # landmarks among which the median distance is taken


@dataclass(frozen=True)
class Affine:
    """The map ``rows @ matrix + offset``; matrix (d, q), offset (q,)."""

    matrix: FloatArray
    offset: FloatArray

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Map rows (n, d) to (n, q)."""
        return rows @ self.matrix + self.offset


def standardizer(rows: FloatArray) -> Affine:
    """Map to mean 0 and standard deviation 1 per column; a constant column becomes 0."""
    mean, scale = rows.mean(axis=0), _spread(rows)
    return Affine(np.diag(1.0 / scale), -mean / scale)


def whitening(rows: FloatArray) -> Affine:
    """Map to mean 0 and covariance I, on the range of the covariance; affine maps of rows only rotate the result."""
    mean, scale = rows.mean(axis=0), _spread(rows)
    # Of columns in their own units: a small column is not an empty direction.
    unit = (rows - mean) / scale
    values, vectors, _ = range_eigh(unit.T @ unit / len(rows), rescale=False)
    matrix = (vectors / np.sqrt(values)) @ vectors.T / scale[:, None]
    return Affine(matrix, -mean @ matrix)


def _spread(rows: FloatArray) -> FloatArray:
    """Standard deviation per column; 1 where the column is constant, up to rounding."""
    scale = rows.std(axis=0)
    return np.where(constant_columns(rows), 1.0, scale)


def choose_landmarks(rows: FloatArray, n_landmarks: int, rng: np.random.Generator) -> FloatArray:
    """Pick rows, half uniformly and half far from those already picked (by squared distance)."""
    n = len(rows)
    if n_landmarks >= n:
        return rows.copy()
    order = rng.permutation(n)
    n_uniform = n_landmarks - n_landmarks // 2
    chosen = order[:n_uniform].tolist()
    gap = cdist(rows, rows[chosen], "sqeuclidean").min(axis=1)
    sizes = np.sum(rows**2, axis=1)
    for uniform in rng.random(n_landmarks - n_uniform):
        total = np.cumsum(gap)
        if total[-1] <= 0:
            break  # fewer different rows than landmarks
        row = min(int(np.searchsorted(total, uniform * total[-1], side="right")), n - 1)
        chosen.append(row)
        np.minimum(gap, np.maximum(sizes - 2 * (rows @ rows[row]) + sizes[row], 0.0), out=gap)
        gap[row] = 0.0
    return rows[chosen]


@dataclass(frozen=True)
class RadialFeatures:
    """Linear columns, then orthonormalised Gaussian kernels on landmarks: smooth inside, linear in the far tails.

    Attributes
    ----------
    landmarks : ndarray of shape (m, d)
    width : float
        Of the kernel exp(-|x - l|² / (2 width²)).
    projection : ndarray of shape (m, r)
        Makes a unit of penalty on a coefficient a unit of squared norm in the kernel's space.
    """

    landmarks: FloatArray
    width: float
    projection: FloatArray

    @classmethod
    def fit(
        cls,
        rows: FloatArray,
        n_landmarks: int,
        bandwidth: float,
        rng: np.random.Generator,
        *,
        landmarks: FloatArray | None = None,
    ) -> RadialFeatures:
        """Choose landmarks among rows (n, d) unless given; width is `bandwidth` times their median distance."""
        if landmarks is None:
            landmarks = choose_landmarks(rows, n_landmarks, rng)
        distances = pdist(landmarks[:_MAX_PAIRS])
        distances = distances[distances > 0]
        width = bandwidth * (float(np.median(distances)) if distances.size else 1.0)
        kernel = np.exp(-cdist(landmarks, landmarks, "sqeuclidean") / (2 * width**2))
        values, vectors, _ = range_eigh(kernel, rescale=False, tol=_EIGEN_CUT)
        return cls(landmarks, width, vectors / np.sqrt(values))

    @property
    def n_linear(self) -> int:
        """Number of linear columns, which come first."""
        return int(self.landmarks.shape[1])

    def penalty(self, linear: float) -> FloatArray:
        """Weights of a ridge penalty: `linear` on the linear columns, 1 on the others."""
        return np.r_[np.full(self.n_linear, linear), np.ones(self.projection.shape[1])]

    def radial(self, rows: FloatArray) -> FloatArray:
        """Kernel part only, shape (n, r)."""
        return self.kernel(rows) @ self.projection

    def kernel(self, rows: FloatArray) -> FloatArray:
        """Gaussian kernel of rows (n, d) and landmarks, shape (n, m)."""
        # |x|² - 2 x'l + |l|² by one product: rows can be many (actions times draws) and columns few.
        half = (rows @ self.landmarks.T) / self.width**2
        half -= 0.5 * np.sum((self.landmarks / self.width) ** 2, axis=1)
        half -= 0.5 * np.sum((rows / self.width) ** 2, axis=1)[:, None]
        return np.exp(np.minimum(half, 0.0, out=half), out=half)

    def derivatives(self, rows: FloatArray) -> FloatArray:
        """Derivatives of the features by each coordinate of the rows (n, d), shape (d, n, d + r)."""
        n, d = rows.shape
        kernel = self.kernel(rows)
        found = np.zeros((d, n, d + self.projection.shape[1]))
        for j, out in enumerate(found):
            out[:, j] = 1.0
            out[:, d:] = (kernel * ((self.landmarks[:, j] - rows[:, [j]]) / self.width**2)) @ self.projection
        return found

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Features of rows (n, d), shape (n, d + r)."""
        return np.hstack([rows, self.radial(rows)])


def moment_features(action: FloatArray, degree: int, *, max_columns: int | None = None) -> FloatArray:
    """Polynomials of the action up to a total degree, centred and orthonormal over the rows.

    Parameters
    ----------
    action : ndarray of shape (n, k)
    degree : int
        Lowered until there are at most `max_columns` columns (never below 1).
    max_columns : int, optional

    Returns
    -------
    ndarray of shape (n, q)
        Mean 0, mean of products I. Fewer columns than monomials if the action takes few values.
    """
    n, k = action.shape
    low, high = action.min(axis=0), action.max(axis=0)
    scaled = 2 * (action - low) / np.where(high > low, high - low, 1.0) - 1
    powers: list[tuple[int, ...]] = []
    for total in range(1, degree + 1):
        if max_columns is not None and total > 1 and len(powers) + math.comb(k + total - 1, total) > max_columns:
            break
        for chosen in itertools.combinations_with_replacement(range(k), total):
            powers.append(tuple(chosen.count(column) for column in range(k)))
    basis = legendre.legvander(scaled, sum(powers[-1]))  # (n, k, degree + 1)
    columns = np.stack([np.prod(basis[:, np.arange(k), list(p)], axis=1) for p in powers], axis=1)
    columns -= columns.mean(axis=0)
    return columns @ whitener(columns.T @ columns / n, rescale=False, tol=1e-10)


def action_regression(phi: FloatArray, action: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least squares of phi (n, d) on the action (n, k): W (d, k) and b (d,)."""
    centre = action.mean(axis=0)
    slope = lstsq(action - centre, phi - phi.mean(axis=0)).T
    return slope, phi.mean(axis=0) - slope @ centre


def beyond_rounding(residual: FloatArray, rows: FloatArray) -> FloatArray:
    """Residuals (n, d) of rows (n, d); 0 in columns where they are rounding, which no test must take for noise."""
    exact = residual.std(axis=0) <= _ROUNDED * rows.std(axis=0)
    return np.where(exact, 0.0, residual)
