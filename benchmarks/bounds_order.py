"""Order of bounds in random small data sets: how often is what must hold violated? It must be never.

Every data set and the questions put to it are drawn from its number: 16 to 60 rows, two or three arms, no to three
covariates, five kinds of outcome, four functionals, weights, clusters, learners; estimand, strengths, levels, subgroup,
divergences and orders of quantiles. Each line of a log is a hundred sets, or a violation.

python benchmarks/bounds_order.py run FIRST LAST LOG; python benchmarks/bounds_order.py table LOG...
"""

from __future__ import annotations

import re
import sys
import time
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from _record import record
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.naive_bayes import GaussianNB

from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds

DIVERGENCES = ["chi2", "tv", "kl", "js", "hellinger", ("alpha", 3.0), ("alpha", 0.3)]
INSIDE = (("chi2", "kl"), ("kl", "hellinger"), ("kl", "js"))
SLACK = 1e-9  # of the outcome's range, beside 8 units in the last place of its largest value


def draw(r):
    """X, y, what fit is given beside, limits of the outcome, and the kind of outcome."""
    n, d = int(r.integers(16, 61)), int(r.integers(0, 4))
    x = r.normal(size=(n, max(d, 1)))
    n_arms = 3 if n >= 30 and r.random() < 0.2 else 2
    chance = 1 / (1 + np.exp(-r.choice([0.5, 2.0]) * x[:, 0]))
    t = (r.random(n) < chance).astype(int) if n_arms == 2 else r.integers(3, size=n)
    t[: 4 * n_arms] = np.repeat(np.arange(n_arms), 4)
    base = x[:, 0] + t + r.normal(size=n)
    kind = str(r.choice(["normal", "binary", "tied", "heavy", "huge"]))
    y = {
        "normal": base,
        "binary": (base > 0.5).astype(float),
        "tied": np.round(base),
        "heavy": r.standard_cauchy(n),
        "huge": 1e9 + 1e-3 * base,
    }[kind]
    given = {"treatment": t}
    weight = np.ones(n)
    if r.random() < 0.5:
        weight = r.choice([0.0, 0.3, 1.0, 4.0], size=n, p=[0.1, 0.3, 0.4, 0.2])
        weight[: 4 * n_arms] = 1.0
        given["sample_weight"] = weight
    if r.random() < 0.3:
        given["groups"] = np.arange(n) // int(r.integers(1, 4))
    kept = y[weight > 0]
    wide = np.ptp(kept) or 1.0
    pad = r.choice([1e-3, 0.5]) * wide
    support = (0.0, 1.0) if kind == "binary" else (float(kept.min() - pad), float(kept.max() + pad))
    y = np.where(weight > 0, y, 1e6 if kind != "huge" else 0.0)  # of no weight: must not matter
    return x if d else None, y, given, support, kind


