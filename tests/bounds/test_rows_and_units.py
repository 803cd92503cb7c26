"""Rows of weight zero are absent; units and origin of the outcome change nothing; questions repeat."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from causalinv.bounds import FDivergenceBounds, ManskiBounds, SensitivityBounds
from causalinv.datasets import make_confounded_treatment
from causalinv.exceptions import ObservedSupportWarning
from causalinv.inspection import BoundsDisplay

DATA = make_confounded_treatment(600, random_state=0)


def fit(model, y=DATA.y, X=DATA.X, **kwargs):
    return model.fit(X, y, treatment=DATA.treatment, **kwargs)


def test_a_row_of_weight_zero_sets_no_limit_and_is_no_neighbour():
    y, weight = DATA.y.copy(), np.ones(600)
    row = int(np.argmax(DATA.treatment == 1))
    y[row], weight[row] = 1e6, 0.0
    with pytest.warns(ObservedSupportWarning):
        model = fit(ManskiBounds(outcome_support="observed"), y, sample_weight=weight)
    assert model.outcome_support_.max() <= 1.0
    fit(ManskiBounds(outcome_support=(0, 1)), y, sample_weight=weight)  # nothing lies outside
    few = np.where(np.arange(600) % 8 == 0, 1.0, 0.0)
    for law in ("knn", "kernel"):
        fit(SensitivityBounds(law=law, random_state=0), sample_weight=few).average_bounds("mean", odds_ratio=2.0)


@pytest.fixture(scope="module")
def base():
    return fit(SensitivityBounds(random_state=0)).predict_bounds(None, odds_ratio=2.0)


@pytest.mark.parametrize(("unit", "origin"), [(1e-8, 0.0), (1.0, 1e8), (1e6, -1e9)])
def test_the_forest_does_not_depend_on_units_or_origin(unit, origin, base):
    moved = fit(SensitivityBounds(random_state=0), unit * DATA.y + origin).predict_bounds(None, odds_ratio=2.0)
    np.testing.assert_allclose((moved.upper - origin) / unit, base.upper, atol=2e-6)


def test_manskis_note_on_contrasts_needs_equal_limits():
    y = np.where(DATA.treatment == 1, 5.0 + DATA.y, DATA.y)
    with pytest.warns(ObservedSupportWarning):
        apart = fit(ManskiBounds(outcome_support="observed"), y).average_bounds("ate")
    assert apart.lower > 0
    assert not any("always contains 0" in note for note in apart.notes)
    same = fit(ManskiBounds(outcome_support=(0, 1))).average_bounds("ate")
    assert any("always contains 0" in note for note in same.notes)


def test_rows_of_fit_are_predicted_by_models_that_did_not_see_their_group():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 10)
    y = rng.random(60)[groups]
    found = fit(ManskiBounds(outcome_support=(0, 1), random_state=0), y, groups=groups).predict_bounds(None)
    assert abs(np.corrcoef(found.upper, y)[0, 1]) < 0.4  # .8 if the group was seen


def test_pointwise_ends_see_propensities_that_are_not_clipped():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 1))
    treatment = (rng.random(3000) < np.where(X[:, 0] > 0, 0.5, 0.002)).astype(int)
    y = rng.random(3000)
    model = FDivergenceBounds(outcome_support=(0, 1), law="marginal", random_state=0)
    model.fit(X, y, treatment=treatment)
    found = model.predict_bounds(np.array([[-3.0]]), arm=1)
    assert found.propensity[0] < 0.01
    assert found.manski_upper[0] > 1 - 0.01


def test_averages_of_a_ball_stay_near_the_range_where_overlap_is_poor():
    """Where the arm is rare the dual is fitted for those who are averaged, not for those who were seen."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(6000, 1))
    e = np.where(X[:, 0] > 0, 0.5, 0.02)
    treatment = (rng.random(6000) < e).astype(int)
    y = np.clip(0.5 + 0.2 * X[:, 0] + 0.1 * rng.normal(size=6000), 0, 1)
    model = FDivergenceBounds(outcome_support=(0, 1), law="kernel", random_state=0).fit(X, y, treatment=treatment)
    found = model.average_bounds("mean", arm=1)
    line = found.to_frame().iloc[0]
    assert -0.1 < found.lower < line["manski_lower"] + 0.05
    assert line["manski_upper"] - 0.05 < found.upper < 1.1


def test_questions_asked_twice_are_answered_alike():
    model = fit(FDivergenceBounds(outcome_support=(0, 1), final="dr", cv=2, random_state=np.random.default_rng(0)))
    first, again = (model.predict_bounds(DATA.X[:20], arm=1).upper for _ in range(2))
    np.testing.assert_array_equal(first, again)
    forest = RandomForestClassifier(5, min_samples_leaf=20)
    noise = np.random.default_rng(3).normal(size=600)
    model = fit(SensitivityBounds(propensity=forest, law="marginal"), X=np.c_[DATA.X, noise])
    last = DATA.X.shape[1]
    table = model.benchmark([last])
    np.testing.assert_array_equal(table, model.benchmark([last]))


def test_places_of_a_ribbon_are_numbers():
    bounds = fit(ManskiBounds(outcome_support=(0, 1), random_state=0)).predict_bounds(DATA.X)
    along = np.arange(600.0)
    along[:5] = np.nan
    with pytest.raises(ValueError, match="along contains NaN in 5 rows"):
        BoundsDisplay(bounds, along)


def test_more_folds_than_groups_are_named():
    with pytest.raises(ValueError, match="cv=5 folds need as many groups, got 3"):
        fit(SensitivityBounds(), groups=np.arange(600) % 3)
