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

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalinv._matrix import orthonormal_range, pseudo_inverse, whitener
from causalinv._printing import percent
from causalinv._typing import FloatArray
from causalinv._validation import check_confidence_level, check_number
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import Influence, quantile
from causalinv.ivlike._intervals import influence_at, unseen_at, warn_unseen

__all__ = [
    "benchmark_r2",
    "confounder_like",
    "end_influence",
    "half_width",
    "partial_r2",
    "residual_variance",
    "robustness_value",
    "sensitivity",
]


def sensitivity(
    fit: Fit,
    r2: float | None,
    *,
    reaction: float,
    benchmark: str | int | None,
    confidence_level: float | None,
) -> pd.DataFrame:
    """Ends of the effects compatible with confounding of some size and a claim that is nearly true."""
    moments, fixed, coef = fit.reading.moments, fit.path.basis[:, ~fit.path.moved], fit.coef[:, 0]
    sigma2 = residual_variance(fit)
    cov, cross = moments.cov("x")[0], moments.cov("x", "y")[0, :, 0]
    slack = check_number(reaction, "reaction", low=0.0, finite=True)
    if (r2 is not None and benchmark is not None) or (r2 is None and benchmark is None and not slack):
        raise ValueError(
            "Give either r2, a bound from 0 to below 1, or benchmark, the name of a feature; or reaction=."
        )
    told = ""
    if benchmark is not None:
        at = _position(benchmark, fit.names)
        r2 = benchmark_r2(coef, fixed, cov=cov, cross=cross, sigma2=sigma2, feature=at)
        told = f" (as if {benchmark} were hidden)"
    bound = check_number(0.0 if r2 is None else r2, "r2", low=0.0)
    if bound >= 1:
        raise ValueError(f"r2 must be below 1, got {bound:g}: noise that is all confounding allows every effect.")
    width, noisy = np.zeros(len(coef)), sigma2
    if slack:
        width, extra = reaction_width(fit, fixed, cov, slack)
        noisy = (np.sqrt(sigma2) + extra) ** 2 if bound else sigma2
        told += f", reaction <= {slack:.3g}"
    width = width + half_width(fixed, noisy, bound)
    ends = np.stack([coef - width, coef + width])
    if confidence_level is not None:
        if slack:
            raise ValueError(
                "confidence_level= is for confounding alone; with reaction= there is no sampling error yet."
            )
        level = check_confidence_level(confidence_level)
        unseen = unseen_at(fit)
        warn_unseen(fit, unseen)
        ends[:, unseen] = np.nan
        ends += _end_errors(fit, fixed, sigma2, bound, level) * np.array([[-1.0], [1.0]])
        told += f", {percent(level)} confidence"
    share = partial_r2(coef, fixed, sigma2)
    table = {
        "coef": coef,
        "lower": ends[0],
        "upper": ends[1],
        "robustness_value": robustness_value(share),
        "partial_r2": share,
    }
    return pd.DataFrame(table, index=fit.index).rename_axis(columns=f"R2 <= {bound:.3g}{told}")


def residual_variance(fit: Fit) -> float:
    """Residual variance of one outcome; refuses fits about whose unknowns nothing exact can be said."""
    if not fit.design.knowledge.imposes_invariance(fit.alpha, averages=fit.averages):
        raise ValueError(f"sensitivity needs alpha=0, where the invariance is imposed; alpha is {fit.alpha:g}.")
    if fit.ridge > 0:
        raise ValueError(f"sensitivity is exact for least squares only, without ridge; got ridge={fit.ridge:g}.")
    if fit.coef.shape[1] > 1:
        raise ValueError("sensitivity takes one outcome; fit them one by one.")
    moments, fixed, coef = fit.reading.moments, fit.path.basis[:, ~fit.path.moved], fit.coef[:, 0]
    cov, cross = moments.cov("x")[0], moments.cov("x", "y")[0, :, 0]
    if not np.allclose(fixed.T @ cov @ fixed, np.eye(fixed.shape[1]), atol=1e-6):
        raise ValueError(
            "sensitivity needs directions that the augmentation leaves alone in every row; here they are left "
            "alone on average only (sampled copies, or a curved augmentation), and nothing exact can be said."
        )
    n = float(moments.count.sum())
    if fixed.shape[1] + 1 >= n:
        raise ValueError(
            f"sensitivity needs a residual, but {fixed.shape[1]} coefficients and an intercept fit all {n:g} rows "
            "exactly: every confounding would look harmless. Use fewer features or more rows."
        )
    return float(moments.cov("y")[0, 0, 0] - 2 * coef @ cross + coef @ cov @ coef)


def reaction_width(fit: Fit, fixed: FloatArray, cov: FloatArray, bound: float) -> tuple[FloatArray, float]:
    r"""Half width (d,) if :math:`|\Gamma h_0| \le` `bound`, and by how much the residual's spread may grow.

    With :math:`h_0 = Pw_0 + \Gamma^+\eta` and noise uncorrelated with P'x, restricted least squares misses
    :math:`L\eta = (I - P(P'\Sigma P)^{-1}P'\Sigma)\Gamma^+\eta`.
    """
    if fit.averages:
        raise ValueError("reaction= needs an augmentation that is not averaged over a group: its steps have no size.")
    factor = fit.reading.stage.factor
    spread = np.sqrt(np.diagonal(cov))
    unit = np.where(spread > 0, spread, 1.0)
    length = np.linalg.norm(factor / unit, axis=1)
    length = np.where(length > 0, length, 1.0)
    back = pseudo_inverse(factor / unit / length[:, None]) / length / unit[:, None]  # in no one's units
    missed = back - fixed @ (fixed.T @ cov @ back)
    widest = np.sqrt(max(float(np.linalg.eigvalsh(missed.T @ cov @ missed)[-1]), 0.0))
    return bound * np.linalg.norm(missed, axis=1), bound * widest


