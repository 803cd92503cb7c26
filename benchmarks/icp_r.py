"""Invariant Causal Prediction against R's package and causalicp on 71 data sets of causalicp's own test generator.

``python benchmarks/icp_r.py CLONE``, CLONE the git directory of https://github.com/cran/InvariantCausalPrediction;
needs R, causalicp and sempler.
"""

import sys
import warnings

import numpy as np
import pandas as pd
from _r import answers
from _record import record

from causalinv import InvariantCausalPrediction
from causalinv.exceptions import CausalInvWarning

warnings.simplefilter("ignore", CausalInvWarning)
DATA_SETS = 71
PEER = """function(X, y, e, level) {
  fit <- ICP(X, y, e, alpha = level, gof = level, maxNoVariables = ncol(X), maxNoVariablesSimult = ncol(X))
  rejected <- fit$modelReject
  list(rejected = rejected, pvalues = I(fit$pvalues), best = fit$bestModel,
       upper = if (rejected) NULL else I(fit$ConfInt[1, ]), lower = if (rejected) NULL else I(fit$ConfInt[2, ]),
       sets = if (rejected) list() else lapply(fit$acceptedSets, function(s) I(s - 1)))
}"""


def data_set(k):
    """Its generator (random SCM, 0 to 2 targets an environment) and its defaults; sizes and levels move with k."""
    import sempler
    import sempler.generators

    rng = np.random.default_rng([1000, k])

    def seed():
        return int(rng.integers(2**31))

    p, n, E = 4 + k % 4, (30, 100, 300, 1000)[k % 4], 2 + (k // 4) % 4
    level = (0.001, 0.05, 0.1)[k % 3]
    W = sempler.generators.dag_avg_deg(p, min(2.7, p - 1), 0.5, 1, random_state=seed())
    W *= rng.choice([-1, 1], size=W.shape)
    scm = sempler.LGANM(W, (0, 1), (1, 2), random_state=seed())
    samples = []
    for _ in range(E):
        targets = rng.choice(p, rng.integers(0, 3), replace=False)
        moved = {int(t): (rng.uniform(2, 3), rng.uniform(1, 2)) for t in targets}
        kind = "do_interventions" if k % 2 else "shift_interventions"
        samples.append(scm.sample(n=n, random_state=seed(), **{kind: moved}))
    return samples, level


def compare():
    import causalicp
    from causalicp.data import _Data
    from causalicp.icp import _test_hypothesis

    drawn = [data_set(k) for k in range(DATA_SETS)]
    stacked = []
    for samples, level in drawn:
        rows = np.vstack(samples)
        e = np.repeat(np.arange(len(samples)), [len(part) for part in samples])
        stacked.append((rows[:, 1:], rows[:, 0], e, level))
    r, version = answers(sys.argv[1], ["ICP"], PEER, stacked)
    rows = []
    for (samples, level), (X, y, e, _), theirs in zip(drawn, stacked, r, strict=True):
        ours = InvariantCausalPrediction(test="residual", level=level).fit(X, y, environments=e)
        python = causalicp.fit(samples, 0, level)
        reference = _Data(samples)
        tested = [_test_hypothesis(0, {j + 1 for j in s}, reference, level)[2] for s in ours.sets_["set"]]
        accepted = set(map(frozenset, ours.accepted_sets_))
        row = {
            "sets": len(tested),
            "rejected": float(not ours.accepted_),
            "R rejects alike": theirs["rejected"] == (not ours.accepted_),
            # R lists neither the empty set nor anything of a model that it rejects
            "R accepts alike": set(map(frozenset, theirs["sets"])) - {frozenset()} == accepted - {frozenset()},
            "R: best set's p-value": abs(theirs["best"] - ours.sets_["pvalue"].max()),
            "R: p-values of features": np.nan,
            "R: ends of intervals": np.nan,
            "causalicp accepts alike": {frozenset(j - 1 for j in s) for s in python.accepted_sets} == accepted,
            "causalicp: p-values of sets": np.abs(ours.sets_["pvalue"] - tested).max(),
            "causalicp: ends of intervals": np.nan,
        }
        if ours.accepted_:
            row["R: p-values of features"] = np.abs(ours.pvalues_ - theirs["pvalues"]).max()
            ends = np.column_stack([theirs["lower"], theirs["upper"]])
            row["R: ends of intervals"] = np.abs(ours.conf_int_ - ends).max()
            row["causalicp: ends of intervals"] = np.abs(ours.conf_int_ - python.conf_intervals[:, 1:].T).max()
        rows.append(row)
    return pd.DataFrame(rows), version


def main():
    table, version = compare()
    alike = [name for name in table if "alike" in name]
    gaps = [name for name in table if ":" in name]
    counts = {"data sets": len(table), "sets tested": table["sets"].sum(), "no set accepted": table["rejected"].sum()}
    counts |= {f"{name}, of {DATA_SETS}": table[name].sum() for name in alike}
    differences = {f"{name}, largest difference": table[name].max() for name in gaps}
    body = pd.Series({k: f"{v:g}" for k, v in counts.items()} | {k: f"{v:.2g}" for k, v in differences.items()})
    record(
        "icp_r",
        {f'test="residual" against {version} (InvariantCausalPrediction 0.8) and causalicp': body.to_frame("")},
        packages=("causalicp", "sempler"),
    )
    assert all(table[name].all() for name in alike)
    assert all(table[name].max() < 1e-12 for name in gaps)


if __name__ == "__main__":
    main()
