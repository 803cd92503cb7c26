"""What a fit identifies: what the declaration fixes, what the data leave open, and what may be called causal."""

from __future__ import annotations

import numpy as np

from causalinv._matrix import range_eigh
from causalinv._typing import BoolArray, FloatArray
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._checks import REACTS
from causalinv.ivlike._fit import Fit

__all__ = ["check_identified", "determined", "fixed_by_declaration", "named_coefficients"]

_OPEN = 1e-8  # squared share of a coefficient that lies where nothing varies
_NAMED = 6


def fixed_by_declaration(fit: Fit, alpha: float) -> BoolArray:
    """Coefficients (d,) that the invariance holds at 0, whatever the data are."""
    if not fit.design.knowledge.imposes_invariance(alpha, averages=fit.averages):
        return np.zeros(len(fit.coef), bool)
    free = np.any(fit.path.basis[:, ~fit.path.moved], axis=1)
    return np.asarray(~free & np.any(fit.reading.stage.factor, axis=0))


def determined(fit: Fit) -> BoolArray:
    """Coefficients (d,) that the data and the declaration determine: no dependent column can take them over."""
    stage = fit.reading.stage
    _, vectors, _ = range_eigh(stage.variance + stage.factor.T @ stage.factor)
    return np.asarray(1.0 - np.sum(vectors**2, axis=1) < _OPEN)


def check_identified(fit: Fit, alpha: float, coef: FloatArray) -> BoolArray:
    """Refuse to call causal what would not converge to the effect even if every assumption held.

    Returns
    -------
    ndarray of bool, shape (d,)
        Coefficients that are identified; a warning names the others.
    """
    fit.design.knowledge.check_claims_cause(alpha, fit.path, averages=fit.averages)
    if fit.ridge > 0:
        raise ValueError(
            f"kind='identified' needs a fit without ridge, which pulls coefficients to 0; got ridge={fit.ridge:g}."
        )
    _check_ignores(fit, coef)
    known = determined(fit)
    if known.all():
        return known
    if not known.any():
        raise ValueError(
            "kind='identified' needs features that are not linearly dependent: these leave every coefficient open, "
            "and the one of minimum norm is a convention. Drop columns."
        )
    warn(
        f"Linearly dependent features: the coefficients of {named_coefficients(fit, ~known)} are not identified, and "
        "have no interval (NaN). Their minimum norm is a convention; drop columns to identify the rest.",
        DegenerateInputWarning,
    )
    return known


def named_coefficients(fit: Fit, mask: BoolArray) -> str:
    """The names of some coefficients, in words that fit a line."""
    names = [str(name) for name, inside in zip(fit.names, mask, strict=True) if inside]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check_ignores(fit: Fit, coef: FloatArray) -> None:
    """Refuse coefficients (d, p) whose predictions an augmentation still changes in some row."""
    design = fit.rows()
    if not design.moves or design.first_stage_known:
        return
    change = design.largest_reaction(coef)
    if change > REACTS:
        raise ValueError(
            f"kind='identified' needs predictions that ignore the augmentation, but in this fit they change "
            f"by up to {change:.2g} of the range of y: alpha=0 imposes here only that the change is "
            "zero on average given G (paired and sampled copies: uncorrelated with G). Use penalty='reaction' or "
            "kind='pseudo_true', or features that split into those that the augmentation moves and those that it does "
            "not."
        )
