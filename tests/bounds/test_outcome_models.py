"""A location of the outcome and the law of what it leaves: choice, validity, sharpness."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

from causalinv.bounds import FDivergenceBounds, SensitivityBounds
from causalinv.bounds._arm_law import ArmLaw, JoinedLaw, crps
from causalinv.bounds._crossfit import _losses
from causalinv.bounds._location import fit_shared
from causalinv.bounds._scores import cap_scores

HALF = 1.5 * norm.pdf(norm.ppf(2 / 3))


def data(seed=0, n=600, slope=3.0, spread=0.0):
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 3))
    t = (r.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    return x, slope * x[:, 0] + t + np.exp(spread * x[:, 1]) * r.normal(size=n), t


def test_law_moves_with_location_and_scale():
    """Bounds of location + scale * atom are those of the atoms, moved; joined laws are the laws of their rows."""
    r = np.random.default_rng(0)
    atoms, w = np.sort(r.normal(size=6)), r.dirichlet(np.ones(6), size=5)
    centre, width = r.normal(size=5), r.uniform(0.5, 2, size=5)
    moved, plain = ArmLaw(atoms, w, centre, width), ArmLaw(atoms, w)
    for cap in ((0.5, 2.0), (1.0, 1.0), (0.0, 3.0)):
        for end in ("lower", "upper"):
            for a, b in zip(getattr(moved, end)(*cap), getattr(plain, end)(*cap), strict=True):
                np.testing.assert_allclose(a, centre + width * b)
    cut = 0.3
    by_hand = [w[i, centre[i] + width[i] * atoms <= cut].sum() for i in range(5)]
    np.testing.assert_allclose(moved.cdf(cut), by_hand)
    halves = [(at, ArmLaw(atoms, w[at], centre[at], width[at])) for at in (np.array([0, 3]), np.array([1, 2, 4]))]
    joined = JoinedLaw(5, halves)
    np.testing.assert_allclose(joined.cdf(cut), by_hand)
    np.testing.assert_allclose(joined.mean, moved.mean)
    np.testing.assert_allclose(joined.upper(0.5, 2.0)[1], moved.upper(0.5, 2.0)[1])


def test_crps_is_the_integral():
    atoms, w, y = np.array([-1.0, 0.2, 2.0]), np.array([[0.2, 0.5, 0.3]]), np.array([0.7])
    law = ArmLaw(atoms, w, np.array([0.4]), np.array([1.5]))
    exact = quad(lambda t: (law.cdf(t)[0] - (y[0] <= t)) ** 2, -5, 8, points=[-1.1, 0.7, 3.4], limit=200)[0]
    assert crps(law, y)[0] == pytest.approx(exact, rel=1e-6)


def test_laws_are_chosen_by_scores_that_weigh_as_their_rows_do():
    """Weights of 1 to 3 are so many rows."""
    rng = np.random.default_rng(0)
    weight, phi, own = rng.integers(1, 4, size=30), rng.normal(size=30), np.arange(30) % 3 > 0
    rows = SimpleNamespace(X=np.zeros((30, 1)), phi=phi, take_weight=lambda mask: weight[mask].astype(float))

    def at(X, centre):
        return ArmLaw(np.array([-1.0, 0.0, 1.0]), np.full((len(X), 3), 1 / 3), np.full(len(X), centre))

    laws = [SimpleNamespace(at=partial(at, centre=centre)) for centre in (0.0, 0.7)]
    many = np.repeat(phi[own], weight[own])
    expected = [crps(law.at(np.zeros((len(many), 1))), many).sum() for law in laws]
    np.testing.assert_allclose(_losses(rows, own, laws).sum(axis=1), expected)


def test_scores_stay_doubly_valid_with_a_wrong_location():
    """Enumerated population: a wrong location with the right propensity can only widen, the right one is exact."""
    e, cap = 0.4, (0.5, 2.0)
    atoms, p = np.linspace(-2, 2, 41), norm.pdf(np.linspace(-2, 2, 41))
    p = p / p.sum()
    phi, inside = np.r_[atoms, 0.0], np.r_[np.ones(41, bool), False]
    weight = np.r_[e * p, 1 - e]
    n = len(phi)
    true = ArmLaw(atoms, p[None]).lower(*cap)[1][0], ArmLaw(atoms, p[None]).upper(*cap)[1][0]
    exact = e * (p @ atoms) + (1 - e) * np.array(true)

    def ends(shift, width, e_used=e):
        law = ArmLaw(atoms, np.tile(p, (n, 1)), np.full(n, shift), np.full(n, width))
        return np.array([weight @ end for end in cap_scores(phi, inside, np.full(n, e_used), law, cap)])

    np.testing.assert_allclose(ends(0.0, 1.0), exact, atol=1e-12)
    np.testing.assert_allclose(ends(0.0, 1.0, 0.6), exact, atol=1e-12)  # the right law forgives the propensity
    for shift, width in ((0.7, 1.0), (-1.0, 2.0), (0.0, 0.3)):
        low, high = ends(shift, width)
        assert low <= exact[0] + 1e-12
        assert exact[1] - 1e-12 <= high
    small = 1e-3  # derivatives in location and in propensity vanish
    assert np.abs(ends(small, 1.0) - exact).max() < 20 * small**2 + 2e-4
    both = ends(small, 1.0, e + small) - ends(0.0, 1.0)
    assert np.abs(both).max() < 0.2 * small


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"slope": 3.0}, ("linear", "pooled")),
        ({"slope": 3.0, "spread": 0.8}, ("linear", "")),
        ({"slope": 0.0}, ("", "")),
    ],
)
def test_the_choice_is_said_and_follows_the_data(given, expected):
    x, y, t = data(**given)
    model = SensitivityBounds(cv=2, random_state=0).fit(x, y, treatment=t)
    said = " ".join(str(model.summary()).split())
    for chosen in model._crossfit(0).chosen:
        assert str(chosen) in said
    assert any(expected[0] in str(each) for each in model._crossfit(0).chosen)
    if expected[1]:
        found = model.average_bounds("ate", odds_ratio=2.0)
        assert found.upper - found.lower == pytest.approx(2 * HALF, rel=0.15)
        forest = SensitivityBounds(law="forest", cv=2, random_state=0).fit(x, y, treatment=t)
        wide = forest.average_bounds("ate", odds_ratio=2.0)
        assert wide.upper - wide.lower > 1.5 * (found.upper - found.lower)


def test_a_regressor_of_the_user_with_weights_and_clusters():
    x, y, t = data(n=200)
    w, g = np.random.default_rng(1).uniform(0.5, 2.0, 200), np.arange(200) // 4
    for law in ("kernel", "pooled", "scaled"):
        model = SensitivityBounds(outcome=LinearRegression(), law=law, cv=2, random_state=0)
        model.fit(x, y, treatment=t, sample_weight=w, groups=g)
        assert np.isfinite(model.average_bounds("ate", odds_ratio=2.0).conf_int).all()
        at = model.predict_bounds(x[:4], odds_ratio=2.0)
        np.testing.assert_allclose((at.lower + at.upper) / 2, 3 * x[:4, 0] + 1, atol=1.0)
    ball = FDivergenceBounds(outcome="linear", law="pooled", outcome_support=(-15, 15), cv=2, random_state=0)
    ball.fit(x, y, treatment=t)
    at = ball.predict_bounds(x[:4])
    assert (at.lower <= at.manski_lower).all()
    assert np.isfinite(ball.average_bounds("mean").conf_int).all()


@pytest.mark.parametrize("outcome", ["ridge", 3, np.mean])
def test_what_is_no_regressor_is_refused(outcome):
    x, y, t = data(n=60)
    with pytest.raises(TypeError, match="outcome must be None, 'linear', 'spline' or a regressor"):
        SensitivityBounds(outcome=outcome, cv=2).fit(x, y, treatment=t)


def test_spline_of_few_rows_does_not_run_away():
    """Mean squared error of the location at new places: near that of a straight line where a line is the truth."""
    found = {"linear": [], "spline": []}
    for seed in range(60):
        r = np.random.default_rng(seed)
        x, new, a = r.normal(size=(16, 3)), r.normal(size=(400, 3)), np.arange(16) % 2 == 0
        y = x[:, 0] + a + r.normal(size=16)
        for outcome, errors in found.items():
            model, _ = fit_shared(outcome, (x[a], y[a], None), (x[~a], y[~a], None))
            errors.append(np.mean((model.predict(new) - new[:, 0] - 1) ** 2))
    # Without a least penalty of bends 2.1 against 1.1, whose Monte-Carlo standard error is .1.
    assert np.mean(found["spline"]) < 1.3 * np.mean(found["linear"])
