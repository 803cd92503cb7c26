"""Integrate an augmentation over its parameters: moments of (Gx, y, G) for the path solver."""

from __future__ import annotations

import numpy as np

from causalinv._typing import FloatArray
from causalinv.ivlike._augmentation import Augmentation
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
) -> Moments:
    r"""Moments of (Gx, y, G) from drawn copies, using that the original of each copy is known.

    The difference :math:`\delta = Gx - x`, not the augmented row, is regressed on G: the row's own variation, by
    far the larger noise, drops out. And :math:`\operatorname{Cov}(G, y) = 0` holds by design, so it is set, not
    estimated; that is consistent only because :math:`\operatorname{Cov}(G, Gx)` carries no noise from x either.
    If the law of G is declared (translations), the moments of G and of Gx are the exact ones.
    """
    total: Moments | None = None
    names = moments.names["x"]
    for _ in range(n_copies):
        GX, G = augmentation.draw(X, rng, names)
        copy = Moments.from_rows(x=GX, y=y, delta=GX - X, g=G, sample_weight=sample_weight)
        total = copy if total is None else total.merge(copy)
    assert total is not None

    d, p, q = moments.blocks["x"], moments.blocks["y"], total.blocks["g"]
    spread = total.cov("g")[0]
    slope = np.linalg.lstsq(spread, total.cov("g", "delta")[0], rcond=None)[0]  # (q, d)
    if augmentation.closed_form:
        declared = augmentation.add_to(moments)
        spread = declared.cov("g")[0]
        variance, with_outcome = declared.cov("x")[0], declared.cov("x", "y")[0]
    else:
        variance, with_outcome = total.cov("x")[0], total.cov("x", "y")[0]
    moved = spread @ slope
    none = np.zeros((q, p))
    cov = np.block(
        [
            [variance, with_outcome, moved.T],
            [with_outcome.T, moments.cov("y")[0], none.T],
            [moved, none, spread],
        ]
    )
    mean = np.concatenate([total.mean("x")[0], moments.mean("y")[0], total.mean("g")[0]])
    return Moments(
        {"x": names or d, "y": moments.names["y"] or p, "g": q},
        mean=mean,
        scatter=cov * moments.weight,
        weight=moments.weight,
        count=moments.count,
    )
