"""Errors of a coefficient against a known truth; risks and splits by environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics import make_scorer
from sklearn.model_selection import BaseCrossValidator

from causalinv._labels import encode
from causalinv._matrix import constant_columns, covariance_root, lstsq
from causalinv._typing import ArrayLike, FloatArray, Rows
from causalinv._validation import check_alignment, check_numbers, check_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning

_ROUNDING = 1e-14  # of a norm

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
        Q, for example the covariance of the features; symmetric and positive semidefinite.

    Returns
    -------
    float
        Squared units of y; summed over outcomes.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is not finite, `cov` is no covariance, or pandas inputs name the features
        differently or in another order.

    Examples
    --------
    >>> causal_risk([1.0, 1.0], [1.0, 0.0], [[1.0, 0.0], [0.0, 4.0]])
    4.0
    """
    if cov is None:
        raise ValueError("causal_risk needs cov, how x varies; for the norm of the coefficients pass the identity.")
    estimated, true, root = _aligned(coef, truth, cov)
    difference, unit = _scaled(_minus(estimated, true))
    risk = float(np.sum((difference @ root) ** 2)) * unit * unit
    if not np.isfinite(risk):
        raise ValueError("The risk of coef is too large for a floating-point number; choose other units.")
    return risk


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
        1 if Z is an affine function of phi, 0 if phi is constant. A representation that predicts well where data are
        can have .98 and still be far off in the tails, where extrapolation happens.

    Raises
    ------
    ValueError
        If rows do not match, an entry is not finite, there is no column, or a coordinate of Z is constant.

    Warns
    -----
    DegenerateInputWarning
        If phi has as many columns as there are rows, less one: then it fits anything.

    Examples
    --------
    >>> affine_r2([[0.0], [1.0], [2.0]], [[5.0], [3.0], [1.0]])
    1.0
    """
    check_alignment(Z=Z, phi=phi)
    state, found = _table(Z, "Z"), _table(phi, "phi")
    if len(state) != len(found):
        raise ValueError(f"Z and phi must have the same rows, got {len(state)} and {len(found)}.")
    still = constant_columns(state)
    if still.any():
        raise ValueError(f"Z is constant in column {int(np.argmax(still))}, so its R² does not exist.")
    moves = found[:, ~constant_columns(found)]
    if moves.shape[1] >= len(state) - 1:
        warn(
            f"affine_r2 has {len(state)} rows for {moves.shape[1]} columns of phi that vary: any state fits them "
            "exactly, so the result says nothing. Use more rows.",
            DegenerateInputWarning,
        )
    # Standardised first, so that no unit over- or underflows.
    state, moves = _standardised(state), _standardised(moves)
    left = state - moves @ lstsq(moves, state) if moves.shape[1] else state
    return float(np.mean(1.0 - np.sum(left**2, axis=0) / np.sum(state**2, axis=0)))


def _table(rows: ArrayLike, name: str) -> FloatArray:
    table = check_rows(rows, name, ensure_2d=False)
    if table.ndim not in (1, 2) or not table.size:
        raise ValueError(
            f"{name} must have shape (n, k) with at least one row and one column, got shape {table.shape}."
        )
    return table.reshape(len(table), -1)


def _standardised(rows: FloatArray) -> FloatArray:
    if not rows.size:
        return rows
    scaled = rows / np.abs(rows).max(axis=0)
    scaled = scaled - scaled.mean(axis=0)
    return np.asarray(scaled / np.abs(scaled).max(axis=0))


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
        0 for the truth, at most 1.

    Raises
    ------
    ValueError
        If the truth has norm 0, shapes disagree, an entry is not finite, `cov` is no covariance, or pandas inputs name
        the features differently or in another order.

    Examples
    --------
    >>> ncer([0.0, 0.0], [3.0, 4.0])
    0.5
    """
    estimated, true, root = _aligned(coef, truth, cov)
    (difference, unit), (direction, scale) = _scaled(_minus(estimated, true)), _scaled(true)
    error = float(np.linalg.norm(difference @ root)) * unit
    length = float(np.linalg.norm(direction @ root))
    # A truth inside the null space of a covariance has a norm that is rounding.
    if not length > _ROUNDING * float(np.linalg.norm(direction)) * float(np.linalg.norm(root)):
        raise ValueError("truth has norm 0, so an error relative to it does not exist; use causal_risk.")
    size = length * scale
    ratio = min(error, size) / max(error, size)
    share = ratio**2 / (1.0 + ratio**2)
    return share if error <= size else 1.0 - share


