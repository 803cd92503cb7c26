"""Whether the state's own noise is so one-sided that the tails of what was learnt are no ground to extrapolate from."""

from __future__ import annotations

import numpy as np

from causalinv._typing import FloatArray
from causalinv.extrapolation._features import whitening

__all__ = ["ONE_SIDED", "ROWS", "one_sidedness"]

# Between laws of V with which a learnt state beats a polynomial of the action and laws with which it does not: of 64
# lognormal and exponential data sets one lay below, of 160 others one, a Gumbel one, above
# (benchmarks/results/extrapolation_audit.md).
ONE_SIDED = 0.4
_ENDS = (0.025, 0.5, 0.975)
_DIRECTIONS = 100
ROWS = 4_000  # that are looked at


def one_sidedness(residual: FloatArray) -> float:
    """Quantile skewness of V along the direction where it is largest: 0 symmetric, 1 at most.

    Hinkley's (q + Q - 2 median) / (Q - q) with q and Q the 2.5% and 97.5% quantiles, which a few wild rows do not move:
    .33 for a Gumbel law, .63 for an exponential one. Directions are those of the outermost rows, so that affine maps of
    V change nothing.

    Parameters
    ----------
    residual : ndarray of shape (n, d)
        V, in any coordinates.
    """
    unit = whitening(residual)(residual)
    size = np.linalg.norm(unit, axis=1)
    outermost = np.argsort(-size, kind="stable")[:_DIRECTIONS]
    towards = unit[outermost[size[outermost] > 0]]
    if not len(towards):
        return 0.0
    low, middle, high = np.quantile(unit @ (towards / np.linalg.norm(towards, axis=1)[:, None]).T, _ENDS, axis=0)
    width = high - low
    skew = np.divide(high + low - 2 * middle, width, out=np.zeros_like(width), where=width > 0)
    return float(skew.max())
