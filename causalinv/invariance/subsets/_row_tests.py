"""Tests of invariance that read rows, one set of features at a time, and intervals that go with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.special import gammaincc, ndtri
from scipy.stats import ks_2samp, mannwhitneyu

from causalinv._clusters import UNSEEN, hidden_share, robust_covariance
from causalinv._labels import Labels
from causalinv._matrix import column_lengths, factor_split, lstsq
from causalinv._progress import counting
from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv.invariance.subsets._stacked import StackedSets
from causalinv.invariance.subsets._tests import column_basis, robust_chow_pvalue
from causalinv.moments import Moments

__all__ = ["ROW_TESTS", "ResidualTest", "RowTest", "logistic_chow_pvalue", "two_sample_pvalue"]

#: From residuals (n,) and labels (n,) of environments to a p-value.
ResidualTest = Callable[[FloatArray, np.ndarray], float]
ROW_TESTS = ("chow_hc", "ks", "ranks", "logistic")
_STEPS, _CONVERGED = 50, 1e-10  # of Newton's iteration
_TINY = 1e-150
_SURE = 1e-8  # a fitted probability nearer to 0 or 1 says that classes are separated
_EXACT_PAIRS = 10_000  # pairs of rows up to which the law of Kolmogorov and Smirnov's statistic is counted out
_STACKED, _PRODUCTS = 15, 20_000_000  # features, and products of two, up to which sets are looked at together
_SINGULAR = 1e-7  # of the longest direction of a design: columns that depend on others


class RowTest:
    """One test, ready for any set of the features.

    Parameters
    ----------
    test : str or callable
        One of `ROW_TESTS`, or a function of residuals and labels.
    moments : Moments
        Of the rows, one cell per environment.
    features : ndarray of shape (n, d)
    outcome : ndarray of shape (n,)
    labels : Labels
    """

    def __init__(
        self, test: str | ResidualTest, moments: Moments, features: FloatArray, outcome: FloatArray, labels: Labels
    ):
        pooled = moments.pooled
        self._unit = np.sqrt(np.diag(pooled.cov("x")[0]))
        still = self._unit == 0
        self._unit[still] = 1.0
        centred = np.where(still, 0.0, (features - pooled.mean("x")[0]) / self._unit)
        self._test, self._labels = test, labels
        self._parts = [labels.rows(code) for code in range(len(labels))]
        self._design = np.column_stack([np.ones(len(features)), centred])
        self._outcome = outcome
        if test == "logistic":
            values = np.unique(outcome)
            if len(values) != 2:
                raise ValueError(
                    f"test='logistic' needs an outcome of two values, got {len(values)}. Use test='chow_hc'."
                )
            self._outcome = (outcome == values[1]).astype(float)

    def pvalue(self, inside: BoolArray) -> float:
        """P-value of one set; NaN where it cannot be tested."""
        design = self._design[:, np.r_[True, inside]]
        if self._test in ("chow_hc", "logistic"):
            designs, outcomes = [design[at] for at in self._parts], [self._outcome[at] for at in self._parts]
            return (robust_chow_pvalue if self._test == "chow_hc" else logistic_chow_pvalue)(designs, outcomes)
        residual = self._outcome - design @ lstsq(design, self._outcome)
        if callable(self._test):
            return _checked(self._test(residual, np.asarray(self._labels.names)[self._labels.codes]), inside)
        return two_sample_pvalue(residual, self._labels, self._test)

    def pvalues(self, inside: BoolArray, exact: BoolArray) -> FloatArray:
        """P-values of n sets (n, d), shape (n,); 1 for sets that fit exactly."""
        found, left = np.ones(len(inside)), np.flatnonzero(~exact)
        with counting(len(left), "sets tested") as step:
            for at, stack in self._stacks(left, stacked=self._test == "chow_hc"):
                sound = np.zeros(len(at), bool)
                if stack is not None:
                    found[at], sound = stack.pvalues(inside[at])
                    step(int(sound.sum()))
                for k in at[~sound].tolist():
                    found[k] = self.pvalue(inside[k])
                    step(1)
        return found

    def intervals(self, inside: BoolArray, level: float) -> FloatArray:
        """`interval` of n sets (n, d), shape (n, d, 2); NaN outside a set."""
        found = np.full((*inside.shape, 2), np.nan)
        left = np.flatnonzero(inside.any(axis=1))
        for at, stack in self._stacks(left, stacked=self._test != "logistic"):
            sound = np.zeros(len(at), bool)
            if stack is not None:
                ends, sound = stack.intervals(inside[at], level)
                found[at] = ends / self._unit[:, None]
            for k in at[~sound].tolist():
                found[k, inside[k]] = self.interval(inside[k], level)
        return found

    @cached_property
    def _stacked(self) -> StackedSets:
        return StackedSets([self._design[at] for at in self._parts], [self._outcome[at] for at in self._parts])

    def _stacks(self, which: IntArray, *, stacked: bool) -> Iterator[tuple[IntArray, StackedSets | None]]:
        """Positions of sets that are looked at together, with what does that, if anything does."""
        n, p = self._design.shape
        if not stacked or p > _STACKED + 1 or n * p * p / 2 > _PRODUCTS:
            yield which, None
            return
        for begin in range(0, len(which), self._stacked.at_once):
            yield which[begin : begin + self._stacked.at_once], self._stacked

    def interval(self, inside: BoolArray, level: float) -> FloatArray:
        """Intervals of the coefficients of one set, shape (k, 2), each missing with probability about `level`.

        Robust to a variance that depends on the features (HC2, degrees of freedom of Bell and McCaffrey); without
        limits where a coefficient rests on a single row. For ``"logistic"`` Wald intervals of log odds.
        """
        design = self._design[:, np.r_[True, inside]]
        unit = self._unit[inside]
        if self._test == "logistic":
            fit = _logistic(design, self._outcome)
            if fit is None:
                return np.column_stack([np.full(len(unit), -np.inf), np.full(len(unit), np.inf)])
            wide = -ndtri(level / 2) * np.sqrt(np.diag(fit[1]))
            return (np.column_stack([fit[0] - wide, fit[0] + wide])[1:]) / unit[:, None]
        coef = lstsq(design, self._outcome)
        robust = robust_covariance(design, self._outcome - design @ coef)
        low, high = robust.interval(coef, confidence_level=1.0 - level)
        unseen = hidden_share(design, np.eye(len(coef))) > UNSEEN
        low, high = np.where(unseen, -np.inf, low), np.where(unseen, np.inf, high)
        return np.column_stack([low, high])[1:] / unit[:, None]


def _checked(value: Any, inside: BoolArray) -> float:
    """The p-value that a user's function gave."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not (np.isnan(number) or 0 <= number <= 1):
        raise ValueError(
            f"test= must return a p-value from 0 to 1 (or NaN: not testable), got {value!r} for features "
            f"{np.flatnonzero(inside).tolist()}."
        )
    return number


