"""Confidence sets that weak instruments do not break: shapes, peers, and coverage with instruments of no strength."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import f as fisher

from causalinv.ivlike._conditional import (
    _clr_pvalue,
    _Conditional,
    _form_at,
    clr_pvalue,
    clr_set,
    conditional_statistics,
    lm_pvalue,
    lm_set,
)
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._sets import ConfidenceSet
from causalinv.ivlike._weak_identification import (
    ar_pvalue,
    ar_set,
    robust_ar_pvalue,
    robust_ar_set,
)


def weak(n=100, *, k=3, m=1, c=1, strength=0.1, seed=0):
    """m endogenous features; strong confounding; 25 clusters."""
    rng = np.random.default_rng(seed)
    W, Z, U = rng.normal(size=(n, c)), rng.normal(size=(n, k)), rng.normal(size=n)
    X = strength * Z[:, :m] + 0.3 * strength * Z.sum(axis=1)[:, None] + U[:, None] + rng.normal(size=(n, m))
    X = X + W.sum(axis=1)[:, None]
    y = X.sum(axis=1) + 2 * U + rng.normal(size=n)
    return y, X, Z, W, np.arange(n) % 25


def inside(intervals, value):
    return ConfidenceSet("x", intervals, 0.95, "", "").contains(value)


@pytest.mark.parametrize("strength", [0.0, 0.1, 0.6])
def test_anderson_rubin_sets_are_those_of_ivmodels_test_value_by_value(strength):
    """Their test, not their set: their projection leaves out values that their own test does not reject."""
    peer = pytest.importorskip("ivmodels.tests", reason="a peer, of the extra bench")
    rng = np.random.default_rng(1)
    shapes = set()
    for seed, (k, m, c) in enumerate([(1, 1, 0), (3, 1, 2), (2, 2, 1), (4, 2, 1), (4, 3, 0)] * 3):
        y, X, Z, W, _ = weak(k=k, m=m, c=c, strength=strength, seed=seed)
        equation = Equation.from_rows(y, X, Z, controls=W)
        intervals = ar_set(equation, 0, 0.95)
        shapes.add(ConfidenceSet("x", intervals, 0.95, "", "").shape)
        kind = {"C": W if c else None, "critical_values": "f"}
        ends = intervals[np.isfinite(intervals)]
        for b in [*(1.0 + 3.0 * rng.standard_cauchy(8)), *(ends - 1e-4), *(ends + 1e-4)]:
            others = X[:, 1:] if m > 1 else None
            p = peer.anderson_rubin_test(Z, X[:, :1], y, np.array([b]), W=others, **kind)[1]
            assert (p >= 0.05) == inside(intervals, b)
        full = rng.normal(size=m)
        assert ar_pvalue(equation, full)[:2] == pytest.approx(
            peer.anderson_rubin_test(Z, X, y, full, **kind), abs=1e-9, rel=1e-9
        )
    assert len(shapes) > 1


def test_robust_sets_hold_their_level_in_few_clusters_with_controls():
    """Controls leave residuals too short: .12 of true values were rejected at .05."""
    rng = np.random.default_rng(5)
    size = np.maximum(0.8 ** np.arange(20) / 5 * 200, 1).astype(int)
    groups = np.repeat(np.arange(20), size)
    both = rng.normal(size=(400, 12, 20))[:, :, groups] + rng.normal(size=(400, 12, len(groups)))
    hits = 0
    for one in both:
        equation = Equation.from_rows(
            one[0], one[0, :, None] + one[1, :, None], one[1:2].T, controls=one[2:].T, clusters=groups
        )
        hits += robust_ar_pvalue(equation, np.zeros(1))[1] < 0.05
    assert hits / 400 < 0.075


def test_anderson_rubin_set_of_one_feature_is_that_of_ivmodels_to_8_digits():
    peer = pytest.importorskip("ivmodels.tests", reason="a peer, of the extra bench")
    from ivmodels.confidence_set import ConfidenceSet as Theirs

    for seed, strength in enumerate([0.05, 0.2, 0.6, 1.0]):
        y, X, Z, W, _ = weak(k=2, strength=strength, seed=seed)
        theirs = Theirs.from_quadric(peer.inverse_anderson_rubin_test(Z, X, y, C=W, critical_values="f"))
        np.testing.assert_allclose(
            ar_set(Equation.from_rows(y, X, Z, controls=W), 0, 0.95), np.reshape(theirs.boundaries, (-1, 2)), rtol=1e-8
        )


def test_lm_and_clr_have_the_statistics_of_ivmodels_where_rows_are_many():
    peer = pytest.importorskip("ivmodels.tests", reason="a peer, of the extra bench")
    rng = np.random.default_rng(2)
    for seed in range(12):
        y, X, Z, W, _ = weak(k=1 + seed % 4, strength=[0.0, 0.1, 0.3, 0.8][seed % 4], seed=seed)
        k, df = Z.shape[1], len(y) - Z.shape[1] - W.shape[1] - 1
        equation = Equation.from_rows(y, X, Z, controls=W)
        ask = _Conditional(equation, 0)
        for b in 1.0 + 3.0 * rng.standard_cauchy(6):
            lm, lr, condition = conditional_statistics(_form_at(equation, 0, b), ask.roots, k, 1e15)
            statistic, _ = peer.lagrange_multiplier_test(Z, X, y, np.array([b]), C=W)
            assert lm == pytest.approx(statistic, rel=1e-6, abs=1e-8)
            statistic, p = peer.conditional_likelihood_ratio_test(Z, X, y, np.array([b]), C=W)
            assert lr == pytest.approx(statistic, rel=1e-6, abs=1e-8)
            if k > 1:
                assert _clr_pvalue(lr, condition, k, 1e12) == pytest.approx(p, rel=1e-4, abs=1e-6)
            else:
                form = _form_at(equation, 0, b)
                assert lm_pvalue(equation, 0, b) == clr_pvalue(equation, 0, b) == pytest.approx(fisher.sf(form, 1, df))


def test_a_quick_look_at_the_conditional_law_is_near_the_integral():
    """On a set's whole grid the p-values of LR are looked at together; the integral is taken only near the level."""
    for k, strength in ((2, 0.1), (3, 0.8), (5, 30.0), (20, 1e3), (4, 1e4)):
        y, X, Z, W, _ = weak(k=k, strength=strength, seed=k)
        ask = _Conditional(Equation.from_rows(y, X, Z, controls=W), 0)
        forms = np.r_[np.linspace(*ask.roots, 21), ask.roots[0] + np.geomspace(1e-3, 1e2, 11)]
        assert ask.looked(forms) == pytest.approx([ask.clr(form) for form in forms], abs=1e-4)


