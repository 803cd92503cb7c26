"""The linear rule that a certificate speaks of, taken from whatever was fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_finite
from causalinv.invariance.rules._gaps import Metric, gap_rounding, invariance_gaps, represent
from causalinv.linear_rule import LinearRule
from causalinv.moments import Moments

__all__ = ["predictions", "rule_gaps", "rule_of", "rule_rounding"]

_ROUNDED = 1e-6  # of what a step of one standard deviation changes: the rounding of a prediction on rows


def predictions(model: Any, X: Rows, n: int) -> FloatArray:
    """What any regressor says of n rows, shape (n,); raise unless it is one finite number each."""
    said = np.asarray(model.predict(X))
    if said.size != n or said.dtype.kind not in "bifuO":
        raise ValueError(
            f"{type(model).__name__} must predict one number per row: {n}, got shape {said.shape} of {said.dtype}."
        )
    try:
        numbers = said.astype(np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise ValueError(f"{type(model).__name__} must predict numbers, got {said.reshape(-1)[0]!r}.") from None
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise ValueError(
            f"{type(model).__name__} must predict one finite number per row, got {numbers[bad[0]]} for row {bad[0]} "
            f"({len(bad)} of {n} are not finite)."
        )
    return numbers


def rule_gaps(rule: LinearRule, moments: Moments, metric: Metric) -> FloatArray:
    """Gap of a rule in each environment, among rules on the same representation, shape (E,)."""
    return invariance_gaps(moments, rule.representation, rule.weights, rule.intercept, metric=metric)


def rule_rounding(rule: LinearRule, moments: Moments, metric: Metric) -> float:
    """What rounding shows as a gap of this rule if it is exactly invariant, in units of the metric."""
    return gap_rounding(represent(moments, rule.representation), metric)


def rule_of(fitted: Any, near: Moments | None = None, rows: FloatArray | None = None) -> LinearRule:
    """The linear rule of a fitted estimator, of a Pipeline, or of a tuple (components, coef, intercept); or itself.

    Of a Pipeline it is the composite rule on the features that go in: the coefficients after the last refit, not those
    of a selector inside. Its representation is the features with a coefficient. A prediction is probed about the centre
    of `near` (the origin by default), and compared with what it says of `rows` (n, d).

    Raises
    ------
    TypeError
        If the prediction is not linear in the features.
    ValueError
        If a coefficient or the intercept is not finite: such a rule predicts nothing.
    NotFittedError
        If the estimator is not fitted.
    """
    if isinstance(fitted, LinearRule):
        return fitted
    if isinstance(fitted, tuple):
        components, coef, intercept = fitted
        components = np.atleast_2d(np.asarray(components, dtype=np.float64))
        coef = np.atleast_1d(np.asarray(coef, dtype=np.float64))
        if coef.shape != (len(components),):
            raise ValueError(f"The rule has {len(components)} components and coefficients of shape {coef.shape}.")
        check_finite(components, "components of the rule")
        check_finite(coef, "coef of the rule")
        return LinearRule(coef @ components, float(intercept), components)
    if hasattr(fitted, "fit"):
        check_is_fitted(fitted)
    if isinstance(getattr(fitted, "rule_", None), LinearRule):  # this package's own know their rule
        coef, intercept = np.array(fitted.rule_.coef), fitted.rule_.intercept
    elif hasattr(fitted, "predict"):
        coef, intercept = _probed(fitted, near, rows)
    elif hasattr(fitted, "coef_"):
        coef, intercept = np.ravel(fitted.coef_), float(np.ravel(fitted.intercept_)[0])
    else:
        raise TypeError(
            "certify needs a fitted linear rule: an estimator that predicts, a Pipeline, or (components, coef, "
            f"intercept); got {type(fitted).__name__}."
        )
    components = getattr(fitted, "components_", None)
    if components is not None and np.shape(components)[-1] == len(coef):
        return LinearRule(coef, intercept, coef[None] if len(components) == 1 else components)
    inside = np.asarray(getattr(fitted, "support_", coef != 0), dtype=bool) | (coef != 0)
    return LinearRule(coef, intercept, np.eye(len(coef))[inside])


def _probed(fitted: Any, near: Moments | None, rows: FloatArray | None) -> tuple[FloatArray, float]:
    """Coefficients and intercept of a prediction, by predicting; an unused feature has exactly no effect.

    The steps start from the centre of the data and are one standard deviation long: from the origin, a feature far from
    it (a time in seconds since 1970) would leave nothing but the rounding of its own effect.
    """
    d = getattr(fitted, "n_features_in_", None if near is None else near.blocks["x"])
    if d is None:
        raise TypeError(f"{type(fitted).__name__} does not say how many features it reads (n_features_in_).")
    d = int(d)
    names = getattr(fitted, "feature_names_in_", None)
    centre, unit = np.zeros(d), np.ones(d)
    if near is not None and near.blocks["x"] == d:
        pooled = near.pooled
        centre, unit = pooled.mean("x")[0], np.sqrt(np.diag(pooled.cov("x")[0]))
        unit = np.where(unit > 0, unit, np.maximum(np.abs(centre), 1.0))

    def predict(rows: FloatArray) -> FloatArray:
        return np.ravel(fitted.predict(pd.DataFrame(rows, columns=names) if names is not None else rows))

    try:
        start = float(predict(centre[None])[0])
        effect = predict(centre + np.diag(unit)) - start
    except (TypeError, ValueError) as error:
        raise TypeError(f"{type(fitted).__name__} does not predict numbers, so it is no linear rule.") from error
    if not (np.isfinite(start) and np.isfinite(effect).all()):
        raise ValueError(f"This {type(fitted).__name__} predicts NaN or infinity; such a rule predicts nothing.")
    # The same zero effect may be summed in another order in another row.
    effect[np.abs(effect) <= 1e-13 * abs(start)] = 0.0
    # Steps whose effects compare, whatever the unit of y, but not so long that the rounding of a coefficient shows.
    top = float(np.abs(effect).max(initial=0.0))
    least = max(1e-8 * max(top, abs(start)), 1e-300)
    scale = np.where(effect != 0, np.maximum(top / np.maximum(np.abs(effect), least), 1.0), 1.0)
    steps = np.vstack([-2.0 * np.eye(d), np.linspace(-1, 2, d), np.cos(np.arange(d))]) * scale
    check = centre + steps * unit
    said = predict(check)
    linear = np.allclose(said, steps @ effect + start, rtol=1e-7, atol=1e-7 * (top + abs(start)))
    if linear and rows is not None and rows.shape[1] == d:  # bends further out than the steps
        expected = (rows - centre) / unit @ effect + start
        linear = np.allclose(predict(rows), expected, rtol=_ROUNDED, atol=_ROUNDED * (top + abs(start)))
    if not linear:
        raise TypeError(f"The prediction of this {type(fitted).__name__} is not linear in its features.")
    own, constant = np.ravel(getattr(fitted, "coef_", [])), np.ravel(getattr(fitted, "intercept_", []))
    told = len(own) == d and len(constant) >= 1 and np.allclose(own * unit, effect, rtol=1e-6, atol=1e-9)
    if told and np.allclose(check @ own + constant[0], said, rtol=1e-6, atol=1e-9):
        return own, float(constant[0])  # the same, without the probe's rounding
    coef = effect / unit
    return coef, start - float(coef @ centre)
