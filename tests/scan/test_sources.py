"""`Moments.scan` equals `from_rows` on the same rows, whatever holds them, and names what is wrong where it is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose

from causalinv import Moments

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

ASKED = {
    "x": ["a", "b", "flag", "age"],
    "y": "y",
    "g": "c",
    "environments": "site",
    "folds": "fold",
    "sample_weight": "w",
}


def from_rows(rows: pd.DataFrame) -> Moments:
    return Moments.from_rows(
        x=rows[["a", "b", "flag", "age"]],
        y=rows[["y"]],
        g=rows[["c"]],
        environments=rows.site,
        folds=rows.fold,
        sample_weight=rows.w,
    )


def assert_same(found: Moments, truth: Moments, *, rtol: float = 1e-10, level: float = 1e-10) -> None:
    """Entries to `rtol` in units of the standard deviations; `level` for the block with a large mean."""
    assert found.cells.tolist() == truth.cells.tolist()
    assert list(found.cells.names) == list(truth.cells.names)
    assert dict(found.names) == dict(truth.names)
    for one, other in (
        (found.count, truth.count),
        (found.weight, truth.weight),
        (found.weight_sq, truth.weight_sq),
        (found.weight_range, truth.weight_range),
    ):
        assert_allclose(one, other, rtol=rtol)
    blocks = tuple(truth.blocks)
    variance = np.diagonal(truth.cov(blocks), axis1=1, axis2=2)
    unit = np.sqrt(variance[:, :, None] * variance[:, None, :])
    away = np.abs(found.cov(blocks) - truth.cov(blocks)) / unit
    at = [c for c, block in enumerate(np.repeat(blocks, [truth.blocks[b] for b in blocks])) if block != "y"]
    assert away[:, at][:, :, at].max() < rtol
    assert away.max() < level
    assert (np.abs(found.mean(blocks) - truth.mean(blocks)) / np.sqrt(variance))[:, at].max() < rtol


@pytest.fixture(scope="session")
def folder(table, tmp_path_factory):
    """Two files of several row groups."""
    place = tmp_path_factory.mktemp("parquet")
    pq.write_table(pa.Table.from_pandas(table[:3000], preserve_index=False), place / "one.parquet", row_group_size=700)
    pq.write_table(pa.Table.from_pandas(table[3000:], preserve_index=False), place / "two.parquet", row_group_size=700)
    return place


def _duckdb(table):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (extra sql)")
    return duckdb.connect().from_df(table)


def _dask(table):
    return pytest.importorskip("dask.dataframe", reason="dask is not installed (extra dask)").from_pandas(
        table, npartitions=11
    )


SOURCES = {
    "folder of Parquet": lambda table, folder: folder,
    "path as text": lambda table, folder: str(folder),
    "Arrow data set": lambda table, folder: ds.dataset(folder),
    "Arrow table": lambda table, folder: pa.Table.from_pandas(table),
    "pandas frame": lambda table, folder: table,
    "polars frame": lambda table, folder: pl.from_pandas(table),
    "polars lazy frame": lambda table, folder: pl.from_pandas(table).lazy(),
    "polars lazy file": lambda table, folder: pl.scan_parquet(folder / "*.parquet"),
    "DuckDB relation": lambda table, folder: _duckdb(table),
    "Dask frame": lambda table, folder: _dask(table),
}


@pytest.mark.parametrize("source", SOURCES)
def test_equals_from_rows(source, table, folder):
    found = Moments.scan(SOURCES[source](table, folder), **ASKED)
    assert_same(found, from_rows(table), level=1e-8)


@pytest.mark.parametrize("source", ["folder of Parquet", "polars lazy frame", "Dask frame"])
def test_without_cells_or_weights(source, table, folder):
    found = Moments.scan(SOURCES[source](table, folder), x=["a", "age"], y="b")
    assert_same(found, Moments.from_rows(x=table[["a", "age"]], y=table[["b"]]))
    assert found.is_unweighted


def test_threads_change_no_digit(folder):
    one = Moments.scan(folder, **ASKED, n_threads=1)
    three = Moments.scan(folder, **ASKED, n_threads=3)
    assert np.array_equal(one.cov(("x", "y")), three.cov(("x", "y")))
    assert np.array_equal(one.mean("y"), three.mean("y"))


def test_a_dask_array_is_asked_by_position(table):
    da = pytest.importorskip("dask.array", reason="dask is not installed (extra dask)")
    rows = table[["a", "b", "y"]].to_numpy()
    found = Moments.scan(da.from_array(rows, chunks=(900, 2)), x=[0, 1], y=2)
    assert found.blocks == {"x": 2, "y": 1}
    assert_same(found, Moments.from_rows(x=rows[:, :2], y=rows[:, 2]), level=1e-8)


def test_a_folder_of_named_parts_gives_a_column(table, tmp_path):
    pq.write_to_dataset(pa.Table.from_pandas(table, preserve_index=False), tmp_path, partition_cols=["site"])
    found = Moments.scan(tmp_path, x=["a"], environments="site")
    assert_same(found, Moments.from_rows(x=table[["a"]], environments=table.site))


def test_many_cells_that_come_late(table):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(500), 10))
    rows = table[["a", "b"]].assign(cell=labels)
    batches = ds.dataset([pa.Table.from_pandas(part) for _, part in rows.groupby(np.arange(len(rows)) // 97)])
    found = Moments.scan(batches, x=["a", "b"], environments="cell")
    assert_same(found, Moments.from_rows(x=rows[["a", "b"]], environments=rows.cell), rtol=1e-9)


def test_a_constant_column_is_exactly_constant(tmp_path):
    rows = pd.DataFrame({"a": np.arange(12.0), "c": [0.3, 0.1 + 0.2] * 6, "e": ["u"] * 6 + ["v"] * 6})
    pq.write_table(pa.Table.from_pandas(rows), tmp_path / "t.parquet", row_group_size=5)
    found = Moments.scan(tmp_path, x=["a", "c"], environments="e")
    assert (found.cov("x")[:, 1] == 0).all()
    assert found.mean("x")[0, 1] == found.mean("x")[1, 1]


def test_a_wild_first_row_costs_no_digits():
    values = np.random.default_rng(0).normal(size=(20_000, 2))
    values[0] = 1e7
    found = Moments.scan(pd.DataFrame(values, columns=["a", "b"]), x=["a", "b"]).cov("x")[0]
    assert_allclose(found, np.cov(values.T, bias=True), rtol=1e-12)
    rest = Moments.from_rows(x=values[1:]).merge(Moments.from_rows(x=values[:1])).cov("x")[0]
    assert_allclose(found, rest, rtol=1e-12)


def test_an_infinite_piece_is_not_read_ahead(folder):
    """At most two pieces a thread are in memory."""
    from causalinv._scan import Columns, each_piece
    from causalinv._scan._pieces import Piece

    opened = []

    def pieces():
        for k in range(10_000):
            yield Piece(lambda k=k: opened.append(k) or {"a": np.zeros(3)}.__getitem__, "nowhere")

    results = each_piece(pieces(), Columns.of({"x": "a"}, {}, None), lambda rows: 1, n_threads=2)
    next(results)
    assert len(opened) <= 6
    results.close()


# -- what is wrong, where -------------------------------------------------------------------------------------------


def broken(table, column, row, value):
    rows = table.copy()
    rows[column] = rows[column].astype(object)
    rows.loc[row, column] = value
    return rows


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("a", np.nan, r"Column 'a' holds a missing value in row 34 of row group 2 of t\.parquet"),
        ("a", np.inf, r"Column 'a' holds inf in row 34 of row group 2 of t\.parquet"),
        ("age", None, r"Column 'age' holds a missing value in row 34 of row group 2"),
        ("w", -2.0, r"sample_weight must be >= 0, but column 'w' holds -2 in row 34 of row group 2"),
        ("site", None, r"environments, column 'site' in row group 2 of t\.parquet, has a missing label in row 34"),
    ],
)
def test_bad_entries_are_named_with_their_row_group(table, tmp_path, column, value, said):
    rows = broken(table, column, 1434, value)
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), tmp_path / "t.parquet", row_group_size=700)
    with pytest.raises(ValueError, match=said):
        Moments.scan(tmp_path, **ASKED)
    if column == "a":  # without weights the sums are taken first, and the entry is looked for afterwards
        with pytest.raises(ValueError, match=said):
            Moments.scan(tmp_path, x=["b", "a"])


def test_rows_of_a_frame_are_counted_through(table):
    frame = pd.concat([table] * 30, ignore_index=True)
    frame.loc[140_000, "b"] = np.nan
    with pytest.raises(ValueError, match="row 140000 of the frame"):
        Moments.scan(frame, x=["a", "b"])


def test_a_row_of_weight_zero_may_hold_any_number_but_not_none(table):
    rows = table.assign(w=np.where(np.arange(len(table)) == 7, 0.0, 1.0))
    rows.loc[7, "a"] = 1e9
    kept = rows.drop(index=7)
    found = Moments.scan(rows, x=["a"], sample_weight="w")
    assert_same(found, Moments.from_rows(x=kept[["a"]], sample_weight=kept.w))
    rows.loc[7, "a"] = np.nan
    with pytest.raises(ValueError, match="holds a missing value in row 7"):
        Moments.scan(rows, x=["a"], sample_weight="w")


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ({"x": ["a", "nope"]}, ValueError, "has no column 'nope'; it has a, b"),
        ({"x": []}, ValueError, "x names no column"),
        ({"x": ["a", "a"]}, ValueError, "'a' is asked for in x and in x"),
        ({"x": ["a"], "y": "a"}, ValueError, "'a' is asked for in x and in y"),
        ({"x": ["site"]}, TypeError, "Column 'site' holds '(north|south|west)' in row 0"),
        ({"x": [1.5]}, TypeError, "must be the name of a column"),
        ({"x": "a", "environments": ["site"]}, TypeError, "environments must be the name of a column"),
        ({"x": ["a", 1]}, TypeError, "mixes names and positions"),
    ],
)
def test_bad_questions(table, asked, kind, said):
    with pytest.raises(kind, match=said):
        Moments.scan(table, **asked)


@pytest.mark.parametrize(
    ("source", "kind", "said"),
    [
        ("/no/such/file.parquet", ValueError, "no file or folder '/no/such/file.parquet'.*connection="),
        (np.zeros((3, 2)), TypeError, "Arrays belong to Moments.from_rows"),
        ([1, 2], TypeError, "got list"),
    ],
)
def test_bad_sources(source, kind, said):
    with pytest.raises(kind, match=said):
        Moments.scan(source, x=["a"])


def test_no_row_of_positive_weight(table):
    with pytest.raises(ValueError, match="no row of positive weight"):
        Moments.scan(table.assign(w=0.0), x=["a"], sample_weight="w")


def test_entries_that_overflow_are_refused(table):
    with pytest.raises(ValueError, match="overflow"):
        Moments.scan(table.assign(a=table.a * 1e160), x=["a"])


def test_progress_goes_to_standard_error(folder, capsys):
    Moments.scan(folder, x=["a"], progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "8 of 8 pieces read" in said.err


def test_import_needs_no_engine():
    code = "import sys, causalinv; print([m for m in ('pyarrow','duckdb','sqlalchemy','dask') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" or importlib.util.find_spec("pyarrow")  # pandas may bring pyarrow along
    assert "duckdb" not in done.stdout
    assert "sqlalchemy" not in done.stdout