def test_lm_and_clr_shorten_the_first_stage_along_the_errors():
    """Judge: the vectors themselves. Without strength the corrected T is independent of the errors."""
    y, X, Z, W, _ = weak(k=4, strength=0.3, seed=5)
    C = np.column_stack([np.ones(len(y)), W])
    yy, xx, zz = (v - C @ np.linalg.lstsq(C, v, rcond=None)[0] for v in (y, X[:, 0], Z))
    q, df, equation = np.linalg.qr(zz)[0], len(y) - 5 - W.shape[1], Equation.from_rows(y, X, Z, controls=W)
    for b in (-2.0, 0.5, 1.0, 4.0):
        e = yy - b * xx
        u, m = q.T @ e, e - q @ (q.T @ e)
        slope = (m @ xx) / (m @ m)
        T = (q.T @ (xx - slope * e)) * np.sqrt(df / np.sum((xx - q @ (q.T @ xx) - slope * m) ** 2))
        along = u / np.linalg.norm(u)
        part = (T @ along) * along
        strength = max(np.sum((T - part) ** 2) / 3, 1.0)
        T = T - part + part / np.sqrt(1 + (u @ u) / (m @ m) / strength)
        lm = (T @ u) ** 2 / (T @ T) / (m @ m) * df
        assert lm_pvalue(equation, 0, b) == pytest.approx(fisher.sf(lm, 1, df), rel=1e-9)


