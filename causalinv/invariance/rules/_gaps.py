r"""Gaps: how far one linear rule is from invariant in each environment, on a sample's moments or a population's.

A rule is a representation :math:`\Phi` (k, d), coefficients w on :math:`\Phi x` and an intercept. With
:math:`\phi = (1, \Phi x)`, :math:`H_e = E_e\phi\phi'`, the rule's risk :math:`R_e(w)` and the environment's own least
squares :math:`w_e`, the *excess* is

.. math:: R_e(w) - R_e(w_e) = \|w - w_e\|^2_{H_e} = g_e' H_e^{-1} g_e, \qquad g_e = E_e\,\phi\,(\phi'w - y).

It does not depend on the coordinates of the representation, and for fixed (Φ, w) it is convex in the moments.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from causalinv._matrix import solve_ranges
from causalinv._typing import ArrayLike, FloatArray
from causalinv.linear_rule import least_squares
from causalinv.moments import Moments

__all__ = [
    "METRICS",
    "Metric",
    "gap_rounding",
    "gaps_beside",
    "invariance_gaps",
    "relative",
    "represent",
    "rule_risks",
]

Metric = Literal["relative_excess", "excess", "coefficient", "gradient", "risk_range", "residual"]
METRICS: tuple[str, ...] = get_args(Metric)
_ROUNDING = 1e-12  # of the outcome's variance: risks below are zero


def represent(moments: Moments, components: FloatArray, *, outcome_unit: float = 1.0) -> Moments:
    """Moments of (Φx, y / unit) from moments of (x, y)."""
    k, d = components.shape
    outcome = np.eye(moments.blocks["y"]) / outcome_unit
    full = np.block([[components, np.zeros((k, len(outcome)))], [np.zeros((len(outcome), d)), outcome]])
    mean = np.concatenate([moments.mean("x"), moments.mean("y")], axis=1) @ full.T
    blocks = [[moments.scatter(a, b) for b in ("x", "y")] for a in ("x", "y")]
    scatter = full @ np.block(blocks) @ full.T
    if not (np.isfinite(mean).all() and np.isfinite(scatter).all()):
        raise ValueError("Moments of the components are not finite: components must be finite, and not this large.")
    return Moments.trusted(  # what is semidefinite stays so
        {"x": k, "y": len(outcome)},
        mean=mean,
        scatter=(scatter + np.swapaxes(scatter, 1, 2)) / 2,
        weight=moments.weight,
        count=moments.count,
        cells=moments.cells,
    )


def rule_risks(moments: Moments, coef: FloatArray, intercept: float) -> tuple[FloatArray, FloatArray]:
    """Mean squared error and mean residual of a linear rule in each environment, shapes (E,)."""
    shift = moments.mean("y")[:, 0] - moments.mean("x") @ coef - intercept
    direction = np.r_[-coef, 1.0]
    cov = np.block([[moments.cov(a, b) for b in ("x", "y")] for a in ("x", "y")])
    return np.maximum(np.einsum("i,eij,j->e", direction, cov, direction), 0.0) + shift**2, shift


def invariance_gaps(
    moments: Moments,
    components: ArrayLike | None = None,
    coef: ArrayLike | None = None,
    intercept: float | None = None,
    *,
    metric: Metric = "relative_excess",
) -> FloatArray:
    r"""Gap of one linear rule in each environment.

    Parameters
    ----------
    moments : Moments
        Blocks ``x`` (d features) and ``y`` (one outcome), one cell per environment; a sample's or a population's.
    components : array-like of shape (k, d), optional
        The representation Φ; left out, all features.
    coef : array-like of shape (k,), optional
        Coefficients w of the rule on Φx; left out, least squares on all environments together.
    intercept : float, optional
        Left out, the one with which the mean residual over all environments is zero.
    metric : {"relative_excess", "excess", "coefficient", "gradient", "risk_range", "residual"}
        - ``"excess"``: risk of the rule less the least risk of a linear rule on Φx there, squared units of y.
        - ``"relative_excess"``: the same over that least risk; without units.
        - ``"coefficient"``: root mean square, over all environments together, of the difference between the rule's
          predictions and those of the environment's own rule; units of y.
        - ``"gradient"``: Euclidean norm of g_e, in units of y times (1, Φx); depends on the units of Φx.
        - ``"risk_range"``: risk of the rule less its smallest risk in any environment; squared units of y. It is
          *not* implied by the others: coefficients can be invariant while the risk explodes.
        - ``"residual"``: Kullback-Leibler divergence of Gaussians with the mean and variance of the rule's residuals
          here and in all environments together; nats. The population counterpart of Invariant Causal Prediction.

    Returns
    -------
    ndarray of shape (E,)
        >= 0. The rule is ε-invariant if the largest is at most ε.

    Raises
    ------
    ValueError
        If shapes disagree, there are several outcomes, or `metric` is unknown.

    Notes
    -----
    With `eigmax` and `eigmin` the extreme eigenvalues of H_e,
    ``gradient**2 / eigmax <= excess <= gradient**2 / eigmin``. ε-approximate invariance in place of exact invariance
    follows the question of arXiv 2205.15196; these definitions are this package's own.

    Examples
    --------
    >>> from causalinv.invariance import invariance_gaps
    >>> from causalinv.sem import Shift, textbook_sem
    >>> envs = textbook_sem("chain").environments([None, Shift("x2", std=2.0)])  # x1 -> y -> x2
    >>> cause, effect = [[1.0, 0.0]], [[0.0, 1.0]]
    >>> invariance_gaps(envs.moments(), cause).round(3), invariance_gaps(envs.moments(), effect).round(3)
    (array([0., 0.]), array([0.32 , 0.064]))
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS}, got {metric!r}.")
    d, p = moments.blocks["x"], moments.blocks["y"]
    if p != 1:
        raise ValueError(f"y must be a single outcome, got {p} columns.")
    phi = np.eye(d) if components is None else np.atleast_2d(np.asarray(components, dtype=np.float64))
    if phi.ndim != 2 or phi.shape[1] != d:
        raise ValueError(f"components must have shape (k, {d}), a column for each feature; got {phi.shape}.")
    seen = represent(moments, phi)
    pooled = seen.pooled
    w = least_squares(seen)[:, 0] if coef is None else np.asarray(coef, dtype=np.float64)
    if w.shape != (len(phi),):
        raise ValueError(f"coef must have shape ({len(phi)},), one for each component; got {w.shape}.")
    a = float(pooled.mean("y")[0, 0] - pooled.mean("x")[0] @ w) if intercept is None else float(intercept)
    return gaps_beside(seen, seen, w, a, metric)


