"""Answers of a model about its population: nothing is estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from causalinv._printing import Printed, Summary
from causalinv._typing import FloatArray

__all__ = ["ConditionalLaw", "PopulationRegression"]


@dataclass(frozen=True, eq=False, repr=False)
class PopulationRegression(Printed):
    """Best linear prediction of a node from others in a whole population: no sample, no standard error.

    Attributes
    ----------
    target : str
        The node that is predicted.
    names : tuple of str
        The nodes that it is predicted from.
    coef : ndarray of shape (k,)
        Coefficients, in units of the target per unit of each node.
    intercept : float
    residual_variance : float
        Mean squared error of the prediction.
    variance : float
        Variance of the target.
    exact : bool
        Whether the residual is independent of the regressors, so that this line is the conditional mean.
    """

    target: str
    names: tuple[str, ...]
    coef: FloatArray
    intercept: float
    residual_variance: float
    variance: float
    exact: bool

    @property
    def r2(self) -> float:
        """Share of the target's variance that is explained; NaN if the target is constant."""
        return 1.0 - self.residual_variance / self.variance if self.variance > 0 else float("nan")

    def to_frame(self) -> pd.DataFrame:
        """Coefficients, the intercept last."""
        index = pd.Index([*self.names, "intercept"], name="node")
        return pd.DataFrame({"coef": np.append(self.coef, self.intercept)}, index=index)

    def summary(self) -> Summary:
        """The coefficients with what they mean, as text and HTML."""
        return Summary(
            f"Population regression of {self.target}",
            f"change of {self.target} per unit of each node, in its linear prediction of least mean squared "
            "error, which "
            f"is {self.residual_variance:.4g} of a variance of {self.variance:.4g}",
            "the model is the truth; nothing is estimated",
            self.to_frame(),
            (_linearity(self.exact), "A coefficient is an effect only if nothing confounds it."),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ConditionalLaw(Printed):
    """Mean and covariance of nodes given values of others, in a whole population.

    Attributes
    ----------
    names : tuple of str
        The nodes asked about.
    mean : ndarray of shape (k,)
    cov : ndarray of shape (k, k)
    given : tuple of (str, float)
        What was seen.
    exact : bool
        Whether these are the conditional mean and covariance; if not, the best linear prediction and the covariance of
        its error, averaged over all values of what was seen.
    """

    names: tuple[str, ...]
    mean: FloatArray
    cov: FloatArray
    given: tuple[tuple[str, float], ...]
    exact: bool

    def to_frame(self) -> pd.DataFrame:
        """Mean and standard deviation of each node."""
        index = pd.Index(self.names, name="node")
        return pd.DataFrame({"mean": self.mean, "sd": np.sqrt(np.diag(self.cov))}, index=index)

    def summary(self) -> Summary:
        """Means and standard deviations with what they mean, as text and HTML."""
        seen = ", ".join(f"{name} = {value:.4g}" for name, value in self.given) or "nothing"
        return Summary(
            f"Law given {seen}",
            "mean and standard deviation of each node where these values are seen (seen, not set)",
            "the model is the truth; nothing is estimated",
            self.to_frame(),
            (_linearity(self.exact),),
        )


def _linearity(exact: bool) -> str:
    if exact:
        return "Exact: the conditional mean is linear here, and its error does not depend on the values seen."
    return "Best linear approximation: the noise is not Gaussian, so the conditional mean may bend and the spread vary."
