"""What a fit was made from, and how to make it again on part of the rows."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import clone
from sklearn.utils.metadata_routing import get_routing_for_object

from causalinv._parallel import generator
from causalinv._typing import FloatArray, RandomState
from causalinv._validation import check_finite
from causalinv.exceptions import CausalInvWarning
from causalinv.extrapolation._encoder import LinearInvarianceEncoder
from causalinv.extrapolation._response import ControlFunction, fit_control_function
from causalinv.extrapolation._steps import steps_of

__all__ = ["Recipe", "Tried"]


@dataclass(frozen=True)
class Tried:
    """The rows of a fit.

    Attributes
    ----------
    rows : ndarray of shape (n, D)
        X.
    y : ndarray of shape (n,)
    actions : ndarray of shape (n, k)
        As they were passed.
    given : ndarray of shape (n, q)
        The same after `action_transform`, as the encoder sees them.
    names : ndarray of str, or None
        Of the columns of X.
    """

    rows: FloatArray
    y: FloatArray
    actions: FloatArray
    given: FloatArray
    names: np.ndarray | None

    def take(self, at: np.ndarray) -> Tried:
        """Some of the rows: a mask, or positions, which may repeat."""
        return Tried(self.rows[at], self.y[at], self.actions[at], self.given[at], self.names)

    def framed(self, rows: FloatArray | None = None) -> Any:
        """X, or other rows of its columns, under the names that X had."""
        rows = self.rows if rows is None else rows
        return rows if self.names is None else pd.DataFrame(rows, columns=self.names)


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted: the parameters of `Rep4ExRegressor`, checked."""

    encoder: Any
    response: str
    calibration: float
    random_state: RandomState

    def fit_encoder(self, tried: Tried, *, like: Any = None) -> Any:
        """A fresh encoder; `like` a fitted one, whose choice of method is kept and whose doubts were told."""
        if isinstance(self.encoder, str):
            return self.encoder
        if self.encoder is None:
            encoder: Any = LinearInvarianceEncoder(random_state=self._encoder_seed())
        else:
            encoder = clone(self.encoder, safe=False)
        for fresh, known in zip(steps_of(encoder), steps_of(like), strict=False):
            if isinstance(known, LinearInvarianceEncoder):
                fresh.set_params(method=known.method_)
        if like is None:
            return _fit_encoder(encoder, tried)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CausalInvWarning)
            return _fit_encoder(encoder, tried)

    def _encoder_seed(self) -> int:
        if isinstance(self.random_state, int | np.integer) and not isinstance(self.random_state, bool):
            return int(self.random_state)
        return int(generator(self.random_state, "encoder seed").integers(2**31 - 1))

    @staticmethod
    def encode(encoder: Any, tried: Tried, rows: FloatArray | None = None) -> FloatArray:
        """Representation of the rows of `tried`, or of others with its columns."""
        rows = tried.rows if rows is None else rows
        if isinstance(encoder, str):
            return rows
        phi = np.asarray(encoder.transform(tried.framed(rows)), dtype=np.float64)
        if phi.ndim != 2 or len(phi) != len(rows):
            raise ValueError(
                f"encoder.transform must return an array of shape ({len(rows)}, d), got shape {phi.shape}."
            )
        check_finite(phi, "encoder.transform(X)")
        return phi

    def respond(
        self, phi: FloatArray, tried: Tried, rng: np.random.Generator, *, like: ControlFunction | None = None
    ) -> ControlFunction:
        """The response of y to a representation of its rows."""
        return fit_control_function(
            phi,
            tried.given,
            tried.y,
            calibration=self.calibration,
            quadratic=self.response == "quadratic",
            rng=rng,
            like=like,
        )


def _fit_encoder(encoder: Any, tried: Tried) -> Any:
    """Fit, with the action if the encoder takes it."""
    framed = tried.framed()
    if hasattr(encoder, "get_metadata_routing"):
        with sklearn.config_context(enable_metadata_routing=True):
            takes = get_routing_for_object(encoder).consumes("fit", ["action"])
            encoder.fit(framed, **({"action": tried.given} if takes else {}))
    elif "action" in inspect.signature(encoder.fit).parameters:
        encoder.fit(framed, action=tried.given)
    else:
        encoder.fit(framed)
    return encoder
