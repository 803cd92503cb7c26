r"""What remains unknown at α = 0: the effects compatible with some confounding of the coordinates the outcome reads.

Under exact invariance the outcome reads P'x, the coordinates that no direction moves. If the noise ξ of the outcome is
correlated with them, with :math:`R^2(\xi \sim P'x) \le \rho`, then the effects compatible with the second moments form
*exactly* the ellipsoid

.. math:: (w - \hat w)' \operatorname{Var}(P'x) (w - \hat w) \le \hat\sigma^2 \rho / (1 - \rho)

about least squares :math:`\hat w` on P'x with residual variance :math:`\hat\sigma^2`: any w in it is realised by
:math:`\xi = y - w'P'x`, whose R² is :math:`\delta / (\delta + \hat\sigma^2)` with δ the left-hand side. So the
half width of the interval of :math:`c'w` is
:math:`\sqrt{\hat\sigma^2 \rho / (1-\rho) \cdot c' \operatorname{Var}(P'x)^{-1} c}`.
"""

from __future__ import annotations

import numpy as np

from causalinv._matrix import orthonormal_range, whitener
from causalinv._typing import FloatArray

__all__ = ["benchmark_r2", "end_influence", "half_width", "robustness_value"]


def half_width(fixed: FloatArray, sigma2: float, r2: float) -> FloatArray:
    """Half width per coefficient, shape (d,).

    Parameters
    ----------
    fixed : ndarray of shape (d, r)
        Basis of the coefficients that no direction moves, orthonormal in the covariance of the features.
    sigma2 : float
        Residual variance.
    r2 : float
        Bound on the share of the noise's variance that the invariant coordinates explain, below 1.
    """
    return np.asarray(np.sqrt(sigma2 * r2 / (1.0 - r2) * np.sum(fixed**2, axis=1)))


def robustness_value(coef: FloatArray, fixed: FloatArray, sigma2: float) -> FloatArray:
    """Smallest r2 whose interval contains 0, per coefficient: t² / (1 + t²) with t² = h² / (σ² c'Σ⁻¹c)."""
    spread = sigma2 * np.sum(fixed**2, axis=1)
    return np.asarray(np.divide(coef**2, coef**2 + spread, out=np.zeros_like(coef), where=coef**2 + spread > 0))


def benchmark_r2(
    coef: FloatArray, fixed: FloatArray, *, cov: FloatArray, cross: FloatArray, sigma2: float, feature: int
) -> float:
    """The r2 that there would be if `feature` were hidden: of its part of the outcome plus noise, on the others.

    The others are the invariant coordinates in which it has no weight.
    """
    others = fixed @ orthonormal_range(fixed[[feature]])[1].T
    if not others.shape[1]:
        return 0.0
    half = others @ whitener(others.T @ cov @ others)
    shared = coef[feature] ** 2 * float(np.sum((half.T @ cov[:, feature]) ** 2))
    hidden = coef[feature]
    left = cross[feature] - cov[feature] @ coef  # covariance of the feature with the residual
    return shared / (hidden**2 * cov[feature, feature] + 2.0 * hidden * left + sigma2)


def end_influence(
    x: FloatArray,
    residual: FloatArray,
    fixed: FloatArray,
    *,
    sigma2: float,
    r2: float,
    own: FloatArray,
    share: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Influence of every row (n, d) on the lower and upper end: on the coefficient, and on the half width.

    Parameters
    ----------
    x : ndarray of shape (n, d)
        Centred rows.
    residual : ndarray of shape (n,)
    fixed, sigma2, r2
        As in `half_width`.
    own : ndarray of shape (n, d)
        Influence on the coefficients, weighted.
    share : ndarray of shape (n,)
        Weights that sum to one.
    """
    spread = np.sum(fixed**2, axis=1)
    projected = (x @ fixed) @ fixed.T
    d_sigma2, d_spread = residual**2 - sigma2, spread - projected**2
    width = half_width(fixed, sigma2, r2)
    slope = np.divide(r2 / (1.0 - r2), 2.0 * width, out=np.zeros_like(width), where=width > 0)
    through = share[:, None] * slope * (d_sigma2[:, None] * spread + sigma2 * d_spread)
    return own - through, own + through
