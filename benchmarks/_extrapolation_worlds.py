"""Worlds in which the assumptions of extrapolation hold, or one of them is broken, with their true curves."""

import numpy as np
from scipy import stats


def draw_noise(law, n, d, rng):
    """V of mean 0 and variance 1 per coordinate."""
    if law == "lognormal":
        drawn, mean = np.exp(0.75 * rng.normal(size=(n, d))), np.exp(0.75**2 / 2)
        return (drawn - mean) / (mean * np.sqrt(np.exp(0.75**2) - 1))
    if law == "skew":
        made = stats.skewnorm(6)
        return (made.rvs((n, d), random_state=rng) - made.mean()) / made.std()
    return {
        "gaussian": lambda: rng.normal(size=(n, d)),
        "laplace": lambda: rng.laplace(scale=np.sqrt(0.5), size=(n, d)),
        "t3": lambda: rng.standard_t(3, (n, d)) / np.sqrt(3),
        "t5": lambda: rng.standard_t(5, (n, d)) * np.sqrt(3 / 5),
        "gumbel": lambda: (rng.gumbel(size=(n, d)) - np.euler_gamma) * np.sqrt(6) / np.pi,
        "exponential": lambda: rng.exponential(size=(n, d)) - 1,
        "uniform": lambda: rng.uniform(-np.sqrt(3), np.sqrt(3), (n, d)),
    }[law]()


def draw_action(design, n, k, rng):
    """Actions on [-1, 1]^k (Gaussian ones: of about its spread)."""
    if design == "correlated":
        cov = 0.7 * np.ones((k, k)) + 0.3 * np.eye(k)
        return 2 * stats.norm.cdf(rng.normal(size=(n, k)) @ np.linalg.cholesky(cov).T) - 1
    return {
        "uniform": lambda: rng.uniform(-1, 1, (n, k)),
        "gaussian": lambda: 0.58 * rng.normal(size=(n, k)),
        "5 levels": lambda: np.linspace(-1, 1, 5)[rng.integers(5, size=(n, k))],
        "3 levels": lambda: np.linspace(-1, 1, 3)[rng.integers(3, size=(n, k))],
        "2 levels": lambda: np.linspace(-1, 1, 2)[rng.integers(2, size=(n, k))],
        "unbalanced": lambda: 2 * rng.beta(1, 4, (n, k)) - 1,
    }[design]()


def show(mixing, Z, coupling):
    """X of a state: an injective function of it."""
    if mixing == "linear":
        return Z @ (np.eye(len(coupling)) + 0.5 * coupling / np.linalg.norm(coupling, 2))
    if mixing == "exp":
        return np.exp(0.5 * Z @ (np.eye(len(coupling)) + 0.5 * coupling / np.linalg.norm(coupling, 2)))
    if mixing == "spiral":  # turned by an angle that grows with the distance from 0, in the plane
        angle = 0.4 * np.linalg.norm(Z, axis=1)
        c, s = np.cos(angle), np.sin(angle)
        return np.c_[c * Z[:, 0] - s * Z[:, 1], s * Z[:, 0] + c * Z[:, 1]]
    return np.c_[Z + 0.1 * Z**3, np.tanh(Z @ coupling)]


def world(
    n,
    seed,
    *,
    d=2,
    k=None,
    law="gaussian",
    design="uniform",
    breach=None,
    size=0.0,
    confounding=1.0,
    noise_scale=1.0,
    outcome="smooth",
    mixing="poly",
    x_noise=0.0,
    draws=4000,
    with_state=False,
):
    """X, y, action and the true curve (by `draws` draws of V), and the state if asked.

    breach: "curved" (Z = M (A + size A²) + V), "direct" (size A_1² added to y), "direct abs" (size |A_1|), "confounded"
    (size V P added to A), "confounded by squares" (size (V² - 1) P / √2 added to A).
    """
    k = d if k is None else k
    rng = np.random.default_rng([seed, 17])
    turned = stats.ortho_group.rvs(max(d, k), random_state=rng) if max(d, k) > 1 else np.ones((1, 1))
    sizes = rng.uniform(1, 1.6, min(d, k))
    M = turned[:d, :k] * sizes if k <= d else sizes[:, None] * turned[:d, :k]
    coupling = rng.normal(size=(d, d))
    V = draw_noise(law, n, d, rng)
    action = draw_action(design, n, k, rng)
    P = rng.normal(size=(d, k))
    P /= np.linalg.norm(P, axis=0)  # of one strength in every set
    if breach == "confounded":
        action = action + size * V @ P
    elif breach == "confounded by squares":
        action = action + size * (V**2 - 1) @ P / np.sqrt(2)
    V = noise_scale * V

    def moved(a):
        return (a + size * a**2 if breach == "curved" else a) @ M.T

    def direct(a):
        if breach == "direct":
            return size * (a[:, 0] ** 2 - 1 / 3)
        return size * np.abs(a[:, 0]) if breach == "direct abs" else 0.0

    def response(z):
        if outcome == "step":
            return (z > 0.5).sum(axis=-1) + 0.0
        if outcome == "linear":
            return z.sum(axis=-1)
        return (np.tanh(1.5 * z) + 0.2 * z**2).sum(axis=-1)

    Z = moved(action) + V
    X = show(mixing, Z, coupling)
    y = response(Z) + confounding * V.sum(axis=1) / np.sqrt(d) + direct(action) + 0.3 * rng.normal(size=n)
    if x_noise:
        X = X + x_noise * X.std(axis=0) * rng.normal(size=X.shape)
    noise = noise_scale * draw_noise(law, draws, d, np.random.default_rng(99))
    noise -= noise.mean(axis=0)

    def truth(a):
        return response(moved(a)[:, None, :] + noise).mean(axis=1) + direct(a)

    return (X, y, action, truth, Z) if with_state else (X, y, action, truth)
