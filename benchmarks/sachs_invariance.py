"""Protein signalling (Sachs et al. 2005): sets of other proteins that predict one by the same rule everywhere.

Conditions whose reagent acts on the protein itself are left out for it (see `fetch_sachs`). Logarithms. The data come
from CAUSALINV_DATA.
"""

import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import InvariantRepresentation, InvariantSubsetSelector
from causalinv.datasets import fetch_sachs
from causalinv.exceptions import CausalInvWarning
from causalinv.invariance import certify, violation_bound

warnings.simplefilter("ignore", CausalInvWarning)


def study(sachs, conditions):
    """One row a protein, on some of the conditions."""
    targets = sachs.conditions.set_index("condition")["target"]
    rows = {}
    for protein in sachs.frame.columns:
        kept = [c for c in conditions if targets[c] != protein]
        at = np.isin(sachs.environments, kept)
        X, y, e = sachs.frame.loc[at].drop(columns=protein), sachs.frame.loc[at, protein], sachs.environments[at]
        tested = InvariantSubsetSelector().fit(X, y, environments=e)
        robust = InvariantSubsetSelector(test="chow_hc").fit(X, y, environments=e)
        elsewhere = InvariantSubsetSelector(eps=1e3, objective="left_out_risk").fit(X, y, environments=e)
        neutral = InvariantRepresentation().fit(X, y, environments=e)
        rows[protein] = {
            "conditions": len(kept),
            "accepted (chow)": len(tested.accepted_sets_packed_),
            "(chow_hc)": int(robust.accepted_),
            "smallest gap": tested.gap_,
            "its set": ",".join(tested.get_feature_names_out()) or "-",
            "certified": tested.gap_upper_,
            "worst risk": tested.worst_risk_,
            "left out": tested.left_out_risk_.max(),
            "OLS worst": tested.least_squares_risk_env_.max(),
            "OLS left out": tested.least_squares_left_out_risk_.max(),
            "best left out": elsewhere.left_out_risk_.max(),
            "set": ",".join(elsewhere.get_feature_names_out()) or "-",
            "neutral directions": neutral.n_directions_,
        }
    return pd.DataFrame(rows).T


def certificates(sachs):
    """Rules learnt under the first stimulation (conditions 1, 3 to 9), certified by the second (2, 10 to 14)."""
    targets = sachs.conditions.set_index("condition")["target"]
    rows = {}
    for protein in sachs.frame.columns:
        parts = {}
        for name, conditions in (("train", (1, 3, 4, 5, 6, 7, 8, 9)), ("fresh", (2, 10, 11, 12, 13, 14))):
            at = np.isin(sachs.environments, [c for c in conditions if targets[c] != protein])
            X, y = sachs.frame.loc[at].drop(columns=protein), sachs.frame.loc[at, protein]
            parts[name] = X, y, sachs.environments[at]
        X, y, e = parts["train"]
        model = InvariantSubsetSelector().fit(X, y, environments=e)
        X, y, e = parts["fresh"]
        for eps in (0.5, 2.0):
            held = certify(model, X, y, environments=e, eps=eps, method="two_level")
            rows[protein, eps] = {
                "fresh conditions": held.n_interventions,
                "not certified": held.violations,
                "violation_upper": held.violation_upper,
                "best possible": held.best_possible,
            }
    return pd.DataFrame(rows).T.rename_axis(["protein", "relative excess tolerated"])


def main():
    sachs = fetch_sachs()
    sections = {
        "all 14 conditions": study(sachs, range(1, 15)),
        "conditions 1 to 3 (two stimulations, one Akt inhibitor)": study(sachs, [1, 2, 3]),
        "certificates by the second stimulation (two_level, 95%)": certificates(sachs),
        "what 13 conditions beside a baseline could prove at best": (
            "95% bound by beta_sites, exact moments and one site per condition granted (they are not): "
            + ", ".join(f"{violation_bound(13, method='beta_sites', n_sites=s):.2f} at {s} sites" for s in (1, 3, 6))
            + ". Near vacuous, whatever the method."
        ),
        "reading": (
            "`accepted` counts the sets (of 1024) that Chow's test does not reject at .05, `(chow_hc)` is 1 if the "
            "robust test accepts one. `left out` is the worst condition's mean squared error of coefficients fitted to "
            "the other conditions, in squared natural logarithms; `best left out` the smallest that any set reaches "
            "(chosen by it, so optimistic). `certified` is the smallest tolerance that the data certify for the set of "
            "smallest gap."
        ),
    }
    record("sachs_invariance", sections)


if __name__ == "__main__":
    main()
