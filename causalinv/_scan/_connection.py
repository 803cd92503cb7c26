"""How a database is asked: through DuckDB's own connections and those of SQLAlchemy, by one door."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from causalinv._scan._pieces import Piece
from causalinv._scan._sources import arrow_batches, each_batch
from causalinv._scan._spec import Columns

__all__ = ["Door", "opened", "stream_sql"]

_ROWS = 16_384  # rows of Python objects held at a time
# After comments, a word with which a query begins, or a bracket.
_QUERY = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*((select|with|from|values)\b|\()", re.IGNORECASE | re.DOTALL)

Answer = tuple[list[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Door:
    """A connection: what it answers to a statement at once, what piece by piece, and how it quotes a name.

    `untyped` says that a column may hold text in some rows, which SQLite reads as the number 0.
    """

    ask: Callable[[str], Answer]
    stream: Callable[[str, list[Any]], Iterator[Piece]]
    quote: Callable[[str], str]
    untyped: bool = False

    def rows_of(self, source: str) -> str:
        """What stands behind FROM: a table, or a SELECT in brackets."""
        if _QUERY.match(source):
            return f"({source.strip().rstrip(';')}\n) AS source"
        return ".".join(self.quote(part) for part in source.split(".")) + " AS source"

    def first_row(self, source: str, columns: Columns) -> dict[str, Any]:
        """One row by the names of its columns, empty if there is none; raises for a column that is not there."""
        names, rows = self.ask(f"SELECT * FROM {self.rows_of(source)} LIMIT 1")
        columns.check(names, "The table")
        return dict(zip(names, rows[0], strict=True)) if rows else {}


def stream_sql(source: Any, columns: Columns, connection: Any) -> Iterator[Piece]:
    """Rows of a table or SELECT, some thousands at a time, by one statement."""
    with opened(source, columns, connection) as door:
        door.first_row(source, columns)
        names = ", ".join(door.quote(str(column)) for column in columns.all)
        yield from door.stream(f"SELECT {names} FROM {door.rows_of(source)}", columns.all)


@contextmanager
def opened(source: Any, columns: Columns, connection: Any) -> Iterator[Door]:
    """The door to a connection.

    Raises
    ------
    TypeError
        If the connection is of no kind known here, or the source or its columns are not named.
    """
    if not isinstance(source, str):
        raise TypeError(f"With connection= the source is a table's name or a SELECT, got {type(source).__name__}.")
    if any(not isinstance(column, str) for column in columns.all):
        raise TypeError(f"Columns of a database have names; got positions among {columns.all}.")
    kind = type(connection).__module__.partition(".")[0]
    if kind in {"duckdb", "_duckdb"}:
        yield _of_duckdb(connection)
    elif kind != "sqlalchemy":
        raise TypeError(
            "connection must be a DuckDB connection, or a SQLAlchemy connection or engine; got "
            f"{type(connection).__module__}.{type(connection).__name__}."
        )
    elif hasattr(connection, "connect"):
        with connection.connect() as held:
            yield _of_sqlalchemy(held)
    else:
        yield _of_sqlalchemy(connection)


def _of_duckdb(connection: Any) -> Door:
    def ask(statement: str) -> Answer:
        cursor = connection.execute(statement)
        return [column[0] for column in cursor.description], cursor.fetchall()

    def stream(statement: str, names: list[Any]) -> Iterator[Piece]:
        return arrow_batches(each_batch(connection.sql(statement)), "the table")

    return Door(ask, stream, lambda name: '"' + name.replace('"', '""') + '"')


def _of_sqlalchemy(connection: Any) -> Door:
    from sqlalchemy import text

    def execute(statement: str, **options: Any) -> Any:
        # A colon would be a parameter.
        return connection.execute(text(statement.replace(":", r"\:")), execution_options=options)

    def ask(statement: str) -> Answer:
        result = execute(statement)
        return list(result.keys()), [tuple(row) for row in result]

    def stream(statement: str, names: list[Any]) -> Iterator[Piece]:
        row = 0
        for part in execute(statement, stream_results=True).partitions(_ROWS):
            by_name = dict(zip(names, map(list, zip(*part, strict=True)), strict=True))
            yield Piece(lambda by_name=by_name: by_name.__getitem__, "the table", row)  # type: ignore[misc]
            row += len(part)

    quote = connection.dialect.identifier_preparer.quote_identifier
    return Door(ask, stream, quote, connection.dialect.name == "sqlite")
