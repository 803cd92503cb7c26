"""How often an environment with a gap of 1.1 eps passes on a declared kurtosis, and the rows that a pass needs.

``python benchmarks/kurtosis_rows.py [environments] [law]...``: a section of the record for each law.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv.exceptions import CausalInvWarning
from causalinv.invariance import certify

ENVIRONMENTS, EPS, MISS, AT_ONCE = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, 0.15, 0.05, 50
RULE = (np.eye(1), [0.0], 0.0)


def added(draw):
    """Y = sqrt(gap) x + noise, both of one law of variance one; the rule is 0."""

    def law(rng, n, gap):
        x, noise = draw(rng, n), draw(rng, n)
        return x, np.sqrt(gap) * x + noise

    return law


def binary(rng, n, gap):
    """Outcomes of probability .05, about their mean, moved by a feature of probability .1."""
    x = rng.uniform(size=n) < 0.1
    p = 0.05 + np.sqrt(gap / (1 + gap) * 0.05 * 0.95 / 0.09) * (x - 0.1)
    return x.astype(float), (rng.uniform(size=n) < p) - 0.05


LAWS = {  # and the kurtosis that is declared: that of the law, of the rare outcome's indicator, Gaussian
    "lognormal, cut at 8 sd": (added(lambda g, n: (np.minimum(g.lognormal(size=n), 18.3) - 1.632) / 2.0114), 22.3),
    "t3, cut at 10": (added(lambda g, n: np.clip(g.standard_t(3, size=n), -10, 10) / 1.57), 9.8),
    "t5": (added(lambda g, n: g.standard_t(5, size=n) * np.sqrt(0.6)), 9.0),
    "rare binary": (binary, 20.0),
    "Gaussian": (added(lambda g, n: g.normal(size=n)), 3.0),
}


def judged(name):
    """Shares that pass, by rows and gap."""
    law, kurtosis = LAWS[name]
    rows = {}
    for n in (300, 3000, 12_000, 30_000):
        for ratio in (1.1, 0.0):
            rng, passed, refused, wanted = np.random.default_rng([n, round(10 * ratio)]), np.zeros(2), 0, np.nan
            total = ENVIRONMENTS if ratio else max(AT_ONCE, ENVIRONMENTS // 5)
            for _ in range(0, total, AT_ONCE):
                drawn = [law(rng, n, ratio * EPS) for _ in range(AT_ONCE)]
                X, y = (np.concatenate(part) for part in zip(*drawn, strict=True))
                asked = {"environments": np.repeat(np.arange(AT_ONCE), n), "eps": EPS, "miss_rate": MISS}
                passed[1] += AT_ONCE - certify(RULE, X[:, None], y, method="two_level", **asked).violations
                try:
                    held = certify(RULE, X[:, None], y, method="kurtosis", kurtosis=kurtosis, **asked)
                except ValueError as refusal:
                    if "is refuted" not in str(refusal):
                        raise
                    refused += 1
                    continue
                passed[0] += AT_ONCE - held.violations
                wanted = dict(held.details)["rows_needed"]
            rows[n, f"{ratio:g} eps"] = {
                "kurtosis": passed[0] / total,
                "two_level": passed[1] / total,
                "rows needed": wanted,
                "refused calls": refused,
                "of": total // AT_ONCE,
            }
            print(name, n, ratio, rows[n, f"{ratio:g} eps"], flush=True)
    table = pd.DataFrame(rows).T.rename_axis(["n", "gap"]).sort_values(["kurtosis", "two_level"], ascending=False)
    return table.sort_index(level="gap", ascending=False, sort_remaining=False, kind="stable")


def main():
    warnings.simplefilter("ignore", CausalInvWarning)
    se = (MISS * (1 - MISS) / ENVIRONMENTS) ** 0.5
    for name in sys.argv[2:] or LAWS:
        table = judged(name)
        sets = f"{ENVIRONMENTS} environments, s.e. {se:.3f}; without a gap {max(AT_ONCE, ENVIRONMENTS // 5)}"
        declared = f"{name}, declared kurtosis {LAWS[name][1]:g}"
        title = f"{declared}: share that passes at {EPS:g}; at 1.1 eps {MISS:g} may ({sets})"
        record("kurtosis_rows", {title: table}, keep=True)
        assert (table.xs("1.1 eps", level="gap")["kurtosis"] <= MISS + 2 * se).all()


if __name__ == "__main__":
    main()
