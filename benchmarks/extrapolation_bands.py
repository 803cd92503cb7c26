"""Whether bands hold the true curve: the whole of it (simultaneous), and each action (pointwise).

python benchmarks/extrapolation_bands.py rows.jsonl [data sets] [first seed] [cell ...]
python benchmarks/extrapolation_bands.py --table rows.jsonl ...
"""

import warnings

import numpy as np
from _extrapolation import logged
from _extrapolation_worlds import world

from causalinv.extrapolation import Rep4ExRegressor
from causalinv.extrapolation._curve import half_widths, resampled_curves

N_BOOTSTRAP = 60
CELLS = {
    "state given, d=1, n=500": (500, {"d": 1}, "identity"),
    "state learnt, d=1, n=500": (500, {"d": 1}, None),
    "state learnt, d=1, n=500, confounding 2": (500, {"d": 1, "confounding": 2.0}, None),
    "state learnt, d=1, n=500, step response": (500, {"d": 1, "outcome": "step"}, None),
    "state learnt, d=1, n=500, skewed V": (500, {"d": 1, "law": "gumbel"}, None),
    "state learnt, d=2, n=1000": (1000, {"d": 2}, None),
}


def study(name, seed):
    n, sizes, encoder = CELLS[name]
    X, y, action, truth, Z = world(n, seed, draws=40_000, with_state=True, **sizes)
    line = np.linspace(-1.4, 1.4, 8)
    asked = np.column_stack([line] * action.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calibration = 0.0 if encoder == "identity" else 1.0
        model = Rep4ExRegressor(encoder, calibration=calibration, random_state=0)
        model.fit(Z if encoder == "identity" else X, y, action=action)
        signed = model.predict_do(asked, on_unsupported="ignore") - truth(asked)
        gap = np.abs(signed)
        curves = resampled_curves(model._fitted, asked, N_BOOTSTRAP, None)  # both bands of one set of resamples
    whole, each = (half_widths(curves, 0.95, kind)[0] for kind in ("simultaneous", "pointwise"))

    inside = np.abs(line) <= 1
    return {
        "cell": name,
        "seed": seed,
        "whole curve": bool((gap <= whole).all()),
        "tried part": bool((gap <= whole)[inside].all()),
        "pointwise in": float((gap <= each)[inside].mean()),
        "pointwise out": float((gap <= each)[~inside].mean()),
        "half width / sd of curve": float(each[inside].mean() / truth(asked[inside]).std()),
        "z": (signed / curves.std(axis=0, ddof=1)).round(3).tolist(),
        "shift": ((curves.mean(axis=0) - model.predict_do(asked, on_unsupported="ignore")) / curves.std(axis=0, ddof=1))
        .round(3)
        .tolist(),
        "multiple": float((whole / curves.std(axis=0, ddof=1)).max()),
        "told": bool(model.checks_["doubt"].any() or getattr(model.encoder_, "noise_evidence_", 0.0) > 1),
    }


def table(frame):
    cells = frame.groupby("cell", sort=False)
    shown = ["whole curve", "tried part", "pointwise in", "pointwise out"]
    found = cells[shown].mean()
    errors = cells[shown].sem().rename(columns=lambda c: f"s.e. {c}")
    found = found.join(errors)
    found.insert(0, "sets", cells.size())
    found["half width"], found["told"] = cells["half width / sd of curve"].median(), cells["told"].mean()
    print(f"```text\n{found.sort_values('whole curve').round(3).T.to_string()}\n```")


if __name__ == "__main__":
    logged(study, CELLS, table)
