"""The curve of the mean outcome over actions, and its bands from refits to resampled rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ncx2

from causalinv._parallel import run, streams
from causalinv._typing import FloatArray
from causalinv.extrapolation._action_only import action_only
from causalinv.extrapolation._fitted import Fitted
from causalinv.extrapolation._support import support_table, unsupported
from causalinv.results import Estimate

__all__ = ["BANDS", "Curve", "half_widths"]

ESTIMAND = "mean of the outcome if the action were set to a, E[Y | do(A = a)], units of y"
ASSUMPTION = (
    "the action was randomised; it reaches the outcome only through the state; X shows the state (nearly) without "
    "noise; the action moves the state linearly; the state's own variation is as wide as the stretch asked for"
)

BIAS = 0.5  # standard errors that a band allows for
BANDS = ("simultaneous", "pointwise")
CURVE_COLUMNS = ("estimate", "lower", "upper", "status", "overlap", "action_only")


def resampled_curves(fitted: Fitted, asked: FloatArray, n_draws: int, n_jobs: int | None) -> FloatArray:
    """Means under actions (m, q), after their transform, of refits to resamples of the rows: (n_draws, m)."""
    tasks = [(fitted, asked, rng) for rng in streams(fitted.recipe.random_state, n_draws, "bootstrap")]
    return np.array(run(_resampled_curve, tasks, n_jobs=n_jobs))


def _resampled_curve(fitted: Fitted, asked: FloatArray, rng: np.random.Generator) -> FloatArray:
    return fitted.again(rng).mean_do(asked)


def half_widths(curves: FloatArray, level: float, kind: str) -> tuple[FloatArray, float]:
    """Half widths (m,) of the band of a curve, and their multiple of the standard errors.

    Both allow for a bias of half a standard error of either sign, which resamples do not show: by analogy with a local
    linear smoother of least mean squared error, where that is the worst case [1]_.

    Parameters
    ----------
    curves : ndarray of shape (n_draws, m)
        Of resamples.
    level : float
    kind : {"simultaneous", "pointwise"}
        The first takes, of the largest gap of each resample's curve, the quantile at `level` (the draw of that rank:
        of few draws an interpolated one is too small), but at least the normal one that the second takes.

    References
    ----------
    .. [1] Armstrong and Kolesár, Simple and honest confidence intervals in nonparametric regression, Quantitative
       Economics 11, 2020, sections 2 and 3: with a second derivative that is bounded, 2.18 in place of 1.96.
    """
    normal = float(np.sqrt(ncx2.ppf(level, 1, BIAS**2)))
    errors = curves.std(axis=0, ddof=1)
    if kind == "pointwise":
        return normal * errors, normal
    gaps = (curves - curves.mean(axis=0)) / np.where(errors > 0, errors, 1.0)
    rank = min(len(curves), math.ceil((len(curves) + 1) * level))
    largest = [np.sort(np.abs(gaps + bias).max(axis=1))[rank - 1] for bias in (BIAS, -BIAS)]
    multiple = max(normal, *map(float, largest))
    return multiple * errors, multiple


@dataclass(frozen=True)
class Curve:
    """How a curve is asked for: confidence level, kind of band, resamples."""

    level: float
    kind: str
    n_draws: int

    def estimate(
        self, fitted: Fitted, names: list[Any], asked: FloatArray, given: FloatArray, n_jobs: int | None
    ) -> Estimate:
        """The curve at actions (m, k) of named columns, `given` the same after their transform."""
        taken = sorted(set(names) & set(CURVE_COLUMNS))
        if taken:
            raise ValueError(f"action columns {taken} have names that the table of a curve uses; rename them.")
        estimate = fitted.control.mean_do(given)
        half, multiple = half_widths(resampled_curves(fitted, given, self.n_draws, n_jobs), self.level, self.kind)
        support = support_table(fitted, asked, given)
        table = pd.DataFrame(asked, columns=names).assign(
            estimate=estimate,
            lower=estimate - half,
            upper=estimate + half,
            status=support["status"],
            overlap=support["overlap"],
            action_only=action_only(fitted.tried.actions, fitted.tried.y)(asked),
        )
        whole = "the whole curve" if self.kind == "simultaneous" else "each action on its own"
        notes = [
            f"band: for {whole}, {multiple:.2f} s.e. of {self.n_draws} resamples; half of one for smoothing's bias"
        ]
        beyond = int(unsupported(support).sum())
        if beyond:
            notes.append(
                f"{beyond} action(s) lead to states that were never seen: their numbers are continued trends, "
                "not estimates"
            )
        evidence = fitted.public("noise_evidence_")
        if evidence is not None and evidence > 1:
            notes.append(
                f"the state's own noise V does not look Gaussian (evidence {evidence:.1f}, a doubt above 1): "
                "beyond the tried actions "
                "action_only may be nearer, with lognormal V more often than not, and the band may miss"
            )
        together = self.kind == "simultaneous"
        title = f"Mean outcome if the action were set, with {self.kind} {self.level:.0%} intervals"
        return Estimate(ESTIMAND, ASSUMPTION, table, self.level, tuple(notes), together, title)
