"""Whether bands hold the true curve: the whole of it (simultaneous), and each action (pointwise).

The outcomes of a group (plain, confounding 2, a step) share X and the action, and so the encoder and its refits, which
do not see the outcome; each cell has a data set of its own per seed.

python benchmarks/extrapolation_bands.py rows.jsonl [data sets] [first seed] [group ...]
python benchmarks/extrapolation_bands.py --table rows.jsonl ...
"""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from _extrapolation import command
from _extrapolation_worlds import world

from causalinv._parallel import generator, streams
from causalinv.extrapolation import Rep4ExRegressor
from causalinv.extrapolation._curve import half_widths, lean
from causalinv.extrapolation._doubts import check_fit
from causalinv.extrapolation._fitted import Fitted
from causalinv.extrapolation._support import support_table

N, N_BOOTSTRAP = 500, 59
PLAIN, STRONG, STEP = {"plain": {}}, {"confounding 2": {"confounding": 2.0}}, {"step response": {"outcome": "step"}}
GROUPS = {
    f"d={d}, {name}": ({"d": d} | law, encoder, outcomes)
    for d in (1, 2)
    for name, law, encoder, outcomes in (
        ("state given", {}, "identity", PLAIN),
        ("state learnt", {}, None, PLAIN | STRONG | STEP),
        ("state learnt, skewed V", {"law": "gumbel"}, None, PLAIN),
    )
}


def fits(sizes, encoder, outcomes, seed):
    """A fit per outcome, of one encoder, and its true curve."""
    first = None
    for name, changed in outcomes.items():
        X, y, action, truth, Z = world(N, seed, draws=40_000, with_state=True, **sizes, **changed)
        if first is None:
            made = Rep4ExRegressor(encoder, calibration=0.0 if encoder == "identity" else 1.0, random_state=0)
            first = made.fit(Z if encoder == "identity" else X, y, action=action)._fitted
            yield name, first, truth
        else:
            order = np.argsort(action[:, 0])
            tried = replace(first.tried, y=y[order][np.argsort(np.argsort(first.tried.actions[:, 0]))])
            recipe, phi = first.recipe, first.phi
            control = recipe.respond(phi, tried, generator(recipe.random_state, "response"))
            yield name, Fitted(recipe, tried, first.encoder, phi, control), truth


def resampled_curves(fitted, asked):
    """As in do_curve, for fits of one encoder: (fits, resamples, actions)."""
    first = fitted[0]
    curves = []
    for rng in streams(first.recipe.random_state, N_BOOTSTRAP, "bootstrap"):
        at = rng.integers(len(first.phi), size=len(first.phi))
        drawn = first.tried.take(at)
        known = isinstance(first.encoder, str)
        phi = drawn.rows if known else first.encoder.learn_again(drawn.rows, drawn.given, rng)
        state = rng.bit_generator.state
        curves.append([])
        for each in fitted:
            rng.bit_generator.state = state
            response = each.recipe.respond(phi, each.tried.take(at), rng, like=each.control)
            curves[-1].append(response.mean_do(asked))
    return np.array(curves).swapaxes(0, 1)


def study(group, seed):
    sizes, encoder, outcomes = GROUPS[group]
    line = np.linspace(-1.4, 1.4, 8)
    asked = np.column_stack([line] * sizes["d"])
    inside = np.abs(line) <= 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = list(fits(sizes, encoder, outcomes, seed))
        for (name, fitted, truth), curves in zip(
            made, resampled_curves([each for _, each, _ in made], asked), strict=True
        ):
            right = truth(asked)
            signed = fitted.control.mean_do(asked) - right
            gap = np.abs(signed)
            leaning = lean(fitted, asked)
            whole, each = (half_widths(curves, 0.95, kind, leaning) for kind in ("simultaneous", "pointwise"))
            errors = curves.std(axis=0, ddof=1)
            doubts = [check.name for check in check_fit(fitted) if check.doubt]
            evidence = fitted.public("noise_evidence_")
            yield {
                "cell": f"{group}, {name}",
                "seed": seed,
                "whole curve": bool((gap <= whole).all()),
                "tried part": bool((gap <= whole)[inside].all()),
                "pointwise in": float((gap <= each)[inside].mean()),
                "pointwise out": float((gap <= each)[~inside].mean()),
                "half width": float(each[inside].mean() / right[inside].std()),
                "half width out": float(each[~inside].mean() / right[inside].std()),
                "multiple": float((whole / errors)[inside].min()),
                "multiple out": float((whole / errors)[~inside].max()),
                "without lean": bool((gap <= half_widths(curves, 0.95, "simultaneous")).all()),
                "supported": bool((support_table(fitted, asked, asked)["status"] != "unsupported").all()),
                "z": (signed / errors).round(3).tolist(),
                "shift": ((curves.mean(axis=0) - fitted.control.mean_do(asked)) / errors).round(3).tolist(),
                "doubts": doubts,
                "evidence": evidence,
                "told": bool(doubts) or (evidence is not None and evidence > 1),
            }


def table(frame):
    cells = frame.groupby("cell", sort=False)
    shown = ["whole curve", "tried part", "pointwise in", "pointwise out"]
    found = cells[shown].mean().join(cells[shown].sem().rename(columns=lambda c: f"s.e. {c}"))
    found.insert(0, "sets", cells.size())
    medians = ["half width", "half width out", "multiple", "multiple out"]
    found = found.join(cells[medians].median())
    found["without the lean of continuation"] = cells["without lean"].mean()
    found["told"] = cells["told"].mean()
    untold = frame[~frame["told"]].groupby("cell", sort=False)["whole curve"]
    found["whole curve, of those not told"] = untold.mean()
    print(f"```text\n{found.sort_values('whole curve').round(3).T.to_string()}\n```")
    print("\nMean and standard deviation of the gap in standard errors, action by action:\n")
    for cell, part in cells:
        z = np.array(part["z"].tolist())
        print(f"{cell}: {np.median(z, axis=0).round(2).tolist()}, {z.std(axis=0).round(2).tolist()}")


def main(path, sets, first, *names):
    with Path(path).open("a", encoding="utf-8") as out:
        for seed in range(int(first), int(first) + int(sets)):
            for name in names or GROUPS:
                for row in study(name, seed):
                    out.write(json.dumps(row) + "\n")
                    out.flush()


if __name__ == "__main__":
    command(table, main)
