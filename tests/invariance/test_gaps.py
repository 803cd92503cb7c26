"""Gaps equal their definitions on rows, and the facts that hold between them; populations give them exactly."""

import numpy as np
import pytest
from scipy import integrate, stats

from causalinv import Moments
from causalinv.datasets import make_invariance_environments
from causalinv.invariance import SubsetStatistics, invariance_gaps, sweep
from causalinv.invariance.rules._gaps import METRICS
from causalinv.invariance.subsets._subset_gaps import subset_gaps
from causalinv.sem import Shift, random_sem, random_unfaithful_sem, textbook_sem

QUADRATIC = ("relative_excess", "excess", "coefficient", "gradient")


def rows(seed=0):
    rng = np.random.default_rng(seed)
    e = np.repeat([0, 1, 2], [50, 70, 90])
    X = rng.normal(size=(len(e), 4)) @ rng.normal(size=(4, 4)) + e[:, None]
    return X, X @ [1.0, -1.0, 0.5, 0.0] + 0.5 * e * X[:, 3] + rng.normal(size=len(e)) * (1 + e), e


def ls(design, y):
    return np.linalg.lstsq(design, y, rcond=None)[0]


def test_each_metric_is_its_definition_on_rows():
    X, y, e = rows()
    phi = np.random.default_rng(1).normal(size=(2, 4))
    moments = Moments.from_rows(x=X, y=y, environments=e)
    found = {m: invariance_gaps(moments, phi, metric=m) for m in METRICS}
    design = np.c_[np.ones(len(y)), X @ phi.T]
    w = ls(design, y)
    residual = y - design @ w
    pooled_mean_square = np.average([np.mean(residual[e == k] ** 2) for k in range(3)], weights=np.bincount(e))
    risks = np.array([np.mean(residual[e == k] ** 2) for k in range(3)])
    for k in range(3):
        D, r = design[e == k], residual[e == k]
        own = ls(D, y[e == k])
        least = np.mean((y[e == k] - D @ own) ** 2)
        assert found["excess"][k] == pytest.approx(np.mean(r**2) - least, rel=1e-9)
        assert found["relative_excess"][k] == pytest.approx(np.mean(r**2) / least - 1, rel=1e-9)
        assert found["coefficient"][k] == pytest.approx(np.sqrt(np.mean((design @ (own - w)) ** 2)), rel=1e-9)
        assert found["gradient"][k] == pytest.approx(np.linalg.norm(D.T @ r / len(r)), rel=1e-9)
        assert found["risk_range"][k] == pytest.approx(risks[k] - risks.min(), rel=1e-9, abs=1e-12)
        p = stats.norm(r.mean(), np.sqrt(np.mean(r**2) - r.mean() ** 2))
        q = stats.norm(0, np.sqrt(pooled_mean_square))
        divergence = integrate.quad(lambda t, p=p, q=q: p.pdf(t) * (p.logpdf(t) - q.logpdf(t)), -60, 60, limit=200)[0]
        assert found["residual"][k] == pytest.approx(divergence, rel=1e-6)
        # gradient² between the extreme eigenvalues of H times the excess
        eig = np.linalg.eigvalsh(D.T @ D / len(r))
        assert found["gradient"][k] ** 2 / eig[-1] <= found["excess"][k] * (1 + 1e-9)
        assert found["excess"][k] <= found["gradient"][k] ** 2 / eig[0] * (1 + 1e-9)


def test_rules_given_by_hand():
    X, y, e = rows()
    moments = Moments.from_rows(x=X, y=y, environments=e)
    gaps = invariance_gaps(moments, [[1.0, 0, 0, 0]], [2.0], 0.5, metric="excess")
    r = y[e == 1] - 2 * X[e == 1, 0] - 0.5
    D = np.c_[np.ones(len(r)), X[e == 1, 0]]
    assert gaps[1] == pytest.approx(np.mean(r**2) - np.mean((y[e == 1] - D @ ls(D, y[e == 1])) ** 2), rel=1e-9)


