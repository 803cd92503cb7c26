"""Integrate an augmentation over its parameters by drawing copies of the rows."""

from __future__ import annotations

import numpy as np

from causalinv._linalg import whitener
from causalinv._typing import FloatArray
from causalinv.ivlike._augmentation import Augmentation
from causalinv.ivlike._path import FirstStage
from causalinv.moments import Moments

__all__ = ["paired"]


def paired(
    augmentation: Augmentation,
    moments: Moments,
    X: FloatArray,
    y: FloatArray,
    *,
    sample_weight: FloatArray | None,
    n_copies: int,
    rng: np.random.Generator,
) -> FirstStage:
    r"""First stage from drawn copies, using that the original of each copy is known.

    The difference :math:`\delta = Gx - x`, not the augmented row, is regressed on G: the row's own variation, by
    far the larger noise, drops out. And :math:`\operatorname{Cov}(G, y) = 0` holds by design, so it is set, not
    estimated; that is consistent only because :math:`\operatorname{Cov}(G, \delta)` carries no noise from x either.
    If the law of G is declared (translations, G standard normal), its moments and those of Gx are the exact ones.
    """
    total: Moments | None = None
    for _ in range(n_copies):
        GX, G = augmentation.draw(X, rng, moments.names["x"])
        copy = Moments.from_rows(x=GX, y=y, delta=GX - X, g=G, sample_weight=sample_weight)
        total = copy if total is None else total.merge(copy)
    assert total is not None
    constant = np.flatnonzero(np.diagonal(total.cov("g")[0]) == 0)
    if constant.size:
        raise ValueError(
            f"G returned by {type(augmentation).__name__} is constant in column {constant.tolist()}: a constant "
            "parameter moves nothing. Return only parameters that vary."
        )
    half = whitener(total.cov("g")[0])
    explained = half.T @ total.cov("g", "delta")[0]
    if augmentation.closed_form:
        slope = half @ explained
        none = np.zeros((len(slope), moments.blocks["y"]))
        return FirstStage(moments.cov("x")[0], moments.cov("x", "y")[0], slope, none, added=True)
    none = np.zeros((len(explained), moments.blocks["y"]))
    return FirstStage(total.cov("x")[0], total.cov("x", "y")[0], explained, none, added=False)
