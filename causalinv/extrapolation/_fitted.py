"""A fit: what it was made from, how to make it again on part of the rows, and what came of it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import clone
from sklearn.utils.metadata_routing import get_routing_for_object

from causalinv._frames import column_names
from causalinv._matrix import constant_columns, matrix_rank, without_small
from causalinv._parallel import generator
from causalinv._printing import counted
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_features, check_finite, check_number, check_outcome
from causalinv._warn import warn
from causalinv.exceptions import CausalInvWarning, DegenerateInputWarning, IdentificationWarning
from causalinv.extrapolation._action import check_action, order_by_value, transform_action
from causalinv.extrapolation._encoder import LinearInvarianceEncoder
from causalinv.extrapolation._features import beyond_rounding
from causalinv.extrapolation._response import REACH, ControlFunction, fit_control_function
from causalinv.extrapolation._steps import steps_of

__all__ = ["Fitted", "Recipe", "Tried", "check_tried", "warn_of_unmoved"]

_RESPONSES = ("auto", "smooth", "quadratic")
_NO_EFFECT = 1e-8  # standard deviations of the representation per one of the action that are rounding


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
    """How a model is fitted: the parameters of `Rep4ExRegressor`, which are checked here."""

    encoder: Any
    response: str
    calibration: float
    random_state: RandomState

    def __post_init__(self) -> None:
        if self.response not in _RESPONSES:
            raise ValueError(f"response must be one of {_RESPONSES}, got {self.response!r}.")
        check_number(self.calibration, "calibration", low=0.0)
        if isinstance(self.encoder, str) and self.encoder != "identity":
            raise ValueError(f"encoder must be None, 'identity' or a transformer, got {self.encoder!r}.")
        if not (self.encoder is None or isinstance(self.encoder, str)) and (
            isinstance(self.encoder, type) or not all(hasattr(self.encoder, name) for name in ("fit", "transform"))
        ):
            raise TypeError(f"encoder must have fit and transform, got {self.encoder!r}.")
        if any(getattr(step, "action_transform", None) is not None for step in steps_of(self.encoder)):
            raise ValueError(
                "action_transform must be set on Rep4ExRegressor and not on its encoder, which is given the "
                "transformed action: set on the encoder alone, predictions would use the raw one."
            )

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
        self,
        phi: FloatArray,
        tried: Tried,
        rng: np.random.Generator,
        *,
        like: ControlFunction | None = None,
        reach: float = REACH,
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
            reach=reach,
        )


@dataclass(frozen=True)
class Fitted:
    """A recipe, the rows, and what came of them: encoder, representation phi (n, d) of the rows, and response."""

    recipe: Recipe
    tried: Tried
    encoder: Any
    phi: FloatArray
    control: ControlFunction

    @classmethod
    def fit(cls, recipe: Recipe, tried: Tried) -> Self:
        """Learn the representation, then the response."""
        encoder = recipe.fit_encoder(tried)
        phi = recipe.encode(encoder, tried)
        if constant_columns(phi).all():
            what = "X" if isinstance(encoder, str) else "The representation"
            raise ValueError(f"{what} does not vary: there is no state to learn from. Check X and the encoder.")
        rng = generator(recipe.random_state, "response")
        return cls(recipe, tried, encoder, phi, recipe.respond(phi, tried, rng))

    def again(self, rng: np.random.Generator) -> ControlFunction:
        """The response of a resample of the rows, its representation learnt again; what was chosen is kept."""
        n = len(self.tried.y)
        drawn = self.tried.take(rng.integers(n, size=n))
        if hasattr(self.encoder, "learn_again"):
            phi: FloatArray = self.encoder.learn_again(drawn.rows, drawn.given, rng)
        else:
            phi = self.recipe.encode(self.recipe.fit_encoder(drawn, like=self.encoder), drawn)
        return self.recipe.respond(phi, drawn, rng, like=self.control)

    def public(self, name: str) -> Any:
        """A fitted attribute of the encoder, or of the first step of a Pipeline that has it; None where none has."""
        return next((getattr(step, name) for step in steps_of(self.encoder) if hasattr(step, name)), None)


def check_tried(
    owner: Any, X: Rows, y: Rows, action: Rows, transform: Callable[[FloatArray], FloatArray] | None
) -> tuple[Tried, tuple[Hashable, ...] | None]:
    """Validated rows of a fit, and names of the action's columns."""
    check_alignment(X=X, y=y, action=action)
    rows = check_features(owner, X, reset=True, min_samples=4)
    outcome = check_outcome(y, len(rows))
    acts = check_action(action, len(rows), type(owner).__name__)
    if np.ptp(outcome) == 0:
        warn("y is constant, so every prediction is that constant.", DegenerateInputWarning)
    # Copies: support, bands and checks come back to them, when the caller's arrays may have changed.
    order, names = order_by_value(acts, outcome, rows), getattr(owner, "feature_names_in_", None)
    acts = acts[order]
    tried = Tried(rows[order], outcome[order], acts, transform_action(transform, acts), names)
    return tried, column_names(action)


def warn_of_unmoved(fitted: Fitted) -> None:
    """Say where the representation has more directions than the action moves, or moves by the action alone."""
    control, phi, given = fitted.control, fitted.phi, fitted.tried.given
    state = control.whiten(phi)  # of covariance I, or 0 where phi is dependent
    if not beyond_rounding(state - given @ control.W.T - control.b, state).any():
        warn(
            "The state is an exact linear function of the action, so it has no variation V of its own: X says nothing "
            "that the action does not, and untried actions lead to states that were never seen.",
            DegenerateInputWarning,
        )
    rank = matrix_rank(without_small(control.W * fitted.tried.given.std(axis=0), _NO_EFFECT))
    if rank < matrix_rank(state.T @ state / len(state), tol=0.5):
        warn(
            f"The action moves {counted(rank, 'direction')} of a representation of {phi.shape[1]}: how the outcome "
            "responds to the others is not identified, nor are predictions that need it. Use fewer components.",
            IdentificationWarning,
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