def _end_errors(fit: Fit, fixed: FloatArray, sigma2: float, r2: float, level: float) -> FloatArray:
    """Sampling error of both ends of a sensitivity interval, times the one-sided quantile."""
    design, moments = fit.rows(), fit.reading.moments
    influence = influence_at(fit)
    x = design.expand(design.X) - moments.mean("x")[0]
    residual = design.y[:, 0] - moments.mean("y")[0, 0] - x @ fit.coef[:, 0]
    ends = end_influence(x, residual, fixed, sigma2=sigma2, r2=r2, own=influence.rows[:, :, 0], share=design.share)
    ends_of = Influence(np.stack(ends, axis=-1), influence.groups, influence.rank)
    both = ends_of.covariance()
    return quantile(level, ends_of.uneven_df()) * np.sqrt(np.diagonal(both, axis1=1, axis2=2))


def _position(feature: str | int, names: Sequence[Any]) -> int:
    if feature in names:
        return names.index(feature)
    if isinstance(feature, int | np.integer) and 0 <= feature < len(names):
        return int(feature)
    raise ValueError(f"benchmark must be a feature of this fit, {names}, or its position; got {feature!r}.")


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


def partial_r2(coef: FloatArray, fixed: FloatArray, sigma2: float) -> FloatArray:
    """Share of the outcome's noise and effect that each effect is: t² / (1 + t²) with t² = h² / (σ² c'Σ⁻¹c).

    The smallest r2 whose interval contains 0, and the extreme scenario of Cinelli and Hazlett: what a confounder that
    explains all of the outcome's residual must explain of the feature's.
    """
    spread = sigma2 * np.sum(fixed**2, axis=1)
    return np.asarray(np.divide(coef**2, coef**2 + spread, out=np.zeros_like(coef), where=coef**2 + spread > 0))


def robustness_value(share: FloatArray) -> FloatArray:
    r"""Robustness value of Cinelli and Hazlett (2020), from partial R².

    A confounder that explains this share of the residuals of feature and outcome alike moves the estimate to 0:
    :math:`(\sqrt{f^4 + 4f^2} - f^2)/2` with :math:`f^2 = R^2/(1 - R^2)`.
    """
    # The same without the difference of nearly equal numbers where f is large.
    odds = np.divide(1.0 - share, share, out=np.zeros_like(share), where=share > 0)
    return np.where(share > 0, 2.0 / (1.0 + np.sqrt(1.0 + 4.0 * odds)), 0.0)


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


def confounder_like(fit: Fit, feature: str | int, like: str | int, *, multiple: float) -> pd.Series:
    """What a confounder would explain that is `multiple` times as strong as a feature, by Cinelli and Hazlett.

    Their bounds on partial R² with the feature of interest and the outcome, and the estimate that would be left.
    """
    sigma2 = residual_variance(fit)
    basis, coef, names = fit.path.basis[:, ~fit.path.moved], fit.coef[:, 0], fit.names
    free = np.flatnonzero(np.any(basis, axis=1))
    if len(free) != basis.shape[1]:
        raise ValueError(
            "A confounder can be likened to a feature only where the augmentation moves whole features and leaves "
            "the others alone; here it moves combinations. Use sensitivity(benchmark=...)."
        )
    one, other = (_position(each, names) for each in (feature, like))
    if one == other or not {one, other} <= set(free.tolist()):
        raise ValueError(f"feature and like must be two features that the outcome reads, {[names[j] for j in free]}.")
    k = check_number(multiple, "multiple", low=0.0, open_low=True, finite=True)
    inverse = basis @ basis.T
    shared = inverse[one, other] ** 2 / (inverse[one, one] * inverse[other, other])  # partial R² of the two features
    own = float(partial_r2(coef, basis, sigma2)[other])
    if k * shared >= 1:
        raise ValueError(
            f"multiple={k:g} of a feature with partial R² {shared:.2g} would explain everything; use less."
        )
    with_feature = k * shared / (1.0 - shared)
    left = k * shared**2 / ((1.0 - k * shared) * (1.0 - shared))
    if with_feature >= 1 or left >= 1:
        raise ValueError(
            f"multiple={k:g} of a feature with partial R² {shared:.2g} would explain everything; use less."
        )
    with_outcome = min((np.sqrt(k) + np.sqrt(left)) ** 2 / (1.0 - left) * own / (1.0 - own), 1.0)
    bias = np.sqrt(sigma2 * inverse[one, one] * with_outcome * with_feature / (1.0 - with_feature))
    return pd.Series(
        {
            "r2_feature": with_feature,
            "r2_outcome": with_outcome,
            "adjusted": float(np.sign(coef[one]) * (np.abs(coef[one]) - bias)),
        },
        name=f"{multiple:g} x {names[other]}",
    )
