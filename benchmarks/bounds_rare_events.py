"""Coverage of intervals where events are rare, and of outer quantiles.

Without covariates an interval is a function of the number of events in the arm (of the ranks of its outcomes), so that
its coverage is a sum of binomial chances. With covariates data sets are drawn.
"""

import warnings

import numpy as np
import pandas as pd
from _record import record
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom, norm

from causalinv.bounds import QuantileBounds, SensitivityBounds

warnings.simplefilter("ignore")
RATIOS = (1.0, 2.0)
SETS = 250


def worst(p, ratio, sign):
    """Largest (+1) or least (-1) chance over all rows, half of which took the arm."""
    outside = (ratio * p, 1 - (1 - p) / ratio) if sign > 0 else (p / ratio, 1 - ratio * (1 - p))
    return (p + (min(outside) if sign > 0 else max(outside))) / 2


def events():
    rows = []
    for size in (30, 100, 300):
        treatment, place = np.arange(2 * size) % 2, np.arange(2 * size) // 2
        counts, tables = range(26), []
        for k in counts:
            y = np.where(treatment == 1, place < k, np.arange(2 * size) % 3 == 0)
            model = SensitivityBounds(random_state=0).fit(None, 1.0 * y, treatment=treatment)
            tables.append(model.average_bounds("mean", odds_ratio=RATIOS, target="set").table)
        for p in (0.005, 0.01, 0.03):
            chance = binom.pmf(counts, size, p)
            for ratio in RATIOS:
                ends = {name: np.array([each.loc[ratio, name] for each in tables]) for name in tables[0]}
                normal = ends["upper"] + norm.ppf(0.975) * ends["se_upper"]
                truth = worst(p, ratio, 1)
                rows.append(
                    {
                        "rows in the arm": size,
                        "chance": p,
                        "odds ratio": ratio,
                        "no event": chance[0],
                        "upper end, normal errors alone": chance[normal >= truth].sum(),
                        "upper end": chance[ends["ci_upper"] >= truth].sum(),
                        "lower end": chance[ends["ci_lower"] <= worst(p, ratio, -1)].sum(),
                    }
                )
    table = pd.DataFrame(rows).set_index(["rows in the arm", "chance", "odds ratio"])
    return table.sort_values("upper end")


def covariates():
    """Three normal covariates, a logistic propensity and chance; law by kernels, five folds."""
    wide = np.random.default_rng(99).normal(size=(400_000, 3))

    def propensity(x):
        return expit(x[:, 0] + 0.5 * x[:, 1])

    rows = []
    for n in (500, 2000):
        for chance in (0.01, 0.03, 0.3):
            for slope in (0.7, -0.7):  # events where the arm is common, or where it is rare

                def at(x, level, slope=slope):
                    return expit(level + slope * (x[:, 0] + x[:, 2]))

                level = brentq(lambda c, at=at, chance=chance: at(wide, c).mean() - chance, -20.0, 5.0)
                p, e, found = at(wide, level), propensity(wide), []
                for number in range(SETS):
                    rng = np.random.default_rng([number, n, int(1e4 * chance)])
                    x = rng.normal(size=(n, 3))
                    arm, y = rng.random(n) < propensity(x), 1.0 * (rng.random(n) < at(x, level))
                    model = SensitivityBounds(law="kernel", random_state=0).fit(x, y, treatment=1 * arm)
                    table = model.average_bounds("mean", odds_ratio=RATIOS, target="set").table
                    found.append(table.assign(events=y[arm].sum()))
                for ratio in RATIOS:
                    outside = np.minimum(ratio * p, 1 - (1 - p) / ratio), np.maximum(p / ratio, 1 - ratio * (1 - p))
                    high, low = (np.mean(e * p + (1 - e) * each) for each in outside)
                    got = pd.DataFrame([each.loc[ratio] for each in found])
                    reach = norm.ppf(0.975) * got.se_upper
                    more = ((got.ci_upper - got.upper) / reach)[reach > 0]
                    rows.append(
                        {
                            "rows": n,
                            "chance": chance,
                            "events": "where the arm is " + ("common" if slope > 0 else "rare"),
                            "odds ratio": ratio,
                            "events in the arm": got.events.mean(),
                            "upper end, normal errors alone": np.mean(got.upper + reach >= high),
                            "upper end": np.mean(got.ci_upper >= high),
                            "lower end": np.mean(got.ci_lower <= low),
                            "reach against normal": more.mean(),
                        }
                    )
                    print(rows[-1], flush=True)
    return pd.DataFrame(rows).set_index(["rows", "chance", "events", "odds ratio"]).sort_values("upper end")


def quantiles():
    rows = []
    for size in (100, 300):
        treatment = np.arange(2 * size) % 2
        y = np.where(treatment == 1, np.random.default_rng(0).permutation(size)[np.arange(2 * size) // 2], 0.0)
        model = QuantileBounds(random_state=0).fit(None, y, treatment=treatment)
        for tau in (0.5, 0.9, 0.97, 0.99):
            for ratio in RATIOS:
                high = model.population_bounds(tau=tau, odds_ratio=ratio).conf_int[1]
                grid = np.linspace(0.0, 1.0, 200_001)
                above = np.array([worst(p, ratio, 1) for p in grid])  # of the chance to lie above a value
                order = 1.0 - grid[np.searchsorted(above, 1.0 - tau)]
                # The limit, the value of this rank, lies below the quantile if more than `high` rows do.
                cover = 1.0 if np.isinf(high) else binom.cdf(high, size, order)
                rows.append(
                    {
                        "rows in the arm": size,
                        "tau": tau,
                        "odds ratio": ratio,
                        "upper end": cover,
                        "ends at the largest value": binom.cdf(size - 1, size, order),
                        "has a limit": np.isfinite(high),
                    }
                )
    return pd.DataFrame(rows).set_index(["rows in the arm", "tau", "odds ratio"]).sort_values("upper end")


def main():
    few, outer, drawn = events(), quantiles(), covariates()
    record(
        "bounds_rare_events",
        {
            "chance of an event: nominal .975 at each end, losing cells first": few,
            "quantiles: nominal .975 at the upper end, losing cells first": outer,
            f"chance of an event with covariates, {SETS} data sets a line, losing cells first": drawn,
            "reading": (
                "The first two are exact, each end by itself; with covariates the s.e. is .010 at .975. 'normal errors "
                "alone': the end plus 1.96 standard errors, as before. 'ends at the largest value': coverage of an "
                "interval that ended there, as those of .97 and .99 did. No limit means that no row of the sample "
                "bounds the quantile, as in binomial tests. 'reach against normal': distance from end to limit over "
                "1.96 standard errors, mean over samples with an event."
            ),
        },
    )
    assert (few[["upper end", "lower end"]] >= 0.97).all().all()
    assert (outer["upper end"] >= 0.97).all()


if __name__ == "__main__":
    main()