def two_sample_pvalue(residual: FloatArray, labels: Labels, test: str) -> float:
    """Whether residuals have one law: each environment against all others, times the number of comparisons.

    ``"ks"`` is the test of Kolmogorov and Smirnov, by its exact law where rows are few (the limit gives 0 to samples
    that do not overlap, however few; with ties it is on the safe side). ``"ranks"`` takes the smaller of Wilcoxon's
    p-value for the residuals and that for their distances from the common median, times two: location and scale. Fitted
    residuals are treated as errors, so environments must be large beside the set; an error whose law depends on the
    features is refuted wherever the features' law changes.
    """
    smallest, count = 1.0, len(labels)
    scale = np.abs(residual - np.median(residual))
    for code in range(count if count > 2 else 1):
        here = labels.codes == code
        if test == "ks":
            pairs = int(here.sum()) * int((~here).sum())
            law: Literal["exact", "asymp"] = "exact" if pairs <= _EXACT_PAIRS else "asymp"
            found = float(ks_2samp(residual[here], residual[~here], method=law).pvalue)
        else:
            pair = [mannwhitneyu(each[here], each[~here], method="asymptotic").pvalue for each in (residual, scale)]
            found = 2.0 * float(min(pair))
        smallest = min(smallest, found)
    return min(1.0, smallest * (count if count > 2 else 1))


