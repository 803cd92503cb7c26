"""Moments per cell: the one sufficient statistic that every linear method of this package consumes.

A cell is an environment, a fold, or both. Rows of data, chunks of a file too large for memory, a structural
equation model and an augmentation all *produce* `Moments`; the estimators do not ask which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import IO, Any

import numpy as np

from causalinv._accumulate import cell_sums, row_cells
from causalinv._frames import column_names
from causalinv._labels import Labels, encode
from causalinv._matrix import constant_columns
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_alignment, check_rows, check_sample_weight, check_weight_range
from causalinv.moments._algebra import CellAlgebra
from causalinv.moments._cells import check_overflow
from causalinv.moments._files import read, write

__all__ = ["Moments"]


class Moments(CellAlgebra):
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
    weight_range : array-like of shape (n_cells, 2), optional
        Smallest and largest weight. Left out, they are as far apart as `weight_sq` says.

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
    weight_range : ndarray of shape (n_cells, 2)
        Smallest and largest weight of a row (after `subtract`: of the rows before).

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
            Of a sample, cells in the order of their labels.

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
        check_overflow(sums.mean, sums.scatter, sums.weight)
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
        c: str | int | Sequence[str | int] | None = None,
        environments: str | int | None = None,
        folds: str | int | None = None,
        sample_weight: str | int | None = None,
        connection: Any = None,
        n_threads: int | None = None,
        progress: bool = False,
    ) -> Moments:
        """Moments where the data live, in one pass: files, frames of other engines, databases.

        Equal to `from_rows` on the same rows up to rounding: 1e-10 in units of the standard deviations, 1e-8 for a
        variable whose mean is a million of them. Memory is that of a few pieces of rows and of the cells.

        Parameters
        ----------
        source : path, Arrow data set, frame, Dask collection, DuckDB relation, or str with `connection`
            A Parquet file or a folder of them (read by row group; folders named ``key=value`` give a column), an
            Arrow data set or table, a pandas or polars frame (lazy too), a Dask frame or array, a DuckDB relation;
            with `connection` the name of a table (``schema.table`` too) or a SELECT.
        x, y, g, c : str or list of str
            Columns of the blocks: features, outcomes, instruments (a column of x too, if it is exogenous), controls.
            Of a Dask array: positions.
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

        columns = Columns.of(
            {"x": x, "y": y, "g": g, "c": c}, {"environments": environments, "folds": folds}, sample_weight
        )
        cells, sums = scan(source, columns, connection=connection, n_threads=n_threads, progress=progress).finish()
        check_overflow(sums.mean, sums.scatter, sums.weight)
        check_weight_range(float(sums.weight_range[:, 0].min()), float(sums.weight_range[:, 1].max()))
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

    # -- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str] | IO[bytes]) -> None:
        """Write to one ``.npz`` file, by its path or opened, without pickle: reading it runs no code.

        Raises
        ------
        TypeError
            If a label is not a number, text, date, or tuple of them.
        """
        write(path, self._block_spec(), self.cells, self._arrays())

    @classmethod
    def load(cls, path: str | PathLike[str] | IO[bytes]) -> Moments:
        """Read what `save` wrote."""
        blocks, cells, arrays = read(path)
        return cls(blocks, **arrays, cells=cells)
