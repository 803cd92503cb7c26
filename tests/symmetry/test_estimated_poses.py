"""Judges: null worlds by simulation, overlap in closed form, ridge regression written out, what cannot be asked."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binom, norm
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LinearRegression

from causalinv.exceptions import DegenerateInputWarning, OverlapWarning
from causalinv.symmetry import symmetry_test
from causalinv.symmetry._estimated_poses import orbit_mean, overlap, projected_covariance
from causalinv.symmetry._invariant_kernel import gaussian_ridge
from causalinv.transformations import EuclideanGroup, FunctionAugmentation, Scaling, SignFlip, Translation

FLIP = SignFlip([0])


def world(n, rng, delta=0.0, shift=0.8):
    X = rng.normal(size=(n, 3))
    X[:, 0] += shift
    return X, np.abs(X[:, 0]) + np.sin(X[:, 1]) + delta * X[:, 0] + rng.normal(size=n)


def test_size_where_poses_are_not_uniform():
    """At most 5% where the outcome reads what the pose follows; declaring them uniform may reject anything."""
    rejected = 0
    for seed in range(100):
        rng = np.random.default_rng(2000 + seed)
        rejected += projected_covariance(*world(60, rng), FLIP, None, None, rng)[1] <= 0.05
    assert rejected <= binom.ppf(1 - 1e-5, 100, 0.05)


def test_power_and_the_order_of_rows():
    found = [
        symmetry_test(*world(200, np.random.default_rng(s), 0.8, 0.5), FLIP, poses="pcm", random_state=0).pvalue
        for s in range(6)
    ]
    assert np.median(found) < 0.01
    X, y = world(80, np.random.default_rng(1), 0.5, 0.2)
    order = np.random.default_rng(2).permutation(80)
    first, second = (symmetry_test(a, b, FLIP, poses="pcm", random_state=3) for a, b in ((X, y), (X[order], y[order])))
    assert (first.pvalue, first.overlap) == (second.pvalue, second.overlap)
    learner = symmetry_test(X, X[:, 0] + 0.1 * y, FLIP, poses="pcm", estimator=LinearRegression(), random_state=3)
    assert learner.pvalue < 0.01
    assert "Approximate" in learner.assumption
    assert list(learner.to_frame()) == ["statistic", "df", "pvalue", "overlap"]


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_overlap_is_twice_the_chance_of_the_other_pose(shift):
    """The odds of x against its mirror image are exp(2 x shift) for a normal of variance one."""
    truth = quad(lambda x: 2 / (1 + np.exp(2 * x * shift)) * norm.pdf(x - shift), -8, 8)[0]
    X = np.random.default_rng(4).normal(size=(2000, 2)) + [shift, 0]
    # 2 (1 - p) has standard deviation below 1 and half of the rows move: 5 / sqrt(1000) and shrinkage
    assert overlap(X, FLIP, None, np.random.default_rng(0)) == pytest.approx(truth, abs=0.12)
    scaled = np.random.default_rng(5).normal(size=(200, 3))
    assert overlap(scaled, Scaling(), None, np.random.default_rng(0)) > 0.9
    tied = scaled / np.linalg.norm(scaled, axis=1)[:, None]
    assert overlap(tied * np.exp(tied[:, :1]), Scaling(), None, np.random.default_rng(0)) < 0.2


def test_means_over_the_group_and_ridge_written_out():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(30, 2))
    y = X[:, 0] ** 3 + rng.normal(size=30)
    predict = gaussian_ridge(X, y, 1.2)
    mirrored = X * [-1, 1]
    expected = (predict(X) + predict(mirrored)) / 2
    np.testing.assert_allclose(orbit_mean(predict, X, FLIP, None, rng), expected, rtol=1e-12)
    K, one = RBF(1.2)(X), np.ones((30, 1))
    gaps = []
    for penalty in np.logspace(-6, 2, 33) * (np.trace(K) - K.mean() * 30) / 30:
        solved = np.linalg.solve(np.block([[K + penalty * np.eye(30), one], [one.T, np.zeros((1, 1))]]), np.r_[y, 0])
        gaps.append(np.abs(RBF(1.2)(mirrored, X) @ solved[:-1] + solved[-1] - predict(mirrored)).max())
    assert min(gaps) < 1e-6 * np.ptp(y)


def test_what_cannot_be_asked():
    X, y = world(60, np.random.default_rng(7), shift=5.0)
    with pytest.raises(ValueError, match=r"overlap is 0\.0.*never seen"):
        symmetry_test(X, y, FLIP, poses="pcm")
    with pytest.raises(ValueError, match="overlap is 0.00"):
        symmetry_test(X / np.linalg.norm(X, axis=1)[:, None], y, Scaling(), poses="pcm")
    with pytest.warns(OverlapWarning, match="1 is uniform"):
        symmetry_test(*world(100, np.random.default_rng(8), shift=1.4), FLIP, poses="pcm")
    with pytest.warns(DegenerateInputWarning, match="moved by the group"):
        assert symmetry_test(X * [0, 1, 1], y, FLIP, poses="pcm").pvalue == 1.0
    with pytest.raises(ValueError, match="takes at most 5000"):
        symmetry_test(np.zeros((5001, 3)), np.arange(5001.0), FLIP, poses="pcm")
    with pytest.raises(ValueError, match="no frame"):
        symmetry_test(X, y, FunctionAugmentation(lambda X, rng: (X, np.zeros((len(X), 1)))), poses="pcm")
    with pytest.raises(ValueError, match="poses='pcm' only"):
        symmetry_test(X, y, FLIP, poses="uniform", estimator=LinearRegression())
    with pytest.raises(ValueError, match="minimum of 20"):
        symmetry_test(X[:19], y[:19], FLIP, poses="pcm")


def test_groups_that_have_no_uniform_law_can_be_asked():
    rng = np.random.default_rng(9)
    X = rng.normal(size=(60, 4))
    y = np.hypot(X[:, 0] - X[:, 2], X[:, 1] - X[:, 3])
    for group in (EuclideanGroup(2), Translation([[1.0, 0, 1, 0], [0, 1.0, 0, 1]])):
        assert symmetry_test(X, y, group, poses="pcm", random_state=0).pvalue > 0.05
        assert symmetry_test(X, y + X[:, 0] + X[:, 2], group, poses="pcm", random_state=0).pvalue < 0.05
