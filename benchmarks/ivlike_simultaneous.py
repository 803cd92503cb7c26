"""Coverage of many numbers at once, and of the strength that the rule chooses in the population.

`python ivlike_simultaneous.py [replications [of cross-validation [length of steps]]]`; n = 200 rows, 4 features,
hidden cause, two directions ignored, in steps of length 1 or 1/2. Bands over 7 strengths from 0.01 to 10. "as chosen"
takes alpha as if it had been given; "selected" is kind="selected". The population's own choices: "cc" on population
moments, and gamma = k² = 11 for cross-validation.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import IVLikeRegression, IVLikeRegressionCV, Moments, Translation

D, N = 4, 200
ROOT = np.eye(D) + np.random.default_rng(1).normal(size=(D, D)) / 3
SIGMA = ROOT @ ROOT.T
STEPS = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
TRUTH = np.array([1.0, -1.0, 0.5, 0.0])
MIX = np.array([0.8, 0.4, 0.0, 0.5])
GRID = np.logspace(-2, 1, 7)


def population():
    """Moments of (x, y) with x = ROOT z + MIX u, y = TRUTH'x + 1.5 u + e."""
    cov = SIGMA + np.outer(MIX, MIX)
    cross = cov @ TRUTH + 1.5 * MIX
    variance = TRUTH @ cov @ TRUTH + 3.0 * TRUTH @ MIX + 2.25 + 1.0
    joint = np.block([[cov, cross[:, None]], [cross[None], np.array([[variance]])]])
    return Moments({"x": D, "y": 1}, mean=np.zeros((1, D + 1)), scatter=joint[None], weight=[1.0], count=[np.inf])


def draw(rng):
    """One data set."""
    u = rng.normal(size=N)
    X = rng.normal(size=(N, D)) @ ROOT.T + u[:, None] * MIX
    return X, X @ TRUTH + 1.5 * u + rng.normal(size=N)


def world(size, n_reps, few):
    """Share of data sets in which each interval covers, the worst and the best coefficient or strength."""
    step = Translation(size * STEPS)
    limit = IVLikeRegression("cc", augmentation=step).fit_moments(population())
    path, own = limit.alpha_path(GRID), {"cc": limit.coef_, "cv": limit.alpha_path([0.1])[0]}
    found: dict[str, list[np.ndarray]] = {}

    def count(name, ends, truth, axis=None):
        low, high = ends["lower"].to_numpy().reshape(truth.shape), ends["upper"].to_numpy().reshape(truth.shape)
        found.setdefault(name, []).append(((low <= truth) & (truth <= high)).all(axis=axis))

    for seed in range(n_reps):
        X, y = draw(np.random.default_rng(seed))
        model = IVLikeRegression("cc", augmentation=step).fit(X, y)
        for over, axis in (("path", 0), ("coefficients", 1), ("all", None)):
            count(f"band over {over}", model.path_confint(GRID, over=over), path, axis)
        count("cc, as chosen", model.confint(), own["cc"], ())
        count("cc, selected", model.confint(kind="selected"), own["cc"], ())
        if seed < few:
            cv = IVLikeRegressionCV(np.logspace(-2, 0, 9), augmentation=step, random_state=seed).fit(X, y)
            count("cv, as chosen", cv.confint(), own["cv"], ())
            count("cv, selected", cv.confint(kind="selected"), own["cv"], ())
    print(size, {name: (len(hits), np.mean(hits, axis=0)) for name, hits in found.items()}, flush=True)
    return limit.alpha_, {
        name: {
            "data sets": len(hits),
            "worst": np.mean(hits, axis=0).min(),
            "s.e.": np.sqrt(0.0475 / len(hits)),
            "best": np.mean(hits, axis=0).max(),
        }
        for name, hits in found.items()
    }


def main() -> None:
    """Count what is covered and record it."""
    n_reps = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    few = int(sys.argv[2]) if len(sys.argv) > 2 else n_reps
    warnings.simplefilter("ignore")
    for size in [float(each) for each in sys.argv[3:]] or (1.0, 0.5):
        chosen, rows = world(size, n_reps, few)
        title = f"coverage of 95% intervals, steps of {size}, the population's own cc {chosen:.4g}"
        record("ivlike_simultaneous", {title: pd.DataFrame(rows).T.sort_values("worst")}, keep=True)


if __name__ == "__main__":
    main()
