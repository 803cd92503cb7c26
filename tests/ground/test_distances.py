"""Distances and spectra of the ground against scipy, closed forms, and extreme units."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import entropy, linregress

from causalinv import _distances
from causalinv._distances import blocks, mean_distances, moved_share, squared_distances
from causalinv._matrix import entropy_rank, participation_ratio, power_slope

Z = np.random.default_rng(0).normal(size=(37, 3))


def test_blocks_cover_every_row_once():
    for n in (1, 6, 7, 8, 21):
        assert [i for part in blocks(n, 7) for i in range(n)[part]] == list(range(n))
    assert list(blocks(0)) == []


def test_squared_distances_are_scipys_and_never_negative():
    np.testing.assert_allclose(squared_distances(Z, Z[:5]), cdist(Z, Z[:5]) ** 2, atol=1e-13)
    assert squared_distances(1e3 + Z, 1e3 + Z).min() >= 0


def test_mean_distances_leave_the_row_itself_out():
    own = mean_distances(Z, np.random.default_rng(0))
    np.testing.assert_allclose(own, squareform(pdist(Z)).sum(axis=1) / 36, rtol=1e-12)
    many = np.random.default_rng(1).normal(size=(1200, 2))  # all pairs, where they are in several blocks too
    own = mean_distances(many, np.random.default_rng(0))
    np.testing.assert_allclose(own, squareform(pdist(many)).sum(axis=1) / 1199, rtol=1e-12)


def test_moved_share_is_a_ratio_whose_influence_is_its_jackknife():
    moved = Z + [0.5, 0.0, 0.0] + 0.1 * Z**2
    rng = np.random.default_rng(0)

    def share(at):
        return np.linalg.norm(moved[at] - Z[at], axis=1).mean() / pdist(Z[at]).mean()

    every = np.arange(37)
    found, influence = moved_share(Z, moved, rng)
    assert found == pytest.approx(share(every), rel=1e-12)
    jackknife = np.array([36 * (found - share(np.delete(every, i))) for i in every])
    np.testing.assert_allclose(influence, jackknife, atol=0.15 * influence.std())
    assert influence.mean() == pytest.approx(0.0, abs=1e-12)


def test_rows_that_are_one_point_have_no_share():
    share, influence = moved_share(np.full((9, 2), 0.1), np.zeros((9, 2)), np.random.default_rng(0))
    assert np.isnan(share)
    assert np.isnan(influence).all()


def test_blocks_of_rows_keep_every_row(monkeypatch):
    monkeypatch.setattr(_distances, "EXACT_ROWS", 10)
    own = mean_distances(Z, np.random.default_rng(0))
    assert np.all(own > 0)
    assert own.mean() == pytest.approx(pdist(Z).mean(), rel=0.15)


@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
def test_spectra_are_free_of_units(unit):
    sizes = np.array([4.0, 2.0, 1.0, 0.0])
    assert entropy_rank(unit * sizes) == pytest.approx(np.exp(entropy(sizes)))
    assert participation_ratio(unit * sizes) == pytest.approx(49 / 21)
    p = sizes / 7 + 0.1
    assert entropy_rank(unit * sizes, offset=0.1) == pytest.approx(np.exp(-np.sum(p * np.log(p))))


def test_spectra_of_nothing_are_nan_and_the_slope_is_scipys():
    for measure in (entropy_rank, participation_ratio):
        assert np.isnan(measure(np.zeros(3)))
        assert np.isnan(measure(np.empty(0)))
        assert measure(np.ones(5)) == pytest.approx(5.0)
    ranks, values = np.array([1.0, 2.0, 5.0, 9.0]), np.array([7.0, 3.0, 2.0, 0.5])
    assert power_slope(ranks) @ np.log(values) == pytest.approx(linregress(np.log(ranks), np.log(values)).slope)
