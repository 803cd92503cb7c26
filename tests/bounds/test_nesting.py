"""More confounding allowed, or more confidence asked for: the interval holds the one before."""

from itertools import pairwise

import numpy as np
import pytest

from causalinv.bounds import SensitivityBounds
from causalinv.bounds._functions import density_ratio_of
from causalinv.bounds._nesting import first_crossing, nested


@pytest.mark.parametrize("seed", range(4))
def test_intervals_nest_over_separate_questions(seed):
    r = np.random.default_rng(seed)
    x, t = r.normal(size=(150, 1)), r.integers(0, 2, 150)
    y = x[:, 0] + r.standard_t(3, size=150)
    model = SensitivityBounds(law="kernel", cv=2, random_state=0).fit(x, y, treatment=t)
    asked = (1.0, 1.03, 1.04, 1.1, 1.27, 1.271, 1.3, 2.0, 2.17)
    for found in (
        [model.average_bounds("ate", odds_ratio=odds).conf_int for odds in asked],
        [model.average_bounds("ate", odds_ratio=1.3, confidence_level=c).conf_int for c in (0.5, 0.8, 0.95, 0.999)],
    ):
        assert all(b[0] <= s[0] and s[1] <= b[1] for s, b in pairwise(found))
    together = model.average_bounds("ate", odds_ratio=asked)
    alone = [model.average_bounds("ate", odds_ratio=odds).conf_int for odds in asked]
    np.testing.assert_allclose(together.conf_int, alone)
    assert all(np.diff(together.lower) <= 0)
    assert all(np.diff(together.upper) >= 0)


def test_answers_between_rungs_lie_between_those_of_the_rungs():
    """Whatever the lines of single strengths are: an asked ratio reaches no further than a larger one, asked apart."""
    rng = np.random.default_rng(0)
    asked = [1.0, 1.04, 1.1, 1.23, 1.31, 1.62, 2.03, 3.4, 8.0]  # no two between the same rungs
    for _ in range(50):
        known = {}

        def line(cap, known=known):
            if cap not in known:
                low, high = -rng.exponential(), rng.exponential()
                known[cap] = {
                    "lower": low,
                    "upper": high,
                    "ci_lower": low - rng.exponential(),
                    "ci_upper": high + rng.exponential(),
                    "moved": False,
                }
            return known[cap]

        out = [nested(line(density_ratio_of(ratio, None)), ratio, line) for ratio in asked]
        for column, sign in (("lower", -1), ("ci_lower", -1), ("upper", 1), ("ci_upper", 1)):
            assert np.all(sign * np.diff([each[column] for each in out]) >= 0), column
        assert all(each["ci_lower"] <= each["lower"] and each["upper"] <= each["ci_upper"] for each in out)


def test_beyond_the_last_rung_the_asked_ratio_counts_itself():
    """Of lines that only widen, an answer far out is its own, and no wider one's."""

    def line(cap):
        return {"lower": -cap[1], "upper": cap[1], "ci_lower": -2 * cap[1], "ci_upper": 2 * cap[1], "moved": False}

    for ratio in (999.0, 1e3, 5e3, 1e6):
        found = nested(line(density_ratio_of(ratio, None)), ratio, line)
        assert found["upper"] == pytest.approx(ratio)
        assert found["ci_upper"] >= 2 * ratio * (1 - 1e-12)


@pytest.mark.parametrize(("at", "found"), [(70.0, 70.0), (99.0, 99.0), (101.0, np.inf)])
def test_a_crossing_is_looked_for_up_to_a_hundred(at, found):
    def line(strength):
        return {"lower": -np.log(strength), "upper": np.log(strength)}

    assert first_crossing(line, np.log(at), "lower", "upper") == pytest.approx(found, rel=1e-5)
