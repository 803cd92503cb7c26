"""Rep4ExRegressor: the outcome under actions that were never tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, column_or_1d

from causalinv._frames import framed, row_index
from causalinv._printing import Summary
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import (
    check_alignment,
    check_choice,
    check_confidence_level,
    check_features,
    check_number,
    check_sample_weight,
    check_target,
    check_whole,
)
from causalinv._warn import warn
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation._action import check_actions, documented, transform_action
from causalinv.extrapolation._curve import BANDS, Curve
from causalinv.extrapolation._diagnostics import diagnose, shell
from causalinv.extrapolation._doubts import check_fit, checks_table, warn_of_doubts
from causalinv.extrapolation._features import action_regression
from causalinv.extrapolation._fitted import Fitted, Recipe, check_tried, warn_of_unmoved
from causalinv.extrapolation._steps import steps_of
from causalinv.extrapolation._summary import summarise
from causalinv.extrapolation._support import rows_that_are, support_table, warn_unsupported, within_reach
from causalinv.results import Estimate, ExtrapolationDiagnostics

__all__ = ["Rep4ExRegressor"]

_ON_UNSUPPORTED = ("warn", "nan", "ignore")
_OUTSIDE = 0.01  # share of rows further out than the training rows from which `predict` warns


@documented
class Rep4ExRegressor(RegressorMixin, BaseEstimator):
    r"""Predict the mean outcome under actions that were never tried, through a representation of X.

    In the model :math:`Z = M A + V,\; X = g(Z),\; Y = l(Z) + U` with A randomised, g injective, and U and V dependent
    (hidden confounding), regression of Y on A knows nothing beyond the actions that were tried, and regression on X is
    confounded. An encoder finds the state Z up to an affine map :math:`\varphi`; then

    .. math:: E[Y \mid \varphi, V] = \nu(\varphi) + \psi(V), \qquad
       E[Y \mid do(A=a)] = \bar Y - \overline{\nu(\varphi_i)} + \overline{\nu(W a + b + V_i)} .

    The state under a new action is a state that other actions produced with other V, so it was seen.

    Parameters
    ----------
    encoder : None, "identity" or transformer, default None
        None: `LinearInvarianceEncoder`. ``"identity"``: X is the state itself. Otherwise anything with fit and
        transform (ours, PCA, a Pipeline, your own network); the action is passed if its fit takes it. Predictions
        do not depend on invertible affine maps of what it returns.
    response : {"auto", "smooth", "quadratic"}, default "auto"
        ``"smooth"``: joint radial smoothers, linear from where 99% of the rows lie. ``"quadratic"``: also penalised
        quadratic terms, for a response known to bend steadily. ``"auto"`` is ``"smooth"``: on average quadratic terms
        made no difference with learnt representations, and they made the worst cases worse.
    calibration : float, default 1.0
        Weight of the identity :math:`E[Y|A] = E[\nu(W A + b + V)] + c` among the tried actions, which an imperfect
        encoder breaks. 0 turns it off, best where ``encoder="identity"`` is true.
    action_transform : callable, optional
        A known nonlinear t with :math:`Z = M\,t(A) + V`; the encoder sees t(A).
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of everything that is drawn, the default encoder included.

    Attributes
    ----------
    encoder_ : fitted encoder, or "identity"
    W_ : ndarray of shape (d, k)
        Slope of the representation in the (transformed) action.
    intercept_ : ndarray of shape (d,)
    n_components_ : int
    reduced_ : bool
        Whether X holds more than the representation (see `LinearInvarianceEncoder`); then `predict` refuses.
    checks_ : DataFrame
        One row per check of the assumptions: ``value`` (squared correlations that they make 0, summed, less what chance
        makes of it), ``threshold``, ``doubt``; in words in `summary`. ``nonlinear_mean``: the state with squares and
        cubes of the action. ``unequal_noise``: the size of V with the action and its squares (not where V looks
        non-Gaussian). ``direct_effect``: what state and V leave of the outcome with squares and cubes of the action.
        NaN where the action takes too few values to tell.
    action_middle_ : ndarray of shape (k,)
        Middle of the tried actions.
    ridge_, bandwidths_ : float, tuple
        What exact leave-one-out chose for the response.
    n_actions_in_, n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Warns
    -----
    ExtrapolationWarning
        If a check doubts an assumption (`checks_`), V does not look Gaussian (default encoder), or actions without
        support are asked about.
    IdentificationWarning
        If the action moves fewer directions than the representation has.
    DegenerateInputWarning
        If y is constant or the action takes few values.

    Warnings
    --------
    No data can show that an action is confounded if action and V are jointly Gaussian, and predictions are then wrong
    without a word; docs/mathematics/extrapolation.md derives what can be seen. With heavy-tailed or skew V (Laplace, t,
    Gumbel) the tails of the learnt representation, from which extrapolation is made, are less certain. With one-sided V
    (exponential, lognormal) a polynomial in A was nearer more often than not, and numbers beyond the tried actions are
    withheld.

    Notes
    -----
    Two sets of coefficients: `predict_do` uses the calibrated one, `predict` the uncalibrated one. `score` is R² of
    `predict_do`; R² of `predict` on observed rows would reward the confounded regression of Y on (X, A).

    Source: the target, linear invariance and the control function are from Saengkyongam, Rosenfeld, Ravikumar,
    Pfister and Peters, arXiv 2310.04295; calibration, the shell score and the reduced route are this package's own.

    Examples
    --------
    >>> from causalinv.datasets import make_extrapolation_data
    >>> data = make_extrapolation_data(3000, random_state=0)
    >>> model = Rep4ExRegressor(random_state=0).fit(data.X, data.y, action=data.action)
    >>> far = [[1.3, 0.0], [0.0, -1.3]]  # tried: -1 to 1
    >>> bool(abs(model.predict_do(far) - data.truth_do(far)).max() < 0.5)
    True
    """

    n_features_in_: int
    feature_names_in_: np.ndarray

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"action": True}
    __metadata_request__predict: ClassVar[dict[str, bool]] = {"action": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"action": True}

    def __init__(
        self,
        encoder: Any = None,
        *,
        response: Literal["auto", "smooth", "quadratic"] = "auto",
        calibration: float = 1.0,
        action_transform: Callable[[FloatArray], FloatArray] | None = None,
        random_state: RandomState = None,
    ):
        self.encoder = encoder
        self.response = response
        self.calibration = calibration
        self.action_transform = action_transform
        self.random_state = random_state

    def fit(self, X: Rows, y: Rows, *, action: Rows = None) -> Self:
        """Learn the representation and the response.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Observations of the state.
        y : array-like of shape (n,)
            Outcome.
        {action}

        {returns_self}

        Raises
        ------
        ValueError
            If the action is missing, constant, dependent or not numeric, y has several columns, rows are too few, or an
            input is malformed.
        """
        self.__dict__.pop("n_components_", None)  # a refit that fails leaves no half of an older fit
        recipe = Recipe(self.encoder, self.response, self.calibration, self.random_state)
        tried, names = check_tried(self, X, y, action, self.action_transform)
        self.n_actions_in_ = tried.actions.shape[1]
        self.action_names_ = None if names is None else np.array(names, dtype=object)
        self.action_middle_ = (tried.actions.max(axis=0) + tried.actions.min(axis=0)) / 2
        self._fitted = fitted = Fitted.fit(recipe, tried)
        self.encoder_ = fitted.encoder
        self.reduced_ = any(bool(getattr(step, "reduced_", False)) for step in steps_of(self.encoder_))
        phi = fitted.phi
        self.W_, self.intercept_ = action_regression(phi, tried.given)
        self.n_components_ = int(phi.shape[1])
        self.ridge_, self.bandwidths_ = fitted.control.ridge, fitted.control.bandwidths
        warn_of_unmoved(fitted)
        checks = check_fit(fitted)
        self.checks_ = checks_table(checks)
        warn_of_doubts(checks)
        return self

    def predict_do(self, actions: Rows, *, on_unsupported: Literal["warn", "nan", "ignore"] = "warn") -> FloatArray:
        """Mean outcome under do(A = a), tried or not.

        Parameters
        ----------
        actions : array-like of shape (m, k), or (m,) if k is 1
            Columns of a frame are matched by name; more than 1e9 half ranges away from those tried is refused.
        on_unsupported : {"warn", "nan", "ignore"}, default "warn"
            What to do where `support` says ``unsupported``: the number and a warning, NaN, or the number alone. Where
            it says ``withheld``: NaN and a warning, NaN, or the number alone.

        Returns
        -------
        ndarray of shape (m,)
            Units of y.

        Warns
        -----
        ExtrapolationWarning
            If actions are unsupported, or their numbers are withheld: V is one-sided, as lognormal and exponential
            laws are, and the state was learnt.
        """
        if on_unsupported not in _ON_UNSUPPORTED:
            raise ValueError(f"on_unsupported must be one of {_ON_UNSUPPORTED}, got {on_unsupported!r}.")
        asked = self._asked(actions)
        given = transform_action(self.action_transform, asked)
        means = self._fitted.control.mean_do(given)
        if on_unsupported == "ignore":
            return means
        table = support_table(self._fitted, asked, given)
        bad, none = (rows_that_are(status, table) for status in ("unsupported", "withheld"))
        if on_unsupported == "warn":
            warn_unsupported(bad, none, self._fitted)
        return np.where(none | bad if on_unsupported == "nan" else none, np.nan, means)

    def do_curve(
        self,
        actions: Rows,
        *,
        confidence_level: float = 0.95,
        band: Literal["simultaneous", "pointwise"] = "simultaneous",
        n_bootstrap: int = 200,
        n_jobs: int | None = None,
    ) -> Estimate:
        """Mean outcome under each action, with bootstrap bands, support, and what the actions alone would say.

        Parameters
        ----------
        actions : array-like of shape (m, k), or (m,) if k is 1
        confidence_level : float in (0, 1), default 0.95
            Of the band.
        band : {"simultaneous", "pointwise"}, default "simultaneous"
            Whether the band holds the whole curve at these actions with this confidence (sup-t), or each action on its
            own. Both allow for a bias of half a standard error (2.18 in place of 1.96), and for as much as the curve
            moves if the response is continued linearly from where 95% of the states lie in place of 99%.
        n_bootstrap : int, default 200
            Resamples of rows; each refits the encoder (ours: one kernel, from where the fit ended, method kept, an
            automatic dimension chosen anew) and the response.
        n_jobs : int, optional
            Workers of joblib; results do not depend on it.

        Returns
        -------
        Estimate
            Table with the action's columns, ``estimate``, ``lower``, ``upper``, ``status`` (tried, supported, partial,
            unsupported, withheld: NaN, as in `predict_do`), ``overlap``, and ``action_only``: a polynomial of the
            action alone, right among tried actions if smooth, a guess beyond; where tried, a gap between the two is
            a warning.

        Notes
        -----
        They hold no bias of a wrong model, nor of a response that bends anew where no state was seen. Coverage:
        benchmarks/results/extrapolation_bands.md.
        """
        level = check_confidence_level(confidence_level)
        asked = self._asked(actions)
        given = transform_action(self.action_transform, asked)
        names = [f"a{j}" for j in range(asked.shape[1])] if self.action_names_ is None else list(self.action_names_)
        made = Curve(level, check_choice(band, "band", BANDS), check_whole(n_bootstrap, "n_bootstrap", low=2))
        return made.estimate(self._fitted, framed(asked, columns=names, index=row_index(actions)), given, n_jobs)

    def predict(self, X: Rows, *, action: Rows = None) -> FloatArray:
        """Mean outcome of a unit that shows X under do(A = action): E[Y | X = x, do(A = a)], shape (n,).

        Parameters
        ----------
        X : array-like of shape (n, D)
        action : array-like of shape (n,) or (n, k)
            The action under which each row was, or would have been, seen.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            If the action is missing, or the representation misses part of the state (`reduced_`).

        Warns
        -----
        ExtrapolationWarning
            If more than 1% of the rows have a state or a residual V further out (in standard deviations) than every
            training row. From where 99% of those lie, the response is continued linearly.
        """
        check_is_fitted(self)
        if action is None:
            raise ValueError(
                "Rep4ExRegressor.predict needs action=, the action of each row: the same X means another V, and so "
                "another hidden confounder, under another action. For E[Y | do(A = a)] use predict_do(actions)."
            )
        check_alignment(X=X, action=action)
        rows = check_features(self, X, reset=False)
        acts = check_actions(action, self.n_actions_in_, self.action_names_, name="action", n=len(rows))
        if self.reduced_:
            raise ValueError(
                "X holds more than the representation: either the action moves fewer directions than the state has, or "
                "X is noisy. Then E[Y | X, do(A)] is not identified; predict_do(actions) still is, if V is Gaussian."
            )
        phi = self._fitted.recipe.encode(self.encoder_, self._fitted.tried, rows)
        value, outside = self._fitted.control.conditional(phi, transform_action(self.action_transform, acts))
        if outside.mean() > _OUTSIDE:
            warn(
                f"{int(outside.sum())} of {len(rows)} rows have a state or a residual further out than every training "
                "row; there the response is continued linearly.",
                ExtrapolationWarning,
            )
        return value

    def score(self, X: Rows, y: Rows, *, action: Rows = None, sample_weight: Rows = None) -> float:
        """R² of `predict_do` (action) for y: how much of the outcome the action explains.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Only its shape is used.
        y : array-like of shape (n,)
        action : array-like of shape (n,) or (n, k)
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        float
            Far below 1 even for the truth, as V and U move the outcome too.
        """
        check_is_fitted(self)
        if action is None:
            raise ValueError("Rep4ExRegressor.score needs action=, the action of each row.")
        check_alignment(X=X, y=y, action=action, sample_weight=sample_weight)
        rows = check_features(self, X, reset=False)
        outcome = column_or_1d(check_target(y, len(rows)))
        weight = check_sample_weight(sample_weight, len(rows))
        return float(r2_score(outcome, self.predict_do(action, on_unsupported="ignore"), sample_weight=weight))

    def support(self, actions: Rows) -> pd.DataFrame:
        """Say of each action how far the data support a prediction.

        Parameters
        ----------
        actions : array-like of shape (m, k), or (m,) if k is 1

        Returns
        -------
        DataFrame of m rows, under the labels of `actions`
            ``tried`` (bool): a mixture of actions that were tried. ``stretch``: distance from the middle of the tried
            actions in units of their half range, the largest over columns. ``overlap``: share of the states under this
            action that lie where training states are. ``status``: ``tried``, or by the overlap ``supported``
            (at least .8), ``unsupported`` (below .2), ``partial``; ``withheld`` beyond the tried actions if the state
            was learnt and V is one-sided (`noise_skewness_` of `LinearInvarianceEncoder` above .4).
        """
        asked = self._asked(actions)
        found = support_table(self._fitted, asked, transform_action(self.action_transform, asked))
        index = row_index(actions)
        return found if index is None else found.set_axis(index, axis=0)

    def shell_score(self, factor: float = 1.4) -> float:
        """Error of extrapolation inside the data: fit on the inner actions, predict the outer ones.

        Parameters
        ----------
        factor : float, default 1.4
            How much further out the outermost actions are than those kept: the stretch of your question.

        Returns
        -------
        float
            Root mean squared error at the outer actions, against a smooth of y on the action fitted to all rows, in
            standard deviations of that smooth over all rows. Below .5 is useful; 1 is no better than a constant.

        Raises
        ------
        ValueError
            If too few rows are left inside.
        """
        check_is_fitted(self)
        size = check_number(factor, "factor", low=1.0, open_low=True)
        return shell(self._fitted, size).error

    def summary(self) -> Summary:
        """What was fitted, the checks in words, and what predictions rest on."""
        check_is_fitted(self)
        return summarise(self._fitted, self.checks_, reduced=self.reduced_)

    def diagnostics(self) -> ExtrapolationDiagnostics:
        """Everything that can be checked, in one object that prints; refits on parts of the rows, so it takes time."""
        check_is_fitted(self)
        return diagnose(self._fitted, self.checks_)

    def _asked(self, actions: Rows) -> FloatArray:
        check_is_fitted(self)
        asked = check_actions(actions, self.n_actions_in_, self.action_names_)
        return within_reach(self._fitted.tried.actions, asked)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_components_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # it predicts what the action does, not what X and U do beside it
        return tags
