r"""f-divergences in the form in which the solver meets them.

For convex f with f(1) = 0, :math:`D_f(P\|Q) = E_Q f(dP/dQ)`. With :math:`s = dQ/dP` the integrand is
:math:`g(s) = s f(1/s)`, mass of Q where P has none costs f(0) each, and the dual problem needs only
:math:`G(w) = g^*(f(0) - w)` and :math:`s(w) = -G'(w)` for w >= 0. All are convex or decreasing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from scipy.special import rel_entr

from causalinv._typing import ArrayLike, FloatArray
from causalinv._validation import check_number
from causalinv.bounds._conjugate import enclose

__all__ = ["NAMES", "Divergence", "DivergenceLike", "Power", "TotalVariation", "as_divergence", "as_divergences"]

#: Tightest first, as far as they are ordered: chi2 <= kl <= hellinger and chi2 <= kl <= js; tv is not ordered.
NAMES = ("chi2", "tv", "kl", "js", "hellinger")
_STEP = 1e-4  # of t about 1, for the slope there
_KAPPA_FLOOR, _LARGEST_GROWTH = 1e-3, 30.0


class Divergence:
    r"""A divergence from a convex function of yours, conjugated numerically.

    Parameters
    ----------
    f : callable
        Vectorised and convex on t >= 0 with f(1) = 0 and f(0) finite: if f(0) is infinite, the radius is too, and the
        ball says nothing. Kinks and flat pieces are fine. f(t) + c (t - 1) is the same divergence for every c.
    name : str, default "custom"
        How results call it.

    Attributes
    ----------
    f : callable
        The function less its slope at 1 times (t - 1), so that it is least at 1.
    at_zero : float
        f(0) of that.
    recession : float
        Its limit of f(t) / t; infinite if Q must be absolutely continuous to hold all of P.

    Raises
    ------
    ValueError
        If f is not convex, f(1) is not 0, or f(0) is not finite.

    Notes
    -----
    Bounds come from the dual with a conjugate that is never below the true one, so they are never too tight; for smooth
    f they are wide by less than a millionth of the support.

    Examples
    --------
    >>> from causalinv.bounds import Divergence, f_ball_bounds
    >>> le_cam = Divergence(lambda t: (t - 1) ** 2 / (t + 1), name="Le Cam")
    >>> lower, upper = f_ball_bounds([0.0, 1.0], 0.5, weights=[0.7, 0.3], support=(0, 1), divergence=le_cam)
    >>> round(float(upper), 3)
    0.869
    """

    name: str
    at_zero: float
    recession: float

    def __init__(self, f: Callable[[FloatArray], FloatArray], *, name: str = "custom"):
        self.name = name
        ends = [np.asarray(f(np.array([t])), dtype=float) for t in (1.0, 0.0)]
        if any(end.shape != (1,) for end in ends):
            raise ValueError(
                f"The divergence {name!r} must turn an array into one of the same shape: use numpy's functions, as "
                "np.maximum in place of max."
            )
        one, zero = (float(end[0]) for end in ends)
        if not abs(one) < 1e-9:
            raise ValueError(f"The divergence {name!r} needs f(1) = 0, got {one!r}.")
        if not np.isfinite(zero):
            raise ValueError(f"The divergence {name!r} has f(0) = {zero!r}: its ball is everything. Use a finite one.")
        below, above = np.asarray(f(np.array([1.0 - _STEP, 1.0 + _STEP])), dtype=float) / _STEP
        slope = (above - below) / 2.0
        self._slope = slope if np.isfinite(slope) else 0.0
        self._given = f
        self.at_zero = zero + self._slope
        self._enclosure, self.recession = enclose(self.f, self.at_zero, name)

    def f(self, t: FloatArray) -> FloatArray:
        """The function, less a linear term that no divergence feels."""
        return np.asarray(self._given(t), dtype=float) - self._slope * (t - 1.0)

    # -- the ball ----------------------------------------------------------------------------------------------

    def radius(self, e: FloatArray) -> FloatArray:
        """Largest possible divergence of the arm's law from the law of all, B(e) = e f(1/e) + (1 - e) f(0)."""
        return e * self.f(1.0 / e) + (1.0 - e) * self.at_zero

    def radius_slope(self, e: FloatArray) -> FloatArray:
        """Derivative of the radius."""
        step = 1e-6 * e
        return (self.radius(e + step) - self.radius(e - step)) / (2 * step)

    # -- the dual ----------------------------------------------------------------------------------------------

    @property
    def kappa_floor(self) -> float:
        """Least kappa, in mean distances, of scores: a larger one only widens, and keeps them square integrable."""
        return _KAPPA_FLOOR

    def tilt(self, w: FloatArray) -> FloatArray:
        """s(w) = -G'(w), the density ratio at dual argument w; decreasing."""
        return self._enclosure.slope[self._enclosure.place(w)]

    def conjugate(self, w: FloatArray) -> FloatArray:
        """G(w) = max over s of s (f(0) - w) - g(s), or a little more; infinite where nothing bounds it."""
        return self._enclosure.value(w)

    def entropy(self, w: FloatArray) -> FloatArray:
        """G(w) + w s(w): minus what the dual gains per unit of lambda, besides the constant."""
        return self._enclosure.level[self._enclosure.place(w)]

    def __repr__(self) -> str:
        return f"<divergence {self.name}>"


