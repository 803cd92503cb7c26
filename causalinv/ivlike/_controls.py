r"""Controls: exogenous regressors that are partialled out of outcome, features and instruments.

By the theorem of Frisch, Waugh and Lovell the coefficients of the features are those of the residuals, at every
strength: a control is an instrument for itself. On rows the residuals are taken with the weights of the fit; on moments
a Schur complement does the same, so that folds and bootstrap replications regress on the controls anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from causalinv._matrix import (
    WELL_CONDITIONED,
    constant_columns,
    inverse_roots,
    lstsq,
    matrix_rank,
    range_eigh,
    solve_range,
)
from causalinv._typing import BoolArray, FloatArray
from causalinv.ivlike._design import named
from causalinv.ivlike._integrations import Instruments
from causalinv.ivlike._reading import ControlSlopes, Reading
from causalinv.moments import Moments

__all__ = ["Controlled", "PartialledOut", "partial_out", "partial_out_rows", "read_moments", "with_controls"]

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
    slopes : ControlSlopes
    """

    y: FloatArray
    x: FloatArray
    z: FloatArray
    slopes: ControlSlopes


def partial_out_rows(
    y: FloatArray,
    x: FloatArray,
    z: FloatArray,
    controls: FloatArray,
    *,
    weight: FloatArray | None = None,
    names: tuple[str, ...] | None = None,
) -> PartialledOut:
    """Regress outcome (n, p), features (n, d) and instruments (n, q) on the controls (n, c) and a constant."""
    n = len(y)
    share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
    rows = np.column_stack([y, x, z])
    centre, mean = share @ rows, share @ controls
    root = np.sqrt(share)[:, None]
    known, rest = controls - mean, rows - centre
    known[:, constant_columns(controls)] = 0.0  # rounding of the mean is no information
    slopes = lstsq(root * known, root * rest)
    residual = rest - known @ slopes
    gone = share @ residual**2 <= _EXPLAINED * (share @ rest**2)
    residual[:, gone] = 0.0  # not rounding, which would look like information once it is scaled
    residual += centre
    p, d = y.shape[1], x.shape[1]
    length = np.linalg.norm(root * known, axis=0)
    rank = matrix_rank(root * known / np.where(length > 0, length, 1.0), tol=_EXPLAINED)
    return PartialledOut(
        residual[:, :p],
        residual[:, p : p + d],
        residual[:, p + d :],
        ControlSlopes(slopes[:, :p], slopes[:, p : p + d], mean, rank, names),
    )


def partial_out(moments: Moments, block: str = "c") -> tuple[Moments, ControlSlopes | None]:
    """Moments of one cell without a block, which is partialled out of the others; as they are, if there is none."""
    if block not in moments.blocks:
        return moments, None
    rest = tuple(name for name in moments.blocks if name != block)
    own, cross = moments.cov(block)[0], moments.cov(block, rest)[0]
    slopes = solve_range(own, cross)
    cov = moments.cov(rest)[0]
    explained = cross.T @ slopes
    left = cov - (explained + explained.T) / 2
    gone = np.diagonal(left) <= _EXPLAINED * np.diagonal(cov)
    left[gone] = 0.0
    left[:, gone] = 0.0
    spec: dict[str, int | Sequence[str]] = {name: moments.names[name] or moments.blocks[name] for name in rest}
    given: dict[str, Any] = {"weight": moments.weight, "count": moments.count, "weight_sq": moments.weight_sq}
    given["weight_range"] = moments.weight_range
    mean = np.concatenate([moments.mean(name)[0] for name in rest])
    without = Moments(spec, mean=mean, scatter=left * moments.weight[0], cells=moments.cells, **given)
    at = np.cumsum([0, *(moments.blocks[name] for name in rest)])
    part = {name: slopes[:, i:j] for name, i, j in zip(rest, at[:-1], at[1:], strict=True)}
    rank = len(range_eigh(own)[0])
    return without, ControlSlopes(part["y"], part["x"], moments.mean(block)[0], rank, moments.names[block])


def _partial_out_each(moments: Moments) -> tuple[Moments, ControlSlopes, BoolArray]:
    """`partial_out` of every cell, slopes in a stack, and which are sound: nothing is a combination of controls."""
    rest = tuple(name for name in moments.blocks if name != "c")
    root, sound = inverse_roots(moments.cov("c"))
    half, cov = root @ moments.cov("c", rest), moments.cov(rest)
    left = cov - np.swapaxes(half, 1, 2) @ half
    known, spread = (np.diagonal(part, axis1=1, axis2=2) for part in (cov, left))
    sound &= (spread > WELL_CONDITIONED**2 * known).all(axis=1)
    without = Moments.trusted(
        {name: moments.names[name] or moments.blocks[name] for name in rest},
        mean=moments.mean(rest),
        scatter=left * moments.weight[:, None, None],
        weight=moments.weight,
        count=moments.count,
        cells=moments.cells,
        weight_sq=moments.weight_sq,
        weight_range=moments.weight_range,
    )
    root = np.swapaxes(root, 1, 2)
    of_y, of_x = (root @ (np.swapaxes(root, 1, 2) @ moments.cov("c", block)) for block in ("y", "x"))
    rank = moments.blocks["c"]
    return without, ControlSlopes(of_y, of_x, moments.mean("c"), rank, moments.names["c"]), sound


