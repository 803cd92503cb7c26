"""Columns that say nothing change nothing, and are named."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor

from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds
from causalinv.exceptions import DegenerateInputWarning

r = np.random.default_rng(0)
X = r.normal(size=(120, 2))
T = (r.random(120) < 0.5).astype(int)
Y = np.tanh(X[:, 0]) + 0.3 * T
FOREST = RandomForestRegressor(20, min_samples_leaf=5)
MAKE = {
    "manski": lambda: ManskiBounds(outcome_support=(-2, 2), outcome=FOREST, random_state=0),
    "sensitivity": lambda: SensitivityBounds(random_state=0),
    "forest of yours": lambda: FDivergenceBounds(law=FOREST, cv=2, final="dr", outcome_support=(-2, 2), random_state=0),
    "quantile": lambda: QuantileBounds(law="kernel", random_state=0),
}


def _wide(new):
    return pd.DataFrame({"a": new[:, 0], "dull": np.full(len(new), 3.0), "b": new[:, 1]})


def _ends(make, features, new):
    model = make().fit(features, Y, treatment=T)
    kwargs = {"odds_ratio": 2.0} if isinstance(model, SensitivityBounds | QuantileBounds) else {}
    return np.r_[tuple(model.predict_bounds(each, **kwargs).to_frame().to_numpy().ravel() for each in (None, new))]


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_a_constant_column_is_named_and_changes_nothing(make):
    new = np.random.default_rng(1).normal(size=(9, 2))
    with pytest.warns(DegenerateInputWarning, match="dull"):
        found = _ends(make, _wide(X), _wide(new).assign(dull=99.0))
    np.testing.assert_array_equal(found, _ends(make, X, new))


def test_a_single_constant_column_says_that_there_are_no_covariates():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = SensitivityBounds(random_state=0).fit(np.zeros((120, 1)), Y, treatment=T)
    with pytest.warns(DegenerateInputWarning):
        several = SensitivityBounds(random_state=0).fit(np.full((120, 3), 7.0), Y, treatment=T)
    asked = [model.average_bounds("ate", odds_ratio=2.0).conf_int for model in (nothing, several)]
    np.testing.assert_array_equal(*asked)


def test_policies_and_benchmarks_still_see_every_column():
    with pytest.warns(DegenerateInputWarning):
        model = SensitivityBounds(random_state=0).fit(_wide(X), Y, treatment=T)
    seen = []
    model.average_bounds("policy", policy=lambda rows: seen.append(list(rows)) or np.ones(len(rows)), odds_ratio=1.5)
    assert seen[0] == ["a", "dull", "b"]
    table = model.benchmark()
    assert table.loc["dull", "max"] == pytest.approx(1.0, abs=1e-12)
    assert table.loc["a", "max"] > 1.0
