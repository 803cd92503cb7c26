"""Coverage of intervals for neutral coefficients under a hidden cause: Wald's, and Anderson and Rubin's."""

import numpy as np
import pandas as pd
from _record import record

from causalinv.invariance.rules._moment_inference import infer

REPLICATIONS = 1000
CELLS = {
    "1 feature, 2 x 300, spread 2": (1, 300, 2.0, ("wald", "anderson_rubin")),
    "1 feature, 2 x 300, spread 1.1": (1, 300, 1.1, ("wald", "anderson_rubin")),
    "3 features, 2 x 1000, spread 2": (3, 1000, 2.0, ("wald",)),
}


def draw(rng, n, spread, d):
    """The example of R's causalDantzig: X2 causes y, X1 is an effect, X3 an effect of both, all with a hidden cause."""
    h, s = rng.normal(size=2 * n), np.r_[np.ones(n), np.full(n, spread)]
    x2 = h + s * rng.normal(size=2 * n)
    y = x2 + h + rng.normal(size=2 * n)
    x1 = y + x2 + s * rng.normal(size=2 * n)
    x3 = x1 + h + s * rng.normal(size=2 * n)
    rows = np.column_stack([y, x2] if d == 1 else [y, x1, x2, x3])
    rows -= rows.mean(axis=0)
    return [rows[:n], rows[n:]]


def main():
    rows = {}
    for name, (d, n, spread, kinds) in CELLS.items():
        truth = np.ones(1) if d == 1 else np.array([0.0, 1.0, 0.0])
        for kind in kinds:
            rng, covered, refuted, endless = np.random.default_rng(0), np.zeros(d), 0, 0
            for _ in range(REPLICATIONS):
                found = infer(draw(rng, n, spread, d), 0.95, robust=kind == "anderson_rubin")
                covered += (found.interval[:, 0] <= truth) & (truth <= found.interval[:, 1])
                refuted += found.fit_pvalue < 0.05
                endless += np.isinf(found.interval).any()
            share = covered / REPLICATIONS
            rows[name, kind] = {
                "least coverage": share.min(),
                "largest coverage": share.max(),
                "fit refuted at .05": refuted / REPLICATIONS,
                "unbounded": endless / REPLICATIONS,
            }
            print(name, kind, rows[name, kind], flush=True)
    table = pd.DataFrame(rows).T.sort_values("least coverage")
    record("neutral_inference", {f"95% intervals, {REPLICATIONS} data sets, s.e. .007": table})


if __name__ == "__main__":
    main()
