"""A fit to genuine instruments as a structural equation: its rows as an `Equation`, and what is read from that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from causalinv._typing import FloatArray
from causalinv._validation import check_confidence_level
from causalinv.ivlike._controls import Controlled
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import Influence
from causalinv.ivlike._instruments import headline
from causalinv.ivlike._integrations import Instruments
from causalinv.ivlike._kclass import Covariance, kclass_covariance, kclass_influence
from causalinv.ivlike._kclass_rules import KClass
from causalinv.ivlike._knowledge import GenuineInstruments
from causalinv.ivlike._small_samples import Errors

__all__ = [
    "equation_of",
    "head_of",
    "is_structural",
    "kclass_rows",
    "method_name",
    "structural_errors",
    "textbook_controls",
]


def equation_of(fit: Fit, *, outcome: int | None = None, as_given: bool = False) -> Equation:
    """The equation of one outcome, controls partialled out, or `as_given` with the controls among the features.

    Raises
    ------
    ValueError
        If the fit is not one to genuine instruments, its rows are not at hand, or it has several outcomes and none is
        named.
    """
    if not isinstance(fit.design.knowledge, GenuineInstruments):
        raise ValueError(
            "This needs genuine instruments (instruments= in fit): an augmentation is independent of the outcome by "
            "design, so it cannot be tested like one."
        )
    if outcome is None:
        if fit.coef.shape[1] > 1:
            raise ValueError(f"This takes one outcome, and the fit has {fit.coef.shape[1]}; fit them one by one.")
        outcome = 0
    design, _ = fit.read_again()
    assert isinstance(design, Instruments)
    given: dict[str, Any] = {"weight": design.weight, "clusters": design.groups}
    if not isinstance(design, Controlled):
        return Equation.from_rows(design.y[:, outcome], design.expand(design.X), design.instruments, **given)
    if as_given:
        y, x = design.as_given()
        z = np.column_stack([design.instruments, design.controls])
        return Equation.from_rows(y[:, outcome], np.column_stack([x, design.controls]), z, **given)
    return Equation.from_rows(design.y[:, outcome], design.X, design.instruments, controls=design.controls, **given)


def is_structural(fit: Fit, at: float | None) -> bool:
    """Whether a fit is two-stage least squares, LIML or Fuller, to identifying instruments and without ridge."""
    alpha, _ = fit.coef_at(at)
    limit = alpha == 0 or (at is None and fit.rule.to_zero)
    genuine = isinstance(fit.design.knowledge, GenuineInstruments)
    return bool(genuine and limit and fit.path.moved.all() and fit.ridge == 0)


def structural_errors(fit: Fit, at: float | None, cov_type: Covariance, combine: FloatArray) -> Errors:
    """Textbook covariances (p, m, m) of combinations (m, d) of coefficients, and degrees of freedom."""
    alpha, coef = fit.coef_at(at)
    covs, df = [], 0
    for outcome, column in enumerate(coef.T):
        equation = equation_of(fit, outcome=outcome)
        cov = kclass_covariance(equation, 1.0 / (1.0 + alpha), column, cov_type=cov_type)
        covs.append(combine @ cov @ combine.T)
        df = _df(equation)
    kind = "CR1" if cov_type == "HC1" and fit.rows().groups is not None else cov_type
    return Errors(np.stack(covs), np.full((len(covs), len(combine)), float(df)), kind)


def kclass_rows(fit: Fit) -> Influence:
    """Influence of every row on LIML's or Fuller's coefficients, the error of κ included."""
    equation = equation_of(fit)
    rows = kclass_influence(equation, 1.0 / (1.0 + fit.alpha), fit.coef[:, 0], estimated=True)
    return Influence(rows[:, :, None], equation.clusters, equation.n - equation.df)


def textbook_controls(fit: Fit, *, cov_type: Covariance, confidence_level: float) -> pd.DataFrame:
    """Coefficients of the controls with standard errors and intervals."""
    level = check_confidence_level(confidence_level)
    slopes = fit.slopes
    if slopes is None:
        raise ValueError("The model was fitted without controls.")
    equation = equation_of(fit, as_given=True)
    coef = np.concatenate([fit.coef[:, 0], slopes.coef(fit.coef)[:, 0]])
    cov = kclass_covariance(
        equation, 1.0 / (1.0 + fit.alpha), coef, cov_type=cov_type, estimated=isinstance(fit.rule, KClass)
    )
    d = len(fit.coef)
    error = np.sqrt(np.maximum(np.diagonal(cov)[d:], 0.0))
    width = student.ppf(0.5 + level / 2, _df(equation)) * error
    names = slopes.names or tuple(f"c{i}" for i in range(len(coef) - d))
    return pd.DataFrame(
        {
            "coef": coef[d:],
            "s.e.": error,
            "lower": coef[d:] - width,
            "upper": coef[d:] + width,
            "p": 2 * student.sf(np.abs(coef[d:]) / np.where(error > 0, error, np.nan), _df(equation)),
        },
        index=pd.Index(names, name="control"),
    )


def method_name(fit: Fit) -> str:
    """What the fit is called in textbooks."""
    if isinstance(fit.rule, KClass):
        return "LIML" if fit.rule.a == 0 else f"Fuller's estimator (a={fit.rule.a:g})"
    return "Two-stage least squares" if is_structural(fit, None) else "IV-like regression"


def head_of(fit: Fit) -> tuple[str, ...]:
    """First lines of the summary of a fit to genuine instruments: first stage, J, Wu-Hausman, Anderson-Rubin sets."""
    if not isinstance(fit.design, Instruments) or fit.coef.shape[1] > 1 or not is_structural(fit, None):
        return ()
    equation = equation_of(fit)
    return () if equation.df_first < 1 or equation.df < 2 else headline(equation, fit.names)


def _df(equation: Equation) -> int:
    """Degrees of freedom of Student's t."""
    return equation.df if equation.clusters is None else equation.n_clusters - 1
