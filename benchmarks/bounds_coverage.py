"""Coverage of intervals and bands at known ends, in the cells where an audit found them wanting.

Every replication is one line of a log, so that a study can be stopped and summarised at any time:
python benchmarks/bounds_coverage.py run CELL FIRST LAST LOG; python benchmarks/bounds_coverage.py table LOG...
"""

from __future__ import annotations

import sys
import warnings
from functools import cache

import numpy as np
import pandas as pd
from _record import record
from scipy.special import expit
from scipy.stats import norm, poisson

from causalinv.bounds import QuantileBounds, SensitivityBounds, cap_bounds

ODDS = 2.0
HALF = (ODDS - 1 / ODDS) * norm.pdf(norm.ppf(ODDS / (1 + ODDS)))  # of an effect's width with N(0, 1) residuals


def base(seed, n, slope=1.0):
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 2))
    return r, x, (r.random(n) < expit(slope * x[:, 0])).astype(int)


def ends_of(atoms, weights_of, slope=1.0):
    """Ends of the effect for a discrete outcome, over the law of x0: weights of the atoms given x0 and the arm."""
    x = norm.ppf((np.arange(4000) + 0.5) / 4000)
    e = expit(slope * x)
    (l1, u1), (l0, u0) = (
        cap_bounds(atoms, p, weights=weights_of(x, a), odds_ratio=ODDS) for a, p in ((1, e), (0, 1 - e))
    )
    return (l1 - u0).mean(), (u1 - l0).mean()


def chance(x, a):
    return expit(0.5 * x + 0.5 * a)


def counts(x, a):
    w = poisson.pmf(np.arange(30), np.exp(0.3 * x + 0.3 * a)[:, None])
    return w / w.sum(axis=1, keepdims=True)


BINARY = ends_of([0.0, 1.0], lambda x, a: np.column_stack([1 - chance(x, a), chance(x, a)]))
COUNTS = ends_of(np.arange(30.0), counts)


# -- cells: (data and given of fit, truth of both ends, arguments of the model) ----------------------------------------


def normal(seed, n=300, slope=1.0):
    r, x, t = base(seed, n, slope)
    return (x, x[:, 0] + t + r.normal(size=n), {"treatment": t}), (1 - HALF, 1 + HALF)


def binary(seed, n=300):
    r, x, t = base(seed, n)
    return (x, (r.random(n) < chance(x[:, 0], t)).astype(float), {"treatment": t}), BINARY


def tied(seed, n=300):
    r, x, t = base(seed, n)
    return (x, r.poisson(np.exp(0.3 * x[:, 0] + 0.3 * t)).astype(float), {"treatment": t}), COUNTS


def clusters(seed, sizes):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    r, x, t = base(seed, len(groups))
    y = x[:, 0] + t + 0.5 * r.normal(size=len(sizes))[groups] + np.sqrt(0.75) * r.normal(size=len(groups))
    return (x, y, {"treatment": t, "groups": groups}), (1 - HALF, 1 + HALF)


def whole_clusters(seed, n_groups=16, size=20):
    """Whole clusters take an arm."""
    groups = np.repeat(np.arange(n_groups), size)
    r = np.random.default_rng(seed)
    x = r.normal(size=(len(groups), 2))
    t = r.permutation(np.arange(n_groups) % 2)[groups]
    y = x[:, 0] + t + 0.5 * r.normal(size=n_groups)[groups] + np.sqrt(0.75) * r.normal(size=len(groups))
    return (x, y, {"treatment": t, "groups": groups}), (1 - HALF, 1 + HALF)


def weighted(seed, strength, n=600):
    """Rows came into the sample with a chance that depends on x1, which moves the outcome."""
    r, x, _ = base(seed, 6 * n)
    share = expit(strength * x[:, 1] - 1.0)
    kept = np.flatnonzero(r.random(len(x)) < share)[:n]
    x, share = x[kept], share[kept]
    t = (r.random(len(x)) < expit(x[:, 0])).astype(int)
    y = x.sum(axis=1) + t + r.normal(size=len(x))
    return (x, y, {"treatment": t, "sample_weight": 1 / share}), (1 - HALF, 1 + HALF)


