"""The linear simulation: 24 confounded models, how many directions are known, and how wrongly.

Normalised causal error (coefficients): 0 truth, 0.5 zero vector, 1 nothing but confounding.
"""

import time

import numpy as np
import pandas as pd
from _record import record

from causalinv import GaussianNoise, InvariantProjection, IVLikeRegression, Translation
from causalinv.datasets import make_confounded_linear
from causalinv.ivlike import IVLikeRegressionCV
from causalinv.metrics import ncer

SEEDS = [child for seed in (42, 1, 2) for child in np.random.SeedSequence(seed).spawn(8)]
STRENGTHS = {"DA+ERM (alpha=inf)": np.inf, "alpha=0.1": 0.1, "alpha=0.01": 0.01, "alpha=0": 0.0}


def errors(world, directions, *, population=False):
    model = IVLikeRegression(augmentation=Translation(directions))
    model = model.fit_moments(world.moments) if population else model.fit(world.X, world.y)
    path = model.alpha_path(list(STRENGTHS.values()))
    row = {"zero vector": 0.5, "least squares": ncer(model.least_squares_coef_, world.coef)}
    return row | {name: ncer(coef, world.coef) for name, coef in zip(STRENGTHS, path, strict=True)}


def methods(world, seed):
    """Every estimator of the room and the cheap baselines: coefficients by a call, so that each is timed alone."""
    aug, X, y = Translation(world.directions), world.X, world.y

    def fit(alpha, augmentation=aug, **kwargs):
        return IVLikeRegression(alpha, augmentation=augmentation, random_state=seed, **kwargs).fit(X, y)

    def drawn(alpha, m):
        return lambda: fit(alpha, integration="sampled", n_copies=m).coef_

    def projected():
        keep = InvariantProjection(aug).fit(X).components_
        return keep.T @ (keep @ fit(np.inf).coef_)

    return {
        "zero vector": lambda: 0 * world.coef,
        "least squares": lambda: fit(np.inf).least_squares_coef_,
        "ridge, cc (L2 of Janzing, normalised)": lambda: fit("cc", GaussianNoise(0.1 * X.std())).coef_,
        "ridge, eb (no augmentation)": lambda: fit("eb", GaussianNoise()).coef_,
        "DA+ERM": lambda: fit(np.inf).coef_,
        "DA+ERM, projected on the invariant coordinates": projected,
        "Kania-Wit, a=5": lambda: fit(0.1).gamma_path([3.0])[0],
        "IVL alpha=0.1": lambda: fit(0.1).coef_,
        "IVL alpha=0.01": lambda: fit(0.01).coef_,
        "IVL alpha=0 (default: constrained)": lambda: fit("auto").coef_,
        "IVL cc": lambda: fit("cc").coef_,
        "IVL CV, risk under shifts of sqrt(11)": lambda: (
            IVLikeRegressionCV(augmentation=aug, random_state=0).fit(X, y).coef_
        ),
        "IVL CV, plain risk on augmented rows": lambda: (
            IVLikeRegressionCV(augmentation=aug, shift_size=1.0, random_state=0).fit(X, y).coef_
        ),
        "sampled, 1 copy: DA+ERM": drawn(np.inf, 1),
        "sampled, 1 copy: IVL alpha=0.01": drawn(0.01, 1),
        "sampled, 1 copy: IVL alpha=1e-4": drawn(1e-4, 1),
        "sampled, 1 copy: IVL alpha=0": drawn(0.0, 1),
        "sampled, 1 copy: IVL cc": drawn("cc", 1),
        "sampled, 20 copies: IVL alpha=1e-4": drawn(1e-4, 20),
    }


def everything(worlds):
    rows = []
    for k, world in enumerate(worlds):
        for name, call in methods(world, k).items():
            start = time.perf_counter()
            coef = call()
            spent = time.perf_counter() - start
            effects = ncer(coef, world.coef, cov=world.moments.cov("x")[0])
            rows.append((name, ncer(coef, world.coef), effects, spent))
    frame = pd.DataFrame(rows, columns=["method", "coefficients", "effects", "seconds"])
    grouped = frame.groupby("method", sort=False)
    mean, std = grouped["coefficients"].mean(), grouped["coefficients"].std()
    beats = (frame["coefficients"] < 0.5).groupby(frame["method"], sort=False).sum()
    columns = {
        "mean": mean,
        "std of models": std,
        "effects, mean": grouped["effects"].mean(),
        "beats zero vector": beats,
    }
    return pd.DataFrame(columns | {"median seconds": grouped["seconds"].median()}).rename_axis(index=None)


def rotated(world, angle, seed):
    """Directions orthogonal to what we wrongly believe the outcome reads."""
    read = world.coef / np.linalg.norm(world.coef)
    aside = np.random.default_rng(seed).normal(size=read.shape)
    aside -= aside @ read * read
    believed = np.cos(angle) * read + np.sin(angle) * aside / np.linalg.norm(aside)
    return Translation.orthogonal_to(believed).directions


def main():
    worlds = [make_confounded_linear(2048, random_state=seed) for seed in SEEDS]
    sections = {}
    all_known = pd.DataFrame([errors(w, w.directions) for w in worlds])
    sections["all 31 directions known, n=2048, 24 models (standard error of a mean: std / 4.9)"] = all_known.agg(
        ["mean", "std"]
    )
    compared = everything(worlds)
    sections["all methods, 31 directions known, n=2048, 24 models"] = compared
    loops = [make_confounded_linear(2048, cyclic=True, random_state=seed) for seed in SEEDS]
    sections["all methods, the outcome feeds back on the features (cyclic), n=2048, 24 models"] = everything(loops)
    for label, population in (("n=2048", False), ("population", True)):
        sweep = {
            k: pd.DataFrame([errors(w, w.directions[:k], population=population) for w in worlds]).mean()
            for k in (4, 8, 16, 24, 31)
        }
        sections[f"known directions, {label}, mean of 24"] = pd.DataFrame(sweep).rename_axis(columns="known")
    wrong, worse = {}, {}
    for angle in (0.05, 0.1, 0.2, 0.3, 0.4):
        table = pd.DataFrame([errors(w, rotated(w, angle, k)) for k, w in enumerate(worlds)])
        wrong[angle] = table.mean()
        ratio = table["alpha=0.1"] / table["DA+ERM (alpha=inf)"]
        worse[angle] = {"ratio of means, alpha=0.1 / DA+ERM": table["alpha=0.1"].mean() / wrong[angle].iloc[2]}
        worse[angle] |= {"largest ratio in one model": ratio.max(), "models where it is worse": int((ratio > 1).sum())}
    sections["wrong subspace, rotated by an angle (rad), n=2048, mean of 24"] = pd.DataFrame(wrong)
    sections["the default without a claim of invariance (alpha=0.1) against DA+ERM"] = pd.DataFrame(worse)
    record("ivlike_linear", sections)
    assert all_known["alpha=0"].mean() <= 0.003
    assert compared.loc["sampled, 1 copy: IVL cc", "mean"] <= 0.035
    assert all(ratios["ratio of means, alpha=0.1 / DA+ERM"] <= 1.1 for ratios in worse.values())


if __name__ == "__main__":
    main()
