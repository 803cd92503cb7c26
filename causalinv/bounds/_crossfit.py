"""Propensities and conditional laws at every row, from models that did not see the row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from causalinv._parallel import run, seed_estimator
from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv._warn import warn
from causalinv.bounds._laws import Law, LawLike, Sample, compress, fit_law
from causalinv.bounds._rows import Rows
from causalinv.exceptions import OverlapWarning

__all__ = ["CrossFit", "Nuisances", "cross_fit", "fit_nuisances", "fit_propensity", "folds_of"]

_MANY_CLIPPED = 0.05
_LEAST = 1e-9  # propensity that pointwise ends may see


@dataclass(frozen=True)
class CrossFit:
    """Nuisances at the rows of the data, out of fold.

    Attributes
    ----------
    propensity : ndarray of shape (n, n_arms)
    weights : list of ndarray, one (n, K_a) per arm
        Law of each arm at every row.
    folds : ndarray of shape (n,)
        Number of the fold in which a row was held out.
    n_clipped : int
        Rows of which a propensity was clipped.
    raw : ndarray of shape (n, n_arms)
        Propensities before clipping, above 0; for ends that need no division by them.
    """

    propensity: FloatArray
    weights: list[FloatArray]
    folds: IntArray
    n_clipped: int
    raw: FloatArray


@dataclass(frozen=True)
class Nuisances:
    """Models fitted to all rows, for new features."""

    propensity: Any
    laws: list[Law]
    clip: float

    def propensities(self, X: FloatArray) -> FloatArray:
        """Clipped propensities, shape (m, n_arms)."""
        return np.clip(self.propensity.predict_proba(X), self.clip, 1.0 - self.clip)

    def raw(self, X: FloatArray) -> FloatArray:
        """Propensities before clipping, above 0, shape (m, n_arms)."""
        return np.clip(self.propensity.predict_proba(X), _LEAST, 1.0 - _LEAST)


def folds_of(rows: Rows, cv: int, rng: np.random.Generator) -> IntArray:
    """Number of each row's fold: stratified by arm, groups kept together.

    Rows are dealt in the order of what they hold, so that the order in which they came changes nothing.
    """
    seed = _seed(rng)
    order = np.lexsort((rows.phi, *rows.X.T[::-1], rows.codes))
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
                f"groups put all rows of arm {rows.arms[missing[0]]!r} into one fold, so nothing is left to learn it "
                "from. Use fewer folds, cv=, or finer groups."
            )
    return folds


def fit_propensity(propensity: Any, X: FloatArray, codes: IntArray, weight: FloatArray | None, seed: int) -> Any:
    """Fit a clone of the classifier; None is a logistic regression on standardised features."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)) if propensity is None else propensity
    if not (hasattr(model, "fit") and (hasattr(model, "predict_proba") or hasattr(type(model), "predict_proba"))):
        raise TypeError(f"propensity must be a classifier with predict_proba, got {propensity!r}.")
    model = seed_estimator(model, np.random.default_rng(seed))
    if weight is None:
        return model.fit(X, codes)
    name, last = model.steps[-1] if isinstance(model, Pipeline) else ("", model)
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(f"sample_weight was given, but the propensity model {type(last).__name__} does not take it.")
    return model.fit(X, codes, **{f"{name}__sample_weight" if name else "sample_weight": weight})


def cross_fit(
    rows: Rows,
    *,
    folds: IntArray,
    law: LawLike | None,
    propensity: Any,
    clip: float,
    rng: np.random.Generator,
    n_jobs: int | None,
) -> CrossFit:
    """Fit on all folds but one, evaluate on that one, in turn; `law` None leaves the laws out."""
    cv = int(folds.max()) + 1
    binned = [compress(rows.phi[rows.codes == a]) for a in range(rows.n_arms)]
    seeds = [[_seed(rng) for _ in range(rows.n_arms + 1)] for _ in range(cv)]

    def one(fold: int) -> tuple[FloatArray, list[FloatArray]]:
        train, test = folds != fold, folds == fold
        model = fit_propensity(propensity, rows.X[train], rows.codes[train], rows.take_weight(train), seeds[fold][-1])
        laws = [] if law is None else _fit_laws(rows, train, binned, law, seeds[fold])
        return model.predict_proba(rows.X[test]), [each.weights(rows.X[test]) for each in laws]

    parts = run(one, [(fold,) for fold in range(cv)], n_jobs=n_jobs)
    e = np.empty((len(folds), rows.n_arms))
    weights = [] if law is None else [np.empty((len(folds), len(atoms))) for atoms, _ in binned]
    for fold, (part, laws) in enumerate(parts):
        e[folds == fold] = part
        for whole, piece in zip(weights, laws, strict=True):
            whole[folds == fold] = piece
    clipped = int(np.any((e < clip) | (e > 1 - clip), axis=1).sum())
    if clipped > _MANY_CLIPPED * len(e):
        warn(
            f"{clipped} of {len(e)} propensities lie outside [{clip:g}, {1 - clip:g}] and were clipped: some rows "
            "hardly ever see one of the arms, and averages lean on few rows. Restrict the population, or change clip=.",
            OverlapWarning,
        )
    return CrossFit(np.clip(e, clip, 1.0 - clip), weights, folds, clipped, np.clip(e, _LEAST, 1.0 - _LEAST))


def fit_nuisances(rows: Rows, *, law: LawLike, propensity: Any, clip: float, rng: np.random.Generator) -> Nuisances:
    """Fit propensity and laws on all rows."""
    seeds = [_seed(rng) for _ in range(rows.n_arms + 1)]
    everyone = np.ones(len(rows.codes), bool)
    binned = [compress(rows.phi[rows.codes == a]) for a in range(rows.n_arms)]
    model = fit_propensity(propensity, rows.X, rows.codes, rows.weight, seeds[-1])
    return Nuisances(model, _fit_laws(rows, everyone, binned, law, seeds), clip)


def _fit_laws(
    rows: Rows, train: BoolArray, binned: list[tuple[FloatArray, IntArray]], law: LawLike, seeds: list[int]
) -> list[Law]:
    laws = []
    for arm, (atoms, codes) in enumerate(binned):
        members = rows.codes == arm
        inside = train & members
        if not inside.any():
            raise ValueError(
                f"Outside one fold no row of arm {rows.arms.tolist()[arm]!r} has positive weight, so nothing is left "
                "to learn it from. Use fewer folds, cv=, or finer groups."
            )
        kept = codes[inside[members]]
        sample = Sample(rows.X[inside], rows.phi[inside], kept, len(atoms), rows.take_weight(inside))
        laws.append(fit_law(law, sample, seeds[arm]))
    return laws


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
