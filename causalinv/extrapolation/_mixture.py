"""Mixtures of Gaussians as the law of the state's own noise: density, fit, and choice of a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn.cluster import KMeans

from causalinv._typing import FloatArray

__all__ = ["NoiseLaw", "residual_mixture"]

_NARROWEST = 1e-3  # variance of a component of the law, of the mean variance of the residuals
# Not two: for heavy tails two can be no better than one where three are much better.
_SIZES = (1, 3)
_MAX_TURNS, _TOLERANCE = 15, 1e-3  # a mixture that is almost fitted will do; gain of the last turn in nats per row
_ROWS = 10  # per coordinate and one more, that a component asks for


@dataclass(frozen=True)
class NoiseLaw:
    """A mixture of Gaussians: weights (c,), means (c, d), precisions (c, d, d)."""

    weights: FloatArray
    means: FloatArray
    precisions: FloatArray

    @classmethod
    def standard(cls, d: int) -> Self:
        """The Gaussian of mean 0 and covariance I; T has a scale of its own, so this is every Gaussian."""
        return cls(np.ones(1), np.zeros((1, d)), np.eye(d)[None])

    @property
    def n_components(self) -> int:
        """Gaussians in it."""
        return len(self.weights)

    @staticmethod
    def n_free(n_components: int, d: int) -> int:
        """Parameters beyond those of a Gaussian."""
        return (n_components - 1) * (1 + d + d * (d + 1) // 2)

    def terms(self, residual: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log density (n,) and the shares of the components (n, c) at residuals (n, d)."""
        d = residual.shape[1]
        logs = np.empty((len(self.weights), len(residual)))  # components first: sums over few columns are slow
        for c, (weight, mean, precision) in enumerate(zip(self.weights, self.means, self.precisions, strict=True)):
            gap = residual - mean
            size = np.linalg.slogdet(precision)[1] - d * np.log(2 * np.pi)
            logs[c] = np.log(weight) + 0.5 * (size - np.einsum("ij,ij->i", gap @ precision, gap))
        top = logs.max(axis=0)
        logs -= top
        np.exp(logs, out=logs)
        total = logs.sum(axis=0)
        logs /= total
        return top + np.log(total), logs.T

    @classmethod
    def of_shares(cls, residual: FloatArray, shares: FloatArray) -> Self:
        """The best law where each residual belongs to the components by given shares (n, c)."""
        floor = _NARROWEST * residual.var(axis=0).mean() * np.eye(residual.shape[1])
        counts = np.maximum(shares.sum(axis=0), 1e-10)
        means = shares.T @ residual / counts[:, None]
        precisions = []
        for share, count, mean in zip(shares.T, counts, means, strict=True):
            gap = residual - mean
            precisions.append(np.linalg.inv((gap * share[:, None]).T @ gap / count + floor))
        return cls(counts / counts.sum(), means, np.array(precisions))

    @classmethod
    def fit(cls, residual: FloatArray, n_components: int, seed: int) -> Self:
        """Of a size, from the groups that k-means finds."""
        if n_components == 1:
            return cls.of_shares(residual, np.ones((len(residual), 1)))
        groups = KMeans(n_components, n_init=1, random_state=seed).fit(residual).labels_
        law = cls.of_shares(residual, np.eye(n_components)[groups])
        reached = -np.inf
        for _ in range(_MAX_TURNS):
            before = reached
            density, shares = law.terms(residual)
            reached = float(density.mean())
            if abs(reached - before) < _TOLERANCE:
                break
            law = cls.of_shares(residual, shares)
        return law

    def bic(self, residual: FloatArray) -> float:
        """Schwarz's criterion in nats, up to a constant: the smaller the better."""
        n, d = residual.shape
        return float(0.5 * self.n_free(self.n_components, d) * np.log(n) - self.terms(residual)[0].sum())


def residual_mixture(residual: FloatArray, rng: np.random.Generator, sizes: tuple[int, ...] = _SIZES) -> NoiseLaw:
    """Mixture of one of the sizes, by BIC; of fewer components where rows are too few for any."""
    seed = int(rng.integers(2**31 - 1))
    most = len(residual) // (_ROWS * (residual.shape[1] + 1))
    allowed = [size for size in sizes if size <= most] or [max(1, most)]
    fitted = [NoiseLaw.fit(residual, size, seed) for size in allowed]
    return min(fitted, key=lambda law: law.bic(residual))
