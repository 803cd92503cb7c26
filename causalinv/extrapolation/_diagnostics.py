"""What can be checked of an extrapolation, in one object that prints."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.linalg import qr

from causalinv._parallel import generator
from causalinv._typing import BoolArray, FloatArray
from causalinv.extrapolation._features import Affine, constant_columns, moment_features, whitening
from causalinv.extrapolation._response import action_regression
from causalinv.extrapolation._scores import (
    conditional_score,
    distance_correlation_test,
    linear_invariance_test,
    residual_mixture,
)
from causalinv.extrapolation._support import stretch
from causalinv.results import Summary

if TYPE_CHECKING:
    from causalinv.extrapolation._regressor import Rep4ExRegressor

__all__ = ["ExtrapolationDiagnostics", "Shell", "action_only", "diagnose", "shell", "steps_of"]

_MAX_DEGREE = 5
_SMOOTH_DEGREE = 4
_SHELL = 1.4
_HELD_OUT = 3  # every third row


@dataclass(frozen=True)
class ExtrapolationDiagnostics:
    """What can be checked; none of it can prove that the action was randomised or acts only through the state.

    A check that the data do not allow (too few rows or actions, once some are held out) is NaN.

    Attributes
    ----------
    linearity_pvalue : float
        Is the mean of the representation linear in the action? On a third of the rows, the encoder refitted without
        them. Small: the action moves the state nonlinearly, or the encoder is off.
    residual_pvalue : float
        Are representation residuals and action independent (distance correlation, 400 rows)? Small: the same.
    precision_gap : float or None
        Our encoder: relative distance of two estimates of its ``"ef"`` form that agree for Gaussian V; it grows as rows
        become few.
    noise_evidence : float or None
        Our encoder: evidence that V is not Gaussian; above 1 a doubt.
    n_noise_components : float
        Gaussians (by BIC: 1 or 3) needed for the residuals; above 1 doubt Gaussian V.
    singular_values : tuple of float
        Of the representation's slope: standard deviations of V per standard deviation of the action.
    effective_rank : float
        Exponential of the entropy of their shares: how many directions the action really moves.
    do_consistency : float
        Root mean squared gap between `predict_do` and a smooth of y on the action over the tried actions, in standard
        deviations of the smooth. Large: the action also acts past the state (nonlinearly; a linear direct effect does
        no harm, as the action is linear in state and residual), or the response is off.
    shell_error, shell_action_only : float
        `Rep4ExRegressor.shell_score` at 1.4, and the same for a polynomial of the action alone.
    conditional_score : float
        Held-out score of the encoder, in nats; not above 0 if X does not follow the action.
    """

    linearity_pvalue: float
    residual_pvalue: float
    precision_gap: float | None
    noise_evidence: float | None
    n_noise_components: float
    singular_values: tuple[float, ...]
    effective_rank: float
    do_consistency: float
    shell_error: float
    shell_action_only: float
    conditional_score: float

    def to_frame(self) -> pd.DataFrame:
        """One row per check: its value and whether it is a reason to doubt."""
        doubts = self._doubts()
        names = [field.name for field in fields(self)]
        values = [getattr(self, name) for name in names]
        shown = [" ".join(f"{v:.3g}" for v in value) if isinstance(value, tuple) else value for value in values]
        return pd.DataFrame({"value": shown, "doubt": [name in doubts for name in names]}, index=names)

    def _doubts(self) -> dict[str, str]:
        found = {}
        if self.linearity_pvalue < 0.05:
            found["linearity_pvalue"] = "the mean of the representation is not linear in the action"
        if self.residual_pvalue < 0.05:
            found["residual_pvalue"] = "residuals of the representation depend on the action"
        if self.noise_evidence is not None and self.noise_evidence > 1:
            found["noise_evidence"] = "V does not look Gaussian"
        if self.conditional_score <= 0:
            found["conditional_score"] = "the representation says nothing about the action on held-out rows"
        if self.n_noise_components > 1:
            found["n_noise_components"] = "the residuals do not look Gaussian"
        if self.effective_rank < 0.7 * len(self.singular_values):
            found["effective_rank"] = "the action hardly moves some components"
        if self.do_consistency > 0.3:
            found["do_consistency"] = "the model does not reproduce the mean outcome of tried actions"
        if self.shell_error > 0.5 or self.shell_error > self.shell_action_only:
            found["shell_error"] = "extrapolation inside the data is poor, or no better than a polynomial of the action"
        return found

    def summary(self) -> Summary:
        """The checks on one screen, with what each doubt means."""
        notes = tuple(f"{name}: {text}" for name, text in self._doubts().items())
        return Summary(
            "What can be checked of this extrapolation",
            "each line a check of what predictions rest on",
            "not checkable: the action was randomised and acts only through the state",
            self.to_frame(),
            notes or ("no check gives a reason to doubt; that is no proof",),
        )

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


@dataclass(frozen=True)
class Shell:
    """Errors in the outer shell of the actions: ours, and that of a polynomial of the action alone."""

    error: float
    action_only: float


class _Polynomial:
    """Least squares on orthonormal polynomials of the action, at any action."""

    def __init__(self, action: FloatArray, y: FloatArray, degree: int) -> None:
        centre, half = (action.max(axis=0) + action.min(axis=0)) / 2, np.ptp(action, axis=0) / 2
        self.units = Affine(np.diag(1 / half), -centre / half)
        self.degree = degree
        design = self._design(action)
        self.coef = np.linalg.lstsq(design, y, rcond=None)[0]
        basis = qr(design, mode="economic")[0]
        leverage = np.minimum(np.sum(basis**2, axis=1), 1 - 1e-10)
        self.loo = float(np.mean(((y - design @ self.coef) / (1 - leverage)) ** 2))

    def _design(self, action: FloatArray) -> FloatArray:
        rows = self.units(action)
        columns = [np.ones(len(rows))]
        exponents = [(0,) * rows.shape[1]]
        seen = set(exponents)
        for _ in range(self.degree):
            exponents = [
                tuple(e + (i == j) for i, e in enumerate(power)) for power in exponents for j in range(rows.shape[1])
            ]
            exponents = [p for p in dict.fromkeys(exponents) if p not in seen]
            seen.update(exponents)
            columns += [np.prod(rows ** np.array(power), axis=1) for power in exponents]
        return np.column_stack(columns)

    def __call__(self, action: FloatArray) -> FloatArray:
        value: FloatArray = self._design(action) @ self.coef
        return value


def action_only(action: FloatArray, y: FloatArray) -> _Polynomial:
    """Polynomial of the action of the degree (1 to 5) that leave-one-out prefers."""
    best = _Polynomial(action, y, 1)
    for degree in range(2, _MAX_DEGREE + 1):
        more = _Polynomial(action, y, degree)
        if len(more.coef) * 10 > len(y):
            break
        if more.loo < best.loo:
            best = more
    return best


def smooth(action: FloatArray, y: FloatArray) -> FloatArray:
    """Mean outcome given the action at the rows themselves, by polynomials up to degree 4."""
    basis = moment_features(action, _SMOOTH_DEGREE, max_columns=max(1, len(y) // 10))
    value: FloatArray = y.mean() + basis @ (basis.T @ (y - y.mean())) / len(y)
    return value


def _needed(model: Rep4ExRegressor) -> int:
    """Rows that a fit asks for."""
    return model._rows_per_action * (model._acts.shape[1] + 1)


def _inner_rows(model: Rep4ExRegressor, factor: float) -> tuple[BoolArray, bool]:
    """Rows of the inner actions, and whether they are enough for a fit and leave some to predict."""
    size = stretch(model._tried, model._tried)
    inner: BoolArray = size <= size.max() / factor
    enough = inner.sum() >= _needed(model) and not inner.all() and not constant_columns(model._tried[inner]).any()
    return inner, bool(enough)


def shell(model: Rep4ExRegressor, factor: float) -> Shell:
    """Refit on the inner actions and compare with the smooth on the outer ones."""
    acts, rows, y = model._tried, model._rows, model._y
    inner, enough = _inner_rows(model, factor)
    if not enough:
        raise ValueError(
            f"factor={factor:g} leaves {int(inner.sum())} of {len(y)} rows inside (at least {_needed(model)} are "
            "needed, and some outside, and actions that vary inside); choose a smaller factor."
        )
    target = smooth(acts, y)
    scale = target.std()
    encoder = model._fitted_encoder(rows[inner], model._acts[inner], like=model.encoder_)
    phi = model._encode(encoder, rows[inner])
    rng = generator(model.random_state, "shell")
    control = model._respond(phi, model._acts[inner], y[inner], rng)
    outer = np.flatnonzero(~inner)
    outer = outer[rng.permutation(len(outer))[:500]]

    def error(predicted: FloatArray) -> float:
        return float(np.sqrt(np.mean((predicted - target[outer]) ** 2)) / scale) if scale > 0 else 0.0

    polynomial = action_only(acts[inner], y[inner])
    return Shell(error(control.mean_do(model._acts[outer])), error(polynomial(acts[outer])))


def diagnose(model: Rep4ExRegressor) -> ExtrapolationDiagnostics:
    """Run every check of `ExtrapolationDiagnostics`."""
    acts, rows, y = model._acts, model._rows, model._y
    rng = generator(model.random_state, "diagnostics")
    out = np.arange(len(y)) % _HELD_OUT == _HELD_OUT - 1
    nan = float("nan")
    linearity = independent = components = score = nan
    given = isinstance(model.encoder_, str)
    varied = not constant_columns(acts[out]).all()
    if varied and (given or np.count_nonzero(~out) >= _needed(model)):
        encoder = model.encoder_ if given else model._fitted_encoder(rows[~out], acts[~out], like=model.encoder_)
        phi = model._encode(encoder, rows)
        W, b = action_regression(phi[out], acts[out])
        residual = phi[out] - acts[out] @ W.T - b
        linearity = linear_invariance_test(phi[out], acts[out], random_state=rng).pvalue
        independent = distance_correlation_test(residual, acts[out], rng)[1]
        components = float(residual_mixture(whitening(residual)(residual), rng).n_components)
        score = conditional_score(phi, acts, train=~out, random_state=rng)
    sizes = np.linalg.svd(_signal(model), compute_uv=False)
    shares = sizes / sizes.sum()
    entropy = -np.sum(shares * np.log(np.maximum(shares, 1e-300)))
    target = smooth(model._tried, y)
    some = rng.permutation(len(y))[:300]
    gap = model.control_.mean_do(acts[some]) - target[some]
    outside = shell(model, _SHELL) if _inner_rows(model, _SHELL)[1] else Shell(nan, nan)
    inner = [step for step in steps_of(model.encoder_) if hasattr(step, "noise_evidence_")]
    return ExtrapolationDiagnostics(
        linearity_pvalue=linearity,
        residual_pvalue=independent,
        precision_gap=inner[0].precision_gap_ if inner else None,
        noise_evidence=inner[0].noise_evidence_ if inner else None,
        n_noise_components=components,
        singular_values=tuple(sizes.tolist()),
        effective_rank=float(np.exp(entropy)),
        do_consistency=float(np.sqrt(np.mean(gap**2)) / target.std()) if target.std() > 0 else 0.0,
        shell_error=outside.error,
        shell_action_only=outside.action_only,
        conditional_score=score,
    )


def steps_of(encoder: Any) -> list[Any]:
    """Steps of a Pipeline, or the encoder alone."""
    return [step for _, step in encoder.steps] if hasattr(encoder, "steps") else [encoder]


def _signal(model: Rep4ExRegressor) -> FloatArray:
    """Slope of the representation, in standard deviations of its residual per standard deviation of the action."""
    control = model.control_
    signal: FloatArray = whitening(control.residuals).matrix.T @ control.W * model._acts.std(axis=0)
    return signal
