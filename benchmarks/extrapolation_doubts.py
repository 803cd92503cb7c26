"""How often the checks of a fit doubt, where the assumptions hold and where one of them is broken.

python benchmarks/extrapolation_doubts.py rows.jsonl GROUP [data sets per cell] [first seed] [start of the name]
python benchmarks/extrapolation_doubts.py --table rows.jsonl ...
"""

import warnings
from functools import partial

import numpy as np
from _extrapolation import append, command
from _extrapolation_worlds import world

from causalinv.extrapolation import Rep4ExRegressor

N = 600
CHECKS = ["nonlinear_mean", "unequal_noise", "direct_effect"]
VALID = {
    "d=1": {"d": 1},
    "d=2": {},
    "d=2, noise .4": {"noise_scale": 0.4},
    "d=2, confounding 3": {"confounding": 3.0},
    "d=2, k=3": {"k": 3},
    "d=2, k=1": {"k": 1},
    **{
        f"d=2, {law}": {"law": law}
        for law in ("gumbel", "skew", "exponential", "lognormal", "t5", "laplace", "uniform")
    },
    **{f"d=2, {design}": {"design": design} for design in ("5 levels", "3 levels", "unbalanced", "correlated")},
}
BROKEN = {
    f"d={d}, {name}": {"d": d, "breach": breach, "size": size}
    for name, breach, size in (
        ("action curved .5", "curved", 0.5),
        ("direct effect of size 1", "direct", 1.0),
        ("action confounded .4 (not Gaussian)", "confounded", 0.4),
        ("action confounded by squares .8", "confounded by squares", 0.8),
    )
    for d in (1, 2)
}
HARD = {
    "d=2, action confounded by squares .4": {"breach": "confounded by squares", "size": 0.4},
    "d=2, k=1, direct effect of size 1": {"k": 1, "breach": "direct", "size": 1.0},
    "d=2, k=1, action curved .5": {"k": 1, "breach": "curved", "size": 0.5},
    "d=2, action curved .25": {"breach": "curved", "size": 0.25},
    "d=2, direct effect |a| of size 1": {"breach": "direct abs", "size": 1.0},
    "d=2, gumbel, action confounded .4": {"law": "gumbel", "breach": "confounded", "size": 0.4},
    "d=2, Gaussian action confounded .4 (no data can show it)": {
        "design": "gaussian",
        "breach": "confounded",
        "size": 0.4,
    },
}
GROUPS = {"valid": VALID, "broken": BROKEN, "hard": HARD}


def beyond(k):
    """Actions at 1 to 1.5 times the tried range."""
    rng = np.random.default_rng(3)
    direction = rng.uniform(-1, 1, (60, k))
    return direction / np.abs(direction).max(axis=1, keepdims=True) * rng.uniform(1, 1.5, (60, 1))


def study(group, name, seed):
    X, y, action, truth = world(N, seed, **GROUPS[group][name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Rep4ExRegressor(random_state=0).fit(X, y, action=action)
        asked = beyond(action.shape[1])
        gap = model.predict_do(asked, on_unsupported="ignore") - truth(asked)
    error = np.sqrt(np.mean(gap**2)) / truth(np.random.default_rng(4).uniform(-1, 1, (200, action.shape[1]))).std()
    doubts = {check: bool(model.checks_.loc[check, "doubt"]) for check in CHECKS}
    return {"group": group, "cell": name, "seed": seed, "error": float(error), "any": any(doubts.values())} | doubts


def table(frame):
    for group in GROUPS:
        part = frame[frame["group"] == group]
        if part.empty:
            continue
        cells = part.groupby("cell", sort=False)
        found = cells[["any", *CHECKS]].mean()
        found.insert(0, "sets", cells.size())
        found["median error"] = cells["error"].median()
        order = found.sort_values("any", ascending=group != "valid", kind="stable")
        print(f"## {group}: share of sets with a doubt, losing cells first\n")
        print(f"```text\n{order.round(2).to_string()}\n```\n")
        share, n = part["any"].mean(), len(part)
        print(f"All {n}: {share:.3f}, Monte-Carlo standard error {np.sqrt(share * (1 - share) / n):.3f}.\n")


if __name__ == "__main__":
    command(table, partial(append, GROUPS, study))
