"""What is done for speed changes no answer: Newton against bracketing, pools against all rows, blocks against one."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SkRidge
from sklearn.linear_model import RidgeCV

from causalinv.bounds import SensitivityBounds, _arm_law, _jensen_shannon, _laws
from causalinv.bounds._arm_law import ArmLaw, JoinedLaw
from causalinv.bounds._conditional import Candidate
from causalinv.bounds._crossfit import _not_behind
from causalinv.bounds._divergences import as_divergence
from causalinv.bounds._location import Ridge, SmoothingSplines, fit_shared


@pytest.mark.parametrize(("concentration", "at_limit"), [(1.0, False), (1.0, True), (0.05, True)])
def test_jensen_shannon_by_newton_is_that_by_bracketing(concentration, at_limit):
    r, js = np.random.default_rng(0), as_divergence("js")
    d = np.sort(r.exponential(size=128) ** 2)
    w = r.dirichlet(np.full(128, concentration), size=60)
    if at_limit:
        d[0], w[:, 0] = 0.0, r.uniform(0, 1e-3, 60)
        w /= w.sum(axis=1, keepdims=True)
    e, scale = r.uniform(0.05, 0.7, 60), w @ d
    own = np.tile(d, (60, 1))
    slow = _jensen_shannon.bracketed(d, w, e, scale, js)
    for distances in (d, own):
        fast = _jensen_shannon.jensen_shannon(distances, w, e, scale, js)
        np.testing.assert_allclose(fast[0] / scale, slow[0] / scale, atol=1e-12)
        np.testing.assert_allclose(fast[3], slow[3], atol=1e-10)


def test_newton_leaves_few_rows_to_the_brackets(monkeypatch):
    """The answer would be the same without it, only later: a wrong step is seen by the rows that are left."""
    r, js = np.random.default_rng(3), as_divergence("js")
    d, w, e = np.sort(r.exponential(size=128)), r.dirichlet(np.ones(128), size=200), r.uniform(0.05, 0.95, 200)
    exact, left = _jensen_shannon.bracketed, []

    def counted(d, w, e, scale, divergence, **tol):
        left.append(0 if tol else len(e))
        return exact(d, w, e, scale, divergence, **tol)

    monkeypatch.setattr(_jensen_shannon, "bracketed", counted)
    _jensen_shannon.jensen_shannon(d, w, e, w @ d, js)
    assert sum(left) <= 4


def test_rows_that_newton_leaves_are_bracketed(monkeypatch):
    r, js = np.random.default_rng(1), as_divergence("js")
    d, w, e = np.sort(r.exponential(size=128)), r.dirichlet(np.ones(128), size=20), r.uniform(0.1, 0.9, 20)
    right = _jensen_shannon.jensen_shannon(d, w, e, w @ d, js)
    monkeypatch.setattr(_jensen_shannon, "_MAX_NEWTON", 1)
    for found, known in zip(_jensen_shannon.jensen_shannon(d, w, e, w @ d, js), right, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-9, atol=1e-10)


def test_blocks_of_a_law_are_the_law(monkeypatch):
    r = np.random.default_rng(2)
    atoms, w = np.sort(r.normal(size=20)), r.dirichlet(np.ones(20), size=50)
    law = ArmLaw(atoms, w, r.normal(size=50), r.uniform(1, 2, 50))
    whole = [law.mean, law.cdf(0.3), *law.lower(0.5, 2.0), *law.upper(0.5, 2.0)]
    monkeypatch.setattr(_arm_law, "_MANY", 7 * 20)
    again = ArmLaw(atoms, w, law.location, law.scale)
    for one, other in zip(
        [again.mean, again.cdf(0.3), *again.lower(0.5, 2.0), *again.upper(0.5, 2.0)], whole, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_strengths_that_are_asked_together_are_those_asked_one_by_one(monkeypatch):
    r = np.random.default_rng(2)
    atoms, w = np.sort(r.normal(size=20)), r.dirichlet(np.full(20, 0.2), size=50)
    w[:9, :5] = 0.0  # atoms without weight are never a cut
    parts = [(at, ArmLaw(atoms, w[at], r.normal(size=25), r.uniform(1, 2, 25))) for at in np.arange(50).reshape(2, 25)]
    caps = [(1.0, 1.0), (0.5, 2.0), (0.0, 3.0), (0.25, 4.0), (1.0, 5.0)]
    assert (ArmLaw(atoms, w[:9]).lower(1.0, 5.0)[0] == atoms[5]).all()
    alone = [JoinedLaw(50, parts).lower(*cap) + JoinedLaw(50, parts).upper(*cap) for cap in caps]
    monkeypatch.setattr(_arm_law, "_MANY", 7 * 20)
    monkeypatch.setattr(_arm_law, "_KEPT", 2 * 4 * 50)  # two strengths at a time
    joined = JoinedLaw(50, parts)
    with joined.together(caps):
        for k in (0, 1, 2, 0, 4, 3, 3):
            found = joined.upper(*caps[k])
            np.testing.assert_array_equal(joined.lower(*caps[k]) + found, alone[k])
            assert len(joined._kept) <= 2
        np.testing.assert_array_equal(joined.lower(0.3, 1.5), JoinedLaw(50, parts).lower(0.3, 1.5))
    assert not joined._kept  # a fitted model carries none of it
    assert not joined._wanted


@pytest.mark.parametrize("law", ["kernel", "knn"])
def test_a_pool_moves_ends_by_less_than_their_errors(monkeypatch, law):
    r = np.random.default_rng(3)
    x, t = r.normal(size=(1500, 2)), r.integers(0, 2, 1500)
    y = x[:, 0] + r.normal(size=1500)
    full = SensitivityBounds(law=law, cv=2, random_state=0).fit(x, y, treatment=t).average_bounds(odds_ratio=2.0)
    monkeypatch.setattr(_laws, "N_POOL", 150)
    pool = SensitivityBounds(law=law, cv=2, random_state=0).fit(x, y, treatment=t).average_bounds(odds_ratio=2.0)
    assert 0 < abs(pool.lower - full.lower) < 2 * full.se_lower
    assert abs(pool.upper - full.upper) < 2 * full.se_upper


def test_ridge_is_scikit_learns_and_its_leverages_are_those_of_the_smoother():
    r = np.random.default_rng(4)
    X, y, w = r.normal(size=(60, 4)), r.normal(size=60), r.uniform(0.5, 2, 60)
    mine = Ridge().fit(X, y, sample_weight=w)
    theirs = RidgeCV(np.logspace(-3, 5, 33)).fit(X, y, sample_weight=w * 60 / w.sum())
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), atol=1e-8)
    moved = y.copy()
    moved[7] += 1e-6
    slope = (Ridge().fit(X, moved, sample_weight=w).predict(X[7:8]) - mine.predict(X[7:8])) / 1e-6
    np.testing.assert_allclose(slope, mine.leverage_[7], rtol=1e-5)


def test_bends_are_orthogonal_to_lines_and_few_values_are_no_trouble():
    r = np.random.default_rng(5)
    X = np.column_stack([r.normal(size=300), r.integers(0, 2, 300), r.integers(0, 4, 300)])
    shapes = SmoothingSplines().fit(X)
    Z = shapes.transform(X)
    assert shapes.bends_[1] is None
    bends = Z[:, 3:]
    np.testing.assert_allclose(bends.T @ np.column_stack([np.ones(300), X[:, 0]])[:, :1], 0, atol=1e-6)
    own = bends[:, : shapes.bends_[0][1].shape[1]]
    np.testing.assert_allclose(own.T @ X[:, 0], 0, atol=1e-6)
    size = np.sum(own**2, axis=0)
    assert size[0] == pytest.approx(300)
    assert (np.diff(size) < 0).all()


def test_arms_share_what_they_have_in_common():
    def f(x):
        return np.sin(4 * x[:, 0])

    wrong = []
    for seed in range(12):
        r = np.random.default_rng(seed)
        own, other, new = (r.uniform(-2, 2, size=(n, 1)) for n in (40, 400, 500))
        y, y_other = f(own) + 3 + 0.5 * r.normal(size=40), f(other) + 0.5 * r.normal(size=400)
        alone, _ = fit_shared("spline", (own, y, None), None)
        both, left = fit_shared("spline", (own, y, None), (other, y_other, None))
        wrong.append([np.mean((model.predict(new) - f(new) - 3) ** 2) for model in (alone, both)])
        assert 0.35 < left.std() < 0.65  # of errors with 0.5
    assert np.median(wrong, axis=0)[1] < 0.7 * np.median(wrong, axis=0)[0]


def test_bends_of_equal_size_bend_alike():
    """Equal shrinkage is a limit on the integral of the squared second derivative: it is one number for all bends."""
    x = np.random.default_rng(3).exponential(size=300)
    shapes = SmoothingSplines().fit(x[:, None])
    standard = (x - x.mean()) / x.std()
    grid = np.linspace(standard.min(), standard.max(), 200_001)
    columns = shapes.transform((grid * x.std() + x.mean())[:, None])[:, 1:]
    second = np.diff(columns, n=2, axis=0) / (grid[1] - grid[0]) ** 2
    bent = np.sum(second**2, axis=0) * (grid[1] - grid[0])
    assert len(bent) >= 8
    np.testing.assert_allclose(bent, bent[0], rtol=1e-3)


def test_only_who_is_clearly_behind_on_the_first_fold_is_left_out():
    rng = np.random.default_rng(0)
    best, noise = rng.exponential(size=100), rng.normal(size=100)
    noise = (noise - noise.mean()) / noise.std()
    behind = {"just": 0.19, "clearly": 0.21}  # of noise with standard error .1: 1.9 and 2.1 of them
    losses = np.array([best, *(best + noise + shift for shift in behind.values())])
    asked = [Candidate(None, law) for law in ("marginal", "kernel", "knn")]
    assert _not_behind(asked, losses) == [0, 1]
    forests = [Candidate(None, "forest"), Candidate("linear", "forest"), Candidate(None, "knn")]
    assert _not_behind(forests, losses) == [0]  # of forests only the best is fitted on


def test_choice_of_a_ridge_penalty_is_by_errors_of_rows_left_out():
    r = np.random.default_rng(7)
    X, y = r.normal(size=(15, 3)), r.normal(size=15) + 5.0
    penalties, losses = np.logspace(-3, 5, 33), []
    for penalty in penalties:
        left_out = []
        for i in range(15):
            kept = np.arange(15) != i
            fit = SkRidge(alpha=penalty).fit(X[kept], y[kept])
            left_out.append(y[i] - fit.predict(X[i : i + 1])[0])
        losses.append(np.sum(np.square(left_out)))
    mine = Ridge().fit(X, y)
    assert mine.loss_ == pytest.approx(min(losses), rel=1e-9)


def test_residuals_of_a_location_are_as_large_as_errors():
    """Residuals over the root of one minus their leverage: mean square 1 for errors of variance 1 (2,000 data sets)."""
    r = np.random.default_rng(8)
    X = r.normal(size=(12, 4))
    found = [
        np.mean(fit_shared("linear", (X, X @ [20.0, 30.0, 40.0, 50.0] + r.normal(size=12), None), None)[1] ** 2)
        for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx(1.0, abs=4 * np.std(found) / np.sqrt(2000) + 0.02)


def test_a_constant_between_arms_is_shrunk_a_hundredth_as_much_as_a_shape():
    """Posterior mean of the model that the penalties are, by a dense solve."""
    r = np.random.default_rng(9)
    own, other = r.normal(size=(20, 1)), r.normal(size=(30, 1))
    y, y_other = r.normal(size=20) + 3.0, r.normal(size=30)
    model, _ = fit_shared("linear", (own, y, None), (other, y_other, None))
    x = np.vstack([own, other])
    x = ((x - x.mean()) / x.std())[:, 0]
    side = np.r_[np.ones(20), -np.ones(30)]
    best = []
    for apart in (0.5, 0.1):
        design = np.column_stack([x, apart * side * x, 10.0 * side])
        for penalty in np.logspace(-3, 5, 33):
            gram = np.column_stack([np.ones(50), design])
            solved = np.linalg.inv(gram.T @ gram + penalty * np.diag([0.0, 1, 1, 1]))
            coef, hat = solved @ gram.T @ np.r_[y, y_other], gram @ solved @ gram.T
            left = ((np.r_[y, y_other] - gram @ coef) / (1 - np.diag(hat)))[:20]
            best.append((left @ left, coef[0] + 10.0 * coef[3], coef[1] + apart * coef[2]))
    _, constant, slope = min(best)
    spread = np.vstack([own, other])
    assert model.predict(spread.mean(axis=0, keepdims=True))[0] == pytest.approx(constant, rel=1e-6)
    assert model.predict(spread.mean(axis=0, keepdims=True) + spread.std())[0] == pytest.approx(
        constant + slope, rel=1e-6
    )


def test_a_straight_line_is_three_times_the_smoothest_bend():
    Z = SmoothingSplines().fit_transform(np.random.default_rng(10).normal(size=(400, 1)))
    assert Z[:, 0].std() == pytest.approx(3.0)
    assert Z[:, 1].std() == pytest.approx(1.0, rel=1e-6)


def test_newton_steps_that_end_on_more_than_all_mass_are_solved_by_brackets():
    """Where Newton's kappa of 0 leaves a density whose mean is above one, the answer is that of bracketing."""
    r = np.random.default_rng(7)
    d = np.sort(r.exponential(size=150) + 0.001)
    w, e = r.dirichlet(np.full(150, 0.05), size=60), r.uniform(0.01, 0.999, 60)
    given = d, w, e, (w * d).sum(axis=1), as_divergence("js")
    np.testing.assert_allclose(
        _jensen_shannon.jensen_shannon(*given)[0], _jensen_shannon.bracketed(*given)[0], rtol=1e-7
    )
