"""More confounding allowed, or more confidence asked for: the interval holds the one before."""

from itertools import pairwise

import numpy as np
import pytest

from causalinv.bounds import SensitivityBounds
from causalinv.bounds._functions import density_ratio_of
from causalinv.bounds._nesting import Ladder, first_crossing, nested


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
        assert found["upper"] == pytest.approx(ratio, rel=2e-5)  # between two steps on a line in its logarithm
        assert found["ci_upper"] >= 2 * ratio * (1 - 1e-12)


@pytest.mark.parametrize(("at", "found"), [(70.0, 70.0), (99.0, 99.0), (101.0, np.inf)])
def test_a_crossing_is_looked_for_up_to_a_hundred(at, found):
    def line(strength):
        return {"lower": -np.log(strength), "upper": np.log(strength)}

    assert first_crossing(line, np.log(at), "lower", "upper") == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_estimated_falls_on_the_ladder_whatever_its_noise(seed):
    """A falling curve with noise of its own at every odds ratio: answers fall; of a smooth one they are the curve."""
    rng = np.random.default_rng(seed)
    known = {}

    def noisy(strength):
        return known.setdefault(round(strength, 9), -np.log(strength) + 0.02 * rng.normal())

    def smooth(strength):
        return -np.log(strength) - 0.1 * np.sqrt(strength - 1.0)

    def answer(odds, curve):
        ladder = Ladder.to(odds)
        return float(ladder.falling([curve(each) for each in ladder.rungs], [curve(each) for each in ladder.steps]))

    asked = np.sort(np.r_[1 + rng.exponential(1.0, size=150), 1 + rng.exponential(40.0, size=50), 1.0, 1.1, 3.0, 999.0])
    noisy_answers = [answer(odds, noisy) for odds in asked]
    assert (np.diff(noisy_answers) <= 1e-12).all()
    assert np.std(np.diff([noisy(odds) for odds in asked[:100]])) > 0.02  # which the curve itself does not
    for odds in (1.0, 1.1, 1.37, 2.0, 2.99, 3.05, 6.95, 8.0, 63.0):  # rungs and steps
        assert answer(odds, smooth) == pytest.approx(smooth(odds), abs=1e-12)
    for odds in asked[asked > 1.02]:
        assert answer(odds, smooth) == pytest.approx(smooth(odds), abs=2e-4)


def test_data_sets_whose_scores_did_not_grow_with_the_odds_ratio():
    """As in three of 1,200 sets of benchmarks/bounds_order.py: ends of close odds ratios, asked for one by one."""
    fell = 0
    for seed in range(8):
        r = np.random.default_rng(seed)
        x, n = r.normal(size=(30, 1)), 30
        t = (r.random(n) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(int)
        t[:8] = np.repeat([0, 1], 4)
        y = np.round(x[:, 0] + t + r.normal(size=n))
        model = SensitivityBounds(law="knn", cv=2, random_state=0).fit(x, y, treatment=t)
        asked = [1.0, 1.013, 1.0131, 1.27, 1.271, 1.2999, 1.9, 1.91, 3.3, 3.301]
        found = [model.average_bounds("ate", odds_ratio=odds) for odds in asked]
        raw = [model._average(model._contrast({"estimand": "ate"}), (1 / o, o), 0.95, "parameter", None) for o in asked]
        fell += sum(b["lower"] > a["lower"] or b["upper"] < a["upper"] for a, b in pairwise(raw))
        for small, large in pairwise(found):
            assert large.lower <= small.lower <= small.upper <= large.upper
    assert fell > 0  # the scores themselves do not grow in all of these
