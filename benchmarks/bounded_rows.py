"""How often an environment with a gap of 1.1 eps passes, by rows of three laws, and the rows that a pass needs.

``python benchmarks/bounded_rows.py [law]...``: lognormal, t3, "rare binary"; a section of the record for each.
"""

import sys

import numpy as np
import pandas as pd
from _record import record

from causalinv import Moments
from causalinv.invariance import certify
from causalinv.invariance.rules._betting import evidence, rows_needed

REPLICATIONS, EPS, MISS = 1000, 0.15, 0.05


def lognormal(rng, n, gap):
    """Cut off at 8 standard deviations."""
    x, noise = ((np.minimum(rng.lognormal(size=n), 18.3) - 1.6320) / 2.0114 for _ in range(2))
    return x, np.sqrt(gap) * x + noise, 8.4 * (1 + np.sqrt(1.1 * EPS))


def t3(rng, n, gap):
    """Cut off at 10."""
    x, noise = (np.clip(rng.standard_t(3, size=n), -10, 10) for _ in range(2))
    return x, np.sqrt(gap) * x + noise, 10 * (1 + np.sqrt(1.1 * EPS))


def binary(rng, n, gap):
    """Outcomes of probability .05, about their mean, moved by a feature of probability .1."""
    x = rng.uniform(size=n) < 0.1
    p = 0.05 + np.sqrt(gap / (1 + gap) * 0.05 * 0.95 / 0.09) * (x - 0.1)
    return x.astype(float), (rng.uniform(size=n) < p) - 0.05, 1.0


LAWS = {"lognormal": lognormal, "t3": t3, "rare binary": binary}


def judged(name):
    """Shares that pass, by rows and gap."""
    rows = {}
    for n in (300, 3000, 12000):
        for ratio in (1.1, 0.0):
            rng, passed, needed = np.random.default_rng(0), np.zeros(2), []
            runs = REPLICATIONS if ratio else REPLICATIONS // 10
            for _ in range(runs):
                x, y, bound = LAWS[name](rng, n, ratio * EPS)
                passed[0] += evidence(y, np.c_[np.ones(n), x], EPS, bound) >= 1 / MISS
                moments = Moments.from_rows(x=x, y=y, environments=np.zeros(n))
                held = certify((np.eye(1), [0.0], 0.0), moments, eps=EPS, method="two_level", miss_rate=MISS)
                passed[1] += held.violations == 0
                needed.append(rows_needed(y, EPS, bound, MISS))
            rows[n, f"{ratio:g} eps"] = {
                "bounded": passed[0] / runs,
                "two_level": passed[1] / runs,
                "rows needed (median)": np.median(needed),
            }
            print(name, n, ratio, rows[n, f"{ratio:g} eps"], flush=True)
    table = pd.DataFrame(rows).T.rename_axis(["n", "gap"]).sort_values("two_level", ascending=False)
    return table.sort_index(level="gap", ascending=False, sort_remaining=False, kind="stable")


def main():
    se = (MISS * (1 - MISS) / REPLICATIONS) ** 0.5
    for name in sys.argv[1:] or LAWS:
        title = (
            f"{name}: share that passes at eps = {EPS:g}; at 1.1 eps at most {MISS:g} may ({REPLICATIONS} sets, s.e. "
            f"{se:.3f}; without a gap {REPLICATIONS // 10})"
        )
        record("bounded_rows", {title: judged(name)}, keep=True)


if __name__ == "__main__":
    main()
