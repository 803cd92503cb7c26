"""Moments per cell: the one sufficient statistic that every linear method of this package consumes.

A cell is an environment, a fold, or both. Rows of data, chunks of a file too large for memory, a structural
equation model and an augmentation all *produce* `Moments`; the estimators do not ask which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from causalinv._accumulate import cell_moments, clear_rounding, combine_means, row_cells
from causalinv._frames import column_names
from causalinv._labels import Labels, encode
from causalinv._matrix import constant_columns
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_alignment, check_rows, check_sample_weight
from causalinv.moments._cells import Cells, check_overflow, columns_of
from causalinv.moments._files import read, write

__all__ = ["Moments"]


class Moments(Cells):
    r"""Count, weight, mean and centred scatter of named blocks of variables, per cell.

    In cell :math:`e` with weights :math:`w_i` the class holds :math:`W_e = \sum w_i`, the weighted mean
    :math:`m_e` and the centred scatter :math:`S_e = \sum w_i (z_i - m_e)(z_i - m_e)'` of the stacked blocks
    :math:`z = (x, y, \dots)`. Storing the *centred* scatter keeps the digits that raw sums of squares lose when
    a mean is large. A population is a cell of weight one and infinite count. Objects are immutable.

    Parameters
    ----------
    blocks : mapping of str to int or sequence of str
        Size, or column names, of each block, in the order of the stacked variables. By convention ``x`` are
        features, ``y`` outcomes, ``g`` instruments or augmentation parameters.
    mean : array-like of shape (p,) or (n_cells, p)
        Means, in the units of the variables.
    scatter : array-like of shape (p, p) or (n_cells, p, p)
        Centred scatter: covariance times weight.
    weight : array-like of shape (n_cells,), default 1
        Sums of weights; positive.
    count : array-like of shape (n_cells,), default inf
        Numbers of rows with positive weight; ``inf`` says that the moments are a population's.
    cells : pandas.Index or sequence, optional
        Unique labels of the cells; 0, 1, … if left out.
    weight_sq : array-like of shape (n_cells,), optional
        Sums of squared weights. Left out, the rows of a cell are taken to have equal weights; 0 in a population.

    Attributes
    ----------
    blocks : mapping of str to int
        Sizes of the blocks.
    names : mapping of str to (tuple of str or None)
        Column names of each block where they are known.
    cells : pandas.Index
        Labels; a MultiIndex when cells are environment × fold.
    count, weight, weight_sq : ndarray of shape (n_cells,)
        Numbers of rows, sums of weights and of squared weights.

    Raises
    ------
    ValueError
        If shapes disagree, a weight is not positive, a scatter is not symmetric and positive semidefinite, or an
        entry is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv import Moments
    >>> X, y = np.array([[0.0], [2.0], [4.0]]), np.array([1.0, 1.0, 4.0])
    >>> m = Moments.from_rows(x=X, y=y)
    >>> m.mean("x")[0], m.cov("x", "y")[0]
    (array([2.]), array([[2.]]))

    Two halves merge to the whole, exactly:

    >>> halves = Moments.from_rows(x=X[:2], y=y[:2]).merge(Moments.from_rows(x=X[2:], y=y[2:]))
    >>> bool(np.allclose(halves.cov("x"), m.cov("x")))
    True
    """

    __slots__ = ()

    # -- producers ----------------------------------------------------------------------------------------------

    @classmethod
    def from_rows(
        cls,
        *,
        environments: Rows | Labels = None,
        folds: Rows | Labels = None,
        sample_weight: Rows = None,
        names: Mapping[str, Sequence[str] | None] | None = None,
        **blocks: Rows,
    ) -> Moments:
        """Moments of rows of data, one cell per environment, fold, or pair of both (sorted by label).

        Rows are taken piece by piece: the mean of a piece first, then its scatter about it; pieces are combined by
        weight and mean.

        Parameters
        ----------
        environments, folds : array-like of shape (n,), optional
            Labels of the rows. Without either there is one cell, labelled 0.
        sample_weight : array-like of shape (n,), optional
            Weights >= 0. A row of weight 0 counts as absent, and so does a label that only such rows have.
        names : mapping of str to sequence of str, optional
            Column names of blocks that are given as arrays.
        **blocks : array-like of shape (n,) or (n, k)
            The blocks by name, for example ``x=X, y=y``. Frames give their column names.

        Returns
        -------
        Moments

        Raises
        ------
        ValueError
            If rows do not match (lengths, or pandas indexes), an entry is not finite, a label is missing, or a
            cell has no weight.
        """
        if not blocks:
            raise ValueError("from_rows needs at least one block of rows, for example x=X.")
        levels = {
            level: labels for level, labels in (("environments", environments), ("folds", folds)) if labels is not None
        }
        check_alignment(
            **blocks,
            **{level: labels for level, labels in levels.items() if not isinstance(labels, Labels)},
            sample_weight=sample_weight,
        )
        spec: dict[str, int | Sequence[str]] = {}
        columns: list[FloatArray] = []
        for block, rows in blocks.items():
            array = check_rows(rows, block)
            columns.append(array)
            known = (names or {}).get(block) or column_names(rows)
            spec[block] = array.shape[1] if known is None or len(known) != array.shape[1] else tuple(known)
        n = columns[0].shape[0]
        weights = check_sample_weight(sample_weight, n)
        coded = {level: encode(labels, level, n) for level, labels in levels.items()}
        if weights is not None and not weights.all():
            inside = weights > 0
            columns, weights = [column[inside] for column in columns], weights[inside]
            coded = {level: labels.take(inside, level) for level, labels in coded.items()}
        cells, codes = row_cells(coded)

        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # what overflows is refused by name
            parts = [
                cell_moments(columns, weights, None if codes is None else np.flatnonzero(codes == code))
                for code in range(len(cells))
            ]
        count, weight, mean, scatter, squares = (np.array(part) for part in zip(*parts, strict=True))
        check_overflow(mean, scatter, weight)
        if len(cells) > 1:  # a column that is one number has one mean, not one per cell that differs by rounding
            still = np.concatenate([constant_columns(column) for column in columns])
            mean[:, still] = mean[0, still]
            scatter[:, still] = 0.0
            scatter[:, :, still] = 0.0
        return cls.trusted(spec, mean=mean, scatter=scatter, weight=weight, count=count, cells=cells, weight_sq=squares)

    @classmethod
    def from_chunks(cls, chunks: Iterable[Moments | Mapping[str, Rows]]) -> Moments:
        """Moments of data that arrive in pieces, so that memory is bounded by one piece.

        Parameters
        ----------
        chunks : iterable of Moments or mapping
            Each piece as `Moments`, or as the keyword arguments of `from_rows`.

        Returns
        -------
        Moments
            Equal to `from_rows` on all rows together up to rounding.

        Examples
        --------
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> chunks = ({"x": rng.normal(size=(100, 3)), "y": rng.normal(size=100)} for _ in range(10))
        >>> Moments.from_chunks(chunks)
        Moments(x: 3, y: 1; 1 cell, n=1000)
        """
        total: Moments | None = None
        for chunk in chunks:
            part = chunk if isinstance(chunk, Moments) else cls.from_rows(**chunk)
            total = part if total is None else total.merge(part)
        if total is None:
            raise ValueError("from_chunks got no chunk; pass an iterable with at least one piece of data.")
        return total

    @property
    def pooled(self) -> Moments:
        """All cells as one, computed once."""
        if self._pooled is None:
            object.__setattr__(self, "_pooled", self.pool())
        assert self._pooled is not None
        return self._pooled

    # -- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write to one ``.npz`` file without pickle, so that reading it runs no code.

        Raises
        ------
        TypeError
            If a label is not a number, text, date, or tuple of them.
        """
        write(path, self._block_spec(), self.cells, self._arrays())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Moments:
        """Read what `save` wrote."""
        blocks, cells, arrays = read(path)
        return cls(blocks, **arrays, cells=cells)

    # -- algebra of cells ---------------------------------------------------------------------------------------

    def merge(self, other: Moments) -> Moments:
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

    def _stack(self, other: Moments, cells: pd.Index) -> Moments:
        mine, theirs = self._arrays(), other._arrays()
        return Moments.trusted(
            self._block_spec(), **{k: np.concatenate([mine[k], theirs[k]]) for k in mine}, cells=cells
        )

    def _combine(self, groups: np.ndarray, cells: pd.Index) -> Moments:
        """Combine the cells of each group: the scatter of the parts plus that of their means."""
        arrays: dict[str, list[Any]] = {"mean": [], "scatter": [], "weight": [], "count": [], "weight_sq": []}
        for k in range(len(cells)):
            part = groups == k
            with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name
                total, centre, between = combine_means(self.weight[part], self._mean[part])
                scatter = self._scatter[part].sum(axis=0) + between
            arrays["mean"].append(centre)
            if np.isfinite(self.count[part]).all():
                clear_rounding(scatter, centre, total)
            arrays["scatter"].append(scatter)
            arrays["weight"].append(total)
            arrays["count"].append(self.count[part].sum())
            arrays["weight_sq"].append(self.weight_sq[part].sum())
        check_overflow(*(np.array(arrays[name]) for name in ("mean", "scatter", "weight")))
        return Moments.trusted(self._block_spec(), **{k: np.array(v) for k, v in arrays.items()}, cells=cells)

    def subtract(self, other: Moments) -> Moments:
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
            left = weight[i] - other.weight[j]
            if not left > 1e-12 * weight[i]:
                raise ValueError(
                    f"Subtracting weight {other.weight[j]:g} from weight {weight[i]:g} leaves nothing in cell "
                    f"{self.cells[i]!r}; use select(cells=...) to leave a whole cell out."
                )
            rest = mean[i] + (mean[i] - other._mean[j]) * (other.weight[j] / left)
            delta = other._mean[j] - rest
            scatter[i] -= other._scatter[j] + np.outer(delta, delta) * (left * other.weight[j] / weight[i])
            size = np.diag(self._scatter[i])
            if (np.diag(scatter[i]) < -1e-9 * size).any():
                raise ValueError(
                    f"Subtracting from cell {self.cells[i]!r} leaves a negative variance: these rows were not in it."
                )
            mean[i], weight[i] = rest, left
            squares[i] = max(squares[i] - other.weight_sq[j], 0.0)
            count[i] = count[i] - other.count[j] if np.isfinite(other.count[j]) else count[i]
        return Moments.trusted(
            self._block_spec(),
            mean=mean,
            scatter=scatter,
            weight=weight,
            count=count,
            cells=self.cells,
            weight_sq=squares,
        )

    def select(
        self,
        *,
        cells: Sequence[Any] | None = None,
        environments: Sequence[Any] | None = None,
        folds: Sequence[Any] | None = None,
        **columns: Sequence[int] | np.ndarray | bool,
    ) -> Moments:
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
        >>> m = Moments.from_rows(x=np.eye(4), y=np.arange(4.0), environments=["a", "a", "b", "b"])
        >>> m.select(environments=["b"], x=[0, 2], y=True)
        Moments(x: 2, y: 1; 1 cell, n=2)
        """
        keep = np.ones(len(self), bool)
        for level, wanted in (("cells", cells), ("environments", environments), ("folds", folds)):
            if wanted is None:
                continue
            labels = self.cells if level == "cells" else self._level(level)
            missing = [label for label in wanted if label not in labels]
            if missing:
                raise ValueError(f"No cell has {level} {missing}; there are {list(labels.unique())}.")
            keep &= labels.isin(list(wanted))
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
        return Moments.trusted(
            spec,
            mean=self._mean[np.ix_(keep, at)],
            scatter=self._scatter[np.ix_(keep, at, at)],
            weight=self.weight[keep],
            count=self.count[keep],
            cells=self.cells[keep],
            weight_sq=self.weight_sq[keep],
        )

    def pool(self, *, by: str | None = None) -> Moments:
        """Merge all cells into one (labelled 0), or into one per label of the level `by`.

        Rows count by their weight; populations count equally, as each has weight one.
        """
        if by is None:
            if len(self) == 1 and self.cells.names == [None] and self.cells[0] == 0:
                return self
            return self._combine(np.zeros(len(self), int), pd.RangeIndex(1))
        labels = encode(self._level(by), by)
        return self._combine(labels.codes, labels.names.rename(by))