def heavy(seed, n=300):
    """Lognormal residuals, less their mean."""
    r, x, t = base(seed, n)
    y = x[:, 0] + t + np.exp(r.normal(size=n)) - np.exp(0.5)
    # Means beyond and before a quantile z of exp(N): exp(.5) Phi(1 - z) over the mass, likewise below.
    low, high = norm.ppf(1 / (1 + ODDS)), norm.ppf(ODDS / (1 + ODDS))
    upper = np.exp(0.5) * (norm.cdf(1 - high) / norm.cdf(-high) - 1)
    lower = np.exp(0.5) * (norm.cdf(low - 1) / norm.cdf(low) - 1)
    # An arm's end adds (1 - e)(1 - 1 / odds) times the tail's; over both arms 1 - e sums to one only where e is a half.
    share = 1 - 1 / ODDS
    e = 0.5  # the mean of expit of a symmetric x
    half = share * ((1 - e) * upper - e * lower)
    return (x, y, {"treatment": t}), (1 - half, 1 + half)


CELLS = {
    "normal": normal,
    "binary": binary,
    "tied": tied,
    "lognormal": heavy,
    "6 clusters": lambda seed: clusters(seed, [50] * 6),
    "10 clusters": lambda seed: clusters(seed, [30] * 10),
    "12 unequal clusters": lambda seed: clusters(seed, [150] + [15] * 11),
    "30 clusters": lambda seed: clusters(seed, [10] * 30),
    "16 clusters, arms whole": whole_clusters,
    "weights": lambda seed: weighted(seed, 0.5),
    "heavy weights": lambda seed: weighted(seed, 1.5),
    "poor overlap": lambda seed: normal(seed, 1000, 2.5),
}


def average(cell, seed, law="kernel"):
    (x, y, given), truth = CELLS[cell](seed)
    found = SensitivityBounds(law=law, random_state=0).fit(x, y, **given).average_bounds("ate", odds_ratio=ODDS)
    (low, high), ends = found.conf_int, (found.lower, found.upper)
    held = [low <= end <= high for end in truth]
    return {
        "held at lower end": held[0],
        "held at upper end": held[1],
        "outward": (truth[0] - ends[0] + ends[1] - truth[1]) / 2,
        "s.e.": (found.se_lower + found.se_upper) / 2,
        "width of interval": high - low,
    }


#: e, order and law of the arm's outcome; only without covariates, as the audit had them.
QUANTILES = {
    "binary, jump at order": (1000, 0.9, 0.5, lambda r, n: (r.random(n) > 0.4456).astype(float)),
    "binary, jump at order, n = 4000": (4000, 0.9, 0.5, lambda r, n: (r.random(n) > 0.4456).astype(float)),
    "poisson .25": (800, 0.9, 0.7989, lambda r, n: r.poisson(0.25, n).astype(float)),
    "poisson 1": (800, 0.8, 0.787, lambda r, n: r.poisson(1.0, n).astype(float)),
}


@cache
def quantile_ends(cell):
    """Quantiles of the arm's law at the orders of both ends."""
    _, e, tau, draw = QUANTILES[cell]
    big = draw(np.random.default_rng(0), 2_000_000)
    low, high = (tau - 1 + e) / e, tau / e
    return (
        -np.inf if low <= 0 else np.quantile(big, low, method="inverted_cdf"),
        np.inf if high >= 1 else np.quantile(big, high, method="inverted_cdf"),
    )


