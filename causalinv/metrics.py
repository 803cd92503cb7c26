"""Errors of a coefficient against a known truth; risks and splits by environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics import make_scorer
from sklearn.model_selection import BaseCrossValidator

from causalinv._labels import encode
from causalinv._matrix import lstsq
from causalinv._typing import ArrayLike, FloatArray, Rows
from causalinv._validation import check_alignment, check_finite
from causalinv.moments import Moments

__all__ = [
    "LeaveOneEnvironmentOut",
    "affine_r2",
    "causal_risk",
    "ncer",
    "worst_environment_risk",
    "worst_environment_scorer",
]


def causal_risk(coef: ArrayLike, truth: ArrayLike, cov: ArrayLike) -> float:
    r"""Causal excess risk :math:`(h - h_0)' Q (h - h_0)`: mean squared error of the effect where x varies as Q.

    Parameters
    ----------
    coef, truth : array-like of shape (d,) or (p, d)
        Estimated and true coefficients.
    cov : array-like of shape (d, d)
        Q, for example the covariance of the features.

    Returns
    -------
    float
        Squared units of y; summed over outcomes.

    Examples
    --------
    >>> causal_risk([1.0, 1.0], [1.0, 0.0], [[1.0, 0.0], [0.0, 4.0]])
    4.0
    """
    return _squared_norm(_difference(coef, truth), cov)


def affine_r2(Z: ArrayLike, phi: ArrayLike) -> float:
    """How well the best affine map of a representation gives the true state: mean R² over the state's coordinates.

    Parameters
    ----------
    Z : array-like of shape (n, d)
        True state.
    phi : array-like of shape (n, q)
        Representation of the same rows; best rows on which it was not learnt.

    Returns
    -------
    float
        1 if Z is an affine function of phi. A representation that predicts well where data are can have .98 and still
        be far off in the tails, where extrapolation happens.

    Examples
    --------
    >>> affine_r2([[0.0], [1.0], [2.0]], [[5.0], [3.0], [1.0]])
    1.0
    """
    check_alignment(Z=Z, phi=phi)
    state, found = (np.asarray(rows, dtype=np.float64) for rows in (Z, phi))
    for name, values in (("Z", state), ("phi", found)):
        if 0 in values.shape[1:]:
            raise ValueError(f"{name} has 0 columns, shape {values.shape}; pass at least one.")
    state, found = state.reshape(len(state), -1), found.reshape(len(found), -1)
    for name, values in (("Z", state), ("phi", found)):
        check_finite(values, name)
    state, found = state - state.mean(axis=0), found - found.mean(axis=0)
    total = np.sum(state**2, axis=0)
    if not (total > 0).all():
        raise ValueError(f"Z is constant in column {int(np.argmin(total))}, so its R² does not exist.")
    left = state - found @ lstsq(found, state)
    return float(np.mean(1 - np.sum(left**2, axis=0) / total))


def ncer(coef: ArrayLike, truth: ArrayLike, *, cov: ArrayLike | None = None) -> float:
    r"""Normalised causal error :math:`\|h - h_0\|^2 / (\|h - h_0\|^2 + \|h_0\|^2)`.

    0 is the truth, 0.5 is what the zero vector reaches, 1 is nothing but confounding: always print the zero
    vector beside it.

    Parameters
    ----------
    coef, truth : array-like of shape (d,) or (p, d)
        Estimated and true coefficients; the truth must not be zero.
    cov : array-like of shape (d, d), optional
        Measure in the norm of this covariance (the error of the predicted effect) instead of the Euclidean norm
        of the coefficients, which depends on the units of the features.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> ncer([0.0, 0.0], [3.0, 4.0])
    0.5
    """
    difference = _difference(coef, truth)
    error = _squared_norm(difference, cov)
    size = _squared_norm(np.atleast_2d(np.asarray(truth, dtype=np.float64)), cov)
    if not size > 0:
        raise ValueError("truth has norm 0, so an error relative to it does not exist; use causal_risk.")
    return error / (error + size)


def _difference(coef: ArrayLike, truth: ArrayLike) -> FloatArray:
    estimated, true = np.asarray(coef, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if estimated.shape != true.shape or estimated.ndim not in (1, 2):
        raise ValueError(f"coef and truth must have the same shape, got {estimated.shape} and {true.shape}.")
    return np.atleast_2d(estimated - true)


def _squared_norm(rows: FloatArray, cov: ArrayLike | None) -> float:
    if cov is None:
        return float(np.sum(rows**2))
    metric = np.asarray(cov, dtype=np.float64)
    if metric.shape != (rows.shape[1], rows.shape[1]):
        raise ValueError(f"cov must have shape {(rows.shape[1],) * 2} for these coefficients, got {metric.shape}.")
    return float(np.sum(rows @ metric * rows))


class LeaveOneEnvironmentOut(BaseCrossValidator):
    """Cross-validation that holds out one environment at a time: the test of a claim about new environments.

    Goes wherever scikit-learn takes a splitter. With metadata routing on, ``environments=`` reaches it as it reaches
    the estimator; with routing off, pass the labels as ``groups=``. An estimator that needs two environments to train
    needs three here, and four inside a nested search.

    Examples
    --------
    >>> import numpy as np
    >>> splits = LeaveOneEnvironmentOut().split(np.ones((4, 1)), environments=["a", "a", "b", "c"])
    >>> [test.tolist() for _, test in splits]
    [[0, 1], [2], [3]]
    """

    __metadata_request__split: ClassVar[dict[str, bool]] = {"environments": True}

    def split(
        self, X: Rows, y: Rows = None, groups: Rows = None, *, environments: Rows = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield positions of the training rows and of one environment's rows, environments in sorted order.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Only its number of rows matters.
        y : ignored
        groups, environments : array-like of shape (n,)
            Label of each row's environment, by either name; at least two different ones.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If `environments` is missing, of another length, or has one label only.
        """
        check_alignment(X=X, groups=groups, environments=environments)
        codes = self._codes(groups, environments)
        for code in range(codes.max() + 1):
            yield np.flatnonzero(codes != code), np.flatnonzero(codes == code)

    def get_n_splits(self, X: Rows = None, y: Rows = None, groups: Rows = None, *, environments: Rows = None) -> int:
        """Count the environments."""
        return int(self._codes(groups, environments).max() + 1)

    @staticmethod
    def _codes(groups: Rows, environments: Rows) -> NDArray[np.intp]:
        if (groups is None) == (environments is None):
            found = "neither" if groups is None else "both"
            raise ValueError(
                "LeaveOneEnvironmentOut needs environments= (or groups=), the label of each row's environment; "
                f"got {found}."
            )
        labels = environments if groups is None else groups
        return encode(labels, "environments", least=2).codes


