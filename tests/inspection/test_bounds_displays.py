"""What the displays of bounds hold, and that they draw it."""

import numpy as np
import pandas as pd
import pytest

from causalinv.bounds import ManskiBounds, SensitivityBounds
from causalinv.datasets import make_confounded_treatment
from causalinv.inspection import BoundsDisplay, SensitivityDisplay

DATA = make_confounded_treatment(400, random_state=0)


@pytest.fixture(scope="module")
def model():
    model = SensitivityBounds(outcome_support=(0, 1), law="kernel", cv=2, random_state=0)
    return model.fit(DATA.X, DATA.y, treatment=DATA.treatment)


def test_ribbon_averages_rows_of_like_position(model):
    bounds = model.predict_bounds(DATA.X, odds_ratio=2.0)
    display = BoundsDisplay(bounds, DATA.X[:, 0], name="x0")
    assert len(display.band) == 20
    first = np.argsort(DATA.X[:, 0])[:20]
    assert display.band.index[0] == pytest.approx(DATA.X[first, 0].mean())
    assert display.band["upper"].iloc[0] == pytest.approx(bounds.upper[first].mean())
    assert (display.band["manski_lower"] < display.band["lower"]).all()
    ax = display.plot().ax_
    assert ax.get_xlabel() == "x0"
    assert "said by you" in ax.get_title()
    assert "no assumption (Manski)" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_ribbon_over_the_propensity_and_over_few_values(model):
    bounds = model.predict_bounds(DATA.X, odds_ratio=2.0)
    np.testing.assert_array_equal(BoundsDisplay(bounds).along, bounds.propensity)
    display = BoundsDisplay(bounds, np.arange(400) % 3)
    np.testing.assert_array_equal(display.band.index, [0, 1, 2])
    with pytest.raises(ValueError, match=r"along must hold one number per row of the bounds, shape \(400,\)"):
        BoundsDisplay(bounds, [1.0])
    rows = pd.DataFrame(DATA.X)
    with pytest.raises(ValueError, match="index of along differs from the index of bounds"):
        BoundsDisplay(model.predict_bounds(rows, odds_ratio=2.0), rows[0][::-1])


def test_infinite_band_is_left_out():
    model = SensitivityBounds(law="marginal", cv=2, random_state=0).fit(DATA.X, DATA.y, treatment=DATA.treatment)
    ax = BoundsDisplay(model.predict_bounds(DATA.X, odds_ratio=1.5)).plot().ax_
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["bounds"]


def test_curve_marks_breakdown_and_benchmarks(model):
    grid = model.average_bounds("mean", odds_ratio=[3.0, 1.0, 1.5, 2.0])
    reached, benchmarks = model.breakdown(0.55, estimand="mean"), model.benchmark()
    display = SensitivityDisplay(grid, breakdown=reached, null=0.55, benchmarks=benchmarks)
    assert display.table.index.tolist() == [1.0, 1.5, 2.0, 3.0]
    ax = display.plot().ax_
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert f"estimate reaches 0.55 at {reached['estimate']:.2f}" in texts
    inside = benchmarks["q95"][benchmarks["q95"] <= 3.0].index
    assert {t.get_text() for t in ax.texts} == {str(label) for label in inside}


def test_names_of_covariates_do_not_lie_on_each_other(model):
    """Of close ones the strongest is named; the legend counts the others, and names what lies beyond."""
    grid = model.average_bounds("mean", odds_ratio=[1.0, 2.0, 3.0])
    factors = {"a": 1.50, "b": 1.52, "c": 1.53, "d": 1.0, "e": 2.9, "f": 3.2, "g": np.inf, "h": 4.0, "i": 9.0}
    ax = SensitivityDisplay(grid, benchmarks=pd.DataFrame({"q95": factors})).plot().ax_
    assert {t.get_text() for t in ax.texts} == {"c", "d", "e"}
    assert sum(line.get_marker() == "^" and len(line.get_xdata()) for line in ax.lines) == 5
    legend = [t.get_text() for t in ax.get_legend().get_texts()]
    assert "a covariate, were it hidden\n(2 unnamed)\nfarther right: g, i, h and 1\nmore" in legend


def test_curve_needs_a_grid_of_odds_ratios(model):
    manski = ManskiBounds(outcome_support=(0, 1), random_state=0).fit(DATA.X, DATA.y, treatment=DATA.treatment)
    for estimate in (model.average_bounds("mean", odds_ratio=2.0), manski.average_bounds("mean")):
        with pytest.raises(ValueError, match="at least two odds ratios"):
            SensitivityDisplay(estimate)
