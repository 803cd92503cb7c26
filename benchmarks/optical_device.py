"""The optical device: 12 real experiments, all our methods beside least squares and the zero vector."""

import numpy as np
import pandas as pd
from _record import record
from sklearn.preprocessing import PolynomialFeatures

from causalinv import FunctionAugmentation, GaussianNoise, IVLikeRegression
from causalinv.datasets import fetch_optical_device
from causalinv.metrics import ncer

STRENGTHS = {"DA+ERM": np.inf, "IVL alpha=0.1 (default)": 0.1, "IVL alpha=0.01": 0.01}


def coefficients(experiment):
    X, y = experiment.X - experiment.X.mean(0), experiment.y - experiment.y.mean()
    expand = PolynomialFeatures(experiment.degree, include_bias=False).fit(X)
    features, noise = expand.transform(X), np.sqrt(0.1) * X.std()
    width = features.shape[1]
    coefs = {
        "zero vector": np.zeros(width),
        "least squares as the authors (no intercept)": np.linalg.lstsq(features, y, rcond=None)[0],
        "least squares with intercept": np.linalg.lstsq(np.c_[features, np.ones(len(y))], y, rcond=None)[0][:-1],
    }

    def jitter(rows, rng):
        moved = rng.normal(scale=noise, size=X.shape)
        return expand.transform(rows[:, : X.shape[1]] + moved), moved

    linear = IVLikeRegression(augmentation=GaussianNoise(noise)).fit(X, y)
    curved = IVLikeRegression(augmentation=FunctionAugmentation(jitter), n_copies=50, random_state=0).fit(features, y)
    coefs["9 pixels: least squares"] = np.pad(linear.least_squares_coef_, (0, width - X.shape[1]))
    for name, alpha in STRENGTHS.items():
        coefs[f"9 pixels, noise: {name}"] = np.pad(linear.alpha_path([alpha])[0], (0, width - X.shape[1]))
        coefs[f"same features, noise (paired): {name}"] = curved.alpha_path([alpha])[0]
    return coefs, np.cov(features.T)


def main():
    device = fetch_optical_device()
    rows, effects = [], []
    for experiment in device.experiments:
        coefs, cov = coefficients(experiment)
        rows.append({m: ncer(c, experiment.reference_coef) for m, c in coefs.items()})
        effects.append({m: ncer(c, experiment.reference_coef, cov=cov) for m, c in coefs.items()})
    table, norm = pd.DataFrame(rows), pd.DataFrame(effects)
    summary = pd.DataFrame(
        {
            "coefficients: mean": table.mean(),
            "std over 12": table.std(ddof=0),
            "effects: mean": norm.mean(),
            "beats zero vector": (table < 0.5).sum(),
            "beats least squares": table.lt(table["least squares with intercept"], axis=0).sum(),
        }
    )
    table.index = [f"no. {e.number}, LED {e.brightness:g}%" for e in device.experiments]
    short = ["zero vector", "least squares with intercept", "9 pixels, noise: DA+ERM"]
    short.append("9 pixels, noise: IVL alpha=0.1 (default)")
    record("optical_device", {"mean over 12 experiments": summary, "each experiment": table[short]})


if __name__ == "__main__":
    main()
