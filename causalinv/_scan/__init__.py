"""Moments where the data live: files, frames of other engines, databases.

Every source is either *pieces* of rows, each summed about its own mean and combined exactly, or a database that is
asked for the sums. No source is ever held in memory as a whole unless it already is.
"""

from typing import Any

from causalinv._accumulate import Running
from causalinv._scan._connection import stream_sql
from causalinv._scan._pieces import each_piece, scan_pieces
from causalinv._scan._sources import each_partition, is_dask, open_source, scan_dask
from causalinv._scan._spec import Columns, RowsOfPiece
from causalinv._scan._sql import scan_sql

__all__ = ["Columns", "RowsOfPiece", "each_partition", "each_piece", "is_dask", "open_source", "scan", "stream_sql"]


def scan(source: Any, columns: Columns, *, connection: Any, n_threads: int | None, progress: bool) -> Running:
    """Sums of the cells of a source, whatever it is."""
    if connection is not None:
        return scan_sql(source, columns, connection)
    if is_dask(source):
        return scan_dask(source, columns)
    return scan_pieces(open_source(source, columns), columns, n_threads=n_threads, progress=progress)