def test_coordinates_of_the_representation_and_copies_of_an_environment_do_not_matter():
    X, y, e = rows()
    moments = Moments.from_rows(x=X, y=y, environments=e)
    rng = np.random.default_rng(2)
    phi, Q, A = rng.normal(size=(2, 4)), rng.normal(size=(2, 2)), rng.normal(size=(4, 4))
    mixed = Moments.from_rows(x=X @ A.T, y=y, environments=e)  # x = A z: Φ A^-1 is the same representation
    for metric in ("relative_excess", "excess", "coefficient", "risk_range", "residual"):
        base = invariance_gaps(moments, phi, metric=metric)
        np.testing.assert_allclose(invariance_gaps(moments, Q @ phi, metric=metric), base, rtol=1e-8)
        np.testing.assert_allclose(invariance_gaps(mixed, phi @ np.linalg.inv(A), metric=metric), base, rtol=1e-7)
    w = rng.normal(size=2)
    twice = Moments.from_rows(x=np.r_[X, X[e == 2]], y=np.r_[y, y[e == 2]], environments=np.r_[e, np.full(90, 3)])
    base = invariance_gaps(moments, phi, w, 0.0)
    np.testing.assert_allclose(invariance_gaps(twice, phi, w, 0.0), base[[0, 1, 2, 2]], rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_subset_gaps_are_the_gaps_of_each_subset(metric):
    X, y, e = rows()
    moments = Moments.from_rows(x=X, y=y, environments=e)
    subsets = SubsetStatistics.concatenate(sweep(moments))
    for k, gaps in enumerate(subset_gaps(moments, subsets, metric)):
        inside = [j for j in range(4) if k >> j & 1]
        expected = invariance_gaps(moments, np.eye(4)[inside], metric=metric)
        np.testing.assert_allclose(gaps, expected, rtol=1e-8, atol=1e-11)


def test_parents_are_invariant_in_every_metric_and_a_moved_child_is_not():
    data = make_invariance_environments(10, n_features=7, n_sites=7, kind="random_shift", random_state=4)
    parents = np.eye(7)[data.parents]
    sem = data.sem
    child = sem.features.index(sem.children(sem.target)[0])
    with_child = np.eye(7)[[*data.parents, child]]
    for metric in METRICS:
        assert invariance_gaps(data.moments, parents, metric=metric).max() < 1e-10
        assert invariance_gaps(data.moments, with_child, metric=metric).max() > 1e-4


def test_a_cancelled_path_counts_as_invariant_and_stays_so():
    """No faithfulness: a zero total effect made by cancellation is as good as a missing path."""
    sem = random_unfaithful_sem(8, random_state=2)
    dead = [v for v in sem.ancestors(sem.target) if abs(sem.total_effects()[sem.target, v]) < 1e-12]
    assert dead, "the generator cancels a path into the target"
    envs = sem.environments([None, Shift(dead[0], std=3.0), Shift(dead[0], std=300.0)])
    gaps = invariance_gaps(envs.moments(), np.empty((0, len(sem.features))), metric="excess")
    assert gaps.max() < 1e-9


def test_hidden_common_causes_are_answered_by_the_moments():
    """A hidden cause of a parent and y: the parent's regression is biased but equal wherever neither is moved."""
    full = random_sem(8, expected_degree=3.0, target=7, random_state=5)
    sem = full.marginalize([2])
    for site in sem.features:
        moments = sem.environments([None, Shift(site, std=2.0)]).moments()
        subsets = SubsetStatistics.concatenate(sweep(moments))
        gaps = subset_gaps(moments, subsets, "excess").max(axis=1)
        M, features, y = sem.M, list(sem.features), sem.target
        base = sem.cov()
        for mask in range(2 ** len(features)):
            S = [features[j] for j in range(len(features)) if mask >> j & 1]
            b = np.linalg.solve(base[np.ix_(S, S)], base[S, y])
            tau = M[y, site] - b @ M[S, site]
            reach = np.abs(M[S, site]).max(initial=0.0)
            # Invariant if and only if the rule's residual, or the features, do not feel the site.
            if abs(tau) < 1e-9 or reach < 1e-9:
                assert gaps[mask] < 1e-9
            elif abs(tau) > 1e-3 and reach > 1e-2:
                assert gaps[mask] > 1e-12


@pytest.mark.parametrize("metric", METRICS)
def test_an_exact_outcome_has_no_gap(metric):
    X, _, e = rows()
    moments = Moments.from_rows(x=X, y=X @ [1.0, 2.0, 0.0, 0.0], environments=e)
    assert invariance_gaps(moments, np.eye(4)[:2], metric=metric).max() < 1e-9
    if metric in QUADRATIC:
        assert invariance_gaps(moments, np.eye(4)[:1], metric=metric).max() > 1e-3


def test_mistakes_are_named():
    moments = textbook_sem("chain").environments([None, None]).moments()
    for call, match in {
        "metric must be one of": lambda: invariance_gaps(moments, metric="kl"),
        r"components must have shape \(k, 2\)": lambda: invariance_gaps(moments, [[1.0, 0, 0]]),
        r"coef must have shape \(2,\)": lambda: invariance_gaps(moments, coef=[1.0]),
    }.items():
        with pytest.raises(ValueError, match=call):
            match()
