"""Fits on moments alone: a population, or rows that were summed where they live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray
from causalinv.ivlike._controls import partial_out, read_moments, with_controls
from causalinv.ivlike._design import MomentsOnly
from causalinv.ivlike._fit import Fit, fit_design
from causalinv.ivlike._inputs import find_integration, find_knowledge
from causalinv.ivlike._integrations import ClosedForm, Instruments
from causalinv.ivlike._reading import Reading
from causalinv.ivlike._strength import StrengthRule
from causalinv.moments import Moments, take_features

__all__ = ["FoldedMoments", "fit_on_moments"]


@dataclass(frozen=True, kw_only=True)
class FoldedMoments(MomentsOnly):
    """Moments of every fold.

    Attributes
    ----------
    cells : Moments
        A cell for each fold.
    """

    cells: Moments

    def in_units(self, spread: FloatArray) -> Moments:
        """Cells labelled 0, 1, …, outcomes in these units (p,)."""
        blocks = tuple(self.cells.blocks)
        unit = np.concatenate([spread if b == "y" else np.ones(size) for b, size in self.cells.blocks.items()])
        return Moments.trusted(
            {b: self.cells.names[b] or size for b, size in self.cells.blocks.items()},
            mean=self.cells.mean(blocks) / unit,
            scatter=self.cells.scatter(blocks) / unit[:, None] / unit,
            weight=self.cells.weight,
            count=self.cells.count,
            cells=pd.RangeIndex(len(self.cells)),
            weight_sq=self.cells.weight_sq,
            weight_range=self.cells.weight_range,
        )

    def reading(self, moments: Moments, total: Moments) -> Reading:
        """What the path needs of some folds."""
        pooled = moments.pool()
        augmentation = self.knowledge.augmentation
        if augmentation is not None:
            return Reading(pooled, augmentation.first_stage(pooled), pooled)
        return Instruments.read_moments(*partial_out(pooled))

    def judged(self, moments: Moments, total: Moments) -> Reading:
        """A reading in which controls, if there are any, stand among the features and the instruments."""
        pooled = moments.pool()
        return Instruments.read_moments(with_controls(pooled)) if "c" in pooled.blocks else self.reading(pooled, total)


def fit_on_moments(estimator: Any, moments: Moments, rule: StrengthRule, *, folded: bool = False) -> Fit:
    """The record of a fit on moments, whose cells are pooled; with `folded`, those of each fold are kept for the rule.

    Raises
    ------
    ValueError
        If not exactly one source of knowledge is there, it needs rows, or folds are asked for and are not there.
    """
    pooled = moments.pool()
    knowledge = find_knowledge(estimator, instruments="g" in pooled.blocks, where="a block 'g' in the moments")
    if estimator.features is not None:
        raise ValueError("features= needs rows, and moments have none: use fit(X, y).")
    augmentation = estimator.augmentation
    if augmentation is None:
        taken = read_moments(pooled)
    else:
        if find_integration(estimator, augmentation) is not ClosedForm:
            raise ValueError(
                f"integration={estimator.integration!r} draws copies of rows, and moments have none: use fit(X, y), or "
                "an augmentation with a closed form."
            )
        taken = Reading(pooled, augmentation.first_stage(pooled), pooled)
    if folded:
        design: MomentsOnly = FoldedMoments(knowledge=knowledge, taken=taken, cells=_folds(moments))
    else:
        design = MomentsOnly(knowledge=knowledge, taken=taken)
    take_features(estimator, pooled)
    return fit_design(design, rule, ridge=estimator.ridge, single_output=pooled.mean("y").shape[1] == 1)


def _folds(moments: Moments) -> Moments:
    if "folds" not in moments.cells.names:
        raise ValueError(
            "These moments have no folds, of which the strength is chosen: make them with folds=, in Moments.scan or "
            "Moments.from_rows."
        )
    folds = moments.pool(by="folds")
    if len(folds) < 2:
        raise ValueError(f"The moments have {len(folds)} fold; at least two are needed.")
    return folds
