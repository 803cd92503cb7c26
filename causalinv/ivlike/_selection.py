r"""Rules that choose a strength from (X, y) alone, under a prior without preferred direction.

Under the prior of Janzing and Schölkopf the least squares vector is :math:`h_0 + \text{bias}`, with
:math:`h_0 \sim N(0, \tau_0 I)` and :math:`\text{bias} \sim N(0, \tau_0 \theta \Sigma^{-1})`. One number, θ or the
strength of confounding :math:`\beta = \theta\tau / (1 + \theta\tau)`, :math:`\tau = \operatorname{mean}(1/\lambda_i)`,
is then told by the spectrum of Σ and the coordinates of the vector: by one vector, so it is told badly.

No rule here reads causality off the data: where invariance is only approximate, the strength is not identified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._matrix import range_eigh
from causalinv._typing import FloatArray
from causalinv.ivlike._evidence import Reading
from causalinv.ivlike._path import IVLikePath, check_alpha
from causalinv.linear_rule import least_squares
from causalinv.transformations import FirstStage, GaussianNoise
from causalinv.transformations import Transformation as Augmentation

__all__ = [
    "Strength",
    "check_rule",
    "choose_by_norm",
    "confounding_posterior",
    "confounding_strength",
    "select",
]

_AUTO_ALPHA = 0.1  # an augmentation √11 ≈ 3.3 times its own size: a moderate dose when invariance is not claimed

_GRID = np.arange(1, 200) / 200  # of the confounding strength
_NORM_ALPHAS = np.logspace(-4, 0, 201)


def confounding_posterior(cov: FloatArray, coef: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Posterior of the strength of confounding under a uniform prior, from a covariance and a least squares vector.

    Parameters
    ----------
    cov : ndarray of shape (d, d)
        Covariance of the features; directions without variance are left out.
    coef : ndarray of shape (d,)
        Least squares vector.

    Returns
    -------
    beta : ndarray of shape (199,)
        Grid 1/200 … 199/200.
    theta : ndarray of shape (199,)
        Ratio of variances, θ of the posterior mean ``(cov + θ I)^-1 cov coef``.
    probability : ndarray of shape (199,)
        Posterior weights.
    """
    values, likelihood = _minus_log_likelihood(cov, coef)
    theta = _GRID / ((1.0 - _GRID) * np.mean(1.0 / values))
    weights = np.exp(likelihood.min() - likelihood)
    return _GRID, theta, weights / weights.sum()


def confounding_strength(cov: FloatArray, coef: FloatArray) -> float:
    """Most likely strength of confounding β on the grid 1/200 … 199/200."""
    return float(_GRID[np.argmin(_minus_log_likelihood(cov, coef)[1])])


def choose_by_norm(stage: FirstStage, path: IVLikePath) -> float:
    """Strength in [1e-4, 1] at which ``|h|² = (1 - β) |h_inf|²``, nearest on a grid of 201 (first outcome)."""
    augmented = stage.variance + (stage.factor.T @ stage.factor if stage.added else 0.0)
    reference = path.coef(np.inf)[:, 0]
    target = (1.0 - confounding_strength(augmented, reference)) * np.sum(reference**2)
    norms = np.array([np.sum(path.coef(alpha)[:, 0] ** 2) for alpha in _NORM_ALPHAS])
    return float(_NORM_ALPHAS[np.argmin(np.abs(norms - target))])


def _minus_log_likelihood(cov: FloatArray, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues kept, and minus the log marginal likelihood on the grid, the scale integrated out under 1/σ²."""
    values, vectors, _ = range_eigh(cov, rescale=False)
    inside = vectors.T @ coef
    theta = _GRID / ((1.0 - _GRID) * np.mean(1.0 / values))
    scale = 1.0 + theta[:, None] / values
    fit = 0.5 * np.log(scale).sum(axis=1)
    return values, fit + len(values) / 2 * np.log(np.maximum(np.sum(inside**2 / scale, axis=1), 1e-300))


@dataclass(frozen=True)
class Strength:
    """Strengths and their weights: one, or the mixture over a posterior; and the table it was chosen by, if any."""

    alphas: FloatArray
    weights: FloatArray
    table: pd.DataFrame | None = None

    @classmethod
    def single(cls, alpha: float, table: pd.DataFrame | None = None) -> Strength:
        """One strength."""
        return cls(np.array([alpha]), np.ones(1), table)

    @property
    def alpha(self) -> float:
        """The strength; NaN for a mixture."""
        return float(self.alphas[0]) if len(self.alphas) == 1 else np.nan

    @property
    def gamma(self) -> float:
        """Mean of gamma = (1 + alpha) / alpha."""
        with np.errstate(divide="ignore"):
            return float(self.weights @ (1.0 + 1.0 / self.alphas))

    def coef(self, path: IVLikePath) -> FloatArray:
        """Coefficients (d, p)."""
        parts = [weight * path.coef(alpha) for alpha, weight in zip(self.alphas, self.weights, strict=True)]
        return np.asarray(sum(parts))


def check_rule(alpha: Any) -> None:
    """Validate what was asked for: a number >= 0, or the name of a rule."""
    if not isinstance(alpha, str):
        check_alpha(alpha)
    elif alpha not in ("auto", "eb", "cc"):
        raise ValueError(f"alpha must be a number >= 0 or 'auto', 'eb' or 'cc', got {alpha!r}.")


def select(alpha: Any, augmentation: Augmentation | None, reading: Reading, path: IVLikePath, *, mode: str) -> Strength:
    """The strength that a number or the name of a rule stands for.

    Parameters
    ----------
    alpha : float or str
    augmentation : Augmentation or None
    reading : Reading
    path : IVLikePath
    mode : str
        How the rows are integrated; see `Evidence`.
    """
    check_rule(alpha)
    if not isinstance(alpha, str):
        return Strength.single(float(alpha))
    if alpha == "auto":
        return Strength.single(_AUTO_ALPHA if mode == "copies" else _auto_alpha(augmentation))
    if reading.moments.blocks["y"] > 1:
        raise ValueError(f"alpha={alpha!r} chooses by one outcome, but y has several; fit them one by one.")
    if alpha == "cc":
        return Strength.single(choose_by_norm(reading.stage, path))
    if not isinstance(augmentation, GaussianNoise) or not reading.stage.added:
        raise ValueError(
            "alpha='eb' needs augmentation=GaussianNoise() in closed form: its prior treats all directions of the "
            "features alike, so it can mix ridge penalties only."
        )
    moments = reading.moments
    theta, probability = confounding_posterior(moments.cov("x")[0], least_squares(moments)[:, 0])[1:]
    with np.errstate(divide="ignore"):
        return Strength(1.0 / (theta / augmentation.scale**2 - 1.0), probability)


def _auto_alpha(augmentation: Augmentation | None) -> float:
    if augmentation is None:
        raise ValueError(
            "alpha='auto' has no default for genuine instruments: say alpha=0 for two-stage least squares, "
            "or a positive number for anchor regression with gamma = (1 + alpha) / alpha."
        )
    claim = augmentation.outcome_invariant
    if not isinstance(claim, bool | np.bool_):
        raise TypeError(f"outcome_invariant must be True or False, your claim; got {claim!r}.")
    return 0.0 if claim else _AUTO_ALPHA