def learners(r, d, functional):
    law = r.choice(["kernel", "marginal", "knn", "forest", "pooled", "scaled"], p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    law = "marginal" if d == 0 else str(law)
    outcome = str(r.choice(["linear", "spline"])) if law in ("pooled", "scaled") and functional == "mean" else None
    if law == "scaled" and outcome is None:
        law = "pooled"
    model = ExtraTreesRegressor(4, min_samples_leaf=4, random_state=0) if law == "forest" else law
    given = {"law": model, "outcome": outcome, "cv": 2, "random_state": 0, "propensity": GaussianNB() if d else None}
    return given | {"n_repeats": int(r.choice([1, 1, 3]))}


class Checks:
    """Counts comparisons and names the gaps that are negative."""

    def __init__(self, kind, support):
        self.kind, self.unit, self.found, self.count = kind, support[1] - support[0], [], 0
        self.digits = 8 * np.spacing(np.abs(support).max())

    def __call__(self, name, *gaps, slack=SLACK):
        """Gaps that must not be negative; NaN counts as a violation."""
        self.count += 1
        for gap in gaps:
            if not np.all(np.asarray(gap, dtype=float) >= -slack * self.unit - self.digits):
                worst = np.nanmin(np.append(np.asarray(gap, dtype=float), np.inf)) / self.unit
                self.found.append(f"{self.kind}: {name} ({worst:.2g} of the range)")


def nested(check, name, inner, outer, slack=SLACK):
    """Intervals or ends (low, high): the first within the second."""
    with np.errstate(invalid="ignore"):
        gaps = [np.subtract(inner[0], outer[0]), np.subtract(outer[1], inner[1])]
    same = [np.equal(inner[0], outer[0]), np.equal(inner[1], outer[1])]  # infinities that are the same
    check(name, *(np.where(s, 0.0, g) for s, g in zip(same, gaps, strict=True)), slack=slack)


def sensitivity(r, check, model, *, x, support, n_arms, ordinary):  # noqa: PLR0915
    unit = check.unit
    estimand = str(r.choice(["ate", "mean", "att", "overlap", "policy"]))
    arms = {"arm": int(r.integers(1, n_arms)), "control": 0}
    if estimand == "mean":
        arms = {"arm": int(r.integers(n_arms))}
    if estimand == "policy":
        shares = np.eye(n_arms)[r.integers(n_arms, size=len(model._rows.codes))]
        arms = {"policy": lambda _: shares}
    where = None
    if r.random() < 0.25:
        where = r.random(model._rows.kept.size) < 0.6
        where[: 4 * n_arms] = True
    asked = {"estimand": estimand, "where": where, **arms}
    strengths = np.sort(np.r_[1.0, 1.0 + r.exponential(1.0, size=3), r.choice([1.05, 7.5, 40.0])])
    table = model.average_bounds(odds_ratio=strengths, **asked).table
    ends, held = (table[c].to_numpy().T for c in (["lower", "upper"], ["ci_lower", "ci_upper"]))
    check("number", np.where(np.isfinite(table[["lower", "upper", "ci_lower", "ci_upper"]]), 0.0, -np.inf))
    nested(check, f"{estimand}: ends grow with the odds ratio", ends[:, :-1], ends[:, 1:])
    nested(check, f"{estimand}: intervals grow with the odds ratio", held[:, :-1], held[:, 1:])
    nested(check, f"{estimand}: ends in Manski's", ends, table[["manski_lower", "manski_upper"]].to_numpy().T)
    nested(check, f"{estimand}: ends in the interval", ends, held)
    possible = support if estimand in ("mean", "policy") else (-unit, unit)
    nested(check, f"{estimand}: interval in the support", held, np.array(possible)[:, None])
    # Separate questions, of other strengths and levels.
    near = float(1.0 + r.exponential(0.5))
    alone = [model.average_bounds(odds_ratio=near * by, **asked) for by in (1.0, 1.0 + r.choice([1e-3, 0.02, 0.3]))]
    nested(check, f"{estimand}: separate ends", *[(b.lower, b.upper) for b in alone])
    nested(check, f"{estimand}: separate intervals", *[b.conf_int for b in alone])
    level = np.sort(r.uniform(0.3, 0.999, size=2))
    target = str(r.choice(["parameter", "set"]))
    by_level = [
        model.average_bounds(odds_ratio=near, confidence_level=c, target=target, **asked).conf_int for c in level
    ]
    nested(check, f"{estimand}: levels", *by_level)
    both = [model.average_bounds(odds_ratio=near, target=each, **asked).conf_int for each in ("parameter", "set")]
    nested(check, f"{estimand}: interval of the parameter in that of the set", *both)
    if x is not None:
        at = [model.predict_bounds(x[:5], odds_ratio=float(s), arm=0) for s in strengths]
        for before, after in pairwise(at):
            nested(check, "pointwise: odds ratio", (before.lower, before.upper), (after.lower, after.upper))
        last = at[-1]
        nested(check, "pointwise: in Manski's", (last.lower, last.upper), (last.manski_lower, last.manski_upper))
        if ordinary and r.random() < 0.15:
            given = {"arm": 1, "control": 0, "grid": np.quantile(x[:, 0], [0.2, 0.5, 0.8])}
            curves = [model.conditional_bounds(0, odds_ratio=near * by, **given) for by in (1.0, 1.3)]
            nested(check, "curve: ends", *[(c.lower, c.upper) for c in curves])
            nested(check, "curve: bands", *[c.conf_int.T for c in curves])
    if estimand in ("ate", "mean") and r.random() < 0.15:
        null = float(r.uniform(ends[0, 0] - 0.2 * unit, ends[1, 0] + 0.2 * unit))
        reached = model.breakdown(null, **asked)
        check(
            "breakdown: the interval's is not later",
            reached["estimate"] - reached["interval"] if np.isfinite(reached["estimate"]) else 0.0,
        )
        beyond = float(reached["interval"]) * 1.0001
        if np.isfinite(beyond):
            low, high = model.average_bounds(odds_ratio=beyond, **asked).conf_int
            check("breakdown: intervals beyond hold the value", null - low, high - null)


def balls(r, check, given, data, *, support, n_arms):
    unit, (x, y, beside) = check.unit, data
    chosen = [DIVERGENCES[i] for i in np.sort(r.choice(len(DIVERGENCES), size=3, replace=False))]
    model = FDivergenceBounds(outcome_support=given["support"], divergence=chosen, aggregation="none",
                              functional=given["functional"], final=str(r.choice(["plugin", "dr"], p=[0.9, 0.1])),
                              **given["learners"]).fit(x, y, **beside)  # fmt: skip
    plain = ManskiBounds(outcome_support=given["support"], functional=given["functional"]).fit(x, y, **beside)
    asked = {"estimand": str(r.choice(["mean", "ate"])), "arm": int(r.integers(1, n_arms))}
    if asked["estimand"] == "ate":
        asked["control"] = 0
    manski, table = plain.average_bounds(**asked), model.average_bounds(**asked).table
    ends = table[["lower", "upper"]].to_numpy().T
    limit = np.array(support if asked["estimand"] == "mean" else (-unit, unit))[:, None]
    nested(check, "ball: Manski's in it", np.array([[manski.lower], [manski.upper]]), ends)
    nested(check, "ball: in the support", ends, limit)
    nested(check, "Manski: ends in the interval", (manski.lower, manski.upper), manski.conf_int)
    for small, large in INSIDE:
        if small in table.index and large in table.index:
            nested(check, f"ball: average of {small} in {large}", *[table.loc[k, ["lower", "upper"]].to_numpy(float)
                                                                    for k in (small, large)], slack=1e-7)  # fmt: skip
    if x is None:
        return
    at = model.predict_bounds(x[:5], arm=asked["arm"])
    for name, each in at.items():
        own = (each.lower, each.upper)
        nested(check, f"ball: pointwise Manski's in {name}", (each.manski_lower, each.manski_upper), own)
        nested(check, f"ball: pointwise {name} in the support", own, np.array(support)[:, None])
    for small, large in INSIDE if model.final == "plugin" else ():
        if small in at and large in at:
            nested(check, f"ball: pointwise {small} in {large}", *[(at[k].lower, at[k].upper) for k in (small, large)],
                   slack=1e-7)  # fmt: skip


def quantiles(r, check, given, data, *, support, n_arms):
    x, y, beside = data
    limits = support if r.random() < 0.5 else None
    model = QuantileBounds(outcome_support=limits, **given["learners"]).fit(x, y, **beside)
    arm, orders = int(r.integers(n_arms)), np.sort(r.uniform(0.05, 0.95, size=2))
    odds = np.sort(1.0 + r.exponential(1.0, size=2))
    asked = [model.population_bounds(arm=arm, tau=orders, odds_ratio=o).table for o in (*odds, None)]
    for inner, outer in pairwise(asked):
        which = "quantile: " + ("odds ratio" if outer is not asked[-1] else "in no assumption's")
        nested(check, which, inner[["lower", "upper"]].to_numpy().T, outer[["lower", "upper"]].to_numpy().T)
        if outer is not asked[-1]:
            nested(check, which + ", intervals", *[t[["ci_lower", "ci_upper"]].to_numpy().T for t in (inner, outer)])
    for table in asked:
        ends, held = table[["lower", "upper"]].to_numpy().T, table[["ci_lower", "ci_upper"]].to_numpy().T
        nested(check, "quantile: ends in the interval", ends, held)
        steps = np.diff(np.vstack([ends, held]), axis=1)
        check("quantile: grows with its order", np.where(np.isnan(steps), 0.0, steps))  # of equal infinities
    level = np.sort(r.uniform(0.3, 0.999, size=2))
    o = [None, float(odds[0])][int(r.integers(2))]
    by_level = [
        model.population_bounds(arm=arm, odds_ratio=o, confidence_level=c).table[["ci_lower", "ci_upper"]].to_numpy()[0]
        for c in level
    ]
    nested(check, "quantile: levels", *by_level)


def broken(seed):
    """Violations in one data set, and how many comparisons were made."""
    r = np.random.default_rng([15, seed])
    x, y, beside, support, kind = draw(r)
    d = 0 if x is None else x.shape[1]
    n_arms = int(beside["treatment"].max()) + 1
    functional = "mean"
    if r.random() < 0.3:
        cut = float(np.median(y))
        functional = [("cdf", cut), ("exceedance", cut), np.arctan][int(r.integers(3 if kind != "huge" else 2))]
    own = support
    if isinstance(functional, tuple):
        own = (0.0, 1.0)
    elif callable(functional):
        own = (float(np.arctan(support[0])), float(np.arctan(support[1])))
    given = {"functional": functional, "learners": learners(r, d, functional), "support": own}
    if isinstance(functional, tuple):
        given["support"] = None
    which = str(r.choice(["sensitivity", "balls", "quantiles"], p=[0.55, 0.3, 0.15]))
    check = Checks(kind, support if which == "quantiles" else own)
    data = x, y, beside
    if which == "sensitivity":
        model = SensitivityBounds(outcome_support=given["support"], functional=functional, **given["learners"])
        sensitivity(r, check, model.fit(x, y, **beside), x=x, support=own, n_arms=n_arms, ordinary=functional == "mean")
    elif which == "balls":
        balls(r, check, given, data, support=own, n_arms=n_arms)
    else:
        quantiles(r, check, given, data, support=support, n_arms=n_arms)
    return which, check.found, check.count


def run(first, last, log):
    warnings.simplefilter("ignore")
    sets, made, start = Counter(), Counter(), time.process_time()
    with open(log, "a") as file:
        for seed in range(first, last):
            try:
                which, found, count = broken(seed)
            except Exception as error:  # what a legal data set must not raise
                which, found, count = "raised", [f"{type(error).__name__}: {error}"], 1
            sets[which] += 1
            made[which] += count
            for name in found:
                print("VIOLATED", seed, which, name, file=file, flush=True)
            if (seed + 1 - first) % 100 == 0 or seed + 1 == last:
                for each, number in sets.items():
                    print("SETS", each, number, made[each], f"{time.process_time() - start:.0f}", file=file, flush=True)
                sets, made = Counter(), Counter()


def table(logs):
    lines = [line.split() for log in logs for line in Path(log).read_text().splitlines()]
    done = pd.DataFrame([w[1:4] for w in lines if w[0] == "SETS"], columns=["asked", "sets", "comparisons"])
    done = done.astype({"sets": int, "comparisons": int}).groupby("asked").sum()
    bad = [w for w in lines if w[0] == "VIOLATED"]
    done["sets with a violation"] = [len({w[1] for w in bad if w[2] == kind}) for kind in done.index]
    done.loc["all"] = done.sum()
    names = Counter(re.sub(r"\(.*", "", " ".join(w[3:])) for w in bad)
    sections = {"sets and violations": done.sort_values("sets with a violation", ascending=False)}
    if names:
        sections["which"] = pd.Series(names, name="times").sort_values(ascending=False).to_frame()
    record("bounds_order", sections)


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        table(sys.argv[2:])
