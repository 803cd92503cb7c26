"""What every fitted IV-like regression can be asked: predictions, its path, intervals, tests, sensitivity."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._typing import ArrayLike, FloatArray, RandomState, Rows
from causalinv._validation import check_features
from causalinv.ivlike._bootstrap import bootstrap
from causalinv.ivlike._design import expand
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inputs import check_controls, design_of
from causalinv.ivlike._instrument_doors import InstrumentDoors
from causalinv.ivlike._intervals import confint, covariance
from causalinv.ivlike._invariance_test import ols_invariance_test
from causalinv.ivlike._path import IVLikePath, check_alphas
from causalinv.ivlike._sensitivity import sensitivity
from causalinv.ivlike._small_samples import CovType
from causalinv.ivlike._summary import summary
from causalinv.results import BootstrapResult, Summary, TestResult

__all__ = ["FittedRegression"]

_SCORED_GAMMA = 11.0  # shifts √11 times the augmentation's own size, for `score`


class FittedRegression(InstrumentDoors, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of the regressions of this room: doors to functions of the record of a fit."""

    n_features_in_: int
    feature_names_in_: np.ndarray
    coef_: FloatArray
    least_squares_coef_: FloatArray
    intercept_: float | FloatArray
    alpha_: float
    path_: IVLikePath
    strength_: FloatArray
    n_instruments_effective_: int
    constant_features_: np.ndarray
    _fit: Fit

    __metadata_request__fit: ClassVar[dict[str, bool]] = {
        "instruments": True,
        "augmentation_parameters": True,
        "controls": True,
        "groups": True,
    }
    __metadata_request__score: ClassVar[dict[str, bool]] = {
        "instruments": True,
        "augmentation_parameters": True,
        "controls": True,
    }
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"controls": True}

    def _keep(self, fit: Fit) -> None:
        """Show a fit under the names of scikit-learn."""
        self._fit = fit
        self.coef_ = fit.given(fit.coef)
        self.least_squares_coef_ = fit.given(fit.least_squares)
        self.intercept_ = float(fit.intercept[0]) if fit.single_output else fit.intercept
        self.alpha_ = fit.strength.alpha
        self.path_, self.strength_ = fit.path, fit.path.strength
        self.n_instruments_effective_ = fit.path.n_instruments_effective
        self.constant_features_ = np.diagonal(fit.reading.moments.cov("x")[0]) == 0
        for name in ("first_stage_f_", "effective_f_", "controls_coef_"):
            if hasattr(self, name):
                delattr(self, name)
        if fit.slopes is not None:
            self.controls_coef_ = fit.given(fit.slopes.coef(fit.coef))
        if fit.relevance is not None:
            self.first_stage_f_ = fit.relevance.partial_f
            if not np.isnan(fit.relevance.effective_f):
                self.effective_f_ = fit.relevance.effective_f

    def _checked(self) -> Fit:
        check_is_fitted(self)
        return self._fit

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_fit" in state:
            state["_fit"] = state["_fit"].without_rows()
        return state

    @property
    def gamma_(self) -> float:
        """What anchor regression calls the strength, (1 + alpha) / alpha."""
        return self._checked().check_anchored("gamma_").strength.gamma

    @property
    def kappa_(self) -> float:
        """What the K-class calls the strength, 1 / (1 + alpha)."""
        return 1.0 / (1.0 + self._checked().check_anchored("kappa_").alpha)

    # -- reading ------------------------------------------------------------------------------------------------

    def alpha_path(self, alphas: ArrayLike) -> FloatArray:
        """Coefficients at other strengths, without refitting.

        Parameters
        ----------
        alphas : array-like of shape (m,)
            Strengths, each >= 0; 0 and ``inf`` are allowed.

        Returns
        -------
        ndarray of shape (m, d) or (m, p, d)
            ``alpha_path([a])[0]`` equals ``coef_`` of a fit with ``alpha=a``.
        """
        fit = self._checked()
        grid = check_alphas(alphas)
        if (grid == 0).any():
            fit.check_limit()
        return _coefs_at(fit, grid)

    def gamma_path(self, gammas: ArrayLike) -> FloatArray:
        """Coefficients at other multiples of the augmentation's strength: the path on which its rivals lie too.

        In the population of a translation with covariance D, ``h(gamma) = (Var x + gamma D)^-1 Cov(x, y)``. So 0 is
        least squares, 1 least squares on augmented rows, ``(1 + alpha) / alpha`` this regression, ``(1 + a) / 2`` the
        estimator of Kania and Wit with weight a, ``k**2`` augmentation k times as far, and infinity restricted least
        squares; with `GaussianNoise` all are ridge, with ``gamma * scale**2`` added to the variance of each feature.

        Parameters
        ----------
        gammas : array-like of shape (m,)
            Each >= 0, below 1 only for augmentations in closed form; ``inf`` is allowed.

        Returns
        -------
        ndarray of shape (m, d) or (m, p, d)

        Notes
        -----
        At 0 a moved direction without variance of its own has coefficient 0, the limit of small gamma. Of a group that
        is averaged exactly every gamma, 0 included, gives the invariant coefficients, not least squares.
        """
        fit = self._checked()
        fit.check_anchored("gamma_path", ValueError)
        grid = check_alphas(gammas, "gammas")
        if (grid < 1).any() and not fit.reading.stage.added:
            raise ValueError(
                f"gamma = {grid.min():g} < 1 takes moments of an augmentation away again, which needs them in closed "
                "form; here they are estimated from copies or instruments. Use gamma >= 1."
            )
        if np.isinf(grid).any():
            fit.check_limit()
        with np.errstate(divide="ignore"):
            alphas = np.where(np.isinf(grid), 0.0, 1.0 / (grid - 1.0))
        return _coefs_at(fit, alphas)

    def predict(self, X: Rows, *, controls: Rows = None) -> FloatArray:
        """Predict the outcome's mean under interventions on X, shape (n,) or (n, p).

        Confounding moves the observed outcome away from it, so the fit to observed data is worse than that of
        least squares; that is meant.

        Parameters
        ----------
        X : array-like of shape (n, d)
        controls : array-like of shape (n, c), required if the model was fitted with controls
        """
        check_is_fitted(self)
        rows = check_features(self, X, reset=False)
        known = check_controls(self, controls, X)
        if hasattr(self, "features_"):
            rows = expand(self.features_, rows, getattr(self, "feature_names_in_", None))
        predicted = rows @ self.coef_.T + self.intercept_
        return predicted if known is None else predicted + known @ self.controls_coef_.T

    def score(
        self,
        X: Rows,
        y: Rows,
        *,
        instruments: Rows = None,
        augmentation_parameters: Rows = None,
        controls: Rows = None,
        sample_weight: Rows = None,
    ) -> float:
        r"""R² in the worst case over shifts √11 times the augmentation's (or instruments') own size.

        That is :math:`1 - (E r^2 + 10\, E(\Pi r)^2) / \operatorname{Var} y` on the augmented data. Its optimum
        over alpha is 0.1 on the population: it validates a strength of shift, and no score of observed data
        can tell how far the outcome really is invariant. Plain R² would choose least squares. What q instruments
        explain of noise by chance is subtracted from E(Πr)², down to 0.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,) or (n, p)
        instruments : array-like of shape (n, q), required if the model was fitted with instruments
        augmentation_parameters : array-like of shape (n, q), required if the model was fitted with them
        controls : array-like of shape (n, c), required if the model was fitted with controls
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
            Mean over outcomes; 1 is perfect. With an augmentation, 0 is what the mean of y reaches; with
            instruments that move y the mean of y has less than 0.
        """
        check_is_fitted(self)
        design, _ = design_of(
            self,
            X,
            y,
            instruments=instruments,
            augmentation_parameters=augmentation_parameters,
            controls=controls,
            sample_weight=sample_weight,
            reset=False,
        )
        known = check_controls(self, controls, X)
        reading = design.read()
        moments = reading.moments
        coef = np.atleast_2d(self.coef_).T
        if known is not None:
            coef = np.vstack([coef, np.atleast_2d(self.controls_coef_).T])
        total = np.diagonal(moments.cov("y")[0])
        offset = moments.mean("y")[0] - moments.mean("x")[0] @ coef - self.intercept_
        variance, explained = reading.risks(coef)
        shifted = variance + offset**2 + (_SCORED_GAMMA - 1.0) * np.maximum(explained, 0.0)
        r2 = np.where(total > 0, 1.0 - shifted / np.where(total > 0, total, 1.0), np.where(shifted > 0, 0.0, 1.0))
        return float(r2.mean())

    # -- how much to believe it -----------------------------------------------------------------------------------

    def covariance(
        self,
        *,
        at: float | None = None,
        cov_type: CovType = "auto",
        source: Any = None,
        groups: str | None = None,
        sample_weight: str | None = None,
        n_threads: int | None = None,
        progress: bool = False,
    ) -> FloatArray:
        """Covariance of the coefficients at the strength used, or at another, shape (d, d) or (p, d, d).

        Parameters
        ----------
        at : float >= 0, optional
            Strength alpha; that of the fit if left out.
        cov_type : {"auto", "classical", "HC1", "HC2", "HC3", "misspecified"}, default "auto"
            With `groups` HC1 to HC3 are their clustered forms. With instruments and ``alpha=0``, or LIML or Fuller,
            ``"classical"`` and ``"HC1"`` are the textbook ones, those of Stata and linearmodels, and
            ``"misspecified"`` allows for instruments that disagree (Hall and Inoue, 2003; Lee, 2018), which is also
            what ``"auto"`` takes with more instruments than features; elsewhere HC1 does so by itself. HC2 and HC3
            come with the degrees of freedom of Bell and McCaffrey, and need a fit that is least squares or two-stage
            least squares. ``"auto"`` is HC2 there, if it leaves some coefficient fewer than 30 degrees of freedom, and
            HC1 elsewhere.
        source : path, Arrow data set, frame or DuckDB relation, optional
            After `fit_moments`: the rows that the moments are of, as `Moments.scan` reads them (not Dask, no
            connection), for a second pass; columns are taken by the names that the moments have. HC1 or its clustered
            form; with instruments ``"misspecified"``.
        groups, sample_weight : str, optional
            Columns of the source: clusters, and the weights that the moments were made with.
        n_threads, progress : optional
            As in `Moments.scan`.

        Returns
        -------
        ndarray of shape (d, d) or (p, d, d)

        Raises
        ------
        ValueError
            If there are no rows and no `source`, or the rows of the source are not those of the moments (their number
            or weight differs).

        Notes
        -----
        A sandwich of the influence of every row: robust to unequal variances, and to dependence inside `groups`. The
        copies that an augmentation draws count as one row, and `features` as given. If alpha was chosen from the data
        (``"cc"``), it is conditional on the choice; `bootstrap` is not. It is asymptotic: squares and products among
        `features` have heavy tails, and may need thousands of rows.
        """
        if source is None:
            if groups is not None or sample_weight is not None:
                raise ValueError("groups and sample_weight here are columns of source=; pass them to fit otherwise.")
            return covariance(self._checked(), at, cov_type)
        if cov_type != "auto":
            raise ValueError(f"A second pass has one kind of errors; leave cov_type out, got {cov_type!r}.")
        from causalinv.ivlike._second_pass import scanned_covariance

        return scanned_covariance(
            self._checked(),
            at,
            source,
            groups=groups,
            sample_weight=sample_weight,
            n_threads=n_threads,
            progress=progress,
        )

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
        cov_type : {"auto", "classical", "HC1", "HC2", "HC3", "misspecified"}, default "auto"
            As in `covariance`. HC2 and HC3 come with the degrees of freedom of Bell and
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
        return confint(self._checked(), kind=kind, at=at, cov_type=cov_type, confidence_level=confidence_level)

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
        return bootstrap(self._checked(), n_replications, pairs=pairs, random_state=random_state)

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
        return ols_invariance_test(self._checked())

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
        return sensitivity(self._checked(), r2, benchmark=benchmark, confidence_level=confidence_level)

    def summary(self) -> Summary:
        """Coefficients beside those of least squares, the rows that differ most first."""
        return summary(self._checked())


def _coefs_at(fit: Fit, alphas: FloatArray) -> FloatArray:
    """Coefficients at every strength of a grid, which may be empty."""
    coefs = np.array([fit.path.coef(alpha).T for alpha in alphas]).reshape(len(alphas), *fit.coef.T.shape)
    return coefs[:, 0] if fit.single_output else coefs
