r"""Controls: exogenous regressors that are partialled out of outcome, features and instruments.

By the theorem of Frisch, Waugh and Lovell the coefficients of the features are those of the residuals, at every
strength: a control is an instrument for itself. On rows the residuals are taken with the weights of the fit; on moments
a Schur complement does the same, so that folds and bootstrap replications regress on the controls anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalinv._matrix import lstsq, matrix_rank, solve_range
from causalinv._typing import FloatArray
from causalinv.moments import Moments

__all__ = ["PartialledOut", "partial_out", "partial_out_rows"]

_EXPLAINED = 1e-10  # of a variable's variance, what controls leave: it is a combination of them


@dataclass(frozen=True, eq=False)
class PartialledOut:
    """Rows with the controls partialled out, and by what.

    Attributes
    ----------
    y : ndarray of shape (n, p)
    x : ndarray of shape (n, d)
    z : ndarray of shape (n, q)
        Residuals, about the means of the rows as they were.
    of_y : ndarray of shape (c, p)
    of_x : ndarray of shape (c, d)
        Coefficients of the controls in the regressions of outcome and features.
    mean : ndarray of shape (c,)
        Of the controls.
    rank : int
        Of the controls, the constant not counted.
    """

    y: FloatArray
    x: FloatArray
    z: FloatArray
    of_y: FloatArray
    of_x: FloatArray
    mean: FloatArray
    rank: int

    def coef(self, coef: FloatArray) -> FloatArray:
        """Coefficients (c, p) of the controls beside coefficients (d, p) of the features."""
        return self.of_y - self.of_x @ coef


def partial_out_rows(
    y: FloatArray, x: FloatArray, z: FloatArray, controls: FloatArray, weight: FloatArray | None
) -> PartialledOut:
    """Regress outcome (n, p), features (n, d) and instruments (n, q) on the controls (n, c) and a constant."""
    n = len(y)
    share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
    rows = np.column_stack([y, x, z])
    centre, mean = share @ rows, share @ controls
    root = np.sqrt(share)[:, None]
    known, rest = controls - mean, rows - centre
    slopes = lstsq(root * known, root * rest)
    residual = rest - known @ slopes
    gone = share @ residual**2 <= _EXPLAINED * (share @ rest**2)
    residual[:, gone] = 0.0
    residual += centre
    p, d = y.shape[1], x.shape[1]
    return PartialledOut(
        residual[:, :p],
        residual[:, p : p + d],
        residual[:, p + d :],
        slopes[:, :p],
        slopes[:, p : p + d],
        mean,
        matrix_rank(root * known, tol=_EXPLAINED),
    )


def partial_out(moments: Moments, block: str = "c") -> Moments:
    """Moments of one cell without a block, which is partialled out of the others; as they are, if there is none."""
    if block not in moments.blocks:
        return moments
    rest = tuple(name for name in moments.blocks if name != block)
    cov, cross = moments.cov(rest)[0], moments.cov(block, rest)[0]
    explained = cross.T @ solve_range(moments.cov(block)[0], cross)
    left = cov - (explained + explained.T) / 2
    gone = np.diagonal(left) <= _EXPLAINED * np.diagonal(cov)
    left[gone] = 0.0
    left[:, gone] = 0.0
    spec: dict[str, int | Sequence[str]] = {name: moments.names[name] or moments.blocks[name] for name in rest}
    given: dict[str, Any] = {"weight": moments.weight, "count": moments.count, "weight_sq": moments.weight_sq}
    mean = np.concatenate([moments.mean(name)[0] for name in rest])
    return Moments(spec, mean=mean, scatter=left * moments.weight[0], cells=moments.cells, **given)
