"""How good is a representation? A proper score of the action given it, and a test of linear invariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.spatial.distance import cdist, pdist
from scipy.special import logsumexp

from causalinv._clusters import flip_factor
from causalinv._matrix import constant_columns
from causalinv._parallel import generator
from causalinv._typing import ArrayLike, FloatArray, RandomState
from causalinv._validation import check_alignment, check_rows, check_whole
from causalinv.extrapolation._features import action_regression, beyond_rounding, standardizer, whitening
from causalinv.extrapolation._mixture import NoiseLaw, residual_mixture
from causalinv.results import TestResult

__all__ = [
    "MAX_REFERENCES",
    "LocationModel",
    "conditional_score",
    "distance_correlation_test",
    "linear_invariance_test",
    "score_rows",
]

MAX_REFERENCES = 1000
_MAX_TEST_ROWS = 2000
_WIDTH_ROWS, _FLAT = 500, 1e-9


@dataclass(frozen=True)
class LocationModel:
    """The law of phi given the action: f(phi - W a - b), f a Gaussian mixture."""

    W: FloatArray
    b: FloatArray
    law: NoiseLaw

    @classmethod
    def fit(cls, phi: FloatArray, action: FloatArray, rng: np.random.Generator) -> LocationModel:
        """Least squares for W and b, then the mixture on the residuals."""
        W, b = action_regression(phi, action)
        return cls(W, b, residual_mixture(phi - action @ W.T - b, rng))

    def scores(self, phi: FloatArray, action: FloatArray, references: FloatArray) -> FloatArray:
        """Log f(phi - W a - b) minus the log of its mean over reference actions, per row (n,)."""
        law, d = self.law, phi.shape[1]
        own = law.terms(phi - action @ self.W.T - self.b)[0]
        centres = references @ self.W.T + self.b
        halves = np.linalg.cholesky(law.precisions)
        sizes = np.log(law.weights) - 0.5 * d * np.log(2 * np.pi) + np.log(np.linalg.det(halves))
        means = []
        for block in np.array_split(phi, 1 + len(phi) // 500):
            # Of a component at all pairs: a squared distance, in units in which its covariance is I.
            parts = [
                size - 0.5 * cdist(block @ half, (centres + mean) @ half, "sqeuclidean")
                for size, mean, half in zip(sizes, law.means, halves, strict=True)
            ]
            means.append(logsumexp(np.hstack(parts), axis=1))
        scores: FloatArray = own - np.concatenate(means) + np.log(len(references))
        return scores


def conditional_score(
    phi: ArrayLike,
    action: ArrayLike,
    *,
    train: ArrayLike | None = None,
    random_state: RandomState = None,
) -> float:
    """Held-out mean log-likelihood ratio of the action given a representation; larger is better.

    The law of phi given A = a is taken as f(phi - W a - b), f a Gaussian mixture; the score is the mean of
    log f(phi - W a - b) - log mean over actions of f. Linear maps of phi leave it as it is, so encoders of any kind can
    be compared, if they have equally many components.

    Parameters
    ----------
    phi : array-like of shape (n, d)
        Representation.
    action : array-like of shape (n,) or (n, k)
        Randomised action.
    train : array-like of bool, shape (n,), optional
        Rows on which W, b and f are fitted, best those on which the encoder was; the others are scored. Left out:
        half of them, drawn (rows may be in an order).
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of these, of the mixture's start and of the reference actions.

    Returns
    -------
    float
        In nats per row; 0 if phi says nothing about the action, infinite if phi is an exact linear function of it.

    Raises
    ------
    ValueError
        If action or phi is constant in the rows that train, these are no more than their columns and one, or an input
        is malformed.

    Notes
    -----
    Proper if f contains the law of V; with another law encoders can be misranked.

    Examples
    --------
    >>> from causalinv.datasets import make_extrapolation_data
    >>> data = make_extrapolation_data(1000, random_state=0)
    >>> states = conditional_score(data.Z, data.action, random_state=0)
    >>> states > conditional_score(data.X[:, :2], data.action, random_state=0)
    True
    """
    states, acts = _pair(phi, action)
    n = len(states)
    rng = generator(random_state, "conditional score")
    inside = rng.permutation(n) < n // 2 if train is None else np.asarray(train, dtype=bool)
    if inside.shape != (n,) or not 0 < inside.sum() < n:
        raise ValueError(f"train must mark some but not all of the {n} rows, got shape {inside.shape}.")
    for name, rows in (("action", acts), ("phi", states)):
        if constant_columns(rows[inside]).all():
            raise ValueError(f"{name} is constant in the rows that train: nothing of the other rows follows from them.")
    if inside.sum() < score_rows(states, acts):
        raise ValueError(
            f"{inside.sum()} rows train, at least {score_rows(states, acts)} are needed for {states.shape[1]} columns "
            f"of phi and {acts.shape[1]} of the action."
        )
    units = whitening(states[inside])
    states = units(states)
    W, b = action_regression(states[inside], acts[inside])
    if not beyond_rounding(states[inside] - acts[inside] @ W.T - b, states[inside]).any():
        return float("inf")
    model = LocationModel.fit(states[inside], acts[inside], rng)
    references = acts[rng.permutation(n)[:MAX_REFERENCES]]
    return float(model.scores(states[~inside], acts[~inside], references).mean())


def score_rows(phi: FloatArray, action: FloatArray) -> int:
    """Rows from which residuals of phi (n, d) on the action (n, k) have a covariance of full rank."""
    return int(phi.shape[1] + action.shape[1] + 1)


def linear_invariance_test(
    phi: ArrayLike, action: ArrayLike, *, n_resamples: int = 299, random_state: RandomState = None
) -> TestResult:
    """Test that the mean of phi is linear in the action, against any smooth alternative.

    The statistic is the maximum moment restriction of the residuals of phi on the action, with a Gaussian kernel on
    the action from which linear functions are projected out. P-values come from a wild bootstrap that flips the sign
    of whole rows.

    Parameters
    ----------
    phi : array-like of shape (n, d)
        Representation of rows on which it was *not* learnt; on its training rows the p-value is too large.
    action : array-like of shape (n,) or (n, k)
    n_resamples : int, default 299
    random_state : int, SeedSequence, Generator, RandomState or None

    Returns
    -------
    TestResult
        Of more than 2000 rows, 2000 are used. If the action takes so few values that no function of it is nonlinear
        (two levels), the p-value is 1.

    Notes
    -----
    Permuting the action would not be valid: it destroys the linear part. High-frequency errors of an encoder are nearly
    invisible to any test of this kind; a large p-value is no proof.

    Examples
    --------
    >>> from causalinv.datasets import make_extrapolation_data
    >>> data = make_extrapolation_data(500, action_curvature=0.8, random_state=0)
    >>> linear_invariance_test(data.Z, data.action, random_state=0).pvalue < 0.05
    True
    """
    states, acts = _pair(phi, action)
    check_whole(n_resamples, "n_resamples", low=1)
    rng = generator(random_state, "linear invariance test")
    if len(states) > _MAX_TEST_ROWS:
        rows = rng.permutation(len(states))[:_MAX_TEST_ROWS]
        states, acts = states[rows], acts[rows]
    n = len(states)
    acts = standardizer(acts)(acts)
    basis = qr(np.column_stack([np.ones(n), acts]), mode="economic")[0]
    residual = beyond_rounding(states - basis @ (basis.T @ states), states)
    residual = whitening(residual)(residual)
    gaps = pdist(acts[:: max(1, n // _WIDTH_ROWS)])  # evenly spread rows: they may be in an order
    width = np.median(gaps[gaps > 0]) if gaps.any() else 1.0
    kernel = np.exp(-cdist(acts, acts, "sqeuclidean") / (2 * width**2))
    kernel -= basis @ (basis.T @ kernel)
    kernel -= (kernel @ basis) @ basis.T
    if np.abs(kernel).max() < _FLAT:  # with two levels of one action every function of it is linear
        return _linearity(0.0, 1.0)
    statistic = float(np.sum(residual * (kernel @ residual)) / n)
    # Residuals are shrunk where the action is far out, and the statistic, which projects, is that of the errors: each
    # is enlarged by its leverage before its sign is flipped.
    flipped = flip_factor(np.sum(basis**2, axis=1))[:, None] * residual
    # For signs s the statistic is s'(K * RR')s / n: the product of the two Gram matrices is formed once.
    both = kernel * (flipped @ flipped.T)
    signs = rng.choice([-1.0, 1.0], (n, n_resamples))
    drawn = np.sum(signs * (both @ signs), axis=0) / n
    pvalue = (1 + np.count_nonzero(drawn >= statistic)) / (n_resamples + 1)
    return _linearity(statistic, float(pvalue))


def _linearity(statistic: float, pvalue: float) -> TestResult:
    return TestResult(
        statistic=statistic,
        pvalue=pvalue,
        hypothesis="the mean of the representation is linear in the action",
        assumption="rows are independent, and the representation was not learnt on them",
    )


def distance_correlation_test(
    first: FloatArray, second: FloatArray, rng: np.random.Generator, *, n_resamples: int = 199, max_rows: int = 400
) -> tuple[float, float]:
    """Squared distance correlation of two sets of columns and its permutation p-value."""
    rows = rng.permutation(len(first))[:max_rows]
    centred = []
    for columns in (first[rows], second[rows]):
        gap = cdist(columns, columns)
        gap /= gap.max(initial=0.0) or 1.0  # its unit does not matter, and its fourth power may be no number
        centred.append(gap - gap.mean(axis=0) - gap.mean(axis=1)[:, None] + gap.mean())
    a, b = centred
    size = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    statistic = float(np.sum(a * b)) / size if size > 0 else 0.0
    drawn = []
    for _ in range(n_resamples):
        order = rng.permutation(len(rows))
        drawn.append(np.sum(a * b[np.ix_(order, order)]) / size if size > 0 else 0.0)
    return statistic, float((1 + np.count_nonzero(np.array(drawn) >= statistic)) / (n_resamples + 1))


def _pair(phi: ArrayLike, action: ArrayLike) -> tuple[FloatArray, FloatArray]:
    check_alignment(phi=phi, action=action)
    pair = []
    for name, values in (("phi", phi), ("action", action)):
        rows = check_rows(values, name, min_samples=4)
        if name == "action" and constant_columns(rows).all():
            raise ValueError("action is constant: nothing can be learnt of actions that were never varied.")
        # By powers of two, which change no digit: squares of huge or tiny units would leave the range of floats.
        pair.append(np.ldexp(rows, -np.frexp(np.abs(rows).max(axis=0))[1]))
    return pair[0], pair[1]
