"""Divergences of the user's: kinks, flat pieces, linear terms. Bounds are never inside what is possible."""

from functools import cache

import numpy as np
import pytest
from scipy.optimize import linprog

from causalinv.bounds import Divergence, FDivergenceBounds, f_ball_bounds, f_radius, manski_bounds
from causalinv.bounds._divergences import as_divergence

ODD = {
    "tv": lambda t: np.abs(t - 1) / 2,
    "hinges": lambda t: np.maximum(t - 1, 0.2 * (1 - t)),
    "huber": lambda t: np.where(np.abs(t - 1) < 0.5, (t - 1) ** 2, np.abs(t - 1) - 0.25),
    "kinked chi2": lambda t: np.abs(t - 1) / 2 + 0.01 * (t - 1) ** 2,
    "flat above": lambda t: np.maximum(1 - t, 0) ** 2,
    "flat below": lambda t: np.maximum(t - 1, 0) ** 2,
    "chi2 and a line": lambda t: (t - 1) ** 2 / 2 + 3 * (t - 1),
    "dead zone": lambda t: np.maximum(np.abs(t - 1) - 0.3, 0),
}


@cache
def made(name):
    return Divergence(ODD[name], name=name)


def laws(n, seed=0):
    r = np.random.default_rng(seed)
    for _ in range(n):
        k = r.integers(2, 8)
        values = np.sort(r.normal(size=k)) * r.choice([0.1, 1.0, 10.0])
        yield values, np.maximum(r.dirichlet(np.full(k, r.choice([0.3, 1.0, 3.0]))), 1e-9), r.uniform(0.02, 0.98), r


@pytest.mark.parametrize("name", ODD)
def test_never_inside_manski_never_nan(name):
    for values, p, e, r in laws(6):
        support = (values[0] - r.choice([0.0, 0.3]), values[-1] + r.choice([0.0, 0.01, 2.0]))
        low, high = f_ball_bounds(values, e, weights=p, support=support, divergence=made(name))
        inside = manski_bounds(values, e, weights=p, support=support)
        assert support[0] <= low <= inside[0] + 1e-12
        assert inside[1] - 1e-12 <= high <= support[1]


@pytest.mark.parametrize("name", ["tv", "hinges", "dead zone"])
def test_piecewise_linear_balls_are_linear_programmes(name):
    """The largest mean of Q, with Q f(P / Q) the largest of the lines of f: nothing of ours but the radius' formula."""
    lines = {
        "tv": [(0.5, -0.5), (-0.5, 0.5)],
        "hinges": [(1, -1), (-0.2, 0.2)],
        "dead zone": [(1, -1.3), (-1, 0.7), (0, 0)],
    }
    f = ODD[name]
    for values, weights, e, r in laws(6, 1):
        p, k, top = weights / weights.sum(), len(values), values[-1] + r.choice([0.0, 0.2])
        radius = e * f(1 / e) + (1 - e) * f(0.0)
        # Unknown: q (k), mass on the limit, cost c (k): c >= slope p + intercept q for each line a t + b.
        rows, right = [], []
        for i in range(k):
            for a, b in lines[name]:
                row = np.zeros(2 * k + 1)
                row[i], row[k + 1 + i] = b, -1.0
                rows.append(row)
                right.append(-a * p[i])
        rows.append(np.r_[np.zeros(k), f(0.0), np.ones(k)])
        right.append(radius)
        found = linprog(
            -np.r_[values, top, np.zeros(k)],
            A_ub=rows,
            b_ub=right,
            A_eq=[np.r_[np.ones(k + 1), np.zeros(k)]],
            b_eq=[1.0],
            bounds=[(0, None)] * (k + 1) + [(None, None)] * k,
        )
        high = f_ball_bounds(values, e, weights=p, support=(values[0], top), divergence=made(name))[1]
        assert -1e-9 <= (high + found.fun) / (top - values[0]) <= 1e-6


