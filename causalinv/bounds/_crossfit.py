"""Propensities and conditional laws at every row, from models that did not see the row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from causalinv._parallel import run, seed_estimator
from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv._warn import warn
from causalinv.bounds._arm_law import JoinedLaw, crps
from causalinv.bounds._conditional import Candidate, ConditionalLaw, candidates, fit_conditional, fit_weighted, named
from causalinv.bounds._laws import LawLike, Sample, compress
from causalinv.bounds._rows import Rows
from causalinv.exceptions import OverlapWarning

__all__ = ["CrossFit", "Learners", "chances", "cross_fit", "fit_laws", "fit_propensity", "folds_of"]

_MANY_CLIPPED = 0.05
_CLEARLY = 2.0  # standard errors of a difference of scores
_LEAST = 1e-9  # propensity that pointwise ends may see


@dataclass(frozen=True)
class Learners:
    """What is fitted, as it was said when `fit` was called.

    Attributes
    ----------
    propensity : classifier or None
    outcome : None, "linear", "spline" or regressor
    law : str, forest or callable
    clip : float
    """

    propensity: Any
    outcome: Any
    law: LawLike
    clip: float


@dataclass(frozen=True)
class CrossFit:
    """Nuisances at the rows of the data, out of fold.

    Attributes
    ----------
    propensity : ndarray of shape (n, n_arms)
    laws : list of JoinedLaw, one per arm
    folds : ndarray of shape (n,)
        Number of the fold in which a row was held out.
    n_clipped : int
        Rows of which a propensity was clipped.
    raw : ndarray of shape (n, n_arms)
        Propensities before clipping, above 0; for ends that need no division by them.
    chosen : list of Candidate, one per arm
        Which way to the law was taken.
    """

    propensity: FloatArray
    laws: list[JoinedLaw]
    folds: IntArray
    n_clipped: int
    raw: FloatArray
    chosen: list[Candidate]


def folds_of(rows: Rows, cv: int, rng: np.random.Generator) -> IntArray:
    """Number of each row's fold: stratified by arm, groups kept together.

    Rows are dealt in the order of what they hold, so that the order in which they came changes nothing.
    """
    seed = _seed(rng)
    beside = [each for each in (rows.groups, rows.weight) if each is not None]  # among rows that are alike otherwise
    order = np.lexsort((*beside, rows.phi, *rows.X.T[::-1], rows.codes))
    codes = rows.codes[order]
    if rows.groups is None:
        split = StratifiedKFold(cv, shuffle=True, random_state=seed).split(codes, codes)
    else:
        if len(np.unique(rows.groups)) < cv:
            raise ValueError(
                f"cv={cv} folds need as many groups, got {len(np.unique(rows.groups))}: set a smaller cv=."
            )
        groups = pd.factorize(rows.groups[order])[0]
        split = StratifiedGroupKFold(cv, shuffle=True, random_state=seed).split(codes, codes, groups)
    folds = np.empty(len(codes), int)
    for number, (train, test) in enumerate(split):
        folds[order[test]] = number
        missing = np.flatnonzero(np.bincount(codes[train], minlength=rows.n_arms) == 0)
        if missing.size:
            raise ValueError(
                f"groups put all rows of arm {rows.arms.tolist()[missing[0]]!r} into one fold, so nothing is left to "
                "learn it from. Use fewer folds, cv=, or finer groups."
            )
    return folds


def fit_propensity(propensity: Any, rows: Rows, train: BoolArray, seed: int) -> Any:
    """Fit a clone of the classifier; None is a logistic regression on standardised features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)) if propensity is None else propensity
    known = hasattr(model, "fit") and (hasattr(model, "predict_proba") or hasattr(type(model), "predict_proba"))
    if isinstance(model, type) or not known:
        raise TypeError(f"propensity must be a classifier with predict_proba, got {propensity!r}.")
    model = seed_estimator(model, np.random.default_rng(seed))
    X = named(rows.X[train], None if propensity is None else rows.varying_names)
    return fit_weighted(model, X, rows.codes[train], rows.take_weight(train), "propensity")


def chances(model: Any, propensity: Any, rows: Rows, X: FloatArray) -> FloatArray:
    """Propensities of a fitted model, not clipped."""
    return np.asarray(model.predict_proba(named(X, None if propensity is None else rows.varying_names)), dtype=float)


