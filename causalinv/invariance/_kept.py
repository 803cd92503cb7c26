r"""What a linear representation keeps: how many directions it uses, and how far environments move it.

The law of a representation of mean m and covariance S is moved to that of mean m' and covariance S' by no map with a
mean squared step below :math:`\|m - m'\|^2 + \mathrm{tr}(S + S' - 2(S^{1/2} S' S^{1/2})^{1/2})`, Gelbrich's bound,
which is met where both are Gaussian. It needs moments only.

References
----------
Gelbrich (1990). On a formula for the L2 Wasserstein metric. Mathematische Nachrichten 147.
"""

from __future__ import annotations

import numpy as np

from causalinv._matrix import participation_ratio, singular_values, whitener
from causalinv._typing import FloatArray
from causalinv.invariance.rules._gaps import represent
from causalinv.moments import Moments

__all__ = ["kept"]


def kept(moments: Moments, components: FloatArray) -> tuple[float, float]:
    """Effective dimension of a representation (k, d), and how far environments move it; NaN where it does not vary.

    The dimension is the participation ratio of the covariance of all rows together. What moves it is the root of the
    least mean squared step from an environment's law to that of all together, over the root mean squared distance of
    two rows, both in units in which all together have covariance I.
    """
    seen = represent(moments, components)
    cov = seen.pooled.cov("x")[0]
    unit = whitener(cov)
    k = unit.shape[1]
    if not k:
        return float("nan"), float("nan")
    shift = (seen.mean("x") - seen.pooled.mean("x")[0]) @ unit
    own = unit.T @ seen.cov("x") @ unit
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh((own + np.swapaxes(own, 1, 2)) / 2), 0.0))
    steps = (shift**2).sum(axis=1) + ((spread - 1.0) ** 2).sum(axis=1)
    return participation_ratio(singular_values(cov)[1]), float(np.sqrt(seen.share @ steps / (2 * k)))
