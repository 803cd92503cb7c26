"""What the studies of extrapolation share: cells, the places that are asked about, and errors in units of the curve."""

import json
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import PolynomialFeatures

from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import ExtrapolationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.metrics import affine_r2

HELD_OUT = 2000
PER_SHELL = 100


@dataclass(frozen=True)
class Cell:
    """A world: sizes (d, k, D), rows, and what departs from the recipe."""

    d: int
    k: int
    D: int
    n: int
    kwargs: dict = field(default_factory=dict)

    @property
    def name(self):
        rest = ", ".join(f"{key}={value}" for key, value in self.kwargs.items())
        return f"d={self.d} k={self.k} D={self.D} n={self.n}" + (f", {rest}" if rest else "")

    def draw(self, seed):
        return make_extrapolation_data(
            self.n + HELD_OUT,
            n_latent=self.d,
            n_actions=self.k,
            n_features=self.D,
            random_state=seed,
            **self.kwargs,
        )


GAUSSIAN = [
    Cell(1, 1, 2, 1000),
    Cell(2, 2, 4, 3000),
    Cell(2, 2, 10, 3000),
    Cell(2, 3, 6, 3000, {"mixing": "smooth"}),
    Cell(4, 4, 10, 5000),
]
LAWS = [Cell(2, 2, 4, 3000, {"noise": law}) for law in ("laplace", "t5", "gumbel", "mixture", "uniform")]


def shells(k):
    """Actions inside (max-norm up to 1), at 1 to 1.5 and at 1.5 to 2 times the tried range: (300, k)."""
    rng = np.random.default_rng(12345)

    def between(low, high):
        direction = rng.uniform(-1, 1, (PER_SHELL, k))
        return direction / np.abs(direction).max(axis=1, keepdims=True) * rng.uniform(low, high, (PER_SHELL, 1))

    return np.concatenate([rng.uniform(-1, 1, (PER_SHELL, k)), between(1, 1.5), between(1.5, 2)])


def errors(predicted, truth):
    """Root mean squared error in the three shells, in standard deviations of the curve inside."""
    squared = ((predicted - truth) ** 2).reshape(3, PER_SHELL)
    return np.sqrt(squared.mean(axis=1)) / truth[:PER_SHELL].std()


def best_polynomial(action, y, asked, truth):
    """The polynomial of the action, degree 1 to 5, that is best at 1 to 1.5 times: chosen with the truth in hand."""
    found = []
    for degree in range(1, 6):
        basis = PolynomialFeatures(degree)
        design = basis.fit_transform(action)
        if design.shape[1] * 5 > len(y):
            break
        coef = np.linalg.lstsq(design, y, rcond=None)[0]
        found.append(errors(basis.transform(asked) @ coef, truth))
    return min(found, key=lambda each: each[1])


def study(cell, seed, *, encoder=None):
    """One data set: our default (or another encoder), the oracle state, and the best polynomial in hindsight."""
    data = cell.draw(seed)
    X, y, action = data.X[: cell.n], data.y[: cell.n], data.action[: cell.n]
    asked = shells(cell.k)
    truth = data.truth_do(asked)
    row = {"cell": cell.name, "seed": seed}
    made = LinearInvarianceEncoder(random_state=0) if encoder is None else encoder
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.process_time()
        model = Rep4ExRegressor(made, random_state=0).fit(X, y, action=action)
        row["cpu"] = time.process_time() - start
        row["warned"] = any(issubclass(w.category, ExtrapolationWarning) for w in caught)
        found = errors(model.predict_do(asked, on_unsupported="ignore"), truth)
        oracle = Rep4ExRegressor("identity", calibration=0.0, random_state=0).fit(data.Z[: cell.n], y, action=action)
        best = errors(oracle.predict_do(asked, on_unsupported="ignore"), truth)
    polynomial = best_polynomial(action, y, asked, truth)
    for name, three in (("ours", found), ("oracle", best), ("poly", polynomial)):
        row |= {f"{name} in": three[0], f"{name} out": three[1], f"{name} far": three[2]}
    fitted = model.encoder_
    row["R2"] = affine_r2(data.Z[cell.n :], fitted.transform(data.X[cell.n :]))
    row["d found"] = fitted.n_components_
    row["reduced"] = model.reduced_
    for name in ("method_", "precision_gap_", "noise_evidence_", "reconstruction_"):
        row[name.strip("_")] = getattr(fitted, name, None)
    return row


def command(table, write):
    """A command line: --table PATH ... hands what logs hold to `table`; other arguments go to `write`."""
    if sys.argv[1] == "--table":
        texts = [Path(path).read_text(encoding="utf-8") for path in sys.argv[2:]]
        table(pd.DataFrame([json.loads(line) for text in texts for line in text.splitlines()]))
    else:
        write(*sys.argv[1:])


def logged(study, cells, table):
    """A command line: PATH SETS FIRST_SEED [CELL ...] adds a line per data set; --table PATH ... reads them."""

    def write(path, sets, first, *names):
        with Path(path).open("a", encoding="utf-8") as out:
            for seed in range(int(first), int(first) + int(sets)):
                for name in names or cells:
                    out.write(json.dumps(study(name, seed)) + "\n")
                    out.flush()

    command(table, write)


def append(groups, study, path, group, *asked):
    """A line of a log for every world of a group and every seed; asked are how many, the first, how names begin."""
    sets, first, prefix = (*asked, "")[:3]
    with Path(path).open("a", encoding="utf-8") as out:
        for seed in range(int(first), int(first) + int(sets)):
            for name in (name for name in groups[group] if name.startswith(prefix)):
                out.write(json.dumps(study(group, name, seed)) + "\n")
                out.flush()
