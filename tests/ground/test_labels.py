"""One coder of labels: any hashable label, and nothing missing slips through."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from causalinv._labels import encode, shown

CODES = [1, 0, 2, 0, 1, 2]
WAYS = {
    "int": [10, 3, 77, 3, 10, 77],
    "negative int": [-1, -5, 9, -5, -1, 9],
    "float": [0.5, 0.25, 4.0, 0.25, 0.5, 4.0],
    "str": list("bacabc"),
    "pairs": [("b", 1990), ("a", 1991), ("c", 1990), ("a", 1991), ("b", 1990), ("c", 1990)],
    "single tuples": [(label,) for label in "bacabc"],
    "dates": pd.to_datetime([f"200{k}-01-01" for k in CODES]),
    "mixed": [1, ("a", 2), "x", ("a", 2), 1, "x"],
    "category": pd.Series(list("bacabc"), dtype="category"),
    "unused category": pd.Categorical(list("bacabc"), categories=list("zyxabc")),
    "nullable": pd.array([10, 3, 77, 3, 10, 77], dtype="Int64"),
    "string dtype": pd.Series(list("bacabc"), dtype="string"),
    "object array": np.array(list("bacabc"), dtype=object),
    "polars": pl.Series(list("bacabc")),
    "column": np.array([10, 3, 77, 3, 10, 77])[:, None],
    "frame": pd.DataFrame({"e": list("bacabc")}),
    "multiindex": pd.MultiIndex.from_tuples([("b", 2), ("a", 1), ("c", 1), ("a", 1), ("b", 2), ("c", 1)]),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_label_gives_the_same_partition(way):
    labels = encode(WAYS[way], "environments", 6)
    np.testing.assert_array_equal(labels.codes[:, None] == labels.codes, np.equal.outer(CODES, CODES))
    if way != "mixed":
        assert labels.codes.tolist() == CODES
    assert len(labels) == 3
    assert labels.counts.tolist() == [2, 2, 2]
    first = labels.names[labels.codes[1]]
    given = WAYS[way]
    if isinstance(given, list):
        assert first == given[1]
        assert type(first) is type(given[1]) or not isinstance(given[1], tuple)


def test_rows_in_another_order_get_the_same_names():
    for given in WAYS.values():
        if isinstance(given, list):
            assert list(encode(given[::-1], "e").names) == list(encode(given, "e").names)


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", None],
        ["a", "b", float("nan")],
        [1, 2, np.nan],
        [("a", 1), ("b", 2), ("c", None)],
        np.array([1.0, 2.0, np.nan]),
        np.array(["a", "b", None], dtype=object),
        np.array(["2001-01-01", "2002-01-01", "NaT"], dtype="datetime64[D]"),
        np.array(["a", "b", np.nan], dtype=np.dtypes.StringDType(na_object=np.nan)),
        np.ma.masked_array([1, 2, 3], mask=[0, 0, 1]),
        pd.Series(["a", "b", pd.NA], dtype="string"),
        pd.array([1, 2, None], dtype="Int64"),
        pd.Categorical(["a", "b", None]),
        pd.Series([pd.Timestamp("2001-01-01"), pd.Timestamp("2002-01-01"), pd.NaT]),
        pl.Series(["a", "b", None]),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_a_missing_label_is_found_whatever_holds_it(labels):
    with pytest.raises(ValueError, match=r"groups has a missing label in row 2 \(1 in all\)"):
        encode(labels, "groups")


def test_what_cannot_be_labels_is_refused_by_name():
    for wrong, kind, text in (
        (["a", "b"], ValueError, r"shape \(3,\), got shape \(2,\)"),
        (np.zeros((3, 2)), ValueError, "Pairs are labels too"),
        (pd.DataFrame(np.zeros((3, 2))), ValueError, "a table of 2 columns"),
        ("abc", ValueError, "Pass the column itself"),
        (7, ValueError, "Pass the column itself"),
        ([[1], [2], [3]], TypeError, r"holds \[1\] in row 0"),
        ([1.0, np.inf, 2.0], ValueError, "infinite label in row 1"),
        (np.array([1.0, np.inf, 2.0]), ValueError, "infinite label in row 1"),
    ):
        with pytest.raises(kind, match=text):
            encode(wrong, "groups", 3)
    with pytest.raises(ValueError, match="groups has one label, 7; at least two are needed"):
        encode(np.full(3, 7), "groups", 3, least=2)
    with pytest.raises(ValueError, match="groups has 2 labels, 1, 2; at least 3"):
        encode([1, 2, 1], "groups", 3, least=3)


def test_labels_of_some_rows_forget_the_others():
    labels = encode(list("bacabc"), "e")
    kept = labels.take(np.array([True, False, True, False, True, True]))
    assert list(kept.names) == ["b", "c"]
    assert kept.codes.tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="groups has one label, 'a'"):
        labels.take(np.array([1, 3]), "groups", least=2)


def test_labels_are_shown_as_they_were_written():
    assert shown(np.int64(3)) == "3"
    assert shown((np.int64(3), "a")) == "(3, 'a')"
    assert shown(("a",)) == "('a',)"
    assert shown(pd.Timestamp("2001-01-01")) == "'2001-01-01 00:00:00'"
