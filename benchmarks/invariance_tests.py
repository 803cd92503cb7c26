"""Sizes of the tests of invariance on the true causes: Gaussian errors, and errors whose variance depends on x."""

import numpy as np
import pandas as pd
from _record import record
from statsmodels.stats.proportion import proportion_confint

from causalinv import Moments
from causalinv.invariance import SubsetStatistics, chow_pvalues, residual_pvalues, robust_chow_pvalue, sweep

REPLICATIONS, ENVIRONMENTS, FEATURES = 2000, 5, 3


def size(n, uneven):
    rng = np.random.default_rng(0)
    environments = np.repeat(np.arange(ENVIRONMENTS), n)
    rejected = {"chow": 0, "chow_hc": 0, "residual": 0}
    for _ in range(REPLICATIONS):
        X = rng.normal(size=(ENVIRONMENTS, n, FEATURES)) * (1 + 0.3 * np.arange(ENVIRONMENTS))[:, None, None]
        X += np.arange(ENVIRONMENTS)[:, None, None]
        scale = np.exp(0.5 * np.clip(X[..., 0], -2, 2)) if uneven else 1.0
        y = 1.0 + X @ [2.0, -1.0, 0.5] + scale * rng.normal(size=(ENVIRONMENTS, n))
        moments = Moments.from_rows(x=X.reshape(-1, FEATURES), y=y.ravel(), environments=environments)
        full = SubsetStatistics.concatenate(sweep(moments)).take([2**FEATURES - 1])
        rejected["chow"] += chow_pvalues(full, moments.count)[0] <= 0.05
        rejected["residual"] += residual_pvalues(full, moments.count)[0] <= 0.05
        rejected["chow_hc"] += robust_chow_pvalue([np.c_[np.ones(n), x] for x in X], list(y)) <= 0.05
    return rejected


def main():
    rows = {}
    for uneven in (False, True):
        for n in (50, 200, 1000):
            for test, count in size(n, uneven).items():
                low, high = proportion_confint(count, REPLICATIONS, alpha=0.01, method="beta")
                noise = "variance depends on x" if uneven else "equal variance"
                rows[noise, n, test] = {"rejected": count / REPLICATIONS, "99% from": low, "to": high}
    table = pd.DataFrame(rows).T.rename_axis(["errors", "rows each", "test"])
    record("invariance_tests", {f"level .05, {REPLICATIONS} replications, {ENVIRONMENTS} environments": table})
    equal, unequal = table.loc["equal variance"]["rejected"], table.loc["variance depends on x"]["rejected"]
    for n in (200, 1000):
        assert 0.03 <= equal[n, "chow"] <= 0.07
        assert unequal[n, "chow_hc"] <= 0.08
        assert equal[n, "chow_hc"] <= 0.08


if __name__ == "__main__":
    main()
