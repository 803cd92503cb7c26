r"""How strongly instruments move the features, direction by direction.

Exogenous regressors that are instruments for themselves have coordinates of strength 1 and are no question of
strength: they are taken out of the features and of the count of instruments, as in the partial F. A coordinate of
strength λ then has

.. math:: F = \frac{\lambda}{1 - \lambda} \cdot \frac{n - q - 1}{q - q_1}

with q instruments of which q₁ are included regressors. The smallest of them is the statistic of Cragg and Donald
(1993), and with one endogenous regressor the usual partial F; both take errors as independent and of equal variance.
The effective F of Montiel Olea and Pflueger (2013) does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._matrix import orthonormal_range, whitener
from causalinv._typing import FloatArray
from causalinv._warn import warn
from causalinv.exceptions import WeakSignalWarning
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import Reading

__all__ = ["Relevance", "relevance", "robust_f", "warn_weak_copies", "warn_weak_instruments"]

_INCLUDED = 1e-9  # 1 - λ up to here: the instruments contain the direction, rounding apart
_NEAR_ZERO = 1e-3  # strengths up to here are read as two-stage least squares
WEAK_F = 10.0


@dataclass(frozen=True)
class Relevance:
    """First-stage statistics.

    Attributes
    ----------
    partial_f : ndarray of shape (r,)
        F by direction of the endogenous features, the smallest first; empty if all features are exogenous.
    effective_f : float
        Of Montiel Olea and Pflueger, robust to unequal variances and to clusters; NaN unless exactly one direction is
        endogenous and the rows are at hand.
    """

    partial_f: FloatArray
    effective_f: float

    @property
    def weakest(self) -> float:
        """The smallest statistic, infinite if no feature is endogenous."""
        with_effective = [self.partial_f.min(initial=np.inf), self.effective_f]
        return float(np.nanmin(with_effective))


def relevance(
    reading: Reading,
    path: IVLikePath,
    *,
    x: FloatArray | None = None,
    g: FloatArray | None = None,
    weight: FloatArray | None = None,
    groups: np.ndarray | None = None,
) -> Relevance:
    """Statistics of a fit to instruments, or to copies whose parameters are used like them.

    Parameters
    ----------
    reading : Reading
    path : IVLikePath
        Of the same reading.
    x, g : ndarray of shape (n, d) and (n, q), optional
        Rows of features and instruments, for the robust statistic.
    weight, groups : ndarray of shape (n,), optional
        Of the same rows.
    """
    q, n = len(reading.stage.factor), float(reading.total.count.sum())
    share = np.clip(path.strength, 0.0, 1.0)
    included = share >= 1.0 - _INCLUDED
    left, excluded = max(n - q - reading.spent, 0.0), max(q - int(included.sum()), 1)
    partial = np.sort(share[~included] / (1.0 - share[~included])) * left / excluded
    effective = np.nan
    if x is not None and g is not None and len(partial) == 1 and left > 0:
        stage, total = reading.stage, reading.total
        outside = orthonormal_range((stage.factor @ path.basis[:, included]).T, tol=1e-8)[1]
        effective = robust_f(
            (x - total.mean("x")[0]) @ path.basis[:, ~included][:, 0],
            (g - total.mean("g")[0]) @ whitener(total.cov("g")[0]) @ outside.T,
            weight=np.ones(len(x)) if weight is None else weight,
            groups=groups,
            left=left,
        )
    return Relevance(partial, effective)


def robust_f(x: FloatArray, z: FloatArray, *, weight: FloatArray, groups: np.ndarray | None, left: float) -> float:
    """Effective F: π'π over the trace of its robust covariance.

    Of a feature (n,) and standardised instruments (n, q), with `left` degrees of freedom of the first stage.
    """
    share = weight / weight.sum()
    slope = (share * x) @ z
    rows = share[:, None] * z * (x - z @ slope)[:, None]
    n, m = len(x), len(x)
    if groups is not None:
        m = int(groups.max()) + 1
        summed = np.zeros((m, z.shape[1]))
        np.add.at(summed, groups, rows)
        rows = summed
    variance = float(np.sum(rows**2)) * m / (m - 1) * (n - 1) / left
    return float(slope @ slope) / variance if variance > 0 else np.inf


def warn_weak_instruments(found: Relevance, alpha: float) -> None:
    """Warn where two-stage least squares, or a strength close to it, hangs on a direction that hardly moves."""
    if alpha <= _NEAR_ZERO and found.weakest < WEAK_F:
        warn(
            f"Weak instruments: the first-stage F of the weakest direction is {found.weakest:.2g} (below "
            f"{WEAK_F:g}). The estimate is pulled towards least squares, and intervals from s.e. can miss far more "
            "often than they say. Use instruments that move the features more, or fewer of them; weak_instrument_set() "
            "holds its level however weak they are.",
            WeakSignalWarning,
        )


def warn_weak_copies(found: Relevance) -> None:
    """Warn if no direction of sampled copies carries a signal above noise."""
    largest = found.partial_f.max(initial=0.0)
    if largest < WEAK_F:
        warn(
            f"The sampled augmentation carries hardly any signal (largest first-stage F {largest:.2g} < "
            f"{WEAK_F:g}): its first stage is mostly noise, which pulls the estimate towards least squares on the "
            "augmented rows. Use integration='closed_form' or 'paired', or n_copies >= 20.",
            WeakSignalWarning,
        )
