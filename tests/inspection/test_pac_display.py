"""The PAC display holds quantiles and bounds and draws both views."""

import numpy as np
import pandas as pd
import pytest

from causalinv.inspection import PACDisplay


def table():
    rng = np.random.default_rng(0)
    rows = [
        {"learner": name, "d": d, "m": m, "rep": r, "violation": rng.beta(1, m), "beta_sites": 3 / m}
        for name in ("a", "b")
        for d in (10, 50)
        for m in (30, 100)
        for r in range(20)
    ]
    rows = [row | {"vc": 1.0, "error": ""} for row in rows]
    return pd.DataFrame([*rows, rows[0] | {"violation": np.nan, "error": "RuntimeError: no"}])


def test_quantiles_are_those_of_the_rows_without_errors():
    rows = table()
    shown = PACDisplay.from_result(rows).quantiles
    part = rows[(rows["learner"] == "a") & (rows["d"] == 10) & (rows["m"] == 30) & (rows["error"] == "")]
    assert shown.loc[("a", 10, 30), "q95"] == pytest.approx(part["violation"].quantile(0.95))
    assert shown.loc[("a", 10, 30), "beta_sites"] == pytest.approx(0.1)


@pytest.mark.parametrize(("against", "label"), [("interventions", "features: 10"), ("dimension", "interventions: 30")])
def test_both_views_are_drawn(against, label):
    display = PACDisplay.from_result(table()).plot(against=against, learner="b")
    assert label in [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert display.figure_ is display.ax_.figure
    drawn = [line.get_ydata() for line in display.ax_.lines]
    if against == "interventions":
        assert any(np.allclose(y, [0.1, 0.03]) for y in drawn)


def test_mistakes_are_named():
    display = PACDisplay.from_result(table())
    with pytest.raises(ValueError, match="learner must be one of"):
        display.plot(learner="c")
    with pytest.raises(ValueError, match="against must be"):
        display.plot(against="reps")
