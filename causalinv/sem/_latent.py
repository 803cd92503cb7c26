"""Hidden nodes: dropping them without changing the law of the rest, and seeing nodes only through measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy.linalg import matrix_balance, solve_triangular

from causalinv._typing import ArrayLike, FloatArray, Node
from causalinv._validation import check_list, check_numbers
from causalinv.sem._model import CommonCauses, Model
from causalinv.sem._noise import Gaussian, Noise, as_noises

__all__ = ["marginalize", "observe"]

_LOOP_TOL = 1e-12
_SINGULAR = 1e15

M = TypeVar("M", bound=Model)


def marginalize(model: M, nodes: Sequence[Node]) -> M:
    r"""Latent projection: with :math:`W = B_{OL}(I - B_{LL})^{-1}`, :math:`B^* = B_{OO} + W B_{LO}` and noise likewise.

    A loop through dropped nodes gives :math:`B^*` a diagonal; the equation is divided by one minus it.
    """
    drop = sorted(set(model.nodes(nodes, "nodes")))
    keep = [i for i in range(model.n_nodes) if i not in drop]
    if not keep:
        raise ValueError("nodes holds every node; at least one must stay.")
    if model.target in drop:
        raise ValueError(f"nodes holds the target {model.names[model.target]!r}, which must stay.")
    if not drop:
        return model
    if model.is_acyclic:
        # In causal order the system is triangular, and what no path connects stays exactly zero.
        drop = [node for node in model.topological_order() if node in drop]
    through = _through(model, keep, drop)
    B = model.B[np.ix_(keep, keep)] + through @ model.B[np.ix_(drop, keep)]
    gain = 1.0 - np.diag(B)
    if np.abs(gain).min() < _LOOP_TOL:
        name = model.names[keep[int(np.argmin(np.abs(gain)))]]
        raise ValueError(f"The loop from {name!r} through the dropped nodes has gain 1, so the node is not determined.")
    np.fill_diagonal(B, 0.0)
    # What the dropped nodes carried, and what the kept ones cannot carry as their own any more, become common causes.
    shared = model.common.loading[keep] + through @ model.common.loading[drop]
    causes: list[tuple[FloatArray, Noise]] = list(zip(shared.T, model.common.laws, strict=True))
    dropped = list(zip(through.T, drop, strict=True))
    causes += [(column * model.own_std[node], model.noise[node].shape()) for column, node in dropped]
    causes += [(column * model.shift_std[node], Gaussian()) for column, node in dropped if model.shift_std[node]]
    for k, node in enumerate(keep):
        if gain[k] < 0:  # mirrors the node's own noise, which a skewed law must show
            causes.append((np.eye(len(keep))[k] * model.own_std[node], model.noise[node].shape()))
    noise = [
        replace(model.noise[i].scale(max(1.0 / g, 0.0)), mean=model.noise[i].mean / g)
        for i, g in zip(keep, gain, strict=True)
    ]
    position = {node: k for k, node in enumerate(keep)}
    return model.replace(
        B=B / gain[:, None],
        noise=noise,
        intercept=(model.intercept[keep] + through @ model.constants[drop]) / gain,
        shift_std=model.shift_std[keep] / np.abs(gain),
        common=CommonCauses.of_pairs([(column / gain, law) for column, law in causes], len(keep)),
        names=[model.names[i] for i in keep],
        target=None if model.target is None else position[model.target],
        features=[position[i] for i in model.features if i in position],
    )


def _through(model: Model, keep: list[int], drop: list[int]) -> FloatArray:
    """Total effects of the dropped nodes' equations on the kept ones, along paths inside the dropped, (keep, drop)."""
    inner = np.eye(len(drop)) - model.B[np.ix_(drop, drop)]
    into = model.B[np.ix_(keep, drop)]
    if model.is_acyclic:
        return np.asarray(solve_triangular(inner.T, into.T, lower=False, unit_diagonal=True)).T
    if np.linalg.cond(matrix_balance(inner, permute=False)[0]) < _SINGULAR:
        return np.asarray(np.linalg.solve(inner.T, into.T), dtype=np.float64).T
    raise ValueError("The dropped nodes form a loop of gain 1 among themselves, so they are not determined.")


def observe(
    model: M,
    A: ArrayLike,
    noise: ArrayLike | Noise | Sequence[Noise | float],
    names: Sequence[str] | None,
) -> M:
    """Append measurements of the features as nodes, and make them the features."""
    d = len(model.features)
    if isinstance(A, pd.DataFrame):
        seen = [model.names[i] for i in model.features]
        if sorted(map(str, A.columns)) != sorted(seen):
            raise ValueError(f"The columns of A must name the features {seen}, got {list(A.columns)}.")
        names = [str(label) for label in A.index] if names is None else names
        A = A.set_axis([str(c) for c in A.columns], axis=1)[seen]
    mixing = check_numbers(A, "A")
    if mixing.ndim != 2 or mixing.shape[1] != d or not mixing.size:
        raise ValueError(
            f"A must have shape (D, {d}), one column per feature "
            f"({', '.join(model.names[i] for i in model.features)}); got {mixing.shape}."
        )
    D, p = len(mixing), model.n_nodes
    B = np.zeros((p + D, p + D))
    B[:p, :p] = model.B
    B[p:, list(model.features)] = mixing
    labels = [f"obs{i}" for i in range(D)] if names is None else check_list(names, "names", f"{D} strings")
    if len(labels) != D:
        raise ValueError(f"names must be {D} strings, one per measurement, got {names!r}.")
    return model.replace(
        B=B,
        noise=(*model.noise, *as_noises(noise, D)),
        intercept=np.r_[model.intercept, np.zeros(D)],
        shift_std=np.r_[model.shift_std, np.zeros(D)],
        common=model.common.map(np.eye(p + D, p)),
        names=[*model.names, *labels],
        features=range(p, p + D),
    )
