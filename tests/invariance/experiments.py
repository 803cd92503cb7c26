"""What the tests of experiments share."""

import pandas as pd


def same(first, second):
    """The same rows; how long each took is another matter."""
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), second.drop(columns="seconds"), check_dtype=False)