def gaps_beside(seen: Moments, reference: Moments, w: FloatArray, a: float, metric: str) -> FloatArray:
    """Gaps in some environments, where "all together" and "smallest" mean those of others; both moments of (Φx, y)."""
    risk, shift = rule_risks(seen, w, a)
    pooled = reference.pooled
    variance = float(pooled.cov("y")[0, 0, 0])
    if metric == "risk_range":
        return np.maximum(risk - rule_risks(reference, w, a)[0].min(), 0.0)
    if metric == "residual":
        together, floor = float(reference.share @ rule_risks(reference, w, a)[0]), _ROUNDING * variance
        if together <= floor:  # no residual on average, so none in any environment of the reference
            return np.where(risk * reference.share.min() <= floor, 0.0, np.inf)
        return _divergences(risk, shift, together, floor)
    cross = seen.cov("x", "y")[:, :, 0] - seen.cov("x") @ w  # covariance of φ with the rule's residual
    if metric == "gradient":
        return np.sqrt(shift**2 + np.sum((cross + seen.mean("x") * shift[:, None]) ** 2, axis=1))
    delta = solve_ranges(seen.cov("x"), cross)
    if metric == "coefficient":
        # Own less pooled prediction: delta'(x - mean_e) + shift, squared and averaged over all environments together.
        centre = shift + np.sum(delta * (pooled.mean("x") - seen.mean("x")), axis=1)
        return np.sqrt(np.einsum("ei,ij,ej->e", delta, pooled.cov("x")[0], delta) + centre**2)
    excess = np.maximum(np.sum(delta * cross, axis=1), 0.0) + shift**2
    return excess if metric == "excess" else relative(excess, np.maximum(risk - excess, 0.0), variance)


def gap_rounding(reference: Moments, metric: str) -> float:
    """What rounding shows as the gap of a rule that is exactly invariant, in units of the metric."""
    pooled = reference.pooled
    variance = float(pooled.cov("y")[0, 0, 0])
    if metric in ("excess", "risk_range"):
        return _ROUNDING * variance
    if metric == "coefficient":
        return _ROUNDING * float(np.sqrt(variance))
    if metric == "gradient":
        return _ROUNDING * float(np.sqrt(variance * (1.0 + np.trace(pooled.second_moment("x")[0]))))
    return _ROUNDING


def _divergences(risk: FloatArray, shift: FloatArray, together: float, floor: float) -> FloatArray:
    """Divergence of N(shift, risk - shift²) from N(0, average risk)."""
    variance = risk - shift**2
    with np.errstate(divide="ignore"):
        return 0.5 * (risk / together - 1.0 - np.log(np.where(variance > floor, variance, 0.0) / together))


def relative(excess: FloatArray, own: FloatArray, variance: float) -> FloatArray:
    """Excess over own risk; where there is no own risk, 0 if there is no excess either, else infinity."""
    floor = _ROUNDING * variance
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(own > floor, np.maximum(excess, 0.0) / own, np.where(excess > floor, np.inf, 0.0))
