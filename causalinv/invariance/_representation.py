"""Linear representations whose regression is the same in every environment."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._aligned import AlignedRegressorMixin
from causalinv._labels import Labels, encode, shown
from causalinv._matrix import constant_columns, range_eigh
from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_confidence_level, check_features, check_rows, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.invariance._doors import FitsWeightedRows
from causalinv.invariance._environments import Checked, dependent_features
from causalinv.invariance._kept import kept
from causalinv.invariance._linear import LinearPrediction, store_risks
from causalinv.invariance._summaries import summarise_inference, summarise_representation
from causalinv.invariance.certificates._certify import CertifiesTraining
from causalinv.invariance.rules._gaps import invariance_gaps, represent
from causalinv.invariance.rules._moment_inference import infer, skewness
from causalinv.invariance.rules._neutral import neutral_rule
from causalinv.invariance.rules._row_space import PENALTY, row_space_descent
from causalinv.invariance.rules._sites import site_directions
from causalinv.invariance.subsets._search import find
from causalinv.invariance.subsets._sets import unpack
from causalinv.invariance.subsets._sweep import SubsetStatistics
from causalinv.linear_rule import LinearRule, least_squares
from causalinv.moments import Moments
from causalinv.results import Summary

__all__ = ["InvariantRepresentation"]

_WORSE = 1.1  # times the risk of the mean of y: a rule that does harm
_CLEAR = 0.01  # level of the tests of strength and of fit that are warned about
_ROWS_PER_EQUATION = 150  # in the smallest environment, from which intervals hold with exponential errors
_SKEW = 0.5  # of residuals, from which that many are asked for, if it is also this many standard errors from 0:
_SURE = 3.0
_FEW_PER_EQUATION, _BESIDE = 15, 4  # rows in the smallest environment, and how many times as many in the largest
_MISSED = 1e-6  # of the outcome's own column: a neutral rule exists if it misses by less


class InvariantRepresentation(
    FitsWeightedRows,
    LinearPrediction,
    CertifiesTraining,
    ClassNamePrefixFeaturesOutMixin,
    AlignedRegressorMixin,
    TransformerMixin,
    BaseEstimator,
):
    r"""Linear combinations of the features whose regression does not move between environments.

    ``method="neutral"`` finds the least risky linear rule whose residual none of the changes seen between environments
    reaches. If new environments only move what these moved (variances, means or noise of the same sites), its *risk* is
    the same there, not only its coefficients. No subset of the features need be invariant for that.

    ``method="manifold"`` finds the k-dimensional row space that minimises pooled risk plus 1000 times the average
    excess, by descent from the best subset of k features, the neutral rule and random starts. It makes coefficients
    invariant and may leave the risk free to move: look at `risk_env_`.

    Parameters
    ----------
    n_components : int, optional
        Rows of the representation: 1 for ``"neutral"``; must be given for ``"manifold"``.
    method : {"neutral", "manifold"}, default "neutral"
    n_directions : int, optional
        Site directions that the neutral residual avoids; left out, those that stand out of the sampling noise. Must be
        given with sample weights.
    n_init : int, default 4
        Random starts of ``"manifold"``.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of these.

    Attributes
    ----------
    components_ : ndarray of shape (k, d)
        The representation; for ``"neutral"`` the rule's own coefficients, for ``"manifold"`` rows that are orthonormal
        in standardised units (at most as many as there are features that are no combinations of others).
    coef_ : ndarray of shape (d,)
        Coefficients of the rule on the features, units of y per unit of x.
    intercept_ : float
    gaps_ : ndarray of shape (E,)
        Relative excess of the rule in each environment, among rules on the same representation.
    gap_ : float
        The largest.
    risk_env_ : ndarray of shape (E,)
        In-sample mean squared error in each environment, squared units of y.
    worst_risk_ : float
        The largest.
    least_squares_coef_, least_squares_risk_env_ : ndarray of shape (d,), (E,)
        What plain least squares on all features says.
    effective_dimension_ : float
        Directions that the representation uses: the participation ratio of its covariance, all rows together.
    moved_by_environment_ : float
        0: mean and covariance of the representation are the same in every environment. 1: rows of an environment must
        be moved as far as to another row, to have those of all together. Root mean squares, in units in which all
        rows together have covariance I; in a sample of n rows an environment noise alone gives about
        (1.5 / n)^½ for one component.
    n_directions_ : int
        Directions that the environments moved (a change of means adds one for the mean itself).
    site_directions_ : ndarray of shape (d + 2, n_directions_)
        The directions, over (1, x, y) about the mean of all.
    direction_strengths_ : ndarray of shape (d + 2,)
        Eigenvalues, descending, without units; those below `noise_edge_` are what sampling makes by itself.
    noise_edge_ : float
        Exceeded by sampling alone in about one data set of a hundred: by `fit` that of these rows, dealt out to the
        environments at random; by `fit_moments` that of Gaussian rows (heavier tails make more). 0 for a population.
    objective_path_ : list of float
        For ``"manifold"``, value after each penalty of the best start.
    converged_ : bool
    dependent_features_ : ndarray of bool, shape (d,)
        Features that are constant, or combinations of earlier ones.
    environments_ : ndarray of shape (E,)
    moments_ : Moments
    {seen}

    Warns
    -----
    DegenerateInputWarning
        If features are dependent.
    IdentificationWarning
        If no neutral rule exists: the outcome's own mechanism changes and no feature measures it, or the environments
        move more directions than there are features. Then the rule that misses least is returned. On samples the sign
        of that is a rule that predicts worse than the mean of y.

    Notes
    -----
    Neutrality needs second moments only: no normality, no faithfulness, no graph, hidden common causes allowed. It
    holds in a new environment if that environment moves the same sites. The coefficients converge at the rate n^(-1/2)
    once the directions stand out of the noise. Related to the causal Dantzig (Rothenhäusler, Bühlmann and Meinshausen,
    2019), which solves the same moment equations for all coefficients; here the least risky solution is taken, and only
    the directions that stand out enter.

    Examples
    --------
    >>> from causalinv.datasets import make_invariance_environments
    >>> from causalinv.invariance import InvariantRepresentation
    >>> data = make_invariance_environments(1000, random_state=0)
    >>> model = InvariantRepresentation().fit(data.X, data.y, environments=data.environments)
    >>> model.n_directions_, model.components_.shape
    (3, (1, 10))
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        method: Literal["neutral", "manifold"] = "neutral",
        n_directions: int | None = None,
        n_init: int = 4,
        random_state: RandomState = None,
    ):
        self.n_components = n_components
        self.method = method
        self.n_directions = n_directions
        self.n_init = n_init
        self.random_state = random_state

    def _fit_checked(self, given: Checked) -> Self:
        return self._fit(given.moments, np.column_stack([given.features, given.outcome]))

    def _fit(self, moments: Moments, rows: FloatArray | None = None) -> Self:
        d = moments.blocks["x"]
        if self.method not in ("neutral", "manifold"):
            raise ValueError(f"method must be 'neutral' or 'manifold', got {self.method!r}.")
        if self.n_directions is not None:
            check_whole(self.n_directions, "n_directions", low=0)
        self.environments_ = moments.cells.to_numpy()
        self.moments_ = moments
        self.dependent_features_ = dependent_features(
            moments.pooled, "the rule is the same as without them, its coefficients shared among repeated features."
        )
        sites = site_directions(moments, self.n_directions, rows)
        rule = neutral_rule(moments, sites)
        self.site_directions_ = sites.directions
        self.n_directions_ = sites.directions.shape[1]
        self.direction_strengths_, self.noise_edge_ = sites.strengths, sites.edge
        if self.method == "neutral":
            if self.n_components not in (None, 1):
                raise ValueError(f"method='neutral' has one component, got n_components={self.n_components!r}.")
            self.components_, self.coef_, self.intercept_ = rule.coef[None], rule.coef, rule.intercept
            self.objective_path_: list[float] = []
            self.converged_ = True
            if rule.missed > _MISSED:
                warn(
                    "No linear rule stays right in all these environments: they differ in "
                    f"{self.n_directions_} directions, and of what that changes in y the best rule leaves a share of "
                    f"{rule.missed:.2g}. The outcome's own mechanism changes, or there are too few features.",
                    IdentificationWarning,
                )
        else:
            if self.n_components is None:
                raise ValueError("method='manifold' needs n_components, the dimension of the representation.")
            k = check_whole(self.n_components, "n_components", low=1)
            if k > d:
                raise ValueError(f"n_components={k} is more than the {d} features.")
            self._descend(moments, k, rule.coef)
        self._report(moments)
        by_mean = float(
            np.max(moments.cov("y")[:, 0, 0] + (moments.mean("y")[:, 0] - moments.pooled.mean("y")[0, 0]) ** 2)
        )
        if self.method == "neutral" and self.worst_risk_ > _WORSE * by_mean:
            warn(
                f"The neutral rule predicts worse than the mean of y does (worst risk {self.worst_risk_:.3g} against "
                f"{by_mean:.3g}): do not use it. Environments change something that hardly any feature shows, as when "
                "the outcome's own mechanism changes.",
                IdentificationWarning,
            )
        return self

    def _descend(self, moments: Moments, k: int, neutral: FloatArray) -> None:
        pooled, d = moments.pooled, moments.blocks["x"]
        # Descent in coordinates in which all rows together have unit covariance: nearly dependent features do not slow
        # it, and constant or repeated ones are not there.
        values, vectors, units = range_eigh(pooled.cov("x")[0])
        root = np.sqrt(values)
        white = represent(moments, (vectors / root).T / units, outcome_unit=float(np.sqrt(pooled.cov("y")[0, 0, 0])))
        back = units[:, None] * vectors * root  # the features in these coordinates
        k, r = min(k, len(values)), len(values)
        share = moments.share
        check_whole(self.n_init, "n_init", low=0)
        rngs = streams(self.random_state, self.n_init + 1, "representation")

        def key(subsets: SubsetStatistics) -> FloatArray:
            value = (1.0 + PENALTY) * subsets.pooled_risk @ share - PENALTY * subsets.own_risk @ share
            return np.column_stack([subsets.sizes != k, value])

        found = find(
            moments, search="auto", max_size=k, screen_size=16, left_out=False, judge=key, rng=rngs[-1]
        ).subsets
        best = found.take(np.lexsort(key(found).T[::-1])[:1])
        subset = np.eye(d)[unpack(best.packed, d)[0]] @ back
        starts = [_filled(subset, k, rngs[-1])]
        if neutral.any():
            # The neutral rule in place of each row of the subset's space would be many starts: beside all but the last.
            starts.append(_filled(np.vstack([neutral @ back, subset])[:k], k, rngs[-1]))
        starts += [rng.standard_normal((k, r)) for rng in rngs[:-1]]
        runs = [row_space_descent(white, start) for start in starts]
        components, self.objective_path_, self.converged_ = min(runs, key=lambda run: run[1][-1])
        self.components_ = np.linalg.qr((vectors / root) @ components.T)[0].T / units
        seen = represent(moments, self.components_)
        weights = least_squares(seen)[:, 0]
        self.coef_ = weights @ self.components_
        self.intercept_ = LinearRule.through_means(moments, self.coef_).intercept

    def _report(self, moments: Moments) -> None:
        """Gaps and risks of the rule, and of plain least squares; what the representation keeps."""
        store_risks(self, moments)
        self.effective_dimension_, self.moved_by_environment_ = kept(moments, self.components_)
        rule = self.components_ if self.method == "manifold" else self.coef_[None]
        weights = None if self.method == "manifold" else np.ones(1)
        self.gaps_ = invariance_gaps(moments, rule, weights, self.intercept_)
        self.gap_ = float(self.gaps_.max())

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def transform(self, X: Rows) -> FloatArray:
        """The representation of the rows, shape (n, k)."""
        check_is_fitted(self)
        return check_features(self, X, reset=False) @ self.components_.T

    def inference(
        self,
        X: Rows,
        y: Rows,
        *,
        environments: Rows,
        confidence_level: float = 0.95,
        kind: Literal["wald", "anderson_rubin"] = "wald",
    ) -> Summary:
        """Intervals and p-values for the coefficients of a rule that is neutral, hidden common causes allowed.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,)
        environments : array-like of shape (n,)
            Rows, those of the fit or others; fourth moments are read, so the fit's moments are not enough.
        confidence_level : float, default 0.95
            Of each interval.
        kind : {"wald", "anderson_rubin"}, default "wald"
            ``"wald"`` needs environments that differ clearly in what each feature does. ``"anderson_rubin"`` holds
            however little they differ, and is unbounded where the rows cannot tell; with several features it is wider
            than it need be.

        Returns
        -------
        Summary
            Per feature ``rule`` (the fitted), ``estimate``, ``std_error``, ``pvalue`` (of the coefficient being 0),
            ``lower``, ``upper``. Features that are constant, or combinations of others, change no p-value of the notes.
            A coefficient that they leave open, or of which values without end fit hardly worse than the best (by less
            than the level's quantile of chi squared), has no estimate and, for Wald's, an endless interval.

        Raises
        ------
        ValueError
            If the method is not ``"neutral"``, an option is unknown, or an input is malformed.

        Warns
        -----
        IdentificationWarning
            If Wald's intervals are not to be trusted, or no rule is neutral to what these rows show (level .01).
        DegenerateInputWarning
            If residuals are skew and the smallest environment has fewer than 150 rows for each equation (one for each
            feature, and one); or, whatever the errors, fewer than 15 where another has four times as many.

        Notes
        -----
        The estimate solves, by continuously updated generalised least squares, that mean and covariances with the
        features of the residual are the same in all environments; heteroscedastic and non-Gaussian errors are allowed.
        It holds in large samples of every environment: of five with 30 rows, two features and a strong hidden cause,
        Wald's 95% interval covers .94 (``benchmarks/results/neutral_inference.md``). Where rows are few beside a large
        environment, or errors skew, that law comes late; so quantiles are of Student's t and F, with degrees of freedom
        that fall with the kurtosis of the equations (of an environment's rows or of all, whichever is larger). With
        them 1,000, 40 and 40 rows of one feature give .969 (Wald) and .963 (Anderson and Rubin) with exponential
        errors, .964 and .946 with Gaussian ones (.876, .846, .934 and .910 without). It cures no skewness: 15, 30 and
        300 rows still give Wald's .82 (Gaussian .89), and 20 environments of 60 Anderson and Rubin's .89. A warning
        says where that is. Of two environments with equal means R's hiddenICP and causalDantzig solve the same
        equations; of more, they solve one against the rest and intersect, with intervals a third longer
        (``benchmarks/results/hidden_icp.md``). The least risky neutral rule is the same in the population if the
        environments move as many directions as there are features; with fewer the coefficients are not identified, and
        the intervals say so. Sources: Rothenhäusler, Bühlmann and Meinshausen (2019), causal Dantzig; Anderson and
        Rubin (1949); Hansen, Heaton and Yaron (1996); Newey and Windmeijer (2009).
        """
        check_is_fitted(self)
        level = check_confidence_level(confidence_level)
        if self.method != "neutral":
            raise ValueError(f"inference is about the rule of method='neutral'; this one has method={self.method!r}.")
        if kind not in ("wald", "anderson_rubin"):
            raise ValueError(f"kind must be 'wald' or 'anderson_rubin', got {kind!r}.")
        check_alignment(X=X, y=y, environments=environments)
        features = check_features(self, X, reset=False)
        rows = np.column_stack([np.ravel(check_rows(y, "y")), features])
        labels = encode(environments, "environments", len(rows), least=2)
        still = constant_columns(rows)
        unit = np.where(still, 1.0, rows.std(axis=0))
        rows = np.where(still, 0.0, (rows - rows.mean(axis=0)) / unit)
        parts = [rows[labels.rows(code)] for code in range(len(labels))]
        scale = unit[0] / unit[1:]
        found = infer(parts, level, robust=kind == "anderson_rubin", start=self.coef_ / scale)
        if kind == "wald" and not found.strength_pvalue <= _CLEAR:
            warn(
                "These environments hardly differ in what some combination of features does "
                f"(p = {found.strength_pvalue:.2g}), so its coefficient is hardly identified, and Wald's intervals may "
                "miss it. Use kind='anderson_rubin'.",
                IdentificationWarning,
            )
        if found.fit_pvalue <= _CLEAR:
            warn(
                f"No one linear rule fits all environments (p = {found.fit_pvalue:.2g}), so these coefficients are no "
                "effects: an environment changes the outcome's own mechanism or a hidden cause, or y is not linear.",
                IdentificationWarning,
            )
        self._warn_of_skew(parts, np.where(np.isnan(found.coef), self.coef_ / scale, found.coef), labels)
        return summarise_inference(self, found, scale, level, kind)

    def _warn_of_skew(self, parts: list[FloatArray], coef: FloatArray, labels: Labels) -> None:
        """Say where few rows and skew errors leave the large-sample law of the equations."""
        smallest = int(np.argmin(labels.counts))
        rows, equations = int(labels.counts[smallest]), 1 + int((~self.dependent_features_).sum())
        skew = skewness(parts, coef)
        if rows >= _ROWS_PER_EQUATION * equations:
            return
        if abs(skew) > max(_SKEW, _SURE * np.sqrt(6.0 / labels.counts.sum())):
            warn(
                f"The rule's error is skew (skewness {skew:.2g}) and environment {shown(labels.names[smallest])} has "
                f"{rows} rows for {equations} equations: intervals may miss more often than they say, and are wide. "
                "With exponential errors 95% ones covered .82 to .97.",
                DegenerateInputWarning,
            )
        elif rows < _FEW_PER_EQUATION * equations and int(labels.counts.max()) >= _BESIDE * rows:
            warn(
                f"Environment {shown(labels.names[smallest])} has {rows} rows for {equations} equations, another has "
                f"{labels.counts.max()}: intervals may miss more often than they say. Of 15, "
                "30 and 300 rows 95% intervals of Wald covered .89.",
                DegenerateInputWarning,
            )

    def summary(self) -> Summary:
        """Risks by environment beside plain least squares, and what the rule rests on."""
        check_is_fitted(self)
        return summarise_representation(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # neutral to what moves, it may predict little
        return tags


def _filled(rows: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """Rows completed to k by random ones."""
    return np.vstack([rows, rng.standard_normal((k - len(rows), rows.shape[1]))])
