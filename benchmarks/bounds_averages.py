"""Coverage of bounds on averages: the population's ends, a propensity that is off, and a truth at the boundary."""

import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from _bounds_truth import ATOMS, beta_weights, covariates, pointwise
from _record import record

from causalinv.bounds import FDivergenceBounds, ManskiBounds, SensitivityBounds, cap_bounds, f_ball_bounds
from causalinv.bounds._divergences import as_divergences
from causalinv.datasets import make_confounded_treatment
from causalinv.exceptions import BoundsCrossingWarning

REPLICATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 500
N, SHIFT, STRENGTH = 1000, 0.05, 2.0
BALLS = ("chi2", "kl")


def truths():
    """Population ends (lower, upper)."""
    _, e, arms = covariates()
    ends = {name: [end.mean() for end in pointwise(e, arms[:, 1], name)] for name in ("manski", *BALLS)}
    ends["odds ratio 2"] = [end.mean() for end in pointwise(e, arms[:, 1], STRENGTH)]
    hidden = cap_bounds(ATOMS, 1e-300, weights=beta_weights(arms[:, 0]), odds_ratio=STRENGTH)  # R alone
    among = e / e.mean()
    ends["att, odds ratio 2"] = [np.mean(among * (arms[:, 1] - end)) for end in hidden[::-1]]
    return ends


def questions(balls, cap):
    """Average bounds of every kind from two fitted models."""
    found = {}
    for name in BALLS:
        balls._divergences = as_divergences(name)  # one fit serves both divergences
        found[name] = balls.average_bounds("mean")
    found["odds ratio 2"] = cap.average_bounds("mean", odds_ratio=STRENGTH)
    found["att, odds ratio 2"] = cap.average_bounds("att", odds_ratio=STRENGTH)
    return found


def shift(model):
    """Move every out-of-fold propensity of arm 1 by SHIFT."""
    fitted = model._crossfits[0]
    e = np.clip(fitted.propensity[:, 1] + SHIFT, 0.01, 0.99)
    model._crossfits = [replace(fitted, propensity=np.column_stack([1 - e, e]))]
    if hasattr(model, "_scores"):
        model._scores = {}


def plug_in(model, name):
    """Mean over rows of the pointwise ends, with the scores' own errors around it taken from their spread."""
    e, w, atoms = model._crossfits[0].propensity[:, 1], model._crossfits[0].weights[1], model._atoms[1]
    ends = (
        cap_bounds(atoms, e, weights=w, odds_ratio=STRENGTH)
        if name == "odds ratio 2"
        else f_ball_bounds(atoms, e, weights=w, support=(0, 1), divergence=name)
    )
    return [end.mean() for end in ends]


def one(seed):
    data = make_confounded_treatment(N, random_state=seed)
    given = {"X": data.X, "y": data.y, "treatment": data.treatment}
    balls = FDivergenceBounds(outcome_support=(0, 1), random_state=seed).fit(**given)
    cap = SensitivityBounds(outcome_support=(0, 1), random_state=seed).fit(**given)
    rows = []

    def add(kind, name, bounds):
        for i, end in enumerate(("lower", "upper")):
            rows.append((kind, name, end, (bounds.lower, bounds.upper)[i], (bounds.se_lower, bounds.se_upper)[i]))

    add("scores", "manski", ManskiBounds(outcome_support=(0, 1)).fit(**given).average_bounds())
    for name, bounds in questions(balls, cap).items():
        add("scores", name, bounds)
    shift(balls)
    shift(cap)
    for name, bounds in questions(balls, cap).items():
        add("scores, e off", name, bounds)
        if name != "att, odds ratio 2":
            ends = plug_in(cap if name == "odds ratio 2" else balls, name)
            for i, end in enumerate(("lower", "upper")):
                rows.append(("plug-in, e off", name, end, ends[i], (bounds.se_lower, bounds.se_upper)[i]))
    return rows


def coverage():
    truth = truths()
    rows = [(seed, *row) for seed in range(REPLICATIONS) for row in one(seed)]
    table = pd.DataFrame(rows, columns=["seed", "kind", "bound", "end", "estimate", "error"])
    table["truth"] = [truth[b][e == "upper"] for b, e in zip(table["bound"], table["end"], strict=True)]
    outward = np.where(table["end"] == "upper", 1.0, -1.0)
    table["z"] = outward * (table["estimate"] - table["truth"]) / table["error"]
    grouped = table.groupby(["kind", "bound", "end"], sort=False)
    return pd.DataFrame(
        {
            "truth": grouped["truth"].first(),
            "mean": grouped["estimate"].mean(),
            "sd": grouped["estimate"].std(),
            "mean s.e.": grouped["error"].mean(),
            "outward bias / sd": grouped["z"].mean(),
            "one-sided 95%": grouped["z"].agg(lambda z: np.mean(z > -1.644854)),
            "two-sided 95%": grouped["z"].agg(lambda z: np.mean(np.abs(z) < 1.959964)),
        }
    )


def boundary():
    """Coverage by the interval of a truth that equals the upper end (lower end for the effect's negative)."""
    rows = {}
    for strength in (1.0, 1.2, 2.0):
        hits = {"mean": 0, "att": 0}
        for seed in range(REPLICATIONS):
            data = make_confounded_treatment(N, kind="attained", odds_ratio=strength, random_state=10_000 + seed)
            model = SensitivityBounds(law="kernel", random_state=seed)
            model.fit(data.X, data.y, treatment=data.treatment)
            x = np.array([0.0, 1.0])
            e = 0.35 + 0.3 * x
            shift = ((data.mean - data.arm_mean) / np.column_stack([data.propensity, 1 - data.propensity])).max()
            theta = np.mean(1.0 + x + (1 - e) * shift)
            low, high = model.average_bounds("mean", odds_ratio=strength).conf_int
            hits["mean"] += low <= theta <= high
            effect = np.mean(e / e.mean() * (1.0 + x - 0.5 * x - shift))  # Y(0) of the treated at its worst
            low, high = model.average_bounds("att", odds_ratio=strength).conf_int
            hits["att"] += low <= effect <= high
        rows[strength] = {name: count / REPLICATIONS for name, count in hits.items()}
    return pd.DataFrame(rows).T.rename_axis("odds ratio")


def main():
    warnings.simplefilter("ignore", BoundsCrossingWarning)
    at_boundary = boundary()
    print(at_boundary, flush=True)
    table = coverage()
    error = np.sqrt(0.95 * 0.05 / REPLICATIONS)
    record(
        "bounds_averages",
        {
            f"{REPLICATIONS} replications, n = {N}, Beta simulation, all defaults": table,
            "coverage of a truth at the boundary by the 95% interval (kernel law)": at_boundary,
            "reading": (
                f"Monte-Carlo standard error of a coverage of .95: {error:.3f}. One-sided: the population's end lies "
                "within 1.645 standard errors on the outer side. 'e off': every propensity of arm 1 moved by +.05; the "
                "plug-in averages pointwise ends, with the standard errors of the scores."
            ),
        },
    )
    own = table.xs("scores", level="kind")["one-sided 95%"]
    assert (own >= 0.92).all()
    off = table.xs("scores, e off", level="kind")["one-sided 95%"]
    assert (off >= own.reindex(off.index) - 0.05).all()
    assert (at_boundary >= 0.93).all(axis=None)


if __name__ == "__main__":
    main()
