"""Judges: overlap in closed form, and declarations that data contradict."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.datasets import load_digits

from causalinv.exceptions import OverlapWarning
from causalinv.symmetry import SymmetryScreen, symmetry_test
from causalinv.symmetry._overlap import overlap
from causalinv.transformations import EuclideanGroup, Flip, SignFlip

FLIP = SignFlip([0])


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_it_is_twice_the_chance_of_the_other_pose(shift):
    """The odds of x against its mirror image are exp(2 x shift) for a normal of variance one."""
    truth = quad(lambda x: 2 / (1 + np.exp(2 * x * shift)) * norm.pdf(x - shift), -8, 8)[0]
    X = np.random.default_rng(4).normal(size=(2000, 2)) + np.array([shift, 0])
    # 2 (1 - p) has standard deviation below 1 and half of the rows move: 4 / sqrt(1000)
    assert overlap(X, FLIP, None, np.random.default_rng(0)) == pytest.approx(truth, abs=0.125)


def test_uniform_poses_do_not_warn_and_few_rows_are_not_judged():
    rng = np.random.default_rng(0)
    for n in (150, 200):
        X = rng.normal(size=(n, 9))
        found = [symmetry_test(X, X[:, 1], FLIP, poses="uniform", n_resamples=19, random_state=s) for s in range(5)]
        assert all(each.overlap > 0.6 for each in found)
        turns = EuclideanGroup(3, translations=False)
        assert symmetry_test(X, X[:, 1], turns, poses="uniform", n_resamples=19, random_state=0).overlap > 0.6
    few = symmetry_test(X[:40], X[:40, 1], FLIP, poses="uniform", n_resamples=19, random_state=0)
    assert few.overlap is None
    assert "overlap" not in few.to_frame()
    assert "overlap" in found[0].to_frame()


def test_upright_digits_warn_and_poses_that_were_never_seen():
    X, digit = load_digits(return_X_y=True)
    X, y = X[np.isin(digit, (3, 8))], (digit[np.isin(digit, (3, 8))] == 3).astype(float)
    with pytest.warns(OverlapWarning, match="do not look uniform"):
        upright = symmetry_test(X, y, Flip((8, 8)), poses="uniform", n_resamples=19, random_state=0)
    mirrored = np.random.default_rng(0).random(len(X)) < 0.5
    X[mirrored] = X[mirrored].reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
    both = symmetry_test(X, y, Flip((8, 8)), poses="uniform", n_resamples=19, random_state=0)
    assert upright.overlap < 0.5
    assert both.overlap > 0.8
    Z = np.random.default_rng(1).normal(size=(200, 3)) + np.array([4.0, 0, 0])
    with pytest.warns(OverlapWarning, match=r"overlap is 0\.0.*never seen"):
        none = symmetry_test(Z, Z[:, 1], FLIP, poses="uniform", n_resamples=19)
    assert none.note.startswith(f"Overlap is {none.overlap:.2f}: hardly a row was seen in another pose")
    assert "says NOTHING about the outcome, large or small" in none.note
    assert upright.note.startswith(f"Overlap is {upright.overlap:.2f} (1 if poses are uniform): do not trust")
    assert both.note.startswith("A rejection has two readings")


def test_a_screen_shows_it_and_averages_over_no_pose_that_was_never_seen():
    Z = np.random.default_rng(1).normal(size=(120, 3)) + np.array([4.0, 0, 0])
    screen = SymmetryScreen({"seen": SignFlip([1]), "unseen": FLIP}, n_resamples=19, random_state=1)
    with pytest.warns(OverlapWarning):
        screen.fit(Z, Z[:, 1] ** 2 + 3.0 * np.random.default_rng(2).normal(size=120))
    assert screen.compatible_ == ["seen", "unseen"]
    assert screen.table_.loc["unseen", "overlap"] < 0.1
    assert screen.table_.loc["seen", "overlap"] > 0.5
    assert (screen.table_["broken_lower"] == 0).all()
    assert screen.prediction_ == "the learner as it is"
    text = " ".join(str(screen.summary()).split())
    assert "unseen: Overlap is 0.0" in text
    assert "seen: Overlap is 0.9" not in text


def test_a_column_in_small_units_moves_too():
    """Moves were measured by the largest entry of all: beside another column these passed for none."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) * [1e-9, 1e3]
    upright = np.column_stack([np.abs(X[:, 0]), X[:, 1]])
    assert overlap(X, SignFlip([0]), None, np.random.default_rng(0)) > 0.8
    assert overlap(upright, SignFlip([0]), None, np.random.default_rng(0)) < 0.3
