"""The response: an additive control-function regression, calibrated so that it reproduces the randomised means.

With A independent of (U, V), E[Y | phi, V] = nu(phi) + psi(V). nu is a joint smoother (phi is a rotation of the state,
so an additive one would not do); both are ridge regressions on radial features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh, solve

from causalinv._typing import FloatArray
from causalinv.extrapolation._exponential_family import matched_references
from causalinv.extrapolation._features import (
    Affine,
    RadialFeatures,
    action_regression,
    choose_landmarks,
    moment_features,
    whitening,
)

__all__ = ["REACH", "ControlFunction", "fit_control_function"]

_N_LANDMARKS = 60
_LANDMARK_DRAWS, _MANY_ROWS = 3, 3000  # of more rows one choice of landmarks decides
_NU_BANDWIDTHS, _PSI_BANDWIDTHS = (0.5, 1.0, 2.0), (1.0, 2.0)
_RIDGES = np.logspace(-7, 1, 17)
_LINEAR_RIDGE, _QUADRATIC_RIDGE = 1e-3, 0.1
REACH = 0.99  # share of the rows that lie inside of it
# States and draws of V that stand for all; the latter in refits to resamples.
_CALIBRATION_STATES, _CALIBRATION_STATES_AGAIN = 12_000, 6_000
_MAX_DRAWS, _MAX_DRAWS_AGAIN = 2000, 500
_CHUNK = 8_000  # states evaluated at a time: they stay in the cache


@dataclass(frozen=True)
class Block:
    """Features of one argument: radial inside, and from the `reach` on constant along the ray, beside linear columns.

    Few rows lie that far out; a smoother that goes on bending there ends anywhere.
    """

    features: RadialFeatures
    quadratic: bool
    reach: float
    farthest: float

    @classmethod
    def fit(
        cls, rows: FloatArray, landmarks: FloatArray, bandwidth: float, *, quadratic: bool, rng: np.random.Generator
    ) -> Block:
        features = RadialFeatures.fit(rows, len(landmarks), bandwidth, rng, landmarks=landmarks)
        return cls.of(rows, features, quadratic=quadratic)

    @classmethod
    def of(cls, rows: FloatArray, features: RadialFeatures, *, quadratic: bool, reach: float = REACH) -> Block:
        """Features that are there already, with a reach inside of which a share of these rows lie."""
        sizes = np.linalg.norm(rows, axis=1)
        return cls(features, quadratic, float(np.quantile(sizes, reach)), float(sizes.max()))

    @property
    def penalty(self) -> FloatArray:
        d = self.features.n_linear
        bent = np.full(d * (d + 1) // 2 if self.quadratic else 0, _QUADRATIC_RIDGE)
        return np.r_[self.features.penalty(_LINEAR_RIDGE), bent]

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Features of rows (n, d), shape (n, p)."""
        return self.means(rows[:, None, :])

    def means(self, groups: FloatArray) -> FloatArray:
        """Mean features of groups of rows (m, r, d), shape (m, p)."""
        m, r, d = groups.shape
        rows = groups.reshape(-1, d)
        sizes = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        # A ball, not a box: it does not change when the representation is rotated.
        pulled = rows * np.minimum(1.0, self.reach / np.maximum(sizes, 1e-300))[:, None]
        # The mean first, then the projection: there are many more rows than groups.
        kernel = self.features.kernel(pulled).reshape(m, r, -1).mean(axis=1)
        columns = np.hstack([groups.mean(axis=1), kernel @ self.features.projection])
        if not self.quadratic:
            return columns
        i, j = np.triu_indices(d)
        # With the root, the penalty is the Frobenius norm of the form, which rotations leave as it is.
        squares = np.einsum("mri,mrj->mij", groups, groups)[:, i, j] / r
        return np.hstack([columns, np.where(i == j, 1.0, np.sqrt(2)) * squares])

    def outside(self, rows: FloatArray) -> np.ndarray:
        """Rows further out than any training row."""
        beyond: np.ndarray = np.linalg.norm(rows, axis=1) > self.farthest * (1 + 1e-12)
        return beyond


