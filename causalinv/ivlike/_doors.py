"""Doors of a fitted IV-like regression to how far it may be believed; each asks a function of its record."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from causalinv._frames import row_index
from causalinv._typing import ArrayLike, FloatArray, RandomState, Rows
from causalinv.ivlike._bands import path_confint, selected_confint
from causalinv.ivlike._bootstrap import bootstrap
from causalinv.ivlike._inputs import check_controls
from causalinv.ivlike._intervals import check_contrast, combination_table, confint, covariance
from causalinv.ivlike._invariance_test import ols_invariance_test
from causalinv.ivlike._path import check_alphas
from causalinv.ivlike._recorded import Recorded
from causalinv.ivlike._sensitivity import confounder_like, sensitivity
from causalinv.ivlike._small_samples import CovType
from causalinv.ivlike._summary import summary
from causalinv.results import BootstrapResult, Summary, TestResult

__all__ = ["InferenceDoors"]


class InferenceDoors(Recorded):
    """What a fit can be asked beyond its numbers."""

    def covariance(
        self,
        *,
        at: float | None = None,
        cov_type: CovType = "auto",
        intercept: bool = False,
        across: bool = False,
        source: Any = None,
        groups: str | None = None,
        sample_weight: str | None = None,
        connection: Any = None,
        n_threads: int | None = None,
        progress: bool = False,
    ) -> FloatArray:
        """Covariance of the coefficients at the strength used, or at another, shape (d, d) or (p, d, d).

        Parameters
        ----------
        at : float >= 0, optional
            Strength alpha; that of the fit if left out.
        cov_type : {"auto", "classical", "HC1", "HC2", "HC3", "HCK", "wild", "bootstrap", "misspecified"}
            With `groups` HC1 to HC3 are their clustered forms. With instruments and ``alpha=0``, LIML or Fuller,
            ``"classical"`` and ``"HC1"`` are the textbook ones, those of Stata and linearmodels; ``"misspecified"``
            allows for instruments that disagree (Hall and Inoue, 2003; Lee, 2018), as ``"auto"`` does with more
            instruments than features. HC2 and HC3 come with the degrees of freedom of Bell and McCaffrey, and need a
            fit that is least squares or two-stage least squares. So does ``"HCK"`` (Cattaneo, Jansson and Newey,
            2018): squared residuals are unmixed, so that variances are unbiased however unequal errors are, also where
            many columns are fitted or a row pulls the fit (HC3 where one is not positive); covariances are HC2's
            correlations with these variances, and `contrast` has the variance of a combination. ``"auto"`` is HCK there
            (with `groups` HC2), if some coefficient has fewer than 30 degrees of freedom or there are more columns
            than a twentieth of the rows, and HC1 elsewhere; of fits that are neither with as many degrees of freedom
            as unequal sums s of clusters (parts of rows) leave, (Σ s²)² / Σ s⁴. ``"wild"`` (signs of whole clusters,
            or of rows) and ``"bootstrap"`` (clusters or rows drawn anew) are HC1 with the quantiles of a bootstrap of
            t, for the same fits; their 999 draws have a fixed seed.
        intercept : bool, default False
            Put the intercept first.
        across : bool, default False
            Of several outcomes, their joint covariance (p d, p d), outcome by outcome.
        source : path, Arrow data set, frame, Dask collection, DuckDB relation, or str with `connection`, optional
            After `fit_moments`: the rows that the moments are of, as `Moments.scan` reads them, for a second pass;
            columns are taken by the names that the moments have. HC1 or its clustered form; with instruments
            ``"misspecified"``.
        groups, sample_weight : str, optional
            Columns of the source: clusters, and the weights that the moments were made with.
        connection : DuckDB connection, SQLAlchemy connection or engine, optional
            Where the table or SELECT is. Its rows come here by one statement, some thousands at a time, and are not
            kept.
        n_threads, progress : optional
            As in `Moments.scan`.

        Returns
        -------
        ndarray
            NaN for a coefficient that rests on one row or cluster, as in `confint`; a second pass does not look for it.

        Raises
        ------
        ValueError
            If there are no rows and no `source`, or the rows of the source are not those of the moments (their number,
            weight or covariance differs).

        Notes
        -----
        A sandwich of the influence of every row: robust to unequal variances, and to dependence inside `groups`. The
        copies that an augmentation draws count as one row, and `features` as given. If alpha was chosen from the data
        (``"cc"``), it is conditional on the choice; `bootstrap` is not. It is asymptotic: squares and products among
        `features` have heavy tails, and may need thousands of rows. Where coefficients (controls among them) are not
        few beside the rows, or a feature has long tails, and variances are unequal, HC1 and HC2 are too short: with
        40 controls in 100 rows and a lognormal feature the 95% intervals of HC2 covered .79 to .85, and those of HCK
        .94 (s.e. .008). Fits that are not least squares (``alpha > 0``, more instruments than features) have HC1 only.
        """
        if source is None:
            if groups is not None or sample_weight is not None or connection is not None:
                raise ValueError(
                    "groups, sample_weight and connection are about source=; pass groups and weights to fit otherwise."
                )
            return covariance(self._checked(), at, cov_type, intercept=intercept, across=across)
        if cov_type != "auto" or intercept or across:
            raise ValueError("A second pass has one kind of errors; leave cov_type, intercept and across out.")
        from causalinv.ivlike._second_pass import scanned_covariance

        return scanned_covariance(
            self._checked(),
            at,
            source,
            groups=groups,
            sample_weight=sample_weight,
            connection=connection,
            n_threads=n_threads,
            progress=progress,
        )

    def confint(
        self,
        *,
        kind: Literal["pseudo_true", "identified", "selected"] = "pseudo_true",
        at: float | None = None,
        cov_type: CovType = "auto",
        confidence_level: float = 0.95,
        **misread: float,
    ) -> pd.DataFrame:
        """Confidence intervals of the coefficients; the head of the frame says what they cover.

        Parameters
        ----------
        kind : {"pseudo_true", "identified", "selected"}, default "pseudo_true"
            ``"pseudo_true"`` covers what the fit converges to at this alpha, confounding that remains included.
            ``"identified"`` covers the causal effect *if* the outcome ignores what was declared, and no hidden cause
            moves the coordinates that it reads; the numbers are the same, and it needs ``alpha=0`` (or a group, whose
            average is that limit). With genuine instruments it covers the effect if they are independent of hidden
            causes, act on y only through X, and are not weak. ``"selected"``, for a strength chosen from the data,
            covers the limit at the strength that the rule would choose in the population: a bootstrap says where that
            may be, simultaneous bands where the coefficients then are.
        at : float >= 0, optional
            Strength alpha; that of the fit if left out.
        cov_type : str, default "auto"
            As in `covariance`.
        confidence_level : float, default 0.95

        Returns
        -------
        pandas.DataFrame
            One row per coefficient, columns ``lower`` and ``upper``; NaN where a coefficient rests on a single row or
            cluster (the only treated one), which is fitted exactly, so that no residual shows its error. Only
            ``cov_type="classical"``, which takes the others' errors for its, has an interval there; ``"HC1"`` and
            ``"misspecified"`` are as in textbooks, and far too short.

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
        if kind == "selected":
            return selected_confint(self._checked(), confidence_level=confidence_level)
        return confint(self._checked(), kind=kind, at=at, cov_type=cov_type, confidence_level=confidence_level)

    def contrast(
        self, weights: ArrayLike, *, at: float | None = None, cov_type: CovType = "auto", confidence_level: float = 0.95
    ) -> pd.DataFrame:
        """Linear combinations of the coefficients with standard errors, intervals and p values of 0.

        Parameters
        ----------
        weights : array-like of shape (d,) or (m, d), Series or DataFrame
            Weights of the coefficients, one combination per row; names, where given, must be those of the features, in
            their order.
        at, cov_type, confidence_level
            As in `confint`.

        Returns
        -------
        pandas.DataFrame
            Columns ``estimate``, ``s.e.``, ``lower``, ``upper``, ``p``; they are about the limit of the fit at this
            strength, as in ``confint(kind="pseudo_true")``.
        """
        fit = self._checked()
        rows, index = check_contrast(fit, weights)
        combine = np.column_stack([np.zeros(len(rows)), rows])
        return combination_table(fit, combine, index, at=at, cov_type=cov_type, confidence_level=confidence_level)

    def predict_confint(
        self,
        X: Rows,
        *,
        controls: Rows = None,
        at: float | None = None,
        cov_type: CovType = "auto",
        confidence_level: float = 0.95,
    ) -> pd.DataFrame:
        """Confidence intervals of the mean that `predict` estimates; at zero features that is the intercept.

        Parameters
        ----------
        X : array-like of shape (m, d)
        controls : array-like of shape (m, c), required if the model was fitted with controls
        at, cov_type, confidence_level
            As in `confint`.

        Returns
        -------
        pandas.DataFrame
            Columns as in `contrast`, one row per row of X. Not the range of a new outcome, whose noise comes on top.
        """
        fit = self._checked()
        known = check_controls(self, controls, X)
        rows = self._expanded(X)
        combine = np.column_stack([np.ones(len(rows)), rows - fit.reading.moments.mean("x")[0]])
        if known is not None and fit.slopes is not None:
            combine = np.column_stack([combine, known - fit.slopes.mean])
        found = row_index(X)
        index = pd.RangeIndex(len(rows)) if found is None else found
        return combination_table(fit, combine, index, at=at, cov_type=cov_type, confidence_level=confidence_level)

    def path_confint(
        self,
        alphas: ArrayLike,
        *,
        over: Literal["path", "coefficients", "all"] = "path",
        confidence_level: float = 0.95,
        random_state: RandomState = 0,
    ) -> pd.DataFrame:
        """Simultaneous confidence bands, by a multiplier bootstrap of the influence of every row.

        Parameters
        ----------
        alphas : array-like of shape (m,)
            Strengths.
        over : {"path", "coefficients", "all"}, default "path"
            What the level is for: all strengths of one coefficient, all coefficients at one strength, or everything.
        confidence_level : float, default 0.95
        random_state : int, SeedSequence, Generator, RandomState or None, default 0
            Seed of the 2000 multipliers (ten times 1 / (1 - level), if that is more).

        Returns
        -------
        pandas.DataFrame
            Columns ``coef``, ``lower``, ``upper``, one row per strength and coefficient; NaN as in `confint`.
        """
        fit = self._checked()
        return path_confint(
            fit, check_alphas(alphas), over=over, confidence_level=confidence_level, random_state=random_state
        )

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
            With ``replicates``, ``alphas`` and ``confint()``; NaN for a coefficient that rests on one row or cluster.
        """
        return bootstrap(self._checked(), n_replications, pairs=pairs, random_state=random_state)

    def ols_invariance_test(self, *, cov_type: Literal["robust", "classical"] = "robust") -> TestResult:
        """Test whether least squares itself ignores what the augmentation moves.

        A score test: the residual of least squares that ignores the augmentation must be uncorrelated with what the
        augmentation moves. Where copies are drawn that is the part of their reaction that is linear in G.

        Under the null hypothesis ignoring changes nothing. A rejection does not say why: either confounding along the
        ignored directions is there to be removed, or the outcome does not ignore them.

        Parameters
        ----------
        cov_type : {"robust", "classical"}, default "robust"
            Robust to unequal variances, or to dependence inside `groups`: the share of the residual's variance that the
            moved coordinates explain, under a Beta law with the mean and the variance that it has when signs of
            residuals flip, those of whole `groups` together. ``"classical"`` is the exact F test of independent normal
            errors of equal variance. With fewer than 10 degrees of freedom (or 6 groups) the robust one has next to no
            power. Skewed errors whose variance grows with a rare indicator are beyond it, as beyond t tests with HC2 or
            HC3 errors: with 8% of rows marked and errors four times as large there, level .05 is .14 (exponential, 30
            rows) to .18 (lognormal, 100 rows).

        Returns
        -------
        TestResult

        Raises
        ------
        ValueError
            If there are not more rows, or groups, than directions, or ``"classical"`` is asked of a fit that has
            groups, weights, a ridge or drawn copies.
        """
        return ols_invariance_test(self._checked(), cov_type=cov_type)

    def sensitivity(
        self,
        r2: float | None = None,
        *,
        reaction: float = 0.0,
        benchmark: str | int | None = None,
        confidence_level: float | None = None,
    ) -> pd.DataFrame:
        r"""Effects compatible with some confounding of what the outcome reads, or with a claim that is nearly true.

        Parameters
        ----------
        r2 : float in [0, 1), optional
            Bound on :math:`R^2(\xi \sim P'x)`, the share of the outcome's noise that the invariant coordinates explain.
        reaction : float >= 0, default 0
            Bound on :math:`|\Gamma h_0|`, in units of y: how far the mean outcome may move when a row moves by one step
            of a translation (root of the sum of squares over its directions); for other augmentations the root mean
            square of its reaction. 0 takes the invariance as true.
        benchmark : str or int, optional
            Instead of `r2`: as large as it would be if this feature were hidden.
        confidence_level : float, optional
            Widen the interval by the sampling error of its ends, each at half the level's complement.

        Returns
        -------
        pandas.DataFrame
            Per coefficient ``coef``, ``lower``, ``upper``; ``partial_r2``, the smallest r2 whose interval contains 0;
            and ``robustness_value`` of Cinelli and Hazlett (2020), the equal share of the residuals of feature and
            outcome that a confounder must explain to move the estimate to 0.

        Raises
        ------
        ValueError
            If the fit does not impose the invariance in every row, has a ridge, or fits its rows exactly.

        Notes
        -----
        Exact in second moments: every value in an interval is attained by some confounding of that size, or some
        reaction. With both the interval is an outer bound.
        """
        return sensitivity(
            self._checked(), r2, reaction=reaction, benchmark=benchmark, confidence_level=confidence_level
        )

    def confounder_like(self, feature: str | int, like: str | int, *, multiple: float = 1.0) -> pd.Series:
        """How strong a hidden confounder would be that is like an observed feature, and what would be left.

        Parameters
        ----------
        feature : str or int
            The feature whose effect is in question, by name or position.
        like : str or int
            The observed feature that the confounder is likened to.
        multiple : float > 0, default 1
            Times as strong.

        Returns
        -------
        pandas.Series
            ``r2_feature`` and ``r2_outcome``, bounds on the confounder's partial R² with feature and outcome by Cinelli
            and Hazlett (2020), and ``adjusted``, the estimate if its bias is away from 0.
        """
        return confounder_like(self._checked(), feature, like, multiple=multiple)

    def summary(self) -> Summary:
        """Coefficients beside those of least squares, the rows that differ most first."""
        return summary(self._checked())
