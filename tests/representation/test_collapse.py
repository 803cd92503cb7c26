"""Neural collapse and superposition against constructions whose numbers are known."""

import numpy as np
import pytest
from scipy.stats import f_oneway

from causalinv.exceptions import DegenerateInputWarning
from causalinv.representation import effective_features, neural_collapse


def simplex(n_classes, k, seed=0):
    """Class means on a simplex, turned and shifted."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(k, k)))[0][:n_classes]
    return (np.eye(n_classes) - 1 / n_classes) @ turn + 3.0


def test_complete_collapse_is_zero_in_every_line():
    means = simplex(4, 6)
    Z, labels = np.repeat(means, 5, axis=0), np.repeat(list("dbac"), 5)
    weights = (means - means.mean(axis=0))[[2, 1, 3, 0]]  # classes in sorted order: a, b, c, d
    intercepts = -weights @ means.mean(axis=0)
    found = neural_collapse(Z, labels, classifier=(weights, intercepts))
    assert found.to_frame()["estimate"].to_numpy() == pytest.approx(np.zeros(6), abs=1e-9)
    assert found.estimate == found.to_frame()["estimate"]["nc1"]


@pytest.mark.parametrize("n_classes", [3, 5])
def test_noise_has_its_closed_form(n_classes):
    """S_B has eigenvalue 1 / C on C - 1 directions of a simplex of size 1; S_W = s² I: nc1 = s² (C - 1) ."""
    rng, n = np.random.default_rng(1), 40
    values = {True: [], False: []}
    for _ in range(100):
        Z = np.repeat(simplex(n_classes, 8), n, axis=0)
        Z = Z + 0.3 * rng.normal(size=Z.shape)
        for corrected, found in values.items():
            found.append(neural_collapse(Z, np.repeat(np.arange(n_classes), n), bias_corrected=corrected).estimate)
    truth = 0.09 * (n_classes - 1)
    error = np.std(values[True]) / np.sqrt(100)
    assert np.mean(values[True]) == pytest.approx(truth, abs=4 * error + 0.005 * truth)
    ratio = np.array(values[False]) / values[True]  # row by row; noise between means passes for distance between them
    assert np.all(ratio < (n - 1) / n)  # S_W over n for n - 1, and that noise on top


def test_lines_see_what_they_are_about():
    means = simplex(4, 4)
    Z, labels = np.repeat(means, 3, axis=0), np.repeat(np.arange(4), 3)
    table = lambda rows, **more: neural_collapse(rows, labels, **more).to_frame()["estimate"]  # noqa: E731
    longer = np.repeat(means * [[2.0], [1.0], [1.0], [1.0]], 3, axis=0)
    assert table(longer)["nc2_equinorm"] > 0.1
    assert table(longer)["nc2_etf"] > 0.1
    collinear = np.repeat(np.outer(np.arange(4.0), np.ones(4)), 3, axis=0)
    assert table(collinear)["nc2_angles"] > 0.5
    wrong = table(Z, classifier=(np.eye(4), np.zeros(4)))
    assert wrong["nc3"] > 0.1
    swapped = Z.copy()
    swapped[0] = means[1]
    assert table(swapped)["nc4"] == pytest.approx(1 / 12)
    assert table(1e6 * Z + 1e3)["nc2_etf"] == pytest.approx(0.0, abs=1e-6)


def test_the_screen_keeps_to_its_width():
    rng = np.random.default_rng(0)
    found = neural_collapse(
        rng.normal(size=(60, 2)) + 5 * np.repeat(np.eye(3)[:, :2], 20, axis=0), np.repeat([0, 1, 2], 20)
    )
    assert max(map(len, str(found).splitlines())) <= 80


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_units_do_not_matter_however_extreme(unit):
    rng = np.random.default_rng(3)
    Z = np.repeat(simplex(3, 4), 20, axis=0) + 0.3 * rng.normal(size=(60, 4))
    labels, weights, intercepts = np.arange(60) // 20, rng.normal(size=(3, 4)), rng.normal(size=3)
    first, second = (
        neural_collapse(size * Z, labels, classifier=(weights / size, intercepts)).to_frame() for size in (1.0, unit)
    )
    np.testing.assert_allclose(second["estimate"], first["estimate"], rtol=1e-9)


def test_nothing_to_collapse_to():
    with pytest.warns(DegenerateInputWarning, match="one point"):
        assert np.isnan(neural_collapse(np.ones((6, 2)), [0, 0, 0, 1, 1, 1]).estimate)
    noise = np.random.default_rng(0).normal(size=(40, 2))
    noise[20:] -= noise[20:].mean(axis=0) - noise[:20].mean(axis=0) - 1e-3
    with pytest.warns(DegenerateInputWarning, match="noise"):
        assert np.isnan(neural_collapse(noise, np.arange(40) // 20).estimate)
    with pytest.raises(ValueError, match="one row"):
        neural_collapse(noise[:3], [0, 0, 1])
    with pytest.raises(ValueError, match="classifier"):
        neural_collapse(noise, np.arange(40) % 2, classifier=(np.eye(3), np.zeros(3)))
    with pytest.raises(TypeError, match="classifier"):
        neural_collapse(noise, np.arange(40) % 2, classifier=np.eye(2))


def test_equal_features_count_as_their_number():
    codes = np.tile(np.eye(12) * np.tile([1.0, -1.0], 6), (5, 1))
    found = effective_features(codes, 4)
    assert found.estimate == pytest.approx(12.0)
    assert found.to_frame()["per_neuron"].iloc[0] == pytest.approx(3.0)
    p = np.array([0.8, 0.2])
    assert effective_features([[4.0, 0.0], [0.0, -1.0]], 1).estimate == pytest.approx(np.exp(-np.sum(p * np.log(p))))
    with pytest.warns(DegenerateInputWarning):
        assert np.isnan(effective_features(np.zeros((3, 2)), 1).estimate)
    with pytest.raises(ValueError, match="n_neurons"):
        effective_features(codes, 0)


def test_the_nearest_mean_is_by_distance():
    labels = np.repeat([0, 1, 2], 3)
    rows = np.array([0.0, 1.0, 10.0])[labels][:, None] + np.tile([-0.1, 0.0, 0.1], 3)[:, None]
    assert neural_collapse(rows, labels).to_frame()["estimate"]["nc4"] == 0.0


def test_signs_of_codes_do_not_cancel():
    assert effective_features([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]], 1).estimate == pytest.approx(2.0)


def test_in_one_dimension_spread_within_over_between_is_that_of_the_analysis_of_variance():
    """With C classes of n rows, the variance between them estimated without bias, nc1 is n / ((C - 1) (F - 1))."""
    Z = np.random.default_rng(0).normal(size=(3, 4)) + np.array([[0.0], [2.0], [5.0]])
    found = neural_collapse(Z.reshape(-1, 1), np.repeat([0, 1, 2], 4)).estimate
    assert found == pytest.approx(4 / (2 * (f_oneway(*Z).statistic - 1)))
