"""Sensitivity bounds of up to a million rows and 10 covariates: seconds, memory, exponents and agreement by law.

Every run is a line of a log: python benchmarks/bounds_million.py run LAW N LOG; python ... table LOG...
"""

from __future__ import annotations

import resource
import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record
from scipy.special import expit
from scipy.stats import norm

from causalinv.bounds import SensitivityBounds

HALF = 1.5 * norm.pdf(norm.ppf(2 / 3))  # sharp ends at odds ratio 2 are 1 -+ this
LAWS = {"linear + pooled": {"outcome": "linear", "law": "pooled"}, "default": {}}
NAMES = ["law", "n", "fit, s", "average, s", "lower", "upper", "se_lower", "se_upper", "peak, MiB"]


def run(law, n, log):
    warnings.simplefilter("ignore")
    r = np.random.default_rng(7)
    x = r.normal(size=(n, 10))
    t = (r.random(n) < expit(x[:, 0])).astype(int)
    y = x[:, 0] + 0.5 * x[:, 1] + t + r.normal(size=n)
    start = time.process_time()
    model = SensitivityBounds(random_state=0, **LAWS.get(law, {"law": law})).fit(x, y, treatment=t)
    fitted = time.process_time()
    b = model.average_bounds("ate", odds_ratio=2.0)
    spent = [fitted - start, time.process_time() - fitted]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with open(log, "a") as file:
        print(law, n, *spent, b.lower, b.upper, b.se_lower, b.se_upper, peak, sep="\t", file=file)


def table(logs):
    rows = pd.concat([pd.read_csv(log, sep="\t", names=NAMES) for log in logs]).sort_values(["law", "n"])
    rows = rows.drop_duplicates(["law", "n"], keep="last")
    found = []
    for law, part in rows.groupby("law"):
        before = None
        for line in part.to_dict("records"):
            if before is None:
                exponent = apart = np.nan
            else:
                growth = [sum(each[k] for k in ("fit, s", "average, s")) for each in (before, line)]
                exponent = np.log(growth[1] / growth[0]) / np.log(line["n"] / before["n"])
                apart = max(
                    abs(line[end] - before[end]) / np.hypot(line[f"se_{end}"], before[f"se_{end}"])
                    for end in ("lower", "upper")
                )
            found.append(
                {"law": law, "n": line["n"], "exponent": exponent, "ends apart, combined s.e.": apart}
                | {k: line[k] for k in NAMES[2:]}
                | {"width / sharp": (line["upper"] - line["lower"]) / (2 * HALF)}
            )
            before = line
    made = pd.DataFrame(found).sort_values("exponent", ascending=False, na_position="last").set_index(["law", "n"])
    record("bounds_million", {"10 covariates, effect at odds ratio 2, CPU seconds of one thread": made})


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], int(float(sys.argv[3])), sys.argv[4])
    else:
        table(sys.argv[2:])
