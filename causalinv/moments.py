"""Moments per cell: the one sufficient statistic that every linear method of this package consumes.

A cell is an environment, a fold, or both. Rows of data, chunks of a file too large for memory, a structural
equation model and an augmentation all *produce* `Moments`; the estimators do not ask which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._accumulate import Sums, cell_sums, combine_cells, encode_cells, pack, row_cells, unpack
from causalinv._frames import column_names
from causalinv._labels import Labels, encode, shown
from causalinv._matrix import constant_columns
from causalinv._typing import ArrayLike, FloatArray, Rows
from causalinv._validation import check_alignment, check_rows, check_sample_weight
from causalinv.results import Printed, Summary

__all__ = ["Moments"]

_SAME_WEIGHT = 1e-9  # relative: weights that differ by less are equal


class Moments(Printed):
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

    __slots__ = (
        "_mean",
        "_pooled",
        "_scatter",
        "_slices",
        "blocks",
        "cells",
        "count",
        "names",
        "weight",
        "weight_sq",
    )

    blocks: Mapping[str, int]
    names: Mapping[str, tuple[str, ...] | None]
    cells: pd.Index
    count: FloatArray
    weight: FloatArray
    weight_sq: FloatArray
    _mean: FloatArray
    _pooled: Moments | None
    _scatter: FloatArray
    _slices: dict[str, slice]

    def __init__(
        self,
        blocks: Mapping[str, int | Sequence[str]],
        *,
        mean: ArrayLike,
        scatter: ArrayLike,
        weight: ArrayLike = 1.0,
        count: ArrayLike = np.inf,
        cells: pd.Index | Sequence[Any] | None = None,
        weight_sq: ArrayLike | None = None,
    ) -> None:
        names = {b: None if isinstance(v, int | np.integer) else tuple(v) for b, v in blocks.items()}
        sizes = {b: int(v) if isinstance(v, int | np.integer) else len(v) for b, v in blocks.items()}
        p = sum(sizes.values())
        means = np.array(mean, dtype=np.float64, ndmin=2)
        scatters = np.array(scatter, dtype=np.float64, ndmin=3)
        n_cells = means.shape[0]
        if means.shape != (n_cells, p) or scatters.shape != (n_cells, p, p):
            raise ValueError(
                f"blocks {sizes} hold {p} variables, so mean must be (n_cells, {p}) and scatter "
                f"(n_cells, {p}, {p}); got {means.shape} and {scatters.shape}."
            )
        if not isinstance(cells, pd.Index):
            cells = pd.RangeIndex(n_cells) if cells is None else encode_cells(cells)
        if len(cells) != n_cells or not cells.is_unique:
            raise ValueError(f"cells must be {n_cells} different labels, got {list(cells)}.")
        weights = np.broadcast_to(np.asarray(weight, dtype=np.float64), (n_cells,)).copy()
        counts = np.broadcast_to(np.asarray(count, dtype=np.float64), (n_cells,)).copy()
        if not (np.isfinite(means).all() and np.isfinite(scatters).all()):
            raise ValueError("mean and scatter must be finite; a moment that does not exist cannot be stored.")
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise ValueError(f"weight must be positive and finite in every cell, got {weights}.")
        if weight_sq is None:
            squares = np.where(np.isinf(counts), 0.0, weights * (weights / counts))
        else:
            squares = np.broadcast_to(np.asarray(weight_sq, dtype=np.float64), (n_cells,)).copy()
            if not (np.isfinite(squares).all() and (squares >= 0).all()):
                raise ValueError(f"weight_sq must be finite and >= 0 in every cell, got {squares}.")
        mirrored = scatters.transpose(0, 2, 1)
        variance = np.diagonal(scatters, axis1=1, axis2=2)
        if (variance < -1e-9 * np.abs(variance).max(initial=0.0)).any():
            raise ValueError(f"scatter has a negative variance: its smallest diagonal entry is {variance.min():.3g}.")
        exact = np.array_equal(scatters, mirrored)  # the cheap question first
        if not exact and np.abs(scatters - mirrored).max() > 1e-9 * np.abs(scatters).max():
            raise ValueError("scatter must be symmetric in every cell.")
        _check_semidefinite(scatters, cells)
        arrays = {"mean": means, "scatter": scatters, "weight": weights, "count": counts, "weight_sq": squares}
        self._fill(names, sizes, arrays, cells)

    def _fill(
        self,
        names: dict[str, tuple[str, ...] | None],
        sizes: dict[str, int],
        arrays: dict[str, FloatArray],
        cells: pd.Index,
    ) -> None:
        ends = np.cumsum([0, *sizes.values()])
        slices = {b: slice(int(i), int(j)) for b, i, j in zip(sizes, ends[:-1], ends[1:], strict=True)}
        for array in arrays.values():
            array.flags.writeable = False
        values = {
            "blocks": MappingProxyType(sizes),
            "names": MappingProxyType(names),
            "cells": cells,
            "count": arrays["count"],
            "weight": arrays["weight"],
            "weight_sq": arrays["weight_sq"],
            "_mean": arrays["mean"],
            "_scatter": arrays["scatter"],
            "_slices": slices,
            "_pooled": None,
        }
        for slot, value in values.items():
            object.__setattr__(self, slot, value)

    @classmethod
    def trusted(
        cls,
        blocks: Mapping[str, int | Sequence[str]],
        *,
        mean: FloatArray,
        scatter: FloatArray,
        weight: FloatArray,
        count: FloatArray,
        cells: pd.Index,
        weight_sq: FloatArray | None = None,
    ) -> Self:
        """Build from arrays of the right shape that code of this package computed: nothing is checked or copied.

        A scatter that is a sum of squares need not be tested for being one; among 10,000 environments the test would
        cost more than the moments.
        """
        names = {b: None if isinstance(v, int | np.integer) else tuple(v) for b, v in blocks.items()}
        sizes = {b: int(v) if isinstance(v, int | np.integer) else len(v) for b, v in blocks.items()}
        squares = np.where(np.isinf(count), 0.0, weight * (weight / count)) if weight_sq is None else weight_sq
        new = object.__new__(cls)
        arrays = {"mean": mean, "scatter": scatter, "weight": weight, "count": count, "weight_sq": squares}
        new._fill(names, sizes, arrays, cells)
        return new

    # -- immutability -------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Moments are immutable; {name} cannot be set. Build a new object instead.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._block_spec(), self._arrays(), self.cells)

    def __repr__(self) -> str:
        blocks = ", ".join(f"{b}: {k}" for b, k in self.blocks.items())
        return f"Moments({blocks}; {len(self)} cell{'s' * (len(self) != 1)}, n={self.count.sum():g})"

    def __len__(self) -> int:
        return len(self.cells)

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
            sums = cell_sums(columns, weights, codes, len(cells))
        _check_overflow(sums.mean, sums.scatter, sums.weight)
        if len(cells) > 1:  # a column that is one number has one mean, not one per cell that differs by rounding
            still = np.concatenate([constant_columns(column) for column in columns])
            sums.mean[:, still] = sums.mean[0, still]
            sums.scatter[:, still] = 0.0
            sums.scatter[:, :, still] = 0.0
        return cls.trusted(spec, **sums.arrays, cells=cells)

    @classmethod
    def scan(
        cls,
        source: Any,
        *,
        x: str | int | Sequence[str | int],
        y: str | int | Sequence[str | int] | None = None,
        g: str | int | Sequence[str | int] | None = None,
        environments: str | int | None = None,
        folds: str | int | None = None,
        sample_weight: str | int | None = None,
        connection: Any = None,
        n_threads: int | None = None,
        progress: bool = False,
    ) -> Moments:
        """Moments where the data live, in one pass: files, frames of other engines, databases.

        Equal to `from_rows` on the same rows up to rounding (relative 1e-10). Memory is that of a few pieces of rows
        and of the cells.

        Parameters
        ----------
        source : path, Arrow data set, frame, Dask collection, DuckDB relation, or str with `connection`
            A Parquet file or a folder of them (read by row group; folders named ``key=value`` give a column), an
            Arrow data set or table, a pandas or polars frame (lazy too), a Dask frame or array, a DuckDB relation;
            with `connection` the name of a table (``schema.table`` too) or a SELECT.
        x, y, g : str or list of str
            Columns of the blocks. Of a Dask array: positions.
        environments, folds : str, optional
            Columns of labels.
        sample_weight : str, optional
            Column of weights >= 0. A row of weight 0 counts as absent.
        connection : DuckDB connection, SQLAlchemy connection or engine, optional
            Where the table is. The database takes the sums, by two statements: one for the centre of each cell, one
            for the sums about it. Tried on DuckDB, PostgreSQL and SQLite.
        n_threads : int, optional
            Threads that read and sum pieces; at most four of the machine's cores if left out. It changes no digit.
            A Dask source is computed by the scheduler in force instead.
        progress : bool, default False
            Whether to write pieces read and time left to standard error.

        Returns
        -------
        Moments

        Raises
        ------
        ValueError
            If a column is not there, or a value is missing, infinite or negative where it must not be: the message
            names column, value and place (row group, partition, or row).
        TypeError
            If a source or connection is of no kind named above, or a variable is not numeric.
        ImportError
            If the library that reads a source is not installed; the message names the extra.

        Notes
        -----
        What `Moments` hold is enough for coefficients, intervals that rest on equal variances, tests by moments and
        certificates. Robust and cluster-robust standard errors need rows once more.

        Examples
        --------
        >>> import pandas as pd
        >>> from causalinv import Moments
        >>> rows = pd.DataFrame({"dose": [0.0, 2.0, 4.0], "pain": [1.0, 1.0, 4.0], "site": ["a", "a", "b"]})
        >>> Moments.scan(rows, x="dose", y="pain", environments="site")
        Moments(x: 1, y: 1; 2 cells, n=3)
        """
        from causalinv._scan import Columns, scan

        columns = Columns.of({"x": x, "y": y, "g": g}, {"environments": environments, "folds": folds}, sample_weight)
        cells, sums = scan(source, columns, connection=connection, n_threads=n_threads, progress=progress).finish()
        _check_overflow(sums.mean, sums.scatter, sums.weight)
        return cls.trusted(columns.spec, **sums.arrays, cells=cells)

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

    # -- what a method reads ------------------------------------------------------------------------------------

    def mean(self, block: str | tuple[str, ...]) -> FloatArray:
        """Means of a block, or of several stacked, shape (n_cells, k)."""
        return self._mean[:, self._at(block)]

    def scatter(self, block: str | tuple[str, ...], other: str | tuple[str, ...] | None = None) -> FloatArray:
        """Centred scatter of a block (or several stacked) with another (default: itself), shape (n_cells, k, k')."""
        rows, columns = self._at(block), self._at(block if other is None else other)
        if isinstance(rows, slice) and isinstance(columns, slice):
            return self._scatter[:, rows, columns]
        size = np.arange(self._mean.shape[1])
        return self._scatter[:, size[rows][:, None], size[columns]]

    def cov(self, block: str | tuple[str, ...], other: str | tuple[str, ...] | None = None) -> FloatArray:
        """Covariance (scatter over weight) of a block with another (default: itself), (n_cells, k, k')."""
        return self.scatter(block, other) / self.weight[:, None, None]

    def second_moment(self, block: str | tuple[str, ...], other: str | tuple[str, ...] | None = None) -> FloatArray:
        """Uncentred second moment E[a b'] of two blocks, shape (n_cells, k, k')."""
        outer = self.mean(block)[:, :, None] * self.mean(block if other is None else other)[:, None, :]
        return self.cov(block, other) + outer

    @property
    def is_population(self) -> bool:
        """Whether every cell holds a population's moments rather than a sample's."""
        return bool(np.isinf(self.count).all())

    @property
    def is_sample(self) -> bool:
        """Whether every cell holds rows that were counted."""
        return bool(np.isfinite(self.count).all())

    @property
    def is_unweighted(self) -> bool:
        """Whether all rows have one and the same weight, whatever it is, in all cells (False for populations)."""
        if not self.is_sample:
            return False
        each = self.weight / self.count
        equal_within = np.abs(self.weight_sq * self.count / self.weight / self.weight - 1.0) < _SAME_WEIGHT
        return bool(equal_within.all() and np.ptp(each) <= _SAME_WEIGHT * each.max())

    @property
    def share(self) -> FloatArray:
        """Share of each cell in the total weight, shape (n_cells,)."""
        relative = self.weight / self.weight.max()
        return np.asarray(relative / relative.sum())

    @property
    def effective_count(self) -> FloatArray:
        """Rows of equal weight that would vary as much as these: weight² / weight_sq; inf for a population."""
        return np.divide(
            self.weight * (self.weight / np.where(self.weight_sq > 0, self.weight_sq, 1.0)),
            1.0,
            out=np.full(len(self), np.inf),
            where=self.weight_sq > 0,
        )

    @property
    def pooled(self) -> Moments:
        """All cells as one, computed once."""
        if self._pooled is None:
            object.__setattr__(self, "_pooled", self.pool())
        assert self._pooled is not None
        return self._pooled

    def to_frame(self) -> pd.DataFrame:
        """One row per cell: count, weight, then the mean and standard deviation of every variable."""
        columns: dict[str, Any] = {"count": self.count, "weight": self.weight}
        spread = np.sqrt(np.maximum(np.diagonal(self._scatter, axis1=1, axis2=2), 0.0) / self.weight[:, None])
        at = 0
        for block, size in self.blocks.items():
            for i in range(size):
                known = self.names[block]
                name = (block if size == 1 else f"{block}{i}") if known is None else known[i]
                columns[f"mean {name}"], columns[f"sd {name}"] = self._mean[:, at], spread[:, at]
                at += 1
        return pd.DataFrame(columns, index=self.cells)

    def summary(self) -> Summary:
        """Sizes, means and standard deviations of each cell."""
        kind = "exact moments of a population" if self.is_population else "sums over rows"
        weights = "" if not self.is_sample or self.is_unweighted else "; rows are weighted"
        return Summary(
            "Moments",
            f"mean and standard deviation in each cell ({kind}{weights})",
            "none: these are the data, or a model's own moments",
            self.to_frame(),
        )

    # -- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write to one ``.npz`` file without pickle, so that reading it runs no code.

        Raises
        ------
        TypeError
            If a label is not a number, text, date, or tuple of them.
        """
        head = {
            "format": 1,
            "blocks": {b: self.names[b] or k for b, k in self.blocks.items()},
            "levels": list(self.cells.names),
            "multi": isinstance(self.cells, pd.MultiIndex),
            "cells": [pack(label) for label in self.cells],
        }
        text = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
        with open(path, "wb") as file:
            np.savez(file, allow_pickle=False, head=text, **self._arrays())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Moments:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            head = json.loads(stored["head"].tobytes().decode())
            arrays = {key: stored[key] for key in ("mean", "scatter", "weight", "count", "weight_sq")}
        labels = [unpack(label) for label in head["cells"]]
        if head["multi"]:
            cells: pd.Index = pd.MultiIndex.from_tuples(labels, names=head["levels"])
        else:
            cells = encode_cells(labels).rename(head["levels"][0])
        return cls(head["blocks"], **arrays, cells=cells)

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

    def _arrays(self) -> dict[str, FloatArray]:
        return {
            "mean": self._mean,
            "scatter": self._scatter,
            "weight": self.weight,
            "count": self.count,
            "weight_sq": self.weight_sq,
        }

    def _combine(self, groups: np.ndarray, cells: pd.Index) -> Moments:
        """Combine the cells of each group: the scatter of the parts plus that of their means."""
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name
            sums = combine_cells(self._sums(), groups, len(cells))
        _check_overflow(sums.mean, sums.scatter, sums.weight)
        return Moments.trusted(self._block_spec(), **sums.arrays, cells=cells)

    def _sums(self) -> Sums:
        return Sums(**self._arrays())

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
            inside = _positions(part, self._slice(block), block)
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

    # -- helpers ------------------------------------------------------------------------------------------------

    def _at(self, block: str | tuple[str, ...]) -> slice | np.ndarray:
        if isinstance(block, str):
            return self._slice(block)
        return np.concatenate([np.arange(part.start, part.stop) for part in map(self._slice, block)])

    def _slice(self, block: str) -> slice:
        try:
            return self._slices[block]
        except KeyError:
            raise ValueError(f"These moments have no block {block!r}; they have {', '.join(self.blocks)}.") from None

    def _level(self, name: str) -> pd.Index:
        if name not in self.cells.names:
            raise ValueError(f"The cells have no level {name!r}; their levels are {list(self.cells.names)}.")
        return self.cells.get_level_values(name)

    def _block_spec(self) -> dict[str, int | Sequence[str]]:
        return {block: self.names[block] or size for block, size in self.blocks.items()}

    def _check_same_blocks(self, other: Moments) -> None:
        if dict(self.blocks) != dict(other.blocks) or dict(self.names) != dict(other.names):
            raise ValueError(
                f"Moments of other variables cannot be combined: {self._block_spec()} and {other._block_spec()}."
            )


def _positions(part: Any, whole: slice, block: str) -> np.ndarray:
    """Positions inside a block, from True, positions, or a mask."""
    size = whole.stop - whole.start
    if part is True:
        return np.arange(size)
    inside = np.atleast_1d(np.asarray(part))
    if inside.dtype == bool and inside.shape == (size,) and not isinstance(part, bool):
        return np.flatnonzero(inside)
    if inside.ndim != 1 or (inside.size and inside.dtype.kind not in "iu"):
        raise ValueError(f"Block {block!r} is selected by True, positions, or a mask of length {size}; got {part!r}.")
    if inside.size and not (inside.min() >= 0 and inside.max() < size):
        raise ValueError(f"Block {block!r} has columns 0…{size - 1}, got {inside.tolist()}.")
    return inside.astype(int)


def _rebuild(
    cls: type[Moments], blocks: Mapping[str, int | Sequence[str]], arrays: dict[str, FloatArray], cells: pd.Index
) -> Moments:
    return cls.trusted(blocks, **{key: np.array(value) for key, value in arrays.items()}, cells=cells)


def _check_semidefinite(scatter: FloatArray, cells: pd.Index) -> None:
    """Raise for a scatter that no variables can have, beyond rounding."""
    if not scatter.shape[1]:
        return
    size = np.abs(scatter).max(axis=(1, 2))
    safe = np.where(size > 0, size, 1.0)[:, None, None]
    values = np.linalg.eigvalsh(scatter / safe)
    wrong = values[:, 0] < -1e-9 * np.maximum(values[:, -1], 0.0)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"scatter of cell {shown(cells[first])} is no covariance: it is not positive semidefinite, its smallest "
            f"eigenvalue is {values[first, 0] * float(size[first]):.3g} and its largest "
            f"{values[first, -1] * float(size[first]):.3g}."
        )


def _check_overflow(mean: FloatArray, scatter: FloatArray, weight: FloatArray) -> None:
    if not (np.isfinite(mean).all() and np.isfinite(scatter).all() and np.isfinite(weight).all()):
        raise ValueError(
            "Second moments of these rows overflow: entries or weights are too large (beyond about 1e150). Change "
            "their unit, for example divide each column by its standard deviation."
        )


def take_features(estimator: Any, moments: Moments) -> None:
    """Set `n_features_in_` and `feature_names_in_` of the estimator from the block ``x`` of moments."""
    estimator.n_features_in_ = moments.blocks["x"]
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    names = moments.names["x"]
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)