def test_lm_and_clr_hold_their_level_with_many_instruments_of_no_strength():
    """n = 50, 20 instruments: .144 and .077 before T was shortened; 5% here, 300 draws, s.e. .0126."""
    hits = []
    for seed in range(300):
        rng = np.random.default_rng([4, seed])
        Z, e = rng.normal(size=(50, 20)), rng.normal(size=50)
        x = 0.95 * e + np.sqrt(1 - 0.95**2) * rng.normal(size=50)
        equation = Equation.from_rows(x + e, x[:, None], Z, controls=rng.normal(size=(50, 5)))
        hits.append([lm_pvalue(equation, 0, 1.0) < 0.05, clr_pvalue(equation, 0, 1.0) < 0.05])
    assert (np.mean(hits, axis=0) < 0.055 + 3 * 0.0126).all()
    short = Equation.from_rows((x + e)[:32], x[:32, None], Z[:32])
    with pytest.raises(ValueError, match="20 instruments and 11 degrees of freedom"):
        lm_set(short, 0, 0.95)


@pytest.mark.parametrize(("ours", "pvalue"), [(lm_set, lm_pvalue), (clr_set, clr_pvalue)])
def test_lm_and_clr_sets_hold_the_values_that_their_tests_do_not_reject(ours, pvalue):
    rng = np.random.default_rng(2)
    for seed in range(12):
        y, X, Z, W, _ = weak(k=1 + seed % 4, strength=[0.0, 0.1, 0.3, 0.8][seed % 4], seed=seed)
        equation = Equation.from_rows(y, X, Z, controls=W)
        intervals = ours(equation, 0, 0.9)
        ends = intervals[np.isfinite(intervals)]
        for b in [*(1.0 + 3.0 * rng.standard_cauchy(6)), *(ends - 1e-5), *(ends + 1e-5)]:
            assert (pvalue(equation, 0, float(b)) >= 0.1) == inside(intervals, b)
        if Z.shape[1] == 1:
            np.testing.assert_allclose(intervals, ar_set(equation, 0, 0.9), rtol=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
def test_robust_sets_hold_what_hotellings_test_does_not_reject(clustered):
    """Scores of residuals as long as their errors: (I - H)^(-1/2) of the controls' H, cluster by cluster, by hand."""
    rng = np.random.default_rng(3)
    shapes = set()
    for seed in range(16):
        k = 2 + seed % 3
        y, X, Z, W, groups = weak(k=k, strength=[0.0, 0.2, 0.5, 1.0][seed % 4], seed=seed)
        groups = groups if clustered else np.arange(len(y))
        equation = Equation.from_rows(y, X, Z, controls=W, clusters=groups if clustered else None)
        intervals = robust_ar_set(equation, 0, 0.95)
        shapes.add(ConfidenceSet("x", intervals, 0.95, "", "").shape)
        C = np.column_stack([np.ones(len(y)), W])
        left = np.eye(len(y)) - C @ np.linalg.pinv(C)
        yy, xx, zz = left @ y, left @ X[:, 0], left @ Z
        long = np.zeros_like(left)
        for own in (groups == g for g in range(groups.max() + 1)):
            long[np.ix_(own, own)] = np.linalg.inv(sqrtm(left[np.ix_(own, own)]).real)
        ends = intervals[np.isfinite(intervals)]
        for b in [*(1.0 + 3.0 * rng.standard_cauchy(8)), *(ends - 1e-4), *(ends + 1e-4)]:
            e = yy - b * xx
            rows = np.array([(zz * (long @ e)[:, None])[groups == g].sum(axis=0) for g in range(groups.max() + 1)])
            m, score = len(rows), zz.T @ e
            square = score @ np.linalg.solve(rows.T @ rows, score)  # about 0, as under the null; about the mean then
            p = fisher.sf(square / (1 - square / m) / m * (m - k) / k, k, m - k)
            ours = robust_ar_pvalue(equation, np.array([b]))[1]
            assert ours == pytest.approx(p, rel=1e-7)
            assert (ours >= 0.05) == inside(intervals, b)
    assert len(shapes) > 1


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.0, 0.15])
def test_sets_cover_whatever_the_strength_of_the_instruments(strength):
    """95% less 3 s.e. of 200 replications, where two-stage least squares covers far less."""
    hits = np.zeros(5)
    for seed in range(200):
        y, X, Z, W, groups = weak(150, k=4, strength=strength, seed=seed)
        rows = Equation.from_rows(y, X, Z, controls=W)
        clusters = Equation.from_rows(y, X, Z, controls=W, clusters=groups)
        sets = [ar_set(rows, 0, 0.95), lm_set(rows, 0, 0.95), clr_set(rows, 0, 0.95)]
        sets += [robust_ar_set(rows, 0, 0.95), robust_ar_set(clusters, 0, 0.95)]
        hits += [inside(found, 1.0) for found in sets]
    assert np.all(hits / 200 > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200))


