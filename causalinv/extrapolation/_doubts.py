"""What a fit can tell at once of the assumptions it rests on: three checks in closed form, told if they doubt.

Each is a sum of squared correlations that the assumptions make 0, in rows n times which is chi-squared of q degrees of
freedom. A representation is never exact, so a small sum is tolerated: the threshold is the quantile of the noncentral
law whose centre is the tolerated sum, and it falls towards that sum as rows grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ncx2

from causalinv._matrix import lstsq, whitener
from causalinv._typing import FloatArray
from causalinv._warn import warn
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation._features import beyond_rounding, moment_features, whitening
from causalinv.extrapolation._fitted import Fitted

__all__ = ["MEANINGS", "Check", "check_fit", "checks_table", "warn_of_doubts"]

LEVEL = 0.01  # of each check where the sum is the tolerated one
TOLERATED = {"nonlinear_mean": 0.002, "unequal_noise": 0.01, "direct_effect": 0.005}
_DEGREE = 3
_ROWS_PER_MOMENT = 50
_FLAT = 1e-6  # variance, of 1, below which a power of the action is a linear function of it


@dataclass(frozen=True)
class Check:
    """One check: a sum of squared correlations, less what chance alone makes of it.

    Attributes
    ----------
    name : str
    value : float
        NaN where the data do not allow it.
    threshold : float
        Above it there is a doubt.
    """

    name: str
    value: float
    threshold: float

    @classmethod
    def of(cls, name: str, statistic: float, df: int, n: int) -> Check:
        """From n times the sum of squared correlations."""
        if df == 0:
            return cls(name, float("nan"), float("nan"))
        limit = ncx2.isf(LEVEL, df, n * TOLERATED[name])
        return cls(name, (statistic - df) / n, float(limit - df) / n)

    @property
    def doubt(self) -> bool:
        """Whether the assumption looks broken; not so where nothing could be checked."""
        return self.value > self.threshold


#: Per check: what is squared and summed, and what a doubt means.
MEANINGS = {
    "nonlinear_mean": (
        "squared correlations of the state's noise with squares and cubes of the action",
        "the mean of the state is not linear in the action: the action is confounded, or moves the state nonlinearly",
    ),
    "unequal_noise": (
        "squared correlations of the noise's size with the action and its squares",
        "the noise of the state depends on the action: the action is confounded, or changes more than the state's mean",
    ),
    "direct_effect": (
        "squared correlations of what the state leaves of the outcome with squares and cubes of the action",
        "the outcome depends on the action beyond the state: a direct effect, or confounding of action and outcome",
    ),
}


def check_fit(fitted: Fitted) -> tuple[Check, ...]:
    """The three checks of a fit."""
    control, tried = fitted.control, fitted.tried
    acts, n = tried.given, len(tried.y)
    state = control.whiten(fitted.phi)
    residual = beyond_rounding(state - acts @ control.W.T - control.b, state)
    noise = whitening(residual)(residual)
    bends = _beyond(moment_features(acts, _DEGREE, max_columns=n // _ROWS_PER_MOMENT), acts)
    low = moment_features(acts, 2, max_columns=n // _ROWS_PER_MOMENT)
    d = int(np.count_nonzero(noise.var(axis=0) > 0.5))
    found = [Check.of("nonlinear_mean", float(np.sum((bends.T @ noise) ** 2)) / n, d * bends.shape[1], n)]

    size = np.linalg.norm(noise, axis=1)
    evidence = fitted.public("noise_evidence_")
    if evidence is not None and evidence > 1:
        # The representation is then bent a little in its tails, which shows here; there is a warning of its own.
        found.append(Check.of("unequal_noise", 0.0, 0, n))
    else:
        unit = (size - size.mean()) / max(float(size.std()), 1e-300)
        found.append(Check.of("unequal_noise", float(np.sum((low.T @ unit) ** 2)) / n, low.shape[1], n))

    left, beside = control.left_over(state, residual, tried.y, bends)
    gradient = beside * left[:, None]
    mean = gradient.mean(axis=0)
    scaled = whitener(np.cov(gradient.T, bias=True).reshape(len(mean), len(mean)), least=_FLAT)
    found.append(Check.of("direct_effect", n * float(np.sum((mean @ scaled) ** 2)), scaled.shape[1], n))
    return tuple(found)


def _beyond(moments: FloatArray, action: FloatArray) -> FloatArray:
    """The part of the moments that is no linear function of the action, orthonormal over the rows."""
    centred = action - action.mean(axis=0)
    rest = moments - centred @ lstsq(centred, moments)
    return rest @ whitener(rest.T @ rest / len(rest), rescale=False, least=_FLAT)


def checks_table(checks: tuple[Check, ...]) -> pd.DataFrame:
    """One row per check: value, threshold and doubt."""
    return pd.DataFrame(
        {
            "value": [check.value for check in checks],
            "threshold": [check.threshold for check in checks],
            "doubt": [check.doubt for check in checks],
        },
        index=pd.Index([check.name for check in checks], name="check"),
    )


def warn_of_doubts(checks: tuple[Check, ...]) -> None:
    """Say once what the checks doubt, with numbers and what to do."""
    doubts = [check for check in checks if check.doubt]
    if not doubts:
        return
    said = "; ".join(f"{MEANINGS[c.name][1]} ({c.name} {c.value:.3f}, doubt above {c.threshold:.3f})" for c in doubts)
    warn(
        f"Predictions at untried actions rest on an assumption that looks broken: {said}. Check how the action was "
        "assigned; if it moves the state by a known function, pass that as action_transform; a better encoder may "
        "help. Until then do not rely on predictions beyond the tried actions. See checks_ and diagnostics().",
        ExtrapolationWarning,
    )
