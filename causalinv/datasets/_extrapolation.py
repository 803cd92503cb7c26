"""Randomised actions, a hidden state, nonlinear observations: data for extrapolation, with truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from causalinv._parallel import streams
from causalinv._typing import ArrayLike, FloatArray, RandomState
from causalinv._validation import check_choice, check_number, check_numbers, check_whole

__all__ = ["load_moving_digits", "make_extrapolation_data"]

_OUTCOMES = ("tanh_quad", "quadratic")
_MIXINGS = ("leaky_relu", "smooth", "linear")
_HALF = 0.9  # distance of the two humps of the mixture from 0; its characteristic function has zeros
#: Laws of mean 0 and variance 1.
_LAWS = {
    "gaussian": stats.norm(),
    "laplace": stats.laplace(scale=np.sqrt(0.5)),
    "t5": stats.t(5, scale=np.sqrt(3 / 5)),
    "gumbel": stats.gumbel_r(loc=-np.euler_gamma * np.sqrt(6) / np.pi, scale=np.sqrt(6) / np.pi),
    "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)),
}
_NOISES = (*_LAWS, "mixture")
_NODES, _INSIDE = 4001, 101
_LARGEST = 1e50  # of scales and strengths: squares of the state stay numbers
_BLOCK = 500  # actions at a time


@dataclass(frozen=True)
class _Outcome:
    """l(z), per coordinate a bounded part plus a quadratic one: means over V are quadratures of one variable."""

    bounded: float
    linear: FloatArray
    quadratic: FloatArray
    nodes: FloatArray
    weights: FloatArray
    scale: float

    def __call__(self, Z: FloatArray) -> FloatArray:
        bent = np.einsum("ni,ij,nj->n", Z, self.quadratic, Z)
        return self.bounded * np.tanh(1.5 * Z).sum(axis=1) + Z @ self.linear + bent

    def mean(self, centre: FloatArray) -> FloatArray:
        """E l(centre + V), shape (m,): exact but for the quadrature of tanh (error below 1e-6 up to scale 10)."""
        bent = np.einsum("ni,ij,nj->n", centre, self.quadratic, centre) + self.scale**2 * np.trace(self.quadratic)
        value = centre @ self.linear + bent
        if self.bounded:
            for start in range(0, len(centre), _BLOCK):
                block = slice(start, start + _BLOCK)
                for column in centre[block].T:
                    value[block] += self.bounded * np.tanh(1.5 * (column[:, None] + self.nodes)) @ self.weights
        return value


def make_extrapolation_data(
    n_samples: int = 3000,
    *,
    n_latent: int = 2,
    n_actions: int | None = None,
    n_features: int | None = None,
    mixing: Literal["leaky_relu", "smooth", "linear"] = "leaky_relu",
    noise: Literal["gaussian", "laplace", "t5", "gumbel", "mixture", "uniform"] = "gaussian",
    noise_scale: float = 1.0,
    support: float = 1.0,
    confounding: float = 1.0,
    outcome: Literal["tanh_quad", "quadratic"] = "tanh_quad",
    x_noise: float = 0.0,
    action_curvature: float = 0.0,
    random_state: RandomState = None,
) -> Bunch:
    r"""Simulate an outcome that a randomised action moves through a hidden state, observed through a nonlinear X.

    .. math:: Z = M (A + c\,A^2) + V, \quad X = g(Z) + \varepsilon, \quad Y = l(Z) + U

    with A uniform on a cube and U dependent on V (hidden confounding):
    :math:`U = \text{confounding} \cdot \sum_j V_j / \sqrt d + 0.3\, N(0, 1)`.

    Parameters
    ----------
    n_samples : int, default 3000
        Rows, >= 0.
    n_latent : int, default 2
        d, coordinates of Z.
    n_actions : int, optional
        k, coordinates of A; d if left out. With k < d the action cannot move all of Z.
    n_features : int, optional
        Columns of X, at least d; 2 d if left out.
    mixing : {"leaky_relu", "smooth", "linear"}, default "leaky_relu"
        g: two hidden leaky layers and a rotation, monotone warps with smooth couplings, or a matrix; each injective by
        construction.
    noise : {"gaussian", "laplace", "t5", "gumbel", "mixture", "uniform"}, default "gaussian"
        Law of the independent coordinates of V; mean 0.
    noise_scale : float, default 1.0
        Standard deviation of each coordinate of V.
    support : float, default 1.0
        A is uniform on [-support, support]^k.
    confounding : float, default 1.0
        Strength of U's dependence on V.
    outcome : {"tanh_quad", "quadratic"}, default "tanh_quad"
        l: :math:`\sum_j \tanh(1.5 z_j) + 0.2 z_j^2`, or a random quadratic.
    x_noise : float, default 0.0
        Standard deviation of independent noise in X, in units of each column's standard deviation. The model of
        Rep4Ex has none.
    action_curvature : float, default 0.0
        c: the action moves Z nonlinearly unless it is 0.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed; the model does not depend on `n_samples`.

    Returns
    -------
    Bunch
        ``X`` (n, D), ``y`` (n,), ``action`` (n, k), ``Z`` and ``V`` (n, d), ``M`` (d, k); ``truth_do(actions)``, the
        mean of Y under do(A = a), shape (m,), and ``truth_conditional(Z, actions)``, the mean of Y given that state
        under do(A = a), shape (m,). The second is exact; the first up to a quadrature error below 1e-6 for a
        `noise_scale` of at most 10, and of up to 0.02 per coordinate beyond (``outcome="quadratic"``: none).

    Raises
    ------
    ValueError
        If a size, a scale or a name is not allowed.

    Examples
    --------
    >>> data = make_extrapolation_data(200, random_state=0)
    >>> data.X.shape, data.action.shape, data.truth_do([[0.0, 0.0], [1.5, 1.5]]).shape
    ((200, 4), (200, 2), (2,))
    """
    n = check_whole(n_samples, "n_samples", low=0)
    d = check_whole(n_latent, "n_latent", low=1)
    k = d if n_actions is None else check_whole(n_actions, "n_actions", low=1)
    D = 2 * d if n_features is None else check_whole(n_features, "n_features", low=d)
    for name, value, allowed in (
        ("mixing", mixing, _MIXINGS),
        ("noise", noise, _NOISES),
        ("outcome", outcome, _OUTCOMES),
    ):
        check_choice(value, name, allowed)
    size = check_number(support, "support", low=0.0, high=_LARGEST, open_low=True)
    scale = check_number(noise_scale, "noise_scale", low=0.0, high=_LARGEST, open_low=True)
    dirt = check_number(x_noise, "x_noise", low=0.0, high=_LARGEST)
    strength = check_number(confounding, "confounding", low=-_LARGEST, high=_LARGEST)
    curvature = check_number(action_curvature, "action_curvature", low=-_LARGEST, high=_LARGEST)

    model_rng, action_rng, noise_rng, x_rng, y_rng = streams(random_state, 5, "extrapolation")
    M = _loadings(d, k, model_rng)
    mix = {"leaky_relu": _leaky_relu, "smooth": _smooth, "linear": _linear}[mixing](d, D, model_rng)
    response = _outcome(outcome, d, noise, scale, model_rng)

    A = action_rng.uniform(-size, size, (n, k))
    V = scale * _draw(noise, (n, d), noise_rng)
    Z = (A + curvature * A**2) @ M.T + V
    X = mix(Z)
    if dirt and n:
        X = X + dirt * X.std(axis=0) * x_rng.standard_normal(X.shape)
    direction = np.full(d, strength / np.sqrt(d))
    y = response(Z) + V @ direction + 0.3 * y_rng.standard_normal(n)

    def centre(actions: ArrayLike) -> FloatArray:
        rows = check_numbers(actions, "actions")
        rows = rows[:, None] if rows.ndim == 1 and k == 1 else rows
        if rows.ndim != 2 or rows.shape[1] != k:
            raise ValueError(f"actions must have shape (m, {k}), got {rows.shape}.")
        return (rows + curvature * rows**2) @ M.T

    def truth_do(actions: ArrayLike) -> FloatArray:
        return response.mean(centre(actions))

    def truth_conditional(Z: ArrayLike, actions: ArrayLike) -> FloatArray:
        states, at = check_numbers(Z, "Z"), centre(actions)
        states = states[:, None] if states.ndim == 1 and d == 1 else np.atleast_2d(states)
        if states.ndim != 2 or states.shape[1] != d or len(at) not in (1, len(states)):
            raise ValueError(f"Z must have shape ({len(at)}, {d}), a row for each action, got {states.shape}.")
        return response(states) + (states - at) @ direction

    return Bunch(X=X, y=y, action=A, Z=Z, V=V, M=M, truth_do=truth_do, truth_conditional=truth_conditional)


def _loadings(d: int, k: int, rng: np.random.Generator) -> FloatArray:
    """Orthogonal directions of sizes between 1 and 1.6; shape (d, k)."""
    orthogonal = stats.ortho_group.rvs(max(d, k), random_state=rng) if max(d, k) > 1 else np.ones((1, 1))
    sizes = rng.uniform(1.0, 1.6, min(d, k))
    M: FloatArray = orthogonal[:d, :k] * sizes if k <= d else sizes[:, None] * orthogonal[:d, :k]
    return M


def _draw(noise: str, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    if noise == "mixture":
        humps = _HALF * rng.choice([-1.0, 1.0], shape)
        return humps + np.sqrt(1 - _HALF**2) * rng.standard_normal(shape)
    drawn: FloatArray = _LAWS[noise].ppf(rng.random(shape))
    return drawn


def _density(noise: str, at: FloatArray) -> FloatArray:
    if noise == "mixture":
        narrow = stats.norm(scale=np.sqrt(1 - _HALF**2))
        mixed: FloatArray = (narrow.pdf(at - _HALF) + narrow.pdf(at + _HALF)) / 2
        return mixed
    density: FloatArray = _LAWS[noise].pdf(at)
    return density


def _outcome(kind: str, d: int, noise: str, scale: float, rng: np.random.Generator) -> _Outcome:
    if noise == "uniform":  # a density with edges: nodes inside of them
        nodes, weights = np.polynomial.legendre.leggauss(_INSIDE)
        nodes, weights = nodes * np.sqrt(3), weights / 2
    else:
        # Midpoints of u -> sinh(u): fine where the mass is, and far enough out for the heaviest law (t5).
        reach = np.arcsinh(60.0)
        u = (np.arange(_NODES) - _NODES // 2) * (2 * reach / _NODES)
        nodes = np.sinh(u)
        weights = _density(noise, nodes) * np.cosh(u)
        weights /= weights.sum()
    if kind == "tanh_quad":
        return _Outcome(1.0, np.zeros(d), 0.2 * np.eye(d), scale * nodes, weights, scale)
    square = rng.normal(size=(d, d)) / np.sqrt(d)
    return _Outcome(0.0, rng.normal(size=d), 0.3 * (square + square.T) / 2, scale * nodes, weights, scale)


def _orthonormal_rows(n_rows: int, n_columns: int, rng: np.random.Generator) -> FloatArray:
    """Shape (n_rows, n_columns), n_rows <= n_columns, rows orthonormal: rows @ it is an isometry."""
    return np.linalg.qr(rng.normal(size=(n_columns, n_rows)))[0].T


def _linear(d: int, D: int, rng: np.random.Generator) -> Callable[[FloatArray], FloatArray]:
    matrix = _orthonormal_rows(d, D, rng) * rng.uniform(0.7, 1.4, D)
    return lambda Z: Z @ matrix


def _leaky_relu(d: int, D: int, rng: np.random.Generator) -> Callable[[FloatArray], FloatArray]:
    """Full-rank widths that never shrink and a bijective activation: injective."""
    layers = [(_orthonormal_rows(width, D, rng) * rng.uniform(0.7, 1.4, D), rng.normal(0, 0.3, D)) for width in (d, D)]
    rotation = _orthonormal_rows(D, D, rng)

    def mix(Z: FloatArray) -> FloatArray:
        out = Z
        for weight, bias in layers:
            out = out @ weight + bias
            out = np.where(out > 0, out, 0.3 * out)
        return out @ rotation

    return mix


def _smooth(d: int, D: int, rng: np.random.Generator) -> Callable[[FloatArray], FloatArray]:
    """Monotone warps, a triangular coupling, an embedding; the rest of the space gets functions of the same state."""
    shifts = rng.uniform(-1, 1, d)
    coupling = np.tril(rng.normal(0, 0.6, (d, d)), -1)
    basis = _orthonormal_rows(D, D, rng)
    extra, bias = rng.normal(size=(d, D - d)), rng.normal(size=D - d)

    def mix(Z: FloatArray) -> FloatArray:
        warped = Z + shifts + 0.3 * np.sin(1.5 * (Z + shifts))  # slope between .55 and 1.45
        coupled = warped + np.tanh(warped) @ coupling.T
        return np.hstack([coupled, np.tanh(coupled @ extra + bias)]) @ basis

    return mix


_DIGITS_DESCR = """\
One of scikit-learn's handwritten digits lies on a tray (a canvas of {size} x {size} pixels). An action A, randomised
on [-1, 1]², pushes the tray; a hidden draught V ~ N(0, spread² I) moves the digit as well and disturbs the outcome:

    Z = M A + V                      position of the digit, in units of {pixels:g} pixels from the middle
    X = photograph of the digit at Z (each pixel of the digit is a Gaussian spot: sub-pixel shifts are exact)
    y = sum_j tanh(1.5 Z_j) + 0.2 Z_j² + confounding * sum_j V_j / sqrt(2) + 0.3 N(0, 1)

