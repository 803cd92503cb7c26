r"""Rules that choose a strength from (X, y) alone, under a prior without preferred direction.

Under the prior of Janzing and Schölkopf the least squares vector is :math:`h_0 + \text{bias}`, with
:math:`h_0 \sim N(0, \tau_0 I)` and :math:`\text{bias} \sim N(0, \tau_0 \theta \Sigma^{-1})`. One number, θ or the
strength of confounding :math:`\beta = \theta\tau / (1 + \theta\tau)`, :math:`\tau = \operatorname{mean}(1/\lambda_i)`,
is then told by the spectrum of Σ and the coordinates of the vector: by one vector, so it is told badly.

No rule here reads causality off the data: where invariance is only approximate, the strength is not identified.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from causalinv._matrix import range_eigh
from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.ivlike._design import Design
from causalinv.ivlike._path import IVLikePath, check_alpha
from causalinv.ivlike._paths import Split
from causalinv.ivlike._reading import Reading
from causalinv.ivlike._resample import Cells, Resamples
from causalinv.linear_rule import least_squares
from causalinv.transformations import FirstStage, GaussianNoise

__all__ = [
    "Auto",
    "Cells",
    "EmpiricalBayes",
    "Fixed",
    "NormMatching",
    "Strength",
    "StrengthRule",
    "choose_by_norm",
    "confounding_posterior",
    "confounding_strength",
    "strength_rule",
]

_GRID = np.arange(1, 200) / 200  # of the confounding strength
_NORM_ALPHAS = np.logspace(-4, 0, 201)
_REFERENCE_FIRST = np.r_[np.inf, _NORM_ALPHAS]
_CLEAR = 1e-10  # of the largest eigenvalue: all of a covariance are kept, without a doubt


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
    values, inside = _on_range(cov, coef)
    likelihood = _minus_log_likelihood(values, inside)
    weights = np.exp(likelihood.min() - likelihood)
    return _GRID, _ratios(values), weights / weights.sum()


def confounding_strength(cov: FloatArray, coef: FloatArray) -> float:
    """Most likely strength of confounding β on the grid 1/200 … 199/200."""
    return float(_GRID[np.argmin(_minus_log_likelihood(*_on_range(cov, coef)))])


def choose_by_norm(stage: FirstStage, path: IVLikePath) -> float:
    """Strength in [1e-4, 1] at which ``|h|² = (1 - β) |h_inf|²``, nearest on a grid of 201 (first outcome)."""
    reference = path.coef(np.inf)[:, 0]
    target = (1.0 - confounding_strength(_augmented(stage), reference)) * np.sum(reference**2)
    norms = np.sum(path.coefs(_NORM_ALPHAS)[:, :, 0] ** 2, axis=1)
    return float(_NORM_ALPHAS[np.argmin(np.abs(norms - target))])


def _augmented(stage: FirstStage) -> FloatArray:
    """Variance (..., d, d) of the features with what an augmentation adds."""
    return stage.variance + (np.swapaxes(stage.factor, -1, -2) @ stage.factor if stage.added else 0.0)


def _on_range(cov: FloatArray, coef: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues that are kept, and the coefficients along their vectors."""
    values, vectors, _ = range_eigh(cov, rescale=False)
    return values, vectors.T @ coef


def _ratios(values: FloatArray) -> FloatArray:
    """θ (..., 199) of the grid, given eigenvalues (..., r)."""
    return np.asarray(_GRID / ((1.0 - _GRID) * np.mean(1.0 / values, axis=-1, keepdims=True)))


def _minus_log_likelihood(values: FloatArray, inside: FloatArray) -> FloatArray:
    """Minus the log marginal likelihood (..., 199) on the grid, the scale integrated out under 1/σ²."""
    total = values[..., None, :] + _ratios(values)[..., None]
    fit = 0.5 * (np.log(total).sum(axis=-1) - np.log(values).sum(axis=-1, keepdims=True))
    squares = (1.0 / total) @ (values * inside**2)[..., None]
    return np.asarray(fit + values.shape[-1] / 2 * np.log(np.maximum(squares[..., 0], 1e-300)))


@dataclass(frozen=True)
class Strength:
    """Strengths and their weights: one, or the mixture over a posterior; and the table it was chosen by, if any."""

    alphas: FloatArray
    weights: FloatArray
    table: pd.DataFrame | None = None
    at_edge: bool = False  # the best strength is the least or largest that was tried

    @classmethod
    def single(cls, alpha: float, table: pd.DataFrame | None = None, *, at_edge: bool = False) -> Strength:
        """One strength."""
        return cls(np.array([alpha]), np.ones(1), table, at_edge)

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


