r"""Linear representations beyond subsets, as functions of moments: neutral rules and Stiefel descent.

When environments change variances, means or noise at a few sites T, all differences of second moments of (1, x, y)
between environments have columns in one small space, the *site directions*. A rule whose residual is orthogonal to
them,

.. math:: (-a, -v, 1) \perp \mathrm{span}\{\Delta_e\},

has a residual that no such change reaches: the same law of second moments in every environment, seen or not, that only
moves these sites. A *neutral* rule is the least risky of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize

from causalinv._matrix import RANK_TOL, orthonormal_range, pseudo_inverse, range_eigh, solve_range
from causalinv._typing import FloatArray
from causalinv.moments import Moments

__all__ = [
    "PENALTY",
    "Neutral",
    "SiteDirections",
    "neutral_rule",
    "noise_edge",
    "riemannian_descent",
    "second_moments",
    "site_directions",
    "trade_off",
]

_RANK_TOL = 1e-10
_EXACT = 1e-9  # of the largest eigenvalue: directions of a population below are rounding
_SLACK = 1.2  # times the asymptotic edge of the noise
_SIMULATED, _SIMULATED_SIZE = 40, 40_000  # variables, and entries of all environments, up to which it is simulated
_NULL_DRAWS, _NULL_LEVEL = 400, 0.99
PENALTY = 1000.0  # on the average excess, at the end
_PENALTIES = (1.0, 10.0, 100.0, PENALTY)


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
        What sampling of Gaussian rows alone reaches in about one data set of a hundred; 0 for a population.
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


def site_directions(moments: Moments, n_sites: int | None = None) -> SiteDirections:
    r"""Find the directions in which environments differ.

    With all environments together whitened, the average over environments of the squared differences has eigenvalues
    far above the noise in the site directions; see `noise_edge` for what sampling makes by itself.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``, one cell per environment.
    n_sites : int, optional
        Number of directions; left out, all above the edge. Rows with heavy tails make more noise.

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
    edge = 0.0 if known else noise_edge(moments.count, p)
    limit = _EXACT * max(strengths[0], _EXACT) if known else edge
    s = int(np.sum(strengths > limit)) if n_sites is None else min(n_sites, p)
    # Back to the units of the data: a difference of second moments has columns in units * pooled^(1/2) * directions.
    scale = units[:, None] * (vectors * np.sqrt(values))
    return SiteDirections(scale @ directions[:, :s], strengths, edge)


@lru_cache(maxsize=256)
def _simulated_edge(counts: tuple[int, ...], p: int) -> float:
    rng = np.random.default_rng(0)  # a constant of the law, not a draw of the user's
    n = np.array(counts, dtype=np.float64)[:, None, None]
    q = p - 1  # beside the constant
    shape = (_NULL_DRAWS, len(counts), q, q)
    root = np.tril(rng.standard_normal(shape), -1)
    freedom = np.maximum(np.array(counts)[:, None] - 1 - np.arange(q), 1)
    root[..., np.arange(q), np.arange(q)] = np.sqrt(rng.chisquare(freedom, (*shape[:2], q)))
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

    Simulated (by Wishart matrices) for few variables; for many, 1.2 times the Marchenko-Pastur edge
    :math:`p (1 + \sqrt{E - 1})^2 / N` of the stacked differences.

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
    if p <= _SIMULATED and len(counts) * p * p <= _SIMULATED_SIZE and counts.min() > p:
        return _simulated_edge(tuple(sorted(int(n) for n in counts)), p)
    return float(_SLACK * p * (1.0 + np.sqrt(len(counts) - 1)) ** 2 / counts.sum())


@dataclass(frozen=True)
class Neutral:
    """A neutral rule.

    Attributes
    ----------
    coef : ndarray of shape (d,)
    intercept : float
    missed : float
        Largest violation of neutrality that is left, relative to the outcome's own column: 0 unless no neutral rule
        exists, as when the outcome's own mechanism changes or there are more site directions than features.
    free : int
        Dimensions among which the risk was minimised.
    """

    coef: FloatArray
    intercept: float
    missed: float
    free: int


