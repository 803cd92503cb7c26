"""Diffusion entropy against the published code (golden file), closed forms, and the size of its test."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

import causalinv.representation._entropy as entropy_module
from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning
from causalinv.representation import diffusion_information_test, diffusion_spectral_entropy

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "diffusion.json").read_text())
Z = np.array(GOLDEN["Z"])
LABELS = np.arange(len(Z)) % 3


@pytest.mark.parametrize("case", GOLDEN["entropy"], ids=lambda case: f"{case['sigma']}-{case['t']}")
def test_entropy_is_that_of_the_published_code(case):
    found = diffusion_spectral_entropy(Z, bandwidth=case["sigma"], t=case["t"])
    assert found.estimate == pytest.approx(case["entropy"], abs=1e-9)
    assert found.to_frame()["captured"].iloc[0] == 1.0


def test_mutual_information_is_within_the_noise_of_the_published_seeds():
    published = np.array(GOLDEN["mutual information at sigma 1, seeds 0 to 19"])
    found = diffusion_information_test(Z, LABELS, bandwidth=1.0, n_permutations=199, random_state=0)
    assert found.statistic == pytest.approx(published.mean(), abs=4 * published.std() / np.sqrt(20))
    assert found.pvalue == pytest.approx(1 / 200)


@pytest.mark.parametrize("base", [2.0, np.e])
def test_far_points_and_tight_clusters_have_known_entropies(base):
    far = 1e3 * np.arange(40.0)[:, None]
    assert diffusion_spectral_entropy(far, bandwidth=1.0, base=base).estimate == pytest.approx(
        np.log(40) / np.log(base)
    )
    clusters = 1e3 * (np.arange(40.0) % 4)[:, None]
    found = diffusion_spectral_entropy(clusters, bandwidth=1.0, base=base)
    assert found.estimate == pytest.approx(np.log(4) / np.log(base))


def test_the_median_bandwidth_makes_units_irrelevant():
    first, second = diffusion_spectral_entropy(Z), diffusion_spectral_entropy(1e3 * Z)
    assert second.estimate == pytest.approx(first.estimate)
    assert second.to_frame()["bandwidth"].iloc[0] == pytest.approx(1e3 * first.to_frame()["bandwidth"].iloc[0])


def test_a_median_of_zero_has_a_fallback_and_one_point_has_no_entropy():
    mostly = np.r_[np.zeros(30), 5.0][:, None]
    found = diffusion_spectral_entropy(mostly).to_frame()["bandwidth"].iloc[0]
    assert found == pytest.approx(np.sqrt(25.0 * 30 / (31 * 30 / 2)))
    with pytest.warns(DegenerateInputWarning, match="one point"):
        assert diffusion_spectral_entropy(np.ones((5, 2))).estimate == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("width", [0.2, 1.0, "median"])
def test_nystroem_is_near_the_exact_entropy_at_every_width(width, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(240, 3))
    exact = diffusion_spectral_entropy(rows, bandwidth=width).estimate
    monkeypatch.setattr(entropy_module, "EXACT_ROWS", 239)
    found = diffusion_spectral_entropy(rows, bandwidth=width, n_landmarks=20, random_state=0)
    assert found.estimate == pytest.approx(exact, abs=0.05)  # bits; landmarks are doubled until that
    assert found.to_frame()["error"].iloc[0] < 0.05
    assert "Nyström" in str(found.notes)
    monkeypatch.setattr(entropy_module, "_MOST_LANDMARKS", 40)
    if width == 0.2:
        with pytest.warns(ExtrapolationWarning, match="with 40 landmarks may be off"):
            assert diffusion_spectral_entropy(rows, bandwidth=width, n_landmarks=40, random_state=0).estimate != exact
    whole = diffusion_spectral_entropy(rows, bandwidth=width, n_landmarks=240, random_state=0)
    assert whole.estimate == pytest.approx(exact, rel=1e-4 if width == "median" else 1e-6)
    assert whole.to_frame()["captured"].iloc[0] == pytest.approx(1.0, abs=1e-6)


def test_nystroem_of_far_points_is_exact_however_few_landmarks(monkeypatch):
    monkeypatch.setattr(entropy_module, "EXACT_ROWS", 10)
    far = 1e3 * np.arange(64.0)[:, None]
    found = diffusion_spectral_entropy(far, bandwidth=1.0, n_landmarks=5, random_state=0)
    assert found.estimate == pytest.approx(6.0)
    assert found.to_frame()["captured"].iloc[0] == pytest.approx(5 / 64)


@pytest.mark.parametrize("rows", [60, 61])  # whole spectra; features beyond
def test_the_level_holds(rows, monkeypatch):
    monkeypatch.setattr(entropy_module, "_TEST_EXACT", 60)
    monkeypatch.setattr(entropy_module, "_TEST_LANDMARKS", 20)
    rng = np.random.default_rng(5)
    pvalues = [
        diffusion_information_test(
            rng.normal(size=(rows, 2)), rng.integers(0, 2, rows), n_permutations=19, random_state=rng
        ).pvalue
        for _ in range(120)
    ]
    assert abs(np.mean(np.array(pvalues) <= 0.05) - 0.05) < 4.5 * np.sqrt(0.05 * 0.95 / 120)
    assert np.mean(pvalues) == pytest.approx(0.525, abs=4 * 0.29 / np.sqrt(120))


def test_classes_that_are_more_spread_give_a_negative_number():
    """Two classes that each hold both ends: random halves hold them as well, so little is left; never clipped at 0."""
    ends = np.repeat([0.0, 1.0], 20)[:, None]
    balanced = np.tile([0, 1], 20)
    found = diffusion_information_test(ends, balanced, bandwidth=0.5, random_state=0)
    assert found.statistic < 0
    assert found.pvalue > 0.5
    assert "less spread" in found.note


def test_labels_of_any_kind_and_lone_rows():
    named = np.array(["a", "b", "c"])[LABELS]
    first = diffusion_information_test(Z, LABELS, n_permutations=9, random_state=1)
    again = diffusion_information_test(Z, list(named), n_permutations=9, random_state=1)
    assert (first.statistic, first.pvalue) == (again.statistic, again.pvalue)
    with pytest.raises(ValueError, match="one row"):
        diffusion_information_test(Z[:5], [0, 0, 1, 1, 2])
    with pytest.raises(ValueError, match="labels"):
        diffusion_information_test(Z[:5], [0] * 5)
    with pytest.raises(ValueError, match="bandwidth"):
        diffusion_spectral_entropy(Z, bandwidth="mean")
    with pytest.raises(ValueError, match="base"):
        diffusion_spectral_entropy(Z, base=1.0)


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
def test_entropies_are_free_of_units_to_the_ends_of_floats(unit):
    """Squared distances of these are 0 or infinite: the entropy was 0, 'all rows are one point'."""
    unit = 2.0 ** np.round(np.log2(unit))
    for width in ("median", 0.8):
        given = width if isinstance(width, str) else width * unit
        plain, other = (
            diffusion_spectral_entropy(Z, bandwidth=width),
            diffusion_spectral_entropy(unit * Z, bandwidth=given),
        )
        assert other.estimate == pytest.approx(plain.estimate, rel=1e-9)
        assert other.to_frame()["bandwidth"].iloc[0] == pytest.approx(unit * plain.to_frame()["bandwidth"].iloc[0])
        first, second = (
            diffusion_information_test(u * Z, LABELS, bandwidth=b, n_permutations=9, random_state=0)
            for u, b in ((1.0, width), (unit, given))
        )
        assert second.statistic == pytest.approx(first.statistic, abs=1e-9)
    for narrow, value in ((1e-300, np.log2(len(Z))), (1e300, 0.0)):
        assert diffusion_spectral_entropy(Z, bandwidth=narrow).estimate == pytest.approx(value, abs=1e-9)


def test_a_bandwidth_below_the_rounding_of_distances():
    """Two tight clusters and a row far out: exact up to 5,000 rows; beyond, distances come from products: it raises."""
    rows = np.r_[np.zeros(20), np.full(20, 1.0), 1e9][:, None] + 0.0
    found = diffusion_spectral_entropy(rows, bandwidth=0.05)
    assert found.estimate == pytest.approx(np.log2(3), abs=1e-6)  # three walks that do not meet, each with eigenvalue 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entropy_module, "EXACT_ROWS", 40)
        with pytest.raises(ValueError, match="below a millionth of the size of Z"):
            diffusion_spectral_entropy(rows, bandwidth=0.05)


def test_the_default_bandwidth_is_the_median_distance_of_two_rows():
    rows = np.random.default_rng(0).exponential(size=(7, 2)) ** 3
    table = diffusion_spectral_entropy(rows).to_frame()
    assert table["bandwidth"].iloc[0] == pytest.approx(np.median(pdist(rows)))  # of 21, so one of them
