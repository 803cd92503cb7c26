"""Large data, the solver alone, and the semi-synthetic IHDP data with five covariates observed."""

import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

from causalinv.bounds import FDivergenceBounds, SensitivityBounds, f_ball_bounds
from causalinv.bounds._divergences import NAMES
from causalinv.datasets import fetch_ihdp
from causalinv.exceptions import ObservedSupportWarning

OBSERVED = ["x1", "x2", "x3", "x4", "x5"]
LARGE = """
import sys, time
from pathlib import Path
from causalinv.bounds import FDivergenceBounds, SensitivityBounds
from causalinv.datasets import make_confounded_treatment
data, new = make_confounded_treatment(50_000, random_state=0), make_confounded_treatment(5_000, random_state=1)
given = dict(X=data.X, y=data.y, treatment=data.treatment)
spent = {}
clock = time.process_time()
def lap(name):
    global clock
    spent[name], clock = time.process_time() - clock, time.process_time()
model = FDivergenceBounds(divergence="all", outcome_support=(0, 1), random_state=0).fit(**given)
lap("fit, 50,000 rows")
model.predict_bounds(new.X, arm=1)
lap("five divergences and both ends at 5,000 queries")
cap = SensitivityBounds(random_state=0).fit(**given)
lap("fit of the sensitivity bounds")
cap.average_bounds("ate", odds_ratio=[1.0, 1.5, 2.0])
lap("average effect at three odds ratios")
cap.predict_bounds(new.X, arm=1, odds_ratio=2.0)
lap("odds ratio 2 at 5,000 queries, the law included")
line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
print(repr(spent), int(line.split()[1]) / 1024, sep="|")
"""


def large():
    out = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True).stdout
    spent, peak = out.strip().split("|")
    return pd.Series(eval(spent), name="CPU seconds").to_frame(), float(peak)


def solver():
    rng = np.random.default_rng(0)
    values, w = np.sort(rng.beta(2, 3, size=128)), rng.dirichlet(np.ones(128), size=1000)
    e = rng.uniform(0.05, 0.95, size=1000)
    rows = {}
    for name in NAMES:
        start = time.process_time()
        for _ in range(3):
            f_ball_bounds(values, e, weights=w, support=(0, 1), divergence=name)
        rows[name] = {"milliseconds, both ends": 1000 * (time.process_time() - start) / 3}
    return pd.DataFrame(rows).T.rename_axis("1000 laws of 128 atoms")


def ihdp():
    rows, notes = [], []
    for draw in (1, 10):
        data = fetch_ihdp(draw=draw)
        X = data.X[OBSERVED]
        truth = data.mean[:, 1]
        smooth = cross_val_predict(ExtraTreesRegressor(200, min_samples_leaf=10, random_state=0), X, truth, cv=10)
        fit = 1 - np.mean((truth - smooth) ** 2) / truth.var()
        full = SensitivityBounds(random_state=0).fit(data.X, data.y, treatment=data.treatment)
        cap = SensitivityBounds(random_state=0).fit(X, data.y, treatment=data.treatment)
        for name, model, strength in (
            ("all 25 covariates, odds ratio 1", full, 1.0),
            *((f"five covariates, odds ratio {s:g}", cap, s) for s in (1.0, 1.5, 2.0, 3.0)),
        ):
            for estimand, target in (("mean", truth.mean()), ("ate", (data.mean[:, 1] - data.mean[:, 0]).mean())):
                found = model.average_bounds(estimand, odds_ratio=strength)
                low, high = found.conf_int
                line = {"draw": draw, "assumed": name, "estimand": estimand, "truth": target}
                line |= {"lower": found.lower, "upper": found.upper, "ci from": low, "ci to": high}
                if estimand == "mean":
                    ends = model.predict_bounds(None, odds_ratio=strength)
                    line["share of rows with E[mu1 | x] inside"] = np.mean(
                        (ends.lower <= smooth) & (smooth <= ends.upper)
                    )
                rows.append(line)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ObservedSupportWarning)
            ball = FDivergenceBounds(outcome_support="observed", random_state=0).fit(
                X, data.y, treatment=data.treatment
            )
        ends = ball.predict_bounds(None)
        for name, low, high in (
            ("five covariates, chi2 ball, 'observed' support", ends.lower, ends.upper),
            ("five covariates, Manski, 'observed' support", ends.manski_lower, ends.manski_upper),
        ):
            inside = np.mean((low <= smooth) & (smooth <= high))
            rows.append(
                {"draw": draw, "assumed": name, "estimand": "mean", "truth": truth.mean()}
                | {"lower": low.mean(), "upper": high.mean(), "share of rows with E[mu1 | x] inside": inside}
            )
        odds = cap.benchmark()["q95"]
        notes.append(
            f"draw {draw}: out-of-fold R² of mu1 on the five covariates {fit:.2f}; leaving one of them out changes the "
            f"odds of treatment by up to {odds.max():.2f} ({odds.idxmax()}); odds ratio at which the effect's interval "
            f"reaches 0: {cap.breakdown(estimand='ate')['interval']:.1f}."
        )
    table = pd.DataFrame(rows).set_index(["draw", "assumed", "estimand"])
    return table, notes


def main():
    times, peak = large()
    table, notes = ihdp()
    record(
        "bounds_scale",
        {
            "50,000 rows, one thread": times,
            "memory": f"Peak of that process, interpreter and libraries included: {peak:.0f} MiB.",
            "solver alone": solver(),
            "IHDP, x1 to x5 observed": table,
            "reading of IHDP": (
                "Truth of averages: means of the simulation's mu1 (and mu1 - mu0) over the 747 rows. Pointwise truth: "
                "the mean of mu1 given the five covariates over what is unobserved. The files hold one row per child, "
                "so this is a forest's out-of-fold regression of the noiseless mu1 on the five, no better than its R². "
                + " ".join(notes)
            ),
        },
    )
    assert peak <= 1024


if __name__ == "__main__":
    main()
