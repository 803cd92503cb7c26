"""The audit's worlds on fresh seeds: errors beyond the tried actions, beside polynomials, and what is said.

Error: root mean squared at 1 to 1.5 times the tried range (max-norm), in standard deviations of the curve inside.
Polynomials of the action: the one that leave-one-out chooses, which a user could have fitted, and the best of degree
1 to 5, chosen with the truth in hand. "Lost": ours is farther than the honest polynomial; where the number is withheld,
the one that on_unsupported="ignore" gives. "In silence": neither the fit nor the prediction warned.

python benchmarks/extrapolation_audit.py rows.jsonl GROUP [data sets] [first seed] [start of the name]
python benchmarks/extrapolation_audit.py --table rows.jsonl ...
"""

import warnings
from functools import partial

import numpy as np
from _extrapolation import PER_SHELL, append, best_polynomial, command, errors, shells
from _extrapolation_worlds import world

from causalinv.exceptions import CausalInvWarning
from causalinv.extrapolation import Rep4ExRegressor
from causalinv.extrapolation._action_only import action_only

N = 2000
LAWS = ("skew", "gumbel", "exponential", "lognormal", "laplace", "t3", "uniform")
GROUPS = {
    "inside": {
        **{f"X {mixing}": {"mixing": mixing} for mixing in ("poly", "spiral", "exp", "linear")},
        "linear outcome": {"outcome": "linear"},
        **{f"actions {d}": {"design": d} for d in ("correlated", "5 levels", "3 levels", "2 levels", "unbalanced")},
        "k=3, d=2": {"k": 3},
        "confounding 5": {"confounding": 5.0},
    },
    "laws": {f"{law}, d={d}": {"law": law, "d": d} for d in (1, 2) for law in LAWS},
    "broken": {
        "action confounded .4": {"breach": "confounded", "size": 0.4},
        "action confounded .2": {"breach": "confounded", "size": 0.2},
        "action curved .5": {"breach": "curved", "size": 0.5},
        "direct effect of a squared": {"breach": "direct", "size": 1.0},
        "direct effect of |a|": {"breach": "direct abs", "size": 1.0},
        "action confounded by squares .8": {"breach": "confounded by squares", "size": 0.8},
        "Gaussian action confounded .4": {"design": "gaussian", "breach": "confounded", "size": 0.4},
        "noise of .3 in X": {"x_noise": 0.3},
        "k=1 < d=2": {"k": 1},
    },
}
#: What a warning says, by a part of its text.
TOLD = {
    "nonlinear_mean": "nonlinear_mean",
    "unequal_noise": "unequal_noise",
    "direct_effect": "direct_effect",
    "does not look Gaussian": "noise",
    "X holds more": "reduced",
    "Unsupported actions": "unsupported",
    "nothing but noise": "undecided",
    "different values": "few values",
    "are withheld": "withheld",
}


def study(group, name, seed):
    X, y, action, truth, Z = world(N, seed, with_state=True, **GROUPS[group][name])
    asked = shells(action.shape[1])
    right = truth(asked)

    def of(predicted):
        return float(errors(predicted, right)[1])

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = Rep4ExRegressor(random_state=0).fit(X, y, action=action)
        given = np.isfinite(model.predict_do(asked)).all()
        ours = model.predict_do(asked, on_unsupported="ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = Rep4ExRegressor("identity", calibration=0.0, random_state=0).fit(Z, y, action=action)
        oracle = known.predict_do(asked, on_unsupported="ignore")
    said = " ".join(str(each.message) for each in caught if issubclass(each.category, CausalInvWarning))
    told = [short for part, short in TOLD.items() if part in said]
    polynomial = of(action_only(action, y)(asked))
    status = model.support(asked[PER_SHELL : 2 * PER_SHELL])["status"]
    return {
        "group": group,
        "cell": name,
        "seed": seed,
        "ours": of(ours),
        "state given": of(oracle),
        "polynomial": polynomial,
        "best polynomial": float(best_polynomial(action, y, asked, right)[1]),
        "evidence": model.encoder_.noise_evidence_,
        "told": told,
        "warned": bool(said),
        "unsupported": float((status == "unsupported").mean()),
        "number given": bool(given),
        "lost": bool(of(ours) > polynomial),
    }


def table(frame):
    frame["lost in silence"] = frame["lost"] & ~frame["warned"]
    frame["lost, number given"] = frame["lost"] & frame["number given"]
    frame["lost to the best"] = frame["ours"] > frame["best polynomial"]
    for group, part in frame.groupby("group", sort=False):
        cells = part.groupby("cell", sort=False)
        found = cells[["ours", "state given", "polynomial", "best polynomial"]].median()
        found.insert(0, "sets", cells.size())
        shares = ["number given", "lost, number given", "lost", "lost in silence", "lost to the best"]
        found = found.join(cells[shares].mean())
        for short in TOLD.values():
            shares = cells["told"].apply(lambda told, short=short: np.mean([short in each for each in told]))
            if shares.any():
                found[short] = shares
        order = "lost, number given" if group != "broken" else "ours"
        shown = found.sort_values(order, ascending=False).round(2).to_string()
        print(f"## {group}, losing cells first\n\n```text\n{shown}\n```\n")
        lost = part["lost in silence"]
        print(f"Lost in silence: {lost.sum()} of {len(lost)} sets, s.e. {lost.std() / np.sqrt(len(lost)):.3f}.\n")


if __name__ == "__main__":
    command(table, partial(append, GROUPS, study))
