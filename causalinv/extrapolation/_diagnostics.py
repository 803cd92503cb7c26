"""What can be checked of an extrapolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalinv._matrix import constant_columns, entropy_rank, singular_values
from causalinv._parallel import generator
from causalinv._typing import BoolArray, FloatArray
from causalinv.extrapolation._action import ROWS_PER_ACTION
from causalinv.extrapolation._action_only import action_only, smooth
from causalinv.extrapolation._features import action_regression, beyond_rounding, whitening
from causalinv.extrapolation._fitted import Fitted, Tried
from causalinv.extrapolation._kept import kept
from causalinv.extrapolation._mixture import residual_mixture
from causalinv.extrapolation._scores import (
    conditional_score,
    distance_correlation_test,
    linear_invariance_test,
    score_rows,
)
from causalinv.extrapolation._support import stretch
from causalinv.results import ExtrapolationDiagnostics

__all__ = ["Shell", "diagnose", "shell"]

_SHELL = 1.4
_HELD_OUT = 3  # every third row


@dataclass(frozen=True)
class Shell:
    """Errors in the outer shell of the actions: ours, and that of a polynomial of the action alone."""

    error: float
    action_only: float


def _needed(tried: Tried) -> int:
    """Rows that a fit asks for."""
    return ROWS_PER_ACTION * (tried.given.shape[1] + 1)


def _inner_rows(tried: Tried, factor: float) -> tuple[BoolArray, bool]:
    """Rows of the inner actions, and whether they are enough for a fit and leave some to predict."""
    size = stretch(tried.actions, tried.actions)
    inner: BoolArray = size <= size.max() / factor
    enough = inner.sum() >= _needed(tried) and not inner.all() and not constant_columns(tried.actions[inner]).any()
    return inner, bool(enough)


def shell(fitted: Fitted, factor: float) -> Shell:
    """Refit on the inner actions and compare with the smooth on the outer ones."""
    recipe, tried = fitted.recipe, fitted.tried
    inner, enough = _inner_rows(tried, factor)
    if not enough:
        raise ValueError(
            f"factor={factor:g} leaves {int(inner.sum())} of {len(inner)} rows inside (at least {_needed(tried)} are "
            "needed, and some outside, and actions that vary inside); choose a smaller factor."
        )
    target = smooth(tried.actions, tried.y)
    scale = target.std()
    kept = tried.take(inner)
    refitted = recipe.fit_encoder(kept, like=fitted.encoder)
    rng = generator(recipe.random_state, "shell")
    control = recipe.respond(recipe.encode(refitted, kept), kept, rng)
    outer = np.flatnonzero(~inner)
    outer = outer[rng.permutation(len(outer))[:500]]

    def error(predicted: FloatArray) -> float:
        return float(np.sqrt(np.mean((predicted - target[outer]) ** 2)) / scale) if scale > 0 else 0.0

    polynomial = action_only(kept.actions, kept.y)
    return Shell(error(control.mean_do(tried.given[outer])), error(polynomial(tried.actions[outer])))


def diagnose(fitted: Fitted, checks: pd.DataFrame) -> ExtrapolationDiagnostics:
    """Run every check of `ExtrapolationDiagnostics`, beside those that the fit has made."""
    recipe, tried, control = fitted.recipe, fitted.tried, fitted.control
    acts, y = tried.given, tried.y
    rng = generator(recipe.random_state, "diagnostics")
    out = np.arange(len(y)) % _HELD_OUT == _HELD_OUT - 1
    nan = float("nan")
    linearity = independent = components = score = nan
    identity = isinstance(fitted.encoder, str)
    varied = not constant_columns(acts[out]).all()
    if varied and (identity or np.count_nonzero(~out) >= _needed(tried)):
        phi = recipe.encode(recipe.fit_encoder(tried.take(~out), like=fitted.encoder), tried)
        W, b = action_regression(phi[out], acts[out])
        residual = beyond_rounding(phi[out] - acts[out] @ W.T - b, phi[out])
        linearity = linear_invariance_test(phi[out], acts[out], random_state=rng).pvalue
        independent = distance_correlation_test(residual, acts[out], rng)[1]
        if residual.any():
            components = float(residual_mixture(whitening(residual)(residual), rng).n_components)
        if np.count_nonzero(~out) >= score_rows(phi, acts):
            score = conditional_score(phi, acts, train=~out, random_state=rng)
    # Slope of the representation, in standard deviations of its residual per standard deviation of the action.
    signal = whitening(control.residuals).matrix.T @ control.W * acts.std(axis=0)
    sizes = singular_values(signal)[1]
    target = smooth(tried.actions, y)
    some = rng.permutation(len(y))[:300]
    gap = control.mean_do(acts[some]) - target[some]
    outside = shell(fitted, _SHELL) if _inner_rows(tried, _SHELL)[1] else Shell(nan, nan)
    dimension, moved = kept(fitted.phi, acts, generator(recipe.random_state, "what is kept"))
    return ExtrapolationDiagnostics(
        linearity_pvalue=linearity,
        residual_pvalue=independent,
        precision_gap=fitted.public("precision_gap_"),
        noise_evidence=fitted.public("noise_evidence_"),
        n_noise_components=components,
        singular_values=tuple(sizes.tolist()),
        effective_rank=entropy_rank(sizes),
        effective_dimension=dimension,
        moved_by_action=moved,
        do_consistency=float(np.sqrt(np.mean(gap**2)) / target.std()) if target.std() > 0 else 0.0,
        shell_error=outside.error,
        shell_action_only=outside.action_only,
        conditional_score=score,
        checks_=checks.copy(),
    )
