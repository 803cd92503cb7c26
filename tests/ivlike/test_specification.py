"""Overidentification, endogeneity and first stages: every number judged by linearmodels, sizes by simulation."""

import numpy as np
import pytest

from causalinv.ivlike._equation import Equation
from causalinv.ivlike._specification import (
    cragg_donald_f,
    endogeneity,
    first_stage_f,
    kleibergen_paap_f,
    overidentification,
)

from .test_kclass import instrumented

KINDS = [("unadjusted", False), ("robust", True), ("clustered", True)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("k", "m"), [(1, 1), (3, 1), (4, 2)])
@pytest.mark.parametrize(("cov_type", "robust"), KINDS)
def test_statistics_are_those_of_linearmodels(k, m, cov_type, robust, weighted):
    iv = pytest.importorskip("linearmodels.iv", reason="a peer, of the extra bench")
    y, X, Z, W, groups, weight = instrumented(k=k, m=m, weighted=weighted)
    C = np.column_stack([np.ones(len(y)), W])
    extra = {"clusters": groups} if cov_type == "clustered" else {}
    given = {"weight": weight, "clusters": groups if extra else None}
    peer = iv.IV2SLS(y, C, X, Z, weights=weight).fit(cov_type=cov_type, debiased=True, **extra)
    for equation in (
        Equation.from_rows(y, X, Z, controls=W, **given),
        Equation.from_rows(y, np.c_[X, W], np.c_[Z, W], **given),  # the idiom of repeated columns
    ):
        first = peer.first_stage
        assert cragg_donald_f(equation) == pytest.approx(first.cragg_donald_f, rel=1e-9)
        own = kleibergen_paap_f(equation) if robust else cragg_donald_f(equation)
        assert own == pytest.approx(first.kleibergen_paap_f, rel=1e-9)
        for j, theirs in enumerate(first.diagnostics["f.stat"]):
            found = first_stage_f(equation, j)
            assert (k * found.robust if robust else found.classical) == pytest.approx(theirs, rel=1e-9)
        assert all(np.isnan(first_stage_f(equation, j).classical) for j in range(m, equation.x.shape[1]))
        test = endogeneity(equation, robust=robust)
        theirs = peer.wooldridge_regression.stat / m if robust else peer.wu_hausman().stat
        assert test.statistic == pytest.approx(theirs, rel=1e-9)
        if not robust:
            assert test.pvalue == pytest.approx(peer.wu_hausman().pval, rel=1e-8)
        if k == m:
            with pytest.raises(ValueError, match="leave nothing to test"):
                overidentification(equation, robust=robust)
            continue
        test = overidentification(equation, robust=robust)
        gmm = iv.IVGMM(y, C, X, Z, weights=weight, weight_type=cov_type, **extra).fit(iter_limit=2)
        theirs = gmm.j_stat if robust else peer.sargan
        assert test.statistic == pytest.approx(theirs.stat, rel=1e-8)
        # That of J is by flipped signs, near the law of many rows.
        assert test.pvalue == pytest.approx(theirs.pval, **({"abs": 0.1} if robust else {"rel": 1e-8}))


def test_hansens_j_does_not_hang_on_the_basis_of_the_instruments_or_on_units():
    y, X, Z, W, groups, _ = instrumented(k=4, m=2)
    mixed = Z @ np.random.default_rng(3).normal(size=(4, 4)) * 1e6
    first = Equation.from_rows(y, X, Z, controls=W, clusters=groups)
    second = Equation.from_rows(1e3 * y, X @ [[2.0, 1.0], [0.0, 1e-4]], mixed, controls=W, clusters=groups)
    for name in (overidentification, endogeneity):
        assert name(first, robust=True).statistic == pytest.approx(name(second, robust=True).statistic, rel=1e-6)
    assert kleibergen_paap_f(first) == pytest.approx(kleibergen_paap_f(second), rel=1e-6)


def test_nothing_endogenous_and_too_few_instruments():
    y, X, Z, W, _, _ = instrumented(k=2, m=2)
    exogenous = Equation.from_rows(y, W, W)
    assert cragg_donald_f(exogenous) == np.inf
    assert np.isnan(kleibergen_paap_f(exogenous))
    with pytest.raises(ValueError, match="nothing is endogenous"):
        endogeneity(exogenous, robust=False)
    for outcome in (np.ones(300), X @ [1.0, 2.0]):
        exact = Equation.from_rows(outcome, X, np.c_[Z, W])
        for test in (overidentification, endogeneity):
            with pytest.raises(ValueError, match="fits the outcome exactly"):
                test(exact, robust=False)
    short = Equation.from_rows(y, X, Z[:, :1])
    assert cragg_donald_f(short) == 0.0
    assert np.isnan(kleibergen_paap_f(short))
    clusters = np.repeat(np.arange(2), 150)
    with pytest.raises(ValueError, match="needs more independent rows or groups, got 2"):
        overidentification(Equation.from_rows(y, X[:, :1], Z, clusters=clusters), robust=True)


