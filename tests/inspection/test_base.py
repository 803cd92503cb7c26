"""What all displays keep: one base, names as written, room for a narrow column, ends that are infinite said."""

import inspect
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from causalinv import (
    HierarchicalConformalRegressor,
    IVLikeRegression,
    ManskiBounds,
    Rep4ExRegressor,
    SensitivityBounds,
    Translation,
    inspection,
)
from causalinv.datasets import load_spector, make_extrapolation_data
from causalinv.inspection._axes import Display
from causalinv.invariance import certify, violation_bound
from causalinv.sem import InterventionFamily, textbook_sem


def says(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("name", inspection.__all__)
def test_every_display_stands_on_the_base(name):
    display = getattr(inspection, name)
    assert issubclass(display, Display)
    assert list(inspect.signature(display.plot).parameters)[1] in ("ax", "figure")


def test_names_are_written_as_they_are_and_wrapped_in_a_narrow_column():
    scores = {"cost in $ of a_1 and $ of a_2, and many more words": [1.0, 0.5, 1.5], "b": [2.0, 1.5, 2.5]}
    display = inspection.ScoresDisplay.__new__(inspection.ScoresDisplay)
    display.table = pd.DataFrame.from_dict(scores, orient="index", columns=["estimate", "lower", "upper"])
    display.plot(plt.subplots(figsize=(3.1, 2.4), layout="constrained")[1])
    first = display.ax_.get_yticklabels()[0]
    assert " ".join(first.get_text().split()) == next(iter(scores))
    assert "\n" in first.get_text()
    assert not first.get_parse_math()
    display.figure_.draw_without_rendering()
    assert first.get_window_extent().x0 >= 0


def test_no_word_of_a_row_is_broken_and_many_rows_keep_to_one_line_each():
    names = [f"a_name_of_{k}_letters here" for k in range(12)]
    display = inspection.ScoresDisplay.__new__(inspection.ScoresDisplay)
    display.table = pd.DataFrame(np.tile([1.0, 0.5, 1.5], (12, 1)), names, ["estimate", "lower", "upper"])
    display.plot(plt.subplots(figsize=(3.1, 2.4), layout="constrained")[1])
    display.figure_.draw_without_rendering()
    labels = display.ax_.get_yticklabels()
    assert all(set(label.get_text().split()) <= {word for name in names for word in name.split()} for label in labels)
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 + 2 for below, above in itertools.pairwise(boxes))


class _Long(Display):
    def _draw(self, ax):
        ax.plot([0, 1], [0, 1])
        ax.set(
            xlabel="partial R² of the confounder with pixel_3_3", ylabel="partial R² of the confounder with the outcome"
        )


def test_labels_stay_within_axes_that_became_smaller_when_others_were_broken():
    ax = _Long().plot(plt.subplots(figsize=(3.15, 2.36), layout="constrained")[1]).ax_
    ax.figure.draw_without_rendering()
    assert ax.xaxis.label.get_window_extent().width <= ax.get_window_extent().width
    assert ax.yaxis.label.get_window_extent().height <= ax.get_window_extent().height


def test_a_legend_stands_below_in_one_column_of_print():
    sem = textbook_sem("chain")
    envs = InterventionFamily(["x2"], kind="variance").environments(sem, 29, baseline=True, random_state=0)
    display = inspection.EnvironmentsDisplay.from_environments(envs, "x1")
    wide, narrow = (display.plot(plt.subplots(figsize=(w, 3), layout="constrained")[1]).ax_ for w in (6, 3.1))
    assert says(wide) == says(narrow) == ["0", "29 others"]
    narrow.figure.draw_without_rendering()
    box = narrow.get_legend().get_window_extent()
    assert box.y1 <= narrow.get_window_extent().y0
    assert box.x0 >= 0
    assert box.x1 <= narrow.figure.bbox.width