def read_moments(moments: Moments) -> Reading:
    """A reading of moments with instruments in block ``g`` and, if there are any, controls in block ``c``."""
    without, slopes = partial_out(moments)
    if slopes is not None:
        refuse_explained(moments, without)
    return Instruments.read_moments(without, slopes)


def refuse_explained(moments: Moments, without: Moments) -> None:
    """Refuse features and instruments that are combinations of the controls."""
    for block, what in (("x", "X"), ("g", "instruments")):
        gone = (np.diagonal(without.cov(block)[0]) == 0) & (np.diagonal(moments.cov(block)[0]) > 0)
        if gone.any():
            names = moments.names[block]
            which = [int(i) if names is None else names[i] for i in np.flatnonzero(gone)]
            raise ValueError(
                f"{what} has columns that are combinations of the controls: {which}. Leave them out of one; an "
                "exogenous regressor is either a control, or a column of both X and instruments."
            )


def with_controls(pooled: Moments) -> Moments:
    """Moments in which the controls stand among the features and the instruments."""
    stacked = ("x", "c", "y", "g", "c")
    size = {name: pooled.blocks[name] for name in stacked}
    return Moments.trusted(
        {"x": size["x"] + size["c"], "y": size["y"], "g": size["g"] + size["c"]},
        mean=pooled.mean(stacked),
        scatter=pooled.scatter(stacked),
        weight=pooled.weight,
        count=pooled.count,
        cells=pooled.cells,
        weight_sq=pooled.weight_sq,
        weight_range=pooled.weight_range,
    )


@dataclass(frozen=True, kw_only=True)
class Controlled(Instruments):
    """Rows with instruments, controls partialled out of X, y and the instruments.

    Attributes
    ----------
    controls : ndarray of shape (n, c)
    """

    controls: FloatArray
    slopes: ControlSlopes

    @classmethod
    def of(cls, design: Instruments, controls: FloatArray, names: tuple[str, ...] | None) -> Self:
        """The rows of a design without controls, seen through its features, less what the controls explain."""
        x = design.expand(design.X)
        out = partial_out_rows(design.y, x, design.instruments, controls, weight=design.weight, names=names)
        blocks = {"x": named(x, design.feature_names), "g": named(design.instruments, design.instrument_names)}
        left = {"x": named(out.x, design.feature_names), "g": named(out.z, design.instrument_names)}
        refuse_explained(Moments.from_rows(**blocks), Moments.from_rows(**left))
        return cls(
            knowledge=design.knowledge,
            X=out.x,
            y=out.y,
            weight=design.weight,
            groups=design.groups,
            names=design.feature_names,
            positions=design.positions,
            instruments=out.z,
            instrument_names=design.instrument_names,
            outcome_names=design.outcome_names,
            controls=controls,
            slopes=out.slopes,
        )

    def collect(self, folds: np.ndarray | None = None) -> tuple[Moments, Moments]:
        g = named(self.instruments, self.instrument_names)
        moments = self.own_moments(folds, g=g, c=named(self.controls, self.slopes.names))
        return moments, moments

    def reading(self, moments: Moments, total: Moments) -> Reading:
        return Instruments.read_moments(*partial_out(moments.pool()))

    def judged(self, moments: Moments, total: Moments) -> Reading:
        return Instruments.read_moments(with_controls(moments.pool()))

    def readings(self, moments: Moments, total: Moments, *, judged: bool = False) -> tuple[Reading, BoolArray] | None:
        if judged:
            every = with_controls(moments)
            return super().readings(every, every)
        without, slopes, sound = _partial_out_each(moments)
        found = super().readings(without, without)
        return None if found is None else (replace(found[0], slopes=slopes), found[1] & sound)

    @property
    def constants(self) -> FloatArray:
        known = self.controls - self.slopes.mean
        known[:, constant_columns(self.controls)] = 0.0
        return np.column_stack([super().constants, known])

    def contrasts(self, combine: FloatArray) -> tuple[FloatArray, FloatArray]:
        # The coefficients of the controls are those of y on them, less what the features take along.
        c, d = self.controls.shape[1], self.X.shape[1]
        own = combine[:, 1 + d :] if combine.shape[1] > 1 + d else np.zeros((len(combine), c))
        return np.column_stack([combine[:, :1], own]), combine[:, 1 : 1 + d] - own @ self.slopes.of_x