def test_constants_are_no_information():
    """0.3 repeated has a spread of rounding size about its mean, and must not become a feature."""
    y, X, Z, W, _, _ = instrumented(k=3)
    plain = Equation.from_rows(y, X, Z, controls=W)
    constant = Equation.from_rows(y, np.c_[X, np.full(300, 0.3)], np.c_[Z, np.full(300, 0.7)], controls=W)
    assert constant.basis.shape == (2, 1)
    assert constant.reduced.over == plain.reduced.over == 2
    assert cragg_donald_f(constant) == pytest.approx(cragg_donald_f(plain), rel=1e-9)
    only = Equation.from_rows(y, np.full((300, 1), 0.3), Z)
    assert only.basis.shape == (1, 0)
    assert overidentification(only, robust=True).df == 3


@pytest.mark.slow
@pytest.mark.parametrize("robust", [False, True])
def test_sizes_and_power(robust):
    """Valid instruments, and y exogenous to x: 5% within 3 s.e. of 200 replications; else rejections."""
    hits = np.zeros(4)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        Z, U = rng.normal(size=(150, 3)), rng.normal(size=150)
        x = Z.sum(axis=1) + U + rng.normal(size=150)
        e = rng.normal(size=150)
        valid, wrong = x + e, x + e + 0.4 * Z[:, 0]
        confounded = x + e + U
        hits += [
            overidentification(Equation.from_rows(valid, x[:, None], Z), robust=robust).pvalue < 0.05,
            endogeneity(Equation.from_rows(valid, x[:, None], Z), robust=robust).pvalue < 0.05,
            overidentification(Equation.from_rows(wrong, x[:, None], Z), robust=robust).pvalue > 0.05,
            endogeneity(Equation.from_rows(confounded, x[:, None], Z), robust=robust).pvalue > 0.05,
        ]
    size = hits[:2] / 200
    assert np.all(np.abs(size - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 200))
    assert np.all(hits[2:] / 200 < 0.2)


@pytest.mark.parametrize("clustered", [False, True])
def test_irrelevant_instruments_are_not_found_relevant(clustered):
    """20 instruments in 50 rows, 3 in 12 clusters: the F law rejected .57 and .18; 5% here, 200 draws, s.e. .015."""
    n, q, groups = (120, 3, np.arange(120) % 12) if clustered else (50, 20, None)
    hits = []
    for seed in range(200):
        rng = np.random.default_rng([8, seed])
        Z, W, x = rng.normal(size=(n, q)), rng.normal(size=(n, 2)), rng.normal(size=n)
        if clustered:
            Z, x = Z + rng.normal(size=(12, q))[groups], x + rng.normal(size=12)[groups]
        equation = Equation.from_rows(x, x[:, None] + W[:, :1], Z, controls=W, clusters=groups)
        hits.append(first_stage_f(equation, 0).pvalue < 0.05)
    assert np.mean(hits) < 0.05 + 3 * 0.0154
    strong = Equation.from_rows(x, (x + 2 * Z.sum(axis=1))[:, None], Z, controls=W, clusters=groups)
    assert first_stage_f(strong, 0).pvalue < (0.05 if clustered else 1e-4)


def test_j_holds_its_level_with_many_controls():
    """20 controls in 60 rows: the chi squared law rejected .143 of valid instruments; 300 replications, s.e. 1.3%."""
    hits = np.zeros(2)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        Z, W, u = rng.normal(size=(60, 3)), rng.normal(size=(60, 20)), rng.normal(size=60)
        x = Z.sum(axis=1) + u + rng.normal(size=60)
        y = x + u
        hits += [
            overidentification(Equation.from_rows(each, x[:, None], Z, controls=W), robust=True).pvalue < 0.05
            for each in (y, y + 0.8 * Z[:, 0])
        ]
    assert abs(hits[0] / 300 - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 300)
    assert hits[1] / 300 > 0.5