def test_a_hidden_common_cause_is_an_edge_with_two_heads():
    whole = textbook_sem("instrument")
    display = inspection.DAGDisplay.from_sem(whole.marginalize(["u"])).plot()
    assert display.hidden[["first", "second"]].to_numpy().tolist() == [["x", "y"]]
    assert display.hidden["correlation"].iloc[0] == pytest.approx(0.5)  # 1 / sqrt(2 * 2)
    assert "hidden common cause (correlation)" in says(display.ax_)
    arrows = [text.arrow_patch for text in display.ax_.texts if getattr(text, "arrow_patch", None) is not None]
    assert len(arrows) == len(display.edges) + 1
    assert inspection.DAGDisplay.from_sem(whole).hidden.empty


def test_infinite_ends_are_said():
    students = load_spector()
    with pytest.warns(UserWarning, match="bounds are infinite"):
        model = ManskiBounds(random_state=0).fit(
            students.X, students.y + 0.01 * students.X["GPA"], treatment=students.treatment
        )
    display = inspection.BoundsDisplay(model.predict_bounds(students.X), students.X["GPA"], name="GPA").plot()
    assert "infinite: lower and upper end" in [text.get_text() for text in display.ax_.texts]
    assert np.isfinite(display.ax_.get_ylim()).all()
    marks = {line.get_marker() for line in display.ax_.lines}
    assert {"v", "^"} <= marks


def test_the_sensitivity_display_asks_a_fitted_model():
    students = load_spector()
    model = SensitivityBounds(outcome_support=(0, 1), law="knn", random_state=0)
    model.fit(students.X, students.y, treatment=students.treatment)
    display = inspection.SensitivityDisplay.from_estimator(model, odds_ratio=[1.0, 2.0], benchmarks=False)
    direct = model.average_bounds("ate", odds_ratio=[1.0, 2.0]).to_frame()
    pd.testing.assert_frame_equal(display.table, direct)
    assert display.breakdown.equals(model.breakdown(estimand="ate"))
    at_one = inspection.SensitivityDisplay(display.estimate, breakdown=display.breakdown * 0 + 1.0).plot()
    assert at_one.ax_.get_xlim()[0] < 1.0  # a line at 1 stands inside the frame


def test_the_curve_is_the_best_bound_and_marks_the_certificate():
    sem = textbook_sem("chain")
    seen = InterventionFamily(["x2"], kind="variance").environments(sem, 6, random_state=0).moments()
    shown = certify((np.eye(2), np.array([1.0, 0.0]), 0.0), seen, eps=50.0, method="holdout")
    display = inspection.CertificateCurveDisplay.from_result(shown, n_most=100).plot()
    for m in (1, 6, 59, 100):
        assert display.table["best possible"].loc[m] == pytest.approx(violation_bound(m, method="holdout"))
    assert any("from 6" in text for text in says(display.ax_))
    assert "5% takes 59 " in [text.get_text() for text in display.ax_.texts]


def test_conformal_intervals_and_how_many_outcomes_they_hold():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = X[:, 0] + rng.normal(size=400)
    model = HierarchicalConformalRegressor(LinearRegression(), random_state=0)
    model.fit(X[:300], y[:300], environments=np.arange(300) % 12)
    display = inspection.ConformalDisplay.from_estimator(model, X[300:], y[300:], confidence_level=0.8).plot()
    ends = np.asarray(model.predict_interval(X[300:], 0.8))
    np.testing.assert_array_equal(display.table[["lower", "upper"]], ends)
    held = np.mean((ends[:, 0] <= y[300:]) & (y[300:] <= ends[:, 1]))
    assert f"{held:.1%} of 100 rows inside" in " ".join(display.ax_.get_title().split())
    assert "outcome, outside" in says(display.ax_)
    with pytest.warns(UserWarning, match="give finite intervals up to"):
        infinite = inspection.ConformalDisplay.from_estimator(model, X[300:], confidence_level=0.99).plot()
    assert "infinite" in infinite.ax_.get_title()


