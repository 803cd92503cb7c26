"""Cells that are merged, taken out, chosen and pooled: sums of rows without the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._accumulate import Group, Sums, combine_cells
from causalinv._labels import encode
from causalinv._validation import check_list
from causalinv.moments._cells import Cells, check_overflow, columns_of

__all__ = ["CellAlgebra"]


class CellAlgebra(Cells):
    """What `Moments`, which describes it, can do with its cells."""

    __slots__ = ()

    @property
    def pooled(self) -> Self:
        """All cells as one, computed once."""
        if self._pooled is None:
            object.__setattr__(self, "_pooled", self.pool())
        assert self._pooled is not None
        return self._pooled

    def merge(self, other: Self) -> Self:
        """Union of the cells; cells with the same label are combined as if their rows had been seen together.

        Raises
        ------
        ValueError
            If blocks or the levels of the cells differ, or a sample would be combined with a population.
        """
        self._check_same_blocks(other)
        if list(self.cells.names) != list(other.cells.names):
            raise ValueError(
                f"Cells of levels {list(self.cells.names)} and {list(other.cells.names)} cannot be merged; pool() both "
                "first, or label both alike."
            )
        labels = self.cells.append(other.cells)
        if labels.is_unique:
            return self._stack(other, labels)
        mine = self.cells.get_indexer(other.cells)
        shared = mine >= 0
        if (np.isinf(other.count[shared]) != np.isinf(self.count[mine[shared]])).any():
            raise ValueError("A sample and a population cannot be combined in one cell; give them different labels.")
        new = np.flatnonzero(mine < 0)
        groups = np.concatenate([np.arange(len(self)), mine])
        groups[len(self) + new] = len(self) + np.arange(len(new))
        cells = self.cells.append(other.cells[new]) if len(new) else self.cells
        return self._stack(other, pd.RangeIndex(len(labels)))._combine(groups, cells)

    def _stack(self, other: Self, cells: pd.Index) -> Self:
        mine, theirs = self._arrays(), other._arrays()
        return self.trusted(self._block_spec(), **{k: np.concatenate([mine[k], theirs[k]]) for k in mine}, cells=cells)

    def _combine(self, groups: np.ndarray, cells: pd.Index) -> Self:
        """Combine the cells of each group: the scatter of the parts plus that of their means."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name
            sums = combine_cells(Sums(**self._arrays()), groups, len(cells))
        check_overflow(sums.mean, sums.scatter, sums.weight)
        return self.trusted(self._block_spec(), **sums.arrays, cells=cells)

    def subtract(self, other: Self) -> Self:
        """Take rows that are in here out again: the inverse of `merge` on cells with the same label.

        Two single-cell objects match whatever their labels. Rounding grows when nearly all weight is taken out;
        prefer ``select`` and ``pool`` of the cells that stay where they are at hand.

        Raises
        ------
        ValueError
            If a cell of `other` is not here, would leave no weight, or cannot have been part of this one.
        """
        self._check_same_blocks(other)
        mine = np.zeros(1, int) if len(self) == len(other) == 1 else self.cells.get_indexer(other.cells)
        if (mine < 0).any():
            raise ValueError(f"Cells {list(other.cells[mine < 0])} are not in {list(self.cells)}: nothing to subtract.")
        count, weight = self.count.copy(), self.weight.copy()
        mean, scatter, squares = self._mean.copy(), self._scatter.copy(), self.weight_sq.copy()
        for j, i in enumerate(mine.tolist()):
            part = Group(other.weight[j], other._mean[j], other._scatter[j])
            weight[i], mean[i], scatter[i] = Group(weight[i], mean[i], scatter[i]).without(part, self.cells[i])
            squares[i] = max(squares[i] - other.weight_sq[j], 0.0)
            count[i] = count[i] - other.count[j] if np.isfinite(other.count[j]) else count[i]
        return self.trusted(
            self._block_spec(),
            mean=mean,
            scatter=scatter,
            weight=weight,
            count=count,
            cells=self.cells,
            weight_sq=squares,
            weight_range=self.weight_range,
        )

    def select(
        self,
        *,
        cells: Sequence[Any] | None = None,
        environments: Sequence[Any] | None = None,
        folds: Sequence[Any] | None = None,
        **columns: Sequence[int] | np.ndarray | bool,
    ) -> Self:
        """Keep some cells and some variables.

        Parameters
        ----------
        cells, environments, folds : sequence of labels, optional
            Cells to keep, by label or by one level of it.
        **columns : sequence of int, or True
            Blocks to keep, each whole (True), by positions, or by a boolean mask. Left out: every block whole.

        Returns
        -------
        Moments

        Examples
        --------
        >>> import numpy as np
        >>> from causalinv import Moments
        >>> m = Moments.from_rows(x=np.eye(4), y=np.arange(4.0), environments=["a", "a", "b", "b"])
        >>> m.select(environments=["b"], x=[0, 2], y=True)
        Moments(x: 2, y: 1; 1 cell, n=2)
        """
        keep = np.ones(len(self), bool)
        for level, wanted in (("cells", cells), ("environments", environments), ("folds", folds)):
            if wanted is None:
                continue
            labels, asked = self.cells if level == "cells" else self._level(level), check_list(wanted, level, "labels")
            missing = [label for label in asked if label not in labels]
            if missing:
                raise ValueError(f"No cell has {level} {missing}; there are {list(labels.unique())}.")
            keep &= labels.isin(asked)
        if not keep.any():
            raise ValueError("No cell is left after this selection.")
        chosen = columns or dict.fromkeys(self.blocks, True)
        spec: dict[str, int | Sequence[str]] = {}
        positions = []
        for block, part in chosen.items():
            inside = columns_of(part, self._slice(block), block)
            names = self.names[block]
            spec[block] = len(inside) if names is None else [names[i] for i in inside]
            positions.append(self._slice(block).start + inside)
        at = np.concatenate(positions)
        return self.trusted(
            spec,
            mean=self._mean[np.ix_(keep, at)],
            scatter=self._scatter[np.ix_(keep, at, at)],
            weight=self.weight[keep],
            count=self.count[keep],
            cells=self.cells[keep],
            weight_sq=self.weight_sq[keep],
            weight_range=self.weight_range[keep],
        )

    def pool(self, *, by: str | None = None) -> Self:
        """Merge all cells into one (labelled 0), or into one per label of the level `by`.

        Rows count by their weight; populations count equally, as each has weight one.
        """
        if by is None:
            if len(self) == 1 and self.cells.names == [None] and self.cells[0] == 0:
                return self
            if len(self) == 1:
                return self.trusted(self._block_spec(), **self._arrays(), cells=pd.RangeIndex(1))
            return self._combine(np.zeros(len(self), int), pd.RangeIndex(1))
        labels = encode(self._level(by), by)
        return self._combine(labels.codes, labels.names.rename(by))
