"""A fit to genuine instruments as a structural equation: its rows as an `Equation`, and what is read from that."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalinv._matrix import whitener
from causalinv._typing import FloatArray
from causalinv.ivlike._controls import Controlled
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import Influence
from causalinv.ivlike._instruments import headline
from causalinv.ivlike._integrations import Instruments
from causalinv.ivlike._kclass import kclass_covariance, kclass_influence, textbook_influence
from causalinv.ivlike._kclass_rules import KClass
from causalinv.ivlike._knowledge import GenuineInstruments
from causalinv.ivlike._small_samples import Errors

__all__ = [
    "classical_errors",
    "equation_of",
    "head_of",
    "is_structural",
    "kclass_rows",
    "method_name",
    "textbook_rows",
]


def equation_of(fit: Fit, *, outcome: int | None = None) -> Equation:
    """The equation of one outcome, controls partialled out.

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
    return Equation.from_rows(design.y[:, outcome], design.X, design.instruments, controls=design.controls, **given)


def is_structural(fit: Fit, at: float | None) -> bool:
    """Whether a fit is two-stage least squares, LIML or Fuller, to identifying instruments and without ridge."""
    alpha, _ = fit.coef_at(at)
    limit = alpha == 0 or (at is None and fit.rule.to_zero)
    genuine = isinstance(fit.design.knowledge, GenuineInstruments)
    return bool(genuine and limit and fit.path.moved.all() and fit.ridge == 0)


def classical_errors(fit: Fit, at: float | None, combine: FloatArray) -> Errors:
    """Covariances (p, m, m) of combinations, as in `errors_of`, if errors are independent and of equal variance."""
    alpha, coef = fit.coef_at(at)
    design = fit.rows()
    of_constants, of_features = design.contrasts(combine)
    known = np.sqrt(design.share * len(design.y))[:, None] * design.constants
    own = of_constants @ whitener(known.T @ known)  # uncorrelated with what is partialled out
    covs, df = [], 0
    for outcome, column in enumerate(coef.T):
        equation = equation_of(fit, outcome=outcome)
        e = equation.y - equation.x @ column
        cov = kclass_covariance(equation, 1.0 / (1.0 + alpha), column, cov_type="classical")
        covs.append(of_features @ cov @ of_features.T + float(e @ e) / equation.df * own @ own.T)
        df = equation.df
    return Errors(np.stack(covs), np.full((len(covs), len(combine)), float(df)), "classical")


def textbook_rows(fit: Fit, at: float | None) -> Influence:
    """Influence of every row on the coefficients if the instruments are valid, each of them."""
    alpha, coef = fit.coef_at(at)
    equations = [equation_of(fit, outcome=outcome) for outcome in range(coef.shape[1])]
    rows = [
        textbook_influence(equation, 1.0 / (1.0 + alpha), column)
        for equation, column in zip(equations, coef.T, strict=True)
    ]
    return Influence(np.stack(rows, axis=2), equations[0].clusters, equations[0].n - equations[0].df)


def kclass_rows(fit: Fit) -> Influence:
    """Influence of every row on LIML's or Fuller's coefficients, the error of κ included."""
    equation = equation_of(fit)
    rows = kclass_influence(equation, 1.0 / (1.0 + fit.alpha), fit.coef[:, 0], estimated=True)
    return Influence(rows[:, :, None], equation.clusters, equation.n - equation.df)


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
