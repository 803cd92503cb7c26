"""Boosting of any regressor towards the objective of IV-like regression: for outcomes that are not linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from causalinv._matrix import column_basis
from causalinv._parallel import seed_estimator, streams
from causalinv._progress import counting
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_features, check_number, check_whole
from causalinv.ivlike._inputs import design_of
from causalinv.ivlike._knowledge import warn_scaled
from causalinv.ivlike._scorer import shifted_r2
from causalinv.moments import Moments
from causalinv.transformations import Transformation as Augmentation

__all__ = ["IVLikeBoosting"]

_AUTO_ALPHA = 0.1


class IVLikeBoosting(RegressorMixin, BaseEstimator):
    r"""Gradient boosting of :math:`\alpha\,E r^2 + E(\Pi r)^2`, with :math:`r = y - f(Gx)`, by any regressor.

    Every step fits the learner, on augmented copies of the rows, to the negative functional gradient
    :math:`(\alpha r + \Pi r)/(1 + \alpha)`, and takes the exact minimiser along it, shortened by the learning rate. Π
    is the projection on the parameters G, linear in what the augmentation returns as G: give it the functions that
    matter (cosine and sine of an angle and of its double, indicators of group elements).

    Parameters
    ----------
    estimator : regressor, optional
        The learner; a tree of depth 3 if left out.
    alpha : float > 0 or "auto", default "auto"
        Strength; ``"auto"`` is 0.1, and raises with genuine instruments. There is no limit 0 here: a learner that is
        not linear can always buy a smaller E(Πr)² with noise.
    augmentation : Augmentation, optional
        What the outcome is claimed to ignore; this, ``instruments`` or ``augmentation_parameters`` in `fit`.
    n_estimators : int, default 100
        Steps.
    learning_rate : float, default 0.1
        Share of the exact step that is taken, in (0, 1].
    n_copies : int, default 5
        Augmented copies of each row.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of copies, and of learners (all steps of the learner, and nested ones) that have none.

    Attributes
    ----------
    estimators_ : list of fitted regressors
    steps_ : ndarray of shape (n_estimators,)
        Their weights.
    intercept_ : float
    alpha_ : float
    objective_ : ndarray of shape (n_estimators + 1,)
        Objective before and after every step, on the training copies; it never rises.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Notes
    -----
    A projection of the *squared* residuals would be noise; this is the square of projected residuals.

    Examples
    --------
    >>> from causalinv.datasets import make_confounded_linear
    >>> from causalinv.ivlike import IVLikeBoosting, Translation
    >>> world = make_confounded_linear(300, n_features=3, random_state=0)
    >>> model = IVLikeBoosting(augmentation=Translation(world.directions), n_estimators=20, random_state=0)
    >>> model.fit(world.X, world.y).objective_[-1] < model.objective_[0]
    np.True_
    """

    n_features_in_: int
    feature_names_in_: np.ndarray
    features: ClassVar[None] = None
    integration: ClassVar[str] = "sampled"
    penalty: ClassVar[str] = "first_stage"

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"instruments": True, "augmentation_parameters": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"instruments": True, "augmentation_parameters": True}

    def __init__(
        self,
        estimator: Any = None,
        *,
        alpha: float | Literal["auto"] = "auto",
        augmentation: Augmentation | None = None,
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        n_copies: int = 5,
        random_state: RandomState = None,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.augmentation = augmentation
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.n_copies = n_copies
        self.random_state = random_state

    def fit(self, X: Rows, y: Rows, *, instruments: Rows = None, augmentation_parameters: Rows = None) -> Self:
        """Fit on rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features: not augmented, unless `augmentation_parameters` are given.
        y : array-like of shape (n,)
            One outcome.
        instruments : array-like of shape (n,) or (n, q), optional
            Genuine instruments.
        augmentation_parameters : array-like of shape (n,) or (n, q), optional
            Parameters of rows that are augmented copies already.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If not exactly one source of knowledge is given, y has several columns, or an input is malformed.

        Warns
        -----
        DegenerateInputWarning
            If directions of the augmentation name features that look like the output of a scaler.
        """
        design, single = design_of(self, X, y, instruments=instruments, augmentation_parameters=augmentation_parameters)
        if design.y.shape[1] > 1:
            raise ValueError(f"y must be a single outcome, got {design.y.shape[1]} columns.")
        if not single:
            column_or_1d(y, warn=True)
        warn_scaled(self.augmentation, Moments.from_rows(x=design.X))
        self.alpha_ = self._alpha(genuine=instruments is not None)
        rate = check_number(self.learning_rate, "learning_rate", low=0.0, high=1.0, open_low=True)
        n_estimators = check_whole(self.n_estimators, "n_estimators", low=1)
        learner = DecisionTreeRegressor(max_depth=3) if self.estimator is None else self.estimator

        copies = [(each.x, each.g) for each in design.copies()]
        rows, G = (np.vstack(part) for part in zip(*copies, strict=True))
        project = _projection(G)

        def objective(r: FloatArray) -> float:
            return float(self.alpha_ * (r @ r) + r @ project(r)) / len(r)

        residual = np.tile(design.y[:, 0] - design.y.mean(), len(copies))
        self.estimators_, steps, course = [], [], [objective(residual)]
        with counting(n_estimators, "learners of boosting") as count:
            for rng in streams(self.random_state, n_estimators, "boosting"):
                gradient = self.alpha_ * residual + project(residual)
                fitted = seed_estimator(learner, rng)
                fitted.fit(rows, gradient / (1.0 + self.alpha_))
                move = fitted.predict(rows)
                move = move - move.mean()
                curvature = objective(move)
                step = rate * float(gradient @ move) / len(rows) / curvature if curvature > 0 else 0.0
                residual = residual - step * move
                self.estimators_.append(fitted)
                steps.append(step)
                course.append(objective(residual))
                count(1)
        self.steps_, self.objective_ = np.array(steps), np.array(course)
        self.intercept_ = float(np.mean(design.y[:, 0] - self._sum(design.X)))
        return self

    def predict(self, X: Rows) -> FloatArray:
        """Predict the outcome's mean under interventions on X, shape (n,)."""
        check_is_fitted(self)
        return self._sum(check_features(self, X, reset=False)) + self.intercept_

    def score(
        self,
        X: Rows,
        y: Rows,
        *,
        instruments: Rows = None,
        augmentation_parameters: Rows = None,
        sample_weight: Rows = None,
    ) -> float:
        """R² under shifts √11 times as large as the augmentation, or the instruments; as `IVLikeRegression.score`."""
        check_is_fitted(self)
        given = {"instruments": instruments, "augmentation_parameters": augmentation_parameters}
        design, _ = design_of(self, X, y, **given, sample_weight=sample_weight, reset=False)
        return shifted_r2(lambda rows: self._sum(rows) + self.intercept_, design, shift_size=11**0.5)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # few steps; it does not aim at the observed outcome
        return tags

    def _sum(self, rows: FloatArray) -> FloatArray:
        parts = (step * each.predict(rows) for step, each in zip(self.steps_, self.estimators_, strict=True))
        return np.asarray(sum(parts, np.zeros(len(rows))))

    def _alpha(self, *, genuine: bool) -> float:
        if isinstance(self.alpha, str):
            if self.alpha != "auto":
                raise ValueError(f"alpha must be a number > 0 or 'auto', got {self.alpha!r}.")
            if genuine:
                raise ValueError("alpha='auto' has no default for genuine instruments: say a number > 0.")
            return _AUTO_ALPHA
        alpha = check_number(self.alpha, "alpha", low=0.0, open_low=True)
        if np.isinf(alpha):
            raise ValueError("alpha must be finite here; for least squares on augmented rows use a large number.")
        return alpha


def _projection(G: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Least squares projection on centred G, as a function of a vector (n,)."""
    centred = G - G.mean(axis=0)
    size = np.abs(centred).max(axis=0)
    if not size.any():
        raise ValueError("The parameters G are constant: a constant moves nothing.")
    q = column_basis(centred[:, size > 0] / size[size > 0], tol=1e-10)
    return lambda values: np.asarray(q @ (q.T @ values))
