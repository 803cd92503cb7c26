"""A fit passes over the rows once and then works on arrays: how many `Moments` are made, and what they give."""

import numpy as np
import pytest

from causalinv import InvariantSubsetSelector, Moments
from causalinv.linear_rule import least_squares
from causalinv.moments._cells import Cells


def data(n_environments=3, d=7, n=400):
    rng = np.random.default_rng(0)
    e = np.repeat(np.arange(n_environments), n)
    X = rng.normal(size=(len(e), d)) + 0.3 * e[:, None]
    return X, X[:, 0] - X[:, 1] + rng.normal(size=len(e)), e


@pytest.mark.parametrize("params", [{}, {"eps": 1.0}, {"test": "chow"}, {"objective": "left_out_risk"}], ids=str)
@pytest.mark.parametrize("n_environments", [3, 12])
def test_a_selector_makes_four_at_most(params, n_environments, monkeypatch):
    X, y, e = data(n_environments)
    made = []
    fill = Cells._fill
    monkeypatch.setattr(Cells, "_fill", lambda self, *parts: (made.append(1), fill(self, *parts))[1])
    InvariantSubsetSelector(**params).fit(X, y, environments=e)
    assert 1 <= len(made) <= 4  # the rows, pooled, and both of what the rule reads


def test_left_out_risks_are_those_of_regressions_on_the_other_environments():
    X, y, e = data()
    X = X * np.array([1.0, 1e-6, 1e6, 1.0, 1.0, 1.0, 1.0]) + 1e3
    model = InvariantSubsetSelector().fit(X, y, environments=e)
    for inside, risks in (
        (model.support_, model.left_out_risk_),
        (np.ones(7, bool), model.least_squares_left_out_risk_),
    ):
        for k, found in enumerate(risks):
            others = e != k
            design = np.c_[np.ones(len(e)), (X[:, inside] - X.mean(axis=0)[inside]) / X.std(axis=0)[inside]]
            coef = np.linalg.lstsq(design[others], y[others], rcond=None)[0]
            assert found == pytest.approx(np.mean((y - design @ coef)[e == k] ** 2), rel=1e-7)


def test_the_pooled_rule_is_least_squares_on_the_chosen_features():
    X, y, e = data()
    model = InvariantSubsetSelector().fit(X, y, environments=e)
    chosen = Moments.from_rows(x=X[:, model.support_], y=y)
    np.testing.assert_allclose(model.coef_[model.support_], least_squares(chosen)[:, 0], rtol=1e-12)
