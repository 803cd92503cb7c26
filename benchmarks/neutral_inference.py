"""Coverage of intervals for neutral coefficients under a hidden cause: Wald's, and Anderson and Rubin's.

``python neutral_inference.py [skew]``; with the word only exponential errors beside Gaussian ones, one feature.
"""

import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
from _record import record

from causalinv.exceptions import DegenerateInputWarning
from causalinv.invariance import InvariantRepresentation
from causalinv.invariance.rules._moment_inference import _Equations, infer

REPLICATIONS = 1000
CELLS = {
    "1 feature, 2 x 300, spread 2": (1, 300, 2.0, ("wald", "anderson_rubin")),
    "1 feature, 2 x 300, spread 1.1": (1, 300, 1.1, ("wald", "anderson_rubin")),
    "3 features, 2 x 1000, spread 2": (3, 1000, 2.0, ("wald",)),
}
SHIFTS = np.array([[0, 0], [2, 0], [0, 2], [2, -2], [-1, 1]])
SMALL = {"2 features, 5 x 30, shifts": (30, 5), "2 features, 5 x 100, shifts": (100, 5), "2 features, 3 x 60": (60, 3)}


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


def shifted(rng, n, environments):
    """Few rows, many equations: means of two features move, a strong hidden cause."""
    e = np.repeat(np.arange(environments), n)
    h = rng.normal(size=len(e))
    X = SHIFTS[e] + rng.normal(size=(len(e), 2)) + h[:, None]
    rows = np.column_stack([X @ [1, -0.5] + 2 * h + rng.normal(size=len(e)), X])
    rows -= rows.mean(axis=0)
    return [rows[e == k] for k in range(environments)]


UNEQUAL = [(1000, n, n) for n in (40, 80, 160, 640)] + [(15, 30, 300)]
EQUAL = [(40,) * 3, (40,) * 6, (160,) * 3, (60,) * 20]


def exponential(rng, sizes, law):
    """One feature, whose mean and noise the environments move; errors of all sources of one law, mean 0, variance 1."""
    e = np.repeat(np.arange(len(sizes)), sizes)

    def errors():
        return rng.exponential(size=len(e)) - 1 if law == "exponential" else rng.normal(size=len(e))

    h = errors()
    x = h + rng.normal(size=len(e)) * (1 + e % 3) + e % 4
    return x[:, None], x + 2 * h + errors(), e


def in_the_set(X, y, e, truth):
    """Whether Anderson and Rubin's 95% set holds the coefficient: its p-value there, which is cheaper than its ends."""
    rows = np.column_stack([y, X]) - np.append(y.mean(), X.mean(axis=0))
    unit = rows.std(axis=0)
    parts = [rows[e == k] / unit for k in np.unique(e)]
    instruments = [np.column_stack([np.ones(len(part)), part[:, 1:]]) for part in parts]
    equations = _Equations(parts, instruments)
    return equations.pvalue(np.array([truth * unit[1] / unit[0]]), 2 * (len(parts) - 1)) >= 0.05


def skew():
    """Coverage of both kinds as a user gets them, and how often he is warned of few rows with skew errors."""
    rows = {}
    for law in ("exponential", "normal"):
        for sizes in UNEQUAL + EQUAL if law == "exponential" else UNEQUAL[::4] + EQUAL[:1]:
            rng, covered, warned = np.random.default_rng(0), np.zeros(2), 0
            X, y, e = exponential(np.random.default_rng(1), sizes, law)
            model = InvariantRepresentation(n_directions=1).fit(X, y, environments=e)  # where searches start
            for _ in range(REPLICATIONS):
                X, y, e = exponential(rng, sizes, law)
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always")
                    found = model.inference(X, y, environments=e).to_frame().iloc[0]
                covered += found["lower"] <= 1 <= found["upper"], in_the_set(X, y, e, 1.0)
                warned += any(issubclass(each.category, DegenerateInputWarning) for each in told)
            name = f"{law}, " + (" + ".join(map(str, sizes)) if len(set(sizes)) > 1 else f"{len(sizes)} x {sizes[0]}")
            shares = [*(covered / REPLICATIONS), warned / REPLICATIONS]
            rows[name] = dict(zip(("wald", "anderson_rubin", "warned of few rows"), shares, strict=True))
            print(name, rows[name], flush=True)
    table = pd.DataFrame(rows).T.sort_values("wald")
    record("neutral_inference", {f"Few rows and skew errors, {REPLICATIONS} data sets, s.e. .007": table}, keep=True)


def cells():
    """Name, generator, truth and kinds of every cell."""
    for name, (n, environments) in SMALL.items():
        yield name, partial(shifted, n=n, environments=environments), np.array([1.0, -0.5]), ("wald",)
    for name, (d, n, spread, kinds) in CELLS.items():
        truth = np.ones(1) if d == 1 else np.array([0.0, 1.0, 0.0])
        yield name, partial(draw, n=n, spread=spread, d=d), truth, kinds


def main():
    if "skew" in sys.argv[1:]:
        return skew()
    rows = {}
    for name, drawn, truth, kinds in cells():
        for kind in kinds:
            rng, covered, refuted, endless, weak = np.random.default_rng(0), np.zeros(len(truth)), 0, 0, 0
            for _ in range(REPLICATIONS):
                found = infer(drawn(rng), 0.95, robust=kind == "anderson_rubin")
                covered += (found.interval[:, 0] <= truth) & (truth <= found.interval[:, 1])
                refuted += found.fit_pvalue < 0.05
                weak += found.strength_pvalue > 0.01
                endless += np.isinf(found.interval).any()
            share = covered / REPLICATIONS
            rows[name, kind] = {
                "least coverage": share.min(),
                "largest coverage": share.max(),
                "warned as weak": weak / REPLICATIONS,
                "fit refuted at .05": refuted / REPLICATIONS,
                "unbounded": endless / REPLICATIONS,
            }
            print(name, kind, rows[name, kind], flush=True)
    table = pd.DataFrame(rows).T.sort_values("least coverage")
    record("neutral_inference", {f"95% intervals, {REPLICATIONS} data sets, s.e. .007": table}, keep=True)


if __name__ == "__main__":
    main()
