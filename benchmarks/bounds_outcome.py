"""How sharp bounds are where covariates explain the outcome: width, errors and coverage at the true ends.

Y(a) = f(x) + a + N(0, 1), three normal covariates, e = expit(x0); the effect at odds ratio 2, whose sharp ends are
1 -+ (2 - 1/2) phi(z), z the normal quantile of order 2/3. Every data set is one line of the log, so that a study can be
stopped and summarised at any time: python benchmarks/bounds_outcome.py run DESIGN FIRST LAST LOG; ... table LOG...
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingRegressor

from causalinv.bounds import SensitivityBounds

ODDS = 2.0
COMPARED = 5  # the forest alone and true residuals are run on every fifth data set
HALF = (ODDS - 1 / ODDS) * norm.pdf(norm.ppf(ODDS / (1 + ODDS)))
SIGNALS = {
    "none": lambda x: 0.0 * x[:, 0],
    "linear, R2 .5": lambda x: x[:, 0],
    "linear, R2 .9": lambda x: 3 * x[:, 0],
    "nonlinear, R2 .9": lambda x: 2.75 * np.sin(1.5 * x[:, 0]) + 1.5 * np.abs(x[:, 1]) + 0.9 * x[:, 2] ** 2,
    "interaction, R2 .9": lambda x: 3 * x[:, 0] * x[:, 1],
}


def data(design, seed, n=1000):
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 3))
    t = (r.random(n) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    signal = SIGNALS[design](x)
    noise = r.normal(size=n)
    return x, signal + t + noise, t, t + noise


def fits(design, seed, *, x, y, t, plain):
    """Name and fitted model of every way: today's default, the forest alone, and the same on true residuals."""
    ways = {"default": ({}, y), "forest": ({"law": "forest"}, y), "true residuals": ({"law": "forest"}, plain)}
    if design.startswith("interaction"):
        ways["boosting"] = ({"outcome": HistGradientBoostingRegressor(max_iter=80), "law": "pooled"}, y)
    for name, (given, outcome) in ways.items():
        if seed % COMPARED and name in ("forest", "true residuals"):
            continue
        yield name, SensitivityBounds(random_state=0, **given).fit(x, outcome, treatment=t)


def run(design, first, last, log):
    warnings.simplefilter("ignore")
    for seed in range(first, last):
        for name, model in fits(design, seed, **dict(zip(("x", "y", "t", "plain"), data(design, seed), strict=True))):
            b = model.average_bounds("ate", odds_ratio=ODDS)
            chosen = "/".join(map(str, model._crossfit(0).chosen))
            row = [design, seed, name, b.lower, b.upper, b.se_lower, b.se_upper, chosen]
            with open(log, "a") as file:
                print(*row, sep="\t", file=file)


def summarise(logs):
    names = ["design", "seed", "law", "lower", "upper", "se_lower", "se_upper", "chosen"]
    rows = pd.concat([pd.read_csv(log, sep="\t", names=names) for log in logs])
    z = norm.ppf(0.95)
    found = []
    for (design, law), part in rows.groupby(["design", "law"]):
        width = (part["upper"] - part["lower"]) / (2 * HALF)
        low = (part["lower"] - z * part["se_lower"] <= 1 - HALF).mean()
        high = (part["upper"] + z * part["se_upper"] >= 1 + HALF).mean()
        found.append(
            {
                "design": design,
                "law": law,
                "sets": len(part),
                "width / sharp": width.mean(),
                "its s.e.": width.std() / np.sqrt(len(part)),
                "s.e. of ends": part[["se_lower", "se_upper"]].to_numpy().mean(),
                "covered low": low,
                "covered high": high,
                "chosen most": part["chosen"].mode()[0],
            }
        )
    table = pd.DataFrame(found).sort_values("width / sharp", ascending=False).set_index(["design", "law"])
    record("bounds_outcome", {"n = 1000, odds ratio 2": table})


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        summarise(sys.argv[2:])
