"""Data with hidden causes after the examples of R's hiddenICP and causalDantzig, drawn in Python and handed to R."""

import numpy as np

__all__ = ["DESIGNS", "centred"]


def heavy_shifts(rng):
    """Four features of one hidden cause, the first two are causes; the second environment adds t3 shifts to all."""
    e = np.repeat([1, 2], 1000)
    X = rng.normal(size=(2000, 4))
    X[e == 2] += 5 * rng.standard_t(3, size=(1000, 4))
    hidden = 5 * rng.normal(size=2000)
    X += hidden[:, None]
    return X, X[:, 0] + X[:, 1] - 2 * hidden + rng.normal(size=2000), e


def cause_and_effect(rng):
    """A cause (-0.5) and an effect; the second environment multiplies their noise by 5 and 3."""
    e = np.repeat([1, 2], 5000)
    hidden, noise = rng.normal(size=10_000), rng.normal(size=(10_000, 3))
    x = noise[:, 0] * np.where(e == 2, 5, 1) + 3 * hidden
    y = -0.5 * x + noise[:, 1] + 3 * hidden
    return np.column_stack([x, 0.9 * y + noise[:, 2] * np.where(e == 2, 3, 1)]), y, e


def three_features(rng):
    """An effect, the cause (1) and an effect of the effect; the second environment doubles their noise."""
    e = np.repeat([0, 1], 1000)
    hidden, noise, scale = rng.normal(size=2000), rng.normal(size=(2000, 4)), np.where(e == 1, 2, 1)
    cause = hidden + noise[:, 0] * scale
    y = cause + hidden + noise[:, 1]
    effect = y + cause + noise[:, 2] * scale
    return np.column_stack([effect, cause, effect + hidden + noise[:, 3] * scale]), y, e


def three_environments(rng):
    """The cause and the effect of `cause_and_effect`; each of two environments moves one of them."""
    e = np.repeat([1, 2, 3], 1500)
    hidden, noise = rng.normal(size=4500), rng.normal(size=(4500, 3))
    x = noise[:, 0] * np.where(e == 2, 4, 1) + 2 * hidden
    y = -0.5 * x + noise[:, 1] + 2 * hidden
    return np.column_stack([x, 0.9 * y + noise[:, 2] * np.where(e == 3, 3, 1)]), y, e


#: Name, generator, seed and true coefficients.
DESIGNS = {
    "hiddenICP, example 1": (heavy_shifts, 1, (1.0, 1.0, 0.0, 0.0)),
    "hiddenICP, example 2": (cause_and_effect, 1, (-0.5, 0.0)),
    "causalDantzig, example": (three_features, 1, (0.0, 1.0, 0.0)),
    "three environments": (three_environments, 1, (-0.5, 0.0)),
}


def centred(name):
    """Features, outcome and labels of a design, features and outcome with mean zero in each environment."""
    draw, seed, _ = DESIGNS[name]
    X, y, e = draw(np.random.default_rng(seed))
    for label in np.unique(e):
        X[e == label] -= X[e == label].mean(axis=0)
        y[e == label] -= y[e == label].mean()
    return X, y, e
