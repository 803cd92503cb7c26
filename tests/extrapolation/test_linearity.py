"""The test of linear invariance: its level, its power, and what it cannot be used for."""

import numpy as np
import pytest
from scipy.stats import binom, kstest

from causalinv._parallel import generator
from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, linear_invariance_test
from causalinv.extrapolation._scores import distance_correlation_test


def rejections(n_data, *, n_resamples=99, **kwargs):
    return np.mean(
        [
            linear_invariance_test(d.Z, d.action, n_resamples=n_resamples, random_state=seed).pvalue <= 0.05
            for seed in range(n_data)
            for d in [make_extrapolation_data(random_state=seed + 5000, **kwargs)]
        ]
    )


def test_size_is_not_far_from_the_level():
    rate = rejections(80, n_samples=300)
    low, high = binom.ppf([1e-4, 1 - 1e-4], 80, 0.05) / 80
    assert low <= rate <= high


def test_power_against_a_curved_action():
    assert rejections(12, n_samples=600, action_curvature=0.5, n_latent=1) > 0.9


def test_constants_and_units_do_not_matter():
    data = make_extrapolation_data(300, random_state=0)
    first = linear_invariance_test(data.Z, data.action, random_state=1)
    moved = linear_invariance_test(
        data.Z @ [[3.0, 1.0], [0.0, -2.0]] + data.action @ [[5.0, 0.0], [1.0, 1.0]] + 4,
        10 * data.action - 3,
        random_state=1,
    )
    assert first.pvalue == pytest.approx(moved.pvalue, abs=0.004)  # a tie with a resample may fall to either side
    assert first.statistic == pytest.approx(moved.statistic, rel=1e-8)


def test_statistic_is_the_definition_written_out():
    data = make_extrapolation_data(60, n_latent=1, random_state=2)
    A = (data.action - data.action.mean()) / data.action.std()
    design = np.column_stack([np.ones(60), A])
    residual = data.Z - design @ np.linalg.lstsq(design, data.Z, rcond=None)[0]
    residual = residual / residual.std()
    gaps = np.abs(A - A.T)
    kernel = np.exp(-(gaps**2) / (2 * np.median(gaps[np.triu_indices(60, 1)]) ** 2))
    by_hand = sum(residual[i, 0] * kernel[i, j] * residual[j, 0] for i in range(60) for j in range(60)) / 60
    assert linear_invariance_test(data.Z, data.action, random_state=0).statistic == pytest.approx(by_hand, rel=1e-9)


def test_pvalue_is_that_of_residuals_refitted_after_every_flip():
    data = make_extrapolation_data(50, n_latent=1, action_curvature=0.5, random_state=2)
    A = (data.action - data.action.mean()) / data.action.std()
    design = np.column_stack([np.ones(50), A])
    left = lambda rows: rows - design @ np.linalg.lstsq(design, rows, rcond=None)[0]  # noqa: E731
    residual = left(data.Z) / left(data.Z).std()
    gaps = np.abs(A - A.T)
    kernel = np.exp(-(gaps**2) / (2 * np.median(gaps[np.triu_indices(50, 1)]) ** 2))
    signs = generator(3, "linear invariance test").choice([-1.0, 1.0], (50, 199))
    drawn = [(r.T @ kernel @ r).item() / 50 for r in (left(s[:, None] * residual) for s in signs.T)]
    found = linear_invariance_test(data.Z, data.action, n_resamples=199, random_state=3)
    assert found.pvalue == (1 + np.sum(np.array(drawn) >= found.statistic)) / 200


