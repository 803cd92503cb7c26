"""Small models with documented truth: what textbooks and papers argue with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalinv.sem._linear import LinearSEM

__all__ = ["textbook_sem"]


def _edges(text: str) -> dict[tuple[str, str], float]:
    """Read ``"a -> b: 2, c -> d: -1"``."""
    out = {}
    for part in text.split(","):
        arrow, weight = part.split(":")
        parent, child = (name.strip() for name in arrow.split("->"))
        out[parent, child] = float(weight)
    return out


def _model(
    names: str, edges: str, target: str, features: str | None = None, noise: dict[str, float] | None = None
) -> LinearSEM:
    labels = names.split()
    B = np.zeros((len(labels), len(labels)))
    for (parent, child), weight in _edges(edges).items():
        B[labels.index(child), labels.index(parent)] = weight
    std = [(noise or {}).get(name, 1.0) for name in labels]
    chosen = None if features is None else features.split()
    return LinearSEM(B, noise=std, names=labels, target=target, features=chosen)


_MODELS: dict[str, Callable[[], LinearSEM]] = {
    "chain": lambda: _model("x1 y x2", "x1 -> y: 1, y -> x2: 1", "y"),
    "fork": lambda: _model("y x1 x2", "y -> x1: 1, y -> x2: 1", "y"),
    "collider": lambda: _model("x1 y x2", "x1 -> x2: 1, y -> x2: 1", "y"),
    "instrument": lambda: _model("z u x y", "z -> x: 1, u -> x: 1, u -> y: 1, x -> y: 2", "y", features="x z"),
    "proxy": lambda: _model(
        "c x1 x2 y", "c -> x1: 1, c -> x2: 1, x1 -> y: 2, c -> y: 1", "y", "x1 x2", {"x2": 0.0, "y": 0.0}
    ),
    "anchor": lambda: _model(
        "a h x y", "a -> x: 1, a -> h: 1, h -> x: 1, h -> y: 1, x -> y: 1", "y", features="x a"
    ),
    "spurious": lambda: _model("x1 y x2", "x1 -> y: 1, y -> x2: 1", "y", noise={"x2": 0.1}),
    "feedback": lambda: _model("x y", "x -> y: 0.5, y -> x: 0.5", "y"),
    "cancelled": lambda: _model("x1 x2 y", "x1 -> x2: 1, x2 -> y: 1, x1 -> y: -1", "y"),
}  # fmt: skip


def textbook_sem(name: str) -> LinearSEM:
    """Build a small model with known answers.

    Parameters
    ----------
    name : str
        ========== ================================================================================================
        chain      x1 → y → x2. Least squares of y on (x1, x2) gives (1/2, 1/2); the invariant set is {x1}.
        fork       y → x1, y → x2. No cause of y among the features; least squares gives (1/3, 1/3).
        collider   x1 → x2 ← y. x1 and y are independent; given x2 they are not: least squares gives (-1/2, 1/2).
        instrument z → x → y with hidden u → x, y. The effect of x is 2; least squares on x alone gives 2 + 1/3, the
                   ratio Cov(z, y)/Cov(z, x) gives 2.
        proxy      c hidden, x1 = c + e, x2 = c, y = 2 x1 + c: least squares on (x1, x2) gives (2, 1), right for x1;
                   on x1 alone 2 + 1/2.
        anchor     a moves x and the hidden h (Rothenhäusler et al. 2021, the anchor is not a valid instrument): the
                   effect of x is 1, Cov(a, y)/Cov(a, x) gives 3/2, least squares on x alone gives 1 + 3/6.
        spurious   x1 → y → x2 with var 0.01 of noise on x2 (Arjovsky et al. 2019): least squares nearly ignores the
                   cause x1, (1/101, 100/101).
        feedback   x ⇄ y, both effects 1/2. Least squares of y on x gives 4/5, not 1/2.
        cancelled  x1 → x2 → y and x1 → y with opposite effects: x1 and y are uncorrelated though x1 is a cause.
        ========== ================================================================================================

    Returns
    -------
    LinearSEM
        With named nodes, a target ``y``, and hidden nodes left out of the features.

    Raises
    ------
    ValueError
        If there is no such model.

    Examples
    --------
    >>> sem = textbook_sem("feedback")
    >>> round(float(sem.cov()[0, 1] / sem.cov()[0, 0]), 9)
    0.8
    """
    if not isinstance(name, str) or name not in _MODELS:
        raise ValueError(f"There is no textbook model {name!r}; there are {', '.join(_MODELS)}.")
    return _MODELS[name]()
