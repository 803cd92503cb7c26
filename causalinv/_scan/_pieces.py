"""Sums over pieces of rows: read by a few threads, each summed about its own mean, combined in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from causalinv._accumulate import Running, Sums, cell_sums, row_cells
from causalinv._progress import Line, wanted
from causalinv._scan._spec import Columns, RowsOfPiece
from causalinv._validation import check_whole

__all__ = ["Piece", "each_piece", "scan_pieces", "sum_piece"]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Piece:
    """Some rows of a source.

    Attributes
    ----------
    read : callable
        Fetches the rows: from () to a function that gives a column by its name.
    where : str
        What it is, for messages.
    first_row : int
        Row of the source at which it begins; 0 where rows are counted within the piece.
    """

    read: Callable[[], Callable[[Any], Any]]
    where: str
    first_row: int = 0


def sum_piece(rows: RowsOfPiece) -> tuple[pd.Index, Sums] | None:
    """Cells of a piece and their sums; None where no row has weight."""
    if not len(rows.columns[0]):
        return None
    cells, codes = row_cells(rows.labels)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # what overflows is refused by name
        sums = cell_sums(rows.columns, rows.weights, codes, len(cells))
    if not (np.isfinite(sums.mean).all() and np.isfinite(sums.scatter).all()):
        rows.check()
    return cells, sums


def scan_pieces(pieces: Iterable[Piece], columns: Columns, *, n_threads: int | None, progress: bool) -> Running:
    """Sums of all pieces, combined in their order, so that the number of threads changes no digit."""
    total = Running(tuple(columns.levels))
    for found in each_piece(pieces, columns, sum_piece, n_threads=n_threads, progress=progress):
        if found is not None:
            total.add(*found)
    return total


def each_piece(
    pieces: Iterable[Piece],
    columns: Columns,
    function: Callable[[RowsOfPiece], _Result],
    *,
    n_threads: int | None = None,
    progress: bool = False,
) -> Iterator[_Result]:
    """Result of a function on the rows of every piece, in order; at most two pieces a thread are in memory."""
    total = len(pieces) if hasattr(pieces, "__len__") else None  # type: ignore[arg-type]
    said = Line(total, begin="scan: ", what="pieces read") if progress or wanted() else None

    def work(piece: Piece) -> _Result:
        return function(columns.take(piece.read(), piece.where, first_row=piece.first_row))

    threads = min(4, os.cpu_count() or 1) if n_threads is None else check_whole(n_threads, "n_threads", low=1)
    waiting: deque[Future[_Result]] = deque()
    # One thread of linear algebra each, set out here: limits that threads set and lift themselves would cross.
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads, thread_name_prefix="causalinv-scan") as pool:
        try:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
                    if said:
                        said.step()
            while waiting:
                yield waiting.popleft().result()
                if said:
                    said.step()
        finally:
            for future in waiting:
                future.cancel()
            if hasattr(pieces, "close"):  # a stream that is left early would keep its connection busy
                pieces.close()
            if said:
                said.end(always=progress)
