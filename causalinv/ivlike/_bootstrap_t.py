r"""Bootstraps of t of least-squares coefficients, from sums over clusters only.

Wild (Cameron, Gelbach and Miller, 2008): the residuals of a cluster g keep their place and are multiplied by one sign
:math:`v_g`. With :math:`s_g = X_g'W_g r_g`, :math:`H_g = X_g'W_gX_g` and :math:`M = (\sum H_g)^{-1}` the coefficients
move by :math:`\delta = M \sum v_g s_g`, and the scores of the new residuals are :math:`v_g s_g - H_g \delta`.

From rows: clusters are drawn with replacement, and :math:`\delta = (\sum c_g H_g)^{-1} \sum c_g s_g`.

Either way t is the error of a combination over its own CR1 standard error; rows are clusters where none are given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._matrix import pseudo_inverse
from causalinv._typing import FloatArray, IntArray

__all__ = ["ClusterSums", "drawn_t", "wild_t"]

_DRAWS = 999
_SEED = 20080801  # of the draws: an interval does not depend on who asks
_FEW = 12  # clusters up to which signs have fewer than 4096 patterns; Webb's six points then
_WEBB = np.sqrt([0.5, 1.0, 1.5])


@dataclass(frozen=True)
class ClusterSums:
    """Sums over clusters: H (G, k, k) and s (G, k), and the factor of CR1."""

    inner: FloatArray
    score: FloatArray
    factor: float

    @classmethod
    def of(
        cls, design: FloatArray, residual: FloatArray, weight: FloatArray | None, groups: IntArray | None
    ) -> ClusterSums:
        """Of regressors (n, k) and residuals (n,)."""
        n, k = design.shape
        w = np.ones(n) if weight is None else weight / weight.mean()
        code = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
        m = int(code.max()) + 1
        inner, score = np.zeros((m, k, k)), np.zeros((m, k))
        weighted = w[:, None] * design
        np.add.at(score, code, weighted * residual[:, None])
        if m == n:
            inner = weighted[:, :, None] * design[:, None, :]
        else:
            np.add.at(inner, code, weighted[:, :, None] * design[:, None, :])
        return cls(inner, score, m / (m - 1) * (n - 1) / (n - k))


def wild_t(sums: ClusterSums, contrasts: FloatArray) -> FloatArray:
    """Absolute t (m, 999) of contrasts (m, k) under signs of whole clusters."""
    rng = np.random.default_rng(_SEED)
    size = (_DRAWS, len(sums.score))
    signs = rng.choice(np.r_[-_WEBB, _WEBB] if size[1] <= _FEW else np.array([-1.0, 1.0]), size=size)
    bread = pseudo_inverse(sums.inner.sum(axis=0))
    error = signs @ sums.score @ bread
    found = []
    for combination in contrasts:
        along = bread @ combination
        scores = signs * (sums.score @ along) - error @ (sums.inner @ along).T
        found.append(_ratio(error @ combination, sums.factor * np.sum(scores**2, axis=1)))
    return np.stack(found)


def drawn_t(sums: ClusterSums, contrasts: FloatArray) -> FloatArray:
    """Absolute t (m, 999) of contrasts (m, k) when clusters are drawn with replacement."""
    rng = np.random.default_rng(_SEED)
    g, k = sums.score.shape
    flat = sums.inner.reshape(g, k * k)
    found = np.empty((len(contrasts), _DRAWS))
    for b in range(_DRAWS):
        count = np.bincount(rng.integers(g, size=g), minlength=g).astype(np.float64)
        bread = pseudo_inverse((count @ flat).reshape(k, k))
        error = bread @ (count @ sums.score)
        scores = (sums.score - sums.inner @ error) @ (bread @ contrasts.T)
        found[:, b] = _ratio(contrasts @ error, sums.factor * (count @ scores**2))
    return found


def _ratio(error: FloatArray, variance: FloatArray) -> FloatArray:
    """|t|: 0 where nothing moves, infinite where a draw leaves no variance to judge a move by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(error) / np.sqrt(variance)
    return np.where(variance > 0, t, np.where(error == 0, 0.0, np.inf))