def worst_environment_risk(y: ArrayLike, predicted: ArrayLike, *, environments: ArrayLike) -> float:
    """Mean squared error in the environment where it is largest.

    Parameters
    ----------
    y, predicted : array-like of shape (n,)
        Outcome and prediction.
    environments : array-like of shape (n,)
        Label of each row's environment.

    Returns
    -------
    float
        Squared units of y.

    Examples
    --------
    >>> worst_environment_risk([0.0, 0.0, 0.0], [1.0, 1.0, 3.0], environments=["a", "a", "b"])
    9.0
    """
    if environments is None:
        raise ValueError("worst_environment_risk needs environments=, the label of each row's environment.")
    check_alignment(y=y, predicted=predicted, environments=environments)
    for name, values in (("y", y), ("predicted", predicted)):
        check_finite(np.asarray(values, dtype=np.float64), name)
    squared = (np.asarray(y, dtype=np.float64) - np.asarray(predicted, dtype=np.float64)) ** 2
    if squared.ndim != 1:
        raise ValueError(f"y and predicted must have shape (n,), got {np.shape(y)} and {np.shape(predicted)}.")
    return float(Moments.from_rows(y=squared, environments=environments).mean("y").max())


with config_context(enable_metadata_routing=True):
    #: Minus `worst_environment_risk` as a scorer: ``GridSearchCV(..., scoring=worst_environment_scorer)`` with metadata
    #: routing on, ``environments=`` being passed to fit. With `LeaveOneEnvironmentOut` each score is one environment's.
    worst_environment_scorer = make_scorer(worst_environment_risk, greater_is_better=False).set_score_request(
        environments=True
    )
