"""Numbers, words and yes-or-no answers: what is not one is refused by name; streams by position are the same."""

import numpy as np
import pandas as pd
import pytest

from causalinv._parallel import streams, streams_at
from causalinv._validation import (
    check_choice,
    check_confidence_level,
    check_flag,
    check_list,
    check_number,
    check_numbers,
)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ([1j, 0.0], "b must hold real numbers, got complex"),
        ([1j, None], "b must hold real numbers, got 1j"),
        (["1", "2"], "b must hold real numbers, got text"),
        ([1.0, None], "b must hold real numbers, got None"),
        ([[1.0, 2.0], [3.0]], "b must be a table of numbers"),
        (np.ma.masked_array([1.0, 99.0], mask=[False, True]), "Input b has masked entries"),
        ([1.0, np.nan], "Input b contains NaN"),
        (pd.Series([1, None], dtype="Int64"), "Input b contains NaN"),
        (np.inf, "b must be finite"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "b must hold real numbers, got dates"),
        ([10**400], "b must hold real numbers"),
        (iter([1.0]), "b must hold real numbers"),
    ],
)
def test_what_holds_no_real_numbers_is_refused_by_name(values, match):
    with pytest.raises((TypeError, ValueError), match=match):
        check_numbers(values, "b")


def test_numbers_are_copied_as_float64():
    given = np.array([1.0, 2.0])
    found = check_numbers(given, "b")
    found[0] = 5.0
    assert given[0] == 1.0
    assert check_numbers(pd.DataFrame({"u": [True, False]}), "b").tolist() == [[1.0], [0.0]]
    assert check_numbers(3, "b").shape == ()


def test_words_flags_and_single_numbers():
    for value in (pd.NA, None, 3, np.array(["a", "b"]), "c"):
        with pytest.raises(ValueError, match=r"kind must be one of \('a', 'b'\)"):
            check_choice(value, "kind", ("a", "b"))
    for value in ("yes", 1, None, np.array([True, False])):
        with pytest.raises(TypeError, match="deep must be True or False"):
            check_flag(value, "deep")
    assert check_choice("a", "kind", ("a", "b")) == "a"
    assert check_flag(np.True_, "deep") is True
    with pytest.raises(ValueError, match="s must be finite, got inf"):
        check_number(np.inf, "s", finite=True)
    with pytest.raises(ValueError, match="s is too large"):
        check_number(10**400, "s")


def test_streams_by_position_are_the_streams_of_the_whole():
    whole = streams(7, 12, "rows")
    for at, rng in zip([11, 0, 3], streams_at(7, [11, 0, 3], "rows"), strict=True):
        assert rng.integers(2**63) == whole[at].integers(2**63)


def test_sequences_are_listed_and_nothing_else_is_one():
    assert check_list((1, 2), "names", "labels") == [1, 2]
    assert check_list(pd.Series(["a"]), "names", "labels") == ["a"]
    for value in ("ab", b"ab", 3, None, pd.NA, np.array(3.0), {"a": 1}, np.ones((2, 2))):
        with pytest.raises(TypeError, match="names must be a sequence of labels"):
            check_list(value, "names", "labels")


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95])
def test_a_confidence_level_is_strictly_between_0_and_1(level):
    with pytest.raises(ValueError, match="confidence_level must be a number > 0 and < 1"):
        check_confidence_level(level)
    assert check_confidence_level(np.nextafter(1.0, 0.0)) < 1.0
