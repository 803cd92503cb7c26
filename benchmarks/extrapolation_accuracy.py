"""Extrapolation on fresh data sets: Gaussian cells, other laws, and cells beyond those that defaults were chosen on.

Errors are root mean squared, in standard deviations of the true curve over the tried range. "poly" is the polynomial of
the action (degree 1 to 5) that is best at 1 to 1.5 times the range, chosen with the truth in hand.

    python benchmarks/extrapolation_accuracy.py          # everything, and the table
    python benchmarks/extrapolation_accuracy.py beyond   # only the cells beyond, for a second process
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _extrapolation import GAUSSIAN, LAWS, Cell, study
from _record import record
from sklearn.metrics import roc_auc_score

SEEDS = range(800, 810)
MORE_SEEDS = range(900, 960)  # of one action, where ten seeds say little about a share
BEYOND = [
    Cell(2, 2, 4, 3000, {"x_noise": 0.1}),
    Cell(2, 2, 4, 3000, {"x_noise": 0.3}),
    Cell(2, 2, 4, 3000, {"noise_scale": 0.4}),
    Cell(2, 2, 4, 3000, {"noise_scale": 0.7}),
    Cell(2, 2, 4, 3000, {"noise_scale": 1.5}),
    Cell(2, 2, 4, 3000, {"confounding": 0.0}),
    Cell(2, 2, 4, 3000, {"confounding": 3.0}),
    Cell(2, 2, 64, 3000),
    Cell(2, 2, 4, 10_000),
    Cell(6, 6, 12, 6000),
    Cell(2, 1, 4, 3000),
    Cell(3, 2, 6, 3000),
    Cell(2, 2, 4, 3000, {"action_curvature": 0.25}),
]
SHOWN = ["R2", "ours in", "ours out", "ours far", "oracle in", "oracle out", "poly in", "poly out", "cpu"]


def summary(rows):
    frame = pd.DataFrame(rows)
    table = frame.groupby("cell", sort=False)[SHOWN].median()
    table["out / oracle"] = frame.assign(r=frame["ours out"] / frame["oracle out"]).groupby("cell")["r"].median()
    table["out / poly"] = frame.assign(r=frame["ours out"] / frame["poly out"]).groupby("cell")["r"].median()
    table["beats poly"] = frame.assign(r=frame["ours out"] < frame["poly out"]).groupby("cell")["r"].sum()
    table["seeds"] = frame.groupby("cell").size()
    table["worst out"] = frame.groupby("cell")["ours out"].max()
    table["warned"] = frame.groupby("cell")["warned"].mean()
    table["reduced"] = frame.groupby("cell")["reduced"].mean()
    return table


def roc(gaussian, other):
    """Area under the curve of the evidence against Gaussian V, with a bootstrap interval, and rates at 1."""
    clean = np.array([row["noise_evidence"] for row in gaussian])
    rng = np.random.default_rng(0)
    found = {}
    for law in dict.fromkeys(row["cell"] for row in other):
        dirty = np.array([row["noise_evidence"] for row in other if row["cell"] == law])

        def area(a, b):
            return roc_auc_score(np.r_[np.zeros(len(a)), np.ones(len(b))], np.r_[a, b])

        drawn = [area(rng.choice(clean, len(clean)), rng.choice(dirty, len(dirty))) for _ in range(1000)]
        low, high = np.quantile(drawn, [0.025, 0.975])
        found[law] = {"area": area(clean, dirty), "lower": low, "upper": high, "warned at 1": np.mean(dirty > 1)}
    return pd.DataFrame(found).T, float(np.mean(clean > 1)), len(clean)


def one_action(rows):
    """How often the state, learnt or given, beats the best polynomial in hindsight."""
    frame = pd.DataFrame(rows)
    wins = {name: (frame[f"{name} out"] < frame["poly out"]).mean() for name in ("ours", "oracle")}
    ratios = {name: (frame["ours out"] / frame[f"{name} out"]).median() for name in ("oracle", "poly")}
    return (
        f"Errors at 1 to 1.5 times: median ratio {ratios['oracle']:.2f} to the model that is given the state, "
        f"{ratios['poly']:.2f} to the best polynomial in hindsight. That polynomial is beaten on {wins['ours']:.2f} of "
        f"the data sets, and on {wins['oracle']:.2f} by the model that is given the state: with one action and a "
        "smooth curve the best of five polynomials is now and then right by chance."
    )


def run(cells, seeds, keep):
    """All rows; finished data sets are kept in a folder, so that a stopped run goes on where it was."""
    rows = []
    for cell in cells:
        for seed in seeds:
            path = keep / f"{cell.name} {seed}.pkl".replace(" ", "_")
            if not path.exists():
                pd.to_pickle(study(cell, seed), path)
            rows.append(pd.read_pickle(path))
        print(cell.name, np.round(np.median([r["ours out"] for r in rows[-len(seeds) :]]), 3), flush=True)
    return rows


def main(part=None):
    keep = Path(tempfile.gettempdir()) / "causalinv_extrapolation_accuracy"
    keep.mkdir(exist_ok=True)
    if part == "beyond":
        run(BEYOND, SEEDS, keep)
        return
    gaussian, laws = run(GAUSSIAN, SEEDS, keep), run(LAWS, SEEDS, keep)
    if part == "main":
        return
    beyond = run(BEYOND, SEEDS, keep)
    table = summary(gaussian)
    # Gaussian V of every size and mixing, including cells outside of the tuned ones.
    clean = gaussian + [row for row in beyond if "curvature" not in row["cell"] and "x_noise" not in row["cell"]]
    curve, alarms, count = roc(clean, laws)
    chosen = pd.crosstab(
        pd.Series([row["cell"] for row in gaussian + laws], name="cell"),
        pd.Series([row["method"] for row in gaussian + laws], name="chosen by auto"),
    )
    record(
        "extrapolation_accuracy",
        {
            "Gaussian V, seeds 800-809, medians (R2 on 2000 held-out rows)": table.T,
            "other laws of V, seeds 800-809, medians": summary(laws).T,
            "beyond the tuned cells, seeds 800-809, medians": summary(beyond).T,
            "method that auto chose": chosen,
            "evidence against Gaussian V: area under the ROC curve, 95% bootstrap interval": curve,
            "one action, 60 more seeds": one_action(run(GAUSSIAN[:1], MORE_SEEDS, keep)),
            "false alarms": f"{alarms:.3f} of {count} data sets with Gaussian V warn (evidence above 1).",
            "read with it": (
                "Defaults were frozen on seeds 500-509 and 600-639 of the same generator (all laws); these are fresh. "
                "Gaussian V is the home game of the methods that start from the exponential family. The "
                "best polynomial is chosen with the truth in hand: nobody can use it."
            ),
        },
    )
    assert alarms <= 0.15


if __name__ == "__main__":
    main(*sys.argv[1:])
