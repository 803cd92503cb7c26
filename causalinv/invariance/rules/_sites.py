"""Site directions: where the second moments of (1, x, y) differ between environments, and what is noise of that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from causalinv._matrix import range_eigh
from causalinv._typing import FloatArray
from causalinv.moments import Moments

__all__ = ["SiteDirections", "noise_edge", "second_moments", "site_directions"]

_EXACT = 1e-9  # of the largest eigenvalue: directions of a population below are rounding
_SLACK = 1.2  # times the asymptotic edge of the noise
_SIMULATED, _SIMULATED_SIZE = 40, 40_000  # variables, and entries of all environments, up to which it is simulated
_NULL_DRAWS, _NULL_LEVEL = 400, 0.99
_SHUFFLES, _SHUFFLED, _WORK = 200, 20_000, 5e7  # shuffles of at most so many rows, and multiplications in each
_DEALS = 1_000_000  # numbers of moments that are kept at a time


@dataclass(frozen=True)
class SiteDirections:
    """Directions in which the second moments of (1, x, y), about the mean of all, differ between environments.

    Attributes
    ----------
    directions : ndarray of shape (d + 2, s)
        Orthonormal in the units in which all environments together have unit second moments.
    strengths : ndarray of shape (d + 2,)
        Eigenvalues of the averaged squared differences, descending; without units.
    edge : float
        What sampling alone reaches in about one data set of a hundred; 0 for a population.
    """

    directions: FloatArray
    strengths: FloatArray
    edge: float


def second_moments(moments: Moments, origin: Moments) -> tuple[FloatArray, FloatArray]:
    """Second moments of (1, x, y), about the mean of `origin`, in each environment (E, d + 2, d + 2) and together."""
    mean = np.concatenate([np.ones((len(moments), 1)), moments.mean("x"), moments.mean("y")], axis=1)
    mean[:, 1:] -= np.concatenate([origin.mean("x"), origin.mean("y")], axis=1)
    mean[:, 1:][:, np.diag(origin.pooled.scatter(("x", "y"))[0]) == 0] = 0.0  # a constant's means differ by rounding
    cov = np.zeros((len(moments), mean.shape[1], mean.shape[1]))
    cov[:, 1:, 1:] = np.block([[moments.cov(a, b) for b in ("x", "y")] for a in ("x", "y")])
    each = cov + mean[:, :, None] * mean[:, None, :]
    return each, np.tensordot(moments.weight / moments.weight.sum(), each, axes=1)


def site_directions(moments: Moments, n_sites: int | None = None, rows: FloatArray | None = None) -> SiteDirections:
    r"""Find the directions in which environments differ.

    With all environments together whitened, the average over environments of the squared differences has eigenvalues
    far above the noise in the site directions; see `noise_edge` for what sampling makes by itself.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``, one cell per environment.
    n_sites : int, optional
        Number of directions; left out, all above the edge.
    rows : ndarray of shape (n, d + 1), optional
        (x, y), of all environments together: the noise is that of these, dealt out at random. Left out, that of
        Gaussian rows; such with heavy tails make more.

    Returns
    -------
    SiteDirections
    """
    each, pooled = second_moments(moments, moments.pooled)
    units = np.sqrt(np.diag(pooled))
    units[units == 0] = 1.0
    values, vectors, _ = range_eigh(pooled / np.outer(units, units), rescale=False)
    half = vectors / np.sqrt(values)  # whitens in standardised units
    white = half.T @ ((each - pooled) / np.outer(units, units)) @ half
    share = moments.weight / moments.weight.sum()
    squared = np.einsum("e,eij,ejk->ik", share, white, white)
    strengths, directions = np.linalg.eigh((squared + squared.T) / 2)
    strengths, directions = np.maximum(strengths[::-1], 0.0), directions[:, ::-1]
    p, known = len(values), bool(np.isinf(moments.count).all())
    if n_sites is None and not known and not moments.is_unweighted:
        raise ValueError(
            "The sampling noise of weighted rows is not known from their moments, so directions cannot be told from "
            "noise; give n_directions."
        )
    if known:
        edge = 0.0
    elif rows is None or not moments.is_unweighted:
        edge = noise_edge(moments.count, p)
    else:
        still = np.diag(moments.pooled.scatter(("x", "y"))[0]) == 0
        centred = np.where(still, 0.0, rows - moments.pooled.mean(("x", "y"))[0])
        standard = np.column_stack([np.ones(len(rows)), centred]) / units
        edge = _shuffled_edge(_in_own_order(standard @ half, standard[:, np.r_[False, ~still]]), moments.count)
    limit = _EXACT * max(strengths[0], _EXACT) if known else edge
    s = int(np.sum(strengths > limit)) if n_sites is None else min(n_sites, p)
    # Back to the units of the data: a difference of second moments has columns in units * pooled^(1/2) * directions.
    scale = units[:, None] * (vectors * np.sqrt(values))
    return SiteDirections(scale @ directions[:, :s], strengths, edge)


def _in_own_order(white: FloatArray, varying: FloatArray) -> FloatArray:
    """White rows in an order that hangs neither on theirs nor on columns that are constant or depend on others.

    By their length and by their part along the rows' own skewness; what is alike in both, by a sum of the columns.
    """
    length = np.sum(white**2, axis=1)
    along = white @ np.mean(length[:, None] * white, axis=0)
    mixed = varying @ np.cos(np.arange(varying.shape[1]))
    return np.asarray(white[np.lexsort([np.round(each, 9) for each in (mixed, along, length)])])


def _shuffled_edge(white: FloatArray, counts: FloatArray) -> float:
    """What these rows (n, p), white together, reach in 99 of 100 deals into environments of so many rows.

    An environment of many rows is dealt some of them, and what it then differs by is scaled to its size by the root.
    """
    n, p = white.shape
    rng = np.random.default_rng(0)  # a constant of the law, not a draw of the user's
    sizes = np.sort(counts)
    dealt = np.minimum(sizes, max(min(_SHUFFLED, int(_WORK / p**2)) // len(counts), 1)).astype(int)
    share, ends = sizes / n, np.cumsum(dealt)
    scale = np.sqrt(dealt / sizes)[:, None, None]
    together = max(_DEALS // (len(counts) * p * p), 1)
    top = np.empty(_SHUFFLES)
    for begin in range(0, _SHUFFLES, together):
        off = np.empty((min(together, _SHUFFLES - begin), len(counts), p, p))
        for deal in off:
            rows = white[rng.permutation(n) if ends[-1] == n else rng.integers(n, size=ends[-1])]
            for one, size, end in zip(deal, dealt.tolist(), ends.tolist(), strict=True):
                part = rows[end - size : end]
                np.matmul(part.T, part, out=one)
        off = (off / dealt[:, None, None] - np.eye(p)) * scale
        off -= np.tensordot(off, share, axes=(1, 0))[:, None]
        off = (np.sqrt(share)[:, None, None] * off).reshape(len(off), -1, p)
        squared = off.transpose(0, 2, 1) @ off  # the sum of the squares of symmetric matrices
        top[begin : begin + together] = np.linalg.eigvalsh(squared)[:, -1]
    return float(np.quantile(top, _NULL_LEVEL))


@lru_cache(maxsize=256)
def _simulated_edge(counts: tuple[int, ...], p: int) -> float:
    rng = np.random.default_rng(0)  # a constant of the law, not a draw of the user's
    n = np.array(counts, dtype=np.float64)[:, None, None]
    q = p - 1  # beside the constant
    shape = (_NULL_DRAWS, len(counts), q, q)
    root = np.tril(rng.standard_normal(shape), -1)
    freedom = np.array(counts)[:, None] - 1 - np.arange(q)
    root[..., np.arange(q), np.arange(q)] = np.sqrt(rng.chisquare(np.maximum(freedom, 1), (*shape[:2], q)))
    root *= (freedom > 0)[:, None, :]  # of few rows the factor has as many columns only
    mean = np.concatenate([np.ones((*shape[:2], 1)), rng.standard_normal(shape[:3]) / np.sqrt(n[:, :, 0])], axis=2)
    each = mean[..., :, None] * mean[..., None, :]
    each[..., 1:, 1:] += root @ np.swapaxes(root, -1, -2) / n
    share = n / n.sum()
    pooled = (share * each).sum(axis=1)
    inverse = np.linalg.inv(np.linalg.cholesky(pooled))[:, None]
    white = inverse @ (each - pooled[:, None]) @ np.swapaxes(inverse, -1, -2)
    top = np.linalg.eigvalsh((share * (white @ white)).sum(axis=1))[:, -1]
    return float(np.quantile(top, _NULL_LEVEL))


def noise_edge(counts: FloatArray, p: int) -> float:
    r"""Largest eigenvalue that sampling Gaussian rows alone makes in 99 of 100 data sets.

    Simulated (by Wishart matrices) for few variables; for many, 1.2 times the larger of the Marchenko-Pastur edge
    :math:`p (1 + \sqrt{E - 1})^2 / N` of the stacked differences and that of the smallest environment alone,
    :math:`(2 \sqrt p + p / \sqrt n)^2 / N`.

    Parameters
    ----------
    counts : ndarray of shape (E,)
        Rows of each environment.
    p : int
        Variables, the constant included.

    Returns
    -------
    float
    """
    if p <= _SIMULATED and len(counts) * p * p <= _SIMULATED_SIZE and counts.sum() > 2 * p:
        return _simulated_edge(tuple(sorted(int(n) for n in counts)), p)
    root = max(np.sqrt(p) * (1.0 + np.sqrt(len(counts) - 1)), 2.0 * np.sqrt(p) + p / np.sqrt(counts.min()))
    return float(_SLACK * root**2 / counts.sum())
