"""What the doors of a fitted regression stand on: its record, and rows as it sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from causalinv._typing import FloatArray, Rows
from causalinv.ivlike._fit import Fit

__all__ = ["Recorded"]


class Recorded(ABC):
    """Something that keeps the record of a fit."""

    @abstractmethod
    def _checked(self) -> Fit:
        """The record of the fit, or NotFittedError."""

    @abstractmethod
    def _expanded(self, X: Rows) -> FloatArray:
        """Validated rows as the regression sees them."""
