r"""Linear algebra on second moments: the one place of this package that decides what counts as rank.

A combination of features carries information if its variance stands out from rounding. Two floors say so, both in
*standardised* units (each feature scaled to variance one, so that no unit matters): a share `RANK_TOL` of the largest
eigenvalue, and `least`, an absolute one. Where a block is what others have left over, its own largest eigenvalue can be
rounding too, so a relative floor alone would keep it.
"""

from __future__ import annotations

import numpy as np
from numpy.linalg import eigh, svd  # a quarter of the cost of scipy's on small matrices
from scipy.linalg import qr

from causalinv._typing import BoolArray, FloatArray

__all__ = [
    "RANK_TOL",
    "WELL_CONDITIONED",
    "centred",
    "column_basis",
    "column_lengths",
    "constant_columns",
    "covariance_root",
    "dependent_columns",
    "entropy_rank",
    "factor_split",
    "inverse_ranges",
    "inverse_root",
    "inverse_roots",
    "lstsq",
    "matrix_rank",
    "orthonormal_range",
    "participation_ratio",
    "power_slope",
    "pseudo_inverse",
    "range_eigh",
    "singular_values",
    "solve_range",
    "solve_ranges",
    "symmetric_root",
    "varying",
    "whitener",
    "without_small",
]

WELL_CONDITIONED = 1e-4  # smallest spread of a combination of standardised variables, for fast ways without care
RANK_TOL = 1e-12  # of the largest eigenvalue, after scaling to unit diagonal
_EPS = float(np.finfo(np.float64).eps)
_CONSTANT = 4.0  # roundings of the mean: what a column of equal numbers can show as spread
_SMALL = 5  # rows: of triangles that are inverted as any matrix
_DEPENDENT = 1e-10  # of a feature's variance, what is left of it once earlier ones are known


def varying(variance: FloatArray, mean: FloatArray | None = None) -> BoolArray:
    """Which variables vary, beyond what rounding of their mean can show as variance.

    Parameters
    ----------
    variance : ndarray of shape (..., k)
        Variances.
    mean : ndarray of shape (..., k), optional
        Means in the same units; 0.3 and 0.1 + 0.2 differ by a rounding of them, and are one number.
    """
    spread = np.sqrt(np.maximum(variance, 0.0))
    found: BoolArray = spread > (0.0 if mean is None else _CONSTANT * _EPS * np.abs(mean))
    return found


def column_lengths(matrix: FloatArray) -> FloatArray:
    """Euclidean length of every column (k,), also where squares of entries would over- or underflow."""
    top = np.abs(matrix).max(axis=0, initial=0.0)
    safe = np.where(top > 0, top, 1.0)
    return np.asarray(top * np.linalg.norm(matrix / safe, axis=0))


def constant_columns(rows: FloatArray) -> BoolArray:
    """Columns (k,) of rows that are one number, up to rounding."""
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = rows.min(axis=0), rows.max(axis=0)
        # Half each: the width of a column from -1e308 to 1e308 is no float.
        same: BoolArray = high / 2 - low / 2 <= _CONSTANT * _EPS * np.maximum(np.abs(low), np.abs(high)) / 2
    return same


def centred(rows: FloatArray) -> FloatArray:
    """Columns less their means; exactly 0 for those that are one number, up to rounding.

    A mean of n numbers is off by up to n roundings of them, which beside small columns passes for variation; the second
    mean is that of small numbers.
    """
    out = rows - rows.mean(axis=0)
    out -= out.mean(axis=0)
    out[:, constant_columns(rows)] = 0.0
    return np.asarray(out)