def logistic_chow_pvalue(designs: list[FloatArray], outcomes: list[FloatArray]) -> float:
    """Score test that a logistic regression has the same coefficients in all environments.

    With p the probabilities of one regression on all rows, the residuals (y - p) / (p (1 - p))^½ on the rows times
    (p (1 - p))^½ are least squares with errors of variance 1: what environments explain of them is Chow's statistic.

    Parameters
    ----------
    designs : list of ndarray of shape (n_e, k)
        The constant included.
    outcomes : list of ndarray of shape (n_e,)
        0 or 1.

    Returns
    -------
    float
        By the gamma law with the statistic's mean f and variance, if that is above 2 f: a residual's fourth moment,
        1 / (p (1 - p)) - 3, is large where events are rare, and then weighs in small environments. It is chi-squared
        in large ones. No regression of an environment's own is fitted, so classes may be separated there, and
        environments may have few rows (with a constant alone it is Pearson's test of a table). NaN if classes are
        separated in all rows together, or environments have no coefficients of their own.

    Notes
    -----
    Source: Rao (1948). The likelihood ratio is larger in small environments, and rejected the truth in .10 of data sets
    with 10 of 30 rows and two features at level .05; this test in .05.
    """
    X, y = np.concatenate(designs), np.concatenate(outcomes)
    together = _logistic(X, y)
    if together is None:
        return float("nan")
    eta, side = X @ together[0], np.where(y > 0, 1.0, -1.0)
    spread = np.exp(-np.abs(eta) / 2) / (1.0 + np.exp(-np.abs(eta)))  # (p (1 - p))^½, without a 1 - p that is rounded
    residual = side * np.exp(-side * eta / 2)
    weighted = X * spread[:, None]
    weighted = weighted / np.where(np.any(weighted, axis=0), column_lengths(weighted), 1.0)
    common = column_basis(weighted)
    statistic, freedom = 0.0, -common.shape[1]
    diagonal = -np.sum(common**2, axis=1)  # of the form in the residuals
    for part in _parts(designs):
        own = column_basis(weighted[part])
        statistic += float(np.sum((own.T @ residual[part]) ** 2))
        freedom += own.shape[1]
        diagonal[part] += np.sum(own**2, axis=1)
    if freedom <= 0:
        return float("nan")
    kurtosis = np.sum((diagonal / np.maximum(spread, _TINY)) ** 2) - 6.0 * np.sum(diagonal**2)
    scale = max(1.0 + float(kurtosis) / (2.0 * freedom), 1.0)
    return float(gammaincc(freedom / (2.0 * scale), statistic / (2.0 * scale)))


def _parts(designs: list[FloatArray]) -> list[slice]:
    """Where each environment's rows are, one after the other."""
    ends = np.cumsum([0, *map(len, designs)])
    return [slice(a, b) for a, b in pairwise(ends.tolist())]


def _logistic(design: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Coefficients and their covariance; None if no finite maximum is found."""
    size, right = factor_split(design / np.where(np.any(design, axis=0), column_lengths(design), 1.0), tol=_SINGULAR)
    back = (right.T / size) / np.where(np.any(design, axis=0), column_lengths(design), 1.0)[:, None]
    basis = design @ back
    b = np.zeros(basis.shape[1])
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(basis @ b, -40, 40)))
        if np.minimum(p, 1 - p).max() < _SURE or not 0 < y.mean() < 1:
            return None
        information = basis.T @ (basis * (p * (1 - p))[:, None])
        try:
            step = np.linalg.solve(information, basis.T @ (y - p))
        except np.linalg.LinAlgError:
            return None
        b = b + step
        if np.abs(step).max() <= _CONVERGED * (1.0 + np.abs(b).max()):
            return back @ b, back @ np.linalg.inv(information) @ back.T
    return None