class Power(Divergence):
    """Scale times f(t) = (t^a - 1 - a (t - 1)) / (a (a - 1)); a = 1 is Kullback-Leibler, 2 chi-squared, 1/2 Hellinger.

    Every member's ball is the ball of the Rényi divergence of order a with radius -log e, so balls shrink as a grows.
    """

    def __init__(self, order: float, *, name: str, multiple: float = 1.0):
        self.order, self.name, self.multiple = order, name, multiple
        self.at_zero = multiple / order
        self.recession = np.inf if order >= 1 else multiple / (1.0 - order)

    def f(self, t: FloatArray) -> FloatArray:
        """The function itself."""
        a = self.order
        if a == 1:
            return self.multiple * (rel_entr(t, 1.0) - t + 1.0)
        with np.errstate(over="ignore"):  # infinite is then the answer
            return self.multiple * (t**a - 1.0 - a * (t - 1.0)) / (a * (a - 1.0))

    def radius(self, e: FloatArray) -> FloatArray:
        """B(e)."""
        a = self.order
        with np.errstate(over="ignore"):  # beyond all floats: infinite
            return self.multiple * (-np.log(e) if a == 1 else np.expm1((1.0 - a) * np.log(e)) / (a * (a - 1.0)))

    def radius_slope(self, e: FloatArray) -> FloatArray:
        """B'(e)."""
        with np.errstate(over="ignore"):
            return -self.multiple * e**-self.order / self.order

    @property
    def kappa_floor(self) -> float:
        """As of others; for orders below 1, whose G(w) grows like w^(-(1 - a)/a), where that is at most 30."""
        a = self.order
        return max(_KAPPA_FLOOR, _LARGEST_GROWTH ** (-a / (1.0 - a))) if a < 1 else _KAPPA_FLOOR

    def tilt(self, w: FloatArray) -> FloatArray:
        """s(w)."""
        return inverse_power(self.order * w / self.multiple, 1.0 / self.order)

    def conjugate(self, w: FloatArray) -> FloatArray:
        """G(w)."""
        a, w = self.order, w / self.multiple
        if a == 1:
            return -self.multiple * np.log(w)
        with np.errstate(invalid="ignore"):  # outside its domain, where the caller looks at no value
            return self.multiple * (1.0 - (a * w) ** ((a - 1.0) / a)) / (a - 1.0)


class JensenShannon(Divergence):
    """f(t) = (t log t - (t + 1) log((t + 1) / 2)) / 2, and its own mirror image g = f."""

    name = "js"
    at_zero = recession = np.log(2.0) / 2.0

    def __init__(self) -> None:
        pass

    def f(self, t: FloatArray) -> FloatArray:
        """The function itself."""
        return (rel_entr(t, 1.0) - (t + 1.0) * np.log((t + 1.0) / 2.0)) / 2.0

    def cost(self, s: FloatArray) -> FloatArray:
        """Cost g, equal to f."""
        return self.f(s)

    def radius(self, e: FloatArray) -> FloatArray:
        """B(e)."""
        u = 1.0 - e  # no two terms of the order of u cancel, so digits stay however near e is to one
        return (u * np.log(2.0) + e * np.log(e) - (1.0 + e) * np.log1p(-u / 2.0)) / 2.0

    def radius_slope(self, e: FloatArray) -> FloatArray:
        """B'(e)."""
        return (np.log(e) - np.log1p(e)) / 2.0

    def tilt(self, w: FloatArray) -> FloatArray:
        """s(w)."""
        return 1.0 / np.expm1(np.minimum(2.0 * w, 600.0))

    def conjugate(self, w: FloatArray) -> FloatArray:
        """G(w)."""
        return -self.at_zero - np.log(-np.expm1(-2.0 * w)) / 2.0

    def scale(self, x: FloatArray, weights: FloatArray, tol: float = 1e-15) -> FloatArray:
        """The b with mean s(b x) = 1: Newton from the left, where the convex decreasing function makes it monotone.

        As 1/z - 1/2 <= 1/(e^z - 1) <= 1/z, the root lies between 2c/3 and c = mean of 1 / (2x).
        """
        b = mean(weights, 1.0 / (3.0 * x))
        for _ in range(60):
            s = self.tilt(b[:, None] * x)
            step = (mean(weights, s) - 1.0) / mean(weights, 2.0 * x * s * (1.0 + s))
            b = b + step
            if (np.abs(step) <= tol * b).all():
                break
        return b