class StrengthRule(ABC):
    """How a strength is chosen. A new rule is one subclass."""

    from_data: ClassVar[bool] = True
    to_zero: ClassVar[bool] = False  # whether the strength goes to 0 as rows are added, so that the limit is that of 0
    folds: IntArray | None = None
    n_tried: int = 0  # strengths that `choose_each` tries; 0 if the rule has none

    def prepare(self, design: Design) -> StrengthRule:
        """The rule with what it needs to make once, so that it chooses alike in every bootstrap replication."""
        return self

    def known(self, design: Design) -> float | None:
        """The strength, if it does not depend on the data."""
        return None

    @abstractmethod
    def choose(self, design: Design, reading: Reading, path: IVLikePath, cells: Cells | None = None) -> Strength:
        """The strength, or the mixture, for what was read; `cells` are the moments of its folds, if known already."""

    def choose_each(
        self, resamples: Resamples, reading: Reading, split: Split, *, ridge: float
    ) -> tuple[FloatArray, FloatArray | None, BoolArray]:
        """Strengths (B,) of a stack, as `choose` has them, coefficients (B, d, p) if known, and which are sound.

        `choose` is asked for the others: for all, by a rule that leaves this out. `reading` and `split` are those of
        the whole resamples.
        """
        return np.ones(len(resamples)), None, np.zeros(len(resamples), bool)


@dataclass(frozen=True)
class Fixed(StrengthRule):
    """A number that the user chose."""

    alpha: float
    from_data: ClassVar[bool] = False

    def known(self, design: Design) -> float | None:
        return self.alpha

    def choose(self, design: Design, reading: Reading, path: IVLikePath, cells: Cells | None = None) -> Strength:
        return Strength.single(self.alpha)


class Auto(StrengthRule):
    """What the knowledge stands for: 0 where invariance is claimed, a moderate dose where it is not."""

    from_data: ClassVar[bool] = False

    def known(self, design: Design) -> float | None:
        return design.knowledge.default_alpha()

    def choose(self, design: Design, reading: Reading, path: IVLikePath, cells: Cells | None = None) -> Strength:
        return Strength.single(design.knowledge.default_alpha())


class NormMatching(StrengthRule):
    """``"cc"``: the norm that the estimated strength of confounding leaves."""

    n_tried = 2 * len(_NORM_ALPHAS)

    def choose(self, design: Design, reading: Reading, path: IVLikePath, cells: Cells | None = None) -> Strength:
        _check_one_outcome(reading, "cc")
        alpha = choose_by_norm(reading.stage, path)
        return Strength.single(alpha, at_edge=alpha in (_NORM_ALPHAS[0], _NORM_ALPHAS[-1]))

    def choose_each(
        self, resamples: Resamples, reading: Reading, split: Split, *, ridge: float
    ) -> tuple[FloatArray, FloatArray | None, BoolArray]:
        paths = split.paths(reading.stage, ridge=ridge)
        coefs = paths.coefs(_REFERENCE_FIRST)[:, 0]
        squares = np.einsum("nim,nim->nm", coefs, coefs)
        values, vectors = np.linalg.eigh(_augmented(reading.stage))
        likelihood = _minus_log_likelihood(values, np.einsum("nji,nj->ni", vectors, coefs[:, :, 0]))
        target = (1.0 - _GRID[np.argmin(likelihood, axis=1)]) * squares[:, 0]
        best = np.argmin(np.abs(squares[:, 1:] - target[:, None]), axis=1)
        chosen = np.take_along_axis(coefs, 1 + best[:, None, None], axis=2)
        return _NORM_ALPHAS[best], chosen, paths.sound & (values[:, 0] > _CLEAR * values[:, -1])


class EmpiricalBayes(StrengthRule):
    """``"eb"``: the mixture over the posterior of the strength of confounding."""

    def choose(self, design: Design, reading: Reading, path: IVLikePath, cells: Cells | None = None) -> Strength:
        _check_one_outcome(reading, "eb")
        augmentation = design.knowledge.augmentation
        if not isinstance(augmentation, GaussianNoise) or not reading.stage.added:
            raise ValueError(
                "alpha='eb' needs augmentation=GaussianNoise() in closed form: its prior treats all directions of the "
                "features alike, so it can mix ridge penalties only."
            )
        moments = reading.moments
        theta, probability = confounding_posterior(moments.cov("x")[0], least_squares(moments)[:, 0])[1:]
        with np.errstate(divide="ignore"):
            return Strength(1.0 / (theta / augmentation.scale**2 - 1.0), probability)


_RULES: dict[str, type[StrengthRule]] = {"auto": Auto, "eb": EmpiricalBayes, "cc": NormMatching}


def strength_rule(alpha: Any) -> StrengthRule:
    """The rule that was asked for: a number >= 0, or a name."""
    if not isinstance(alpha, str):
        return Fixed(check_alpha(alpha))
    if alpha not in _RULES:
        raise ValueError(
            f"alpha must be a number >= 0 or 'auto', 'eb', 'cc', 'liml', 'fuller' or 'fuller(a)', got {alpha!r}."
        )
    return _RULES[alpha]()


def _check_one_outcome(reading: Reading, name: str) -> None:
    if reading.moments.blocks["y"] > 1:
        raise ValueError(f"alpha={name!r} chooses by one outcome, but y has several; fit them one by one.")
