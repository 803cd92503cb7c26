"""What real tables hold beside numbers: read as `from_rows` reads it, or refused by name."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pytest

from causalinv import IVLikeRegression, Moments

from .test_sources import assert_same

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")
import pyarrow.parquet as pq  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "y"]).assign(k=rng.integers(0, 3, 300))


def test_empty_row_groups(rows, tmp_path):
    table = pa.Table.from_pandas(rows, preserve_index=False)
    with pq.ParquetWriter(tmp_path / "t.parquet", table.schema) as out:
        for part in (table[:0], table[:100], table[:0], table[100:], table[:0]):
            out.write_table(part)
    found = Moments.scan(tmp_path, x=["a", "b"], y="y", environments="k")
    assert_same(found, Moments.from_rows(x=rows[["a", "b"]], y=rows[["y"]], environments=rows.k))
    model = IVLikeRegression(0.3).fit_moments(Moments.scan(tmp_path, x="a", y="y", g="b"))
    truth = IVLikeRegression(0.3).fit(rows[["a"]], rows.y, instruments=rows[["b"]])
    for groups in (None, "k"):
        if groups:
            truth = truth.fit(rows[["a"]], rows.y, instruments=rows[["b"]], groups=rows.k)
        expected = truth.covariance(cov_type="misspecified")
        np.testing.assert_allclose(model.covariance(source=tmp_path, groups=groups), expected, rtol=1e-8)


@pytest.mark.parametrize("kind", ["int8", "uint64", "float32", "bool", "decimal128(12, 3)", "dictionary"])
def test_kinds_of_numbers(rows, kind, tmp_path):
    values = (rows.a * 30).round().clip(-100, 100) + 0.0  # no minus zero
    if kind.startswith("decimal"):
        column = pa.array([decimal.Decimal(int(v)) / 8 for v in values], type=pa.decimal128(12, 3))
        values = values / 8
    elif kind == "dictionary":
        column = pa.array(values).dictionary_encode()
    else:
        values = values.abs() if kind == "uint64" else values > 0 if kind == "bool" else values
        column = pa.array(values.to_numpy(dtype=None if kind == "bool" else kind))
    table = pa.table({"a": column, "b": rows.b})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=70)
    truth = Moments.from_rows(x=pd.DataFrame({"a": values.astype(float), "b": rows.b}))
    for source in (tmp_path, table, table.to_pandas()):
        assert_same(Moments.scan(source, x=["a", "b"]), truth)


@pytest.mark.parametrize("label", ["category", "bool", "int8", "date"])
def test_kinds_of_environments(rows, label, tmp_path):
    labels = {
        "category": pd.Categorical(rows.k.map({0: "w", 1: "u", 2: "v"}), categories=["w", "x", "v", "u"], ordered=True),
        "bool": rows.k > 0,
        "int8": rows.k.astype("int8"),
        "date": pd.to_datetime("2020-01-01") + pd.to_timedelta(rows.k, "D"),
    }
    table = rows.assign(e=labels[label])
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), tmp_path / "t.parquet", row_group_size=70)
    truth = Moments.from_rows(x=table[["a", "b"]], environments=table.e)
    for source in (tmp_path, table):
        assert_same(Moments.scan(source, x=["a", "b"], environments="e"), truth)


def test_a_row_group_without_weight(rows, tmp_path):
    table = rows.assign(w=np.r_[np.zeros(100), np.ones(200)])
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), tmp_path / "t.parquet", row_group_size=100)
    model = IVLikeRegression(0.3).fit_moments(Moments.scan(tmp_path, x="a", y="y", g="b", sample_weight="w"))
    kept = rows[100:]
    truth = IVLikeRegression(0.3).fit(kept[["a"]], kept.y, instruments=kept[["b"]], groups=kept.k)
    found = model.covariance(source=tmp_path, sample_weight="w", groups="k")
    np.testing.assert_allclose(found, truth.covariance(cov_type="misspecified"), rtol=1e-8)


def test_files_of_one_folder_may_hold_a_number_in_several_types(tmp_path):
    pq.write_table(pa.table({"a": pa.array([1, 2, 3], pa.int8()), "e": ["u", "v", "u"]}), tmp_path / "1.parquet")
    other = pa.table({"a": [1.5, 2.5, 3.5], "e": pa.array(["u", "v", "u"]).dictionary_encode()})
    pq.write_table(other, tmp_path / "2.parquet")
    found = Moments.scan(tmp_path, x="a", environments="e")
    assert found.mean("x")[:, 0].tolist() == [2.25, 2.25]
    pq.write_table(pa.table({"a": ["1", "2"], "e": ["u", "v"]}), tmp_path / "3.parquet")
    with pytest.raises(ValueError, match="Column 'a' is of several types in the files of the folder: int8 and double"):
        Moments.scan(tmp_path, x="a")
    assert Moments.scan(tmp_path.joinpath("2.parquet"), x="a").mean("x")[0, 0] == 2.5


@pytest.mark.parametrize(
    ("given", "asked", "kind", "said"),
    [
        ({"a": [[1.0], [2.0]]}, {}, TypeError, r"Column 'a' holds array\(\[1\.\]\) in row 0.*not a number"),
        (
            {"a": [1.0, 2.0], "w": [1.0, 1e200]},
            {"sample_weight": "w"},
            ValueError,
            "sample_weight runs from 1 to 1e.200",
        ),
        ({"a": [1.0, 2.0]}, {"n_threads": 0}, ValueError, "n_threads must be a whole number >= 1, got 0"),
        ({"a": pa.array([True, None])}, {}, ValueError, "Column 'a' holds a missing value in row 1"),
    ],
)
def test_what_is_refused(given, asked, kind, said):
    with pytest.raises(kind, match=said):
        Moments.scan(pa.table(given), x="a", **asked)


def test_columns_of_one_name_and_collections_that_are_no_frames(rows):
    twice = pd.concat([rows[["a", "b"]], rows[["a"]]], axis=1)
    with pytest.raises(ValueError, match="The frame has several columns named 'a'"):
        Moments.scan(twice, x="a")
    assert Moments.scan(twice, x="b").blocks == {"x": 1}
    pl = pytest.importorskip("polars", reason="polars is not installed (extra test)")
    with pytest.raises(TypeError, match="got Series"):
        Moments.scan(pl.Series([1.0, 2.0]), x="a")
    dd = pytest.importorskip("dask.dataframe", reason="dask is not installed (extra dask)")
    with pytest.raises(TypeError, match="frames and arrays are read; got a Series"):
        Moments.scan(dd.from_pandas(rows, npartitions=2).a, x="a")


def test_a_data_set_that_was_filtered(rows, tmp_path):
    ds = pytest.importorskip("pyarrow.dataset")
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), tmp_path / "t.parquet", row_group_size=100)
    chosen = ds.dataset(tmp_path).filter(ds.field("a") > 0)
    found = Moments.scan(chosen, x=["a", "b"], environments="k")
    kept = rows[rows.a > 0]
    assert_same(found, Moments.from_rows(x=kept[["a", "b"]], environments=kept.k))


def test_text_in_a_column_of_numbers_of_sqlite_is_not_zero(rows):
    sa = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra sql)")
    engine = sa.create_engine("sqlite://")
    rows.to_sql("t", engine, index=False)
    with engine.begin() as held:
        held.execute(sa.text("UPDATE t SET a = 'abc' WHERE rowid = 7"))
    with pytest.raises(TypeError, match="Column 'a' holds text in 1 rows"):
        Moments.scan("t", connection=engine, x=["a", "b"])
    select = "-- but for one\n/* of them */ SELECT * FROM t WHERE rowid <> 7 -- and no more"
    found = Moments.scan(select, connection=engine, x=["a", "b"])
    assert_same(found, Moments.from_rows(x=rows[["a", "b"]].drop(index=6)))
    engine.dispose()


@pytest.mark.parametrize("groups", [None, "k"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_hole_in_the_second_pass_is_named(rows, value, groups):
    model = IVLikeRegression(0.3).fit_moments(Moments.scan(rows, x="a", y="y", g="b"))
    bad = rows.assign(b=rows.b.where(rows.index != 200, value))
    with pytest.raises(ValueError, match="Column 'b' holds (a missing value|inf) in row 200 of the frame"):
        model.covariance(source=bad, groups=groups)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.assign(a=rows.a + 1e-3),
        lambda rows: rows.assign(a=rows.a * (1 + 1e-4)),
        lambda rows: rows.assign(a=np.roll(rows.a, 1)),
        lambda rows: rows.rename(columns={"a": "b", "b": "a"}),
    ],
    ids=["moved", "scaled", "another order", "exchanged"],
)
def test_rows_that_have_changed_are_noticed(rows, change):
    model = IVLikeRegression(0.3).fit_moments(Moments.scan(rows, x="a", y="y", g="b"))
    with pytest.raises(ValueError, match="not the same rows"):
        model.covariance(source=change(rows))


@pytest.mark.parametrize("levels", [("e",), ("e", "k")])
@pytest.mark.parametrize("second", ["a", 2.5, pd.Timestamp("2020-01-01"), True], ids=repr)
def test_labels_of_another_kind_in_a_later_piece(rows, second, levels, monkeypatch):
    monkeypatch.setattr("causalinv._scan._sources._BATCH", 150)
    table = rows.assign(e=pd.Series([1] * 150 + [second] * 150, dtype=object))
    asked = dict(zip(("environments", "folds"), levels, strict=False))
    found = Moments.scan(table, x=["a", "b"], **asked)
    truth = Moments.from_rows(x=table[["a", "b"]], **{part: table[name] for part, name in asked.items()})
    assert_same(found, truth)


def test_a_stream_that_is_left_early_frees_its_connection(rows, monkeypatch):
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed (extra sql)")
    monkeypatch.setattr("causalinv._scan._sources._BATCH", 2_048)
    held = duckdb.connect()
    held.execute("CREATE TABLE t AS SELECT range::DOUBLE a, 1 / nullif(range - 5, 0) b FROM range(100000)")
    with pytest.raises(ValueError, match="missing value in row 5") as raised:
        Moments.scan(held.sql("SELECT * FROM t"), x=["a", "b"], n_threads=1)
    assert held.execute("SELECT count(*) FROM t").fetchone() == (100_000,)
    assert raised.value  # held until here, as a notebook holds its last error
    held.close()
