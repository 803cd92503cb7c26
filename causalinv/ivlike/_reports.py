"""How much to believe a fitted IV-like regression: intervals, a test, sensitivity, a bootstrap, the summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.utils.validation import check_is_fitted

from causalinv._frames import column_names
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_confidence_level, check_number, check_rows, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._bootstrap import cluster_counts, replicate
from causalinv.ivlike._checks import check_limit
from causalinv.ivlike._evidence import Evidence, Reading
from causalinv.ivlike._inference import (
    Influence,
    by_cluster,
    coefficient_influence,
    hotelling,
    least_squares_influence,
    moved_influence,
    quantile,
    restricted_score,
)
from causalinv.ivlike._inputs import limited
from causalinv.ivlike._path import IVLikePath, check_alpha
from causalinv.ivlike._selection import Strength
from causalinv.ivlike._sensitivity import benchmark_r2, end_influence, half_width, robustness_value
from causalinv.ivlike._small_samples import COV_TYPES, CovType, Errors, errors_of
from causalinv.ivlike._summary import coefficient_index, summarize
from causalinv.linear_rule import least_squares
from causalinv.results import BootstrapResult, Summary, TestResult
from causalinv.transformations import Translation

__all__ = ["Reports"]

_FEW = 5.0  # degrees of freedom of clusters: below, no correction is to be relied on
_REACTS = 1e-6  # share of the range of y: a larger change of a prediction is no rounding


class Reports:
    """Methods of a fitted regression that say how much to believe it."""

    coef_: FloatArray
    least_squares_coef_: FloatArray
    alpha_: float
    path_: IVLikePath
    n_instruments_effective_: int
    ridge: float
    augmentation: Any
    features: Any
    _evidence: Evidence | None
    _reading: Reading
    _single_output: bool
    _mode: str

    def _select(self, evidence: Evidence | None, reading: Reading, path: IVLikePath) -> Strength:
        raise NotImplementedError

    def _chosen_from_data(self) -> bool:
        raise NotImplementedError

    # -- intervals ----------------------------------------------------------------------------------------------

    def covariance(self, *, at: float | None = None, cov_type: CovType = "auto") -> FloatArray:
        """Covariance of the coefficients at the strength used, or at another, shape (d, d) or (p, d, d).

        Parameters
        ----------
        at : float >= 0, optional
            Strength alpha; that of the fit if left out.
        cov_type : {"auto", "classical", "HC1", "HC2", "HC3"}, default "auto"
            With `groups` HC1 to HC3 are their clustered forms. HC2 and HC3 come with the degrees of freedom of Bell and
            McCaffrey, and need a fit that is least squares or two-stage least squares. ``"auto"`` is HC2 there, if it
            leaves some coefficient fewer than 30 degrees of freedom, and HC1 elsewhere.

        Notes
        -----
        A sandwich of the influence of every row: robust to unequal variances, and to dependence inside `groups`. The
        copies that an augmentation draws count as one row, and `features` as given. If alpha was chosen from the data
        (``"cc"``), it is conditional on the choice; `bootstrap` is not. It is asymptotic: squares and products among
        `features` have heavy tails, and may need thousands of rows.
        """
        cov = self._errors(at, cov_type).cov
        return np.asarray(cov[0] if self._single_output else cov)

    def confint(
        self,
        *,
        kind: Literal["pseudo_true", "identified"] = "pseudo_true",
        at: float | None = None,
        cov_type: CovType = "auto",
        confidence_level: float = 0.95,
        **misread: float,
    ) -> pd.DataFrame:
        """Confidence intervals of the coefficients; the head of the frame says what they cover.

        Parameters
        ----------
        kind : {"pseudo_true", "identified"}, default "pseudo_true"
            ``"pseudo_true"`` covers what the fit converges to at this alpha, confounding that remains included.
            ``"identified"`` covers the causal effect *if* the outcome ignores what was declared, and no hidden cause
            moves the coordinates that it reads; the numbers are the same, and it needs ``alpha=0`` (or a group, whose
            average is that limit). With genuine instruments it covers the effect if they are independent of hidden
            causes, act on y only through X, and are not weak.
        at : float >= 0, optional
            Strength alpha; that of the fit if left out.
        cov_type : {"auto", "classical", "HC1", "HC2", "HC3"}, default "auto"
            With `groups` HC1 to HC3 are their clustered forms. HC2 and HC3 come with the degrees of freedom of Bell and
            McCaffrey, and need a fit that is least squares or two-stage least squares. ``"auto"`` is HC2 there, if it
            leaves some coefficient fewer than 30 degrees of freedom, and HC1 elsewhere.
        confidence_level : float, default 0.95

        Returns
        -------
        pandas.DataFrame
            One row per coefficient, columns ``lower`` and ``upper``.

        Raises
        ------
        ValueError
            If ``kind="identified"`` with a strength that does not impose the invariance, with fewer instruments than
            features, or with `features` whose fit still reacts to the augmentation in some row; if rows are augmented
            copies whose source rows (`groups`) are not known; if the fit has no rows (`fit_moments`, or after
            pickling).
        """
        if misread:
            raise TypeError(
                f"confint has no argument {next(iter(misread))!r}. For 95% intervals say confidence_level=0.95; for "
                "the strength of the fit say at=."
            )
        check_is_fitted(self)
        level = check_confidence_level(confidence_level)
        if kind not in ("pseudo_true", "identified"):
            raise ValueError(f"kind must be 'pseudo_true' or 'identified', got {kind!r}.")
        strength = self.alpha_ if at is None else check_alpha(at, "at")
        if kind == "identified":
            self._check_claims_cause(strength)
        if kind == "identified" and self.ridge > 0:
            raise ValueError(
                f"kind='identified' needs a fit without ridge, which pulls coefficients to 0; got ridge={self.ridge:g}."
            )
        if kind == "identified" and self.path_.basis.shape[1] < int(self._varying().sum()):
            raise ValueError(
                "kind='identified' needs features that are not linearly dependent: these leave several coefficients "
                "with the same predictions, and the one of minimum norm is a convention. Drop columns."
            )
        found = self._errors(at, cov_type)
        self._warn_few_clusters(found)
        error = np.sqrt(np.diagonal(found.cov, axis1=1, axis2=2)).ravel()
        width = student.ppf(0.5 + level / 2, found.df.ravel()) * error
        coef = self.coef_ if at is None else self.path_.coef(strength).T
        if kind == "identified" and self.augmentation is not None and not self._averages() and not self._known():
            self._check_ignores(np.atleast_2d(coef).T)
        centre = coef.ravel()
        frame = pd.DataFrame({"lower": centre - width, "upper": centre + width}, index=coefficient_index(self))
        if kind == "identified" and self.augmentation is None:
            covers = (
                "causal effect if the instruments are independent of hidden causes, move y only through X, and are "
                "not weak"
            )
        elif kind == "identified":
            declared = "the declared invariance holds"
            if not self.augmentation.outcome_invariant:
                declared = "the outcome ignores the augmentation, which you did not declare,"
            covers = f"causal effect if {declared} and nothing hidden moves what y reads"
        else:
            covers = f"limit of the fit at alpha={strength:g}, remaining confounding included"
        if at is None and self._chosen_from_data():
            covers += ", alpha taken as chosen"
        return frame.rename_axis(columns=f"{level:.0%}: {covers}")

    def bootstrap(
        self,
        n_replications: int = 1000,
        *,
        pairs: tuple[Rows, Rows] | None = None,
        random_state: RandomState = None,
    ) -> BootstrapResult:
        """Bootstrap rows (or clusters), choosing alpha again each time, and the directions if their pairs are given.

        Only moments are computed again, so a thousand replications take seconds.

        Parameters
        ----------
        n_replications : int, default 1000
        pairs : (X, X_other), optional
            The pairs of rows that `Translation.from_pairs` estimated the directions from. They are drawn anew
            independently of the rows, with as many directions as the augmentation has.
        random_state : int, SeedSequence, Generator, RandomState or None

        Returns
        -------
        BootstrapResult
            With ``replicates``, ``alphas`` and ``confint()``.
        """
        evidence, _ = self._rows_again()
        n_replications = check_whole(n_replications, "n_replications", low=2)
        drawn = None if pairs is None else self._check_pairs(*pairs, evidence)
        base = np.ones(len(evidence.y)) if evidence.weight is None else evidence.weight
        if not evidence.declared:
            evidence = evidence.held()

        def fit(rng: np.random.Generator) -> tuple[FloatArray, float]:
            again = evidence.reweighted(base * cluster_counts(evidence.groups, len(base), rng))
            if drawn is not None:
                which = rng.integers(len(drawn[0]), size=len(drawn[0]))
                keep = len(self.augmentation.directions)
                moved = Translation.from_pairs(
                    *(rows.iloc[which] if isinstance(rows, pd.DataFrame) else rows[which] for rows in drawn),
                    n_directions=keep,
                    scale=self.augmentation.scale,
                )
                again = again.with_augmentation(moved)
            reading = again.read()
            path = IVLikePath.from_first_stage(reading.stage, ridge=self.ridge)
            strength = self._select(again, reading, path)
            return strength.coef(path).T.ravel(), strength.alpha

        coefs, alphas = replicate(fit, n_replications, random_state)
        index = coefficient_index(self)
        unit = "rows" if evidence.groups is None else "clusters"
        accounts = f"{unit} drawn anew, alpha chosen anew" + ("" if pairs is None else ", directions estimated anew")
        return BootstrapResult(
            pd.DataFrame(coefs, columns=index), alphas, pd.Series(self.coef_.ravel(), index=index), accounts
        )

    # -- what the data can say about the assumption ---------------------------------------------------------------

    def ols_invariance_test(self) -> TestResult:
        """Test whether least squares itself ignores what the augmentation moves, robust to clusters.

        A score test: the residual of least squares that ignores the augmentation must be uncorrelated with what the
        augmentation moves. Its law is Hotelling's F, which allows for the estimated covariance. Where copies are drawn
        the mean reaction per parameter of least squares itself is tested, under the same law.

        Under the null hypothesis ignoring changes nothing. A rejection does not say why: either confounding along the
        ignored directions is there to be removed, or the outcome does not ignore them.

        Returns
        -------
        TestResult
        """
        if self.augmentation is None:
            raise ValueError(
                "ols_invariance_test needs augmentation=, which knows the rows before they are moved. For genuine "
                "instruments use a test of exogeneity, for example from the package ivmodels."
            )
        evidence, reading = self._rows_again()
        if not self._single_output:
            raise ValueError("ols_invariance_test takes one outcome; fit them one by one.")
        if evidence.known and not self.ridge:
            shift, influence = restricted_score(evidence, reading, self.path_)
        else:
            coef = least_squares(reading.moments)
            own = least_squares_influence(evidence, reading, coef)
            shift, influence = moved_influence(evidence, reading, coef, own)
        if influence.n_clusters <= len(shift):
            raise ValueError(
                f"{influence.n_clusters} independent rows or groups cannot test {len(shift)} directions at once: their "
                "covariance is singular. Use fewer directions, or more groups."
            )
        spent = influence.rank if influence.groups is None else 0
        contributions = by_cluster(influence.rows[:, :, 0], influence.groups)
        if len(contributions) - spent <= len(shift):
            raise ValueError(
                f"{len(contributions)} independent rows or groups, less {spent} for what is fitted, cannot test "
                f"{len(shift)} directions at once. Use fewer directions, or more rows or groups."
            )
        statistic, pvalue, df = hotelling(shift[:, 0], contributions, spent=spent)
        return TestResult(
            statistic,
            pvalue,
            df,
            hypothesis="least squares predictions do not react to the augmentation",
            assumption="rows, or groups of them, are independent",
            note="A rejection means: confounding along the ignored directions, or an outcome that does not ignore "
            "them. The data cannot tell which.",
        )

    def sensitivity(
        self,
        r2: float | None = None,
        *,
        benchmark: str | int | None = None,
        confidence_level: float | None = None,
    ) -> pd.DataFrame:
        r"""Effects compatible with some confounding of the coordinates that the outcome reads.

        Parameters
        ----------
        r2 : float in [0, 1), optional
            Bound on :math:`R^2(\xi \sim P'x)`, the share of the outcome's noise that the invariant coordinates explain.
        benchmark : str or int, optional
            Instead of `r2`: as large as it would be if this feature were hidden.
        confidence_level : float, optional
            Widen the interval by the sampling error of its ends, each at half the level's complement.

        Returns
        -------
        pandas.DataFrame
            Per coefficient ``coef``, ``lower``, ``upper`` and ``robustness_value``: the smallest r2 whose interval
            contains 0.

        Notes
        -----
        Exact in second moments: every value in an interval is attained by some confounding of that size. The
        invariance itself is taken as true.
        """
        check_is_fitted(self)
        if not self._imposes_invariance(self.alpha_):
            raise ValueError(f"sensitivity needs alpha=0, where the invariance is imposed; alpha is {self.alpha_:g}.")
        if self.ridge > 0:
            raise ValueError(f"sensitivity is exact for least squares only, without ridge; got ridge={self.ridge:g}.")
        if not self._single_output:
            raise ValueError("sensitivity takes one outcome; fit them one by one.")
        moments, fixed = self._reading.moments, self.path_.basis[:, ~self.path_.moved]
        cov, cross = moments.cov("x")[0], moments.cov("x", "y")[0, :, 0]
        sigma2 = float(moments.cov("y")[0, 0, 0] - 2 * self.coef_ @ cross + self.coef_ @ cov @ self.coef_)
        if not np.allclose(fixed.T @ cov @ fixed, np.eye(fixed.shape[1]), atol=1e-6):
            raise ValueError(
                "sensitivity needs directions that the augmentation leaves alone in every row; here they are left "
                "alone on average only (sampled copies, or a curved augmentation), and nothing exact can be said."
            )
        names = list(coefficient_index(self))
        if (r2 is None) == (benchmark is None):
            raise ValueError("Give either r2, a bound from 0 to below 1, or benchmark, the name of a feature.")
        if benchmark is not None:
            r2 = benchmark_r2(
                self.coef_, fixed, cov=cov, cross=cross, sigma2=sigma2, feature=_position(benchmark, names)
            )
            told = f" (as if {benchmark} were hidden)"
        else:
            told = ""
        bound = check_number(r2, "r2", low=0.0)
        if bound >= 1:
            raise ValueError(f"r2 must be below 1, got {bound:g}: noise that is all confounding allows every effect.")
        width = half_width(fixed, sigma2, bound)
        ends = np.stack([self.coef_ - width, self.coef_ + width])
        if confidence_level is not None:
            level = check_confidence_level(confidence_level)
            ends += self._end_errors(fixed, sigma2, bound, level) * np.array([[-1.0], [1.0]])
            told += f", {level:.0%} confidence"
        table = {
            "coef": self.coef_,
            "lower": ends[0],
            "upper": ends[1],
            "robustness_value": robustness_value(self.coef_, fixed, sigma2),
        }
        frame = pd.DataFrame(table, index=coefficient_index(self))
        return frame.rename_axis(columns=f"R2 <= {bound:.3g}{told}")

    def summary(self) -> Summary:
        """Coefficients beside those of least squares, the rows that differ most first."""
        check_is_fitted(self)
        try:
            found = self._errors(None, "auto")
        except ValueError as reason:
            return summarize(self, None, str(reason))
        return summarize(self, np.sqrt(np.diagonal(found.cov, axis1=1, axis2=2)), "")

    # -- rows ---------------------------------------------------------------------------------------------------

    def _imposes_invariance(self, alpha: float) -> bool:
        return self.augmentation is not None and (alpha == 0 or self._averages())

    def _check_claims_cause(self, at: float) -> None:
        """Refuse to call causal what would not converge to the effect even if every assumption held."""
        if self.augmentation is not None:
            if not self._imposes_invariance(at):
                raise ValueError(
                    f"kind='identified' needs alpha=0, where the invariance is imposed; at alpha={at:g} the fit "
                    "does not converge to the causal effect even if all assumptions hold. Use 'pseudo_true' or alpha=0."
                )
        elif self._mode == "copies":
            raise ValueError(
                "kind='identified' is not available for rows that are augmented copies: their originals are not "
                "known, so nothing shows whether predictions ignore the augmentation. Use 'pseudo_true', or "
                "augmentation= on the original rows."
            )
        elif at != 0:
            raise ValueError(
                f"kind='identified' needs alpha=0, two-stage least squares; at alpha={at:g} the fit is pulled towards "
                "least squares and does not converge to the causal effect. Use 'pseudo_true' or alpha=0."
            )
        elif not self.path_.moved.all():
            raise ValueError(
                f"kind='identified' needs at least one instrument per feature, but {self.n_instruments_effective_} "
                f"move {int(self.path_.moved.sum())} of {len(self.path_.moved)} directions of the features: the data "
                "leave the effect open. Add instruments, or use 'pseudo_true'."
            )

    def _known(self) -> bool:
        return self._evidence is not None and self._evidence.known

    def _varying(self) -> np.ndarray:
        stage = self._reading.stage
        return np.asarray((np.diagonal(stage.variance) > 0) | np.any(stage.factor, axis=0))

    def _check_ignores(self, coef: FloatArray) -> None:
        """Refuse coefficients (d, p) of features whose predictions the augmentation still changes in some row."""
        evidence, _ = self._rows_again()
        original = evidence.expand(evidence.X)
        spread = np.maximum(np.ptp(evidence.y, axis=0), np.finfo(np.float64).tiny)
        change = max(float((np.abs((each.x - original) @ coef) / spread).max()) for each in evidence.copies())
        if change > _REACTS:
            raise ValueError(
                f"kind='identified' needs predictions that ignore the augmentation, but in this fit they change "
                f"by up to {change:.2g} of the range of y: alpha=0 imposes here only that the change is "
                "zero on average given G (paired and sampled copies: uncorrelated with G). Use kind='pseudo_true', or "
                "features that split into those that the augmentation moves and those that it does not."
            )

    def _averages(self) -> bool:
        """Whether a group was averaged exactly, so that every strength gives the same."""
        return self.augmentation is not None and self.augmentation.averages and self._reading.stage.added

    def _influence(self, at: float | None = None) -> Influence:
        """Influence of every row on the coefficients, at the strength of the fit or another."""
        evidence, reading = self._rows_again()
        alpha = self.alpha_ if at is None else check_alpha(at, "at")
        if np.isnan(alpha):
            raise ValueError(
                "alpha='eb' mixes many strengths, for which there is no covariance formula here; use bootstrap()."
            )
        if at is not None and alpha == 0:
            check_limit(limited(self.augmentation, self._mode), self.path_)
        coef = np.atleast_2d(self.coef_).T if at is None else self.path_.coef(alpha)
        alpha = 0.0 if self._averages() else alpha
        influence = coefficient_influence(evidence, reading, self.path_, alpha, coef, ridge=float(self.ridge))
        if influence.df < 1 or len(influence.rows) <= influence.rank:
            raise ValueError(
                f"No standard errors: {len(influence.rows)} rows (copies of one count once) for {influence.rank} "
                "coefficients leave no degrees of freedom."
            )
        return influence

    def _errors(self, at: float | None, cov_type: CovType) -> Errors:
        """Covariance and degrees of freedom of the coefficients, at the strength of the fit or another."""
        if cov_type not in COV_TYPES:
            raise ValueError(f"cov_type must be one of {COV_TYPES}, got {cov_type!r}.")
        influence = self._influence(at)
        assert self._evidence is not None
        alpha = self.alpha_ if at is None else at
        coef = np.atleast_2d(self.coef_).T if at is None else self.path_.coef(alpha)
        if self.ridge > 0:
            cov_type = "HC1" if cov_type == "auto" else cov_type
            if cov_type != "HC1":
                raise ValueError(f"cov_type={cov_type!r} needs a fit without ridge, got ridge={self.ridge:g}.")
        return errors_of(
            self._evidence,
            self._reading,
            self.path_,
            0.0 if self._averages() else alpha,
            coef,
            influence=influence,
            cov_type=cov_type,
        )

    def _warn_few_clusters(self, found: Errors) -> None:
        evidence = self._evidence
        least = float(found.df.min(initial=np.inf))
        if evidence is not None and evidence.groups is not None and least < _FEW:
            warn(
                f"Few or uneven clusters: {int(evidence.groups.max()) + 1} groups leave {least:.1f} degrees of freedom "
                "for the least certain coefficient. Intervals are rough there; more groups of similar size would help.",
                DegenerateInputWarning,
            )

    def _rows_again(self) -> tuple[Evidence, Reading]:
        """Evidence of the fit, read once more and compared with what was fitted."""
        check_is_fitted(self)
        evidence = self._evidence
        if evidence is None:
            raise ValueError(
                "The rows of this fit are not at hand (it was fitted on moments, or pickled); fit(X, y) again for "
                "standard errors."
            )
        if evidence.mode == "copies" and evidence.groups is None:
            raise ValueError(
                "Rows that are augmented copies are clusters, not samples: pass groups= (the source row of each) to "
                "fit for standard errors. If no source has two copies, say groups=range(n)."
            )
        reading = evidence.read()
        for name in ("variance", "cross", "factor", "outcome"):
            if not np.array_equal(getattr(reading.stage, name), getattr(self._reading.stage, name)):
                raise ValueError(
                    "The rows have changed in place since the fit, or the augmentation draws from a generator of its "
                    "own. Fit again, on a copy of the data; an augmentation must use only the generator it is given."
                )
        return evidence, reading

    def _end_errors(self, fixed: FloatArray, sigma2: float, r2: float, level: float) -> FloatArray:
        """Sampling error of both ends of a sensitivity interval, times the one-sided quantile."""
        evidence, reading = self._rows_again()
        influence = self._influence()
        keep = np.ones(len(evidence.y), bool) if evidence.weight is None else evidence.weight > 0
        x = (evidence.expand(evidence.X) - reading.moments.mean("x")[0])[keep]
        residual = (evidence.y[:, 0] - reading.moments.mean("y")[0, 0])[keep] - x @ self.coef_
        share = (np.ones(len(x)) if evidence.weight is None else evidence.weight[keep]) / reading.moments.weight[0]
        ends = end_influence(x, residual, fixed, sigma2=sigma2, r2=r2, own=influence.rows[:, :, 0], share=share)
        both = Influence(np.stack(ends, axis=-1), influence.groups, influence.rank).covariance()
        return quantile(level, influence.df) * np.sqrt(np.diagonal(both, axis1=1, axis2=2))

    def _check_pairs(self, X: Rows, X_other: Rows, evidence: Evidence) -> tuple[Any, Any]:
        """The pairs under their names, if they are those that the directions came from."""
        if not isinstance(self.augmentation, Translation):
            raise ValueError("pairs= needs an augmentation made by Translation.from_pairs.")
        check_alignment(X=X, X_other=X_other)
        first, second = _named_rows(X, "X of pairs"), _named_rows(X_other, "X_other of pairs")
        d, names = evidence.X.shape[1], evidence.names
        fitted = self.augmentation.parameters(d, names)
        shown = Translation.from_pairs(first, second, n_directions=len(fitted)).parameters(d, names)
        inside = np.linalg.svd(shown, full_matrices=False)[2]
        left = fitted - fitted @ inside.T @ inside
        gap = float((np.linalg.norm(left, axis=1) / np.linalg.norm(fitted, axis=1)).max())
        if gap > 1e-6:
            raise ValueError(
                f"pairs= show other directions than the augmentation has: of one of its {len(fitted)} directions a "
                f"share of {gap:.2g} is outside their span. Give the pairs that Translation.from_pairs made it from, "
                "with their column names and in the units of X."
            )
        return first, second


def _named_rows(rows: Rows, name: str) -> Any:
    values, names = check_rows(rows, name), column_names(rows)
    return values if names is None else pd.DataFrame(values, columns=list(names))


def _position(feature: str | int, names: Sequence[Any]) -> int:
    if feature in names:
        return names.index(feature)
    if isinstance(feature, int | np.integer) and 0 <= feature < len(names):
        return int(feature)
    raise ValueError(f"benchmark must be a feature of this fit, {names}, or its position; got {feature!r}.")