def quantile(cell, seed):
    n, e, tau, draw = QUANTILES[cell]
    r = np.random.default_rng(seed)
    a, y = (r.random(n) < e).astype(int), draw(r, n)
    found = QuantileBounds(tau=tau, law="marginal", random_state=0).fit(None, y, treatment=a).population_bounds(arm=1)
    truth, (low, high) = quantile_ends(cell), found.conf_int
    return {
        "held at lower end": low <= truth[0],
        "held at upper end": truth[1] <= high,
        "width of interval": high - low,
    }


def curve(cell, seed):
    """Effect given x0 with a smooth curve; the truth is the curve itself."""
    n = int(cell.split("=")[1].split(",")[0])
    wavy = "wavy" in cell
    r = np.random.default_rng(seed)
    x = r.uniform(-2, 2, size=(n, 2))
    t = (r.random(n) < expit(x[:, 0])).astype(int)
    shape = (lambda u: np.sin(3 * u)) if wavy else np.sin
    y = shape(x[:, 0]) * t + x[:, 1] + r.normal(size=n)
    model = SensitivityBounds(outcome="spline", law="pooled", random_state=0).fit(x, y, treatment=t)
    grid = np.linspace(-1.8, 1.8, 15)
    found = model.conditional_bounds(0, odds_ratio=ODDS, grid=grid)
    band = found.conf_int
    low, high = shape(grid) - HALF, shape(grid) + HALF
    gap = (found.upper - found.lower) / (2 * HALF)
    return {
        "held at lower end": bool((band[:, 0] <= low).all()),
        "held at upper end": bool((band[:, 1] >= high).all()),
        "held": bool((band[:, 0] <= low).all() and (band[:, 1] >= high).all()),
        "outward": float(np.mean(low - found.lower + found.upper - high) / 2),
        "s.e.": float(np.mean(found.se_lower + found.se_upper) / 2),
        "width / sharp": float(np.mean(gap)),
        "width of interval": float(np.mean(band[:, 1] - band[:, 0])),
    }


CURVES = (
    "curve, n=200, smooth",
    "curve, n=200, wavy",
    "curve, n=500, smooth",
    "curve, n=2000, smooth",
    "curve, n=500, wavy",
    "curve, n=2000, wavy",
)


def one(cell, seed):
    if cell in CURVES:
        return curve(cell, seed)
    if cell in QUANTILES:
        return quantile(cell, seed)
    name, _, law = cell.partition(" / ")
    return average(name, seed, law or "kernel")


def run(cells, first, last, log):
    warnings.simplefilter("ignore")
    for cell in cells.split(";"):
        for seed in range(first, last):
            line = pd.Series({"cell": cell, "seed": seed} | one(cell, seed))
            with open(log, "a") as file:
                file.write(line.to_json() + "\n")


def table(logs):
    rows = pd.concat([pd.read_json(log, lines=True) for log in logs]).drop_duplicates(["cell", "seed"], keep="last")
    found = []
    for cell, part in rows.groupby("cell"):
        n, both = len(part), part[["held at lower end", "held at upper end"]].astype(float)
        held = part["held"].astype(float).mean() if cell.startswith("curve") else np.nan
        line = {"cell": cell, "sets": n} | both.mean().to_dict() | {"held": held}
        worst = held if cell.startswith("curve") else both.mean().min()
        line["worst"], line["its s.e."] = worst, np.sqrt(max(worst * (1 - worst), 1e-4) / n)
        line |= part[["outward", "s.e.", "width of interval"]].mean().to_dict()
        line["kind"] = "curves" if cell.startswith("curve") else "quantiles" if cell in QUANTILES else "averages"
        found.append(line)
    every = pd.DataFrame(found).sort_values("worst")
    record(
        "bounds_coverage",
        {
            f"{kind}: nominal .95{' at each end' if kind == 'averages' else ''}, losing cells first": part.drop(
                columns="kind"
            )
            .set_index("cell")
            .dropna(axis=1, how="all")
            for kind, part in every.groupby("kind")
        },
        keep=True,
    )


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    else:
        table(sys.argv[2:])
