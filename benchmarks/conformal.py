"""Coverage of hierarchical conformal intervals in the next environment, and what breaks them.

Environments: rows y = x'b + u_e + noise, b and u_e drawn per environment, 5 to 30 rows each (drawn), d = 2. Each trial
draws m environments, fits least squares, and asks for 20 rows of one more environment; coverage is over both.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record
from sklearn.base import BaseEstimator, RegressorMixin

from causalinv import HierarchicalConformalRegressor
from causalinv.exceptions import ExtrapolationWarning

TRIALS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
LEVELS = {6: 0.7, 12: 0.8, 30: 0.9, 100: 0.9}
ASKED = 20


class _Line(RegressorMixin, BaseEstimator):
    """Least squares with an intercept, by the normal equations: scikit-learn's costs ten times as much here."""

    def fit(self, X, y):
        Z = np.c_[np.ones(len(X)), X]
        self.coef_ = np.linalg.solve(Z.T @ Z + 1e-9 * np.eye(Z.shape[1]), Z.T @ y)
        return self

    def predict(self, X):
        return X @ self.coef_[1:] + self.coef_[0]


def draw(rng, m, law, *, drift=0.0, spread=1.0):
    """Rows of m + 1 environments, the last with `ASKED` rows."""
    sizes = np.r_[rng.integers(5, 31, size=m), ASKED]
    e = np.repeat(np.arange(m + 1), sizes)
    noise = rng.normal(size=len(e)) if law == "Gaussian" else rng.standard_t(2.5, size=len(e))
    own = rng.normal(size=m + 1) if law == "Gaussian" else rng.standard_t(2.5, size=m + 1)
    slopes = np.array([1.0, -1.0]) + 0.5 * rng.normal(size=(m + 1, 2))
    X = rng.normal(size=(len(e), 2)) + rng.normal(size=(m + 1, 2))[e]
    y = np.einsum("ij,ij->i", X, slopes[e]) + spread * own[e] + noise + drift * e
    return X, y, e


def pooled(rng, X, y, level):
    """Split conformal on rows, environments ignored."""
    order = rng.permutation(len(y))
    train, calibrate = order[: len(y) // 2], order[len(y) // 2 :]
    model = _Line().fit(X[train], y[train])
    scores = np.sort(np.abs(y[calibrate] - model.predict(X[calibrate])))
    return model, scores[min(int(np.ceil(level * (len(scores) + 1))), len(scores)) - 1]


def cell(seed, m, law, method, level, **moved):
    rng = np.random.default_rng(seed)
    covered, widths, warned = np.empty(TRIALS), np.empty(TRIALS), 0
    for t in range(TRIALS):
        X, y, e = draw(rng, m, law, **moved)
        old = e < m
        if method == "rows, environments ignored":
            model, half = pooled(rng, X[old], y[old], level)
            centre = model.predict(X[~old])
            lower, upper = centre - half, centre + half
        else:
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                model = HierarchicalConformalRegressor(_Line(), method=method, random_state=t)
                model.fit(X[old], y[old], environments=e[old])
            warned += any(issubclass(each.category, ExtrapolationWarning) for each in found)
            asked = model.predict_interval(X[~old], level).to_numpy()
            lower, upper = asked.T
        covered[t] = np.mean((lower <= y[~old]) & (y[~old] <= upper))
        widths[t] = np.median(upper - lower)
    floor = {"split": level, "leave_one_environment_out": 2 * level - 1}.get(method, np.nan)
    return {
        "level": level,
        "floor": floor,
        "coverage": covered.mean(),
        "s.e.": covered.std() / np.sqrt(TRIALS),
        "median width": np.median(widths),
        "infinite": np.isinf(widths).mean(),
        "drift warned": warned / TRIALS,
    }


def main():
    both = ("split", "leave_one_environment_out")
    broken, good = {}, {}
    for method in both:
        broken["order drifts .5 an environment, m = 30", method] = cell(0, 30, "Gaussian", method, 0.9, drift=0.5)
    for method in ("rows, environments ignored", *both):
        level = 0.7
        broken["m = 6, environments' sd 3 x noise", method] = cell(1, 6, "Gaussian", method, level, spread=3.0)
    for m, level in LEVELS.items():
        for law in ("Gaussian", "t with 2.5 df"):
            for method in both:
                good[m, law, method] = cell(m, m, law, method, level)
                print(m, law, method, good[m, law, method], flush=True)
    broken = pd.DataFrame(broken).T.rename_axis(["what is broken", "method"])
    good = pd.DataFrame(good).T.rename_axis(["environments", "errors", "method"]).sort_values("coverage")
    record(
        "conformal",
        {
            f"What fails, {TRIALS} trials (beside what does not, on the same data)": broken,
            f"Environments drawn independently, {TRIALS} trials, sizes 5 to 30, least coverage first": good,
        },
    )
    assert (good["coverage"] >= good["floor"] - 3 * good["s.e."]).all()
    assert broken.loc[("m = 6, environments' sd 3 x noise", "rows, environments ignored"), "coverage"] < 0.7


if __name__ == "__main__":
    main()
