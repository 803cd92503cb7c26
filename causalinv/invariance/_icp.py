"""Invariant Causal Prediction: a thin setting of the sweep over all subsets."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from causalinv._aligned import AlignedRegressorMixin
from causalinv._matrix import whitener
from causalinv._typing import BoolArray, FloatArray, Rows
from causalinv._validation import check_number, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.invariance._doors import FitsMoments, FitsRows
from causalinv.invariance._environments import check_rows_by_environment, dependent_features
from causalinv.invariance._linear import LinearPrediction, names_of
from causalinv.invariance._summaries import summarise_icp
from causalinv.invariance.subsets._decision import (
    Test,
    check_test,
    reads_rows,
    untestable,
    warn_two_values,
)
from causalinv.invariance.subsets._fits import exact_sets, pooled_coef, warn_exact
from causalinv.invariance.subsets._intervals import hull_by_rows, hull_of_intervals
from causalinv.invariance.subsets._row_tests import ResidualTest, RowTest
from causalinv.invariance.subsets._search import EXHAUSTIVE, all_subsets
from causalinv.invariance.subsets._sets import as_tuples, named_sets, unpack
from causalinv.invariance.subsets._sweep import MASK_BITS, SubsetStatistics
from causalinv.invariance.subsets._tests import chow_pvalues, residual_pvalues
from causalinv.moments import Moments
from causalinv.results import Summary

__all__ = ["InvariantCausalPrediction"]

_READ = 14  # features up to which a test that reads rows is run on every set: 16000, a few milliseconds each
_LEVERAGE = 0.1  # mean leverage of an environment from which its residuals are visibly shrunk


class InvariantCausalPrediction(FitsRows, FitsMoments, LinearPrediction, AlignedRegressorMixin, BaseEstimator):
    """Causes of y that no environment contradicts: the intersection of all sets that pass a test of invariance.

    A set of features passes if its regression is the same in all environments, as far as a test can tell. The true
    causes pass with probability about 1 - level (see Notes), and then the intersection holds no false one.

    Parameters
    ----------
    level : float, default 0.05
        Level of the test, from 0 to 1.
    test : {"chow_hc", "chow", "residual", "ks", "ranks", "logistic"} or callable, default "chow_hc"
        ``"chow_hc"``: intercept and coefficients are the same in all environments, for errors of any law whose variance
        may depend on the features; blind to a change of the noise. Each set costs regressions of its own (a few
        milliseconds), so up to 14 features. ``"chow"``: the same from moments, for errors of one variance:
        exact if Gaussian however small an environment is, close to its level for other laws, wrong where the variance
        depends on the features. The others ask whether residuals of the pooled regression have one law, and reject the
        truth where the errors' law depends on features that move. ``"residual"``: by mean and variance, the test of the
        paper and of R's package; only for Gaussian errors. ``"ks"`` and ``"ranks"``: by Kolmogorov and Smirnov's test,
        or by ranks for location and scale; any law of the errors, environments large beside the set. ``"logistic"``:
        for an outcome of two values, the same logistic regression, by its score test. A
        function of residuals (n,) and labels (n,) that returns a p-value (NaN: not testable).
    max_size : int, optional
        Only test sets of at most so many features; left out, all subsets (up to 20 features). With it the guarantee
        needs the true causes to be that few.

    Attributes
    ----------
    estimate_ : tuple of int, or None
        Columns in every accepted set; None if no set is accepted, which says that the model is wrong.
    accepted_ : bool
        Whether any set is accepted.
    accepted_sets_ : list of tuple of int
        Accepted sets, by size and then by column; sets that could not be tested are kept among them.
    pvalues_ : ndarray of shape (d,)
        Per feature, the largest p-value of a set without it; 1 if no set is accepted.
    conf_int_ : ndarray of shape (d, 2)
        Per feature, the hull of its intervals over the sets with a p-value above level / 2 (0 where it is not in
        one), each at level / 2, so that it misses a coefficient with probability at most level, for each feature
        separately; units of y per unit of x, for ``"logistic"`` log odds. NaN if there is no such set. With ``"chow"``
        and ``"residual"`` the errors have one variance, otherwise it may depend on the features (HC2, degrees of
        freedom of Bell and McCaffrey; infinite for the indicator of a single row, whose residual is always 0). For
        ``"residual"`` sets enter at `level` and quantiles are normal, as in R's package, and the hull misses with
        probability up to 1.5 level.
    sets_ : DataFrame
        All tested sets by size: ``set`` (positions), ``features`` (names), ``size``, ``pvalue``,
        ``accepted``; made when it is asked for.
    coef_ : ndarray of shape (d,)
        Least squares on the estimate, all environments together; 0 elsewhere.
    intercept_ : float
    risk_env_ : ndarray of shape (E,)
        In-sample mean squared error of that rule in each environment, squared units of y.
    dependent_features_ : ndarray of bool, shape (d,)
        Features that are constant, or linear combinations of earlier ones; a set with one equals the set without it.
    environments_ : ndarray of shape (E,)
        Labels of the environments.
    {seen}

    Warns
    -----
    IdentificationWarning
        If no set is accepted.
    DegenerateInputWarning
        If features are dependent, an environment is too small, or pulls the fit too strongly, for the test, y is an
        exact linear function of features, or y has two values and the test is of a linear regression.

    Notes
    -----
    Valid if y is a linear function of its causes plus noise, with the same coefficients in every environment (no
    environment intervenes on y), and no hidden common cause of y and its causes. ``test="residual"`` needs Gaussian
    noise: with exponential errors it rejects the truth in a third of all data sets, and then names false causes. It
    also treats fitted residuals as errors: every environment must be much larger than the set. A small environment in
    which the features vary far more than elsewhere pulls the fit towards itself, and the truth is rejected too often;
    this is warned about. With E > 2 environments its size can reach E / (E - 1) times the level, as in R's package. It
    agrees with the package causalicp; its p-values of sets follow the R package InvariantCausalPrediction. In return it
    sees changes of variance, which Chow's tests do not: these name a cause only if leaving it out moves an intercept or
    a coefficient. ``"chow_hc"`` is above its level where errors are very skew in a small environment beside a large
    one: with log normal errors it rejected the truth in .08 (15, 30 and 1,000 rows, log sd 1) and .15 (30 and 1,000,
    log sd 1.5) of 400 data sets at level .05. `score` is plain R²; to compare models across environments use
    `causalinv.metrics.worst_environment_risk`.

    Source: Peters, Bühlmann and Meinshausen (2016), method II for ``"residual"``; Chow (1960).

    Examples
    --------
    >>> from causalinv.invariance import InvariantCausalPrediction
    >>> from causalinv.sem import Shift, textbook_sem
    >>> chain = textbook_sem("chain")
    >>> envs = chain.environments([None, Shift("x1", mean=2.0), Shift("x2", mean=-3.0)])
    >>> X, y, environments = envs.sample(500, random_state=0)
    >>> InvariantCausalPrediction().fit(X, y, environments=environments).estimate_
    (0,)
    """

    def __init__(self, *, level: float = 0.05, test: Test | ResidualTest = "chow_hc", max_size: int | None = None):
        self.level = level
        self.test = test
        self.max_size = max_size

    def _fit_rows(self, X: Rows, y: Rows, environments: Rows) -> Self:
        given = check_rows_by_environment(self, X, y, environments)
        check_test(self.test)
        warn_two_values(self.test, given.outcome)
        rows = None
        if reads_rows(self.test):
            rows = RowTest(self.test, given.moments, given.features, given.outcome, given.labels)
        return self._fit(given.moments, rows)

    def _refuse(self, moments: Moments) -> None:
        if not moments.is_unweighted:
            raise ValueError("The tests need moments of unweighted rows; these are a population's, or weighted.")
        check_test(self.test)
        if reads_rows(self.test):
            raise ValueError(
                f"test={self.test!r} needs the rows: use fit instead of fit_moments. Moments are enough for "
                "test='chow' (errors of one variance) and test='residual' (Gaussian errors)."
            )

    def _fit(self, moments: Moments, rows: RowTest | None = None) -> Self:
        level = check_number(self.level, "level", low=0.0, high=1.0)
        d = moments.blocks["x"]
        size = self._max_size(d)
        pooled = moments.pooled
        self.dependent_features_ = dependent_features(pooled)
        self._warn_about_environments(moments, pooled, size)
        subsets = all_subsets(moments, size)
        sizes = subsets.sizes
        subsets = subsets.take(np.argsort(sizes, kind="stable"))
        exact = exact_sets(subsets, moments)
        warn_exact(exact, subsets, d)
        if rows is not None:
            pvalues = rows.pvalues(unpack(subsets.packed, d), exact)
        else:
            tested_by = residual_pvalues if self.test == "residual" else chow_pvalues
            pvalues = np.where(exact, 1.0, tested_by(subsets, moments.count))
        untested = np.isnan(pvalues)  # nothing contradicts them, so they are kept: a rejection would need a test
        accepted = untested | (pvalues > level)
        if untested.any():
            warn(
                f"{untested.sum()} of {len(untested)} sets could not be tested, as {untestable(self.test)}. They are "
                "kept as if accepted (p-value NaN in sets_), so fewer causes can be named.",
                DegenerateInputWarning,
            )
        inside = unpack(subsets.packed, d)
        self._tested = (subsets.packed, pvalues, accepted)
        self.environments_ = moments.cells.to_numpy()
        self.accepted_ = bool(accepted.any())
        self.accepted_sets_ = as_tuples(subsets.packed[accepted], d)
        if not self.accepted_:
            warn(
                f"No set of features passes at level {level:g}: the outcome's own mechanism changes between "
                "environments, a cause is missing, or the model is not linear.",
                IdentificationWarning,
            )
        self.estimate_ = tuple(np.flatnonzero(inside[accepted].all(axis=0)).tolist()) if self.accepted_ else None
        self.pvalues_ = (
            np.where(inside, 0.0, np.where(untested, 1.0, pvalues)[:, None]).max(axis=0, initial=0.0)
            if self.accepted_
            else np.ones(d)
        )
        self.conf_int_ = self._intervals(pooled, rows, subsets, untested | (pvalues > self._split(level)))
        chosen = np.zeros(d, bool)
        chosen[list(self.estimate_ or ())] = True
        self.coef_ = pooled_coef(pooled, chosen)
        self.intercept_ = float(pooled.mean("y")[0, 0] - pooled.mean("x")[0] @ self.coef_)
        self.risk_env_ = self.rule_.risks(moments)
        return self

    def _split(self, level: float) -> float:
        """Level at which sets enter the hull: half, so that with the intervals' half the error is at most `level`."""
        return level if self.test == "residual" else level / 2  # as R's package has it

    def _intervals(
        self, pooled: Moments, rows: RowTest | None, subsets: SubsetStatistics, kept: BoolArray
    ) -> FloatArray:
        """Hull of the intervals, each at level / 2, of the sets that are kept for it."""
        inside = unpack(subsets.packed[kept], self.n_features_in_)
        if rows is not None:
            return hull_by_rows(rows, inside, self.level / 2)
        return hull_of_intervals(
            pooled,
            inside,
            subsets.coefficients[kept],
            self.level / 2,
            dependent=bool(self.dependent_features_.any()),
            normal=self.test == "residual",  # as R's package has it
        )

    @property
    def sets_(self) -> pd.DataFrame:
        """All tested sets by size: ``set`` (positions), ``features`` (names), ``size``, ``pvalue``, ``accepted``."""
        check_is_fitted(self)
        packed, pvalues, accepted = self._tested
        sets = as_tuples(packed, self.n_features_in_)
        named = named_sets(sets, names_of(self))
        return pd.DataFrame(
            {"set": sets, "features": named, "size": [len(s) for s in sets], "pvalue": pvalues, "accepted": accepted}
        )

    def _max_size(self, d: int) -> int:
        if d > MASK_BITS:
            raise ValueError(f"{d} features are more than the {MASK_BITS} that can be searched; choose features first.")
        if self.max_size is None:
            most, which = (_READ, f" by test={self.test!r}") if reads_rows(self.test) else (EXHAUSTIVE, "")
            if d > most:
                raise ValueError(
                    f"{d} features have 2^{d} subsets; of up to {most} features all are tested{which}. Set max_size, "
                    "choose features first" + (f", or take test='chow' (up to {EXHAUSTIVE})." if which else ".")
                )
            return d
        return min(check_whole(self.max_size, "max_size", low=0), d)

    def _warn_about_environments(self, moments: Moments, pooled: Moments, size: int) -> None:
        """Name the environment for which the test's approximation is worst, if it is bad."""
        total = moments.count.sum()
        half = whitener(pooled.cov("x")[0])
        shift = (moments.mean("x") - pooled.mean("x")) @ half
        spread = np.trace(half.T @ moments.cov("x") @ half, axis1=1, axis2=2) + np.sum(shift**2, axis=1)
        leverage = (
            1.0 + spread
        ) / total  # mean leverage of the environment's rows: the share of variance the fit takes
        worst = int(np.argmax(leverage))
        small = int(np.argmin(moments.count))
        label = moments.cells.tolist()
        if moments.count[small] <= size + 1 and self.test in ("chow", "chow_hc", "logistic"):
            warn(
                f"Environment {label[small]!r} has {moments.count[small]:g} rows: sets of "
                f"{max(moments.count[small] - 1, 0):g} or more features cannot be fitted there. The test asks whether "
                "the other environments predict its rows; it holds its level, but sees little of a change there.",
                DegenerateInputWarning,
            )
            return
        if callable(self.test):
            return  # what it asks of rows is not known here
        if moments.count[small] <= size + 1:
            text = f"environment {label[small]!r} has {moments.count[small]:g} rows for up to {size + 1} coefficients"
        elif leverage[worst] > _LEVERAGE and self.test == "residual":
            text = f"environment {label[worst]!r} pulls the fit: its rows have mean leverage {leverage[worst]:.2f}"
        else:
            return
        warn(
            f"The test of invariance is not reliable here: {text}. It may reject the true causes, and then accept "
            "false ones, much more often than the level. Use test='chow_hc', larger environments, or fewer features.",
            DegenerateInputWarning,
        )

    def summary(self) -> Summary:
        """Causes that are named, per feature interval and p-value, and what it rests on."""
        check_is_fitted(self)
        return summarise_icp(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # it predicts by causes alone, and by none if it finds none
        return tags
