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
    if hasattr(fitted, "steps") or not hasattr(fitted, "coef_"):
        return _composite(fitted)
    coef, intercept = np.ravel(fitted.coef_), float(np.ravel(fitted.intercept_)[0])
    if hasattr(fitted, "components_") and len(fitted.components_) > 1:
        components = np.asarray(fitted.components_)
        return Rule(components, np.linalg.lstsq(components.T, coef, rcond=None)[0], intercept)
    if hasattr(fitted, "components_"):
        return Rule(coef[None], np.ones(1), intercept)
    inside = np.asarray(getattr(fitted, "support_", coef != 0), dtype=bool) | (coef != 0)
    return Rule(np.eye(len(coef))[inside], coef[inside], intercept)


def _composite(fitted: Any) -> Rule:
    if not hasattr(fitted, "predict") or not hasattr(fitted, "n_features_in_"):
        raise TypeError(
            "certify needs a fitted linear rule: an estimator with coef_, a Pipeline, or (components, coef, "
            f"intercept); got {type(fitted).__name__}."
        )
    d = int(fitted.n_features_in_)
    probe = np.vstack([np.zeros(d), np.eye(d), -2.0 * np.eye(d), np.linspace(-1, 2, d)[None]])
    names = getattr(fitted, "feature_names_in_", None)
    values = np.ravel(fitted.predict(pd.DataFrame(probe, columns=names) if names is not None else probe))
    intercept, coef = float(values[0]), values[1 : d + 1] - values[0]
    if not np.allclose(values, probe @ coef + intercept, rtol=1e-8, atol=1e-8 * (1 + np.abs(values).max())):
        raise TypeError(f"The prediction of this {type(fitted).__name__} is not linear in its features.")
    coef = np.where(np.abs(coef) > 1e-12 * np.abs(coef).max(initial=0.0), coef, 0.0)
    inside = coef != 0
    return Rule(np.eye(d)[inside], coef[inside], intercept)
