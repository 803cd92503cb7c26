"""Coverage of intervals where events are rare, and of outer quantiles: exact sums over the number of events, no draws.

Without covariates an interval is a function of the number of events in the arm (of the ranks of its outcomes), so that
its coverage is a sum of binomial chances.
"""

import warnings

import numpy as np
import pandas as pd
from _record import record
from scipy.stats import binom, norm

from causalinv.bounds import QuantileBounds, SensitivityBounds

warnings.simplefilter("ignore")
RATIOS = (1.0, 2.0)


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
    few, outer = events(), quantiles()
    record(
        "bounds_rare_events",
        {
            "chance of an event: nominal .975 at each end, losing cells first": few,
            "quantiles: nominal .975 at the upper end, losing cells first": outer,
            "reading": (
                "Exact: intervals of 95% for both ends, each end by itself. 'normal errors alone': the end plus 1.96 "
                "standard errors, as before. 'ends at the largest value': coverage of an interval that ended there, as "
                "those of .97 and .99 did. No limit means that no row of the sample bounds the quantile, as in "
                "binomial tests."
            ),
        },
    )
    assert (few[["upper end", "lower end"]] >= 0.97).all().all()
    assert (outer["upper end"] >= 0.97).all()


if __name__ == "__main__":
    main()