def cross_fit(
    rows: Rows,
    learners: Learners,
    *,
    folds: IntArray,
    rng: np.random.Generator,
    n_jobs: int | None,
    laws: bool = True,
) -> CrossFit:
    """Fit on all folds but one, evaluate on that one, in turn; without `laws` the propensity alone.

    Of several candidates for an arm's law the one with the least continuous ranked probability score is taken: mean
    over the arm's rows, each by models that did not see it. Who is clearly behind on the first fold, and all forests
    but the best one there, are not fitted on the others.
    """
    cv = int(folds.max()) + 1
    seeds = [[_seed(rng) for _ in range(rows.n_arms + 1)] for _ in range(cv)]
    arms = range(rows.n_arms) if laws else range(0)
    asked = [candidates(learners.outcome, learners.law, rows.phi[rows.codes == a]) for a in arms]

    def one(fold: int) -> tuple[FloatArray, list[list[ConditionalLaw]], list[FloatArray]]:
        train, test = folds != fold, folds == fold
        model = fit_propensity(learners.propensity, rows, train, seeds[fold][-1])
        fitted = [_fit_laws(rows, train, a, asked[a], seeds[fold][a]) for a in arms]
        return (
            chances(model, learners.propensity, rows, rows.X[test]),
            fitted,
            [_losses(rows, test & (rows.codes == a), fitted[a]) for a in arms],
        )

    first = one(0)
    kept = [_not_behind(asked[a], first[2][a]) for a in arms]
    asked = [[asked[a][i] for i in kept[a]] for a in arms]
    first = (
        first[0],
        [[first[1][a][i] for i in kept[a]] for a in arms],
        [first[2][a][kept[a]] for a in arms],
    )
    parts = [first, *run(one, [(fold,) for fold in range(1, cv)], n_jobs=n_jobs)]
    e = np.empty((len(folds), rows.n_arms))
    for fold, (part, _, _) in enumerate(parts):
        e[folds == fold] = part
    best = [int(np.argmin(np.sum([losses[a].sum(axis=1) for _, _, losses in parts], axis=0))) for a in arms]
    held = [np.flatnonzero(folds == fold) for fold in range(cv)]
    joined = [
        JoinedLaw(
            len(folds),
            [(at, fitted[a][best[a]].at(rows.X[at])) for at, (_, fitted, _) in zip(held, parts, strict=True)],
        )
        for a in arms
    ]
    clip = learners.clip
    clipped = int(np.any((e < clip) | (e > 1 - clip), axis=1).sum())
    if laws and clipped > _MANY_CLIPPED * len(e):  # a benchmark leaves covariates out: its overlap is nobody's
        warn(
            f"{clipped} of {len(e)} propensities lie outside [{clip:g}, {1 - clip:g}] and were clipped: some rows "
            "hardly ever see one of the arms, and averages lean on few rows. Restrict the population, or change clip=.",
            OverlapWarning,
        )
    return CrossFit(
        np.clip(e, clip, 1.0 - clip),
        joined,
        folds,
        clipped,
        np.clip(e, _LEAST, 1.0 - _LEAST),
        [each[at] for each, at in zip(asked, best, strict=True)],
    )


def _losses(rows: Rows, own: BoolArray, fitted: list[ConditionalLaw]) -> FloatArray:
    """Scores (n_candidates, k) at the arm's own held-out rows, times weights; of a single one none is needed."""
    if len(fitted) < 2 or not own.any():
        return np.zeros((len(fitted), 1))
    weight = rows.take_weight(own)
    scores = np.array([crps(each.at(rows.X[own]), rows.phi[own]) for each in fitted])
    return scores if weight is None else scores * weight


def _not_behind(asked: list[Candidate], losses: FloatArray) -> list[int]:
    """Candidates that are not clearly behind the best, and of those with forests the best."""
    best = int(np.argmin(losses.sum(axis=1)))
    behind = losses - losses[best]
    behind = behind / (np.abs(behind).max() or 1.0)  # squares of losses may be no floats
    error = behind.std(axis=1) * np.sqrt(behind.shape[1])
    near = [i for i in range(len(asked)) if behind[i].sum() <= _CLEARLY * error[i]]
    forests = [i for i in near if asked[i].law == "forest"] if len(asked) > 1 else []
    spared = sorted(forests, key=lambda i: float(losses[i].sum()))[1:]
    return [i for i in near if i not in spared]


def fit_laws(rows: Rows, chosen: list[Candidate], rng: np.random.Generator) -> list[ConditionalLaw]:
    """Fit the law of every arm on all rows."""
    everyone = np.ones(len(rows.codes), bool)
    return [_fit_laws(rows, everyone, a, [each], _seed(rng))[0] for a, each in enumerate(chosen)]


def _fit_laws(rows: Rows, train: BoolArray, arm: int, asked: list[Candidate], seed: int) -> list[ConditionalLaw]:
    inside = train & (rows.codes == arm)
    if not inside.any():
        raise ValueError(
            f"Outside one fold no row of arm {rows.arms.tolist()[arm]!r} has positive weight, so nothing is left "
            "to learn it from. Use fewer folds, cv=, or finer groups."
        )
    atoms, codes = compress(rows.phi[rows.codes == arm])
    kept = codes[inside[rows.codes == arm]]
    outside = train & (rows.codes != arm)
    sample = Sample(
        rows.X[inside],
        rows.phi[inside],
        kept,
        len(atoms),
        rows.take_weight(inside),
        rows.varying_names,
        None if rows.groups is None else rows.groups[inside],
        (rows.X[outside], rows.phi[outside], rows.take_weight(outside)) if outside.any() else None,
    )
    return fit_conditional(asked, sample, atoms, seed)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
