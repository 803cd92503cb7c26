"""LIML and Fuller as rules that choose a strength: the κ that they estimate is a point of the path, at or below 0."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from causalinv._typing import FloatArray
from causalinv.ivlike._design import Design, RowDesign
from causalinv.ivlike._kclass import fuller_kappa, liml_kappa
from causalinv.ivlike._knowledge import GenuineInstruments
from causalinv.ivlike._path import IVLikePath
from causalinv.ivlike._reading import Reading
from causalinv.ivlike._strength import Cells, Strength, StrengthRule, strength_rule

__all__ = ["KClass", "rule_of"]

_INCLUDED = 1e-9  # 1 - λ up to here: the instruments contain the direction, rounding apart
_FULLER = re.compile(r"fuller(?:\((\d+(?:\.\d+)?)\))?")


@dataclass(frozen=True)
class KClass(StrengthRule):
    """``"liml"``, or ``"fuller"`` with its constant a: 1 nearly removes the bias, 4 makes the squared error small.

    Attributes
    ----------
    a : float
        0 is LIML.
    """

    a: float = 0.0
    from_data: ClassVar[bool] = False  # where the instruments are valid the error of κ is negligible
    to_zero: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """As it is given for alpha."""
        return "liml" if self.a == 0 else "fuller" if self.a == 1 else f"fuller({self.a:g})"

    def choose(self, design: Design, reading: Reading, path: IVLikePath, cells: Cells | None = None) -> Strength:
        if not isinstance(design.knowledge, GenuineInstruments):
            raise ValueError(f"alpha={self.name!r} needs genuine instruments; an augmentation has no such limit.")
        if reading.moments.blocks["y"] > 1:
            raise ValueError(f"alpha={self.name!r} chooses by one outcome, but y has several; fit them one by one.")
        if not path.moved.all():
            raise ValueError(
                f"alpha={self.name!r} needs at least one instrument per feature, but "
                f"{path.n_instruments_effective} move {int(path.moved.sum())} of {len(path.moved)} directions."
            )
        total, explained, over = _second_moments(reading, path)
        kappa = liml_kappa(total, explained, over=over)
        if self.a > 0:
            # Of rows that are drawn anew some are drawn twice: they count twice, as in a fit to them.
            n = len(design.y) if isinstance(design, RowDesign) else float(reading.total.count.sum())
            df_first = n - reading.spent - path.n_instruments_effective
            if df_first < 1:
                raise ValueError(f"alpha={self.name!r} needs more rows than instruments, controls and the constant.")
            kappa = fuller_kappa(kappa, self.a, df_first=df_first)
            if kappa <= 0:
                raise ValueError(
                    f"alpha={self.name!r} corrects by more than these few rows allow (kappa would be {kappa:.3g}, and "
                    f"must be above 0). Use a smaller number than {self.a:g}, or 'liml'."
                )
        return Strength.single(1.0 / kappa - 1.0)


def rule_of(alpha: Any) -> StrengthRule:
    """The rule that was asked for: a number >= 0, or a name."""
    found = _FULLER.fullmatch(alpha) if isinstance(alpha, str) else None
    if found is not None:
        return KClass(float(found[1] or 1.0))
    return KClass() if isinstance(alpha, str) and alpha == "liml" else strength_rule(alpha)


def _second_moments(reading: Reading, path: IVLikePath) -> tuple[FloatArray, FloatArray, int]:
    """Second moments of outcome and endogenous coordinates, the part explained, and the surplus of instruments."""
    inside = path.strength >= 1.0 - _INCLUDED
    own = path.outcome[inside, 0]
    b, e, strength = path.outcome[~inside, 0], path.explained[~inside, 0], path.strength[~inside]
    whole = float(reading.moments.cov("y")[0, 0, 0]) - float(own @ own)
    first = float(np.sum(reading.stage.outcome[:, 0] ** 2)) - float(own @ own)
    total = np.block([[np.array([[whole]]), b[None]], [b[:, None], np.eye(len(b))]])
    explained = np.block([[np.array([[first]]), e[None]], [e[:, None], np.diag(strength)]])
    return total, explained, path.n_instruments_effective - int(inside.sum()) - len(b)
