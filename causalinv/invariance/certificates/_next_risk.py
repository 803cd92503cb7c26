"""A bound on the risk that a rule will have on the rows of the next environment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from causalinv._labels import encode
from causalinv._printing import Printed, Summary, counted, cut, percent
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_alignment, check_confidence_level, check_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance.certificates._same import refuse_training
from causalinv.invariance.rules._rule import predictions
from causalinv.moments import Moments

__all__ = ["NextRisk", "next_environment_risk"]

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class NextRisk(Printed):
    """Bound on the mean squared error over the rows that the next environment will send.

    Attributes
    ----------
    upper : float
        In squared units of y; infinite if so few environments allow no such level.
    confidence_level : float
        Over the draw of all environments, the next one among them.
    highest_level : float
        The largest level with a finite bound: 1 - 1 / (K + 1) for K environments.
    risks : DataFrame
        Mean squared error and rows of each environment that calibrates.
    """

    upper: float
    confidence_level: float
    highest_level: float
    risks: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """The bound as one row."""
        names = ("upper", "confidence_level", "highest_level")
        return pd.DataFrame({name: [getattr(self, name)] for name in names} | {"environments": [len(self.risks)]})

    def summary(self) -> Summary:
        """The bound, the risks that it comes from, and what it does not say."""
        k = len(self.risks)
        return Summary(
            title=f"Mean squared error on the rows of the next environment: at most {self.upper:.4g} "
            f"({_level(self.confidence_level)} confidence, squared units of y)",
            estimand="the mean squared error of this rule over the rows that the next environment sends",
            assumption="the next environment, its number of rows included, is drawn from the law of these",
            table=self.risks,
            notes=(
                f"Finite bounds up to level {_level(self.highest_level)}, from {counted(k, 'environment')}.",
                "The bound is about the rows of one environment, drawn as these were, not about its population, "
                "and not about "
                "every environment.",
            ),
        )


def _level(level: float) -> str:
    """In percent, cut where it is a long fraction."""
    return percent(math.floor(1e4 * level + 1e-6) / 1e4)


def next_environment_risk(
    fitted: Any, X: Rows, y: Rows, *, environments: Rows, confidence_level: float | None = None
) -> NextRisk:
    """Bound the mean squared error of a fitted regressor on the rows of the next environment.

    The risks of the K environments given and of the next one are exchangeable, so the next is at most the j-th smallest
    of the K with probability at least j / (K + 1).

    Parameters
    ----------
    fitted : estimator with ``predict``
        Linear or not; none of these environments had a part in its fit.
    X : array-like of shape (n, d)
    y : array-like of shape (n,)
    environments : array-like of shape (n,)
        Label of each row's environment.
    confidence_level : float, optional
        Left out, the largest that allows a finite bound, 1 - 1 / (K + 1).

    Returns
    -------
    NextRisk

    Raises
    ------
    ValueError
        If rows trained the estimator (of this package), it does not predict one finite number per row, lengths
        disagree, or an input is malformed.

    Warns
    -----
    DegenerateInputWarning
        If the bound is infinite, as there are too few environments for this level.

    Notes
    -----
    Exact, with no law of the rows, if environments are drawn with their sizes independently from one law. What it
    bounds is an average over the rows that will be sent; for the population's gap see ``certify(method="bounded")``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> rng = np.random.default_rng(0)
    >>> X, e = rng.normal(size=(700, 2)), np.repeat(np.arange(7), 100)
    >>> y = X[:, 0] + rng.normal(size=700)
    >>> model = LinearRegression().fit(X[:100], y[:100])
    >>> found = next_environment_risk(model, X[100:], y[100:], environments=e[100:])
    >>> round(found.confidence_level, 3), bool(found.upper == found.risks["risk"].max())
    (0.857, True)
    """
    check_is_fitted(fitted)
    check_alignment(X=X, y=y, environments=environments)
    rows, outcome = check_rows(X, "X"), np.ravel(check_rows(y, "y"))
    labels = encode(environments, "environments", len(rows))
    refuse_training(fitted, Moments.from_rows(x=rows, y=outcome, environments=labels), X, y, environments)
    residual: FloatArray = outcome - predictions(fitted, X, len(rows))
    counts = labels.counts
    risk = np.bincount(labels.codes, weights=residual**2, minlength=len(labels)) / counts
    k = len(labels)
    highest = k / (k + 1.0)
    level = highest if confidence_level is None else check_confidence_level(confidence_level)
    rank = int(np.ceil(level * (k + 1) - _ROUNDING))
    upper = float(np.sort(risk)[rank - 1]) if rank <= k else float("inf")
    if rank > k:
        warn(
            f"The bound is finite up to confidence_level={cut(highest)}, from {counted(k, 'environment')}; at "
            f"{level:g} it is infinite. More environments are needed, not more rows.",
            DegenerateInputWarning,
        )
    table = pd.DataFrame({"rows": counts, "risk": risk}, index=pd.Index(labels.names, name="environment"))
    return NextRisk(upper, float(level), highest, table)
