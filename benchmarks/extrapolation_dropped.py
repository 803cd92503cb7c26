"""Whether a response chosen by the shell score beats the default: the choice that was tried and left out.

Candidates: calibration 0, 1 (the default) and 3, each smooth and quadratic. One encoder per data set; the score refits
encoder and response on the inner actions (1.4), and takes the candidate of least error at the outer ones. Error: root
mean squared at 1 to 1.5 times the tried range, in standard deviations of the curve over the tried range.

python benchmarks/extrapolation_dropped.py rows.jsonl [data sets] [first seed] [cell ...]
python benchmarks/extrapolation_dropped.py --table rows.jsonl ...
"""

import warnings
from dataclasses import replace
from itertools import product

import numpy as np
from _extrapolation import logged
from _extrapolation_worlds import world

from causalinv.extrapolation import Rep4ExRegressor
from causalinv.extrapolation._action_only import action_only, smooth
from causalinv.extrapolation._support import stretch

CELLS = {f"d={d}, {law}": {"d": d, "law": law} for d in (1, 2) for law in ("lognormal", "skew", "gumbel", "gaussian")}
CANDIDATES = list(product((0.0, 1.0, 3.0), ("smooth", "quadratic")))


def study(name, seed, n=600):
    X, y, action, truth = world(n, seed, **CELLS[name])
    rng = np.random.default_rng([seed, 3])
    k = action.shape[1]
    direction = rng.uniform(-1, 1, (300, k))
    direction /= np.abs(direction).max(axis=1, keepdims=True)
    beyond, tried = direction * rng.uniform(1, 1.5, (300, 1)), rng.uniform(-1, 1, (300, k))
    right, scale = truth(beyond), truth(tried).std()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = Rep4ExRegressor(random_state=0).fit(X, y, action=action)._fitted
        size = stretch(action, action)
        inner = size <= size.max() / 1.4
        part, target = fitted.tried.take(inner), smooth(action, y)[~inner]
        encoder = fitted.recipe.fit_encoder(part, like=fitted.encoder)
        phi = fitted.recipe.encode(encoder, part)
        errors, scores = [], []
        for calibration, response in CANDIDATES:
            recipe = replace(fitted.recipe, calibration=calibration, response=response)
            control = recipe.respond(fitted.phi, fitted.tried, np.random.default_rng(0))
            errors.append(float(np.sqrt(np.mean((control.mean_do(beyond) - right) ** 2)) / scale))
            inside = recipe.respond(phi, part, np.random.default_rng(0))
            scores.append(float(np.mean((inside.mean_do(action[~inner]) - target) ** 2)))
    polynomial = action_only(action, y)
    return {
        "cell": name,
        "seed": seed,
        "default": errors[CANDIDATES.index((1.0, "smooth"))],
        "chosen by shell score": errors[int(np.argmin(scores))],
        "best in hindsight": min(errors),
        "polynomial of the action": float(np.sqrt(np.mean((polynomial(beyond) - right) ** 2)) / scale),
    }


def table(frame):
    columns = ["default", "chosen by shell score", "best in hindsight", "polynomial of the action"]
    found = frame.groupby("cell")[columns].median()
    wins = (frame["chosen by shell score"] < frame["default"]).groupby(frame["cell"]).mean()
    found["choice better than default"] = wins
    same = (frame["chosen by shell score"] == frame["default"]).groupby(frame["cell"]).mean()
    found["the same"] = same
    found["default loses to polynomial"] = (
        (frame["default"] > frame["polynomial of the action"]).groupby(frame["cell"]).mean()
    )
    found["sets"] = frame.groupby("cell").size()
    print(f"```text\n{found.round(2).T.to_string()}\n```")


if __name__ == "__main__":
    logged(study, CELLS, table)
