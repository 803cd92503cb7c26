"""Hidden nodes: dropping them without changing the law of the rest, and seeing nodes only through measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import matrix_balance, solve_triangular

from causalinv._typing import ArrayLike, FloatArray, Node
from causalinv._validation import check_finite
from causalinv.sem._noise import Gaussian, Noise, as_noises

if TYPE_CHECKING:
    from causalinv.sem._linear import LinearSEM

__all__ = ["marginalize", "observe"]

_LOOP_TOL = 1e-12
_SINGULAR = 1e15


def marginalize(sem: LinearSEM, nodes: Sequence[Node]) -> LinearSEM:
    r"""Latent projection: with :math:`W = B_{OL}(I - B_{LL})^{-1}`, :math:`B^* = B_{OO} + W B_{LO}` and noise likewise.

    A loop through dropped nodes gives :math:`B^*` a diagonal; the equation is divided by one minus it.
    """
    if isinstance(nodes, str) or not np.iterable(nodes):
        raise TypeError(f"nodes must be a sequence of nodes to drop, got {nodes!r}.")
    drop = sorted({sem.node(node) for node in nodes})
    keep = [i for i in range(sem.n_nodes) if i not in drop]
    if not keep:
        raise ValueError("nodes holds every node; at least one must stay.")
    if sem.target in drop:
        raise ValueError(f"nodes holds the target {sem.names[sem.target]!r}, which must stay.")
    if sem.is_acyclic:
        # In causal order the system is triangular, and what no path connects stays exactly zero.
        drop = [node for node in sem.topological_order() if node in drop]
    inner = np.eye(len(drop)) - sem.B[np.ix_(drop, drop)]
    into = sem.B[np.ix_(keep, drop)]
    solved: FloatArray
    if sem.is_acyclic:
        solved = np.asarray(solve_triangular(inner.T, into.T, lower=False, unit_diagonal=True))
    elif np.linalg.cond(matrix_balance(inner, permute=False)[0]) < _SINGULAR:
        solved = np.asarray(np.linalg.solve(inner.T, into.T), dtype=np.float64)
    else:
        raise ValueError("The dropped nodes form a loop of gain 1 among themselves, so they are not determined.")
    through = solved.T
    B = sem.B[np.ix_(keep, keep)] + through @ sem.B[np.ix_(drop, keep)]
    gain = 1.0 - np.diag(B)
    if np.abs(gain).min() < _LOOP_TOL:
        node = sem.names[keep[int(np.argmin(np.abs(gain)))]]
        raise ValueError(f"The loop from {node!r} through the dropped nodes has gain 1, so the node is not determined.")
    np.fill_diagonal(B, 0.0)

    loading, laws = sem.common
    shifted = [i for i in drop if sem.shift_std[i]]
    at = {node: k for k, node in enumerate(drop)}
    # A negative gain mirrors the node's own noise, which a skewed law must show: then it moves to the causes.
    mirrored = [k for k, g in enumerate(gain) if g < 0]
    own = np.eye(len(keep))[:, mirrored] * sem.own_std[[keep[k] for k in mirrored]]
    parts = [
        loading[keep] + through @ loading[drop],
        through * sem.own_std[drop],
        through[:, [at[i] for i in shifted]] * sem.shift_std[shifted],
        own,
    ]
    causes = (
        *laws,
        *(sem.noise[i].shape() for i in drop),
        *(Gaussian(),) * len(shifted),
        *(sem.noise[keep[k]].shape() for k in mirrored),
    )
    noise = [
        replace(sem.noise[i].scale(max(1.0 / g, 0.0)), mean=sem.noise[i].mean / g)
        for i, g in zip(keep, gain, strict=True)
    ]
    position = {node: k for k, node in enumerate(keep)}
    return sem._replace(
        B=B / gain[:, None],
        noise=noise,
        intercept=(sem.intercept[keep] + through @ sem.constants[drop]) / gain,
        shift_std=sem.shift_std[keep] / np.abs(gain),
        common=(np.hstack(parts) / gain[:, None], causes),
        names=[sem.names[i] for i in keep],
        target=None if sem.target is None else position[sem.target],
        features=[position[i] for i in sem.features if i in position],
    )


def observe(
    sem: LinearSEM,
    A: ArrayLike,
    noise: ArrayLike | Noise | Sequence[Noise | float],
    names: Sequence[str] | None,
) -> LinearSEM:
    """Append measurements of the features as nodes, and make them the features."""
    d = len(sem.features)
    if isinstance(A, pd.DataFrame):
        seen = [sem.names[i] for i in sem.features]
        if sorted(map(str, A.columns)) != sorted(seen):
            raise ValueError(f"The columns of A must name the features {seen}, got {list(A.columns)}.")
        names = [str(label) for label in A.index] if names is None else names
        A = A.set_axis([str(c) for c in A.columns], axis=1)[seen]
    mixing = np.asarray(A, dtype=np.float64)
    if mixing.ndim != 2 or mixing.shape[1] != d or not mixing.size:
        raise ValueError(
            f"A must have shape (D, {d}), one column per feature ({', '.join(sem.names[i] for i in sem.features)}); "
            f"got {mixing.shape}."
        )
    check_finite(mixing, "A")
    D, p = len(mixing), sem.n_nodes
    B = np.zeros((p + D, p + D))
    B[:p, :p] = sem.B
    B[p:, list(sem.features)] = mixing
    labels = [f"obs{i}" for i in range(D)] if names is None else list(names)
    loading, laws = sem.common
    return sem._replace(
        B=B,
        noise=(*sem.noise, *as_noises(noise, D)),
        intercept=np.r_[sem.intercept, np.zeros(D)],
        shift_std=np.r_[sem.shift_std, np.zeros(D)],
        common=(np.vstack([loading, np.zeros((D, len(laws)))]), laws),
        names=[*sem.names, *labels],
        features=range(p, p + D),
    )
