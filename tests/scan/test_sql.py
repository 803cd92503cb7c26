"""Sums taken by a database equal `from_rows`: DuckDB, SQLite, PostgreSQL."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from causalinv import Moments

from .test_sources import ASKED, assert_same, from_rows

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (extra sql)")
sa = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra sql)")

ENGINES = ["DuckDB", "SQLite", "PostgreSQL"]


@pytest.fixture(scope="session", params=ENGINES)
def connect(request):
    """A function that stores a frame as a table and gives a connection."""
    if request.param == "DuckDB":
        held = duckdb.connect()

        def store(rows: pd.DataFrame, name: str):
            held.register("given", rows)
            held.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM given')
            return held

        yield store
        held.close()
        return
    url = "sqlite://" if request.param == "SQLite" else request.getfixturevalue("postgres_url")
    engine = sa.create_engine(url)

    def store_through(rows: pd.DataFrame, name: str):
        rows.to_sql(name, engine, index=False, if_exists="replace")
        return engine

    yield store_through
    engine.dispose()


def test_table_and_select_equal_from_rows(connect, table):
    at = connect(table, "visits")
    truth = from_rows(table)
    assert_same(Moments.scan("visits", connection=at, **ASKED), truth, level=1e-8)
    select = "SELECT * FROM visits WHERE site <> 'west';"
    assert_same(Moments.scan(select, connection=at, **ASKED), from_rows(table[table.site != "west"]), level=1e-8)


def test_without_cells_or_weights(connect, table):
    found = Moments.scan("visits", connection=connect(table, "visits"), x=["a", "age"], y="b")
    assert_same(found, Moments.from_rows(x=table[["a", "age"]], y=table[["b"]]))


def test_names_that_need_quotes(connect, table):
    rows = table.rename(columns={"a": 'odd "name"', "b": "Select", "site": "Where: it is"})
    at = connect(rows, "odd")
    found = Moments.scan("odd", connection=at, x=['odd "name"', "Select"], environments="Where: it is")
    truth = Moments.from_rows(x=rows[['odd "name"', "Select"]], environments=rows["Where: it is"])
    assert_same(found, truth)


def test_names_that_the_statements_use_themselves(connect, table):
    for names in ({"a": "c0", "b": "source", "site": "k0", "w": "c1"}, {"a": "C1", "b": "centre", "w": "k0"}):
        rows = table.rename(columns=names)
        rows["c0" if "c0" not in rows else "centre0"] = 0.0  # nobody asks for it
        asked = {"environments": names.get("site", "site"), "sample_weight": names["w"]}
        found = Moments.scan("ours", connection=connect(rows, "ours"), x=[names["a"], names["b"]], **asked)
        labels = {part: rows[column] for part, column in asked.items()}
        assert_same(found, Moments.from_rows(x=rows[[names["a"], names["b"]]], **labels))


def test_a_cell_far_from_the_others_keeps_its_digits(connect):
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"a": rng.normal(size=400), "b": rng.normal(size=400), "e": np.repeat([1, 2], 200)})
    rows.loc[rows.e == 2, ["a", "b"]] += 1e6
    found = Moments.scan("far", connection=connect(rows, "far"), x=["a", "b"], environments="e")
    assert_same(found, Moments.from_rows(x=rows[["a", "b"]], environments=rows.e), rtol=1e-8)


def test_more_pairs_than_one_statement_takes(connect):
    rows = pd.DataFrame(np.random.default_rng(3).normal(size=(200, 50))).rename(columns=lambda k: f"v{k}")
    found = Moments.scan("wide", connection=connect(rows, "wide"), x=list(rows.columns))
    assert_same(found, Moments.from_rows(x=rows))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("a", None, "Column 'a' holds a missing value in 1 rows"),
        ("w", -2.0, "sample_weight must be >= 0, but column 'w' holds -2"),
        ("site", None, "environments, column 'site', has missing labels"),
    ],
)
def test_bad_entries_are_named(connect, table, column, value, said):
    rows = table.copy()
    rows.loc[1434, column] = value
    with pytest.raises(ValueError, match=said):
        Moments.scan("bad", connection=connect(rows, "bad"), **ASKED)


def test_bad_questions(connect, table):
    at = connect(table, "visits")
    with pytest.raises(TypeError, match="'site' holds '(north|south|west)': not a number"):
        Moments.scan("visits", connection=at, x=["site"])
    with pytest.raises(ValueError, match="no column 'nope'"):
        Moments.scan("visits", connection=at, x=["nope"])
    with pytest.raises(TypeError, match="a table's name or a SELECT, got DataFrame"):
        Moments.scan(table, connection=at, x=["a"])
    with pytest.raises(TypeError, match="columns of a database have names|Columns of a database have names"):
        Moments.scan("visits", connection=at, x=[0])
    with pytest.raises(ValueError, match="no row of positive weight"):
        Moments.scan("SELECT * FROM visits WHERE 1 = 0", connection=at, x=["a"])


def test_infinite_entries_are_named(table):
    held = duckdb.connect()
    held.register("visits", table.assign(a=np.where(np.arange(len(table)) == 3, np.inf, table.a)))
    with pytest.raises(ValueError, match="Column 'a' holds inf"):
        Moments.scan("visits", connection=held, x=["a"])


def test_other_connections_are_refused(table):
    import sqlite3

    with (
        closing(sqlite3.connect(":memory:")) as held,
        pytest.raises(TypeError, match="DuckDB connection, or a SQLAlchemy"),
    ):
        Moments.scan("visits", connection=held, x=["a"])
