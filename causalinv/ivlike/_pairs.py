"""Pairs of rows that directions were estimated from, drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from causalinv._frames import column_names
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_alignment, check_rows
from causalinv.ivlike._design import named
from causalinv.ivlike._products import place_of, products
from causalinv.transformations import Translation

__all__ = ["Pairs"]

_LONG = 1e-8  # squared length of a direction, of that of the longest


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs, each of a row of `first` and one of `second`, and the augmentation along their directions."""

    augmentation: Translation
    first: Any
    second: Any
    n_features: int
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, X: Rows, X_other: Rows, design: Any) -> Pairs:
        """The pairs under their names, if they are those that the directions came from."""
        augmentation = design.knowledge.augmentation
        if not isinstance(augmentation, Translation):
            raise ValueError("pairs= needs an augmentation made by Translation.from_pairs.")
        check_alignment(X=X, X_other=X_other)
        first, second = (
            named(check_rows(rows, name), column_names(rows))
            for rows, name in ((X, "X of pairs"), (X_other, "X_other of pairs"))
        )
        d, names = design.X.shape[1], design.names
        fitted = augmentation.parameters(d, names)
        shown = Translation.from_pairs(first, second, n_directions=len(fitted)).parameters(d, names)
        inside = np.linalg.svd(shown, full_matrices=False)[2]
        left = fitted - fitted @ inside.T @ inside
        gap = float((np.linalg.norm(left, axis=1) / np.linalg.norm(fitted, axis=1)).max())
        if gap > 1e-6:
            raise ValueError(
                f"pairs= show other directions than the augmentation has: of one of its {len(fitted)} directions a "
                f"share of {gap:.2g} is outside their span. Give the pairs that Translation.from_pairs made it from, "
                "with their column names and in the units of X."
            )
        return cls(augmentation, first, second, d, names)

    @cached_property
    def _squares(self) -> FloatArray:
        """Products (n, K) of the differences of every pair."""
        moved = self.second - self.first
        return products(moved, np.full(len(moved), 1.0 / len(moved)))

    def redrawn(self, generators: Sequence[np.random.Generator]) -> FloatArray:
        """Parameters (B, q, d) of the augmentation along pairs that are drawn anew by each generator."""
        n, d, keep = len(self.first), self.n_features, len(np.asarray(self.augmentation.directions))
        which = [rng.integers(n, size=n) for rng in generators]
        steps, clear = np.empty((len(which), keep, d)), np.zeros(len(which), bool)
        if isinstance(self.first, np.ndarray) and keep <= d:
            # Principal directions from the Gram matrix, where they are long enough for it to show them.
            counts = np.stack([np.bincount(at, minlength=n) for at in which]).astype(np.float64)
            values, vectors = np.linalg.eigh((counts @ self._squares)[:, place_of(d)])
            clear = values[:, -keep] > _LONG * values[:, -1]
            length = self.augmentation.scale * np.sqrt(np.maximum(values[:, -keep:], 0.0))
            steps = length[:, :, None] * np.swapaxes(vectors[:, :, -keep:], 1, 2)
        for r in np.flatnonzero(~clear):
            drawn = (
                each.iloc[which[r]] if isinstance(each, pd.DataFrame) else each[which[r]]
                for each in (self.first, self.second)
            )
            found = Translation.from_pairs(*drawn, n_directions=keep, scale=self.augmentation.scale)
            steps[r] = found.parameters(self.n_features, self.names)
        return steps
