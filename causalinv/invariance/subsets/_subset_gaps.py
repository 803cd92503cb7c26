"""Gaps of the pooled rules on many subsets, read off the sweep where that is possible."""

from __future__ import annotations

import numpy as np

from causalinv._typing import FloatArray
from causalinv.invariance.rules._gaps import Metric, invariance_gaps, relative
from causalinv.invariance.subsets._sets import unpack
from causalinv.invariance.subsets._sweep import SubsetStatistics
from causalinv.moments import Moments

__all__ = ["subset_gaps"]


def subset_gaps(moments: Moments, subsets: SubsetStatistics, metric: Metric) -> FloatArray:
    """Gaps of the pooled rule on many subsets of the features, shape (n, E).

    The excess and what follows from it are read off the sweep; ``"coefficient"`` and ``"gradient"`` need the
    coefficients, so each subset costs a regression per environment.
    """
    variance = float(moments.pool().cov("y")[0, 0, 0])
    if metric == "excess":
        return np.maximum(subsets.excess, 0.0)
    if metric == "relative_excess":
        return relative(subsets.excess, subsets.own_risk, variance)
    if metric == "risk_range":
        return subsets.pooled_risk - subsets.pooled_risk.min(axis=1, keepdims=True)
    d = moments.blocks["x"]
    rows = [invariance_gaps(moments, np.eye(d)[inside], metric=metric) for inside in unpack(subsets.packed, d)]
    return np.array(rows).reshape(len(subsets), len(moments))
