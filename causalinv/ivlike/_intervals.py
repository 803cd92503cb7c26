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
from causalinv.ivlike._inference import Influence, coefficient_influence
from causalinv.ivlike._small_samples import COV_TYPES, CovType, Errors, errors_of

__all__ = ["confint", "covariance", "errors_at", "influence_at"]

_FEW = 5.0  # degrees of freedom of clusters: below, no correction is to be relied on
_REACTS = 1e-6  # share of the range of y: a larger change of a prediction is no rounding


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
        _check_identified(fit, strength)
    found = errors_at(fit, at, cov_type)
    _warn_few_clusters(fit, found)
    error = np.sqrt(np.diagonal(found.cov, axis1=1, axis2=2)).ravel()
    width = student.ppf(0.5 + level / 2, found.df.ravel()) * error
    if kind == "identified":
        _check_ignores(fit, coef)
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


def _check_identified(fit: Fit, alpha: float) -> None:
    """Refuse to call causal what would not converge to the effect even if every assumption held."""
    fit.design.knowledge.check_claims_cause(alpha, fit.path, averages=fit.averages)
    if fit.ridge > 0:
        raise ValueError(
            f"kind='identified' needs a fit without ridge, which pulls coefficients to 0; got ridge={fit.ridge:g}."
        )
    stage = fit.reading.stage
    varying = (np.diagonal(stage.variance) > 0) | np.any(stage.factor, axis=0)
    if fit.path.basis.shape[1] < int(varying.sum()):
        raise ValueError(
            "kind='identified' needs features that are not linearly dependent: these leave several coefficients "
            "with the same predictions, and the one of minimum norm is a convention. Drop columns."
        )


def _check_ignores(fit: Fit, coef: FloatArray) -> None:
    """Refuse coefficients (d, p) whose predictions an augmentation still changes in some row."""
    design = fit.rows()
    if not design.moves or design.first_stage_known:
        return
    change = design.largest_reaction(coef)
    if change > _REACTS:
        raise ValueError(
            f"kind='identified' needs predictions that ignore the augmentation, but in this fit they change "
            f"by up to {change:.2g} of the range of y: alpha=0 imposes here only that the change is "
            "zero on average given G (paired and sampled copies: uncorrelated with G). Use kind='pseudo_true', or "
            "features that split into those that the augmentation moves and those that it does not."
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
