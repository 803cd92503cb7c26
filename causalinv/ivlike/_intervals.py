"""Standard errors and intervals of the coefficients of a fit, and what may be said about what they cover."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from causalinv._typing import FloatArray
from causalinv._validation import check_choice, check_confidence_level
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._identification import check_identified
from causalinv.ivlike._inference import Influence, coefficient_influence
from causalinv.ivlike._kclass_rules import KClass
from causalinv.ivlike._knowledge import GenuineInstruments
from causalinv.ivlike._small_samples import COV_TYPES, CovType, Errors, errors_of
from causalinv.ivlike._structural import is_structural, kclass_rows, structural_errors

__all__ = ["confint", "covariance", "errors_at", "influence_at"]

_FEW = 5.0  # degrees of freedom of clusters: below, no correction is to be relied on


def covariance(fit: Fit, at: float | None, cov_type: CovType) -> FloatArray:
    """Covariance (d, d), or (p, d, d) of several outcomes."""
    cov = errors_at(fit, at, cov_type).cov
    return cov[0] if fit.single_output else cov


def confint(fit: Fit, *, kind: str, at: float | None, cov_type: CovType, confidence_level: float) -> pd.DataFrame:
    """Intervals under a head that says what they cover."""
    level = check_confidence_level(confidence_level)
    check_choice(kind, "kind", ("pseudo_true", "identified"))
    strength, coef = fit.coef_at(at)
    if kind == "identified":
        open_ = ~check_identified(fit, 0.0 if at is None and fit.rule.to_zero else strength, coef)
    found = errors_at(fit, at, cov_type)
    _warn_few_clusters(fit, found)
    error = np.sqrt(np.diagonal(found.cov, axis1=1, axis2=2)).ravel()
    width = student.ppf(0.5 + level / 2, found.df.ravel()) * error
    if kind == "identified":
        width[np.tile(open_, coef.shape[1])] = np.nan
        covers = f"causal effect if {fit.design.knowledge.causal_if()}"
    else:
        covers = f"limit of the fit at alpha={strength:g}, remaining confounding included"
    if at is None and fit.rule.from_data:
        covers += ", alpha taken as chosen"
    centre = coef.T.ravel()
    frame = pd.DataFrame({"lower": centre - width, "upper": centre + width}, index=fit.index)
    return frame.rename_axis(columns=f"{level:.0%}: {covers}")


def influence_at(fit: Fit, at: float | None = None) -> Influence:
    """Influence of every row on the coefficients, at the strength of the fit or another."""
    design, reading = fit.read_again()
    alpha, coef = fit.coef_at(at)
    if np.isnan(alpha):
        raise ValueError(
            "alpha='eb' mixes many strengths, for which there is no covariance formula here; use bootstrap()."
        )
    if at is not None and alpha == 0:
        fit.check_limit()
    if at is None and isinstance(fit.rule, KClass):
        return kclass_rows(fit)
    influence = coefficient_influence(design, reading, fit.path, 0.0 if fit.averages else alpha, coef, ridge=fit.ridge)
    if influence.df < 1 or len(influence.rows) <= influence.rank:
        raise ValueError(
            f"No standard errors: {len(influence.rows)} rows (copies of one count once) for {influence.rank} "
            "coefficients leave no degrees of freedom."
        )
    return influence


def errors_at(fit: Fit, at: float | None, cov_type: CovType) -> Errors:
    """Covariance and degrees of freedom of the coefficients, at the strength of the fit or another."""
    check_choice(cov_type, "cov_type", COV_TYPES)
    if cov_type == "misspecified" and not isinstance(fit.design.knowledge, GenuineInstruments):
        raise ValueError("cov_type='misspecified' is for instruments that may disagree; here there are none.")
    if cov_type in ("classical", "HC1") and is_structural(fit, at):
        return structural_errors(fit, at, cov_type)
    influence = influence_at(fit, at)
    alpha, coef = fit.coef_at(at)
    if fit.ridge > 0:
        cov_type = "HC1" if cov_type == "auto" else cov_type
        if cov_type != "HC1":
            raise ValueError(f"cov_type={cov_type!r} needs a fit without ridge, got ridge={fit.ridge:g}.")
    return errors_of(
        fit.rows(),
        fit.reading,
        fit.path,
        0.0 if fit.averages else alpha,
        coef,
        influence=influence,
        cov_type=cov_type,
    )


def _warn_few_clusters(fit: Fit, found: Errors) -> None:
    groups = fit.rows().groups
    least = float(found.df.min(initial=np.inf))
    if groups is not None and least < _FEW:
        warn(
            f"Few or uneven clusters: {int(groups.max()) + 1} groups leave {least:.1f} degrees of freedom "
            "for the least certain coefficient. Intervals are rough there; more groups of similar size would help.",
            DegenerateInputWarning,
        )
