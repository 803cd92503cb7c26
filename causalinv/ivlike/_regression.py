"""The estimator: a validated shell around moments and the one-path solver."""

from __future__ import annotations

import warnings
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._linalg import least_squares
from causalinv._parallel import generator
from causalinv._typing import ArrayLike, FloatArray, RandomState, Rows
from causalinv._validation import (
    check_alignment,
    check_features,
    check_number,
    check_rows,
    check_sample_weight,
    check_target,
    check_whole,
    column_names,
    take_features,
)
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning
from causalinv.ivlike._augmentation import Augmentation
from causalinv.ivlike._integration import paired
from causalinv.ivlike._path import FirstStage, IVLikePath, check_alpha, check_alphas
from causalinv.ivlike._summary import summarize
from causalinv.moments import Moments
from causalinv.results import Summary

__all__ = ["IVLikeRegression"]

_AUTO_ALPHA = 0.1  # an augmentation √11 ≈ 3.3 times its own size: a moderate dose when invariance is not claimed
_SCORED_GAMMA = 11.0  # the same size of shift, for `score`
_ILL_CONDITIONED = 1e10


class IVLikeRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Linear regression that treats an augmentation, or genuine instruments, as a soft intervention.

    With :math:`r = y - h'Gx` centred and :math:`\Pi` the projection on the instruments G, it minimises

    .. math:: \alpha\, E\, r^2 + E\, (\Pi r)^2 .

    At ``alpha=inf`` this is least squares on the augmented data, at ``alpha=0`` the least risky of all
    coefficients whose residual is uncorrelated with G: for a translation, *restricted least squares* on the
    coordinates that the outcome reads; for genuine instruments, two-stage least squares. Anchor regression has
    :math:`\gamma = (1+\alpha)/\alpha`, the K-class :math:`\kappa = 1/(1+\alpha)`.

    Parameters
    ----------
    alpha : float or "auto", default "auto"
        Strength, from 0 to infinity. ``"auto"`` is 0 if the augmentation is declared outcome-invariant and 0.1
        (which protects against shifts √11 times the augmentation's size) if not. With genuine instruments
        there is no safe default and ``"auto"`` raises: say 0 for two-stage least squares.
    augmentation : Augmentation, optional
        What the outcome is claimed to ignore. Either this or ``instruments`` in `fit` must be given: there is no
        silent fall-back to least squares.
    integration : {"auto", "closed_form", "paired"}, default "auto"
        How the augmentation is averaged over its parameters: exactly, or by drawing copies and pairing each with
        its original. ``"auto"`` takes the closed form where there is one.
    n_copies : int, default 10
        Copies of each row that ``"paired"`` draws.
    ridge : float, default 0.0
        Added to the variance of every feature, in squared units of the features; so it counts α times beside what
        the instruments explain, and at ``alpha=0`` only where they leave a choice.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of the copies; the closed form draws nothing.

    Attributes
    ----------
    coef_ : ndarray of shape (d,) or (p, d)
        Coefficients, units of y per unit of x.
    intercept_ : float or ndarray of shape (p,)
        Constant; predictions are right on average at the mean of the *original* features.
    alpha_, gamma_, kappa_ : float
        The strength used, and what anchor regression and the K-class call it.
    least_squares_coef_ : ndarray of the shape of `coef_`
        What least squares on the same rows says: look at it beside every coefficient.
    path_ : IVLikePath
        Solutions for all strengths.
    strength_ : ndarray of shape (rank,)
        Share of variance that the instruments explain, per coordinate of the path; see `IVLikePath`.
    n_instruments_effective_ : int
        Rank of the instruments or augmentation parameters.
    constant_features_ : ndarray of bool, shape (d,)
        Features without variance; their coefficient is 0 unless the augmentation moves them.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Warns
    -----
    DegenerateInputWarning
        If features are linearly dependent (minimum-norm coefficients in standardised units) or y is constant.
    IdentificationWarning
        If ``alpha=0`` with fewer effective instruments than features: of all solutions the least risky is taken.

    Warnings
    --------
    **It can harm.** If a feature that the outcome ignores is a *proxy of the confounder*, least squares was
    already adjusting for it. With ``x1 = C + e``, ``x2 = C``, ``y = b x1 + C`` and var(C) = 1, least squares on
    both finds b exactly; ``alpha=0`` along x2 finds ``b + 1/(1 + var(e))``. The data cannot tell this case from the
    one where ignoring helps; the knowledge must come from you.

    **It removes only confounding along the directions that the outcome ignores.** What enters through the
    coordinates that the outcome reads stays.

    **Plain R² does not choose alpha.** On observed data its optimum is least squares; `score` uses another.

    Notes
    -----
    Valid if the outcome is f(x) + noise with f linear and f(Gx) = f(x) for every draw, G being independent of
    the data. Then neither the prediction norm of the error nor any shifted one is larger than that of least
    squares on the population (though the coefficient norm can be). No scaler is needed: a change of units of the
    features changes the coefficients accordingly and nothing else (except with ``ridge``).

    Source: Akbar, Kilbertus, Shen, Muandet and Dai, arXiv 2510.25128; the path in α, the closed forms and the
    paired integration are this package's own.

    Examples
    --------
    A hidden confounder shifts both features and the outcome; the outcome reads only their difference:

    >>> import numpy as np
    >>> from causalinv import IVLikeRegression, Translation
    >>> rng = np.random.default_rng(0)
    >>> C = rng.normal(size=5000)
    >>> X = np.c_[C, C] + rng.normal(size=(5000, 2))
    >>> y = X @ [1.0, -1.0] + 2 * C
    >>> model = IVLikeRegression(augmentation=Translation([[1.0, 1.0]])).fit(X, y)
    >>> model.least_squares_coef_.round(1), model.coef_.round(1)
    (array([ 1.7, -0.3]), array([ 1., -1.]))
    """

    n_features_in_: int
    feature_names_in_: np.ndarray

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"instruments": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"instruments": True}

    def __init__(
        self,
        alpha: float | Literal["auto"] = "auto",
        *,
        augmentation: Augmentation | None = None,
        integration: Literal["auto", "closed_form", "paired"] = "auto",
        n_copies: int = 10,
        ridge: float = 0.0,
        random_state: RandomState = None,
    ):
        self.alpha = alpha
        self.augmentation = augmentation
        self.integration = integration
        self.n_copies = n_copies
        self.ridge = ridge
        self.random_state = random_state

    # -- fitting ------------------------------------------------------------------------------------------------

    def fit(self, X: Rows, y: Rows, *, instruments: Rows = None, sample_weight: Rows = None) -> Self:
        """Fit on rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features, not augmented.
        y : array-like of shape (n,) or (n, p)
            Outcome, or several.
        instruments : array-like of shape (n,) or (n, q), optional
            Genuine instruments (or anchors); then `augmentation` must be None.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If neither or both of `augmentation` and `instruments` are given, an instrument is constant, there
            are as many instruments as rows, ``alpha=0`` with an augmentation that moves every direction, or an
            input is malformed.
        """
        moments, stage, single = self._from_rows(X, y, instruments, sample_weight, reset=True)
        return self._fit(moments, stage, single)

    def fit_moments(self, moments: Moments) -> Self:
        """Fit on moments: a population, or data that were read in chunks.

        Parameters
        ----------
        moments : Moments
            Blocks ``x`` and ``y``, and ``g`` for genuine instruments. Cells are pooled.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `fit`; also if the augmentation has no closed form, as it then needs rows.
        """
        pooled = moments.pool()
        if (self.augmentation is None) == ("g" not in pooled.blocks):
            self._raise_no_or_two_sources("a block 'g' in the moments")
        if self._integration() == "paired":
            raise ValueError(
                "integration='paired' draws copies of rows, and moments have none: use fit(X, y), or an "
                "augmentation with a closed form."
            )
        single_output = pooled.mean("y").shape[1] == 1
        take_features(self, pooled)
        return self._fit(pooled, self._closed_form(pooled), single_output)

    def _from_rows(
        self, X: Rows, y: Rows, instruments: Rows, sample_weight: Rows, *, reset: bool
    ) -> tuple[Moments, FirstStage, bool]:
        """Moments of the original rows, what the path needs of them, and whether y was one column."""
        integration = self._integration()
        if (self.augmentation is None) == (instruments is None):
            self._raise_no_or_two_sources("instruments= in fit")
        check_alignment(X=X, y=y, instruments=instruments, sample_weight=sample_weight)
        min_rows = 2 if reset else 1
        features = check_features(self, X, reset=reset, min_samples=min_rows)
        n = features.shape[0]
        outcome = check_target(y, n)
        weight = check_sample_weight(sample_weight, n)
        names = getattr(self, "feature_names_in_", None)
        blocks = {"x": features if names is None else pd.DataFrame(features, columns=names), "y": outcome}
        if instruments is not None:
            array = check_rows(instruments, "instruments")
            columns = column_names(instruments)
            blocks["g"] = array if columns is None else pd.DataFrame(array, columns=list(columns))
        moments = Moments.from_rows(**blocks, sample_weight=weight)
        if moments.count[0] < min_rows:
            raise ValueError(
                f"Only {moments.count[0]:g} row has a positive weight, while a minimum of {min_rows} is required."
            )
        if self.augmentation is None or integration == "closed_form":
            stage = self._closed_form(moments)
        else:
            stage = paired(
                self.augmentation,
                moments,
                features,
                outcome.reshape(n, -1),
                sample_weight=weight,
                n_copies=check_whole(self.n_copies, "n_copies", low=1),
                rng=generator(self.random_state, "augmentation"),
            )
        return moments, stage, outcome.ndim == 1

    def _closed_form(self, moments: Moments) -> FirstStage:
        if self.augmentation is not None:
            return self.augmentation.first_stage(moments)
        return FirstStage.from_moments(moments)

    def _fit(self, moments: Moments, stage: FirstStage, single_output: bool) -> Self:
        alpha = self._alpha()
        ridge = check_number(self.ridge, "ridge", low=0.0)
        if self.augmentation is None:
            _check_instruments(moments, stage)
        elif not stage.moves_anything:
            raise ValueError(
                f"{type(self.augmentation).__name__} moves no feature (up to rounding), so nothing would be left but "
                "least squares. Give directions or a function that change the rows."
            )
        variance = np.diagonal(moments.cov("x")[0])
        path = IVLikePath.from_first_stage(stage, ridge=ridge)
        self._warn_degenerate(path, moments, stage, ridge)
        if alpha == 0:
            self._check_limit(path, stacklevel=4)

        coef, reference = path.coef(alpha), least_squares(moments)
        mean_x, mean_y = moments.mean("x")[0], moments.mean("y")[0]
        intercept = mean_y - mean_x @ coef
        self._single_output = single_output
        self.coef_ = coef[:, 0] if single_output else coef.T
        self.least_squares_coef_ = reference[:, 0] if single_output else reference.T
        self.intercept_ = float(intercept[0]) if single_output else intercept
        self.alpha_ = alpha
        self.gamma_ = 1.0 + 1.0 / alpha if alpha else np.inf
        self.kappa_ = 1.0 / (1.0 + alpha)
        self.path_ = path
        self.strength_ = path.strength
        self.n_instruments_effective_ = path.n_instruments_effective
        self.constant_features_ = variance == 0
        return self

    # -- choices ------------------------------------------------------------------------------------------------

    def _raise_no_or_two_sources(self, instruments: str) -> None:
        if self.augmentation is None:
            raise ValueError(
                "IVLikeRegression needs augmentation= (what the outcome ignores) or genuine instruments, "
                f"{instruments}; got neither. Without them only least squares would be left, which is biased "
                "under hidden confounding."
            )
        raise ValueError(f"Give either augmentation= or genuine instruments ({instruments}), not both.")

    def _integration(self) -> str:
        allowed = ("auto", "closed_form", "paired")
        if self.integration not in allowed:
            raise ValueError(f"integration must be one of {allowed}, got {self.integration!r}.")
        if self.augmentation is None:
            return "none"
        if not isinstance(self.augmentation, Augmentation):
            raise TypeError(
                "augmentation must be an Augmentation such as Translation(directions) or "
                f"FunctionAugmentation(func), got {self.augmentation!r}."
            )
        if self.integration == "auto":
            return "closed_form" if self.augmentation.closed_form else "paired"
        return self.integration

    def _alpha(self) -> float:
        if not isinstance(self.alpha, str):
            return check_alpha(self.alpha)
        if self.alpha != "auto":
            raise ValueError(f"alpha must be a number >= 0 or 'auto', got {self.alpha!r}.")
        if self.augmentation is None:
            raise ValueError(
                "alpha='auto' has no default for genuine instruments: say alpha=0 for two-stage least squares, "
                "or a positive number for anchor regression with gamma = (1 + alpha) / alpha."
            )
        claim = self.augmentation.outcome_invariant
        if not isinstance(claim, bool | np.bool_):
            raise TypeError(f"outcome_invariant must be True or False, your claim; got {claim!r}.")
        return 0.0 if claim else _AUTO_ALPHA

    def _check_limit(self, path: IVLikePath, *, stacklevel: int) -> None:
        if self.augmentation is not None and path.moved.all():
            raise ValueError(
                "alpha=0 leaves no invariant direction: the augmentation moves all "
                f"{len(path.moved)} directions of the features, so every coefficient would be 0. Use alpha > 0, "
                "or fewer directions."
            )
        if self.augmentation is None and not path.moved.all():
            warnings.warn(
                f"alpha=0 with {path.n_instruments_effective} effective instruments for {len(path.moved)} "
                "feature directions: two-stage least squares is not identified, and of all its solutions the one "
                "of least risk is returned. Add instruments, or use alpha > 0.",
                IdentificationWarning,
                stacklevel=stacklevel,
            )

    def _warn_degenerate(self, path: IVLikePath, moments: Moments, stage: FirstStage, ridge: float) -> None:
        varying = int(np.count_nonzero(np.diagonal(stage.variance) + ridge + np.any(stage.factor, axis=0)))
        rank = path.basis.shape[1]
        if rank < varying:
            warnings.warn(
                f"X has rank {rank} for {varying} features that vary (n={moments.count.sum():g}): the coefficients "
                "of minimum norm in standardised units are returned. Drop dependent columns or set ridge > 0.",
                DegenerateInputWarning,
                stacklevel=4,
            )
        elif path.condition > _ILL_CONDITIONED:
            warnings.warn(
                f"Features are nearly dependent (condition number about {path.condition:.1e}): the "
                f"coefficients lose about {np.log10(path.condition):.0f} of 16 digits. Drop one, or set ridge > 0.",
                DegenerateInputWarning,
                stacklevel=4,
            )
        if not np.diagonal(moments.cov("y")[0]).all():
            warnings.warn("y is constant, so its coefficients are 0.", DegenerateInputWarning, stacklevel=4)

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
        check_is_fitted(self)
        grid = check_alphas(alphas)
        if (grid == 0).any():
            self._check_limit(self.path_, stacklevel=3)
        coefs = np.stack([self.path_.coef(alpha).T for alpha in grid]) if len(grid) else np.empty((0, 1, 0))
        return coefs[:, 0] if self._single_output else coefs

    def predict(self, X: Rows) -> FloatArray:
        """Predict the outcome's mean under interventions on X, shape (n,) or (n, p).

        Confounding moves the observed outcome away from it, so the fit to observed data is worse than that of
        least squares; that is meant.
        """
        check_is_fitted(self)
        return check_features(self, X, reset=False) @ self.coef_.T + self.intercept_

    def score(self, X: Rows, y: Rows, *, instruments: Rows = None, sample_weight: Rows = None) -> float:
        r"""R² in the worst case over shifts √11 times the augmentation's (or instruments') own size.

        That is :math:`1 - (E r^2 + 10\, E(\Pi r)^2) / \operatorname{Var} y` on the augmented data. Its optimum
        over alpha is 0.1 on the population: it validates a strength of shift, and no score of observed data
        can tell how far the outcome really is invariant. Plain R² would choose least squares.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,) or (n, p)
        instruments : array-like of shape (n, q), required if the model was fitted with instruments
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
            Mean over outcomes; 1 is perfect. With an augmentation, 0 is what the mean of y reaches; with
            instruments that move y the mean of y has less than 0.
        """
        check_is_fitted(self)
        moments, stage, _ = self._from_rows(X, y, instruments, sample_weight, reset=False)
        coef = np.atleast_2d(self.coef_).T
        total = np.diagonal(moments.cov("y")[0])
        offset = moments.mean("y")[0] - moments.mean("x")[0] @ coef - self.intercept_
        own, explained = stage.risks(coef)
        shifted = total + own + offset**2 + (_SCORED_GAMMA - 1.0) * explained
        r2 = np.where(total > 0, 1.0 - shifted / np.where(total > 0, total, 1.0), np.where(shifted > 0, 0.0, 1.0))
        return float(r2.mean())

    def summary(self) -> Summary:
        """Coefficients beside those of least squares, the rows that differ most first."""
        check_is_fitted(self)
        return summarize(self)


def _check_instruments(moments: Moments, stage: FirstStage) -> None:
    constant = np.flatnonzero(np.diagonal(moments.cov("g")[0]) == 0)
    if constant.size:
        names = moments.names["g"]
        which = [int(i) if names is None else names[i] for i in constant]
        raise ValueError(
            f"instruments are constant in column {which}: a constant has no strength. Drop it (an intercept is "
            "always included)."
        )
    # As many instruments as rows explain everything, and IVL would silently be least squares.
    effective, n = len(stage.factor), moments.count.sum()
    if effective >= n - 1:
        raise ValueError(
            f"instruments have {effective} independent columns for {n:g} rows: they fit every row, so the result "
            "would be least squares. Use fewer instruments or more rows."
        )
