"""Bootstrap of pairs on the level of moments: rows (or clusters) are reweighted, the strength is chosen again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from causalinv._parallel import streams
from causalinv._progress import counting
from causalinv._typing import BoolArray, FloatArray, RandomState, Rows
from causalinv._validation import check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._integrations import ClosedForm
from causalinv.ivlike._intervals import unseen_at, warn_unseen
from causalinv.ivlike._pairs import Pairs
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._paths import Split, paths_like
from causalinv.ivlike._reading import Reading
from causalinv.ivlike._resample import Cells, Resampler, Resamples, along
from causalinv.results import BootstrapResult
from causalinv.transformations import FirstStage

__all__ = ["bootstrap", "replications"]


def unit_counts(n: int, rng: np.random.Generator) -> FloatArray:
    """How often each of n rows, or clusters, is drawn when as many are drawn with replacement."""
    return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)


def bootstrap(
    fit: Fit, n_replications: int, *, pairs: tuple[Rows, Rows] | None, random_state: RandomState
) -> BootstrapResult:
    """Replications of a whole fit on resampled rows, or clusters; NaN where a coefficient rests on one of them."""
    replicates, alphas, still = replications(fit, n_replications, pairs=pairs, random_state=random_state)
    unseen = unseen_at(fit)
    warn_unseen(fit, np.tile(unseen, fit.coef.shape[1]))
    replicates[:, np.tile(unseen, fit.coef.shape[1])] = np.nan
    still = still & ~unseen
    if still.any():
        warn(
            f"In {int(still.any(axis=1).sum())} of {n_replications} replications a feature did not vary (a rare "
            "category was not drawn, or controls explain it): its coefficient is 0 there, and intervals of it are "
            "rough; confint() has others.",
            DegenerateInputWarning,
        )
    unit = "rows" if fit.rows().groups is None else "clusters"
    chosen = "alpha chosen anew" if fit.rule.known(fit.design) is None else "the same alpha"
    accounts = f"{unit} drawn anew, {chosen}" + ("" if pairs is None else ", directions estimated anew")
    return BootstrapResult(
        pd.DataFrame(replicates, columns=fit.index),
        alphas,
        pd.Series(fit.coef.T.ravel(), index=fit.index),
        accounts,
    )


def replications(
    fit: Fit, n_replications: int, *, pairs: tuple[Rows, Rows] | None, random_state: RandomState
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Coefficients (B, p d), strengths (B,), and where (B, d) a feature that varies in the rows did not."""
    design, reading = fit.read_again()
    n_replications = check_whole(n_replications, "n_replications", low=2)
    drawn = None if pairs is None else Pairs.of(*pairs, design)
    generators = streams(random_state, n_replications, "bootstrap")
    counts = [unit_counts(design.n_units, rng) for rng in generators]
    _check_room(fit, design, reading, counts)
    made: list[_Made] = []
    again = _Again(fit, Split.of(reading.stage))
    with counting(n_replications, "bootstrap replications") as step:
        if drawn is None or (isinstance(design, ClosedForm) and design.features is None):
            table = Resampler(design, reading, fit.rule.folds)
            for resamples in table.resamples(counts, fit.rule.n_tried * design.X.shape[1]):
                some = generators[len(made) : len(made) + len(resamples)]
                steps = None if drawn is None else drawn.redrawn(some)
                made += again.each(replace(resamples, steps=steps))
                step(len(resamples))
        else:  # other directions draw other copies
            for rng, count in zip(generators, counts, strict=True):
                rows = count if design.groups is None else count[design.groups]
                moved = along(design, drawn.redrawn([rng])[0])
                made += again.alone([(moved, moved.reweighted(design.share * rows).collect(fit.rule.folds))])
                step(1)
    coefs, alphas, varies = zip(*made, strict=True)
    return np.stack(coefs), np.array(alphas), np.array(varies) < _varies(reading.stage)


_Made = tuple[FloatArray, float, BoolArray]  # coefficients (p d,), strength, and features (d,) that vary