def test_shapes_and_words():
    y, X, Z, W, _ = weak(k=2, strength=1.0)
    strong = Equation.from_rows(y, X, Z, controls=W)
    wrong = Equation.from_rows(y + 3 * Z[:, 1], X, Z, controls=W)
    shown = {
        "interval": ar_set(strong, 0, 0.95),
        "empty": ar_set(wrong, 0, 0.95),
        "whole line": np.array([[-np.inf, np.inf]]),
        "half-line": np.array([[-np.inf, 2.0]]),
        "two half-lines": np.array([[-np.inf, -1.0], [2.0, np.inf]]),
        "several intervals": np.array([[0.0, 1.0], [2.0, 3.0]]),
        "several intervals, unbounded": np.array([[0.0, 1.0], [2.0, np.inf]]),
    }
    for shape, intervals in shown.items():
        found = ConfidenceSet("educ", intervals, 0.95, "Anderson-Rubin", "instruments are valid")
        assert found.shape == shape
        assert found.bounded == ("line" not in shape and "unbounded" not in shape)
        assert found.short() in str(found).replace("\n  ", " ")
        assert all(len(line) <= 80 for line in str(found).split("\n"))
        assert len(found.to_frame()) == len(intervals)
    assert ConfidenceSet("a", shown["two half-lines"], 0.95, "", "").short() == "(-inf, -1] or [2, inf)"
    assert "It is not a precise" in str(ConfidenceSet("a", shown["empty"], 0.95, "AR", "valid"))


def test_what_cannot_be_tested_is_refused_by_name():
    y, X, Z, W, groups = weak(k=3, m=2)
    both = Equation.from_rows(y, X, Z, controls=W)
    with pytest.raises(ValueError, match="one endogenous feature; 1 others"):
        clr_set(both, 0, 0.95)
    with pytest.raises(ValueError, match="cov_type='classical'"):
        robust_ar_set(both, 0, 0.95)
    few = Equation.from_rows(y, X[:, :1], Z, controls=W, clusters=groups % 3)
    with pytest.raises(ValueError, match="3 instruments needs more than 3 groups, got 3"):
        robust_ar_set(few, 0, 0.95)
    with pytest.raises(ValueError, match="no row has an error"):
        robust_ar_pvalue(Equation.from_rows(np.ones(100), X, Z), np.zeros(2))
    short = Equation.from_rows(y[:4], X[:4, :1], Z[:4])
    with pytest.raises(ValueError, match="no degrees of freedom"):
        ar_set(short, 0, 0.95)


def test_units_do_not_matter():
    y, X, Z, W, groups = weak(k=3, strength=0.5)
    for name in (ar_set, lm_set, clr_set, robust_ar_set):
        for clusters in (None, groups):
            small = Equation.from_rows(y, X, Z, controls=W, clusters=clusters)
            large = Equation.from_rows(1e6 * y, 1e-3 * X, 1e4 * Z, controls=W, clusters=clusters)
            np.testing.assert_allclose(1e9 * name(small, 0, 0.9), name(large, 0, 0.9), rtol=1e-8)


def test_conditional_tests_need_as_many_degrees_of_freedom_as_instruments():
    """Up to .08 of true values are rejected with fewer: three instruments and a constant leave two of six rows."""
    rng = np.random.default_rng(0)
    y, x, Z = rng.normal(size=7), rng.normal(size=(7, 1)), rng.normal(size=(7, 3))
    assert 0.0 <= lm_pvalue(Equation.from_rows(y, x, Z), 0, 1.0) <= 1.0
    with pytest.raises(ValueError, match="3 instruments and 2 degrees of freedom"):
        lm_pvalue(Equation.from_rows(y[:6], x[:6], Z[:6]), 0, 1.0)
