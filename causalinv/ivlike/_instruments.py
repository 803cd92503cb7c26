"""What an econometrician reads beside an estimate: first stage, J, Wu-Hausman, sets that weak instruments allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from causalinv._printing import counted, number, percent
from causalinv._typing import FloatArray
from causalinv.ivlike._conditional import clr_set, lm_set
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._sets import ConfidenceSet
from causalinv.ivlike._specification import (
    cragg_donald_f,
    effective_f,
    endogeneity,
    first_stage_f,
    kleibergen_paap_f,
    overidentification,
)
from causalinv.ivlike._weak_identification import ar_pvalue, ar_set, robust_ar_pvalue, robust_ar_set
from causalinv.results import Summary, TestResult

__all__ = ["TESTS", "SetTest", "coefficient_test", "endogenous_features", "first_stage_table", "headline", "robust_set"]

SetTest = Literal["ar", "lm", "clr"]
TESTS = {"ar": "Anderson-Rubin", "lm": "LM (Kleibergen)", "clr": "conditional likelihood ratio (Moreira)"}

_SHOWN = 3  # endogenous features in a headline
_VALID = "instruments are valid, however weak"
_EQUAL = "rows are independent, errors of equal variance"


def endogenous_features(equation: Equation) -> list[int]:
    """Positions of the features that the instruments and controls do not contain."""
    own = equation.coordinates[:, equation.included]
    left = equation.x - own @ (own.T @ equation.x)
    return np.flatnonzero(np.sum(left**2, axis=0) > 1e-9 * np.sum(equation.x**2, axis=0)).tolist()


def robust_set(
    equation: Equation, j: int, name: str, *, test: SetTest, robust: bool, confidence_level: float
) -> ConfidenceSet:
    """Values of coefficient j that a test does not reject whose level does not hang on the instruments' strength.

    Raises
    ------
    ValueError
        If the test is not there for this equation: robust sets, LM and CLR are for one endogenous feature, and LM and
        CLR take errors as independent and of equal variance.
    """
    if test != "ar" and robust:
        raise ValueError(f"test={test!r} takes errors as independent and of equal variance: say cov_type='classical'.")
    if not robust and equation.clusters is not None:
        raise ValueError("cov_type='classical' takes rows as independent, and groups= says they are not.")
    if robust:
        independence = "rows" if equation.clusters is None else "groups of rows"
        intervals, assumption = robust_ar_set(equation, j, confidence_level), f"{independence} are independent"
    else:
        of = {"ar": ar_set, "lm": lm_set, "clr": clr_set}[test]
        intervals, assumption = of(equation, j, confidence_level), _EQUAL
    return ConfidenceSet(name, intervals, confidence_level, TESTS[test], f"{_VALID}; {assumption}")


def coefficient_test(equation: Equation, coef: FloatArray, *, robust: bool) -> TestResult:
    """Anderson and Rubin's test that all coefficients (d,) are these."""
    if robust:
        independence = "rows" if equation.clusters is None else "groups of rows"
        statistic, pvalue, df = robust_ar_pvalue(equation, coef)
        assumption = f"{independence} are independent"
    elif equation.clusters is not None:
        raise ValueError("cov_type='classical' takes rows as independent, and groups= says they are not.")
    else:
        (statistic, pvalue, df), assumption = ar_pvalue(equation, coef), _EQUAL
    return TestResult(
        statistic,
        pvalue,
        df,
        hypothesis="these are the effects, and the instruments are valid",
        assumption=f"{_VALID}; {assumption}",
        note="A rejection means either: other effects, or instruments that move the outcome in another way.",
    )


