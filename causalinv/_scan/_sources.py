"""What a user hands in, as pieces of rows: Parquet, Arrow, pandas, polars, DuckDB relations, Dask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from causalinv._accumulate import Running
from causalinv._scan._pieces import Piece, sum_piece
from causalinv._scan._spec import Columns, RowsOfPiece

__all__ = ["arrow_batches", "each_batch", "each_partition", "is_dask", "open_source", "scan_dask"]

_BATCH = 131_072  # rows taken at a time from sources that have no pieces of their own


def open_source(source: Any, columns: Columns) -> Iterable[Piece]:
    """Pieces of a source that this process reads.

    Raises
    ------
    TypeError
        If nothing here knows how to read it.
    ValueError
        If a column is not there, or a folder holds no file.
    ImportError
        If the library that reads it is not installed.
    """
    if isinstance(source, str | PathLike):
        return _arrow(_dataset(source), columns, f"{Path(source).name}")
    if isinstance(source, pd.DataFrame):
        columns.check([*source.columns], "The frame")
        return _slices(len(source), lambda part: source.iloc[part].__getitem__, "the frame")
    kind = type(source).__module__.partition(".")[0]
    if kind == "pyarrow":
        dataset = source if hasattr(source, "get_fragments") else _in_memory(source)
        return _arrow(dataset, columns, "the data set")
    if kind == "polars" and hasattr(source, "lazy"):
        return _polars(source, columns)
    if kind in {"duckdb", "_duckdb"}:
        columns.check([*source.columns], "The relation")
        names = ", ".join('"' + str(name).replace('"', '""') + '"' for name in columns.all)
        return arrow_batches(each_batch(source.project(names)), "the relation")
    raise TypeError(
        f"source must be a path to Parquet, an Arrow data set or table, a pandas or polars frame, a Dask collection or "
        f"a DuckDB relation, or with connection= a table's name or a SELECT; got {type(source).__name__}. Arrays "
        "belong to Moments.from_rows."
    )


def _needs(library: str, extra: str) -> Any:
    import importlib

    try:
        return importlib.import_module(library)
    except ImportError as error:
        raise ImportError(
            f'This source is read with {library.partition(".")[0]}; install it by: pip install "causalinv[{extra}]".'
        ) from error


def _dataset(path: str | PathLike[str]) -> Any:
    if not Path(path).exists():
        raise ValueError(
            f"There is no file or folder {str(path)!r}. A table's name or a SELECT needs connection= beside it."
        )
    dataset = _needs("pyarrow.dataset", "arrow").dataset(path, format="parquet", partitioning="hive")
    if not dataset.files:
        raise ValueError(f"The folder {str(path)!r} holds no Parquet file.")
    return dataset


def _in_memory(table: Any) -> Any:
    return _needs("pyarrow.dataset", "arrow").dataset(table)


def _arrow(dataset: Any, columns: Columns, name: str) -> Iterable[Piece]:
    columns.check(dataset.schema.names, name[0].upper() + name[1:] if name.startswith("the ") else name)
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # a data set that was filtered shows its rows, but not its files
        fragments = [None]
    if not all(hasattr(fragment, "split_by_row_group") for fragment in fragments):
        return arrow_batches(dataset.to_batches(columns=columns.all, batch_size=_BATCH), name)
    schema = _common_schema(dataset.schema, fragments, columns)
    return [
        Piece(_row_group(part, schema, columns), f"row group {k} of {Path(fragment.path).name}")
        for fragment in fragments
        for k, part in enumerate(fragment.split_by_row_group())
    ]


def _common_schema(schema: Any, fragments: list[Any], columns: Columns) -> Any:
    """The schema of the first file, with types of the columns asked for that hold what every file has there."""
    import pyarrow as pa

    own = [fragment.physical_schema for fragment in fragments]
    for name in columns.all:
        kinds = list(dict.fromkeys(each.field(name).type for each in own if name in each.names))
        if len(kinds) < 2:
            continue
        plain = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds]
        try:
            both = pa.unify_schemas([pa.schema([(name, kind)]) for kind in plain], promote_options="permissive")
        except pa.ArrowException as error:
            said = " and ".join(map(str, kinds))
            raise ValueError(f"Column {name!r} is of several types in the files of the folder: {said}.") from error
        schema = schema.set(schema.get_field_index(name), both.field(0))
    return schema


def _row_group(fragment: Any, schema: Any, columns: Columns) -> Callable[[], Callable[[Any], Any]]:
    def read() -> Callable[[Any], Any]:
        column: Callable[[Any], Any] = fragment.to_table(schema=schema, columns=columns.all, use_threads=False).column
        return column

    return read


def arrow_batches(batches: Iterable[Any], name: str) -> Iterator[Piece]:
    """Pieces of a stream of Arrow batches, whose rows are counted through."""
    row = 0
    for batch in batches:
        yield Piece(lambda batch=batch: batch.column, name, row)  # type: ignore[misc]
        row += batch.num_rows


def each_batch(relation: Any) -> Iterator[Any]:
    """Arrow batches of a DuckDB relation, which streams them; its connection is free again when we stop."""
    _needs("pyarrow", "arrow")
    reader = relation.to_arrow_reader if hasattr(relation, "to_arrow_reader") else relation.fetch_arrow_reader
    with reader(_BATCH) as batches:
        yield from batches


def _slices(n: int, take: Callable[[slice], Callable[[Any], Any]], name: str) -> list[Piece]:
    parts = [slice(start, min(start + _BATCH, n)) for start in range(0, n, _BATCH)]
    return [Piece(lambda part=part: take(part), name, part.start) for part in parts]  # type: ignore[misc]


def _polars(source: Any, columns: Columns) -> Iterable[Piece]:
    lazy = source.lazy()
    columns.check(lazy.collect_schema().names(), "The frame")
    chosen = lazy.select(columns.all)
    if hasattr(chosen, "collect_batches"):
        batches = chosen.collect_batches(chunk_size=_BATCH, maintain_order=True)
    else:  # polars before 1.34 has no stream of batches: the chosen columns are read as a whole
        batches = chosen.collect().iter_slices(_BATCH)
    return _batches_of_frames(batches)


def _batches_of_frames(batches: Iterable[Any]) -> Iterator[Piece]:
    row = 0
    for frame in batches:
        table = frame.to_arrow()
        yield Piece(lambda table=table: table.column, "the frame", row)  # type: ignore[misc]
        row += table.num_rows


# -- Dask ---------------------------------------------------------------------------------------------------------


def is_dask(source: Any) -> bool:
    """Whether a source is a Dask frame or array, whatever is installed."""
    return type(source).__module__.partition(".")[0] in {"dask", "dask_expr"} and hasattr(source, "to_delayed")


def scan_dask(source: Any, columns: Columns) -> Running:
    """Sums of a Dask frame or array: each partition where it lies, then eight at a time up a tree.

    A worker that dies loses only its partitions, which the scheduler asks for again.
    """
    sums = _delayed(source, columns, partial(_running, levels=tuple(columns.levels)))
    dask = _needs("dask", "dask")
    while len(sums) > 1:
        sums = [dask.delayed(_together)(sums[i : i + 8]) for i in range(0, len(sums), 8)]
    total: Running = dask.compute(sums[0])[0]
    return total


def each_partition(source: Any, columns: Columns, function: Callable[[RowsOfPiece], Any]) -> list[Any]:
    """Result of a function, which the workers are sent, on the rows of every partition, in order."""
    return list(_needs("dask", "dask").compute(*_delayed(source, columns, function)))


def _delayed(source: Any, columns: Columns, function: Callable[[RowsOfPiece], Any]) -> list[Any]:
    dask = _needs("dask", "dask")
    if not hasattr(source, "ndim") or (source.ndim != 2 and hasattr(source, "map_partitions")):
        raise TypeError(f"Of Dask's collections, frames and arrays are read; got a {type(source).__name__}.")
    if hasattr(source, "columns"):
        columns.check([*source.columns], "The frame")
        parts = source[columns.all].to_delayed()
    else:
        if source.ndim != 2:
            raise ValueError(f"A Dask array must have two dimensions, rows and columns; got {source.ndim}.")
        columns.check(range(source.shape[1]), "The array")
        parts = source.rechunk({1: -1}).to_delayed().ravel()
    return [dask.delayed(_partition)(part, columns, k, function) for k, part in enumerate(parts)]


def _partition(part: Any, columns: Columns, k: int, function: Callable[[RowsOfPiece], Any]) -> Any:
    take: Callable[[Any], Any] = part.__getitem__ if isinstance(part, pd.DataFrame) else (lambda j: part[:, j])
    return function(columns.take(take, f"partition {k}"))


def _running(rows: RowsOfPiece, *, levels: tuple[str, ...]) -> Running:
    total = Running(levels)
    found = sum_piece(rows)
    if found is not None:
        total.add(*found)
    return total


def _together(parts: Sequence[Running]) -> Running:
    total = Running(parts[0].levels)  # a new one: a scheduler may hand the same parts to a second try
    for part in parts:
        total.merge(part)
    return total