def neutral_rule(moments: Moments, sites: SiteDirections) -> Neutral:
    """The least risky rule, all environments together, whose residual is orthogonal to the site directions.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``.
    sites : SiteDirections

    Returns
    -------
    Neutral
    """
    _, pooled = second_moments(moments, moments.pooled)
    d = moments.blocks["x"]
    units = np.sqrt(np.diag(pooled))
    units[units == 0] = 1.0
    along = sites.directions.T / units  # constraints A u = b on u = (a, v), all in standardised units
    A, b = along[:, : d + 1], along[:, d + 1]
    H, c = (pooled / np.outer(units, units))[: d + 1, : d + 1], (pooled / np.outer(units, units))[: d + 1, d + 1]
    top = float(np.linalg.norm(A, 2)) if A.size else 0.0
    tol = _RANK_TOL * float(np.linalg.norm(along)) / top if top > 0 else 1.0  # beside b: a site no feature feels: A = 0
    particular = pseudo_inverse(A, tol=tol) @ b
    missed = float(np.abs(A @ particular - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), 1e-300))
    basis = orthonormal_range(A, tol=tol)[1].T
    # What the constraints leave over may be rounding altogether, so the floor is absolute too.
    inner = basis.T @ (c - H @ particular)
    u = particular + basis @ solve_range(basis.T @ H @ basis, inner, rescale=False, least=RANK_TOL)
    u = u * units[d + 1] / units[: d + 1]
    centre = moments.pooled
    intercept = float(u[0] + centre.mean("y")[0, 0] - centre.mean("x")[0] @ u[1:])
    return Neutral(u[1:], intercept, missed, basis.shape[1])


def trade_off(moments: Moments, penalty: float) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    r"""Pooled risk plus penalty times average excess of a representation, and its gradient.

    :math:`(1 + \lambda) R^*(\Phi) - \lambda \sum_e \pi_e R_e^*(\Phi)`, where R* are least risks of linear rules on Φx,
    all environments together and in each; :math:`dR^*/d\Phi = -2 w (c - G \Phi' w)'`.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` and ``y``, features in comparable units.
    penalty : float
        λ >= 0.

    Returns
    -------
    callable
        From Φ (k, d) to value and gradient (k, d); the value depends on the row space of Φ only.
    """
    pooled = moments.pooled
    share = moments.weight / moments.weight.sum()
    terms = [(1.0 + penalty, pooled.cov("x")[0], pooled.cov("x", "y")[0, :, 0], pooled.cov("y")[0, 0, 0])]
    cov, cross, total = moments.cov("x"), moments.cov("x", "y")[:, :, 0], moments.cov("y")[:, 0, 0]
    terms += [(-penalty * share[e], cov[e], cross[e], total[e]) for e in range(len(moments))]

    def evaluate(components: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = 0.0, np.zeros_like(components)
        for factor, G, c, r in terms:
            w = solve_range(components @ G @ components.T, components @ c, rescale=False)
            value += factor * float(r - w @ components @ c)
            gradient += factor * -2.0 * np.outer(w, c - G @ (components.T @ w))
        return value, gradient

    return evaluate


def riemannian_descent(moments: Moments, start: FloatArray) -> tuple[FloatArray, list[float], bool]:
    """Minimise `trade_off` over row spaces, the penalty raised from 1 to 1000.

    Parameters
    ----------
    moments : Moments
        Features in comparable units.
    start : ndarray of shape (k, d)

    Returns
    -------
    components : ndarray of shape (k, d)
        Orthonormal rows; never worse than `start` at the last penalty.
    path : list of float
        Value after each penalty.
    converged : bool
    """
    k, d = start.shape
    components, path, converged = np.linalg.qr(start.T)[0].T, [], True
    for penalty in _PENALTIES:
        evaluate = trade_off(moments, penalty)

        def flat(x: FloatArray, evaluate: Callable = evaluate) -> tuple[float, FloatArray]:
            value, gradient = evaluate(x.reshape(k, d))
            return value, gradient.ravel()

        result = minimize(
            flat,
            components.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "ftol": 1e-15, "gtol": 1e-10},
        )
        components = np.linalg.qr(result.x.reshape(k, d).T)[0].T
        path.append(float(result.fun))
        converged = bool(result.success)
    last = trade_off(moments, _PENALTIES[-1])
    first = np.linalg.qr(start.T)[0].T
    if last(first)[0] < last(components)[0]:
        components, path = first, [*path, last(first)[0]]
    return components, path, converged
