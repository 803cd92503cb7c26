"""What encoders of X that are fitted with an action share: checks, transform, held-out score and test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._fingerprints import fingerprints
from causalinv._frames import column_names
from causalinv._parallel import generator
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_features
from causalinv._warn import warn
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation._action import check_action, check_actions, documented, order_by_value, transform_action
from causalinv.extrapolation._kept import kept
from causalinv.extrapolation._scores import MAX_REFERENCES, LocationModel, linear_invariance_test
from causalinv.results import TestResult

__all__ = ["ActionEncoder"]

_SEEN = 0.5  # share of training rows among those of a test from which there is a warning


@documented
class ActionEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """What encoders of X that are fitted with an action share; a subclass learns the representation."""

    n_features_in_: int
    feature_names_in_: np.ndarray
    representation_: Callable[[FloatArray], FloatArray]

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"action": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"action": True}

    action_transform: Callable[[FloatArray], FloatArray] | None
    random_state: RandomState

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_seen")

    def fit(self, X: Rows, y: Rows = None, *, action: Rows = None) -> Self:
        """Learn the representation.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Observations.
        y : ignored
            The outcome plays no part.
        {action}

        {returns_self}

        Raises
        ------
        ImportError
            If the encoder needs torch and it is not installed.
        ValueError
            If the action is missing, constant, dependent or not numeric, X does not vary, rows are too few, or a
            parameter or an input is out of range (more components than the action has columns, among others).
        """
        rows, acts = self._check_training(X, action)
        self.representation_ = self._learn(rows, acts)
        self._finish(rows, acts)
        return self

    @abstractmethod
    def _learn(self, rows: FloatArray, acts: FloatArray) -> Callable[[FloatArray], FloatArray]:
        """The map from X to phi, from validated rows (n, D) and transformed actions (n, k)."""

    def _check_training(self, X: Rows, action: Rows) -> tuple[FloatArray, FloatArray]:
        """Validated X (n, D) and transformed action (n, k)."""
        self.__dict__.pop("_seen", None)  # set last: a fit that fails leaves no half of an older one
        check_alignment(X=X, action=action)
        rows = check_features(self, X, reset=True, min_samples=4)
        acts = check_action(action, len(rows), type(self).__name__)
        names = column_names(action)
        self.n_actions_in_ = acts.shape[1]
        self._action_names = None if names is None else np.array(names, dtype=object)
        order = order_by_value(acts, rows)
        return rows[order], transform_action(self.action_transform, acts[order])

    def _check_rows(self, X: Rows, action: Rows) -> tuple[FloatArray, FloatArray]:
        """Validated new rows, X (n, D) and transformed action (n, k)."""
        check_is_fitted(self)
        if action is None:
            raise ValueError(f"{type(self).__name__}.score needs action=, the action of each row.")
        check_alignment(X=X, action=action)
        rows = check_features(self, X, reset=False)
        acts = check_actions(action, self.n_actions_in_, self._action_names, name="action")
        return rows, transform_action(self.action_transform, acts)

    def _finish(self, rows: FloatArray, acts: FloatArray) -> None:
        """Fitted attributes that follow from `representation_`."""
        phi = self.representation_(rows)
        self.n_components_ = self._n_features_out = int(phi.shape[1])
        rng = generator(self.random_state, "encoder score")
        self._law = LocationModel.fit(phi, acts, rng)
        self.W_, self.intercept_ = self._law.W, self._law.b
        self._references = acts[rng.permutation(len(acts))[:MAX_REFERENCES]]
        self.effective_dimension_, self.moved_by_action_ = kept(phi, acts, generator(self.random_state, "what is kept"))
        self._seen = fingerprints(rows)

    def transform(self, X: Rows) -> FloatArray:
        """Representation of rows, shape (n, n_components_).

        Parameters
        ----------
        X : array-like of shape (n, D)

        Returns
        -------
        ndarray of shape (n, d)
        """
        check_is_fitted(self)
        return self.representation_(check_features(self, X, reset=False))

    def score(self, X: Rows, y: Rows = None, *, action: Rows = None) -> float:
        """Mean log-likelihood ratio of the action given the representation, in nats per row; larger is better.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Rows on which the encoder was not fitted.
        y : ignored
        action : array-like of shape (n,) or (n, k)

        Returns
        -------
        float
            See `causalinv.extrapolation.conditional_score`; 0 if the representation says nothing about the action.
        """
        rows, acts = self._check_rows(X, action)
        return float(self._law.scores(self.representation_(rows), acts, self._references).mean())

    def linearity_test(self, X: Rows, *, action: Rows = None, n_resamples: int = 299) -> TestResult:
        """Test that the mean of the representation is linear in the action.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Rows on which the encoder was *not* fitted.
        action : array-like of shape (n,) or (n, k)
        n_resamples : int, default 299

        Returns
        -------
        TestResult

        Warns
        -----
        ExtrapolationWarning
            If most rows are training rows: then the p-value is too large.
        """
        rows, acts = self._check_rows(X, action)
        repeats = self._seen.repeats(rows)
        share = repeats.found / max(repeats.of, 1)
        if share > _SEEN:
            warn(
                f"{share:.0%} of these rows are rows on which the encoder was fitted, so the p-value of the linearity "
                "test is too large. Hold rows out.",
                ExtrapolationWarning,
            )
        return linear_invariance_test(
            self.representation_(rows), acts, n_resamples=n_resamples, random_state=self.random_state
        )
