"""Bounds as functions of a law: no data, no estimator, no assumption beyond the one that the function names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from causalinv._typing import ArrayLike, FloatArray
from causalinv._validation import check_number, check_whole
from causalinv.bounds._divergences import Divergence, DivergenceLike, as_divergence, check_propensity
from causalinv.bounds._docs import documented
from causalinv.bounds._solver import solve

__all__ = [
    "Cap",
    "cap_bounds",
    "density_ratio_of",
    "f_ball_bounds",
    "f_ball_end",
    "finite_density_ratio",
    "kth_order",
    "manski_bounds",
    "tail_means",
]

Cap = tuple[float, float]  # least and largest density ratio (m, M) between those outside an arm and those inside


@documented
def manski_bounds(
    values: ArrayLike, propensity: ArrayLike, *, weights: ArrayLike | None = None, support: tuple[float, float]
) -> tuple[Any, Any]:
    r"""Sharp bounds on the mean of Y(a) under no assumption: :math:`e\mu + (1 - e)\,[L, U]`.

    {law_and_propensity}
    support : (float, float)
        Lower and upper limit of Y(a); may be infinite.

    {both_ends}

    Raises
    ------
    ValueError
        If shapes do not match, weights are negative, or a value is outside the support.

    Examples
    --------
    >>> from causalinv.bounds import manski_bounds
    >>> manski_bounds([0.0, 1.0], 0.5, support=(0, 1))
    (0.25, 0.75)
    """
    law = _Law(values, propensity, weights, support)
    low, high = (law.e * law.mean + law.times_missing(limit) for limit in law.support)
    return law.shaped(low), law.shaped(high)


@documented
def f_ball_bounds(
    values: ArrayLike,
    propensity: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    support: tuple[float, float],
    divergence: DivergenceLike = "chi2",
) -> tuple[Any, Any]:
    r"""Range of the mean of Q over the f-ball :math:`D_f(P\|Q) \le` `f_radius` around the arm's law P.

    The ball contains every law that the data allow, and more: these bounds contain `manski_bounds`, always. They are
    never sharp, and with an infinite support they are infinite for every f.

    {law_and_propensity}
    support : (float, float)
        Lower and upper limit of Y(a); may be infinite.
    divergence : {"chi2", "tv", "kl", "js", "hellinger"}, ("alpha", a) or Divergence, default "chi2"
        Which ball.

    {both_ends}

    Raises
    ------
    ValueError
        If shapes do not match, weights are negative, a value is outside the support, or the divergence is unknown.

    Notes
    -----
    Solved exactly, by one root per law; the distance between primal and dual is below 1e-6 of the distance between the
    mean and the limit of the support. (For a divergence of yours the dual, a valid bound, is returned: it can be wider
    where f has kinks, or where an atom near the limit has a very small weight.)

    Source: the ball is that of Jung and Kang (2026); the solver, the order and the containment are this package's own
    (proofs in the vignette on bounds).

    Examples
    --------
    >>> from causalinv.bounds import f_ball_bounds
    >>> lower, upper = f_ball_bounds([0.0, 1.0], [0.5, 0.9], support=(0, 1), divergence="chi2")
    >>> lower.round(3), upper.round(3)
    (array([0.146, 0.342]), array([0.854, 0.658]))
    """
    law = _Law(values, propensity, weights, support)
    chosen = as_divergence(divergence)
    low, high = law.support
    upper = f_ball_end(law.values, law.weights, law.e, high, chosen)
    lower = -f_ball_end(-law.values, law.weights, law.e, -low, chosen)
    return law.shaped(lower), law.shaped(upper)


def f_ball_end(
    values: FloatArray, weights: FloatArray, e: FloatArray, limit: float, divergence: Divergence
) -> FloatArray:
    """Upper ends (m,) on validated arrays; infinite where the limit is and the propensity is below one."""
    if np.isinf(limit):
        return np.where(e < 1.0, limit, np.sum(weights * values, axis=-1))
    return limit - solve(np.maximum(limit - values, 0.0), weights, e, divergence).distance


@documented
def cap_bounds(
    values: ArrayLike,
    propensity: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    odds_ratio: float | None = None,
    density_ratio: tuple[float, float] | None = None,
    support: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[Any, Any]:
    r"""Sharp bounds on the mean of Y(a) if unmeasured confounding is limited; finite for unbounded outcomes.

    Let R be the law of Y(a) outside arm a. If :math:`m \le dR/dP \le M` the worst R weighs the upper tail of P by M and
    the rest by m. An odds ratio of at most Λ between the propensity with and without knowledge of Y(a) (the marginal
    sensitivity model) is the same as m = 1/Λ, M = Λ.

    {law_and_propensity}
    odds_ratio : float >= 1, optional
        Λ. Either this or `density_ratio`.
    density_ratio : (float, float), optional
        (m, M) with 0 <= m <= 1 <= M.
    support : (float, float), default (-inf, inf)
        Known limits of Y(a). They only serve as a check: R has no mass where P has none.

    {both_ends}

    Raises
    ------
    ValueError
        If not exactly one strength is given, it is impossible, or the law is malformed.

    Examples
    --------
    >>> from causalinv.bounds import cap_bounds
    >>> lower, upper = cap_bounds([0.0, 1.0, 2.0], 0.5, odds_ratio=2.0)
    >>> round(float(lower), 3), round(float(upper), 3)
    (0.75, 1.25)
    """
    law = _Law(values, propensity, weights, support)
    m, M = density_ratio_of(odds_ratio, density_ratio)
    order = np.argsort(law.values, kind="stable")
    w = law.weights[..., order]
    low, high = tail_means(law.values[order], w, m, M)
    mix = m * law.mean
    lower = law.e * law.mean + (1 - law.e) * (mix + (1 - m) * low)
    upper = law.e * law.mean + (1 - law.e) * (mix + (1 - m) * high)
    return law.shaped(lower), law.shaped(upper)


def tail_means(values: FloatArray, weights: FloatArray, m: float, M: float) -> tuple[FloatArray, FloatArray]:
    """Mean of the lowest and of the highest fraction (1 - m) / (M - m) of laws on sorted values."""
    if m == M:  # then both are 1, and the mix above gives the tails no weight
        return weights @ values, weights @ values
    share = 0.0 if np.isinf(M) else (1.0 - m) / (M - m)
    if share < 1e-15:
        held = np.broadcast_to(weights > 0, weights.shape)
        return values[np.argmax(held, axis=-1)], values[::-1][np.argmax(held[..., ::-1], axis=-1)]
    below = np.cumsum(weights, axis=-1)
    first = np.clip(share - (below - weights), 0.0, weights)
    last = np.clip(share - (below[..., -1:] - below), 0.0, weights)
    return first @ values / share, last @ values / share


def density_ratio_of(odds_ratio: Any, density_ratio: Any) -> Cap:
    """(m, M) from whichever of the two strengths was given."""
    if (odds_ratio is None) == (density_ratio is None):
        raise ValueError("Give exactly one of odds_ratio= (>= 1) and density_ratio=(m, M): how strong is confounding?")
    if odds_ratio is not None:
        strength = check_number(odds_ratio, "odds_ratio", low=1.0)
        return 1.0 / strength, strength
    try:
        m, M = density_ratio
    except (TypeError, ValueError):
        raise ValueError(f"density_ratio must be a pair (m, M), got {density_ratio!r}.") from None
    m = check_number(m, "m of density_ratio=(m, M)", low=0.0, high=1.0)
    M = check_number(M, "M of density_ratio=(m, M)", low=1.0)
    if m == 1.0 or M == 1.0:  # a density that is nowhere below, or nowhere above, one is one
        return 1.0, 1.0
    return m, M


def finite_density_ratio(odds_ratio: Any, density_ratio: Any = None) -> Cap:
    """The same for laws that are estimated: it must be finite."""
    m, M = density_ratio_of(odds_ratio, density_ratio)
    if np.isinf(M):
        which = "odds_ratio" if density_ratio is None else "density_ratio"
        raise ValueError(f"An infinite {which} is no assumption, and the sample knows no tail: use ManskiBounds.")
    return m, M


def kth_order(lower: ArrayLike, upper: ArrayLike, k: int) -> tuple[FloatArray, FloatArray]:
    """Combine bounds from several divergences: the k-th smallest upper and the k-th largest lower end.

    On the population k = 1, the intersection, is right. In samples the least of several noisy upper ends is biased
    inward; a larger k hedges against that and against numerical failure, and promises nothing.

    Parameters
    ----------
    lower, upper : array-like of shape (n_divergences, ...)
        Ends.
        Not NaN.
    k : int
        From 1, the tightest, to n_divergences, the loosest.

    Returns
    -------
    lower, upper : ndarray of shape (...)

    Raises
    ------
    ValueError
        If shapes differ, an end is NaN or k is out of range.

    Examples
    --------
    >>> from causalinv.bounds import kth_order
    >>> kth_order([[0.1], [0.2], [0.3]], [[0.9], [0.7], [0.8]], k=2)
    (array([0.2]), array([0.8]))
    """
    low, high = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if low.shape != high.shape or low.ndim == 0:
        raise ValueError(f"lower and upper must have one shape (n_divergences, ...), got {low.shape} and {high.shape}.")
    unknown = int(np.isnan(low).sum() + np.isnan(high).sum())
    if unknown:
        raise ValueError(f"{unknown} of the ends are NaN, which have no order: leave these divergences or rows out.")
    if check_whole(k, "k", low=1) > len(low):
        raise ValueError(f"k must be at most the number of divergences, {len(low)}, got {k}.")
    return np.sort(low, axis=0)[-k], np.sort(high, axis=0)[k - 1]


class _Law:
    """Validated arguments of the functions above."""

    def __init__(
        self, values: ArrayLike, propensity: ArrayLike, weights: ArrayLike | None, support: Sequence[float]
    ) -> None:
        self.values = np.asarray(values, dtype=float)
        if self.values.ndim != 1 or not self.values.size or not np.isfinite(self.values).all():
            raise ValueError(f"values must be one row of finite numbers, got shape {self.values.shape}.")
        e = check_propensity(propensity)
        if e.ndim > 1:
            raise ValueError(f"propensity must be a number or of shape (m,), got shape {e.shape}.")
        self.scalar, self.e = e.ndim == 0, np.atleast_1d(e)
        k = len(self.values)
        w = np.full(k, 1.0 / k) if weights is None else np.asarray(weights, dtype=float)
        if w.shape[-1:] != (k,) or w.ndim > 2 or (w.ndim == 2 and not self.scalar and len(w) != len(self.e)):
            raise ValueError(
                f"weights must have shape ({k},) or ({len(self.e)}, {k}), one row per propensity; got {w.shape}."
            )
        top = w.max(axis=-1, keepdims=True, initial=0.0)
        if np.isfinite(w).all():
            w = w / np.where(top > 0, top, 1.0)  # before summing: a sum of large weights overflows
        total = w.sum(axis=-1, keepdims=True)
        if not (np.isfinite(w).all() and (w >= 0).all() and (total > 0).all()):
            raise ValueError("weights must be finite and >= 0, with a positive sum in every row.")
        if w.ndim == 2 and self.scalar:
            self.scalar, self.e = False, np.full(len(w), float(e))
        self.weights = w / total
        self.support = check_support(support)
        self.mean = self.weights @ self.values
        low, high = self.support
        if self.values.min() < low or self.values.max() > high:
            raise ValueError(
                f"values lie outside the support ({low:g}, {high:g}): they range from {self.values.min():g} to "
                f"{self.values.max():g}."
            )

    def times_missing(self, limit: float) -> FloatArray:
        """(1 - e) times a limit, 0 where e is one even if the limit is infinite."""
        missing = 1.0 - self.e
        return np.where(missing > 0, missing, 1.0) * np.where(missing > 0, limit, 0.0)

    def shaped(self, ends: FloatArray) -> Any:
        return float(ends[0]) if self.scalar else np.asarray(ends)


def check_support(support: Any, name: str = "support") -> tuple[float, float]:
    """(L, U) with L < U; either may be infinite."""
    try:
        low, high = support
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a pair (L, U), got {support!r}.") from None
    low, high = check_number(low, f"L of {name}=(L, U)"), check_number(high, f"U of {name}=(L, U)")
    if not low < high:
        raise ValueError(f"{name}=(L, U) needs L < U, got ({low:g}, {high:g}).")
    return low, high
