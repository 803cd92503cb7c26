"""Fingerprints of rows: every row found again, chance left alone, many rows kept by their smallest."""

import numpy as np
import pytest
from scipy.stats import poisson

from causalinv import _fingerprints
from causalinv._fingerprints import fingerprints


def rows(seed=0, n=500):
    return np.random.default_rng(seed).normal(size=(n, 3)) * [1.0, 1e-8, 1e9]


def test_each_row_is_found_in_any_order_and_no_other():
    known = fingerprints(rows()[:, :2], rows()[:, 2])
    asked = np.r_[rows()[::-3], rows(1)]
    found = known.repeats(asked)
    assert (found.found, found.of) == (167, 667)
    assert found.beyond_chance
    assert not found.coarse
    assert known.repeats(rows(1)).found == 0
    assert known.repeats(rows()[:, :2]).found == 0  # other columns
    one_entry = rows()
    one_entry[:, 1] *= 1 + 1e-6
    assert known.repeats(one_entry).found == 0


def test_rounding_zeros_and_powers_of_two_are_no_difference():
    x = np.array([[1.0, 0.0, -2.0], [0.5, -0.0, 1e-300], [-4.0, 3.0, 1e300]])
    near = np.where(x == 0, -x, x * (1 - 2.0**-50))
    assert fingerprints(x).repeats(near).found == 3
    assert fingerprints(np.array([[1.0]])).repeats(np.array([[2.0], [-1.0], [0.5]])).found == 0


@pytest.mark.parametrize("seed", range(5))
def test_coarse_rows_are_never_beyond_chance(seed):
    rng = np.random.default_rng(seed)
    for top, coarse in ((3, True), (40, True), (4000, False)):
        old, new = (rng.integers(top, size=(400, 2)) for _ in range(2))
        found = fingerprints(old).repeats(new.astype(float))
        assert not found.beyond_chance
        assert found.coarse == coarse


def test_a_few_rows_among_many():
    known = fingerprints(rows(n=300))
    assert known.repeats(np.r_[rows(1, 4000), rows(n=300)[:20]]).beyond_chance
    assert not known.repeats(np.r_[rows(1, 4000), rows(n=300)[:1]]).beyond_chance


def test_of_many_rows_the_smallest_are_kept(monkeypatch):
    monkeypatch.setattr(_fingerprints, "_KEPT", 100)
    known = fingerprints(rows())
    assert len(known.prints) == 100
    found = known.repeats(np.r_[rows()[:250], rows(1)])
    assert 30 < found.found < 70
    assert found.of > found.found
    assert found.beyond_chance
    assert known.repeats(rows(1)).found == 0


def test_rows_of_ones_and_zeros_are_told_apart():
    """Patterns of 16 columns, whose entries differ in the exponent alone: no two of 65,536 rows share a fingerprint."""
    patterns = ((np.arange(1 << 16)[:, None] >> np.arange(16)) & 1).astype(float)
    assert len(np.unique(fingerprints(patterns).prints)) == 1 << 16
    swapped = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [3.0, 2.0, 1.0]])
    assert len(np.unique(fingerprints(swapped).prints)) == 3
    assert fingerprints(swapped[:, :2], swapped[:, 2]).repeats(swapped).found == 3  # blocks, or side by side


def test_repeats_are_beyond_chance_below_one_in_a_million():
    """No equal rows within 300 and 300 say that at most about 3 pairs of them come about by chance."""
    known = fingerprints(rows(n=300))
    for k in range(1, 30):
        asked = np.r_[rows(n=300)[:k], rows(1, 300)[k:]]
        assert known.repeats(asked).beyond_chance == (poisson.sf(k - 1, 3.0) <= 1e-6)


@pytest.mark.parametrize(("twins", "coarse"), [(10, False), (12, True)])
def test_rows_are_coarse_from_a_twentieth_with_a_twin(twins, coarse):
    asked = rows(1, 100)
    asked[1:twins:2] = asked[0:twins:2]
    assert fingerprints(rows(n=100)).repeats(asked).coarse == coarse


def test_thirty_bits_of_an_entry_count():
    """1.5 in steps of 2^-29: three of them are another number, an eighth of one is none."""
    known = fingerprints(np.array([[1.5]]))
    assert known.repeats(np.array([[1.5 + 2.0**-27.5]])).found == 0
    assert known.repeats(np.array([[1.5 + 2.0**-32]])).found == 1
