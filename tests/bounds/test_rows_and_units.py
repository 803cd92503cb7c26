"""Rows of weight zero are absent; units and origin of the outcome change nothing; questions repeat."""

import numpy as np
import pandas as pd
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


@pytest.mark.parametrize("unit", [1e-200, 1e200])
@pytest.mark.parametrize("how", [{}, {"law": "forest"}, {"outcome": "spline", "law": "scaled"}])
def test_outcomes_whose_squares_are_no_floats(how, unit):
    """1e200 raised that y holds NaN; 1e-200 was taken for one number, and ends moved by .014."""
    found = [
        fit(SensitivityBounds(cv=2, random_state=0, **how), scale * DATA.y).average_bounds(odds_ratio=2.0).table / scale
        for scale in (1.0, unit)
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-6)


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


# -- labels of rows ------------------------------------------------------------------------------------------------

LABELS = [f"row {i}" for i in range(60)]
LABELLED = pd.DataFrame({"x": np.arange(60) / 60.0, "z": np.cos(np.arange(60))}, index=LABELS)


def labelled(X=LABELLED, weight=None):
    arms = np.arange(60) % 2
    y = pd.Series(np.sin(np.arange(60.0)) + 2.0 * (np.arange(60) < 20), index=LABELS)
    return SensitivityBounds(law="knn", random_state=0).fit(X, y, treatment=arms, sample_weight=weight)


@pytest.mark.parametrize(
    "asked",
    [
        lambda rows: {"where": rows < 20},
        lambda rows: {"where": lambda X: rows < 20},
        lambda rows: {"by": (rows < 20).map({True: "first", False: "others"})},
        lambda rows: {"estimand": "policy", "policy": lambda X: (rows < 20).astype(float)},
    ],
)
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.parametrize("X", [LABELLED, None, LABELLED.to_numpy()], ids=["frame", "none", "array"])
def test_rows_in_another_order_are_refused(asked, X):
    """By position they gave the answer for other rows, in silence."""
    model, rows = labelled(X), pd.Series(np.arange(60), index=LABELS)
    question = {"estimand": "mean", "odds_ratio": 1.5}
    with pytest.raises(ValueError, match="the same labels in another order"):
        model.average_bounds(**question | asked(rows.sample(frac=1.0, random_state=0)))
    assert np.isfinite(model.average_bounds(**question | asked(rows)).lower).all()


@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
def test_policies_and_where_see_the_labels_of_fit():
    """A function that looks rows up by their label finds them, those of weight 0 left out."""
    known = pd.Series(np.arange(60), index=LABELS).sample(frac=1.0, random_state=0)
    model = labelled(weight=1.0 * (np.arange(60) % 7 > 0))
    chosen = model.average_bounds("mean", odds_ratio=1.5, where=lambda X: known.loc[X.index] < 20).table
    pd.testing.assert_frame_equal(chosen, model.average_bounds("mean", odds_ratio=1.5, where=np.arange(60) < 20).table)


@pytest.mark.parametrize("X", [LABELLED, LABELLED.to_numpy()], ids=["frame", "array"])
def test_rows_of_fit_keep_their_labels(X):
    kept = np.arange(60) % 7 > 0
    frame = labelled(X, weight=kept.astype(float)).predict_bounds(None, odds_ratio=1.5).to_frame()
    assert frame.index.tolist() == [label for label, own in zip(LABELS, kept, strict=True) if own]
