"""What every fitted IV-like regression can be asked: predictions, its path, intervals, tests, sensitivity."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._fingerprints import Fingerprints, fingerprints
from causalinv._typing import ArrayLike, FloatArray, Rows
from causalinv._validation import check_features
from causalinv.ivlike._design import expand
from causalinv.ivlike._doors import InferenceDoors
from causalinv.ivlike._fit import Fit, fit_design
from causalinv.ivlike._inputs import check_controls, design_of
from causalinv.ivlike._instrument_doors import InstrumentDoors
from causalinv.ivlike._path import IVLikePath, check_alphas
from causalinv.ivlike._strength import StrengthRule
from causalinv.linear_rule import LinearRule

__all__ = ["FittedRegression"]

_SCORED_GAMMA = 11.0  # shifts √11 times the augmentation's own size, for `score`


class FittedRegression(InferenceDoors, InstrumentDoors, MultiOutputMixin, RegressorMixin, BaseEstimator):
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

    @property
    def rule_(self) -> LinearRule:
        """The fit as a `LinearRule`, for one outcome and no `features`; controls stand after the features."""
        fit = self._checked()
        if fit.coef.shape[1] > 1:
            raise AttributeError("rule_ is of one outcome; fit them one by one.")
        if hasattr(self, "features_"):
            raise AttributeError("rule_ is linear in the features themselves; this fit is linear in features=.")
        names, coef = fit.reading.moments.names["x"], fit.coef
        if fit.slopes is not None:
            own = fit.slopes.names
            names = None if names is None or own is None else (*names, *own)
            coef = np.vstack([coef, fit.slopes.coef(coef)])
        return LinearRule(coef[:, 0], float(fit.intercept[0]), names=names)

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

    @abstractmethod
    def _rule(self) -> StrengthRule:
        """How the strength is chosen."""

    def fit(
        self,
        X: Rows,
        y: Rows,
        *,
        instruments: Rows = None,
        augmentation_parameters: Rows = None,
        controls: Rows = None,
        groups: Rows = None,
        sample_weight: Rows = None,
    ) -> Self:
        """Fit on rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features: not augmented, unless `augmentation_parameters` are given.
        y : array-like of shape (n,) or (n, p)
            Outcome, or several.
        instruments : array-like of shape (n,) or (n, q), optional
            Genuine instruments (or anchors); then `augmentation` must be None.
        augmentation_parameters : array-like of shape (n,) or (n, q), optional
            The parameters G drawn for each row, if the rows are augmented copies already; then `augmentation` must be
            None, and `groups` should say which source row each is a copy of.
        controls : array-like of shape (n,) or (n, c), optional
            Exogenous regressors, with `instruments` only: they are partialled out of X, y and the instruments. Columns
            that stand in both X and instruments are the same thing, and give the same numbers.
        groups : array-like of shape (n,), optional
            Cluster of each row, for standard errors and folds.
        sample_weight : array-like of shape (n,), optional
            Sampling weights >= 0: how many units of the population a row stands for. Not counts of repeated rows, which
            would be more observations, with smaller standard errors.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If not exactly one of `augmentation`, `instruments` and `augmentation_parameters` is given, an instrument is
            constant, there are as many instruments as rows, ``alpha=0`` with an augmentation that moves every
            direction, folds of a cross-validation part the copies of a row, overlap or are empty, or an input is
            malformed.
        """
        rule = self._rule()
        given = {"instruments": instruments, "augmentation_parameters": augmentation_parameters, "controls": controls}
        design, single = design_of(self, X, y, **given, groups=groups, sample_weight=sample_weight)
        self._training_rows: Fingerprints | None = fingerprints(X, y)
        self._keep(fit_design(design, rule, ridge=self.ridge, single_output=single))
        return self

    def _checked(self) -> Fit:
        check_is_fitted(self)
        return self._fit

    def _expanded(self, X: Rows) -> FloatArray:
        rows = check_features(self, X, reset=False)
        if not hasattr(self, "features_"):
            return rows
        return expand(self.features_, rows, getattr(self, "feature_names_in_", None))

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
        known = check_controls(self, controls, X)
        predicted = self._expanded(X) @ self.coef_.T + self.intercept_
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
        fit = self._checked()
        given = {"instruments": instruments, "augmentation_parameters": augmentation_parameters}
        fit.design.knowledge.check_scored({name for name, rows in given.items() if rows is not None})
        design, _ = design_of(self, X, y, **given, controls=controls, sample_weight=sample_weight, reset=False)
        known = check_controls(self, controls, X)
        reading = design.read()
        if reading.fitted:
            raise ValueError(
                f"A score on {len(design.y)} rows needs fewer than the {len(reading.stage.factor)} independent "
                "instruments (and controls) there are: they fit every row, and every error would look explained."
            )
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


def _coefs_at(fit: Fit, alphas: FloatArray) -> FloatArray:
    """Coefficients at every strength of a grid, which may be empty."""
    coefs = np.array([fit.path.coef(alpha).T for alpha in alphas]).reshape(len(alphas), *fit.coef.T.shape)
    return coefs[:, 0] if fit.single_output else coefs
