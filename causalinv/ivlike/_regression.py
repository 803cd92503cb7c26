"""The estimator: a validated shell around evidence, moments and the one-path solver."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._fingerprints import Fingerprints, fingerprints
from causalinv._typing import ArrayLike, FloatArray, RandomState, Rows
from causalinv._validation import check_features, check_number, check_rows
from causalinv.ivlike._checks import (
    check_instruments,
    check_leaves,
    check_limit,
    check_moves,
    warn_degenerate,
)
from causalinv.ivlike._evidence import Evidence, Reading, expand
from causalinv.ivlike._first_stage import Relevance, relevance, warn_weak_copies, warn_weak_instruments
from causalinv.ivlike._inputs import evidence_of, find_mode, limited
from causalinv.ivlike._path import IVLikePath, check_alphas
from causalinv.ivlike._reports import Reports
from causalinv.ivlike._selection import Strength, check_rule, select
from causalinv.linear_rule import least_squares
from causalinv.moments import Moments, take_features
from causalinv.transformations import FirstStage
from causalinv.transformations import Transformation as Augmentation

__all__ = ["IVLikeRegression"]

_SCORED_GAMMA = 11.0  # the same size of shift, for `score`


class IVLikeRegression(Reports, MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""Linear regression that treats an augmentation, or genuine instruments, as a soft intervention.

    With :math:`r = y - h'Gx` centred and :math:`\Pi` the projection on the instruments G, it minimises

    .. math:: \alpha\, E\, r^2 + E\, (\Pi r)^2 .

    At ``alpha=inf`` this is least squares on the augmented data, at ``alpha=0`` the least risky of all
    coefficients whose residual is uncorrelated with G: for a translation, *restricted least squares* on the
    coordinates that the outcome reads; for genuine instruments, two-stage least squares. Anchor regression has
    :math:`\gamma = (1+\alpha)/\alpha`, the K-class :math:`\kappa = 1/(1+\alpha)`.

    Parameters
    ----------
    alpha : float, "auto", "eb" or "cc", default "auto"
        Strength, from 0 to infinity, or a rule. ``"auto"`` is 0 if the augmentation is declared outcome-invariant and
        0.1 (which protects against shifts √11 times the augmentation's size) if not. With genuine instruments there is
        no safe default and ``"auto"`` raises: say 0 for two-stage least squares. ``"cc"`` estimates the strength of
        confounding from the spectrum of the features and shrinks the norm by it; ``"eb"``, for `GaussianNoise` only,
        averages over the posterior of that strength (its ridge does not depend on ``scale``). Both rest on a prior
        without preferred direction, in the units of the features, and on one vector of data: they are noisy.
    augmentation : Augmentation, optional
        What the outcome is claimed to ignore. Either this or ``instruments`` in `fit` must be given: there is no
        silent fall-back to least squares.
    integration : {"auto", "closed_form", "paired", "sampled"}, default "auto"
        How the augmentation is averaged over its parameters: exactly, or by drawing copies, each paired with its
        original or (``"sampled"``, for comparison) as if the originals were not known. ``"auto"`` takes the closed form
        where there is one. With `features` the closed form is a quadrature: of one or two directions, or of all
        elements of a group.
    n_copies : int, default 10
        Copies of each row that ``"paired"`` and ``"sampled"`` draw.
    features : transformer, optional
        Makes the outcome linear in what it puts out: splines, polynomials, a Nyström map. It is applied *after* the
        augmentation and fitted on the rows together with one augmented copy of them, so that the augmented range is
        covered. Coefficients are those of its output. At ``alpha=0`` the predictions then ignore the augmentation on
        average only, not in every row, and the integrations differ: the paired first stage is linear in G, the closed
        form takes the mean given G. `confint` certifies neither unless no row reacts.
    ridge : float, default 0.0
        Added to the variance of every feature, in squared units of the features; so it counts α times beside what
        the instruments explain, and at ``alpha=0`` only where they leave a choice.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of the copies (the closed form draws nothing) and of `features` that have none.

    Attributes
    ----------
    coef_ : ndarray of shape (d,) or (p, d)
        Coefficients, units of y per unit of x.
    intercept_ : float or ndarray of shape (p,)
        Constant; predictions are right on average at the mean of the *original* features.
    alpha_, gamma_, kappa_ : float
        The strength used, and what anchor regression and the K-class call it; with ``alpha="eb"`` the posterior mean of
        gamma, and NaN otherwise, as no single strength is used.
    least_squares_coef_ : ndarray of the shape of `coef_`
        What least squares on the same rows says (on the copies, if that is what the rows are): look at it beside every
        coefficient.
    path_ : IVLikePath
        Solutions for all strengths.
    strength_ : ndarray of shape (rank,)
        Share of variance that the instruments explain, per coordinate of the path; see `IVLikePath`.
    n_instruments_effective_ : int
        Rank of the instruments or augmentation parameters.
    first_stage_f_ : ndarray of shape (r,), only with instruments or sampled copies
        Partial F of every direction of the features that the instruments do not contain, the smallest first. The
        smallest is the statistic of Cragg and Donald; with one endogenous feature it is the usual partial F. Below 10
        instruments are weak; if the *largest* is, sampled copies are mostly noise.
    effective_f_ : float, only with instruments, rows and one endogenous direction
        Effective F of Montiel Olea and Pflueger: robust to unequal variances and to clusters (`groups`).
    features_ : transformer, only with `features`
        Fitted.
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
    WeakSignalWarning
        If sampled copies carry no signal, or instruments are weak (a first-stage F below 10) and ``alpha`` is 0 or
        close to it.

    Warnings
    --------
    **It can harm.** If a feature that the outcome ignores is a *proxy of the confounder*, least squares was
    already adjusting for it. With ``x1 = C + e``, ``x2 = C``, ``y = b x1 + C`` and var(C) = 1, least squares on
    both finds b exactly; ``alpha=0`` along x2 finds ``b + 1/(1 + var(e))``. The data cannot tell this case from the
    one where ignoring helps; the knowledge must come from you.

    **A black box that shrinks features can harm without limit.** With ``x1 = U + N``, ``y = x0 + U`` and a function
    that multiplies the ignored x1 by g, uniform from .05 to .15, the prediction error of the effects (in square, on
    rows as they are) is 0.5 for least squares, 42 at ``alpha=0.1`` and the same at ``inf``: the fit is to rows on
    which x1 is ten times smaller.

    **It removes only confounding along the directions that the outcome ignores.** What enters through the
    coordinates that the outcome reads stays.

    **Plain R² does not choose alpha.** On observed data its optimum is least squares; `score` uses another.

    Notes
    -----
    Valid if the outcome is f(x) + noise with f linear and f(Gx) = f(x) for every draw, G being independent of
    the data. On the population of a translation, or of a group that is averaged exactly, neither the prediction norm
    of the error nor any shifted one is then larger than that of least squares (though the coefficient norm can be).
    For other augmentations that holds at ``alpha=0`` only, if no row's prediction is left to react.

    No scaler is needed: a change of units of the features changes the coefficients accordingly and nothing else
    (except with ``ridge``, ``"eb"`` and ``"cc"``).

    Finite groups (flips, rotations, exchanges) are averaged exactly: then every alpha gives the same coefficients,
    those of least squares on the coordinates that no element moves.

    The fit keeps references to the rows, for standard errors; they are not pickled.

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
    >>> model.confint(kind="identified").round(2).to_numpy()
    array([[ 0.93,  1.01],
           [-1.01, -0.93]])
    """

    n_features_in_: int
    feature_names_in_: np.ndarray

    __metadata_request__fit: ClassVar[dict[str, bool]] = {
        "instruments": True,
        "augmentation_parameters": True,
        "groups": True,
    }
    __metadata_request__score: ClassVar[dict[str, bool]] = {"instruments": True, "augmentation_parameters": True}

    def __init__(
        self,
        alpha: float | Literal["auto", "eb", "cc"] = "auto",
        *,
        augmentation: Augmentation | None = None,
        integration: Literal["auto", "closed_form", "paired", "sampled"] = "auto",
        n_copies: int = 10,
        features: Any = None,
        ridge: float = 0.0,
        random_state: RandomState = None,
    ):
        self.alpha = alpha
        self.augmentation = augmentation
        self.integration = integration
        self.n_copies = n_copies
        self.features = features
        self.ridge = ridge
        self.random_state = random_state

    # -- fitting ------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Rows,
        y: Rows,
        *,
        instruments: Rows = None,
        augmentation_parameters: Rows = None,
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
        groups : array-like of shape (n,), optional
            Cluster of each row, for standard errors and folds.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If not exactly one of `augmentation`, `instruments` and `augmentation_parameters` is given, an instrument is
            constant, there are as many instruments as rows, ``alpha=0`` with an augmentation that moves every
            direction, or an input is malformed.
        """
        evidence, single = evidence_of(
            self,
            X,
            y,
            instruments=instruments,
            augmentation_parameters=augmentation_parameters,
            groups=groups,
            sample_weight=sample_weight,
        )
        self._training_rows: Fingerprints | None = fingerprints(check_rows(X, "X"), check_rows(y, "y"))
        return self._fit(evidence, evidence.read(), single)

    def fit_moments(self, moments: Moments) -> Self:
        """Fit on moments: a population, or data that were read in chunks. Standard errors need rows.

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
            As in `fit`; also if the augmentation has no closed form, or with `features`, as rows are needed then.
        """
        pooled = moments.pool()
        mode = find_mode(self, instruments="g" in pooled.blocks, where="a block 'g' in the moments")
        if self.features is not None:
            raise ValueError("features= needs rows, and moments have none: use fit(X, y).")
        if mode in ("paired", "sampled"):
            raise ValueError(
                f"integration={mode!r} draws copies of rows, and moments have none: use fit(X, y), or an "
                "augmentation with a closed form."
            )
        single_output = pooled.mean("y").shape[1] == 1
        take_features(self, pooled)
        self._training_rows = None
        stage = FirstStage.from_moments(pooled) if self.augmentation is None else self.augmentation.first_stage(pooled)
        return self._fit(None, Reading(pooled, stage, pooled), single_output)

    def _fit(self, evidence: Evidence | None, reading: Reading, single_output: bool) -> Self:
        moments, stage = reading.moments, reading.stage
        ridge = check_number(self.ridge, "ridge", low=0.0, finite=True)
        self._prepare(evidence)
        self._mode = "" if evidence is None else evidence.mode
        sampled = self._mode in ("sampled", "copies")
        if "g" in moments.blocks and self.augmentation is None:
            check_instruments(moments, stage, "augmentation_parameters" if sampled else "instruments")
        if self.augmentation is not None:
            check_moves(self.augmentation, stage)
        path = IVLikePath.from_first_stage(stage, ridge=ridge)
        if self.augmentation is not None:
            check_leaves(self.augmentation, path)
        warn_degenerate(path, moments, stage, ridge)
        found = relevance(evidence, reading, path) if sampled or self.augmentation is None else None
        self._keep_relevance(found)
        if sampled and found is not None:
            warn_weak_copies(found)
        strength = self._select(evidence, reading, path)
        if not sampled and found is not None and path.moved.all():
            warn_weak_instruments(found, strength.alpha)
        if strength.alpha == 0:
            check_limit(limited(self.augmentation, self._mode), path)

        self._record(strength)
        coef, reference = strength.coef(path), least_squares(moments)
        mean_x, mean_y = moments.mean("x")[0], moments.mean("y")[0]
        intercept = mean_y - mean_x @ coef
        self._single_output = single_output
        self._evidence, self._reading = evidence, reading
        self.coef_ = coef[:, 0] if single_output else coef.T
        self.least_squares_coef_ = reference[:, 0] if single_output else reference.T
        self.intercept_ = float(intercept[0]) if single_output else intercept
        self.alpha_ = strength.alpha
        self.gamma_ = strength.gamma
        self.kappa_ = 1.0 / (1.0 + strength.alpha)
        self.path_ = path
        self.strength_ = path.strength
        self.n_instruments_effective_ = path.n_instruments_effective
        self.constant_features_ = np.diagonal(moments.cov("x")[0]) == 0
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_evidence" in state:
            state["_evidence"] = None
        return state

    def _keep_relevance(self, found: Relevance | None) -> None:
        for name in ("first_stage_f_", "effective_f_"):
            if hasattr(self, name):
                delattr(self, name)
        if found is not None:
            self.first_stage_f_ = found.partial_f
            if not np.isnan(found.effective_f):
                self.effective_f_ = found.effective_f

    # -- choices ------------------------------------------------------------------------------------------------

    def _prepare(self, evidence: Evidence | None) -> None:
        """Validate the rule, and make once what `_select` needs again in every bootstrap replication."""
        check_rule(self.alpha)

    def _record(self, strength: Strength) -> None:
        """Keep how the strength of the fit was chosen."""

    def _chosen_from_data(self) -> bool:
        return isinstance(self.alpha, str) and self.alpha != "auto"

    def _select(self, evidence: Evidence | None, reading: Reading, path: IVLikePath) -> Strength:
        """The strength, or the mixture, that `alpha` asks for."""
        mode = "" if evidence is None else evidence.mode
        return select(self.alpha, self.augmentation, reading, path, mode=mode)

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
            check_limit(limited(self.augmentation, self._mode), self.path_)
        return self._coefs_at(grid)

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
        check_is_fitted(self)
        grid = check_alphas(gammas, "gammas")
        if (grid < 1).any() and not self._reading.stage.added:
            raise ValueError(
                f"gamma = {grid.min():g} < 1 takes moments of an augmentation away again, which needs them in closed "
                "form; here they are estimated from copies or instruments. Use gamma >= 1."
            )
        if np.isinf(grid).any():
            check_limit(limited(self.augmentation, self._mode), self.path_)
        with np.errstate(divide="ignore"):
            alphas = np.where(np.isinf(grid), 0.0, 1.0 / (grid - 1.0))
        return self._coefs_at(alphas)

    def _coefs_at(self, alphas: FloatArray) -> FloatArray:
        """Coefficients at every strength of a grid, which may be empty."""
        coefs = np.array([self.path_.coef(alpha).T for alpha in alphas]).reshape(
            len(alphas), *np.atleast_2d(self.coef_).shape
        )
        return coefs[:, 0] if self._single_output else coefs

    def predict(self, X: Rows) -> FloatArray:
        """Predict the outcome's mean under interventions on X, shape (n,) or (n, p).

        Confounding moves the observed outcome away from it, so the fit to observed data is worse than that of
        least squares; that is meant.
        """
        check_is_fitted(self)
        rows = check_features(self, X, reset=False)
        if hasattr(self, "features_"):
            rows = expand(self.features_, rows, getattr(self, "feature_names_in_", None))
        return rows @ self.coef_.T + self.intercept_

    def score(
        self,
        X: Rows,
        y: Rows,
        *,
        instruments: Rows = None,
        augmentation_parameters: Rows = None,
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
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
            Mean over outcomes; 1 is perfect. With an augmentation, 0 is what the mean of y reaches; with
            instruments that move y the mean of y has less than 0.
        """
        check_is_fitted(self)
        evidence, _ = evidence_of(
            self,
            X,
            y,
            instruments=instruments,
            augmentation_parameters=augmentation_parameters,
            sample_weight=sample_weight,
            reset=False,
        )
        reading = evidence.read()
        moments = reading.moments
        coef = np.atleast_2d(self.coef_).T
        total = np.diagonal(moments.cov("y")[0])
        offset = moments.mean("y")[0] - moments.mean("x")[0] @ coef - self.intercept_
        variance, explained = reading.risks(coef)
        shifted = variance + offset**2 + (_SCORED_GAMMA - 1.0) * np.maximum(explained, 0.0)
        r2 = np.where(total > 0, 1.0 - shifted / np.where(total > 0, total, 1.0), np.where(shifted > 0, 0.0, 1.0))
        return float(r2.mean())
