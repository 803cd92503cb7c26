"""A discrete treatment that unmeasured confounders drive, with the truth that no data set would show."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.special import expit, ndtri
from sklearn.utils import Bunch

from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState
from causalinv._validation import check_choice, check_flag, check_number, check_whole

__all__ = ["make_confounded_treatment"]

_KINDS = ("beta", "adverse", "attained", "sine")
_LARGEST = 1e12  # odds ratio: beyond it 1 - tau is rounding
_CONCENTRATION = 4.0  # of the Beta laws


def make_confounded_treatment(
    n_samples: int = 1000,
    *,
    kind: Literal["beta", "adverse", "attained", "sine"] = "beta",
    odds_ratio: float = 2.0,
    heavy_tails: bool = False,
    random_state: RandomState = None,
) -> Bunch:
    r"""Simulate two arms whose potential outcomes differ between those who took the arm and those who did not.

    ``"beta"``: three covariates, outcomes in [0, 1] with Beta laws. ``"adverse"``: the same, but whoever did not take
    arm 1 would nearly always have had the best outcome there, so that the truth is close to Manski's end.
    ``"attained"``: one binary covariate, Gaussian arms, and a hidden law that is the worst one of the marginal
    sensitivity model with the given `odds_ratio`: the truth of both arms equals the upper bound. ``"sine"``: a
    simulation of Jung and Kang (2026), unbounded outcomes, a hidden confounder of mild effect.

    Parameters
    ----------
    n_samples : int, default 1000
        Rows.
    kind : {"beta", "adverse", "attained", "sine"}, default "beta"
    odds_ratio : float, default 2.0
        Λ of ``"attained"``, from 1 to 1e12.
    heavy_tails : bool, default False
        Whether the noise of ``"sine"`` is Student's with 3 degrees of freedom instead of normal.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed.

    Returns
    -------
    Bunch
        ``X`` (n, d); ``y`` (n,); ``treatment`` (n,) 0 or 1; ``propensity`` (n,) P(A = 1 | x); ``arm_mean`` (n, 2) mean
        of Y in arm a given x, what data can show; ``mean`` (n, 2) mean of Y(a) given x, what they cannot; ``potential``
        (n, 2) both outcomes of each row; ``outcome_support`` (0, 1) or None.

    Raises
    ------
    ValueError
        If `kind` is unknown or a size impossible.

    Examples
    --------
    >>> from causalinv.datasets import make_confounded_treatment
    >>> data = make_confounded_treatment(500, random_state=0)
    >>> data.X.shape, data.mean.shape, data.outcome_support
    ((500, 3), (500, 2), (0.0, 1.0))
    """
    n = check_whole(n_samples, "n_samples", low=1)
    strength = check_number(odds_ratio, "odds_ratio", low=1.0, high=_LARGEST)
    check_choice(kind, "kind", _KINDS)
    check_flag(heavy_tails, "heavy_tails")
    x_rng, a_rng, y_rng = streams(random_state, 3, "confounded treatment")
    if kind == "sine":
        return _sine(n, heavy_tails, x_rng, a_rng, y_rng)
    if kind == "attained":
        return _attained(n, strength, x_rng, a_rng, y_rng)
    X = x_rng.uniform(-1.5, 1.5, size=(n, 3))
    e = 0.1 + 0.8 * expit(1.2 * X[:, 0] - 0.6 * X[:, 1])
    taken = np.column_stack([0.3 + 0.4 * expit(X[:, 1]), 0.2 + 0.6 * expit(X[:, 0] + 0.5 * X[:, 1])])
    other = np.column_stack([0.25 + 0.5 * expit(-X[:, 0]), 0.15 + 0.6 * expit(X[:, 0] - 0.5)])
    if kind == "adverse":
        other[:, 1] = 0.95
    treatment = (a_rng.random(n) < e).astype(int)
    own = treatment[:, None] == np.arange(2)
    centre = np.where(own, taken, other)
    potential = y_rng.beta(_CONCENTRATION * centre, _CONCENTRATION * (1.0 - centre))
    return _bunch(X, treatment, e, taken=taken, other=other, potential=potential, support=(0.0, 1.0))


def _attained(
    n: int, strength: float, x_rng: np.random.Generator, a_rng: np.random.Generator, y_rng: np.random.Generator
) -> Bunch:
    """Arm a is N(mu_a(x), 1); outside it the upper Λ / (1 + Λ) part of the law has Λ times its mass, the rest 1 / Λ."""
    x = (x_rng.random(n) < 0.5).astype(float)
    e = 0.35 + 0.3 * x
    tau = strength / (1.0 + strength)
    taken = np.column_stack([0.5 * x, 1.0 + x])
    shift = (strength - 1.0 / strength) * np.exp(-0.5 * ndtri(tau) ** 2) / np.sqrt(2 * np.pi)
    treatment = (a_rng.random(n) < e).astype(int)
    own = treatment[:, None] == np.arange(2)
    u = y_rng.random((n, 2))
    top = y_rng.random((n, 2)) < strength * (1.0 - tau)
    worst = ndtri(np.where(top, tau + (1.0 - tau) * u, tau * u))
    potential = taken + np.where(own, ndtri(u), worst)
    return _bunch(x[:, None], treatment, e, taken=taken, other=taken + shift, potential=potential, support=None)


def _sine(
    n: int, heavy_tails: bool, x_rng: np.random.Generator, a_rng: np.random.Generator, y_rng: np.random.Generator
) -> Bunch:
    """Five covariates; a hidden g in (0, 1) raises the odds of arm 1 and, by 0.25 at most, both outcomes."""
    d = 5
    X = x_rng.uniform(-np.pi, np.pi, size=(n, d))
    g = expit(2.0 * x_rng.standard_normal(n))

    def chance(g: FloatArray) -> FloatArray:
        out: FloatArray = 0.05 + 0.9 * expit(np.sin(X[:, 0]) + g)
        return out

    treatment = (a_rng.random(n) < chance(g)).astype(int)
    base = 0.25 * expit(X @ np.linspace(1.5, 0.5, d) / d)
    swing = 5.0 * np.sin(X[:, :1]) * np.array([-1.0, 1.0])
    noise = y_rng.standard_t(3, size=n) if heavy_tails else y_rng.standard_normal(n)
    potential = swing + (base + 0.25 * g + noise)[:, None]
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    at = expit(2.0 * nodes)
    chances = np.stack([chance(np.full(n, each)) for each in at])
    e = weights @ chances
    of_taken = (weights * at) @ chances / e
    of_other = (weights * at) @ (1.0 - chances) / (1.0 - e)
    taken, other = (
        swing + (base[:, None] + 0.25 * np.column_stack(pair)) for pair in ((of_other, of_taken), (of_taken, of_other))
    )
    return _bunch(X, treatment, e, taken=taken, other=other, potential=potential, support=None)


def _bunch(
    X: FloatArray,
    treatment: np.ndarray,
    e: FloatArray,
    *,
    taken: FloatArray,
    other: FloatArray,
    potential: FloatArray,
    support: tuple[float, float] | None,
) -> Bunch:
    chances = np.column_stack([1.0 - e, e])
    return Bunch(
        X=X,
        y=potential[np.arange(len(X)), treatment],
        treatment=treatment,
        propensity=e,
        arm_mean=taken,
        mean=chances * taken + (1.0 - chances) * other,
        potential=potential,
        outcome_support=support,
    )
