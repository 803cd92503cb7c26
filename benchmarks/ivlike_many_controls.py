"""Coverage of 95% intervals with many controls, or a feature with long tails, under unequal errors.

`python ivlike_many_controls.py [data sets]`; the effect of one feature at alpha=0, exogenous controls beside it.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import IVLikeRegression

SIZES = ((20, 2), (40, 2), (30, 8), (60, 20), (100, 8), (100, 40), (200, 60), (400, 10))
KINDS = ("auto", "HC1", "HC2", "HC3")


def drawn(rng: np.random.Generator, n: int, c: int, feature: str, errors: str) -> tuple[np.ndarray, ...]:
    """Feature, controls and an outcome that neither moves."""
    x, controls = rng.normal(size=n), rng.normal(size=(n, c))
    x = np.exp(x) if feature == "lognormal" else x
    z = (x - x.mean()) / x.std()
    sd = {"equal": np.ones(n), "marked": np.where(np.abs(z) > 1.2, 4.0, 0.3), "exp": np.exp(np.clip(z, -3, 3))}[errors]
    return x[:, None], controls, rng.normal(size=n) * sd


def cell(n: int, c: int, feature: str, errors: str, n_sets: int) -> dict[str, float]:
    """Coverage of each kind of errors, and the median width of two of them."""
    rng = np.random.default_rng(1)
    ends = np.empty((n_sets, len(KINDS), 2))
    for i in range(n_sets):
        X, controls, y = drawn(rng, n, c, feature, errors)
        model = IVLikeRegression(0.0).fit(X, y, instruments=X, controls=controls)
        ends[i] = [model.confint(cov_type=kind).to_numpy()[0] for kind in KINDS]
    holds = ((ends[:, :, 0] <= 0) & (ends[:, :, 1] >= 0)).mean(axis=0)
    wide = np.median(ends[:, :, 1] - ends[:, :, 0], axis=0)
    return dict(zip(KINDS, holds, strict=True)) | {"width / HC2": wide[0] / wide[2], "HC3 / HC2": wide[3] / wide[2]}


def main() -> None:
    """Run every cell and record them, losing first."""
    n_sets = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    warnings.simplefilter("ignore")
    table = {}
    for n, c in SIZES:
        for feature in ("normal", "lognormal"):
            for errors in ("equal", "marked", "exp"):
                key = f"{n} rows, {c} controls, {feature}, {errors}"
                table[key] = cell(n, c, feature, errors, n_sets)
                print(key, table[key], flush=True)
    frame = pd.DataFrame(table).T.sort_values("auto")
    record("ivlike_many_controls", {f"{n_sets} data sets, s.e. {np.sqrt(0.05 * 0.95 / n_sets):.3f}": frame})


if __name__ == "__main__":
    main()
