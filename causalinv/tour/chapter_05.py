"""Without ignorability: what the data say about a programme that nobody randomised, and how much must be assumed."""

from __future__ import annotations

import os

import pandas as pd
from sklearn.utils import Bunch

from causalinv.bounds import FDivergenceBounds, ManskiBounds, SensitivityBounds
from causalinv.datasets import load_spector, make_confounded_treatment
from causalinv.inspection import SensitivityDisplay
from causalinv.results import BoundsEstimate
from causalinv.tour import Chapter

__all__ = ["run"]

_ROWS = 1000
_STUDENTS, _SIMULATION = "students, effect", "simulation, mean of arm 1"
_SUPPORT = (0.0, 1.0)
_WIDTH = 60


def run(random_state: int, data: str | os.PathLike[str] | None) -> Chapter:
    """Bound the effect of a teaching programme, and a simulated mean whose truth is known."""
    students = load_spector()
    hidden = make_confounded_treatment(_ROWS, kind="adverse", random_state=random_state)
    cap = _cap(students, random_state, law="knn", n_repeats=5)
    effect = {
        f"odds ratio {strength:g}": cap.average_bounds("ate", odds_ratio=strength) for strength in (1.0, 1.5, 3.0)
    }
    manski, ball = _without(students, random_state, law="knn")
    effect |= {"nothing (Manski)": manski.average_bounds("ate"), "nothing (chi2 ball)": ball.average_bounds("ate")}
    cap_hidden = _cap(hidden, random_state, law="kernel", n_repeats=1)
    mean = {
        f"odds ratio {strength:g}": cap_hidden.average_bounds("mean", odds_ratio=strength)
        for strength in (1.0, 1.5, 3.0)
    }
    manski, ball = _without(hidden, random_state, law="kernel")
    mean |= {"nothing (Manski)": manski.average_bounds("mean"), "nothing (chi2 ball)": ball.average_bounds("mean")}
    truth = float(hidden.mean[:, 1].mean())
    lines = {(_STUDENTS, name): _line(bounds) for name, bounds in effect.items()}
    lines |= {(_SIMULATION, name): _line(bounds) for name, bounds in mean.items()}
    table = pd.DataFrame(lines).T.rename_axis(["", "assumed about confounding"])
    return Chapter(
        question="Nobody randomised who took the programme. What can be said about its effect?",
        answer=_answer(effect),
        table=table,
        claim=f"{_students(cap)}\n\n{_simulation(mean, truth)}",
        picture=SensitivityDisplay(cap.average_bounds("ate", odds_ratio=[1.0, 1.5, 2.0, 2.5, 3.0])),
        assumption=(
            "'odds ratio k': knowing the outcome would change the odds of taking part by a factor of at most k "
            "(said by\n"
            "us; no data can check it). 'nothing': only that outcomes lie in [0, 1]."
        ),
        figure=_bars(effect, f"{_STUDENTS}: from -1 to 1, │ is no effect", -1.0, 0.0),
    )


def _cap(data: Bunch, random_state: int, *, law: str, n_repeats: int) -> SensitivityBounds:
    model = SensitivityBounds(outcome_support=_SUPPORT, law=law, n_repeats=n_repeats, random_state=random_state)
    return model.fit(data.X, data.y, treatment=data.treatment)


def _without(data: Bunch, random_state: int, *, law: str) -> tuple[ManskiBounds, FDivergenceBounds]:
    manski = ManskiBounds(outcome_support=_SUPPORT, random_state=random_state)
    ball = FDivergenceBounds(outcome_support=_SUPPORT, law=law, random_state=random_state)
    return (
        manski.fit(data.X, data.y, treatment=data.treatment),
        ball.fit(data.X, data.y, treatment=data.treatment),
    )


def _line(bounds: BoundsEstimate) -> dict[str, float]:
    low, high = bounds.conf_int
    return {"lower": bounds.lower, "upper": bounds.upper, "95% from": low, "95% to": high}


def _answer(effect: dict[str, BoundsEstimate]) -> str:
    """The adjusted effect, and how sure 32 students are of it."""
    plain = effect["odds ratio 1"]
    low, high = plain.conf_int
    sure = "cannot tell that from no effect even" if low <= 0 <= high else "could tell that from no effect"
    return (
        f"Adjusted for grades and entry score it raised the chance of a better grade by {plain.lower:.2f}, but "
        "32 students "
        f"{sure} if nothing is unmeasured (95% interval from {low:.2f} to {high:.2f})."
    )


def _students(cap: SensitivityBounds) -> str:
    reached = cap.breakdown(estimand="ate")["estimate"]
    yardstick = " and ".join(f"{name} by up to {factor:.1f}" for name, factor in cap.benchmark()["q95"].items())
    return (
        f"Students: the estimate would be gone if something hidden changed the odds of taking part by a factor of "
        f"{reached:.1f}; as a yardstick, leaving out what was observed changes them: {yardstick}. With no assumption "
        "the interval contains 0, as it always does for an effect."
    )


def _simulation(mean: dict[str, BoundsEstimate], truth: float) -> str:
    missing = [name for name, bounds in mean.items() if not bounds.conf_int[0] <= truth <= bounds.conf_int[1]]
    verdict = f"outside the 95% interval of: {', '.join(missing)}" if missing else "inside all 95% intervals"
    return (
        f"Simulation (those who did not take arm 1 would have done best): the truth, {truth:.2f}, lies {verdict}. "
        "Assumptions buy width at the risk of being false; the f-ball assumes as little as Manski and says less."
    )


def _bars(bounds: dict[str, BoundsEstimate], title: str, low: float, mark: float) -> str:
    """One line per row: bounds as a bar on a scale from `low` to 1, with a mark."""

    def at(value: float) -> int:
        return min(max(round((value - low) / (1.0 - low) * (_WIDTH - 1)), 0), _WIDTH - 1)

    lines = [title]
    for name, each in bounds.items():
        first, last = at(each.lower), at(each.upper)
        cells = ["█" if first <= i <= last else " " for i in range(_WIDTH)]
        cells[at(mark)] = "│"
        lines.append(f"{name:>20} {''.join(cells)}".rstrip())
    return "\n".join(lines)