def _aligned(coef: ArrayLike, truth: ArrayLike, cov: ArrayLike | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Coefficients (p, d) twice and a root of the metric (d, k), in the same order of features."""
    estimated, true = check_numbers(coef, "coef"), check_numbers(truth, "truth")
    if estimated.shape != true.shape or estimated.ndim not in (1, 2) or not estimated.size:
        raise ValueError(
            f"coef and truth must have the same shape, got {estimated.shape} and {true.shape}; that is (d,) or (p, d)."
        )
    check_alignment(coef=coef, truth=truth)
    named = {"coef": _features(coef), "truth": _features(truth)}
    d = estimated.shape[-1]
    metric = np.eye(d) if cov is None else check_numbers(cov, "cov")
    if cov is not None:
        if metric.shape != (d, d):
            raise ValueError(f"cov must have shape {(d, d)} for these coefficients, got {metric.shape}.")
        if isinstance(cov, pd.DataFrame):
            named |= {"the rows of cov": cov.index, "the columns of cov": cov.columns}
    labels = {name: found for name, found in named.items() if found is not None}
    first = next(iter(labels), "")
    for name, found in labels.items():
        if not found.equals(labels[first]):
            raise ValueError(
                f"{name} and {first} name the features differently, {list(found)} and {list(labels[first])}. Reorder "
                "one by the other's names, or pass arrays if they match by position."
            )
    return np.atleast_2d(estimated), np.atleast_2d(true), covariance_root(metric, "cov")


def _features(rows: ArrayLike) -> pd.Index | None:
    """Names of the features of coefficients, where a frame or a series gives them."""
    if isinstance(rows, pd.DataFrame):
        return rows.columns
    return rows.index if isinstance(rows, pd.Series) and not isinstance(rows.index, pd.RangeIndex) else None


def _minus(one: FloatArray, other: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return one - other


def _scaled(rows: FloatArray) -> tuple[FloatArray, float]:
    unit = float(np.abs(rows).max()) or 1.0
    if not np.isfinite(unit):
        raise ValueError("coef - truth is too large for a floating-point number; choose other units.")
    return rows / unit, unit


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
        codes = self._codes(groups, environments, _n_rows(X))
        for code in range(codes.max() + 1):
            yield np.flatnonzero(codes != code), np.flatnonzero(codes == code)

    def get_n_splits(self, X: Rows = None, y: Rows = None, groups: Rows = None, *, environments: Rows = None) -> int:
        """Count the environments."""
        return int(self._codes(groups, environments).max() + 1)

    @staticmethod
    def _codes(groups: Rows, environments: Rows, n: int | None = None) -> NDArray[np.intp]:
        if (groups is None) == (environments is None):
            found = "neither" if groups is None else "both"
            raise ValueError(
                "LeaveOneEnvironmentOut needs environments= (or groups=), the label of each row's environment; "
                f"got {found}."
            )
        labels = environments if groups is None else groups
        return np.asarray(encode(labels, "environments", n, least=2).codes, dtype=np.intp)


def _n_rows(X: Rows) -> int:
    shape = getattr(X, "shape", None)
    if shape == () or (not isinstance(shape, tuple) and not hasattr(X, "__len__")):
        raise TypeError(f"X must hold rows, got {X!r}.")
    return int(shape[0]) if isinstance(shape, tuple) else len(X)


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
    outcome, guess = (
        check_rows(values, name, ensure_2d=False) for name, values in (("y", y), ("predicted", predicted))
    )
    if outcome.ndim != 1 or guess.shape != outcome.shape:
        raise ValueError(f"y and predicted must have shape (n,), got {outcome.shape} and {guess.shape}.")
    labels = encode(environments, "environments", len(outcome))
    with np.errstate(over="ignore", invalid="ignore"):
        squared = (outcome - guess) ** 2
        risk = float((np.bincount(labels.codes, weights=squared) / labels.counts).max())
    if not np.isfinite(risk):
        raise ValueError("The squared error of predicted is too large for a floating-point number; choose other units.")
    return risk


with config_context(enable_metadata_routing=True):
    #: Minus `worst_environment_risk` as a scorer: ``GridSearchCV(..., scoring=worst_environment_scorer)`` with metadata
    #: routing on, ``environments=`` being passed to fit. With `LeaveOneEnvironmentOut` each score is one environment's.
    worst_environment_scorer = make_scorer(worst_environment_risk, greater_is_better=False).set_score_request(
        environments=True
    )
