"""Spectra that are known by construction, and values of published code."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning, IdentificationWarning
from causalinv.representation import (
    condition_number,
    effective_rank,
    equivariance_score,
    gaussian_information,
    participation_ratio,
    rank_me,
    spectral_exponent,
)


def orthonormal(n, k, seed=0, centred=True):
    Z = np.random.default_rng(seed).normal(size=(n, k))
    return np.linalg.qr(Z - Z.mean(axis=0) if centred else Z)[0]


def power_law(n, k, exponent, seed=0):
    """Rows whose sample covariance has eigenvalues j^-exponent, exactly."""
    return orthonormal(n, k, seed) * np.arange(1.0, k + 1) ** (-exponent / 2)


@pytest.mark.parametrize("n", [12, 300])  # both sides of the choice between rows and their triangle
def test_equal_directions_count_as_their_number(n):
    Z = orthonormal(n, 8)
    for measure in (rank_me, effective_rank, participation_ratio):
        found = measure(5.0 * Z)
        assert found.estimate == pytest.approx(8.0, rel=1e-5)
        assert np.isnan(found.standard_error)
        assert measure(np.eye(n)[:, :1] * np.ones((1, 4))).estimate == pytest.approx(1.0, rel=1e-5)


def test_singular_and_eigenvalues_are_not_confused():
    Z = orthonormal(50, 2) * [1.0, 0.5]
    shares = {"values": np.array([1.0, 0.5]) / 1.5, "squares": np.array([1.0, 0.25]) / 1.25}
    rank = {name: np.exp(-np.sum(p * np.log(p))) for name, p in shares.items()}
    assert rank_me(Z).estimate == pytest.approx(rank["values"], rel=1e-5)
    assert effective_rank(Z).estimate == pytest.approx(rank["squares"], rel=1e-9)
    assert participation_ratio(Z).estimate == pytest.approx(1.25**2 / (1 + 1 / 16))


def test_an_offset_is_one_more_direction_unless_centred():
    Z = orthonormal(50, 4) + 10.0
    found = rank_me(Z)
    assert found.estimate < 2 < found.to_frame()["centered"].iloc[0]
    assert rank_me(Z, center=True).estimate == pytest.approx(4.0, rel=1e-5)
    assert effective_rank(Z).estimate == pytest.approx(4.0)


def test_epsilon_is_added_to_every_share():
    p = np.array([0.5, 0.5, 0.0]) + 0.1
    found = rank_me(np.diag([1.0, 1.0, 0.0]), eps=0.1)
    assert found.estimate == pytest.approx(np.exp(-np.sum(p * np.log(p))))


def test_units_of_all_columns_together_do_not_matter():
    Z = np.random.default_rng(1).normal(size=(60, 5)) * np.arange(1, 6)
    for measure in (rank_me, effective_rank, participation_ratio, spectral_exponent):
        for unit in (1e-150, 1e150):
            if measure is not spectral_exponent:
                assert measure(unit * Z).estimate == pytest.approx(measure(Z).estimate)


def test_the_participation_ratio_of_equal_eigenvalues_falls_short_as_said():
    Z = np.random.default_rng(0).normal(size=(200, 50))
    assert participation_ratio(Z).estimate == pytest.approx(50 / (1 + 50 / 200), rel=0.04)


def test_rows_that_do_not_vary_are_nan_with_a_warning():
    for measure in (effective_rank, participation_ratio):
        with pytest.warns(DegenerateInputWarning):
            assert np.isnan(measure(np.full((20, 3), 0.1)).estimate)
    with pytest.warns(DegenerateInputWarning):
        assert np.isnan(rank_me(np.zeros((20, 3))).estimate)


@pytest.mark.parametrize("exponent", [0.8, 1.5, 3.0])
def test_an_exact_power_law_gives_its_exponent(exponent):
    """Sample eigenvalues that are a power law exactly: what is corrected for is of order 1 / n."""
    found, many = (spectral_exponent(power_law(n, 20, exponent)) for n in (500, 50_000))
    assert abs(many.estimate - exponent) < 1e-3
    if exponent > 1:  # below, neighbours nearly tie at 500 rows
        assert found.estimate - exponent == pytest.approx(100 * (many.estimate - exponent), rel=0.2)
    found = many
    assert found.to_frame()["r2"].iloc[0] == pytest.approx(1.0)
    assert found.to_frame()["last_rank"].iloc[0] == 20


def test_the_tail_that_is_removed_is_lawleys():
    Z = power_law(200, 60, 1.5)
    values = np.arange(1.0, 61) ** -1.5 / 199
    used, tail = values[:20], values[40:]
    x = np.log(np.arange(1, 21))
    y = np.log(used / (1 + (tail / (used[:, None] - tail)).sum(axis=1) / 200))
    assert spectral_exponent(Z).estimate == pytest.approx(-np.polyfit(x, y, 1)[0], rel=1e-6)


def test_ranks_beyond_a_tenth_of_the_rows_warn_and_are_biased_as_said():
    sd = np.arange(1, 101.0) ** -0.75
    rng = np.random.default_rng(0)
    with pytest.warns(ExtrapolationWarning, match="too large"):
        wide = [spectral_exponent(rng.normal(size=(100, 99)) * sd[:99], ranks=range(1, 99)).estimate for _ in range(3)]
    assert np.mean(wide) > 2.0
    honest = [spectral_exponent(rng.normal(size=(100, 100)) * sd).estimate for _ in range(15)]
    assert np.mean(honest) == pytest.approx(1.5, abs=0.06)  # s.e. of the mean 0.014


@pytest.mark.parametrize("exponent", [0.8, 1.5])
def test_the_interval_covers(exponent):
    rng, sd = np.random.default_rng(3), np.arange(1, 61.0) ** (-exponent / 2)
    hits = 0
    for _ in range(150):
        low, high = spectral_exponent(rng.normal(size=(300, 60)) * sd).conf_int
        hits += low <= exponent <= high
    assert hits / 150 > 0.95 - 4 * np.sqrt(0.05 * 0.95 / 150)


def test_ranks_are_checked():
    Z = np.random.default_rng(0).normal(size=(100, 6))
    with pytest.raises(ValueError, match="30 rows"):
        spectral_exponent(Z[:20])
    for ranks in ([1, 2], [0, 1, 2], [1, 2, 7], [1.5, 2, 3], [1, 1, 2]):
        with pytest.raises(ValueError, match="ranks must be"):
            spectral_exponent(Z, ranks=ranks)
    with pytest.raises(ValueError, match="above rounding"):
        spectral_exponent(Z @ np.ones((6, 6)), ranks=[1, 2, 3])


def test_weights_of_known_singular_values():
    rng = np.random.default_rng(0)
    left, right = orthonormal(5, 5, 1, False), orthonormal(4, 4, 2, False)
    sizes = np.array([3.0, 2.0, 1.0, 0.5])
    W = left[:, :4] * sizes @ right
    assert condition_number(W).estimate == pytest.approx(6.0)
    assert gaussian_information(W).estimate == pytest.approx(np.log(3.0))
    square = rng.normal(size=(4, 4))
    assert gaussian_information(square).estimate == pytest.approx(np.linalg.slogdet(square)[1])
    assert condition_number(left).estimate == pytest.approx(1.0)
    with pytest.warns(DegenerateInputWarning, match="rank 1 of 2"):
        assert condition_number(np.ones((2, 2))).estimate == np.inf
    with pytest.warns(DegenerateInputWarning):
        assert gaussian_information(np.ones((2, 3))).estimate == -np.inf
    with pytest.raises(ValueError, match="W must be a matrix"):
        condition_number([1.0, 2.0])


def test_a_result_says_what_it_estimates():
    found = rank_me(np.eye(5))
    assert "directions" in str(found)
    assert "<table" in found._repr_html_()
    assert "no standard error is claimed" in str(found)
    assert list(found.to_frame()["estimate"]) == [found.estimate]
    assert np.isnan(found.conf_int).all()


@pytest.mark.parametrize("unit", [1e-150, 1e-100, 1e100, 1e150])
def test_scores_and_exponents_are_free_of_units(unit):
    rng = np.random.default_rng(5)
    Z = rng.normal(size=(120, 4)) * np.arange(1, 5)
    moved, G = Z + 0.1 * rng.normal(size=Z.shape), rng.normal(size=(120, 1))
    first, second = spectral_exponent(Z), spectral_exponent(unit * Z)
    assert second.conf_int == pytest.approx(first.conf_int, rel=1e-9)
    first, second = equivariance_score(Z, moved, G), equivariance_score(unit * Z, unit * moved, unit * G)
    assert second.conf_int == pytest.approx(first.conf_int, rel=1e-6)


def test_a_spectrum_too_flat_for_the_rows_is_said():
    Z = power_law(200, 20, 0.5)
    with pytest.warns(IdentificationWarning, match="too flat for 200 rows.*rank 20") as told:
        a = spectral_exponent(Z).estimate
    # The gap from 20^-a to 21^-a, and the error of an eigenvalue of normal rows, a share sqrt(2 / 200) of it.
    said = float(re.search(r"differ by (\S+) of their", str(told[0].message))[1])
    assert said == pytest.approx((1 - (20 / 21) ** a) / np.sqrt(2 / 200), abs=0.02)


def test_the_standard_error_is_the_spread_of_the_exponent_where_rows_are_few():
    """14 rows less 5 ranks and the mean: by 14 in place of these 8 variances would come out as .57 of the truth."""
    rng, sd = np.random.default_rng(0), np.arange(1, 6.0) ** -2.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)  # of ranks beyond a tenth of the rows
        found = [spectral_exponent(rng.normal(size=(14, 5)) * sd, ranks=range(1, 6)) for _ in range(400)]
    variance = np.var([each.estimate for each in found])
    ratio = np.mean([each.standard_error**2 for each in found]) / variance
    assert ratio == pytest.approx(0.95, abs=4 * np.sqrt(2 / 400))  # .95 of 3,000


def test_the_interval_covers_where_ranks_go_to_the_last_column(recwarn):
    """What all directions do to each other counts: without it this cell covered .14 of 400."""
    rng, held = np.random.default_rng(5), 0
    for _ in range(150):
        table = spectral_exponent(rng.normal(size=(200, 20)) / np.sqrt(np.arange(1.0, 21.0))).table.iloc[0]
        held += table["lower"] <= 1.0 <= table["upper"]
    assert held >= 0.86 * 150  # .94 of 400 measured, less four standard errors


PUBLISHED = {  # calc_rankme of decalmlutils 0.0.13 (PyPI; torch 2.13.0, float64) on the rows of golden/diffusion.json
    "as they are": (lambda Z: Z, 2.960283639501426),
    "shifted by 10": (lambda Z: Z + 10, 1.4999786042411862),
    "nine rows, turned": (lambda Z: Z[:9].T, 2.535607722509627),
    "squares and products": (lambda Z: np.column_stack([Z, Z**2, Z[:, :1] * Z[:, 1:]]), 6.854621379890957),
    "rank 2 of 5": (lambda Z: Z[:, :2] @ np.arange(10.0).reshape(2, 5), 1.4699110802594337),
}


@pytest.mark.parametrize("case", PUBLISHED)
def test_rank_me_is_that_of_published_code(case):
    make, value = PUBLISHED[case]
    rows = np.array(json.loads((Path(__file__).parents[1] / "golden" / "diffusion.json").read_text())["Z"])
    assert rank_me(make(rows)).estimate == pytest.approx(value, rel=1e-12)


def test_rank_me_of_the_tables_that_others_test_with():
    """The values that tensorflow/gnn asserts (contrastive_losses/metrics_test.py, a33b65d): 2 and 1."""
    assert rank_me([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]).estimate == pytest.approx(2.0, rel=1e-5)
    assert rank_me(np.ones((4, 2))).estimate == pytest.approx(1.0, rel=1e-5)


@pytest.mark.slow
def test_published_code_that_takes_eigenvalues_is_the_effective_rank():
    """reptrix (arnab39/reptrix) calls this RankMe and asserts 613.4726 for torch.randn(1000, 1024), seed 0.

    It takes eigenvalues of the centred covariance, with 1e-7 added to each share: that is `effective_rank` but for
    1e-7. For the shares of any such table the addition is known to first order.
    """
    torch = pytest.importorskip("torch", reason="the published code is in torch (extra torch)")
    rows = torch.randn(1000, 1024, generator=torch.Generator().manual_seed(0)).numpy().astype(float)
    found = effective_rank(rows).estimate
    sizes = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)[:-1] ** 2
    share = sizes / sizes.sum()
    added = found * -1e-7 * np.sum(np.log(share) + 1.0)
    assert found + added == pytest.approx(613.4726, abs=2e-3)
