"""A score for choosing among any regressors that does not reward confounding as R² does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from causalinv._frames import column_names
from causalinv._matrix import whitener
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_number, check_rows, check_target, check_whole
from causalinv.ivlike._design import RowDesign
from causalinv.ivlike._inputs import own_generator
from causalinv.ivlike._integrations import Paired
from causalinv.ivlike._knowledge import Augmented
from causalinv.ivlike._reading import less_chance
from causalinv.moments import Moments
from causalinv.transformations import Transformation as Augmentation

__all__ = ["ShiftedR2Scorer", "shifted_r2"]


class ShiftedR2Scorer:
    r"""Score a fitted regressor by its R² under shifts k times as large as an augmentation's.

    That is :math:`1 - (E(y - f(Gx))^2 + (k^2-1)\,E(E[f(Gx) - f(x) | G])^2) / \operatorname{Var} y`, with the
    conditional mean linear in G. Plain R² on observed rows has its optimum at the confounded regression; this one at
    ``gamma = k²`` on the path of IV-like regression. For `GridSearchCV(scoring=...)`; `IVLikeRegression.score` needs
    no such object.

    Parameters
    ----------
    augmentation : Augmentation
        What the outcome is claimed to ignore, in the units of X as the whole pipeline meets it.
    shift_size : float, default sqrt(11)
        k >= 1.
    n_copies : int, default 10
        Copies of each row that are drawn.
    random_state : int, SeedSequence, Generator, RandomState or None, default 0
        Seed of the copies. Fixed by default, so that all candidates meet the same ones.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from causalinv.datasets import make_confounded_linear
    >>> from causalinv.ivlike import IVLikeRegression, ShiftedR2Scorer, Translation
    >>> world = make_confounded_linear(500, n_features=4, random_state=0)
    >>> light = Translation(world.directions)
    >>> score = ShiftedR2Scorer(light)
    >>> least_squares = LinearRegression().fit(world.X, world.y)
    >>> model = IVLikeRegression(0.1, augmentation=light).fit(world.X, world.y)
    >>> bool(score(model, world.X, world.y) > score(least_squares, world.X, world.y))
    True
    """

    def __init__(
        self,
        augmentation: Augmentation,
        *,
        shift_size: float = 11**0.5,
        n_copies: int = 10,
        random_state: RandomState = 0,
    ):
        self.augmentation = augmentation
        self.shift_size = shift_size
        self.n_copies = n_copies
        self.random_state = random_state

    def __call__(self, estimator: Any, X: Rows, y: Rows) -> float:
        """Score of `estimator` on rows (n, d) and outcomes (n,) or (n, p): 1 is perfect."""
        k = check_number(self.shift_size, "shift_size", low=1.0)
        rows, names = check_rows(X, "X"), column_names(X)
        design = Paired(
            knowledge=Augmented(self.augmentation),
            X=rows,
            y=check_target(y, len(rows)).reshape(len(rows), -1),
            names=names,
            n_copies=check_whole(self.n_copies, "n_copies", low=1),
            rng=own_generator(self.random_state, "augmentation"),
        )

        def predict(values: FloatArray) -> FloatArray:
            framed = values if names is None else pd.DataFrame(values, columns=list(names))
            return np.asarray(estimator.predict(framed), dtype=np.float64)

        return shifted_r2(predict, design, shift_size=k)


def shifted_r2(predict: Callable[[FloatArray], FloatArray], design: RowDesign, *, shift_size: float) -> float:
    """R² of a prediction under shifts of the design's augmentation, or instruments, that many times as large.

    Of drawn copies the change from their original is projected on G, which leaves out the rows' own noise; of other
    rows what G explains of noise by chance is subtracted.
    """
    n = len(design.y)
    original = predict(design.X).reshape(n, -1)
    drawn = design.moves
    risk: FloatArray = np.zeros(original.shape[1])
    total: Moments | None = None
    for each in design.copies():
        moved = predict(each.x).reshape(n, -1) if drawn else original
        risk = risk + each.share * np.average((design.y - moved) ** 2, axis=0, weights=design.weight)
        part = Moments.from_rows(
            g=each.g, delta=moved - original if drawn else design.y - moved, sample_weight=design.weight
        )
        total = part if total is None else total.merge(part)
    assert total is not None
    half = whitener(total.cov("g")[0])
    explained = np.sum((half.T @ total.cov("g", "delta")[0]) ** 2, axis=0)
    if not drawn:
        if float(total.count.sum()) - half.shape[1] - 1 < 1:
            raise ValueError(
                f"A score on {n} rows needs fewer than the {half.shape[1]} independent instruments there are: they fit "
                "every row, and every error would look explained."
            )
        noise = np.diagonal(total.cov("delta")[0])
        explained = np.maximum(less_chance(explained, noise, total, q=half.shape[1]), 0.0)
    mean = np.average(design.y, axis=0, weights=design.weight)
    variance = np.average((design.y - mean) ** 2, axis=0, weights=design.weight)
    if not variance.all():
        return 0.0 if risk.any() else 1.0
    return float(np.mean(1.0 - (risk + (shift_size**2 - 1.0) * explained) / variance))
