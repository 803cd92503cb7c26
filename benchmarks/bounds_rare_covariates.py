"""Coverage of intervals for the chance of a rare event, with covariates: a logistic propensity and a logistic chance.

Rows count by inverse propensities here, so that few events are fewer still; `bounds_rare_events` has equal shares.

``python bounds_rare_covariates.py``: everything. ``python bounds_rare_covariates.py hardest``: the limit alone, at a
known propensity, with all events where the arm is rarest.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from causalinv.bounds import SensitivityBounds
from causalinv.bounds._unseen import more_of_few

warnings.simplefilter("ignore")
RATIOS, SETS = (1.0, 2.0), 200
WIDE = np.random.default_rng(99).normal(size=(400_000, 3))


def propensity(x):
    return expit(x[:, 0] + 0.5 * x[:, 1])


def chance_at(x, level, slope):
    return expit(level + slope * (x[:, 0] + x[:, 2]))


def cell(n, chance, slope):
    """A line for every odds ratio: upper and lower ends of the mean under the arm, both at once."""
    level = brentq(lambda c: chance_at(WIDE, c, slope).mean() - chance, -20.0, 5.0)
    p, e, found = chance_at(WIDE, level, slope), propensity(WIDE), []
    for number in range(SETS):
        rng = np.random.default_rng([number, n, int(1e4 * chance)])
        x = rng.normal(size=(n, 3))
        arm, y = rng.random(n) < propensity(x), 1.0 * (rng.random(n) < chance_at(x, level, slope))
        model = SensitivityBounds(law="kernel", random_state=0).fit(x, y, treatment=1 * arm)
        table = model.average_bounds("mean", odds_ratio=RATIOS, target="set").table
        found.append(table.assign(events=y[arm].sum()))
    for ratio in RATIOS:
        most, least = np.minimum(ratio * p, 1 - (1 - p) / ratio), np.maximum(p / ratio, 1 - ratio * (1 - p))
        high, low = (np.mean(e * p + (1 - e) * outside) for outside in (most, least))
        got = pd.DataFrame([each.loc[ratio] for each in found])
        reach = norm.ppf(0.975) * got.se_upper
        more = ((got.ci_upper - got.upper) / reach)[got.events > 0]
        yield {
            "rows": n,
            "chance": chance,
            "events where the arm is": "common" if slope > 0 else "rare",
            "odds ratio": ratio,
            "events in the arm": got.events.mean(),
            "no event": np.mean(got.events == 0),
            "upper end, normal errors alone": np.mean(got.upper + reach >= high),
            "upper end": np.mean(got.ci_upper >= high),
            "lower end": np.mean(got.ci_lower <= low),
            "reach over normal": more.median(),
        }


def write(rows):
    """Record the lines that there are."""
    keys = ["rows", "chance", "events where the arm is", "odds ratio"]
    record(
        "bounds_rare_covariates",
        {
            "nominal .975 at each end, losing cells first": pd.DataFrame(rows).set_index(keys).sort_values("upper end"),
            "reading": (
                f"{SETS} data sets a line: the s.e. is .011 at .975. 'normal errors alone': the end plus 1.96 standard "
                "errors. 'reach over normal': distance from the end to its limit over 1.96 standard errors, median "
                "over samples with an event."
            ),
        },
        keep=True,
    )


def limits(n, slope, chance, place, rng, *, repeats=3_000):
    """How often the upper limit of a mean is above it, and that of normal errors alone; propensity expit(slope x)."""
    held = np.zeros(2)
    for _ in range(repeats):
        e = np.clip(expit(slope * rng.normal(size=n)), 0.01, 0.99)
        p = np.full(n, chance)
        if place == "rarest tenth":
            p = np.where(e < np.quantile(e, 0.1), np.minimum(10 * chance, 1.0), 0.0)
        elif place == "rare":
            p = np.minimum(chance * (1 - e) / np.mean(1 - e), 1.0)
        arm, event = rng.random(n) < e, rng.random(n) < p
        share, seen = 1.0 / (n * e[arm]), event[arm]
        end, error = share[seen].sum(), norm.ppf(0.975) * np.sqrt(np.sum(share[seen] ** 2))
        held += p.mean() <= end + np.array([error + more_of_few(share, seen, None, 0.95, error), error])
    return held / repeats


def hardest():
    """Record how the limit stands where nothing is estimated but the mean."""
    rng, found = np.random.default_rng(0), []
    for n in (500, 2_000):
        for slope in (0.5, 1.0, 2.0):
            for place in ("anywhere", "rare", "rarest tenth"):
                for chance in (0.01, 0.03):
                    limit, alone = limits(n, slope, chance, place, rng)
                    found.append([n, slope, place, chance, alone, limit])
    columns = ["rows", "slope", "events where the arm is", "chance", "normal errors alone", "limit"]
    table = pd.DataFrame(found, columns=columns).sort_values("limit").set_index(columns[:4])
    title = "the limit alone, nominal .975, propensity known and cut at .01, 3,000 data sets a line (s.e. .003)"
    record("bounds_rare_covariates", {title: table}, keep=True)


def main():
    rows = []
    for chance in (0.01, 0.03, 0.3):
        for n in (500, 2000):
            for slope in (0.7, -0.7):
                rows.extend(cell(n, chance, slope))
                write(rows)


if __name__ == "__main__":
    if "hardest" not in sys.argv:
        main()
    hardest()
