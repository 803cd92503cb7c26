"""Population bounds of the Beta simulation, from its laws: no estimate enters."""

import numpy as np
from scipy.special import expit
from scipy.stats import beta, qmc

from causalinv.bounds import cap_bounds, f_ball_bounds, manski_bounds

EDGES = np.linspace(0.0, 1.0, 1001)
ATOMS = (EDGES[1:] + EDGES[:-1]) / 2


def beta_weights(mean):
    """Beta(4 mean, 4 (1 - mean)) on a grid of 1000 cells, one row per mean."""
    w = np.diff(beta.cdf(EDGES, 4 * mean[:, None], 4 * (1 - mean[:, None])), axis=1)
    return w / w.sum(axis=1, keepdims=True)


def pointwise(propensity, arm_mean, kind):
    """Lower and upper end at each row; `kind` is "manski", an odds ratio, or a divergence."""
    w = beta_weights(arm_mean)
    if kind == "manski":
        return manski_bounds(ATOMS, propensity, weights=w, support=(0, 1))
    if isinstance(kind, float):
        return cap_bounds(ATOMS, propensity, weights=w, odds_ratio=kind)
    return f_ball_bounds(ATOMS, propensity, weights=w, support=(0, 1), divergence=kind)


def covariates(n=2048):
    """Sobol points of the Beta simulation's covariates, P(A = 1 | x), and means of both arms."""
    X = qmc.scale(qmc.Sobol(3, scramble=True, rng=0).random(n), -1.5, 1.5)
    e = 0.1 + 0.8 * expit(1.2 * X[:, 0] - 0.6 * X[:, 1])
    arms = np.column_stack([0.3 + 0.4 * expit(X[:, 1]), 0.2 + 0.6 * expit(X[:, 0] + 0.5 * X[:, 1])])
    return X, e, arms