The image is real, the movement and the outcome are simulated, so the truth is known for every action. All rows show the
same digit: X is a noiseless function of the position, as Rep4Ex needs.
"""
_CANVAS, _PIXELS, _SPOT = 20, 1.8, 1.2


def load_moving_digits(
    *,
    n_samples: int = 2000,
    digit: int = 3,
    spread: float = 0.6,
    confounding: float = 1.0,
    random_state: RandomState = 0,
) -> Bunch:
    """Load photographs of a real handwritten digit that actions and a hidden draught move about.

    Parameters
    ----------
    n_samples : int, default 2000
        Photographs.
    digit : int, default 3
        Which digit, 0 to 9: the first of its kind in scikit-learn's collection.
    spread : float, default 0.6
        Standard deviation of the draught in each direction, in units of 1.8 pixels.
    confounding : float, default 1.0
        Effect of the draught on the outcome that does not go through the position.
    random_state : int, SeedSequence, Generator, RandomState or None, default 0
        Seed of actions, draught and noise.

    Returns
    -------
    Bunch
        ``X`` (n, 400) pixels, ``y`` (n,), ``action`` (n, 2), ``Z`` and ``V`` (n, 2), ``M`` (2, 2),
        ``truth_do(actions)``, ``truth_conditional(Z, actions)`` as in `make_extrapolation_data`, ``images``
        (n, 20, 20), ``DESCR``.

    Examples
    --------
    >>> data = load_moving_digits(n_samples=50)
    >>> data.X.shape, data.action.shape
    ((50, 400), (50, 2))
    """
    n = check_whole(n_samples, "n_samples", low=0)
    if check_whole(digit, "digit", low=0) > 9:
        raise ValueError(f"digit must be one of 0 to 9, got {digit!r}.")
    check_number(spread, "spread", low=0.0, high=_LARGEST, open_low=True)
    data = make_extrapolation_data(
        n, n_latent=2, noise_scale=spread, confounding=confounding, mixing="linear", random_state=random_state
    )
    source = load_digits()
    picture = source.images[int(np.argmax(source.target == digit))] / 16.0
    images = _photograph(picture, data.Z)
    data.update(
        X=images.reshape(n, -1),
        images=images,
        DESCR=_DIGITS_DESCR.format(size=_CANVAS, pixels=_PIXELS),
    )
    return data


def _photograph(picture: FloatArray, Z: FloatArray) -> FloatArray:
    """The picture (8, 8) with its middle moved by Z (n, 2) on the canvas, shape (n, canvas, canvas)."""
    at = np.arange(_CANVAS) - (_CANVAS - 1) / 2
    own = np.arange(8) - 3.5

    def spots(shift: FloatArray) -> FloatArray:
        gap = at[None, :, None] - own - _PIXELS * shift[:, None, None]
        return np.exp(-(gap**2) / (2 * _SPOT**2))

    return np.einsum("nra,ab,ncb->nrc", spots(Z[:, 0]), picture, spots(Z[:, 1]), optimize=True)
