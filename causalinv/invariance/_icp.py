"""Invariant Causal Prediction: a thin setting of the sweep over all subsets."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy.special import ndtri
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._matrix import pseudo_inverse, whitener
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_number, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.invariance._environments import check_moments, check_rows_by_environment, dependent_features
from causalinv.invariance._linear import LinearPrediction, names_of
from causalinv.invariance.subsets._decision import TESTS, Test, robust_on, standard_designs
from causalinv.invariance.subsets._fits import exact_sets, pooled_coef, warn_exact
from causalinv.invariance.subsets._search import EXHAUSTIVE
from causalinv.invariance.subsets._sets import as_tuples, named_sets, unpack
from causalinv.invariance.subsets._sweep import MASK_BITS, SubsetStatistics, sweep
from causalinv.invariance.subsets._tests import chow_pvalues, residual_pvalues
from causalinv.moments import Moments

__all__ = ["InvariantCausalPrediction"]

_LEVERAGE = 0.1  # mean leverage of an environment from which its residuals are visibly shrunk


class InvariantCausalPrediction(LinearPrediction, RegressorMixin, BaseEstimator):
    """Causes of y that no environment contradicts: the intersection of all sets that pass a test of invariance.

    A set of features passes if its regression is the same in all environments, as far as a test can tell. The true
    causes pass with probability about 1 - level (see Notes), and then the intersection holds no false one.

    Parameters
    ----------
    level : float, default 0.05
        Level of the test, from 0 to 1.
    test : {"chow", "chow_hc", "residual"}, default "chow"
        ``"chow"``: intercept and coefficients are the same in all environments; exact for Gaussian errors of equal
        variance however small an environment is, close to its level for other laws of the errors, but blind to a change
        of the noise, and wrong where the errors' variance depends on the features. ``"chow_hc"``: the same, robust to
        that; needs the rows and a regression per set. ``"residual"``: residuals of the pooled regression also have one
        variance, the test of the paper and of R's package; only for Gaussian errors.
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
        Per feature, the hull of its intervals over the accepted sets (0 where it is not in one), units of y per unit
        of x; NaN if no set is accepted. In large samples it misses a coefficient with probability about 1.5 level, for
        each feature separately: the true set is rejected with probability level (then NaN may be the answer), and each
        interval is taken at level / 2.
    sets_ : DataFrame
        All tested sets by size: ``set`` (positions), ``features`` (names), ``size``, ``pvalue``,
        ``accepted``; made when it is asked for.
    coef_ : ndarray of shape (d,)
        Least squares on the estimate, all environments together; 0 elsewhere.
    intercept_ : float
    dependent_features_ : ndarray of bool, shape (d,)
        Features that are constant, or linear combinations of earlier ones; a set with one equals the set without it.
    environments_ : ndarray of shape (E,)
        Labels of the environments.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Warns
    -----
    IdentificationWarning
        If no set is accepted.
    DegenerateInputWarning
        If features are dependent, an environment is too small, or pulls the fit too strongly, for the test, or y is an
        exact linear function of features.

    Notes
    -----
    Valid if y is a linear function of its causes plus noise, with the same coefficients in every environment (no
    environment intervenes on y), and no hidden common cause of y and its causes. Intervals take the noise to have one
    variance. ``test="residual"`` needs Gaussian noise: with exponential errors it rejects the truth in a third of all
    data sets, and then names false causes. It also treats fitted residuals as errors: every environment must be much
    larger than the set. A small environment in which the features vary far more than elsewhere pulls the fit towards
    itself, and the truth is rejected too often; this is warned about. With E > 2 environments its size can reach
    E / (E - 1) times the level, as in R's package. It agrees with the package causalicp; its p-values of sets follow
    the R package InvariantCausalPrediction. In return it sees changes of variance, which the other two do not: these
    name a cause only if leaving it out moves an intercept or a coefficient. `score` is plain R²; to compare models
    across environments use `causalinv.metrics.worst_environment_risk`.

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

    n_features_in_: int
    feature_names_in_: np.ndarray

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"environments": True}

    def __init__(self, *, level: float = 0.05, test: Test = "chow", max_size: int | None = None):
        self.level = level
        self.test = test
        self.max_size = max_size

    def fit(self, X: Rows, y: Rows, *, environments: Rows = None) -> Self:
        """Test the subsets.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : array-like of shape (n,)
            Outcome.
        environments : array-like of shape (n,)
            Label of each row's environment; at least two different ones.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `environments` is missing or has one label only, an environment has fewer than two rows, there are too
            many features for all subsets, y is constant, or an input is malformed.
        """
        given = check_rows_by_environment(self, X, y, environments)
        rows = None
        if self.test == "chow_hc":
            inside = [given.labels.rows(code) for code in range(len(given.labels))]
            rows = [(given.features[at], given.outcome[at]) for at in inside]
        return self._fit(given.moments, rows)

    def fit_moments(self, moments: Moments) -> Self:
        """Fit on a sample's moments, one cell per environment; the tests need its counts.

        Parameters
        ----------
        moments : Moments
            Blocks ``x`` and ``y`` of unweighted rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `fit`; also if the moments are a population's, or weighted.
        """
        if not moments.is_unweighted:
            raise ValueError("The tests need moments of unweighted rows; these are a population's, or weighted.")
        if self.test == "chow_hc":
            raise ValueError("test='chow_hc' needs the rows, for their fourth moments: use fit instead of fit_moments.")
        check_moments(self, moments)
        return self._fit(moments, None)

    def _fit(self, moments: Moments, rows: list[tuple[FloatArray, FloatArray]] | None) -> Self:
        level = check_number(self.level, "level", low=0.0, high=1.0)
        if self.test not in TESTS:
            raise ValueError(f"test must be one of {TESTS}, got {self.test!r}.")
        d = moments.blocks["x"]
        size = self._max_size(d)
        pooled = moments.pooled
        self.dependent_features_ = dependent_features(pooled)
        self._warn_about_environments(moments, pooled, size)
        subsets = SubsetStatistics.concatenate(sweep(moments, max_size=size))
        sizes = subsets.sizes
        subsets = subsets.take(np.argsort(sizes, kind="stable"))
        exact = exact_sets(subsets, moments)
        warn_exact(exact, subsets, d)
        if rows is not None:
            inside = unpack(subsets.packed, d)
            designs = standard_designs(moments, rows)
            outcomes = [outcome for _, outcome in rows]
            pvalues = np.array(
                [1.0 if e else robust_on(designs, outcomes, s) for e, s in zip(exact, inside, strict=True)]
            )
        else:
            tested_by = residual_pvalues if self.test == "residual" else chow_pvalues
            pvalues = np.where(exact, 1.0, tested_by(subsets, moments.count))
        untested = np.isnan(pvalues)  # nothing contradicts them, so they are kept: a rejection would need a test
        accepted = untested | (pvalues > level)
        if untested.any():
            warn(
                f"{untested.sum()} of {len(untested)} sets have too many features for the rows at hand and could "
                "not be tested. They are kept as if accepted (p-value NaN in sets_), so fewer causes can be named.",
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
        self.conf_int_ = _union_of_intervals(
            pooled,
            inside[accepted],
            subsets.coefficients[accepted],
            level,
            dependent=bool(self.dependent_features_.any()),
        )
        chosen = np.zeros(d, bool)
        chosen[list(self.estimate_ or ())] = True
        self.coef_ = pooled_coef(pooled, chosen)
        self.intercept_ = float(pooled.mean("y")[0, 0] - pooled.mean("x")[0] @ self.coef_)
        return self

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
            if d > EXHAUSTIVE:
                raise ValueError(
                    f"{d} features have 2^{d} subsets; up to {EXHAUSTIVE} are searched exhaustively. Set max_size, or "
                    "choose features first."
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
        if moments.count[small] <= size + 1 and self.test != "residual":
            warn(
                f"Environment {label[small]!r} has {moments.count[small]:g} rows: sets of "
                f"{max(moments.count[small] - 1, 0):g} or more features cannot be fitted there. The test asks whether "
                "the other environments predict its rows; it holds its level, but sees little of a change there.",
                DegenerateInputWarning,
            )
            return
        if moments.count[small] <= size + 1:
            text = f"environment {label[small]!r} has {moments.count[small]:g} rows for up to {size + 1} coefficients"
        elif leverage[worst] > _LEVERAGE and self.test == "residual":
            text = f"environment {label[worst]!r} pulls the fit: its rows have mean leverage {leverage[worst]:.2f}"
        else:
            return
        warn(
            f"The test of invariance is not reliable here: {text}. It may reject the true causes, and then accept "
            "false ones, much more often than the level. Use test='chow', larger environments, or fewer features.",
            DegenerateInputWarning,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # it predicts by causes alone, and by none if it finds none
        return tags


def _union_of_intervals(
    pooled: Moments, accepted: np.ndarray, coefficients: np.ndarray, level: float, *, dependent: bool
) -> FloatArray:
    """Hull of the intervals of all accepted sets, each at level / 2, sets of one size solved together."""
    d, n = accepted.shape[1], pooled.count[0]
    if not len(accepted):
        return np.full((d, 2), np.nan)
    cov, cross, total = pooled.cov("x")[0], pooled.cov("x", "y")[0, :, 0], pooled.cov("y")[0, 0, 0]
    scale = np.sqrt(np.diag(cov))
    scale[scale == 0] = 1.0
    cov, cross = cov / np.outer(scale, scale), cross / scale  # so that ranks do not depend on units
    low, high = np.where(accepted.all(axis=0), np.inf, 0.0), np.where(accepted.all(axis=0), -np.inf, 0.0)
    quantile = -ndtri(level / 4)
    sizes = accepted.sum(axis=1)
    for k in np.unique(sizes[sizes > 0]):
        at = np.nonzero(accepted[sizes == k])[1].reshape(-1, k)
        blocks = cov[at[:, :, None], at[:, None, :]]
        inverse = np.array([pseudo_inverse(block) for block in blocks]) if dependent else np.linalg.inv(blocks)
        coef = np.einsum("nij,nj->ni", inverse, cross[at])
        risk = np.maximum(total - np.sum(coef * cross[at], axis=1), 0.0)
        left = n - coefficients[sizes == k]
        with np.errstate(divide="ignore"):
            spread = np.diagonal(inverse, axis1=1, axis2=2)
            # Where no residual is left to tell a width from, the rows say nothing about these coefficients.
            width = np.where(
                left[:, None] > 0, quantile * np.sqrt(risk / np.maximum(left, 1))[:, None] * np.sqrt(spread), np.inf
            )
        np.minimum.at(low, at, coef - width)
        np.maximum.at(high, at, coef + width)
    return np.column_stack([low, high]) / scale[:, None]
