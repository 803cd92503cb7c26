r"""Linear maps of positive determinant, by the global polar chart g = cR exp(S).

Every invertible g is a rotation times a symmetric positive matrix, in one way; the logarithm of the latter splits into
its trace, which is the scale c, and a symmetric S of trace 0. The chart covers all of GL⁺, which the exponential of
general matrices does not: diag(-2, -1/2) has no real logarithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

import numpy as np

from causalinv._typing import ArrayLike, Columns, FloatArray, IntArray, Names
from causalinv._validation import check_choice, check_number, check_numbers, check_whole
from causalinv.transformations._axes import resolved
from causalinv.transformations._base import Moved, Transformation
from causalinv.transformations._columns import blocks, positions
from causalinv.transformations._frame import Frame, whole
from causalinv.transformations._haar import haar_orthogonal

__all__ = ["LinearGroup", "from_polar", "haar_density", "polar_chart"]

_FLAT = 1e-6  # relative singular value of a cloud that does not span its space


def polar_chart(g: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coordinates of linear maps of positive determinant.

    Parameters
    ----------
    g : array-like of shape (..., d, d)
        Invertible, determinant > 0.

    Returns
    -------
    scale : ndarray of shape (...)
        c > 0.
    rotation : ndarray of shape (..., d, d)
    shear : ndarray of shape (..., d, d)
        S, symmetric with trace 0: ``g = c R exp(S)``.

    Raises
    ------
    ValueError
        If a determinant is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> scale, rotation, shear = polar_chart(np.diag([-2.0, -0.5]))
    >>> float(round(scale, 12)), bool(np.allclose(rotation, -np.eye(2)))
    (1.0, True)
    """
    maps = check_numbers(g, "g")
    if maps.ndim < 2 or maps.shape[-1] != maps.shape[-2]:
        raise ValueError(f"g must be square matrices, shape (..., d, d); got {maps.shape}.")
    left, size, right = np.linalg.svd(maps)
    flat = size[..., -1] <= maps.shape[-1] * np.finfo(np.float64).eps * size[..., 0]
    if flat.any() or (np.linalg.det(left @ right) <= 0).any():
        raise ValueError("g must have a positive determinant; reflections and singular maps are outside the group.")
    logs = np.log(size)
    mean = logs.mean(axis=-1)
    shear = np.swapaxes(right, -1, -2) @ ((logs - mean[..., None])[..., None] * right)
    return np.exp(mean), left @ right, (shear + np.swapaxes(shear, -1, -2)) / 2


def from_polar(scale: ArrayLike, rotation: ArrayLike, shear: ArrayLike) -> FloatArray:
    """The maps with these polar coordinates, the inverse of `polar_chart`.

    Parameters
    ----------
    scale : array-like of shape (...)
    rotation, shear : array-like of shape (..., d, d)

    Returns
    -------
    ndarray of shape (..., d, d)
    """
    c, r, s = (check_numbers(each, name) for each, name in ((scale, "scale"), (rotation, "rotation"), (shear, "shear")))
    if r.ndim < 2 or r.shape[-1] != r.shape[-2] or s.shape[-2:] != r.shape[-2:]:
        raise ValueError(f"rotation and shear must be square and of one size, got {r.shape} and {s.shape}.")
    if (c <= 0).any():
        raise ValueError(f"scale must be > 0, got {float(c.min()):g}.")
    values, vectors = np.linalg.eigh(s)
    grown = (vectors * np.exp(values)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    return np.asarray(c[..., None, None] * (r @ grown))


def haar_density(shear: ArrayLike) -> FloatArray:
    r"""Density of the Haar measure in polar coordinates, up to a constant.

    With respect to dc/c, the uniform law of R and Lebesgue measure of S it is
    :math:`\prod_{i<j} \sinh(\lambda_i - \lambda_j) / (\lambda_i - \lambda_j)`, λ the eigenvalues of S.

    Parameters
    ----------
    shear : array-like of shape (..., d, d)
        Symmetric.

    Returns
    -------
    ndarray of shape (...)
    """
    matrix = check_numbers(shear, "shear")
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"shear must be square matrices, shape (..., d, d); got {matrix.shape}.")
    if not np.allclose(matrix, np.swapaxes(matrix, -1, -2), rtol=0, atol=1e-8 * np.abs(matrix).max(initial=0.0)):
        raise ValueError("shear must be symmetric, as polar_chart returns it.")
    values = np.linalg.eigvalsh(matrix)
    i, j = np.triu_indices(values.shape[-1], 1)
    gap = np.abs(values[..., i] - values[..., j])
    safe = np.where(gap > 1e-8, gap, 1.0)
    return np.asarray(np.where(gap > 1e-8, np.sinh(safe) / safe, 1.0 + gap**2 / 6).prod(axis=-1))


