r"""The Gaussian exponential-family encoder: a convex, decoder-free fit of the law of the action given X.

For Z = M a + V with V ~ N(m, S) and X = g(Z), Bayes' rule gives

    p(a | x) ∝ p(a) exp{eta(x)'a - a'Q a / 2 + q'a},     eta(x) = M'S⁻¹ z,   Q = M'S⁻¹M,

because the Jacobian of g cancels. With eta linear in features of x, and the law of the action replaced by reference
rows, minus the mean log-likelihood is a log-sum-exp of linear functions: convex, and eta is found up to a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize

from causalinv._matrix import range_eigh
from causalinv._typing import FloatArray

__all__ = ["ExponentialFamilyFit", "fit_exponential_family", "matched_references", "objective"]

_BLOCK = 2048
_GOOD = 1e-10  # relative eigenvalue below which a direction of the features is empty


@dataclass(frozen=True)
class ExponentialFamilyFit:
    """Coefficients of the features (p, k), Q (k, k), q (k,), and how the optimiser ended."""

    coef: FloatArray
    precision: FloatArray
    linear: FloatArray
    n_iter: int
    converged: bool


def matched_references(action: FloatArray, n_references: int, rng: np.random.Generator) -> FloatArray:
    """Rows that stand for the law of the action, moved affinely to the sample's own mean and covariance.

    Without the match the sampling error of their covariance enters Q at full size, however many rows the data have.
    """
    n = len(action)
    if n_references >= n:
        return action
    rows = action[rng.permutation(n)[:n_references]]
    centred = rows - rows.mean(axis=0)
    values, vectors = eigh(centred.T @ centred / len(rows))
    if values[0] <= _GOOD * values[-1]:  # too few different actions were drawn
        return action
    target = np.atleast_2d(np.cov(action.T, bias=True))
    whiten = vectors / np.sqrt(values) @ vectors.T
    own, axes = eigh(target)
    return centred @ whiten @ (axes * np.sqrt(np.maximum(own, 0.0)) @ axes.T) + action.mean(axis=0)


def quadratic_terms(action: FloatArray) -> FloatArray:
    """Columns -a_i a_j (half of it on the diagonal) for i <= j, then a: what multiplies the entries of Q and q."""
    i, j = np.triu_indices(action.shape[1])
    return np.hstack([-action[:, i] * action[:, j] * np.where(i == j, 0.5, 1.0), action])


def objective(
    params: FloatArray,
    features: FloatArray,
    action: FloatArray,
    references: FloatArray,
    curvature: FloatArray,
) -> tuple[float, FloatArray]:
    """Minus mean log-likelihood plus ridge, with its gradient.

    Parameters
    ----------
    params : ndarray of shape (p * k + k * (k + 1) / 2 + k,)
        Coefficients of the features, row by row, then those of `quadratic_terms`.
    features : ndarray of shape (n, p)
    action : ndarray of shape (n, k)
    references : ndarray of shape (r, k)
    curvature : ndarray of shape (p, p)
        Of the ridge penalty, ``trace(coef' curvature coef) / 2``.
    """
    n, k = action.shape
    size = features.shape[1] * k
    coef, rest = params[:size].reshape(-1, k), params[size:]
    terms, own = quadratic_terms(references), quadratic_terms(action)
    penalty = curvature @ coef
    value = 0.5 * np.sum(coef * penalty) - own.mean(axis=0) @ rest
    slope, offset = np.empty((n, k)), terms @ rest
    expected = np.zeros(len(rest))
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        eta = features[block] @ coef
        weights = eta @ references.T
        weights += offset
        top = weights.max(axis=1, keepdims=True)
        weights -= top
        np.exp(weights, out=weights)
        total = weights.sum(axis=1, keepdims=True)
        value += (np.sum(top) + np.sum(np.log(total / len(references))) - np.sum(eta * action[block])) / n
        weights /= total
        slope[block] = weights @ references - action[block]
        expected += weights.sum(axis=0) @ terms
    gradient = features.T @ slope / n + penalty
    return float(value), np.r_[gradient.ravel(), expected / n - own.mean(axis=0)]


def fit_exponential_family(
    features: FloatArray,
    action: FloatArray,
    references: FloatArray,
    penalty: FloatArray,
    *,
    ridge: float,
    start: ExponentialFamilyFit | None = None,
    max_iter: int = 80,
) -> ExponentialFamilyFit:
    """Minimise `objective` in coordinates in which its curvature at zero is about the identity.

    Parameters
    ----------
    features : ndarray of shape (n, p)
        Centred.
    action, references : ndarray of shapes (n, k), (r, k)
        In standardised units.
    penalty : ndarray of shape (p,)
        Weights of the ridge.
    ridge : float
    start : ExponentialFamilyFit, optional
        A fit to similar rows on the same features.
    max_iter : int

    Returns
    -------
    ExponentialFamilyFit
    """
    n, k = action.shape
    p = features.shape[1]
    values, vectors, _ = range_eigh(features.T @ features / n + ridge * np.diag(penalty), rescale=False, tol=_GOOD)
    scaling = vectors / np.sqrt(values)
    curvature = ridge * (scaling.T * penalty) @ scaling
    i, j = np.triu_indices(k)
    if start is None:
        params = np.zeros(len(values) * k + len(i) + k)
    else:
        unscaled = (vectors * np.sqrt(values)).T @ start.coef
        params = np.r_[unscaled.ravel(), start.precision[i, j], start.linear]
    found = minimize(
        objective,
        params,
        args=(features @ scaling, action, references, curvature),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "maxcor": 20, "ftol": 1e-7},
    )
    size = len(values) * k
    precision = np.zeros((k, k))
    precision[i, j] = precision[j, i] = found.x[size : size + len(i)]
    coef = scaling @ found.x[:size].reshape(-1, k)
    return ExponentialFamilyFit(coef.reshape(p, k), precision, found.x[size + len(i) :], int(found.nit), found.success)