def range_eigh(
    cov: FloatArray, *, rescale: bool = True, least: float = 0.0, tol: float = RANK_TOL
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Eigenvalues and eigenvectors of a covariance on its range.

    Parameters
    ----------
    cov : ndarray of shape (k, k)
        Symmetric, positive semidefinite up to rounding.
    rescale : bool, default True
        Scale to unit diagonal first. False says that `cov` is in standardised units already.
    least : float, default 0.0
        Absolute floor of the eigenvalues, in standardised units: for a `cov` that is what other variables leave over.
    tol : float, default 1e-12
        Floor as a share of the largest eigenvalue.

    Returns
    -------
    values : ndarray of shape (r,)
        Eigenvalues above both floors, ascending.
    vectors : ndarray of shape (k, r)
        Orthonormal eigenvectors of the scaled matrix; exactly 0 in rows of constants.
    scale : ndarray of shape (k,)
        Units: ``cov ≈ diag(scale) vectors diag(values) vectors' diag(scale)``.
    """
    k = len(cov)
    if not k:
        return np.empty(0), np.empty((0, 0)), np.empty(0)
    scale = np.sqrt(np.maximum(np.diag(cov), 0.0))
    safe = np.where(scale > 0, scale, 1.0) if rescale else np.ones(k)
    values, vectors = eigh(cov / safe[:, None] / safe)
    keep = values > max(tol * max(float(values[-1]), 0.0), least)
    vectors = vectors[:, keep]
    vectors[scale == 0] = 0.0  # a constant gets no coefficient, not even by rounding
    return values[keep], vectors, safe


def whitener(cov: FloatArray, *, rescale: bool = True, least: float = 0.0, tol: float = RANK_TOL) -> FloatArray:
    """T (k, r) with T' cov T = I on the range of `cov`; floors as in `range_eigh`."""
    values, vectors, scale = range_eigh(cov, rescale=rescale, least=least, tol=tol)
    if not len(scale):
        return np.empty((0, 0))
    return (vectors / np.sqrt(values)) / scale[:, None]


def symmetric_root(cov: FloatArray, *, rescale: bool = True, least: float = 0.0) -> FloatArray:
    """R (r, k) with R'R = cov on its range."""
    values, vectors, scale = range_eigh(cov, rescale=rescale, least=least)
    return np.sqrt(values)[:, None] * vectors.T * scale


def covariance_root(cov: FloatArray, name: str) -> FloatArray:
    """R (k, r) with R R' = cov; raises unless `cov` is symmetric and positive semidefinite up to rounding.

    Judged with unit diagonal: a variable in small units is no rounding of one in large units.
    """
    if not np.isfinite(cov).all():
        raise ValueError(f"Input {name} must be finite, got {cov[~np.isfinite(cov)][0]}.")
    if not cov.size:
        return np.empty((0, 0))
    scale = np.sqrt(np.maximum(np.diag(cov), 0.0))
    scale = np.where(scale > 0, scale, scale.max() or 1.0)
    scaled = cov / scale[:, None] / scale
    size = float(np.abs(scaled).max())
    if np.abs(scaled - scaled.T).max() > 1e-10 * size:
        raise ValueError(f"{name} must be symmetric.")
    values, vectors = eigh((scaled + scaled.T) / 2)
    if values[0] < -1e-10 * size:
        raise ValueError(
            f"{name} must be positive semidefinite; its smallest eigenvalue is {values[0]:.3g}, every variable in "
            "units of its standard deviation."
        )
    keep = values > 1e-14 * size
    return np.asarray(scale[:, None] * vectors[:, keep] * np.sqrt(values[keep]))


def solve_range(cov: FloatArray, cross: FloatArray, *, rescale: bool = True, least: float = 0.0) -> FloatArray:
    """Solve cov @ b = cross on the range of `cov`, of minimum norm in standardised units."""
    half = whitener(cov, rescale=rescale, least=least)
    return half @ (half.T @ cross)


def _inverted(cov: FloatArray, *, rescale: bool = True) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Of covariances (E, k, k): eigenvectors, inverses of the eigenvalues on their range, units, what is constant."""
    units = np.sqrt(np.maximum(np.diagonal(cov, axis1=1, axis2=2), 0.0))
    constant = units == 0
    units = np.where(constant, 1.0, units) if rescale else np.ones_like(units)
    values, vectors = eigh(cov / (units[:, :, None] * units[:, None, :]))
    keep = values > RANK_TOL * np.maximum(values.max(axis=1, initial=0.0), 0.0)[:, None]
    return vectors, np.where(keep, 1.0 / np.where(keep, values, 1.0), 0.0), units, constant


def solve_ranges(cov: FloatArray, cross: FloatArray, *, rescale: bool = True) -> FloatArray:
    """`solve_range` of many at once: solutions (E, k) of cov_e b = cross_e for covariances (E, k, k)."""
    vectors, inverse, units, constant = _inverted(cov, rescale=rescale)
    inner = inverse * np.einsum("eij,ei->ej", vectors, np.where(constant, 0.0, cross / units))
    return np.where(constant, 0.0, np.einsum("eij,ej->ei", vectors, inner) / units)


def inverse_ranges(cov: FloatArray) -> FloatArray:
    """Inverses (E, k, k) of covariances on their range, in standardised units; 0 for what is constant."""
    vectors, inverse, units, constant = _inverted(cov)
    turned = np.where(constant, 0.0, 1.0 / units)[:, :, None] * vectors
    return (turned * inverse[:, None, :]) @ turned.transpose(0, 2, 1)


def inverse_root(matrix: FloatArray, floor: float) -> FloatArray:
    """Symmetric A^(-1/2) on the eigenvectors of a symmetric A whose eigenvalue is above `floor`; 0 on the others."""
    values, vectors = eigh((matrix + matrix.T) / 2)
    factor = np.where(values > floor, 1.0 / np.sqrt(np.maximum(values, floor)), 0.0)
    return np.asarray((vectors * factor) @ vectors.T)


def inverse_roots(matrices: FloatArray, *, least: float = WELL_CONDITIONED) -> tuple[FloatArray, BoolArray]:
    """Inverses of Cholesky factors, of many symmetric matrices at once.

    Parameters
    ----------
    matrices : ndarray of shape (N, k, k)
    least : float
        Smallest spread of a combination of the standardised variables of a sound one.

    Returns
    -------
    roots : ndarray of shape (N, k, k)
        R with R'R the inverse of a matrix. Of one that is not sound they are finite and mean nothing.
    sound : ndarray of bool, shape (N,)
    """
    variance = np.diagonal(matrices, axis1=1, axis2=2)
    unit = np.sqrt(np.where(variance > 0, variance, 1.0))
    scaled = matrices / (unit[:, :, None] * unit[:, None, :])
    sound: BoolArray = np.asarray((variance > 0).all(axis=1))
    if not scaled.size:
        return scaled, sound
    try:
        lower = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:  # by one of them
        lower = np.broadcast_to(np.eye(scaled.shape[1]), scaled.shape).copy()
        for i, matrix in enumerate(scaled):
            try:
                lower[i] = np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError:
                sound[i] = False
    inverse = _inverse_triangles(lower)
    return inverse / unit[:, None, :], sound & (np.abs(inverse).max(axis=(1, 2)) <= 1.0 / least)


def _inverse_triangles(lower: FloatArray) -> FloatArray:
    """Inverses of lower triangles (N, k, k), by halves: numpy has none for them in a stack."""
    half = lower.shape[1] // 2
    if half < _SMALL:
        return np.asarray(np.linalg.inv(lower))
    out = np.zeros_like(lower)
    out[:, :half, :half] = top = _inverse_triangles(lower[:, :half, :half])
    out[:, half:, half:] = rest = _inverse_triangles(lower[:, half:, half:])
    out[:, half:, :half] = -rest @ (lower[:, half:, :half] @ top)
    return out


def dependent_columns(cov: FloatArray, *, tol: float = _DEPENDENT) -> BoolArray:
    """Variables that are constant or combinations of earlier ones, shape (k,)."""
    rest, out = np.array(cov, dtype=np.float64), np.zeros(len(cov), bool)
    scale = np.sqrt(np.maximum(np.diag(rest), 0.0))
    safe = np.where(scale > 0, scale, 1.0)
    rest = rest / safe[:, None] / safe
    for j in range(len(rest)):
        if scale[j] == 0 or rest[j, j] <= tol:
            out[j] = True
        else:
            rest = rest - np.outer(rest[:, j], rest[j]) / rest[j, j]
    return out


def singular_values(rows: FloatArray, *, full: bool = False) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Left vectors, singular values and right vectors (in rows) of a matrix, which may be empty."""
    left, size, right = svd(rows, full_matrices=full)
    return left, size, right


def matrix_rank(rows: FloatArray, *, tol: float | None = None) -> int:
    """Rank of any matrix: singular values above `tol` (left out: rounding of the shape) times the largest."""
    if not rows.size:
        return 0
    size = svd(rows, compute_uv=False)
    floor = max(rows.shape) * _EPS if tol is None else tol
    return int(np.sum(size > floor * size[0])) if size[0] > 0 else 0


def orthonormal_range(rows: FloatArray, *, tol: float | None = None) -> tuple[FloatArray, FloatArray]:
    """Orthonormal bases of the row space (r, k) of a matrix (q, k), and of its complement (k - r, k)."""
    k = rows.shape[1]
    if not rows.size:
        return np.empty((0, k)), np.eye(k)
    size, right = singular_values(rows, full=True)[1:]
    floor = max(rows.shape) * _EPS if tol is None else tol
    rank = int(np.sum(size > floor * size[0])) if size[0] > 0 else 0
    return right[:rank], right[rank:]


def column_basis(rows: FloatArray, *, tol: float) -> FloatArray:
    """Orthonormal basis (n, r) of the column space of a tall matrix, by pivoted QR.

    Columns count whose part outside those before them is longer than `tol` times the longest column.
    """
    q, r, _ = qr(rows, mode="economic", pivoting=True)
    return np.asarray(q[:, np.abs(np.diag(r)) > tol * np.abs(r[0, 0])])


def factor_split(rows: FloatArray, *, tol: float | None = None, least: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """Singular values (r,) and right singular vectors (r, k) of a matrix, the longest first.

    Values count that are above `tol` times the longest and above `least`.
    """
    if not rows.size:
        return np.empty(0), np.empty((0, rows.shape[1]))
    _, size, right = singular_values(rows, full=False)
    floor = max(rows.shape) * _EPS if tol is None else tol
    keep = size > max(floor * size[0], least)
    return size[keep], right[keep]


def lstsq(design: FloatArray, target: FloatArray, *, tol: float = 1e-12) -> FloatArray:
    """Least squares on columns in any units, of minimum norm where standardised columns are dependent.

    Parameters
    ----------
    design : ndarray of shape (n, k)
        Columns; put a column of ones among them for an intercept.
    target : ndarray of shape (n,) or (n, p)
    tol : float, default 1e-12
        Floor of the singular values as a share of the largest, columns scaled to length one.
    """
    top = np.abs(design).max(axis=0, initial=0.0)
    top = np.where(top > 0, top, 1.0)
    scaled = design / top
    length = np.linalg.norm(scaled, axis=0)
    length = np.where(length > 0, length, 1.0)
    left, size, right = singular_values(scaled / length, full=False)
    keep = size > tol * size[0] if len(size) and size[0] > 0 else np.zeros(len(size), bool)
    inner = (left[:, keep].T @ target).T / size[keep]
    solution = inner @ right[keep] / length / top
    return np.asarray(solution.T)


def pseudo_inverse(matrix: FloatArray, *, tol: float = RANK_TOL, least: float = 0.0) -> FloatArray:
    """Moore-Penrose inverse; singular values below `tol` times the largest, or below `least`, count as 0."""
    if not matrix.size:
        return np.empty(matrix.shape[::-1])
    left, size, right = singular_values(matrix, full=False)
    keep = size > max(tol * size[0], least)
    return np.asarray((right[keep].T / size[keep]) @ left[:, keep].T)


def without_small(matrix: FloatArray, least: float) -> FloatArray:
    """The matrix with its singular values up to `least` set to 0; `least` in the matrix's own units."""
    left, size, right = singular_values(matrix, full=False)
    return np.asarray((left * np.where(size > least, size, 0.0)) @ right)


def entropy_rank(sizes: FloatArray, *, offset: float = 0.0) -> float:
    """Exponential of the entropy of the shares of `sizes` (r,), each >= 0; NaN if all are 0.

    Eigenvalues give the effective rank, singular values RankMe. `offset` is added to every share (RankMe's epsilon).
    """
    top = float(sizes.max(initial=0.0))
    if not top > 0:
        return float("nan")
    shares = sizes / top
    shares = shares / shares.sum() + offset
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def participation_ratio(values: FloatArray) -> float:
    """Squared sum over sum of squares of eigenvalues (r,), each >= 0; NaN if all are 0."""
    top = float(values.max(initial=0.0))
    if not top > 0:
        return float("nan")
    shares = values / top
    return float(shares.sum() ** 2 / np.sum(shares**2))


def power_slope(ranks: FloatArray) -> FloatArray:
    """Weights w (r,) of a least-squares slope on log rank: the slope of log eigenvalues is ``w @ log(values)``."""
    centred = np.log(ranks) - np.log(ranks).mean()
    return np.asarray(centred / np.sum(centred**2))