@dataclass(eq=False, repr=False)
class LinearGroup(Transformation):
    r"""Move points by linear maps of positive determinant, :math:`p \mapsto c R e^{S} p + t`.

    Frames whiten the cloud, after which only rotations are left, and *all* axes tie: they come from the points farthest
    out. Such a frame is exact and small, but jumps where another point becomes the farthest.

    Parameters
    ----------
    dim : int
        Dimension of the space, at most 8.
    kind : {"GL+", "SL", "affine"}, default "GL+"
        All of positive determinant; of determinant 1; with translations too.
    points : sequence of int or str, optional
        Columns of the points' coordinates, point by point; left out, all columns.
    spread : float, default 0.3
        In `draw`: standard deviation of log c, of shifts, and of the entries of the matrix whose symmetric part, less
        its trace, is S (so entries of S beside the diagonal have 1/√2 of it). R is uniform.
    outcome_invariant : bool, default True
        Your claim that the outcome ignores the maps.

    References
    ----------
    Mironenco and Forré, "Lie group decompositions for equivariant neural networks", ICLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> square = np.array([[0.0, 0, 1, 0, 1, 1, 0, 1]])
    >>> GX, G = LinearGroup(2, kind="affine").draw(square, np.random.default_rng(0))
    >>> GX.shape, G.shape
    ((1, 8), (1, 6))
    """

    compact = False

    dim: int
    _: KW_ONLY
    kind: str = "GL+"
    points: Columns = None
    spread: float = 0.3
    outcome_invariant: bool = True

    def draw(self, X: FloatArray, rng: np.random.Generator, feature_names: Names = None) -> Moved:
        at = self._at(X, feature_names)
        n, d = len(X), self.dim
        spread = check_number(self.spread, "spread of LinearGroup", low=0.0, finite=True)
        shear = spread * rng.standard_normal((n, d, d))
        shear = (shear + np.swapaxes(shear, 1, 2)) / 2
        shear -= np.trace(shear, axis1=1, axis2=2)[:, None, None] * np.eye(d) / d
        scale = np.ones(n) if self.kind == "SL" else np.exp(spread * rng.standard_normal(n))
        g = from_polar(scale, haar_orthogonal(n, d, proper=True, random_state=rng), shear)
        shift = spread * rng.standard_normal((n, d)) if self.kind == "affine" else np.zeros((n, 0))
        moved = np.einsum("npe,nde->npd", X[:, at], g)
        out = X.copy()
        out[:, at.ravel()] = (moved + shift[:, None] if self.kind == "affine" else moved).reshape(n, -1)
        return out, np.hstack([g.reshape(n, d * d), shift])

    def frame(self, X: FloatArray, feature_names: Names = None) -> Frame:
        return self._tidy(self._poses(X, feature_names), feature_names)

    def _poses(self, X: FloatArray, feature_names: Names) -> Frame:
        at = self._at(X, feature_names)
        d, points = self.dim, X[:, at]
        if self.kind == "affine":
            points = points - points.mean(axis=1, keepdims=True)
        left, size, right = np.linalg.svd(points, full_matrices=False)
        flat = np.full(len(X), size.shape[1] < d) | (size[:, -1] <= _FLAT * size[:, 0])
        if flat.any():
            raise ValueError(
                f"The points in row {int(np.argmax(flat))} do not span {d} dimensions: no linear map brings them into "
                "a standard pose."
            )
        white = (left @ right) * np.sqrt(points.shape[1])
        unit = np.exp(np.log(size).mean(axis=1)) / np.sqrt(points.shape[1]) if self.kind == "SL" else np.ones(len(X))
        gap = np.empty(len(X))
        pieces, source = [], []
        for i, cloud in enumerate(white):
            turns, gap[i] = resolved([cloud], [float(np.sqrt((cloud**2).sum(axis=1)).max())], i)
            turns = turns[np.linalg.det(turns) > 0]
            pieces.append(unit[i] * (cloud @ turns))
            source.append(np.full(len(turns), i))
        k = np.concatenate(source) if source else np.empty(0, dtype=np.intp)
        rows = X[k].copy()
        rows[:, at.ravel()] = np.concatenate(pieces).reshape(len(k), -1) if pieces else np.empty((0, at.size))
        n = len(X)
        return Frame(rows, k, 1.0 / np.bincount(k, minlength=n)[k], {}, gap, gap == 0)

    def _tidied(self, rows: FloatArray, feature_names: Names) -> FloatArray:
        at = self._at(rows, feature_names)
        points = rows[:, at]
        out = rows.copy()
        out[:, at.ravel()] = whole(points, np.abs(points).max(axis=(1, 2), keepdims=True)).reshape(len(rows), -1)
        return out

    def _at(self, X: FloatArray, names: Sequence[str] | None) -> np.ndarray:
        d = check_whole(self.dim, "dim of LinearGroup", low=1)
        check_choice(self.kind, "kind of LinearGroup", ("GL+", "SL", "affine"))
        columns: IntArray = np.arange(X.shape[1])
        if self.points is not None:
            columns = positions(self.points, X.shape[1], names, "points of LinearGroup")
        return blocks(columns, d, "points of LinearGroup")