@pytest.mark.parametrize("name", ["chi2", "kl", "hellinger", "js", "tv"])
def test_built_in_ones_from_their_function_alone(name):
    """Closed forms against the enclosure, from outside; a linear term more or less is the same ball."""
    own = as_divergence(name)
    for slope in (0.0, -3.0):
        user = Divergence(lambda t, c=slope: own.f(t) + c * (t - 1.0))
        for values, p, e, _ in laws(4, 2):
            top = values[-1] + 0.1
            exact = f_ball_bounds(values, e, weights=p, support=(values[0], top), divergence=own)
            found = f_ball_bounds(values, e, weights=p, support=(values[0], top), divergence=user)
            gap = np.array([exact[0] - found[0], found[1] - exact[1]]) / (top - values[0])
            assert (gap >= -1e-8).all()
            assert (gap <= 1e-6).all()


@pytest.mark.parametrize("name", ODD)
def test_conjugate_is_never_below_the_true_one(name):
    """The supremum over a grid of t of its own, a lower bound of the true conjugate."""
    divergence = made(name)
    t = np.r_[np.geomspace(1e-6, 1e6, 4001), np.linspace(0.5, 1.5, 1001)]
    w = np.r_[np.geomspace(1e-6, 1e3, 60), 0.3, 0.5, 0.7, 1.0]
    true = ((divergence.at_zero - w[:, None] - divergence.f(t)) / t).max(axis=1)
    found = divergence.conjugate(w)
    assert (found >= true - 1e-12 * (1 + np.abs(true))).all()
    assert (found[w > 1e-3] <= true[w > 1e-3] + 1e-3 * (1 + np.abs(true[w > 1e-3]))).all()


def test_what_is_no_convex_function_is_refused():
    for f in (
        lambda t: np.sin(3 * (t - 1)),
        lambda t: -((t - 1) ** 2),
        lambda t: np.where(t > 2, np.nan, (t - 1) ** 2),
    ):
        with pytest.raises(ValueError, match="not finite and convex"):
            Divergence(f)
    grows = Divergence(lambda t: np.exp(np.minimum(t, 800.0)) - np.e)  # infinite for floats, and flat after: not convex
    assert np.isfinite(f_ball_bounds([0.0, 1.0], 0.7, support=(0, 2), divergence=grows)).all()


@pytest.mark.parametrize("order", [200.0, 500.0, 2000.0])
def test_large_orders_do_not_overflow(order):
    """Balls of the family shrink to Manski's set."""
    values, p = np.array([0.0, 0.2, 0.5, 0.9]), np.full(4, 0.25)
    for e in (0.01, 0.3, 0.9):
        low, high = f_ball_bounds(values, e, weights=p, support=(0, 1), divergence=("alpha", order))
        inside = manski_bounds(values, e, weights=p, support=(0, 1))
        assert low <= inside[0] + 1e-12
        assert inside[1] - 1e-12 <= high <= inside[1] + 2.0 * np.log(order) / order
    assert f_radius(0.01, ("alpha", order)) == np.inf or f_radius(0.01, ("alpha", order)) > 1e300
    r = np.random.default_rng(0)
    x, t = r.normal(size=(80, 1)), np.arange(80) % 2
    found = FDivergenceBounds(divergence=("alpha", order), outcome_support=(0, 1), law="kernel", cv=2)
    assert np.isfinite(found.fit(x, r.random(80), treatment=t).average_bounds("mean").conf_int).all()


def test_radius_of_jensen_shannon_keeps_its_digits_near_one():
    """Against its series in u = 1 - e to third order, and 50 digits."""
    from decimal import Decimal, getcontext

    getcontext().prec = 60
    for gap in (1e-3, 1e-6, 1e-9, 1e-12, 1e-15):
        e = 1.0 - gap
        d = Decimal(e)
        exact = (Decimal(4).ln() + d * d.ln() - (1 + d) * (1 + d).ln()) / 2
        assert f_radius(e, "js") == pytest.approx(float(exact), rel=1e-10)
