"""Is the augmentation outcome-invariant, and what did it buy or cost? Four worlds, of which the data show two."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from causalinv._parallel import streams
from causalinv._typing import FloatArray
from causalinv.datasets import load_confounded_digits
from causalinv.ivlike import IVLikeRegression, IVLikeRegressionCV, Translation
from causalinv.metrics import ncer
from causalinv.tour import Chapter

__all__ = ["run"]

_DIGITS = 700  # of 1797: the exact errors of so many groups take a second, not six
_WORLDS = {
    # what is true: confounding through light, effect of brightness itself on the outcome
    "claim true, confounded": (1.0, 0.0),
    "claim true, not confounded": (0.0, 0.0),
    "claim false, not confounded": (0.0, 0.5),
    "claim false, confounded": (1.0, 0.5),
}


def run(random_state: int, data: str | os.PathLike[str] | None) -> Chapter:
    """Photograph digits under a hidden light in four worlds, and ask of each what can be told from (X, y)."""
    rows = {}
    for name, (confounding, reads_light) in _WORLDS.items():
        X, y, truth, groups = _world(confounding, reads_light, random_state)
        cov = np.cov(X.T)
        light = Translation(np.ones((1, 64)), scale=2.0)
        model = IVLikeRegression(augmentation=light).fit(X, y, groups=groups)
        interval = model.confint(kind="identified").to_numpy()
        covered = (interval[:, 0] <= truth) & (truth <= interval[:, 1])
        cv = IVLikeRegressionCV(np.logspace(-3, 3, 25), augmentation=light, random_state=random_state)
        rows[name] = {
            ("told by the data", "p: least squares ignores light"): model.ols_invariance_test().pvalue,
            ("told by the data", "alpha by CV"): cv.fit(X, y, groups=groups).alpha_,
            ("true error of the effects", "least squares"): ncer(model.least_squares_coef_, truth, cov=cov),
            ("true error of the effects", "alpha = 0.1"): ncer(model.alpha_path([0.1])[0], truth, cov=cov),
            ("true error of the effects", "alpha = 0"): ncer(model.coef_, truth, cov=cov),
            ("true error of the effects", "covered by 95%"): covered.mean(),
        }
    table = pd.DataFrame(rows).T.rename_axis("world")
    error = table["true error of the effects"]
    nothing = rows["claim true, not confounded"]["told by the data", "p: least squares ignores light"]
    first, third = error.loc["claim true, confounded"], error.loc["claim false, not confounded"]
    return Chapter(
        question="I declared that the outcome ignores brightness. Is that so, and what did it buy or cost?",
        answer=(
            "The data cannot say: where it is true, ignoring brightness leaves an error of "
            f"{first['alpha = 0']:.2f} in place of {first['least squares']:.2f}, where it is false "
            f"{third['alpha = 0']:.2f} in place of {third['least squares']:.2f}, and both look alike."
        ),
        table=table,
        claim=(
            "In both, least squares reacts to brightness (p near 0) and cross-validation picks the same alpha. "
            "Only where\n"
            f"there is nothing to gain does the test say so (p = {nothing:.2f})."
        ),
        assumption=(
            "what no column of this table shows: whether the outcome reads the light. Intervals cover only if it does\n"
            "not, and if nothing hidden moves what it does read."
        ),
    )


def _world(
    confounding: float, reads_light: float, random_state: int
) -> tuple[FloatArray, FloatArray, FloatArray, np.ndarray]:
    """Digits under a light; `reads_light` is the outcome's own reaction to mean brightness, in sd per light."""
    if reads_light == 0:
        digits = load_confounded_digits(confounding=confounding, n_exposures=2, random_state=random_state)
        some = digits.groups < _DIGITS
        return digits.X[some], digits.y[some], digits.coef, digits.groups[some]
    digits = load_confounded_digits(confounding=0.0, n_exposures=2, random_state=random_state)
    size = (load_digits().data @ digits.coef).std()
    truth = digits.coef + reads_light * size / 2.0 * np.full(64, 1 / 64)  # a light moves every pixel by 2
    noise = 0.1 * size * streams(random_state, 1, "tour")[0].standard_normal(len(digits.y))
    y = digits.X @ truth + confounding * size * digits.confounder + noise
    some = digits.groups < _DIGITS
    return digits.X[some], y[some], truth, digits.groups[some]
