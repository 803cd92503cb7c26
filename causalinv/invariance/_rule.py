"""The linear rule that a certificate speaks of, taken from whatever was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray

__all__ = ["Rule", "rule_of"]


@dataclass(frozen=True)
class Rule:
    """One linear rule: representation, coefficients on it, intercept.

    Attributes
    ----------
    components : ndarray of shape (k, d)
    coef : ndarray of shape (k,)
    intercept : float
    """

    components: FloatArray
    coef: FloatArray
    intercept: float

    @property
    def full(self) -> FloatArray:
        """Coefficients on all features, shape (d,)."""
        return self.coef @ self.components

    @property
    def size(self) -> int:
        """Coefficients, the intercept included."""
        return len(self.coef) + 1


def rule_of(fitted: Any) -> Rule:
    """The linear rule of a fitted estimator, of a Pipeline, or of a tuple (components, coef, intercept).

    Of a Pipeline it is the composite rule on the features that go in: the coefficients after the last refit, not those
    of a selector inside. Its representation is the features with a coefficient.

    Raises
    ------
    TypeError
        If the prediction is not linear in the features.
    """
    if isinstance(fitted, tuple):
        components, coef, intercept = fitted
        components = np.atleast_2d(np.asarray(components, dtype=np.float64))
        coef = np.atleast_1d(np.asarray(coef, dtype=np.float64))
        if coef.shape != (len(components),):
            raise ValueError(f"The rule has {len(components)} components and coefficients of shape {coef.shape}.")
        return Rule(components, coef, float(intercept))
    if hasattr(fitted, "predict"):
        coef, intercept = _probed(fitted)
    elif hasattr(fitted, "coef_"):
        coef, intercept = np.ravel(fitted.coef_), float(np.ravel(fitted.intercept_)[0])
    else:
        raise TypeError(
            "certify needs a fitted linear rule: an estimator that predicts, a Pipeline, or (components, coef, "
            f"intercept); got {type(fitted).__name__}."
        )
    components = getattr(fitted, "components_", None)
    if components is not None and np.shape(components)[-1] == len(coef):
        if len(components) == 1:
            return Rule(coef[None], np.ones(1), intercept)
        return Rule(np.asarray(components), np.linalg.lstsq(components.T, coef, rcond=None)[0], intercept)
    inside = np.asarray(getattr(fitted, "support_", coef != 0), dtype=bool) | (coef != 0)
    return Rule(np.eye(len(coef))[inside], coef[inside], intercept)


def _probed(fitted: Any) -> tuple[FloatArray, float]:
    """Coefficients and intercept of a prediction, by predicting; an unused feature has exactly no effect."""
    d = int(fitted.n_features_in_)
    names = getattr(fitted, "feature_names_in_", None)

    def predict(rows: FloatArray) -> FloatArray:
        return np.ravel(fitted.predict(pd.DataFrame(rows, columns=names) if names is not None else rows))

    start = predict(np.zeros((1, d)))
    try:
        intercept, coef = float(start[0]), predict(np.eye(d)) - start[0]
    except (TypeError, ValueError) as error:
        raise TypeError(f"{type(fitted).__name__} does not predict numbers, so it is no linear rule.") from error
    # Steps whose effects compare, but not so long that the rounding of a coefficient shows.
    least = max(1e-8 * max(np.abs(coef).max(initial=0.0), abs(intercept)), 1e-300)
    scale = np.where(coef != 0, 1.0 / np.maximum(np.abs(coef), least), 1.0)
    check = np.vstack([-2.0 * np.eye(d), np.linspace(-1, 2, d), np.cos(np.arange(d))]) * scale
    if not np.allclose(predict(check), check @ coef + intercept, rtol=1e-7, atol=1e-7 * (1 + abs(intercept))):
        raise TypeError(f"The prediction of this {type(fitted).__name__} is not linear in its features.")
    own, constant = np.ravel(getattr(fitted, "coef_", [])), np.ravel(getattr(fitted, "intercept_", []))
    told = np.r_[own, constant[:1]]
    if len(told) == d + 1 and np.allclose(told, np.r_[coef, intercept], rtol=1e-6, atol=1e-9):
        return own, float(constant[0])  # the same, without the probe's rounding
    return coef, intercept
