"""Displays of invariance hold the numbers that they draw, and draw all of them."""

import numpy as np
import pandas as pd

from causalinv import InvariantCausalPrediction, InvariantSubsetSelector
from causalinv.inspection import AcceptedSetsDisplay, CertificateDisplay, EnvironmentRisksDisplay, PACDisplay
from causalinv.invariance import InvariantRepresentation, certify
from causalinv.sem import Shift, textbook_sem


def chain():
    sem = textbook_sem("chain")
    return sem.environments([None, Shift("x1", mean=2.0), Shift("x2", mean=-3.0)], labels=list("abc")).sample(
        200, random_state=0
    )


def test_risks_beside_least_squares():
    X, y, e = chain()
    model = InvariantSubsetSelector().fit(X, y, environments=e)
    shown = EnvironmentRisksDisplay.from_estimator(model)
    np.testing.assert_array_equal(shown.table["rule"], model.left_out_risk_)
    np.testing.assert_array_equal(shown.table["least squares"], model.least_squares_left_out_risk_)
    ax = shown.plot().ax_
    assert sorted(t.get_text() for t in ax.get_yticklabels()) == list("abc")
    assert ax.get_xlim()[1] > shown.table.to_numpy().max()
    assert "other environments" in ax.get_xlabel()
    neutral = InvariantRepresentation().fit(X, y, environments=e)
    shown = EnvironmentRisksDisplay.from_estimator(neutral).plot()
    np.testing.assert_array_equal(shown.table["rule"], neutral.risk_env_)
    assert "other environments" not in shown.ax_.get_xlabel()


def test_intervals_and_infinite_ends():
    X, y, e = chain()
    model = InvariantCausalPrediction().fit(pd.DataFrame(X, columns=["cause", "effect"]), y, environments=e)
    shown = AcceptedSetsDisplay.from_estimator(model)
    np.testing.assert_array_equal(shown.table[["lower", "upper"]], model.conf_int_)
    assert shown.table["cause"].tolist() == [True, False]
    assert shown.table["share"].tolist() == [1.0, 0.0]
    assert "cause (in 100% of sets)" in [t.get_text() for t in shown.plot().ax_.get_yticklabels()]
    ends = {"lower": [-np.inf, np.nan, 0.0], "upper": [2.0, np.nan, 0.0], "share": 0.5, "cause": False}
    ax = AcceptedSetsDisplay(pd.DataFrame(ends, index=["u", "v", "w"])).plot().ax_
    assert ax.get_xlim()[1] > 2.0
    assert [t.get_text().strip() for t in ax.texts] == ["no accepted set"]
    assert "<" in [line.get_marker() for line in ax.lines]
    nothing = pd.DataFrame({"lower": np.nan, "upper": np.nan, "share": np.nan, "cause": False}, index=["u", "v"])
    labels = AcceptedSetsDisplay(nothing).plot().ax_.get_yticklabels()
    assert [t.get_text() for t in labels] == ["v", "u"]  # not "in nan% of sets"


def test_a_certificate_in_a_picture():
    X, y, e = chain()
    held = certify((np.eye(2)[:1], [1.0], 0.0), X, y, environments=e, eps=0.5, method="two_level")
    shown = CertificateDisplay(held)
    assert shown.table["environments"].sum() == held.n_interventions
    words = [t.get_text() for t in shown.plot().ax_.get_legend().get_texts()]
    assert f"bound for new ones: {held.violation_upper:.1%}" in words
    assert f"failed: {held.failed}" in words


def test_the_axes_of_a_pac_display_hold_what_happened():
    index = pd.MultiIndex.from_tuples([("a", 10, 60), ("a", 10, 120)], names=["learner", "d", "m"])
    table = pd.DataFrame({"median": 0.5, "q95": 0.9, "beta_sites": [0.0466, 0.0235], "vc": 1.0}, index=index)
    assert PACDisplay(table).plot().ax_.get_ylim()[1] >= 0.9


def test_the_summary_of_icp_names_causes_and_risks():
    X, y, e = chain()
    model = InvariantCausalPrediction().fit(pd.DataFrame(X, columns=["cause", "effect"]), y, environments=e)
    text = str(model.summary())
    assert text.startswith("Causes of y: cause")
    assert "1 of 4 sets accepted by test='chow_hc' at level 0.05" in " ".join(text.split())
    residual = y - model.predict(pd.DataFrame(X, columns=["cause", "effect"]))
    np.testing.assert_allclose(model.risk_env_, [np.mean(residual[e == k] ** 2) for k in "abc"])
    assert "Rule: y = " in str(InvariantSubsetSelector().fit(X, y, environments=e).summary())
