"""The selector: among all sets of features that are invariant, the one that predicts best."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from causalinv._aligned import AlignedRegressorMixin
from causalinv._matrix import whitener
from causalinv._parallel import generator
from causalinv._typing import FloatArray, RandomState
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning, ScreeningWarning
from causalinv.invariance._doors import FitsWeightedRows
from causalinv.invariance._environments import Checked, dependent_features
from causalinv.invariance._linear import FeatureChoice, LinearPrediction, names_of, store_risks
from causalinv.invariance._summaries import summarise_selector
from causalinv.invariance.certificates._certify import CertifiesTraining
from causalinv.invariance.rules._gaps import Metric
from causalinv.invariance.rules._rule import rule_gaps, rule_of
from causalinv.invariance.subsets._decision import (
    Decision,
    Objective,
    Test,
    averaged_coef,
    check_options,
    check_test,
    few_rows,
    reads_rows,
    untestable,
    warn_two_values,
)
from causalinv.invariance.subsets._excess_bound import gap_upper_bound
from causalinv.invariance.subsets._fits import exact_sets, left_out_risks, pooled_coef, warn_exact
from causalinv.invariance.subsets._row_tests import ResidualTest, RowTest
from causalinv.invariance.subsets._search import Found, Search, count_subsets, find
from causalinv.invariance.subsets._sets import as_tuples, named_sets, unpack
from causalinv.invariance.subsets._subset_gaps import subset_gaps
from causalinv.invariance.subsets._sweep import SubsetStatistics
from causalinv.moments import Moments
from causalinv.results import Summary

__all__ = ["InvariantSubsetSelector"]

_ROWS = 1000  # accepted sets in the table


class InvariantSubsetSelector(
    FitsWeightedRows, LinearPrediction, FeatureChoice, CertifiesTraining, AlignedRegressorMixin, BaseEstimator
):
    r"""Features whose linear regression is the same in every environment, and which predict best among such sets.

    Every subset of the features (up to 20; of a screened few beyond) is judged by a statistical test, or by an upper
    confidence bound on its gap, and the accepted set of least risk is chosen. In contrast to Invariant Causal
    Prediction, which intersects the accepted sets to find causes, this looks for *prediction* that survives: effects of
    y are kept where no environment contradicts them.

    Parameters
    ----------
    eps : float, optional
        Tolerance. Left out, a set is accepted if the `test` does not reject it (on a population: if its relative excess
        is zero up to rounding). Given, a set is accepted if its gap is *certified* to be at most `eps`; on a
        population, if it is.
    metric : {"relative_excess", "excess", "coefficient", "gradient", "risk_range", "residual"}
        The gap, see `invariance_gaps`. On samples `eps` needs ``"relative_excess"``, the only one with a confidence
        bound.
    objective : {"pooled_risk", "worst_risk", "left_out_risk"}, default "pooled_risk"
        What the accepted sets are compared by: mean squared error over all environments together, or in the worst
        environment (both as Akaike's final prediction error, RSS (N + k) / (N - k) / N); or the worst mean squared
        error in an environment of the coefficients fitted to all others.
    search : {"auto", "exhaustive", "screened", "greedy"}, default "auto"
        All subsets; all subsets of the `screen_size` features that stand highest by partial correlation with y and by
        what they add to a prediction of y; or climbing from several starts by the best addition, removal or exchange.
        ``"auto"`` is exhaustive up to about a million subsets and else screened, with a warning. Screening keeps the
        causes of y only under faithfulness: a cause whose direct effect is cancelled by what it shares with an effect
        of y is left out, whatever the number of rows.
    max_size : int, optional
        Only sets of at most so many features.
    min_size : int, default 0
        Only sets of at least so many. The empty set is often invariant and never predicts.
    screen_size : int, default 16
        Features that screening keeps.
    level : float, default 0.05
        Level of the test; with `eps`, the probability with which any certified gap may be wrong.
    test : {"chow", "chow_hc", "residual", "ks", "ranks", "logistic"} or callable, default "chow"
        As in `InvariantCausalPrediction`. ``"chow"`` and ``"residual"`` judge all sets from moments. The others, and a
        function of residuals and labels, read rows: sets are tested in the order of the objective until the first is
        accepted. Take ``"chow_hc"`` where the errors' variance may depend on the features.
    averaging : bool, default False
        Average the coefficients of the accepted sets (the best 1000), weighted by exp(-BIC / 2), instead of taking one
        set's. What is said of the chosen set, as by `transform` and `left_out_risk_`, is not said of the average.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of the random starts of the greedy search.

    Attributes
    ----------
    support_ : ndarray of bool, shape (d,)
        The chosen set.
    accepted_ : bool
        Whether any set was accepted. If none, the set of smallest gap is chosen, with a warning: "no set of features is
        invariant" is an answer.
    coef_ : ndarray of shape (d,)
        Least squares on the chosen set, all environments together; 0 elsewhere. Units of y per unit of x.
    intercept_ : float
    gaps_ : ndarray of shape (E,)
        Gap of the chosen set's pooled rule in each environment, as it appears in the data.
    gap_ : float
        The largest.
    gap_upper_ : float
        The smallest eps that the data certify: with probability 1 - `level`, the rule fitted to all environments but
        one has at most this relative excess in that one, for each of them, *whichever set the search chose* (a union
        bound over all sets that it could have chosen and over environments). On a population, the gap itself; NaN for
        weighted rows, and for an average.
    pvalue_ : float
        Of the chosen set; NaN on a population or for weighted rows.
    risk_env_ : ndarray of shape (E,)
        In-sample mean squared error of the pooled rule in each environment, squared units of y.
    worst_risk_ : float
        The largest.
    left_out_risk_ : ndarray of shape (E,)
        Mean squared error in each environment of the chosen set's coefficients when fitted to all others: honest about
        a new environment except for the choice of the set.
    least_squares_coef_, least_squares_risk_env_ : ndarray of shape (d,), (E,)
        What plain least squares on all features says.
    least_squares_left_out_risk_ : ndarray of shape (E,)
        Mean squared error in each environment of least squares on all features, fitted to all others; computed when it
        is asked for.
    invariant_sets_ : DataFrame
        Accepted sets, best first, at most 1000: ``set`` (positions), ``features`` (names), ``size``,
        ``risk``, ``worst_risk``, ``left_out_risk``,
        ``gap``, ``pvalue`` (``left_out_risk`` is NaN where neither objective nor tolerance needs it).
    accepted_sets_packed_ : ndarray of uint8, shape (n_accepted, ceil(d / 8))
        All accepted sets as bits (``numpy.unpackbits(..., bitorder="little")``).
    n_evaluated_ : int
        Sets evaluated.
    search_ : str
        The search that was run.
    screened_out_ : ndarray of bool, shape (d,)
        Features that screening never considered.
    dependent_features_ : ndarray of bool, shape (d,)
        Features that are constant, or combinations of earlier ones; a set with one equals the set without.
    environments_ : ndarray of shape (E,)
        Labels of the environments.
    moments_ : Moments
        What everything was computed from.
    {seen}

    Warns
    -----
    IdentificationWarning
        If no set is accepted.
    ScreeningWarning
        If ``search="auto"`` had to screen.
    DegenerateInputWarning
        If features are dependent, y is an exact linear function of features, or an environment has too few rows for
        the larger sets.

    Notes
    -----
    The rule is valid in a new environment if that environment changes the features' mechanisms by what the training
    environments also changed, and not the outcome's. Invariant coefficients do not imply a stable risk: look at
    `risk_env_`. A set that the test does not reject may still violate (small environments reject nothing); `gap_upper_`
    says how much the data can exclude, for Gaussian data. `score` is plain R²; to choose parameters, score on
    environments that were left out (`causalinv.metrics.LeaveOneEnvironmentOut`, `worst_environment_scorer`).

    Approximate invariance and its question follow arXiv 2205.15196; search, tests and bounds are this package's own.

    Examples
    --------
    >>> from causalinv.invariance import InvariantSubsetSelector
    >>> from causalinv.sem import Shift, textbook_sem
    >>> envs = textbook_sem("chain").environments([None, Shift("x1", std=2.0), Shift("x2", std=3.0)])
    >>> X, y, environments = envs.sample(500, random_state=0)
    >>> model = InvariantSubsetSelector().fit(X, y, environments=environments)
    >>> model.support_, model.accepted_
    (array([ True, False]), True)
    """

    def __init__(
        self,
        *,
        eps: float | None = None,
        metric: Metric = "relative_excess",
        objective: Objective = "pooled_risk",
        search: Search = "auto",
        max_size: int | None = None,
        min_size: int = 0,
        screen_size: int = 16,
        level: float = 0.05,
        test: Test | ResidualTest = "chow",
        averaging: bool = False,
        random_state: RandomState = None,
    ):
        self.eps = eps
        self.metric = metric
        self.objective = objective
        self.search = search
        self.max_size = max_size
        self.min_size = min_size
        self.screen_size = screen_size
        self.level = level
        self.test = test
        self.averaging = averaging
        self.random_state = random_state

    def _fit_checked(self, given: Checked) -> Self:
        check_test(self.test)
        rows = None
        if self.eps is None:
            warn_two_values(self.test, given.outcome)
        if reads_rows(self.test) and self.eps is None and given.moments.is_unweighted:
            rows = RowTest(self.test, given.moments, given.features, given.outcome, given.labels)
        return self._fit(given.moments, rows)

    def _fit(self, moments: Moments, rows: RowTest | None = None) -> Self:
        level, d = check_options(self, moments, rows is not None), moments.blocks["x"]
        # One bound for whatever is chosen: every set that could have been, in every environment.
        certified_level = level / (count_subsets(d, self.max_size) * len(moments))
        decision = Decision(
            moments, self.eps, self.metric, self.objective, self.test, level, certified_level, self.min_size
        )
        if self.eps is None and not (decision.population or decision.testable):
            raise ValueError("The tests need rows of equal weight; with sample_weight give eps, the tolerated gap.")
        self.environments_ = moments.cells.to_numpy()
        self.moments_ = moments
        self.dependent_features_ = dependent_features(moments.pooled)
        found = find(
            moments,
            search=self.search,
            max_size=self.max_size,
            screen_size=self.screen_size,
            left_out=decision.needs_left_out,
            judge=decision.key,
            rng=generator(self.random_state, "search"),
        )
        self._note_search(found)
        subsets = found.subsets.take(found.subsets.sizes >= self.min_size)
        if not len(subsets):
            raise ValueError(
                f"min_size={self.min_size} leaves no set: search={self.search!r} looked at sets of at most "
                f"{int(found.subsets.sizes.max())} features. Lower min_size, or raise screen_size or max_size."
            )
        best_first = np.lexsort((subsets.sizes, decision.cost(subsets)))
        warn_exact(exact_sets(subsets, moments), subsets, d)
        smallest, largest = int(np.argmin(moments.count)), int(subsets.sizes.max())
        if moments.count[smallest] <= largest + 1:
            warn(
                f"Environment {moments.cells.tolist()[smallest]!r} has {moments.count[smallest]:g} rows: sets of "
                f"{moments.count[smallest] - 1:g} or more features {few_rows(self.test, self.eps)}",
                DegenerateInputWarning,
            )
        verdict = decision.judge(subsets) if rows is None else decision.judge_by_rows(subsets, best_first, rows)
        if verdict.untestable:
            warn(
                f"Sets that could not be tested: {verdict.untestable}, as {untestable(self.test)}. They are not "
                "accepted, and may be invariant.",
                DegenerateInputWarning,
            )
        self.accepted_ = bool(verdict.accepted.any())
        ranked = best_first[verdict.accepted[best_first]]
        chosen = int(ranked[0]) if self.accepted_ else int(np.lexsort((subsets.sizes, verdict.violation))[0])
        if not self.accepted_:
            shown = "shown to be " if verdict.untestable else ""
            what = f"invariant at level {level:g}" if self.eps is None else f"invariant within eps={self.eps:g}"
            warn(
                f"No set of features is {shown}{what}; the one of smallest gap is taken, and nothing says that it "
                "will hold elsewhere. The outcome's own mechanism may change between environments, or they are too "
                "small to certify the tolerance.",
                IdentificationWarning,
            )
        self.pvalue_ = float(verdict.pvalue[chosen])
        self._store(moments, subsets, chosen, ranked, verdict.pvalue)
        if decision.testable and not self.averaging:
            inside = np.flatnonzero(self.support_)
            k = np.array([whitener(cov).shape[1] + 1 for cov in moments.cov("x")[:, inside[:, None], inside]])
            own = subsets.own_risk[chosen]
            self.gap_upper_ = gap_upper_bound(own, self.left_out_risk_, moments.count, k, certified_level)
        else:
            self.gap_upper_ = self.gap_ if decision.population else float("nan")  # an average is no set's rule
        return self

    def _note_search(self, found: Found) -> None:
        self.search_ = found.how
        self.n_evaluated_ = len(found.subsets)
        self.screened_out_ = ~found.candidates
        if self.search == "auto" and found.how == "screened":
            warn(
                f"{len(found.candidates)} features have too many subsets; only those of the {found.candidates.sum()} "
                "that stand highest by partial correlation with y, and by what they add, were searched. "
                "A cause whose effect another path cancels is lost by that (screening assumes faithfulness; "
                "screened_out_ lists the rest). search='screened' says the same without this warning; max_size or "
                "search='greedy' are alternatives.",
                ScreeningWarning,
            )

    def _store(
        self,
        moments: Moments,
        subsets: SubsetStatistics,
        chosen: int,
        ranked: np.ndarray,
        pvalue: FloatArray,
    ) -> None:
        """Set what is fitted, from the chosen set and the accepted ones, best first."""
        d, pooled = moments.blocks["x"], moments.pooled
        self.support_ = unpack(subsets.packed[[chosen]], d)[0]
        self.accepted_sets_packed_ = subsets.packed[np.sort(ranked)]
        top = ranked[:_ROWS]
        shown = subsets.take(top)
        share = moments.weight / moments.weight.sum()
        sets = as_tuples(shown.packed, d)
        self.invariant_sets_ = pd.DataFrame(
            {
                "set": sets,
                "features": named_sets(sets, names_of(self)),
                "size": shown.sizes,
                "risk": shown.pooled_risk @ share,
                "worst_risk": shown.pooled_risk.max(axis=1),
                "left_out_risk": shown.left_out_risk.max(axis=1) if shown.left_out_risk.size else np.nan,
                "gap": subset_gaps(moments, shown, self.metric).max(axis=1) if len(shown) else [],
                "pvalue": pvalue[top],
            }
        )
        if self.averaging and len(top):
            self.coef_ = averaged_coef(moments, shown)
        else:
            self.coef_ = pooled_coef(pooled, self.support_)
        self.intercept_ = float(pooled.mean("y")[0, 0] - pooled.mean("x")[0] @ self.coef_)
        store_risks(self, moments)
        self.left_out_risk_ = left_out_risks(moments, self.support_)
        self.gaps_ = rule_gaps(rule_of(self), moments, self.metric)
        self.gap_ = float(self.gaps_.max())

    @property
    def least_squares_left_out_risk_(self) -> FloatArray:
        """Mean squared error in each environment of least squares on all features, fitted to all others, (E,)."""
        check_is_fitted(self)
        return left_out_risks(self.moments_, np.ones(self.n_features_in_, bool))

    def _class_size(self) -> float:
        return float("inf") if self.averaging else count_subsets(self.n_features_in_, self.max_size)

    def summary(self) -> Summary:
        """Risks by environment beside plain least squares, what was chosen, and what it rests on."""
        check_is_fitted(self)
        return summarise_selector(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # it may predict by few features, or by none
        return tags
