"""The curve of the mean outcome over actions, and its bands from refits to resampled rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import ncx2

from causalinv._parallel import generator, run, streams
from causalinv._printing import percent
from causalinv._typing import FloatArray
from causalinv.extrapolation._action_only import action_only
from causalinv.extrapolation._fitted import Fitted
from causalinv.extrapolation._response import REACH
from causalinv.extrapolation._support import rows_that_are, support_table, why_withheld
from causalinv.results import Estimate

__all__ = ["BANDS", "Curve", "half_widths", "lean"]

ESTIMAND = "mean of the outcome if the action were set to a, E[Y | do(A = a)], units of y"
ASSUMPTION = (
    "the action was randomised; it reaches the outcome only through the state; X shows the state (nearly) without "
    "noise; the action moves the state linearly; the state's own variation is as wide as the stretch asked for"
)

BIAS = 0.5  # standard errors of smoothing's bias that a band allows for
_NEARER = 0.95  # share of the rows from beyond which a curve is continued, to see how much that place matters
_LARGE = 4.0  # bias in standard errors from which one tail is all
BANDS = ("simultaneous", "pointwise")
CURVE_COLUMNS = ("estimate", "lower", "upper", "status", "overlap", "action_only")


def resampled_curves(fitted: Fitted, asked: FloatArray, n_draws: int, n_jobs: int | None) -> FloatArray:
    """Means under actions (m, q), after their transform, of refits to resamples of the rows: (n_draws, m)."""
    tasks = [(fitted, asked, rng) for rng in streams(fitted.recipe.random_state, n_draws, "bootstrap")]
    return np.array(run(_resampled_curve, tasks, n_jobs=n_jobs))


def _resampled_curve(fitted: Fitted, asked: FloatArray, rng: np.random.Generator) -> FloatArray:
    return fitted.again(rng).mean_do(asked)


def lean(fitted: Fitted, asked: FloatArray) -> FloatArray:
    """How far the means under actions (m, q) move if the response is continued linearly from nearer by: (m,).

    From where 95% of the rows lie in place of 99%; the same draws, so that nothing else moves.
    """
    means = [
        fitted.recipe.respond(
            fitted.phi,
            fitted.tried,
            generator(fitted.recipe.random_state, "continued"),
            like=fitted.control,
            reach=reach,
        ).mean_do(asked)
        for reach in (REACH, _NEARER)
    ]
    return np.abs(means[1] - means[0])


def half_widths(curves: FloatArray, level: float, kind: str, lean: FloatArray | float = 0.0) -> FloatArray:
    """Half widths (m,) of the band of a curve.

    They allow for a bias of either sign that resamples do not show: half a standard error of smoothing, by analogy with
    a local linear smoother of least mean squared error, where that is the worst case [1]_, and `lean` of continuation.

    Parameters
    ----------
    curves : ndarray of shape (n_draws, m)
        Of resamples.
    level : float
    kind : {"simultaneous", "pointwise"}
        The first takes, of the largest biased gap of each resample's curve beyond the bias, the quantile at `level`
        (the draw of that rank: of few draws an interpolated one is too small), but at least the normal one that the
        second takes.
    lean : ndarray of shape (m,) or float
        Of a bias of its own, in units of the curve.

    References
    ----------
    .. [1] Armstrong and Kolesár, Simple and honest confidence intervals in nonparametric regression, Quantitative
       Economics 11, 2020, sections 2 and 3: with a second derivative that is bounded, 2.18 in place of 1.96.
    """
    errors = curves.std(axis=0, ddof=1)
    units = np.where(errors > 0, errors, 1.0)
    bias = BIAS + lean / units
    multiple = _critical(level, bias)
    if kind == "simultaneous":
        gaps = (curves - curves.mean(axis=0)) / units
        rank = min(len(curves), math.ceil((len(curves) + 1) * level))
        beyond = [np.sort((np.abs(gaps + side * bias) - bias).max(axis=1))[rank - 1] for side in (1, -1)]
        multiple = np.maximum(multiple, max(beyond) + bias)
    return np.where(errors > 0, multiple * errors, lean)


def _critical(level: float, bias: FloatArray) -> FloatArray:
    """Quantiles of the absolute value of normals of variance 1 and mean `bias`."""
    one_sided = bias + ndtri(level)  # the other tail is nothing where the bias is large
    two_sided = np.sqrt(ncx2.ppf(level, 1, np.minimum(bias, _LARGE) ** 2))
    critical: FloatArray = np.where(bias > _LARGE, one_sided, two_sided)
    return critical


@dataclass(frozen=True)
class Curve:
    """How a curve is asked for: confidence level, kind of band, resamples."""

    level: float
    kind: str
    n_draws: int

    def estimate(self, fitted: Fitted, actions: pd.DataFrame, given: FloatArray, n_jobs: int | None) -> Estimate:
        """The curve at actions (m, k), `given` the same after their transform."""
        asked: FloatArray = actions.to_numpy()
        taken = sorted(set(actions.columns) & set(CURVE_COLUMNS))
        if taken:
            raise ValueError(f"action columns {taken} have names that the table of a curve uses; rename them.")
        estimate = fitted.control.mean_do(given)
        curves = resampled_curves(fitted, given, self.n_draws, n_jobs)
        half = half_widths(curves, self.level, self.kind, lean(fitted, given))
        errors = curves.std(axis=0, ddof=1)
        multiples = (half[errors > 0] / errors[errors > 0]).round(2)
        support = support_table(fitted, asked, given)
        none = rows_that_are("withheld", support)
        estimate, half = (np.where(none, np.nan, each) for each in (estimate, half))
        table = actions.assign(
            estimate=estimate,
            lower=estimate - half,
            upper=estimate + half,
            status=support["status"].to_numpy(),
            overlap=support["overlap"].to_numpy(),
            action_only=action_only(fitted.tried.actions, fitted.tried.y)(asked),
        )
        whole = "the whole curve" if self.kind == "simultaneous" else "each action on its own"
        notes = [f"band: for {whole}, {_between(multiples)} s.e. of {self.n_draws} resamples, which allow for bias"]
        beyond = int(rows_that_are("unsupported", support).sum())
        if beyond:
            notes.append(
                f"actions that lead to states never seen: {beyond}; their numbers are continued trends, not estimates"
            )
        if none.any():
            notes.append(f"actions withheld (NaN): {int(none.sum())}; {why_withheld(fitted)}")
        evidence = fitted.public("noise_evidence_")
        if evidence is not None and evidence > 1:
            notes.append(
                f"the state's own noise V does not look Gaussian (evidence {evidence:.1f}, a doubt above 1): "
                "beyond the tried actions action_only may be nearer, and the band may miss"
            )
        together = self.kind == "simultaneous"
        title = f"Mean outcome if the action were set, with {self.kind} {percent(self.level)} intervals"
        return Estimate(ESTIMAND, ASSUMPTION, table, self.level, tuple(notes), together, title)


def _between(values: FloatArray) -> str:
    """Least and largest of some numbers, or the one."""
    if not len(values) or values.min() == values.max():
        return f"{values.max(initial=0.0):.2f}"
    return f"{values.min():.2f} to {values.max():.2f}"