@dataclass(frozen=True)
class _Again:
    """A fit once more, on resamples that are like its rows."""

    fit: Fit
    split: Split

    def each(self, resamples: Resamples) -> list[_Made]:
        """Replications together; what is not sound so is read on its own."""
        rule, ridge, size = self.fit.rule, self.fit.ridge, len(resamples)
        known = rule.known(resamples.design)
        found = None if known is None and not rule.n_tried else resamples.whole()
        made: list[_Made] = []
        sound = np.zeros(size, bool)
        if found is not None:
            with np.errstate(all="ignore"):  # of those that are not sound
                (reading, good), coefs, alphas = found, None, np.full(size, known, dtype=np.float64)
                sound = good & resamples.complete
                if known is None:
                    alphas, coefs, good = rule.choose_each(resamples, reading, self.split, ridge=ridge)
                    sound &= good
                if coefs is None:
                    coefs, good = self.split.coefs(reading.stage, alphas, ridge=ridge)
                    sound &= good
            coefs = np.swapaxes(coefs, 1, 2).reshape(size, -1)
            made = list(zip(coefs, alphas.tolist(), _varies(reading.stage), strict=True))
        rest = np.flatnonzero(~sound).tolist()
        others = self.alone([(resamples.design_of(r), resamples.one(r)) for r in rest])
        if len(rest) == size:
            return others
        for r, other in zip(rest, others, strict=True):
            made[r] = other
        return made

    def alone(self, given: list[tuple[RowDesign, Cells]]) -> list[_Made]:
        """Replications from designs and moments, one cell per fold, that are read one by one."""
        if not given:
            return []
        rule, ridge, readings = self.fit.rule, self.fit.ridge, [design.reading(*cells) for design, cells in given]
        stages, known = [reading.stage for reading in readings], rule.known(given[0][0])
        made: list[_Made] = []
        if known is not None:
            coefs, sound = self.split.coefs(FirstStage.stack(stages), np.full(len(given), known), ridge=ridge)
            for coef, good, stage in zip(coefs, sound, stages, strict=True):
                found = coef if good else IVLikePath.from_first_stage(stage, ridge=ridge).coef(known)
                made.append((found.T.ravel(), self.fit.alpha, _varies(stage)))
            return made
        paths = paths_like(stages, self.split, ridge=ridge)
        for (design, cells), reading, path in zip(given, readings, paths, strict=True):
            strength = rule.choose(design, reading, path, cells)
            made.append((strength.coef(path).T.ravel(), strength.alpha, _varies(reading.stage)))
        return made


def _check_room(fit: Fit, design: RowDesign, reading: Reading, counts: list[FloatArray]) -> None:
    """Refuse a bootstrap of which most resamples have no more rows than coefficients, and warn if some have."""
    free = fit.path.basis.shape[1] if design.knowledge.augmentation is None else int((~fit.path.moved).sum())
    what = "the fit has coefficients"
    if fit.rule.to_zero:  # LIML and Fuller regress on the instruments
        free, what = fit.path.n_instruments_effective, "there are instruments"
    needed = free + reading.spent
    if fit.ridge > 0 or (design.groups is None and 4 * needed < len(design.y)):
        return  # of many rows five eighths are drawn
    size = np.ones(design.n_units) if design.groups is None else np.bincount(design.groups)
    different = np.array([float(size[count > 0].sum()) for count in counts])
    short = int((different <= needed).sum())
    if not short:
        return
    told = (
        f"{short} of {len(counts)} resamples have no more different rows (about {np.median(different):g} of "
        f"{len(design.y)}) than {what} ({needed}, constant and controls among them), so they are fitted exactly"
    )
    if 2 * short > len(counts) or fit.rule.to_zero:
        raise ValueError(f"{told}: a bootstrap says nothing here. Use confint(), fewer columns or more rows.")
    warn(f"{told}, and spread the replicates. confint() has other intervals.", DegenerateInputWarning)


def _varies(stage: FirstStage) -> BoolArray:
    """Features (..., d) that vary, their copies included."""
    return np.asarray(np.diagonal(stage.variance, axis1=-2, axis2=-1) > 0)
