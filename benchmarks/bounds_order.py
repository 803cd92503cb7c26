"""Order of bounds in random small data sets: how often is what must hold violated? It must be never.

python benchmarks/bounds_order.py FIRST LAST LOG; every data set is drawn from its number.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from sklearn.naive_bayes import GaussianNB

from causalinv.bounds import FDivergenceBounds, ManskiBounds, SensitivityBounds

DIVERGENCES = ["chi2", "tv", "kl", "js", "hellinger"]
STRENGTHS = [1.0, 1.05, 1.3, 2.0, 7.5]
SLACK = 1e-9


def draw(seed):
    r = np.random.default_rng(seed)
    n = int(r.integers(16, 60))
    x = r.normal(size=(n, 2))
    t = np.r_[0, 0, 0, 1, 1, 1, (r.random(n - 6) < 1 / (1 + np.exp(-r.choice([0.5, 2.0]) * x[6:, 0]))).astype(int)]
    kind = r.choice(["normal", "binary", "tied", "heavy", "huge"])
    base = x[:, 0] + t + r.normal(size=n)
    y = {
        "normal": base,
        "binary": (base > 0.5).astype(float),
        "tied": np.round(base),
        "heavy": r.standard_cauchy(n),
        "huge": 1e9 + 1e-3 * base,
    }[kind]
    given = {"treatment": t}
    if r.random() < 0.5:
        w = r.choice([0.0, 0.3, 1.0, 4.0], size=n, p=[0.1, 0.3, 0.4, 0.2])
        w[:6] = 1.0
        given["sample_weight"] = w
    if r.random() < 0.3:
        given["groups"] = np.arange(n) // int(r.integers(1, 4))
    kept = y[given.get("sample_weight", np.ones(n)) > 0]
    pad = r.choice([0.0, 0.5]) * (np.ptp(kept) or 1.0)
    support = (
        (0.0, 1.0) if kind == "binary" else (kept.min() - pad, kept.max() + pad + (pad == 0) * np.ptp(kept) * 1e-3)
    )
    given["sample_weight"] = given.get("sample_weight")
    return r, x, y, given, (float(support[0]), float(support[1])), kind


def broken(seed):
    """Names of the violations in one data set, and how many comparisons were made."""
    r, x, y, given, support, kind = draw(seed)
    unit = support[1] - support[0]
    if given["sample_weight"] is not None:
        y = np.where(given["sample_weight"] > 0, y, 1e6 if kind != "huge" else 0.0)  # of no weight: must not matter
    found, count = [], 0

    def check(name, *holds):
        nonlocal count
        count += 1
        if not all(bool(np.all(each)) for each in holds):
            found.append(f"{kind}: {name}")

    estimand = str(r.choice(["ate", "mean", "att", "overlap"]))
    law = str(r.choice(["kernel", "marginal", "knn"]))
    learners = {"propensity": GaussianNB(), "law": law, "cv": 2, "random_state": 0}
    model = SensitivityBounds(outcome_support=support, **learners).fit(x, y, **given)
    table = model.average_bounds(estimand, odds_ratio=STRENGTHS).table
    ends = table[["ci_lower", "lower", "upper", "ci_upper"]].to_numpy()
    check("nan", np.isfinite(ends))
    check(
        "sensitivity nested",
        np.diff(ends[:, :2], axis=0) <= SLACK * unit,
        np.diff(ends[:, 2:], axis=0) >= -SLACK * unit,
    )
    check("sensitivity inside Manski", table["lower"] >= table["manski_lower"] - SLACK * unit)
    check("sensitivity inside Manski", table["upper"] <= table["manski_upper"] + SLACK * unit)
    check("interval holds ends", ends[:, 0] <= ends[:, 1] + SLACK * unit, ends[:, 3] >= ends[:, 2] - SLACK * unit)
    wide = 1 if estimand == "mean" else 2
    check("support", ends[:, 0] >= (support[0] if wide == 1 else -unit) - SLACK * unit)
    check("support", ends[:, 3] <= (support[1] if wide == 1 else unit) + SLACK * unit)
    levels = [model.average_bounds(estimand, odds_ratio=1.7, confidence_level=c).conf_int for c in (0.5, 0.9, 0.99)]
    check(
        "levels nested",
        np.diff([c[0] for c in levels]) <= SLACK * unit,
        np.diff([c[1] for c in levels]) >= -SLACK * unit,
    )
    before = None
    for strength in STRENGTHS:
        at = model.predict_bounds(x[:5], odds_ratio=strength)
        check(
            "pointwise inside Manski",
            at.lower >= at.manski_lower - SLACK * unit,
            at.upper <= at.manski_upper + SLACK * unit,
        )
        if before is not None:
            check("pointwise nested", at.lower <= before.lower + SLACK * unit, at.upper >= before.upper - SLACK * unit)
        before = at
    plain = ManskiBounds(outcome_support=support).fit(x, y, **given)
    ball = FDivergenceBounds(outcome_support=support, divergence=DIVERGENCES, aggregation="none", **learners)
    ball.fit(x, y, **given)
    for asked in ("mean", "ate"):
        manski = plain.average_bounds(asked)
        table = ball.average_bounds(asked).table
        low, high = table["lower"], table["upper"]
        check(f"ball outside Manski, {asked}", low <= manski.lower + SLACK * unit, high >= manski.upper - SLACK * unit)
        limit = support if asked == "mean" else (-unit, unit)
        check(f"ball inside support, {asked}", low >= limit[0] - SLACK * unit, high <= limit[1] + SLACK * unit)
    at = ball.predict_bounds(x[:5])
    for name, each in at.items():
        check(f"pointwise {name} outside Manski", each.lower <= each.manski_lower + SLACK * unit)
        check(f"pointwise {name} outside Manski", each.upper >= each.manski_upper - SLACK * unit)
    for small, large in (("chi2", "kl"), ("kl", "hellinger"), ("kl", "js")):
        check(f"{small} in {large}", at[large].lower <= at[small].lower + 1e-7 * unit)
        check(f"{small} in {large}", at[large].upper >= at[small].upper - 1e-7 * unit)
    return found, count


def main(first, last, log):
    warnings.simplefilter("ignore")
    total, n, start = 0, 0, time.time()
    with open(log, "a") as file:
        for seed in range(first, last):
            found, count = broken(seed)
            total, n = total + count, n + 1
            for name in found:
                print("VIOLATED", seed, name, file=file, flush=True)
            if n % 100 == 0:
                print(
                    "sets", first, seed + 1, "comparisons", total, f"{time.time() - start:.0f} s", file=file, flush=True
                )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
