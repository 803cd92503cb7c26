"""The record of a fit: what was read, the path, and the strength; everything after the fit is a function of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from causalinv._typing import FloatArray
from causalinv._validation import check_number
from causalinv.ivlike._checks import warn_controls, warn_degenerate, warn_reacts
from causalinv.ivlike._design import Design, MomentsOnly, RowDesign
from causalinv.ivlike._first_stage import Relevance, relevance
from causalinv.ivlike._integrations import Instruments
from causalinv.ivlike._knowledge import Augmented
from causalinv.ivlike._path import IVLikePath, check_alpha
from causalinv.ivlike._reading import ControlSlopes, Reading
from causalinv.ivlike._strength import Strength, StrengthRule
from causalinv.linear_rule import least_squares

__all__ = ["Fit", "fit_design"]


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted IV-like regression.

    Attributes
    ----------
    design : Design
        How moments came about.
    reading : Reading
        The moments.
    path : IVLikePath
        Solutions for all strengths.
    rule : StrengthRule
        How the strength was chosen.
    strength : Strength
        The strength.
    coef, least_squares : ndarray of shape (d, p)
        Coefficients, and those of least squares.
    relevance : Relevance or None
        First-stage statistics, where G is used like instruments.
    ridge : float
    single_output : bool
        Whether y was one column.
    """

    design: Design
    reading: Reading
    path: IVLikePath
    rule: StrengthRule
    strength: Strength
    coef: FloatArray
    least_squares: FloatArray
    relevance: Relevance | None
    ridge: float
    single_output: bool

    @property
    def alpha(self) -> float:
        """The strength; NaN for a mixture."""
        return self.strength.alpha

    @property
    def averages(self) -> bool:
        """Whether a group was averaged exactly, so that every strength gives the same."""
        augmentation = self.design.knowledge.augmentation
        return augmentation is not None and augmentation.averages and self.reading.stage.added

    @property
    def intercept(self) -> FloatArray:
        """Constants (p,)."""
        moments, slopes = self.reading.moments, self.slopes
        at_mean = moments.mean("y")[0] - moments.mean("x")[0] @ self.coef
        return np.asarray(at_mean if slopes is None else at_mean - slopes.mean @ slopes.coef(self.coef))

    @property
    def slopes(self) -> ControlSlopes | None:
        """Regressions of outcome and features on the controls, if there are any."""
        own = self.reading.slopes
        return None if own is None else own.after(self.design.slopes)

    @property
    def names(self) -> list[str]:
        """Names of the coefficients."""
        return list(self.reading.moments.names["x"] or (f"x{i}" for i in range(len(self.coef))))

    @property
    def index(self) -> pd.Index:
        """Labels of the coefficients: features, or outcomes and features."""
        if self.single_output:
            return pd.Index(self.names, name="feature")
        return pd.MultiIndex.from_product([self.outcomes, self.names], names=["outcome", "feature"])

    @property
    def outcomes(self) -> list[Any]:
        """Names of the outcomes, or their positions."""
        return list(self.reading.moments.names["y"] or range(self.coef.shape[1]))

    def given(self, coef: FloatArray) -> FloatArray:
        """Coefficients (d, p) in the shape that y asks for."""
        return coef[:, 0] if self.single_output else coef.T

    def check_limit(self) -> None:
        """Refuse or warn about the limit alpha = 0."""
        self.design.knowledge.check_limit(self.path)

    def check_anchored(self, name: str, error: type[Exception] = AttributeError) -> Fit:
        """Refuse what only a penalty of anchor regression has; returns the fit itself."""
        if self.reading.whole:
            raise error(
                f"{name} is not defined where the whole reaction to an augmentation is penalised (penalty='reaction'): "
                "no anchor or K-class regression does that. Use alpha, or penalty='first_stage'."
            )
        return self

    def coef_at(self, at: float | None) -> tuple[float, FloatArray]:
        """Strength and coefficients (d, p) at the strength of the fit or another."""
        if at is None:
            return self.alpha, self.coef
        strength = check_alpha(at, "at")
        return strength, self.path.coef(strength)

    def rows(self) -> RowDesign:
        """The rows, if they are at hand."""
        if not isinstance(self.design, RowDesign):
            raise ValueError(
                "The rows of this fit are not at hand (it was fitted on moments, or pickled); fit(X, y) again for "
                "standard errors."
            )
        self.design.check_units()
        return self.design

    def read_again(self) -> tuple[RowDesign, Reading]:
        """The rows, read once more and compared with what was fitted."""
        design = self.rows()
        reading = design.read()
        for name in ("variance", "cross", "factor", "outcome"):
            if not np.array_equal(getattr(reading.stage, name), getattr(self.reading.stage, name)):
                raise ValueError(
                    "The rows have changed in place since the fit, or the augmentation draws from a generator of its "
                    "own. Fit again, on a copy of the data; an augmentation must use only the generator it is given."
                )
        return design, reading

    def without_rows(self) -> Fit:
        """The same record with nothing but moments, for pickling."""
        return replace(
            self, design=MomentsOnly(knowledge=self.design.knowledge, slopes=self.design.slopes, taken=self.reading)
        )


def fit_design(design: Design, rule: StrengthRule, *, ridge: float, single_output: bool) -> Fit:
    """Read, decompose, choose: refuses what cannot be fitted and warns about what is degenerate."""
    ridge = check_number(ridge, "ridge", low=0.0, finite=True)
    if rule.to_zero and ridge > 0:
        raise ValueError(f"LIML and Fuller are defined without ridge, got ridge={ridge:g}. Give alpha as a number.")
    rule = rule.prepare(design)
    reading, knowledge = design.read(), design.knowledge
    knowledge.check_stage(reading.moments, reading.stage)
    path = IVLikePath.from_first_stage(reading.stage, ridge=ridge)
    if isinstance(knowledge, Augmented):
        knowledge.check_path(path)
    warn_degenerate(path, reading.moments, reading.stage, ridge)
    warn_controls(reading.slopes)
    found = _relevance(design, reading, path) if reading.regressed else None
    strength = rule.choose(design, reading, path)
    if found is not None:
        knowledge.warn_weak(found, path, strength.alpha)
    if strength.alpha == 0:
        knowledge.check_limit(path)
    coef = strength.coef(path)
    warn_reacts(design, reading, path, strength.alpha, coef)
    return Fit(
        design=design,
        reading=reading,
        path=path,
        rule=rule,
        strength=strength,
        coef=coef,
        least_squares=least_squares(reading.moments),
        relevance=found,
        ridge=ridge,
        single_output=single_output,
    )


def _relevance(design: Design, reading: Reading, path: IVLikePath) -> Relevance:
    """First-stage statistics; the robust one needs rows of features and instruments."""
    if not isinstance(design, Instruments):
        return relevance(reading, path)
    x = design.expand(design.X)
    return relevance(reading, path, x=x, g=design.instruments, weight=design.weight, groups=design.groups)
