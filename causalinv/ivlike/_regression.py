"""The estimator: a validated shell around a design, its moments and the one-path solver."""

from __future__ import annotations

from typing import Any, Literal, Self

from causalinv._typing import RandomState, Rows
from causalinv.ivlike._fitted import FittedRegression
from causalinv.ivlike._formula import from_formula
from causalinv.ivlike._kclass_rules import rule_of
from causalinv.ivlike._moment_fit import fit_on_moments
from causalinv.ivlike._strength import StrengthRule
from causalinv.moments import Moments
from causalinv.transformations import Transformation as Augmentation

__all__ = ["IVLikeRegression"]


class IVLikeRegression(FittedRegression):
    r"""Linear regression that treats an augmentation, or genuine instruments, as a soft intervention.

    With :math:`r = y - h'Gx` centred and :math:`\Pi` the projection on the instruments G, it minimises

    .. math:: \alpha\, E\, r^2 + E\, (\Pi r)^2 .

    At ``alpha=inf`` this is least squares on the augmented data, at ``alpha=0`` the least risky of all
    coefficients whose residual is uncorrelated with G: for a translation, *restricted least squares* on the
    coordinates that the outcome reads; for genuine instruments, two-stage least squares. Anchor regression has
    :math:`\gamma = (1+\alpha)/\alpha`, the K-class :math:`\kappa = 1/(1+\alpha)`.

    Parameters
    ----------
    alpha : float, "auto", "eb", "cc", "liml" or "fuller", default "auto"
        Strength, from 0 to infinity, or a rule. ``"auto"`` is 0 if the augmentation is declared outcome-invariant and
        0.1 (which protects against shifts √11 times the augmentation's size) if not. With genuine instruments there is
        no safe default and ``"auto"`` raises: say 0 for two-stage least squares. ``"cc"`` estimates the strength of
        confounding from the spectrum of the features and shrinks the norm by it; ``"eb"``, for `GaussianNoise` only,
        averages over the posterior of that strength (its ridge does not depend on ``scale``). Both rest on a prior
        without preferred direction, in the units of the features, and on one vector of data: they are noisy. With
        genuine instruments ``"liml"`` is limited information maximum likelihood, and ``"fuller"`` or ``"fuller(4)"``
        Fuller's estimator with constant 1 or 4: points of the same path, at or a little below 0.
    augmentation : Augmentation, optional
        What the outcome is claimed to ignore. Either this or ``instruments`` in `fit` must be given: there is no
        silent fall-back to least squares.
    integration : {"auto", "closed_form", "paired", "sampled"}, default "auto"
        How the augmentation is averaged over its parameters: exactly, or by drawing copies, each paired with its
        original or (``"sampled"``, for comparison) as if the originals were not known. ``"auto"`` takes the closed form
        where there is one. With `features` the closed form is a quadrature: of one or two directions, or of all
        elements of a group.
    penalty : {"auto", "reaction", "first_stage"}, default "auto"
        What is penalised of the reaction :math:`\delta'h = h'Gx - h'x` of a prediction. ``"first_stage"``, the paper's
        penalty, takes what G explains of it; that depends on how G is written, and is nothing for a rotation of
        features about their mean. ``"reaction"`` takes all of it, :math:`E(\delta'h)^2`, which is zero exactly if no
        copy changes a prediction; it rests on an outcome that is linear in the features used. ``"auto"`` takes the
        whole reaction of black boxes that are declared outcome-invariant, and the first stage otherwise. Of
        translations, and of groups averaged in closed form, both are one.
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
        Constant; predictions are right on average at the mean of the *original* features (and of the controls).
    controls_coef_ : ndarray of shape (c,) or (p, c), only with controls
        Coefficients of the controls; `controls_frame` has their standard errors.
    alpha_, gamma_, kappa_ : float
        The strength used, and what anchor regression and the K-class call it; with ``alpha="eb"`` the posterior mean of
        gamma, and NaN otherwise, as no single strength is used. The last two are not defined (AttributeError) where the
        whole reaction is penalised, which no anchor regression does.
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
        If features or controls are linearly dependent (minimum-norm coefficients in standardised units) or y is
        constant.
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

    def __init__(
        self,
        alpha: float | Literal["auto", "eb", "cc", "liml", "fuller"] | str = "auto",
        *,
        augmentation: Augmentation | None = None,
        integration: Literal["auto", "closed_form", "paired", "sampled"] = "auto",
        penalty: Literal["auto", "reaction", "first_stage"] = "auto",
        n_copies: int = 10,
        features: Any = None,
        ridge: float = 0.0,
        random_state: RandomState = None,
    ):
        self.alpha = alpha
        self.augmentation = augmentation
        self.integration = integration
        self.penalty = penalty
        self.n_copies = n_copies
        self.features = features
        self.ridge = ridge
        self.random_state = random_state

    def _rule(self) -> StrengthRule:
        return rule_of(self.alpha)

    @classmethod
    def from_formula(
        cls, formula: str, data: Rows, *, groups: Rows = None, sample_weight: Rows = None, **params: Any
    ) -> Self:
        """Fit by a formula, ``"y ~ 1 + w + [x ~ z1 + z2]"``: controls w, features x, instruments z1 and z2.

        Parameters
        ----------
        formula : str
            Outcome, then controls and in brackets features and instruments; without brackets features alone (with
            ``augmentation=``). Terms are those of formulaic: ``C(region)``, ``np.log(wage)``, ``a:b``. The constant is
            always fitted.
        data : DataFrame
            pandas or polars.
        groups, sample_weight : array-like of shape (n,), optional
            As in `fit`.
        **params
            Parameters of the estimator. With instruments ``alpha`` is 0 if left out: two-stage least squares.

        Returns
        -------
        IVLikeRegression
            Fitted.

        Raises
        ------
        ImportError
            If formulaic is not installed (extra ``formula``).
        ValueError
            If the formula is of another form, or a value is missing.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> from causalinv import IVLikeRegression
        >>> rng = np.random.default_rng(0)
        >>> data = pd.DataFrame(rng.normal(size=(2000, 3)), columns=["z", "w", "u"])
        >>> data["x"] = data.z + data.w + data.u
        >>> data["y"] = 2 * data.x - data.w + data.u
        >>> IVLikeRegression.from_formula("y ~ 1 + w + [x ~ z]", data).coef_.round(1)
        array([2.])
        """
        given = from_formula(formula, data)
        if "instruments" in given:
            params = {"alpha": 0} | params
        return cls(**params).fit(**given, groups=groups, sample_weight=sample_weight)

    def fit_moments(self, moments: Moments) -> Self:
        """Fit on moments: a population, or data that were read in chunks.

        Coefficients, their path, least squares and the F of the first stage need moments alone. Robust and clustered
        covariances of the coefficients need a second pass over the rows, ``covariance(source=)``. What rests on the
        rows themselves needs `fit`: `confint`, `bootstrap`, HC2 and HC3, ``effective_f_``, and the tests of
        instruments and of `ols_invariance_test`.

        Parameters
        ----------
        moments : Moments
            Blocks ``x`` and ``y``, ``g`` for genuine instruments, and with these ``c`` for controls. Cells are pooled.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `fit`; also if the augmentation has no closed form, or with `features`, as rows are needed then.
        """
        self._training_rows = None
        self._keep(fit_on_moments(self, moments, self._rule()))
        return self
