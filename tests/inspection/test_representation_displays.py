"""Frames of the displays of a representation, and that they draw."""

import numpy as np
import pytest

from causalinv.inspection import ScoresDisplay, SpectrumDisplay
from causalinv.representation import invariance_score


def test_spectrum_holds_eigenvalues_and_a_line_of_the_exponents_slope():
    Z = np.random.default_rng(0).normal(size=(300, 30)) * np.arange(1, 31.0) ** -0.75
    display = SpectrumDisplay(Z).plot()
    table = display.table
    np.testing.assert_allclose(table["eigenvalue"], np.sort(np.linalg.eigvalsh(np.cov(Z.T)))[::-1])
    drawn = table.dropna()
    assert list(drawn["rank"]) == list(range(1, 21))
    slope = np.polyfit(np.log(drawn["rank"]), np.log(drawn["line"]), 1)[0]
    assert slope == pytest.approx(-display.exponent.estimate)
    assert display.ax_.get_xscale() == "log"


def test_scores_hold_their_intervals():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(50, 3))
    scores = {
        name: invariance_score(Z, Z + size * rng.normal(size=Z.shape)) for name, size in {"a": 0.1, "b": 1}.items()
    }
    display = ScoresDisplay(scores).plot()
    assert display.table.loc["b", "upper"] == scores["b"].conf_int[1]
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["a", "b"]
    with pytest.raises(TypeError, match="scores"):
        ScoresDisplay({"a": 1.0})
