"""What tests of invariance share."""

import pandas as pd
import pytest

from causalinv.sem import LinearSEM, ScaleNoise


def unstable():
    """Rows of two environments that differ in the equation of y itself, so that no set is invariant."""
    sem = LinearSEM([[0, 0], [1.0, 0]], names=["x", "y"], target="y")
    with pytest.warns(match="changes? the equation of the target"):
        envs = sem.environments([None, ScaleNoise("y", 5.0)])
    return envs.sample(300, random_state=0)


def same(first, second):
    """The same rows; how long each took is another matter."""
    pd.testing.assert_frame_equal(first.drop(columns="seconds"), second.drop(columns="seconds"), check_dtype=False)