@dataclass(frozen=True)
class ControlFunction:
    """A fitted response; `mean_do` is the calibrated question, `conditional` the uncalibrated one.

    Attributes
    ----------
    whiten : Affine
        Units in which the smoother works: phi whitened, so that its linear maps do not matter.
    W, b : ndarray
        The action's part of whitened phi.
    residuals : ndarray of shape (n_draws, d)
        Residuals of the training rows, the law of V.
    ridge, bandwidths, loo
        What exact leave-one-out chose, and its mean squared error.
    """

    whiten: Affine
    W: FloatArray
    b: FloatArray
    residuals: FloatArray
    nu: Block
    psi: Block
    nu_do: FloatArray
    nu_conditional: FloatArray
    psi_conditional: FloatArray
    constant_do: float
    constant_conditional: float
    ridge: float
    bandwidths: tuple[float, float]
    loo: float

    def mean_do(self, action: FloatArray) -> FloatArray:
        """E[Y | do(A = a)] for actions (m, k), shape (m,)."""
        means = mean_features(self.nu, action @ self.W.T + self.b, self.residuals)
        return self.constant_do + means @ self.nu_do

    def conditional(self, phi: FloatArray, action: FloatArray) -> tuple[FloatArray, np.ndarray]:
        """E[Y | phi, do(A = a)] row by row, and which rows lie further out than the training rows."""
        state = self.whiten(phi)
        residual = state - action @ self.W.T - self.b
        value = self.nu(state) @ self.nu_conditional + self.psi(residual) @ self.psi_conditional
        return self.constant_conditional + value, self.nu.outside(state) | self.psi.outside(residual)

    def left_over(
        self, state: FloatArray, residual: FloatArray, y: FloatArray, extra: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """What the uncalibrated fit leaves of y (n,), and of other columns (n, q) after the same smoothing."""
        columns = np.hstack([self.nu(state), self.psi(residual)])
        both = np.column_stack([y, extra])
        fit = _Ridge(columns, both, np.r_[self.nu.penalty, self.psi.penalty])
        left = both - both.mean(axis=0) - (columns - columns.mean(axis=0)) @ fit.solve(self.ridge)
        return left[:, 0], left[:, 1:]


def mean_features(block: Block, centre: FloatArray, draws: FloatArray) -> FloatArray:
    """Mean over draws (r, d) of the features at centre + draw, for centres (m, d): (m, p)."""
    step = max(1, _CHUNK // len(draws))
    parts = [block.means(centre[at : at + step, None, :] + draws) for at in range(0, len(centre), step)]
    return np.concatenate(parts) if parts else np.empty((0, len(block.penalty)))


def reached_features(
    block: Block, centre: FloatArray, residual: FloatArray, n_states: int, rng: np.random.Generator
) -> FloatArray:
    """Mean features at the centre of each row plus residuals of some other rows: (n, p), of `n_states` in all."""
    n = len(centre)
    # Shifts of one shuffled row of residuals: of as many as there are rows, each row meets every residual once.
    order = rng.permutation(n)
    shuffles = [np.roll(order, shift) for shift in range(min(n, -(-n_states // n)))]
    step = max(1, _CHUNK // len(shuffles))
    drawn = np.stack([residual[order] for order in shuffles], axis=1)
    parts = [block.means(centre[at : at + step, None, :] + drawn[at : at + step]) for at in range(0, n, step)]
    return np.concatenate(parts)


@dataclass
class _Ridge:
    """Ridge regression with an unpenalised constant; every penalty from one eigen-decomposition."""

    columns: FloatArray  # (n, p), not centred
    y: FloatArray  # (n,), or (n, q) where leave-one-out is not asked for
    weights: FloatArray  # of the penalty, (p,)

    def __post_init__(self) -> None:
        self.n = len(self.y)
        self.scaled = (self.columns - self.columns.mean(axis=0)) / np.sqrt(self.weights)
        self.gram = self.scaled.T @ self.scaled / self.n
        self.right = self.scaled.T @ (self.y - self.y.mean(axis=0)) / self.n

    @cached_property
    def loo(self) -> FloatArray:
        """Exact leave-one-out mean squared error for every ridge on the grid."""
        values, vectors = eigh(self.gram)
        values = np.maximum(values, 0.0)
        shrunk = 1.0 / (values[:, None] + _RIDGES)
        rotated = self.scaled @ vectors
        fitted = rotated @ ((vectors.T @ self.right)[:, None] * shrunk)
        leverage = (1.0 + rotated**2 @ shrunk) / self.n
        left = np.maximum(1.0 - leverage, 1e-10)
        errors: FloatArray = np.mean(((self.y - self.y.mean())[:, None] - fitted) ** 2 / left**2, axis=0)
        return errors

    def solve(self, ridge: float, gram: FloatArray | float = 0.0, right: FloatArray | float = 0.0) -> FloatArray:
        """Coefficients, with more squares added to the loss."""
        system = self.gram + gram + ridge * np.eye(len(self.gram))
        coef = solve(system, self.right + right, assume_a="pos")
        return (coef.T / np.sqrt(self.weights)).T


_Choice = tuple[float, float, tuple[float, float], Block, Block, _Ridge]


def _ridge_of(nu: Block, psi: Block, state: FloatArray, residual: FloatArray, y: FloatArray) -> _Ridge:
    return _Ridge(np.hstack([nu(state), psi(residual)]), y, np.r_[nu.penalty, psi.penalty])


def _choose(
    state: FloatArray, residual: FloatArray, y: FloatArray, quadratic: bool, rng: np.random.Generator
) -> _Choice:
    """Bandwidths and ridge by exact leave-one-out: its error, ridge, bandwidths, blocks, ridge regression.

    The error is the mean over a few choices of landmarks: by one alone, another seed takes other bandwidths, and ends
    elsewhere beyond the tried actions.
    """
    n_draws = _LANDMARK_DRAWS if len(y) <= _MANY_ROWS else 1
    size = min(_N_LANDMARKS, len(y) // 2)
    drawn = [[choose_landmarks(rows, size, rng) for rows in (state, residual)] for _ in range(n_draws)]
    best: list[tuple[float, int, tuple[float, float], Block, Block, _Ridge]] = []
    least = np.inf
    for pair in ((f, g) for f in _NU_BANDWIDTHS for g in _PSI_BANDWIDTHS):
        fits = []
        for marks in drawn:
            nu = Block.fit(state, marks[0], pair[0], quadratic=quadratic, rng=rng)
            psi = Block.fit(residual, marks[1], pair[1], quadratic=False, rng=rng)
            fits.append((nu, psi, _ridge_of(nu, psi, state, residual, y)))
        error = np.mean([each.loo for _, _, each in fits], axis=0)
        at = int(np.argmin(error))
        if error[at] < least:
            least = error[at]
            best = [(float(each.loo[at]), at, pair, nu, psi, each) for nu, psi, each in fits]
    loo, at, pair, nu, psi, ridge_fit = min(best, key=lambda each: each[0])
    return loo, float(_RIDGES[at]), pair, nu, psi, ridge_fit


def _like(
    like: ControlFunction, state: FloatArray, residual: FloatArray, y: FloatArray, *, quadratic: bool, reach: float
) -> _Choice:
    """What an earlier fit chose, its landmarks too: whitened states fill the same ball, however they are rotated."""
    nu = Block.of(state, like.nu.features, quadratic=quadratic, reach=reach)
    psi = Block.of(residual, like.psi.features, quadratic=False, reach=reach)
    return like.loo, like.ridge, like.bandwidths, nu, psi, _ridge_of(nu, psi, state, residual, y)


def fit_control_function(
    phi: FloatArray,
    action: FloatArray,
    y: FloatArray,
    *,
    calibration: float,
    quadratic: bool,
    rng: np.random.Generator,
    like: ControlFunction | None = None,
    reach: float = REACH,
) -> ControlFunction:
    """Fit nu and psi by exact leave-one-out, then nu again with the randomised means of y as extra moments.

    Parameters
    ----------
    phi : ndarray of shape (n, d)
        Representation; any invertible affine map of it gives the same result.
    action : ndarray of shape (n, k)
    y : ndarray of shape (n,)
    calibration : float
        Weight of the in-support identity E[Y | A] = c + E_V[nu(W A + b + V)].
    quadratic : bool
        Whether nu also has (penalised) quadratic columns.
    rng : Generator
    like : ControlFunction, optional
        Take ridge, bandwidths and landmarks from this fit, if it has as many coordinates, instead of choosing them.
    reach : float
        With `like`: share of the rows beyond which the response is continued linearly.

    Returns
    -------
    ControlFunction
    """
    n = len(y)
    whiten = whitening(phi)
    state = whiten(phi)
    W, b = action_regression(state, action)
    residual = state - action @ W.T - b
    if like is not None and like.nu.features.n_linear == state.shape[1]:
        chosen = _like(like, state, residual, y, quadratic=quadratic, reach=reach)
    else:
        chosen = _choose(state, residual, y, quadratic, rng)
    loo, ridge, pair, nu, psi, ridge_fit = chosen

    p = len(nu.penalty)
    # In random order, as some questions look at the first few; a part of the rows gets the mean and covariance of all.
    most, n_states = (
        (_MAX_DRAWS, _CALIBRATION_STATES) if like is None else (_MAX_DRAWS_AGAIN, _CALIBRATION_STATES_AGAIN)
    )
    draws = matched_references(residual, most, rng) if n > most else residual[rng.permutation(n)]
    plain = ridge_fit.solve(ridge)
    if calibration > 0:
        moments = moment_features(action, 4, max_columns=max(1, n // 20))
        n_states = _CALIBRATION_STATES if like is None else _CALIBRATION_STATES_AGAIN
        means = reached_features(nu, action @ W.T + b, residual, n_states, rng)
        extra = moments.T @ (means - means.mean(axis=0)) / n
        extra = np.hstack([extra, np.zeros((len(extra), len(ridge_fit.weights) - p))]) / np.sqrt(ridge_fit.weights)
        wanted = moments.T @ (y - y.mean()) / n
        coef = ridge_fit.solve(ridge, calibration * extra.T @ extra, calibration * extra.T @ wanted)
    else:
        coef = plain
    # E[psi(V)] + E[U] = E[Y] - E[nu(phi)], so the constant that nu and psi share cancels.
    constant = float(y.mean() - (nu(state) @ coef[:p]).mean())
    both = ridge_fit.columns @ plain
    return ControlFunction(
        whiten=whiten,
        W=W,
        b=b,
        residuals=draws,
        nu=nu,
        psi=psi,
        nu_do=coef[:p],
        nu_conditional=plain[:p],
        psi_conditional=plain[p:],
        constant_do=constant,
        constant_conditional=float(y.mean() - both.mean()),
        ridge=ridge,
        bandwidths=pair,
        loo=loo,
    )