def test_conformal_intervals_refuse_outcomes_of_other_rows():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    y = X["a"] + rng.normal(size=60)
    model = HierarchicalConformalRegressor(random_state=0).fit(X, y, environments=np.arange(60) % 12)
    show = inspection.ConformalDisplay.from_estimator
    assert show(model, X[40:], y[40:], confidence_level=0.8).table.index.equals(X.index[40:])
    with pytest.raises(ValueError, match="index of y differs from the index of X"):
        show(model, X, y[::-1], confidence_level=0.8)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        show(model, X, y.where(y.index > 3), confidence_level=0.8)


def test_checks_to_the_right_of_the_line_are_those_that_doubt():
    data = make_extrapolation_data(300, n_latent=1, random_state=0)
    model = Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=data.action)
    found = model.diagnostics()
    display = inspection.DiagnosticsDisplay.from_result(found).plot()
    frame = found.to_frame()
    for name, ratio in display.ratios.dropna().items():
        assert (ratio > 1) == frame.loc[name, "doubt"], name
    assert display.ratios["linearity_pvalue"] == pytest.approx(0.05 / found.linearity_pvalue)
    assert display.ratios["do_consistency"] == pytest.approx(found.do_consistency / 0.3)


def test_what_a_picture_leaves_out_is_said_and_is_not_the_worst():
    """Of 40 environments the 30 of largest error, in either column; of 40 features first the causes; of 8 paths six."""
    least_squares = np.r_[np.linspace(1.0, 2.0, 39), 0.1]
    rule = np.r_[np.zeros(39), 9.0]
    display = inspection.EnvironmentRisksDisplay(pd.DataFrame({"rule": rule, "least squares": least_squares}))
    ax = display.plot().ax_
    assert ax.get_ylabel() == "environment (the 30 of 40 with the largest errors)"
    assert {text.get_text() for text in ax.get_yticklabels()} == {str(k) for k in [*range(10, 39), 39]}
    sets = pd.DataFrame({"lower": -1.0, "upper": 1.0, "share": np.arange(40) / 40, "cause": np.arange(40) == 2})
    ax = inspection.AcceptedSetsDisplay(sets).plot().ax_
    assert ax.get_ylabel() == "the 30 of 40 features in most accepted sets"
    drawn = [int(text.get_text().split()[0]) for text in ax.get_yticklabels()]
    assert drawn == [2, *range(11, 40)][::-1]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8))
    model = IVLikeRegression(0.1, augmentation=Translation(np.eye(1, 8))).fit(X, X.sum(axis=1) + rng.normal(size=60))
    ax = inspection.IVLikePathDisplay.from_estimator(model).plot().ax_
    assert ax.get_legend().get_title().get_text() == "6 of 8 features,\nfarthest from least squares"
    ax = inspection.IVLikePathDisplay.from_estimator(model, features=[0, 1]).plot().ax_
    assert not ax.get_legend().get_title().get_text()


def test_where_a_conclusion_breaks_down_is_said_beyond_the_grid_too():
    rng = np.random.default_rng(0)
    X, t = rng.normal(size=(300, 1)), rng.integers(2, size=300)
    model = SensitivityBounds(law="pooled", outcome="linear", random_state=0)
    model.fit(X, 5.0 * t + rng.normal(size=300), treatment=t)
    grid = model.average_bounds("ate", odds_ratio=[1.5, 2.0])
    for at, told in ((7.25, "at 7.25, farther right"), (1.0, "at 1.00, farther left"), (np.inf, "never reaches 0")):
        reached = pd.Series({"estimate": 1.75, "interval": at})
        ax = inspection.SensitivityDisplay(grid, breakdown=reached).plot().ax_
        legend = [text.get_text() for text in ax.get_legend().get_texts()]
        assert "estimate reaches 0 at 1.75" in legend
        assert any(text.startswith("interval") and text.endswith(told) for text in legend)