def first_stage_table(equation: Equation, names: Sequence[str]) -> Summary:
    """F statistics by endogenous feature, and of the weakest direction."""
    rows = {}
    for j in endogenous_features(equation):
        found = first_stage_f(equation, j)
        rows[names[j]] = {"F": found.classical, "robust F": found.robust, "robust p": found.pvalue}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["F", "robust F", "robust p"])
    part = equation.reduced
    n_instruments, n_endogenous = part.z.shape[1], part.basis.shape[1]
    weakest = [
        f"Of the weakest direction: Cragg-Donald F {number(cragg_donald_f(equation))}, "
        f"Kleibergen-Paap F {number(kleibergen_paap_f(equation))}."
    ]
    if part.over < 0:
        weakest = [
            f"{counted(n_instruments, 'instrument')} cannot move {n_endogenous} directions: some combination of the "
            "features they "
            "leave alone, so two-stage least squares has no one answer. Add instruments."
        ]
    elif n_endogenous == 1:
        weakest.append(f"Effective F (Montiel Olea-Pflueger) {number(effective_f(equation))}; weak below 10 or so.")
    if n_endogenous > 1:
        weakest.append(
            "Each of several endogenous features can have a large F, and a combination of them still be weak."
        )
    kind = "rows" if equation.clusters is None else "groups of rows"
    return Summary(
        f"First stage: F of {counted(n_instruments, 'instrument')} for each endogenous feature (weak below 10)",
        "how much the excluded instruments move each endogenous feature, controls held fixed",
        f"none about the outcome; robust: {kind} are independent",
        frame.rename_axis("feature"),
        tuple(weakest),
    )


def headline(equation: Equation, names: Sequence[str], *, confidence_level: float = 0.95) -> tuple[str, ...]:
    """The lines that come first: strength, agreement, need, and sets that weak instruments do not break."""
    part = equation.reduced
    endogenous = endogenous_features(equation)
    if not endogenous:
        return ("Nothing is endogenous: every feature that varies is among the instruments.",)
    one = part.basis.shape[1] == 1
    size = effective_f(equation) if one else kleibergen_paap_f(equation)
    kind = "effective" if one else "Kleibergen-Paap"
    lines = [f"First stage: F {number(cragg_donald_f(equation))}, {kind} F {number(size)} (weak below 10)."]
    lines.append(_agreement(equation))
    try:
        found = endogeneity(equation, robust=True)
        lines.append(f"Wu-Hausman F {number(found.statistic)}, p {_p(found.pvalue)}: {_needed(found.pvalue)}.")
    except ValueError:
        lines.append("Wu-Hausman: these rows do not allow it.")
    for j in endogenous[:_SHOWN]:
        lines.append(_set_line(equation, j, names[j], robust=one, level=confidence_level))
    if len(endogenous) > _SHOWN:
        lines.append(f"{counted(len(endogenous) - _SHOWN, 'more endogenous feature')}: see weak_instrument_set().")
    return tuple(lines)


def _agreement(equation: Equation) -> str:
    part = equation.reduced
    if part.over < 0:
        z, x = part.z.shape[1], part.basis.shape[1]
        return f"{counted(z, 'instrument')} for {counted(x, 'endogenous feature')}: the effect is left open."
    if part.over == 0:
        return "J: none. With one instrument for each endogenous feature they cannot disagree."
    try:
        found = overidentification(equation, robust=True)
    except ValueError:
        return "J: these rows do not allow it."
    verdict = "instruments disagree (at 5%)" if found.pvalue < 0.05 else "no disagreement found"
    return f"Hansen J {number(found.statistic)}, df {part.over}, p {_p(found.pvalue)}: {verdict}."


def _needed(pvalue: float) -> str:
    return "least squares differs (at 5%)" if pvalue < 0.05 else "no difference from least squares shown"


def _set_line(equation: Equation, j: int, name: str, *, robust: bool, level: float) -> str:
    short = name if len(name) <= 24 else name[:23] + "…"
    if not robust and equation.clusters is not None:
        return f"Anderson-Rubin {percent(level)} of {short}: none by groups with several endogenous."
    try:
        found = robust_set(equation, j, name, test="ar", robust=robust, confidence_level=level)
    except ValueError:
        return f"Anderson-Rubin {percent(level)} of {short}: these rows do not allow it."
    if len(found.intervals) > 2:
        return f"Anderson-Rubin {percent(level)} of {short}: {len(found.intervals)} intervals."
    return f"Anderson-Rubin {percent(level)} of {short}: {found.short()}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3g}"
