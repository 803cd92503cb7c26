"""The solver and the functions on it, against cvxpy's primal, linear programmes and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq, linprog
from scipy.stats import norm

from causalinv.bounds import Divergence, cap_bounds, f_ball_bounds, f_radius, kth_order, manski_bounds
from causalinv.bounds._divergences import NAMES, as_divergence
from causalinv.bounds._solver import solve

DIVERGENCES = [*NAMES, ("alpha", 3.0)]
LE_CAM = Divergence(lambda t: (t - 1) ** 2 / (t + 1), name="Le Cam")


def primal(values, p, e, limit, divergence):
    """Largest mean of Q over the ball by cvxpy, with a mass on the limit of the support: definitions, no duality."""
    import cvxpy as cp

    s, mass = cp.Variable(len(values), nonneg=True), cp.Variable(nonneg=True)  # density ratio, and mass on the limit
    q = cp.multiply(p, s)
    total = cp.sum(q) + mass
    distance = {
        "kl": lambda: cp.sum(cp.rel_entr(p, q)),
        "chi2": lambda: (p @ cp.inv_pos(s) - 1) / 2,
        "hellinger": lambda: 1 - p @ cp.sqrt(s),
        "tv": lambda: (cp.norm1(p - q) + mass) / 2,
        "js": lambda: (cp.sum(cp.rel_entr(p, (p + q) / 2) + cp.rel_entr(q, (p + q) / 2)) + mass * np.log(2)) / 2,
        ("alpha", 3.0): lambda: (p @ cp.power(s, -2) - 1) / 6,
        LE_CAM: lambda: sum(cp.quad_over_lin(p[i] - q[i], p[i] + q[i]) for i in range(len(p))) + mass,
    }[divergence]()
    radius = e * f_of(divergence)(1 / e) + (1 - e) * f_of(divergence)(0.0)
    problem = cp.Problem(cp.Maximize(q @ values + limit * mass), [total == 1, distance <= radius])
    problem.solve()
    assert problem.status in ("optimal", "optimal_inaccurate")
    return problem.value


def f_of(divergence):
    return {
        "kl": lambda t: t * np.log(t) if t else 0.0,
        "chi2": lambda t: (t - 1) ** 2 / 2,
        "hellinger": lambda t: (np.sqrt(t) - 1) ** 2 / 2,
        "tv": lambda t: abs(t - 1) / 2,
        "js": lambda t: ((t * np.log(t) if t else 0.0) - (t + 1) * np.log((t + 1) / 2)) / 2,
        ("alpha", 3.0): lambda t: (t**3 - 1 - 3 * (t - 1)) / 6,
        LE_CAM: lambda t: (t - 1) ** 2 / (t + 1),
    }[divergence]


@pytest.mark.parametrize("divergence", [*DIVERGENCES, LE_CAM], ids=str)
@pytest.mark.parametrize("beyond", [0.0, 0.3])
def test_upper_end_is_the_primal_optimum(divergence, beyond):
    rng = np.random.default_rng(3)
    values, p = np.sort(rng.beta(2, 3, size=30)), rng.dirichlet(np.ones(30))
    limit = values.max() + beyond
    for e in (0.1, 0.3, 0.6, 0.9):
        _, upper = f_ball_bounds(values, e, weights=p, support=(-1.0, limit), divergence=divergence)
        assert upper == pytest.approx(primal(values, p, e, limit, divergence), abs=1e-6)


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=str)
def test_radius_is_its_definition_and_its_derivative(divergence):
    f, e = f_of(divergence), np.array([0.02, 0.3, 0.9])
    expected = [each * f(1 / each) + (1 - each) * f(0.0) for each in e]
    np.testing.assert_allclose(f_radius(e, divergence), expected, rtol=1e-12)
    step = 1e-6
    slope = (f_radius(e + step, divergence) - f_radius(e - step, divergence)) / (2 * step)
    np.testing.assert_allclose(as_divergence(divergence).radius_slope(e), slope, rtol=1e-6)


@pytest.mark.parametrize("divergence", [*DIVERGENCES, ("alpha", 0.3), LE_CAM], ids=str)
def test_conjugate_and_tilt_by_maximisation_on_a_grid(divergence):
    own = as_divergence(divergence)
    s = np.exp(np.linspace(-12, 15, 400_001))
    for w in (0.05, 0.4, 0.9, 2.0):
        objective = s * (own.at_zero - w) - s * own.f(1 / s)
        best = max(objective.max(), -own.recession)
        assert float(own.conjugate(np.array([w]))[0]) == pytest.approx(best, rel=1e-8, abs=1e-5)
        if divergence != "tv" and best == objective.max():  # where TV's maximum is, is a matter of taste
            close = 1e-3 if own is LE_CAM else 1e-4  # a user's is a step function
            assert float(own.tilt(np.array([w]))[0]) == pytest.approx(s[objective.argmax()], rel=close)


def test_uniform_law_in_closed_form():
    x = (np.arange(40_000) + 0.5) / 40_000
    for e in (0.25, 0.5, 0.75, 0.9):

        def kl(r, e=e):
            return (1 + r) * np.log1p(r) - r * np.log(r) - 1 + np.log(np.log1p(1 / r)) + np.log(e)

        def hellinger(r, e=e):
            return r * (1 + r) * np.log1p(1 / r) ** 2 - e

        r = brentq(kl, 1e-9, 1e4)
        h = brentq(hellinger, 1e-9, 1e4)
        expected = {
            "kl": 1 + r - 1 / np.log1p(1 / r),
            "hellinger": 1 + h - h * (1 + h) * np.log1p(1 / h),
            "tv": 1 - e**2 / 2,
            "manski": 1 - e / 2,
        }
        if e <= 0.75:
            expected["chi2"] = 1 - 4 * e / 9
        for name, value in expected.items():
            upper = (
                manski_bounds(x, e, support=(0, 1))[1]
                if name == "manski"
                else f_ball_bounds(x, e, support=(0, 1), divergence=name)[1]
            )
            assert upper == pytest.approx(value, abs=3e-5)


def test_binary_law_in_closed_form():
    for p, e in ((0.3, 0.5), (0.1, 0.8), (0.6, 0.7)):
        c = 1 / e - 1
        expected = {
            "chi2": (2 * p + c + np.sqrt(c**2 + 4 * c * p * (1 - p))) / (2 * (1 + c)),
            "tv": min(1.0, p + 1 - e),
            "hellinger": np.cos(max(0.0, np.arccos(np.sqrt(p)) - np.arccos(np.sqrt(e)))) ** 2,
            "kl": brentq(
                lambda q, p=p, e=e: p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)) + np.log(e), p, 1 - 1e-12
            ),
        }
        for name, value in expected.items():
            _, upper = f_ball_bounds([0.0, 1.0], e, weights=[1 - p, p], support=(0, 1), divergence=name)
            assert upper == pytest.approx(value, abs=1e-9)
    # A limit that has at least the propensity's mass is reached exactly where f grows linearly (F(1) finite).
    for name in ("tv", "hellinger", "js"):
        assert f_ball_bounds([0.0, 1.0], 0.5, weights=[0.4, 0.6], support=(0, 1), divergence=name)[1] == 1.0
    for name in ("chi2", "kl"):
        assert f_ball_bounds([0.0, 1.0], 0.5, weights=[0.4, 0.6], support=(0, 1), divergence=name)[1] < 1.0


@pytest.fixture(scope="module")
def laws():
    """100,000 random laws of two to eight atoms, half with an atom on the limit of the support."""
    rng = np.random.default_rng(0)
    out = []
    for rep in range(100):
        k = rng.integers(2, 9)
        d = rng.exponential(size=k) * 10.0 ** rng.integers(-3, 7)
        d[0] *= rep % 2
        out.append(
            (d, rng.dirichlet(np.full(k, rng.choice([0.2, 1.0, 5.0])), size=1000), rng.uniform(0.02, 0.98, 1000))
        )
    return out


def test_certified_gap_containment_and_order_on_random_laws(laws):
    divergences = [as_divergence(name) for name in ("chi2", "kl", "hellinger", "js", "tv", ("alpha", 3.0))]
    for d, w, e in laws:
        scale = w @ d
        solved = {div.name: solve(d, w, e, div) for div in divergences}
        for name, solution in solved.items():
            assert (np.abs(solution.gap) <= 1e-9 * scale).all(), name
            assert (solution.distance >= 0).all()
            assert (solution.distance <= e * scale * (1 + 1e-12)).all(), f"{name} inside Manski"
            assert (solution.mass > -1e-12).all()
        for inner, outer in (("alpha=3", "chi2"), ("chi2", "kl"), ("kl", "hellinger"), ("kl", "js")):
            assert (solved[inner].distance >= solved[outer].distance - 1e-9 * scale).all(), (inner, outer)


@pytest.mark.parametrize("divergence", [*DIVERGENCES, LE_CAM], ids=str)
def test_any_dual_point_is_a_valid_bound(divergence):
    rng = np.random.default_rng(1)
    own = as_divergence(divergence)
    d, w = rng.exponential(size=6), rng.dirichlet(np.ones(6))
    for e in (0.1, 0.5, 0.9):
        best = solve(d, w, np.array([e]), own).distance[0]
        for lam, kappa in rng.exponential(size=(200, 2)):
            inside = own.conjugate((kappa + d) / lam)
            assert -lam * (own.radius(np.array([e]))[0] - own.at_zero) - kappa - lam * (w @ inside) <= best + 1e-9


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=6),
    st.floats(0.02, 1.0),
    st.sampled_from(DIVERGENCES),
    st.floats(0.01, 100),
    st.floats(-100, 100),
)
def test_metamorphic_relations(values, e, divergence, factor, shift):
    v = np.array(values)
    support = (-6.0, 7.0)
    lower, upper = f_ball_bounds(v, e, support=support, divergence=divergence)
    moved = f_ball_bounds(
        factor * v + shift, e, support=tuple(factor * u + shift for u in support), divergence=divergence
    )
    np.testing.assert_allclose(moved, (factor * lower + shift, factor * upper + shift), rtol=1e-7, atol=1e-7)
    flipped = f_ball_bounds(-v, e, support=(-7.0, 6.0), divergence=divergence)
    np.testing.assert_allclose(flipped, (-upper, -lower), rtol=1e-9, atol=1e-9)
    doubled = f_ball_bounds(np.r_[v, v[:1]], e, support=support, divergence=divergence)
    weights = np.r_[2.0, np.ones(len(v) - 1)]
    weighted = f_ball_bounds(v, e, weights=weights, support=support, divergence=divergence)
    np.testing.assert_allclose(doubled, weighted, rtol=1e-9, atol=1e-9)
    wider = f_ball_bounds(v, e, support=(-6.0, 8.0), divergence=divergence)
    assert wider[1] >= upper - 1e-9
    assert wider[0] == pytest.approx(lower, abs=1e-9)
    low, high = manski_bounds(v, e, support=support)
    assert lower <= low + 1e-9
    assert high <= upper + 1e-9
    smaller = f_ball_bounds(v, 0.9 * e, support=support, divergence=divergence)
    assert smaller[0] <= lower + 1e-9
    assert upper <= smaller[1] + 1e-9
    np.testing.assert_allclose(f_ball_bounds(v, 1.0, support=support, divergence=divergence), v.mean(), atol=1e-9)


def test_an_unbounded_outcome_has_infinite_ends_and_finite_supports_show_why():
    t = 3.0 * np.linspace(-1, 1, 101) ** 3
    for name in NAMES:
        assert f_ball_bounds(t, 0.5, support=(-np.inf, np.inf), divergence=name) == (-np.inf, np.inf)
        ends = [f_ball_bounds(t, 0.5, support=(-3, u), divergence=name)[1] for u in (10.0, 1e3, 1e5)]
        assert ends[2] > 90 * ends[1] > 900 * ends[0] / 3
    assert manski_bounds(t, 0.5, support=(-3.0, np.inf)) == (pytest.approx(-1.5), np.inf)
    assert manski_bounds(t, 1.0, support=(-3.0, np.inf))[1] == pytest.approx(0.0, abs=1e-12)


def test_cap_is_the_linear_programme():
    rng = np.random.default_rng(5)
    for m, M in ((0.5, 2.0), (0.0, 3.0), (0.9, 40.0), (0.25, 4.0)):
        v, p, e = rng.normal(size=12), rng.dirichlet(np.ones(12)), 0.3
        low, high = (
            linprog(sign * v, A_eq=np.ones((1, 12)), b_eq=[1.0], bounds=np.c_[m * p, M * p]).x @ v for sign in (1, -1)
        )
        found = cap_bounds(v, e, weights=p, density_ratio=(m, M))
        np.testing.assert_allclose(found, (e * p @ v + (1 - e) * low, e * p @ v + (1 - e) * high), rtol=1e-9)
    np.testing.assert_allclose(
        cap_bounds(v, e, weights=p, odds_ratio=4.0), cap_bounds(v, e, weights=p, density_ratio=(0.25, 4.0))
    )


def test_cap_in_closed_form_and_at_its_limits():
    x = norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    for strength in (1.5, 3.0, 10.0):
        tau = strength / (1 + strength)
        tail = quad(lambda z: z * norm.pdf(z), norm.ppf(tau), np.inf)[0]  # not the formula phi(z_tau)
        expected = 2.0 + 0.4 * (strength - 1 / strength) * tail * 3.0
        assert cap_bounds(2.0 + 3.0 * x, 0.6, odds_ratio=strength)[1] == pytest.approx(expected, abs=2e-4)
    v, w = np.array([1.0, 4.0, 2.0, 9.0]), np.array([0.3, 0.3, 0.4, 0.0])
    np.testing.assert_allclose(cap_bounds(v, 0.5, weights=w, odds_ratio=1.0), w @ v)
    # Without a limit on the strength: Manski's bound with the extreme atoms that have weight, not a wider support.
    expected = manski_bounds(v[:3], 0.5, weights=w[:3], support=(1.0, 4.0))
    np.testing.assert_allclose(cap_bounds(v, 0.5, weights=w, odds_ratio=np.inf), expected)
    grid = [cap_bounds(v, 0.5, weights=w, odds_ratio=s)[1] for s in np.geomspace(1, 1e9, 40)]
    assert (np.diff(grid) >= -1e-12).all()
    assert grid[-1] == pytest.approx(expected[1], abs=1e-6)


def test_orders_of_several_divergences():
    lower, upper = np.array([[1.0, 5.0], [3.0, 2.0], [2.0, 4.0]]), np.array([[9.0, 6.0], [7.0, 8.0], [8.0, 7.0]])
    for k, low, high in ((1, [3.0, 5.0], [7.0, 6.0]), (2, [2.0, 4.0], [8.0, 7.0]), (3, [1.0, 2.0], [9.0, 8.0])):
        found = kth_order(lower, upper, k)
        np.testing.assert_array_equal(found, (low, high))


def test_one_propensity_for_many_laws_and_many_for_one():
    v, w = np.array([0.0, 0.5, 1.0]), np.random.default_rng(0).dirichlet(np.ones(3), size=4)
    many = f_ball_bounds(v, 0.4, weights=w, support=(0, 1))[1]
    assert many.shape == (4,)
    each = [f_ball_bounds(v, 0.4, weights=row, support=(0, 1))[1] for row in w]
    np.testing.assert_allclose(many, each, rtol=1e-12)
    shared = f_ball_bounds(v, [0.4, 0.9], weights=w[0], support=(0, 1))[1]
    assert shared.shape == (2,)
    assert shared[0] == pytest.approx(each[0], rel=1e-12)
