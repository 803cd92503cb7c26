"""Simulated data that carry their truth."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from causalinv._matrix import orthonormal_range
from causalinv._parallel import streams
from causalinv._typing import RandomState
from causalinv._validation import check_flag, check_number, check_whole
from causalinv.moments import Moments
from causalinv.sem import LinearSEM

__all__ = ["make_confounded_linear"]

_UNSOLVABLE = 1e-8


def make_confounded_linear(
    n_samples: int = 2048,
    *,
    n_features: int = 32,
    n_confounders: int = 32,
    n_targets: int = 1,
    noise: float = 0.1,
    confounding: float = 1.0,
    cyclic: bool = False,
    random_state: RandomState = None,
) -> Bunch:
    r"""Simulate a linear outcome whose features share hidden confounders with it.

    .. math:: C \sim N(0, I), \quad X = W_X' C + \kappa\tau' Y + \varepsilon_X, \quad
       Y = f'X + \kappa W_Y' C + \varepsilon_Y

    with standard normal entries of :math:`W_X, W_Y, f`; :math:`\tau = 0` unless `cyclic`, where :math:`\tau` is
    standard normal too and :math:`f, \tau` are scaled to unit norm.

    Parameters
    ----------
    n_samples : int, default 2048
        Rows, >= 0.
    n_features, n_confounders, n_targets : int, default 32, 32, 1
        Sizes of X, C and Y.
    noise : float, default 0.1
        Standard deviation of all :math:`\varepsilon`.
    confounding : float, default 1.0
        κ: scales the confounders' effect on Y, and Y's effect on X.
    cyclic : bool, default False
        Whether the outcome feeds back on the features.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed; the model does not depend on `n_samples`.

    Returns
    -------
    Bunch
        ``X`` (n, d), ``y`` (n,) or (n, p), ``coef`` (d,) or (p, d) the true f, ``directions`` (d - p, d) an
        orthonormal basis of what f ignores, ``moments`` the population's `Moments`, ``sem`` the `LinearSEM` with
        all nodes.

    Raises
    ------
    ValueError
        If the cyclic model has no unique solution, or a size is not positive.

    Notes
    -----
    With all d - p directions known, one scalar per outcome is left to learn: success at ``alpha=0`` is then by
    construction. Always vary how many directions are known.

    Source: the linear experiment of arXiv 2510.25128, with its population moments in closed form.

    Examples
    --------
    >>> data = make_confounded_linear(100, n_features=5, random_state=0)
    >>> data.X.shape, data.directions.shape, data.moments
    ((100, 5), (4, 5), Moments(x: 5, y: 1; 1 cell, n=inf))
    """
    n_samples = check_whole(n_samples, "n_samples", low=0)
    check_flag(cyclic, "cyclic")
    for name, size in (("n_features", n_features), ("n_confounders", n_confounders), ("n_targets", n_targets)):
        check_whole(size, name, low=1)
    d, c, p = n_features, n_confounders, n_targets
    kappa = check_number(confounding, "confounding", low=-1e100, high=1e100)
    std = check_number(noise, "noise", low=0.0, high=1e100)
    model_rng, sample_rng = streams(random_state, 2, "confounded linear")
    mix = model_rng.standard_normal((c, d + p))
    f = model_rng.standard_normal((d, p))
    feedback = model_rng.standard_normal((p, d)) if cyclic else np.zeros((p, d))
    if cyclic:
        f /= np.linalg.norm(f, axis=0)
        feedback /= np.linalg.norm(feedback, axis=1, keepdims=True)
    gap = np.linalg.det(np.eye(p) - kappa * feedback @ f)
    if abs(gap) < _UNSOLVABLE:
        raise ValueError(
            f"The feedback loop has no unique solution: det(I - confounding * tau f) = {gap:.1e}. Change the seed "
            "or confounding."
        )

    at = np.split(np.arange(c + d + p), [c, c + d])
    B = np.zeros((c + d + p, c + d + p))
    B[np.ix_(at[1], at[0])] = mix[:, :d].T
    B[np.ix_(at[2], at[0])] = kappa * mix[:, d:].T
    B[np.ix_(at[2], at[1])] = f.T
    B[np.ix_(at[1], at[2])] = kappa * feedback.T
    names = [f"{kind}{i}" for kind, k in (("c", c), ("x", d), ("y", p)) for i in range(k)]
    sem = LinearSEM(B, noise=np.r_[np.ones(c), np.full(d + p, std)], names=names)

    seen = np.concatenate(at[1:])
    moments = Moments({"x": d, "y": p}, mean=np.zeros(d + p), scatter=sem.cov()[np.ix_(seen, seen)])
    rows = np.asarray(sem.sample(n_samples, random_state=sample_rng))
    X, y = rows[:, at[1]], rows[:, at[2]]
    directions = orthonormal_range(f.T)[1]
    return Bunch(
        X=X,
        y=y[:, 0] if p == 1 else y,
        coef=f[:, 0] if p == 1 else f.T,
        directions=directions,
        moments=moments,
        sem=sem,
    )
