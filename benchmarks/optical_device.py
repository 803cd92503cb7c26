"""The optical device: 12 real experiments, all our methods beside least squares and the zero vector."""

import numpy as np
import pandas as pd
from _record import record
from sklearn.preprocessing import PolynomialFeatures

from causalinv import FunctionAugmentation, GaussianNoise, IVLikeRegression
from causalinv.datasets import fetch_optical_device
from causalinv.ivlike import Compose, Flip, IVLikeRegressionCV, Rotate90
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

    def short(coef):
        return np.pad(coef, (0, width - X.shape[1]))

    # Rules that read the data; noise in closed form, so all are ridge regressions of the 9 pixels.
    for name, rule in {"eb": "eb", "cc": "cc"}.items():
        coefs[f"9 pixels, noise: {name}"] = short(
            IVLikeRegression(rule, augmentation=GaussianNoise(noise)).fit(X, y).coef_
        )
    cv = IVLikeRegressionCV(augmentation=GaussianNoise(noise), random_state=0).fit(X, y)
    coefs["9 pixels, noise: CV, risk under shifts of sqrt(11)"] = short(cv.coef_)
    coefs["9 pixels, noise: Kania-Wit, a=5"] = short(linear.gamma_path([3.0])[0])
    turns = Compose([Rotate90((3, 3)), Flip((3, 3))])
    coefs["9 pixels, turned and mirrored (group, any alpha)"] = short(
        IVLikeRegression(augmentation=turns).fit(X, y).coef_
    )
    both = Compose([turns, GaussianNoise(noise)])
    mixed = IVLikeRegression(0.1, augmentation=both, n_copies=50, random_state=0).fit(X, y)
    coefs["9 pixels, turned, mirrored, noise: IVL alpha=0.1"] = short(mixed.coef_)
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
    table = table.rename(columns={"9 pixels, noise: eb": "eb (the only rule fixed in advance)"})
    short.append("eb (the only rule fixed in advance)")
    record("optical_device", {"mean over 12 experiments": summary, "each experiment": table[short]})
    assert abs(summary.loc["9 pixels, noise: eb", "coefficients: mean"] - 0.524) <= 0.005


if __name__ == "__main__":
    main()