class TotalVariation(Divergence):
    """f(t) = |t - 1| / 2."""

    name = "tv"
    at_zero = recession = 0.5

    def __init__(self) -> None:
        pass

    def f(self, t: FloatArray) -> FloatArray:
        """The function itself."""
        return np.abs(t - 1.0) / 2.0

    def cost(self, s: FloatArray) -> FloatArray:
        """Cost g, equal to f."""
        return self.f(s)

    def radius(self, e: FloatArray) -> FloatArray:
        """B(e)."""
        return 1.0 - e

    def radius_slope(self, e: FloatArray) -> FloatArray:
        """B'(e)."""
        return -np.ones_like(e)

    def tilt(self, w: FloatArray) -> FloatArray:
        """s(w)."""
        return np.where(w < 1.0, 1.0, 0.0)

    def conjugate(self, w: FloatArray) -> FloatArray:
        """G(w)."""
        return np.maximum(0.5 - w, -0.5)


DivergenceLike: TypeAlias = str | tuple[str, float] | Divergence


def mean(weights: FloatArray, values: FloatArray) -> FloatArray:
    """Row means of (m, K) values under (m, K) weights that sum to one."""
    out: FloatArray = np.einsum("mk,mk->m", weights, values)
    return out


def inverse_power(x: FloatArray, power: float) -> FloatArray:
    """Take x to the minus `power`; square roots and reciprocals where they do, as powers are ten times slower."""
    if power == 1.0:
        return 1.0 / x
    if power == 0.5:
        return 1.0 / np.sqrt(x)
    if power == 2.0:
        return 1.0 / (x * x)
    return x**-power


_MAKE: dict[str, Callable[[], Divergence]] = {
    "chi2": lambda: Power(2.0, name="chi2"),
    "tv": TotalVariation,
    "kl": lambda: Power(1.0, name="kl"),
    "js": JensenShannon,
    "hellinger": lambda: Power(0.5, name="hellinger", multiple=0.25),
}


def as_divergence(divergence: DivergenceLike) -> Divergence:
    """Turn a name, ``("alpha", a)`` or a `Divergence` into a `Divergence`."""
    if isinstance(divergence, Divergence):
        return divergence
    if isinstance(divergence, str) and divergence in _MAKE:
        return _MAKE[divergence]()
    if isinstance(divergence, tuple) and len(divergence) == 2 and divergence[0] == "alpha":
        order = check_number(divergence[1], "the order a of divergence=('alpha', a)", low=0.0, open_low=True)
        if np.isinf(order):
            raise ValueError("The order a of divergence=('alpha', a) must be finite; its limit is Manski's bound.")
        return Power(order, name=f"alpha={order:g}")
    raise ValueError(
        f"divergence must be one of {NAMES}, ('alpha', a) with a > 0, or a Divergence made from a convex function; "
        f"got {divergence!r}."
    )


def as_divergences(divergence: DivergenceLike | Sequence[DivergenceLike]) -> list[Divergence]:
    """Turn one divergence, a list of them, or "all" into a list, of which no name may come twice."""
    if isinstance(divergence, str) and divergence == "all":
        return [as_divergence(name) for name in NAMES]
    if not isinstance(divergence, list):
        return [as_divergence(divergence)]  # type: ignore[arg-type]
    found = [as_divergence(each) for each in divergence]
    names = [each.name for each in found]
    if not found or len(set(names)) < len(names):
        raise ValueError(f"divergence must list different divergences, at least one; got {names}.")
    return found


def f_radius(propensity: ArrayLike, divergence: DivergenceLike) -> Any:
    r"""Radius of the f-ball around an arm's law that must hold the law of everybody.

    Consistency alone gives Q = e P + (1 - e) R, with P the law of Y(a) in arm a, R elsewhere and e the propensity. So
    :math:`D_f(P\|Q) \le e f(1/e) + (1 - e) f(0)`, with equality where R and P have nothing in common.

    Parameters
    ----------
    propensity : float or array-like
        P(A = a | x), above 0 and at most 1.
    divergence : {"chi2", "tv", "kl", "js", "hellinger"}, ("alpha", a) or Divergence
        Which f.

    Returns
    -------
    float or ndarray
        Of the shape of `propensity`.

    Raises
    ------
    ValueError
        If a propensity is not in (0, 1], or the divergence is unknown.

    Examples
    --------
    >>> from causalinv.bounds import f_radius
    >>> f_radius([0.25, 0.5], "chi2")
    array([1.5, 0.5])
    """
    e = check_propensity(propensity)
    out = as_divergence(divergence).radius(np.atleast_1d(e))
    return out.reshape(e.shape) if e.ndim else float(out[0])


def check_propensity(propensity: ArrayLike) -> FloatArray:
    """Propensities as an array of numbers in (0, 1]."""
    e = np.asarray(propensity, dtype=float)
    bad = ~((e > 0) & (e <= 1))
    if bad.any():
        raise ValueError(
            f"propensity must lie in (0, 1], got {float(e[bad].ravel()[0])!r} ({int(bad.sum())} of {e.size}). Where "
            "the arm never occurs nothing about it is known."
        )
    return e
