r"""Inference for a rule whose residual has the same mean, and the same covariances with the features, everywhere.

With :math:`w_e(\beta) = E_e[(1, x)(y - x'\beta)]` the rule is neutral if :math:`w_e` is the same in every environment:
hidden causes of x and y may make it anything but zero, as long as no environment changes them. These are linear
equations in the coefficients. With :math:`V_e(\beta)` the covariance of the rows behind :math:`w_e`,

.. math:: Q(\beta) = \min_w \sum_e n_e (w_e(\beta) - w)' V_e(\beta)^{-1} (w_e(\beta) - w)

is, at the true rule, chi-squared with (E - 1)(d + 1) degrees of freedom in large samples, however weakly environments
differ; minimised over all coefficients, with d fewer if they differ enough. The inverse of a covariance estimated from
few rows is too large: it is shrunk by (n_e - d - 3)/(n_e - 1), exact for the mean of Q in Gaussian equations.

In others mean and covariance of an environment's equations err together, above all where rows are few and equations
skew, and cancel between equals only. Q is therefore compared with F, whose second degrees of freedom are Welch's and
Satterthwaite's with the kurtosis of the equations in them: an environment of kurtosis :math:`\kappa_e` (3 for Gaussian
equations; Mardia's, in units of one direction) errs in the size of its covariance by a variance of
:math:`(\kappa_e - 1)/(n_e - 1)` and carries the share :math:`\pi_e` of Q, so that

.. math:: \nu = 2 \Big/ \sum_e \pi_e^2 (\kappa_e - 1)/(n_e - 1).

Few rows do not show how heavy their tails are: :math:`\kappa_e` is the environment's own or the average over all rows,
whichever is larger. Wald's intervals take Student's quantile with the same degrees of freedom, for the rows' influence
on the coefficient. Two environments, one equation, kurtosis 3: Welch's t test. In large samples it is chi-squared and
normal.

The estimate minimises Q itself (continuous updating, Hansen, Heaton and Yaron 1996), whose median, unlike that of
iterated weights, hardly moves when equations are many beside the rows; its covariance is the sandwich of Newey and
Windmeijer (2009), which counts what many equations add.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import chdtri, fdtrc, stdtr, stdtrit

from causalinv._matrix import dependent_columns, inverse_ranges, lstsq, pseudo_inverse, range_eigh, whitener
from causalinv._typing import BoolArray, FloatArray

__all__ = ["MomentInference", "infer", "skewness"]

Profile = Callable[[float], float]

_ROUNDS, _SETTLED = 30, 1e-8  # of the iterated weights
_VALLEYS, _HIGH = 3, 2.0  # so many searches at most, none where Q is above its least and the number of equations twice
_FLAT = 1e-9  # curvature of Q beside its largest that counts as none
_BEND = 1e-5  # standardised: step of the derivative of the gradient
_TAKES_PART = 1e-6  # standardised: slope of a dependent feature on one that is part of it
_FAR = 1e6  # units of y per unit of x, standardised, beyond which a set counts as unbounded
_STEP = 0.1  # standardised: first step of the search for an end
_NEVER = 1e-9  # error of a variance, relative and squared, below which the law is chi-squared


@dataclass(frozen=True)
class MomentInference:
    """Estimates and intervals, standardised units.

    Attributes
    ----------
    coef, std_error, pvalue : ndarray of shape (d,)
        NaN, infinity and 1 (Wald) where a coefficient is left open: by features that are constant, or combinations of
        others, or because a coefficient without end fits hardly worse (a likelihood-ratio interval had no end).
    interval : ndarray of shape (d, 2)
    fit_pvalue : float
        Whether one rule fits all environments (Hansen's J); NaN without more equations than coefficients.
    strength_pvalue : float
        Whether environments differ enough to tell the coefficients apart at all: the largest p-value, over features, of
        the hypothesis that they do not.
    """

    coef: FloatArray
    std_error: FloatArray
    pvalue: FloatArray
    interval: FloatArray
    fit_pvalue: float
    strength_pvalue: float


class _Equations:
    """Q and its minimum for one outcome: residual ``outcome - features @ b``, always with these instruments."""

    def __init__(self, parts: list[FloatArray], instruments: list[FloatArray]):
        self._parts, self._instruments = parts, instruments  # columns: outcome, then features
        self._means = np.array([z.T @ part / len(part) for z, part in zip(instruments, parts, strict=True)])
        self._counts = np.array([len(part) for part in parts])
        self._factors = self._counts * (self._counts - float(instruments[0].shape[1] + 2))
        few = self._counts <= instruments[0].shape[1] + 2
        if few.any():
            raise ValueError(
                f"Each environment needs at least {instruments[0].shape[1] + 3} rows for {instruments[0].shape[1]} "
                f"equations; the smallest has {self._counts.min()}. Pool environments, or leave these out."
            )

    def _rows(self, direction: FloatArray) -> list[FloatArray]:
        """Of each environment the instruments times the residual, less their mean."""
        means = self._means @ direction
        return [
            z * (part @ direction)[:, None] - mean
            for z, part, mean in zip(self._instruments, self._parts, means, strict=True)
        ]

    def _inverted(self, rows: list[FloatArray]) -> FloatArray:
        return self._factors[:, None, None] * inverse_ranges(np.array([each.T @ each for each in rows]))

    def weights(self, b: FloatArray) -> FloatArray:
        """Inverse covariances of the means of the instruments times the residual, shape (E, q, q)."""
        return self._inverted(self._rows(np.r_[1.0, -b]))

    def _left(self, direction: FloatArray, weight: FloatArray) -> FloatArray:
        """What each environment's w lies off the common one."""
        w = self._means @ direction
        return w - pseudo_inverse(weight.sum(axis=0)) @ np.einsum("eij,ej->i", weight, w)

    def value(self, b: FloatArray) -> float:
        """Q, its weights taken at b."""
        direction = np.r_[1.0, -b]
        weight = self._inverted(self._rows(direction))
        left = self._left(direction, weight)
        return float(np.einsum("ei,eij,ej->", left, weight, left))

    def pvalue(self, b: FloatArray, freedom: int) -> float:
        """Of Q, its weights taken at b, by F with so many degrees of freedom above."""
        direction = np.r_[1.0, -b]
        rows = self._rows(direction)
        squares = np.array([each.T @ each for each in rows])
        inverse = inverse_ranges(squares)
        weight = self._factors[:, None, None] * inverse
        left = self._left(direction, weight)
        lengths = [
            n * np.einsum("ij,jk,ik->i", each, back, each)
            for each, back, n in zip(rows, inverse, self._counts.tolist(), strict=True)
        ]
        first, second = np.array([[each.mean(), np.mean(each**2)] for each in lengths]).T  # the first is a rank
        kurtosis = np.where(first > 0, 3.0 * second / np.where(first > 0, first * (first + 2.0), 1.0), 1.0)
        carried = first - np.einsum("ij,eji->e", pseudo_inverse(weight.sum(axis=0)), weight)
        below = _satterthwaite(np.maximum(carried, 0.0)[:, None], kurtosis[:, None], self._counts)[0]
        return float(fdtrc(freedom, below, np.einsum("ei,eij,ej->", left, weight, left) / freedom))

    def _slopes(self, direction: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Derivative of each w in (1, -b) less what it shares with w by chance, the weights and what w lies off."""
        rows = self._rows(direction)
        weight = self._inverted(rows)
        left = self._left(direction, weight)
        pulls = np.einsum("eij,ej->ei", weight, left) / self._factors[:, None]
        out = []
        for z, part, each, pull, n in zip(
            self._instruments, self._parts, rows, pulls, self._counts.tolist(), strict=True
        ):
            kept = 1.0 / n - each @ pull  # covariance with rows, as weights of the rows
            out.append((z.T * kept) @ part)
        return np.array(out), weight, left

    def with_gradient(self, direction: FloatArray) -> tuple[float, FloatArray]:
        """Q and its derivative in (1, -b), whose length does not matter to Q."""
        slopes, weight, left = self._slopes(direction)
        pulled = np.einsum("eij,ej->ei", weight, left)
        return float(np.sum(left * pulled)), 2.0 * np.asarray(np.einsum("eij,ei->j", slopes, pulled))

    def gradient(self, b: FloatArray) -> FloatArray:
        """Derivative of Q in b."""
        return -self.with_gradient(np.r_[1.0, -b])[1][1:]

    def settle(self, start: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Minimiser of Q, its covariance (infinite where Q does not bend upwards) and degrees of freedom."""
        coef = self.minimiser(start)
        steps = _BEND * np.eye(len(coef))
        bend = np.array([self.gradient(coef + step) - self.gradient(coef - step) for step in steps]) / (4.0 * _BEND)
        slopes, weight, _ = self._slopes(np.r_[1.0, -coef])
        slopes = -slopes[:, :, 1:]
        moved = np.einsum("eij,ejk->eik", weight, slopes)
        mean = pseudo_inverse(weight.sum(axis=0)) @ moved.sum(axis=0)
        middle = np.einsum("eji,ejk->ik", slopes, moved) - moved.sum(axis=0).T @ mean
        values, vectors, _ = range_eigh((bend + bend.T) / 2, rescale=False, tol=_FLAT)
        inverse = (vectors / values) @ vectors.T
        cov = inverse @ middle @ inverse
        open_ = np.sum(vectors**2, axis=1) < 1.0 - _FLAT  # part of a direction in which Q does not bend upwards
        cov[open_, open_] = np.inf
        pulls = np.einsum("kl,eil,eij->ekj", inverse, slopes - mean, weight)
        effects = [each @ pull.T for each, pull in zip(self._rows(np.r_[1.0, -coef]), pulls, strict=True)]
        counts = self._counts[:, None]
        second = np.array([np.mean(each**2, axis=0) for each in effects])
        fourth = np.array([np.mean(each**4, axis=0) for each in effects])
        kurtosis = np.where(second > 0, fourth / np.where(second > 0, second**2, 1.0), 1.0)
        return coef, cov, _satterthwaite(second / counts, kurtosis, self._counts)

    def _apart(self, weight: FloatArray) -> FloatArray:
        """Q for given weights is a form in (1, -b): its matrix."""
        weighted = np.einsum("eij,ejk->eik", weight, self._means)
        shared = weighted.sum(axis=0)
        whole = np.einsum("eji,ejk->ik", self._means, weighted)
        return np.asarray(whole - shared.T @ pseudo_inverse(weight.sum(axis=0)) @ shared)

    def solve(self, weight: FloatArray) -> FloatArray:
        """Minimiser for given weights."""
        apart = self._apart(weight)
        return pseudo_inverse(apart[1:, 1:]) @ apart[1:, 0]

    def iterate(self, b: FloatArray) -> FloatArray:
        """Where iterated weights settle."""
        for _ in range(_ROUNDS):
            new = self.solve(self.weights(b))
            if np.abs(new - b).max(initial=0.0) <= _SETTLED * (1.0 + np.abs(new).max(initial=0.0)):
                return new
            b = new
        return b

    def _roots(self, half: FloatArray) -> list[FloatArray]:
        """Where Q is stationary if errors have one variance everywhere: the directions of a generalised eigenproblem.

        With covariances s^2(b) times those of the instruments, Q is a ratio of two quadratic forms in (1, -b).
        """
        second = np.array([z.T @ z / n**2 for z, n in zip(self._instruments, self._counts.tolist(), strict=True)])
        apart = self._apart(inverse_ranges(second))
        directions = half @ np.linalg.eigh(half.T @ apart @ half)[1]
        small = np.abs(directions[0]) <= _FLAT * np.abs(directions).max(axis=0)
        return list((-directions[1:, ~small] / directions[0, ~small]).T)

    def minimiser(self, start: FloatArray) -> FloatArray:
        """Of Q, its weights moving with b. Q has valleys beside its lowest: the search begins in several.

        What is moved is the direction of (1, -b), in coordinates in which outcome and features are uncorrelated: a
        search does not run away where Q falls to the far end of a valley, and ends where it does in any others.
        """
        if not len(start):
            return start
        rows = np.vstack(self._parts)
        second = rows.T @ rows / len(rows)
        half = whitener(second)

        def turned(u: FloatArray) -> tuple[float, FloatArray]:
            value, slope = self.with_gradient(half @ u)
            return value, half.T @ slope

        near = min((start, self.iterate(start)), key=self.value)
        starts = sorted(((self.value(each), each) for each in [near, *self._roots(half)]), key=lambda pair: pair[0])
        least, best = starts[0]
        for value, each in starts[:_VALLEYS]:
            if value > _HIGH * (least + self._means.size):
                break  # and those after it lie higher
            u = half.T @ second @ np.r_[1.0, -each]
            found = minimize(turned, u / np.linalg.norm(u), jac=True, method="BFGS", options={"gtol": 1e-6})
            direction = half @ found.x
            if found.fun < least and direction[0] != 0:
                least, best = float(found.fun), -direction[1:] / direction[0]
        return best


def _satterthwaite(shares: FloatArray, kurtosis: FloatArray, counts: FloatArray) -> FloatArray:
    """Degrees of freedom of sums of variances (E, k) that are estimated from rows of this kurtosis, shape (k,)."""
    total = shares.sum(axis=0)
    part = shares / np.where(total > 0, total, 1.0)
    most = np.maximum(kurtosis, counts @ kurtosis / counts.sum())
    return np.asarray(2.0 / np.maximum(np.sum(part**2 * (most - 1.0) / (counts[:, None] - 1.0), axis=0), _NEVER))


def infer(
    parts: list[FloatArray], confidence_level: float, *, robust: bool, start: FloatArray | None = None
) -> MomentInference:
    """Estimates, tests and intervals from rows (y, x) of each environment, about a common mean, in comparable units.

    Parameters
    ----------
    parts : list of ndarray of shape (n_e, d + 1)
    confidence_level : float
    robust : bool
        Whether intervals hold however weakly environments differ (Anderson and Rubin's; maybe unbounded) instead of
        Wald's.
    start : ndarray of shape (d,), optional
    """
    d, E = parts[0].shape[1] - 1, len(parts)
    features = np.vstack(parts)[:, 1:]
    dropped = dependent_columns(features.T @ features / len(features))
    if dropped.any():
        return _without(dropped, parts, features, confidence_level, robust=robust, start=start)
    instruments = [np.column_stack([np.ones(len(part)), part[:, 1:]]) for part in parts]
    equations = _Equations(parts, instruments)
    coef, cov, below = equations.settle(np.zeros(d) if start is None else start)
    error = np.sqrt(np.maximum(np.diag(cov), 0.0))
    error[error == 0] = np.inf  # a coefficient that the equations say nothing of
    freedom = (E - 1) * (d + 1)
    fit = equations.pvalue(coef, freedom - d) if freedom > d else float("nan")
    # Feature j is told apart from the others unless some combination x_j - x_others'g moves nothing.
    lost, told = [], []
    for j in range(d):
        others = [k for k in range(1, d + 1) if k != j + 1]
        reduced = _Equations([part[:, [j + 1, *others]] for part in parts], instruments)
        least = reduced.minimiser(np.zeros(d - 1))
        lost.append(reduced.value(least))
        told.append([reduced.pvalue(least, free) for free in (max(freedom - (d - 1), 1), freedom)])
    strength = float(max((each[0] for each in told), default=1.0))
    # As b_j grows without end Q comes as near as one likes to what it is without y: where that is hardly more than its
    # minimum there is no estimate of b_j, or none that another order of the rows would not move.
    open_ = np.array(lost) - equations.value(coef) <= chdtri(1, 1.0 - confidence_level)
    shown, error = np.where(open_, np.nan, coef), np.where(open_, np.inf, error)
    if not robust:
        wide = -stdtrit(below, (1.0 - confidence_level) / 2) * error
        pvalue = 2.0 * stdtr(below, -np.abs(coef) / error)
        return MomentInference(shown, error, pvalue, np.column_stack([coef - wide, coef + wide]), fit, strength)
    interval, pvalue = np.empty((d, 2)), np.empty(d)
    for j in range(d):
        profile = _profile(parts, instruments, j, coef, freedom)
        pvalue[j] = profile(0.0)
        if told[j][1] >= 1.0 - confidence_level:
            interval[j] = -np.inf, np.inf  # far away fits as well as near: the set has no end
        else:
            interval[j] = [_end(profile, float(coef[j]), sign, 1.0 - confidence_level) for sign in (-1.0, 1.0)]
    return MomentInference(shown, error, pvalue, interval, fit, strength)


def skewness(parts: list[FloatArray], coef: FloatArray) -> float:
    """Third moment of the residuals of y at these coefficients, each environment's about its mean and in its unit."""
    residuals = [part[:, 0] - part[:, 1:] @ coef for part in parts]
    units = [each.std() for each in residuals]
    cubes = [((each - each.mean()) / (unit or 1.0)) ** 3 for each, unit in zip(residuals, units, strict=True)]
    return float(np.concatenate(cubes).mean())


def _without(
    dropped: BoolArray,
    parts: list[FloatArray],
    features: FloatArray,
    confidence_level: float,
    *,
    robust: bool,
    start: FloatArray | None,
) -> MomentInference:
    """Inference without dependent features; what they could take over from others is open, the tests are not."""
    kept = np.flatnonzero(~dropped)
    slopes = lstsq(features[:, kept], features[:, dropped])
    first = None if start is None else start[kept] + slopes @ start[dropped]
    found = infer([part[:, np.r_[0, 1 + kept]] for part in parts], confidence_level, robust=robust, start=first)
    d = len(dropped)
    told = np.all(np.abs(slopes) <= _TAKES_PART, axis=1)
    coef, error, pvalue = np.full(d, np.nan), np.full(d, np.inf), np.ones(d)
    interval = np.tile([-np.inf, np.inf], (d, 1))
    at = kept[told]
    coef[at], error[at], pvalue[at] = found.coef[told], found.std_error[told], found.pvalue[told]
    interval[at] = found.interval[told]
    return replace(found, coef=coef, std_error=error, pvalue=pvalue, interval=interval)


def _profile(parts: list[FloatArray], instruments: list[FloatArray], j: int, coef: FloatArray, freedom: int) -> Profile:
    """P-value of one coefficient, at the least Q over the others."""
    others = [k for k in range(len(coef)) if k != j]

    def pvalue(b: float) -> float:
        held = [np.column_stack([part[:, 0] - b * part[:, j + 1], part[:, 1:][:, others]]) for part in parts]
        equations = _Equations(held, instruments)
        return equations.pvalue(equations.minimiser(coef[others]), freedom)

    return pvalue


def _end(profile: Profile, start: float, sign: float, level: float) -> float:
    """Where p-values cross the level on one side; NaN if not even the estimate is in the set."""
    if profile(start) < level:
        return float("nan")
    near, step = 0.0, _STEP
    while profile(start + sign * step) >= level:
        near, step = step, 2.0 * step
        if step > _FAR:
            return sign * float("inf")
    return start + sign * float(brentq(lambda t: profile(start + sign * t) - level, near, step, xtol=1e-6))
