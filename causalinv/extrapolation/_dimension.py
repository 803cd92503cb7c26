"""How many directions of the state the action moves: decided by a confidence bound on rows that were held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy.linalg import eigh
from scipy.special import ndtri

from causalinv._typing import FloatArray
from causalinv._warn import warn
from causalinv.exceptions import IdentificationWarning
from causalinv.extrapolation._features import action_regression, standardizer, whitening

__all__ = ["NEGLIGIBLE", "Directions", "warn_of_undecided"]

NEGLIGIBLE = (
    0.15  # standard deviations of V per standard deviation of the action: explains 2% of the direction's variance
)
_ERROR = 0.05  # of each bound


@dataclass(frozen=True)
class Directions:
    """What the action does along each direction of a representation, on rows that it was not learnt from.

    Attributes
    ----------
    effects : ndarray of shape (r,)
        Standard deviations of V by which one standard deviation of the action moves the direction, descending: of the
        directions in which it moves most and least (the canonical ones).
    n : int
        Held-out rows.
    """

    effects: FloatArray
    n: int

    @classmethod
    def measure(cls, phi: FloatArray, action: FloatArray) -> Self:
        """From held-out phi (n, r) and action (n, k)."""
        acts = standardizer(action)(action)
        slope, offset = action_regression(phi, acts)
        units = whitening(phi - acts @ slope.T - offset).matrix
        moved = units.T @ slope
        values = eigh(moved @ (acts.T @ acts / len(acts)) @ moved.T, eigvals_only=True)
        return cls(np.sqrt(np.maximum(values[::-1], 0.0)), len(phi))

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the effects."""
        # Of a standardised slope; the second part is that of the standard deviation in its denominator.
        errors: FloatArray = np.sqrt((1 + self.effects**2 / 2) / self.n)
        return errors

    @property
    def lower(self) -> FloatArray:
        """Lower confidence bounds, each 95%."""
        lower: FloatArray = np.maximum(self.effects + ndtri(_ERROR) * self.errors, 0.0)
        return lower

    @property
    def upper(self) -> FloatArray:
        """Upper confidence bounds, each 95%."""
        upper: FloatArray = self.effects - ndtri(_ERROR) * self.errors
        return upper

    @property
    def n_kept(self) -> int:
        """Directions that cannot be called negligible, at least one."""
        return max(1, int(np.count_nonzero(self.upper >= NEGLIGIBLE)))

    @property
    def undecided(self) -> int:
        """Of those kept, how many may be negligible all the same; never the first."""
        return int(np.count_nonzero(self.lower[1 : self.n_kept] < NEGLIGIBLE))

    def to_frame(self) -> pd.DataFrame:
        """One row per direction: its effect, the bounds, and what was decided."""
        order = np.arange(len(self.effects))
        kept = order < self.n_kept
        doubt = kept & (order > 0) & (self.lower < NEGLIGIBLE)
        decision = np.where(doubt, "undecided", np.where(kept, "kept", "dropped"))
        return pd.DataFrame({"effect": self.effects, "lower": self.lower, "upper": self.upper, "decision": decision})


def warn_of_undecided(found: Directions) -> None:
    """Say which directions were kept though they may be nothing."""
    if not found.undecided:
        return
    weakest = found.n_kept - 1
    warn(
        f"{found.undecided} of {found.n_kept} components may be nothing but noise: by {found.n} held-out rows, "
        "one standard deviation of the action moves the weakest by "
        f"{found.lower[weakest]:.2f} to {found.upper[weakest]:.2f} standard deviations of the state's own "
        "noise, where less than "
        f"{NEGLIGIBLE:g} is called negligible. It was kept. See effects_; more rows or wider actions decide, "
        "or set n_components.",
        IdentificationWarning,
    )
