"""What observed covariates would amount to, had they been hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components
from sklearn.base import clone

from causalinv._matrix import singular_values
from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv._validation import check_list
from causalinv.bounds._crossfit import Learners, cross_fit
from causalinv.bounds._location import location
from causalinv.bounds._rows import Rows

__all__ = ["benchmark", "covariates"]

_SHUFFLES = 5
_DEPENDENT = 1e-9  # share of the largest singular value below which columns are linear functions of others
_TIED = 1e-6  # entry of the projection on what vanishes from which on two columns belong together
_MOST = 50.0  # an inverse odds ratio beyond which a single row would decide


def benchmark(
    rows: Rows,
    learners: Learners,
    columns: Sequence[Any] | None,
    arm: int,
    *,
    folds: list[IntArray],
    seed: int,
    n_jobs: int | None,
) -> pd.DataFrame:
    """The table of `SensitivityBounds.benchmark`."""
    names, one_by_one = _names(rows), covariates(rows)
    if len(names) < 2 or (columns is None and len(one_by_one) < 2):
        raise ValueError("A benchmark leaves a covariate out; with one covariate nothing would be left.")
    place = np.full(len(names), -1)
    place[rows.varying] = np.arange(int(rows.varying.sum()))

    def odds(X: FloatArray, kept: BoolArray | None, repeat: int) -> FloatArray:
        """Log odds out of fold, every fit with the same seeds, so that only the covariates differ."""
        varying = rows.varying if kept is None else _only(rows.varying, kept)
        again = cross_fit(
            replace(rows, X=X, varying=varying),
            learners,
            folds=folds[repeat],
            rng=np.random.default_rng(seed),
            n_jobs=n_jobs,
            laws=False,
        )
        e = again.propensity[:, arm]
        out: FloatArray = np.log(e) - np.log1p(-e)
        return out

    repeats = range(len(folds))
    full, found = [odds(rows.X, None, r) for r in repeats], {}
    for group in one_by_one if columns is None else check_list(columns, "columns", "covariates"):
        several = isinstance(group, list | tuple)
        at = place[[_position(c, names) for c in (group if several else [group])]]
        kept = ~np.isin(np.arange(rows.X.shape[1]), at)
        if not kept.any():
            raise ValueError(f"columns={group!r} leaves no covariate.")
        label = ", ".join(map(str, group)) if several else group
        each = []
        for r in repeats:
            without = odds(rows.X[:, kept], kept, r)
            factor = np.exp(np.abs(full[r] - without))
            noise = _noise(rows, at[at >= 0], lambda X, r=r: odds(X, None, r), without, seed)
            top = np.quantile(factor, 0.95)
            beyond = np.exp(np.sqrt(max(np.log(top) ** 2 - np.log(noise) ** 2, 0.0)))
            knowing = _given_outcome(rows, kept, rows.codes == arm, np.exp(without - full[r]), folds[r])
            each.append([top, factor.max(), noise, beyond, knowing])
        found[label] = dict(
            zip(("q95", "max", "noise", "beyond_noise", "given_y"), np.median(each, axis=0), strict=True)
        )
    return pd.DataFrame(found).T.rename_axis("left out")


def _names(rows: Rows) -> list[Any]:
    return list(range(len(rows.varying)) if rows.names is None else rows.names)


def covariates(rows: Rows) -> list[Any]:
    """Names of the columns, in lists where one is a linear function of others: alone it would hide nothing."""
    names, (n, d) = _names(rows), rows.X.shape
    if n <= d + 1:  # then every column is
        return names
    centred = rows.X - rows.X.mean(axis=0)
    spread = np.abs(centred).max(axis=0)
    _, size, right = singular_values(centred / np.where(spread > 0, spread, 1.0))
    held = right[size > _DEPENDENT * size[0]]
    _, part = connected_components(np.abs(np.eye(d) - held.T @ held) > _TIED, directed=False)
    place = np.full(len(names), -1)
    place[rows.varying] = part
    alone = [name if at < 0 else None for name, at in zip(names, place, strict=True)]
    sets = [[names[i] for i in np.flatnonzero(place == at)] for at in range(int(part.max()) + 1)]
    found = [each[0] if len(each) == 1 else each for each in sets] + [name for name in alone if name is not None]
    return sorted(found, key=lambda each: names.index(each[0] if isinstance(each, list) else each))


def _only(varying: BoolArray, kept: BoolArray) -> BoolArray:
    out = np.zeros(len(varying), bool)
    out[np.flatnonzero(varying)[kept]] = True
    return out


def _noise(rows: Rows, at: IntArray, odds: Any, without: FloatArray, seed: int) -> float:
    """95% quantile of the factor if the covariates were shuffled, the largest of some shuffles."""
    if not at.size:
        return 1.0
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_SHUFFLES):
        X = rows.X.copy()
        X[:, at] = X[rng.permutation(len(X))][:, at]
        found.append(np.quantile(np.exp(np.abs(odds(X) - without)), 0.95))
    return float(max(found))


def _given_outcome(rows: Rows, kept: BoolArray, inside: BoolArray, ratio: FloatArray, folds: IntArray) -> float:
    """95% quantile of the factor between odds given the outcome and other covariates, and given these alone.

    If nothing else is hidden, the inverse odds given y and the others are the mean, over the arm's rows with these, of
    the inverse odds given all. So their ratio to those without the covariate is a regression on (others, y).
    """
    ratio = np.clip(ratio, 1.0 / _MOST, _MOST)
    design = np.column_stack([rows.X[:, kept], rows.phi])
    found = np.ones(len(ratio))
    for fold in np.unique(folds):
        train, test = inside & (folds != fold), inside & (folds == fold)
        if train.sum() < 10 or not test.any():
            continue
        fitted = clone(location("spline", 0)).fit(design[train], ratio[train])
        found[test] = np.clip(fitted.predict(design[test]), ratio[train].min(), ratio[train].max())
    return float(np.quantile(np.exp(np.abs(np.log(found[inside]))), 0.95))


def _position(column: Any, names: list[Any]) -> int:
    if column in names:
        return names.index(column)
    if isinstance(column, int | np.integer) and not isinstance(column, bool) and 0 <= column < len(names):
        return int(column)
    raise ValueError(f"columns holds {column!r}, which is no covariate; they are {names}.")