def test_training_rows_are_noticed():
    data = make_extrapolation_data(1200, random_state=0)
    encoder = LinearInvarianceEncoder(method="ef", n_repeats=1, bandwidths=(1.0,), random_state=0)
    encoder.fit(data.X[:800], action=data.action[:800])
    with pytest.warns(ExtrapolationWarning, match=r"100% of these rows are rows on which the encoder was fitted"):
        encoder.linearity_test(data.X[:500], action=data.action[:500], n_resamples=19)
    with pytest.warns(ExtrapolationWarning, match=r"60% of these rows are rows"):
        encoder.linearity_test(data.X[740:840], action=data.action[740:840], n_resamples=19)
    encoder.linearity_test(data.X[760:860], action=data.action[760:860], n_resamples=19)  # of 40% nothing is said
    result = encoder.linearity_test(data.X[800:], action=data.action[800:], n_resamples=99)
    assert 0.01 <= result.pvalue <= 1
    assert "linear in the action" in " ".join(str(result).split())
    assert result.to_frame().loc[0, "pvalue"] == result.pvalue


def test_distance_correlation_sees_what_correlation_does_not():
    rng = np.random.default_rng(0)
    a = rng.uniform(-1, 1, (400, 1))
    assert distance_correlation_test(a**2, a, rng)[1] < 0.02
    assert distance_correlation_test(a, 3 * a + 1, rng) == pytest.approx((1, 1 / 200), rel=1e-9)  # of 199 resamples
    pvalues = [distance_correlation_test(rng.normal(size=(60, 2)), rng.normal(size=(60, 1)), rng)[1] for _ in range(40)]
    # Of independent samples 40 p-values are uniform: Kolmogorov's distance is below 0.30 but once in 1000.
    assert kstest(pvalues, "uniform").statistic < 0.3
    assert np.mean(pvalues) == pytest.approx(0.5, abs=3.3 / np.sqrt(12 * 40))


@pytest.mark.slow
def test_size_over_many_data_sets():
    for noise in ("gaussian", "laplace"):
        assert 0.01 <= rejections(200, n_samples=600, n_resamples=299, noise=noise) <= 0.10


@pytest.mark.parametrize("levels", ["mostly zero", "two", "two, sorted"])
def test_few_levels_of_the_action_do_not_reject(levels):
    pvalues = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        A = (
            rng.uniform(-1, 1, 400) * (rng.random(400) < 0.25)
            if levels == "mostly zero"
            else 1.0 * (rng.random(400) < 0.3)
        )
        A = np.sort(A) if levels.endswith("sorted") else A
        pvalues.append(linear_invariance_test(A + rng.normal(size=400), A, n_resamples=99, random_state=seed).pvalue)
    assert np.mean(np.array(pvalues) <= 0.05) <= 0.15  # 40 draws of a rate of .05: above 6 in 1 of 300


@pytest.mark.parametrize("size", [2.0**-600, 1e-160, 1e160, 2.0**600])
def test_huge_and_tiny_units_do_not_matter(size):
    data = make_extrapolation_data(200, n_latent=1, action_curvature=0.8, random_state=0)
    plain = linear_invariance_test(data.Z, data.action, random_state=1)
    assert plain.pvalue < 0.02
    for moved in (
        linear_invariance_test(data.Z * size, data.action, random_state=1),
        linear_invariance_test(data.Z, data.action * size, random_state=1),
    ):
        assert moved.pvalue == pytest.approx(plain.pvalue, abs=0.004)
        assert moved.statistic == pytest.approx(plain.statistic, rel=1e-9)


@pytest.mark.parametrize(("n", "k"), [(20, 3), (40, 6)])
def test_size_where_actions_are_many_beside_the_rows(n, k):
    """Residuals are shrunk by leverage; flipped as they were, the true null was rejected in .22 and .24."""
    rng, rejected = np.random.default_rng(8), 0
    for seed in range(150):
        action = rng.normal(size=(n, k))
        phi = action @ np.ones((k, 2)) + rng.normal(size=(n, 2))
        rejected += linear_invariance_test(phi, action, n_resamples=99, random_state=seed).pvalue <= 0.05
    assert rejected <= binom.isf(1e-3, 150, 0.05)
