"""What X holds beyond a representation: how much, from where on that matters, and what is said of it."""

from __future__ import annotations

import numpy as np

from causalinv._printing import counted
from causalinv._typing import FloatArray
from causalinv._warn import warn
from causalinv.exceptions import IdentificationWarning
from causalinv.extrapolation._dimension import Directions
from causalinv.extrapolation._features import RadialFeatures

__all__ = ["holds_more", "reconstruction", "warn_of_the_rest"]

# Share of X's variance below which phi of d coordinates is taken to miss some: about half of what one of d + 1 holds.
_MISSED = 0.5
_HELD_OUT = 4  # every fourth row


def reconstruction(X: FloatArray, phi: FloatArray, rng: np.random.Generator) -> float:
    """Share of the variance of X (standardised) explained by smooth regression on phi, on every fourth row."""
    n = len(X)
    out = np.arange(n) % _HELD_OUT == _HELD_OUT - 1
    features = RadialFeatures.fit(phi, min(100, max(2, n // 4)), 1.0, rng)
    columns = features(phi)
    centre, middle = columns[~out].mean(axis=0), X[~out].mean(axis=0)
    train, target = columns[~out] - centre, X[~out] - middle
    system = train.T @ train / len(train) + 1e-5 * np.diag(features.penalty(0.01))
    coef = np.linalg.solve(system, train.T @ target / len(train))
    left = X[out] - middle - (columns[out] - centre) @ coef
    total = np.sum((X[out] - middle) ** 2)
    return float(1 - np.sum(left**2) / total) if total > 0 else 1.0


def holds_more(share: float, d: int) -> bool:
    """Whether X holds more than d coordinates that show a share of it."""
    return share < 1 - _MISSED / (d + 1)


def warn_of_the_rest(share: float, d: int, k: int, directions: Directions | None) -> None:
    """Say what the rest of X may be: it is another thing with directions of the action left out than without."""
    shown = (
        f"X holds more than the representation of {counted(d, 'component')}, which shows {max(share, 0.0):.0%} of it"
    )
    if d == k:
        warn(
            f"{shown}: X is noisy, or its state has directions that the action does not move. The mean under "
            "do(A = a) is then identified if the state's own noise is Gaussian; what is conditional on X is not.",
            IdentificationWarning,
        )
        return
    if directions is None:
        left = f"n_components={d} leaves out {counted(k - d, 'direction')} of the action"
    else:
        left = (
            f"left out: {counted(k - d, 'direction')} of the action, along which its standard deviation moves the "
            f"state by at most {directions.upper[d]:.2f} standard deviations of the state's own noise (95% bound)"
        )
    warn(
        f"{shown}; {left}. If the outcome depends strongly on one of them, predictions at untried actions miss "
        f"that: compare with n_components={k}.",
        IdentificationWarning,
    )
