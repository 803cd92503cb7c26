"""The do-curve is drawn with everything that qualifies it."""

import numpy as np
import pytest

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import Rep4ExRegressor
from causalinv.inspection import DoCurveDisplay


@pytest.fixture(scope="module")
def model():
    data = make_extrapolation_data(400, random_state=0)
    return Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=data.action)


def test_one_column_varies_and_support_is_shaded(model):
    values = np.array([3.0, -1.5, 0.0, 1.5, 8.0])
    truth = np.array([9.0, 1.0, 2.0, 3.0, 10.0])
    display = DoCurveDisplay.from_estimator(model, values, along=1, at=[0.2, 0.0], n_bootstrap=3, truth=truth)
    np.testing.assert_array_equal(display.table["a1"], np.sort(values))
    np.testing.assert_array_equal(display.table["a0"], 0.2)
    np.testing.assert_array_equal(display.truth, truth[np.argsort(values)])
    display.plot()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert {"truth", "from the action alone", "through the state, with band", "unsupported"} <= set(labels)
    assert "tried" in labels
    assert display.ax_.get_xlabel() == "a1"
    lines = {line.get_label(): line.get_ydata() for line in display.ax_.get_lines()}
    np.testing.assert_array_equal(lines["through the state, with band"], display.table["estimate"])


def test_axes_given_are_used_and_the_default_column_is_the_one_that_varies(model):
    import matplotlib.pyplot as plt

    ax = plt.figure().add_subplot()
    curve = model.do_curve([[0.0, -1.0], [0.0, 0.0], [0.1, 1.0]], n_bootstrap=2)
    display = DoCurveDisplay.from_result(curve).plot(ax)
    assert display.ax_ is ax
    assert display.along == "a1"
    for mistake, message in (
        (lambda: DoCurveDisplay.from_result(curve, along="dose"), "along must be one of the action's columns"),
        (lambda: DoCurveDisplay.from_result(curve, truth=[1.0]), r"truth must have shape \(3,\)"),
        (lambda: DoCurveDisplay.from_estimator(model, [0.0], along=2), "along must be a column from 0 to 1"),
        (lambda: DoCurveDisplay.from_estimator(model, [0.0], at=[1.0]), r"at must have shape \(2,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            mistake()
